// SPDX-License-Identifier: Apache-2.0
//! Gates, models and evaluations over HTTP. What a gate says is an answer, whatever its verdict.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sta_protocol::{
    digest::Sha256Digest,
    dsse::Envelope,
    evaluation::VerifiedEvaluation,
    ids::{DecisionId, JobId},
    jws::Signed,
    model::ModelRecord,
};

use super::{
    documents::{
        EvaluationDocument, GateDocument, GateList, GateQuestion, ModelDocument, NewModelDocument,
        OutcomeDocument, OutcomeRequest,
    },
    extract::{Document, PathOf, Person, Reader},
    problem::Fault,
};
use crate::{
    node::Node,
    steps::gates::{self, models, outcome, question, record::DecisionRecord},
    store::registry::{self as table, Researcher},
    text::Language,
};

/// The longest text that says how an outcome is known, in characters.
const SOURCE_CHARS_MAX: usize = 1000;

/// Asks a gate. Whatever it says is an answer: 200 with the verdict, which is recorded.
#[utoipa::path(post, path = "/v1/gate", request_body = GateQuestion, responses((status = 200, description = "What the gate says", body = GateDocument)))]
pub(super) async fn ask_gate(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    Reader(language): Reader,
    Document(asked): Document<GateQuestion>,
) -> Result<Json<GateDocument>, Fault> {
    let GateQuestion { gate, project, facts, weights, site } = asked;
    let asked = question::Asked { gate, project, facts, weights, site };
    let asking = question::gather(&node, &person, &asked)?;
    let record = gates::ask(&node, asking).await?;
    Ok(Json(GateDocument::new(&record, node.member(), language)))
}

/// Shows a decision to the people of its project, and to those who have a role.
#[utoipa::path(get, path = "/v1/gate/{decision}", responses((status = 200, description = "What the gate said", body = GateDocument)))]
pub(super) async fn show_decision(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    Reader(language): Reader,
    PathOf(id): PathOf<DecisionId>,
) -> Result<Json<GateDocument>, Fault> {
    let record = gates::decision(&node, id)?;
    if !may_see(&node, &person, &record)? {
        return Err(Fault::not_found("decision", id));
    }
    Ok(Json(GateDocument::new(&record, node.member(), language)))
}

fn may_see(node: &Node, person: &Researcher, record: &DecisionRecord) -> Result<bool, Fault> {
    let own = format!("{}/", node.member());
    let project = record.tenant.strip_prefix(&own).and_then(|project| project.parse().ok());
    let theirs = match project {
        Some(project) => {
            node.store.read(|connection| table::is_in_project(connection, &project, &person.id))?
        }
        None => false,
    };
    Ok(theirs || !person.roles.is_empty())
}

/// Lists what this node's gates said about a job.
#[utoipa::path(get, path = "/v1/jobs/{job}/gates", responses((status = 200, description = "The decisions, the newest first", body = GateList)))]
pub(super) async fn list_decisions(
    State(node): State<Arc<Node>>,
    PathOf(job): PathOf<JobId>,
    Reader(language): Reader,
) -> Result<Json<GateList>, Fault> {
    list(&node, job, language)
}

/// Lists what this node's gates said about a job that it hosts.
#[utoipa::path(get, path = "/v1/hosted/{job}/gates", responses((status = 200, description = "The decisions, the newest first", body = GateList)))]
pub(super) async fn list_hosted_decisions(
    State(node): State<Arc<Node>>,
    PathOf(job): PathOf<JobId>,
    Reader(language): Reader,
) -> Result<Json<GateList>, Fault> {
    list(&node, job, language)
}

fn list(node: &Node, job: JobId, language: Language) -> Result<Json<GateList>, Fault> {
    let records = gates::decisions_about(node, &job.to_string())?;
    let documents = records.iter().map(|record| GateDocument::new(record, node.member(), language));
    Ok(Json(GateList { decisions: documents.collect() }))
}

/// Reports what became of a decided event; the gate's guard learns from it. Each decision has one outcome.
#[utoipa::path(post, path = "/v1/gate/{decision}/outcome", request_body = OutcomeRequest, responses((status = 201, description = "What the guard has learnt", body = OutcomeDocument)))]
pub(super) async fn report_outcome(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    PathOf(id): PathOf<DecisionId>,
    Document(request): Document<OutcomeRequest>,
) -> Result<Response, Fault> {
    let harm = match request.label.as_str() {
        "harm" => true,
        "no-harm" => false,
        other => return Err(Fault::malformed("label", format!("is `{other}`: use harm or no-harm"))),
    };
    let length = request.source.trim().chars().count();
    if length == 0 || length > SOURCE_CHARS_MAX {
        let problem = format!("has {length} characters: say in 1 to {SOURCE_CHARS_MAX} how this is known");
        return Err(Fault::malformed("source", problem));
    }
    let new = outcome::NewOutcome { harm, source: request.source, reporting_rate: request.reporting_rate };
    let record = outcome::report(&node, &person, id, new).await?;
    Ok((StatusCode::CREATED, Json(OutcomeDocument::from(record))).into_response())
}

/// Registers a model: a record of this member's, which it signs, or one that another member has signed.
#[utoipa::path(post, path = "/v1/models", request_body = NewModelDocument, responses((status = 201, description = "The record", body = ModelDocument)))]
pub(super) async fn register_model(
    State(node): State<Arc<Node>>,
    Document(new): Document<NewModelDocument>,
) -> Result<Response, Fault> {
    let (signed, record) = match (new.record, new.signed) {
        (Some(record), None) => {
            let record: ModelRecord =
                serde_json::from_value(record).map_err(|error| Fault::malformed("record", error))?;
            models::register(&node, record).await?
        }
        (None, Some(signed)) => {
            let signed = Signed::from_compact(signed).map_err(|error| Fault::malformed("signed", error))?;
            models::register_signed(&node, signed).await?
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Fault::malformed("body", "needs exactly one of `record` and `signed`"));
        }
    };
    Ok((StatusCode::CREATED, Json(model_document(&signed, &record))).into_response())
}

/// Shows a model's record by its digest, or the newest one about the weights with that digest.
#[utoipa::path(get, path = "/v1/models/{digest}", responses((status = 200, description = "The record", body = ModelDocument)))]
pub(super) async fn show_model(
    State(node): State<Arc<Node>>,
    PathOf(digest): PathOf<Sha256Digest>,
) -> Result<Json<ModelDocument>, Fault> {
    let (signed, record) = models::find(&node, digest)?;
    Ok(Json(model_document(&signed, &record)))
}

fn model_document(signed: &Signed<ModelRecord>, record: &ModelRecord) -> ModelDocument {
    ModelDocument {
        sha256: signed.digest(),
        record: serde_json::json!(record),
        signed: signed.as_str().to_owned(),
    }
}

/// Takes an evaluation's attestation (in-toto in DSSE), if a member of the treaty or a key that this node trusts signed it.
#[utoipa::path(post, path = "/v1/evaluations", request_body = Object, responses((status = 201, description = "The evaluation", body = EvaluationDocument)))]
pub(super) async fn submit_evaluation(
    State(node): State<Arc<Node>>,
    Document(envelope): Document<Envelope>,
) -> Result<Response, Fault> {
    let held = models::submit_evaluation(&node, envelope).await?;
    Ok((StatusCode::CREATED, Json(evaluation_document(&held))).into_response())
}

fn evaluation_document(held: &VerifiedEvaluation) -> EvaluationDocument {
    EvaluationDocument {
        sha256: held.digest(),
        result: held.result().as_str().to_owned(),
        weights: held.weights().iter().map(|(_, sha256)| *sha256).collect(),
        covers: held.covers().to_vec(),
        completed_at: held.evaluated().completed_at,
        signed_by: held.key_ids().to_vec(),
    }
}
