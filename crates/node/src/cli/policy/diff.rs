// SPDX-License-Identifier: Apache-2.0
//! `sta policy diff OLD NEW`: which cases get another answer, and which rules came, went or changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde_json::json;
use sta_decide::authorize::{Rule, Rules};

use super::{
    super::{failure::Failure, print::Style},
    matrix::{days, effect},
    packs::Packs,
};

/// One case whose answer differs.
struct Change {
    file: String,
    case: String,
    old: String,
    new: String,
}

pub(super) fn run(old: &Packs, new: &Packs, style: Style) -> Result<ExitCode, Failure> {
    // A case that both have counts as the new packs have it: its facts are what will be asked.
    let mut changes: BTreeMap<(String, String), Change> = BTreeMap::new();
    let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
    for packs in [new, old] {
        for (file, text) in &packs.cases {
            let (before, after) = (answers(packs, &old.rules, text), answers(packs, &new.rules, text));
            for (case, was) in &before {
                let is = after.get(case).cloned().unwrap_or_else(|| "is not asked".to_owned());
                let key = (file.clone(), case.clone());
                if asked.insert(key.clone()) && *was != is {
                    changes.insert(
                        key,
                        Change { file: file.clone(), case: case.clone(), old: was.clone(), new: is },
                    );
                }
            }
        }
    }
    let rules = rule_changes(&old.rules, &new.rules);
    let document = json!({
        "cases": asked.len(),
        "changed": changes.values().map(|change| json!({"file": change.file, "case": change.case, "old": change.old, "new": change.new})).collect::<Vec<_>>(),
        "rules": rules,
    });
    style.answer(&document, || {
        let mut text: String = rules.iter().map(|line| format!("{line}\n")).collect();
        for Change { file, case, old, new } in changes.values() {
            text += &format!("{file}: {case}\n  - {old}\n  + {new}\n");
        }
        text + &format!(
            "cases that change: {} of {}; rules that differ: {}",
            changes.len(),
            asked.len(),
            rules.len()
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// What each case of a file gets under these rules; where the file does not run under them, that is what all of it gets.
fn answers(packs: &Packs, rules: &Rules, text: &str) -> BTreeMap<String, String> {
    let own = |result: sta_decide::cases::CaseResult| (result.name, result.got.to_string());
    match packs.run(rules, text) {
        Ok(results) => results.into_iter().map(own).collect(),
        Err(error) => {
            let named = packs.run(&packs.rules, text).unwrap_or_default();
            named.into_iter().map(|result| (result.name, format!("does not run: {error}"))).collect()
        }
    }
}

/// A line for each rule that came, went, or has another day, effect, evidence or text.
fn rule_changes(old: &Rules, new: &Rules) -> Vec<String> {
    let line = |rule: &Rule| format!("{}, {}", days(rule), effect(rule));
    let mut changes = Vec::new();
    for rule in old.rules() {
        match new.rule(&rule.id) {
            None => changes.push(format!("- {} ({}) goes: {}", rule.id, rule.pack, line(rule))),
            Some(now) if line(now) != line(rule) => {
                changes.push(format!("~ {} ({}): {} becomes {}", rule.id, rule.pack, line(rule), line(now)));
            }
            Some(now)
                if (now.gate != rule.gate) || (now.source != rule.source) || (now.facts != rule.facts) =>
            {
                changes.push(format!("~ {} ({}): another text, source, fact or demand", rule.id, rule.pack));
            }
            Some(_) => {}
        }
    }
    let came = new.rules().filter(|rule| old.rule(&rule.id).is_none());
    changes.extend(came.map(|rule| format!("+ {} ({}) comes: {}", rule.id, rule.pack, line(rule))));
    changes
}
