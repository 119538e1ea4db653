// SPDX-License-Identifier: Apache-2.0
//! Orders to stop: each with its signatures, what it has stopped at which site, and what every site answered.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_protocol::{
    digest::Sha256Digest,
    ids::{DecisionId, JobId, MemberId, SiteId, StopOrderId},
    jws::Signed,
    stop_lift::SignedStopLift,
    stop_order::{SignedStopOrder, StopAcknowledgement},
};

use super::{
    Doing, StoreError, Tx,
    jobs::{from_json, json, parse, signed, timestamp},
};

/// The most orders of one page, and the most that stand at once.
const LIST_MAX: u32 = 1000;

/// An order as it is kept.
#[derive(Debug, Clone)]
pub struct KeptOrder {
    /// The order.
    pub id: StopOrderId,
    /// SHA-256 of its payload.
    pub sha256: Sha256Digest,
    /// Whose people gave it.
    pub member: MemberId,
    /// The order with its signatures.
    pub signed: SignedStopOrder,
    /// Who brought it here: a member, this one too.
    pub received_from: MemberId,
    /// When it came.
    pub received_at: Timestamp,
    /// What lifted it.
    pub lift: Option<SignedStopLift>,
    /// When it was lifted here.
    pub lifted_at: Option<Timestamp>,
}

/// A job that an order has stopped here.
#[derive(Debug, Clone)]
pub struct StoppedHere {
    /// The job.
    pub job: JobId,
    /// Where it stands still.
    pub site: SiteId,
    /// Its hold.
    pub hold: DecisionId,
}

/// A site of this node that has not answered an order yet.
#[derive(Debug, Clone)]
pub struct Unanswered {
    /// The order.
    pub id: StopOrderId,
    /// The site.
    pub site: SiteId,
    /// Whether it was said that it is late.
    pub late: bool,
}

const COLUMNS: &str = "id, sha256, member, signed, received_from, received_at, lift, lifted_at";

/// Keeps an order; false when it was here already.
pub fn put(tx: &Tx<'_>, order: &KeptOrder) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR IGNORE INTO stop_orders (id, sha256, member, signed, received_from, received_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .and_then(|mut insert| {
            insert.execute(params![
                order.id.to_string(),
                order.sha256.to_string(),
                order.member.as_str(),
                json(&order.signed),
                order.received_from.as_str(),
                order.received_at.as_millisecond(),
            ])
        })
        .doing("keep an order to stop")
        .map(|rows| rows == 1)
}

/// Notes that an order is lifted; false when it was lifted before.
pub fn lift(tx: &Tx<'_>, id: StopOrderId, lift: &SignedStopLift, now: Timestamp) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached("UPDATE stop_orders SET lift = ?2, lifted_at = ?3 WHERE id = ?1 AND lift IS NULL")
        .and_then(|mut update| update.execute(params![id.to_string(), json(lift), now.as_millisecond()]))
        .doing("lift an order to stop")
        .map(|rows| rows == 1)
}

/// An order by its id.
pub fn find(connection: &Connection, id: StopOrderId) -> Result<Option<KeptOrder>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM stop_orders WHERE id = ?1");
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_row([id.to_string()], raw).optional())
        .doing("read an order to stop")?
        .map(read)
        .transpose()
}

/// The orders that this node knows, the newest first: at most 1,000, with whether there are more.
pub fn list(connection: &Connection) -> Result<(Vec<KeptOrder>, bool), StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM stop_orders ORDER BY received_at DESC, id DESC LIMIT ?1");
    let mut orders = orders(connection, &sql, &[&(LIST_MAX + 1)])?;
    let most = usize::try_from(LIST_MAX).unwrap_or(usize::MAX);
    let more = orders.len() > most;
    orders.truncate(most);
    Ok((orders, more))
}

/// The orders that stand, the newest first: all of them, for one that is left out would be obeyed by nobody.
pub fn standing(connection: &Connection) -> Result<Vec<KeptOrder>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM stop_orders WHERE lift IS NULL ORDER BY received_at DESC, id DESC");
    orders(connection, &sql, &[])
}

fn orders(
    connection: &Connection,
    sql: &str,
    limit: &[&dyn rusqlite::ToSql],
) -> Result<Vec<KeptOrder>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map(limit, raw)?.collect::<Result<Vec<_>, _>>())
        .doing("list the orders to stop")?
        .into_iter()
        .map(read)
        .collect()
}

type Raw = ([String; 5], i64, Option<String>, Option<i64>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let texts = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
    Ok((texts, row.get(5)?, row.get(6)?, row.get(7)?))
}

fn read(
    ([id, sha256, member, signed, from], received_at, lift, lifted_at): Raw,
) -> Result<KeptOrder, StoreError> {
    Ok(KeptOrder {
        id: parse(&id)?,
        sha256: parse(&sha256)?,
        member: parse(&member)?,
        signed: from_json(&signed)?,
        received_from: parse(&from)?,
        received_at: timestamp(received_at)?,
        lift: lift.as_deref().map(from_json).transpose()?,
        lifted_at: lifted_at.map(timestamp).transpose()?,
    })
}

/// Notes that a site of this node is to answer an order.
pub fn put_site(tx: &Tx<'_>, id: StopOrderId, site: &SiteId) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR IGNORE INTO stop_sites (id, site) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![id.to_string(), site.as_str()]))
        .doing("note who answers an order")
        .map(|_rows| ())
}

/// Notes that a site is late with its answer, or has given it.
pub fn note_site(tx: &Tx<'_>, id: StopOrderId, site: &SiteId, answered: bool) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE stop_sites SET late = late OR NOT ?3, answered = answered OR ?3 WHERE id = ?1 AND site = ?2")
        .and_then(|mut update| update.execute(params![id.to_string(), site.as_str(), answered]))
        .doing("note a site's answer")
        .map(|_rows| ())
}

/// The sites that have not answered an order yet.
pub fn unanswered(connection: &Connection) -> Result<Vec<Unanswered>, StoreError> {
    let rows: Vec<(String, String, bool)> = connection
        .prepare_cached("SELECT id, site, late FROM stop_sites WHERE answered = 0 ORDER BY id, site")
        .and_then(|mut query| {
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .doing("list the sites that have to answer")?;
    rows.into_iter()
        .map(|(id, site, late)| Ok(Unanswered { id: parse(&id)?, site: parse(&site)?, late }))
        .collect()
}

/// Notes that an order has stopped a job.
pub fn put_job(tx: &Tx<'_>, id: StopOrderId, job: &StoppedHere) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR IGNORE INTO stop_jobs (id, job, site, hold) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| {
            insert.execute(params![
                id.to_string(),
                job.job.to_string(),
                job.site.as_str(),
                job.hold.to_string()
            ])
        })
        .doing("note what an order has stopped")
        .map(|_rows| ())
}

/// The jobs that an order has stopped here.
pub fn jobs(connection: &Connection, id: StopOrderId) -> Result<Vec<StoppedHere>, StoreError> {
    let rows: Vec<(String, String, String)> = connection
        .prepare_cached("SELECT job, site, hold FROM stop_jobs WHERE id = ?1 ORDER BY job")
        .and_then(|mut query| {
            query.query_map([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .doing("list what an order has stopped")?;
    rows.into_iter()
        .map(|(job, site, hold)| {
            Ok(StoppedHere { job: parse(&job)?, site: parse(&site)?, hold: parse(&hold)? })
        })
        .collect()
}

/// Keeps a site's answer; false when it was here already.
pub fn put_acknowledgement(
    tx: &Tx<'_>,
    answer: &StopAcknowledgement,
    text: &Signed<StopAcknowledgement>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR IGNORE INTO stop_acknowledgements (id, member, site, acknowledgement, received_at) VALUES (?1, ?2, ?3, ?4, ?5)")
        .and_then(|mut insert| {
            insert.execute(params![
                answer.order.to_string(),
                answer.member.as_str(),
                answer.site.as_str(),
                text.as_str(),
                now.as_millisecond()
            ])
        })
        .doing("keep a site's answer")
        .map(|rows| rows == 1)
}

/// The answers of all sites to an order, with when each came.
pub fn acknowledgements(
    connection: &Connection,
    id: StopOrderId,
) -> Result<Vec<(Signed<StopAcknowledgement>, Timestamp)>, StoreError> {
    let rows: Vec<(String, i64)> = connection
        .prepare_cached(
            "SELECT acknowledgement, received_at FROM stop_acknowledgements WHERE id = ?1 ORDER BY member, site",
        )
        .and_then(|mut query| {
            query.query_map([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .doing("read the sites' answers")?;
    rows.into_iter().map(|(text, at)| Ok((signed(text)?, timestamp(at)?))).collect()
}

/// The unfinished jobs of this host, for orders that name a model or a site.
pub fn unfinished_jobs(connection: &Connection) -> Result<Vec<(JobId, SiteId)>, StoreError> {
    let rows: Vec<(String, String)> = connection
        .prepare_cached("SELECT job, site FROM hosted WHERE state IN ('staging', 'ready', 'starting', 'running') ORDER BY job")
        .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .doing("list the unfinished jobs")?;
    rows.into_iter().map(|(job, site)| Ok((parse(&job)?, parse(&site)?))).collect()
}
