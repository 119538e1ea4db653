// SPDX-License-Identifier: Apache-2.0
//! A rush of submissions: while more of them wait for their answer than the machine has cores, what is done for jobs that have
//! theirs gives way.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread::available_parallelism,
};

/// How many submissions wait for their answer.
#[derive(Debug)]
pub(crate) struct Rush {
    waiting: AtomicUsize,
    cores: usize,
}

/// A submission that waits for its answer, until it is dropped.
#[must_use]
pub(crate) struct Waiting<'a>(&'a AtomicUsize);

impl Rush {
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        Self { waiting: AtomicUsize::new(0), cores }
    }

    /// Counts a submission from its first line to its answer.
    pub(crate) fn enter(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Whether answers compete for the machine: what else is begun now makes each of them later.
    pub(crate) fn is_on(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > self.cores
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rush_is_more_submissions_than_cores_and_ends_with_their_answers() {
        let rush = Rush { waiting: AtomicUsize::new(0), cores: 2 };
        let mut waiting = vec![rush.enter(), rush.enter()];
        assert!(!rush.is_on(), "each has a core");
        waiting.push(rush.enter());
        assert!(rush.is_on());
        waiting.pop();
        assert!(!rush.is_on());
    }
}
