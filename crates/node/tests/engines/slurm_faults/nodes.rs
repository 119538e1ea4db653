// SPDX-License-Identifier: Apache-2.0
//! Nodes fail, are drained, or are wanted for somebody else's job.

use sta_node::engines::Engine;

use super::{BadSite, on_both_majors};

on_both_majors! {
    a_job_outlives_the_daemon_of_its_node
    a_lost_node_is_the_sites_fault_and_no_other_job_ends
    a_job_for_a_drained_node_waits_and_says_so
    a_preempted_job_is_told_so_and_the_other_runs
}

async fn a_job_outlives_the_daemon_of_its_node(site: BadSite) {
    let engine = site.open();
    let daemon = format!("slurmd:{}", site.node(0));
    let (ends, goes_on) = (site.job(3_000, 5).on(site.node(0)), site.job(7_000, 6).on(site.node(0)));
    engine.submit(&ends.job).await.unwrap();
    engine.submit(&goes_on.job).await.unwrap();
    // A daemon that dies while it starts a job takes it along; these have begun.
    ends.wrote("alive").await;
    goes_on.wrote("alive").await;
    site.fault("kill", &daemon).await;
    ends.wrote("end").await;
    site.fault("start", &daemon).await;
    ends.ends(&engine, 5).await;
    goes_on.ends(&engine, 6).await;
}

async fn a_lost_node_is_the_sites_fault_and_no_other_job_ends(site: BadSite) {
    let engine = site.open();
    let (lost, other) = (site.job(60_000, 0).on(site.node(1)), site.job(6_000, 0).on(site.node(2)));
    engine.submit(&lost.job).await.unwrap();
    engine.submit(&other.job).await.unwrap();
    lost.wrote("alive").await;
    other.runs(&engine).await;
    let node = format!("node:{}", site.node(1));
    site.fault("down", &node).await;
    let reason = format!("the site's node {} failed while the job ran", site.node(1));
    lost.is_failed_by_the_site(&engine, &reason).await;
    other.ends(&engine, 0).await;
    site.fault("resume", &node).await;
}

async fn a_job_for_a_drained_node_waits_and_says_so(site: BadSite) {
    let engine = site.open();
    let node = format!("node:{}", site.node(0));
    site.fault("drain", &node).await;
    let (job, other) = (site.job(200, 0).on(site.node(0)), site.job(200, 0).on(site.node(1)));
    engine.submit(&job.job).await.unwrap();
    engine.submit(&other.job).await.unwrap();
    job.waits_because(&engine, "the nodes it needs are drained, down or reserved").await;
    other.ends(&engine, 0).await;
    site.fault("resume", &node).await;
    job.ends(&engine, 0).await;
}

async fn a_preempted_job_is_told_so_and_the_other_runs(site: BadSite) {
    let engine = site.open();
    let low = site.job(60_000, 0).of("carol").on(site.node(2)).alone();
    engine.submit(&low.job).await.unwrap();
    low.wrote("alive").await;
    let normal = site.job(400, 0).on(site.node(2)).alone();
    engine.submit(&normal.job).await.unwrap();
    low.is_failed_by_the_site(&engine, "the site took the job's place for one of higher priority").await;
    normal.ends(&engine, 0).await;
}
