// SPDX-License-Identifier: Apache-2.0
//! Why a visa or a passport is refused, or cannot be issued.

use crate::{
    compact::CompactError, digest::DigestError, identity_token::TOKEN_LIFETIME_SECONDS_MAX, keys::Thumbprint,
    passport::PASSPORT_VISAS_MAX, subject::Subject,
};

/// Why a visa or a passport is refused, each reason with its facts. `id` is the token's `jti`.
#[derive(Debug, thiserror::Error)]
pub enum VisaRefused {
    /// Not a compact JWS at all.
    #[error("not a token")]
    Compact(#[from] CompactError),
    /// The header is not exactly `alg`, `jku`, `kid` and `typ`; `crit` and every other field is refused.
    #[error("the header of the token must have exactly `alg`, `jku`, `kid` and `typ`")]
    Header(#[source] serde_json::Error),
    /// Another kind of token.
    #[error("the token is of type {found:?}, and here only {expected:?} is taken")]
    WrongType {
        /// The header's `typ`.
        found: String,
        /// The type that is wanted here.
        expected: &'static str,
    },
    /// Another algorithm than ES256.
    #[error("the token says `alg` {found:?}; visas and passports are signed with ES256 only")]
    WrongAlgorithm {
        /// The header's `alg`.
        found: String,
    },
    /// The payload does not have the claims of its kind.
    #[error("the claims of the token do not have the shape that GA4GH Passport v1.2 gives them")]
    Claims(#[source] serde_json::Error),
    /// One claim has a value that is not allowed.
    #[error("the claim `{claim}` {problem}")]
    Claim {
        /// The claim.
        claim: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No pinned key for this issuer, key name and key set address together.
    #[error(
        "no key is pinned for issuer {issuer:?} with key {key_id:?} from {jku:?}: keys of issuers come from the treaty, never from the token's address"
    )]
    UnknownIssuer {
        /// The claim `iss`.
        issuer: String,
        /// The header's `kid`.
        key_id: String,
        /// The header's `jku`.
        jku: String,
    },
    /// The signature was not made by the pinned key over this text.
    #[error(
        "the signature of {issuer:?} with key {key_id:?} does not fit the token: it was changed, or signed by another key"
    )]
    BadSignature {
        /// The claim `iss`.
        issuer: String,
        /// The header's `kid`.
        key_id: String,
    },
    /// Too late.
    #[error("{id:?} expired {seconds_ago} s ago: fetch a new passport")]
    Expired {
        /// The token.
        id: String,
        /// How long ago.
        seconds_ago: i64,
    },
    /// Issued, valid or asserted only from a time to come.
    #[error("{id:?} is valid only in {seconds_ahead} s: wait, or set the clocks (NTP)")]
    NotYetValid {
        /// The token.
        id: String,
        /// In how many seconds it begins.
        seconds_ahead: i64,
    },
    /// It lives for longer than is allowed, or ends before it begins.
    #[error("{id:?} is valid for {seconds} s; from 1 to {TOKEN_LIFETIME_SECONDS_MAX} s are allowed")]
    LifetimeNotAllowed {
        /// The token.
        id: String,
        /// `exp` less `iat`.
        seconds: i64,
    },
    /// The token is bound to no key, so that whoever copies it could use it.
    #[error("{id:?} names no holder's key (`cnf.jkt`): whoever copied it could use it")]
    NoHolder {
        /// The token.
        id: String,
    },
    /// The visa has conditions; we know none, and GA4GH then asks to refuse it.
    #[error("{id:?} has `conditions`, which are not understood here: ask the issuer for a visa without")]
    HasConditions {
        /// The token.
        id: String,
    },
    /// A visa type that must say by whom it was asserted does not.
    #[error("{id:?} of type {kind} must say by whom it was asserted (`by`)")]
    ByMissing {
        /// The token.
        id: String,
        /// The visa's type.
        kind: String,
    },
    /// More visas than are looked at.
    #[error("the passport has {count} visas; at most {PASSPORT_VISAS_MAX} are read")]
    TooManyVisas {
        /// How many it has.
        count: usize,
    },
    /// A visa within a passport is refused, and the passport with it.
    #[error("visa {position} of the passport is refused")]
    InPassport {
        /// Its position, from 1.
        position: usize,
        /// Why.
        source: Box<VisaRefused>,
    },
    /// A visa within a passport speaks of somebody else.
    #[error("visa {id:?} is for {found}, but the passport is for {expected}")]
    OtherSubject {
        /// The visa.
        id: String,
        /// Whom the visa is for.
        found: Subject,
        /// Whom the passport is for.
        expected: Subject,
    },
    /// A visa within a passport is bound to another key.
    #[error(
        "visa {id:?} is bound to the key {found}, but the passport to {expected}: they were not issued to the same session"
    )]
    OtherHolder {
        /// The visa.
        id: String,
        /// The key that the visa is bound to.
        found: Thumbprint,
        /// The key that the passport is bound to.
        expected: Thumbprint,
    },
    /// The claims cannot be written as canonical JSON.
    #[error("the token cannot be issued")]
    Unwritable(#[from] DigestError),
}

impl VisaRefused {
    pub(crate) fn claim(claim: &'static str, problem: &'static str) -> Self {
        Self::Claim { claim, problem }
    }
}
