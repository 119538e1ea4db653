// SPDX-License-Identifier: Apache-2.0
//! GA4GH passports (Passport v1.2): the visas of one researcher in one token, bound to one session key.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    identity_token::{CheckedClaims, Claims, Registered, issue, open, tokens},
    keys::Thumbprint,
    subject::Subject,
    visa::{Visa, VisaRefused, VisaToken, verify_visa},
    visa_keys::{VisaPublicKey, VisaSigningKey},
};

/// The `typ` of a passport.
pub const PASSPORT_TYP: &str = "vnd.ga4gh.passport+jwt";
/// The most visas in one passport.
pub const PASSPORT_VISAS_MAX: usize = 64;

tokens! {
    /// A passport as it travels: text that nobody has checked yet.
    PassportToken;
}

/// All that a passport says, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassportClaims {
    /// Who issues it: the address of the home member's node.
    pub issuer: String,
    /// Whom it is for.
    pub subject: Subject,
    /// The token's own name, used once by the issuer (`jti`).
    pub id: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it holds, at most 24 hours after `issued_at`.
    pub expires_at: Timestamp,
    /// The thumbprint of the researcher's session key (`cnf.jkt`).
    pub holder: Thumbprint,
    /// The visas, whoever issued them.
    pub visas: Vec<VisaToken>,
}

/// A passport that was verified with all its visas; only [`verify_passport`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passport {
    claims: PassportClaims,
    visas: Vec<Visa>,
    expires_at: Timestamp,
}

impl Passport {
    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }
    /// Whom it is for: the same in every visa.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.claims.subject
    }
    /// The token's own name (`jti`).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.claims.id
    }
    /// The thumbprint of the session key that must prove each use: the same in every visa.
    #[must_use]
    pub fn holder(&self) -> Thumbprint {
        self.claims.holder
    }
    /// The visas.
    #[must_use]
    pub fn visas(&self) -> &[Visa] {
        &self.visas
    }
    /// Until when the passport and all its visas hold: the earliest `exp` among them.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// The payload on the wire. Claims that GA4GH does not define are left unread.
#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(flatten)]
    registered: Registered,
    ga4gh_passport_v1: Vec<VisaToken>,
}

impl Claims for Payload {
    fn registered(&self) -> &Registered {
        &self.registered
    }
}

/// Signs a passport around visas, which are not looked at: whoever verifies the passport verifies each of them.
///
/// # Errors
/// A [`VisaRefused`] of those that do not depend on the clock.
pub fn issue_passport(
    key: &VisaSigningKey,
    key_id: &str,
    jku: &str,
    claims: &PassportClaims,
) -> Result<PassportToken, VisaRefused> {
    let PassportClaims { issuer, subject, id, issued_at, expires_at, holder, visas } = claims.clone();
    let registered = Registered::new(&CheckedClaims { issuer, subject, id, issued_at, expires_at, holder });
    let payload = Payload { registered, ga4gh_passport_v1: visas };
    check(&payload)?;
    issue(key, key_id, jku, PASSPORT_TYP, &payload).map(PassportToken)
}

/// Checks a passport and every visa in it offline, and that all of them are for one researcher and bound to one key.
/// `trusted` is as in [`verify_visa`]. One visa that is refused refuses the passport.
///
/// # Errors
/// The first [`VisaRefused`] that applies.
pub fn verify_passport(
    token: &PassportToken,
    trusted: impl Fn(&str, &str, &str) -> Option<VisaPublicKey>,
    now: Timestamp,
    skew_seconds_max: u32,
) -> Result<Passport, VisaRefused> {
    let payload: Payload = open(token.as_str(), PASSPORT_TYP, &trusted, now, skew_seconds_max)?;
    let claims = check(&payload)?;
    let mut visas = Vec::with_capacity(claims.visas.len());
    for (index, visa) in claims.visas.iter().enumerate() {
        let in_passport = |source| VisaRefused::InPassport { position: index + 1, source: Box::new(source) };
        let visa = verify_visa(visa, &trusted, now, skew_seconds_max).map_err(in_passport)?;
        check_same_person(&visa, &claims)?;
        visas.push(visa);
    }
    let expires_at = visas.iter().map(|visa| visa.expires_at).fold(claims.expires_at, Timestamp::min);
    Ok(Passport { claims, visas, expires_at })
}

/// Checks what does not depend on the clock.
fn check(payload: &Payload) -> Result<PassportClaims, VisaRefused> {
    let CheckedClaims { issuer, subject, id, issued_at, expires_at, holder } = payload.registered.check()?;
    let visas = payload.ga4gh_passport_v1.clone();
    if visas.len() > PASSPORT_VISAS_MAX {
        return Err(VisaRefused::TooManyVisas { count: visas.len() });
    }
    Ok(PassportClaims { issuer, subject, id, issued_at, expires_at, holder, visas })
}

fn check_same_person(visa: &Visa, passport: &PassportClaims) -> Result<(), VisaRefused> {
    if visa.subject != passport.subject {
        return Err(VisaRefused::OtherSubject {
            id: visa.id.clone(),
            found: visa.subject.clone(),
            expected: passport.subject.clone(),
        });
    }
    if visa.holder != passport.holder {
        return Err(VisaRefused::OtherHolder {
            id: visa.id.clone(),
            found: visa.holder,
            expected: passport.holder,
        });
    }
    Ok(())
}
