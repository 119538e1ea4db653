// SPDX-License-Identifier: Apache-2.0
//! The offline verifier: a whole log directory in C2SP layout, recomputed from its entries with nothing trusted but
//! the keys. Holds one entry bundle and one hash tile of each level in memory, whatever the size of the log.

use thiserror::Error;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::cosignature::{CosignatureError, Cosigned, require_quorum};
use crate::key::VerifierKey;
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::note::{NOTE_BYTES_MAX, SignedNote};
use crate::tile::{
    ENTRY_BYTES_MAX, TILE_LEVEL_MAX, TILE_WIDTH, Tile, TileError, TileKind, bundle_entries, bundles_for_size,
    read_hash_tile,
};

/// The path of the checkpoint in a log directory.
pub const CHECKPOINT_PATH: &str = "checkpoint";

const HASH_TILE_BYTES_MAX: usize = 32 * TILE_WIDTH as usize;
const BUNDLE_BYTES_MAX: usize = (2 + ENTRY_BYTES_MAX) * TILE_WIDTH as usize;

/// The files of a log: a directory, an archive, or a log served over HTTP.
pub trait LogFiles {
    /// What can go wrong in reading.
    type Error;

    /// The content of the file at a relative path with `/` between its parts, or None if there is none.
    ///
    /// No file of a log is longer than `bytes_max`. An implementation may stop after one byte more, which is enough
    /// for the verifier to refuse the file.
    ///
    /// # Errors
    /// Whatever the storage reports, other than that there is no such file.
    fn read(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// What a verified log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// Origin of the log.
    pub origin: String,
    /// Number of entries, every one recomputed.
    pub size: u64,
    /// Root hash over them.
    pub root: Hash,
    /// The trusted witnesses that cosigned the checkpoint.
    pub witnesses: Vec<Cosigned>,
}

/// The first thing found wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError<E> {
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// Path in the log directory.
        path: String,
        /// What the storage reported.
        source: E,
    },
    /// A file that a log of this size has is not there.
    #[error("`{path}` is missing: a log of this size has it; export or fetch the log again")]
    Missing {
        /// Path in the log directory.
        path: String,
    },
    /// The checkpoint is not this log's.
    #[error("`checkpoint` is not trusted: {0}")]
    Checkpoint(CheckpointError),
    /// The checkpoint is not witnessed as required.
    #[error("`checkpoint` is not witnessed as required: {0}")]
    Witnesses(CosignatureError),
    /// An entry is not the one that the log committed to.
    #[error("entry {index} in `{path}` was altered: it is not what the log committed to")]
    EntryAltered {
        /// Zero-based index of the first such entry.
        index: u64,
        /// The bundle it lies in.
        path: String,
    },
    /// A bundle cannot be read on from this entry.
    #[error("entry {index} in `{path}` is unreadable: {reason}")]
    EntryUnreadable {
        /// Zero-based index of the first such entry.
        index: u64,
        /// The bundle it should lie in.
        path: String,
        /// What is wrong with the bundle there.
        reason: TileError,
    },
    /// All entries are what the log committed to, but the stored hash of one is not.
    #[error(
        "the hash of entry {index} in `{path}` was altered; the entry itself is what the log committed to"
    )]
    LeafHashAltered {
        /// Zero-based index of the first such entry.
        index: u64,
        /// The hash tile.
        path: String,
    },
    /// A stored hash is not that of the tile below it.
    #[error(
        "`{path}` disagrees with entries {first} to {last}: it was altered, or they were together with their hashes"
    )]
    NodeAltered {
        /// The hash tile.
        path: String,
        /// Index of the first entry under the hash.
        first: u64,
        /// Index of the last entry under the hash.
        last: u64,
    },
    /// A hash tile or bundle has the wrong form.
    #[error("`{path}` is malformed: {reason}")]
    Tile {
        /// Path in the log directory.
        path: String,
        /// What is wrong with it.
        reason: TileError,
    },
    /// Entries and tiles agree with each other but not with the signed root.
    #[error("the entries have root {computed}, but the checkpoint signs {expected}: the log was rewritten")]
    Root {
        /// Root in the checkpoint.
        expected: Hash,
        /// Root over the entries.
        computed: Hash,
    },
}

impl<E> VerifyError<E> {
    /// The index of the first entry that is wrong, where the fault is at an entry.
    #[must_use]
    pub fn entry_index(&self) -> Option<u64> {
        match self {
            Self::EntryAltered { index, .. }
            | Self::EntryUnreadable { index, .. }
            | Self::LeafHashAltered { index, .. } => Some(*index),
            Self::NodeAltered { first, .. } => Some(*first),
            Self::Read { .. }
            | Self::Missing { .. }
            | Self::Checkpoint(_)
            | Self::Witnesses(_)
            | Self::Tile { .. }
            | Self::Root { .. } => None,
        }
    }
}

/// Verifies a whole log: the checkpoint is signed by `log_key` and cosigned by at least `quorum` different ones of
/// `witness_keys`, and every entry, every hash tile and the root belong together.
///
/// # Errors
/// [`VerifyError`] that names the file, and the entry where there is one.
pub fn verify_log<F: LogFiles>(
    files: &F,
    log_key: &VerifierKey,
    witness_keys: &[VerifierKey],
    quorum: usize,
) -> Result<LogReport, VerifyError<F::Error>> {
    let bytes = read(files, CHECKPOINT_PATH, NOTE_BYTES_MAX)?
        .ok_or_else(|| VerifyError::Missing { path: CHECKPOINT_PATH.to_owned() })?;
    let note = SignedNote::parse(&bytes).map_err(|reason| VerifyError::Checkpoint(reason.into()))?;
    let checkpoint = Checkpoint::open(&note, log_key).map_err(VerifyError::Checkpoint)?;
    let witnesses = require_quorum(&note, witness_keys, quorum).map_err(VerifyError::Witnesses)?;
    let (size, root) = (checkpoint.size(), checkpoint.root());
    let mut walk = Walk::new(files, size);
    for bundle in bundles_for_size(size) {
        walk.bundle(bundle)?;
    }
    walk.conclude(root)?;
    Ok(LogReport { origin: checkpoint.origin().to_owned(), size, root, witnesses })
}

/// The way through a log from its first entry to its last.
struct Walk<'files, F> {
    files: &'files F,
    size: u64,
    frontier: Frontier,
    /// The hash tile that each level is at.
    loaded: [Option<(Tile, Vec<Hash>)>; TILE_LEVEL_MAX as usize + 1],
    disagreement: Option<Disagreement>,
}

/// The first stored hash that is not the one computed. Whether it or what lies below it was altered is only known once
/// the root is.
struct Disagreement {
    tile: Tile,
    /// Index of the hash at its tile level.
    index: u64,
}

impl<'files, F: LogFiles> Walk<'files, F> {
    fn new(files: &'files F, size: u64) -> Self {
        let loaded = std::array::from_fn(|_| None);
        Self { files, size, frontier: Frontier::new(), loaded, disagreement: None }
    }

    fn bundle(&mut self, tile: Tile) -> Result<(), VerifyError<F::Error>> {
        let (found, bytes) = self.read_tile(tile, BUNDLE_BYTES_MAX)?;
        let width = usize::from(tile.width());
        let mut entries = bundle_entries(&bytes);
        for entry in entries.by_ref().take(width) {
            match entry {
                Ok(entry) => self.entry(entry)?,
                Err(reason) => return Err(self.unreadable(&found, reason)),
            }
        }
        let got = (self.frontier.size() - tile.start()) as usize;
        if got < width {
            return Err(self.unreadable(&found, TileError::Width { expected: width, got }));
        }
        let beyond = entries.count();
        if found == tile && beyond > 0 {
            let reason = TileError::Width { expected: width, got: width + beyond };
            return Err(self
                .altered_entry()
                .unwrap_or(VerifyError::Tile { path: found.to_string(), reason }));
        }
        Ok(())
    }

    fn entry(&mut self, entry: &[u8]) -> Result<(), VerifyError<F::Error>> {
        let mut stored_levels = Vec::new();
        self.frontier.append(leaf_hash(entry), |level, index, hash| {
            if level % 8 == 0 {
                stored_levels.push((level / 8, index, hash));
            }
        });
        stored_levels.into_iter().try_for_each(|(level, index, hash)| self.compare(level, index, hash))
    }

    /// Compares a computed hash with the one in its tile, unless a fault was already found: above it all would differ.
    fn compare(&mut self, level: u8, index: u64, hash: Hash) -> Result<(), VerifyError<F::Error>> {
        if self.disagreement.is_some() {
            return Ok(());
        }
        let tile = Tile::in_log(TileKind::Hashes { level }, index / u64::from(TILE_WIDTH), self.size)
            .expect("a subtree within the log has its hash in a tile of the log");
        let slot = usize::from(level);
        if self.loaded[slot].as_ref().is_none_or(|(loaded, _)| *loaded != tile) {
            let (found, bytes) = self.read_tile(tile, HASH_TILE_BYTES_MAX)?;
            let hashes = read_hash_tile(&bytes, found.width())
                .map_err(|reason| VerifyError::Tile { path: found.to_string(), reason })?;
            self.loaded[slot] = Some((tile, hashes));
        }
        let stored =
            self.loaded[slot].as_ref().and_then(|(_, hashes)| hashes.get((index - tile.start()) as usize));
        if stored != Some(&hash) {
            self.disagreement = Some(Disagreement { tile, index });
        }
        Ok(())
    }

    /// Says what was altered, now that the root over the entries shows which side to believe.
    fn conclude(&self, expected: Hash) -> Result<(), VerifyError<F::Error>> {
        let computed = self.frontier.root();
        let Some(Disagreement { tile, index }) = &self.disagreement else {
            let agreed = computed == expected;
            return if agreed { Ok(()) } else { Err(VerifyError::Root { expected, computed }) };
        };
        match self.altered_entry() {
            Some(_) if computed == expected => {
                Err(VerifyError::LeafHashAltered { index: *index, path: tile.to_string() })
            }
            Some(altered) => Err(altered),
            None => Err(self.altered_node(*tile, *index)),
        }
    }

    /// The entry to blame if the first disagreement is at one.
    fn altered_entry(&self) -> Option<VerifyError<F::Error>> {
        let Disagreement { tile, index } = self.disagreement.as_ref()?;
        let bundle = Tile::entries(tile.index(), tile.width()).ok()?;
        let at_leaf = Tile::hashes(0, tile.index(), tile.width()).ok()? == *tile;
        at_leaf.then(|| VerifyError::EntryAltered { index: *index, path: bundle.to_string() })
    }

    fn altered_node(&self, tile: Tile, index: u64) -> VerifyError<F::Error> {
        let entries_each = match tile.kind() {
            TileKind::Hashes { level } => 1 << (8 * u32::from(level)),
            TileKind::Entries => 1,
        };
        let first = index * entries_each;
        VerifyError::NodeAltered { path: tile.to_string(), first, last: first + (entries_each - 1) }
    }

    /// A bundle that breaks off is blamed on an altered entry before it, whose length may have been what was altered.
    fn unreadable(&self, bundle: &Tile, reason: TileError) -> VerifyError<F::Error> {
        let (index, path) = (self.frontier.size(), bundle.to_string());
        self.altered_entry().unwrap_or(VerifyError::EntryUnreadable { index, path, reason })
    }

    /// Reads a tile. A log may drop a partial tile once it is full, so the full one stands in for it.
    fn read_tile(&self, tile: Tile, bytes_max: usize) -> Result<(Tile, Vec<u8>), VerifyError<F::Error>> {
        for candidate in [tile, tile.full()] {
            if let Some(bytes) = read(self.files, &candidate.to_string(), bytes_max)? {
                return Ok((candidate, bytes));
            }
        }
        Err(VerifyError::Missing { path: tile.to_string() })
    }
}

fn read<F: LogFiles>(
    files: &F,
    path: &str,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, VerifyError<F::Error>> {
    files.read(path, bytes_max).map_err(|source| VerifyError::Read { path: path.to_owned(), source })
}
