// SPDX-License-Identifier: Apache-2.0
//! The crate `httpsig`, another implementation of RFC 9421, verifies what we sign, and we verify what it signs.

use http::{HeaderMap, HeaderValue, Method};
use httpsig::prelude::{
    AlgorithmName, HttpSignatureBase, HttpSignatureHeaders, HttpSignatureParams, PublicKey as TheirPublicKey,
    SecretKey as TheirSecretKey,
    message_component::{HttpMessageComponent, HttpMessageComponentId},
};
use sta_protocol::http_signature::{
    ReceivedRequest, ReceivedResponse, Signer, sign_request, sign_response, verify_request, verify_response,
};

use crate::{
    fixture::{CA_SEED, base64, ca, de, known},
    http_signatures::{BODY, URI, request, response},
};

const REQUEST: [&str; 6] =
    ["@method", "@target-uri", "content-digest", "content-type", "idempotency-key", "sta-treaty"];
const RESPONSE: [&str; 4] =
    ["\"@status\"", "\"content-digest\"", "\"content-type\"", "\"signature\";req;key=\"sig1\""];

/// Signs at the true time, because `httpsig` reads the clock itself.
fn signer<'a>(key: &'a sta_protocol::keys::SigningKey, key_id: &'a str) -> Signer<'a> {
    Signer { key, key_id, created: jiff::Timestamp::now(), nonce: [7; 16] }
}

fn value(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}

/// One line of their signature base, made from the raw value by their rules.
fn line(id: &str, values: &[String]) -> HttpMessageComponent {
    let id = HttpMessageComponentId::try_from(id).unwrap();
    HttpMessageComponent::try_from((&id, values)).unwrap()
}

fn request_lines(headers: &HeaderMap) -> Vec<HttpMessageComponent> {
    let of = |name: &&str| match *name {
        "@method" => line(name, &["POST".to_owned()]),
        "@target-uri" => line(name, &[URI.to_owned()]),
        header => line(header, &[value(headers, header)]),
    };
    REQUEST.iter().map(of).collect()
}

fn their_verdict(
    headers: &HeaderMap,
    lines: &[HttpMessageComponent],
    key: &sta_protocol::keys::PublicKey,
) -> bool {
    let signature = value(headers, "signature");
    let fields = HttpSignatureHeaders::try_parse(&signature, &value(headers, "signature-input")).unwrap();
    let base = HttpSignatureBase::try_new(lines, fields["sig1"].signature_params()).unwrap();
    let key = TheirPublicKey::from_bytes(&AlgorithmName::Ed25519, key.as_bytes()).unwrap();
    base.verify_signature_headers(&key, &fields["sig1"]).is_ok()
}

#[test]
fn httpsig_verifies_our_request_and_refuses_it_changed() {
    let signed = sign_request(&signer(&ca(), &ca().key_id()), &request()).unwrap();
    assert!(their_verdict(&signed.headers, &request_lines(&signed.headers), &ca().public_key()));
    assert!(!their_verdict(&signed.headers, &request_lines(&signed.headers), &de().public_key()));
    let mut changed = signed.headers;
    changed.insert("content-type", HeaderValue::from_static("text/plain"));
    assert!(!their_verdict(&changed, &request_lines(&changed), &ca().public_key()));
}

#[test]
fn httpsig_verifies_our_response_over_the_signature_of_its_request() {
    let asked = sign_request(&signer(&ca(), &ca().key_id()), &request()).unwrap();
    let signed = sign_response(&signer(&de(), &de().key_id()), &response(&asked.signature)).unwrap();
    let lines = |asked: &HeaderMap| {
        let values = [
            "201".to_owned(),
            value(&signed.headers, "content-digest"),
            value(&signed.headers, "content-type"),
            value(asked, "signature"),
        ];
        RESPONSE.iter().zip(values).map(|(id, value)| line(id, &[value])).collect::<Vec<_>>()
    };
    assert!(their_verdict(&signed.headers, &lines(&asked.headers), &de().public_key()));
    let other =
        sign_request(&Signer { nonce: [8; 16], ..signer(&ca(), &ca().key_id()) }, &request()).unwrap();
    assert!(!their_verdict(&signed.headers, &lines(&other.headers), &de().public_key()));
}

/// Signs with `httpsig` under the parameters of the profile and puts both fields into `headers`.
fn sign_with_httpsig(headers: &mut HeaderMap, lines: &[HttpMessageComponent]) {
    let ids: Vec<_> = lines.iter().map(|line| line.id.clone()).collect();
    let mut parameters = HttpSignatureParams::try_new(&ids).unwrap();
    let created = parameters.created.unwrap();
    parameters
        .set_expires(created + 60)
        .set_nonce(&base64([9; 16]))
        .set_keyid(&ca().key_id())
        .set_tag("sta/fed/1");
    parameters.set_alg(&AlgorithmName::Ed25519);
    let seed: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&CA_SEED[at..at + 2], 16).unwrap()).collect();
    let key = TheirSecretKey::from_bytes(&AlgorithmName::Ed25519, &seed).unwrap();
    let base = HttpSignatureBase::try_new(lines, &parameters).unwrap();
    let fields = base.build_signature_headers(&key, Some("sig1")).unwrap();
    headers.insert("signature-input", HeaderValue::from_str(&fields.signature_input_header_value()).unwrap());
    headers.insert("signature", HeaderValue::from_str(&fields.signature_header_value()).unwrap());
}

#[test]
fn we_verify_a_request_that_httpsig_signed() {
    let mut headers = sign_request(&signer(&de(), "somebody"), &request()).unwrap().headers;
    let lines = request_lines(&headers);
    sign_with_httpsig(&mut headers, &lines);
    let received = ReceivedRequest { method: &Method::POST, target_uri: URI, headers: &headers, body: BODY };
    let verified = verify_request(&received, known, jiff::Timestamp::now(), 5).unwrap();
    assert_eq!((verified.key_id, verified.nonce), (ca().key_id(), [9; 16]));
}

#[test]
fn we_verify_a_response_that_httpsig_signed() {
    let asked = sign_request(&signer(&de(), &de().key_id()), &request()).unwrap();
    let mut headers = sign_response(&signer(&de(), "somebody"), &response(&asked.signature)).unwrap().headers;
    let values = [
        "201".to_owned(),
        value(&headers, "content-digest"),
        value(&headers, "content-type"),
        value(&asked.headers, "signature"),
    ];
    let lines: Vec<_> = RESPONSE.iter().zip(values).map(|(id, value)| line(id, &[value])).collect();
    sign_with_httpsig(&mut headers, &lines);
    let received = ReceivedResponse { status: http::StatusCode::CREATED, headers: &headers, body: BODY };
    let verified = verify_response(&received, &asked.signature, known, jiff::Timestamp::now(), 5).unwrap();
    assert_eq!(verified.key_id, ca().key_id());
}
