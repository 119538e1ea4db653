// SPDX-License-Identifier: Apache-2.0
//! Files by their SHA-256: brought in parts of bounded size, continued where they stopped, taken only when the digest fits. What
//! another person has brought is not here for somebody who only knows its digest.

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
    extract::{PathOf, Person, too_large},
    problem::Fault,
};
use crate::{
    node::Node,
    steps::disk,
    store::{blobs::BlobError, possessions::Party},
    worker::beside,
};

/// The most bytes of one part.
const PART_BYTES_MAX: u64 = 64 << 20;
/// The longest file.
const BLOB_BYTES_MAX: u64 = 1 << 40;
/// How much is held in memory before it is written.
const CHUNK_BYTES: usize = 1 << 20;
/// How many bytes of a file are here.
const HAVE: HeaderName = HeaderName::from_static("sta-have");

/// What a request says of the file.
enum Part {
    /// The body is the whole file.
    Whole,
    /// The body is a part of it.
    Within {
        /// Where it begins.
        offset: u64,
        /// Its length.
        bytes: u64,
        /// The length of the file.
        whole: u64,
    },
    /// Every byte is here: the body is empty, and the file is to be checked and closed.
    End {
        /// The length of the file.
        whole: u64,
    },
}

/// Brings a file, or with `Content-Range` the next part of it, for jobs of the person who brings it. Without `Content-Range` the body is the whole file; what is
/// here of it already is passed over. `Content-Range: bytes */LENGTH` closes a file whose bytes are all here.
#[utoipa::path(put, path = "/v1/blobs/{sha256}", request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 201, description = "The file is here, whole", body = BlobDocument), (status = 202, description = "The part is here", body = BlobDocument)))]
pub(super) async fn put_blob(
    State(node): State<Arc<Node>>,
    PathOf(sha256): PathOf<Sha256Digest>,
    Person(person): Person,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let part = part_of(&headers)?;
    let by = Party::Person(person.id);
    let answer =
        |status, have, whole| Ok((status, Json(BlobDocument { sha256, have, whole })).into_response());
    let is_theirs = node.has_for(sha256, &by)?;
    if is_theirs || !node.blobs.has(sha256) {
        disk::note_upload(&node, sha256).await?;
    }
    if is_theirs {
        return answer(StatusCode::CREATED, node.blobs.read(sha256, 0, 0)?.1, true);
    }
    let have = match part {
        Part::Whole => take_in(&node, (sha256, &by), &part, body).await?,
        Part::Within { offset, whole, .. } => {
            let here = node.blobs.partial_bytes(sha256, &by);
            // For the whole rest, so that a file that does not fit is refused at its beginning.
            let _room = disk::room(&node, whole.saturating_sub(here)).await?;
            offset + take_in(&node, (sha256, &by), &part, body).await?
        }
        Part::End { whole } => {
            let have = node.blobs.partial_bytes(sha256, &by);
            if have != whole {
                return Err(BlobError::NotContinuous { offset: whole, have }.into());
            }
            have
        }
    };
    if let Part::Within { whole, .. } = part
        && whole != have
    {
        return answer(StatusCode::ACCEPTED, have, false);
    }
    // Done to its end, though whoever sent it may not wait for the answer.
    let closing = tokio::spawn(disk::close_upload(Arc::clone(&node), sha256, by, have));
    closing.await.map_err(|error| Fault::internal("close an upload", &error))??;
    answer(StatusCode::CREATED, have, true)
}

/// How much of a file the person who asks has brought, in the header `sta-have`: status 200 when it is whole, 404 when it is not.
#[utoipa::path(head, path = "/v1/blobs/{sha256}", responses((status = 200, description = "The file is here, whole, and this person has brought it or may have it"), (status = 404, description = "It is not; `sta-have` says how many bytes are")))]
pub(super) async fn head_blob(
    State(node): State<Arc<Node>>,
    PathOf(sha256): PathOf<Sha256Digest>,
    Person(person): Person,
) -> Result<Response, Fault> {
    let by = Party::Person(person.id);
    let (status, have) = if node.has_for(sha256, &by)? {
        // Who asks is about to submit a job with it.
        disk::note_upload(&node, sha256).await?;
        (StatusCode::OK, node.blobs.read(sha256, 0, 0)?.1)
    } else {
        (StatusCode::NOT_FOUND, node.blobs.partial_bytes(sha256, &by))
    };
    Ok((status, [(HAVE, HeaderValue::from(have))]).into_response())
}

/// Writes the body in chunks and returns its length.
async fn take_in(
    node: &Node,
    (sha256, by): (Sha256Digest, &Party),
    part: &Part,
    mut body: Body,
) -> Result<u64, Fault> {
    let mut received = 0u64;
    let (mut passed_over, offset) = match part {
        Part::Within { offset, .. } => (0, *offset),
        Part::Whole | Part::End { .. } => (node.blobs.partial_bytes(sha256, by), 0),
    };
    let mut chunk: Vec<u8> = Vec::new();
    let mut at = offset + passed_over;
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
            at += append(node, (sha256, by), at, &mut chunk).await?;
        }
    }
    if let Part::Within { bytes, .. } = part
        && *bytes != received
    {
        let problem = format!("announces another length than the {received} bytes of the body");
        return Err(Fault::malformed("content-range", problem));
    }
    if !chunk.is_empty() {
        append(node, (sha256, by), at, &mut chunk).await?;
    }
    Ok(received)
}

async fn append(
    node: &Node,
    (sha256, by): (Sha256Digest, &Party),
    at: u64,
    chunk: &mut Vec<u8>,
) -> Result<u64, BlobError> {
    let (blobs, bytes, by) = (node.blobs.clone(), std::mem::take(chunk), by.clone());
    let (written, turn) = (bytes.len() as u64, node.blobs.part_turn(sha256, &by).await);
    *chunk = beside(written, move || {
        let _turn = turn;
        blobs.append(sha256, &by, at, &bytes)?;
        Ok::<_, BlobError>(bytes)
    })
    .await?;
    chunk.clear();
    Ok(written)
}

/// Reads `Content-Range: bytes first-last/whole` (RFC 9110 §14.4) of a request.
fn part_of(headers: &HeaderMap) -> Result<Part, Fault> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else {
        return Ok(Part::Whole);
    };
    let malformed = || {
        Fault::malformed(
            "content-range",
            "must be `bytes first-last/whole`, or `bytes */whole` at the end, with the file's whole length",
        )
    };
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten()
    };
    let text = value.to_str().ok().and_then(|text| text.strip_prefix("bytes ")).ok_or_else(malformed)?;
    let (range, whole) = text.split_once('/').ok_or_else(malformed)?;
    if range == "*" {
        let whole = number(whole).filter(|whole| *whole <= BLOB_BYTES_MAX).ok_or_else(malformed)?;
        return Ok(Part::End { whole });
    }
    let (first, last) = range.split_once('-').ok_or_else(malformed)?;
    let (Some(first), Some(last), Some(whole)) = (number(first), number(last), number(whole)) else {
        return Err(malformed());
    };
    if first > last || last >= whole || whole > BLOB_BYTES_MAX {
        return Err(malformed());
    }
    Ok(Part::Within { offset: first, bytes: last - first + 1, whole })
}
