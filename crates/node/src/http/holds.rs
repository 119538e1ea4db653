// SPDX-License-Identifier: Apache-2.0
//! Holds over HTTP: what waits for a named person, and their decision. What is denied outright has no route that releases it.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use sta_protocol::ids::DecisionId;

use super::{
    documents::{GateHoldDocument, GateHoldList, HoldDecisionRequest},
    extract::{Document, PathOf, Person, QueryOf, Reader},
    problem::Fault,
};
use crate::{node::Node, steps::gate_hold, store::gate_holds as table};

/// Which holds to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HoldQuery {
    /// Those that are over too.
    #[serde(default)]
    all: bool,
}

/// Lists the jobs of this host that stand still for a gate or an order to stop, the newest first.
#[utoipa::path(get, path = "/v1/holds", params(HoldQuery), responses((status = 200, description = "The holds", body = GateHoldList)))]
pub(super) async fn list_holds(
    State(node): State<Arc<Node>>,
    Reader(language): Reader,
    QueryOf(query): QueryOf<HoldQuery>,
) -> Result<Json<GateHoldList>, Fault> {
    let holds = node.store.read(|connection| table::list(connection, query.all))?;
    let holds =
        holds.iter().map(|hold| GateHoldDocument::new(&node, hold, language)).collect::<Result<_, _>>()?;
    Ok(Json(GateHoldList { holds }))
}

/// Shows one hold.
#[utoipa::path(get, path = "/v1/holds/{hold}", responses((status = 200, description = "The hold", body = GateHoldDocument)))]
pub(super) async fn show_hold(
    State(node): State<Arc<Node>>,
    PathOf(hold): PathOf<DecisionId>,
    Reader(language): Reader,
) -> Result<Json<GateHoldDocument>, Fault> {
    Ok(Json(GateHoldDocument::new(&node, &gate_hold::find(&node, hold)?, language)?))
}

/// Lets go what waits for the asker's kind of person. The job goes on when nobody is left whom the hold waits for.
#[utoipa::path(post, path = "/v1/holds/{hold}/release", request_body = HoldDecisionRequest, responses((status = 200, description = "The hold", body = GateHoldDocument)))]
pub(super) async fn release_hold(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    PathOf(hold): PathOf<DecisionId>,
    Reader(language): Reader,
    Document(request): Document<HoldDecisionRequest>,
) -> Result<Json<GateHoldDocument>, Fault> {
    let hold = gate_hold::release(&node, &person, hold, &request.reason).await?;
    Ok(Json(GateHoldDocument::new(&node, &hold, language)?))
}

/// Ends the job instead of letting it go.
#[utoipa::path(post, path = "/v1/holds/{hold}/deny", request_body = HoldDecisionRequest, responses((status = 200, description = "The hold", body = GateHoldDocument)))]
pub(super) async fn deny_hold(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    PathOf(hold): PathOf<DecisionId>,
    Reader(language): Reader,
    Document(request): Document<HoldDecisionRequest>,
) -> Result<Json<GateHoldDocument>, Fault> {
    let hold = gate_hold::deny(&node, &person, hold, &request.reason).await?;
    Ok(Json(GateHoldDocument::new(&node, &hold, language)?))
}
