// SPDX-License-Identifier: Apache-2.0
//! What agents of sites ask: they begin a session, wait for calls, answer them, and read the inputs of jobs that were handed to them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};
use sta_protocol::{digest::Sha256Digest, ids::SiteId, refusal::RefusalCode};
use uuid::Uuid;

use super::{
    extract::{PathOf, QueryOf, whole_body},
    guard::Caller,
    problem::Fault,
};
use crate::{
    engines::agent::{
        AgentEngine, HelloError, SessionOver,
        calls::{
            Batch, DOCUMENT_BYTES_MAX, Hello, PART_BYTES_MAX, POLL_TIME_MAX, Poll, Report, SESSION, Welcome,
        },
        link::WHOLE,
        token,
    },
    node::Node,
    store::blobs::read_range,
};

/// The site whose agent asks.
pub(super) struct OfSite(SiteId);

impl<S: Send + Sync> FromRequestParts<S> for OfSite {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        match parts.extensions.get::<Caller>() {
            Some(Caller::Agent(site)) => Ok(Self(site.clone())),
            Some(Caller::Anyone | Caller::Person(_) | Caller::Peer(_)) | None => Err(Fault::Internal(
                "a handler asks for an agent that the right of its route does not bring".to_owned(),
            )),
        }
    }
}

/// The session that a request belongs to.
pub(super) struct InSession(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for InSession {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        let session = parts.headers.get(SESSION).and_then(|value| value.to_str().ok()?.parse().ok());
        session.map(Self).ok_or_else(|| Fault::malformed(SESSION, "must be the session that `hello` gave"))
    }
}

/// Which part of an input.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    offset: u64,
}

/// Begins a session: an earlier one is over.
#[utoipa::path(post, path = "/agent/v1/sites/{site}/hello", request_body = Object, responses((status = 200, description = "The session", body = Object)))]
pub(super) async fn begin(
    State(node): State<Arc<Node>>,
    OfSite(site): OfSite,
    request: Request,
) -> Result<Json<Welcome>, Fault> {
    let engine = engine(&node, &site)?;
    let hello: Hello = document(request).await?;
    let session = Uuid::from_bytes(node.outside.random());
    let shown = token::expected(&node.config.directory, &site);
    engine.hello(hello, shown, session).map_err(|error| match error {
        HelloError::Keep(error) => Fault::internal("keep what an agent says", &error),
        HelloError::Version { .. } | HelloError::Another => conflict(&site, &error),
    })?;
    tracing::info!(%site, "an agent has begun a session");
    Ok(Json(Welcome { session }))
}

/// Waits for calls, for a bounded time; none is an answer too.
#[utoipa::path(post, path = "/agent/v1/sites/{site}/calls", request_body = Object, responses((status = 200, description = "Calls of the engine's methods", body = Object)))]
pub(super) async fn take_calls(
    State(node): State<Arc<Node>>,
    OfSite(site): OfSite,
    InSession(session): InSession,
    request: Request,
) -> Result<Json<Batch>, Fault> {
    let engine = engine(&node, &site)?;
    let poll: Poll = document(request).await?;
    let batch = tokio::select! {
        batch = engine.calls(session, &poll) => batch.map_err(|over| conflict(&site, &over))?,
        // Less when the node is to end.
        _running = node.pause(POLL_TIME_MAX) => Batch::default(),
    };
    Ok(Json(batch))
}

/// Takes answers to calls, and which jobs may have moved on.
#[utoipa::path(post, path = "/agent/v1/sites/{site}/answers", request_body = Object, responses((status = 204, description = "They are taken")))]
pub(super) async fn take_answers(
    State(node): State<Arc<Node>>,
    OfSite(site): OfSite,
    InSession(session): InSession,
    request: Request,
) -> Result<StatusCode, Fault> {
    let engine = engine(&node, &site)?;
    let report: Report = document(request).await?;
    engine.report(session, report).map_err(|over| conflict(&site, &over))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the part of an output that a call asked for.
#[utoipa::path(put, path = "/agent/v1/sites/{site}/calls/{call}/part", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 204, description = "It is taken")))]
pub(super) async fn take_part(
    State(node): State<Arc<Node>>,
    OfSite(site): OfSite,
    InSession(session): InSession,
    PathOf(path): PathOf<(SiteId, u64)>,
    request: Request,
) -> Result<StatusCode, Fault> {
    let engine = engine(&node, &site)?;
    let part = whole_body(request, PART_BYTES_MAX).await?;
    engine.take_part(session, path.1, part).map_err(|SessionOver| conflict(&site, &SessionOver))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a part of an input of a job that was handed to the agent; `sta-whole` says how long the whole is.
#[utoipa::path(get, path = "/agent/v1/sites/{site}/inputs/{sha256}", params(("offset" = Option<u64>, Query, description = "The first byte")), responses((status = 200, description = "Bytes from the offset on", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn read_input(
    State(node): State<Arc<Node>>,
    OfSite(site): OfSite,
    PathOf(path): PathOf<(SiteId, Sha256Digest)>,
    QueryOf(part): QueryOf<From>,
) -> Result<Response, Fault> {
    let missing = || Fault::not_found("sha256", path.1);
    let file = engine(&node, &site)?.input(path.1).ok_or_else(missing)?;
    let read = tokio::task::spawn_blocking(move || read_range(&file, part.offset, PART_BYTES_MAX)).await;
    let (bytes, whole) = read.map_err(|error| Fault::internal("read an input", &error))??;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let mut response = ([kind], bytes).into_response();
    response.headers_mut().insert(WHOLE, HeaderValue::from(whole));
    Ok(response)
}

fn engine<'a>(node: &'a Node, site: &SiteId) -> Result<&'a AgentEngine, Fault> {
    node.agent(site).ok_or_else(|| Fault::not_found("site", site))
}

async fn document<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let bytes = whole_body(request, DOCUMENT_BYTES_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|error| Fault::malformed("body", error))
}

fn conflict(site: &SiteId, error: &dyn std::error::Error) -> Fault {
    Fault::No(RefusalCode::Conflict, vec![("site", site.to_string()), ("problem", error.to_string())])
}
