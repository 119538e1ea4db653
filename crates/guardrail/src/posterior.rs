// SPDX-License-Identifier: Apache-2.0
//! The posterior over a finite set of theories.

use alloc::vec::Vec;

use thiserror::Error;

use crate::sum::{NEGLIGIBLE, sum, sum_while};

/// How many theories a posterior may range over.
pub const THEORIES_MAX: usize = 1 << 16;
/// The largest likelihood; a density may be above one, but not so large that products leave the range of numbers.
pub const LIKELIHOOD_MAX: f64 = 1e100;

/// Why weights make no prior.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PriorError {
    /// None, or more than [`THEORIES_MAX`].
    #[error("{0} theories; there must be at least one and at most {THEORIES_MAX}")]
    Count(usize),
    /// A weight that is not a positive number, or one so small beside the others that it is none.
    #[error("the weight {0} is not a positive number of a size like the others'")]
    Weight(f64),
}

/// A likelihood that is none.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LikelihoodError {
    /// One for each theory is needed.
    #[error("{given} likelihoods for {theories} theories; give one for each")]
    Count {
        /// How many were given.
        given: usize,
        /// How many theories there are.
        theories: usize,
    },
    /// Negative, not a number, or above [`LIKELIHOOD_MAX`].
    #[error("the likelihood {0} is not a number from 0 to {LIKELIHOOD_MAX:e}")]
    Value(f64),
}

/// P(tau | D) for each theory tau, with the prior it began with.
///
/// Updates multiply and renormalise in `f64`, with the four basic operations and comparisons alone, so that the same
/// evidence in the same order gives the same bits on every platform. The sum that normalises does not depend on the
/// order of the theories. What falls below 1e-290 becomes zero. Where no theory can explain the evidence, all are
/// zero: the posterior is [refuted](Posterior::is_refuted), and every bound is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    prior: Vec<f64>,
    probabilities: Vec<f64>,
    updates: u64,
}

impl Posterior {
    /// The posterior before any evidence; the weights are scaled to sum to one.
    ///
    /// # Errors
    ///
    /// No weight, too many, or one that is not a positive number.
    pub fn new(weights: &[f64]) -> Result<Self, PriorError> {
        if weights.is_empty() || weights.len() > THEORIES_MAX {
            return Err(PriorError::Count(weights.len()));
        }
        if let Some(wrong) = weights.iter().find(|weight| !(**weight > 0.0 && **weight <= LIKELIHOOD_MAX)) {
            return Err(PriorError::Weight(*wrong));
        }
        let total = sum(weights);
        let prior: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        if let Some(at) = prior.iter().position(|share| *share <= 1e-100) {
            return Err(PriorError::Weight(weights[at]));
        }
        Ok(Self { probabilities: prior.clone(), prior, updates: 0 })
    }

    /// How many theories there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.prior.len()
    }

    /// P(tau), which sums to one.
    #[must_use]
    pub fn prior(&self) -> &[f64] {
        &self.prior
    }

    /// P(tau | D), which sums to one, or is all zero where the posterior is refuted.
    #[must_use]
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// How many pieces of evidence came in.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether no theory is left that could explain the evidence.
    #[must_use]
    pub fn is_refuted(&self) -> bool {
        self.probabilities.iter().all(|probability| *probability == 0.0)
    }

    /// Takes in one observation: P(tau | D, z) is proportional to P(tau | D) P(z | tau).
    ///
    /// # Errors
    ///
    /// Not one likelihood for each theory, or one that is no number from 0 to [`LIKELIHOOD_MAX`]; nothing has
    /// changed.
    pub fn update(&mut self, likelihoods: &[f64]) -> Result<(), LikelihoodError> {
        if likelihoods.len() != self.count() {
            return Err(LikelihoodError::Count { given: likelihoods.len(), theories: self.count() });
        }
        if let Some(wrong) =
            likelihoods.iter().find(|likelihood| !(0.0..=LIKELIHOOD_MAX).contains(*likelihood))
        {
            return Err(LikelihoodError::Value(*wrong));
        }
        for (probability, likelihood) in self.probabilities.iter_mut().zip(likelihoods) {
            *probability *= likelihood;
        }
        self.normalise(sum(&self.probabilities));
        Ok(())
    }

    /// The same with a likelihood, from 0 to 1, made of the harm by each theory.
    pub(crate) fn learn(&mut self, harms: impl Iterator<Item = f64>, likelihood: impl Fn(f64) -> f64) {
        let total =
            sum_while(&mut self.probabilities, harms, |probability, harm| probability * likelihood(harm));
        self.normalise(total);
    }

    fn normalise(&mut self, total: f64) {
        // Where the total is negligible, so is every probability, and all become zero.
        let factor = if total < NEGLIGIBLE { 0.0 } else { 1.0 / total };
        for probability in &mut self.probabilities {
            let scaled = *probability * factor;
            *probability = if scaled < NEGLIGIBLE { 0.0 } else { scaled };
        }
        self.updates = self.updates.saturating_add(1);
    }
}
