// SPDX-License-Identifier: Apache-2.0
//! The bounds on posteriors small enough to work out by hand.

use sta_guardrail::{
    bound::{CautiousSet, iid, posterior_mean},
    posterior::{LikelihoodError, Posterior, PriorError},
    ratio_set::{RatioSet, exposures_to_clear},
};

/// A posterior with these probabilities, which must be multiples of one power of two.
fn posterior(probabilities: &[f64]) -> Posterior {
    let posterior = Posterior::new(probabilities).unwrap();
    assert_eq!(posterior.probabilities(), probabilities);
    posterior
}

#[test]
fn the_mean_weighs_each_theory_by_its_posterior() {
    assert_eq!(posterior_mean(&posterior(&[0.5, 0.25, 0.25]), &[0.0, 0.5, 1.0]), Some(0.375));
}

#[test]
fn the_iid_bound_is_the_harm_by_the_theory_with_the_largest_product() {
    assert_eq!(iid(&posterior(&[0.75, 0.25]), &[0.25, 0.5]), Some(0.25));
    assert_eq!(iid(&posterior(&[0.75, 0.25]), &[0.125, 0.5]), Some(0.5));
}

#[test]
fn of_theories_that_tie_the_iid_bound_takes_the_most_harmful() {
    assert_eq!(iid(&posterior(&[0.5, 0.25, 0.25]), &[0.25, 0.5, 0.25]), Some(0.5));
}

#[test]
fn the_cautious_set_ends_at_the_first_theory_below_its_part_of_the_sum() {
    let posterior = posterior(&[0.125, 0.5, 0.125, 0.25]);
    let harms = [0.9, 0.1, 0.8, 0.3];
    let bound = |alpha| CautiousSet::new(&posterior, alpha).unwrap().bound(&posterior, &harms);
    assert_eq!(bound(1.0), Some(0.1));
    assert_eq!(bound(0.34), Some(0.1));
    assert_eq!(bound(0.33), Some(0.3));
    // Of the two that tie, the first has 1/7 of the sum up to itself and the second 1/8: both are in, or none.
    assert_eq!(bound(0.14), Some(0.9));
    assert_eq!(bound(0.15), Some(0.3));
}

#[test]
fn a_theory_leaves_the_ratio_set_below_delta_times_its_prior_and_stays_out() {
    let mut posterior = posterior(&[0.5, 0.5]);
    let mut set = RatioSet::new(&posterior, 0.25).unwrap();
    posterior.update(&[1.0, 0.125]).unwrap();
    set.narrow(&posterior);
    assert!(set.contains(0) && !set.contains(1), "1/9 is below a quarter of a half");
    assert_eq!(set.bound(&[0.125, 1.0]), Some(0.125));
    posterior.update(&[0.125, 1.0]).unwrap();
    set.narrow(&posterior);
    assert_eq!(posterior.probabilities(), [0.5, 0.5]);
    assert!(!set.contains(1), "the running intersection");
}

#[test]
fn a_refuted_posterior_has_no_bound() {
    let mut posterior = posterior(&[0.5, 0.5]);
    let mut set = RatioSet::new(&posterior, 0.25).unwrap();
    posterior.update(&[0.0, 0.0]).unwrap();
    set.narrow(&posterior);
    assert!(posterior.is_refuted() && set.is_empty());
    assert_eq!(posterior_mean(&posterior, &[0.1, 0.1]), None);
    assert_eq!(iid(&posterior, &[0.1, 0.1]), None);
    assert_eq!(CautiousSet::new(&posterior, 0.1).unwrap().bound(&posterior, &[0.1, 0.1]), None);
    assert_eq!(set.bound(&[0.1, 0.1]), None);
}

#[test]
fn numbers_that_are_no_prior_or_likelihood_are_refused_and_change_nothing() {
    assert_eq!(Posterior::new(&[]), Err(PriorError::Count(0)));
    assert_eq!(Posterior::new(&[1.0, 0.0]), Err(PriorError::Weight(0.0)));
    assert!(Posterior::new(&[1.0, f64::NAN]).is_err());
    assert!(Posterior::new(&[1.0, 1e-200]).is_err(), "too small to be told from zero later");
    let mut kept = posterior(&[0.5, 0.5]);
    assert_eq!(kept.update(&[1.0]), Err(LikelihoodError::Count { given: 1, theories: 2 }));
    assert_eq!(kept.update(&[1.0, -0.5]), Err(LikelihoodError::Value(-0.5)));
    assert!(kept.update(&[f64::NAN, 1.0]).is_err() && kept.update(&[1.0, f64::INFINITY]).is_err());
    assert_eq!(kept, posterior(&[0.5, 0.5]));
    for wrong in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(RatioSet::new(&kept, wrong).is_err(), "delta {wrong}");
    }
    assert!(CautiousSet::new(&kept, 0.0).is_err() && CautiousSet::new(&kept, 1.5).is_err());
}

#[test]
fn the_exposures_that_clear_a_theory_are_those_of_the_rule_of_thumb() {
    // ln(1 / (delta pi0)) / q gives 88, 22 and 7; ln(1 - q) in place of -q a little fewer.
    for (harm, thumb) in [(0.05, 88), (0.2, 22), (0.6, 7)] {
        let exposures = exposures_to_clear(harm, 0.25, 1e-4, 0.05).unwrap().unwrap();
        assert!(exposures <= thumb && 2 * exposures >= thumb, "{harm}: {exposures}, by the rule {thumb}");
    }
    // With the backgrounds of the family, as docs/safety.md has it.
    let family = [0.05, 0.2, 0.6].map(|harm| exposures_to_clear(harm, 0.25, 5e-3, 0.05).unwrap());
    assert_eq!(family, [Some(95), Some(21), Some(5)]);
    assert_eq!(exposures_to_clear(0.1, 0.25, 0.1, 0.05), Ok(None), "no evidence tells them apart");
    assert!(exposures_to_clear(0.1, 0.0, 0.1, 0.05).is_err());
}
