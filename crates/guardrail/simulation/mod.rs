// SPDX-License-Identifier: Apache-2.0
//! Simulated worlds for tests, examples and benches: the paper's exploding bandit, and requests with factors.

#![allow(dead_code, reason = "each program uses its part")]

pub(crate) mod bandit;
pub(crate) mod bandit_reference;
pub(crate) mod estimate;
pub(crate) mod world;

use std::{num::NonZero, thread};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Runs each number through the function on all processors; the results come back in the order of the
/// numbers, whatever the number of processors. Each number has its own stream of the generator.
pub(crate) fn for_each<Out: Send>(
    count: usize,
    seed: u64,
    run: impl Fn(&mut ChaCha8Rng) -> Out + Sync,
) -> Vec<Out> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(count.max(1));
    let share = count.div_ceil(workers);
    let one = |number: usize| {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(number as u64);
        run(&mut generator)
    };
    thread::scope(|scope| {
        let shares: Vec<_> = (0..workers)
            .map(|worker| (worker * share).min(count)..((worker + 1) * share).min(count))
            .map(|numbers| scope.spawn(|| numbers.map(&one).collect::<Vec<Out>>()))
            .collect();
        shares.into_iter().flat_map(|share| share.join().expect("a worker that did not panic")).collect()
    })
}
