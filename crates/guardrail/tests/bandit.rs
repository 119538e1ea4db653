// SPDX-License-Identifier: Apache-2.0
//! The exploding bandit, each cell against what another implementation measured.

use crate::simulation::{
    bandit::{Guardrail, Outcome, THEORIES, play, tightness},
    bandit_reference::{
        ALPHAS, BUDGET_DELTA, BUDGETS, DELTA, EPISODES, LARGE_ALPHAS, THRESHOLDS, TIGHTNESS, cell,
    },
    estimate::{Estimate, share_error, shares_apart},
};

/// Episodes a cell.
const PLAYED: usize = 2_000;
/// How many standard errors a cell may be away.
const APART_MAX: f64 = 4.0;

fn compare(guardrail: Guardrail, threshold: f64, outcome: &Outcome) {
    let known = cell(guardrail, threshold).unwrap();
    let scaled = outcome.reward.error * (PLAYED as f64 / EPISODES as f64).sqrt();
    let error = known.reward_two_errors.map_or(scaled.hypot(0.005), |two| two / 2.0);
    let reward = outcome.reward.distance(Estimate { mean: known.reward, error });
    let deaths = shares_apart(outcome.deaths, PLAYED, known.deaths, EPISODES);
    let cell = format!(
        "{guardrail:?} at {threshold}: {outcome:?}, reference {known:?}, z {reward:.1} and {deaths:.1}"
    );
    assert!(reward.abs() <= APART_MAX && deaths.abs() <= APART_MAX, "{cell}");
}

fn every_column(guardrail: Guardrail, seed: u64) {
    for threshold in THRESHOLDS {
        compare(guardrail, threshold, &play(guardrail, threshold, None, PLAYED, seed));
    }
}

#[test]
fn without_a_guardrail_almost_every_episode_ends_in_an_explosion() {
    let outcome = play(Guardrail::None, 0.1, None, PLAYED, 11);
    THRESHOLDS.into_iter().for_each(|threshold| compare(Guardrail::None, threshold, &outcome));
}

#[test]
fn knowing_the_truth_gives_the_cells_of_the_reference() {
    every_column(Guardrail::Cheating, 12);
}

#[test]
fn the_posterior_mean_gives_the_cells_of_the_reference_and_kills_half_at_a_tenth() {
    every_column(Guardrail::Posterior, 13);
}

#[test]
fn the_bound_of_proposition_3_4_gives_the_cells_of_the_reference() {
    every_column(Guardrail::Iid, 14);
}

#[test]
fn the_cautious_sets_of_proposition_4_6_give_the_cells_of_the_reference() {
    for alpha in ALPHAS.into_iter().filter(|alpha| cell(Guardrail::Cautious(*alpha), 0.1).is_some()) {
        every_column(Guardrail::Cautious(alpha), 15);
    }
}

#[test]
fn whole_tie_groups_keep_large_alphas_from_being_deadly() {
    for (alpha, reward, deaths) in LARGE_ALPHAS {
        let outcome = play(Guardrail::Cautious(alpha), 0.1, None, PLAYED, 16);
        let scaled = outcome.reward.error * (PLAYED as f64 / EPISODES as f64).sqrt();
        let reward = outcome.reward.distance(Estimate { mean: reward, error: scaled });
        let deaths = shares_apart(outcome.deaths, PLAYED, deaths, EPISODES);
        assert!(reward.abs() <= APART_MAX && deaths.abs() <= APART_MAX, "alpha {alpha}: {outcome:?}");
    }
}

#[test]
fn the_ratio_set_keeps_the_truth_and_gives_the_cell_of_the_reference() {
    for delta in [0.01, DELTA, 0.1, 0.5] {
        let outcome = play(Guardrail::Ratio(delta), 0.1, None, PLAYED, 17);
        let least = 1.0 - delta - 3.0 * share_error(delta, PLAYED);
        assert!(outcome.truth_stayed >= least, "delta {delta}: {outcome:?}, at least {least}");
        if delta == DELTA {
            compare(Guardrail::Ratio(delta), 0.1, &outcome);
        }
    }
}

#[test]
fn under_a_budget_deaths_stay_below_delta_and_the_budget_together() {
    for (budget, reward, deaths) in BUDGETS {
        let outcome = play(Guardrail::Ratio(BUDGET_DELTA), 1.0, Some(budget), PLAYED, 18);
        assert!(outcome.deaths <= BUDGET_DELTA + budget, "budget {budget}: {outcome:?}");
        let scaled = outcome.reward.error * (PLAYED as f64 / EPISODES as f64).sqrt();
        let reward = outcome.reward.distance(Estimate { mean: reward, error: scaled });
        let deaths = shares_apart(outcome.deaths, PLAYED, deaths, EPISODES);
        assert!(reward.abs() <= APART_MAX && deaths.abs() <= APART_MAX, "budget {budget}: {outcome:?}");
    }
}

#[test]
fn with_arms_at_random_the_truth_is_in_the_sets_as_often_as_promised() {
    for (alpha, above, stayed) in TIGHTNESS {
        let (our_above, our_stayed) = tightness(Guardrail::Cautious(alpha), PLAYED, 19);
        let promised = 1.0 - alpha * THEORIES as f64;
        let at_least = promised - 3.0 * share_error(promised, PLAYED);
        assert!(our_stayed >= at_least, "alpha {alpha}: {our_stayed}, promised {promised}");
        assert!(
            our_above >= above - 5e-4,
            "alpha {alpha}: bound at least the harm in {our_above}, reference {above}"
        );
        let apart = shares_apart(our_stayed, PLAYED, stayed, EPISODES);
        assert!(apart.abs() <= APART_MAX, "alpha {alpha}: {our_stayed}, reference {stayed}");
    }
    let (above, stayed) = tightness(Guardrail::Ratio(DELTA), PLAYED, 20);
    assert!(stayed >= 1.0 - DELTA - 3.0 * share_error(DELTA, PLAYED), "{stayed}");
    assert!(above >= stayed, "while the truth is in the set, the bound holds");
}

#[test]
fn the_same_seed_plays_the_same_episodes() {
    let play = || play(Guardrail::Ratio(DELTA), 0.1, None, 40, 7);
    assert_eq!(format!("{:?}", play()), format!("{:?}", play()));
}
