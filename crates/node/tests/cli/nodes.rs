// SPDX-License-Identifier: Apache-2.0
//! Two real nodes: their logs exported and verified offline, an altered byte named, and an orderly stop.

use std::{fs, path::Path};

use serde_json::Value;

use super::Bench;

/// Exports the log of `ca` once the other member has cosigned it.
fn export(bench: &Bench) -> u64 {
    bench.wait("a checkpoint that the other member has cosigned", |bench| {
        let exported = bench.json(&["audit", "export", "log", "--dir", "ca"]);
        let told = bench.sta(&["verify", "--treaty", "treaty.jws.json", "log"]);
        if told.code == 0 { exported["entries"].as_u64().filter(|entries| *entries >= 3) } else { None }
    })
}

fn verified(bench: &Bench, paths: &[&str]) -> (i32, Value) {
    let told = bench.sta(&[&["verify", "--json", "--treaty", "treaty.jws.json"], paths].concat());
    (told.code, serde_json::from_str(&told.out).unwrap())
}

#[test]
fn an_exported_log_verifies_with_the_treaty_alone_and_an_altered_entry_is_named() {
    let bench = Bench::new();
    bench.signed_treaty();
    let nodes = ["ca", "de"].map(|member| bench.serve(member));
    bench.done(&["researcher", "add", "--dir", "ca", "ada", "--profile", "ada"]);
    bench.done(&[
        "project",
        "add",
        "--dir",
        "ca",
        "open-vision",
        "--credits",
        "10.00",
        "--researcher",
        "ada",
    ]);
    let entries = export(&bench);
    for node in nodes {
        assert_eq!(node.stop(), Some(0), "a node stops in order");
    }
    // From here on no node runs: everything is offline.
    let (code, document) = verified(&bench, &["log"]);
    let holds = &document["outcomes"][0]["holds"];
    assert_eq!((code, holds["member"].as_str(), holds["entries"].as_u64()), (0, Some("ca"), Some(entries)));
    assert_eq!(holds["witnesses"].as_array().map(Vec::len), Some(1), "the other member cosigned: {document}");

    let bundle = bench.path(&format!("log/tile/entries/000.p/{entries}"));
    let at = position_of_entry(&bundle, 1) + 10;
    let mut bytes = fs::read(&bundle).unwrap();
    bytes[at] ^= 1;
    fs::write(&bundle, &bytes).unwrap();
    let (code, document) = verified(&bench, &["log"]);
    assert_eq!((code, document["outcomes"][0]["entry"].as_u64()), (5, Some(1)), "{document}");
    assert!(document["outcomes"][0]["problem"].as_str().unwrap().contains("entry 1"), "{document}");
}

/// Where the content of an entry begins in a bundle: each is preceded by its length in two bytes.
fn position_of_entry(bundle: &Path, entry: usize) -> usize {
    let bytes = fs::read(bundle).unwrap();
    let length = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    (0..entry).fold(0, |at, _| at + 2 + length(at)) + 2
}

#[test]
fn the_log_of_a_stranger_and_a_stray_file_do_not_verify() {
    let bench = Bench::new();
    bench.signed_treaty();
    fs::create_dir(bench.path("strange")).unwrap();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../audit/vectors/three/checkpoint");
    fs::copy(vectors, bench.path("strange/checkpoint")).unwrap();
    fs::write(bench.path("stray"), "hello\n").unwrap();
    fs::create_dir(bench.path("empty")).unwrap();
    let told = bench.sta(&["verify", "--treaty", "treaty.jws.json", "strange", "stray", "empty", "missing"]);
    assert_eq!(told.code, 5);
    let reasons: Vec<_> = told.out.lines().skip(1).collect();
    insta::assert_snapshot!(reasons.join("\n"));
}

#[test]
fn a_profile_is_private_and_its_token_is_what_the_node_knows() {
    let bench = Bench::new();
    bench.signed_treaty();
    let _node = bench.serve("ca");
    bench.done(&["researcher", "add", "--dir", "ca", "ada", "--profile", "ada"]);
    assert_eq!(super::mode(&bench.path("ada")), 0o700);
    for secret in ["ada/token", "ada/holder.seed"] {
        assert_eq!(super::mode(&bench.path(secret)), 0o600, "{secret}");
    }
    assert_eq!(bench.json(&["jobs", "--profile", "ada"])["jobs"], serde_json::json!([]));
    bench.done(&["passport", "issue", "--profile", "ada"]);

    fs::write(bench.path("ada/token"), "not-the-token-that-was-given-to-ada-0000").unwrap();
    let told = bench.sta(&["jobs", "--profile", "ada"]);
    assert_eq!(told.code, 4, "{}", told.err);
    assert!(told.err.contains("AUT-001"), "{}", told.err);
    let told = bench.sta(&["project", "list", "--dir", "ca"]);
    assert_eq!(told.code, 0, "the operator is known by the directory: {}", told.err);
}

#[test]
fn a_secret_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench.init();
    fs::set_permissions(bench.path("ca/operator.token"), fs::Permissions::from_mode(0o644)).unwrap();
    let told = bench.sta(&["project", "list", "--dir", "ca"]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("nobody else may read it, run `chmod 600 ca/operator.token`"), "{}", told.err);
}

#[test]
fn a_machine_without_certificate_authorities_is_told_what_it_lacks() {
    let bench = Bench::new();
    bench.signed_treaty();
    let mut serve = bench.command(&["serve", "--dir", "ca"]);
    let output = serve.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let wanted = "sta: cannot start the node in `ca`: the certificate authorities of this machine cannot be read; install its package \
                  `ca-certificates`, or name a file of them in SSL_CERT_FILE: ";
    assert!(told.contains(wanted), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
}
