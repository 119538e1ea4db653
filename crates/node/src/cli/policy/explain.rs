// SPDX-License-Identifier: Apache-2.0
//! `sta policy explain RULE`: what a rule asks, where it comes from, since when, on which facts and on whose word.

use std::{collections::BTreeMap, process::ExitCode};

use serde_json::json;
use sta_decide::{authorize::Rule, cases::CaseResult, gate::Demand};
use sta_protocol::{gate::Text, ids::MemberId, refusal::Refusal};

use super::{
    super::{
        failure::{Exit, Failure, Trying},
        print::Style,
    },
    matrix::{case_line, days, effect},
    packs::Packs,
};
use crate::text::{self, Language};

pub(super) fn run(packs: &Packs, id: &str, style: Style) -> Result<ExitCode, Failure> {
    let doing = format!("explain the rule `{id}`");
    let found = packs.rules.rules().find(|rule| rule.id.eq_ignore_ascii_case(id));
    let rule = found.ok_or_else(|| {
        Failure::new(&doing, format!("there is no such rule in {}", packs.place))
            .exit(Exit::Usage)
            .mend("`sta policy matrix` lists every rule.")
    })?;
    let results: Vec<CaseResult> = packs
        .results()?
        .into_iter()
        .map(|(_, result)| result)
        .filter(|result| result.about == rule.id)
        .collect();
    let (says, advice) = words(rule, style.language).trying_to(doing)?;
    let gate = rule.gate.as_ref();
    let document = json!({
        "id": rule.id,
        "pack": rule.pack,
        "line": rule.line,
        "source": rule.source,
        "effect": effect(rule),
        "actions": rule.actions.iter().map(|action| action.as_str()).collect::<Vec<_>>(),
        "from": gate.map(|gate| gate.from.to_string()),
        "until": gate.and_then(|gate| gate.until).map(|until| until.to_string()),
        "facts": rule.facts,
        "demands": gate.map(|gate| gate.demands.iter().map(demand).collect::<Vec<_>>()),
        "warns_only_where": gate.and_then(|gate| gate.warn_when.clone()),
        "says": says,
        "advice": advice,
        "cases": results.iter().map(|result| json!({"name": result.name, "got": result.got.to_string(), "passed": result.passed})).collect::<Vec<_>>(),
    });
    style.answer(&document, || page(rule, (&says, &advice), &results));
    Ok(ExitCode::SUCCESS)
}

fn page(rule: &Rule, (says, advice): (&str, &str), results: &[CaseResult]) -> String {
    let actions: Vec<&str> = rule.actions.iter().map(|action| action.as_str()).collect();
    let mut page = format!("{}  (pack {})\n", rule.id, rule.pack);
    page += &format!("  {}, {}; asked about {}\n", effect(rule), days(rule), actions.join(", "));
    if !rule.source.is_empty() {
        page += &format!("  source: {}\n", rule.source);
    }
    if !says.is_empty() {
        page += &format!("\n  {says}\n  -> {advice}\n");
    }
    if !rule.facts.is_empty() {
        page += &format!("\n  facts: {}\n", rule.facts.join(", "));
    }
    if let Some(gate) = &rule.gate {
        for wanted in &gate.demands {
            page += &format!("  demands: {}\n", demand(wanted));
        }
        if let Some(class) = &gate.warn_when {
            page += &format!("  only warns where {class} holds\n");
        }
    }
    let cases: String = results.iter().map(case_line).collect();
    format!("{page}\n{cases}")
}

/// `model.evaluations must be attested, if class.systemic`.
fn demand(demand: &Demand) -> String {
    let wants: Vec<&str> = demand.wants.iter().map(|want| want.as_str()).collect();
    let only_if = demand.only_if.as_ref().map(|flag| format!(", if {flag}")).unwrap_or_default();
    format!("{} must be {}{only_if}", demand.fact, wants.join(" or "))
}

/// What the rule says and advises, out of its pack or of the catalogue; empty for a permit.
fn words(rule: &Rule, language: Language) -> Result<(String, String), sta_protocol::ids::IdError> {
    if let Some(gate) = &rule.gate {
        return Ok((in_language(&gate.text, language), in_language(&gate.advice, language)));
    }
    if !rule.is_guard {
        return Ok(Default::default());
    }
    let by: MemberId = "member".parse()?;
    let (source, advice) = (rule.source.clone(), rule.advice.clone());
    let refusal = Refusal { rule: rule.id.clone(), source, facts: BTreeMap::new(), advice, by };
    Ok((text::sentence(language, &refusal), text::advice(language, &refusal)))
}

fn in_language(text: &Text, language: Language) -> String {
    match language {
        Language::En => text.en.clone(),
        Language::Fr => text.fr.clone(),
        Language::De => text.de.clone(),
    }
}
