// SPDX-License-Identifier: Apache-2.0
//! A job's way through this node, one file a step. This page is the table of contents.
//!
//! ```text
//! home   submit ─ (wait) ─ identity ─ place ─► offer ─► settle ─► fetch              cancel
//! host                                   admit ─► stage ─► watch, run ─► meter       release, deliver, hold
//!                                                              └ retry, reclaim ┘
//! ```
//!
//! Every step has three beats: read the facts, decide (pure, in `sta_decide`), record. State, audit entry and outgoing
//! work are one transaction; effects come from the outbox afterwards, each with an idempotency key.

use sta_decide::verdict::Refusals;
use sta_protocol::{
    ids::{JobId, MemberId},
    refusal::{Refusal, RefusalCode},
};

use crate::{
    engines::EngineError,
    node::Node,
    peers::outbound::CallError,
    store::{
        StoreError,
        blobs::BlobError,
        outbox::{Effect, Waiting},
    },
};

pub mod admit;
pub mod alone;
pub mod arrive;
pub mod cancel;
pub mod deliver;
pub mod disk;
pub mod dossier;
pub mod fetch;
pub mod gate_hold;
pub mod gates;
pub mod hand_back;
pub mod hold;
pub mod identity;
pub mod incident;
pub mod meter;
pub mod moving;
pub mod offer;
pub mod place;
mod preserved;
pub mod reclaim;
pub mod registry;
pub mod release;
pub mod retry;
pub mod run;
pub mod settle;
pub mod stage;
pub mod standing;
pub mod stop_order;
pub mod submit;
pub mod training;
pub mod transfer;
mod turns;
pub mod wait;
mod want;
pub mod watch;

/// Why a step could not be made. A lawful no of a decision is a [`sta_decide::verdict::Verdict`]; here it comes only
/// from the doors, where somebody asked for something they may not have.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The answer is no, and why.
    #[error("refused: {}", .0.rules().collect::<Vec<_>>().join(", "))]
    Refused(Refusals),
    /// The store failed; nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The engine failed; what it did is looked up before the next attempt.
    #[error("the engine failed")]
    Engine(#[from] EngineError),
    /// A peer did not do what was asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Every piece was as its holder signed it, and the whole is another file.
    #[error("`{holder}` holds another file than was announced: {source}")]
    HolderWrong {
        /// Who sent it.
        holder: MemberId,
        /// What was announced, and what came.
        source: BlobError,
    },
    /// The disk has no room for a file now.
    #[error(
        "the disk has no room: {needed} bytes are needed, {free} are free, of which {promised} are promised to other files and {free_min} stay free (disk.bytes_free_min); waiting for room"
    )]
    NoRoom {
        /// What the file still needs, in bytes.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
        /// What is promised to other files that come in, in bytes.
        promised: u64,
        /// What stays free, in bytes.
        free_min: u64,
    },
    /// A stored document does not hold what it held when it was checked.
    #[error("the stored {what} of job {job} does not read: {problem}")]
    Damaged {
        /// Which document.
        what: &'static str,
        /// Of which job.
        job: JobId,
        /// How it fails.
        problem: String,
    },
}

impl StepError {
    /// One refusal of the fixed list.
    pub(crate) fn refused<const N: usize>(
        code: RefusalCode,
        by: &MemberId,
        facts: [(&str, String); N],
    ) -> Self {
        Self::Refused(Refusals::one(Refusal::new(code, by, facts)))
    }
}

impl From<Refusals> for StepError {
    fn from(refusals: Refusals) -> Self {
        Self::Refused(refusals)
    }
}

/// Carries out one effect of the outbox: the one place that says which step each leads to.
///
/// # Errors
/// It did not happen, or nobody knows whether it did: it stays in the outbox and is tried again.
pub async fn carry_out(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    match waiting.effect {
        Effect::Decide => wait::decide(node, waiting).await,
        Effect::Offer => offer::send(node, waiting).await,
        Effect::Withdraw => cancel::withdraw(node, waiting).await,
        Effect::TakeBack => moving::take_back(node, waiting).await,
        Effect::FetchSaved => moving::fetch_saved(node, waiting).await,
        Effect::Fetch => fetch::fetch_outputs(node, waiting).await,
        Effect::Stage => stage::stage(node, waiting).await,
        Effect::Start => run::start(node, waiting).await,
        Effect::Stop => run::stop(node, waiting).await,
        Effect::Reclaim => reclaim::carry_out(node, waiting).await,
        Effect::HandBack => hand_back::carry_out(node, waiting).await,
        Effect::Suspend | Effect::Resume => hold::carry_out(node, waiting).await,
        Effect::Wipe => meter::wipe(node, waiting).await,
        Effect::Progress => run::report_progress(node, waiting).await,
        Effect::Receipt => settle::send_receipt(node, waiting).await,
        Effect::StopOrder | Effect::StopLift | Effect::StopAcknowledgement => {
            stop_order::send(node, waiting).await
        }
    }
}
