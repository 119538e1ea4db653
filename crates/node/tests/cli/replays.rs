// SPDX-License-Identifier: Apache-2.0
//! `sta replay`: the figures for programs and for people, and what is said of a file that is no trace.

use std::fs;

use super::Bench;

const VENUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/traces/venus20k_oracle.swf.gz");

#[test]
fn the_mean_wait_of_the_oracle_is_what_others_have_to_the_last_digit() {
    let bench = Bench::new();
    let asked = ["replay", VENUS, "--policy", "fifo", "--processors", "536", "--baseline", "alone"];
    let answer = bench.json(&asked);
    assert_eq!(answer["total"]["wait_mean_s"].to_string(), "15400.68");
    assert_eq!(
        (&answer["policy"], &answer["baseline"], &answer["processors"]),
        (&"fifo".into(), &"alone".into(), &536.into())
    );
    insta::assert_snapshot!(bench.done(&asked));
}

#[test]
fn what_the_replay_leaves_out_it_says() {
    let bench = Bench::new();
    let job = |id, run, processors| {
        format!("{id} 0 -1 {run} {processors} -1 -1 {processors} -1 -1 1 1 1 -1 1 -1 -1 -1\n")
    };
    fs::write(bench.path("t.swf"), job(1, 100_000, 4) + &job(2, 60, 4) + &job(3, -1, 1) + &job(4, 60, 9))
        .unwrap();
    insta::assert_snapshot!(bench.done(&["replay", "t.swf", "--processors", "4", "--baseline", "alone"]));
}

#[test]
fn a_baseline_has_to_be_named() {
    let told = Bench::new().sta(&["replay", VENUS, "--processors", "536"]);
    assert_eq!(told.code, 2);
    assert!(told.err.contains("--baseline <BASELINE>"), "{}", told.err);
}

#[test]
fn a_file_that_is_no_trace_is_told_with_its_line() {
    let bench = Bench::new();
    fs::write(bench.path("jobs.csv"), "id,submit,run\n1,0,10\n").unwrap();
    let asked = |file| ["replay", file, "--processors", "4", "--baseline", "alone"];
    let told = bench.sta(&asked("jobs.csv"));
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err);
    let told = bench.sta(&asked("gone.swf"));
    assert_eq!(told.code, 1);
    insta::assert_snapshot!(told.err);
}
