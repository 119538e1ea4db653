// SPDX-License-Identifier: Apache-2.0
//! The running federation over the embedded engine: a burst of the owner has guests leave within the grace time, they go on from
//! what they saved, and nothing is lost. In real time, with real processes.

use std::time::{Duration, Instant};

use serde_json::Value;
use sta_protocol::{
    job::{Checkpoint, JobSpec},
    treaty::Sharing,
};

use crate::harness::{TestNode, World, spec};

/// How long a guest has to save its work.
const GRACE: Duration = Duration::from_secs(2);
/// What may pass beside it until the owner's jobs run, on a machine that is busy with other tests.
const BESIDE: Duration = Duration::from_secs(30);

fn shell(name: &str, cpu_cores: u32, script: &str, outputs: &[&str]) -> JobSpec {
    JobSpec {
        name: name.to_owned(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        cpu_cores,
        memory_bytes: 64 << 20,
        outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
        sites_allowed: vec!["juelich".parse().unwrap()],
        ..spec()
    }
}

/// A guest that counts in a file, saves the file when it has to leave, and goes on from it.
fn counting() -> JobSpec {
    let script = "trap 'cp counted $STA_CHECKPOINT_DIR/counted; exit 75' TERM
        cp $STA_CHECKPOINT_DIR/counted . 2>/dev/null; i=$(cat counted 2>/dev/null | wc -l)
        while [ $i -lt 100 ]; do i=$((i + 1)); echo $i >> counted; sleep 0.1; done";
    let checkpoint = Some(Checkpoint { on_signal: true, every_s: None });
    JobSpec { checkpoint, ..shell("counting", 19, script, &["counted"]) }
}

async fn submitted(node: &TestNode, spec: &JobSpec) -> String {
    node.submit("ada", spec).await.ok()["id"].as_str().unwrap().to_owned()
}

fn kinds(job: &Value) -> Vec<&str> {
    job["attempts"].as_array().unwrap().iter().map(|ended| ended["exit"]["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_burst_of_the_owner_reclaims_guests_within_the_grace_time_and_nothing_is_lost() {
    let grace_s = u32::try_from(GRACE.as_secs()).unwrap();
    let world =
        World::on_this_machine(|treaty| treaty.sharing = Some(Sharing { grace_s, ..Sharing::default() }))
            .await;
    world.run();
    // One guest saves its work; the other hears nothing, and does all of it again.
    let saving = submitted(&world.ca, &counting()).await;
    let deaf =
        shell("deaf", 19, "trap '' TERM; for i in 1 2 3 4 5 6; do sleep 1; done; echo all > work", &["work"]);
    let deaf = submitted(&world.ca, &deaf).await;
    for guest in [&saving, &deaf] {
        world.ca.wait_for("ada", guest, "running").await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let burst = Instant::now();
    let mut owners = Vec::new();
    for _ in 0..3 {
        owners.push(submitted(&world.de, &shell("burst", 32, "sleep 8; echo done > out", &["out"])).await);
    }
    for owner in &owners {
        world.de.wait_for("ada", owner, "running").await;
    }
    let waited = burst.elapsed();
    assert!(waited < GRACE + BESIDE, "{waited:?}");
    for guest in [&saving, &deaf] {
        let told = world.ca.wait_for("ada", guest, "admitted").await;
        assert_eq!(kinds(&told), ["reclaimed"], "{told}");
        assert!(told["waiting_for"].as_str().unwrap().contains("whose owner needed its place"), "{told}");
    }
    for owner in &owners {
        assert_eq!(kinds(&world.de.wait_for("ada", owner, "completed").await), ["code"]);
    }
    let done = [
        world.ca.wait_for("ada", &saving, "completed").await,
        world.ca.wait_for("ada", &deaf, "completed").await,
    ];
    assert!(done.iter().all(|job| kinds(job) == ["reclaimed", "code"]), "{done:?}");
    let output = |job: &str, name: &str| format!("/v1/jobs/{job}/outputs/{name}");
    let counted = world.ca.get("ada", &output(&saving, "counted")).await.text();
    let all: String = (1..=100).map(|number| format!("{number}\n")).collect();
    assert_eq!(counted, all, "nothing is lost and nothing is repeated");
    assert_eq!(world.ca.get("ada", &output(&deaf, "work")).await.text(), "all\n");
    assert_eq!(world.ca.stands_as_replayed().await.len(), 2);
    assert_eq!(world.de.stands_as_replayed().await.len(), 3);
    let taken_ms = world.ca.stands_as_beside(&world.de).await;
    assert!(
        taken_ms >= 19 * 17_000,
        "nineteen cores for ten seconds and for six, and a second before: {taken_ms}"
    );
    println!("the owner's three jobs ran {waited:?} after the burst, with a grace of {GRACE:?}");
}
