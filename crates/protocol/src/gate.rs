// SPDX-License-Identifier: Apache-2.0
//! The answer of a gate: a verdict of the lattice `DENY > SUSPEND > HOLD > ALLOW_WITH > ALLOW`, with the reasons it is made of.
//!
//! An [`Answer`] holds reasons and nothing else; its verdict, obligations and labels are read off them. Joining two answers
//! unites their reasons, so the join is the least upper bound: commutative, associative, idempotent, and never looser than
//! either side. There is no way to take a reason out but [`Answer::released`], which takes out holds, and only where nothing
//! stricter stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{ids::MemberId, refusal::Refusal};

mod effect;

pub use effect::{Effect, Releaser, UnknownEffect};

/// What a gate says; the order is from the loosest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Go on and do what the obligations say.
    AllowWith,
    /// Wait for a named person.
    Hold,
    /// Stop what runs and keep its state as it is.
    Suspend,
    /// No. Nobody can set it aside.
    Deny,
}

impl Verdict {
    /// Every verdict, from the loosest to the strictest.
    pub const ALL: [Self; 5] = [Self::Allow, Self::AllowWith, Self::Hold, Self::Suspend, Self::Deny];

    /// The word for it, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::AllowWith => "ALLOW_WITH",
            Self::Hold => "HOLD",
            Self::Suspend => "SUSPEND",
            Self::Deny => "DENY",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose rules gave a reason. All layers are asked, and the strictest wins: national and treaty and site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The packs that the treaty names.
    Treaty,
    /// The member's own packs.
    National,
    /// The packs of the site's operator.
    Site,
    /// The harm bound, which may tighten and never loosen.
    Guardrail,
}

impl Layer {
    /// The word for it, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Treaty => "treaty",
            Self::National => "national",
            Self::Site => "site",
            Self::Guardrail => "guardrail",
        }
    }
}

/// One sentence in the three languages; all empty where the catalogue of texts has it under the code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// French.
    pub fr: String,
    /// German.
    pub de: String,
}

/// A demand for better evidence that was not met: the fact counts against the request until it is vouched for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unproven {
    /// The fact, as `section.name`.
    pub fact: String,
    /// Who vouches for it now.
    pub has: Provenance,
    /// Any of these would do.
    pub wants: Vec<Provenance>,
}

/// Who vouches for a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// Nobody but the one who asks.
    Declared,
    /// A signed register: the treaty, a dataset's or model's record, a list of adequacy decisions.
    Registry,
    /// A signed statement of somebody else about this very thing.
    Attested,
    /// Measured by the node itself.
    Metered,
}

impl Provenance {
    /// Every provenance.
    pub const ALL: [Self; 4] = [Self::Declared, Self::Registry, Self::Attested, Self::Metered];

    /// The word for it, as in packs and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Registry => "registry",
            Self::Attested => "attested",
            Self::Metered => "metered",
        }
    }
}

/// One reason of an answer: the rule, where it comes from, the facts it quotes and what it does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The rule's id (`EU-55`), or a code of the fixed list of refusals.
    pub rule: String,
    /// Whose rule it is.
    pub layer: Layer,
    /// The article, treaty clause or proposition it comes from.
    pub source: String,
    /// What it does, sorted.
    pub effects: Vec<Effect>,
    /// The facts that caused it, name and value.
    pub facts: BTreeMap<String, String>,
    /// The demands for evidence that were not met; where there is one, the rule counts as if its condition held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<Unproven>,
    /// What it says.
    pub text: Text,
    /// What would change the answer.
    pub advice: Text,
}

impl Reason {
    /// The strictest of its effects.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.effects.iter().map(Effect::verdict).max().unwrap_or(Verdict::Allow)
    }

    /// The same as a refusal of a job's dossier, by the member that asked its rules.
    #[must_use]
    pub fn to_refusal(&self, by: &MemberId) -> Refusal {
        Refusal {
            rule: self.rule.clone(),
            source: self.source.clone(),
            facts: self.facts.clone(),
            advice: self.advice.en.clone(),
            by: by.clone(),
        }
    }
}

/// Why a rule that fired only warns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Because {
    /// It binds from this day on.
    NotYet(Date),
    /// It bound until this day.
    Over(Date),
    /// A class that it reads is not yet, or no longer, in force.
    Class(String),
    /// The class at this path turns it into a warning.
    Exempt(String),
    /// It never does more.
    Advice,
}

/// A rule that fired and does not bind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// What it would do.
    pub reason: Reason,
    /// Why it does not.
    pub because: Because,
}

/// What the harm bound can add to an answer: there is no variant that allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tightening {
    /// A person must look at it.
    Hold(Releaser),
    /// Stop what runs.
    Suspend,
    /// No.
    Deny,
}

/// What a gate answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Answer {
    reasons: BTreeSet<Reason>,
    warnings: BTreeSet<Warning>,
}

/// An answer as it is written: with what is read off its reasons, for those who only want that.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    verdict: Verdict,
    reasons: Vec<Reason>,
    obligations: Vec<String>,
    labels: Vec<String>,
    released_by: Vec<Releaser>,
    warnings: Vec<Warning>,
}

/// An answer whose verdict, obligations or labels are not those of its reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the answer says {said}, but its reasons come to {found}: it was altered, or written by another version"
)]
pub struct AnswerAltered {
    said: String,
    found: String,
}

impl Answer {
    /// An answer of these reasons and warnings.
    #[must_use]
    pub fn of(
        reasons: impl IntoIterator<Item = Reason>,
        warnings: impl IntoIterator<Item = Warning>,
    ) -> Self {
        Self { reasons: reasons.into_iter().collect(), warnings: warnings.into_iter().collect() }
    }

    /// The strictest effect of all reasons; `ALLOW` where there is none.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.reasons.iter().map(Reason::verdict).max().unwrap_or(Verdict::Allow)
    }

    /// The reasons that bind, in the order of rule and layer.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        self.reasons.iter()
    }

    /// What fired and does not bind, in order.
    pub fn warnings(&self) -> impl Iterator<Item = &Warning> {
        self.warnings.iter()
    }

    /// What must be done if it goes on, sorted, each once. A held request has them too, for when it is released.
    #[must_use]
    pub fn obligations(&self) -> BTreeSet<&str> {
        self.effects().flat_map(Effect::obligations).map(String::as_str).collect()
    }

    /// What the thing is labelled with, sorted, each once.
    #[must_use]
    pub fn labels(&self) -> BTreeSet<&str> {
        self.effects().filter_map(Effect::label).collect()
    }

    /// The kinds of person who must all release it; empty where nothing is held.
    #[must_use]
    pub fn released_by(&self) -> BTreeSet<Releaser> {
        self.effects().filter_map(Effect::releaser).collect()
    }

    /// The least answer that is at least as strict as both.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.reasons.extend(other.reasons);
        self.warnings.extend(other.warnings);
        self
    }

    /// The same answer with what the harm bound adds: never looser.
    ///
    /// `rule`, `source` and `facts` say which bound and with which numbers.
    #[must_use]
    pub fn tightened(
        self,
        by: Tightening,
        rule: &str,
        source: &str,
        facts: BTreeMap<String, String>,
        text: Text,
        advice: Text,
    ) -> Self {
        let effect = match by {
            Tightening::Hold(releaser) => Effect::Hold(releaser),
            Tightening::Suspend => Effect::Suspend,
            Tightening::Deny => Effect::Deny,
        };
        let reason = Reason {
            rule: rule.to_owned(),
            layer: Layer::Guardrail,
            source: source.to_owned(),
            effects: vec![effect],
            facts,
            unproven: Vec::new(),
            text,
            advice,
        };
        self.join(Self::of([reason], []))
    }

    /// What is left when a person of that kind has released the holds that wait for them; obligations stay.
    ///
    /// `None` where the verdict is not `HOLD`: a `DENY` has no override, and a `SUSPEND` ends with the order that made it.
    /// `None` too where nothing waits for that kind of person.
    #[must_use]
    pub fn released(&self, by: Releaser) -> Option<Self> {
        if self.verdict() != Verdict::Hold || !self.released_by().contains(&by) {
            return None;
        }
        let without = |reason: &Reason| {
            let left: Vec<Effect> =
                reason.effects.iter().filter(|effect| effect.releaser() != Some(by)).cloned().collect();
            (!left.is_empty()).then(|| Reason { effects: left, ..reason.clone() })
        };
        Some(Self {
            reasons: self.reasons.iter().filter_map(without).collect(),
            warnings: self.warnings.clone(),
        })
    }

    fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.reasons.iter().flat_map(|reason| &reason.effects)
    }
}

impl From<Answer> for Written {
    fn from(answer: Answer) -> Self {
        let owned = |words: BTreeSet<&str>| words.into_iter().map(str::to_owned).collect();
        Self {
            verdict: answer.verdict(),
            obligations: owned(answer.obligations()),
            labels: owned(answer.labels()),
            released_by: answer.released_by().into_iter().collect(),
            reasons: answer.reasons.into_iter().collect(),
            warnings: answer.warnings.into_iter().collect(),
        }
    }
}

impl TryFrom<Written> for Answer {
    type Error = AnswerAltered;
    fn try_from(written: Written) -> Result<Self, AnswerAltered> {
        let line = |written: &Written| {
            let people: Vec<&str> = written.released_by.iter().map(|kind| kind.as_str()).collect();
            let (obligations, labels) = (written.obligations.join(","), written.labels.join(","));
            format!("{} [{obligations}] [{labels}] [{}]", written.verdict, people.join(","))
        };
        let said = line(&written);
        let answer = Self::of(written.reasons, written.warnings);
        let found = line(&Written::from(answer.clone()));
        if said == found { Ok(answer) } else { Err(AnswerAltered { said, found }) }
    }
}
