// SPDX-License-Identifier: Apache-2.0
//! Alone: the virtual-alone ledger at work. Every few seconds the node plays what its member's jobs would have done without the others
//! ([`super::standing`]); who would run by then is served first at home, and called home from abroad ([`super::moving`]). Of the same
//! reckoning are the books by which guests of several members have their turns (`steps/turns.rs`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sta_protocol::ids::JobId;
use tokio::time::Instant;

use super::{
    StepError, moving, standing,
    turns::{self, Books},
};
use crate::{node::Node, store::moves};

/// How often it is played, at most; and no more than one part in so many of the time is spent on it.
const EVERY: Duration = Duration::from_secs(5);
const PART: u32 = 50;

/// The most jobs that wait and are looked at for those that are owed their place.
const WAITING_MAX: u32 = 10_000;
/// The most that are served before all others: those that would have begun first.
const OWED_MAX: usize = 256;

/// What was played last.
#[derive(Debug, Default)]
pub struct Shadows(Mutex<Arc<Played>>);

/// What this member's jobs that are not over would have done alone.
#[derive(Debug, Default)]
pub struct Played {
    /// When each would have begun, in milliseconds since 1970; nothing while it would wait.
    pub began_ms: BTreeMap<JobId, Option<u64>>,
    /// Those that would run by now and wait, wherever they do, the one that would have begun first first.
    pub owed: Vec<JobId>,
    /// How members stand at the beginning of the quantum under way; nothing while no job of this member waits, nor guests of several.
    pub(super) books: Books,
}

impl Shadows {
    /// As it is now.
    #[must_use]
    pub fn now(&self) -> Arc<Played> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When a job would have begun alone.
    #[must_use]
    pub fn began_ms(&self, job: JobId) -> Option<u64> {
        self.now().began_ms.get(&job).copied().flatten()
    }

    fn are(&self, played: Played) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(played);
    }
}

impl Played {
    fn of(began_ms: BTreeMap<JobId, Option<u64>>, waiting: &[JobId], books: Books) -> Self {
        let began = |job: &JobId| Some((began_ms.get(job).copied().flatten()?, *job));
        let mut owed: Vec<(u64, JobId)> = waiting.iter().filter_map(began).collect();
        owed.sort_unstable();
        owed.truncate(OWED_MAX);
        let owed = owed.into_iter().map(|(_, job)| job).collect();
        Self { began_ms, owed, books }
    }
}

/// Keeps the promise until the node stops. Where the treaty has no `sharing`, members promise each other nothing.
pub(crate) async fn keep_promise(node: Arc<Node>) {
    if node.treaty.sharing.is_none() {
        return;
    }
    let (mut pause, mut kept) = (EVERY, moving::Kept::default());
    while node.pause(pause).await {
        let begun = Instant::now();
        if let Err(error) = look(&node, &mut kept).await {
            tracing::error!(error = %error, "what this member's jobs would do alone is not known");
        }
        pause = EVERY.max(begun.elapsed() * PART);
    }
}

async fn look(node: &Arc<Node>, kept: &mut moving::Kept) -> Result<(), StepError> {
    // Most of the time nobody waits, and nothing follows from it.
    let (waiting, guests_wait) = node.store.read(|connection| {
        Ok((moves::waiting(connection, None, WAITING_MAX)?, turns::are_needed(node, connection)?))
    })?;
    if waiting.is_empty() && !guests_wait {
        node.shadows.are(Played::default());
        return Ok(());
    }
    let standings = standing::now(node).await?;
    let unfinished = standings
        .balances
        .iter()
        .flat_map(|balance| &balance.jobs)
        .filter(|job| job.home == *node.member() && job.job.finished_ms.is_none());
    let began = unfinished.map(|job| (job.id, job.alone.begin_ms)).collect();
    node.shadows.are(Played::of(began, &waiting, Books::of(&standings)));
    for site in &node.config.sites {
        // Whoever is owed its place, or has its turn now, may stand behind others in the line.
        node.wake_site(&site.id);
    }
    if waiting.is_empty() {
        return Ok(());
    }
    moving::look(node, kept).await
}
