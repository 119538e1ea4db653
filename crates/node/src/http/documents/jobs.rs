// SPDX-License-Identifier: Apache-2.0
//! Documents about jobs: as home knows them, and as their host does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    federation::{Admission, Exit, Hold, OutputFile, Receipt, TasksEnd, Usage},
    ids::{JobId, MemberId, OfferId, ProjectId, ReceiptId, ResearcherId, SiteId},
    job::Shape,
    jws::Signed,
    refusal::Refusal,
};
use utoipa::ToSchema;

use super::{
    ExitDocument, HoldDocument, RefusalDocument, ShapeDocument, TasksEndDocument, UsageDocument,
    waiting_for::{notices, waiting_for},
};
use crate::{
    node::Node,
    steps::{dossier::Dossier, gates::weights},
    store::{
        StoreError, holds,
        hosted::{HostState, HostedJob},
        jobs::{HomeJob, HomeState},
        ledger,
        peers::{self, HeldOutput},
        possessions::Party,
    },
    text::Language,
};

/// A job as its home knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobDocument {
    /// Its id.
    #[schema(value_type = String)]
    pub id: JobId,
    /// Its label.
    pub name: String,
    /// Who pays.
    #[schema(value_type = String)]
    pub project: ProjectId,
    /// Who asked.
    #[schema(value_type = String)]
    pub researcher: ResearcherId,
    /// `waiting`, `offered`, `admitted`, `running`, `completed`, `failed`, `cancelled` or `refused`.
    pub state: String,
    /// The member where it was submitted.
    #[schema(value_type = String)]
    pub home: MemberId,
    /// The member that runs it.
    #[schema(value_type = Option<String>)]
    pub host: Option<MemberId>,
    /// Where it runs.
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub submitted_at: Timestamp,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[schema(value_type = Option<ExitDocument>)]
    pub exit: Option<Exit>,
    /// Its exit code, where it ended by itself.
    pub exit_code: Option<i32>,
    /// How it spreads, where it is more than one process on one node.
    #[schema(value_type = Option<ShapeDocument>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// Of a job array that is over, how its tasks ended.
    #[schema(value_type = Option<TasksEndDocument>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TasksEnd>,
    /// What it used.
    #[schema(value_type = Option<UsageDocument>)]
    pub usage: Option<Usage>,
    /// Which limits and walls the engine really held.
    pub limits_enforced: Vec<String>,
    /// What it cost, all its attempts together.
    pub price_micro: Option<i64>,
    /// CO2-equivalent.
    pub co2_ug: Option<i64>,
    /// The files it left.
    pub outputs: Vec<OutputDocument>,
    /// Declared outputs that it did not leave.
    pub outputs_missing: Vec<String>,
    /// Of a refused job: every reason, of every site and host.
    pub refusals: Vec<RefusalDocument>,
    /// Which attempt is under way or was the last, from 1 on.
    pub attempt: u32,
    /// The attempts that have ended, the last one among them.
    pub attempts: Vec<AttemptDocument>,
    /// What it waits for, in a few words.
    pub waiting_for: Option<String>,
    /// Why its host suspended it, open and released reasons, in the order in which they came.
    #[schema(value_type = Vec<HoldDocument>)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// When its host gave the attempt under way notice, because the site's owner needs its place.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_at: Option<Timestamp>,
    /// Whether its researcher wants it stopped.
    pub cancel_asked: bool,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptDocument {
    /// Which one, from 1 on.
    pub attempt: u32,
    /// Where it was made.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// How it ended.
    #[schema(value_type = ExitDocument)]
    pub exit: Exit,
    /// When it began; none when it never did.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// The id of its receipt.
    #[schema(value_type = String)]
    pub receipt: ReceiptId,
}

impl AttemptDocument {
    /// What a receipt says of its attempt.
    fn new(receipt: &Receipt) -> Self {
        Self {
            attempt: receipt.attempt,
            site: receipt.site.clone(),
            exit: receipt.exit.clone(),
            started_at: receipt.started_at,
            ended_at: receipt.ended_at,
            receipt: receipt.receipt,
        }
    }

    /// The attempts of a job that have ended.
    fn of(node: &Node, job: &HomeJob, last: Option<&Receipt>) -> Result<Vec<Self>, StoreError> {
        if job.attempt == 1 {
            return Ok(last.map(Self::new).into_iter().collect());
        }
        let receipts = node.store.read(|connection| ledger::receipts_of(connection, job.id))?;
        receipts.iter().map(|receipt| peek(receipt).map(|receipt| Self::new(&receipt))).collect()
    }
}

/// A file that a job left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputDocument {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    #[schema(value_type = String)]
    pub sha256: Sha256Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// `open`, `internal`, `personal`, `special` or `protected`.
    #[schema(value_type = String)]
    pub class: Class,
    /// Whether it was kept at the host, as far as home knows: a release shows when the file has come home.
    pub held: bool,
    /// The rules that keep it there, or kept it until a steward released it.
    pub held_by: Vec<RefusalDocument>,
    /// Whether its bytes are at this node.
    pub here: bool,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobDocument>,
    /// The value of `before` for the next page; none on the last.
    #[schema(value_type = Option<String>)]
    pub next: Option<JobId>,
}

/// The host's account of a job, with the consent that it rests on; each a compact JWS of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptDocument {
    /// `sta-receipt+jws`.
    #[schema(value_type = String)]
    pub receipt: Signed<Receipt>,
    /// `sta-admission+jws`.
    #[schema(value_type = Option<String>)]
    pub admission: Option<Signed<Admission>>,
}

/// A job as its host knows it, for the people who run the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostedDocument {
    /// Its id.
    #[schema(value_type = String)]
    pub id: JobId,
    /// The offer that was admitted.
    #[schema(value_type = String)]
    pub offer: OfferId,
    /// Who asked.
    #[schema(value_type = String)]
    pub home: MemberId,
    /// Where it runs.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// `staging`, `ready`, `starting`, `running` or `finished`.
    pub state: String,
    /// Which attempt is under way or was the last, from 1 on.
    pub attempt: u32,
    /// Why the site has not begun it, in the site's words.
    pub reason: Option<String>,
    /// When it was admitted.
    #[schema(value_type = String, format = DateTime)]
    pub admitted_at: Timestamp,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[schema(value_type = Option<ExitDocument>)]
    pub exit: Option<Exit>,
    /// Why it is or was suspended, open and released reasons, in the order in which they came.
    #[schema(value_type = Vec<HoldDocument>)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// When the attempt under way was given notice, because the site's owner needs its place.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_at: Option<Timestamp>,
    /// The files it left.
    pub outputs: Vec<HostedOutputDocument>,
    /// Whether home wants it stopped.
    pub cancel_asked: bool,
}

/// An output at its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostedOutputDocument {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    #[schema(value_type = String)]
    pub sha256: Sha256Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// Its class, after a release the one that the steward gave it.
    #[schema(value_type = String)]
    pub class: Class,
    /// Whether it stays here.
    pub held: bool,
    /// The rules that keep it here, or kept it until a steward released it.
    pub held_by: Vec<RefusalDocument>,
    /// When a steward released it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub released_at: Option<Timestamp>,
}

/// A steward's word that an output may leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The class it has from now on.
    #[schema(value_type = String)]
    pub class: Class,
    /// Why it may leave, for the audit log.
    pub reason: String,
}

impl JobDocument {
    /// The document of a job.
    ///
    /// # Errors
    /// A stored document does not read.
    pub fn new(node: &Node, job: &HomeJob, language: Language) -> Result<Self, StoreError> {
        let receipt = job.receipt.as_ref().map(peek).transpose()?;
        let refusals = match job.state {
            HomeState::Refused => RefusalDocument::list(&Dossier::of(job)?.all_refusals(), language),
            HomeState::Waiting
            | HomeState::Offered
            | HomeState::Admitted
            | HomeState::Running
            | HomeState::Completed
            | HomeState::Failed
            | HomeState::Cancelled => Vec::new(),
        };
        Ok(Self {
            id: job.id,
            name: job.spec.name.clone(),
            project: job.project.clone(),
            researcher: job.researcher.clone(),
            state: job.state.as_str().to_owned(),
            home: node.member().clone(),
            host: job.host.clone(),
            site: job.site.clone(),
            submitted_at: job.submitted_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            exit_code: receipt.as_ref().and_then(|receipt| exit_code(&receipt.exit)),
            shape: (!job.spec.shape.is_plain()).then(|| job.spec.shape.clone()),
            tasks: receipt.as_ref().and_then(|receipt| receipt.tasks.clone()),
            usage: receipt.as_ref().map(|receipt| receipt.usage),
            price_micro: match &receipt {
                Some(receipt) => Some(price(node, receipt)?),
                // Taken back from where it was, and over before it went on.
                None if job.state.is_final() && job.attempt > 1 => Some(charged(node, job.id, job.attempt)?),
                None => None,
            },
            co2_ug: receipt.as_ref().map(|receipt| receipt.co2_ug),
            outputs: match &receipt {
                Some(receipt) => receipt
                    .outputs
                    .iter()
                    .map(|file| OutputDocument::new(node, job, file, language))
                    .collect::<Result<_, _>>()?,
                None => Vec::new(),
            },
            limits_enforced: receipt
                .as_ref()
                .map_or_else(Vec::new, |receipt| receipt.limits_enforced.clone()),
            outputs_missing: receipt
                .as_ref()
                .map_or_else(Vec::new, |receipt| receipt.outputs_missing.clone()),
            attempt: job.attempt,
            attempts: AttemptDocument::of(node, job, receipt.as_ref())?,
            exit: receipt.map(|receipt| receipt.exit),
            refusals,
            waiting_for: waiting_for(node, job)?,
            holds: node.store.read(|connection| holds::of(connection, job.id))?,
            notice_at: notices(node, job)?.notice_at,
            cancel_asked: job.cancel_asked,
        })
    }
}

impl OutputDocument {
    fn new(node: &Node, job: &HomeJob, file: &OutputFile, language: Language) -> Result<Self, StoreError> {
        let here = match &job.host {
            Some(host) if host != node.member() => node.has_for(file.sha256, &Party::Member(host.clone()))?,
            Some(_) | None => node.blobs.has(file.sha256),
        };
        let own = job.host.as_ref() == Some(node.member());
        Ok(Self {
            name: file.name.clone(),
            sha256: file.sha256,
            bytes: file.bytes,
            class: file.class,
            held: !file.held_by.is_empty() && !here && !own,
            held_by: RefusalDocument::list(&file.held_by, language),
            here,
        })
    }
}

impl HostedDocument {
    /// The document of a hosted job.
    ///
    /// # Errors
    /// A stored document does not read.
    pub fn new(
        node: &Node,
        hosted: &HostedJob,
        reason: Option<String>,
        language: Language,
    ) -> Result<Self, StoreError> {
        let receipt = hosted.receipt.as_ref().map(peek).transpose()?;
        let mut outputs = Vec::new();
        for file in receipt.iter().flat_map(|receipt| &receipt.outputs) {
            // The table knows of releases, the receipt does not.
            let kept = node.store.read(|connection| peers::output(connection, hosted.job, &file.name))?;
            let kept = kept.unwrap_or(HeldOutput { file: file.clone(), released_at: None });
            let at_gate = weights::last_held_by(node, hosted.job, &kept.file)?;
            outputs.push(HostedOutputDocument::new(&kept, &at_gate, language));
        }
        Ok(Self {
            id: hosted.job,
            offer: hosted.offer_id,
            home: hosted.home.clone(),
            site: hosted.site.clone(),
            state: hosted.state.as_str().to_owned(),
            attempt: hosted.attempt,
            reason,
            admitted_at: hosted.admitted_at,
            // A job may be over before anybody saw it begin.
            started_at: hosted.started_at.or(receipt.as_ref().and_then(|receipt| receipt.started_at)),
            ended_at: receipt.as_ref().map(|receipt| receipt.ended_at),
            exit: receipt.map(|receipt| receipt.exit),
            outputs,
            holds: node.store.read(|connection| holds::of(connection, hosted.job))?,
            notice_at: hosted.notice_at.filter(|_| hosted.state != HostState::Finished),
            cancel_asked: hosted.cancel_asked,
        })
    }
}

impl HostedOutputDocument {
    /// The document of an output at its host, with what its gate said last.
    #[must_use]
    pub fn new(output: &HeldOutput, at_gate: &[Refusal], language: Language) -> Self {
        let held_by: Vec<Refusal> = output.file.held_by.iter().chain(at_gate).cloned().collect();
        Self {
            name: output.file.name.clone(),
            sha256: output.file.sha256,
            bytes: output.file.bytes,
            class: output.file.class,
            held: !output.may_leave() || !at_gate.is_empty(),
            held_by: RefusalDocument::list(&held_by, language),
            released_at: output.released_at,
        }
    }
}

/// A receipt that was verified before it was stored.
pub(super) fn peek(receipt: &Signed<Receipt>) -> Result<Receipt, StoreError> {
    receipt
        .peek_unverified()
        .map_err(|error| StoreError::Damaged { what: "receipt", problem: error.to_string() })
}

/// What the attempts of a job came to, up to this one.
fn price(node: &Node, receipt: &Receipt) -> Result<i64, StoreError> {
    Ok(receipt.price_micro.saturating_add(charged(node, receipt.job, receipt.attempt)?))
}

/// What the attempts of a job before one came to.
fn charged(node: &Node, job: JobId, before: u32) -> Result<i64, StoreError> {
    node.store.read(|connection| ledger::charged_between(connection, job, 1, before))
}

fn exit_code(exit: &Exit) -> Option<i32> {
    match exit {
        Exit::Code(code) => Some(*code),
        Exit::Signal(_)
        | Exit::TimeLimit
        | Exit::MemoryLimit
        | Exit::Cancelled
        | Exit::SiteFault(_)
        | Exit::Reclaimed => None,
    }
}
