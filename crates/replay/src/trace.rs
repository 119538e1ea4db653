// SPDX-License-Identifier: Apache-2.0
//! What a cluster was asked for: jobs with when they came, what they wanted and how long they ran.

use std::{
    io::{self, BufRead},
    path::Path,
};

pub use crate::packed::LINE_BYTES_MAX;
use crate::{csv::Columns, packed, swf};

/// The most jobs of one trace.
pub const JOBS_MAX: usize = 50_000_000;
/// The longest that a job may say to run, in seconds: a hundred years. Longer is a mistake in the file.
const SECONDS_MAX: i64 = 100 * 366 * 86_400;

/// A job of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Its line in the file, from 1.
    pub line: u64,
    /// When it came, in seconds since the trace begins.
    pub submit_s: u64,
    /// How long it ran, in seconds.
    pub run_s: u64,
    /// How long it said it might run, in seconds; no less than it ran.
    pub estimate_s: u64,
    /// How many processors it held.
    pub processors: u32,
}

/// What a line of a trace says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// A header, or nothing.
    Comment,
    /// A job that was cancelled before it began, or of which the file does not say for how long or on how many processors it ran.
    NeverRan,
    /// A job.
    Ran(Job),
}

impl Job {
    /// A job of what a line says; the numbers are -1 where they are not known.
    pub(crate) fn of(line: u64, submit_s: u64, run_s: i64, processors: i64, estimate_s: i64) -> Line {
        let (Ok(run_s @ 1..), Ok(processors @ 1..)) = (u64::try_from(run_s), u32::try_from(processors))
        else {
            return Line::NeverRan;
        };
        // Nobody knew better than the run itself where nothing was said, and who ran longer than they said had been let.
        let estimate_s = u64::try_from(estimate_s).unwrap_or(0).max(run_s);
        Line::Ran(Self { line, submit_s, run_s, estimate_s, processors })
    }
}

/// A field as a whole number; traces also have decimals, which are rounded up.
pub(crate) fn field(text: &str, index: usize, name: &str) -> Result<i64, String> {
    let refused =
        || format!("field {index} ({name}) is `{text}`, which is no number from -1 to {SECONDS_MAX}");
    let number = match text.parse::<i64>() {
        Ok(number) => number,
        Err(_) => {
            let decimal = text.parse::<f64>().map_err(|_| refused())?.ceil();
            // Beyond this a decimal has no exact whole part, and NaN is in no range.
            if !(-1.0..=9e15).contains(&decimal) {
                return Err(refused());
            }
            decimal as i64
        }
    };
    if (-1..=SECONDS_MAX).contains(&number) { Ok(number) } else { Err(refused()) }
}

/// In which form a trace is written.
enum Format {
    Swf,
    Table(Columns),
}

impl Format {
    /// Of the first line that says something; one of a table names its columns, and is done with.
    fn of(text: &str) -> Result<(Self, Option<Line>), String> {
        if text.contains(',') {
            Ok((Self::Table(Columns::of(text)?), Some(Line::Comment)))
        } else {
            Ok((Self::Swf, None))
        }
    }

    fn job(&self, text: &str, line: u64) -> Result<Line, String> {
        match self {
            Self::Swf => swf::job(text, line),
            Self::Table(columns) => columns.job(text, line),
        }
    }
}

/// The jobs of a trace, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The jobs that ran.
    pub jobs: Vec<Job>,
    /// How many jobs of the file never ran or say not how long, or with how many processors.
    pub left_out: u64,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file is not there, or not to be read.
    #[error("it cannot be opened")]
    Open(#[source] io::Error),
    /// What the file holds is no text, or the disk failed.
    #[error("it cannot be read after line {line}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// The cause.
        source: io::Error,
    },
    /// A line that is not of the format.
    #[error("line {line}: {said}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        said: String,
    },
    /// No job in it ran.
    #[error("it has no job that ran")]
    Empty,
    /// More jobs than a replay takes.
    #[error("it has more than {JOBS_MAX} jobs")]
    TooMany,
}

impl Trace {
    /// Reads a file in the Standard Workload Format, or a table with commas that names its columns (`submit_s`, `runtime_s`,
    /// `processors`, and `estimate_s` where it is known); plain or packed with gzip.
    ///
    /// # Errors
    /// It cannot be read, a line is not of the format, or no job in it ran.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        Self::read(packed::open(path).map_err(TraceError::Open)?)
    }

    /// Reads either form.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(mut source: impl BufRead) -> Result<Self, TraceError> {
        let mut trace = Self::default();
        let (mut text, mut line, mut format) = (String::new(), 0, None);
        loop {
            let more = packed::next_line(&mut source, &mut text);
            if !more.map_err(|source| TraceError::Read { line, source })? {
                break;
            }
            line += 1;
            if text.len() > LINE_BYTES_MAX {
                let said = format!("it is longer than {LINE_BYTES_MAX} bytes: is this a trace?");
                return Err(TraceError::Line { line, said });
            }
            match read_line(&mut format, &text, line).map_err(|said| TraceError::Line { line, said })? {
                Line::Comment => {}
                Line::NeverRan => trace.left_out += 1,
                Line::Ran(_) if trace.jobs.len() == JOBS_MAX => return Err(TraceError::TooMany),
                Line::Ran(job) => trace.jobs.push(job),
            }
        }
        if trace.jobs.is_empty() {
            return Err(TraceError::Empty);
        }
        // Archives have lines out of order; those of one second stay in theirs.
        trace.jobs.sort_by_key(|job| job.submit_s);
        Ok(trace)
    }
}

/// Reads a line; the first one that says something tells the form.
fn read_line(format: &mut Option<Format>, text: &str, line: u64) -> Result<Line, String> {
    if let Some(format) = format {
        return format.job(text, line);
    }
    if text.trim().is_empty() || text.starts_with(';') {
        return Ok(Line::Comment);
    }
    let (found, done) = Format::of(text)?;
    let first = done.map_or_else(|| found.job(text, line), Ok)?;
    *format = Some(found);
    Ok(first)
}
