// SPDX-License-Identifier: Apache-2.0
//! The crate `signed_note`: it opens our notes, and we open its.

use signed_note::{Note, Signer, StandardSigner, StandardVerifier, Verifier, VerifierList};
use sta_audit::checkpoint::Checkpoint;
use sta_audit::key::VerifierKey;
use sta_audit::note::SignedNote;

use crate::memory_log::{MemoryLog, log_signer};

/// The signer key of the signed-note package's own documentation, with its public half.
const THEIR_SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const THEIR_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

#[test]
fn it_opens_a_checkpoint_that_we_signed_and_that_a_witness_cosigned() {
    let written = MemoryLog::of_size(300).cosigned().to_string();
    let note = Note::from_bytes(written.as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&log_signer().verifier_key().to_string()).unwrap();
    assert_eq!(verifier.key_id().to_be_bytes(), log_signer().verifier_key().id());
    let (verified, unknown) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 1));
    assert_eq!(note.to_bytes(), written.as_bytes());
}

#[test]
fn it_refuses_our_checkpoint_when_a_byte_was_altered() {
    let altered = MemoryLog::of_size(300).signed().to_string().replace("\n300\n", "\n301\n");
    let note = Note::from_bytes(altered.as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&log_signer().verifier_key().to_string()).unwrap();
    assert!(note.verify(&VerifierList::new(vec![Box::new(verifier)])).is_err());
}

#[test]
fn we_open_a_note_that_it_signed() {
    let signer = StandardSigner::new(THEIR_SECRET).unwrap();
    let checkpoint = Checkpoint::new(signer.name(), 300, MemoryLog::of_size(300).root()).unwrap();
    let mut theirs = Note::new(checkpoint.to_string().as_bytes(), &[]).unwrap();
    theirs.add_sigs(&[&signer]).unwrap();
    let ours = SignedNote::parse(&theirs.to_bytes()).unwrap();
    let key: VerifierKey = THEIR_KEY.parse().unwrap();
    assert_eq!(Checkpoint::open(&ours, &key).unwrap(), checkpoint);
}
