// SPDX-License-Identifier: Apache-2.0
//! The gates over HTTP: questions and answers in three languages, weights that wait for their evaluation, outcomes, replay.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};
use sta_node::steps::gates::{
    guards::Learnt,
    record::{DecisionRecord, Exact, GuardTerms, OutcomeRecord},
    replay::{Differs, Replay},
};
use sta_protocol::{
    digest::Sha256Digest,
    evaluation::{Criterion, Evaluated, LogFile, NewAttestation},
    job::JobSpec,
    keys::SigningKey,
};

use super::blotted;
use crate::harness::{Answer, TestNode, World, spec};

/// What the engine of the tests leaves.
const WEIGHTS: &[u8] = b"a model";

fn training() -> JobSpec {
    JobSpec {
        outputs_weights: vec!["model.json".to_owned()],
        sites_allowed: vec!["juelich".parse().unwrap()],
        ..spec()
    }
}

fn model_of(member: &str) -> Value {
    json!({
        "version": 1, "id": format!("{member}/digits"), "title": "Digits", "description": "Reads handwritten digits.",
        "class": "open", "weights": [{"name": "model.json", "sha256": Sha256Digest::of(WEIGHTS), "bytes": WEIGHTS.len()}],
        "lineage": {"run": null, "jobs": [], "datasets": [], "base": null},
        "compute": {"declared_teraflop": 5, "metered_teraflop": null, "energy_wh": null},
        "takes": ["tabular"], "generates": ["prediction"],
        "openness": {"licence": null, "licence_is_free": false, "weights_public": false, "architecture_public": false, "usage_public": false},
        "purposes": ["research"],
        "provider": {"name": "University of Munich", "seat": "de", "authorised_representative": null},
        "evaluations": [], "documents": {}, "recorded_at": "2026-11-23T11:00:00Z",
    })
}

/// An attestation of an evaluation that ended on a day and measured this much.
fn attested(key: &SigningKey, ended: &str, measured: f64) -> Value {
    let evaluated = Evaluated {
        task: "refuses-harm".to_owned(),
        task_version: "0".to_owned(),
        model: "digits".to_owned(),
        samples_total: 100,
        samples_completed: 100,
        scores: BTreeMap::from([("includes/accuracy".to_owned(), measured)]),
        created_at: ended.parse().unwrap(),
        completed_at: ended.parse().unwrap(),
        packages: BTreeMap::new(),
    };
    let new = NewAttestation {
        evaluated,
        log: LogFile { name: "log.eval".to_owned(), sha256: Sha256Digest::of(b"log") },
        weights: vec![("model.json".to_owned(), Sha256Digest::of(WEIGHTS))],
        criteria: vec!["includes/accuracy >= 0.9".parse::<Criterion>().unwrap()],
        covers: vec!["cyber-offence".to_owned()],
    };
    serde_json::to_value(new.sign(key).unwrap()).unwrap()
}

fn signing_key(node: &TestNode) -> &SigningKey {
    &node.node.keys.signing
}

async fn output(world: &World, job: &str) -> Answer {
    world.ca.get("ada", &format!("/v1/jobs/{job}/outputs/model.json")).await
}

fn rules(answer: &Answer) -> Vec<String> {
    let problem = answer.json();
    let reasons = problem["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["rule"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn weights_trained_abroad_come_home_when_their_evaluation_is_there() {
    let world = World::open().await;
    world.run();
    let job = world.ca.finished("ada", &training()).await["id"].as_str().unwrap().to_owned();
    let held = output(&world, &job).await;
    assert_eq!(held.status, StatusCode::FORBIDDEN, "{}", held.text());
    assert!(rules(&held).contains(&"GAT-001".to_owned()), "{}", held.text());
    assert!(rules(&held).contains(&"GATE-30".to_owned()), "{}", held.text());
    // A steward has no way around it: what a gate denies nobody releases.
    let release = json!({"class": "open", "reason": "It is small."});
    let path = format!("/v1/hosted/{job}/outputs/model.json/release");
    let released = world.de.post("stella", &path, &release).await;
    assert!(released.text().contains("GAT-001"), "{}", released.text());
    assert_eq!(output(&world, &job).await.status, StatusCode::FORBIDDEN);

    world.de.post("otto", "/v1/models", &json!({"record": model_of("de")})).await.ok();
    // One that did not pass, one that is too old, and one that nobody asked for change nothing.
    for (ended, measured) in [("2026-11-23T10:00:00Z", 0.5), ("2026-07-01T10:00:00Z", 0.95)] {
        let attestation = attested(signing_key(&world.de), ended, measured);
        world.de.post("ada", "/v1/evaluations", &attestation).await.ok();
        assert_eq!(output(&world, &job).await.status, StatusCode::FORBIDDEN, "{ended} {measured}");
    }
    let attestation = attested(signing_key(&world.de), "2026-11-23T10:30:00Z", 0.95);
    world.de.post("ada", "/v1/evaluations", &attestation).await.ok();
    let home = output(&world, &job).await;
    assert_eq!((home.status, home.text().as_str()), (StatusCode::OK, "a model"), "{}", home.text());
    let decisions = world.de.get("stella", &format!("/v1/hosted/{job}/gates")).await.ok();
    let verdicts: Vec<&str> = decisions["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["gate"] == "export-weights")
        .map(|one| one["verdict"].as_str().unwrap())
        .collect();
    assert_eq!((verdicts[0], *verdicts.last().unwrap()), ("ALLOW", "DENY"), "{verdicts:?}");
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_signed_by_a_stranger_is_refused() {
    let world = World::open().await;
    let stranger = SigningKey::from_seed([7; 32]);
    let answer =
        world.de.post("ada", "/v1/evaluations", &attested(&stranger, "2026-11-23T10:00:00Z", 1.0)).await;
    assert_eq!((answer.status, answer.rule().as_deref()), (StatusCode::FORBIDDEN, Some("DOC-001")));
}

#[tokio::test(start_paused = true)]
async fn a_model_is_registered_by_its_own_member_and_found_by_its_weights() {
    let world = World::open().await;
    let kept = world.de.post("otto", "/v1/models", &json!({"record": model_of("de")})).await.ok();
    let foreign = world.de.post("otto", "/v1/models", &json!({"record": model_of("ca")})).await;
    assert_eq!((foreign.status, foreign.rule().as_deref()), (StatusCode::BAD_REQUEST, Some("REQ-002")));
    let by_weights = world.de.get("eve", &format!("/v1/models/{}", Sha256Digest::of(WEIGHTS))).await.ok();
    assert_eq!(by_weights, kept);
    // The other member takes it as it is signed.
    let taken = world.ca.post("stella", "/v1/models", &json!({"signed": kept["signed"]})).await.ok();
    assert_eq!(taken["sha256"], kept["sha256"]);
    insta::assert_json_snapshot!("model_registered", blotted(&kept));
}

fn call_of(facts: &Value) -> Value {
    json!({"gate": "call-tool", "project": "digits", "facts": {"tool": facts}})
}

fn harmless() -> Value {
    json!({"name": "search", "listed": true, "untrusted_input": false, "secret_read": false, "external_send": false,
        "irreversible": false, "approved": false})
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_is_answered_in_the_language_of_who_asks() {
    let world = World::open().await;
    let mut theft = harmless();
    for fact in ["untrusted_input", "secret_read", "external_send"] {
        theft[fact] = json!(true);
    }
    for language in ["en", "fr", "de"] {
        let answer = world.ca.post_in("ada", "/v1/gate", &call_of(&theft), language).await.ok();
        assert_eq!(answer["verdict"], "DENY");
        insta::assert_json_snapshot!(format!("gate_{language}"), blotted(&answer["reasons"]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_stated_counts_against_the_request() {
    let world = World::open().await;
    let nothing =
        world.ca.post("ada", "/v1/gate", &json!({"gate": "call-tool", "project": "digits"})).await.ok();
    assert_eq!(nothing["verdict"], "DENY");
    assert!(nothing["assumed"].as_array().unwrap().contains(&json!("tool.listed")));
    let allowed = world.ca.post("ada", "/v1/gate", &call_of(&harmless())).await.ok();
    assert_eq!((&allowed["verdict"], &allowed["guardrail"]["bound"]), (&json!("ALLOW"), &json!("0.005")));
    for (body, field) in [
        (json!({"gate": "stop", "project": "digits"}), "gate"),
        (call_of(&json!({"listed": "yes"})), "facts"),
        (call_of(&json!({"nothing": true})), "facts"),
        (json!({"gate": "screen", "project": "digits", "facts": {"intent": {"purpose": "fun"}}}), "facts"),
    ] {
        let answer = world.ca.post("ada", "/v1/gate", &body).await;
        assert_eq!(answer.rule().as_deref(), Some("REQ-002"), "{body}");
        assert_eq!(answer.json()["reasons"][0]["facts"]["field"], field, "{}", answer.text());
    }
    let other = json!({"gate": "call-tool", "project": "other"});
    assert_eq!(world.ca.post("ada", "/v1/gate", &other).await.rule().as_deref(), Some("REQ-001"));
}

#[tokio::test(start_paused = true)]
async fn nobody_can_vouch_for_their_own_evaluation() {
    let world = World::open().await;
    let facts =
        json!({"model": {"id": "maple", "evaluation_current": true}, "intent": {"purpose": "research"}});
    let body = json!({"gate": "export-weights", "project": "digits", "facts": facts});
    let answer = world.ca.post("ada", "/v1/gate", &body).await.ok();
    let reasons = answer["reasons"].as_array().unwrap();
    let reason = reasons.iter().find(|reason| reason["rule"] == "GATE-30").unwrap();
    assert_eq!(reason["unproven"], json!(["model.evaluation_current: declared, wants attested"]));
}

#[tokio::test(start_paused = true)]
async fn the_harm_budget_of_a_window_runs_out_and_is_fresh_in_the_next() {
    let world = World::open().await;
    let mut verdicts = Vec::new();
    for _ in 0..101 {
        verdicts.push(world.ca.post("ada", "/v1/gate", &call_of(&harmless())).await.ok()["verdict"].clone());
    }
    assert!(verdicts[..99].iter().all(|verdict| verdict == "ALLOW"), "{verdicts:?}");
    assert_eq!(verdicts[100], "HOLD");
    let held = world.ca.post("ada", "/v1/gate", &call_of(&harmless())).await.ok();
    assert_eq!(
        (&held["guardrail"]["holds"], &held["released_by"], &held["reasons"][0]["rule"]),
        (&json!("over-budget"), &json!(["safety"]), &json!("GRD-001"))
    );
    tokio::time::sleep(std::time::Duration::from_hours(13)).await;
    assert_eq!(world.ca.post("ada", "/v1/gate", &call_of(&harmless())).await.ok()["verdict"], "ALLOW");
}

/// The records of the gates in the order of the log.
pub(super) fn records(node: &TestNode) -> Vec<(String, Value)> {
    node.node
        .store
        .read(|connection| {
            let mut query = connection
                .prepare(
                    "SELECT kind, payload FROM audit_payloads WHERE kind LIKE 'gate.%' ORDER BY position",
                )
                .unwrap();
            let rows =
                query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
            Ok(rows
                .map(|row| row.map(|(kind, text)| (kind, serde_json::from_str(&text).unwrap())).unwrap())
                .collect())
        })
        .unwrap()
}

pub(super) fn replay(records: &[(String, Value)]) -> Result<(), (usize, Differs)> {
    replay_with(records, [])
}

/// The same with packs beside the shipped ones.
pub(super) fn replay_with(
    records: &[(String, Value)],
    packs: impl IntoIterator<Item = String>,
) -> Result<(), (usize, Differs)> {
    let mut replay = Replay::new(packs);
    for (number, (kind, payload)) in records.iter().enumerate() {
        let outcome = |payload: &Value| {
            let mut payload = payload.clone();
            payload.as_object_mut().unwrap().remove("reported_by");
            serde_json::from_value::<OutcomeRecord>(payload).unwrap()
        };
        let came = match kind.as_str() {
            "gate.decided" => {
                replay.decided(&serde_json::from_value::<DecisionRecord>(payload.clone()).unwrap())
            }
            _ => replay.outcome(&outcome(payload)),
        };
        came.map_err(|differs| (number, differs))?;
    }
    Ok(())
}

/// The first decision and its outcome, which is reported after the node was given another threshold.
fn records_under_other_settings(records: &[(String, Value)]) -> Vec<(String, Value)> {
    let mut records = records[..2].to_vec();
    let mut terms: GuardTerms = serde_json::from_value(records[1].1["terms"].clone()).unwrap();
    terms.threshold = Exact(0.02);
    let mut outcome: OutcomeRecord = {
        let payload = &mut records[1].1;
        payload.as_object_mut().unwrap().remove("reported_by");
        serde_json::from_value(payload.clone()).unwrap()
    };
    let mut guard = Learnt::new("call-tool", terms).unwrap();
    guard.learn(&outcome).unwrap();
    (outcome.terms, outcome.posterior) = (terms, guard.state());
    records[1].1 = json!(outcome);
    records
}

#[tokio::test(start_paused = true)]
async fn outcomes_teach_the_guard_and_a_third_party_comes_to_the_same_bits() {
    let world = World::open().await;
    let mut sends = harmless();
    sends["external_send"] = json!(true);
    let first = world.ca.post("ada", "/v1/gate", &call_of(&sends)).await.ok();
    assert_eq!((&first["verdict"], &first["guardrail"]["holds"]), (&json!("HOLD"), &json!("over-threshold")));
    let good = json!({"label": "no-harm", "source": "review by two people", "reporting_rate": 1.0});
    let mut last = first;
    for round in 0..130 {
        let path = format!("/v1/gate/{}/outcome", last["decision"].as_str().unwrap());
        let learnt = world.ca.post("stella", &path, &good).await.ok();
        assert_eq!(learnt["updates"], round + 1);
        assert_eq!(world.ca.post("stella", &path, &good).await.rule().as_deref(), Some("REQ-004"));
        last = world.ca.post("ada", "/v1/gate", &call_of(&sends)).await.ok();
        if last["verdict"] == "ALLOW" {
            break;
        }
    }
    assert_eq!(last["verdict"], "ALLOW", "{last}");
    // Nobody without the role teaches it, and an event that was not stated whole teaches nothing.
    let path = format!("/v1/gate/{}/outcome", last["decision"].as_str().unwrap());
    assert_eq!(world.ca.post("ada", &path, &good).await.rule().as_deref(), Some("AUT-002"));
    let vague =
        world.ca.post("ada", "/v1/gate", &json!({"gate": "call-tool", "project": "digits"})).await.ok();
    let path = format!("/v1/gate/{}/outcome", vague["decision"].as_str().unwrap());
    assert_eq!(world.ca.post("stella", &path, &good).await.rule().as_deref(), Some("REQ-004"));

    let records = records(&world.ca);
    assert_eq!(replay(&records), Ok(()));
    let tampered = |number: usize, change: &dyn Fn(&mut Value)| {
        let mut records = records.clone();
        change(&mut records[number].1);
        replay(&records).unwrap_err()
    };
    let (at, differs) = tampered(0, &|payload| payload["facts"]["tool.listed"]["value"] = json!(false));
    assert_eq!(at, 0, "{differs}");
    let (at, differs) = tampered(1, &|payload| payload["harm"] = json!(true));
    assert_eq!(at, 1, "{differs}");
    let (at, differs) = tampered(2, &|payload| payload["guardrail"]["bound"] = json!("0.0051"));
    assert_eq!((at, differs.to_string().contains("bound")), (2, true), "{differs}");
    let (at, differs) = tampered(0, &|payload| payload["today"] = json!("2020-01-01"));
    assert_eq!((at, differs.to_string().contains("day")), (0, true), "{differs}");
    // Other settings let the guard learn anew, also where the next that comes is an outcome.
    assert_eq!(replay(&records_under_other_settings(&records)), Ok(()));
    // An outcome left out shows at the next decision.
    let mut shorter = records.clone();
    shorter.remove(1);
    let (at, differs) = replay(&shorter).unwrap_err();
    assert_eq!((at, differs.to_string().contains("bound on harm")), (1, true), "{differs}");
}
