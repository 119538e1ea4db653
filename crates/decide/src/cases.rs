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
//! A case of a gate changes facts of the `[section.*]` of its file, or of the file of facts that all share, and has a day:
//! ```toml
//! [[case]]
//! name = "a recruiting system without its file is not served"
//! about = "EU-09"
//! action = "serve"
//! on = "2027-12-02"                 # else the file's `today`
//! set = { "intent.purpose" = "employment", "model.documents" = ["annex-iv"] }
//! vouched = { "model.evaluations" = "attested" }
//! verdict = "DENY"
//! rules = ["EU-09"]                 # all that bind, but for those that only set a class
//! warned = []                       # optional: all that warn
//! before = "ALLOW"                  # optional: the verdict on the day before, on which the rule warns
//! ```

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Context, EntityUid};
use jiff::civil::Date;
use serde::Deserialize;
use sta_protocol::{
    gate::{Answer, Provenance, Verdict as GateVerdict},
    ids::MemberId,
    refusal::Refusal,
};

use crate::{
    authorize::{Action, Fact, FactSheet, Rules, evaluate},
    verdict::Verdict,
};

mod gates;
mod tested;

pub use tested::untested;

/// The most cases in one file.
const CASES_MAX: usize = 10_000;

/// What a case wants, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Granted by these permits, sorted.
    Granted(Vec<String>),
    /// Refused by these rules, sorted.
    Refused(Vec<String>),
    /// What a gate answers: its verdict, the rules that bind and those that warn, each sorted.
    Gate(GateVerdict, Vec<String>, Vec<String>),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Granted(permits) => write!(f, "granted by {}", permits.join(", ")),
            Self::Refused(rules) => write!(f, "refused by {}", rules.join(", ")),
            Self::Gate(verdict, rules, warned) => {
                write!(f, "{verdict}")?;
                let mut part = |word: &str, ids: &[String]| match ids {
                    [] => Ok(()),
                    ids => write!(f, "{word} {}", ids.join(", ")),
                };
                part(" by", rules)?;
                part("; warned by", warned)
            }
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
    /// The day it was asked about and the whole answer, of a gate.
    pub answer: Option<(Date, Answer)>,
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
    /// Whole sheets, by action.
    #[serde(default)]
    facts: BTreeMap<String, toml::Table>,
    /// Facts of the gates, by section.
    #[serde(default)]
    section: BTreeMap<String, toml::Table>,
    /// Who vouches for facts of the gates, by path.
    #[serde(default)]
    vouched: BTreeMap<String, Provenance>,
    /// The day of the gates' cases that name none.
    today: Option<String>,
    #[serde(rename = "case", default)]
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
    #[serde(default)]
    vouched: BTreeMap<String, Provenance>,
    on: Option<String>,
    verdict: Option<GateVerdict>,
    rules: Option<Vec<String>>,
    warned: Option<Vec<String>>,
    before: Option<GateVerdict>,
}

/// Runs every case of one file.
///
/// # Errors
/// The file does not parse, or a case names an action, rule or fact that does not exist.
pub fn run(rules: &Rules, text: &str) -> Result<Vec<CaseResult>, CasesError> {
    run_on(rules, "", text)
}

/// Runs every case of one file whose cases of gates stand on shared facts: the text of a file with `[section.*]` and
/// `[vouched]`.
///
/// # Errors
/// As [`run`]; and the shared facts do not parse.
pub fn run_on(rules: &Rules, shared: &str, text: &str) -> Result<Vec<CaseResult>, CasesError> {
    let read = |text: &str| toml::from_str(text).map_err(|error| CasesError::Syntax(error.to_string()));
    let (mut file, shared): (CasesFile, CasesFile) = (read(text)?, read(shared)?);
    if file.cases.len() > CASES_MAX {
        return Err(CasesError::Syntax(format!(
            "{} cases in one file: at most {CASES_MAX}",
            file.cases.len()
        )));
    }
    for (section, facts) in shared.section {
        file.section.entry(section).or_insert(facts);
    }
    for (path, provenance) in shared.vouched {
        file.vouched.entry(path).or_insert(provenance);
    }
    let mut names = BTreeSet::new();
    let twice = file.cases.iter().find(|case| !names.insert(case.name.as_str()));
    if let Some(case) = twice {
        return Err(wrong(case, "occurs twice: each case needs a sentence of its own".to_owned()));
    }
    let mut results = Vec::new();
    for case in &file.cases {
        let action = Action::from_name(&case.action).ok_or_else(|| {
            wrong(case, format!("has the action `{}`: use one of {}", case.action, Action::names()))
        })?;
        if action.is_gate() {
            results.extend(gates::run_case(rules, &file, case, action)?);
        } else {
            results.push(run_case(rules, &file.facts, case, action)?);
        }
    }
    Ok(results)
}

fn run_case(
    rules: &Rules,
    facts: &BTreeMap<String, toml::Table>,
    case: &RawCase,
    action: Action,
) -> Result<CaseResult, CasesError> {
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
        Outcome::Granted(ids) | Outcome::Refused(ids) | Outcome::Gate(_, ids, _) => ids.sort(),
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
    Ok(CaseResult {
        passed: got == expected,
        name,
        about,
        action,
        sheet,
        expected,
        got,
        refusals,
        answer: None,
    })
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
    change(&mut sheet, case)?;
    Ok(sheet)
}

/// The case's changes of a whole sheet.
fn change(sheet: &mut FactSheet, case: &RawCase) -> Result<(), CasesError> {
    for (path, value) in &case.set {
        if sheet.get(path).is_none() {
            return Err(wrong(case, format!("sets `{path}`, which {} does not have", case.action)));
        }
        set(sheet, case, path, value)?;
    }
    match case.remove.iter().find(|path| !sheet.remove(path)) {
        Some(path) => Err(wrong(case, format!("removes `{path}`, which {} does not have", case.action))),
        None => Ok(()),
    }
}

fn set(sheet: &mut FactSheet, case: &RawCase, path: &str, value: &toml::Value) -> Result<(), CasesError> {
    let words = |items: &[toml::Value]| {
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()
    };
    let fact = match value {
        toml::Value::Boolean(flag) => Some(Fact::Flag(*flag)),
        toml::Value::Integer(number) => Some(Fact::Number(*number)),
        toml::Value::String(text) => Some(Fact::Text(text.clone())),
        toml::Value::Array(items) => words(items).map(Fact::Words),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    };
    match fact.map(|fact| sheet.set(path, fact)) {
        Some(true) => Ok(()),
        Some(false) | None => Err(wrong(
            case,
            format!("has a wrong `{path}`: use true or false, a whole number, a text, or a list of texts"),
        )),
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
