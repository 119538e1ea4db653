// SPDX-License-Identifier: Apache-2.0
//! Dominant resource fairness: the properties that the paper proves, to within the size of single tasks, and its plain definition.

use proptest::prelude::*;
use sta_decide::drf::{Claimant, Served, serve};
use sta_protocol::treaty::Resources;

fn resources(cpu_cores: u32, memory_bytes: u64, gpus: u32) -> Resources {
    Resources { cpu_cores, memory_bytes, gpus }
}

fn parts(of: Resources) -> [u64; 3] {
    [of.cpu_cores.into(), of.memory_bytes, of.gpus.into()]
}

/// Small numbers, so that ties are frequent.
fn small(max: u32) -> impl Strategy<Value = Resources> {
    (0..=max, 0..=u64::from(max), 0..=max).prop_map(|(cores, memory, gpus)| resources(cores, memory, gpus))
}

/// What a claimant of the tests claims: its weight, what it holds, its tasks.
type Claim = (u32, Resources, Vec<Resources>);

fn claims() -> impl Strategy<Value = Vec<Claim>> {
    prop::collection::vec((0u32..5, small(3), prop::collection::vec(small(6), 0..12)), 1..6)
}

fn served(capacity: Resources, claims: &[Claim]) -> Served {
    let claimants: Vec<Claimant<'_>> = claims
        .iter()
        .map(|(weight, holds, tasks)| Claimant { weight: *weight, holds: *holds, tasks })
        .collect();
    serve(capacity, &claimants)
}

/// The definition, looked up anew for each task.
fn by_definition(capacity: Resources, claims: &[Claim]) -> Vec<usize> {
    let capacity = parts(capacity);
    let mut holds: Vec<[u64; 3]> = claims.iter().map(|claim| parts(claim.1)).collect();
    let mut free = capacity;
    for held in &holds {
        free = [0, 1, 2].map(|r| free[r].saturating_sub(held[r]));
    }
    let mut next = vec![0; claims.len()];
    let mut order = Vec::new();
    loop {
        let mut best: Option<(usize, u64, u64)> = None;
        for (place, (weight, _, tasks)) in claims.iter().enumerate() {
            let Some(task) = tasks.get(next[place]).map(|task| parts(*task)) else { continue };
            if (0..3).any(|r| task[r] > free[r]) {
                continue;
            }
            let weight = u64::from((*weight).max(1));
            let (mut held, mut of) = (0, 1);
            for r in (0..3).filter(|r| capacity[*r] > 0) {
                if holds[place][r] * of > held * capacity[r] {
                    (held, of) = (holds[place][r], capacity[r]);
                }
            }
            if best.is_none_or(|(_, least, of_least)| held * of_least < least * of * weight) {
                best = Some((place, held, of * weight));
            }
        }
        let Some((place, _, _)) = best else { return order };
        let task = parts(claims[place].2[next[place]]);
        for r in 0..3 {
            free[r] -= task[r];
            holds[place][r] += task[r];
        }
        next[place] += 1;
        order.push(place);
    }
}

/// Claims of one kind of task each, small before the capacity, of which there are more than can be served.
const CAPACITY: Resources = Resources { cpu_cores: 1000, memory_bytes: 4_000_000_000_000, gpus: 500 };

fn alike() -> impl Strategy<Value = Vec<Claim>> {
    let task = (0u32..8, 0u64..30_000_000_000, 0u32..4)
        .prop_filter("wants something", |task| *task != (0, 0, 0))
        .prop_map(|(cores, memory, gpus)| resources(cores, memory, gpus));
    let claim = (1u32..6, task, prop_oneof![Just(2000usize), 0usize..300])
        .prop_map(|(weight, task, count)| (weight, Resources::default(), vec![task; count]));
    prop::collection::vec(claim, 1..6)
}

/// The dominant share of one of a claimant's tasks.
fn dominant(task: Resources) -> f64 {
    let capacity = parts(CAPACITY);
    (0..3).map(|r| parts(task)[r] as f64 / capacity[r] as f64).fold(0.0, f64::max)
}

/// Each claimant's tasks that ran, and whether all did.
fn counts(served: &Served, claims: &[Claim]) -> Vec<(f64, bool)> {
    let count = |place: usize| served.order.iter().filter(|other| **other == place).count();
    claims
        .iter()
        .enumerate()
        .map(|(place, claim)| (count(place) as f64, count(place) == claim.2.len()))
        .collect()
}

proptest! {
    #[test]
    fn whoever_has_least_for_its_weight_and_fits_is_next(capacity in small(40), claims in claims()) {
        prop_assert_eq!(served(capacity, &claims).order, by_definition(capacity, &claims));
    }

    #[test]
    fn nothing_that_is_next_and_fits_is_left_and_nothing_is_given_twice(capacity in small(40), claims in claims()) {
        let served = served(capacity, &claims);
        let mut free = parts(capacity);
        for (_, holds, _) in &claims {
            free = [0, 1, 2].map(|r| free[r].saturating_sub(parts(*holds)[r]));
        }
        let mut next = vec![0; claims.len()];
        for place in &served.order {
            free = [0, 1, 2].map(|r| free[r] - parts(claims[*place].2[next[*place]])[r]);
            next[*place] += 1;
        }
        prop_assert_eq!(parts(served.free), free);
        for ((_, _, tasks), next) in claims.iter().zip(next) {
            prop_assert!(tasks.get(next).is_none_or(|task| (0..3).any(|r| parts(*task)[r] > free[r])));
        }
    }

    #[test]
    fn everyone_has_at_least_their_part_of_all_to_within_one_task_of_each(claims in alike()) {
        let served = served(CAPACITY, &claims);
        let weights: f64 = claims.iter().map(|claim| f64::from(claim.0)).sum();
        let tasks: f64 = claims.iter().filter_map(|claim| claim.2.first()).map(|task| dominant(*task)).sum();
        for ((ran, all), (weight, _, wanted)) in counts(&served, &claims).into_iter().zip(&claims) {
            let share = wanted.first().map_or(0.0, |task| ran * dominant(*task));
            let own = f64::from(*weight) / weights;
            prop_assert!(all || share > own * (1.0 - tasks) - 1e-9, "{} of {}", share, own);
        }
    }

    #[test]
    fn nobody_would_run_more_with_what_another_has_for_its_weight_to_within_one_task(claims in alike()) {
        let served = served(CAPACITY, &claims);
        let counts = counts(&served, &claims);
        for (own, (ran, all)) in claims.iter().zip(&counts) {
            for (other, (others, _)) in claims.iter().zip(&counts) {
                let (Some(task), Some(theirs)) = (own.2.first(), other.2.first()) else { continue };
                let (task_parts, their_parts) = (parts(*task), parts(*theirs));
                let wanted = (0..3).filter(|r| task_parts[*r] > 0);
                let with_theirs =
                    wanted.map(|r| others * their_parts[r] as f64 / task_parts[r] as f64).fold(f64::INFINITY, f64::min);
                let ratio = f64::from(own.0) / f64::from(other.0);
                let within = ratio * (dominant(*theirs) / dominant(*task) + 1.0);
                prop_assert!(*all || ratio * with_theirs <= ran + within + 1e-6, "{} and {}", ran, with_theirs);
            }
        }
    }
}

#[test]
fn the_example_of_the_paper_comes_out_as_in_the_paper() {
    // 9 cores and 18 GB; tasks of 1 core with 4 GB, and of 3 cores with 1 GB: three of the first and two of the second.
    let (first, second) = (vec![resources(1, 4, 0); 9], vec![resources(3, 1, 0); 9]);
    let claims = |weights: [u32; 2]| {
        let claim = |weight, tasks: &Vec<Resources>| (weight, Resources::default(), tasks.clone());
        [claim(weights[0], &first), claim(weights[1], &second)]
    };
    let even = served(resources(9, 18, 0), &claims([1, 1]));
    assert_eq!(even.order, [0, 1, 0, 1, 0]);
    assert_eq!(even.free, resources(0, 4, 0));
    let weighted = served(resources(9, 18, 0), &claims([1, 4])).order;
    assert_eq!(weighted, [0, 1, 1, 0, 0], "of the second no third fits");
}

#[test]
fn who_holds_something_already_waits_until_the_others_have_as_much() {
    let tasks = vec![resources(1, 0, 0); 9];
    let claims = [(1, resources(4, 0, 0), tasks.clone()), (1, Resources::default(), tasks)];
    assert_eq!(served(resources(10, 0, 0), &claims).order, [1, 1, 1, 1, 0, 1]);
}

#[test]
fn shares_too_close_for_floating_point_are_told_apart() {
    let large = u64::MAX - 1;
    // The second holds one byte less than half.
    let claims = [
        (u32::MAX, resources(0, large / 2, 0), vec![resources(0, 1, 0); 3]),
        (u32::MAX, resources(0, large / 2 - 1, 0), vec![resources(0, 1, 0); 3]),
    ];
    let served = served(resources(0, large, 0), &claims);
    assert_eq!((served.order, served.free), (vec![1], Resources::default()));
}
