// SPDX-License-Identifier: Apache-2.0
//! How a job ended at an engine, and what it used.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{digest::Sha256Digest, federation::UsageSources};

/// How a job ended and what it used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// When it began; equal to `ended_at` for a job that never did.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it used.
    pub usage: Usage,
    /// How each task of a job array ended, in the order of their indices; empty for a plain job.
    pub tasks: Vec<TaskEnd>,
    /// The limits that really held, such as `network-namespace`, `cgroup-v1:memory` or `time-limit`.
    pub limits_enforced: Vec<String>,
    /// The declared outputs that are there, in the order declared.
    pub outputs: Vec<OutputFile>,
    /// The declared outputs that are not there, or are not regular files below the working directory.
    pub outputs_missing: Vec<String>,
}

/// How one task of a job array ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnd {
    /// Its index, from 0 on.
    pub index: u32,
    /// How it ended.
    pub exit: Exit,
    /// When it began; equal to `ended_at` for a task that never did.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Time from begin to end, in milliseconds.
    pub wall_ms: u64,
}

/// Why a job ended. A job array ends as the first of its tasks, by index, that did not end with code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It ended by itself with this status; 126 and 127 are a command that cannot be run or found.
    Code(i32),
    /// A signal that the engine did not send ended it.
    Signal(i32),
    /// It reached its time limit.
    TimeLimit,
    /// It reached its memory limit.
    MemoryLimit,
    /// It was cancelled, before or after it began.
    Cancelled,
    /// The site failed the job, as the sentence says; not the job's fault. This attempt is not run again.
    SiteFault(String),
    /// The site's owner needed its place. This attempt is not run again.
    Reclaimed,
}

/// What a job used, all its processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Time from begin to end, in milliseconds; of a job array the sum over its tasks.
    pub wall_ms: u64,
    /// Processor time in user and kernel mode, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that one task held at once, in bytes.
    pub memory_peak_bytes: u64,
    /// Who measured each.
    pub sources: UsageSources,
}

/// A file a job left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Its declared name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of its content.
    pub sha256: Sha256Digest,
}
