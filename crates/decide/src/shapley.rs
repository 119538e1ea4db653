// SPDX-License-Identifier: Apache-2.0
//! Splits the cost of a coalition among its members by their Shapley values (Shapley, "A value for n-person games", 1953): each
//! bears the mean of what it adds to those before it, over all orders in which the members could join.
//!
//! Exact: costs are whole, the orders are counted, and only at the end is each part rounded down, what is left being given out one by
//! one by the largest remainder, then by the place in the list. The parts make the cost of all, to the last digit.

use std::cmp::Reverse;

/// The most members: there are 1024 coalitions of them.
pub const MEMBERS_MAX: usize = 10;

/// Why nothing can be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShapleyError {
    /// Nobody, or more coalitions than are worth replaying.
    #[error("a cost is split among 1 to {MEMBERS_MAX} members, not among {0}: let some join as one")]
    Members(usize),
    /// Not one cost for each coalition.
    #[error(
        "{given} costs were given for the {coalitions} coalitions of {members} members: give one for each, that of nobody first, at \
         the place whose bits are its members"
    )]
    Table {
        /// How many costs.
        given: usize,
        /// How many members.
        members: usize,
        /// How many coalitions they can form.
        coalitions: usize,
    },
    /// A coalition of nobody that costs something.
    #[error("nobody costs {0}: give 0 for the coalition of no members")]
    Nobody(i64),
    /// Costs so far from each other that a part is beyond 64 bits.
    #[error("the part of member {0} does not fit into 64 bits: give costs in larger units")]
    Part(usize),
}

/// What each member bears of the cost of all, in the same whole units, in the order of the members.
///
/// `costs` has a cost for each coalition, at the place whose bits are its members: 0 is nobody, 1 the first, 2 the second, 3 both.
/// Costs may be below 0, and so may parts. The part of each member is its exact value, up or down by less than 1.
///
/// # Errors
/// There are too many members, or not one cost for each coalition, nobody costs something, or a part is beyond 64 bits.
pub fn split(members: usize, costs: &[i64]) -> Result<Vec<i64>, ShapleyError> {
    if members == 0 || members > MEMBERS_MAX {
        return Err(ShapleyError::Members(members));
    }
    let coalitions = 1 << members;
    if costs.len() != coalitions {
        return Err(ShapleyError::Table { given: costs.len(), members, coalitions });
    }
    if costs[0] != 0 {
        return Err(ShapleyError::Nobody(costs[0]));
    }
    let orders = factorial(members);
    let values: Vec<i128> = (0..members).map(|member| value_in_orders(member, members, costs)).collect();
    let mut parts: Vec<i128> = values.iter().map(|value| value.div_euclid(orders)).collect();
    // The values make the cost of all, `orders` times, so that fewer units are left than there are members.
    let left = i128::from(costs[coalitions - 1]) - parts.iter().sum::<i128>();
    let mut by_remainder: Vec<usize> = (0..members).collect();
    by_remainder.sort_by_key(|member| (Reverse(values[*member].rem_euclid(orders)), *member));
    for member in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        parts[member] += 1;
    }
    let fit = |(member, part)| i64::try_from(part).map_err(|_| ShapleyError::Part(member));
    parts.into_iter().enumerate().map(fit).collect()
}

/// The sum of what a member adds to those before it, over all orders: its value times their number, at most 10! times 2^65.
fn value_in_orders(member: usize, members: usize, costs: &[i64]) -> i128 {
    let alone = 1 << member;
    let without = (0..costs.len()).filter(|coalition| coalition & alone == 0);
    without
        .map(|coalition| {
            let before = coalition.count_ones() as usize;
            let orders = factorial(before) * factorial(members - before - 1);
            orders * (i128::from(costs[coalition | alone]) - i128::from(costs[coalition]))
        })
        .sum()
}

fn factorial(number: usize) -> i128 {
    (1..=number as i128).product()
}
