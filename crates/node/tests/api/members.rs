// SPDX-License-Identifier: Apache-2.0
//! Signed requests: replayed, expired, altered or wrongly addressed ones are refused, each with its own reason.

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::json;
use sta_protocol::{digest::Sha256Digest, keys::SigningKey};

use crate::harness::{Signing, World};

const PATH: &str = "/federation/v1/sites";

async fn asking() -> (World, Signing) {
    let world = World::open().await;
    // A node takes nothing that was signed before it started.
    tokio::time::advance(std::time::Duration::from_secs(100)).await;
    let signing = world.de.signing(&world.ca, Method::GET, PATH);
    (world, signing)
}

/// Sends it, and checks code, status and whether the refusal is signed for the member that asked.
async fn is_refused(world: &World, signing: &Signing, code: &str, status: u16, signed: bool) {
    let answer = world.ca.answer(signing).await;
    assert_eq!((answer.rule().as_deref(), answer.status.as_u16()), (Some(code), status), "{}", answer.text());
    assert_eq!(signing.check(&world.ca, &answer).is_ok(), signed, "{code}");
}

#[tokio::test(start_paused = true)]
async fn a_members_request_is_answered_under_signature() {
    let (world, signing) = asking().await;
    let answer = world.ca.answer(&signing).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(signing.check(&world.ca, &answer).unwrap(), world.ca.id());
    let mut other = signing.clone();
    other.nonce = [1; 16];
    assert!(other.check(&world.ca, &answer).is_err(), "an answer must fit one request only");
}

#[tokio::test(start_paused = true)]
async fn the_same_signed_request_again_is_a_replay() {
    let (world, signing) = asking().await;
    assert_eq!(world.ca.answer(&signing).await.status, StatusCode::OK);
    is_refused(&world, &signing, "SIG-009", 401, true).await;
    tokio::time::advance(std::time::Duration::from_secs(63)).await;
    is_refused(&world, &signing, "SIG-009", 401, true).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_signed_before_the_node_started_is_to_be_signed_anew() {
    let (world, mut signing) = asking().await;
    signing.created = world.ca.node.outside.now() - SignedDuration::from_secs(101);
    // It is too old as well; a restarted node with a fresh request in flight is the case that matters.
    is_refused(&world, &signing, "SIG-004", 401, true).await;
    let fresh = World::open().await;
    let mut signing = fresh.de.signing(&fresh.ca, Method::GET, PATH);
    signing.created = fresh.ca.node.outside.now() - SignedDuration::from_secs(2);
    is_refused(&fresh, &signing, "SIG-009", 503, true).await;
    assert_eq!(fresh.ca.answer(&signing).await.header("retry-after"), "1");
}

#[tokio::test(start_paused = true)]
async fn an_expired_request_and_one_from_the_future_are_refused() {
    let (world, signing) = asking().await;
    let now = world.ca.node.outside.now();
    let at = |seconds: i64| Signing { created: now + SignedDuration::from_secs(seconds), ..signing.clone() };
    is_refused(&world, &at(-66), "SIG-004", 401, true).await;
    is_refused(&world, &at(6), "SIG-005", 401, true).await;
    assert_eq!(world.ca.answer(&at(-64)).await.status, StatusCode::OK);
    let within_skew = Signing { nonce: [2; 16], ..at(5) };
    assert_eq!(world.ca.answer(&within_skew).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_altered_body_and_an_altered_target_are_told_apart() {
    let (world, signing) = asking().await;
    let post = Signing { method: Method::POST, path: "/federation/v1/offers".to_owned(), ..signing.clone() };
    let post = post.json(&json!("an offer"));
    let mut request = post.request();
    *request.body_mut() = axum::body::Body::from("\"another\"");
    let answer = world.ca.send(request).await;
    assert_eq!((answer.rule().as_deref(), answer.status.as_u16()), (Some("SIG-006"), 401));
    assert!(post.check(&world.ca, &answer).is_ok());

    let mut request = signing.request();
    *request.uri_mut() = "/federation/v1/sites?more=1".parse().unwrap();
    let answer = world.ca.send(request).await;
    assert_eq!((answer.rule().as_deref(), answer.status.as_u16()), (Some("SIG-007"), 401));
    assert!(signing.check(&world.ca, &answer).is_err(), "a stranger gets no signature of ours");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_another_members_node_is_wrongly_addressed() {
    let (world, mut signing) = asking().await;
    signing.url = world.fr.url();
    is_refused(&world, &signing, "SIG-008", 401, true).await;
    let answer = world.ca.answer(&signing).await;
    assert_eq!(answer.json()["reasons"][0]["facts"]["addressed.to"], "fr");
}

#[tokio::test(start_paused = true)]
async fn the_address_is_the_treatys_and_never_the_header_host() {
    let (world, signing) = asking().await;
    let mut request = signing.request();
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    assert_eq!(world.ca.send(request).await.status, StatusCode::OK);
    let elsewhere = Signing { url: "https://evil.example".to_owned(), ..signing };
    let mut request = elsewhere.request();
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    assert_eq!(world.ca.send(request).await.rule().as_deref(), Some("SIG-007"));
}

#[tokio::test(start_paused = true)]
async fn a_key_outside_of_the_treaty_and_our_own_are_unknown() {
    let (world, signing) = asking().await;
    for key in [SigningKey::from_seed([9; 32]), world.ca.node.keys.signing.clone()] {
        is_refused(&world, &Signing { key, ..signing.clone() }, "SIG-003", 401, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_treaty_is_refused_with_its_digest() {
    let (world, mut signing) = asking().await;
    signing.treaty = Sha256Digest::of(b"another");
    is_refused(&world, &signing, "TRE-001", 409, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_and_a_malformed_header_are_told_apart() {
    let (world, signing) = asking().await;
    let mut request = signing.request();
    request.headers_mut().remove("sta-treaty");
    assert_eq!(world.ca.send(request).await.rule().as_deref(), Some("SIG-001"));
    let mut request = signing.request();
    request.headers_mut().insert("signature-input", "sig1=(nothing".parse().unwrap());
    let answer = world.ca.send(request).await;
    assert_eq!((answer.rule().as_deref(), answer.status.as_u16()), (Some("SIG-002"), 400));
}

#[tokio::test(start_paused = true)]
async fn every_refusal_of_a_signed_request_has_its_text() {
    let (world, signing) = asking().await;
    let mut texts = Vec::new();
    let now = world.ca.node.outside.now();
    world.ca.answer(&signing).await;
    let bent = [
        signing.clone(),
        Signing { created: now - SignedDuration::from_secs(70), ..signing.clone() },
        Signing { created: now + SignedDuration::from_secs(9), ..signing.clone() },
        Signing { url: world.fr.url(), ..signing.clone() },
        Signing { treaty: Sha256Digest::of(b"another"), nonce: [3; 16], ..signing.clone() },
        Signing { key: SigningKey::from_seed([9; 32]), ..signing.clone() },
        Signing { path: "/federation/v1/sites?x".to_owned(), ..signing.clone() },
    ];
    for mut signing in bent {
        signing.nonce = if signing.created == now && signing.treaty == world.ca.node.treaty_digest() {
            signing.nonce
        } else {
            [4; 16]
        };
        let mut request = signing.request();
        *request.uri_mut() = PATH.parse().unwrap();
        let problem = world.ca.send(request).await.json();
        texts.push(format!(
            "{}: {}",
            problem["title"].as_str().unwrap(),
            problem["reasons"][0]["sentence"].as_str().unwrap()
        ));
    }
    insta::assert_snapshot!("signed_refusals", texts.join("\n"));
}
