// SPDX-License-Identifier: Apache-2.0
//! Orders to stop (G7): signed by enough people of one member, obeyed by every host, answered by every site.
//!
//! An order that holds is recorded with everything it suspends, the words to the engines and the copies for the other members in one
//! transaction. Each site answers, signed, when all that the order names stands still there. Where a member is away its copy
//! waits in the outbox; an order that came twice has no second effect.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sta_decide::gate::{
    Question,
    inputs::{self, registry},
};
use sta_protocol::{
    gate::Verdict,
    ids::{JobId, MemberId, SiteId, StopOrderId},
    refusal::RefusalCode,
    stop_lift::SignedStopLift,
    stop_order::{SignedStopOrder, StopAuthority, StopOrder, StopTarget, VerifiedStopOrder},
};

use super::{
    StepError, gate_hold,
    gates::{self, Asking},
    hold, meter,
};
use crate::{
    node::Node,
    peers::outbound::SKEW_SECONDS_MAX,
    store::{
        StoreError, Tx,
        audit::PendingEntry,
        frozen,
        gate_holds::{self, HoldState},
        hosted::{self, HostState},
        outbox::{self, Effect, Lane},
        stop_orders::{self as table, KeptOrder, StoppedHere},
    },
};

mod answers;
mod sending;

pub use answers::take_acknowledgement;
pub use sending::send;

/// Takes an order: from a person of this member, or from another member. The same order again changes nothing.
///
/// # Errors
/// It is not signed by enough of those who may, not in its time, another one has its id, or the store failed.
pub async fn take(
    node: &Node,
    from: Option<&MemberId>,
    signed: SignedStopOrder,
) -> Result<StopOrderId, StepError> {
    let verified = verify(node, &signed)?;
    let order = verified.order().clone();
    let id = order.order;
    let kept = KeptOrder {
        id,
        sha256: verified.digest(),
        member: order.member.clone(),
        signed,
        received_from: from.unwrap_or(node.member()).clone(),
        received_at: node.outside.now(),
        lift: None,
        lifted_at: None,
    };
    let sites: Vec<SiteId> = node.config.sites.iter().map(|site| site.id.clone()).collect();
    let forward: Vec<MemberId> = match from {
        // Whoever gave it sends it to everybody.
        Some(_) => Vec::new(),
        None => node.peers().map(|member| member.id.clone()).collect(),
    };
    let write = node.store.write(move |tx| {
        if !table::put(tx, &kept)? {
            let known = table::find(tx.connection(), id)?;
            return Ok(known.filter(|known| known.sha256 == kept.sha256).map(|_same| Vec::new()));
        }
        tx.audit(received(&kept, &order, &verified));
        for site in &sites {
            table::put_site(tx, id, site)?;
        }
        send_to(tx, &forward, Effect::StopOrder, id, kept.received_at).map(Some)
    });
    // Durable now: a crash here is made good by the first look at what stands.
    let other = || StepError::refused(RefusalCode::Conflict, node.member(), [("order", id.to_string())]);
    write.await?.ok_or_else(other)?.iter().for_each(|lane| node.wake(lane));
    enforce(node).await?;
    Ok(id)
}

/// The order, if enough of those who may have signed it and it is in its time.
fn verify(node: &Node, signed: &SignedStopOrder) -> Result<VerifiedStopOrder, StepError> {
    let no = |problem: String| {
        StepError::refused(RefusalCode::StopOrderInvalid, node.member(), [("problem", problem)])
    };
    let member = signed.peek_unverified().map_err(|error| no(error.to_string()))?.member;
    let authority = StopAuthority::of(&node.treaty, &member)
        .ok_or_else(|| no(format!("`{member}` is no member of the treaty")))?;
    signed
        .verify(&authority, node.outside.now(), i64::from(SKEW_SECONDS_MAX))
        .map_err(|error| no(error.to_string()))
}

/// Suspends every job that an order which stands names, those among them that came after it, and has the sites answer.
///
/// # Errors
/// The store failed: looked at again soon.
pub(crate) async fn enforce(node: &Node) -> Result<(), StepError> {
    for kept in node.store.read(table::standing)? {
        let Ok(order) = kept.signed.peek_unverified() else { continue };
        for (job, site) in node.store.read(|connection| to_stop(connection, &order, node.outside.now()))? {
            let (prepared, guards, kept) =
                (gates::prepare(node, asking(&order, job)), node.guards.clone(), kept.clone());
            let now = node.outside.now();
            let write = node.store.write(move |tx| suspend(tx, &guards, &kept, (job, site), prepared, now));
            write.await?.iter().for_each(|lane| node.wake(lane));
        }
    }
    answers::answer_those_that_stand(node).await
}

/// The unfinished jobs of this host that an order is still to stop. One that has lapsed stops nothing new, and what it stopped
/// stays stopped; but it came in its time, so a site that has not answered yet has still to carry it out.
fn to_stop(
    connection: &rusqlite::Connection,
    order: &StopOrder,
    now: Timestamp,
) -> Result<Vec<(JobId, SiteId)>, StoreError> {
    if order.expires_at > now {
        return named(connection, order);
    }
    let unanswered = table::unanswered(connection)?;
    let mut open = unanswered.iter().filter(|open| open.id == order.order).peekable();
    if open.peek().is_none() {
        return Ok(Vec::new());
    }
    let open: BTreeSet<&SiteId> = open.map(|open| &open.site).collect();
    Ok(named(connection, order)?.into_iter().filter(|(_, site)| open.contains(site)).collect())
}

/// The unfinished jobs of this host that an order names and has not stopped.
fn named(connection: &rusqlite::Connection, order: &StopOrder) -> Result<Vec<(JobId, SiteId)>, StoreError> {
    let stopped: BTreeSet<JobId> =
        table::jobs(connection, order.order)?.into_iter().map(|here| here.job).collect();
    let unfinished = match &order.target {
        StopTarget::Job(job) if stopped.contains(job) => Vec::new(),
        StopTarget::Job(job) => {
            let found = hosted::find(connection, *job)?.filter(|job| job.state != HostState::Finished);
            found.map(|job| (job.job, job.site)).into_iter().collect()
        }
        StopTarget::Site(_) | StopTarget::Model(_) => table::unfinished_jobs(connection)?,
    };
    let mut named = Vec::new();
    for (job, site) in unfinished.into_iter().filter(|(job, _)| !stopped.contains(job)) {
        let is_named = match &order.target {
            StopTarget::Job(_) => true,
            StopTarget::Site(wanted) => *wanted == site,
            StopTarget::Model(wanted) => gate_holds::training(connection, job)?
                .is_some_and(|training| training.registration.model == *wanted),
        };
        if is_named {
            named.push((job, site));
        }
    }
    Ok(named)
}

/// The question of the gate: the node has verified signatures and time, and asks for what the order names.
fn asking(order: &StopOrder, job: JobId) -> Asking {
    let facts =
        inputs::StopOrder { quorum_met: registry(true), in_time: registry(true), names_this: registry(true) };
    let subject = [("job".to_owned(), job.to_string()), ("order".to_owned(), order.order.to_string())];
    Asking::of(&Question::Stop(facts), subject.into(), order.member.as_str())
}

/// Decision, hold, suspension and the word to the engine, in the caller's transaction.
fn suspend(
    tx: &mut Tx<'_>,
    guards: &gates::guards::Guards,
    order: &KeptOrder,
    (job, site): (JobId, SiteId),
    prepared: gates::Prepared,
    now: Timestamp,
) -> Result<Vec<Lane>, StoreError> {
    if table::jobs(tx.connection(), order.id)?.iter().any(|here| here.job == job) {
        return Ok(Vec::new());
    }
    let decided = gates::record(tx, guards, prepared)?;
    if decided.answer.verdict() < Verdict::Suspend {
        return Ok(Vec::new());
    }
    let held = gate_hold::open_for(tx, &decided, job, &reason(order.id), now)?;
    if held.changed {
        table::put_job(tx, order.id, &StoppedHere { job, site, hold: decided.decision })?;
    }
    Ok(held.lanes)
}

/// The code under which jobs are suspended for an order.
fn reason(order: StopOrderId) -> String {
    format!("stop-order/{order}")
}

fn received(kept: &KeptOrder, order: &StopOrder, verified: &VerifiedStopOrder) -> PendingEntry {
    let payload = serde_json::json!({
        "order": kept.sha256, "member": kept.member, "target": order.target, "signers": verified.signers(),
        "from": kept.received_from, "issued_at": order.issued_at,
    });
    PendingEntry { kind: "stop.received", subject: kept.id.to_string(), payload, at: kept.received_at }
}

/// Puts one effect for each member into the outbox. In its rows an order stands in the place of a job, so that the words about
/// one order keep their order.
fn send_to(
    tx: &Tx<'_>,
    members: &[MemberId],
    effect: Effect,
    id: StopOrderId,
    now: Timestamp,
) -> Result<Vec<Lane>, StoreError> {
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let mut random = [0; 10];
    random.copy_from_slice(&id.as_bytes()[6..]);
    let place = JobId::new(id.unix_ms(), random);
    let mut lanes = Vec::new();
    for member in members {
        let lane = Lane::Peer(member.clone());
        outbox::put(tx, &lane, effect, place, &format!("{id}/{member}"), now_ms)?;
        lanes.push(lane);
    }
    Ok(lanes)
}

/// Takes the lifting of an order, from a person of this member or from another member: what it stopped goes on. The same again
/// changes nothing.
///
/// # Errors
/// The order is unknown, the lifting is not signed as the order must be, or the store failed.
pub async fn lift(
    node: &Node,
    from: Option<&MemberId>,
    signed: SignedStopLift,
) -> Result<StopOrderId, StepError> {
    let no = |problem: String| {
        StepError::refused(RefusalCode::StopOrderInvalid, node.member(), [("problem", problem)])
    };
    let peeked = signed.peek_unverified().map_err(|error| no(error.to_string()))?;
    let authority = StopAuthority::of(&node.treaty, &peeked.member)
        .ok_or_else(|| no(format!("`{}` is no member of the treaty", peeked.member)))?;
    let lift = signed.verify(&authority).map_err(|error| no(error.to_string()))?;
    let order = find(node, lift.lifts)?;
    if order.sha256 != lift.order_digest || order.member != lift.member {
        return Err(no("it is about another order".to_owned()));
    }
    let forward: Vec<MemberId> =
        if from.is_some() { Vec::new() } else { node.peers().map(|member| member.id.clone()).collect() };
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        if !table::lift(tx, order.id, &signed, now)? {
            return Ok(Vec::new());
        }
        let payload =
            serde_json::json!({"order": order.sha256, "member": lift.member, "reason": lift.reason});
        tx.audit(PendingEntry { kind: "stop.lifted", subject: order.id.to_string(), payload, at: now });
        let mut lanes = Vec::new();
        for here in table::jobs(tx.connection(), order.id)? {
            lanes.extend(let_go(tx, &order, &here, now)?);
        }
        lanes.extend(send_to(tx, &forward, Effect::StopLift, order.id, now)?);
        Ok(lanes)
    });
    write.await?.iter().for_each(|lane| node.wake(lane));
    node.config.sites.iter().for_each(|site| node.wake_site(&site.id));
    Ok(peeked.lifts)
}

fn let_go(
    tx: &mut Tx<'_>,
    order: &KeptOrder,
    here: &StoppedHere,
    now: Timestamp,
) -> Result<Vec<Lane>, StoreError> {
    if let Some(mut hold) =
        gate_holds::find(tx.connection(), here.hold)?.filter(|hold| hold.state == HoldState::Open)
    {
        (hold.state, hold.closed_at) = (HoldState::Released, Some(now));
        gate_holds::update(tx, &hold)?;
    }
    let evidence = serde_json::json!({"order": order.sha256, "hold": here.hold});
    let mut lanes =
        hold::resume(tx, here.job, &reason(order.id), order.member.as_str(), &evidence, now)?.lanes;
    // What it left may have been kept beyond its end.
    let runs = frozen::let_go(tx, here.job)?;
    lanes.extend(meter::wipe_kept(tx, &runs, now)?);
    Ok(lanes)
}

/// An order that is known here.
///
/// # Errors
/// There is none of that id.
pub fn find(node: &Node, id: StopOrderId) -> Result<KeptOrder, StepError> {
    let unknown = || StepError::refused(RefusalCode::NotFound, node.member(), [("order", id.to_string())]);
    node.store.read(|connection| table::find(connection, id))?.ok_or_else(unknown)
}
