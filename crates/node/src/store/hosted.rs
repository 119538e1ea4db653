// SPDX-License-Identifier: Apache-2.0
//! Jobs that run at this node's own sites: what the host knows of them, its own jobs' and its guests'.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_protocol::{
    federation::{Admission, Offer, Receipt},
    ids::{JobId, MemberId, OfferId, SiteId},
    jws::Signed,
    refusal::Refusal,
    treaty::Resources,
};

use crate::engines::RunId;

use super::{
    Doing, StoreError, Tx,
    audit::signed as signed_integer,
    jobs::{from_json, json, parse, signed, timestamp},
};

/// Where a job is, as its host knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostState {
    /// Admitted; its inputs are being brought in.
    Staging,
    /// Its inputs are here; it waits for room at the site.
    Ready,
    /// The engine has been or is being told to start it.
    Starting,
    /// It runs.
    Running,
    /// It is over and its receipt is written.
    Finished,
}

impl HostState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Staging, Self::Ready, Self::Starting, Self::Running, Self::Finished];

    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }
}

/// A job as its host keeps it.
#[derive(Debug, Clone)]
pub struct HostedJob {
    /// Its id.
    pub job: JobId,
    /// The offer that was admitted.
    pub offer_id: OfferId,
    /// The exact offer.
    pub offer: Signed<Offer>,
    /// The consent.
    pub admission: Signed<Admission>,
    /// Who asked.
    pub home: MemberId,
    /// Where it runs.
    pub site: SiteId,
    /// Which attempt is under way, from 1 on.
    pub attempt: u32,
    /// Where it is.
    pub state: HostState,
    /// What it holds.
    pub resources: Resources,
    /// Whether home wants it stopped.
    pub cancel_asked: bool,
    /// Whether it is suspended, for the reasons in [`super::holds`].
    pub held: bool,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// Until when it is not started, after an attempt that its site failed.
    pub not_before: Option<Timestamp>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When this attempt was given notice, because the site's owner needs its place.
    pub notice_at: Option<Timestamp>,
    /// How many attempts ended so.
    pub reclaimed: u32,
    /// The account of it.
    pub receipt: Option<Signed<Receipt>>,
}

impl HostedJob {
    /// What the engine knows the attempt under way by.
    #[must_use]
    pub fn run(&self) -> RunId {
        RunId { job: self.job, attempt: self.attempt }
    }
}

const COLUMNS: &str = "job, offer_id, offer, admission, home, site, state, cpu_cores, memory_bytes, gpus, cancel_asked, admitted_at, started_at, receipt, attempt, not_before, held, notice_at, reclaimed";

/// Writes a newly admitted job, which runs for `longest_ms` at most, with its place in the line.
pub fn insert(tx: &Tx<'_>, job: &HostedJob, longest_ms: u64, line_at: Timestamp) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO hosted (job, offer_id, offer, admission, home, site, state, cpu_cores, memory_bytes, gpus, admitted_at, longest_ms, attempt, reclaimed, line_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                job.job.to_string(),
                job.offer_id.to_string(),
                job.offer.as_str(),
                job.admission.as_str(),
                job.home.as_str(),
                job.site.as_str(),
                job.state.as_str(),
                job.resources.cpu_cores,
                signed_integer(job.resources.memory_bytes),
                job.resources.gpus,
                job.admitted_at.as_millisecond(),
                signed_integer(longest_ms),
                job.attempt,
                job.reclaimed,
                line_at.as_millisecond(),
            ])
        })
        .doing("write a hosted job")
        .map(|_rows| ())
}

/// Forgets a job that home took back and that is over here, because it comes again.
pub fn forget_ended(tx: &Tx<'_>, job: JobId, home: &MemberId) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "DELETE FROM hosted WHERE job = ?1 AND home = ?2 AND state = 'finished' AND cancel_asked = 1",
        )
        .and_then(|mut delete| delete.execute(params![job.to_string(), home.as_str()]))
        .doing("forget a hosted job")
        .map(|_rows| ())
}

/// Writes everything about a hosted job that changes on its way.
pub fn update(tx: &Tx<'_>, job: &HostedJob) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE hosted SET state = ?2, cancel_asked = ?3, started_at = ?4, receipt = ?5, attempt = ?6, not_before = ?7, notice_at = ?8, reclaimed = ?9 WHERE job = ?1",
        )
        .and_then(|mut update| {
            update.execute(params![
                job.job.to_string(),
                job.state.as_str(),
                job.cancel_asked,
                job.started_at.map(Timestamp::as_millisecond),
                job.receipt.as_ref().map(Signed::as_str),
                job.attempt,
                job.not_before.map(Timestamp::as_millisecond),
                job.notice_at.map(Timestamp::as_millisecond),
                job.reclaimed,
            ])
        })
        .doing("write a hosted job")
        .map(|_rows| ())
}

/// A hosted job by the job's id.
pub fn find(connection: &Connection, job: JobId) -> Result<Option<HostedJob>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM hosted WHERE job = ?1");
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_row([job.to_string()], raw).optional())
        .doing("read a hosted job")?
        .map(read)
        .transpose()
}

/// The hosted jobs of a site in one state, in the order they were admitted.
pub fn list(
    connection: &Connection,
    site: &SiteId,
    state: HostState,
    limit: u32,
) -> Result<Vec<HostedJob>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM hosted WHERE site = ?1 AND state = ?2 ORDER BY admitted_at, job LIMIT ?3"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| {
            query
                .query_map(params![site.as_str(), state.as_str(), limit], raw)?
                .collect::<Result<Vec<_>, _>>()
        })
        .doing("list the hosted jobs")?
        .into_iter()
        .map(read)
        .collect()
}

/// The engine is to be told to start it.
pub fn set_starting(tx: &Tx<'_>, job: JobId) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE hosted SET state = 'starting' WHERE job = ?1 AND state = 'ready'")
        .and_then(|mut update| update.execute([job.to_string()]))
        .doing("start a hosted job")
        .map(|_rows| ())
}

/// A job that the engine has or is being given, without its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// What the engine knows it by.
    pub run: RunId,
    /// Whether it is known to run.
    pub began: bool,
    /// Whether it is suspended, and the engine was not seen to have stopped it.
    pub is_to_stand: bool,
}

const UNDER_WAY: &str = "SELECT job, attempt, state = 'running', held AND EXISTS (SELECT 1 FROM holds h WHERE h.job = hosted.job AND h.released_at IS NULL AND h.confirmed_at IS NULL) FROM hosted";

/// All that the engine of a site has or is being given, at most `limit` of them.
pub fn under_way(connection: &Connection, site: &SiteId, limit: u32) -> Result<Vec<UnderWay>, StoreError> {
    let sql = format!(
        "{UNDER_WAY} WHERE site = ?1 AND state IN ('starting', 'running') ORDER BY state, admitted_at, job LIMIT ?2"
    );
    let rows: Vec<_> = connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_map(params![site.as_str(), limit], raw_under_way)?.collect())
        .doing("list the jobs under way")?;
    rows.into_iter().map(read_under_way).collect()
}

/// The job, if this very attempt at it is under way at the site.
pub fn find_under_way(
    connection: &Connection,
    site: &SiteId,
    run: RunId,
) -> Result<Option<UnderWay>, StoreError> {
    let sql = format!(
        "{UNDER_WAY} WHERE job = ?1 AND site = ?2 AND attempt = ?3 AND state IN ('starting', 'running')"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| {
            let of = params![run.job.to_string(), site.as_str(), run.attempt];
            query.query_row(of, raw_under_way).optional()
        })
        .doing("look for a job under way")?
        .map(read_under_way)
        .transpose()
}

fn raw_under_way(row: &Row<'_>) -> rusqlite::Result<(String, u32, bool, bool)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn read_under_way(
    (job, attempt, began, is_to_stand): (String, u32, bool, bool),
) -> Result<UnderWay, StoreError> {
    Ok(UnderWay { run: RunId { job: parse(&job)?, attempt }, began, is_to_stand })
}

/// What the unfinished jobs of a site hold or wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SiteUse {
    /// Of this member's own jobs that start or run.
    pub running_home: Resources,
    /// Of guests' jobs that start or run.
    pub running_guests: Resources,
    /// Of guests' jobs that were admitted and wait.
    pub waiting_guests: Resources,
    /// Number of jobs that wait.
    pub waiting: u32,
    /// Number of jobs that start or run.
    pub jobs_running: u32,
}

/// What the unfinished jobs of a site hold, seen from the member that owns it.
pub fn site_use(connection: &Connection, site: &SiteId, owner: &MemberId) -> Result<SiteUse, StoreError> {
    let sql = "SELECT home = ?2, runs, SUM(jobs), SUM(cpu_cores), SUM(memory_bytes), SUM(gpus) FROM site_use WHERE site = ?1 GROUP BY 1, 2";
    let rows: Vec<(bool, bool, u32, i64, i64, i64)> = connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let row = |row: &Row<'_>| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            };
            query.query_map(params![site.as_str(), owner.as_str()], row)?.collect()
        })
        .doing("add up a site's jobs")?;
    let mut sum = SiteUse::default();
    for (own, runs, count, cpu_cores, memory_bytes, gpus) in rows {
        let held = resources([cpu_cores, memory_bytes, gpus]);
        match (own, runs) {
            (true, true) => sum.running_home = held,
            (false, true) => sum.running_guests = held,
            (false, false) => sum.waiting_guests = held,
            (true, false) => {}
        }
        if runs { sum.jobs_running += count } else { sum.waiting += count }
    }
    Ok(sum)
}

/// Notes that an offer was taken back before it was admitted, so that it never will be. False when it was noted before.
pub fn withdraw_offer(tx: &Tx<'_>, offer: OfferId, job: JobId, now: Timestamp) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR IGNORE INTO withdrawn (offer_id, job, withdrawn_at) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| {
            insert.execute(params![offer.to_string(), job.to_string(), now.as_millisecond()])
        })
        .doing("note a withdrawal")
        .map(|rows| rows > 0)
}

/// Whether an offer was taken back.
pub fn is_withdrawn(connection: &Connection, offer: OfferId) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM withdrawn WHERE offer_id = ?1")
        .and_then(|mut query| query.exists([offer.to_string()]))
        .doing("look for a withdrawal")
}

/// Keeps a refusal, so that the same offer gets the same answer.
pub fn refuse_offer(
    tx: &Tx<'_>,
    offer: OfferId,
    refusals: &[Refusal],
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT OR IGNORE INTO refused_offers (offer_id, refusals, refused_at) VALUES (?1, ?2, ?3)",
        )
        .and_then(|mut insert| {
            insert.execute(params![offer.to_string(), json(&refusals), now.as_millisecond()])
        })
        .doing("keep a refusal")
        .map(|_rows| ())
}

/// The refusals that an offer got before.
pub fn refusals_of(connection: &Connection, offer: OfferId) -> Result<Option<Vec<Refusal>>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT refusals FROM refused_offers WHERE offer_id = ?1")
        .and_then(|mut query| query.query_row([offer.to_string()], |row| row.get(0)).optional())
        .doing("look for a refusal")?;
    text.as_deref().map(from_json).transpose()
}

pub(super) fn resources([cpu_cores, memory_bytes, gpus]: [i64; 3]) -> Resources {
    Resources {
        cpu_cores: u32::try_from(cpu_cores).unwrap_or(u32::MAX),
        memory_bytes: memory_bytes.unsigned_abs(),
        gpus: u32::try_from(gpus).unwrap_or(u32::MAX),
    }
}

struct Raw {
    texts: [String; 7],
    held: [i64; 3],
    cancel_asked: bool,
    admitted_at: i64,
    started_at: Option<i64>,
    receipt: Option<String>,
    attempt: u32,
    not_before: Option<i64>,
    is_held: bool,
    notice_at: Option<i64>,
    reclaimed: u32,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        texts: [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?],
        held: [row.get(7)?, row.get(8)?, row.get(9)?],
        cancel_asked: row.get(10)?,
        admitted_at: row.get(11)?,
        started_at: row.get(12)?,
        receipt: row.get(13)?,
        attempt: row.get(14)?,
        not_before: row.get(15)?,
        is_held: row.get(16)?,
        notice_at: row.get(17)?,
        reclaimed: row.get(18)?,
    })
}

fn read(raw: Raw) -> Result<HostedJob, StoreError> {
    let [job, offer_id, offer, admission, home, site, state] = raw.texts;
    let known = HostState::ALL.into_iter().find(|known| known.as_str() == state);
    let damaged = || StoreError::Damaged { what: "hosted job", problem: format!("its state is `{state}`") };
    Ok(HostedJob {
        job: parse(&job)?,
        offer_id: parse(&offer_id)?,
        offer: signed(offer)?,
        admission: signed(admission)?,
        home: parse(&home)?,
        site: parse(&site)?,
        state: known.ok_or_else(damaged)?,
        resources: resources(raw.held),
        cancel_asked: raw.cancel_asked,
        held: raw.is_held,
        admitted_at: timestamp(raw.admitted_at)?,
        started_at: raw.started_at.map(timestamp).transpose()?,
        receipt: raw.receipt.map(signed).transpose()?,
        attempt: raw.attempt,
        not_before: raw.not_before.map(timestamp).transpose()?,
        notice_at: raw.notice_at.map(timestamp).transpose()?,
        reclaimed: raw.reclaimed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{schema, writer::WriterMode};

    #[test]
    fn what_a_site_holds_is_what_its_unfinished_jobs_hold_at_every_step() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection, WriterMode::Simulated).unwrap();
        let (site, owner) = ("quebec-hydro".parse().unwrap(), "ca".parse().unwrap());
        let held = |connection: &Connection| {
            let held = site_use(connection, &site, &owner).unwrap();
            let cores =
                [held.running_home, held.running_guests, held.waiting_guests].map(|held| held.cpu_cores);
            (cores, held.waiting, held.jobs_running)
        };
        for (job, home, cpu_cores) in
            [("one", "ca", 2), ("two", "ca", 3), ("three", "de", 5), ("four", "fr", 7)]
        {
            let sql = "INSERT INTO hosted (job, offer_id, home, site, state, offer, admission, cpu_cores, memory_bytes, gpus, admitted_at)
                       VALUES (?1, ?1, ?2, 'quebec-hydro', 'staging', '', '', ?3, 10, 1, 0)";
            connection.execute(sql, params![job, home, cpu_cores]).unwrap();
        }
        assert_eq!(held(&connection), ([0, 0, 12], 4, 0));
        let steps = [
            ("one", "ready", ([0, 0, 12], 4, 0)),
            ("one", "starting", ([2, 0, 12], 3, 1)),
            ("three", "starting", ([2, 5, 7], 2, 2)),
            ("one", "running", ([2, 5, 7], 2, 2)),
            ("one", "finished", ([0, 5, 7], 2, 1)),
            ("one", "finished", ([0, 5, 7], 2, 1)),
            ("four", "finished", ([0, 5, 0], 1, 1)),
        ];
        for (job, state, wanted) in steps {
            connection.execute("UPDATE hosted SET state = ?2 WHERE job = ?1", [job, state]).unwrap();
            assert_eq!(held(&connection), wanted, "{job} is {state}");
        }
    }
}
