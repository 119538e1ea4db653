// SPDX-License-Identifier: Apache-2.0
//! Members that share, over random loads: what must hold whoever comes when.

use proptest::prelude::*;
use sta_decide::federation::{Checkpoint, Federation, Sharing, SiteTerms, Terms, Work};
use sta_replay::federate::{self, Fate, Job, Rules, Span, Watch};

/// What was seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    fates: Vec<Fate>,
    spans: Vec<Span>,
}

impl Watch for Seen {
    fn held(&mut self, span: Span) {
        self.spans.push(span);
    }

    fn over(&mut self, fate: &Fate) {
        self.fates.push(*fate);
    }

    fn moment(&mut self, _: u64, _: &mut Federation) {}
}

fn played(rules: &Rules, jobs: &[Job]) -> Seen {
    let mut seen = Seen::default();
    federate::play(rules, jobs.iter().copied(), &mut seen);
    seen.fates.sort_by_key(|fate| fate.index);
    seen
}

const SIZES: [u32; 3] = [16, 8, 24];

fn rules(sharing: Sharing, terms: Terms) -> Rules {
    let sites =
        (0u16..).zip(SIZES).map(|(member, processors)| SiteTerms { member, processors, takes: 0b110 });
    // The last takes nobody of the second group.
    let mut sites: Vec<SiteTerms> = sites.collect();
    sites[2].takes = 0b010;
    Rules { sharing, terms, sites, patience_ms: None }
}

fn checkpoints() -> impl Strategy<Value = Checkpoint> {
    prop_oneof![Just(Checkpoint::Never), Just(Checkpoint::OnSignal), (1u64..80).prop_map(Checkpoint::Every)]
}

/// Loads of up to 150 jobs that come in bursts, of which the processors are busy most of the time.
fn loads() -> impl Strategy<Value = Vec<Job>> {
    let gaps = prop_oneof![3 => 0u64..6, 1 => 0u64..120];
    let job = (gaps, 0u16..3, 1u32..=16, 1u64..300, 0u64..100, 0u8..3, checkpoints());
    prop::collection::vec(job, 1..150).prop_map(|jobs| {
        let mut submit_ms = 0;
        let job = |(gap, home, wide, run_ms, more_ms, group, checkpoint)| {
            submit_ms += gap;
            let processors = u32::min(wide, SIZES[usize::from(home)]);
            let work = Work { home, processors, estimate_ms: run_ms + more_ms, group, checkpoint };
            Job { submit_ms, run_ms, work }
        };
        jobs.into_iter().map(job).collect()
    })
}

fn all_terms() -> impl Strategy<Value = Terms> {
    (0u64..30, 0u64..20, prop_oneof![Just(0u64), 0u64..20], 0u64..120).prop_map(
        |(staging_ms, restart_ms, grace_ms, unsaved_ms_max)| Terms {
            staging_ms,
            restart_ms,
            grace_ms,
            unsaved_ms_max,
        },
    )
}

fn ways() -> impl Strategy<Value = Sharing> {
    prop_oneof![
        Just(Sharing::Alone),
        Just(Sharing::OwnerFirst),
        Just(Sharing::Reclaim),
        Just(Sharing::Promise)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_job_ends_later_than_alone_by_more_than_the_bound(jobs in loads(), terms in all_terms()) {
        let seen = played(&rules(Sharing::Promise, terms), &jobs);
        for fate in &seen.fates {
            let (end_ms, alone_ms) = (fate.end_ms.unwrap(), fate.alone_end_ms.unwrap());
            prop_assert!(end_ms <= alone_ms + terms.bound_ms(), "{:?} under {:?}", fate, terms);
        }
    }

    #[test]
    fn the_shadow_of_a_job_ends_when_the_job_does_alone(jobs in loads(), terms in all_terms()) {
        let promised = played(&rules(Sharing::Promise, terms), &jobs);
        let alone = played(&rules(Sharing::Alone, terms), &jobs);
        for (promised, alone) in promised.fates.iter().zip(&alone.fates) {
            prop_assert_eq!(promised.alone_end_ms, alone.end_ms);
        }
    }

    #[test]
    fn every_job_runs_to_its_end_and_no_site_has_more_than_its_processors(
        jobs in loads(), terms in all_terms(), sharing in ways(),
    ) {
        let seen = played(&rules(sharing, terms), &jobs);
        prop_assert_eq!(seen.fates.len(), jobs.len());
        prop_assert!(seen.fates.iter().all(|fate| fate.end_ms.is_some()));
        for (site, processors) in (0u16..).zip(SIZES) {
            let mut changes: Vec<(u64, i64)> = Vec::new();
            for span in seen.spans.iter().filter(|span| span.site == site) {
                let held = i64::from(span.processors);
                changes.extend([(span.from_ms, held), (span.until_ms, -held)]);
            }
            // At one moment what ends gives back before what begins takes.
            changes.sort_unstable();
            let mut held = 0;
            for (at_ms, change) in changes {
                held += change;
                prop_assert!(held <= i64::from(processors), "{} at {}", held, at_ms);
            }
        }
    }

    #[test]
    fn a_job_holds_processors_for_its_work_what_it_does_again_and_what_the_terms_say(
        jobs in loads(), terms in all_terms(), sharing in ways(),
    ) {
        let seen = played(&rules(sharing, terms), &jobs);
        let held = |home| seen.spans.iter().filter(move |span| span.home == home)
            .map(|span| u64::from(span.processors) * (span.until_ms - span.from_ms)).sum::<u64>();
        let worked = |home| seen.fates.iter().filter(move |fate| fate.job.work.home == home)
            .map(|fate| u64::from(fate.job.work.processors) * (fate.job.run_ms + fate.lost_ms)).sum::<u64>();
        let besides = terms.staging_ms + terms.restart_ms + terms.grace_ms;
        for home in 0..3 {
            let times: u64 = seen.fates.iter().filter(|fate| fate.job.work.home == home)
                .map(|fate| u64::from(fate.job.work.processors) * u64::from(fate.evictions + 1)).sum();
            prop_assert!(held(home) >= worked(home));
            prop_assert!(held(home) <= worked(home) + times * besides);
        }
    }

    #[test]
    fn the_same_jobs_go_the_same_way(jobs in loads(), terms in all_terms(), sharing in ways()) {
        let rules = rules(sharing, terms);
        prop_assert_eq!(played(&rules, &jobs), played(&rules, &jobs));
    }

    #[test]
    fn who_may_not_leave_stays(jobs in loads(), terms in all_terms(), sharing in ways()) {
        for fate in played(&rules(sharing, terms), &jobs).fates {
            prop_assert!(!fate.moved || fate.job.work.group > 0 && sharing != Sharing::Alone);
        }
    }

    #[test]
    fn guests_stay_where_they_need_not_leave(jobs in loads(), terms in all_terms()) {
        let seen = played(&rules(Sharing::OwnerFirst, terms), &jobs);
        prop_assert!(seen.fates.iter().all(|fate| fate.evictions == 0 && fate.lost_ms == 0));
    }
}

/// A job that saves when it is told to leave.
fn job(submit_ms: u64, home: u16, processors: u32, run_ms: u64, group: u8) -> Job {
    let checkpoint = Checkpoint::OnSignal;
    Job { submit_ms, run_ms, work: Work { home, processors, estimate_ms: run_ms, group, checkpoint } }
}

#[test]
fn jobs_that_come_home_late_hand_no_grace_on_to_those_who_wait() {
    // Two guests abroad come home one after the other, each on top of jobs that wait for what late ones hold. Had an own job that
    // stops for them a grace of its own, the last job would be late by one more than the bound has.
    let never = Job {
        work: Work { checkpoint: Checkpoint::Never, ..job(120, 0, 1, 100, 0).work },
        ..job(120, 0, 1, 100, 0)
    };
    let jobs = [
        job(0, 1, 8, 2, 0),
        job(0, 1, 5, 1000, 1),
        job(1, 0, 5, 20, 0),
        job(20, 0, 1, 1000, 1),
        job(20, 0, 1, 1000, 1),
        job(20, 0, 1, 100, 0),
        job(20, 0, 1, 99, 0),
        job(20, 0, 1, 99, 0),
        job(120, 0, 1, 1000, 0),
        never,
        job(121, 0, 1, 99, 0),
        job(128, 1, 2, 1000, 0),
        job(220, 0, 1, 50, 0),
        job(220, 0, 1, 50, 0),
        job(236, 1, 1, 1000, 0),
    ];
    let terms = Terms { staging_ms: 0, restart_ms: 0, grace_ms: 10, unsaved_ms_max: 0 };
    let sites =
        [5, 8].map(|processors| SiteTerms { member: u16::from(processors == 8), processors, takes: 0b10 });
    let rules = Rules { sharing: Sharing::Promise, terms, sites: sites.to_vec(), patience_ms: None };
    let seen = played(&rules, &jobs);
    assert!(seen.fates.iter().map(|fate| fate.evictions).sum::<u32>() >= 3);
    for fate in &seen.fates {
        assert!(fate.end_ms.unwrap() <= fate.alone_end_ms.unwrap() + terms.bound_ms(), "{fate:?}");
    }
}

/// Ranks members as it is told.
struct Ranked(Vec<u64>, Vec<(u64, Option<u64>)>);

impl Watch for Ranked {
    fn held(&mut self, _: Span) {}

    fn over(&mut self, fate: &Fate) {
        self.1.push((fate.index, fate.end_ms));
    }

    fn moment(&mut self, _: u64, federation: &mut Federation) {
        federation.rank(self.0.clone());
    }
}

#[test]
fn guests_of_the_member_with_the_lower_rank_are_served_first() {
    // The second and the third site are full, and one guest fits into what the first has left from 10 on.
    let jobs = [
        job(0, 0, 16, 10, 0),
        job(0, 1, 8, 500, 0),
        job(0, 2, 24, 500, 0),
        job(1, 1, 16, 40, 1),
        job(2, 2, 16, 40, 1),
    ];
    let jobs = jobs.map(|it| Job {
        work: Work { processors: it.work.processors.min(SIZES[usize::from(it.work.home)]), ..it.work },
        ..it
    });
    let terms = Terms { staging_ms: 5, restart_ms: 0, grace_ms: 0, unsaved_ms_max: 1000 };
    let first = |ranks: [u64; 3]| {
        let mut ranked = Ranked(ranks.to_vec(), Vec::new());
        federate::play(&rules(Sharing::Reclaim, terms), jobs, &mut ranked);
        let end = |job: u64| ranked.1.iter().find(|(index, _)| *index == job).and_then(|(_, end)| *end);
        end(3) < end(4)
    };
    assert!(first([0, 0, 0]) && first([0, 1, 2]), "who came first, or ranks before");
    assert!(!first([0, 2, 1]));
}

#[test]
fn jobs_whose_patience_ends_leave_room_that_is_offered_again() {
    // The first waits for more than its site has, which keeps the guest out; at 100 it gives up, and the guest comes.
    let full = job(0, 2, 24, 3000, 0);
    let jobs =
        [job(0, 0, 8, 1000, 0), job(0, 0, 16, 1000, 0), job(0, 1, 8, 1000, 0), full, job(50, 1, 8, 2000, 1)];
    let terms = Terms { staging_ms: 0, restart_ms: 0, grace_ms: 0, unsaved_ms_max: 0 };
    let rules = Rules { patience_ms: Some(100), ..rules(Sharing::OwnerFirst, terms) };
    let ends: Vec<Option<u64>> = played(&rules, &jobs).fates.iter().map(|fate| fate.end_ms).collect();
    assert_eq!(ends, [Some(1000), None, Some(1000), Some(3000), Some(2100)]);
}
