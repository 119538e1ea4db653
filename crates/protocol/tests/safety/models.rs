// SPDX-License-Identifier: Apache-2.0
//! Rules of a model's record.

use sta_protocol::{
    class::Class,
    compute::{BaseCompute, TeraFlop},
    jws::Signed,
    model::{DocumentKind, DocumentReference, ModelRecord},
    record::{LIST_LENGTH_MAX, Record as _, RecordError},
};

use super::examples::model;
use crate::fixture::{ca, known, reason};

/// What a record says when it is refused after `change`.
fn refusal(change: impl FnOnce(&mut ModelRecord)) -> String {
    let mut record = model();
    change(&mut record);
    record.check().unwrap_err().to_string()
}

#[test]
fn a_model_keeps_everything_through_signature_and_wire() {
    let signed = Signed::sign_record(&model(), &ca()).unwrap();
    let verified = signed.verify_record(known).unwrap();
    assert_eq!(*verified, model());
    // 7.2e22 of the base and 9.8e21 metered, which is more than was declared.
    assert_eq!(verified.compute_cumulative(), TeraFlop::new(81_800_000_000).unwrap());
    assert_eq!(verified.class_inherited(), Class::Special);
}

#[test]
fn a_model_is_never_less_sensitive_than_what_it_learnt_from() {
    insta::assert_snapshot!(refusal(|model| model.class = Class::Internal), @"`class` is `internal`, and the model was made from `special` data: use `special` or a stricter class; a steward may release single files later");
    insta::assert_snapshot!(refusal(|model| {
        model.lineage.datasets.clear();
        model.lineage.base.as_mut().unwrap().class = Class::Protected;
    }), @"`class` is `special`, and the model was made from `protected` data: use `protected` or a stricter class; a steward may release single files later");
}

#[test]
fn what_is_wrong_with_a_model_is_said_with_how_to_mend_it() {
    let no_document = |model: &mut ModelRecord| {
        model.documents.insert(DocumentKind::AnnexXi, DocumentReference::default());
    };
    let refusals = [
        refusal(|model| model.version = 2),
        refusal(|model| model.title.clear()),
        refusal(|model| model.weights.clear()),
        refusal(|model| model.weights.push(model.weights[0].clone())),
        refusal(|model| model.weights[0].name = "../model".to_owned()),
        refusal(|model| model.weights[0].bytes = 0),
        refusal(|model| model.lineage.base.as_mut().unwrap().compute = BaseCompute::Scratch),
        refusal(|model| model.generates.clear()),
        refusal(|model| model.purposes = vec!["Health research".to_owned()]),
        refusal(|model| model.evaluations = vec![model.evaluations[0]; 2]),
        refusal(|model| model.evaluations = vec![model.evaluations[0]; LIST_LENGTH_MAX + 1]),
        refusal(no_document),
        refusal(|model| {
            model.openness.licence = None;
            model.openness.licence_is_free = true;
        }),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    `version` is 2: this software reads version 1
    `title` has 0 characters: use 1 to 500 printable ones on one line
    `weights` is empty: name at least one file of weights with its SHA-256
    `weights` has "model.safetensors" twice: leave one out
    `weights` names `../model`: use a plain file name of at most 200 bytes, without `/`
    `weights` gives `model.safetensors` 0 bytes: give its length
    `lineage.base.compute` is `scratch`, and there is a base: use `known`, `unknown` or `unknown_systemic`
    `generates` is empty: say what the model generates, such as `language`
    `purposes` is `Health research`: use a short name such as `research`
    `evaluations` has Sha256Digest(74888d2ce5e9a3132cd6e85868db151f33bf78314d0b5258348fefc7302d253d) twice: leave one out
    `evaluations` has 1001 items: at most 1000
    `documents.annex-xi` says nothing: give its `uri`, its `sha256`, or both
    `openness.licence_is_free` is true without a licence: name it in `licence`
    "#);
}

#[test]
fn a_field_that_nobody_knows_is_refused() {
    let mut value = serde_json::to_value(model()).unwrap();
    value["licence"] = "MIT".into();
    let refused = serde_json::from_value::<ModelRecord>(value).unwrap_err().to_string();
    assert!(refused.starts_with("unknown field `licence`"), "{refused}");
}

#[test]
fn a_broken_record_is_neither_signed_nor_taken() {
    let broken = ModelRecord { generates: Vec::new(), ..model() };
    let refused = Signed::sign_record(&broken, &ca()).unwrap_err();
    assert!(matches!(refused, RecordError::Invalid(_)), "{refused}");
    let signed = Signed::sign(&broken, &ca()).unwrap();
    assert_eq!(reason(&signed.verify_record(known).unwrap_err()), "Invalid");
}

#[test]
fn the_words_for_documents_and_modalities_are_those_of_the_wire() {
    let record = model();
    for kind in record.documents.keys() {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    for kind in ["annex-xi", "eu-database", "training-summary", "not-high-risk"] {
        let read: DocumentKind = serde_json::from_value(kind.into()).unwrap();
        assert_eq!(read.as_str(), kind);
    }
    assert_eq!(serde_json::to_value(&record.takes).unwrap()[0], record.takes[0].as_str());
}

#[test]
fn open_means_a_free_licence_and_weights_architecture_and_usage_public() {
    let mut openness = model().openness;
    assert!(!openness.is_open());
    openness.licence_is_free = true;
    (openness.weights_public, openness.architecture_public) = (true, true);
    assert!(!openness.is_open());
    openness.usage_public = true;
    assert!(openness.is_open());
}
