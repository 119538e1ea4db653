// SPDX-License-Identifier: Apache-2.0
//! The audit log as anybody reads it, and this node as the witness of others' logs.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Request, StatusCode};
use sta_audit::{
    key::VerifierKey,
    tile::tiles_for_size,
    verify::{LogFiles, verify_log},
};

use sta_node::store::audit::PendingEntry;

use crate::harness::{Answer, World, spec};

/// A log that was fetched over HTTP.
struct Fetched(BTreeMap<String, Vec<u8>>);

impl LogFiles for Fetched {
    type Error = std::convert::Infallible;

    fn read(&self, path: &str, _bytes_max: usize) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.0.get(path).cloned())
    }
}

async fn witnessed_world() -> (World, u64) {
    let world = World::open().await;
    // More than one full tile of entries.
    let at = world.ca.node.outside.now();
    let entry =
        PendingEntry { kind: "test.entry", subject: "test".to_owned(), payload: serde_json::json!({}), at };
    let write = world.ca.node.store.write(move |tx| {
        (0..260).for_each(|_| tx.audit(entry.clone()));
        Ok(())
    });
    write.await.unwrap();
    world.run();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let size = world.ca.get("", "/v1/node").await.ok()["log"]["size_witnessed"].as_u64().unwrap();
    (world, size)
}

#[tokio::test(start_paused = true)]
async fn the_log_verifies_from_what_is_served_and_the_treatys_keys_alone() {
    let (world, _) = witnessed_world().await;
    let checkpoint = world.ca.get("", "/audit/checkpoint").await;
    let size: u64 = checkpoint.text().lines().nth(1).unwrap().parse().unwrap();
    assert!(size > 256, "{size}");
    let mut files = BTreeMap::from([("checkpoint".to_owned(), checkpoint.body.to_vec())]);
    for tile in tiles_for_size(size) {
        let answer = world.ca.get("", &format!("/audit/{tile}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{tile}");
        assert_eq!(answer.header("cache-control").contains("immutable"), !tile.is_partial(), "{tile}");
        files.insert(tile.to_string(), answer.body.to_vec());
    }
    let key = |text: &str| text.parse::<VerifierKey>().unwrap();
    let log_key = key(&world.ca.node.own_terms().keys.log);
    let witnesses: Vec<_> = world.ca.node.peers().map(|member| key(&member.keys.witness)).collect();
    let report = verify_log(&Fetched(files), &log_key, &witnesses, 2).unwrap();
    assert_eq!((report.size, report.witnesses.len()), (size, 2));
}

#[tokio::test(start_paused = true)]
async fn a_tile_that_the_log_does_not_have_is_not_found() {
    let (world, _) = witnessed_world().await;
    for path in ["0/999", "0/000.p/0", "8/000", "0/1", "entries/001.p/255", "..", "0/000.p/256"] {
        let answer = world.ca.get("", &format!("/audit/tile/{path}")).await;
        assert_eq!(
            (answer.status, answer.rule().as_deref()),
            (StatusCode::NOT_FOUND, Some("REQ-001")),
            "{path}"
        );
    }
}

async fn add_checkpoint(world: &World, body: String) -> Answer {
    world.de.send(Request::post("/witness/add-checkpoint").body(Body::from(body)).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn the_witness_answers_with_the_status_codes_of_tlog_witness() {
    let world = World::open().await;
    let checkpoint = world.ca.get("", "/audit/checkpoint").await.text();
    let size = checkpoint.lines().nth(1).unwrap().to_owned();
    let signed = add_checkpoint(&world, format!("old 0\n\n{checkpoint}")).await;
    assert_eq!(signed.status, StatusCode::OK, "{}", signed.text());
    assert!(signed.text().starts_with("— node.de.example/log/witness "), "{}", signed.text());
    let conflict = add_checkpoint(&world, format!("old 0\n\n{checkpoint}")).await;
    assert_eq!((conflict.status.as_u16(), conflict.header("content-type")), (409, "text/x.tlog.size"));
    assert_eq!(conflict.text(), format!("{size}\n"));
    let again = add_checkpoint(&world, format!("old {size}\n\n{checkpoint}")).await;
    assert_eq!(again.status, StatusCode::OK);
    let too_old = add_checkpoint(&world, format!("old 999\n\n{checkpoint}")).await;
    assert_eq!(too_old.status, StatusCode::BAD_REQUEST);
    assert_eq!(add_checkpoint(&world, "nothing".to_owned()).await.status, StatusCode::BAD_REQUEST);
    let unknown = checkpoint.replace("node.ca.example", "node.xx.example");
    assert_eq!(add_checkpoint(&world, format!("old 0\n\n{unknown}")).await.status, StatusCode::NOT_FOUND);
    let own = world.de.get("", "/audit/checkpoint").await.text();
    assert_eq!(add_checkpoint(&world, format!("old 0\n\n{own}")).await.status, StatusCode::NOT_FOUND);
    let forged = checkpoint.replace(&format!("\n{size}\n"), "\n1000\n");
    assert_eq!(add_checkpoint(&world, format!("old {size}\n\n{forged}")).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_without_the_proof_that_the_log_only_grew_is_not_cosigned() {
    let world = World::open().await;
    let first = world.ca.get("", "/audit/checkpoint").await.text();
    let old = first.lines().nth(1).unwrap().to_owned();
    add_checkpoint(&world, format!("old 0\n\n{first}")).await;
    world.ca.submit("ada", &spec()).await.ok();
    let second = world.ca.get("", "/audit/checkpoint").await.text();
    let answer = add_checkpoint(&world, format!("old {old}\n\n{second}")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
}
