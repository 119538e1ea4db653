// SPDX-License-Identifier: Apache-2.0
//! `sta policy lint`: what is wrong with packs that load.

use std::process::ExitCode;

use serde_json::json;
use sta_decide::{
    cases::CaseResult,
    lint::{Finding, lint, unread},
};

use super::{
    super::{failure::Failure, print::Style},
    exit,
    packs::Packs,
};

pub(super) fn run(packs: &Packs, style: Style) -> Result<ExitCode, Failure> {
    let results: Vec<CaseResult> = packs.results()?.into_iter().map(|(_, result)| result).collect();
    let findings = lint(&packs.rules, &results);
    let unread = unread(&packs.rules);
    let document = json!({
        "findings": findings.iter().map(|finding| json!({"about": finding.about, "problem": finding.problem})).collect::<Vec<_>>(),
        "facts_unread": unread,
    });
    style.answer(&document, || {
        let line = |finding: &Finding| format!("{}: {}\n", finding.about, finding.problem);
        let mut text: String = findings.iter().map(line).collect();
        if !unread.is_empty() {
            text += &format!("note: no rule reads {}\n", unread.join(", "));
        }
        text + &format!("{} rules, {} findings", packs.rules.rules().count(), findings.len())
    });
    Ok(exit(findings.is_empty()))
}
