// SPDX-License-Identifier: Apache-2.0
//! `sta incident` over a real node: a report, its table of clocks, who was told, the end, and the gate's answer replayed offline.

use super::Bench;

#[test]
fn an_incident_is_reported_told_and_closed_on_the_command_line_and_its_answer_replays() {
    let bench = Bench::new();
    bench.signed_treaty();
    let nodes = ["ca", "de"].map(|member| bench.serve(member));
    bench.done(&["researcher", "add", "--dir", "ca", "ada", "--profile", "ada"]);
    bench.done(&["researcher", "add", "--dir", "ca", "safia", "--role", "safety", "--profile", "safia"]);
    let incident = |arguments: &[&str], profile: &str| {
        bench.sta(&[&["incident"], arguments, &["--profile", profile]].concat())
    };
    assert_eq!(incident(&["list"], "safia").out, "No incident is open.\n");
    let report = ["report", "--kind", "personal-data-breach", "--summary", "A folder was readable by all."];
    let told = incident(&report, "ada");
    assert_eq!(told.code, 0, "{}", told.err);
    for part in [
        "First report: data protection supervisory authority",
        "GDPR Art. 33(1)",
        "time left",
        "2 d 23 h",
        "GD-33: ",
    ] {
        assert!(told.out.contains(part), "{part} is not in {}", told.out);
    }
    let id = told.out.split_whitespace().nth(1).unwrap().to_owned();
    let list = incident(&["list"], "safia").out;
    assert!(list.contains(&id) && list.contains("GD-33"), "{list}");

    let wrong = incident(&["report", "--kind", "fire", "--summary", "It burns."], "ada");
    assert_eq!(wrong.code, 1, "{}", wrong.err);
    assert!(wrong.err.contains("personal-data-breach"), "the kinds that there are: {}", wrong.err);
    let wrong = incident(&["report", "--kind", "other", "--summary", "x", "--fact", "data"], "ada");
    assert!(wrong.err.contains("is not of the form SECTION.NAME=VALUE"), "{}", wrong.err);
    let early = incident(&["close", &id, "--reason", "Over."], "safia");
    assert_eq!(early.code, 1, "{}", early.err);
    assert!(early.err.contains("INC-002") && early.err.contains("sta incident resolve"), "{}", early.err);
    let not_hers = incident(&["resolve", &id, "--summary", "Over."], "ada");
    assert!(not_hers.code == 4 && not_hers.err.contains("AUT-002"), "{}", not_hers.err);

    let told =
        incident(&["notify", &id, "--clock", "1", "--authority", "OPC", "--reference", "A-1"], "safia");
    assert!(told.out.contains("(met)"), "{}{}", told.out, told.err);
    assert_eq!(incident(&["resolve", &id, "--summary", "It is closed off."], "safia").code, 0);
    let told = incident(&["close", &id, "--reason", "Nobody had read it."], "safia");
    assert!(told.out.starts_with(&format!("Incident {id}  closed")), "{}{}", told.out, told.err);
    assert!(told.out.contains("notified by safia@ca"), "{}", told.out);
    assert_eq!(incident(&["list"], "ada").out, "No incident is open.\n");

    bench.wait("a cosigned log whose decisions replay", |bench| {
        bench.json(&["audit", "export", "log", "--dir", "ca", "--payloads"]);
        let told = bench.sta(&["verify", "--treaty", "treaty.jws.json", "--replay", "log"]);
        (told.code == 0).then_some(())
    });
    for node in nodes {
        assert_eq!(node.stop(), Some(0));
    }
}
