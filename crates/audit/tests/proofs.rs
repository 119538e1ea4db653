// SPDX-License-Identifier: Apache-2.0
//! Rules of proof files: what they prove offline, and what they do not.

use sta_audit::checkpoint::Checkpoint;
use sta_audit::cosignature::Cosigner;
use sta_audit::merkle::inclusion_proof;
use sta_audit::proof::{EXTRA_BYTES_MAX, Proof, ProofError};

use crate::memory_log::{COSIGNED_AT, MemoryLog, ORIGIN, log_signer, witness_signer};

#[test]
fn a_proof_file_proves_each_entry_with_the_keys_alone() {
    let log = MemoryLog::of_size(300);
    let (log_key, witness_keys) =
        (log_signer().verifier_key().clone(), [witness_signer().verifier_key().clone()]);
    for index in [0, 1, 2, 255, 256, 299] {
        let file = log.proof_of(index).to_string();
        let proof = Proof::parse(file.as_bytes()).unwrap();
        let verified = proof.verify(&log.entries[index as usize], &log_key, &witness_keys, 1).unwrap();
        assert_eq!((verified.index, verified.checkpoint.size()), (index, 300));
        assert_eq!(verified.cosigned[0].time, COSIGNED_AT);
        let wrong = proof.verify(b"another entry", &log_key, &witness_keys, 1).unwrap_err();
        assert!(matches!(wrong, ProofError::Inclusion { .. }), "{wrong}");
    }
}

#[test]
fn a_proof_at_another_index_proves_nothing() {
    let log = MemoryLog::of_size(300);
    let file = log.proof_of(7).to_string().replace("index 7\n", "index 6\n");
    let key = log_signer().verifier_key().clone();
    let refused = Proof::parse(file.as_bytes()).unwrap().verify(&log.entries[7], &key, &[], 0).unwrap_err();
    assert!(matches!(refused, ProofError::Inclusion { index: 6, .. }), "{refused}");
}

#[test]
fn a_proof_without_enough_witnesses_is_refused() {
    let log = MemoryLog::of_size(20);
    let key = log_signer().verifier_key().clone();
    let witnesses = [
        witness_signer().verifier_key().clone(),
        Cosigner::new("witness.example/other", &[6; 32]).unwrap().verifier_key().clone(),
    ];
    let proof = log.proof_of(7);
    proof.verify(&log.entries[7], &key, &witnesses, 1).unwrap();
    let refused = proof.verify(&log.entries[7], &key, &witnesses, 2).unwrap_err();
    assert!(matches!(refused, ProofError::Witnesses(_)), "{refused}");
    let path = inclusion_proof(&log, 7, 20).unwrap();
    let unwitnessed = Proof::new(7, path, log.signed(), Vec::new()).unwrap();
    assert!(unwitnessed.verify(&log.entries[7], &key, &witnesses, 1).is_err());
    unwitnessed.verify(&log.entries[7], &key, &witnesses, 0).unwrap();
}

#[test]
fn a_checkpoint_altered_within_a_proof_is_refused() {
    let log = MemoryLog::of_size(20);
    let altered = log.proof_of(7).to_string().replace("\n20\n", "\n21\n");
    let key = log_signer().verifier_key().clone();
    let refused =
        Proof::parse(altered.as_bytes()).unwrap().verify(&log.entries[7], &key, &[], 0).unwrap_err();
    assert!(matches!(refused, ProofError::Checkpoint(_)), "{refused}");
}

#[test]
fn the_only_entry_of_a_log_needs_no_path() {
    let log = MemoryLog::of_size(1);
    let file = log.proof_of(0).to_string();
    assert!(file.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example/canada\n1\n"), "{file}");
    let proof = Proof::parse(file.as_bytes()).unwrap();
    proof.verify(&log.entries[0], log_signer().verifier_key(), &[], 0).unwrap();
}

#[test]
fn extra_data_travels_with_a_proof_and_is_limited() {
    let log = MemoryLog::of_size(3);
    let path = inclusion_proof(&log, 2, 3).unwrap();
    let proof = Proof::new(2, path.clone(), log.cosigned(), b"context".to_vec()).unwrap();
    let file = proof.to_string();
    assert!(file.contains("\nextra Y29udGV4dA==\nindex 2\n"), "{file}");
    assert_eq!(Proof::parse(file.as_bytes()).unwrap(), proof);
    let too_much = vec![0; EXTRA_BYTES_MAX + 1];
    assert!(matches!(Proof::new(2, path.clone(), log.cosigned(), too_much), Err(ProofError::Extra { .. })));
    let most = Proof::new(2, path, log.cosigned(), vec![0; EXTRA_BYTES_MAX]).unwrap();
    assert_eq!(Proof::parse(most.to_string().as_bytes()).unwrap(), most);
}

#[test]
fn a_proof_in_any_other_form_is_refused() {
    let good = MemoryLog::of_size(20).proof_of(7).to_string();
    let sibling = good.lines().nth(2).unwrap().to_owned();
    for (malformed, why) in [
        (String::new(), "empty"),
        (good.replace("@v1", "@v2"), "another version"),
        (good.replace("index 7\n", "index 07\n"), "leading zero"),
        (good.replace("index 7\n", "index 7\nextra AAAA\n"), "extra after index"),
        (good.replace("index 7\n", "extra \nindex 7\n"), "empty extra"),
        (good.replace("index 7\n", "extra A\nindex 7\n"), "extra that is not base64"),
        (good.replace("index 7\n", ""), "no index"),
        (good.replace(&sibling, "AAAA"), "a short hash"),
        (good.replace(&sibling, &format!("{sibling}\n").repeat(65)), "too long a path"),
        (good.replacen("\n\n", "\n", 1), "no blank line before the checkpoint"),
        (format!("{good}\n"), "a blank line at the end"),
    ] {
        assert!(Proof::parse(malformed.as_bytes()).is_err(), "{why}");
    }
    let long = vec![b'x'; sta_audit::proof::PROOF_BYTES_MAX + 1];
    assert!(matches!(Proof::parse(&long), Err(ProofError::TooLong { .. })));
    assert_eq!(
        Checkpoint::open(Proof::parse(good.as_bytes()).unwrap().note(), log_signer().verifier_key())
            .unwrap()
            .origin(),
        ORIGIN
    );
}
