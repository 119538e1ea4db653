// SPDX-License-Identifier: Apache-2.0
//! A missing fact never turns a refusal of a job into a permit; the gates have the same law in `gates.rs`.

use proptest::{prelude::*, sample::Index};
use sta_decide::{
    authorize::{Fact, Rules, evaluate},
    cases::CaseResult,
    verdict::Verdict,
};
use sta_protocol::ids::MemberId;

use crate::example::rules;

fn rules_and_results() -> (&'static Rules, Vec<CaseResult>) {
    let mut results = crate::packs::all_results(rules());
    results.retain(|result| result.answer.is_none());
    (rules(), results)
}

fn is_granted(rules: &Rules, case: &CaseResult, sheet: &sta_decide::authorize::FactSheet) -> bool {
    let by: MemberId = "ca".parse().unwrap();
    matches!(evaluate(rules, case.action, sheet, &by), Verdict::Granted(_))
}

#[test]
fn dropping_random_facts_from_random_cases_gives_no_new_permit() {
    let (rules, results) = rules_and_results();
    let strategy = (any::<Index>(), proptest::collection::vec((any::<Index>(), any::<bool>()), 1..6));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) };
    proptest!(config, |((which, drops) in strategy)| {
        let case = which.get(&results);
        let mut sheet = case.sheet.clone();
        for (fact, whole_section) in drops {
            let paths: Vec<String> = sheet.paths().collect();
            if paths.is_empty() {
                break;
            }
            let path = fact.get(&paths);
            let dropped = if whole_section { path.split('.').next().unwrap() } else { path.as_str() };
            prop_assert!(sheet.remove(dropped));
        }
        let before = is_granted(rules, case, &case.sheet);
        let after = is_granted(rules, case, &sheet);
        prop_assert!(before || !after, "`{}` became a permit", case.name);
    });
}

#[test]
fn dropping_any_single_fact_of_any_refused_case_leaves_it_refused() {
    let (rules, results) = rules_and_results();
    for case in results.iter().filter(|case| !case.refusals.is_empty()) {
        for path in case.sheet.paths() {
            let mut sheet = case.sheet.clone();
            sheet.remove(&path);
            assert!(!is_granted(rules, case, &sheet), "`{}` without {path} became a permit", case.name);
        }
    }
}

#[test]
fn a_rule_that_errs_is_named_beside_the_guards_that_refuse() {
    // Cedar itself skips a guard that errs: of these facts it would say yes.
    let (rules, results) = rules_and_results();
    let case = results.iter().find(|case| case.about == "SOV-007" && case.refusals.is_empty()).unwrap();
    let mut sheet = case.sheet.clone();
    sheet.set("job.crosses_border", Fact::Flag(true));
    sheet.set("visa.valid", Fact::Flag(false));
    sheet.remove("witness.behind");
    let verdict = evaluate(rules, case.action, &sheet, &"ca".parse().unwrap());
    let found: Vec<_> = verdict
        .refusals()
        .unwrap()
        .as_slice()
        .iter()
        .map(|r| (r.rule.as_str(), r.facts.get("rule").map(String::as_str)))
        .collect();
    assert_eq!(found, [("POL-500", Some("SOV-007")), ("SOV-009", None)]);
}

#[test]
fn a_fact_of_another_type_gives_no_new_permit() {
    let (rules, results) = rules_and_results();
    let others = [Fact::Flag(true), Fact::Text(String::new()), Fact::Words(Vec::new())];
    let kind = std::mem::discriminant;
    for case in results.iter().filter(|case| !case.refusals.is_empty()) {
        for path in case.sheet.paths().collect::<Vec<_>>() {
            for other in others.iter().filter(|other| case.sheet.get(&path).map(kind) != Some(kind(other))) {
                let mut sheet = case.sheet.clone();
                sheet.set(&path, other.clone());
                assert!(
                    !is_granted(rules, case, &sheet),
                    "`{}` with {path} as {other:?} became a permit",
                    case.name
                );
            }
        }
    }
}

#[test]
fn every_fact_that_a_guard_reads_is_needed_for_a_permit() {
    // Guards against a property that holds because nothing is ever granted: of each granted case some facts matter.
    let (rules, results) = rules_and_results();
    for case in results.iter().filter(|case| case.refusals.is_empty()) {
        assert!(is_granted(rules, case, &case.sheet));
        let needed = case.sheet.paths().filter(|path| {
            let mut sheet = case.sheet.clone();
            sheet.remove(path);
            !is_granted(rules, case, &sheet)
        });
        assert!(needed.count() > 0, "`{}` needs no fact at all", case.name);
    }
}
