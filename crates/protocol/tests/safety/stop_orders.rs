// SPDX-License-Identifier: Apache-2.0
//! Rules of orders to stop: enough of the right people, in time, and answered with the state that was kept.

use sta_protocol::{
    digest::Sha256Digest,
    jws::Signed,
    record::Record as _,
    stop_order::{PreservedState, SignedStopOrder, StopAcknowledgement, StopOrder, StopRefused, StoppedJob},
};

use super::examples::{authority, job, stop_order};
use crate::fixture::{NOW, at, ca, de, key_from_hex, known, now, reason, session};

fn signed(order: &StopOrder) -> SignedStopOrder {
    let mut signed = SignedStopOrder::new(order).unwrap();
    signed.sign(&ca()).unwrap();
    signed.sign(&session()).unwrap();
    signed
}

pub(crate) fn acknowledgement(order: Sha256Digest) -> StopAcknowledgement {
    StopAcknowledgement {
        version: 1,
        order: stop_order().order,
        order_digest: order,
        member: "de".parse().unwrap(),
        site: "juelich".parse().unwrap(),
        received_at: at(NOW + 2),
        stopped: vec![
            StoppedJob {
                job: job(1),
                stopped_at: at(NOW + 9),
                state: Some(PreservedState { sha256: Sha256Digest::of(b"a manifest"), bytes: 22 }),
            },
            StoppedJob { job: job(2), stopped_at: at(NOW + 3), state: None },
        ],
        completed_at: at(NOW + 9),
    }
}

#[test]
fn two_of_three_stop_a_model_and_the_site_says_when() {
    let verified = signed(&stop_order()).verify(&authority(), now(), 5).unwrap();
    assert_eq!(verified.order(), &stop_order());
    assert_eq!(verified.signers(), [ca().key_id(), session().key_id()]);
    let answer = Signed::sign_record(&acknowledgement(verified.digest()), &de()).unwrap();
    let answer = answer.verify_record(known).unwrap();
    assert!(answer.fulfils(&verified));
    let late = StopAcknowledgement { completed_at: at(NOW + 301), ..answer.into_inner() };
    assert!(!late.fulfils(&verified));
    assert!(!acknowledgement(Sha256Digest::of(b"another order")).fulfils(&verified));
}

#[test]
fn whoever_signs_the_order_has_the_same_digest() {
    let mut other = SignedStopOrder::new(&stop_order()).unwrap();
    other.sign(&de()).unwrap();
    other.sign(&ca()).unwrap();
    let digest = |order: &SignedStopOrder| order.verify(&authority(), now(), 5).unwrap().digest();
    assert_eq!(digest(&other), digest(&signed(&stop_order())));
}

#[test]
fn an_order_of_too_few_of_strangers_or_out_of_time_stops_nothing() {
    let mut one = SignedStopOrder::new(&stop_order()).unwrap();
    one.sign(&ca()).unwrap();
    // Signing twice is still one person.
    one.sign(&ca()).unwrap();
    let mut stranger = signed(&stop_order());
    stranger.sign(&key_from_hex(&"07".repeat(32))).unwrap();
    let of_germany = signed(&StopOrder { member: "de".parse().unwrap(), ..stop_order() });
    let good = signed(&stop_order());
    let refused = |order: &SignedStopOrder, second| order.verify(&authority(), at(second), 5).unwrap_err();
    let refusals = [
        refused(&one, NOW),
        refused(&of_germany, NOW),
        refused(&good, NOW - 6),
        refused(&good, NOW + 86_400),
    ];
    insta::assert_snapshot!(refusals.map(|refusal| refusal.to_string()).join("\n"), @r#"
    the order has 1 of the 2 signatures that it needs: ask others of ca to sign it too
    the order is one of de, and these are the keys of ca
    the order is good from 2026-11-23T12:00:00Z to 2026-11-24T12:00:00Z, and it is 2026-11-23T11:59:54Z: give a new one
    the order is good from 2026-11-23T12:00:00Z to 2026-11-24T12:00:00Z, and it is 2026-11-24T12:00:00Z: give a new one
    "#);
    assert!(
        matches!(refused(&stranger, NOW), StopRefused::Signature(cause) if reason(&cause) == "UnexpectedSigner")
    );
    assert!(good.verify(&authority(), at(NOW - 5), 5).is_ok());
}

#[test]
fn a_changed_order_or_signature_stops_nothing() {
    let value = serde_json::to_value(signed(&stop_order())).unwrap();
    let other =
        serde_json::to_value(signed(&StopOrder { reason: "Another.".to_owned(), ..stop_order() })).unwrap();
    let mut changed = value.clone();
    changed["payload"] = other["payload"].clone();
    let changed: SignedStopOrder = serde_json::from_value(changed).unwrap();
    let refused = changed.verify(&authority(), now(), 5).unwrap_err();
    assert!(
        matches!(&refused, StopRefused::Signature(cause) if reason(cause) == "BadSignature"),
        "{refused}"
    );
}

#[test]
fn bounds_of_orders_authorities_and_acknowledgements_are_kept() {
    let order = |change: fn(&mut StopOrder)| {
        let mut order = stop_order();
        change(&mut order);
        SignedStopOrder::new(&order).unwrap_err().to_string()
    };
    let mut many = authority();
    many.signatures_min = 4;
    let mut twice = authority();
    twice.keys[1] = twice.keys[0];
    let mut early = acknowledgement(Sha256Digest::of(b""));
    early.completed_at = at(NOW + 8);
    let refusals = [
        order(|order| order.reason.clear()),
        order(|order| order.expires_at = order.issued_at),
        order(|order| order.expires_at = at(NOW + 31 * 86_400)),
        order(|order| order.acknowledge_within_s = 0),
        many.check().unwrap_err().to_string(),
        twice.check().unwrap_err().to_string(),
        early.check().unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r#"
    the order to stop is not whole: `reason` has 0 characters: use 1 to 4000 printable ones
    the order to stop is not whole: `expires_at` is 0 s after `issued_at`: use 1 s to 30 days
    the order to stop is not whole: `expires_at` is 2678400 s after `issued_at`: use 1 s to 30 days
    the order to stop is not whole: `acknowledge_within_s` is 0: use 1 to 3600
    `stop_authorities.signatures_min` is 4, of 3 keys: use 1 to as many
    `stop_authorities.keys` has "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" twice: leave one out
    `stopped` has job 01a20846-fe00-7101-8101-010101010101, which stopped at 2026-11-23T12:00:09Z, after `completed_at`: answer when all of it has stopped
    "#);
}
