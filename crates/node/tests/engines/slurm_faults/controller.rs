// SPDX-License-Identifier: Apache-2.0
//! The controller or the accounting is away: at a submission, between submission and begin, while jobs run, when they end.

use std::time::Duration;

use sta_node::engines::{Engine, Exit};
use sta_protocol::federation::UsageSource;

use super::{BadSite, HonestJob, on_both_majors};
use crate::engines::{PATIENCE, finished, slurm::SlurmSite};

on_both_majors! {
    a_submission_without_a_controller_says_so_and_runs_once_it_is_back
    a_controller_that_takes_a_job_and_does_not_answer_runs_it_once
    a_crash_of_the_controller_right_after_submissions_loses_no_job
    a_job_that_is_given_the_number_of_a_forgotten_one_begins_all_the_same
    jobs_that_end_while_the_controller_is_away_or_after_keep_their_codes_and_times
    jobs_run_and_end_without_accounting
    a_job_that_ends_before_its_cancellation_arrives_keeps_its_end
}

async fn a_submission_without_a_controller_says_so_and_runs_once_it_is_back(site: BadSite) {
    let engine = site.open();
    let (runs, waits, cancelled) = (site.job(16_000, 0), site.job(200, 4), site.job(200, 0));
    engine.submit(&runs.job).await.unwrap();
    runs.runs(&engine).await;
    site.controller_has_saved().await;
    site.fault("kill", "slurmctld").await;
    let refused = engine.submit(&waits.job);
    let (refused, also) = tokio::join!(refused, engine.submit(&cancelled.job));
    let text = "cannot submit a job at the site: sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure) (it ended with code 1)";
    assert_eq!(
        (refused.unwrap_err().to_string(), also.unwrap_err().to_string()),
        (text.to_owned(), text.to_owned())
    );
    engine.cancel(cancelled.job.id).await.unwrap();
    site.fault("start", "slurmctld").await;
    engine.submit(&waits.job).await.unwrap();
    waits.ends(&engine, 4).await;
    assert_eq!(site.slurm_ids(&waits).await.len(), 1);
    runs.ends(&engine, 0).await;
    assert_eq!(finished(&engine, cancelled.job.id).await.exit, Exit::Cancelled);
    assert_eq!(cancelled.lines(), []);
}

async fn a_controller_that_takes_a_job_and_does_not_answer_runs_it_once(site: BadSite) {
    let engine = site.open();
    let job = site.job(600, 0);
    site.fault("pause", "slurmctld").await;
    let error = engine.submit(&job.job).await.unwrap_err().to_string();
    site.fault("continue", "slurmctld").await;
    let text = "cannot submit a job at the site: sbatch: error: Batch job submission failed: Socket timed out on send/recv operation (it ended with code 1)";
    assert_eq!(error, text);
    engine.submit(&job.job).await.unwrap();
    job.ends(&engine, 0).await;
    assert_eq!(site.slurm_ids(&job).await.len(), 1);
}

async fn a_crash_of_the_controller_right_after_submissions_loses_no_job(site: BadSite) {
    let engine = site.open();
    let jobs: Vec<HonestJob> = (0..8).map(|code| site.job(2_000, code)).collect();
    for job in &jobs {
        engine.submit(&job.job).await.unwrap();
    }
    site.fault("kill", "slurmctld").await;
    site.fault("start", "slurmctld").await;
    for (code, job) in (0..).zip(&jobs) {
        let outcome = job.outcome(&engine).await;
        // Slurm itself may kill a job that its controller forgot; then the site has failed it, and says so.
        let lost = [
            "the site lost the job while its controller did not answer",
            "the site's scheduler lost the job: it does not know it any more",
        ];
        let [silent, unknown] = lost.map(|text| Exit::SiteFault(text.to_owned()));
        let known = [Exit::Code(code), silent, unknown];
        assert!(known.contains(&outcome.exit), "{outcome:?}");
    }
    // What the controller forgot it would give to the jobs of the next tests, whose engines know of no crash.
    site.use_up_numbers(jobs.len()).await;
}

/// Its node has run the forgotten one, takes the new one for a second copy of it, and ends it as root. The engine was not there when
/// the controller fell, and knows of no silence.
async fn a_job_that_is_given_the_number_of_a_forgotten_one_begins_all_the_same(mut site: BadSite) {
    let engine = site.open();
    let before = site.job(200, 0);
    engine.submit(&before.job).await.unwrap();
    let submitted = std::time::SystemTime::now();
    before.ends(&engine, 0).await;
    site.controller_has_saved_since(submitted).await;
    let (memory, saved) = site.controllers_memory();
    let forgotten = site.job(1_000, 4).on(site.node(0));
    engine.submit(&forgotten.job).await.unwrap();
    let number = site.slurm_ids(&forgotten).await;
    drop(engine);
    forgotten.wrote("begin").await;
    site.fault("kill", "slurmctld").await;
    memory.iter().for_each(|path| std::fs::write(path, &saved).unwrap());
    site.fault("start", "slurmctld").await;
    forgotten.wrote("end").await;

    site.site = SlurmSite::over(site.turn.cluster.clone());
    let engine = site.open();
    let job = site.job(600, 7).on(site.node(0));
    engine.submit(&job.job).await.unwrap();
    assert_eq!(site.slurm_ids(&job).await, number, "the number is given again");
    let (node, begun) = (format!("node:{}", site.node(0)), std::time::Instant::now());
    while job.count("begin") == 0 {
        assert!(begun.elapsed() < PATIENCE, "the job never begins");
        // Slurm drains a node that says that it knows the number, and its operator resumes it.
        let state = site.operate(&["sinfo", "-h", "-N", "-n", site.node(0), "-o", "%T"]).await;
        if state.starts_with("drain") {
            site.fault("resume", &node).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    job.ends(&engine, 7).await;
    assert_ne!(site.slurm_ids(&job).await, number, "it was handed over once more");
    site.use_up_numbers(2).await;
}

async fn jobs_that_end_while_the_controller_is_away_or_after_keep_their_codes_and_times(site: BadSite) {
    let engine = site.open();
    let (ends, goes_on) = (site.job(7_000, 3), site.job(14_000, 5));
    engine.submit(&ends.job).await.unwrap();
    engine.submit(&goes_on.job).await.unwrap();
    ends.runs(&engine).await;
    goes_on.runs(&engine).await;
    site.controller_has_saved().await;
    site.fault("kill", "slurmctld").await;
    ends.wrote("end").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    goes_on.runs(&engine).await;
    site.fault("start", "slurmctld").await;
    ends.ends(&engine, 3).await;
    goes_on.ends(&engine, 5).await;
}

async fn jobs_run_and_end_without_accounting(site: BadSite) {
    let engine = site.open();
    let before = site.job(2_000, 6);
    engine.submit(&before.job).await.unwrap();
    before.wrote("begin").await;
    site.fault("stop", "slurmdbd").await;
    let during = site.job(600, 7);
    engine.submit(&during.job).await.unwrap();
    let (before, during) = tokio::join!(before.ends(&engine, 6), during.ends(&engine, 7));
    site.fault("start", "slurmdbd").await;
    for outcome in [before, during] {
        assert!(
            outcome.usage.wall_ms > 0 && outcome.usage.sources.wall == UsageSource::JobStamps,
            "{outcome:?}"
        );
    }
}

async fn a_job_that_ends_before_its_cancellation_arrives_keeps_its_end(site: BadSite) {
    let engine = site.open();
    let job = site.job(1_600, 0);
    engine.submit(&job.job).await.unwrap();
    job.runs(&engine).await;
    site.fault("pause", "slurmctld").await;
    engine.cancel(job.job.id).await.unwrap();
    job.wrote("end").await;
    site.fault("continue", "slurmctld").await;
    job.ends(&engine, 0).await;
}
