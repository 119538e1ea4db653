// SPDX-License-Identifier: Apache-2.0
//! The rules themselves, over any engine.

use std::{net::TcpListener, os::fd::AsRawFd, time::Duration};

use sta_node::engines::{EngineError, EngineJob, Exit, Observation, StagedInput, Stream};
use sta_protocol::digest::Sha256Digest;

use super::{Site, code, finished, new_id, new_mark, processes_with, run, said, shell, stdout, text, until};

pub(super) async fn a_job_runs_and_its_exit_code_and_streams_are_kept(site: &dyn Site) {
    let engine = site.open();
    let job = shell("echo to-out; echo to-err >&2; exit 7");
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.exit, Exit::Code(7));
    assert!(outcome.started_at <= outcome.ended_at);
    assert_eq!(stdout(&*engine, job.id).await, "to-out\n");
    assert_eq!(text(&*engine, job.id, Stream::Stderr).await, "to-err\n");
}

pub(super) async fn a_code_is_told_apart_from_a_signal(site: &dyn Site) {
    let engine = site.open();
    let ends = [
        ("exit 0", Exit::Code(0)),
        ("exit 143", Exit::Code(143)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -35 $$", Exit::Signal(35)),
    ];
    for (script, exit) in ends {
        assert_eq!(run(&*engine, &shell(script)).await.exit, exit, "{script}");
    }
}

pub(super) async fn a_command_that_is_not_there_ends_with_127_and_says_so(site: &dyn Site) {
    let engine = site.open();
    let mut job = shell("");
    job.command = vec!["no-such-program".to_owned()];
    assert_eq!(run(&*engine, &job).await.exit, Exit::Code(127));
    assert!(text(&*engine, job.id, Stream::Stderr).await.contains("no-such-program"));
}

pub(super) async fn a_time_limit_ends_a_job_that_ignores_the_request(site: &dyn Site) {
    let engine = site.open();
    let mut job = shell("trap '' TERM; echo on; while :; do sleep 0.1; done");
    job.time_limit_s = 1;
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.exit, Exit::TimeLimit);
    let least = Duration::from_secs(1) + site.grace();
    assert!(u128::from(outcome.usage.wall_ms) >= least.as_millis(), "no grace was given: {outcome:?}");
    assert!(outcome.usage.wall_ms < 30_000, "{outcome:?}");
}

pub(super) async fn a_memory_limit_ends_a_job_that_takes_more(site: &dyn Site) {
    let engine = site.open();
    let mut job = shell("python3 -c 'x = bytearray(300 << 20)'; exit $?");
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

pub(super) async fn a_cancelled_job_ends_and_its_processes_with_it(site: &dyn Site) {
    let engine = site.open();
    let mark = new_mark();
    let job = shell(&format!("sleep {mark} & echo on; wait"));
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.cancel(job.id).await.unwrap();
    engine.cancel(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await.exit, Exit::Cancelled);
    assert_eq!(processes_with(&mark), [0; 0]);
}

pub(super) async fn a_job_cancelled_before_its_submission_never_runs(site: &dyn Site) {
    let engine = site.open();
    let job = shell("echo ran");
    engine.cancel(job.id).await.unwrap();
    assert_eq!(engine.observe(job.id).await.unwrap(), Observation::Unknown);
    let outcome = run(&*engine, &job).await;
    assert_eq!((outcome.exit, outcome.usage.wall_ms), (Exit::Cancelled, 0));
    assert_eq!(stdout(&*engine, job.id).await, "");
}

pub(super) async fn cancelling_a_finished_job_changes_nothing(site: &dyn Site) {
    let engine = site.open();
    let job = shell("exit 3");
    let outcome = run(&*engine, &job).await;
    engine.cancel(job.id).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await, outcome);
}

pub(super) async fn a_second_submission_runs_nothing_twice(site: &dyn Site) {
    let engine = site.open();
    let mut job = shell("echo line >> lines; sleep 0.3");
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

pub(super) async fn submissions_at_the_same_time_run_one_job(site: &dyn Site) {
    let (first, second) = (site.open(), site.open());
    let mut job = shell("echo line >> lines");
    job.outputs = vec!["lines".to_owned()];
    let (one, other, third) = tokio::join!(first.submit(&job), second.submit(&job), first.submit(&job));
    one.and(other).and(third).unwrap();
    assert_eq!(code(&finished(&*second, job.id).await), 0);
    let path = first.output_path(job.id, "lines").await.unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "line\n");
}

pub(super) async fn logs_are_read_while_the_job_runs(site: &dyn Site) {
    let engine = site.open();
    let job = shell("echo first; until [ -e go ]; do sleep 0.05; done; echo second");
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "first").await;
    let chunk = engine.logs(job.id, 0, Stream::Stdout, 2, 3).await.unwrap();
    assert_eq!((chunk.bytes.as_slice(), chunk.end), (&b"rst"[..], false));
    let chunk = engine.logs(job.id, 0, Stream::Stdout, 6, 100).await.unwrap();
    assert_eq!((chunk.bytes.len(), chunk.end), (0, false), "a running job may still write");
    engine.cancel(job.id).await.unwrap();
    finished(&*engine, job.id).await;
    let chunk = engine.logs(job.id, 0, Stream::Stdout, 4, 100).await.unwrap();
    assert_eq!((chunk.bytes.as_slice(), chunk.end), (&b"t\n"[..], true));
    assert!(
        engine.logs(job.id, 0, Stream::Stdout, 4_000, 100).await.unwrap().end,
        "beyond the end is the end"
    );
}

pub(super) async fn outputs_are_hashed_and_missing_ones_named(site: &dyn Site) {
    let engine = site.open();
    let mut job = shell("mkdir -p model; printf weights > model/w; mkdir folder; mkfifo pipe; exit 1");
    job.outputs = ["model/w", "folder", "pipe", "never"].map(ToOwned::to_owned).to_vec();
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.outputs_missing, ["folder", "pipe", "never"]);
    let [output] = outcome.outputs.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((output.name.as_str(), output.bytes), ("model/w", 7));
    assert_eq!(output.sha256, Sha256Digest::of(b"weights"));
    let path = engine.output_path(job.id, "model/w").await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"weights");
    let never = engine.output_path(job.id, "never").await;
    assert!(matches!(never, Err(EngineError::NoOutput { .. })), "{never:?}");
}

pub(super) async fn a_link_is_not_an_output(site: &dyn Site) {
    let engine = site.open();
    let mut job = shell("ln -s /etc/hostname direct; ln -s /etc folder; echo x > x; ln -s x inside");
    job.outputs = ["direct", "folder/hostname", "inside"].map(ToOwned::to_owned).to_vec();
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.outputs_missing, job.outputs, "{outcome:?}");
}

pub(super) async fn inputs_stand_under_their_names_and_cannot_be_written_through(site: &dyn Site) {
    let engine = site.open();
    let store = tempfile::tempdir().unwrap();
    let path = store.path().join("content");
    std::fs::write(&path, "treasure\n").unwrap();
    let mut job = shell(
        "cat data/in.csv; (echo spoilt > data/in.csv) 2>/dev/null; (chmod u+w data/in.csv) 2>/dev/null; ./program",
    );
    job.inputs = vec![staged("data/in.csv", &path)];
    // What is staged can also be the program.
    let program = store.path().join("program");
    std::fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
    job.inputs.push(staged("program", &program));
    assert_eq!(code(&run(&*engine, &job).await), 0);
    assert_eq!(stdout(&*engine, job.id).await, "treasure\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "treasure\n");
}

fn staged(name: &str, path: &std::path::Path) -> StagedInput {
    let sha256 = Sha256Digest::of(&std::fs::read(path).unwrap());
    StagedInput { name: name.to_owned(), sha256, path: path.to_owned() }
}

pub(super) async fn nothing_of_the_nodes_environment_reaches_a_job(site: &dyn Site) {
    // Cargo sets this for every test, so it stands in for a secret without a change to our own environment.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let engine = site.open();
    let mut job = shell("env; pwd");
    job.environment = vec![("ASKED_FOR".to_owned(), "yes".to_owned())];
    run(&*engine, &job).await;
    let text = stdout(&*engine, job.id).await;
    let mut names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // Two that the shell makes for itself, and the accelerators a job may see.
    names.retain(|name| {
        !["PWD", "OLDPWD", "SHLVL", "_"].contains(name) && !name.ends_with("_VISIBLE_DEVICES")
    });
    names.sort_unstable();
    assert_eq!(names, ["ASKED_FOR", "HOME", "LANG", "PATH", "STA_JOB_ID", "TMPDIR"]);
    let home = text.lines().find_map(|line| line.strip_prefix("HOME="));
    assert_eq!(home, text.lines().last(), "the job is at home in its working directory");
}

pub(super) async fn a_job_has_no_descriptors_beyond_the_three(site: &dyn Site) {
    // One that is inherited, as a careless library or shell would leave it behind.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let leak = nix::unistd::dup(&listener).unwrap();
    nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    assert!(leak.as_raw_fd() > 2);
    let engine = site.open();
    // The shell itself has one more while it lists, and none when it looks again.
    let job = shell("for fd in /proc/$$/fd/*; do [ -e $fd ] && echo ${fd##*/}; done; true");
    run(&*engine, &job).await;
    assert_eq!(stdout(&*engine, job.id).await, "0\n1\n2\n");
}

pub(super) async fn the_network_is_there_only_for_those_who_ask(site: &dyn Site) {
    let engine = site.open();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5)");
    let mut job = shell("");
    job.command = vec!["python3".to_owned(), "-c".to_owned(), script];
    let without = run(&*engine, &job).await;
    let isolated = without.limits_enforced.iter().any(|limit| limit == "network-namespace");
    assert_eq!(code(&without) != 0, isolated, "the record says what held: {without:?}");
    let asking = EngineJob { id: new_id(), network: true, ..job };
    let with = run(&*engine, &asking).await;
    assert_eq!(code(&with), 0, "{}", text(&*engine, asking.id, Stream::Stderr).await);
    assert!(!with.limits_enforced.iter().any(|limit| limit == "network-namespace"), "{with:?}");
}

pub(super) async fn what_a_job_leaves_running_is_killed_at_its_end(site: &dyn Site) {
    let engine = site.open();
    let mark = new_mark();
    let job = shell(&format!("setsid sh -c 'trap \"\" TERM HUP; sleep {mark}' & sleep 0.2; exit 0"));
    assert_eq!(code(&run(&*engine, &job).await), 0);
    assert_eq!(processes_with(&mark), [0; 0]);
}

pub(super) async fn a_new_engine_finds_running_jobs_and_their_end(site: &dyn Site) {
    let mut job = shell("echo line >> lines; sleep 1; exit 5");
    job.outputs = vec!["lines".to_owned()];
    let engine = site.open();
    engine.submit(&job).await.unwrap();
    let running =
        |observation: &Observation| matches!(observation, Observation::Running { .. }).then_some(());
    until(&*engine, job.id, running).await;
    drop(engine);
    let engine = site.open();
    let seen = engine.observe(job.id).await.unwrap();
    let Observation::Running { started_at } = seen else { panic!("{seen:?}") };
    engine.submit(&job).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!((outcome.exit, outcome.started_at), (Exit::Code(5), started_at));
    assert_eq!(outcome.outputs[0].bytes, 5, "it ran once");
}

pub(super) async fn a_wiped_job_keeps_its_record_and_logs_only(site: &dyn Site) {
    let engine = site.open();
    let mut job = shell("echo said; echo x > x");
    job.outputs = vec!["x".to_owned()];
    let outcome = run(&*engine, &job).await;
    let path = engine.output_path(job.id, "x").await.unwrap();
    engine.wipe(job.id).await.unwrap();
    engine.wipe(job.id).await.unwrap();
    assert!(!path.exists());
    assert!(matches!(engine.output_path(job.id, "x").await, Err(EngineError::NoOutput { .. })));
    engine.submit(&job).await.unwrap();
    assert_eq!(finished(&*engine, job.id).await, outcome);
    assert_eq!(stdout(&*engine, job.id).await, "said\n");
    assert!(!path.exists(), "it was not run again");
}

pub(super) async fn unknown_and_unfinished_jobs_are_told_apart(site: &dyn Site) {
    let engine = site.open();
    let job = shell("echo on; sleep 60");
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

pub(super) async fn a_job_that_can_never_run_is_refused(site: &dyn Site) {
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
        .map(|name| EngineJob { inputs: vec![input(name)], ..shell("true") })
        .to_vec();
    jobs.extend(faults.map(|spoil| {
        let mut job = shell("true");
        spoil(&mut job);
        job
    }));
    for job in jobs {
        let refused = engine.submit(&job).await;
        assert!(matches!(refused, Err(EngineError::Invalid { .. })), "{job:?}: {refused:?}");
        assert_eq!(engine.observe(job.id).await.unwrap(), Observation::Unknown);
    }
}

pub(super) async fn usage_is_measured(site: &dyn Site) {
    let engine = site.open();
    let script =
        "import time\nx = bytearray(48 << 20)\nwhile time.process_time() < 0.4: pass\ntime.sleep(0.3)";
    let mut job = shell("");
    job.command = ["python3", "-c", script].map(ToOwned::to_owned).to_vec();
    let outcome = run(&*engine, &job).await;
    assert_eq!(outcome.exit, Exit::Code(0));
    let usage = outcome.usage;
    assert!((400..5_000).contains(&usage.cpu_ms), "{usage:?}");
    assert!(usage.wall_ms >= 700, "{usage:?}");
    assert!((48 << 20..200 << 20).contains(&usage.memory_peak_bytes), "{usage:?}");
}
