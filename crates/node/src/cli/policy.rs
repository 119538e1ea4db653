// SPDX-License-Identifier: Apache-2.0
//! `sta policy check`: loads the rule packs of a directory and runs the cases beside them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use serde_json::json;
use sta_decide::{
    authorize::{Rules, SHIPPED_SCHEMA},
    cases::{self, CaseResult},
};

use super::{
    failure::{Exit, Failure, Trying},
    print::Style,
};

/// What can be done with rule packs.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum PolicyCommand {
    /// Load every *.cedar of a directory together and run every *.cases.toml
    Check {
        /// The directory; its schema.cedarschema is used where there is one, else the shipped schema
        directory: PathBuf,
    },
}

/// Does it. Exit code 1 when a case fails or a guard has no case.
///
/// # Errors
/// A pack or a file of cases does not load.
pub(super) fn run(command: &PolicyCommand, style: Style) -> Result<ExitCode, Failure> {
    let PolicyCommand::Check { directory } = command;
    let rules = load(directory)?;
    let mut results: Vec<(String, CaseResult)> = Vec::new();
    for path in with_ending(directory, ".cases.toml")? {
        let doing = format!("run the cases in `{}`", path.display());
        let text = fs::read_to_string(&path).trying_to(&doing)?;
        let ran = cases::run(&rules, &text).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))?;
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        results.extend(ran.into_iter().map(|result| (file.clone(), result)));
    }
    let all: Vec<CaseResult> = results.iter().map(|(_, result)| result.clone()).collect();
    let untested = cases::untested(&rules, &all);
    let failed: Vec<_> = results.iter().filter(|(_, result)| !result.passed).collect();
    let case = |(file, result): &&(String, CaseResult)| json!({"file": file, "case": result.name, "about": result.about, "expected": result.expected.to_string(), "got": result.got.to_string()});
    let document = json!({
        "packs": rules.packs().iter().map(|(name, sha256)| json!({"name": name, "sha256": sha256})).collect::<Vec<_>>(),
        "cases": results.len(),
        "failed": failed.iter().map(case).collect::<Vec<_>>(),
        "untested": untested,
    });
    style.answer(&document, || text(&rules, results.len(), &failed, &untested));
    Ok(if failed.is_empty() && untested.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Exit::Failed as u8)
    })
}

fn text(rules: &Rules, count: usize, failed: &[&(String, CaseResult)], untested: &[String]) -> String {
    let mut text: String = rules.packs().iter().map(|(name, sha256)| format!("{name}  {sha256}\n")).collect();
    for (file, result) in failed {
        text += &format!(
            "FAILED {file}: {}\n  expected: {}\n  got:      {}\n",
            result.name, result.expected, result.got
        );
    }
    if !untested.is_empty() {
        text +=
            &format!("Without a case that they refuse and one that they let pass: {}\n", untested.join(", "));
    }
    text + &format!(
        "{} rules, {count} cases, {} failed, {} guards untested",
        rules.rules().count(),
        failed.len(),
        untested.len()
    )
}

fn load(directory: &Path) -> Result<Rules, Failure> {
    let doing = format!("load the rule packs in `{}`", directory.display());
    let read = |path: &Path| fs::read_to_string(path).trying_to(format!("read `{}`", path.display()));
    let mut packs = Vec::new();
    for path in with_ending(directory, ".cedar")? {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        packs.push((name, read(&path)?));
    }
    if packs.is_empty() {
        return Err(Failure::new(doing, "there is no *.cedar")
            .exit(Exit::Usage)
            .mend("Name the directory that holds the packs, such as `policies`."));
    }
    let schema = directory.join("schema.cedarschema");
    let schema = if schema.exists() { read(&schema)? } else { SHIPPED_SCHEMA.to_owned() };
    let packs: Vec<(&str, &str)> = packs.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Rules::load(&packs, &schema).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))
}

fn with_ending(directory: &Path, ending: &str) -> Result<Vec<PathBuf>, Failure> {
    let doing = format!("read the directory `{}`", directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).trying_to(&doing)? {
        let path = entry.trying_to(&doing)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
