// SPDX-License-Identifier: Apache-2.0
//! The split of a common cost: Shapley's axioms over random costs, and the mean over every order to compare with.

use proptest::prelude::*;
use sta_decide::shapley::{MEMBERS_MAX, ShapleyError, split};

/// Random costs of every coalition of that many members; that of nobody is 0.
fn costs(members: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = (usize, Vec<i64>)> {
    members.prop_flat_map(|members| {
        let cost = prop_oneof![-1000i64..1000, -1_000_000_000_000i64..1_000_000_000_000];
        prop::collection::vec(cost, 1 << members).prop_map(move |mut costs| {
            costs[0] = 0;
            (members, costs)
        })
    })
}

/// The orders in which these members can join.
fn orders(members: &[usize]) -> Vec<Vec<usize>> {
    if members.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |first: &usize| {
        let rest: Vec<usize> = members.iter().copied().filter(|member| member != first).collect();
        orders(&rest).into_iter().map(|rest| [vec![*first], rest].concat()).collect::<Vec<_>>()
    };
    members.iter().flat_map(with_first).collect()
}

/// What each adds to those before it, summed over all orders, and how many orders there are.
fn by_orders(members: usize, costs: &[i64]) -> (Vec<i128>, i128) {
    let orders = orders(&(0..members).collect::<Vec<_>>());
    let mut sums = vec![0; members];
    for order in &orders {
        let mut coalition = 0;
        for member in order {
            let with = coalition | 1 << member;
            sums[*member] += i128::from(costs[with]) - i128::from(costs[coalition]);
            coalition = with;
        }
    }
    (sums, orders.len() as i128)
}

/// The same costs with two members exchanged.
fn exchanged(costs: &[i64], a: usize, b: usize) -> Vec<i64> {
    let of = |coalition: usize| {
        let (in_a, in_b) = (coalition >> a & 1, coalition >> b & 1);
        costs[coalition & !(1 << a) & !(1 << b) | in_a << b | in_b << a]
    };
    (0..costs.len()).map(of).collect()
}

proptest! {
    #[test]
    fn parts_make_the_cost_of_all_and_are_the_mean_over_all_orders((members, costs) in costs(1..=5)) {
        let parts = split(members, &costs).unwrap();
        prop_assert_eq!(parts.iter().sum::<i64>(), *costs.last().unwrap());
        let (sums, orders) = by_orders(members, &costs);
        for (part, sum) in parts.iter().zip(sums) {
            prop_assert!((i128::from(*part) * orders - sum).abs() < orders, "{} is not {}/{}", part, sum, orders);
        }
    }

    #[test]
    fn members_that_add_the_same_bear_the_same_but_for_the_last_unit((members, costs) in costs(2..=5)) {
        let other = exchanged(&costs, 0, 1);
        let alike: Vec<i64> = costs.iter().zip(&other).map(|(a, b)| a / 2 + b / 2).collect();
        let parts = split(members, &alike).unwrap();
        prop_assert!(parts[0] - parts[1] == 0 || parts[0] - parts[1] == 1, "{:?}: the first has the odd one", parts);
    }

    #[test]
    fn who_adds_its_own_cost_to_every_coalition_bears_exactly_that(
        (members, costs) in costs(1..=4), own in -1_000_000i64..1_000_000,
    ) {
        let with: Vec<i64> = costs.iter().map(|cost| cost + own).collect();
        let parts = split(members + 1, &[costs.clone(), with].concat()).unwrap();
        prop_assert_eq!(parts[members], own);
        prop_assert_eq!(&parts[..members], split(members, &costs).unwrap());
    }

    #[test]
    fn parts_of_two_costs_are_parts_of_their_sum((members, first) in costs(4..=4), (_, second) in costs(4..=4)) {
        // Multiples of 4! have parts without remainders.
        let whole = |costs: &[i64]| costs.iter().map(|cost| cost * 24).collect::<Vec<i64>>();
        let (first, second) = (whole(&first), whole(&second));
        let sum: Vec<i64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
        let [first, second] = [first, second].map(|costs| split(members, &costs).unwrap());
        let added: Vec<i64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
        prop_assert_eq!(split(members, &sum).unwrap(), added);
    }

    #[test]
    fn two_members_split_what_they_save_in_halves(a in 0i64..1_000_000, b in 0i64..1_000_000, saved in 0i64..1000) {
        let parts = split(2, &[0, a, b, a + b - 2 * saved]).unwrap();
        prop_assert_eq!(parts, [a - saved, b - saved]);
    }
}

#[test]
fn what_is_left_goes_to_the_largest_remainder_and_then_to_the_first() {
    // Three members alike, of whom each bears a third of 100.
    assert_eq!(split(3, &[0, 0, 0, 0, 0, 0, 0, 100]), Ok(vec![34, 33, 33]));
    assert_eq!(split(3, &[0, 0, 0, 0, 0, 0, 0, -100]), Ok(vec![-33, -33, -34]));
    // 1/6, 1/6 and 4/6 of one.
    assert_eq!(split(3, &[0, 0, 0, 0, 0, 1, 1, 1]), Ok(vec![0, 0, 1]));
    assert_eq!(split(1, &[0, -7]), Ok(vec![-7]));
}

#[test]
fn the_most_members_there_may_be_are_split_among() {
    let coalitions = 1usize << MEMBERS_MAX;
    let costs: Vec<i64> = (0..coalitions).map(|coalition| i64::from(coalition.count_ones()).pow(2)).collect();
    assert_eq!(split(MEMBERS_MAX, &costs), Ok(vec![10; 10]));
}

#[test]
fn what_cannot_be_split_is_told_with_what_to_do() {
    let said = |result: Result<Vec<i64>, ShapleyError>| result.unwrap_err().to_string();
    assert_eq!(
        said(split(0, &[0])),
        "a cost is split among 1 to 10 members, not among 0: let some join as one"
    );
    assert_eq!(
        said(split(11, &[0])),
        "a cost is split among 1 to 10 members, not among 11: let some join as one"
    );
    assert_eq!(
        said(split(2, &[0, 1, 2])),
        "3 costs were given for the 4 coalitions of 2 members: give one for each, that of nobody first, at the place whose bits \
         are its members"
    );
    assert_eq!(said(split(1, &[5, 1])), "nobody costs 5: give 0 for the coalition of no members");
    assert_eq!(
        said(split(2, &[0, i64::MAX, i64::MIN, i64::MAX])),
        "the part of member 0 does not fit into 64 bits: give costs in larger units"
    );
}
