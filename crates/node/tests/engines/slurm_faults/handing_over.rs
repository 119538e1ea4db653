// SPDX-License-Identifier: Apache-2.0
//! The node or the way to the cluster fails between the intention, the submission and its record.

use std::time::Duration;

use sta_node::engines::{Engine, Exit, Observation};

use super::{BadSite, gate::Gate, on_both_majors};
use crate::engines::finished;

on_both_majors! {
    a_submission_that_failed_before_or_after_slurm_took_the_job_runs_it_once
    an_engine_that_ends_before_or_after_slurm_took_the_job_leaves_it_to_the_next
    a_job_that_slurm_was_given_twice_runs_once
    a_job_cancelled_while_nobody_knows_whether_slurm_has_it_ends_cancelled
    without_accounting_a_job_that_may_have_run_is_not_submitted_again
}

async fn a_submission_that_failed_before_or_after_slurm_took_the_job_runs_it_once(site: BadSite) {
    let gate = Gate::new();
    let engine = gate.open(&site);
    for trap in ["fails-before", "fails-after"] {
        let job = site.job(400, 0);
        gate.set(trap);
        let error = engine.submit(&job.job).await.unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot submit a job at the site: the login node went away (it ended with code 255)"
        );
        engine.submit(&job.job).await.unwrap();
        job.ends(&engine, 0).await;
        assert_eq!(site.slurm_ids(&job).await.len(), 1, "{trap}");
    }
}

async fn an_engine_that_ends_before_or_after_slurm_took_the_job_leaves_it_to_the_next(site: BadSite) {
    let gate = Gate::new();
    // Nobody submits the second and the fourth again: the engine itself carries on with what it finds.
    let cases =
        [("hangs-before", true), ("hangs-before", false), ("hangs-after", true), ("hangs-after", false)];
    let mut jobs = Vec::new();
    for (trap, again) in cases {
        let job = site.job(400, 0);
        gate.submit_and_crash(gate.open(&site), &job, trap).await;
        jobs.push((job, trap, again));
    }
    let engine = gate.open(&site);
    for (job, _, again) in &jobs {
        assert!(matches!(engine.observe(job.job.id).await.unwrap(), Observation::Pending { .. }));
        if *again {
            engine.submit(&job.job).await.unwrap();
        }
    }
    for (job, trap, _) in &jobs {
        job.ends(&engine, 0).await;
        assert_eq!(site.slurm_ids(job).await.len(), 1, "{trap}");
    }
}

async fn a_job_that_slurm_was_given_twice_runs_once(site: BadSite) {
    let gate = Gate::new();
    let (short, long) = (site.job(400, 9), site.job(8_000, 8));
    for job in [&short, &long] {
        gate.submit_and_crash(gate.open(&site), job, "late").await;
    }
    let engine = gate.open(&site);
    for job in [&short, &long] {
        engine.submit(&job.job).await.unwrap();
    }
    gate.late().await;
    short.ends(&engine, 9).await;
    long.ends(&engine, 8).await;
    let begun = tokio::time::Instant::now();
    while site.slurm_ids(&short).await.len() + site.slurm_ids(&long).await.len() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(30), "Slurm was to have both jobs twice");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!((short.count("begin"), long.count("begin")), (1, 1));
}

async fn a_job_cancelled_while_nobody_knows_whether_slurm_has_it_ends_cancelled(site: BadSite) {
    let gate = Gate::new();
    for (trap, ids) in [("hangs-before", 0), ("hangs-after", 1)] {
        let job = site.job(30_000, 0);
        gate.submit_and_crash(gate.open(&site), &job, trap).await;
        let engine = gate.open(&site);
        engine.cancel(job.job.id).await.unwrap();
        assert_eq!(finished(&engine, job.job.id).await.exit, Exit::Cancelled);
        assert_eq!(site.slurm_ids(&job).await.len(), ids, "{trap}");
        assert_eq!(job.count("end"), 0);
        // Its node may still clean up after it; nothing of it waits or runs.
        let name = format!("sta-{}", job.job.id);
        let left = site.operate(&["squeue", "-h", "-t", "PD,R", "-n", &name, "-o", "%A %T %r"]).await;
        assert_eq!(left, "", "{trap}");
    }
}

async fn without_accounting_a_job_that_may_have_run_is_not_submitted_again(site: BadSite) {
    let gate = Gate::new();
    let engine = gate.open(&site);
    let job = site.job(400, 0);
    gate.set("fails-before");
    engine.submit(&job.job).await.unwrap_err();
    site.fault("stop", "slurmdbd").await;
    let error = engine.submit(&job.job).await.unwrap_err().to_string();
    let nothing = site.slurm_ids(&job).await;
    site.fault("start", "slurmdbd").await;
    assert!(
        error.starts_with("cannot look for a job at the site: ") && error.contains("Connection refused"),
        "{error}"
    );
    assert_eq!(nothing, Vec::<String>::new());
    engine.submit(&job.job).await.unwrap();
    job.ends(&engine, 0).await;
}
