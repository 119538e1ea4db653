// SPDX-License-Identifier: Apache-2.0
//! Loading packs: what is wrong with one is said with pack, rule and line; the digest names the rules.

use sta_decide::authorize::{Action, FactSheet, Rules, SHIPPED_PACKS, SHIPPED_SCHEMA, evaluate};

const GUARD: &str = "@id(\"X-001\") @source(\"s\") @advice(\"a\") @facts(\"data.class\")\n\
     forbid (principal, action == Action::\"process\", resource) when { context.data.class == \"open\" };\n";

#[track_caller]
fn refused(pack: &str, parts: &[&str]) {
    let error = Rules::load(&[("mine", pack)], SHIPPED_SCHEMA).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "`{error}` does not say `{part}`");
    }
}

#[test]
fn a_whole_pack_loads_and_its_rules_can_be_looked_up() {
    let rules =
        Rules::load(&[("mine", &format!("// a comment; with a semicolon\n\n{GUARD}"))], SHIPPED_SCHEMA)
            .unwrap();
    let rule = rules.rule("X-001").unwrap();
    assert_eq!(
        (rule.pack.as_str(), rule.line, rule.is_guard, rule.facts.as_slice()),
        ("mine", 3, true, &["data.class".to_owned()][..])
    );
    assert_eq!(rules.rules().count(), 1);
}

#[test]
fn a_guard_without_id_source_advice_or_facts_is_refused_with_its_line() {
    refused(&GUARD.replace("@id(\"X-001\")", ""), &["pack `mine`", "line 1", "@id"]);
    for name in ["source", "advice", "facts"] {
        refused(
            &format!("\n\n{}", GUARD.replace(&format!("@{name}("), "@note(")),
            &["pack `mine`", "line 3", "X-001", &format!("@{name}")],
        );
    }
    refused("\npermit (principal, action, resource);", &["line 2", "@id"]);
}

#[test]
fn an_id_that_occurs_twice_or_belongs_to_the_protocol_is_refused() {
    refused(&format!("{GUARD}\n{GUARD}"), &["line 4", "X-001", "line 1", "unique"]);
    let error = Rules::load(&[("one", GUARD), ("two", GUARD)], SHIPPED_SCHEMA).unwrap_err().to_string();
    assert!(error.contains("pack `two`") && error.contains("`one`"), "{error}");
    refused(&GUARD.replace("X-001", "ADM-404"), &["ADM-404", "choose another"]);
    assert!(Rules::load(&[("one", GUARD), ("one", "")], SHIPPED_SCHEMA).is_err());
}

#[test]
fn a_rule_that_does_not_fit_the_schema_is_refused() {
    refused(&GUARD.replace("context.data.class", "context.data.clas"), &["line 1", "X-001", "schema"]);
    refused(&GUARD.replace("== \"open\"", "== true"), &["X-001", "schema"]);
    refused(
        &GUARD.replace("@facts(\"data.class\")", "@facts(\"data.colour\")"),
        &["X-001", "data.colour", "process"],
    );
    refused(
        &GUARD.replace("@facts(\"data.class\")", "@facts(\"data.class.x || true\")"),
        &["X-001", "section.name"],
    );
    refused(&GUARD.replace("Action::\"process\"", "Action::\"sell\""), &["X-001", "sell", "no action"]);
    refused(&GUARD.replace("principal,", "principal == ?principal,"), &["line 1", "Cedar"]);
    refused("@id(\"X-001\") forbid (principal, action, resource) when {", &["line 1", "Cedar"]);
}

#[test]
fn the_digest_names_packs_and_schema_and_not_their_order() {
    let shipped = Rules::shipped().unwrap();
    let mut reversed = SHIPPED_PACKS;
    reversed.reverse();
    assert_eq!(Rules::load(&reversed, SHIPPED_SCHEMA).unwrap().digest(), shipped.digest());
    let changed = format!("{} ", SHIPPED_PACKS[1].1);
    let mut packs = SHIPPED_PACKS;
    packs[1].1 = &changed;
    assert_ne!(Rules::load(&packs, SHIPPED_SCHEMA).unwrap().digest(), shipped.digest());
    assert_ne!(
        Rules::load(&SHIPPED_PACKS, &format!("{SHIPPED_SCHEMA}\n")).unwrap().digest(),
        shipped.digest()
    );
}

#[test]
fn what_no_rule_admits_is_refused_with_its_own_reason() {
    let rules = Rules::load(&[SHIPPED_PACKS[7]], SHIPPED_SCHEMA).unwrap();
    let verdict = evaluate(&rules, Action::Release, &FactSheet::default(), &"de".parse().unwrap());
    assert_eq!(verdict.refusals().unwrap().rules().collect::<Vec<_>>(), ["ADM-404"]);
}

#[test]
fn every_shipped_guard_says_where_it_comes_from_and_what_would_change_it() {
    let rules = Rules::shipped().unwrap();
    let guards: Vec<_> = rules.rules().filter(|rule| rule.is_guard).collect();
    assert!(guards.len() >= 20);
    for rule in guards {
        assert!(rule.source.len() > 10 && rule.advice.len() > 30 && !rule.facts.is_empty(), "{}", rule.id);
    }
}
