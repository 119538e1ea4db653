// SPDX-License-Identifier: Apache-2.0
//! Incidents: the signed chain of entries about each, and its statutory clocks.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sta_protocol::{
    digest::Sha256Digest,
    ids::{DecisionId, IncidentId, JobId, ModelId, SiteId},
    incident::IncidentEntry,
    jws::Signed,
    subject::Subject,
};

use super::{
    Doing, StoreError, Tx,
    jobs::{parse, signed, timestamp},
};

/// The most incidents of one page.
const LIST_MAX: u32 = 1000;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentState {
    /// It goes on.
    Open,
    /// The danger is over, and reports may still be due.
    Resolved,
    /// Nothing more will follow.
    Closed,
}

impl IncidentState {
    const ALL: [Self; 3] = [Self::Open, Self::Resolved, Self::Closed];

    /// The word in the table and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }
}

/// An incident as it is kept, beside its chain.
#[derive(Debug, Clone)]
pub struct KeptIncident {
    /// The incident.
    pub id: IncidentId,
    /// Where it stands.
    pub state: IncidentState,
    /// Who reported it, by pseudonym.
    pub reporter: Subject,
    /// The job that it is about.
    pub job: Option<JobId>,
    /// The model that it is about.
    pub model: Option<ModelId>,
    /// The site that it is about.
    pub site: Option<SiteId>,
    /// Digest of the report, to tell a repeat from a conflict.
    pub request_sha256: Sha256Digest,
    /// What the reporter stated as facts, as JSON; asked about again when the incident turns out to be of another kind.
    pub facts: String,
    /// What the gate said last.
    pub decision: DecisionId,
    /// When it was reported.
    pub reported_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
}

const COLUMNS: &str =
    "id, state, reporter, job, model, site, request_sha256, facts, decision, reported_at, closed_at";

/// Keeps a new incident.
pub fn insert(tx: &Tx<'_>, incident: &KeptIncident) -> Result<(), StoreError> {
    let sql =
        format!("INSERT INTO incidents ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
    tx.connection()
        .prepare_cached(&sql)
        .and_then(|mut insert| {
            insert.execute(params![
                incident.id.to_string(),
                incident.state.as_str(),
                incident.reporter.to_string(),
                incident.job.map(|job| job.to_string()),
                incident.model.as_ref().map(ToString::to_string),
                incident.site.as_ref().map(ToString::to_string),
                incident.request_sha256.to_string(),
                incident.facts,
                incident.decision.to_string(),
                incident.reported_at.as_millisecond(),
                incident.closed_at.map(Timestamp::as_millisecond),
            ])
        })
        .doing("keep an incident")
        .map(|_rows| ())
}

/// Writes what changes of an incident.
pub fn update(tx: &Tx<'_>, incident: &KeptIncident) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("UPDATE incidents SET state = ?2, decision = ?3, closed_at = ?4 WHERE id = ?1")
        .and_then(|mut update| {
            update.execute(params![
                incident.id.to_string(),
                incident.state.as_str(),
                incident.decision.to_string(),
                incident.closed_at.map(Timestamp::as_millisecond),
            ])
        })
        .doing("write an incident")
        .map(|_rows| ())
}

/// An incident by its id.
pub fn find(connection: &Connection, id: IncidentId) -> Result<Option<KeptIncident>, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM incidents WHERE id = ?1"))
        .and_then(|mut query| query.query_row([id.to_string()], raw).optional())
        .doing("read an incident")?
        .map(read)
        .transpose()
}

/// The incidents, the newest first: those that are not closed or all, of one reporter or of everybody.
pub fn list(
    connection: &Connection,
    all: bool,
    reporter: Option<&Subject>,
) -> Result<Vec<KeptIncident>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM incidents WHERE (?1 OR state <> 'closed') AND (?2 IS NULL OR reporter = ?2) ORDER BY reported_at DESC, id DESC LIMIT ?3"
    );
    let reporter = reporter.map(ToString::to_string);
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| {
            query.query_map(params![all, reporter, LIST_MAX], raw)?.collect::<Result<Vec<_>, _>>()
        })
        .doing("list the incidents")?
        .into_iter()
        .map(read)
        .collect()
}

/// The incidents about a model that are not closed, the oldest first. All of them: each may have something to say to a job.
pub fn about_model(connection: &Connection, model: &ModelId) -> Result<Vec<KeptIncident>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM incidents WHERE model = ?1 AND state <> 'closed' ORDER BY reported_at, id"
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_map([model.to_string()], raw)?.collect::<Result<Vec<_>, _>>())
        .doing("list the incidents about a model")?
        .into_iter()
        .map(read)
        .collect()
}

/// How many incidents are not closed.
pub fn count_open(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .prepare_cached("SELECT COUNT(*) FROM incidents WHERE state <> 'closed'")
        .and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(0)))
        .doing("count the incidents")
        .map(i64::unsigned_abs)
}

type Raw = ([String; 4], [Option<String>; 3], [String; 2], i64, Option<i64>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let names = [row.get("id")?, row.get("state")?, row.get("reporter")?, row.get("request_sha256")?];
    let about = [row.get("job")?, row.get("model")?, row.get("site")?];
    Ok((
        names,
        about,
        [row.get("facts")?, row.get("decision")?],
        row.get("reported_at")?,
        row.get("closed_at")?,
    ))
}

fn read(row: Raw) -> Result<KeptIncident, StoreError> {
    let ([id, state, reporter, request], [job, model, site], [facts, decision], reported_at, closed_at) = row;
    let known = IncidentState::ALL.into_iter().find(|known| known.as_str() == state);
    let unknown = || StoreError::Damaged { what: "incident", problem: format!("its state is `{state}`") };
    Ok(KeptIncident {
        id: parse(&id)?,
        state: known.ok_or_else(unknown)?,
        reporter: parse(&reporter)?,
        job: job.as_deref().map(parse).transpose()?,
        model: model.as_deref().map(parse).transpose()?,
        site: site.as_deref().map(parse).transpose()?,
        request_sha256: parse(&request)?,
        facts,
        decision: parse(&decision)?,
        reported_at: timestamp(reported_at)?,
        closed_at: closed_at.map(timestamp).transpose()?,
    })
}

/// Adds an entry to a chain; false where another has taken its place.
pub fn add_entry(
    tx: &Tx<'_>,
    id: IncidentId,
    sequence: u32,
    entry: &Signed<IncidentEntry>,
) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT OR IGNORE INTO incident_entries (incident, sequence, entry) VALUES (?1, ?2, ?3)",
        )
        .and_then(|mut insert| insert.execute(params![id.to_string(), sequence, entry.as_str()]))
        .doing("add to an incident")
        .map(|rows| rows == 1)
}

/// The chain of an incident.
pub fn entries(connection: &Connection, id: IncidentId) -> Result<Vec<Signed<IncidentEntry>>, StoreError> {
    let rows: Vec<String> = connection
        .prepare_cached("SELECT entry FROM incident_entries WHERE incident = ?1 ORDER BY sequence")
        .and_then(|mut query| query.query_map([id.to_string()], |row| row.get(0))?.collect())
        .doing("read an incident's entries")?;
    rows.into_iter().map(signed).collect()
}

/// A statutory clock as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptClock {
    /// Of which incident.
    pub incident: IncidentId,
    /// Its number within the incident, from 1 on.
    pub number: u32,
    /// The rule that started it.
    pub rule: String,
    /// The article that sets the period.
    pub source: String,
    /// What is due: `first-report`, `update`, `final-report`, `keep-until`.
    pub duty: String,
    /// The kind of incident that makes it this short.
    pub kind: Option<String>,
    /// Whether the law binds already.
    pub binding: bool,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// When it is due.
    pub due_at: Timestamp,
    /// `running`, `met`, or `void` where nothing is due any more.
    pub state: String,
    /// When it was met.
    pub met_at: Option<Timestamp>,
    /// The entry of the chain that met it.
    pub met_by: Option<u32>,
    /// What was said of it in the node's log: `nothing`, `near`, `overdue`.
    pub said: String,
}

impl KeptClock {
    /// Whether a report is still due.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.state == "running" && self.duty != "keep-until"
    }
}

const CLOCK: &str =
    "incident, number, rule, source, duty, kind, binding, started_at, due_at, state, met_at, met_by, said";

/// Writes a clock, new or with what has changed.
pub fn put_clock(tx: &Tx<'_>, clock: &KeptClock) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO incident_clocks ({CLOCK}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT DO UPDATE SET due_at = excluded.due_at, binding = excluded.binding, state = excluded.state, met_at = excluded.met_at, met_by = excluded.met_by, said = excluded.said"
    );
    tx.connection()
        .prepare_cached(&sql)
        .and_then(|mut insert| {
            insert.execute(params![
                clock.incident.to_string(),
                clock.number,
                clock.rule,
                clock.source,
                clock.duty,
                clock.kind,
                clock.binding,
                clock.started_at.as_millisecond(),
                clock.due_at.as_millisecond(),
                clock.state,
                clock.met_at.map(Timestamp::as_millisecond),
                clock.met_by,
                clock.said,
            ])
        })
        .doing("write a clock")
        .map(|_rows| ())
}

/// The clocks of an incident, in the order of their numbers.
pub fn clocks(connection: &Connection, id: IncidentId) -> Result<Vec<KeptClock>, StoreError> {
    let rows = connection
        .prepare_cached(&format!("SELECT {CLOCK} FROM incident_clocks WHERE incident = ?1 ORDER BY number"))
        .and_then(|mut query| query.query_map([id.to_string()], raw_clock)?.collect::<Result<Vec<_>, _>>())
        .doing("read an incident's clocks")?;
    rows.into_iter().map(read_clock).collect()
}

/// The clocks of the law in force that run, the soonest due first.
pub fn running_clocks(connection: &Connection) -> Result<Vec<KeptClock>, StoreError> {
    let sql = format!(
        "SELECT {CLOCK} FROM incident_clocks WHERE state = 'running' AND binding AND duty <> 'keep-until' ORDER BY due_at, incident, number LIMIT {LIST_MAX}"
    );
    let rows = connection
        .prepare_cached(&sql)
        .and_then(|mut query| query.query_map([], raw_clock)?.collect::<Result<Vec<_>, _>>())
        .doing("list the clocks that run")?;
    rows.into_iter().map(read_clock).collect()
}

struct RawClock {
    texts: [String; 5],
    incident: String,
    kind: Option<String>,
    number: u32,
    binding: bool,
    times: [i64; 2],
    met_at: Option<i64>,
    met_by: Option<u32>,
}

fn raw_clock(row: &Row<'_>) -> rusqlite::Result<RawClock> {
    Ok(RawClock {
        texts: [row.get("rule")?, row.get("source")?, row.get("duty")?, row.get("state")?, row.get("said")?],
        incident: row.get("incident")?,
        kind: row.get("kind")?,
        number: row.get("number")?,
        binding: row.get("binding")?,
        times: [row.get("started_at")?, row.get("due_at")?],
        met_at: row.get("met_at")?,
        met_by: row.get("met_by")?,
    })
}

fn read_clock(row: RawClock) -> Result<KeptClock, StoreError> {
    let [rule, source, duty, state, said] = row.texts;
    Ok(KeptClock {
        incident: parse(&row.incident)?,
        number: row.number,
        rule,
        source,
        duty,
        kind: row.kind,
        binding: row.binding,
        started_at: timestamp(row.times[0])?,
        due_at: timestamp(row.times[1])?,
        state,
        met_at: row.met_at.map(timestamp).transpose()?,
        met_by: row.met_by,
        said,
    })
}
