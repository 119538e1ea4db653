// SPDX-License-Identifier: Apache-2.0
//! An act about weights: trained in Jülich, they leave only when a passed evaluation of exactly these bytes is on record there.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    super::failure::{Failure, Trying},
    Stage,
    acts::{ADA, expect, fetch_accuracy, id_of, submit},
    report::Report,
};
use crate::config::CONFIG_FILE;

/// A log that Inspect wrote of a small safety evaluation with its mock model.
const LOG: &[u8] = include_bytes!("../../../../protocol/tests/data/inspect/refuses-harm.eval");

/// The demo's log does not grow younger, and the demo is to be shown on any day.
///
/// # Errors
/// The file cannot be written.
pub(super) fn take_evaluations_of_any_age(node: &Path) -> Result<(), Failure> {
    let path = node.join(CONFIG_FILE);
    let text = fs::read_to_string(&path).trying_to("read a node's settings")?;
    let more = "\n# The demo's evaluation is a file that does not grow younger; a real node takes 90 days.\n[gates]\nevaluation_days_max = 36500\n";
    fs::write(path, text + more).trying_to("write a node's settings")
}

/// Act 6.
///
/// # Errors
/// It did not come out as promised.
pub(super) fn weights_leave_with_their_evaluation(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    stage.say("\n6. Toronto trains a model in Jülich and marks it as weights: nothing leaves that nobody has evaluated.");
    let marked = ["--site-allow", "juelich", "--output-weights", "model.json", "--name", "weights"];
    // Other epochs than before: the same bytes would be in Toronto already.
    let longer = ["--", "python3", "train.py", "digits.csv.gz", "model.json", "--epochs", "45"];
    let job = id_of(&submit(stage, ADA, "{}/examples/digits/job.toml", &[&marked[..], &longer].concat())?)?;
    let done = stage.wait_for(ADA, &job, &["completed"])?;
    let out = format!("{{}}/results/{job}");
    let (code, answer, _) = stage.try_sta(&["result", &job, "--profile", ADA, "--out", &out])?;
    let held = &done["outputs"][0]["held_by"];
    expect("the weights are held", code == 4, &answer)?;
    expect("the gate's own rule says why", has_rule(held, "GATE-30"), held)?;
    stage.say("   done: site juelich. The gate for weights denies (GATE-30): no current evaluation of these weights is on record.");
    let sha256 = done["outputs"][0]["sha256"].as_str().unwrap_or_default().to_owned();
    evaluate(stage, &sha256, &done)?;
    let accuracy = fetch_accuracy(stage, ADA, &job)?;
    let decisions = stage.sta(&["gate", "list", "--dir", "{}/de", &job])?;
    let verdicts: Vec<&str> = decisions["decisions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["gate"] == "export-weights")
        .filter_map(|one| one["verdict"].as_str())
        .collect();
    expect("the gate denied first and allowed last", verdicts == ["ALLOW", "DENY"], &decisions)?;
    let bound = decisions["decisions"][0]["guardrail"]["bound"].clone();
    stage.say(&format!(
        "   fetched: held-out accuracy {accuracy}, {}. Germany's log has both answers; the bound on harm was {}.",
        report.cost(&done),
        bound.as_str().unwrap_or("none")
    ));
    stage.tell_slurm(&done)?;
    report.add("weights with their evaluation", &done, Some(accuracy), ADA);
    Ok(())
}

fn has_rule(refusals: &Value, rule: &str) -> bool {
    refusals.as_array().into_iter().flatten().any(|refusal| refusal["rule"] == rule)
}

/// What the people in Jülich do: they evaluate the very bytes, sign for it, and tell their node.
fn evaluate(stage: &Stage, sha256: &str, done: &Value) -> Result<(), Failure> {
    let place = stage.path("evaluation");
    fs::create_dir_all(&place).trying_to("make a place for the evaluation")?;
    let weights = place.join("model.json");
    let there = stage.path("de/blobs").join(sha256.get(..2).unwrap_or_default()).join(sha256);
    let bytes = fs::copy(there, &weights).trying_to("look at the weights in Jülich")?;
    fs::write(place.join("refuses-harm.eval"), LOG).trying_to("bring the evaluation's log")?;
    let record = json!({
        "version": 1, "id": "de/digits", "title": "Digits", "description": "Reads handwritten digits, trained by a guest from Toronto.",
        "class": "open", "weights": [{"name": "model.json", "sha256": sha256, "bytes": bytes}],
        "lineage": {"run": null, "jobs": [done["id"]], "datasets": [], "base": null},
        "compute": {"declared_teraflop": 1, "metered_teraflop": null, "energy_wh": null},
        "takes": ["tabular"], "generates": ["prediction"],
        "openness": {"licence": null, "licence_is_free": false, "weights_public": false, "architecture_public": false, "usage_public": false},
        "purposes": ["research"],
        "provider": {"name": "Forschungszentrum Jülich (example)", "seat": "de", "authorised_representative": null},
        "evaluations": [], "documents": {}, "recorded_at": done["ended_at"],
    });
    fs::write(place.join("record.json"), record.to_string()).trying_to("write the model's record")?;
    stage.sta(&["model", "register", "--dir", "{}/de", "{}/evaluation/record.json"])?;
    let attest = [
        "evaluation",
        "attest",
        "--log",
        "{}/evaluation/refuses-harm.eval",
        "--weights",
        "{}/evaluation/model.json",
    ];
    let require = ["--require", "includes/accuracy >= 0.9", "--covers", "harmful-manipulation"];
    let signed = ["--key", "{}/de/keys/signing.seed", "--out", "{}/evaluation/evaluation.dsse.json"];
    let attested = stage.sta(&[&attest[..], &require, &signed].concat())?;
    expect("the evaluation passed", attested["result"] == "PASSED", &attested)?;
    stage.sta(&["evaluation", "submit", "--dir", "{}/de", "{}/evaluation/evaluation.dsse.json"])?;
    stage.say("   Jülich evaluates exactly these bytes (a log of Inspect), signs the attestation (in-toto in DSSE) and gives it to its node.");
    Ok(())
}
