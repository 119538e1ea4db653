// SPDX-License-Identifier: Apache-2.0
//! A job that waits at a host goes on elsewhere, with what it has saved: at home where it would run by now, had its member stayed alone,
//! and wherever there is room sooner.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use sta_node::{
    engines::RunId,
    store::{audit, hosted, ledger},
};
use sta_protocol::{
    ids::JobId,
    job::{Checkpoint, JobSpec, Objective},
    treaty::{Sharing, Treaty},
};

use super::admission::offered_as;
use crate::harness::{TestNode, World, spec};

const QUEBEC: u32 = 64;
const JUELICH: u32 = 96;

/// A job that runs until it is cancelled or given notice, saves its work, and goes where it begins soonest.
fn endless(cpu_cores: u32, sites: &[&str]) -> JobSpec {
    JobSpec {
        command: vec!["wait".to_owned()],
        cpu_cores,
        objective: Objective::SOONEST,
        sites_allowed: sites.iter().map(|site| site.parse().unwrap()).collect(),
        checkpoint: Some(Checkpoint { on_signal: true, every_s: None }),
        ..spec()
    }
}

fn sharing(treaty: &mut Treaty) {
    treaty.sharing = Some(Sharing { grace_s: 7, ..Sharing::default() });
}

async fn open() -> World {
    let world = World::under(sharing).await;
    world.run();
    // The members have told each other of their sites.
    tokio::time::sleep(Duration::from_secs(6)).await;
    world
}

async fn submitted(node: &TestNode, spec: &JobSpec) -> JobId {
    node.submit("ada", spec).await.ok()["id"].as_str().unwrap().parse().unwrap()
}

async fn running(node: &TestNode, spec: &JobSpec) -> JobId {
    let job = submitted(node, spec).await;
    node.wait_for("ada", &job.to_string(), "running").await;
    job
}

async fn cancelled(node: &TestNode, job: JobId) -> Value {
    node.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await.ok();
    node.wait_for("ada", &job.to_string(), "cancelled").await
}

async fn shown(node: &TestNode, job: JobId) -> Value {
    node.get("ada", &format!("/v1/jobs/{job}")).await.ok()
}

async fn why(node: &TestNode, job: JobId) -> Value {
    node.get("ada", &format!("/v1/jobs/{job}/why")).await.ok()
}

/// Waits until a job runs at a site.
async fn runs_at(node: &TestNode, job: JobId, site: &str) -> Value {
    for _ in 0..1200 {
        let told = shown(node, job).await;
        if told["site"] == site && told["state"] == "running" {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it does not run at {site}: {} {}", shown(node, job).await, why(node, job).await);
}

fn attempt(job: JobId, attempt: u32) -> RunId {
    RunId { job, attempt }
}

fn has_entry(node: &TestNode, kind: &str, job: JobId) -> bool {
    node.node.store.read(|store| audit::find_entry(store, kind, &job.to_string())).unwrap().is_some()
}

/// A guest of Canada in Jülich, which saves its work; Québec is full of one job of its own.
async fn guest_in_juelich(world: &World, spec: &JobSpec) -> (JobId, JobId) {
    let filler = running(&world.ca, &endless(QUEBEC, &["quebec-hydro"])).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let guest = submitted(&world.ca, spec).await;
    runs_at(&world.ca, guest, "juelich").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    (filler, guest)
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_had_to_leave_goes_home_when_its_turn_has_come_there_with_what_it_saved() {
    let world = open().await;
    let (filler, guest) = guest_in_juelich(&world, &endless(8, &["quebec-hydro", "juelich"])).await;
    running(&world.de, &endless(JUELICH, &["juelich"])).await;
    let waits = world.ca.wait_for("ada", &guest.to_string(), "admitted").await;
    assert_eq!((&waits["site"], &waits["attempt"]), (&json!("juelich"), &json!(2)), "home is full");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(shown(&world.ca, guest).await["site"], "juelich", "at home it would wait as well");

    cancelled(&world.ca, filler).await;
    let there = runs_at(&world.ca, guest, "quebec-hydro").await;
    assert_eq!((&there["attempt"], &there["host"]), (&json!(3), &json!("ca")));
    let kinds: Vec<&str> = there["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ended| ended["exit"]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["reclaimed", "cancelled"], "{there}");
    let (_, saved) = world.ca.engine.came_with(attempt(guest, 3)).expect("it came with what it saved");
    assert_eq!(String::from_utf8(saved).unwrap(), format!("what {guest} saved"));
    assert!(has_entry(&world.ca, "job.taken-back", guest));
    assert!(has_entry(&world.de, "job.handed-back", guest));
    world.de.until("what it saved is gone there", |_| world.de.engine.is_checkpoint_wiped(guest)).await;

    let dossier = why(&world.ca, guest).await;
    let moved = &dossier["moved"][0];
    assert_eq!(
        (&moved["site"], &moved["why"], &moved["with_saved"], &moved["attempt"]),
        (&json!("juelich"), &json!("owed"), &json!(true), &json!(2))
    );
    assert!(dossier["first_decided_at"].as_str() < dossier["decided_at"].as_str(), "{dossier}");
    let standing = world.ca.get("ada", &format!("/v1/jobs/{guest}/standing")).await.ok();
    assert_eq!(
        (&standing["is_late"], &standing["submitted_at"]),
        (&json!(false), &dossier["first_decided_at"])
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_job_cost_where_it_was_is_paid_and_the_rest_set_aside_anew() {
    let world = open().await;
    let (filler, guest) = guest_in_juelich(&world, &endless(8, &["quebec-hydro", "juelich"])).await;
    cancelled(&world.ca, filler).await;
    let before = account(&world.ca);
    running(&world.de, &endless(JUELICH, &["juelich"])).await;
    runs_at(&world.ca, guest, "quebec-hydro").await;
    let receipts = world.ca.node.store.read(|store| ledger::receipts_of(store, guest)).unwrap();
    let first = receipts[0].peek_unverified().unwrap();
    let there = account(&world.ca);
    assert!(first.price_micro > 0);
    assert_eq!(there.posted(), before.posted() + first.price_micro, "paid for Jülich");
    let done = cancelled(&world.ca, guest).await;
    let end = account(&world.ca);
    assert_eq!((end.pending(), done["price_micro"].as_i64().unwrap()), (0, end.posted() - before.posted()));
    let [ours, theirs] = [&world.ca, &world.de]
        .map(|node| node.node.store.read(|store| ledger::receipts_of(store, guest)).unwrap());
    assert_eq!((ours.len(), theirs.len()), (3, 2), "each side has those that it is part of");
    assert_eq!(ours[..2], theirs[..]);
}

fn account(node: &TestNode) -> sta_decide::ledger::Account {
    let digits = "digits".parse().unwrap();
    node.node.store.read(|store| ledger::account(store, &digits)).unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_abroad_comes_home_once_it_would_run_there_by_now() {
    let world = open().await;
    let filler = running(&world.ca, &endless(QUEBEC, &["quebec-hydro"])).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    // Jülich says that it has room, and has none a moment later.
    let owner = running(&world.de, &endless(JUELICH, &["juelich"])).await;
    let guest = submitted(&world.ca, &endless(8, &["quebec-hydro", "juelich"])).await;
    world.ca.wait_for("ada", &guest.to_string(), "admitted").await;
    assert_eq!(shown(&world.ca, guest).await["site"], "juelich");
    cancelled(&world.ca, filler).await;
    let there = runs_at(&world.ca, guest, "quebec-hydro").await;
    assert_eq!(there["attempt"], 2);
    assert_eq!(world.ca.engine.came_with(attempt(guest, 2)), None, "it had nothing to save");
    let waited = hosted_at(&world.de, guest).expect("the host knows of it");
    assert_eq!(waited.state, hosted::HostState::Finished);
    cancelled(&world.de, owner).await;
}

fn hosted_at(node: &TestNode, job: JobId) -> Option<hosted::HostedJob> {
    node.node.store.read(|store| hosted::find(store, job)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_at_home_goes_where_there_is_room_as_long_as_it_would_wait_alone_too() {
    let world = open().await;
    let owner = running(&world.de, &endless(JUELICH, &["juelich"])).await;
    let filler = running(&world.ca, &endless(QUEBEC, &["quebec-hydro"])).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let both = ["quebec-hydro", "juelich"];
    let job = submitted(&world.ca, &JobSpec { objective: Objective::CLEANEST, ..endless(8, &both) }).await;
    world.ca.wait_for("ada", &job.to_string(), "admitted").await;
    assert_eq!(shown(&world.ca, job).await["site"], "quebec-hydro");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(shown(&world.ca, job).await["site"], "quebec-hydro", "nobody has room");
    cancelled(&world.de, owner).await;
    let there = runs_at(&world.ca, job, "juelich").await;
    assert_eq!(
        (&there["attempt"], &why(&world.ca, job).await["moved"][0]["why"]),
        (&json!(2), &json!("sooner"))
    );
    cancelled(&world.ca, filler).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_comes_back_to_a_site_that_it_left_before() {
    let world = open().await;
    // Jülich is full and says that nobody waits there.
    world.de.engine.expect_waits(0);
    running(&world.de, &endless(JUELICH, &["juelich"])).await;
    let filler = running(&world.ca, &endless(QUEBEC, &["quebec-hydro"])).await;
    let both = ["quebec-hydro", "juelich"];
    let job = submitted(&world.ca, &JobSpec { objective: Objective::CLEANEST, ..endless(8, &both) }).await;
    world.ca.wait_for("ada", &job.to_string(), "admitted").await;
    assert_eq!(shown(&world.ca, job).await["site"], "quebec-hydro");
    world.de.until("it is in Jülich", |_| hosted_at(&world.de, job).is_some()).await;
    assert_eq!(hosted_at(&world.ca, job).unwrap().state, hosted::HostState::Finished);
    cancelled(&world.ca, filler).await;
    let there = runs_at(&world.ca, job, "quebec-hydro").await;
    assert_eq!(there["attempt"], 3);
    let moved = why(&world.ca, job).await["moved"].clone();
    assert_eq!([&moved[0]["why"], &moved[1]["why"]], [&json!("sooner"), &json!("owed")]);
    assert_eq!(world.de.engine.taken().iter().filter(|run| run.job == job).count(), 0);
    assert_eq!(world.ca.engine.taken().iter().filter(|run| run.job == job).count(), 1, "it runs once");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_leave_keeps_the_job_where_it_is_and_the_dossier_says_why() {
    let world = open().await;
    let weights = JobSpec {
        outputs_weights: vec!["model.json".to_owned()],
        ..endless(8, &["quebec-hydro", "juelich"])
    };
    let (filler, guest) = guest_in_juelich(&world, &weights).await;
    let owner = running(&world.de, &endless(JUELICH, &["juelich"])).await;
    world.ca.wait_for("ada", &guest.to_string(), "admitted").await;
    cancelled(&world.ca, filler).await;
    world.ca.until("it stays", |_| has_entry(&world.ca, "job.stays", guest)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let dossier = why(&world.ca, guest).await;
    assert_eq!(dossier["moved"].as_array().unwrap().len(), 1, "it is asked for once: {dossier}");
    assert_eq!(dossier["moved"][0]["kept_by"][0]["rule"], "OUT-001");
    assert_eq!(shown(&world.ca, guest).await["site"], "juelich");
    cancelled(&world.de, owner).await;
    assert_eq!(runs_at(&world.ca, guest, "juelich").await["attempt"], 2, "it goes on there");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_its_researcher_cancels_while_home_asks_for_it_is_over_and_paid() {
    let world = open().await;
    let (filler, guest) = guest_in_juelich(&world, &endless(8, &["quebec-hydro", "juelich"])).await;
    running(&world.de, &endless(JUELICH, &["juelich"])).await;
    world.ca.wait_for("ada", &guest.to_string(), "admitted").await;
    cancelled(&world.ca, filler).await;
    world.de.until("it is handed back", |_| has_entry(&world.de, "job.handed-back", guest)).await;
    let done = cancelled(&world.ca, guest).await;
    assert_eq!(done["state"], "cancelled");
    let account = account(&world.ca);
    assert_eq!(account.pending(), 0, "nothing stays set aside");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(shown(&world.ca, guest).await["state"], "cancelled", "and nothing follows");
    let begun = world.ca.engine.taken().into_iter().filter(|run| run.job == guest).count();
    assert!(begun <= 1, "at most where it was placed anew before the word came");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_comes_home_has_its_place_before_those_that_run_only_because_it_was_away() {
    let world = open().await;
    let (filler, guest) = guest_in_juelich(&world, &endless(36, &["quebec-hydro", "juelich"])).await;
    // Alone, the guest would begin as the filler ends, and this one would wait behind it.
    let later = submitted(&world.ca, &endless(40, &["quebec-hydro"])).await;
    cancelled(&world.ca, filler).await;
    world.ca.wait_for("ada", &later.to_string(), "running").await;
    running(&world.de, &endless(JUELICH, &["juelich"])).await;
    let there = runs_at(&world.ca, guest, "quebec-hydro").await;
    assert_eq!(there["attempt"], 3);
    let stopped = shown(&world.ca, later).await;
    assert_eq!((&stopped["state"], &stopped["attempt"]), (&json!("admitted"), &json!(2)), "{stopped}");
    assert_eq!(stopped["waiting_for"], "room at quebec-hydro; it goes on there from what it saved");
    assert_eq!(world.ca.engine.notices(), [(attempt(later, 1), Duration::from_secs(7))]);
    cancelled(&world.ca, guest).await;
    assert_eq!(runs_at(&world.ca, later, "quebec-hydro").await["attempt"], 2);
    let standing = world.ca.get("otto", "/v1/standing").await.ok();
    assert_eq!(standing["balances"][0]["members"][0]["violations"], 0, "{standing}");
}

#[tokio::test(start_paused = true)]
async fn nobody_stops_for_a_job_that_never_left() {
    let world = open().await;
    let first = running(&world.ca, &endless(40, &["quebec-hydro"])).await;
    let second = submitted(&world.ca, &endless(40, &["quebec-hydro"])).await;
    let third = submitted(&world.ca, &endless(24, &["quebec-hydro"])).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.ca.wait_for("ada", &second.to_string(), "admitted").await;
    cancelled(&world.ca, first).await;
    world.ca.wait_for("ada", &second.to_string(), "running").await;
    world.ca.wait_for("ada", &third.to_string(), "running").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.ca.engine.notices().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_other_member_has_a_job_that_was_handed_back_and_no_attempt_is_without_bound() {
    let world = open().await;
    let (filler, guest) = guest_in_juelich(&world, &endless(8, &["quebec-hydro", "juelich"])).await;
    running(&world.de, &endless(JUELICH, &["juelich"])).await;
    cancelled(&world.ca, filler).await;
    runs_at(&world.ca, guest, "quebec-hydro").await;
    let spec = endless(1, &["juelich"]);
    let offered = |attempt| offered_as(&world.fr, &world.de, (guest, attempt), spec.clone(), Vec::new(), &[]);
    assert_eq!(offered(7).await["refused"][0]["rule"], "REQ-004", "it is Canada's");
    assert_eq!(offered(5000).await["refused"][0]["rule"], "DOC-001");
    assert_eq!(hosted_at(&world.de, guest).unwrap().home, world.ca.id());
    let path = format!("/federation/v1/jobs/{guest}/outputs/.sta-checkpoint-2.tar");
    let answer = world.de.answer(&world.fr.signing(&world.de, Method::GET, &path)).await;
    assert_eq!(answer.rule().as_deref(), Some("REQ-001"), "nor what it saved");
}

#[tokio::test(start_paused = true)]
async fn what_a_job_saved_comes_from_its_host_also_where_home_has_such_a_file_for_something_else() {
    let world = open().await;
    let (filler, guest) = guest_in_juelich(&world, &endless(8, &["quebec-hydro", "juelich"])).await;
    let other: &'static [u8] = Box::leak(format!("what {guest} saved").into_bytes().into_boxed_slice());
    world.ca.upload("eve", other).await;
    running(&world.de, &endless(JUELICH, &["juelich"])).await;
    cancelled(&world.ca, filler).await;
    runs_at(&world.ca, guest, "quebec-hydro").await;
    let (_, came) = world.ca.engine.came_with(attempt(guest, 3)).expect("what it saved");
    assert_eq!(came, other);
    assert_eq!(world.ca.node.metrics.file_bytes_fetched.get(), other.len() as u64, "its host sent it");
}

#[tokio::test(start_paused = true)]
async fn a_host_is_not_asked_without_end_for_a_job_that_it_says_has_begun() {
    let world = open().await;
    // A cluster has the guest in its own queue: to home it waits, and to its host it has been handed over.
    world.de.engine.order_jobs_itself();
    let filler = running(&world.ca, &endless(QUEBEC, &["quebec-hydro"])).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let pending = JobSpec { command: vec!["pend".to_owned()], ..endless(8, &["quebec-hydro", "juelich"]) };
    let guest = submitted(&world.ca, &pending).await;
    world.de.until("it is handed over", |_| world.de.engine.taken().contains(&attempt(guest, 1))).await;
    cancelled(&world.ca, filler).await;
    tokio::time::sleep(Duration::from_secs(1800)).await;
    let asked: u32 = world
        .de
        .node
        .store
        .read(|store| {
            let sql =
                "SELECT COUNT(*) FROM idempotency WHERE member = 'ca' AND CAST(body AS TEXT) LIKE '%begun%'";
            Ok(store.query_row(sql, [], |row| row.get(0)).unwrap())
        })
        .unwrap();
    assert!((3..=10).contains(&asked), "asked {asked} times in half an hour");
    cancelled(&world.ca, guest).await;
}
