// SPDX-License-Identifier: Apache-2.0
//! What another implementation of the exploding bandit measured, 10,000 episodes a cell, with whole tie groups.

use super::bandit::Guardrail;

/// Episodes behind each number.
pub(crate) const EPISODES: usize = 10_000;
/// The thresholds of the table's columns.
pub(crate) const THRESHOLDS: [f64; 3] = [0.001, 0.01, 0.1];
/// The alphas of the table's rows: those at which the order of ties does not matter.
pub(crate) const ALPHAS: [f64; 4] = [1e-5, 3e-5, 1e-4, 3e-4];
/// The delta of the ratio set's row.
pub(crate) const DELTA: f64 = 0.05;

/// A cell of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// Mean reward of an episode.
    pub(crate) reward: f64,
    /// Two standard errors of it, where they were given.
    pub(crate) reward_two_errors: Option<f64>,
    /// Share of episodes that exploded.
    pub(crate) deaths: f64,
}

/// The cell for a guardrail and a threshold, where there is one.
pub(crate) fn cell(guardrail: Guardrail, threshold: f64) -> Option<Cell> {
    let column = THRESHOLDS.iter().position(|known| *known == threshold)?;
    let given = |cells: [(f64, f64, f64); 3]| {
        let (reward, two_errors, deaths) = cells[column];
        Some(Cell { reward, reward_two_errors: Some(two_errors), deaths })
    };
    let cautious = |cells: [(f64, Option<f64>, f64); 3]| {
        let (reward, reward_two_errors, deaths) = cells[column];
        Some(Cell { reward, reward_two_errors, deaths })
    };
    match guardrail {
        Guardrail::None => given([(16.18, 0.26, 0.860), (16.18, 0.26, 0.870), (16.03, 0.26, 0.874)]),
        Guardrail::Cheating => given([(-0.01, 0.06, 0.0001), (16.42, 0.22, 0.0206), (32.15, 0.28, 0.293)]),
        Guardrail::Posterior => given([(0.13, 0.03, 0.0001), (5.02, 0.18, 0.0141), (25.4, 0.30, 0.503)]),
        Guardrail::Iid => given([(-0.01, 0.01, 0.0), (1.14, 0.11, 0.0011), (9.47, 0.29, 0.0544)]),
        Guardrail::Cautious(1e-5) => {
            cautious([(-0.01, None, 0.0), (1.15, Some(0.11), 0.0012), (9.08, Some(0.29), 0.0466)])
        }
        Guardrail::Cautious(1e-4) => {
            cautious([(0.0, None, 0.0), (1.10, Some(0.11), 0.0019), (9.22, Some(0.29), 0.0483)])
        }
        Guardrail::Cautious(3e-4) => {
            cautious([(0.0, None, 0.0001), (1.18, Some(0.11), 0.0025), (9.30, Some(0.29), 0.0498)])
        }
        // Of the ratio set one cell was written down.
        Guardrail::Ratio(0.05) if threshold == 0.1 => {
            Some(Cell { reward: 9.45, reward_two_errors: None, deaths: 0.0522 })
        }
        Guardrail::Cautious(_) | Guardrail::Ratio(_) => None,
    }
}

/// Of the run with random arms: alpha, the share of pulls with a bound at least the true harm, the share of
/// episodes with the truth in the set at all times.
pub(crate) const TIGHTNESS: [(f64, f64, f64); 4] =
    [(1e-5, 1.0, 0.9956), (3e-5, 1.0, 0.9908), (1e-4, 0.9999, 0.9645), (3e-4, 0.9997, 0.8884)];

/// Of the runs under a harm budget alone, with the ratio set at [`BUDGET_DELTA`]: budget, reward, share of deaths.
pub(crate) const BUDGETS: [(f64, f64, f64); 4] =
    [(0.02, 0.73, 0.0009), (0.05, 1.53, 0.0056), (0.1, 2.59, 0.0116), (0.2, 3.85, 0.0321)];
/// The delta of those runs.
pub(crate) const BUDGET_DELTA: f64 = 0.01;

/// Of the cautious set at C = 0.1 with alphas so large that nothing is promised: alpha, reward, share of deaths.
pub(crate) const LARGE_ALPHAS: [(f64, f64, f64); 3] =
    [(1e-2, 9.95, 0.059), (1e-1, 9.78, 0.066), (1.0, 9.43, 0.069)];
