// SPDX-License-Identifier: Apache-2.0
//! The fixed files in `vectors/`: two small logs that anyone can try another implementation on. Ours must write them
//! again byte for byte; a difference is a change of format.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sta_audit::merkle::consistency_proof;
use sta_audit::proof::Proof;
use sta_audit::verify::verify_log;
use sta_audit::witness::AddCheckpoint;

use crate::memory_log::{MemoryFiles, MemoryLog, log_signer, witness_signer};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// What belongs into `vectors/`, by path in it.
fn generate() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (name, size, proven) in [("three", 3, vec![0, 1, 2]), ("three-hundred", 300, vec![0, 255, 256, 299])]
    {
        let log = MemoryLog::of_size(size);
        files.extend(log.files().0.into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        for index in proven {
            let proof = log.proof_of(index).to_string();
            files.insert(format!("{name}/proofs/{index}.tlog-proof"), proof.into_bytes());
        }
    }
    let grown = MemoryLog::of_size(300);
    let proof = consistency_proof(&grown, 3, 300).unwrap();
    let request = AddCheckpoint::new(3, proof, grown.signed()).unwrap();
    files.insert("add-checkpoint-3-to-300".to_owned(), request.to_string().into_bytes());
    files.insert("log.vkey".to_owned(), format!("{}\n", log_signer().verifier_key()).into_bytes());
    files.insert("witness.vkey".to_owned(), format!("{}\n", witness_signer().verifier_key()).into_bytes());
    files
}

/// All files under a directory, by relative path with `/`.
fn read_all(directory: &Path, prefix: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_all(&entry.path(), &format!("{path}/"), into);
        } else {
            into.insert(path, fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn the_vector_files_are_what_the_library_writes() {
    let expected = generate();
    if std::env::var_os("STA_WRITE_VECTORS").is_some() {
        for (path, bytes) in &expected {
            let path = vectors().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let mut present = BTreeMap::new();
    read_all(&vectors(), "", &mut present);
    present.remove("README.md");
    let paths = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&present), paths(&expected), "STA_WRITE_VECTORS=1 writes the files again");
    for (path, bytes) in &expected {
        assert!(present[path] == *bytes, "vectors/{path} differs; STA_WRITE_VECTORS=1 writes it again");
    }
}

#[test]
fn the_vector_files_verify_with_the_keys_beside_them() {
    let mut present = BTreeMap::new();
    read_all(&vectors(), "", &mut present);
    let key = |name: &str| std::str::from_utf8(&present[name]).unwrap().trim().parse().unwrap();
    let (log_key, witness_keys) = (key("log.vkey"), [key("witness.vkey")]);
    for (name, size) in [("three", 3), ("three-hundred", 300)] {
        let prefix = format!("{name}/");
        let of_log = |(path, bytes): (&String, &Vec<u8>)| {
            Some((path.strip_prefix(&prefix)?.to_owned(), bytes.clone()))
        };
        let files = MemoryFiles(present.iter().filter_map(of_log).collect());
        assert_eq!(verify_log(&files, &log_key, &witness_keys, 1).unwrap().size, size);
        let entries = MemoryLog::of_size(size).entries;
        for (_, bytes) in files.0.iter().filter(|(path, _)| path.starts_with("proofs/")) {
            let proof = Proof::parse(bytes).unwrap();
            proof.verify(&entries[proof.index() as usize], &log_key, &witness_keys, 1).unwrap();
        }
    }
    AddCheckpoint::parse(&present["add-checkpoint-3-to-300"]).unwrap();
}
