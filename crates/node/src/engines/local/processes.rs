// SPDX-License-Identifier: Apache-2.0
//! All the processes of a job together: asked to end, killed, and waited for until none is left.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{Pid, getpid},
};

use super::cgroup::JobGroups;
use crate::engines::RunId;

/// How long killed processes may take to vanish; one that hangs in the kernel longer is the site's fault.
pub(super) const VANISH_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The processes of a job, known through its cgroups or else as the descendants of its supervisor.
pub(super) struct Processes<'a> {
    groups: &'a JobGroups,
    id: RunId,
}

impl<'a> Processes<'a> {
    /// For the supervisor, before it starts the job.
    ///
    /// Without a cgroup the supervisor adopts the orphans of its job, so that they stay its descendants.
    /// With one it does not: then its only child is the job, and init reaps the orphans at once.
    pub(super) fn supervised(groups: &'a JobGroups, id: RunId) -> Self {
        if !groups.tracks() {
            // It fails on no kernel since 3.4; and then a daemon of the job is found by its environment at most.
            let _ = prctl::set_child_subreaper(true);
        }
        Self { groups, id }
    }

    /// For what is left of a job whose supervisor was lost.
    pub(super) fn left_over(groups: &'a JobGroups, id: RunId) -> Self {
        Self { groups, id }
    }

    /// Asks all of them to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Stops all of them where they are. True once none of them can go on; until then it is to be called again, because one
    /// may have begun another in the meantime.
    pub(super) fn stop(&self) -> bool {
        if self.groups.freeze(true) {
            return self.groups.is_frozen();
        }
        self.signal(Signal::SIGSTOP);
        self.members().into_iter().all(|pid| is_stopped(pid.as_raw()))
    }

    /// Lets all that were stopped go on.
    pub(super) fn go_on(&self) {
        if !self.groups.freeze(false) {
            self.signal(Signal::SIGCONT);
        }
    }

    /// Kills all that are there now, also those that were stopped.
    pub(super) fn kill(&self) {
        if !self.groups.kill_all() {
            self.signal(Signal::SIGKILL);
        }
        // A frozen process of v1 dies once it is let go, before it does anything else. Stopped ones die as they are.
        self.groups.freeze(false);
    }

    /// Kills until none is left. False when some would not vanish.
    pub(super) fn kill_to_the_last(&self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < VANISH_MAX {
            if self.members().is_empty() {
                self.groups.freeze(false); // for the next task
                return true;
            }
            self.kill();
            thread::sleep(LOOK_EVERY);
            reap_adopted(self.groups);
        }
        false
    }

    fn signal(&self, signal: Signal) {
        for pid in self.members() {
            let _ = kill(pid, signal); // it may have ended in the meantime
        }
    }

    fn members(&self) -> Vec<Pid> {
        if self.groups.tracks() {
            return self.groups.members();
        }
        let mut members = descendants(getpid());
        members.extend(marked(self.id));
        members
    }
}

/// Takes leave of adopted orphans that ended, when it is us who adopted them. To be called only after the job itself is reaped.
fn reap_adopted(groups: &JobGroups) {
    while !groups.tracks() {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            // EINVAL: one was reaped that a real-time signal had ended, which `nix` has no name for.
            Ok(status) if status.pid().is_some() => {}
            Err(Errno::EINTR | Errno::EINVAL) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// All living processes below `ancestor`, from one look at `/proc`.
fn descendants(ancestor: Pid) -> Vec<Pid> {
    let parents: Vec<(i32, i32)> = process_ids().filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut found = vec![ancestor.as_raw()];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.into_iter().skip(1).map(Pid::from_raw).collect()
}

/// The parent of a process that is not yet dead, from `/proc/PID/stat`: `pid (name) state parent ...`.
fn parent_of(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets of its own.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.next()?.parse().ok() }
}

/// Whether a process is stopped, dead or gone.
fn is_stopped(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = text.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next());
    state.is_none_or(|state| matches!(state, 'T' | 't' | 'Z' | 'X'))
}

/// Processes that carry the job's id in their environment: all that can be found without a cgroup once the supervisor is gone.
fn marked(id: RunId) -> Vec<Pid> {
    let mark = format!("STA_JOB_ID={id}");
    let carries = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|text| text.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()))
    };
    process_ids().filter(carries).map(Pid::from_raw).collect()
}

fn process_ids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}
