// SPDX-License-Identifier: Apache-2.0
//! What a request looks like to the guardrail: a small set of structural factors, each there or not there.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use thiserror::Error;

/// A set of structural factors (reads untrusted input, sends outside, ...), by their numbers from 0 to 23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Features(u32);

impl Features {
    /// How many factors there can be.
    pub const COUNT_MAX: usize = 24;
    /// No factor.
    pub const NONE: Self = Self(0);

    /// The set with exactly these bits; `None` where a bit stands for no factor.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits >> Self::COUNT_MAX == 0 { Some(Self(bits)) } else { None }
    }

    /// The set as bits, the lowest for factor 0.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// This set and the factor of this number; `None` where no factor can have that number.
    #[must_use]
    pub fn with(self, factor: usize) -> Option<Self> {
        (factor < Self::COUNT_MAX).then(|| Self(self.0 | 1 << factor))
    }

    /// Whether every factor of `other` is in this set.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// How many factors are in the set.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The numbers of the factors in the set, ascending.
    pub fn factors(self) -> impl Iterator<Item = usize> {
        (0..Self::COUNT_MAX).filter(move |factor| self.0 >> factor & 1 == 1)
    }
}

/// Why names do not make a list of factors, or facts no features.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FactorsError {
    /// More factors than a set holds.
    #[error("{0} factors were named, and there can be at most {max}; name fewer", max = Features::COUNT_MAX)]
    TooMany(usize),
    /// A name that is empty or was given twice.
    #[error("the factor name `{0}` is empty or was given twice; each factor needs a name of its own")]
    Name(String),
    /// A fact is missing where only a whole description will do.
    #[error(
        "it is not known whether the factor `{0}` holds; evidence needs every factor, so find out or leave it out"
    )]
    Unknown(String),
}

/// The names of the factors of one gate, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factors(Vec<String>);

impl Factors {
    /// The factors with these names.
    ///
    /// # Errors
    ///
    /// More than [`Features::COUNT_MAX`] names, an empty one, or one given twice.
    pub fn new<Name: AsRef<str>>(names: &[Name]) -> Result<Self, FactorsError> {
        if names.len() > Features::COUNT_MAX {
            return Err(FactorsError::TooMany(names.len()));
        }
        let mut kept: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_ref().to_string();
            if name.is_empty() || kept.contains(&name) {
                return Err(FactorsError::Name(name));
            }
            kept.push(name);
        }
        Ok(Self(kept))
    }

    /// How many factors there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The name of a factor.
    #[must_use]
    pub fn name(&self, factor: usize) -> Option<&str> {
        self.0.get(factor).map(String::as_str)
    }

    /// What a request looks like **for a decision**: a factor that nobody vouches for counts as there. Every theory
    /// says that more factors mean no less harm, so a fact left out can raise the bound and never lower it.
    pub fn for_decision(&self, fact: impl Fn(&str) -> Option<bool>) -> Features {
        self.gather(|name| fact(name).unwrap_or(true))
    }

    /// What an event looked like **as evidence**: every factor must be known. To count a missing one as there would
    /// credit it with harmlessness that it did not show.
    ///
    /// # Errors
    ///
    /// A factor is not known.
    pub fn for_evidence(&self, fact: impl Fn(&str) -> Option<bool>) -> Result<Features, FactorsError> {
        match self.0.iter().find(|name| fact(name).is_none()) {
            Some(name) => Err(FactorsError::Unknown(name.clone())),
            None => Ok(self.gather(|name| fact(name) == Some(true))),
        }
    }

    fn gather(&self, holds: impl Fn(&str) -> bool) -> Features {
        let bits = self.0.iter().enumerate().filter(|(_, name)| holds(name));
        Features(bits.fold(0, |bits, (factor, _)| bits | 1 << factor))
    }
}
