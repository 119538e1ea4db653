// SPDX-License-Identifier: Apache-2.0
//! Rules of the witness: what it cosigns, what it refuses with which status, and what the log makes of the answers.

use sta_audit::merkle::{Hash, consistency_proof, leaf_hash, root_at};
use sta_audit::note::NoteSigner;
use sta_audit::witness::{
    AddCheckpoint, PROOF_LINES_MAX, ReceivedCosignature, ResponseError, WitnessRefusal, Witnessed,
    parse_cosignature_response, parse_size_response, witness,
};

use crate::memory_log::{COSIGNED_AT, MemoryLog, ORIGIN, log_signer, witness_signer};

fn request(log: &MemoryLog, old_size: u64) -> AddCheckpoint {
    let proof = consistency_proof(log, old_size, log.size()).unwrap();
    AddCheckpoint::new(old_size, proof, log.signed()).unwrap()
}

/// The decision of a witness that trusts the log's key and last saw the log at `seen` entries.
fn decide(request: &AddCheckpoint, last: Option<(u64, Hash)>) -> Result<Witnessed, WitnessRefusal> {
    let log_key = log_signer().verifier_key().clone();
    witness(request, Some(&log_key), last, &witness_signer(), COSIGNED_AT)
}

#[test]
fn a_witness_follows_a_log_as_it_grows_and_its_answers_verify() {
    let mut last = None;
    for size in [0, 0, 1, 2, 7, 7, 8, 255, 256, 300] {
        let log = MemoryLog::of_size(size);
        let sent = request(&log, last.map_or(0, |(seen, _)| seen)).to_string();
        let received = AddCheckpoint::parse(sent.as_bytes()).unwrap();
        assert_eq!(received.origin(), ORIGIN);
        let witnessed = decide(&received, last).unwrap();
        assert_eq!((witnessed.size, witnessed.root), (size, log.root()));
        last = Some((witnessed.size, witnessed.root));

        let witness_key = witness_signer().verifier_key().clone();
        let mut note = log.signed();
        let answer = parse_cosignature_response(witnessed.response.as_bytes(), &note, &witness_key).unwrap();
        assert_eq!(answer.time, COSIGNED_AT);
        note.add(answer.signature).unwrap();
        assert_eq!(note, log.cosigned());
    }
}

#[test]
fn an_unknown_origin_is_404_and_a_wrong_signature_is_403() {
    let log = MemoryLog::of_size(5);
    let request = request(&log, 0);
    let unknown = witness(&request, None, None, &witness_signer(), COSIGNED_AT).unwrap_err();
    assert_eq!(
        (unknown.status(), &unknown),
        (404, &WitnessRefusal::UnknownOrigin { origin: ORIGIN.to_owned() })
    );
    let other_key = NoteSigner::new(ORIGIN, &[77; 32]).unwrap();
    let unsigned =
        witness(&request, Some(other_key.verifier_key()), None, &witness_signer(), COSIGNED_AT).unwrap_err();
    assert_eq!(unsigned.status(), 403, "{unsigned}");
    let forged_text = request.to_string().replace(&log.root().to_string(), &leaf_hash(b"x").to_string());
    let forged = decide(&AddCheckpoint::parse(forged_text.as_bytes()).unwrap(), None).unwrap_err();
    assert_eq!(forged.status(), 403, "{forged}");
}

#[test]
fn an_old_size_beyond_the_checkpoint_is_400() {
    let log = MemoryLog::of_size(5);
    let request = AddCheckpoint::new(6, Vec::new(), log.signed()).unwrap();
    let refused = decide(&request, Some((6, log.root()))).unwrap_err();
    assert_eq!((refused.status(), refused), (400, WitnessRefusal::OldBeyondNew { old: 6, new: 5 }));
}

#[test]
fn another_old_size_than_the_witnessed_one_is_409_with_the_witnessed_size() {
    let log = MemoryLog::of_size(9);
    let seen = (7, root_at(&log, 7).unwrap());
    for believed in [0, 6, 8, 9] {
        let refused = decide(&request(&log, believed), Some(seen)).unwrap_err();
        assert_eq!((refused.status(), refused.content_type()), (409, "text/x.tlog.size"));
        assert_eq!(refused.body(), "7\n");
        assert_eq!(parse_size_response(refused.body().as_bytes()), Ok(7));
    }
    let never_seen = decide(&request(&log, 7), None).unwrap_err();
    assert_eq!(never_seen, WitnessRefusal::WrongOldSize { current: 0 });
    decide(&request(&log, 7), Some(seen)).unwrap();
}

#[test]
fn a_witness_never_goes_back_to_a_smaller_size() {
    let smaller = MemoryLog::of_size(5);
    let seen = Some((7, MemoryLog::of_size(7).root()));
    for believed in 0..=5 {
        assert_eq!(decide(&request(&smaller, believed), seen).unwrap_err().status(), 409);
    }
}

#[test]
fn another_root_at_the_witnessed_size_is_409_as_two_histories() {
    let log = MemoryLog::of_size(7);
    let request = request(&log, 7);
    let refused = decide(&request, Some((7, leaf_hash(b"another history")))).unwrap_err();
    assert_eq!((refused.status(), refused), (409, WitnessRefusal::TwoHistories { current: 7 }));
}

#[test]
fn a_rewritten_log_is_422_whatever_proof_it_brings() {
    let log = MemoryLog::of_size(9);
    let seen = Some((7, leaf_hash(b"what was witnessed before")));
    let refused = decide(&request(&log, 7), seen).unwrap_err();
    assert_eq!(refused.status(), 422, "{refused}");
    let proof = consistency_proof(&log, 7, 9).unwrap();
    let cut = AddCheckpoint::new(7, proof[1..].to_vec(), log.signed()).unwrap();
    assert_eq!(decide(&cut, Some((7, root_at(&log, 7).unwrap()))).unwrap_err().status(), 422);
    let needless = AddCheckpoint::new(0, vec![log.root()], log.signed()).unwrap();
    assert_eq!(decide(&needless, None).unwrap_err().status(), 422);
    let needless = AddCheckpoint::new(9, vec![log.root()], log.signed()).unwrap();
    assert_eq!(decide(&needless, Some((9, log.root()))).unwrap_err().status(), 422);
}

#[test]
fn a_request_in_any_other_form_is_400() {
    let good = request(&MemoryLog::of_size(9), 7).to_string();
    assert_eq!(AddCheckpoint::parse(good.as_bytes()).unwrap().to_string(), good);
    let proof_lines = |lines: usize| {
        let hash = format!("{}\n", leaf_hash(b"x"));
        good.replacen("old 7\n", &format!("old 7\n{}", hash.repeat(lines)), 1)
    };
    let present = consistency_proof(&MemoryLog::of_size(9), 7, 9).unwrap().len();
    AddCheckpoint::parse(proof_lines(PROOF_LINES_MAX - present).as_bytes()).unwrap();
    for (malformed, why) in [
        (String::new(), "empty"),
        (proof_lines(PROOF_LINES_MAX - present + 1), "64 proof lines"),
        (good.replacen("old 7", "old 07", 1), "leading zero"),
        (good.replacen("old 7", "old  7", 1), "two spaces"),
        (good.replacen("old 7", "Old 7", 1), "another word"),
        (good.replacen("old 7\n", "old 7\n\n", 1), "blank line before the proof"),
        (good.replace("\n\n", "\n"), "no blank line"),
        (good.replacen("\n9\n", "\n09\n", 1), "malformed checkpoint"),
        ("x".repeat(sta_audit::witness::REQUEST_BYTES_MAX + 1), "too long"),
    ] {
        let refused = AddCheckpoint::parse(malformed.as_bytes()).unwrap_err();
        assert_eq!(refused.status(), 400, "{why}: {refused}");
    }
    assert_eq!(AddCheckpoint::parse(&[0xff, 0xfe]).unwrap_err().status(), 400);
}

#[test]
fn the_log_takes_only_the_cosignature_of_the_witness_it_asked() {
    let log = MemoryLog::of_size(9);
    let (note, key) = (log.signed(), witness_signer().verifier_key().clone());
    let other = sta_audit::cosignature::Cosigner::new("witness.example/other", &[4; 32]).unwrap();
    let by_other = other.cosign(note.text(), COSIGNED_AT).unwrap();
    let good = witness_signer().cosign(note.text(), COSIGNED_AT).unwrap();
    let both = format!("{by_other}{good}");
    let received = parse_cosignature_response(both.as_bytes(), &note, &key).unwrap();
    assert_eq!(received, ReceivedCosignature { signature: good, time: COSIGNED_AT });
    let refused = parse_cosignature_response(by_other.to_string().as_bytes(), &note, &key).unwrap_err();
    assert!(matches!(refused, ResponseError::NotCosigned { .. }), "{refused}");
    let elsewhere = witness_signer().cosign("another checkpoint\n", COSIGNED_AT).unwrap();
    let refused = parse_cosignature_response(elsewhere.to_string().as_bytes(), &note, &key).unwrap_err();
    assert!(matches!(refused, ResponseError::Malformed { .. }), "{refused}");
    assert!(parse_cosignature_response(b"<html>", &note, &key).is_err());
    assert!(
        ["", "7", "7\n\n", "-7\n", "07\n", "\n"]
            .iter()
            .all(|body| parse_size_response(body.as_bytes()).is_err())
    );
}
