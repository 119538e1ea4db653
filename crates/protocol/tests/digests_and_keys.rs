// SPDX-License-Identifier: Apache-2.0
//! Rules of digests, canonical JSON and keys.

use serde_json::json;
use sta_protocol::{
    digest::{
        DigestError, Sha256Digest, canonical_json, content_digest_header, is_canonical_json,
        verify_content_digest,
    },
    keys::{KeyError, P256Jwk, PublicKey, SigningKey, VisaPublicKey, VisaSigningKey},
};

use crate::fixture::{CA_VISA_PEM, ca, ca_visas, de, reason};

#[test]
fn a_digest_is_written_in_lower_case_hex_and_read_in_no_other_way() {
    let digest = Sha256Digest::of(b"abc");
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-4
    assert_eq!(digest.to_string(), text);
    assert_eq!(text.parse::<Sha256Digest>().unwrap(), digest);
    assert_eq!(serde_json::to_value(digest).unwrap(), json!(text));
    for wrong in [&text.to_uppercase(), &text[1..], &format!("{text}0"), "", &text.replace('b', "g")] {
        assert!(wrong.parse::<Sha256Digest>().is_err(), "{wrong}");
    }
}

#[test]
fn numbers_that_other_implementations_would_round_have_no_canonical_form() {
    assert!(canonical_json(&json!({"gpu_seconds": 9_007_199_254_740_991_u64})).is_ok());
    for wrong in
        [json!([9_007_199_254_740_992_u64]), json!(-9_007_199_254_740_992_i64), json!({"a": {"b": 1e300}})]
    {
        let refused = canonical_json(&wrong).unwrap_err();
        assert_eq!(reason(&refused), "NumberTooLarge", "{wrong}");
    }
    assert_eq!(reason(&canonical_json(&f64::NAN).unwrap_err()), "NotJson");
}

#[test]
fn only_the_canonical_text_counts_as_canonical() {
    assert!(is_canonical_json(br#"{"a":1,"b":[true,null]}"#));
    for wrong in
        [r#"{"b":1,"a":2}"#, r#"{"a": 1}"#, r#"{"a":1,"a":1}"#, r#"{"a":1.0}"#, r#"{"a":"\u0062"}"#, "{", ""]
    {
        assert!(!is_canonical_json(wrong.as_bytes()), "{wrong}");
    }
}

#[test]
fn a_content_digest_fits_its_body_and_no_other() {
    let body = br#"{"hello": "world"}"#;
    let header = content_digest_header(body);
    assert_eq!(header, "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"); // RFC 9530 appendix B
    assert_eq!(verify_content_digest(&header, body).unwrap(), Sha256Digest::of(body));
    let refused = verify_content_digest(&header, b"{}").unwrap_err();
    assert!(matches!(refused, DigestError::Mismatch { actual, .. } if actual == Sha256Digest::of(b"{}")));
    for wrong in
        ["", "sha-256", "sha-256=abc", "sha-256=:AAAA:", "sha-512=:AAAA:", "sha-256=(:AAAA:)", "\u{e9}"]
    {
        assert_eq!(reason(&verify_content_digest(wrong, body).unwrap_err()), "NoSha256", "{wrong}");
    }
}

#[test]
fn ed25519_signs_as_rfc_8037_and_is_named_by_its_thumbprint() {
    let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = ca().sign(input);
    let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(crate::fixture::base64(signature), expected);
    assert!(ca().public_key().verifies(input, &signature));
    assert!(!de().public_key().verifies(input, &signature));
    assert_eq!(ca().key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"); // RFC 8037 A.3
}

#[test]
fn a_secret_is_never_shown_by_debug() {
    let shown = format!("{:?} {:?}", SigningKey::from_seed([0x41; 32]), ca_visas());
    assert!(shown.contains("secret not shown"), "{shown}");
    for secret in ["AAAA", "4141", "65, 65", "ya-p", "MIGH", "201, 175"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_key_under_which_anybody_could_sign_is_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(PublicKey::from_bytes(neutral).unwrap_err(), KeyError::NotAPoint { curve: "Ed25519" });
    assert_eq!(reason(&PublicKey::from_bytes([2; 32]).unwrap_err()), "NotAPoint");
    assert_eq!(reason(&"AAAA".parse::<PublicKey>().unwrap_err()), "NotBase64");
}

#[test]
fn a_visa_key_is_a_jwk_on_p_256_and_nothing_else() {
    let jwk = ca_visas().public_jwk();
    assert_eq!(jwk.x, "YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y"); // RFC 6979 A.2.5
    assert_eq!(crate::fixture::de_visas().public_jwk().x, "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"); // RFC 7517 A.2
    let text = serde_json::to_string(ca_visas().public_key()).unwrap();
    assert_eq!(serde_json::from_str::<VisaPublicKey>(&text).unwrap(), *ca_visas().public_key());
    let wrong = [
        (P256Jwk { crv: "P-384".to_owned(), ..jwk.clone() }, "WrongJwk"),
        (P256Jwk { kty: "OKP".to_owned(), ..jwk.clone() }, "WrongJwk"),
        (P256Jwk { y: jwk.x.clone(), ..jwk.clone() }, "NotAPoint"),
        (P256Jwk { y: "AAAA".to_owned(), ..jwk.clone() }, "NotBase64"),
    ];
    for (jwk, expected) in wrong {
        assert_eq!(reason(&VisaPublicKey::try_from(jwk).unwrap_err()), expected);
    }
    let with_secret = json!({"kty": "EC", "crv": "P-256", "x": jwk.x, "y": jwk.y, "d": "AAAA"});
    assert!(
        serde_json::from_value::<VisaPublicKey>(with_secret).is_err(),
        "a private JWK is not a public key"
    );
}

#[test]
fn a_private_visa_key_is_read_from_pkcs8_only() {
    for wrong in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", &CA_VISA_PEM[..120]] {
        assert_eq!(VisaSigningKey::from_pkcs8_pem(wrong).unwrap_err(), KeyError::NotPkcs8);
    }
    assert_eq!(VisaSigningKey::from_pkcs8_der(b"no key").unwrap_err(), KeyError::NotPkcs8);
}
