// SPDX-License-Identifier: Apache-2.0
//! Which jobs of this home wait for which others. Whoever ends a job releases those behind it, in the same transaction.

use rusqlite::{Connection, params};
use sta_protocol::ids::JobId;

use super::{
    Doing, StoreError, Tx,
    jobs::parse,
    outbox::{self, Effect, Lane},
};

/// Notes that a job waits for others.
pub fn put(tx: &Tx<'_>, job: JobId, on: &[JobId]) -> Result<(), StoreError> {
    for other in on {
        tx.connection()
            .prepare_cached("INSERT OR IGNORE INTO waits_for (on_job, job) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute([other.to_string(), job.to_string()]))
            .doing("note what a job waits for")?;
    }
    Ok(())
}

/// What a job still waits for, in the order of the ids.
pub fn of(connection: &Connection, job: JobId) -> Result<Vec<JobId>, StoreError> {
    column(connection, "SELECT on_job FROM waits_for WHERE job = ?1 ORDER BY on_job", job)
}

/// The job waits no more.
pub fn forget(tx: &Tx<'_>, job: JobId) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("DELETE FROM waits_for WHERE job = ?1")
        .and_then(|mut delete| delete.execute([job.to_string()]))
        .doing("forget what a job waits for")
        .map(|_rows| ())
}

/// A job has ended: those that waited for it alone, and all of them when it did not complete, are to be decided on now.
pub fn ended(tx: &Tx<'_>, on: JobId, completed: bool) -> Result<(), StoreError> {
    let behind = column(tx.connection(), "SELECT job FROM waits_for WHERE on_job = ?1 ORDER BY job", on)?;
    if behind.is_empty() {
        return Ok(());
    }
    tx.connection()
        .prepare_cached("DELETE FROM waits_for WHERE on_job = ?1")
        .and_then(|mut delete| delete.execute(params![on.to_string()]))
        .doing("release the jobs behind a job")?;
    for job in behind {
        if !completed {
            forget(tx, job)?;
        }
        if of(tx.connection(), job)?.is_empty() {
            // Due at once, whatever the time is.
            outbox::put(tx, &Lane::Home, Effect::Decide, job, &job.to_string(), 0)?;
        }
    }
    Ok(())
}

fn column(connection: &Connection, sql: &str, job: JobId) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<String> = connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map([job.to_string()], |row| row.get(0))?.collect())
        .doing("look up what waits")?;
    ids.iter().map(|id| parse(id)).collect()
}
