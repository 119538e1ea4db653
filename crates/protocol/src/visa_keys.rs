// SPDX-License-Identifier: Apache-2.0
//! ECDSA P-256 keys for visas and passports: GA4GH AAI allows ES256 and RS256 only, not Ed25519.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde::{Deserialize, Serialize};

use crate::keys::{KeyError, Thumbprint, bytes_from_base64};

/// A private ECDSA P-256 key. Its memory is wiped on drop and `Debug` shows only the key's name.
#[derive(Clone)]
pub struct VisaSigningKey {
    private: EncodingKey,
    public: VisaPublicKey,
}

impl VisaSigningKey {
    /// Reads an unencrypted PKCS#8 private key (RFC 5208) in DER.
    ///
    /// # Errors
    /// [`KeyError::NotPkcs8`] when it is something else, or on another curve.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|_| KeyError::NotPkcs8)?;
        let public = VisaPublicKey::from_point(pair.public_key().as_ref())?;
        Ok(Self { private: EncodingKey::from_ec_der(der), public })
    }

    /// Reads an unencrypted PKCS#8 private key in PEM (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// [`KeyError::NotPkcs8`] when it is something else, or on another curve.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        let private = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(|_| KeyError::NotPkcs8)?;
        Self::from_pkcs8_der(private.as_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &VisaPublicKey {
        &self.public
    }

    /// The public half as a JWK, for the member's key set.
    #[must_use]
    pub fn public_jwk(&self) -> P256Jwk {
        self.public.jwk()
    }

    /// The name of the key, as [`VisaPublicKey::key_id`].
    #[must_use]
    pub fn key_id(&self) -> String {
        self.public.key_id()
    }

    /// The ES256 signature over `message` in base64url (RFC 7518 §3.4). Each call gives another: the nonce is drawn within.
    ///
    /// # Panics
    /// When the machine has no randomness left to draw from; the key itself was checked when it was read.
    pub(crate) fn sign_to_base64(&self, message: &[u8]) -> String {
        crypto::sign(message, &self.private, Algorithm::ES256).expect("a checked P-256 key signs")
    }
}

impl fmt::Debug for VisaSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisaSigningKey({}, secret not shown)", self.key_id())
    }
}

/// A public ECDSA P-256 key, on the wire a JWK object `{kty, crv, x, y}`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "P256Jwk", into = "P256Jwk")]
pub struct VisaPublicKey {
    x: [u8; 32],
    y: [u8; 32],
}

impl VisaPublicKey {
    /// From the uncompressed point, `04 x y` (SEC 1 §2.3.3).
    fn from_point(point: &[u8]) -> Result<Self, KeyError> {
        let refused = || KeyError::NotAPoint { curve: "P-256" };
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| refused())?;
        match point.split_first() {
            Some((4, coordinates)) if coordinates.len() == 64 => {
                let (x, y) = coordinates.split_at(32);
                Ok(Self { x: x.try_into().map_err(|_| refused())?, y: y.try_into().map_err(|_| refused())? })
            }
            Some(_) | None => Err(refused()),
        }
    }

    /// The uncompressed point, `04 x y`.
    fn point(&self) -> [u8; 65] {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&self.x);
        point[33..].copy_from_slice(&self.y);
        point
    }

    /// The key as a JWK of type `EC` (RFC 7518 §6.2).
    #[must_use]
    pub fn jwk(&self) -> P256Jwk {
        P256Jwk {
            kty: "EC".to_owned(),
            crv: "P-256".to_owned(),
            x: URL_SAFE_NO_PAD.encode(self.x),
            y: URL_SAFE_NO_PAD.encode(self.y),
        }
    }

    /// The RFC 7638 thumbprint of the key.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let jwk = self.jwk();
        Thumbprint::of_jwk_members(&[("crv", &jwk.crv), ("kty", &jwk.kty), ("x", &jwk.x), ("y", &jwk.y)])
    }

    /// The name of the key in `kid`: its thumbprint as text.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.thumbprint().to_string()
    }

    /// Whether `signature` (base64url) is an ES256 signature over `message` by this key's private half.
    pub(crate) fn verifies_base64(&self, message: &[u8], signature: &str) -> bool {
        let key = DecodingKey::from_ec_der(&self.point());
        crypto::verify(signature, message, &key, Algorithm::ES256).unwrap_or(false)
    }
}

impl fmt::Debug for VisaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisaPublicKey({})", self.key_id())
    }
}

/// A P-256 public key as a JSON Web Key (RFC 7518 §6.2), with these members and no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct P256Jwk {
    /// Always `EC`.
    pub kty: String,
    /// Always `P-256`.
    pub crv: String,
    /// The first coordinate, 32 bytes in base64url.
    pub x: String,
    /// The second coordinate, 32 bytes in base64url.
    pub y: String,
}

impl From<VisaPublicKey> for P256Jwk {
    fn from(key: VisaPublicKey) -> Self {
        key.jwk()
    }
}

impl TryFrom<P256Jwk> for VisaPublicKey {
    type Error = KeyError;
    fn try_from(jwk: P256Jwk) -> Result<Self, KeyError> {
        if jwk.kty != "EC" || jwk.crv != "P-256" {
            return Err(KeyError::WrongJwk { kty: jwk.kty, crv: jwk.crv, expected: "EC on P-256" });
        }
        let key = Self { x: bytes_from_base64(&jwk.x)?, y: bytes_from_base64(&jwk.y)? };
        Self::from_point(&key.point())
    }
}
