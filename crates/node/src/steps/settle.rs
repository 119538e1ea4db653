// SPDX-License-Identifier: Apache-2.0
//! Settle: the receipt goes home, credits are posted from what was set aside, and both ledgers come to the same statement.

use serde::{Deserialize, Serialize};
use sta_audit::{merkle::inclusion_proof, note::SignedNote, proof::Proof};
use sta_decide::settle::{period_of, statement as compute_statement, statement_line};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{Admission, Exit, Receipt, Statement, VERSION},
    ids::{IncidentId, JobId, MemberId, StopOrderId, TransferId},
    jws::{JwsError, Signed, Verified},
    refusal::RefusalCode,
};

use super::{StepError, moving, offer};
use crate::{
    node::Node,
    store::{
        StoreError, Tx, audit,
        audit::PendingEntry,
        hosted,
        jobs::{self, HomeJob, HomeState},
        ledger::{self, Transfer},
        moves,
        outbox::{self, Effect, Lane, Waiting},
        reclaims::{self, Notices, RECLAIMS_MAX},
    },
};

/// A receipt on its way home, with the consent under which the job ran: home may never have seen that answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptDelivery {
    /// The account.
    pub receipt: Signed<Receipt>,
    /// The consent.
    pub admission: Signed<Admission>,
}

/// Sends a receipt home, the one that the effect's key names; to this node itself too.
///
/// # Errors
/// Home is away: sent again later; receipts queue up and arrive once.
pub async fn send_receipt(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let job = node.store.read(|connection| hosted::find(connection, waiting.job))?;
    let kept = match waiting.key.parse() {
        Ok(id) => node.store.read(|connection| ledger::receipt(connection, id))?,
        Err(_) => None,
    };
    if let Some((job, receipt)) = job.zip(kept) {
        let delivery = ReceiptDelivery { receipt, admission: job.admission.clone() };
        if job.home == *node.member() {
            receive_receipt(node, &job.home, delivery).await?;
        } else {
            let key = waiting.key.parse().unwrap_or_else(|_| uuid::Uuid::from_bytes(*job.job.as_bytes()));
            node.outbound().tell(&job.home, "/federation/v1/receipts", key, &delivery).await?;
        }
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

/// Home takes a receipt, of an attempt after which the job goes on, or of the last.
///
/// # Errors
/// The receipt is not the host's, not under an admission of this job, or above what was reserved.
pub async fn receive_receipt(
    node: &Node,
    from: &MemberId,
    delivery: ReceiptDelivery,
) -> Result<(), StepError> {
    if is_known(node, &delivery)? {
        return Ok(());
    }
    let receipt = check(node, from, &delivery)?;
    if receipt.goes_on {
        return receive_attempt(node, receipt, delivery).await;
    }
    settle(node, from, receipt, delivery).await
}

/// Whether this very receipt is kept: its answer was lost. The job may be elsewhere by now, under another offer.
fn is_known(node: &Node, delivery: &ReceiptDelivery) -> Result<bool, StepError> {
    let Ok(receipt) = delivery.receipt.peek_unverified() else { return Ok(false) };
    let (kept, job) = node.store.read(|connection| {
        Ok((ledger::receipt(connection, receipt.receipt)?, jobs::find(connection, receipt.job)?))
    })?;
    // A node's own receipt is kept as its host before it comes here as its home.
    let is_taken = |job: &HomeJob| job.state.is_final() || job.attempt > receipt.attempt;
    let is_past = receipt.host != *node.member() || job.as_ref().is_some_and(is_taken);
    Ok(is_past && kept.is_some_and(|kept| kept.digest() == delivery.receipt.digest()))
}

/// The attempt's receipt is kept and the job waits for its next attempt; what was set aside for it stays so.
async fn receive_attempt(
    node: &Node,
    receipt: Verified<Receipt>,
    delivery: ReceiptDelivery,
) -> Result<(), StepError> {
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        let next = |job: &HomeJob| !job.state.is_final() && job.attempt == receipt.attempt;
        let Some(mut job) = jobs::find(tx.connection(), receipt.job)?.filter(next) else {
            return Ok(());
        };
        job.consented(tx, delivery.admission, now)?;
        let line = statement_line(&receipt, sta_decide::admit::task_resources(&job.spec));
        ledger::keep_receipt(tx, &receipt, &delivery.receipt, &period_of(receipt.ended_at), &line)?;
        (job.state, job.attempt, job.started_at) = (HomeState::Admitted, receipt.attempt + 1, None);
        jobs::update(tx, &job)?;
        let reclaimed = reclaims::at_home(tx.connection(), job.id)?.reclaimed;
        let reclaimed = reclaimed + u32::from(receipt.exit == Exit::Reclaimed);
        reclaims::note_at_home(tx, job.id, Notices { notice_at: None, reclaimed })?;
        outbox::forget(tx, job.id, Effect::Offer)?;
        // It ran after all; whether it is to go on elsewhere is another question from here on.
        moves::asks_no_more(tx, job.id)?;
        let payload = serde_json::json!({"receipt": delivery.receipt.digest(), "exit": receipt.exit, "attempt": receipt.attempt});
        tx.audit(PendingEntry { kind: "job.attempt-ended", subject: job.id.to_string(), payload, at: now });
        Ok(())
    });
    Ok(write.await?)
}

/// Job, ledger, statement line, audit entry and the fetching of outputs are one record.
async fn settle(
    node: &Node,
    from: &MemberId,
    receipt: Verified<Receipt>,
    delivery: ReceiptDelivery,
) -> Result<(), StepError> {
    let (now, member) = (node.outside.now(), node.member().clone());
    let transfer = TransferId::new(node.outside.now_ms(), node.outside.random());
    let lane = Lane::Peer(from.clone());
    let fetch_lane = lane.clone();
    let write = node.store.write(move |tx| {
        let Some(mut job) = jobs::find(tx.connection(), receipt.job)?.filter(|job| !job.state.is_final()) else {
            return Ok(());
        };
        job.consented(tx, delivery.admission, now)?;
        post_credits(tx, &job, &receipt, transfer, now)?;
        let granted = sta_decide::admit::task_resources(&job.spec);
        let line = statement_line(&receipt, granted);
        ledger::keep_receipt(tx, &receipt, &delivery.receipt, &period_of(receipt.ended_at), &line)?;
        if moving::comes_back(&job, &receipt) {
            return moving::came_back(tx, job, &receipt, now);
        }
        job.state = final_state(&receipt.exit);
        (job.started_at, job.ended_at) = (receipt.started_at, Some(receipt.ended_at));
        (job.attempt, job.receipt) = (receipt.attempt, Some(delivery.receipt.clone()));
        jobs::update(tx, &job)?;
        for pending in [Effect::Offer, Effect::Withdraw] {
            outbox::forget(tx, job.id, pending)?;
        }
        let payload = serde_json::json!({"receipt": delivery.receipt.digest(), "state": job.state.as_str(), "price_micro": receipt.price_micro});
        tx.audit(PendingEntry { kind: "job.settled", subject: job.id.to_string(), payload, at: now });
        let abroad = receipt.host != member && receipt.outputs.iter().any(|output| output.held_by.is_empty());
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        if abroad { outbox::put(tx, &fetch_lane, Effect::Fetch, job.id, &job.id.to_string(), now_ms) } else { Ok(()) }
    });
    write.await?;
    node.wake(&lane);
    node.wake(&Lane::Home);
    node.wake_disk();
    Ok(())
}

/// Whether receipt and admission are the host's own, fit each other and this node's job.
fn check(node: &Node, from: &MemberId, delivery: &ReceiptDelivery) -> Result<Verified<Receipt>, StepError> {
    let wrong = |problem: String| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", problem)])
    };
    let key = |key_id: &str| {
        node.treaty.signing_key(key_id).filter(|(member, _)| member.id == *from).map(|(_, key)| key)
    };
    let receipt = delivery.receipt.verify(key).map_err(|error| wrong(error.to_string()))?;
    if receipt.version != VERSION || receipt.host != *from || receipt.home != *node.member() {
        return Err(wrong("the receipt is between other members".to_owned()));
    }
    if receipt.admission_digest != delivery.admission.digest() {
        return Err(wrong("the receipt is for another admission".to_owned()));
    }
    let job = node.store.read(|connection| jobs::find(connection, receipt.job))?;
    let job = job.ok_or_else(|| {
        StepError::refused(RefusalCode::NotFound, node.member(), [("job", receipt.job.to_string())])
    })?;
    offer::check_admission(node, &job, from, &delivery.admission)
        .map_err(|refusal| StepError::Refused(sta_decide::verdict::Refusals::one(refusal)))?;
    let ceiling = delivery.admission.verify(key).map_err(|error| wrong(error.to_string()))?.price_micro_max;
    if !job.state.is_final() && receipt.attempt != job.attempt {
        return Err(wrong(format!("attempt {} is not under way, but {}", receipt.attempt, job.attempt)));
    }
    // What it cost at another host was paid for when it left there.
    let first_attempt = job.first_attempt().map_err(|error| wrong(error.to_string()))?;
    let (charged, reclaimed) = node.store.read(|connection| {
        let charged = ledger::charged_between(connection, receipt.job, first_attempt, receipt.attempt)?;
        Ok((charged, reclaims::at_home(connection, receipt.job)?.reclaimed))
    })?;
    if receipt.price_micro < 0 || receipt.price_micro > ceiling.saturating_sub(charged) {
        return Err(wrong(format!(
            "the price {} is not within 0 and the reserved {ceiling}, of which {charged} are used up",
            receipt.price_micro
        )));
    }
    let is_lawful = match (&receipt.exit, receipt.goes_on) {
        (Exit::Reclaimed, goes_on) => goes_on && reclaimed <= RECLAIMS_MAX,
        (Exit::SiteFault(_), true) => {
            let faults = receipt.attempt.saturating_sub(reclaimed);
            faults < job.spec.attempts_max && receipt.price_micro == 0
        }
        (_, goes_on) => !goes_on,
    };
    if !is_lawful {
        let what = if receipt.goes_on { "may not be followed" } else { "is to be followed" };
        return Err(wrong(format!("attempt {} {what} by another", receipt.attempt)));
    }
    Ok(receipt)
}

/// Pays what the receipt and those of earlier attempts say from what was set aside; the rest is free again.
fn post_credits(
    tx: &Tx<'_>,
    job: &HomeJob,
    receipt: &Receipt,
    id: TransferId,
    now: jiff::Timestamp,
) -> Result<(), StoreError> {
    let Some(hold) = job.hold else { return Ok(()) };
    let Some(reserved) = ledger::open_hold(tx.connection(), hold)? else { return Ok(()) };
    let damaged = |problem: String| StoreError::Damaged { what: "account", problem };
    let account = ledger::account(tx.connection(), &job.project)?
        .ok_or_else(|| damaged("its project is gone".to_owned()))?;
    let first = job.first_attempt().map_err(|error| damaged(error.to_string()))?;
    let earlier = ledger::charged_between(tx.connection(), receipt.job, first, receipt.attempt)?;
    let amount = receipt.price_micro + earlier;
    let after =
        sta_decide::ledger::post(account, reserved, amount).map_err(|error| damaged(error.to_string()))?;
    ledger::transfer(tx, id, (job.id, &job.project), Transfer::Post(hold), amount, after, now)
}

impl HomeJob {
    /// The first attempt under the offer that stands.
    pub(super) fn first_attempt(&self) -> Result<u32, JwsError> {
        self.offer.as_ref().map_or(Ok(1), |offer| Ok(offer.peek_unverified()?.attempt))
    }
}

fn final_state(exit: &Exit) -> HomeState {
    match exit {
        Exit::Code(0) => HomeState::Completed,
        // A reclaimed attempt is never the last: the check before has seen to it.
        Exit::Code(_)
        | Exit::Signal(_)
        | Exit::TimeLimit
        | Exit::MemoryLimit
        | Exit::SiteFault(_)
        | Exit::Reclaimed => HomeState::Failed,
        Exit::Cancelled => HomeState::Cancelled,
    }
}

/// What this node makes of a period with another member.
///
/// # Errors
/// A stored receipt does not fit the statement.
pub fn statement(node: &Node, period: &str, with: &MemberId) -> Result<Statement, StepError> {
    let pair = [node.member().clone(), with.clone()];
    if node.treaty.member(with).is_none() || with == node.member() {
        return Err(StepError::refused(RefusalCode::NotFound, node.member(), [("member", with.to_string())]));
    }
    let lines = node.store.read(|connection| ledger::lines(connection, period, [&pair[0], &pair[1]]))?;
    compute_statement(period, &node.treaty.settlement.currency, pair, lines)
        .map_err(|error| StoreError::Damaged { what: "receipt", problem: error.to_string() }.into())
}

/// The digest of a statement, by which two members know that they agree to the digit.
///
/// # Errors
/// The statement has no canonical form.
pub fn statement_digest(statement: &Statement) -> Result<Sha256Digest, StepError> {
    Sha256Digest::of_json(statement)
        .map_err(|error| StoreError::Damaged { what: "statement", problem: error.to_string() }.into())
}

/// The digest that the other member computes of the same period.
///
/// # Errors
/// It is away, or refuses.
pub async fn peer_statement_digest(
    node: &Node,
    period: &str,
    with: &MemberId,
) -> Result<Sha256Digest, StepError> {
    #[derive(Deserialize)]
    struct Answer {
        digest: Sha256Digest,
    }
    let answer = node.outbound().get(with, &format!("/federation/v1/statements/{period}"), None).await?;
    serde_json::from_slice(&answer.body).map(|Answer { digest }| digest).map_err(|error| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", error.to_string())])
    })
}

/// A tlog-proof of the newest entry about a job that the published checkpoint covers; checked offline with `sta verify`.
///
/// # Errors
/// There is none yet.
pub fn proof_file(node: &Node, job: JobId) -> Result<String, StepError> {
    const KINDS: [&str; 7] = [
        "job.settled",
        "job.finished",
        "job.ended",
        "job.refused",
        "job.admission-received",
        "job.submitted",
        "job.waits",
    ];
    proof_of(node, &KINDS, &job.to_string())
}

/// The same for the newest entry about an order to stop: that it was lifted, answered by a site here or elsewhere, or taken.
///
/// # Errors
/// There is none yet.
pub fn stop_order_proof(node: &Node, order: StopOrderId) -> Result<String, StepError> {
    const KINDS: [&str; 4] = ["stop.lifted", "stop.answer-received", "stop.acknowledged", "stop.received"];
    proof_of(node, &KINDS, &order.to_string())
}

/// The same for the newest entry about an incident.
///
/// # Errors
/// There is none yet.
pub fn incident_proof(node: &Node, incident: IncidentId) -> Result<String, StepError> {
    const KINDS: [&str; 7] = [
        "incident.closed",
        "incident.resolved",
        "incident.overdue",
        "incident.notified",
        "incident.reclassified",
        "incident.found",
        "incident.reported",
    ];
    proof_of(node, &KINDS, &incident.to_string())
}

fn proof_of(node: &Node, kinds: &[&str], subject: &str) -> Result<String, StepError> {
    let failed = |problem: String| StepError::from(StoreError::Audit(problem));
    let proof = node.store.read(|connection| {
        let Some((size, note)) = audit::checkpoint(connection, "published")? else { return Ok(None) };
        for kind in kinds {
            let entry = audit::find_entry(connection, kind, subject)?;
            if let Some((position, bytes)) = entry.filter(|(position, _)| *position < size) {
                let path = inclusion_proof(&audit::StoredHashes(connection), position, size)
                    .map_err(|error| StoreError::Audit(error.to_string()))?;
                return Ok(Some((position, path, note, bytes)));
            }
        }
        Ok(None)
    })?;
    let none = || StepError::refused(RefusalCode::NotFound, node.member(), [("proof", subject.to_owned())]);
    let (position, path, note, entry) = proof.ok_or_else(none)?;
    let note = SignedNote::parse(note.as_bytes()).map_err(|error| failed(error.to_string()))?;
    // The entry itself travels as the extra data, so that the file alone is enough for the verifier.
    Proof::new(position, path, note, entry)
        .map(|proof| proof.to_string())
        .map_err(|error| failed(error.to_string()))
}
