// SPDX-License-Identifier: Apache-2.0
//! Wait: a job that names others is decided on when all of them have completed, as if it came only then.

use sta_protocol::{
    ids::{JobId, MemberId},
    job::JobSpec,
    refusal::{Refusal, RefusalCode},
};

use super::{
    StepError,
    dossier::Dossier,
    submit::{self, Decided},
};
use crate::{
    node::Node,
    store::{
        StoreError, Tx,
        jobs::{self, HomeJob, HomeState},
        outbox::{self, Effect, Lane, Waiting},
        registry, waits,
    },
};

/// Whether every job that this one names is one of its own project at this home. Nothing is said of another project's jobs.
///
/// # Errors
/// One is not; or the store failed.
pub(super) fn check(node: &Node, spec: &JobSpec) -> Result<(), StepError> {
    for id in &spec.after {
        let known = node.store.read(|connection| jobs::standing(connection, *id))?;
        if known.is_none_or(|(project, _)| project != spec.project) {
            let facts = [("after", id.to_string()), ("project", spec.project.to_string())];
            return Err(StepError::refused(RefusalCode::DependencyUnknown, node.member(), facts));
        }
    }
    Ok(())
}

/// Keeps a new job that waits. Those it waits for may end at any moment: what is left of them is looked up in the
/// transaction that writes the job.
pub(super) fn begin(tx: &Tx<'_>, job: &HomeJob) -> Result<(), StoreError> {
    let mut unfinished = Vec::new();
    let mut failed = false;
    for id in &job.spec.after {
        match jobs::standing(tx.connection(), *id)? {
            Some((_, HomeState::Completed)) => {}
            Some((_, state)) if !state.is_final() => unfinished.push(*id),
            Some(_) | None => failed = true,
        }
    }
    if failed || unfinished.is_empty() {
        outbox::put(tx, &Lane::Home, Effect::Decide, job.id, &job.id.to_string(), 0)
    } else {
        waits::put(tx, job.id, &unfinished)
    }
}

/// Decides on a job whose predecessors have ended, or one of which ended without success.
///
/// # Errors
/// The store failed: decided later.
pub async fn decide(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let found = node.store.read(|connection| {
        let job = jobs::find(connection, waiting.job)?.filter(|job| job.state == HomeState::Waiting);
        let researcher = match &job {
            Some(job) => registry::researcher(connection, &job.researcher)?,
            None => None,
        };
        Ok(job.map(|job| (job, researcher)))
    })?;
    if let Some((job, researcher)) = found {
        let failed = first_failed(node, &job)?;
        match (failed, researcher) {
            (None, Some(researcher)) => submit::decide_on(node, &researcher, job, Decided::Later).await?,
            (Some(refusal), _) => refuse(node, job, refusal).await?,
            // Who asked is no longer known here.
            (None, None) => {
                let facts = [("project", job.project.to_string())];
                let refusal = Refusal::new(RefusalCode::ProjectUnknown, node.member(), facts);
                refuse(node, job, refusal).await?
            }
        };
    }
    let id = waiting.id;
    node.store.write(move |tx| outbox::done(tx, id)).await?;
    Ok(())
}

async fn refuse(node: &Node, job: HomeJob, refusal: Refusal) -> Result<HomeJob, StepError> {
    let dossier = Dossier::without_sites(node, vec![refusal]);
    submit::refuse(node, job, (dossier, Vec::new()), Decided::Later).await
}

/// The first of a job's predecessors that ended in another way than completed.
fn first_failed(node: &Node, job: &HomeJob) -> Result<Option<Refusal>, StoreError> {
    for id in &job.spec.after {
        let state = node.store.read(|connection| jobs::standing(connection, *id))?.map(|(_, state)| state);
        if let Some(state) = state.filter(|state| state.is_final() && *state != HomeState::Completed) {
            return Ok(Some(failed(*id, state, node.member())));
        }
    }
    Ok(None)
}

fn failed(after: JobId, state: HomeState, by: &MemberId) -> Refusal {
    let facts = [("after", after.to_string()), ("state", state.as_str().to_owned())];
    Refusal::new(RefusalCode::DependencyFailed, by, facts)
}
