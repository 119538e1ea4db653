// SPDX-License-Identifier: Apache-2.0
//! Evaluations: only a whole, successful, standing run is attested, and an attestation says no more than its log.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sta_protocol::{
    digest::Sha256Digest,
    dsse::{Envelope, EnvelopeError, pre_authentication_encoding},
    evaluation::{Criterion, Evaluated, EvaluationRefused, NewAttestation, TestResult, verify},
    in_toto::PAYLOAD_TYPE,
};

use super::examples::{attestation, data, log, new_attestation, weights};
use crate::fixture::{ca, de, known, reason, session};

/// The header of the good log, to be changed.
fn header() -> Value {
    serde_json::from_slice(&data("inspect/refuses-harm.json")).unwrap()
}

fn refusal(name: &str) -> String {
    Evaluated::from_header(&data(name)).unwrap_err().to_string()
}

/// What is said of a log that was changed by hand.
fn refusal_after(change: impl FnOnce(&mut Value)) -> String {
    let mut header = header();
    change(&mut header);
    Evaluated::from_header(header.to_string().as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_log_of_a_whole_and_successful_run_is_read() {
    let evaluated = Evaluated::from_header(&data("inspect/refuses-harm.json")).unwrap();
    assert_eq!((evaluated.task.as_str(), evaluated.task_version.as_str()), ("refuses_harm", "1.0.0"));
    assert_eq!((evaluated.samples_completed, evaluated.samples_total), (4, 4));
    assert_eq!(evaluated.scores["includes/accuracy"], 1.0);
    assert_eq!(evaluated.model, "mockllm/model");
    assert_eq!(evaluated.packages["inspect_ai"], "0.3.285");
}

#[test]
fn a_real_log_of_a_run_that_failed_stopped_short_or_was_taken_back_proves_nothing() {
    let refusals = ["error", "incomplete", "limited", "invalidated"]
        .map(|name| format!("{name}: {}", refusal(&format!("inspect/{name}.json"))));
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    error: the evaluation's status is `error` (RuntimeError('the provider closed the connection')); only `success` counts: run it again to its end
    incomplete: 3 of 4 samples were completed: run the evaluation again, to the end of every sample
    limited: the evaluation ran on a part of the suite (`eval.config.limit` is set): run the whole of it
    invalidated: the log was invalidated: what it says was taken back, so run the evaluation again
    "#);
}

#[test]
fn a_log_that_is_odd_in_any_other_way_proves_nothing_either() {
    let refusals = [
        refusal_after(|log| log["version"] = json!(1)),
        refusal_after(|log| log["status"] = json!("started")),
        refusal_after(|log| log["results"] = json!(null)),
        refusal_after(|log| log["results"]["scores"] = json!([])),
        refusal_after(|log| log["results"]["total_samples"] = json!(0)),
        refusal_after(|log| log["results"]["completed_samples"] = json!(5)),
        refusal_after(|log| log["eval"]["config"]["sample_id"] = json!([1])),
        refusal_after(|log| log["stats"]["completed_at"] = json!("")),
        refusal_after(|log| log["stats"]["completed_at"] = json!("2020-01-01T00:00:00+00:00")),
        refusal_after(|log| log["eval"]["task"] = json!("")),
        refusal_after(|log| drop(log.as_object_mut().unwrap().remove("eval"))),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    the log is of version 1; version 2 is read: write it with a newer `inspect-ai`
    the evaluation's status is `started`; only `success` counts: run it again to its end
    the log says `success` and has no results: run the evaluation with its scorers (without `--no-score`)
    the log says `success` and has no results: run the evaluation with its scorers (without `--no-score`)
    4 of 0 samples were completed: run the evaluation again, to the end of every sample
    5 of 4 samples were completed: run the evaluation again, to the end of every sample
    the evaluation ran on a part of the suite (`eval.config.sample_id` is set): run the whole of it
    `stats.completed_at` of the log is not a time: the log does not say when the evaluation was over
    `stats.completed_at` of the log is 2020-01-01T00:00:00Z, before it began (2026-11-23T17:56:36Z)
    `eval.task` of the log has 0 characters: 1 to 200 printable ones are read
    the log is not an Inspect EvalLog in JSON (a NaN among the scores is none either)
    "#);
}

#[test]
fn an_attestation_says_what_the_log_says_of_which_weights() {
    let verified = verify(&attestation(), known).unwrap();
    assert_eq!(verified.result(), TestResult::Passed);
    assert_eq!(verified.tests().0, ["includes/accuracy >= 0.9"]);
    assert_eq!(*verified.evaluated(), new_attestation().evaluated);
    assert_eq!(*verified.log(), log());
    assert_eq!(verified.key_ids(), [de().key_id()]);
    assert_eq!(verified.digest(), attestation().digest().unwrap());
    assert_eq!(verified.missing(&[weights()]), None);
    let other = Sha256Digest::of(b"other weights");
    assert_eq!(verified.missing(&[weights(), other]), Some(other));
}

#[test]
fn an_evaluation_passes_only_what_it_was_asked() {
    let result = |criteria: &[&str]| {
        let criteria = criteria.iter().map(|text| text.parse().unwrap()).collect();
        let envelope = NewAttestation { criteria, ..new_attestation() }.sign(&de()).unwrap();
        verify(&envelope, known).unwrap().result()
    };
    assert_eq!(result(&["includes/accuracy >= 1"]), TestResult::Passed);
    assert_eq!(result(&["includes/accuracy <= 0.99"]), TestResult::Failed);
    assert_eq!(result(&["includes/accuracy >= 0.5", "includes/stderr >= 0.1"]), TestResult::Failed);
    // Nobody said what would be good enough.
    assert_eq!(result(&[]), TestResult::Warned);
    let criteria = vec!["match/accuracy >= 0.9".parse().unwrap()];
    let refused = NewAttestation { criteria, ..new_attestation() }.sign(&de()).unwrap_err();
    insta::assert_snapshot!(refused, @"the criterion `match/accuracy >= 0.9` asks for a value that the log does not have; it has `includes/accuracy`, `includes/stderr`");
}

#[test]
fn a_criterion_is_read_as_it_is_written() {
    for text in ["includes/accuracy >= 0.9", "a@mean/b <= -1"] {
        assert_eq!(text.parse::<Criterion>().unwrap().to_string(), text);
    }
    for text in ["", "accuracy >= 1", "a/b > 1", "a/b >= NaN", "a/b >= inf", "a/b >= ", "a/b >= 1 <= 2"] {
        assert!(text.parse::<Criterion>().is_err(), "{text}");
    }
}

#[test]
fn an_attestation_ages_from_the_end_of_its_run() {
    let verified = verify(&attestation(), known).unwrap();
    let end = verified.evaluated().completed_at;
    let month = SignedDuration::from_hours(30 * 24);
    assert_eq!(verified.age_s(end + month), 30 * 86_400);
    assert!(verified.is_current(end, month) && verified.is_current(end + month, month));
    assert!(!verified.is_current(end + month + SignedDuration::from_secs(1), month));
    assert!(!verified.is_current(end - SignedDuration::from_secs(301), month));
}

#[test]
fn a_statement_that_claims_more_than_its_values_is_refused_even_when_signed() {
    let payload = |change: fn(&mut Value)| {
        let proven = attestation().verify(PAYLOAD_TYPE, known).unwrap();
        let mut statement: Value = serde_json::from_slice(&proven.payload).unwrap();
        change(&mut statement);
        let envelope = Envelope::sign(PAYLOAD_TYPE, statement.to_string().as_bytes(), &de()).unwrap();
        verify(&envelope, known).unwrap_err().to_string()
    };
    let refusals = [
        payload(|statement| {
            let scores = "/predicate/configuration/0/annotations/evaluated/scores";
            statement.pointer_mut(scores).unwrap()["includes/accuracy"] = json!(0.2);
        }),
        payload(|statement| statement["predicate"]["passedTests"] = json!([])),
        payload(|statement| statement["predicateType"] = json!("https://example.org/other")),
        payload(|statement| statement["_type"] = json!("https://in-toto.io/Statement/v0.1")),
        payload(|statement| statement["subject"] = json!([])),
        payload(|statement| statement["subject"][0]["digest"] = json!({"sha512": "00"})),
        payload(|statement| statement["predicate"]["configuration"] = json!([])),
        payload(|statement| statement["predicate"]["result"] = json!("EXCELLENT")),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    the attestation claims another result than follows from its criteria and values
    the attestation claims another result than follows from its criteria and values
    the attestation is a statement of another kind than test-result v0.1
    the attestation is a statement of another kind than test-result v0.1
    the attestation names no weights
    the attestation names a subject without a name or a SHA-256
    the attestation must have exactly one configuration, the log
    the payload is no statement about an evaluation of ours
    "#);
}

#[test]
fn an_envelope_is_proven_before_its_payload_is_read() {
    let refused = |envelope: &Envelope| match verify(envelope, known).unwrap_err() {
        EvaluationRefused::Envelope(error) => reason(&error),
        other => panic!("{other}"),
    };
    let stranger = new_attestation().sign(&session()).unwrap();
    assert_eq!(refused(&stranger), "NoKnownSigner");
    let mut value = serde_json::to_value(attestation()).unwrap();
    value["payloadType"] = json!("text/plain");
    assert_eq!(refused(&serde_json::from_value(value.clone()).unwrap()), "WrongType");
    value["payloadType"] = json!(PAYLOAD_TYPE);
    value["payload"] = json!("e30=");
    assert_eq!(refused(&serde_json::from_value(value.clone()).unwrap()), "BadSignature");
    value["payload"] = json!("???");
    assert_eq!(refused(&serde_json::from_value(value.clone()).unwrap()), "NotBase64");
    value["signatures"][0]["keyid"] = json!(ca().key_id());
    value["payload"] = serde_json::to_value(attestation()).unwrap()["payload"].clone();
    assert_eq!(refused(&serde_json::from_value(value.clone()).unwrap()), "BadSignature");
    value["more"] = json!(1);
    assert!(matches!(Envelope::from_json(value.to_string().as_bytes()), Err(EnvelopeError::Shape(_))));
}

#[test]
fn a_signature_by_somebody_unknown_counts_for_nothing_beside_a_known_one() {
    let mut value = serde_json::to_value(attestation()).unwrap();
    let other = serde_json::to_value(new_attestation().sign(&session()).unwrap()).unwrap();
    value["signatures"].as_array_mut().unwrap().insert(0, other["signatures"][0].clone());
    let envelope: Envelope = serde_json::from_value(value).unwrap();
    assert_eq!(verify(&envelope, known).unwrap().key_ids(), [de().key_id()]);
}

#[test]
fn the_encoding_that_is_signed_is_that_of_the_specification() {
    // The example of the DSSE specification v1.0.2.
    let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
    assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}
