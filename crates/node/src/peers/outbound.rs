// SPDX-License-Identifier: Apache-2.0
//! Calls to other members: signed requests, and answers believed only when they are signed and answer that request.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sta_protocol::{
    digest::Sha256Digest,
    http_signature::{self, ReceivedResponse, RequestToSign, SignatureRefused, Signer},
    ids::MemberId,
    refusal::Refusal,
    treaty::Member,
};
use uuid::Uuid;

use super::distance::SHORT_BYTES_MAX;
use crate::{node::Node, outside::TransportError};

/// How far a peer's clock may be from ours, in seconds.
pub const SKEW_SECONDS_MAX: u32 = 5;
/// The media type of JSON bodies.
pub const JSON: &str = "application/json";

/// Why a call to a peer brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer: whether the peer did it is unknown, so the same call is to be made again.
    #[error(transparent)]
    NoAnswer(#[from] TransportError),
    /// An answer that is not the peer's, or not to our request.
    #[error("the answer of `{member}` cannot be believed")]
    Unbelievable {
        /// Who was asked.
        member: MemberId,
        /// What is wrong with its signature.
        source: SignatureRefused,
    },
    /// The peer says no, with reasons.
    #[error("`{member}` refuses with status {status}: {}", rules(refusals))]
    Refused {
        /// Who was asked.
        member: MemberId,
        /// HTTP status.
        status: StatusCode,
        /// Why.
        refusals: Vec<Refusal>,
    },
    /// The peer failed, or answered what nobody understands.
    #[error("`{member}` answered {status}: {problem}")]
    Strange {
        /// Who was asked.
        member: MemberId,
        /// HTTP status.
        status: StatusCode,
        /// What is strange about it.
        problem: String,
    },
    /// The call cannot even be made.
    #[error("the call to `{member}` cannot be made: {problem}")]
    Impossible {
        /// Whom we meant to ask.
        member: MemberId,
        /// Why not.
        problem: String,
    },
}

fn rules(refusals: &[Refusal]) -> String {
    refusals.iter().map(|refusal| refusal.rule.as_str()).collect::<Vec<_>>().join(", ")
}

/// A call to be made.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// GET or POST.
    pub method: Method,
    /// Path and query on the peer's node.
    pub path: &'a str,
    /// The same at every attempt.
    pub idempotency_key: Uuid,
    /// JSON body; empty for GET.
    pub body: Vec<u8>,
    /// First and last byte asked for, of a file.
    pub range: Option<(u64, u64)>,
}

/// An answer that the peer signed for our request.
#[derive(Debug)]
pub struct Answered {
    /// HTTP status, 200 to 299.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// SHA-256 of the body, as the peer signed it. The body has it, unless this is part of a file: that is for its receiver to
    /// see, who hashes the file as a whole anyway.
    pub body_sha256: Sha256Digest,
}

/// Signs calls as this node's member.
pub struct Outbound<'a> {
    node: &'a Node,
}

impl<'a> Outbound<'a> {
    /// A client of this node.
    #[must_use]
    pub fn new(node: &'a Node) -> Self {
        Self { node }
    }

    /// Sends a JSON document and reads the JSON answer.
    ///
    /// # Errors
    /// As [`Outbound::call`], and an answer that does not parse.
    pub async fn post<T: serde::de::DeserializeOwned>(
        &self,
        member: &MemberId,
        path: &str,
        idempotency_key: Uuid,
        body: &(impl serde::Serialize + Sync),
    ) -> Result<T, CallError> {
        let impossible = |error: serde_json::Error| CallError::Impossible {
            member: member.clone(),
            problem: error.to_string(),
        };
        let body = serde_json::to_vec(body).map_err(impossible)?;
        let call = Call { method: Method::POST, path, idempotency_key, body, range: None };
        let answer = self.call(member, &call).await?;
        serde_json::from_slice(&answer.body).map_err(|error| CallError::Strange {
            member: member.clone(),
            status: answer.status,
            problem: error.to_string(),
        })
    }

    /// Sends a JSON document whose arrival is all that matters.
    ///
    /// # Errors
    /// As [`Outbound::call`].
    pub async fn tell(
        &self,
        member: &MemberId,
        path: &str,
        idempotency_key: Uuid,
        body: &(impl serde::Serialize + Sync),
    ) -> Result<(), CallError> {
        self.post::<serde::de::IgnoredAny>(member, path, idempotency_key, body).await.map(|_anything| ())
    }

    /// Asks for something and reads the whole answer, at most `range` of it: of a part the body is not compared with its digest.
    ///
    /// # Errors
    /// As [`Outbound::call`].
    pub async fn get(
        &self,
        member: &MemberId,
        path: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Answered, CallError> {
        let idempotency_key = uuid::Builder::from_unix_timestamp_millis(
            self.node.outside.now_ms(),
            &self.node.outside.random(),
        )
        .into_uuid();
        self.call(member, &Call { method: Method::GET, path, idempotency_key, body: Vec::new(), range }).await
    }

    /// Makes one signed call.
    ///
    /// # Errors
    /// No answer, an answer that cannot be believed, or a no.
    pub async fn call(&self, member: &MemberId, call: &Call<'_>) -> Result<Answered, CallError> {
        let impossible = |problem: String| CallError::Impossible { member: member.clone(), problem };
        let peer = self
            .node
            .treaty
            .member(member)
            .ok_or_else(|| impossible("the treaty has no such member".to_owned()))?;
        let (request, signature) = self.sign(peer, call).map_err(impossible)?;
        let asked = tokio::time::Instant::now();
        let response = self.node.outside.transport.send(request).await?;
        if call.body.len().max(response.body().len()) <= SHORT_BYTES_MAX {
            self.node.distances.note(member, asked.elapsed());
        }
        let key = |key_id: &str| (peer.keys.signing.key_id() == key_id).then_some(peer.keys.signing);
        let received = ReceivedResponse {
            status: response.status(),
            headers: response.headers(),
            body: response.body(),
        };
        let now = self.node.outside.now();
        let is_part = call.range.is_some() && response.status() == StatusCode::PARTIAL_CONTENT;
        let verified = if is_part {
            http_signature::verify_response_head(&received, &signature, key, now, SKEW_SECONDS_MAX)
        } else {
            http_signature::verify_response(&received, &signature, key, now, SKEW_SECONDS_MAX)
        };
        let verified = verified.map_err(|source| unsigned_answer(member, &response, source))?;
        judge(member, response, verified.body)
    }

    fn sign(&self, peer: &Member, call: &Call<'_>) -> Result<(http::Request<Bytes>, [u8; 64]), String> {
        let target_uri = format!("{}{}", peer.url, call.path);
        let key_id = self.node.keys.signing.key_id();
        let signer = Signer {
            key: &self.node.keys.signing,
            key_id: &key_id,
            created: self.node.outside.now(),
            nonce: self.node.outside.random(),
        };
        let to_sign = RequestToSign {
            method: &call.method,
            target_uri: &target_uri,
            content_type: if call.body.is_empty() { http_signature::NO_CONTENT_TYPE } else { JSON },
            idempotency_key: call.idempotency_key,
            treaty: self.node.treaty_digest(),
            body: &call.body,
        };
        let signed = http_signature::sign_request(&signer, &to_sign).map_err(|error| error.to_string())?;
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(&target_uri)
            .body(Bytes::from(call.body.clone()))
            .map_err(|error| error.to_string())?;
        *request.headers_mut() = signed.headers;
        if let Some((first, last)) = call.range {
            let range =
                HeaderValue::from_str(&format!("bytes={first}-{last}")).map_err(|error| error.to_string())?;
            request.headers_mut().insert(header::RANGE, range);
        }
        Ok((request, signed.signature))
    }
}

/// A proxy's error page or a peer that does not know our key answers without a signature: say what came.
fn unsigned_answer(
    member: &MemberId,
    response: &http::Response<Bytes>,
    source: SignatureRefused,
) -> CallError {
    if response.status().is_success() {
        return CallError::Unbelievable { member: member.clone(), source };
    }
    let text = String::from_utf8_lossy(response.body());
    let problem = format!("without a signature: {}", text.chars().take(200).collect::<String>());
    CallError::Strange { member: member.clone(), status: response.status(), problem }
}

fn judge(
    member: &MemberId,
    response: http::Response<Bytes>,
    body_sha256: Sha256Digest,
) -> Result<Answered, CallError> {
    let status = response.status();
    let (parts, body) = response.into_parts();
    if status.is_success() {
        return Ok(Answered { status, headers: parts.headers, body, body_sha256 });
    }
    #[derive(serde::Deserialize)]
    struct Problem {
        reasons: Vec<Refusal>,
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) if !problem.reasons.is_empty() && !status.is_server_error() => {
            Err(CallError::Refused { member: member.clone(), status, refusals: problem.reasons })
        }
        Ok(_) | Err(_) => {
            let problem = String::from_utf8_lossy(&body).chars().take(200).collect();
            Err(CallError::Strange { member: member.clone(), status, problem })
        }
    }
}
