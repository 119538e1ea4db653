// SPDX-License-Identifier: Apache-2.0
//! What this node remembers of its peers: answers given under an idempotency key, witnessing both ways, site reports, file grants and outputs.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sta_audit::merkle::Hash;
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    federation::OutputFile,
    ids::{JobId, MemberId, SiteId},
};

use super::{
    Doing, StoreError, Tx,
    audit::signed as signed_integer,
    jobs::{from_json, json, parse, timestamp},
};

/// An answer that was given under an idempotency key.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Digest of the request it answered.
    pub request_sha256: Sha256Digest,
    /// HTTP status.
    pub status: u16,
    /// Media type.
    pub content_type: String,
    /// Body.
    pub body: Vec<u8>,
}

/// Keeps an answer in the transaction of the step that it tells of.
pub fn keep_answer(
    tx: &Tx<'_>,
    member: &MemberId,
    key: &str,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT OR IGNORE INTO idempotency (member, key, request_sha256, status, content_type, body, answered_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                member.as_str(),
                key,
                answer.request_sha256.as_bytes(),
                answer.status,
                answer.content_type,
                answer.body,
                now.as_millisecond(),
            ])
        })
        .doing("keep an answer")
        .map(|_rows| ())
}

/// The answer given before under this key.
pub fn answer(connection: &Connection, member: &MemberId, key: &str) -> Result<Option<Answer>, StoreError> {
    connection
        .prepare_cached("SELECT request_sha256, status, content_type, body FROM idempotency WHERE member = ?1 AND key = ?2")
        .and_then(|mut query| {
            let row = |row: &rusqlite::Row<'_>| {
                let request_sha256 = Sha256Digest::from_bytes(row.get(0)?);
                Ok(Answer { request_sha256, status: row.get(1)?, content_type: row.get(2)?, body: row.get(3)? })
            };
            query.query_row([member.as_str(), key], row).optional()
        })
        .doing("look for an answer")
}

/// What this node, as a witness, last cosigned of a log.
pub fn witnessed(connection: &Connection, origin: &str) -> Result<Option<(u64, Hash)>, StoreError> {
    connection
        .prepare_cached("SELECT size, root FROM witnessed WHERE origin = ?1")
        .and_then(|mut query| {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?.unsigned_abs(), Hash(row.get(1)?)));
            query.query_row([origin], row).optional()
        })
        .doing("read what was witnessed")
}

/// Keeps what this node is about to cosign; durable before the cosignature leaves.
pub fn keep_witnessed(tx: &Tx<'_>, origin: &str, size: u64, root: Hash) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR REPLACE INTO witnessed (origin, size, root) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![origin, signed_integer(size), root.as_bytes()]))
        .doing("keep what was witnessed")
        .map(|_rows| ())
}

/// How far a peer's witness has come with this node's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WitnessProgress {
    /// The size it last cosigned.
    pub size: u64,
    /// When, by its own signature.
    pub cosigned_at: Timestamp,
    /// Since when the log has been larger than that.
    pub behind_since: Option<Timestamp>,
}

/// How far a peer's witness has come.
pub fn witness_progress(
    connection: &Connection,
    member: &MemberId,
) -> Result<Option<WitnessProgress>, StoreError> {
    let row: Option<(i64, i64, Option<i64>)> = connection
        .prepare_cached("SELECT size, cosigned_at, behind_since FROM witnesses WHERE member = ?1")
        .and_then(|mut query| {
            query.query_row([member.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .doing("read a witness's progress")?;
    row.map(|(size, cosigned_at, behind_since)| {
        Ok(WitnessProgress {
            size: size.unsigned_abs(),
            cosigned_at: timestamp(cosigned_at)?,
            behind_since: behind_since.map(timestamp).transpose()?,
        })
    })
    .transpose()
}

/// Notes how far a peer's witness has come.
pub fn keep_witness_progress(
    tx: &Tx<'_>,
    member: &MemberId,
    progress: WitnessProgress,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR REPLACE INTO witnesses (member, size, cosigned_at, behind_since) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| {
            insert.execute(params![
                member.as_str(),
                signed_integer(progress.size),
                progress.cosigned_at.as_millisecond(),
                progress.behind_since.map(Timestamp::as_millisecond),
            ])
        })
        .doing("write a witness's progress")
        .map(|_rows| ())
}

/// What a site's owner last said of its free room: expected wait in seconds.
pub fn keep_site_report(tx: &Tx<'_>, site: &SiteId, report: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR REPLACE INTO site_reports (site, report, reported_at) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![site.as_str(), report, now.as_millisecond()]))
        .doing("keep a site's report")
        .map(|_rows| ())
}

/// The newest report of a site, JSON, and when it came.
pub fn site_report(
    connection: &Connection,
    site: &SiteId,
) -> Result<Option<(String, Timestamp)>, StoreError> {
    let row: Option<(String, i64)> = connection
        .prepare_cached("SELECT report, reported_at FROM site_reports WHERE site = ?1")
        .and_then(|mut query| {
            query.query_row([site.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .doing("read a site's report")?;
    row.map(|(report, at)| Ok((report, timestamp(at)?))).transpose()
}

/// Lets a peer fetch a file for a job, after this node has decided that it may.
pub fn grant_file(
    tx: &Tx<'_>,
    job: JobId,
    file: Sha256Digest,
    peer: &MemberId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT OR IGNORE INTO grants (job, sha256, peer, granted_at) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut insert| {
            insert.execute(params![job.to_string(), file.to_string(), peer.as_str(), now.as_millisecond()])
        })
        .doing("grant a file")
        .map(|_rows| ())
}

/// Whether a peer may fetch a file for a job.
pub fn is_granted(
    connection: &Connection,
    job: JobId,
    file: Sha256Digest,
    peer: &MemberId,
) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM grants WHERE job = ?1 AND sha256 = ?2 AND peer = ?3")
        .and_then(|mut query| query.exists([job.to_string(), file.to_string(), peer.to_string()]))
        .doing("look for a file's grant")
}

/// An output at its host, and whether a steward has released it.
#[derive(Debug, Clone)]
pub struct HeldOutput {
    /// The file.
    pub file: OutputFile,
    /// When it was released.
    pub released_at: Option<Timestamp>,
}

impl HeldOutput {
    /// Whether it may go to the job's home.
    #[must_use]
    pub fn may_leave(&self) -> bool {
        self.file.held_by.is_empty() || self.released_at.is_some()
    }
}

/// Writes an output of a finished job.
pub fn put_output(tx: &Tx<'_>, job: JobId, file: &OutputFile) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR IGNORE INTO outputs (job, name, sha256, bytes, class, held_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .and_then(|mut insert| {
            insert.execute(params![
                job.to_string(),
                file.name,
                file.sha256.to_string(),
                signed_integer(file.bytes),
                file.class.as_str(),
                json(&file.held_by),
            ])
        })
        .doing("write an output")
        .map(|_rows| ())
}

/// An output by name.
pub fn output(connection: &Connection, job: JobId, name: &str) -> Result<Option<HeldOutput>, StoreError> {
    type Raw = (String, i64, String, String, Option<i64>);
    let row: Option<Raw> = connection
        .prepare_cached(
            "SELECT sha256, bytes, class, held_by, released_at FROM outputs WHERE job = ?1 AND name = ?2",
        )
        .and_then(|mut query| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            };
            query.query_row([job.to_string().as_str(), name], row).optional()
        })
        .doing("read an output")?;
    row.map(|(sha256, bytes, class, held_by, released_at)| {
        let file = OutputFile {
            name: name.to_owned(),
            sha256: parse(&sha256)?,
            bytes: bytes.unsigned_abs(),
            class: parse(&class)?,
            held_by: from_json(&held_by)?,
        };
        Ok(HeldOutput { file, released_at: released_at.map(timestamp).transpose()? })
    })
    .transpose()
}

/// Notes that a steward released an output, with the class it has from now on; a repeat changes nothing.
pub fn release_output(
    tx: &Tx<'_>,
    job: JobId,
    name: &str,
    class: Class,
    steward: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "UPDATE outputs SET class = ?3, released_by = ?4, released_at = ?5 WHERE job = ?1 AND name = ?2 AND released_at IS NULL",
        )
        .and_then(|mut update| {
            update.execute(params![job.to_string(), name, class.as_str(), steward, now.as_millisecond()])
        })
        .doing("release an output")
        .map(|_rows| ())
}
