// SPDX-License-Identifier: Apache-2.0
//! The crate `sigstore-merkle`: its verification of our proofs.

use sigstore_merkle::{hash_leaf, verify_consistency_proof, verify_inclusion_proof};
use sta_audit::merkle::{consistency_proof, inclusion_proof, leaf_hash, root_at};

use crate::memory_log::MemoryLog;

#[test]
fn it_accepts_our_inclusion_proofs_and_refuses_them_elsewhere() {
    let log = MemoryLog::of_size(300);
    for size in (1..=40).chain([255, 256, 257, 300]) {
        let root = root_at(&log, size).unwrap().0.into();
        for index in 0..size {
            let leaf = hash_leaf(&log.entries[index as usize]);
            assert_eq!(leaf, leaf_hash(&log.entries[index as usize]).0);
            let path: Vec<_> =
                inclusion_proof(&log, index, size).unwrap().iter().map(|hash| hash.0.into()).collect();
            verify_inclusion_proof(&leaf, index, size, &path, &root).unwrap();
            assert!(verify_inclusion_proof(&hash_leaf(b"another"), index, size, &path, &root).is_err());
        }
    }
}

#[test]
fn it_accepts_our_consistency_proofs_and_refuses_another_old_root() {
    let log = MemoryLog::of_size(300);
    for new in (1..=70).chain([255, 256, 257, 300]) {
        let new_root = root_at(&log, new).unwrap().0.into();
        for old in 1..=new {
            let old_root = root_at(&log, old).unwrap().0.into();
            let path: Vec<_> =
                consistency_proof(&log, old, new).unwrap().iter().map(|hash| hash.0.into()).collect();
            verify_consistency_proof(old, new, &path, &old_root, &new_root).unwrap();
            assert!(verify_consistency_proof(old, new, &path, &hash_leaf(b"another"), &new_root).is_err());
        }
    }
}
