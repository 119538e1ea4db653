// SPDX-License-Identifier: Apache-2.0
//! Attempts: a job that its site fails is tried again as often as it says; what it fails by itself is not.

use serde_json::{Value, json};
use sta_node::store::{hosted, ledger};
use sta_protocol::{ids::JobId, job::JobSpec};

use crate::harness::{TestNode, World, spec};

/// A job for Germany that its site fails `times` times.
fn breaking(times: u32, attempts_max: u32) -> JobSpec {
    let mut spec = spec();
    spec.command = vec!["break".to_owned(), times.to_string()];
    spec.attempts_max = attempts_max;
    spec.sites_allowed = vec!["juelich".parse().unwrap()];
    spec
}

async fn submitted(node: &TestNode, spec: &JobSpec) -> String {
    node.submit("ada", spec).await.ok()["id"].as_str().unwrap().to_owned()
}

fn kinds(job: &Value) -> Vec<&str> {
    job["attempts"].as_array().unwrap().iter().map(|ended| ended["exit"]["kind"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_its_site_fails_is_tried_again_and_each_attempt_has_its_receipt() {
    let world = World::open().await;
    world.run();
    let id = submitted(&world.ca, &breaking(2, 3)).await;
    let job = world.ca.wait_for("ada", &id, "completed").await;
    assert_eq!((kinds(&job), &job["attempt"]), (vec!["site_fault", "site_fault", "code"], &json!(3)));
    let at = |number: usize, field: &str| -> jiff::Timestamp {
        job["attempts"][number][field].as_str().unwrap().parse().unwrap()
    };
    let pauses = [1, 2].map(|number| at(number, "started_at").duration_since(at(number - 1, "ended_at")));
    assert!(pauses[0].as_secs() >= 5 && pauses[1].as_secs() >= 10, "{pauses:?}");
    let job: JobId = id.parse().unwrap();
    let receipts_of =
        |node: &TestNode| node.node.store.read(|connection| ledger::receipts_of(connection, job)).unwrap();
    let receipts = receipts_of(&world.ca);
    assert_eq!(receipts, receipts_of(&world.de), "both members keep the same");
    for (attempt, receipt) in (1..).zip(&receipts) {
        let path = format!("/v1/jobs/{id}/receipt?attempt={attempt}");
        assert_eq!(world.ca.get("ada", &path).await.ok()["receipt"], receipt.as_str(), "attempt {attempt}");
    }
    let none = world.ca.get("ada", &format!("/v1/jobs/{id}/receipt?attempt=4")).await;
    assert_eq!(none.status, http::StatusCode::NOT_FOUND);
    let read = |number: usize| receipts[number].peek_unverified().unwrap();
    let of = |number: usize| (read(number).attempt, read(number).goes_on, read(number).price_micro == 0);
    assert_eq!([of(0), of(1), of(2)], [(1, true, true), (2, true, true), (3, false, false)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_ends_the_job_also_when_its_site_fails_it() {
    let world = World::open().await;
    world.run();
    let id = submitted(&world.ca, &breaking(9, 2)).await;
    let job = world.ca.wait_for("ada", &id, "failed").await;
    assert_eq!(kinds(&job), ["site_fault", "site_fault"]);
    assert_eq!(job["price_micro"], 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_job_fails_by_itself_is_not_tried_again() {
    let world = World::open().await;
    world.run();
    let mut failing = breaking(0, 3);
    failing.command = vec!["fail".to_owned(), "3".to_owned()];
    let id = submitted(&world.ca, &failing).await;
    let job = world.ca.wait_for("ada", &id, "failed").await;
    assert_eq!((kinds(&job), &job["exit_code"]), (vec!["code"], &json!(3)));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_its_site_can_never_run_is_not_tried_again() {
    let world = World::open().await;
    world.run();
    let mut never = breaking(0, 3);
    never.command = vec!["never".to_owned()];
    let id = submitted(&world.ca, &never).await;
    let job = world.ca.wait_for("ada", &id, "failed").await;
    assert_eq!(kinds(&job), ["site_fault"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_between_two_attempts_can_be_cancelled() {
    let world = World::open().await;
    world.run();
    let id = submitted(&world.ca, &breaking(9, 9)).await;
    let job: JobId = id.parse().unwrap();
    let attempt_of = |node: &sta_node::node::Node| {
        let hosted = node.store.read(|connection| hosted::find(connection, job)).unwrap();
        hosted.map_or(0, |hosted| hosted.attempt)
    };
    world.de.until("the second attempt is waited for", |node| attempt_of(node) == 2).await;
    world.ca.post("ada", &format!("/v1/jobs/{id}/cancel"), &json!({})).await.ok();
    let job = world.ca.wait_for("ada", &id, "cancelled").await;
    assert_eq!(kinds(&job), ["site_fault", "cancelled"]);
    let taken = world.de.engine.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
}
