// SPDX-License-Identifier: Apache-2.0
//! A model as SPDX 3.0.1 JSON-LD: an AI package with its weights, licence, datasets and base, in the profiles AI and dataset.

use serde_json::{Value, json};

use super::{ModelExport, list, object, uses_personal_information};
use crate::{
    class::Class,
    digest::Sha256Digest,
    model::{DocumentKind, LearntFrom, Modality, ModelRecord},
};

const CONTEXT: &str = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld";
const CREATION: &str = "_:creation";
/// What stands for a licence where nobody named one.
const NO_LICENCE: &str = "https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertion";

/// The model's SPDX document.
#[must_use]
pub fn spdx(export: &ModelExport<'_>) -> Value {
    let names = Names { prefix: format!("urn:uuid:{}", export.serial()) };
    let record = export.record;
    let mut graph = vec![
        json!({
            "type": "Organization", "spdxId": names.of("provider"), "creationInfo": CREATION,
            "name": record.provider.name,
            "comment": format!("seat: {}", record.provider.seat),
        }),
        package(export, &names),
    ];
    let files = record.weights.iter().enumerate().map(|(place, file)| {
        json!({
            "type": "software_File", "spdxId": names.of(&format!("weights-{place}")), "creationInfo": CREATION,
            "name": file.name, "software_primaryPurpose": "model", "verifiedUsing": [sha256(file.sha256)],
        })
    });
    graph.extend(files);
    graph.extend(
        record
            .lineage
            .datasets
            .iter()
            .enumerate()
            .map(|(place, learnt)| dataset(learnt, place, &names, export)),
    );
    if let Some(base) = &record.lineage.base {
        graph.push(object([
            ("type", Some(json!("ai_AIPackage"))),
            ("spdxId", Some(json!(names.of("base")))),
            ("creationInfo", Some(json!(CREATION))),
            ("name", Some(json!(base.name))),
            ("verifiedUsing", list(base.weights.iter().map(|digest| sha256(*digest)).collect())),
        ]));
    }
    if let Some(licence) = &record.openness.licence {
        graph.push(json!({
            "type": "simplelicensing_LicenseExpression", "spdxId": names.of("licence"), "creationInfo": CREATION,
            "simplelicensing_licenseExpression": licence,
        }));
    }
    graph.extend(relationships(record, &names));
    let elements: Vec<Value> = graph.iter().map(|element| element["spdxId"].clone()).collect();
    let mut whole = vec![creation(export, &names), document(&elements, &names)];
    whole.append(&mut graph);
    json!({"@context": CONTEXT, "@graph": whole})
}

/// The names of the document's elements.
struct Names {
    prefix: String,
}

impl Names {
    fn of(&self, element: &str) -> String {
        format!("{}#{element}", self.prefix)
    }
}

fn creation(export: &ModelExport<'_>, names: &Names) -> Value {
    json!({
        "type": "CreationInfo", "@id": CREATION, "specVersion": "3.0.1", "created": export.at(),
        "createdBy": [names.of("provider")],
        "comment": format!("written by sta {}", export.software_version),
    })
}

fn document(elements: &[Value], names: &Names) -> Value {
    json!({
        "type": "SpdxDocument", "spdxId": names.of("document"), "creationInfo": CREATION,
        "profileConformance": ["core", "software", "simpleLicensing", "ai", "dataset"],
        "rootElement": [names.of("model")], "element": elements,
    })
}

fn package(export: &ModelExport<'_>, names: &Names) -> Value {
    let record = export.record;
    let hashes = match record.weights.as_slice() {
        [only] => list(vec![sha256(only.sha256)]),
        _ => None,
    };
    let entry = |key: String, value: String| json!({"type": "DictionaryEntry", "key": key, "value": value});
    let metrics = export.evaluations.iter().flat_map(|evaluation| {
        let evaluated = evaluation.evaluated();
        let name = move |score: &String| format!("{} {}: {score}", evaluated.task, evaluated.task_version);
        evaluated.scores.iter().map(move |(score, value)| entry(name(score), value.to_string()))
    });
    let thresholds = export.evaluations.iter().flat_map(|evaluation| {
        let task = &evaluation.evaluated().task;
        evaluation.criteria().iter().map(move |criterion| entry(task.clone(), criterion.to_string()))
    });
    let acts = record.generates.contains(&Modality::Action);
    object([
        ("type", Some(json!("ai_AIPackage"))),
        ("spdxId", Some(json!(names.of("model")))),
        ("creationInfo", Some(json!(CREATION))),
        ("name", Some(json!(record.id))),
        ("summary", Some(json!(record.title))),
        ("description", Some(json!(record.description))),
        ("verifiedUsing", hashes),
        ("externalRef", external_references(record)),
        ("suppliedBy", Some(json!(names.of("provider")))),
        ("releaseTime", Some(json!(super::whole_seconds(record.recorded_at)))),
        ("software_packageVersion", Some(json!(super::whole_seconds(record.recorded_at)))),
        ("software_downloadLocation", Some(json!(format!("urn:sta:model:{}", record.id)))),
        ("software_primaryPurpose", Some(json!("model"))),
        ("ai_autonomyType", Some(json!(if acts { "yes" } else { "noAssertion" }))),
        ("ai_domain", list(record.purposes.iter().map(|purpose| json!(purpose)).collect())),
        ("ai_energyConsumption", energy(record)),
        ("ai_informationAboutTraining", Some(json!(training(record)))),
        ("ai_metric", list(metrics.collect())),
        ("ai_metricDecisionThreshold", list(thresholds.collect())),
        ("ai_typeOfModel", list(record.generates.iter().map(|modality| json!(modality)).collect())),
        ("ai_useSensitivePersonalInformation", Some(json!(uses_personal_information(record.class)))),
    ])
}

fn energy(record: &ModelRecord) -> Option<Value> {
    let wh = record.compute.energy_wh?;
    Some(json!({"type": "ai_EnergyConsumption", "ai_trainingEnergyConsumption": [{
        "type": "ai_EnergyConsumptionDescription",
        "ai_energyQuantity": wh as f64 / 1000.0, "ai_energyUnit": "kilowattHour",
    }]}))
}

fn training(record: &ModelRecord) -> String {
    let metered = record
        .compute
        .metered_teraflop
        .map_or_else(|| "not metered".to_owned(), |metered| format!("metered {} teraFLOP", metered.get()));
    format!(
        "Training compute since the base: declared {} teraFLOP, {metered}. Cumulative with the base: {} teraFLOP (10^12 operations each).",
        record.compute.declared_teraflop.get(),
        record.compute_cumulative().get()
    )
}

fn external_references(record: &ModelRecord) -> Option<Value> {
    let documents = record.documents.iter().map(|(kind, document)| {
        let uri = document.uri.clone().or_else(|| document.sha256.map(|digest| format!("urn:sha256:{digest}")));
        json!({
            "type": "ExternalRef", "externalRefType": reference_type(*kind), "locator": uri.into_iter().collect::<Vec<_>>(),
            "comment": kind,
        })
    });
    let attestations = record.evaluations.iter().map(|digest| {
        json!({
            "type": "ExternalRef", "externalRefType": "qualityAssessmentReport",
            "locator": [format!("urn:sha256:{digest}")], "contentType": "application/vnd.in-toto+json",
        })
    });
    list(documents.chain(attestations).collect())
}

fn dataset(learnt: &LearntFrom, place: usize, names: &Names, export: &ModelExport<'_>) -> Value {
    let confidentiality = match learnt.class {
        Class::Open => "clear",
        Class::Internal => "green",
        Class::Personal => "amber",
        Class::Special | Class::Protected => "red",
    };
    json!({
        "type": "dataset_DatasetPackage", "spdxId": names.of(&format!("dataset-{place}")), "creationInfo": CREATION,
        "name": learnt.dataset,
        "comment": format!("SHA-256 of its signed record: {}", learnt.record),
        "originatedBy": [names.of("provider")],
        "builtTime": super::whole_seconds(export.record.recorded_at),
        "releaseTime": super::whole_seconds(export.record.recorded_at),
        "software_primaryPurpose": "data",
        "software_downloadLocation": format!("urn:sta:dataset:{}", learnt.dataset),
        "dataset_datasetType": ["noAssertion"],
        "dataset_confidentialityLevel": confidentiality,
        "dataset_hasSensitivePersonalInformation": uses_personal_information(learnt.class),
    })
}

fn relationships(record: &ModelRecord, names: &Names) -> Vec<Value> {
    let relationship = |kind: &str, to: Vec<String>| {
        json!({
            "type": "Relationship", "spdxId": names.of(&format!("is-{kind}")), "creationInfo": CREATION,
            "from": names.of("model"), "relationshipType": kind, "to": to,
        })
    };
    let numbered = |word: &str, count: usize| {
        (0..count).map(|place| names.of(&format!("{word}-{place}"))).collect::<Vec<_>>()
    };
    let licence = if record.openness.licence.is_some() { names.of("licence") } else { NO_LICENCE.to_owned() };
    let mut all = vec![
        relationship("contains", numbered("weights", record.weights.len())),
        relationship("hasDeclaredLicense", vec![licence]),
        relationship("hasConcludedLicense", vec![NO_LICENCE.to_owned()]),
    ];
    if !record.lineage.datasets.is_empty() {
        all.push(relationship("trainedOn", numbered("dataset", record.lineage.datasets.len())));
    }
    if record.lineage.base.is_some() {
        all.push(relationship("descendantOf", vec![names.of("base")]));
    }
    all
}

fn sha256(digest: Sha256Digest) -> Value {
    json!({"type": "Hash", "algorithm": "sha256", "hashValue": digest})
}

fn reference_type(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::RiskManagement
        | DocumentKind::NotHighRisk
        | DocumentKind::FundamentalRights
        | DocumentKind::AlgorithmicImpact => "riskAssessment",
        DocumentKind::DataProtectionImpact => "privacyAssessment",
        DocumentKind::Conformity => "certificationReport",
        DocumentKind::ModelCard => "productMetadata",
        DocumentKind::Security => "securityPolicy",
        DocumentKind::AnnexIv
        | DocumentKind::AnnexXi
        | DocumentKind::AnnexXii
        | DocumentKind::CopyrightPolicy
        | DocumentKind::TrainingSummary
        | DocumentKind::DataGovernance
        | DocumentKind::Logging
        | DocumentKind::Instructions
        | DocumentKind::Oversight => "documentation",
        DocumentKind::EuDatabase | DocumentKind::SystemicNotification => "other",
    }
}
