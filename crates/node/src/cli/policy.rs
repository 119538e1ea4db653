// SPDX-License-Identifier: Apache-2.0
//! `sta policy`: check rule packs against their cases, show every rule with its cases, explain, compare and lint.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Subcommand;
use serde_json::json;
use sta_decide::cases;

use self::packs::{CaseOf, Packs};
use super::{
    failure::{Exit, Failure, Trying},
    print::Style,
};

mod diff;
mod explain;
mod lint;
mod matrix;
mod packs;

/// What can be done with rule packs.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum PolicyCommand {
    /// Load every *.cedar of a directory together and run every *.cases.toml
    Check {
        /// The directory; its schema.cedarschema and gates.facts.toml are used where there are such, else the shipped ones
        directory: PathBuf,
    },
    /// Show every rule with its dates, its effect and what came of its cases
    Matrix {
        /// The directory of the packs; the shipped packs where there is none
        directory: Option<PathBuf>,
        /// Only the rules of this pack
        #[arg(long)]
        pack: Option<String>,
    },
    /// Say what a rule asks, where it comes from, since when, on which facts, and what would change its answer
    Explain {
        /// The rule's id, such as EU-55
        rule: String,
        /// The directory of the packs; the shipped packs where there is none
        #[arg(long)]
        packs: Option<PathBuf>,
    },
    /// Show which cases change between two directories of packs, and which rules
    Diff {
        /// The packs as they are
        old: PathBuf,
        /// The packs as they would be
        new: PathBuf,
    },
    /// Find rules that cannot fire, words and facts that nothing supplies, cases and days that are missing
    Lint {
        /// The directory of the packs; the shipped packs where there is none
        directory: Option<PathBuf>,
    },
}

/// Does it. Exit code 1 when a case fails, a guard has no case, or lint finds something.
///
/// # Errors
/// A pack or a file of cases does not load; there is no such rule.
pub(super) fn run(command: &PolicyCommand, style: Style) -> Result<ExitCode, Failure> {
    match command {
        PolicyCommand::Check { directory } => check(&Packs::of(directory)?, style),
        PolicyCommand::Matrix { directory, pack } => {
            matrix::run(&Packs::of_or_shipped(directory.as_deref())?, pack.as_deref(), style)
        }
        PolicyCommand::Explain { rule, packs } => {
            explain::run(&Packs::of_or_shipped(packs.as_deref())?, rule, style)
        }
        PolicyCommand::Diff { old, new } => diff::run(&Packs::of(old)?, &Packs::of(new)?, style),
        PolicyCommand::Lint { directory } => lint::run(&Packs::of_or_shipped(directory.as_deref())?, style),
    }
}

/// Success, or exit code 1.
fn exit(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::from(Exit::Failed as u8) }
}

fn check(packs: &Packs, style: Style) -> Result<ExitCode, Failure> {
    let results = packs.results()?;
    let all: Vec<_> = results.iter().map(|(_, result)| result.clone()).collect();
    let untested = cases::untested(&packs.rules, &all);
    let failed: Vec<_> = results.iter().filter(|(_, result)| !result.passed).collect();
    let case = |(file, result): &&CaseOf| json!({"file": file, "case": result.name, "about": result.about, "expected": result.expected.to_string(), "got": result.got.to_string()});
    let document = json!({
        "packs": packs.rules.packs().iter().map(|(name, sha256)| json!({"name": name, "sha256": sha256})).collect::<Vec<_>>(),
        "cases": results.len(),
        "failed": failed.iter().map(case).collect::<Vec<_>>(),
        "untested": untested,
    });
    style.answer(&document, || text(packs, results.len(), &failed, &untested));
    Ok(exit(failed.is_empty() && untested.is_empty()))
}

fn text(packs: &Packs, count: usize, failed: &[&CaseOf], untested: &[String]) -> String {
    let names = packs.rules.packs().iter();
    let mut text: String = names.map(|(name, sha256)| format!("{name}  {sha256}\n")).collect();
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
        packs.rules.rules().count(),
        failed.len(),
        untested.len()
    )
}

/// Reads a file, saying which.
fn read(path: &std::path::Path) -> Result<String, Failure> {
    fs::read_to_string(path).trying_to(format!("read `{}`", path.display()))
}
