// SPDX-License-Identifier: Apache-2.0
//! Rules of visas, passports and holders' proofs.

use serde_json::{Value, json};
use sta_protocol::{
    digest::Sha256Digest,
    holder_proof::{ExpectedHolder, HolderProof, HolderRefused, holder_proof, verify_holder_proof},
    passport::{PassportToken, issue_passport, verify_passport},
    visa::{VisaClaims, VisaRefused, VisaToken, VisaType, issue_visa, verify_visa},
};

use crate::fixture::{
    CA_ISSUER, CA_VISA_PEM, DE_ISSUER, DE_VISA_PEM, NOW, at, ca, ca_visas, de_visas, eddsa_token,
    es256_token, grant, grant_claims, holder_claims, jku, now, passport_claims, raw_grant, reason, role,
    role_claims, session, trusted,
};

const SKEW: u32 = 5;

fn visa_refusal(header: &Value, claims: &Value) -> VisaRefused {
    let token = VisaToken::from_text(es256_token(header, claims, DE_VISA_PEM));
    verify_visa(&token, trusted, now(), SKEW).unwrap_err()
}

/// The raw grant with one claim replaced (or, with null, removed), by JSON pointer.
fn refusal_with(pointer: &str, value: Value) -> VisaRefused {
    let (header, mut claims) = raw_grant();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = claims.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    visa_refusal(&header, &claims)
}

#[test]
fn a_visa_says_after_verification_what_was_signed() {
    let visa = verify_visa(&grant(), trusted, now(), SKEW).unwrap();
    assert_eq!(*visa, grant_claims());
    let (header, claims) = raw_grant();
    let raw = VisaToken::from_text(es256_token(&header, &claims, DE_VISA_PEM));
    assert_eq!(verify_visa(&raw, trusted, now(), SKEW).unwrap().id, "visa-raw");
}

#[test]
fn a_visa_is_valid_from_its_issue_until_its_end_and_the_allowed_skew() {
    let refused = |second| verify_visa(&grant(), trusted, at(second), SKEW).map(|_| ()).unwrap_err();
    let valid = |second| verify_visa(&grant(), trusted, at(second), SKEW).is_ok();
    let end = NOW + 12 * 3600;
    assert!(valid(NOW - 5) && valid(end) && valid(end + 4));
    assert!(matches!(refused(NOW - 6), VisaRefused::NotYetValid { seconds_ahead: 6, .. }));
    assert!(matches!(refused(end + 5), VisaRefused::Expired { seconds_ago: 5, id } if id == "visa-0001"));
}

#[test]
fn a_visa_of_more_than_a_day_is_refused_when_issued_and_when_verified() {
    let long = VisaClaims { expires_at: at(NOW + 86_401), ..grant_claims() };
    let refused = issue_visa(&de_visas(), "k", "j", &long).unwrap_err();
    assert!(matches!(refused, VisaRefused::LifetimeNotAllowed { seconds: 86_401, .. }));
    assert_eq!(reason(&refusal_with("/exp", json!(NOW + 86_401))), "LifetimeNotAllowed");
    let (header, mut claims) = raw_grant();
    claims["exp"] = json!(i64::MAX);
    claims["iat"] = json!(i64::MIN);
    assert_eq!(reason(&visa_refusal(&header, &claims)), "LifetimeNotAllowed");
}

#[test]
fn the_header_of_a_visa_pins_type_and_algorithm_and_has_no_other_field() {
    let (good, claims) = raw_grant();
    let with = |name: &str, value: Value| {
        let mut header = good.clone();
        header[name] = value;
        reason(&visa_refusal(&header, &claims))
    };
    assert_eq!(with("typ", json!("vnd.ga4gh.passport+jwt")), "WrongType");
    assert_eq!(with("typ", json!("JWT")), "WrongType");
    assert_eq!(with("alg", json!("none")), "WrongAlgorithm");
    assert_eq!(with("alg", json!("HS256")), "WrongAlgorithm");
    assert_eq!(with("crit", json!(["exp"])), "Header");
    assert_eq!(with("jwk", json!({})), "Header");
    let token = VisaToken::from_text("not a token".to_owned());
    assert_eq!(reason(&verify_visa(&token, trusted, now(), SKEW).unwrap_err()), "Compact");
}

#[test]
fn an_issuer_is_known_by_name_key_and_key_set_together() {
    let (good, claims) = raw_grant();
    for (name, value) in [("kid", json!(ca_visas().key_id())), ("jku", json!(jku("https://evil.example")))] {
        let mut header = good.clone();
        header[name] = value;
        assert_eq!(reason(&visa_refusal(&header, &claims)), "UnknownIssuer", "{name}");
    }
    assert_eq!(reason(&refusal_with("/iss", json!(CA_ISSUER))), "UnknownIssuer");
    let forged = VisaToken::from_text(es256_token(&good, &claims, CA_VISA_PEM));
    let refused = verify_visa(&forged, trusted, now(), SKEW).unwrap_err();
    assert!(matches!(refused, VisaRefused::BadSignature { issuer, .. } if issuer == DE_ISSUER));
}

#[test]
fn a_visa_with_conditions_is_refused_because_we_know_none() {
    let condition = json!([[{"type": "AffiliationAndRole", "value": "const:faculty@uni.example"}]]);
    assert_eq!(reason(&refusal_with("/ga4gh_visa_v1/conditions", condition)), "HasConditions");
    assert_eq!(reason(&refusal_with("/ga4gh_visa_v1/conditions", json!([]))), "HasConditions");
}

#[test]
fn grants_and_accepted_terms_must_say_by_whom() {
    for kind in [VisaType::ControlledAccessGrants, VisaType::AcceptedTermsAndPolicies] {
        let mut claims = grant_claims();
        claims.assertion.kind = kind.clone();
        claims.assertion.by = None;
        let refused = issue_visa(&de_visas(), "k", "j", &claims).unwrap_err();
        assert!(matches!(refused, VisaRefused::ByMissing { kind: found, .. } if found == kind.to_string()));
    }
    assert_eq!(reason(&refusal_with("/ga4gh_visa_v1/by", Value::Null)), "ByMissing");
}

#[test]
fn other_visa_types_need_no_by_and_a_custom_type_is_a_url() {
    let custom = VisaType::try_from("https://sta.example/visas/compute-grant/v1".to_owned()).unwrap();
    for kind in [VisaType::AffiliationAndRole, VisaType::ResearcherStatus, VisaType::LinkedIdentities, custom]
    {
        let mut claims = grant_claims();
        claims.assertion.kind = kind.clone();
        claims.assertion.by = None;
        let token = issue_visa(&de_visas(), &de_visas().key_id(), &jku(DE_ISSUER), &claims).unwrap();
        assert_eq!(verify_visa(&token, trusted, now(), SKEW).unwrap().assertion.kind, kind);
    }
    assert!(matches!(
        VisaType::try_from("Superuser".to_owned()),
        Err(VisaRefused::Claim { claim: "type", .. })
    ));
}

#[test]
fn a_visa_that_anybody_could_carry_is_refused() {
    assert_eq!(reason(&refusal_with("/cnf", Value::Null)), "NoHolder");
    assert_eq!(reason(&refusal_with("/cnf", json!({"jkt": "short"}))), "Claims");
    assert_eq!(reason(&refusal_with("/cnf", json!({"jwk": {}}))), "Claims");
}

#[test]
fn claims_outside_of_the_profile_are_refused_and_foreign_ones_left_unread() {
    for (pointer, value, expected) in [
        ("/aud", json!("https://other.example"), "Claim"),
        ("/sub", json!("ada"), "Claim"),
        ("/jti", json!(""), "Claim"),
        ("/ga4gh_visa_v1/value", json!("v".repeat(256)), "Claim"),
        ("/ga4gh_visa_v1/source", json!("charite"), "Claim"),
        ("/ga4gh_visa_v1/type", json!("Superuser"), "Claims"),
        ("/ga4gh_visa_v1/by", json!("nobody"), "Claims"),
        ("/ga4gh_visa_v1/only_on", json!("Mondays"), "Claims"),
        ("/ga4gh_visa_v1/asserted", json!(i64::MAX), "Claim"),
        ("/ga4gh_visa_v1/asserted", json!(NOW + 60), "NotYetValid"),
        ("/nbf", json!(NOW + 60), "NotYetValid"),
        ("/exp", Value::Null, "Claims"),
    ] {
        assert_eq!(reason(&refusal_with(pointer, value)), expected, "{pointer}");
    }
    let (header, mut claims) = raw_grant();
    claims["https://other.example/claims"] = json!({"colour": "green"});
    let token = VisaToken::from_text(es256_token(&header, &claims, DE_VISA_PEM));
    assert!(verify_visa(&token, trusted, now(), SKEW).is_ok());
}

fn passport(visas: Vec<VisaToken>) -> PassportToken {
    issue_passport(&ca_visas(), &ca_visas().key_id(), &jku(CA_ISSUER), &passport_claims(visas)).unwrap()
}

#[test]
fn a_passport_holds_visas_of_several_issuers_and_ends_with_the_first_of_them() {
    let verified = verify_passport(&passport(vec![grant(), role()]), trusted, now(), SKEW).unwrap();
    assert_eq!(verified.subject().to_string(), "ada@ca");
    assert_eq!((verified.issuer(), verified.id()), (CA_ISSUER, "passport-0001"));
    assert_eq!(verified.holder(), session().public_key().thumbprint());
    assert_eq!(
        verified.visas().iter().map(|visa| visa.issuer.as_str()).collect::<Vec<_>>(),
        [DE_ISSUER, CA_ISSUER]
    );
    assert_eq!(verified.expires_at(), at(NOW + 6 * 3600));
    let verified = verify_passport(&passport(vec![role(), grant()]), trusted, now(), SKEW).unwrap();
    assert_eq!(verified.expires_at(), at(NOW + 6 * 3600));
    assert_eq!(
        verify_passport(&passport(vec![]), trusted, now(), SKEW).unwrap().expires_at(),
        at(NOW + 8 * 3600)
    );
}

#[test]
fn one_visa_that_is_refused_refuses_the_passport() {
    let forged = VisaToken::from_text(grant().as_str().replace('.', ".e"));
    let refused = verify_passport(&passport(vec![role(), forged]), trusted, now(), SKEW).unwrap_err();
    assert_eq!((reason(&refused).as_str(), position(&refused)), ("InPassport", Some(2)));
    let late = at(NOW + 7 * 3600);
    let refused = verify_passport(&passport(vec![role()]), trusted, late, SKEW).unwrap_err();
    assert!(matches!(&refused, VisaRefused::InPassport { source, .. } if reason(source) == "Expired"));
}

fn position(refused: &VisaRefused) -> Option<usize> {
    match refused {
        VisaRefused::InPassport { position, .. } => Some(*position),
        _ => None,
    }
}

#[test]
fn all_visas_of_a_passport_are_for_one_researcher_and_one_key() {
    let issue =
        |claims: &VisaClaims| issue_visa(&ca_visas(), &ca_visas().key_id(), &jku(CA_ISSUER), claims).unwrap();
    let other = VisaClaims { subject: "bob@ca".parse().unwrap(), ..role_claims() };
    let refused = verify_passport(&passport(vec![issue(&other)]), trusted, now(), SKEW).unwrap_err();
    assert_eq!(reason(&refused), "OtherSubject");
    let stolen = VisaClaims { holder: ca().public_key().thumbprint(), ..role_claims() };
    let refused = verify_passport(&passport(vec![issue(&stolen)]), trusted, now(), SKEW).unwrap_err();
    assert_eq!(reason(&refused), "OtherHolder");
}

#[test]
fn a_passport_has_a_limit_of_visas_and_is_not_a_visa() {
    let claims = passport_claims(vec![VisaToken::from_text("x".to_owned()); 65]);
    let refused = issue_passport(&ca_visas(), "k", "j", &claims).unwrap_err();
    assert!(matches!(refused, VisaRefused::TooManyVisas { count: 65 }));
    let as_visa = VisaToken::from_text(passport(vec![]).as_str().to_owned());
    assert_eq!(reason(&verify_visa(&as_visa, trusted, now(), SKEW).unwrap_err()), "WrongType");
    let as_passport = PassportToken::from_text(role().as_str().to_owned());
    assert_eq!(reason(&verify_passport(&as_passport, trusted, now(), SKEW).unwrap_err()), "WrongType");
}

#[test]
fn tokens_are_not_shown_by_debug() {
    let token = grant();
    assert!(!format!("{token:?}").contains(&token.as_str()[..40]));
}

fn expectation(audience: &sta_protocol::ids::MemberId) -> ExpectedHolder<'_> {
    ExpectedHolder {
        holder: session().public_key().thumbprint(),
        job: holder_claims().job,
        digest: holder_claims().digest,
        audience,
        age_seconds_max: 300,
        skew_seconds_max: SKEW,
    }
}

fn proof_refusal(change: impl Fn(&mut ExpectedHolder<'_>), second: i64) -> HolderRefused {
    let audience = holder_claims().audience;
    let mut expected = expectation(&audience);
    change(&mut expected);
    let proof = holder_proof(&session(), &holder_claims()).unwrap();
    verify_holder_proof(&proof, &expected, at(second)).unwrap_err()
}

#[test]
fn a_holder_proves_one_job_to_one_member_for_a_short_time() {
    let proof = holder_proof(&session(), &holder_claims()).unwrap();
    let audience = holder_claims().audience;
    for second in [NOW - 5, NOW, NOW + 300] {
        assert_eq!(
            verify_holder_proof(&proof, &expectation(&audience), at(second)).unwrap(),
            holder_claims()
        );
    }
    let stranger = ca().public_key().thumbprint();
    assert_eq!(reason(&proof_refusal(|expected| expected.holder = stranger, NOW)), "OtherHolder");
    let other_job = "019ab0e1-7c00-7a10-8c3e-2f1f6f0a9b12".parse().unwrap();
    assert_eq!(reason(&proof_refusal(|expected| expected.job = other_job, NOW)), "OtherJob");
    assert_eq!(
        reason(&proof_refusal(|expected| expected.digest = Sha256Digest::of(b""), NOW)),
        "OtherDigest"
    );
    let de = "de".parse().unwrap();
    let refused = verify_holder_proof(&proof, &expectation(&de), now()).unwrap_err();
    assert_eq!(reason(&refused), "OtherAudience");
    assert!(matches!(proof_refusal(|_| (), NOW + 301), HolderRefused::TooOld { age_seconds: 301, .. }));
    assert!(matches!(proof_refusal(|_| (), NOW - 6), HolderRefused::MadeInFuture { seconds_ahead: 6, .. }));
}

#[test]
fn a_holders_proof_in_another_form_is_refused() {
    let jwk = serde_json::to_value(session().public_key().jwk()).unwrap();
    let HolderParts { header, payload } = holder_parts(&jwk);
    let audience = holder_claims().audience;
    let refusal = |header: &Value, payload: &str| {
        let proof = HolderProof::from_text(eddsa_token(header, payload.as_bytes(), &session()));
        verify_holder_proof(&proof, &expectation(&audience), now()).map_err(|refused| reason(&refused))
    };
    assert!(refusal(&header, &payload).is_ok());
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        refusal(&header, &payload).unwrap_err()
    };
    assert_eq!(with("alg", json!("HS256")), "WrongAlgorithm");
    assert_eq!(with("typ", json!("vnd.ga4gh.visa+jwt")), "WrongType");
    assert_eq!(with("crit", json!([])), "Header");
    assert_eq!(with("jwk", json!({"kty": "OKP", "crv": "X25519", "x": jwk["x"]})), "Key");
    assert_eq!(refusal(&header, &payload.replace(':', ": ")).unwrap_err(), "Claims");
    assert_eq!(refusal(&header, "{}").unwrap_err(), "Claims");
    let forged = HolderProof::from_text(eddsa_token(&header, payload.as_bytes(), &ca()));
    let refused = verify_holder_proof(&forged, &expectation(&audience), now()).unwrap_err();
    assert_eq!(reason(&refused), "BadSignature");
    let refused = verify_holder_proof(&HolderProof::from_text(String::new()), &expectation(&audience), now());
    assert_eq!(reason(&refused.unwrap_err()), "Compact");
}

struct HolderParts {
    header: Value,
    payload: String,
}

fn holder_parts(jwk: &Value) -> HolderParts {
    let claims = holder_claims();
    let payload =
        format!(r#"{{"aud":"ca","digest":"{}","iat":{NOW},"job":"{}"}}"#, claims.digest, claims.job);
    HolderParts { header: json!({"alg": "EdDSA", "jwk": jwk, "typ": "sta-holder+jwt"}), payload }
}
