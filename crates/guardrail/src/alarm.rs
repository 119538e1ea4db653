// SPDX-License-Identifier: Apache-2.0
//! The alarm: an e-process against "the bounds were valid", for when all theories are wrong.

/// The stakes lambda that run side by side. Small ones find a small excess of harm, large ones a large excess soon.
pub const STAKES: [f64; 8] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
/// From this e-value on the bounds are refuted: where they are valid, that ever happens with probability at most 1 %.
pub const REFUTED_AT: f64 = 100.0;

/// A bet against the bounds. Where each accepted event harms with probability at most its bound b, given all
/// before it,
///
/// E = mean over stakes lambda and onsets s of the product over events i from s on of 1 + lambda (h_i - b_i)
///
/// is a non-negative supermartingale that begins at 1, so by Ville's inequality it ever reaches 100 with
/// probability at most 1 %. That needs no theory to be true, but labels of accepted events that report no
/// harm where there was none. Harm that goes unreported makes E smaller: it can hide a failure and never
/// feigns one.
///
/// The onset of weight 1/(s (s+1)) is when the bet begins. Without it, a long quiet time under cautious
/// bounds uses up the capital of every stake, and a failure that begins late is found late or not at all. A
/// stake is at most 1/(2b).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    events: u64,
    /// The capital of each stake, over the onsets so far.
    capital: [f64; STAKES.len()],
    e_value: f64,
    raised: bool,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { events: 0, capital: [0.0; STAKES.len()], e_value: 1.0, raised: false }
    }
}

impl Alarm {
    /// Takes in an accepted event, with the bound it was accepted under and whether harm was reported. Once
    /// raised, the alarm stays.
    pub fn observe(&mut self, bound: f64, harmed: bool) {
        if self.raised {
            return;
        }
        self.events = self.events.saturating_add(1);
        let number = self.events as f64;
        let begun = 1.0 / (number * (number + 1.0));
        let excess = if harmed { 1.0 - bound } else { -bound };
        for (capital, stake) in self.capital.iter_mut().zip(STAKES) {
            let stake = if 2.0 * stake * bound > 1.0 { 1.0 / (2.0 * bound) } else { stake };
            // The factor is at least one half.
            *capital = (*capital + begun) * (1.0 + stake * excess);
        }
        // The onsets that are still to come keep their share of the capital, which is 1/(n+1) after n events.
        let mean = self.capital.iter().fold(0.0, |total, capital| total + capital) / STAKES.len() as f64;
        self.e_value = mean + 1.0 / (number + 1.0);
        self.raised = self.e_value >= REFUTED_AT;
    }

    /// E now, or when the alarm was raised.
    #[must_use]
    pub fn e_value(&self) -> f64 {
        self.e_value
    }

    /// Whether the bounds are refuted.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.raised
    }

    /// How many accepted events came in.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The capital of each stake, for the record of the state.
    #[must_use]
    pub fn capital(&self) -> &[f64] {
        &self.capital
    }
}
