// SPDX-License-Identifier: Apache-2.0
//! Waits of any number of jobs in bounded memory.

use serde::Serialize;

use crate::summary::hundredths;

/// Bits by which waits of one power of two are told apart: what is said of one is no more than 1/128 above it.
const BITS: u32 = 7;
const PARTS: u64 = 1 << BITS;

/// How often each wait was, to 1/128 of it.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    jobs: u64,
    total_ms: u128,
    longest_ms: u64,
}

/// How long jobs waited, in seconds. Means and the longest are exact, the others no less than they were and no more than 1/128 above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Waits {
    /// How many jobs ran.
    pub jobs: u64,
    /// The mean wait.
    pub mean_s: f64,
    /// No more than half of the jobs waited longer.
    pub p50_s: f64,
    /// No more than 5 of 100 waited longer.
    pub p95_s: f64,
    /// No more than 1 of 100 waited longer.
    pub p99_s: f64,
    /// The longest wait.
    pub max_s: f64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; place(u64::MAX) + 1], jobs: 0, total_ms: 0, longest_ms: 0 }
    }

    pub(super) fn add(&mut self, wait_ms: u64) {
        self.counts[place(wait_ms)] += 1;
        self.jobs += 1;
        self.total_ms += u128::from(wait_ms);
        self.longest_ms = self.longest_ms.max(wait_ms);
    }

    pub(super) fn waits(&self) -> Waits {
        let seconds = |ms: u64| hundredths(ms.into(), 1000);
        Waits {
            jobs: self.jobs,
            mean_s: hundredths(self.total_ms, 1000 * u128::from(self.jobs)),
            p50_s: seconds(self.percentile_ms(50)),
            p95_s: seconds(self.percentile_ms(95)),
            p99_s: seconds(self.percentile_ms(99)),
            max_s: seconds(self.longest_ms),
        }
    }

    /// The nearest rank, as [`crate::summary`] has it.
    fn percentile_ms(&self, percent: u64) -> u64 {
        let rank = (u128::from(self.jobs) * u128::from(percent)).div_ceil(100).max(1);
        let mut before = 0;
        for (place, count) in self.counts.iter().enumerate() {
            before += u128::from(*count);
            if before >= rank {
                return last_of(place).min(self.longest_ms);
            }
        }
        0
    }
}

/// Below 128 each millisecond has a place, above that each 128th of a power of two.
fn place(wait_ms: u64) -> usize {
    let octave = (64 - wait_ms.leading_zeros()).saturating_sub(BITS + 1);
    (u64::from(octave) * PARTS + (wait_ms >> octave)) as usize
}

/// The longest wait that has a place.
fn last_of(place: usize) -> u64 {
    let place = place as u64;
    let octave = (place / PARTS).saturating_sub(1);
    let part = place - octave * PARTS;
    (((u128::from(part) + 1) << octave) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::{Histogram, PARTS, last_of, place};

    #[test]
    fn every_wait_has_a_place_that_tells_it_to_a_128th() {
        let mut before = None;
        for wait_ms in (0..5000).chain((13..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]))
        {
            let (at, last_ms) = (place(wait_ms), last_of(place(wait_ms)));
            assert!(before <= Some(at), "{wait_ms}");
            assert!(last_ms >= wait_ms && last_ms - wait_ms <= wait_ms / PARTS, "{wait_ms} and {last_ms}");
            before = Some(at);
        }
        assert_eq!(last_of(place(u64::MAX)), u64::MAX);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_waits_to_a_128th() {
        let mut histogram = Histogram::new();
        (1..=1000u64).rev().for_each(|wait_s| histogram.add(wait_s * 1000));
        let waits = histogram.waits();
        assert_eq!((waits.jobs, waits.mean_s, waits.max_s), (1000, 500.5, 1000.0));
        for (said, exact) in [(waits.p50_s, 500.0), (waits.p95_s, 950.0), (waits.p99_s, 990.0)] {
            assert!(said >= exact && said <= exact * (1.0 + 1.0 / 128.0), "{said} and {exact}");
        }
        assert_eq!(Histogram::new().waits().p99_s, 0.0);
    }
}
