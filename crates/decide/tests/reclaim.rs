// SPDX-License-Identifier: Apache-2.0
//! Which guests leave for an owner's job: the youngest, as many as needed, none in vain.

use proptest::prelude::*;
use sta_decide::reclaim::{Guest, choose};
use sta_protocol::{ids::JobId, treaty::Resources};

fn cores(cpu_cores: u32) -> Resources {
    Resources { cpu_cores, memory_bytes: 0, gpus: 0 }
}

/// A guest that holds so much and began so late.
fn guest(number: u64, holds: Resources, began_ms: i64) -> Guest {
    Guest { job: JobId::new(number, [0; 10]), holds, began_ms, leaves: false }
}

fn numbers(chosen: Option<Vec<JobId>>) -> Option<Vec<u64>> {
    let number = |job: JobId| (1..100).find(|number| JobId::new(*number, [0; 10]) == job).unwrap_or(0);
    chosen.map(|jobs| jobs.into_iter().map(number).collect())
}

#[test]
fn the_youngest_leave_first_and_no_more_than_needed() {
    let guests = [guest(1, cores(2), 100), guest(2, cores(2), 300), guest(3, cores(2), 200)];
    assert_eq!(numbers(choose(&guests, cores(0), cores(2))), Some(vec![2]));
    assert_eq!(numbers(choose(&guests, cores(0), cores(3))), Some(vec![2, 3]));
    assert_eq!(numbers(choose(&guests, cores(1), cores(3))), Some(vec![2]), "what is free counts");
}

#[test]
fn where_there_is_room_nobody_leaves() {
    assert_eq!(choose(&[guest(1, cores(2), 100)], cores(4), cores(4)), Some(Vec::new()));
}

#[test]
fn where_all_would_not_do_nobody_is_asked_in_vain() {
    assert_eq!(choose(&[guest(1, cores(2), 100)], cores(1), cores(4)), None);
}

#[test]
fn one_whose_going_does_not_help_stays_however_young() {
    let gpu = Resources { gpus: 1, ..Resources::default() };
    let guests = [guest(1, gpu, 100), guest(2, cores(8), 900), guest(3, gpu, 500)];
    assert_eq!(numbers(choose(&guests, Resources::default(), gpu)), Some(vec![3]));
}

#[test]
fn those_who_leave_already_are_counted_and_no_second_one_is_asked() {
    let leaving = Guest { leaves: true, ..guest(1, cores(2), 100) };
    let guests = [leaving, guest(2, cores(2), 300)];
    assert_eq!(choose(&guests, cores(0), cores(2)), Some(Vec::new()));
    assert_eq!(numbers(choose(&guests, cores(0), cores(3))), Some(vec![2]));
}

#[test]
fn of_two_that_began_together_the_later_id_leaves() {
    let guests = [guest(1, cores(2), 100), guest(2, cores(2), 100)];
    assert_eq!(numbers(choose(&guests, cores(0), cores(1))), Some(vec![2]));
}

fn any_resources(most: u32) -> impl Strategy<Value = Resources> {
    let kinds = (0..=most, 0..=u64::from(most), 0..=most);
    kinds.prop_map(|(cpu_cores, memory_bytes, gpus)| Resources { cpu_cores, memory_bytes, gpus })
}

#[test]
fn whatever_comes_the_need_fits_afterwards_and_none_of_the_chosen_could_stay() {
    let guests = proptest::collection::vec((any_resources(5), 0..10_i64, any::<bool>()), 0..12);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) };
    proptest!(config, |(guests in guests, room in any_resources(4), need in any_resources(12))| {
        let guests: Vec<Guest> = (1..).zip(guests).map(|(number, (holds, began_ms, leaves))| Guest { leaves, ..guest(number, holds, began_ms) }).collect();
        let sum = |of: &dyn Fn(&Guest) -> bool| guests.iter().filter(|guest| of(guest)).fold(room, |sum, guest| sum.and(guest.holds));
        match choose(&guests, room, need) {
            None => prop_assert!(!need.fits_in(sum(&|_| true))),
            Some(chosen) => {
                prop_assert!(need.fits_in(sum(&|guest| guest.leaves || chosen.contains(&guest.job))));
                for one in &chosen {
                    let without = sum(&|guest| guest.leaves || (chosen.contains(&guest.job) && guest.job != *one));
                    prop_assert!(!need.fits_in(without), "{one} could stay");
                }
                prop_assert!(guests.iter().all(|guest| !guest.leaves || !chosen.contains(&guest.job)));
            }
        }
    });
}
