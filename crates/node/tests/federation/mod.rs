// SPDX-License-Identifier: Apache-2.0
//! Three members on a simulated network: a seeded list of operations befalls them, and every promise must hold afterwards.
//!
//! One seed is one run, always the same. Two hundred seeds run with all other tests. Others:
//!
//! ```text
//! STA_SEED=1234     cargo test -p sta-node --test node -- federation::seeds_asked_for --exact --nocapture   # with its trace
//! STA_SEEDS=0..5000 cargo test -p sta-node --test node -- federation::seeds_asked_for --exact --nocapture
//! ```
//!
//! Operations: submit, submit again, cancel, order to stop, lift, crash, restart, cut, heal, delay, duplicate. Each call between members and
//! each call of an engine may succeed, fail, or fail although it was done; calls between members may also arrive twice,
//! or late: after their caller gave up, or once more. Clocks are up to 1.5 s off. Then all is healed, and within fifteen
//! simulated minutes everything must come to rest.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use sta_protocol::digest::Sha256Digest;

mod chance;
mod fixture;
mod machines;
mod network;
mod operations;
mod orders;
mod promises;
mod world;

use world::{World, counted, lock};

/// How long the world may take to come to rest, in simulated seconds.
const REST_S_MAX: u64 = 900;
/// How many seeds run with all other tests.
const SEEDS: u64 = 200;

/// A promise that was not kept.
#[derive(Debug)]
struct Violation(String);

/// What a seed came to.
#[derive(Debug)]
struct Report {
    /// Digest of everything that happened.
    digest: Sha256Digest,
    /// What happened to jobs and calls, in one line.
    summary: String,
}

/// Runs one seed.
fn simulate(seed: u64, prints: bool) -> Result<Report, Violation> {
    let mut world = World::new(seed, prints);
    // Long enough for everybody to have opened their store and their door.
    world.run(1000)?;
    for planned in operations::plan(seed) {
        world.run(planned.after_ms)?;
        world.apply(&planned.operation);
        promises::check_budgets(&world)?;
    }
    world.run(500)?;
    world.calm();
    come_to_rest(&mut world)?;
    let calls = counted(&world.weather.calls());
    let states = promises::check_all(&mut world)?;
    let summary = format!("{}; calls: {calls}", counted(&promises::outcomes(&world)?));
    world.note(&summary);
    let trace = [world.trace(), states].concat().join("\n");
    Ok(Report { digest: Sha256Digest::of(trace.as_bytes()), summary })
}

fn come_to_rest(world: &mut World) -> Result<(), Violation> {
    for _ in 0..REST_S_MAX {
        world.run(1000)?;
        world.lift_all();
        if promises::unrest(world)?.is_empty() {
            // Nothing may happen by itself any more.
            world.run(2000)?;
            world.note("everything is at rest");
            return Ok(());
        }
    }
    Err(Violation(format!("no rest after {REST_S_MAX} s: {}", promises::unrest(world)?.join("; "))))
}

/// Runs seeds in two threads, each seed in one of them, and says which fail.
fn simulate_all(seeds: Range<u64>) {
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end || lock(&failed).len() >= 5 {
                        return;
                    }
                    let outcome = std::panic::catch_unwind(|| simulate(seed, false));
                    let problem = match outcome {
                        Ok(Ok(report)) => {
                            println!("seed {seed}: {}", report.summary);
                            continue;
                        }
                        Ok(Err(Violation(problem))) => problem,
                        Err(_panic) => "a panic, see above".to_owned(),
                    };
                    println!("seed {seed} fails: {problem}");
                    lock(&failed).push(format!("seed {seed}: {problem}"));
                }
            });
        }
    });
    let failed = lock(&failed);
    assert!(failed.is_empty(), "run with STA_SEED=N as the head of this file says:\n{}", failed.join("\n"));
}

#[test]
fn two_hundred_seeds_keep_every_promise() {
    simulate_all(0..SEEDS);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 77] {
        let (first, second) = (simulate(seed, false).unwrap(), simulate(seed, false).unwrap());
        assert_eq!(first.digest, second.digest, "seed {seed}: {} and {}", first.summary, second.summary);
    }
}

#[test]
fn different_seeds_give_different_runs() {
    assert_ne!(simulate(1, false).unwrap().digest, simulate(2, false).unwrap().digest);
}

#[test]
fn seeds_asked_for() {
    if let Ok(seed) = std::env::var("STA_SEED") {
        let report = simulate(seed.parse().expect("STA_SEED is a number"), true);
        let Report { digest, summary } =
            report.unwrap_or_else(|Violation(problem)| panic!("seed {seed}: {problem}"));
        println!("seed {seed} keeps every promise: {summary}; trace {digest}");
    }
    if let Ok(range) = std::env::var("STA_SEEDS") {
        let (first, end) = range.split_once("..").expect("STA_SEEDS is FIRST..END");
        let number = |text: &str| text.parse().expect("STA_SEEDS is two numbers");
        simulate_all(number(first)..number(end));
    }
}
