// SPDX-License-Identifier: Apache-2.0
//! Being witnessed: when this node's log has grown, every peer is asked to cosign its checkpoint (C2SP tlog-witness).
//! A witness sees a root hash and a consistency proof; no entry crosses the border.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, StatusCode, header};
use jiff::Timestamp;
use sta_audit::{
    cosignature::cosigned_by,
    key::VerifierKey,
    merkle::consistency_proof,
    note::SignedNote,
    witness::{AddCheckpoint, TEXT_CONTENT_TYPE, parse_cosignature_response, parse_size_response},
};
use sta_protocol::{ids::MemberId, treaty::Member};

use crate::{
    metrics::NameLabel,
    node::Node,
    store::{
        StoreError, audit,
        peers::{self, WitnessProgress},
    },
};

/// How often a grown log is shown to its witnesses.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a peer did not cosign.
#[derive(Debug, thiserror::Error)]
enum WitnessError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoAnswer(#[from] crate::outside::TransportError),
    #[error("the witness answered {status}: {text}")]
    Refused { status: StatusCode, text: String },
    #[error("{0}")]
    Wrong(String),
}

/// Whether a peer has not cosigned this node's log for longer than the treaty allows, although the log has grown.
///
/// # Errors
/// The store failed.
pub fn is_behind(node: &Node, peer: &MemberId) -> Result<bool, StoreError> {
    if peer == node.member() {
        return Ok(false);
    }
    let progress = node.store.read(|connection| peers::witness_progress(connection, peer))?;
    let limit_ms = i64::from(node.treaty.witness.behind_s_max) * 1000;
    let late = |since: Timestamp| node.outside.now().as_millisecond() - since.as_millisecond() > limit_ms;
    Ok(progress.and_then(|progress| progress.behind_since).is_some_and(late))
}

/// Asks the peers to cosign whenever the log has grown, until the node stops.
pub async fn keep_witnessed(node: Arc<Node>) {
    loop {
        let members: Vec<Member> = node.peers().cloned().collect();
        for member in &members {
            match ask(&node, member).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(peer = %member.id, error = %error, "the log is not cosigned yet");
                    if let Err(error) = note_behind(&node, &member.id).await {
                        tracing::error!(error = %error, "a witness's progress cannot be noted");
                    }
                }
            }
        }
        observe_ages(&node, &members);
        if !node.pause(PAUSE).await {
            return;
        }
    }
}

fn observe_ages(node: &Node, members: &[Member]) {
    for member in members {
        if let Ok(Some(progress)) =
            node.store.read(|connection| peers::witness_progress(connection, &member.id))
        {
            let age = node.outside.now().as_second() - progress.cosigned_at.as_second();
            node.metrics
                .peer_cosign_age_seconds
                .get_or_create(&NameLabel { name: member.id.to_string() })
                .set(age);
        }
    }
}

/// Notes since when a peer has not kept up; its earlier progress stays.
async fn note_behind(node: &Node, peer: &MemberId) -> Result<(), StoreError> {
    let (peer, now) = (peer.clone(), node.outside.now());
    let progress = node.store.read(|connection| peers::witness_progress(connection, &peer))?;
    let progress = progress.unwrap_or(WitnessProgress { size: 0, cosigned_at: now, behind_since: None });
    if progress.behind_since.is_some() {
        return Ok(());
    }
    let write = move |tx: &mut crate::store::Tx<'_>| {
        peers::keep_witness_progress(tx, &peer, WitnessProgress { behind_since: Some(now), ..progress })
    };
    node.store.write(write).await
}

/// Shows the newest checkpoint to one peer, unless it has cosigned it.
async fn ask(node: &Node, peer: &Member) -> Result<(), WitnessError> {
    let (latest, known) = node.store.read(|connection| {
        Ok((audit::checkpoint(connection, "latest")?, peers::witness_progress(connection, &peer.id)?))
    })?;
    let Some((size, note)) = latest else { return Ok(()) };
    let old_size = known.map_or(0, |progress| progress.size);
    if old_size >= size {
        return Ok(());
    }
    let note = SignedNote::parse(note.as_bytes()).map_err(|error| WitnessError::Wrong(error.to_string()))?;
    match add_checkpoint(node, peer, old_size, size, &note).await {
        Ok(cosigned) => keep(node, peer, size, &note, cosigned).await,
        // The witness remembers another size than we do: a crash, or an answer that was lost. Go on from what it says; at
        // this very size it cosigns once more (C2SP tlog-witness), and without that a log at rest would stay unwitnessed.
        Err(Conflict::Size(actual)) if actual <= size => {
            let cosigned = add_checkpoint(node, peer, actual, size, &note).await;
            keep(node, peer, size, &note, cosigned.map_err(Conflict::into_error)?).await
        }
        Err(conflict) => Err(conflict.into_error()),
    }
}

enum Conflict {
    Size(u64),
    Other(WitnessError),
}

impl Conflict {
    fn into_error(self) -> WitnessError {
        match self {
            Self::Size(size) => WitnessError::Wrong(format!(
                "the witness knows a log of {size} entries that ours does not contain"
            )),
            Self::Other(error) => error,
        }
    }
}

async fn add_checkpoint(
    node: &Node,
    peer: &Member,
    old: u64,
    size: u64,
    note: &SignedNote,
) -> Result<Bytes, Conflict> {
    let wrong = |problem: String| Conflict::Other(WitnessError::Wrong(problem));
    let proof = node
        .store
        .read(|connection| {
            consistency_proof(&audit::StoredHashes(connection), old, size)
                .map_err(|error| StoreError::Audit(error.to_string()))
        })
        .map_err(|error| Conflict::Other(error.into()))?;
    let request = AddCheckpoint::new(old, proof, note.clone()).map_err(|error| wrong(error.to_string()))?;
    let request = http::Request::builder()
        .method(Method::POST)
        .uri(format!("{}/witness/add-checkpoint", peer.url))
        .header(header::CONTENT_TYPE, TEXT_CONTENT_TYPE)
        .body(Bytes::from(request.to_string()))
        .map_err(|error| wrong(error.to_string()))?;
    let response =
        node.outside.transport.send(request).await.map_err(|error| Conflict::Other(error.into()))?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        StatusCode::CONFLICT => {
            let size = parse_size_response(response.body()).map_err(|error| wrong(error.to_string()))?;
            Err(Conflict::Size(size))
        }
        status => {
            let text = String::from_utf8_lossy(response.body()).chars().take(200).collect();
            Err(Conflict::Other(WitnessError::Refused { status, text }))
        }
    }
}

/// Keeps a cosignature that verifies; with enough of them the checkpoint becomes the published one.
async fn keep(
    node: &Node,
    peer: &Member,
    size: u64,
    note: &SignedNote,
    cosigned: Bytes,
) -> Result<(), WitnessError> {
    let wrong = |problem: String| WitnessError::Wrong(problem);
    let key: VerifierKey =
        peer.keys.witness.parse().map_err(|error: sta_audit::key::KeyError| wrong(error.to_string()))?;
    let received =
        parse_cosignature_response(&cosigned, note, &key).map_err(|error| wrong(error.to_string()))?;
    let witness_keys = witness_keys(node);
    let quorum = usize::from(node.treaty.witness.quorum);
    let cosigned_at = i64::try_from(received.time)
        .ok()
        .and_then(|time| Timestamp::from_second(time).ok())
        .unwrap_or_else(|| node.outside.now());
    let (member, note) = (peer.id.clone(), note.clone());
    node.store
        .write(move |tx| {
            let note = audit::add_cosignature(tx.connection(), &note, size, received.signature)?;
            let witnesses =
                cosigned_by(&note, &witness_keys).map_err(|error| StoreError::Audit(error.to_string()))?;
            if witnesses.len() >= quorum {
                audit::publish(tx.connection(), size, &note)?;
            }
            peers::keep_witness_progress(
                tx,
                &member,
                WitnessProgress { size, cosigned_at, behind_since: None },
            )
        })
        .await?;
    Ok(())
}

/// The keys of every other member's witness.
#[must_use]
pub fn witness_keys(node: &Node) -> Vec<VerifierKey> {
    node.peers().filter_map(|peer| peer.keys.witness.parse().ok()).collect()
}

/// The key of the peer's log with that origin, which this node witnesses.
#[must_use]
pub fn log_key(node: &Node, origin: &str) -> Option<VerifierKey> {
    let keys = node.peers().filter_map(|peer| peer.keys.log.parse::<VerifierKey>().ok());
    keys.into_iter().find(|key| key.name() == origin)
}
