// SPDX-License-Identifier: Apache-2.0
//! Jobs that stand still: nothing of them computes, nothing is lost, and they go on where they were, or end.

use std::time::Duration;

use sta_node::engines::{Engine, EngineJob, Exit, Observation, RunId};

use crate::engines::{Site, code, finished, new_mark, processes_with, said, stdout, until};

/// How long a job is watched that is to stand still.
const WATCHED: Duration = Duration::from_millis(1_500);

/// A job that counts as fast as it can sleep, in a process of a session of its own, and says at its end how far it came
/// from a number that was in memory alone. It ends once somebody has counted to `count_max`.
fn counting(site: &dyn Site, count_max: u32) -> EngineJob {
    let count = format!(
        "i=0; while [ $i -lt {count_max} ]; do i=$((i + 1)); echo tick $i; sleep 0.05; done; echo counted $i > counted"
    );
    let mut job =
        site.shell(&format!("setsid sh -c '{count}' & wait $!; while [ ! -s counted ]; do sleep 0.05; done"));
    job.outputs = vec!["counted".to_owned()];
    job.time_limit_s = 120;
    job
}

async fn suspended(engine: &dyn Engine, id: RunId) {
    let stands = |observation: &Observation| match observation {
        Observation::Pending { suspended, .. } | Observation::Running { suspended, .. } => {
            suspended.then_some(())
        }
        Observation::Unknown | Observation::Finished(_) => None,
    };
    until(engine, id, stands).await;
}

/// Fails when the job writes anything for a while.
async fn makes_no_progress(engine: &dyn Engine, id: RunId) {
    // What was written before it stood still may be on its way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = stdout(engine, id).await;
    tokio::time::sleep(WATCHED).await;
    assert_eq!(stdout(engine, id).await, before);
}

async fn assert_counted_once(engine: &dyn Engine, id: RunId, count_max: u32) {
    let outcome = finished(engine, id).await;
    assert_eq!(code(&outcome), 0, "{outcome:?}");
    let ticks: Vec<String> = (1..=count_max).map(|tick| format!("tick {tick}")).collect();
    assert_eq!(stdout(engine, id).await.lines().collect::<Vec<_>>(), ticks);
    let counted = engine.output_path(id, "counted").await.unwrap();
    assert_eq!(std::fs::read_to_string(counted).unwrap(), format!("counted {count_max}\n"));
}

pub(in crate::engines) async fn a_suspended_job_makes_no_progress_and_goes_on_where_it_was(site: &dyn Site) {
    let engine = site.open();
    let job = counting(site, 60);
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "tick 3").await;
    for _ in 0..2 {
        engine.suspend(job.id).await.unwrap();
    }
    suspended(&*engine, job.id).await;
    makes_no_progress(&*engine, job.id).await;
    engine.suspend(job.id).await.unwrap();
    suspended(&*engine, job.id).await;
    for _ in 0..2 {
        engine.resume(job.id).await.unwrap();
    }
    let goes_on = |observation: &Observation| {
        matches!(observation, Observation::Running { suspended: false, .. }).then_some(())
    };
    until(&*engine, job.id, goes_on).await;
    assert_counted_once(&*engine, job.id, 60).await;
}

pub(in crate::engines) async fn a_job_can_be_suspended_again_and_again(site: &dyn Site) {
    let engine = site.open();
    let job = counting(site, 80);
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "tick 2").await;
    for _ in 0..3 {
        engine.suspend(job.id).await.unwrap();
        suspended(&*engine, job.id).await;
        engine.resume(job.id).await.unwrap();
    }
    assert_counted_once(&*engine, job.id, 80).await;
}

pub(in crate::engines) async fn a_suspended_job_that_is_cancelled_ends_without_going_on(site: &dyn Site) {
    let engine = site.open();
    let mark = new_mark();
    let job = site.shell(&format!(
        "trap 'echo went-on' TERM; setsid sleep {mark} & sleep {mark} & echo on; while :; do sleep 0.1; done"
    ));
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.suspend(job.id).await.unwrap();
    suspended(&*engine, job.id).await;
    engine.cancel(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await.exit, Exit::Cancelled);
    assert_eq!(stdout(&*engine, job.id).await, "on\n");
    assert_eq!(processes_with(&mark), [0; 0]);
}

pub(in crate::engines) async fn a_job_suspended_before_its_submission_begins_once_resumed(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("echo ran");
    engine.suspend(job.id).await.unwrap();
    assert_eq!(engine.observe(job.id).await.unwrap(), Observation::Unknown);
    engine.submit(&job).await.unwrap();
    suspended(&*engine, job.id).await;
    makes_no_progress(&*engine, job.id).await;
    assert!(matches!(engine.observe(job.id).await.unwrap(), Observation::Pending { suspended: true, .. }));
    engine.resume(job.id).await.unwrap();
    assert_eq!(code(&finished(&*engine, job.id).await), 0);
    assert_eq!(stdout(&*engine, job.id).await, "ran\n");
}

pub(in crate::engines) async fn a_job_suspended_before_its_submission_and_cancelled_never_runs(
    site: &dyn Site,
) {
    let engine = site.open();
    let job = site.shell("echo ran");
    engine.suspend(job.id).await.unwrap();
    engine.submit(&job).await.unwrap();
    suspended(&*engine, job.id).await;
    engine.cancel(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await.exit, Exit::Cancelled);
    assert_eq!(stdout(&*engine, job.id).await, "");
}

pub(in crate::engines) async fn a_suspension_outlives_the_engine(site: &dyn Site) {
    let job = counting(site, 40);
    let engine = site.open();
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "tick 3").await;
    engine.suspend(job.id).await.unwrap();
    // Right after the wish, whoever had it carried out by then.
    drop(engine);
    let engine = site.open();
    suspended(&*engine, job.id).await;
    makes_no_progress(&*engine, job.id).await;
    drop(engine);
    let engine = site.open();
    suspended(&*engine, job.id).await;
    engine.resume(job.id).await.unwrap();
    drop(engine);
    assert_counted_once(&*site.open(), job.id, 40).await;
}

pub(in crate::engines) async fn a_suspended_job_array_begins_no_further_task(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("echo on; sleep 0.5; echo off");
    job.shape.count = 4;
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.suspend(job.id).await.unwrap();
    suspended(&*engine, job.id).await;
    let mut before = Vec::new();
    let mut after = Vec::new();
    for written in [&mut before, &mut after] {
        tokio::time::sleep(WATCHED).await;
        for index in 0..4 {
            written.push(
                crate::engines::task_text(&*engine, job.id, index, sta_node::engines::Stream::Stdout).await,
            );
        }
    }
    assert_eq!(before, after);
    assert!(after.iter().any(String::is_empty), "not all had begun: {after:?}");
    engine.resume(job.id).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!((outcome.exit, outcome.tasks.len()), (Exit::Code(0), 4));
}

pub(in crate::engines) async fn suspending_a_finished_job_changes_nothing(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("exit 3");
    engine.submit(&job).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    engine.suspend(job.id).await.unwrap();
    engine.resume(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await, outcome);
}
