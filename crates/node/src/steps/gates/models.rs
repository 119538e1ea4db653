// SPDX-License-Identifier: Apache-2.0
//! Models and evaluations: registered here, and the facts about weights that follow from them.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use sta_decide::{
    authorize::FactSheet,
    gate::{
        Question,
        inputs::{Intent, Model, attested, registry},
        words::Suite,
    },
};
use sta_protocol::{
    compute::BaseCompute,
    digest::Sha256Digest,
    dsse::Envelope,
    evaluation::{self, TestResult, VerifiedEvaluation},
    ids::ModelId,
    jws::Signed,
    keys::PublicKey,
    model::{DocumentKind, Modality, ModelRecord},
    record::Record as _,
    refusal::RefusalCode,
};

use super::StepError;
use crate::{
    node::Node,
    store::{audit::PendingEntry, frozen, gates as table},
};

/// The area in which a provider is established in the Union, as the treaty's groups name it.
const EEA: &str = "eea";

/// Registers a model of this member: signs its record and keeps it.
///
/// # Errors
/// The record does not hold, or is of another member's model; or the store failed.
pub async fn register(
    node: &Node,
    record: ModelRecord,
) -> Result<(Signed<ModelRecord>, ModelRecord), StepError> {
    record.check().map_err(|error| malformed(node, error.to_string()))?;
    if record.id.member() != node.member() {
        let problem = format!(
            "`{}` is a model of `{}`, which signs its records itself: register what it signed",
            record.id,
            record.id.member()
        );
        return Err(malformed(node, problem));
    }
    let signed = Signed::sign_record(&record, &node.keys.signing)
        .map_err(|error| malformed(node, error.to_string()))?;
    keep(node, record, signed).await
}

/// Takes over the record of any member's model, if that member signed it.
///
/// # Errors
/// The signature is not the model's member's, or the record does not hold; or the store failed.
pub async fn register_signed(
    node: &Node,
    signed: Signed<ModelRecord>,
) -> Result<(Signed<ModelRecord>, ModelRecord), StepError> {
    let record = verified(node, &signed).map_err(|problem| malformed(node, problem))?;
    keep(node, record, signed).await
}

async fn keep(
    node: &Node,
    record: ModelRecord,
    signed: Signed<ModelRecord>,
) -> Result<(Signed<ModelRecord>, ModelRecord), StepError> {
    let now = node.outside.now();
    let (kept, text) = (record.clone(), signed.clone());
    let write = node.store.write(move |tx| {
        if table::put_model(tx, &kept, &text, now)? {
            let payload = serde_json::json!({"record": text.digest(), "weights": kept.weights_digests()});
            tx.audit(PendingEntry {
                kind: "model.registered",
                subject: kept.id.to_string(),
                payload,
                at: now,
            });
        }
        Ok(())
    });
    write.await?;
    Ok((signed, record))
}

/// The record, if the member that answers for the model signed it.
fn verified(node: &Node, signed: &Signed<ModelRecord>) -> Result<ModelRecord, String> {
    let key = |key_id: &str| node.treaty.signing_key(key_id).map(|(_, key)| key);
    let record = signed.verify_record(key).map_err(|error| error.to_string())?;
    let signer = node.treaty.signing_key(record.key_id()).map(|(member, _)| member.id.clone());
    if signer.as_ref() != Some(record.id.member()) {
        return Err(format!("the record of `{}` is not signed by its own member", record.id));
    }
    Ok(record.into_inner())
}

/// A model's record by its digest, or the newest one about the weights with that digest.
///
/// # Errors
/// There is none; or the store failed.
pub fn find(node: &Node, digest: Sha256Digest) -> Result<(Signed<ModelRecord>, ModelRecord), StepError> {
    let text = node.store.read(|connection| {
        Ok(match table::model(connection, digest)? {
            Some(text) => Some(text),
            None => table::model_of(connection, digest)?,
        })
    })?;
    let unknown =
        || StepError::refused(RefusalCode::NotFound, node.member(), [("model", digest.to_string())]);
    let signed = Signed::<ModelRecord>::from_compact(text.ok_or_else(unknown)?).map_err(|_| unknown())?;
    let record = verified(node, &signed).map_err(|_| unknown())?;
    Ok((signed, record))
}

/// Keeps an evaluation, if a key that the treaty names or this node trusts signed its attestation.
///
/// # Errors
/// The attestation does not hold, or nobody whom this node trusts signed it; or the store failed.
pub async fn submit_evaluation(node: &Node, envelope: Envelope) -> Result<VerifiedEvaluation, StepError> {
    let held = evaluation::verify(&envelope, |key_id| evaluator(node, key_id)).map_err(|error| {
        let problem = crate::steps::gates::causes(&error);
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", problem)])
    })?;
    let text = envelope.to_json().map_err(|error| malformed(node, error.to_string()))?;
    let text = String::from_utf8(text).map_err(|error| malformed(node, error.to_string()))?;
    let (now, sha256, result) = (node.outside.now(), held.digest(), held.result());
    let weights: Vec<Sha256Digest> = held.weights().iter().map(|(_, sha256)| *sha256).collect();
    let completed_at = held.evaluated().completed_at;
    let write = node.store.write(move |tx| {
        if table::put_evaluation(tx, sha256, &text, &weights, completed_at, now)? {
            let payload =
                serde_json::json!({"weights": weights, "result": result, "completed_at": completed_at});
            let subject = sha256.to_string();
            tx.audit(PendingEntry { kind: "evaluation.submitted", subject, payload, at: now });
        }
        Ok(())
    });
    write.await?;
    Ok(held)
}

/// A key whose evaluations count: a member's of the treaty, or one that `sta.toml` names.
fn evaluator(node: &Node, key_id: &str) -> Option<PublicKey> {
    let own = node.config.gates.evaluators.iter().find(|key| key.key_id() == key_id).copied();
    own.or_else(|| node.treaty.signing_key(key_id).map(|(_, key)| key))
}

fn malformed(node: &Node, problem: String) -> StepError {
    StepError::refused(RefusalCode::RequestMalformed, node.member(), [("problem", problem)])
}

/// What the registry and evaluations say of weights.
#[derive(Debug, Clone)]
pub struct AboutWeights {
    /// The facts of `model`, vouched for; nothing else.
    pub sheet: FactSheet,
    /// Digests of the record and the attestations.
    pub evidence: BTreeSet<Sha256Digest>,
    /// The model, where it is registered.
    pub record: Option<ModelRecord>,
}

/// Gathers what is known of the weights together: the newest record about all of them, and the evaluations that are about
/// all of them, passed and are recent enough.
///
/// # Errors
/// The store failed.
pub fn about(node: &Node, weights: &[Sha256Digest]) -> Result<AboutWeights, StepError> {
    let mut model = Model::cautious();
    let mut evidence = BTreeSet::new();
    let Some(first) = weights.first() else {
        return Ok(AboutWeights { sheet: FactSheet::default(), evidence, record: None });
    };
    let found = match find(node, *first) {
        Ok(found) => Some(found),
        Err(StepError::Refused(_)) => None,
        Err(error) => return Err(error),
    };
    let covers = |record: &ModelRecord| {
        let known = record.weights_digests();
        weights.iter().all(|wanted| known.contains(wanted))
    };
    let found = found.filter(|(_, record)| covers(record));
    if let Some((signed, record)) = &found {
        evidence.insert(signed.digest());
        fill_registered(node, &mut model, record);
    }
    let evaluations = current_evaluations(node, weights)?;
    let covered = evaluations.iter().flat_map(VerifiedEvaluation::covers);
    let suites: Vec<Suite> = covered.filter_map(|word| Suite::from_word(word)).collect();
    model.evaluations = attested(suites);
    model.evaluation_current = attested(!evaluations.is_empty());
    evidence.extend(evaluations.iter().map(VerifiedEvaluation::digest));
    let sheet = Question::ExportWeights { intent: Intent::cautious(), model: Box::new(model) }.sheet();
    Ok(AboutWeights { sheet, evidence, record: found.map(|(_, record)| record) })
}

/// What the newest record of a model says of it, as facts of `model` that the registry vouches for, with the record's digest.
///
/// # Errors
/// The store failed.
pub fn about_model(node: &Node, id: &ModelId) -> Result<Option<(FactSheet, Sha256Digest)>, StepError> {
    let text = node.store.read(|connection| frozen::record_of(connection, id))?;
    let signed = text.and_then(|text| Signed::<ModelRecord>::from_compact(text).ok());
    let Some(signed) = signed else { return Ok(None) };
    let Ok(record) = verified(node, &signed) else { return Ok(None) };
    let mut model = Model::cautious();
    fill_registered(node, &mut model, &record);
    let sheet = Question::ExportWeights { intent: Intent::cautious(), model: Box::new(model) }.sheet();
    Ok(Some((sheet, signed.digest())))
}

/// The evaluations about all of the weights that passed and are not too old.
fn current_evaluations(node: &Node, weights: &[Sha256Digest]) -> Result<Vec<VerifiedEvaluation>, StepError> {
    let Some(first) = weights.first() else { return Ok(Vec::new()) };
    let texts = node.store.read(|connection| table::evaluations_of(connection, *first))?;
    let age_max = SignedDuration::from_hours(i64::from(node.config.gates.evaluation_days_max) * 24);
    let now = node.outside.now();
    let held = texts.iter().filter_map(|text| {
        // A key that is trusted no more vouches for nothing.
        let envelope = Envelope::from_json(text.as_bytes()).ok()?;
        let held = evaluation::verify(&envelope, |key_id| evaluator(node, key_id)).ok()?;
        let counts = held.result() == TestResult::Passed
            && held.is_current(now, age_max)
            && held.missing(weights).is_none();
        counts.then_some(held)
    });
    Ok(held.collect())
}

/// What a model's signed record says; what it has no word for stays at its cautious value.
fn fill_registered(node: &Node, model: &mut Model, record: &ModelRecord) {
    let teraflop = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    let base = record.base_compute();
    model.id = registry(record.id.to_string());
    model.teraflop = registry(teraflop(record.compute_cumulative().get()));
    model.teraflop_projected = model.teraflop.clone();
    model.modification_teraflop = registry(teraflop(record.compute.added().get()));
    model.base_known = registry(matches!(base, BaseCompute::Scratch | BaseCompute::Known { .. }));
    model.base_teraflop = registry(match base {
        BaseCompute::Known { teraflop: known } => teraflop(known.get()),
        BaseCompute::Scratch | BaseCompute::Unknown | BaseCompute::UnknownSystemic => 0,
    });
    model.base_systemic = registry(matches!(base, BaseCompute::UnknownSystemic));
    model.takes = registry(record.takes.clone());
    model.generates = registry(record.generates.clone());
    let shows = |modality: &Modality| matches!(modality, Modality::Image | Modality::Video | Modality::Audio);
    model.depicts_persons = registry(record.generates.iter().any(shows));
    model.open_licence = registry(record.openness.licence_is_free);
    model.openly_published = registry(record.openness.is_open());
    let seat = &record.provider.seat;
    let in_eea = EEA.parse().is_ok_and(|eea| node.treaty.lies_in(seat, &eea));
    model.provider_in_eu = registry(in_eea);
    model.authorised_representative = registry(record.provider.authorised_representative.is_some());
    let documents: Vec<DocumentKind> = record.documents.keys().copied().collect();
    model.derogation_documented = registry(documents.contains(&DocumentKind::NotHighRisk));
    model.commission_notified = registry(documents.contains(&DocumentKind::SystemicNotification));
    model.security_attested = registry(false);
    model.documents = registry(documents);
}
