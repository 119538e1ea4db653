// SPDX-License-Identifier: Apache-2.0
//! Disk: what a project's files may take of it, room for what comes in, and what goes when no job needs it any more.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sta_protocol::{
    digest::Sha256Digest,
    federation::Offer,
    ids::{MemberId, ResearcherId},
    job::InputFile,
    refusal::{Refusal, RefusalCode},
};

use super::{StepError, stage};
use crate::{
    config::DiskConfig,
    node::Node,
    store::{
        StoreError,
        blob_uses::{self, NeededFile},
        blobs::Room,
        possessions::{self, Party},
    },
    worker::beside,
};

/// How often what may go is looked for, besides at every job's end.
const SWEEP_PAUSE: Duration = Duration::from_secs(3600);
/// How many files one look lets go; the next look follows at once.
const SWEEP_MAX: u32 = 64;
/// How long a touch of an upload holds before it is noted again.
const TOUCH: SignedDuration = SignedDuration::from_mins(10);
/// What the disk's own worker waits on.
pub(crate) const WAKER: &str = "disk";

/// The files that a job needs at its host, as the disk sees them.
pub(super) fn needed(node: &Node, offer: &Offer) -> Vec<NeededFile> {
    let files = stage::files(node, offer).into_iter();
    files.map(|file| NeededFile { sha256: file.sha256, bytes: file.bytes, class: file.class }).collect()
}

/// Whose share of the disk a job's files count against: projects of two members may have one name.
pub(super) fn project_of(offer: &Offer) -> String {
    format!("{}/{}", offer.home, offer.spec.project)
}

/// The refusal of a job whose files would take more than its project's share; decided in the transaction that admits it.
pub(super) fn over_quota(
    connection: &Connection,
    limits: &DiskConfig,
    by: &MemberId,
    project: &str,
    files: &[NeededFile],
) -> Result<Option<Refusal>, StoreError> {
    if limits.bytes_max_per_project == 0 {
        return Ok(None);
    }
    let (used, needed) = blob_uses::project_bytes(connection, project, files)?;
    let fits = used.saturating_add(needed) <= limits.bytes_max_per_project;
    let facts = [
        ("project", project.to_owned()),
        ("needed_bytes", needed.to_string()),
        ("used_bytes", used.to_string()),
        ("limit_bytes", limits.bytes_max_per_project.to_string()),
    ];
    Ok((!fits).then(|| Refusal::new(RefusalCode::DiskQuotaUsed, by, facts)))
}

/// Promises room for what comes in. Where there is none, what no job needs goes first, whatever its age.
///
/// # Errors
/// There is still none: tried again later, and the job says why it waits.
pub async fn room(node: &Node, needed: u64) -> Result<Room, StepError> {
    let free_min = node.config.disk.bytes_free_min;
    if let Ok(room) = node.blobs.promise(needed, free_min)? {
        return Ok(room);
    }
    let_go(node, node.outside.now()).await?;
    let promised = node.blobs.promise(needed, free_min)?;
    promised.map_err(|no| StepError::NoRoom { needed, free: no.free, promised: no.promised, free_min })
}

/// Notes that somebody uploads a file, so that it waits a day for its job.
///
/// # Errors
/// The store failed.
pub async fn note_upload(node: &Node, sha256: Sha256Digest) -> Result<(), StepError> {
    let (now, blobs) = (node.outside.now(), node.blobs.clone());
    let known = node.store.read(|connection| blob_uses::uploaded_at(connection, sha256))?;
    let fresh = now.checked_sub(TOUCH).unwrap_or(Timestamp::MIN).as_millisecond();
    let is_noted = match known {
        Some(uploaded_at) => uploaded_at.is_some_and(|at| at > fresh),
        None => blobs.has(sha256),
    };
    if !is_noted {
        node.store.write(move |tx| blob_uses::uploading(tx, sha256, blobs.has(sha256), now)).await?;
    }
    Ok(())
}

/// The first of these that a person has not brought and that is no result of theirs. What others have here is not theirs, though they know
/// its digest; and whether it is here they are not told.
pub(super) fn first_not_brought<'a>(
    node: &Node,
    person: &ResearcherId,
    inputs: &'a [InputFile],
) -> Result<Option<&'a InputFile>, StoreError> {
    let party = Party::Person(person.clone());
    for input in inputs {
        if !node.has_for(input.sha256, &party)? {
            return Ok(Some(input));
        }
    }
    Ok(None)
}

/// Checks a file that somebody has uploaded, puts it in its place, and notes that they have it. What is here for others is touched only
/// once the bytes are the right ones: who knows its digest does not keep it here.
///
/// # Errors
/// The bytes are not the announced ones; or the disk or the store failed, and it is to be sent again.
pub async fn close_upload(
    node: Arc<Node>,
    sha256: Sha256Digest,
    by: Party,
    bytes: u64,
) -> Result<(), StepError> {
    let turns = (node.blobs.part_turn(sha256, &by).await, node.blobs.turn(sha256).await);
    let was_here = node.blobs.has(sha256);
    if !was_here {
        note_upload(&node, sha256).await?;
    }
    let (blobs, from) = (node.blobs.clone(), by.clone());
    // The rest of a large file that is still to be hashed takes seconds of processor time.
    let (finished, _turns) = beside(bytes, move || (blobs.finish(sha256, &from), turns)).await;
    finished?;
    if was_here {
        note_upload(&node, sha256).await?;
    }
    note_possession(&node, sha256, by).await
}

/// Notes that somebody has sent all of a file, which is here: from now on a job may name it for them.
///
/// # Errors
/// The store failed: it is to be sent again.
pub async fn note_possession(node: &Node, sha256: Sha256Digest, party: Party) -> Result<(), StepError> {
    Ok(node.store.write(move |tx| possessions::note(tx, sha256, &party)).await?)
}

/// Lets go what no job needs and what was begun and never ended, at the start, at each job's end and every hour, until
/// the node stops.
pub(crate) async fn keep_tidy(node: Arc<Node>) {
    let waker = node.waker(WAKER);
    while !node.is_stopping() {
        if let Err(error) = sweep(&node).await {
            tracing::error!(error = %error, "files that nobody needs cannot be removed");
        }
        tokio::select! {
            biased;
            () = waker.notified() => {}
            _running = node.pause(SWEEP_PAUSE) => {}
        }
    }
}

/// One look at all files.
///
/// # Errors
/// The store or the disk failed; the next look goes on.
pub async fn sweep(node: &Node) -> Result<(), StepError> {
    let now = node.outside.now();
    let kept = SignedDuration::from_hours(24 * i64::from(node.config.disk.cache_days));
    let_go(node, now.checked_sub(kept).unwrap_or(Timestamp::MIN)).await?;
    let older_than = Duration::from_secs(3600 * u64::from(node.config.disk.partial_hours_max));
    for begun in node.blobs.abandoned(older_than)? {
        // A job may wait longer for a member that is away.
        let is_needed = || node.store.read(|connection| blob_uses::is_needed(connection, begun.sha256));
        if node.blobs.has(begun.sha256) || !is_needed()? {
            node.blobs.abandon(&begun)?;
        }
    }
    Ok(())
}

/// Lets go every file that no job needs: above `open` at once, others when not used since.
async fn let_go(node: &Node, unused_since: Timestamp) -> Result<(), StepError> {
    let now = node.outside.now();
    node.store.write(move |tx| blob_uses::touch_needed(tx, now)).await?;
    loop {
        let idle = node.store.read(|connection| blob_uses::idle(connection, unused_since, now, SWEEP_MAX))?;
        let mut went = 0;
        for sha256 in &idle {
            let Some(_turn) = node.blobs.try_turn(*sha256) else { continue };
            went += u32::from(let_one_go(node, *sha256, unused_since, now).await?);
        }
        let blobs = node.blobs.clone();
        // However small: a removal takes as long as the disk likes.
        beside(if went > 0 { u64::MAX } else { 0 }, move || blobs.empty_going()).await?;
        if went == 0 {
            return Ok(());
        }
    }
}

/// Out of its place and off the list in one transaction of the one writer, so that no job is admitted in between.
async fn let_one_go(
    node: &Node,
    sha256: Sha256Digest,
    unused_since: Timestamp,
    now: Timestamp,
) -> Result<bool, StepError> {
    let blobs = node.blobs.clone();
    let write = node.store.write(move |tx| {
        if !blob_uses::is_idle(tx.connection(), sha256, unused_since, now)? {
            return Ok(false);
        }
        // Where the transaction does not commit, the list names a file that is not here, and the next look strikes it.
        blobs.let_go(sha256)?;
        blob_uses::stays(tx, sha256)?;
        possessions::forget(tx, sha256)?;
        Ok(true)
    });
    Ok(write.await?)
}
