# SPDX-License-Identifier: Apache-2.0
# What `up`, `down` and `fault` share: which clusters there are, where their files lie, how their daemons start and stop.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2016,SC2154  # much of this is for the scripts that read this file
#
# A set is a directory with up to three clusters. `open_set` names it, `choose` picks one cluster of it, and everything
# below works on the chosen one.

accounts=(sta-a sta-b sta-c sta-d)
observer=sta-observer
slurm_account=sta

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Those of the packages we need that are not installed, on one line. Also `check` asks, to install them.
missing_packages() {
    local package
    grep -v '^#' "$here/packages" | while IFS= read -r package; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done | xargs
}

# The set in directory $1. `up` wrote its settings down, so that `down` and `fault` need only the directory.
open_set() {
    set_directory=$1 port_offset=0 node_prefix='' with_24=no chroot_made='' tracking=''
    [[ ! -f $set_directory/set.env ]] || read_settings
    database=$set_directory/database
    database_port=$((13306 + port_offset))
    database_socket=$database/socket
}

# Read rather than sourced: a file is data.
read_settings() {
    local key value
    while IFS='=' read -r key value; do
        case $key in
            port_offset) port_offset=$value ;;
            node_prefix) node_prefix=$value ;;
            with_24) with_24=$value ;;
            chroot_made) chroot_made=$value ;;
            tracking) tracking=$value ;;
        esac
    done <"$set_directory/set.env"
}

write_settings() {
    printf '%s\n' "port_offset=$port_offset" "node_prefix=$node_prefix" "with_24=$with_24" \
        "chroot_made=$chroot_made" "tracking=$tracking" >"$set_directory/set.env"
}

cluster_names() {
    printf '%s\n' juelich quebec
    [[ $with_24 == no ]] || echo quebec24
}

# Makes $1 the chosen cluster. `root` is empty where its programs are this machine's own.
choose() {
    cluster=$1 root='' gpus=4
    home=$set_directory/$cluster
    case $cluster in
        juelich) port=16817 node_count=4 node_letters=jl cpus=48 memory_mb=240000 gpu_type=gh200 ;;
        quebec) port=26817 node_count=3 node_letters=qc cpus=32 memory_mb=180000 gpu_type=h100 ;;
        quebec24) port=28817 node_count=3 node_letters=qn cpus=32 memory_mb=180000 gpu_type=h100 root=$home/root ;;
        *) fail "no cluster is called '$cluster'; there are: $(cluster_names | xargs)" ;;
    esac
    port=$((port + port_offset))
    port_accounting=$((port + 2))
    node_letters=$node_prefix$node_letters
}

node_names() {
    local number
    for ((number = 1; number <= node_count; number++)); do
        echo "$node_letters$number"
    done
}

node_port() {
    echo $((port + 13 + ${1#"$node_letters"}))
}

# Every port of the chosen cluster.
cluster_ports() {
    local node
    printf '%s\n' "$port" "$port_accounting"
    for node in $(node_names); do
        node_port "$node"
    done
}

# The words to put before a command that the operator gives on the chosen cluster.
operator_prefix() {
    [[ -z $root ]] || printf '%s\n' chroot "$root"
    printf '%s\n' env -i -C / PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "SLURM_CONF=$home/etc/slurm.conf"
}

# The words to put before a command given as the account $1.
account_prefix() {
    if [[ -n $root ]]; then
        printf '%s\n' chroot "--userspec=$1:$1" "$root"
    else
        printf '%s\n' setpriv --reuid "$1" --regid "$1" --init-groups --
    fi
    printf '%s\n' env -i -C / PATH=/usr/bin:/bin "SLURM_CONF=$home/etc/slurm.conf"
}

as_operator() {
    local words
    mapfile -t words < <(operator_prefix)
    "${words[@]}" "$@"
}

# Until the command succeeds, $1 seconds at most.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

# Where the daemon $1 (slurmctld, slurmdbd, munged, slurmd:NODE, mariadbd) writes its process id.
pid_file() {
    case $1 in
        munged) echo "$home/munge/munged.pid" ;;
        mariadbd) echo "$database/mariadbd.pid" ;;
        slurmd:*) echo "$home/run/slurmd.${1#*:}.pid" ;;
        *) echo "$home/run/$1.pid" ;;
    esac
}

# The process id of the daemon $1 if it runs. A pid file may be old and its number another program's by now, so the
# process has to be of that name and to have our directory among its words or its environment.
pid_of() {
    local file pid
    file=$(pid_file "$1")
    pid=$(cat "$file" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ && $(cat "/proc/$pid/comm" 2>/dev/null) == "${1%%:*}" ]] || return 1
    # A zombie has neither words nor environment left.
    cat "/proc/$pid/cmdline" "/proc/$pid/environ" 2>/dev/null | grep -qaF "$set_directory/" || return 1
    echo "$pid"
}

# Starts the daemon $1 if it does not run. What it says before its log is open goes to a file beside the log.
start_daemon() {
    local out=$home/log/start.${1/:/.}
    ! pid_of "$1" >/dev/null || return 0
    case $1 in
        munged)
            as_operator munged --force --num-threads=4 --socket="$home/munge/socket" --key-file="$home/munge/key" \
                --pid-file="$home/munge/munged.pid" --log-file="$home/munge/log" --seed-file="$home/munge/seed"
            ;;
        slurmdbd) as_operator setsid slurmdbd ;;
        slurmctld) as_operator setsid slurmctld -f "$home/etc/slurm.conf" ;;
        slurmd:*) as_operator setsid slurmd -f "$home/etc/slurm.conf" -N "${1#*:}" ;;
        *) fail "no daemon is called '$1'" ;;
    esac </dev/null >"$out" 2>&1 9>&- || fail "$cluster: $1 does not start; it said (in $out): $(tail -n 3 "$out")"
}

# Whether the daemon $1 does its work, not only runs.
daemon_answers() {
    case $1 in
        munged) as_operator munge -S "$home/munge/socket" -n ;;
        slurmdbd) as_operator sacctmgr -n show cluster ;;
        slurmctld) as_operator scontrol ping ;;
        slurmd:*) node_is_ready "${1#*:}" ;;
        *) return 1 ;;
    esac
}

# A `*` after a node's state says that it does not answer; until it first registers its state is unknown.
node_is_ready() {
    local state
    state=$(as_operator sinfo -h -N -n "$1" -o %T | head -n 1) || return 1
    [[ -n $state && $state != *'*' && $state != unk* && $state != down* ]]
}

wait_for_daemon() {
    wait_for "$2" daemon_answers "$1" ||
        fail "$cluster: $1 does not answer after $2 s; its log is in $home/log (munged: $home/munge/log)"
}

# A zombie is gone too: it only waits for its parent to notice.
is_gone() {
    [[ ! -d /proc/$1 ]] || grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}

# Sends the signal $2 to the daemon $1 and waits for its end, by force after 15 s.
stop_daemon() {
    local pid
    pid=$(pid_of "$1") || return 0
    # One that is paused would not see its end.
    kill -s "$2" "$pid" 2>/dev/null && kill -s CONT "$pid" 2>/dev/null
    wait_for 15 is_gone "$pid" || kill -s KILL "$pid" 2>/dev/null
    wait_for 5 is_gone "$pid" || fail "process $pid ($1 of ${cluster:-the set}) cannot be killed"
    rm -f -- "$(pid_file "$1")"
}
