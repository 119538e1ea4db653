// SPDX-License-Identifier: Apache-2.0
//! The routes of the federation: each request is a member's, each answer is signed for it, and one idempotency key has one answer.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sta_protocol::{
    digest::Sha256Digest,
    http_signature::{NO_CONTENT_TYPE, ResponseHead, Signer, sign_response_head},
    refusal::RefusalCode,
};

use super::{
    extract::{JSON_BYTES_MAX, whole_body},
    guard::Caller,
    problem::{self, Fault},
    ranges::KnownBody,
};
use crate::{
    node::Node,
    peers::inbound::{self, PeerRequest, Unverified},
    store::{
        StoreError,
        peers::{self, Answer},
    },
    text::Language,
};

/// The longest request of a member, in bytes: a transfer shows an offer and an admission.
const REQUEST_BYTES_MAX: usize = 4 * JSON_BYTES_MAX;
/// The longest answer to a member, in bytes; it is signed as a whole.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Answers a request of another member.
pub(super) async fn answer(node: &Node, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = match whole_body(Request::new(body), REQUEST_BYTES_MAX).await {
        Ok(body) => body,
        Err(fault) => return fault.into_response(),
    };
    let peer = match inbound::verify(node, &parts, &body) {
        Ok(peer) => peer,
        Err(unverified) => return refuse(node, unverified).await,
    };
    let repeatable = parts.method == Method::POST;
    let earlier = if repeatable { earlier_answer(node, &peer) } else { Ok(None) };
    let response = match earlier {
        Ok(Some(response)) => response,
        Ok(None) => {
            parts.extensions.insert(Caller::Peer(peer.clone()));
            let response = next.run(Request::from_parts(parts, Body::from(body))).await;
            keep(node, &peer, repeatable, problem::write(response, node, Language::En)).await
        }
        Err(fault) => fault.into_response(),
    };
    sign(node, response, &peer.signature).await
}

/// A stranger learns the reason without our signature, a member with it.
async fn refuse(node: &Node, unverified: Box<Unverified>) -> Response {
    tracing::info!(rule = %unverified.refusal.rule, facts = %unverified.refusal.fact_line(), "a signed request is not taken");
    let Unverified { refusal, sign_anew, signature } = *unverified;
    let fault = if sign_anew { Fault::RefusedForNow(refusal) } else { Fault::Refused(vec![refusal]) };
    match signature {
        Some(signature) => sign(node, fault.into_response(), &signature).await,
        None => problem::write(fault.into_response(), node, Language::En),
    }
}

/// What the same request was answered before.
fn earlier_answer(node: &Node, peer: &PeerRequest) -> Result<Option<Response>, Fault> {
    let key = peer.idempotency_key.to_string();
    let kept = node.store.read(|connection| peers::answer(connection, &peer.member, &key))?;
    let Some(kept) = kept else { return Ok(None) };
    if kept.request_sha256 != peer.request_sha256 {
        return Err(Fault::No(RefusalCode::IdempotencyKeyReused, vec![("idempotency_key", key)]));
    }
    let status = StatusCode::from_u16(kept.status).map_err(|error| Fault::internal("kept answer", &error))?;
    let content_type =
        HeaderValue::try_from(kept.content_type).map_err(|error| Fault::internal("kept answer", &error))?;
    Ok(Some((status, [(header::CONTENT_TYPE, content_type)], kept.body).into_response()))
}

/// Keeps the answer to a call that may be repeated. A failure of ours is no answer: the call is to be made again.
async fn keep(node: &Node, peer: &PeerRequest, repeatable: bool, response: Response) -> Response {
    if !repeatable || response.status().is_server_error() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = match read_answer(body).await {
        Ok(body) => body,
        Err(fault) => return fault.into_response(),
    };
    let answer = Answer {
        request_sha256: peer.request_sha256,
        status: parts.status.as_u16(),
        content_type: content_type(parts.headers.get(header::CONTENT_TYPE)),
        body: body.to_vec(),
    };
    let (member, key, now) = (peer.member.clone(), peer.idempotency_key.to_string(), node.outside.now());
    let kept: Result<(), StoreError> =
        node.store.write(move |tx| peers::keep_answer(tx, &member, &key, &answer, now)).await;
    // Steps may be repeated without a second effect, so an answer that is not kept costs only the work again.
    if let Err(error) = kept {
        tracing::warn!(%error, key = %peer.idempotency_key, "an answer to a member is not kept");
    }
    Response::from_parts(parts, Body::from(body))
}

async fn read_answer(body: Body) -> Result<Bytes, Fault> {
    to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|error| Fault::internal("read an answer", &error))
}

fn content_type(header: Option<&HeaderValue>) -> String {
    header.and_then(|value| value.to_str().ok()).unwrap_or(NO_CONTENT_TYPE).to_owned()
}

/// Signs an answer for the request that it answers.
async fn sign(node: &Node, response: Response, request_signature: &[u8; 64]) -> Response {
    let (mut parts, mut body) = problem::write(response, node, Language::En).into_parts();
    let sha256 = match parts.extensions.remove::<KnownBody>() {
        Some(KnownBody(sha256)) => sha256,
        None => match read_answer(body).await {
            Ok(read) => {
                let sha256 = Sha256Digest::of(&read);
                body = Body::from(read);
                sha256
            }
            Err(fault) => return fault.into_response(),
        },
    };
    let key_id = node.keys.signing.key_id();
    let signer = Signer {
        key: &node.keys.signing,
        key_id: &key_id,
        created: node.outside.now(),
        nonce: node.outside.random(),
    };
    let content_type = content_type(parts.headers.get(header::CONTENT_TYPE));
    let head =
        ResponseHead { status: parts.status, content_type: &content_type, body: sha256, request_signature };
    match sign_response_head(&signer, &head) {
        Ok(signed) => {
            for (name, value) in &signed.headers {
                parts.headers.insert(name.clone(), value.clone());
            }
            Response::from_parts(parts, body)
        }
        Err(error) => Fault::internal("sign an answer", &error).into_response(),
    }
}
