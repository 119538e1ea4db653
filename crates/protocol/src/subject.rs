// SPDX-License-Identifier: Apache-2.0
//! A researcher as all members name them: `researcher@member`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::{MemberId, ResearcherId};

/// The text is not of the form `researcher@member`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form `researcher@member`, such as `ada@ca`")]
pub struct NotASubject(String);

/// The subject of visas and passports: a researcher and the member whose node they log in at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject {
    /// The researcher, by the name their home member gave them.
    pub researcher: ResearcherId,
    /// The home member.
    pub member: MemberId,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.researcher, self.member)
    }
}
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}
impl FromStr for Subject {
    type Err = NotASubject;
    fn from_str(text: &str) -> Result<Self, NotASubject> {
        let refused = || NotASubject(text.chars().take(140).collect());
        let (researcher, member) = text.split_once('@').ok_or_else(refused)?;
        let researcher = researcher.parse().map_err(|_| refused())?;
        Ok(Self { researcher, member: member.parse().map_err(|_| refused())? })
    }
}
impl TryFrom<String> for Subject {
    type Error = NotASubject;
    fn try_from(text: String) -> Result<Self, NotASubject> {
        text.parse()
    }
}
impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}
