// SPDX-License-Identifier: Apache-2.0
//! Cases of the gates: facts, who vouches for them, a day, and the verdict that must come.

use jiff::{ToSpan, civil::Date};
use sta_protocol::gate::{Effect, Reason, Verdict};

use super::{CaseResult, CasesError, CasesFile, Outcome, RawCase, change, set, wrong};
use crate::{
    authorize::{Action, FactSheet, Rules},
    gate::{self, Layers},
};

/// Runs a case; with `before`, a second time for the day before.
pub(super) fn run_case(
    rules: &Rules,
    file: &CasesFile,
    case: &RawCase,
    action: Action,
) -> Result<Vec<CaseResult>, CasesError> {
    if case.granted.is_some() || case.refused.is_some() {
        return Err(wrong(
            case,
            "asks a gate: say `verdict` and `rules`, not `granted` or `refused`".to_owned(),
        ));
    }
    let (Some(verdict), Some(expected)) = (case.verdict, &case.rules) else {
        return Err(wrong(case, "asks a gate: it needs `verdict` and `rules`".to_owned()));
    };
    let day = case
        .on
        .as_ref()
        .or(file.today.as_ref())
        .ok_or_else(|| wrong(case, "has no day: give it `on`, or the file a `today`".to_owned()))?;
    let today: Date =
        day.parse().map_err(|_| wrong(case, format!("has the day `{day}`: write it as 2026-11-23")))?;
    let sheet = sheet_of(file, case, action)?;
    if case.remove.is_empty() {
        gate::fits_schema(rules, action, &sheet)
            .map_err(|problem| wrong(case, format!("does not fit the schema: {problem}")))?;
    }
    let result = |name: String, today: Date, expects: &Expects| {
        let answer = gate::evaluate(&Layers::treaty(rules), action, &sheet, today);
        let binding = ids(answer.reasons().filter(|reason| counts(reason, action)));
        let warned = ids(answer.warnings().map(|warning| &warning.reason));
        let (expected, also) = expects.of(&case.about, &binding, &warned);
        let got = Outcome::Gate(answer.verdict(), binding, warned);
        CaseResult {
            name,
            about: case.about.clone(),
            action,
            sheet: sheet.clone(),
            passed: got == expected && also,
            expected,
            got,
            refusals: Vec::new(),
            answer: Some((today, answer)),
        }
    };
    let stated = Expects::Stated(verdict, sorted(expected), case.warned.as_deref().map(sorted));
    let mut results = vec![result(case.name.clone(), today, &stated)];
    if let Some(before) = case.before {
        let yesterday =
            today.checked_sub(1.day()).map_err(|error| wrong(case, format!("has no day before: {error}")))?;
        let gate = rules.rule(&case.about).and_then(|rule| rule.gate.as_ref());
        let waits =
            Expects::Waits { verdict: before, silent: gate.is_some_and(|gate| gate.clears.is_some()) };
        results.push(result(format!("{}, the day before", case.name), yesterday, &waits));
    }
    Ok(results)
}

/// What a case wants.
enum Expects {
    /// This verdict, these rules that bind, and these that warn where they are stated.
    Stated(Verdict, Vec<String>, Option<Vec<String>>),
    /// This verdict, and the rule that the case is about warns and does not bind; one that takes a class back is silent.
    Waits { verdict: Verdict, silent: bool },
}

impl Expects {
    /// The outcome that it wants, and whether the rest of it holds.
    fn of(&self, about: &str, binding: &[String], warned: &[String]) -> (Outcome, bool) {
        let names = |ids: &[String]| ids.iter().any(|id| id == about);
        match self {
            Self::Stated(verdict, rules, warns) => {
                let warns = warns.clone().unwrap_or_else(|| warned.to_vec());
                (Outcome::Gate(*verdict, rules.clone(), warns), true)
            }
            Self::Waits { verdict, silent } => {
                let waits = (*silent || names(warned)) && !names(binding);
                (Outcome::Gate(*verdict, binding.to_vec(), warned.to_vec()), waits)
            }
        }
    }
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

/// Rules that only set a class are told where classes are asked for; elsewhere the rules that read it speak.
fn counts(reason: &Reason, action: Action) -> bool {
    matches!(action, Action::Classify | Action::ClassifyTransfer)
        || !reason.effects.iter().all(|effect| matches!(effect, Effect::Sets(_)))
}

fn ids<'a>(reasons: impl Iterator<Item = &'a Reason>) -> Vec<String> {
    let mut ids: Vec<String> = reasons.map(|reason| reason.rule.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// The sections of the action with the case's changes.
fn sheet_of(file: &CasesFile, case: &RawCase, action: Action) -> Result<FactSheet, CasesError> {
    let mut sheet = FactSheet::default();
    for section in gate::sections(action) {
        let facts = file.section.get(*section).ok_or_else(|| {
            wrong(case, format!("needs a table [section.{section}], in its file or in gates.facts.toml"))
        })?;
        for (name, value) in facts {
            let path = format!("{section}.{name}");
            set(&mut sheet, case, &path, value)?;
        }
    }
    for (path, provenance) in
        file.vouched.iter().filter(|(path, _)| sheet.get(path).is_some()).collect::<Vec<_>>()
    {
        sheet.vouch(path, *provenance);
    }
    for (path, provenance) in &case.vouched {
        if sheet.get(path).is_none() {
            return Err(wrong(case, format!("vouches for `{path}`, which {} does not have", case.action)));
        }
        sheet.vouch(path, *provenance);
    }
    change(&mut sheet, case)?;
    Ok(sheet)
}

impl CaseResult {
    /// The verdict of a gate; `None` for a question about a job.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.answer.as_ref().map(|(_, answer)| answer.verdict())
    }
}
