// SPDX-License-Identifier: Apache-2.0
//! What holds jobs while nodes are killed: an order to stop from home, lifted when every site has answered it, and a gate of the
//! host that waits for a named person.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sta_node::keys::Keys;
use sta_protocol::{
    ids::{JobId, StopOrderId},
    job::JobSpec,
    stop_lift::{SignedStopLift, StopLift},
    stop_order::{SignedStopOrder, StopOrder, StopTarget},
};

use crate::harness::training_of;

use super::{
    MEMBERS,
    pair::Pair,
    work::{Job, answered},
};

/// How many sites each member has; all of them answer an order.
const SITES: [usize; 2] = [1, 2];

/// The same job as part of a training run that says it adds 24 teraFLOP to a base of 60: more than a third, so it is held.
pub(super) fn training(mut spec: JobSpec) -> JobSpec {
    spec.training = Some(training_of(4_000_000));
    spec
}

/// An order of Canada's people about one job, and its lifting.
pub(super) struct Held {
    order: Value,
    lift: Value,
    /// The node said yes to the order, to the lifting.
    answered: [bool; 2],
}

impl Held {
    pub(super) fn new(pair: &Pair, job: JobId) -> Self {
        let key = Keys::load(&pair.path("ca").join("keys")).unwrap().signing;
        let now = Timestamp::now();
        let order = StopOrder {
            version: 1,
            order: StopOrderId::new(job.unix_ms(), [7; 10]),
            member: "ca".parse().unwrap(),
            target: StopTarget::Job(job),
            reason: "It behaves as nobody expected.".to_owned(),
            issued_at: now,
            expires_at: now + SignedDuration::from_hours(1),
            acknowledge_within_s: 600,
        };
        let mut signed = SignedStopOrder::new(&order).unwrap();
        signed.sign(&key).unwrap();
        let lift = StopLift {
            version: 1,
            lifts: order.order,
            order_digest: signed.payload_sha256().unwrap(),
            member: order.member,
            reason: "It was looked into.".to_owned(),
            lifted_at: now,
        };
        let mut lift = SignedStopLift::new(&lift).unwrap();
        lift.sign(&key).unwrap();
        Self { order: json!(signed), lift: json!(lift), answered: [false; 2] }
    }

    /// Gives the order when its job runs, lifts it when all have answered, and lets go what waits for a person.
    pub(super) async fn ask(&mut self, pair: &Pair, job: &Job) {
        let ca = pair.operator("ca");
        let met =
            ["running", "completed"].map(|state| vec![state.to_owned()]).contains(&job.look(pair, "state"));
        if met && !self.answered[0] {
            self.answered[0] = answered(&ca, "/v1/stop-orders", Some(&self.order)).await;
        }
        if self.answered[0] && !self.answered[1] && answers(pair) == SITES.iter().sum::<usize>() {
            self.answered[1] = answered(&ca, "/v1/stop-lifts", Some(&self.lift)).await;
        }
        let waits = "SELECT id FROM gate_holds WHERE state = 'open' AND reason NOT LIKE 'stop-order/%'";
        for hold in pair.look("de", waits) {
            let reason = json!({"reason": "Planned and agreed."});
            answered(&pair.sofia(), &format!("/v1/holds/{hold}/release"), Some(&reason)).await;
        }
    }

    /// What is not done yet.
    pub(super) fn open(&self, pair: &Pair) -> Vec<String> {
        let mut open = Vec::new();
        if !self.answered[1] {
            open.push(format!("the order, with {} answers", answers(pair)));
        }
        for member in MEMBERS {
            let waits = "SELECT job || ' is held by ' || reason FROM gate_holds WHERE state = 'open'";
            open.extend(pair.look(member, waits));
        }
        open
    }

    /// What went on had stood still before; both logs tell of the order once, and of every answer.
    pub(super) fn was_obeyed(&self, pair: &Pair) {
        for (member, sites) in MEMBERS.into_iter().zip(SITES) {
            let lifted = pair.look(member, "SELECT count(*) FROM stop_orders WHERE lifted_at IS NOT NULL");
            assert_eq!(lifted, ["1"], "{member} has the order, and it is lifted");
            let said = "SELECT count(*) FROM audit_payloads WHERE kind = 'stop.acknowledged'";
            assert_eq!(pair.look(member, said), [sites.to_string()], "the answers in the log of {member}");
        }
        let heard = "SELECT count(*) FROM audit_payloads WHERE kind = 'stop.answer-received'";
        assert_eq!(pair.look("ca", heard), [SITES[1].to_string()]);
        // All sites had answered before it was lifted. What ended by itself meanwhile is not released any more.
        let unseen = "SELECT h.job FROM holds h JOIN stop_jobs s ON s.job = h.job WHERE h.confirmed_at IS NULL AND h.released_at IS NOT NULL";
        assert_eq!(pair.look("de", unseen), [""; 0], "what went on and never stood still");
        let people = "SELECT person || ' ' || kinds FROM gate_hold_decisions";
        assert_eq!(pair.look("de", people), ["sofia safety"]);
    }
}

/// How many sites' answers Canada has.
fn answers(pair: &Pair) -> usize {
    pair.look("ca", "SELECT site FROM stop_acknowledgements").len()
}
