// SPDX-License-Identifier: Apache-2.0
//! The proof that the holder of a passport asked for this very job: a compact JWS by the researcher's session key.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    compact::{Compact, CompactError, signing_input, with_signature},
    digest::{DigestError, Sha256Digest, is_canonical_json},
    identity_token::tokens,
    ids::{JobId, MemberId},
    jws::ALGORITHM,
    keys::{Ed25519Jwk, KeyError, KnownSignatures, PublicKey, SigningKey, Thumbprint},
};

/// The `typ` of a holder's proof.
pub const HOLDER_PROOF_TYP: &str = "sta-holder+jwt";

tokens! {
    /// A holder's proof as it travels: text that nobody has checked yet.
    HolderProof;
}

/// Why a holder's proof is refused, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HolderRefused {
    /// Not a compact JWS at all.
    #[error("not a holder's proof")]
    Compact(#[from] CompactError),
    /// The header is not exactly `alg`, `jwk` and `typ`; `crit` and every other field is refused.
    #[error("the header of the proof must have exactly `alg`, `jwk` and `typ`")]
    Header(#[source] serde_json::Error),
    /// Another kind of token.
    #[error("the proof is of type {found:?}, and here only `sta-holder+jwt` is taken")]
    WrongType {
        /// The header's `typ`.
        found: String,
    },
    /// Another algorithm than the session key's.
    #[error("the proof says `alg` {found:?}; session keys sign with `EdDSA` only")]
    WrongAlgorithm {
        /// The header's `alg`.
        found: String,
    },
    /// The key in the header is none.
    #[error("the session key in the proof is not usable")]
    Key(#[from] KeyError),
    /// Signed by another key than the passport is bound to.
    #[error(
        "the proof is signed with the key {found}, but the passport is bound to {expected}: use the session it was issued to"
    )]
    OtherHolder {
        /// The thumbprint of the key that signed.
        found: Thumbprint,
        /// The passport's `cnf.jkt`.
        expected: Thumbprint,
    },
    /// The signature was not made by the key over this text.
    #[error("the signature of the proof does not fit it: it was changed")]
    BadSignature,
    /// The payload does not have the claims of a proof, or is not canonical JSON.
    #[error("the proof must say exactly `aud`, `digest`, `iat` and `job`, in canonical JSON (RFC 8785)")]
    Claims,
    /// It is about another job.
    #[error("the proof is for job {found}, not for {expected}")]
    OtherJob {
        /// The job in the proof.
        found: JobId,
        /// The job at hand.
        expected: JobId,
    },
    /// It is about another description of the job.
    #[error(
        "the proof is for a job with digest {found}, but this one has {expected}: it was changed after it was signed"
    )]
    OtherDigest {
        /// The digest in the proof.
        found: Sha256Digest,
        /// The digest of the job at hand.
        expected: Sha256Digest,
    },
    /// It is meant for another member.
    #[error("the proof is meant for {found}, not for {expected}")]
    OtherAudience {
        /// The member in the proof.
        found: MemberId,
        /// The member that should have been addressed.
        expected: MemberId,
    },
    /// Too old.
    #[error("the proof was made {age_seconds} s ago; at most {age_seconds_max} s are allowed: submit again")]
    TooOld {
        /// How old it is.
        age_seconds: i64,
        /// How old it may be.
        age_seconds_max: u32,
    },
    /// The researcher's clock is ahead of ours.
    #[error(
        "the proof was made {seconds_ahead} s in the future; {skew_seconds_max} s of clock skew are allowed: set the clocks (NTP)"
    )]
    MadeInFuture {
        /// By how much.
        seconds_ahead: i64,
        /// How much is allowed.
        skew_seconds_max: u32,
    },
    /// The claims cannot be written as canonical JSON.
    #[error("the proof cannot be made")]
    Unwritable(#[from] DigestError),
}

/// What a holder proves: that they asked for this job, at this member, at this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderClaims {
    /// The job.
    pub job: JobId,
    /// The digest of the job's description.
    pub digest: Sha256Digest,
    /// The member it was submitted to: the researcher's home.
    pub audience: MemberId,
    /// When, by the researcher's clock, in whole seconds.
    pub issued_at: Timestamp,
}

/// What the verifier already knows and the proof must match.
#[derive(Debug, Clone)]
pub struct ExpectedHolder<'a> {
    /// The passport's `cnf.jkt`.
    pub holder: Thumbprint,
    /// The job at hand.
    pub job: JobId,
    /// The digest of its description.
    pub digest: Sha256Digest,
    /// The member it was submitted to.
    pub audience: &'a MemberId,
    /// How old the proof may be, in seconds.
    pub age_seconds_max: u32,
    /// How far the researcher's clock may be ahead, in seconds.
    pub skew_seconds_max: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    jwk: Ed25519Jwk,
    typ: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    aud: MemberId,
    digest: Sha256Digest,
    iat: i64,
    job: JobId,
}

/// Makes the proof with the researcher's session key.
///
/// # Errors
/// [`HolderRefused::Unwritable`] for a time that JSON cannot hold.
pub fn holder_proof(key: &SigningKey, claims: &HolderClaims) -> Result<HolderProof, HolderRefused> {
    let header =
        Header { alg: ALGORITHM.to_owned(), jwk: key.public_key().jwk(), typ: HOLDER_PROOF_TYP.to_owned() };
    let payload = Payload {
        aud: claims.audience.clone(),
        digest: claims.digest,
        iat: claims.issued_at.as_second(),
        job: claims.job,
    };
    let input = signing_input(&header, &payload)?;
    Ok(HolderProof(with_signature(&input, &key.sign(input.as_bytes()))))
}

/// Checks a proof against the passport's key and the job at hand.
///
/// # Errors
/// The first [`HolderRefused`] that applies.
pub fn verify_holder_proof(
    token: &HolderProof,
    expected: &ExpectedHolder<'_>,
    now: Timestamp,
) -> Result<HolderClaims, HolderRefused> {
    verify_by(token, expected, now, PublicKey::verifies)
}

/// As [`verify_holder_proof`], with every check that it makes; a signature of which `known` has that it holds is not computed
/// again.
///
/// # Errors
/// As there.
pub fn verify_holder_proof_known(
    token: &HolderProof,
    expected: &ExpectedHolder<'_>,
    now: Timestamp,
    known: &KnownSignatures,
) -> Result<HolderClaims, HolderRefused> {
    verify_by(token, expected, now, |key, message, signature| known.verifies(key, message, signature))
}

fn verify_by(
    token: &HolderProof,
    expected: &ExpectedHolder<'_>,
    now: Timestamp,
    holds: impl Fn(&PublicKey, &[u8], &[u8; 64]) -> bool,
) -> Result<HolderClaims, HolderRefused> {
    let parts = Compact::parse(token.as_str())?;
    let header: Header = serde_json::from_slice(&parts.header).map_err(HolderRefused::Header)?;
    if header.typ != HOLDER_PROOF_TYP {
        return Err(HolderRefused::WrongType { found: header.typ });
    }
    if header.alg != ALGORITHM {
        return Err(HolderRefused::WrongAlgorithm { found: header.alg });
    }
    let key = PublicKey::try_from(header.jwk)?;
    if key.thumbprint() != expected.holder {
        return Err(HolderRefused::OtherHolder { found: key.thumbprint(), expected: expected.holder });
    }
    let signature: Option<&[u8; 64]> = parts.signature.as_slice().try_into().ok();
    if !signature.is_some_and(|signature| holds(&key, parts.signing_input.as_bytes(), signature)) {
        return Err(HolderRefused::BadSignature);
    }
    if !is_canonical_json(&parts.payload) {
        return Err(HolderRefused::Claims);
    }
    let payload: Payload = serde_json::from_slice(&parts.payload).map_err(|_| HolderRefused::Claims)?;
    check_claims(payload, expected, now)
}

fn check_claims(
    payload: Payload,
    expected: &ExpectedHolder<'_>,
    now: Timestamp,
) -> Result<HolderClaims, HolderRefused> {
    let Payload { aud: audience, digest, iat, job } = payload;
    if job != expected.job {
        return Err(HolderRefused::OtherJob { found: job, expected: expected.job });
    }
    if digest != expected.digest {
        return Err(HolderRefused::OtherDigest { found: digest, expected: expected.digest });
    }
    if audience != *expected.audience {
        return Err(HolderRefused::OtherAudience { found: audience, expected: expected.audience.clone() });
    }
    let issued_at = Timestamp::from_second(iat).map_err(|_| HolderRefused::Claims)?;
    let age_seconds = now.as_second() - iat;
    if age_seconds > i64::from(expected.age_seconds_max) {
        return Err(HolderRefused::TooOld { age_seconds, age_seconds_max: expected.age_seconds_max });
    }
    if -age_seconds > i64::from(expected.skew_seconds_max) {
        let skew_seconds_max = expected.skew_seconds_max;
        return Err(HolderRefused::MadeInFuture { seconds_ahead: -age_seconds, skew_seconds_max });
    }
    Ok(HolderClaims { job, digest, audience, issued_at })
}
