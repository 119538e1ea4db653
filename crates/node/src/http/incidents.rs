// SPDX-License-Identifier: Apache-2.0
//! Incidents over HTTP: reported by anybody who is logged in, seen by the reporter and by all who have a role, dealt with by those whose role it is.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use sta_protocol::{
    ids::{IncidentId, MemberId},
    incident::IncidentKind,
    subject::Subject,
};

use super::{
    documents::{CloseRequest, IncidentDocument, IncidentEvent, IncidentList, IncidentRequest},
    extract::{Document, PathOf, Person, QueryOf, Reader},
    problem::Fault,
};
use crate::{
    node::Node,
    steps::{
        incident::{self, About, Event, NewIncident},
        settle,
    },
    store::{
        frozen,
        incidents::{self as table, KeptIncident},
        registry::Researcher,
    },
    text::Language,
};

/// Which incidents to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentQuery {
    /// Those that are closed too.
    #[serde(default)]
    all: bool,
}

/// Lists incidents, the newest first: to people with a role all, to others their own.
#[utoipa::path(get, path = "/v1/incidents", params(IncidentQuery), responses((status = 200, description = "The incidents", body = IncidentList)))]
pub(super) async fn list_incidents(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    Reader(language): Reader,
    QueryOf(query): QueryOf<IncidentQuery>,
) -> Result<Json<IncidentList>, Fault> {
    let reporter = person.roles.is_empty().then(|| subject(node.member(), &person));
    let found = node.store.read(|connection| table::list(connection, query.all, reporter.as_ref()))?;
    let documents = found.iter().map(|kept| IncidentDocument::new(&node, kept, language));
    Ok(Json(IncidentList { incidents: documents.collect::<Result<_, _>>()? }))
}

/// Reports an incident. The same report with the same id again is answered with the incident that it made.
#[utoipa::path(post, path = "/v1/incidents", request_body = IncidentRequest, responses((status = 201, description = "The incident, with its clocks", body = IncidentDocument)))]
pub(super) async fn report_incident(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    Reader(language): Reader,
    Document(request): Document<IncidentRequest>,
) -> Result<Response, Fault> {
    let fresh = || IncidentId::new(node.outside.now_ms(), node.outside.random());
    let new = NewIncident {
        id: request.incident.unwrap_or_else(fresh),
        about: About { job: request.job, model: request.model, site: request.site },
        kind: kind_of(&request.kind)?,
        occurred_at: request.occurred_at,
        aware_at: request.aware_at,
        summary: request.summary,
        facts: request.facts,
    };
    let id = incident::report(&node, &person, new).await?;
    Ok((StatusCode::CREATED, document(&node, id, language)?).into_response())
}

/// Shows an incident to its reporter and to all who have a role.
#[utoipa::path(get, path = "/v1/incidents/{incident}", responses((status = 200, description = "The incident", body = IncidentDocument)))]
pub(super) async fn show_incident(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    PathOf(id): PathOf<IncidentId>,
    Reader(language): Reader,
) -> Result<Json<IncidentDocument>, Fault> {
    let kept = incident::find(&node, id)?;
    if person.roles.is_empty() && kept.reporter != subject(node.member(), &person) {
        return Err(Fault::not_found("incident", id));
    }
    Ok(Json(IncidentDocument::new(&node, &kept, language)?))
}

/// Shows the newest snapshot of evidence: the manifest, whose SHA-256 is in the chain.
#[utoipa::path(get, path = "/v1/incidents/{incident}/evidence", responses((status = 200, description = "Canonical JSON: checkpoint, entries with index and leaf hash, jobs, files", body = Object)))]
pub(super) async fn show_evidence(
    State(node): State<Arc<Node>>,
    PathOf(id): PathOf<IncidentId>,
) -> Result<Response, Fault> {
    let KeptIncident { id, .. } = incident::find(&node, id)?;
    let newest = node.store.read(|connection| frozen::snapshots(connection, id))?.pop();
    let newest = newest.ok_or_else(|| Fault::not_found("evidence", id))?;
    // As it is: parsed and written again it might have another digest.
    let kind = [(http::header::CONTENT_TYPE, "application/json")];
    Ok((kind, newest.manifest).into_response())
}

/// Shows the proof that the newest entry about the incident is in the witnessed audit log.
#[utoipa::path(get, path = "/v1/incidents/{incident}/proof", responses((status = 200, description = "C2SP tlog-proof", body = String, content_type = "text/plain")))]
pub(super) async fn show_incident_proof(
    State(node): State<Arc<Node>>,
    PathOf(id): PathOf<IncidentId>,
) -> Result<String, Fault> {
    Ok(settle::incident_proof(&node, id)?)
}

/// Adds to an incident: `notified`, `found`, `reclassified` or `resolved`.
#[utoipa::path(post, path = "/v1/incidents/{incident}/events", request_body = IncidentEvent, responses((status = 200, description = "The incident", body = IncidentDocument)))]
pub(super) async fn add_event(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    PathOf(id): PathOf<IncidentId>,
    Reader(language): Reader,
    Document(event): Document<IncidentEvent>,
) -> Result<Json<IncidentDocument>, Fault> {
    let event = match event {
        IncidentEvent::Notified { clock, authority, reference, at, complete } => {
            Event::Notified { clock, authority, reference, at, complete }
        }
        IncidentEvent::Found { summary } => Event::Found { summary },
        IncidentEvent::Reclassified { kind, aware_at, reason } => {
            Event::Reclassified { kind: kind_of(&kind)?, aware_at, reason }
        }
        IncidentEvent::Resolved { at, summary } => Event::Resolved { at, summary },
    };
    incident::add(&node, &person, id, event).await?;
    document(&node, id, language)
}

/// Closes an incident that is resolved: what it stopped goes on, what it froze may go.
#[utoipa::path(post, path = "/v1/incidents/{incident}/close", request_body = CloseRequest, responses((status = 200, description = "The incident", body = IncidentDocument)))]
pub(super) async fn close_incident(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    PathOf(id): PathOf<IncidentId>,
    Reader(language): Reader,
    Document(request): Document<CloseRequest>,
) -> Result<Json<IncidentDocument>, Fault> {
    let CloseRequest { reason, without_reports } = request;
    incident::add(&node, &person, id, Event::Closed { summary: reason, without_reports }).await?;
    document(&node, id, language)
}

fn document(node: &Node, id: IncidentId, language: Language) -> Result<Json<IncidentDocument>, Fault> {
    Ok(Json(IncidentDocument::new(node, &incident::find(node, id)?, language)?))
}

fn subject(member: &MemberId, person: &Researcher) -> Subject {
    Subject { researcher: person.id.clone(), member: member.clone() }
}

/// The kind with that word; the words in the problem are those of the record.
fn kind_of(word: &str) -> Result<IncidentKind, Fault> {
    serde_json::from_value(serde_json::Value::from(word)).map_err(|error| Fault::malformed("kind", error))
}
