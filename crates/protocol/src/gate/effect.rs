// SPDX-License-Identifier: Apache-2.0
//! What a rule does when it fires, as it is written in packs and on the wire: `deny`, `hold:legal`, `oblige:mark,disclose`.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Verdict;

/// The kind of person who may release what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Releaser {
    /// A lawyer of the member.
    Legal,
    /// A person responsible for safety.
    Safety,
    /// A data steward.
    Steward,
}

impl Releaser {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Legal, Self::Safety, Self::Steward];

    /// The word for it, as in packs and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legal => "legal",
            Self::Safety => "safety",
            Self::Steward => "steward",
        }
    }
}

/// One effect of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Effect {
    /// No, without override.
    Deny,
    /// Stop what runs and keep its state.
    Suspend,
    /// Wait for a person of this kind.
    Hold(Releaser),
    /// Go on and do these things.
    Oblige(BTreeSet<String>),
    /// Label the thing with this word; nothing is refused.
    Label(String),
    /// The class at this path holds; the other rules read it.
    Sets(String),
    /// Say it; nothing is refused.
    Warn,
}

/// A text that is no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no effect: use deny, suspend, hold:legal, hold:safety, hold:steward, oblige:WORD,WORD, label:WORD or warn"
)]
pub struct UnknownEffect(String);

impl Effect {
    /// What it does to the verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Deny => Verdict::Deny,
            Self::Suspend => Verdict::Suspend,
            Self::Hold(_) => Verdict::Hold,
            Self::Oblige(_) => Verdict::AllowWith,
            Self::Label(_) | Self::Sets(_) | Self::Warn => Verdict::Allow,
        }
    }

    /// Who may release it, if it is a hold.
    #[must_use]
    pub fn releaser(&self) -> Option<Releaser> {
        match self {
            Self::Hold(releaser) => Some(*releaser),
            Self::Deny | Self::Suspend | Self::Oblige(_) | Self::Label(_) | Self::Sets(_) | Self::Warn => {
                None
            }
        }
    }

    pub(super) fn obligations(&self) -> impl Iterator<Item = &String> {
        let words = match self {
            Self::Oblige(words) => Some(words),
            Self::Deny | Self::Suspend | Self::Hold(_) | Self::Label(_) | Self::Sets(_) | Self::Warn => None,
        };
        words.into_iter().flatten()
    }

    pub(super) fn label(&self) -> Option<&str> {
        match self {
            Self::Label(word) => Some(word),
            Self::Deny | Self::Suspend | Self::Hold(_) | Self::Oblige(_) | Self::Sets(_) | Self::Warn => None,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deny => f.write_str("deny"),
            Self::Suspend => f.write_str("suspend"),
            Self::Hold(releaser) => write!(f, "hold:{}", releaser.as_str()),
            Self::Oblige(words) => {
                write!(f, "oblige:{}", words.iter().map(String::as_str).collect::<Vec<_>>().join(","))
            }
            Self::Label(word) => write!(f, "label:{word}"),
            Self::Sets(path) => write!(f, "sets:{path}"),
            Self::Warn => f.write_str("warn"),
        }
    }
}

impl FromStr for Effect {
    type Err = UnknownEffect;
    fn from_str(text: &str) -> Result<Self, UnknownEffect> {
        let unknown = || UnknownEffect(text.to_owned());
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("deny", "") => Ok(Self::Deny),
            ("suspend", "") => Ok(Self::Suspend),
            ("warn", "") => Ok(Self::Warn),
            ("hold", kind) => {
                let releaser = Releaser::ALL.into_iter().find(|known| known.as_str() == kind);
                releaser.map(Self::Hold).ok_or_else(unknown)
            }
            ("oblige", words) => {
                let words: Vec<String> = words.split(',').map(|word| word.trim().to_owned()).collect();
                let whole = words.iter().all(|word| is_word(word));
                if whole { Ok(Self::Oblige(words.into_iter().collect())) } else { Err(unknown()) }
            }
            ("label", word) if is_word(word) => Ok(Self::Label(word.to_owned())),
            ("sets", path) if path.split('.').all(is_word) => Ok(Self::Sets(path.to_owned())),
            (_, _) => Err(unknown()),
        }
    }
}

/// 1 to 64 letters, digits, `-` and `_`.
fn is_word(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&word.len()) && word.bytes().all(fits)
}

impl TryFrom<String> for Effect {
    type Error = UnknownEffect;
    fn try_from(text: String) -> Result<Self, UnknownEffect> {
        text.parse()
    }
}

impl From<Effect> for String {
    fn from(effect: Effect) -> Self {
        effect.to_string()
    }
}
