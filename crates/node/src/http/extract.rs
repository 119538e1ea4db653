// SPDX-License-Identifier: Apache-2.0
//! How handlers get at a request: who asks, and path, query and body with problems as answers to what cannot be read.

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use sta_protocol::refusal::RefusalCode;

use super::{guard::Caller, problem::Fault};
use crate::{
    peers::inbound::PeerRequest,
    store::{jobs::HomeJob, registry::Researcher},
    text::Language,
};

/// The longest JSON body, in bytes.
pub(super) const JSON_BYTES_MAX: usize = 1 << 20;

/// A JSON body.
pub(super) struct Document<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Document<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Fault> {
        let bytes = whole_body(request, JSON_BYTES_MAX).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Fault::malformed("body", error))
    }
}

/// A whole body of at most so many bytes.
pub(super) async fn whole_body(request: Request, bytes_max: usize) -> Result<Bytes, Fault> {
    to_bytes(request.into_body(), bytes_max).await.map_err(|error| {
        let is_too_long = std::error::Error::source(&error)
            .and_then(<dyn std::error::Error>::downcast_ref::<LengthLimitError>)
            .is_some();
        if is_too_long {
            too_large(bytes_max)
        } else {
            Fault::malformed("body", "it ended before it was whole")
        }
    })
}

pub(super) fn too_large(bytes_max: usize) -> Fault {
    Fault::No(RefusalCode::BodyTooLarge, vec![("body.bytes_max", bytes_max.to_string())])
}

/// The variables of the path.
pub(super) struct PathOf<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|rejection| Fault::malformed("path", rejection.body_text()))
    }
}

/// The query.
pub(super) struct QueryOf<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|rejection| Fault::malformed("query", rejection.body_text()))
    }
}

/// The person who asks; for routes that need one.
pub(super) struct Person(pub(super) Researcher);

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        match parts.extensions.get::<Caller>() {
            Some(Caller::Person(researcher)) => Ok(Self(researcher.clone())),
            Some(Caller::Anyone | Caller::Peer(_) | Caller::Agent(_)) | None => Err(not_let_in("person")),
        }
    }
}

/// The member that asks; for routes of the federation.
pub(super) struct Peer(pub(super) PeerRequest);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        match parts.extensions.get::<Caller>() {
            Some(Caller::Peer(request)) => Ok(Self(request.clone())),
            Some(Caller::Anyone | Caller::Person(_) | Caller::Agent(_)) | None => Err(not_let_in("member")),
        }
    }
}

/// The job that the path names, which the guard has looked up to decide; for routes with a right on a job.
#[derive(Clone)]
pub(super) struct Job(pub(super) HomeJob);

impl<S: Send + Sync> FromRequestParts<S> for Job {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        parts.extensions.remove::<Self>().ok_or_else(|| not_let_in("job"))
    }
}

/// A handler that asks for more than its row of the table gives is a defect, and must not be served.
fn not_let_in(what: &str) -> Fault {
    Fault::Internal(format!("a handler asks for a {what} that the right of its route does not bring"))
}

/// The language that the edge has read.
pub(super) struct Reader(pub(super) Language);

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        Ok(Self(parts.extensions.get::<Language>().copied().unwrap_or_default()))
    }
}
