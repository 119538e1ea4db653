// SPDX-License-Identifier: Apache-2.0
//! How a run ended: what Slurm says and what the job's own stamps say, put together; and how long it ran, by the better witness.

use jiff::{SignedDuration, Timestamp};
use sta_protocol::federation::{UsageSource, UsageSources};

use super::{
    queue::{Account, End, QueueRow},
    script::CANNOT_WRITE,
    stamps::{How, Stamps},
};
use crate::engines::{Exit, TaskEnd};

/// By how much Slurm's account of a task's time may exceed the job's own: Slurm counts whole seconds, and its own work at begin and
/// end, which takes seconds where a prologue looks at the node or the node is busy.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(10);
/// What the site's fault is called when a job's directory could not be written.
const FULL: &str = "the job's directory at the site could not be written: the disk or the quota of its account is full, or the directory is gone";

/// What Slurm says of an ended task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskSeen {
    pub(super) end: End,
    reason: String,
    nodes: String,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    /// When its last process was gone, where accounting knows: Slurm counts up to when the end was decided.
    gone_at: Option<Timestamp>,
    /// Code and signal, where accounting gave them.
    exit: Option<(i32, i32)>,
    cpu_ms: Option<u64>,
    memory_bytes: Option<u64>,
    /// Whose unix number asked for its end, where accounting says so.
    cancelled_by: Option<u32>,
}

impl TaskSeen {
    pub(super) fn queued(row: &QueueRow, end: End) -> Self {
        Self {
            end,
            reason: row.reason.clone(),
            nodes: row.nodes.clone(),
            started_at: row.started_at,
            ended_at: row.ended_at,
            gone_at: None,
            exit: None,
            cpu_ms: None,
            memory_bytes: None,
            cancelled_by: None,
        }
    }

    pub(super) fn accounted(account: &Account) -> Self {
        let end = match &account.state {
            super::queue::State::Ended(end) => end.clone(),
            other => End::Other(format!("{other:?}")),
        };
        Self {
            end,
            reason: String::new(),
            nodes: String::new(),
            started_at: account.started_at,
            ended_at: account.ended_at,
            gone_at: None,
            exit: None,
            cpu_ms: None,
            memory_bytes: None,
            cancelled_by: None,
        }
        .with(account)
    }

    /// The same with what accounting adds.
    pub(super) fn with(mut self, account: &Account) -> Self {
        self.gone_at = account.gone_at;
        self.exit = Some(account.exit);
        self.cpu_ms = Some(account.cpu_ms);
        self.memory_bytes = account.memory_bytes;
        self.cancelled_by = account.cancelled_by;
        if self.nodes.is_empty() {
            self.nodes.clone_from(&account.nodes);
        }
        self
    }

    /// Whether it was given nodes and cancelled there, by nobody or by root. After a crash of its controller Slurm gives the numbers
    /// of jobs that it forgot again, and a node that has run the other job takes the new one for a second copy and ends it as root,
    /// for minutes after the crash. Only where nothing of the job began does this tell it from what an operator ends.
    fn was_turned_away_by_its_node(&self) -> bool {
        !self.nodes.is_empty() && self.cancelled_by.is_none_or(|uid| uid == 0)
    }

    fn wall(&self) -> Option<SignedDuration> {
        Some(self.ended_at?.duration_since(self.started_at?))
    }
}

/// What is known of a task when it is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) seen: Option<&'a TaskSeen>,
    pub(super) stamps: &'a Stamps,
    /// The researcher asked for its end.
    pub(super) cancel: bool,
    /// It was given notice, because the site's owner needs its place.
    pub(super) notice: bool,
    /// This engine asked for its end, because it would have waited for ever.
    pub(super) doomed: Option<&'a str>,
    /// The controller was silent at some time while the task ran.
    pub(super) silent: bool,
    /// The last sign that its command lived, where nothing says when it ended.
    pub(super) alive_at: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// The end of a task with what it used and who measured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) end: TaskEnd,
    pub(super) cpu_ms: u64,
    pub(super) memory_peak_bytes: u64,
    pub(super) sources: UsageSources,
    /// Slurm could not start it, and nothing is known that would keep it from starting.
    pub(super) may_begin_again: bool,
}

impl Known<'_> {
    pub(super) fn measure(&self, index: u32) -> Measured {
        let (started_at, ended_at, wall) = self.times();
        let (seen, ended) = (self.seen, self.stamps.ended);
        let cpu = seen.and_then(|seen| seen.cpu_ms).filter(|ms| *ms > 0);
        let peak = ended.map(|ended| ended.memory_peak_bytes).filter(|bytes| *bytes > 0);
        // Slurm looks every few seconds and misses what comes and goes between; the kernel's own count does not.
        let memory = seen.and_then(|seen| seen.memory_bytes).filter(|bytes| *bytes > peak.unwrap_or(0));
        let ran = self.stamps.began.is_some() || wall == UsageSource::Scheduler;
        let source = |by_scheduler: bool, by_stamps: bool| match (by_scheduler, by_stamps) {
            (true, _) => UsageSource::Scheduler,
            (false, true) => UsageSource::JobStamps,
            (false, false) => UsageSource::NotMeasured,
        };
        let wall_ms = u64::try_from(ended_at.duration_since(started_at).as_millis()).unwrap_or(0);
        Measured {
            end: TaskEnd { index, exit: self.exit(), started_at, ended_at, wall_ms },
            cpu_ms: cpu.or(ended.map(|ended| ended.cpu_ms)).unwrap_or(0),
            memory_peak_bytes: memory.or(peak).unwrap_or(0),
            may_begin_again: self.may_begin_again(),
            sources: if ran {
                UsageSources {
                    wall,
                    cpu: source(cpu.is_some(), ended.is_some()),
                    memory: source(memory.is_some(), peak.is_some()),
                }
            } else {
                UsageSources::all(UsageSource::NotMeasured)
            },
        }
    }

    /// From when to when it ran. The job's stamps are exact, and its researcher's to write: where they claim less time than
    /// Slurm counted, Slurm's count holds, unless its controller was silent and counted up to its own return.
    fn times(&self) -> (Timestamp, Timestamp, UsageSource) {
        let began = self.stamps.began.map(|began| began.at);
        let stamped = began.zip(self.stamps.ended.map(|ended| ended.at));
        let counted = self.seen.and_then(|seen| seen.started_at.zip(seen.ended_at));
        let claimed_less = |(began, ended): (Timestamp, Timestamp)| {
            let wall = self.seen.and_then(TaskSeen::wall);
            wall.is_some_and(|wall| wall > ended.duration_since(began) + TOLERANCE)
        };
        match (stamped, counted) {
            (Some(times), None) => (times.0, times.1.max(times.0), UsageSource::JobStamps),
            (Some(times), Some(_)) if self.silent || !claimed_less(times) => {
                (times.0, times.1.max(times.0), UsageSource::JobStamps)
            }
            (_, Some((start, end))) if began.is_some() => {
                let gone = self.seen.and_then(|seen| seen.gone_at).map_or(end, |gone| gone.max(end));
                (start, gone.max(start), UsageSource::Scheduler)
            }
            (None, None) if began.is_some() => {
                let start = began.unwrap_or(self.now);
                (start, self.alive_at.map_or(start, |at| at.max(start)), UsageSource::Scheduler)
            }
            (_, counted) => {
                let at = counted.map_or(self.now, |(_, end)| end);
                (at, at, UsageSource::NotMeasured)
            }
        }
    }

    /// Whether Slurm could not even start its script, so that nothing of it ran and nothing says that it could not.
    fn may_begin_again(&self) -> bool {
        let full = matches!(self.never_began(), Exit::SiteFault(text) if text == FULL);
        let failed = |seen: &TaskSeen| match seen.end {
            End::Failed | End::NodeFailed | End::Preempted => true,
            End::Cancelled => self.silent || seen.was_turned_away_by_its_node(),
            _ => false,
        };
        self.seen.is_some_and(failed)
            && self.stamps.began.is_none()
            && !full
            && !self.cancel
            && !self.notice
            && self.doomed.is_none()
    }

    /// Whether only accounting, which comes later than the queue, can say how it ended or how long it took.
    pub(super) fn needs_accounting(&self) -> bool {
        let is_told_later = |seen: &TaskSeen| match seen.end {
            End::Failed | End::Completed => true,
            // Who asked for it.
            End::Cancelled => !self.cancel && self.doomed.is_none() && !seen.nodes.is_empty(),
            _ => false,
        };
        let never_begins = self.notice && self.stamps.began.is_none();
        let may_be_told = self.stamps.began.is_some() || self.seen.is_some_and(is_told_later);
        self.stamps.ended.is_none() && may_be_told && !never_begins
    }

    /// Whether it left because of a notice: it did not begin, or was asked to end and came to no end of its own with code 0.
    /// Who takes it back or fails it meanwhile ends it instead.
    fn has_left(&self) -> bool {
        let end = self.seen.map(|seen| &seen.end);
        let by_site = matches!(end, Some(End::NodeFailed | End::Other(_)) | None);
        match self.stamps.ended {
            _ if !self.notice => false,
            None if self.cancel => false,
            None if self.stamps.began.is_none() => true,
            None => !by_site && (self.silent || !matches!(end, Some(End::Completed | End::TimeLimit))),
            Some(ended) if self.cancel && ended.how.is_killed() => false,
            Some(ended) => ended.told && ended.how != How::Code(0) && end != Some(&End::NodeFailed),
        }
    }

    fn exit(&self) -> Exit {
        if let Some(reason) = self.doomed {
            return Exit::SiteFault(reason.to_owned());
        }
        let began = self.stamps.began.is_some();
        let ended = self.stamps.ended.map(|ended| ended.how);
        let by_itself = self
            .stamps
            .ended
            .filter(|ended| !ended.told && !ended.how.is_killed())
            .and_then(|ended| ended.how.exit());
        if self.stamps.limit_reached && began {
            return Exit::TimeLimit;
        }
        if self.has_left() {
            return Exit::Reclaimed;
        }
        let end = match self.seen.map(|seen| &seen.end) {
            Some(end) => end,
            None => return self.lost(ended),
        };
        match end {
            // What befell its allocation after its own end does not change that.
            End::NodeFailed | End::Preempted | End::Cancelled | End::TimeLimit | End::Other(_)
                if by_itself.is_some() =>
            {
                by_itself.unwrap_or(Exit::Code(0))
            }
            End::OutOfMemory if ended != Some(How::Code(0)) => Exit::MemoryLimit,
            End::TimeLimit => Exit::TimeLimit,
            End::Cancelled if self.cancel => Exit::Cancelled,
            End::NodeFailed if !began => {
                Exit::SiteFault(format!("the site's node {} failed before the job began", self.nodes()))
            }
            End::NodeFailed => {
                Exit::SiteFault(format!("the site's node {} failed while the job ran", self.nodes()))
            }
            End::Preempted => {
                Exit::SiteFault("the site took the job's place for one of higher priority".to_owned())
            }
            End::Cancelled if self.silent => self.without_end_stamp(),
            End::Cancelled => Exit::SiteFault("the site cancelled the job".to_owned()),
            End::Other(word) => Exit::SiteFault(format!("the site ended the job: {word}{}", self.reason())),
            End::Completed | End::Failed | End::OutOfMemory => match ended {
                Some(how) if self.cancel && how.is_killed() => Exit::Cancelled,
                Some(How::Code(code)) => Exit::Code(code),
                Some(How::Signal(signal)) => Exit::Signal(signal),
                Some(How::Unknown) | None if self.cancel => Exit::Cancelled,
                // The script itself ends with 0 only when the command did.
                None if began && *end == End::Completed && !self.silent => Exit::Code(0),
                Some(How::Unknown) | None if began => self.without_end_stamp(),
                Some(How::Unknown) | None => self.never_began(),
            },
        }
    }

    /// Slurm itself does not know the run any more.
    fn lost(&self, ended: Option<How>) -> Exit {
        match ended {
            Some(how) if self.cancel && how.is_killed() => Exit::Cancelled,
            Some(How::Code(code)) => Exit::Code(code),
            Some(How::Signal(signal)) => Exit::Signal(signal),
            Some(How::Unknown) | None if self.cancel => Exit::Cancelled,
            Some(How::Unknown) | None => {
                Exit::SiteFault("the site's scheduler lost the job: it does not know it any more".to_owned())
            }
        }
    }

    /// The job's script began and never wrote how it ended: its own doing, unless the controller was away meanwhile.
    fn without_end_stamp(&self) -> Exit {
        match self.seen.and_then(|seen| seen.exit) {
            _ if self.silent => {
                Exit::SiteFault("the site lost the job while its controller did not answer".to_owned())
            }
            Some((_, signal)) if signal > 0 => Exit::Signal(signal),
            Some((code, _)) if code > 0 => Exit::Code(code),
            Some(_) | None => Exit::Signal(9),
        }
    }

    fn never_began(&self) -> Exit {
        let seen = self.seen.and_then(|seen| seen.exit);
        match seen {
            // What Slurm reports when it cannot open the files of the job's streams.
            Some((0, 53) | (CANNOT_WRITE, 0)) => Exit::SiteFault(FULL.to_owned()),
            _ if self.reason().contains("RaisedSignal:53") => Exit::SiteFault(FULL.to_owned()),
            _ => Exit::SiteFault(format!(
                "the site could not start the job{}; if this goes on, its disk or quota may be full",
                self.reason()
            )),
        }
    }

    fn nodes(&self) -> &str {
        self.seen.map_or("", |seen| seen.nodes.as_str())
    }

    fn reason(&self) -> String {
        match self.seen.map(|seen| seen.reason.as_str()) {
            None | Some("" | "None") => String::new(),
            Some(reason) => format!(" ({reason})"),
        }
    }
}

#[cfg(test)]
mod tests;
