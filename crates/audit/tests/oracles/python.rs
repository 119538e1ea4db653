// SPDX-License-Identifier: Apache-2.0
//! The Python packages `sigstore` and `cryptography`, which check a log directory and proof files in `check_log.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::memory_log::{COSIGNED_AT, MemoryLog, log_signer, witness_signer};

/// The interpreter of the environment that `./check` makes from `oracles/requirements.txt`.
fn python() -> PathBuf {
    if let Some(named) = std::env::var_os("STA_ORACLE_PYTHON") {
        return named.into();
    }
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/oracles/bin/python");
    assert!(
        made.exists(),
        "run ./check once: it makes the environment of outside oracles (or set STA_ORACLE_PYTHON)"
    );
    made
}

fn write_log(directory: &Path, log: &MemoryLog) {
    let mut files = log.files().0;
    files.insert("log.vkey".to_owned(), format!("{}\n", log_signer().verifier_key()).into_bytes());
    files.insert("witness.vkey".to_owned(), format!("{}\n", witness_signer().verifier_key()).into_bytes());
    for index in [0, 1, log.size() / 2, log.size() - 1].into_iter().filter(|index| *index < log.size()) {
        files.insert(format!("proofs/{index}.tlog-proof"), log.proof_of(index).to_string().into_bytes());
    }
    for (path, bytes) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn check(directory: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/check_log.py");
    let python = python();
    let ran = Command::new(&python).arg("-I").arg(script).arg(directory).output();
    ran.unwrap_or_else(|error| {
        panic!("cannot run {}: {error}; run ./check to make it again", python.display())
    })
}

#[test]
fn sigstore_python_and_cryptography_verify_our_log_directory_and_proofs() {
    for (size, proofs) in [(1, 1), (3, 3), (300, 4)] {
        let directory = tempfile::tempdir().unwrap();
        write_log(directory.path(), &MemoryLog::of_size(size));
        let output = check(directory.path());
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}{complained}");
        assert_eq!(said, format!("ok: {size} entries, {proofs} proofs, cosigned at {COSIGNED_AT}\n"));
    }
}

#[test]
fn they_refuse_our_log_when_it_was_altered() {
    for (path, why) in [
        ("checkpoint", "InvalidSignature"),
        ("tile/entries/001.p/44", "entry 256"),
        ("tile/0/000", "entry 0"),
        ("proofs/150.tlog-proof", "150.tlog-proof"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        write_log(directory.path(), &MemoryLog::of_size(300));
        let altered = directory.path().join(path);
        let mut bytes = fs::read(&altered).unwrap();
        // In a proof, the first character of the first hash; elsewhere, a byte of what was signed or hashed.
        let at = if path.starts_with("proofs") { "c2sp.org/tlog-proof@v1\nindex 150\n".len() } else { 2 };
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        fs::write(&altered, bytes).unwrap();
        let output = check(directory.path());
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{path} was altered");
        assert!(complained.contains(why), "{path}: {complained}");
    }
}
