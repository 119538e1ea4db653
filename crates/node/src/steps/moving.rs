// SPDX-License-Identifier: Apache-2.0
//! Moving: a job that waits at a host goes on elsewhere, with what it has saved. Home asks the host for it; the host's last receipt
//! brings it back, and home decides on it anew, with every rule and every gate, as if it came only now.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sta_decide::{
    admit::demand_of,
    moves::{Elsewhere, Waits, is_owed, is_sooner},
};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{Exit, Hold, Receipt, VERSION},
    ids::{JobId, MemberId},
    jws::Signed,
    take_back::{SavedWork, TakeBack, TakeBackAnswer},
};

use super::{
    StepError, arrive,
    dossier::{Dossier, MoveNote},
    fetch, hand_back, identity, place, registry as vouched, stage, submit,
};
use crate::{
    engines::{CHECKPOINT_BYTES_MAX, RunId},
    node::Node,
    peers::{outbound::CallError, reports},
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        blob_uses::{self, NeededFile, Side},
        holds,
        jobs::{self, HomeJob, HomeState},
        ledger,
        moves::{self, Asked, MOVES_MAX, Moving, Why},
        outbox::{self, Effect, Lane, Waiting},
        reclaims::{self, Notices},
        registry,
    },
};

/// How many jobs one look asks about at most, of those that are owed their place and of those that might go on sooner elsewhere.
const LOOK_MAX: u32 = 16;
/// Among how many that wait abroad those are looked for that are owed their place.
const ABROAD_MAX: u32 = 1000;
/// What a researcher showed must hold so much longer for a job to be placed anew.
const CREDENTIALS_LEFT: SignedDuration = SignedDuration::from_mins(15);
/// When home tries again to place a job that nobody took.
const AGAIN_MS: u64 = 30_000;
/// How long a host is not asked again for a job that it says has begun: it doubles with each time.
const PAUSE_MS: (u64, u64) = (30_000, 600_000);
/// Of how many jobs it is known that they pause; beyond, they are forgotten.
const PAUSES_MAX: usize = 10_000;
/// How often home tries to get what a job had saved, two hours and more, before it goes on from what it had before.
const FETCHES_MAX: u32 = 250;

/// What is kept from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The last job that was looked at.
    behind: Option<JobId>,
    /// Which attempts are not asked for again before a time, and how long that was put off, in milliseconds.
    pauses: BTreeMap<RunId, (u64, u64)>,
}

impl Kept {
    /// Whether this attempt may be asked for; then not again before a while.
    fn may_ask(&mut self, run: RunId, now_ms: u64) -> bool {
        let (until_ms, last_ms) = self.pauses.get(&run).copied().unwrap_or((0, PAUSE_MS.0 / 2));
        if now_ms < until_ms {
            return false;
        }
        if self.pauses.len() >= PAUSES_MAX {
            self.pauses.clear();
        }
        let pause_ms = (last_ms * 2).min(PAUSE_MS.1);
        self.pauses.insert(run, (now_ms + pause_ms, pause_ms));
        true
    }
}

/// Looks for jobs that are owed their place at home, and for those that would go on sooner elsewhere, and begins to ask for them.
///
/// # Errors
/// The store failed.
pub(super) async fn look(node: &Node, kept: &mut Kept) -> Result<(), StepError> {
    let shadows = node.shadows.now();
    let abroad =
        node.store.read(|connection| moves::waiting_abroad(connection, node.member(), ABROAD_MAX))?;
    let owed: Vec<JobId> = shadows.owed.iter().filter(|job| abroad.contains(job)).copied().collect();
    let some = node.store.read(|connection| moves::waiting(connection, kept.behind, LOOK_MAX))?;
    kept.behind = some.last().copied().filter(|_| some.len() == LOOK_MAX as usize);
    for job in owed.iter().chain(some.iter().filter(|job| !owed.contains(job))) {
        if let Some((run, why)) = goes_elsewhere(node, *job)?
            && kept.may_ask(run, node.outside.now_ms())
        {
            ask(node, *job, why).await?;
        }
    }
    Ok(())
}

/// Which attempt of a job goes on elsewhere and why, if it does.
fn goes_elsewhere(node: &Node, id: JobId) -> Result<Option<(RunId, Why)>, StepError> {
    let (job, holds) =
        node.store.read(|connection| Ok((jobs::find(connection, id)?, holds::of(connection, id)?)))?;
    // What is to stand still stays where it is.
    let Some(job) = job.filter(|_| !holds.iter().any(Hold::is_open)) else { return Ok(None) };
    let run = RunId { job: id, attempt: job.attempt };
    let Some((host, site)) = job.host.as_ref().zip(job.site.as_ref()).filter(|_| may_move(&job)) else {
        return Ok(None);
    };
    let dossier = Dossier::of(&job)?;
    let stays = |note: &MoveNote| !note.kept_by.is_empty() && note.attempt == job.attempt;
    if dossier.times_moved() >= MOVES_MAX || dossier.moved.iter().any(stays) {
        return Ok(None);
    }
    let Some(terms) = node.treaty.site(site) else { return Ok(None) };
    let waits = Waits {
        is_abroad: host != node.member(),
        has_run: job.attempt > first_attempt(&job)?,
        began_alone_ms: node.shadows.began_ms(id),
        wait_s: reports::outlook(node, terms, demand_of(&job.spec))?.wait_s,
    };
    let staging_s = node.treaty.sharing.map_or(0, |sharing| sharing.staging_s);
    let owed = is_owed(&waits, node.outside.now_ms(), staging_s);
    // Cheap questions first: the rules are asked only where it could come to a move.
    let rooms = node.treaty.sites.iter().filter(|other| other.id != *site);
    let mut has_room = false;
    for other in rooms {
        has_room |= reports::outlook(node, other, demand_of(&job.spec))?.wait_s == 0;
    }
    if !owed && !has_room {
        return Ok(None);
    }
    let Some(candidates) = candidates(node, &job)? else { return Ok(None) };
    if owed && candidates.iter().any(|there| there.is_home) {
        return Ok(Some((run, Why::Owed)));
    }
    Ok(candidates.iter().any(|there| is_sooner(&waits, there)).then_some((run, Why::Sooner)))
}

fn first_attempt(job: &HomeJob) -> Result<u32, StepError> {
    let damaged = |problem: String| StepError::Damaged { what: "offer", job: job.id, problem };
    job.first_attempt().map_err(|error| damaged(error.to_string()))
}

/// What trains a model is metered as a run of its host.
fn may_move(job: &HomeJob) -> bool {
    job.spec.training.is_none()
}

/// The other sites that the rules permit today; none where what the researcher showed is over soon.
fn candidates(node: &Node, job: &HomeJob) -> Result<Option<Vec<Elsewhere>>, StepError> {
    let now = node.outside.now();
    let Some(researcher) = node.store.read(|connection| registry::researcher(connection, &job.researcher))?
    else {
        return Ok(None);
    };
    let damaged = |error: sta_protocol::digest::DigestError| StepError::Damaged {
        what: "description",
        job: job.id,
        problem: error.to_string(),
    };
    let shown = identity::Shown {
        passport: &job.credentials.passport,
        holder_proof: &job.credentials.holder_proof,
        job: job.id,
        spec: Sha256Digest::of_json(&job.spec).map_err(damaged)?,
        home: node.member(),
        researcher: &researcher.id,
    };
    let Ok(proven) = identity::verify(node, &shown, now) else { return Ok(None) };
    if proven.expires_at.duration_since(now) < CREDENTIALS_LEFT {
        return Ok(None);
    }
    let (records, _) = vouched::dataset_records(node, &job.spec)?;
    let hold = job.hold.map(|hold| node.store.read(|connection| ledger::open_hold(connection, hold)));
    let asked = place::Asked {
        job: job.id,
        spec: &job.spec,
        researcher: &researcher.id,
        proven: &proven,
        records: &records,
        project_active: true,
        // What is set aside for it is free again by then.
        available_micro: submit::available(node, &job.spec.project)?
            .saturating_add(hold.transpose()?.flatten().unwrap_or(0)),
        again: None,
    };
    let (dossier, _) = place::decide(node, &asked)?;
    let others =
        dossier.candidates.iter().filter(|note| note.rank.is_some() && Some(&note.site) != job.site.as_ref());
    let elsewhere = |note: &super::dossier::CandidateNote| Elsewhere {
        is_home: note.member == *node.member(),
        wait_s: note.wait_s,
        staging_s: note.staging_s,
    };
    Ok(Some(others.map(elsewhere).collect()))
}

async fn ask(node: &Node, job: JobId, why: Why) -> Result<(), StepError> {
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        let Some(job) = jobs::find(tx.connection(), job)? else { return Ok(None) };
        let (Some(offer), Some(host)) = (job.offer_id, job.host) else { return Ok(None) };
        if !moves::ask(tx, job.id, offer, Asked { at: now, why })? {
            return Ok(None);
        }
        let (lane, now_ms) = (Lane::Peer(host), u64::try_from(now.as_millisecond()).unwrap_or(0));
        outbox::put(tx, &lane, Effect::TakeBack, job.id, &offer.to_string(), now_ms)?;
        Ok(Some(lane))
    });
    if let Some(lane) = write.await? {
        node.wake(&lane);
    }
    Ok(())
}

/// Asks the host for the job, which its last receipt brings back.
///
/// # Errors
/// The host is away: asked again, until it answers.
pub async fn take_back(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let (job, moving) = node.store.read(|connection| {
        Ok((jobs::find(connection, waiting.job)?, moves::find(connection, waiting.job)?))
    })?;
    let is_meant = |job: &HomeJob| {
        !job.state.is_final() && job.offer_id.is_some_and(|offer| offer.to_string() == waiting.key)
    };
    let Some(((job, asked), host)) = job.filter(is_meant).zip(moving.taking_back).and_then(|(job, asked)| {
        let host = job.host.clone()?;
        Some(((job, asked), host))
    }) else {
        return forget(node, waiting.id).await;
    };
    let answer = if job.started_at.is_some() || job.cancel_asked {
        TakeBackAnswer::Begun
    } else {
        put_to_host(node, &job, &host, asked).await?
    };
    let (id, now) = (waiting.id, node.outside.now());
    let write = node.store.write(move |tx| {
        outbox::done(tx, id)?;
        let same = |now_job: &HomeJob| now_job.offer_id == job.offer_id && !now_job.state.is_final();
        match (jobs::find(tx.connection(), job.id)?.filter(same), answer) {
            (None, _) | (Some(_), TakeBackAnswer::Taken) => Ok(()),
            (Some(job), TakeBackAnswer::Begun) => stays(tx, job, None, now),
            (Some(job), TakeBackAnswer::Stays(reasons)) => stays(tx, job, Some((asked.why, reasons)), now),
        }
    });
    Ok(write.await?)
}

async fn forget(node: &Node, id: i64) -> Result<(), StepError> {
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

async fn put_to_host(
    node: &Node,
    job: &HomeJob,
    host: &MemberId,
    asked: Asked,
) -> Result<TakeBackAnswer, StepError> {
    let damaged = |problem: String| StepError::Damaged { what: "offer", job: job.id, problem };
    let offer = job.offer_id.ok_or_else(|| damaged("it is missing".to_owned()))?;
    let home = node.member().clone();
    let question = TakeBack { version: VERSION, job: job.id, offer, home, asked_at: asked.at };
    let signed = Signed::sign(&question, &node.keys.signing).map_err(|error| damaged(error.to_string()))?;
    if host == node.member() {
        return hand_back::receive_take_back(node, host, signed).await;
    }
    // The same question has the same key; one that is put later is another, and may be answered otherwise.
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&signed.digest().as_bytes()[..16]);
    let key = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    match node.outbound().post(host, "/federation/v1/take-backs", key, &signed).await {
        Ok(answer) => Ok(answer),
        // A host of an earlier version does not know the question, and keeps the job. Any other no is no answer: it may have given
        // the job before.
        Err(CallError::Refused { status: StatusCode::NOT_FOUND, refusals, .. }) => {
            Ok(TakeBackAnswer::Stays(refusals))
        }
        Err(error) => Err(error.into()),
    }
}

/// The job stays where it is; why its host keeps it is told in its dossier, and it is not asked for again before it has run.
fn stays(
    tx: &mut Tx<'_>,
    mut job: HomeJob,
    kept: Option<(Why, Vec<sta_protocol::refusal::Refusal>)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let saved = moves::find(tx.connection(), job.id)?.saved;
    moves::keep(tx, job.id, &Moving { taking_back: None, saved })?;
    let Some((why, kept_by)) = kept else { return Ok(()) };
    let payload = json!({"site": job.site, "why": why, "kept_by": kept_by});
    tx.audit(PendingEntry { kind: "job.stays", subject: job.id.to_string(), payload, at: now });
    note(&mut job, MoveFacts { why, with_saved: false, kept_by, now })?;
    jobs::update(tx, &job)
}

struct MoveFacts {
    why: Why,
    with_saved: bool,
    kept_by: Vec<sta_protocol::refusal::Refusal>,
    now: Timestamp,
}

fn note(job: &mut HomeJob, facts: MoveFacts) -> Result<(), StoreError> {
    let MoveFacts { why, with_saved, kept_by, now } = facts;
    let mut dossier = Dossier::of(job)?;
    if let Some((site, by)) = job.site.clone().zip(job.host.clone()) {
        dossier.moved.push(MoveNote { site, by, at: now, why, attempt: job.attempt, with_saved, kept_by });
    }
    job.dossier = dossier.to_json();
    Ok(())
}

/// Whether a receipt, the last of a host, brings a job back to go on elsewhere. The host says so itself: what home remembers of its
/// question may be older or newer than the answer.
pub(super) fn comes_back(job: &HomeJob, receipt: &Receipt) -> bool {
    let never_began = receipt.started_at.is_none() && receipt.price_micro == 0;
    receipt.handed_back && receipt.exit == Exit::Cancelled && never_began && !job.cancel_asked
}

/// What it goes on from: what the host says that it saved, if that can be, or what it had.
fn saved_work(job: &HomeJob, receipt: &Receipt, earlier: Option<SavedWork>) -> Option<SavedWork> {
    let can_be = |saved: &&SavedWork| job.spec.checkpoint.is_some() && saved.bytes <= CHECKPOINT_BYTES_MAX;
    receipt.saved.as_ref().filter(can_be).cloned().or(earlier)
}

/// The job is home's alone again, and decided on anew once what it has saved is here. The caller has paid for it and kept its receipt.
pub(super) fn came_back(
    tx: &mut Tx<'_>,
    mut job: HomeJob,
    receipt: &Receipt,
    now: Timestamp,
) -> Result<(), StoreError> {
    let earlier = moves::find(tx.connection(), job.id)?;
    let why = earlier.taking_back.map_or(Why::Returned, |asked| asked.why);
    let is_abroad = job.host.as_ref() != Some(&receipt.home);
    // What comes from elsewhere counts only once it is here.
    let (saved, to_fetch) = match saved_work(&job, receipt, earlier.saved.clone()) {
        saved if saved == earlier.saved || !is_abroad => (saved, false),
        _ => (earlier.saved, true),
    };
    let facts = MoveFacts { why, with_saved: to_fetch || saved.is_some(), kept_by: Vec::new(), now };
    job.attempt = receipt.attempt;
    note(&mut job, facts)?;
    moves::keep(tx, job.id, &Moving { taking_back: None, saved })?;
    let host = job.host.take();
    (job.state, job.attempt, job.started_at) = (HomeState::Waiting, receipt.attempt + 1, None);
    (job.offer, job.offer_id, job.hold, job.admission, job.site) = (None, None, None, None, None);
    jobs::update(tx, &job)?;
    // The attempt that never began is nobody's fault.
    let reclaimed = reclaims::at_home(tx.connection(), job.id)?.reclaimed + 1;
    reclaims::note_at_home(tx, job.id, Notices { notice_at: None, reclaimed })?;
    for pending in [Effect::Offer, Effect::TakeBack] {
        outbox::forget(tx, job.id, pending)?;
    }
    if is_abroad {
        // Why it stood still there, if it did, is that host's affair.
        holds::replace(tx, job.id, &[])?;
    }
    let payload = json!({"from": receipt.site, "why": why, "saved": receipt.saved, "attempt": job.attempt});
    tx.audit(PendingEntry { kind: "job.taken-back", subject: job.id.to_string(), payload, at: now });
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    match host.filter(|_| to_fetch) {
        Some(host) => {
            let key = receipt.receipt.to_string();
            outbox::put(tx, &Lane::Peer(host), Effect::FetchSaved, job.id, &key, now_ms)
        }
        None => decide_at(tx, job.id, now_ms),
    }
}

/// Has home decide on a job that it has taken back, or that nobody took, at a time and once.
fn decide_at(tx: &Tx<'_>, job: JobId, at_ms: u64) -> Result<(), StoreError> {
    outbox::forget(tx, job, Effect::Decide)?;
    outbox::put(tx, &Lane::Home, Effect::Decide, job, &job.to_string(), at_ms)
}

/// A job that was elsewhere and that nobody takes now is home's alone, and decided on again a little later.
pub(super) fn waits_for_anybody(tx: &mut Tx<'_>, mut job: HomeJob, now: Timestamp) -> Result<(), StoreError> {
    // The log tells of it once, and again when the reasons are others.
    let before = jobs::find(tx.connection(), job.id)?.filter(|before| before.state == HomeState::Waiting);
    let reasons = Dossier::of(&job)?.all_refusals();
    let is_news = match &before {
        Some(before) => Dossier::of(before)?.all_refusals() != reasons,
        None => true,
    };
    job.state = HomeState::Waiting;
    (job.offer, job.offer_id, job.hold, job.admission) = (None, None, None, None);
    (job.site, job.host) = (None, None);
    jobs::update(tx, &job)?;
    if is_news {
        let payload = json!({"attempt": job.attempt, "dossier": job.dossier});
        tx.audit(PendingEntry { kind: "job.nobody-takes", subject: job.id.to_string(), payload, at: now });
    }
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    decide_at(tx, job.id, now_ms + AGAIN_MS)
}

/// Brings in what a job had saved where it was, which the effect's key names the receipt of; then home decides on it.
///
/// # Errors
/// The host is away: tried again from where it stopped.
pub async fn fetch_saved(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let job = node.store.read(|connection| jobs::find(connection, waiting.job))?;
    let kept = match waiting.key.parse() {
        Ok(id) => node.store.read(|connection| ledger::receipt(connection, id))?,
        Err(_) => None,
    };
    let waits = |job: &HomeJob| job.state == HomeState::Waiting;
    let Some((job, receipt)) = job.filter(waits).zip(kept) else { return forget(node, waiting.id).await };
    let damaged = |problem: String| StepError::Damaged { what: "receipt", job: job.id, problem };
    let receipt = receipt.peek_unverified().map_err(|error| damaged(error.to_string()))?;
    let saved = match saved_work(&job, &receipt, None) {
        Some(saved) if waiting.attempts < FETCHES_MAX => {
            let is_here = bring(node, &job, &receipt, &saved).await?;
            Some(saved).filter(|_| is_here)
        }
        Some(_) | None => None,
    };
    if saved.is_none() {
        tracing::warn!(job = %job.id, host = %receipt.host, "what a job had saved does not come; it goes on from what it had before");
    }
    let (id, now_ms) = (waiting.id, node.outside.now_ms());
    let write = node.store.write(move |tx| {
        outbox::done(tx, id)?;
        let Some(job) = jobs::find(tx.connection(), job.id)?.filter(waits) else { return Ok(()) };
        if saved.is_some() {
            moves::keep(tx, job.id, &Moving { taking_back: None, saved })?;
        }
        decide_at(tx, job.id, now_ms)
    });
    write.await?;
    node.wake(&Lane::Home);
    Ok(())
}

/// Brings it here: it is listed, and needed by its job, before its first byte is here. False where its host will never give it. One that
/// is here for something else its host sends all the same, or it would be read by whoever the job goes to next, under no rule of its own.
async fn bring(node: &Node, job: &HomeJob, receipt: &Receipt, saved: &SavedWork) -> Result<bool, StepError> {
    let SavedWork { sha256, bytes, class } = *saved;
    let (id, project, now) = (job.id, job.project.clone(), node.outside.now());
    let blobs = node.blobs.clone();
    let write = node.store.write(move |tx| {
        let file = NeededFile { sha256, bytes, class };
        // One that is here to stay would go with those that pass.
        if !blobs.has(sha256) {
            blob_uses::staging(tx, &file, now)?;
        }
        blob_uses::need(tx, Side::Home, id, project.as_str(), &[file])
    });
    write.await?;
    let name = fetch::percent_encoded(&SavedWork::name(receipt.attempt));
    let path = format!("/federation/v1/jobs/{}/outputs/{name}", job.id);
    match arrive::bring(node, &receipt.host, &path, sha256, bytes).await {
        Ok(()) => Ok(true),
        Err(StepError::Call(CallError::Refused { status, .. })) if stage::LASTING.contains(&status) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
