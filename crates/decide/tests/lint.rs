// SPDX-License-Identifier: Apache-2.0
//! Lint: the shipped packs have no finding, and each kind of fault in a pack is found and named.

use sta_decide::{
    authorize::{Rules, SHIPPED_FACTS, SHIPPED_SCHEMA},
    cases,
    lint::{lint, unread},
};

use crate::example::rules;

const TEXTS: &str =
    "@text_en(\"t\") @text_fr(\"t\") @text_de(\"t\") @advice(\"a\") @advice_fr(\"a\") @advice_de(\"a\")";

fn rule(id: &str, more: &str, action: &str, when: &str) -> String {
    format!(
        "@id(\"{id}\") @source(\"s\") @facts(\"tool.name\") {TEXTS} {more}\n\
         forbid (principal, action == Action::\"{action}\", resource) when {{ {when} }};\n"
    )
}

fn case(name: &str, about: &str, more: &str) -> String {
    format!("[[case]]\nname = \"{name}\"\nabout = \"{about}\"\naction = \"call-tool\"\n{more}\n")
}

fn found(pack: &str, cases_text: &str) -> Vec<String> {
    let permit = "@id(\"P-1\") permit (principal, action == Action::\"call-tool\", resource);\n";
    let rules = Rules::load(&[("mine", &format!("{permit}{pack}"))], SHIPPED_SCHEMA).unwrap();
    let results =
        cases::run_on(&rules, SHIPPED_FACTS, &format!("today = \"2026-11-23\"\n{cases_text}")).unwrap();
    lint(&rules, &results)
        .into_iter()
        .map(|finding| format!("{} {}", finding.about, finding.problem))
        .collect()
}

#[test]
fn the_shipped_packs_have_no_finding() {
    let results = crate::packs::all_results(rules());
    assert_eq!(lint(rules(), &results), []);
}

#[test]
fn facts_that_no_rule_reads_are_told_and_few() {
    let unread = unread(rules());
    assert!(unread.len() < 8 && !unread.contains(&"model.evaluations".to_owned()), "{unread:?}");
}

#[test]
fn a_word_that_no_fact_has_is_found() {
    let pack = rule(
        "T-1",
        "@from(\"2026-01-01\") @effect(\"deny\")",
        "screen",
        "context.intent.purpose == \"spam\"",
    )
    .replace("tool.name", "intent.purpose");
    assert!(found(&pack, "").iter().any(|line| line.contains("T-1 compares with `spam`")));
}

#[test]
fn a_rule_that_can_never_fire_is_found() {
    let never = "context.tool.listed && context.tool.approved && !context.tool.listed";
    let pack = rule("T-1", "@from(\"2026-01-01\") @effect(\"deny\")", "call-tool", never);
    let lines = found(&pack, &case("a call", "T-1", "verdict = \"ALLOW\"\nrules = []"));
    assert!(lines.iter().any(|line| line.contains("T-1 can never fire")), "{lines:?}");
    let pack = rule("T-1", "@from(\"2026-01-01\") @effect(\"deny\")", "call-tool", "context.tool.approved");
    let lines = found(&pack, &case("a call", "T-1", "verdict = \"ALLOW\"\nrules = []"));
    assert!(!lines.iter().any(|line| line.contains("can never fire")), "{lines:?}");
}

#[test]
fn missing_cases_are_named_one_by_one() {
    let pack = rule(
        "T-1",
        "@from(\"2026-01-01\") @until(\"2026-12-31\") @effect(\"deny\")",
        "call-tool",
        "context.tool.approved",
    );
    let lines = found(&pack, &case("a call", "T-1", "verdict = \"ALLOW\"\nrules = []"));
    for gap in [
        "no case in which it fires,",
        "no case in which it fires on 2026-01-01",
        "no case in which it warns on 2025-12-31",
        "no case in which it fires on 2026-12-31",
        "no case in which it warns on 2027-01-01",
    ] {
        assert!(lines[0].contains(gap), "{gap}: {lines:?}");
    }
}

#[test]
fn a_rule_that_takes_back_the_class_of_no_rule_is_found() {
    let pack = rule("T-1", "@from(\"2026-01-01\") @clears(\"EU-99\")", "classify", "context.model.legacy")
        .replace("tool.name", "model.id");
    assert!(found(&pack, "").iter().any(|line| line.contains("takes back the class of `EU-99`")));
}

#[track_caller]
fn refused(rule: &str, part: &str) {
    let error = Rules::load(&[("mine", rule)], SHIPPED_SCHEMA).unwrap_err().to_string();
    assert!(error.contains(part), "`{error}` does not say `{part}`");
}

#[test]
fn annotations_of_a_gate_are_read_strictly() {
    let with = |more: &str| rule("T-1", more, "call-tool", "context.tool.approved");
    refused(&with("@effect(\"deny\")"), "needs a day in @from");
    refused(&with("@from(\"soon\") @effect(\"deny\")"), "needs a day in @from");
    refused(&with("@from(\"2026-01-02\") @until(\"2026-01-01\") @effect(\"deny\")"), "could never bind");
    refused(&with("@from(\"2026-01-01\")"), "needs one of @effect");
    refused(&with("@from(\"2026-01-01\") @effect(\"allow\")"), "`allow` is no effect");
    refused(&with("@from(\"2026-01-01\") @effect(\"sets:class.systemic\")"), "only rules on classify do");
    refused(&with("@from(\"2026-01-01\") @sets(\"class.systemic\")"), "needs one of @effect");
    refused(&with("@from(\"2026-01-01\") @effect(\"deny\") @demands(\"tool.listed:declared\")"), "demands");
    refused(&with("@from(\"2026-01-01\") @effect(\"deny\") @demands(\"tool.color:attested\")"), "tool.color");
    refused(&with("@from(\"2026-01-01\") @effect(\"deny\") @warn_when(\"class.systemic\")"), "@warn_when");
    let whole = with("@from(\"2026-01-01\") @effect(\"deny\")");
    refused(&whole.replace("@text_de(\"t\")", ""), "three languages");
    refused(
        &whole.replace("@text_en(\"t\")", "@text_en(\"{tool.listed}\")"),
        "put `tool.listed` into @facts",
    );
    let both = whole
        .replace("action == Action::\"call-tool\"", "action in [Action::\"call-tool\", Action::\"run\"]");
    refused(&both, "jobs and gates at once");
}
