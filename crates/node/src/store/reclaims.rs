// SPDX-License-Identifier: Apache-2.0
//! Guests that may be given notice, those that were, and what home was told of it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_decide::reclaim::Guest;
use sta_protocol::{
    ids::{JobId, MemberId, SiteId},
    treaty::Resources,
};

use crate::engines::RunId;

use super::{
    Doing, StoreError, Tx, hosted,
    jobs::{parse, timestamp},
};

/// How often one job is reclaimed at most; then it stays to its end. Each time has a receipt, and no job has them without end.
pub const RECLAIMS_MAX: u32 = 100;
/// The most guests of a site that are looked at.
const GUESTS_MAX: u32 = 10_000;

/// The guests of a site that start or run there, the youngest first. One that is suspended keeps its place and its state, and
/// is none of them.
pub fn guests(connection: &Connection, site: &SiteId, owner: &MemberId) -> Result<Vec<Guest>, StoreError> {
    that_may_leave(connection, site, owner, "home != ?2")
}

/// The owner's own jobs that start or run at its site, as [`guests`].
pub fn own(connection: &Connection, site: &SiteId, owner: &MemberId) -> Result<Vec<Guest>, StoreError> {
    that_may_leave(connection, site, owner, "home = ?2")
}

fn that_may_leave(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
    whose: &str,
) -> Result<Vec<Guest>, StoreError> {
    // One that has not begun has begun last of all.
    let sql = format!(
        "SELECT job, coalesce(started_at, 9223372036854775807), cpu_cores, memory_bytes, gpus, notice_at IS NOT NULL OR cancel_asked
         FROM hosted WHERE site = ?1 AND state IN ('starting', 'running') AND {whose}
         AND (cancel_asked OR notice_at IS NOT NULL OR (held = 0 AND reclaimed < ?3)) ORDER BY 2 DESC, job DESC LIMIT ?4"
    );
    let rows: Vec<(String, i64, [i64; 3], bool)> = connection
        .prepare_cached(&sql)
        .and_then(|mut query| {
            let row = |row: &Row<'_>| {
                Ok((row.get(0)?, row.get(1)?, [row.get(2)?, row.get(3)?, row.get(4)?], row.get(5)?))
            };
            query.query_map(params![site.as_str(), owner.as_str(), RECLAIMS_MAX, GUESTS_MAX], row)?.collect()
        })
        .doing("list the guests of a site")?;
    rows.into_iter()
        .map(|(job, began_ms, held, leaves)| {
            Ok(Guest { job: parse(&job)?, holds: hosted::resources(held), began_ms, leaves })
        })
        .collect()
}

/// What the owner's own jobs at a site hold that are on their way out because somebody stopped them.
pub fn own_leaving(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
) -> Result<Resources, StoreError> {
    let sql = "SELECT coalesce(SUM(cpu_cores), 0), coalesce(SUM(memory_bytes), 0), coalesce(SUM(gpus), 0) FROM hosted
               WHERE site = ?1 AND state IN ('starting', 'running') AND home = ?2 AND cancel_asked = 1";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            query.query_row(params![site.as_str(), owner.as_str()], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?])
            })
        })
        .doing("add up what leaves a site")
        .map(hosted::resources)
}

/// The attempts at the owner's own jobs that its site has or is being given and that have not begun, those admitted first first.
pub fn own_waiting(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
    limit: u32,
) -> Result<Vec<RunId>, StoreError> {
    let sql = "SELECT job, attempt FROM hosted WHERE site = ?1 AND state = 'starting' AND home = ?2
               AND held = 0 AND cancel_asked = 0 ORDER BY admitted_at, job LIMIT ?3";
    let rows: Vec<(String, u32)> = connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let values = params![site.as_str(), owner.as_str(), limit];
            query.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .doing("list the owner's jobs that wait at a site")?;
    rows.into_iter().map(|(job, attempt)| Ok(RunId { job: parse(&job)?, attempt })).collect()
}

/// The attempts that are under way of these guests.
pub fn runs_of(connection: &Connection, guests: &[Guest]) -> Result<Vec<RunId>, StoreError> {
    let attempt = |guest: &Guest| {
        let attempt = connection
            .prepare_cached("SELECT attempt FROM hosted WHERE job = ?1")
            .and_then(|mut query| query.query_row([guest.job.to_string()], |row| row.get(0)));
        Ok(RunId { job: guest.job, attempt: attempt.doing("read the attempt of a guest")? })
    };
    guests.iter().map(attempt).collect()
}

/// Whether a site has guests at all that are not over, there or waiting at this node: of the sums that are kept, whatever waits.
pub fn has_guests(connection: &Connection, site: &SiteId, owner: &MemberId) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM site_use WHERE site = ?1 AND home != ?2 AND jobs > 0")
        .and_then(|mut query| query.exists(params![site.as_str(), owner.as_str()]))
        .doing("look for guests")
}

/// What home knows of notices to one of its jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notices {
    /// When its host gave the attempt under way notice.
    pub notice_at: Option<Timestamp>,
    /// How many attempts ended so.
    pub reclaimed: u32,
}

/// What home knows of notices to a job.
pub fn at_home(connection: &Connection, job: JobId) -> Result<Notices, StoreError> {
    let row: Option<(Option<i64>, u32)> = connection
        .prepare_cached("SELECT notice_at, reclaimed FROM jobs WHERE id = ?1")
        .and_then(|mut query| {
            query.query_row([job.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .doing("read the notices to a job")?;
    let (notice_at, reclaimed) = row.unwrap_or_default();
    Ok(Notices { notice_at: notice_at.map(timestamp).transpose()?, reclaimed })
}

/// Keeps what the host told of notices to a job of this home.
pub fn note_at_home(tx: &Tx<'_>, job: JobId, notices: Notices) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE jobs SET notice_at = ?2, reclaimed = ?3 WHERE id = ?1")
        .and_then(|mut update| {
            let notice_at = notices.notice_at.map(Timestamp::as_millisecond);
            update.execute(params![job.to_string(), notice_at, notices.reclaimed])
        })
        .doing("keep the notices to a job")
        .map(|_rows| ())
}
