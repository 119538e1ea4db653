// SPDX-License-Identifier: Apache-2.0
//! Inputs on their way to a site, what they may take of its disk, and when they go.

use std::time::Duration;

use axum::body::Body;
use http::{Request, header};
use serde_json::{Value, json};
use sta_node::{
    config::DiskConfig,
    steps::disk,
    store::{blobs::PIECE_BYTES, outbox, possessions::Party},
};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    ids::JobId,
    job::{InputFile, JobSpec},
};

use crate::harness::{TestNode, World, spec, token};

/// Two pieces, the second of half the length.
const BYTES: u64 = PIECE_BYTES * 3 / 2;

/// A file that a person of `ca` brings, made of one letter.
async fn upload(node: &TestNode, letter: u8, class: Class) -> InputFile {
    let bytes = vec![letter; usize::try_from(BYTES).unwrap()];
    let sha256 = Sha256Digest::of(&bytes);
    let request = Request::put(format!("/v1/blobs/{sha256}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", token("ada")));
    assert_eq!(node.send(request.body(Body::from(bytes)).unwrap()).await.status, 201);
    InputFile { name: format!("{}.bin", char::from(letter)), sha256, bytes: BYTES, class }
}

/// A job at Jülich with these inputs.
fn job(inputs: &[&InputFile]) -> JobSpec {
    let mut job = spec();
    job.inputs = inputs.iter().map(|input| (*input).clone()).collect();
    job.sites_allowed = vec!["juelich".parse().unwrap()];
    job
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

/// What the host says why a job still waits.
async fn why_waiting(world: &World, job: &Value) -> String {
    let id: JobId = id(job).parse().unwrap();
    let last_error = |node: &sta_node::node::Node| {
        node.store.read(|connection| outbox::last_error(connection, id)).unwrap()
    };
    world.de.until("the job has failed to be staged once", |node| last_error(node).is_some()).await;
    last_error(&world.de.node).unwrap()
}

#[tokio::test(start_paused = true)]
async fn jobs_that_want_a_file_at_once_share_one_transfer_and_later_ones_find_it_here() {
    let world = World::open().await;
    let file = upload(&world.ca, b'a', Class::Open).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(world.ca.submit("ada", &job(&[&file])).await.ok());
    }
    world.run();
    for submitted in &jobs {
        world.ca.wait_for("ada", id(submitted), "completed").await;
    }
    world.ca.finished("ada", &job(&[&file])).await;
    assert_eq!(world.ca.node.metrics.file_bytes_served.get(), BYTES);
    assert_eq!(world.de.node.metrics.file_bytes_fetched.get(), BYTES);
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_is_not_what_its_holder_signed_is_asked_for_again_and_no_other() {
    let world = World::open().await;
    let file = upload(&world.ca, b'a', Class::Open).await;
    world.network.spoil(&format!("bytes {PIECE_BYTES}-{}/{BYTES}", BYTES - 1), 2);
    world.run();
    world.ca.finished("ada", &job(&[&file])).await;
    let again = 2 * (BYTES - PIECE_BYTES);
    assert_eq!(world.ca.node.metrics.file_bytes_served.get(), BYTES + again);
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_bytes_stay_wrong_is_named_and_the_right_pieces_are_kept() {
    let world = World::open().await;
    let file = upload(&world.ca, b'a', Class::Open).await;
    world.network.spoil(&format!("bytes {PIECE_BYTES}-{}/{BYTES}", BYTES - 1), 3);
    let submitted = world.ca.submit("ada", &job(&[&file])).await.ok();
    world.run();
    let why = why_waiting(&world, &submitted).await;
    assert!(why.contains("`ca` cannot be believed") && why.contains("body"), "{why}");
    world.ca.wait_for("ada", id(&submitted), "completed").await;
    let again = 3 * (BYTES - PIECE_BYTES);
    assert_eq!(world.ca.node.metrics.file_bytes_served.get(), BYTES + again);
}

#[tokio::test(start_paused = true)]
async fn a_project_whose_files_would_take_more_than_its_share_is_refused_with_the_numbers() {
    let limits = DiskConfig { bytes_max_per_project: BYTES + 1, bytes_free_min: 0, ..DiskConfig::default() };
    let world = World::open_on(limits).await;
    let (first, second) =
        (upload(&world.ca, b'a', Class::Open).await, upload(&world.ca, b'b', Class::Open).await);
    let mut waits = job(&[&first]);
    (waits.command, waits.outputs) = (vec!["wait".to_owned()], Vec::new());
    let waits = world.ca.submit("ada", &waits).await.ok();
    world.run();
    world.ca.wait_for("ada", id(&waits), "running").await;
    let refused = world.ca.submit("ada", &job(&[&first, &second])).await.ok();
    world.ca.wait_for("ada", id(&refused), "refused").await;
    let why = world.ca.get("ada", &format!("/v1/jobs/{}/why", id(&refused))).await.text();
    let (bytes, limit) = (BYTES.to_string(), (BYTES + 1).to_string());
    let why: Value = serde_json::from_str(&why).unwrap();
    let answer = why["answers"][0]["refusals"][0].clone();
    assert_eq!(answer["rule"], "CAP-008", "{why}");
    let facts =
        json!({"project": "ca/digits", "needed_bytes": bytes, "used_bytes": bytes, "limit_bytes": limit});
    assert_eq!(answer["facts"], facts);
    // The same file once more takes nothing more.
    world.ca.finished("ada", &job(&[&first])).await;
    world.ca.post("ada", &format!("/v1/jobs/{}/cancel", id(&waits)), &json!({})).await;
    world.ca.wait_for("ada", id(&waits), "cancelled").await;
    world.ca.finished("ada", &job(&[&second])).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_room_on_the_disk_and_says_so() {
    let full = DiskConfig { bytes_free_min: 1 << 60, ..DiskConfig::default() };
    let world = World::open_on(full).await;
    let input = world.ca.upload("ada", b"so small that it is taken whole").await;
    let file = InputFile { name: "a".to_owned(), sha256: input, bytes: 31, class: Class::Open };
    let submitted = world.ca.submit("ada", &job(&[&file])).await.ok();
    world.run();
    let why = why_waiting(&world, &submitted).await;
    assert!(why.contains("no room") && why.contains("31 bytes are needed"), "{why}");
    assert!(why.contains("disk.bytes_free_min"), "{why}");
    let request = Request::put(format!("/v1/blobs/{}", Sha256Digest::of(b"0123456789")))
        .header(header::AUTHORIZATION, format!("Bearer {}", token("ada")))
        .header(header::CONTENT_RANGE, "bytes 0-4/10");
    let answer = world.ca.send(request.body(Body::from("01234")).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.rule().as_deref()), (503, Some("REQ-006")));
}

#[tokio::test(start_paused = true)]
async fn files_go_when_no_job_needs_them_and_their_class_or_their_age_says_so() {
    let world = World::open().await;
    let open = upload(&world.ca, b'a', Class::Open).await;
    let internal = upload(&world.ca, b'b', Class::Internal).await;
    let survey = world.de.upload("stella", b"a survey").await;
    let dataset = json!({
        "name": "survey", "title": "Survey", "class": "open", "origin": "de", "residency": [], "purposes": ["research"],
        "files": [{"name": "survey.csv", "sha256": survey, "bytes": 8}],
    });
    assert_eq!(world.de.post("stella", "/v1/datasets", &dataset).await.status, 201);
    world.run();
    let mut first = job(&[&open, &internal]);
    first.datasets = vec!["de/survey".parse().unwrap()];
    let done = world.ca.finished("ada", &first).await;
    let output: Sha256Digest = done["outputs"][0]["sha256"].as_str().unwrap().parse().unwrap();
    world.de.until("the internal file is gone", |node| !node.blobs.has(internal.sha256)).await;
    let here = |node: &TestNode, file| node.node.blobs.has(file);
    assert!(here(&world.de, open.sha256) && here(&world.ca, internal.sha256), "for the next job");
    tokio::time::advance(Duration::from_secs(25 * 3600)).await;
    world.ca.until("the upload had its day", |node| !node.blobs.has(internal.sha256)).await;
    assert!(here(&world.de, open.sha256) && here(&world.ca, open.sha256), "open files stay a week");
    tokio::time::advance(Duration::from_secs(7 * 24 * 3600)).await;
    for node in [&world.ca, &world.de] {
        node.until("the open file is gone", |node| !node.blobs.has(open.sha256)).await;
    }
    assert!(here(&world.de, survey) && here(&world.de, output) && here(&world.ca, output));
}

#[tokio::test(start_paused = true)]
async fn what_a_job_still_needs_stays_and_what_was_begun_and_left_goes() {
    let world = World::open().await;
    let needed = upload(&world.ca, b'a', Class::Internal).await;
    let mut waits = job(&[&needed]);
    (waits.command, waits.outputs) = (vec!["wait".to_owned()], Vec::new());
    let waits = world.ca.submit("ada", &waits).await.ok();
    world.run();
    world.ca.wait_for("ada", id(&waits), "running").await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    for node in [&world.ca, &world.de] {
        disk::sweep(&node.node).await.unwrap();
        assert!(node.node.blobs.has(needed.sha256));
    }
    let left = Sha256Digest::of(b"of which only a part came");
    let (ada, blobs) = (Party::Person("ada".parse().unwrap()), &world.ca.node.blobs);
    blobs.append(left, &ada, 0, b"of which").unwrap();
    disk::sweep(&world.ca.node).await.unwrap();
    assert_eq!(blobs.partial_bytes(left, &ada), 8, "it is fresh");
    let begun = blobs.abandoned(Duration::ZERO).unwrap();
    assert_eq!(begun.iter().map(|begun| begun.sha256).collect::<Vec<_>>(), [left]);
    blobs.abandon(&begun[0]).unwrap();
    assert_eq!(blobs.partial_bytes(left, &ada), 0);
}
