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
