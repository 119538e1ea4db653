// SPDX-License-Identifier: Apache-2.0
//! GA4GH visas (Passport and Visa v1.2, document tokens): a member's signed word on one researcher, checked offline.

use std::{fmt, ops::Deref};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::{identity_token::TOKEN_LIFETIME_SECONDS_MAX, visa_refused::VisaRefused};
use crate::{
    identity_token::{CheckedClaims, Claims, Registered, check_begun, check_text, issue, open, tokens},
    keys::Thumbprint,
    subject::Subject,
    visa_keys::{VisaPublicKey, VisaSigningKey},
};

/// The `typ` of a visa.
pub const VISA_TYP: &str = "vnd.ga4gh.visa+jwt";

tokens! {
    /// A visa as it travels: text that nobody has checked yet.
    VisaToken;
}

/// What a visa is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum VisaType {
    /// The researcher's role at an institution, such as `faculty@uni.example`.
    AffiliationAndRole,
    /// That the researcher is a bona fide researcher; the value is the URL of the meaning.
    ResearcherStatus,
    /// That the researcher accepted the terms at the URL in the value. Must say by whom.
    AcceptedTermsAndPolicies,
    /// That a dataset, whose URL is the value, was granted to the researcher. Must say by whom.
    ControlledAccessGrants,
    /// Other identities of the same researcher.
    LinkedIdentities,
    /// A type of our own or of another community, named by its URL.
    Custom(String),
}

impl fmt::Display for VisaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AffiliationAndRole => "AffiliationAndRole",
            Self::ResearcherStatus => "ResearcherStatus",
            Self::AcceptedTermsAndPolicies => "AcceptedTermsAndPolicies",
            Self::ControlledAccessGrants => "ControlledAccessGrants",
            Self::LinkedIdentities => "LinkedIdentities",
            Self::Custom(url) => url,
        })
    }
}
impl From<VisaType> for String {
    fn from(kind: VisaType) -> Self {
        kind.to_string()
    }
}
impl TryFrom<String> for VisaType {
    type Error = VisaRefused;
    fn try_from(text: String) -> Result<Self, VisaRefused> {
        Ok(match text.as_str() {
            "AffiliationAndRole" => Self::AffiliationAndRole,
            "ResearcherStatus" => Self::ResearcherStatus,
            "AcceptedTermsAndPolicies" => Self::AcceptedTermsAndPolicies,
            "ControlledAccessGrants" => Self::ControlledAccessGrants,
            "LinkedIdentities" => Self::LinkedIdentities,
            url => {
                check_url("type", url)?;
                Self::Custom(text)
            }
        })
    }
}

/// By whom an assertion was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssertedBy {
    /// The researcher.
    #[serde(rename = "self")]
    Researcher,
    /// Another researcher at the same organisation.
    Peer,
    /// A computer system.
    System,
    /// A signing official of the organisation.
    So,
    /// A data access committee.
    Dac,
}

/// What a visa asserts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// What it is about.
    pub kind: VisaType,
    /// The value, whose meaning follows from the type; at most 255 characters.
    pub value: String,
    /// The URL of the organisation that asserts it, which may be another than the issuer.
    pub source: String,
    /// By whom it was asserted.
    pub by: Option<AssertedBy>,
    /// Since when the source holds it to be true.
    pub asserted: Timestamp,
}

/// All that a visa says, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisaClaims {
    /// Who issues it: the address of a member's node.
    pub issuer: String,
    /// Whom it is for, whoever issues it.
    pub subject: Subject,
    /// The token's own name, used once by the issuer (`jti`).
    pub id: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it holds: at most [`TOKEN_LIFETIME_SECONDS_MAX`] after `issued_at`.
    pub expires_at: Timestamp,
    /// The thumbprint of the researcher's session key (`cnf.jkt`).
    pub holder: Thumbprint,
    /// What it asserts.
    pub assertion: Assertion,
}

/// A visa that was verified; only [`verify_visa`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visa(VisaClaims);

impl Deref for Visa {
    type Target = VisaClaims;
    fn deref(&self) -> &VisaClaims {
        &self.0
    }
}

/// The payload on the wire. Claims that GA4GH does not define are left unread.
#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(flatten)]
    registered: Registered,
    ga4gh_visa_v1: Object,
}

/// The visa object on the wire. An unknown field could be a restriction, so it is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(rename = "type")]
    kind: VisaType,
    asserted: i64,
    value: String,
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<AssertedBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conditions: Option<serde_json::Value>,
}

impl Claims for Payload {
    fn registered(&self) -> &Registered {
        &self.registered
    }
}

/// Signs a visa. It is held to the same rules as a visa that arrives.
///
/// # Errors
/// A [`VisaRefused`] of those that do not depend on the clock.
pub fn issue_visa(
    key: &VisaSigningKey,
    key_id: &str,
    jku: &str,
    claims: &VisaClaims,
) -> Result<VisaToken, VisaRefused> {
    let VisaClaims { issuer, subject, id, issued_at, expires_at, holder, assertion } = claims.clone();
    let payload = Payload {
        registered: Registered::new(&CheckedClaims { issuer, subject, id, issued_at, expires_at, holder }),
        ga4gh_visa_v1: Object {
            kind: assertion.kind,
            asserted: assertion.asserted.as_second(),
            value: assertion.value,
            source: assertion.source,
            by: assertion.by,
            conditions: None,
        },
    };
    check(&payload)?;
    issue(key, key_id, jku, VISA_TYP, &payload).map(VisaToken)
}

/// Checks a visa offline. `trusted` knows the pinned key for an issuer, key name and key set address (`iss`, `kid`, `jku`),
/// and gives none when one of the three is not the pinned one; nothing is ever fetched.
///
/// # Errors
/// The first [`VisaRefused`] that applies.
pub fn verify_visa(
    token: &VisaToken,
    trusted: impl Fn(&str, &str, &str) -> Option<VisaPublicKey>,
    now: Timestamp,
    skew_seconds_max: u32,
) -> Result<Visa, VisaRefused> {
    let payload: Payload = open(token.as_str(), VISA_TYP, trusted, now, skew_seconds_max)?;
    let claims = check(&payload)?;
    let asserted = payload.ga4gh_visa_v1.asserted;
    check_begun(&claims.id, asserted, now.as_second(), i64::from(skew_seconds_max))?;
    Ok(Visa(claims))
}

/// Checks what does not depend on the clock.
fn check(payload: &Payload) -> Result<VisaClaims, VisaRefused> {
    let CheckedClaims { issuer, subject, id, issued_at, expires_at, holder } = payload.registered.check()?;
    let object = &payload.ga4gh_visa_v1;
    if object.conditions.is_some() {
        return Err(VisaRefused::HasConditions { id });
    }
    let needs_by = match object.kind {
        VisaType::AcceptedTermsAndPolicies | VisaType::ControlledAccessGrants => true,
        VisaType::AffiliationAndRole
        | VisaType::ResearcherStatus
        | VisaType::LinkedIdentities
        | VisaType::Custom(_) => false,
    };
    if needs_by && object.by.is_none() {
        return Err(VisaRefused::ByMissing { id, kind: object.kind.to_string() });
    }
    check_text("value", &object.value)?;
    check_url("source", &object.source)?;
    let asserted = Timestamp::from_second(object.asserted)
        .map_err(|_| VisaRefused::claim("asserted", "is not a time in seconds since 1970"))?;
    let assertion = Assertion {
        kind: object.kind.clone(),
        value: object.value.clone(),
        source: object.source.clone(),
        by: object.by,
        asserted,
    };
    Ok(VisaClaims { issuer, subject, id, issued_at, expires_at, holder, assertion })
}

fn check_url(claim: &'static str, text: &str) -> Result<(), VisaRefused> {
    check_text(claim, text)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
        Some(_) | None => Err(VisaRefused::claim(claim, "is not a URL that begins with https://")),
    }
}
