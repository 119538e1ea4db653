// SPDX-License-Identifier: Apache-2.0
//! The text `header.payload.signature` (JWS compact serialization, RFC 7515 §7.1), taken apart strictly and put together.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::digest::{DigestError, canonical_json};

/// The longest compact JWS that is looked at, in bytes.
pub const COMPACT_BYTES_MAX: usize = 1 << 20;

/// Why a text is no compact JWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    /// Longer than [`COMPACT_BYTES_MAX`].
    #[error("the token has {bytes} bytes; at most {COMPACT_BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not three parts with two dots between.
    #[error("the token has {parts} parts between dots; a compact JWS has three (RFC 7515 §7.1)")]
    NotThreeParts {
        /// How many it has.
        parts: usize,
    },
    /// A part is not base64url without padding, or has stray bits at its end.
    #[error("the {part} of the token is not base64url without padding (RFC 7515 §2)")]
    NotBase64 {
        /// `header`, `payload` or `signature`.
        part: &'static str,
    },
}

/// A compact JWS, decoded but not verified.
pub(crate) struct Compact<'a> {
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    /// What the signature covers: `header.payload` as it stands in the text.
    pub(crate) signing_input: &'a str,
    pub(crate) signature: Vec<u8>,
    /// The signature as it stands in the text.
    pub(crate) signature_text: &'a str,
}

impl<'a> Compact<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, CompactError> {
        if text.len() > COMPACT_BYTES_MAX {
            return Err(CompactError::TooLarge { bytes: text.len() });
        }
        let not_three = CompactError::NotThreeParts { parts: text.split('.').count() };
        let (signing_input, signature_text) = text.rsplit_once('.').ok_or(not_three.clone())?;
        let (header, payload) = signing_input.split_once('.').ok_or(not_three.clone())?;
        if payload.contains('.') {
            return Err(not_three);
        }
        Ok(Self {
            header: decode("header", header)?,
            payload: decode("payload", payload)?,
            signing_input,
            signature: decode("signature", signature_text)?,
            signature_text,
        })
    }
}

/// `text` from strict base64url.
pub(crate) fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, CompactError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| CompactError::NotBase64 { part })
}

/// `header.payload` of a new token, both as canonical JSON.
pub(crate) fn signing_input(
    header: &impl Serialize,
    payload: &impl Serialize,
) -> Result<String, DigestError> {
    let header = URL_SAFE_NO_PAD.encode(canonical_json(header)?);
    let payload = URL_SAFE_NO_PAD.encode(canonical_json(payload)?);
    Ok(format!("{header}.{payload}"))
}

/// The whole token, from what was signed and the signature's bytes.
pub(crate) fn with_signature(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
