// SPDX-License-Identifier: Apache-2.0
//! Run: the host hands a job to the site's engine and tells home that it runs. Nothing runs without an admission.

use jiff::Timestamp;
use sta_protocol::{
    digest::Sha256Digest,
    federation::{Admission, Offer, Progress, VERSION},
    ids::{MemberId, SiteId},
    jws::{Signed, Verified},
    refusal::RefusalCode,
};

use super::{StepError, hold, meter, stage};
use crate::{
    engines::{Engine, EngineError, EngineJob, Exit, Outcome, Owner, RunId, StagedInput, Usage},
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        holds,
        hosted::{self, HostState, HostedJob},
        jobs::{self, HomeJob, HomeState},
        outbox::{self, Effect, Lane, Waiting},
        reclaims::{self, Notices},
    },
};

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
        let engine = engine(node, &job.site)?;
        if job.held {
            // Suspended since it was chosen to start: the engine takes it over and does not let it begin.
            hold::put_in_force(engine, &job).await?;
        }
        match engine.submit(&engine_job).await {
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
    let admission = job
        .admission
        .verify_known(key, &node.signatures_known)
        .map_err(|error| damaged(error.to_string()))?;
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
        checkpoint: spec.checkpoint.is_some(),
        saved: offer.saved.as_ref().map(|saved| saved.sha256),
        environment: Vec::new(),
    }
}

/// The engine says that the job runs.
pub(super) async fn began(node: &Node, job: &HostedJob, started_at: Timestamp) -> Result<(), StepError> {
    let (run, home, now) = (job.run(), Lane::Peer(job.home.clone()), node.outside.now());
    let lane = home.clone();
    let write = node.store.write(move |tx| {
        let starting = |job: &HostedJob| job.state == HostState::Starting && job.run() == run;
        let Some(mut job) = hosted::find(tx.connection(), run.job)?.filter(starting) else {
            return Ok(());
        };
        job.state = HostState::Running;
        job.started_at = Some(started_at);
        hosted::update(tx, &job)?;
        let mut payload = serde_json::json!({"site": job.site, "started_at": started_at});
        if run.attempt > 1 {
            payload["attempt"] = run.attempt.into();
        }
        tx.audit(PendingEntry { kind: "job.started", subject: run.job.to_string(), payload, at: now });
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        outbox::put(tx, &home, Effect::Progress, run.job, &run.to_string(), now_ms)
    });
    write.await?;
    node.wake(&lane);
    Ok(())
}

/// Tells home that the job runs, why it is or was suspended, and that it was given notice: what the record says now, however old the effect is.
///
/// # Errors
/// Home is away: told again later.
pub async fn report_progress(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let (job, holds) = node.store.read(|connection| {
        Ok((hosted::find(connection, waiting.job)?, holds::of(connection, waiting.job)?))
    })?;
    let has_news = |job: &HostedJob| job.started_at.is_some() || job.notice_at.is_some() || !holds.is_empty();
    if let Some(job) = job.filter(has_news) {
        let progress = Progress {
            version: VERSION,
            job: job.job,
            host: node.member().clone(),
            attempt: job.attempt,
            started_at: job.started_at,
            notice_at: job.notice_at,
            holds,
        };
        let signed = Signed::sign(&progress, &node.keys.signing).map_err(|error| StepError::Damaged {
            what: "progress",
            job: job.job,
            problem: error.to_string(),
        })?;
        if job.home == *node.member() {
            receive_progress(node, &job.home, signed).await?;
        } else {
            node.outbound()
                .tell(
                    &job.home,
                    "/federation/v1/progress",
                    progress_key(job.run(), &progress, &signed),
                    &signed,
                )
                .await?;
        }
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

/// The idempotency key of the word that an attempt began: the job's id, and for later attempts one that follows from both. Where
/// it tells of suspensions or of a notice it follows from the whole document, since no two such words need be the same.
fn progress_key(run: RunId, progress: &Progress, signed: &Signed<Progress>) -> uuid::Uuid {
    let tells_begin_alone = progress.holds.is_empty() && progress.notice_at.is_none();
    let text = match (tells_begin_alone, run.attempt) {
        (true, 1) => return uuid::Uuid::from_bytes(*run.job.as_bytes()),
        (true, _) => format!("progress {run}"),
        (false, _) => format!("progress {run} {}", signed.digest()),
    };
    let digest = Sha256Digest::of(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
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
    let (host, is_own) = (from.clone(), from == node.member());
    node.store.write(move |tx| note_running(tx, &progress, &host, is_own)).await?;
    Ok(())
}

/// What this node's own host decided is in the same table already.
fn note_running(tx: &Tx<'_>, progress: &Progress, host: &MemberId, is_own: bool) -> Result<(), StoreError> {
    let at_host = |job: &HomeJob| job.host.as_ref() == Some(host);
    let Some(mut job) = jobs::find(tx.connection(), progress.job)?.filter(at_host) else {
        return Ok(());
    };
    if !is_own {
        holds::replace(tx, job.id, &progress.holds)?;
    }
    let is_current = !job.state.is_final() && job.attempt == progress.attempt;
    let notices = reclaims::at_home(tx.connection(), job.id)?;
    if is_current && notices.notice_at != progress.notice_at {
        reclaims::note_at_home(tx, job.id, Notices { notice_at: progress.notice_at, ..notices })?;
    }
    // Word of an earlier attempt may come late.
    let began = progress.started_at.filter(|_| is_current);
    if let Some(began) = began {
        job.started_at = Some(began);
        if job.admission.is_some() {
            job.state = HomeState::Running;
        }
        jobs::update(tx, &job)?;
    }
    Ok(())
}
