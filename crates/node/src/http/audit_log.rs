// SPDX-License-Identifier: Apache-2.0
//! The audit log for anyone to read (C2SP tlog-tiles), and this node as the witness of others' logs (C2SP tlog-witness).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rusqlite::Connection;
use sta_audit::{
    key::VerifierKey,
    merkle::HashSource,
    tile::{Tile, TileKind, write_bundle, write_hash_tile},
    witness::{AddCheckpoint, REQUEST_BYTES_MAX, TEXT_CONTENT_TYPE, WitnessRefusal, Witnessed, witness},
};

use super::{
    extract::{PathOf, whole_body},
    problem::Fault,
};
use crate::{
    node::Node,
    store::{
        StoreError,
        audit::{self, StoredHashes},
        peers,
    },
};

/// A full tile never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// A partial tile does not change either, but a fuller one follows soon.
const SHORTLY: &str = "public, max-age=60";

/// The newest checkpoint that the other members' witnesses have cosigned; before the first, the newest of all.
#[utoipa::path(get, path = "/audit/checkpoint", responses((status = 200, description = "A signed note (C2SP tlog-checkpoint)", body = String, content_type = "text/plain")))]
pub(super) async fn show_checkpoint(State(node): State<Arc<Node>>) -> Result<Response, Fault> {
    let kept = node.store.read(|connection| match audit::checkpoint(connection, "published")? {
        Some(published) => Ok(Some(published)),
        None => audit::checkpoint(connection, "latest"),
    })?;
    let (_, note) = kept.ok_or_else(|| Fault::not_found("checkpoint", "none yet"))?;
    Ok(([(header::CONTENT_TYPE, TEXT_CONTENT_TYPE), (header::CACHE_CONTROL, "no-cache")], note)
        .into_response())
}

/// A tile of hashes or a bundle of entries.
#[utoipa::path(get, path = "/audit/tile/{path}", responses((status = 200, description = "A tile (C2SP tlog-tiles)", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn show_tile(
    State(node): State<Arc<Node>>,
    PathOf(path): PathOf<String>,
) -> Result<Response, Fault> {
    let path = format!("tile/{path}");
    let not_there = || Fault::not_found("tile", path.chars().take(100).collect::<String>());
    let tile: Tile = path.parse().map_err(|_no_tile| not_there())?;
    let bytes = node.store.read(|connection| tile_bytes(connection, tile))?.ok_or_else(not_there)?;
    let age = if tile.is_partial() { SHORTLY } else { FOREVER };
    Ok(([(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, age)], bytes)
        .into_response())
}

/// The bytes of a tile, if the log is large enough to have it.
fn tile_bytes(connection: &Connection, tile: Tile) -> Result<Option<Vec<u8>>, StoreError> {
    let size = audit::log_size(connection)?;
    let in_log = Tile::in_log(tile.kind(), tile.index(), size);
    if in_log.is_none_or(|in_log| in_log.width() < tile.width()) {
        return Ok(None);
    }
    let damaged = |problem: String| StoreError::Damaged { what: "tile", problem };
    let bytes = match tile.kind() {
        TileKind::Entries => {
            write_bundle(&audit::entries(connection, tile.start(), u64::from(tile.width()))?)
        }
        TileKind::Hashes { level } => {
            let nodes = StoredHashes(connection).nodes(8 * level, tile.start(), usize::from(tile.width()));
            write_hash_tile(&nodes.map_err(|error| damaged(error.to_string()))?)
        }
    };
    bytes.map(Some).map_err(|error| damaged(error.to_string()))
}

/// Cosigns the checkpoint of another member's log, if it grew from what this node has cosigned before.
#[utoipa::path(post, path = "/witness/add-checkpoint", request_body(content = String, content_type = "text/plain", description = "C2SP tlog-witness"), responses((status = 200, description = "The cosignature", body = String, content_type = "text/plain")))]
pub(super) async fn add_checkpoint(
    State(node): State<Arc<Node>>,
    request: Request,
) -> Result<Response, Fault> {
    let body = whole_body(request, REQUEST_BYTES_MAX).await?;
    let request = match AddCheckpoint::parse(&body) {
        Ok(request) => request,
        Err(refusal) => return refuse(&refusal),
    };
    // Anybody may post here: what the log's key has not signed is refused before it costs a write.
    let last = node.store.read(|connection| peers::witnessed(connection, request.origin()))?;
    let first_look = decide(&node, &request, last);
    if let Err(
        refusal @ (WitnessRefusal::UnknownOrigin { .. }
        | WitnessRefusal::NotSigned { .. }
        | WitnessRefusal::Malformed { .. }),
    ) = &first_look
    {
        return refuse(refusal);
    }
    match check_and_keep(&node, request).await? {
        Ok(witnessed) => {
            Ok(([(header::CONTENT_TYPE, TEXT_CONTENT_TYPE)], witnessed.response).into_response())
        }
        Err(refusal) => refuse(&refusal),
    }
}

/// Reading what was cosigned last, deciding and keeping what is cosigned now are one transaction, durable before the answer.
async fn check_and_keep(
    node: &Arc<Node>,
    request: AddCheckpoint,
) -> Result<Result<Witnessed, WitnessRefusal>, StoreError> {
    let witness_node = Arc::clone(node);
    node.store
        .write(move |tx| {
            let last = peers::witnessed(tx.connection(), request.origin())?;
            let decided = decide(&witness_node, &request, last);
            if let Ok(witnessed) = &decided {
                peers::keep_witnessed(tx, &witnessed.origin, witnessed.size, witnessed.root)?;
            }
            Ok(decided)
        })
        .await
}

fn decide(
    node: &Node,
    request: &AddCheckpoint,
    last: Option<(u64, sta_audit::merkle::Hash)>,
) -> Result<Witnessed, WitnessRefusal> {
    let known = node.peers().filter_map(|member| member.keys.log.parse::<VerifierKey>().ok());
    let log_key = known.into_iter().find(|key| key.name() == request.origin());
    let seconds = u64::try_from(node.outside.now().as_second()).unwrap_or(0);
    witness(request, log_key.as_ref(), last, &node.keys.witness, seconds)
}

/// The status and body that tlog-witness prescribes, not a problem document.
fn refuse(refusal: &WitnessRefusal) -> Result<Response, Fault> {
    let status =
        StatusCode::from_u16(refusal.status()).map_err(|error| Fault::internal("witness", &error))?;
    let content_type = HeaderValue::from_static(refusal.content_type());
    Ok((status, [(header::CONTENT_TYPE, content_type)], refusal.body()).into_response())
}
