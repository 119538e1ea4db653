// SPDX-License-Identifier: Apache-2.0
//! One theory of where harm comes from.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::cmp::Ordering;

use thiserror::Error;

use crate::{
    features::{Factors, Features},
    sum::larger,
};

/// "Where all these factors hold, harm comes with this probability."
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clause {
    /// The factors that must all hold.
    pub factors: Features,
    /// The probability of harm where they do, from 0 to 1.
    pub harm: f64,
}

/// Why clauses do not make a theory.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TheoryError {
    /// Not a probability.
    #[error("{0} is not a probability; give a number from 0 to 1")]
    NotAProbability(f64),
    /// More clauses than a theory may have.
    #[error("{0} clauses are more than {max}; split the theory", max = Theory::CLAUSES_MAX)]
    TooManyClauses(usize),
}

/// A theory of harm: a background everywhere, and more where one of its clauses holds. More factors never mean less
/// harm (the theory is monotone), which is why a fact that is left out cannot make a request look safer.
#[derive(Debug, Clone, PartialEq)]
pub struct Theory {
    background: f64,
    /// Sorted, so that equal theories are equal values.
    clauses: Vec<Clause>,
}

impl Theory {
    /// How many clauses a theory may have.
    pub const CLAUSES_MAX: usize = 16;

    /// "Nothing here is dangerous beyond the background", a probability.
    ///
    /// # Errors
    ///
    /// The background is no probability.
    pub fn quiet(background: f64) -> Result<Self, TheoryError> {
        Self::new(background, Vec::new())
    }

    /// "Where all these factors hold, harm comes with this probability; elsewhere with the background's."
    ///
    /// # Errors
    ///
    /// A number is no probability.
    pub fn conjunction(factors: Features, harm: f64, background: f64) -> Result<Self, TheoryError> {
        Self::new(background, [Clause { factors, harm }].to_vec())
    }

    /// A theory written by hand, for example after an incident: where several clauses hold, the worst of them counts.
    ///
    /// # Errors
    ///
    /// A number is no probability, or there are more than [`Theory::CLAUSES_MAX`] clauses.
    pub fn new(background: f64, mut clauses: Vec<Clause>) -> Result<Self, TheoryError> {
        if clauses.len() > Self::CLAUSES_MAX {
            return Err(TheoryError::TooManyClauses(clauses.len()));
        }
        let mut numbers = clauses.iter().map(|clause| clause.harm).chain([background]);
        if let Some(wrong) = numbers.find(|number| !(0.0..=1.0).contains(number)) {
            return Err(TheoryError::NotAProbability(wrong));
        }
        clauses.sort_by(compare_clauses);
        Ok(Self { background, clauses })
    }

    /// The probability of harm where nothing else is said.
    #[must_use]
    pub fn background(&self) -> f64 {
        self.background
    }

    /// Where there is more harm than the background.
    #[must_use]
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// The probability of harm at `x`, as this theory has it: P(H=1 | x, tau).
    #[must_use]
    pub fn harm(&self, x: Features) -> f64 {
        let worst = |harm, clause: &Clause| {
            if x.includes(clause.factors) { larger(harm, clause.harm) } else { harm }
        };
        self.clauses.iter().fold(self.background, worst)
    }

    /// The theory as a sentence, with the names of the factors.
    #[must_use]
    pub fn describe(&self, factors: &Factors) -> String {
        let name =
            |factor| factors.name(factor).map_or_else(|| format!("factor {factor}"), ToString::to_string);
        let mut text = String::new();
        for clause in &self.clauses {
            let names: Vec<String> = clause.factors.factors().map(name).collect();
            let place = if names.is_empty() {
                "always".to_string()
            } else {
                format!("where {} hold", names.join(" and "))
            };
            text += &format!("harm with probability {} {place}, ", clause.harm);
        }
        if text.is_empty() {
            return format!("harm with probability {} everywhere", self.background);
        }
        text + &format!("{} elsewhere", self.background)
    }

    /// The order in which theories are kept, whatever order they were given in: simpler ones first.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let length = |theory: &Self| {
            (theory.clauses.len(), theory.clauses.iter().map(|clause| clause.factors.count()).sum::<u32>())
        };
        let clauses = || {
            let pairs = self.clauses.iter().zip(&other.clauses);
            pairs.map(|(left, right)| compare_clauses(left, right)).find(|order| order.is_ne())
        };
        length(self)
            .cmp(&length(other))
            .then_with(|| clauses().unwrap_or(Ordering::Equal))
            .then_with(|| self.background.total_cmp(&other.background))
    }
}

fn compare_clauses(left: &Clause, right: &Clause) -> Ordering {
    left.factors.cmp(&right.factors).then_with(|| left.harm.total_cmp(&right.harm))
}
