// SPDX-License-Identifier: Apache-2.0
//! Holds of gates: a job that a gate holds stands still until the named people whom the rules ask for have let it go.
//!
//! Only what is held can be released: a `DENY` has no override, and what an order to stop has suspended goes on when the order
//! is lifted. Whoever decides does so by name and with a reason, which becomes evidence.

use jiff::Timestamp;
use serde_json::json;
use sta_decide::authorize::Action;
use sta_protocol::{
    gate::{Answer, Releaser, Verdict},
    ids::{DecisionId, JobId},
    refusal::RefusalCode,
};

use super::{
    StepError, cancel,
    gates::record::DecisionRecord,
    hold::{self, Held},
    meter, run, training,
};
use crate::{
    engines::Exit,
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        gate_holds::{self as table, GateHold, HoldDecision, HoldState},
        gates as decided, hosted,
        registry::{Researcher, Role},
    },
};

/// The longest reason that a person may give, in characters.
const REASON_CHARS_MAX: usize = 2000;

/// Suspends a job for what a gate has decided, in the caller's transaction. The decision's id is the hold's.
///
/// # Errors
/// The store failed; nothing is written.
pub(crate) fn open(
    tx: &mut Tx<'_>,
    decision: &DecisionRecord,
    job: JobId,
    now: Timestamp,
) -> Result<Held, StoreError> {
    let reason = code(&decision.answer);
    open_for(tx, decision, job, &reason, now)
}

/// As [`open`], under a code of the caller's.
///
/// # Errors
/// The store failed; nothing is written.
pub(crate) fn open_for(
    tx: &mut Tx<'_>,
    decision: &DecisionRecord,
    job: JobId,
    reason: &str,
    now: Timestamp,
) -> Result<Held, StoreError> {
    let evidence = json!({"decision": decision.decision, "verdict": decision.answer.verdict()});
    let held = hold::suspend(tx, job, reason, &evidence, now)?;
    if held.changed {
        table::open(tx, decision.decision, job, reason, &decision.answer, now)?;
    }
    Ok(held)
}

/// The rules that hold, as the code under which the job is suspended.
pub(crate) fn code(answer: &Answer) -> String {
    let rules = answer.reasons().filter(|reason| reason.verdict() > Verdict::AllowWith);
    rules.map(|reason| reason.rule.as_str()).collect::<Vec<_>>().join(",")
}

/// In which capacity somebody with that role releases.
#[must_use]
pub fn releaser(role: Role) -> Option<Releaser> {
    match role {
        Role::Legal => Some(Releaser::Legal),
        Role::Safety => Some(Releaser::Safety),
        Role::Steward => Some(Releaser::Steward),
        Role::Operator | Role::Auditor => None,
    }
}

/// A person lets go what waits for their kind of person. The job goes on when nobody is left whom the hold waits for.
///
/// # Errors
/// There is no such hold, it is closed, it waits for others, or nothing releases it.
pub async fn release(
    node: &Node,
    person: &Researcher,
    id: DecisionId,
    reason: &str,
) -> Result<GateHold, StepError> {
    let (hold, kinds) = may_decide(node, person, id, reason)?;
    if hold.answer.verdict() != Verdict::Hold {
        let facts = [("hold", id.to_string()), ("verdict", hold.answer.verdict().to_string())];
        return Err(StepError::refused(RefusalCode::HoldHasNoRelease, node.member(), facts));
    }
    let left =
        kinds.iter().fold(hold.answer.clone(), |answer, kind| answer.released(*kind).unwrap_or(answer));
    let (person, reason, now) = (person.id.to_string(), reason.to_owned(), node.outside.now());
    let write = node.store.write(move |tx| {
        let decision = decision(&kinds, person, reason, now);
        let Some(mut hold) = still_open(tx, id, &hold.answer)? else { return Ok(None) };
        table::decide(tx, id, &decision)?;
        hold.answer = left;
        let goes_on = hold.answer.verdict() < Verdict::Hold;
        if goes_on {
            (hold.state, hold.closed_at) = (HoldState::Released, Some(now));
        }
        table::update(tx, &hold)?;
        tx.audit(entry("hold.released", &hold, &decision));
        let mut lanes = Vec::new();
        if goes_on {
            // Only the gate that was asked about the training's thresholds lets it pass them.
            if decided::gate_of(tx.connection(), id)?.as_deref() == Some(Action::Train.as_str()) {
                training::released(tx, hold.job)?;
            }
            let evidence = json!({"hold": id, "kinds": decision.kinds});
            lanes = hold::resume(tx, hold.job, &hold.reason, &decision.person, &evidence, now)?.lanes;
        }
        Ok(Some(lanes))
    });
    let lanes = write.await?.ok_or_else(|| closed(node, id))?;
    lanes.iter().for_each(|lane| node.wake(lane));
    wake_site(node, id)?;
    find(node, id)
}

/// A person ends the job instead of letting it go.
///
/// # Errors
/// There is no such hold, it is closed, or it waits for others.
pub async fn deny(
    node: &Node,
    person: &Researcher,
    id: DecisionId,
    reason: &str,
) -> Result<GateHold, StepError> {
    let (hold, kinds) = may_decide(node, person, id, reason)?;
    let (person, reason, now) = (person.id.to_string(), reason.to_owned(), node.outside.now());
    let job = hold.job;
    let write = node.store.write(move |tx| {
        let decision = decision(&kinds, person, reason, now);
        let Some(mut hold) = still_open(tx, id, &hold.answer)? else { return Ok(None) };
        table::decide(tx, id, &decision)?;
        (hold.state, hold.closed_at) = (HoldState::Denied, Some(now));
        table::update(tx, &hold)?;
        tx.audit(entry("hold.denied", &hold, &decision));
        cancel::end_hosted(tx, job, now).map(Some)
    });
    let lane = write.await?.ok_or_else(|| closed(node, id))?;
    lane.iter().for_each(|lane| node.wake(lane));
    end_denied(node).await?;
    find(node, id)
}

/// Ends denied jobs that the engine was never given. The denial is durable before this, so that a crash between loses nothing.
///
/// # Errors
/// The store failed: tried again at the next look.
pub(crate) async fn end_denied(node: &Node) -> Result<(), StepError> {
    for job in node.store.read(table::denied_and_waiting)? {
        if let Some(hosted) = node.store.read(|connection| hosted::find(connection, job))? {
            meter::finish(node, &hosted, run::never_ran(node.outside.now(), Exit::Cancelled)).await?;
        }
    }
    Ok(())
}

/// A hold.
///
/// # Errors
/// There is none of that id.
pub fn find(node: &Node, id: DecisionId) -> Result<GateHold, StepError> {
    let unknown = || StepError::refused(RefusalCode::NotFound, node.member(), [("hold", id.to_string())]);
    node.store.read(|connection| table::find(connection, id))?.ok_or_else(unknown)
}

/// The hold, and in which of the capacities that it waits for the person may decide on it.
fn may_decide(
    node: &Node,
    person: &Researcher,
    id: DecisionId,
    reason: &str,
) -> Result<(GateHold, Vec<Releaser>), StepError> {
    let count = reason.chars().count();
    if reason.trim().is_empty() || count > REASON_CHARS_MAX {
        let facts = [
            ("field", "reason".to_owned()),
            ("problem", format!("has {count} characters: give a reason of 1 to {REASON_CHARS_MAX}")),
        ];
        return Err(StepError::refused(RefusalCode::RequestMalformed, node.member(), facts));
    }
    let hold = find(node, id)?;
    if hold.state != HoldState::Open {
        return Err(closed(node, id));
    }
    let wanted = hold.answer.released_by();
    let has: Vec<Releaser> = person.roles.iter().filter_map(|role| releaser(*role)).collect();
    // A stricter verdict waits for nobody; whoever may release anything may end the job.
    let kinds: Vec<Releaser> = if hold.answer.verdict() == Verdict::Hold {
        has.iter().copied().filter(|kind| wanted.contains(kind)).collect()
    } else {
        has
    };
    if kinds.is_empty() {
        let facts = [("hold", id.to_string()), ("hold.awaits", table::awaits(&hold.answer).join(","))];
        return Err(StepError::refused(RefusalCode::HoldWaitsForOthers, node.member(), facts));
    }
    Ok((hold, kinds))
}

/// The hold as long as nobody else has decided on it since it was read.
fn still_open(tx: &Tx<'_>, id: DecisionId, read: &Answer) -> Result<Option<GateHold>, StoreError> {
    let same = |hold: &GateHold| hold.state == HoldState::Open && hold.answer == *read;
    Ok(table::find(tx.connection(), id)?.filter(same))
}

fn decision(kinds: &[Releaser], person: String, reason: String, at: Timestamp) -> HoldDecision {
    let kinds = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",");
    HoldDecision { kinds, person, reason, at }
}

fn entry(kind: &'static str, hold: &GateHold, decision: &HoldDecision) -> PendingEntry {
    let payload = json!({
        "hold": hold.id, "code": hold.reason, "state": hold.state.as_str(), "awaits": table::awaits(&hold.answer),
        "by": decision.person, "as": decision.kinds, "reason": decision.reason,
    });
    PendingEntry { kind, subject: hold.job.to_string(), payload, at: decision.at }
}

fn closed(node: &Node, id: DecisionId) -> StepError {
    StepError::refused(RefusalCode::Conflict, node.member(), [("hold", id.to_string())])
}

fn wake_site(node: &Node, id: DecisionId) -> Result<(), StepError> {
    let job = find(node, id)?.job;
    if let Some(hosted) = node.store.read(|connection| hosted::find(connection, job))? {
        node.wake_site(&hosted.site);
    }
    Ok(())
}
