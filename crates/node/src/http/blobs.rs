// SPDX-License-Identifier: Apache-2.0
//! Files by their SHA-256: brought in parts of bounded size, continued where they stopped, taken only when the digest fits.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use sta_protocol::digest::Sha256Digest;

use super::{
    documents::BlobDocument,
    extract::{PathOf, too_large},
    problem::Fault,
};
use crate::{node::Node, store::blobs::BlobError};

/// The most bytes of one part.
const PART_BYTES_MAX: u64 = 64 << 20;
/// The longest file.
const BLOB_BYTES_MAX: u64 = 1 << 40;
/// How much is held in memory before it is written.
const CHUNK_BYTES: usize = 1 << 20;
/// How many bytes of a file are here.
const HAVE: HeaderName = HeaderName::from_static("sta-have");

/// Where a part belongs in its file.
struct Part {
    offset: u64,
    bytes: Option<u64>,
    whole: Option<u64>,
}

/// Brings a file, or with `Content-Range` the next part of it. Without `Content-Range` the body is the whole file; what is
/// here of it already is passed over.
#[utoipa::path(put, path = "/v1/blobs/{sha256}", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 201, description = "The file is here, whole", body = BlobDocument), (status = 202, description = "The part is here", body = BlobDocument)))]
pub(super) async fn put_blob(
    State(node): State<Arc<Node>>,
    PathOf(sha256): PathOf<Sha256Digest>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let part = part_of(&headers)?;
    if node.blobs.has(sha256) {
        let whole = node.blobs.read(sha256, 0, 0)?.1;
        return Ok(
            (StatusCode::CREATED, Json(BlobDocument { sha256, have: whole, whole: true })).into_response()
        );
    }
    let offset = part.offset + take_in(&node, sha256, &part, body).await?;
    let is_whole = part.whole.is_none_or(|whole| whole == offset);
    if !is_whole {
        return Ok(
            (StatusCode::ACCEPTED, Json(BlobDocument { sha256, have: offset, whole: false })).into_response()
        );
    }
    let finishing = Arc::clone(&node);
    // Hashing a large file takes seconds of processor time.
    let finished = tokio::task::spawn_blocking(move || finishing.blobs.finish(sha256)).await;
    finished.map_err(|error| Fault::internal("finish a file", &error))??;
    Ok((StatusCode::CREATED, Json(BlobDocument { sha256, have: offset, whole: true })).into_response())
}

/// How much of a file is here, in the header `sta-have`: status 200 when it is whole, 404 when it is not.
#[utoipa::path(head, path = "/v1/blobs/{sha256}", responses((status = 200, description = "The file is here, whole"), (status = 404, description = "It is not; `sta-have` says how many bytes are")))]
pub(super) async fn head_blob(
    State(node): State<Arc<Node>>,
    PathOf(sha256): PathOf<Sha256Digest>,
) -> Result<Response, Fault> {
    let (status, have) = if node.blobs.has(sha256) {
        (StatusCode::OK, node.blobs.read(sha256, 0, 0)?.1)
    } else {
        (StatusCode::NOT_FOUND, node.blobs.partial_bytes(sha256))
    };
    Ok((status, [(HAVE, HeaderValue::from(have))]).into_response())
}

/// Writes the body in chunks and returns its length.
async fn take_in(node: &Node, sha256: Sha256Digest, part: &Part, mut body: Body) -> Result<u64, Fault> {
    let mut received = 0u64;
    let mut passed_over = if part.whole.is_none() { node.blobs.partial_bytes(sha256) } else { 0 };
    let mut chunk: Vec<u8> = Vec::new();
    let mut at = part.offset + passed_over;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_cut| Fault::malformed("body", "it ended before it was whole"))?;
        let Ok(mut data) = frame.into_data() else { continue };
        received += data.len() as u64;
        if received > PART_BYTES_MAX {
            return Err(too_large(usize::try_from(PART_BYTES_MAX).unwrap_or(usize::MAX)));
        }
        let skipped = usize::try_from(passed_over).unwrap_or(usize::MAX).min(data.len());
        passed_over -= skipped as u64;
        chunk.extend_from_slice(&data.split_off(skipped));
        if chunk.len() >= CHUNK_BYTES {
            at += append(node, sha256, at, &mut chunk)?;
        }
    }
    if part.bytes.is_some_and(|bytes| bytes != received) {
        let problem = format!("announces another length than the {received} bytes of the body");
        return Err(Fault::malformed("content-range", problem));
    }
    if !chunk.is_empty() {
        append(node, sha256, at, &mut chunk)?;
    }
    Ok(received)
}

fn append(node: &Node, sha256: Sha256Digest, at: u64, chunk: &mut Vec<u8>) -> Result<u64, BlobError> {
    node.blobs.append(sha256, at, chunk)?;
    let written = chunk.len() as u64;
    chunk.clear();
    Ok(written)
}

/// Reads `Content-Range: bytes first-last/whole` (RFC 9110 §14.4) of a request.
fn part_of(headers: &HeaderMap) -> Result<Part, Fault> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else {
        return Ok(Part { offset: 0, bytes: None, whole: None });
    };
    let malformed = || {
        Fault::malformed("content-range", "must be `bytes first-last/whole`, with the file's whole length")
    };
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten()
    };
    let text = value.to_str().ok().and_then(|text| text.strip_prefix("bytes ")).ok_or_else(malformed)?;
    let (range, whole) = text.split_once('/').ok_or_else(malformed)?;
    let (first, last) = range.split_once('-').ok_or_else(malformed)?;
    let (Some(first), Some(last), Some(whole)) = (number(first), number(last), number(whole)) else {
        return Err(malformed());
    };
    if first > last || last >= whole || whole > BLOB_BYTES_MAX {
        return Err(malformed());
    }
    Ok(Part { offset: first, bytes: Some(last - first + 1), whole: Some(whole) })
}
