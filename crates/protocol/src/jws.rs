// SPDX-License-Identifier: Apache-2.0
//! Documents with one signature: compact JWS (RFC 7515) with Ed25519 (RFC 8037) over canonical JSON (RFC 8785).
//!
//! [`Signed`] is what travels and is only text; [`Verified`] is what was proven and comes only out of [`Signed::verify`].

use std::{fmt, marker::PhantomData, ops::Deref};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use crate::{
    compact::{COMPACT_BYTES_MAX, CompactError},
    multi_signed::{MultiSigned, SIGNATURES_MAX},
};
use crate::{
    compact::{Compact, signing_input, with_signature},
    digest::{DigestError, Sha256Digest, is_canonical_json},
    keys::{KnownSignatures, PublicKey, SigningKey},
};

/// The one algorithm of these documents (RFC 8037 §3.1). It follows from the key's type and is never chosen by a token.
pub(crate) const ALGORITHM: &str = "EdDSA";

/// A kind of document that is signed. Its media type stands in the signature's header, so that a document of one kind
/// is never taken for another.
pub trait Document: Serialize + DeserializeOwned {
    /// The `typ` of the header, such as `sta-offer+jws`.
    const TYP: &'static str;
}

/// Why a signed document is refused, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum JwsError {
    /// Not a compact JWS at all.
    #[error("not a signed document")]
    Compact(#[from] CompactError),
    /// The header is not exactly `alg`, `kid` and `typ`; `crit` and every other field is refused.
    #[error("the header of the signed document must have exactly `alg`, `kid` and `typ`")]
    Header(#[source] serde_json::Error),
    /// Another algorithm than the key's.
    #[error("the document says `alg` {found:?}; a key of Ed25519 signs with `EdDSA` only")]
    WrongAlgorithm {
        /// The header's `alg`.
        found: String,
    },
    /// Another kind of document.
    #[error("the document is of type {found:?}, and here only {expected:?} is taken")]
    WrongType {
        /// The header's `typ`.
        found: String,
        /// The type that is wanted here.
        expected: String,
    },
    /// Nobody we know has this key.
    #[error("the document is signed with key {key_id:?}, which is not among the keys known here")]
    UnknownKey {
        /// The header's `kid`.
        key_id: String,
    },
    /// The signature was not made by this key over this text.
    #[error(
        "the signature of key {key_id:?} does not fit the document: it was changed, or signed by another key"
    )]
    BadSignature {
        /// The header's `kid`.
        key_id: String,
    },
    /// The payload is not canonical JSON, so that its digest would depend on who computes it.
    #[error("the payload of the document is not canonical JSON (RFC 8785)")]
    NotCanonical,
    /// The payload is no document of this kind.
    #[error("the payload of the document does not have the shape of {typ:?}")]
    Payload {
        /// The kind.
        typ: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The value cannot be written as canonical JSON.
    #[error("the document cannot be signed")]
    Unwritable(#[from] DigestError),
    /// A signature of a document with many is missing.
    #[error("the signature of key {key_id:?} is missing")]
    MissingSigner {
        /// The key that has not signed.
        key_id: String,
    },
    /// A signature of a document with many is by a key that was not named.
    #[error("there is a signature of key {key_id:?}, which is not among the keys that sign this document")]
    UnexpectedSigner {
        /// The key.
        key_id: String,
    },
    /// One name occurs twice.
    #[error("key {key_id:?} has signed twice: leave one of its signatures out")]
    RepeatedSigner {
        /// The key.
        key_id: String,
    },
    /// More signatures than are looked at.
    #[error("the document has {count} signatures; at most {} are read", SIGNATURES_MAX)]
    TooManySignatures {
        /// How many it has.
        count: usize,
    },
}

/// The protected header: these three fields and no others.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: String,
    pub(crate) typ: String,
}

impl Header {
    pub(crate) fn new(key_id: &str, typ: &str) -> Self {
        Self { alg: ALGORITHM.to_owned(), kid: key_id.to_owned(), typ: typ.to_owned() }
    }

    pub(crate) fn parse(json: &[u8], typ: &str) -> Result<Self, JwsError> {
        let header: Self = serde_json::from_slice(json).map_err(JwsError::Header)?;
        if header.typ != typ {
            return Err(JwsError::WrongType { found: header.typ, expected: typ.to_owned() });
        }
        if header.alg != ALGORITHM {
            return Err(JwsError::WrongAlgorithm { found: header.alg });
        }
        Ok(header)
    }
}

/// Checks an Ed25519 signature whose length is not known yet.
pub(crate) fn check_signature(
    key: &PublicKey,
    key_id: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<(), JwsError> {
    let signature: Option<&[u8; 64]> = signature.try_into().ok();
    if signature.is_some_and(|signature| key.verifies(message, signature)) {
        Ok(())
    } else {
        Err(JwsError::BadSignature { key_id: key_id.to_owned() })
    }
}

/// A document with a signature that nobody has checked yet: data, kept byte for byte as it came.
pub struct Signed<T> {
    text: String,
    kind: PhantomData<fn() -> T>,
}

impl<T: Document> Signed<T> {
    /// Signs `value`. The key's name in the header is its [`SigningKey::key_id`].
    ///
    /// # Errors
    /// [`JwsError::Unwritable`] when `value` has no canonical JSON, [`JwsError::Compact`] when the text is too long.
    pub fn sign(value: &T, key: &SigningKey) -> Result<Self, JwsError> {
        let input = signing_input(&Header::new(&key.key_id(), T::TYP), value)?;
        Self::from_compact(with_signature(&input, &key.sign(input.as_bytes())))
    }

    /// As [`Signed::sign`]; `known` remembers that the signature holds, for whoever verifies it in this process.
    ///
    /// # Errors
    /// As there.
    pub fn sign_known(value: &T, key: &SigningKey, known: &KnownSignatures) -> Result<Self, JwsError> {
        let input = signing_input(&Header::new(&key.key_id(), T::TYP), value)?;
        Self::from_compact(with_signature(&input, &known.sign(key, input.as_bytes())))
    }

    /// Takes a text that came from elsewhere, if it has the shape of a compact JWS.
    ///
    /// # Errors
    /// [`JwsError::Compact`].
    pub fn from_compact(text: String) -> Result<Self, JwsError> {
        Compact::parse(&text)?;
        Ok(Self { text, kind: PhantomData })
    }

    /// Checks type, algorithm, signature and form, with the key that `key` knows under the name in the header.
    ///
    /// # Errors
    /// Every [`JwsError`] of one signature; nothing of the content is given away before the signature is proven.
    pub fn verify(&self, key: impl Fn(&str) -> Option<PublicKey>) -> Result<Verified<T>, JwsError> {
        self.verify_by(key, PublicKey::verifies)
    }

    /// As [`Signed::verify`], with every check that it makes; a signature of which `known` has that it holds is not computed again.
    ///
    /// # Errors
    /// As there.
    pub fn verify_known(
        &self,
        key: impl Fn(&str) -> Option<PublicKey>,
        known: &KnownSignatures,
    ) -> Result<Verified<T>, JwsError> {
        self.verify_by(key, |key, message, signature| known.verifies(key, message, signature))
    }

    fn verify_by(
        &self,
        key: impl Fn(&str) -> Option<PublicKey>,
        holds: impl Fn(&PublicKey, &[u8], &[u8; 64]) -> bool,
    ) -> Result<Verified<T>, JwsError> {
        let parts = Compact::parse(&self.text)?;
        let header = Header::parse(&parts.header, T::TYP)?;
        let Some(public_key) = key(&header.kid) else {
            return Err(JwsError::UnknownKey { key_id: header.kid });
        };
        let signature: Option<&[u8; 64]> = parts.signature.as_slice().try_into().ok();
        if !signature.is_some_and(|signature| holds(&public_key, parts.signing_input.as_bytes(), signature)) {
            return Err(JwsError::BadSignature { key_id: header.kid });
        }
        if !is_canonical_json(&parts.payload) {
            return Err(JwsError::NotCanonical);
        }
        let value = serde_json::from_slice(&parts.payload)
            .map_err(|source| JwsError::Payload { typ: T::TYP, source })?;
        Ok(Verified { value, key_id: header.kid, digest: self.digest() })
    }

    /// The content without any proof of who wrote it: to show, never to act on.
    ///
    /// # Errors
    /// [`JwsError::Compact`] or [`JwsError::Payload`].
    pub fn peek_unverified(&self) -> Result<T, JwsError> {
        let parts = Compact::parse(&self.text)?;
        serde_json::from_slice(&parts.payload).map_err(|source| JwsError::Payload { typ: T::TYP, source })
    }
}

impl<T> Signed<T> {
    /// The compact text, byte for byte as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The digest of the compact text.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.text.as_bytes())
    }
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}
impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<T> Eq for Signed<T> {}
impl<T> fmt::Display for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({})", self.digest())
    }
}
impl<T> Serialize for Signed<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de, T: Document> Deserialize<'de> for Signed<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_compact(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A document whose signature was checked. It cannot be made in another way than by [`Signed::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    key_id: String,
    digest: Sha256Digest,
}

impl<T> Verified<T> {
    /// The name of the key that signed.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The digest of the compact text that was verified.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The document, without the memory of its proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
