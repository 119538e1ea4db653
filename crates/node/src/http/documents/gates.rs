// SPDX-License-Identifier: Apache-2.0
//! The JSON of gates, models and evaluations.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    digest::Sha256Digest,
    gate::{Because, Reason, Unproven, Warning},
    ids::{DecisionId, MemberId, ProjectId, SiteId},
};
use utoipa::ToSchema;

use crate::{
    steps::gates::record::{DecisionRecord, OutcomeRecord},
    text::{self, Language},
};

/// A question to a gate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GateQuestion {
    /// `screen`, `move-data`, `train`, `export-weights`, `serve`, `infer` or `call-tool`.
    pub gate: String,
    /// The project that asks; its harm budget counts.
    #[schema(value_type = String)]
    pub project: ProjectId,
    /// What the one who asks states, by section and name, such as `{"tool": {"name": "search", "listed": true}}`. What
    /// nobody states counts against the request.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub facts: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    /// SHA-256 of the weights that it is about: the registry says of them what it knows.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub weights: Vec<Sha256Digest>,
    /// The site that it is about: the treaty says of it what it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
}

/// One reason of an answer, in the language asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GateReasonDocument {
    /// The rule, or a code of the list of refusals.
    pub rule: String,
    /// Whose rule it is: `treaty`, `national`, `site`, or `guardrail` for the bound on harm.
    pub layer: String,
    /// The article, treaty clause or proposition that it comes from.
    pub source: String,
    /// What it does: `deny`, `suspend`, `hold:legal`, `oblige:WORDS`, `label:WORD`, `sets:class.NAME`, `warn`.
    pub effects: Vec<String>,
    /// The facts that caused it.
    pub facts: BTreeMap<String, String>,
    /// Facts for which it wants better evidence than there is: fact, who vouches now, who would do.
    pub unproven: Vec<String>,
    /// It in one sentence.
    pub sentence: String,
    /// What would change it.
    pub advice: String,
    /// Why it only warns; none where it binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warns_because: Option<String>,
}

/// What a gate answered.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GateDocument {
    /// The decision.
    #[schema(value_type = String)]
    pub decision: DecisionId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Which question.
    pub gate: String,
    /// What it was about.
    pub subject: BTreeMap<String, String>,
    /// `ALLOW`, `ALLOW_WITH`, `HOLD`, `SUSPEND` or `DENY`.
    pub verdict: String,
    /// The reasons that bind.
    pub reasons: Vec<GateReasonDocument>,
    /// What would bind another day, or only advises.
    pub warnings: Vec<GateReasonDocument>,
    /// What must be done if it goes on.
    pub obligations: Vec<String>,
    /// What the thing is labelled with.
    pub labels: Vec<String>,
    /// The kinds of person who must all release it.
    pub released_by: Vec<String>,
    /// What the bound on harm said; none at a gate that has none.
    #[schema(value_type = Option<Object>)]
    pub guardrail: Option<serde_json::Value>,
    /// The facts that nobody stated.
    pub assumed: BTreeSet<String>,
    /// Every fact, with who vouches for it.
    #[schema(value_type = Object)]
    pub facts: serde_json::Value,
    /// Digests of what facts come from.
    #[schema(value_type = Vec<String>)]
    pub evidence: BTreeSet<Sha256Digest>,
}

impl GateDocument {
    /// A decision in the language of the reader.
    #[must_use]
    pub fn new(record: &DecisionRecord, by: &MemberId, language: Language) -> Self {
        let answer = &record.answer;
        let owned = |words: BTreeSet<&str>| words.into_iter().map(str::to_owned).collect();
        Self {
            decision: record.decision,
            at: record.at,
            gate: record.gate.clone(),
            subject: record.subject.clone(),
            verdict: answer.verdict().to_string(),
            reasons: answer.reasons().map(|reason| GateReasonDocument::new(reason, by, language)).collect(),
            warnings: answer
                .warnings()
                .map(|warning| GateReasonDocument::warning(warning, by, language))
                .collect(),
            obligations: owned(answer.obligations()),
            labels: owned(answer.labels()),
            released_by: answer.released_by().into_iter().map(|kind| kind.as_str().to_owned()).collect(),
            guardrail: record.guardrail.as_ref().map(|guard| serde_json::json!(guard)),
            assumed: record.assumed.clone(),
            facts: serde_json::json!(record.facts),
            evidence: record.evidence.clone(),
        }
    }
}

impl GateReasonDocument {
    pub(super) fn new(reason: &Reason, by: &MemberId, language: Language) -> Self {
        let refusal = reason.to_refusal(by);
        let told = |text: &sta_protocol::gate::Text| match language {
            Language::En => text.en.clone(),
            Language::Fr => text.fr.clone(),
            Language::De => text.de.clone(),
        };
        // A reason of the fixed list has its texts in the catalogue.
        let or = |text: String, catalogue: String| if text.is_empty() { catalogue } else { text };
        let unproven = |lack: &Unproven| {
            let wants: Vec<&str> = lack.wants.iter().map(|kind| kind.as_str()).collect();
            format!("{}: {}, wants {}", lack.fact, lack.has.as_str(), wants.join(" or "))
        };
        Self {
            rule: reason.rule.clone(),
            layer: reason.layer.as_str().to_owned(),
            source: reason.source.clone(),
            effects: reason.effects.iter().map(ToString::to_string).collect(),
            facts: reason.facts.clone(),
            unproven: reason.unproven.iter().map(unproven).collect(),
            sentence: or(told(&reason.text), text::sentence(language, &refusal)),
            advice: or(told(&reason.advice), text::advice(language, &refusal)),
            warns_because: None,
        }
    }

    pub(super) fn warning(warning: &Warning, by: &MemberId, language: Language) -> Self {
        let because = match &warning.because {
            Because::NotYet(day) => format!("from {day}"),
            Because::Over(day) => format!("until {day}"),
            Because::Class(class) => format!("class not in force: {class}"),
            Because::Exempt(class) => format!("exempt: {class}"),
            Because::Advice => "advice".to_owned(),
        };
        Self { warns_because: Some(because), ..Self::new(&warning.reason, by, language) }
    }
}

/// Decisions, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GateList {
    /// The decisions; at most 100.
    pub decisions: Vec<GateDocument>,
}

/// What became of a decided event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeRequest {
    /// `harm` or `no-harm`.
    pub label: String,
    /// How that is known: an incident, a review, an evaluation.
    pub source: String,
    /// The part of harms that this source reports, above 0 and at most 1; 1 where it reports every harm.
    pub reporting_rate: f64,
}

/// What the gate's guard has learnt of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OutcomeDocument {
    /// Of which decision.
    #[schema(value_type = String)]
    pub decision: DecisionId,
    /// At which gate.
    pub gate: String,
    /// From how many outcomes its guard has learnt.
    pub updates: u64,
    /// SHA-256 of what it has learnt.
    #[schema(value_type = String)]
    pub posterior: Sha256Digest,
}

impl From<OutcomeRecord> for OutcomeDocument {
    fn from(record: OutcomeRecord) -> Self {
        Self {
            decision: record.decision,
            gate: record.gate,
            updates: record.updates,
            posterior: record.posterior,
        }
    }
}

/// A model to register: its record, which this member signs, or a record that its own member has signed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewModelDocument {
    /// The record of a model of this member (docs/protocol.md §14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub record: Option<serde_json::Value>,
    /// A signed record, `sta-model+jws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
}

/// A model's record.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelDocument {
    /// SHA-256 of the signed record.
    #[schema(value_type = String)]
    pub sha256: Sha256Digest,
    /// The record.
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
    /// The same, signed by the member that answers for the model.
    pub signed: String,
}

/// An evaluation that this node has taken.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EvaluationDocument {
    /// SHA-256 of the attestation.
    #[schema(value_type = String)]
    pub sha256: Sha256Digest,
    /// `PASSED`, `WARNED` or `FAILED`; only the first counts at a gate.
    pub result: String,
    /// SHA-256 of the weights that it is about.
    #[schema(value_type = Vec<String>)]
    pub weights: Vec<Sha256Digest>,
    /// Which hazards the suite looks for.
    pub covers: Vec<String>,
    /// When the evaluation was over.
    #[schema(value_type = String, format = DateTime)]
    pub completed_at: Timestamp,
    /// The keys that signed.
    pub signed_by: Vec<String>,
}
