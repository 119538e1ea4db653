# SPDX-License-Identifier: Apache-2.0
# Debian 13 with Slurm 24.11 as a directory: made once, and laid under each set that wants it.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016  # the chosen cluster comes from clusters.sh; some words are for another program

chroot_packages=slurmctld,slurmd,slurmdbd,slurm-client,munge,slurm-wlm-basic-plugins,slurm-wlm-mysql-plugin,python3

# Makes the directory $1 if it is not there. It appears whole or not at all.
make_chroot() {
    local made=$1 partial=$1.partial mirror log=$1.log
    [[ ! -x $made/usr/sbin/slurmctld ]] || return 0
    [[ ! -e $made ]] || fail "$made is there, but holds no Slurm: remove it, or name another in STA_SLURM24_CHROOT"
    mkdir -p "$(dirname "$made")"
    mirror=${STA_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' |
        grep -m 1 -E '/debian/?$' || echo http://deb.debian.org/debian)}
    echo "making a Debian 13 with Slurm 24.11 in $made, from $mirror; this takes one to three minutes, once"
    rm -rf -- "$partial"
    if ! debootstrap --variant=minbase --include="$chroot_packages" trixie "$partial" "$mirror" >"$log" 2>&1; then
        fail "debootstrap failed; its log is $log: $(tail -n 1 "$log"). Is $mirror reachable, and has it trixie?" \
            "Name another mirror in STA_DEBIAN_MIRROR, or leave out --with-24.11"
    fi
    rm -rf -- "$partial"/var/cache/apt/archives/*.deb "$partial"/var/lib/apt/lists/*
    mv -- "$partial" "$made"
    rm -f -- "$log"
}

# The chosen cluster's own root: the made directory below, what this set changes above. Where there is no overlay (in
# some containers), a copy.
mount_root() {
    local made=$1
    mkdir -p "$root"
    if ! mountpoint -q "$root" && [[ ! -x $root/usr/sbin/slurmctld ]]; then
        mkdir -p "$home"/overlay/{upper,work}
        mount -t overlay overlay -o "lowerdir=$made,upperdir=$home/overlay/upper,workdir=$home/overlay/work" "$root" \
            2>/dev/null || cp -a -- "$made/." "$root/"
    fi
    mkdir -p "$root$home"
    # Slaves: what is mounted or unmounted below them stays there, whatever this machine's own mounts are shared with.
    bind "$home" "$root$home"
    bind /dev "$root/dev"
    mountpoint -q "$root/dev/shm" || mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
    bind /sys "$root/sys"
    if ! mountpoint -q "$root/sys/fs/cgroup"; then
        mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
        mount --make-rslave "$root/sys/fs/cgroup"
    fi
    cp -- /etc/resolv.conf /etc/hosts "$root/etc/"
}

bind() {
    mountpoint -q "$2" && return
    mount --bind "$1" "$2" || fail "cannot mount $1 at $2: --with-24.11 needs root with the right to mount"
    mount --make-slave "$2"
}

# The same accounts with the same numbers inside, so that a file's owner is the same from both sides.
make_accounts_inside() {
    local account
    for account in "${accounts[@]}" "$observer"; do
        printf '%s %s %s\n' "$account" "$(id -u "$account")" "$(id -g "$account")"
    done | chroot "$root" sh -c 'while read -r account user group; do
        id "$account" >/dev/null 2>&1 && continue
        groupadd -g "$group" "$account"
        useradd -m -u "$user" -g "$group" -s /usr/sbin/nologin "$account" || exit 1
    done' || fail "cannot make the accounts inside $root"
}

# Takes away everything mounted below the set, the deepest first.
unmount_all() {
    local point
    awk -v below="$set_directory/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r |
        while IFS= read -r point; do
            umount "$point" 2>/dev/null || umount -l "$point" || fail "cannot unmount $point"
        done
}
