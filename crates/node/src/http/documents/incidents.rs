// SPDX-License-Identifier: Apache-2.0
//! Documents about incidents.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    digest::Sha256Digest,
    ids::{DecisionId, IncidentId, JobId, ModelId, SiteId},
    incident::{IncidentEntry, IncidentStep},
    jws::Signed,
    subject::Subject,
};
use utoipa::ToSchema;

use super::GateReasonDocument;
use crate::{
    node::Node,
    steps::{StepError, gates, incident},
    store::{
        StoreError, frozen, gate_holds,
        incidents::{self as table, KeptClock, KeptIncident},
    },
    text::{self, Language},
};

/// A report.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentRequest {
    /// Its id, a UUID of version 7 made by who reports it; the node makes one where it is left out, and then the same report
    /// again is another incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub incident: Option<IncidentId>,
    /// `critical-infrastructure-disruption`, `cyber-breach`, `death`, `other-serious`, `widespread-infringement`,
    /// `personal-data-breach`, `foreign-order`, `guardrail-alarm` or `other`.
    pub kind: String,
    /// What happened, without personal data.
    pub summary: String,
    /// The job that it is about. Who has no role names their own alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub job: Option<JobId>,
    /// The model that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub model: Option<ModelId>,
    /// The site that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
    /// When it happened, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub occurred_at: Option<Timestamp>,
    /// When somebody became aware of it, from which on every clock runs; now, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub aware_at: Option<Timestamp>,
    /// What the reporter states, by section (`intent`, `model`, `incident`) and name, such as
    /// `{"incident": {"risk_for_people": false}}`. What nobody states counts as the worse.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub facts: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
}

/// Something that is added to an incident.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "event", deny_unknown_fields)]
pub enum IncidentEvent {
    /// An authority or a provider was told.
    Notified {
        /// The number of the clock that this meets; none where no law asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<u32>,
        /// Whom.
        authority: String,
        /// Their reference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// When; now, where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, format = DateTime)]
        at: Option<Timestamp>,
        /// Whether the report was complete; a first one may be incomplete (Regulation (EU) 2024/1689, Art. 73(5)).
        #[serde(default)]
        complete: bool,
    },
    /// More was found out.
    Found {
        /// What.
        summary: String,
    },
    /// It is of another or a further kind.
    Reclassified {
        /// The kind.
        kind: String,
        /// When somebody became aware of that; now, where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, format = DateTime)]
        aware_at: Option<Timestamp>,
        /// Why.
        reason: String,
    },
    /// The danger is over.
    Resolved {
        /// Since when; now, where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, format = DateTime)]
        at: Option<Timestamp>,
        /// How.
        summary: String,
    },
}

/// The end of an incident.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseRequest {
    /// With what result.
    pub reason: String,
    /// Leaves out reports that are still due. Only somebody with the role legal may, and the log says which.
    #[serde(default)]
    pub without_reports: bool,
}

/// An incident.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentDocument {
    /// The incident.
    #[schema(value_type = String)]
    pub id: IncidentId,
    /// `open`, `resolved` or `closed`.
    pub state: String,
    /// Every kind it was ever of, the newest last.
    pub kinds: Vec<String>,
    /// What happened, as it was reported.
    pub summary: String,
    /// The job that it is about.
    #[schema(value_type = Option<String>)]
    pub job: Option<JobId>,
    /// The model that it is about.
    #[schema(value_type = Option<String>)]
    pub model: Option<ModelId>,
    /// The site that it is about.
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
    /// Who reported it.
    #[schema(value_type = String)]
    pub reporter: Subject,
    /// When it happened.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub occurred_at: Option<Timestamp>,
    /// When somebody became aware of it.
    #[schema(value_type = String, format = DateTime)]
    pub aware_at: Timestamp,
    /// When it was reported.
    #[schema(value_type = String, format = DateTime)]
    pub reported_at: Timestamp,
    /// Since when the danger is over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
    /// When it was closed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
    /// What the gate said last: `ALLOW`, `ALLOW_WITH`, `HOLD`, `SUSPEND` or `DENY`.
    pub verdict: String,
    /// That decision.
    #[schema(value_type = String)]
    pub decision: DecisionId,
    /// Its reasons, in the language of who asks.
    pub reasons: Vec<GateReasonDocument>,
    /// What would bind another day, or only advises.
    pub warnings: Vec<GateReasonDocument>,
    /// What must be done.
    pub obligations: Vec<String>,
    /// The facts that nobody stated: they count as the worse.
    pub assumed: Vec<String>,
    /// The statutory clocks.
    pub clocks: Vec<ClockDocument>,
    /// The holds of jobs that stand still for it.
    #[schema(value_type = Vec<String>)]
    pub holds: Vec<DecisionId>,
    /// The jobs of which nothing is removed while it is not closed.
    #[schema(value_type = Vec<String>)]
    pub frozen_jobs: Vec<JobId>,
    /// SHA-256 of each snapshot of evidence, the newest last.
    #[schema(value_type = Vec<String>)]
    pub evidence: Vec<Sha256Digest>,
    /// The signed chain.
    pub entries: Vec<IncidentEntryDocument>,
}

/// A statutory clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockDocument {
    /// Its number, to say which one a notification meets.
    pub number: u32,
    /// The rule that started it.
    pub rule: String,
    /// The article that sets the period.
    pub source: String,
    /// `first-report`, `update`, `final-report` or `keep-until`.
    pub duty: String,
    /// What is due, in the language of who asks.
    pub what: String,
    /// Who is to be told, in the language of who asks.
    pub authority: String,
    /// The kind of incident that makes it this short.
    pub kind: Option<String>,
    /// Whether the law binds already; else it is a warning.
    pub binding: bool,
    /// `running`, `overdue`, `met`, `met-late` or `void`.
    pub state: String,
    /// When it is due.
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
    /// Seconds left, below zero where it is overdue; none where it does not run.
    pub left_s: Option<i64>,
    /// When it was met.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub met_at: Option<Timestamp>,
}

/// One entry of the chain.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentEntryDocument {
    /// Its place, from 0 on.
    pub sequence: u32,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who wrote it.
    #[schema(value_type = String)]
    pub by: Subject,
    /// What it says: `opened`, `reclassified`, `found`, `notified`, `resolved`, `closed` with its fields.
    #[schema(value_type = Object)]
    pub step: serde_json::Value,
    /// `sta-incident+jws`.
    #[schema(value_type = String)]
    pub signed: Signed<IncidentEntry>,
}

/// Incidents.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IncidentList {
    /// The incidents.
    pub incidents: Vec<IncidentDocument>,
}

impl IncidentDocument {
    /// An incident as people see it.
    ///
    /// # Errors
    /// The store failed, or what is stored does not hold.
    pub fn new(node: &Node, kept: &KeptIncident, language: Language) -> Result<Self, StepError> {
        let (chain, entries) = incident::chain(node, kept.id)?;
        let decided = gates::decision(node, kept.decision)?;
        let by = node.member();
        let (clocks, snapshots, frozen_jobs, holds) = node.store.read(|connection| {
            Ok((
                table::clocks(connection, kept.id)?,
                frozen::snapshots(connection, kept.id)?,
                frozen::jobs_of(connection, kept.id)?,
                gate_holds::open_for(connection, &incident::reason(kept.id))?,
            ))
        })?;
        let now = node.outside.now();
        let answer = &decided.answer;
        Ok(Self {
            id: kept.id,
            state: kept.state.as_str().to_owned(),
            kinds: chain.kinds.iter().map(|(kind, _)| kind.as_str().to_owned()).collect(),
            summary: chain.opening.summary,
            job: kept.job,
            model: kept.model.clone(),
            site: kept.site.clone(),
            reporter: kept.reporter.clone(),
            occurred_at: chain.opening.occurred_at,
            aware_at: chain.opening.aware_at,
            reported_at: kept.reported_at,
            resolved_at: chain.resolved_at,
            closed_at: kept.closed_at,
            verdict: answer.verdict().to_string(),
            decision: kept.decision,
            reasons: answer.reasons().map(|reason| GateReasonDocument::new(reason, by, language)).collect(),
            warnings: answer
                .warnings()
                .map(|warning| GateReasonDocument::warning(warning, by, language))
                .collect(),
            obligations: answer.obligations().into_iter().map(str::to_owned).collect(),
            assumed: decided.assumed.into_iter().collect(),
            clocks: clocks.iter().map(|clock| ClockDocument::new(clock, now, language)).collect(),
            holds: holds.into_iter().map(|hold| hold.id).collect(),
            frozen_jobs,
            evidence: snapshots.into_iter().map(|snapshot| snapshot.sha256).collect(),
            entries: entries.into_iter().map(IncidentEntryDocument::new).collect::<Result<_, _>>()?,
        })
    }
}

impl ClockDocument {
    fn new(clock: &KeptClock, now: Timestamp, language: Language) -> Self {
        let runs = clock.state == "running";
        let is_late = |at: Timestamp| at > clock.due_at;
        let state = match (clock.state.as_str(), clock.met_at) {
            ("running", _) if clock.is_due() && is_late(now) => "overdue",
            ("met", Some(at)) if is_late(at) => "met-late",
            (state, _) => state,
        };
        Self {
            number: clock.number,
            rule: clock.rule.clone(),
            source: clock.source.clone(),
            duty: clock.duty.clone(),
            what: text::of_clock(language, "duty", &clock.duty),
            authority: text::of_clock(language, "authority", &clock.rule),
            kind: clock.kind.clone(),
            binding: clock.binding,
            state: state.to_owned(),
            due_at: clock.due_at,
            left_s: runs.then(|| clock.due_at.duration_since(now).as_secs()),
            met_at: clock.met_at,
        }
    }
}

impl IncidentEntryDocument {
    fn new(signed: Signed<IncidentEntry>) -> Result<Self, StepError> {
        let damaged = |problem: String| StoreError::Damaged { what: "incident", problem };
        let entry = signed.peek_unverified().map_err(|error| damaged(error.to_string()))?;
        let step: &IncidentStep = &entry.step;
        let step = serde_json::to_value(step).map_err(|error| damaged(error.to_string()))?;
        Ok(Self { sequence: entry.sequence, at: entry.at, by: entry.by, step, signed })
    }
}
