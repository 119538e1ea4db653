// SPDX-License-Identifier: Apache-2.0
//! Notice to a job: it saves its work and goes on from there, or is killed when its time is over.

use std::time::{Duration, Instant};

use sta_node::engines::{EngineJob, Exit, Observation, RunId};

use crate::engines::{Site, code, finished, new_mark, processes_with, run, said, stdout, task_said, until};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(500);

/// A job that counts in a file, saves it when it is asked to leave, and goes on from what was saved.
fn counting(site: &dyn Site, count_max: u32) -> EngineJob {
    let script = format!(
        "trap 'cp counted $STA_CHECKPOINT_DIR/counted; exit 75' TERM
         ls $STA_CHECKPOINT_DIR | wc -l; cp $STA_CHECKPOINT_DIR/counted . 2>/dev/null; i=$(cat counted 2>/dev/null | wc -l)
         while [ $i -lt {count_max} ]; do i=$((i + 1)); echo $i >> counted; echo tick $i; sleep 0.05; done"
    );
    EngineJob {
        outputs: vec!["counted".to_owned()],
        checkpoint: true,
        time_limit_s: 120,
        ..site.shell(&script)
    }
}

fn next(job: &EngineJob) -> EngineJob {
    EngineJob { id: RunId { attempt: job.id.attempt + 1, ..job.id }, ..job.clone() }
}

pub(in crate::engines) async fn a_job_that_saves_its_work_goes_on_where_it_was_and_nothing_is_counted_twice(
    site: &dyn Site,
) {
    let engine = site.open();
    let mut job = counting(site, 60);
    for tick in [10, 30] {
        engine.submit(&job).await.unwrap();
        said(&*engine, job.id, &format!("tick {tick}")).await;
        for _ in 0..2 {
            engine.reclaim(job.id, LONG).await.unwrap();
        }
        let outcome = finished(&*engine, job.id).await;
        assert_eq!(outcome.exit, Exit::Reclaimed, "{outcome:?}");
        assert!(outcome.usage.wall_ms > 0, "what it used is metered: {outcome:?}");
        engine.wipe(job.id).await.unwrap();
        job = next(&job);
    }
    engine.submit(&job).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!(code(&outcome), 0, "{outcome:?}");
    let counted = std::fs::read_to_string(engine.output_path(job.id, "counted").await.unwrap()).unwrap();
    let all: String = (1..=60).map(|number| format!("{number}\n")).collect();
    assert_eq!(counted, all, "nothing is lost and nothing is repeated");
    let said = stdout(&*engine, job.id).await;
    assert!(said.starts_with("1\n") && !said.contains("tick 29\n"), "it began from what was saved: {said}");
    let first = stdout(&*engine, job.id.job.into()).await;
    assert!(first.starts_with("0\n"), "its directory is empty at the first attempt: {first}");
    for _ in 0..2 {
        engine.wipe_checkpoint(job.id.job).await.unwrap();
    }
    let mut looks = next(&job);
    looks.command = ["sh", "-c", "ls $STA_CHECKPOINT_DIR | wc -l"].map(ToOwned::to_owned).to_vec();
    looks.outputs.clear();
    run(&*engine, &looks).await;
    assert_eq!(stdout(&*engine, looks.id).await, "0\n", "what it saved goes when it is asked to");
    engine.wipe_checkpoint(job.id.job).await.unwrap();
}

pub(in crate::engines) async fn one_that_ignores_the_notice_is_killed_when_its_time_is_over(site: &dyn Site) {
    let engine = site.open();
    let mark = new_mark();
    let job = site.shell(&format!("trap '' TERM; echo on; sleep {mark}"));
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    let asked = Instant::now();
    engine.reclaim(job.id, SHORT).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!(outcome.exit, Exit::Reclaimed);
    assert!(asked.elapsed() >= SHORT, "it had its time");
    assert!(processes_with(&mark).is_empty());
}

pub(in crate::engines) async fn one_that_comes_to_its_end_in_time_is_done(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("trap 'echo left; exit 0' TERM; echo on; sleep 60 & wait");
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.reclaim(job.id, LONG).await.unwrap();
    assert_eq!(code(&finished(&*engine, job.id).await), 0);
    engine.reclaim(job.id, LONG).await.unwrap();
    assert_eq!(code(&finished(&*engine, job.id).await), 0, "and stays so");
}

pub(in crate::engines) async fn one_given_notice_before_it_began_never_begins(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("echo on");
    engine.reclaim(job.id, LONG).await.unwrap();
    engine.submit(&job).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!((outcome.exit, outcome.usage.wall_ms), (Exit::Reclaimed, 0));
    assert_eq!(stdout(&*engine, job.id).await, "");
}

pub(in crate::engines) async fn a_job_array_given_notice_begins_no_further_task(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("[ $STA_TASK_INDEX = 0 ] && exit 0; echo on; sleep 60");
    job.shape.count = 3;
    engine.submit(&job).await.unwrap();
    task_said(&*engine, job.id, 1, "on").await;
    engine.reclaim(job.id, LONG).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    let ends: Vec<_> = outcome.tasks.iter().map(|task| task.exit.clone()).collect();
    assert_eq!(
        (outcome.exit, ends),
        (Exit::Reclaimed, vec![Exit::Code(0), Exit::Reclaimed, Exit::Reclaimed])
    );
}

pub(in crate::engines) async fn one_that_stands_still_keeps_its_place_until_it_goes_on(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("trap 'exit 75' TERM; echo on; while :; do sleep 0.05; done");
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.suspend(job.id).await.unwrap();
    let stands =
        |seen: &Observation| matches!(seen, Observation::Running { suspended: true, .. }).then_some(());
    until(&*engine, job.id, stands).await;
    engine.reclaim(job.id, SHORT).await.unwrap();
    tokio::time::sleep(SHORT * 3).await;
    until(&*engine, job.id, stands).await;
    engine.resume(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await.exit, Exit::Reclaimed);
}

pub(in crate::engines) async fn one_under_notice_can_be_cancelled(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("trap '' TERM; echo on; sleep 60");
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.reclaim(job.id, LONG).await.unwrap();
    engine.cancel(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await.exit, Exit::Cancelled);
}

pub(in crate::engines) async fn a_notice_outlives_the_engine(site: &dyn Site) {
    let job = site.shell("trap '' TERM; echo on; sleep 60");
    let engine = site.open();
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.reclaim(job.id, SHORT).await.unwrap();
    drop(engine);
    assert_eq!(finished(&*site.open(), job.id).await.exit, Exit::Reclaimed);
}

pub(in crate::engines) async fn each_process_of_a_job_over_several_nodes_is_given_notice_once(
    site: &dyn Site,
) {
    let engine = site.open();
    let script = "trap 'echo asked >> $STA_CHECKPOINT_DIR/$STA_TASK_RANK; exit 75' TERM
        cat $STA_CHECKPOINT_DIR/$STA_TASK_RANK; echo on $STA_TASK_RANK; while :; do sleep 0.05; done";
    let mut job = site.shell(script);
    if site.nodes() == 1 {
        // One machine that starts one process has none that is elsewhere, and says so.
        (job.shape.nodes, job.shape.tasks) = (2, 2);
        engine.consents(&job).await.unwrap().unwrap_err();
        return;
    }
    (job.shape.nodes, job.shape.tasks, job.checkpoint) = (site.nodes(), site.nodes(), true);
    engine.submit(&job).await.unwrap();
    for rank in 0..site.nodes() {
        said(&*engine, job.id, &format!("on {rank}")).await;
    }
    engine.reclaim(job.id, LONG).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await.exit, Exit::Reclaimed);
    let mut deaf = next(&job);
    let text = script.replace("exit 75", "true");
    deaf.command = ["sh", "-c", &text].map(ToOwned::to_owned).to_vec();
    engine.submit(&deaf).await.unwrap();
    for rank in 0..site.nodes() {
        said(&*engine, deaf.id, &format!("on {rank}")).await;
    }
    let before = stdout(&*engine, deaf.id).await;
    assert_eq!(before.matches("asked").count(), site.nodes() as usize, "each once: {before}");
    let asked = Instant::now();
    engine.reclaim(deaf.id, SHORT).await.unwrap();
    assert_eq!(finished(&*engine, deaf.id).await.exit, Exit::Reclaimed);
    assert!(asked.elapsed() >= SHORT, "it had its time");
}
