// SPDX-License-Identifier: Apache-2.0
//! Synthetic jobs: they are like those of the trace they are made after, and what is played of them adds up.

use std::collections::BTreeMap;

use sta_decide::federation::Terms;
use sta_replay::{
    federate::Job,
    study::Policy,
    synthetic::{self, Fit, Shape, SyntheticError},
    trace::{self, Trace},
};

fn fit() -> (Trace, Fit) {
    let trace = crate::example("helios_venus_gpu_jobs.csv.gz");
    let fit = Fit::of(&trace).unwrap();
    (trace, fit)
}

/// One site that is asked for as much an hour as the trace's.
fn like(fit: &Fit, jobs: u64) -> Shape {
    let of = fit.parameters();
    let load = of.jobs_per_hour * of.processor_mean_s / 3600.0 / 1064.0;
    Shape {
        members: 1,
        sites: 1,
        processors: 1064,
        jobs,
        load,
        movable_percent: 25,
        clocks_h: 0,
        checkpoint_ms: 1_800_000,
        seed: 3,
    }
}

fn made(fit: &Fit, shape: &Shape) -> Vec<Job> {
    fit.jobs(shape, &shape.site_terms(fit).unwrap()).collect()
}

const TERMS: Terms = Terms { staging_ms: 300_000, restart_ms: 0, grace_ms: 0, unsaved_ms_max: 1_800_000 };

/// Synthetic jobs as a trace, so that both are measured by the same rule.
fn as_trace(jobs: &[Job]) -> Trace {
    let job = |job: &Job| trace::Job {
        line: 0,
        submit_s: job.submit_ms / 1000,
        run_s: job.run_ms / 1000,
        estimate_s: job.work.estimate_ms / 1000,
        processors: job.work.processors,
    };
    Trace { jobs: jobs.iter().map(job).collect(), left_out: 0 }
}

fn near(what: &str, is: f64, wants: f64, part: f64) {
    assert!((is / wants - 1.0).abs() <= part, "{what}: {is} and not {wants}");
}

/// Tolerances: a million jobs have the mean run time to 1 %, each of the ten most frequent widths to half a point, the hours of the day and
/// the days of the week to 10 % of the average, and the dispersion to 15 %.
#[test]
fn synthetic_jobs_are_like_those_of_the_trace() {
    let (trace, fit) = fit();
    let jobs = made(&fit, &like(&fit, 1_000_000));
    let again = Fit::of(&as_trace(&jobs)).unwrap();
    let (real, made) = (fit.parameters(), again.parameters());
    near("run time", made.run_mean_s, real.run_mean_s, 0.01);
    near("processor time", made.processor_mean_s, real.processor_mean_s, 0.02);
    near("median run time", made.run_percentiles_s[1] as f64, real.run_percentiles_s[1] as f64, 0.03);
    near("jobs an hour", made.jobs_per_hour, real.jobs_per_hour, 0.03);
    let widths: BTreeMap<u32, f64> = made.widths_percent.iter().copied().collect();
    for (width, percent) in &real.widths_percent {
        assert!((widths.get(width).unwrap_or(&0.0) - percent).abs() <= 0.5, "{width}: {widths:?}");
    }
    for (made, real) in made.days.iter().zip(real.days).chain(made.hours.iter().zip(real.hours)) {
        assert!((made - real).abs() <= 0.1, "{made} and not {real}");
    }
    near("dispersion", made.bursts.dispersion, real.bursts.dispersion, 0.15);
    near("spells' variance", made.bursts.spell_variance, real.bursts.spell_variance, 0.35);
    near("spells", made.bursts.spell_hours, real.bursts.spell_hours, 0.5);
    assert_eq!(real.jobs, trace.jobs.len() as u64);
}

#[test]
fn jobs_come_in_their_order_as_many_as_asked_for_and_the_same_for_a_seed() {
    let (_, fit) = fit();
    let shape = Shape { members: 5, sites: 20, processors: 20_000, ..like(&fit, 20_000) };
    let jobs = made(&fit, &shape);
    assert_eq!(jobs.len(), 20_000);
    assert!(jobs.is_sorted_by_key(|job| job.submit_ms));
    assert_eq!(jobs, made(&fit, &shape));
    assert_ne!(jobs, made(&fit, &Shape { seed: 4, ..shape }));
    assert!(jobs.iter().all(|job| job.run_ms > 0 && job.work.estimate_ms >= job.run_ms));
}

#[test]
fn a_larger_share_keeps_all_jobs_movable_that_were() {
    let (_, fit) = fit();
    let shape = like(&fit, 20_000);
    let [some, most] = [25, 75].map(|movable_percent| made(&fit, &Shape { movable_percent, ..shape }));
    assert!(some.iter().zip(&most).all(|(some, most)| some.work.group <= most.work.group));
    near("movable", most.iter().filter(|job| job.work.group > 0).count() as f64, 15_000.0, 0.03);
}

#[test]
fn every_site_has_the_load_and_room_for_the_widest_job() {
    let (_, fit) = fit();
    let shape = Shape { members: 3, sites: 8, processors: 12_000, load: 0.7, ..like(&fit, 400_000) };
    let sites = shape.site_terms(&fit).unwrap();
    assert_eq!(sites.iter().map(|site| site.processors).sum::<u32>(), 12_000);
    assert!(sites.iter().all(|site| site.processors >= fit.parameters().processors_max));
    let jobs = made(&fit, &shape);
    let span_ms = jobs.last().unwrap().submit_ms as f64;
    for (number, site) in (0u16..).zip(&sites) {
        let of = jobs.iter().filter(|job| job.work.home == number);
        let work: f64 = of.map(|job| job.run_ms as f64 * f64::from(job.work.processors)).sum();
        near("load", work / span_ms / f64::from(site.processors), 0.7, 0.3);
    }
}

#[test]
fn what_is_played_adds_up_and_no_promise_is_broken() {
    let (_, fit) = fit();
    let shape = Shape {
        members: 4,
        sites: 12,
        processors: 6_000,
        load: 0.8,
        movable_percent: 100,
        ..like(&fit, 40_000)
    };
    let play = |policy| synthetic::run(&fit, &shape, policy, TERMS).unwrap();
    let (owner, promise, alone) = (play(Policy::OwnerFirst), play(Policy::Promise), play(Policy::Alone));
    for outcome in [&owner, &promise, &alone] {
        assert_eq!((outcome.waits.jobs, outcome.processor_hours), (40_000, alone.processor_hours));
        assert_eq!(outcome.waits_alone, alone.waits, "by a second replay, by shadows, and by itself");
        assert!(outcome.live_max > 0 && outcome.live_max < 40_000);
    }
    assert!(owner.waits.mean_s < alone.waits.mean_s && owner.moved > 0);
    assert_eq!((promise.violations, promise.bound_s, owner.violations), (Some(0), Some(2100), None));
    assert_eq!(owner, play(Policy::OwnerFirst));
    assert_eq!(play(Policy::Global).waits.jobs, 40_000);
}

#[test]
fn what_cannot_be_made_is_told_with_its_bounds() {
    let (trace, fit) = fit();
    let week = Trace { jobs: trace.jobs[..50].to_vec(), left_out: 0 };
    let error = Fit::of(&week).map(|_| ()).unwrap_err();
    assert!(matches!(error, SyntheticError::Weeks { .. }));
    assert!(error.to_string().ends_with("take one of two whole weeks or more"), "{error}");
    let shape = like(&fit, 1000);
    let said = |shape: Shape| shape.site_terms(&fit).unwrap_err().to_string();
    assert_eq!(said(Shape { sites: 0, ..shape }), "the number of sites is 0, and can be 1 to 4096");
    assert_eq!(said(Shape { members: 2, ..shape }), "the number of members is 2, and can be 1 to 1");
    assert_eq!(
        said(Shape { sites: 10, ..shape }),
        "the number of processors (every site has room for the widest job) is 1064, and can be 2000 to 100000000"
    );
    assert_eq!(said(Shape { load: f64::NAN, ..shape }), "the load is NaN, and can be 0.01 to 2");
    assert_eq!(
        said(Shape { movable_percent: 101, ..shape }),
        "the percentage of movable jobs is 101, and can be 0 to 100"
    );
}
