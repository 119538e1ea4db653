// SPDX-License-Identifier: Apache-2.0
//! Suspended jobs: held at the host for recorded reasons, told to home, released one reason at a time.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};
use sta_node::{
    node::Node,
    steps::hold,
    store::{audit, hosted},
};
use sta_protocol::{ids::JobId, job::JobSpec};

use crate::harness::{TestNode, World, spec};

/// A job for Germany that runs until it is cancelled.
fn endless() -> JobSpec {
    let mut spec = spec();
    spec.command = vec!["wait".to_owned()];
    spec.sites_allowed = vec!["juelich".parse().unwrap()];
    spec
}

async fn submitted(node: &TestNode, spec: &JobSpec) -> JobId {
    node.submit("ada", spec).await.ok()["id"].as_str().unwrap().parse().unwrap()
}

async fn at_home(home: &TestNode, job: JobId) -> Value {
    home.get("ada", &format!("/v1/jobs/{job}")).await.ok()
}

/// Waits until home's document of the job is as wanted.
async fn home_says(home: &TestNode, job: JobId, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1200 {
        let document = at_home(home, job).await;
        if wanted(&document) {
            return document;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("home never said so: {}", at_home(home, job).await);
}

fn entry(node: &Node, kind: &str, job: JobId) -> bool {
    node.store.read(|connection| audit::find_entry(connection, kind, &job.to_string())).unwrap().is_some()
}

fn open_reasons(document: &Value) -> BTreeSet<&str> {
    let holds = document["holds"].as_array().map_or(&[][..], Vec::as_slice);
    let open = holds.iter().filter(|hold| hold.get("released_at").is_none());
    open.map(|hold| hold["reason"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_running_job_stands_still_until_every_reason_is_released_and_home_knows_why() {
    let world = World::open().await;
    world.run();
    let job = submitted(&world.ca, &endless()).await;
    world.ca.wait_for("ada", &job.to_string(), "running").await;
    let run = world.de.engine.taken()[0];
    for (reason, changed) in [("STOP-ORDER", true), ("STOP-ORDER", false), ("G2-1e25", true)] {
        let held = hold::suspend_job(&world.de.node, job, reason, json!({"order": "abc"})).await.unwrap();
        assert_eq!(held.changed, changed, "{reason}");
    }
    world.de.until("the engine stopped it", |_| world.de.engine.is_suspended(run)).await;
    let told = home_says(&world.ca, job, |document| {
        let confirmed = |hold: &Value| hold.get("confirmed_at").is_some();
        open_reasons(document).len() == 2 && document["holds"].as_array().unwrap().iter().all(confirmed)
    });
    let told = told.await;
    assert_eq!(open_reasons(&told), ["G2-1e25", "STOP-ORDER"].into());
    assert_eq!(
        (&told["state"], &told["waiting_for"]),
        (&json!("running"), &json!("release of STOP-ORDER, G2-1e25"))
    );
    let hosted = world.de.get("otto", &format!("/v1/hosted/{job}")).await.ok();
    assert_eq!(open_reasons(&hosted).len(), 2);
    assert!(["job.suspended", "job.stands-still"].iter().all(|kind| entry(&world.de.node, kind, job)));

    let first = hold::resume_job(&world.de.node, job, "G2-1e25", "stella", Value::Null).await.unwrap();
    assert!(first.changed);
    let told = home_says(&world.ca, job, |document| open_reasons(document).len() == 1).await;
    assert_eq!(told["holds"][1]["released_by"], "stella");
    let kept = world.de.node.store.read(|connection| hosted::find(connection, job)).unwrap().unwrap();
    assert!(kept.held && world.de.engine.is_suspended(run), "one reason is left");
    assert!(
        hold::resume_job(&world.de.node, job, "STOP-ORDER", "stella", Value::Null).await.unwrap().changed
    );
    world.de.until("it goes on", |_| !world.de.engine.is_suspended(run)).await;
    home_says(&world.ca, job, |document| open_reasons(document).is_empty()).await;
    assert!(entry(&world.de.node, "job.resumed", job));
    assert!(
        !hold::resume_job(&world.de.node, job, "STOP-ORDER", "stella", Value::Null).await.unwrap().changed
    );
}

#[tokio::test(start_paused = true)]
async fn a_suspended_job_is_cancelled_like_any_other() {
    let world = World::open().await;
    world.run();
    let job = submitted(&world.ca, &endless()).await;
    world.ca.wait_for("ada", &job.to_string(), "running").await;
    hold::suspend_job(&world.de.node, job, "STOP-ORDER", Value::Null).await.unwrap();
    let answer = world.ca.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let ended = world.ca.wait_for("ada", &job.to_string(), "cancelled").await;
    assert_eq!(ended["exit"]["kind"], "cancelled");
    let late = hold::suspend_job(&world.de.node, job, "G2-1e25", Value::Null).await.unwrap();
    assert!(!late.changed, "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_job_suspended_while_it_waits_for_room_does_not_start_and_lets_others_pass() {
    let world = World::open().await;
    world.run();
    let whole = |mut spec: JobSpec| {
        let (site, _) = world.de.node.own_site(&"juelich".parse().unwrap()).unwrap();
        spec.cpu_cores = site.resources.cpu_cores;
        spec
    };
    // Of the site's own member, who alone may fill it.
    let first = submitted(&world.de, &whole(endless())).await;
    world.de.wait_for("ada", &first.to_string(), "running").await;
    let mut short = whole(endless());
    short.command = vec!["leave".to_owned(), "x".to_owned()];
    let held = submitted(&world.de, &short).await;
    world.de.wait_for("ada", &held.to_string(), "admitted").await;
    hold::suspend_job(&world.de.node, held, "G1-EU-05", Value::Null).await.unwrap();
    let told = home_says(&world.de, held, |document| !open_reasons(document).is_empty()).await;
    assert!(told["holds"][0].get("confirmed_at").is_some(), "nothing of it runs: {told}");
    let other = submitted(&world.de, &short).await;
    world.de.post("ada", &format!("/v1/jobs/{first}/cancel"), &json!({})).await;
    world.de.wait_for("ada", &other.to_string(), "completed").await;
    assert_eq!(at_home(&world.de, held).await["state"], "admitted");
    assert!(world.de.engine.taken().iter().all(|run| run.job != held));
    hold::resume_job(&world.de.node, held, "G1-EU-05", "otto", Value::Null).await.unwrap();
    world.de.wait_for("ada", &held.to_string(), "completed").await;
}
