// SPDX-License-Identifier: Apache-2.0
//! Who pays what when the surplus of a pool is shared: every coalition of members is played, and the cost of all is split by Shapley
//! values.

use std::sync::atomic::{AtomicUsize, Ordering};

use sta_decide::shapley::{self, MEMBERS_MAX};

use super::{
    StudyError,
    run::{Plan, Run, run},
};
use crate::report::Bill;

/// The bill of each member, without the pool and with it; none where there are more members than coalitions can be played for.
///
/// Of a single member and of all the runs are there already. Where everything would be rented without the pool, a coalition that
/// does not own is no coalition: its members pay the rent.
pub(super) fn coalitions(
    plan: &Plan,
    [without, with]: [&Run; 2],
    price: u64,
    rented: bool,
) -> Result<Vec<Bill>, StudyError> {
    let members = plan.scenario.members.len();
    if members > MEMBERS_MAX {
        return Ok(Vec::new());
    }
    let all: usize = 1 << members;
    let missing: Vec<usize> =
        (1..all - 1).filter(|coalition| coalition.count_ones() > 1 && !rented).collect();
    let cost = |coalition: usize| {
        let set = coalition as u64;
        let cost = match (rented, coalition == all - 1) {
            (_, true) => with.cost(set, price),
            (true, false) => without.rented(set, price),
            // Of several it is known once they were played; of nobody it is nothing.
            (false, false) => without.cost(set, price),
        };
        cost.total_micro()
    };
    let mut costs: Vec<i64> = (0..all).map(cost).collect();
    for (coalition, cost) in played(plan, &missing, price)? {
        costs[coalition] = cost;
    }
    let shares = shapley::split(members, &costs).map_err(StudyError::Bills)?;
    let bill = |((member, of), with_micro): ((usize, &crate::scenario::Member), i64)| Bill {
        member: of.id.clone(),
        without_micro: costs[1 << member],
        with_micro,
    };
    Ok(plan.scenario.members.iter().enumerate().zip(shares).map(bill).collect())
}

/// What coalitions cost, played on all processors of this machine.
fn played(plan: &Plan, coalitions: &[usize], price: u64) -> Result<Vec<(usize, i64)>, StudyError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(coalition) = coalitions.get(next.fetch_add(1, Ordering::Relaxed)) {
            let set = *coalition as u64;
            done.push((*coalition, run(plan, set)?.cost(set, price).total_micro()));
        }
        Ok(done)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(coalitions.len());
    let parts: Vec<Result<Vec<_>, StudyError>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().map(join).collect()
    });
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}
