// SPDX-License-Identifier: Apache-2.0
//! What a job's own script wrote of each task, in its directory: when it began, and when and how it ended.

use jiff::Timestamp;

use crate::engines::Exit;

/// What the job's own script wrote of a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stamps {
    pub(super) began: Option<Began>,
    pub(super) limit_reached: bool,
    pub(super) ended: Option<Ended>,
}

/// `began.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Began {
    pub(super) at: Timestamp,
    /// Which of several submissions of the run it was; of a task the array's number.
    pub(super) slurm_id: u64,
}

/// `ended.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) at: Timestamp,
    pub(super) how: How,
    pub(super) memory_peak_bytes: u64,
    /// Whether the site had told it to end.
    pub(super) told: bool,
    pub(super) cpu_ms: u64,
}

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Code(i32),
    Signal(i32),
    /// The script itself was hindered from seeing it.
    Unknown,
}

impl How {
    /// Whether it was ended by what Slurm ends jobs with.
    pub(super) fn is_killed(self) -> bool {
        matches!(self, Self::Signal(9 | 15))
    }

    pub(super) fn exit(self) -> Option<Exit> {
        match self {
            Self::Code(code) => Some(Exit::Code(code)),
            Self::Signal(signal) => Some(Exit::Signal(signal)),
            Self::Unknown => None,
        }
    }
}

impl Began {
    /// Nanoseconds since 1970, Slurm's number, the machine.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        Some(Self { at: nanoseconds(words.next()?)?, slurm_id: words.next()?.parse().ok()? })
    }
}

impl Ended {
    /// Nanoseconds since 1970, `code`, `signal` or `unknown`, the status, the peak of memory, `yes` when the
    /// site had told it to end, user and system time of the command.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let at = nanoseconds(words.next()?)?;
        let (how, status) = (words.next()?, words.next()?.parse().ok()?);
        let how = match how {
            "code" => How::Code(status),
            "signal" => How::Signal(status),
            "unknown" => How::Unknown,
            _other => return None,
        };
        let memory_peak_bytes = words.next()?.parse().ok()?;
        let told = words.next()? == "yes";
        let cpu_ms = words.filter_map(shell_time_ms).sum();
        Some(Self { at, how, memory_peak_bytes, told, cpu_ms })
    }
}

fn nanoseconds(text: &str) -> Option<Timestamp> {
    Timestamp::from_nanosecond(text.parse().ok()?).ok()
}

/// `1m2.340s`, as the shell's `times` writes it.
fn shell_time_ms(text: &str) -> Option<u64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let thousandths: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    Some(minutes.parse::<u64>().ok()? * 60_000 + whole.parse::<u64>().ok()? * 1_000 + thousandths)
}
