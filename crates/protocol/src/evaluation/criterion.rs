// SPDX-License-Identifier: Apache-2.0
//! What a measured value must reach for an evaluation to pass, such as `includes/accuracy >= 0.9`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A bound on one measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Criterion {
    /// The value, by `score/metric`.
    pub value: String,
    /// On which side of the bound it must be.
    pub side: Side,
    /// The bound.
    pub bound: f64,
}

/// A side of a bound; the bound itself is on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `>=`.
    AtLeast,
    /// `<=`.
    AtMost,
}

/// A text that is no criterion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no criterion: write `SCORE/METRIC >= NUMBER` or `SCORE/METRIC <= NUMBER`, such as `includes/accuracy >= 0.9`"
)]
pub struct NotACriterion(String);

impl Criterion {
    /// Whether the value fulfils it; `None` when there is no such value.
    #[must_use]
    pub fn holds(&self, scores: &BTreeMap<String, f64>) -> Option<bool> {
        let value = scores.get(&self.value)?;
        Some(match self.side {
            Side::AtLeast => *value >= self.bound,
            Side::AtMost => *value <= self.bound,
        })
    }
}

impl FromStr for Criterion {
    type Err = NotACriterion;
    fn from_str(text: &str) -> Result<Self, NotACriterion> {
        let refused = || NotACriterion(text.chars().take(200).collect());
        let (value, side, bound) = match (text.split_once(">="), text.split_once("<=")) {
            (Some((value, bound)), None) => (value, Side::AtLeast, bound),
            (None, Some((value, bound))) => (value, Side::AtMost, bound),
            _ => return Err(refused()),
        };
        let (value, bound) = (value.trim(), bound.trim());
        let bound: f64 = bound.parse().map_err(|_| refused())?;
        let named = value.contains('/') && value.len() <= 200 && !value.chars().any(char::is_control);
        if named && bound.is_finite() {
            Ok(Self { value: value.to_owned(), side, bound })
        } else {
            Err(refused())
        }
    }
}
impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::AtLeast => ">=",
            Side::AtMost => "<=",
        };
        write!(f, "{} {side} {}", self.value, self.bound)
    }
}
impl TryFrom<String> for Criterion {
    type Error = NotACriterion;
    fn try_from(text: String) -> Result<Self, NotACriterion> {
        text.parse()
    }
}
impl From<Criterion> for String {
    fn from(criterion: Criterion) -> Self {
        criterion.to_string()
    }
}
