// SPDX-License-Identifier: Apache-2.0
//! Rules over all inputs: no bytes make a parser panic, and no changed byte goes unseen.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use sta_protocol::{
    croissant::Croissant,
    digest::{Sha256Digest, is_canonical_json, verify_content_digest},
    dsse::Envelope,
    evaluation::{Criterion, Evaluated, verify},
    holder_proof::{ExpectedHolder, HolderProof, holder_proof, verify_holder_proof},
    http_signature::{ReceivedRequest, ReceivedResponse, sign_response, verify_request, verify_response},
    jws::{MultiSigned, Signed},
    keys::{PublicKey, Thumbprint, VisaPublicKey, VisaSigningKey},
    model::ModelRecord,
    passport::{PassportToken, issue_passport, verify_passport},
    stop_order::SignedStopOrder,
    subject::Subject,
    visa::{VisaToken, verify_visa},
};

use crate::{
    fixture::{
        CA_ISSUER, Note, base64, ca, ca_visas, de, grant, holder_claims, jku, known, note, now,
        passport_claims, role, session, trusted,
    },
    http_signatures::{BODY, URI, response, signed_request, signer},
    safety::examples::attestation,
};

/// Offers one text or byte string to every parser that reads what others wrote.
fn offer_to_all_parsers(bytes: &[u8]) {
    let _ = is_canonical_json(bytes);
    let _ = VisaSigningKey::from_pkcs8_der(bytes);
    let _ = serde_json::from_slice::<MultiSigned>(bytes);
    let _ = serde_json::from_slice::<VisaPublicKey>(bytes);
    let _ = serde_json::from_slice::<ModelRecord>(bytes);
    let _ = serde_json::from_slice::<SignedStopOrder>(bytes);
    assert!(Evaluated::from_header(bytes).is_err() && Croissant::from_json(bytes).is_err());
    if let Ok(envelope) = Envelope::from_json(bytes) {
        assert!(verify(&envelope, known).is_err());
    }
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        offer_as_header(&value);
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    let _ = text.parse::<Sha256Digest>();
    let _ = text.parse::<PublicKey>();
    let _ = text.parse::<Thumbprint>();
    let _ = text.parse::<Subject>();
    let _ = text.parse::<Criterion>();
    let _ = VisaSigningKey::from_pkcs8_pem(&text);
    let _ = verify_content_digest(&text, b"");
    if let Ok(signed) = Signed::<Note>::from_compact(text.clone()) {
        assert!(signed.verify(known).is_err());
        let _ = signed.peek_unverified();
    }
    assert!(verify_visa(&VisaToken::from_text(text.clone()), trusted, now(), 5).is_err());
    assert!(verify_passport(&PassportToken::from_text(text.clone()), trusted, now(), 5).is_err());
    assert!(check_proof(&text).is_err());
}

/// Puts the value into each header that signatures are read from.
fn offer_as_header(value: &HeaderValue) {
    for name in
        ["signature-input", "signature", "content-digest", "idempotency-key", "sta-treaty", "content-type"]
    {
        let mut headers = signed_request().headers;
        headers.insert(HeaderName::from_static(name), value.clone());
        assert!(check_request(&Method::POST, URI, &headers, BODY).is_err(), "{name}: {value:?}");
    }
}

fn check_request(method: &Method, target_uri: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let request = ReceivedRequest { method, target_uri, headers, body };
    verify_request(&request, known, now(), 5).map(|_| ()).map_err(|refused| refused.to_string())
}

fn check_proof(text: &str) -> Result<(), String> {
    let claims = holder_claims();
    let expected = ExpectedHolder {
        holder: session().public_key().thumbprint(),
        job: claims.job,
        digest: claims.digest,
        audience: &claims.audience,
        age_seconds_max: 300,
        skew_seconds_max: 5,
    };
    let proof = HolderProof::from_text(text.to_owned());
    verify_holder_proof(&proof, &expected, now()).map(|_| ()).map_err(|refused| refused.to_string())
}

/// Bytes that look more like tokens, structured fields and JSON than noise does.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let token = proptest::string::string_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,3}").unwrap();
    let field = proptest::string::string_regex(r#"sig1=[(:"?]?[a-z0-9@":;=() ,.*/-]{0,80}"#).unwrap();
    let json_text = || proptest::string::string_regex(r#"[\[{"a-z0-9:,.}\]]{0,60}"#).unwrap();
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        token.prop_map(String::into_bytes),
        field.prop_map(String::into_bytes),
        (json_text(), json_text()).prop_map(|(header, payload)| {
            format!("{}.{}.{}", base64(header), base64(payload), base64([0; 64])).into_bytes()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_parser_panic_or_pass(bytes in plausible()) {
        offer_to_all_parsers(&bytes);
    }

    #[test]
    fn a_digest_survives_its_text(bytes in any::<[u8; 32]>()) {
        let digest = Sha256Digest::from_bytes(bytes);
        prop_assert_eq!(digest.to_string().parse::<Sha256Digest>().unwrap(), digest);
    }

    #[test]
    fn no_changed_byte_of_a_request_goes_unseen(part in 0_usize..9, at in any::<prop::sample::Index>(), mask in 1_u8..=255) {
        let signed = signed_request();
        let change = |text: &[u8]| {
            let mut bytes = text.to_vec();
            bytes[at.index(text.len())] ^= mask;
            bytes
        };
        let names = ["signature-input", "signature", "content-digest", "idempotency-key", "sta-treaty", "content-type"];
        let (mut method, mut uri, mut headers, mut body) = (Method::POST, URI.to_owned(), signed.headers, BODY.to_vec());
        match part {
            0..6 => {
                let value = change(headers[names[part]].as_bytes());
                // What cannot be a header value is refused by the HTTP parser before us.
                let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
                headers.insert(HeaderName::from_static(names[part]), value);
            }
            6 => method = Method::from_bytes(&change(b"POST")).unwrap_or(Method::GET),
            7 => uri = String::from_utf8_lossy(&change(URI.as_bytes())).into_owned(),
            _ => body = change(BODY),
        }
        prop_assert!(check_request(&method, &uri, &headers, &body).is_err());
    }

    #[test]
    fn no_changed_byte_of_an_attestation_changes_what_it_says(at in any::<prop::sample::Index>(), mask in 1_u8..=255) {
        let whole = attestation().to_json().unwrap();
        let mut changed = whole.clone();
        changed[at.index(whole.len())] ^= mask;
        if let Ok(verified) = Envelope::from_json(&changed).map_err(drop).and_then(|changed| verify(&changed, known).map_err(drop)) {
            // The same bytes in the other alphabet of base64 say the same.
            let original = verify(&attestation(), known).unwrap();
            prop_assert_eq!(verified.evaluated(), original.evaluated());
            prop_assert_eq!(verified.weights(), original.weights());
            prop_assert_eq!(verified.result(), original.result());
        }
    }

    #[test]
    fn no_changed_byte_of_a_response_goes_unseen(part in 0_usize..6, at in any::<prop::sample::Index>(), mask in 1_u8..=255) {
        let mut asked = signed_request().signature;
        let signed = sign_response(&signer(&de(), &de().key_id()), &response(&asked)).unwrap();
        let (mut headers, mut body, mut status) = (signed.headers, BODY.to_vec(), http::StatusCode::CREATED);
        let names = ["signature-input", "signature", "content-digest", "content-type"];
        match part {
            0..4 => {
                let mut value = headers[names[part]].as_bytes().to_vec();
                let at = at.index(value.len());
                value[at] ^= mask;
                let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
                headers.insert(HeaderName::from_static(names[part]), value);
            }
            4 => asked[at.index(64)] ^= mask,
            _ if mask & 1 == 1 => status = http::StatusCode::ACCEPTED,
            _ => {
                let at = at.index(BODY.len());
                body[at] ^= mask;
            }
        }
        let received = ReceivedResponse { status, headers: &headers, body: &body };
        prop_assert!(verify_response(&received, &asked, known, now(), 5).is_err());
    }
}

/// Every text that differs from `text` in one byte, by one of a few changes, must be refused.
fn refuses_each_change(text: &str, check: impl Fn(String) -> Result<(), String>) {
    check(text.to_owned()).unwrap();
    for at in 0..text.len() {
        for replacement in [b'A', b'B', b'-', b'.', b'=', text.as_bytes()[at] ^ 1] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = replacement;
            if bytes != text.as_bytes() {
                let changed = String::from_utf8(bytes).unwrap();
                assert!(check(changed).is_err(), "byte {at} became {:?}", char::from(replacement));
            }
        }
    }
}

#[test]
fn no_changed_byte_of_a_document_goes_unseen() {
    let signed = Signed::sign(&note(), &ca()).unwrap();
    refuses_each_change(signed.as_str(), |text| {
        let signed = Signed::<Note>::from_compact(text).map_err(|refused| refused.to_string())?;
        signed.verify(known).map(|_| ()).map_err(|refused| refused.to_string())
    });
}

#[test]
fn no_changed_byte_of_a_document_with_many_signatures_goes_unseen() {
    let typ = "application/vnd.sta.treaty+jws";
    let mut document = MultiSigned::new(&note()).unwrap();
    document.add_signature(&ca(), typ).unwrap();
    document.add_signature(&de(), typ).unwrap();
    let keys = [(ca().key_id(), ca().public_key()), (de().key_id(), de().public_key())];
    refuses_each_change(&serde_json::to_string(&document).unwrap(), |text| {
        let document: MultiSigned = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        document.verify_all(&keys, typ).map(|_| ()).map_err(|refused| refused.to_string())
    });
}

#[test]
fn no_changed_byte_of_a_visa_or_passport_goes_unseen() {
    refuses_each_change(grant().as_str(), |text| {
        let visa = verify_visa(&VisaToken::from_text(text), trusted, now(), 5);
        visa.map(|_| ()).map_err(|refused| refused.to_string())
    });
    let claims = passport_claims(vec![role()]);
    let token = issue_passport(&ca_visas(), &ca_visas().key_id(), &jku(CA_ISSUER), &claims).unwrap();
    refuses_each_change(token.as_str(), |text| {
        let passport = verify_passport(&PassportToken::from_text(text), trusted, now(), 5);
        passport.map(|_| ()).map_err(|refused| refused.to_string())
    });
}

#[test]
fn no_changed_byte_of_a_holders_proof_goes_unseen() {
    let proof = holder_proof(&session(), &holder_claims()).unwrap();
    refuses_each_change(proof.as_str(), |text| check_proof(&text));
}
