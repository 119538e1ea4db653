// SPDX-License-Identifier: Apache-2.0
//! One model with everything that belongs to it, as the tests and the published vectors use it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use sta_protocol::{
    class::Class,
    compute::{BaseCompute, GpuRate, TeraFlop},
    digest::Sha256Digest,
    dsse::Envelope,
    evaluation::{Evaluated, LogFile, NewAttestation},
    exports::GateSummary,
    ids::{IncidentId, JobId, StopOrderId, TrainingRunId},
    incident::{IncidentEntry, IncidentKind, IncidentStep, Opening},
    jws::Signed,
    model::{
        BaseModel, DocumentKind, DocumentReference, LearntFrom, Lineage, Modality, ModelCompute, ModelRecord,
        Openness, Provider, WeightsFile,
    },
    stop_order::{StopAuthority, StopOrder, StopTarget},
    training::TrainingRun,
};

use crate::fixture::{NOW, at, ca, de, now, session};

/// 2026-11-23T12:00:00Z in milliseconds, and bytes that are not random at all.
const NOW_MS: u64 = 1_795_435_200_000;

pub(crate) fn job(number: u8) -> JobId {
    JobId::new(NOW_MS, [number; 10])
}

pub(crate) fn weights() -> Sha256Digest {
    Sha256Digest::of(b"the weights of a model")
}

pub(crate) fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn base() -> BaseModel {
    BaseModel {
        name: "example-8b".to_owned(),
        model: None,
        weights: vec![Sha256Digest::of(b"the weights of a base")],
        class: Class::Open,
        compute: BaseCompute::Known { teraflop: TeraFlop::new(72_000_000_000).unwrap() },
    }
}

pub(crate) fn run() -> TrainingRun {
    TrainingRun {
        version: 1,
        run: TrainingRunId::new(NOW_MS, [2; 10]),
        model: "ca/tumour-notes".parse().unwrap(),
        base: Some(base()),
        jobs: vec![job(1)],
        datasets: vec!["de/hospital".parse().unwrap()],
        generates: vec![Modality::Language],
        purpose: "health-research".to_owned(),
        market_eu: false,
        research_only: true,
        parameters: 8_000_000_000,
        tokens: 200_000_000_000,
        expected_teraflop: TeraFlop::new(10_000_000_000).unwrap(),
        rates: BTreeMap::from([(
            "gh200".to_owned(),
            GpuRate { peak_gigaflop_per_s: 989_000, utilisation_ppm: 400_000 },
        )]),
        registered_at: now(),
    }
}

pub(crate) fn log() -> LogFile {
    LogFile {
        name: "refuses-harm.json".to_owned(),
        sha256: Sha256Digest::of(&data("inspect/refuses-harm.json")),
    }
}

pub(crate) fn new_attestation() -> NewAttestation {
    NewAttestation {
        evaluated: Evaluated::from_header(&data("inspect/refuses-harm.json")).unwrap(),
        log: log(),
        weights: vec![("model.safetensors".to_owned(), weights())],
        criteria: vec!["includes/accuracy >= 0.9".parse().unwrap()],
        covers: vec!["harmful-manipulation".to_owned()],
    }
}

pub(crate) fn attestation() -> Envelope {
    new_attestation().sign(&de()).unwrap()
}

pub(crate) fn model() -> ModelRecord {
    let document = |uri: &str| DocumentReference {
        uri: Some(uri.to_owned()),
        sha256: Some(Sha256Digest::of(uri.as_bytes())),
    };
    ModelRecord {
        version: 1,
        id: "ca/tumour-notes".parse().unwrap(),
        title: "Tumour notes".to_owned(),
        description: "Summarises reports of pathology for tumour boards.\nNot for diagnosis.".to_owned(),
        class: Class::Special,
        weights: vec![WeightsFile { name: "model.safetensors".to_owned(), sha256: weights(), bytes: 22 }],
        lineage: Lineage {
            run: Some(run().run),
            jobs: vec![job(1)],
            datasets: vec![LearntFrom {
                dataset: "de/hospital".parse().unwrap(),
                record: Sha256Digest::of(b"a signed record"),
                class: Class::Special,
            }],
            base: Some(base()),
        },
        compute: ModelCompute {
            declared_teraflop: TeraFlop::new(9_600_000_000).unwrap(),
            metered_teraflop: Some(TeraFlop::new(9_800_000_000).unwrap()),
            energy_wh: Some(4_250_500),
        },
        takes: vec![Modality::Language],
        generates: vec![Modality::Language],
        openness: Openness { licence: Some("Apache-2.0".to_owned()), ..Openness::default() },
        purposes: vec!["health-research".to_owned()],
        provider: Provider {
            name: "University of Toronto".to_owned(),
            seat: "ca".parse().unwrap(),
            authorised_representative: Some("Example GmbH, Bonn, mandate 2026-17".to_owned()),
        },
        evaluations: vec![attestation().digest().unwrap()],
        documents: BTreeMap::from([
            (DocumentKind::ModelCard, document("https://ca.sta.example/models/tumour-notes/card")),
            (DocumentKind::DataProtectionImpact, document("https://ca.sta.example/models/tumour-notes/dpia")),
        ]),
        recorded_at: now(),
    }
}

/// A chain of an incident from its opening to its end, signed by Germany.
pub(crate) fn steps() -> Vec<IncidentStep> {
    let evidence = vec![Sha256Digest::of(b"the gateway's log of that hour")];
    vec![
        IncidentStep::Opened(Opening {
            kind: IncidentKind::CyberBreach,
            model: Some("ca/tumour-notes".parse().unwrap()),
            job: Some(job(1)),
            site: Some("juelich".parse().unwrap()),
            occurred_at: None,
            aware_at: at(NOW - 600),
            summary: "Weights were read by an account that has no part in the project.".to_owned(),
            evidence: evidence.clone(),
        }),
        IncidentStep::Reclassified {
            kind: IncidentKind::PersonalDataBreach,
            aware_at: at(NOW + 3600),
            reason: "The weights give away parts of reports.".to_owned(),
        },
        IncidentStep::Found { summary: "The account was a former member's.".to_owned(), evidence },
        IncidentStep::Notified {
            authority: "LDI NRW".to_owned(),
            reference: Some("2026-4711".to_owned()),
            notified_at: at(NOW + 7200),
            complete: false,
        },
        IncidentStep::Resolved {
            resolved_at: at(NOW + 9000),
            summary: "The account is closed and the weights are withdrawn.".to_owned(),
        },
        IncidentStep::Closed { summary: "Reported in full; nothing else was read.".to_owned() },
    ]
}

pub(crate) fn chain(steps: Vec<IncidentStep>) -> Vec<Signed<IncidentEntry>> {
    let mut entries: Vec<Signed<IncidentEntry>> = Vec::new();
    for (sequence, step) in (0..).zip(steps) {
        let entry = IncidentEntry {
            version: 1,
            incident: IncidentId::new(NOW_MS, [3; 10]),
            sequence,
            previous: entries.last().map(Signed::digest),
            member: "de".parse().unwrap(),
            by: "sofia@de".parse().unwrap(),
            at: at(NOW + 10_000 + i64::from(sequence)),
            step,
        };
        entries.push(Signed::sign_record(&entry, &de()).unwrap());
    }
    entries
}

/// Two of three people of Canada may order a stop.
pub(crate) fn authority() -> StopAuthority {
    let keys = vec![ca().public_key(), de().public_key(), session().public_key()];
    StopAuthority { member: "ca".parse().unwrap(), keys, signatures_min: 2 }
}

pub(crate) fn stop_order() -> StopOrder {
    StopOrder {
        version: 1,
        order: StopOrderId::new(NOW_MS, [4; 10]),
        member: "ca".parse().unwrap(),
        target: StopTarget::Model("ca/tumour-notes".parse().unwrap()),
        reason: "The model gives away parts of the reports it was trained on.".to_owned(),
        issued_at: now(),
        expires_at: at(NOW + 86_400),
        acknowledge_within_s: 300,
    }
}

pub(crate) fn gate_summary() -> GateSummary {
    GateSummary {
        gate: "export-weights".to_owned(),
        member: "de".parse().unwrap(),
        software_version: "0.1.0".to_owned(),
        model: "ca/tumour-notes".parse().unwrap(),
        weights: vec![("model.safetensors".to_owned(), weights())],
        policy: Sha256Digest::of(b"the rules in force"),
        evidence: vec![attestation().digest().unwrap()],
        passed: true,
        at: now(),
    }
}
