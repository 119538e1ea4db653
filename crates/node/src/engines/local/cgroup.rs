// SPDX-License-Identifier: Apache-2.0
//! A job's control groups: limits, accounts and a list of its processes that none of them can leave.
//!
//! Real sites have cgroup v2; some machines still have the controllers on v1 beside a v2 tree without them
//! (hybrid). Both are used where they are found: v2 for what it offers, v1 for the rest.

use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::unistd::Pid;

use crate::engines::RunId;

/// The group below which the groups of all jobs stand.
const PARENT: &str = "sta";
/// Processes a job may have at once, all its threads counted.
const PROCESSES_MAX: u64 = 4096;
/// The period over which the processor quota is counted, in microseconds: the kernel's own default.
const CPU_PERIOD_US: u64 = 100_000;
/// How often a group is tried to be removed, 10 ms apart: the kernel lets dead processes go a little later.
const REMOVALS_MAX: u32 = 200;
/// The v1 controllers that serve a job. The freezer limits nothing and lists the processes where v2 is missing.
const V1_CONTROLLERS: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "freezer"];

/// What a job may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) cpu_cores: u32,
    pub(super) memory_bytes: u64,
}

/// The groups of one job, one in each hierarchy that could be used.
#[derive(Debug, Default)]
pub(super) struct JobGroups {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    /// `None` is v2, otherwise the v1 controller.
    controller: Option<&'static str>,
    path: PathBuf,
    /// What is limited here, as named in the record.
    limits: Vec<&'static str>,
}

impl JobGroups {
    /// Makes the groups with their limits. A hierarchy that is not there or not ours to write is left out.
    pub(super) fn create(id: RunId, limits: Limits) -> Self {
        let mut groups = Self::find(id, true).groups;
        for group in &mut groups {
            group.limits = group.set(limits);
        }
        Self { groups }
    }

    /// The groups that are left of a job whose supervisor was lost.
    pub(super) fn existing(id: RunId) -> Self {
        Self::find(id, false)
    }

    fn find(id: RunId, create: bool) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut groups: Vec<Group> = Vec::new();
        for (controller, mount) in hierarchies(&mounts) {
            // A hierarchy may be mounted at several places, as for a chroot: it is one all the same.
            if groups.iter().any(|group| group.controller == controller) {
                continue;
            }
            let own = own_path(&own, controller);
            let Some(path) = job_path(&mount, &own, id, controller, create) else { continue };
            // cpu and cpuacct are often one hierarchy under two names: each still sets its own files.
            groups.push(Group { controller, path, limits: Vec::new() });
        }
        Self { groups }
    }

    /// Moves a process in, and names what now limits it and its children.
    pub(super) fn admit(&mut self, pid: Pid) -> Vec<String> {
        let mut enforced = Vec::new();
        for group in &mut self.groups {
            match write(&group.path.join("cgroup.procs"), pid) {
                Ok(()) => enforced.extend(group.limits.iter().map(ToString::to_string)),
                Err(_) => group.limits.clear(), // it limits nobody, and its accounts stay empty
            }
        }
        enforced
    }

    /// Whether memory is limited here.
    pub(super) fn limits_memory(&self) -> bool {
        self.groups.iter().any(|group| group.limits.iter().any(|limit| limit.ends_with(":memory")))
    }

    /// Whether the groups know every process of the job.
    pub(super) fn tracks(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The job's processes, empty when none is left.
    pub(super) fn members(&self) -> Vec<Pid> {
        let lists = self.groups.iter().filter_map(|group| read(&group.path, "cgroup.procs"));
        let mut pids: Vec<i32> = lists.flat_map(|list| numbers(&list)).collect();
        pids.sort_unstable();
        pids.dedup();
        // Zero stands for a process outside our own process-id namespace, and would address our own group.
        pids.into_iter().filter(|pid| *pid > 0).map(Pid::from_raw).collect()
    }

    /// Kills every process at once, where the kernel offers that (v2, from Linux 5.14).
    pub(super) fn kill_all(&self) -> bool {
        let v2 = self.groups.iter().filter(|group| group.controller.is_none());
        v2.map(|group| write(&group.path.join("cgroup.kill"), 1)).any(|written| written.is_ok())
    }

    /// Has the kernel stop every process of the job, or let them go on: by v2 where it offers that (from Linux 5.2), else by
    /// the freezer of v1. False where neither is there.
    pub(super) fn freeze(&self, frozen: bool) -> bool {
        let Some((group, [file, _], words)) = self.freezer() else { return false };
        write(&group.path.join(file), words[usize::from(frozen)]).is_ok()
    }

    /// Whether the kernel says that all of them are stopped.
    pub(super) fn is_frozen(&self) -> bool {
        let Some((group, [_, file], _)) = self.freezer() else { return false };
        let said = read(&group.path, file).unwrap_or_default();
        keyed(&said, "frozen") == Some(1) || said.trim() == "FROZEN"
    }

    /// The group that can be frozen, the files to say so and to see it, and the words for go on and for stop.
    fn freezer(&self) -> Option<(&Group, [&'static str; 2], [&'static str; 2])> {
        let with = |controller, file: &str| {
            let mut groups = self.groups.iter().filter(move |group| group.controller == controller);
            groups.find(|group| group.path.join(file).exists())
        };
        let v2 =
            with(None, "cgroup.freeze").map(|group| (group, ["cgroup.freeze", "cgroup.events"], ["0", "1"]));
        v2.or_else(|| {
            let group = with(Some("freezer"), "freezer.state")?;
            Some((group, ["freezer.state", "freezer.state"], ["THAWED", "FROZEN"]))
        })
    }

    /// How many processes of the job the kernel has killed for want of memory.
    pub(super) fn memory_kills(&self) -> u64 {
        let counts = self.groups.iter().filter_map(|group| {
            let file = match group.controller {
                None => "memory.events",
                Some("memory") => "memory.oom_control",
                Some(_) => return None,
            };
            read(&group.path, file).and_then(|text| keyed(&text, "oom_kill"))
        });
        counts.sum()
    }

    /// Processor time in milliseconds, when a group accounts for it.
    pub(super) fn cpu_ms(&self) -> Option<u64> {
        let account = |group: &Group| match group.controller {
            // v2 accounts processor time even without its controller.
            None => {
                read(&group.path, "cpu.stat").and_then(|text| keyed(&text, "usage_usec")).map(|us| us / 1_000)
            }
            Some("cpuacct") => single(&group.path, "cpuacct.usage").map(|ns| ns / 1_000_000),
            Some(_) => None,
        };
        self.groups.iter().filter_map(account).max()
    }

    /// The most memory held at once in bytes, when a group accounts for it.
    pub(super) fn memory_peak_bytes(&self) -> Option<u64> {
        let account = |group: &Group| match group.controller {
            None => single(&group.path, "memory.peak"),
            Some("memory") => single(&group.path, "memory.max_usage_in_bytes"),
            Some(_) => None,
        };
        self.groups.iter().filter_map(account).max()
    }

    /// Removes the groups, which must be empty. One that stays is found again by the job's id and does no harm.
    pub(super) fn remove(&self) {
        for group in &self.groups {
            for _ in 0..REMOVALS_MAX {
                match fs::remove_dir(&group.path) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                    Ok(()) | Err(_) => break,
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Group {
    /// Sets the limits of this hierarchy and names those that took.
    fn set(&self, limits: Limits) -> Vec<&'static str> {
        let quota_us = u64::from(limits.cpu_cores) * CPU_PERIOD_US;
        let put = |file: &str, value: String| write(&self.path.join(file), value).is_ok();
        let mut took = Vec::new();
        match self.controller {
            None => {
                if put("memory.max", limits.memory_bytes.to_string()) {
                    // Without this the limit would push the job into swap; where there is no swap there is no file.
                    put("memory.swap.max", "0".to_owned());
                    took.push("cgroup-v2:memory");
                }
                if put("cpu.max", format!("{quota_us} {CPU_PERIOD_US}")) {
                    took.push("cgroup-v2:cpu");
                }
                if put("pids.max", PROCESSES_MAX.to_string()) {
                    took.push("cgroup-v2:pids");
                }
            }
            Some("memory") => {
                if put("memory.limit_in_bytes", limits.memory_bytes.to_string()) {
                    put("memory.memsw.limit_in_bytes", limits.memory_bytes.to_string());
                    took.push("cgroup-v1:memory");
                }
            }
            Some("cpu") => {
                let period = put("cpu.cfs_period_us", CPU_PERIOD_US.to_string());
                if period && put("cpu.cfs_quota_us", quota_us.to_string()) {
                    took.push("cgroup-v1:cpu");
                }
            }
            Some("pids") => {
                if put("pids.max", PROCESSES_MAX.to_string()) {
                    took.push("cgroup-v1:pids");
                }
            }
            Some(_) => {}
        }
        took
    }
}

/// The hierarchies mounted here that serve us, with their mount points.
fn hierarchies(mounts: &str) -> Vec<(Option<&'static str>, PathBuf)> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(point), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if kind == "cgroup2" {
            found.push((None, PathBuf::from(point)));
        } else if kind == "cgroup" {
            let named = |controller: &&str| options.split(',').any(|option| option == *controller);
            let controllers = V1_CONTROLLERS.into_iter().filter(named);
            found.extend(controllers.map(|controller| (Some(controller), PathBuf::from(point))));
        }
    }
    found
}

/// Our own group in a hierarchy, from `/proc/self/cgroup`: lines of `number:controllers:path`.
fn own_path(text: &str, controller: Option<&str>) -> PathBuf {
    let of_line = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let ours = match controller {
            None => controllers.is_empty(),
            Some(name) => controllers.split(',').any(|one| one == name),
        };
        ours.then(|| PathBuf::from(path.trim_start_matches('/')))
    };
    text.lines().find_map(of_line).unwrap_or_default()
}

/// The job's group: below our own group or the nearest one above in which we may make groups.
///
/// On v2 a group that holds processes cannot hand controllers to its children, so below systemd the node is to run
/// with `Delegate=yes` and `DelegateSubgroup=node`: then the group above ours is the one that serves.
fn job_path(mount: &Path, own: &Path, id: RunId, v1: Option<&str>, create: bool) -> Option<PathBuf> {
    let mut usable = None;
    for base in own.ancestors() {
        let parent = mount.join(base).join(PARENT);
        let path = parent.join(id.to_string());
        if !create {
            if path.is_dir() {
                return Some(path);
            }
            continue;
        }
        // Asked for one by one: of several in one write, one that is missing would refuse them all.
        let enable = |group: &Path| {
            let names = ["+memory", "+cpu", "+pids"].into_iter();
            names.filter(|name| write(&group.join("cgroup.subtree_control"), name).is_ok()).count()
        };
        if v1.is_none() {
            let _ = fs::create_dir(&parent);
            let enabled = enable(&mount.join(base)).min(enable(&parent));
            if enabled == 0 && usable.is_none() && parent.is_dir() {
                usable = Some(path); // it still tracks the processes, should no group above do better
                continue;
            }
        }
        if fs::create_dir_all(&path).is_ok() {
            return Some(path);
        }
    }
    usable.filter(|path| fs::create_dir_all(path).is_ok())
}

fn write(path: &Path, value: impl Display) -> io::Result<()> {
    // Opened without creating: in a hierarchy that lacks the file, a plain directory must not grow one.
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    io::Write::write_all(&mut file, value.to_string().as_bytes())
}

fn read(group: &Path, file: &str) -> Option<String> {
    fs::read_to_string(group.join(file)).ok()
}

fn single(group: &Path, file: &str) -> Option<u64> {
    read(group, file)?.trim().parse().ok()
}

/// The value of `key` in a file of lines `key value`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

fn numbers(text: &str) -> Vec<i32> {
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::{Group, JobGroups, Limits, hierarchies, keyed, own_path};

    /// A stand-in for a v2 group, which a machine with its controllers on v1 cannot make: the files and their
    /// contents as the kernel's documentation has them (Documentation/admin-guide/cgroup-v2.rst).
    fn stand_in(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn v2(directory: &tempfile::TempDir) -> JobGroups {
        JobGroups {
            groups: vec![Group { controller: None, path: directory.path().to_owned(), limits: Vec::new() }],
        }
    }

    #[test]
    fn limits_are_written_in_the_form_of_v2_and_named_only_where_they_took() {
        let directory = stand_in(&[("memory.max", ""), ("memory.swap.max", ""), ("cpu.max", "")]);
        let took = v2(&directory).groups[0].set(Limits { cpu_cores: 2, memory_bytes: 4096 });
        assert_eq!(took, ["cgroup-v2:memory", "cgroup-v2:cpu"], "there is no pids.max");
        let written = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!((written("memory.max"), written("memory.swap.max")), ("4096".to_owned(), "0".to_owned()));
        assert_eq!(written("cpu.max"), "200000 100000");
        assert!(!directory.path().join("pids.max").exists());
    }

    #[test]
    fn a_job_is_frozen_by_v2_where_that_can_and_by_v1_otherwise() {
        let one = stand_in(&[("freezer.state", "THAWED\n")]);
        let two = stand_in(&[("cgroup.freeze", "0\n"), ("cgroup.events", "populated 1\nfrozen 0\n")]);
        let read = |directory: &tempfile::TempDir, name: &str| {
            fs::read_to_string(directory.path().join(name)).unwrap()
        };
        let mut groups = v2(&two);
        let path = one.path().to_owned();
        groups.groups.push(Group { controller: Some("freezer"), path, limits: Vec::new() });
        assert!(groups.freeze(true) && !groups.is_frozen(), "the kernel has not done it yet");
        assert_eq!(
            (read(&two, "cgroup.freeze"), read(&one, "freezer.state")),
            ("1\n".into(), "THAWED\n".into())
        );
        fs::write(two.path().join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        assert!(groups.is_frozen());
        groups.groups.remove(0);
        assert!(groups.freeze(true) && groups.is_frozen(), "by v1 alone");
        assert!(groups.freeze(false) && !groups.is_frozen());
        assert!(!JobGroups::default().freeze(true), "without a group somebody else has to");
    }

    #[test]
    fn the_accounts_of_v2_are_read() {
        let directory = stand_in(&[
            ("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n"),
            ("memory.peak", "1048576\n"),
            ("cpu.stat", "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n"),
            ("cgroup.procs", "12\n0\n7\n"),
        ]);
        let groups = v2(&directory);
        assert_eq!(groups.memory_kills(), 1);
        assert_eq!((groups.memory_peak_bytes(), groups.cpu_ms()), (Some(1_048_576), Some(1_234)));
        assert_eq!(groups.members(), [7, 12].map(nix::unistd::Pid::from_raw));
        assert!(!groups.kill_all(), "there is no cgroup.kill before Linux 5.14");
    }

    #[test]
    fn both_versions_are_found_in_a_hybrid_mount_table() {
        let mounts = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
                      cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n\
                      tmpfs /tmp tmpfs rw 0 0\n";
        let both = PathBuf::from("/sys/fs/cgroup/cpu,cpuacct");
        let expected = [
            (None, PathBuf::from("/sys/fs/cgroup/unified")),
            (Some("cpu"), both.clone()),
            (Some("cpuacct"), both),
        ];
        assert_eq!(hierarchies(mounts), expected);
    }

    #[test]
    fn our_own_group_is_read_for_each_hierarchy() {
        let text = "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/user/x:y\n";
        assert_eq!(own_path(text, Some("memory")), Path::new("a/b"));
        assert_eq!(own_path(text, Some("cpuacct")), Path::new(""));
        assert_eq!(own_path(text, None), Path::new("user/x:y"));
        assert_eq!(own_path(text, Some("pids")), Path::new(""));
    }

    #[test]
    fn a_key_is_not_mistaken_for_a_longer_one() {
        assert_eq!(keyed("oom 3\noom_kill 2\noom_group_kill 0\n", "oom_kill"), Some(2));
        assert_eq!(keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", "oom_kill"), Some(1));
        assert_eq!(keyed("oom_kill_disable 0\n", "oom_kill"), None);
    }
}
