// SPDX-License-Identifier: Apache-2.0
//! Watching the clocks: one line in the node's log when a quarter of the time is left, one when it is over, and an entry for that.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    node::Node,
    steps::StepError,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        incidents::{self as table, KeptClock},
    },
};

/// How often the clocks are looked at.
const CLOCKS_PAUSE: Duration = Duration::from_secs(1);

/// Watches the clocks until the node stops.
pub(crate) async fn keep_clocks(node: Arc<Node>) {
    while !node.is_stopping() {
        if let Err(error) = look(&node).await {
            tracing::error!(error = %error, "the clocks of incidents cannot be watched");
        }
        node.pause(CLOCKS_PAUSE).await;
    }
}

/// What there is to say of a clock that runs: nothing, `near` or `overdue`.
fn to_say(clock: &KeptClock, now: Timestamp) -> Option<&'static str> {
    let (left, whole) = (clock.due_at.duration_since(now), clock.due_at.duration_since(clock.started_at));
    if left.is_negative() {
        return (clock.said != "overdue").then_some("overdue");
    }
    let is_near = left.as_millis().saturating_mul(4) <= whole.as_millis();
    (is_near && clock.said == "nothing").then_some("near")
}

/// Looks at every clock that runs, and says once of each that it is nearly due and once that it is overdue.
///
/// # Errors
/// The store failed: looked at again soon.
async fn look(node: &Node) -> Result<(), StepError> {
    let now = node.outside.now();
    for clock in node.store.read(table::running_clocks)? {
        let Some(said) = to_say(&clock, now) else { continue };
        let (id, number) = (clock.incident, clock.number);
        let write = node.store.write(move |tx| note(tx, (id, number), said, now));
        if !write.await? {
            continue;
        }
        let (due_at, rule, duty) = (clock.due_at, &clock.rule, &clock.duty);
        if said == "near" {
            tracing::warn!(incident = %id, clock = number, %rule, %duty, %due_at, "a report about an incident is soon due; sta incident show says to whom");
        } else {
            tracing::error!(incident = %id, clock = number, %rule, %duty, %due_at, "a report about an incident is overdue; sta incident show says to whom");
        }
    }
    Ok(())
}

/// False where the clock was met, or it was said, since it was looked at.
fn note(
    tx: &mut Tx<'_>,
    (id, number): (sta_protocol::ids::IncidentId, u32),
    said: &'static str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let clocks = table::clocks(tx.connection(), id)?;
    let Some(mut clock) = clocks.into_iter().find(|clock| clock.number == number && clock.is_due()) else {
        return Ok(false);
    };
    if to_say(&clock, now) != Some(said) {
        return Ok(false);
    }
    said.clone_into(&mut clock.said);
    table::put_clock(tx, &clock)?;
    if said == "overdue" {
        let payload = super::clocks::in_log(&clock);
        tx.audit(PendingEntry { kind: "incident.overdue", subject: id.to_string(), payload, at: now });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn clock(said: &str) -> KeptClock {
        let started_at = Timestamp::UNIX_EPOCH;
        KeptClock {
            incident: sta_protocol::ids::IncidentId::new(1, [0; 10]),
            number: 1,
            rule: "GD-33".to_owned(),
            source: "GDPR Art. 33(1)".to_owned(),
            duty: "first-report".to_owned(),
            kind: None,
            binding: true,
            started_at,
            due_at: started_at + SignedDuration::from_hours(72),
            state: "running".to_owned(),
            met_at: None,
            met_by: None,
            said: said.to_owned(),
        }
    }

    fn after(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_clock_is_near_in_its_last_quarter_and_overdue_after_its_last_moment_each_said_once() {
        let (near, due) = (54 * 3600, 72 * 3600);
        assert_eq!(to_say(&clock("nothing"), after(near - 1)), None);
        assert_eq!(to_say(&clock("nothing"), after(near)), Some("near"));
        assert_eq!(to_say(&clock("near"), after(near)), None);
        assert_eq!(to_say(&clock("near"), after(due)), None, "the last moment is in time");
        assert_eq!(to_say(&clock("near"), after(due + 1)), Some("overdue"));
        assert_eq!(to_say(&clock("nothing"), after(due + 1)), Some("overdue"), "also after a long sleep");
        assert_eq!(to_say(&clock("overdue"), after(due + 1)), None);
    }
}
