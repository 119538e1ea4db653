// SPDX-License-Identifier: Apache-2.0
//! The one attempt at running a task: put it under its limits, watch it, stop it when it must end.

use std::{
    env,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use super::{
    accelerators::Accelerators,
    capture::Capture,
    cgroup::JobGroups,
    processes::{Processes, VANISH_MAX},
    record::{JobDirectory, SpecRecord},
    sandbox::{self, Order, Report, STAGE_VARIABLE},
    suspension::Suspension,
};
use crate::engines::{Exit, Stream};

/// How often it is looked whether the job is to be cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long setting up the sandbox may take.
const SETUP_MAX: Duration = Duration::from_secs(30);

/// The least that is kept of a stream of one task, in bytes, however many tasks share the job's limit.
const TASK_LOG_BYTES_LEAST: u64 = 1 << 20;

/// One task of a job; a plain job is its own task 0.
pub(super) struct Task<'a> {
    pub(super) directory: &'a JobDirectory,
    pub(super) spec: &'a SpecRecord,
    pub(super) accelerators: &'a Accelerators,
    pub(super) index: u32,
}

/// How a task ended.
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) wall: Duration,
    /// What held it; `None` when it never began.
    pub(super) limits: Option<Vec<String>>,
}

impl Ended {
    /// The end of a task that is not to begin.
    pub(super) fn never_begun(exit: Exit) -> Self {
        Self { exit, wall: Duration::ZERO, limits: None }
    }
}

impl Task<'_> {
    /// Runs the task to its end, whatever that is; afterwards no process of it is left.
    pub(super) fn run(&self, groups: &mut JobGroups) -> Ended {
        // The groups count on from one task of a job array to the next.
        let kills_before = groups.memory_kills();
        let clock = Instant::now();
        let (ending, limits) = match self.start(groups) {
            Ok(running) => self.watch(groups, running, kills_before),
            Err(error) => (Err(format!("the job's first process could not be started: {error}")), Vec::new()),
        };
        let wall = clock.elapsed();
        let exit = match ending {
            Ok((status, stop)) => classify(status, stop, groups.memory_kills() > kills_before),
            Err(reason) => Exit::SiteFault(reason),
        };
        Ended { exit, wall, limits: Some(limits) }
    }

    fn start(&self, groups: &mut JobGroups) -> io::Result<Running> {
        let Self { directory, spec, .. } = *self;
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(SETUP_MAX))?;
        socket.set_write_timeout(Some(SETUP_MAX))?;
        let mut child = Command::new("/proc/self/exe") // found even when the program was replaced on disk meanwhile
            .args(env::args_os().skip(1))
            .env_clear()
            .env(STAGE_VARIABLE, "1")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let share = (spec.log_bytes_max / u64::from(spec.count.max(1))).max(TASK_LOG_BYTES_LEAST);
        let keep = |stream, from: Option<Box<dyn Read + Send>>| {
            let from = from.ok_or_else(|| io::Error::other("a pipe is missing"))?;
            Capture::start(from, &directory.log(self.index, stream), share.min(spec.log_bytes_max))
        };
        let captures = keep(Stream::Stdout, stdout.map(|pipe| Box::new(pipe) as _))
            .and_then(|first| Ok([first, keep(Stream::Stderr, stderr.map(|pipe| Box::new(pipe) as _))?]));
        let captures = captures.inspect_err(|_| {
            // It waits for its order and has done nothing; nobody else would take leave of it.
            let _ = child.kill();
            let _ = child.wait();
        })?;
        // It waits for the order, so it is in its groups before it does anything of the job's.
        let limits = groups.admit(Pid::from_raw(child.id().cast_signed()));
        let order = self.order(groups);
        Ok(Running { child, socket, captures, order, limits })
    }

    /// The directory of all jobs.
    fn root(&self) -> &std::path::Path {
        self.directory.path().parent().unwrap_or(self.directory.path())
    }

    fn order(&self, groups: &JobGroups) -> Order {
        let Self { directory, spec, .. } = *self;
        let own = [("PATH", spec.search_path.clone()), ("LANG", "C.UTF-8".to_owned())];
        let mut environment: Vec<(String, String)> =
            own.map(|(name, value)| (name.to_owned(), value)).to_vec();
        environment.extend(self.accelerators.environment());
        environment.extend(spec.environment.iter().cloned()); // over the above
        environment.push(("STA_JOB_ID".to_owned(), spec.id.to_string())); // over all
        if spec.is_array() {
            environment.push(("STA_TASK_INDEX".to_owned(), self.index.to_string()));
            environment.push(("STA_TASK_COUNT".to_owned(), spec.count.to_string()));
        }
        Order {
            command: spec.command.clone(),
            environment,
            work: directory.work(),
            scratch: directory.scratch(),
            checkpoint: spec.checkpoint.then(|| JobDirectory::checkpoint(self.root(), spec.id.job)),
            hidden: spec.hidden.clone(),
            network: spec.network,
            uid: spec.uid,
            address_space_bytes: (!groups.limits_memory()).then_some(spec.memory_bytes),
        }
    }

    /// Lets the task begin and stays with it until all of it is gone; with its ending come the limits that held.
    fn watch(&self, groups: &JobGroups, running: Running, kills_before: u64) -> (Ending, Vec<String>) {
        let Running { mut child, socket, captures, order, mut limits } = running;
        let processes = Processes::supervised(groups, self.spec.id);
        let (sender, statuses) = channel();
        thread::spawn(move || {
            let _ = sender.send(child.wait()); // nobody listens any more when the job could not be killed in time
        });
        let report = sandbox::send(&socket, &order).and_then(|()| read_report(socket));
        let ending = match report {
            Ok(Report::Ready(more)) => {
                limits.extend(more);
                limits.push("time-limit".to_owned());
                until_the_end(self.directory, self.spec, &processes, &statuses)
            }
            Ok(Report::Failed(reason)) => Err(format!("the sandbox could not be set up: {reason}")),
            // It went without a word, as one does that is killed because the memory limit is too small even for it.
            Err(error) if groups.memory_kills() > kills_before => {
                let status = statuses.recv_timeout(VANISH_MAX).map_err(|_| error.to_string());
                status.and_then(|status| Ok((status.map_err(|error| error.to_string())?, None)))
            }
            Err(error) => Err(format!("the sandbox could not be set up: {error}")),
        };
        let gone = processes.kill_to_the_last();
        captures.into_iter().for_each(Capture::finish);
        let ending = if gone { ending } else { Err("processes of the job cannot be killed".to_owned()) };
        (ending, limits)
    }
}

/// The job's first process, not yet in its sandbox.
struct Running {
    child: Child,
    socket: UnixStream,
    captures: [Capture; 2],
    order: Order,
    limits: Vec<String>,
}

/// Why the engine ends a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Cancelled,
    TimeLimit,
    Reclaimed,
}

/// A job that was asked to end.
#[derive(Debug, Clone, Copy)]
struct Stopping {
    why: Stop,
    since: Instant,
    /// How long it has until it is killed.
    grace: Duration,
}

type Ending = Result<(ExitStatus, Option<Stop>), String>;

fn read_report(mut socket: UnixStream) -> io::Result<Report> {
    let mut text = Vec::new();
    // To the end, which comes when the process has become the job: its copy of the socket closes on exec.
    socket.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn until_the_end(
    directory: &JobDirectory,
    spec: &SpecRecord,
    processes: &Processes<'_>,
    statuses: &Receiver<io::Result<ExitStatus>>,
) -> Ending {
    let begun = Instant::now();
    let limit = Duration::from_millis(spec.time_limit_ms);
    let mut stopping: Option<Stopping> = None;
    let mut suspension = Suspension::of(directory, processes);
    loop {
        let ran = begun.elapsed().saturating_sub(suspension.time());
        match statuses.recv_timeout(LOOK_EVERY.min(limit.saturating_sub(ran).max(Duration::from_millis(1)))) {
            Ok(Ok(status)) => return Ok((status, stopping.map(|stopping| stopping.why))),
            Ok(Err(error)) => return Err(format!("the job's end could not be learnt: {error}")),
            Err(RecvTimeoutError::Disconnected) => return Err("the job's end could not be learnt".to_owned()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        // A notice is all that something else may come over: the job is still computing.
        if stopping.is_none_or(|stopping| stopping.why == Stop::Reclaimed) {
            if !directory.is_cancelled() {
                suspension.follow();
            }
            let is_over = begun.elapsed().saturating_sub(suspension.time()) >= limit;
            let wanted = wish(directory, spec, suspension.is_on(), is_over);
            if wanted.map(|(why, _)| why) != stopping.map(|stopping| stopping.why) {
                stopping = wanted.map(|(why, grace)| Stopping { why, since: Instant::now(), grace });
                match stopping {
                    None => {}
                    // A grace period would let it go on, which somebody has forbidden.
                    Some(_) if suspension.is_on() => processes.kill(),
                    Some(_) => processes.terminate(),
                }
            }
        }
        if let Some(Stopping { since, grace, .. }) = stopping {
            if since.elapsed() >= grace.saturating_add(VANISH_MAX) {
                return Err("the job's first process cannot be killed".to_owned());
            }
            if since.elapsed() >= grace {
                processes.kill();
            }
        }
    }
}

/// Why a task is to end now, and how long it has for that. One that stands still keeps its place, whoever needs it.
fn wish(
    directory: &JobDirectory,
    spec: &SpecRecord,
    is_suspended: bool,
    is_over: bool,
) -> Option<(Stop, Duration)> {
    let grace = Duration::from_millis(spec.grace_ms);
    if directory.is_cancelled() {
        return Some((Stop::Cancelled, grace));
    }
    if is_over {
        return Some((Stop::TimeLimit, grace));
    }
    let notice = directory.notice().ok().flatten().filter(|_| !is_suspended);
    notice.map(|notice| (Stop::Reclaimed, Duration::from_millis(notice.grace_ms)))
}

fn classify(status: ExitStatus, stop: Option<Stop>, ran_out_of_memory: bool) -> Exit {
    match stop {
        Some(Stop::Cancelled) => Exit::Cancelled,
        Some(Stop::TimeLimit) => Exit::TimeLimit,
        // It came to its end before it had to leave.
        Some(Stop::Reclaimed) if status.success() => Exit::Code(0),
        Some(Stop::Reclaimed) => Exit::Reclaimed,
        // The kernel may have killed a child, whose parent then failed with a code of its own.
        None if ran_out_of_memory && !status.success() => Exit::MemoryLimit,
        None => match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::SiteFault(format!("the system reported an end of no known kind: {status}")),
        },
    }
}
