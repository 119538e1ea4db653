# SPDX-License-Identifier: Apache-2.0
# The files of a cluster: what Slurm reads, the keys, the directories, and what is written down for people and tests.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016  # the chosen cluster comes from clusters.sh; some words are for another program

make_directories() {
    mkdir -p "$home"/{etc,munge,state,log,run,spool,dev,scratch,hook}
    chmod 755 "$home" "$home"/{etc,munge,spool,dev}
    chmod 1777 "$home/scratch"
}

# Owned by the cluster's own slurm user, whose number may differ in the chroot: so this comes after the chroot is there.
make_files() {
    local number
    as_operator chown slurm:slurm "$home"/{state,log,run,hook}
    [[ -f $home/munge/key ]] || (umask 077 && head -c 1024 /dev/urandom >"$home/munge/key")
    # Stand-ins for GPUs: copies of /dev/null. Nothing opens them; Slurm only wants files that are there.
    for ((number = 0; number < gpus; number++)); do
        [[ -e $home/dev/gpu$number ]] || mknod -m 666 "$home/dev/gpu$number" c 1 3 || touch "$home/dev/gpu$number"
    done
    # Slurm makes these two for itself alone, and people may read them.
    as_operator sh -c "touch '$home/log/jobs' '$home/hook/hook' && chown slurm:slurm '$home/log/jobs' '$home/hook/hook'"
    sed "s|^hook=.*|hook=$home/hook/hook|" "$here/epilog" >"$home/etc/epilog"
    chmod 755 "$home/etc/epilog"
    write_slurm_conf >"$home/etc/slurm.conf"
    write_tracking >>"$home/etc/slurm.conf"
    echo "NodeName=${node_letters}[1-$node_count] Name=gpu Type=$gpu_type File=$home/dev/gpu[0-$((gpus - 1))]" \
        >"$home/etc/gres.conf"
    write_client >"$home/client"
    chmod 755 "$home/client"
}

write_slurm_conf() {
    local node host
    host=$(hostname -s)
    cat <<END
ClusterName=$cluster
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$home/munge/socket
CredType=cred/munge
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool/%n
SlurmctldPidFile=$home/run/slurmctld.pid
SlurmdPidFile=$home/run/slurmd.%n.pid
SlurmctldLogFile=$home/log/slurmctld.log
SlurmdLogFile=$home/log/slurmd.%n.log
MpiDefault=none
ReturnToService=2
# Lets a small machine pretend the processors and the memory below.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,sched_min_interval=0,batch_sched_delay=0
PriorityType=priority/multifactor
PreemptType=preempt/qos
PreemptMode=REQUEUE
MaxArraySize=10001
MaxJobCount=50000
MinJobAge=600
KillWait=3
SlurmctldTimeout=60
SlurmdTimeout=30
GresTypes=gpu
JobAcctGatherFrequency=task=2
JobCompType=jobcomp/filetxt
JobCompLoc=$home/log/jobs
EpilogSlurmctld=$home/etc/epilog
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$port_accounting
AccountingStoragePass=$home/munge/socket
AccountingStorageTRES=gres/gpu,gres/gpu:$gpu_type
AccountingStorageEnforce=associations,limits,qos,safe
AccountingStoreFlags=job_comment
NodeName=DEFAULT CPUs=$cpus Boards=1 SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=$memory_mb Gres=gpu:$gpu_type:$gpus State=UNKNOWN
END
    for node in $(node_names); do
        echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$(node_port "$node")"
    done
    cat <<END
PartitionName=DEFAULT Nodes=ALL DefaultTime=01:00:00 DefMemPerCPU=100 State=UP
PartitionName=batch Default=YES MaxTime=7-00:00:00
PartitionName=short MaxTime=00:10:00
END
}

# How Slurm finds a job's processes and holds them to their memory: by control groups where version 1 has them (that of
# version 2 wants systemd), otherwise by looking at the process table every two seconds.
write_tracking() {
    if [[ $tracking == cgroup ]]; then
        printf '%s\n' ProctrackType=proctrack/cgroup TaskPlugin=task/cgroup JobAcctGatherType=jobacct_gather/cgroup
        printf '%s\n' CgroupPlugin=cgroup/v1 CgroupMountpoint=/sys/fs/cgroup ConstrainRAMSpace=yes \
            ConstrainSwapSpace=yes ConstrainCores=no ConstrainDevices=no >"$home/etc/cgroup.conf"
    else
        printf '%s\n' ProctrackType=proctrack/linuxproc TaskPlugin=task/none JobAcctGatherType=jobacct_gather/linux \
            JobAcctGatherParams=OverMemoryKill
        # Only the newer Slurm has a word for it; the older one asks for no control group that nobody configured.
        if [[ -n $root ]]; then echo CgroupPlugin=disabled; fi >"$home/etc/cgroup.conf"
    fi
}

write_client() {
    local words
    mapfile -t words < <(account_prefix '$account')
    cat <<END
#!/bin/sh
# Gives a command on the cluster $cluster as an account: client ACCOUNT COMMAND [ARGUMENT...]
set -eu
[ \$# -ge 2 ] || { echo "usage: \$0 ACCOUNT COMMAND [ARGUMENT...]" >&2; exit 2; }
account=\$1
shift
[ -d $home/scratch/\$account ] || install -d -m 700 -o \$account -g \$account $home/scratch/\$account
exec $(printf '%s\n' "${words[@]}" | sed "s|^/\$|$home/scratch/\$account|" | xargs) "\$@"
END
}

# $@ as a list that both JSON and TOML understand. No word here holds a quote or a backslash.
as_list() {
    local word list=''
    for word in "$@"; do
        list+="${list:+, }\"$word\""
    done
    echo "[$list]"
}

write_site() {
    local words
    mapfile -t words < <(account_prefix '{account}')
    cat <<END
# The cluster $cluster, Slurm $version, for a node's configuration.
[sites.slurm]
cluster = "$cluster"
prefix = $(as_list "${words[@]}")
observer = "$observer"
directory = "$home/scratch/{account}/sta"
partition = "batch"
hook = "$home/hook/hook"
END
}

# The chosen cluster as a JSON object, for tests.
describe() {
    local operator account node pids=''
    mapfile -t operator < <(operator_prefix)
    mapfile -t account < <(account_prefix '{account}')
    for node in $(node_names); do
        pids+="${pids:+, }\"$node\": \"$(pid_file "slurmd:$node")\""
    done
    cat <<END
    {
      "name": "$cluster", "version": "$version", "tracking": "$tracking",
      "prefix": $(as_list "${account[@]}"),
      "operator_prefix": $(as_list "${operator[@]}"),
      "client": "$home/client",
      "observer": "$observer",
      "accounts": $(as_list "${accounts[@]}"),
      "slurm_account": "$slurm_account", "qos": ["normal", "low", "tight"],
      "partition": "batch", "partition_short": "short",
      "directory": "$home/scratch/{account}/sta", "scratch": "$home/scratch",
      "hook": "$home/hook/hook",
      "nodes": $(node_names | xargs printf '"%s", ' | sed 's/^/[/; s/, $/]/'),
      "cpus_per_node": $cpus, "memory_mb_per_node": $memory_mb, "gpu_type": "$gpu_type", "gpus_per_node": $gpus,
      "slurm_conf": "$home/etc/slurm.conf",
      "pid_files": {"slurmctld": "$(pid_file slurmctld)", "slurmdbd": "$(pid_file slurmdbd)", "slurmd": {$pids}}
    }
END
}
