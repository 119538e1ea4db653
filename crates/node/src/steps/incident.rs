// SPDX-License-Identifier: Apache-2.0
//! Incidents (G6): reported by anybody who is logged in, answered by the rules, with the clocks of the law started and evidence frozen.
//!
//! A report is one record: the signed entry that opens the chain, the gate's answer, the clocks, the snapshot of evidence, the
//! suspension of what the answer stops, and the audit entry. After a crash all of it is there or nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use sta_protocol::{
    digest::Sha256Digest,
    gate::{Answer, Verdict},
    ids::{IncidentId, JobId, ModelId, SiteId},
    incident::{Incident, IncidentEntry, IncidentKind, IncidentStep, Opening},
    jws::Signed,
    refusal::RefusalCode,
    subject::Subject,
};

use super::{
    StepError, gate_hold,
    gates::{self, Prepared, guards::Guards},
};
use crate::{
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        frozen,
        hosted::{self, HostState},
        incidents::{self as table, IncidentState, KeptClock, KeptIncident},
        jobs,
        outbox::Lane,
        registry::Researcher,
    },
};

mod asking;
mod clocks;
mod events;
mod evidence;
mod newcomers;
mod watch;

pub use events::{Event, add};
pub(crate) use newcomers::{Newcomer, at_admission};
pub(crate) use watch::keep_clocks;

/// What is reported.
#[derive(Debug, Clone)]
pub struct NewIncident {
    /// Its id, made by who reports it, so that the same report again has no second effect.
    pub id: IncidentId,
    /// What it is about.
    pub about: About,
    /// What kind of incident.
    pub kind: IncidentKind,
    /// When it happened, if that is known.
    pub occurred_at: Option<Timestamp>,
    /// When somebody became aware of it; now, where that is not said.
    pub aware_at: Option<Timestamp>,
    /// What happened, in words.
    pub summary: String,
    /// What the reporter states, by section and name.
    pub facts: BTreeMap<String, BTreeMap<String, Value>>,
}

/// What an incident is about.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// A job of this node, at home or hosted.
    pub job: Option<JobId>,
    /// A model.
    pub model: Option<ModelId>,
    /// A site of the treaty.
    pub site: Option<SiteId>,
}

impl From<&KeptIncident> for About {
    fn from(kept: &KeptIncident) -> Self {
        Self { job: kept.job, model: kept.model.clone(), site: kept.site.clone() }
    }
}

/// Reports an incident.
///
/// # Errors
/// What it names does not exist or is not for this person to name, it contradicts itself, the id is another incident's, or the
/// store failed: nothing is written.
pub async fn report(node: &Node, person: &Researcher, new: NewIncident) -> Result<IncidentId, StepError> {
    let reporter = subject(node, person);
    let (id, kind, now) = (new.id, new.kind, node.outside.now());
    let aware_at = new.aware_at.unwrap_or(now);
    let request_sha256 = digest_of(&new);
    if let Some(known) = node.store.read(|connection| table::find(connection, id))? {
        return repeated(node, &known, &reporter, request_sha256);
    }
    check_named(node, person, &new.about)?;
    let taken = evidence::take(node, id, &new.about, now)?;
    let facts = serde_json::to_string(&new.facts).unwrap_or_default();
    let question = Considered::new(node, Some(person), id, &new.about, &[kind], &facts, &taken)?;
    let kept = KeptIncident {
        id,
        state: IncidentState::Open,
        reporter: reporter.clone(),
        job: new.about.job,
        model: new.about.model.clone(),
        site: new.about.site.clone(),
        request_sha256,
        facts,
        decision: question.main.id(),
        reported_at: now,
        closed_at: None,
    };
    let opening = IncidentStep::Opened(Opening {
        kind,
        model: new.about.model,
        job: new.about.job,
        site: new.about.site,
        occurred_at: new.occurred_at,
        aware_at,
        summary: new.summary,
        evidence: vec![taken.snapshot.sha256],
    });
    let signed = sign(node, &entry(node, id, (0, None), reporter, opening, now))?;
    let guards = node.guards.clone();
    let write = node.store.write(move |tx| {
        if table::find(tx.connection(), id)?.is_some() {
            return Ok(None);
        }
        table::insert(tx, &kept)?;
        table::add_entry(tx, id, 0, &signed)?;
        taken.freeze(tx, id, 0)?;
        let acted = question.act(tx, &guards, id, now)?;
        let clocks = clocks::set(tx, id, &acted.answer, &[(kind, aware_at)], None)?;
        let seen = json!({"kind": kind, "aware_at": aware_at, "evidence": taken.snapshot.sha256});
        tx.audit(reported(&kept, &signed, &acted, &clocks, seen));
        Ok(Some(acted.lanes))
    });
    // Another request with the same id may have been faster.
    let lanes = write.await?.ok_or_else(|| conflict(node, id, "somebody else has just used this id"))?;
    lanes.iter().for_each(|lane| node.wake(lane));
    Ok(id)
}

/// What the log says of a report.
fn reported(
    kept: &KeptIncident,
    signed: &Signed<IncidentEntry>,
    acted: &Acted,
    clocks: &[KeptClock],
    seen: Value,
) -> PendingEntry {
    let mut payload = json!({
        "entry": signed.digest(), "by": kept.reporter, "job": kept.job, "model": kept.model, "site": kept.site,
        "decision": kept.decision, "verdict": acted.answer.verdict(), "suspended": acted.suspended,
        "clocks": clocks.iter().map(clocks::in_log).collect::<Vec<_>>(),
    });
    if let (Some(all), Value::Object(seen)) = (payload.as_object_mut(), seen) {
        all.extend(seen);
    }
    PendingEntry { kind: "incident.reported", subject: kept.id.to_string(), payload, at: kept.reported_at }
}

/// An entry of this member's chain; `place` is its number and the digest of the entry before.
fn entry(
    node: &Node,
    incident: IncidentId,
    (sequence, previous): (u32, Option<Sha256Digest>),
    by: Subject,
    step: IncidentStep,
    at: Timestamp,
) -> IncidentEntry {
    IncidentEntry { version: 1, incident, sequence, previous, member: node.member().clone(), by, at, step }
}

fn sign(node: &Node, entry: &IncidentEntry) -> Result<Signed<IncidentEntry>, StepError> {
    Signed::sign_record(entry, &node.keys.signing)
        .map_err(|error| malformed(node, "incident", error.to_string()))
}

fn subject(node: &Node, person: &Researcher) -> Subject {
    Subject { researcher: person.id.clone(), member: node.member().clone() }
}

fn digest_of(new: &NewIncident) -> Sha256Digest {
    let whole = json!({
        "job": new.about.job, "model": new.about.model, "site": new.about.site, "kind": new.kind,
        "occurred_at": new.occurred_at, "aware_at": new.aware_at, "summary": new.summary, "facts": new.facts,
    });
    Sha256Digest::of(whole.to_string().as_bytes())
}

/// The same report again is answered with the incident that it made.
fn repeated(
    node: &Node,
    known: &KeptIncident,
    reporter: &Subject,
    request_sha256: Sha256Digest,
) -> Result<IncidentId, StepError> {
    if known.reporter == *reporter && known.request_sha256 == request_sha256 {
        return Ok(known.id);
    }
    Err(conflict(node, known.id, "another incident has this id"))
}

/// Whether all that a report names is there. Who has no role names jobs of their own alone: others do not exist for them.
fn check_named(node: &Node, person: &Researcher, about: &About) -> Result<(), StepError> {
    let unknown = |what: &'static str, name: String| {
        StepError::refused(RefusalCode::NotFound, node.member(), [(what, name)])
    };
    if let Some(job) = about.job {
        let is_theirs = is_theirs(node, person, job)?;
        let is_here = node.store.read(|connection| {
            Ok(jobs::find(connection, job)?.is_some() || hosted::find(connection, job)?.is_some())
        })?;
        if !is_here || !is_theirs {
            return Err(unknown("job", job.to_string()));
        }
    }
    match &about.site {
        Some(site) if node.treaty.site(site).is_none() => Err(unknown("site", site.to_string())),
        Some(_) | None => Ok(()),
    }
}

fn is_theirs(node: &Node, person: &Researcher, job: JobId) -> Result<bool, StoreError> {
    if !person.roles.is_empty() {
        return Ok(true);
    }
    node.store.read(|connection| frozen::is_own_job(connection, job, person.id.as_str()))
}

/// The question of an incident, and for each job that the answer may stop.
struct Considered {
    main: Prepared,
    /// The jobs that stand still under the main decision, or under one of their own.
    jobs: Vec<(JobId, Option<Prepared>)>,
}

/// What came of it.
struct Acted {
    answer: Answer,
    suspended: BTreeSet<JobId>,
    lanes: Vec<Lane>,
}

impl Considered {
    /// Asks the rules. What a person without a role reports may stop jobs of their own alone.
    fn new(
        node: &Node,
        person: Option<&Researcher>,
        id: IncidentId,
        about: &About,
        kinds: &[IncidentKind],
        facts: &str,
        taken: &evidence::Taken,
    ) -> Result<Self, StepError> {
        let asking = asking::asking(node, id, about, kinds, facts, taken.snapshot.sha256)?;
        let mut jobs = Vec::new();
        for job in &taken.jobs {
            let unfinished = |job: &hosted::HostedJob| job.state != HostState::Finished;
            let runs = node
                .store
                .read(|connection| hosted::find(connection, *job))?
                .is_some_and(|job| unfinished(&job));
            let may = match person {
                Some(person) => is_theirs(node, person, *job)?,
                None => true,
            };
            if runs && may {
                let own = (about.job != Some(*job)).then(|| gates::prepare(node, asking.about_job(*job)));
                jobs.push((*job, own));
            }
        }
        Ok(Self { main: gates::prepare(node, asking.whole()), jobs })
    }

    /// Records the decisions and suspends what they stop, in the caller's transaction.
    fn act(
        self,
        tx: &mut Tx<'_>,
        guards: &Guards,
        id: IncidentId,
        now: Timestamp,
    ) -> Result<Acted, StoreError> {
        let decided = gates::record(tx, guards, self.main)?;
        let mut acted =
            Acted { answer: decided.answer.clone(), suspended: BTreeSet::new(), lanes: Vec::new() };
        if decided.answer.verdict() < Verdict::Hold {
            return Ok(acted);
        }
        for (job, own) in self.jobs {
            let decision = match own {
                Some(own) => gates::record(tx, guards, own)?,
                None => decided.clone(),
            };
            let held = gate_hold::open_for(tx, &decision, job, &reason(id), now)?;
            if held.changed {
                acted.suspended.insert(job);
            }
            acted.lanes.extend(held.lanes);
        }
        Ok(acted)
    }
}

/// The code under which jobs are suspended for an incident.
#[must_use]
pub fn reason(id: IncidentId) -> String {
    format!("incident/{id}")
}

/// An incident as it is kept.
///
/// # Errors
/// There is none of that id.
pub fn find(node: &Node, id: IncidentId) -> Result<KeptIncident, StepError> {
    let unknown = || StepError::refused(RefusalCode::NotFound, node.member(), [("incident", id.to_string())]);
    node.store.read(|connection| table::find(connection, id))?.ok_or_else(unknown)
}

/// The chain of an incident, verified from its first entry to its last.
///
/// # Errors
/// What is stored does not hold.
pub fn chain(node: &Node, id: IncidentId) -> Result<(Incident, Vec<Signed<IncidentEntry>>), StepError> {
    let entries = node.store.read(|connection| table::entries(connection, id))?;
    let own = node.keys.signing.public_key();
    // A node that was given new keys still knows the entries that it signed with the old ones by the treaty.
    let key = |key_id: &str| {
        let of_treaty = || node.treaty.signing_key(key_id).map(|(_, key)| key);
        (own.key_id() == key_id).then_some(own).or_else(of_treaty)
    };
    let incident = Incident::follow(&entries, key)
        .map_err(|error| StoreError::Damaged { what: "incident", problem: error.to_string() })?;
    Ok((incident, entries))
}

fn conflict(node: &Node, id: IncidentId, problem: &str) -> StepError {
    let facts = [("incident", id.to_string()), ("problem", problem.to_owned())];
    StepError::refused(RefusalCode::Conflict, node.member(), facts)
}

fn malformed(node: &Node, field: &str, problem: String) -> StepError {
    let facts = [("field", field.to_owned()), ("problem", problem)];
    StepError::refused(RefusalCode::RequestMalformed, node.member(), facts)
}
