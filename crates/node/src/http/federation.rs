// SPDX-License-Identifier: Apache-2.0
//! What another member may ask: each route hands a verified request to its step.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{DatasetRecord, Offer, OfferAnswer, Progress, Withdrawal, WithdrawalAnswer},
    ids::{DatasetId, JobId},
    jws::Signed,
    take_back::{TakeBack, TakeBackAnswer},
};

use super::{
    extract::{Document, PathOf, Peer, QueryOf},
    jobs::{LogQuery, log_response, stream_named},
    problem::Fault,
    ranges,
    statements::check_period,
};
use crate::{
    node::Node,
    peers::reports::{self, SiteReport},
    steps::{
        admit, cancel,
        deliver::{self, FilePart},
        hand_back, run,
        settle::{self, ReceiptDelivery},
        transfer::{self, TransferRequest},
    },
    store::registry as table,
    worker::beside,
};

/// An answer without a content: the member now knows that it has been taken.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct Taken {
    /// Always true.
    taken: bool,
}

pub(super) const TAKEN: Json<Taken> = Json(Taken { taken: true });

/// Takes an offer to run a job here, and answers it: an admission, or the refusals.
#[utoipa::path(post, path = "/federation/v1/offers", request_body(content = String, content_type = "application/json", description = "`sta-offer+jws` as a JSON string"), responses((status = 200, description = "`{\"admitted\": \"<sta-admission+jws>\"}` or `{\"refused\": [...]}`", body = Object)))]
pub(super) async fn take_offer(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(offer): Document<Signed<Offer>>,
) -> Result<Json<OfferAnswer>, Fault> {
    Ok(Json(admit::admit_offer(&node, &peer.member, offer).await?))
}

/// Takes an offer or a job back.
#[utoipa::path(post, path = "/federation/v1/withdrawals", request_body(content = String, content_type = "application/json", description = "`sta-withdrawal+jws` as a JSON string"), responses((status = 200, description = "`never_admitted` or `receipt_follows`", body = String)))]
pub(super) async fn take_withdrawal(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(withdrawal): Document<Signed<Withdrawal>>,
) -> Result<Json<WithdrawalAnswer>, Fault> {
    Ok(Json(cancel::receive_withdrawal(&node, &peer.member, withdrawal).await?))
}

/// Gives a job back that waits here, to go on elsewhere.
#[utoipa::path(post, path = "/federation/v1/take-backs", request_body(content = String, content_type = "application/json", description = "`sta-take-back+jws` as a JSON string"), responses((status = 200, description = "`taken`, `begun`, or `{\"stays\": [...]}`", body = Object)))]
pub(super) async fn take_take_back(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(asked): Document<Signed<TakeBack>>,
) -> Result<Json<TakeBackAnswer>, Fault> {
    Ok(Json(hand_back::receive_take_back(&node, &peer.member, asked).await?))
}

/// Learns that a job has begun.
#[utoipa::path(post, path = "/federation/v1/progress", request_body(content = String, content_type = "application/json", description = "`sta-progress+jws` as a JSON string"), responses((status = 200, description = "Taken", body = Taken)))]
pub(super) async fn take_progress(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(progress): Document<Signed<Progress>>,
) -> Result<Json<Taken>, Fault> {
    run::receive_progress(&node, &peer.member, progress).await?;
    Ok(TAKEN)
}

/// Takes the host's account of a job.
#[utoipa::path(post, path = "/federation/v1/receipts", request_body(content = Object, content_type = "application/json", description = "`{\"receipt\": \"<sta-receipt+jws>\", \"admission\": \"<sta-admission+jws>\"}`"), responses((status = 200, description = "Taken", body = Taken)))]
pub(super) async fn take_receipt(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(delivery): Document<ReceiptDelivery>,
) -> Result<Json<Taken>, Fault> {
    settle::receive_receipt(&node, &peer.member, delivery).await?;
    Ok(TAKEN)
}

/// Decides whether the host of a job may have its files.
#[utoipa::path(post, path = "/federation/v1/transfers", request_body(content = Object, content_type = "application/json", description = "`{\"offer\": \"<sta-offer+jws>\", \"admission\": \"<sta-admission+jws>\"}`"), responses((status = 200, description = "It may", body = Taken)))]
pub(super) async fn grant_transfer(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    Document(request): Document<TransferRequest>,
) -> Result<Json<Taken>, Fault> {
    transfer::grant(&node, &peer.member, request).await?;
    Ok(TAKEN)
}

/// Reads a granted file, at most 8 MiB a range.
#[utoipa::path(get, path = "/federation/v1/transfers/{job}/{sha256}", responses((status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"), (status = 206, description = "A range of it", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn read_transfer(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    path: PathOf<(JobId, Sha256Digest)>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let PathOf((job, sha256)) = path;
    let (wanted, offset, length) = ranges::bounded(&headers);
    let reading = Arc::clone(&node);
    let read = move || transfer::read(&reading, &peer.member, job, sha256, offset, length);
    serve_part(&node, wanted, beside(length as u64, read).await?)
}

fn serve_part(node: &Node, wanted: ranges::Wanted, part: FilePart) -> Result<Response, Fault> {
    node.metrics.file_bytes_served.inc_by(part.bytes.len() as u64);
    ranges::part_for_member(wanted, part)
}

/// Reads an output of the member's own job, at most 8 MiB a range; what is held is refused.
#[utoipa::path(get, path = "/federation/v1/jobs/{job}/outputs/{name}", responses((status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"), (status = 206, description = "A range of it", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn read_output(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    path: PathOf<(JobId, String)>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let PathOf((job, name)) = path;
    let (wanted, offset, length) = ranges::bounded(&headers);
    let sha256 = deliver::output_may_leave(&node, &peer.member, job, &name).await?;
    let reading = Arc::clone(&node);
    let read = move || FilePart::read(&reading, sha256, offset, length);
    serve_part(&node, wanted, beside(length as u64, read).await?)
}

/// Reads on in what the member's own job writes.
#[utoipa::path(get, path = "/federation/v1/jobs/{job}/logs/{stream}", params(LogQuery), responses((status = 200, description = "At most 1 MiB from the offset on; `sta-log-end` says whether nothing follows", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn read_log(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    path: PathOf<(JobId, String)>,
    QueryOf(query): QueryOf<LogQuery>,
) -> Result<Response, Fault> {
    let PathOf((job, stream)) = path;
    let part = query.of(stream_named(&stream)?);
    let chunk = deliver::logs_for_peer(&node, &peer.member, job, part).await?;
    Ok(log_response(chunk))
}

/// The digest of a statement.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct StatementDigest {
    /// SHA-256 of the statement's canonical JSON.
    #[schema(value_type = String)]
    digest: Sha256Digest,
}

/// Shows the digest of this node's statement with the asking member.
#[utoipa::path(get, path = "/federation/v1/statements/{period}", responses((status = 200, description = "The digest", body = StatementDigest)))]
pub(super) async fn show_statement_digest(
    State(node): State<Arc<Node>>,
    Peer(peer): Peer,
    PathOf(period): PathOf<String>,
) -> Result<Json<StatementDigest>, Fault> {
    check_period(&period)?;
    let statement = settle::statement(&node, &period, &peer.member)?;
    Ok(Json(StatementDigest { digest: settle::statement_digest(&statement)? }))
}

/// Shows the record of a dataset of this member.
#[utoipa::path(get, path = "/federation/v1/datasets/{name}", responses((status = 200, description = "`sta-dataset+jws` as a JSON string", body = String, content_type = "application/json")))]
pub(super) async fn show_dataset(
    State(node): State<Arc<Node>>,
    _asker: Peer,
    PathOf(name): PathOf<String>,
) -> Result<Json<Signed<DatasetRecord>>, Fault> {
    let id: DatasetId =
        format!("{}/{name}", node.member()).parse().map_err(|error| Fault::malformed("dataset", error))?;
    let signed = node.store.read(|connection| table::dataset(connection, &id))?;
    signed.map(Json).ok_or_else(|| Fault::not_found("dataset", id))
}

/// Shows the load of this node's sites.
#[utoipa::path(get, path = "/federation/v1/sites", responses((status = 200, description = "One report a site", body = Vec<Object>)))]
pub(super) async fn show_sites(
    State(node): State<Arc<Node>>,
    _asker: Peer,
) -> Result<Json<Vec<SiteReport>>, Fault> {
    Ok(Json(reports::own_reports(&node)?))
}
