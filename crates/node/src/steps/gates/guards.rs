// SPDX-License-Identifier: Apache-2.0
//! The bound on harm at the gates that have one: factors, guards in memory held against the store, budgets, tightening.
//!
//! A guard lives in memory and learns only from outcomes in the store. Before each use it is held against what the store
//! says it has learnt; where the two differ (a start, a transaction that did not commit, other settings) it learns anew.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use rusqlite::Connection;
use sta_decide::authorize::{Action, Fact, FactSheet};
use sta_guardrail::{
    budget::HarmBudget,
    evidence::{Evidence, Label, Source},
    features::{Factors, Features},
    guard::Guard,
    settings::Settings,
    theories::Theories,
    tightening::Tightening,
};
use sta_protocol::{
    digest::Sha256Digest,
    gate::{Answer, Provenance, Releaser, Text, Tightening as Stricter, Verdict},
    refusal::RefusalCode,
};

use super::record::{Exact, GuardRecord, GuardTerms, OutcomeRecord};
use crate::store::{StoreError, gates as table};

/// Factors of what leaves or serves: what the rules read, as far as a count of harms can depend on it.
const OF_WEIGHTS: [&str; 5] = [
    "no-current-evaluation",
    "compute-above-10^23",
    "compute-above-10^25",
    "shows-persons",
    "leaves-research",
];
/// Factors of a request to a model.
const OF_REQUESTS: [&str; 5] = [
    "not-served-under-gate",
    "caller-not-allowed",
    "sensitive-purpose",
    "shows-persons",
    "decides-on-persons",
];
/// Factors of a tool call.
const OF_TOOLS: [&str; 5] =
    ["not-listed", "untrusted-input-read", "secret-read", "sends-outside", "irreversible"];

/// The names of the factors of a gate; none where harm is not bounded: nobody labels what the law alone decides.
#[must_use]
pub fn factors_of(gate: &str) -> Option<&'static [&'static str]> {
    match Action::from_name(gate)? {
        Action::ExportWeights | Action::Serve => Some(&OF_WEIGHTS),
        Action::Infer => Some(&OF_REQUESTS),
        Action::CallTool => Some(&OF_TOOLS),
        Action::Run
        | Action::Process
        | Action::Export
        | Action::Release
        | Action::Classify
        | Action::ClassifyTransfer
        | Action::Screen
        | Action::MoveData
        | Action::Train
        | Action::Incident
        | Action::Stop => None,
    }
}

/// The facts that a factor is read from.
#[must_use]
pub fn facts_of(factor: &str) -> &'static [&'static str] {
    match factor {
        "no-current-evaluation" => &["model.evaluation_current"],
        "compute-above-10^23" | "compute-above-10^25" => &["model.teraflop"],
        "shows-persons" => &["model.depicts_persons"],
        "leaves-research" => &["intent.leaves_research", "intent.place_on_market"],
        "not-served-under-gate" => &["request.served_under_gate"],
        "caller-not-allowed" => &["request.caller_allowed"],
        "sensitive-purpose" => &["intent.purpose"],
        "decides-on-persons" => &["serve.decides_on_persons"],
        "not-listed" => &["tool.listed"],
        "untrusted-input-read" => &["tool.untrusted_input"],
        "secret-read" => &["tool.secret_read"],
        "sends-outside" => &["tool.external_send"],
        "irreversible" => &["tool.irreversible"],
        _ => &[],
    }
}

/// Whether a factor holds; none where a fact is missing, which counts as if it held.
fn factor(sheet: &FactSheet, name: &str) -> Option<bool> {
    let flag = |path: &str| match sheet.get(path)? {
        Fact::Flag(flag) => Some(*flag),
        Fact::Number(_) | Fact::Text(_) | Fact::Words(_) => None,
    };
    let above = |threshold: i64| match sheet.get("model.teraflop")? {
        Fact::Number(teraflop) => Some(*teraflop > threshold),
        Fact::Flag(_) | Fact::Text(_) | Fact::Words(_) => None,
    };
    match name {
        "no-current-evaluation" => flag("model.evaluation_current")
            .map(|current| !current || sheet.provenance("model.evaluation_current") != Provenance::Attested),
        "compute-above-10^23" => above(100_000_000_000),
        "compute-above-10^25" => above(10_000_000_000_000),
        "leaves-research" => Some(flag("intent.leaves_research")? || flag("intent.place_on_market")?),
        "sensitive-purpose" => match sheet.get("intent.purpose")? {
            Fact::Text(word) => Some(
                !["research", "health-research", "public-service", "commercial"].contains(&word.as_str()),
            ),
            Fact::Flag(_) | Fact::Number(_) | Fact::Words(_) => None,
        },
        // Those that say what must be there hold where it is not.
        "not-served-under-gate" | "caller-not-allowed" | "not-listed" => {
            flag(facts_of(name)[0]).map(|is| !is)
        }
        _ => flag(facts_of(name).first()?),
    }
}

/// A guard and the digest of what it has learnt.
pub struct Learnt {
    terms: GuardTerms,
    guard: Guard,
    factors: Factors,
    theories: Sha256Digest,
    state: Sha256Digest,
}

/// What does not make a guard.
#[derive(Debug, thiserror::Error)]
#[error("the guardrail's settings do not hold: {0}")]
pub struct WrongTerms(String);

impl Learnt {
    /// A guard of a gate that has learnt nothing.
    ///
    /// # Errors
    /// The settings are out of range.
    pub fn new(gate: &str, terms: GuardTerms) -> Result<Self, WrongTerms> {
        let wrong = |error: &dyn std::fmt::Display| WrongTerms(format!("{gate}: {error}"));
        let names = factors_of(gate).ok_or_else(|| {
            wrong(&"no harm is bounded there: export-weights, serve, infer and call-tool have a bound")
        })?;
        let factors = Factors::new(names).map_err(|error| wrong(&error))?;
        let theories = Theories::conjunctions(factors.count()).map_err(|error| wrong(&error))?;
        let settings = Settings::new(terms.threshold.0, terms.delta.0).map_err(|error| wrong(&error))?;
        HarmBudget::new(terms.budget.0).map_err(|error| wrong(&error))?;
        if terms.window_hours == 0 {
            return Err(wrong(&"window_hours is 0: use at least 1"));
        }
        let of_theories = Sha256Digest::of(&theories.bytes());
        let guard = Guard::new(theories, settings);
        let state = Sha256Digest::of(&guard.state_bytes());
        Ok(Self { terms, guard, factors, theories: of_theories, state })
    }

    /// What it has learnt, as a digest.
    #[must_use]
    pub fn state(&self) -> Sha256Digest {
        self.state
    }

    /// How many outcomes it has learnt from.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.guard.posterior().updates()
    }

    /// The settings.
    #[must_use]
    pub fn terms(&self) -> GuardTerms {
        self.terms
    }

    /// Learns from an outcome.
    ///
    /// # Errors
    /// The record's features or reporting rate are none.
    pub fn learn(&mut self, outcome: &OutcomeRecord) -> Result<(), String> {
        let features = Features::from_bits(outcome.features).ok_or("has bits that are no factors")?;
        let source = Source::reporting(outcome.reporting_rate.0).map_err(|error| error.to_string())?;
        let label = if outcome.harm { Label::Harm } else { Label::NoHarm };
        self.guard.learn(&Evidence { features, label, source });
        self.state = Sha256Digest::of(&self.guard.state_bytes());
        Ok(())
    }

    /// What it says to these facts, with so much of the window's budget used. Nothing is spent yet.
    ///
    /// # Errors
    /// The budget that was used is no amount.
    pub fn assess(&self, sheet: &FactSheet, at: Timestamp, used: f64) -> Result<GuardRecord, String> {
        let x = self.factors.for_decision(|name| factor(sheet, name));
        let budget = HarmBudget::with_used(self.terms.budget.0, used).map_err(|error| error.to_string())?;
        let assessment = self.guard.assess(x, &budget);
        let reason = self.guard.reason(x);
        Ok(GuardRecord {
            terms: self.terms,
            factors: factors_names(&self.factors),
            features: x.bits(),
            theories: self.theories,
            posterior: self.state,
            updates: assessment.updates,
            live: assessment.live as u64,
            bound: assessment.bound.map(Exact),
            theory: reason.as_ref().map(|reason| reason.index as u64),
            because: reason.map(|reason| reason.theory.describe(&self.factors)),
            window_begins: window_of(at, self.terms.window_hours),
            used: Exact(used),
            spent: Exact(0.0),
            e_value: Exact(assessment.e_value),
            holds: match assessment.tightening {
                Tightening::Unchanged => None,
                Tightening::Hold(reason) => Some(reason.code().to_owned()),
            },
        })
    }
}

fn factors_names(factors: &Factors) -> Vec<String> {
    (0..factors.count()).filter_map(|number| factors.name(number)).map(str::to_owned).collect()
}

/// When the budget's window began that a moment lies in.
fn window_of(at: Timestamp, hours: u32) -> Timestamp {
    let length = i64::from(hours) * 3600;
    let begins = at.as_second().div_euclid(length) * length;
    Timestamp::from_second(begins).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The rules' answer with what the bound adds, and what the request uses of the budget where it may go ahead.
#[must_use]
pub fn joined(answer: Answer, guard: &mut GuardRecord) -> Answer {
    let answer = match &guard.holds {
        None => answer,
        Some(code) => {
            let shown =
                |number: Option<Exact>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
            let mut facts = BTreeMap::from([
                ("guardrail.reason".to_owned(), code.clone()),
                ("guardrail.bound".to_owned(), shown(guard.bound)),
                ("guardrail.threshold".to_owned(), guard.terms.threshold.to_string()),
                ("guardrail.used".to_owned(), guard.used.to_string()),
                ("guardrail.budget".to_owned(), guard.terms.budget.to_string()),
            ]);
            facts.extend(guard.because.iter().map(|theory| ("guardrail.theory".to_owned(), theory.clone())));
            let code = RefusalCode::HarmBound;
            let (rule, source) = (code.as_str(), code.source());
            // Its texts are in the catalogue, under the code.
            let by = Stricter::Hold(Releaser::Safety);
            answer.tightened(by, rule, source, facts, Text::default(), Text::default())
        }
    };
    if answer.verdict() <= Verdict::AllowWith {
        guard.spent = guard.bound.unwrap_or(Exact(0.0));
    }
    answer
}

/// The guards of a node.
pub struct Guards {
    terms: BTreeMap<String, GuardTerms>,
    learnt: Mutex<BTreeMap<String, Learnt>>,
}

impl Guards {
    /// The guards under these settings, by gate.
    ///
    /// # Errors
    /// A setting is out of range.
    pub fn new(terms: BTreeMap<String, GuardTerms>) -> Result<Self, WrongTerms> {
        let mut learnt = BTreeMap::new();
        for (gate, terms) in &terms {
            learnt.insert(gate.clone(), Learnt::new(gate, *terms)?);
        }
        Ok(Self { terms, learnt: Mutex::new(learnt) })
    }

    /// Uses the guard of a gate as the store has it; none at a gate that has none.
    pub(super) fn with<T>(
        &self,
        connection: &Connection,
        gate: &str,
        then: impl FnOnce(&mut Learnt) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let Some(terms) = self.terms.get(gate) else { return Ok(None) };
        let mut all = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        let held = all.get_mut(gate).ok_or_else(|| damaged("no guard was made".to_owned()))?;
        let kept = table::guard(connection, gate)?;
        let settings = settings_text(terms);
        let is_same = match &kept {
            None => held.updates() == 0,
            // What is kept under other settings says no more than how much was learnt; the next outcome is kept under these.
            Some((under, updates, state)) => {
                *updates == held.updates() && (*under != settings || Sha256Digest::of(state) == held.state)
            }
        };
        if !is_same {
            let outcomes = table::outcomes(connection, gate)?;
            *held = anew(gate, *terms, &outcomes)?;
            if let Some((under, _, state)) = kept.filter(|(under, _, _)| *under == settings) {
                let found = Sha256Digest::of(&state);
                if found != held.state {
                    let problem = format!(
                        "{gate} under {under} was kept as {found}, and its outcomes make {}",
                        held.state
                    );
                    return Err(damaged(problem));
                }
            }
        }
        then(held).map(Some)
    }

    /// What is kept of a guard beside its outcomes.
    pub(super) fn state_of(held: &Learnt) -> (String, u64, Vec<u8>) {
        (settings_text(&held.terms), held.updates(), held.guard.state_bytes())
    }
}

fn anew(gate: &str, terms: GuardTerms, outcomes: &[String]) -> Result<Learnt, StoreError> {
    let mut held = Learnt::new(gate, terms).map_err(|error| damaged(error.to_string()))?;
    for text in outcomes {
        let outcome: OutcomeRecord =
            serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        held.learn(&outcome).map_err(damaged)?;
    }
    Ok(held)
}

fn settings_text(terms: &GuardTerms) -> String {
    // Budget and window change no posterior.
    format!("threshold {} delta {}", terms.threshold, terms.delta)
}

fn damaged(problem: String) -> StoreError {
    StoreError::Damaged { what: "guard", problem }
}
