// SPDX-License-Identifier: Apache-2.0
//! The published vectors in `vectors/`: the deterministic ones are made again and compared, the others verified.
//!
//! `STA_WRITE_VECTORS=1` writes files that are missing or differ; tokens with ECDSA are written only when missing.

use std::{fs, path::PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use sta_protocol::{
    digest::{Sha256Digest, canonical_json, content_digest_header, verify_content_digest},
    holder_proof::{ExpectedHolder, HolderProof, holder_proof, verify_holder_proof},
    http_signature::{
        ReceivedRequest, ReceivedResponse, sign_request, sign_response, verify_request, verify_response,
    },
    jws::{Document as _, MultiSigned, Signed},
    passport::{PassportToken, issue_passport, verify_passport},
    visa::{VisaToken, verify_visa},
};

use crate::{
    fixture::{
        CA_ISSUER, CA_SEED, CA_VISA_PEM, DE_ISSUER, DE_SEED, DE_VISA_PEM, NOW, Note, SESSION_SEED, at, ca,
        ca_visas, de, de_visas, es256_token, grant, holder_claims, jku, key_from_hex, known, note, now,
        passport_claims, raw_grant, reason, role, session, trusted,
    },
    http_signatures::{BODY, URI, request, response, signer},
};

pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn writes() -> bool {
    std::env::var_os("STA_WRITE_VECTORS").is_some()
}

fn text_of(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Holds a published file to what this code makes today.
pub(crate) fn hold(name: &str, value: &Value) {
    let path = directory().join(name);
    let published = fs::read_to_string(&path).unwrap_or_default();
    if writes() && published != text_of(value) {
        fs::write(&path, text_of(value)).unwrap();
        return;
    }
    // As values: the order of keys in a file depends on serde_json's features, which another crate may turn on.
    let published: Value = serde_json::from_str(&published).unwrap_or_default();
    assert_eq!(&published, value, "{name} is not what this code makes: a change of the wire format?");
}

/// A published file that this code cannot make again.
fn published(name: &str, make: impl Fn() -> Value) -> Value {
    let path = directory().join(name);
    if writes() && !path.exists() {
        fs::write(&path, text_of(&make())).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{name} is missing"));
    serde_json::from_str(&text).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {value}"))
}

#[test]
fn keys_and_thumbprints_are_as_published() {
    let ed25519 = |name: &str, seed: &str| {
        let key = key_from_hex(seed).public_key();
        json!({"name": name, "seed": seed, "public": key, "jwk": key.jwk(), "thumbprint": key.thumbprint()})
    };
    let p256 = |name: &str, issuer: &str, pem: &str| {
        let key = sta_protocol::keys::VisaSigningKey::from_pkcs8_pem(pem).unwrap();
        let thumbprint = key.public_key().thumbprint();
        json!({"name": name, "issuer": issuer, "jku": jku(issuer), "pkcs8": pem, "jwk": key.public_jwk(), "thumbprint": thumbprint})
    };
    let keys = json!({
        "ed25519": [ed25519("ca", CA_SEED), ed25519("de", DE_SEED), ed25519("session", SESSION_SEED)],
        "p256": [p256("ca", CA_ISSUER, CA_VISA_PEM), p256("de", DE_ISSUER, DE_VISA_PEM)],
    });
    hold("keys.json", &keys);
}

#[test]
fn canonical_json_is_as_published() {
    let inputs = [
        (
            "RFC 8785 section 3.2.2",
            r#"{"numbers":[333333333.33333329,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
        ),
        (
            "RFC 8785 section 3.2.3",
            r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
        ),
        ("nested and empty", r#"{ "b": [ ], "a": { "z": null, "y": -0.0 }, "": "" }"#),
        ("the largest integers", r#"[9007199254740991, -9007199254740991]"#),
    ];
    let cases: Vec<Value> = inputs
        .iter()
        .map(|(name, input)| {
            let value: Value = serde_json::from_str(input).unwrap();
            let canonical = String::from_utf8(canonical_json(&value).unwrap()).unwrap();
            json!({"name": name, "input": input, "canonical": canonical, "sha256": Sha256Digest::of_json(&value).unwrap()})
        })
        .collect();
    hold(
        "jcs.json",
        &json!({"cases": cases, "refused": ["9007199254740992", "[-9007199254740992]", "{\"a\":1e22}"]}),
    );
    for refused in ["9007199254740992", "[-9007199254740992]", "{\"a\":1e22}"] {
        assert!(canonical_json(&serde_json::from_str::<Value>(refused).unwrap()).is_err(), "{refused}");
    }
}

#[test]
fn content_digests_are_as_published() {
    let bodies = ["", "{\"hello\": \"world\"}", "{\"hello\": \"world\"}\n", "Grüße"];
    let cases =
        bodies.map(|body| json!({"body": body, "content_digest": content_digest_header(body.as_bytes())}));
    hold("content_digest.json", &json!(cases));
    for case in cases {
        verify_content_digest(text(&case, "content_digest"), text(&case, "body").as_bytes()).unwrap();
    }
}

#[test]
fn a_document_with_one_signature_is_as_published() {
    let signed = Signed::sign(&note(), &ca()).unwrap();
    let vector = json!({
        "key": "ca", "typ": Note::TYP, "payload": note(), "compact": signed.as_str(), "sha256": signed.digest(),
    });
    hold("jws.json", &vector);
    assert_eq!(*signed.verify(known).unwrap(), note());
}

#[test]
fn a_document_with_many_signatures_is_as_published() {
    let typ = "application/vnd.sta.treaty+jws";
    let mut document = MultiSigned::new(&note()).unwrap();
    document.add_signature(&ca(), typ).unwrap();
    document.add_signature(&de(), typ).unwrap();
    let vector = json!({"keys": ["ca", "de"], "typ": typ, "payload": note(), "document": document});
    hold("multi_signed.json", &vector);
}

#[test]
fn a_holders_proof_is_as_published() {
    let claims = holder_claims();
    let proof = holder_proof(&session(), &claims).unwrap();
    let vector = json!({
        "key": "session", "jkt": session().public_key().thumbprint(), "job": claims.job, "digest": claims.digest,
        "audience": claims.audience, "now": NOW, "token": proof,
    });
    hold("holder_proof.json", &vector);
    let expected = ExpectedHolder {
        holder: serde_json::from_value(vector["jkt"].clone()).unwrap(),
        job: claims.job,
        digest: claims.digest,
        audience: &claims.audience,
        age_seconds_max: 300,
        skew_seconds_max: 5,
    };
    let token = HolderProof::from_text(text(&vector, "token").to_owned());
    assert_eq!(verify_holder_proof(&token, &expected, now()).unwrap(), claims);
}

fn header_list(headers: &HeaderMap) -> Value {
    let mut list: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    list.sort_unstable();
    json!(list)
}

fn headers_from(list: &Value) -> HeaderMap {
    let pairs: Vec<(String, String)> = serde_json::from_value(list.clone()).unwrap();
    let entry = |(name, value): (String, String)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(&value).unwrap())
    };
    pairs.into_iter().map(entry).collect()
}

#[test]
fn a_signed_request_and_its_response_are_as_published() {
    let body = std::str::from_utf8(BODY).unwrap();
    let asked = sign_request(&signer(&ca(), &ca().key_id()), &request()).unwrap();
    let answered = sign_response(&signer(&de(), &de().key_id()), &response(&asked.signature)).unwrap();
    let vector = json!({
        "now": NOW,
        "request": {"key": "ca", "method": "POST", "target_uri": URI, "headers": header_list(&asked.headers), "body": body},
        "response": {"key": "de", "status": 201, "headers": header_list(&answered.headers), "body": body},
        "refused": [
            {"why": "Expired", "now": NOW + 66},
            {"why": "CreatedInFuture", "now": NOW - 6},
            {"why": "DigestMismatch", "body": "{}"},
            {"why": "BadSignature", "method": "PUT"},
            {"why": "BadSignature", "target_uri": "https://ca.sta.example/federation/v1/offers?dry=1"},
        ],
    });
    hold("http_signatures.json", &vector);
    for case in [vec![json!({})], vector["refused"].as_array().unwrap().clone()].concat() {
        let field =
            |name: &str| case.get(name).or(vector["request"].get(name)).and_then(Value::as_str).unwrap();
        let second = case.get("now").and_then(Value::as_i64).unwrap_or(NOW);
        let received = ReceivedRequest {
            method: &Method::from_bytes(field("method").as_bytes()).unwrap(),
            target_uri: field("target_uri"),
            headers: &headers_from(&vector["request"]["headers"]),
            body: field("body").as_bytes(),
        };
        let verdict = verify_request(&received, known, at(second), 5).map_err(|refused| reason(&refused));
        assert_eq!(verdict.err().as_deref(), case.get("why").and_then(Value::as_str), "{case}");
    }
    let headers = headers_from(&vector["response"]["headers"]);
    let received = ReceivedResponse { status: StatusCode::CREATED, headers: &headers, body: BODY };
    verify_response(&received, &asked.signature, known, now(), 5).unwrap();
}

fn make_visas() -> Value {
    let (header, claims) = raw_grant();
    let changed = |part: &str, name: &str, value: Value| {
        let (mut header, mut claims) = (header.clone(), claims.clone());
        match part {
            "header" => header[name] = value,
            "visa" => claims["ga4gh_visa_v1"][name] = value,
            _ => claims[name] = value,
        }
        es256_token(&header, &claims, DE_VISA_PEM)
    };
    let refused = |why: &str, token: String| json!({"why": why, "now": NOW, "token": token});
    let by_other_key = es256_token(&header, &claims, CA_VISA_PEM);
    json!({
        "accepted": [
            {"name": "grant of a dataset", "key": "de", "now": NOW, "token": grant()},
            {"name": "role at an institution", "key": "ca", "now": NOW, "token": role()},
        ],
        "refused": [
            {"why": "Expired", "now": NOW + 12 * 3600 + 5, "token": grant()},
            {"why": "NotYetValid", "now": NOW - 6, "token": grant()},
            refused("BadSignature", by_other_key),
            refused("WrongType", changed("header", "typ", json!("JWT"))),
            refused("WrongAlgorithm", changed("header", "alg", json!("none"))),
            refused("Header", changed("header", "crit", json!(["exp"]))),
            refused("UnknownIssuer", changed("header", "jku", json!("https://evil.example/jwks.json"))),
            refused("UnknownIssuer", changed("claims", "iss", json!("https://evil.example"))),
            refused("LifetimeNotAllowed", changed("claims", "exp", json!(NOW + 86_401))),
            refused("NoHolder", changed("claims", "cnf", Value::Null)),
            refused("HasConditions", changed("visa", "conditions", json!([[{"type": "ResearcherStatus"}]]))),
            refused("ByMissing", changed("visa", "by", Value::Null)),
        ],
    })
}

#[test]
fn the_published_visas_get_the_published_verdicts() {
    let vectors = published("visas.json", make_visas);
    let verdict = |case: &Value| {
        let token = VisaToken::from_text(text(case, "token").to_owned());
        let second = case["now"].as_i64().unwrap();
        verify_visa(&token, trusted, at(second), 5).map(|_| ()).map_err(|refused| reason(&refused))
    };
    for case in vectors["accepted"].as_array().unwrap() {
        assert_eq!(verdict(case), Ok(()), "{case}");
    }
    let refused = vectors["refused"].as_array().unwrap();
    assert!(refused.len() >= 12);
    for case in refused {
        assert_eq!(verdict(case).unwrap_err(), text(case, "why"), "{case}");
    }
}

#[test]
fn the_published_passport_verifies_with_its_visas() {
    let make = || {
        let claims = passport_claims(vec![grant(), role()]);
        let token = issue_passport(&ca_visas(), &ca_visas().key_id(), &jku(CA_ISSUER), &claims).unwrap();
        json!({"key": "ca", "now": NOW, "subject": "ada@ca", "expires": NOW + 6 * 3600, "token": token})
    };
    let vector = published("passport.json", make);
    let token = PassportToken::from_text(text(&vector, "token").to_owned());
    let passport = verify_passport(&token, trusted, at(vector["now"].as_i64().unwrap()), 5).unwrap();
    assert_eq!(passport.subject().to_string(), text(&vector, "subject"));
    assert_eq!(passport.expires_at().as_second(), vector["expires"].as_i64().unwrap());
    assert_eq!(passport.visas().len(), 2);
    assert_eq!(passport.visas()[0].issuer, DE_ISSUER);
    assert_ne!(ca_visas().key_id(), de_visas().key_id());
    assert_ne!(ca().key_id(), de().key_id());
}
