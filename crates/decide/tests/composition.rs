// SPDX-License-Identifier: Apache-2.0
//! Composition: whatever rules another layer brings, the answer with them is at least as strict as without them.

use proptest::{prelude::*, sample::select};
use sta_decide::{
    authorize::{Action, FactSheet, Rules, SHIPPED_SCHEMA},
    gate::{
        self, Layers, Question,
        inputs::{ToolCall, declared, metered, registry},
    },
};
use sta_protocol::gate::{Answer, Layer, Verdict};

use crate::{example::rules, gates::TODAY};

/// The facts of a call of a tool that are yes or no.
const FACTS: [&str; 6] =
    ["listed", "untrusted_input", "secret_read", "external_send", "irreversible", "approved"];
const TEXTS: &str =
    "@text_en(\"t\") @text_fr(\"t\") @text_de(\"t\") @advice(\"a\") @advice_fr(\"a\") @advice_de(\"a\")";

/// A condition over up to three facts.
fn condition() -> impl Strategy<Value = String> {
    let one = (select(&FACTS[..]), any::<bool>())
        .prop_map(|(fact, holds)| format!("{}context.tool.{fact}", if holds { "" } else { "!" }));
    (proptest::collection::vec(one, 1..4), select(vec![" && ", " || "]))
        .prop_map(|(parts, word)| parts.join(word))
}

/// A permit, or a guard with any effect, in force or not yet or no longer.
fn rule() -> impl Strategy<Value = String> {
    let effects = select(vec![
        "deny",
        "suspend",
        "hold:legal",
        "hold:safety",
        "hold:steward",
        "hold:legal;oblige:log",
        "oblige:mark,disclose",
        "label:A",
        "warn",
    ]);
    let dates = select(vec![
        "@from(\"2020-01-01\")",
        "@from(\"2099-01-01\")",
        "@from(\"2020-01-01\") @until(\"2021-01-01\")",
    ]);
    (any::<bool>(), effects, dates, condition()).prop_map(|(permits, effect, dates, when)| {
        let action = "principal, action == Action::\"call-tool\", resource";
        if permits {
            return format!("@id(\"ID\") permit ({action}) when {{ {when} }};\n");
        }
        format!(
            "@id(\"ID\") @source(\"s\") @facts(\"tool.name\") {TEXTS} @effect(\"{effect}\") {dates} forbid ({action}) when {{ {when} }};\n"
        )
    })
}

fn pack() -> impl Strategy<Value = Rules> {
    proptest::collection::vec(rule(), 1..5).prop_map(|rules| {
        let numbered = rules.iter().enumerate();
        let text: String = numbered.map(|(n, rule)| rule.replace("\"ID\"", &format!("\"T-{n}\""))).collect();
        Rules::load(&[("mine", &text)], SHIPPED_SCHEMA).unwrap_or_else(|error| panic!("{error}: {text}"))
    })
}

/// A call of a tool of which any fact may be missing.
fn call() -> impl Strategy<Value = FactSheet> {
    (any::<[bool; 6]>(), proptest::option::weighted(0.2, select(&FACTS[..]))).prop_map(|(yes, missing)| {
        let question = Question::CallTool(ToolCall {
            name: registry("search".to_owned()),
            listed: registry(yes[0]),
            untrusted_input: metered(yes[1]),
            secret_read: metered(yes[2]),
            external_send: metered(yes[3]),
            irreversible: registry(yes[4]),
            approved: declared(yes[5]),
        });
        let mut sheet = question.sheet();
        if let Some(fact) = missing {
            sheet.remove(&format!("tool.{fact}"));
        }
        sheet
    })
}

fn layer() -> impl Strategy<Value = Layer> {
    select(vec![Layer::National, Layer::Site])
}

fn answer(layers: &Layers<'_>, sheet: &FactSheet) -> Answer {
    gate::evaluate(layers, Action::CallTool, sheet, TODAY)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn another_layer_never_loosens_the_answer(
        sheet in call(),
        there in proptest::option::of((layer(), pack())),
        (of, more) in (layer(), pack()),
    ) {
        let layers = || match &there {
            Some((of, rules_there)) => Layers::treaty(rules()).and(*of, rules_there),
            None => Layers::treaty(rules()),
        };
        let (without, with) = (answer(&layers(), &sheet), answer(&layers().and(of, &more), &sheet));
        prop_assert!(with.verdict() >= without.verdict(), "{without:?} became {with:?}");
        prop_assert!(without.obligations().is_subset(&with.obligations()));
        prop_assert!(without.released_by().is_subset(&with.released_by()));
        for reason in without.reasons() {
            prop_assert!(with.reasons().any(|kept| kept == reason), "{reason:?} is gone");
        }
    }
}

#[test]
fn the_generated_rules_do_tighten_and_a_permit_of_theirs_opens_nothing() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let (sheet, more) = (call(), pack()).new_tree(&mut runner).unwrap().current();
        let without = answer(&Layers::treaty(rules()), &sheet).verdict();
        let with = answer(&Layers::treaty(rules()).and(Layer::National, &more), &sheet).verdict();
        seen.insert((without, with));
    }
    assert!(seen.contains(&(Verdict::Allow, Verdict::Deny)), "{seen:?}");
    assert!(seen.contains(&(Verdict::Allow, Verdict::Hold)), "{seen:?}");
    assert!(seen.iter().any(|(without, _)| *without == Verdict::Deny), "{seen:?}");
}
