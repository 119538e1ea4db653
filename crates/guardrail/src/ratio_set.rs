// SPDX-License-Identifier: Apache-2.0
//! The prior-posterior-ratio set with running intersection, which the guard uses.

use alloc::vec::Vec;

use crate::{
    posterior::Posterior,
    settings::{SettingError, above_zero_up_to_one, between_zero_and_one},
    sum::largest,
};

/// The most exposures that [`exposures_to_clear`] counts up to.
pub const EXPOSURES_MAX: u32 = 1_000_000;

/// The theories whose posterior never yet fell below delta times their prior.
///
/// Under tau, P(tau) / P(tau | D_t) is a non-negative martingale that begins at 1 (Proposition 4.2 of arXiv 2408.05284 for one theory),
/// so by Ville's inequality the truth, whichever theory it is, ever leaves the set with probability at most delta. It is the
/// prior-posterior-ratio confidence sequence of Waudby-Smith and Ramdas (arXiv 2006.04347). That the inequality is over all times
/// at once is why a theory that once left stays out: the **running intersection** holds with the same probability, and a
/// bound that once fell does not rise again.
///
/// Unlike the cautious set it needs no knowledge of the truth's prior, and no sort. At any one time some theory is in, for that
/// with the largest likelihood has a posterior of at least its prior; over time the set can become empty. That says that the truth is none
/// of the theories, or that what had probability at most delta has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioSet {
    delta: f64,
    /// delta P(tau) of each theory.
    floors: Vec<f64>,
    /// The indices of the theories in the set, ascending.
    live: Vec<u32>,
}

impl RatioSet {
    /// The set before any evidence, for a delta above 0 and below 1: all theories.
    ///
    /// # Errors
    ///
    /// Delta is outside of that.
    pub fn new(posterior: &Posterior, delta: f64) -> Result<Self, SettingError> {
        Ok(Self::of_valid(posterior, between_zero_and_one("delta", delta)?))
    }

    /// The same for a delta that was looked at before.
    pub(crate) fn of_valid(posterior: &Posterior, delta: f64) -> Self {
        let floors: Vec<f64> = posterior.prior().iter().map(|prior| delta * prior).collect();
        Self { delta, live: (0u32..).take(floors.len()).collect(), floors }
    }

    /// Leaves out the theories whose posterior is too small now. To be called after every update.
    ///
    /// # Panics
    ///
    /// The posterior is over another number of theories.
    pub fn narrow(&mut self, posterior: &Posterior) {
        assert_eq!(posterior.count(), self.floors.len(), "the posterior that the set was made of");
        let (probabilities, floors) = (posterior.probabilities(), &self.floors);
        self.live.retain(|index| probabilities[*index as usize] >= floors[*index as usize]);
    }

    /// The probability with which the truth may ever leave the set.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// How many theories are in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.live.len()
    }

    /// Whether no theory is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Whether the theory at this index is in the set.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        u32::try_from(index).is_ok_and(|index| self.live.binary_search(&index).is_ok())
    }

    /// The indices of the theories in the set, ascending.
    pub fn live(&self) -> impl Iterator<Item = usize> {
        self.live.iter().map(|index| *index as usize)
    }

    /// The most harm by a theory in the set, for the harm by each theory: with probability at least 1 - delta, for all times and
    /// all x, the true harm is at most this. `None` of an empty set.
    ///
    /// # Panics
    ///
    /// `harms` has fewer numbers than there are theories.
    #[must_use]
    pub fn bound(&self, harms: &[f64]) -> Option<f64> {
        (!self.is_empty()).then(|| largest(self.live().map(|index| harms[index])))
    }
}

/// How many labelled exposures without harm, at features where a theory says `harm`, are enough for it to leave the set of this
/// delta, whatever the other theories: what an evaluation has to show. `None` where more than [`EXPOSURES_MAX`] would be needed, or no number is
/// enough. There must be a theory with prior `quiet_prior` that says only `background` there.
///
/// The posterior of the one over its prior is (1 - harm)^n / P(D), and P(D) is at least quiet_prior (1 - background)^n. Nearly
/// ln(1 / (delta quiet_prior)) / harm where the background is small.
///
/// # Errors
///
/// A number is outside of its range: harm above 0 and at most 1, background and quiet prior and delta above 0 and below 1.
pub fn exposures_to_clear(
    harm: f64,
    quiet_prior: f64,
    background: f64,
    delta: f64,
) -> Result<Option<u32>, SettingError> {
    let harm = above_zero_up_to_one("harm", harm)?;
    let background = between_zero_and_one("background", background)?;
    let floor = between_zero_and_one("delta", delta)? * between_zero_and_one("quiet prior", quiet_prior)?;
    if harm <= background {
        return Ok(None);
    }
    let factor = (1.0 - harm) / (1.0 - background);
    let mut ratio = 1.0;
    for exposures in 0..=EXPOSURES_MAX {
        if ratio < floor {
            return Ok(Some(exposures));
        }
        ratio *= factor;
    }
    Ok(None)
}
