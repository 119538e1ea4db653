// SPDX-License-Identifier: Apache-2.0
//! `sta policy` as people and programs meet it: the matrix, an explanation in their language, a difference, a fault found.

use std::fs;

use super::Bench;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");

/// A copy of the shipped packs with some text replaced in some file.
fn changed(bench: &Bench, name: &str, file: &str, from: &str, to: &str) {
    fs::create_dir(bench.path(name)).unwrap();
    for entry in fs::read_dir(SHIPPED).unwrap() {
        let path = entry.unwrap().path();
        let own = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut text = fs::read_to_string(&path).unwrap();
        if own == file {
            assert!(text.contains(from), "{file} has no `{from}`");
            text = text.replacen(from, to, 1);
        }
        fs::write(bench.path(name).join(own), text).unwrap();
    }
}

#[test]
fn the_matrix_shows_every_rule_with_its_cases_green() {
    let bench = Bench::new();
    let matrix = bench.json(&["policy", "matrix"]);
    assert_eq!((&matrix["failed"], &matrix["untested"]), (&serde_json::json!(0), &serde_json::json!([])));
    let rules = matrix["rules"].as_array().unwrap();
    assert!(rules.len() > 90);
    for rule in rules.iter().filter(|rule| rule["effect"] != "permit") {
        let cases = rule["cases"].as_array().unwrap();
        assert!(cases.len() >= 2 && cases.iter().all(|case| case["passed"] == true), "{rule}");
    }
    insta::assert_snapshot!(bench.done(&["policy", "matrix", "--pack", "canada-public-sector"]));
}

#[test]
fn a_rule_is_explained_in_the_language_of_the_reader() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.done(&["policy", "explain", "EU-55"]));
    let german =
        bench.command(&["policy", "explain", "sov-003"]).env("LANG", "de_DE.UTF-8").output().unwrap();
    let german = String::from_utf8(german.stdout).unwrap();
    assert!(
        german.starts_with("SOV-003  (pack sovereignty") && german.contains("Geschützte Daten"),
        "{german}"
    );
    let french = bench.command(&["policy", "explain", "GD-33"]).env("LANG", "fr").output().unwrap();
    assert!(String::from_utf8(french.stdout).unwrap().contains("dans les 72 heures"));
    let told = bench.sta(&["policy", "explain", "EU-99"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err);
}

#[test]
fn a_difference_shows_the_cases_and_rules_that_change() {
    let bench = Bench::new();
    changed(
        &bench,
        "new",
        "gdpr.cedar",
        "@effect(\"hold:legal\")\n@facts(\"data.id,transfer.destination",
        "@effect(\"deny\")\n@facts(\"data.id,transfer.destination",
    );
    insta::assert_snapshot!(bench.done(&["policy", "diff", SHIPPED, "new"]));
    let same = bench.json(&["policy", "diff", SHIPPED, SHIPPED]);
    assert_eq!((&same["changed"], &same["rules"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn lint_passes_the_shipped_packs_and_names_a_word_that_no_fact_has() {
    let bench = Bench::new();
    assert_eq!(bench.json(&["policy", "lint"])["findings"], serde_json::json!([]));
    changed(&bench, "packs", "eu-ai-act.cedar", "\"manipulation\"", "\"manipulatoin\"");
    let told = bench.sta(&["policy", "lint", "packs"]);
    assert_eq!(told.code, 1);
    assert!(
        told.out.contains("EU-05: compares with `manipulatoin`, a word that no fact ever has"),
        "{}",
        told.out
    );
    changed(&bench, "undated", "eu-ai-act.cedar", "@from(\"2025-02-02\")\n", "");
    let told = bench.sta(&["policy", "check", "undated"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err);
}
