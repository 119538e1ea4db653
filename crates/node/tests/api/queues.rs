// SPDX-License-Identifier: Apache-2.0
//! Sites that order their jobs themselves: they are given what waits, and only what they name is looked at.

use std::time::Duration;

use serde_json::json;
use sta_protocol::job::JobSpec;

use crate::harness::{TestNode, World, spec};

#[tokio::test(start_paused = true)]
async fn a_site_with_a_queue_is_given_more_than_it_has_room_for_and_looked_at_where_it_says() {
    let world = World::open().await;
    world.ca.engine.order_jobs_itself();
    world.run();
    let whole = world.ca.node.treaty.site(&"quebec-hydro".parse().unwrap()).unwrap().resources;
    let mut endless = spec();
    endless.command = vec!["wait".to_owned()];
    endless.cpu_cores = whole.cpu_cores;
    endless.time_limit_s = 10;
    endless.sites_allowed = vec!["quebec-hydro".parse().unwrap()];
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.ca.submit("ada", &endless).await.ok()["id"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        world.ca.wait_for("ada", id, "running").await;
    }
    let looks = world.ca.engine.looks();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(world.ca.engine.looks(), looks, "nothing moved, and nobody asked");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.ca.engine.looks(), looks + 4, "all of them once a minute");
    world.ca.post("ada", &format!("/v1/jobs/{}/cancel", ids[2]), &json!({})).await.ok();
    world.ca.wait_for("ada", &ids[2], "cancelled").await;
    assert_eq!(world.ca.engine.looks(), looks + 5, "the one that it named");
}

#[tokio::test(start_paused = true)]
async fn a_site_without_a_queue_is_given_what_it_has_room_for() {
    let world = World::open().await;
    world.run();
    let whole = world.ca.node.treaty.site(&"quebec-hydro".parse().unwrap()).unwrap().resources;
    let mut endless = spec();
    endless.command = vec!["wait".to_owned()];
    endless.cpu_cores = whole.cpu_cores;
    endless.time_limit_s = 10;
    endless.sites_allowed = vec!["quebec-hydro".parse().unwrap()];
    let first = world.ca.submit("ada", &endless).await.ok()["id"].as_str().unwrap().to_owned();
    world.ca.wait_for("ada", &first, "running").await;
    let second = world.ca.submit("ada", &endless).await.ok()["id"].as_str().unwrap().to_owned();
    world.ca.wait_for("ada", &second, "admitted").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.ca.engine.taken().len(), 1);
    world.ca.post("ada", &format!("/v1/jobs/{first}/cancel"), &json!({})).await.ok();
    world.ca.wait_for("ada", &second, "running").await;
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_before_one_without_room_only_where_that_ones_turn_stays_where_it_is() {
    let world = World::open().await;
    world.run();
    let whole = world.ca.node.treaty.site(&"quebec-hydro".parse().unwrap()).unwrap().resources.cpu_cores;
    let wanting = |cpu_cores: u32, time_limit_s: u32| {
        let (command, sites_allowed) = (vec!["wait".to_owned()], vec!["quebec-hydro".parse().unwrap()]);
        JobSpec { command, cpu_cores, time_limit_s, sites_allowed, ..spec() }
    };
    // All but two cores are held for 600 s; then the second has its turn, and leaves one core.
    let first = submitted(&world.ca, &wanting(whole - 2, 600)).await;
    world.ca.wait_for("ada", &first, "running").await;
    let large = submitted(&world.ca, &wanting(whole - 1, 600)).await;
    world.ca.wait_for("ada", &large, "admitted").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let wide_and_long = submitted(&world.ca, &wanting(2, 601)).await;
    // So many that the next stands where only every now and then a look goes.
    for _ in 0..40 {
        submitted(&world.ca, &wanting(whole, 601)).await;
    }
    let narrow_and_long = submitted(&world.ca, &wanting(1, 6_000)).await;
    world.ca.wait_for("ada", &narrow_and_long, "running").await;
    let short = submitted(&world.ca, &wanting(1, 300)).await;
    world.ca.wait_for("ada", &short, "running").await;
    for waits in [&large, &wide_and_long] {
        world.ca.wait_for("ada", waits, "admitted").await;
    }
    assert_eq!(world.ca.engine.taken().len(), 3, "it is not done when the large one's turn comes");
    for over in [&first, &short] {
        world.ca.post("ada", &format!("/v1/jobs/{over}/cancel"), &json!({})).await.ok();
    }
    world.ca.wait_for("ada", &large, "running").await;
    world.ca.wait_for("ada", &wide_and_long, "admitted").await;
}

async fn submitted(node: &TestNode, spec: &JobSpec) -> String {
    node.submit("ada", spec).await.ok()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn what_a_sites_engine_expects_a_job_to_wait_is_known_at_other_members() {
    let world = World::open().await;
    world.ca.engine.expect_waits(7);
    world.de.engine.expect_waits(3);
    world.run();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let job = world.ca.submit("ada", &spec()).await.ok();
    let why = world.ca.get("ada", &format!("/v1/jobs/{}/why", job["id"].as_str().unwrap())).await.ok();
    let wait_of = |site: &str| {
        let candidates = why["candidates"].as_array().unwrap();
        candidates.iter().find(|candidate| candidate["site"] == site).unwrap()["wait_s"].as_u64().unwrap()
    };
    assert_eq!(wait_of("quebec-hydro"), 14, "the node's own engine is asked for this very job");
    // Of a member's site the smallest size is known that the job fits into: a 64th part of it.
    let part =
        world.ca.node.treaty.site(&"juelich".parse().unwrap()).unwrap().resources.cpu_cores.div_ceil(64);
    assert_eq!(wait_of("juelich"), u64::from(part) * 3);
}
