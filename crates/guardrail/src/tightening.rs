// SPDX-License-Identifier: Apache-2.0
//! What the guardrail can say: nothing, or hold. There is no word for "allow".

use core::fmt;

/// Why a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldReason {
    /// The bound is above the threshold.
    OverThreshold,
    /// The bound is more than is left of the harm budget.
    OverBudget,
    /// No theory is left: what was observed fits none of them.
    NoTheoryLeft,
    /// The alarm was raised: more harm happened than the bounds allow.
    BoundsRefuted,
}

impl HoldReason {
    /// Every reason.
    pub const ALL: [Self; 4] =
        [Self::OverThreshold, Self::OverBudget, Self::NoTheoryLeft, Self::BoundsRefuted];

    /// The reason as a code for records.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::OverThreshold => "over-threshold",
            Self::OverBudget => "over-budget",
            Self::NoTheoryLeft => "no-theory-left",
            Self::BoundsRefuted => "bounds-refuted",
        }
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::OverThreshold => "the bound on harm is above the threshold",
            Self::OverBudget => "the bound on harm is more than is left of the harm budget",
            Self::NoTheoryLeft => "no theory of harm fits what was observed, so nothing can be bounded",
            Self::BoundsRefuted => {
                "more harm happened than the bounds allow, so they are not to be relied on"
            }
        })
    }
}

/// What the guardrail adds to what the rules say. It has no value that permits anything, so no use of it can
/// make a verdict looser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "a hold that nobody looks at holds nothing"]
pub enum Tightening {
    /// The rules' verdict stands as it is.
    Unchanged,
    /// At least hold, until a named person decides.
    Hold(HoldReason),
}

impl Tightening {
    /// The strictest of the rules' verdict and this one, for verdicts in order of strictness with `hold` as
    /// theirs for "hold".
    ///
    /// This function is for any ordered type, so it knows no verdict but the two it is given; and what it
    /// gives back is never below `rules`.
    /// ```
    /// use sta_guardrail::tightening::{HoldReason, Tightening};
    /// #[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
    /// enum Verdict { Allow, Hold, Deny }
    ///
    /// let tightening = Tightening::Hold(HoldReason::OverThreshold);
    /// assert_eq!(tightening.strictest(Verdict::Allow, Verdict::Hold), Verdict::Hold);
    /// assert_eq!(tightening.strictest(Verdict::Deny, Verdict::Hold), Verdict::Deny);
    /// ```
    pub fn strictest<Verdict: Ord>(self, rules: Verdict, hold: Verdict) -> Verdict {
        match self {
            Self::Unchanged => rules,
            Self::Hold(_) => rules.max(hold),
        }
    }
}
