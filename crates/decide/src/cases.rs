// SPDX-License-Identifier: Apache-2.0
//! Cases: facts and the verdict they must lead to, as TOML beside each pack, run by tests and by `sta policy check`.
//!
//! A file has one whole sheet of facts for each action it uses (`[facts.run]`), on which everything is granted, and cases
//! that change some of them:
//! ```toml
//! [[case]]
//! name = "protected data of Canada does not run in Germany"
//! about = "SOV-003"                 # the rule that the case is for
//! action = "process"
//! set = { "data.class" = "protected", "data.stays_in_nation" = false }
//! refused = ["SOV-003"]             # or: granted = ["ADM-002"]
//! ```

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Context, EntityUid};
use serde::Deserialize;
use sta_protocol::{ids::MemberId, refusal::Refusal};

use crate::{
    authorize::{Action, Fact, FactSheet, Rules, evaluate},
    verdict::Verdict,
};

/// The most cases in one file.
const CASES_MAX: usize = 10_000;

/// What a case wants, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Granted by these permits, sorted.
    Granted(Vec<String>),
    /// Refused by these rules, sorted.
    Refused(Vec<String>),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Granted(permits) => write!(f, "granted by {}", permits.join(", ")),
            Self::Refused(rules) => write!(f, "refused by {}", rules.join(", ")),
        }
    }
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// The case's own sentence.
    pub name: String,
    /// The rule it is for.
    pub about: String,
    /// The action that was asked about.
    pub action: Action,
    /// The facts that were asked about.
    pub sheet: FactSheet,
    /// What it wants.
    pub expected: Outcome,
    /// What came.
    pub got: Outcome,
    /// The refusals in full; empty where it was granted.
    pub refusals: Vec<Refusal>,
    /// Whether both are the same.
    pub passed: bool,
}

/// Why a file of cases does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CasesError {
    /// The TOML does not parse, or a field is unknown.
    #[error("the cases do not read: {0}")]
    Syntax(String),
    /// One case is wrong in itself.
    #[error("case `{name}` {problem}")]
    Case {
        /// The case's own sentence.
        name: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasesFile {
    facts: BTreeMap<String, toml::Table>,
    #[serde(rename = "case")]
    cases: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    about: String,
    action: String,
    #[serde(default)]
    set: toml::Table,
    #[serde(default)]
    remove: Vec<String>,
    granted: Option<Vec<String>>,
    refused: Option<Vec<String>>,
}

/// Runs every case of one file.
///
/// # Errors
/// The file does not parse, or a case names an action, rule or fact that does not exist.
pub fn run(rules: &Rules, text: &str) -> Result<Vec<CaseResult>, CasesError> {
    let file: CasesFile = toml::from_str(text).map_err(|error| CasesError::Syntax(error.to_string()))?;
    if file.cases.len() > CASES_MAX {
        return Err(CasesError::Syntax(format!(
            "{} cases in one file: at most {CASES_MAX}",
            file.cases.len()
        )));
    }
    let mut names = BTreeSet::new();
    let twice = file.cases.iter().find(|case| !names.insert(case.name.as_str()));
    if let Some(case) = twice {
        return Err(wrong(case, "occurs twice: each case needs a sentence of its own".to_owned()));
    }
    file.cases.iter().map(|case| run_case(rules, &file.facts, case)).collect()
}

/// The guards of `rules` that lack a case which they refuse, or a granted case that is about them.
///
/// A guard without the first may never refuse; one without the second may refuse everything.
#[must_use]
pub fn untested(rules: &Rules, results: &[CaseResult]) -> Vec<String> {
    let refused = |id: &str, result: &CaseResult| matches!(&result.got, Outcome::Refused(by) if by.iter().any(|rule| rule == id));
    let granted = |result: &CaseResult| matches!(result.got, Outcome::Granted(_));
    let tested = |id: &str| {
        let mut about = results.iter().filter(|result| result.about == id);
        about.clone().any(|result| refused(id, result)) && about.any(granted)
    };
    rules.rules().filter(|rule| rule.is_guard && !tested(&rule.id)).map(|rule| rule.id.clone()).collect()
}

fn run_case(
    rules: &Rules,
    facts: &BTreeMap<String, toml::Table>,
    case: &RawCase,
) -> Result<CaseResult, CasesError> {
    let known = Action::ALL.into_iter().find(|action| action.as_str() == case.action);
    let action = known.ok_or_else(|| {
        wrong(case, format!("has the action `{}`: use run, process, export or release", case.action))
    })?;
    let sheet = sheet_of(facts, case)?;
    if case.remove.is_empty() {
        check_types(rules, action, &sheet)
            .map_err(|problem| wrong(case, format!("does not fit the schema: {problem}")))?;
    }
    let mut expected = match (&case.granted, &case.refused) {
        (Some(permits), None) => Outcome::Granted(permits.clone()),
        (None, Some(reasons)) => Outcome::Refused(reasons.clone()),
        (Some(_), Some(_)) | (None, None) => {
            return Err(wrong(case, "needs either `granted` or `refused`".to_owned()));
        }
    };
    match &mut expected {
        Outcome::Granted(ids) | Outcome::Refused(ids) => ids.sort(),
    }
    let by: MemberId = "ca".parse().map_err(|_| wrong(case, "has no member that decides".to_owned()))?;
    let verdict = evaluate(rules, action, &sheet, &by);
    let refusals = verdict.refusals().map(|refusals| refusals.as_slice().to_vec()).unwrap_or_default();
    let got = match verdict {
        Verdict::Granted(permits) => Outcome::Granted(permits),
        Verdict::Refused(refusals) => {
            let mut ids: Vec<String> = refusals.rules().map(str::to_owned).collect();
            ids.dedup();
            Outcome::Refused(ids)
        }
    };
    let (name, about) = (case.name.clone(), case.about.clone());
    Ok(CaseResult { passed: got == expected, name, about, action, sheet, expected, got, refusals })
}

/// The whole sheet of the case's action with the case's changes.
fn sheet_of(facts: &BTreeMap<String, toml::Table>, case: &RawCase) -> Result<FactSheet, CasesError> {
    let whole = facts
        .get(&case.action)
        .ok_or_else(|| wrong(case, format!("needs a table [facts.{}]", case.action)))?;
    let mut sheet = FactSheet::default();
    for (section, named) in whole {
        let named =
            named.as_table().ok_or_else(|| wrong(case, format!("has `{section}` without names under it")))?;
        for (name, value) in named {
            set(&mut sheet, case, &format!("{section}.{name}"), value)?;
        }
    }
    for (path, value) in &case.set {
        if sheet.get(path).is_none() {
            return Err(wrong(case, format!("sets `{path}`, which [facts.{}] does not have", case.action)));
        }
        set(&mut sheet, case, path, value)?;
    }
    match case.remove.iter().find(|path| !sheet.remove(path)) {
        Some(path) => {
            Err(wrong(case, format!("removes `{path}`, which [facts.{}] does not have", case.action)))
        }
        None => Ok(sheet),
    }
}

fn set(sheet: &mut FactSheet, case: &RawCase, path: &str, value: &toml::Value) -> Result<(), CasesError> {
    let words = |items: &[toml::Value]| {
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()
    };
    let fact = match value {
        toml::Value::Boolean(flag) => Some(Fact::Flag(*flag)),
        toml::Value::String(text) => Some(Fact::Text(text.clone())),
        toml::Value::Array(items) => words(items).map(Fact::Words),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Datetime(_)
        | toml::Value::Table(_) => None,
    };
    match fact.map(|fact| sheet.set(path, fact)) {
        Some(true) => Ok(()),
        Some(false) | None => {
            Err(wrong(case, format!("has a wrong `{path}`: use true or false, a text, or a list of texts")))
        }
    }
}

/// Whether the facts have the names and types of the schema, so that a case cannot test what never happens.
fn check_types(rules: &Rules, action: Action, sheet: &FactSheet) -> Result<(), String> {
    let uid: EntityUid =
        format!("Action::\"{}\"", action.as_str()).parse().map_err(|error| format!("{error}"))?;
    let context: Context = sheet.to_context().map_err(|error| error.to_string())?;
    context.validate(rules.schema(), &uid).map_err(|error| error.to_string())
}

fn wrong(case: &RawCase, problem: String) -> CasesError {
    CasesError::Case { name: case.name.clone(), problem }
}
