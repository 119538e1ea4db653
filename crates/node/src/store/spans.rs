// SPDX-License-Identifier: Apache-2.0
//! What the ledger of standing plays again: this member's jobs, its guests', and when and where each held its processors.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use sta_decide::admit::demand_of;
use sta_protocol::{
    federation::Receipt,
    ids::{JobId, MemberId, SiteId},
    job::JobSpec,
    treaty::Resources,
};

use super::{
    Doing, StoreError, Tx, hosted,
    jobs::{FIRST_DECIDED, HomeState, from_json, parse},
};

/// A time in which a job held its processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where.
    pub site: SiteId,
    /// From when on, in milliseconds since 1970.
    pub begin_ms: u64,
    /// Until when; nothing while it runs.
    pub end_ms: Option<u64>,
}

/// A job and what became of it, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub job: JobId,
    /// Whose it is.
    pub home: MemberId,
    /// What it holds while it runs.
    pub demand: Resources,
    /// When it could have begun: when it was decided on, or for a guest admitted.
    pub submit_ms: u64,
    /// How long it said to run at most; nothing of a guest.
    pub estimate_ms: Option<u64>,
    /// Whether it saves its work, so that each of its times counts and not the last alone.
    pub saves: bool,
    /// How often it had to leave a site.
    pub reclaimed: u32,
    /// Whether it is over.
    pub is_over: bool,
    /// When it ended, if it is over.
    pub end_ms: Option<u64>,
    /// When and where it ran, in the order of its attempts.
    pub spans: Vec<Span>,
}

/// Keeps when and where the attempt of a receipt ran, if it did; a repeat changes nothing.
pub fn note(tx: &Tx<'_>, receipt: &Receipt) -> Result<(), StoreError> {
    let Some(begin) = receipt.started_at else { return Ok(()) };
    let begin_ms = begin.as_millisecond();
    let end_ms = receipt.ended_at.as_millisecond().max(begin_ms);
    tx.connection()
        .prepare_cached(
            "INSERT OR IGNORE INTO spans (job, attempt, host, site, begin_at, end_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut insert| {
            let (host, site) = (receipt.host.as_str(), receipt.site.as_str());
            insert.execute(params![receipt.job.to_string(), receipt.attempt, host, site, begin_ms, end_ms])
        })
        .doing("keep when a job ran")
        .map(|_rows| ())
}

/// How many jobs there are, this member's and its guests', placed or not.
pub fn count(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .prepare_cached("SELECT (SELECT COUNT(*) FROM jobs) + (SELECT COUNT(*) FROM hosted)")
        .and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(0)))
        .doing("count the jobs")
        .map(i64::unsigned_abs)
}

/// The newest jobs of this member that were placed, at most `limit`.
pub fn own(connection: &Connection, member: &MemberId, limit: u32) -> Result<Vec<Event>, StoreError> {
    type Row = (String, i64, Option<String>, String, String, u32, Option<i64>, Option<i64>, Option<String>);
    // One that was elsewhere and waits for a site to go on at is under way.
    let sql = format!(
        "SELECT id, submitted_at, {FIRST_DECIDED}, state, spec, reclaimed, started_at, ended_at, site
         FROM jobs WHERE state != 'refused' AND (state != 'waiting' OR attempt > 1) ORDER BY id DESC LIMIT ?1"
    );
    let rows: Vec<Row> = connection
        .prepare_cached(&sql)
        .and_then(|mut query| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                    row.get(7)?,
                    row.get(8)?,
                ))
            };
            query.query_map([limit], row)?.collect()
        })
        .doing("list this member's jobs")?;
    let mut spans = spans(connection)?;
    let event = |(id, submitted_at, decided_at, state, spec, reclaimed, started_at, ended_at, site): Row| {
        let spec: JobSpec = from_json(&spec)?;
        let decided_at = decided_at.as_deref().map(parse::<Timestamp>).transpose()?;
        let is_over = HomeState::ALL.into_iter().any(|known| known.as_str() == state && known.is_final());
        let mut spans = spans.remove(&id).unwrap_or_default();
        if let Some((begin, site)) = started_at.zip(site).filter(|_| !is_over) {
            spans.push(Span { site: parse(&site)?, begin_ms: begin.unsigned_abs(), end_ms: None });
        }
        // A job array has its tasks side by side, as many as it may.
        let rounds = u64::from(spec.shape.count.div_ceil(spec.shape.parallel.max(1)));
        Ok(Event {
            job: parse(&id)?,
            home: member.clone(),
            demand: demand_of(&spec),
            submit_ms: decided_at.map_or(submitted_at, Timestamp::as_millisecond).unsigned_abs(),
            estimate_ms: Some(u64::from(spec.time_limit_s) * 1000 * rounds),
            saves: spec.checkpoint.is_some(),
            reclaimed,
            is_over,
            end_ms: ended_at.map(i64::unsigned_abs),
            spans,
        })
    };
    rows.into_iter().map(event).collect()
}

/// The newest jobs of other members that this node's sites took, at most `limit`.
pub fn guests(connection: &Connection, member: &MemberId, limit: u32) -> Result<Vec<Event>, StoreError> {
    type Row = (String, String, i64, String, [i64; 3], u32, Option<i64>, String);
    let sql =
        "SELECT job, home, admitted_at, state, cpu_cores, memory_bytes, gpus, reclaimed, started_at, site
               FROM hosted WHERE home != ?1 ORDER BY job DESC LIMIT ?2";
    let rows: Vec<Row> = connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let row = |row: &rusqlite::Row<'_>| {
                let held = [row.get(4)?, row.get(5)?, row.get(6)?];
                let (reclaimed, started_at, site) = (row.get(7)?, row.get(8)?, row.get(9)?);
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, held, reclaimed, started_at, site))
            };
            query.query_map(params![member.as_str(), limit], row)?.collect()
        })
        .doing("list the guests")?;
    let mut spans = spans(connection)?;
    let event = |(id, home, admitted_at, state, held, reclaimed, started_at, site): Row| {
        let is_over = state == hosted::HostState::Finished.as_str();
        let mut spans = spans.remove(&id).unwrap_or_default();
        if let Some(begin) = started_at.filter(|_| !is_over) {
            spans.push(Span { site: parse(&site)?, begin_ms: begin.unsigned_abs(), end_ms: None });
        }
        Ok(Event {
            job: parse(&id)?,
            home: parse(&home)?,
            demand: hosted::resources(held),
            submit_ms: admitted_at.unsigned_abs(),
            estimate_ms: None,
            saves: true,
            reclaimed,
            is_over,
            end_ms: spans.last().and_then(|span: &Span| span.end_ms),
            spans,
        })
    };
    rows.into_iter().map(event).collect()
}

/// The times of all jobs.
fn spans(connection: &Connection) -> Result<BTreeMap<String, Vec<Span>>, StoreError> {
    let rows: Vec<(String, String, i64, i64)> = connection
        .prepare_cached("SELECT job, site, begin_at, end_at FROM spans ORDER BY job, attempt")
        .and_then(|mut query| {
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect()
        })
        .doing("read when jobs ran")?;
    let mut spans: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for (job, site, begin, end) in rows {
        let (begin_ms, end_ms) = (begin.unsigned_abs(), Some(end.unsigned_abs()));
        spans.entry(job).or_default().push(Span { site: parse(&site)?, begin_ms, end_ms });
    }
    Ok(spans)
}
