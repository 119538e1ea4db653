// SPDX-License-Identifier: Apache-2.0
//! The harm budget: turns a bound on each request into a bound on a whole window.

use thiserror::Error;

use crate::settings::{SettingError, at_least_zero};

/// A bound that no longer fits.
#[derive(Debug, Clone, PartialEq, Error)]
#[error(
    "the bound {bound} does not fit into the harm budget: {used} of {limit} are used; wait for the next window"
)]
pub struct OverBudget {
    /// The bound of the request.
    pub bound: f64,
    /// What was used before.
    pub used: f64,
    /// The budget.
    pub limit: f64,
}

/// What a tenant may use in a window of time: the sum of the bounds of all that was let pass is at most the limit B.
///
/// A threshold for each request alone bounds nothing over a long session. With the budget, on the event that
/// the bounds hold (probability at least 1 - delta) the expected number of harms in the window is at most B,
/// so the probability of any harm is at most delta + B (union bound).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HarmBudget {
    limit: f64,
    used: f64,
}

impl HarmBudget {
    /// A fresh budget for one window, in expected harms.
    ///
    /// # Errors
    ///
    /// The limit is not a number that is at least 0.
    pub fn new(limit: f64) -> Result<Self, SettingError> {
        Self::with_used(limit, 0.0)
    }

    /// A budget of which something is used already, as it was kept somewhere.
    ///
    /// # Errors
    ///
    /// A number is not at least 0.
    pub fn with_used(limit: f64, used: f64) -> Result<Self, SettingError> {
        Ok(Self { limit: at_least_zero("budget limit", limit)?, used: at_least_zero("budget used", used)? })
    }

    /// The budget, B.
    #[must_use]
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// The sum of the bounds that passed.
    #[must_use]
    pub fn used(&self) -> f64 {
        self.used
    }

    /// Whether a request with this bound still fits.
    #[must_use]
    pub fn covers(&self, bound: f64) -> bool {
        self.used + bound <= self.limit
    }

    /// Uses a bound up. To be called for what really goes ahead, before it does: a request that a rule refuses
    /// after all uses nothing.
    ///
    /// # Errors
    ///
    /// It does not fit, or is no number that is at least 0; nothing is used, and the request must not go ahead.
    pub fn spend(&mut self, bound: f64) -> Result<(), OverBudget> {
        if !(bound >= 0.0 && self.covers(bound)) {
            return Err(OverBudget { bound, used: self.used, limit: self.limit });
        }
        self.used += bound;
        Ok(())
    }
}
