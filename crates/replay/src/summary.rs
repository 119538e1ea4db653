// SPDX-License-Identifier: Apache-2.0
//! How long the jobs of a played trace waited, and how busy its processors were.

use serde::Serialize;

use crate::{play::Played, trace::Trace};

/// Waits in seconds and use, as the report gives them: rounded to two places.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many jobs ran.
    pub jobs: u64,
    /// How many want more processors than there are and never began; none of the other figures has them.
    pub too_large: u64,
    /// The mean wait.
    pub wait_mean_s: f64,
    /// No more than half of the jobs waited longer.
    pub wait_p50_s: u64,
    /// No more than 5 of 100 waited longer.
    pub wait_p95_s: u64,
    /// No more than 1 of 100 waited longer.
    pub wait_p99_s: u64,
    /// The longest wait.
    pub wait_max_s: u64,
    /// From the first submission to the last end, in seconds.
    pub span_s: u64,
    /// Processor time of the jobs, in hours.
    pub processor_hours: f64,
    /// Part of the processors that was busy over that span, in percent.
    pub busy_percent: f64,
}

impl Summary {
    /// Adds up.
    #[must_use]
    pub fn of(trace: &Trace, played: &Played, processors: u32) -> Self {
        let ran = || trace.jobs.iter().zip(&played.waits_s).filter_map(|(job, wait)| Some((job, (*wait)?)));
        let mut waits: Vec<u64> = ran().map(|(_, wait)| wait).collect();
        waits.sort_unstable();
        let total: u128 = waits.iter().map(|wait| u128::from(*wait)).sum();
        let busy: u128 = ran().map(|(job, _)| u128::from(job.run_s) * u128::from(job.processors)).sum();
        let first = trace.jobs.first().map_or(0, |job| job.submit_s);
        let span_s = played.end_s.saturating_sub(first);
        let offered = u128::from(span_s) * u128::from(processors);
        Self {
            jobs: waits.len() as u64,
            too_large: (trace.jobs.len() - waits.len()) as u64,
            wait_mean_s: hundredths(total, waits.len() as u128),
            wait_p50_s: percentile(&waits, 50),
            wait_p95_s: percentile(&waits, 95),
            wait_p99_s: percentile(&waits, 99),
            wait_max_s: waits.last().copied().unwrap_or(0),
            span_s,
            processor_hours: hundredths(busy, 3600),
            busy_percent: hundredths(100 * busy, offered),
        }
    }
}

/// The nearest rank: the smallest wait that at least so many of a hundred do not exceed.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

/// A quotient, rounded to two places in whole numbers, so that it is the same on every machine.
pub(crate) fn hundredths(dividend: u128, divisor: u128) -> f64 {
    let rounded = (200 * dividend + divisor).checked_div(2 * divisor).unwrap_or(0);
    rounded as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::{hundredths, percentile};

    #[test]
    fn a_percentile_is_a_wait_that_some_job_had() {
        let waits: Vec<u64> = (1..=10).collect();
        assert_eq!([50, 95, 99].map(|percent| percentile(&waits, percent)), [5, 10, 10]);
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn quotients_are_rounded_to_two_places_and_nothing_by_nothing_is_nothing() {
        assert_eq!([hundredths(2, 3), hundredths(1, 200), hundredths(0, 0)], [0.67, 0.01, 0.0]);
    }
}
