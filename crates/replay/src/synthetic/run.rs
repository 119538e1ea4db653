// SPDX-License-Identifier: Apache-2.0
//! Plays synthetic jobs and adds up what came of them; of a job that is over nothing is kept.

use std::{cell::Cell, rc::Rc};

use serde::Serialize;
use sta_decide::federation::{Federation, Sharing, SiteTerms, Terms};

use super::{
    Fit, Parameters, Shape, SyntheticError,
    waits::{Histogram, Waits},
};
use crate::{
    federate::{self, Fate, Job, Rules, Span, Watch},
    study::Policy,
    summary::hundredths,
};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What was made.
    pub shape: Shape,
    /// After what.
    pub fit: Parameters,
    /// How members share.
    pub policy: &'static str,
    /// From the first submission to the last end, in seconds.
    pub span_s: u64,
    /// Processors of the largest site and of the smallest.
    pub site_processors: [u32; 2],
    /// Waits as members share.
    pub waits: Waits,
    /// Waits of the same jobs, had every site stayed alone.
    pub waits_alone: Waits,
    /// How many jobs ran elsewhere, for some of their time at least.
    pub moved: u64,
    /// How often a job had to leave.
    pub evictions: u64,
    /// Processor hours of the jobs' own work.
    pub processor_hours: f64,
    /// Processor hours that jobs had at sites which are not their home.
    pub guest_hours: f64,
    /// Processor hours of work that was done again.
    pub lost_hours: f64,
    /// Part of the processors that was busy with the jobs' own work over the span, in percent.
    pub busy_percent: f64,
    /// No job is to end later than alone by more than this, in seconds; none where nothing is promised.
    pub bound_s: Option<u64>,
    /// How many did.
    pub violations: Option<u64>,
    /// The most jobs that had come and were not over, at one moment.
    pub live_max: u64,
}

/// Makes the jobs of a shape and plays them. A second thread plays them alone, where the first one does not have that anyway.
///
/// # Errors
/// The shape is out of bounds.
pub fn run(fit: &Fit, shape: &Shape, policy: Policy, terms: Terms) -> Result<Outcome, SyntheticError> {
    let sites = shape.site_terms(fit)?;
    let (pooled, alone) = std::thread::scope(|scope| {
        let knows_alone = matches!(policy, Policy::Alone | Policy::Promise);
        let other =
            (!knows_alone).then(|| scope.spawn(|| played(fit, shape, &sites, Policy::Alone, terms).waits));
        let pooled = played(fit, shape, &sites, policy, terms);
        let alone = match other {
            Some(other) => other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            None if policy == Policy::Promise => pooled.waits_alone.clone(),
            None => pooled.waits.clone(),
        };
        (pooled, alone)
    });
    let promises = policy == Policy::Promise;
    let processor_ms = u128::from(pooled.span_ms()) * u128::from(shape.processors);
    Ok(Outcome {
        shape: *shape,
        fit: fit.parameters().clone(),
        policy: policy.as_str(),
        span_s: pooled.span_ms() / 1000,
        site_processors: [sites[0].processors, sites[sites.len() - 1].processors],
        waits: pooled.waits.waits(),
        waits_alone: alone.waits(),
        moved: pooled.moved,
        evictions: pooled.evictions,
        processor_hours: hours(pooled.work_ms),
        guest_hours: hours(pooled.guest_ms),
        lost_hours: hours(pooled.lost_ms),
        busy_percent: hundredths(100 * pooled.work_ms, processor_ms),
        bound_s: promises.then_some(terms.bound_ms() / 1000),
        violations: promises.then_some(pooled.violations),
        live_max: pooled.live_max,
    })
}

fn played(fit: &Fit, shape: &Shape, sites: &[SiteTerms], policy: Policy, terms: Terms) -> Sums {
    let mut jobs = fit.jobs(shape, sites);
    let global = policy == Policy::Global;
    let sites = if global {
        vec![SiteTerms { member: 0, processors: shape.processors, takes: 0 }]
    } else {
        sites.to_vec()
    };
    let rules = Rules { sharing: policy.sharing(), terms, sites, patience_ms: None };
    let asked = Rc::new(Cell::new(0));
    let mut sums = Sums::new(Rc::clone(&asked), rules.sharing, terms);
    let next = || {
        asked.set(asked.get() + 1);
        let mut job: Job = jobs.next()?;
        if global {
            (job.work.home, job.work.group) = (0, 0);
        }
        Some(job)
    };
    sums.end_ms = federate::play(&rules, std::iter::from_fn(next), &mut sums);
    sums
}

/// Processor time as hours, to two places.
fn hours(ms: u128) -> f64 {
    hundredths(ms, 3_600_000)
}

/// Who adds up.
struct Sums {
    /// How often the next job was asked for. The last one has not come yet, or there was none.
    asked: Rc<Cell<u64>>,
    promises: bool,
    bound_ms: u64,
    begin_ms: u64,
    end_ms: u64,
    over: u64,
    waits: Histogram,
    waits_alone: Histogram,
    moved: u64,
    evictions: u64,
    work_ms: u128,
    guest_ms: u128,
    lost_ms: u128,
    violations: u64,
    live_max: u64,
}

impl Sums {
    fn new(asked: Rc<Cell<u64>>, sharing: Sharing, terms: Terms) -> Self {
        Self {
            asked,
            promises: sharing == Sharing::Promise,
            bound_ms: terms.bound_ms(),
            begin_ms: u64::MAX,
            end_ms: 0,
            over: 0,
            waits: Histogram::new(),
            waits_alone: Histogram::new(),
            moved: 0,
            evictions: 0,
            work_ms: 0,
            guest_ms: 0,
            lost_ms: 0,
            violations: 0,
            live_max: 0,
        }
    }

    fn span_ms(&self) -> u64 {
        self.end_ms.saturating_sub(self.begin_ms)
    }
}

impl Watch for Sums {
    fn held(&mut self, span: Span) {
        if span.site != span.home {
            self.guest_ms += u128::from(span.until_ms - span.from_ms) * u128::from(span.processors);
        }
    }

    fn over(&mut self, fate: &Fate) {
        let Job { submit_ms, run_ms, work } = fate.job;
        let processors = u128::from(work.processors);
        self.over += 1;
        self.begin_ms = self.begin_ms.min(submit_ms);
        self.moved += u64::from(fate.moved);
        self.evictions += u64::from(fate.evictions);
        self.work_ms += u128::from(run_ms) * processors;
        self.lost_ms += u128::from(fate.lost_ms) * processors;
        let Some(end_ms) = fate.end_ms else { return };
        self.waits.add(end_ms - submit_ms - run_ms);
        if let Some(alone_end_ms) = fate.alone_end_ms.filter(|_| self.promises) {
            self.waits_alone.add(alone_end_ms - submit_ms - run_ms);
            self.violations += u64::from(end_ms > alone_end_ms + self.bound_ms);
        }
    }

    fn moment(&mut self, _: u64, _: &mut Federation) {
        let came = self.asked.get().saturating_sub(1);
        self.live_max = self.live_max.max(came.saturating_sub(self.over));
    }
}
