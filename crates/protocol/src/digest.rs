// SPDX-License-Identifier: Apache-2.0
//! SHA-256 digests of bytes, of canonical JSON (RFC 8785), and of HTTP bodies (RFC 9530).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sfv::{BareItem, Dictionary, FieldType as _, Item, ListEntry, Parser};
use sha2::{Digest as _, Sha256};

pub use crate::canonical::{JSON_INTEGER_MAX, canonical_json, canonical_value, is_canonical_json};

/// Why a value has no digest, or a digest does not fit.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// The text is not 64 lower-case hexadecimal digits.
    #[error("`{0}` is not a SHA-256 digest: write 64 hexadecimal digits in lower case")]
    NotHex(String),
    /// The value does not serialise to JSON.
    #[error("the value cannot be written as canonical JSON (RFC 8785)")]
    NotJson(#[source] serde_json::Error),
    /// A number that other implementations would round, so that they would compute another digest.
    #[error("the number {0} is beyond 2^53 - 1, where JSON implementations round: write it as a string")]
    NumberTooLarge(String),
    /// The field is not a structured dictionary with a `sha-256` byte sequence of 32 bytes.
    #[error("Content-Digest `{0}` has no `sha-256=:...:` member of 32 bytes (RFC 9530)")]
    NoSha256(String),
    /// The body is another one than the header describes.
    #[error(
        "the body has SHA-256 {actual}, but Content-Digest says {claimed}: the body was changed on the way"
    )]
    Mismatch {
        /// The digest in the header.
        claimed: Sha256Digest,
        /// The digest of the body that arrived.
        actual: Sha256Digest,
    },
}

/// A SHA-256 digest (FIPS 180-4), written as 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of the canonical JSON (RFC 8785) of `value`.
    ///
    /// # Errors
    /// As [`canonical_json`].
    pub fn of_json(value: &impl Serialize) -> Result<Self, DigestError> {
        Ok(Self::of(&canonical_json(value)?))
    }

    /// A digest computed elsewhere, from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: [u8; 64] = {
            let mut text = [0; 64];
            text.iter_mut().zip(digits).for_each(|(letter, digit)| *letter = DIGITS[usize::from(digit)]);
            text
        };
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

impl FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let refused = || DigestError::NotHex(text.chars().take(80).collect());
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| refused())?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_value(pair[0])
                .zip(hex_value(pair[1]))
                .map(|(high, low)| high << 4 | low)
                .ok_or_else(refused)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.to_string()
    }
}

/// The value of one hexadecimal digit; capitals have none, so that one digest has one spelling.
fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The value of a `Content-Digest` header for `body`: `sha-256=:base64:` (RFC 9530 §2).
#[must_use]
pub fn content_digest_header(body: &[u8]) -> String {
    content_digest_field(Sha256Digest::of(body))
}

/// The value of a `Content-Digest` header for a body with that digest.
#[must_use]
pub fn content_digest_field(body: Sha256Digest) -> String {
    let digest = Item::new(BareItem::ByteSequence(body.0.to_vec()));
    let fields = Dictionary::from_iter([(sfv::key_ref("sha-256").to_owned(), ListEntry::Item(digest))]);
    fields.serialize().expect("a dictionary of one member is not empty")
}

/// Checks a received `Content-Digest` against the body and gives the body's digest back.
///
/// # Errors
/// [`DigestError::NoSha256`] when the header has no usable `sha-256` member, [`DigestError::Mismatch`] when it has another.
pub fn verify_content_digest(header: &str, body: &[u8]) -> Result<Sha256Digest, DigestError> {
    let claimed = claimed_content_digest(header)?;
    let actual = Sha256Digest::of(body);
    if claimed == actual { Ok(actual) } else { Err(DigestError::Mismatch { claimed, actual }) }
}

/// The digest that a received `Content-Digest` says a body has.
///
/// # Errors
/// [`DigestError::NoSha256`] when it has no usable `sha-256` member.
pub fn claimed_content_digest(header: &str) -> Result<Sha256Digest, DigestError> {
    let no_sha256 = || DigestError::NoSha256(header.chars().take(200).collect());
    let fields: Dictionary = Parser::new(header).parse().map_err(|_| no_sha256())?;
    let claimed = match fields.get("sha-256") {
        Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence().ok_or_else(no_sha256)?,
        Some(ListEntry::InnerList(_)) | None => return Err(no_sha256()),
    };
    claimed.try_into().map(Sha256Digest).map_err(|_| no_sha256())
}
