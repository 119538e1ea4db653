// SPDX-License-Identifier: Apache-2.0
//! The audit log in the store: entries, the hashes of its tiles, the signed checkpoint over each batch, and cosignatures.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use sha2::{Digest, Sha256};
use sta_audit::{
    checkpoint::Checkpoint,
    merkle::{Frontier, Hash, HashSource, leaf_hash},
    note::{NoteSigner, SignedNote},
};
use sta_protocol::digest::{Sha256Digest, canonical_value};

use super::{Doing, StoreError};
use crate::outside::Chance;

/// The key that signs this node's log.
pub struct LogKeys {
    /// Signs checkpoints; its name is the log's origin.
    pub signer: NoteSigner,
}

/// What a step says happened, on its way into the log.
#[derive(Debug, Clone)]
pub struct PendingEntry {
    /// What happened, such as `job.admitted`; listed in docs/protocol.md.
    pub kind: &'static str,
    /// The id it happened to; never a person.
    pub subject: String,
    /// The facts. They stay in the erasable table; the log gets their salted digest.
    pub payload: serde_json::Value,
    /// When.
    pub at: Timestamp,
}

/// Where each stored hash is: leaves beside their entries, the tops of full tiles in a table of their own.
pub struct StoredHashes<'a>(pub &'a Connection);

impl HashSource for StoredHashes<'_> {
    type Error = rusqlite::Error;

    fn nodes(&self, level: u8, start: u64, count: usize) -> Result<Vec<Hash>, rusqlite::Error> {
        let hash = |row: &rusqlite::Row<'_>| row.get::<_, [u8; 32]>(0).map(Hash);
        let (start, end) = (signed(start), signed(start.saturating_add(count as u64)));
        if level == 0 {
            let sql =
                "SELECT leaf FROM audit_entries WHERE position >= ?1 AND position < ?2 ORDER BY position";
            self.0.prepare_cached(sql)?.query_map(params![start, end], hash)?.collect()
        } else {
            let sql = "SELECT hash FROM audit_nodes WHERE level = ?1 AND position >= ?2 AND position < ?3 ORDER BY position";
            self.0.prepare_cached(sql)?.query_map(params![level, start, end], hash)?.collect()
        }
    }
}

/// The growing end of the log, held by the one writer.
pub(super) struct AuditWriter {
    keys: LogKeys,
    chance: Arc<dyn Chance>,
    frontier: Frontier,
}

impl AuditWriter {
    pub(super) fn load(
        connection: &Connection,
        keys: LogKeys,
        chance: Arc<dyn Chance>,
    ) -> Result<Self, StoreError> {
        let mut writer = Self { keys, chance, frontier: Frontier::new() };
        writer.reload(connection)?;
        Ok(writer)
    }

    /// Reads the end of the log back and holds it against the checkpoint that was signed over it.
    pub(super) fn reload(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let size = log_size(connection)?;
        self.frontier = Frontier::rebuild(&StoredHashes(connection), size).map_err(audit_error)?;
        let Some((_, note)) = checkpoint(connection, "latest")? else {
            return if size == 0 {
                Ok(())
            } else {
                Err(damaged("log", "has entries and no checkpoint".to_owned()))
            };
        };
        let note = SignedNote::parse(note.as_bytes()).map_err(audit_error)?;
        let checkpoint = Checkpoint::open(&note, self.keys.signer.verifier_key()).map_err(audit_error)?;
        if checkpoint.size() != size || checkpoint.root() != self.frontier.root() {
            let problem = format!("of {size} entries does not match its checkpoint of {}", checkpoint.size());
            return Err(damaged("log", problem));
        }
        Ok(())
    }

    /// Appends a batch and signs one checkpoint over it, within the caller's transaction.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        entries: Vec<PendingEntry>,
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            self.append_one(connection, &entry)?;
        }
        let origin = self.keys.signer.verifier_key().name().to_owned();
        let checkpoint =
            Checkpoint::new(&origin, self.frontier.size(), self.frontier.root()).map_err(audit_error)?;
        let note = checkpoint.sign(&self.keys.signer).map_err(audit_error)?;
        keep_checkpoint(connection, "latest", checkpoint.size(), &note.to_string())
    }

    fn append_one(&mut self, connection: &Connection, entry: &PendingEntry) -> Result<(), StoreError> {
        let payload = canonical_value(&entry.payload).map_err(audit_error)?;
        let mut salt = [0; 16];
        self.chance.fill(&mut salt);
        let commitment = Sha256::new().chain_update(salt).chain_update(&payload).finalize();
        let commitment = Sha256Digest::from_bytes(commitment.into());
        let line = serde_json::json!({
            "at": entry.at, "commitment": commitment, "kind": entry.kind, "subject": entry.subject, "version": 1,
        });
        let line = canonical_value(&line).map_err(audit_error)?;
        let position = signed(self.frontier.size());
        let leaf = leaf_hash(&line);
        connection
            .prepare_cached("INSERT INTO audit_entries (position, entry, leaf) VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![position, line, leaf.as_bytes()]))
            .doing("write an audit entry")?;
        let payload = String::from_utf8_lossy(&payload);
        connection
            .prepare_cached("INSERT INTO audit_payloads (position, kind, subject, salt, payload) VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut insert| insert.execute(params![position, entry.kind, entry.subject, salt, payload]))
            .doing("write an audit payload")?;
        let mut tops = Vec::new();
        self.frontier.append(leaf, |level, index, hash| {
            if level > 0 && level.is_multiple_of(8) {
                tops.push((level, index, hash));
            }
        });
        for (level, index, hash) in tops {
            connection
                .prepare_cached("INSERT INTO audit_nodes (level, position, hash) VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![level, signed(index), hash.as_bytes()]))
                .doing("write a tile hash")?;
        }
        Ok(())
    }
}

/// Number of entries.
pub fn log_size(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .prepare_cached("SELECT COALESCE(MAX(position) + 1, 0) FROM audit_entries")
        .and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(0)))
        .doing("count the audit entries")
        .map(i64::unsigned_abs)
}

/// The checkpoint kept under `name`: `latest` (signed by the log alone) or `published` (with its witnesses).
pub fn checkpoint(connection: &Connection, name: &str) -> Result<Option<(u64, String)>, StoreError> {
    connection
        .prepare_cached("SELECT size, note FROM audit_checkpoints WHERE name = ?1")
        .and_then(|mut query| {
            query.query_row([name], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))).optional()
        })
        .doing("read a checkpoint")
}

/// Keeps a checkpoint under a name.
pub fn keep_checkpoint(connection: &Connection, name: &str, size: u64, note: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO audit_checkpoints (name, size, note) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET size = excluded.size, note = excluded.note",
        )
        .and_then(|mut insert| insert.execute(params![name, signed(size), note]))
        .doing("write a checkpoint")
        .map(|_rows| ())
}

/// Adds a witness's signature line to the checkpoint of that size and says how many witnesses it now has.
pub fn add_cosignature(
    connection: &Connection,
    bare_note: &SignedNote,
    size: u64,
    signature: sta_audit::note::NoteSignature,
) -> Result<SignedNote, StoreError> {
    let kept: Option<String> = connection
        .prepare_cached("SELECT note FROM audit_cosigning WHERE size = ?1")
        .and_then(|mut query| query.query_row([signed(size)], |row| row.get(0)).optional())
        .doing("read a cosigned checkpoint")?;
    let mut note = match kept {
        Some(text) => SignedNote::parse(text.as_bytes()).map_err(audit_error)?,
        None => bare_note.clone(),
    };
    note.add(signature).map_err(audit_error)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO audit_cosigning (size, note) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![signed(size), note.to_string()]))
        .doing("write a cosigned checkpoint")?;
    Ok(note)
}

/// Makes a cosigned checkpoint the published one, unless a larger one is; forgets the smaller ones.
pub fn publish(connection: &Connection, size: u64, note: &SignedNote) -> Result<(), StoreError> {
    if checkpoint(connection, "published")?.is_some_and(|(published, _)| published > size) {
        return Ok(());
    }
    keep_checkpoint(connection, "published", size, &note.to_string())?;
    connection
        .prepare_cached("DELETE FROM audit_cosigning WHERE size < ?1")
        .and_then(|mut delete| delete.execute([signed(size)]))
        .doing("forget older cosigned checkpoints")
        .map(|_rows| ())
}

/// The entries of a range, in order.
pub fn entries(connection: &Connection, start: u64, count: u64) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT entry FROM audit_entries WHERE position >= ?1 AND position < ?2 ORDER BY position";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            query.query_map([signed(start), signed(start.saturating_add(count))], |row| row.get(0))?.collect()
        })
        .doing("read audit entries")
}

/// Where the newest entry of a kind about a subject is, and its bytes.
pub fn find_entry(
    connection: &Connection,
    kind: &str,
    subject: &str,
) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let sql =
        "SELECT e.position, e.entry FROM audit_payloads p JOIN audit_entries e ON e.position = p.position
               WHERE p.subject = ?1 AND p.kind = ?2 ORDER BY p.position DESC LIMIT 1";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?));
            query.query_row([subject, kind], row).optional()
        })
        .doing("find an audit entry")
}

/// A payload with what binds it to its entry: the entry's index, salt, payload as canonical JSON.
pub type Payload = (u64, Vec<u8>, String);

/// The payloads of the gates' entries among the first `size`, in order, from a store that may be in use.
///
/// # Errors
/// The file does not open or read.
pub fn gate_payloads(path: &Path, size: u64) -> Result<Vec<Payload>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).doing("open its file")?;
    connection
        .prepare("SELECT position, salt, payload FROM audit_payloads WHERE kind IN ('gate.decided', 'gate.outcome') AND position < ?1 ORDER BY position")
        .and_then(|mut query| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?, row.get(2)?))
            };
            query.query_map([signed(size)], row)?.collect()
        })
        .doing("read the gates' payloads")
}

/// SQLite's integers are signed; a log never comes near their end.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn audit_error(error: impl std::fmt::Display) -> StoreError {
    StoreError::Audit(error.to_string())
}

fn damaged(what: &'static str, problem: String) -> StoreError {
    StoreError::Damaged { what, problem }
}
