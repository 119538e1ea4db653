// SPDX-License-Identifier: Apache-2.0
//! Jobs that train the model of an incident and come after the report: what becomes of them.

use serde_json::json;

use super::incidents::{breach, close, event, id, lawyer, reported};
use crate::harness::World;

#[tokio::test(start_paused = true)]
async fn a_job_that_trains_the_model_of_an_incident_and_comes_after_the_report_does_not_begin() {
    let world = World::open().await;
    world.run();
    lawyer(&world.de).await;
    let mut report = breach(&world.de, 0);
    report["kind"] = json!("foreign-order");
    report["model"] = json!("ca/maple");
    let incident = reported(&world.de, "otto", &report).await;
    assert_eq!((&incident["holds"], &incident["frozen_jobs"]), (&json!([]), &json!([])));
    let other = {
        let mut other = super::training::training("juelich", 1_000_000);
        other.training.as_mut().unwrap().model = "ca/oak".parse().unwrap();
        super::training::submitted(&world.ca, &other).await
    };
    world.ca.wait_for("ada", &other, "running").await;
    let job = super::training::submitted(&world.ca, &super::training::training("juelich", 1_000_000)).await;
    let hold = super::training::hold(&world.de).await;
    let code = format!("incident/{}", id(&incident));
    assert_eq!(
        (&hold["job"], &hold["code"], &hold["awaits"]),
        (&json!(job), &json!(code), &json!(["legal"]))
    );
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let runs: Vec<String> = world.de.engine.taken().iter().map(|run| run.job.to_string()).collect();
    assert_eq!(runs, [other], "only the job of another model began");
    let shown = world.de.get("otto", &format!("/v1/incidents/{}", id(&incident))).await.ok();
    assert_eq!((&shown["holds"][0], &shown["frozen_jobs"]), (&hold["id"], &json!([job])));
    let path = format!("/v1/holds/{}/release", hold["id"].as_str().unwrap());
    world.de.post("lea", &path, &json!({"reason": "No agreement carries the order."})).await.ok();
    world.ca.wait_for("ada", &job, "running").await;
}

#[tokio::test(start_paused = true)]
async fn a_report_of_somebody_without_a_role_stops_no_later_job_of_others_and_none_once_it_is_closed() {
    let world = World::open().await;
    world.run();
    lawyer(&world.de).await;
    let mut report = breach(&world.de, 0);
    report["kind"] = json!("foreign-order");
    report["model"] = json!("ca/maple");
    let incident = reported(&world.de, "eve", &report).await;
    let training = super::training::training("juelich", 1_000_000);
    let job = super::training::submitted(&world.ca, &training).await;
    world.ca.wait_for("ada", &job, "running").await;
    let shown = world.de.get("eve", &format!("/v1/incidents/{}", id(&incident))).await.ok();
    assert_eq!((&shown["holds"], &shown["frozen_jobs"]), (&json!([]), &json!([job])), "its evidence stays");
    event(&world.de, "otto", &incident, json!({"event": "resolved", "summary": "It was none."})).await.ok();
    close(&world.de, "lea", &incident, json!({"reason": "None.", "without_reports": true})).await.ok();
    let later = super::training::submitted(&world.ca, &training).await;
    world.ca.wait_for("ada", &later, "running").await;
    let shown = world.de.get("eve", &format!("/v1/incidents/{}", id(&incident))).await.ok();
    assert_eq!(shown["frozen_jobs"], json!([]));
}
