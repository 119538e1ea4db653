// SPDX-License-Identifier: Apache-2.0
//! Stage: the host brings a job's files in, in ranges, from where it stopped, and checks each against its SHA-256.

use http::StatusCode;
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    federation::{Hold, Offer},
    ids::MemberId,
    refusal::RefusalCode,
};

use super::{
    StepError, admit, arrive, gates::admission, meter, registry::verify_record, run,
    transfer::TransferRequest,
};
use crate::{
    engines::{CHECKPOINT_INPUT, Exit},
    node::Node,
    peers::outbound::CallError,
    store::{
        StoreError,
        blob_uses::{self, NeededFile},
        holds,
        hosted::{self, HostState, HostedJob},
        outbox::{self, Waiting},
        possessions::Party,
    },
};

/// What a holder answers that will not become a yes.
pub(super) const LASTING: [StatusCode; 3] =
    [StatusCode::FORBIDDEN, StatusCode::CONFLICT, StatusCode::NOT_FOUND];

/// One file of a job: its name in the working directory, what it is, and who has it.
#[derive(Debug, Clone)]
pub struct JobFile {
    /// The name in the working directory.
    pub name: String,
    /// What it is.
    pub sha256: Sha256Digest,
    /// Its length.
    pub bytes: u64,
    /// The member that holds it.
    pub holder: MemberId,
    /// How sensitive it is.
    pub class: Class,
}

/// Brings in what is missing; then the job waits for room.
///
/// # Errors
/// A holder is away or refuses, or a file is not what was announced: tried again from where it stopped.
pub async fn stage(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    if put_off(node, waiting).await? {
        return Ok(());
    }
    let job = node.store.read(|connection| hosted::find(connection, waiting.job))?;
    if let Some(job) = job.filter(|job| job.state == HostState::Staging) {
        let offer = offer_of(&job)?;
        if let Err(error) = bring_in(node, &job, &offer).await {
            let reason = lasting(error)?;
            let outcome = run::never_ran(node.outside.now(), Exit::SiteFault(reason));
            return meter::finish(node, &job, outcome).await;
        }
    }
    let id = waiting.id;
    let job = waiting.job;
    let site = node
        .store
        .write(move |tx| {
            outbox::done(tx, id)?;
            let Some(mut job) =
                hosted::find(tx.connection(), job)?.filter(|job| job.state == HostState::Staging)
            else {
                return Ok(None);
            };
            job.state = HostState::Ready;
            hosted::update(tx, &job)?;
            Ok(Some(job.site))
        })
        .await?;
    if let Some(site) = site {
        node.wake_site(&site);
    }
    Ok(())
}

/// Takes the effect out of its lane while a gate holds the data of the job: nothing of it moves before somebody has let it go,
/// and then [`hold::resume`](super::hold::resume) puts it back.
async fn put_off(node: &Node, waiting: &Waiting) -> Result<bool, StepError> {
    if !node.store.read(|connection| holds::of(connection, waiting.job))?.iter().any(is_open_for_data) {
        return Ok(false);
    }
    let (id, job) = (waiting.id, waiting.job);
    let write = node.store.write(move |tx| {
        let held = holds::of(tx.connection(), job)?.iter().any(is_open_for_data);
        if held {
            outbox::done(tx, id)?;
        }
        Ok(held)
    });
    Ok(write.await?)
}

/// Whether it is a reason for which the data of a job must not move.
pub(super) fn is_open_for_data(hold: &Hold) -> bool {
    hold.is_open() && admission::is_hold_of_data(&hold.reason)
}

/// The reason for which a file will never come: its holder's rules, documents that do not fit, or no such file. The job
/// then ends instead of being tried for ever.
///
/// # Errors
/// The trouble itself, where it may pass.
fn lasting(error: StepError) -> Result<String, StepError> {
    let rules = |rules: Vec<&str>| rules.join(", ");
    match error {
        StepError::Call(CallError::Refused { member, status, refusals }) if LASTING.contains(&status) => {
            let rules = rules(refusals.iter().map(|refusal| refusal.rule.as_str()).collect());
            Ok(format!("`{member}`, who holds a file of the job, refuses it: {rules}"))
        }
        StepError::Refused(refusals) => {
            Ok(format!("a file of the job cannot be brought in: {}", rules(refusals.rules().collect())))
        }
        passing => Err(passing),
    }
}

/// The offer that a hosted job was admitted by; it was verified before it was stored.
pub(super) fn offer_of(job: &HostedJob) -> Result<Offer, StepError> {
    job.offer.peek_unverified().map_err(|error| StepError::Damaged {
        what: "offer",
        job: job.job,
        problem: error.to_string(),
    })
}

/// Every file of a job, the researcher's own, those of its datasets, and what it goes on from.
pub(super) fn files(node: &Node, offer: &Offer) -> Vec<JobFile> {
    let inputs = offer.spec.inputs.iter().map(|input| JobFile {
        name: input.name.clone(),
        sha256: input.sha256,
        bytes: input.bytes,
        holder: offer.home.clone(),
        class: input.class,
    });
    let records = offer.datasets.iter().filter_map(|signed| verify_record(node, signed).ok());
    let datasets = records.flat_map(|record| {
        let (holder, class) = (record.id.member().clone(), record.class);
        record.files.into_iter().map(move |file| JobFile {
            name: file.name,
            sha256: file.sha256,
            bytes: file.bytes,
            holder: holder.clone(),
            class,
        })
    });
    let saved = offer.saved.iter().map(|saved| JobFile {
        name: CHECKPOINT_INPUT.to_owned(),
        sha256: saved.sha256,
        bytes: saved.bytes,
        holder: offer.home.clone(),
        class: saved.class,
    });
    inputs.chain(datasets).chain(saved).collect()
}

/// Lists what comes in before its first byte is here, so that it can go again whatever happens.
async fn list(node: &Node, missing: &[JobFile]) -> Result<(), StepError> {
    if missing.is_empty() {
        return Ok(());
    }
    let now = node.outside.now();
    let needed = |file: &JobFile| NeededFile { sha256: file.sha256, bytes: file.bytes, class: file.class };
    let (files, blobs): (Vec<NeededFile>, _) = (missing.iter().map(needed).collect(), node.blobs.clone());
    let write = node.store.write(move |tx| {
        // One that is here to stay would go with those that pass.
        let coming = files.iter().filter(|file| !blobs.has(file.sha256));
        coming.into_iter().try_for_each(|file| blob_uses::staging(tx, file, now))
    });
    Ok(write.await?)
}

/// Whether a file needs nobody's bytes: it is this member's own, or its holder has sent it before.
fn is_here(node: &Node, file: &JobFile) -> Result<bool, StoreError> {
    match &file.holder {
        own if own == node.member() => Ok(node.blobs.has(file.sha256)),
        holder => node.has_for(file.sha256, &Party::Member(holder.clone())),
    }
}

async fn bring_in(node: &Node, job: &HostedJob, offer: &Offer) -> Result<(), StepError> {
    let files = files(node, offer);
    let mut missing = Vec::new();
    for file in &files {
        if !is_here(node, file)? {
            missing.push(file.clone());
        }
    }
    // Who answers for data decides for every job, also where an earlier one has brought it here. Home has by its offer.
    let records = admit::records(node, offer).map_err(StepError::Refused)?;
    let above_open = records.iter().filter(|record| record.class != Class::Open && !record.files.is_empty());
    let answer = above_open
        .map(|record| record.id.member())
        .filter(|member| **member != offer.home && *member != node.member());
    let mut holders: Vec<&MemberId> = missing.iter().map(|file| &file.holder).chain(answer).collect();
    holders.sort();
    holders.dedup();
    for holder in holders {
        if holder == node.member() {
            let facts = [("job", job.job.to_string())];
            return Err(StepError::refused(RefusalCode::DatasetUnknown, node.member(), facts));
        }
        let request = TransferRequest { offer: job.offer.clone(), admission: job.admission.clone() };
        // Asked anew at each attempt: the same key would bring back an answer from before a file was granted or lost.
        let key = uuid::Builder::from_random_bytes(node.outside.random()).into_uuid();
        node.outbound().tell(holder, "/federation/v1/transfers", key, &request).await?;
    }
    list(node, &missing).await?;
    for file in &missing {
        let path = format!("/federation/v1/transfers/{}/{}", job.job, file.sha256);
        arrive::bring(node, &file.holder, &path, file.sha256, file.bytes).await?;
    }
    Ok(())
}
