// SPDX-License-Identifier: Apache-2.0
//! Offer: home sends the job to the chosen host, and on a no goes on to the next site that may run it.

use jiff::Timestamp;
use sta_protocol::{
    federation::{Admission, Offer, OfferAnswer, VERSION},
    ids::{MemberId, TransferId},
    jws::Signed,
    refusal::{Refusal, RefusalCode},
};

use super::{
    StepError, admit,
    dossier::{AnswerNote, CandidateNote, Dossier},
    gates::admission::{self, Candidate, Screened},
    moving, registry, submit,
};
use crate::{
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        jobs::{self, HomeJob, HomeState},
        ledger::{self, Transfer},
        outbox::{self, Waiting},
    },
};

/// Delivers the offer, to this node itself too, and records the answer.
///
/// # Errors
/// No answer: the outcome at the host is unknown and the same offer is sent again.
pub async fn send(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let job = node.store.read(|connection| jobs::find(connection, waiting.job))?;
    let Some((job, offer, host)) = job.and_then(|job| {
        let (offer, host) = (job.offer.clone()?, job.host.clone()?);
        (job.state == HomeState::Offered && !job.cancel_asked).then_some((job, offer, host))
    }) else {
        return drop_effect(node, waiting.id).await;
    };
    let answer = if host == *node.member() {
        admit::admit_offer(node, &host, offer).await?
    } else {
        let key = waiting.key.parse().map_err(|_| damaged(&job, "offer id"))?;
        // A host says no to an offer in its answer. A request that it does not take (a replay, a clock, another treaty) is
        // no answer: it may have admitted the same offer before, and going on to another site would run the job twice.
        node.outbound().post(&host, "/federation/v1/offers", key, &offer).await?
    };
    record(node, waiting.id, job, &host, answer).await
}

async fn drop_effect(node: &Node, id: i64) -> Result<(), StepError> {
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

fn damaged(job: &HomeJob, what: &'static str) -> StepError {
    StepError::Damaged { what, job: job.id, problem: "it is missing or malformed".to_owned() }
}

/// Records the host's answer; a consent counts only with the host's signature over this very offer.
async fn record(
    node: &Node,
    id: i64,
    job: HomeJob,
    host: &MemberId,
    answer: OfferAnswer,
) -> Result<(), StepError> {
    let site = job.site.clone().ok_or_else(|| damaged(&job, "site"))?;
    let note = |admitted: bool, refusals: Vec<Refusal>| AnswerNote {
        site: site.clone(),
        by: host.clone(),
        at: node.outside.now(),
        admitted,
        refusals,
    };
    let (note, admission) = match answer {
        OfferAnswer::Admitted(admission) => match check_admission(node, &job, host, &admission) {
            Ok(()) => (note(true, Vec::new()), Some(admission)),
            Err(refusal) => (note(false, vec![refusal]), None),
        },
        OfferAnswer::Refused(refusals) => (note(false, refusals), None),
    };
    match admission {
        Some(admission) => record_consent(node, id, job, note, admission).await,
        None => try_next(node, id, job, note).await,
    }
}

/// Whether the admission is the host's own and for this offer.
pub(super) fn check_admission(
    node: &Node,
    job: &HomeJob,
    host: &MemberId,
    admission: &Signed<Admission>,
) -> Result<(), Refusal> {
    let wrong =
        |problem: String| Refusal::new(RefusalCode::DocumentWrong, node.member(), [("problem", problem)]);
    let key = |key_id: &str| {
        node.treaty.signing_key(key_id).filter(|(member, _)| member.id == *host).map(|(_, key)| key)
    };
    let verified =
        admission.verify_known(key, &node.signatures_known).map_err(|error| wrong(error.to_string()))?;
    let same_offer = job.offer.as_ref().is_some_and(|offer| offer.digest() == verified.offer_digest);
    if verified.version != VERSION || verified.job != job.id || verified.host != *host || !same_offer {
        return Err(wrong("the admission is not for this offer".to_owned()));
    }
    Ok(())
}

async fn record_consent(
    node: &Node,
    id: i64,
    job: HomeJob,
    note: AnswerNote,
    admission: Signed<Admission>,
) -> Result<(), StepError> {
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        outbox::done(tx, id)?;
        let Some(mut job) = still_offered(tx, &job)? else { return Ok(()) };
        job.add_answer(note)?;
        job.consented(tx, admission, now)
    });
    Ok(write.await?)
}

impl HomeJob {
    /// Sets the host's consent, if it is not known yet, and writes it into the log.
    pub(super) fn consented(
        &mut self,
        tx: &mut Tx<'_>,
        admission: Signed<Admission>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.admission.is_some() {
            return Ok(());
        }
        tx.audit(PendingEntry {
            kind: "job.admission-received",
            subject: self.id.to_string(),
            payload: serde_json::json!({"admission": admission.digest(), "host": self.host, "site": self.site}),
            at: now,
        });
        self.admission = Some(admission);
        if self.state == HomeState::Offered {
            // Word that it runs may have come first, when the answer to the offer was lost on its way.
            let runs = self.started_at.is_some();
            self.state = if runs { HomeState::Running } else { HomeState::Admitted };
        }
        jobs::update(tx, self)
    }

    fn add_answer(&mut self, note: AnswerNote) -> Result<(), StoreError> {
        let mut dossier = Dossier::of(self)?;
        dossier.answers.push(note);
        self.dossier = dossier.to_json();
        Ok(())
    }
}

/// The job as it is now, if it still waits for the answer to the same offer.
fn still_offered(tx: &Tx<'_>, before: &HomeJob) -> Result<Option<HomeJob>, StoreError> {
    let job = jobs::find(tx.connection(), before.id)?;
    Ok(job.filter(|job| job.state == HomeState::Offered && job.offer_id == before.offer_id))
}

/// Goes on to the next site of the dossier, or ends the job as refused with everyone's reasons.
async fn try_next(node: &Node, id: i64, job: HomeJob, note: AnswerNote) -> Result<(), StepError> {
    for refusal in &note.refusals {
        node.metrics.refused(&refusal.rule);
    }
    let now = node.outside.now();
    let void = TransferId::new(node.outside.now_ms(), node.outside.random());
    let mut next = job.clone();
    next.add_answer(note.clone())?;
    let offered =
        job.offer.as_ref().map(Signed::peek_unverified).transpose().map_err(|_| damaged(&job, "offer"))?;
    let (choice, screened) = match &offered {
        Some(offered) => next_screened(node, &mut next, offered)?,
        None => (None, Vec::new()),
    };
    if let (Some(choice), Some(offered)) = (&choice, offered) {
        submit::make_offer(node, &mut next, choice, &offered.datasets, offered.expires_at)?;
    }
    let (member, guards) = (node.member().clone(), node.guards.clone());
    let woken = choice.as_ref().map(|choice| outbox::Lane::Peer(choice.member.clone()));
    let write = node.store.write(move |tx| {
        outbox::done(tx, id)?;
        let Some(now_job) = still_offered(tx, &job)? else { return Ok(()) };
        free_hold(tx, &now_job, void, now)?;
        next.cancel_asked = now_job.cancel_asked;
        go_on(tx, next, choice.as_ref(), &member, now)?;
        screened.into_iter().try_for_each(|answer| answer.note(tx, &guards))
    });
    write.await?;
    if let Some(lane) = woken {
        node.wake(&lane);
    }
    Ok(())
}

/// The best site that has not answered yet and to which the gate lets the job go today, with what the gate said of each that
/// it was asked about.
fn next_screened(
    node: &Node,
    job: &mut HomeJob,
    offered: &Offer,
) -> Result<(Option<CandidateNote>, Vec<Screened>), StepError> {
    let records: Vec<_> =
        offered.datasets.iter().filter_map(|signed| registry::verify_record(node, signed).ok()).collect();
    let mut said = Vec::new();
    loop {
        let Some(choice) = Dossier::of(job)?.next().cloned() else { return Ok((None, said)) };
        let site = node.treaty.site(&choice.site).ok_or_else(|| damaged(job, "site"))?;
        let candidate =
            Candidate { job: job.id, home: node.member(), spec: &job.spec, site, records: &records };
        let answer = admission::screen(node, &candidate);
        let refusals = answer.refusals(node);
        said.push(answer);
        if refusals.is_empty() {
            return Ok((Some(choice), said));
        }
        let (site, by, at) = (choice.site, node.member().clone(), node.outside.now());
        job.add_answer(AnswerNote { site, by, at, admitted: false, refusals })?;
    }
}

fn go_on(
    tx: &mut Tx<'_>,
    mut job: HomeJob,
    choice: Option<&CandidateNote>,
    member: &MemberId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let outcome = match choice {
        Some(choice) if !job.cancel_asked => submit::hold_and_send(tx, &job, choice, now)?,
        Some(_) | None => Ok(()),
    };
    if let Err(mut refusal) = outcome {
        refusal.by = member.clone();
        job.note_refusal(refusal)?;
        job.state = HomeState::Refused;
    } else if job.cancel_asked {
        job.state = HomeState::Cancelled;
    } else if choice.is_none() {
        job.state = HomeState::Refused;
    }
    if job.state == HomeState::Refused && submit::was_elsewhere(&job) {
        return moving::waits_for_anybody(tx, job, now);
    }
    if job.state.is_final() {
        job.ended_at = Some(now);
        job.hold = None;
    }
    tx.audit(PendingEntry {
        kind: if job.state.is_final() { "job.ended" } else { "job.offered-again" },
        subject: job.id.to_string(),
        payload: serde_json::json!({"state": job.state.as_str(), "dossier": job.dossier, "offer": job.offer_id}),
        at: now,
    });
    jobs::update(tx, &job)
}

/// Frees what was set aside for the job, if it still is.
pub(super) fn free_hold(
    tx: &Tx<'_>,
    job: &HomeJob,
    void: TransferId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(hold) = job.hold else { return Ok(()) };
    let Some(amount) = ledger::open_hold(tx.connection(), hold)? else { return Ok(()) };
    let damaged = |problem: String| StoreError::Damaged { what: "account", problem };
    let account = ledger::account(tx.connection(), &job.project)?
        .ok_or_else(|| damaged("its project is gone".to_owned()))?;
    let after = sta_decide::ledger::void(account, amount).map_err(|error| damaged(error.to_string()))?;
    ledger::transfer(tx, void, (job.id, &job.project), Transfer::Void(hold), 0, after, now)
}
