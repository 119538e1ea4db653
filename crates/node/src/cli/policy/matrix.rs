// SPDX-License-Identifier: Apache-2.0
//! `sta policy matrix`: every rule with its days, its effect and what came of each of its cases.

use std::process::ExitCode;

use serde_json::{Value, json};
use sta_decide::{
    authorize::Rule,
    cases::{self, CaseResult},
};

use super::{
    super::{
        failure::{Exit, Failure},
        print::Style,
    },
    exit,
    packs::Packs,
};

pub(super) fn run(packs: &Packs, pack: Option<&str>, style: Style) -> Result<ExitCode, Failure> {
    if let Some(pack) = pack.filter(|pack| !packs.rules.packs().iter().any(|(name, _)| name == pack)) {
        let names: Vec<&str> = packs.rules.packs().iter().map(|(name, _)| name.as_str()).collect();
        return Err(Failure::new(
            format!("show the pack `{pack}`"),
            format!("there is none of that name in {}", packs.place),
        )
        .exit(Exit::Usage)
        .mend(format!("Its packs are {}.", names.join(", "))));
    }
    let results: Vec<CaseResult> = packs.results()?.into_iter().map(|(_, result)| result).collect();
    let untested = cases::untested(&packs.rules, &results);
    let rules: Vec<&Rule> =
        packs.rules.rules().filter(|rule| pack.is_none_or(|pack| rule.pack == pack)).collect();
    let about = |rule: &Rule| results.iter().filter(|result| result.about == rule.id).collect::<Vec<_>>();
    let shown: usize = rules.iter().map(|rule| about(rule).len()).sum();
    let failed = rules.iter().flat_map(|rule| about(rule)).filter(|result| !result.passed).count();
    let gaps: Vec<&String> =
        untested.iter().filter(|gap| rules.iter().any(|rule| is_of(rule, gap))).collect();
    let document = json!({
        "rules": rules.iter().map(|rule| rule_document(rule, &about(rule), &untested)).collect::<Vec<_>>(),
        "cases": shown,
        "failed": failed,
        "untested": gaps,
    });
    style.answer(&document, || {
        let blocks: String = rules.iter().map(|rule| block(rule, &about(rule), &untested)).collect();
        let count = rules.len();
        format!("{blocks}{count} rules, {shown} cases, {failed} failed, {} guards untested", gaps.len())
    });
    Ok(exit(failed == 0 && gaps.is_empty()))
}

/// Whether a gap that `untested` names is of that rule.
fn is_of(rule: &Rule, gap: &str) -> bool {
    gap.split(' ').next() == Some(rule.id.as_str())
}

/// What a rule does, in a word or two.
pub(super) fn effect(rule: &Rule) -> String {
    let Some(gate) = &rule.gate else {
        return if rule.is_guard { "refuse" } else { "permit" }.to_owned();
    };
    let takes_back = gate.clears.iter().map(|other| format!("takes back {other}"));
    gate.effects.iter().map(ToString::to_string).chain(takes_back).collect::<Vec<_>>().join("; ")
}

/// Between which days it binds.
pub(super) fn days(rule: &Rule) -> String {
    match &rule.gate {
        None => "always".to_owned(),
        Some(gate) => {
            let until = gate.until.map(|until| format!(" until {until}")).unwrap_or_default();
            format!("from {}{until}", gate.from)
        }
    }
}

pub(super) fn case_line(result: &CaseResult) -> String {
    let mark = if result.passed { "ok    " } else { "FAILED" };
    let day = result.answer.as_ref().map(|(day, _)| format!(" on {day}")).unwrap_or_default();
    format!("  {mark} {}{day}: {}\n         {}\n", result.action.as_str(), result.name, result.got)
}

fn block(rule: &Rule, results: &[&CaseResult], untested: &[String]) -> String {
    let head = format!("{}  {}, {}, {}\n", rule.id, rule.pack, days(rule), effect(rule));
    let source = if rule.source.is_empty() { String::new() } else { format!("  {}\n", rule.source) };
    let cases: String = results.iter().map(|result| case_line(result)).collect();
    let gap = untested.iter().find(|gap| is_of(rule, gap));
    let gap = gap.map(|gap| format!("  MISSING {gap}\n")).unwrap_or_default();
    format!("{head}{source}{cases}{gap}\n")
}

fn rule_document(rule: &Rule, results: &[&CaseResult], untested: &[String]) -> Value {
    let case = |result: &&CaseResult| {
        json!({
            "name": result.name,
            "action": result.action.as_str(),
            "day": result.answer.as_ref().map(|(day, _)| day.to_string()),
            "expected": result.expected.to_string(),
            "got": result.got.to_string(),
            "passed": result.passed,
        })
    };
    let gate = rule.gate.as_ref();
    json!({
        "id": rule.id,
        "pack": rule.pack,
        "source": rule.source,
        "from": gate.map(|gate| gate.from.to_string()),
        "until": gate.and_then(|gate| gate.until).map(|until| until.to_string()),
        "effect": effect(rule),
        "tested": !untested.iter().any(|gap| is_of(rule, gap)),
        "cases": results.iter().map(case).collect::<Vec<_>>(),
    })
}
