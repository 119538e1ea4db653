// SPDX-License-Identifier: Apache-2.0
//! The finite set of theories that a guard considers, with their prior.

use alloc::vec::Vec;

use thiserror::Error;

use crate::{
    columns::Columns,
    features::Features,
    posterior::{Posterior, PriorError},
    theory::{Theory, TheoryError},
};

/// The probabilities of harm that the family of conjunctions considers where a conjunction holds.
pub const HARM_LEVELS: [f64; 3] = [0.05, 0.2, 0.6];
/// The probabilities of harm that the family considers elsewhere.
pub const BACKGROUNDS: [f64; 3] = [1e-4, 1e-3, 5e-3];
/// The longest conjunctions of the family.
pub const CONJUNCTION_FACTORS_MAX: u32 = 3;

/// Why a set of theories cannot be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TheoriesError {
    /// The same theory twice.
    #[error("the theory `{0:?}` is given twice; give it once, with the weight of both")]
    Twice(Theory),
    /// More factors than a set holds.
    #[error("{0} factors are more than {max}; use fewer", max = Features::COUNT_MAX)]
    TooManyFactors(usize),
    /// A share that leaves nothing for one side.
    #[error("the share {0} of the theories written by hand must be above 0 and below 1")]
    Share(f64),
    /// The weights make no prior.
    #[error("the weights of the theories make no prior")]
    Prior(#[from] PriorError),
    /// A theory of the family is none.
    #[error("a theory of the family cannot be made")]
    Theory(#[from] TheoryError),
}

/// Theories in one canonical order, with a prior. The order in which they were given is forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct Theories {
    theories: Vec<Theory>,
    start: Posterior,
    columns: Columns,
}

impl Theories {
    /// Theories with weights, which are scaled to sum to one.
    ///
    /// # Errors
    ///
    /// A theory given twice, no theory, too many, or a weight that is not a positive number.
    pub fn new(mut weighted: Vec<(Theory, f64)>) -> Result<Self, TheoriesError> {
        weighted.sort_by(|(left, _), (right, _)| left.compare(right));
        if let Some(pair) = weighted.windows(2).find(|pair| pair[0].0.compare(&pair[1].0).is_eq()) {
            return Err(TheoriesError::Twice(pair[0].0.clone()));
        }
        let (theories, weights): (Vec<Theory>, Vec<f64>) = weighted.into_iter().unzip();
        let start = Posterior::new(&weights)?;
        Ok(Self { columns: Columns::of(theories.iter()), theories, start })
    }

    /// The family of monotone conjunctions over this many factors: every conjunction of one to three factors with
    /// every harm level and background, and the quiet theories. 12 factors make 2,685 theories, 24 make 20,919.
    ///
    /// The prior goes by the length of a theory's description: each number of factors, none included, has the same
    /// share, which its theories share equally. So the quiet theories have a quarter together.
    ///
    /// # Errors
    ///
    /// More than [`Features::COUNT_MAX`] factors.
    pub fn conjunctions(factor_count: usize) -> Result<Self, TheoriesError> {
        Self::new(family(factor_count)?)
    }

    /// The same family and theories written by hand, which together get this share of the prior, each an equal part.
    ///
    /// # Errors
    ///
    /// As [`Theories::new`] and [`Theories::conjunctions`]; a share that is not above 0 and below 1.
    pub fn conjunctions_and(
        factor_count: usize,
        by_hand: Vec<Theory>,
        share: f64,
    ) -> Result<Self, TheoriesError> {
        if !(share > 0.0 && share < 1.0) {
            return Err(TheoriesError::Share(share));
        }
        let each = share / by_hand.len() as f64;
        let scaled =
            family(factor_count)?.into_iter().map(|(theory, weight)| (theory, weight * (1.0 - share)));
        Self::new(scaled.chain(by_hand.into_iter().map(|theory| (theory, each))).collect())
    }

    /// How many theories there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.theories.len()
    }

    /// The theory at this index of the canonical order.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Theory> {
        self.theories.get(index)
    }

    /// All theories in canonical order.
    #[must_use]
    pub fn all(&self) -> &[Theory] {
        &self.theories
    }

    /// The prior in canonical order; it sums to one.
    #[must_use]
    pub fn prior(&self) -> &[f64] {
        self.start.prior()
    }

    /// The posterior before any evidence.
    #[must_use]
    pub fn start(&self) -> &Posterior {
        &self.start
    }

    /// The theories and their prior as canonical bytes to take a digest of, so that a record can name them.
    /// All numbers little-endian, `f64` by their bits: a line of text that names the form; number of
    /// theories; for each its prior, background, number of clauses, and for each clause its factors as bits
    /// (`u32`) and its harm.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"sta-guardrail theories 1\n".to_vec();
        let put = |bytes: &mut Vec<u8>, number: u64| bytes.extend_from_slice(&number.to_le_bytes());
        put(&mut bytes, self.count() as u64);
        for (theory, prior) in self.theories.iter().zip(self.prior()) {
            put(&mut bytes, prior.to_bits());
            put(&mut bytes, theory.background().to_bits());
            put(&mut bytes, theory.clauses().len() as u64);
            for clause in theory.clauses() {
                bytes.extend_from_slice(&clause.factors.bits().to_le_bytes());
                put(&mut bytes, clause.harm.to_bits());
            }
        }
        bytes
    }

    /// P(H=1 | x, tau) of every theory, in canonical order.
    #[must_use]
    pub fn harms(&self, x: Features) -> Vec<f64> {
        self.columns.harms(x)
    }

    /// The theories as columns.
    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }
}

/// The theories of the family and their weights, which sum to one.
fn family(factor_count: usize) -> Result<Vec<(Theory, f64)>, TheoriesError> {
    if factor_count > Features::COUNT_MAX {
        return Err(TheoriesError::TooManyFactors(factor_count));
    }
    let all = (0..1u32 << factor_count).filter(|bits| bits.count_ones() <= CONJUNCTION_FACTORS_MAX);
    let conjunctions: Vec<Features> = all.filter_map(Features::from_bits).collect();
    let sizes = 1 + factor_count.min(CONJUNCTION_FACTORS_MAX as usize);
    let mut weighted = Vec::new();
    for size in 0..sizes as u32 {
        let of_size = conjunctions.iter().filter(|factors| factors.count() == size);
        let mut theories = Vec::new();
        for factors in of_size {
            for background in BACKGROUNDS {
                if size == 0 {
                    theories.push(Theory::quiet(background)?);
                    continue;
                }
                for harm in HARM_LEVELS {
                    theories.push(Theory::conjunction(*factors, harm, background)?);
                }
            }
        }
        let each = 1.0 / (sizes * theories.len()) as f64;
        weighted.extend(theories.into_iter().map(|theory| (theory, each)));
    }
    Ok(weighted)
}
