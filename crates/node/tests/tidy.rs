// SPDX-License-Identifier: Apache-2.0
//! What ARCHITECTURE.md and the documents promise and a machine can hold: edges, purity, sizes, names, lists that must be whole.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use sta_decide::authorize::Rules;
use sta_node::{cli::failure::Exit, metrics::Metrics};
use sta_protocol::refusal::RefusalCode;

/// The most lines of a file.
const FILE_LINES_MAX: usize = 500;
/// The crates that do no I/O and take time and chance as arguments.
const PURE: [&str; 4] = ["protocol", "audit", "guardrail", "decide"];
/// Which of our crates each crate may use.
const EDGES: [(&str, &[&str]); 6] = [
    ("audit", &[]),
    ("decide", &["sta-protocol"]),
    ("guardrail", &[]),
    ("node", &["sta-audit", "sta-decide", "sta-guardrail", "sta-protocol", "sta-replay"]),
    ("protocol", &[]),
    ("replay", &["sta-decide"]),
];
/// What a pure crate must not name: clock, disk, network, environment, threads' waits, chance, an async runtime.
const IMPURE: [&str; 12] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "tokio",
    "getrandom",
    "rand::",
];
/// Outside of `steps` and `store`, who writes to the store, and why that is no step of a job.
const WRITERS: [(&str, &str); 6] = [
    ("http/signed.rs", "keeps answers under their idempotency keys"),
    ("http/audit_log.rs", "the witness keeps what it cosigns"),
    ("peers/witness.rs", "cosignatures of our own log"),
    ("peers/reports.rs", "what members say of their sites"),
    ("node.rs", "the entry of the start"),
    ("worker.rs", "notes that an effect has not happened yet"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The path from the root, with `/` between its parts.
fn name(path: &Path) -> String {
    let relative = path.strip_prefix(root()).expect("a path below the root");
    relative.to_str().expect("a path in Unicode").to_owned()
}

/// Every file below a folder of the root with one of these endings, sorted; built and hidden things left out.
fn files(below: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let own = path.file_name().and_then(|own| own.to_str()).unwrap_or_default().to_owned();
            if own.starts_with('.') || ["target", "sta-demo", "__pycache__"].contains(&own.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| own.ends_with(ending)) {
                found.push(name(&path));
            }
        }
    }
    found.sort();
    found
}

fn crates() -> Vec<String> {
    let entries = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = entries
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// What is between single backticks, outside of fenced blocks.
fn code_spans(markdown: &str) -> Vec<String> {
    let mut spans = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    spans
}

fn nothing_in(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn crates_use_each_other_only_along_the_agreed_edges() {
    let known: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    assert_eq!(crates(), known, "a new crate needs its edges here and its line in ARCHITECTURE.md");
    for (name, allowed) in EDGES {
        let manifest: toml::Table = read(format!("crates/{name}/Cargo.toml")).parse().unwrap();
        for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let used =
                manifest.get(table).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            let ours: Vec<&String> =
                used.filter(|used| used.starts_with("sta-") && !allowed.contains(&used.as_str())).collect();
            assert!(ours.is_empty(), "crates/{name} may not use {ours:?}");
        }
    }
}

#[test]
fn the_pure_crates_name_no_clock_disk_network_or_chance() {
    let mut found = Vec::new();
    for name in PURE {
        for file in files(&format!("crates/{name}/src"), &[".rs"]) {
            let text = read(&file);
            let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
            for (number, line) in code {
                found.extend(
                    IMPURE
                        .iter()
                        .filter(|word| line.contains(**word))
                        .map(|word| format!("{file}:{}: {word}", number + 1)),
                );
            }
        }
        let manifest: toml::Table = read(format!("crates/{name}/Cargo.toml")).parse().unwrap();
        let impure = ["tokio", "getrandom", "rand", "reqwest", "hyper", "rusqlite", "axum", "nix"];
        let used = manifest["dependencies"].as_table().unwrap().keys();
        found.extend(
            used.filter(|used| impure.contains(&used.as_str()))
                .map(|used| format!("crates/{name}: depends on {used}")),
        );
    }
    nothing_in(&found, "time and chance are arguments of the pure crates");
}

#[test]
fn store_and_engines_know_no_step() {
    let both =
        ["store", "engines"].iter().flat_map(|part| files(&format!("crates/node/src/{part}"), &[".rs"]));
    let found: Vec<String> = both.filter(|file| read(file).contains("steps::")).collect();
    nothing_in(&found, "calls go down, values come back");
}

#[test]
fn only_steps_write_to_the_store_but_for_the_listed_others() {
    let mut writers = BTreeSet::new();
    for file in files("crates/node/src", &[".rs"]) {
        let own = file.strip_prefix("crates/node/src/").unwrap();
        let squeezed: String = read(&file).chars().filter(|letter| !letter.is_whitespace()).collect();
        if squeezed.contains("store.write(") && !own.starts_with("steps/") && !own.starts_with("store/") {
            writers.insert(own.to_owned());
        }
    }
    let listed: BTreeSet<String> = WRITERS.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(writers, listed, "left: who writes; right: the list in this test");
}

#[test]
fn every_source_file_is_short_and_says_under_which_licence_it_is_and_what_it_is_for() {
    let mut found = Vec::new();
    for file in files("crates", &[".rs"]) {
        let text = read(&file);
        let mut lines = text.lines();
        if lines.next() != Some("// SPDX-License-Identifier: Apache-2.0") {
            found.push(format!("{file}: the first line is not the licence"));
        }
        if !lines.next().is_some_and(|line| line.starts_with("//! ")) {
            found.push(format!("{file}: the second line does not say with `//!` what the file is for"));
        }
        let length = text.lines().count();
        if length > FILE_LINES_MAX {
            found.push(format!("{file}: {length} lines, at most {FILE_LINES_MAX}"));
        }
    }
    nothing_in(&found, "a file is one idea");
}

#[test]
fn every_crate_is_under_the_lints_that_forbid_unsafe_code_and_long_functions() {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let lints = &workspace["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("forbid"));
    assert_eq!(lints["clippy"]["too_many_lines"].as_str(), Some("warn"), "./check makes warnings errors");
    let clippy: toml::Table = read("clippy.toml").parse().unwrap();
    assert_eq!(clippy["too-many-lines-threshold"].as_integer(), Some(70));
    for name in crates() {
        let manifest: toml::Table = read(format!("crates/{name}/Cargo.toml")).parse().unwrap();
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "crates/{name}");
    }
    let lifted = |file: &String| {
        ["allow(unsafe", "allow(clippy::too_many", "expect(clippy::too_many"]
            .iter()
            .any(|lint| read(file).contains(lint))
    };
    let found: Vec<String> = files("crates", &[".rs"])
        .into_iter()
        .filter(|file| !file.ends_with("tidy.rs") && lifted(file))
        .collect();
    nothing_in(&found, "no file lifts these lints");
}

#[test]
fn architecture_names_every_crate_and_every_folder_of_code() {
    let spans: BTreeSet<String> = code_spans(&read("ARCHITECTURE.md")).into_iter().collect();
    let sources = crates().into_iter().flat_map(|name| files(&format!("crates/{name}/src"), &[".rs"]));
    let mut folders: BTreeSet<String> =
        sources.map(|file| name(root().join(&file).parent().unwrap())).collect();
    folders.remove("crates/node/src");
    folders.extend(crates().iter().map(|name| format!("crates/{name}")));
    let named = |folder: &String| {
        let short = folder.strip_prefix("crates/node/src/");
        spans.contains(folder) || short.is_some_and(|short| spans.contains(short))
    };
    let found: Vec<String> = folders.into_iter().filter(|folder| !named(folder)).collect();
    nothing_in(&found, "each needs its line in ARCHITECTURE.md");
}

/// A span that means a path of this repository, and the name within that file where it has one.
fn path_in(span: &str, everywhere: bool) -> Option<(&str, Option<&str>)> {
    let (path, inner) = span
        .split_once(".rs::")
        .map_or((span, None), |(_, inner)| (&span[..span.len() - inner.len() - 2], Some(inner)));
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
        && !path.starts_with('/');
    let folders = ["crates/", "docs/", "policies/", "treaties/", "examples/", "oracles/", "steps/", "store/"];
    let means_a_path = if everywhere {
        path.contains('/') || path.ends_with(".rs")
    } else {
        folders.iter().any(|folder| path.starts_with(folder))
    };
    (plain && means_a_path).then_some((path, inner))
}

/// Whether the text defines something of that name.
fn defines(text: &str, wanted: &str) -> bool {
    ["fn", "struct", "enum", "trait", "const", "static", "type"].iter().any(|kind| {
        text.match_indices(&format!("{kind} {wanted}")).any(|(at, found)| {
            let after = text[at + found.len()..].chars().next();
            after.is_some_and(|letter| !letter.is_alphanumeric() && letter != '_')
        })
    })
}

#[test]
fn every_path_and_name_in_the_documents_exists() {
    let mut documents = files("docs", &[".md"]);
    documents.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md"].map(str::to_owned));
    let mut found = Vec::new();
    for document in documents {
        for span in code_spans(&read(&document)) {
            let Some((path, inner)) = path_in(&span, document == "ARCHITECTURE.md") else { continue };
            let places = [root().join(path), root().join("crates/node/src").join(path)];
            let Some(place) = places.into_iter().find(|place| place.exists()) else {
                found.push(format!("{document}: there is no `{path}`"));
                continue;
            };
            if let Some(inner) = inner.filter(|inner| !defines(&fs::read_to_string(&place).unwrap(), inner)) {
                found.push(format!("{document}: `{path}` has no `{inner}`"));
            }
        }
    }
    nothing_in(&found, "documents are true to the last word");
}

#[test]
fn the_protocol_lists_every_refusal_and_every_rule_with_its_status_and_pack() {
    let text = read("docs/protocol.md");
    let codes =
        RefusalCode::ALL.iter().map(|code| format!("| `{}` | {} | ", code.as_str(), code.http_status()));
    let sources = RefusalCode::ALL.iter().map(|code| format!(" | {} |\n", code.source()));
    let rules = Rules::shipped().expect("the shipped packs load");
    let rules: Vec<String> =
        rules.rules().map(|rule| format!("| `{}` | `{}` | ", rule.id, rule.pack)).collect();
    let found: Vec<String> = codes.chain(sources).chain(rules).filter(|row| !text.contains(row)).collect();
    nothing_in(&found, "docs/protocol.md §11 lacks");
}

#[test]
fn what_refusals_point_at_in_the_documents_is_there() {
    let (protocol, operations) = (read("docs/protocol.md"), read("docs/operations.md").to_lowercase());
    let section_has = |section: &str| {
        let number: String = section.chars().take_while(char::is_ascii_digit).collect();
        let topic = section.split_once(": ").map_or("", |(_, topic)| topic).to_lowercase();
        let body = protocol.split_once(&format!("\n## {number}. ")).map_or("", |(_, rest)| rest);
        let body = body.split("\n## ").next().unwrap_or_default().to_lowercase();
        !body.is_empty() && body.contains(&topic)
    };
    let mut found = Vec::new();
    for code in RefusalCode::ALL {
        for part in code.source().split("; ") {
            let section = part.strip_prefix("docs/protocol.md §");
            let topic = part.strip_prefix("docs/operations.md: ");
            let leads_somewhere = section.is_none_or(section_has)
                && topic.is_none_or(|topic| operations.contains(&format!("\n## {topic}")));
            if !leads_somewhere {
                found.push(format!("{}: {part}", code.as_str()));
            }
        }
    }
    nothing_in(&found, "sources that lead nowhere");
}

#[test]
fn the_protocol_lists_every_kind_of_audit_entry_and_no_other() {
    let mut written = BTreeSet::new();
    for file in files("crates/node/src", &[".rs"]) {
        for line in read(&file).lines().filter(|line| line.contains("kind: ") || line.contains("entry(\"")) {
            let literals = line.split('"').skip(1).step_by(2);
            let is_kind = |text: &&str| {
                text.split_once('.').is_some_and(|(what, _)| !what.is_empty())
                    && !text.contains([' ', '/', '{'])
            };
            written.extend(literals.filter(is_kind).map(str::to_owned));
        }
    }
    let text = read("docs/protocol.md");
    let table = text.split_once("| `kind` | `subject` |").expect("the table of kinds").1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let listed: BTreeSet<String> = rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect();
    assert_eq!(written, listed, "left: what the code writes; right: docs/protocol.md §9");
}

#[test]
fn the_operators_handbook_lists_every_exit_code_and_every_metric() {
    let text = read("docs/operations.md");
    for exit in [Exit::Failed, Exit::Usage, Exit::Unreachable, Exit::NotAllowed, Exit::Unverified] {
        assert!(text.contains(&format!("\n| {} | ", exit as u8)), "exit code {exit:?}");
    }
    let metrics = Metrics::new();
    metrics.answered("GET", "/healthz", 200, std::time::Duration::from_millis(1));
    metrics.refused("SOV-001");
    for family in [&metrics.jobs, &metrics.outbox, &metrics.peer_cosign_age_seconds] {
        family.get_or_create(&sta_node::metrics::NameLabel { name: "any".to_owned() }).set(1);
    }
    let page = metrics.text().expect("the metrics can be written");
    let names: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.len() >= 7, "{names:?}");
    let found: Vec<String> = names
        .iter()
        .filter(|name| !text.contains(&format!("`{name}")))
        .map(|name| (*name).to_owned())
        .collect();
    nothing_in(&found, "docs/operations.md lacks the metrics");
}

#[test]
fn every_pack_has_its_cases_and_every_file_of_cases_its_pack() {
    let stems = |ending: &str| -> BTreeSet<String> {
        files("policies", &[ending])
            .iter()
            .map(|file| file.strip_suffix(ending).unwrap().to_owned())
            .collect()
    };
    let packs = stems(".cedar");
    assert!(packs.len() >= 2, "{packs:?}");
    assert_eq!(packs, stems(".cases.toml"));
}

#[test]
fn every_language_has_the_same_texts() {
    let keys = |file: &str| -> BTreeSet<String> {
        let text = read(file);
        let mut message = String::new();
        let mut keys = BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((left, _)) = line.split_once(" =") else { continue };
            match line.strip_prefix("    .") {
                Some(_) => drop(keys.insert(format!("{message}{}", left.trim()))),
                None if !line.starts_with(' ') => {
                    left.clone_into(&mut message);
                    keys.insert(message.clone());
                }
                None => {}
            }
        }
        keys
    };
    for (name, texts_min) in [("refusals.ftl", RefusalCode::ALL.len()), ("incidents.ftl", 6)] {
        let catalogues = files("crates/node/locales", &[name]);
        assert_eq!(catalogues.len(), 3, "{catalogues:?}");
        let first = keys(&catalogues[0]);
        assert!(first.len() > texts_min, "{first:?}");
        for catalogue in &catalogues[1..] {
            assert_eq!(first, keys(catalogue), "left: {}; right: {catalogue}", catalogues[0]);
        }
    }
    assert_eq!(files("crates/node/locales", &[".ftl"]).len(), 6);
}

#[test]
fn every_migration_is_listed_once_and_in_order() {
    let schema = read("crates/node/src/store/schema.rs");
    let named = schema.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let named: Vec<String> = named.map(|path| format!("crates/node/src/store/{path}")).collect();
    assert_eq!(named, files("crates/node/src/store/migrations", &[".sql"]));
    for (number, file) in (1..).zip(&named) {
        assert!(file.contains(&format!("/{number:04}_")), "{file} is number {number}");
    }
}

#[test]
fn every_decision_has_its_number_and_its_three_parts() {
    let decisions = files("docs/decisions", &[".md"]);
    for (number, file) in (1..).zip(&decisions) {
        let text = read(file);
        assert!(text.contains(&format!("\n# {number:04}. ")), "{file} is number {number}");
        for part in ["## Context", "## Decision", "## Consequences"] {
            assert!(text.contains(part), "{file} lacks `{part}`");
        }
    }
    assert!(decisions.len() >= 12);
}

#[test]
fn nothing_is_marked_as_unfinished_and_no_machine_is_named() {
    // Put together here, so that this file does not find itself.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]].map(|parts| parts.concat());
    let homes = [["/home", "/"], ["/root", "/"], ["/Users", "/"], ["/work", "/"]].map(|parts| parts.concat());
    let mut found = Vec::new();
    let endings = [".rs", ".md", ".toml", ".cedar", ".cedarschema", ".sql", ".ftl", ".py", ".yml", "check"];
    for file in files("", &endings) {
        for (number, line) in read(&file).lines().enumerate() {
            let words = || line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let marked = marks.iter().find(|mark| words().any(|word| word == mark.as_str()));
            let tokens = || line.split(|letter: char| letter.is_whitespace() || "\"'`()<>,".contains(letter));
            let at_home = homes.iter().find(|home| tokens().any(|token| token.starts_with(home.as_str())));
            found.extend(marked.or(at_home).map(|what| format!("{file}:{}: {what}", number + 1)));
        }
    }
    nothing_in(&found, "finish it, or open an issue");
}
