// SPDX-License-Identifier: Apache-2.0
//! The audit records of the gates: all that a third party needs to come to the same decision again, bit for bit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use sta_decide::authorize::Rules;
use sta_protocol::{
    digest::Sha256Digest,
    gate::{Answer, Layer, Provenance},
    ids::DecisionId,
};

/// The version of these records.
pub const RECORD_VERSION: u8 = 1;

/// A number whose bits matter. It is written as the shortest text that reads back as the same bits, because canonical JSON
/// and its readers do not all keep them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exact(pub f64);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl From<Exact> for String {
    fn from(number: Exact) -> Self {
        number.to_string()
    }
}

impl TryFrom<String> for Exact {
    type Error = std::num::ParseFloatError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        f64::from_str(&text).map(Self)
    }
}

/// One fact as it was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFact {
    /// The fact: yes or no, a whole number, a word, or a sorted list of words.
    pub value: serde_json::Value,
    /// Who vouches for it.
    pub vouched: Provenance,
}

/// One decision of a gate. It goes into the audit log as `gate.decided`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRecord {
    /// Version of the record, 1.
    pub version: u8,
    /// The decision.
    pub decision: DecisionId,
    /// When.
    pub at: Timestamp,
    /// The day on which the rules were asked.
    pub today: Date,
    /// Which question, such as `export-weights`.
    pub gate: String,
    /// What it was about: ids and digests, never a person.
    pub subject: BTreeMap<String, String>,
    /// Whose harm budget it counts against.
    pub tenant: String,
    /// Every fact that the rules and the bound could read.
    pub facts: BTreeMap<String, KnownFact>,
    /// Of these facts, those that nobody stated: they stand at the value that counts most against the request.
    pub assumed: BTreeSet<String>,
    /// The rule packs by name and SHA-256.
    pub packs: BTreeMap<String, Sha256Digest>,
    /// The digest of all rules together.
    pub rules: Sha256Digest,
    /// The packs over those of the treaty: the member's own, then those of the site's operator; none where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerRecord>,
    /// What was answered: verdict, reasons with the facts that they quote, obligations, warnings.
    pub answer: Answer,
    /// What the bound on harm said; none at a gate that has none.
    pub guardrail: Option<GuardRecord>,
    /// Digests of the attestations and records that facts come from.
    pub evidence: BTreeSet<Sha256Digest>,
    /// Which software decided.
    pub software: String,
}

/// The packs of one layer over the treaty's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRecord {
    /// Whose.
    pub layer: Layer,
    /// The rule packs by name and SHA-256.
    pub packs: BTreeMap<String, Sha256Digest>,
    /// The digest of all rules of the layer together.
    pub rules: Sha256Digest,
}

impl LayerRecord {
    /// A layer as it is recorded.
    #[must_use]
    pub fn of((layer, rules): (Layer, &Rules)) -> Self {
        Self { layer, packs: rules.packs().iter().cloned().collect(), rules: rules.digest() }
    }
}

/// The settings under which a guard bounds harm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardTerms {
    /// C: the largest bound that is let pass.
    pub threshold: Exact,
    /// With what probability the bound may fail, over all times and requests together.
    pub delta: Exact,
    /// B: how much expected harm one project may use up in a window.
    pub budget: Exact,
    /// How long a window is, in hours; windows begin at 1970-01-01T00:00:00Z.
    pub window_hours: u32,
}

/// What the bound on harm said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardRecord {
    /// Under which settings.
    pub terms: GuardTerms,
    /// The names of the factors, in the order of the bits.
    pub factors: Vec<String>,
    /// x: which of them hold, as bits.
    pub features: u32,
    /// SHA-256 of the theories and their prior.
    pub theories: Sha256Digest,
    /// SHA-256 of what the guard has learnt.
    pub posterior: Sha256Digest,
    /// From how many labelled outcomes.
    pub updates: u64,
    /// How many theories are left.
    pub live: u64,
    /// b(x): the bound; none where no theory is left.
    pub bound: Option<Exact>,
    /// The number of the theory that sets the bound.
    pub theory: Option<u64>,
    /// That theory as a sentence.
    pub because: Option<String>,
    /// When the budget's window began.
    pub window_begins: Timestamp,
    /// What of the budget was used before.
    pub used: Exact,
    /// What this decision used of it: the bound where the request may go ahead, else nothing.
    pub spent: Exact,
    /// The alarm's e-value.
    pub e_value: Exact,
    /// Why it holds the request, if it does: `over-threshold`, `over-budget`, `no-theory-left`, `bounds-refuted`.
    pub holds: Option<String>,
}

/// What became of a decided event. It goes into the audit log as `gate.outcome`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeRecord {
    /// Version of the record, 1.
    pub version: u8,
    /// Of which decision.
    pub decision: DecisionId,
    /// At which gate.
    pub gate: String,
    /// The settings under which the guard learns from it; those of the decision may have been others.
    pub terms: GuardTerms,
    /// Which factors held, as bits.
    pub features: u32,
    /// Whether harm was reported.
    pub harm: bool,
    /// Whose word it is, in words: an incident, a review, an evaluation.
    pub source: String,
    /// The part of harms that this source reports.
    pub reporting_rate: Exact,
    /// How many outcomes the guard has learnt from with this one.
    pub updates: u64,
    /// SHA-256 of what the guard has learnt with it.
    pub posterior: Sha256Digest,
    /// When it was reported.
    pub at: Timestamp,
}
