// SPDX-License-Identifier: Apache-2.0
//! The tasks of a job, one after the other in one working directory under one set of limits: a plain job is one task, a job
//! array one for each index.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::resource::{UsageWho, getrusage};
use sta_protocol::federation::UsageSources;

use super::{
    accelerators::Accelerators,
    attempt::{Ended, Task},
    cgroup::{JobGroups, Limits},
    outputs,
    record::{JobDirectory, SpecRecord, TaskRecord},
    suspension::wait_until_wanted,
};
use crate::engines::{EngineError, Exit, Outcome, TaskEnd, Usage};

/// Runs the job to its end, whatever that is; afterwards no process of it is left.
///
/// # Errors
/// The end of a task could not be recorded; its processes are gone all the same.
pub(super) fn run(
    directory: &JobDirectory,
    spec: &SpecRecord,
    accelerators: &Accelerators,
    started_at: Timestamp,
) -> Result<Outcome, EngineError> {
    let limits = Limits { cpu_cores: spec.cpu_cores, memory_bytes: spec.memory_bytes };
    let mut groups = JobGroups::create(spec.id, limits);
    let clock = Instant::now();
    // From the steady clock, so that no two times ever disagree with the time used.
    let after = |passed: Duration| started_at.saturating_add(passed).unwrap_or(started_at);
    let mut log = if spec.is_array() { Some(directory.task_log()?) } else { None };
    let mut ends: Vec<TaskEnd> = Vec::new();
    let mut held: Option<Vec<String>> = None;
    for index in 0..spec.count {
        wait_until_wanted(directory);
        let begun = clock.elapsed();
        let Ended { exit, wall, limits } = match ends.last().and_then(|last| ends_all(&last.exit)) {
            // What was cancelled or reclaimed, or what its site fails, begins no further task.
            Some(exit) => Ended::never_begun(exit),
            None if directory.is_cancelled() => Ended::never_begun(Exit::Cancelled),
            None if directory.is_reclaimed() => Ended::never_begun(Exit::Reclaimed),
            None => Task { directory, spec, accelerators, index }.run(&mut groups),
        };
        if let Some(limits) = limits {
            held = Some(held.map_or_else(|| limits.clone(), |held| common(held, &limits)));
        }
        let (started_at, ended_at) = (after(begun), after(begun.saturating_add(wall)));
        let end = TaskEnd { index, exit, started_at, ended_at, wall_ms: ms(wall) };
        if let Some(log) = &mut log {
            let Usage { cpu_ms, memory_peak_bytes, .. } = usage(&groups, 0);
            log.append(TaskRecord { end: end.clone(), cpu_ms, memory_peak_bytes })?;
        }
        ends.push(end);
    }
    let (outputs, outputs_missing) = outputs::collect(&directory.work(), &spec.outputs);
    Ok(Outcome {
        exit: exit_of(&ends),
        started_at,
        ended_at: ends.last().map_or(started_at, |last| last.ended_at),
        usage: usage(&groups, ends.iter().map(|end| end.wall_ms).sum()),
        tasks: if spec.is_array() { ends } else { Vec::new() },
        limits_enforced: held.unwrap_or_default(),
        outputs,
        outputs_missing,
    })
}

/// How a job ends whose tasks ended so: as the first by index that did not end with code 0.
pub(super) fn exit_of(ends: &[TaskEnd]) -> Exit {
    let failed = ends.iter().find(|end| end.exit != Exit::Code(0));
    failed.map_or(Exit::Code(0), |end| end.exit.clone())
}

/// The ends of the tasks from `first` on, none of which ever began.
pub(super) fn never_begun(spec: &SpecRecord, first: u32, exit: &Exit, at: Timestamp) -> Vec<TaskEnd> {
    let end = |index| TaskEnd { index, exit: exit.clone(), started_at: at, ended_at: at, wall_ms: 0 };
    if spec.is_array() { (first..spec.count).map(end).collect() } else { Vec::new() }
}

/// How the tasks after this one end, when its end is theirs too.
fn ends_all(exit: &Exit) -> Option<Exit> {
    match exit {
        Exit::Cancelled | Exit::Reclaimed | Exit::SiteFault(_) => Some(exit.clone()),
        Exit::Code(_) | Exit::Signal(_) | Exit::TimeLimit | Exit::MemoryLimit => None,
    }
}

/// Of the limits that held so far those that held again.
fn common(held: Vec<String>, again: &[String]) -> Vec<String> {
    held.into_iter().filter(|limit| again.contains(limit)).collect()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What all tasks used so far: the groups and the kernel count on from one task to the next.
fn usage(groups: &JobGroups, wall_ms: u64) -> Usage {
    let children = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
    let cpu_of_children = || {
        let (user, system) = children.as_ref().map(|usage| (usage.user_time(), usage.system_time()))?;
        let ms = |seconds: i64, us: i64| u64::try_from(seconds * 1_000 + us / 1_000).ok();
        Some(ms(user.tv_sec(), user.tv_usec())? + ms(system.tv_sec(), system.tv_usec())?)
    };
    // Of the largest process alone, in KiB: less than the job held, and the best there is without a cgroup.
    let peak_of_children = || u64::try_from(children.as_ref()?.max_rss()).ok().map(|kib| kib * 1024);
    Usage {
        wall_ms,
        cpu_ms: groups.cpu_ms().or_else(cpu_of_children).unwrap_or(0),
        memory_peak_bytes: groups.memory_peak_bytes().or_else(peak_of_children).unwrap_or(0),
        sources: UsageSources::default(),
    }
}
