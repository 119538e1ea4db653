// SPDX-License-Identifier: Apache-2.0
//! The gate for jobs, G1: a purpose of a closed list, asked about at home and again at the host; refusals in three languages,
//! holds that a named person releases, and the log from which every answer follows again.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use sta_decide::settle::price_micro_max;
use sta_protocol::{
    class::Class,
    federation::{DatasetRecord, Offer},
    ids::{JobId, OfferId},
    job::{InputFile, JobSpec},
    jws::Signed,
    purpose::Purpose,
};

use super::{
    gates::{records as logged, replay},
    training::{hold, submitted},
};
use crate::harness::{TestNode, World, about_canadians, spec};

/// A job with such a purpose, at one site.
fn job_for(purpose: &str, site: &str) -> JobSpec {
    JobSpec { purpose: purpose.to_owned(), sites_allowed: vec![site.parse().unwrap()], ..spec() }
}

/// The same with a file that only its project may read, so that its data is not open.
async fn with_a_personal_file(node: &TestNode, mut spec: JobSpec) -> JobSpec {
    let sha256 = node.upload("ada", b"a letter").await;
    spec.inputs = vec![InputFile { name: "letter".to_owned(), sha256, bytes: 8, class: Class::Personal }];
    spec.inputs_about = Some(about_canadians());
    spec
}

/// The decisions of the gate for jobs about one job in a node's log, the oldest first.
fn screened(node: &TestNode, job: &str) -> Vec<Value> {
    let records =
        logged(node).into_iter().filter(|(kind, _)| kind == "gate.decided").map(|(_, record)| record);
    records.filter(|record| record["gate"] == "screen" && record["subject"]["job"] == job).collect()
}

fn rules(job: &Value) -> Vec<&str> {
    job["refusals"].as_array().unwrap().iter().filter_map(|refusal| refusal["rule"].as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_prohibited_purpose_is_refused_at_home_with_rule_article_fact_and_advice_in_each_language() {
    let world = World::open().await;
    let job = submitted(&world.ca, &job_for("social-scoring", "juelich")).await;
    let path = format!("/v1/jobs/{job}");
    for language in ["en", "fr", "de"] {
        let refused = world.ca.get_with("ada", &path, ("accept-language", language)).await.ok();
        assert_eq!(refused["state"], "refused");
        let reasons = refused["refusals"].as_array().unwrap();
        let reason = reasons.iter().find(|reason| reason["rule"] == "EU-05").unwrap();
        assert_eq!(reason["facts"]["intent.purpose"], "social-scoring");
        assert_eq!(reason["source"], "Regulation (EU) 2024/1689, Art. 5(1)(a) to (h)");
        let told =
            format!("{}\n{}", reason["sentence"].as_str().unwrap(), reason["advice"].as_str().unwrap());
        insta::assert_snapshot!(format!("prohibited_purpose_{language}"), told);
    }
    // Nothing was offered, and the answer is in home's log, from which it follows again.
    assert_eq!(world.de.engine.taken(), []);
    assert_eq!(screened(&world.ca, &job)[0]["answer"]["verdict"], "DENY");
    replay(&logged(&world.ca)).unwrap();
}

/// What the host says to an offer that home makes without having asked its own gate.
pub(super) async fn offered_past_the_gate(
    home: &TestNode,
    host: &TestNode,
    spec: JobSpec,
    datasets: Vec<Signed<DatasetRecord>>,
    visas: &[String],
) -> (JobId, Value) {
    let job = home.job_id();
    (job, offered_as(home, host, (job, 1), spec, datasets, visas).await)
}

/// The same of a job with this id, whose next attempt this is.
pub(super) async fn offered_as(
    home: &TestNode,
    host: &TestNode,
    (job, attempt): (JobId, u32),
    spec: JobSpec,
    datasets: Vec<Signed<DatasetRecord>>,
    visas: &[String],
) -> Value {
    let submission = home.submission("ada", job, &spec, visas).await;
    let site = home.node.treaty.site(&spec.sites_allowed[0]).unwrap();
    let now = home.node.outside.now();
    let text = |name: &str| submission[name].as_str().unwrap().to_owned();
    let offer = Offer {
        version: Offer::version_of(attempt),
        offer: OfferId::new(home.node.outside.now_ms(), home.node.outside.random()),
        job,
        home: home.id(),
        host: host.id(),
        site: site.id.clone(),
        price_micro_max: price_micro_max(&site.tariff, &spec),
        spec,
        researcher: "ada".parse().unwrap(),
        passport: text("passport"),
        holder_proof: text("holder_proof"),
        datasets,
        allocation_reserved: true,
        treaty: home.node.treaty_digest(),
        offered_at: now,
        expires_at: now + std::time::Duration::from_secs(600),
        attempt,
        faultless: 0,
        saved: None,
    };
    let signed = Signed::sign(&offer, &home.node.keys.signing).unwrap();
    let mut signing = home.signing(host, Method::POST, "/federation/v1/offers").json(&json!(signed));
    signing.idempotency_key = uuid::Uuid::from_bytes(*offer.offer.as_bytes());
    host.answer(&signing).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_home_that_skips_the_gate_is_refused_by_the_host() {
    let world = World::open().await;
    let (ca, de) = (&world.ca, &world.de);
    let spec = job_for("social-scoring", "juelich");
    let (job, answer) = offered_past_the_gate(ca, de, spec, Vec::new(), &[]).await;
    assert_eq!((&answer["refused"][0]["rule"], &answer["refused"][0]["by"]), (&json!("EU-05"), &json!("de")));
    let said = screened(de, &job.to_string());
    assert_eq!((said.len(), &said[0]["answer"]["verdict"]), (1, &json!("DENY")));
    replay(&logged(de)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_purpose_nobody_has_listed_stands_still_at_the_host_until_a_steward_lets_it_go() {
    let world = World::open().await;
    world.run();
    let spec = with_a_personal_file(&world.ca, job_for("astrology", "quebec-hydro")).await;
    let job = submitted(&world.ca, &spec).await;
    let held = hold(&world.ca).await;
    assert_eq!((&held["code"], &held["awaits"]), (&json!("GATE-01"), &json!(["steward"])));
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(world.ca.engine.taken(), [], "it began");
    let path = format!("/v1/holds/{}/release", held["id"].as_str().unwrap());
    let reason = json!({"reason": "Looked at with its researcher."});
    let others = world.ca.post("safia", &path, &reason).await;
    assert_eq!((others.status, others.rule().as_deref()), (StatusCode::FORBIDDEN, Some("HLD-001")));
    world.ca.post("stella", &path, &reason).await.ok();
    world.ca.wait_for("ada", &job, "completed").await;
    // Home asked before it offered, the host before it admitted.
    assert_eq!(screened(&world.ca, &job).len(), 2);
    replay(&logged(&world.ca)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_class_of_the_list_or_open_data_is_all_that_such_a_job_needs() {
    let world = World::open().await;
    world.run();
    let open = submitted(&world.ca, &job_for("astrology", "quebec-hydro")).await;
    world.ca.wait_for("ada", &open, "completed").await;
    let mut listed = with_a_personal_file(&world.ca, job_for("astrology", "quebec-hydro")).await;
    listed.purpose_class = Some(Purpose::Commercial);
    let listed = submitted(&world.ca, &listed).await;
    world.ca.wait_for("ada", &listed, "completed").await;
    assert_eq!(world.ca.get("safia", "/v1/holds?all=true").await.ok()["holds"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_claimed_exception_is_for_a_lawyer_to_decide_and_a_class_never_hides_what_the_law_names() {
    let world = World::open().await;
    world.run();
    let mut spec = job_for("emotion-at-work-or-school", "juelich");
    spec.exception_claimed = true;
    let job = submitted(&world.ca, &spec).await;
    let held = hold(&world.de).await;
    assert_eq!((&held["job"], &held["code"]), (&json!(job), &json!("EU-05-exception")));
    assert_eq!(held["awaits"], json!(["legal"]));
    // Nothing says yes in the lawyer's place.
    let path = format!("/v1/holds/{}/release", held["id"].as_str().unwrap());
    let refused = world.de.post("stella", &path, &json!({"reason": "I think so."})).await;
    assert_eq!(refused.rule().as_deref(), Some("HLD-001"));
    spec.purpose_class = Some(Purpose::Research);
    let refused = world.ca.submit("ada", &spec).await;
    assert_eq!((refused.status, refused.rule().as_deref()), (StatusCode::BAD_REQUEST, Some("REQ-002")));
    assert_eq!(refused.json()["reasons"][0]["facts"]["field"], "purpose_class");
}

#[tokio::test(start_paused = true)]
async fn what_a_permit_of_the_rules_about_jobs_does_not_cover_the_gate_is_not_even_asked_about() {
    let world = World::open().await;
    let mut spec = job_for("research", "juelich");
    spec.network = true;
    spec.sites_allowed = vec!["frankfurt-cloud".parse().unwrap()];
    let spec = with_a_personal_file(&world.ca, spec).await;
    let job = submitted(&world.ca, &spec).await;
    let refused = world.ca.get("ada", &format!("/v1/jobs/{job}")).await.ok();
    assert!(rules(&refused).contains(&"SOV-004"), "{refused}");
    assert!(screened(&world.ca, &job).is_empty());
}
