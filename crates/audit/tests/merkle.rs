// SPDX-License-Identifier: Apache-2.0
//! Rules of the Merkle tree and its proofs.

use sta_audit::merkle::{
    Frontier, Hash, MerkleError, ProveError, consistency_proof, inclusion_proof, leaf_hash, root_at,
    subtree_hash, verify_consistency, verify_inclusion,
};

use crate::memory_log::MemoryLog;

#[test]
fn the_root_of_nothing_is_the_hash_of_nothing() {
    assert_eq!(Frontier::new().root(), Hash::of_empty_tree());
    assert_eq!(Hash::of_empty_tree().to_string(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

#[test]
fn a_frontier_rebuilt_from_stored_hashes_goes_on_like_the_one_that_stored_them() {
    for size in (0..=300).chain([511, 512, 65_535, 65_536, 66_000]) {
        let log = MemoryLog::of_size(size);
        let mut rebuilt = Frontier::rebuild(&log, size).unwrap();
        assert_eq!(rebuilt, log.frontier, "size {size}");
        let mut grown = log.frontier.clone();
        grown.append(leaf_hash(b"next"), |_, _, _| ());
        rebuilt.append(leaf_hash(b"next"), |_, _, _| ());
        assert_eq!(rebuilt.root(), grown.root());
    }
}

#[test]
fn the_root_at_each_earlier_size_is_the_root_the_log_had_then() {
    let mut log = MemoryLog::of_size(0);
    let mut roots = vec![log.root()];
    for index in 0..600 {
        log.append(vec![index as u8; 3]);
        roots.push(log.root());
    }
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(root_at(&log, size as u64).unwrap(), *root, "size {size}");
    }
}

#[test]
fn every_entry_is_included_and_no_other_place_or_leaf_is() {
    for size in 1..=70 {
        let log = MemoryLog::of_size(size);
        for index in 0..size {
            let path = inclusion_proof(&log, index, size).unwrap();
            let leaf = leaf_hash(&log.entries[index as usize]);
            verify_inclusion(index, size, &leaf, &log.root(), &path).unwrap();
            let other = leaf_hash(b"another");
            assert!(verify_inclusion(index, size, &other, &log.root(), &path).is_err());
            for elsewhere in (0..size).filter(|elsewhere| *elsewhere != index) {
                assert!(verify_inclusion(elsewhere, size, &leaf, &log.root(), &path).is_err());
            }
            let mut longer = path.clone();
            longer.push(leaf);
            let too_long = verify_inclusion(index, size, &leaf, &log.root(), &longer);
            assert_eq!(too_long, Err(MerkleError::Length { hashes: path.len() + 1 }));
            if let Some((_, shorter)) = path.split_last() {
                assert!(verify_inclusion(index, size, &leaf, &log.root(), shorter).is_err());
            }
        }
    }
}

#[test]
fn every_earlier_tree_is_consistent_and_no_altered_one_is() {
    let altered = leaf_hash(b"altered");
    for new in 0..=70 {
        let log = MemoryLog::of_size(new);
        for old in 0..=new {
            let (old_root, new_root) = (root_at(&log, old).unwrap(), log.root());
            let path = consistency_proof(&log, old, new).unwrap();
            verify_consistency(old, new, &old_root, &new_root, &path).unwrap();
            assert!(verify_consistency(old, new, &altered, &new_root, &path).is_err(), "{old} to {new}");
            if old != 0 {
                assert!(verify_consistency(old, new, &old_root, &altered, &path).is_err(), "{old} to {new}");
            }
            for at in 0..path.len() {
                let mut damaged = path.clone();
                damaged[at] = altered;
                assert!(verify_consistency(old, new, &old_root, &new_root, &damaged).is_err());
            }
            let longer = [&path[..], &[altered]].concat();
            assert!(verify_consistency(old, new, &old_root, &new_root, &longer).is_err());
            assert!(old == new || verify_consistency(new, old, &new_root, &old_root, &path).is_err());
        }
    }
}

#[test]
fn a_proof_outside_the_tree_is_refused_in_words() {
    let log = MemoryLog::of_size(5);
    let outside = MerkleError::OutsideTree { index: 5, size: 5 };
    assert_eq!(inclusion_proof(&log, 5, 5), Err(ProveError::Impossible(outside.clone())));
    assert_eq!(verify_inclusion(5, 5, &log.root(), &log.root(), &[]), Err(outside));
    let shrunk = MerkleError::Shrunk { old: 5, new: 4 };
    assert_eq!(consistency_proof(&log, 5, 4), Err(ProveError::Impossible(shrunk)));
}

#[test]
fn storage_that_lacks_hashes_is_reported_and_not_papered_over() {
    let log = MemoryLog::of_size(5);
    let missing = ProveError::Missing { level: 0, start: 4, count: 4, got: 1 };
    assert_eq!(subtree_hash(&log, 2, 1), Err(missing.clone()));
    assert_eq!(root_at(&log, 8).unwrap_err(), ProveError::Missing { level: 0, start: 0, count: 8, got: 5 });
}
