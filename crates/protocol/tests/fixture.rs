// SPDX-License-Identifier: Apache-2.0
//! What the tests share: published keys, one moment in time, two members, and tokens put together by hand.

use std::fmt::Debug;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sta_protocol::{
    holder_proof::HolderClaims,
    jws::Document,
    keys::{PublicKey, SigningKey, VisaPublicKey, VisaSigningKey},
    passport::PassportClaims,
    visa::{AssertedBy, Assertion, VisaClaims, VisaToken, VisaType, issue_visa},
};

/// 2026-11-23T12:00:00Z.
pub(crate) const NOW: i64 = 1_795_435_200;
pub(crate) const CA_ISSUER: &str = "https://ca.sta.example";
pub(crate) const DE_ISSUER: &str = "https://de.sta.example";
/// The secret key of RFC 8032 §7.1, test 1, and of RFC 8037 A.1.
pub(crate) const CA_SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// The secret key of RFC 8032 §7.1, test 2.
pub(crate) const DE_SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
/// The secret key of RFC 8032 §7.1, test 3: a researcher's session.
pub(crate) const SESSION_SEED: &str = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";
/// The P-256 key of RFC 6979 A.2.5 in PKCS#8.
pub(crate) const CA_VISA_PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgya+p2EW6dRZrXCFX
Z7HWk05Qw9s26JsSe4piKxIPZyGhRANCAARg/tS6JVqdMclh63TGNW1owEm4kjth
+mzmaWIuYPKftnkD/hAIuLyZpBrp6VYovGTy8bIMLX6fUXejwpTURiKZ
-----END PRIVATE KEY-----
";
/// The P-256 key of RFC 7517 A.2 in PKCS#8.
pub(crate) const DE_VISA_PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg870MB6gfuTJ4HtUn
UvYMyJpr5eUZNP4Bk43bVdj3eAGhRANCAAQwoEJM0hwpRIOKLXXJKzfnbqINnwCJ
OjtO7oo8Cq/sPuBLZekkVtmIi1Kzeb371R7oae8fD8ZbZllpW2zOCBcj
-----END PRIVATE KEY-----
";

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn now() -> Timestamp {
    at(NOW)
}

pub(crate) fn key_from_hex(hex: &str) -> SigningKey {
    let bytes: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    SigningKey::from_seed(bytes.try_into().unwrap())
}

pub(crate) fn ca() -> SigningKey {
    key_from_hex(CA_SEED)
}

pub(crate) fn de() -> SigningKey {
    key_from_hex(DE_SEED)
}

pub(crate) fn session() -> SigningKey {
    key_from_hex(SESSION_SEED)
}

pub(crate) fn ca_visas() -> VisaSigningKey {
    VisaSigningKey::from_pkcs8_pem(CA_VISA_PEM).unwrap()
}

pub(crate) fn de_visas() -> VisaSigningKey {
    VisaSigningKey::from_pkcs8_pem(DE_VISA_PEM).unwrap()
}

pub(crate) fn jku(issuer: &str) -> String {
    format!("{issuer}/.well-known/jwks.json")
}

/// The keys of both members, by name.
pub(crate) fn known(key_id: &str) -> Option<PublicKey> {
    [ca(), de()].iter().map(SigningKey::public_key).find(|key| key.key_id() == key_id)
}

/// The pinned visa keys of both members.
pub(crate) fn trusted(issuer: &str, key_id: &str, key_set: &str) -> Option<VisaPublicKey> {
    let pinned = [(CA_ISSUER, ca_visas()), (DE_ISSUER, de_visas())];
    let is_pinned =
        |name: &str, key: &VisaSigningKey| name == issuer && key.key_id() == key_id && jku(name) == key_set;
    pinned.iter().find(|(name, key)| is_pinned(name, key)).map(|(_, key)| key.public_key().clone())
}

/// The name of an error's variant: the reason without its facts.
pub(crate) fn reason(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A compact JWS put together by hand, so that it can be wrong in any way.
pub(crate) fn eddsa_token(header: &Value, payload: &[u8], key: &SigningKey) -> String {
    let input = format!("{}.{}", base64(header.to_string()), base64(payload));
    let signature = base64(key.sign(input.as_bytes()));
    format!("{input}.{signature}")
}

/// A JWT put together by hand, so that it can be wrong in any way.
pub(crate) fn es256_token(header: &Value, claims: &Value, pem: &str) -> String {
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    let input = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = crypto::sign(input.as_bytes(), &key, Algorithm::ES256).unwrap();
    format!("{input}.{signature}")
}

/// A small document of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) gpu_seconds: u64,
}

impl Document for Note {
    const TYP: &'static str = "sta-note+jws";
}

pub(crate) fn note() -> Note {
    Note { text: "Grüße from Jülich".to_owned(), gpu_seconds: 86_400 }
}

/// A grant of a dataset by Germany to Ada of Canada.
pub(crate) fn grant_claims() -> VisaClaims {
    VisaClaims {
        issuer: DE_ISSUER.to_owned(),
        subject: "ada@ca".parse().unwrap(),
        id: "visa-0001".to_owned(),
        issued_at: now(),
        expires_at: at(NOW + 12 * 3600),
        holder: session().public_key().thumbprint(),
        assertion: Assertion {
            kind: VisaType::ControlledAccessGrants,
            value: "https://de.sta.example/datasets/hospital".to_owned(),
            source: "https://charite.example".to_owned(),
            by: Some(AssertedBy::Dac),
            asserted: at(NOW - 30 * 86_400),
        },
    }
}

/// Ada's role at home, said by Canada.
pub(crate) fn role_claims() -> VisaClaims {
    VisaClaims {
        issuer: CA_ISSUER.to_owned(),
        id: "visa-0002".to_owned(),
        expires_at: at(NOW + 6 * 3600),
        assertion: Assertion {
            kind: VisaType::AffiliationAndRole,
            value: "faculty@uwaterloo.example".to_owned(),
            source: "https://uwaterloo.example".to_owned(),
            by: Some(AssertedBy::System),
            asserted: at(NOW - 3600),
        },
        ..grant_claims()
    }
}

pub(crate) fn grant() -> VisaToken {
    issue_visa(&de_visas(), &de_visas().key_id(), &jku(DE_ISSUER), &grant_claims()).unwrap()
}

pub(crate) fn role() -> VisaToken {
    issue_visa(&ca_visas(), &ca_visas().key_id(), &jku(CA_ISSUER), &role_claims()).unwrap()
}

/// Ada's passport with both visas, issued by Canada.
pub(crate) fn passport_claims(visas: Vec<VisaToken>) -> PassportClaims {
    PassportClaims {
        issuer: CA_ISSUER.to_owned(),
        subject: "ada@ca".parse().unwrap(),
        id: "passport-0001".to_owned(),
        issued_at: now(),
        expires_at: at(NOW + 8 * 3600),
        holder: session().public_key().thumbprint(),
        visas,
    }
}

pub(crate) fn holder_claims() -> HolderClaims {
    HolderClaims {
        job: "019ab0e1-7c00-7a10-8c3e-2f1f6f0a9b11".parse().unwrap(),
        digest: sta_protocol::digest::Sha256Digest::of(b"a job"),
        audience: "ca".parse().unwrap(),
        issued_at: now(),
    }
}

/// The header and claims of the grant, to be changed and signed by hand.
pub(crate) fn raw_grant() -> (Value, Value) {
    let header = json!({
        "alg": "ES256", "typ": "vnd.ga4gh.visa+jwt", "kid": de_visas().key_id(), "jku": jku(DE_ISSUER),
    });
    let claims = json!({
        "iss": DE_ISSUER, "sub": "ada@ca", "iat": NOW, "exp": NOW + 3600, "jti": "visa-raw",
        "cnf": {"jkt": session().public_key().thumbprint()},
        "ga4gh_visa_v1": {
            "type": "ControlledAccessGrants", "asserted": NOW - 60, "by": "dac",
            "value": "https://de.sta.example/datasets/hospital", "source": "https://charite.example",
        },
    });
    (header, claims)
}
