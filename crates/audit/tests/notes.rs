// SPDX-License-Identifier: Apache-2.0
//! Rules of keys, notes, checkpoints and cosignatures.

use sta_audit::checkpoint::{Checkpoint, CheckpointError};
use sta_audit::cosignature::{CosignatureError, Cosigned, Cosigner, cosigned_by, require_quorum};
use sta_audit::key::{KeyError, KeyKind, VerifierKey};
use sta_audit::merkle::Hash;
use sta_audit::note::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, NoteError, NoteSigner, SignedNote};

use crate::memory_log::{COSIGNED_AT, MemoryLog, ORIGIN, log_signer, witness_signer};

/// The example of the signed-note specification and of Go's `note` package.
const EXAMPLE_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const EXAMPLE_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[test]
fn the_published_example_verifies_and_prints_as_it_stands() {
    let key: VerifierKey = EXAMPLE_KEY.parse().unwrap();
    let note = SignedNote::parse(EXAMPLE_NOTE.as_bytes()).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key)).unwrap().len(), 1);
    assert_eq!(note.to_string(), EXAMPLE_NOTE);
    assert_eq!(key.to_string(), EXAMPLE_KEY);
}

#[test]
fn the_published_cosignature_example_has_the_published_parts() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let line = "\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let note = SignedNote::parse(format!("{text}\n{line}").as_bytes()).unwrap();
    let checkpoint: Checkpoint = note.text().parse().unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("example.com/behind-the-sofa", 20_852_163));
    let signature = &note.signatures()[0];
    assert_eq!(signature.bytes().len(), 8 + 64);
    assert_eq!(signature.bytes()[..8], 1_679_315_147_u64.to_be_bytes());
}

#[test]
fn a_key_whose_id_or_form_was_altered_is_refused() {
    let altered = EXAMPLE_KEY.replace("c74f20a3", "c74f20a4");
    let refused = altered.parse::<VerifierKey>().unwrap_err();
    assert!(matches!(refused, KeyError::Id { ref computed, .. } if computed == "c74f20a3"), "{refused}");
    let other_type = EXAMPLE_KEY.replace("+ARpc", "+Ahpc").parse::<VerifierKey>().unwrap_err();
    assert_eq!(other_type, KeyError::Kind { name: "PeterNeumann".to_owned(), identifier: 2 });
    for malformed in ["", "name", "name+c74f20a3", "name+c74f20+AQ==", "a b+c74f20a3+ARpc", "+c74f20a3+ARpc"]
    {
        assert!(malformed.parse::<VerifierKey>().is_err(), "{malformed}");
    }
    let of_small_order = VerifierKey::new("weak", KeyKind::Ed25519, &[0; 32]).unwrap_err();
    assert_eq!(of_small_order, KeyError::Public { name: "weak".to_owned() });
}

#[test]
fn the_same_key_bytes_as_log_and_as_witness_are_two_keys() {
    let public = log_signer().verifier_key().public_key();
    let as_log = VerifierKey::new(ORIGIN, KeyKind::Ed25519, &public).unwrap();
    let as_witness = VerifierKey::new(ORIGIN, KeyKind::CosignatureV1, &public).unwrap();
    assert_ne!(as_log.id(), as_witness.id());
    let note = MemoryLog::of_size(3).signed();
    assert_eq!(note.verify(&[as_witness]).unwrap(), vec![]);
}

#[test]
fn unknown_signatures_are_ignored_and_forged_ones_of_known_keys_are_not() {
    let signer = log_signer();
    let stranger = NoteSigner::new("stranger.example", &[9; 32]).unwrap();
    let mut note = SignedNote::sign("text\n".to_owned(), &signer).unwrap();
    note.add(stranger.sign("another text\n")).unwrap();
    let log_key = signer.verifier_key().clone();
    assert_eq!(note.verify(std::slice::from_ref(&log_key)).unwrap().len(), 1);
    let forged = note.verify(&[log_key, stranger.verifier_key().clone()]).unwrap_err();
    assert!(matches!(forged, NoteError::Forged(ref bad) if bad.name == "stranger.example"), "{forged}");
}

#[test]
fn a_note_in_any_other_form_is_refused() {
    let line = EXAMPLE_NOTE.rsplit("\n\n").next().unwrap();
    let without_newline = EXAMPLE_NOTE.trim_end();
    for (malformed, why) in [
        (String::new(), "empty"),
        ("text\n\n".to_owned(), "no signature"),
        ("text\n".to_owned(), "no border"),
        (without_newline.to_owned(), "last line without newline"),
        (format!("text\n{line}"), "no blank line"),
        (EXAMPLE_NOTE.replace('\u{2014}', "-"), "hyphen for em dash"),
        (EXAMPLE_NOTE.replace("PeterNeumann ", "Peter Neumann "), "space in a name"),
        (EXAMPLE_NOTE.replace("PeterNeumann ", "Peter+Neumann "), "plus in a name"),
        (EXAMPLE_NOTE.replace("AM=\n", "AM\n"), "padding left out"),
        (EXAMPLE_NOTE.replace("If", "I\rf"), "control character"),
        ("text\n\n\u{2014} name AAAAAA==\n".to_owned(), "key id without signature"),
    ] {
        assert!(SignedNote::parse(malformed.as_bytes()).is_err(), "{why}");
    }
    assert_eq!(SignedNote::parse(&[0xff, b'\n']), Err(NoteError::NotPlainText));
}

#[test]
fn notes_have_a_limit_in_bytes_and_in_signatures() {
    let signer = log_signer();
    let long = "x".repeat(NOTE_BYTES_MAX) + "\n";
    assert!(matches!(SignedNote::sign(long.clone(), &signer), Err(NoteError::TooLong { .. })));
    assert_eq!(SignedNote::parse(long.as_bytes()), Err(NoteError::TooLong { bytes: NOTE_BYTES_MAX + 1 }));
    let mut note = SignedNote::sign("text\n".to_owned(), &signer).unwrap();
    for number in 1..NOTE_SIGNATURES_MAX {
        let other = NoteSigner::new(&format!("k{number}"), &[3; 32]).unwrap();
        note.add(other.sign(note.text())).unwrap();
    }
    assert_eq!(SignedNote::parse(note.to_string().as_bytes()).unwrap(), note);
    let one_more = NoteSigner::new("one-more", &[3; 32]).unwrap().sign(note.text());
    assert_eq!(note.add(one_more.clone()), Err(NoteError::TooManySignatures));
    let written = format!("{note}{one_more}");
    assert_eq!(SignedNote::parse(written.as_bytes()), Err(NoteError::TooManySignatures));
}

#[test]
fn a_checkpoint_has_one_spelling() {
    let root = Hash::of_empty_tree();
    for malformed in [
        format!("{ORIGIN}\n01\n{root}\n"),
        format!("{ORIGIN}\n+1\n{root}\n"),
        format!("{ORIGIN}\n\n{root}\n"),
        format!("{ORIGIN}\n18446744073709551616\n{root}\n"),
        format!("\n1\n{root}\n"),
        format!("{ORIGIN}\n1\n{root}"),
        format!("{ORIGIN}\n1\n{root}\n\n"),
        format!("{ORIGIN}\n1\nAAAA\n"),
        format!("{ORIGIN}\n1\n"),
    ] {
        assert!(malformed.parse::<Checkpoint>().is_err(), "{malformed:?}");
    }
    let extended = format!("{ORIGIN}\n1\n{root}\nan extension\nanother\n");
    let checkpoint: Checkpoint = extended.parse().unwrap();
    assert_eq!(checkpoint.extensions(), ["an extension", "another"]);
    assert_eq!(checkpoint.to_string(), extended);
}

#[test]
fn a_checkpoint_opens_only_with_the_key_of_its_own_log() {
    let log = MemoryLog::of_size(7);
    let note = log.signed();
    let opened = Checkpoint::open(&note, log_signer().verifier_key()).unwrap();
    assert_eq!((opened.size(), opened.root()), (7, log.root()));
    let same_name = NoteSigner::new(ORIGIN, &[8; 32]).unwrap();
    let unsigned = Checkpoint::open(&note, same_name.verifier_key()).unwrap_err();
    assert!(matches!(unsigned, CheckpointError::Unsigned { .. }), "{unsigned}");
    let witness = Checkpoint::open(&log.cosigned(), witness_signer().verifier_key()).unwrap_err();
    assert!(matches!(witness, CheckpointError::NotALogKey { .. }), "{witness}");
    let of_another_log = Checkpoint::new("log.example/other", 7, log.root()).unwrap();
    assert!(matches!(of_another_log.sign(&log_signer()), Err(CheckpointError::OtherLog { .. })));
    let by_this_key = SignedNote::sign(of_another_log.to_string(), &log_signer()).unwrap();
    let other = Checkpoint::open(&by_this_key, log_signer().verifier_key()).unwrap_err();
    assert!(matches!(other, CheckpointError::OtherLog { .. }), "{other}");
}

#[test]
fn a_quorum_counts_different_witnesses_and_keeps_their_latest_times() {
    let (first, second) = (witness_signer(), Cosigner::new("witness.example/other", &[5; 32]).unwrap());
    let log = MemoryLog::of_size(7);
    let mut note = log.cosigned();
    note.add(first.cosign(note.text(), COSIGNED_AT + 60).unwrap()).unwrap();
    let keys = [first.verifier_key().clone(), second.verifier_key().clone()];
    let by_first = Cosigned { name: first.verifier_key().name().to_owned(), time: COSIGNED_AT + 60 };
    assert_eq!(require_quorum(&note, &keys, 1).unwrap(), vec![by_first.clone()]);
    let missed = require_quorum(&note, &keys, 2).unwrap_err();
    assert_eq!(missed, CosignatureError::Quorum { cosigned: 1, quorum: 2 });
    note.add(second.cosign(note.text(), COSIGNED_AT).unwrap()).unwrap();
    assert_eq!(require_quorum(&note, &keys, 2).unwrap().len(), 2);
}

#[test]
fn one_witness_key_under_two_names_counts_once() {
    let (one, alias) = (witness_signer(), Cosigner::new("witness.example/alias", &[2; 32]).unwrap());
    let mut note = MemoryLog::of_size(7).cosigned();
    note.add(alias.cosign(note.text(), COSIGNED_AT + 1).unwrap()).unwrap();
    let keys = [one.verifier_key().clone(), alias.verifier_key().clone()];
    assert_eq!(cosigned_by(&note, &keys).unwrap().len(), 1);
}

#[test]
fn a_cosignature_covers_its_time_and_ends_with_the_format() {
    let signer = witness_signer();
    let beyond = i64::MAX.cast_unsigned() + 1;
    assert_eq!(signer.cosign("text\n", beyond), Err(CosignatureError::Time { time: beyond }));
    let line = signer.cosign("text\n", COSIGNED_AT).unwrap();
    assert_eq!(signer.verifier_key().verify("text\n", line.bytes()), Ok(Some(COSIGNED_AT)));
    let mut later = line.bytes().to_vec();
    later[7] ^= 1;
    assert!(signer.verifier_key().verify("text\n", &later).is_err());
    let log_key = [log_signer().verifier_key().clone()];
    let note = MemoryLog::of_size(1).cosigned();
    assert!(matches!(cosigned_by(&note, &log_key), Err(CosignatureError::NotAWitnessKey { .. })));
}
