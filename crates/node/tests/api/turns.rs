// SPDX-License-Identifier: Apache-2.0
//! Guests of several members at one full site: whose turn is next, by what their members lent each other.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use sta_protocol::{
    ids::JobId,
    job::{Checkpoint, JobSpec},
    treaty::{Resources, Sharing, Treaty},
};

use crate::harness::{HANDED_OVER_MAX, TestNode, World, spec};

/// What each job has that makes room, and each that waits for it, of the 96 cores in Jülich.
const EACH: u32 = 8;
const JUELICH: u32 = 96;
/// Longer than from one reckoning of the books to the next.
const RECKONED: Duration = Duration::from_secs(8);
const QUANTUM_MS: u64 = 900_000;

/// A job for Jülich that runs until it is cancelled or given notice.
fn endless(cpu_cores: u32) -> JobSpec {
    JobSpec {
        command: vec!["wait".to_owned()],
        cpu_cores,
        sites_allowed: vec!["juelich".parse().unwrap()],
        checkpoint: Some(Checkpoint { on_signal: true, every_s: None }),
        ..spec()
    }
}

/// Guests may have all of Jülich that its owner leaves. Canada has 64 cores, Germany 96 and 128, France nothing.
fn sharing(treaty: &mut Treaty) {
    without_sharing(treaty);
    treaty.sharing = Some(Sharing { grace_s: 7, ..Sharing::default() });
}

fn without_sharing(treaty: &mut Treaty) {
    treaty.sharing = None;
    let juelich = treaty.sites.iter_mut().find(|site| site.id.as_str() == "juelich").unwrap();
    juelich.guest_share_percent = 100;
}

/// Canada and France have two cores each, and Germany 96 in Jülich and eight elsewhere, which it does not use.
fn two_small_members(treaty: &mut Treaty) {
    sharing(treaty);
    let cores = |of: Resources, cpu_cores| Resources { cpu_cores, ..of };
    for site in &mut treaty.sites {
        match site.id.as_str() {
            "quebec-hydro" => site.resources = cores(site.resources, 2),
            "frankfurt-cloud" => site.resources = cores(site.resources, EACH),
            _ => {}
        }
    }
    let juelich = treaty.sites.iter().find(|site| site.id.as_str() == "juelich").unwrap();
    let mut french = juelich.clone();
    french.id = "saclay".parse().unwrap();
    french.member = "fr".parse().unwrap();
    french.resources = cores(french.resources, 2);
    treaty.sites.push(french);
}

async fn open(terms: fn(&mut Treaty)) -> World {
    let world = World::under(terms).await;
    world.run();
    world
}

async fn submitted(node: &TestNode, spec: &JobSpec) -> JobId {
    let job = node.submit("ada", spec).await.ok();
    let id = job["id"].as_str().unwrap();
    node.wait_for("ada", id, "admitted").await;
    id.parse().unwrap()
}

async fn running(node: &TestNode, spec: &JobSpec) -> JobId {
    let job = node.submit("ada", spec).await.ok();
    let id = job["id"].as_str().unwrap();
    node.wait_for("ada", id, "running").await;
    id.parse().unwrap()
}

async fn cancelled(node: &TestNode, job: JobId) {
    node.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await.ok();
    node.wait_for("ada", &job.to_string(), "cancelled").await;
}

/// A member's credits for cores, as a node knows them.
async fn credits_ms(node: &TestNode, member: &str) -> u64 {
    let standing = node.get("otto", "/v1/standing").await.ok();
    let cores = standing["balances"].as_array().unwrap().iter().find(|of| of["processors"] == "cores");
    let members = cores.unwrap()["members"].as_array().unwrap();
    members.iter().find(|of| of["member"] == member).unwrap()["credits_ms"].as_u64().unwrap()
}

/// The owner fills Jülich, so that so many of its jobs can make room one by one.
async fn full(world: &World, rooms: u32) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for _ in 0..rooms {
        jobs.push(running(&world.de, &endless(EACH)).await);
    }
    running(&world.de, &endless(JUELICH - rooms * EACH)).await;
    jobs
}

/// Jobs that wait in Jülich, each of them admitted after the one before.
async fn waiting(node: &TestNode, count: usize) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for _ in 0..count {
        jobs.push(submitted(node, &endless(EACH)).await);
    }
    jobs
}

/// In which order guests begin as one job of the owner after the other makes room.
async fn begun(world: &World, rooms: Vec<JobId>) -> Vec<JobId> {
    let taken = || world.de.engine.taken().into_iter().map(|run| run.job).collect::<BTreeSet<JobId>>();
    let (mut known, mut order) = (taken(), Vec::new());
    for owner in rooms {
        cancelled(&world.de, owner).await;
        world.de.until("a guest began", |_| taken().len() > known.len()).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = taken();
        let new: Vec<JobId> = now.difference(&known).copied().collect();
        assert_eq!(new.len(), 1, "there is room for one");
        order.extend(new);
        known = now;
    }
    order
}

#[tokio::test(start_paused = true)]
async fn a_member_that_floods_the_line_does_not_keep_the_other_waiting_behind_all_of_it() {
    let world = open(sharing).await;
    let rooms = full(&world, 4).await;
    let flood = waiting(&world.ca, 6).await;
    let other = waiting(&world.fr, 2).await;
    tokio::time::sleep(RECKONED).await;
    // France has no site and no credits: it may have what the others leave, and a first turn. Canada may have what nobody wants.
    assert_eq!(begun(&world, rooms).await, [flood[0], other[0], flood[1], flood[2]]);
}

#[tokio::test(start_paused = true)]
async fn members_with_credits_alike_have_their_turns_one_by_one_and_keep_their_own_order() {
    let world = open(two_small_members).await;
    let rooms = full(&world, 5).await;
    let flood = waiting(&world.fr, 5).await;
    let other = waiting(&world.ca, 2).await;
    tokio::time::sleep(RECKONED).await;
    let order = [flood[0], other[0], flood[1], other[1], flood[2]];
    assert_eq!(begun(&world, rooms).await, order, "each contributes two cores, and nobody borrowed yet");
}

#[tokio::test(start_paused = true)]
async fn who_has_more_credits_is_served_first_and_more_where_both_want_more_than_there_is() {
    let world = open(two_small_members).await;
    // In the first quantum France has 40 cores, 38 of them borrowed: 154 of its 192 quanta of a core are left.
    let borrowed = running(&world.fr, &endless(40)).await;
    tokio::time::sleep(Duration::from_millis(QUANTUM_MS)).await;
    cancelled(&world.fr, borrowed).await;
    let (canada, france) = (credits_ms(&world.de, "ca").await, credits_ms(&world.de, "fr").await);
    assert_eq!(france, 154 * QUANTUM_MS);
    assert!((192 * QUANTUM_MS..194 * QUANTUM_MS).contains(&canada), "it lent of its two: {canada}");
    let rooms = full(&world, 6).await;
    let french = waiting(&world.fr, 3).await;
    let canadian = waiting(&world.ca, 5).await;
    tokio::time::sleep(RECKONED).await;
    // Canada may have its two cores and all that Germany does not want, at least eight more; France its two: five turns for one.
    let order = [canadian[0], french[0], canadian[1], canadian[2], canadian[3], canadian[4]];
    assert_eq!(begun(&world, rooms).await, order, "the French were admitted first");
}

#[tokio::test(start_paused = true)]
async fn a_site_that_orders_its_jobs_itself_is_handed_guests_in_the_same_turns() {
    let world = World::under(two_small_members).await;
    world.de.engine.order_jobs_itself();
    world.run();
    let mut rooms = Vec::new();
    for _ in 0..HANDED_OVER_MAX {
        rooms.push(running(&world.de, &endless(1)).await);
    }
    rooms.truncate(3);
    let flood = waiting(&world.fr, 4).await;
    let other = waiting(&world.ca, 1).await;
    tokio::time::sleep(RECKONED).await;
    assert_eq!(begun(&world, rooms).await, [flood[0], other[0], flood[1]], "it has as many as it may have");
}

#[tokio::test(start_paused = true)]
async fn guests_of_one_member_are_served_as_they_were_admitted() {
    let world = open(sharing).await;
    let rooms = full(&world, 3).await;
    let jobs = waiting(&world.ca, 3).await;
    tokio::time::sleep(RECKONED).await;
    assert_eq!(begun(&world, rooms).await, jobs);
}

#[tokio::test(start_paused = true)]
async fn where_the_treaty_has_no_sharing_all_guests_are_served_as_they_were_admitted() {
    let world = open(without_sharing).await;
    let rooms = full(&world, 4).await;
    let mut jobs = waiting(&world.ca, 3).await;
    jobs.extend(waiting(&world.fr, 1).await);
    tokio::time::sleep(RECKONED).await;
    assert_eq!(begun(&world, rooms).await, jobs);
}
