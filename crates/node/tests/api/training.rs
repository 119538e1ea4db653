// SPDX-License-Identifier: Apache-2.0
//! Training runs: metered while they run, held where they pass a threshold, let go by a named person.

use http::StatusCode;
use serde_json::{Value, json};
use sta_node::store::{audit, gate_holds};
use sta_protocol::{
    class::Class,
    job::{InputFile, JobSpec},
};

use crate::harness::{TestNode, World, about_canadians, spec, training_of};

/// A run on two cores that says it adds 6 teraFLOP to a base of 60: a third of that is 20, which two cores at 100 gigaFLOP/s
/// have done in 100 s.
pub(super) fn training(site: &str, tokens: u64) -> JobSpec {
    let mut spec = spec();
    spec.command = vec!["wait".to_owned()];
    spec.outputs = Vec::new();
    spec.time_limit_s = 3600;
    spec.sites_allowed = vec![site.parse().unwrap()];
    spec.training = Some(training_of(tokens));
    spec
}

pub(super) async fn submitted(node: &TestNode, spec: &JobSpec) -> String {
    node.submit("ada", spec).await.ok()["id"].as_str().unwrap().to_owned()
}

/// The one open hold of a node, once there is one.
pub(super) async fn hold(node: &TestNode) -> Value {
    for _ in 0..6000 {
        let holds = node.get("safia", "/v1/holds").await.ok();
        if let Some(hold) = holds["holds"].get(0) {
            return hold.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("nothing is held");
}

fn entries(node: &TestNode, kind: &str, subject: &str) -> bool {
    node.node.store.read(|connection| audit::find_entry(connection, kind, subject)).unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_passes_a_third_of_its_base_is_held_while_it_runs_and_goes_on_when_a_named_person_says_so()
{
    let world = World::open().await;
    world.run();
    let job = submitted(&world.ca, &training("juelich", 1_000_000)).await;
    world.ca.wait_for("ada", &job, "running").await;
    assert_eq!(world.de.get("safia", "/v1/holds").await.ok()["holds"], json!([]));
    let began = tokio::time::Instant::now();
    let hold = hold(&world.de).await;
    let seconds = began.elapsed().as_secs();
    assert!((95..=110).contains(&seconds), "held after {seconds} s");
    assert_eq!(
        (&hold["job"], &hold["code"], &hold["verdict"]),
        (&json!(job), &json!("GATE-22"), &json!("HOLD"))
    );
    assert_eq!(hold["awaits"], json!(["safety"]));
    let run = sta_node::engines::RunId { job: job.parse().unwrap(), attempt: 1 };
    world.de.until("the engine has stopped it", |_| world.de.engine.is_suspended(run)).await;
    let (id, reason) =
        (hold["id"].as_str().unwrap(), json!({"reason": "We take over the provider's duties."}));
    // Neither a steward nor an empty reason releases it.
    let other = world.de.post("stella", &format!("/v1/holds/{id}/release"), &reason).await;
    assert_eq!((other.status, other.rule().as_deref()), (StatusCode::FORBIDDEN, Some("HLD-001")));
    let empty = world.de.post("safia", &format!("/v1/holds/{id}/release"), &json!({"reason": " "})).await;
    assert_eq!(empty.rule().as_deref(), Some("REQ-002"));
    let released = world.de.post("safia", &format!("/v1/holds/{id}/release"), &reason).await.ok();
    assert_eq!((&released["state"], &released["decisions"][0]["by"]), (&json!("released"), &json!("safia")));
    world.de.until("the engine lets it go on", |_| !world.de.engine.is_suspended(run)).await;
    for kind in ["job.suspended", "job.resumed", "hold.released"] {
        assert!(entries(&world.de, kind, &job), "{kind} is not in the log");
    }
    // It passed that threshold once and for all, and stays held no second time.
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    assert_eq!(world.de.get("safia", "/v1/holds").await.ok()["holds"], json!([]));
    let again = world.de.post("safia", &format!("/v1/holds/{id}/release"), &reason).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_declares_more_than_a_third_of_its_base_does_not_begin_before_it_is_released() {
    let world = World::open().await;
    world.run();
    let job = submitted(&world.ca, &training("juelich", 4_000_000)).await;
    let hold = hold(&world.de).await;
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(world.de.engine.taken(), [], "it began");
    let path = format!("/v1/holds/{}/release", hold["id"].as_str().unwrap());
    world.de.post("safia", &path, &json!({"reason": "Planned and agreed."})).await.ok();
    world.ca.wait_for("ada", &job, "running").await;
}

#[tokio::test(start_paused = true)]
async fn who_lets_a_purpose_pass_lets_no_threshold_pass() {
    let world = World::open().await;
    world.run();
    let mut spec = training("quebec-hydro", 4_000_000);
    spec.purpose = "astrology".to_owned();
    let sha256 = world.ca.upload("ada", b"a letter").await;
    spec.inputs = vec![InputFile { name: "letter".to_owned(), sha256, bytes: 8, class: Class::Personal }];
    spec.inputs_about = Some(about_canadians());
    let job = submitted(&world.ca, &spec).await;
    hold(&world.ca).await;
    let holds = world.ca.get("safia", "/v1/holds").await.ok();
    let id_of = |code: &str| {
        let holds = holds["holds"].as_array().unwrap();
        let found = holds.iter().find(|hold| hold["code"] == code).unwrap_or_else(|| panic!("{holds:?}"));
        found["id"].as_str().unwrap().to_owned()
    };
    let (purpose, threshold) = (id_of("GATE-01"), id_of("GATE-01,GATE-22"));
    let passes_a_third = || {
        let id = job.parse().unwrap();
        let training = world.ca.node.store.read(|connection| gate_holds::training(connection, id)).unwrap();
        training.unwrap().released_beyond_third
    };
    for (hold, person, passes) in
        [(&purpose, "stella", false), (&threshold, "stella", false), (&threshold, "safia", true)]
    {
        let path = format!("/v1/holds/{hold}/release");
        world.ca.post(person, &path, &json!({"reason": "Looked at with its researcher."})).await.ok();
        assert_eq!(passes_a_third(), passes, "{person} let {hold} go");
    }
    world.ca.wait_for("ada", &job, "running").await;
}

#[tokio::test(start_paused = true)]
async fn a_denied_run_ends_whether_it_runs_or_waits() {
    let world = World::open().await;
    world.run();
    for tokens in [1_000_000, 4_000_000] {
        let job = submitted(&world.ca, &training("juelich", tokens)).await;
        let hold = hold(&world.de).await;
        let path = format!("/v1/holds/{}/deny", hold["id"].as_str().unwrap());
        let denied =
            world.de.post("safia", &path, &json!({"reason": "Nobody will answer for it."})).await.ok();
        assert_eq!(denied["state"], "denied");
        world.ca.wait_for("ada", &job, "cancelled").await;
        assert!(entries(&world.de, "hold.denied", &job));
    }
}

#[tokio::test(start_paused = true)]
async fn a_prohibited_purpose_is_refused_outright_and_leaves_nothing_to_release() {
    let world = World::open().await;
    world.run();
    let mut spec = training("juelich", 1_000_000);
    spec.purpose = "social-scoring".to_owned();
    let job = submitted(&world.ca, &spec).await;
    let refused = world.ca.wait_for("ada", &job, "refused").await;
    let rules: Vec<&str> = refused["refusals"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|refusal| refusal["rule"].as_str())
        .collect();
    assert!(rules.contains(&"EU-05"), "{rules:?}");
    assert_eq!(world.de.get("safia", "/v1/holds").await.ok()["holds"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn why_a_job_is_held_is_told_in_the_language_of_who_asks() {
    let world = World::open().await;
    world.run();
    submitted(&world.ca, &training("juelich", 4_000_000)).await;
    let id = hold(&world.de).await["id"].as_str().unwrap().to_owned();
    for (language, words) in [("en", "a third"), ("fr", "un tiers"), ("de", "ein Drittel")] {
        let answer =
            world.de.get_with("safia", &format!("/v1/holds/{id}"), ("accept-language", language)).await;
        let text = answer.ok()["reasons"][0]["text"].as_str().unwrap().to_owned();
        assert!(text.contains(words), "{text}");
        let body = json!({"reason": "because"});
        let refused = world.de.post_in("stella", &format!("/v1/holds/{id}/release"), &body, language).await;
        insta::assert_snapshot!(
            format!("hold_waits_for_others_{language}"),
            refused.json()["detail"].as_str().unwrap().replace(&id, "[id]")
        );
    }
}
