// SPDX-License-Identifier: Apache-2.0
//! How an answer comes about: classes first, then every layer, then what binds and what only warns.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, PolicySet, Request, Response,
};
use jiff::civil::Date;
use sta_protocol::{
    gate::{Answer, Because, Effect, Layer, Reason, Text, Unproven, Warning},
    refusal::RefusalCode,
};

use super::{
    Layers,
    classes::{asked_before, is_loosening, with_classes},
    rule::GateRule,
    unproven,
};
use crate::authorize::{Action, Fact, FactSheet, Rule, Rules};

/// What came of asking one layer's guards.
#[derive(Default)]
struct Fired {
    /// The guards whose condition holds, or which lack evidence, with what they lack.
    guards: BTreeMap<String, Vec<Unproven>>,
    /// What could not be evaluated: rule and problem.
    errors: BTreeSet<(String, String)>,
    /// Whether a permit matched; `None` where the layer has no permit for the action.
    admitted: Option<bool>,
}

/// The classes that one layer finds.
#[derive(Default)]
struct Found {
    binding: BTreeSet<String>,
    /// By rules that are not in force, or no longer.
    coming: BTreeSet<String>,
    answer: Answer,
}

pub(super) fn answer(layers: &Layers<'_>, action: Action, sheet: &FactSheet, today: Date) -> Answer {
    if !action.is_gate() {
        let problem = format!("{} is a question about jobs, which has no gate", action.as_str());
        return Answer::of([failed(Layer::Treaty, "action", problem)], []);
    }
    let Some((stage, sections)) = asked_before(action) else {
        return plain_answer(layers, action, sheet, today);
    };
    let subject = sheet.only(sections);
    let found: Vec<Found> =
        layers.iter().map(|(layer, rules)| classify(layer, rules, stage, &subject, today)).collect();
    let tightening = |paths: fn(&Found) -> &BTreeSet<String>| {
        found
            .iter()
            .flat_map(paths)
            .map(String::as_str)
            .filter(|path| !is_loosening(path))
            .collect::<BTreeSet<_>>()
    };
    let binding = tightening(|found| &found.binding);
    let coming: BTreeSet<&str> =
        tightening(|found| &found.coming).into_iter().filter(|path| !binding.contains(path)).collect();
    let mut answer = Answer::default();
    let mut admitted = false;
    for ((layer, rules), own) in layers.iter().zip(&found) {
        let loosening = own.binding.iter().map(String::as_str).filter(|path| is_loosening(path));
        let now: BTreeSet<&str> = binding.iter().copied().chain(loosening).collect();
        let asked = with_classes(sheet, stage, &now);
        let fired = fire(rules, action, &asked);
        admitted |= layer == Layer::Treaty && fired.admitted == Some(true);
        answer = answer.join(own.answer.clone()).join(weigh(layer, rules, &asked, &fired, today));
        if !coming.is_empty() {
            let later = with_classes(sheet, stage, &now.union(&coming).copied().collect());
            answer = answer.join(later_warnings(layer, rules, &fired, (action, &later), &coming));
        }
    }
    if admitted { answer } else { answer.join(nothing_admits(Layer::Treaty)) }
}

/// An action that reads no class.
fn plain_answer(layers: &Layers<'_>, action: Action, sheet: &FactSheet, today: Date) -> Answer {
    if matches!(action, Action::Classify | Action::ClassifyTransfer) {
        let found = layers.iter().map(|(layer, rules)| classify(layer, rules, action, sheet, today).answer);
        return found.fold(Answer::default(), Answer::join);
    }
    let mut answer = Answer::default();
    let mut admitted = false;
    for (layer, rules) in layers.iter() {
        let fired = fire(rules, action, sheet);
        admitted |= layer == Layer::Treaty && fired.admitted == Some(true);
        answer = answer.join(weigh(layer, rules, sheet, &fired, today));
    }
    if admitted { answer } else { answer.join(nothing_admits(Layer::Treaty)) }
}

/// Which classes one layer's rules find.
fn classify(layer: Layer, rules: &Rules, stage: Action, sheet: &FactSheet, today: Date) -> Found {
    let fired = fire(rules, stage, sheet);
    let fired_rules = || {
        fired.guards.iter().filter_map(|(id, lacking)| {
            let rule = rules.rule(id)?;
            Some((rule, rule.gate.as_ref()?, lacking))
        })
    };
    // A rule that takes a class back does so only on the evidence it demands.
    let clearing = |id: &str, in_force: bool| {
        fired_rules().any(|(_, gate, lacking)| {
            gate.clears.as_deref() == Some(id)
                && lacking.is_empty()
                && (!in_force || not_in_force(gate, today).is_none())
        })
    };
    let mut found = Found { answer: errors(layer, &fired), ..Found::default() };
    for (rule, gate, lacking) in fired_rules() {
        let Some(path) = gate.sets() else { continue };
        let waits = not_in_force(gate, today);
        let loose_and_unproven = is_loosening(path) && !lacking.is_empty();
        if loose_and_unproven || clearing(&rule.id, waits.is_none()) {
            continue;
        }
        let reason = reason(layer, rule, gate, sheet, lacking);
        match waits {
            None => {
                found.binding.insert(path.to_owned());
                found.answer = found.answer.join(Answer::of([reason], []));
            }
            Some(because) => {
                found.coming.insert(path.to_owned());
                found.answer = found.answer.join(Answer::of([], [Warning { reason, because }]));
            }
        }
    }
    found
}

/// Asks one layer's guards and permits of an action about a sheet.
fn fire(rules: &Rules, action: Action, sheet: &FactSheet) -> Fired {
    let asked = rules.asked(action);
    let mut fired = Fired::default();
    let error = |problem: String| ("facts".to_owned(), problem);
    let context = match sheet.to_context() {
        Ok(context) => context,
        Err(problem) => {
            fired.errors.insert(error(problem.to_string()));
            return fired;
        }
    };
    let (principal, resource) = (asked.principal.clone(), asked.resource.clone());
    let request = match Request::new(principal, asked.action.clone(), resource, context.clone(), None) {
        Ok(request) => request,
        Err(problem) => {
            fired.errors.insert(error(problem.to_string()));
            return fired;
        }
    };
    let guards = decide(&asked.guards, &request, &mut fired);
    let ids = guards.diagnostics().reason().map(|id| (id.to_string(), Vec::new()));
    fired.guards = ids.collect();
    for id in &asked.demanding {
        let demands =
            rules.rule(id).and_then(|rule| rule.gate.as_ref()).map_or(&[][..], |gate| &gate.demands);
        let lacking: Vec<Unproven> = demands.iter().filter_map(|demand| demand.lacking(sheet)).collect();
        if !lacking.is_empty() {
            fired.guards.insert(id.clone(), lacking);
        }
    }
    if asked.permits.num_of_policies() > 0 {
        let permits = decide(&asked.permits, &request, &mut fired);
        fired.admitted = Some(permits.decision() == Decision::Allow);
    }
    check_schema(rules, action, &context, &mut fired);
    fired
}

/// Every fact that the schema has must be there, with its type: a guard that compares words never fires on a number.
fn check_schema(rules: &Rules, action: Action, context: &Context, fired: &mut Fired) {
    if let Err(problem) = context.validate(rules.schema(), &rules.asked(action).action) {
        fired.errors.insert(("schema".to_owned(), problem.to_string()));
    }
}

fn decide(policies: &PolicySet, request: &Request, fired: &mut Fired) -> Response {
    let response = Authorizer::new().is_authorized(request, policies, &Entities::empty());
    let problems = response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(error)| {
        (error.policy_id().to_string(), error.inner().to_string())
    });
    fired.errors.extend(problems);
    response
}

/// What binds today of what fired, and what warns.
fn weigh(layer: Layer, rules: &Rules, sheet: &FactSheet, fired: &Fired, today: Date) -> Answer {
    let mut answer = errors(layer, fired);
    for (id, lacking) in &fired.guards {
        let Some((rule, gate)) = rules.rule(id).and_then(|rule| Some((rule, rule.gate.as_ref()?))) else {
            // A guard of a gate without its annotations does not load.
            answer = answer.join(Answer::of([failed(layer, id, "has no effect".to_owned())], []));
            continue;
        };
        let reason = reason(layer, rule, gate, sheet, lacking);
        let exempt = gate.warn_when.as_ref().filter(|path| sheet.get(path) == Some(&Fact::Flag(true)));
        let advises = gate.effects.iter().all(|effect| *effect == Effect::Warn);
        let because = not_in_force(gate, today)
            .or_else(|| exempt.map(|path| Because::Exempt(path.clone())))
            .or_else(|| advises.then_some(Because::Advice));
        answer = answer.join(match because {
            None => Answer::of([reason], []),
            Some(because) => Answer::of([], [Warning { reason, because }]),
        });
    }
    if fired.admitted == Some(false) {
        answer = answer.join(nothing_admits(layer));
    }
    answer
}

/// What fires only on classes that are not in force: warnings, each.
fn later_warnings(
    layer: Layer,
    rules: &Rules,
    now: &Fired,
    (action, sheet): (Action, &FactSheet),
    coming: &BTreeSet<&str>,
) -> Answer {
    let later = fire(rules, action, sheet);
    let classes = coming.iter().copied().collect::<Vec<_>>().join(",");
    let new = later.guards.iter().filter(|(id, _)| !now.guards.contains_key(*id));
    let warnings = new.filter_map(|(id, lacking)| {
        let rule = rules.rule(id)?;
        let reason = reason(layer, rule, rule.gate.as_ref()?, sheet, lacking);
        Some(Warning { reason, because: Because::Class(classes.clone()) })
    });
    // A rule that could not be evaluated then is refused now: it would be skipped on the very day it begins to matter.
    errors(layer, &later).join(Answer::of([], warnings.collect::<Vec<_>>()))
}

/// Why a rule does not bind on that day, if it does not.
fn not_in_force(gate: &GateRule, today: Date) -> Option<Because> {
    match gate.until {
        _ if today < gate.from => Some(Because::NotYet(gate.from)),
        Some(until) if today > until => Some(Because::Over(until)),
        Some(_) | None => None,
    }
}

impl super::Demand {
    /// What the sheet lacks of it.
    fn lacking(&self, sheet: &FactSheet) -> Option<Unproven> {
        let wanted = self.only_if.as_ref().is_none_or(|flag| sheet.get(flag) != Some(&Fact::Flag(false)));
        let has = sheet.provenance(&self.fact);
        (wanted && !self.wants.contains(&has)).then(|| Unproven {
            fact: self.fact.clone(),
            has,
            wants: self.wants.clone(),
        })
    }
}

fn reason(layer: Layer, rule: &Rule, gate: &GateRule, sheet: &FactSheet, lacking: &[Unproven]) -> Reason {
    let value = |path: &str| sheet.get(path).map_or_else(|| "missing".to_owned(), Fact::to_string);
    let facts: BTreeMap<String, String> = rule.facts.iter().map(|path| (path.clone(), value(path))).collect();
    let filled = |text: &Text| {
        let fill = |text: &str| {
            facts
                .iter()
                .fold(text.to_owned(), |text, (path, value)| text.replace(&format!("{{{path}}}"), value))
        };
        Text { en: fill(&text.en), fr: fill(&text.fr), de: fill(&text.de) }
    };
    let (text, advice) = (filled(&gate.text), filled(&gate.advice));
    let proven = lacking.is_empty();
    Reason {
        rule: rule.id.clone(),
        layer,
        source: rule.source.clone(),
        effects: gate.effects.clone(),
        text: if proven { text } else { unproven::text(lacking, &text) },
        advice: if proven { advice } else { unproven::advice(lacking, &advice) },
        facts,
        unproven: lacking.to_vec(),
    }
}

fn errors(layer: Layer, fired: &Fired) -> Answer {
    let reasons = fired.errors.iter().map(|(rule, problem)| failed(layer, rule, problem.clone()));
    Answer::of(reasons.collect::<Vec<_>>(), [])
}

/// A rule that could not be evaluated.
fn failed(layer: Layer, rule: &str, problem: String) -> Reason {
    let facts = [("rule".to_owned(), rule.to_owned()), ("problem".to_owned(), problem)];
    fixed(RefusalCode::RulesFailed, layer, facts.into())
}

fn nothing_admits(layer: Layer) -> Answer {
    Answer::of([fixed(RefusalCode::NoRuleAdmits, layer, BTreeMap::new())], [])
}

/// A reason of the fixed list, whose texts the catalogue has.
fn fixed(code: RefusalCode, layer: Layer, facts: BTreeMap<String, String>) -> Reason {
    Reason {
        rule: code.as_str().to_owned(),
        layer,
        source: code.source().to_owned(),
        effects: vec![Effect::Deny],
        facts,
        unproven: Vec::new(),
        text: Text::default(),
        advice: Text::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, asked_before};
    use crate::gate::CLASSES;

    #[test]
    fn every_class_is_found_by_a_question_that_some_gate_asks_before() {
        for class in CLASSES {
            let asked = Action::ALL.into_iter().filter_map(asked_before);
            assert!(asked.into_iter().any(|(stage, _)| stage == class.found_by), "{}", class.path);
        }
    }
}
