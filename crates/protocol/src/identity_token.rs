// SPDX-License-Identifier: Apache-2.0
//! What visas and passports share: a JWT (RFC 7519) signed with ES256, its header, its registered claims and their checks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    compact::{COMPACT_BYTES_MAX, Compact, CompactError, signing_input},
    keys::Thumbprint,
    subject::Subject,
    visa_keys::{VisaPublicKey, VisaSigningKey},
    visa_refused::VisaRefused,
};

/// The longest life of a visa or passport, in seconds: 24 hours, so that a withdrawn right ends by itself.
pub const TOKEN_LIFETIME_SECONDS_MAX: i64 = 24 * 60 * 60;
/// The longest text of one claim (GA4GH Passport v1.2 allows 255 in `value` and `source`).
pub(crate) const CLAIM_CHARS_MAX: usize = 255;

const ALGORITHM: &str = "ES256";

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes a text that came from elsewhere; nothing about it is checked yet.
            #[must_use]
            pub fn from_text(text: String) -> Self {
                Self(text)
            }
            /// The compact text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// The digest of the compact text, by which logs name the token without showing it.
            #[must_use]
            pub fn digest(&self) -> crate::digest::Sha256Digest {
                crate::digest::Sha256Digest::of(self.0.as_bytes())
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.digest())
            }
        }
    )*};
}
pub(crate) use tokens;

/// The JOSE header: these four fields and no others.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    jku: String,
    kid: String,
    typ: String,
}

/// The claims that visas and passports have alike.
#[derive(Serialize, Deserialize)]
pub(crate) struct Registered {
    pub(crate) iss: String,
    pub(crate) sub: String,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) jti: String,
    pub(crate) cnf: Option<Confirmation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<serde_json::Value>,
}

/// The holder's key (RFC 7800), by thumbprint (RFC 9449 §6.1).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmation {
    jkt: Thumbprint,
}

/// The same claims, checked.
pub(crate) struct CheckedClaims {
    pub(crate) issuer: String,
    pub(crate) subject: Subject,
    pub(crate) id: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) holder: Thumbprint,
}

impl Registered {
    pub(crate) fn new(claims: &CheckedClaims) -> Self {
        Self {
            iss: claims.issuer.clone(),
            sub: claims.subject.to_string(),
            iat: claims.issued_at.as_second(),
            exp: claims.expires_at.as_second(),
            jti: claims.id.clone(),
            cnf: Some(Confirmation { jkt: claims.holder }),
            nbf: None,
            aud: None,
        }
    }

    /// Checks what does not depend on the clock.
    pub(crate) fn check(&self) -> Result<CheckedClaims, VisaRefused> {
        let time = |claim, second| {
            Timestamp::from_second(second)
                .map_err(|_| VisaRefused::claim(claim, "is not a time in seconds since 1970"))
        };
        if self.aud.is_some() {
            return Err(VisaRefused::claim(
                "aud",
                "is set: the token is meant for one service only (RFC 7519 §4.1.3)",
            ));
        }
        check_text("iss", &self.iss)?;
        check_text("jti", &self.jti)?;
        // Saturating: a lifetime that does not fit 64 bits is too long in any case.
        let seconds = self.exp.saturating_sub(self.iat);
        if !(1..=TOKEN_LIFETIME_SECONDS_MAX).contains(&seconds) {
            return Err(VisaRefused::LifetimeNotAllowed { id: self.jti.clone(), seconds });
        }
        Ok(CheckedClaims {
            issuer: self.iss.clone(),
            subject: self.sub.parse().map_err(|_| VisaRefused::claim("sub", "is not `researcher@member`"))?,
            id: self.jti.clone(),
            issued_at: time("iat", self.iat)?,
            expires_at: time("exp", self.exp)?,
            holder: self.cnf.as_ref().ok_or(VisaRefused::NoHolder { id: self.jti.clone() })?.jkt,
        })
    }

    fn check_time(&self, now: Timestamp, skew_seconds_max: u32) -> Result<(), VisaRefused> {
        let (now, skew) = (now.as_second(), i64::from(skew_seconds_max));
        let begins = self.iat.max(self.nbf.unwrap_or(self.iat));
        check_begun(&self.jti, begins, now, skew)?;
        if now >= self.exp.saturating_add(skew) {
            return Err(VisaRefused::Expired {
                id: self.jti.clone(),
                seconds_ago: now.saturating_sub(self.exp),
            });
        }
        Ok(())
    }
}

/// Refuses what begins later than now and the allowed skew.
pub(crate) fn check_begun(id: &str, begins: i64, now: i64, skew: i64) -> Result<(), VisaRefused> {
    let seconds_ahead = begins.saturating_sub(now);
    if seconds_ahead > skew {
        Err(VisaRefused::NotYetValid { id: id.to_owned(), seconds_ahead })
    } else {
        Ok(())
    }
}

/// Refuses a text that is empty or longer than [`CLAIM_CHARS_MAX`].
pub(crate) fn check_text(claim: &'static str, text: &str) -> Result<(), VisaRefused> {
    if text.is_empty() || text.chars().nth(CLAIM_CHARS_MAX).is_some() {
        return Err(VisaRefused::claim(claim, "must have 1 to 255 characters"));
    }
    Ok(())
}

/// Signs claims as a token of type `typ`.
pub(crate) fn issue(
    key: &VisaSigningKey,
    key_id: &str,
    jku: &str,
    typ: &str,
    claims: &impl Serialize,
) -> Result<String, VisaRefused> {
    let header = Header {
        alg: ALGORITHM.to_owned(),
        jku: jku.to_owned(),
        kid: key_id.to_owned(),
        typ: typ.to_owned(),
    };
    let input = signing_input(&header, claims)?;
    let token = format!("{input}.{}", key.sign_to_base64(input.as_bytes()));
    if token.len() > COMPACT_BYTES_MAX {
        return Err(CompactError::TooLarge { bytes: token.len() }.into());
    }
    Ok(token)
}

/// Claims that carry the registered ones.
pub(crate) trait Claims: DeserializeOwned {
    fn registered(&self) -> &Registered;
}

/// Checks header, signature and time of a token, and gives its claims. `jku` is compared by `trusted`, never fetched.
pub(crate) fn open<C: Claims>(
    token: &str,
    typ: &'static str,
    trusted: impl Fn(&str, &str, &str) -> Option<VisaPublicKey>,
    now: Timestamp,
    skew_seconds_max: u32,
) -> Result<C, VisaRefused> {
    let parts = Compact::parse(token)?;
    let header: Header = serde_json::from_slice(&parts.header).map_err(VisaRefused::Header)?;
    if header.typ != typ {
        return Err(VisaRefused::WrongType { found: header.typ, expected: typ });
    }
    if header.alg != ALGORITHM {
        return Err(VisaRefused::WrongAlgorithm { found: header.alg });
    }
    // The issuer's name must be read before the signature can be checked; nothing else is used until then.
    let claims: C = serde_json::from_slice(&parts.payload).map_err(VisaRefused::Claims)?;
    let issuer = claims.registered().iss.clone();
    let Some(key) = trusted(&issuer, &header.kid, &header.jku) else {
        return Err(VisaRefused::UnknownIssuer { issuer, key_id: header.kid, jku: header.jku });
    };
    if parts.signature.len() != 64
        || !key.verifies_base64(parts.signing_input.as_bytes(), parts.signature_text)
    {
        return Err(VisaRefused::BadSignature { issuer, key_id: header.kid });
    }
    claims.registered().check_time(now, skew_seconds_max)?;
    Ok(claims)
}
