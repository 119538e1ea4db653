// SPDX-License-Identifier: Apache-2.0
//! Orders to stop over HTTP: from the people of this member and from other members, with what became of each.

use std::sync::Arc;

use axum::{Json, extract::State};
use sta_protocol::{
    ids::StopOrderId,
    jws::Signed,
    stop_lift::SignedStopLift,
    stop_order::{SignedStopOrder, StopAcknowledgement},
};

use super::{
    documents::{StopOrderDocument, StopOrderList},
    extract::{Document, PathOf, Peer},
    federation::{TAKEN, Taken},
    problem::Fault,
};
use crate::{
    node::Node,
    steps::{settle, stop_order},
    store::stop_orders as table,
};

/// Lists the orders to stop that this node knows, the newest first.
#[utoipa::path(get, path = "/v1/stop-orders", responses((status = 200, description = "The orders", body = StopOrderList)))]
pub(super) async fn list_stop_orders(State(node): State<Arc<Node>>) -> Result<Json<StopOrderList>, Fault> {
    let (orders, more) = node.store.read(table::list)?;
    let orders = orders.iter().map(|order| StopOrderDocument::new(&node, order)).collect::<Result<_, _>>()?;
    Ok(Json(StopOrderList { orders, more }))
}

/// Takes an order that enough people have signed, has it obeyed here, and sends it to every other member.
#[utoipa::path(post, path = "/v1/stop-orders", request_body(content = Object, content_type = "application/json", description = "The order with its signatures, as `sta stop sign` writes it"), responses((status = 200, description = "The order", body = StopOrderDocument)))]
pub(super) async fn send_stop_order(
    State(node): State<Arc<Node>>,
    Document(order): Document<SignedStopOrder>,
) -> Result<Json<StopOrderDocument>, Fault> {
    let id = stop_order::take(&node, None, order).await?;
    document(&node, id)
}

/// Shows an order, what it has stopped here, and what every site has answered.
#[utoipa::path(get, path = "/v1/stop-orders/{order}", responses((status = 200, description = "The order", body = StopOrderDocument)))]
pub(super) async fn show_stop_order(
    State(node): State<Arc<Node>>,
    PathOf(order): PathOf<StopOrderId>,
) -> Result<Json<StopOrderDocument>, Fault> {
    document(&node, order)
}

/// Lifts an order: what it stopped goes on, here and at every other member.
#[utoipa::path(post, path = "/v1/stop-lifts", request_body(content = Object, content_type = "application/json", description = "The lifting with its signatures, as `sta stop sign` writes it"), responses((status = 200, description = "The order", body = StopOrderDocument)))]
pub(super) async fn lift_stop_order(
    State(node): State<Arc<Node>>,
    Document(lift): Document<SignedStopLift>,
) -> Result<Json<StopOrderDocument>, Fault> {
    let id = stop_order::lift(&node, None, lift).await?;
    document(&node, id)
}

/// Shows the proof that the newest entry about the order is in the witnessed audit log.
#[utoipa::path(get, path = "/v1/stop-orders/{order}/proof", responses((status = 200, description = "C2SP tlog-proof", body = String, content_type = "text/plain")))]
pub(super) async fn show_stop_order_proof(
    State(node): State<Arc<Node>>,
    PathOf(order): PathOf<StopOrderId>,
) -> Result<String, Fault> {
    Ok(settle::stop_order_proof(&node, order)?)
}

fn document(node: &Node, id: StopOrderId) -> Result<Json<StopOrderDocument>, Fault> {
    Ok(Json(StopOrderDocument::new(node, &stop_order::find(node, id)?)?))
}

/// Takes an order of another member, or one that it brings.
#[utoipa::path(post, path = "/federation/v1/stop-orders", request_body(content = Object, content_type = "application/json", description = "The order with its signatures"), responses((status = 200, description = "Taken", body = Taken)))]
pub(super) async fn take_stop_order(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(order): Document<SignedStopOrder>,
) -> Result<Json<Taken>, Fault> {
    stop_order::take(&node, Some(&peer.member), order).await?;
    Ok(TAKEN)
}

/// Takes the lifting of an order.
#[utoipa::path(post, path = "/federation/v1/stop-lifts", request_body(content = Object, content_type = "application/json", description = "The lifting with its signatures"), responses((status = 200, description = "Taken", body = Taken)))]
pub(super) async fn take_stop_lift(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(lift): Document<SignedStopLift>,
) -> Result<Json<Taken>, Fault> {
    stop_order::lift(&node, Some(&peer.member), lift).await?;
    Ok(TAKEN)
}

/// Takes a site's answer to an order.
#[utoipa::path(post, path = "/federation/v1/stop-acknowledgements", request_body(content = String, content_type = "application/json", description = "`sta-stop-acknowledgement+jws` as a JSON string"), responses((status = 200, description = "Taken", body = Taken)))]
pub(super) async fn take_stop_acknowledgement(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(answer): Document<Signed<StopAcknowledgement>>,
) -> Result<Json<Taken>, Fault> {
    stop_order::take_acknowledgement(&node, &peer.member, answer).await?;
    Ok(TAKEN)
}
