// SPDX-License-Identifier: Apache-2.0
//! The line at a site: which of its jobs wait for room, and what those hold that have it, until when at most.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_decide::backfill::Holds;
use sta_protocol::{
    ids::{JobId, MemberId, OfferId, SiteId},
    treaty::Resources,
};

use super::{Doing, StoreError, hosted, jobs::parse};

/// A job that waits for room, with what is needed to start it.
#[derive(Debug, Clone)]
pub struct ReadyJob {
    /// Its id.
    pub job: JobId,
    /// The offer that was admitted.
    pub offer_id: OfferId,
    /// What it would hold.
    pub resources: Resources,
    /// How long it may run at most, in milliseconds; `u64::MAX` where an earlier version admitted it, which did not keep that.
    pub longest_ms: u64,
    /// Whether it is of the member that owns the site.
    pub is_own: bool,
    /// Whether it was elsewhere before, or had to leave here.
    pub came_back: bool,
}

/// The jobs of a site that may start, those of its owner first, each in the order in which they came: without those that home has
/// taken back, those that are suspended, and those that their site failed a moment ago.
pub fn ready(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ReadyJob>, StoreError> {
    let of = |home: &str, is_own: bool, limit: u32| {
        let sql = format!("{READY} AND {home} ORDER BY line_at, job LIMIT ?4");
        let rows: Vec<Raw> = connection
            .prepare_cached(&sql)
            .and_then(|mut query| {
                let values = params![site.as_str(), owner.as_str(), now.as_millisecond(), limit];
                query.query_map(values, raw_ready)?.collect()
            })
            .doing("list the jobs that wait for room")?;
        rows.iter().map(|row| read_ready(row, is_own)).collect::<Result<Vec<_>, StoreError>>()
    };
    let mut ready = of("home = ?2", true, limit)?;
    let places = limit.saturating_sub(u32::try_from(ready.len()).unwrap_or(limit));
    if places > 0 {
        ready.extend(of("home != ?2", false, places)?);
    }
    Ok(ready)
}

/// Which of these jobs of the owner may start at its site, in the order of the list.
pub fn ready_among(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
    now: Timestamp,
    jobs: &[JobId],
) -> Result<Vec<ReadyJob>, StoreError> {
    let sql = format!("{READY} AND home = ?2 AND job = ?4");
    let mut ready = Vec::new();
    for job in jobs {
        let row: Option<Raw> = connection
            .prepare_cached(&sql)
            .and_then(|mut query| {
                let values = params![site.as_str(), owner.as_str(), now.as_millisecond(), job.to_string()];
                query.query_row(values, raw_ready).optional()
            })
            .doing("look for a job that waits for room")?;
        ready.extend(row.map(|row| read_ready(&row, true)).transpose()?);
    }
    Ok(ready)
}

type Raw = (String, String, [i64; 3], Option<i64>, bool);

const READY: &str = "SELECT job, offer_id, cpu_cores, memory_bytes, gpus, longest_ms, reclaimed > 0 FROM hosted WHERE site = ?1
    AND state = 'ready' AND cancel_asked = 0 AND held = 0 AND (not_before IS NULL OR not_before <= ?3)";

fn raw_ready(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, [row.get(2)?, row.get(3)?, row.get(4)?], row.get(5)?, row.get(6)?))
}

fn read_ready((job, offer_id, held, longest, came_back): &Raw, is_own: bool) -> Result<ReadyJob, StoreError> {
    let (job, offer_id, longest_ms) = (parse(job)?, parse(offer_id)?, longest_of(*longest));
    Ok(ReadyJob {
        job,
        offer_id,
        resources: hosted::resources(*held),
        longest_ms,
        is_own,
        came_back: *came_back,
    })
}

/// What the jobs of a site hold that start or run there, the owner's and the guests'.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    /// Of the member that owns the site.
    pub own: Vec<Holds>,
    /// Of the others.
    pub guests: Vec<Holds>,
}

/// What each job holds that starts or runs at a site, and until when at most: by its time limit, and under notice until its grace
/// is over. One that is suspended holds on until somebody lets it go on, which nobody knows.
pub fn holding(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
    now: Timestamp,
    grace_ms: u64,
) -> Result<Holding, StoreError> {
    let sql = "SELECT cpu_cores, memory_bytes, gpus, coalesce(started_at, ?3), longest_ms, held, notice_at, home = ?2
               FROM hosted WHERE site = ?1 AND state IN ('starting', 'running')";
    let holds = |row: &Row<'_>| {
        let (began, longest, held, notice): (i64, Option<i64>, bool, Option<i64>) =
            (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
        let ends_ms = began.unsigned_abs().saturating_add(longest_of(longest));
        let leaves_ms = notice.map_or(u64::MAX, |at| at.unsigned_abs().saturating_add(grace_ms));
        let until_ms = if held { u64::MAX } else { ends_ms.min(leaves_ms) };
        let resources = hosted::resources([row.get(0)?, row.get(1)?, row.get(2)?]);
        Ok((row.get(7)?, Holds { resources, until_ms }))
    };
    let all: Vec<(bool, Holds)> = connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let values = params![site.as_str(), owner.as_str(), now.as_millisecond()];
            query.query_map(values, holds)?.collect()
        })
        .doing("list what a site's jobs hold")?;
    let mut holding = Holding::default();
    for (is_own, holds) in all {
        if is_own { holding.own.push(holds) } else { holding.guests.push(holds) }
    }
    Ok(holding)
}

fn longest_of(longest_ms: Option<i64>) -> u64 {
    longest_ms.map_or(u64::MAX, i64::unsigned_abs)
}
