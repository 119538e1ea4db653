// SPDX-License-Identifier: Apache-2.0
//! The clocks of an incident: started by the gate's answer, met by what an authority was told, never taken back.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sta_decide::gate::clocks::{Clock, Duty, Moments, started_by};
use sta_protocol::{gate::Answer, ids::IncidentId, incident::IncidentKind};

use crate::store::{
    StoreError, Tx,
    incidents::{self as table, KeptClock},
};

/// How long after an update the next one is due (Code of Practice, Safety and Security, Commitment 9).
const UPDATES_EVERY: SignedDuration = SignedDuration::from_hours(28 * 24);

/// Starts what the answer starts for each kind since somebody became aware of it, and gives all clocks. One that runs goes on,
/// whatever a later answer says; updates end where the incident is resolved, and its documents are kept from then on.
///
/// # Errors
/// The store failed.
pub(super) fn set(
    tx: &Tx<'_>,
    id: IncidentId,
    answer: &Answer,
    kinds: &[(IncidentKind, Timestamp)],
    resolved: Option<Timestamp>,
) -> Result<Vec<KeptClock>, StoreError> {
    let mut clocks = table::clocks(tx.connection(), id)?;
    for (kind, aware) in kinds {
        for wanted in started_by(answer, &[*kind], Moments { aware: *aware, resolved }) {
            let word = wanted.kind.map(IncidentKind::as_str);
            let same = |kept: &&mut KeptClock| {
                kept.rule == wanted.rule && kept.duty == wanted.duty.as_str() && kept.kind.as_deref() == word
            };
            match clocks.iter_mut().find(same) {
                Some(kept) => {
                    kept.binding |= wanted.binding;
                    if wanted.duty == Duty::KeepUntil {
                        kept.due_at = kept.due_at.max(wanted.due);
                    }
                }
                None => clocks.push(started(id, &clocks, &wanted, *aware, resolved)),
            }
        }
    }
    if resolved.is_some() {
        for clock in clocks.iter_mut().filter(|clock| clock.is_due() && clock.duty == Duty::Update.as_str()) {
            "void".clone_into(&mut clock.state);
        }
    }
    for clock in &clocks {
        table::put_clock(tx, clock)?;
    }
    Ok(clocks)
}

fn started(
    id: IncidentId,
    others: &[KeptClock],
    wanted: &Clock,
    aware: Timestamp,
    resolved: Option<Timestamp>,
) -> KeptClock {
    let started_at = match wanted.duty {
        Duty::FirstReport | Duty::KeepUntil => aware,
        Duty::Update => wanted.due.checked_sub(UPDATES_EVERY).unwrap_or(aware).max(aware),
        Duty::FinalReport => resolved.unwrap_or(aware),
    };
    KeptClock {
        incident: id,
        number: next_number(others),
        rule: wanted.rule.clone(),
        source: wanted.source.to_owned(),
        duty: wanted.duty.as_str().to_owned(),
        kind: wanted.kind.map(|kind| kind.as_str().to_owned()),
        binding: wanted.binding,
        started_at,
        due_at: wanted.due,
        state: "running".to_owned(),
        met_at: None,
        met_by: None,
        said: "nothing".to_owned(),
    }
}

fn next_number(others: &[KeptClock]) -> u32 {
    others.iter().map(|clock| clock.number).max().unwrap_or(0).saturating_add(1)
}

/// Notes that a clock was met by the entry with that number; an update starts the next one. `None` where it does not run.
///
/// # Errors
/// The store failed.
pub(super) fn meet(
    tx: &Tx<'_>,
    id: IncidentId,
    number: u32,
    at: Timestamp,
    sequence: u32,
) -> Result<Option<KeptClock>, StoreError> {
    let mut clocks = table::clocks(tx.connection(), id)?;
    let next = next_number(&clocks);
    let Some(clock) = clocks.iter_mut().find(|clock| clock.number == number && clock.is_due()) else {
        return Ok(None);
    };
    "met".clone_into(&mut clock.state);
    (clock.met_at, clock.met_by) = (Some(at), Some(sequence));
    table::put_clock(tx, clock)?;
    if clock.duty == Duty::Update.as_str()
        && let Ok(due_at) = at.checked_add(UPDATES_EVERY)
    {
        let next = KeptClock {
            number: next,
            started_at: at,
            due_at,
            state: "running".to_owned(),
            met_at: None,
            met_by: None,
            said: "nothing".to_owned(),
            ..clock.clone()
        };
        table::put_clock(tx, &next)?;
    }
    Ok(Some(clock.clone()))
}

/// A clock as the log names it.
pub(super) fn in_log(clock: &KeptClock) -> Value {
    json!({
        "number": clock.number, "rule": clock.rule, "duty": clock.duty, "kind": clock.kind, "binding": clock.binding, "due_at": clock.due_at,
    })
}
