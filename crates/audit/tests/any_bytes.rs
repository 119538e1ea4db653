// SPDX-License-Identifier: Apache-2.0
//! Parsers on any bytes: they never panic, and what they accept prints as it was read.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};
use sta_audit::checkpoint::Checkpoint;
use sta_audit::key::{KeyKind, VerifierKey};
use sta_audit::merkle::{Hash, verify_consistency, verify_inclusion};
use sta_audit::note::SignedNote;
use sta_audit::proof::Proof;
use sta_audit::tile::{Tile, bundle_entries, read_bundle, read_hash_tile, write_bundle};
use sta_audit::verify::verify_log;
use sta_audit::witness::{AddCheckpoint, parse_cosignature_response, parse_size_response};

use crate::memory_log::{MemoryLog, log_signer, witness_signer};

/// Well-formed inputs of every parser, to damage.
fn well_formed() -> Vec<Vec<u8>> {
    let log = MemoryLog::of_size(20);
    let request = AddCheckpoint::new(0, Vec::new(), log.signed()).unwrap();
    let mut inputs: Vec<Vec<u8>> = log.files().0.into_values().collect();
    inputs.extend([
        request.to_string().into_bytes(),
        log.proof_of(7).to_string().into_bytes(),
        log_signer().verifier_key().to_string().into_bytes(),
        b"tile/entries/x001/x234/067.p/5".to_vec(),
        log.cosigned().signatures()[1].to_string().into_bytes(),
    ]);
    inputs
}

/// Random bytes, random text of the formats' own characters, and well-formed inputs with a few bytes damaged.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<usize>(), any::<u8>(), 0..3u8), 0..4);
    let damaged = (prop::sample::select(well_formed()), damage).prop_map(|(mut bytes, damage)| {
        for (at, byte, how) in damage {
            let at = at % bytes.len().max(1);
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600),
        "[\u{2014} +A-Za-z0-9/=.\n]{0,200}".prop_map(String::into_bytes),
        damaged,
    ]
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

proptest! {
    #[test]
    fn no_parser_panics_and_each_prints_what_it_accepted(bytes in hostile()) {
        if let Ok(note) = SignedNote::parse(&bytes) {
            prop_assert_eq!(note.to_string().into_bytes(), bytes.clone());
        }
        if let Ok(request) = AddCheckpoint::parse(&bytes) {
            prop_assert_eq!(request.to_string().into_bytes(), bytes.clone());
        }
        if let Ok(proof) = Proof::parse(&bytes) {
            prop_assert_eq!(proof.to_string().into_bytes(), bytes.clone());
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            if let Ok(checkpoint) = text.parse::<Checkpoint>() {
                prop_assert_eq!(checkpoint.to_string(), text);
            }
            if let Ok(key) = text.parse::<VerifierKey>() {
                prop_assert!(key.to_string().eq_ignore_ascii_case(text));
            }
            if let Ok(tile) = text.parse::<Tile>() {
                prop_assert_eq!(tile.to_string(), text);
            }
        }
        let note = MemoryLog::of_size(1).signed();
        let _ = parse_cosignature_response(&bytes, &note, witness_signer().verifier_key());
        let _ = parse_size_response(&bytes);
    }

    #[test]
    fn a_bundle_is_read_back_or_refused(bytes in hostile(), width in 1..=256u16) {
        if let Ok(entries) = read_bundle(&bytes, width) {
            prop_assert_eq!(write_bundle(&entries).unwrap(), bytes.clone());
        }
        prop_assert!(bundle_entries(&bytes).count() <= bytes.len());
        prop_assert_eq!(read_hash_tile(&bytes, width).is_ok(), bytes.len() == usize::from(width) * 32);
    }

    #[test]
    fn entries_survive_the_bundle(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..=256)) {
        let bundle = write_bundle(&entries).unwrap();
        prop_assert_eq!(read_bundle(&bundle, entries.len() as u16).unwrap(), entries);
    }

    #[test]
    fn made_up_proofs_are_refused_without_panic(
        index in any::<u64>(),
        size in prop_oneof![any::<u64>(), 0..20u64, Just(u64::MAX)],
        path in prop::collection::vec(hash(), 0..70),
        leaf in hash(),
        root in hash(),
    ) {
        prop_assert!(verify_inclusion(index, size, &leaf, &root, &path).is_err());
        let consistent = verify_consistency(index, size, &leaf, &root, &path);
        prop_assert!(consistent.is_err());
    }

    #[test]
    fn any_key_prints_and_reads_back(name in "[a-z./\u{e9}]{1,40}", seed in any::<[u8; 32]>(), witness in any::<bool>()) {
        let public = sta_audit::note::NoteSigner::new(&name, &seed).unwrap().verifier_key().public_key();
        let kind = if witness { KeyKind::CosignatureV1 } else { KeyKind::Ed25519 };
        let key = VerifierKey::new(&name, kind, &public).unwrap();
        prop_assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key);
    }

    #[test]
    fn any_damage_to_any_file_of_a_log_is_found(at in any::<usize>(), file in any::<usize>(), bit in 0..8u8) {
        let mut files = MemoryLog::of_size(300).files();
        let path = files.0.keys().nth(file % files.0.len()).unwrap().clone();
        let bytes = files.0.get_mut(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let witnesses = [witness_signer().verifier_key().clone()];
        let found = verify_log(&files, log_signer().verifier_key(), &witnesses, 1);
        prop_assert!(found.is_err(), "bit {} of byte {} of {}", bit, at, path);
    }
}
