// SPDX-License-Identifier: Apache-2.0
//! `sta demo`: over real clusters everything comes out as promised, and where there can be none it says so.

use serde_json::Value;

use super::Bench;
use crate::harness::clusters::clusters;

#[test]
fn the_demo_over_real_clusters_keeps_every_promise() {
    let Some(up) = clusters() else { return };
    let bench = Bench::new();
    let set = std::env::var("STA_CLUSTERS").unwrap();
    let told = bench.sta(&["--json", "demo", "--clusters", &set]);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    let document: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(document["statements"]["equal"], true);
    let jobs = document["jobs"].as_array().unwrap();
    let completed: Vec<&Value> = jobs.iter().filter(|job| job["state"] == "completed").collect();
    let names: Vec<&str> = completed.iter().filter_map(|job| job["name"].as_str()).collect();
    let expected = [
        "open data, cleanest",
        "hospital data in the EEA",
        "at home while Germany is away",
        "through a killed node",
        "weights with their evaluation",
        "held and stopped",
    ];
    assert_eq!(names, expected, "{document}");
    for job in completed {
        let slurm = &job["slurm"];
        let cluster = up.iter().find(|cluster| slurm["cluster"] == cluster.name).unwrap();
        assert_eq!(slurm["version"], cluster.version);
        assert!(cluster.accounts.iter().any(|account| slurm["account"] == *account), "{job}");
        assert_eq!(slurm["state"], "COMPLETED", "{job}");
        // On a busy machine Slurm counts seconds that the job itself has not seen, and then Slurm's count holds.
        let wall = job["usage"]["sources"]["wall"].as_str();
        assert!(matches!(wall, Some("job_stamps" | "scheduler")), "{job}");
    }
    assert!(told.err.contains("squeue says RUNNING"), "{}", told.err);
    println!("{}", told.err);
}

#[test]
fn clusters_that_are_nowhere_to_be_had_are_told_with_what_to_do() {
    let bench = Bench::new();
    let told = bench.sta(&["demo", "--clusters", "nowhere"]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("sta demo --clusters DIR"), "{}", told.err);
}
