// SPDX-License-Identifier: Apache-2.0
//! The jobs that wait, in the order in which they came, and the first of them that fits a gap: a tournament tree over their places,
//! so that neither a long queue nor many that do not fit make the search long.

use super::Request;

/// A gap before the head's reservation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Processors that are free now.
    pub(super) free: u32,
    /// Processors that stay free when the head has begun: who wants no more may run as long as it likes.
    pub(super) spare: u32,
    /// How long until the head begins: who ends by then may have what is free.
    pub(super) until_head_ms: u64,
}

/// The least that any job below a node of the tree wants, of each measure by itself.
#[derive(Debug, Clone, Copy)]
struct Least {
    processors: u32,
    estimate_ms: u64,
}

/// Below this node nobody waits.
const NOBODY: Least = Least { processors: u32::MAX, estimate_ms: u64::MAX };

impl Least {
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

/// The jobs that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By place; taken ones stay as gaps until the places are used up.
    places: Vec<Option<Request>>,
    /// The first place that is not a gap, or beyond all.
    head: usize,
    length: usize,
    /// The tree over the places as an array: the children of node `n` are `2n` and `2n + 1`, the leaves its second half.
    tree: Vec<Least>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn head(&self) -> Option<Request> {
        self.places.get(self.head).copied().flatten()
    }

    pub(super) fn push(&mut self, request: Request) {
        if self.places.len() == self.tree.len() / 2 {
            self.close_gaps();
        }
        self.places.push(Some(request));
        self.length += 1;
        let least = Least { processors: request.processors, estimate_ms: request.estimate_ms };
        self.set(self.places.len() - 1, least);
    }

    pub(super) fn take_head(&mut self) -> Option<Request> {
        self.take(self.head)
    }

    /// Takes the first that fits. The head itself does not: it wants more than is free.
    pub(super) fn take_first(&mut self, room: Room) -> Option<Request> {
        let place = self.first_below(1, room)?;
        self.take(place)
    }

    fn take(&mut self, place: usize) -> Option<Request> {
        let request = self.places.get_mut(place)?.take()?;
        self.length -= 1;
        self.set(place, NOBODY);
        while self.places.get(self.head).is_some_and(Option::is_none) {
            self.head += 1;
        }
        Some(request)
    }

    fn first_below(&self, node: usize, room: Room) -> Option<usize> {
        if !self.tree.get(node)?.may_fit(room) {
            return None;
        }
        let leaves = self.tree.len() / 2;
        if node >= leaves {
            return Some(node - leaves);
        }
        self.first_below(2 * node, room).or_else(|| self.first_below(2 * node + 1, room))
    }

    fn set(&mut self, place: usize, least: Least) {
        let mut node = place + self.tree.len() / 2;
        self.tree[node] = least;
        while node > 1 {
            node /= 2;
            self.tree[node] = Least::of(self.tree[2 * node], self.tree[2 * node + 1]);
        }
    }

    /// Moves all to the first places, in a tree that has room for as many again.
    fn close_gaps(&mut self) {
        let leaves = (2 * self.length).next_power_of_two().max(16);
        let all = std::mem::take(&mut self.places);
        self.places = Vec::with_capacity(leaves);
        self.tree = vec![NOBODY; 2 * leaves];
        (self.head, self.length) = (0, 0);
        for request in all.into_iter().flatten() {
            self.push(request);
        }
    }
}
