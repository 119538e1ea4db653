// SPDX-License-Identifier: Apache-2.0
//! Hand back: home takes a job back that waits here, to have it go on elsewhere. The host ends its part with a last receipt, and gives
//! what the job has saved with it where its rules let that leave.

use jiff::Timestamp;
use serde_json::json;
use sta_protocol::{
    federation::VERSION,
    ids::MemberId,
    jws::Signed,
    refusal::{Refusal, RefusalCode},
    take_back::{SavedWork, TakeBack, TakeBackAnswer},
};

use super::{StepError, meter, run, stage};
use crate::{
    engines::{EngineError, RunId},
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        blobs::hash_file,
        hosted::{self, HostState, HostedJob},
        outbox::{self, Effect, Lane, Waiting},
    },
    worker::beside,
};

/// Answers home, which asks for a job. One that waits does not begin from here on; one that has begun stays.
///
/// # Errors
/// The question is not the home's own, this node has no such job of it, or the store failed.
pub async fn receive_take_back(
    node: &Node,
    from: &MemberId,
    signed: Signed<TakeBack>,
) -> Result<TakeBackAnswer, StepError> {
    let asked = read(node, from, &signed)?;
    let unknown =
        || StepError::refused(RefusalCode::NotFound, node.member(), [("job", asked.job.to_string())]);
    let is_meant = |job: &HostedJob| job.home == *from && job.offer_id == asked.offer;
    let found = node.store.read(|connection| hosted::find(connection, asked.job))?.filter(is_meant);
    let job = found.ok_or_else(unknown)?;
    if waits(&job) {
        let reasons = kept_by(node, &job)?;
        if !reasons.is_empty() {
            return Ok(TakeBackAnswer::Stays(reasons));
        }
    }
    let (offer, now) = (job.offer_id, node.outside.now());
    let write = node.store.write(move |tx| give(tx, &job, now));
    let Some(job) = write.await? else { return Ok(TakeBackAnswer::Begun) };
    tracing::debug!(job = %job.job, %offer, "home takes a job back");
    node.wake(&Lane::Engine(job.site));
    Ok(TakeBackAnswer::Taken)
}

fn read(node: &Node, from: &MemberId, signed: &Signed<TakeBack>) -> Result<TakeBack, StepError> {
    let key = |key_id: &str| {
        node.treaty.signing_key(key_id).filter(|(member, _)| member.id == *from).map(|(_, key)| key)
    };
    let wrong = |problem: String| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", problem)])
    };
    let asked = signed.verify(key).map_err(|error| wrong(error.to_string()))?;
    if asked.version != VERSION || asked.home != *from {
        return Err(wrong("it is another member's, or of another version".to_owned()));
    }
    Ok(asked.into_inner())
}

/// Whether nothing of the job is under way, and no person or order has it stand still here.
fn waits(job: &HostedJob) -> bool {
    matches!(job.state, HostState::Staging | HostState::Ready) && !job.held && !job.cancel_asked
}

/// Why what the job has saved here may not leave; nothing where it has saved nothing here. What trains weights holds them: they leave
/// through their own gate alone, which a checkpoint cannot be shown to.
fn kept_by(node: &Node, job: &HostedJob) -> Result<Vec<Refusal>, StepError> {
    let offer = stage::offer_of(job)?;
    if offer.spec.checkpoint.is_none() || job.attempt == offer.attempt {
        return Ok(Vec::new());
    }
    let missing =
        || StepError::refused(RefusalCode::OfferNotForUs, node.member(), [("site.id", job.site.to_string())]);
    let (site, _) = node.own_site(&job.site).ok_or_else(missing)?;
    let name = SavedWork::name(job.attempt);
    let (class, mut reasons) = meter::export_decision(node, &offer, site, &name, None);
    if !offer.spec.outputs_weights.is_empty() || offer.spec.training.is_some() {
        let facts = [("output", name), ("class", class.to_string())];
        reasons.push(Refusal::new(RefusalCode::OutputHeld, node.member(), facts));
    }
    Ok(reasons)
}

/// From here on the job does not begin; what it has saved is packed, and its last receipt written, from the outbox. None where it
/// has begun in the meantime.
fn give(tx: &mut Tx<'_>, asked: &HostedJob, now: Timestamp) -> Result<Option<HostedJob>, StoreError> {
    let same = |job: &HostedJob| job.offer_id == asked.offer_id;
    let Some(mut job) = hosted::find(tx.connection(), asked.job)?.filter(same) else { return Ok(None) };
    if was_given(tx, &job)? {
        return Ok(Some(job));
    }
    if !waits(&job) {
        return Ok(None);
    }
    job.cancel_asked = true;
    hosted::update(tx, &job)?;
    let payload = json!({"offer": job.offer_id, "home": job.home, "site": job.site, "attempt": job.attempt});
    tx.audit(PendingEntry { kind: "job.handed-back", subject: job.job.to_string(), payload, at: now });
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let lane = Lane::Engine(job.site.clone());
    outbox::put(tx, &lane, Effect::HandBack, job.job, &job.run().to_string(), now_ms)?;
    Ok(Some(job))
}

/// Whether it was given before, to the same question or an earlier one. One that ended here in any other way was not.
fn was_given(tx: &Tx<'_>, job: &HostedJob) -> Result<bool, StoreError> {
    let is_being_given = outbox::is_waiting(tx.connection(), job.job, Effect::HandBack)?;
    let receipt = job.receipt.as_ref().and_then(|receipt| receipt.peek_unverified().ok());
    Ok(is_being_given || receipt.is_some_and(|receipt| receipt.handed_back))
}

/// Packs what the job has saved, and ends it here.
///
/// # Errors
/// The engine or the disk failed: tried again.
pub async fn carry_out(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let given =
        |job: &HostedJob| job.cancel_asked && matches!(job.state, HostState::Staging | HostState::Ready);
    if let Some(job) = node.store.read(|connection| hosted::find(connection, waiting.job))?.filter(given) {
        let saved = match pack(node, &job).await {
            Err(StepError::Engine(error @ EngineError::Unpackable { .. })) => {
                return keep(node, waiting, &error.to_string()).await;
            }
            packed => packed?,
        };
        meter::hand_back(node, &job, saved).await?;
        let ended = |job: HostedJob| job.state == HostState::Finished;
        if !node.store.read(|connection| hosted::find(connection, waiting.job))?.is_some_and(ended) {
            return keep(node, waiting, "it is to stand still here").await;
        }
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

/// What the job has saved cannot leave: it goes on here, and home learns of it when it does.
async fn keep(node: &Node, waiting: &Waiting, reason: &str) -> Result<(), StepError> {
    tracing::warn!(job = %waiting.job, reason, "a job stays that home has asked for");
    let (id, job, now, reason) = (waiting.id, waiting.job, node.outside.now(), reason.to_owned());
    let write = node.store.write(move |tx| {
        outbox::done(tx, id)?;
        let waits = |job: &HostedJob| matches!(job.state, HostState::Staging | HostState::Ready);
        let Some(mut job) = hosted::find(tx.connection(), job)?.filter(waits) else { return Ok(None) };
        job.cancel_asked = false;
        hosted::update(tx, &job)?;
        let payload = json!({"site": job.site, "reason": reason});
        tx.audit(PendingEntry { kind: "job.stays", subject: job.job.to_string(), payload, at: now });
        Ok(Some(job.site))
    });
    if let Some(site) = write.await? {
        node.wake_site(&site);
    }
    Ok(())
}

/// What the attempts here have saved, as a file of this node; nothing where none ran here, or they saved nothing.
async fn pack(node: &Node, job: &HostedJob) -> Result<Option<SavedWork>, StepError> {
    let offer = stage::offer_of(job)?;
    if offer.spec.checkpoint.is_none() || job.attempt == offer.attempt {
        return Ok(None);
    }
    let last = RunId { attempt: job.attempt - 1, ..job.run() };
    let packed = match run::engine(node, &job.site)?.pack_checkpoint(last).await {
        Ok(packed) => packed,
        // An attempt that never came to the engine saved nothing.
        Err(EngineError::Unknown { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(path) = packed else { return Ok(None) };
    // However small: it is read twice.
    let hashed = path.clone();
    let (sha256, bytes) = beside(u64::MAX, move || hash_file(&hashed)).await?;
    let (blobs, turn) = (node.blobs.clone(), node.blobs.turn(sha256).await);
    let (adopted, _turn) = beside(u64::MAX, move || (blobs.adopt(&path, sha256), turn)).await;
    adopted?;
    let records = meter::records(node, &offer);
    let class = sta_decide::facts::class_of(&offer.spec, &records.iter().collect::<Vec<_>>());
    Ok(Some(SavedWork { sha256, bytes, class }))
}
