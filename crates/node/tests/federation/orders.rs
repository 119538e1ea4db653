// SPDX-License-Identifier: Apache-2.0
//! Orders to stop in a simulation: given, lifted in the end, and what they must have done everywhere.

use std::sync::Arc;

use jiff::SignedDuration;
use rusqlite::Connection;
use sta_node::{
    keys::Keys,
    steps::stop_order,
    store::{
        gate_holds,
        hosted::{self, HostedJob},
        stop_orders::{self as table, KeptOrder},
    },
};
use sta_protocol::{
    ids::StopOrderId,
    stop_lift::{SignedStopLift, StopLift},
    stop_order::{SignedStopOrder, StopAcknowledgement, StopOrder, StopTarget},
};

use super::{
    Violation,
    fixture::{MEMBERS, fixture, member_id, members},
    promises::{Checked, broken},
    world::{Command, World, lock},
};

/// An order that a member's people gave.
#[derive(Clone)]
pub(super) struct Order {
    member: usize,
    id: StopOrderId,
    signed: SignedStopOrder,
    /// Its end, signed from the beginning and sent later.
    lift: SignedStopLift,
    /// Whether the member's node said that it is lifted.
    lifted: bool,
}

impl World {
    /// A member's people sign an order and bring it to their node, if it runs.
    pub(super) fn order(&mut self, member: usize, earlier: usize) {
        let job = lock(&self.submissions)[earlier].job();
        let (key, now) =
            (Keys::load(&self.directory(member).join("keys")).expect("keys").signing, self.now());
        let unix_ms = u64::try_from(now.as_millisecond()).expect("after 1970");
        let order = StopOrder {
            version: 1,
            order: StopOrderId::new(unix_ms, self.random.bytes()),
            member: member_id(member),
            target: StopTarget::Job(job),
            reason: "It behaves as nobody expected.".to_owned(),
            issued_at: now,
            expires_at: now + SignedDuration::from_hours(24),
            acknowledge_within_s: 3600,
        };
        let mut signed = SignedStopOrder::new(&order).expect("a whole order");
        signed.sign(&key).expect("a signature");
        let lift = StopLift {
            version: 1,
            lifts: order.order,
            order_digest: signed.payload_sha256().expect("a payload"),
            member: order.member,
            reason: "It was looked into.".to_owned(),
            lifted_at: now,
        };
        let mut lift = SignedStopLift::new(&lift).expect("a whole lifting");
        lift.sign(&key).expect("a signature");
        lock(&self.orders).push(Order { member, id: order.order, signed, lift, lifted: false });
        let newest = lock(&self.orders).len() - 1;
        self.send_order(newest, false);
    }

    /// An order is brought to its member's node once more, and lifted.
    pub(super) fn lift(&self, number: usize) {
        self.send_order(number, true);
    }

    /// Lifts every order that is not known to be lifted.
    pub(super) fn lift_all(&self) {
        let count = lock(&self.orders).len();
        (0..count).filter(|number| !lock(&self.orders)[*number].lifted).for_each(|number| self.lift(number));
    }

    fn send_order(&self, number: usize, lifts: bool) {
        let (orders, broken) = (Arc::clone(&self.orders), Arc::clone(&self.broken));
        let Order { member, signed, lift, .. } = lock(&orders)[number].clone();
        let command: Command = Box::new(move |node| {
            Box::pin(async move {
                let done = async {
                    stop_order::take(&node, None, signed).await?;
                    if lifts { stop_order::lift(&node, None, lift).await.map(Some) } else { Ok(None) }
                };
                match done.await {
                    Ok(lifted) => lock(&orders)[number].lifted |= lifted.is_some(),
                    Err(error) => lock(&broken).push(format!("order {number} is not taken: {error}")),
                }
            })
        });
        self.within(member, command);
    }
}

/// What orders still have under way at a member.
pub(super) fn open(store: &Connection) -> Result<Vec<String>, Violation> {
    let mut open: Vec<String> = Vec::new();
    for order in table::standing(store)? {
        open.push(format!("order {} is not lifted", order.id));
    }
    for site in table::unanswered(store)? {
        open.push(format!("{} has not answered order {}", site.site, site.id));
    }
    for hold in gate_holds::list(store, false)? {
        open.push(format!("job {} is held by {}", hold.job, hold.reason));
    }
    Ok(open)
}

/// How many jobs the sites say they stopped.
pub(super) fn stopped(world: &World) -> Result<u64, Violation> {
    let mut count = 0;
    for order in lock(&world.orders).iter() {
        for answer in answers(world.store(order.member), order.id)? {
            count += answer.stopped.len() as u64;
        }
    }
    Ok(count)
}

/// Every order came to everybody and was lifted everywhere; every site has answered it, once; and what it stopped stood still.
pub(super) fn check(world: &World) -> Checked {
    let sites = fixture().verified_treaty.sites.len();
    for order in lock(&world.orders).iter() {
        for (member, name) in MEMBERS.iter().enumerate() {
            let Some(kept) = table::find(world.store(member), order.id)? else {
                return broken(format!("{name} never got order {}", order.id));
            };
            if kept.received_from != member_id(order.member) {
                return broken(format!("{name} has order {} of {}", order.id, kept.received_from));
            }
        }
        let answers = answers(world.store(order.member), order.id)?;
        if answers.len() != sites {
            return broken(format!("{} of {sites} sites answered order {}", answers.len(), order.id));
        }
        for answer in &answers {
            check_answer(world, answer)?;
        }
    }
    members().try_for_each(|member| entries_are_once(world, member))
}

fn answers(store: &Connection, order: StopOrderId) -> Result<Vec<StopAcknowledgement>, Violation> {
    let texts = table::acknowledgements(store, order)?;
    let read = |error| Violation(format!("an answer does not read: {error}"));
    texts.into_iter().map(|(text, _)| text.peek_unverified().map_err(read)).collect()
}

/// What a site said is true: all that the order named there stood still from then until it was lifted.
fn check_answer(world: &World, answer: &StopAcknowledgement) -> Checked {
    let member = members().find(|member| member_id(*member) == answer.member).expect("a member");
    let store = world.store(member);
    let kept = table::find(store, answer.order)?.expect("checked before");
    let Some(lifted_at) = kept.lifted_at else { return broken(format!("{} stands", answer.order)) };
    let StopTarget::Job(job) = kept.signed.peek_unverified().expect("an order").target else {
        return Ok(());
    };
    let Some(hosted) = hosted::find(store, job)?.filter(|hosted| hosted.site == answer.site) else {
        return Ok(());
    };
    match answer.stopped.iter().find(|stopped| stopped.job == job) {
        Some(stopped) => stood_still(world, &hosted, stopped.stopped_at, lifted_at),
        None => was_not_running(&hosted, &kept, answer, lifted_at),
    }
}

fn stood_still(world: &World, job: &HostedJob, from: jiff::Timestamp, until: jiff::Timestamp) -> Checked {
    let starts = world.machines.starts().remove(&job.job).unwrap_or_default();
    let began = starts.iter().find(|start| start.site == job.site && start.at > from && start.at < until);
    let ended = ended(job)?.filter(|(at, by_itself)| *by_itself && *at > from && *at < until);
    match (began, ended) {
        (None, None) => Ok(()),
        (began, ended) => broken(format!(
            "job {} was to stand still from {from} until {until}: it began {began:?}, it ended {ended:?}",
            job.job
        )),
    }
}

fn was_not_running(
    job: &HostedJob,
    kept: &KeptOrder,
    answer: &StopAcknowledgement,
    lifted_at: jiff::Timestamp,
) -> Checked {
    let was_here = job.admitted_at < kept.received_at && answer.completed_at < lifted_at;
    match ended(job)?.filter(|(at, _)| was_here && *at > answer.completed_at) {
        None => Ok(()),
        Some((at, _)) => broken(format!(
            "{} answered order {} at {} without job {}, which ran until {at}",
            answer.site, answer.order, answer.completed_at, job.job
        )),
    }
}

/// When a job ended, and whether it did so by itself.
fn ended(job: &HostedJob) -> Result<Option<(jiff::Timestamp, bool)>, Violation> {
    let Some(receipt) = &job.receipt else { return Ok(None) };
    let receipt = receipt.peek_unverified().map_err(|error| Violation(error.to_string()))?;
    let by_itself = receipt.exit != sta_protocol::federation::Exit::Cancelled;
    Ok(Some((receipt.ended_at, by_itself)))
}

fn entries_are_once(world: &World, member: usize) -> Checked {
    let sql = "SELECT kind || ' ' || subject FROM audit_payloads WHERE kind IN ('stop.received', 'stop.lifted') GROUP BY kind, subject HAVING count(*) > 1";
    let twice: Result<String, _> = world.store(member).query_row(sql, [], |row| row.get(0));
    match twice {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Ok(entry) => broken(format!("the log of {} has {entry} twice", MEMBERS[member])),
        Err(error) => broken(format!("the log of {} does not read: {error}", MEMBERS[member])),
    }
}
