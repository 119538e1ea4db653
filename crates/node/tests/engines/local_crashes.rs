// SPDX-License-Identifier: Apache-2.0
//! Crashes of the engine `local` at every point where something becomes durable: nothing is lost and nothing runs twice.

use std::{fs, path::Path, process::Command, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sta_node::engines::{EngineJob, Exit, Observation, local::LocalConfig, local::LocalEngine};

use super::{
    Engine, Site, code, finished, local::LocalSite, new_mark, processes_with, run, said, shell, stdout,
    task_said,
};

/// The process id in a job's `started.json`.
fn supervisor_of(directory: &Path) -> Pid {
    let text = fs::read_to_string(directory.join("started.json")).unwrap();
    let started: serde_json::Value = serde_json::from_str(&text).unwrap();
    Pid::from_raw(i32::try_from(started["supervisor_pid"].as_i64().unwrap()).unwrap())
}

/// An engine whose supervisors do nothing, so that a test has the state just after the submission.
fn engine_that_starts_nothing(site: &LocalSite) -> LocalEngine {
    LocalEngine::open(LocalConfig { supervisor: vec!["true".to_owned()], ..site.config() }).unwrap()
}

fn supervise(site: &LocalSite, job: &EngineJob) {
    let status =
        Command::new(env!("CARGO_BIN_EXE_sta")).arg("supervise").arg(site.job_directory(job)).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_killed_supervisor_is_a_site_fault_and_the_job_is_never_run_again() {
    let site = LocalSite::new();
    let engine = site.open();
    let mark = new_mark();
    let mut job = shell(&format!("setsid sleep {mark} & echo line; sleep {mark}"));
    job.outputs = vec!["never".to_owned()];
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "line").await;
    let lost = supervisor_of(&site.job_directory(&job));
    kill(lost, Signal::SIGKILL).unwrap();
    let outcome = finished(&*engine, job.id).await;
    let Exit::SiteFault(reason) = &outcome.exit else { panic!("{outcome:?}") };
    assert!(reason.contains(&format!("process {lost}")), "{reason}");
    assert_eq!(outcome.outputs_missing, ["never"]);
    assert_eq!(processes_with(&mark), [0; 0]);
    engine.submit(&job).await.unwrap();
    assert_eq!(finished(&*site.open(), job.id).await, outcome);
    assert_eq!(stdout(&*engine, job.id).await, "line\n", "it ran once");
}

#[tokio::test]
async fn of_a_job_array_whose_supervisor_is_killed_the_tasks_that_ended_keep_their_ends() {
    let site = LocalSite::new();
    let engine = site.open();
    let mark = new_mark();
    let script =
        format!("echo line >> lines; echo on; [ $STA_TASK_INDEX = 2 ] && sleep {mark}; exit $STA_TASK_INDEX");
    let mut job = shell(&script);
    job.shape.count = 5;
    job.outputs = vec!["lines".to_owned()];
    engine.submit(&job).await.unwrap();
    task_said(&*engine, job.id, 2, "on").await;
    kill(supervisor_of(&site.job_directory(&job)), Signal::SIGKILL).unwrap();
    let outcome = finished(&*engine, job.id).await;
    let ends: Vec<_> = outcome.tasks.iter().map(|task| (task.index, &task.exit)).collect();
    assert_eq!(ends[..2], [(0, &Exit::Code(0)), (1, &Exit::Code(1))]);
    assert!(
        ends.len() == 5 && ends[2..].iter().all(|(_, exit)| matches!(exit, Exit::SiteFault(_))),
        "{ends:?}"
    );
    assert!(outcome.tasks[2].wall_ms > 0 && outcome.tasks[3].wall_ms == 0, "{outcome:?}");
    assert_eq!(outcome.exit, Exit::Code(1), "the first by its index");
    assert_eq!(outcome.usage.wall_ms, outcome.tasks.iter().map(|task| task.wall_ms).sum::<u64>());
    assert_eq!(outcome.outputs_missing, ["lines"]);
    assert_eq!(processes_with(&mark), [0; 0]);
    engine.submit(&job).await.unwrap();
    assert_eq!(finished(&*site.open(), job.id).await, outcome);
    let lines = fs::read_to_string(site.job_directory(&job).join("work/lines")).unwrap();
    assert_eq!(lines, "line\n".repeat(3), "no task ran twice, and none was begun after the crash");
}

#[tokio::test]
async fn a_job_array_whose_tasks_had_all_ended_before_a_crash_is_whole() {
    let site = LocalSite::new();
    let engine = engine_that_starts_nothing(&site);
    let mut job = shell("echo ran");
    job.shape.count = 2;
    job.outputs = vec!["there".to_owned()];
    engine.submit(&job).await.unwrap();
    let directory = site.job_directory(&job);
    let started =
        r#"{"version":1,"started_at":"2026-01-01T00:00:00Z","supervisor_pid":1,"boot_id":"another"}"#;
    fs::write(directory.join("started.json"), started).unwrap();
    fs::write(directory.join("work/there"), "x").unwrap();
    let line = |index: u32, second: u32| {
        format!(
            r#"{{"version":1,"end":{{"index":{index},"exit":{{"code":0}},"started_at":"2026-01-01T00:00:0{index}Z","ended_at":"2026-01-01T00:00:0{second}Z","wall_ms":1000}},"cpu_ms":{second}00,"memory_peak_bytes":7}}"#
        )
    };
    // Of the second the end is half written: the machine stopped there.
    let half = line(1, 2).split_at(40).0.to_owned();
    fs::write(directory.join("tasks"), format!("{}\n{half}", line(0, 1))).unwrap();
    let copy = directory.join("copy");
    fs::write(&copy, format!("{}\n{}\n", line(0, 1), line(1, 2))).unwrap();
    let outcome = finished(&*site.open(), job.id).await;
    assert!(
        matches!(outcome.exit, Exit::SiteFault(_)) && outcome.tasks[0].exit == Exit::Code(0),
        "{outcome:?}"
    );
    fs::remove_file(directory.join("result.json")).unwrap();
    fs::rename(&copy, directory.join("tasks")).unwrap();
    let outcome = finished(&*site.open(), job.id).await;
    assert_eq!((outcome.exit, outcome.usage.wall_ms, outcome.usage.cpu_ms), (Exit::Code(0), 2_000, 200));
    assert_eq!(outcome.ended_at, "2026-01-01T00:00:02Z".parse().unwrap());
    assert_eq!(outcome.outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(), ["there"]);
}

#[tokio::test]
async fn a_restart_of_the_machine_is_told_from_a_lost_supervisor() {
    let site = LocalSite::new();
    let engine = engine_that_starts_nothing(&site);
    let job = shell("echo ran");
    engine.submit(&job).await.unwrap();
    let started =
        r#"{"version":1,"started_at":"2026-01-01T00:00:00Z","supervisor_pid":1,"boot_id":"another"}"#;
    fs::write(site.job_directory(&job).join("started.json"), started).unwrap();
    let outcome = finished(&*site.open(), job.id).await;
    assert_eq!(outcome.exit, Exit::SiteFault("the machine was restarted while the job ran".to_owned()));
    assert_eq!(outcome.started_at, "2026-01-01T00:00:00Z".parse().unwrap());
}

#[tokio::test]
async fn a_job_submitted_before_a_crash_begins_after_it() {
    let site = LocalSite::new();
    let job = shell("echo ran");
    let engine = engine_that_starts_nothing(&site);
    engine.submit(&job).await.unwrap();
    assert_eq!(
        engine.observe(job.id).await.unwrap(),
        Observation::Pending { reason: None, suspended: false }
    );
    assert_eq!(code(&finished(&*site.open(), job.id).await), 0);
}

#[tokio::test]
async fn a_submission_interrupted_before_its_record_is_made_anew() {
    let site = LocalSite::new();
    let job = shell("ls");
    let engine = site.open();
    let work = site.job_directory(&job).join("work");
    fs::create_dir_all(&work).unwrap();
    fs::write(work.join("half-an-input"), "x").unwrap();
    fs::write(site.job_directory(&job).join("spec.json.new"), "{\"vers").unwrap();
    assert_eq!(engine.observe(job.id).await.unwrap(), Observation::Unknown);
    assert_eq!(code(&run(&*engine, &job).await), 0);
    assert_eq!(stdout(&*engine, job.id).await, "");
}

#[tokio::test]
async fn of_many_supervisors_one_runs_the_job() {
    let site = LocalSite::new();
    // Longer than a supervisor waits for the lock: the others give up while the job runs.
    let mut job = shell("echo line >> lines; sleep 1.5");
    job.outputs = vec!["lines".to_owned()];
    engine_that_starts_nothing(&site).submit(&job).await.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| supervise(&site, &job));
        }
    });
    let outcome = finished(&*site.open(), job.id).await;
    assert_eq!((outcome.exit, outcome.outputs[0].bytes), (Exit::Code(0), 5));
    supervise(&site, &job);
    assert_eq!(finished(&*site.open(), job.id).await.outputs[0].bytes, 5);
}

#[tokio::test]
async fn a_job_cancelled_between_submission_and_begin_never_runs() {
    let site = LocalSite::new();
    let job = shell("echo ran");
    let engine = engine_that_starts_nothing(&site);
    engine.submit(&job).await.unwrap();
    engine.cancel(job.id).await.unwrap();
    let engine = site.open();
    assert_eq!(finished(&*engine, job.id).await.exit, Exit::Cancelled);
    assert_eq!(stdout(&*engine, job.id).await, "");
}

#[tokio::test]
async fn a_record_of_a_newer_version_is_an_error_and_not_a_new_run() {
    let site = LocalSite::new();
    let job = shell("echo ran");
    let engine = site.open();
    run(&*engine, &job).await;
    let path = site.job_directory(&job).join("result.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"version\":1", "\"version\":2");
    fs::write(&path, text).unwrap();
    let error = engine.observe(job.id).await.unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[tokio::test]
async fn a_supervisor_that_cannot_work_is_an_error_and_not_an_endless_wait() {
    let site = LocalSite::new();
    let job = shell("true");
    engine_that_starts_nothing(&site).submit(&job).await.unwrap();
    let script = "echo no such subcommand >&2; exit 2";
    let supervisor = ["sh", "-c", script].map(ToOwned::to_owned).to_vec();
    let engine = LocalEngine::open(LocalConfig { supervisor, ..site.config() }).unwrap();
    for _ in 0..1_000 {
        match engine.observe(job.id).await {
            Ok(observation) => {
                assert_eq!(observation, Observation::Pending { reason: None, suspended: false });
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("exit status: 2") && text.contains("no such subcommand"), "{text}");
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no error was seen");
}

#[tokio::test]
async fn no_dead_process_is_left_to_the_node() {
    let site = LocalSite::new();
    let engine = site.open();
    let job = shell("true");
    run(&*engine, &job).await;
    let directory = site.job_directory(&job);
    let lost = supervisor_of(&directory);
    for _ in 0..1_000 {
        engine.observe(job.id).await.unwrap();
        if fs::metadata(format!("/proc/{lost}")).is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {lost} is still there");
}
