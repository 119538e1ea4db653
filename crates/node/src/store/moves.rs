// SPDX-License-Identifier: Apache-2.0
//! Jobs of this home that go on elsewhere than where they wait: which may, which home has asked for, and what they have saved.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use sta_protocol::{
    ids::{JobId, MemberId, OfferId},
    take_back::SavedWork,
};

use super::{
    Doing, StoreError, Tx,
    jobs::{from_json, json, parse},
};

/// How often a job goes elsewhere at most; then it stays where it is.
pub const MOVES_MAX: usize = 20;

/// Why a job goes elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// At home alone it would run by now, so it is owed its place there.
    Owed,
    /// Another site has room now.
    Sooner,
    /// Its host gave it back, and home does not know any more that it asked.
    Returned,
}

/// Home asks the host of a job for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub why: Why,
}

/// What home knows of a job's going elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moving {
    /// Home asks its host for it.
    pub taking_back: Option<Asked>,
    /// What it goes on from, once it was taken back.
    pub saved: Option<SavedWork>,
}

/// What is known of a job.
pub fn find(connection: &Connection, job: JobId) -> Result<Moving, StoreError> {
    let row: Option<(Option<String>, Option<String>)> = connection
        .prepare_cached("SELECT taking_back, saved FROM jobs WHERE id = ?1")
        .and_then(|mut query| {
            query.query_row([job.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .doing("read where a job goes on")?;
    let (taking_back, saved) = row.unwrap_or_default();
    Ok(Moving {
        taking_back: taking_back.as_deref().map(from_json).transpose()?,
        saved: saved.as_deref().map(from_json).transpose()?,
    })
}

/// Keeps it.
pub fn keep(tx: &Tx<'_>, job: JobId, moving: &Moving) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE jobs SET taking_back = ?2, saved = ?3 WHERE id = ?1")
        .and_then(|mut update| {
            let asked = moving.taking_back.as_ref().map(json);
            update.execute(params![job.to_string(), asked, moving.saved.as_ref().map(json)])
        })
        .doing("keep where a job goes on")
        .map(|_rows| ())
}

/// Asks for it no more.
pub fn asks_no_more(tx: &Tx<'_>, job: JobId) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE jobs SET taking_back = NULL WHERE id = ?1")
        .and_then(|mut update| update.execute([job.to_string()]))
        .doing("ask for a job no more")
        .map(|_rows| ())
}

/// Begins to ask the host of a job for it, unless it was asked, the job began or ended, or waits under another offer by now.
pub fn ask(tx: &Tx<'_>, job: JobId, offer: OfferId, asked: Asked) -> Result<bool, StoreError> {
    let sql = "UPDATE jobs SET taking_back = ?3 WHERE id = ?1 AND offer_id = ?2 AND state = 'admitted' AND started_at IS NULL
               AND taking_back IS NULL AND cancel_asked = 0";
    tx.connection()
        .prepare_cached(sql)
        .and_then(|mut update| update.execute(params![job.to_string(), offer.to_string(), json(&asked)]))
        .doing("ask for a job")
        .map(|rows| rows == 1)
}

/// Up to `limit` jobs that wait at a host and that nobody asks for, those that came first first, from behind one of them on.
pub fn waiting(connection: &Connection, behind: Option<JobId>, limit: u32) -> Result<Vec<JobId>, StoreError> {
    let sql = "SELECT id FROM jobs WHERE state = 'admitted' AND started_at IS NULL AND taking_back IS NULL AND cancel_asked = 0
               AND (?1 IS NULL OR id > ?1) ORDER BY id LIMIT ?2";
    let rows: Vec<String> = connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let behind = behind.map(|job| job.to_string());
            query.query_map(params![behind, limit], |row| row.get(0))?.collect()
        })
        .doing("list the jobs that wait at hosts")?;
    rows.iter().map(|job| parse(job)).collect()
}

/// Up to `limit` of those that wait at another member's site, those that came first first.
pub fn waiting_abroad(
    connection: &Connection,
    member: &MemberId,
    limit: u32,
) -> Result<Vec<JobId>, StoreError> {
    let sql = "SELECT id FROM jobs WHERE state = 'admitted' AND started_at IS NULL AND taking_back IS NULL AND cancel_asked = 0
               AND host != ?1 ORDER BY id LIMIT ?2";
    let rows: Vec<String> = connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map(params![member.as_str(), limit], |row| row.get(0))?.collect())
        .doing("list the jobs that wait abroad")?;
    rows.iter().map(|job| parse(job)).collect()
}
