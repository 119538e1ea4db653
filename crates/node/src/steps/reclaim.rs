// SPDX-License-Identifier: Apache-2.0
//! Reclaim: the owner of a site needs its place, so a guest is given notice: it saves its work, and waits again at the same host
//! (docs/protocol.md §4). What its attempt came to is seen by the watch, like any other end.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use sta_protocol::ids::JobId;

use super::{StepError, run};
use crate::{
    engines::RunId,
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        hosted::{self, HostState, HostedJob},
        outbox::{self, Effect, Lane, Waiting},
    },
};

/// Gives a guest notice, within the caller's transaction: its state, the entry `job.reclaimed`, the word to the engine and the word
/// to home become durable together, in the lanes that are handed back. One that was given notice, was taken back by its home,
/// stands still or is over is left alone.
///
/// # Errors
/// The store failed; nothing is written.
pub(super) fn give_notice(
    tx: &mut Tx<'_>,
    guest: JobId,
    needed_for: Option<JobId>,
    grace_s: Option<u32>,
    now: Timestamp,
) -> Result<Vec<Lane>, StoreError> {
    let may_go = |job: &HostedJob| {
        let is_there = matches!(job.state, HostState::Starting | HostState::Running);
        is_there && job.notice_at.is_none() && !job.held && !job.cancel_asked
    };
    let Some(mut job) = hosted::find(tx.connection(), guest)?.filter(may_go) else { return Ok(Vec::new()) };
    job.notice_at = Some(now);
    hosted::update(tx, &job)?;
    let payload =
        json!({"attempt": job.attempt, "site": job.site, "needed_for": needed_for, "grace_s": grace_s});
    tx.audit(PendingEntry { kind: "job.reclaimed", subject: guest.to_string(), payload, at: now });
    let (run, now_ms) = (job.run().to_string(), u64::try_from(now.as_millisecond()).unwrap_or(0));
    let lanes = [Lane::Engine(job.site.clone()), Lane::Peer(job.home.clone())];
    outbox::put(tx, &lanes[0], Effect::Reclaim, guest, &run, now_ms)?;
    outbox::put(tx, &lanes[1], Effect::Progress, guest, &run, now_ms)?;
    Ok(lanes.into())
}

/// Has the engine give the attempt notice that the effect's key names, if that is under way still.
///
/// # Errors
/// The engine did not answer: it is asked again.
pub async fn carry_out(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let meant = waiting.key.parse::<RunId>().ok();
    let under_notice = |job: &HostedJob| {
        job.notice_at.is_some() && job.state != HostState::Finished && Some(job.run()) == meant
    };
    let found = node.store.read(|connection| hosted::find(connection, waiting.job))?.filter(under_notice);
    if let Some(job) = found {
        // A notice that was given is kept, also under a new treaty that knows none.
        let grace = Duration::from_secs(node.treaty.sharing.unwrap_or_default().grace_s.into());
        run::engine(node, &job.site)?.reclaim(job.run(), grace).await?;
        node.wake_site(&job.site);
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}
