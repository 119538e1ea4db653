// SPDX-License-Identifier: Apache-2.0
//! Jobs that wait for other jobs of their project.

use http::StatusCode;
use serde_json::{Value, json};
use sta_node::steps::registry;
use sta_protocol::job::JobSpec;

use crate::harness::{World, spec};

fn after(job: &Value) -> JobSpec {
    let mut spec = spec();
    spec.name = "after".to_owned();
    spec.after = vec![job["id"].as_str().unwrap().parse().unwrap()];
    spec
}

fn endless() -> JobSpec {
    let mut spec = spec();
    spec.command = vec!["wait".to_owned()];
    spec.outputs = Vec::new();
    spec
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_job_is_offered_when_the_one_before_it_has_completed() {
    let world = World::open().await;
    let first = world.ca.submit("ada", &spec()).await.ok();
    let second = world.ca.submit("ada", &after(&first)).await.ok();
    assert_eq!((&second["state"], &second["host"]), (&json!("waiting"), &json!(null)));
    assert_eq!(second["waiting_for"], format!("end of {}", id(&first)));
    let why = world.ca.get("ada", &format!("/v1/jobs/{}/why", id(&second))).await.ok();
    assert_eq!(why["candidates"], json!([]));
    let project = &world.ca.get("otto", "/v1/projects").await.ok()["projects"][0];
    let pending = project["pending_micro"].as_i64().unwrap();
    world.run();
    let first = world.ca.wait_for("ada", id(&first), "completed").await;
    let second = world.ca.wait_for("ada", id(&second), "completed").await;
    let ended = |job: &Value| job["ended_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(ended(&first) <= ended(&second));
    let project = &world.ca.get("otto", "/v1/projects").await.ok()["projects"][0];
    assert!(pending > 0 && project["pending_micro"] == 0, "{project}");
}

#[tokio::test(start_paused = true)]
async fn a_job_after_completed_ones_goes_on_at_once() {
    let world = World::open().await;
    world.run();
    let first = world.ca.finished("ada", &spec()).await;
    world.ca.finished("ada", &after(&first)).await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_ends_with_the_first_that_does_not_complete_and_each_names_the_one_before_it() {
    let world = World::open().await;
    world.run();
    let first = world.ca.submit("ada", &endless()).await.ok();
    let second = world.ca.submit("ada", &after(&first)).await.ok();
    let third = world.ca.submit("ada", &after(&second)).await.ok();
    world.ca.wait_for("ada", id(&first), "running").await;
    world.ca.post("ada", &format!("/v1/jobs/{}/cancel", id(&first)), &json!({})).await.ok();
    for (job, before, state) in [(&second, &first, "cancelled"), (&third, &second, "refused")] {
        let refused = world.ca.wait_for("ada", id(job), "refused").await;
        let refusal = &refused["refusals"][0];
        assert_eq!(refusal["rule"], "DEP-001");
        assert_eq!(refusal["facts"], json!({"after": id(before), "state": state}));
    }
    // Also one that comes when the other has ended.
    let late = world.ca.submit("ada", &after(&first)).await.ok();
    world.ca.wait_for("ada", id(&late), "refused").await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_job_is_cancelled_at_once_and_never_offered() {
    let world = World::open().await;
    world.run();
    let first = world.ca.submit("ada", &endless()).await.ok();
    let second = world.ca.submit("ada", &after(&first)).await.ok();
    let answer = world.ca.post("ada", &format!("/v1/jobs/{}/cancel", id(&second)), &json!({})).await;
    assert_eq!(answer.json()["state"], "cancelled");
    world.ca.wait_for("ada", id(&first), "running").await;
    world.ca.post("ada", &format!("/v1/jobs/{}/cancel", id(&first)), &json!({})).await.ok();
    world.ca.wait_for("ada", id(&first), "cancelled").await;
    let second = world.ca.get("ada", &format!("/v1/jobs/{}", id(&second))).await.ok();
    assert_eq!((&second["state"], &second["host"]), (&json!("cancelled"), &json!(null)));
}

#[tokio::test(start_paused = true)]
async fn only_known_jobs_of_the_same_project_can_be_waited_for() {
    let world = World::open().await;
    let first = world.ca.submit("ada", &spec()).await.ok();
    let mut unknown = after(&first);
    unknown.after = vec![world.ca.job_id()];
    let people = vec!["ada".parse().unwrap()];
    registry::put_project(&world.ca.node, "others".parse().unwrap(), 1_000_000, people).await.unwrap();
    let mut elsewhere = after(&first);
    elsewhere.project = "others".parse().unwrap();
    for wrong in [unknown, elsewhere] {
        let answer = world.ca.submit("ada", &wrong).await;
        assert_eq!(
            (answer.status, answer.rule().as_deref()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("DEP-002"))
        );
    }
    // Who is not in the project does not wait in its line.
    let stranger = world.ca.submit("eve", &after(&first)).await.ok();
    assert_eq!(
        (&stranger["state"], &stranger["refusals"][0]["rule"]),
        (&json!("refused"), &json!("LED-002"))
    );
}
