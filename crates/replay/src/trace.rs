// SPDX-License-Identifier: Apache-2.0
//! What a cluster was asked for: jobs with when they came, what they wanted and how long they ran.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use crate::swf;

/// The most jobs of one trace.
pub const JOBS_MAX: usize = 50_000_000;
/// The longest line of a trace, in bytes.
pub const LINE_BYTES_MAX: usize = 4096;

/// A job of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Its number in the trace.
    pub id: u64,
    /// When it came, in seconds since the trace begins.
    pub submit_s: u64,
    /// How long it ran, in seconds.
    pub run_s: u64,
    /// How long it said it might run, in seconds; no less than it ran.
    pub estimate_s: u64,
    /// How many processors it held.
    pub processors: u32,
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
    /// Reads a file in the Standard Workload Format, plain or packed with gzip.
    ///
    /// # Errors
    /// It cannot be read, a line is not of the format, or no job in it ran.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(TraceError::Open)?);
        // The two bytes that every gzip file begins with (RFC 1952, section 2.3.1).
        if file.fill_buf().map_err(TraceError::Open)?.starts_with(&[0x1f, 0x8b]) {
            Self::read(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(file)))
        } else {
            Self::read(file)
        }
    }

    /// Reads the Standard Workload Format.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(mut source: impl BufRead) -> Result<Self, TraceError> {
        let mut trace = Self::default();
        let (mut text, mut line) = (String::new(), 0);
        loop {
            text.clear();
            let limit = LINE_BYTES_MAX as u64 + 1;
            let read = source.by_ref().take(limit).read_line(&mut text);
            if read.map_err(|source| TraceError::Read { line, source })? == 0 {
                break;
            }
            line += 1;
            if text.len() > LINE_BYTES_MAX {
                let said = format!("it is longer than {LINE_BYTES_MAX} bytes: is this a trace?");
                return Err(TraceError::Line { line, said });
            }
            match swf::job(&text).map_err(|said| TraceError::Line { line, said })? {
                swf::Line::Comment => {}
                swf::Line::NeverRan => trace.left_out += 1,
                swf::Line::Ran(_) if trace.jobs.len() == JOBS_MAX => return Err(TraceError::TooMany),
                swf::Line::Ran(job) => trace.jobs.push(job),
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
