// SPDX-License-Identifier: Apache-2.0
//! The digests of the pieces of files that are here whole, so that serving a piece does not hash it again.
//!
//! They are computed as a file is uploaded and lie beside it; a list that a disk has damaged counts as none. Of a file from
//! another member only what its holder signed is known, which nobody has compared, so that it is not kept.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use sta_protocol::digest::Sha256Digest;

use super::{Blobs, PIECE_BYTES, file_error};
use crate::store::StoreError;

/// How many digests are kept in memory at most, over all files: 16 MiB of them, for half a tebibyte.
const KNOWN_MAX: usize = 524_288;

/// The lists that were read last.
#[derive(Debug, Default)]
pub(super) struct KnownPieces(Mutex<BTreeMap<Sha256Digest, Arc<Vec<Sha256Digest>>>>);

impl Blobs {
    /// SHA-256 of `length` bytes of a whole file from `offset` on, where that is one of its pieces and it is known.
    pub(super) fn piece_digest(
        &self,
        sha256: Sha256Digest,
        whole: u64,
        offset: u64,
        length: u64,
    ) -> Option<Sha256Digest> {
        let is_piece =
            offset.is_multiple_of(PIECE_BYTES) && length == PIECE_BYTES.min(whole.checked_sub(offset)?);
        if !is_piece {
            return None;
        }
        if whole <= PIECE_BYTES {
            return Some(sha256);
        }
        let pieces = self.pieces(sha256)?;
        let fits = pieces.len() as u64 == whole.div_ceil(PIECE_BYTES);
        pieces.get(usize::try_from(offset / PIECE_BYTES).ok()?).copied().filter(|_| fits)
    }

    /// Writes the digests of a file's pieces beside it; a file of one piece needs none.
    pub(super) fn keep_pieces(
        &self,
        sha256: Sha256Digest,
        pieces: &[Sha256Digest],
    ) -> Result<(), StoreError> {
        if pieces.len() <= 1 {
            return Ok(());
        }
        let mut bytes: Vec<u8> = pieces.iter().flat_map(|piece| *piece.as_bytes()).collect();
        bytes.extend(Sha256Digest::of(&bytes).as_bytes());
        self.make_shelf(sha256)?;
        let path = self.pieces_path(sha256);
        fs::write(&path, bytes).map_err(|source| file_error(&path, source))
    }

    /// Where the digests of a file's pieces lie.
    pub(super) fn pieces_path(&self, sha256: Sha256Digest) -> PathBuf {
        self.path(sha256).with_extension("pieces")
    }

    fn pieces(&self, sha256: Sha256Digest) -> Option<Arc<Vec<Sha256Digest>>> {
        let mut known = self.inner.known.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pieces) = known.get(&sha256) {
            return Some(Arc::clone(pieces));
        }
        let pieces = match self.read_pieces(sha256) {
            Ok(pieces) => Arc::new(pieces?),
            Err(error) => {
                tracing::debug!(%sha256, %error, "the digests of a file's pieces cannot be read");
                return None;
            }
        };
        while known.values().map(|pieces| pieces.len()).sum::<usize>() + pieces.len() > KNOWN_MAX {
            // Any of them: which is served next is not known.
            known.pop_first()?;
        }
        known.insert(sha256, Arc::clone(&pieces));
        Some(pieces)
    }

    fn read_pieces(&self, sha256: Sha256Digest) -> io::Result<Option<Vec<Sha256Digest>>> {
        let bytes = fs::read(self.pieces_path(sha256))?;
        let (digests, _) = bytes.as_chunks::<32>();
        let Some((sum, pieces)) = digests.split_last() else { return Ok(None) };
        let whole = Sha256Digest::of(pieces.as_flattened()) == Sha256Digest::from_bytes(*sum);
        Ok(whole.then(|| pieces.iter().copied().map(Sha256Digest::from_bytes).collect()))
    }

    /// Forgets the digests of a file that is removed.
    pub(super) fn forget_pieces(&self, sha256: Sha256Digest) {
        self.inner.known.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&sha256);
    }
}
