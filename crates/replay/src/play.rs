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

/// When a job ends that runs. What ends at one moment does so in any order: nobody begins in between.
struct End {
    at_ms: u64,
    /// Where it is kept.
    seat: usize,
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at_ms.cmp(&other.at_ms)
    }
}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        self.at_ms == other.at_ms
    }
}

impl Eq for End {}

/// The jobs that run. What is sorted is small, and they stay where they are.
#[derive(Default)]
struct Ends {
    next: BinaryHeap<Reverse<End>>,
    jobs: Vec<Option<Running>>,
    /// Where in `jobs` is none.
    spare: Vec<usize>,
}

impl Ends {
    fn next_ms(&self) -> Option<u64> {
        self.next.peek().map(|Reverse(end)| end.at_ms)
    }

    fn push(&mut self, at_ms: u64, job: Running) {
        let seat = self.spare.pop().unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() - 1
        });
        self.jobs[seat] = Some(job);
        self.next.push(Reverse(End { at_ms, seat }));
    }

    /// A job that ends at a moment, if one does.
    fn pop(&mut self, now_ms: u64) -> Option<Running> {
        if self.next_ms()? != now_ms {
            return None;
        }
        let Reverse(End { seat, .. }) = self.next.pop()?;
        self.spare.push(seat);
        self.jobs[seat].take()
    }
}

/// Plays a trace on the processors of one member that shares with nobody.
#[must_use]
pub fn alone(trace: &Trace, processors: u32, discipline: Discipline) -> Played {
    let mut pool = Pool::new(processors, discipline);
    let mut ends = Ends::default();
    let mut played = Played { waits_s: vec![None; trace.jobs.len()], end_s: 0 };
    let mut coming = (0u32..).zip(&trace.jobs).peekable();
    loop {
        let submitted = coming.peek().map(|(_, job)| job.submit_s * MS);
        let Some(now_ms) = submitted.into_iter().chain(ends.next_ms()).min() else { return played };
        while let Some(job) = ends.pop(now_ms) {
            pool.end(now_ms, job);
            played.end_s = now_ms / MS;
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
            ends.push(now_ms + of_trace.run_s * MS, job);
        }
    }
}
