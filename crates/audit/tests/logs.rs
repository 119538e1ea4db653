// SPDX-License-Identifier: Apache-2.0
//! Rules of the offline verifier: a whole log is accepted, and each kind of tampering is named where it is.

use std::convert::Infallible;

use sta_audit::checkpoint::Checkpoint;
use sta_audit::merkle::leaf_hash;
use sta_audit::tile::Tile;
use sta_audit::verify::{LogReport, VerifyError, verify_log};

use crate::memory_log::{COSIGNED_AT, MemoryFiles, MemoryLog, ORIGIN, log_signer, witness_signer};

fn verify(files: &MemoryFiles) -> Result<LogReport, VerifyError<Infallible>> {
    let witnesses = [witness_signer().verifier_key().clone()];
    verify_log(files, log_signer().verifier_key(), &witnesses, 1)
}

/// Where an entry's bytes begin in its bundle.
fn offset_in_bundle(log: &MemoryLog, index: usize) -> usize {
    log.entries[index / 256 * 256..index].iter().map(|entry| entry.len() + 2).sum::<usize>() + 2
}

fn flip(files: &MemoryFiles, path: &str, at: usize) -> MemoryFiles {
    let mut flipped = files.clone();
    flipped.0.get_mut(path).unwrap()[at] ^= 1;
    flipped
}

#[test]
fn a_whole_log_verifies_and_the_report_says_what_it_is() {
    for size in [0, 1, 2, 3, 255, 256, 257, 300, 512, 66_000] {
        let log = MemoryLog::of_size(size);
        let report = verify(&log.files()).unwrap();
        assert_eq!((report.origin.as_str(), report.size, report.root), (ORIGIN, size, log.root()));
        assert_eq!(report.witnesses[0].time, COSIGNED_AT);
    }
}

#[test]
fn one_flipped_byte_of_an_entry_is_named_with_its_index() {
    let log = MemoryLog::of_size(700);
    let files = log.files();
    for index in [0usize, 2, 100, 255, 256, 511, 512, 699] {
        let tile = Tile::entries(index as u64 / 256, if index < 512 { 256 } else { 188 }).unwrap();
        let path = tile.to_string();
        for at in 0..log.entries[index].len() {
            let altered = flip(&files, &path, offset_in_bundle(&log, index) + at);
            let found = verify(&altered).unwrap_err();
            assert_eq!(found, VerifyError::EntryAltered { index: index as u64, path: path.clone() });
            assert_eq!(found.entry_index(), Some(index as u64));
        }
    }
}

#[test]
fn a_flipped_byte_of_a_length_is_named_with_the_entry_it_belongs_to() {
    let log = MemoryLog::of_size(300);
    let files = log.files();
    for index in [0usize, 1, 17, 255, 256, 299] {
        let path = if index < 256 { "tile/entries/000" } else { "tile/entries/001.p/44" };
        for at in 1..=2 {
            let found = verify(&flip(&files, path, offset_in_bundle(&log, index) - at)).unwrap_err();
            assert_eq!(found.entry_index(), Some(index as u64), "{found}");
            assert!(found.to_string().contains(path), "{found}");
        }
    }
}

#[test]
fn the_first_of_several_altered_entries_is_named() {
    let log = MemoryLog::of_size(300);
    let once = flip(&log.files(), "tile/entries/001.p/44", offset_in_bundle(&log, 270));
    let twice = flip(&once, "tile/entries/000", offset_in_bundle(&log, 40));
    assert_eq!(verify(&twice).unwrap_err().entry_index(), Some(40));
}

#[test]
fn an_altered_leaf_hash_is_not_blamed_on_its_entry() {
    let log = MemoryLog::of_size(300);
    let found = verify(&flip(&log.files(), "tile/0/001.p/44", 32 * 3)).unwrap_err();
    assert_eq!(found, VerifyError::LeafHashAltered { index: 259, path: "tile/0/001.p/44".to_owned() });
}

#[test]
fn an_entry_altered_together_with_its_leaf_hash_is_found_by_the_tile_above() {
    let log = MemoryLog::of_size(700);
    let mut altered = flip(&log.files(), "tile/entries/001", offset_in_bundle(&log, 300));
    let mut entry = log.entries[300].clone();
    entry[0] ^= 1;
    let at = (300 - 256) * 32;
    altered.0.get_mut("tile/0/001").unwrap()[at..at + 32].copy_from_slice(&leaf_hash(&entry).0);
    let found = verify(&altered).unwrap_err();
    let path = "tile/1/000.p/2".to_owned();
    assert_eq!(found, VerifyError::NodeAltered { path, first: 256, last: 511 });
}

#[test]
fn an_altered_upper_tile_is_named() {
    let log = MemoryLog::of_size(66_000);
    let found = verify(&flip(&log.files(), "tile/2/000.p/1", 5)).unwrap_err();
    let path = "tile/2/000.p/1".to_owned();
    assert_eq!(found, VerifyError::NodeAltered { path, first: 0, last: 65_535 });
}

#[test]
fn a_log_rewritten_with_all_its_tiles_does_not_match_the_signed_root() {
    let log = MemoryLog::of_size(300);
    let mut rewritten = MemoryLog::of_size(0);
    for (index, entry) in log.entries.iter().enumerate() {
        rewritten.append(if index == 9 { b"rewritten".to_vec() } else { entry.clone() });
    }
    let mut files = rewritten.files();
    files.0.insert("checkpoint".to_owned(), log.cosigned().to_string().into_bytes());
    let expected = VerifyError::Root { expected: log.root(), computed: rewritten.root() };
    assert_eq!(verify(&files).unwrap_err(), expected);
}

#[test]
fn a_missing_or_misshapen_file_is_named() {
    let log = MemoryLog::of_size(300);
    for path in log.files().0.keys() {
        let mut without = log.files();
        without.0.remove(path);
        assert_eq!(verify(&without).unwrap_err(), VerifyError::Missing { path: path.clone() });
        let mut longer = log.files();
        longer.0.get_mut(path).unwrap().push(b'x');
        assert!(verify(&longer).is_err(), "{path} with a byte too many");
        let mut shorter = log.files();
        shorter.0.get_mut(path).unwrap().pop();
        assert!(verify(&shorter).is_err(), "{path} with a byte too few");
    }
}

#[test]
fn a_full_tile_stands_in_for_the_partial_one_that_a_grown_log_dropped() {
    let (earlier, later) = (MemoryLog::of_size(300), MemoryLog::of_size(600));
    let mut files = later.files();
    files.0.insert("checkpoint".to_owned(), earlier.cosigned().to_string().into_bytes());
    files.0.insert("tile/1/000.p/1".to_owned(), earlier.files().0["tile/1/000.p/1"].clone());
    assert_eq!(verify(&files).unwrap().size, 300);
}

#[test]
fn a_checkpoint_that_is_altered_unsigned_or_unwitnessed_is_refused() {
    let log = MemoryLog::of_size(300);
    let altered = flip(&log.files(), "checkpoint", ORIGIN.len() + 1);
    assert!(matches!(verify(&altered), Err(VerifyError::Checkpoint(_))));
    let mut unwitnessed = log.files();
    unwitnessed.0.insert("checkpoint".to_owned(), log.signed().to_string().into_bytes());
    assert!(matches!(verify(&unwitnessed), Err(VerifyError::Witnesses(_))));
    verify_log(&unwitnessed, log_signer().verifier_key(), &[], 0).unwrap();
}

#[test]
fn a_checkpoint_of_an_impossible_size_ends_at_the_first_missing_file() {
    let log = MemoryLog::of_size(3);
    let mut files = log.files();
    let huge = Checkpoint::new(ORIGIN, u64::MAX, log.root()).unwrap().sign(&log_signer()).unwrap();
    files.0.insert("checkpoint".to_owned(), huge.to_string().into_bytes());
    let found = verify_log(&files, log_signer().verifier_key(), &[], 0).unwrap_err();
    assert_eq!(found, VerifyError::Missing { path: "tile/entries/000".to_owned() });
}
