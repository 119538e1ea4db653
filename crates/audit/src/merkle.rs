// SPDX-License-Identifier: Apache-2.0
//! RFC 6962 Merkle trees over SHA-256: the hashes, and the verification of inclusion and consistency proofs.

mod frontier;
mod prove;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use frontier::Frontier;
pub use prove::{HashSource, ProveError, consistency_proof, inclusion_proof, root_at, subtree_hash};

/// The most hashes any inclusion or consistency proof of a tree with a 64-bit size can have.
pub const PATH_HASHES_MAX: usize = 64;

/// A SHA-256 hash: of a leaf, of a node, or of a whole tree (RFC 6962, section 2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The root of a tree without entries: SHA-256 of nothing.
    #[must_use]
    pub fn of_empty_tree() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Reads standard base64 of exactly 32 bytes, in its only canonical spelling.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        // 44 characters carry 32 bytes; anything else need not be decoded to be refused.
        if text.len() != 44 {
            return None;
        }
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Standard base64, as every C2SP format writes a hash.
impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hash({self})")
    }
}

/// The hash of an entry: SHA-256(0x00 || entry).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// The hash of an inner node: SHA-256(0x01 || left || right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Folds a run of sibling hashes, a power of two of them, into the hash of the subtree over them.
///
/// None when there are none or their number is not a power of two.
#[must_use]
pub fn fold_perfect(mut hashes: Vec<Hash>) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    while hashes.len() > 1 {
        hashes = hashes.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    hashes.pop()
}

/// Why a Merkle proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MerkleError {
    /// The index names no entry of the tree.
    #[error("entry {index} is not in a tree of {size} entries")]
    OutsideTree {
        /// Zero-based index asked for.
        index: u64,
        /// Number of entries of the tree.
        size: u64,
    },
    /// A log may only grow.
    #[error("the newer tree has {new} entries, fewer than the older one with {old}")]
    Shrunk {
        /// Number of entries of the older tree.
        old: u64,
        /// Number of entries of the newer tree.
        new: u64,
    },
    /// Too few or too many hashes for these sizes.
    #[error("the proof has {hashes} hashes, which does not fit the tree sizes it is for")]
    Length {
        /// Number of hashes of the proof.
        hashes: usize,
    },
    /// The proof leads to another root: entry, proof or root was altered.
    #[error("the proof leads to root {computed}, but the tree of {size} entries has root {expected}")]
    Root {
        /// Size of the tree whose root differs.
        size: u64,
        /// The root that was given as true.
        expected: Hash,
        /// The root that the proof leads to.
        computed: Hash,
    },
}

/// Checks that the leaf is entry `index` of the tree with `size` entries and this root (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`MerkleError`] when index, length or root do not fit.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    root: &Hash,
    path: &[Hash],
) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::OutsideTree { index, size });
    }
    let wrong_length = MerkleError::Length { hashes: path.len() };
    let (mut node, mut last, mut computed) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            computed = node_hash(sibling, &computed);
            // A node without a right sibling moves up unhashed until it is a right child.
            while node & 1 == 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            computed = node_hash(&computed, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    expect_root(size, root, computed)
}

/// Checks that the tree of `new` entries only appended to the tree of `old` entries (RFC 9162, section 2.1.4.2).
///
/// From the empty tree everything follows, so the path must be empty there; at equal sizes the path is empty and the
/// roots are equal.
///
/// # Errors
/// [`MerkleError`] when sizes, length or a root do not fit.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    path: &[Hash],
) -> Result<(), MerkleError> {
    if old > new {
        return Err(MerkleError::Shrunk { old, new });
    }
    if old == 0 || old == new {
        if !path.is_empty() {
            return Err(MerkleError::Length { hashes: path.len() });
        }
        if old == 0 {
            expect_root(0, old_root, Hash::of_empty_tree())?;
        }
        return if old == new { expect_root(new, new_root, *old_root) } else { Ok(()) };
    }
    let wrong_length = MerkleError::Length { hashes: path.len() };
    let (seed, rest) = match path.split_first() {
        // A perfect old tree is itself the first node, and the proof leaves it out.
        _ if old.is_power_of_two() => (old_root, path),
        Some(split) => split,
        None => return Err(wrong_length),
    };
    let skipped = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> skipped, (new - 1) >> skipped);
    let (mut old_computed, mut new_computed) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old_computed = node_hash(sibling, &old_computed);
            new_computed = node_hash(sibling, &new_computed);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_computed = node_hash(&new_computed, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    expect_root(old, old_root, old_computed)?;
    expect_root(new, new_root, new_computed)
}

fn expect_root(size: u64, expected: &Hash, computed: Hash) -> Result<(), MerkleError> {
    if *expected == computed {
        Ok(())
    } else {
        Err(MerkleError::Root { size, expected: *expected, computed })
    }
}
