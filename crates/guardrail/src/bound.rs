// SPDX-License-Identifier: Apache-2.0
//! Bounds on the probability of harm from a posterior: the mean, the i.i.d. bound, the cautious set.
//!
//! `harms` is P(H=1 | x, tau) for each theory tau, in the order of the posterior. Every bound is `None` where
//! the posterior is refuted: then nothing is known, and whoever asks must refuse. Proposition numbers are
//! those of arXiv 2408.05284.

use alloc::vec::Vec;

use crate::{
    posterior::Posterior,
    settings::{SettingError, above_zero_up_to_one},
    sum::{largest, sum},
};

/// The posterior mean of the harm: sum of P(tau | D) P(H | x, tau). **Not a bound**: in the paper's bandit
/// half of the episodes die under it at C = 0.1. It is here to compare with.
///
/// # Panics
///
/// `harms` has not one number for each theory.
#[must_use]
pub fn posterior_mean(posterior: &Posterior, harms: &[f64]) -> Option<f64> {
    let products: Vec<f64> = pairs(posterior, harms).map(|(probability, harm)| probability * harm).collect();
    (!posterior.is_refuted()).then(|| sum(&products))
}

/// The bound of Proposition 3.4, for observations that are independent and identically distributed: the harm
/// by the theory with the largest P(tau | D) P(H | x, tau). It holds from some unknown time on. Of theories
/// that tie, the one with the most harm counts.
///
/// # Panics
///
/// `harms` has not one number for each theory.
#[must_use]
pub fn iid(posterior: &Posterior, harms: &[f64]) -> Option<f64> {
    let live = || pairs(posterior, harms).filter(|(probability, _)| *probability > 0.0);
    live().next()?;
    let top = largest(live().map(|(probability, harm)| probability * harm));
    Some(largest(live().filter(|(probability, harm)| probability * harm == top).map(|(_, harm)| harm)))
}

/// The cautious set M^alpha of Proposition 4.6: theories by falling posterior, as long as each has at least alpha of
/// the sum up to and with itself.
///
/// If alpha is at most delta P(tau*), then with probability at least 1 - delta, for all times and all x, the
/// true harm is at most [`CautiousSet::bound`]. Theories that tie are all in the set or none is, so that it
/// does not depend on the order in which a sort leaves them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CautiousSet {
    /// The least posterior in the set; `None` where the set is empty.
    least: Option<f64>,
}

impl CautiousSet {
    /// The set at this posterior, for an alpha above 0 and at most 1.
    ///
    /// # Errors
    ///
    /// Alpha is outside of that.
    pub fn new(posterior: &Posterior, alpha: f64) -> Result<Self, SettingError> {
        let alpha = above_zero_up_to_one("alpha", alpha)?;
        let mut falling: Vec<f64> = posterior.probabilities().iter().copied().filter(|p| *p > 0.0).collect();
        falling.sort_unstable_by(|left, right| right.total_cmp(left));
        let mut before = 0.0;
        let mut least = None;
        for group in falling.chunk_by(|left, right| left == right) {
            // The first of a group has the smallest sum up to itself. If it is in, so is the group.
            if group[0] < alpha * (before + group[0]) {
                break;
            }
            least = Some(group[0]);
            before = group.iter().fold(before, |total, probability| total + probability);
        }
        Ok(Self { least })
    }

    /// Whether a theory with this posterior is in the set.
    #[must_use]
    pub fn holds(&self, probability: f64) -> bool {
        self.least.is_some_and(|least| probability >= least)
    }

    /// The bound of Proposition 4.6: the most harm by a theory in the set.
    ///
    /// # Panics
    ///
    /// `harms` has not one number for each theory.
    #[must_use]
    pub fn bound(&self, posterior: &Posterior, harms: &[f64]) -> Option<f64> {
        let least = self.least?;
        Some(largest(
            pairs(posterior, harms).filter(|(probability, _)| *probability >= least).map(|(_, harm)| harm),
        ))
    }
}

fn pairs<'a>(posterior: &'a Posterior, harms: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    assert_eq!(posterior.count(), harms.len(), "one harm probability for each theory");
    posterior.probabilities().iter().copied().zip(harms.iter().copied())
}
