// SPDX-License-Identifier: Apache-2.0
//! How far away the other members are: the shortest time in which each has answered a short call since this node's start. What
//! is under way with a member is sized by it, because a long line is only full with more on it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sta_protocol::ids::MemberId;

/// The longest answer that says how long the line is, and not how wide.
pub(super) const SHORT_BYTES_MAX: usize = 16 << 10;

/// The shortest answer times, by member.
#[derive(Debug, Default)]
pub(crate) struct Distances(Mutex<BTreeMap<MemberId, Duration>>);

impl Distances {
    /// Takes note of a short call that was answered.
    pub(super) fn note(&self, member: &MemberId, took: Duration) {
        let mut distances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match distances.get_mut(member) {
            Some(shortest) => *shortest = took.min(*shortest),
            None => drop(distances.insert(member.clone(), took)),
        }
    }

    /// How long it takes at least until a member answers; nothing is known of one that never has.
    pub(crate) fn of(&self, member: &MemberId) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(member).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_answer_tells_the_distance() {
        let (distances, near, far) = (Distances::default(), "de".parse().unwrap(), "ca".parse().unwrap());
        assert_eq!(distances.of(&near), None);
        for (member, ms) in [(&near, 9), (&near, 3), (&near, 500), (&far, 90)] {
            distances.note(member, Duration::from_millis(ms));
        }
        assert_eq!(distances.of(&near), Some(Duration::from_millis(3)));
        assert_eq!(distances.of(&far), Some(Duration::from_millis(90)));
    }
}
