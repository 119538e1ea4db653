// SPDX-License-Identifier: Apache-2.0
//! The owner of a site goes first: its jobs begin before those of guests, and guests leave where they find no room.

use std::time::Duration;

use serde_json::{Value, json};
use sta_decide::admit::guest_share;
use sta_node::{
    engines::RunId,
    steps::hold,
    store::{audit, hosted, ledger},
};
use sta_protocol::{
    federation::Exit,
    ids::JobId,
    job::{Checkpoint, JobSpec},
    treaty::{Resources, Sharing, Treaty},
};

use crate::harness::{TestNode, World, spec};

/// What the tests' sites have, and what guests may hold of it.
const CORES: u32 = 96;
const OF_GUESTS: u32 = 38;

/// A job for Jülich that runs until it is cancelled or given notice, and saves its work.
fn endless(cpu_cores: u32) -> JobSpec {
    JobSpec {
        command: vec!["wait".to_owned()],
        cpu_cores,
        sites_allowed: vec!["juelich".parse().unwrap()],
        checkpoint: Some(Checkpoint { on_signal: true, every_s: None }),
        ..spec()
    }
}

fn sharing(treaty: &mut Treaty) {
    treaty.sharing = Some(Sharing { grace_s: 7, ..Sharing::default() });
}

async fn open() -> World {
    let world = World::under(sharing).await;
    let (site, _) = world.de.node.own_site(&"juelich".parse().unwrap()).unwrap();
    assert_eq!((site.resources.cpu_cores, guest_share(site).cpu_cores), (CORES, OF_GUESTS));
    world.run();
    world
}

async fn submitted(node: &TestNode, spec: &JobSpec) -> JobId {
    node.submit("ada", spec).await.ok()["id"].as_str().unwrap().parse().unwrap()
}

/// A job that runs, and began later than every other before it.
async fn running(node: &TestNode, spec: &JobSpec) -> JobId {
    let job = submitted(node, spec).await;
    node.wait_for("ada", &job.to_string(), "running").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    job
}

async fn cancelled(node: &TestNode, job: JobId) -> Value {
    node.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await.ok();
    node.wait_for("ada", &job.to_string(), "cancelled").await
}

fn first(job: JobId) -> RunId {
    job.into()
}

#[tokio::test(start_paused = true)]
async fn a_job_of_the_owner_begins_before_a_guest_that_was_admitted_first() {
    let world = open().await;
    let before = running(&world.de, &endless(CORES)).await;
    let guest = submitted(&world.ca, &endless(1)).await;
    world.ca.wait_for("ada", &guest.to_string(), "admitted").await;
    let owner = submitted(&world.de, &endless(CORES)).await;
    world.de.wait_for("ada", &owner.to_string(), "admitted").await;
    cancelled(&world.de, before).await;
    world.de.wait_for("ada", &owner.to_string(), "running").await;
    assert_eq!(world.de.engine.taken(), [first(before), first(owner)], "the guest waits");
    cancelled(&world.de, owner).await;
    world.ca.wait_for("ada", &guest.to_string(), "running").await;
    assert!(world.de.engine.notices().is_empty(), "nobody had to leave");
}

#[tokio::test(start_paused = true)]
async fn the_youngest_guest_leaves_for_the_owner_is_told_why_and_goes_on_when_there_is_room() {
    let world = open().await;
    let old = running(&world.ca, &endless(OF_GUESTS / 2)).await;
    let young = running(&world.ca, &endless(OF_GUESTS / 2)).await;
    let owner = submitted(&world.de, &endless(CORES - OF_GUESTS / 2)).await;
    world.de.wait_for("ada", &owner.to_string(), "running").await;
    assert_eq!(world.de.engine.notices(), [(first(young), Duration::from_secs(7))], "one is enough");
    let told = world.ca.wait_for("ada", &young.to_string(), "admitted").await;
    assert_eq!((&told["attempt"], &told["attempts"][0]["exit"]["kind"]), (&json!(2), &json!("reclaimed")));
    let waits = "room at juelich, whose owner needed its place; it goes on there from what it saved";
    assert_eq!(told["waiting_for"], waits);
    let entry = |kind: &str, node: &TestNode| {
        let found = node.node.store.read(|store| audit::find_entry(store, kind, &young.to_string()));
        found.unwrap().is_some()
    };
    assert!(entry("job.reclaimed", &world.de) && entry("job.attempt-ended", &world.ca));
    assert!(world.de.engine.is_wiped(first(young)) && !world.de.engine.is_checkpoint_wiped(young));

    cancelled(&world.de, owner).await;
    let again = world.ca.wait_for("ada", &young.to_string(), "running").await;
    assert!(again.get("notice_at").is_none(), "{again}");
    assert_eq!(world.ca.wait_for("ada", &old.to_string(), "running").await["attempt"], 1);
    cancelled(&world.ca, young).await;
    world.de.until("what it saved is gone", |_| world.de.engine.is_checkpoint_wiped(young)).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_the_owner_has_all_guests_leave_that_it_needs_at_once() {
    let world = open().await;
    let mut guests = Vec::new();
    for _ in 0..3 {
        guests.push(running(&world.ca, &endless(12)).await);
    }
    let mut owners = Vec::new();
    for _ in 0..3 {
        owners.push(submitted(&world.de, &endless(CORES / 3)).await);
    }
    for owner in owners {
        world.de.wait_for("ada", &owner.to_string(), "running").await;
    }
    let mut left: Vec<RunId> = world.de.engine.notices().into_iter().map(|(run, _)| run).collect();
    left.sort();
    assert_eq!(left, guests.iter().copied().map(first).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn leaving_uses_up_no_attempt_and_what_is_paid_stays_within_what_was_set_aside() {
    let world = open().await;
    let mut other = endless(4);
    other.checkpoint = None;
    let (saving, forgetting) = (running(&world.ca, &endless(4)).await, running(&world.ca, &other).await);
    for attempt in 2..=3 {
        let owner = running(&world.de, &endless(CORES)).await;
        cancelled(&world.de, owner).await;
        for guest in [saving, forgetting] {
            let told = world.ca.wait_for("ada", &guest.to_string(), "running").await;
            assert_eq!(told["attempt"], attempt);
        }
    }
    let prices = |job: JobId| {
        let receipts = world.ca.node.store.read(|store| ledger::receipts_of(store, job)).unwrap();
        let of = |receipt: &sta_protocol::jws::Signed<sta_protocol::federation::Receipt>| {
            let receipt = receipt.peek_unverified().unwrap();
            (receipt.exit, receipt.goes_on, receipt.price_micro)
        };
        receipts.iter().map(of).collect::<Vec<_>>()
    };
    let [paid, unpaid] = [cancelled(&world.ca, saving).await, cancelled(&world.ca, forgetting).await];
    let price = unpaid["price_micro"].as_i64().unwrap();
    let left = (Exit::Reclaimed, true);
    let ended = (Exit::Cancelled, false, price);
    assert_eq!(prices(saving), [(left.0.clone(), true, price), (left.0.clone(), true, price), ended.clone()]);
    assert_eq!(
        prices(forgetting),
        [(left.0.clone(), true, 0), (left.0, true, 0), ended],
        "nothing is left of it"
    );
    assert_eq!(paid["price_micro"], 3 * price);
    let digits = "digits".parse().unwrap();
    let account = world.ca.node.store.read(|store| ledger::account(store, &digits)).unwrap().unwrap();
    assert_eq!((account.pending(), account.posted()), (0, 4 * price));
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_comes_to_its_end_within_the_grace_is_simply_done() {
    let world = open().await;
    let guest = running(&world.ca, &JobSpec { command: vec!["finish".to_owned()], ..endless(4) }).await;
    let owner = submitted(&world.de, &endless(CORES)).await;
    world.de.wait_for("ada", &owner.to_string(), "running").await;
    let done = world.ca.wait_for("ada", &guest.to_string(), "completed").await;
    assert_eq!((&done["attempt"], done.get("notice_at")), (&json!(1), None));
}

#[tokio::test(start_paused = true)]
async fn where_the_treaty_knows_no_notice_nobody_leaves() {
    let world = World::under(|treaty| treaty.sharing = None).await;
    world.run();
    let guest = running(&world.ca, &endless(4)).await;
    let owner = submitted(&world.de, &endless(CORES)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.de.wait_for("ada", &owner.to_string(), "admitted").await;
    world.ca.wait_for("ada", &guest.to_string(), "running").await;
    assert!(world.de.engine.notices().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_guest_uses_what_the_owner_waits_beside_where_no_notice_would_help() {
    let world = open().await;
    // Half of the site is the owner's until its time limit; its next job wants all of it, and no guest can make that room.
    let half = running(&world.de, &endless(CORES / 2)).await;
    let whole = submitted(&world.de, &endless(CORES)).await;
    let guest = submitted(&world.ca, &JobSpec { time_limit_s: 1, ..endless(OF_GUESTS) }).await;
    world.ca.wait_for("ada", &guest.to_string(), "running").await;
    world.de.wait_for("ada", &whole.to_string(), "admitted").await;
    assert!(world.de.engine.notices().is_empty(), "its going would not help");
    cancelled(&world.de, half).await;
    world.de.wait_for("ada", &whole.to_string(), "running").await;
    assert_eq!(world.de.engine.notices().len(), 1, "now it does");
}

#[tokio::test(start_paused = true)]
async fn a_guest_leaves_also_for_a_job_that_would_go_before_another_of_the_owner() {
    let world = open().await;
    running(&world.de, &endless(CORES / 2)).await;
    let guest = running(&world.ca, &endless(OF_GUESTS)).await;
    let whole = submitted(&world.de, &endless(CORES)).await;
    world.de.wait_for("ada", &whole.to_string(), "admitted").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(world.de.engine.notices().is_empty(), "for that one its going would not help");
    let short = submitted(&world.de, &JobSpec { time_limit_s: 1, ..endless(20) }).await;
    world.de.wait_for("ada", &short.to_string(), "running").await;
    assert_eq!(world.de.engine.notices(), [(first(guest), Duration::from_secs(7))]);
    world.de.wait_for("ada", &whole.to_string(), "admitted").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_still_keeps_its_place_and_no_other_leaves_in_vain() {
    let world = open().await;
    let held = running(&world.ca, &endless(4)).await;
    let other = running(&world.ca, &endless(4)).await;
    hold::suspend_job(&world.de.node, held, "STOP-ORDER", Value::Null).await.unwrap();
    let owner = submitted(&world.de, &endless(CORES)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.de.wait_for("ada", &owner.to_string(), "admitted").await;
    assert!(world.de.engine.notices().is_empty(), "all that may leave would not do");
    hold::resume_job(&world.de.node, held, "STOP-ORDER", "stella", Value::Null).await.unwrap();
    world.de.wait_for("ada", &owner.to_string(), "running").await;
    let notices: Vec<RunId> = world.de.engine.notices().into_iter().map(|(run, _)| run).collect();
    assert_eq!(notices, [first(other), first(held)], "the youngest first");
}

#[tokio::test(start_paused = true)]
async fn a_guest_under_notice_that_its_home_takes_back_is_cancelled() {
    let world = open().await;
    let guest = running(&world.ca, &endless(4)).await;
    // Home's word and the owner's burst meet: whichever comes first, the job is over and nothing follows.
    let owner = submitted(&world.de, &endless(CORES)).await;
    let done = cancelled(&world.ca, guest).await;
    assert_eq!(done["exit"]["kind"], "cancelled");
    world.de.wait_for("ada", &owner.to_string(), "running").await;
    let kept = world.de.node.store.read(|store| hosted::find(store, guest)).unwrap().unwrap();
    assert_eq!(kept.state, hosted::HostState::Finished);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_saves_nothing_runs_no_longer_than_the_treaty_lets_it() {
    let limited = |treaty: &mut Treaty| {
        treaty.sharing = Some(Sharing { unsaved_s_max: Some(300), ..Sharing::default() });
    };
    let world = World::under(limited).await;
    world.run();
    let long = JobSpec { checkpoint: None, ..endless(1) };
    let refused = world.ca.submit("ada", &long).await.ok();
    assert_eq!((&refused["state"], &refused["refusals"][0]["rule"]), (&json!("refused"), &json!("CAP-009")));
    let facts = &refused["refusals"][0]["facts"];
    assert_eq!((&facts["wanted_s"], &facts["limit_s"]), (&json!("600"), &json!("300")));
    running(&world.ca, &JobSpec { time_limit_s: 300, ..long.clone() }).await;
    running(&world.ca, &endless(1)).await;
    running(&world.de, &long).await;
}

#[test]
fn resources_are_compared_kind_by_kind() {
    let [some, more] = [1, 2].map(|cpu_cores| Resources { cpu_cores, memory_bytes: 8, gpus: 1 });
    assert!(some.fits_in(more) && !more.fits_in(some) && some.and(some).cpu_cores == more.cpu_cores);
    assert_eq!(some.without(more), Resources::default());
}
