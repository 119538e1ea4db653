// SPDX-License-Identifier: Apache-2.0
//! Outcomes: what became of a decided event, said by a named person. It is all that a guard ever learns from.

use sta_protocol::{ids::DecisionId, refusal::RefusalCode};

use super::{
    StepError, decision,
    guards::{Guards, facts_of},
    record::{Exact, OutcomeRecord, RECORD_VERSION},
};
use crate::{
    node::Node,
    store::{StoreError, audit::PendingEntry, gates as table, registry::Researcher},
};

/// What a person reports.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOutcome {
    /// Whether harm came of it.
    pub harm: bool,
    /// How that is known: an incident, a review, an evaluation.
    pub source: String,
    /// The part of harms that this source reports, above 0 and at most 1.
    pub reporting_rate: f64,
}

/// Records what became of a decided event and lets the gate's guard learn from it. Each decision has one outcome.
///
/// # Errors
/// There is no such decision, it has an outcome already, its gate has no guard, a fact that the guard would learn from was never
/// stated, or the rate is none; or the store failed.
pub async fn report(
    node: &Node,
    person: &Researcher,
    id: DecisionId,
    new: NewOutcome,
) -> Result<OutcomeRecord, StepError> {
    let decided = decision(node, id)?;
    let no = |code, problem: String| {
        StepError::refused(code, node.member(), [("decision", id.to_string()), ("problem", problem)])
    };
    let Some(guard) = &decided.guardrail else {
        return Err(no(
            RefusalCode::Conflict,
            format!("the gate `{}` has no guard that could learn", decided.gate),
        ));
    };
    let read = guard.factors.iter().flat_map(|factor| facts_of(factor));
    if let Some(fact) = read.copied().find(|fact| decided.assumed.contains(*fact)) {
        let problem =
            format!("`{fact}` was never stated: to count it would credit it with what it did not show");
        return Err(no(RefusalCode::Conflict, problem));
    }
    if !(new.reporting_rate > 0.0 && new.reporting_rate <= 1.0) {
        let problem = format!("the reporting rate {} is not above 0 and at most 1", new.reporting_rate);
        return Err(no(RefusalCode::RequestMalformed, problem));
    }
    let (now, guards, who) = (node.outside.now(), node.guards.clone(), person.id.to_string());
    let outcome = OutcomeRecord {
        version: RECORD_VERSION,
        decision: id,
        gate: decided.gate.clone(),
        terms: guard.terms,
        features: guard.features,
        harm: new.harm,
        source: new.source,
        reporting_rate: Exact(new.reporting_rate),
        updates: 0,
        posterior: guard.posterior,
        at: now,
    };
    let written = node.store.write(move |tx| learn(tx, &guards, outcome, &who)).await?;
    written.ok_or_else(|| no(RefusalCode::Conflict, "it has an outcome already".to_owned()))
}

/// Learns in memory and in the store. Where the transaction does not commit, the next use of the guard learns anew.
fn learn(
    tx: &mut crate::store::Tx<'_>,
    guards: &Guards,
    mut outcome: OutcomeRecord,
    person: &str,
) -> Result<Option<OutcomeRecord>, StoreError> {
    if table::outcome(tx.connection(), outcome.decision)?.is_some() {
        return Ok(None);
    }
    let gate = outcome.gate.clone();
    let learnt = guards.with(tx.connection(), &gate, |guard| {
        guard.learn(&outcome).map_err(|problem| StoreError::Damaged { what: "outcome", problem })?;
        Ok((guard.terms(), guard.state(), Guards::state_of(guard)))
    })?;
    let Some((terms, posterior, (settings, updates, state))) = learnt else { return Ok(None) };
    (outcome.terms, outcome.updates, outcome.posterior) = (terms, updates, posterior);
    let mut payload = serde_json::to_value(&outcome)
        .map_err(|error| StoreError::Damaged { what: "outcome", problem: error.to_string() })?;
    table::put_outcome(tx, &gate, updates, outcome.decision, &payload.to_string(), outcome.at)?;
    table::put_guard(tx, &gate, &settings, updates, &state)?;
    // Who said so is for those who may see the payload; what the guard learns has no place for it.
    payload["reported_by"] = serde_json::json!(person);
    let subject = outcome.decision.to_string();
    tx.audit(PendingEntry { kind: "gate.outcome", subject, payload, at: outcome.at });
    Ok(Some(outcome))
}
