// SPDX-License-Identifier: Apache-2.0
//! Who is served next where tasks want processors, memory and accelerators at once: dominant resource fairness, weighted (Ghodsi et
//! al., "Dominant resource fairness: fair allocation of multiple resource types", NSDI 2011).
//!
//! A claimant's dominant share is the largest part that it holds of any resource, for its weight. Task by task, whoever has the
//! lowest is served, as long as their next task fits. Within a quantum that is fair; across quanta see [`crate::karma`].

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use sta_protocol::treaty::Resources;

/// Someone who wants tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimant<'a> {
    /// What it has contributed, in any unit that is the same for all; who contributed nothing counts as one of it.
    pub weight: u32,
    /// What it holds already.
    pub holds: Resources,
    /// What each of its tasks wants. They are served in this order; one that does not fit holds up those behind it.
    pub tasks: &'a [Resources],
}

/// Who was served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The claimants in the order in which they were served: the second time that one occurs is its second task.
    pub order: Vec<usize>,
    /// What is left over, and too little for the next task of anyone.
    pub free: Resources,
}

/// Serves tasks until no claimant's next one fits into what is left of `capacity`. Ties go to the first in the list: the same claims
/// are served alike everywhere.
#[must_use]
pub fn serve(capacity: Resources, claimants: &[Claimant<'_>]) -> Served {
    let held = claimants.iter().map(|claimant| claimant.holds);
    let mut free = held.fold(capacity, |free, holds| Resources {
        cpu_cores: free.cpu_cores.saturating_sub(holds.cpu_cores),
        memory_bytes: free.memory_bytes.saturating_sub(holds.memory_bytes),
        gpus: free.gpus.saturating_sub(holds.gpus),
    });
    let fits = |task| {
        let left = hand_over(free, task);
        free = left.unwrap_or(free);
        left.is_some()
    };
    let order = alternate(capacity, claimants, fits);
    Served { order, free }
}

/// The order in which all tasks would be served were there room for all of them; shares are parts of `capacity` as in [`serve`].
#[must_use]
pub fn line(capacity: Resources, claimants: &[Claimant<'_>]) -> Vec<usize> {
    alternate(capacity, claimants, |_| true)
}

/// Task by task, whoever has the lowest share is served, as long as their next task fits.
fn alternate(
    capacity: Resources,
    claimants: &[Claimant<'_>],
    mut fits: impl FnMut(Resources) -> bool,
) -> Vec<usize> {
    let mut order = Vec::new();
    let turns = claimants.iter().enumerate().map(|(place, claimant)| {
        Reverse(Turn {
            share: share(claimant.holds, claimant.weight, capacity),
            place,
            holds: claimant.holds,
            served: 0,
        })
    });
    let mut turns: BinaryHeap<Reverse<Turn>> = turns.collect();
    while let Some(Reverse(turn)) = turns.pop() {
        let claimant = &claimants[turn.place];
        // What does not fit now never will, for nothing comes back: whoever wants it is out.
        let Some(task) = claimant.tasks.get(turn.served).copied().filter(|task| fits(*task)) else {
            continue;
        };
        order.push(turn.place);
        let holds = together(turn.holds, task);
        let share = share(holds, claimant.weight, capacity);
        turns.push(Reverse(Turn { share, holds, served: turn.served + 1, ..turn }));
    }
    order
}

/// What is left; nothing where the task does not fit.
fn hand_over(free: Resources, task: Resources) -> Option<Resources> {
    Some(Resources {
        cpu_cores: free.cpu_cores.checked_sub(task.cpu_cores)?,
        memory_bytes: free.memory_bytes.checked_sub(task.memory_bytes)?,
        gpus: free.gpus.checked_sub(task.gpus)?,
    })
}

/// Both. Holding more than there is was possible before; it is as much as can be counted.
fn together(holds: Resources, task: Resources) -> Resources {
    Resources {
        cpu_cores: holds.cpu_cores.saturating_add(task.cpu_cores),
        memory_bytes: holds.memory_bytes.saturating_add(task.memory_bytes),
        gpus: holds.gpus.saturating_add(task.gpus),
    }
}

/// A claimant waiting for its turn; the least is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    share: Share,
    place: usize,
    holds: Resources,
    served: usize,
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.share.cmp(&other.share).then(self.place.cmp(&other.place))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A dominant share for a weight, as an exact fraction.
#[derive(Debug, Clone, Copy)]
struct Share {
    held: u128,
    /// What there is, times the weight: not 0.
    of: u128,
}

fn share(holds: Resources, weight: u32, capacity: Resources) -> Share {
    let weight = u128::from(weight.max(1));
    let part = |held: u64, there: u64| Share { held: u128::from(held), of: u128::from(there) * weight };
    let parts = [
        part(holds.cpu_cores.into(), capacity.cpu_cores.into()),
        part(holds.memory_bytes, capacity.memory_bytes),
        part(holds.gpus.into(), capacity.gpus.into()),
    ];
    // Of what there is nothing of, nobody has a part.
    parts.into_iter().filter(|part| part.of > 0).max().unwrap_or(Share { held: 0, of: 1 })
}

impl Ord for Share {
    /// By whole parts first, then by what is left of each, turned over: products of four such numbers would not fit into 128 bits.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (*self, *other);
        loop {
            let whole = (a.held / a.of).cmp(&(b.held / b.of));
            let left = (a.held % a.of, b.held % b.of);
            match (whole, left) {
                (Ordering::Equal, (0, 0)) => return Ordering::Equal,
                (Ordering::Equal, (0, _)) => return Ordering::Less,
                (Ordering::Equal, (_, 0)) => return Ordering::Greater,
                (Ordering::Equal, (of_a, of_b)) => {
                    (a, b) = (Self { held: b.of, of: of_b }, Self { held: a.of, of: of_a });
                }
                (unequal, _) => return unequal,
            }
        }
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}
