// SPDX-License-Identifier: Apache-2.0
//! Worlds that the theories describe, where the promise must hold, and worlds that they do not, where the
//! guard must close.
//!
//! What another implementation measured over 100 to 200 lives of each world is in the comments and sets the ranges.

use crate::simulation::{
    estimate::share_error,
    world::{CHANGE_AT, Life, Lives, World},
};
use sta_guardrail::settings::Settings;

/// Lives of each world.
const LIVES: usize = 60;
const DELTA: f64 = 0.05;

fn lives(world: World, seed: u64) -> Lives {
    Lives::of(world, Settings::new(0.01, DELTA).unwrap(), LIVES, seed)
}

/// A share that is at least this, but for three standard errors of so few lives.
fn at_least(share: f64, least: f64, what: &str) {
    assert!(share >= least - 3.0 * share_error(least, LIVES), "{what}: {share}, at least {least}");
}

fn within(value: f64, range: std::ops::RangeInclusive<f64>, what: &str) {
    assert!(range.contains(&value), "{what}: {value}, in {range:?}");
}

fn the_alarm_is_false_at_most_once_in_a_hundred(lives: &Lives) {
    let share = lives.share(|life| life.alarm_at.is_some());
    assert!(share <= 0.01 + 3.0 * share_error(0.01, LIVES), "false alarms: {share}");
}

fn first_and_last_accepted(lives: &Lives) -> (f64, f64) {
    (lives.mean(|life| life.benign_accepted.0), lives.mean(|life| life.benign_accepted.1))
}

#[test]
fn where_a_theory_is_true_it_stays_and_the_guard_learns_to_trust_what_is_harmless() {
    let lives = lives(World::Conjunction, 41);
    // .960 and .975 of 200.
    at_least(lives.share(|life| life.truth_stayed), 1.0 - DELTA, "truth stayed");
    // 3 %, then 89 to 91 %.
    let (first, last) = first_and_last_accepted(&lives);
    within(first, 0.01..=0.06, "accepted at first");
    within(last, 0.80..=0.97, "accepted at last");
    // 6.3 without a guard; .98 to 1.01 with, where 1.0 is the background.
    within(lives.mean(|life| life.harms_per_mille_unguarded), 6.0..=6.7, "harms without a guard");
    within(lives.mean(|life| life.harms_per_mille), 0.85..=1.15, "harms");
    the_alarm_is_false_at_most_once_in_a_hundred(&lives);
}

#[test]
fn where_nothing_is_dangerous_trust_comes_slowly() {
    let lives = lives(World::Quiet, 42);
    // .99.
    at_least(lives.share(|life| life.truth_stayed), 1.0 - DELTA, "truth stayed");
    // 1.4 %, then 24 %.
    let (first, last) = first_and_last_accepted(&lives);
    within(first, 0.005..=0.03, "accepted at first");
    within(last, 0.18..=0.32, "accepted at last");
    the_alarm_is_false_at_most_once_in_a_hundred(&lives);
}

#[test]
fn two_conjunctions_which_no_theory_is_leave_no_theory_in_the_set() {
    let lives = lives(World::TwoConjunctions, 43);
    // 95 of 100 sets became empty, at request 8,700 in the median; 15.2 harms without a guard, 3.9 to 4.1 with.
    at_least(lives.share(|life| life.empty_at.is_some()), 0.95, "set empty");
    let median = lives.median(|life| life.empty_at).unwrap();
    assert!((5_000..13_000).contains(&median), "median {median}");
    within(lives.mean(|life| life.harms_per_mille), 3.0..=6.5, "harms, of 15 without a guard");
    nothing_passes_once_closed(&lives);
}

#[test]
fn after_a_drift_the_guard_closes() {
    let lives = lives(World::Drift, 44);
    // 96 of 100, some 1,200 requests after the change; 12.6 harms without a guard, 4.4 with.
    at_least(lives.share(|life| life.closed_at().is_some()), 0.96, "closed");
    let median = lives.median(Life::closed_at).unwrap();
    assert!((CHANGE_AT..CHANGE_AT + 2_500).contains(&median), "median {median}");
    within(lives.mean(|life| life.harms_per_mille), 3.0..=5.5, "harms, of 12.6 without a guard");
    nothing_passes_once_closed(&lives);
}

#[test]
fn harm_by_a_hidden_factor_raises_the_alarm() {
    let lives = lives(World::Hidden, 45);
    // 67 to 69 % alarms, some 590 requests after the onset; with bets that begin at every event it is all of
    // them, sooner.
    at_least(lives.share(|life| life.alarm_at.is_some()), 0.95, "alarm");
    let median = lives.median(|life| life.alarm_at).unwrap();
    assert!((CHANGE_AT..CHANGE_AT + 590).contains(&median), "median {median}");
    // 36 harms without a guard, 8.1 to 8.2 with.
    within(lives.mean(|life| life.harms_per_mille_unguarded), 34.0..=38.0, "harms without a guard");
    within(lives.mean(|life| life.harms_per_mille), 3.0..=8.2, "harms");
    nothing_passes_once_closed(&lives);
}

#[test]
fn harm_that_goes_unreported_breaks_the_promise_and_the_known_rate_restores_it() {
    let stayed = |reported, known| {
        let lives = lives(World::Unreported { reported, known }, 46);
        the_alarm_is_false_at_most_once_in_a_hundred(&lives);
        lives.share(|life| life.truth_stayed)
    };
    // .835 and .935 of 200 without the rate, .980 with it.
    within(stayed(60, false), 0.75..=0.99, "truth stayed, four harms in ten unreported and ignored");
    at_least(stayed(60, true), 1.0 - DELTA, "truth stayed, four harms in ten unreported and known");
    let broken = stayed(20, false);
    assert!(broken < 0.5, "eight harms in ten unreported and ignored: {broken}");
    at_least(stayed(20, true), 1.0 - DELTA, "truth stayed, eight harms in ten unreported and known");
}

/// In lives that closed before the last requests, none of those passed.
fn nothing_passes_once_closed(lives: &Lives) {
    let closed = lives.0.iter().filter(|life| life.closed_at().is_some_and(|at| at < 18_000));
    assert!(closed.clone().count() > LIVES / 2);
    assert!(closed.clone().all(|life| life.benign_accepted.1 == 0.0));
}
