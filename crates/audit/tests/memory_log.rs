// SPDX-License-Identifier: Apache-2.0
//! A log in memory, built as a node builds one: append, keep every eighth level, sign, cosign, render the files.

use std::collections::BTreeMap;
use std::convert::Infallible;

use sta_audit::checkpoint::Checkpoint;
use sta_audit::cosignature::Cosigner;
use sta_audit::merkle::{Frontier, Hash, HashSource, inclusion_proof, leaf_hash};
use sta_audit::note::{NoteSigner, SignedNote};
use sta_audit::proof::Proof;
use sta_audit::tile::{Tile, TileKind, tiles_for_size, write_bundle, write_hash_tile};
use sta_audit::verify::LogFiles;

pub(crate) const ORIGIN: &str = "log.example/canada";
pub(crate) const COSIGNED_AT: u64 = 1_795_000_000;

/// Entries and the stored hashes over them.
pub(crate) struct MemoryLog {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) frontier: Frontier,
    nodes: BTreeMap<(u8, u64), Hash>,
}

/// A log directory in memory.
#[derive(Clone)]
pub(crate) struct MemoryFiles(pub(crate) BTreeMap<String, Vec<u8>>);

impl MemoryLog {
    /// A log of `size` different entries, one of them empty.
    pub(crate) fn of_size(size: u64) -> Self {
        let mut log = Self { entries: Vec::new(), frontier: Frontier::new(), nodes: BTreeMap::new() };
        for index in 0..size {
            log.append(if index == 1 { Vec::new() } else { format!("entry {index}").into_bytes() });
        }
        log
    }

    pub(crate) fn append(&mut self, entry: Vec<u8>) {
        self.frontier.append(leaf_hash(&entry), |level, index, hash| {
            if level % 8 == 0 {
                assert_eq!(self.nodes.insert((level, index), hash), None, "each subtree is completed once");
            }
        });
        self.entries.push(entry);
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The checkpoint of the whole log, signed by the log alone.
    pub(crate) fn signed(&self) -> SignedNote {
        Checkpoint::new(ORIGIN, self.size(), self.root()).unwrap().sign(&log_signer()).unwrap()
    }

    /// The checkpoint of the whole log, signed and cosigned.
    pub(crate) fn cosigned(&self) -> SignedNote {
        let mut note = self.signed();
        note.add(witness_signer().cosign(note.text(), COSIGNED_AT).unwrap()).unwrap();
        note
    }

    pub(crate) fn proof_of(&self, index: u64) -> Proof {
        let path = inclusion_proof(self, index, self.size()).unwrap();
        Proof::new(index, path, self.cosigned(), Vec::new()).unwrap()
    }

    pub(crate) fn files(&self) -> MemoryFiles {
        let mut files = BTreeMap::from([("checkpoint".to_owned(), self.cosigned().to_string().into_bytes())]);
        for tile in tiles_for_size(self.size()) {
            files.insert(tile.to_string(), self.tile_bytes(tile));
        }
        MemoryFiles(files)
    }

    fn tile_bytes(&self, tile: Tile) -> Vec<u8> {
        let width = usize::from(tile.width());
        match tile.kind() {
            TileKind::Hashes { level } => {
                write_hash_tile(&self.nodes(level * 8, tile.start(), width).unwrap()).unwrap()
            }
            TileKind::Entries => write_bundle(&self.entries[tile.start() as usize..][..width]).unwrap(),
        }
    }
}

impl HashSource for MemoryLog {
    type Error = Infallible;

    fn nodes(&self, level: u8, start: u64, count: usize) -> Result<Vec<Hash>, Infallible> {
        assert_eq!(level % 8, 0, "only levels of tiles are stored");
        assert_eq!(start / 256, (start + count as u64 - 1) / 256, "a range lies within one tile");
        Ok((start..).take(count).map_while(|index| self.nodes.get(&(level, index)).copied()).collect())
    }
}

impl LogFiles for MemoryFiles {
    type Error = Infallible;

    fn read(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(path).map(|bytes| bytes[..bytes.len().min(bytes_max + 1)].to_vec()))
    }
}

pub(crate) fn log_signer() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[1; 32]).unwrap()
}

pub(crate) fn witness_signer() -> Cosigner {
    Cosigner::new("witness.example/germany", &[2; 32]).unwrap()
}
