// SPDX-License-Identifier: Apache-2.0
//! `sta replay`: the figures for programs and for people, and what is said of a file that is no trace.

use std::fs;

use super::Bench;

const VENUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/traces/venus20k_oracle.swf.gz");
const NATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/replay/two-nations.toml");
const VENUS_WHOLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/traces/helios_venus_gpu_jobs.csv.gz");
const RIDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/replay/free-rider.toml");

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
fn a_scenario_says_what_it_saves_against_which_baseline() {
    let bench = Bench::new();
    let asked = ["replay", NATIONS, "--load", "0.50:1.20", "--baseline", "alone,cloud:7.91,rent-all:2.95"];
    insta::assert_snapshot!(bench.done(&asked));
    let owner_first = [&asked[..], &["--policy", "owner-first"]].concat();
    let answer = bench.json(&owner_first);
    let saving = &answer["savings"][1];
    assert_eq!(
        (saving["baseline"].as_str(), saving["saving_percent"].to_string()),
        (Some("cloud:7.91"), "40.06".to_owned())
    );
}

#[test]
fn the_report_of_a_scenario_that_a_browser_looks_at_is_one_page() {
    let bench = Bench::new();
    let (page, sheet) = (bench.path("report.html"), bench.path("report.csv"));
    let [page_path, sheet_path] = [&page, &sheet].map(|path| path.to_str().unwrap());
    let files = ["--html", page_path, "--csv", sheet_path, "--curve"];
    bench.done(&[&["replay", NATIONS, "--baseline", "alone,cloud:2.95"][..], &files].concat());
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("cloud:2.95") && !text.contains("http-equiv=\"refresh\""));
    assert_eq!(fs::read_to_string(&sheet).unwrap().lines().count(), 1 + 2 * 2 + 1 + 2);
    if let Some(folder) = std::env::var_os("STA_REPORT_DIR") {
        fs::create_dir_all(&folder).unwrap();
        fs::write(std::path::Path::new(&folder).join("two-nations.html"), text).unwrap();
    }
}

#[test]
fn scenarios_policies_and_loads_are_compared_in_one_table() {
    let bench = Bench::new();
    let asked = [
        "replay",
        "sweep",
        RIDER,
        "--baseline",
        "alone",
        "--policy",
        "owner-first,promise",
        "--movable",
        "25,100",
    ];
    insta::assert_snapshot!(bench.done(&asked));
    let told = bench.sta(&["replay", "compare", RIDER, "--baseline", "alone", "--movable", "25,100"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err);
}

#[test]
fn jobs_are_made_after_a_trace_and_played() {
    let bench = Bench::new();
    let venus = VENUS_WHOLE;
    let made = [
        "replay",
        "synthetic",
        venus,
        "--jobs",
        "20000",
        "--sites",
        "4",
        "--members",
        "3",
        "--processors",
        "4000",
    ];
    insta::assert_snapshot!(bench.done(&made));
    let answer = bench.json(&made);
    assert_eq!((&answer["violations"], &answer["shape"]["jobs"]), (&0.into(), &20_000.into()));
    let told = bench.sta(&["replay", "synthetic", venus, "--jobs", "9", "--processors", "10"]);
    assert_eq!(told.code, 2);
    let said = "the number of processors (every site has room for the widest job) is 10, and can be 400 to 100000000";
    assert!(told.err.contains(said), "{}", told.err);
    let told =
        bench.sta(&["replay", "synthetic", VENUS, "--jobs", "9", "--processors", "900", "--policy", "easy"]);
    assert!(told.err.contains("fifo and easy are of one member's trace"), "{}", told.err);
}

#[test]
fn what_cannot_be_asked_of_a_trace_or_a_scenario_is_said() {
    let bench = Bench::new();
    let asked: [&[&str]; 9] = [
        &["replay", VENUS, "--processors", "9", "--baseline", "cloud:7.91"],
        &["replay", VENUS, "--processors", "9", "--baseline", "alone", "--policy", "promise"],
        &["replay", VENUS, "--baseline", "alone"],
        &["replay", NATIONS, "--baseline", "alone", "--policy", "fifo"],
        &["replay", NATIONS, "--baseline", "alone", "--processors", "9"],
        &["replay", NATIONS, "--baseline", "alone", "--load", "0.7,0.8"],
        &["replay", NATIONS, "--baseline", "alone", "--load", "0.7:0.8:0.9"],
        &["replay", "sweep", NATIONS, "--baseline", "alone", "--policy", "easy"],
        &["replay", NATIONS, "--baseline", "alone", "--html", "there/is/no/folder.html"],
    ];
    let told = |words: &[&str]| {
        let told = bench.sta(words);
        format!("{} {}", told.code, told.err.replace(concat!(env!("CARGO_MANIFEST_DIR"), "/../../"), ""))
    };
    insta::assert_snapshot!(asked.map(told).join("\n"));
    let many = |first: u32, last: u32, unit: f64| {
        let all: Vec<String> = (first..=last).map(|number| (f64::from(number) * unit).to_string()).collect();
        all.join(",")
    };
    let (loads, shares) = (many(1, 101, 0.01), many(1, 100, 1.0));
    let told = bench.sta(&[
        "replay",
        "sweep",
        NATIONS,
        "--baseline",
        "alone",
        "--policy",
        "promise",
        "--load",
        &loads,
        "--movable",
        &shares,
    ]);
    assert!(told.code == 2 && told.err.contains("it has 10100 studies, and may have 10000"), "{}", told.err);
    for (name, value) in [("--baseline", "cloud"), ("--load", "-1")] {
        let told = bench.sta(&["replay", NATIONS, "--baseline", "alone", &format!("{name}={value}")]);
        assert!(told.code == 2 && told.err.contains(&format!("`{value}` is no")), "{}", told.err);
    }
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
