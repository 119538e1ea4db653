// SPDX-License-Identifier: Apache-2.0
//! Deliver: outputs and logs to whom they belong, at home and across the border; what is held stays, with the rule that holds it.

use sta_decide::verdict::Refusals;
use sta_protocol::{
    digest::Sha256Digest,
    ids::{JobId, MemberId},
    refusal::{Refusal, RefusalCode},
};

use super::{StepError, fetch, gates::weights, meter, run, stage};
use crate::{
    engines::{EngineError, LogChunk, Stream},
    node::Node,
    peers::outbound::CallError,
    store::{
        hosted::{self, HostedJob},
        jobs::{self, HomeJob},
        peers,
        possessions::Party,
    },
};

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where they begin.
    pub offset: u64,
    /// The length of the whole file.
    pub whole: u64,
    /// SHA-256 of the whole file.
    pub sha256: Sha256Digest,
    /// SHA-256 of these bytes, where it was known before they were read.
    pub bytes_sha256: Option<Sha256Digest>,
}

impl FilePart {
    /// Reads a part of a file of this node.
    ///
    /// # Errors
    /// The file is not here, or the disk says no.
    pub(crate) fn read(
        node: &Node,
        sha256: Sha256Digest,
        offset: u64,
        length_max: usize,
    ) -> Result<Self, StepError> {
        let part = node.blobs.read_part(sha256, offset, length_max)?;
        Ok(Self { bytes: part.bytes, offset, whole: part.whole, sha256, bytes_sha256: part.sha256 })
    }
}

/// An output for its researcher. What is not here yet is fetched from the host, which decides whether it may leave.
///
/// # Errors
/// The job has no such output, it is held, or the host is away.
pub async fn output(
    node: &Node,
    job: JobId,
    name: &str,
    offset: u64,
    length_max: usize,
) -> Result<FilePart, StepError> {
    let unknown =
        || StepError::refused(RefusalCode::OutputUnknown, node.member(), [("output", name.to_owned())]);
    let job = home_job(node, job)?;
    let receipt = fetch::receipt_of(&job)?.ok_or_else(unknown)?;
    let file = receipt.outputs.iter().find(|output| output.name == name).ok_or_else(unknown)?;
    let host = job.host.as_ref().ok_or_else(unknown)?;
    if host == node.member() {
        let sha256 = output_may_leave(node, host, job.id, name).await?;
        return FilePart::read(node, sha256, offset, length_max);
    }
    if !node.has_for(file.sha256, &Party::Member(host.clone()))? {
        fetch::fetch_one(node, &job, host, name).await.map_err(peer_reasons)?;
    }
    FilePart::read(node, file.sha256, offset, length_max)
}

/// A host's no is the answer to the researcher, with the host's own reasons.
fn peer_reasons(error: StepError) -> StepError {
    match error {
        StepError::Call(CallError::Refused { member, status, refusals }) => {
            match Refusals::from_reasons(refusals.clone()) {
                Some(refusals) => StepError::Refused(refusals),
                None => StepError::Call(CallError::Refused { member, status, refusals }),
            }
        }
        other => other,
    }
}

/// Whether an output may go to the job's home, which may be this node: only what no rule holds, or a steward has released,
/// and what is weights only through its gate, which nobody releases. Gives the file's digest.
///
/// # Errors
/// It is held, with the rules; or there is none.
pub async fn output_may_leave(
    node: &Node,
    peer: &MemberId,
    job: JobId,
    name: &str,
) -> Result<Sha256Digest, StepError> {
    let unknown =
        || StepError::refused(RefusalCode::OutputUnknown, node.member(), [("output", name.to_owned())]);
    let hosted = hosted_for(node, peer, job)?;
    let held = node.store.read(|connection| peers::output(connection, job, name))?.ok_or_else(unknown)?;
    if !held.may_leave() {
        let facts = [("output", name.to_owned()), ("class", held.file.class.to_string())];
        let first = Refusal::new(RefusalCode::OutputHeld, node.member(), facts);
        let reasons = std::iter::once(first).chain(held.file.held_by);
        return Err(Refusals::from_reasons(reasons).map_or_else(unknown, StepError::Refused));
    }
    let offer = stage::offer_of(&hosted)?;
    let reasons = weights::holds(node, &offer, name, held.file.sha256, held.file.class).await?;
    Refusals::from_reasons(reasons).map_or(Ok(held.file.sha256), |refusals| Err(StepError::Refused(refusals)))
}

/// Which piece of which log.
#[derive(Debug, Clone, Copy)]
pub struct LogPart {
    /// The index of the task; 0 for a plain job.
    pub task: u32,
    /// Which of its streams.
    pub stream: Stream,
    /// First byte.
    pub offset: u64,
    /// The most bytes.
    pub length_max: usize,
}

/// A piece of a job's log for its researcher, also while it runs abroad.
///
/// # Errors
/// The job is nowhere yet, its log may not leave, or the host is away.
pub async fn logs(node: &Node, job: JobId, part: LogPart) -> Result<LogChunk, StepError> {
    let job = home_job(node, job)?;
    let Some(host) = job.host.clone().filter(|_| job.admission.is_some()) else {
        return Ok(LogChunk { bytes: Vec::new(), end: job.state.is_final() });
    };
    if host == *node.member() {
        return logs_for_peer(node, &host, job.id, part).await;
    }
    let name = match part.stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let path =
        format!("/federation/v1/jobs/{}/logs/{name}?offset={}&task={}", job.id, part.offset, part.task);
    let answer = node.outbound().get(&host, &path, None).await.map_err(|error| peer_reasons(error.into()))?;
    let end = answer.headers.get("sta-log-end").is_some_and(|value| value == "true");
    Ok(LogChunk { bytes: answer.body.to_vec(), end })
}

/// A piece of a job's log for its home. A log can hold what the data holds, so the rules for outputs bind it too.
///
/// # Errors
/// It may not leave; or the engine failed.
pub async fn logs_for_peer(
    node: &Node,
    peer: &MemberId,
    job: JobId,
    part: LogPart,
) -> Result<LogChunk, StepError> {
    let job = hosted_for(node, peer, job)?;
    let offer = stage::offer_of(&job)?;
    if let Some((site, _)) = node.own_site(&job.site) {
        let (_, held_by) = meter::export_decision(node, &offer, site, "log", None);
        if let Some(refusals) = Refusals::from_reasons(held_by) {
            return Err(StepError::Refused(refusals));
        }
    }
    match run::engine(node, &job.site)?
        .logs(job.run(), part.task, part.stream, part.offset, part.length_max)
        .await
    {
        // The engine knows of this attempt alone; whether another follows is in the job's record.
        Ok(chunk) => Ok(LogChunk { end: chunk.end && job.receipt.is_some(), ..chunk }),
        Err(EngineError::Unknown { .. }) => Ok(LogChunk { bytes: Vec::new(), end: job.receipt.is_some() }),
        Err(error) => Err(error.into()),
    }
}

fn home_job(node: &Node, job: JobId) -> Result<HomeJob, StepError> {
    let unknown = || StepError::refused(RefusalCode::NotFound, node.member(), [("job", job.to_string())]);
    node.store.read(|connection| jobs::find(connection, job))?.ok_or_else(unknown)
}

/// A hosted job, if it is this member's: to others it does not exist.
fn hosted_for(node: &Node, home: &MemberId, job: JobId) -> Result<HostedJob, StepError> {
    let unknown = || StepError::refused(RefusalCode::NotFound, node.member(), [("job", job.to_string())]);
    node.store
        .read(|connection| hosted::find(connection, job))?
        .filter(|hosted| hosted.home == *home)
        .ok_or_else(unknown)
}
