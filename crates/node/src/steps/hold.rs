// SPDX-License-Identifier: Apache-2.0
//! Hold: the host suspends a job, with its state preserved, for a reason that it records, and lets it go on when every reason is
//! released. Who decides is not decided here: the gates and the orders to stop call these functions.

use serde_json::{Value, json};
use sta_protocol::{federation::Hold, ids::JobId};

use jiff::Timestamp;

use super::{StepError, gates::admission::is_hold_of_data, run, stage};
use crate::{
    engines::Engine,
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        holds,
        hosted::{self, HostState, HostedJob},
        outbox::{self, Effect, Lane, Waiting},
    },
};

/// What came of a wish to suspend or release a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Whether the record changed: false where it was so before, where the job is over, or where this host has no such job.
    pub changed: bool,
    /// Lanes to wake ([`Node::wake`]) once the transaction is durable.
    pub lanes: Vec<Lane>,
}

impl Held {
    fn unchanged() -> Self {
        Self { changed: false, lanes: Vec::new() }
    }
}

/// Suspends a job of this host, within the caller's transaction: the reason, the entry `job.suspended`, the word to the engine
/// and the word to home become durable together. `reason` is a code, such as a rule's id; `evidence` is what the audit entry
/// keeps beside it, such as the digest of an order. The same reason again changes nothing.
///
/// # Errors
/// The store failed; nothing is written.
pub fn suspend(
    tx: &mut Tx<'_>,
    job: JobId,
    reason: &str,
    evidence: &Value,
    now: Timestamp,
) -> Result<Held, StoreError> {
    let Some(hosted) = unfinished(tx, job)? else { return Ok(Held::unchanged()) };
    let stands = !is_given(&hosted) || (hosted.held && !holds::is_to_stand(tx.connection(), job)?);
    if !holds::open(tx, job, reason, now)? {
        return Ok(Held::unchanged());
    }
    if stands {
        // Nothing of it computes: it was not given to the engine, or the engine was seen to have stopped it for another reason.
        holds::confirm(tx, job, now)?;
    }
    let payload = json!({
        "reason": reason, "attempt": hosted.attempt, "state": hosted.state.as_str(), "stands": stands, "evidence": evidence,
    });
    tx.audit(PendingEntry { kind: "job.suspended", subject: job.to_string(), payload, at: now });
    let effect = (!hosted.held).then_some(Effect::Suspend);
    tell(tx, &hosted, effect, now)
}

/// Releases one reason for which a job of this host is suspended, within the caller's transaction, in the name of `by`: the
/// entry `job.resumed` says whether the job goes on or another reason still holds it. A reason that is not open changes nothing.
///
/// # Errors
/// The store failed; nothing is written.
pub fn resume(
    tx: &mut Tx<'_>,
    job: JobId,
    reason: &str,
    by: &str,
    evidence: &Value,
    now: Timestamp,
) -> Result<Held, StoreError> {
    let Some(hosted) = unfinished(tx, job)? else { return Ok(Held::unchanged()) };
    if !holds::release(tx, job, reason, by, now)? {
        return Ok(Held::unchanged());
    }
    let holds = holds::of(tx.connection(), job)?;
    let may_move = is_hold_of_data(reason) && !holds.iter().any(stage::is_open_for_data);
    let held_still: Vec<String> = holds.into_iter().filter(Hold::is_open).map(|hold| hold.reason).collect();
    let goes_on = held_still.is_empty();
    let payload =
        json!({"reason": reason, "by": by, "goes_on": goes_on, "held_by": held_still, "evidence": evidence});
    tx.audit(PendingEntry { kind: "job.resumed", subject: job.to_string(), payload, at: now });
    let mut held = tell(tx, &hosted, goes_on.then_some(Effect::Resume), now)?;
    if may_move && hosted.state == HostState::Staging {
        let lane = Lane::Staging(hosted.site.clone());
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        outbox::put(tx, &lane, Effect::Stage, job, &hosted.offer_id.to_string(), now_ms)?;
        held.lanes.push(lane);
    }
    Ok(held)
}

/// [`suspend`] in a transaction of its own; the lanes are woken.
///
/// # Errors
/// The store failed.
pub async fn suspend_job(node: &Node, job: JobId, reason: &str, evidence: Value) -> Result<Held, StepError> {
    let (reason, now) = (reason.to_owned(), node.outside.now());
    let held = node.store.write(move |tx| suspend(tx, job, &reason, &evidence, now)).await?;
    held.lanes.iter().for_each(|lane| node.wake(lane));
    Ok(held)
}

/// [`resume`] in a transaction of its own; the lanes and the site are woken.
///
/// # Errors
/// The store failed.
pub async fn resume_job(
    node: &Node,
    job: JobId,
    reason: &str,
    by: &str,
    evidence: Value,
) -> Result<Held, StepError> {
    let (reason, by, now) = (reason.to_owned(), by.to_owned(), node.outside.now());
    let held = node.store.write(move |tx| resume(tx, job, &reason, &by, &evidence, now)).await?;
    held.lanes.iter().for_each(|lane| node.wake(lane));
    if let Some(hosted) = node.store.read(|connection| hosted::find(connection, job))? {
        // One that waits for room may start now.
        node.wake_site(&hosted.site);
    }
    Ok(held)
}

fn unfinished(tx: &Tx<'_>, job: JobId) -> Result<Option<HostedJob>, StoreError> {
    Ok(hosted::find(tx.connection(), job)?.filter(|hosted| hosted.state != HostState::Finished))
}

/// Whether the engine has the job or is being given it.
fn is_given(hosted: &HostedJob) -> bool {
    matches!(hosted.state, HostState::Starting | HostState::Running)
}

/// Puts what is to be done into the outbox. An engine that was given nothing yet needs no word: a suspended job is not started.
fn tell(tx: &Tx<'_>, hosted: &HostedJob, effect: Option<Effect>, now: Timestamp) -> Result<Held, StoreError> {
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let (job, run) = (hosted.job, hosted.run().to_string());
    let home = Lane::Peer(hosted.home.clone());
    outbox::put(tx, &home, Effect::Progress, job, &run, now_ms)?;
    let mut lanes = vec![home];
    if let Some(effect) = effect.filter(|_| is_given(hosted)) {
        let engine = Lane::Engine(hosted.site.clone());
        outbox::put(tx, &engine, effect, job, &run, now_ms)?;
        lanes.push(engine);
    }
    Ok(Held { changed: true, lanes })
}

/// Has the engine do what the record says now, whichever of the two effects this is: between them another may have been decided.
///
/// # Errors
/// The engine did not answer: it is asked again.
pub async fn carry_out(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let found = node.store.read(|connection| hosted::find(connection, waiting.job))?;
    if let Some(job) = found.filter(|job| job.state != HostState::Finished) {
        put_in_force(run::engine(node, &job.site)?, &job).await?;
        node.wake_site(&job.site);
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

/// Tells the engine what the record says.
///
/// # Errors
/// It did not answer.
pub(super) async fn put_in_force(engine: &dyn Engine, job: &HostedJob) -> Result<(), StepError> {
    let told = if job.held { engine.suspend(job.run()) } else { engine.resume(job.run()) };
    Ok(told.await?)
}

/// The engine was seen to have stopped a suspended job: from here on it is known that nothing of it computes.
///
/// # Errors
/// The store failed.
pub(super) async fn confirmed(node: &Node, job: &HostedJob) -> Result<(), StepError> {
    let (id, attempt, home, now) = (job.job, job.attempt, Lane::Peer(job.home.clone()), node.outside.now());
    let run = job.run().to_string();
    let lane = home.clone();
    let write = node.store.write(move |tx| {
        if !holds::confirm(tx, id, now)? {
            return Ok(());
        }
        let payload = json!({"attempt": attempt});
        tx.audit(PendingEntry { kind: "job.stands-still", subject: id.to_string(), payload, at: now });
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        outbox::put(tx, &home, Effect::Progress, id, &run, now_ms)
    });
    write.await?;
    node.wake(&lane);
    Ok(())
}
