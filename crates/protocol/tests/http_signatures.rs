// SPDX-License-Identifier: Apache-2.0
//! Rules of signed requests and responses.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use sta_protocol::{
    digest::Sha256Digest,
    http_signature::{
        CannotSign, ReceivedRequest, ReceivedResponse, RequestToSign, ResponseToSign, SignatureRefused,
        SignedHeaders, Signer, VerifiedRequest, sign_request, sign_response, verify_request, verify_response,
        verify_response_head,
    },
    keys::SigningKey,
};

use crate::fixture::{NOW, at, ca, de, known, now, reason, session};

pub(crate) const URI: &str = "https://de.sta.example/federation/v1/offers?dry=1";
pub(crate) const BODY: &[u8] = br#"{"offer":"one"}"#;
const SKEW: u32 = 5;

pub(crate) fn signer<'a>(key: &'a SigningKey, key_id: &'a str) -> Signer<'a> {
    Signer { key, key_id, created: now(), nonce: *b"0123456789abcdef" }
}

pub(crate) fn request() -> RequestToSign<'static> {
    RequestToSign {
        method: &Method::POST,
        target_uri: URI,
        content_type: "application/json",
        idempotency_key: uuid::uuid!("019ab0e1-7c00-7a10-8c3e-2f1f6f0a9b11"),
        treaty: Sha256Digest::of(b"the treaty"),
        body: BODY,
    }
}

pub(crate) fn signed_request() -> SignedHeaders {
    sign_request(&signer(&ca(), &ca().key_id()), &request()).unwrap()
}

fn verify(headers: &HeaderMap, second: i64) -> Result<VerifiedRequest, SignatureRefused> {
    let received = ReceivedRequest { method: &Method::POST, target_uri: URI, headers, body: BODY };
    verify_request(&received, known, at(second), SKEW)
}

fn with(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = signed_request().headers;
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    headers
}

/// The signed request with a piece of `signature-input` replaced; the signature itself stays.
fn with_input(from: &str, to: &str) -> String {
    let headers = signed_request().headers;
    let input = headers["signature-input"].to_str().unwrap();
    assert!(input.contains(from), "{input}");
    reason(&verify(&with("signature-input", &input.replace(from, to)), NOW).unwrap_err())
}

#[test]
fn a_signed_request_verifies_with_all_its_facts() {
    let signed = signed_request();
    let verified = verify(&signed.headers, NOW + 3).unwrap();
    assert_eq!(verified.key_id, ca().key_id());
    assert_eq!(verified.nonce, *b"0123456789abcdef");
    assert_eq!((verified.created, verified.expires), (now(), at(NOW + 60)));
    assert_eq!(verified.signature, signed.signature);
    assert_eq!(verified.idempotency_key, request().idempotency_key);
    assert_eq!(verified.treaty, request().treaty);
    assert_eq!(verified.body, Sha256Digest::of(BODY));
}

#[test]
fn a_request_without_a_body_is_signed_too() {
    let get = RequestToSign {
        method: &Method::GET,
        content_type: sta_protocol::http_signature::NO_CONTENT_TYPE,
        body: b"",
        ..request()
    };
    let signed = sign_request(&signer(&ca(), &ca().key_id()), &get).unwrap();
    let received =
        ReceivedRequest { method: &Method::GET, target_uri: URI, headers: &signed.headers, body: b"" };
    assert_eq!(verify_request(&received, known, now(), SKEW).unwrap().body, Sha256Digest::of(b""));
}

#[test]
fn every_header_of_the_profile_must_be_there_once() {
    let covered = ["content-digest", "content-type", "idempotency-key", "sta-treaty"];
    for name in covered.into_iter().chain(["signature", "signature-input"]) {
        let mut headers = signed_request().headers;
        headers.remove(name);
        let refused = verify(&headers, NOW).unwrap_err();
        assert_eq!(refused, SignatureRefused::MissingHeader { header: name.to_owned() });
    }
    for name in covered {
        let mut headers = signed_request().headers;
        let value = headers[name].clone();
        headers.append(HeaderName::from_static(name), value);
        let refused = verify(&headers, NOW).unwrap_err();
        assert_eq!(refused, SignatureRefused::RepeatedHeader { header: name.to_owned() });
    }
}

#[test]
fn a_label_occurs_once_and_is_sig1() {
    for name in ["signature", "signature-input"] {
        let mut headers = signed_request().headers;
        let value = headers[name].clone();
        headers.append(HeaderName::from_static(name), value.clone());
        assert_eq!(reason(&verify(&headers, NOW).unwrap_err()), "DuplicateLabel");
        let other = value.to_str().unwrap().replacen("sig1", "sig2", 1);
        assert_eq!(reason(&verify(&with(name, &other), NOW).unwrap_err()), "UnknownLabel");
    }
}

#[test]
fn the_covered_components_are_exactly_the_profiles_in_their_order() {
    assert_eq!(with_input(r#" "sta-treaty""#, ""), "WrongComponents");
    assert_eq!(with_input(r#""@method" "@target-uri""#, r#""@target-uri" "@method""#), "WrongComponents");
    assert_eq!(with_input(r#""@method""#, r#""@method";req"#), "WrongComponents");
    assert_eq!(with_input(r#""sta-treaty")"#, r#""sta-treaty" "date")"#), "WrongComponents");
}

#[test]
fn the_parameters_are_exactly_the_profiles() {
    assert_eq!(with_input(r#";alg="ed25519""#, r#";alg="rsa-pss-sha512""#), "WrongAlgorithm");
    assert_eq!(with_input(r#";tag="sta/fed/1""#, r#";tag="sta/fed/2""#), "WrongTag");
    for name in ["created", "expires", "nonce", "keyid", "alg", "tag"] {
        assert_eq!(with_input(&format!(";{name}="), &format!(";x-{name}=")), "WrongParameter", "{name}");
    }
    assert_eq!(with_input(&format!("created={NOW}"), "created=\"now\""), "WrongParameter");
    assert_eq!(with_input(&format!("created={NOW}"), "created=999999999999999"), "WrongParameter");
    assert_eq!(with_input("nonce=\"MD", "nonce=\"M"), "WrongParameter");
    assert_eq!(with_input(&ca().key_id(), &session().key_id()), "UnknownKey");
    assert_eq!(with_input(&ca().key_id(), &de().key_id()), "BadSignature");
    assert_eq!(
        with_input(&format!("expires={}", NOW + 60), &format!("expires={}", NOW + 61)),
        "BadSignature"
    );
}

#[test]
fn a_signature_field_has_one_spelling() {
    let signed = signed_request();
    let input = signed.headers["signature-input"].to_str().unwrap().to_owned();
    let field = signed.headers["signature"].to_str().unwrap().to_owned();
    // The last character before the padding has four bits that mean nothing; they must be zero.
    let last = field.find("==:").unwrap() - 1;
    let next = char::from(field.as_bytes()[last] + 1);
    let stray_bits = format!("{}{next}{}", &field[..last], &field[last + 1..]);
    for (name, value) in [
        ("signature-input", input.replace(";created", "; created")),
        ("signature-input", input.replace("sig1=(", "sig1=( ")),
        ("signature-input", "sig1=(".to_owned()),
        ("signature-input", format!("{input};created={NOW}")),
        ("signature-input", "sig1=1".to_owned()),
        ("signature-input", format!("sig1=({})", "\"a\" ".repeat(1100))),
        ("signature", stray_bits),
        ("signature", format!("{field} ;a")),
        ("signature", "sig1=(:AAAA:)".to_owned()),
        ("signature", "sig1=:AAAA:".to_owned()),
        ("signature", "sig1=\"text\"".to_owned()),
    ] {
        assert_eq!(reason(&verify(&with(name, &value), NOW).unwrap_err()), "Malformed", "{value}");
    }
}

#[test]
fn a_request_holds_from_its_signing_to_its_end_and_the_allowed_skew() {
    let headers = signed_request().headers;
    assert!(verify(&headers, NOW - 5).is_ok() && verify(&headers, NOW + 65).is_ok());
    let ahead = SignatureRefused::CreatedInFuture { seconds_ahead: 6, skew_seconds_max: SKEW };
    assert_eq!(verify(&headers, NOW - 6).unwrap_err(), ahead);
    assert_eq!(verify(&headers, NOW + 66).unwrap_err(), SignatureRefused::Expired { seconds_ago: 6 });
}

/// Signs by hand what the profile's own signer would not.
fn hand_signed(
    parameters: &str,
    change: impl Fn(&mut HeaderMap),
) -> Result<VerifiedRequest, SignatureRefused> {
    let mut headers = signed_request().headers;
    change(&mut headers);
    let components =
        r#"("@method" "@target-uri" "content-digest" "content-type" "idempotency-key" "sta-treaty")"#;
    let mut base = format!("\"@method\": POST\n\"@target-uri\": {URI}\n");
    for name in ["content-digest", "content-type", "idempotency-key", "sta-treaty"] {
        base += &format!("\"{name}\": {}\n", headers[name].to_str().unwrap());
    }
    base += &format!("\"@signature-params\": {components}{parameters}");
    let signature = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(ca().sign(base.as_bytes()))
    };
    headers
        .insert("signature-input", HeaderValue::from_str(&format!("sig1={components}{parameters}")).unwrap());
    headers.insert("signature", HeaderValue::from_str(&format!("sig1=:{signature}:")).unwrap());
    verify(&headers, NOW)
}

fn parameters(created: i64, expires: i64) -> String {
    let kid = ca().key_id();
    format!(
        ";tag=\"sta/fed/1\";created={created};expires={expires};keyid=\"{kid}\";alg=\"ed25519\";nonce=\"MDEyMzQ1Njc4OWFiY2RlZg\""
    )
}

#[test]
fn the_signature_base_is_that_of_rfc_9421_in_whatever_order_the_parameters_stand() {
    assert!(hand_signed(&parameters(NOW, NOW + 60), |_| ()).is_ok());
}

#[test]
fn a_parameter_that_the_profile_does_not_know_is_refused_even_when_signed() {
    let refused = hand_signed(&(parameters(NOW, NOW + 60) + ";context=\"test\""), |_| ()).unwrap_err();
    assert!(matches!(refused, SignatureRefused::WrongParameter { parameter, .. } if parameter == "context"));
}

#[test]
fn a_signature_holds_for_one_to_sixty_seconds() {
    for (expires, seconds) in [(NOW + 61, 61), (NOW, 0), (NOW - 1, -1)] {
        let refused = hand_signed(&parameters(NOW, expires), |_| ()).unwrap_err();
        assert_eq!(refused, SignatureRefused::LifetimeNotAllowed { seconds });
    }
}

#[test]
fn headers_are_held_to_their_form_even_when_signed() {
    for (name, value) in [
        ("idempotency-key", "019AB0E1-7c00-7a10-8c3e-2f1f6f0a9b11"),
        ("idempotency-key", "again"),
        ("sta-treaty", "none"),
        ("content-digest", "sha-512=:AAAA:"),
    ] {
        let change = |headers: &mut HeaderMap| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        };
        assert_eq!(
            reason(&hand_signed(&parameters(NOW, NOW + 60), change).unwrap_err()),
            "Malformed",
            "{name}"
        );
    }
}

#[test]
fn another_method_address_or_body_than_was_signed_is_refused() {
    let headers = signed_request().headers;
    let received = |method, target_uri, body| {
        let request = ReceivedRequest { method, target_uri, headers: &headers, body };
        reason(&verify_request(&request, known, now(), SKEW).unwrap_err())
    };
    assert_eq!(received(&Method::PUT, URI, BODY), "BadSignature");
    assert_eq!(
        received(&Method::POST, "https://ca.sta.example/federation/v1/offers?dry=1", BODY),
        "BadSignature"
    );
    assert_eq!(received(&Method::POST, "", BODY), "Malformed");
    assert_eq!(received(&Method::POST, URI, b"{}"), "DigestMismatch");
}

#[test]
fn what_cannot_stand_in_a_header_cannot_be_signed() {
    let (key, key_id) = (ca(), ca().key_id());
    let broken = RequestToSign { target_uri: "https://de.sta.example/a\n\"x\": y", ..request() };
    assert!(matches!(sign_request(&signer(&key, &key_id), &broken), Err(CannotSign::TargetUri(_))));
    for content_type in ["", " text/plain", "text/\nplain", "täxt"] {
        let broken = RequestToSign { content_type, ..request() };
        assert!(matches!(sign_request(&signer(&key, &key_id), &broken), Err(CannotSign::ContentType(_))));
    }
    assert!(matches!(sign_request(&signer(&key, "schlüssel"), &request()), Err(CannotSign::KeyId(_))));
}

pub(crate) fn response(request_signature: &[u8; 64]) -> ResponseToSign<'_> {
    ResponseToSign {
        status: StatusCode::CREATED,
        content_type: "application/json",
        body: BODY,
        request_signature,
    }
}

#[test]
fn a_response_answers_one_request_and_no_other() {
    let asked = signed_request().signature;
    let signed = sign_response(&signer(&de(), &de().key_id()), &response(&asked)).unwrap();
    let check = |status, body: &[u8], asked: &[u8; 64], second| {
        let received = ReceivedResponse { status, headers: &signed.headers, body };
        verify_response(&received, asked, known, at(second), SKEW).map_err(|refused| reason(&refused))
    };
    let verified = check(StatusCode::CREATED, BODY, &asked, NOW).unwrap();
    assert_eq!((verified.key_id, verified.body), (de().key_id(), Sha256Digest::of(BODY)));
    assert_eq!((verified.created, verified.expires), (now(), at(NOW + 60)));
    assert_eq!(check(StatusCode::CREATED, BODY, &[0; 64], NOW).unwrap_err(), "BadSignature");
    assert_eq!(check(StatusCode::OK, BODY, &asked, NOW).unwrap_err(), "BadSignature");
    assert_eq!(check(StatusCode::CREATED, b"{}", &asked, NOW).unwrap_err(), "DigestMismatch");
    assert_eq!(check(StatusCode::CREATED, BODY, &asked, NOW + 66).unwrap_err(), "Expired");
    let as_request = verify(&signed.headers, NOW).unwrap_err();
    assert_eq!(reason(&as_request), "MissingHeader");
}

#[test]
fn the_head_of_a_response_is_checked_without_its_body_and_names_what_was_signed() {
    let asked = signed_request().signature;
    let signed = sign_response(&signer(&de(), &de().key_id()), &response(&asked)).unwrap();
    let check = |status, asked: &[u8; 64], second| {
        let received = ReceivedResponse { status, headers: &signed.headers, body: b"another body" };
        verify_response_head(&received, asked, known, at(second), SKEW).map_err(|refused| reason(&refused))
    };
    let verified = check(StatusCode::CREATED, &asked, NOW).unwrap();
    assert_eq!((verified.key_id, verified.body), (de().key_id(), Sha256Digest::of(BODY)));
    assert_eq!(check(StatusCode::CREATED, &[0; 64], NOW).unwrap_err(), "BadSignature");
    assert_eq!(check(StatusCode::OK, &asked, NOW).unwrap_err(), "BadSignature");
    assert_eq!(check(StatusCode::CREATED, &asked, NOW + 66).unwrap_err(), "Expired");
}
