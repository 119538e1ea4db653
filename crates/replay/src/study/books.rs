// SPDX-License-Identifier: Apache-2.0
//! What is kept of a run while it is played: what became of each job, what each site was exposed to, and how busy it was.

use sta_decide::{
    energy::{EnergyError, Exposure, Spent},
    federation::Federation,
    karma::{Account, Karma},
};

use super::{
    Order, Policy, StudyError,
    run::{Plan, Run},
};
use crate::{
    federate::{Fate, Span, Watch},
    scenario::{Scenario, Site},
};

const HOUR_MS: u64 = 3_600_000;
/// The most points of a curve over time.
const POINTS_MAX: u64 = 360;

/// How long a quantum of credits is.
const QUANTUM_MS: u64 = 600_000;
/// The most quanta without any event that are counted, a week: who wants nothing for longer earns no more.
const QUANTA_AT_ONCE_MAX: u64 = 1000;
/// How much of its own processors a member is guaranteed in each quantum, in millionths: all of them, since the owner goes first.
const GUARANTEED_PPM: u32 = 1_000_000;
/// Quanta of borrowing all processors there are that each member's credits last for at the start.
const QUANTA_AT_START: u64 = 144;

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ended {
    /// None where it went to a cloud.
    pub(super) end_ms: Option<u64>,
    pub(super) moved: bool,
    pub(super) evictions: u32,
    pub(super) lost_ms: u64,
}

/// What a site did.
#[derive(Debug, Clone, Default)]
pub(super) struct SiteBook {
    /// Its busy processors, at any time.
    busy: Exposure,
    /// Those within the time of the workloads, in which the others stood idle.
    busy_within: Exposure,
    /// All of its processors over that time.
    whole: Exposure,
    /// Processor time for jobs of other members, in milliseconds.
    pub(super) guests_ms: i128,
    /// Busy processor time of each stretch of time, and of that what guests had.
    pub(super) points: Vec<[u128; 2]>,
}

impl SiteBook {
    /// What it came to.
    pub(super) fn spent(&self, site: &Site) -> Spent {
        site.power.spent(self.busy, self.whole - self.busy_within)
    }
}

/// How long a stretch of time is, so that not too many make the time of the workloads.
pub(super) fn point_ms(scenario: &Scenario) -> u64 {
    let hours = (scenario.until_ms - scenario.begin_ms).div_ceil(HOUR_MS);
    hours.div_ceil(POINTS_MAX).max(1) * HOUR_MS
}

/// Credits in processors for a quantum; none where there are too many members or processors for them.
fn karma(scenario: &Scenario) -> Option<Karma> {
    let share = |member: usize| {
        let sites = scenario.sites.iter().filter(|site| site.member == member);
        sites.map(|site| u64::from(site.processors)).sum::<u64>()
    };
    let all: u64 = scenario.sites.iter().map(|site| u64::from(site.processors)).sum();
    let account = |member| Account { share: share(member), credits: QUANTA_AT_START * all };
    Karma::new(GUARANTEED_PPM, (0..scenario.members.len()).map(account).collect()).ok()
}

/// The books of a run.
pub(super) struct Books<'b, 'a> {
    plan: &'b Plan<'a>,
    /// Whose jobs and sites take part.
    members: u64,
    /// Which jobs of the scenario are played.
    picked: &'b [usize],
    ended: Vec<Ended>,
    sites: Vec<SiteBook>,
    cloud_ms: Vec<i128>,
    taken_ms: Vec<i128>,
    point_ms: u64,
    /// The hour for which sites are ordered.
    hour: u64,
    /// The credits between members, and the quantum that they were last counted in.
    karma: Option<Karma>,
    quantum: u64,
    failed: Option<StudyError>,
}

impl<'b, 'a> Books<'b, 'a> {
    pub(super) fn new(plan: &'b Plan<'a>, members: u64, picked: &'b [usize]) -> Self {
        let scenario = plan.scenario;
        let mut books = Self {
            plan,
            members,
            picked,
            ended: vec![Ended::default(); scenario.jobs.len()],
            sites: vec![SiteBook::default(); scenario.sites.len()],
            cloud_ms: vec![0; scenario.members.len()],
            taken_ms: vec![0; scenario.members.len()],
            point_ms: point_ms(scenario),
            hour: u64::MAX,
            karma: (plan.credits && plan.policy != Policy::Global).then(|| karma(scenario)).flatten(),
            quantum: scenario.begin_ms / QUANTUM_MS,
            failed: None,
        };
        let points = (scenario.until_ms - scenario.begin_ms).div_ceil(books.point_ms);
        for place in 0..scenario.sites.len() {
            let whole = books.exposure(place, scenario.begin_ms, scenario.until_ms);
            let site = &mut books.sites[place];
            site.points = vec![[0, 0]; usize::try_from(points).unwrap_or(0)];
            site.whole = whole * scenario.sites[place].processors;
        }
        books
    }

    /// What came of the run, whose last job ended at this moment.
    pub(super) fn close(self, end_ms: u64) -> Result<Run<'a>, StudyError> {
        let Self { plan, ended, sites, cloud_ms, taken_ms, failed, .. } = self;
        failed.map_or(Ok(Run { scenario: plan.scenario, end_ms, ended, sites, cloud_ms, taken_ms }), Err)
    }

    fn exposure(&mut self, place: usize, from_ms: u64, until_ms: u64) -> Exposure {
        let site = &self.plan.scenario.sites[place];
        site.supply.over(from_ms, until_ms).unwrap_or_else(|source: EnergyError| {
            self.failed.get_or_insert(StudyError::Energy { site: site.id.clone(), source });
            Exposure::default()
        })
    }

    /// Enters processors of a site that were busy.
    fn enter(&mut self, place: usize, span: Span, guest: bool) {
        let Span { processors, from_ms, until_ms, .. } = span;
        let (begin_ms, end_ms) = (self.plan.scenario.begin_ms, self.plan.scenario.until_ms);
        let whole = self.exposure(place, from_ms, until_ms) * processors;
        let within = if until_ms <= end_ms {
            whole
        } else {
            self.exposure(place, from_ms.min(end_ms), end_ms) * processors
        };
        let site = &mut self.sites[place];
        site.busy += whole;
        site.busy_within += within;
        if guest {
            site.guests_ms += i128::from(until_ms - from_ms) * i128::from(processors);
        }
        let mut at_ms = from_ms;
        while at_ms < until_ms {
            let point = (at_ms - begin_ms) / self.point_ms;
            let next_ms = (begin_ms + (point + 1) * self.point_ms).min(until_ms);
            let busy = u128::from(next_ms - at_ms) * u128::from(processors);
            let Some(of) = usize::try_from(point).ok().and_then(|point| site.points.get_mut(point)) else {
                return;
            };
            of[0] += busy;
            of[1] += if guest { busy } else { 0 };
            at_ms = next_ms;
        }
    }

    /// Counts credits up to a moment, and has the members served in their order.
    fn count_credits(&mut self, now_ms: u64, federation: &mut Federation) {
        let quantum = now_ms / QUANTUM_MS;
        let passed = quantum.saturating_sub(self.quantum).min(QUANTA_AT_ONCE_MAX);
        let Some(karma) = self.karma.as_mut().filter(|_| passed > 0) else { return };
        self.quantum = quantum;
        for _ in 0..passed {
            // More credits than there can be stay as they are.
            let _ = karma.quantum(federation.wanted());
        }
        let mut ranks = vec![0; karma.order().len()];
        for (rank, member) in (0..).zip(karma.order()) {
            ranks[*member] = rank;
        }
        federation.rank(ranks);
    }

    /// The sites, the best first, at an hour.
    fn ordered(&self, hour: u64) -> Vec<u16> {
        let worth = |site: &Site| {
            let exposure = site.supply.over(hour * HOUR_MS, (hour + 1) * HOUR_MS).unwrap_or_default();
            let spent = site.power.spent(exposure, Exposure::default());
            match self.plan.order {
                Order::Home => 0,
                Order::Cheap => spent.cost_micro,
                Order::Clean => spent.co2_ug,
            }
        };
        let sites = &self.plan.scenario.sites;
        let mut order: Vec<u16> = (0u16..).take(sites.len()).collect();
        order.sort_by_key(|place| (worth(&sites[usize::from(*place)]), *place));
        order
    }
}

impl Watch for Books<'_, '_> {
    fn held(&mut self, span: Span) {
        let sites = &self.plan.scenario.sites;
        if self.plan.policy != Policy::Global {
            let [host, home] = [span.site, span.home].map(|site| sites[usize::from(site)].member);
            if host != home {
                let held_ms = i128::from(span.until_ms - span.from_ms) * i128::from(span.processors);
                self.taken_ms[home] += held_ms;
            }
            self.enter(usize::from(span.site), span, host != home);
            return;
        }
        // Where in the one hall a job ran nobody can say: it is spread over all sites by their size.
        let within = |(_, site): &(usize, &Site)| self.members >> site.member & 1 == 1;
        let within: Vec<(usize, &Site)> = sites.iter().enumerate().filter(within).collect();
        let all: u64 = within.iter().map(|(_, site)| u64::from(site.processors)).sum();
        let mut below = 0;
        for (place, site) in within {
            let from = u64::from(span.processors) * below / all;
            below += u64::from(site.processors);
            let part = u64::from(span.processors) * below / all - from;
            self.enter(place, Span { processors: u32::try_from(part).unwrap_or(0), ..span }, false);
        }
    }

    fn over(&mut self, fate: &Fate) {
        let Some(job) = usize::try_from(fate.index).ok().and_then(|index| self.picked.get(index)) else {
            return;
        };
        let Fate { end_ms, moved, evictions, lost_ms, .. } = *fate;
        self.ended[*job] = Ended { end_ms, moved, evictions, lost_ms };
        if end_ms.is_none() {
            let of = &self.plan.scenario.jobs[*job];
            let member = self.plan.scenario.sites[of.site].member;
            self.cloud_ms[member] += i128::from(of.run_ms) * i128::from(of.processors);
        }
    }

    fn moment(&mut self, now_ms: u64, federation: &mut Federation) {
        self.count_credits(now_ms, federation);
        let hour = now_ms / HOUR_MS;
        if self.plan.order == Order::Home || self.plan.policy == Policy::Global || hour == self.hour {
            return;
        }
        self.hour = hour;
        federation.prefer(self.ordered(hour), Some(self.plan.moves_from_ms));
    }
}
