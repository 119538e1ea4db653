// SPDX-License-Identifier: Apache-2.0
//! The line at a site: which of its jobs wait for room, and what those hold that have it, until when at most.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_decide::backfill::Holds;
use sta_protocol::{
    ids::{JobId, MemberId, OfferId, SiteId},
    treaty::Resources,
};

use super::{Doing, StoreError, hosted, jobs::parse};

/// The most guests of a site that one look reads where they are of several members; of each at least one.
const GUESTS_MAX: u32 = 1024;

/// A job that waits for room, with what is needed to start it.
#[derive(Debug, Clone)]
pub struct ReadyJob {
    /// Its id.
    pub job: JobId,
    /// The offer that was admitted.
    pub offer_id: OfferId,
    /// Whose it is.
    pub home: MemberId,
    /// When it came, in milliseconds since 1970.
    pub came_ms: u64,
    /// What it would hold.
    pub resources: Resources,
    /// How long it may run at most, in milliseconds; `u64::MAX` where an earlier version admitted it, which did not keep that.
    pub longest_ms: u64,
    /// Whether it was elsewhere before, or had to leave here.
    pub came_back: bool,
}

impl ReadyJob {
    /// Its place in the order in which all came.
    #[must_use]
    pub fn came(&self) -> (u64, JobId) {
        (self.came_ms, self.job)
    }
}

/// The jobs of a member that may start at a site, in the order in which they came: without those that home has taken back, those that
/// are suspended, and those that their site failed a moment ago.
pub fn ready_of(
    connection: &Connection,
    site: &SiteId,
    home: &MemberId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ReadyJob>, StoreError> {
    ready(connection, "home = ?2", site, home, now, limit)
}

/// The same of all guests of a site.
pub fn ready_guests(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ReadyJob>, StoreError> {
    ready(connection, "home != ?2", site, owner, now, limit)
}

fn ready(
    connection: &Connection,
    whose: &str,
    site: &SiteId,
    member: &MemberId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ReadyJob>, StoreError> {
    let sql = format!("{READY} AND {whose} ORDER BY line_at, job LIMIT ?4");
    let rows: Vec<Raw> = connection
        .prepare_cached(&sql)
        .and_then(|mut query| {
            let values = params![site.as_str(), member.as_str(), now.as_millisecond(), limit];
            query.query_map(values, raw_ready)?.collect()
        })
        .doing("list the jobs that wait for room")?;
    rows.iter().map(read_ready).collect()
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
        ready.extend(row.as_ref().map(read_ready).transpose()?);
    }
    Ok(ready)
}

type Raw = ([String; 3], Option<i64>, [i64; 3], Option<i64>, bool);

const READY: &str = "SELECT job, offer_id, home, line_at, cpu_cores, memory_bytes, gpus, longest_ms, reclaimed > 0 FROM hosted WHERE site = ?1
    AND state = 'ready' AND cancel_asked = 0 AND held = 0 AND (not_before IS NULL OR not_before <= ?3)";

fn raw_ready(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let names = [row.get(0)?, row.get(1)?, row.get(2)?];
    let held = [row.get(4)?, row.get(5)?, row.get(6)?];
    Ok((names, row.get(3)?, held, row.get(7)?, row.get(8)?))
}

fn read_ready(
    ([job, offer_id, home], line_at, held, longest, came_back): &Raw,
) -> Result<ReadyJob, StoreError> {
    Ok(ReadyJob {
        job: parse(job)?,
        offer_id: parse(offer_id)?,
        home: parse(home)?,
        came_ms: line_at.unwrap_or(0).unsigned_abs(),
        resources: hosted::resources(*held),
        longest_ms: longest_of(*longest),
        came_back: *came_back,
    })
}

/// A member with guests that wait at a site.
#[derive(Debug, Clone)]
pub struct Guests {
    /// Which.
    pub home: MemberId,
    /// What those hold that start or run.
    pub holds: Resources,
    /// The first of those that may start, in the order in which they came: at least one.
    pub ready: Vec<ReadyJob>,
}

/// The guests of a site that may start, by their members' ids: up to `limit` of each member, and over all `GUESTS_MAX`, so that none
/// is hidden behind another member's, however many these are.
pub fn ready_by_home(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Guests>, StoreError> {
    let mut homes = homes(connection, site, owner)?;
    homes.retain(|_, (_, wait)| *wait);
    let each = limit.min((GUESTS_MAX / u32::try_from(homes.len()).unwrap_or(u32::MAX).max(1)).max(1));
    let mut guests = Vec::new();
    for (home, (holds, _)) in homes {
        let ready = ready_of(connection, site, &home, now, each)?;
        if !ready.is_empty() {
            guests.push(Guests { home, holds, ready });
        }
    }
    Ok(guests)
}

/// How many members have guests at a site that wait, for their files or for room.
pub fn homes_that_wait(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
) -> Result<usize, StoreError> {
    Ok(homes(connection, site, owner)?.values().filter(|(_, wait)| *wait).count())
}

/// Each member with guests at a site, what those hold that start or run, and whether others wait: few rows, however many guests.
fn homes(
    connection: &Connection,
    site: &SiteId,
    owner: &MemberId,
) -> Result<BTreeMap<MemberId, (Resources, bool)>, StoreError> {
    let sql = "SELECT home, runs, cpu_cores, memory_bytes, gpus FROM site_use WHERE site = ?1 AND home != ?2 AND jobs > 0";
    let rows: Vec<(String, bool, [i64; 3])> = connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, [row.get(2)?, row.get(3)?, row.get(4)?]));
            query.query_map(params![site.as_str(), owner.as_str()], row)?.collect()
        })
        .doing("add up the guests of a site")?;
    let mut homes: BTreeMap<MemberId, (Resources, bool)> = BTreeMap::new();
    for (home, runs, held) in rows {
        let (holds, wait) = homes.entry(parse(&home)?).or_default();
        if runs { *holds = hosted::resources(held) } else { *wait = true }
    }
    Ok(homes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{schema, writer::WriterMode};

    /// So many jobs of a member that wait in Jülich, all after those before.
    fn wait(connection: &Connection, home: &str, count: u32) {
        let before: u32 = connection.query_row("SELECT count(*) FROM hosted", [], |row| row.get(0)).unwrap();
        for number in before..before + count {
            let id = format!("0192f0c1-7e5b-7a10-8c3e-{number:012x}");
            let sql = "INSERT INTO hosted (job, offer_id, home, site, state, offer, admission, cpu_cores, memory_bytes, gpus, admitted_at, line_at)
                       VALUES (?1, ?1, ?2, 'juelich', 'ready', '', '', 1, 1, 0, ?3, ?3)";
            connection.execute(sql, params![id, home, number]).unwrap();
        }
    }

    #[test]
    fn however_many_guests_of_one_member_wait_the_first_of_every_other_are_seen() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection, WriterMode::Simulated).unwrap();
        wait(&connection, "ca", 2000);
        wait(&connection, "de", 5);
        wait(&connection, "fr", 1);
        connection.execute("UPDATE hosted SET state = 'running' WHERE line_at < 3", []).unwrap();
        let (site, owner, now) = ("juelich".parse().unwrap(), "de".parse().unwrap(), Timestamp::UNIX_EPOCH);
        let look = |connection: &Connection, limit: u32| {
            let seen = ready_by_home(connection, &site, &owner, now, limit).unwrap();
            let of =
                |of: Guests| (of.home.to_string(), of.holds.cpu_cores, of.ready.len(), of.ready[0].came_ms);
            seen.into_iter().map(of).collect::<Vec<_>>()
        };
        let expected = |count| vec![("ca".to_owned(), 3, count, 3), ("fr".to_owned(), 0, 1, 2005)];
        assert_eq!(look(&connection, 32), expected(32));
        assert_eq!(look(&connection, 5000), expected(512), "a look at two members, of 512 each at most");
        assert_eq!(homes_that_wait(&connection, &site, &owner).unwrap(), 2);
        assert_eq!(ready_guests(&connection, &site, &owner, now, 9).unwrap().len(), 9);
    }

    #[test]
    fn what_waits_of_a_member_is_read_in_its_order_without_looking_at_the_others() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection, WriterMode::Simulated).unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {READY} AND home = ?2 ORDER BY line_at, job LIMIT ?4");
        let mut query = connection.prepare(&plan).unwrap();
        let steps: Vec<String> = query
            .query_map(params!["", "", 0, 1], |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(steps, ["SEARCH hosted USING INDEX hosted_ready_by_home (site=? AND home=?)"]);
    }
}
