// SPDX-License-Identifier: Apache-2.0
//! Jobs of this node's own researchers: what home knows of them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{Admission, Offer, Receipt},
    ids::{JobId, MemberId, OfferId, ProjectId, ResearcherId, SiteId, TransferId},
    job::JobSpec,
    jws::Signed,
};

use super::{Doing, StoreError, Tx, waits};

/// Where a job is, as its home knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HomeState {
    /// Other jobs of its project must complete first; it has been offered to nobody.
    Waiting,
    /// Both nations' answer is being sought: the host has the offer, or will have it.
    Offered,
    /// The host consented; inputs are on their way or the site has no room yet.
    Admitted,
    /// It runs.
    Running,
    /// It ended by itself with exit code 0.
    Completed,
    /// It ended in any other way.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// No site may or can run it.
    Refused,
}

impl HomeState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Offered,
        Self::Admitted,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Refused,
    ];

    /// The word on the wire and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Admitted => "admitted",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }

    fn of(word: &str) -> Result<Self, StoreError> {
        let state = Self::ALL.into_iter().find(|known| known.as_str() == word);
        state.ok_or_else(|| damaged(format!("its state is `{word}`")))
    }

    /// Whether nothing more can happen to the job.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Waiting | Self::Offered | Self::Admitted | Self::Running => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Refused => true,
        }
    }
}

/// What a researcher sent to have a job run: the credentials travel on in the offer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Credentials {
    /// GA4GH passport.
    pub passport: String,
    /// The researcher's signature over this job.
    pub holder_proof: String,
}

/// A job as home keeps it.
#[derive(Debug, Clone)]
pub struct HomeJob {
    /// Its id.
    pub id: JobId,
    /// Who asked.
    pub researcher: ResearcherId,
    /// Who pays.
    pub project: ProjectId,
    /// What it is.
    pub spec: JobSpec,
    /// With what right.
    pub credentials: Credentials,
    /// Digest of the whole request, to tell a repeat from a conflict.
    pub request_sha256: Sha256Digest,
    /// Where it is.
    pub state: HomeState,
    /// The dossier, JSON.
    pub dossier: serde_json::Value,
    /// The offer that stands.
    pub offer_id: Option<OfferId>,
    /// Its exact text.
    pub offer: Option<Signed<Offer>>,
    /// Where it goes.
    pub site: Option<SiteId>,
    /// Whose site that is.
    pub host: Option<MemberId>,
    /// The reservation that stands.
    pub hold: Option<TransferId>,
    /// The host's consent.
    pub admission: Option<Signed<Admission>>,
    /// Which attempt is under way or was the last, from 1 on.
    pub attempt: u32,
    /// The host's account of the last attempt.
    pub receipt: Option<Signed<Receipt>>,
    /// Whether the researcher wants it stopped.
    pub cancel_asked: bool,
    /// When it came.
    pub submitted_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, researcher, project, state, request, request_sha256, spec, dossier, offer_id, offer, site, host, hold, admission, receipt, cancel_asked, submitted_at, started_at, ended_at, attempt";

/// Writes a new job. The caller has looked for its id before, in the same transaction.
pub fn insert(tx: &Tx<'_>, job: &HomeJob) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO jobs (id, researcher, project, name, state, request, request_sha256, spec, dossier, submitted_at, ended_at,
             offer_id, offer, site, host, hold) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                job.id.to_string(),
                job.researcher.as_str(),
                job.project.as_str(),
                job.spec.name,
                job.state.as_str(),
                json(&job.credentials),
                job.request_sha256.as_bytes(),
                json(&job.spec),
                job.dossier.to_string(),
                job.submitted_at.as_millisecond(),
                job.ended_at.map(Timestamp::as_millisecond),
                job.offer_id.map(|id| id.to_string()),
                job.offer.as_ref().map(Signed::as_str),
                job.site.as_ref().map(SiteId::as_str),
                job.host.as_ref().map(MemberId::as_str),
                job.hold.map(|id| id.to_string()),
            ])
        })
        .doing("write a job")
        .map(|_rows| ())
}

/// Writes everything about a job that changes on its way. One that has ended releases the jobs behind it.
pub fn update(tx: &Tx<'_>, job: &HomeJob) -> Result<(), StoreError> {
    if job.state.is_final() {
        waits::forget(tx, job.id)?;
        waits::ended(tx, job.id, job.state == HomeState::Completed)?;
    }
    tx.connection()
        .prepare_cached(
            "UPDATE jobs SET state = ?2, dossier = ?3, offer_id = ?4, offer = ?5, site = ?6, host = ?7, hold = ?8, admission = ?9,
             receipt = ?10, cancel_asked = ?11, started_at = ?12, ended_at = ?13, attempt = ?14 WHERE id = ?1",
        )
        .and_then(|mut update| {
            update.execute(params![
                job.id.to_string(),
                job.state.as_str(),
                job.dossier.to_string(),
                job.offer_id.map(|id| id.to_string()),
                job.offer.as_ref().map(Signed::as_str),
                job.site.as_ref().map(SiteId::as_str),
                job.host.as_ref().map(MemberId::as_str),
                job.hold.map(|id| id.to_string()),
                job.admission.as_ref().map(Signed::as_str),
                job.receipt.as_ref().map(Signed::as_str),
                job.cancel_asked,
                job.started_at.map(Timestamp::as_millisecond),
                job.ended_at.map(Timestamp::as_millisecond),
                job.attempt,
            ])
        })
        .doing("write a job")
        .map(|_rows| ())
}

/// When home first decided on a job: from then on it waits for its turn.
pub fn first_decided_at(connection: &Connection, id: JobId) -> Result<Option<Timestamp>, StoreError> {
    let sql = format!("SELECT {FIRST_DECIDED} FROM jobs WHERE id = ?1");
    let text: Option<Option<String>> = connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_row([id.to_string()], |row| row.get(0)).optional())
        .doing("read when a job was decided on")?;
    text.flatten().as_deref().map(parse).transpose()
}

/// When home first decided on a job, as SQL.
pub(super) const FIRST_DECIDED: &str =
    "coalesce(json_extract(dossier, '$.first_decided_at'), json_extract(dossier, '$.decided_at'))";

/// The project and the state of a job, without its texts.
pub fn standing(connection: &Connection, id: JobId) -> Result<Option<(ProjectId, HomeState)>, StoreError> {
    let row: Option<(String, String)> = connection
        .prepare_cached("SELECT project, state FROM jobs WHERE id = ?1")
        .and_then(|mut query| {
            query.query_row([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .doing("look for a job")?;
    row.map(|(project, state)| Ok((parse(&project)?, HomeState::of(&state)?))).transpose()
}

/// A job by its id.
pub fn find(connection: &Connection, id: JobId) -> Result<Option<HomeJob>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_row([id.to_string()], raw).optional())
        .doing("read a job")?
        .map(read)
        .transpose()
}

/// The newest jobs, of one researcher or of all, before a given id.
pub fn list(
    connection: &Connection,
    researcher: Option<&ResearcherId>,
    before: Option<JobId>,
    limit: u32,
) -> Result<Vec<HomeJob>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE (?1 IS NULL OR researcher = ?1) AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| {
            let before = before.map(|id| id.to_string());
            query
                .query_map(params![researcher.map(ResearcherId::as_str), before, limit], raw)?
                .collect::<Result<Vec<_>, _>>()
        })
        .doing("list the jobs")?
        .into_iter()
        .map(read)
        .collect()
}

/// How many jobs are in each state.
pub fn counts(connection: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    connection
        .prepare_cached("SELECT state, COUNT(*) FROM jobs GROUP BY state ORDER BY state")
        .and_then(|mut query| {
            query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?.collect()
        })
        .doing("count the jobs")
}

/// A row as SQLite gives it, before anything is parsed.
struct Raw {
    id: String,
    researcher: String,
    project: String,
    state: String,
    request: String,
    request_sha256: [u8; 32],
    spec: String,
    dossier: String,
    offer: [Option<String>; 2],
    place: [Option<String>; 3],
    proofs: [Option<String>; 2],
    cancel_asked: bool,
    submitted_at: i64,
    times: [Option<i64>; 2],
    attempt: u32,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        id: row.get(0)?,
        researcher: row.get(1)?,
        project: row.get(2)?,
        state: row.get(3)?,
        request: row.get(4)?,
        request_sha256: row.get(5)?,
        spec: row.get(6)?,
        dossier: row.get(7)?,
        offer: [row.get(8)?, row.get(9)?],
        place: [row.get(10)?, row.get(11)?, row.get(12)?],
        proofs: [row.get(13)?, row.get(14)?],
        cancel_asked: row.get(15)?,
        submitted_at: row.get(16)?,
        times: [row.get(17)?, row.get(18)?],
        attempt: row.get(19)?,
    })
}

fn read(raw: Raw) -> Result<HomeJob, StoreError> {
    let [offer_id, offer] = raw.offer;
    let [site, host, hold] = raw.place;
    let [admission, receipt] = raw.proofs;
    let [started_at, ended_at] = raw.times;
    Ok(HomeJob {
        id: parse(&raw.id)?,
        researcher: parse(&raw.researcher)?,
        project: parse(&raw.project)?,
        spec: from_json(&raw.spec)?,
        credentials: from_json(&raw.request)?,
        request_sha256: Sha256Digest::from_bytes(raw.request_sha256),
        state: HomeState::of(&raw.state)?,
        dossier: from_json(&raw.dossier)?,
        offer_id: offer_id.as_deref().map(parse).transpose()?,
        offer: offer.map(signed).transpose()?,
        site: site.as_deref().map(parse).transpose()?,
        host: host.as_deref().map(parse).transpose()?,
        hold: hold.as_deref().map(parse).transpose()?,
        admission: admission.map(signed).transpose()?,
        attempt: raw.attempt,
        receipt: receipt.map(signed).transpose()?,
        cancel_asked: raw.cancel_asked,
        submitted_at: timestamp(raw.submitted_at)?,
        started_at: started_at.map(timestamp).transpose()?,
        ended_at: ended_at.map(timestamp).transpose()?,
    })
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    // Our own types have string keys and finite numbers, the only things JSON could refuse.
    serde_json::to_string(value).expect("a domain type always serialises")
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| damaged(error.to_string()))
}

pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error: T::Err| damaged(error.to_string()))
}

pub(super) fn signed<T>(text: String) -> Result<Signed<T>, StoreError>
where
    T: sta_protocol::jws::Document,
{
    Signed::from_compact(text).map_err(|error| damaged(error.to_string()))
}

pub(super) fn timestamp(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|error| damaged(error.to_string()))
}

fn damaged(problem: String) -> StoreError {
    StoreError::Damaged { what: "row", problem }
}
