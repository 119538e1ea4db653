// SPDX-License-Identifier: Apache-2.0
//! Rules of documents with one signature and with many.

use serde_json::json;
use sta_protocol::{
    digest::Sha256Digest,
    jws::{COMPACT_BYTES_MAX, Document as _, JwsError, MultiSigned, SIGNATURES_MAX, Signed},
    keys::{KnownSignatures, SigningKey},
};

use crate::fixture::{Note, base64, ca, de, eddsa_token, known, note, reason, session};

const TYP: &str = "application/vnd.sta.treaty+jws";

fn refusal(header: &serde_json::Value, payload: &[u8]) -> String {
    let signed = Signed::<Note>::from_compact(eddsa_token(header, payload, &ca())).unwrap();
    reason(&signed.verify(known).unwrap_err())
}

#[test]
fn a_signed_document_verifies_and_remembers_who_signed_which_text() {
    let signed = Signed::sign(&note(), &ca()).unwrap();
    let wire: Signed<Note> = serde_json::from_str(&serde_json::to_string(&signed).unwrap()).unwrap();
    assert_eq!(wire, signed);
    let verified = wire.verify(known).unwrap();
    assert_eq!(*verified, note());
    assert_eq!(verified.key_id(), ca().key_id());
    assert_eq!(verified.digest(), Sha256Digest::of(signed.as_str().as_bytes()));
    assert_eq!(signed.peek_unverified().unwrap(), verified.into_inner());
}

#[test]
fn a_document_of_an_unknown_key_or_signed_by_another_is_refused() {
    let signed = Signed::sign(&note(), &session()).unwrap();
    assert!(
        matches!(signed.verify(known), Err(JwsError::UnknownKey { key_id }) if key_id == session().key_id())
    );
    let refused = signed.verify(|_| Some(de().public_key())).unwrap_err();
    assert!(matches!(refused, JwsError::BadSignature { key_id } if key_id == session().key_id()));
}

#[test]
fn what_is_known_of_signatures_takes_no_check_away() {
    let signatures = KnownSignatures::default();
    let signed = Signed::sign_known(&note(), &ca(), &signatures).unwrap();
    assert_eq!(signed, Signed::sign(&note(), &ca()).unwrap());
    assert_eq!(signed.verify_known(known, &signatures).unwrap(), signed.verify(known).unwrap());
    let unknown = signed.verify_known(|_| None, &signatures).unwrap_err();
    assert_eq!(reason(&unknown), "UnknownKey");
    let other_key = signed.verify_known(|_| Some(de().public_key()), &signatures).unwrap_err();
    assert_eq!(reason(&other_key), "BadSignature");
    // The same signature under another payload.
    let mut parts: Vec<String> = signed.as_str().split('.').map(str::to_owned).collect();
    parts[1] = base64(br#"{"gpu_seconds":2,"text":"a"}"#);
    let altered = Signed::<Note>::from_compact(parts.join(".")).unwrap();
    assert_eq!(reason(&altered.verify_known(known, &signatures).unwrap_err()), "BadSignature");
    // What is not canonical stays refused however often its signature was seen to hold.
    let header = json!({"alg": "EdDSA", "kid": ca().key_id(), "typ": Note::TYP});
    let loose = Signed::<Note>::from_compact(eddsa_token(&header, br#"{"text":"a","gpu_seconds":1}"#, &ca()))
        .unwrap();
    for _ in 0..2 {
        assert_eq!(reason(&loose.verify_known(known, &signatures).unwrap_err()), "NotCanonical");
    }
}

#[test]
fn the_header_is_exactly_alg_kid_and_typ() {
    let kid = ca().key_id();
    let payload = br#"{"gpu_seconds":1,"text":"a"}"#;
    let good = json!({"alg": "EdDSA", "kid": kid, "typ": Note::TYP});
    assert!(Signed::<Note>::from_compact(eddsa_token(&good, payload, &ca())).unwrap().verify(known).is_ok());
    let cases = [
        (json!({"alg": "none", "kid": kid, "typ": Note::TYP}), "WrongAlgorithm"),
        (json!({"alg": "HS256", "kid": kid, "typ": Note::TYP}), "WrongAlgorithm"),
        (json!({"alg": "EdDSA", "kid": kid, "typ": "sta-holder+jwt"}), "WrongType"),
        (json!({"alg": "EdDSA", "kid": kid}), "Header"),
        (json!({"alg": "EdDSA", "typ": Note::TYP}), "Header"),
        (json!({"alg": "EdDSA", "kid": kid, "typ": Note::TYP, "crit": ["b64"], "b64": false}), "Header"),
        (json!({"alg": "EdDSA", "kid": kid, "typ": Note::TYP, "jwk": {}}), "Header"),
        (json!([]), "Header"),
    ];
    for (header, expected) in cases {
        assert_eq!(refusal(&header, payload), expected, "{header}");
    }
}

#[test]
fn a_payload_that_is_not_canonical_or_of_another_shape_is_refused() {
    let header = json!({"alg": "EdDSA", "kid": ca().key_id(), "typ": Note::TYP});
    assert_eq!(refusal(&header, br#"{"text":"a","gpu_seconds":1}"#), "NotCanonical");
    assert_eq!(refusal(&header, br#"{"gpu_seconds":1,"gpu_seconds":1,"text":"a"}"#), "NotCanonical");
    assert_eq!(refusal(&header, b"not json"), "NotCanonical");
    assert_eq!(refusal(&header, br#"{"gpu_seconds":1}"#), "Payload");
}

#[test]
fn a_text_that_is_no_compact_jws_is_refused_at_the_door() {
    let signed = Signed::sign(&note(), &ca()).unwrap();
    let text = signed.as_str();
    let padded = format!("{text}=");
    let stray_bits = format!("{}B", &text[..text.len() - 1]);
    let long = "a".repeat(COMPACT_BYTES_MAX + 1);
    for wrong in ["", "a", "a.b", "a.b.c.d", &padded, &stray_bits, &text.replace('.', "/"), &long] {
        assert!(Signed::<Note>::from_compact(wrong.to_owned()).is_err(), "{}", &wrong[..wrong.len().min(80)]);
        assert!(serde_json::from_value::<Signed<Note>>(json!(wrong)).is_err());
    }
    let empty = Signed::<Note>::from_compact("..".to_owned()).unwrap();
    assert_eq!(reason(&empty.verify(known).unwrap_err()), "Header");
}

#[test]
fn a_document_too_long_or_without_canonical_form_cannot_be_signed() {
    let long = Note { text: "a".repeat(COMPACT_BYTES_MAX), gpu_seconds: 0 };
    assert_eq!(reason(&Signed::sign(&long, &ca()).unwrap_err()), "Compact");
    let rounded = Note { text: String::new(), gpu_seconds: u64::MAX };
    assert_eq!(reason(&Signed::sign(&rounded, &ca()).unwrap_err()), "Unwritable");
}

fn named(keys: &[&SigningKey]) -> Vec<(String, sta_protocol::keys::PublicKey)> {
    keys.iter().map(|key| (key.key_id(), key.public_key())).collect()
}

#[test]
fn a_treaty_needs_exactly_the_signatures_of_all_who_are_named() {
    let mut document = MultiSigned::new(&note()).unwrap();
    document.add_signature(&ca(), TYP).unwrap();
    assert!(document.verify_one(&ca().key_id(), &ca().public_key(), TYP).is_ok());
    let missing = document.verify_all(&named(&[&ca(), &de()]), TYP).unwrap_err();
    assert!(matches!(missing, JwsError::MissingSigner { key_id } if key_id == de().key_id()));
    document.add_signature(&de(), TYP).unwrap();
    assert_eq!(document.signers(TYP).unwrap(), [ca().key_id(), de().key_id()]);
    let payload = document.verify_all(&named(&[&de(), &ca()]), TYP).unwrap();
    assert_eq!(serde_json::from_slice::<Note>(&payload).unwrap(), note());
    let unexpected = document.verify_all(&named(&[&ca()]), TYP).unwrap_err();
    assert!(matches!(unexpected, JwsError::UnexpectedSigner { key_id } if key_id == de().key_id()));
}

#[test]
fn a_document_that_nobody_has_to_sign_proves_nothing() {
    let document = MultiSigned::new(&note()).unwrap();
    assert_eq!(reason(&document.verify_all(&[], TYP).unwrap_err()), "MissingSigner");
}

#[test]
fn signing_again_changes_nothing() {
    let mut document = MultiSigned::new(&note()).unwrap();
    document.add_signature(&ca(), TYP).unwrap();
    let once = document.clone();
    document.add_signature(&ca(), TYP).unwrap();
    assert_eq!(document, once);
}

#[test]
fn signatures_of_another_type_text_or_key_are_refused() {
    let mut document = MultiSigned::new(&note()).unwrap();
    document.add_signature(&ca(), TYP).unwrap();
    let keys = named(&[&ca()]);
    assert_eq!(reason(&document.verify_all(&keys, "application/other+jws").unwrap_err()), "WrongType");
    let wrong_key = [(ca().key_id(), de().public_key())];
    assert_eq!(reason(&document.verify_all(&wrong_key, TYP).unwrap_err()), "BadSignature");

    let mut wire = serde_json::to_value(&document).unwrap();
    wire["payload"] = json!(base64(br#"{"gpu_seconds":1,"text":"changed"}"#));
    let changed: MultiSigned = serde_json::from_value(wire.clone()).unwrap();
    assert_eq!(reason(&changed.verify_all(&keys, TYP).unwrap_err()), "BadSignature");
    let mut again = changed;
    assert_eq!(reason(&again.add_signature(&ca(), TYP).unwrap_err()), "BadSignature");

    wire["signatures"][0]["header"] = json!({"kid": "unprotected"});
    assert!(serde_json::from_value::<MultiSigned>(wire).is_err(), "an unprotected header is refused");
}

#[test]
fn one_key_has_one_signature_and_their_number_is_limited() {
    let mut document = MultiSigned::new(&note()).unwrap();
    document.add_signature(&ca(), TYP).unwrap();
    let mut wire = serde_json::to_value(&document).unwrap();
    let signature = wire["signatures"][0].clone();
    wire["signatures"] = json!([signature, signature]);
    let twice: MultiSigned = serde_json::from_value(wire.clone()).unwrap();
    assert_eq!(reason(&twice.verify_all(&named(&[&ca()]), TYP).unwrap_err()), "RepeatedSigner");
    wire["signatures"] = json!(vec![signature; SIGNATURES_MAX + 1]);
    let crowd: MultiSigned = serde_json::from_value(wire).unwrap();
    assert_eq!(reason(&crowd.signers(TYP).unwrap_err()), "TooManySignatures");
}

#[test]
fn a_payload_with_signatures_over_it_must_be_canonical_too() {
    let payload = base64(br#"{"text":"a","gpu_seconds":1}"#);
    let protected = base64(json!({"alg": "EdDSA", "kid": ca().key_id(), "typ": TYP}).to_string());
    let signature = base64(ca().sign(format!("{protected}.{payload}").as_bytes()));
    let wire = json!({"payload": payload, "signatures": [{"protected": protected, "signature": signature}]});
    let document: MultiSigned = serde_json::from_value(wire).unwrap();
    assert_eq!(reason(&document.verify_all(&named(&[&ca()]), TYP).unwrap_err()), "NotCanonical");
}
