// SPDX-License-Identifier: Apache-2.0
//! When the processors that are held are to be free, by the estimates of what runs.

/// So many moments are looked at before the later ones.
const NEXT: usize = 8;

/// Held processors, by the moment at which they are to be free.
///
/// A sorted list and no tree. Who ends is mostly at its end or close to it, and few move for one who comes. A B-tree catches up where one
/// site has some hundred thousand processors.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Each moment once, the last one first.
    moments: Vec<(u64, u32)>,
}

impl Ends {
    /// So many processors more are to be free at a moment.
    pub(super) fn add(&mut self, at_ms: u64, processors: u32) {
        let place = self.place(at_ms);
        match self.moments.get_mut(place) {
            Some((same_ms, held)) if *same_ms == at_ms => *held += processors,
            Some(_) | None => self.moments.insert(place, (at_ms, processors)),
        }
    }

    /// So many of them have been given back.
    pub(super) fn remove(&mut self, at_ms: u64, processors: u32) {
        let place = match self.moments.last() {
            Some((first_ms, _)) if *first_ms == at_ms => self.moments.len() - 1,
            Some(_) | None => self.place(at_ms),
        };
        let Some((_, held)) = self.moments.get_mut(place).filter(|(same_ms, _)| *same_ms == at_ms) else {
            return;
        };
        *held -= processors;
        if *held == 0 {
            self.moments.remove(place);
        }
    }

    /// From the first moment on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.moments.iter().rev().copied()
    }

    /// Where a moment is, or would be. Most jobs are short: it is looked for among the next moments first.
    fn place(&self, at_ms: u64) -> usize {
        let places = self.moments.len();
        let (mut to, mut next) = (places, NEXT);
        while let Some(from) = places.checked_sub(next)
            && self.moments[from].0 <= at_ms
        {
            (to, next) = (from, 4 * next);
        }
        let from = places.saturating_sub(next);
        from + self.moments[from..to].partition_point(|(later_ms, _)| *later_ms > at_ms)
    }
}
