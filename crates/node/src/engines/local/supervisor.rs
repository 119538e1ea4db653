// SPDX-License-Identifier: Apache-2.0
//! The supervisor: one process per job, apart from the node, that begins the job at most once, watches it to its end and records the end.
//!
//! Crash by crash: before `started.json` the next supervisor begins the job; from there on it may have begun, so the next one
//! only clears up and records a site fault, but for the tasks of a job array whose ends are in `tasks`; after `result.json`
//! there is nothing to do.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use nix::{
    sys::stat::{Mode, umask},
    unistd::{chdir, setsid},
};

use sta_protocol::federation::UsageSources;

use super::{
    accelerators::Accelerators,
    cgroup::JobGroups,
    outputs,
    processes::Processes,
    record::{JobDirectory, SpecRecord, StartedRecord, failed},
    sandbox, suspension, tasks,
};
use crate::engines::{EngineError, Exit, Outcome, TaskEnd, Usage};

/// How long a supervisor tries for the lock: somebody may only be looking whether it is held.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);

/// Runs the supervisor of the job whose directory is `directory`; what `sta supervise DIRECTORY` calls.
///
/// To be called before any other thread is started, and so before an asynchronous runtime: a process with a second
/// thread cannot enter a user namespace. The same call serves the process that becomes the job, marked by a variable.
#[must_use]
pub fn run(directory: &Path) -> ExitCode {
    if std::env::var_os(sandbox::STAGE_VARIABLE).is_some() {
        return sandbox::enter();
    }
    match supervise(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the job's `supervisor.log`, from which the node takes it up.
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            eprintln!("sta supervise: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(path: &Path) -> Result<(), EngineError> {
    let path = fs::canonicalize(path).map_err(|source| failed("find", path, source))?;
    // The end of the node, of its terminal or of its session is not to be ours. It fails only for a leader already.
    let _ = setsid();
    umask(Mode::from_bits_truncate(0o077));
    chdir("/").map_err(|error| failed("enter", Path::new("/"), error.into()))?;
    let directory = JobDirectory::at(path);
    let Some(_lock) = take_lock(&directory)? else { return Ok(()) };
    let Some(spec) = directory.spec()? else { return Ok(()) };
    if directory.result()?.is_some() {
        return Ok(());
    }
    let outcome = match directory.started()? {
        Some(started) => clear_up(&directory, &spec, &started)?,
        None if directory.is_cancelled() => never_begun(&spec, Exit::Cancelled),
        None if directory.is_reclaimed() => never_begun(&spec, Exit::Reclaimed),
        None => begin(&directory, &spec)?,
    };
    directory.write_result(outcome.into())?;
    // After the result, in whose making its accounts were read; what a crash here leaves has no process in it.
    JobGroups::existing(spec.id).remove();
    Ok(())
}

/// The lock, held as long as it is not dropped; `None` when another supervisor has it.
fn take_lock(directory: &JobDirectory) -> Result<Option<File>, EngineError> {
    let path = directory.lock();
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|source| failed("open", &path, source))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path, source)),
            Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_WAIT_MAX => return Ok(None),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn begin(directory: &JobDirectory, spec: &SpecRecord) -> Result<Outcome, EngineError> {
    let root = directory.path().parent().unwrap_or(directory.path());
    let cancelled = || directory.is_cancelled();
    let there = spec.gpus_from..spec.gpus_from.saturating_add(spec.gpus_there);
    let wanted_no_more = || cancelled() || directory.is_reclaimed() || directory.is_suspension_asked();
    let accelerators = loop {
        // Without accelerators in hand, which others could use meanwhile.
        suspension::wait_until_wanted(directory);
        let acquired = Accelerators::acquire(root, there.clone(), spec.gpus, wanted_no_more)
            .map_err(|source| failed("lock accelerators in", root, source))?;
        match acquired {
            _any if cancelled() => return Ok(never_begun(spec, Exit::Cancelled)),
            _any if directory.is_reclaimed() => return Ok(never_begun(spec, Exit::Reclaimed)),
            _any if directory.is_suspension_asked() => {}
            Some(accelerators) => break accelerators,
            None => {
                let reason = format!("{} accelerators were not free in time", spec.gpus);
                return Ok(never_begun(spec, Exit::SiteFault(reason)));
            }
        }
    };
    // From here on the job may have begun. Were this written after, a crash between the two would run it twice.
    let started_at = Timestamp::now();
    directory.write_started(StartedRecord {
        started_at,
        supervisor_pid: std::process::id(),
        boot_id: boot_id(),
    })?;
    tasks::run(directory, spec, &accelerators, started_at)
}

/// Ends a job whose supervisor was lost, so that nothing of it is left when its end is recorded. Tasks of a job array that
/// had ended keep their ends.
fn clear_up(
    directory: &JobDirectory,
    spec: &SpecRecord,
    started: &StartedRecord,
) -> Result<Outcome, EngineError> {
    let groups = JobGroups::existing(spec.id);
    let gone = Processes::left_over(&groups, spec.id).kill_to_the_last();
    let mut reason = if started.boot_id == boot_id() {
        format!("the job's supervisor (process {}) was lost while the job ran", started.supervisor_pid)
    } else {
        "the machine was restarted while the job ran".to_owned()
    };
    if !gone {
        reason.push_str(", and processes of the job are left that cannot be killed");
    }
    let ended = directory.tasks_ended()?;
    let last = ended.last();
    // Of what the groups counted nothing is left after a restart of the machine.
    let cpu_ms = groups.cpu_ms().max(last.map(|task| task.cpu_ms)).unwrap_or(0);
    let peak = groups.memory_peak_bytes().max(last.map(|task| task.memory_peak_bytes)).unwrap_or(0);
    let all_ended = spec.is_array() && ended.len() == spec.count as usize;
    let (ends, ended_at) = lost_ends(spec, started, ended.into_iter().map(|task| task.end).collect(), reason);
    let (outputs, outputs_missing) = if all_ended {
        outputs::collect(&directory.work(), &spec.outputs)
    } else {
        (Vec::new(), spec.outputs.clone())
    };
    Ok(Outcome {
        exit: tasks::exit_of(&ends),
        started_at: started.started_at,
        ended_at,
        usage: Usage {
            wall_ms: ends.iter().map(|end| end.wall_ms).sum(),
            cpu_ms,
            memory_peak_bytes: peak,
            sources: UsageSources::default(),
        },
        tasks: if spec.is_array() { ends } else { Vec::new() },
        limits_enforced: Vec::new(), // nobody is left who knows
        outputs,
        outputs_missing,
    })
}

/// The ends of all tasks of a job that was lost: of those that had ended their own, of the others the site's fault. The first
/// of these may have run from the end of the one before it until now. With them comes the end of the job.
fn lost_ends(
    spec: &SpecRecord,
    started: &StartedRecord,
    mut ends: Vec<TaskEnd>,
    reason: String,
) -> (Vec<TaskEnd>, Timestamp) {
    let begun = ends.last().map_or(started.started_at, |last| last.ended_at);
    let Some(index) = u32::try_from(ends.len()).ok().filter(|index| *index < spec.count) else {
        return (ends, begun);
    };
    let ended_at = Timestamp::now().max(begun);
    let wall_ms = ended_at.as_millisecond().saturating_sub(begun.as_millisecond());
    let exit = Exit::SiteFault(reason);
    ends.push(TaskEnd {
        index,
        exit: exit.clone(),
        started_at: begun,
        ended_at,
        wall_ms: u64::try_from(wall_ms).unwrap_or(0),
    });
    ends.extend(tasks::never_begun(spec, index + 1, &exit, ended_at));
    (ends, ended_at)
}

fn never_begun(spec: &SpecRecord, exit: Exit) -> Outcome {
    let now = Timestamp::now();
    Outcome {
        tasks: tasks::never_begun(spec, 0, &exit, now),
        exit,
        started_at: now,
        ended_at: now,
        usage: Usage::default(),
        limits_enforced: Vec::new(),
        outputs: Vec::new(),
        outputs_missing: spec.outputs.clone(),
    }
}

/// A text that differs after every start of the machine.
fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}
