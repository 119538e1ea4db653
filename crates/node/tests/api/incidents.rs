// SPDX-License-Identifier: Apache-2.0
//! Incidents: who may report and see them, which clocks run and how each is met, what stands still and what stays until the end.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sta_audit::merkle::leaf_hash;
use sta_node::{
    config::DiskConfig,
    engines::RunId,
    steps::{disk, registry},
    store::{
        audit, frozen, hosted, incidents, outbox,
        registry::{Researcher, Role},
    },
};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    ids::IncidentId,
    job::{InputFile, JobSpec},
};

use crate::harness::{TestNode, World, about_canadians, holder, spec, token};

const HOUR_S: i64 = 3600;

/// A breach of personal data that somebody became aware of so long ago.
pub(super) fn breach(node: &TestNode, aware_s_ago: i64) -> Value {
    let aware_at = node.node.outside.now() - SignedDuration::from_secs(aware_s_ago);
    json!({
        "incident": IncidentId::new(node.node.outside.now_ms(), node.node.outside.random()),
        "kind": "personal-data-breach", "summary": "A folder was readable by all.", "aware_at": aware_at,
    })
}

/// A job for Canada's own site.
fn here() -> JobSpec {
    JobSpec { sites_allowed: vec!["quebec-hydro".parse().unwrap()], ..spec() }
}

pub(super) async fn reported(node: &TestNode, person: &str, report: &Value) -> Value {
    let answer = node.post(person, "/v1/incidents", report).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

pub(super) async fn event(
    node: &TestNode,
    person: &str,
    incident: &Value,
    event: Value,
) -> crate::harness::Answer {
    node.post(person, &format!("/v1/incidents/{}/events", id(incident)), &event).await
}

pub(super) async fn close(
    node: &TestNode,
    person: &str,
    incident: &Value,
    body: Value,
) -> crate::harness::Answer {
    node.post(person, &format!("/v1/incidents/{}/close", id(incident)), &body).await
}

pub(super) fn id(incident: &Value) -> &str {
    incident["id"].as_str().unwrap()
}

/// A lawyer of the member, whom the other tests do not need.
pub(super) async fn lawyer(node: &TestNode) {
    let researcher = Researcher {
        id: "lea".parse().unwrap(),
        holder: holder("lea").public_key().key_id(),
        roles: [Role::Legal].into(),
    };
    registry::put_researcher(&node.node, researcher, &token("lea")).await.unwrap();
}

fn knows(node: &TestNode, kind: &str, subject: &str) -> bool {
    node.node.store.read(|connection| audit::find_entry(connection, kind, subject)).unwrap().is_some()
}

/// The one clock of a rule and a duty.
fn clock<'a>(incident: &'a Value, rule: &str, duty: &str) -> &'a Value {
    let clocks = incident["clocks"].as_array().unwrap();
    let mut found = clocks.iter().filter(|clock| clock["rule"] == rule && clock["duty"] == duty);
    let clock = found.next().unwrap_or_else(|| panic!("no clock {rule} {duty}: {incident}"));
    assert!(found.next().is_none(), "two clocks {rule} {duty}");
    clock
}

#[tokio::test(start_paused = true)]
async fn a_report_starts_the_clock_of_the_law_and_telling_the_authority_in_time_meets_it() {
    let world = World::open().await;
    let report = breach(&world.ca, HOUR_S);
    let incident = reported(&world.ca, "ada", &report).await;
    let due = clock(&incident, "GD-33", "first-report");
    assert_eq!(
        (&due["state"], &due["left_s"], &due["binding"]),
        (&json!("running"), &json!(71 * HOUR_S), &json!(true))
    );
    assert_eq!(due["source"], "GDPR Art. 33(1)");
    assert_eq!(
        (&incident["state"], &incident["verdict"], &incident["reporter"]),
        (&json!("open"), &json!("ALLOW_WITH"), &json!("ada@ca"))
    );
    assert!(knows(&world.ca, "incident.reported", id(&incident)));
    assert!(knows(&world.ca, "gate.decided", incident["decision"].as_str().unwrap()));
    // The same report again is the same incident; another under its id is none.
    assert_eq!(id(&reported(&world.ca, "ada", &report).await), id(&incident));
    let mut other = report.clone();
    other["summary"] = json!("Something else.");
    assert_eq!(world.ca.post("ada", "/v1/incidents", &other).await.rule().as_deref(), Some("REQ-004"));

    let told = json!({"event": "notified", "clock": due["number"], "authority": "BfDI", "reference": "A-1", "complete": false});
    let incident = event(&world.ca, "otto", &incident, told.clone()).await.ok();
    let met = clock(&incident, "GD-33", "first-report");
    assert_eq!((&met["state"], &met["left_s"]), (&json!("met"), &Value::Null));
    assert!(knows(&world.ca, "incident.notified", id(&incident)));
    assert_eq!(
        event(&world.ca, "otto", &incident, told).await.rule().as_deref(),
        Some("REQ-004"),
        "met once"
    );
    let entries = incident["entries"].as_array().unwrap();
    let steps: Vec<&str> = entries.iter().map(|entry| entry["step"]["step"].as_str().unwrap()).collect();
    assert_eq!((steps, &entries[1]["by"]), (vec!["opened", "notified"], &json!("otto@ca")));
    let incident =
        event(&world.ca, "safia", &incident, json!({"event": "resolved", "summary": "Closed off."}))
            .await
            .ok();
    let incident = close(&world.ca, "safia", &incident, json!({"reason": "Nobody had read it."})).await.ok();
    assert_eq!(incident["state"], "closed");
    assert!(knows(&world.ca, "incident.closed", id(&incident)));
}

#[tokio::test(start_paused = true)]
async fn what_people_read_of_a_clock_is_in_their_language() {
    let world = World::open().await;
    let mut report = breach(&world.ca, 0);
    report["kind"] = json!("cyber-breach");
    let incident = reported(&world.ca, "ada", &report).await;
    let breach = reported(&world.ca, "ada", &breach(&world.ca, 0)).await;
    let mut read = Vec::new();
    for language in ["en", "fr", "de"] {
        for incident in [&incident, &breach] {
            let path = format!("/v1/incidents/{}", id(incident));
            let told = world.ca.get_with("ada", &path, ("accept-language", language)).await.ok();
            for clock in told["clocks"].as_array().unwrap() {
                let text = |name: &str| clock[name].as_str().unwrap().to_owned();
                read.push(format!("{language} {} | {} | {}", text("rule"), text("what"), text("authority")));
            }
            let reasons = told["reasons"].as_array().unwrap();
            read.extend(
                reasons.iter().map(|reason| format!("{language} {}", reason["sentence"].as_str().unwrap())),
            );
        }
    }
    insta::assert_snapshot!("clocks_in_three_languages", read.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn everybody_may_report_and_only_those_whose_role_it_is_may_deal_with_it() {
    let world = World::open().await;
    world.run();
    let job = world.ca.finished("ada", &spec()).await["id"].as_str().unwrap().to_owned();
    let mut report = breach(&world.ca, 0);
    report["job"] = json!(job);
    // Another person's job does not exist for who has no role.
    assert_eq!(world.ca.post("eve", "/v1/incidents", &report).await.rule().as_deref(), Some("REQ-001"));
    let incident = reported(&world.ca, "ada", &report).await;
    let path = format!("/v1/incidents/{}", id(&incident));
    assert_eq!(world.ca.get("eve", &path).await.rule().as_deref(), Some("REQ-001"));
    for (person, sees) in [("ada", 1), ("eve", 0), ("otto", 1), ("stella", 1), ("aud", 1), ("safia", 1)] {
        let list = world.ca.get(person, "/v1/incidents").await.ok();
        assert_eq!(list["incidents"].as_array().unwrap().len(), sees, "{person}");
    }
    let over = json!({"event": "resolved", "summary": "Over."});
    for person in ["ada", "eve", "stella", "aud"] {
        assert_eq!(
            event(&world.ca, person, &incident, over.clone()).await.rule().as_deref(),
            Some("AUT-002"),
            "{person}"
        );
    }
    event(&world.ca, "otto", &incident, over).await.ok();
    for person in ["ada", "otto", "stella", "aud"] {
        let refused = close(&world.ca, person, &incident, json!({"reason": "I say so."})).await;
        assert_eq!(refused.rule().as_deref(), Some("AUT-002"), "{person}");
    }
    for unknown in [json!({"job": IncidentId::new(1, [1; 10])}), json!({"site": "atlantis"})] {
        let mut report = breach(&world.ca, 0);
        report.as_object_mut().unwrap().extend(unknown.as_object().unwrap().clone());
        assert_eq!(world.ca.post("safia", "/v1/incidents", &report).await.rule().as_deref(), Some("REQ-001"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_closed_when_it_is_over_and_told_or_a_lawyer_says_that_nothing_is_due() {
    let world = World::open().await;
    lawyer(&world.ca).await;
    let incident = reported(&world.ca, "ada", &breach(&world.ca, 0)).await;
    let path = format!("/v1/incidents/{}/close", id(&incident));
    let end = json!({"reason": "A false alarm."});
    let mut read = Vec::new();
    let mut refused = async |rule: &str, path: &str, body: &Value| {
        for language in ["en", "fr", "de"] {
            let answer = world.ca.post_in("safia", path, body, language).await;
            assert_eq!((answer.rule().as_deref(), answer.status.as_u16()), (Some(rule), 409));
            read.push(answer.json()["detail"].as_str().unwrap().replace(id(&incident), "ID"));
        }
    };
    refused("INC-002", &path, &end).await;
    let over = json!({"event": "resolved", "summary": "Nothing was readable."});
    event(&world.ca, "safia", &incident, over.clone()).await.ok();
    assert_eq!(event(&world.ca, "safia", &incident, over.clone()).await.rule().as_deref(), Some("REQ-004"));
    refused("INC-001", &path, &end).await;
    let without = json!({"reason": "No personal data was in it.", "without_reports": true});
    let not_hers = world.ca.post("safia", &path, &without).await;
    assert_eq!(not_hers.rule().as_deref(), Some("AUT-002"), "only a lawyer answers for that");
    let closed = close(&world.ca, "lea", &incident, without).await.ok();
    assert_eq!(
        (&closed["state"], &clock(&closed, "GD-33", "first-report")["state"]),
        (&json!("closed"), &json!("void"))
    );
    refused("INC-003", &format!("/v1/incidents/{}/events", id(&incident)), &over).await;
    insta::assert_snapshot!("incident_refusals", read.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_is_said_to_be_near_then_overdue_and_a_late_report_stays_late() {
    let world = World::open().await;
    world.run();
    // The last quarter of 72 hours begins after 54.
    let near = reported(&world.ca, "ada", &breach(&world.ca, 54 * HOUR_S - 2)).await;
    let overdue = reported(&world.ca, "ada", &breach(&world.ca, 72 * HOUR_S - 2)).await;
    let said = |incident: &Value| {
        let id = id(incident).parse().unwrap();
        world.ca.node.store.read(|connection| incidents::clocks(connection, id)).unwrap()[0].said.clone()
    };
    assert_eq!(
        (said(&near), clock(&overdue, "GD-33", "first-report")["state"].as_str()),
        ("nothing".to_owned(), Some("running"))
    );
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    world
        .ca
        .until("the first is near and the second overdue", |_| {
            said(&near) == "near" && said(&overdue) == "overdue"
        })
        .await;
    assert!(
        knows(&world.ca, "incident.overdue", id(&overdue))
            && !knows(&world.ca, "incident.overdue", id(&near))
    );
    let metrics = world.ca.get("", "/metrics").await.text();
    for line in [
        "sta_incidents_open 2\n",
        "sta_incident_reports_overdue 1\n",
        "sta_incident_due_seconds{name=\"GD-33\"} -",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let told = json!({"event": "notified", "clock": 1, "authority": "BfDI"});
    let told = event(&world.ca, "otto", &overdue, told).await.ok();
    assert_eq!(clock(&told, "GD-33", "first-report")["state"], "met-late");
    assert!(world.ca.get("", "/metrics").await.text().contains("sta_incident_reports_overdue 0\n"));
}

#[tokio::test(start_paused = true)]
async fn evidence_names_the_entries_of_the_log_with_their_leaves_and_its_digest_is_in_the_chain() {
    let world = World::open().await;
    world.run();
    let job = world.ca.finished("ada", &here()).await["id"].as_str().unwrap().to_owned();
    let mut report = breach(&world.ca, 0);
    report["job"] = json!(job);
    let incident = reported(&world.ca, "ada", &report).await;
    let text = world.ca.get("aud", &format!("/v1/incidents/{}/evidence", id(&incident))).await.text();
    let digest = Sha256Digest::of(text.as_bytes()).to_string();
    assert_eq!(incident["evidence"], json!([digest]));
    assert_eq!(incident["entries"][0]["step"]["evidence"], json!([digest]));
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let named = manifest["entries"].as_array().unwrap();
    for kind in ["job.submitted", "job.finished", "job.settled"] {
        assert!(
            named.iter().any(|entry| entry["kind"] == kind && entry["subject"] == json!(job)),
            "{kind}: {text}"
        );
    }
    for entry in named {
        let index = entry["index"].as_u64().unwrap();
        let line = world.ca.node.store.read(|connection| audit::entries(connection, index, 1)).unwrap();
        assert_eq!(entry["leaf"], leaf_hash(&line[0]).to_string());
    }
    assert!(manifest["checkpoint"].as_str().unwrap().contains("node.ca.example/log"));
    assert_eq!(manifest["jobs"], json!([job]));
}

/// A job of Canada's for Germany that runs until it is cancelled.
fn endless(purpose: &str) -> JobSpec {
    let mut spec = spec();
    (spec.command, spec.outputs) = (vec!["wait".to_owned()], Vec::new());
    spec.purpose = purpose.to_owned();
    spec.sites_allowed = vec!["juelich".parse().unwrap()];
    spec
}

async fn running(world: &World, purpose: &str) -> (String, RunId) {
    let job = world.ca.submit("ada", &endless(purpose)).await.ok()["id"].as_str().unwrap().to_owned();
    world.ca.wait_for("ada", &job, "running").await;
    let run = RunId { job: job.parse().unwrap(), attempt: 1 };
    (job, run)
}

#[tokio::test(start_paused = true)]
async fn an_order_of_a_foreign_court_holds_the_job_that_it_is_about_until_a_lawyer_lets_it_go() {
    let world = World::open().await;
    world.run();
    lawyer(&world.de).await;
    let (job, run) = running(&world, "research").await;
    let mut report = breach(&world.de, 0);
    report["kind"] = json!("foreign-order");
    report["job"] = json!(job);
    let incident = reported(&world.de, "otto", &report).await;
    assert_eq!(incident["verdict"], "HOLD");
    world.de.until("it stands still", |_| world.de.engine.is_suspended(run)).await;
    let hold = incident["holds"][0].as_str().unwrap();
    assert_eq!(hold, incident["decision"].as_str().unwrap(), "the decision about the job is the hold");
    let shown = world.de.get("lea", &format!("/v1/holds/{hold}")).await.ok();
    assert_eq!(
        (&shown["code"], &shown["awaits"]),
        (&json!(format!("incident/{}", id(&incident))), &json!(["legal"]))
    );
    // Another kind on top asks the gate again, and holds nothing twice.
    let worse =
        json!({"event": "reclassified", "kind": "personal-data-breach", "reason": "They have it already."});
    let incident = event(&world.de, "safia", &incident, worse).await.ok();
    assert_eq!(clock(&incident, "GD-33", "first-report")["state"], "running");
    assert_eq!(incident["holds"], json!([hold]));
    assert_eq!(incident["evidence"].as_array().unwrap().len(), 2);
    // Closing it leaves to the lawyer what waits for the lawyer.
    event(&world.de, "otto", &incident, json!({"event": "resolved", "summary": "Refused."})).await.ok();
    let end = json!({"reason": "We gave nothing.", "without_reports": true});
    close(&world.de, "lea", &incident, end).await.ok();
    assert!(world.de.engine.is_suspended(run));
    let reason = json!({"reason": "No agreement carries the order."});
    world.de.post("lea", &format!("/v1/holds/{hold}/release"), &reason).await.ok();
    world.de.until("it goes on", |_| !world.de.engine.is_suspended(run)).await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_without_a_role_reports_about_a_model_stops_jobs_of_their_own_alone() {
    let world = World::open().await;
    world.run();
    let training = super::training::training("juelich", 1_000_000);
    let job = super::training::submitted(&world.ca, &training).await;
    world.ca.wait_for("ada", &job, "running").await;
    let mut report = breach(&world.de, 0);
    report["kind"] = json!("foreign-order");
    report["model"] = json!("ca/maple");
    let incident = reported(&world.de, "eve", &report).await;
    assert_eq!((&incident["verdict"], &incident["holds"]), (&json!("HOLD"), &json!([])));
    assert_eq!(incident["frozen_jobs"], json!([job]));
    let seen = json!({"event": "reclassified", "kind": "foreign-order", "reason": "It is so."});
    let incident = event(&world.de, "otto", &incident, seen).await.ok();
    assert_eq!(incident["holds"].as_array().unwrap().len(), 1, "whoever deals with it stops it: {incident}");
    let run = RunId { job: job.parse().unwrap(), attempt: 1 };
    world.de.until("it stands still", |_| world.de.engine.is_suspended(run)).await;
}

#[tokio::test(start_paused = true)]
async fn a_high_risk_system_stands_still_once_the_article_binds_and_goes_on_when_the_incident_is_closed() {
    let world = World::open().await;
    world.run();
    lawyer(&world.de).await;
    let (job, run) = running(&world, "employment").await;
    let mut report = breach(&world.de, 0);
    report["kind"] = json!("death");
    report["job"] = json!(job);
    let early = reported(&world.de, "otto", &report).await;
    assert!(
        !clock(&early, "EU-73", "first-report")["binding"].as_bool().unwrap(),
        "before 2027-12-02 it warns"
    );
    assert!(!world.de.engine.is_suspended(run) && early["holds"] == json!([]));
    // The workers would look at everything ten times a second for two years.
    world.de.node.stop();
    world.ca.node.stop();
    let first_day: Timestamp = "2027-12-02T00:00:00Z".parse().unwrap();
    let wait = first_day.duration_since(world.de.node.outside.now());
    tokio::time::advance(wait.unsigned_abs()).await;
    report["incident"] = json!(IncidentId::new(world.de.node.outside.now_ms(), [7; 10]));
    report["aware_at"] = json!(world.de.node.outside.now());
    let incident = reported(&world.de, "otto", &report).await;
    assert_eq!(incident["verdict"], "SUSPEND", "{incident}");
    assert!(clock(&incident, "EU-73", "first-report")["binding"].as_bool().unwrap());
    let hold = incident["holds"][0].as_str().unwrap();
    let refused =
        world.de.post("lea", &format!("/v1/holds/{hold}/release"), &json!({"reason": "Enough."})).await;
    assert_eq!(refused.rule().as_deref(), Some("HLD-002"));
    let held = |node: &TestNode| {
        let job = job.parse().unwrap();
        node.node.store.read(|connection| hosted::find(connection, job)).unwrap().unwrap().held
    };
    assert!(held(&world.de));
    event(&world.de, "otto", &incident, json!({"event": "resolved", "summary": "Mended."})).await.ok();
    let end = json!({"reason": "It was looked into.", "without_reports": true});
    let closed = close(&world.de, "lea", &incident, end).await.ok();
    assert!(!held(&world.de) && closed["holds"] == json!([]));
    let shown = world.de.get("lea", &format!("/v1/holds/{hold}")).await.ok();
    assert_eq!(shown["state"], "released");
}

/// Waits for nothing to be left in the outbox of a node.
async fn quiet(node: &TestNode) {
    node.until("nothing is under way", |node| {
        node.store.read(outbox::lengths).unwrap().iter().all(|(_, count)| *count == 0)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_evidence_is_removed_until_the_incident_is_closed() {
    let world =
        World::open_on(DiskConfig { cache_days: 0, bytes_free_min: 0, ..DiskConfig::default() }).await;
    world.run();
    lawyer(&world.ca).await;
    let input = world.ca.upload("ada", b"what it reads").await;
    let mut spec = endless("research");
    spec.sites_allowed = vec!["quebec-hydro".parse().unwrap()];
    spec.inputs = vec![InputFile { name: "a".to_owned(), sha256: input, bytes: 13, class: Class::Personal }];
    spec.inputs_about = Some(about_canadians());
    let job = world.ca.submit("ada", &spec).await.ok()["id"].as_str().unwrap().to_owned();
    world.ca.wait_for("ada", &job, "running").await;
    let mut report = breach(&world.ca, 0);
    report["job"] = json!(job);
    let incident = reported(&world.ca, "ada", &report).await;
    let second = reported(&world.ca, "ada", &{
        let mut report = breach(&world.ca, 0);
        report["job"] = json!(job);
        report
    })
    .await;
    world.ca.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await;
    world.ca.wait_for("ada", &job, "cancelled").await;
    quiet(&world.ca).await;
    let by_hand = rusqlite::Connection::open(world.ca.node.config.directory.join("node.sqlite")).unwrap();
    // An upload waits a day for its job anyway.
    by_hand.execute("UPDATE blobs_passing SET uploaded_at = 0", []).unwrap();
    disk::sweep(&world.ca.node).await.unwrap();
    let id_of_job = job.parse().unwrap();
    let kept = |node: &TestNode| {
        node.node.store.read(|connection| frozen::kept_runs(connection, id_of_job)).unwrap()
    };
    assert_eq!(kept(&world.ca).len(), 1);
    assert!(knows(&world.ca, "job.kept", &job) && world.ca.node.blobs.has(input));
    for sql in [
        "UPDATE audit_payloads SET salt = NULL, payload = NULL WHERE subject = ?1",
        "DELETE FROM audit_payloads WHERE subject = ?1",
        "DELETE FROM hosted WHERE job = ?1",
        "DELETE FROM jobs WHERE id = ?1",
    ] {
        let refused = by_hand.execute(sql, [&job]).unwrap_err();
        assert!(
            refused.to_string().contains("evidence of an incident that is not closed"),
            "{sql}: {refused}"
        );
    }
    let without = json!({"reason": "No risk.", "without_reports": true});
    for (incident, left) in [(&incident, 1), (&second, 0)] {
        event(&world.ca, "safia", incident, json!({"event": "resolved", "summary": "Over."})).await.ok();
        close(&world.ca, "lea", incident, without.clone()).await.ok();
        assert_eq!(kept(&world.ca).len(), left, "the last incident lets it go");
    }
    quiet(&world.ca).await;
    disk::sweep(&world.ca.node).await.unwrap();
    assert!(!world.ca.node.blobs.has(input));
    by_hand
        .execute("UPDATE audit_payloads SET salt = NULL, payload = NULL WHERE subject = ?1", [&job])
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_report_that_the_log_cannot_take_leaves_nothing_behind() {
    let world = World::open().await;
    let by_hand = rusqlite::Connection::open(world.ca.node.config.directory.join("node.sqlite")).unwrap();
    by_hand
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON audit_payloads WHEN NEW.kind = 'incident.reported' BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let report = breach(&world.ca, 0);
    assert_eq!(world.ca.post("ada", "/v1/incidents", &report).await.status, 500);
    for table in ["incidents", "incident_entries", "incident_clocks", "incident_evidence", "gate_decisions"] {
        let count: i64 =
            by_hand.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{table}");
    }
    by_hand.execute_batch("DROP TRIGGER full").unwrap();
    reported(&world.ca, "ada", &report).await;
}
