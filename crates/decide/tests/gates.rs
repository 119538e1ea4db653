// SPDX-License-Identifier: Apache-2.0
//! The gates: layers, dates, evidence, and that nothing a requester leaves out or leaves unproven loosens an answer.

use jiff::civil::{Date, date};
use proptest::{prelude::*, sample::Index};
use sta_decide::{
    authorize::{Action, Fact, FactSheet, Rules, SHIPPED_PACKS, SHIPPED_SCHEMA},
    cases::CaseResult,
    gate::{
        self, CLASSES, Layers, Question,
        inputs::{
            DataRecord, Host, Incident, Intent, Model, Request, SUPPLIED, Serving, StopOrder, ToolCall,
            Training, Transfer, attested, declared, metered, registry,
        },
        words::{DOCUMENT_KINDS, INCIDENT_KINDS, Instrument, MODALITIES, OperatorForm, Purpose},
    },
};
use sta_protocol::gate::{Answer, Because, Layer, Provenance, Verdict};

use crate::example::rules;

pub(crate) const TODAY: Date = date(2026, 11, 23);

fn cases() -> Vec<CaseResult> {
    crate::packs::all_results(rules()).into_iter().filter(|result| result.answer.is_some()).collect()
}

fn ask_again(case: &CaseResult, sheet: &FactSheet) -> Answer {
    let (day, _) = case.answer.as_ref().unwrap();
    gate::evaluate(&Layers::treaty(rules()), case.action, sheet, *day)
}

/// A pack of one rule on `call-tool`, and the permit.
fn one_rule(annotations: &str, when: &str) -> Rules {
    let texts =
        "@text_en(\"t\") @text_fr(\"t\") @text_de(\"t\") @advice(\"a\") @advice_fr(\"a\") @advice_de(\"a\")";
    let pack = format!(
        "@id(\"P-1\") permit (principal, action == Action::\"call-tool\", resource);\n\
         @id(\"T-1\") @source(\"s\") @facts(\"tool.name\") {texts} {annotations}\n\
         forbid (principal, action == Action::\"call-tool\", resource) when {{ {when} }};"
    );
    Rules::load(&[("mine", &pack)], SHIPPED_SCHEMA).unwrap()
}

fn harmless_tool() -> ToolCall {
    ToolCall {
        name: registry("search".to_owned()),
        listed: registry(true),
        untrusted_input: metered(false),
        secret_read: metered(false),
        external_send: metered(false),
        irreversible: registry(false),
        approved: declared(false),
    }
}

fn call(rules: &Rules, today: Date) -> Answer {
    gate::ask(&Layers::treaty(rules), &Question::CallTool(harmless_tool()), today)
}

/// One question of each kind, of which nothing is known.
fn cautious_questions() -> Vec<Question> {
    let model = || Box::new(Model::cautious());
    let intent = Intent::cautious;
    vec![
        Question::Screen { intent: intent(), site: Host::cautious() },
        Question::MoveData {
            data: DataRecord::cautious(),
            transfer: Transfer::cautious(),
            site: Host::cautious(),
        },
        Question::Train {
            intent: intent(),
            model: model(),
            training: Training::cautious(),
            site: Host::cautious(),
        },
        Question::ExportWeights { intent: intent(), model: model() },
        Question::Serve { intent: intent(), model: model(), serving: Box::new(Serving::cautious()) },
        Question::Infer {
            intent: intent(),
            model: model(),
            serving: Box::new(Serving::cautious()),
            request: Request::cautious(),
        },
        Question::CallTool(ToolCall::cautious()),
        Question::Incident { intent: intent(), model: model(), incident: Incident::cautious() },
        Question::Stop(StopOrder::cautious()),
    ]
}

#[test]
fn dropping_random_facts_never_loosens_an_answer() {
    let cases = cases();
    let strategy = (any::<Index>(), proptest::collection::vec((any::<Index>(), any::<bool>()), 1..6));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) };
    proptest!(config, |((which, drops) in strategy)| {
        let case = which.get(&cases);
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
        let (before, after) = (case.verdict().unwrap(), ask_again(case, &sheet).verdict());
        prop_assert!(after >= before, "`{}` went from {before} to {after}", case.name);
    });
}

#[test]
fn dropping_any_single_fact_of_a_case_of_any_rule_is_a_denial() {
    let mut cases = cases();
    cases.dedup_by(|one, other| one.about == other.about);
    for case in cases {
        for path in case.sheet.paths() {
            let mut sheet = case.sheet.clone();
            sheet.remove(&path);
            assert_eq!(ask_again(&case, &sheet).verdict(), Verdict::Deny, "`{}` without {path}", case.name);
        }
    }
}

#[test]
fn a_fact_that_nobody_vouches_for_any_more_never_loosens_an_answer() {
    for case in cases() {
        for path in case.sheet.paths().filter(|path| case.sheet.provenance(path) != Provenance::Declared) {
            let mut sheet = case.sheet.clone();
            sheet.vouch(&path, Provenance::Declared);
            let (before, after) = (case.verdict().unwrap(), ask_again(&case, &sheet).verdict());
            assert!(after >= before, "`{}` with {path} declared went from {before} to {after}", case.name);
        }
    }
}

#[test]
fn a_sheet_that_says_its_own_classes_is_not_believed() {
    let case = cases()
        .into_iter()
        .find(|case| case.about == "EU-09" && case.verdict() == Some(Verdict::Deny))
        .unwrap();
    let mut sheet = case.sheet.clone();
    for class in CLASSES {
        sheet.set(class.path, Fact::Flag(class.loosens));
    }
    assert_eq!(ask_again(&case, &sheet).verdict(), Verdict::Deny);
}

#[test]
fn what_nobody_knows_anything_about_is_refused_and_a_stop_is_believed() {
    for question in cautious_questions() {
        let answer = gate::ask(&Layers::treaty(rules()), &question, TODAY);
        let expected = match question.action() {
            Action::Stop => Verdict::Suspend,
            Action::Screen | Action::Incident => Verdict::Hold,
            _ => Verdict::Deny,
        };
        assert!(answer.verdict() >= expected, "{}: {}", question.action().as_str(), answer.verdict());
        assert!(!answer.reasons().any(|reason| reason.rule == "POL-500"), "{answer:?}");
    }
}

#[test]
fn the_structs_supply_every_fact_of_the_schema_and_no_other() {
    let mut supplied: Vec<String> = SUPPLIED.iter().map(|path| (*path).to_owned()).collect();
    supplied.sort();
    let mut filled: Vec<String> = cautious_questions()
        .iter()
        .flat_map(|question| question.sheet().paths().collect::<Vec<_>>())
        .collect();
    filled.sort();
    filled.dedup();
    assert_eq!(filled, supplied);
}

#[test]
fn a_rule_warns_before_its_first_day_and_after_its_last() {
    let rules = one_rule(
        "@effect(\"deny\") @from(\"2027-01-10\") @until(\"2027-02-10\")",
        "!context.tool.external_send",
    );
    let verdict = |day: Date| {
        let answer = call(&rules, day);
        let because = answer.warnings().next().map(|warning| warning.because.clone());
        (answer.verdict(), because)
    };
    assert_eq!(verdict(date(2027, 1, 9)), (Verdict::Allow, Some(Because::NotYet(date(2027, 1, 10)))));
    assert_eq!(verdict(date(2027, 1, 10)), (Verdict::Deny, None));
    assert_eq!(verdict(date(2027, 2, 10)), (Verdict::Deny, None));
    assert_eq!(verdict(date(2027, 2, 11)), (Verdict::Allow, Some(Because::Over(date(2027, 2, 10)))));
}

#[test]
fn a_rule_that_errs_denies_even_before_its_first_day() {
    let rules =
        one_rule("@effect(\"warn\") @from(\"2099-01-01\")", "context.tool.listed && context.tool.approved");
    let mut sheet = Question::CallTool(harmless_tool()).sheet();
    sheet.remove("tool.approved");
    let answer = gate::evaluate(&Layers::treaty(&rules), Action::CallTool, &sheet, TODAY);
    assert_eq!(answer.verdict(), Verdict::Deny);
    let problems: Vec<&str> =
        answer.reasons().filter_map(|reason| reason.facts.get("rule").map(String::as_str)).collect();
    assert_eq!(problems, ["schema", "T-1"]);
}

#[test]
fn the_strictest_layer_wins_and_each_reason_names_its_own() {
    let national =
        one_rule("@effect(\"hold:steward;oblige:log\") @from(\"2026-01-01\")", "!context.tool.approved");
    let site = one_rule("@effect(\"suspend\") @from(\"2026-01-01\")", "!context.tool.external_send");
    let layers = Layers::treaty(rules()).and(Layer::National, &national).and(Layer::Site, &site);
    let answer = gate::ask(&layers, &Question::CallTool(harmless_tool()), TODAY);
    assert_eq!(answer.verdict(), Verdict::Suspend);
    let named: Vec<(&str, Layer)> =
        answer.reasons().map(|reason| (reason.rule.as_str(), reason.layer)).collect();
    assert_eq!(named, [("T-1", Layer::National), ("T-1", Layer::Site)]);
    assert_eq!(answer.obligations().into_iter().collect::<Vec<_>>(), ["log"]);
}

#[test]
fn a_treaty_of_guards_alone_permits_nothing_and_a_permit_of_another_layer_opens_nothing() {
    let guards: Vec<(&str, &str)> = SHIPPED_PACKS.into_iter().filter(|(name, _)| *name == "gdpr").collect();
    let guards = Rules::load(&guards, SHIPPED_SCHEMA).unwrap();
    let ask = |layers: &Layers<'_>| gate::ask(layers, &Question::CallTool(harmless_tool()), TODAY);
    let alone = ask(&Layers::treaty(&guards));
    assert_eq!(alone.reasons().map(|reason| reason.rule.as_str()).collect::<Vec<_>>(), ["ADM-404"]);
    for layer in [Layer::National, Layer::Site] {
        assert_eq!(ask(&Layers::treaty(&guards).and(layer, rules())), alone, "{layer:?}");
        assert_eq!(ask(&Layers::treaty(rules()).and(layer, &guards)).verdict(), Verdict::Allow);
    }
}

#[test]
fn a_class_found_by_the_treaty_binds_the_rules_of_a_nation_too() {
    let texts =
        "@text_en(\"t\") @text_fr(\"t\") @text_de(\"t\") @advice(\"a\") @advice_fr(\"a\") @advice_de(\"a\")";
    let pack = format!(
        "@id(\"N-1\") @source(\"s\") @from(\"2026-01-01\") @effect(\"deny\") @facts(\"class.systemic\") {texts}\n\
         forbid (principal, action == Action::\"incident\", resource) when {{ context.class.systemic }};"
    );
    let national = Rules::load(&[("mine", &pack)], SHIPPED_SCHEMA).unwrap();
    let case = cases()
        .into_iter()
        .find(|case| case.about == "EU-55i" && case.verdict() == Some(Verdict::AllowWith))
        .unwrap();
    let ask = |layers: Layers<'_>| gate::evaluate(&layers, Action::Incident, &case.sheet, TODAY).verdict();
    assert_eq!(ask(Layers::treaty(rules())), Verdict::AllowWith);
    assert_eq!(ask(Layers::treaty(rules()).and(Layer::National, &national)), Verdict::Deny);
}

#[test]
fn adequacy_counts_only_where_its_own_evidence_stands() {
    let data = DataRecord {
        personal: registry(true),
        special_category: registry(false),
        high_risk_for_people: registry(false),
        processor_contract: registry(true),
        from_quebec: registry(false),
        under_pipeda: registry(false),
        employer_outside_pipeda: registry(false),
        quebec_assessment: registry(false),
        ..DataRecord::cautious()
    };
    let transfer = Transfer {
        destination: registry("ca".to_owned()),
        instrument: registry(Instrument::Adequacy),
        adequacy_listed: registry(true),
        clauses_signed: registry(false),
        onward: registry(false),
        ..Transfer::cautious()
    };
    let site = |form| Host {
        operator_form: form,
        us_nexus: attested(false),
        keys_held_by_member: registry(true),
        ..Host::cautious()
    };
    let ask = |form| {
        let (data, transfer, site) = (data.clone(), transfer.clone(), site(form));
        gate::ask(&Layers::treaty(rules()), &Question::MoveData { data, transfer, site }, TODAY)
    };
    assert_eq!(ask(registry(OperatorForm::Commercial)).verdict(), Verdict::Allow);
    let declared_form = ask(declared(OperatorForm::Commercial));
    assert_eq!(declared_form.reasons().map(|reason| reason.rule.as_str()).collect::<Vec<_>>(), ["GD-46"]);
    assert_eq!(ask(registry(OperatorForm::University)).verdict(), Verdict::Deny);
}

#[test]
fn a_reason_quotes_its_facts_in_three_languages_and_says_which_evidence_is_missing() {
    let intent = Intent { purpose: declared(Purpose::SocialScoring), ..Intent::cautious() };
    let question = Question::Screen { intent, site: Host { us_nexus: registry(false), ..Host::cautious() } };
    let answer = gate::ask(&Layers::treaty(rules()), &question, TODAY);
    let reason = answer.reasons().find(|reason| reason.rule == "EU-05").unwrap();
    assert_eq!(reason.text.en, "The purpose social-scoring is a prohibited practice.");
    assert!(reason.text.fr.contains("social-scoring") && reason.text.de.contains("social-scoring"));
    let model = Model { evaluation_current: declared(true), ..Model::cautious() };
    let question = Question::ExportWeights { intent: Intent::cautious(), model: Box::new(model) };
    let answer = gate::ask(&Layers::treaty(rules()), &question, TODAY);
    let reason = answer.reasons().find(|reason| reason.rule == "GATE-30").unwrap();
    assert_eq!(reason.unproven[0].fact, "model.evaluation_current");
    assert!(
        reason.text.en.starts_with("The fact model.evaluation_current is only declared; it must be attested")
    );
    assert!(reason.advice.de.starts_with("Fügen Sie eine signierte Bescheinigung bei"));
}

#[test]
fn the_words_of_records_are_the_same_in_rules() {
    for kind in INCIDENT_KINDS {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    for kind in DOCUMENT_KINDS {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    for modality in MODALITIES {
        assert_eq!(serde_json::to_value(modality).unwrap(), modality.as_str());
    }
}
