// SPDX-License-Identifier: Apache-2.0
//! Who knows the digest of a file that is on a node for somebody else is not given it: not by an upload that sends nothing, not as an input,
//! not at another member's site, not as a result, and not as what a job saved.

use std::os::unix::fs::MetadataExt;

use axum::body::Body;
use http::{Method, Request, header};
use serde_json::{Value, json};
use sta_node::{
    keys::Keys,
    steps::disk,
    store::{
        LogKeys, Store, WriterMode, outbox,
        possessions::{self, Party},
    },
};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    ids::JobId,
    job::{InputFile, JobSpec},
};

use crate::harness::{Answer, TestNode, World, spec, token};

const SECRET: &[u8] = b"what only one of them has";

async fn put(node: &TestNode, person: &str, sha256: Sha256Digest, range: &str, bytes: &[u8]) -> Answer {
    let mut request = Request::put(format!("/v1/blobs/{sha256}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", token(person)));
    if !range.is_empty() {
        request = request.header(header::CONTENT_RANGE, range);
    }
    node.send(request.body(Body::from(bytes.to_vec())).unwrap()).await
}

async fn have(node: &TestNode, person: &str, sha256: Sha256Digest) -> (u16, String) {
    let answer = node.ask(person, Method::HEAD, &format!("/v1/blobs/{sha256}"), None).await;
    (answer.status.as_u16(), answer.header("sta-have").to_owned())
}

fn input(bytes: &[u8]) -> InputFile {
    InputFile {
        name: "mine.bin".to_owned(),
        sha256: Sha256Digest::of(bytes),
        bytes: bytes.len() as u64,
        class: Class::Open,
    }
}

/// A job at Jülich that reads this.
fn reads(input: InputFile) -> JobSpec {
    JobSpec { inputs: vec![input], sites_allowed: vec!["juelich".parse().unwrap()], ..spec() }
}

fn problem(answer: &Answer) -> (u16, String) {
    let problem = answer.json()["reasons"][0]["facts"]["problem"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), problem)
}

#[tokio::test(start_paused = true)]
async fn a_file_of_another_person_is_neither_seen_nor_named_nor_finished() {
    let world = World::open().await;
    let (node, sha256) = (&world.ca, Sha256Digest::of(SECRET));
    let all_but_one = SECRET.len() - 1;
    let begun = format!("bytes 0-{}/{}", all_but_one - 1, SECRET.len());
    assert_eq!(put(node, "stella", sha256, &begun, &SECRET[..all_but_one]).await.status, 202);
    // What Stella has sent of it is not gone on with.
    assert_eq!(have(node, "ada", sha256).await, (404, "0".to_owned()));
    let rest = format!("bytes {all_but_one}-{all_but_one}/{}", SECRET.len());
    assert_eq!(put(node, "ada", sha256, &rest, &SECRET[all_but_one..]).await.status, 409);
    assert_eq!(put(node, "stella", sha256, &rest, &SECRET[all_but_one..]).await.status, 201);
    // Nor what is here whole: it looks as if it were not.
    assert_eq!(have(node, "stella", sha256).await, (200, SECRET.len().to_string()));
    assert_eq!(have(node, "ada", sha256).await, (404, "0".to_owned()));
    let close = format!("bytes */{}", SECRET.len());
    assert_eq!(put(node, "ada", sha256, &close, b"").await.status, 409);
    assert_eq!(put(node, "ada", sha256, "", b"a guess").await.rule().as_deref(), Some("REQ-002"));
    let named = node.submit("ada", &reads(input(SECRET))).await;
    let missing = Sha256Digest::of(b"what nobody has");
    let unknown = node.submit("ada", &reads(input(b"what nobody has"))).await;
    let said = |sha256| (400, format!("`mine.bin` with SHA-256 {sha256} has not been uploaded"));
    assert_eq!((problem(&named), problem(&unknown)), (said(sha256), said(missing)), "in the same words");
    // Who has it sends it, and it is hers too.
    assert_eq!(put(node, "ada", sha256, "", SECRET).await.status, 201);
    assert_eq!(have(node, "ada", sha256).await.0, 200);
    assert_eq!(node.submit("ada", &reads(input(SECRET))).await.status, 201);
}

/// Why the host has not staged a job yet.
async fn why_waiting(world: &World, job: &Value) -> String {
    let id: JobId = job["id"].as_str().unwrap().parse().unwrap();
    let last_error = |node: &sta_node::node::Node| {
        node.store.read(|connection| outbox::last_error(connection, id)).unwrap()
    };
    world.de.until("it cannot be staged", |node| last_error(node).is_some()).await;
    last_error(&world.de.node).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_home_that_names_a_file_of_the_host_has_to_send_it() {
    let world = World::open().await;
    let sha256 = world.de.upload("stella", SECRET).await;
    // Canada says that its researcher has brought it, and has other bytes under that name.
    let path = world.ca.node.blobs.path(sha256);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, vec![0; SECRET.len()]).unwrap();
    let ada = Party::Person("ada".parse().unwrap());
    disk::note_possession(&world.ca.node, sha256, ada).await.unwrap();
    let submitted = world.ca.submit("ada", &reads(input(SECRET))).await.ok();
    world.run();
    let why = why_waiting(&world, &submitted).await;
    assert!(why.contains("`ca`") && why.contains(&sha256.to_string()), "{why}");
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(world.de.engine.taken(), [], "it never reads what Canada does not have");
    assert_eq!(std::fs::read(world.de.node.blobs.path(sha256)).unwrap(), SECRET, "and that stays as it is");
    // Once it has it, it is sent, once, and the file here is still Stella's.
    std::fs::write(&path, SECRET).unwrap();
    world.ca.wait_for("ada", submitted["id"].as_str().unwrap(), "completed").await;
    let fetched = world.de.node.metrics.file_bytes_fetched.get();
    world.ca.finished("ada", &reads(input(SECRET))).await;
    assert_eq!(world.de.node.metrics.file_bytes_fetched.get(), fetched, "a second job finds it there");
    assert_eq!(have(&world.de, "stella", sha256).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn what_one_member_has_sent_of_a_file_is_not_gone_on_with_by_another() {
    let world = World::open().await;
    let (blobs, sha256) = (&world.de.node.blobs, Sha256Digest::of(SECRET));
    let [ca, fr] = ["ca", "fr"].map(|member| Party::Member(member.parse().unwrap()));
    let arrival = blobs.arrive(sha256, SECRET.len() as u64, &ca).unwrap();
    arrival.put(0, SECRET.into(), sha256).unwrap();
    drop(arrival);
    assert_eq!(blobs.arrive(sha256, SECRET.len() as u64, &fr).unwrap().missing(), [0]);
    assert_eq!(blobs.arrive(sha256, SECRET.len() as u64, &ca).unwrap().missing(), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_an_engine_left_is_not_taken_for_a_file_that_is_here() {
    let world = World::open().await;
    let (sha256, blobs) = (world.ca.upload("stella", SECRET).await, &world.ca.node.blobs);
    let left = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(left.path(), b"a guess").unwrap();
    let error = blobs.adopt(left.path(), sha256).unwrap_err().to_string();
    let got = Sha256Digest::of(b"a guess");
    assert_eq!(
        error,
        format!("the bytes have SHA-256 {got}, not {sha256}: send the file again from the beginning")
    );
    std::fs::write(left.path(), SECRET).unwrap();
    blobs.adopt(left.path(), sha256).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_result_comes_from_its_host_and_is_then_its_researchers() {
    let world = World::open().await;
    // What the job will print is at its home for somebody else.
    let sha256 = world.ca.upload("stella", b"a model").await;
    world.run();
    let at_juelich = JobSpec { sites_allowed: vec!["juelich".parse().unwrap()], ..spec() };
    let done = world.ca.finished("ada", &at_juelich).await;
    world.ca.until("it is fetched", |node| node.metrics.file_bytes_fetched.get() == 7).await;
    let path = format!("/v1/jobs/{}", done["id"].as_str().unwrap());
    let told = world.ca.get("ada", &path).await.ok();
    assert_eq!(told["outputs"][0]["here"], true, "{told}");
    assert_eq!(world.ca.get("ada", &format!("{path}/outputs/model.json")).await.text(), "a model");
    // The next job reads it, here and where it came from, and nobody sends it again.
    let result = InputFile { bytes: 7, sha256, ..input(b"") };
    assert_eq!(have(&world.ca, "ada", sha256).await.0, 200);
    world.ca.finished("ada", &reads(result)).await;
    assert_eq!(world.de.node.metrics.file_bytes_fetched.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_result_at_home_is_its_researchers() {
    let world = World::open().await;
    world.run();
    let at_home = JobSpec { sites_allowed: vec!["quebec-hydro".parse().unwrap()], ..spec() };
    let done = world.ca.finished("ada", &at_home).await;
    let sha256: Sha256Digest = done["outputs"][0]["sha256"].as_str().unwrap().parse().unwrap();
    assert_eq!((have(&world.ca, "ada", sha256).await.0, have(&world.ca, "eve", sha256).await.0), (200, 404));
}

/// Has a steward release what a job over health data left in Jülich, and says whether Canada had it before and has it then.
async fn released(outputs_weights: Vec<String>) -> [bool; 2] {
    let world = World::open().await;
    let visa = world.hospital().await;
    world.run();
    let over = JobSpec {
        datasets: vec!["de/hospital".parse().unwrap()],
        sites_allowed: vec!["juelich".parse().unwrap()],
        outputs_weights,
        ..spec()
    };
    let body = world.ca.submission("ada", world.ca.job_id(), &over, &[visa]).await;
    let job = world.ca.post("ada", "/v1/jobs", &body).await.ok();
    let done = world.ca.wait_for("ada", job["id"].as_str().unwrap(), "completed").await;
    let sha256: Sha256Digest = done["outputs"][0]["sha256"].as_str().unwrap().parse().unwrap();
    assert!(world.de.node.blobs.has(sha256));
    let is_given = || world.de.node.has_for(sha256, &Party::Member(world.ca.id().clone())).unwrap();
    let before = is_given();
    let release = json!({"class": "open", "reason": "a mean of thousands"});
    let path = format!("/v1/hosted/{}/outputs/model.json/release", done["id"].as_str().unwrap());
    assert_eq!(world.de.post("stella", &path, &release).await.status, 200);
    [before, is_given()]
}

#[tokio::test(start_paused = true)]
async fn a_held_result_is_its_homes_once_it_is_released() {
    assert_eq!(released(Vec::new()).await, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn weights_that_a_steward_releases_are_still_their_gates() {
    assert_eq!(released(vec!["model.json".to_owned()]).await, [false, false]);
}

#[tokio::test(start_paused = true)]
async fn who_knows_the_digest_of_a_file_does_not_keep_it_there_nor_put_another_in_its_place() {
    let world = World::open().await;
    let (node, sha256) = (&world.ca, world.ca.upload("stella", SECRET).await);
    let uploaded_at = || {
        let sql = "SELECT uploaded_at FROM blobs_passing WHERE sha256 = ?1";
        let at = |store: &rusqlite::Connection| {
            store.query_row(sql, [sha256.to_string()], |row| row.get::<_, i64>(0)).unwrap()
        };
        node.node.store.read(|store| Ok(at(store))).unwrap()
    };
    let inode = || std::fs::metadata(node.node.blobs.path(sha256)).unwrap().ino();
    let (first_at, first_inode) = (uploaded_at(), inode());
    tokio::time::advance(std::time::Duration::from_secs(3600)).await;
    assert_eq!(have(node, "ada", sha256).await.0, 404);
    assert_eq!(put(node, "ada", sha256, "", b"a guess").await.status, 400);
    assert_eq!((uploaded_at(), inode()), (first_at, first_inode));
    assert_eq!(put(node, "ada", sha256, "", SECRET).await.status, 201);
    assert!(uploaded_at() > first_at, "it waits for her job now");
    assert_eq!(inode(), first_inode, "and is the file that was here");
    assert_eq!(std::fs::read_dir(node.node.config.directory.join("blobs/partial")).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_has_a_file_is_forgotten_with_it() {
    let world = World::open().await;
    let sha256 = world.ca.upload("ada", SECRET).await;
    let ada = Party::Person("ada".parse().unwrap());
    assert!(world.ca.node.has_for(sha256, &ada).unwrap());
    world.run();
    tokio::time::advance(std::time::Duration::from_secs(9 * 24 * 3600)).await;
    world.ca.until("it is gone", |node| !node.blobs.has(sha256)).await;
    // The same bytes come from somebody else.
    world.ca.upload("stella", SECRET).await;
    assert!(!world.ca.node.has_for(sha256, &ada).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_store_of_an_earlier_version_knows_from_its_receipts_what_hosts_have_sent() {
    let world = World::open().await;
    world.run();
    let at_juelich = JobSpec { sites_allowed: vec!["juelich".parse().unwrap()], ..spec() };
    let done = world.ca.finished("ada", &at_juelich).await;
    let sha256: Sha256Digest = done["outputs"][0]["sha256"].as_str().unwrap().parse().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let own = &world.ca.node.config.directory;
    let file = copy.path().join("node.sqlite");
    let store = rusqlite::Connection::open(own.join("node.sqlite")).unwrap();
    store.execute("VACUUM INTO ?1", [file.to_str().unwrap()]).unwrap();
    let earlier = rusqlite::Connection::open(&file).unwrap();
    earlier.execute_batch("DROP TABLE possessions; PRAGMA user_version = 12;").unwrap();
    drop(earlier);
    let keys = LogKeys { signer: Keys::load_log(&own.join("keys")).unwrap() };
    let chance = world.ca.node.outside.chance.clone();
    let store = Store::open(copy.path(), keys, chance, WriterMode::Simulated).unwrap();
    let has = |member: &str| {
        let party = Party::Member(member.parse().unwrap());
        store.read(|connection| possessions::is_noted(connection, sha256, &party)).unwrap()
    };
    assert_eq!([has("de"), has("fr")], [true, false]);
    store.stop();
}
