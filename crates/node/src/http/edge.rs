// SPDX-License-Identifier: Apache-2.0
//! What every request meets first and every response last: the limit of requests at once, the language, problems, counting.

use std::{any::Any, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sta_protocol::refusal::RefusalCode;
use tokio::sync::Semaphore;

use super::{
    problem::{self, Fault},
    router::SUBMISSIONS,
};
use crate::{node::Node, text::Language};

/// How many requests may be on their way at once; the next one is told to come again.
const REQUESTS_MAX: usize = 1024;

/// What the edge needs.
#[derive(Clone)]
pub(super) struct Edge {
    node: Arc<Node>,
    free: Arc<Semaphore>,
}

impl Edge {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, free: Arc::new(Semaphore::new(REQUESTS_MAX)) }
    }
}

/// The outermost layer.
pub(super) async fn edge(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let pattern = request.extensions().get::<MatchedPath>().cloned();
    let language = language(&request);
    request.extensions_mut().insert(language);
    let route = pattern.as_ref().map_or("none", MatchedPath::as_str);
    let _until_answered = (method == Method::POST && route == SUBMISSIONS).then(|| edge.node.rush.enter());
    let response = match edge.free.try_acquire() {
        Ok(_held_until_answered) => next.run(request).await,
        Err(_full) => Fault::No(RefusalCode::Overloaded, Vec::new()).into_response(),
    };
    let mut response = problem::write(response, &edge.node, language);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Answers are for who asked, at the time they asked; only files of the log say otherwise.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    edge.node.metrics.answered(method.as_str(), route, response.status().as_u16(), began.elapsed());
    response
}

fn language(request: &Request) -> Language {
    let header = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    header.map(Language::from_accept_language).unwrap_or_default()
}

/// A panic of a handler is a defect of ours: the request ends with a problem, the node goes on.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Fault::Internal(format!("panic: {}", text.unwrap_or("without a text"))).into_response()
}

/// No route has this path.
pub(super) async fn no_such_path(request: Request) -> Fault {
    let path: String = request.uri().path().chars().take(200).collect();
    Fault::not_found("path", path)
}

/// The path has routes, but none for this method.
pub(super) async fn no_such_method() -> Fault {
    Fault::MethodNotAllowed
}
