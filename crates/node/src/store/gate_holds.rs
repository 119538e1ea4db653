// SPDX-License-Identifier: Apache-2.0
//! Holds that wait for a named person, who decided what about them, and the training runs that gates watch.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_protocol::{
    compute::Threshold,
    gate::{Answer, Releaser},
    ids::{DecisionId, JobId},
    training::TrainingRun,
};

use super::{
    Doing, StoreError, Tx,
    audit::signed,
    jobs::{from_json, json, parse, timestamp},
};

/// The most holds of one page.
const LIST_MAX: u32 = 1000;

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// It waits.
    Open,
    /// Everybody whom it waited for has released it, or the order that made it is lifted.
    Released,
    /// A named person has denied it: the job ends.
    Denied,
    /// The job ended while it was held.
    Over,
}

impl HoldState {
    const ALL: [Self; 4] = [Self::Open, Self::Released, Self::Denied, Self::Over];

    /// The word in the table and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Released => "released",
            Self::Denied => "denied",
            Self::Over => "over",
        }
    }
}

/// A hold.
#[derive(Debug, Clone)]
pub struct GateHold {
    /// The decision that made it, whose id it has.
    pub id: DecisionId,
    /// The job that stands still.
    pub job: JobId,
    /// The code under which the job is suspended.
    pub reason: String,
    /// What is left of the gate's answer.
    pub answer: Answer,
    /// Since when.
    pub opened_at: Timestamp,
    /// Where it stands.
    pub state: HoldState,
    /// When it was released or denied.
    pub closed_at: Option<Timestamp>,
}

/// What a named person decided about a hold.
#[derive(Debug, Clone)]
pub struct HoldDecision {
    /// In which capacities, separated by commas.
    pub kinds: String,
    /// Who, by pseudonym.
    pub person: String,
    /// Why, in their words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

const COLUMNS: &str = "id, job, reason, answer, opened_at, state, closed_at";

/// Opens a hold.
pub fn open(
    tx: &Tx<'_>,
    id: DecisionId,
    job: JobId,
    reason: &str,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT INTO gate_holds (id, job, reason, answer, opened_at, state) VALUES (?1, ?2, ?3, ?4, ?5, 'open')")
        .and_then(|mut insert| {
            insert.execute(params![id.to_string(), job.to_string(), reason, json(answer), now.as_millisecond()])
        })
        .doing("open a hold")
        .map(|_rows| ())
}

/// Writes what changes of a hold.
pub fn update(tx: &Tx<'_>, hold: &GateHold) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE gate_holds SET answer = ?2, state = ?3, closed_at = ?4 WHERE id = ?1")
        .and_then(|mut update| {
            let closed_at = hold.closed_at.map(Timestamp::as_millisecond);
            update.execute(params![hold.id.to_string(), json(&hold.answer), hold.state.as_str(), closed_at])
        })
        .doing("write a hold")
        .map(|_rows| ())
}

/// A hold by its id.
pub fn find(connection: &Connection, id: DecisionId) -> Result<Option<GateHold>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM gate_holds WHERE id = ?1");
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_row([id.to_string()], raw).optional())
        .doing("read a hold")?
        .map(read)
        .transpose()
}

/// The holds that are open, or all, the newest first.
pub fn list(connection: &Connection, all: bool) -> Result<Vec<GateHold>, StoreError> {
    let wanted = if all { "" } else { "WHERE state = 'open'" };
    let sql = format!("SELECT {COLUMNS} FROM gate_holds {wanted} ORDER BY opened_at DESC, id DESC LIMIT ?1");
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_map([LIST_MAX], raw)?.collect::<Result<Vec<_>, _>>())
        .doing("list the holds")?
        .into_iter()
        .map(read)
        .collect()
}

/// The holds that are open under a code of suspension.
pub fn open_for(connection: &Connection, reason: &str) -> Result<Vec<GateHold>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM gate_holds WHERE state = 'open' AND reason = ?1 ORDER BY opened_at, id LIMIT ?2"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_map(params![reason, LIST_MAX], raw)?.collect::<Result<Vec<_>, _>>())
        .doing("list the holds of a reason")?
        .into_iter()
        .map(read)
        .collect()
}

/// Notes what a named person decided.
pub fn decide(tx: &Tx<'_>, id: DecisionId, decision: &HoldDecision) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO gate_hold_decisions (hold, kinds, person, reason, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut insert| {
            let HoldDecision { kinds, person, reason, at } = decision;
            insert.execute(params![id.to_string(), kinds, person, reason, at.as_millisecond()])
        })
        .doing("note a person's decision")
        .map(|_rows| ())
}

/// The jobs that were denied and that the engine was never given.
pub fn denied_and_waiting(connection: &Connection) -> Result<Vec<JobId>, StoreError> {
    let sql = "SELECT DISTINCT g.job FROM gate_holds g JOIN hosted h ON h.job = g.job WHERE g.state = 'denied' AND h.state IN ('staging', 'ready')";
    let rows: Vec<String> = connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .doing("list the denied jobs")?;
    rows.iter().map(|job| parse(job)).collect()
}

/// What named people have decided about a hold, in order.
pub fn decisions(connection: &Connection, id: DecisionId) -> Result<Vec<HoldDecision>, StoreError> {
    let rows: Vec<(String, String, String, i64)> = connection
        .prepare_cached(
            "SELECT kinds, person, reason, at FROM gate_hold_decisions WHERE hold = ?1 ORDER BY at, rowid",
        )
        .and_then(|mut query| {
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            query.query_map([id.to_string()], row)?.collect()
        })
        .doing("read the decisions about a hold")?;
    let decision =
        |(kinds, person, reason, at)| Ok(HoldDecision { kinds, person, reason, at: timestamp(at)? });
    rows.into_iter().map(decision).collect()
}

type Raw = ([String; 5], i64, Option<i64>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(5)?], row.get(4)?, row.get(6)?))
}

fn read(([id, job, reason, answer, state], opened_at, closed_at): Raw) -> Result<GateHold, StoreError> {
    let known = HoldState::ALL.into_iter().find(|known| known.as_str() == state);
    let damaged = || StoreError::Damaged { what: "hold", problem: format!("its state is `{state}`") };
    Ok(GateHold {
        id: parse(&id)?,
        job: parse(&job)?,
        reason,
        answer: from_json(&answer)?,
        opened_at: timestamp(opened_at)?,
        state: known.ok_or_else(damaged)?,
        closed_at: closed_at.map(timestamp).transpose()?,
    })
}

/// A training run as far as one job of this host is part of it.
#[derive(Debug, Clone)]
pub struct TrainingJob {
    /// The job.
    pub job: JobId,
    /// The registration, with this host's rates.
    pub registration: TrainingRun,
    /// The thresholds about which the gate was asked.
    pub asked: BTreeSet<Threshold>,
    /// The highest compute up to which a named person has released it, in teraFLOP.
    pub released_to_teraflop: u64,
    /// Whether a named person has released it beyond a third of its base.
    pub released_beyond_third: bool,
}

/// Writes a training run, new or with what has changed.
pub fn put_training(tx: &Tx<'_>, training: &TrainingJob) -> Result<(), StoreError> {
    let sql = "INSERT INTO training_jobs (job, run, registration, asked, released_to_teraflop, released_beyond_third) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (job) DO UPDATE SET asked = excluded.asked, released_to_teraflop = excluded.released_to_teraflop, released_beyond_third = excluded.released_beyond_third";
    tx.connection()
        .prepare_cached(sql)
        .and_then(|mut insert| {
            insert.execute(params![
                training.job.to_string(),
                training.registration.run.to_string(),
                json(&training.registration),
                json(&training.asked),
                signed(training.released_to_teraflop),
                training.released_beyond_third,
            ])
        })
        .doing("write a training run")
        .map(|_rows| ())
}

const TRAINING: &str = "SELECT t.job, t.registration, t.asked, t.released_to_teraflop, t.released_beyond_third FROM training_jobs t";

/// The training run of a job.
pub fn training(connection: &Connection, job: JobId) -> Result<Option<TrainingJob>, StoreError> {
    let sql = format!("{TRAINING} WHERE t.job = ?1");
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_row([job.to_string()], raw_training).optional())
        .doing("read a training run")?
        .map(read_training)
        .transpose()
}

/// The training runs whose jobs are running and not suspended: all of them, for one that is left out would be watched by nobody.
/// The sites' room bounds how many there are.
pub fn training_under_way(connection: &Connection) -> Result<Vec<TrainingJob>, StoreError> {
    let sql = format!(
        "{TRAINING} JOIN hosted h ON h.job = t.job WHERE h.state = 'running' AND h.held = 0 AND h.cancel_asked = 0 ORDER BY t.job"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_map([], raw_training)?.collect::<Result<Vec<_>, _>>())
        .doing("list the training runs")?
        .into_iter()
        .map(read_training)
        .collect()
}

/// Every job of this host that is part of a run.
pub fn jobs_of_run(connection: &Connection, job: JobId) -> Result<Vec<JobId>, StoreError> {
    let sql = "SELECT o.job FROM training_jobs t JOIN training_jobs o ON o.run = t.run WHERE t.job = ?1 ORDER BY o.job";
    let rows: Vec<String> = connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map([job.to_string()], |row| row.get(0))?.collect())
        .doing("list the jobs of a training run")?;
    rows.iter().map(|job| parse(job)).collect()
}

/// The times in which a job was seen to stand still: from when the engine had stopped it until it was released, or until now.
pub fn standstills(
    connection: &Connection,
    job: JobId,
    now: Timestamp,
) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
    let sql = "SELECT confirmed_at, COALESCE(released_at, ?2) FROM holds WHERE job = ?1 AND confirmed_at IS NOT NULL ORDER BY confirmed_at";
    let rows: Vec<(i64, i64)> = connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            query.query_map(params![job.to_string(), now.as_millisecond()], row)?.collect()
        })
        .doing("read when a job stood still")?;
    rows.into_iter().map(|(from, until)| Ok((timestamp(from)?, timestamp(until)?))).collect()
}

type RawTraining = ([String; 3], i64, bool);

fn raw_training(row: &Row<'_>) -> rusqlite::Result<RawTraining> {
    Ok(([row.get(0)?, row.get(1)?, row.get(2)?], row.get(3)?, row.get(4)?))
}

fn read_training(
    ([job, registration, asked], released_to, beyond_third): RawTraining,
) -> Result<TrainingJob, StoreError> {
    Ok(TrainingJob {
        job: parse(&job)?,
        registration: from_json(&registration)?,
        asked: from_json(&asked)?,
        released_to_teraflop: released_to.unsigned_abs(),
        released_beyond_third: beyond_third,
    })
}

/// The kinds of person whom a hold waits for.
#[must_use]
pub fn awaits(answer: &Answer) -> Vec<&'static str> {
    answer.released_by().into_iter().map(Releaser::as_str).collect()
}
