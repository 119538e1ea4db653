// SPDX-License-Identifier: Apache-2.0
//! Outside implementations in Python (PyJWT, rfc8785, http-message-signatures, securesystemslib, in-toto-attestation, and the
//! schemas of CycloneDX and SPDX) check our vectors, and we check what they sign.

use std::{path::PathBuf, process::Command};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use sta_protocol::{
    dsse::Envelope,
    evaluation::{self, TestResult},
    holder_proof::{ExpectedHolder, HolderProof, verify_holder_proof},
    http_signature::{ReceivedRequest, verify_request},
    jws::{MultiSigned, Signed},
    passport::{PassportToken, verify_passport},
    visa::{VisaToken, verify_visa},
};

use crate::{
    fixture::{Note, ca, de, holder_claims, known, note, now, session, trusted},
    vectors::directory,
};

/// The interpreter with the outside implementations.
fn python() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let made_by_check = manifest.join("../../.tools/oracles/bin/python");
    let python = std::env::var_os("STA_ORACLE_PYTHON").map_or(made_by_check, PathBuf::from);
    assert!(python.exists(), "run ./check once: it makes the environment of outside oracles");
    python
}

/// Runs a script of `tests/oracles/` on the vectors and gives what it prints.
fn run(script: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracles").join(script);
    let output = Command::new(python()).arg("-B").arg(path).arg(directory()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}:\n{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[test]
fn python_agrees_with_every_published_vector() {
    let printed = run("check_vectors.py");
    for checked in
        ["keys", "jcs", "content digests", "jws", "multi-signed", "http", "visas", "passport", "holder"]
    {
        assert!(printed.contains(&format!("{checked}: ok")), "{checked} was not checked:\n{printed}");
    }
}

#[test]
fn exports_and_attestations_hold_against_other_peoples_schemas_and_verifiers() {
    let printed = run("check_records.py");
    for checked in ["cyclonedx", "spdx", "dsse", "statements"] {
        assert!(printed.contains(&format!("{checked}: ok")), "{checked} was not checked:\n{printed}");
    }
}

#[test]
fn we_verify_what_python_signs() {
    let made: Value = serde_json::from_str(&run("sign.py")).unwrap();
    let text = |name: &str| made[name].as_str().unwrap().to_owned();

    let signed = Signed::<Note>::from_compact(text("jws")).unwrap();
    assert_eq!(*signed.verify(known).unwrap(), note());

    let document: MultiSigned = serde_json::from_value(made["multi_signed"].clone()).unwrap();
    let keys = [(ca().key_id(), ca().public_key()), (de().key_id(), de().public_key())];
    document.verify_all(&keys, "application/vnd.sta.treaty+jws").unwrap();

    let visa = verify_visa(&VisaToken::from_text(text("visa")), trusted, now(), 5).unwrap();
    assert_eq!((visa.id.as_str(), visa.subject.to_string().as_str()), ("visa-python", "ada@ca"));
    let passport = verify_passport(&PassportToken::from_text(text("passport")), trusted, now(), 5).unwrap();
    assert_eq!(passport.visas(), [visa]);

    let claims = holder_claims();
    let expected = ExpectedHolder {
        holder: session().public_key().thumbprint(),
        job: claims.job,
        digest: claims.digest,
        audience: &claims.audience,
        age_seconds_max: 300,
        skew_seconds_max: 5,
    };
    assert_eq!(
        verify_holder_proof(&HolderProof::from_text(text("holder_proof")), &expected, now()).unwrap(),
        claims
    );
    check_request(&made["request"]);

    let attestation: Envelope = serde_json::from_value(made["attestation"].clone()).unwrap();
    let verified = evaluation::verify(&attestation, known).unwrap();
    assert_eq!(verified.result(), TestResult::Passed);
    assert_eq!(verified.key_ids(), [de().key_id()]);
}

fn check_request(made: &Value) {
    let mut headers = HeaderMap::new();
    for (name, value) in made["headers"].as_object().unwrap() {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.insert(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
    }
    let received = ReceivedRequest {
        method: &Method::POST,
        target_uri: made["target_uri"].as_str().unwrap(),
        headers: &headers,
        body: made["body"].as_str().unwrap().as_bytes(),
    };
    let verified = verify_request(&received, known, now(), 5).unwrap();
    assert_eq!((verified.key_id, verified.nonce), (ca().key_id(), *b"python's own one"));
}
