// SPDX-License-Identifier: Apache-2.0
//! Jobs: submitted, looked at, listed, explained, cancelled.

use http::StatusCode;
use serde_json::json;

use super::blotted;
use crate::harness::{World, spec};

#[tokio::test(start_paused = true)]
async fn a_submitted_job_has_an_address_and_waits_for_its_host() {
    let world = World::open().await;
    let answer = world.ca.submit("ada", &spec()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let job = answer.json();
    assert_eq!(answer.header("location"), format!("/v1/jobs/{}", job["id"].as_str().unwrap()));
    insta::assert_json_snapshot!("job_offered", blotted(&job));
}

#[tokio::test(start_paused = true)]
async fn a_job_crosses_the_border_runs_and_comes_home_with_its_account() {
    let world = World::open().await;
    world.run();
    let mut abroad = spec();
    abroad.sites_allowed = vec!["juelich".parse().unwrap()];
    let job = world.ca.finished("ada", &abroad).await;
    insta::assert_json_snapshot!("job_completed", blotted(&job));
    let receipt =
        world.ca.get("ada", &format!("/v1/jobs/{}/receipt", job["id"].as_str().unwrap())).await.ok();
    insta::assert_json_snapshot!("job_receipt", blotted(&receipt));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_says_with_which_code() {
    let world = World::open().await;
    world.run();
    let mut failing = spec();
    failing.command = vec!["fail".to_owned(), "3".to_owned()];
    let job = world.ca.submit("ada", &failing).await.ok();
    let job = world.ca.wait_for("ada", job["id"].as_str().unwrap(), "failed").await;
    assert_eq!((&job["exit"], &job["exit_code"]), (&json!({"kind": "code", "value": 3}), &json!(3)));
    assert_eq!(job["outputs_missing"], json!(["model.json"]));
}

#[tokio::test(start_paused = true)]
async fn the_same_submission_again_is_the_same_job_and_another_under_its_id_is_a_conflict() {
    let world = World::open().await;
    let id = world.ca.job_id();
    let first = world.ca.submission("ada", id, &spec(), &[]).await;
    let job = world.ca.post("ada", "/v1/jobs", &first).await.ok();
    assert_eq!(world.ca.post("ada", "/v1/jobs", &first).await.ok(), job);
    let mut other = spec();
    other.name = "another".to_owned();
    let second = world.ca.submission("ada", id, &other, &[]).await;
    let conflict = world.ca.post("ada", "/v1/jobs", &second).await;
    assert_eq!((conflict.status, conflict.rule().as_deref()), (StatusCode::CONFLICT, Some("REQ-004")));
    // Who has somebody else's request in hand learns nothing of the job by sending it again.
    let stranger = world.ca.post("eve", "/v1/jobs", &first).await;
    assert_eq!((stranger.status, stranger.rule().as_deref()), (StatusCode::CONFLICT, Some("REQ-004")));
}

#[tokio::test(start_paused = true)]
async fn a_refused_job_is_kept_with_every_reason() {
    let world = World::open().await;
    let mut poor = spec();
    poor.project = "nobodys".parse().unwrap();
    let job = world.ca.submit("ada", &poor).await.ok();
    assert_eq!(job["state"], "refused");
    let rules: Vec<_> = job["refusals"].as_array().unwrap().iter().map(|refusal| &refusal["rule"]).collect();
    assert!(rules.contains(&&json!("LED-002")), "{rules:?}");
    insta::assert_json_snapshot!("job_refused", blotted(&job["refusals"]));
}

#[tokio::test(start_paused = true)]
async fn the_dossier_shows_every_site_of_the_treaty() {
    let world = World::open().await;
    let job = world.ca.submit("ada", &spec()).await.ok();
    let why = world.ca.get("ada", &format!("/v1/jobs/{}/why", job["id"].as_str().unwrap())).await.ok();
    assert_eq!(why["candidates"].as_array().unwrap().len(), 3);
    insta::assert_json_snapshot!("dossier", blotted(&why));
}

#[tokio::test(start_paused = true)]
async fn jobs_are_listed_newest_first_page_by_page() {
    let world = World::open().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        ids.insert(0, world.ca.submit("ada", &spec()).await.ok()["id"].clone());
    }
    let page = world.ca.get("ada", "/v1/jobs?limit=2").await.ok();
    let listed = |page: &serde_json::Value| {
        page["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&page), ids[..2]);
    let rest = world
        .ca
        .get("ada", &format!("/v1/jobs?limit=2&before={}", page["next"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!((listed(&rest), &rest["next"]), (ids[2..].to_vec(), &json!(null)));
}

#[tokio::test(start_paused = true)]
async fn everybody_lists_their_own_jobs_and_overseers_all() {
    let world = World::open().await;
    world.ca.submit("ada", &spec()).await.ok();
    let count = |body: &serde_json::Value| body["jobs"].as_array().unwrap().len();
    assert_eq!(count(&world.ca.get("eve", "/v1/jobs").await.ok()), 0);
    assert_eq!(count(&world.ca.get("aud", "/v1/jobs").await.ok()), 0);
    assert_eq!(count(&world.ca.get("aud", "/v1/jobs?all=true").await.ok()), 1);
    assert_eq!(world.ca.get("eve", "/v1/jobs?all=true").await.rule().as_deref(), Some("AUT-002"));
    for query in ["limit=0", "limit=201", "limit=x", "before=x", "unknown=1"] {
        assert_eq!(
            world.ca.get("ada", &format!("/v1/jobs?{query}")).await.rule().as_deref(),
            Some("REQ-002"),
            "{query}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_job_is_cancelled_by_its_researcher_or_an_operator() {
    let world = World::open().await;
    world.run();
    let mut endless = spec();
    endless.command = vec!["wait".to_owned()];
    for person in ["ada", "otto"] {
        let id = world.ca.submit("ada", &endless).await.ok()["id"].as_str().unwrap().to_owned();
        world.ca.wait_for("ada", &id, "running").await;
        let answer = world.ca.post(person, &format!("/v1/jobs/{id}/cancel"), &json!({})).await;
        assert_eq!((answer.status, &answer.json()["cancel_asked"]), (StatusCode::ACCEPTED, &json!(true)));
        let job = world.ca.wait_for("ada", &id, "cancelled").await;
        assert_eq!(job["exit"]["kind"], "cancelled");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_host_is_away_says_what_it_waits_for() {
    let world = World::open().await;
    world.network.cut("node.de.example");
    world.run();
    let mut abroad = spec();
    abroad.sites_allowed = vec!["juelich".parse().unwrap()];
    let id = world.ca.submit("ada", &abroad).await.ok()["id"].as_str().unwrap().to_owned();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let job = world.ca.get("ada", &format!("/v1/jobs/{id}")).await.ok();
    assert_eq!(job["state"], "offered");
    let waiting_for = job["waiting_for"].as_str().unwrap();
    assert!(
        waiting_for.contains("node.de.example") && waiting_for.contains("the line is cut"),
        "{waiting_for}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_description_that_cannot_be_is_refused_at_the_door_with_its_field() {
    let world = World::open().await;
    let mut wrong = spec();
    wrong.cpu_cores = 0;
    let answer = world.ca.submit("ada", &wrong).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    insta::assert_json_snapshot!("spec_malformed", blotted(&answer.json()));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_no_site_runs_is_refused_by_each_of_them() {
    let world = World::open().await;
    world.run();
    let mut image = spec();
    image.image = "docker.io/library/python".to_owned();
    let id = world.ca.submit("ada", &image).await.ok()["id"].as_str().unwrap().to_owned();
    let job = world.ca.wait_for("ada", &id, "refused").await;
    let refusals = job["refusals"].as_array().unwrap();
    assert!(refusals.iter().all(|refusal| refusal["rule"] == "CAP-004"), "{refusals:?}");
    assert!(refusals.iter().any(|refusal| refusal["by"] == "ca"), "{refusals:?}");
    assert!(refusals.iter().any(|refusal| refusal["by"] == "de"), "{refusals:?}");
}
