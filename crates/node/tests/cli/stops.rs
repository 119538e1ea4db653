// SPDX-License-Identifier: Apache-2.0
//! Orders to stop on the command line: who may give them, and how many it takes.

use std::{fs, os::unix::fs::PermissionsExt};

use sta_protocol::keys::SigningKey;

use super::Bench;

#[test]
fn a_treaty_shows_and_compares_who_may_order_a_stop() {
    let bench = Bench::new();
    bench.init();
    bench.treaty();
    let mut text = fs::read_to_string(bench.path("treaty.toml")).unwrap();
    let key = SigningKey::from_seed([7; 32]).public_key();
    text += &format!("\n[[stop_authorities]]\nmember = \"ca\"\nkeys = [\"{key}\"]\nsignatures_min = 1\n");
    fs::write(bench.path("next.toml"), &text).unwrap();
    let shown = bench.done(&["treaty", "show", "next.toml"]);
    assert!(shown.contains("may order a stop") && shown.contains("1 of 1"), "{shown}");
    let found = bench.json(&["treaty", "diff", "treaty.toml", "next.toml"]);
    assert_eq!(found[0]["path"], "stop_authorities.ca.keys", "{found}");
    fs::write(bench.path("next.toml"), text.replace("signatures_min = 1", "signatures_min = 2")).unwrap();
    let told = bench.sta(&["treaty", "show", "next.toml"]);
    assert_eq!(told.code, 2);
    insta::assert_snapshot!(told.err, @"sta: cannot read the treaty `next.toml`: the treaty's `stop_authorities.signatures_min` is 2, of 1 keys: use 1 to as many");
}

#[test]
fn an_order_to_stop_holds_when_enough_of_the_right_people_have_signed_it() {
    let bench = Bench::new();
    bench.init();
    bench.treaty();
    let people = [1, 2, 3].map(|number: u8| {
        let path = bench.path(&format!("person{number}"));
        fs::write(&path, [number; 32]).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        SigningKey::from_seed([number; 32]).public_key().to_string()
    });
    let mut treaty = fs::read_to_string(bench.path("treaty.toml")).unwrap();
    treaty +=
        &format!("\n[[stop_authorities]]\nmember = \"ca\"\nkeys = {:?}\nsignatures_min = 2\n", &people[..2]);
    fs::write(bench.path("treaty.toml"), treaty).unwrap();
    for member in ["ca", "de"] {
        bench.done(&["treaty", "sign", "--dir", member, "treaty.toml"]);
    }
    let order = |member: &str, target: &str| {
        let arguments = ["stop", "order", "--member", member, "--target", target, "--reason"];
        bench.sta(&[arguments.as_slice(), &["It leaks.", "--out", "order.json"]].concat())
    };
    let sign = |person: &str| bench.done(&["stop", "sign", "--key", person, "order.json"]);
    let verify = || bench.sta(&["stop", "verify", "--treaty", "treaty.jws.json", "order.json"]);
    assert_eq!(order("ca", "model:ca/tumour-notes").code, 0);
    let told = sign("person1");
    assert!(told.ends_with("ca stops everything on model ca/tumour-notes, because: It leaks.\n"), "{told}");
    let told = verify();
    assert_eq!(told.code, 5);
    insta::assert_snapshot!(told.err, @"sta: cannot verify the order `order.json`: the order has 1 of the 2 signatures that it needs: ask others of ca to sign it too");
    sign("person2");
    let told = verify();
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(told.out.starts_with("Holds, signed by 2 of 2: ca stops everything"), "{}", told.out);
    sign("person3");
    let told = verify();
    assert_eq!(told.code, 5, "a stranger's signature: {}", told.out);
    assert_eq!(order("de", "site:juelich").code, 0);
    let told = verify();
    assert_eq!(told.code, 5);
    // The treaty names nobody for de, so that its member's own key gives its orders.
    insta::assert_snapshot!(told.err, @"sta: cannot verify the order `order.json`: the order has 0 of the 1 signatures that it needs: ask others of de to sign it too");
    sign("de/keys/signing.seed");
    let told = verify();
    assert!(
        told.out.starts_with("Holds, signed by 1 of 1: de stops everything"),
        "{} {}",
        told.out,
        told.err
    );
    let told = order("ca", "juelich");
    assert_eq!(told.code, 2);
    assert!(told.err.contains("is none of `job:ID`, `model:MEMBER/NAME` and `site:NAME`"), "{}", told.err);
}
