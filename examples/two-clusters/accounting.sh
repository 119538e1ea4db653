# SPDX-License-Identifier: Apache-2.0
# The database below slurmdbd, and what is entered there: accounts, users, qualities of service.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016  # the chosen cluster comes from clusters.sh; some words are for another program

# One MariaDB for the set, with a database and a user of its own for each cluster.
start_database() {
    ! pid_of mariadbd >/dev/null || return 0
    mkdir -p "$database"
    chown mysql:mysql "$database"
    if [[ ! -f $database/made ]]; then
        rm -rf -- "$database/data"
        mariadb-install-db --no-defaults --user=mysql --datadir="$database/data" --skip-test-db \
            --auth-root-authentication-method=socket --auth-root-socket-user=root >"$database/install.log" 2>&1 ||
            fail "mariadb-install-db failed: $(tail -n 3 "$database/install.log")"
        touch "$database/made"
    fi
    # A set is for trying things out: what a power cut would lose may be lost, and starting is quicker.
    setsid mariadbd --no-defaults --user=mysql --datadir="$database/data" --socket="$database_socket" \
        --port="$database_port" --bind-address=127.0.0.1 --pid-file="$(pid_file mariadbd)" \
        --log-error="$database/log" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
        --max-allowed-packet=16M --innodb-flush-method=nosync --innodb-flush-log-at-trx-commit=0 \
        --innodb-doublewrite=0 </dev/null >/dev/null 2>&1 9>&- &
    wait_for 60 mariadb-admin --no-defaults -S "$database_socket" ping ||
        fail "MariaDB does not answer; its log is $database/log: $(tail -n 2 "$database/log" 2>/dev/null)"
}

write_slurmdbd_conf() {
    cat <<END
AuthType=auth/munge
AuthInfo=socket=$home/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$port_accounting
SlurmUser=slurm
LogFile=$home/log/slurmdbd.log
PidFile=$home/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$database_port
StorageUser=$cluster
StoragePass=$1
StorageLoc=$cluster
END
}

# The password is made once: a slurmdbd that runs already knows no other. Only it and root can read it.
make_database() {
    local password
    password=$(sed -n 's/^StoragePass=//p' "$home/etc/slurmdbd.conf" 2>/dev/null || true)
    [[ -n $password ]] || password=$(head -c 18 /dev/urandom | base64 | tr '+/' '-_')
    (umask 077 && write_slurmdbd_conf "$password" >"$home/etc/slurmdbd.conf")
    as_operator chown slurm:slurm "$home/etc/slurmdbd.conf"
    mariadb --no-defaults -S "$database_socket" <<END || fail "cannot make the database of $cluster"
create database if not exists $cluster;
create user if not exists '$cluster'@'127.0.0.1' identified by '$password';
create user if not exists '$cluster'@'localhost' identified by '$password';
alter user '$cluster'@'127.0.0.1' identified by '$password';
alter user '$cluster'@'localhost' identified by '$password';
grant all on $cluster.* to '$cluster'@'127.0.0.1';
grant all on $cluster.* to '$cluster'@'localhost';
END
}

# What is there already is fine; anything else that sacctmgr refuses is not.
enter() {
    local said
    said=$(as_operator sacctmgr -i "$@" 2>&1) || [[ ${said,,} =~ nothing\ new\ added|already\ exist ]] ||
        fail "$cluster: sacctmgr $*: $said"
}

# The same accounts on each cluster. A job of `normal` takes the place of one of `low`; `tight` has limits to run into.
enter_accounts() {
    local users last
    last=$(as_operator sacctmgr -n -P show assoc "user=${accounts[-1]}" format=user)
    [[ -z $last ]] || return 0
    users=$(IFS=, && echo "${accounts[*]}")
    enter add cluster "$cluster"
    enter add qos low
    enter add qos tight Flags=DenyOnLimit MaxSubmitJobsPerUser=2 MaxTRESPerJob=cpu=4
    as_operator sacctmgr -i modify qos normal set Preempt=low >/dev/null ||
        fail "$cluster: cannot let normal jobs preempt low ones"
    enter add account "$slurm_account" Description=alliance Organization=alliance
    enter add user "$users" Account="$slurm_account" QOS=normal,low,tight DefaultQOS=normal
}
