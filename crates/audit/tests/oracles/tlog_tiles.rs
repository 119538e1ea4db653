// SPDX-License-Identifier: Apache-2.0
//! The crate `tlog_tiles`: roots, proofs, checkpoints and tile paths.

use sta_audit::checkpoint::Checkpoint;
use sta_audit::merkle::{
    Hash, consistency_proof, inclusion_proof, leaf_hash, root_at, verify_consistency, verify_inclusion,
};
use sta_audit::tile::{TileKind, tiles_for_size};
use tlog_tiles::{HashReader, check_record, check_tree, prove_record, prove_tree, stored_hashes, tree_hash};

use crate::memory_log::{MemoryLog, ORIGIN};

/// Their way of storing a log: all hashes of all levels in one row.
struct TheirLog(Vec<tlog_tiles::Hash>);

impl HashReader for TheirLog {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

impl TheirLog {
    fn of(log: &MemoryLog) -> Self {
        let mut theirs = Self(Vec::new());
        for (index, entry) in log.entries.iter().enumerate() {
            let completed = stored_hashes(index as u64, entry, &theirs).unwrap();
            theirs.0.extend(completed);
        }
        theirs
    }
}

fn to_theirs(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(|hash| tlog_tiles::Hash(hash.0)).collect()
}

fn to_ours(hashes: &[tlog_tiles::Hash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash(hash.0)).collect()
}

fn compare_entry(log: &MemoryLog, theirs: &TheirLog, index: u64, size: u64) {
    let root = root_at(log, size).unwrap();
    let leaf = leaf_hash(&log.entries[index as usize]);
    let path = inclusion_proof(log, index, size).unwrap();
    let their_path = prove_record(size, index, theirs).unwrap();
    assert_eq!(to_theirs(&path), their_path, "entry {index} of {size}");
    let (their_root, their_leaf) = (tlog_tiles::Hash(root.0), tlog_tiles::Hash(leaf.0));
    check_record(&to_theirs(&path), size, their_root, index, their_leaf).unwrap();
    verify_inclusion(index, size, &leaf, &root, &to_ours(&their_path)).unwrap();
}

fn compare_growth(log: &MemoryLog, theirs: &TheirLog, old: u64, new: u64) {
    let (old_root, new_root) = (root_at(log, old).unwrap(), root_at(log, new).unwrap());
    let path = consistency_proof(log, old, new).unwrap();
    let their_path = prove_tree(new, old, theirs).unwrap();
    assert_eq!(to_theirs(&path), their_path, "{old} to {new}");
    check_tree(&to_theirs(&path), new, tlog_tiles::Hash(new_root.0), old, tlog_tiles::Hash(old_root.0))
        .unwrap();
    verify_consistency(old, new, &old_root, &new_root, &to_ours(&their_path)).unwrap();
}

#[test]
fn roots_and_proofs_are_equal_at_every_size_to_300() {
    let log = MemoryLog::of_size(300);
    let theirs = TheirLog::of(&log);
    for size in 0..=300u64 {
        assert_eq!(tree_hash(size, &theirs).unwrap().0, root_at(&log, size).unwrap().0, "size {size}");
        // All pairs while that is quick, then every thirteenth, beginning elsewhere at each size.
        let (first, step) = if size <= 100 { (0, 1) } else { (size % 13, 13) };
        for index in (first..size).step_by(step) {
            compare_entry(&log, &theirs, index, size);
            compare_growth(&log, &theirs, index + 1, size);
        }
    }
}

#[test]
fn roots_and_proofs_are_equal_at_larger_sizes_around_the_borders_of_tiles() {
    let log = MemoryLog::of_size(66_000);
    let theirs = TheirLog::of(&log);
    let sizes = [1, 255, 256, 257, 4_095, 4_097, 12_345, 65_279, 65_535, 65_536, 65_537, 65_793, 66_000];
    for size in sizes {
        assert_eq!(tree_hash(size, &theirs).unwrap().0, root_at(&log, size).unwrap().0, "size {size}");
        for index in
            [0, 1, 254, 255, 256, 12_344, 65_535, 65_536, size - 1].into_iter().filter(|index| *index < size)
        {
            compare_entry(&log, &theirs, index, size);
        }
        for old in sizes.into_iter().filter(|old| *old <= size) {
            compare_growth(&log, &theirs, old, size);
        }
    }
}

#[test]
fn checkpoints_have_the_same_text() {
    for size in [0, 1, 300, u64::MAX] {
        let ours = Checkpoint::new(ORIGIN, size, leaf_hash(b"root")).unwrap();
        let theirs = tlog_tiles::Checkpoint::new(ORIGIN, size, tlog_tiles::Hash(ours.root().0), "").unwrap();
        assert_eq!(theirs.to_bytes(), ours.to_string().as_bytes());
        assert_eq!(tlog_tiles::Checkpoint::from_bytes(ours.to_string().as_bytes()).unwrap(), theirs);
        let parsed: Checkpoint = String::from_utf8(theirs.to_bytes()).unwrap().parse().unwrap();
        assert_eq!(parsed, ours);
    }
}

#[test]
fn the_tiles_of_a_log_have_the_same_paths_and_bytes() {
    let log = MemoryLog::of_size(66_000);
    let (theirs, files) = (TheirLog::of(&log), log.files());
    for tile in tiles_for_size(66_000) {
        let TileKind::Hashes { level } = tile.kind() else { continue };
        let their_tile = tlog_tiles::Tile::new(8, level, tile.index(), u32::from(tile.width()), false);
        // Their paths name the tile height, which C2SP leaves out because it is always 8.
        assert_eq!(their_tile.path().replacen("tile/8/", "tile/", 1), tile.to_string());
        assert_eq!(their_tile.read_data(&theirs).unwrap(), files.0[&tile.to_string()]);
    }
}
