// SPDX-License-Identifier: Apache-2.0
//! Researchers, projects, datasets, visas and passports.

use http::StatusCode;
use serde_json::json;

use super::blotted;
use crate::harness::{World, dataset, holder, token};

#[tokio::test(start_paused = true)]
async fn an_operator_adds_a_researcher_who_can_then_log_in() {
    let world = World::open().await;
    assert_eq!(world.ca.get("max", "/v1/jobs").await.rule().as_deref(), Some("AUT-001"));
    let body =
        json!({"token": token("max"), "holder": holder("max").public_key().key_id(), "roles": ["auditor"]});
    let researcher = world.ca.put("otto", "/v1/researchers/max", &body).await.ok();
    assert_eq!((&researcher["id"], &researcher["roles"]), (&json!("max"), &json!(["auditor"])));
    assert!(!researcher.to_string().contains(&token("max")), "a token is never shown");
    assert_eq!(world.ca.get("max", "/v1/jobs?all=true").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_researcher_with_a_short_token_an_unknown_role_or_no_key_is_refused_with_the_field() {
    let world = World::open().await;
    let key = holder("max").public_key().key_id();
    let mut texts = Vec::new();
    for body in [
        json!({"token": "short", "holder": key}),
        json!({"token": token("max"), "holder": key, "roles": ["king"]}),
        json!({"token": token("max"), "holder": "none"}),
        json!({"token": token("max"), "holder": key, "role": "operator"}),
    ] {
        let answer = world.ca.put("otto", "/v1/researchers/max", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        texts.push(answer.json()["detail"].as_str().unwrap().to_owned());
    }
    insta::assert_snapshot!("researcher_malformed", texts.join("\n"));
    assert_eq!(
        world.ca.put("otto", "/v1/researchers/Max", &json!({})).await.rule().as_deref(),
        Some("REQ-002")
    );
}

#[tokio::test(start_paused = true)]
async fn a_project_shows_its_account_to_its_people_and_to_overseers() {
    let world = World::open().await;
    let project = world.ca.get("ada", "/v1/projects/digits").await.ok();
    insta::assert_json_snapshot!("project", blotted(&project));
    assert_eq!(world.ca.get("eve", "/v1/projects/digits").await.rule().as_deref(), Some("REQ-001"));
    assert_eq!(world.ca.get("eve", "/v1/projects").await.ok(), json!({"projects": []}));
    assert_eq!(world.ca.get("aud", "/v1/projects").await.ok(), json!({"projects": [project]}));
    let body = json!({"granted_micro": 5, "researchers": ["eve"]});
    assert_eq!(world.ca.put("otto", "/v1/projects/small", &body).await.ok()["available_micro"], 5);
    assert_eq!(world.ca.get("eve", "/v1/projects/small").await.ok()["granted_micro"], 5);
}

#[tokio::test(start_paused = true)]
async fn an_allocation_never_falls_below_what_is_set_aside() {
    let world = World::open().await;
    world.ca.submit("ada", &crate::harness::spec()).await.ok();
    let pending = world.ca.get("ada", "/v1/projects/digits").await.ok()["pending_micro"].as_i64().unwrap();
    assert!(pending > 0);
    let too_little =
        world.ca.put("otto", "/v1/projects/digits", &json!({"granted_micro": pending - 1})).await;
    assert_eq!((too_little.status, too_little.rule().as_deref()), (StatusCode::CONFLICT, Some("REQ-004")));
    let negative = world.ca.put("otto", "/v1/projects/other", &json!({"granted_micro": -1})).await;
    assert_eq!(negative.rule().as_deref(), Some("REQ-004"));
}

#[tokio::test(start_paused = true)]
async fn a_dataset_is_registered_and_fetched_by_the_other_member() {
    let world = World::open().await;
    let file = world.de.upload("stella", b"1,2,3\n").await;
    let added = world.de.post("stella", "/v1/datasets", &dataset(file, 6)).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
    insta::assert_json_snapshot!("dataset", blotted(&added.json()));
    let fetched = world.ca.get("ada", "/v1/datasets/de/hospital").await.ok();
    assert_eq!(fetched, added.json());
    assert_eq!(world.ca.get("ada", "/v1/datasets").await.ok(), json!({"datasets": [fetched]}));
    assert_eq!(world.ca.get("ada", "/v1/datasets/de/other").await.rule().as_deref(), Some("REQ-001"));
    assert_eq!(world.ca.get("ada", "/v1/datasets/ca/other").await.rule().as_deref(), Some("REQ-001"));
    assert_eq!(world.ca.get("ada", "/v1/datasets/xx/other").await.rule().as_deref(), Some("REQ-001"));
}

#[tokio::test(start_paused = true)]
async fn a_dataset_whose_file_was_not_uploaded_is_refused() {
    let world = World::open().await;
    let nowhere = sta_protocol::digest::Sha256Digest::of(b"nowhere");
    let answer = world.de.post("stella", "/v1/datasets", &dataset(nowhere, 7)).await;
    assert_eq!((answer.status, answer.rule().as_deref()), (StatusCode::BAD_REQUEST, Some("REQ-002")));
}

#[tokio::test(start_paused = true)]
async fn stewards_grant_datasets_and_operators_vouch_for_affiliation() {
    let world = World::open().await;
    world.hospital().await;
    let holder = holder("ada").public_key().key_id();
    let affiliation = json!({"subject": "ada@de", "holder": holder, "kind": "affiliation"});
    let grant = json!({"subject": "ada@ca", "holder": holder, "kind": "dataset", "dataset": "de/hospital"});
    assert!(world.de.post("otto", "/v1/visas", &affiliation).await.ok()["visa"].is_string());
    assert_eq!(world.de.post("stella", "/v1/visas", &affiliation).await.rule().as_deref(), Some("AUT-002"));
    assert!(world.de.post("stella", "/v1/visas", &grant).await.ok()["visa"].is_string());
    assert_eq!(world.de.post("otto", "/v1/visas", &grant).await.rule().as_deref(), Some("AUT-002"));
    let elsewhere =
        json!({"subject": "ada@ca", "holder": holder, "kind": "dataset", "dataset": "ca/weather"});
    assert_eq!(world.de.post("stella", "/v1/visas", &elsewhere).await.rule().as_deref(), Some("REQ-001"));
    let without = json!({"subject": "ada@ca", "holder": holder, "kind": "dataset"});
    assert_eq!(world.de.post("stella", "/v1/visas", &without).await.rule().as_deref(), Some("REQ-002"));
}

#[tokio::test(start_paused = true)]
async fn everybody_gets_their_own_passport_around_the_visas_they_bring() {
    let world = World::open().await;
    let visa = world.hospital().await;
    let passport = world.ca.post("ada", "/v1/passports", &json!({"visas": [visa]})).await.ok();
    assert!(passport["passport"].as_str().unwrap().starts_with("eyJ"));
    // What is in it is looked at where it counts: when a job comes with it.
    let body =
        world.ca.submission("ada", world.ca.job_id(), &crate::harness::spec(), &["no visa".to_owned()]).await;
    let job = world.ca.post("ada", "/v1/jobs", &body).await.ok();
    assert_eq!((&job["state"], &job["refusals"][0]["rule"]), (&json!("refused"), &json!("VIS-001")));
}
