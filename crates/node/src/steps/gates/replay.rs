// SPDX-License-Identifier: Apache-2.0
//! Replay: from the records in their order to the same answers, bounds and posteriors, bit for bit, with nothing but the packs.

use std::collections::{BTreeMap, btree_map::Entry};

use jiff::{Timestamp, tz::TimeZone};
use sta_decide::{
    authorize::{Action, FactSheet, Rules, SHIPPED_PACKS, SHIPPED_SCHEMA},
    gate::{self, Layers},
};
use sta_protocol::digest::Sha256Digest;

use super::{
    facts::sheet_of,
    guards::{Learnt, joined},
    record::{DecisionRecord, GuardRecord, GuardTerms, OutcomeRecord, RECORD_VERSION},
};

/// Why a record is not what follows from the records before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Differs {
    /// A pack is not at hand, so nothing can be said.
    #[error(
        "the rule pack `{0}` with SHA-256 {1} is not at hand: name a directory that has it with --policies"
    )]
    NoPack(String, Sha256Digest),
    /// The record does not read.
    #[error("the record does not read: {0}")]
    Unreadable(String),
    /// A part of it is another than what was found.
    #[error("its {part} is {said}, and what it rests on makes {found}")]
    Other {
        /// Which part.
        part: &'static str,
        /// What the record says.
        said: String,
        /// What was found.
        found: String,
    },
}

/// What the records so far have come to.
#[derive(Default)]
pub struct Replay {
    /// Packs by digest, beside the shipped ones.
    packs: BTreeMap<Sha256Digest, String>,
    rules: BTreeMap<Sha256Digest, Rules>,
    guards: BTreeMap<String, Learnt>,
    outcomes: BTreeMap<String, Vec<OutcomeRecord>>,
    budgets: BTreeMap<(String, String), (Timestamp, f64)>,
    features: BTreeMap<String, u32>,
}

impl Replay {
    /// A replay from the beginning of a log, with these packs beside the shipped ones.
    #[must_use]
    pub fn new(packs: impl IntoIterator<Item = String>) -> Self {
        let packs = packs.into_iter().map(|text| (Sha256Digest::of(text.as_bytes()), text)).collect();
        Self { packs, ..Self::default() }
    }

    /// Comes to a decision again.
    ///
    /// # Errors
    /// [`Differs`].
    pub fn decided(&mut self, record: &DecisionRecord) -> Result<(), Differs> {
        let unreadable = |problem: String| Differs::Unreadable(problem);
        if record.version != RECORD_VERSION {
            return Err(unreadable(format!("it is of version {}", record.version)));
        }
        let action = Action::from_name(&record.gate)
            .ok_or_else(|| unreadable(format!("`{}` is no gate", record.gate)))?;
        // Rules have days: who could choose the day could choose which of them bind.
        same("day", &record.today, &record.at.to_zoned(TimeZone::UTC).date())?;
        let sheet = sheet_of(&record.facts).map_err(|error| unreadable(error.to_string()))?;
        self.load(&record.packs, record.rules)?;
        for layer in &record.layers {
            self.load(&layer.packs, layer.rules)?;
        }
        let mut answer = gate::evaluate(&self.layers(record)?, action, &sheet, record.today);
        if let Some(said) = &record.guardrail {
            let mut found = self.assess(record, said, &sheet)?;
            answer = joined(answer, &mut found);
            same("bound on harm", said, &found)?;
            let budget = (record.gate.clone(), record.tenant.clone());
            self.budgets.insert(budget, (found.window_begins, found.used.0 + found.spent.0));
            self.features.insert(record.decision.to_string(), found.features);
        }
        same("verdict", &record.answer.verdict().as_str(), &answer.verdict().as_str())?;
        same("answer", &record.answer, &answer)
    }

    /// Learns an outcome again.
    ///
    /// # Errors
    /// [`Differs`].
    pub fn outcome(&mut self, record: &OutcomeRecord) -> Result<(), Differs> {
        if let Some(features) = self.features.get(&record.decision.to_string()) {
            same("features", &record.features, features)?;
        }
        let guard = self.guard(&record.gate, record.terms)?;
        guard.learn(record).map_err(Differs::Unreadable)?;
        same("number of updates", &record.updates, &guard.updates())?;
        same("posterior", &record.posterior, &guard.state())?;
        self.outcomes.entry(record.gate.clone()).or_default().push(record.clone());
        Ok(())
    }

    /// What the guard says with what it has learnt so far.
    fn assess(
        &mut self,
        record: &DecisionRecord,
        said: &GuardRecord,
        sheet: &FactSheet,
    ) -> Result<GuardRecord, Differs> {
        let budget = (record.gate.clone(), record.tenant.clone());
        let spent = self.budgets.get(&budget).copied();
        let guard = self.guard(&record.gate, said.terms)?;
        let fresh = guard.assess(sheet, record.at, 0.0).map_err(Differs::Unreadable)?;
        let used = spent.filter(|(window, _)| *window == fresh.window_begins).map_or(0.0, |(_, used)| used);
        guard.assess(sheet, record.at, used).map_err(Differs::Unreadable)
    }

    /// The guard of a gate under these settings, with what it has learnt so far: under others than before it learns anew.
    fn guard(&mut self, gate: &str, terms: GuardTerms) -> Result<&mut Learnt, Differs> {
        let outcomes = self.outcomes.get(gate).into_iter().flatten();
        let anew = || {
            let mut guard =
                Learnt::new(gate, terms).map_err(|error| Differs::Unreadable(error.to_string()))?;
            for outcome in outcomes {
                guard.learn(outcome).map_err(Differs::Unreadable)?;
            }
            Ok(guard)
        };
        match self.guards.entry(gate.to_owned()) {
            Entry::Occupied(held) if held.get().terms() == terms => Ok(held.into_mut()),
            Entry::Occupied(mut held) => {
                held.insert(anew()?);
                Ok(held.into_mut())
            }
            Entry::Vacant(place) => Ok(place.insert(anew()?)),
        }
    }

    /// The layers of rules that a record names, all of them loaded.
    fn layers(&self, record: &DecisionRecord) -> Result<Layers<'_>, Differs> {
        let loaded = |rules: &Sha256Digest| {
            self.rules.get(rules).ok_or_else(|| Differs::Unreadable("no rules".to_owned()))
        };
        let mut layers = Layers::treaty(loaded(&record.rules)?);
        for own in &record.layers {
            layers = layers.and(own.layer, loaded(&own.rules)?);
        }
        Ok(layers)
    }

    /// Loads the packs that a record names, once for each set of them.
    fn load(&mut self, packs: &BTreeMap<String, Sha256Digest>, digest: Sha256Digest) -> Result<(), Differs> {
        if self.rules.contains_key(&digest) {
            return Ok(());
        }
        let mut texts = Vec::new();
        for (name, digest) in packs {
            let shipped = SHIPPED_PACKS.iter().map(|(_, text)| *text);
            let own = self.packs.get(digest).map(String::as_str);
            let found =
                own.into_iter().chain(shipped).find(|text| Sha256Digest::of(text.as_bytes()) == *digest);
            texts.push((name.as_str(), found.ok_or_else(|| Differs::NoPack(name.clone(), *digest))?));
        }
        let rules =
            Rules::load(&texts, SHIPPED_SCHEMA).map_err(|error| Differs::Unreadable(error.to_string()))?;
        same("digest of all rules", &digest, &rules.digest())?;
        self.rules.insert(digest, rules);
        Ok(())
    }
}

/// Both parts, if they are the same; what differs is told by the first field that does.
fn same<T: PartialEq + serde::Serialize>(part: &'static str, said: &T, found: &T) -> Result<(), Differs> {
    if said == found {
        return Ok(());
    }
    let text = |value: &T| serde_json::to_value(value).unwrap_or_default();
    let (said, found) = (text(said), text(found));
    let differing = said.as_object().zip(found.as_object()).and_then(|(said, found)| {
        let field = said.iter().find(|(name, value)| found.get(*name) != Some(value))?;
        Some((format!("{}: {}", field.0, field.1), format!("{}: {}", field.0, found.get(field.0)?)))
    });
    let (said, found) = differing.unwrap_or_else(|| (said.to_string(), found.to_string()));
    Err(Differs::Other { part, said, found })
}
