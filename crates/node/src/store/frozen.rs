// SPDX-License-Identifier: Apache-2.0
//! Evidence: what the log says of a thing, the snapshots that incidents took of it, and what stays while an incident is not closed
//! or an order to stop is not lifted.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sta_audit::merkle::Hash;
use sta_protocol::{
    digest::Sha256Digest,
    ids::{IncidentId, JobId, ModelId, SiteId},
};

use super::{
    Doing, StoreError, Tx,
    audit::signed as integer,
    jobs::{parse, timestamp},
};
use crate::engines::RunId;

/// The most jobs, decisions or evaluations that are looked up for one incident.
const RELATED_MAX: u32 = 1000;

/// An entry of the audit log, as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its index.
    pub position: u64,
    /// The hash of its leaf (RFC 6962 §2.1).
    pub leaf: Hash,
    /// What happened.
    pub kind: String,
    /// What it happened to.
    pub subject: String,
}

/// The entries about these subjects, in order; at most `limit`, the newest ones.
pub fn entries_about(
    connection: &Connection,
    subjects: &BTreeSet<String>,
    limit: usize,
) -> Result<Vec<LogEntry>, StoreError> {
    let sql =
        "SELECT p.position, e.leaf, p.kind, p.subject FROM audit_payloads p JOIN audit_entries e ON e.position = p.position
               WHERE p.subject = ?1 ORDER BY p.position DESC LIMIT ?2";
    let limit_rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for subject in subjects {
        let rows: Vec<LogEntry> = connection
            .prepare_cached(sql)
            .and_then(|mut query| {
                let row = |row: &rusqlite::Row<'_>| {
                    Ok(LogEntry {
                        position: row.get::<_, i64>(0)?.unsigned_abs(),
                        leaf: Hash(row.get(1)?),
                        kind: row.get(2)?,
                        subject: row.get(3)?,
                    })
                };
                query.query_map(params![subject, limit_rows], row)?.collect()
            })
            .doing("find the entries about an incident")?;
        found.extend(rows);
    }
    found.sort_by_key(|entry| entry.position);
    let left_out = found.len().saturating_sub(limit);
    Ok(found.split_off(left_out))
}

/// The ids of the decisions of gates about a job.
pub fn decisions_about(connection: &Connection, job: JobId) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT id FROM gate_decisions WHERE subject = ?1 OR (subject > ?1 || '/' AND subject < ?1 || '0') ORDER BY position DESC LIMIT ?2";
    texts(connection, sql, &job.to_string(), "find the decisions about a job")
}

/// The digests of the evaluations of a model's weights.
pub fn evaluations_of(connection: &Connection, model: &ModelId) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT e.evaluation FROM models m JOIN model_weights w ON w.model = m.sha256 JOIN evaluation_weights e ON e.weights = w.weights
               WHERE m.id = ?1 ORDER BY 1 LIMIT ?2";
    texts(connection, sql, &model.to_string(), "find the evaluations of a model")
}

/// The jobs of this host that are part of a training run of a model, the newest first.
pub fn jobs_of_model(connection: &Connection, model: &ModelId) -> Result<Vec<JobId>, StoreError> {
    let sql = "SELECT job FROM training_jobs WHERE json_extract(registration, '$.model') = ?1 ORDER BY job DESC LIMIT ?2";
    let jobs = texts(connection, sql, &model.to_string(), "find the jobs of a model")?;
    jobs.iter().map(|job| parse(job)).collect()
}

/// The unfinished jobs of a site of this host.
pub fn jobs_at(connection: &Connection, site: &SiteId) -> Result<Vec<JobId>, StoreError> {
    let sql = "SELECT job FROM hosted WHERE site = ?1 AND state <> 'finished' ORDER BY job DESC LIMIT ?2";
    let jobs = texts(connection, sql, site.as_str(), "find the jobs of a site")?;
    jobs.iter().map(|job| parse(job)).collect()
}

/// The outputs that a job left here.
pub fn outputs_of(connection: &Connection, job: JobId) -> Result<Vec<Sha256Digest>, StoreError> {
    let sql = "SELECT sha256 FROM outputs WHERE job = ?1 ORDER BY name LIMIT ?2";
    let files = texts(connection, sql, &job.to_string(), "find the outputs of a job")?;
    files.iter().map(|sha256| parse(sha256)).collect()
}

/// The text of the newest record of a model.
pub fn record_of(connection: &Connection, model: &ModelId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT record FROM models WHERE id = ?1 ORDER BY recorded_at DESC, sha256 LIMIT ?2";
    Ok(texts(connection, sql, &model.to_string(), "find a model's record")?.into_iter().next())
}

fn texts(
    connection: &Connection,
    sql: &str,
    of: &str,
    doing: &'static str,
) -> Result<Vec<String>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map(params![of, RELATED_MAX], |row| row.get(0))?.collect())
        .doing(doing)
}

/// A snapshot of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// SHA-256 of the manifest.
    pub sha256: Sha256Digest,
    /// The manifest, canonical JSON.
    pub manifest: String,
}

/// Keeps a snapshot, and freezes what it names.
pub fn freeze(
    tx: &Tx<'_>,
    id: IncidentId,
    position: u32,
    snapshot: &Snapshot,
    entries: &[u64],
    files: &BTreeSet<Sha256Digest>,
    jobs: &BTreeSet<JobId>,
) -> Result<(), StoreError> {
    let (connection, incident) = (tx.connection(), id.to_string());
    connection
        .prepare_cached(
            "INSERT INTO incident_evidence (incident, position, sha256, manifest) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut insert| {
            insert.execute(params![incident, position, snapshot.sha256.to_string(), snapshot.manifest])
        })
        .doing("keep evidence")?;
    let freeze = |sql: &str, what: &dyn rusqlite::ToSql| {
        connection
            .prepare_cached(sql)
            .and_then(|mut insert| insert.execute(params![what, incident]))
            .doing("freeze evidence")
            .map(|_rows| ())
    };
    for entry in entries {
        freeze(
            "INSERT OR IGNORE INTO frozen_entries (position, incident) VALUES (?1, ?2)",
            &integer(*entry),
        )?;
    }
    for file in files {
        freeze("INSERT OR IGNORE INTO frozen_files (sha256, incident) VALUES (?1, ?2)", &file.to_string())?;
    }
    for job in jobs {
        freeze("INSERT OR IGNORE INTO frozen_jobs (job, incident) VALUES (?1, ?2)", &job.to_string())?;
    }
    Ok(())
}

/// Freezes what is left of a job that came after the snapshot, and the files that it needs.
pub fn freeze_job(
    tx: &Tx<'_>,
    id: IncidentId,
    job: JobId,
    files: &BTreeSet<Sha256Digest>,
) -> Result<(), StoreError> {
    let (connection, incident) = (tx.connection(), id.to_string());
    connection
        .prepare_cached("INSERT OR IGNORE INTO frozen_jobs (job, incident) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute([&job.to_string(), &incident]))
        .doing("freeze a job")?;
    for file in files {
        connection
            .prepare_cached("INSERT OR IGNORE INTO frozen_files (sha256, incident) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute([&file.to_string(), &incident]))
            .doing("freeze a file")?;
    }
    Ok(())
}

/// The snapshots of an incident, the oldest first.
pub fn snapshots(connection: &Connection, id: IncidentId) -> Result<Vec<Snapshot>, StoreError> {
    let rows: Vec<(String, String)> = connection
        .prepare_cached(
            "SELECT sha256, manifest FROM incident_evidence WHERE incident = ?1 ORDER BY position",
        )
        .and_then(|mut query| {
            query.query_map([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .doing("read evidence")?;
    rows.into_iter().map(|(sha256, manifest)| Ok(Snapshot { sha256: parse(&sha256)?, manifest })).collect()
}

/// The jobs whose evidence stays for an incident.
pub fn jobs_of(connection: &Connection, id: IncidentId) -> Result<Vec<JobId>, StoreError> {
    let rows: Vec<String> = connection
        .prepare_cached("SELECT job FROM frozen_jobs WHERE incident = ?1 ORDER BY job")
        .and_then(|mut query| query.query_map([id.to_string()], |row| row.get(0))?.collect())
        .doing("list what an incident is about")?;
    rows.iter().map(|job| parse(job)).collect()
}

/// Whether what is left of a job stays: an incident that is not closed needs it, or an order to stop that stands has stopped it
/// (AI Act Art. 73(6): nothing is altered before the authorities were told).
pub fn is_frozen(connection: &Connection, job: JobId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM frozen_jobs WHERE job = ?1
               UNION ALL SELECT 1 FROM stop_orders o JOIN stop_jobs s ON s.id = o.id WHERE o.lift IS NULL AND s.job = ?1";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| query.exists([job.to_string()]))
        .doing("look whether a job is evidence")
}

/// Notes a working directory that would be gone.
pub fn keep_run(tx: &Tx<'_>, run: RunId, now: Timestamp) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached("INSERT OR IGNORE INTO kept_runs (run, job, kept_at) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| {
            insert.execute(params![run.to_string(), run.job.to_string(), now.as_millisecond()])
        })
        .doing("keep a working directory")
        .map(|rows| rows == 1)
}

/// The working directories of a job that are kept, with since when.
pub fn kept_runs(connection: &Connection, job: JobId) -> Result<Vec<(RunId, Timestamp)>, StoreError> {
    let rows: Vec<(String, i64)> = connection
        .prepare_cached("SELECT run, kept_at FROM kept_runs WHERE job = ?1 ORDER BY run")
        .and_then(|mut query| {
            query.query_map([job.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .doing("list the kept working directories")?;
    rows.into_iter().map(|(run, at)| Ok((parse(&run)?, timestamp(at)?))).collect()
}

/// Lets go what an incident has frozen, and gives the working directories that nothing else needs: they may be removed.
pub fn thaw(tx: &Tx<'_>, id: IncidentId) -> Result<Vec<RunId>, StoreError> {
    let (connection, incident) = (tx.connection(), id.to_string());
    let jobs = jobs_of(connection, id)?;
    for sql in [
        "DELETE FROM frozen_entries WHERE incident = ?1",
        "DELETE FROM frozen_files WHERE incident = ?1",
        "DELETE FROM frozen_jobs WHERE incident = ?1",
    ] {
        connection.execute(sql, [&incident]).doing("let evidence go")?;
    }
    jobs.into_iter().map(|job| let_go(tx, job)).collect::<Result<Vec<_>, _>>().map(|runs| runs.concat())
}

/// Gives the working directories of a job that were kept, when nothing needs them any more: they may be removed.
pub fn let_go(tx: &Tx<'_>, job: JobId) -> Result<Vec<RunId>, StoreError> {
    let connection = tx.connection();
    if is_frozen(connection, job)? {
        return Ok(Vec::new());
    }
    let runs = kept_runs(connection, job)?.into_iter().map(|(run, _)| run).collect();
    connection
        .execute("DELETE FROM kept_runs WHERE job = ?1", [job.to_string()])
        .doing("let a working directory go")?;
    Ok(runs)
}

/// Whether a job is of a researcher of this node.
pub fn is_own_job(connection: &Connection, job: JobId, researcher: &str) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT researcher FROM jobs WHERE id = ?1")
        .and_then(|mut query| query.query_row([job.to_string()], |row| row.get::<_, String>(0)).optional())
        .doing("look whose job it is")
        .map(|found| found.as_deref() == Some(researcher))
}
