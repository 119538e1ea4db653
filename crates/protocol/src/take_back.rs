// SPDX-License-Identifier: Apache-2.0
//! Home takes back a job that waits at a host, to have it go on elsewhere: what it asks, what it is answered, and what of the job's
//! work comes with it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    class::Class,
    digest::Sha256Digest,
    ids::{JobId, MemberId, OfferId},
    jws::Document,
    refusal::Refusal,
};

/// The home node takes a job back, if nothing of it is under way. Unlike a withdrawal this ends no attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeBack {
    /// Wire version.
    pub version: u8,
    /// The job.
    pub job: JobId,
    /// The offer under which the host has it.
    pub offer: OfferId,
    /// The member that takes it back.
    pub home: MemberId,
    /// When.
    pub asked_at: Timestamp,
}

/// What the host answers. The same question may be answered otherwise later, for the job may have begun by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakeBackAnswer {
    /// It does not begin here any more, or is over: the last receipt follows or has been sent.
    Taken,
    /// It has begun, is about to, or is to stand still: it stays, and its admission holds.
    Begun,
    /// What it has saved may not leave, for these reasons, and it goes on from that here alone: it stays, and its admission holds.
    Stays(Vec<Refusal>),
}

/// What a job has saved of its work, in one file: a tar archive in the form of GNU tar, of its checkpoint directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedWork {
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// The strictest class of the job's inputs.
    pub class: Class,
}

impl SavedWork {
    /// Under which name the host serves what the attempts before this one have saved, as an output of the job.
    #[must_use]
    pub fn name(attempt: u32) -> String {
        format!(".sta-checkpoint-{attempt}.tar")
    }
}

impl Document for TakeBack {
    const TYP: &'static str = "sta-take-back+jws";
}
