// SPDX-License-Identifier: Apache-2.0
//! The order in which a site serves its guests' members: what credits and holdings do to it, and laws over random ones.

use proptest::prelude::*;
use sta_decide::{
    drf::{Claimant, line},
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
    assert_eq!(members(cores(20), &[of(0, 20), of(10, 20), idle]), [1, 0, 1, 1, 0, 1, 0, 0]);
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
fn a_large_task_keeps_its_turn_where_only_small_ones_have_room() {
    // Of ten cores four are held, and the first's task wants all ten.
    let (large, small) = ([cores(10)], [cores(1); 3]);
    let holding = Member { holds: cores(4), ..member(5, &small) };
    assert_eq!(members(cores(10), &[holding, member(5, &large)]), [1, 0, 0, 0]);
}

#[test]
fn of_those_alike_whoever_has_most_credits_for_its_share_comes_first() {
    let task = [cores(1)];
    let of = |share, credits| Member { account: Account { share, credits }, ..member(share, &task) };
    assert_eq!(members(cores(9), &[of(4, 7), of(2, 4), of(2, 3)]), [1, 0, 2]);
}

#[test]
fn tasks_of_what_the_site_has_nothing_of_have_turns_and_count_as_nothing() {
    let (gpus, tasks) = ([Resources { gpus: 1, ..NOTHING }; 2], [cores(1); 2]);
    assert_eq!(members(cores(1), &[member(5, &gpus), member(5, &tasks)]), [0, 0, 1, 1]);
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
    fn what_each_may_use_is_its_weight_in_the_line_of_dominant_resource_fairness(capacity in resources(), all in all()) {
        // Small shares and some of each wanted: allocations are the weights as they are, many times over.
        let some = |of: Of| (1 + of.0 % 5, of.1, 1 + of.2 % 5, of.3, of.4);
        let all: Vec<Of> = all.into_iter().map(some).collect();
        let members = given(&all);
        let demands: Vec<u64> = members.iter().map(|member| member.demand).collect();
        let mut karma = Karma::new(ALL_PPM, members.iter().map(|member| member.account).collect()).unwrap();
        let places = karma.order().to_vec();
        let quantum = karma.quantum(&demands).unwrap();
        let mut claimants = Vec::new();
        for place in &places {
            let weight = u32::try_from(quantum.members[*place].allocation).unwrap();
            claimants.push(Claimant { weight, holds: members[*place].holds, tasks: members[*place].tasks });
        }
        let expected: Vec<usize> = line(capacity, &claimants).into_iter().map(|place| places[place]).collect();
        let turns = order(capacity, ALL_PPM, &members).unwrap();
        prop_assert_eq!(turns.into_iter().map(|turn| turn.member).collect::<Vec<_>>(), expected);
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
