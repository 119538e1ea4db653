// SPDX-License-Identifier: Apache-2.0
//! How members stand: laws over random events, credits reckoned moment by moment to compare with, and events that cannot be.

use proptest::prelude::*;
use sta_decide::{
    karma::{Account, Karma},
    standing::{Alone, Job, QUANTA_MAX, Site, Span, Standing, StandingError, Terms},
};

const TERMS: Terms =
    Terms { from_ms: 1000, until_ms: 1700, quantum_ms: 60, guaranteed_ppm: 500_000, quanta_at_start: 2 };
const SITES: [Site; 3] =
    [Site { member: 0, processors: 8 }, Site { member: 1, processors: 4 }, Site { member: 0, processors: 2 }];

/// Random jobs, each with spans anywhere after it came; some have not finished, some want more than their home has.
fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let span = (0..SITES.len(), 0u64..300, 0u64..300);
    let job = (0..SITES.len(), 1u32..10, 900u64..1700, 0u64..200, prop::collection::vec(span, 0..4));
    let more = (prop::option::of(0u64..600), 0u64..50, 0u64..80);
    prop::collection::vec((job, more), 0..40).prop_map(|all| {
        let job = |((home, processors, submit_ms, run_ms, spans), (finished, estimate, later_ms_max)): _| {
            let span = |(site, wait_ms, held_ms): (usize, u64, u64)| {
                let begin_ms: u64 = submit_ms + wait_ms;
                Span { site, begin_ms, end_ms: begin_ms + held_ms }
            };
            let finished: Option<u64> = finished;
            Job {
                home,
                processors,
                submit_ms,
                estimate_ms: run_ms + estimate,
                run_ms,
                finished_ms: finished.map(|after_ms| submit_ms + after_ms),
                later_ms_max,
                spans: Vec::into_iter(spans).map(span).collect(),
            }
        };
        all.into_iter().map(job).collect()
    })
}

fn of(jobs: &[Job]) -> Standing {
    Standing::of(&TERMS, 2, &SITES, jobs).unwrap()
}

proptest! {
    #[test]
    fn what_one_gives_another_takes(jobs in jobs()) {
        let standing = of(&jobs);
        let mut given = [0; 2];
        for now_ms in TERMS.from_ms..TERMS.until_ms {
            for job in &jobs {
                let holds = |span: &&Span| span.begin_ms <= now_ms && now_ms < span.end_ms;
                let hosts = job.spans.iter().filter(holds).map(|span| SITES[span.site].member);
                for host in hosts.filter(|host| *host != SITES[job.home].member) {
                    given[host] += u128::from(job.processors);
                }
            }
        }
        prop_assert_eq!(standing.members.iter().map(|it| it.given_ms).collect::<Vec<_>>(), given);
        prop_assert_eq!(standing.members.iter().map(|it| it.taken_ms).collect::<Vec<_>>(), [given[1], given[0]]);
        prop_assert_eq!(standing.members.iter().map(|it| it.jobs).sum::<u64>(), jobs.len() as u64);
    }

    #[test]
    fn credits_are_those_of_demands_counted_moment_by_moment(jobs in jobs()) {
        let account = |processors: u64| Account { share: processors * 60, credits: processors * 120 };
        let mut karma = Karma::new(500_000, vec![account(10), account(4)]).unwrap();
        // Eleven whole quanta; the last 40 ms are of none.
        for quantum in 0..11 {
            let mut demands = [0; 2];
            for now_ms in (1000 + 60 * quantum)..(1060 + 60 * quantum) {
                let wants = |job: &&Job| job.submit_ms <= now_ms && job.finished_ms.is_none_or(|at| now_ms < at);
                for job in jobs.iter().filter(wants) {
                    demands[SITES[job.home].member] += u64::from(job.processors);
                }
            }
            karma.quantum(&demands).unwrap();
        }
        let standing = of(&jobs);
        prop_assert_eq!(standing.quanta, 11);
        let credits: Vec<u64> = karma.accounts().iter().map(|account| account.credits).collect();
        prop_assert_eq!(standing.members.iter().map(|it| it.credits_ms).collect::<Vec<_>>(), credits);
    }

    #[test]
    fn who_ran_as_alone_is_not_late_and_a_moment_after_the_bound_is(mut jobs in jobs()) {
        for job in &mut jobs {
            job.finished_ms = Some(job.submit_ms);
        }
        let alone = of(&jobs).jobs;
        let finish_all = |jobs: &mut [Job], later_ms: u64| {
            for (job, alone) in jobs.iter_mut().zip(&alone) {
                let after_ms = job.later_ms_max + later_ms;
                job.finished_ms = Some(alone.finish_ms.map_or(job.submit_ms, |finish_ms| finish_ms + after_ms));
            }
        };
        finish_all(&mut jobs, 0);
        let on_time = of(&jobs);
        prop_assert_eq!(on_time.members.iter().map(|it| it.late).sum::<u64>(), 0);
        finish_all(&mut jobs, 1);
        let late = of(&jobs);
        prop_assert!(late.jobs.iter().all(|job| job.late == job.begin_ms.is_some()));
        let begun = late.jobs.iter().filter(|job| job.begin_ms.is_some()).count() as u64;
        prop_assert_eq!(late.members.iter().map(|it| it.late).sum::<u64>(), begun);
    }

    #[test]
    fn the_order_of_spans_and_the_jobs_of_others_change_nothing_for_a_job_alone(mut jobs in jobs()) {
        let first = of(&jobs);
        for job in &mut jobs {
            job.spans.reverse();
        }
        prop_assert_eq!(&of(&jobs), &first);
        let (own, expected): (Vec<Job>, Vec<Alone>) =
            jobs.into_iter().zip(&first.jobs).filter(|(job, _)| job.home == 1).unzip();
        prop_assert_eq!(of(&own).jobs, expected);
    }
}

fn job(submit_ms: u64, run_ms: u64, finished_ms: Option<u64>) -> Job {
    Job {
        home: 1,
        processors: 4,
        submit_ms,
        estimate_ms: run_ms,
        run_ms,
        finished_ms,
        later_ms_max: 30,
        spans: Vec::new(),
    }
}

#[test]
fn a_job_behind_its_own_work_alone_is_late_before_it_finishes() {
    // The first would have had the whole site from 1000 to 1100, and the second from 1100 on.
    let waits = |worked_ms| of(&[job(1000, 100, Some(1100)), job(1010, worked_ms, None)]).jobs[1];
    assert_eq!(waits(600), Alone { begin_ms: Some(1100), finish_ms: None, late: false });
    assert!(!waits(570).late, "1100 + 570 + 30 is now");
    assert!(waits(569).late);
}

#[test]
fn a_job_that_would_not_have_begun_alone_is_never_late() {
    let standing =
        of(&[job(1000, 10, None), job(1010, 10, Some(1690)), Job { processors: 5, ..job(1000, 1, None) }]);
    assert!(standing.jobs[0].late, "it has worked for 10 of 700 ms");
    assert_eq!(
        standing.jobs[1..],
        [Alone::default(); 2],
        "one waits for the first, the other is larger than its home"
    );
    assert_eq!((standing.members[1].jobs, standing.members[1].late), (3, 1));
}

#[test]
fn a_job_larger_than_its_home_lets_nobody_begin_by_coming() {
    // Two that have not finished run longer than they said, and leave two processors of four; the third waits for them. The fourth has
    // room behind it once both are overdue, which nobody notices: nobody else comes or ends.
    let wants =
        |submit_ms, processors, estimate_ms| Job { processors, estimate_ms, ..job(submit_ms, 0, None) };
    let mut jobs = vec![wants(1000, 1, 0), wants(1010, 1, 255), wants(1100, 3, 10), wants(1100, 1, 1)];
    let alone = of(&jobs).jobs;
    assert_eq!(
        alone.iter().map(|alone| alone.begin_ms).collect::<Vec<_>>(),
        [Some(1000), Some(1010), None, None]
    );
    jobs.push(wants(1400, 5, 1));
    assert_eq!(of(&jobs).jobs, [&alone[..], &[Alone::default()]].concat());
}

#[test]
fn events_that_cannot_be_are_told_with_what_is_wrong() {
    let said = |terms: &Terms, members: usize, jobs: &[Job]| {
        Standing::of(terms, members, &SITES, jobs).unwrap_err().to_string()
    };
    let time = |until_ms: u64, quantum_ms: u64| {
        let expected = format!(
            "from 1000 to {until_ms} ms by quanta of {quantum_ms} ms: let the time not end before it begins, and have at most 105408 \
             quanta of 1 ms or more"
        );
        assert_eq!(said(&Terms { until_ms, quantum_ms, ..TERMS }, 2, &[]), expected);
    };
    time(999, 60);
    time(1700, 0);
    time(1000 + 60 * (QUANTA_MAX + 1), 60);
    assert_eq!(said(&TERMS, 1, &[]), "site 1 is of member 1, and there are 1, counted from 0");
    let there = "and there are 3, counted from 0";
    assert_eq!(
        said(&TERMS, 2, &[Job { home: 3, ..job(0, 1, None) }]),
        format!("job 0 names site 3, {there}")
    );
    let on = |site, begin_ms, end_ms| {
        let spans = vec![Span { site, begin_ms, end_ms }];
        said(&TERMS, 2, &[job(5, 1, None), Job { spans, ..job(5, 1, None) }])
    };
    assert_eq!(on(4, 5, 6), format!("job 1 names site 4, {there}"));
    let order = |begin_ms, end_ms| {
        format!(
            "job 1 has an event at {begin_ms} ms and the next at {end_ms} ms: it comes, begins and ends in this order"
        )
    };
    assert_eq!(on(0, 4, 6), order(5, 4));
    assert_eq!(on(0, 7, 6), order(7, 6));
    assert_eq!(said(&TERMS, 2, &[job(1, 1, None), job(5, 1, Some(4))]), order(5, 4));
    let karma = said(&Terms { guaranteed_ppm: 1_000_001, ..TERMS }, 2, &[]);
    assert_eq!(
        karma,
        "credits cannot be kept: 1000001 millionths of a share cannot be guaranteed: use 0 (all is shared) to 1000000 (nothing is); \
         here a slice is a processor for a millisecond, and shorter quanta have fewer"
    );
    let long = Terms { until_ms: u64::MAX, quantum_ms: 1 << 40, guaranteed_ppm: 0, ..TERMS };
    assert!(matches!(Standing::of(&long, 2, &SITES, &[]), Err(StandingError::Time { .. })));
    assert!(matches!(
        Standing::of(&Terms { until_ms: 1 << 42, ..long }, 2, &SITES, &[]),
        Err(StandingError::Karma(_))
    ));
}
