// SPDX-License-Identifier: Apache-2.0
//! A verdict: what was granted, or the reasons why not. A lawful no is a value, never an error.

use sta_protocol::refusal::Refusal;

/// The answer of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Yes, and the proof of it.
    Granted(T),
    /// No, and every reason.
    Refused(Refusals),
}

impl<T> Verdict<T> {
    /// The proof, or `None` where it was refused.
    pub fn granted(self) -> Option<T> {
        match self {
            Self::Granted(proof) => Some(proof),
            Self::Refused(_) => None,
        }
    }

    /// The reasons, or `None` where it was granted.
    pub fn refusals(&self) -> Option<&Refusals> {
        match self {
            Self::Granted(_) => None,
            Self::Refused(refusals) => Some(refusals),
        }
    }

    /// The same verdict with another proof.
    pub fn map_granted<U>(self, into: impl FnOnce(T) -> U) -> Verdict<U> {
        match self {
            Self::Granted(proof) => Verdict::Granted(into(proof)),
            Self::Refused(refusals) => Verdict::Refused(refusals),
        }
    }

    /// As a `Result`, for `?` within a function that decides.
    ///
    /// # Errors
    /// The refusals.
    pub fn into_result(self) -> Result<T, Refusals> {
        match self {
            Self::Granted(proof) => Ok(proof),
            Self::Refused(refusals) => Err(refusals),
        }
    }
}

impl<T> From<Result<T, Refusals>> for Verdict<T> {
    fn from(result: Result<T, Refusals>) -> Self {
        match result {
            Ok(proof) => Self::Granted(proof),
            Err(refusals) => Self::Refused(refusals),
        }
    }
}

/// At least one refusal, in the order of rule, member and facts, each once: the same facts give the same list on every
/// node, so that it can be logged, hashed and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// A single reason.
    #[must_use]
    pub fn one(refusal: Refusal) -> Self {
        Self(vec![refusal])
    }

    /// Several reasons; `None` when there are none.
    pub fn from_reasons(reasons: impl IntoIterator<Item = Refusal>) -> Option<Self> {
        let mut list: Vec<Refusal> = reasons.into_iter().collect();
        list.sort_by(|a, b| (&a.rule, &a.by, &a.facts, a).cmp(&(&b.rule, &b.by, &b.facts, b)));
        list.dedup();
        if list.is_empty() { None } else { Some(Self(list)) }
    }

    /// The reasons, never empty.
    #[must_use]
    pub fn as_slice(&self) -> &[Refusal] {
        &self.0
    }

    /// The reasons as they go over the wire, never empty.
    #[must_use]
    pub fn into_vec(self) -> Vec<Refusal> {
        self.0
    }

    /// The rules that refused, in order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|refusal| refusal.rule.as_str())
    }
}
