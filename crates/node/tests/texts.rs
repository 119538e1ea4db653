// SPDX-License-Identifier: Apache-2.0
//! Every refusal has its text and its advice in every language, and each change of one is a visible diff.

use std::collections::{BTreeMap, BTreeSet};

use sta_decide::authorize::{Rule, Rules};
use sta_node::text::{Language, advice, sentence};
use sta_protocol::{
    ids::MemberId,
    refusal::{Refusal, RefusalCode},
};

/// The message for rules that are not ours.
const OTHER_RULE: &str = "other-rule";

fn catalogue(language: Language) -> &'static str {
    match language {
        Language::En => include_str!("../locales/en/refusals.ftl"),
        Language::Fr => include_str!("../locales/fr/refusals.ftl"),
        Language::De => include_str!("../locales/de/refusals.ftl"),
    }
}

fn member() -> MemberId {
    "de".parse().expect("a member's name")
}

/// The guards about jobs of the shipped packs: a permit refuses nothing, and a guard of a gate has its texts in its pack.
fn shipped_guards() -> Vec<Rule> {
    let rules = Rules::shipped().expect("the shipped packs load");
    rules.rules().filter(|rule| rule.is_guard && rule.gate.is_none()).cloned().collect()
}

/// One refusal for each code and each shipped rule, without facts.
fn every_refusal() -> Vec<Refusal> {
    let fixed = RefusalCode::ALL.iter().map(|code| Refusal::new(*code, &member(), []));
    let ruled = shipped_guards().into_iter().map(|rule| Refusal {
        rule: rule.id,
        source: rule.source,
        facts: BTreeMap::new(),
        advice: rule.advice,
        by: member(),
    });
    let mut refusals: Vec<Refusal> = fixed.chain(ruled).collect();
    refusals.sort_by(|a, b| a.rule.cmp(&b.rule));
    refusals
}

/// The refusal with each fact that the English catalogue names, its value its own name in brackets; then once more for each
/// value on which the wording depends.
fn with_facts(refusal: &Refusal) -> Vec<Refusal> {
    let entries = entries(Language::En);
    let Some(text) = entries.get(&key(refusal)).and_then(|entry| entry.get("with-facts")) else {
        return Vec::new();
    };
    let fact = |name: &str| name.replacen('-', ".", 1);
    let facts = variables(text).iter().map(|name| (fact(name), format!("[{}]", fact(name)))).collect();
    let default = Refusal { facts, ..refusal.clone() };
    let selector = text.split_once(" ->").and_then(|(before, _)| before.rsplit('$').next()).map(fact);
    let values = text.lines().filter_map(|line| line.trim_start().strip_prefix('[')?.split_once(']'));
    let special = values.map(|(value, _)| {
        let mut special = default.clone();
        special.facts.insert(selector.clone().expect("a variant has a selector"), value.to_owned());
        special
    });
    [default.clone()].into_iter().chain(special).collect()
}

/// Every refusal as it reads without facts and with them.
fn every_wording() -> Vec<Refusal> {
    let with_and_without =
        |refusal: Refusal| with_facts(&refusal).into_iter().chain([refusal]).collect::<Vec<_>>();
    every_refusal().into_iter().flat_map(with_and_without).collect()
}

fn key(refusal: &Refusal) -> String {
    refusal.rule.to_ascii_lowercase()
}

/// The catalogue's file as it is written: message, then attribute (empty for the value), then the source text.
fn entries(language: Language) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut entries: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let (mut message, mut attribute) = (String::new(), String::new());
    for line in catalogue(language).lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let text = if let Some(rest) = line.strip_prefix("    .") {
            let (name, text) = rest.split_once(" = ").expect("an attribute has a text");
            attribute = name.to_owned();
            text
        } else if line.starts_with(' ') {
            line
        } else {
            let (name, text) = line.split_once(" = ").expect("a message has a text");
            assert!(!entries.contains_key(name), "{}: `{name}` is there twice", language.as_str());
            (message, attribute) = (name.to_owned(), String::new());
            text
        };
        let entry = entries.entry(message.clone()).or_default().entry(attribute.clone()).or_default();
        entry.push_str(text);
        entry.push('\n');
    }
    entries
}

/// The names after `$` in the source of a text.
fn variables(text: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let names = text.split('$').skip(1);
    names.map(|rest| rest.chars().take_while(|character| is_name(*character)).collect()).collect()
}

#[test]
fn every_refusal_has_a_sentence_and_an_advice_of_its_own_in_every_language() {
    for language in Language::ALL {
        let mut seen = BTreeSet::new();
        for refusal in every_refusal() {
            // An own advice would hide that the catalogue has none.
            let bare = Refusal { advice: String::new(), ..refusal.clone() };
            let stranger = Refusal { rule: "NOT-A-RULE".to_owned(), ..bare.clone() };
            let place = format!("{} in {}", refusal.rule, language.as_str());
            let text = sentence(language, &bare);
            assert!(text.ends_with('.') && !text.contains(&refusal.rule), "{place} has no sentence: {text}");
            assert_ne!(advice(language, &bare), advice(language, &stranger), "{place} has no advice");
            assert!(seen.insert(text), "{place} says what another code says");
        }
    }
}

#[test]
fn every_rule_of_a_gate_says_what_it_says_in_three_languages() {
    let rules = Rules::shipped().expect("the shipped packs load");
    let mut seen = BTreeSet::new();
    for rule in rules.rules() {
        let Some(gate) = &rule.gate else { continue };
        for text in [&gate.text, &gate.advice] {
            let all = [&text.en, &text.fr, &text.de];
            assert!(all.iter().all(|text| text.ends_with('.')), "{}: a sentence ends with a point", rule.id);
            assert_eq!(
                all.iter().collect::<BTreeSet<_>>().len(),
                3,
                "{}: one text for two languages",
                rule.id
            );
            let named = |text: &str| {
                text.split('{')
                    .skip(1)
                    .map(|rest| rest.split('}').next().map(str::to_owned))
                    .collect::<BTreeSet<_>>()
            };
            assert!(all.iter().all(|other| named(other) == named(&text.en)), "{}: other facts", rule.id);
        }
        assert!(seen.insert(gate.text.en.clone()), "{} says what another rule says", rule.id);
    }
    assert!(seen.len() > 60);
}

#[test]
fn no_text_is_left_in_another_language() {
    for refusal in every_wording() {
        for (one, other) in
            [(Language::En, Language::Fr), (Language::En, Language::De), (Language::Fr, Language::De)]
        {
            assert_ne!(
                sentence(one, &refusal),
                sentence(other, &refusal),
                "{}: {one:?} and {other:?}",
                refusal.rule
            );
            assert_ne!(
                advice(one, &refusal),
                advice(other, &refusal),
                "{}: {one:?} and {other:?}",
                refusal.rule
            );
        }
    }
}

#[test]
fn no_text_has_an_unresolved_place_or_an_invisible_mark() {
    let is_wrong =
        |c: char| matches!(c, '{' | '}' | '$' | '\n' | '\u{2066}'..='\u{2069}' | '\u{202a}'..='\u{202e}');
    for language in Language::ALL {
        for refusal in every_wording() {
            for text in [sentence(language, &refusal), advice(language, &refusal)] {
                assert!(!text.contains(is_wrong), "{} in {}: {text}", refusal.rule, language.as_str());
            }
        }
    }
}

#[test]
fn every_message_of_a_catalogue_belongs_to_a_code() {
    let mut expected: BTreeSet<String> = every_refusal().iter().map(key).collect();
    expected.insert(OTHER_RULE.to_owned());
    for language in Language::ALL {
        let entries = entries(language);
        assert_eq!(entries.keys().cloned().collect::<BTreeSet<_>>(), expected, "{}", language.as_str());
        for (message, texts) in entries {
            let attributes: Vec<&str> = texts.keys().map(String::as_str).collect();
            let is_known = matches!(attributes[..], ["", "advice"] | ["", "advice", "with-facts"]);
            assert!(is_known, "{message} in {} has {attributes:?}", language.as_str());
        }
    }
}

#[test]
fn the_languages_name_the_same_facts_and_only_those_that_the_rule_quotes() {
    let guards = shipped_guards();
    for (message, texts) in entries(Language::En) {
        let named = |texts: &BTreeMap<String, String>| texts.get("with-facts").map(|text| variables(text));
        for language in Language::ALL {
            let translated = &entries(language)[&message];
            assert_eq!(named(translated), named(&texts), "{message} in {}", language.as_str());
            assert!(
                variables(&translated["advice"]).is_empty(),
                "{message}: an advice must hold without facts"
            );
        }
        let Some(rule) = guards.iter().find(|rule| rule.id.to_ascii_lowercase() == message) else { continue };
        let quoted: BTreeSet<String> = rule.facts.iter().map(|fact| fact.replace('.', "-")).collect();
        let named = named(&texts).unwrap_or_default();
        assert!(
            named.is_subset(&quoted),
            "{message} names {:?}, which its rule does not quote",
            named.difference(&quoted)
        );
    }
}

#[test]
fn the_english_advice_of_a_shipped_rule_is_the_rules_own() {
    for refusal in every_refusal().into_iter().filter(|refusal| !refusal.advice.is_empty()) {
        let hint = "change en/refusals.ftl with the pack, and French and German after it";
        assert_eq!(advice(Language::En, &refusal), refusal.advice, "{}: {hint}", refusal.rule);
    }
}

#[test]
fn a_fact_that_is_missing_leaves_the_sentence_that_needs_none() {
    let bare = every_refusal().into_iter().find(|refusal| refusal.rule == "SOV-004").expect("a shipped rule");
    for language in Language::ALL {
        let plain = sentence(language, &bare);
        let mut refusal = with_facts(&bare).remove(0);
        assert_ne!(sentence(language, &refusal), plain);
        for name in refusal.facts.clone().into_keys() {
            let kept = refusal.facts.insert(name.clone(), "missing".to_owned()).expect("it was there");
            assert_eq!(sentence(language, &refusal), plain, "{name} is missing");
            refusal.facts.remove(&name);
            assert_eq!(sentence(language, &refusal), plain, "{name} is not there");
            refusal.facts.insert(name, kept);
        }
    }
}

#[test]
fn jurisdictions_read_as_people_write_them() {
    let bare = every_refusal().into_iter().find(|refusal| refusal.rule == "SOV-004").expect("a shipped rule");
    let mut refusal = with_facts(&bare).remove(0);
    refusal.facts.insert("site.exposed_to".to_owned(), "gb,us".to_owned());
    refusal.facts.insert("site.operator".to_owned(), "Wolke, GmbH".to_owned());
    for language in Language::ALL {
        let text = sentence(language, &refusal);
        assert!(text.contains("(GB, US)") && text.contains("Wolke, GmbH"), "{text}");
    }
}

#[test]
fn a_rule_of_a_members_own_pack_gets_a_general_sentence_and_its_own_advice() {
    for rule in ["HOSP-001", "sov-001", "SOV-001.advice", "other-rule", "OTHER-RULE", "", "Ünïcode"] {
        for language in Language::ALL {
            let source = "Charter of the hospital, §3".to_owned();
            let (facts, by) = (BTreeMap::new(), member());
            let mut refusal =
                Refusal { rule: rule.to_owned(), source, facts, advice: "Ask Dr. Noether.".to_owned(), by };
            let text = sentence(language, &refusal);
            assert!(text.contains(rule) && text.contains("Charter of the hospital, §3"), "{text}");
            assert_eq!(advice(language, &refusal), "Ask Dr. Noether.");
            refusal.advice = " \n".to_owned();
            let general = advice(language, &refusal);
            assert!(general.ends_with('.') && !general.contains("Noether"), "{general}");
        }
    }
}

#[test]
fn facts_and_advice_from_elsewhere_cannot_forge_lines_or_steer_a_terminal() {
    let mut refusal = Refusal::new(
        RefusalCode::DatasetUnknown,
        &member(),
        [("data.id", "a\n\u{1b}[2J\u{202e}b".to_owned())],
    );
    for language in Language::ALL {
        let text = sentence(language, &refusal);
        assert!(text.contains("a  [2J b") && !text.contains(['\n', '\u{1b}', '\u{202e}']), "{text:?}");
    }
    refusal.facts.insert("data.id".to_owned(), "x".repeat(10_000));
    assert!(sentence(Language::De, &refusal).len() < 1000);
    refusal.rule = "HOSP-001".to_owned();
    refusal.advice = "line\r\nline".to_owned() + &"x".repeat(10_000);
    let text = advice(Language::Fr, &refusal);
    assert!(text.len() < 1100 && text.ends_with('…') && !text.contains(['\r', '\n']), "{text:?}");
}

#[test]
fn the_language_is_the_one_that_the_header_prefers() {
    let cases = [
        ("", Language::En),
        ("de", Language::De),
        ("fr-CA", Language::Fr),
        ("DE-at, en;q=0.9", Language::De),
        ("en;q=0.5, fr;q=0.501", Language::Fr),
        ("es, fr;q=0.2, de;q=0.8", Language::De),
        ("de, fr", Language::De),
        ("fr, de", Language::Fr),
        ("en;q=0.1, de ; q=1.000", Language::De),
        ("es", Language::En),
        ("*", Language::En),
        ("en;q=0, *", Language::Fr),
        ("en;q=0, fr;q=0, *;q=0.1", Language::De),
        ("de;q=0", Language::En),
        ("fr;q=0.3, *;q=0.7", Language::En),
        ("de-CH;q=0, de;q=0.5, en;q=0.4", Language::De),
        ("de;q=2, fr;q=0.1", Language::Fr),
        ("de;q=0.1234, fr;q=0.1", Language::Fr),
        ("de;q=1.001, fr;q=0.1", Language::Fr),
        ("de;q=-1, fr;q=x, de;level=1, ;q=1, ,,", Language::En),
        ("den, french", Language::En),
    ];
    for (header, language) in cases {
        assert_eq!(Language::from_accept_language(header), language, "{header:?}");
    }
    let many = "es,".repeat(100_000) + "de";
    assert_eq!(Language::from_accept_language(&many), Language::En, "only the first ranges are read");
}

/// Every text of a language, as people may review it.
fn listing(language: Language) -> String {
    let mut lines = Vec::new();
    for refusal in every_refusal() {
        lines.push(refusal.rule.clone());
        lines.push(format!("  {}", sentence(language, &refusal)));
        lines.extend(
            with_facts(&refusal).iter().map(|full| format!("  with facts: {}", sentence(language, full))),
        );
        lines.push(format!("  advice: {}", advice(language, &refusal)));
        lines.push(String::new());
    }
    lines.join("\n")
}

#[test]
fn the_english_texts_are_as_reviewed() {
    insta::assert_snapshot!("refusals_en", listing(Language::En));
}

#[test]
fn the_french_texts_are_as_reviewed() {
    insta::assert_snapshot!("refusals_fr", listing(Language::Fr));
}

#[test]
fn the_german_texts_are_as_reviewed() {
    insta::assert_snapshot!("refusals_de", listing(Language::De));
}
