// SPDX-License-Identifier: Apache-2.0
//! Effects that are still to happen: written with the state that wants them, deleted with the state that knows their outcome.

use rusqlite::{Connection, OptionalExtension, params};
use sta_protocol::ids::{JobId, MemberId, SiteId};

use super::{Doing, StoreError, Tx, audit::signed};

/// The most characters of a failure that are kept.
const ERROR_CHARS_MAX: usize = 400;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Home: decide on a job that waited for others.
    Decide,
    /// Home: send the job's offer to the host.
    Offer,
    /// Home: take the job's offer back.
    Withdraw,
    /// Home: take the job back where it has not begun, to have it go on elsewhere.
    TakeBack,
    /// Home: fetch what a job had saved that was taken back.
    FetchSaved,
    /// Home: fetch the outputs that may come home.
    Fetch,
    /// Host: bring the inputs to the site.
    Stage,
    /// Host: hand the job to the engine.
    Start,
    /// Host: stop the job at the engine.
    Stop,
    /// Host: have the engine give a guest notice.
    Reclaim,
    /// Host: pack what a job has saved that home takes back.
    HandBack,
    /// Host: have the engine hold the job where it stands.
    Suspend,
    /// Host: have the engine let it go on.
    Resume,
    /// Host: remove the working directory of a finished job.
    Wipe,
    /// Host: tell home that it runs, why it is suspended, or that it was given notice.
    Progress,
    /// Host: send the receipt.
    Receipt,
    /// Bring an order to stop to another member.
    StopOrder,
    /// Bring the lifting of such an order to another member.
    StopLift,
    /// Bring the answers of this node's sites to another member.
    StopAcknowledgement,
}

impl Effect {
    const ALL: [Self; 19] = [
        Self::Decide,
        Self::Offer,
        Self::Withdraw,
        Self::TakeBack,
        Self::FetchSaved,
        Self::Fetch,
        Self::Stage,
        Self::Start,
        Self::Stop,
        Self::Reclaim,
        Self::HandBack,
        Self::Suspend,
        Self::Resume,
        Self::Wipe,
        Self::Progress,
        Self::Receipt,
        Self::StopOrder,
        Self::StopLift,
        Self::StopAcknowledgement,
    ];

    /// The word in the table and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Offer => "offer",
            Self::Withdraw => "withdraw",
            Self::TakeBack => "take-back",
            Self::FetchSaved => "fetch-saved",
            Self::Fetch => "fetch",
            Self::Stage => "stage",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reclaim => "reclaim",
            Self::HandBack => "hand-back",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Wipe => "wipe",
            Self::Progress => "progress",
            Self::Receipt => "receipt",
            Self::StopOrder => "stop-order",
            Self::StopLift => "stop-lift",
            Self::StopAcknowledgement => "stop-acknowledgement",
        }
    }
}

/// Who carries effects out one after the other: a peer that is away stops only its own lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What this node does as home, without calling anybody.
    Home,
    /// Calls to one member.
    Peer(MemberId),
    /// Bringing files in, for one site.
    Staging(SiteId),
    /// Calls to one site's engine.
    Engine(SiteId),
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Home => f.write_str("home"),
            Self::Peer(member) => write!(f, "peer/{member}"),
            Self::Staging(site) => write!(f, "staging/{site}"),
            Self::Engine(site) => write!(f, "engine/{site}"),
        }
    }
}

/// One effect that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Row number, the order within a lane.
    pub id: i64,
    /// What to do.
    pub effect: Effect,
    /// For which job; of a word about an order to stop, the order's id in the place of a job's.
    pub job: JobId,
    /// The idempotency key, the same at every attempt.
    pub key: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Not before this time, milliseconds since 1970.
    pub due_at_ms: u64,
}

/// Puts an effect at the end of a lane.
pub fn put(
    tx: &Tx<'_>,
    lane: &Lane,
    effect: Effect,
    job: JobId,
    key: &str,
    now_ms: u64,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT INTO outbox (lane, kind, job, key, due_at) VALUES (?1, ?2, ?3, ?4, ?5)")
        .and_then(|mut insert| {
            insert.execute(params![lane.to_string(), effect.as_str(), job.to_string(), key, signed(now_ms)])
        })
        .doing("put an effect into the outbox")
        .map(|_rows| ())
}

/// The effects of a lane that are due, those first that have been due longest: at most `limit`, at most one a job, so that
/// a job's effects keep their order. Takes as long as what it returns, however many wait.
pub fn due(
    connection: &Connection,
    lane: &Lane,
    now_ms: u64,
    limit: u32,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT id, kind, job, key, attempts, due_at FROM outbox o WHERE lane = ?1 AND due_at <= ?2
               AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.job = o.job AND e.lane = o.lane AND e.id < o.id)
               ORDER BY due_at, id LIMIT ?3";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| {
            query
                .query_map(params![lane.to_string(), signed(now_ms), limit], raw)?
                .collect::<Result<Vec<_>, _>>()
        })
        .doing("read the outbox")?
        .into_iter()
        .map(waiting)
        .collect()
}

/// When the next effect of the lane falls due, milliseconds since 1970. Only the oldest of each job counts, as in [`due`]:
/// what waits behind a failed attempt is not due before it.
pub fn next_due_ms(connection: &Connection, lane: &Lane) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT due_at FROM outbox o WHERE lane = ?1
               AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.job = o.job AND e.lane = o.lane AND e.id < o.id)
               ORDER BY due_at, id LIMIT 1";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_row([lane.to_string()], |row| row.get::<_, i64>(0)).optional())
        .doing("read the outbox")
        .map(|due| due.map(i64::unsigned_abs))
}

/// How many effects wait, by lane.
pub fn lengths(connection: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    connection
        .prepare_cached("SELECT lane, COUNT(*) FROM outbox GROUP BY lane ORDER BY lane")
        .and_then(|mut query| {
            query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?.collect()
        })
        .doing("count the outbox")
}

/// Takes an effect out, in the transaction that records its outcome. False when it was gone already.
pub fn done(tx: &Tx<'_>, id: i64) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached("DELETE FROM outbox WHERE id = ?1")
        .and_then(|mut delete| delete.execute([id]))
        .doing("take an effect out of the outbox")
        .map(|rows| rows == 1)
}

/// Whether an effect of a kind waits for a job, in any lane.
pub fn is_waiting(connection: &Connection, job: JobId, effect: Effect) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM outbox WHERE job = ?1 AND kind = ?2")
        .and_then(|mut query| query.exists(params![job.to_string(), effect.as_str()]))
        .doing("look for an effect")
}

/// Takes out every waiting effect of a kind for a job.
pub fn forget(tx: &Tx<'_>, job: JobId, effect: Effect) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("DELETE FROM outbox WHERE job = ?1 AND kind = ?2")
        .and_then(|mut delete| delete.execute(params![job.to_string(), effect.as_str()]))
        .doing("forget effects")
        .map(|_rows| ())
}

/// Notes a failed attempt and when to try again.
pub fn failed(tx: &Tx<'_>, id: i64, due_at_ms: u64, error: &str) -> Result<(), StoreError> {
    let error: String = error.chars().take(ERROR_CHARS_MAX).collect();
    tx.connection()
        .prepare_cached(
            "UPDATE outbox SET attempts = attempts + 1, due_at = ?2, last_error = ?3 WHERE id = ?1",
        )
        .and_then(|mut update| update.execute(params![id, signed(due_at_ms), error]))
        .doing("note a failed attempt")
        .map(|_rows| ())
}

/// What the last attempt for a job failed with, for `sta job`.
pub fn last_error(connection: &Connection, job: JobId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT kind || ': ' || last_error FROM outbox WHERE job = ?1 AND last_error IS NOT NULL ORDER BY id LIMIT 1";
    connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_row([job.to_string()], |row| row.get(0)).optional())
        .doing("read the outbox")
}

type Raw = (i64, String, String, String, u32, i64);

fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn waiting((id, kind, job, key, attempts, due_at): Raw) -> Result<Waiting, StoreError> {
    let effect = Effect::ALL.into_iter().find(|effect| effect.as_str() == kind);
    let damaged = |problem: String| StoreError::Damaged { what: "waiting effect", problem };
    Ok(Waiting {
        id,
        effect: effect.ok_or_else(|| damaged(format!("`{kind}` is no effect")))?,
        job: job.parse().map_err(|error: sta_protocol::ids::IdError| damaged(error.to_string()))?,
        key,
        attempts,
        due_at_ms: due_at.unsigned_abs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{schema, writer::WriterMode};

    #[test]
    fn a_jobs_effects_keep_their_order_and_one_that_failed_holds_back_its_own_job_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::prepare(&mut connection, WriterMode::Simulated).unwrap();
        let [one, two] = [1, 2].map(|number| JobId::new(number, [0; 10]));
        for (job, effect, due_at) in
            [(one, "progress", 100), (one, "receipt", 100), (two, "offer", 50), (two, "withdraw", 60)]
        {
            let sql = "INSERT INTO outbox (lane, kind, job, key, due_at) VALUES ('peer/de', ?1, ?2, '', ?3)";
            connection.execute(sql, params![effect, job.to_string(), due_at]).unwrap();
        }
        let lane = Lane::Peer("de".parse().unwrap());
        let due = |now_ms| {
            let due = due(&connection, &lane, now_ms, 10).unwrap();
            due.into_iter().map(|waiting| (waiting.job, waiting.effect)).collect::<Vec<_>>()
        };
        assert_eq!(due(49), []);
        assert_eq!(next_due_ms(&connection, &lane).unwrap(), Some(50));
        assert_eq!(due(100), [(two, Effect::Offer), (one, Effect::Progress)]);
        connection.execute("UPDATE outbox SET due_at = 900 WHERE kind = 'progress'", []).unwrap();
        connection.execute("DELETE FROM outbox WHERE kind = 'offer'", []).unwrap();
        assert_eq!(due(100), [(two, Effect::Withdraw)], "the receipt waits for its progress");
        connection.execute("DELETE FROM outbox WHERE kind = 'withdraw'", []).unwrap();
        assert_eq!(next_due_ms(&connection, &lane).unwrap(), Some(900));
        assert_eq!(super::due(&connection, &Lane::Peer("fr".parse().unwrap()), 900, 10).unwrap().len(), 0);
    }
}
