// SPDX-License-Identifier: Apache-2.0
//! Arrive: one file comes in from its holder, in signed pieces, several at once, from where it stopped before.
//!
//! At most [`UNDER_WAY_BYTES_MAX`] are under way at any time, over all files of the node: that bounds its memory, and it
//! is all that is asked for again when the node is killed. Only a member who is far away sends up to [`FAR_MAX`] times as much,
//! so that the long line is full.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use http::header;
use sta_protocol::{
    digest::Sha256Digest, http_signature::SignatureRefused, ids::MemberId, refusal::RefusalCode,
};
use tokio::task::JoinHandle;

use super::{StepError, disk};
use crate::{
    node::Node,
    peers::outbound::CallError,
    store::{
        blobs::{Arrival, BlobError, PIECE_BYTES, Room},
        possessions::Party,
    },
    worker::beside,
};

/// How much is on its way to this node at once from members who are near.
pub const UNDER_WAY_BYTES_MAX: u64 = 4 * PIECE_BYTES;
/// The unit in which what is under way is counted.
const UNIT_BYTES: u64 = 64 << 10;
/// How many of these units there are.
pub(crate) const UNITS: usize = (UNDER_WAY_BYTES_MAX / UNIT_BYTES) as usize;
/// How many pieces of one file wait for their turn or are under way, from a member who is near.
const STREAMS: usize = 4;
/// A member is near who answers a short call in this time. At twice the distance twice as much is under way.
const NEAR: Duration = Duration::from_millis(20);
/// How many times as much is under way from a member who is far away.
pub const FAR_MAX: u32 = 4;
/// How often a piece is asked for whose bytes are not the signed ones.
const ATTEMPTS: u32 = 3;

/// Where a file comes from.
struct Source<'a> {
    holder: &'a MemberId,
    path: &'a str,
    bytes: u64,
    /// How many times as much is under way as from a member who is near.
    far: u32,
}

/// How many times [`NEAR`] a short call to a member takes, 1 to [`FAR_MAX`].
fn far(shortest: Option<Duration>) -> u32 {
    let times = shortest.map_or(1, |shortest| shortest.as_millis() / NEAR.as_millis());
    u32::try_from(times).unwrap_or(FAR_MAX).clamp(1, FAR_MAX)
}

/// Brings a file into this node's blobs, from where an earlier attempt stopped. Jobs that want the same file of the same holder at
/// once share one transfer. One that is here already comes again from a holder that has never sent it: else whoever names the digest of
/// a file would be given it.
///
/// # Errors
/// The holder is away or refuses, the bytes are not the announced ones, or the disk has no room.
pub(super) async fn bring(
    node: &Node,
    holder: &MemberId,
    path: &str,
    sha256: Sha256Digest,
    bytes: u64,
) -> Result<(), StepError> {
    let party = Party::Member(holder.clone());
    let _turn = node.blobs.part_turn(sha256, &party).await;
    if node.has_for(sha256, &party)? {
        return Ok(());
    }
    let source = Source { holder, path, bytes, far: far(node.distances.of(holder)) };
    let blobs = node.blobs.clone();
    let from = party.clone();
    let arrival = Arc::new(beside(bytes, move || blobs.arrive(sha256, bytes, &from)).await?);
    let mut attempts = 1;
    loop {
        bring_missing(node, &source, &arrival).await?;
        let (finishing, place) = (Arc::clone(&arrival), node.blobs.turn(sha256).await);
        let (finished, _place) = beside(bytes, move || (finishing.finish(), place)).await;
        let (claimed, actual) = match finished {
            Ok(()) => return disk::note_possession(node, sha256, party).await,
            Err(source @ BlobError::Differs { .. }) => {
                return Err(StepError::HolderWrong { holder: holder.clone(), source });
            }
            Err(ref error @ BlobError::PiecesWrong { claimed, actual, .. }) => {
                tracing::warn!(member = %holder, file = %sha256, %error, "they are asked for again");
                (claimed, actual)
            }
            Err(error @ (BlobError::Store(_) | BlobError::NotContinuous { .. })) => return Err(error.into()),
        };
        if attempts == ATTEMPTS {
            let source = SignatureRefused::DigestMismatch { claimed, actual };
            return Err(CallError::Unbelievable { member: holder.clone(), source }.into());
        }
        attempts += 1;
    }
}

/// Brings in the pieces that are not here.
async fn bring_missing(node: &Node, source: &Source<'_>, arrival: &Arc<Arrival>) -> Result<(), StepError> {
    let missing = arrival.missing();
    let needed = missing.iter().map(|piece| arrival.extent(*piece).1).sum();
    let room = disk::room(node, needed).await?;
    let began = tokio::time::Instant::now();
    bring_pieces(node, source, arrival, &missing, &room).await?;
    node.staging_rate.note(needed, began.elapsed());
    Ok(())
}

/// Brings in several pieces at once, while another thread hashes what has come in order and a third has it written.
async fn bring_pieces(
    node: &Node,
    source: &Source<'_>,
    arrival: &Arc<Arrival>,
    missing: &[u64],
    room: &Room,
) -> Result<(), StepError> {
    let mut next = missing.iter();
    let mut under_way = FuturesUnordered::new();
    let mut behind = Behind { arrival, hashing: None, syncing: None };
    loop {
        while under_way.len() < STREAMS.saturating_mul(source.far as usize) {
            let Some(piece) = next.next() else { break };
            under_way.push(bring_piece(node, source, arrival, *piece));
        }
        let Some(landed) = under_way.next().await else { return behind.end().await };
        room.written(landed?);
        if source.bytes > PIECE_BYTES {
            behind.go_on().await?;
        }
    }
}

/// Brings in one piece and gives its length.
async fn bring_piece(
    node: &Node,
    source: &Source<'_>,
    arrival: &Arc<Arrival>,
    piece: u64,
) -> Result<u64, StepError> {
    let (offset, length) = arrival.extent(piece);
    if length == 0 {
        return Ok(0);
    }
    let units = u32::try_from(length.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).div_ceil(source.far);
    // The semaphore is never closed; and a piece never needs more units than there are.
    let _under_way = node.arriving.acquire_many(units).await.ok();
    let (body, sha256) = ask(node, source, offset, length).await?;
    node.metrics.file_bytes_fetched.inc_by(length);
    let arrival = Arc::clone(arrival);
    beside(length, move || arrival.put(piece, body, sha256)).await?;
    Ok(length)
}

/// The bytes of a range and the digest under which their holder signed them, which they may not have.
async fn ask(
    node: &Node,
    source: &Source<'_>,
    offset: u64,
    length: u64,
) -> Result<(bytes::Bytes, Sha256Digest), StepError> {
    let last = offset + length - 1;
    let answer = node.outbound().get(source.holder, source.path, Some((offset, last))).await?;
    let expected = format!("bytes {offset}-{last}/{}", source.bytes);
    let got = answer.headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if got != expected || answer.body.len() as u64 != length {
        let facts = [("range", expected), ("content_range", got.to_owned())];
        return Err(StepError::refused(RefusalCode::RangeWrong, node.member(), facts));
    }
    Ok((answer.body, answer.body_sha256))
}

/// What is done behind the pieces that land: hashing in order, and having the disk write.
struct Behind<'a> {
    arrival: &'a Arc<Arrival>,
    hashing: Option<JoinHandle<Result<(), BlobError>>>,
    syncing: Option<JoinHandle<Result<(), BlobError>>>,
}

impl Behind<'_> {
    /// Begins each anew where it has ended.
    async fn go_on(&mut self) -> Result<(), StepError> {
        if self.hashing.as_ref().is_none_or(JoinHandle::is_finished) {
            let arrival = Arc::clone(self.arrival);
            let before = self.hashing.replace(tokio::task::spawn_blocking(move || arrival.hash_on()));
            outcome(before).await?;
        }
        if self.syncing.as_ref().is_none_or(JoinHandle::is_finished) {
            let arrival = Arc::clone(self.arrival);
            let before = self.syncing.replace(tokio::task::spawn_blocking(move || arrival.sync_some()));
            outcome(before).await?;
        }
        Ok(())
    }

    async fn end(self) -> Result<(), StepError> {
        outcome(self.hashing).await?;
        outcome(self.syncing).await
    }
}

async fn outcome(task: Option<JoinHandle<Result<(), BlobError>>>) -> Result<(), StepError> {
    match task {
        // A task that panicked has been logged, and what it left undone is done at the end.
        Some(task) => Ok(task.await.unwrap_or(Ok(()))?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_under_way_from_afar_and_never_too_much() {
        let times = |ms| far(Some(Duration::from_millis(ms)));
        assert_eq!([0, 5, 39, 40, 90, 10_000].map(times), [1, 1, 1, 2, 4, 4]);
        assert_eq!(far(None), 1);
    }
}
