// SPDX-License-Identifier: Apache-2.0
//! Cancel: in every state, also across the border and while the peer is away. Home waits for the host's word, so nothing is cancelled twice or runs on unseen.

use jiff::Timestamp;
use sta_protocol::{
    federation::{VERSION, Withdrawal, WithdrawalAnswer},
    ids::{JobId, MemberId, TransferId},
    jws::Signed,
    refusal::RefusalCode,
};

use super::{StepError, meter, offer, run};
use crate::{
    engines::Exit,
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        hosted::{self, HostState, HostedJob},
        jobs::{self, HomeJob, HomeState},
        outbox::{self, Effect, Lane, Waiting},
    },
};

/// Asks for a job's end. A job that is over stays as it is.
///
/// # Errors
/// There is no such job, or the store failed.
pub async fn cancel(node: &Node, job: JobId) -> Result<HomeJob, StepError> {
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        let Some(mut job) = jobs::find(tx.connection(), job)? else { return Ok(None) };
        if job.state.is_final() || job.cancel_asked {
            return Ok(Some(job));
        }
        job.cancel_asked = true;
        let waited = job.state == HomeState::Waiting;
        if waited {
            // Nobody has heard of it yet: it ends here.
            (job.state, job.ended_at) = (HomeState::Cancelled, Some(now));
            for pending in [Effect::Decide, Effect::FetchSaved] {
                outbox::forget(tx, job.id, pending)?;
            }
        }
        jobs::update(tx, &job)?;
        // An offer that still waits is not sent any more; one on its way is met by the withdrawal.
        for pending in [Effect::Offer, Effect::TakeBack] {
            outbox::forget(tx, job.id, pending)?;
        }
        if let Some(host) = &job.host {
            let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
            let key = job.offer_id.map(|id| id.to_string()).unwrap_or_default();
            outbox::put(tx, &Lane::Peer(host.clone()), Effect::Withdraw, job.id, &key, now_ms)?;
        }
        let payload = serde_json::json!({"state": job.state.as_str(), "offer": job.offer_id});
        if waited {
            let payload = serde_json::json!({"state": job.state.as_str(), "offer": job.offer_id});
            tx.audit(PendingEntry { kind: "job.ended", subject: job.id.to_string(), payload, at: now });
        }
        tx.audit(PendingEntry { kind: "job.cancel-asked", subject: job.id.to_string(), payload, at: now });
        Ok(Some(job))
    });
    let unknown = || StepError::refused(RefusalCode::NotFound, node.member(), [("job", job.to_string())]);
    let job = write.await?.ok_or_else(unknown)?;
    if let Some(host) = &job.host {
        node.wake(&Lane::Peer(host.clone()));
    }
    Ok(job)
}

/// Takes the offer back at the host, and learns whether it had been admitted.
///
/// # Errors
/// The host is away: asked again, until it answers.
pub async fn withdraw(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let job = node.store.read(|connection| jobs::find(connection, waiting.job))?;
    let mut answer = WithdrawalAnswer::ReceiptFollows;
    if let Some((job, offer, host)) = job.and_then(|job| {
        let (offer, host) = (job.offer_id?, job.host.clone()?);
        (!job.state.is_final()).then_some((job, offer, host))
    }) {
        let withdrawal = Withdrawal {
            version: VERSION,
            job: job.id,
            offer,
            home: node.member().clone(),
            withdrawn_at: job.submitted_at,
        };
        let signed = Signed::sign(&withdrawal, &node.keys.signing).map_err(|error| StepError::Damaged {
            what: "withdrawal",
            job: job.id,
            problem: error.to_string(),
        })?;
        answer = if host == *node.member() {
            receive_withdrawal(node, &host, signed).await?
        } else {
            // Another key than the offer's own: the two are different requests.
            let key = uuid::Uuid::from_bytes(*job.id.as_bytes());
            node.outbound().post(&host, "/federation/v1/withdrawals", key, &signed).await?
        };
    }
    let (id, job, now) = (waiting.id, waiting.job, node.outside.now());
    let void = TransferId::new(node.outside.now_ms(), node.outside.random());
    let write = node.store.write(move |tx| {
        outbox::done(tx, id)?;
        let job = jobs::find(tx.connection(), job)?.filter(|job| !job.state.is_final());
        let (Some(mut job), WithdrawalAnswer::NeverAdmitted) = (job, answer) else { return Ok(()) };
        offer::free_hold(tx, &job, void, now)?;
        outbox::forget(tx, job.id, Effect::Offer)?;
        job.state = HomeState::Cancelled;
        job.ended_at = Some(now);
        jobs::update(tx, &job)?;
        let payload = serde_json::json!({"state": job.state.as_str(), "offer": job.offer_id});
        tx.audit(PendingEntry { kind: "job.ended", subject: job.id.to_string(), payload, at: now });
        Ok(())
    });
    Ok(write.await?)
}

/// The host takes note that an offer or job is taken back. The same withdrawal always gets the same answer.
///
/// # Errors
/// It is not the home's own, or the store failed.
pub async fn receive_withdrawal(
    node: &Node,
    from: &MemberId,
    signed: Signed<Withdrawal>,
) -> Result<WithdrawalAnswer, StepError> {
    let key = |key_id: &str| {
        node.treaty.signing_key(key_id).filter(|(member, _)| member.id == *from).map(|(_, key)| key)
    };
    let wrong = |problem: String| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", problem)])
    };
    let withdrawal = signed.verify(key).map_err(|error| wrong(error.to_string()))?;
    if withdrawal.home != *from {
        return Err(wrong("another member's job".to_owned()));
    }
    let (job, offer, home, now) = (withdrawal.job, withdrawal.offer, from.clone(), node.outside.now());
    let found = node.store.write(move |tx| {
        let hosted_job = hosted::find(tx.connection(), job)?;
        let Some(mut hosted_job) =
            hosted_job.filter(|hosted| hosted.offer_id == offer && hosted.home == home)
        else {
            // Home asks again when a crash here kept the answer from it; the log tells of it once.
            if hosted::withdraw_offer(tx, offer, job, now)? {
                let payload = serde_json::json!({"offer": offer, "home": home});
                tx.audit(PendingEntry {
                    kind: "offer.withdrawn",
                    subject: job.to_string(),
                    payload,
                    at: now,
                });
            }
            return Ok(None);
        };
        if hosted_job.state != HostState::Finished && !hosted_job.cancel_asked {
            hosted_job.cancel_asked = true;
            hosted::update(tx, &hosted_job)?;
            let payload = serde_json::json!({"offer": offer, "home": home});
            tx.audit(PendingEntry { kind: "job.withdrawn", subject: job.to_string(), payload, at: now });
            if matches!(hosted_job.state, HostState::Starting | HostState::Running) {
                let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
                let lane = Lane::Engine(hosted_job.site.clone());
                outbox::put(tx, &lane, Effect::Stop, job, &offer.to_string(), now_ms)?;
            }
        }
        Ok(Some(hosted_job))
    });
    let Some(hosted_job) = found.await? else { return Ok(WithdrawalAnswer::NeverAdmitted) };
    match hosted_job.state {
        HostState::Staging | HostState::Ready => {
            meter::finish(node, &hosted_job, run::never_ran(now, Exit::Cancelled)).await?;
        }
        HostState::Starting | HostState::Running => node.wake(&Lane::Engine(hosted_job.site)),
        HostState::Finished => {}
    }
    Ok(WithdrawalAnswer::ReceiptFollows)
}

/// The host itself ends a job that a named person has denied, within the caller's transaction: the engine is told from the
/// lane that is handed back. One that the engine was not given ends by itself.
///
/// # Errors
/// The store failed; nothing is written.
pub(super) fn end_hosted(tx: &mut Tx<'_>, job: JobId, now: Timestamp) -> Result<Option<Lane>, StoreError> {
    let unfinished = |hosted: &HostedJob| hosted.state != HostState::Finished && !hosted.cancel_asked;
    let Some(mut hosted_job) = hosted::find(tx.connection(), job)?.filter(unfinished) else {
        return Ok(None);
    };
    hosted_job.cancel_asked = true;
    hosted::update(tx, &hosted_job)?;
    if !matches!(hosted_job.state, HostState::Starting | HostState::Running) {
        return Ok(None);
    }
    let lane = Lane::Engine(hosted_job.site.clone());
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    outbox::put(tx, &lane, Effect::Stop, job, &hosted_job.offer_id.to_string(), now_ms)?;
    Ok(Some(lane))
}
