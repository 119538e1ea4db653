// SPDX-License-Identifier: Apache-2.0
//! The gates G1 to G5 in the way of jobs, weights and calls: gather the facts, ask rules and bound, record the answer.
//!
//! Every door asks in the same three beats. [`Asking`] has the facts, each with the one who vouches for it; [`prepare`] asks the
//! rules, which reads nothing else; [`record()`] joins the bound on harm and writes decision, budget and audit entry in one
//! transaction. Whoever has a transaction of their own (a job that is held) calls [`prepare`] and [`record()`], everybody
//! else [`ask`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};
use sta_decide::{
    authorize::{Action, FactSheet},
    gate::{self, Question},
    verdict::Refusals,
};
use sta_protocol::{
    digest::Sha256Digest,
    gate::{Answer, Layer, Releaser, Verdict},
    ids::{DecisionId, MemberId, SiteId},
    refusal::{Refusal, RefusalCode},
};

use super::StepError;
use crate::{
    node::Node,
    store::{StoreError, Tx, audit::PendingEntry, gates as table},
};

pub(crate) mod admission;
pub mod facts;
pub mod guards;
pub mod models;
pub mod outcome;
pub mod question;
pub mod record;
pub mod replay;
pub mod weights;

use guards::Guards;
use record::{DecisionRecord, LayerRecord, RECORD_VERSION};

/// A question with its facts, and what it is about.
#[derive(Debug, Clone)]
pub struct Asking {
    /// What is asked.
    pub action: Action,
    /// The facts and who vouches for each.
    pub sheet: FactSheet,
    /// The facts that nobody stated.
    pub assumed: BTreeSet<String>,
    /// At which site, whose operator's rules are asked too.
    pub site: Option<SiteId>,
    /// What it is about: ids and digests, never a person.
    pub subject: BTreeMap<String, String>,
    /// Whose harm budget it counts against: the project.
    pub tenant: String,
    /// Digests of what facts come from.
    pub evidence: BTreeSet<Sha256Digest>,
}

impl Asking {
    /// A typed question, all of whose facts somebody states.
    #[must_use]
    pub fn of(question: &Question, subject: BTreeMap<String, String>, tenant: &str) -> Self {
        Self {
            action: question.action(),
            sheet: question.sheet(),
            assumed: BTreeSet::new(),
            site: None,
            subject,
            tenant: tenant.to_owned(),
            evidence: BTreeSet::new(),
        }
    }

    /// The same at a site.
    #[must_use]
    pub fn at(self, site: &SiteId) -> Self {
        Self { site: Some(site.clone()), ..self }
    }

    /// What decisions are found by: the parts of the subject, in the order of their names.
    #[must_use]
    pub fn key(&self) -> String {
        key_of(&self.subject)
    }
}

/// The subject as one text, the job first, so that all about a job are found together.
fn key_of(subject: &BTreeMap<String, String>) -> String {
    let job = subject.get("job").into_iter();
    let others = subject.iter().filter(|(name, _)| *name != "job").map(|(_, value)| value);
    job.chain(others).map(String::as_str).collect::<Vec<_>>().join("/")
}

/// A question that the rules have answered.
#[derive(Debug, Clone)]
pub struct Prepared {
    record: DecisionRecord,
    sheet: FactSheet,
    key: String,
}

impl Prepared {
    /// The decision's id, to refer to it in the same transaction.
    #[must_use]
    pub fn id(&self) -> DecisionId {
        self.record.decision
    }

    /// What the rules say, without the bound.
    #[must_use]
    pub fn answer(&self) -> &Answer {
        &self.record.answer
    }

    /// Whether another decision stands on the same facts, day and rules.
    #[must_use]
    pub fn is_on_the_same_facts_as(&self, other: &DecisionRecord) -> bool {
        let (ours, today) = (&self.record, other.today);
        let same_rules = ours.rules == other.rules && ours.layers == other.layers;
        ours.facts == other.facts && same_rules && ours.today == today
    }
}

/// Asks the rules that are in force. Reads the clock and the rules, writes nothing.
#[must_use]
pub fn prepare(node: &Node, asking: Asking) -> Prepared {
    let at = node.outside.now();
    let today = at.to_zoned(TimeZone::UTC).date();
    let layers = node.own_packs.over(&node.rules, asking.site.as_ref());
    let answer = gate::evaluate(&layers, asking.action, &asking.sheet, today);
    let key = asking.key();
    let record = DecisionRecord {
        version: RECORD_VERSION,
        decision: DecisionId::new(node.outside.now_ms(), node.outside.random()),
        at,
        today,
        gate: asking.action.as_str().to_owned(),
        subject: asking.subject,
        tenant: asking.tenant,
        facts: facts::recorded(&asking.sheet),
        assumed: asking.assumed,
        packs: node.rules.packs().iter().cloned().collect(),
        rules: node.rules.digest(),
        layers: layers.iter().filter(|(layer, _)| *layer != Layer::Treaty).map(LayerRecord::of).collect(),
        answer,
        guardrail: None,
        evidence: asking.evidence,
        software: concat!("sta ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Prepared { record, sheet: asking.sheet, key }
}

/// Joins the bound on harm, uses up its budget and keeps decision and audit entry, all in the caller's transaction.
///
/// # Errors
/// The store failed, or what a guard has learnt was altered.
pub fn record(tx: &mut Tx<'_>, guards: &Guards, prepared: Prepared) -> Result<DecisionRecord, StoreError> {
    let Prepared { mut record, sheet, key } = prepared;
    let (gate, tenant, at) = (record.gate.clone(), record.tenant.clone(), record.at);
    let judged = guards.with(tx.connection(), &gate, |guard| {
        let unread = |problem: String| StoreError::Damaged { what: "harm budget", problem };
        let fresh = guard.assess(&sheet, at, 0.0).map_err(unread)?;
        let used = table::budget_used(tx.connection(), &gate, &tenant, fresh.window_begins)?;
        guard.assess(&sheet, at, used).map_err(unread)
    })?;
    if let Some(mut judged) = judged {
        record.answer = guards::joined(record.answer, &mut judged);
        if judged.spent.0 > 0.0 {
            let used = judged.used.0 + judged.spent.0;
            table::put_budget(tx, &gate, &tenant, judged.window_begins, used)?;
        }
        record.guardrail = Some(judged);
    }
    let unwritable =
        |error: serde_json::Error| StoreError::Damaged { what: "decision", problem: error.to_string() };
    let payload = serde_json::to_value(&record).map_err(unwritable)?;
    let verdict = record.answer.verdict().as_str();
    table::put_decision(tx, record.decision, (&gate, &key), verdict, &payload.to_string(), at)?;
    let subject = record.decision.to_string();
    tx.audit(PendingEntry { kind: "gate.decided", subject, payload, at });
    Ok(record)
}

/// Asks a gate and records what it answers.
///
/// # Errors
/// The store failed: there is no answer, so nothing goes ahead.
pub async fn ask(node: &Node, asking: Asking) -> Result<DecisionRecord, StepError> {
    let (prepared, guards) = (prepare(node, asking), node.guards.clone());
    let record = node.store.write(move |tx| record(tx, &guards, prepared)).await?;
    for reason in refused_by(&record.answer) {
        node.metrics.refused(&reason.rule);
    }
    Ok(record)
}

/// The reasons that keep a thing from going ahead: all that do more than oblige or label.
fn refused_by(answer: &Answer) -> impl Iterator<Item = &sta_protocol::gate::Reason> {
    answer.reasons().filter(|reason| reason.verdict() > Verdict::AllowWith)
}

/// The reasons of an answer as refusals, each with who could release it; none where it lets the thing go ahead.
#[must_use]
pub fn refusals(answer: &Answer, by: &MemberId) -> Vec<Refusal> {
    let refusal = |reason: &sta_protocol::gate::Reason| {
        let mut refusal = reason.to_refusal(by);
        let people: Vec<&str> =
            reason.effects.iter().filter_map(|effect| effect.releaser().map(Releaser::as_str)).collect();
        if !people.is_empty() && answer.verdict() == Verdict::Hold {
            refusal.facts.insert("released_by".to_owned(), people.join(","));
        }
        refusal
    };
    let reasons: Vec<Refusal> = refused_by(answer).map(refusal).collect();
    Refusals::from_reasons(reasons).map(Refusals::into_vec).unwrap_or_default()
}

/// A decision that was recorded.
///
/// # Errors
/// There is none of that id, or what is stored does not read.
pub fn decision(node: &Node, id: DecisionId) -> Result<DecisionRecord, StepError> {
    let text = node.store.read(|connection| table::decision(connection, id))?;
    let unknown = || StepError::refused(RefusalCode::NotFound, node.member(), [("decision", id.to_string())]);
    Ok(read_decision(&text.ok_or_else(unknown)?)?)
}

/// The same within a transaction.
pub(super) fn read_in(
    connection: &rusqlite::Connection,
    id: DecisionId,
) -> Result<DecisionRecord, StoreError> {
    let missing = || StoreError::Damaged { what: "decision", problem: format!("{id} is not there") };
    read_decision(&table::decision(connection, id)?.ok_or_else(missing)?)
}

/// The decisions about a job, the newest first.
///
/// # Errors
/// The store failed, or what is stored does not read.
pub fn decisions_about(node: &Node, subject: &str) -> Result<Vec<DecisionRecord>, StoreError> {
    let texts = node.store.read(|connection| table::decisions_about(connection, subject))?;
    texts.iter().map(|text| read_decision(text)).collect()
}

fn read_decision(text: &str) -> Result<DecisionRecord, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Damaged { what: "decision", problem: error.to_string() })
}

/// How long an answer about the same facts stands before it is asked for anew, in seconds.
const SAME_ANSWER_S: i64 = 60;

/// Whether an earlier answer still stands: the same facts and rules, and it either lets the thing go ahead or is young.
fn still_stands(prepared: &Prepared, last: &DecisionRecord, now: Timestamp) -> bool {
    let goes_ahead = last.answer.verdict() <= Verdict::AllowWith;
    let is_young = now.duration_since(last.at).as_secs() < SAME_ANSWER_S;
    prepared.is_on_the_same_facts_as(last) && (goes_ahead || is_young)
}

/// An error with its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line = format!("{line}: {next}");
        cause = next.source();
    }
    line
}
