// SPDX-License-Identifier: Apache-2.0
//! Theories, their family and prior, and the facts that they are about.

use sta_guardrail::{
    evidence::{Evidence, Label, Source},
    features::{Factors, FactorsError, Features},
    theories::{Theories, TheoriesError},
    theory::{Clause, Theory, TheoryError},
};

fn features(bits: u32) -> Features {
    Features::from_bits(bits).unwrap()
}

#[test]
fn the_family_has_as_many_theories_as_the_reference_says() {
    assert_eq!(Theories::conjunctions(12).unwrap().count(), 2_685);
    assert_eq!(Theories::conjunctions(24).unwrap().count(), 20_919);
    assert_eq!(Theories::conjunctions(0).unwrap().count(), 3);
    assert_eq!(Theories::conjunctions(25), Err(TheoriesError::TooManyFactors(25)));
}

#[test]
fn each_length_of_description_has_a_quarter_of_the_prior() {
    let theories = Theories::conjunctions(12).unwrap();
    for size in 0..=3 {
        let of_size = theories.all().iter().zip(theories.prior()).filter(|(theory, _)| {
            theory.clauses().first().map_or(0, |clause| clause.factors.count()) == size
        });
        let share: f64 = of_size.map(|(_, prior)| prior).sum();
        assert!((share - 0.25).abs() < 1e-12, "{size} factors: {share}");
    }
}

#[test]
fn theories_by_hand_get_their_share() {
    let by_hand = Theory::new(
        1e-3,
        vec![Clause { factors: features(0b11), harm: 0.3 }, Clause { factors: features(0b1100), harm: 0.7 }],
    )
    .unwrap();
    let theories = Theories::conjunctions_and(4, vec![by_hand.clone()], 0.125).unwrap();
    let at = theories.all().iter().position(|theory| *theory == by_hand).unwrap();
    assert!((theories.prior()[at] - 0.125).abs() < 1e-12);
    assert_eq!(theories.harms(features(0b0111))[at], 0.3);
    assert_eq!(theories.harms(features(0b1111))[at], 0.7, "the worst clause counts");
    assert_eq!(theories.harms(features(0b0101))[at], 1e-3);
    for share in [0.0, 1.0, f64::NAN] {
        assert!(Theories::conjunctions_and(4, vec![by_hand.clone()], share).is_err(), "{share}");
    }
}

#[test]
fn every_theory_says_in_the_columns_what_it_says_alone() {
    let theories = Theories::conjunctions(5).unwrap();
    for x in (0..32).map(features) {
        let alone: Vec<f64> = theories.all().iter().map(|theory| theory.harm(x)).collect();
        assert_eq!(theories.harms(x), alone);
    }
}

#[test]
fn a_theory_given_twice_is_refused() {
    let quiet = || (Theory::quiet(0.1).unwrap(), 1.0);
    assert!(matches!(Theories::new(vec![quiet(), quiet()]), Err(TheoriesError::Twice(_))));
    assert!(matches!(Theories::new(vec![]), Err(TheoriesError::Prior(_))));
}

#[test]
fn what_is_no_probability_makes_no_theory() {
    assert_eq!(Theory::quiet(1.5), Err(TheoryError::NotAProbability(1.5)));
    assert!(Theory::conjunction(features(1), f64::NAN, 0.1).is_err());
    let clause = Clause { factors: features(1), harm: 0.5 };
    assert_eq!(Theory::new(0.1, vec![clause; 17]), Err(TheoryError::TooManyClauses(17)));
}

#[test]
fn a_theory_reads_as_a_sentence_with_the_names_of_its_factors() {
    let factors = Factors::new(&["reads untrusted input", "reads secrets", "sends outside"]).unwrap();
    let conjunction = Theory::conjunction(features(0b101), 0.6, 0.001).unwrap();
    assert_eq!(
        conjunction.describe(&factors),
        "harm with probability 0.6 where reads untrusted input and sends outside hold, 0.001 elsewhere"
    );
    let quiet = Theory::quiet(0.005).unwrap();
    assert_eq!(quiet.describe(&factors), "harm with probability 0.005 everywhere");
}

#[test]
fn a_fact_that_nobody_vouches_for_counts_against_a_request_and_is_no_evidence() {
    let factors = Factors::new(&["a", "b", "c"]).unwrap();
    let known = |name: &str| match name {
        "a" => Some(true),
        "b" => Some(false),
        _ => None,
    };
    assert_eq!(factors.for_decision(known), features(0b101));
    assert_eq!(factors.for_evidence(known), Err(FactorsError::Unknown("c".to_owned())));
    assert_eq!(factors.for_evidence(|name| Some(name == "b")), Ok(features(0b010)));
}

#[test]
fn factors_have_names_of_their_own_and_there_are_at_most_24() {
    assert_eq!(Factors::new(&["a", "a"]), Err(FactorsError::Name("a".to_owned())));
    assert_eq!(Factors::new(&[""]), Err(FactorsError::Name(String::new())));
    let many: Vec<String> = (0..25).map(|number| number.to_string()).collect();
    assert_eq!(Factors::new(&many), Err(FactorsError::TooMany(25)));
    assert!(Factors::new(&many[..24]).is_ok());
    assert_eq!(Features::from_bits(1 << 24), None);
    assert_eq!(Features::NONE.with(24), None);
}

#[test]
fn unreported_harm_is_in_the_likelihood_of_both_labels() {
    let evidence =
        |label, rate| Evidence { features: Features::NONE, label, source: Source::reporting(rate).unwrap() };
    assert_eq!(evidence(Label::Harm, 0.5).likelihood(0.5), 0.25);
    assert_eq!(evidence(Label::NoHarm, 0.5).likelihood(0.5), 0.75);
    assert_eq!(evidence(Label::NoHarm, 1.0).likelihood(0.25), 0.75);
    for rate in [0.0, 1.1, -0.5, f64::NAN] {
        assert!(Source::reporting(rate).is_err(), "{rate}");
    }
}
