// SPDX-License-Identifier: Apache-2.0
//! The growing right edge of a Merkle tree: all that an append needs to know of the entries before it.

use super::{Hash, HashSource, ProveError, node_hash, subtree_hash};

/// The roots of the perfect subtrees that a tree of `size` entries consists of, widest first: one for each bit of the
/// size. At most 64 hashes, whatever the size of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    edge: Vec<Hash>,
}

impl Frontier {
    /// The frontier of an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of the first `size` entries, read from stored hashes.
    ///
    /// # Errors
    /// [`ProveError`] when the source fails or lacks hashes.
    pub fn rebuild<S: HashSource>(source: &S, size: u64) -> Result<Self, ProveError<S::Error>> {
        let mut edge = Vec::new();
        let mut start = 0;
        for level in (0..64u8).rev().filter(|level| size >> level & 1 == 1) {
            edge.push(subtree_hash(source, level, start >> level)?);
            start += 1 << level;
        }
        Ok(Self { size, edge })
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends one leaf and tells `completed` of every perfect subtree it completes, as `(level, index, hash)` from the
    /// leaf itself (level 0) upwards. A log keeps those of levels 0, 8, 16 and so on: they are the hashes of its tiles.
    ///
    /// # Panics
    /// At 2^64 - 1 entries, which no log reaches.
    pub fn append(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, Hash)) {
        let index = self.size;
        self.size = self.size.checked_add(1).expect("a log never holds 2^64 entries");
        let mut hash = leaf;
        let mut level = 0u8;
        completed(level, index, hash);
        // Each one-bit at the low end of the old size is a waiting left sibling.
        while index >> level & 1 == 1 {
            let left = self.edge.pop().expect("the edge holds one hash for each bit of the size");
            hash = node_hash(&left, &hash);
            level += 1;
            completed(level, index >> level, hash);
        }
        self.edge.push(hash);
    }

    /// The root hash over all entries so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut narrowest_first = self.edge.iter().rev();
        match narrowest_first.next() {
            None => Hash::of_empty_tree(),
            Some(narrowest) => narrowest_first.fold(*narrowest, |right, left| node_hash(left, &right)),
        }
    }
}
