// SPDX-License-Identifier: Apache-2.0
//! Why jobs are or were suspended: a row for each reason, open until it is released.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use sta_protocol::{federation::Hold, ids::JobId};

use super::{Doing, StoreError, Tx, jobs::timestamp};

/// The most reasons of one job that are read, newest ones left out.
const HOLDS_MAX: u32 = 1_000;

/// Opens a reason. False when the same one is open already.
pub fn open(tx: &Tx<'_>, job: JobId, reason: &str, since: Timestamp) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR IGNORE INTO holds (job, reason, since) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![job.to_string(), reason, since.as_millisecond()]))
        .doing("suspend a job")
        .map(|rows| rows == 1)
}

/// Releases a reason that is open. False when it is not.
pub fn release(tx: &Tx<'_>, job: JobId, reason: &str, by: &str, at: Timestamp) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE holds SET released_at = ?3, released_by = ?4 WHERE job = ?1 AND reason = ?2 AND released_at IS NULL",
        )
        .and_then(|mut update| update.execute(params![job.to_string(), reason, at.as_millisecond(), by]))
        .doing("release a job")
        .map(|rows| rows == 1)
}

/// Notes that the engine was seen to have stopped the job. False when that was noted before, or nothing is open.
pub fn confirm(tx: &Tx<'_>, job: JobId, at: Timestamp) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE holds SET confirmed_at = ?2 WHERE job = ?1 AND released_at IS NULL AND confirmed_at IS NULL",
        )
        .and_then(|mut update| update.execute(params![job.to_string(), at.as_millisecond()]))
        .doing("note that a job stands still")
        .map(|rows| rows > 0)
}

/// Whether a reason is open and the engine was not seen to have stopped the job since.
pub fn is_to_stand(connection: &Connection, job: JobId) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM holds WHERE job = ?1 AND released_at IS NULL AND confirmed_at IS NULL")
        .and_then(|mut query| query.exists([job.to_string()]))
        .doing("look whether a job stands still")
}

/// All reasons of a job, open and released, in the order in which they came.
pub fn of(connection: &Connection, job: JobId) -> Result<Vec<Hold>, StoreError> {
    let sql = "SELECT reason, since, confirmed_at, released_at, released_by FROM holds WHERE job = ?1 ORDER BY since, rowid LIMIT ?2";
    let rows: Vec<Raw> = connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map(params![job.to_string(), HOLDS_MAX], raw)?.collect())
        .doing("read why a job is suspended")?;
    rows.into_iter().map(read).collect()
}

/// Puts what another host told of a job in the place of what was known.
pub fn replace(tx: &Tx<'_>, job: JobId, holds: &[Hold]) -> Result<(), StoreError> {
    const DOING: &str = "keep why a job is suspended";
    let mut delete = tx.connection().prepare_cached("DELETE FROM holds WHERE job = ?1").doing(DOING)?;
    delete.execute([job.to_string()]).doing(DOING)?;
    let mut insert = tx
        .connection()
        .prepare_cached(
            "INSERT OR IGNORE INTO holds (job, reason, since, confirmed_at, released_at, released_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .doing(DOING)?;
    for hold in holds.iter().take(HOLDS_MAX as usize) {
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        let values = params![
            job.to_string(),
            hold.reason,
            hold.since.as_millisecond(),
            ms(hold.confirmed_at),
            ms(hold.released_at),
            hold.released_by
        ];
        insert.execute(values).doing(DOING)?;
    }
    Ok(())
}

type Raw = (String, i64, Option<i64>, Option<i64>, Option<String>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn read((reason, since, confirmed_at, released_at, released_by): Raw) -> Result<Hold, StoreError> {
    Ok(Hold {
        reason,
        since: timestamp(since)?,
        confirmed_at: confirmed_at.map(timestamp).transpose()?,
        released_at: released_at.map(timestamp).transpose()?,
        released_by,
    })
}
