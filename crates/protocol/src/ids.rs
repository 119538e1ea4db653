// SPDX-License-Identifier: Apache-2.0
//! Identifiers: UUIDv7 newtypes made by the caller, and short names chosen by people.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID of version 7 (RFC 9562 §5.7).
    #[error("`{0}` is not a UUID of version 7 (RFC 9562), such as 0192f0c1-7e5b-7a10-8c3e-2f1f6f0a9b11")]
    NotUuidV7(String),
    /// Not a short name.
    #[error(
        "`{0}` is not a name: use 1 to 64 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit"
    )]
    NotAName(String),
    /// Not a member's thing, `member/name`.
    #[error("`{0}` is not of the form `member/name`, such as `de/hospital`")]
    NotScoped(String),
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// Makes the id from the time in milliseconds since 1970 and ten random bytes, so that the caller owns both clock and chance.
            #[must_use]
            pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
            }
            /// The sixteen bytes of the UUID.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
            /// The time within the id, in milliseconds since 1970.
            #[must_use]
            pub fn unix_ms(&self) -> u64 {
                let bytes = self.0.as_bytes();
                bytes[..6].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match Uuid::try_parse(text) {
                    // Only the lower-case hyphenated form, so that one id has one spelling in logs and digests.
                    Ok(id) if id.get_version_num() == 7 && id.hyphenated().to_string() == text => Ok(Self(id)),
                    Ok(_) | Err(_) => Err(IdError::NotUuidV7(text.to_owned())),
                }
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.hyphenated())
            }
        }
    )*};
}

uuid_ids! {
    /// A job, the same at home and at the host.
    JobId;
    /// One offer of a job to one host; a job refused by one host is offered to the next under a new id.
    OfferId;
    /// A host's consent to run an offer.
    AdmissionId;
    /// A host's account of what a job used.
    ReceiptId;
    /// One decision of a gate.
    DecisionId;
    /// One transfer in the ledger.
    TransferId;
    /// One registered training run, which may take several jobs.
    TrainingRunId;
    /// One incident, the same in every entry of its chain.
    IncidentId;
    /// One order to stop.
    StopOrderId;
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(IdError::NotAName(text.to_owned())) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    )*};
}

names! {
    /// A member of the alliance, such as `ca`.
    MemberId;
    /// A site (cluster) of a member, such as `juelich`; unique within the treaty.
    SiteId;
    /// A project, to which an allocation is granted; unique within its home member.
    ProjectId;
    /// A researcher, unique within the home member; a pseudonym, never a person's name.
    ResearcherId;
    /// A jurisdiction or a group of them, such as `ca`, `de` or `eea`.
    Jurisdiction;
}

/// Whether `text` is 1 to 64 of `a-z 0-9 - _ .` and begins with a letter or digit.
fn is_name(text: &str) -> bool {
    let starts_well =
        text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let letters =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    starts_well && text.len() <= 64 && text.bytes().all(letters)
}

macro_rules! scoped_names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name {
            member: MemberId,
            name: String,
        }

        impl $name {
            /// The member that holds it, decides over it and signs its record.
            #[must_use]
            pub fn member(&self) -> &MemberId {
                &self.member
            }
            /// The name within that member.
            #[must_use]
            pub fn name(&self) -> &str {
                &self.name
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match text.split_once('/') {
                    Some((member, name)) if is_name(name) => {
                        Ok(Self { member: member.parse()?, name: name.to_owned() })
                    }
                    Some(_) | None => Err(IdError::NotScoped(text.to_owned())),
                }
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.member, self.name)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.to_string())
            }
        }
    )*};
}

scoped_names! {
    /// A dataset, named by the member that holds it: `de/hospital`.
    DatasetId;
    /// A model, named by the member that answers for it: `ca/tumour-screen`.
    ModelId;
}
