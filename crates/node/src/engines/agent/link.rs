// SPDX-License-Identifier: Apache-2.0
//! The agent's way to its node: requests that it dials, each with its token, each answer bounded in time and length.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use sta_protocol::{digest::Sha256Digest, ids::SiteId};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::calls::{
    Batch, DOCUMENT_BYTES_MAX, Hello, PART_BYTES_MAX, POLL_TIME_MAX, Poll, Report, SESSION, Welcome, causes,
};
use crate::outside;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a document may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a part of a file may take.
const PART_TIME_MAX: Duration = Duration::from_secs(120);
/// The header with the length of the whole file, in bytes.
pub const WHOLE: &str = "sta-whole";

/// The way to one node, for one site.
#[derive(Clone)]
pub struct Link {
    http: reqwest::Client,
    base: String,
    token: Zeroizing<String>,
}

/// Why the node did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address is none, or would carry the token in the clear.
    #[error("cannot use the node at `{node}`: {reason}")]
    Address {
        /// The address.
        node: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The node could not be reached, or its answer never came.
    #[error("no answer from the node at {base}: {reason}")]
    NoAnswer {
        /// Whom we called.
        base: String,
        /// What went wrong.
        reason: String,
    },
    /// The node does not know the token.
    #[error(
        "the node at {base} does not know this agent's token: make a new one at the node with `sta agent token`, and put its file where `token_file` says"
    )]
    Token {
        /// Whom we called.
        base: String,
    },
    /// The node said no.
    #[error("the node answered {status}: {said}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The detail of its problem document.
        said: String,
    },
}

impl LinkError {
    /// Whether calling again in the same way is of no use.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Address { .. } | Self::Token { .. } => true,
            Self::Refused { status, .. } => status.is_client_error(),
            Self::NoAnswer { .. } => false,
        }
    }

    /// Whether the node says that it knows of no such session.
    #[must_use]
    pub fn is_session_over(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::CONFLICT, .. })
    }
}

impl Link {
    /// A way to the node at `node` for a site. The token goes only over TLS, or to this very machine.
    ///
    /// # Errors
    /// The address is none, or would carry the token in the clear.
    pub fn new(node: &str, site: &SiteId, token: Zeroizing<String>) -> Result<Self, LinkError> {
        let wrong = |reason: String| LinkError::Address { node: node.to_owned(), reason };
        let url = reqwest::Url::parse(node).map_err(|error| wrong(error.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return Err(wrong("it is not https, and the token would travel in the clear".to_owned()));
        }
        // A redirect, which could carry the token to another machine, it does not follow.
        let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIME_MAX);
        let http = outside::client(builder).map_err(|error| wrong(causes(&error)))?;
        Ok(Self { http, base: format!("{}/agent/v1/sites/{site}", node.trim_end_matches('/')), token })
    }

    /// Begins a session.
    ///
    /// # Errors
    /// The node does not answer, or does not take this agent.
    pub async fn hello(&self, hello: &Hello) -> Result<Welcome, LinkError> {
        self.read(self.post("hello", None, hello)?.timeout(ANSWER_TIME_MAX)).await
    }

    /// Waits for calls.
    ///
    /// # Errors
    /// The node does not answer, or the session is over.
    pub async fn poll(&self, session: Uuid, poll: &Poll) -> Result<Batch, LinkError> {
        self.read(self.post("calls", Some(session), poll)?.timeout(POLL_TIME_MAX * 2)).await
    }

    /// Says what there is to say.
    ///
    /// # Errors
    /// The node does not answer, or the session is over.
    pub async fn report(&self, session: Uuid, report: &Report) -> Result<(), LinkError> {
        self.send(self.post("answers", Some(session), report)?.timeout(ANSWER_TIME_MAX)).await.map(drop)
    }

    /// Sends the part of a file that a call asked for.
    ///
    /// # Errors
    /// The node does not answer, or the session is over.
    pub async fn send_part(&self, session: Uuid, number: u64, part: Bytes) -> Result<(), LinkError> {
        let url = format!("{}/calls/{number}/part", self.base);
        let request = self.http.put(url).header(SESSION, session.to_string()).body(part);
        self.send(request.timeout(PART_TIME_MAX)).await.map(drop)
    }

    /// A part of an input from `offset` on, and the length of the whole.
    ///
    /// # Errors
    /// The node does not answer, or does not offer the file.
    pub async fn input(&self, sha256: Sha256Digest, offset: u64) -> Result<(Bytes, u64), LinkError> {
        let url = format!("{}/inputs/{sha256}?offset={offset}", self.base);
        let response = self.send(self.http.get(url).timeout(PART_TIME_MAX)).await?;
        let whole = response.headers().get(WHOLE).and_then(|value| value.to_str().ok()?.parse().ok());
        let whole = whole.ok_or_else(|| self.no_answer(format!("an answer without `{WHOLE}`")))?;
        Ok((self.body(response, PART_BYTES_MAX).await?, whole))
    }

    fn post(
        &self,
        path: &str,
        session: Option<Uuid>,
        document: &impl Serialize,
    ) -> Result<reqwest::RequestBuilder, LinkError> {
        let body = serde_json::to_vec(document).map_err(|error| self.no_answer(error.to_string()))?;
        let request = self.http.request(Method::POST, format!("{}/{path}", self.base));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        Ok(match session {
            Some(session) => request.header(SESSION, session.to_string()),
            None => request,
        })
    }

    async fn read<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, LinkError> {
        let response = self.send(request).await?;
        let body = self.body(response, DOCUMENT_BYTES_MAX).await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.no_answer(format!("its answer does not read: {error}")))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, LinkError> {
        let request = request.bearer_auth(self.token.as_str());
        let response = request.send().await.map_err(|error| self.no_answer(causes(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            return Err(LinkError::Token { base: self.base.clone() });
        }
        let body = self.body(response, DOCUMENT_BYTES_MAX).await?;
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let said = ["detail", "title"].into_iter().find_map(|name| problem[name].as_str());
        let mut said = said.unwrap_or("without a reason").to_owned();
        said.truncate(said.floor_char_boundary(2000));
        Err(LinkError::Refused { status, said })
    }

    async fn body(&self, mut response: reqwest::Response, bytes_max: usize) -> Result<Bytes, LinkError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(causes(&error)))? {
            if body.len() + chunk.len() > bytes_max {
                return Err(self.no_answer(format!("its answer is longer than {bytes_max} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    fn no_answer(&self, reason: String) -> LinkError {
        LinkError::NoAnswer { base: self.base.clone(), reason }
    }
}
