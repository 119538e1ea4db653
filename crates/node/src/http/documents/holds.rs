// SPDX-License-Identifier: Apache-2.0
//! Documents about holds and orders to stop.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    digest::Sha256Digest,
    gate::Verdict,
    ids::{DecisionId, JobId, MemberId, SiteId, StopOrderId},
    jws::Signed,
    stop_order::StopAcknowledgement,
};
use utoipa::ToSchema;

use crate::{
    node::Node,
    steps::StepError,
    store::{
        StoreError,
        gate_holds::{self, GateHold},
        stop_orders::{self, KeptOrder},
    },
    text::Language,
};

/// A job that stands still until a named person, or the lifting of an order, lets it go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateHoldDocument {
    /// The hold, which has the id of the gate's decision.
    #[schema(value_type = String)]
    pub id: DecisionId,
    /// The job.
    #[schema(value_type = String)]
    pub job: JobId,
    /// The code under which the job is suspended: rules, or an order.
    pub code: String,
    /// `HOLD`, `SUSPEND` or `DENY`, as long as it is open what is left of the gate's answer.
    pub verdict: String,
    /// `open`, `released`, `denied` or `over`.
    pub state: String,
    /// The kinds of person who must still release it: `legal`, `safety`, `steward`; empty where nobody can.
    pub awaits: Vec<String>,
    /// Why.
    pub reasons: Vec<HoldReasonDocument>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    /// When it was closed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
    /// What named people have decided about it.
    pub decisions: Vec<HoldDecisionDocument>,
}

/// One reason of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldReasonDocument {
    /// The rule.
    pub rule: String,
    /// The article that it comes from.
    pub source: String,
    /// What it says, in the language of who asks.
    pub text: String,
    /// What would change it.
    pub advice: String,
}

/// What a named person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldDecisionDocument {
    /// Who.
    pub by: String,
    /// In which capacities, separated by commas.
    pub kinds: String,
    /// Why, in their words.
    pub reason: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateHoldList {
    /// The holds.
    pub holds: Vec<GateHoldDocument>,
}

/// A person's word on a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldDecisionRequest {
    /// Why, for the audit log.
    pub reason: String,
}

impl GateHoldDocument {
    /// A hold as people see it.
    ///
    /// # Errors
    /// The store failed.
    pub fn new(node: &Node, hold: &GateHold, language: Language) -> Result<Self, StoreError> {
        let decisions = node.store.read(|connection| gate_holds::decisions(connection, hold.id))?;
        let in_language = |text: &sta_protocol::gate::Text| match language {
            Language::En => text.en.clone(),
            Language::Fr => text.fr.clone(),
            Language::De => text.de.clone(),
        };
        let reasons = hold.answer.reasons().filter(|reason| reason.verdict() > Verdict::AllowWith);
        Ok(Self {
            id: hold.id,
            job: hold.job,
            code: hold.reason.clone(),
            verdict: hold.answer.verdict().to_string(),
            state: hold.state.as_str().to_owned(),
            awaits: gate_holds::awaits(&hold.answer).into_iter().map(str::to_owned).collect(),
            reasons: reasons
                .map(|reason| HoldReasonDocument {
                    rule: reason.rule.clone(),
                    source: reason.source.clone(),
                    text: in_language(&reason.text),
                    advice: in_language(&reason.advice),
                })
                .collect(),
            opened_at: hold.opened_at,
            closed_at: hold.closed_at,
            decisions: decisions
                .into_iter()
                .map(|decision| HoldDecisionDocument {
                    by: decision.person,
                    kinds: decision.kinds,
                    reason: decision.reason,
                    at: decision.at,
                })
                .collect(),
        })
    }
}

/// An order to stop, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopOrderDocument {
    /// The order.
    #[schema(value_type = String)]
    pub id: StopOrderId,
    /// SHA-256 of its payload.
    #[schema(value_type = String)]
    pub sha256: Sha256Digest,
    /// Whose people gave it.
    #[schema(value_type = String)]
    pub member: MemberId,
    /// What it stops: `{"kind": "job", "id": ...}`.
    #[schema(value_type = Object)]
    pub target: serde_json::Value,
    /// Why, in words.
    pub reason: String,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Timestamp,
    /// By when every site must have answered.
    #[schema(value_type = String, format = DateTime)]
    pub acknowledge_by: Timestamp,
    /// When it came here.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// Who brought it here.
    #[schema(value_type = String)]
    pub received_from: MemberId,
    /// When it was lifted.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lifted_at: Option<Timestamp>,
    /// The jobs that it has stopped at this node's sites.
    #[schema(value_type = Vec<String>)]
    pub jobs: Vec<JobId>,
    /// What the sites have answered.
    pub answers: Vec<StopAnswerDocument>,
    /// The sites of the treaty that have not.
    #[schema(value_type = Vec<String>)]
    pub unanswered: Vec<SiteId>,
}

/// A site's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopAnswerDocument {
    /// The site's member.
    #[schema(value_type = String)]
    pub member: MemberId,
    /// The site.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// When all of it stood still.
    #[schema(value_type = String, format = DateTime)]
    pub completed_at: Timestamp,
    /// What was stopped, when, and the digest of the state that is kept.
    #[schema(value_type = Vec<Object>)]
    pub stopped: Vec<serde_json::Value>,
    /// `sta-stop-acknowledgement+jws`.
    #[schema(value_type = String)]
    pub acknowledgement: Signed<StopAcknowledgement>,
}

/// Orders to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopOrderList {
    /// The orders, at most the newest 1000.
    pub orders: Vec<StopOrderDocument>,
    /// Whether there are older ones, which are found by their ids.
    pub more: bool,
}

impl StopOrderDocument {
    /// An order as people see it.
    ///
    /// # Errors
    /// The store failed, or what is stored does not read.
    pub fn new(node: &Node, kept: &KeptOrder) -> Result<Self, StepError> {
        let damaged = |problem: String| StoreError::Damaged { what: "order to stop", problem };
        let order = kept.signed.peek_unverified().map_err(|error| damaged(error.to_string()))?;
        let (jobs, texts) = node.store.read(|connection| {
            Ok((stop_orders::jobs(connection, kept.id)?, stop_orders::acknowledgements(connection, kept.id)?))
        })?;
        let mut answers = Vec::new();
        for (text, _) in texts {
            let answer = text.peek_unverified().map_err(|error| damaged(error.to_string()))?;
            answers.push(StopAnswerDocument {
                stopped: answer.stopped.iter().map(json).collect(),
                member: answer.member,
                site: answer.site,
                completed_at: answer.completed_at,
                acknowledgement: text,
            });
        }
        let answered = |site: &SiteId| answers.iter().any(|answer| answer.site == *site);
        let unanswered =
            node.treaty.sites.iter().map(|site| site.id.clone()).filter(|site| !answered(site)).collect();
        Ok(Self {
            id: kept.id,
            sha256: kept.sha256,
            member: kept.member.clone(),
            target: json(&order.target),
            acknowledge_by: order.acknowledge_by(),
            reason: order.reason,
            issued_at: order.issued_at,
            received_at: kept.received_at,
            received_from: kept.received_from.clone(),
            lifted_at: kept.lifted_at,
            jobs: jobs.into_iter().map(|here| here.job).collect(),
            answers,
            unanswered,
        })
    }
}

/// A wire type as JSON; those of an order always have that form.
fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}
