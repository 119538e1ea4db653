// SPDX-License-Identifier: Apache-2.0
//! Orders to stop: signed, obeyed abroad, answered with times and digests, kept for who is away, and lifted.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sta_node::{
    engines::RunId,
    node::Node,
    store::{
        audit, frozen, outbox,
        stop_orders::{self as table, KeptOrder},
    },
};
use sta_protocol::{
    class::Class,
    ids::StopOrderId,
    job::InputFile,
    keys::SigningKey,
    stop_lift::{SignedStopLift, StopLift},
    stop_order::{SignedStopOrder, StopOrder, StopTarget},
};

use super::training::{submitted, training};
use crate::harness::{TestNode, World, spec};

fn order(node: &TestNode, target: StopTarget) -> StopOrder {
    let now = node.node.outside.now();
    StopOrder {
        version: 1,
        order: StopOrderId::new(node.node.outside.now_ms(), node.node.outside.random()),
        member: node.id(),
        target,
        reason: "It behaves as nobody expected.".to_owned(),
        issued_at: now,
        expires_at: now + SignedDuration::from_hours(24),
        acknowledge_within_s: 300,
    }
}

fn signed(order: &StopOrder, key: &SigningKey) -> (Value, SignedStopOrder) {
    let mut signed = SignedStopOrder::new(order).unwrap();
    signed.sign(key).unwrap();
    (serde_json::to_value(&signed).unwrap(), signed)
}

async fn status(node: &TestNode, order: StopOrderId) -> Value {
    node.get("otto", &format!("/v1/stop-orders/{order}")).await.ok()
}

/// Waits until every site of the treaty has answered.
async fn answered(node: &TestNode, order: StopOrderId) -> Value {
    for _ in 0..1200 {
        let found = status(node, order).await;
        if found["unanswered"] == json!([]) {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("not every site answered: {}", status(node, order).await);
}

fn knows(node: &TestNode, kind: &str, order: StopOrderId) -> bool {
    let subject = order.to_string();
    node.node.store.read(|connection| audit::find_entry(connection, kind, &subject)).unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn an_order_of_canada_suspends_a_run_in_germany_and_every_site_answers_with_times_and_the_state_kept() {
    let world = World::open().await;
    world.run();
    let job = submitted(&world.ca, &training("juelich", 1_000_000)).await;
    world.ca.wait_for("ada", &job, "running").await;
    let order = order(&world.ca, StopTarget::Job(job.parse().unwrap()));
    let (body, text) = signed(&order, &world.ca.node.keys.signing);
    let given = tokio::time::Instant::now();
    world.ca.post("otto", "/v1/stop-orders", &body).await.ok();
    let done = answered(&world.ca, order.order).await;
    assert!(given.elapsed().as_secs() < 10, "it took {:?}", given.elapsed());
    let run = RunId { job: job.parse().unwrap(), attempt: 1 };
    assert!(world.de.engine.is_suspended(run));
    let answers = done["answers"].as_array().unwrap();
    let juelich = answers.iter().find(|answer| answer["site"] == "juelich").unwrap();
    assert_eq!((&juelich["member"], &juelich["stopped"][0]["job"]), (&json!("de"), &json!(job)));
    assert!(juelich["stopped"][0]["state"]["sha256"].is_string(), "{juelich}");
    assert_eq!(answers.iter().filter(|answer| answer["stopped"] != json!([])).count(), 1);
    for (node, kinds) in [
        (&world.de, &["stop.received", "stop.acknowledged"]),
        (&world.ca, &["stop.received", "stop.answer-received"]),
    ] {
        for kind in kinds {
            assert!(knows(node, kind, order.order), "{kind} is not in the log of {}", node.id());
        }
    }
    // The same order again stops nothing twice.
    world.ca.post("otto", "/v1/stop-orders", &body).await.ok();
    let holds = world.de.get("otto", "/v1/holds").await.ok();
    assert_eq!(holds["holds"].as_array().unwrap().len(), 1, "{holds}");
    // Another order under its id is none.
    let other = StopOrder { reason: "Something else.".to_owned(), ..order.clone() };
    let refused =
        world.ca.post("otto", "/v1/stop-orders", &signed(&other, &world.ca.node.keys.signing).0).await;
    assert_eq!(refused.rule().as_deref(), Some("REQ-004"), "{}", refused.text());
    // Nobody releases what an order has stopped.
    let hold = holds["holds"][0]["id"].as_str().unwrap();
    let refused =
        world.de.post("safia", &format!("/v1/holds/{hold}/release"), &json!({"reason": "I want to."})).await;
    assert_eq!(refused.rule().as_deref(), Some("HLD-002"));
    // Who gave the order lifts it.
    let lift = StopLift {
        version: 1,
        lifts: order.order,
        order_digest: text.payload_sha256().unwrap(),
        member: world.ca.id(),
        reason: "It was looked into.".to_owned(),
        lifted_at: world.ca.node.outside.now(),
    };
    let mut lifting = SignedStopLift::new(&lift).unwrap();
    let stranger = serde_json::to_value({
        let mut lifting = lifting.clone();
        lifting.sign(&SigningKey::from_seed([9; 32])).unwrap();
        lifting
    });
    let refused = world.ca.post("otto", "/v1/stop-lifts", &stranger.unwrap()).await;
    assert_eq!(refused.rule().as_deref(), Some("STP-001"));
    lifting.sign(&world.ca.node.keys.signing).unwrap();
    world.ca.post("otto", "/v1/stop-lifts", &serde_json::to_value(&lifting).unwrap()).await.ok();
    world.de.until("the engine lets it go on", |_| !world.de.engine.is_suspended(run)).await;
    assert!(knows(&world.de, "stop.lifted", order.order));
}

#[tokio::test(start_paused = true)]
async fn what_an_order_has_stopped_keeps_its_state_also_when_somebody_ends_it() {
    let world = World::open().await;
    world.run();
    let mut spec = training("juelich", 1_000_000);
    let sha256 = world.ca.upload("ada", b"a letter").await;
    spec.inputs = vec![InputFile { name: "letter".to_owned(), sha256, bytes: 8, class: Class::Internal }];
    let job = submitted(&world.ca, &spec).await;
    world.ca.wait_for("ada", &job, "running").await;
    let order = order(&world.ca, StopTarget::Job(job.parse().unwrap()));
    let (body, text) = signed(&order, &world.ca.node.keys.signing);
    world.ca.post("otto", "/v1/stop-orders", &body).await.ok();
    answered(&world.ca, order.order).await;
    world.ca.post("ada", &format!("/v1/jobs/{job}/cancel"), &json!({})).await;
    world.ca.wait_for("ada", &job, "cancelled").await;
    let id = job.parse().unwrap();
    let kept = |node: &Node| node.store.read(|connection| frozen::kept_runs(connection, id)).unwrap().len();
    let run = RunId { job: id, attempt: 1 };
    world.de.until("its directory is kept", |node| kept(node) == 1).await;
    assert!(!world.de.engine.is_wiped(run), "an order stands");
    let lift = StopLift {
        version: 1,
        lifts: order.order,
        order_digest: text.payload_sha256().unwrap(),
        member: world.ca.id(),
        reason: "It was looked into.".to_owned(),
        lifted_at: world.ca.node.outside.now(),
    };
    let mut lifting = SignedStopLift::new(&lift).unwrap();
    lifting.sign(&world.ca.node.keys.signing).unwrap();
    world.ca.post("otto", "/v1/stop-lifts", &serde_json::to_value(&lifting).unwrap()).await.ok();
    world.de.until("its directory is let go", |node| kept(node) == 0).await;
    world.de.until("its directory is gone", |_| world.de.engine.is_wiped(run)).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_signed_as_the_treaty_asks_stops_nothing_and_says_so_in_three_languages() {
    let world = World::open().await;
    world.run();
    let order = order(&world.ca, StopTarget::Site("juelich".parse().unwrap()));
    let bad = [
        signed(&order, &world.de.node.keys.signing).0,
        serde_json::to_value(SignedStopOrder::new(&order).unwrap()).unwrap(),
    ];
    for body in &bad {
        let refused = world.ca.post("otto", "/v1/stop-orders", body).await;
        assert_eq!(refused.rule().as_deref(), Some("STP-001"), "{}", refused.text());
    }
    for language in ["en", "fr", "de"] {
        let refused = world.ca.post_in("otto", "/v1/stop-orders", &bad[1], language).await;
        insta::assert_snapshot!(
            format!("stop_order_is_not_signed_{language}"),
            refused.json()["detail"].as_str().unwrap()
        );
    }
    assert_eq!(world.ca.get("otto", "/v1/stop-orders").await.ok()["orders"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn an_order_reaches_a_member_that_was_away_and_stops_what_came_after_it() {
    let world = World::open().await;
    world.run();
    world.network.cut("node.de.example");
    let order = order(&world.ca, StopTarget::Model("ca/maple".parse().unwrap()));
    let (body, _) = signed(&order, &world.ca.node.keys.signing);
    world.ca.post("otto", "/v1/stop-orders", &body).await.ok();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(!knows(&world.de, "stop.received", order.order));
    world.network.connect("node.de.example", world.de.router.clone());
    let done = answered(&world.ca, order.order).await;
    assert!(done["answers"].as_array().unwrap().iter().all(|answer| answer["stopped"] == json!([])));
    let job = submitted(&world.ca, &training("juelich", 1_000_000)).await;
    world
        .de
        .until("it is held", |node| {
            let found =
                node.store.read(|connection| sta_node::store::gate_holds::list(connection, false)).unwrap();
            found.iter().any(|hold| hold.job.to_string() == job)
        })
        .await;
    // Another model's job is left alone.
    world.ca.finished("ada", &spec()).await;
}

#[tokio::test(start_paused = true)]
async fn a_site_looks_for_what_an_order_names_before_it_answers_also_when_the_order_lapsed_meanwhile() {
    let world = World::open().await;
    world.run();
    let job = submitted(&world.ca, &training("juelich", 1_000_000)).await;
    world.ca.wait_for("ada", &job, "running").await;
    // As a node finds it that was killed when it had taken the order, and is started again when the order has lapsed.
    let order = order(&world.ca, StopTarget::Job(job.parse().unwrap()));
    let given = order.issued_at - SignedDuration::from_hours(2);
    let order = StopOrder { issued_at: given, expires_at: given + SignedDuration::from_hours(1), ..order };
    let (_, text) = signed(&order, &world.ca.node.keys.signing);
    let kept = KeptOrder {
        id: order.order,
        sha256: text.payload_sha256().unwrap(),
        member: order.member.clone(),
        signed: text,
        received_from: order.member.clone(),
        received_at: given,
        lift: None,
        lifted_at: None,
    };
    let write = world.de.node.store.write(move |tx| {
        table::put(tx, &kept)?;
        table::put_site(tx, kept.id, &"juelich".parse().unwrap())
    });
    write.await.unwrap();
    let found =
        |node: &Node| node.store.read(|connection| table::acknowledgements(connection, order.order)).unwrap();
    world.de.until("the site answers", |node| !found(node).is_empty()).await;
    let answer = found(&world.de.node).pop().unwrap().0.peek_unverified().unwrap();
    let stopped: Vec<String> = answer.stopped.iter().map(|stopped| stopped.job.to_string()).collect();
    assert_eq!(stopped.join(","), job);
    assert!(world.de.engine.is_suspended(RunId { job: job.parse().unwrap(), attempt: 1 }));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_lapsed_while_a_member_was_away_is_not_brought_for_ever() {
    let world = World::open().await;
    world.run();
    world.network.cut("node.de.example");
    let order = order(&world.ca, StopTarget::Site("juelich".parse().unwrap()));
    let order = StopOrder { expires_at: order.issued_at + SignedDuration::from_secs(60), ..order };
    world.ca.post("otto", "/v1/stop-orders", &signed(&order, &world.ca.node.keys.signing).0).await.ok();
    tokio::time::sleep(std::time::Duration::from_secs(90)).await;
    let waits = |node: &Node| node.store.read(outbox::lengths).unwrap();
    assert!(!waits(&world.ca.node).is_empty());
    world.network.connect("node.de.example", world.de.router.clone());
    world.ca.until("nothing waits any more", |node| waits(node).is_empty()).await;
    assert!(!knows(&world.de, "stop.received", order.order));
}
