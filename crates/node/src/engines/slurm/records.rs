// SPDX-License-Identifier: Apache-2.0
//! What the engine remembers of each run, durably, before and after it tells the cluster; and who was given which account.

use std::{collections::HashMap, path::Path, time::Duration};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_protocol::ids::JobId;

use super::intentions::{Intention, Standing};
use crate::engines::{EngineError, EngineJob, Exit, Outcome, Owner, RunId};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, phase TEXT NOT NULL, job TEXT NOT NULL, account TEXT NOT NULL,
  slurm_account TEXT, qos TEXT, slurm_id INTEGER, submitted_at INTEGER, started_at INTEGER, cancel INTEGER NOT NULL DEFAULT 0,
  outcome TEXT, wiped INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX IF NOT EXISTS runs_under_way ON runs (phase) WHERE phase != 'finished';
CREATE TABLE IF NOT EXISTS cancelled (run TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS suspended (run TEXT PRIMARY KEY, wanted INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notices (run TEXT PRIMARY KEY, grace_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS given_accounts (account TEXT PRIMARY KEY, member TEXT NOT NULL, researcher TEXT NOT NULL, UNIQUE (member, researcher)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outages (began_at INTEGER PRIMARY KEY, ended_at INTEGER NOT NULL) STRICT;
PRAGMA user_version = 1;
";
/// How many silences of the controller are remembered.
const OUTAGES_MAX: u32 = 100;

/// How far a run has come, as the engine knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is to be submitted; whether it was is unknown until Slurm has been asked.
    Intended,
    /// Slurm has it under `slurm_id`.
    Submitted,
    /// Its outcome is written and never changes.
    Finished,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Submitted => "submitted",
            Self::Finished => "finished",
        }
    }
}

/// A run as it is remembered.
#[derive(Debug, Clone)]
pub(super) struct RunRecord {
    pub(super) job: EngineJob,
    pub(super) phase: Phase,
    pub(super) account: SiteAccount,
    /// Unique within the cluster together with the time: Slurm's numbers begin anew.
    pub(super) slurm_id: Option<u64>,
    pub(super) submitted_at: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) cancel: bool,
    pub(super) outcome: Option<Outcome>,
    pub(super) wiped: bool,
    /// As [`Records::suspension`].
    pub(super) suspension: Option<bool>,
    /// As [`Records::notice`].
    pub(super) notice: Option<Duration>,
}

/// As whom a run runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SiteAccount {
    /// The unix account.
    pub(super) unix: String,
    pub(super) slurm_account: Option<String>,
    pub(super) qos: Option<String>,
}

/// The engine's own small database.
#[derive(Debug)]
pub(super) struct Records {
    connection: Connection,
}

impl Records {
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let opened = Connection::open(path).and_then(|connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| unreadable(&error))?;
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|error| unreadable(&error))?;
        if version != 1 {
            return Err(EngineError::Record {
                path: path.to_owned(),
                reason: format!("version {version}, and this program knows only 1"),
            });
        }
        Ok(Self { connection })
    }

    pub(super) fn find(&self, run: RunId) -> Result<Option<RunRecord>, EngineError> {
        let sql = format!("SELECT {COLUMNS} FROM runs WHERE run = ?1");
        self.connection
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_row([run.to_string()], raw).optional())
            .map_err(|error| unreadable(&error))?
            .map(read)
            .transpose()
    }

    pub(super) fn under_way(&self) -> Result<Vec<RunRecord>, EngineError> {
        let sql = format!("SELECT {COLUMNS} FROM runs WHERE phase != 'finished' ORDER BY run");
        self.connection
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_map([], raw)?.collect::<Result<Vec<_>, _>>())
            .map_err(|error| unreadable(&error))?
            .into_iter()
            .map(read)
            .collect()
    }

    /// Writes that these runs are to be submitted, before Slurm hears of any: all of them or none. One that is known already
    /// stays as it is, and one that is never to begin is not written. Gives how each stood before.
    pub(super) fn intend(&self, together: &[Intention]) -> Result<Vec<Standing>, EngineError> {
        let transaction = self.connection.unchecked_transaction().map_err(|error| unreadable(&error))?;
        let standings =
            together.iter().map(|intention| self.intend_one(intention)).collect::<Result<_, _>>()?;
        transaction.commit().map_err(|error| unreadable(&error))?;
        Ok(standings)
    }

    fn intend_one(&self, Intention { job, account, .. }: &Intention) -> Result<Standing, EngineError> {
        let (known, never) = (self.find(job.id)?, self.never_begins(job.id)?);
        let suspended = self.suspension(job.id)? == Some(true);
        let fresh = account.as_ref().filter(|_| known.is_none() && never.is_none());
        if let Some(account) = fresh {
            let text = serde_json::to_string(job).map_err(|error| damaged(&error))?;
            self.write(
                "INSERT OR IGNORE INTO runs (run, phase, job, account, slurm_account, qos) VALUES (?1, 'intended', ?2, ?3, ?4, ?5)",
                params![job.id.to_string(), text, account.unix, account.slurm_account, account.qos],
            )?;
        }
        Ok(Standing { known, never, suspended })
    }

    /// Slurm's numbers for runs, all or none. Not synced to the disk by itself: should a power cut take them back, the intentions
    /// are left, and with each the look for the run by its name. Gives what [`Records::suspension`] says of each.
    pub(super) fn submitted(
        &self,
        runs: &[(RunId, u64)],
        at: Timestamp,
    ) -> Result<HashMap<RunId, Option<bool>>, EngineError> {
        let level = |level: &str| {
            self.connection.pragma_update(None, "synchronous", level).map_err(|error| unreadable(&error))
        };
        level("NORMAL")?;
        let written = self.write_submitted(runs, at);
        level("FULL")?;
        written?;
        runs.iter().map(|(run, _)| Ok((*run, self.suspension(*run)?))).collect()
    }

    fn write_submitted(&self, runs: &[(RunId, u64)], at: Timestamp) -> Result<(), EngineError> {
        let transaction = self.connection.unchecked_transaction().map_err(|error| unreadable(&error))?;
        for (run, slurm_id) in runs {
            let id = i64::try_from(*slurm_id).unwrap_or(i64::MAX);
            self.write(
                "UPDATE runs SET phase = 'submitted', slurm_id = ?2, submitted_at = COALESCE(submitted_at, ?3) WHERE run = ?1 AND phase != 'finished'",
                params![run.to_string(), id, at.as_millisecond()],
            )?;
        }
        transaction.commit().map_err(|error| unreadable(&error))
    }

    pub(super) fn started(&self, run: RunId, at: Timestamp) -> Result<(), EngineError> {
        let sql = "UPDATE runs SET started_at = ?2 WHERE run = ?1 AND started_at IS NULL";
        self.write(sql, params![run.to_string(), at.as_millisecond()]).map(drop)
    }

    /// The outcome of a run; the first that is written stays.
    pub(super) fn finished(&self, run: RunId, outcome: &Outcome) -> Result<(), EngineError> {
        let text = serde_json::to_string(outcome).map_err(|error| damaged(&error))?;
        self.write(
            "UPDATE runs SET phase = 'finished', outcome = ?2 WHERE run = ?1 AND phase != 'finished'",
            params![run.to_string(), text],
        )?;
        self.write("DELETE FROM suspended WHERE run = ?1", params![run.to_string()])?;
        // The notice to a run that is not known yet stays: nothing else says that it is never to begin.
        let sql = "DELETE FROM notices WHERE run = ?1 AND EXISTS (SELECT 1 FROM runs WHERE run = ?1 AND phase = 'finished')";
        self.write(sql, params![run.to_string()]).map(drop)
    }

    /// A run that is taken over although it never runs.
    pub(super) fn never_ran(
        &self,
        job: &EngineJob,
        account: &str,
        outcome: &Outcome,
    ) -> Result<(), EngineError> {
        let encode = |error: serde_json::Error| damaged(&error);
        let text = serde_json::to_string(job).map_err(encode)?;
        let outcome = serde_json::to_string(outcome).map_err(encode)?;
        self.write(
            "INSERT OR IGNORE INTO runs (run, phase, job, account, outcome) VALUES (?1, 'finished', ?2, ?3, ?4)",
            params![job.id.to_string(), text, account, outcome],
        )?;
        self.write("DELETE FROM notices WHERE run = ?1", params![job.id.to_string()]).map(drop)
    }

    /// Forgets the intention to submit a run that Slurm has refused for good.
    pub(super) fn forget(&self, run: RunId) -> Result<(), EngineError> {
        self.write("DELETE FROM runs WHERE run = ?1 AND phase = 'intended'", params![run.to_string()])
            .map(drop)
    }

    /// The cluster has lost the run: it is as if it had never been submitted.
    pub(super) fn intend_again(&self, run: RunId) -> Result<(), EngineError> {
        let sql =
            "UPDATE runs SET phase = 'intended', slurm_id = NULL WHERE run = ?1 AND phase = 'submitted'";
        self.write(sql, params![run.to_string()]).map(drop)
    }

    pub(super) fn cancel(&self, run: RunId) -> Result<(), EngineError> {
        self.write("INSERT OR IGNORE INTO cancelled (run) VALUES (?1)", params![run.to_string()])?;
        self.write("UPDATE runs SET cancel = 1 WHERE run = ?1", params![run.to_string()]).map(drop)
    }

    /// How a run ends that is never to begin, because it was cancelled or given notice before.
    fn never_begins(&self, run: RunId) -> Result<Option<Exit>, EngineError> {
        let cancelled = self
            .connection
            .prepare_cached("SELECT 1 FROM cancelled WHERE run = ?1")
            .and_then(|mut query| query.exists([run.to_string()]))
            .map_err(|error| unreadable(&error))?;
        Ok(if cancelled { Some(Exit::Cancelled) } else { self.notice(run)?.map(|_| Exit::Reclaimed) })
    }

    /// Writes that a run is given notice, and how long it has. The first notice stays; one that is finished is left alone.
    pub(super) fn give_notice(&self, run: RunId, grace: Duration) -> Result<(), EngineError> {
        let sql = "INSERT OR IGNORE INTO notices (run, grace_ms) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM runs WHERE run = ?1 AND phase = 'finished')";
        let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
        self.write(sql, params![run.to_string(), grace_ms]).map(drop)
    }

    /// The notice that a run was given: how long it has from then on.
    pub(super) fn notice(&self, run: RunId) -> Result<Option<Duration>, EngineError> {
        self.connection
            .prepare_cached("SELECT grace_ms FROM notices WHERE run = ?1")
            .and_then(|mut query| query.query_row([run.to_string()], |row| row.get(0)).optional())
            .map(|grace_ms: Option<i64>| grace_ms.map(milliseconds))
            .map_err(|error| unreadable(&error))
    }

    /// The accounts as which attempts at a job ran that saves its work.
    pub(super) fn checkpoint_accounts(&self, job: JobId) -> Result<Vec<String>, EngineError> {
        // `ID` and `ID.2`, and nothing else, lie between `ID` and the next character after the dot.
        let sql = "SELECT DISTINCT account FROM runs WHERE run >= ?1 AND run < ?1 || '/' AND account != '' AND json_extract(job, '$.checkpoint')";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut query| query.query_map([job.to_string()], |row| row.get(0))?.collect())
            .map_err(|error| unreadable(&error))
    }

    /// Whether no other attempt at the job is known.
    pub(super) fn is_alone(&self, run: RunId) -> Result<bool, EngineError> {
        let sql = "SELECT 1 FROM runs WHERE run >= ?1 AND run < ?1 || '/' AND run != ?2";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut query| query.exists([run.job.to_string(), run.to_string()]))
            .map(|others| !others)
            .map_err(|error| unreadable(&error))
    }

    /// Writes that a run is to stand still; one that is finished is left alone.
    pub(super) fn suspend(&self, run: RunId) -> Result<(), EngineError> {
        self.write(
            "INSERT INTO suspended (run, wanted) SELECT ?1, 1 WHERE NOT EXISTS (SELECT 1 FROM runs WHERE run = ?1 AND phase = 'finished')
             ON CONFLICT DO UPDATE SET wanted = 1",
            params![run.to_string()],
        )
        .map(drop)
    }

    /// Writes that a run is to go on. That is remembered until the cluster has done it.
    pub(super) fn resume(&self, run: RunId) -> Result<(), EngineError> {
        self.write("UPDATE suspended SET wanted = 0 WHERE run = ?1", params![run.to_string()]).map(drop)
    }

    /// The cluster has let a run go on, unless it is to stand still again.
    pub(super) fn resumed(&self, run: RunId) -> Result<(), EngineError> {
        self.write("DELETE FROM suspended WHERE run = ?1 AND wanted = 0", params![run.to_string()]).map(drop)
    }

    /// Whether a run is to stand still, or to go on after it was; none where neither was ever asked.
    pub(super) fn suspension(&self, run: RunId) -> Result<Option<bool>, EngineError> {
        self.connection
            .prepare_cached("SELECT wanted FROM suspended WHERE run = ?1")
            .and_then(|mut query| query.query_row([run.to_string()], |row| row.get(0)).optional())
            .map_err(|error| unreadable(&error))
    }

    pub(super) fn wiped(&self, run: RunId) -> Result<(), EngineError> {
        self.write("UPDATE runs SET wiped = 1 WHERE run = ?1", params![run.to_string()]).map(drop)
    }

    /// The account that a researcher was given, or is given now: the first of `pool` that nobody has.
    pub(super) fn give_account(&self, owner: &Owner, pool: &[String]) -> Result<Option<String>, EngineError> {
        if let Some(account) = self.given_account(owner)? {
            return Ok(Some(account));
        }
        for account in pool {
            let given = self.write(
                "INSERT OR IGNORE INTO given_accounts (account, member, researcher) VALUES (?1, ?2, ?3)",
                params![account, owner.member.as_str(), owner.researcher.as_str()],
            )?;
            if given == 1 {
                return Ok(Some(account.clone()));
            }
        }
        Ok(None)
    }

    pub(super) fn given_account(&self, owner: &Owner) -> Result<Option<String>, EngineError> {
        self.connection
            .prepare_cached("SELECT account FROM given_accounts WHERE member = ?1 AND researcher = ?2")
            .and_then(|mut query| {
                query
                    .query_row([owner.member.as_str(), owner.researcher.as_str()], |row| row.get(0))
                    .optional()
            })
            .map_err(|error| unreadable(&error))
    }

    /// How many accounts of a pool nobody has been given.
    pub(super) fn free_accounts(&self, pool: &[String]) -> Result<usize, EngineError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT 1 FROM given_accounts WHERE account = ?1")
            .map_err(|error| unreadable(&error))?;
        let mut free = 0;
        for account in pool {
            free += usize::from(!query.exists([account]).map_err(|error| unreadable(&error))?);
        }
        Ok(free)
    }

    /// Notes that the controller was silent from one moment to another.
    pub(super) fn outage(&self, began_at: Timestamp, ended_at: Timestamp) -> Result<(), EngineError> {
        self.write(
            "INSERT INTO outages (began_at, ended_at) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at",
            params![began_at.as_millisecond(), ended_at.as_millisecond()],
        )?;
        let sql = "DELETE FROM outages WHERE began_at NOT IN (SELECT began_at FROM outages ORDER BY began_at DESC LIMIT ?1)";
        self.write(sql, params![OUTAGES_MAX]).map(drop)
    }

    /// Whether the controller was silent at some time between two moments.
    pub(super) fn was_silent(&self, from: Timestamp, until: Timestamp) -> Result<bool, EngineError> {
        self.connection
            .prepare_cached("SELECT 1 FROM outages WHERE began_at <= ?2 AND ended_at >= ?1")
            .and_then(|mut query| query.exists([from.as_millisecond(), until.as_millisecond()]))
            .map_err(|error| unreadable(&error))
    }

    fn write(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, EngineError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(|error| unreadable(&error))
    }
}

const COLUMNS: &str = "phase, job, account, slurm_account, qos, slurm_id, submitted_at, started_at, cancel, outcome, wiped, (SELECT wanted FROM suspended s WHERE s.run = runs.run), (SELECT grace_ms FROM notices n WHERE n.run = runs.run)";

struct Raw {
    phase: String,
    job: String,
    account: SiteAccount,
    slurm_id: Option<i64>,
    submitted_at: Option<i64>,
    started_at: Option<i64>,
    cancel: bool,
    outcome: Option<String>,
    wiped: bool,
    suspension: Option<bool>,
    notice: Option<i64>,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        phase: row.get(0)?,
        job: row.get(1)?,
        account: SiteAccount { unix: row.get(2)?, slurm_account: row.get(3)?, qos: row.get(4)? },
        slurm_id: row.get(5)?,
        submitted_at: row.get(6)?,
        started_at: row.get(7)?,
        cancel: row.get(8)?,
        outcome: row.get(9)?,
        wiped: row.get(10)?,
        suspension: row.get(11)?,
        notice: row.get(12)?,
    })
}

fn read(raw: Raw) -> Result<RunRecord, EngineError> {
    let known = [Phase::Intended, Phase::Submitted, Phase::Finished];
    let phase = known.into_iter().find(|phase| phase.as_str() == raw.phase);
    let time = |ms: i64| Timestamp::from_millisecond(ms).map_err(|error| damaged(&error));
    let outcome = raw.outcome.as_deref().map(serde_json::from_str).transpose();
    Ok(RunRecord {
        job: serde_json::from_str(&raw.job).map_err(|error| damaged(&error))?,
        phase: phase.ok_or_else(|| damaged(&format!("`{}` is no phase", raw.phase)))?,
        account: raw.account,
        slurm_id: raw.slurm_id.map(i64::unsigned_abs),
        submitted_at: raw.submitted_at.map(time).transpose()?,
        started_at: raw.started_at.map(time).transpose()?,
        cancel: raw.cancel,
        outcome: outcome.map_err(|error| damaged(&error))?,
        wiped: raw.wiped,
        suspension: raw.suspension,
        notice: raw.notice.map(milliseconds),
    })
}

fn milliseconds(count: i64) -> Duration {
    Duration::from_millis(count.unsigned_abs())
}

fn unreadable(error: &rusqlite::Error) -> EngineError {
    EngineError::Site { doing: "use the engine's records", said: error.to_string() }
}

fn damaged(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Site { doing: "read the engine's records", said: error.to_string() }
}
