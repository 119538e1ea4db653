// SPDX-License-Identifier: Apache-2.0
//! How members stand: what was given and taken, and what a job would have done without the others.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use sta_protocol::job::JobSpec;

use crate::harness::{TestNode, World, ms, spec};

/// A job of four cores for Jülich that runs until it is cancelled.
fn endless() -> JobSpec {
    JobSpec {
        command: vec!["wait".to_owned()],
        cpu_cores: 4,
        sites_allowed: vec!["juelich".parse().unwrap()],
        ..spec()
    }
}

async fn ran(node: &TestNode, spec: &JobSpec) -> String {
    let job = node.submit("ada", spec).await.ok()["id"].as_str().unwrap().to_owned();
    node.wait_for("ada", &job, "running").await;
    node.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await.ok();
    node.wait_for("ada", &job, "cancelled").await;
    job
}

fn of<'a>(standing: &'a Value, kind: &str, member: &str) -> &'a Value {
    let balances = standing["balances"].as_array().unwrap();
    let balance = balances.iter().find(|balance| balance["processors"] == kind).unwrap();
    balance["members"].as_array().unwrap().iter().find(|one| one["member"] == member).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_a_job_had_abroad_is_taken_there_and_given_here_on_both_sides_alike() {
    let world = World::open().await;
    world.run();
    let job = world.ca.submit("ada", &endless()).await.ok()["id"].as_str().unwrap().to_owned();
    world.ca.wait_for("ada", &job, "running").await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    let running = world.ca.get("otto", "/v1/standing").await.ok();
    let taken_ms = of(&running, "cores", "ca")["taken_ms"].as_u64().unwrap();
    assert!((400_000..440_000).contains(&taken_ms), "four cores for a hundred seconds so far: {running}");
    ran(&world.ca, &endless()).await;
    ran(&world.de, &endless()).await;
    let [home, host] =
        [world.ca.get("otto", "/v1/standing").await.ok(), world.de.get("aud", "/v1/standing").await.ok()];
    assert_eq!(of(&home, "cores", "ca")["taken_ms"], of(&host, "cores", "ca")["taken_ms"]);
    assert_eq!(of(&home, "cores", "ca")["taken_ms"], of(&home, "cores", "de")["given_ms"]);
    assert_eq!(of(&host, "cores", "de")["given_ms"], of(&home, "cores", "de")["given_ms"]);
    assert_eq!(
        (&of(&home, "cores", "ca")["jobs"], &of(&host, "cores", "de")["jobs"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (&of(&home, "cores", "ca")["violations"], of(&home, "cores", "de").get("violations")),
        (&json!(0), Some(&json!(null)))
    );
    assert_eq!(of(&home, "accelerators", "ca")["jobs"], 0);
    let with_jobs = world.ca.get("otto", "/v1/standing?jobs=true").await.ok();
    assert_eq!((with_jobs["jobs"].as_array().unwrap().len(), home.get("jobs")), (2, None));
}

#[tokio::test(start_paused = true)]
async fn a_job_shows_its_end_alone_beside_its_real_one() {
    let world = World::open().await;
    world.run();
    let job = ran(&world.ca, &endless()).await;
    let shown = world.ca.get("ada", &format!("/v1/jobs/{job}/standing")).await.ok();
    assert_eq!(
        (&shown["home_site"], &shown["processors"], &shown["kind"]),
        (&json!("quebec-hydro"), &json!(4), &json!("cores"))
    );
    let at = |field: &str| -> jiff::Timestamp { shown[field].as_str().unwrap().parse().unwrap() };
    let run_ms = i64::try_from(shown["run_ms"].as_u64().unwrap()).unwrap();
    assert_eq!(at("alone_finished_at").duration_since(at("alone_began_at")).as_millis(), i128::from(run_ms));
    assert_eq!(at("alone_began_at"), at("submitted_at"), "its home was empty");
    assert_eq!(shown["is_late"], false, "it may be later by what bringing its files in takes");
    let others = world.ca.get("eve", &format!("/v1/jobs/{job}/standing")).await;
    assert_eq!(others.status, StatusCode::NOT_FOUND, "{}", others.text());
}

#[tokio::test(start_paused = true)]
async fn a_refused_job_has_no_standing() {
    let world = World::open().await;
    world.run();
    let refused = JobSpec { purpose: "social-scoring".to_owned(), ..endless() };
    let job = world.ca.submit("ada", &refused).await.ok();
    assert_eq!(job["state"], "refused");
    let path = format!("/v1/jobs/{}/standing", job["id"].as_str().unwrap());
    assert_eq!(world.ca.get("ada", &path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn every_job_finishes_alone_when_a_replay_of_the_same_events_says_so() {
    let world = World::open().await;
    world.run();
    // Twenty-one jobs of four cores each, nine of them abroad, and sixty-four cores at home: alone, five of them would have waited.
    let mut under_way = Vec::new();
    for number in 0..21 {
        let site = if number < 9 { "juelich" } else { "quebec-hydro" };
        let spec = JobSpec { sites_allowed: vec![site.parse().unwrap()], ..endless() };
        let job = world.ca.submit("ada", &spec).await.ok()["id"].as_str().unwrap().to_owned();
        world.ca.wait_for("ada", &job, "running").await;
        tokio::time::sleep(Duration::from_millis(1700 + 300 * number)).await;
        under_way.push(job);
    }
    for job in under_way {
        world.ca.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await.ok();
        world.ca.wait_for("ada", &job, "cancelled").await;
        tokio::time::sleep(Duration::from_secs(7)).await;
    }
    // Those that would have waited would have finished later than they did.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let shown = world.ca.stands_as_replayed().await;
    let waited = |job: &&Value| ms(job, "alone_began_at") > ms(job, "submitted_at");
    assert_eq!((shown.len(), shown.iter().filter(waited).count()), (21, 5));
    assert!(world.ca.stands_as_beside(&world.de).await > 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_clock_is_behind_gives_as_long_as_the_other_side_takes() {
    let world = World::open().await;
    world.run();
    let job = ran(&world.ca, &endless()).await;
    let store = rusqlite::Connection::open(world.ca.node.config.directory.join("node.sqlite")).unwrap();
    let behind = "UPDATE spans SET begin_at = begin_at - 5000, end_at = end_at - 5000";
    assert_eq!(store.execute(behind, []).unwrap(), 1);
    let shown = world.ca.get("ada", &format!("/v1/jobs/{job}/standing")).await.ok();
    assert_eq!(shown["alone_began_at"], shown["submitted_at"]);
    assert_eq!(shown["spans"][0]["began_at"], shown["submitted_at"], "nothing runs before it was submitted");
    assert!(world.ca.stands_as_beside(&world.de).await > 0);
    world.ca.stands_as_replayed().await;
}
