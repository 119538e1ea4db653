// SPDX-License-Identifier: Apache-2.0
//! Run: the host hands a job to the site's engine when there is room, and follows it. Nothing runs without an admission.

use jiff::Timestamp;
use sta_protocol::{
    federation::{Admission, Offer, Progress, VERSION},
    ids::{MemberId, SiteId},
    jws::{Signed, Verified},
    refusal::RefusalCode,
    treaty::Resources,
};

use super::{StepError, meter, stage};
use crate::{
    engines::{Engine, EngineError, EngineJob, Exit, Observation, Outcome, Owner, RunId, StagedInput, Usage},
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        hosted::{self, HostState, HostedJob},
        jobs::{self, HomeState},
        outbox::{self, Effect, Lane, Waiting},
    },
};

/// How many jobs of a site one look follows.
const LOOK_MAX: u32 = 1000;
/// How many jobs of a site are started at once; the next look starts the next.
const START_MAX: u32 = 32;

/// Starts waiting jobs, in the order they were admitted, while the site has room. Strictly in order: a small job never
/// passes a large one, so that the large one's turn comes.
///
/// # Errors
/// The store failed.
pub async fn dispatch(node: &Node, site: &SiteId) -> Result<(), StepError> {
    let Some((terms, _)) = node.own_site(site) else { return Ok(()) };
    let (held, ready) = node.store.read(|connection| {
        let held = hosted::site_use(connection, site, node.member())?;
        Ok((held, hosted::list(connection, site, HostState::Ready, START_MAX)?))
    })?;
    let used = add(held.running_home, held.running_guests);
    let first = ready.iter().find(|job| !job.cancel_asked);
    // Without room for the first nothing starts, and the writer is left alone.
    if !first.is_some_and(|job| fits(add(used, job.resources), terms.resources)) {
        return Ok(());
    }
    let (whole, owner, site, lane) =
        (terms.resources, node.member().clone(), site.clone(), Lane::Engine(site.clone()));
    let (put_lane, now_ms) = (lane.clone(), node.outside.now_ms());
    let started = node.store.write(move |tx| {
        let held = hosted::site_use(tx.connection(), &site, &owner)?;
        let mut used = add(held.running_home, held.running_guests);
        let mut started = false;
        let ready = hosted::list(tx.connection(), &site, HostState::Ready, START_MAX)?;
        // One that home has taken back is ended without having run, by who received the withdrawal.
        for mut job in ready.into_iter().filter(|job| !job.cancel_asked) {
            used = add(used, job.resources);
            if !fits(used, whole) {
                break;
            }
            job.state = HostState::Starting;
            hosted::update(tx, &job)?;
            // Durable now: the engine is told from the outbox, and looks the job up before it takes it.
            outbox::put(tx, &put_lane, Effect::Start, job.job, &job.offer_id.to_string(), now_ms)?;
            started = true;
        }
        Ok(started)
    });
    if started.await? {
        node.wake(&lane);
    }
    Ok(())
}

fn fits(used: Resources, whole: Resources) -> bool {
    used.cpu_cores <= whole.cpu_cores && used.memory_bytes <= whole.memory_bytes && used.gpus <= whole.gpus
}

fn add(a: Resources, b: Resources) -> Resources {
    Resources {
        cpu_cores: a.cpu_cores.saturating_add(b.cpu_cores),
        memory_bytes: a.memory_bytes.saturating_add(b.memory_bytes),
        gpus: a.gpus.saturating_add(b.gpus),
    }
}

/// Hands the job to the engine.
///
/// # Errors
/// The engine did not answer: whether it took the job is unknown, and it is asked again with the same id.
pub async fn start(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let Some(job) = node.store.read(|connection| hosted::find(connection, waiting.job))? else {
        return Err(StepError::Damaged {
            what: "row",
            job: waiting.job,
            problem: "it is missing".to_owned(),
        });
    };
    let site = job.site.clone();
    if job.state == HostState::Starting {
        let admission = own_admission(node, &job)?;
        let engine_job = engine_job(node, &job, &admission)?;
        match engine(node, &job.site)?.submit(&engine_job).await {
            Ok(()) => {}
            // It can never run here: the site's fault, told in the receipt, and not paid.
            Err(EngineError::Invalid { reason, .. }) => {
                return meter::finish(node, &job, never_ran(node.outside.now(), Exit::SiteFault(reason)))
                    .await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    node.wake_site(&site);
    Ok(())
}

/// Stops the job at the engine; what it left is seen when the engine says that it is over.
///
/// # Errors
/// The engine did not answer: it is asked again.
pub async fn stop(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    if let Some(job) = node.store.read(|connection| hosted::find(connection, waiting.job))? {
        engine(node, &job.site)?.cancel(job.run()).await?;
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

/// An outcome for a job that the engine never began.
pub(super) fn never_ran(now: Timestamp, exit: Exit) -> Outcome {
    Outcome {
        exit,
        started_at: now,
        ended_at: now,
        usage: Usage::default(),
        tasks: Vec::new(),
        limits_enforced: Vec::new(),
        outputs: Vec::new(),
        outputs_missing: Vec::new(),
    }
}

pub(super) fn engine<'a>(node: &'a Node, site: &SiteId) -> Result<&'a dyn Engine, StepError> {
    let missing =
        || StepError::refused(RefusalCode::OfferNotForUs, node.member(), [("site.id", site.to_string())]);
    node.engines.get(site).map(AsRef::as_ref).ok_or_else(missing)
}

/// This node's own signature is checked again before anything runs: a row in a table is no admission.
fn own_admission(node: &Node, job: &HostedJob) -> Result<Verified<Admission>, StepError> {
    let damaged = |problem: String| StepError::Damaged { what: "admission", job: job.job, problem };
    let own = node.keys.signing.public_key();
    let key = |key_id: &str| (own.key_id() == key_id).then_some(own);
    let admission = job.admission.verify(key).map_err(|error| damaged(error.to_string()))?;
    let fits = admission.job == job.job
        && admission.offer_digest == job.offer.digest()
        && admission.site == job.site;
    if fits { Ok(admission) } else { Err(damaged("it is for another offer".to_owned())) }
}

/// What the engine is given; made only from an admission.
fn engine_job(node: &Node, job: &HostedJob, admission: &Verified<Admission>) -> Result<EngineJob, StepError> {
    let offer = stage::offer_of(job)?;
    let id = RunId { job: admission.job, attempt: job.attempt };
    Ok(described(node, id, &offer))
}

/// A job as the engine sees it.
pub(super) fn described(node: &Node, id: RunId, offer: &Offer) -> EngineJob {
    let spec = offer.spec.clone();
    let input = |file: stage::JobFile| StagedInput {
        name: file.name,
        sha256: file.sha256,
        path: node.blobs.path(file.sha256),
    };
    EngineJob {
        id,
        owner: Owner {
            member: offer.home.clone(),
            project: spec.project,
            researcher: offer.researcher.clone(),
        },
        name: spec.name,
        image: spec.image,
        shape: spec.shape,
        site_options: spec.site_options,
        command: spec.command,
        inputs: stage::files(node, offer).into_iter().map(input).collect(),
        outputs: spec.outputs,
        cpu_cores: spec.cpu_cores,
        memory_bytes: spec.memory_bytes,
        gpus: spec.gpus,
        time_limit_s: spec.time_limit_s,
        network: spec.network,
        environment: Vec::new(),
    }
}

/// Looks at every job the engine has, and records what is new. Returns how many are under way.
///
/// # Errors
/// The engine or the store failed for one of them; the others were looked at.
pub async fn observe(node: &Node, site: &SiteId) -> Result<usize, StepError> {
    let mut under_way = Vec::new();
    for state in [HostState::Starting, HostState::Running] {
        under_way.extend(node.store.read(|connection| hosted::list(connection, site, state, LOOK_MAX))?);
    }
    let mut trouble = None;
    for job in &under_way {
        if let Err(error) = observe_one(node, site, job).await {
            trouble = Some(error);
        }
    }
    trouble.map_or(Ok(under_way.len()), Err)
}

async fn observe_one(node: &Node, site: &SiteId, job: &HostedJob) -> Result<(), StepError> {
    match engine(node, site)?.observe(job.run()).await? {
        // Not taken over yet: the effect that does it is in the outbox.
        Observation::Unknown | Observation::Pending { .. } => Ok(()),
        Observation::Running { started_at } if job.started_at.is_none() => began(node, job, started_at).await,
        Observation::Running { .. } => Ok(()),
        Observation::Finished(outcome) => meter::finish(node, job, outcome).await,
    }
}

async fn began(node: &Node, job: &HostedJob, started_at: Timestamp) -> Result<(), StepError> {
    let (id, home, now) = (job.job, Lane::Peer(job.home.clone()), node.outside.now());
    let lane = home.clone();
    let write = node.store.write(move |tx| {
        let Some(mut job) = hosted::find(tx.connection(), id)?.filter(|job| job.state == HostState::Starting)
        else {
            return Ok(());
        };
        job.state = HostState::Running;
        job.started_at = Some(started_at);
        hosted::update(tx, &job)?;
        let payload = serde_json::json!({"site": job.site, "started_at": started_at});
        tx.audit(PendingEntry { kind: "job.started", subject: id.to_string(), payload, at: now });
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        outbox::put(tx, &home, Effect::Progress, id, &id.to_string(), now_ms)
    });
    write.await?;
    node.wake(&lane);
    Ok(())
}

/// Tells home that the job runs.
///
/// # Errors
/// Home is away: told again later.
pub async fn report_progress(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let job = node.store.read(|connection| hosted::find(connection, waiting.job))?;
    if let Some((job, started_at)) = job.and_then(|job| job.started_at.map(|at| (job, at))) {
        let progress = Progress { version: VERSION, job: job.job, host: node.member().clone(), started_at };
        let signed = Signed::sign(&progress, &node.keys.signing).map_err(|error| StepError::Damaged {
            what: "progress",
            job: job.job,
            problem: error.to_string(),
        })?;
        if job.home == *node.member() {
            receive_progress(node, &job.home, signed).await?;
        } else {
            let key = uuid::Uuid::from_bytes(*job.job.as_bytes());
            node.outbound().tell(&job.home, "/federation/v1/progress", key, &signed).await?;
        }
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

/// Home learns that its job runs.
///
/// # Errors
/// The document is not the host's, or the job is not at that host.
pub async fn receive_progress(
    node: &Node,
    from: &MemberId,
    signed: Signed<Progress>,
) -> Result<(), StepError> {
    let key = |key_id: &str| {
        node.treaty.signing_key(key_id).filter(|(member, _)| member.id == *from).map(|(_, key)| key)
    };
    let wrong = |problem: String| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", problem)])
    };
    let progress = signed.verify(key).map_err(|error| wrong(error.to_string()))?;
    if progress.host != *from {
        return Err(wrong("another member's progress".to_owned()));
    }
    let (job, started_at, host) = (progress.job, progress.started_at, from.clone());
    node.store.write(move |tx| note_running(tx, job, &host, started_at)).await?;
    Ok(())
}

fn note_running(
    tx: &Tx<'_>,
    job: sta_protocol::ids::JobId,
    host: &MemberId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(mut job) = jobs::find(tx.connection(), job)?.filter(|job| job.host.as_ref() == Some(host))
    else {
        return Ok(());
    };
    if !job.state.is_final() {
        job.started_at = Some(at);
        if job.admission.is_some() {
            job.state = HomeState::Running;
        }
        jobs::update(tx, &job)?;
    }
    Ok(())
}
