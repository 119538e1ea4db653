// SPDX-License-Identifier: Apache-2.0
//! Requests with twelve factors, in worlds that the theories describe and in worlds that they do not.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use sta_guardrail::{
    budget::HarmBudget,
    evidence::{Evidence, Label, Source},
    features::Features,
    guard::Guard,
    settings::Settings,
    theories::Theories,
    theory::{Clause, Theory},
    tightening::Tightening,
};

use super::for_each;

/// Factors of a request.
pub(crate) const FACTORS: usize = 12;
/// Requests of one life of a world.
pub(crate) const REQUESTS: usize = 20_000;
/// The request from which a world that changes is another.
pub(crate) const CHANGE_AT: usize = 10_000;
/// The first and the last requests, in which acceptance is looked at.
pub(crate) const WINDOW: usize = 2_000;
/// How often a factor holds.
const FACTOR_SHARE: f64 = 0.3;
/// How often a held request is reviewed, and so labelled.
const REVIEWED_SHARE: f64 = 0.1;
/// The probability of harm where nothing is dangerous.
const BACKGROUND: f64 = 1e-3;
/// How often a hidden factor holds, and the harm where it does.
const HIDDEN: (f64, f64) = (0.1, 0.6);

/// How harm comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    /// One conjunction of three factors: a theory of the family.
    Conjunction,
    /// No danger beyond the background.
    Quiet,
    /// Two conjunctions, which no theory of the family is.
    TwoConjunctions,
    /// Another conjunction from the middle on.
    Drift,
    /// From the middle on a factor that no feature shows.
    Hidden,
    /// The conjunction, with harms that go unreported.
    Unreported {
        /// How many harms in a hundred are reported.
        reported: u8,
        /// Whether the guard knows that.
        known: bool,
    },
}

impl World {
    /// Every world.
    pub(crate) const ALL: [Self; 9] = [
        Self::Conjunction,
        Self::Quiet,
        Self::TwoConjunctions,
        Self::Drift,
        Self::Hidden,
        Self::Unreported { reported: 60, known: false },
        Self::Unreported { reported: 60, known: true },
        Self::Unreported { reported: 20, known: false },
        Self::Unreported { reported: 20, known: true },
    ];

    /// The true theory of the factors at the request of this number.
    fn theory(self, number: usize) -> Theory {
        let three = clause(&[0, 1, 2], 0.2);
        let clauses = match self {
            Self::Quiet => vec![],
            Self::TwoConjunctions => vec![three, clause(&[3, 4], 0.1)],
            Self::Drift if number >= CHANGE_AT => vec![clause(&[3, 4], 0.2)],
            Self::Conjunction | Self::Drift | Self::Hidden | Self::Unreported { .. } => vec![three],
        };
        Theory::new(BACKGROUND, clauses).expect("a theory")
    }

    fn reported_share(self) -> f64 {
        if let Self::Unreported { reported, .. } = self { f64::from(reported) / 100.0 } else { 1.0 }
    }

    /// The source as the guard has it.
    fn source(self) -> Source {
        let known = matches!(self, Self::Unreported { known: true, .. });
        Source::reporting(if known { self.reported_share() } else { 1.0 }).expect("a rate")
    }
}

fn clause(factors: &[usize], harm: f64) -> Clause {
    let features = factors.iter().fold(Features::NONE, |set, factor| set.with(*factor).expect("a factor"));
    Clause { factors: features, harm }
}

/// A request drawn at random.
pub(crate) fn request(generator: &mut ChaCha8Rng) -> Features {
    let holding = (0..FACTORS).filter(|_| generator.random_bool(FACTOR_SHARE));
    holding.fold(Features::NONE, |set, factor| set.with(factor).expect("a factor"))
}

/// How one life of a world went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Life {
    /// Whether the true theory was in the set at all times; `false` where it is none of the theories.
    pub(crate) truth_stayed: bool,
    /// Of the harmless requests among the first and the last ones, the share that was accepted.
    pub(crate) benign_accepted: (f64, f64),
    /// Harms in a thousand accepted requests.
    pub(crate) harms_per_mille: f64,
    /// Harms in a thousand requests, had all been accepted.
    pub(crate) harms_per_mille_unguarded: f64,
    /// The request at which no theory was left.
    pub(crate) empty_at: Option<usize>,
    /// The request at which the alarm was raised.
    pub(crate) alarm_at: Option<usize>,
}

impl Life {
    /// The request from which on everything was held.
    pub(crate) fn closed_at(&self) -> Option<usize> {
        self.empty_at.into_iter().chain(self.alarm_at).min()
    }
}

/// A share of two counts.
#[derive(Default)]
struct Share(u32, u32);

impl Share {
    fn count(&mut self, hit: bool) {
        self.0 += u32::from(hit);
        self.1 += 1;
    }

    fn of(&self) -> f64 {
        f64::from(self.0) / f64::from(self.1.max(1))
    }
}

/// Lives through a world with a guard of this threshold and delta.
pub(crate) fn live(world: World, settings: Settings, generator: &mut ChaCha8Rng) -> Life {
    let mut guard = Guard::new(Theories::conjunctions(FACTORS).expect("the family"), settings);
    let budget = HarmBudget::new(1e9).expect("a budget that never binds");
    let truth = guard.theories().all().iter().position(|theory| *theory == world.theory(0));
    let mut life = Life { truth_stayed: truth.is_some(), ..Life::default() };
    let (mut first, mut last) = (Share::default(), Share::default());
    let (mut accepted, mut unguarded) = (Share::default(), Share::default());
    for number in 0..REQUESTS {
        let x = request(generator);
        let theory = world.theory(number);
        let hidden = world == World::Hidden && number >= CHANGE_AT && generator.random_bool(HIDDEN.0);
        let harmed = generator.random_bool(if hidden { HIDDEN.1 } else { theory.harm(x) });
        let passes = guard.assess(x, &budget).tightening == Tightening::Unchanged;
        unguarded.count(harmed);
        if passes {
            accepted.count(harmed);
        }
        if theory.harm(x) <= BACKGROUND {
            match number {
                0..WINDOW => first.count(passes),
                _ if number >= REQUESTS - WINDOW => last.count(passes),
                _ => {}
            }
        }
        if passes || generator.random_bool(REVIEWED_SHARE) {
            let reported = harmed && generator.random_bool(world.reported_share());
            let label = if reported { Label::Harm } else { Label::NoHarm };
            guard.learn(&Evidence { features: x, label, source: world.source() });
        }
        life.truth_stayed &= truth.is_some_and(|truth| guard.set().contains(truth));
        life.empty_at = life.empty_at.or_else(|| guard.set().is_empty().then_some(number));
        life.alarm_at = life.alarm_at.or_else(|| guard.alarm().is_raised().then_some(number));
    }
    life.benign_accepted = (first.of(), last.of());
    life.harms_per_mille = 1000.0 * accepted.of();
    life.harms_per_mille_unguarded = 1000.0 * unguarded.of();
    life
}

/// Many lives of a world.
pub(crate) struct Lives(pub(crate) Vec<Life>);

impl Lives {
    /// Lives through it so many times.
    pub(crate) fn of(world: World, settings: Settings, count: usize, seed: u64) -> Self {
        Self(for_each(count, seed, |generator| live(world, settings, generator)))
    }

    /// The mean over the lives.
    pub(crate) fn mean(&self, figure: impl Fn(&Life) -> f64) -> f64 {
        self.0.iter().map(figure).sum::<f64>() / self.0.len() as f64
    }

    /// The share of the lives.
    pub(crate) fn share(&self, holds: impl Fn(&Life) -> bool) -> f64 {
        self.mean(|life| f64::from(u8::from(holds(life))))
    }

    /// The median over the lives in which it happened at all.
    pub(crate) fn median(&self, when: impl Fn(&Life) -> Option<usize>) -> Option<usize> {
        let mut all: Vec<usize> = self.0.iter().filter_map(when).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    }
}
