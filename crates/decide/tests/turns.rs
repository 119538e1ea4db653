// SPDX-License-Identifier: Apache-2.0
//! The order in which a site serves its guests' members: what credits and holdings do to it, and laws over random ones.

use proptest::prelude::*;
use sta_decide::{
    drf::{Claimant, serve},
    karma::{Account, Karma},
    turns::{Member, Turn, order},
};
use sta_protocol::treaty::Resources;

const ALL_PPM: u32 = 1_000_000;
const NOTHING: Resources = Resources { cpu_cores: 0, memory_bytes: 0, gpus: 0 };

fn cores(cpu_cores: u32) -> Resources {
    Resources { cpu_cores, ..NOTHING }
}

/// A member of that share that wants all of it, and so may use it.
fn member(share: u64, tasks: &[Resources]) -> Member<'_> {
    Member { account: Account { share, credits: share }, demand: share, holds: NOTHING, tasks }
}

/// Whose tasks are next.
fn members(capacity: Resources, members: &[Member<'_>]) -> Vec<usize> {
    order(capacity, ALL_PPM, members).unwrap().into_iter().map(|turn| turn.member).collect()
}

#[test]
fn members_that_may_use_as_much_take_turns() {
    let tasks = [cores(1); 3];
    assert_eq!(members(cores(10), &[member(5, &tasks), member(5, &tasks)]), [0, 1, 0, 1, 0, 1]);
}

#[test]
fn who_may_use_twice_as_much_has_two_turns_for_one() {
    let tasks = [cores(1); 6];
    let both = [member(20, &tasks), member(10, &tasks[..3])];
    assert_eq!(members(cores(12), &both), [0, 1, 0, 0, 1, 0, 0, 1, 0]);
}

#[test]
fn shares_in_processor_milliseconds_count_as_their_ratios() {
    let tasks = [cores(1); 6];
    let both = |slices: u64| [member(20 * slices, &tasks), member(10 * slices, &tasks[..3])];
    assert_eq!(order(cores(12), ALL_PPM, &both(1)), order(cores(12), ALL_PPM, &both(900_000 << 10)));
}

#[test]
fn who_lent_before_is_served_more_while_the_others_want_all() {
    // Both contribute ten, and a third ten that it does not want. Who has credits may use these too.
    let tasks = [cores(1); 4];
    let of =
        |credits, demand| Member { account: Account { share: 10, credits }, demand, ..member(10, &tasks) };
    let idle = Member { demand: 0, tasks: &[], ..of(0, 0) };
    assert_eq!(members(cores(20), &[of(0, 20), of(10, 20), idle]), [0, 1, 1, 0, 1, 1, 0, 0]);
}

#[test]
fn who_may_use_nothing_waits_behind_the_others_and_nothing_stays_idle() {
    let tasks = [cores(1); 3];
    let nothing = member(0, &tasks);
    assert_eq!(members(cores(9), &[member(5, &tasks), nothing]), [0, 1, 0, 0, 1, 1]);
    let holding = Member { holds: cores(1), ..nothing };
    assert_eq!(members(cores(9), &[holding, member(5, &tasks)]), [1, 1, 1, 0, 0, 0]);
    assert_eq!(members(cores(9), &[nothing, nothing]), [0, 1, 0, 1, 0, 1], "nobody may use anything");
}

#[test]
fn who_holds_something_waits_until_the_others_have_as_much() {
    let tasks = [cores(1); 3];
    let holding = Member { holds: cores(2), ..member(5, &tasks) };
    assert_eq!(members(cores(10), &[holding, member(5, &tasks)]), [1, 1, 0, 1, 0, 0]);
}

#[test]
fn tasks_without_room_come_behind_those_with_room_in_turns_too() {
    // Of ten cores four are held. The first's second task is too large, the second's third.
    let first = [cores(1), cores(6), cores(1)];
    let second = [cores(2), cores(2), cores(2)];
    let both = [Member { holds: cores(4), ..member(5, &first) }, member(5, &second)];
    let turns: Vec<(usize, usize)> =
        order(cores(10), ALL_PPM, &both).unwrap().into_iter().map(|turn| (turn.member, turn.task)).collect();
    assert_eq!(turns, [(1, 0), (1, 1), (0, 0), (1, 2), (0, 1), (0, 2)]);
}

#[test]
fn tasks_that_the_site_can_never_hold_keep_a_place() {
    let (gpus, tasks) = ([Resources { gpus: 1, ..NOTHING }; 2], [cores(1); 2]);
    assert_eq!(members(cores(1), &[member(5, &gpus), member(5, &tasks)]), [1, 0, 0, 1]);
}

#[test]
fn what_karma_does_not_keep_is_refused() {
    assert!(order(cores(1), ALL_PPM + 1, &[]).is_err());
    assert_eq!(order(cores(1), ALL_PPM, &[]), Ok(Vec::new()));
}

fn resources() -> impl Strategy<Value = Resources> {
    (0u32..6, 0u64..6, 0u32..3).prop_map(|(cpu_cores, memory_bytes, gpus)| Resources {
        cpu_cores,
        memory_bytes,
        gpus,
    })
}

/// Share, credits, demand, what is held and what waits.
type Of = (u64, u64, u64, Resources, Vec<Resources>);

fn all() -> impl Strategy<Value = Vec<Of>> {
    let slices = || prop_oneof![0u64..5, 0u64..1 << 40];
    let tasks = prop::collection::vec(resources(), 0..8);
    prop::collection::vec((slices(), slices(), slices(), resources(), tasks), 0..6)
}

fn given(all: &[Of]) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    for (share, credits, demand, holds, tasks) in all {
        let account = Account { share: *share, credits: *credits };
        members.push(Member { account, demand: *demand, holds: *holds, tasks });
    }
    members
}

proptest! {
    #[test]
    fn every_task_has_one_turn_and_a_members_tasks_keep_their_order(capacity in resources(), ppm in 0u32..=ALL_PPM, all in all()) {
        let turns = order(capacity, ppm, &given(&all)).unwrap();
        for (member, of) in all.iter().enumerate() {
            let own: Vec<usize> = turns.iter().filter(|turn| turn.member == member).map(|turn| turn.task).collect();
            prop_assert_eq!(own, (0..of.4.len()).collect::<Vec<_>>());
        }
        prop_assert_eq!(turns.len(), all.iter().map(|of| of.4.len()).sum::<usize>());
    }

    #[test]
    fn those_for_which_there_is_room_come_first_as_dominant_resource_fairness_serves_them(
        capacity in resources(), all in all(),
    ) {
        // Small shares and some of each wanted: allocations are the weights as they are, many times over.
        let some = |of: Of| (1 + of.0 % 5, of.1, 1 + of.2 % 5, of.3, of.4);
        let all: Vec<Of> = all.into_iter().map(some).collect();
        let members = given(&all);
        let accounts = members.iter().map(|member| member.account).collect();
        let demands: Vec<u64> = members.iter().map(|member| member.demand).collect();
        let quantum = Karma::new(ALL_PPM, accounts).unwrap().quantum(&demands).unwrap();
        let mut claimants = Vec::new();
        for (member, outcome) in members.iter().zip(&quantum.members) {
            let weight = u32::try_from(outcome.allocation).unwrap();
            claimants.push(Claimant { weight, holds: member.holds, tasks: member.tasks });
        }
        let served = serve(capacity, &claimants).order;
        let turns = order(capacity, ALL_PPM, &members).unwrap();
        let first: Vec<usize> = turns.iter().take(served.len()).map(|turn| turn.member).collect();
        prop_assert_eq!(first, served);
    }

    #[test]
    fn members_alike_with_tasks_alike_take_turns(
        count in 1usize..5, each in 0usize..6, share in 1u64..1 << 40, task in 1u32..5, capacity in 1u32..40,
    ) {
        let tasks = vec![cores(task); each];
        let turns = order(cores(capacity), ALL_PPM, &vec![member(share, &tasks); count]).unwrap();
        let expected = (0..each).flat_map(|task| (0..count).map(move |member| Turn { member, task }));
        prop_assert_eq!(turns, expected.collect::<Vec<_>>());
    }
}
