// SPDX-License-Identifier: Apache-2.0
//! Submit: a researcher asks for a job at home. Identity, rules and placement decide; job, credits, audit entry and offer are one record.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{DatasetRecord, Offer},
    ids::{JobId, OfferId, ProjectId, ResearcherId, TransferId},
    job::{InputFile, JobSpec},
    jws::Signed,
    refusal::{Refusal, RefusalCode},
};

use super::{
    StepError, disk,
    dossier::{CandidateNote, Dossier},
    gates::admission::Screened,
    identity::{self, Proven, Shown},
    moving,
    place::{self, Again, Asked},
    wait,
};
use crate::{
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        blob_uses::{self, NeededFile, Side},
        jobs::{self, Credentials, HomeJob, HomeState},
        ledger::{self, Transfer},
        moves,
        outbox::{self, Effect, Lane},
        reclaims,
        registry::{self, Researcher},
    },
};

/// What a researcher sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubmitRequest {
    /// The job's id, made by the caller, so that the request can be repeated.
    pub job: JobId,
    /// What is to run.
    pub spec: JobSpec,
    /// GA4GH passport.
    pub passport: String,
    /// The researcher's signature over job id and description.
    pub holder_proof: String,
}

/// Takes a job. A repeat of the same request gives the same job; a lawful no is a job in state `refused` with its dossier.
///
/// # Errors
/// The request itself is wrong, its id is taken by another request, or the store failed.
pub async fn submit(
    node: &Node,
    researcher: &Researcher,
    request: SubmitRequest,
) -> Result<HomeJob, StepError> {
    let request_sha256 =
        Sha256Digest::of_json(&request).map_err(|error| malformed(node, "request", error.to_string()))?;
    if let Some(job) = node.store.read(|connection| jobs::find(connection, request.job))? {
        return job.if_asked_by(node, &researcher.id, request_sha256);
    }
    check(node, researcher, &request)?;
    wait::check(node, &request.spec)?;
    let job = HomeJob::new(researcher, &request, request_sha256, node.outside.now());
    decide_on(node, researcher, job, Decided::AtOnce).await
}

/// Whether the job was at a host before, which it left to go on elsewhere.
pub(super) fn was_elsewhere(job: &HomeJob) -> bool {
    job.attempt > 1
}

/// No site may or can run the job. One that was elsewhere has something to lose: it is decided on again a little later, as long as
/// what its researcher showed holds.
async fn nobody(
    node: &Node,
    mut job: HomeJob,
    (dossier, screened): (Dossier, Vec<Screened>),
    decided: Decided,
) -> Result<HomeJob, StepError> {
    if !was_elsewhere(&job) {
        return refuse(node, job, (dossier, screened), decided).await;
    }
    job.dossier = dossier.to_json();
    let (now, kept) = (node.outside.now(), job.clone());
    let written = node.store.write(move |tx| {
        if let Some(known) = settled_before(tx, &kept, decided)? {
            return Ok(known);
        }
        moving::waits_for_anybody(tx, kept.clone(), now)?;
        Ok(kept)
    });
    Ok(written.await?)
}

/// Whether a job is decided on when it comes, or after it has waited for others and is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decided {
    AtOnce,
    Later,
}

/// Proves who asks, chooses a site, and records the job with its offer, or as refused. One that names others is kept without
/// any choice the first time.
///
/// # Errors
/// The store failed.
pub(super) async fn decide_on(
    node: &Node,
    researcher: &Researcher,
    mut job: HomeJob,
    decided: Decided,
) -> Result<HomeJob, StepError> {
    let now = node.outside.now();
    let spec_digest =
        Sha256Digest::of_json(&job.spec).map_err(|error| malformed(node, "spec", error.to_string()))?;
    let shown = Shown {
        passport: &job.credentials.passport,
        holder_proof: &job.credentials.holder_proof,
        job: job.id,
        spec: spec_digest,
        home: node.member(),
        researcher: &researcher.id,
    };
    let proven = match identity::verify(node, &shown, now) {
        Ok(proven) => proven,
        Err(refusals) => {
            let mut dossier = Dossier::without_sites(node, refusals.into_vec());
            if was_elsewhere(&job) {
                dossier.follows(Dossier::of(&job)?);
            }
            return refuse(node, job, (dossier, Vec::new()), decided).await;
        }
    };
    if decided == Decided::AtOnce && !job.spec.after.is_empty() {
        return keep_waiting(node, researcher, job).await;
    }
    super::registry::learn_datasets(node, &job.spec).await?;
    let (records, signed_records) = super::registry::dataset_records(node, &job.spec)?;
    let (mut dossier, mut screened, project_known) = decide(node, researcher, &job, &proven, &records)?;
    if was_elsewhere(&job) {
        dossier.follows(Dossier::of(&job)?);
    }
    let Some(choice) = dossier.next().cloned().filter(|_| project_known) else {
        return nobody(node, job, (dossier, screened), decided).await;
    };
    // What is said of the site that is chosen goes into the log beside the offer to it.
    screened.retain(|answer| answer.site == choice.site);
    job.dossier = dossier.to_json();
    make_offer(node, &mut job, &choice, &signed_records, proven.expires_at)?;
    record(node, job, (choice, screened), decided).await
}

impl Dossier {
    /// A dossier without any site: the reasons, if there are any, hold for all of them.
    pub(super) fn without_sites(node: &Node, refusals: Vec<Refusal>) -> Self {
        Self {
            version: 1,
            decided_at: node.outside.now(),
            treaty: node.treaty_digest(),
            rules: node.rules.digest(),
            refusals,
            candidates: Vec::new(),
            answers: Vec::new(),
            first_decided_at: None,
            moved: Vec::new(),
        }
    }
}

impl HomeJob {
    /// The job, if this very request by this very person made it; an id is used once.
    fn if_asked_by(
        self,
        node: &Node,
        researcher: &ResearcherId,
        request: Sha256Digest,
    ) -> Result<Self, StepError> {
        let facts = [("job", self.id.to_string())];
        let same = self.request_sha256 == request && self.researcher == *researcher;
        if same { Ok(self) } else { Err(StepError::refused(RefusalCode::Conflict, node.member(), facts)) }
    }

    fn new(
        researcher: &Researcher,
        request: &SubmitRequest,
        request_sha256: Sha256Digest,
        now: Timestamp,
    ) -> Self {
        Self {
            id: request.job,
            researcher: researcher.id.clone(),
            project: request.spec.project.clone(),
            spec: request.spec.clone(),
            credentials: Credentials {
                passport: request.passport.clone(),
                holder_proof: request.holder_proof.clone(),
            },
            request_sha256,
            state: HomeState::Offered,
            dossier: serde_json::Value::Null,
            offer_id: None,
            offer: None,
            site: None,
            host: None,
            hold: None,
            admission: None,
            attempt: 1,
            receipt: None,
            cancel_asked: false,
            submitted_at: now,
            started_at: None,
            ended_at: None,
        }
    }
}

fn check(node: &Node, researcher: &Researcher, request: &SubmitRequest) -> Result<(), StepError> {
    request.spec.validate().map_err(|error| malformed(node, error.field, error.problem))?;
    match disk::first_not_brought(node, &researcher.id, &request.spec.inputs)? {
        Some(InputFile { name, sha256, .. }) => {
            Err(malformed(node, "inputs", format!("`{name}` with SHA-256 {sha256} has not been uploaded")))
        }
        None => Ok(()),
    }
}

fn malformed(node: &Node, field: &str, problem: String) -> StepError {
    let facts = [("field", field.to_owned()), ("problem", problem)];
    StepError::refused(RefusalCode::RequestMalformed, node.member(), facts)
}

/// Reads what only the store knows, then decides. Third: whether there is a project to pay at all.
fn decide(
    node: &Node,
    researcher: &Researcher,
    job: &HomeJob,
    proven: &Proven,
    records: &[DatasetRecord],
) -> Result<(Dossier, Vec<Screened>, bool), StepError> {
    let spec = &job.spec;
    let (account, in_project) = node.store.read(|connection| {
        let account = ledger::account(connection, &spec.project)?;
        Ok((account, registry::is_in_project(connection, &spec.project, &researcher.id)?))
    })?;
    let asked = Asked {
        job: job.id,
        spec,
        researcher: &researcher.id,
        proven,
        records,
        project_active: in_project,
        available_micro: account.map_or(0, |account| account.available()),
        again: was_elsewhere(job).then(|| Again { is_owed: node.shadows.began_ms(job.id).is_some() }),
    };
    let (mut dossier, screened) = place::decide(node, &asked)?;
    if account.is_none() || !in_project {
        let facts = [("project", spec.project.to_string())];
        dossier.refusals.push(Refusal::new(RefusalCode::ProjectUnknown, node.member(), facts));
    }
    Ok((dossier, screened, account.is_some() && in_project))
}

/// What a project can still spend, in millionths.
pub(super) fn available(node: &Node, project: &ProjectId) -> Result<i64, StoreError> {
    let account = node.store.read(|connection| ledger::account(connection, project))?;
    Ok(account.map_or(0, |account| account.available()))
}

/// Signs the offer to the chosen site and sets what the job knows of it.
pub(super) fn make_offer(
    node: &Node,
    job: &mut HomeJob,
    choice: &CandidateNote,
    datasets: &[Signed<DatasetRecord>],
    expires_at: Timestamp,
) -> Result<(), StepError> {
    let (saved, faultless) = if was_elsewhere(job) {
        node.store.read(|connection| {
            let saved = moves::find(connection, job.id)?.saved;
            Ok((saved, reclaims::at_home(connection, job.id)?.reclaimed))
        })?
    } else {
        (None, 0)
    };
    let offer = Offer {
        version: Offer::version_of(job.attempt),
        offer: OfferId::new(node.outside.now_ms(), node.outside.random()),
        job: job.id,
        home: node.member().clone(),
        host: choice.member.clone(),
        site: choice.site.clone(),
        spec: job.spec.clone(),
        researcher: job.researcher.clone(),
        passport: job.credentials.passport.clone(),
        holder_proof: job.credentials.holder_proof.clone(),
        datasets: datasets.to_vec(),
        allocation_reserved: true,
        price_micro_max: choice.price_micro_max,
        treaty: node.treaty_digest(),
        offered_at: node.outside.now(),
        expires_at,
        attempt: job.attempt,
        faultless,
        saved,
    };
    let signed = Signed::sign_known(&offer, &node.keys.signing, &node.signatures_known)
        .map_err(|error| malformed(node, "offer", error.to_string()))?;
    job.offer_id = Some(offer.offer);
    job.offer = Some(signed);
    job.site = Some(choice.site.clone());
    job.host = Some(choice.member.clone());
    job.hold = Some(TransferId::new(node.outside.now_ms(), node.outside.random()));
    Ok(())
}

/// Sets the offer's highest price aside and puts the offer into the host's lane; within the caller's transaction.
/// `None` when other jobs have taken the credits in the meantime: then the hold is the refusal.
pub(super) fn hold_and_send(
    tx: &Tx<'_>,
    job: &HomeJob,
    choice: &CandidateNote,
    now: Timestamp,
) -> Result<Result<(), Refusal>, StoreError> {
    let damaged = |problem: &str| StoreError::Damaged { what: "job", problem: problem.to_owned() };
    let (Some(offer), Some(hold)) = (job.offer_id, job.hold) else {
        return Err(damaged("an offer without id or hold"));
    };
    let account =
        ledger::account(tx.connection(), &job.project)?.ok_or_else(|| damaged("its project is gone"))?;
    let after = match sta_decide::ledger::reserve(account, choice.price_micro_max) {
        Ok(after) => after,
        Err(error) => {
            return error.refusal(&choice.member).map(Err).ok_or_else(|| damaged(&error.to_string()));
        }
    };
    ledger::transfer(tx, hold, (job.id, &job.project), Transfer::Hold, choice.price_micro_max, after, now)?;
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    outbox::put(tx, &Lane::Peer(choice.member.clone()), Effect::Offer, job.id, &offer.to_string(), now_ms)?;
    Ok(Ok(()))
}

/// Job, hold, offer, the gate's answer and audit entries become durable together, or none of them.
async fn record(
    node: &Node,
    mut job: HomeJob,
    (choice, screened): (CandidateNote, Vec<Screened>),
    decided: Decided,
) -> Result<HomeJob, StepError> {
    job.state = HomeState::Offered;
    let (member, now, lane) = (node.member().clone(), node.outside.now(), Lane::Peer(choice.member.clone()));
    let (researcher, request, guards) = (job.researcher.clone(), job.request_sha256, node.guards.clone());
    let job = node
        .store
        .write(move |tx| {
            let mut job = job;
            if let Some(known) = settled_before(tx, &job, decided)? {
                return Ok(known);
            }
            if let Err(mut refusal) = hold_and_send(tx, &job, &choice, now)? {
                refusal.by = member;
                if was_elsewhere(&job) {
                    job.note_refusal(refusal)?;
                    moving::waits_for_anybody(tx, job.clone(), now)?;
                    return Ok(job);
                }
                job.end_refused(refusal, now)?;
            }
            put(tx, &job, decided)?;
            let refused = job.state == HomeState::Refused;
            let taken =
                if refused { entry("job.refused", &job, now) } else { entry("job.submitted", &job, now) };
            tx.audit(taken);
            screened.into_iter().try_for_each(|answer| answer.note(tx, &guards))?;
            Ok(job)
        })
        .await?;
    node.wake(&lane);
    job.if_asked_by(node, &researcher, request)
}

/// The job as it stands, if there is nothing to record any more: the same request may have come twice at the same time, and
/// a waiting job may have been cancelled.
fn settled_before(tx: &Tx<'_>, job: &HomeJob, decided: Decided) -> Result<Option<HomeJob>, StoreError> {
    let known = jobs::find(tx.connection(), job.id)?;
    Ok(known.filter(|known| decided == Decided::AtOnce || known.state != HomeState::Waiting))
}

fn put(tx: &Tx<'_>, job: &HomeJob, decided: Decided) -> Result<(), StoreError> {
    match decided {
        Decided::AtOnce => jobs::insert(tx, job)?,
        Decided::Later => jobs::update(tx, job)?,
    }
    if job.state.is_final() {
        return Ok(());
    }
    blob_uses::need(tx, Side::Home, job.id, job.project.as_str(), &inputs(&job.spec))
}

/// The job waits for others: nobody is asked and nothing is set aside before they have completed.
async fn keep_waiting(node: &Node, researcher: &Researcher, mut job: HomeJob) -> Result<HomeJob, StepError> {
    let (project, id) = (job.project.clone(), researcher.id.clone());
    if !node.store.read(|connection| registry::is_in_project(connection, &project, &id))? {
        let facts = [("project", project.to_string())];
        let refusal = Refusal::new(RefusalCode::ProjectUnknown, node.member(), facts);
        let dossier = Dossier::without_sites(node, vec![refusal]);
        return refuse(node, job, (dossier, Vec::new()), Decided::AtOnce).await;
    }
    let (now, request) = (node.outside.now(), job.request_sha256);
    (job.state, job.dossier) = (HomeState::Waiting, Dossier::without_sites(node, Vec::new()).to_json());
    let written = node.store.write(move |tx| {
        if let Some(known) = settled_before(tx, &job, Decided::AtOnce)? {
            return Ok(known);
        }
        put(tx, &job, Decided::AtOnce)?;
        wait::begin(tx, &job)?;
        tx.audit(entry("job.waits", &job, now));
        Ok(job)
    });
    let job = written.await?;
    node.wake(&Lane::Home);
    job.if_asked_by(node, &id, request)
}

/// The files that home keeps until the job is over.
fn inputs(spec: &JobSpec) -> Vec<NeededFile> {
    let needed =
        |input: &InputFile| NeededFile { sha256: input.sha256, bytes: input.bytes, class: input.class };
    spec.inputs.iter().map(needed).collect()
}

impl HomeJob {
    /// Keeps a reason that turned up after the decision.
    pub(super) fn note_refusal(&mut self, refusal: Refusal) -> Result<(), StoreError> {
        let mut dossier = Dossier::of(self)?;
        dossier.refusals.push(refusal);
        self.dossier = dossier.to_json();
        Ok(())
    }

    /// Ends the job for a reason that turned up after the decision.
    fn end_refused(&mut self, refusal: Refusal, now: Timestamp) -> Result<(), StoreError> {
        self.note_refusal(refusal)?;
        self.state = HomeState::Refused;
        (self.offer, self.offer_id, self.hold, self.site, self.host) = (None, None, None, None, None);
        self.ended_at = Some(now);
        Ok(())
    }
}

/// Records that nobody may or can run the job, and what the gate said of the sites that it was asked about.
///
/// # Errors
/// The store failed.
pub(super) async fn refuse(
    node: &Node,
    mut job: HomeJob,
    (dossier, screened): (Dossier, Vec<Screened>),
    decided: Decided,
) -> Result<HomeJob, StepError> {
    let now = node.outside.now();
    for refusal in dossier.all_refusals() {
        node.metrics.refused(&refusal.rule);
    }
    let (researcher, request, guards) = (job.researcher.clone(), job.request_sha256, node.guards.clone());
    job.state = HomeState::Refused;
    job.dossier = dossier.to_json();
    job.ended_at = Some(now);
    let written = node.store.write(move |tx| {
        if let Some(known) = settled_before(tx, &job, decided)? {
            return Ok(known);
        }
        put(tx, &job, decided)?;
        tx.audit(entry("job.refused", &job, now));
        screened.into_iter().try_for_each(|answer| answer.note(tx, &guards))?;
        Ok(job)
    });
    let job = written.await?;
    node.wake(&Lane::Home);
    job.if_asked_by(node, &researcher, request)
}

fn entry(kind: &'static str, job: &HomeJob, at: Timestamp) -> PendingEntry {
    PendingEntry {
        kind,
        subject: job.id.to_string(),
        payload: serde_json::json!({
            "request": job.request_sha256, "researcher": job.researcher, "project": job.project,
            "site": job.site, "offer": job.offer_id, "dossier": job.dossier,
        }),
        at,
    }
}
