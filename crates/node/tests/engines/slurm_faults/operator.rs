// SPDX-License-Identifier: Apache-2.0
//! What the site's operator does to a job: hold it, end it, put it back into the queue, shorten its time.

use std::time::Duration;

use sta_node::engines::{Engine, Exit, Observation};

use super::{BadSite, HonestJob, on_both_majors};

on_both_majors! {
    a_job_that_the_operator_holds_waits_and_says_so
    a_job_that_the_operator_ends_is_the_sites_fault
    a_running_job_that_the_operator_puts_back_into_the_queue_does_not_run_again
    a_job_that_was_put_back_before_anybody_saw_it_run_does_not_run_again
    a_job_whose_time_to_begin_the_operator_set_waits
    a_job_that_defeats_its_own_timer_is_ended_by_slurm
}

async fn the_only_id(site: &BadSite, job: &HonestJob) -> String {
    let ids = site.slurm_ids(job).await;
    assert_eq!(ids.len(), 1);
    ids[0].clone()
}

async fn a_job_that_the_operator_holds_waits_and_says_so(site: BadSite) {
    let engine = site.open();
    let node = format!("node:{}", site.node(0));
    site.fault("drain", &node).await;
    let job = site.job(200, 0).on(site.node(0));
    engine.submit(&job.job).await.unwrap();
    let id = the_only_id(&site, &job).await;
    site.operate(&["scontrol", "hold", &id]).await;
    site.fault("resume", &node).await;
    job.waits_because(&engine, "the site's operator holds the job").await;
    site.operate(&["scontrol", "release", &id]).await;
    job.ends(&engine, 0).await;
}

async fn a_job_that_the_operator_ends_is_the_sites_fault(site: BadSite) {
    let engine = site.open();
    let (runs, waits) = (site.job(60_000, 0), site.job(200, 0).on(site.node(0)));
    let node = format!("node:{}", site.node(0));
    site.fault("drain", &node).await;
    engine.submit(&runs.job).await.unwrap();
    engine.submit(&waits.job).await.unwrap();
    runs.wrote("alive").await;
    for job in [&runs, &waits] {
        let id = the_only_id(&site, job).await;
        site.operate(&["scancel", &id]).await;
    }
    runs.is_failed_by_the_site(&engine, "the site cancelled the job").await;
    let never_ran = crate::engines::finished(&engine, waits.job.id).await;
    assert_eq!(never_ran.exit, Exit::SiteFault("the site cancelled the job".to_owned()));
    assert_eq!((never_ran.usage.wall_ms, waits.lines()), (0, Vec::new()));
    site.fault("resume", &node).await;
}

async fn a_running_job_that_the_operator_puts_back_into_the_queue_does_not_run_again(site: BadSite) {
    let engine = site.open();
    let job = site.job(60_000, 0);
    engine.submit(&job.job).await.unwrap();
    job.wrote("alive").await;
    let id = the_only_id(&site, &job).await;
    let wanted = format!("JobId={id}");
    site.operate(&["scontrol", "update", &wanted, "Requeue=1"]).await;
    site.operate(&["scontrol", "requeue", &id]).await;
    job.is_failed_by_the_site(&engine, "the site put the job back into its queue while it ran").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = site.operate(&["squeue", "-h", "-j", &id, "-t", "PD,R", "-o", "%T"]).await;
    assert_eq!((left.as_str(), job.count("begin")), ("", 1));
}

async fn a_job_that_was_put_back_before_anybody_saw_it_run_does_not_run_again(site: BadSite) {
    let engine = site.open();
    let node = format!("node:{}", site.node(0));
    site.fault("drain", &node).await;
    let job = site.job(60_000, 0).on(site.node(0));
    engine.submit(&job.job).await.unwrap();
    let id = the_only_id(&site, &job).await;
    drop(engine);
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.fault("resume", &node).await;
    job.wrote("alive").await;
    site.operate(&["scontrol", "update", &format!("JobId={id}"), "Requeue=1"]).await;
    site.operate(&["scontrol", "requeue", &id]).await;
    let engine = site.open();
    job.is_failed_by_the_site(&engine, "the site put the job back into its queue while it ran").await;
}

async fn a_job_whose_time_to_begin_the_operator_set_waits(site: BadSite) {
    let engine = site.open();
    let node = format!("node:{}", site.node(0));
    site.fault("drain", &node).await;
    let job = site.job(200, 0).on(site.node(0));
    engine.submit(&job.job).await.unwrap();
    let id = the_only_id(&site, &job).await;
    let wanted = format!("JobId={id}");
    site.operate(&["scontrol", "update", &wanted, "StartTime=now+1hour"]).await;
    site.fault("resume", &node).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let reason = site.operate(&["squeue", "-h", "-j", &id, "-o", "%r"]).await;
    let seen = engine.observe(job.job.id).await.unwrap();
    assert!(
        reason.trim() == "BeginTime" && matches!(seen, Observation::Pending { .. }),
        "{reason}, {seen:?}"
    );
    site.operate(&["scontrol", "update", &wanted, "StartTime=now"]).await;
    job.ends(&engine, 0).await;
}

async fn a_job_that_defeats_its_own_timer_is_ended_by_slurm(site: BadSite) {
    let engine = site.open();
    let mut job = site.job(200_000, 0);
    let defeat = "for pid in $(ps -u $(id -u) -o pid= -o args= | sed -n 's/^ *\\([0-9]*\\) sleep 7001$/\\1/p'); do kill -STOP $(ps -o ppid= -p $pid) $pid; done\n";
    job.job.command[2].insert_str(0, defeat);
    job.job.time_limit_s = 7_001;
    engine.submit(&job.job).await.unwrap();
    job.wrote("alive").await;
    let id = the_only_id(&site, &job).await;
    site.operate(&["scontrol", "update", &format!("JobId={id}"), "TimeLimit=1"]).await;
    let outcome = job.outcome(&engine).await;
    assert_eq!(outcome.exit, Exit::TimeLimit, "{outcome:?}");
}
