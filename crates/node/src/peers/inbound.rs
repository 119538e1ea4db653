// SPDX-License-Identifier: Apache-2.0
//! Requests of other members: whose they are, that they are fresh, for this node and under the same treaty.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::request::Parts;
use jiff::Timestamp;
use sta_protocol::{
    digest::Sha256Digest,
    http_signature::{
        LIFETIME_SECONDS_MAX, ReceivedRequest, SignatureRefused, VerifiedRequest, verify_request,
    },
    ids::MemberId,
    refusal::{Refusal, RefusalCode},
};
use uuid::Uuid;

use super::outbound::SKEW_SECONDS_MAX;
use crate::node::Node;

/// How many signed requests are remembered; each for at most 65 seconds. More than a thousand a second are not peers.
const SEEN_MAX: usize = 1 << 17;

/// A request that a member signed for this node, not seen before.
#[derive(Debug, Clone)]
pub struct PeerRequest {
    /// Who asks.
    pub member: MemberId,
    /// The same for each repetition of the same call.
    pub idempotency_key: Uuid,
    /// Digest of method, target and body: what the idempotency key stands for.
    pub request_sha256: Sha256Digest,
    /// The request's signature, which the answer covers.
    pub signature: [u8; 64],
}

/// A request that is not taken.
#[derive(Debug, Clone)]
pub struct Unverified {
    /// Why.
    pub refusal: Refusal,
    /// Whether the same request, signed anew, would be taken.
    pub sign_anew: bool,
    /// The request's signature where it is a member's beyond doubt, so that the refusal can be signed for it.
    pub signature: Option<[u8; 64]>,
}

/// Verifies a request of another member. The target is this node's address in the treaty with the path and query that
/// came, never the header `Host`.
///
/// # Errors
/// The first reason for which it is not taken.
pub fn verify(node: &Node, parts: &Parts, body: &[u8]) -> Result<PeerRequest, Box<Unverified>> {
    let verified = match verify_for(node, &node.own_terms().url, parts, body) {
        Ok(verified) => verified,
        Err(refused) => return Err(Box::new(signature_refused(node, parts, body, &refused))),
    };
    let no = |code, facts: [(&str, String); 1], sign_anew| {
        let refusal = Refusal::new(code, node.member(), facts);
        Err(Box::new(Unverified { refusal, sign_anew, signature: Some(verified.signature) }))
    };
    match node.replays.remember(&verified, node.outside.now()) {
        Freshness::Fresh => {}
        Freshness::Seen => {
            return no(RefusalCode::Replayed, [("signature.created", verified.created.to_string())], false);
        }
        Freshness::BeforeStart => {
            return no(
                RefusalCode::Replayed,
                [("node.started_at", node.replays.started_at.to_string())],
                true,
            );
        }
        Freshness::Full => {
            return no(RefusalCode::Overloaded, [("signatures.remembered", SEEN_MAX.to_string())], true);
        }
    }
    if verified.treaty != node.treaty_digest() {
        return no(RefusalCode::TreatyDiffers, [("treaty.theirs", verified.treaty.to_string())], false);
    }
    let Some((member, _)) = node.treaty.signing_key(&verified.key_id) else {
        return no(RefusalCode::SignatureKeyUnknown, [("signature.keyid", verified.key_id.clone())], false);
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    Ok(PeerRequest {
        member: member.id.clone(),
        idempotency_key: verified.idempotency_key,
        request_sha256: Sha256Digest::of(format!("{} {target}\n{}", parts.method, verified.body).as_bytes()),
        signature: verified.signature,
    })
}

fn verify_for(
    node: &Node,
    url: &str,
    parts: &Parts,
    body: &[u8],
) -> Result<VerifiedRequest, SignatureRefused> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let target_uri = format!("{url}{target}");
    let received =
        ReceivedRequest { method: &parts.method, target_uri: &target_uri, headers: &parts.headers, body };
    let key = |key_id: &str| {
        let peer = node.peers().find(|member| member.keys.signing.key_id() == key_id);
        peer.map(|member| member.keys.signing)
    };
    verify_request(&received, key, node.outside.now(), SKEW_SECONDS_MAX)
}

/// Names the reason of the public list, and looks whether a signature that does not fit was made for another member's node.
fn signature_refused(node: &Node, parts: &Parts, body: &[u8], refused: &SignatureRefused) -> Unverified {
    let (code, proven) = code_of(refused);
    let mut unverified = Unverified {
        refusal: Refusal::new(code, node.member(), [("problem", refused.to_string())]),
        sign_anew: false,
        signature: if proven { signature(parts) } else { None },
    };
    if code == RefusalCode::SignatureWrong {
        let fits = |url: &str| {
            !matches!(verify_for(node, url, parts, body), Err(SignatureRefused::BadSignature { .. }))
        };
        if let Some(meant) = node.peers().find(|member| fits(&member.url)) {
            let facts = [("addressed.to", meant.id.to_string()), ("node.url", node.own_terms().url.clone())];
            unverified.refusal = Refusal::new(RefusalCode::WronglyAddressed, node.member(), facts);
            unverified.signature = signature(parts);
        }
    }
    unverified
}

/// The code of the public list, and whether the signature was proven to be a member's before the request was refused:
/// the protocol looks at clock and body only after that.
fn code_of(refused: &SignatureRefused) -> (RefusalCode, bool) {
    match refused {
        SignatureRefused::MissingHeader { .. } | SignatureRefused::WrongComponents { .. } => {
            (RefusalCode::SignatureMissing, false)
        }
        SignatureRefused::RepeatedHeader { .. }
        | SignatureRefused::Malformed { .. }
        | SignatureRefused::DuplicateLabel { .. }
        | SignatureRefused::UnknownLabel { .. }
        | SignatureRefused::WrongParameter { .. }
        | SignatureRefused::WrongAlgorithm { .. }
        | SignatureRefused::WrongTag { .. } => (RefusalCode::SignatureMalformed, false),
        SignatureRefused::LifetimeNotAllowed { .. } => (RefusalCode::SignatureMalformed, true),
        SignatureRefused::UnknownKey { .. } => (RefusalCode::SignatureKeyUnknown, false),
        SignatureRefused::BadSignature { .. } => (RefusalCode::SignatureWrong, false),
        SignatureRefused::CreatedInFuture { .. } => (RefusalCode::ClockSkewed, true),
        SignatureRefused::Expired { .. } => (RefusalCode::SignatureExpired, true),
        SignatureRefused::DigestMismatch { .. } => (RefusalCode::BodyAltered, true),
    }
}

/// The bytes of `signature: sig1=:...:`.
fn signature(parts: &Parts) -> Option<[u8; 64]> {
    let field = parts.headers.get("signature")?.to_str().ok()?;
    let encoded = field.trim().strip_prefix("sig1=:")?.strip_suffix(':')?;
    STANDARD.decode(encoded).ok()?.try_into().ok()
}

/// The signed requests of the last minute, by key and nonce (RFC 9421 §7.2.2).
pub struct ReplayCache {
    started_at: Timestamp,
    seen: Mutex<HashMap<(String, [u8; 16]), i64>>,
}

/// What the cache says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// Not seen before, and remembered now.
    Fresh,
    /// Seen before.
    Seen,
    /// Signed before this node started, so that nobody knows whether it was seen.
    BeforeStart,
    /// So many requests are remembered that no further one can be.
    Full,
}

impl ReplayCache {
    /// An empty cache of a node that starts now.
    #[must_use]
    pub fn new(started_at: Timestamp) -> Self {
        Self { started_at, seen: Mutex::default() }
    }

    /// Remembers a request until its signature is over for any clock that we would believe.
    ///
    /// What was seen before a restart is forgotten, so requests signed before it are not taken: the sender signs anew.
    /// Signatures count whole seconds. Within the second of the start, and the allowed skew of a clock that is ahead, a
    /// replay could pass; it would find its own answer under its idempotency key, or read what its sender may read.
    fn remember(&self, request: &VerifiedRequest, now: Timestamp) -> Freshness {
        if request.created.as_second() < self.started_at.as_second() {
            return Freshness::BeforeStart;
        }
        // A panic elsewhere leaves the map itself whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (request.key_id.clone(), request.nonce);
        if seen.contains_key(&name) {
            return Freshness::Seen;
        }
        if seen.len() >= SEEN_MAX {
            seen.retain(|_, forget_at| *forget_at >= now.as_second());
            if seen.len() >= SEEN_MAX {
                return Freshness::Full;
            }
        }
        let latest = now.as_second() + LIFETIME_SECONDS_MAX + 2 * i64::from(SKEW_SECONDS_MAX);
        let forget_at = request.expires.as_second() + i64::from(SKEW_SECONDS_MAX) + 1;
        seen.insert(name, forget_at.min(latest));
        Freshness::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_about_the_clock_or_the_body_is_given_only_for_a_proven_signature() {
        let expired = SignatureRefused::Expired { seconds_ago: 70 };
        let wrong = SignatureRefused::BadSignature { key_id: "k".to_owned() };
        assert_eq!(code_of(&expired), (RefusalCode::SignatureExpired, true));
        assert_eq!(code_of(&wrong), (RefusalCode::SignatureWrong, false));
    }
}
