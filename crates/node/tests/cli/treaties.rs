// SPDX-License-Identifier: Apache-2.0
//! Making a node and a treaty: modes, signatures, differences, and what people are told when they do not fit.

use std::fs;

use super::{Bench, mode};

#[test]
fn init_makes_a_private_directory_private_keys_and_a_public_part() {
    let bench = Bench::new();
    bench.init();
    for directory in ["ca", "ca/keys"] {
        assert_eq!(mode(&bench.path(directory)), 0o700, "{directory}");
    }
    let keys: Vec<_> =
        fs::read_dir(bench.path("ca/keys")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(keys.len(), 5);
    for secret in keys.iter().chain([&bench.path("ca/operator.token")]) {
        assert_eq!(mode(secret), 0o600, "{}", secret.display());
    }
    let public = fs::read_to_string(bench.path("ca/member.toml")).unwrap();
    let token = fs::read_to_string(bench.path("ca/operator.token")).unwrap();
    assert!(public.starts_with("[[members]]") && !public.contains(&token));
}

#[test]
fn init_never_overwrites_a_node() {
    let bench = Bench::new();
    bench.init();
    let before = fs::read(bench.path("ca/keys/signing.seed")).unwrap();
    let told = bench.sta(&["init", "--dir", "ca", "--member", "ca", "--url", "http://127.0.0.1:1"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err);
    assert_eq!(fs::read(bench.path("ca/keys/signing.seed")).unwrap(), before);
}

#[test]
fn a_treaty_holds_when_every_member_has_signed_it_and_not_before() {
    let bench = Bench::new();
    bench.init();
    bench.treaty();
    let first = bench.json(&["treaty", "sign", "--dir", "ca", "treaty.toml"]);
    assert_eq!(first["unsigned"], serde_json::json!(["de"]));
    let told = bench.sta(&["treaty", "verify", "treaty.jws.json"]);
    assert_eq!(told.code, 5, "{}", told.err);
    assert!(
        told.err.contains("These members have not signed it with the keys it lists: de."),
        "{}",
        told.err
    );
    let again = bench.json(&["treaty", "sign", "--dir", "ca", "treaty.toml"]);
    assert_eq!(again, first, "signing again changes nothing");
    bench.done(&["treaty", "sign", "--dir", "de", "treaty.toml"]);
    let verified = bench.json(&["treaty", "verify", "treaty.jws.json"]);
    assert_eq!((&verified["verified"], &verified["digest"]), (&serde_json::json!(true), &first["digest"]));
}

#[test]
fn a_signed_treaty_that_was_altered_does_not_hold() {
    let bench = Bench::new();
    bench.signed_treaty();
    let mut signed: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.path("treaty.jws.json")).unwrap()).unwrap();
    let signature = signed["signatures"][0]["signature"].as_str().unwrap();
    let altered = if signature.starts_with('A') {
        signature.replacen('A', "B", 1)
    } else {
        format!("A{}", &signature[1..])
    };
    signed["signatures"][0]["signature"] = altered.into();
    fs::write(bench.path("altered.jws.json"), signed.to_string()).unwrap();
    let told = bench.sta(&["treaty", "verify", "altered.jws.json"]);
    assert_eq!(told.code, 5);
    assert!(told.err.contains("does not fit the document"), "{}", told.err);
}

#[test]
fn another_treaty_is_not_put_over_signatures_that_were_given() {
    let bench = Bench::new();
    bench.init();
    bench.treaty();
    bench.done(&["treaty", "sign", "--dir", "ca", "treaty.toml"]);
    let text = fs::read_to_string(bench.path("treaty.toml")).unwrap();
    fs::write(
        bench.path("treaty.toml"),
        text.replace("guest_share_percent = 50", "guest_share_percent = 60"),
    )
    .unwrap();
    let told = bench.sta(&["treaty", "sign", "--dir", "ca", "treaty.toml"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err);
}

#[test]
fn a_key_that_the_treaty_does_not_list_does_not_sign_it() {
    let bench = Bench::new();
    bench.init();
    bench.treaty();
    bench.done(&["init", "--dir", "other", "--member", "ca", "--url", "http://127.0.0.1:9"]);
    let told = bench.sta(&["treaty", "sign", "--dir", "other", "treaty.toml"]);
    assert_eq!(told.code, 1);
    insta::assert_snapshot!(told.err);
    assert!(!bench.path("treaty.jws.json").exists());
}

#[test]
fn differences_are_named_by_what_they_are_about_whatever_the_order() {
    let bench = Bench::new();
    bench.init();
    bench.treaty();
    let text = fs::read_to_string(bench.path("treaty.toml")).unwrap();
    fs::write(bench.path("next.toml"), text.replace("guest_share_percent = 40", "guest_share_percent = 45"))
        .unwrap();
    let found = bench.json(&["treaty", "diff", "treaty.toml", "next.toml"]);
    let expected =
        serde_json::json!([{"path": "sites.juelich.guest_share_percent", "before": "40", "after": "45"}]);
    assert_eq!(found, expected);
    assert_eq!(bench.done(&["treaty", "diff", "treaty.toml", "treaty.toml"]), "The treaties are the same.\n");
}

#[test]
fn a_treaty_names_every_site_ground_and_pack_when_it_is_shown() {
    let bench = Bench::new();
    bench.init();
    bench.treaty();
    let shown = bench.done(&["treaty", "show", "treaty.toml"]);
    for word in [
        "quebec-hydro",
        "juelich",
        "frankfurt-cloud",
        "also answers to us",
        "GDPR Art. 45",
        "data-transfer",
        "sovereignty",
        "not signed by",
        "30 s from SIGTERM to the end of a guest",
        "300 s to bring files in, 60 s for each restart",
    ] {
        assert!(shown.contains(word), "{word} is missing in\n{shown}");
    }
}

#[test]
fn a_node_does_not_start_under_a_treaty_that_is_missing_or_not_signed_by_all() {
    let bench = Bench::new();
    bench.init();
    let told = bench.sta(&["serve", "--dir", "ca"]);
    assert_eq!(told.code, 1);
    assert!(
        told.err.contains("read the signed treaty") && told.err.contains("sta treaty new"),
        "{}",
        told.err
    );
    bench.treaty();
    bench.done(&["treaty", "sign", "--dir", "ca", "treaty.toml", "--out", "ca/treaty.jws.json"]);
    let told = bench.sta(&["serve", "--dir", "ca"]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("cannot act under the treaty"), "{}", told.err);
}

#[test]
fn the_shipped_packs_pass_their_cases_and_a_failing_case_is_told() {
    let bench = Bench::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    let checked = bench.json(&["policy", "check", shipped]);
    assert_eq!((&checked["failed"], &checked["untested"]), (&serde_json::json!([]), &serde_json::json!([])));
    fs::create_dir(bench.path("packs")).unwrap();
    for entry in fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        let text =
            fs::read_to_string(&path).unwrap().replace("refused = [\"SOV-003\"]", "granted = [\"SOV-003\"]");
        fs::write(bench.path("packs").join(path.file_name().unwrap()), text).unwrap();
    }
    let told = bench.sta(&["policy", "check", "packs"]);
    assert_eq!(told.code, 1);
    assert!(
        told.out.contains("FAILED sovereignty.cases.toml:")
            && told.out.contains("got:      refused by SOV-003"),
        "{}",
        told.out
    );
}
