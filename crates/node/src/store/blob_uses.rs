// SPDX-License-Identifier: Apache-2.0
//! Which unfinished job needs which file, and which files may go when none does. A file that is not listed never goes.
//!
//! What is evidence of an incident stays until that is closed. Triggers end the uses of a job with the job, and strike a file off the list when it turns out to be an output.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use sta_protocol::{class::Class, digest::Sha256Digest, ids::JobId};

use super::{Doing, StoreError, Tx, audit::signed as signed_integer, jobs::parse};

/// How long an upload waits for the jobs that it is for.
const UPLOAD_GRACE: SignedDuration = SignedDuration::from_hours(24);

/// On which side of a job a file is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At its home, to be handed out.
    Home,
    /// At its host, to be read.
    Host,
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Host => "host",
        }
    }
}

/// A file that a job needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededFile {
    /// What it is.
    pub sha256: Sha256Digest,
    /// Its length.
    pub bytes: u64,
    /// How sensitive it is.
    pub class: Class,
}

/// Notes which files a job needs until it is over, and whose share of the disk they count against.
pub fn need(
    tx: &Tx<'_>,
    side: Side,
    job: JobId,
    project: &str,
    files: &[NeededFile],
) -> Result<(), StoreError> {
    for file in files {
        tx.connection()
            .prepare_cached("INSERT OR IGNORE INTO blob_uses (sha256, side, job, project, bytes) VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut insert| {
                insert.execute(params![
                    file.sha256.to_string(),
                    side.as_str(),
                    job.to_string(),
                    project,
                    signed_integer(file.bytes),
                ])
            })
            .doing("note a file that a job needs")?;
        // An upload has its own class from now on.
        tx.connection()
            .prepare_cached("UPDATE blobs_passing SET open = MIN(open, ?2) WHERE sha256 = ?1")
            .and_then(|mut update| {
                update.execute(params![file.sha256.to_string(), file.class == Class::Open])
            })
            .doing("note a file's class")?;
    }
    Ok(())
}

/// How much the files of a project's unfinished jobs take at this host, and how much more `files` would take.
pub fn project_bytes(
    connection: &Connection,
    project: &str,
    files: &[NeededFile],
) -> Result<(u64, u64), StoreError> {
    let used: i64 = connection
        .prepare_cached("SELECT COALESCE(SUM(bytes), 0) FROM (SELECT DISTINCT sha256, bytes FROM blob_uses WHERE project = ?1 AND side = 'host')")
        .and_then(|mut query| query.query_row([project], |row| row.get(0)))
        .doing("add up a project's files")?;
    let mut more = std::collections::BTreeMap::new();
    for file in files {
        let known = connection
            .prepare_cached("SELECT 1 FROM blob_uses WHERE project = ?1 AND side = 'host' AND sha256 = ?2")
            .and_then(|mut query| query.exists(params![project, file.sha256.to_string()]))
            .doing("look for a project's file")?;
        if !known {
            more.insert(file.sha256, file.bytes);
        }
    }
    Ok((used.unsigned_abs(), more.into_values().fold(0, u64::saturating_add)))
}

/// Lists a file that is about to come in for a job, before its first byte is here.
pub fn staging(tx: &Tx<'_>, file: &NeededFile, now: Timestamp) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO blobs_passing (sha256, bytes, open, used_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET open = MIN(open, excluded.open), used_at = excluded.used_at",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                file.sha256.to_string(),
                signed_integer(file.bytes),
                file.class == Class::Open,
                now.as_millisecond(),
            ])
        })
        .doing("list a file that comes in")
        .map(|_rows| ())
}

/// Lists a file that somebody uploads, unless it is here to stay.
pub fn uploading(tx: &Tx<'_>, sha256: Sha256Digest, is_here: bool, now: Timestamp) -> Result<(), StoreError> {
    // What is here and not listed is a dataset's or an output, and stays.
    let sql = if is_here {
        "UPDATE blobs_passing SET used_at = ?2, uploaded_at = ?2 WHERE sha256 = ?1"
    } else {
        "INSERT INTO blobs_passing (sha256, bytes, open, used_at, uploaded_at) VALUES (?1, 0, 1, ?2, ?2)
         ON CONFLICT DO UPDATE SET used_at = excluded.used_at, uploaded_at = excluded.uploaded_at"
    };
    tx.connection()
        .prepare_cached(sql)
        .and_then(|mut insert| insert.execute(params![sha256.to_string(), now.as_millisecond()]))
        .doing("list an upload")
        .map(|_rows| ())
}

/// When a file was last uploaded, if it is one that may go.
pub fn uploaded_at(connection: &Connection, sha256: Sha256Digest) -> Result<Option<Option<i64>>, StoreError> {
    connection
        .prepare_cached("SELECT uploaded_at FROM blobs_passing WHERE sha256 = ?1")
        .and_then(|mut query| query.query_row([sha256.to_string()], |row| row.get(0)).optional())
        .doing("look for an upload")
}

/// Strikes a file off the list: it stays from now on.
pub fn stays(tx: &Tx<'_>, sha256: Sha256Digest) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("DELETE FROM blobs_passing WHERE sha256 = ?1")
        .and_then(|mut delete| delete.execute([sha256.to_string()]))
        .doing("keep a file")
        .map(|_rows| ())
}

/// Up to `limit` files that no job needs any more: those above `open` at once, the others when their last use is before
/// `unused_since`. An upload waits a day for its jobs.
pub fn idle(
    connection: &Connection,
    unused_since: Timestamp,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Sha256Digest>, StoreError> {
    let sql = "SELECT sha256 FROM blobs_passing p WHERE NOT EXISTS (SELECT 1 FROM blob_uses u WHERE u.sha256 = p.sha256)
               AND NOT EXISTS (SELECT 1 FROM frozen_files f WHERE f.sha256 = p.sha256) AND (open = 0 OR used_at < ?1) AND (uploaded_at IS NULL OR uploaded_at < ?2) ORDER BY used_at, sha256 LIMIT ?3";
    let grace = now.checked_sub(UPLOAD_GRACE).unwrap_or(Timestamp::MIN);
    connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let values = params![unused_since.as_millisecond(), grace.as_millisecond(), limit];
            query.query_map(values, |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
        })
        .doing("look for files that may go")?
        .iter()
        .map(|sha256| parse(sha256))
        .collect()
}

/// Whether a file may go now, as [`idle`] has it.
pub fn is_idle(
    connection: &Connection,
    sha256: Sha256Digest,
    unused_since: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM blobs_passing p WHERE sha256 = ?3 AND NOT EXISTS (SELECT 1 FROM blob_uses u WHERE u.sha256 = p.sha256)
               AND NOT EXISTS (SELECT 1 FROM frozen_files f WHERE f.sha256 = p.sha256) AND (open = 0 OR used_at < ?1) AND (uploaded_at IS NULL OR uploaded_at < ?2)";
    let grace = now.checked_sub(UPLOAD_GRACE).unwrap_or(Timestamp::MIN);
    connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            query.exists(params![unused_since.as_millisecond(), grace.as_millisecond(), sha256.to_string()])
        })
        .doing("look whether a file may go")
}

/// Whether an unfinished job or an incident needs the file.
pub fn is_needed(connection: &Connection, sha256: Sha256Digest) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM blob_uses WHERE sha256 = ?1 UNION ALL SELECT 1 FROM frozen_files WHERE sha256 = ?1")
        .and_then(|mut query| query.exists([sha256.to_string()]))
        .doing("look whether a job needs a file")
}

/// Notes that every file which a job needs is in use now.
pub fn touch_needed(tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE blobs_passing SET used_at = ?1 WHERE sha256 IN (SELECT sha256 FROM blob_uses)",
        )
        .and_then(|mut update| update.execute([now.as_millisecond()]))
        .doing("note which files are in use")
        .map(|_rows| ())
}
