// SPDX-License-Identifier: Apache-2.0
//! The theories column by column, so that a processor can look at several at once.

use alloc::vec::Vec;

use crate::{
    features::Features,
    sum::larger,
    theory::{Clause, Theory},
};

/// Theories as columns: of each its first clause, and the clauses after it of those that have several.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Columns {
    /// The factors of the first clause; none of a quiet theory.
    masks: Vec<u32>,
    /// The harm where they hold.
    levels: Vec<f64>,
    /// The harm elsewhere.
    backgrounds: Vec<f64>,
    /// Further clauses, with the place of their theory in the columns.
    further: Vec<(usize, Clause)>,
}

impl Columns {
    /// The columns of these theories.
    pub(crate) fn of<'a>(theories: impl Iterator<Item = &'a Theory>) -> Self {
        let mut columns = Self::default();
        for (place, theory) in theories.enumerate() {
            let quiet = Clause { factors: Features::NONE, harm: theory.background() };
            let first = theory.clauses().first().copied().unwrap_or(quiet);
            columns.masks.push(first.factors.bits());
            columns.levels.push(larger(first.harm, theory.background()));
            columns.backgrounds.push(theory.background());
            columns.further.extend(theory.clauses().iter().skip(1).map(|clause| (place, *clause)));
        }
        columns
    }

    /// The harm at x by the first clause of each theory: P(H=1 | x, tau), where no further clause holds.
    pub(crate) fn first_harms(&self, x: Features) -> impl Iterator<Item = f64> {
        let columns = self.masks.iter().zip(&self.levels).zip(&self.backgrounds);
        columns.map(
            move |((mask, level), background)| if x.bits() & mask == *mask { *level } else { *background },
        )
    }

    /// P(H=1 | x, tau) of each theory.
    pub(crate) fn harms(&self, x: Features) -> Vec<f64> {
        let mut harms: Vec<f64> = self.first_harms(x).collect();
        for (place, clause) in self.further_holding(x) {
            harms[place] = larger(harms[place], clause.harm);
        }
        harms
    }

    /// The clauses after the first that hold at x, with the place of their theory.
    pub(crate) fn further_holding(&self, x: Features) -> impl Iterator<Item = (usize, Clause)> {
        self.further.iter().copied().filter(move |(_, clause)| x.includes(clause.factors))
    }

    /// The factors of the first clause of each theory, as bits.
    pub(crate) fn masks(&self) -> &[u32] {
        &self.masks
    }

    /// The harm by each theory where these hold.
    pub(crate) fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The harm by each theory elsewhere.
    pub(crate) fn backgrounds(&self) -> &[f64] {
        &self.backgrounds
    }
}
