// SPDX-License-Identifier: Apache-2.0
//! Ed25519 keys (RFC 8032) for documents and HTTP messages, the ES256 keys of visas, and the thumbprints (RFC 7638) that name keys.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::digest::Sha256Digest;
pub use crate::{
    known_signatures::KnownSignatures,
    visa_keys::{P256Jwk, VisaPublicKey, VisaSigningKey},
};

/// Why bytes or a text are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the base64url of so many bytes.
    #[error("`{text}` is not {bytes} bytes in base64url without padding (RFC 4648 §5)")]
    NotBase64 {
        /// The text, cut short.
        text: String,
        /// How many bytes it should encode.
        bytes: usize,
    },
    /// The bytes are no point of the curve, or a point of small order, under which anybody could sign.
    #[error("these bytes are not a public key on {curve}, or a weak one")]
    NotAPoint {
        /// The curve, `Ed25519` or `P-256`.
        curve: &'static str,
    },
    /// The private key is not an ECDSA P-256 key in PKCS#8.
    #[error(
        "not a private key of ECDSA P-256 in PKCS#8: make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    NotPkcs8,
    /// A JWK of another type or curve.
    #[error("the JWK is of type `{kty}` on `{crv}`; here it must be `{expected}`")]
    WrongJwk {
        /// The `kty` it has.
        kty: String,
        /// The `crv` it has.
        crv: String,
        /// What belongs here.
        expected: &'static str,
    },
}

/// The SHA-256 thumbprint of a public key as a JWK (RFC 7638), written as 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The thumbprint of a JWK, of which `required` holds exactly the members RFC 7638 §3.2 asks for.
    pub(crate) fn of_jwk_members(required: &[(&str, &str)]) -> Self {
        let members: std::collections::BTreeMap<_, _> = required.iter().copied().collect();
        let canonical = serde_json_canonicalizer::to_vec(&members).expect("a map of texts is JSON");
        Self(*Sha256Digest::of(&canonical).as_bytes())
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}
impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}
impl FromStr for Thumbprint {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        bytes_from_base64(text).map(Self)
    }
}
impl TryFrom<String> for Thumbprint {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}
impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.to_string()
    }
}

/// `text` as exactly `N` bytes of strict base64url.
pub(crate) fn bytes_from_base64<const N: usize>(text: &str) -> Result<[u8; N], KeyError> {
    let refused = || KeyError::NotBase64 { text: text.chars().take(80).collect(), bytes: N };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    bytes.try_into().map_err(|_| refused())
}

/// A private Ed25519 key. Its memory is wiped on drop and `Debug` shows only the key's name.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key that grows from 32 secret random bytes (RFC 8032 §5.1.5).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The name of the key, as [`PublicKey::key_id`].
    #[must_use]
    pub fn key_id(&self) -> String {
        self.public_key().key_id()
    }

    /// The 64-byte signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret not shown)", self.key_id())
    }
}

/// A public Ed25519 key, written as 43 characters of base64url. Keys of small order are refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// The key with these 32 bytes (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] when they are no point, or one of small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let refused = KeyError::NotAPoint { curve: "Ed25519" };
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| refused.clone())?;
        if key.is_weak() { Err(refused) } else { Ok(Self(key)) }
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether `signature` was made over `message` with this key's private half. Signatures that another
    /// implementation might read differently (non-canonical, small order) are refused.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }

    /// The RFC 7638 thumbprint of the key as a JWK of type `OKP` (RFC 8037 §2).
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let jwk = self.jwk();
        Thumbprint::of_jwk_members(&[("crv", &jwk.crv), ("kty", &jwk.kty), ("x", &jwk.x)])
    }

    /// The name of the key in `kid` and `keyid`: its thumbprint as text.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.thumbprint().to_string()
    }

    /// The key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Ed25519Jwk {
        Ed25519Jwk { kty: "OKP".to_owned(), crv: "Ed25519".to_owned(), x: self.to_string() }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}
impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(bytes_from_base64(text)?)
    }
}
impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}
impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// An Ed25519 public key as a JSON Web Key (RFC 8037 §2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ed25519Jwk {
    /// Always `OKP`.
    pub kty: String,
    /// Always `Ed25519`.
    pub crv: String,
    /// The 32 bytes of the key in base64url.
    pub x: String,
}

impl TryFrom<Ed25519Jwk> for PublicKey {
    type Error = KeyError;
    fn try_from(jwk: Ed25519Jwk) -> Result<Self, KeyError> {
        if jwk.kty == "OKP" && jwk.crv == "Ed25519" {
            jwk.x.parse()
        } else {
            Err(KeyError::WrongJwk { kty: jwk.kty, crv: jwk.crv, expected: "OKP on Ed25519" })
        }
    }
}
