// SPDX-License-Identifier: Apache-2.0
//! Signed HTTP between nodes: RFC 9421 and RFC 9530 in the one fixed profile `sta/fed/1`.
//!
//! A request covers its method, target, body digest, content type, idempotency key and treaty; a response covers its
//! status, body digest, content type and the signature of the request it answers. Anything else is refused.
//! The caller keeps the cache of `(keyid, nonce)` against replay, until `expires` and the allowed skew have passed.

mod fields;
mod refused;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    digest::{
        DigestError, Sha256Digest, claimed_content_digest, content_digest_field, content_digest_header,
        verify_content_digest,
    },
    keys::{PublicKey, SigningKey},
};
use fields::{ReceivedSignature, byte_sequence, sign};
pub use refused::{CannotSign, SignatureRefused};

/// The name of the profile, in the parameter `tag`.
pub const TAG: &str = "sta/fed/1";
/// How long a signature holds, and the most it may hold, in seconds.
pub const LIFETIME_SECONDS_MAX: i64 = 60;
/// The content type of a message without a body.
pub const NO_CONTENT_TYPE: &str = "application/octet-stream";

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STA_TREATY: HeaderName = HeaderName::from_static("sta-treaty");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// What a request covers, as component identifiers (RFC 9421 §2), in this order.
const REQUEST_COMPONENTS: [&str; 6] = [
    r#""@method""#,
    r#""@target-uri""#,
    r#""content-digest""#,
    r#""content-type""#,
    r#""idempotency-key""#,
    r#""sta-treaty""#,
];
/// What a response covers. Through the last it answers one request and no other.
const RESPONSE_COMPONENTS: [&str; 4] =
    [r#""@status""#, r#""content-digest""#, r#""content-type""#, r#""signature";req;key="sig1""#];

/// A request to be signed.
#[derive(Debug, Clone, Copy)]
pub struct RequestToSign<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole URI as the receiver knows itself: its address from the treaty, path and query; never from `Host`.
    pub target_uri: &'a str,
    /// The type of the body; [`NO_CONTENT_TYPE`] when there is none.
    pub content_type: &'a str,
    /// The same for each repetition of the same call.
    pub idempotency_key: Uuid,
    /// The digest of the treaty both sides act under.
    pub treaty: Sha256Digest,
    /// The body's bytes; empty when there is none.
    pub body: &'a [u8],
}

/// A response to be signed.
#[derive(Debug, Clone, Copy)]
pub struct ResponseToSign<'a> {
    /// The status.
    pub status: StatusCode,
    /// The type of the body; [`NO_CONTENT_TYPE`] when there is none.
    pub content_type: &'a str,
    /// The body's bytes; empty when there is none.
    pub body: &'a [u8],
    /// The signature of the request that this answers: [`VerifiedRequest::signature`].
    pub request_signature: &'a [u8; 64],
}

/// A response to be signed without its body at hand.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: StatusCode,
    /// The type of the body.
    pub content_type: &'a str,
    /// SHA-256 of the body that will follow.
    pub body: Sha256Digest,
    /// The signature of the request that this answers: [`VerifiedRequest::signature`].
    pub request_signature: &'a [u8; 64],
}

/// Who signs a message, and when.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The key.
    pub key: &'a SigningKey,
    /// Its name in `keyid`, as the receiver knows it.
    pub key_id: &'a str,
    /// Now, at the signer's.
    pub created: Timestamp,
    /// Fresh random bytes, used for this message only.
    pub nonce: [u8; 16],
}

/// The headers of a signed message, and its signature.
#[derive(Debug, Clone)]
pub struct SignedHeaders {
    /// All the headers that the profile covers, with `signature-input` and `signature`.
    pub headers: HeaderMap,
    /// The signature's bytes: of a request, keep them to check the response with.
    pub signature: [u8; 64],
}

/// A request as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URI the receiver computes from its own configured address, the path and the query; never from `Host`.
    pub target_uri: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body's bytes.
    pub body: &'a [u8],
}

/// A response as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedResponse<'a> {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body's bytes.
    pub body: &'a [u8],
}

/// The proof that a request was signed as the profile asks; only [`verify_request`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedRequest {
    /// The name of the key that signed.
    pub key_id: String,
    /// Used once by that key: to be remembered until `expires` and the allowed skew have passed.
    pub nonce: [u8; 16],
    /// When it was signed, by the signer's clock.
    pub created: Timestamp,
    /// Until when it holds, by the signer's clock.
    pub expires: Timestamp,
    /// The signature's bytes, which the response covers.
    pub signature: [u8; 64],
    /// The header `idempotency-key`.
    pub idempotency_key: Uuid,
    /// The header `sta-treaty`.
    pub treaty: Sha256Digest,
    /// The digest of the body.
    pub body: Sha256Digest,
}

/// The proof that a response was signed and answers our request; only [`verify_response`] and [`verify_response_head`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedResponse {
    /// The name of the key that signed.
    pub key_id: String,
    /// Used once by that key.
    pub nonce: [u8; 16],
    /// When it was signed, by the signer's clock.
    pub created: Timestamp,
    /// Until when it holds, by the signer's clock.
    pub expires: Timestamp,
    /// The digest of the body, as it was signed.
    pub body: Sha256Digest,
}

/// Signs a request and gives the headers to send with it.
///
/// # Errors
/// [`CannotSign`] when a value cannot stand in a header.
pub fn sign_request(signer: &Signer<'_>, request: &RequestToSign<'_>) -> Result<SignedHeaders, CannotSign> {
    let mut headers = body_headers(request.content_type, content_digest_header(request.body))?;
    let idempotency_key = request.idempotency_key.hyphenated().to_string();
    let treaty = request.treaty.to_string();
    check_target_uri(request.target_uri)
        .map_err(|()| CannotSign::TargetUri(request.target_uri.to_owned()))?;
    let values = [
        request.method.as_str(),
        request.target_uri,
        &content_digest_header(request.body),
        request.content_type,
        &idempotency_key,
        &treaty,
    ];
    let (input, field, signature) = sign(signer, &REQUEST_COMPONENTS, &values)?;
    headers.insert(IDEMPOTENCY_KEY, header_value(idempotency_key));
    headers.insert(STA_TREATY, header_value(treaty));
    headers.insert(SIGNATURE_INPUT, header_value(input));
    headers.insert(SIGNATURE, header_value(field));
    Ok(SignedHeaders { headers, signature })
}

/// Signs a response and gives the headers to send with it.
///
/// # Errors
/// [`CannotSign`] when a value cannot stand in a header.
pub fn sign_response(
    signer: &Signer<'_>,
    response: &ResponseToSign<'_>,
) -> Result<SignedHeaders, CannotSign> {
    let ResponseToSign { status, content_type, body, request_signature } = *response;
    sign_response_head(
        signer,
        &ResponseHead { status, content_type, body: Sha256Digest::of(body), request_signature },
    )
}

/// Signs a response whose body's digest is known, without its body: of a part of a large file, which is read once.
///
/// # Errors
/// [`CannotSign`] when a value cannot stand in a header.
pub fn sign_response_head(
    signer: &Signer<'_>,
    response: &ResponseHead<'_>,
) -> Result<SignedHeaders, CannotSign> {
    let digest = content_digest_field(response.body);
    let mut headers = body_headers(response.content_type, digest.clone())?;
    let values = [
        response.status.as_str(),
        &digest,
        response.content_type,
        &byte_sequence(response.request_signature),
    ];
    let (input, field, signature) = sign(signer, &RESPONSE_COMPONENTS, &values)?;
    headers.insert(SIGNATURE_INPUT, header_value(input));
    headers.insert(SIGNATURE, header_value(field));
    Ok(SignedHeaders { headers, signature })
}

/// Checks a request against the profile. The reasons that depend on the clock or the body are given only for a
/// signature that is proven, so that a stranger cannot make a peer's clock look wrong.
///
/// # Errors
/// The first [`SignatureRefused`] that applies.
pub fn verify_request(
    request: &ReceivedRequest<'_>,
    keys: impl Fn(&str) -> Option<PublicKey>,
    now: Timestamp,
    skew_seconds_max: u32,
) -> Result<VerifiedRequest, SignatureRefused> {
    let content_digest = covered(request.headers, &CONTENT_DIGEST)?;
    let content_type = covered(request.headers, &CONTENT_TYPE)?;
    let idempotency_key = covered(request.headers, &IDEMPOTENCY_KEY)?;
    let treaty = covered(request.headers, &STA_TREATY)?;
    check_target_uri(request.target_uri)
        .map_err(|()| SignatureRefused::malformed("@target-uri", "is not visible ASCII"))?;
    let values =
        [request.method.as_str(), request.target_uri, content_digest, content_type, idempotency_key, treaty];
    let signature = ReceivedSignature::parse(request.headers, &REQUEST_COMPONENTS)?;
    signature.check(keys, &REQUEST_COMPONENTS, &values)?;
    signature.check_time(now, skew_seconds_max)?;
    Ok(VerifiedRequest {
        body: body_digest(content_digest, request.body)?,
        idempotency_key: parse_idempotency_key(idempotency_key)?,
        treaty: treaty
            .parse()
            .map_err(|_| SignatureRefused::malformed("sta-treaty", "is not a SHA-256 in lower-case hex"))?,
        key_id: signature.key_id,
        nonce: signature.nonce,
        created: signature.created,
        expires: signature.expires,
        signature: signature.signature,
    })
}

/// Checks a response against the profile and against the signature of the request that it must answer.
///
/// # Errors
/// The first [`SignatureRefused`] that applies.
pub fn verify_response(
    response: &ReceivedResponse<'_>,
    request_signature: &[u8; 64],
    keys: impl Fn(&str) -> Option<PublicKey>,
    now: Timestamp,
    skew_seconds_max: u32,
) -> Result<VerifiedResponse, SignatureRefused> {
    let verified = verify_response_head(response, request_signature, keys, now, skew_seconds_max)?;
    let (claimed, actual) = (verified.body, Sha256Digest::of(response.body));
    if claimed == actual { Ok(verified) } else { Err(SignatureRefused::DigestMismatch { claimed, actual }) }
}

/// Checks all of a response but whether its body has the signed digest: that is left to the caller, who has to hash the
/// bytes for another purpose and shall not hash them twice.
///
/// # Errors
/// The first [`SignatureRefused`] that applies; never [`SignatureRefused::DigestMismatch`].
pub fn verify_response_head(
    response: &ReceivedResponse<'_>,
    request_signature: &[u8; 64],
    keys: impl Fn(&str) -> Option<PublicKey>,
    now: Timestamp,
    skew_seconds_max: u32,
) -> Result<VerifiedResponse, SignatureRefused> {
    let content_digest = covered(response.headers, &CONTENT_DIGEST)?;
    let content_type = covered(response.headers, &CONTENT_TYPE)?;
    let values = [response.status.as_str(), content_digest, content_type, &byte_sequence(request_signature)];
    let signature = ReceivedSignature::parse(response.headers, &RESPONSE_COMPONENTS)?;
    signature.check(keys, &RESPONSE_COMPONENTS, &values)?;
    signature.check_time(now, skew_seconds_max)?;
    Ok(VerifiedResponse {
        body: claimed_content_digest(content_digest).map_err(|error| digest_refused(&error))?,
        key_id: signature.key_id,
        nonce: signature.nonce,
        created: signature.created,
        expires: signature.expires,
    })
}

/// The headers on the body that both kinds of message have.
fn body_headers(content_type: &str, content_digest: String) -> Result<HeaderMap, CannotSign> {
    let refused = || CannotSign::ContentType(content_type.to_owned());
    if content_type.trim() != content_type || content_type.is_empty() || !content_type.is_ascii() {
        return Err(refused());
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).map_err(|_| refused())?);
    headers.insert(CONTENT_DIGEST, header_value(content_digest));
    Ok(headers)
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digests, UUIDs and serialised structured fields are visible ASCII")
}

/// A line break in the URI would let its text pose as further covered components.
fn check_target_uri(target_uri: &str) -> Result<(), ()> {
    if !target_uri.is_empty() && target_uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(())
    }
}

/// The value of a covered header, which must be there exactly once: proxies disagree about what two lines mean.
fn covered<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, SignatureRefused> {
    let mut lines = headers.get_all(name).iter();
    let value = lines.next().ok_or_else(|| SignatureRefused::MissingHeader { header: name.to_string() })?;
    if lines.next().is_some() {
        return Err(SignatureRefused::RepeatedHeader { header: name.to_string() });
    }
    let text =
        value.to_str().map_err(|_| SignatureRefused::malformed(name.as_str(), "is not visible ASCII"))?;
    Ok(text.trim_matches([' ', '\t']))
}

fn body_digest(content_digest: &str, body: &[u8]) -> Result<Sha256Digest, SignatureRefused> {
    verify_content_digest(content_digest, body).map_err(|error| digest_refused(&error))
}

fn digest_refused(error: &DigestError) -> SignatureRefused {
    match *error {
        DigestError::Mismatch { claimed, actual } => SignatureRefused::DigestMismatch { claimed, actual },
        DigestError::NotHex(_)
        | DigestError::NotJson(_)
        | DigestError::NumberTooLarge(_)
        | DigestError::NoSha256(_) => {
            SignatureRefused::malformed("content-digest", "has no `sha-256=:...:` (RFC 9530)")
        }
    }
}

/// Only the lower-case hyphenated form, so that one call has one spelling in the table of answers.
fn parse_idempotency_key(text: &str) -> Result<Uuid, SignatureRefused> {
    match Uuid::try_parse(text) {
        Ok(id) if id.hyphenated().to_string() == text => Ok(id),
        Ok(_) | Err(_) => {
            Err(SignatureRefused::malformed("idempotency-key", "is not a UUID in lower case with hyphens"))
        }
    }
}
