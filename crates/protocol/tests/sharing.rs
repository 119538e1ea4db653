// SPDX-License-Identifier: Apache-2.0
//! The terms of sharing in a treaty, and what a job says of its checkpoints: both may be left out, and change nothing then.

use serde_json::json;
use sta_protocol::{
    digest::Sha256Digest,
    job::{Checkpoint, JobSpec},
    treaty::{Sharing, Treaty},
};

const EXAMPLE: &str = include_str!("../../../treaties/canada-germany.toml");

/// The example with other terms of sharing, or without any.
fn with(terms: &str) -> String {
    let (before, after) = EXAMPLE.split_once("[sharing]").unwrap();
    let (_, after) = after.split_once("\n\n").unwrap();
    format!("{before}{terms}\n{after}")
}

fn problem(terms: &str) -> String {
    Treaty::from_toml(&with(terms)).unwrap_err().to_string()
}

#[test]
fn a_treaty_without_terms_of_sharing_is_written_as_it_was_before_there_were_any() {
    let treaty = Treaty::from_toml(&with("")).unwrap();
    assert_eq!(treaty.sharing, None);
    let written = serde_json::to_value(&treaty).unwrap();
    assert!(written.get("sharing").is_none());
    let again: Treaty = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(Sha256Digest::of_json(&again).unwrap(), Sha256Digest::of_json(&written).unwrap());
}

#[test]
fn a_term_that_is_left_out_has_its_usual_value() {
    let treaty = Treaty::from_toml(&with("[sharing]")).unwrap();
    let usual = Sharing { grace_s: 30, staging_s: 0, restart_s: 0, unsaved_s_max: None };
    assert_eq!((treaty.sharing, usual), (Some(usual), Sharing::default()));
    let again = Treaty::from_toml(&treaty.to_toml().unwrap()).unwrap();
    assert_eq!(again, treaty);
}

#[test]
fn terms_of_sharing_are_within_their_bounds() {
    let problems = [
        problem("[sharing]\ngrace_s = 0"),
        problem("[sharing]\ngrace_s = 3601"),
        problem("[sharing]\nstaging_s = 86401"),
        problem("[sharing]\nrestart_s = 86401"),
        problem("[sharing]\nunsaved_s_max = 0"),
    ];
    insta::assert_snapshot!(problems.join("\n"), @r"
    the treaty's `sharing.grace_s` is 0: use 1 to 3600 seconds
    the treaty's `sharing.grace_s` is 3601: use 1 to 3600 seconds
    the treaty's `sharing.staging_s` is 86401: use 0 to 86400 seconds
    the treaty's `sharing.restart_s` is 86401: use 0 to 86400 seconds
    the treaty's `sharing.unsaved_s_max` is 0: use 1 to 2592000 seconds
    ");
    assert!(problem("[sharing]\ngrace = 3").contains("unknown field `grace`"));
}

fn job(checkpoint: &serde_json::Value) -> JobSpec {
    let mut job = json!({
        "version": 1, "name": "digits", "command": ["true"], "image": "host", "project": "digits", "purpose": "research",
        "datasets": [], "inputs": [], "outputs": [], "cpu_cores": 1, "memory_bytes": 1 << 30, "gpus": 0, "time_limit_s": 60,
        "network": false, "objective": {"price": 1}, "sites_allowed": [], "sites_refused": [],
    });
    if !checkpoint.is_null() {
        job["checkpoint"] = checkpoint.clone();
    }
    serde_json::from_value(job).unwrap()
}

#[test]
fn a_job_says_when_it_saves_its_work_or_nothing() {
    let silent = job(&json!(null));
    assert!(silent.validate().is_ok() && serde_json::to_value(&silent).unwrap().get("checkpoint").is_none());
    let saving = job(&json!({"on_signal": true, "every_s": 60}));
    assert_eq!(saving.checkpoint, Some(Checkpoint { on_signal: true, every_s: Some(60) }));
    assert!(saving.validate().is_ok());
    assert_eq!(json!(job(&json!({"every_s": 60})).checkpoint), json!({"every_s": 60}));
    let told =
        [json!({}), json!({"every_s": 0})].map(|wrong| job(&wrong).validate().unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"), @r"
    `checkpoint` says not when the job saves its work: use `on_signal = true`, `every_s = 300`, or both
    `checkpoint` has `every_s = 0`: use 1 to 2592000 seconds
    ");
}
