// SPDX-License-Identifier: Apache-2.0
//! What the gates go by and what they decided: models, evaluations, decisions, outcomes, guards and harm budgets.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sta_protocol::{digest::Sha256Digest, ids::DecisionId, jws::Signed, model::ModelRecord};

use super::{Doing, StoreError, Tx, audit::signed};

/// Keeps a model's signed record; false when it was here already.
pub fn put_model(
    tx: &Tx<'_>,
    record: &ModelRecord,
    signed_record: &Signed<ModelRecord>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let digest = signed_record.digest().to_string();
    let added = tx
        .connection()
        .execute(
            "INSERT OR IGNORE INTO models (sha256, id, recorded_at, record, added_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                digest,
                record.id.to_string(),
                record.recorded_at.as_millisecond(),
                signed_record.as_str(),
                now.as_millisecond()
            ],
        )
        .doing("write a model's record")?;
    for weights in record.weights_digests() {
        tx.connection()
            .execute(
                "INSERT OR IGNORE INTO model_weights (weights, model) VALUES (?1, ?2)",
                params![weights.to_string(), digest],
            )
            .doing("write a model's weights")?;
    }
    Ok(added > 0)
}

/// The text of a model's record by its digest.
pub fn model(connection: &Connection, sha256: Sha256Digest) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached("SELECT record FROM models WHERE sha256 = ?1")
        .and_then(|mut query| query.query_row([sha256.to_string()], |row| row.get(0)).optional())
        .doing("read a model's record")
}

/// The text of the newest record about a file of weights.
pub fn model_of(connection: &Connection, weights: Sha256Digest) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached(
            "SELECT m.record FROM model_weights w JOIN models m ON m.sha256 = w.model
             WHERE w.weights = ?1 ORDER BY m.recorded_at DESC, m.sha256 LIMIT 1",
        )
        .and_then(|mut query| query.query_row([weights.to_string()], |row| row.get(0)).optional())
        .doing("find the model of weights")
}

/// Keeps an attestation that was verified; false when it was here already.
pub fn put_evaluation(
    tx: &Tx<'_>,
    sha256: Sha256Digest,
    envelope: &str,
    weights: &[Sha256Digest],
    completed_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let added = tx
        .connection()
        .execute(
            "INSERT OR IGNORE INTO evaluations (sha256, envelope, completed_at, added_at) VALUES (?1, ?2, ?3, ?4)",
            params![sha256.to_string(), envelope, completed_at.as_millisecond(), now.as_millisecond()],
        )
        .doing("write an evaluation")?;
    for weights in weights {
        tx.connection()
            .execute(
                "INSERT OR IGNORE INTO evaluation_weights (weights, evaluation) VALUES (?1, ?2)",
                params![weights.to_string(), sha256.to_string()],
            )
            .doing("write what an evaluation is about")?;
    }
    Ok(added > 0)
}

/// How many attestations about one file of weights are looked at, the newest first.
const EVALUATIONS_MAX: i64 = 100;

/// The attestations about a file of weights, the newest first.
pub fn evaluations_of(connection: &Connection, weights: Sha256Digest) -> Result<Vec<String>, StoreError> {
    connection
        .prepare_cached(
            "SELECT e.envelope FROM evaluation_weights w JOIN evaluations e ON e.sha256 = w.evaluation
             WHERE w.weights = ?1 ORDER BY e.completed_at DESC, e.sha256 LIMIT ?2",
        )
        .and_then(|mut query| {
            query.query_map(params![weights.to_string(), EVALUATIONS_MAX], |row| row.get(0))?.collect()
        })
        .doing("find the evaluations of weights")
}

/// Keeps a decision.
pub fn put_decision(
    tx: &Tx<'_>,
    id: DecisionId,
    (gate, subject): (&str, &str),
    verdict: &str,
    record: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT INTO gate_decisions (id, gate, subject, at, verdict, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .and_then(|mut insert| {
            insert.execute(params![id.to_string(), gate, subject, at.as_millisecond(), verdict, record])
        })
        .doing("write a gate's decision")
        .map(|_rows| ())
}

/// The record of a decision.
pub fn decision(connection: &Connection, id: DecisionId) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached("SELECT record FROM gate_decisions WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.to_string()], |row| row.get(0)).optional())
        .doing("read a gate's decision")
}

/// Which gate has made a decision.
pub fn gate_of(connection: &Connection, id: DecisionId) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached("SELECT gate FROM gate_decisions WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.to_string()], |row| row.get(0)).optional())
        .doing("read which gate has decided")
}

/// The record of the newest decision of a gate about a subject.
pub fn last_decision(
    connection: &Connection,
    gate: &str,
    subject: &str,
) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached("SELECT record FROM gate_decisions WHERE gate = ?1 AND subject = ?2 ORDER BY position DESC LIMIT 1")
        .and_then(|mut query| query.query_row([gate, subject], |row| row.get(0)).optional())
        .doing("find a gate's last decision")
}

/// Every decision about a subject that begins so, the newest first; at most 100.
pub fn decisions_about(connection: &Connection, subject: &str) -> Result<Vec<String>, StoreError> {
    connection
        .prepare_cached("SELECT record FROM gate_decisions WHERE subject = ?1 OR (subject > ?1 || '/' AND subject < ?1 || '0') ORDER BY position DESC LIMIT 100")
        .and_then(|mut query| query.query_map([subject], |row| row.get(0))?.collect())
        .doing("find the gates' decisions")
}

/// What a guard has learnt, as it was kept: settings, number of updates, canonical bytes.
pub fn guard(connection: &Connection, gate: &str) -> Result<Option<(String, u64, Vec<u8>)>, StoreError> {
    connection
        .prepare_cached("SELECT settings, updates, state FROM gate_guards WHERE gate = ?1")
        .and_then(|mut query| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs(), row.get(2)?))
            };
            query.query_row([gate], row).optional()
        })
        .doing("read a guard")
}

/// Keeps what a guard has learnt.
pub fn put_guard(
    tx: &Tx<'_>,
    gate: &str,
    settings: &str,
    updates: u64,
    state: &[u8],
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT OR REPLACE INTO gate_guards (gate, settings, updates, state) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut insert| insert.execute(params![gate, settings, signed(updates), state]))
        .doing("write a guard")
        .map(|_rows| ())
}

/// Keeps an outcome; false when the decision has one already.
pub fn put_outcome(
    tx: &Tx<'_>,
    gate: &str,
    position: u64,
    decision: DecisionId,
    record: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached("INSERT INTO gate_outcomes (gate, position, decision, record, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (decision) DO NOTHING")
        .and_then(|mut insert| {
            insert.execute(params![gate, signed(position), decision.to_string(), record, at.as_millisecond()])
        })
        .doing("write an outcome")
        .map(|rows| rows > 0)
}

/// The outcome of a decision.
pub fn outcome(connection: &Connection, decision: DecisionId) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached("SELECT record FROM gate_outcomes WHERE decision = ?1")
        .and_then(|mut query| query.query_row([decision.to_string()], |row| row.get(0)).optional())
        .doing("read an outcome")
}

/// Every outcome of a gate from a position on, in order.
pub fn outcomes(connection: &Connection, gate: &str) -> Result<Vec<String>, StoreError> {
    connection
        .prepare_cached("SELECT record FROM gate_outcomes WHERE gate = ?1 ORDER BY position")
        .and_then(|mut query| query.query_map([gate], |row| row.get(0))?.collect())
        .doing("read the outcomes")
}

/// What a tenant has used of a window's harm budget.
pub fn budget_used(
    connection: &Connection,
    gate: &str,
    tenant: &str,
    window: Timestamp,
) -> Result<f64, StoreError> {
    connection
        .prepare_cached(
            "SELECT used FROM gate_budgets WHERE gate = ?1 AND tenant = ?2 AND window_begins = ?3",
        )
        .and_then(|mut query| {
            query.query_row(params![gate, tenant, window.as_millisecond()], |row| row.get(0)).optional()
        })
        .doing("read a harm budget")
        .map(Option::unwrap_or_default)
}

/// Sets what a tenant has used of a window's harm budget, and forgets the tenant's earlier windows.
pub fn put_budget(
    tx: &Tx<'_>,
    gate: &str,
    tenant: &str,
    window: Timestamp,
    used: f64,
) -> Result<(), StoreError> {
    let window = window.as_millisecond();
    tx.connection()
        .execute(
            "DELETE FROM gate_budgets WHERE gate = ?1 AND tenant = ?2 AND window_begins < ?3",
            params![gate, tenant, window],
        )
        .doing("forget a harm budget")?;
    tx.connection()
        .prepare_cached(
            "INSERT OR REPLACE INTO gate_budgets (gate, tenant, window_begins, used) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut insert| insert.execute(params![gate, tenant, window, used]))
        .doing("write a harm budget")
        .map(|_rows| ())
}
