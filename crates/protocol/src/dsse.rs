// SPDX-License-Identifier: Apache-2.0
//! DSSE envelopes (Dead Simple Signing Envelope v1.0) with Ed25519: how attestations travel, so that other people's tools verify them.
//!
//! What is signed is the pre-authentication encoding (PAE) of type and payload, so a payload is never taken for one of
//! another type, and nobody has to agree on how JSON is written.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use serde::{Deserialize, Serialize};

use crate::{
    digest::{DigestError, Sha256Digest},
    keys::{PublicKey, SigningKey},
    multi_signed::SIGNATURES_MAX,
};

/// The longest payload that is looked at, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The longest envelope in JSON that is looked at, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 2 * PAYLOAD_BYTES_MAX;

/// A payload with signatures that nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// The payload in base64.
    payload: String,
    /// Its media type.
    payload_type: String,
    /// One or more signatures.
    signatures: Vec<EnvelopeSignature>,
}

/// One signature; the key's name is only a hint, as nothing covers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// What an envelope was proven to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPayload {
    /// The payload's bytes.
    pub payload: Vec<u8>,
    /// The names of the known keys that signed it, at least one.
    pub key_ids: Vec<String>,
    /// [`Envelope::digest`].
    pub digest: Sha256Digest,
}

/// Why an envelope is refused.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the JSON of an envelope.
    #[error("not a DSSE envelope: it has exactly `payload`, `payloadType` and `signatures`")]
    Shape(#[source] serde_json::Error),
    /// Longer than is read.
    #[error(
        "the payload or the envelope around it has {bytes} bytes; at most {PAYLOAD_BYTES_MAX} of a payload are read"
    )]
    TooLarge {
        /// Its length, in base64 where it is not decoded yet.
        bytes: usize,
    },
    /// Not base64.
    #[error("the {0} of the envelope is not base64 (RFC 4648 §4 or §5)")]
    NotBase64(&'static str),
    /// Another type of payload.
    #[error("the payload is of type {found:?}, and here only {expected:?} is taken")]
    WrongType {
        /// The type it says.
        found: String,
        /// The type that belongs here.
        expected: &'static str,
    },
    /// No signature by a known key.
    #[error("none of the {count} signatures is by a key that is known here; they name {named:?}")]
    NoKnownSigner {
        /// How many there are.
        count: usize,
        /// The keys they name, the first few.
        named: Vec<String>,
    },
    /// A signature under the name of a known key that this key did not make.
    #[error(
        "the signature of key {key_id:?} does not fit the payload: it was changed, or signed by another key"
    )]
    BadSignature {
        /// The key.
        key_id: String,
    },
    /// More signatures than are looked at.
    #[error("the envelope has {0} signatures; at most {SIGNATURES_MAX} are read")]
    TooManySignatures(usize),
    /// The envelope cannot be written.
    #[error("the envelope cannot be written")]
    Unwritable(#[from] DigestError),
}

/// Both alphabets are read, with and without padding, as the specification asks; the standard one is written.
const READ: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    let standard = GeneralPurpose::new(&alphabet::STANDARD, READ);
    let url_safe = GeneralPurpose::new(&alphabet::URL_SAFE, READ);
    standard.decode(text).or_else(|_| url_safe.decode(text)).map_err(|_| EnvelopeError::NotBase64(part))
}

/// The bytes that a signature covers: `DSSEv1 LEN(type) type LEN(payload) payload`.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs `payload` as one of this type, under the name [`SigningKey::key_id`].
    ///
    /// # Errors
    /// [`EnvelopeError::TooLarge`].
    pub fn sign(payload_type: &str, payload: &[u8], key: &SigningKey) -> Result<Self, EnvelopeError> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: payload.len() });
        }
        let signature = key.sign(&pre_authentication_encoding(payload_type, payload));
        Ok(Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![EnvelopeSignature { keyid: key.key_id(), sig: STANDARD.encode(signature) }],
        })
    }

    /// Reads the JSON of an envelope.
    ///
    /// # Errors
    /// [`EnvelopeError::Shape`], [`EnvelopeError::TooLarge`] or [`EnvelopeError::TooManySignatures`].
    pub fn from_json(json: &[u8]) -> Result<Self, EnvelopeError> {
        if json.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: json.len() });
        }
        let envelope: Self = serde_json::from_slice(json).map_err(EnvelopeError::Shape)?;
        if envelope.signatures.len() > SIGNATURES_MAX {
            return Err(EnvelopeError::TooManySignatures(envelope.signatures.len()));
        }
        Ok(envelope)
    }

    /// Its canonical JSON (RFC 8785): the bytes to keep it as.
    ///
    /// # Errors
    /// [`EnvelopeError::Unwritable`].
    pub fn to_json(&self) -> Result<Vec<u8>, EnvelopeError> {
        Ok(crate::digest::canonical_json(self)?)
    }

    /// The SHA-256 of its canonical JSON: its name in records.
    ///
    /// # Errors
    /// [`EnvelopeError::Unwritable`].
    pub fn digest(&self) -> Result<Sha256Digest, EnvelopeError> {
        Ok(Sha256Digest::of_json(self)?)
    }

    /// Checks type and signatures with the keys that `key` knows by the names given. One known signer is enough, and
    /// signatures by others count for nothing; a false signature under a known name refuses the whole.
    ///
    /// # Errors
    /// Every [`EnvelopeError`]; nothing of the payload is given away before a signature is proven.
    pub fn verify(
        &self,
        payload_type: &'static str,
        key: impl Fn(&str) -> Option<PublicKey>,
    ) -> Result<VerifiedPayload, EnvelopeError> {
        if self.signatures.len() > SIGNATURES_MAX {
            return Err(EnvelopeError::TooManySignatures(self.signatures.len()));
        }
        if self.payload_type != payload_type {
            let found = self.payload_type.chars().take(200).collect();
            return Err(EnvelopeError::WrongType { found, expected: payload_type });
        }
        if self.payload.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: self.payload.len() });
        }
        let payload = decode("payload", &self.payload)?;
        let message = pre_authentication_encoding(payload_type, &payload);
        let mut key_ids = Vec::new();
        for signature in &self.signatures {
            let Some(public_key) = key(&signature.keyid) else { continue };
            let bytes: Option<[u8; 64]> = decode("signature", &signature.sig)?.try_into().ok();
            if !bytes.is_some_and(|bytes| public_key.verifies(&message, &bytes)) {
                return Err(EnvelopeError::BadSignature { key_id: signature.keyid.clone() });
            }
            if !key_ids.contains(&signature.keyid) {
                key_ids.push(signature.keyid.clone());
            }
        }
        if key_ids.is_empty() {
            let named = self.signatures.iter().take(3).map(|signature| signature.keyid.clone()).collect();
            return Err(EnvelopeError::NoKnownSigner { count: self.signatures.len(), named });
        }
        Ok(VerifiedPayload { payload, key_ids, digest: self.digest()? })
    }
}
