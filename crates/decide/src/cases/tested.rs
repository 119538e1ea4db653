// SPDX-License-Identifier: Apache-2.0
//! Which rules the cases leave untested: a guard must be seen to refuse and to let pass, a dated rule on both sides of its days.

use jiff::{ToSpan, civil::Date};
use sta_protocol::gate::{Answer, Because};

use super::{CaseResult, Outcome};
use crate::{
    authorize::{Rule, Rules},
    gate::GateRule,
};

/// The guards of `rules` that lack a case: each with what is missing.
///
/// A guard about jobs needs a case that it refuses and a granted one about it: without the first it may never refuse, without
/// the second it may refuse everything. A guard of a gate needs a case about it in which it fires and one in which it does
/// not, one on its first day and one on the day before, and the same for its last day.
#[must_use]
pub fn untested(rules: &Rules, results: &[CaseResult]) -> Vec<String> {
    let guards = rules.rules().filter(|rule| rule.is_guard);
    let missing = |rule: &Rule| match &rule.gate {
        None => (!is_tested(&rule.id, results)).then(|| rule.id.clone()),
        Some(gate) => {
            let gaps = gaps(rule, gate, results);
            (!gaps.is_empty()).then(|| format!("{} ({})", rule.id, gaps.join(", ")))
        }
    };
    guards.filter_map(missing).collect()
}

/// A guard about jobs.
fn is_tested(id: &str, results: &[CaseResult]) -> bool {
    let refused =
        |result: &CaseResult| matches!(&result.got, Outcome::Refused(by) if by.iter().any(|rule| rule == id));
    let granted = |result: &CaseResult| matches!(result.got, Outcome::Granted(_));
    let mut about = results.iter().filter(|result| result.about == id);
    about.clone().any(refused) && about.any(granted)
}

/// What the cases about a guard of a gate leave out.
fn gaps(rule: &Rule, gate: &GateRule, results: &[CaseResult]) -> Vec<String> {
    let about: Vec<(Date, &Answer)> = results
        .iter()
        .filter(|result| result.about == rule.id)
        .filter_map(|result| result.answer.as_ref().map(|(day, answer)| (*day, answer)))
        .collect();
    let in_force = |day: Date| day >= gate.from && gate.until.is_none_or(|until| day <= until);
    let on = |wanted: Date, test: fn(&str, &GateRule, &Answer) -> bool| {
        about.iter().any(|(day, answer)| *day == wanted && test(&rule.id, gate, answer))
    };
    let mut gaps = Vec::new();
    let mut need = |met: bool, what: String| {
        if !met {
            gaps.push(what);
        }
    };
    let mut bound = about.iter().filter(|(day, _)| in_force(*day));
    need(
        bound.clone().any(|(_, answer)| fires(&rule.id, gate, answer)),
        "no case in which it fires".to_owned(),
    );
    need(
        bound.any(|(_, answer)| !fires(&rule.id, gate, answer)),
        "no case in which it does not fire".to_owned(),
    );
    need(on(gate.from, fires), format!("no case in which it fires on {}", gate.from));
    if let Ok(before) = gate.from.checked_sub(1.day()) {
        need(on(before, warns), format!("no case in which it warns on {before}"));
    }
    if let Some(until) = gate.until {
        need(on(until, fires), format!("no case in which it fires on {until}"));
        if let Ok(after) = until.checked_add(1.day()) {
            need(on(after, warns), format!("no case in which it warns on {after}"));
        }
    }
    gaps
}

/// Whether it binds in this answer; a rule that takes a class back is seen by the class that is not there.
fn fires(id: &str, gate: &GateRule, answer: &Answer) -> bool {
    match &gate.clears {
        Some(cleared) => !names(cleared, answer),
        None => {
            answer.reasons().any(|reason| reason.rule == id)
                || answer
                    .warnings()
                    .any(|warning| warning.reason.rule == id && warning.because == Because::Advice)
        }
    }
}

/// Whether it only warns because of the day.
fn warns(id: &str, gate: &GateRule, answer: &Answer) -> bool {
    let of_day =
        |because: &Because| matches!(because, Because::NotYet(_) | Because::Over(_) | Because::Class(_));
    gate.clears.is_some()
        || answer.warnings().any(|warning| warning.reason.rule == id && of_day(&warning.because))
}

fn names(id: &str, answer: &Answer) -> bool {
    answer.reasons().any(|reason| reason.rule == id)
        || answer.warnings().any(|warning| warning.reason.rule == id)
}
