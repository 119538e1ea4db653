// SPDX-License-Identifier: Apache-2.0
//! What is added to an incident: an authority was told, more was found out, it is of another kind, it is over, it is closed.

use jiff::Timestamp;
use serde_json::{Value, json};
use sta_protocol::{
    gate::Verdict,
    ids::{IncidentId, JobId},
    incident::{Incident, IncidentKind, IncidentStep},
    record::LIST_LENGTH_MAX,
    refusal::RefusalCode,
};

use super::{
    super::{StepError, gates, hold, meter},
    About, Acted, Considered, chain, clocks, conflict, entry,
    evidence::{self, Taken},
    find, malformed, reason, sign, subject,
};
use crate::{
    node::Node,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        frozen,
        gate_holds::{self, HoldState},
        incidents::{self as table, IncidentState, KeptClock, KeptIncident},
        outbox::Lane,
        registry::{Researcher, Role},
    },
};

/// What is added.
#[derive(Debug, Clone)]
pub enum Event {
    /// An authority or a provider was told.
    Notified {
        /// The number of the clock that this meets, if it meets one.
        clock: Option<u32>,
        /// Whom.
        authority: String,
        /// Their reference.
        reference: Option<String>,
        /// When; now, where that is not said.
        at: Option<Timestamp>,
        /// Whether the report was complete.
        complete: bool,
    },
    /// More was found out; a new snapshot of evidence is taken.
    Found {
        /// What.
        summary: String,
    },
    /// It is of another or a further kind: the gate is asked again.
    Reclassified {
        /// The kind.
        kind: IncidentKind,
        /// When somebody became aware of that; now, where that is not said.
        aware_at: Option<Timestamp>,
        /// Why.
        reason: String,
    },
    /// The danger is over.
    Resolved {
        /// Since when; now, where that is not said.
        at: Option<Timestamp>,
        /// How.
        summary: String,
    },
    /// Nothing more will follow.
    Closed {
        /// With what result.
        summary: String,
        /// Whether reports that are still due are left out, for which a lawyer of the member answers.
        without_reports: bool,
    },
}

/// What an event does besides the entry in the chain, all of it in one transaction.
enum Effects {
    Nothing,
    Clock(u32, Timestamp),
    Evidence(Taken),
    Asked(Box<(Considered, IncidentKind, Timestamp, Taken)>),
    Resolved(Timestamp),
    Closed(String),
}

/// An event that may be added: the entries in the log and the chain that say it, and what it leads to.
struct Weighed {
    kind: &'static str,
    step: IncidentStep,
    effects: Effects,
    seen: Value,
}

/// Adds to an incident.
///
/// # Errors
/// There is none of that id, it is closed, what is added contradicts it or is not this person's to add, or the store failed:
/// nothing is written.
pub async fn add(node: &Node, person: &Researcher, id: IncidentId, event: Event) -> Result<(), StepError> {
    let kept = find(node, id)?;
    if kept.state == IncidentState::Closed {
        let facts = [("incident", id.to_string())];
        return Err(StepError::refused(RefusalCode::IncidentClosed, node.member(), facts));
    }
    let (incident, _) = chain(node, id)?;
    if usize::try_from(incident.length).unwrap_or(usize::MAX) >= LIST_LENGTH_MAX {
        return Err(conflict(node, id, "it has as many entries as an incident can have"));
    }
    let now = node.outside.now();
    let Weighed { kind, step, effects, seen } = weigh(node, person, (&kept, &incident), event, now)?;
    let place = (incident.length, Some(incident.head));
    let signed = sign(node, &entry(node, id, place, subject(node, person), step, now))?;
    let mut payload = json!({"entry": signed.digest(), "by": subject(node, person)});
    extend(&mut payload, seen);
    let guards = node.guards.clone();
    let write = node.store.write(move |tx| {
        if !table::add_entry(tx, id, place.0, &signed)? {
            return Ok(None);
        }
        let Some((lanes, more)) = carry_out(tx, &guards, (kept, &incident), effects, now)? else {
            // Who met the clock first has taken this place in the chain; where that is not so, nothing is written.
            return Err(StoreError::Busy);
        };
        extend(&mut payload, more);
        tx.audit(PendingEntry { kind, subject: id.to_string(), payload, at: now });
        Ok(Some(lanes))
    });
    let lanes =
        write.await?.ok_or_else(|| conflict(node, id, "somebody has just added to it: look at it again"))?;
    lanes.iter().for_each(|lane| node.wake(lane));
    node.config.sites.iter().for_each(|site| node.wake_site(&site.id));
    node.wake_disk();
    Ok(())
}

fn extend(payload: &mut Value, more: Value) {
    if let (Some(all), Value::Object(more)) = (payload.as_object_mut(), more) {
        all.extend(more);
    }
}

/// Whether the event may be added, the entry that says it, and what it leads to.
fn weigh(
    node: &Node,
    person: &Researcher,
    (kept, incident): (&KeptIncident, &Incident),
    event: Event,
    now: Timestamp,
) -> Result<Weighed, StepError> {
    let about = About::from(kept);
    Ok(match event {
        Event::Notified { clock, authority, reference, at, complete } => {
            let notified_at = at.unwrap_or(now);
            let effects = match clock {
                Some(number) => {
                    check_clock(node, kept, number)?;
                    Effects::Clock(number, notified_at)
                }
                None => Effects::Nothing,
            };
            let seen = json!({"authority": authority, "reference": reference, "notified_at": notified_at, "complete": complete});
            let step = IncidentStep::Notified { authority, reference, notified_at, complete };
            Weighed { kind: "incident.notified", step, effects, seen }
        }
        Event::Found { summary } => {
            let taken = evidence::take(node, kept.id, &about, now)?;
            let sha256 = taken.snapshot.sha256;
            let step = IncidentStep::Found { summary, evidence: vec![sha256] };
            Weighed {
                kind: "incident.found",
                step,
                effects: Effects::Evidence(taken),
                seen: json!({"evidence": sha256}),
            }
        }
        Event::Reclassified { kind, aware_at, reason } => {
            let aware_at = aware_at.unwrap_or(now);
            let taken = evidence::take(node, kept.id, &about, now)?;
            let mut kinds: Vec<IncidentKind> = incident.kinds.iter().map(|(kind, _)| *kind).collect();
            kinds.push(kind);
            let asked = Considered::new(node, Some(person), kept.id, &about, &kinds, &kept.facts, &taken)?;
            let seen = json!({"kind": kind, "aware_at": aware_at, "evidence": taken.snapshot.sha256});
            let step = IncidentStep::Reclassified { kind, aware_at, reason };
            Weighed {
                kind: "incident.reclassified",
                step,
                effects: Effects::Asked(Box::new((asked, kind, aware_at, taken))),
                seen,
            }
        }
        Event::Resolved { at, summary } => {
            if kept.state != IncidentState::Open {
                return Err(conflict(node, kept.id, "it is resolved already"));
            }
            let resolved_at = at.unwrap_or(now);
            let step = IncidentStep::Resolved { resolved_at, summary };
            Weighed {
                kind: "incident.resolved",
                step,
                effects: Effects::Resolved(resolved_at),
                seen: json!({"resolved_at": resolved_at}),
            }
        }
        Event::Closed { summary, without_reports } => {
            let left = check_close(node, person, kept, without_reports)?;
            let seen = json!({"reason": summary, "without_reports": left.iter().map(clocks::in_log).collect::<Vec<_>>()});
            let step = IncidentStep::Closed { summary };
            Weighed { kind: "incident.closed", step, effects: Effects::Closed(person.id.to_string()), seen }
        }
    })
}

fn check_clock(node: &Node, kept: &KeptIncident, number: u32) -> Result<(), StepError> {
    let clocks = node.store.read(|connection| table::clocks(connection, kept.id))?;
    match clocks.iter().find(|clock| clock.number == number) {
        Some(clock) if clock.is_due() => Ok(()),
        Some(_) => Err(conflict(node, kept.id, "no report is due under this clock")),
        None => {
            Err(malformed(node, "clock", format!("is {number}: the incident has {} clocks", clocks.len())))
        }
    }
}

/// The reports that are left out where an incident may be closed.
fn check_close(
    node: &Node,
    person: &Researcher,
    kept: &KeptIncident,
    without_reports: bool,
) -> Result<Vec<KeptClock>, StepError> {
    if kept.state != IncidentState::Resolved {
        let facts = [("incident", kept.id.to_string())];
        return Err(StepError::refused(RefusalCode::IncidentNotResolved, node.member(), facts));
    }
    let clocks = node.store.read(|connection| table::clocks(connection, kept.id))?;
    let due: Vec<KeptClock> = clocks.into_iter().filter(|clock| clock.is_due() && clock.binding).collect();
    if due.is_empty() {
        return Ok(due);
    }
    if !without_reports {
        let named: Vec<String> =
            due.iter().map(|clock| format!("{} ({} {})", clock.number, clock.rule, clock.duty)).collect();
        let facts = [("incident", kept.id.to_string()), ("clocks", named.join(", "))];
        return Err(StepError::refused(RefusalCode::IncidentReportsDue, node.member(), facts));
    }
    if !person.roles.contains(&Role::Legal) {
        let facts = [("right", Role::Legal.as_str().to_owned())];
        return Err(StepError::refused(RefusalCode::RightMissing, node.member(), facts));
    }
    Ok(due)
}

/// Does in the caller's transaction what the event leads to; `None` where a clock was met in between.
fn carry_out(
    tx: &mut Tx<'_>,
    guards: &gates::guards::Guards,
    (mut kept, incident): (KeptIncident, &Incident),
    effects: Effects,
    now: Timestamp,
) -> Result<Option<(Vec<Lane>, Value)>, StoreError> {
    let (id, sequence) = (kept.id, incident.length);
    Ok(Some(match effects {
        Effects::Nothing => (Vec::new(), Value::Null),
        Effects::Clock(number, at) => match clocks::meet(tx, id, number, at, sequence)? {
            Some(clock) => {
                let late = at > clock.due_at;
                (Vec::new(), json!({"clock": clocks::in_log(&clock), "late": late}))
            }
            None => return Ok(None),
        },
        Effects::Evidence(taken) => {
            taken.freeze(tx, id, sequence)?;
            (Vec::new(), Value::Null)
        }
        Effects::Asked(asked) => {
            let (question, kind, aware_at, taken) = *asked;
            taken.freeze(tx, id, sequence)?;
            kept.decision = question.main.id();
            let Acted { answer, suspended, lanes } = question.act(tx, guards, id, now)?;
            let mut kinds = incident.kinds.clone();
            kinds.push((kind, aware_at));
            let clocks = clocks::set(tx, id, &answer, &kinds, incident.resolved_at)?;
            let clocks: Vec<_> = clocks.iter().map(clocks::in_log).collect();
            table::update(tx, &kept)?;
            let seen = json!({
                "decision": kept.decision, "verdict": answer.verdict(), "suspended": suspended, "clocks": clocks,
            });
            (lanes, seen)
        }
        Effects::Resolved(at) => {
            let decided = gates::read_in(tx.connection(), kept.decision)?;
            let clocks = clocks::set(tx, id, &decided.answer, &incident.kinds, Some(at))?;
            kept.state = IncidentState::Resolved;
            table::update(tx, &kept)?;
            (Vec::new(), json!({"clocks": clocks.iter().map(clocks::in_log).collect::<Vec<_>>()}))
        }
        Effects::Closed(by) => {
            (kept.state, kept.closed_at) = (IncidentState::Closed, Some(now));
            table::update(tx, &kept)?;
            close(tx, id, &by, now)?
        }
    }))
}

/// Lets go what the incident has stopped and frozen: suspended jobs go on, and directories that nobody needs are removed. What
/// waits for a named person goes on waiting for them.
fn close(
    tx: &mut Tx<'_>,
    id: IncidentId,
    by: &str,
    now: Timestamp,
) -> Result<(Vec<Lane>, Value), StoreError> {
    for mut clock in table::clocks(tx.connection(), id)? {
        if clock.is_due() {
            "void".clone_into(&mut clock.state);
            table::put_clock(tx, &clock)?;
        }
    }
    let (mut lanes, mut resumed): (Vec<Lane>, Vec<JobId>) = (Vec::new(), Vec::new());
    for mut hold in gate_holds::open_for(tx.connection(), &reason(id))? {
        if hold.answer.verdict() == Verdict::Hold {
            continue;
        }
        (hold.state, hold.closed_at) = (HoldState::Released, Some(now));
        gate_holds::update(tx, &hold)?;
        let evidence = json!({"incident": id, "hold": hold.id});
        let held = hold::resume(tx, hold.job, &hold.reason, by, &evidence, now)?;
        resumed.push(hold.job);
        lanes.extend(held.lanes);
    }
    let runs = frozen::thaw(tx, id)?;
    lanes.extend(meter::wipe_kept(tx, &runs, now)?);
    Ok((lanes, json!({"resumed": resumed, "wiped": runs})))
}
