// SPDX-License-Identifier: Apache-2.0
//! In which order a site serves the members whose guests wait for it.
//!
//! Across quanta [`crate::karma`] says what each member may use in the one under way: more for who lent. Within the quantum that is its
//! weight, and [`crate::drf`] decides task by task who is next. A member that may use nothing is not shut out: it counts as the least
//! that there is, so that what the others leave does not stay idle.

use sta_protocol::treaty::Resources;

use crate::{
    drf::{Claimant, line},
    karma::{Account, Karma, KarmaError},
};

/// A member whose guests run or wait at the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its share and its credits at the beginning of the quantum.
    pub account: Account,
    /// How many slices it wants in the quantum.
    pub demand: u64,
    /// What its guests hold at the site.
    pub holds: Resources,
    /// What each of its tasks wants that wait, in the order in which the member has them.
    pub tasks: &'a [Resources],
}

/// Whose task is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Which member, in their order.
    pub member: usize,
    /// Which of its tasks.
    pub task: usize,
}

/// The order of all tasks that wait at a site of that capacity, where members are guaranteed so many millionths of their shares. A
/// member's tasks keep their order.
///
/// Who holds more for its weight comes after who holds less; of those alike, whoever has most credits for each slice of its share comes
/// first, then the first in the list. One that may use nothing in this quantum and holds nothing has its first task served in turn, and
/// the further ones behind the others'. Whether there is room now changes nothing: what is large would else wait for ever behind what is
/// small, and [`crate::backfill`] lets begin what fits meanwhile.
///
/// # Errors
/// Credits cannot be kept so.
pub fn order(
    capacity: Resources,
    guaranteed_ppm: u32,
    members: &[Member<'_>],
) -> Result<Vec<Turn>, KarmaError> {
    let accounts = members.iter().map(|member| member.account).collect();
    let demands: Vec<u64> = members.iter().map(|member| member.demand).collect();
    let mut karma = Karma::new(guaranteed_ppm, accounts)?;
    let places = karma.order().to_vec();
    let quantum = karma.quantum(&demands)?;
    let allocations: Vec<u64> = quantum.members.iter().map(|outcome| outcome.allocation).collect();
    let weights = weights(&allocations);
    let claimant = |member: &usize| {
        let Member { holds, tasks, .. } = members[*member];
        Claimant { weight: weights[*member], holds, tasks }
    };
    let claimants: Vec<Claimant<'_>> = places.iter().map(claimant).collect();
    let mut next = vec![0; members.len()];
    let turn = |place: usize| {
        let member = places[place];
        next[member] += 1;
        Turn { member, task: next[member] - 1 }
    };
    Ok(line(capacity, &claimants).into_iter().map(turn).collect())
}

/// Weights with the ratios of the allocations, as large as they can be, so that one who has none and counts as 1 is far behind all others.
/// Ratios are exact where the allocations, divided by what they have in common, fit; larger ones are rounded, and none to nothing.
fn weights(allocations: &[u64]) -> Vec<u32> {
    let common = allocations.iter().copied().fold(0, common_divisor).max(1);
    let largest = (allocations.iter().copied().max().unwrap_or(0) / common).max(1);
    let most = u64::from(u32::MAX);
    let weight = |allocation: &u64| {
        let parts = allocation / common;
        let scaled = if largest <= most {
            parts * (most / largest)
        } else {
            let rounded =
                (u128::from(parts) * u128::from(most) + u128::from(largest / 2)) / u128::from(largest);
            u64::try_from(rounded).unwrap_or(most).max(parts.min(1))
        };
        u32::try_from(scaled).unwrap_or(u32::MAX)
    };
    allocations.iter().map(weight).collect()
}

fn common_divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::weights;

    #[test]
    fn weights_keep_the_ratios_of_allocations() {
        let half = u32::MAX / 2;
        assert_eq!(weights(&[2, 1, 0]), [half * 2, half, 0]);
        assert_eq!(weights(&[900_000 << 20, 1_800_000 << 20]), [half, half * 2]);
        assert_eq!(weights(&[7, 7]), [u32::MAX; 2]);
        assert_eq!((weights(&[0, 0]), weights(&[])), (vec![0, 0], Vec::new()));
    }

    #[test]
    fn weights_of_allocations_too_large_to_be_kept_exactly_are_rounded_and_never_to_nothing() {
        assert_eq!(weights(&[1 << 50, (1 << 49) + 1, 1, 0]), [u32::MAX, 1 << 31, 1, 0]);
        assert_eq!(weights(&[u64::MAX, u64::MAX - 2, 1]), [u32::MAX, u32::MAX, 1]);
    }
}
