// SPDX-License-Identifier: Apache-2.0
//! Plays a trace: submissions and ends in the order of their moments, and what the pool lets begin in between.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use sta_decide::pool::{Discipline, Pool, Request, Running};

use crate::trace::Trace;

const MS: u64 = 1000;

/// What became of each job of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// How long each job waited, in seconds, in the order of the trace; `None` for one that wants more processors than there are.
    pub waits_s: Vec<Option<u64>>,
    /// When the last job ended, in seconds since the trace begins.
    pub end_s: u64,
}

/// A job that runs, by its end.
struct Ending {
    at_ms: u64,
    job: Running,
}

impl Ending {
    fn order(&self) -> (u64, u64) {
        (self.at_ms, self.job.sequence())
    }
}

impl Ord for Ending {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Ending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ending {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Ending {}

/// Plays a trace on the processors of one member that shares with nobody.
#[must_use]
pub fn alone(trace: &Trace, processors: u32, discipline: Discipline) -> Played {
    let mut pool = Pool::new(processors, discipline);
    let mut running: BinaryHeap<Reverse<Ending>> = BinaryHeap::new();
    let mut played = Played { waits_s: vec![None; trace.jobs.len()], end_s: 0 };
    let mut coming = (0u32..).zip(&trace.jobs).peekable();
    loop {
        let submitted = coming.peek().map(|(_, job)| job.submit_s * MS);
        let ended = running.peek().map(|Reverse(ending)| ending.at_ms);
        let Some(now_ms) = submitted.into_iter().chain(ended).min() else { return played };
        while running.peek().is_some_and(|Reverse(ending)| ending.at_ms == now_ms) {
            if let Some(Reverse(Ending { job, .. })) = running.pop() {
                pool.end(now_ms, job);
                played.end_s = now_ms / MS;
            }
        }
        while let Some((number, job)) = coming.next_if(|(_, job)| job.submit_s * MS == now_ms) {
            let request = Request {
                job: number,
                processors: job.processors,
                estimate_ms: job.estimate_s * MS,
                group: 0,
            };
            // One that wants more than there is never begins, and its wait stays open.
            let _ = pool.submit(request);
        }
        while let Some(job) = pool.begin(now_ms) {
            let index = job.job() as usize;
            let of_trace = &trace.jobs[index];
            played.waits_s[index] = Some(now_ms / MS - of_trace.submit_s);
            running.push(Reverse(Ending { at_ms: now_ms + of_trace.run_s * MS, job }));
        }
    }
}
