// SPDX-License-Identifier: Apache-2.0
//! Retry: a job whose site failed it is tried again, as often as its description allows, and one whose site its owner needed as
//! often as it takes. Each attempt has its own receipt.

use std::time::Duration;

use sta_decide::{
    admit::task_resources,
    settle::{period_of, statement_line},
};
use sta_protocol::{federation::Offer, jws::Signed};

use super::{StepError, meter, stage};
use crate::{
    engines::{Exit, Outcome},
    node::Node,
    store::{
        audit::PendingEntry,
        hosted::{self, HostState, HostedJob},
        ledger,
        outbox::{self, Effect, Lane},
    },
};

/// The wait before the second attempt; it doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
/// The longest wait before an attempt.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Records how the attempt under way ended: the job goes on to its next one, or is over.
///
/// # Errors
/// The store failed, or an output could not be taken over: the engine still has the outcome, and it is tried again.
pub async fn attempt_ended(node: &Node, job: &HostedJob, outcome: Outcome) -> Result<(), StepError> {
    let offer = stage::offer_of(job)?;
    let goes_on = match outcome.exit {
        Exit::SiteFault(_) => job.attempt.saturating_sub(job.reclaimed) < offer.spec.attempts_max,
        Exit::Reclaimed => true,
        Exit::Code(_) | Exit::Signal(_) | Exit::TimeLimit | Exit::MemoryLimit | Exit::Cancelled => false,
    };
    if goes_on && !job.cancel_asked {
        let left_nothing =
            Outcome { outputs: Vec::new(), outputs_missing: offer.spec.outputs.clone(), ..outcome.clone() };
        if go_on(node, job, &offer, left_nothing).await? {
            return Ok(());
        }
    }
    // Home has taken it back, and so nothing follows.
    let exit = if outcome.exit == Exit::Reclaimed { Exit::Cancelled } else { outcome.exit };
    meter::finish(node, job, Outcome { exit, ..outcome }).await
}

/// Receipt, audit entry, the next attempt and the end of the last one's files are one record. False when home has taken the
/// job back in the meantime: then this attempt was the last.
async fn go_on(node: &Node, job: &HostedJob, offer: &Offer, outcome: Outcome) -> Result<bool, StepError> {
    let is_reclaimed = outcome.exit == Exit::Reclaimed;
    let mut receipt = meter::receipt(node, job, offer, outcome)?;
    receipt.goes_on = true;
    let signed = Signed::sign(&receipt, &node.keys.signing).map_err(|error| StepError::Damaged {
        what: "receipt",
        job: job.job,
        problem: error.to_string(),
    })?;
    let line = statement_line(&receipt, task_resources(&offer.spec));
    let (ended, now) = (job.run(), node.outside.now());
    let (home_lane, engine_lane) = (Lane::Peer(job.home.clone()), Lane::Engine(job.site.clone()));
    let woken = [home_lane.clone(), engine_lane.clone()];
    let write = node.store.write(move |tx| {
        let under_way = |job: &HostedJob| {
            job.run() == ended && matches!(job.state, HostState::Starting | HostState::Running)
        };
        // Recorded before, by a look that met this one.
        let Some(mut job) = hosted::find(tx.connection(), ended.job)?.filter(under_way) else {
            return Ok(true);
        };
        if job.cancel_asked {
            return Ok(false);
        }
        ledger::keep_receipt(tx, &receipt, &signed, &period_of(receipt.ended_at), &line)?;
        let payload =
            serde_json::json!({"receipt": signed.digest(), "exit": receipt.exit, "attempt": receipt.attempt});
        tx.audit(PendingEntry {
            kind: "job.attempt-ended",
            subject: ended.job.to_string(),
            payload,
            at: now,
        });
        (job.state, job.attempt, job.started_at) = (HostState::Ready, ended.attempt + 1, None);
        job.notice_at = None;
        if is_reclaimed {
            // Nothing is wrong with the site: the job goes on as soon as its turn comes.
            (job.reclaimed, job.not_before) = (job.reclaimed + 1, None);
        } else {
            let faults = ended.attempt.saturating_sub(job.reclaimed);
            job.not_before = now.checked_add(pause_after(faults)).ok();
        }
        hosted::update(tx, &job)?;
        for pending in [Effect::Start, Effect::Reclaim] {
            outbox::forget(tx, ended.job, pending)?;
        }
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        outbox::put(tx, &home_lane, Effect::Receipt, ended.job, &receipt.receipt.to_string(), now_ms)?;
        // In the lane of the next start, and before it: what the last attempt left is gone when the next one begins.
        outbox::put(tx, &engine_lane, Effect::Wipe, ended.job, &ended.to_string(), now_ms)?;
        Ok(true)
    });
    let recorded = write.await?;
    woken.iter().for_each(|lane| node.wake(lane));
    Ok(recorded)
}

/// How long a site that failed an attempt is left alone with the job.
fn pause_after(attempt: u32) -> Duration {
    let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    PAUSE_FIRST.saturating_mul(doubled).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::pause_after;

    #[test]
    fn the_pause_doubles_with_each_attempt_up_to_five_minutes() {
        let pauses = [1, 2, 3, 6, 7, 40].map(|attempt| pause_after(attempt).as_secs());
        assert_eq!(pauses, [5, 10, 20, 160, 300, 300]);
    }
}
