// SPDX-License-Identifier: Apache-2.0
//! `sta standing` and its replay by whoever trusts no node: what agrees, which number does not, and what is said of a file that is none.

use std::{fs, io::Write, process::Stdio};

use serde_json::{Value, json};

use super::{Bench, Told};

/// What a node of Canada tells: one of its jobs filled half of its site, so that the next ran abroad, for two seconds and a half; and a
/// guest ran at home for one second.
fn told() -> Value {
    let member = |member, [given_ms, taken_ms, credits_ms, jobs]: [u64; 4], violations: Option<u64>| json!({"member": member, "given_ms": given_ms, "taken_ms": taken_ms, "credits_ms": credits_ms, "jobs": jobs, "violations": violations});
    let at = |second: &str| format!("2026-11-23T12:00:{second}Z");
    let job = |job: &str,
               (home, home_site),
               processors,
               run_ms,
               submitted,
               (site, began, ended),
               alone: [&str; 2]| {
        json!({
            "job": format!("0193a0c1-7e5b-7a10-8c3e-2f1f6f0a9b{job}"), "home": home, "home_site": home_site, "kind": "cores",
            "processors": processors, "submitted_at": at(submitted), "estimate_ms": 60_000, "run_ms": run_ms, "later_ms_max": 60_000,
            "finished_at": at(ended), "alone_began_at": at(alone[0]), "alone_finished_at": at(alone[1]), "is_late": false,
            "spans": [{"site": site, "began_at": at(began), "ended_at": at(ended)}],
        })
    };
    let (quebec, juelich) = (("ca", "quebec"), ("de", "juelich"));
    json!({
        "since": at("00"), "until": at("20"),
        "credits": {"quantum_ms": 5000, "guaranteed_ppm": 1_000_000, "quanta_at_start": 2},
        "sites": [
            {"site": "quebec", "member": "ca", "cores": 8, "accelerators": 2},
            {"site": "juelich", "member": "de", "cores": 16, "accelerators": 0},
        ],
        "balances": [
            // In the first quantum Canada wants 48 core-seconds, has 40, and borrows the rest.
            {"processors": "cores", "members": [
                member("ca", [3000, 20_000, 72_000, 2], Some(0)), member("de", [20_000, 3000, 168_000, 1], None),
            ]},
            {"processors": "accelerators", "members": [
                member("ca", [0, 0, 20_000, 0], Some(0)), member("de", [0; 4], None),
            ]},
        ],
        "jobs_not_counted": 0,
        "jobs": [
            job("01", quebec, 4, 5000, "00", ("quebec", "00", "05"), ["00", "05"]),
            job("02", quebec, 8, 2500, "01", ("juelich", "02", "04.500"), ["05", "07.500"]),
            job("03", juelich, 3, 1000, "03", ("quebec", "03.250", "04.250"), ["03", "04"]),
        ],
    })
}

fn replayed(bench: &Bench, document: &Value) -> Told {
    fs::write(bench.path("standing.json"), document.to_string()).unwrap();
    bench.sta(&["replay", "standing", "standing.json"])
}

#[test]
fn what_a_node_told_truly_agrees_to_the_digit() {
    let bench = Bench::new();
    let told = replayed(&bench, &told());
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{}", told.out);
    insta::assert_snapshot!(told.out);
    let answer = bench.json(&["replay", "standing", "standing.json"]);
    assert_eq!(
        (&answer["agrees"], &answer["first_difference"], &answer["jobs"]),
        (&json!(true), &Value::Null, &json!(3))
    );
    assert_eq!(
        answer["balances"][0]["members"][1]["numbers"]["given_ms"],
        json!({"told": 20_000, "replayed": 20_000})
    );
}

#[test]
fn the_first_number_that_was_changed_is_named() {
    let bench = Bench::new();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = told();
        change(&mut document);
        replayed(&bench, &document)
    };
    let credits = changed(&|told| told["balances"][0]["members"][0]["credits_ms"] = json!(72_001));
    assert_eq!(credits.code, 5);
    insta::assert_snapshot!(credits.out + &credits.err);
    let said = |change: &dyn Fn(&mut Value)| {
        let told = changed(change);
        assert_eq!((told.code, told.out.contains("agrees")), (5, false), "{}", told.out);
        told.err
    };
    let span = said(&|told| told["jobs"][1]["spans"][0]["ended_at"] = json!("2026-11-23T12:00:04.501Z"));
    assert!(
        span.contains("`taken_ms` of member `ca` by cores is told as 20000 and replayed as 20008"),
        "{span}"
    );
    let alone = said(&|told| told["jobs"][2]["run_ms"] = json!(1001));
    let job = "job `0193a0c1-7e5b-7a10-8c3e-2f1f6f0a9b03`";
    let moments = "is told as 2026-11-23T12:00:04Z and replayed as 2026-11-23T12:00:04.001Z";
    assert!(alone.contains(&format!("`alone_finished_at` of {job} {moments}")), "{alone}");
    let answer = bench.sta(&["replay", "standing", "standing.json", "--json"]);
    let document: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!((answer.code, &document["agrees"]), (5, &json!(false)));
    assert_eq!(document["first_difference"]["number"], "alone_finished_at");
}

#[test]
fn a_file_that_no_node_wrote_is_told_with_its_place_and_how_to_get_one() {
    let bench = Bench::new();
    let told = |text: &str| {
        fs::write(bench.path("standing.json"), text).unwrap();
        let told = bench.sta(&["replay", "standing", "standing.json"]);
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{}", told.err);
        told.err
    };
    insta::assert_snapshot!(told("{\n  \"since\": \"yesterday\"\n}\n"));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = self::told();
        change(&mut document);
        told(&document.to_string())
    };
    insta::assert_snapshot!(with(&|told| told["jobs"] = json!([])));
    let unknown = with(&|told| told["jobs"][0]["spans"][0]["site"] = json!("atlantis"));
    assert!(unknown.contains("2f1f6f0a9b01` names site `atlantis`, of which it does not tell"), "{unknown}");
    let missing = bench.sta(&["replay", "standing", "gone.json"]);
    assert_eq!(missing.code, 1);
    insta::assert_snapshot!(missing.err);
}

#[test]
fn what_a_running_node_tells_is_replayed_from_standard_input() {
    let bench = Bench::new();
    bench.signed_treaty();
    let _node = bench.serve("ca");
    bench.done(&["researcher", "add", "--dir", "ca", "--profile", "ada", "--role", "operator", "ada"]);
    bench.done(&["project", "add", "--dir", "ca", "p", "--credits", "10.00", "--researcher", "ada"]);
    bench.done(&["passport", "issue", "--profile", "ada"]);
    let job = [
        "submit",
        "--profile",
        "ada",
        "--project",
        "p",
        "--purpose",
        "research",
        "--site-allow",
        "quebec-hydro",
        "--wait",
    ];
    bench.done(&[&job[..], &["--", "sleep", "1"]].concat());
    let shown = bench.done(&["standing", "--profile", "ada", "--jobs"]);
    assert!(shown.contains("finished alone") && shown.contains("1 cores"), "{shown}");
    let document = bench.done(&["standing", "--profile", "ada", "--jobs", "--json"]);
    let mut sta = bench.command(&["replay", "standing", "-"]);
    let mut sta = sta.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sta.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = sta.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.ends_with("agrees to the digit.\n"), "{text}");
}
