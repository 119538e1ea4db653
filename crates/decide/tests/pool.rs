// SPDX-License-Identifier: Apache-2.0
//! The order in which jobs begin on the processors of one site: laws over random loads, and a plain EASY to compare with.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sta_decide::pool::{Discipline, Pool, Request, Room, Running, TooLarge};

const PROCESSORS: u32 = 16;

/// A job of a random load.
#[derive(Debug, Clone, Copy)]
struct Job {
    submit_ms: u64,
    processors: u32,
    run_ms: u64,
    estimate_ms: u64,
}

/// When each job began, by [`Pool`]; `seen` is told of each moment when everything that may begin has begun.
fn by_pool(jobs: &[Job], discipline: Discipline, mut seen: impl FnMut(u64, &Pool)) -> Vec<u64> {
    let mut pool = Pool::new(PROCESSORS, discipline);
    let mut began = vec![u64::MAX; jobs.len()];
    let mut running: Vec<(u64, Running)> = Vec::new();
    let mut next = 0;
    loop {
        let ending = running.iter().map(|(end_ms, _)| *end_ms).min();
        let Some(now_ms) = [ending, jobs.get(next).map(|job| job.submit_ms)].into_iter().flatten().min()
        else {
            return began;
        };
        let (ended, rest) = running.into_iter().partition(|(end_ms, _)| *end_ms == now_ms);
        running = rest;
        for (_, job) in ended {
            pool.end(now_ms, job);
        }
        while let Some(job) = jobs.get(next).filter(|job| job.submit_ms == now_ms) {
            let request = Request {
                job: u32::try_from(next).unwrap(),
                processors: job.processors,
                estimate_ms: job.estimate_ms,
                group: 0,
            };
            pool.submit(request).unwrap();
            next += 1;
        }
        while let Some(job) = pool.begin(now_ms) {
            let index = job.job() as usize;
            began[index] = now_ms;
            running.push((now_ms + jobs[index].run_ms, job));
        }
        seen(now_ms, &pool);
    }
}

/// What a plain EASY says: when each job began, and every reservation that a job had while it was the head.
struct ByTheBook {
    began: Vec<u64>,
    reservations: Vec<(usize, u64)>,
}

/// EASY as a textbook would write it: everything is computed anew at each moment.
fn by_the_book(jobs: &[Job]) -> ByTheBook {
    let mut book = ByTheBook { began: vec![u64::MAX; jobs.len()], reservations: Vec::new() };
    let (mut queue, mut running, mut next) = (Vec::<usize>::new(), Vec::<usize>::new(), 0);
    let mut moments: BTreeSet<u64> = jobs.iter().map(|job| job.submit_ms).collect();
    while let Some(now) = moments.pop_first() {
        running.retain(|job| book.began[*job] + jobs[*job].run_ms > now);
        while next < jobs.len() && jobs[next].submit_ms <= now {
            queue.push(next);
            next += 1;
        }
        let mut free = PROCESSORS - running.iter().map(|job| jobs[*job].processors).sum::<u32>();
        let mut reservation: Option<(u64, u32)> = None;
        for job in std::mem::take(&mut queue) {
            let Job { processors, run_ms, estimate_ms, .. } = jobs[job];
            let begins = match reservation {
                None => processors <= free,
                Some((at, spare)) => processors <= free && (processors <= spare || now + estimate_ms <= at),
            };
            if begins {
                free -= processors;
                book.began[job] = now;
                running.push(job);
                moments.insert(now + run_ms);
                if let Some((at, spare)) = &mut reservation
                    && now + estimate_ms > *at
                {
                    *spare -= processors;
                }
                continue;
            }
            queue.push(job);
            if reservation.is_none() {
                let end = |other: &usize| now.max(book.began[*other] + jobs[*other].estimate_ms);
                let there_at = |at: u64| {
                    let ended = running.iter().filter(|other| end(other) <= at);
                    free + ended.map(|other| jobs[*other].processors).sum::<u32>()
                };
                let at = running.iter().map(end).filter(|at| there_at(*at) >= processors).min().unwrap();
                reservation = Some((at, there_at(at) - processors));
                book.reservations.push((job, at));
            }
        }
    }
    book
}

/// Loads of up to 120 jobs, some at one moment, of which the processors are busy most of the time.
///
/// `more_ms` is how much longer they say to run than they do; below 0 they run longer than they said.
fn loads(more_ms: std::ops::Range<i64>) -> impl Strategy<Value = Vec<Job>> {
    let job = (0u64..40, 1u32..=PROCESSORS, 1u64..200, more_ms);
    prop::collection::vec(job, 1..120).prop_map(move |jobs| {
        let mut submit_ms = 0;
        let job = |(gap, processors, run_ms, more): (u64, u32, u64, i64)| {
            submit_ms += gap;
            Job { submit_ms, processors, run_ms, estimate_ms: run_ms.saturating_add_signed(more).max(1) }
        };
        jobs.into_iter().map(job).collect()
    })
}

/// How many processors the jobs hold that run at a moment.
fn held(jobs: &[Job], began: &[u64], at: u64) -> u32 {
    let runs = |(job, began): &(&Job, &u64)| **began <= at && at < **began + job.run_ms;
    jobs.iter().zip(began).filter(runs).map(|(job, _)| job.processors).sum()
}

proptest! {
    #[test]
    fn easy_begins_every_job_when_the_textbook_does(
        jobs in prop_oneof![loads(0..1), loads(0..150), loads(-100..100)],
    ) {
        prop_assert_eq!(by_pool(&jobs, Discipline::Easy, |_, _| ()), by_the_book(&jobs).began);
    }

    #[test]
    fn no_head_begins_after_any_of_its_reservations(jobs in prop_oneof![loads(0..1), loads(0..150)]) {
        let began = by_pool(&jobs, Discipline::Easy, |_, _| ());
        for (job, at) in by_the_book(&jobs).reservations {
            prop_assert!(began[job] <= at, "job {} had {} and began at {}", job, at, began[job]);
        }
    }

    #[test]
    fn no_more_processors_are_held_than_there_are_and_none_is_lost(
        jobs in loads(0..150), discipline in prop_oneof![Just(Discipline::Fifo), Just(Discipline::Easy)],
    ) {
        let mut free = Vec::new();
        let began = by_pool(&jobs, discipline, |now, pool| free.push((now, pool.free(), pool.waiting())));
        for (now, free, _) in &free {
            prop_assert_eq!(held(&jobs, &began, *now) + free, PROCESSORS);
        }
        prop_assert_eq!(free.last().map(|(_, free, waiting)| (*free, *waiting)), Some((PROCESSORS, 0)));
    }

    #[test]
    fn nobody_waits_at_the_head_who_fits(jobs in loads(0..150), easy in any::<bool>()) {
        let discipline = if easy { Discipline::Easy } else { Discipline::Fifo };
        let mut moments = Vec::new();
        let began = by_pool(&jobs, discipline, |now, pool| moments.push((now, pool.free())));
        for (now, free) in moments {
            let mut waits = jobs.iter().zip(&began).filter(|(job, began)| job.submit_ms <= now && **began > now);
            if let Some((head, _)) = waits.next() {
                prop_assert!(head.processors > free, "at {} the head fits into {}", now, free);
            }
        }
    }

    #[test]
    fn strictly_first_come_is_first_served(jobs in loads(0..150)) {
        let began = by_pool(&jobs, Discipline::Fifo, |_, _| ());
        prop_assert!(began.is_sorted());
    }
}

#[test]
fn a_short_job_goes_before_the_head_and_a_long_one_does_not() {
    let job = |submit_ms, processors, run_ms| Job { submit_ms, processors, run_ms, estimate_ms: run_ms };
    // 12 of 16 are held until 100, and the head wants 14 then. The third wants more than the 2 that are left beside the head, for
    // longer; the fourth ends by 100; the fifth fits beside the head, however long it runs.
    let jobs = [job(0, 12, 100), job(1, 14, 50), job(2, 4, 200), job(3, 2, 97), job(4, 2, 300)];
    assert_eq!(by_pool(&jobs, Discipline::Easy, |_, _| ()), [0, 100, 150, 3, 4]);
    assert_eq!(by_pool(&jobs, Discipline::Fifo, |_, _| ()), [0, 100, 150, 150, 150]);
}

#[test]
fn a_job_that_could_never_begin_is_not_taken_in() {
    let mut pool = Pool::new(PROCESSORS, Discipline::Easy);
    let request = Request { job: 7, processors: 17, estimate_ms: 1, group: 0 };
    assert_eq!(pool.submit(request), Err(TooLarge { wanted: 17, there: 16 }));
    assert_eq!(
        pool.submit(request).unwrap_err().to_string(),
        "the job wants 17 processors and the pool has 16"
    );
    assert_eq!(pool.waiting(), 0);
}

/// What happens to a pool at a moment, beside that jobs begin. Jobs are chosen by number among those that are there.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Comes { processors: u32, estimate_ms: u64, group: u8 },
    Ends(usize),
    Stops(usize, u64),
    Goes(usize),
    ComesBack(usize, u64),
    Leaves(usize),
    Stays(usize),
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happens)>> {
    let which = || any::<usize>();
    let comes = (1u32..=PROCESSORS, 1u64..200, 0u8..3)
        .prop_map(|(processors, estimate_ms, group)| Happens::Comes { processors, estimate_ms, group });
    let happens = prop_oneof![
        6 => comes,
        3 => which().prop_map(Happens::Ends),
        2 => (which(), 1u64..200).prop_map(|(which, left_ms)| Happens::Stops(which, left_ms)),
        1 => which().prop_map(Happens::Goes),
        1 => (which(), 1u64..200).prop_map(|(which, left_ms)| Happens::ComesBack(which, left_ms)),
        1 => which().prop_map(Happens::Leaves),
        1 => which().prop_map(Happens::Stays),
    ];
    prop::collection::vec((0u64..20, happens), 1..300)
}

/// A pool, and beside it a list of who waits, by number.
struct Beside {
    pool: Pool,
    now_ms: u64,
    requests: Vec<Request>,
    waits: BTreeSet<u64>,
    runs: Vec<Running>,
    elsewhere: Vec<u64>,
}

impl Beside {
    fn happens(&mut self, what: Happens) {
        let waits: Vec<u64> = self.waits.iter().copied().collect();
        let of = |which: usize, there: usize| which.checked_rem(there);
        match what {
            Happens::Comes { processors, estimate_ms, group } => {
                let job = u32::try_from(self.requests.len()).unwrap();
                let request = Request { job, processors, estimate_ms, group };
                self.waits.insert(self.pool.submit(request).unwrap());
                self.requests.push(request);
            }
            Happens::Ends(which) => {
                let Some(index) = of(which, self.runs.len()) else { return };
                self.pool.end(self.now_ms, self.runs.swap_remove(index));
            }
            Happens::Stops(which, left_ms) => {
                let Some(index) = of(which, self.runs.len()) else { return };
                let running = self.runs.swap_remove(index);
                self.requests[running.job() as usize].estimate_ms = left_ms;
                self.waits.insert(u64::from(running.job()));
                self.pool.stop(self.now_ms, running, left_ms);
            }
            Happens::Goes(which) => {
                let Some(number) = of(which, waits.len()).map(|index| waits[index]) else { return };
                self.waits.remove(&number);
                self.elsewhere.push(number);
                assert_eq!(self.pool.goes(number).unwrap().job, u32::try_from(number).unwrap());
            }
            Happens::ComesBack(which, left_ms) => {
                let Some(index) = of(which, self.elsewhere.len()) else { return };
                let number = self.elsewhere.swap_remove(index);
                self.requests[usize::try_from(number).unwrap()].estimate_ms = left_ms;
                self.waits.insert(number);
                self.pool.comes_back(number, left_ms);
            }
            Happens::Leaves(which) => {
                let Some(number) = of(which, waits.len()).map(|index| waits[index]) else { return };
                self.waits.remove(&number);
                self.pool.leaves(number);
            }
            Happens::Stays(which) => {
                let Some(number) = of(which, waits.len()).map(|index| waits[index]) else { return };
                self.requests[usize::try_from(number).unwrap()].group = 0;
                self.pool.stays(number);
            }
        }
    }

    fn begin(&mut self) {
        while let Some(running) = self.pool.begin(self.now_ms) {
            assert!(self.waits.remove(&u64::from(running.job())));
            self.runs.push(running);
        }
    }

    fn waiting(&self) -> impl Iterator<Item = (u64, Request)> {
        self.waits.iter().map(|number| (*number, self.requests[usize::try_from(*number).unwrap()]))
    }
}

proptest! {
    #[test]
    fn whoever_has_to_wait_fits_nowhere_also_where_jobs_stop_and_come_back(happenings in happenings()) {
        let pool = Pool::new(PROCESSORS, Discipline::Easy);
        let mut beside = Beside {
            pool,
            now_ms: 0,
            requests: Vec::new(),
            waits: BTreeSet::new(),
            runs: Vec::new(),
            elsewhere: Vec::new(),
        };
        for (gap_ms, what) in happenings {
            beside.now_ms += gap_ms;
            beside.happens(what);
            beside.begin();
            let room = beside.pool.room(beside.now_ms);
            let fits = beside.waiting().find(|(_, request)| room.fits(*request));
            prop_assert_eq!(fits, None);
            prop_assert_eq!(beside.pool.waiting(), beside.waits.len());
            for group in 1..3 {
                let anywhere = Room { free: PROCESSORS / 2, spare: 2, until_head_ms: 50 };
                let first = beside.waiting().find(|(_, it)| it.group == group && anywhere.fits(*it));
                prop_assert_eq!(beside.pool.first_of(group, anywhere), first);
            }
        }
    }
}
