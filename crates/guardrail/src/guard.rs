// SPDX-License-Identifier: Apache-2.0
//! The guard: theories, posterior, running set and alarm together, from evidence to a verdict that can only tighten.

use alloc::vec::Vec;

use crate::{
    alarm::Alarm,
    budget::HarmBudget,
    evidence::{Evidence, Label},
    features::Features,
    live::Live,
    posterior::Posterior,
    ratio_set::RatioSet,
    settings::Settings,
    sum::larger,
    theories::Theories,
    theory::Theory,
    tightening::{HoldReason, Tightening},
};

/// One verdict of a guard, with all that the record of it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assessment {
    /// What the guard adds to the rules' verdict.
    pub tightening: Tightening,
    /// What was asked about.
    pub features: Features,
    /// The bound b(x) on the probability of harm; `None` where no theory is left.
    pub bound: Option<f64>,
    /// The threshold C and delta.
    pub settings: Settings,
    /// The budget before the request.
    pub budget: HarmBudget,
    /// How many pieces of evidence the guard has learnt from.
    pub updates: u64,
    /// How many theories are left.
    pub live: usize,
    /// The alarm's e-value.
    pub e_value: f64,
}

/// Why the bound is what it is: the theory that sets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason<'a> {
    /// Its index in the canonical order of the theories.
    pub index: usize,
    /// The theory.
    pub theory: &'a Theory,
    /// Its posterior.
    pub probability: f64,
}

/// A guardrail. Pure and deterministic: the same theories, settings and evidence in the same order give the
/// same bits.
#[derive(Debug, Clone)]
pub struct Guard {
    theories: Theories,
    settings: Settings,
    posterior: Posterior,
    set: RatioSet,
    alarm: Alarm,
    /// What the theories that are left say together.
    live: Live,
}

impl Guard {
    /// A guard that has seen no evidence.
    #[must_use]
    pub fn new(theories: Theories, settings: Settings) -> Self {
        let posterior = theories.start().clone();
        let set = RatioSet::of_valid(&posterior, settings.delta());
        let live = Live::of(theories.columns());
        Self { theories, settings, posterior, set, alarm: Alarm::default(), live }
    }

    /// What the guard says to a request, against the budget of its tenant and window. Changes nothing: what
    /// goes ahead is to be
    /// [spent](HarmBudget::spend) from the budget, and what happened then to be [learnt](Guard::learn).
    ///
    /// It fails closed: where the alarm was raised or no theory is left, everything is held.
    pub fn assess(&self, x: Features, budget: &HarmBudget) -> Assessment {
        let bound = self.bound(x);
        let tightening = match bound {
            _ if self.alarm.is_raised() => Tightening::Hold(HoldReason::BoundsRefuted),
            None => Tightening::Hold(HoldReason::NoTheoryLeft),
            Some(bound) if bound > self.settings.threshold() => Tightening::Hold(HoldReason::OverThreshold),
            Some(bound) if !budget.covers(bound) => Tightening::Hold(HoldReason::OverBudget),
            Some(_) => Tightening::Unchanged,
        };
        Assessment {
            tightening,
            features: x,
            bound,
            settings: self.settings,
            budget: *budget,
            updates: self.posterior.updates(),
            live: self.set.count(),
            e_value: self.alarm.e_value(),
        }
    }

    /// Takes in one piece of evidence. Events that were held and then reviewed count as much as accepted ones.
    ///
    /// The alarm looks at those whose bound, before this label, is at most the threshold: what the guard
    /// would let pass.
    pub fn learn(&mut self, evidence: &Evidence) {
        if let Some(bound) = self.bound(evidence.features).filter(|bound| *bound <= self.settings.threshold())
        {
            self.alarm.observe(bound, evidence.label == Label::Harm);
        }
        let (x, columns) = (evidence.features, self.theories.columns());
        if columns.further_holding(x).next().is_none() {
            self.posterior.learn(columns.first_harms(x), |harm| evidence.likelihood(harm));
        } else {
            self.posterior.learn(columns.harms(x).into_iter(), |harm| evidence.likelihood(harm));
        }
        let live = &mut self.live;
        self.set.narrow_telling(&self.posterior, |index| live.leave(index));
    }

    /// The bound b(x): the most harm by a theory that is left, as [`RatioSet::bound`]. Never rises for the
    /// same x. `None` where no theory is left.
    #[must_use]
    pub fn bound(&self, x: Features) -> Option<f64> {
        if self.set.is_empty() {
            return None;
        }
        let further = self.theories.columns().further_holding(x);
        let left = further.filter(|(index, _)| self.set.contains(*index));
        Some(left.fold(self.live.most_harm(x), |bound, (_, clause)| larger(bound, clause.harm)))
    }

    /// The theory that sets the bound at x; of several the one with the largest posterior, then the simplest.
    #[must_use]
    pub fn reason(&self, x: Features) -> Option<Reason<'_>> {
        let bound = self.bound(x)?;
        let mut found: Option<Reason<'_>> = None;
        for index in self.set.live() {
            let (theory, probability) = (&self.theories.all()[index], self.posterior.probabilities()[index]);
            if theory.harm(x) == bound && found.is_none_or(|best| probability > best.probability) {
                found = Some(Reason { index, theory, probability });
            }
        }
        found
    }

    /// The theories, in canonical order.
    #[must_use]
    pub fn theories(&self) -> &Theories {
        &self.theories
    }

    /// The posterior, in the order of the theories.
    #[must_use]
    pub fn posterior(&self) -> &Posterior {
        &self.posterior
    }

    /// The theories that are left.
    #[must_use]
    pub fn set(&self) -> &RatioSet {
        &self.set
    }

    /// The alarm.
    #[must_use]
    pub fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Threshold and delta.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// All that evidence has changed, as canonical bytes to take a digest of. Two guards with the same
    /// theories and the same bytes say the same for ever after. All numbers little-endian, `f64` by their
    /// bits: a line of text that names the form; threshold, delta; number of updates; for each theory its
    /// posterior; number of theories left and the `u32` index of each; the alarm's number of events, e-value,
    /// capital of each stake, and one byte for whether it was raised.
    #[must_use]
    pub fn state_bytes(&self) -> Vec<u8> {
        let mut bytes = b"sta-guardrail state 1\n".to_vec();
        let put = |bytes: &mut Vec<u8>, number: u64| bytes.extend_from_slice(&number.to_le_bytes());
        put(&mut bytes, self.settings.threshold().to_bits());
        put(&mut bytes, self.settings.delta().to_bits());
        put(&mut bytes, self.posterior.updates());
        for probability in self.posterior.probabilities() {
            put(&mut bytes, probability.to_bits());
        }
        put(&mut bytes, self.set.count() as u64);
        for index in self.set.live() {
            bytes.extend_from_slice(&(index as u32).to_le_bytes());
        }
        put(&mut bytes, self.alarm.events());
        put(&mut bytes, self.alarm.e_value().to_bits());
        for capital in self.alarm.capital() {
            put(&mut bytes, capital.to_bits());
        }
        bytes.push(u8::from(self.alarm.is_raised()));
        bytes
    }
}
