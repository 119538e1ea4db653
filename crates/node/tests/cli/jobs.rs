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
