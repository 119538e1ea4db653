// SPDX-License-Identifier: Apache-2.0
//! The ledger of a project's credits and the receipts both members settle by: immutable transfers, two phases.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sta_decide::ledger::Account;
use sta_protocol::{
    federation::{Receipt, StatementLine},
    ids::{JobId, MemberId, ProjectId, ReceiptId, TransferId},
    jws::Signed,
};

use super::{
    Doing, StoreError, Tx,
    jobs::{from_json, json, signed},
    spans,
};

/// One immutable transfer.
#[derive(Debug, Clone, Copy)]
pub enum Transfer {
    /// Sets credits aside.
    Hold,
    /// Pays from a hold; the rest of the hold is free again.
    Post(TransferId),
    /// Frees a hold.
    Void(TransferId),
}

/// A project's account.
pub fn account(connection: &Connection, project: &ProjectId) -> Result<Option<Account>, StoreError> {
    connection
        .prepare_cached("SELECT granted, pending, posted FROM projects WHERE id = ?1")
        .and_then(|mut query| {
            query.query_row([project.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .doing("read an account")?
        .map(|(granted, pending, posted)| Account::restore(granted, pending, posted))
        .transpose()
        .map_err(|error| StoreError::Damaged { what: "account", problem: error.to_string() })
}

/// Writes a transfer and the account after it, which the caller computed with `decide::ledger`.
pub fn transfer(
    tx: &Tx<'_>,
    id: TransferId,
    (job, project): (JobId, &ProjectId),
    transfer: Transfer,
    amount_micro: i64,
    after: Account,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (kind, hold) = match transfer {
        Transfer::Hold => ("hold", None),
        Transfer::Post(hold) => ("post", Some(hold.to_string())),
        Transfer::Void(hold) => ("void", Some(hold.to_string())),
    };
    tx.connection()
        .prepare_cached(
            "INSERT INTO transfers (id, job, project, kind, hold, amount, made_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut insert| {
            let ids = (id.to_string(), job.to_string(), project.as_str());
            insert.execute(params![ids.0, ids.1, ids.2, kind, hold, amount_micro, now.as_millisecond()])
        })
        .doing("write a transfer")?;
    tx.connection()
        .prepare_cached("UPDATE projects SET pending = ?2, posted = ?3 WHERE id = ?1 AND granted = ?4")
        .and_then(|mut update| {
            update.execute(params![project.as_str(), after.pending(), after.posted(), after.granted()])
        })
        .doing("write an account")
        .map(|_rows| ())
}

/// What a hold set aside, unless it was posted or voided already.
pub fn open_hold(connection: &Connection, hold: TransferId) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT amount FROM transfers WHERE id = ?1 AND kind = 'hold' AND NOT EXISTS (SELECT 1 FROM transfers t WHERE t.hold = ?1)";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_row([hold.to_string()], |row| row.get(0)).optional())
        .doing("read a hold")
}

/// Keeps the receipt of an attempt, for the statements too; a repeat changes nothing.
pub fn keep_receipt(
    tx: &Tx<'_>,
    receipt: &Receipt,
    signed: &Signed<Receipt>,
    period: &str,
    line: &StatementLine,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT OR IGNORE INTO receipts (id, job, attempt, home, host, period, line, receipt) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                receipt.receipt.to_string(),
                receipt.job.to_string(),
                receipt.attempt,
                receipt.home.as_str(),
                receipt.host.as_str(),
                period,
                json(line),
                signed.as_str(),
            ])
        })
        .doing("keep a receipt")?;
    spans::note(tx, receipt)
}

/// A receipt by its id.
pub fn receipt(connection: &Connection, id: ReceiptId) -> Result<Option<Signed<Receipt>>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT receipt FROM receipts WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.to_string()], |row| row.get(0)).optional())
        .doing("read a receipt")?;
    text.map(signed).transpose()
}

/// The receipt of one attempt at a job.
pub fn receipt_of(
    connection: &Connection,
    job: JobId,
    attempt: u32,
) -> Result<Option<Signed<Receipt>>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT receipt FROM receipts WHERE job = ?1 AND attempt = ?2")
        .and_then(|mut query| query.query_row(params![job.to_string(), attempt], |row| row.get(0)).optional())
        .doing("read a receipt")?;
    text.map(signed).transpose()
}

/// The receipts of a job, one for each of its attempts that has ended, in their order.
pub fn receipts_of(connection: &Connection, job: JobId) -> Result<Vec<Signed<Receipt>>, StoreError> {
    let texts: Vec<String> = connection
        .prepare_cached("SELECT receipt FROM receipts WHERE job = ?1 ORDER BY attempt")
        .and_then(|mut query| query.query_map([job.to_string()], |row| row.get(0))?.collect())
        .doing("read the receipts of a job")?;
    texts.into_iter().map(signed).collect()
}

/// What the attempts of a job from one on, and before another, came to.
pub fn charged_between(
    connection: &Connection,
    job: JobId,
    from: u32,
    before: u32,
) -> Result<i64, StoreError> {
    if before <= from {
        return Ok(0);
    }
    connection
        .prepare_cached(
            "SELECT coalesce(SUM(json_extract(line, '$.price_micro')), 0) FROM receipts WHERE job = ?1 AND attempt >= ?2 AND attempt < ?3",
        )
        .and_then(|mut query| query.query_row(params![job.to_string(), from, before], |row| row.get(0)))
        .doing("add up the attempts of a job")
}

/// The lines of a period between two members, in the order of the receipts' ids.
pub fn lines(
    connection: &Connection,
    period: &str,
    [a, b]: [&MemberId; 2],
) -> Result<Vec<StatementLine>, StoreError> {
    let sql = "SELECT line FROM receipts WHERE period = ?1 AND ((home = ?2 AND host = ?3) OR (home = ?3 AND host = ?2)) ORDER BY id";
    let texts: Vec<String> = connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            query.query_map(params![period, a.as_str(), b.as_str()], |row| row.get(0))?.collect()
        })
        .doing("read the receipts of a period")?;
    texts.iter().map(|text| from_json(text)).collect()
}
