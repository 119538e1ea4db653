// SPDX-License-Identifier: Apache-2.0
//! Each job once: repeated submissions, new engines over the same place, and jobs that can never run.

use sta_node::engines::{EngineError, EngineJob, Exit, Observation, StagedInput, Stream};
use sta_protocol::digest::Sha256Digest;

use crate::engines::{Site, code, finished, said, until};

pub(in crate::engines) async fn a_second_submission_runs_nothing_twice(site: &dyn Site) {
    let engine = site.open();
    let mut job = site.shell("echo line >> lines; sleep 0.3");
    job.outputs = vec!["lines".to_owned()];
    engine.submit(&job).await.unwrap();
    engine.submit(&job).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    // Not even another content under the same id.
    engine.submit(&EngineJob { command: vec!["false".to_owned()], ..job.clone() }).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await, outcome);
    let path = engine.output_path(job.id, "lines").await.unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "line\n");
}

pub(in crate::engines) async fn submissions_at_the_same_time_run_one_job(site: &dyn Site) {
    let (first, second) = (site.open(), site.open());
    let mut job = site.shell("echo line >> lines");
    job.outputs = vec!["lines".to_owned()];
    let (one, other, third) = tokio::join!(first.submit(&job), second.submit(&job), first.submit(&job));
    one.and(other).and(third).unwrap();
    assert_eq!(code(&finished(&*second, job.id).await), 0);
    let path = first.output_path(job.id, "lines").await.unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "line\n");
}

pub(in crate::engines) async fn a_new_engine_finds_running_jobs_and_their_end(site: &dyn Site) {
    let mut job = site.shell("echo line >> lines; sleep 3; exit 5");
    job.outputs = vec!["lines".to_owned()];
    let engine = site.open();
    engine.submit(&job).await.unwrap();
    let running =
        |observation: &Observation| matches!(observation, Observation::Running { .. }).then_some(());
    until(&*engine, job.id, running).await;
    drop(engine);
    let engine = site.open();
    let seen = engine.observe(job.id).await.unwrap();
    let Observation::Running { started_at, suspended: false } = seen else { panic!("{seen:?}") };
    engine.submit(&job).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!((outcome.exit, outcome.started_at), (Exit::Code(5), started_at));
    assert_eq!(outcome.outputs[0].bytes, 5, "it ran once");
}

pub(in crate::engines) async fn unknown_and_unfinished_jobs_are_told_apart(site: &dyn Site) {
    let engine = site.open();
    let job = site.shell("echo on; sleep 60");
    let id = job.id;
    assert_eq!(engine.observe(id).await.unwrap(), Observation::Unknown);
    assert!(matches!(engine.wipe(id).await, Err(EngineError::Unknown { .. })));
    assert!(matches!(engine.logs(id, 0, Stream::Stdout, 0, 1).await, Err(EngineError::Unknown { .. })));
    engine.submit(&job).await.unwrap();
    said(&*engine, id, "on").await;
    assert!(matches!(engine.wipe(id).await, Err(EngineError::NotFinished { .. })));
    assert!(matches!(engine.output_path(id, "x").await, Err(EngineError::NotFinished { .. })));
    engine.cancel(id).await.unwrap();
    finished(&*engine, id).await;
}

pub(in crate::engines) async fn a_job_that_can_never_run_is_refused(site: &dyn Site) {
    let engine = site.open();
    let input = |name: &str| StagedInput {
        name: name.to_owned(),
        sha256: Sha256Digest::of(b""),
        path: "/etc/hostname".into(),
    };
    let faults: [fn(&mut EngineJob); 8] = [
        |job| job.command.clear(),
        |job| job.outputs.push("../escape".to_owned()),
        |job| job.environment.push(("LD_PRELOAD".to_owned(), "x".to_owned())),
        |job| job.environment.push(("A=B".to_owned(), "x".to_owned())),
        |job| job.gpus = 1_000,
        |job| job.memory_bytes = u64::MAX,
        |job| job.cpu_cores = 0,
        |job| job.time_limit_s = 0,
    ];
    let mut jobs: Vec<EngineJob> = ["/etc/x", "../x", "a/../../x"]
        .map(|name| EngineJob { inputs: vec![input(name)], ..site.shell("true") })
        .to_vec();
    jobs.extend(faults.map(|spoil| {
        let mut job = site.shell("true");
        spoil(&mut job);
        job
    }));
    for job in jobs {
        let refused = engine.submit(&job).await;
        assert!(matches!(refused, Err(EngineError::Invalid { .. })), "{job:?}: {refused:?}");
        assert_eq!(engine.observe(job.id).await.unwrap(), Observation::Unknown);
    }
}
