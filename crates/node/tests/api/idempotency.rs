// SPDX-License-Identifier: Apache-2.0
//! One idempotency key has one answer, however often and whenever a member repeats the call.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Signing, World, spec};

/// A signed offer of Germany to Canada, taken from Germany's own store before it is sent.
async fn offer(world: &World) -> (Value, Signing) {
    let mut abroad = spec();
    abroad.sites_allowed = vec!["quebec-hydro".parse().unwrap()];
    let job = world.de.submit("ada", &abroad).await.ok();
    let id = job["id"].as_str().unwrap().parse().unwrap();
    let kept =
        world.de.node.store.read(|connection| sta_node::store::jobs::find(connection, id)).unwrap().unwrap();
    let offer = json!(kept.offer.unwrap());
    let signing = world.de.signing(&world.ca, Method::POST, "/federation/v1/offers").json(&offer);
    (offer, signing)
}

fn again(signing: &Signing, nonce: u8) -> Signing {
    Signing { nonce: [nonce; 16], ..signing.clone() }
}

#[tokio::test(start_paused = true)]
async fn the_same_call_again_gets_the_same_answer_freshly_signed() {
    let world = World::open().await;
    let (_, first) = offer(&world).await;
    let one = world.ca.answer(&first).await;
    assert!(one.ok()["admitted"].is_string(), "{}", one.text());
    tokio::time::advance(std::time::Duration::from_secs(7)).await;
    let second = again(&first, 2);
    let two = world.ca.answer(&second).await;
    assert_eq!((two.status, &two.body), (one.status, &one.body));
    assert_ne!(two.header("signature"), one.header("signature"));
    assert!(second.check(&world.ca, &two).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_same_key_with_another_body_is_refused_under_signature() {
    let world = World::open().await;
    let (_, first) = offer(&world).await;
    world.ca.answer(&first).await.ok();
    let other = again(&first, 3).json(&json!("another"));
    let answer = world.ca.answer(&other).await;
    assert_eq!(
        (answer.status, answer.rule().as_deref()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("IDM-001"))
    );
    assert!(other.check(&world.ca, &answer).is_ok());
}

#[tokio::test(start_paused = true)]
async fn two_members_may_use_the_same_key() {
    let world = World::open().await;
    let (_, first) = offer(&world).await;
    world.ca.answer(&first).await.ok();
    let mut theirs = again(&first, 4).json(&json!("another"));
    theirs.key = world.fr.node.keys.signing.clone();
    assert_ne!(world.ca.answer(&theirs).await.rule().as_deref(), Some("IDM-001"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_kept_as_well_and_an_offer_of_somebody_else_is_not_taken() {
    let world = World::open().await;
    let (offer, _) = offer(&world).await;
    let forwarded = world.fr.signing(&world.ca, Method::POST, "/federation/v1/offers").json(&offer);
    let one = world.ca.answer(&forwarded).await;
    assert!(one.text().contains("DOC-001") || one.text().contains("OFR-001"), "{}", one.text());
    let two = world.ca.answer(&again(&forwarded, 5)).await;
    assert_eq!((two.status, &two.body), (one.status, &one.body));
}
