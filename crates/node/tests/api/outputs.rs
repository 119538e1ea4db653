// SPDX-License-Identifier: Apache-2.0
//! What a job leaves: outputs whole and in ranges, logs, proofs, and outputs that are held until a steward releases them.

use http::StatusCode;
use serde_json::json;
use sta_audit::proof::Proof;

use super::blotted;
use crate::harness::{World, spec};

async fn finished(world: &World) -> String {
    world.run();
    world.ca.finished("ada", &spec()).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_output_comes_whole_with_its_digest_as_entity_tag() {
    let world = World::open().await;
    let job = finished(&world).await;
    let answer = world.ca.get("ada", &format!("/v1/jobs/{job}/outputs/model.json")).await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "a model"));
    assert_eq!(answer.header("etag"), format!("\"{}\"", sta_protocol::digest::Sha256Digest::of(b"a model")));
    assert_eq!((answer.header("accept-ranges"), answer.header("content-length")), ("bytes", "7"));
    assert_eq!(answer.header("content-disposition"), "attachment");
    assert_eq!(
        world.ca.get("ada", &format!("/v1/jobs/{job}/outputs/other")).await.rule().as_deref(),
        Some("OUT-002")
    );
}

#[tokio::test(start_paused = true)]
async fn ranges_of_an_output_are_as_rfc_9110_has_them() {
    let world = World::open().await;
    let job = finished(&world).await;
    let path = format!("/v1/jobs/{job}/outputs/model.json");
    for (range, text, content_range) in [
        ("bytes=2-4", "mod", "bytes 2-4/7"),
        ("bytes=5-", "el", "bytes 5-6/7"),
        ("bytes=-3", "del", "bytes 4-6/7"),
    ] {
        let answer = world.ca.get_with("ada", &path, ("range", range)).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::PARTIAL_CONTENT, text), "{range}");
        assert_eq!(answer.header("content-range"), content_range);
    }
    let outside = world.ca.get_with("ada", &path, ("range", "bytes=7-9")).await;
    assert_eq!(
        (outside.status, outside.header("content-range")),
        (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */7")
    );
    assert_eq!(outside.rule().as_deref(), Some("REQ-005"));
    assert_eq!(world.ca.get_with("ada", &path, ("range", "bytes=0-1,3-4")).await.status, StatusCode::OK);
    let tag = world.ca.get("ada", &path).await.header("etag").to_owned();
    assert_eq!(
        world.ca.get_with("ada", &path, ("if-none-match", &tag)).await.status,
        StatusCode::NOT_MODIFIED
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_output_is_sent_chunk_by_chunk() {
    let world = World::open().await;
    world.run();
    let mut large = spec();
    large.command = ["leave", "0123456789", "300000"].map(str::to_owned).to_vec();
    let job = world.ca.finished("ada", &large).await;
    let path = format!("/v1/jobs/{}/outputs/model.json", job["id"].as_str().unwrap());
    let whole = world.ca.get("ada", &path).await;
    assert_eq!(whole.header("content-length"), "3000000");
    assert!(whole.text() == "0123456789".repeat(300_000), "{} bytes came", whole.body.len());
    let part = world.ca.get_with("ada", &path, ("range", "bytes=1999995-2000004")).await;
    assert_eq!((part.status, part.text().as_str()), (StatusCode::PARTIAL_CONTENT, "5678901234"));
}

#[tokio::test(start_paused = true)]
async fn a_log_is_read_on_from_where_one_stopped() {
    let world = World::open().await;
    let job = finished(&world).await;
    let whole = world.ca.get("ada", &format!("/v1/jobs/{job}/logs/stdout")).await;
    assert_eq!((whole.text().as_str(), whole.header("sta-log-end")), ("leave a model", "true"));
    assert_eq!(world.ca.get("ada", &format!("/v1/jobs/{job}/logs/stdout?offset=8")).await.text(), "model");
    assert_eq!(
        world.ca.get("ada", &format!("/v1/jobs/{job}/logs/stdin")).await.rule().as_deref(),
        Some("REQ-001")
    );
}

#[tokio::test(start_paused = true)]
async fn the_proof_of_a_job_is_a_tlog_proof() {
    let world = World::open().await;
    let job = finished(&world).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let answer = world.ca.get("ada", &format!("/v1/jobs/{job}/proof")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(answer.text().starts_with("c2sp.org/tlog-proof@v1"), "{}", answer.text());
    assert!(Proof::parse(&answer.body).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_output_of_health_data_stays_at_its_host_until_a_steward_releases_it() {
    let world = World::open().await;
    world.run();
    let visa = world.hospital().await;
    let mut health = spec();
    health.datasets = vec!["de/hospital".parse().unwrap()];
    let body = world.ca.submission("ada", world.ca.job_id(), &health, &[visa]).await;
    let job = world.ca.post("ada", "/v1/jobs", &body).await.ok();
    let job = world.ca.wait_for("ada", job["id"].as_str().unwrap(), "completed").await;
    insta::assert_json_snapshot!("outputs_held", blotted(&job["outputs"]));
    let id = job["id"].as_str().unwrap();
    let output = format!("/v1/jobs/{id}/outputs/model.json");
    let held = world.ca.get("ada", &output).await;
    assert_eq!(held.status, StatusCode::FORBIDDEN);
    assert!(held.text().contains("OUT-001") && held.text().contains("DTR-004"), "{}", held.text());
    insta::assert_json_snapshot!("output_held", blotted(&held.json()));

    let hosted = world.de.get("stella", &format!("/v1/hosted/{id}")).await.ok();
    insta::assert_json_snapshot!("hosted_job", blotted(&hosted));
    let release = json!({"class": "open", "reason": "A model of 30 weights tells nothing of a person."});
    let path = format!("/v1/hosted/{id}/outputs/model.json/release");
    let released = world.de.post("stella", &path, &release).await.ok();
    assert_eq!((&released["held"], &released["class"]), (&json!(false), &json!("open")));
    assert_eq!(world.ca.get("ada", &output).await.text(), "a model");
}
