// SPDX-License-Identifier: Apache-2.0
//! Building roots and proofs from stored hashes, of which only every eighth level is stored.

use thiserror::Error;

use super::{Hash, MerkleError, fold_perfect, node_hash};

/// Where the hashes of perfect subtrees are stored, in tiles of height 8.
pub trait HashSource {
    /// What can go wrong in reading.
    type Error;

    /// The hashes of `count` neighbouring perfect subtrees at `level`, from index `start` on.
    ///
    /// The level is always divisible by 8 (0 are the leaves), `count` is at most 128, and the range lies within one
    /// tile of 256 hashes. Only hashes of entries within the tree size that the caller named are asked for.
    ///
    /// # Errors
    /// Whatever the storage reports.
    fn nodes(&self, level: u8, start: u64, count: usize) -> Result<Vec<Hash>, Self::Error>;
}

/// Why a root or proof could not be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// The storage failed.
    #[error("cannot read {count} hashes at level {level} from index {start}")]
    Read {
        /// Level asked for.
        level: u8,
        /// First index asked for.
        start: u64,
        /// Number of hashes asked for.
        count: usize,
        /// What the storage reported.
        source: E,
    },
    /// The storage gave another number of hashes than asked for: it is shorter than the tree.
    #[error(
        "storage holds {got} of the {count} hashes at level {level} from index {start}: it lacks part of the log"
    )]
    Missing {
        /// Level asked for.
        level: u8,
        /// First index asked for.
        start: u64,
        /// Number of hashes asked for.
        count: usize,
        /// Number of hashes that came.
        got: usize,
    },
    /// There is no such proof.
    #[error(transparent)]
    Impossible(#[from] MerkleError),
}

/// The hash of the perfect subtree `(level, index)`, over entries `index << level .. (index + 1) << level`.
///
/// # Errors
/// [`ProveError`] when the source fails or lacks hashes.
pub fn subtree_hash<S: HashSource>(source: &S, level: u8, index: u64) -> Result<Hash, ProveError<S::Error>> {
    let stored_level = level & !7;
    let height = level & 7;
    let (start, count) = (index << height, 1usize << height);
    let hashes = source.nodes(stored_level, start, count).map_err(|source| ProveError::Read {
        level: stored_level,
        start,
        count,
        source,
    })?;
    let got = hashes.len();
    if got != count {
        return Err(ProveError::Missing { level: stored_level, start, count, got });
    }
    fold_perfect(hashes).ok_or(ProveError::Missing { level: stored_level, start, count, got })
}

/// The root hash of the first `size` entries.
///
/// # Errors
/// [`ProveError`] when the source fails or lacks hashes.
pub fn root_at<S: HashSource>(source: &S, size: u64) -> Result<Hash, ProveError<S::Error>> {
    if size == 0 { Ok(Hash::of_empty_tree()) } else { range_hash(source, 0, size) }
}

/// The path from entry `index` to the root of the first `size` entries, leaf's sibling first (RFC 6962, section 2.1.1).
///
/// # Errors
/// [`ProveError`] when the index is outside the tree, or the source fails.
pub fn inclusion_proof<S: HashSource>(
    source: &S,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    if index >= size {
        return Err(MerkleError::OutsideTree { index, size }.into());
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range_hash(source, middle, end)?);
            end = middle;
        } else {
            path.push(range_hash(source, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the first `new` entries begin with the first `old` ones (RFC 6962, section 2.1.2).
///
/// Empty when `old` is 0 or equal to `new`.
///
/// # Errors
/// [`ProveError`] when `old` is more than `new`, or the source fails.
pub fn consistency_proof<S: HashSource>(
    source: &S,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    if old > new {
        return Err(MerkleError::Shrunk { old, new }.into());
    }
    let mut path = Vec::new();
    if old == 0 {
        return Ok(path);
    }
    let (mut start, mut end) = (0, new);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range_hash(source, middle, end)?);
            end = middle;
        } else {
            path.push(range_hash(source, start, middle)?);
            start = middle;
        }
    }
    // The old root itself is known to who verifies, unless the old tree was not a single subtree from entry 0 on.
    if start != 0 {
        path.push(range_hash(source, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The hash over entries `start..end`, where `start` is where RFC 6962 splits a tree.
fn range_hash<S: HashSource>(source: &S, start: u64, end: u64) -> Result<Hash, ProveError<S::Error>> {
    let width = end - start;
    if width.is_power_of_two() {
        let level = width.trailing_zeros() as u8;
        return subtree_hash(source, level, start >> level);
    }
    let middle = start + split(width);
    let left = range_hash(source, start, middle)?;
    let right = range_hash(source, middle, end)?;
    Ok(node_hash(&left, &right))
}

/// The largest power of two smaller than `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}
