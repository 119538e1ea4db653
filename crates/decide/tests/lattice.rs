// SPDX-License-Identifier: Apache-2.0
//! The verdict lattice: joining answers is a least upper bound, the harm bound only tightens, a denial has no override.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sta_protocol::gate::{Answer, Effect, Layer, Reason, Releaser, Text, Tightening, Verdict};

fn reason(rule: &str, layer: Layer, effects: Vec<Effect>) -> Reason {
    Reason {
        rule: rule.to_owned(),
        layer,
        source: "s".to_owned(),
        effects,
        facts: BTreeMap::new(),
        unproven: Vec::new(),
        text: Text::default(),
        advice: Text::default(),
    }
}

fn effect() -> impl Strategy<Value = Effect> {
    let words = [
        "deny",
        "suspend",
        "hold:legal",
        "hold:safety",
        "hold:steward",
        "oblige:mark",
        "oblige:disclose,log",
    ];
    let words = words.into_iter().chain(["label:A", "warn"]).map(|word| word.parse::<Effect>().unwrap());
    proptest::sample::select(words.collect::<Vec<_>>())
}

fn answer() -> impl Strategy<Value = Answer> {
    let layers = proptest::sample::select(vec![Layer::Treaty, Layer::National, Layer::Site]);
    let one = ("[A-C]", layers, proptest::collection::vec(effect(), 1..3))
        .prop_map(|(rule, layer, effects)| reason(&rule, layer, effects));
    proptest::collection::vec(one, 0..5).prop_map(|reasons| Answer::of(reasons, []))
}

fn tightening() -> impl Strategy<Value = Tightening> {
    proptest::sample::select(vec![
        Tightening::Hold(Releaser::Safety),
        Tightening::Hold(Releaser::Legal),
        Tightening::Suspend,
        Tightening::Deny,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn the_join_is_a_least_upper_bound(a in answer(), b in answer(), c in answer()) {
        prop_assert_eq!(a.clone().join(a.clone()), a.clone());
        prop_assert_eq!(a.clone().join(b.clone()), b.clone().join(a.clone()));
        prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.clone().join(b.clone().join(c)));
        prop_assert_eq!(a.clone().join(b.clone()).verdict(), a.verdict().max(b.verdict()));
        let (joined, own) = (a.clone().join(b), a);
        prop_assert!(own.obligations().is_subset(&joined.obligations()));
        prop_assert!(own.released_by().is_subset(&joined.released_by()));
    }

    #[test]
    fn the_harm_bound_never_loosens(a in answer(), by in tightening()) {
        let before = a.verdict();
        let after = a.tightened(by, "HARM-1", "Prop. 4.6", BTreeMap::new(), Text::default(), Text::default());
        prop_assert!(after.verdict() >= before.max(Verdict::Hold));
    }

    #[test]
    fn only_a_hold_is_released_and_only_by_those_it_waits_for(a in answer()) {
        for releaser in Releaser::ALL {
            match a.released(releaser) {
                Some(left) => {
                    prop_assert_eq!(a.verdict(), Verdict::Hold);
                    prop_assert!(a.released_by().contains(&releaser) && !left.released_by().contains(&releaser));
                    prop_assert_eq!(left.obligations(), a.obligations());
                }
                None => prop_assert!(a.verdict() != Verdict::Hold || !a.released_by().contains(&releaser)),
            }
        }
    }

    #[test]
    fn an_answer_is_read_back_as_it_was_written(a in answer()) {
        let text = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), a);
    }
}

#[test]
fn an_answer_whose_verdict_was_changed_is_not_read() {
    let answer = Answer::of([reason("A", Layer::Treaty, vec![Effect::Deny])], []);
    let text = serde_json::to_string(&answer).unwrap();
    assert!(text.starts_with("{\"verdict\":\"DENY\""), "{text}");
    let error = serde_json::from_str::<Answer>(&text.replace("DENY", "ALLOW")).unwrap_err().to_string();
    assert!(error.contains("altered"), "{error}");
}

#[test]
fn effects_are_read_strictly() {
    for text in ["deny", "hold:legal", "oblige:disclose,mark", "label:SOVEREIGN-NO", "suspend", "warn"] {
        assert_eq!(text.parse::<Effect>().unwrap().to_string(), text);
    }
    for text in ["Deny", "deny:x", "hold:", "hold:police", "oblige:", "oblige:a b", "label:", "allow", ""] {
        let error = text.parse::<Effect>().unwrap_err().to_string();
        assert!(error.contains("hold:legal"), "{error}");
    }
}
