// SPDX-License-Identifier: Apache-2.0
//! Training compute: what is declared and metered, and which thresholds it passes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sta_protocol::{
    compute::{
        BaseCompute, GpuRate, TeraFlop, Threshold, TrainingCompute, metered, published_peak_gigaflop_per_s,
    },
    digest::JSON_INTEGER_MAX,
    record::Record as _,
    training::TrainingRun,
};

use super::examples::run;

fn compute(base: BaseCompute, added: u64) -> TrainingCompute {
    TrainingCompute { base, added_teraflop: TeraFlop::new(added).unwrap() }
}

fn known(base: u64) -> BaseCompute {
    BaseCompute::Known { teraflop: TeraFlop::new(base).unwrap() }
}

/// Accelerator-milliseconds of one type.
fn time(gpu_type: &str, ms: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(gpu_type.to_owned(), ms)])
}

#[test]
fn six_n_d_is_exact_and_rounds_up_to_whole_teraflop() {
    // 6 x 8e9 x 2e11 = 9.6e21 operations.
    assert_eq!(run().declared(), TeraFlop::new(9_600_000_000).unwrap());
    assert_eq!(TeraFlop::six_n_d(1, 1), TeraFlop::new(1).unwrap());
    assert_eq!(TeraFlop::six_n_d(0, 1), TeraFlop::ZERO);
    assert_eq!(TeraFlop::six_n_d(u64::MAX, u64::MAX).get(), JSON_INTEGER_MAX);
    assert_eq!(TeraFlop::six_n_d(8_000_000_000, 200_000_000_000).to_string(), "9.6e21 FLOP");
}

#[test]
fn rules_compare_whole_petaflop_and_a_threshold_stays_one() {
    for threshold in [TeraFlop::GENERAL_PURPOSE, TeraFlop::SYSTEMIC] {
        assert_eq!(threshold.peta_rounded_up() * 1000, threshold.get());
        let above = threshold.plus(TeraFlop::new(1).unwrap());
        assert_eq!(above.peta_rounded_up(), threshold.peta_rounded_up() + 1);
    }
}

#[test]
fn metered_operations_are_seconds_times_peak_times_utilisation() {
    // One hour of 1000 accelerators at 40 % of 989 teraFLOP/s: 3.6e6 s x 989e12 x 0.4 = 1.42416e21.
    let metered = run().metered(&time("gh200", 3_600_000 * 1000)).unwrap();
    assert_eq!(metered.added_teraflop, TeraFlop::new(1_424_160_000).unwrap());
    let unknown = run().metered(&time("h100", 1)).unwrap_err();
    insta::assert_snapshot!(unknown, @"1 ms were metered on accelerators of type `h100`, for which the training run gives no rate: register the run again with `rates.h100`");
    // Time that was not used needs no rate.
    assert_eq!(run().metered(&time("h100", 0)).unwrap().added_teraflop, TeraFlop::ZERO);
}

#[test]
fn a_known_accelerator_is_found_in_the_sites_name_for_it() {
    let cases = [
        ("gh200", Some(989_000)),
        ("nvidia_A100-SXM4-80GB", Some(312_000)),
        ("mi300x", Some(1_307_400)),
        ("nvidia_a100_1g.5gb", None),
        ("xa100", None),
        ("", None),
    ];
    for (name, peak) in cases {
        assert_eq!(published_peak_gigaflop_per_s(name), peak, "{name}");
    }
}

#[test]
fn a_threshold_is_passed_strictly_above_it() {
    let general = TeraFlop::GENERAL_PURPOSE.get();
    assert_eq!(compute(BaseCompute::Scratch, general).above(), []);
    assert_eq!(compute(BaseCompute::Scratch, general + 1).above(), [Threshold::GeneralPurpose]);
    let systemic = TeraFlop::SYSTEMIC.get();
    assert_eq!(compute(BaseCompute::Scratch, systemic).above(), [Threshold::GeneralPurpose]);
    let all_but_third = [Threshold::GeneralPurpose, Threshold::Systemic];
    assert_eq!(compute(BaseCompute::Scratch, systemic + 1).above(), all_but_third);
}

#[test]
fn one_third_of_the_base_is_exact() {
    assert_eq!(compute(known(300), 100).above(), []);
    assert_eq!(compute(known(300), 101).above(), [Threshold::OneThirdOfBase]);
    assert_eq!(compute(known(301), 100).above(), []);
    assert_eq!(compute(known(299), 100).above(), [Threshold::OneThirdOfBase]);
}

#[test]
fn an_unknown_base_counts_as_the_threshold_that_it_may_have_reached() {
    // A third of 1e23 is 33,333,333,333.3 teraFLOP.
    assert!(!compute(BaseCompute::Unknown, 33_333_333_333).is_above(Threshold::OneThirdOfBase));
    assert!(compute(BaseCompute::Unknown, 33_333_333_334).is_above(Threshold::OneThirdOfBase));
    assert!(compute(BaseCompute::Unknown, 1).is_above(Threshold::GeneralPurpose));
    assert!(!compute(BaseCompute::UnknownSystemic, 3_333_333_333_333).is_above(Threshold::OneThirdOfBase));
    assert!(compute(BaseCompute::UnknownSystemic, 3_333_333_333_334).is_above(Threshold::OneThirdOfBase));
    assert!(compute(BaseCompute::UnknownSystemic, 1).is_above(Threshold::Systemic));
}

#[test]
fn a_run_is_above_a_third_of_its_base_and_above_a_threshold_that_both_reach_together() {
    let run = run();
    assert_eq!(run.metered(&BTreeMap::new()).unwrap().above(), run.projected(TeraFlop::ZERO).above());
    // The base has 7.2e22: a third is 2.4e22, and 2.8e22 more make 1e23.
    let above = |tera: u64| compute(run.base_compute(), tera).above();
    assert_eq!(above(24_000_000_000), []);
    assert_eq!(above(24_000_000_001), [Threshold::OneThirdOfBase]);
    assert_eq!(above(28_000_000_000), [Threshold::OneThirdOfBase]);
    assert_eq!(above(28_000_000_001), [Threshold::OneThirdOfBase, Threshold::GeneralPurpose]);
}

#[test]
fn a_run_is_judged_by_the_largest_of_declared_expected_and_metered() {
    let run = run();
    assert_eq!(run.projected(TeraFlop::ZERO).added_teraflop, run.expected_teraflop);
    let more = run.expected_teraflop.plus(TeraFlop::new(1).unwrap());
    assert_eq!(run.projected(more).added_teraflop, more);
}

#[test]
fn what_is_wrong_with_a_registration_is_said_with_how_to_mend_it() {
    let refusal = |change: fn(&mut TrainingRun)| {
        let mut run = run();
        change(&mut run);
        run.check().unwrap_err().to_string()
    };
    let refusals = [
        refusal(|run| run.expected_teraflop = TeraFlop::new(9_599_999_999).unwrap()),
        refusal(|run| run.market_eu = true),
        refusal(|run| run.tokens = 0),
        refusal(|run| run.rates.get_mut("gh200").unwrap().peak_gigaflop_per_s = 500_000),
        refusal(|run| run.rates.get_mut("gh200").unwrap().utilisation_ppm = 1_000_001),
        refusal(|run| run.base.as_mut().unwrap().compute = BaseCompute::Scratch),
        refusal(|run| run.jobs = vec![run.jobs[0]; 2]),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    `expected_teraflop` is 9599999999, below 6 x parameters x tokens, which is 9600000000: expect at least that
    `research_only` and `market_eu` cannot both be true: what goes to the market is not research alone
    `tokens` is 0: use 1 to 10^15
    `rates.gh200` gives a peak of 500000 gigaFLOP/s, below the published 989000: use that one and put what is lost into `utilisation_ppm`
    `rates.gh200` needs a peak of 1 to 10^9 gigaFLOP/s and a utilisation of 1 to 1000000 millionths
    `base.compute` is `scratch`, and there is a base: use `known`, `unknown` or `unknown_systemic`
    `jobs` has JobId(01a20846-fe00-7101-8101-010101010101) twice: leave one out
    "#);
}

proptest! {
    #[test]
    fn more_time_never_means_fewer_operations_or_thresholds(
        ms in 0..u64::MAX / 2, more in 0..u64::MAX / 2, peak in 1..1_000_000_000_u64, ppm in 1..=1_000_000_u32, base in 0..1_u64 << 50,
    ) {
        let rates = BTreeMap::from([("x".to_owned(), GpuRate { peak_gigaflop_per_s: peak, utilisation_ppm: ppm })]);
        let less = metered(&time("x", ms), &rates).unwrap();
        let grown = metered(&time("x", ms + more), &rates).unwrap();
        prop_assert!(less <= grown);
        let (before, after) = (compute(known(base), less.get()), compute(known(base), grown.get()));
        for threshold in Threshold::ALL {
            prop_assert!(!before.is_above(threshold) || after.is_above(threshold));
        }
    }
}
