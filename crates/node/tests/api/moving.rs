// SPDX-License-Identifier: Apache-2.0
//! The gate for data, G1: what the law on personal data asks before a dataset, or files that a researcher brings, are processed
//! at a site; asked at home, at the host and by who holds the data.

use serde_json::{Value, json};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    federation::DatasetRecord,
    job::{InputFile, JobSpec},
    jws::Signed,
    treaty::{TransferGround, Treaty},
};

use super::{
    admission::offered_past_the_gate,
    gates::{records as logged, replay},
    incidents::lawyer,
    training::{hold, submitted},
};
use crate::harness::{TestNode, World, about_canadians, holder, spec};

/// A job over datasets at one site.
fn job_over(dataset: &str, site: &str) -> JobSpec {
    JobSpec {
        purpose: "research".to_owned(),
        datasets: vec![dataset.parse().unwrap()],
        sites_allowed: vec![site.parse().unwrap()],
        ..spec()
    }
}

fn document(of: &str) -> Value {
    json!({"sha256": Sha256Digest::of(of.as_bytes()), "dated": "2026-02-02"})
}

/// A document that holds at a site.
fn at(site: &str, of: &str) -> Value {
    json!([{"sites": [site], "sha256": Sha256Digest::of(of.as_bytes()), "dated": "2026-02-02"}])
}

/// Answers to a survey among Germans, all in order for Québec but for the ground on which they would go there.
fn survey() -> Value {
    json!({
        "people": {"high_risk": true, "employer_outside_pipeda": false},
        "impact_assessment": document("assessment"), "processor_contracts": at("quebec-hydro", "contract"),
    })
}

/// Registers a dataset of personal data and gives Ada of Canada the visa for it.
async fn registered(world: &World, owner: &TestNode, name: &str, origin: &str, protection: &Value) -> String {
    let file = owner.upload("stella", b"1,2,3\n").await;
    let (member, id) = (owner.id(), format!("{}/{name}", owner.id()));
    let body = json!({
        "name": name, "title": name, "class": "personal", "origin": origin, "purposes": ["research"],
        "files": [{"name": "rows.csv", "sha256": file, "bytes": 6}], "protection": protection,
    });
    let answer = owner.post("stella", "/v1/datasets", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let visa = json!({
        "subject": "ada@ca", "holder": holder("ada").public_key().key_id(), "kind": "dataset", "dataset": id,
    });
    let visa = owner.post("stella", "/v1/visas", &visa).await.ok();
    if member != world.ca.id() {
        world.ca.get("ada", &format!("/v1/datasets/{id}")).await.ok();
    }
    visa["visa"].as_str().unwrap().to_owned()
}

async fn with_visa(node: &TestNode, spec: &JobSpec, visa: &str) -> Value {
    let body = node.submission("ada", node.job_id(), spec, &[visa.to_owned()]).await;
    node.post("ada", "/v1/jobs", &body).await.ok()
}

/// The decisions on data of one job in a node's log, the oldest first.
fn moved(node: &TestNode, job: &str) -> Vec<Value> {
    let records =
        logged(node).into_iter().filter(|(kind, _)| kind == "gate.decided").map(|(_, record)| record);
    records.filter(|record| record["gate"] == "move-data" && record["subject"]["job"] == job).collect()
}

fn rules(job: &Value) -> Vec<&str> {
    job["refusals"].as_array().unwrap().iter().filter_map(|refusal| refusal["rule"].as_str()).collect()
}

/// Grounds that name a law and have nothing behind them.
fn bare(treaty: &mut Treaty) {
    for ground in &mut treaty.transfer_grounds {
        *ground = TransferGround {
            instrument: None,
            clauses: None,
            impact_assessment: None,
            onward: None,
            recurring: None,
            ..ground.clone()
        };
    }
}

#[tokio::test(start_paused = true)]
async fn german_data_does_not_go_to_quebec_without_a_ground_and_each_language_says_why() {
    let world = World::under(bare).await;
    let visa = registered(&world, &world.de, "survey", "de", &survey()).await;
    let job = with_visa(&world.ca, &job_over("de/survey", "quebec-hydro"), &visa).await;
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    for language in ["en", "fr", "de"] {
        let refused = world.ca.get_with("ada", &path, ("accept-language", language)).await.ok();
        assert_eq!(refused["state"], "refused");
        let reasons = refused["refusals"].as_array().unwrap();
        let reason = reasons.iter().find(|reason| reason["rule"] == "GD-44").unwrap();
        assert_eq!(
            (&reason["facts"]["data.id"], &reason["source"]),
            (&json!("de/survey"), &json!("GDPR Art. 44"))
        );
        let told =
            format!("{}\n{}", reason["sentence"].as_str().unwrap(), reason["advice"].as_str().unwrap());
        insta::assert_snapshot!(format!("no_ground_{language}"), told);
    }
    assert_eq!(world.ca.engine.taken(), []);
    replay(&logged(&world.ca)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn with_registered_clauses_and_assessment_it_goes_and_the_measures_are_an_obligation() {
    let world = World::open().await;
    world.run();
    let visa = registered(&world, &world.de, "survey", "de", &survey()).await;
    let job = with_visa(&world.ca, &job_over("de/survey", "quebec-hydro"), &visa).await;
    let job = job["id"].as_str().unwrap();
    world.ca.wait_for("ada", job, "completed").await;
    let said = moved(&world.ca, job);
    assert_eq!(said.len(), 2, "home asked before it offered, the host before it admitted");
    assert!(said.iter().all(|record| record["answer"]["verdict"] == "ALLOW_WITH"), "{said:?}");
    assert_eq!(said[1]["answer"]["obligations"], json!(["apply-transfer-measures"]));
    assert_eq!(said[1]["facts"]["transfer.clauses_signed"], json!({"value": true, "vouched": "registry"}));
    assert_eq!(said[1]["evidence"].as_array().unwrap().len(), 4);
    for node in [&world.ca, &world.de] {
        replay(&logged(node)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_home_that_does_not_ask_about_its_data_is_refused_by_the_host() {
    let world = World::open().await;
    let without = json!({"people": {"high_risk": true, "subject_region": "canada", "from_quebec": false, "under_pipeda": false}});
    let visa = registered(&world, &world.ca, "clinic", "ca", &without).await;
    let shown = world.ca.get("ada", "/v1/datasets/ca/clinic").await.ok();
    let record: Signed<DatasetRecord> = serde_json::from_value(shown["signed"].clone()).unwrap();
    let spec = job_over("ca/clinic", "juelich");
    let (job, answer) = offered_past_the_gate(&world.ca, &world.de, spec, vec![record], &[visa]).await;
    let refused: Vec<_> =
        answer["refused"].as_array().unwrap().iter().map(|reason| &reason["rule"]).collect();
    assert_eq!(refused, ["GD-28", "GD-35"]);
    assert_eq!(moved(&world.de, &job.to_string())[0]["answer"]["verdict"], "DENY");
    replay(&logged(&world.de)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn data_of_quebec_waits_until_its_assessment_is_on_record() {
    let world = World::under(|treaty| {
        let out_of_quebec =
            TransferGround { from: "qc".parse().unwrap(), ..treaty.transfer_grounds[2].clone() };
        treaty.transfer_grounds.push(out_of_quebec);
    })
    .await;
    world.run();
    lawyer(&world.de).await;
    let mut protection = json!({
        "people": {"subject_region": "quebec", "high_risk": false, "under_pipeda": false, "automated_decision": false},
        "processor_contracts": at("juelich", "contract"),
    });
    let visa = registered(&world, &world.ca, "clinic", "qc", &protection).await;
    let spec = job_over("ca/clinic", "juelich");
    let waits = with_visa(&world.ca, &spec, &visa).await;
    let held = hold(&world.de).await;
    assert_eq!((&held["job"], &held["code"]), (&waits["id"], &json!("CA-QC@ca/clinic")));
    assert_eq!(held["awaits"], json!(["legal"]));
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(world.de.engine.taken(), [], "it began");
    assert!(!world.de.node.blobs.has(Sha256Digest::of(b"1,2,3\n")), "the data has moved");
    protection["quebec_assessments"] = at("juelich", "assessment");
    registered(&world, &world.ca, "clinic", "qc", &protection).await;
    let goes = with_visa(&world.ca, &spec, &visa).await;
    world.ca.wait_for("ada", goes["id"].as_str().unwrap(), "completed").await;
    let path = format!("/v1/holds/{}/release", held["id"].as_str().unwrap());
    world.de.post("lea", &path, &json!({"reason": "The assessment is on record now."})).await.ok();
    world.ca.wait_for("ada", waits["id"].as_str().unwrap(), "completed").await;
}

#[tokio::test(start_paused = true)]
async fn files_about_people_go_where_somebody_says_whom_they_are_about_and_open_files_anywhere() {
    let world = World::open().await;
    world.run();
    let mut spec = JobSpec { sites_allowed: vec!["quebec-hydro".parse().unwrap()], ..spec() };
    let sha256 = world.ca.upload("ada", b"a letter").await;
    spec.inputs = vec![InputFile { name: "letter".to_owned(), sha256, bytes: 8, class: Class::Personal }];
    let silent = submitted(&world.ca, &spec).await;
    let silent = world.ca.get("ada", &format!("/v1/jobs/{silent}")).await.ok();
    assert_eq!(rules(&silent), ["CA-PIPEDA", "CA-QC-notice", "GD-28", "GD-35", "GD-44", "GD-on"]);
    spec.inputs_about = Some(about_canadians());
    let stated = submitted(&world.ca, &spec).await;
    world.ca.wait_for("ada", &stated, "completed").await;
    spec.inputs_about = None;
    spec.inputs[0].class = Class::Open;
    let open = submitted(&world.ca, &spec).await;
    world.ca.wait_for("ada", &open, "completed").await;
    assert_eq!(moved(&world.ca, &open)[0]["answer"]["verdict"], "ALLOW");
}

#[tokio::test(start_paused = true)]
async fn what_a_record_says_against_its_class_or_of_an_unknown_site_is_not_registered() {
    let world = World::open().await;
    let body = |protection: Value| json!({"name": "x", "title": "x", "class": "personal", "origin": "ca", "files": [], "protection": protection});
    for protection in [
        json!({"people": {"personal_information": "none"}}),
        json!({"article_nine_basis": "research"}),
        json!({"processor_contracts": at("atlantis", "contract")}),
        json!({"processor_contracts": [{"sites": [], "sha256": Sha256Digest::of(b""), "dated": "2026-02-02"}]}),
    ] {
        let refused = world.ca.post("stella", "/v1/datasets", &body(protection)).await;
        assert_eq!((refused.status.as_u16(), refused.rule().as_deref()), (400, Some("REQ-002")));
        insta::assert_snapshot!(refused.json()["reasons"][0]["facts"]["problem"].as_str().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn who_holds_data_asks_too_before_a_byte_of_it_leaves() {
    let world = World::open().await;
    world.run();
    let visa = registered(&world, &world.de, "survey", "de", &survey()).await;
    // Germany has a newer record than Canada, from which the contract is gone.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut without = survey();
    without["processor_contracts"] = json!([]);
    let file = Sha256Digest::of(b"1,2,3\n");
    let body = json!({
        "name": "survey", "title": "survey", "class": "personal", "origin": "de", "purposes": ["research"],
        "files": [{"name": "rows.csv", "sha256": file, "bytes": 6}], "protection": without,
    });
    assert_eq!(world.de.post("stella", "/v1/datasets", &body).await.status, 201);
    let job = with_visa(&world.ca, &job_over("de/survey", "quebec-hydro"), &visa).await;
    let job = job["id"].as_str().unwrap();
    let failed = world.ca.wait_for("ada", job, "failed").await;
    assert!(failed.to_string().contains("GD-28"), "{failed}");
    assert!(!world.ca.node.blobs.has(file));
    assert_eq!(moved(&world.de, job)[0]["answer"]["verdict"], "DENY");
    replay(&logged(&world.de)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_holds_data_is_asked_for_every_job_also_where_an_earlier_one_has_brought_it_there() {
    let world = World::open().await;
    world.run();
    let visa = registered(&world, &world.de, "survey", "de", &survey()).await;
    let over = job_over("de/survey", "quebec-hydro");
    let waits = JobSpec { command: vec!["wait".to_owned()], outputs: Vec::new(), ..over.clone() };
    let waits = with_visa(&world.ca, &waits, &visa).await;
    world.ca.wait_for("ada", waits["id"].as_str().unwrap(), "running").await;
    let served = world.de.node.metrics.file_bytes_served.get();
    let again = with_visa(&world.ca, &over, &visa).await;
    world.ca.wait_for("ada", again["id"].as_str().unwrap(), "completed").await;
    assert_eq!(world.de.node.metrics.file_bytes_served.get(), served, "it is there");
    // Germany learns that there is no contract any more; Canada goes by the record that it has.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut without = survey();
    without["processor_contracts"] = json!([]);
    let body = json!({
        "name": "survey", "title": "survey", "class": "personal", "origin": "de", "purposes": ["research"],
        "files": [{"name": "rows.csv", "sha256": Sha256Digest::of(b"1,2,3\n"), "bytes": 6}], "protection": without,
    });
    assert_eq!(world.de.post("stella", "/v1/datasets", &body).await.status, 201);
    let refused = with_visa(&world.ca, &over, &visa).await;
    let failed = world.ca.wait_for("ada", refused["id"].as_str().unwrap(), "failed").await;
    assert!(failed.to_string().contains("GD-28"), "{failed}");
    let sql = "SELECT COUNT(*) FROM audit_payloads WHERE kind = 'transfer.granted'";
    let count = |store: &rusqlite::Connection| store.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    let granted = world.de.node.store.read(|store| Ok(count(store))).unwrap();
    assert_eq!(granted, 2, "Germany's log has each job that its data was for");
}
