// SPDX-License-Identifier: Apache-2.0
//! Answers: each site says, signed, when all that an order names stands still there, and what state is kept.

use jiff::SignedDuration;
use sta_protocol::{
    ids::{MemberId, SiteId},
    jws::Signed,
    refusal::RefusalCode,
    stop_order::{StopAcknowledgement, StopOrder, StoppedJob},
};

use super::{
    super::{StepError, preserved},
    find, reason, send_to, to_stop,
};
use crate::{
    node::Node,
    store::{
        StoreError,
        audit::PendingEntry,
        holds,
        hosted::{self, HostState},
        outbox::Effect,
        stop_orders::{self as table, KeptOrder, Unanswered},
    },
};

/// Looks at every order that a site of this node has not answered: answers where all stands still, says where it is late.
///
/// # Errors
/// The store failed: looked at again soon.
pub(crate) async fn answer_those_that_stand(node: &Node) -> Result<(), StepError> {
    for open in node.store.read(table::unanswered)? {
        let Some(kept) = node.store.read(|connection| table::find(connection, open.id))? else { continue };
        let Ok(order) = kept.signed.peek_unverified() else { continue };
        match stopped(node, &kept, &order, &open.site).await {
            Ok(Some(stopped)) => acknowledge(node, &kept, &open.site, stopped).await?,
            Ok(None) => say_if_late(node, (&kept, &order), &open, "it does not stand still").await?,
            Err(StepError::Store(error)) => return Err(error.into()),
            // An engine that does not answer keeps no other site from answering.
            Err(error) => say_if_late(node, (&kept, &order), &open, &error.to_string()).await?,
        }
    }
    Ok(())
}

/// What an order has stopped at a site; `None` as long as something that it names there runs, or is not known to stand still.
/// Of one that was lifted before that, what it had stopped by then.
async fn stopped(
    node: &Node,
    kept: &KeptOrder,
    order: &StopOrder,
    site: &SiteId,
) -> Result<Option<Vec<StoppedJob>>, StepError> {
    let (now, lifted) = (node.outside.now(), kept.lift.is_some());
    // An order may have come after the last look for what it names: no site answers before it has looked.
    let still_runs = node.store.read(|connection| to_stop(connection, order, now))?;
    if !lifted && still_runs.iter().any(|(_, of)| of == site) {
        return Ok(None);
    }
    let jobs = node.store.read(|connection| table::jobs(connection, order.order))?;
    let reason = reason(order.order);
    let mut standing = Vec::new();
    for here in jobs.iter().filter(|here| here.site == *site) {
        let (hosted_job, holds) = node
            .store
            .read(|connection| Ok((hosted::find(connection, here.job)?, holds::of(connection, here.job)?)))?;
        let Some(hosted_job) = hosted_job else { continue };
        let confirmed = holds.iter().rfind(|hold| hold.reason == reason).and_then(|hold| hold.confirmed_at);
        let ended = (hosted_job.state == HostState::Finished).then_some(now);
        match confirmed.or(ended) {
            Some(stopped_at) => standing.push((hosted_job, stopped_at)),
            None if lifted => {}
            None => return Ok(None),
        }
    }
    // Only now: to digest what was written takes long, and is done once.
    let mut stopped = Vec::new();
    for (hosted_job, stopped_at) in standing {
        let state = preserved::of(node, &hosted_job).await?;
        stopped.push(StoppedJob { job: hosted_job.job, stopped_at, state });
    }
    Ok(Some(stopped))
}

/// The site's signed answer, its entry in the log and its way to who gave the order are one record.
async fn acknowledge(
    node: &Node,
    order: &KeptOrder,
    site: &SiteId,
    stopped: Vec<StoppedJob>,
) -> Result<(), StepError> {
    let now = node.outside.now();
    let answer = StopAcknowledgement {
        version: 1,
        order: order.id,
        order_digest: order.sha256,
        member: node.member().clone(),
        site: site.clone(),
        received_at: order.received_at,
        stopped,
        completed_at: now,
    };
    let signed = Signed::sign_record(&answer, &node.keys.signing)
        .map_err(|error| StoreError::Damaged { what: "acknowledgement", problem: error.to_string() })?;
    let (id, to) = (order.id, tell_of(node, order));
    let write = node.store.write(move |tx| {
        if !table::put_acknowledgement(tx, &answer, &signed, now)? {
            return Ok(Vec::new());
        }
        table::note_site(tx, id, &answer.site, true)?;
        let (subject, payload) = answered(&answer, &signed);
        tx.audit(PendingEntry { kind: "stop.acknowledged", subject, payload, at: now });
        send_to(tx, &to, Effect::StopAcknowledgement, id, now)
    });
    write.await?.iter().for_each(|lane| node.wake(lane));
    Ok(())
}

/// Who is told of an answer: the member that gave the order, and the one that brought it.
fn tell_of(node: &Node, order: &KeptOrder) -> Vec<MemberId> {
    let mut members = vec![order.member.clone(), order.received_from.clone()];
    members.sort_unstable();
    members.dedup();
    members.retain(|member| member != node.member());
    members
}

/// What the log says of an answer, and about which order.
fn answered(
    answer: &StopAcknowledgement,
    signed: &Signed<StopAcknowledgement>,
) -> (String, serde_json::Value) {
    let payload = serde_json::json!({
        "order": answer.order_digest, "member": answer.member, "site": answer.site, "acknowledgement": signed.digest(),
        "received_at": answer.received_at, "completed_at": answer.completed_at, "stopped": answer.stopped,
    });
    (answer.order.to_string(), payload)
}

/// Says once that a site is late: in the log, in a metric, and in a line for whoever is awake.
async fn say_if_late(
    node: &Node,
    (kept, order): (&KeptOrder, &StopOrder),
    open: &Unanswered,
    why: &str,
) -> Result<(), StepError> {
    let now = node.outside.now();
    let seconds = seconds_to_answer(kept, order, node.config.stop.within_s);
    if open.late || now.duration_since(kept.received_at) <= SignedDuration::from_secs(seconds) {
        return Ok(());
    }
    let (id, site) = (open.id, open.site.clone());
    tracing::error!(order = %id, %site, seconds, why, "what an order to stop names does not stand still in time; sta stop status says what runs");
    node.metrics.stops_late.inc();
    let write = node.store.write(move |tx| {
        table::note_site(tx, id, &site, false)?;
        let payload = serde_json::json!({"site": site, "seconds": seconds});
        tx.audit(PendingEntry { kind: "stop.late", subject: id.to_string(), payload, at: now });
        Ok(())
    });
    Ok(write.await?)
}

/// How long after an order came its sites have: what this node sets, and less where the order itself gives less. One that came
/// when its own time was over was brought late, which is no fault of the sites.
fn seconds_to_answer(kept: &KeptOrder, order: &StopOrder, within_s: u32) -> i64 {
    let left = order.acknowledge_by().duration_since(kept.received_at).as_secs();
    if left > 0 { left.min(i64::from(within_s)) } else { i64::from(within_s) }
}

/// Takes the answer of a site of another member.
///
/// # Errors
/// It is not that member's, not about an order that is known here, or the store failed.
pub async fn take_acknowledgement(
    node: &Node,
    from: &MemberId,
    signed: Signed<StopAcknowledgement>,
) -> Result<(), StepError> {
    let wrong = |problem: String| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", problem)])
    };
    let key = |key_id: &str| {
        node.treaty.signing_key(key_id).filter(|(member, _)| member.id == *from).map(|(_, key)| key)
    };
    let answer = signed.verify_record(key).map_err(|error| wrong(error.to_string()))?;
    let is_theirs = node.treaty.site(&answer.site).is_some_and(|site| site.member == *from);
    if answer.member != *from || !is_theirs {
        return Err(wrong("another member's site".to_owned()));
    }
    let order = find(node, answer.order)?;
    if order.sha256 != answer.order_digest {
        return Err(wrong("another order under the same id".to_owned()));
    }
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        if table::put_acknowledgement(tx, &answer, &signed, now)? {
            let (subject, payload) = answered(&answer, &signed);
            tx.audit(PendingEntry { kind: "stop.answer-received", subject, payload, at: now });
        }
        Ok(())
    });
    Ok(write.await?)
}
