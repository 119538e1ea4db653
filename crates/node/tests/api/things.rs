// SPDX-License-Identifier: Apache-2.0
//! The node, its treaty, sites, statements, keys and what it counts; and the schemas against the types they describe.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};
use sta_node::http::openapi;
use sta_protocol::{
    data_protection::AboutPeople,
    federation::{DatasetFile, Exit, StatementLine, TaskFailure, TasksEnd, Usage, UsageSource, UsageSources},
    job::{Checkpoint, InputFile, JobSpec, JobTraining, Objective, Shape},
    treaty::{Resources, SignedTreaty},
};

use super::blotted;
use crate::harness::{World, spec};

#[tokio::test(start_paused = true)]
async fn a_node_shows_the_keys_by_which_it_is_checked() {
    let world = World::open().await;
    let node = world.ca.get("", "/v1/node").await.ok();
    insta::assert_json_snapshot!("node", blotted(&node));
    assert_eq!(node["log"]["vkey"], world.ca.node.own_terms().keys.log);
    let keys = world.ca.get("", "/.well-known/jwks.json").await.ok();
    assert_eq!(keys["keys"][0]["kid"], world.ca.node.own_terms().keys.visa.key_id());
    assert_eq!((&keys["keys"][0]["kty"], &keys["keys"][0]["alg"]), (&json!("EC"), &json!("ES256")));
}

#[tokio::test(start_paused = true)]
async fn the_treaty_is_served_with_every_members_signature() {
    let world = World::open().await;
    let answer = world.ca.get("", "/v1/treaty").await;
    assert_eq!(answer.header("content-type"), "application/jose+json");
    let treaty: SignedTreaty = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(treaty.verify().unwrap().digest(), world.ca.node.treaty_digest());
}

#[tokio::test(start_paused = true)]
async fn sites_are_listed_with_terms_and_load() {
    let world = World::open().await;
    world.run();
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let sites = world.ca.get("eve", "/v1/sites").await.ok();
    insta::assert_json_snapshot!("sites", blotted(&sites));
}

#[tokio::test(start_paused = true)]
async fn both_members_compute_the_same_statement() {
    let world = World::open().await;
    world.run();
    let mut abroad = spec();
    abroad.sites_allowed = vec!["juelich".parse().unwrap()];
    world.ca.finished("ada", &abroad).await;
    let ours = world.ca.get("aud", "/v1/statements/2026-11/de?compare=true").await.ok();
    let theirs = world.de.get("aud", "/v1/statements/2026-11/ca").await.ok();
    assert_eq!((&ours["statement"], &ours["equal"]), (&theirs["statement"], &json!(true)));
    insta::assert_json_snapshot!("statement", blotted(&ours));
    for path in ["2026-13/de", "2026/de", "2026-1/de"] {
        assert_eq!(
            world.ca.get("aud", &format!("/v1/statements/{path}")).await.rule().as_deref(),
            Some("REQ-002"),
            "{path}"
        );
    }
    assert_eq!(world.ca.get("aud", "/v1/statements/2026-11/ca").await.rule().as_deref(), Some("REQ-001"));
    assert_eq!(world.ca.get("aud", "/v1/statements/2026-11/xx").await.rule().as_deref(), Some("REQ-001"));
}

#[tokio::test(start_paused = true)]
async fn metrics_count_requests_by_route_and_refusals_by_rule() {
    let world = World::open().await;
    world.ca.submit("ada", &spec()).await.ok();
    world.ca.get("", "/v1/jobs/0193a0c1-7e5b-7a10-8c3e-2f1f6f0a9b11").await;
    let answer = world.ca.get("", "/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let text = answer.text();
    for line in [
        "sta_http_requests_total{method=\"GET\",route=\"/v1/jobs/{job}\",status=\"401\"} 1",
        "sta_http_requests_total{method=\"POST\",route=\"/v1/jobs\",status=\"201\"} 1",
        "sta_refusals_total{name=\"AUT-001\"} 1",
        "sta_jobs{name=\"offered\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.trim_end().ends_with("# EOF"));
}

#[tokio::test(start_paused = true)]
async fn the_openapi_document_is_served() {
    let world = World::open().await;
    let document = world.ca.get("", "/openapi.json").await.ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document, serde_json::to_value(openapi::document()).unwrap());
}

/// The fields of a schema that describes a wire type must be that type's fields.
#[tokio::test(start_paused = true)]
async fn schemas_of_wire_types_have_the_fields_of_the_types() {
    let digest = sta_protocol::digest::Sha256Digest::of(b"");
    let zero = "0193a0c1-7e5b-7a10-8c3e-2f1f6f0a9b11";
    let line = json!({"receipt": zero, "job": zero, "home": "ca", "host": "de", "site": "juelich", "price_micro": 0,
        "cpu_core_ms": 0, "gpu_ms": 0, "co2_ug": 0});
    let line: StatementLine = serde_json::from_value(line).unwrap();
    let input =
        InputFile { name: "a".to_owned(), sha256: digest, bytes: 0, class: sta_protocol::class::Class::Open };
    let world = World::open().await;
    // What is as usual is left out, so nothing here is as usual.
    let shape = Shape { nodes: 2, tasks: 4, count: 3, parallel: 2, gpu_type: Some("gh200".to_owned()) };
    let options = [("constraint".to_owned(), "hbm".to_owned())].into();
    let full = JobSpec {
        shape,
        outputs_weights: vec!["model.json".to_owned()],
        purpose_class: Some(sta_protocol::purpose::Purpose::LawEnforcement),
        exception_claimed: true,
        after: vec![world.ca.job_id()],
        attempts_max: 2,
        site_options: options,
        inputs_about: Some(AboutPeople::default()),
        checkpoint: Some(Checkpoint { on_signal: true, every_s: Some(60) }),
        ..super::training::training("juelich", 1)
    };
    let submission = world.ca.submission("ada", world.ca.job_id(), &spec(), &[]).await;
    let world_statement = world.ca.get("aud", "/v1/statements/2026-11/de").await.ok();
    let samples = [
        ("JobSpecDocument", json!(full)),
        (
            "JobTrainingDocument",
            json!(JobTraining {
                run: Some(sta_protocol::ids::TrainingRunId::new(0, [0; 10])),
                ..full.training.clone().unwrap()
            }),
        ),
        ("ShapeDocument", json!(full.shape)),
        ("CheckpointDocument", json!(full.checkpoint)),
        ("InputFileDocument", json!(input)),
        ("ObjectiveDocument", json!(Objective::CHEAPEST)),
        ("ExitDocument", json!(Exit::Code(0))),
        ("TasksEndDocument", json!(TasksEnd { count: 1, completed: 0, failed: Vec::new() })),
        ("TaskFailureDocument", json!(TaskFailure { index: 0, exit: Exit::Code(1) })),
        (
            "UsageDocument",
            json!(Usage { sources: UsageSources::all(UsageSource::JobStamps), ..Usage::default() }),
        ),
        ("UsageSourcesDocument", json!(UsageSources::default())),
        ("ResourcesDocument", json!(Resources::default())),
        ("DatasetFileDocument", json!(DatasetFile { name: "a".to_owned(), sha256: digest, bytes: 0 })),
        ("StatementLineDocument", json!(line)),
        ("StatementDocument", world_statement["statement"].clone()),
        ("SubmitDocument", submission),
    ];
    let schemas = serde_json::to_value(openapi::document()).unwrap()["components"]["schemas"].clone();
    for (name, sample) in samples {
        let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(fields(&schemas[name]["properties"]), fields(&sample), "{name}");
    }
}
