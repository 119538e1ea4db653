// SPDX-License-Identifier: Apache-2.0
//! Files and parts of them over HTTP: one byte range (RFC 9110 §14), the SHA-256 as entity tag (§8.8.3).

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sta_protocol::digest::Sha256Digest;

use super::problem::Fault;
use crate::steps::deliver::FilePart;

/// The most bytes of a file in one answer to a member, which is signed as a whole.
pub(super) const PART_BYTES_MAX: u64 = 8 << 20;

/// What the header `Range` asks for, before the file's length is known. Several ranges, other units and whatever does
/// not parse count as no header at all (RFC 9110 §14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything.
    Whole,
    /// From the first byte to the last, or to the end.
    From {
        /// First byte.
        first: u64,
        /// Last byte.
        last: Option<u64>,
    },
    /// So many bytes at the end.
    Last(u64),
}

/// A range within a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// First byte.
    pub(super) first: u64,
    /// Number of bytes; none only of an empty file asked for whole.
    pub(super) length: u64,
    /// Whether it was asked for as a range, so that the answer says 206.
    pub(super) partial: bool,
}

impl Wanted {
    /// Reads the header; with `If-Range` (§13.1.5) it counts only for the file with that entity tag.
    pub(super) fn read(headers: &HeaderMap, entity_tag: Option<&str>) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if text(header::IF_RANGE).is_some_and(|tag| Some(tag) != entity_tag) {
            return Self::Whole;
        }
        text(header::RANGE).and_then(parse).unwrap_or(Self::Whole)
    }

    /// The range in a file of so many bytes.
    pub(super) fn within(self, whole: u64) -> Result<Range, Fault> {
        let outside = Fault::RangeOutside { whole };
        let (first, end) = match self {
            Self::Whole => return Ok(Range { first: 0, length: whole, partial: false }),
            Self::From { first, last } => {
                (first, last.map_or(whole, |last| whole.min(last.saturating_add(1))))
            }
            Self::Last(length) => (whole.saturating_sub(length), whole),
        };
        if first < end { Ok(Range { first, length: end - first, partial: true }) } else { Err(outside) }
    }
}

fn parse(text: &str) -> Option<Wanted> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.trim().split_once('-')?;
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Some(Wanted::From { first, last: Some(last) }),
        (Some(first), None) if last.is_empty() => Some(Wanted::From { first, last: None }),
        (None, Some(last)) if first.is_empty() => Some(Wanted::Last(last)),
        (Some(_) | None, _) => None,
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Offset and highest length to read for a member: at most [`PART_BYTES_MAX`]. A range at the end is not served to members.
pub(super) fn bounded(headers: &HeaderMap) -> (Wanted, u64, usize) {
    let wanted = match Wanted::read(headers, None) {
        Wanted::Last(_) | Wanted::Whole => Wanted::Whole,
        from @ Wanted::From { .. } => from,
    };
    let (offset, length) = match wanted {
        Wanted::From { first, last: Some(last) } => {
            (first, (last - first).saturating_add(1).min(PART_BYTES_MAX))
        }
        Wanted::From { first, last: None } => (first, PART_BYTES_MAX),
        Wanted::Whole | Wanted::Last(_) => (0, PART_BYTES_MAX),
    };
    (wanted, offset, usize::try_from(length).unwrap_or(0))
}

/// The answer to a member with the part that was read as [`bounded`] says.
pub(super) fn part_for_member(wanted: Wanted, part: FilePart) -> Result<Response, Fault> {
    let range = wanted.within(part.whole)?;
    if !range.partial && part.whole > PART_BYTES_MAX {
        let problem =
            format!("the file has {} bytes: ask for ranges of at most {PART_BYTES_MAX}", part.whole);
        return Err(Fault::malformed("range", problem));
    }
    let length = part.bytes.len() as u64;
    let range = Range { length, ..range };
    let mut response = respond(range, part.whole, part.sha256, Body::from(part.bytes));
    if let Some(sha256) = part.bytes_sha256 {
        response.extensions_mut().insert(KnownBody(sha256));
    }
    Ok(response)
}

/// SHA-256 of a body that was hashed before, as a piece of a large file is: the answer is signed without hashing it again.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownBody(pub(super) Sha256Digest);

/// The answer with a file or a part of it.
pub(super) fn respond(range: Range, whole: u64, sha256: Sha256Digest, body: Body) -> Response {
    let status = if range.partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.length));
    headers.extend(HeaderValue::try_from(entity_tag(sha256)).map(|tag| (header::ETAG, tag)));
    if range.partial && range.length > 0 {
        let last = range.first + range.length - 1;
        let text = format!("bytes {}-{last}/{whole}", range.first);
        headers.extend(HeaderValue::try_from(text).map(|range| (header::CONTENT_RANGE, range)));
    }
    response
}

/// The strong entity tag of a file: its SHA-256.
pub(super) fn entity_tag(sha256: Sha256Digest) -> String {
    format!("\"{sha256}\"")
}

/// Whether `If-None-Match` (§13.1.2) says that the asker has the file already.
pub(super) fn is_known(headers: &HeaderMap, sha256: Sha256Digest) -> bool {
    let tag = entity_tag(sha256);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag || one.trim() == "*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(range: &str) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).expect("a header"));
        Wanted::read(&headers, None)
    }

    #[test]
    fn one_byte_range_is_read_as_rfc_9110_has_it() {
        assert_eq!(wanted("bytes=0-499"), Wanted::From { first: 0, last: Some(499) });
        assert_eq!(wanted("bytes=9500-"), Wanted::From { first: 9500, last: None });
        assert_eq!(wanted("bytes=-500"), Wanted::Last(500));
    }

    #[test]
    fn what_is_no_single_byte_range_asks_for_the_whole_file() {
        for range in
            ["bytes=0-0,5-9", "bytes=5-4", "items=0-1", "bytes=", "bytes=-", "bytes=+1-2", "bytes=a-b"]
        {
            assert_eq!(wanted(range), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn a_range_beyond_the_end_is_cut_and_one_that_begins_there_is_refused() {
        let range = |text: &str| wanted(text).within(10).map(|range| (range.first, range.length)).ok();
        assert_eq!(range("bytes=8-99"), Some((8, 2)));
        assert_eq!(range("bytes=-99"), Some((0, 10)));
        assert_eq!(range("bytes=10-11"), None);
        assert_eq!(range("bytes=-0"), None);
        assert_eq!(range("bytes=0-18446744073709551615"), Some((0, 10)));
    }
}
