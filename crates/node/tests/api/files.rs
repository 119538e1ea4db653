// SPDX-License-Identifier: Apache-2.0
//! Files: uploaded whole or in parts, continued where they stopped, taken only when the digest fits.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::json;
use sta_protocol::digest::Sha256Digest;

use crate::harness::{Answer, World, token};

const TEXT: &[u8] = b"0123456789";

async fn put(world: &World, sha256: Sha256Digest, range: &str, bytes: &[u8]) -> Answer {
    let mut request = Request::put(format!("/v1/blobs/{sha256}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", token("ada")));
    if !range.is_empty() {
        request = request.header(header::CONTENT_RANGE, range);
    }
    world.ca.send(request.body(Body::from(bytes.to_vec())).unwrap()).await
}

async fn have(world: &World, sha256: Sha256Digest) -> (u16, String) {
    let answer = world.ca.ask("ada", Method::HEAD, &format!("/v1/blobs/{sha256}"), None).await;
    (answer.status.as_u16(), answer.header("sta-have").to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_file_comes_in_parts_and_is_continued_where_it_stopped() {
    let world = World::open().await;
    let sha256 = Sha256Digest::of(TEXT);
    assert_eq!(have(&world, sha256).await, (404, "0".to_owned()));
    let first = put(&world, sha256, "bytes 0-3/10", &TEXT[..4]).await;
    assert_eq!(
        (first.status, first.json()),
        (StatusCode::ACCEPTED, json!({"sha256": sha256, "have": 4, "whole": false}))
    );
    assert_eq!(have(&world, sha256).await, (404, "4".to_owned()));
    let gap = put(&world, sha256, "bytes 6-9/10", &TEXT[6..]).await;
    assert_eq!(
        (gap.status, &gap.json()["reasons"][0]["facts"]["file.have"]),
        (StatusCode::CONFLICT, &json!("4"))
    );
    let rest = put(&world, sha256, "bytes 4-9/10", &TEXT[4..]).await;
    assert_eq!(
        (rest.status, rest.json()),
        (StatusCode::CREATED, json!({"sha256": sha256, "have": 10, "whole": true}))
    );
    assert_eq!(have(&world, sha256).await, (200, "10".to_owned()));
    assert_eq!(put(&world, sha256, "", TEXT).await.status, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn a_whole_file_passes_over_what_is_here_already() {
    let world = World::open().await;
    let sha256 = Sha256Digest::of(TEXT);
    put(&world, sha256, "bytes 0-3/10", &TEXT[..4]).await;
    assert_eq!(put(&world, sha256, "", TEXT).await.status, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_the_announced_ones_are_not_kept() {
    let world = World::open().await;
    let sha256 = Sha256Digest::of(TEXT);
    let wrong = put(&world, sha256, "", b"9876543210").await;
    assert_eq!((wrong.status, wrong.rule().as_deref()), (StatusCode::BAD_REQUEST, Some("REQ-002")));
    assert_eq!(have(&world, sha256).await, (404, "0".to_owned()));
    assert_eq!(put(&world, sha256, "", TEXT).await.status, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_is_a_file() {
    let world = World::open().await;
    assert_eq!(put(&world, Sha256Digest::of(b""), "", b"").await.status, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn a_content_range_that_cannot_be_is_refused() {
    let world = World::open().await;
    let sha256 = Sha256Digest::of(TEXT);
    for range in [
        "bytes 0-9/*",
        "bytes 5-4/10",
        "bytes 0-10/10",
        "bytes 0-1",
        "0-9/10",
        "bytes 0-8/10",
        "bytes 0-9/99999999999999",
    ] {
        let answer = put(&world, sha256, range, TEXT).await;
        assert_eq!(answer.rule().as_deref(), Some("REQ-002"), "{range}: {}", answer.text());
    }
    assert_eq!(
        world.ca.ask("ada", Method::HEAD, "/v1/blobs/nothing", None).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_above_64_mib_is_refused() {
    let world = World::open().await;
    let bytes = vec![0; (64 << 20) + 1];
    let answer = put(&world, Sha256Digest::of(&bytes), "", &bytes).await;
    assert_eq!((answer.status, answer.rule().as_deref()), (StatusCode::PAYLOAD_TOO_LARGE, Some("REQ-003")));
}
