// SPDX-License-Identifier: Apache-2.0
//! Exports and the published vectors of all these records; `python_oracles` holds them against other people's schemas.

use serde_json::{Value, json};
use sta_protocol::{
    digest::Sha256Digest,
    dsse::Envelope,
    evaluation::verify,
    exports::{
        GateSummary, GateSummaryRefused, ModelExport, cyclonedx, serial_of, spdx, verify_gate_summary,
    },
    jws::{Document, Signed},
    model::ModelRecord,
    record::Record,
};

use super::examples::{attestation, authority, chain, gate_summary, model, run, steps, stop_order, weights};
use crate::{
    fixture::{ca, de, known, now, session},
    vectors::hold,
};

/// Both documents of a record, with the attestation's values in them.
fn documents(record: &ModelRecord) -> [Value; 2] {
    let evaluations = [verify(&attestation(), known).unwrap()];
    let serial = serial_of(Sha256Digest::of_json(record).unwrap());
    let export =
        ModelExport { record, evaluations: &evaluations, at: now(), serial, software_version: "0.1.0" };
    [cyclonedx(&export), spdx(&export)]
}

/// A model of which hardly anything is known.
fn bare() -> ModelRecord {
    let mut record = model();
    record.lineage = sta_protocol::model::Lineage::default();
    record.documents.clear();
    record.evaluations.clear();
    record.purposes.clear();
    record.openness.licence = None;
    record.compute.energy_wh = None;
    let second = sta_protocol::model::WeightsFile {
        name: "tokenizer.json".to_owned(),
        sha256: Sha256Digest::of(b"a tokenizer"),
        bytes: 11,
    };
    record.weights.push(second);
    record.check().unwrap();
    record
}

#[test]
fn a_models_documents_are_as_published() {
    let [cyclonedx, spdx] = documents(&model());
    hold("model_cyclonedx.json", &cyclonedx);
    hold("model_spdx.json", &spdx);
    let [cyclonedx, spdx] = documents(&bare());
    hold("bare_model_cyclonedx.json", &cyclonedx);
    hold("bare_model_spdx.json", &spdx);
}

#[test]
fn the_same_record_gives_the_same_document_and_another_another_serial_number() {
    assert_eq!(documents(&model()), documents(&model()));
    let serial = |record: &ModelRecord| documents(record)[0]["serialNumber"].clone();
    assert_ne!(serial(&model()), serial(&bare()));
}

fn signed<T: Record>(value: &T, key: &str) -> Value {
    let signer = if key == "ca" { ca() } else { de() };
    let compact = Signed::sign_record(value, &signer).unwrap();
    assert!(compact.verify_record(known).is_ok());
    json!({"key": key, "typ": T::TYP, "payload": value, "compact": compact.as_str(), "sha256": compact.digest()})
}

#[test]
fn signed_records_are_as_published() {
    let mut order = sta_protocol::stop_order::SignedStopOrder::new(&stop_order()).unwrap();
    order.sign(&ca()).unwrap();
    order.sign(&session()).unwrap();
    let digest = order.verify(&authority(), now(), 5).unwrap().digest();
    let acknowledgement = super::stop_orders::acknowledgement(digest);
    let entries = chain(steps());
    let vector = json!({
        "documents": [signed(&model(), "ca"), signed(&run(), "ca"), signed(&acknowledgement, "de")],
        "incident": {
            "key": "de",
            "typ": sta_protocol::incident::IncidentEntry::TYP,
            "entries": entries.iter().map(Signed::as_str).collect::<Vec<_>>(),
        },
        "stop_order": {
            "typ": sta_protocol::stop_order::STOP_ORDER_TYP,
            "keys": ["ca", "session"],
            "authority": authority(),
            "payload": stop_order(),
            "document": order,
            "sha256": digest,
        },
    });
    hold("safety_records.json", &vector);
}

#[test]
fn attestations_are_as_published() {
    let summary = gate_summary().sign(&de()).unwrap();
    let one = |name: &str, envelope: &Envelope| json!({"name": name, "key": "de", "weights": weights(), "envelope": envelope, "sha256": envelope.digest().unwrap()});
    let vector = json!({"attestations": [one("test-result", &attestation()), one("summary", &summary)]});
    hold("attestations.json", &vector);
}

#[test]
fn a_gates_summary_says_what_it_decided_and_nothing_can_be_added() {
    let summary = verify_gate_summary(&gate_summary().sign(&de()).unwrap(), known).unwrap();
    assert_eq!(summary.summary, gate_summary());
    assert_eq!(summary.key_ids, [de().key_id()]);
    let failed = GateSummary { passed: false, ..gate_summary() };
    assert_eq!(verify_gate_summary(&failed.sign(&de()).unwrap(), known).unwrap().summary, failed);
    let refused = verify_gate_summary(&attestation(), known).unwrap_err();
    assert!(matches!(refused, GateSummaryRefused::Payload(_)), "{refused}");
    let nothing = GateSummary { weights: Vec::new(), ..gate_summary() };
    insta::assert_snapshot!(nothing.sign(&de()).unwrap_err(), @"the summary's `weights` is empty: name what the gate decided about");
}
