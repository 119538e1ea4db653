// SPDX-License-Identifier: Apache-2.0
//! Which waiting jobs of a site begin: the same as a pool says of processors alone, and laws over random loads of cores, memory and
//! accelerators.

use proptest::prelude::*;
use sta_decide::{
    backfill::{Holds, Site, Wants},
    pool::{Discipline, Pool, Request, Running},
};
use sta_protocol::treaty::Resources;

const WHOLE: Resources = Resources { cpu_cores: 16, memory_bytes: 16, gpus: 4 };

/// A job of a random load.
#[derive(Debug, Clone, Copy)]
struct Job {
    submit_ms: u64,
    wants: Resources,
    run_ms: u64,
    longest_ms: u64,
}

fn cores(cpu_cores: u32) -> Resources {
    Resources { cpu_cores, ..Resources::default() }
}

fn wants(resources: Resources, longest_ms: u64) -> Wants {
    Wants { resources, longest_ms }
}

/// Loads of up to 80 jobs, some at one moment; `more_ms` is how much longer they say to run than they do, and below 0 they run
/// longer than they said.
fn loads(
    kinds: impl Strategy<Value = Resources>,
    more_ms: std::ops::Range<i64>,
) -> impl Strategy<Value = Vec<Job>> {
    prop::collection::vec((0u64..40, kinds, 1u64..200, more_ms), 1..80).prop_map(|jobs| {
        let mut submit_ms = 0;
        let job = |(gap, wants, run_ms, more): (u64, Resources, u64, i64)| {
            submit_ms += gap;
            Job { submit_ms, wants, run_ms, longest_ms: run_ms.saturating_add_signed(more).max(1) }
        };
        jobs.into_iter().map(job).collect()
    })
}

fn only_cores() -> impl Strategy<Value = Resources> {
    (1u32..=WHOLE.cpu_cores).prop_map(cores)
}

fn all_kinds() -> impl Strategy<Value = Resources> {
    let kinds = (1u32..=WHOLE.cpu_cores, 0u64..=WHOLE.memory_bytes, 0u32..=WHOLE.gpus);
    kinds.prop_map(|(cpu_cores, memory_bytes, gpus)| Resources { cpu_cores, memory_bytes, gpus })
}

/// When each job begins, and what of it waits and runs at each moment once all of that moment have begun.
fn play(jobs: &[Job], mut seen: impl FnMut(u64, &[usize], &[usize])) -> Vec<u64> {
    let mut began = vec![u64::MAX; jobs.len()];
    let (mut waiting, mut running, mut next) = (Vec::new(), Vec::<usize>::new(), 0);
    loop {
        let ends = running.iter().map(|job| began[*job] + jobs[*job].run_ms).min();
        let comes = jobs.get(next).map(|job| job.submit_ms);
        let Some(now_ms) = ends.into_iter().chain(comes).min() else { return began };
        running.retain(|job| began[*job] + jobs[*job].run_ms > now_ms);
        while jobs.get(next).is_some_and(|job| job.submit_ms == now_ms) {
            waiting.push(next);
            next += 1;
        }
        let holds = |job: &usize| Holds {
            resources: jobs[*job].wants,
            until_ms: began[*job] + jobs[*job].longest_ms,
        };
        let mut site = Site::new(now_ms, WHOLE, running.iter().map(holds).collect());
        let (begin, wait): (Vec<usize>, Vec<usize>) =
            waiting.iter().partition(|job| site.begins(wants(jobs[**job].wants, jobs[**job].longest_ms)));
        begin.iter().for_each(|job| began[*job] = now_ms);
        running.extend(begin);
        waiting = wait;
        seen(now_ms, &waiting, &running);
    }
}

/// When each job begins, by [`Pool`].
fn by_pool(jobs: &[Job]) -> Vec<u64> {
    let mut pool = Pool::new(WHOLE.cpu_cores, Discipline::Easy);
    let mut began = vec![u64::MAX; jobs.len()];
    let (mut running, mut next) = (Vec::<(u64, Running)>::new(), 0);
    loop {
        let ends = running.iter().map(|(end_ms, _)| *end_ms).min();
        let comes = jobs.get(next).map(|job| job.submit_ms);
        let Some(now_ms) = ends.into_iter().chain(comes).min() else { return began };
        let (ended, rest) = running.into_iter().partition(|(end_ms, _)| *end_ms == now_ms);
        running = rest;
        for (_, job) in ended {
            pool.end(now_ms, job);
        }
        while let Some(job) = jobs.get(next).filter(|job| job.submit_ms == now_ms) {
            let (number, processors) = (u32::try_from(next).unwrap(), job.wants.cpu_cores);
            pool.submit(Request { job: number, processors, estimate_ms: job.longest_ms, group: 0 }).unwrap();
            next += 1;
        }
        while let Some(job) = pool.begin(now_ms) {
            let index = job.job() as usize;
            began[index] = now_ms;
            running.push((now_ms + jobs[index].run_ms, job));
        }
    }
}

fn held(jobs: &[Job], running: &[usize]) -> Resources {
    running.iter().fold(Resources::default(), |sum, job| sum.and(jobs[*job].wants))
}

proptest! {
    #[test]
    fn where_only_cores_count_every_job_begins_when_the_pool_says(
        jobs in prop_oneof![
            loads(only_cores(), 0..1), loads(only_cores(), 0..150), loads(only_cores(), -100..100),
        ],
    ) {
        prop_assert_eq!(play(&jobs, |_, _, _| ()), by_pool(&jobs));
    }

    #[test]
    fn no_head_begins_after_any_of_its_reservations(jobs in loads(all_kinds(), 0..150)) {
        let mut heads = Vec::new();
        let began = play(&jobs, |now_ms, waiting, running| {
            if let Some(head) = waiting.first() {
                heads.push((*head, now_ms, running.to_vec()));
            }
        });
        for (head, now_ms, running) in heads {
            // The first moment at which enough of those are gone that run, also of those that went before it.
            let ends = |job: &usize| began[*job] + jobs[*job].longest_ms;
            let mut moments: Vec<u64> = running.iter().map(ends).collect();
            moments.sort_unstable();
            let free_at = |at: u64| {
                let on: Vec<usize> = running.iter().filter(|job| ends(job) > at).copied().collect();
                jobs[head].wants.fits_in(WHOLE.without(held(&jobs, &on)))
            };
            let latest = moments.into_iter().find(|at| free_at(*at)).unwrap_or(now_ms);
            prop_assert!(began[head] <= latest, "{} begins at {}, not by {}", head, began[head], latest);
        }
    }

    #[test]
    fn no_more_is_held_than_there_is_and_every_job_begins(
        jobs in prop_oneof![loads(all_kinds(), 0..150), loads(all_kinds(), -100..100)],
    ) {
        let mut most = Vec::new();
        let began = play(&jobs, |_, _, running| most.push(held(&jobs, running)));
        prop_assert!(most.into_iter().all(|held| held.fits_in(WHOLE)));
        prop_assert!(began.iter().zip(&jobs).all(|(began, job)| *began != u64::MAX && *began >= job.submit_ms));
    }
}

#[test]
fn a_job_of_another_kind_goes_before_the_head_however_long_it_is() {
    let all_gpus = Resources { gpus: 4, ..cores(2) };
    let mut site = Site::new(1_000, WHOLE, vec![Holds { resources: all_gpus, until_ms: 5_000 }]);
    assert!(!site.begins(wants(all_gpus, 9_000)), "the accelerators are held");
    assert!(site.begins(wants(cores(13), 1_000_000)), "two cores stay for the head, and one more");
    assert!(site.begins(wants(cores(1), 4_000)), "it is done when the head begins");
    assert!(!site.begins(wants(cores(1), 4_000)), "nothing is free");
    assert_eq!(site.free(), Resources { cpu_cores: 0, memory_bytes: 16, gpus: 0 });
}

#[test]
fn what_the_head_will_take_nobody_has_who_stays_longer() {
    let mut site = Site::new(0, WHOLE, vec![Holds { resources: cores(12), until_ms: 100 }]);
    assert!(!site.begins(wants(cores(14), 50)));
    assert!(!site.begins(wants(cores(3), 101)));
    assert!(site.begins(wants(cores(2), 101)), "beside the head");
    assert!(!site.begins(wants(cores(1), 101)), "nothing is left beside it");
    assert!(site.begins(wants(cores(2), 100)), "gone by then");
}

#[test]
fn behind_one_that_nobody_knows_the_end_of_whoever_fits_begins() {
    let mut site = Site::new(0, WHOLE, vec![Holds { resources: cores(8), until_ms: u64::MAX }]);
    assert!(!site.begins(wants(cores(16), 10)));
    assert!(site.begins(wants(cores(8), u64::MAX)));
}

#[test]
fn beside_one_that_is_over_its_time_only_what_leaves_the_head_its_room_begins() {
    let mut site = Site::new(100, WHOLE, vec![Holds { resources: cores(8), until_ms: 90 }]);
    assert!(!site.begins(wants(cores(14), 10)));
    assert!(!site.begins(wants(cores(3), 1)));
    assert!(site.begins(wants(cores(2), 1_000)));
}
