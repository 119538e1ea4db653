// SPDX-License-Identifier: Apache-2.0
//! The documents that nodes send each other about a job: offer, admission, progress, receipt, withdrawal, dataset record.
//!
//! Each travels as a compact JWS whose `typ` is the type's own; each carries its wire version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    class::Class,
    data_protection::DataProtection,
    dataset_facts::DatasetFacts,
    digest::Sha256Digest,
    ids::{AdmissionId, DatasetId, JobId, Jurisdiction, MemberId, OfferId, ReceiptId, ResearcherId, SiteId},
    job::JobSpec,
    jws::{Document, Signed},
    refusal::Refusal,
    take_back::SavedWork,
};

/// The wire version of every document here.
pub const VERSION: u8 = 1;
/// The wire version of an offer of a job that was elsewhere before: whoever does not know it would begin the job anew.
pub const VERSION_GOES_ON: u8 = 2;

/// The home node asks a host to run a job at one of its sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Wire version.
    pub version: u8,
    /// This offer.
    pub offer: OfferId,
    /// The job, the same id at home and at the host.
    pub job: JobId,
    /// The member that offers.
    pub home: MemberId,
    /// The member asked.
    pub host: MemberId,
    /// The site asked for.
    pub site: SiteId,
    /// What is to run.
    pub spec: JobSpec,
    /// Who asks.
    pub researcher: ResearcherId,
    /// The researcher's GA4GH passport, for the host to verify offline.
    pub passport: String,
    /// The researcher's own signature over this job (RFC 7800 holder proof).
    pub holder_proof: String,
    /// The signed record of each dataset that the home node went by.
    pub datasets: Vec<Signed<DatasetRecord>>,
    /// Whether the project's allocation covers `price_micro_max`, as the home node has reserved it.
    pub allocation_reserved: bool,
    /// The highest price the job may come to, at the treaty's tariff and the job's time limit.
    pub price_micro_max: i64,
    /// Digest of the treaty it is made under.
    pub treaty: Sha256Digest,
    /// When it was made.
    pub offered_at: Timestamp,
    /// When it lapses if the host has not answered.
    pub expires_at: Timestamp,
    /// The attempt that is next, above 1 when the job was elsewhere before.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// How many of the attempts before were no fault of a site, and so use up none of those that the job may have.
    #[serde(default, skip_serializing_if = "is_none_of_them")]
    pub faultless: u32,
    /// What it goes on from, which home holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<SavedWork>,
}

impl Offer {
    /// The wire version of such an offer.
    #[must_use]
    pub fn version_of(attempt: u32) -> u8 {
        if attempt > 1 { VERSION_GOES_ON } else { VERSION }
    }
}

/// The host's consent to run an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Wire version.
    pub version: u8,
    /// This admission.
    pub admission: AdmissionId,
    /// The offer it answers.
    pub offer: OfferId,
    /// Digest of the exact offer that was admitted.
    pub offer_digest: Sha256Digest,
    /// The job.
    pub job: JobId,
    /// The member that asked.
    pub home: MemberId,
    /// The member that consents.
    pub host: MemberId,
    /// Where it will run.
    pub site: SiteId,
    /// The reserved ceiling.
    pub price_micro_max: i64,
    /// Digest of the policy set that admitted it.
    pub policies: Sha256Digest,
    /// When.
    pub admitted_at: Timestamp,
}

/// A host's answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferAnswer {
    /// It will run.
    Admitted(Signed<Admission>),
    /// It will not, and why.
    Refused(Vec<Refusal>),
}

/// The host tells the home node that a job has moved on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Wire version.
    pub version: u8,
    /// The job.
    pub job: JobId,
    /// The member that runs it.
    pub host: MemberId,
    /// Which attempt began, from 1 on.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// When it began to run; none when it has not begun, and this tells of a suspension alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Why the job is or was suspended at the host, in the order in which that was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// When the host gave this attempt notice, because the site's owner needs its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_at: Option<Timestamp>,
}

/// One reason for which a host suspends a job. The job stands still as long as one of its reasons is not released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The code of the rule, the threshold or the order that wants it, such as `STOP-ORDER`.
    pub reason: String,
    /// When that was decided.
    pub since: Timestamp,
    /// When the site's engine was seen to have stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// When this reason was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
    /// Who released it, as the host names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_by: Option<String>,
}

impl Hold {
    /// Whether it still keeps the job from going on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.released_at.is_none()
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It passed its time limit.
    TimeLimit,
    /// It passed its memory limit.
    MemoryLimit,
    /// The researcher or the operator cancelled it.
    Cancelled,
    /// The site failed it: not the job's fault, and not paid.
    SiteFault(String),
    /// The site's owner needed the place: another attempt follows, and none of the attempts that the job may have is used up.
    Reclaimed,
}

/// What a job used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Processor time in milliseconds, over all cores.
    pub cpu_ms: u64,
    /// Highest memory in bytes.
    pub memory_bytes_peak: u64,
    /// Who measured each.
    #[serde(default, skip_serializing_if = "UsageSources::are_the_supervisors")]
    pub sources: UsageSources,
}

/// Who measured what a job used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageSources {
    /// Of the wall time.
    pub wall: UsageSource,
    /// Of the processor time.
    pub cpu: UsageSource,
    /// Of the memory.
    pub memory: UsageSource,
}

impl UsageSources {
    /// Whether the site's own supervisor measured all of it.
    #[must_use]
    pub fn are_the_supervisors(&self) -> bool {
        *self == Self::default()
    }

    /// All of it measured in one way.
    #[must_use]
    pub fn all(source: UsageSource) -> Self {
        Self { wall: source, cpu: source, memory: source }
    }
}

/// One way of measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The site's supervisor of the process, outside the job's reach.
    #[default]
    Supervisor,
    /// Stamps written around the job's command on the machine where it ran, checked against the scheduler's account.
    JobStamps,
    /// The site's scheduler and its accounting.
    Scheduler,
    /// Nobody: the figure is 0.
    NotMeasured,
}

/// How the indexed tasks of a job array ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TasksEnd {
    /// How many there were.
    pub count: u32,
    /// How many ended with code 0.
    pub completed: u32,
    /// The others by index, the first hundred of them.
    pub failed: Vec<TaskFailure>,
}

/// An indexed task that did not end with code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// Its index, from 0 on.
    pub index: u32,
    /// How it ended.
    pub exit: Exit,
}

/// One file a job left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// The strictest class of the job's inputs.
    pub class: Class,
    /// The rules that keep it at the host; empty when it may go home.
    pub held_by: Vec<Refusal>,
}

/// The host's account of a job: what ran, how it ended, what it used and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Wire version.
    pub version: u8,
    /// This receipt.
    pub receipt: ReceiptId,
    /// Digest of the admission under which it ran.
    pub admission_digest: Sha256Digest,
    /// The job.
    pub job: JobId,
    /// The member that pays.
    pub home: MemberId,
    /// The member that ran it.
    pub host: MemberId,
    /// Where.
    pub site: SiteId,
    /// Which attempt this is the account of, from 1 on.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// Whether another attempt follows, because the site failed this one or its owner needed the place: the job is not over.
    #[serde(default, skip_serializing_if = "is_last")]
    pub goes_on: bool,
    /// How it ended.
    pub exit: Exit,
    /// Of a job array, how its tasks ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TasksEnd>,
    /// When it began; `None` when it never did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it used.
    pub usage: Usage,
    /// Which limits and walls the engine really held.
    pub limits_enforced: Vec<String>,
    /// The price, never above the admission's ceiling.
    pub price_micro: i64,
    /// Energy by the site's model, in microwatt-hours.
    pub energy_uwh: i64,
    /// CO2-equivalent in micrograms.
    pub co2_ug: i64,
    /// The files it left.
    pub outputs: Vec<OutputFile>,
    /// Declared outputs that it did not leave.
    pub outputs_missing: Vec<String>,
    /// Whether the host hands the job back to go on elsewhere, as home asked: then its end here is not its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handed_back: bool,
    /// Of a job that is handed back, what it had saved here, which is served as an output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<SavedWork>,
}

fn first() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a function of a reference")]
fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a function of a reference")]
fn is_none_of_them(count: &u32) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a function of a reference")]
fn is_last(goes_on: &bool) -> bool {
    !*goes_on
}

/// The home node takes an offer or a job back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Wire version.
    pub version: u8,
    /// The job.
    pub job: JobId,
    /// The offer, which from now on must not be admitted.
    pub offer: OfferId,
    /// The member that withdraws.
    pub home: MemberId,
    /// When.
    pub withdrawn_at: Timestamp,
}

/// What a withdrawal found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawalAnswer {
    /// The offer had not been admitted and never will be: no receipt follows.
    NeverAdmitted,
    /// The job is being stopped, or is over: a receipt follows or has been sent.
    ReceiptFollows,
}

/// A dataset as its member vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRecord {
    /// Wire version.
    pub version: u8,
    /// The dataset.
    pub id: DatasetId,
    /// What people call it.
    pub title: String,
    /// How sensitive it is.
    pub class: Class,
    /// The jurisdiction whose law protects it.
    pub origin: Jurisdiction,
    /// Where it may be processed: jurisdictions or groups; empty for anywhere under the treaty.
    pub residency: Vec<Jurisdiction>,
    /// The purposes it may serve; empty for any.
    pub purposes: Vec<String>,
    /// Its files.
    pub files: Vec<DatasetFile>,
    /// What else its member states of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<DatasetFacts>,
    /// Whom it is about, and the documents that the law on personal data asks for; what is left out counts against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<DataProtection>,
    /// When this record was made; a later record replaces it.
    pub recorded_at: Timestamp,
}

/// One file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetFile {
    /// Its name in the working directory.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Length in bytes.
    pub bytes: u64,
}

/// What both members of a pair compute of a period, from receipts that both hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Wire version.
    pub version: u8,
    /// Calendar month in UTC, `2026-11`.
    pub period: String,
    /// ISO 4217 code.
    pub currency: String,
    /// The two members, in the order of their names.
    pub members: [MemberId; 2],
    /// One line per receipt, in the order of the receipts' ids.
    pub lines: Vec<StatementLine>,
    /// What each member earned by running the other's jobs, in millionths.
    pub earned_micro: BTreeMap<MemberId, i64>,
    /// Who pays whom after netting: positive when the first member owes the second.
    pub net_micro: i64,
}

/// One receipt in a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// The receipt.
    pub receipt: ReceiptId,
    /// The job.
    pub job: JobId,
    /// The member that pays.
    pub home: MemberId,
    /// The member that earned.
    pub host: MemberId,
    /// Where it ran.
    pub site: SiteId,
    /// The price.
    pub price_micro: i64,
    /// Core-milliseconds: cores granted times wall time.
    pub cpu_core_ms: u64,
    /// Accelerator-milliseconds.
    pub gpu_ms: u64,
    /// CO2-equivalent in micrograms.
    pub co2_ug: i64,
}

impl Document for Offer {
    const TYP: &'static str = "sta-offer+jws";
}
impl Document for Admission {
    const TYP: &'static str = "sta-admission+jws";
}
impl Document for Progress {
    const TYP: &'static str = "sta-progress+jws";
}
impl Document for Receipt {
    const TYP: &'static str = "sta-receipt+jws";
}
impl Document for Withdrawal {
    const TYP: &'static str = "sta-withdrawal+jws";
}
impl Document for DatasetRecord {
    const TYP: &'static str = "sta-dataset+jws";
}
impl Document for Statement {
    const TYP: &'static str = "sta-statement+jws";
}
