// SPDX-License-Identifier: Apache-2.0
//! Notice to a guest on a bad day: whatever fails between the record and the signal, it is asked once, and it leaves.

use std::time::{Duration, Instant};

use serde_json::json;
use sta_node::engines::{Engine, EngineJob, Exit, Observation, RunId};

use super::{BadSite, HonestJob, gate::Gate, on_both_majors};
use crate::engines::{code, finished, run, said, stdout};

/// The script that says that a guest is to leave, and the one that asks it; each is run after the other.
const SCRIPTS: [&str; 2] = [">.notice ", SIGNAL];
const SIGNAL: &str = "scancel --batch";
const LONG: Duration = Duration::from_secs(60);

on_both_majors! {
    a_notice_that_failed_before_or_after_slurm_passed_it_on_is_given_once
    a_notice_of_an_engine_that_ends_is_passed_on_once_by_the_next
    a_notice_without_a_controller_is_given_once_it_is_back
    a_guest_that_waits_in_the_queue_is_ended_there_and_never_begins
    a_guest_that_waits_does_not_take_the_place_of_one_that_leaves
    a_guest_that_ends_by_itself_before_the_word_reaches_it_keeps_its_end
    a_guest_that_kills_what_times_it_is_ended_by_slurm
    what_a_job_saved_is_read_by_the_account_that_saved_it
}

/// A job that writes down each time that it is asked to leave, and leaves some seconds after it was asked first.
fn asked(site: &BadSite) -> HonestJob {
    let mut job = site.job(60_000, 75);
    let script = format!("trap 'say asked; [ $n -ge 275 ] || n=275' TERM\n{}", job.job.command[2]);
    job.job.command[2] = script;
    job
}

async fn leaves_asked_once(engine: &dyn Engine, job: &HonestJob) {
    let outcome = finished(engine, job.job.id).await;
    assert_eq!(outcome.exit, Exit::Reclaimed, "{outcome:?}");
    assert_eq!((job.count("begin"), job.count("asked")), (1, 1), "{:?}", job.lines());
}

async fn a_notice_that_failed_before_or_after_slurm_passed_it_on_is_given_once(site: BadSite) {
    let gate = Gate::new();
    let engine = gate.open(&site);
    for (words, trap) in
        SCRIPTS.into_iter().flat_map(|words| ["fails-before", "fails-after"].map(|trap| (words, trap)))
    {
        let job = asked(&site);
        engine.submit(&job.job).await.unwrap();
        job.wrote("begin").await;
        job.runs(&engine).await;
        gate.set_for(words, trap);
        engine.reclaim(job.job.id, LONG).await.unwrap();
        leaves_asked_once(&engine, &job).await;
    }
}

async fn a_notice_of_an_engine_that_ends_is_passed_on_once_by_the_next(site: BadSite) {
    let gate = Gate::new();
    for (words, trap) in
        SCRIPTS.into_iter().flat_map(|words| ["hangs-before", "hangs-after"].map(|trap| (words, trap)))
    {
        let job = asked(&site);
        let engine = gate.open(&site);
        engine.submit(&job.job).await.unwrap();
        job.wrote("begin").await;
        job.runs(&engine).await;
        gate.set_for(words, trap);
        engine.reclaim(job.job.id, LONG).await.unwrap();
        gate.reached().await;
        drop(engine);
        leaves_asked_once(&gate.open(&site), &job).await;
    }
}

async fn a_notice_without_a_controller_is_given_once_it_is_back(site: BadSite) {
    let engine = site.open();
    let job = asked(&site);
    engine.submit(&job.job).await.unwrap();
    job.wrote("begin").await;
    job.runs(&engine).await;
    site.controller_has_saved().await;
    site.fault("kill", "slurmctld").await;
    engine.reclaim(job.job.id, LONG).await.unwrap();
    assert!(matches!(engine.observe(job.job.id).await.unwrap(), Observation::Running { .. }));
    drop(engine);
    site.fault("start", "slurmctld").await;
    leaves_asked_once(&site.open(), &job).await;
}

async fn a_guest_that_waits_in_the_queue_is_ended_there_and_never_begins(site: BadSite) {
    let engine = site.open();
    let holds = site.job(4_000, 0).on(site.node(0)).alone();
    let waits = site.job(200, 0).on(site.node(0));
    engine.submit(&holds.job).await.unwrap();
    holds.runs(&engine).await;
    engine.submit(&waits.job).await.unwrap();
    engine.reclaim(waits.job.id, LONG).await.unwrap();
    let outcome = finished(&engine, waits.job.id).await;
    assert_eq!((outcome.exit, outcome.usage.wall_ms), (Exit::Reclaimed, 0));
    holds.ends(&engine, 0).await;
    assert_eq!(waits.lines(), [], "it never began");
}

async fn a_guest_that_waits_does_not_take_the_place_of_one_that_leaves(site: BadSite) {
    let gate = Gate::new();
    let engine = gate.open(&site);
    // It leaves at the first word, and the word to the other is the later one.
    let mut leaves = site.job(30_000, 0).on(site.node(0)).alone();
    leaves.job.command[2] = format!("trap 'exit 75' TERM\n{}", leaves.job.command[2]);
    let waits = site.job(200, 0).on(site.node(0));
    assert!(leaves.job.id < waits.job.id);
    engine.submit(&leaves.job).await.unwrap();
    leaves.wrote("begin").await;
    leaves.runs(&engine).await;
    engine.submit(&waits.job).await.unwrap();
    let name = format!("sta-{}", waits.job.id);
    let queue = site.operate(&["squeue", "-h", "-n", &name, "-o", "%T"]).await;
    assert_eq!(queue.trim(), "PENDING", "it waits for the other's place");
    gate.set_for(SIGNAL, "slow");
    for job in [&leaves, &waits] {
        engine.reclaim(job.job.id, LONG).await.unwrap();
    }
    for job in [&waits, &leaves] {
        let outcome = finished(&engine, job.job.id).await;
        assert_eq!(outcome.exit, Exit::Reclaimed, "{outcome:?}");
    }
    assert_eq!((leaves.count("end"), waits.lines()), (0, vec![]), "what waited never began");
}

async fn a_guest_that_ends_by_itself_before_the_word_reaches_it_keeps_its_end(site: BadSite) {
    let gate = Gate::new();
    let engine = gate.open(&site);
    let job = site.job(4_000, 3);
    engine.submit(&job.job).await.unwrap();
    job.wrote("begin").await;
    job.runs(&engine).await;
    gate.set_for(SIGNAL, "hangs-before");
    engine.reclaim(job.job.id, LONG).await.unwrap();
    job.ends(&engine, 3).await;
}

async fn a_guest_that_kills_what_times_it_is_ended_by_slurm(site: BadSite) {
    let engine = site.open();
    // What times it is a process of its own account, by a time that no other job has.
    let grace = Duration::from_millis(1_237);
    let mut job = site.job(60_000, 0);
    job.job.command[2] = format!(
        "trap '' TERM\nwhile :; do pkill -KILL -f '[s]ta 1.237 '; sleep 0.1; done &\n{}",
        job.job.command[2]
    );
    engine.submit(&job.job).await.unwrap();
    job.wrote("begin").await;
    job.runs(&engine).await;
    let asked = Instant::now();
    engine.reclaim(job.job.id, grace).await.unwrap();
    assert_eq!(job.outcome(&engine).await.exit, Exit::Reclaimed);
    assert!(asked.elapsed() > grace + Duration::from_secs(2), "it did kill what times it");
}

async fn what_a_job_saved_is_read_by_the_account_that_saved_it(site: BadSite) {
    let accounts = site.turn.cluster.accounts.clone();
    let mut saving = site.job(0, 0).job;
    saving.checkpoint = true;
    saving.command[2] = "id -un; cat $STA_CHECKPOINT_DIR/mine; id -un >$STA_CHECKPOINT_DIR/mine; stat -c %a $STA_CHECKPOINT_DIR; sleep 60".to_owned();
    let engine = site.open();
    engine.submit(&saving).await.unwrap();
    said(&engine, saving.id, "700").await;
    engine.reclaim(saving.id, Duration::ZERO).await.unwrap();
    assert_eq!(finished(&engine, saving.id).await.exit, Exit::Reclaimed);
    drop(engine);
    // From now on `ada` runs this project's jobs as somebody else.
    let other = accounts[1].clone();
    let engine = site.open_with(|settings| {
        settings.accounts.retain(|row| row.account != other);
        let row = json!({"member": "ca", "project": "digits", "researcher": "ada", "account": other, "slurm_account": site.turn.cluster.slurm_account});
        settings.accounts.push(serde_json::from_value(row).unwrap());
    });
    let script = "id -un; cat $STA_CHECKPOINT_DIR/mine";
    let command = ["sh", "-c", script].map(ToOwned::to_owned).to_vec();
    let again =
        EngineJob { id: RunId { attempt: 2, ..saving.id }, command: command.clone(), ..saving.clone() };
    assert_eq!(code(&run(&engine, &again).await), 0);
    assert_eq!(stdout(&engine, again.id).await, format!("{0}\n{0}\n", accounts[0]));
    let fresh = EngineJob { id: site.job(0, 0).job.id, command, ..saving.clone() };
    assert_eq!(code(&run(&engine, &fresh).await), 1, "nothing is saved before its first attempt");
    assert_eq!(stdout(&engine, fresh.id).await, format!("{}\n", accounts[1]));
    for job in [saving.id.job, fresh.id.job] {
        engine.wipe_checkpoint(job).await.unwrap();
    }
}
