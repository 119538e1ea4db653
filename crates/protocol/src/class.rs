// SPDX-License-Identifier: Apache-2.0
//! How sensitive data is, from `open` to `protected`; outputs inherit the strictest class of their inputs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The class of a dataset, an input or an output; the order is from the least to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Published, or meant to be.
    Open,
    /// Not published, without personal data.
    Internal,
    /// Personal data (GDPR Art. 4(1), PIPEDA s. 2(1)).
    Personal,
    /// Special categories of personal data, such as health (GDPR Art. 9).
    Special,
    /// Government or trade secrets that stay with the nation that protects them.
    Protected,
}

/// A text that names no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no class: use open, internal, personal, special or protected")]
pub struct UnknownClass(String);

impl Class {
    /// Every class, from the least to the strictest.
    pub const ALL: [Self; 5] = [Self::Open, Self::Internal, Self::Personal, Self::Special, Self::Protected];

    /// The strictest of several classes; `open` when there are none.
    pub fn strictest(classes: impl IntoIterator<Item = Self>) -> Self {
        classes.into_iter().max().unwrap_or(Self::Open)
    }

    /// Whether the class is personal data in the sense of GDPR Art. 4(1).
    #[must_use]
    pub fn is_personal(self) -> bool {
        match self {
            Self::Personal | Self::Special => true,
            Self::Open | Self::Internal | Self::Protected => false,
        }
    }

    /// The word for it, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Internal => "internal",
            Self::Personal => "personal",
            Self::Special => "special",
            Self::Protected => "protected",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Class {
    type Err = UnknownClass;
    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| UnknownClass(text.to_owned()))
    }
}
