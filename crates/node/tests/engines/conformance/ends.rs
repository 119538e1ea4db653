// SPDX-License-Identifier: Apache-2.0
//! How jobs end: exit codes, signals, limits, cancellation, and what they used.

use std::time::Duration;

use sta_node::engines::{Exit, Observation, Stream};
use sta_protocol::federation::UsageSource;

use crate::engines::{Site, code, finished, new_mark, processes_with, run, said, stdout, text};

pub(in crate::engines) async fn a_job_runs_and_its_exit_code_and_streams_are_kept(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("echo to-out; echo to-err >&2; exit 7");
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.exit, Exit::Code(7));
    assert!(outcome.started_at <= outcome.ended_at);
    assert_eq!(stdout(&*engine, job.id).await, "to-out\n");
    assert_eq!(text(&*engine, job.id, Stream::Stderr).await, "to-err\n");
}

pub(in crate::engines) async fn a_code_is_told_apart_from_a_signal(site: &dyn Site) {
    let engine = site.open();
    let ends = [
        ("exit 0", Exit::Code(0)),
        ("exit 143", Exit::Code(143)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -35 $$", Exit::Signal(35)),
    ];
    for (script, exit) in ends {
        assert_eq!(run(&*engine, &site.shell(script)).await.exit, exit, "{script}");
    }
}

pub(in crate::engines) async fn a_command_that_is_not_there_ends_with_127_and_says_so(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("");
    job.command = vec!["no-such-program".to_owned()];
    assert_eq!(run(&*engine, &job).await.exit, Exit::Code(127));
    assert!(text(&*engine, job.id, Stream::Stderr).await.contains("no-such-program"));
}

pub(in crate::engines) async fn a_time_limit_ends_a_job_that_ignores_the_request(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("trap '' TERM; echo on; while :; do sleep 0.1; done");
    job.time_limit_s = 1;
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.exit, Exit::TimeLimit);
    let least = Duration::from_secs(1) + site.grace();
    assert!(u128::from(outcome.usage.wall_ms) >= least.as_millis(), "no grace was given: {outcome:?}");
    assert!(outcome.usage.wall_ms < 30_000, "{outcome:?}");
}

pub(in crate::engines) async fn a_memory_limit_ends_a_job_that_takes_more(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("python3 -c 'x = bytearray(300 << 20)'; exit $?");
    job.memory_bytes = 64 << 20;
    let outcome = run(&*engine, &job).await;
    if outcome.limits_enforced.iter().any(|limit| limit.ends_with(":memory")) {
        assert_eq!(outcome.exit, Exit::MemoryLimit, "{outcome:?}");
    } else {
        // Without a cgroup the allocation is refused, and the program says so itself.
        assert!(outcome.limits_enforced.iter().any(|limit| limit == "rlimit:address-space"), "{outcome:?}");
        assert_ne!(code(&outcome), 0, "{outcome:?}");
    }
}

pub(in crate::engines) async fn a_cancelled_job_ends_and_its_processes_with_it(site: &dyn Site) {
    let engine = site.open();
    let mark = new_mark();
    let job = site.shell(&format!("sleep {mark} & echo on; wait"));
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.cancel(job.id).await.unwrap();
    engine.cancel(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await.exit, Exit::Cancelled);
    assert_eq!(processes_with(&mark), [0; 0]);
}

pub(in crate::engines) async fn a_job_cancelled_before_its_submission_never_runs(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("echo ran");
    engine.cancel(job.id).await.unwrap();
    assert_eq!(engine.observe(job.id).await.unwrap(), Observation::Unknown);
    let outcome = run(&*engine, &job).await;
    assert_eq!((outcome.exit, outcome.usage.wall_ms), (Exit::Cancelled, 0));
    assert_eq!(stdout(&*engine, job.id).await, "");
}

pub(in crate::engines) async fn cancelling_a_finished_job_changes_nothing(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("exit 3");
    let outcome = run(&*engine, &job).await;
    engine.cancel(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await, outcome);
}

pub(in crate::engines) async fn usage_is_measured(site: &dyn Site) {
    let engine = site.open();
    let script =
        "import time\nx = bytearray(48 << 20)\nwhile time.process_time() < 0.4: pass\ntime.sleep(0.3)";
    let mut job = site.shell("");
    job.command = ["python3", "-c", script].map(ToOwned::to_owned).to_vec();
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.exit, Exit::Code(0));
    let usage = outcome.usage;
    assert!((700..30_000).contains(&usage.wall_ms), "{usage:?}");
    let measured = |source| source != UsageSource::NotMeasured;
    assert!(measured(usage.sources.wall), "{usage:?}");
    // Where a site measures no more than the time, the figure is nothing and says so. What is measured is rounded down, in
    // user and in system mode apart, so that 400 ms may be 399.
    let (cpu, memory) = (usage.cpu_ms, usage.memory_peak_bytes);
    assert!(if measured(usage.sources.cpu) { (390..5_000).contains(&cpu) } else { cpu == 0 }, "{usage:?}");
    let memory_fits = (48 << 20..200 << 20).contains(&memory);
    assert!(if measured(usage.sources.memory) { memory_fits } else { memory == 0 }, "{usage:?}");
}
