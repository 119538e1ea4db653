// SPDX-License-Identifier: Apache-2.0
//! Chance and time of the simulation: everything that happens follows from one seed.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sta_node::outside::{Chance, Clock};

/// When every simulation begins: in the middle of a month, so that all of its receipts fall into one period.
pub(super) fn beginning() -> Timestamp {
    "2026-11-14T10:00:00Z".parse().expect("a time as RFC 3339 has it")
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, fast, the same on every machine.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// A stream of its own for each purpose, so that a change in one place does not shift all the others.
    pub(super) fn of(seed: u64, purpose: &str) -> Self {
        let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(purpose.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end`, without it.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).expect("less than a usize")
    }

    /// From `first` to `last`, with both.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.next() % (last - first + 1)
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub(super) fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

/// A node's random bytes; its stream goes on over crashes, so that no id is made twice.
pub(super) struct SeededChance(Mutex<Random>);

impl SeededChance {
    pub(super) fn new(random: Random) -> Self {
        Self(Mutex::new(random))
    }
}

impl Chance for SeededChance {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(buffer);
    }
}

/// A member's clock: the simulation's time, and how far this clock is off.
#[derive(Debug, Clone, Copy)]
pub(super) struct SimClock {
    pub(super) skew_ms: i64,
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let elapsed = turmoil::sim_elapsed().expect("a node runs within the simulation only");
        let elapsed_ms = i64::try_from(elapsed.as_millis()).expect("a simulation ends before that");
        beginning() + SignedDuration::from_millis(elapsed_ms + self.skew_ms)
    }
}
