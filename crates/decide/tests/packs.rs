// SPDX-License-Identifier: Apache-2.0
//! The shipped packs: every case beside them holds, every guard is tested both ways, and the matrix people review is current.

use std::fmt::Write as _;

use sta_decide::{
    authorize::{FactSheet, Rules, SHIPPED_CASES, SHIPPED_FACTS},
    cases::{self, CaseResult},
};

use crate::example::rules;

pub(crate) fn all_results(rules: &Rules) -> Vec<CaseResult> {
    SHIPPED_CASES.iter().flat_map(|(name, text)| check(rules, name, text)).collect()
}

fn sovereignty() -> &'static str {
    SHIPPED_CASES.iter().find(|(name, _)| *name == "sovereignty.cases.toml").unwrap().1
}

/// Runs one file of cases and says which of them failed.
fn check(rules: &Rules, name: &str, text: &str) -> Vec<CaseResult> {
    let results = cases::run_on(rules, SHIPPED_FACTS, text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let failed = results.iter().filter(|result| !result.passed);
    let lines: Vec<String> = failed
        .map(|result| format!("{}: wants {}, got {}", result.name, result.expected, result.got))
        .collect();
    assert!(lines.is_empty(), "{name}:\n{}", lines.join("\n"));
    results
}

#[test]
fn every_case_beside_the_packs_holds() {
    assert!(all_results(rules()).len() > 60);
}

#[test]
fn every_guard_has_a_case_it_refuses_and_a_granted_one_about_it() {
    let rules = rules();
    let mut results = all_results(rules);
    assert_eq!(cases::untested(rules, &results), Vec::<String>::new());
    results.retain(|result| result.about != "SOV-003");
    assert_eq!(cases::untested(rules, &results), ["SOV-003"]);
}

#[test]
fn the_matrix_of_decisions_is_the_one_that_was_reviewed() {
    let rules = rules();
    let mut matrix = String::new();
    for result in all_results(rules) {
        writeln!(matrix, "{} {} | {}", result.about, result.action.as_str(), result.name).unwrap();
        writeln!(matrix, "    {}", result.got).unwrap();
        for refusal in &result.refusals {
            writeln!(matrix, "    {}: {}", refusal.rule, refusal.fact_line()).unwrap();
        }
        for reason in result.answer.iter().flat_map(|(_, answer)| answer.reasons()) {
            let facts: Vec<String> =
                reason.facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let effects: Vec<String> = reason.effects.iter().map(ToString::to_string).collect();
            let lacking: Vec<String> =
                reason.unproven.iter().map(|gap| format!("; {} is {}", gap.fact, gap.has.as_str())).collect();
            writeln!(
                matrix,
                "    {} {}: {}{}",
                reason.rule,
                effects.join(";"),
                facts.join("; "),
                lacking.concat()
            )
            .unwrap();
        }
    }
    insta::with_settings!({ snapshot_path => "../../../policies", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("decisions", matrix);
    });
}

#[test]
fn a_case_that_names_no_such_fact_or_has_a_wrong_type_does_not_run() {
    let rules = rules();
    let file = |change: &str| sovereignty().replace("set = { \"treaty.in_force\" = false }", change);
    for change in [
        "set = { \"treaty.in_forc\" = false }",
        "set = { \"treaty.in_force\" = \"no\" }",
        "set = { \"treaty.in_force\" = 1 }",
    ] {
        let error = cases::run(rules, &file(change)).unwrap_err().to_string();
        assert!(error.contains("nothing runs under a treaty that is over"), "{change}: {error}");
    }
}

#[test]
fn the_example_treaty_names_the_shipped_packs_by_their_digests() {
    let listed: Vec<(String, _)> =
        crate::example::treaty().policies.into_iter().map(|pack| (pack.name, pack.sha256)).collect();
    assert_eq!(listed, rules().packs());
}

#[test]
fn a_sheet_gives_back_what_was_set_and_nothing_after_it_was_removed() {
    let mut sheet = FactSheet::default();
    assert!(sheet.set("data.class", sta_decide::authorize::Fact::Text("open".to_owned())));
    assert!(!sheet.set("data", sta_decide::authorize::Fact::Flag(true)));
    assert_eq!(sheet.paths().collect::<Vec<_>>(), ["data.class"]);
    assert!(sheet.remove("data.class") && !sheet.remove("data.class"));
    assert_eq!(sheet.get("data.class"), None);
}

/// The rule ids of the reference table that the packs were written from; `GD-9/35/28` is three rules.
const REFERENCE: [&str; 39] = [
    "EU-05", "EU-05n", "EU-02r", "EU-06", "EU-06x", "EU-06p", "EU-09", "EU-12", "EU-12b", "EU-14", "EU-18",
    "EU-25", "EU-26s", "EU-26w", "EU-50", "EU-51", "EU-53", "EU-53o", "EU-53m", "EU-54", "EU-55", "EU-55i",
    "EU-73", "EU-CoP", "GD-44", "GD-45", "GD-45x", "GD-46", "GD-on", "GD-48", "GD-49", "GD-9", "GD-35",
    "GD-28", "US-CA", "CADA", "CA-VC", "CA-ADM", "CA-QC",
];

#[test]
fn every_rule_of_the_reference_table_is_in_a_pack() {
    let missing: Vec<&str> = REFERENCE.into_iter().filter(|id| rules().rule(id).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_sheet_of_a_pack_lists_every_fact_that_its_rules_quote() {
    let sheet = |pack: &str| match pack {
        "eu-ai-act" => include_str!("../../../policies/eu-ai-act.md"),
        "gdpr" => include_str!("../../../policies/gdpr.md"),
        "pipeda-and-quebec" => include_str!("../../../policies/pipeda-and-quebec.md"),
        "canada-public-sector" => include_str!("../../../policies/canada-public-sector.md"),
        "foreign-law-exposure" => include_str!("../../../policies/foreign-law-exposure.md"),
        "gates" => include_str!("../../../policies/gates.md"),
        other => panic!("the pack {other} has no sheet"),
    };
    for rule in rules().rules().filter(|rule| rule.gate.is_some()) {
        for fact in &rule.facts {
            assert!(sheet(&rule.pack).contains(&format!("| `{fact}` | ")), "{}: {fact}", rule.id);
        }
    }
}
