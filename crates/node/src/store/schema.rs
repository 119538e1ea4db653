// SPDX-License-Identifier: Apache-2.0
//! The tables and the settings of the SQLite file, with the version that wrote it.

use rusqlite::{Connection, config::DbConfig};

use super::{Doing, StoreError, possessions, writer::WriterMode};

/// One step from a version of the file to the next; never changed after a release, only added to.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_attempts.sql"),
    include_str!("migrations/0003_attempts_and_waiting.sql"),
    include_str!("migrations/0004_files.sql"),
    include_str!("migrations/0005_holds.sql"),
    include_str!("migrations/0006_gates.sql"),
    include_str!("migrations/0007_orders.sql"),
    include_str!("migrations/0008_incidents.sql"),
    include_str!("migrations/0009_reclaim.sql"),
    include_str!("migrations/0010_spans.sql"),
    include_str!("migrations/0011_longest.sql"),
    include_str!("migrations/0012_moves.sql"),
    include_str!("migrations/0013_possessions.sql"),
];

/// The place of the step after which receipts are read once.
const POSSESSIONS: usize = 12;
/// How many pages the write-ahead log takes before they go into the file itself: 16 MiB. Pages that are written over and over
/// go there once.
const WAL_PAGES: u32 = 4096;

/// Keeps the plan of a prepared statement whatever is bound to it. Without this, SQLite with STAT4 prepares a cached
/// statement anew at most calls, which costs more than the statement itself.
pub(super) fn keep_plans(connection: &Connection) -> Result<(), StoreError> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .doing("set up its file")
        .map(|_on| ())
}

/// Sets up the connection of the writer and brings the file to this version.
pub(super) fn prepare(connection: &mut Connection, mode: WriterMode) -> Result<(), StoreError> {
    let synchronous = match mode {
        WriterMode::Durable | WriterMode::DurableUntil(_) => "FULL",
        WriterMode::Simulated => "OFF",
    };
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;
             PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = {WAL_PAGES};"
        ))
        .doing("set up its file")?;
    keep_plans(connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    let version: usize = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .doing("read its version")
        .map(|version| usize::try_from(version).unwrap_or(usize::MAX))?;
    if version > MIGRATIONS.len() {
        let problem =
            format!("is {version}, this software knows up to {}: use the newer `sta`", MIGRATIONS.len());
        return Err(StoreError::Damaged { what: "version number", problem });
    }
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction().doing("begin a migration")?;
        transaction.execute_batch(migration).doing("migrate")?;
        if done == POSSESSIONS {
            possessions::of_ended_jobs(&transaction)?;
        }
        let reached = i64::try_from(done + 1).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", reached).doing("note its version")?;
        transaction.commit().doing("keep a migration")?;
    }
    Ok(())
}
