// SPDX-License-Identifier: Apache-2.0
//! The prior-posterior-ratio set with running intersection, which the guard uses.

use alloc::vec::Vec;

use crate::{
    posterior::Posterior,
    settings::{SettingError, above_zero_up_to_one, between_zero_and_one, delta_in_range},
    sum::largest,
};

/// The most exposures that [`exposures_to_clear`] counts up to.
pub const EXPOSURES_MAX: u32 = 1_000_000;

/// The theories whose posterior never yet fell below delta times their prior.
///
/// Under tau, P(tau) / P(tau | D_t) is a non-negative martingale that begins at 1 (Proposition 4.2 of arXiv
/// 2408.05284 for one theory), so by Ville's inequality the truth, whichever theory it is, ever leaves the
/// set with probability at most delta. It is the prior-posterior-ratio confidence sequence of Waudby-Smith
/// and Ramdas (arXiv 2006.04347). That the inequality is over all times at once is why a theory that once
/// left stays out: the **running intersection** holds with the same probability, and a bound that once fell
/// does not rise again.
///
/// Unlike the cautious set it needs no knowledge of the truth's prior, and no sort. At any one time some
/// theory is in, for that with the largest likelihood has a posterior of at least its prior; over time the
/// set can become empty. That says that the truth is none of the theories, or that what had probability at
/// most delta has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioSet {
    delta: f64,
    /// delta P(tau) of each theory in the set, and 0 of those that left, so that no posterior is below it.
    floors: Vec<f64>,
    /// How many theories are in the set.
    count: usize,
}

impl RatioSet {
    /// The set before any evidence, for a delta from 1e-100 to below 1: all theories.
    ///
    /// # Errors
    ///
    /// Delta is outside of that.
    pub fn new(posterior: &Posterior, delta: f64) -> Result<Self, SettingError> {
        Ok(Self::of_valid(posterior, delta_in_range(delta)?))
    }

    /// The same for a delta that was looked at before.
    pub(crate) fn of_valid(posterior: &Posterior, delta: f64) -> Self {
        let floors: Vec<f64> = posterior.prior().iter().map(|prior| delta * prior).collect();
        Self { delta, count: floors.len(), floors }
    }

    /// Leaves out the theories whose posterior is too small now. To be called after every update.
    ///
    /// # Panics
    ///
    /// The posterior is over another number of theories.
    pub fn narrow(&mut self, posterior: &Posterior) {
        self.narrow_telling(posterior, |_| {});
    }

    /// The same, telling the index of each theory that leaves.
    pub(crate) fn narrow_telling(&mut self, posterior: &Posterior, mut leaves: impl FnMut(usize)) {
        let probabilities = posterior.probabilities();
        assert_eq!(probabilities.len(), self.floors.len(), "the posterior that the set was made of");
        // Most updates leave nothing out. Counting looks at several theories at once and at no branch.
        let below = probabilities.iter().zip(&self.floors).filter(|(probability, floor)| probability < floor);
        if below.count() == 0 {
            return;
        }
        for (index, (floor, probability)) in self.floors.iter_mut().zip(probabilities).enumerate() {
            if probability < floor {
                *floor = 0.0;
                self.count -= 1;
                leaves(index);
            }
        }
    }

    /// The probability with which the truth may ever leave the set.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// How many theories are in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether no theory is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the theory at this index is in the set.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        self.floors.get(index).is_some_and(|floor| *floor > 0.0)
    }

    /// The indices of the theories in the set, ascending.
    pub fn live(&self) -> impl Iterator<Item = usize> {
        self.floors.iter().enumerate().filter(|(_, floor)| **floor > 0.0).map(|(index, _)| index)
    }

    /// The most harm by a theory in the set, for the harm by each theory: with probability at least 1 -
    /// delta, for all times and all x, the true harm is at most this. `None` of an empty set.
    ///
    /// # Panics
    ///
    /// `harms` has fewer numbers than there are theories.
    #[must_use]
    pub fn bound(&self, harms: &[f64]) -> Option<f64> {
        (!self.is_empty()).then(|| largest(self.live().map(|index| harms[index])))
    }
}

/// How many labelled exposures without harm, at features where a theory says `harm`, are enough for it to
/// leave the set of this delta, whatever the other theories: what an evaluation has to show. `None` where
/// more than [`EXPOSURES_MAX`] would be needed, or no number is enough. There must be theories with a prior
/// of `quiet_prior` together that say at most `background` there.
///
/// The posterior of the one over its prior is (1 - harm)^n / P(D), and P(D) is at least quiet_prior (1 -
/// background)^n. Nearly ln(1 / (delta quiet_prior)) / harm where the background is small.
///
/// # Errors
///
/// A number is outside of its range: harm above 0 and at most 1, background and quiet prior and delta above 0
/// and below 1.
pub fn exposures_to_clear(
    harm: f64,
    quiet_prior: f64,
    background: f64,
    delta: f64,
) -> Result<Option<u32>, SettingError> {
    let harm = above_zero_up_to_one("harm", harm)?;
    let background = between_zero_and_one("background", background)?;
    let floor = delta_in_range(delta)? * between_zero_and_one("quiet prior", quiet_prior)?;
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
