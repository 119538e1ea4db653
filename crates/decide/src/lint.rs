// SPDX-License-Identifier: Apache-2.0
//! What is wrong with rules that load: cases that are missing, words and facts that nothing supplies, conditions that never hold.
//!
//! Whether a condition can hold is tried out: every combination of the values that matter for the facts it reads, up to a
//! limit. Values that matter are both truth values, each word and number that the condition names with its neighbours, and
//! for a set all named words or none.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Authorizer, Decision, Entities, Policy, PolicyId, PolicySet, Request};
use serde_json::Value;

use crate::{
    authorize::{Action, Fact, FactSheet, Rule, Rules},
    cases::{CaseResult, untested},
    gate::{self, CLASSES, inputs::SUPPLIED, words::every_word},
};

/// The most combinations that are tried for one rule; a rule with more is not judged.
const COMBINATIONS_MAX: usize = 20_000;
/// A number beyond every threshold, three times of which still fits.
const HUGE: i64 = gate::inputs::COMPUTE_UNKNOWN;

/// One thing that is wrong, or worth a look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The rule, or the fact where no rule is to blame.
    pub about: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Everything that is wrong with the rules and their cases, sorted.
///
/// Rules that do not fit the schema strictly, or that Cedar's validator finds impossible, do not load in the first place.
#[must_use]
pub fn lint(rules: &Rules, results: &[CaseResult]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        untested(rules, results).into_iter().map(|gap| finding(&gap, "has not all its cases")).collect();
    let words: BTreeSet<&str> = every_word().collect();
    for rule in rules.rules().filter(|rule| rule.is_guard) {
        let Some(policy) = policy_of(rules, rule) else { continue };
        let read = Read::of(policy);
        if rule.gate.is_some() {
            for path in read.paths.iter().filter(|path| !is_supplied(path)) {
                findings.push(finding(&rule.id, &format!("reads `{path}`, which no gate is told")));
            }
            for word in
                read.words.iter().filter(|word| !words.contains(word.as_str()) && !is_jurisdiction(word))
            {
                findings.push(finding(
                    &rule.id,
                    &format!("compares with `{word}`, a word that no fact ever has"),
                ));
            }
        }
        if never_fires(rules, rule, policy, &read, results) {
            findings.push(finding(
                &rule.id,
                "can never fire: no combination of the facts it reads meets its condition",
            ));
        }
        let cleared = rule.gate.as_ref().and_then(|gate| gate.clears.as_ref());
        if let Some(other) = cleared.filter(|other| rules.rule(other).is_none()) {
            findings.push(finding(
                &rule.id,
                &format!("takes back the class of `{other}`, which is no rule here"),
            ));
        }
    }
    findings.sort();
    findings
}

/// Facts of the gates that no rule reads: no fault, but nobody need vouch for them.
#[must_use]
pub fn unread(rules: &Rules) -> Vec<String> {
    let guards = rules.rules().filter(|rule| rule.gate.is_some());
    let read: BTreeSet<String> =
        guards.filter_map(|rule| policy_of(rules, rule)).flat_map(|policy| Read::of(policy).paths).collect();
    let quoted: BTreeSet<&str> =
        rules.rules().flat_map(|rule| rule.facts.iter().map(String::as_str)).collect();
    let unread = SUPPLIED.iter().filter(|path| !read.contains(**path) && !quoted.contains(**path));
    unread.map(|path| (*path).to_owned()).collect()
}

fn finding(about: &str, problem: &str) -> Finding {
    Finding { about: about.to_owned(), problem: problem.to_owned() }
}

fn policy_of<'a>(rules: &'a Rules, rule: &Rule) -> Option<&'a Policy> {
    let asked = rules.asked(*rule.actions.first()?);
    let id = PolicyId::new(&rule.id);
    asked.guards.policy(&id).or_else(|| asked.policies.policy(&id))
}

fn is_supplied(path: &str) -> bool {
    SUPPLIED.contains(&path) || CLASSES.iter().any(|class| class.path == path)
}

/// Two lower-case letters: jurisdictions are the treaty's to name.
fn is_jurisdiction(word: &str) -> bool {
    word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// What a condition reads and what it names.
#[derive(Default)]
struct Read {
    paths: BTreeSet<String>,
    words: BTreeSet<String>,
    numbers: BTreeSet<i64>,
}

impl Read {
    fn of(policy: &Policy) -> Self {
        let mut read = Self::default();
        // A policy that was parsed has a JSON form; without one nothing is read and nothing is judged.
        if let Ok(json) = policy.to_json() {
            read.walk(&json["conditions"]);
        }
        read
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(path) = fields.get(".").and_then(path_of) {
                    self.paths.insert(path);
                    return;
                }
                match fields.get("Value") {
                    Some(Value::String(word)) => {
                        self.words.insert(word.clone());
                    }
                    Some(Value::Number(number)) => self.numbers.extend(number.as_i64()),
                    Some(_) | None => fields.values().for_each(|inner| self.walk(inner)),
                }
            }
            Value::Array(items) => items.iter().for_each(|inner| self.walk(inner)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The values of a fact that can make a difference, by the type that it has in a whole sheet.
    fn candidates(&self, like: &Fact) -> Vec<Fact> {
        match like {
            Fact::Flag(_) => vec![Fact::Flag(false), Fact::Flag(true)],
            Fact::Text(_) => {
                let named = self.words.iter().cloned().chain(["something-else".to_owned()]);
                named.map(Fact::Text).collect()
            }
            Fact::Words(_) => {
                vec![Fact::Words(Vec::new()), Fact::Words(self.words.iter().cloned().collect())]
            }
            Fact::Number(_) => {
                let near = self.numbers.iter().flat_map(|number| [number - 1, *number, number + 1]);
                let values: BTreeSet<i64> = near.chain([0, HUGE]).collect();
                values.into_iter().map(Fact::Number).collect()
            }
        }
    }
}

/// `{"left": {".": {"left": {"Var": "context"}, "attr": "model"}}, "attr": "id"}` is `model.id`.
fn path_of(access: &Value) -> Option<String> {
    let inner = access.get("left")?.get(".")?;
    (inner.get("left")?.get("Var")? == "context").then_some(())?;
    Some(format!("{}.{}", inner.get("attr")?.as_str()?, access.get("attr")?.as_str()?))
}

/// Whether the condition holds for no combination of values; false where there are too many, or no sheet to begin with.
fn never_fires(rules: &Rules, rule: &Rule, policy: &Policy, read: &Read, results: &[CaseResult]) -> bool {
    let Some(action) = rule.actions.first().copied() else { return false };
    let Some(sheet) = results.iter().find(|result| result.action == action).map(whole) else {
        return false;
    };
    let mut choices: Vec<(&str, Vec<Fact>)> = Vec::new();
    for path in &read.paths {
        let Some(like) = sheet.get(path) else { return false };
        choices.push((path, read.candidates(like)));
    }
    let total = choices.iter().try_fold(1_usize, |total, (_, values)| total.checked_mul(values.len()));
    let Some(total) = total.filter(|total| *total <= COMBINATIONS_MAX) else { return false };
    let Ok(policies) = PolicySet::from_policies([policy.clone()]) else { return false };
    (0..total).all(|number| {
        let mut sheet = sheet.clone();
        let mut rest = number;
        for (path, values) in &choices {
            sheet.set(path, values[rest % values.len()].clone());
            rest /= values.len();
        }
        !fires(rules, action, &policies, &sheet)
    })
}

/// A case's sheet with every class false.
fn whole(result: &CaseResult) -> FactSheet {
    let mut sheet = result.sheet.clone();
    let classes: BTreeMap<&str, Fact> = CLASSES.iter().map(|class| (class.path, Fact::Flag(false))).collect();
    for (path, fact) in classes {
        sheet.set(path, fact);
    }
    sheet
}

fn fires(rules: &Rules, action: Action, policies: &PolicySet, sheet: &FactSheet) -> bool {
    let asked = rules.asked(action);
    let Ok(context) = sheet.to_context() else { return false };
    let (principal, resource) = (asked.principal.clone(), asked.resource.clone());
    let Ok(request) = Request::new(principal, asked.action.clone(), resource, context, None) else {
        return false;
    };
    let response = Authorizer::new().is_authorized(&request, policies, &Entities::empty());
    response.decision() == Decision::Deny && response.diagnostics().reason().next().is_some()
}
