// SPDX-License-Identifier: Apache-2.0
//! The guard: what it holds and why, how it fails closed, and that it gives the same bits everywhere.

use sta_guardrail::{
    budget::{HarmBudget, OverBudget},
    evidence::{Evidence, Label, Source},
    features::{Factors, Features},
    guard::Guard,
    ratio_set::exposures_to_clear,
    settings::Settings,
    theories::Theories,
    theory::Theory,
    tightening::{HoldReason, Tightening},
};

fn features(bits: u32) -> Features {
    Features::from_bits(bits).unwrap()
}

fn evidence(bits: u32, label: Label) -> Evidence {
    Evidence { features: features(bits), label, source: Source::COMPLETE }
}

fn guard(factors: usize) -> Guard {
    Guard::new(Theories::conjunctions(factors).unwrap(), Settings::new(0.01, 0.05).unwrap())
}

/// A guard whose theories all say that harm is rare.
fn trusting() -> Guard {
    let theories = vec![(Theory::quiet(1e-4).unwrap(), 1.0), (Theory::quiet(5e-3).unwrap(), 1.0)];
    Guard::new(Theories::new(theories).unwrap(), Settings::new(0.01, 0.05).unwrap())
}

fn unlimited() -> HarmBudget {
    HarmBudget::new(1e9).unwrap()
}

#[test]
fn without_evidence_every_factor_is_held_and_a_request_without_factors_passes() {
    let guard = guard(4);
    let held = guard.assess(features(0b0001), &unlimited());
    assert_eq!(held.tightening, Tightening::Hold(HoldReason::OverThreshold));
    assert_eq!((held.bound, held.live, held.updates, held.e_value), (Some(0.6), 129, 0, 1.0));
    let passing = guard.assess(Features::NONE, &unlimited());
    assert_eq!((passing.tightening, passing.bound), (Tightening::Unchanged, Some(5e-3)));
}

#[test]
fn the_exposures_that_an_evaluation_needs_clear_what_they_show() {
    let mut guard = guard(4);
    let quiet = guard.theories().prior()[0];
    let needed = exposures_to_clear(0.05, quiet, 1e-4, 0.05).unwrap().unwrap();
    for exposure in 0..needed {
        let tightening = guard.assess(features(0b0111), &unlimited()).tightening;
        assert!(exposure > needed / 2 || tightening != Tightening::Unchanged, "trusted after {exposure}");
        guard.learn(&evidence(0b0111, Label::NoHarm));
    }
    assert_eq!(guard.assess(features(0b0111), &unlimited()).tightening, Tightening::Unchanged);
    let unseen = guard.assess(features(0b1000), &unlimited());
    assert_eq!(unseen.tightening, Tightening::Hold(HoldReason::OverThreshold), "nothing was shown of that");
}

#[test]
fn what_was_reported_through_a_source_that_misses_harms_clears_later() {
    let updates_to_pass = |source| {
        let mut guard = guard(3);
        let evidence = Evidence { source, ..evidence(0b111, Label::NoHarm) };
        (0..10_000).find(|_| {
            guard.learn(&evidence);
            guard.assess(features(0b111), &unlimited()).tightening == Tightening::Unchanged
        })
    };
    let complete = updates_to_pass(Source::COMPLETE).unwrap();
    let partial = updates_to_pass(Source::reporting(0.5).unwrap()).unwrap();
    assert!(partial > 3 * complete / 2, "{complete} and {partial}");
}

#[test]
fn a_bound_that_does_not_fit_into_the_budget_is_held_and_cannot_be_spent() {
    let guard = guard(4);
    let mut budget = HarmBudget::new(0.0125).unwrap();
    for _ in 0..2 {
        let passing = guard.assess(Features::NONE, &budget);
        assert_eq!(passing.tightening, Tightening::Unchanged);
        budget.spend(passing.bound.unwrap()).unwrap();
    }
    let held = guard.assess(Features::NONE, &budget);
    assert_eq!(held.tightening, Tightening::Hold(HoldReason::OverBudget));
    assert_eq!(held.budget, budget);
    assert_eq!(budget.spend(5e-3), Err(OverBudget { bound: 5e-3, used: 0.01, limit: 0.0125 }));
    for nonsense in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(budget.spend(nonsense).is_err(), "{nonsense}");
        assert!(HarmBudget::new(nonsense).is_err(), "{nonsense}");
    }
    assert_eq!(budget.used(), 0.01);
}

#[test]
fn where_no_theory_is_left_everything_is_held() {
    let mut guard = guard(3);
    // All harm comes with one factor, until all comes with another: each half refutes what the other would have.
    let mut harmful = 0b001;
    while !guard.set().is_empty() {
        guard.learn(&evidence(harmful, Label::Harm));
        guard.learn(&evidence(0b111 & !harmful, Label::NoHarm));
        harmful = if guard.posterior().updates() < 100 { 0b001 } else { 0b100 };
        assert!(guard.posterior().updates() < 1000, "the set must empty");
    }
    let reasons = [HoldReason::NoTheoryLeft, HoldReason::BoundsRefuted];
    for x in (0..8).map(features) {
        let assessment = guard.assess(x, &unlimited());
        assert!(matches!(assessment.tightening, Tightening::Hold(reason) if reasons.contains(&reason)));
        assert_eq!((assessment.bound, assessment.live), (None, 0));
        assert!(guard.reason(x).is_none());
    }
}

#[test]
fn once_the_alarm_is_raised_everything_is_held_though_theories_are_left() {
    let mut guard = trusting();
    assert_eq!(guard.assess(Features::NONE, &unlimited()).tightening, Tightening::Unchanged);
    while !guard.alarm().is_raised() {
        guard.learn(&evidence(0, Label::Harm));
        assert!(guard.posterior().updates() < 100, "the alarm must come");
    }
    (0..50).for_each(|_| guard.learn(&evidence(0, Label::NoHarm)));
    let assessment = guard.assess(Features::NONE, &unlimited());
    assert_eq!(assessment.tightening, Tightening::Hold(HoldReason::BoundsRefuted));
    assert!(assessment.live > 0 && assessment.e_value >= 100.0);
}

#[test]
fn what_the_guard_would_hold_does_not_move_the_alarm() {
    let mut guard = guard(3);
    (0..50).for_each(|_| guard.learn(&evidence(0b111, Label::Harm)));
    assert_eq!((guard.alarm().events(), guard.alarm().e_value()), (0, 1.0));
}

#[test]
fn the_theory_that_sets_the_bound_is_named() {
    let factors = Factors::new(&["reads secrets", "sends outside", "is new"]).unwrap();
    let mut guard = guard(3);
    // The new alone harm nobody; with secrets sent outside it goes wrong half the time.
    for _ in 0..40 {
        guard.learn(&evidence(0b100, Label::NoHarm));
        guard.learn(&evidence(0b001, Label::NoHarm));
        guard.learn(&evidence(0b010, Label::NoHarm));
        guard.learn(&evidence(0b011, Label::Harm));
        guard.learn(&evidence(0b011, Label::NoHarm));
    }
    let reason = guard.reason(features(0b011)).unwrap();
    let text = reason.theory.describe(&factors);
    assert!(
        text.starts_with("harm with probability 0.6 where reads secrets and sends outside hold"),
        "{text}"
    );
    assert_eq!(guard.bound(features(0b011)), Some(0.6));
    assert_eq!(guard.posterior().probabilities()[reason.index], reason.probability);
}

#[test]
fn the_same_evidence_gives_the_same_bits_on_every_platform() {
    let mut guard = guard(12);
    let mut word: u64 = 1;
    for _ in 0..500 {
        // Any fixed sequence does; this is a linear congruence.
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = (word >> 33) as u32 & (word >> 45) as u32 & 0xfff;
        let label = if bits & 0b111 == 0b111 || word >> 54 == 0 { Label::Harm } else { Label::NoHarm };
        let source = Source::reporting(if word >> 63 == 0 { 1.0 } else { 0.6 }).unwrap();
        guard.learn(&Evidence { features: features(bits), label, source });
    }
    assert_eq!(
        (fnv(&guard.state_bytes()), fnv(&guard.theories().bytes()), guard.set().count()),
        (17_301_923_530_811_515_959, 3_283_925_116_799_950_317, 7),
        "the numbers of the crate have changed: old logs no longer replay"
    );
}

/// FNV-1a, enough to notice any change.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
