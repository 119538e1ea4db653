// SPDX-License-Identifier: Apache-2.0
//! Admit: the host decides again for itself. The home node's permit is information, never authority.

use jiff::Timestamp;
use sta_decide::{
    admit::{Admitted, SiteLoad, admit, demand_of, unsaved_too_long},
    authorize::{Permit, authorize},
    facts::{RunFacts, RunInputs},
    settle::price_micro_max,
    verdict::Refusals,
};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{Admission, DatasetRecord, Offer, OfferAnswer, VERSION},
    ids::{AdmissionId, JobId, MemberId},
    job::JobSpec,
    jws::{Signed, Verified},
    refusal::{Refusal, RefusalCode},
    treaty::{Resources, Site},
};

use super::{
    StepError, disk,
    gates::{
        admission::{self, Candidate, Screened},
        guards::Guards,
    },
    identity::{self, Shown},
    incident,
    registry::verify_record,
    run, stage, training,
};
use crate::{
    engines::{Objection, RunId},
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        blob_uses::{self, NeededFile, Side},
        frozen,
        hosted::{self, HostState, HostedJob},
        jobs,
        outbox::{self, Effect, Lane},
    },
};

/// The highest number of an attempt: more than all faults, notices and moves that a job may have.
const ATTEMPT_MAX: u32 = 1000;

/// Answers an offer. The same offer always gets the same answer, also after a crash.
///
/// # Errors
/// The store failed: the offer has no answer yet.
pub async fn admit_offer(
    node: &Node,
    from: &MemberId,
    signed: Signed<Offer>,
) -> Result<OfferAnswer, StepError> {
    let offer = match read_offer(node, from, &signed) {
        Ok(offer) => offer,
        Err(refusals) => return Ok(OfferAnswer::Refused(refusals.into_vec())),
    };
    if let Some(answer) = earlier_answer(node, &offer, &signed)? {
        return Ok(answer);
    }
    if offer.attempt > 1 && is_still_leaving(node, &offer)? {
        let facts =
            [("problem", format!("the last attempt of job {} here is still on its way out", offer.job))];
        return Err(StepError::refused(RefusalCode::Overloaded, node.member(), facts));
    }
    let (permit, screened) = match decide(node, &offer)? {
        Ok(decided) => decided,
        Err(refusals) => return record_refusal(node, offer, signed, refusals, None).await,
    };
    if let Some(refusals) = Refusals::from_reasons(screened.refusals(node)) {
        return record_refusal(node, offer, signed, refusals, Some(screened)).await;
    }
    // Only what the law allows is shown to the engine.
    if let Err(refusals) = engine_consents(node, &offer).await? {
        return record_refusal(node, offer, signed, refusals, Some(screened)).await;
    }
    let trains = training::at_admission(node, &offer)?;
    if let Some(refusals) = trains.as_ref().and_then(|trains| Refusals::from_reasons(trains.refusals(node))) {
        return record_refusal(node, offer, signed, refusals, Some(screened)).await;
    }
    let joins = incident::at_admission(node, &offer)?;
    record(node, offer, signed, permit, Asked { screened, trains, joins }).await
}

/// What the gates said of an offered job.
struct Asked {
    screened: Screened,
    trains: Option<training::Registered>,
    /// The incidents about the model that it trains.
    joins: Option<incident::Newcomer>,
}

impl Asked {
    /// Records what was asked beside the admission; what is held stands still from the beginning.
    fn begin(
        self,
        tx: &mut Tx<'_>,
        guards: &Guards,
        job: JobId,
        files: &[NeededFile],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.screened.begin(tx, guards, job, now)?;
        if let Some(trains) = self.trains {
            trains.begin(tx, guards, now)?;
        }
        self.joins.map_or(Ok(()), |joins| joins.begin(tx, guards, files, now))
    }
}

/// The offer, if its home signed it and it is for this node.
fn read_offer(node: &Node, from: &MemberId, signed: &Signed<Offer>) -> Result<Verified<Offer>, Refusals> {
    let key = |key_id: &str| {
        node.treaty.signing_key(key_id).filter(|(member, _)| member.id == *from).map(|(_, key)| key)
    };
    let no =
        |code, name: &str, value: String| Refusals::one(Refusal::new(code, node.member(), [(name, value)]));
    let offer = signed
        .verify_known(key, &node.signatures_known)
        .map_err(|error| no(RefusalCode::DocumentWrong, "problem", error.to_string()))?;
    if offer.version != Offer::version_of(offer.attempt) {
        return Err(no(RefusalCode::DocumentWrong, "offer.version", offer.version.to_string()));
    }
    if offer.attempt > ATTEMPT_MAX
        || offer.faultless >= offer.attempt
        || offer.saved.is_some() && offer.spec.checkpoint.is_none()
    {
        return Err(no(RefusalCode::DocumentWrong, "offer.attempt", offer.attempt.to_string()));
    }
    if offer.home != *from || offer.host != *node.member() || node.own_site(&offer.site).is_none() {
        return Err(no(RefusalCode::OfferNotForUs, "site.id", offer.site.to_string()));
    }
    if offer.treaty != node.treaty_digest() {
        return Err(no(RefusalCode::TreatyDiffers, "treaty", offer.treaty.to_string()));
    }
    offer.spec.validate().map_err(|error| no(RefusalCode::DocumentWrong, error.field, error.problem))?;
    Ok(offer)
}

/// Whether home was not told yet how the job left here before, or what it left is not gone: then the offer is to come again.
fn is_still_leaving(node: &Node, offer: &Offer) -> Result<bool, StoreError> {
    node.store.read(|connection| {
        let is_untold = outbox::is_waiting(connection, offer.job, Effect::Receipt)?;
        Ok(is_untold || outbox::is_waiting(connection, offer.job, Effect::Wipe)?)
    })
}

fn earlier_answer(
    node: &Node,
    offer: &Offer,
    signed: &Signed<Offer>,
) -> Result<Option<OfferAnswer>, StepError> {
    node.store
        .read(|connection| answer_known(connection, node.member(), offer, signed))
        .map_err(StepError::from)
}

/// What this node said to the offer before, if it did.
fn answer_known(
    connection: &rusqlite::Connection,
    member: &MemberId,
    offer: &Offer,
    signed: &Signed<Offer>,
) -> Result<Option<OfferAnswer>, StoreError> {
    let refused = |code, fact: (&str, String)| OfferAnswer::Refused(vec![Refusal::new(code, member, [fact])]);
    if let Some(refusals) = hosted::refusals_of(connection, offer.offer)? {
        return Ok(Some(OfferAnswer::Refused(refusals)));
    }
    if hosted::is_withdrawn(connection, offer.offer)? {
        return Ok(Some(refused(RefusalCode::OfferWithdrawn, ("offer", offer.offer.to_string()))));
    }
    // One that home took back and that is over here may come again, as a later attempt.
    let comes_again = |job: &HostedJob| {
        let ended = job.state == HostState::Finished && job.cancel_asked;
        ended && job.home == offer.home && offer.attempt > job.attempt
    };
    let known = hosted::find(connection, offer.job)?;
    if known.as_ref().is_some_and(comes_again) && !frozen::is_frozen(connection, offer.job)? {
        return Ok(None);
    }
    Ok(known.map(|job| {
        if job.offer.digest() == signed.digest() {
            OfferAnswer::Admitted(job.admission)
        } else {
            // One job has one admission at a host; anything else could run it twice.
            refused(RefusalCode::Conflict, ("job", offer.job.to_string()))
        }
    }))
}

/// The host's own decision, by its own rules and its own reading of the facts, with what its gate for jobs says.
fn decide(node: &Node, offer: &Offer) -> Result<Result<(Permit, Screened), Refusals>, StepError> {
    let now = node.outside.now();
    let no =
        |code, name: &str, value: String| Refusals::one(Refusal::new(code, node.member(), [(name, value)]));
    if now >= offer.expires_at {
        return Ok(Err(no(RefusalCode::OfferExpired, "offer.expires_at", offer.expires_at.to_string())));
    }
    let Some((site, _)) = node.own_site(&offer.site) else {
        return Ok(Err(no(RefusalCode::OfferNotForUs, "site.id", offer.site.to_string())));
    };
    if offer.price_micro_max != price_micro_max(&site.tariff, &offer.spec) {
        return Ok(Err(no(
            RefusalCode::OfferPriceDiffers,
            "offer.price_micro_max",
            offer.price_micro_max.to_string(),
        )));
    }
    let is_guest = offer.home != *node.member();
    let unsaved = unsaved_too_long(&offer.spec, node.treaty.sharing, site, node.member());
    if let Some(refusal) = unsaved.filter(|_| is_guest) {
        return Ok(Err(Refusals::one(refusal)));
    }
    let records = match records(node, offer) {
        Ok(records) => records,
        Err(refusals) => return Ok(Err(refusals)),
    };
    let permit = match permit(node, offer, site, &records, now)? {
        Ok(permit) => permit,
        Err(refusals) => return Ok(Err(refusals)),
    };
    let candidate =
        Candidate { job: offer.job, home: &offer.home, spec: &offer.spec, site, records: &records };
    Ok(Ok((permit, admission::screen(node, &candidate))))
}

/// Whether the site's engine could ever run the job for this researcher.
async fn engine_consents(node: &Node, offer: &Offer) -> Result<Result<(), Refusals>, StepError> {
    let job = run::described(node, RunId::from(offer.job), offer);
    let Err(objection) = run::engine(node, &offer.site)?.consents(&job).await? else {
        return Ok(Ok(()));
    };
    let site = ("site.id", offer.site.to_string());
    let refusal = match objection {
        Objection::NoAccount { member, project, researcher } => {
            let facts = [
                site,
                ("home.member", member.to_string()),
                ("project", project.to_string()),
                ("researcher", researcher.to_string()),
            ];
            Refusal::new(RefusalCode::AccountMissing, node.member(), facts)
        }
        Objection::Image { image, known } => {
            Refusal::new(RefusalCode::ImageUnknown, node.member(), [site, ("image", image), ("known", known)])
        }
        Objection::Option { option, allowed } => {
            let facts = [site, ("option", option), ("allowed", allowed)];
            Refusal::new(RefusalCode::OptionNotAllowed, node.member(), facts)
        }
        Objection::Shape { reason } => {
            Refusal::new(RefusalCode::EngineCannot, node.member(), [site, ("reason", reason)])
        }
    };
    Ok(Err(Refusals::one(refusal)))
}

fn permit(
    node: &Node,
    offer: &Offer,
    site: &Site,
    records: &[DatasetRecord],
    now: Timestamp,
) -> Result<Result<Permit, Refusals>, StepError> {
    let no = |error: sta_protocol::digest::DigestError| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", error.to_string())])
    };
    let shown = Shown {
        passport: &offer.passport,
        holder_proof: &offer.holder_proof,
        job: offer.job,
        spec: Sha256Digest::of_json(&offer.spec).map_err(no)?,
        home: &offer.home,
        researcher: &offer.researcher,
    };
    let proven = match identity::verify(node, &shown, now) {
        Ok(proven) => proven,
        Err(refusals) => return Ok(Err(refusals)),
    };
    let inputs = RunInputs {
        treaty: &node.treaty,
        now,
        by: node.member(),
        home: &offer.home,
        site: &site.id,
        spec: &offer.spec,
        researcher: &offer.researcher,
        records,
        visas: &proven.visas,
        // Whether a project exists and can pay is its home's to say; home's signature makes it answer for it.
        project_active: true,
        allocation_reserved: offer.allocation_reserved,
        witness_behind: crate::peers::witness::is_behind(node, &offer.home)?,
    };
    let facts = match RunFacts::assemble(&inputs).into_result() {
        Ok(facts) => facts,
        Err(refusals) => return Ok(Err(refusals)),
    };
    Ok(authorize(&node.rules, &facts).into_result())
}

/// The dataset records the offer goes by: each signed by the dataset's own member, and not older than the one known here.
pub(super) fn records(node: &Node, offer: &Offer) -> Result<Vec<DatasetRecord>, Refusals> {
    let unknown = |problem: String| {
        Refusals::one(Refusal::new(RefusalCode::DatasetUnknown, node.member(), [("problem", problem)]))
    };
    let mut records = Vec::new();
    for signed in &offer.datasets {
        let record = verify_record(node, signed).map_err(&unknown)?;
        let known = node.store.read(|connection| crate::store::registry::dataset(connection, &record.id));
        // A dataset's own member, and whoever has a newer record, goes by the newer one: it may be stricter.
        let newer = known.ok().flatten().and_then(|known| verify_record(node, &known).ok());
        records.push(newer.filter(|newer| newer.recorded_at > record.recorded_at).unwrap_or(record));
    }
    Ok(records)
}

/// The same offer may have been admitted beside this decision; then that is the answer, or it could run twice.
async fn record_refusal(
    node: &Node,
    offer: Verified<Offer>,
    signed: Signed<Offer>,
    refusals: Refusals,
    screened: Option<Screened>,
) -> Result<OfferAnswer, StepError> {
    let refusals = refusals.into_vec();
    for refusal in &refusals {
        node.metrics.refused(&refusal.rule);
    }
    let (member, now, guards) = (node.member().clone(), node.outside.now(), node.guards.clone());
    let answer = node.store.write(move |tx| {
        if let Some(answer) = answer_known(tx.connection(), &member, &offer, &signed)? {
            return Ok(answer);
        }
        hosted::refuse_offer(tx, offer.offer, &refusals, now)?;
        tx.audit(entry("offer.refused", &offer, serde_json::json!({"refusals": refusals}), now));
        screened.into_iter().try_for_each(|screened| screened.note(tx, &guards))?;
        Ok(OfferAnswer::Refused(refusals))
    });
    Ok(answer.await?)
}

/// Capacity is decided within the transaction that takes it, so that no two offers are given the same room.
async fn record(
    node: &Node,
    offer: Verified<Offer>,
    signed: Signed<Offer>,
    permit: Permit,
    asked: Asked,
) -> Result<OfferAnswer, StepError> {
    let Some((site, settings)) = node.own_site(&offer.site) else {
        return Err(StepError::refused(
            RefusalCode::OfferNotForUs,
            node.member(),
            [("site.id", offer.site.to_string())],
        ));
    };
    let admission = admission(node, &offer, &signed, &permit);
    let admission = Signed::sign_known(&admission, &node.keys.signing, &node.signatures_known);
    let admission = admission.map_err(|error| StepError::Damaged {
        what: "admission",
        job: offer.job,
        problem: error.to_string(),
    })?;
    let (site, member, queued_max, now) =
        (site.clone(), node.member().clone(), settings.queue_max, node.outside.now());
    let lane = Lane::Staging(site.id.clone());
    // A job without a file has nothing to wait for but room.
    let brings_in = !stage::files(node, &offer).is_empty();
    let (put_lane, site_id) = (brings_in.then(|| lane.clone()), site.id.clone());
    let (files, project, disk) =
        (disk::needed(node, &offer), disk::project_of(&offer), node.config.disk.clone());
    let guards = node.guards.clone();
    let answer = node.store.write(move |tx| {
        if let Some(answer) = answer_known(tx.connection(), &member, &offer, &signed)? {
            return Ok(answer);
        }
        let is_guest = offer.home != member;
        let load = load(tx, &site, &member, queued_max)?;
        let verdict = match disk::over_quota(tx.connection(), &disk, &member, &project, &files)? {
            Some(refusal) => Err(Refusals::one(refusal)),
            None => admit(permit, demand_of(&offer.spec), &site, load, is_guest).into_result(),
        };
        match verdict {
            Ok(admitted) => {
                blob_uses::need(tx, Side::Host, offer.job, &project, &files)?;
                let answer =
                    keep(tx, &member, &offer, (signed, admission), &admitted, put_lane.as_ref(), now)?;
                asked.begin(tx, &guards, offer.job, &files, now)?;
                Ok(answer)
            }
            Err(refusals) => {
                let refusals = refusals.into_vec();
                hosted::refuse_offer(tx, offer.offer, &refusals, now)?;
                tx.audit(entry("offer.refused", &offer, serde_json::json!({"refusals": refusals}), now));
                asked.screened.note(tx, &guards)?;
                Ok(OfferAnswer::Refused(refusals))
            }
        }
    });
    let answer = answer.await?;
    if brings_in {
        node.wake(&lane);
    } else {
        node.wake_site(&site_id);
    }
    Ok(answer)
}

fn admission(node: &Node, offer: &Offer, signed: &Signed<Offer>, permit: &Permit) -> Admission {
    Admission {
        version: VERSION,
        admission: AdmissionId::new(node.outside.now_ms(), node.outside.random()),
        offer: offer.offer,
        offer_digest: signed.digest(),
        job: offer.job,
        home: offer.home.clone(),
        host: node.member().clone(),
        site: offer.site.clone(),
        price_micro_max: offer.price_micro_max,
        policies: permit.rules(),
        admitted_at: node.outside.now(),
    }
}

fn load(tx: &Tx<'_>, site: &Site, owner: &MemberId, queued_max: u32) -> Result<SiteLoad, StoreError> {
    let held = hosted::site_use(tx.connection(), &site.id, owner)?;
    let guests = Resources {
        cpu_cores: held.running_guests.cpu_cores.saturating_add(held.waiting_guests.cpu_cores),
        memory_bytes: held.running_guests.memory_bytes.saturating_add(held.waiting_guests.memory_bytes),
        gpus: held.running_guests.gpus.saturating_add(held.waiting_guests.gpus),
    };
    // What guests wait for counts as held: the treaty's share is a promise to the owner, not a hope.
    Ok(SiteLoad { running_home: held.running_home, running_guests: guests, queued: held.waiting, queued_max })
}

fn keep(
    tx: &mut Tx<'_>,
    member: &MemberId,
    offer: &Offer,
    (signed, admission): (Signed<Offer>, Signed<Admission>),
    admitted: &Admitted,
    staging: Option<&Lane>,
    now: Timestamp,
) -> Result<OfferAnswer, StoreError> {
    let job = HostedJob {
        job: offer.job,
        offer_id: offer.offer,
        offer: signed,
        admission: admission.clone(),
        home: offer.home.clone(),
        site: offer.site.clone(),
        attempt: offer.attempt,
        state: if staging.is_some() { HostState::Staging } else { HostState::Ready },
        resources: admitted.demand(),
        cancel_asked: false,
        held: false,
        admitted_at: now,
        not_before: None,
        started_at: None,
        notice_at: None,
        // Whatever was no fault of a site uses up none of its attempts, here as anywhere.
        reclaimed: offer.faultless,
        receipt: None,
    };
    hosted::forget_ended(tx, job.job, &job.home)?;
    // The owner's own keep the place in which they came, wherever they have been since.
    let came = if job.home == *member { jobs::first_decided_at(tx.connection(), job.job)? } else { None };
    hosted::insert(tx, &job, longest_ms(&offer.spec), came.unwrap_or(now).min(now))?;
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    if let Some(lane) = staging {
        outbox::put(tx, lane, Effect::Stage, offer.job, &offer.offer.to_string(), now_ms)?;
    }
    let permitted_by = admitted.permit().allowed_by();
    let payload = serde_json::json!({"admission": admission.digest(), "permitted_by": permitted_by});
    tx.audit(entry("job.admitted", offer, payload, now));
    Ok(OfferAnswer::Admitted(admission))
}

/// How long a job may run at most. A site that does not order its jobs itself runs the tasks of an array one after the other.
fn longest_ms(spec: &JobSpec) -> u64 {
    u64::from(spec.time_limit_s) * 1000 * u64::from(spec.shape.count)
}

fn entry(kind: &'static str, offer: &Offer, mut payload: serde_json::Value, at: Timestamp) -> PendingEntry {
    payload["offer"] = serde_json::json!(offer.offer);
    payload["home"] = serde_json::json!(offer.home);
    payload["site"] = serde_json::json!(offer.site);
    PendingEntry { kind, subject: offer.job.to_string(), payload, at }
}
