// SPDX-License-Identifier: Apache-2.0
//! What a node's gates go by beside rules: how old an evaluation may be, whose evaluations count, how harm is bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sta_protocol::keys::PublicKey;

use crate::steps::gates::record::{Exact, GuardTerms};

/// `[gates]` in `sta.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatesConfig {
    /// How many days after its end an evaluation still counts.
    pub evaluation_days_max: u32,
    /// Public keys whose evaluations count, beside those of the treaty's members.
    pub evaluators: Vec<PublicKey>,
    /// How harm is bounded, by gate; a gate that is not named has the usual settings.
    pub guardrail: BTreeMap<String, GuardrailConfig>,
}

/// `[gates.guardrail.GATE]` in `sta.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardrailConfig {
    /// C: the largest bound on the probability of harm that is let pass.
    pub threshold: f64,
    /// With what probability the bound may fail.
    pub delta: f64,
    /// B: how much expected harm one project may use up in a window.
    pub budget: f64,
    /// How long a window is.
    pub window_hours: u32,
}

impl Default for GatesConfig {
    fn default() -> Self {
        Self { evaluation_days_max: 90, evaluators: Vec::new(), guardrail: BTreeMap::new() }
    }
}

impl GatesConfig {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// How harm is bounded at each gate that has a bound.
    #[must_use]
    pub fn guardrail_terms(&self) -> BTreeMap<String, GuardTerms> {
        let usual = usual().map(|(gate, terms)| (gate.to_owned(), terms));
        let said = self.guardrail.iter().map(|(gate, terms)| (gate.clone(), *terms));
        let exact = |(gate, terms): (String, GuardrailConfig)| {
            let GuardrailConfig { threshold, delta, budget, window_hours } = terms;
            let (threshold, delta, budget) = (Exact(threshold), Exact(delta), Exact(budget));
            (gate, GuardTerms { threshold, delta, budget, window_hours })
        };
        usual.into_iter().chain(said).map(exact).collect()
    }
}

/// The usual settings. C lets pass what no theory gives more than the highest background, 5 in 1000. What leaves the
/// site cannot be called back, so its bound may fail in one of a hundred worlds, elsewhere in one of twenty. B is ten such
/// exports, or a hundred such requests, a day and project.
fn usual() -> [(&'static str, GuardrailConfig); 4] {
    let terms = |delta, budget| GuardrailConfig { threshold: 0.01, delta, budget, window_hours: 24 };
    [
        ("export-weights", terms(0.01, 0.05)),
        ("serve", terms(0.01, 0.05)),
        ("infer", terms(0.05, 0.5)),
        ("call-tool", terms(0.05, 0.5)),
    ]
}
