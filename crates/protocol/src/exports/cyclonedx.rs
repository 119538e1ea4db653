// SPDX-License-Identifier: Apache-2.0
//! A model as a CycloneDX 1.6 ML-BOM (ECMA-424): weights by digest, model card, lineage, documents, attestations.

use serde_json::{Value, json};

use super::{ModelExport, list, object};
use crate::{
    compute::BaseCompute,
    digest::Sha256Digest,
    evaluation::VerifiedEvaluation,
    model::{BaseModel, DocumentKind, LearntFrom, ModelRecord, WeightsFile},
};

/// The model's ML-BOM.
#[must_use]
pub fn cyclonedx(export: &ModelExport<'_>) -> Value {
    let record = export.record;
    let files = record.weights.iter().map(weights_file);
    let datasets = record.lineage.datasets.iter().map(dataset);
    let base = record.lineage.base.iter().map(base_model);
    let components: Vec<Value> = files.chain(datasets).chain(base).collect();
    let depends_on: Vec<&Value> = components.iter().map(|component| &component["bom-ref"]).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", export.serial()),
        "version": 1,
        "metadata": {
            "timestamp": export.at(),
            "tools": {"components": [{"type": "application", "name": "sta", "version": export.software_version}]},
            "component": model(export),
        },
        "dependencies": [{"ref": model_reference(record), "dependsOn": depends_on}],
        "components": components,
    })
}

fn model_reference(record: &ModelRecord) -> String {
    format!("model:{}", record.id)
}

fn model(export: &ModelExport<'_>) -> Value {
    let record = export.record;
    let licence = record.openness.licence.as_ref().map(|licence| json!([{"expression": licence}]));
    let hashes = match record.weights.as_slice() {
        [only] => Some(json!([sha256(only.sha256)])),
        _ => None,
    };
    let ancestors = record
        .lineage
        .base
        .as_ref()
        .map(|base| json!({"ancestors": [{"type": "machine-learning-model", "name": base.name}]}));
    let documents = record.documents.iter().map(|(kind, document)| {
        let uri =
            document.uri.clone().or_else(|| document.sha256.map(|digest| format!("urn:sha256:{digest}")));
        object([
            ("type", Some(json!(reference_type(*kind)))),
            ("url", Some(json!(uri))),
            ("comment", Some(json!(kind))),
            ("hashes", document.sha256.map(|digest| json!([sha256(digest)]))),
        ])
    });
    let attestations = record.evaluations.iter().map(|digest| {
        json!({"type": "attestation", "url": format!("urn:sha256:{digest}"), "hashes": [sha256(*digest)]})
    });
    object([
        ("type", Some(json!("machine-learning-model"))),
        ("bom-ref", Some(json!(model_reference(record)))),
        ("supplier", Some(json!({"name": record.provider.name}))),
        ("group", Some(json!(record.id.member()))),
        ("name", Some(json!(record.id.name()))),
        ("version", Some(json!(super::whole_seconds(record.recorded_at)))),
        ("description", Some(json!(record.description))),
        ("hashes", hashes),
        ("licenses", licence),
        ("pedigree", ancestors),
        ("externalReferences", list(documents.chain(attestations).collect())),
        ("modelCard", Some(model_card(export))),
        ("properties", Some(properties(record))),
    ])
}

fn model_card(export: &ModelExport<'_>) -> Value {
    let record = export.record;
    let formats = |modalities: &[crate::model::Modality]| {
        list(modalities.iter().map(|modality| json!({"format": modality})).collect())
    };
    let datasets = record.lineage.datasets.iter().map(|learnt| json!({"ref": dataset_reference(learnt)}));
    let metrics = export.evaluations.iter().flat_map(metrics);
    let energy = record.compute.energy_wh.map(|wh| {
        json!({"energyConsumptions": [{
            "activity": "training",
            "energyProviders": [],
            "activityEnergyCost": {"value": wh as f64 / 1000.0, "unit": "kWh"},
        }]})
    });
    let use_cases = list(record.purposes.iter().map(|purpose| json!(purpose)).collect());
    object([
        (
            "modelParameters",
            Some(object([
                ("datasets", list(datasets.collect())),
                ("inputs", formats(&record.takes)),
                ("outputs", formats(&record.generates)),
            ])),
        ),
        (
            "quantitativeAnalysis",
            list(metrics.collect()).map(|metrics| json!({"performanceMetrics": metrics})),
        ),
        ("considerations", Some(object([("useCases", use_cases), ("environmentalConsiderations", energy)]))),
    ])
}

fn metrics(evaluation: &VerifiedEvaluation) -> Vec<Value> {
    let evaluated = evaluation.evaluated();
    let metric = |(name, value): (&String, &f64)| {
        json!({
            "type": format!("{} {}: {name}", evaluated.task, evaluated.task_version),
            "value": value.to_string(),
            "slice": format!("{} of {} samples", evaluated.samples_completed, evaluated.samples_total),
        })
    };
    evaluated.scores.iter().map(metric).collect()
}

/// What has no place of its own in the format.
fn properties(record: &ModelRecord) -> Value {
    let property = |name: &str, value: String| json!({"name": format!("sta:{name}"), "value": value});
    let mut properties = vec![
        property("title", record.title.clone()),
        property("class", record.class.to_string()),
        property("provider.seat", record.provider.seat.to_string()),
        property("compute.cumulative_teraflop", record.compute_cumulative().get().to_string()),
        property("compute.declared_teraflop", record.compute.declared_teraflop.get().to_string()),
        property("openness.weights_public", record.openness.weights_public.to_string()),
        property("openness.open", record.openness.is_open().to_string()),
    ];
    if let Some(metered) = record.compute.metered_teraflop {
        properties.push(property("compute.metered_teraflop", metered.get().to_string()));
    }
    if let Some(representative) = &record.provider.authorised_representative {
        properties.push(property("provider.authorised_representative", representative.clone()));
    }
    if let Some(run) = record.lineage.run {
        properties.push(property("lineage.run", run.to_string()));
    }
    properties.extend(record.lineage.jobs.iter().map(|job| property("lineage.job", job.to_string())));
    Value::Array(properties)
}

fn weights_file(file: &WeightsFile) -> Value {
    json!({
        "type": "file",
        "bom-ref": format!("weights:{}", file.name),
        "name": file.name,
        "hashes": [sha256(file.sha256)],
        "properties": [{"name": "sta:bytes", "value": file.bytes.to_string()}],
    })
}

fn dataset_reference(learnt: &LearntFrom) -> String {
    format!("dataset:{}:{}", learnt.dataset, learnt.record)
}

fn dataset(learnt: &LearntFrom) -> Value {
    json!({
        "type": "data",
        "bom-ref": dataset_reference(learnt),
        "group": learnt.dataset.member(),
        "name": learnt.dataset.name(),
        "data": [{
            "type": "dataset",
            "name": learnt.dataset,
            "classification": learnt.class,
            "governance": {"owners": [{"organization": {"name": learnt.dataset.member()}}]},
        }],
        "properties": [{"name": "sta:record.sha256", "value": learnt.record}],
    })
}

fn base_model(base: &BaseModel) -> Value {
    let compute = match base.compute {
        BaseCompute::Scratch => "scratch".to_owned(),
        BaseCompute::Known { teraflop } => teraflop.get().to_string(),
        BaseCompute::Unknown => "unknown".to_owned(),
        BaseCompute::UnknownSystemic => "unknown, of systemic risk".to_owned(),
    };
    let digests = base.weights.iter().map(|digest| json!({"name": "sta:weights.sha256", "value": digest}));
    let compute = json!({"name": "sta:compute.cumulative_teraflop", "value": compute});
    json!({
        "type": "machine-learning-model",
        "bom-ref": format!("base:{}", base.name),
        "name": base.name,
        "properties": std::iter::once(compute).chain(digests).collect::<Vec<_>>(),
    })
}

fn sha256(digest: Sha256Digest) -> Value {
    json!({"alg": "SHA-256", "content": digest})
}

fn reference_type(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::ModelCard => "model-card",
        DocumentKind::RiskManagement
        | DocumentKind::NotHighRisk
        | DocumentKind::FundamentalRights
        | DocumentKind::DataProtectionImpact
        | DocumentKind::AlgorithmicImpact => "risk-assessment",
        DocumentKind::Conformity => "certification-report",
        DocumentKind::AnnexIv
        | DocumentKind::AnnexXi
        | DocumentKind::AnnexXii
        | DocumentKind::CopyrightPolicy
        | DocumentKind::TrainingSummary
        | DocumentKind::DataGovernance
        | DocumentKind::Logging
        | DocumentKind::Instructions
        | DocumentKind::Oversight
        | DocumentKind::Security => "documentation",
        DocumentKind::EuDatabase | DocumentKind::SystemicNotification => "other",
    }
}
