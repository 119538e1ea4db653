// SPDX-License-Identifier: Apache-2.0
//! Jobs by the command line: what is wrong with one is told before anything is sent, and a node that is away is exit code 3.

use std::fs;

use super::Bench;

/// A profile without a node behind it.
fn profile(bench: &Bench) {
    fs::create_dir(bench.path("ada")).unwrap();
    let about =
        format!("node = \"http://127.0.0.1:{}\"\nmember = \"ca\"\nresearcher = \"ada\"\n", bench.ports[0]);
    fs::write(bench.path("ada/profile.toml"), about).unwrap();
    for (name, text) in
        [("token", "t".repeat(43)), ("holder.seed", "s".repeat(32)), ("passport.jwt", "p".to_owned())]
    {
        let path = bench.path("ada").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_job_file_that_is_wrong_is_told_with_file_line_and_key() {
    let bench = Bench::new();
    profile(&bench);
    fs::write(
        bench.path("job.toml"),
        "project = \"p\"\npurpose = \"research\"\ncommand = [\"true\"]\nmemory = \"512 MB\"\n",
    )
    .unwrap();
    let told = bench.sta(&["submit", "--profile", "ada", "job.toml"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err);
}

#[test]
fn an_input_that_is_not_there_is_told_with_its_path() {
    let bench = Bench::new();
    profile(&bench);
    let told = bench.sta(&[
        "submit",
        "--profile",
        "ada",
        "--project",
        "p",
        "--purpose",
        "research",
        "--input",
        "train.py",
        "--",
        "python3",
        "train.py",
    ]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err);
}

#[test]
fn a_node_that_does_not_answer_is_exit_code_3() {
    let bench = Bench::new();
    profile(&bench);
    for arguments in [
        &["jobs", "--profile", "ada"][..],
        &["submit", "--profile", "ada", "--project", "p", "--purpose", "research", "--", "true"],
    ] {
        let told = bench.sta(arguments);
        assert_eq!(told.code, 3, "{}", told.err);
        assert!(told.err.starts_with("sta: cannot reach the node at http://127.0.0.1:"), "{}", told.err);
    }
}

#[test]
fn a_job_array_is_submitted_followed_and_read_task_by_task() {
    let bench = Bench::new();
    bench.signed_treaty();
    let _node = bench.serve("ca");
    bench.done(&["researcher", "add", "--dir", "ca", "--profile", "ada", "ada"]);
    let project = ["project", "add", "--dir", "ca", "sweeps", "--credits", "10.00", "--researcher", "ada"];
    bench.done(&project);
    bench.done(&["passport", "issue", "--profile", "ada"]);
    let file = "project = \"sweeps\"\npurpose = \"research\"\ncount = 7\nparallel = 1\noutputs = [\"square-{index}\"]\n";
    fs::write(bench.path("job.toml"), file).unwrap();
    let script = "echo task $STA_TASK_INDEX of $STA_TASK_COUNT; echo $((STA_TASK_INDEX * STA_TASK_INDEX)) > square-$STA_TASK_INDEX; exit $((STA_TASK_INDEX == 2))";
    let flags = [
        "submit",
        "--profile",
        "ada",
        "--site-allow",
        "quebec-hydro",
        "--count",
        "4",
        "--attempts",
        "2",
        "--wait",
        "--json",
        "job.toml",
    ];
    let told = bench.sta(&[&flags[..], &["--", "sh", "-c", script]].concat());
    assert_eq!(told.code, 1, "a task failed: {}{}", told.out, told.err);
    let job: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let failed = serde_json::json!([{"index": 2, "exit": {"kind": "code", "value": 1}}]);
    assert_eq!(job["tasks"], serde_json::json!({"count": 4, "completed": 3, "failed": failed}), "{job}");
    assert_eq!((&job["shape"]["count"], &job["state"]), (&4.into(), &"failed".into()), "{job}");

    let id = job["id"].as_str().unwrap();
    let shown = bench.done(&["job", "--profile", "ada", id]);
    assert!(shown.contains("4 indexed tasks, 1 at once"), "{shown}");
    assert!(shown.contains("3 of 4 completed; failed: 2 (code 1)"), "{shown}");
    for index in ["0", "3"] {
        let log = bench.done(&["logs", "--profile", "ada", "-f", "--task", index, id]);
        assert_eq!(log, format!("task {index} of 4\n"));
    }
    bench.done(&["result", "--profile", "ada", "--out", "squares", id]);
    assert_eq!(fs::read_to_string(bench.path("squares/square-3")).unwrap(), "9\n");
}

#[test]
fn how_a_job_spreads_is_checked_before_anything_is_sent() {
    let bench = Bench::new();
    profile(&bench);
    let whole = ["submit", "--profile", "ada", "--project", "p", "--purpose", "research"];
    for (flags, reason) in [
        (&["--site-option", "constraint"][..], "it is not NAME=VALUE: write it such as constraint=hbm"),
        (&["--site-option", "Constraint=hbm"], "`site_options` has `Constraint`"),
        (&["--count", "2", "--parallel", "3"], "`parallel` is 3, with 2 indexed tasks"),
        (&["--nodes", "4", "--tasks", "2"], "`tasks` is 2, with 4 nodes"),
        (&["--gpu-type", "gh200"], "`gpu_type` is given and `gpus` is 0"),
        (&["--attempts", "11"], "`attempts_max` is 11: use 1 to 10"),
        (&["--after", "yesterday"], "invalid value 'yesterday' for '--after <JOB>'"),
    ] {
        let told = bench.sta(&[&whole[..], flags, &["--", "true"]].concat());
        assert_eq!(told.code, 2, "{flags:?}: {}", told.err);
        assert!(told.err.contains(reason), "{flags:?}: {}", told.err);
    }
}

#[test]
fn without_a_profile_people_are_told_how_to_get_one() {
    let bench = Bench::new();
    let told = bench.sta(&["jobs"]);
    assert_eq!(told.code, 2);
    let directory = bench.directory.path().display().to_string();
    insta::assert_snapshot!(told.err.replace(&directory, "~"));
}

#[test]
fn a_token_never_stands_on_the_command_line() {
    let bench = Bench::new();
    for command in ["submit", "jobs", "serve", "init"] {
        assert!(!bench.done(&[command, "--help"]).contains("--token"), "{command}");
    }
}
