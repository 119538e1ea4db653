// SPDX-License-Identifier: Apache-2.0
//! Properties that hold for any theories and any evidence.

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use sta_guardrail::{
    bound::{CautiousSet, iid, posterior_mean},
    budget::HarmBudget,
    evidence::{Evidence, Label, Source},
    features::{Factors, Features},
    guard::Guard,
    posterior::Posterior,
    ratio_set::RatioSet,
    settings::Settings,
    theories::Theories,
    theory::{Clause, Theory},
    tightening::{HoldReason, Tightening},
};

const FACTORS: u32 = 4;

fn any_features() -> impl Strategy<Value = Features> {
    (0..1u32 << FACTORS).prop_map(|bits| Features::from_bits(bits).unwrap())
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let label = prop_oneof![1 => Just(Label::Harm), 6 => Just(Label::NoHarm)];
    let rate = prop_oneof![Just(1.0), Just(0.6), 0.01..1.0];
    (any_features(), label, rate).prop_map(|(features, label, rate)| Evidence {
        features,
        label,
        source: Source::reporting(rate).unwrap(),
    })
}

/// A theory over a few factors, its numbers from a few, so that ties are common.
fn any_theory() -> impl Strategy<Value = Theory> {
    let harm = prop::sample::select(vec![0.0, 0.05, 0.2, 0.6, 1.0]);
    let background = prop::sample::select(vec![0.0, 1e-4, 5e-3]);
    let clause = (any_features(), harm).prop_map(|(factors, harm)| Clause { factors, harm });
    (prop::collection::vec(clause, 0..4), background)
        .prop_map(|(clauses, background)| Theory::new(background, clauses).unwrap())
}

type Weighted = Vec<(Theory, f64)>;

/// Different theories with weights, in two orders.
fn theories_in_two_orders() -> impl Strategy<Value = (Weighted, Weighted)> {
    let weight = prop_oneof![Just(1.0), 0.01..10.0];
    prop::collection::vec((any_theory(), weight), 1..60)
        .prop_map(|mut weighted| {
            let mut seen: Vec<Theory> = Vec::new();
            weighted.retain(|(theory, _)| {
                let new = !seen.contains(theory);
                seen.push(theory.clone());
                new
            });
            weighted
        })
        .prop_flat_map(|weighted| (Just(weighted.clone()), Just(weighted).prop_shuffle()))
}

/// Probabilities of harm and likelihoods by theory, and an order of the theories; few different numbers, so
/// that many tie.
fn columns_and_order() -> impl Strategy<Value = (Vec<f64>, Vec<Vec<f64>>, Vec<usize>)> {
    (1usize..80).prop_flat_map(|count| {
        let number = prop::sample::select(vec![0.001, 0.1, 0.3, 0.7, 1.0]);
        let column = prop::collection::vec(number, count);
        let order = Just((0..count).collect::<Vec<usize>>()).prop_shuffle();
        (column.clone(), prop::collection::vec(column, 0..12), order)
    })
}

fn settings() -> Settings {
    Settings::new(0.01, 0.05).unwrap()
}

/// All bounds of a posterior after these likelihoods, by their bits, and the sizes of the sets.
fn verdicts(harms: &[f64], likelihoods: &[Vec<f64>]) -> Vec<Option<u64>> {
    let mut posterior = Posterior::new(&vec![1.0; harms.len()]).unwrap();
    let mut set = RatioSet::new(&posterior, 0.05).unwrap();
    for column in likelihoods {
        posterior.update(column).unwrap();
        set.narrow(&posterior);
    }
    let cautious = [1e-3, 0.1, 1.0].map(|alpha| CautiousSet::new(&posterior, alpha).unwrap());
    let mut bounds = vec![posterior_mean(&posterior, harms), iid(&posterior, harms), set.bound(harms)];
    bounds.extend(cautious.map(|set| set.bound(&posterior, harms)));
    let bits = bounds.into_iter().map(|bound| bound.map(f64::to_bits));
    bits.chain([Some(set.count() as u64)]).collect()
}

proptest! {
    #[test]
    fn permuting_the_theories_changes_no_bit_of_a_guard(
        (one, other) in theories_in_two_orders(),
        events in prop::collection::vec(any_evidence(), 0..40),
    ) {
        let guard = |weighted| Guard::new(Theories::new(weighted).unwrap(), settings());
        let (mut one, mut other) = (guard(one), guard(other));
        let budget = HarmBudget::new(0.1).unwrap();
        prop_assert_eq!(one.theories().bytes(), other.theories().bytes());
        for event in events {
            prop_assert_eq!(one.assess(event.features, &budget), other.assess(event.features, &budget));
            one.learn(&event);
            other.learn(&event);
            prop_assert_eq!(one.state_bytes(), other.state_bytes());
        }
    }

    #[test]
    fn the_bound_is_the_most_harm_by_a_theory_that_is_left(
        (theories, _) in theories_in_two_orders(),
        events in prop::collection::vec(any_evidence(), 0..40),
        x in any_features(),
    ) {
        let mut guard = Guard::new(Theories::new(theories).unwrap(), settings());
        let mut set = RatioSet::new(guard.posterior(), 0.05).unwrap();
        for event in events {
            guard.learn(&event);
            set.narrow(guard.posterior());
        }
        prop_assert_eq!(&set, guard.set());
        let harms: Vec<f64> = guard.theories().all().iter().map(|theory| theory.harm(x)).collect();
        prop_assert_eq!(guard.theories().harms(x), harms.clone());
        prop_assert_eq!(guard.bound(x), set.bound(&harms));
        prop_assert_eq!(guard.reason(x).map(|reason| reason.theory.harm(x)), guard.bound(x));
    }

    #[test]
    fn permuting_the_columns_of_any_posterior_changes_no_bound((harms, likelihoods, order) in columns_and_order()) {
        let permuted = |column: &Vec<f64>| order.iter().map(|index| column[*index]).collect::<Vec<f64>>();
        let others: Vec<Vec<f64>> = likelihoods.iter().map(permuted).collect();
        prop_assert_eq!(verdicts(&harms, &likelihoods), verdicts(&permuted(&harms), &others));
    }

    #[test]
    fn the_running_set_never_grows_and_the_bound_at_the_same_features_never_rises(
        events in prop::collection::vec(any_evidence(), 1..60),
        watched in any_features(),
    ) {
        let mut guard = Guard::new(Theories::conjunctions(FACTORS as usize).unwrap(), settings());
        for event in events {
            let (before, bound) = (guard.set().clone(), guard.bound(watched));
            guard.learn(&event);
            prop_assert!(guard.set().live().all(|index| before.contains(index)));
            if let Some(after) = guard.bound(watched) {
                prop_assert!(bound.is_some_and(|bound| after <= bound), "{:?} then {}", bound, after);
            }
        }
    }

    #[test]
    fn more_factors_never_lower_the_bound_so_a_fact_left_out_never_loosens(
        events in prop::collection::vec(any_evidence(), 0..40),
        facts in prop::collection::vec(any::<Option<bool>>(), FACTORS as usize),
        dropped in 0..FACTORS as usize,
    ) {
        let mut guard = Guard::new(Theories::conjunctions(FACTORS as usize).unwrap(), settings());
        events.iter().for_each(|event| guard.learn(event));
        let factors = Factors::new(&["0", "1", "2", "3"]).unwrap();
        let read = |facts: &[Option<bool>]| factors.for_decision(|name| facts[name.parse::<usize>().unwrap()]);
        let mut fewer = facts.clone();
        fewer[dropped] = None;
        let budget = HarmBudget::new(0.02).unwrap();
        let (all, less) = (guard.assess(read(&facts), &budget), guard.assess(read(&fewer), &budget));
        prop_assert!(less.bound >= all.bound);
        prop_assert!(less.tightening >= all.tightening || matches!(all.tightening, Tightening::Hold(_)));
        prop_assert!(matches!(less.tightening, Tightening::Hold(_)) || all.tightening == Tightening::Unchanged);
    }

    #[test]
    fn the_posterior_is_the_one_of_logarithms(
        theories in theories_in_two_orders().prop_map(|(theories, _)| theories),
        events in prop::collection::vec(any_evidence(), 0..200),
    ) {
        let mut guard = Guard::new(Theories::new(theories).unwrap(), settings());
        let mut logarithms: Vec<f64> = guard.theories().prior().iter().map(|prior| prior.ln()).collect();
        for event in &events {
            guard.learn(event);
            for (logarithm, theory) in logarithms.iter_mut().zip(guard.theories().all()) {
                let reported = event.source.reporting_rate() * theory.harm(event.features);
                *logarithm += match event.label {
                    Label::Harm => reported.ln(),
                    Label::NoHarm => (-reported).ln_1p(),
                };
            }
        }
        let top = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert_eq!(top == f64::NEG_INFINITY, guard.posterior().is_refuted());
        let total: f64 = logarithms.iter().map(|logarithm| (logarithm - top).exp()).sum();
        for (probability, logarithm) in guard.posterior().probabilities().iter().zip(&logarithms) {
            let expected = if top == f64::NEG_INFINITY { 0.0 } else { (logarithm - top).exp() / total };
            prop_assert!((probability - expected).abs() <= 1e-9 * expected + 1e-250, "{} {}", probability, expected);
        }
    }

    #[test]
    fn no_path_leads_from_the_guardrail_to_a_looser_verdict(rules in any::<u8>(), hold in any::<u8>(), reason in 0..5usize) {
        let hold_for = HoldReason::ALL.get(reason).map(|reason| Tightening::Hold(*reason));
        let verdict = hold_for.unwrap_or(Tightening::Unchanged).strictest(rules, hold);
        prop_assert!(verdict >= rules);
        prop_assert!(verdict == rules || (verdict == hold && hold_for.is_some()));
    }

    #[test]
    fn what_is_spent_never_passes_the_budget(limit in 0.0..1.0, bounds in prop::collection::vec(0.0..0.3, 0..50)) {
        let mut budget = HarmBudget::new(limit).unwrap();
        for bound in bounds {
            let covered = budget.covers(bound);
            prop_assert_eq!(budget.spend(bound).is_ok(), covered);
            prop_assert!(budget.used() <= limit);
        }
    }
}

#[test]
fn a_million_updates_stay_finite() {
    let mut guard = Guard::new(Theories::conjunctions(6).unwrap(), settings());
    let mut word: u64 = 9;
    for number in 0..1_000_000u32 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Long runs of one kind, so that posteriors come near zero and back.
        let harm = if number / 20_000 % 2 == 0 { word >> 60 == 0 } else { word >> 62 == 0 };
        let features = Features::from_bits((word >> 40) as u32 & 0x3f).unwrap();
        let label = if harm { Label::Harm } else { Label::NoHarm };
        guard.learn(&Evidence { features, label, source: Source::COMPLETE });
        if number % 1000 == 0 {
            let probabilities = guard.posterior().probabilities();
            assert!(probabilities.iter().all(|probability| probability.is_finite() && *probability >= 0.0));
            let total: f64 = probabilities.iter().sum();
            assert!((total - 1.0).abs() < 1e-9, "update {number}: {total}");
        }
    }
    assert_eq!(guard.posterior().updates(), 1_000_000);
    assert!(guard.alarm().e_value().is_finite());
}
