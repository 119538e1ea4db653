// SPDX-License-Identifier: Apache-2.0
//! Why an HTTP signature is refused, or cannot be made.

use crate::digest::Sha256Digest;

/// Why a message cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    /// The URI is empty or has other characters than visible ASCII.
    #[error(
        "the target URI {0:?} cannot be signed: it must be visible ASCII, with other characters percent-encoded"
    )]
    TargetUri(String),
    /// The content type cannot stand in a header.
    #[error("the content type {0:?} cannot be signed: it must be printable ASCII without spaces around it")]
    ContentType(String),
    /// The key's name cannot stand in a structured field.
    #[error("the key name {0:?} cannot be signed with: it must be printable ASCII (RFC 9651 §3.3.3)")]
    KeyId(String),
    /// The time is outside of what a structured field holds.
    #[error("the time of signing {0} is out of range")]
    Created(jiff::Timestamp),
}

/// Why a signed message is refused, each reason with its facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefused {
    /// A header of the profile is not there.
    #[error("the header `{header}` is missing; the profile `sta/fed/1` covers it, so it must be sent")]
    MissingHeader {
        /// Its name.
        header: String,
    },
    /// A covered header is there more than once.
    #[error("the header `{header}` is there more than once; send it once")]
    RepeatedHeader {
        /// Its name.
        header: String,
    },
    /// A field does not parse, or is not in the one canonical serialization (RFC 9651 §4.1).
    #[error("`{field}` {problem}")]
    Malformed {
        /// The header or component.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A label occurs twice in one field.
    #[error("the label `{label}` is twice in `{field}`: nobody can say which signature is meant")]
    DuplicateLabel {
        /// The header.
        field: String,
        /// The label.
        label: String,
    },
    /// A label other than `sig1`.
    #[error("`{field}` has the label `{label}`; the profile `sta/fed/1` has one signature, `sig1`")]
    UnknownLabel {
        /// The header.
        field: String,
        /// The label.
        label: String,
    },
    /// Other components than the profile's, or in another order.
    #[error("the signature covers {found}, but the profile `sta/fed/1` covers {expected}")]
    WrongComponents {
        /// What it covers.
        found: String,
        /// What it must cover.
        expected: String,
    },
    /// A parameter is missing, unknown, or of another kind.
    #[error("the signature parameter `{parameter}` {problem}")]
    WrongParameter {
        /// Its name.
        parameter: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody we know has this key.
    #[error(
        "the message is signed with key {key_id:?}, which is not among the keys known here; is the treaty the same on both sides?"
    )]
    UnknownKey {
        /// The parameter `keyid`.
        key_id: String,
    },
    /// Another algorithm than the key's.
    #[error("the signature says algorithm {found:?}; this key signs with `ed25519` only")]
    WrongAlgorithm {
        /// The parameter `alg`.
        found: String,
    },
    /// Another profile.
    #[error("the signature has the tag {found:?}; here only `sta/fed/1` is spoken")]
    WrongTag {
        /// The parameter `tag`.
        found: String,
    },
    /// The signature was not made by this key over this message.
    #[error(
        "the signature of key {key_id:?} does not fit the message: it was changed on the way, or addressed to another URI"
    )]
    BadSignature {
        /// The parameter `keyid`.
        key_id: String,
    },
    /// It may hold for longer than the profile allows, or ends before it begins.
    #[error("the signature holds for {seconds} s; from 1 to {} s are allowed", super::LIFETIME_SECONDS_MAX)]
    LifetimeNotAllowed {
        /// `expires` less `created`.
        seconds: i64,
    },
    /// The signer's clock is ahead of ours.
    #[error(
        "the signature was made {seconds_ahead} s in the future; {skew_seconds_max} s of clock skew are allowed: set the clocks (NTP)"
    )]
    CreatedInFuture {
        /// By how much.
        seconds_ahead: i64,
        /// How much is allowed.
        skew_seconds_max: u32,
    },
    /// Too late, or the signer's clock is behind ours.
    #[error(
        "the signature expired {seconds_ago} s ago: sign anew, and if that does not help set the clocks (NTP)"
    )]
    Expired {
        /// How long ago, by our clock.
        seconds_ago: i64,
    },
    /// The body is another one than was signed.
    #[error("the body has SHA-256 {actual}, but {claimed} was signed: it was changed on the way")]
    DigestMismatch {
        /// The digest that was signed.
        claimed: Sha256Digest,
        /// The digest of what arrived.
        actual: Sha256Digest,
    },
}

impl SignatureRefused {
    pub(super) fn malformed(field: &str, problem: &str) -> Self {
        Self::Malformed { field: field.to_owned(), problem: problem.to_owned() }
    }

    pub(super) fn parameter(parameter: &str, problem: &str) -> Self {
        Self::WrongParameter { parameter: parameter.to_owned(), problem: problem.to_owned() }
    }
}
