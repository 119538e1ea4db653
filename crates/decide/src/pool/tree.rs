// SPDX-License-Identifier: Apache-2.0
//! A tournament tree over places: the first of them that fits a gap. Neither a long queue nor many that do not fit make the search long, but
//! where wide short jobs and narrow long ones alternate: a node knows the least of each measure, and not of both at once.

use super::Request;

/// A gap into which a job may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Processors that are free now.
    pub free: u32,
    /// Processors that stay free when the head has begun: who wants no more may run as long as it likes.
    pub spare: u32,
    /// How long until the head begins: who ends by then may have what is free.
    pub until_head_ms: u64,
}

impl Room {
    /// So many processors, for as long as one likes.
    #[must_use]
    pub fn open(free: u32) -> Self {
        Self { free, spare: free, until_head_ms: u64::MAX }
    }

    /// Whether a job fits.
    #[must_use]
    pub fn fits(self, request: Request) -> bool {
        let Request { processors, estimate_ms, .. } = request;
        Least { processors, estimate_ms }.may_fit(self)
    }

    /// Whether whoever fits into this fits into the other.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.free <= other.free && self.spare <= other.spare && self.until_head_ms <= other.until_head_ms
    }
}

/// The least that any job below a node of the tree wants, of each measure by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Least {
    pub(super) processors: u32,
    pub(super) estimate_ms: u64,
}

impl Least {
    /// Below this node nobody waits.
    pub(super) const NOBODY: Self = Self { processors: u32::MAX, estimate_ms: u64::MAX };

    /// Whether a job below may fit. At a leaf, where both measures are of one job, it does.
    fn may_fit(self, room: Room) -> bool {
        self.processors <= room.free
            && (self.processors <= room.spare || self.estimate_ms <= room.until_head_ms)
    }

    fn of(left: Self, right: Self) -> Self {
        Self {
            processors: left.processors.min(right.processors),
            estimate_ms: left.estimate_ms.min(right.estimate_ms),
        }
    }
}

/// The tree as an array: the children of node `n` are `2n` and `2n + 1`, the leaves its second half.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Least>,
    /// So many places are in it, the first ones. Who begins before anybody searches never comes in.
    filled: usize,
}

impl Tree {
    /// For so many places, a power of two, of which none is in it yet.
    pub(super) fn over(places: usize) -> Self {
        Self { nodes: vec![Least::NOBODY; 2 * places], filled: 0 }
    }

    pub(super) fn places(&self) -> usize {
        self.nodes.len() / 2
    }

    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Who stands at the places behind those that are in it.
    pub(super) fn fill(&mut self, places: impl ExactSizeIterator<Item = Least>) {
        let mut from = self.places() + self.filled;
        let mut to = from + places.len();
        self.filled += places.len();
        for (leaf, least) in self.nodes[from..to].iter_mut().zip(places) {
            *leaf = least;
        }
        while from > 1 {
            (from, to) = (from / 2, to.div_ceil(2));
            for node in from..to {
                self.nodes[node] = Least::of(self.nodes[2 * node], self.nodes[2 * node + 1]);
            }
        }
    }

    /// Who stands at a place from now on, if it is in the tree.
    pub(super) fn set(&mut self, place: usize, least: Least) {
        if place >= self.filled {
            return;
        }
        let mut node = place + self.places();
        self.nodes[node] = least;
        while node > 1 {
            node /= 2;
            let above = Least::of(self.nodes[2 * node], self.nodes[2 * node + 1]);
            // Nothing higher up changes either.
            if self.nodes[node] == above {
                return;
            }
            self.nodes[node] = above;
        }
    }

    /// The first place from this one on whose job fits.
    pub(super) fn first(&self, place: usize, room: Room) -> Option<usize> {
        if !self.nodes.get(1)?.may_fit(room) {
            return None;
        }
        let leaves = self.places();
        // The largest part of the tree that begins with the place.
        let mut node = place + leaves;
        node >>= node.trailing_zeros();
        loop {
            if !self.nodes[node].may_fit(room) {
                // Its neighbour to the right; of one that has no sibling there, that of the first ancestor that has.
                node += 1;
                node >>= node.trailing_zeros();
                if node == 1 {
                    return None;
                }
            } else if node < leaves {
                node *= 2;
            } else {
                return Some(node - leaves);
            }
        }
    }
}
