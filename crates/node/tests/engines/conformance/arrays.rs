// SPDX-License-Identifier: Apache-2.0
//! Job arrays: one job of indexed tasks, each with its own time limit, its own logs and its own end.

use sta_node::engines::{EngineJob, Exit, Outcome, Stream};

use crate::engines::{Site, finished, new_mark, processes_with, run, task_said, task_text};

/// A job array that runs a shell script for each of `count` indices, at most `parallel` at once.
fn array(site: &dyn Site, count: u32, parallel: u32, script: &str) -> EngineJob {
    let mut job = site.shell(script);
    (job.shape.count, job.shape.parallel) = (count, parallel);
    job
}

/// How the tasks ended, which must be listed by their indices.
fn exits(outcome: &Outcome) -> Vec<Exit> {
    let indices = outcome.tasks.iter().map(|task| task.index);
    assert!(indices.eq(0..u32::try_from(outcome.tasks.len()).unwrap()), "{outcome:?}");
    outcome.tasks.iter().map(|task| task.exit.clone()).collect()
}

pub(in crate::engines) async fn each_index_of_a_job_array_runs_once_with_its_own_logs(site: &dyn Site) {
    let engine = site.open();
    let script = "echo out-$STA_TASK_INDEX of $STA_TASK_COUNT; echo err-$STA_TASK_INDEX >&2; echo line >> index-$STA_TASK_INDEX";
    let mut job = array(site, 5, 3, script);
    job.outputs = (0..5).map(|index| format!("index-{index}")).collect();
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.exit, Exit::Code(0), "{outcome:?}");
    assert_eq!(exits(&outcome), [const { Exit::Code(0) }; 5]);
    for index in 0..5 {
        let out = task_text(&*engine, job.id, index, Stream::Stdout).await;
        assert_eq!(out, format!("out-{index} of 5\n"));
        assert_eq!(task_text(&*engine, job.id, index, Stream::Stderr).await, format!("err-{index}\n"));
    }
    assert_eq!(task_text(&*engine, job.id, 5, Stream::Stdout).await, "", "there is no such task");
    assert!(
        outcome.outputs.len() == 5 && outcome.outputs.iter().all(|output| output.bytes == 5),
        "{outcome:?}"
    );
    for task in &outcome.tasks {
        assert!(outcome.started_at <= task.started_at && task.started_at <= task.ended_at, "{outcome:?}");
        assert!(task.ended_at <= outcome.ended_at, "{outcome:?}");
    }
    assert_eq!(outcome.usage.wall_ms, outcome.tasks.iter().map(|task| task.wall_ms).sum::<u64>());
}

pub(in crate::engines) async fn a_failed_task_stops_no_other_and_the_job_ends_as_the_first_of_them(
    site: &dyn Site,
) {
    let engine = site.open();
    let script = "case $STA_TASK_INDEX in 1) exit 3;; 2) kill -9 $$;; esac";
    let outcome = run(&*engine, &array(site, 4, 1, script)).await;
    assert_eq!(outcome.exit, Exit::Code(3));
    assert_eq!(exits(&outcome), [Exit::Code(0), Exit::Code(3), Exit::Signal(9), Exit::Code(0)]);
}

pub(in crate::engines) async fn each_task_has_the_time_limit_for_itself(site: &dyn Site) {
    let engine = site.open();
    let mut job = array(site, 3, 1, "[ $STA_TASK_INDEX = 1 ] && sleep 60; sleep 1.3");
    job.time_limit_s = 2;
    let outcome = run(&*engine, &job).await;
    assert_eq!(exits(&outcome), [Exit::Code(0), Exit::TimeLimit, Exit::Code(0)], "{outcome:?}");
    assert_eq!(outcome.exit, Exit::TimeLimit);
    assert!(outcome.tasks.iter().all(|task| (1_300..30_000).contains(&task.wall_ms)), "{outcome:?}");
}

pub(in crate::engines) async fn no_more_tasks_run_at_once_than_asked_for(site: &dyn Site) {
    let engine = site.open();
    let script =
        "mkdir at-$STA_TASK_INDEX; sleep 0.2; ls -d at-* | wc -l; sleep 0.2; rmdir at-$STA_TASK_INDEX";
    let job = array(site, 6, 2, script);
    assert_eq!(run(&*engine, &job).await.exit, Exit::Code(0));
    for index in 0..6 {
        let seen = task_text(&*engine, job.id, index, Stream::Stdout).await;
        assert!(["1", "2"].contains(&seen.trim()), "task {index} saw {seen}");
    }
}

pub(in crate::engines) async fn a_cancelled_job_array_ends_the_task_that_runs_and_begins_no_other(
    site: &dyn Site,
) {
    let engine = site.open();
    let mark = new_mark();
    let script = format!("echo on; [ $STA_TASK_INDEX = 0 ] || sleep {mark}");
    let job = array(site, 4, 1, &script);
    engine.submit(&job).await.unwrap();
    task_said(&*engine, job.id, 1, "on").await;
    engine.cancel(job.id).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!(outcome.exit, Exit::Cancelled);
    assert_eq!(exits(&outcome), [Exit::Code(0), Exit::Cancelled, Exit::Cancelled, Exit::Cancelled]);
    assert!(outcome.tasks[1].wall_ms > 0, "{outcome:?}");
    assert_eq!((outcome.tasks[2].wall_ms, outcome.tasks[3].wall_ms), (0, 0), "{outcome:?}");
    for index in [2, 3] {
        assert_eq!(task_text(&*engine, job.id, index, Stream::Stdout).await, "", "task {index} never began");
    }
    assert_eq!(processes_with(&mark), [0; 0]);
}

pub(in crate::engines) async fn a_job_array_cancelled_before_its_submission_never_runs(site: &dyn Site) {
    let engine = site.open();
    let job = array(site, 3, 3, "echo ran");
    engine.cancel(job.id).await.unwrap();
    let outcome = run(&*engine, &job).await;
    assert_eq!((&outcome.exit, outcome.usage.wall_ms), (&Exit::Cancelled, 0));
    assert_eq!(exits(&outcome), [Exit::Cancelled, Exit::Cancelled, Exit::Cancelled]);
    assert_eq!(task_text(&*engine, job.id, 0, Stream::Stdout).await, "");
}

pub(in crate::engines) async fn a_new_engine_finds_a_running_job_array(site: &dyn Site) {
    let engine = site.open();
    let script = "echo line >> lines-$STA_TASK_INDEX; echo on; [ $STA_TASK_INDEX = 0 ] || sleep 1; exit $STA_TASK_INDEX";
    let mut job = array(site, 3, 1, script);
    job.outputs = (0..3).map(|index| format!("lines-{index}")).collect();
    engine.submit(&job).await.unwrap();
    task_said(&*engine, job.id, 1, "on").await;
    drop(engine);
    let engine = site.open();
    engine.submit(&job).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!(exits(&outcome), [Exit::Code(0), Exit::Code(1), Exit::Code(2)]);
    assert_eq!(
        outcome.outputs.iter().map(|output| output.bytes).collect::<Vec<_>>(),
        [5, 5, 5],
        "each ran once"
    );
    assert_eq!(finished(&*site.open(), job.id).await, outcome);
}
