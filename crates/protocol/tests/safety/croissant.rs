// SPDX-License-Identifier: Apache-2.0
//! Croissant documents become typed facts, and what is not plainly said counts as the stricter thing.

use serde_json::{Value, json};
use sta_protocol::{
    class::Class,
    croissant::{CROISSANT_BYTES_MAX, Croissant},
    dataset_facts::PersonalInformation,
    digest::Sha256Digest,
};

use super::examples::data;

fn document() -> Value {
    serde_json::from_slice(&data("croissant/hospital.json")).unwrap()
}

fn read(document: &Value) -> Croissant {
    Croissant::from_json(document.to_string().as_bytes()).unwrap()
}

/// What is said when a document is refused after `change`.
fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut document = document();
    change(&mut document);
    Croissant::from_json(document.to_string().as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_croissant_document_becomes_facts() {
    let json = data("croissant/hospital.json");
    let croissant = Croissant::from_json(&json).unwrap();
    assert_eq!(croissant.facts.source, Sha256Digest::of(&json));
    assert_eq!(croissant.name, "hospital");
    assert_eq!(croissant.url.as_deref(), Some("https://de.sta.example/datasets/hospital"));
    let [file] = croissant.files.as_slice() else { panic!("{:?}", croissant.files) };
    assert_eq!(
        (file.name.as_str(), file.bytes, file.sha256.is_some()),
        ("breast_cancer.csv", Some(119913), true)
    );
    insta::assert_json_snapshot!(croissant.facts, @r#"
    {
      "source": "c35f5978db0426783815524e612fd082a3881270fd199409319d23afe7535a01",
      "description": "Measurements of cell nuclei from biopsies, one row for each biopsy, with the finding.",
      "licence": "https://de.sta.example/licences/research-only",
      "personal_information": "special",
      "personal_information_stated": [
        "Health: findings of biopsies",
        "Age group"
      ],
      "collection": [
        "Taken from the reports of the hospital's laboratory; names and dates were removed before the data left it.",
        "Secondary Data analysis",
        "Manual Human Curator",
        "2019-01-01",
        "2024-12-31"
      ],
      "biases": [
        "One hospital in one city; people without insurance are hardly in it."
      ],
      "limitations": [
        "Not fit for other instruments than the laboratory's own.",
        "Not fit for children."
      ],
      "use_cases": [
        "Training and validating models that sort biopsies for a second look."
      ],
      "social_impact": [
        "Earlier second looks; a false calm where the model is trusted alone."
      ],
      "annotation": [
        "Two pathologists each; a third where they differ."
      ],
      "maintenance": [
        "Once a year, by the tumour board."
      ]
    }
    "#);
    croissant.facts.check(Class::Special).unwrap();
}

#[test]
fn a_dataset_is_never_less_sensitive_than_it_says_itself() {
    let facts = read(&document()).facts;
    insta::assert_snapshot!(facts.check(Class::Personal).unwrap_err(), @"`class` is `personal`, and the dataset states information about people that is `special`: use `special` or a stricter class, or correct the statement");
    let lied = sta_protocol::dataset_facts::DatasetFacts {
        personal_information: PersonalInformation::None,
        ..facts
    };
    insta::assert_snapshot!(lied.check(Class::Open).unwrap_err(), @"`facts.personal_information` says less than the statements it was read from: take it from the document again");
}

#[test]
fn what_is_not_plainly_none_counts_as_personal() {
    let cases = [
        (json!(null), PersonalInformation::NotStated),
        (json!([]), PersonalInformation::NotStated),
        (json!("None."), PersonalInformation::None),
        (json!("The dataset contains no personal or sensitive information."), PersonalInformation::None),
        (json!("None that we know of"), PersonalInformation::Personal),
        (json!(["Language", "Age"]), PersonalInformation::Personal),
        (json!(["none", "gender"]), PersonalInformation::Personal),
        (json!("Ethnicity"), PersonalInformation::Special),
        (json!([{"@value": "sexual orientation"}]), PersonalInformation::Special),
    ];
    for (value, expected) in cases {
        let mut document = document();
        document["rai:personalSensitiveInformation"] = value.clone();
        assert_eq!(read(&document).facts.personal_information, expected, "{value}");
    }
}

#[test]
fn names_mean_what_the_context_says() {
    let mut document = document();
    let context = document["@context"].as_object_mut().unwrap();
    context.insert("bias".to_owned(), json!({"@id": "rai:dataBiases"}));
    context.insert("responsible".to_owned(), json!("http://mlcommons.org/croissant/RAI/"));
    let members = document.as_object_mut().unwrap();
    let biases = members.remove("rai:dataBiases").unwrap();
    members.insert("bias".to_owned(), biases.clone());
    let limits = members.remove("rai:dataLimitations").unwrap();
    members.insert("responsible:dataLimitations".to_owned(), limits);
    let facts = read(&document).facts;
    assert_eq!((json!(facts.biases), facts.limitations.len()), (biases, 2));
    // Without a meaning in the context a name is nobody's.
    let members = document.as_object_mut().unwrap();
    let limits = members.remove("responsible:dataLimitations").unwrap();
    members.insert("other:dataLimitations".to_owned(), limits);
    assert!(read(&document).facts.limitations.is_empty());
}

#[test]
fn what_is_wrong_with_a_document_is_said_with_how_to_mend_it() {
    let set = |name: &'static str, value: Value| move |document: &mut Value| document[name] = value;
    let refusals = [
        refusal(set("@context", json!("http://mlcommons.org/croissant/1.0"))),
        refusal(|document| drop(document.as_object_mut().unwrap().remove("@context"))),
        refusal(set("creator", json!({"@context": {}, "name": "x"}))),
        refusal(set("@type", json!("sc:Book"))),
        refusal(set("conformsTo", json!("http://mlcommons.org/croissant/0.8"))),
        refusal(|document| drop(document.as_object_mut().unwrap().remove("name"))),
        refusal(set("name", json!(["a", "b"]))),
        refusal(set("rai:dataBiases", json!([["a"]]))),
        refusal(set("rai:dataBiases", json!("a".repeat(4001)))),
        refusal(set("rai:dataBiases", json!(vec!["a"; 101]))),
        refusal(set("http://mlcommons.org/croissant/RAI/dataBiases", json!("again"))),
        refusal(|document| document["distribution"][0]["sha256"] = json!("ABC")),
        Croissant::from_json(b"{").unwrap_err().to_string(),
        Croissant::from_json(&vec![b' '; CROISSANT_BYTES_MAX + 1]).unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    `@context` names a context to be fetched: write the context into the document itself
    `@context` is missing: Croissant 1.0 has one
    `@context` stands within the document again: leave one, at its beginning
    the document is no Croissant 1.0 dataset: its `@type` is not `sc:Dataset`
    the document is no Croissant 1.0 dataset: its `conformsTo` is `http://mlcommons.org/croissant/0.8`: use `http://mlcommons.org/croissant/1.0`
    the document is no Croissant 1.0 dataset: it has no `name`
    `https://schema.org/name` has several values: give one
    `http://mlcommons.org/croissant/RAI/dataBiases` is neither a text nor a number: write a text
    `http://mlcommons.org/croissant/RAI/dataBiases` has 4001 characters: use 1 to 4000 printable ones
    `http://mlcommons.org/croissant/RAI/dataBiases` has 101 texts; at most 100 are read
    `http://mlcommons.org/croissant/RAI/dataBiases` stands there twice under different names: leave one out
    `https://schema.org/sha256` is `ABC`: write 64 hexadecimal digits in lower case
    the document is not JSON
    the document has 16777217 bytes; at most 16777216 are read
    "#);
}
