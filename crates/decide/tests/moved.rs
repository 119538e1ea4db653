// SPDX-License-Identifier: Apache-2.0
//! What the gate for data is told of a dataset or of files: what is stated helps, what is left out never does.

use serde_json::{Value, json};
use sta_decide::{
    facts::{Moved, moved_to},
    gate::{self, Layers, Question, inputs::Host},
};
use sta_protocol::{
    class::Class,
    data_protection::AboutPeople,
    digest::Sha256Digest,
    federation::DatasetRecord,
    gate::{Answer, Provenance, Verdict},
    job::{InputFile, JobSpec},
    treaty::Treaty,
};

use crate::{
    example::{TREATY, now, record, rules, spec},
    gates::TODAY,
};

fn document() -> Value {
    json!({"sha256": Sha256Digest::of(b"document"), "dated": "2026-01-01"})
}

fn at(site: &str) -> Value {
    json!([{"sites": [site], "sha256": Sha256Digest::of(b"document"), "dated": "2026-01-01"}])
}

fn treaty() -> Treaty {
    let mut treaty = Treaty::from_toml(TREATY).unwrap();
    let mut from_quebec = treaty.transfer_grounds[2].clone();
    from_quebec.from = "qc".parse().unwrap();
    treaty.transfer_grounds.push(from_quebec);
    treaty
}

/// A dataset, its protection, and the site where all that the law asks for is there.
fn in_order() -> [(DatasetRecord, Value, &'static str); 3] {
    let survey = json!({
        "people": {"high_risk": true, "employer_outside_pipeda": false},
        "impact_assessment": document(), "processor_contracts": at("quebec-hydro"),
    });
    let hospital = json!({
        "people": {"subject_region": "eea", "high_risk": true}, "article_nine_basis": "research",
        "impact_assessment": document(), "processor_contracts": at("juelich"),
    });
    let clinic = json!({
        "people": {
            "subject_region": "quebec", "high_risk": false, "under_pipeda": true, "from_quebec": true,
            "automated_decision": true,
        },
        "processor_contracts": at("juelich"), "quebec_assessments": at("juelich"),
        "automated_decision_notice": document(), "comparable_protection": at("juelich"),
    });
    [
        (record("de/survey", Class::Personal, "de", &[], &[]), survey, "quebec-hydro"),
        (record("de/hospital", Class::Special, "de", &["eea"], &[]), hospital, "juelich"),
        (record("ca/clinic", Class::Personal, "qc", &[], &[]), clinic, "juelich"),
    ]
}

fn asked(treaty: &Treaty, moved: Moved, site: &str) -> Answer {
    let place = treaty.site(&site.parse().unwrap()).unwrap();
    let in_eea = place.jurisdiction.as_str() == "de";
    let known = |value: bool| gate::inputs::registry(value);
    let host = Host {
        id: gate::inputs::registry(site.to_owned()),
        country: gate::inputs::registry(place.jurisdiction.to_string()),
        in_eea: known(in_eea),
        us_nexus: known(false),
        operator_form: gate::inputs::registry(if in_eea {
            gate::words::OperatorForm::PublicBody
        } else {
            gate::words::OperatorForm::University
        }),
        ..Host::cautious()
    };
    let question = Question::MoveData { data: moved.data, transfer: moved.transfer, site: host };
    gate::ask(&Layers::treaty(rules()), &question, TODAY)
}

fn of_record(treaty: &Treaty, mut record: DatasetRecord, protection: &Value, site: &str) -> Answer {
    record.protection = Some(serde_json::from_value(protection.clone()).unwrap());
    let spec = JobSpec { datasets: vec![record.id.clone()], inputs: Vec::new(), ..spec() };
    let place = treaty.site(&site.parse().unwrap()).unwrap();
    let moved = moved_to(treaty, now(), place, &"ca".parse().unwrap(), &spec, &[record]);
    asked(treaty, moved.into_iter().next().unwrap(), site)
}

/// Every way to leave one thing out of a document.
fn with_one_thing_less(value: &Value) -> Vec<(String, Value)> {
    let Some(members) = value.as_object() else { return Vec::new() };
    let mut all = Vec::new();
    for (name, member) in members {
        let mut less = members.clone();
        less.remove(name);
        all.push((name.clone(), Value::Object(less)));
        if name == "people" {
            for (inner, less_of_it) in with_one_thing_less(member) {
                let mut less = members.clone();
                less.insert(name.clone(), less_of_it);
                all.push((format!("{name}.{inner}"), Value::Object(less)));
            }
        }
    }
    all
}

#[test]
fn what_is_in_order_may_go_and_leaving_out_any_fact_of_record_or_treaty_never_loosens_that() {
    let treaty = treaty();
    let mut refused = 0;
    for (record, protection, site) in in_order() {
        let whole = of_record(&treaty, record.clone(), &protection, site);
        assert!(whole.verdict() <= Verdict::AllowWith, "{}: {whole:?}", record.id);
        for (left_out, less) in with_one_thing_less(&protection) {
            let answer = of_record(&treaty, record.clone(), &less, site);
            assert!(answer.verdict() >= whole.verdict(), "{} without {left_out}: {answer:?}", record.id);
            refused += usize::from(answer.verdict() >= Verdict::Hold);
        }
        for number in 0..treaty.transfer_grounds.len() {
            let mut less = treaty.clone();
            let ground = &mut less.transfer_grounds[number];
            (ground.clauses, ground.impact_assessment, ground.onward) = (None, None, None);
            assert!(of_record(&less, record.clone(), &protection, site).verdict() >= whole.verdict());
            less.transfer_grounds[number].instrument = None;
            assert!(of_record(&less, record.clone(), &protection, site).verdict() >= whole.verdict());
        }
    }
    // Of each of them at least the documents and what they are needed for refuse when they are left out.
    assert!(refused >= 10, "{refused}");
}

#[test]
fn a_document_counts_from_its_day_and_at_the_sites_that_it_names() {
    let treaty = treaty();
    let [(survey, protection, site), ..] = in_order();
    let mut later = protection.clone();
    later["impact_assessment"]["dated"] = json!("2031-01-01");
    let answer = of_record(&treaty, survey.clone(), &later, site);
    assert_eq!(answer.verdict(), Verdict::Deny, "{answer:?}");
    let mut elsewhere = protection;
    elsewhere["processor_contracts"] = at("juelich");
    assert_eq!(of_record(&treaty, survey, &elsewhere, site).verdict(), Verdict::Deny);
}

#[test]
fn a_contract_of_the_treaty_is_one_for_all_data_of_that_member() {
    let mut treaty = treaty();
    let [(survey, mut protection, site), ..] = in_order();
    protection["processor_contracts"] = json!([]);
    assert_eq!(of_record(&treaty, survey.clone(), &protection, site).verdict(), Verdict::Deny);
    let contract = serde_json::from_value(
        json!({"member": "de", "sha256": Sha256Digest::of(b"contract"), "dated": "2026-01-01"}),
    );
    let contract = contract.unwrap();
    let place = treaty.sites.iter_mut().find(|place| place.id.as_str() == site).unwrap();
    place.processor_contracts.push(contract);
    treaty.check().unwrap();
    assert_eq!(of_record(&treaty, survey, &protection, site).verdict(), Verdict::AllowWith);
}

#[test]
fn what_a_researcher_brings_is_declared_and_what_nobody_says_is_assumed() {
    let treaty = treaty();
    let place = treaty.site(&"quebec-hydro".parse().unwrap()).unwrap();
    let input = |class| InputFile { name: "a".to_owned(), sha256: Sha256Digest::of(b"a"), bytes: 1, class };
    let with = |inputs: Vec<InputFile>, inputs_about: Option<AboutPeople>| {
        let spec = JobSpec { datasets: Vec::new(), inputs, inputs_about, ..spec() };
        moved_to(&treaty, now(), place, &"ca".parse().unwrap(), &spec, &[])
    };
    let [open, personal] = with(vec![input(Class::Open), input(Class::Personal)], None).try_into().unwrap();
    assert_eq!(
        (open.data.id.value.as_str(), personal.data.id.value.as_str()),
        ("ca/inputs:open", "ca/inputs:personal")
    );
    assert_eq!(asked(&treaty, open, "quebec-hydro").verdict(), Verdict::Allow);
    assert!(personal.assumed.contains("data.subject_region") && personal.data.under_pipeda.value);
    assert_eq!(asked(&treaty, personal, "quebec-hydro").verdict(), Verdict::Deny);
    // Whether there are people in what is protected, only a statement says.
    let [secret] = with(vec![input(Class::Protected)], None).try_into().unwrap();
    assert!(secret.data.personal.value && secret.data.special_category.value);
    let nobody = serde_json::from_value(json!({"personal_information": "none"})).unwrap();
    let [plans] = with(vec![input(Class::Protected)], Some(nobody)).try_into().unwrap();
    assert_eq!(plans.data.personal.provenance, Provenance::Declared);
    assert_eq!(asked(&treaty, plans, "quebec-hydro").verdict(), Verdict::Allow);
}

#[test]
fn a_dataset_without_a_record_goes_nowhere() {
    let treaty = treaty();
    let place = treaty.site(&"juelich".parse().unwrap()).unwrap();
    let spec = JobSpec { datasets: vec!["de/lost".parse().unwrap()], inputs: Vec::new(), ..spec() };
    let [lost] = moved_to(&treaty, now(), place, &"de".parse().unwrap(), &spec, &[]).try_into().unwrap();
    assert_eq!(asked(&treaty, lost, "juelich").verdict(), Verdict::Deny);
}

#[test]
fn a_derogation_waits_for_a_lawyer_once_and_carries_nothing_that_happens_again() {
    let mut treaty = treaty();
    let [(survey, protection, site), ..] = in_order();
    let text = serde_json::to_value(&treaty.transfer_grounds[1]).unwrap();
    let mut text = text.as_object().unwrap().clone();
    text.remove("clauses");
    text.insert("instrument".to_owned(), json!("derogation"));
    treaty.transfer_grounds[1] = serde_json::from_value(Value::Object(text.clone())).unwrap();
    assert_eq!(of_record(&treaty, survey.clone(), &protection, site).verdict(), Verdict::Deny);
    text.insert("recurring".to_owned(), json!(false));
    treaty.transfer_grounds[1] = serde_json::from_value(Value::Object(text)).unwrap();
    assert_eq!(of_record(&treaty, survey, &protection, site).verdict(), Verdict::Hold);
}
