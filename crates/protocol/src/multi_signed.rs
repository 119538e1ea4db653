// SPDX-License-Identifier: Apache-2.0
//! Documents with many signatures over the same bytes: JWS general JSON serialization (RFC 7515 §7.2.1), as the treaty has.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    compact::{COMPACT_BYTES_MAX, CompactError, decode},
    digest::{canonical_json, is_canonical_json},
    jws::{Header, JwsError, check_signature},
    keys::{PublicKey, SigningKey},
};

/// The most signatures that are looked at.
pub const SIGNATURES_MAX: usize = 64;

/// Canonical JSON with any number of Ed25519 signatures, none of them checked yet. The payload is kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiSigned {
    payload: String,
    signatures: Vec<OneSignature>,
}

/// One signature with its protected header; an unprotected header is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneSignature {
    protected: String,
    signature: String,
}

impl OneSignature {
    fn header(&self, typ: &str) -> Result<Header, JwsError> {
        Header::parse(&decode("header", &self.protected)?, typ)
    }
}

impl MultiSigned {
    /// A document that nobody has signed yet.
    ///
    /// # Errors
    /// [`JwsError::Unwritable`] when `value` has no canonical JSON, [`JwsError::Compact`] when it is too long.
    pub fn new(value: &impl Serialize) -> Result<Self, JwsError> {
        let document =
            Self { payload: URL_SAFE_NO_PAD.encode(canonical_json(value)?), signatures: Vec::new() };
        document.check_limits()?;
        Ok(document)
    }

    /// Adds the signature of `key` as a document of type `typ`, under the name [`SigningKey::key_id`]. Signing again
    /// changes nothing.
    ///
    /// # Errors
    /// [`JwsError::BadSignature`] when there is a false signature under the name of this key,
    /// [`JwsError::TooManySignatures`] beyond [`SIGNATURES_MAX`], and what [`MultiSigned::signers`] refuses.
    pub fn add_signature(&mut self, key: &SigningKey, typ: &str) -> Result<(), JwsError> {
        let key_id = key.key_id();
        if self.signers(typ)?.contains(&key_id) {
            return self.verify_one(&key_id, &key.public_key(), typ);
        }
        if self.signatures.len() >= SIGNATURES_MAX {
            return Err(JwsError::TooManySignatures { count: self.signatures.len() + 1 });
        }
        let protected = URL_SAFE_NO_PAD.encode(canonical_json(&Header::new(&key_id, typ))?);
        let signature = URL_SAFE_NO_PAD.encode(key.sign(format!("{protected}.{}", self.payload).as_bytes()));
        self.signatures.push(OneSignature { protected, signature });
        Ok(())
    }

    /// The names of the keys that claim to have signed, in the order of the document. Nothing is verified.
    ///
    /// # Errors
    /// What is wrong with the form of the document or a header; a name that occurs twice is [`JwsError::RepeatedSigner`].
    pub fn signers(&self, typ: &str) -> Result<Vec<String>, JwsError> {
        self.check_limits()?;
        let mut key_ids: Vec<String> = Vec::new();
        for signature in &self.signatures {
            let key_id = signature.header(typ)?.kid;
            if key_ids.contains(&key_id) {
                return Err(JwsError::RepeatedSigner { key_id });
            }
            key_ids.push(key_id);
        }
        Ok(key_ids)
    }

    /// Checks that exactly the named keys have signed, each once and validly, and gives the payload: canonical JSON.
    ///
    /// # Errors
    /// [`JwsError::MissingSigner`], [`JwsError::UnexpectedSigner`], [`JwsError::RepeatedSigner`],
    /// [`JwsError::BadSignature`], [`JwsError::WrongType`], [`JwsError::WrongAlgorithm`], [`JwsError::NotCanonical`], or
    /// what is wrong with the form. An empty list of keys is refused too: it would prove nothing.
    pub fn verify_all(&self, keys: &[(String, PublicKey)], typ: &str) -> Result<Vec<u8>, JwsError> {
        let present = self.signers(typ)?;
        if let Some(unexpected) =
            present.iter().find(|key_id| !keys.iter().any(|(named, _)| named == *key_id))
        {
            return Err(JwsError::UnexpectedSigner { key_id: unexpected.clone() });
        }
        for (key_id, key) in keys {
            self.verify_one(key_id, key, typ)?;
        }
        if keys.is_empty() {
            return Err(JwsError::MissingSigner { key_id: "(any)".to_owned() });
        }
        let payload = self.payload_bytes()?;
        if is_canonical_json(&payload) { Ok(payload) } else { Err(JwsError::NotCanonical) }
    }

    /// Checks that nobody but the named keys has signed and that every signature there is holds; gives the payload, which
    /// is canonical JSON, and the names of those who signed. Whether they are enough is for the caller to say.
    ///
    /// # Errors
    /// As [`MultiSigned::verify_all`], but for [`JwsError::MissingSigner`].
    pub fn verify_some(
        &self,
        keys: &[(String, PublicKey)],
        typ: &str,
    ) -> Result<(Vec<u8>, Vec<String>), JwsError> {
        let present = self.signers(typ)?;
        for key_id in &present {
            match keys.iter().find(|(named, _)| named == key_id) {
                Some((_, key)) => self.verify_one(key_id, key, typ)?,
                None => return Err(JwsError::UnexpectedSigner { key_id: key_id.clone() }),
            }
        }
        let payload = self.payload_bytes()?;
        if is_canonical_json(&payload) { Ok((payload, present)) } else { Err(JwsError::NotCanonical) }
    }

    /// Checks the signature of one named key; the others may be missing, as while a treaty goes round for signing.
    ///
    /// # Errors
    /// [`JwsError::MissingSigner`], [`JwsError::BadSignature`], or what is wrong with the form.
    pub fn verify_one(&self, key_id: &str, key: &PublicKey, typ: &str) -> Result<(), JwsError> {
        let position = self.signers(typ)?.iter().position(|signer| signer == key_id);
        let Some(signature) = position.and_then(|position| self.signatures.get(position)) else {
            return Err(JwsError::MissingSigner { key_id: key_id.to_owned() });
        };
        let message = format!("{}.{}", signature.protected, self.payload);
        check_signature(key, key_id, message.as_bytes(), &decode("signature", &signature.signature)?)
    }

    /// The payload's bytes, which prove nothing: to show, to learn which keys should have signed, or to digest.
    ///
    /// # Errors
    /// [`JwsError::Compact`] when the payload is not base64url or too long.
    pub fn payload_bytes(&self) -> Result<Vec<u8>, JwsError> {
        self.check_limits()?;
        Ok(decode("payload", &self.payload)?)
    }

    fn check_limits(&self) -> Result<(), JwsError> {
        if self.signatures.len() > SIGNATURES_MAX {
            return Err(JwsError::TooManySignatures { count: self.signatures.len() });
        }
        if self.payload.len() > COMPACT_BYTES_MAX {
            return Err(CompactError::TooLarge { bytes: self.payload.len() }.into());
        }
        Ok(())
    }
}
