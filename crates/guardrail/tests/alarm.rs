// SPDX-License-Identifier: Apache-2.0
//! The alarm's promise: where the bounds are valid, it is raised in at most one run of a hundred.

use rand::Rng;
use sta_guardrail::alarm::{Alarm, REFUTED_AT};

use crate::simulation::{estimate::share_error, for_each};

const RUNS: usize = 4_000;

#[test]
fn where_bounds_are_exact_at_most_one_run_of_a_hundred_raises_the_alarm() {
    // The bound is the harm itself, the hardest case that is still valid; it changes from event to event.
    let raised = for_each(RUNS, 31, |generator| {
        let mut alarm = Alarm::default();
        for _ in 0..2_000 {
            let bound = [1e-3, 5e-3, 0.05, 0.2][generator.random_range(0..4)];
            alarm.observe(bound, generator.random_bool(bound));
        }
        alarm.is_raised()
    });
    let share = raised.iter().filter(|raised| **raised).count() as f64 / RUNS as f64;
    assert!(share <= 0.01 + 3.0 * share_error(0.01, RUNS), "{share}");
    assert!(share > 0.0, "an alarm that is never raised promises nothing");
}

#[test]
fn harm_ten_times_as_often_as_the_bound_is_found_after_a_long_quiet_time() {
    let delays = for_each(200, 32, |generator| {
        let mut alarm = Alarm::default();
        for _ in 0..20_000 {
            alarm.observe(0.005, generator.random_bool(0.001));
        }
        assert!(!alarm.is_raised());
        (0..2_000).position(|_| {
            alarm.observe(0.005, generator.random_bool(0.05));
            alarm.is_raised()
        })
    });
    let mut delays: Vec<usize> =
        delays.into_iter().map(|delay| delay.expect("found within 2,000 events")).collect();
    delays.sort_unstable();
    assert!(delays[100] <= 500, "median {}", delays[100]);
}

#[test]
fn without_harm_the_e_value_stays_below_one_and_a_raised_alarm_stays_raised() {
    let mut alarm = Alarm::default();
    assert_eq!(alarm.e_value(), 1.0);
    for _ in 0..1_000_000 {
        alarm.observe(0.01, false);
        assert!(alarm.e_value() <= 1.0 && alarm.e_value() > 0.0);
    }
    while !alarm.is_raised() {
        alarm.observe(0.01, true);
    }
    let (raised, events) = (alarm.e_value(), alarm.events());
    assert!(raised >= REFUTED_AT);
    (0..1000).for_each(|_| alarm.observe(0.01, false));
    assert!(alarm.is_raised() && alarm.e_value() == raised && alarm.events() == events);
}

#[test]
fn the_e_value_is_the_mean_over_stakes_and_onsets_of_the_products() {
    let events = [(0.25, true), (0.125, false), (0.0, false), (0.0, true), (0.05, false)];
    let mut alarm = Alarm::default();
    for (bound, harmed) in events {
        alarm.observe(bound, harmed);
    }
    let factor = |stake: f64, (bound, harmed): (f64, bool)| {
        let stake = if bound > 0.0 { stake.min(0.5 / bound) } else { stake };
        1.0 + stake * (f64::from(u8::from(harmed)) - bound)
    };
    let onsets = (0..events.len()).map(|onset| {
        let weight = 1.0 / ((onset + 1) * (onset + 2)) as f64;
        let product =
            |stake: &f64| events[onset..].iter().map(|event| factor(*stake, *event)).product::<f64>();
        let stakes = sta_guardrail::alarm::STAKES;
        weight * stakes.iter().map(product).sum::<f64>() / stakes.len() as f64
    });
    let expected = onsets.sum::<f64>() + 1.0 / (events.len() + 1) as f64;
    assert!((alarm.e_value() - expected).abs() < 1e-12 * expected, "{} {expected}", alarm.e_value());
}
