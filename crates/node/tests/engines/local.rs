// SPDX-License-Identifier: Apache-2.0
//! The engine `local`: the conformance suite, and what only it promises about its sandbox.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use sta_node::engines::{
    Engine, EngineJob, Exit,
    local::{LocalConfig, LocalEngine},
};
use tempfile::TempDir;

use super::{Site, capacity, code, conforms, finished, run, said, shell, stdout};

/// A directory for the engine's jobs, removed at the end.
pub(super) struct LocalSite {
    directory: TempDir,
}

impl LocalSite {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }
    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().join("jobs")
    }
    pub(super) fn config(&self) -> LocalConfig {
        let supervisor = [env!("CARGO_BIN_EXE_sta"), "supervise"].map(ToOwned::to_owned).to_vec();
        LocalConfig { grace: self.grace(), ..LocalConfig::new(self.root(), supervisor, capacity()) }
    }
    pub(super) fn job_directory(&self, job: &EngineJob) -> PathBuf {
        self.root().join(job.id.to_string())
    }
}

impl Site for LocalSite {
    fn open(&self) -> Box<dyn Engine> {
        Box::new(LocalEngine::open(self.config()).unwrap())
    }
    fn grace(&self) -> Duration {
        Duration::from_millis(500)
    }
}

conforms! { Some(LocalSite::new()) }

#[tokio::test]
async fn nobody_else_may_look_into_the_directories_of_a_job() {
    let site = LocalSite::new();
    let engine = site.open();
    let job = shell("echo on; sleep 60");
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    let directory = site.job_directory(&job);
    for path in [site.root(), directory.clone(), directory.join("work"), directory.join("tmp")] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
    for name in ["spec.json", "started.json", "stdout", "stderr", "lock"] {
        let mode = fs::metadata(directory.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
    engine.cancel(job.id).await.unwrap();
    finished(&*engine, job.id).await;
}

#[tokio::test]
async fn the_record_names_the_limits_that_held_and_they_are_those_the_kernel_has() {
    let site = LocalSite::new();
    let engine = site.open();
    let job = shell("cat /proc/self/cgroup; grep -E 'NoNewPrivs|^Uid|CapEff' /proc/self/status; ulimit -c");
    let outcome = run(&*engine, &job).await;
    let text = stdout(&*engine, job.id).await;
    let held = |name: &str| outcome.limits_enforced.iter().any(|limit| limit == name);
    // These need no privilege, so they hold everywhere.
    for name in ["session", "no-new-privileges", "rlimit:core", "rlimit:open-files", "time-limit"] {
        assert!(held(name), "{name} is missing: {outcome:?}");
    }
    let named: BTreeSet<_> = outcome.limits_enforced.iter().collect();
    assert_eq!(named.len(), outcome.limits_enforced.len(), "each is named once: {outcome:?}");
    assert!(text.contains("NoNewPrivs:\t1") && text.ends_with("\n0\n"), "{text}");
    let group = format!("/sta/{}", job.id);
    let in_group = |controller: &str| {
        let lines = text.lines().filter(|line| line.ends_with(&group));
        lines
            .filter_map(|line| line.split(':').nth(1))
            .any(|names| names.split(',').any(|name| name == controller))
    };
    for controller in ["memory", "cpu", "pids"] {
        let v1 = held(&format!("cgroup-v1:{controller}"));
        assert_eq!(v1, in_group(controller), "{controller}: {text}{outcome:?}");
        assert!(!held(&format!("cgroup-v2:{controller}")) || in_group(""), "{controller}: {text}{outcome:?}");
    }
    let memory = held("cgroup-v1:memory") || held("cgroup-v2:memory");
    assert_ne!(memory, held("rlimit:address-space"), "one of the two, always: {outcome:?}");
    if held("own-user") {
        assert!(text.contains("CapEff:\t0000000000000000"), "{text}");
        assert!(!text.contains("Uid:\t0"), "{text}");
    }
}

#[tokio::test]
async fn a_job_sees_neither_the_nodes_files_nor_those_of_other_jobs() {
    let site = LocalSite::new();
    // Not below /tmp, which the job does not see anyway.
    let secrets = tempfile::tempdir_in("/var/tmp").unwrap();
    let secret = secrets.path().join("key");
    fs::write(&secret, "secret").unwrap();
    fs::set_permissions(secrets.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let config = LocalConfig { hidden: vec![secrets.path().to_owned()], ..site.config() };
    let engine = LocalEngine::open(config).unwrap();
    let root = site.root();
    let job = shell(&format!(
        "cat {} ; ls -a {} | wc -l; ls {} | wc -l",
        secret.display(),
        secrets.path().display(),
        root.display()
    ));
    let outcome = run(&engine, &job).await;
    if outcome.limits_enforced.iter().any(|limit| limit == "hidden-directories") {
        assert_eq!(
            stdout(&engine, job.id).await.split_whitespace().collect::<Vec<_>>(),
            ["2", "0"],
            "{outcome:?}"
        );
    } else {
        assert!(!outcome.limits_enforced.iter().any(|limit| limit == "mount-namespace"), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_one_job_writes_to_tmp_no_other_job_finds() {
    let site = LocalSite::new();
    let engine = site.open();
    let outcome =
        run(&*engine, &shell("echo x > /tmp/sta-engine-test && echo x > /dev/shm/sta-engine-test")).await;
    assert_eq!(code(&outcome), 0, "{outcome:?}");
    let isolated = outcome.limits_enforced.iter().any(|limit| limit == "mount-namespace");
    let second =
        run(&*engine, &shell("! [ -e /tmp/sta-engine-test ] && ! [ -e /dev/shm/sta-engine-test ]")).await;
    assert_eq!(code(&second) == 0, isolated, "{second:?}");
    for path in ["/tmp/sta-engine-test", "/dev/shm/sta-engine-test"] {
        assert_eq!(fs::remove_file(path).is_err(), isolated, "{path}");
    }
}

#[tokio::test]
async fn a_stream_is_kept_up_to_its_limit_and_the_job_goes_on() {
    let site = LocalSite::new();
    let config = LocalConfig { log_bytes_max: 1_000, ..site.config() };
    let engine = LocalEngine::open(config).unwrap();
    let mut job = shell("head -c 3000000 /dev/zero | tr '\\0' x; echo done > done");
    job.outputs = vec!["done".to_owned()];
    let outcome = run(&engine, &job).await;
    assert_eq!((outcome.exit, outcome.outputs.len()), (Exit::Code(0), 1));
    let text = stdout(&engine, job.id).await;
    assert!(text.starts_with(&"x".repeat(1_000)) && !text.starts_with(&"x".repeat(1_001)), "{}", text.len());
    assert!(text.contains("at its limit of 1000 bytes"), "{text}");
}

#[tokio::test]
async fn two_jobs_that_need_an_accelerator_get_different_ones() {
    let site = LocalSite::new();
    let engine = site.open();
    let jobs = [0; 2].map(|_| EngineJob { gpus: 1, ..shell("echo on $CUDA_VISIBLE_DEVICES; sleep 60") });
    let mut seen = Vec::new();
    for job in &jobs {
        engine.submit(job).await.unwrap();
        said(&*engine, job.id, "on").await;
        seen.push(stdout(&*engine, job.id).await);
    }
    let third = EngineJob { gpus: 2, ..shell("echo $CUDA_VISIBLE_DEVICES") };
    engine.submit(&third).await.unwrap();
    for job in &jobs {
        engine.cancel(job.id).await.unwrap();
        finished(&*engine, job.id).await;
    }
    assert_eq!(seen, ["on 0\n", "on 1\n"]);
    // It waited for the two, and is not run beside them.
    assert_eq!(code(&finished(&*engine, third.id).await), 0);
    assert_eq!(stdout(&*engine, third.id).await, "0,1\n");
}

#[tokio::test]
async fn the_clock_of_the_time_limit_stands_still_with_the_job() {
    let site = LocalSite::new();
    let engine = site.open();
    let mut job = shell("echo on; sleep 0.5; i=0; while [ $i -lt 10 ]; do i=$((i + 1)); sleep 0.1; done");
    job.time_limit_s = 6;
    engine.submit(&job).await.unwrap();
    said(&*engine, job.id, "on").await;
    engine.suspend(job.id).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    engine.resume(job.id).await.unwrap();
    let outcome = finished(&*engine, job.id).await;
    assert_eq!(outcome.exit, Exit::Code(0), "{outcome:?}");
    assert!(outcome.usage.wall_ms > 7_000, "what it held meanwhile is metered: {outcome:?}");
}

#[tokio::test]
async fn no_control_group_is_left_behind() {
    let site = LocalSite::new();
    let engine = site.open();
    let job = shell("true");
    run(&*engine, &job).await;
    let id = job.id.to_string();
    let left = || {
        let found =
            std::process::Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", &id]).output();
        String::from_utf8(found.unwrap().stdout).unwrap()
    };
    // They go a moment after the result is there.
    for _ in 0..500 {
        if left().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{}", left());
}
