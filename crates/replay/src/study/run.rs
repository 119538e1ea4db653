// SPDX-License-Identifier: Apache-2.0
//! One way through a scenario: whose jobs and sites take part, how they share, and what came of it.

use sta_decide::federation::{Checkpoint, SiteTerms, Work};

use super::{
    GROUPS_MAX, MEMBERS_MAX, Order, Policy, Question, StudyError,
    books::{Books, Ended, SiteBook},
    terms,
};
use crate::{
    federate::{self, Job, Rules},
    report::Cost,
    scenario::{MayRun, Scenario},
};

const HOUR_MS: i128 = 3_600_000;

/// How a scenario is played.
#[derive(Debug, Clone)]
pub(super) struct Plan<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) policy: Policy,
    pub(super) order: Order,
    pub(super) moves_from_ms: u64,
    pub(super) credits: bool,
    /// How long jobs wait before they go to a cloud, if they do.
    pub(super) patience_ms: Option<u64>,
    /// The group of each class.
    pub(super) groups: Vec<u8>,
    /// Where the jobs of each group from 1 may run.
    pub(super) ways: Vec<&'a MayRun>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    /// When the last job ended.
    pub(super) end_ms: u64,
    /// In the order of the scenario's jobs.
    pub(super) ended: Vec<Ended>,
    pub(super) sites: Vec<SiteBook>,
    /// Processor time that was bought from a cloud, of each member.
    pub(super) cloud_ms: Vec<i128>,
    /// Processor time that its jobs had at sites of others, of each member.
    pub(super) taken_ms: Vec<i128>,
}

impl<'a> Plan<'a> {
    pub(super) fn of(scenario: &'a Scenario, question: &Question) -> Result<Self, StudyError> {
        let mut ways: Vec<&MayRun> = Vec::new();
        let mut groups = Vec::with_capacity(scenario.classes.len());
        for class in &scenario.classes {
            let way = &class.may_run;
            if *way == MayRun::Home {
                groups.push(0);
                continue;
            }
            let known = ways.iter().position(|other| *other == way);
            let place = known.unwrap_or_else(|| {
                ways.push(way);
                ways.len() - 1
            });
            groups.push(u8::try_from(place + 1).unwrap_or(u8::MAX));
        }
        if scenario.members.len() > MEMBERS_MAX {
            return Err(StudyError::Members(scenario.members.len()));
        }
        if ways.len() > GROUPS_MAX {
            return Err(StudyError::Groups(ways.len()));
        }
        let Question { policy, order, moves_from_ms, credits, .. } = *question;
        Ok(Self { scenario, policy, order, moves_from_ms, credits, patience_ms: None, groups, ways })
    }

    /// The same, without sharing.
    pub(super) fn alone(&self) -> Self {
        Self { policy: Policy::Alone, ..self.clone() }
    }

    /// All members, as a set of bits.
    pub(super) fn everybody(&self) -> u64 {
        u64::MAX >> (64 - self.scenario.members.len().min(64))
    }

    /// The sites, of which those of others than these members take nobody.
    fn sites(&self, members: u64) -> Vec<SiteTerms> {
        if self.policy == Policy::Global {
            let within = self.scenario.sites.iter().filter(|site| members >> site.member & 1 == 1);
            let processors = within.map(|site| site.processors).fold(0, u32::saturating_add);
            return vec![SiteTerms { member: 0, processors, takes: 0 }];
        }
        let takes = |member: usize| {
            let ways = (1u16..).zip(&self.ways).filter(|(_, way)| match way {
                MayRun::Home => false,
                MayRun::Anywhere => true,
                MayRun::Members(hosts) => hosts.contains(&member),
            });
            ways.fold(0, |bits, (group, _)| bits | 1 << group)
        };
        let site = |site: &crate::scenario::Site| SiteTerms {
            member: u16::try_from(site.member).unwrap_or(u16::MAX),
            processors: site.processors,
            takes: if members >> site.member & 1 == 1 { takes(site.member) } else { 0 },
        };
        self.scenario.sites.iter().map(site).collect()
    }

    fn job(&self, of: &crate::scenario::Job) -> Job {
        let global = self.policy == Policy::Global;
        let home = if global { 0 } else { u16::try_from(of.site).unwrap_or(u16::MAX) };
        let work = Work {
            home,
            processors: of.processors,
            estimate_ms: of.estimate_ms,
            group: self.groups[of.class],
            checkpoint: Checkpoint::Every(self.scenario.terms.checkpoint_ms),
        };
        Job { submit_ms: of.submit_ms, run_ms: of.run_ms, work }
    }
}

/// Plays the jobs of some members on their sites.
pub(super) fn run<'a>(plan: &Plan<'a>, members: u64) -> Result<Run<'a>, StudyError> {
    let scenario = plan.scenario;
    let rules = Rules {
        sharing: plan.policy.sharing(),
        terms: terms(scenario),
        sites: plan.sites(members),
        patience_ms: plan.patience_ms,
    };
    let takes_part = |member: usize| members >> member & 1 == 1;
    let picked: Vec<usize> = (0..scenario.jobs.len())
        .filter(|job| takes_part(scenario.sites[scenario.jobs[*job].site].member))
        .collect();
    let mut books = Books::new(plan, members, &picked);
    let jobs = picked.iter().map(|job| plan.job(&scenario.jobs[*job]));
    let end_ms = federate::play(&rules, jobs, &mut books);
    books.close(end_ms)
}

impl Run<'_> {
    /// What some members' sites and clouds cost, at a price for a processor-hour of the cloud.
    pub(super) fn cost(&self, members: u64, cloud_micro: u64) -> Cost {
        let mut cost = Cost::default();
        for (site, book) in self.scenario.sites.iter().zip(&self.sites) {
            if members >> site.member & 1 == 1 {
                let hours_ms = i128::from(self.scenario.until_ms - self.scenario.begin_ms);
                let owned = i128::from(site.owned_micro_per_processor_hour) * i128::from(site.processors);
                let owned = per_hour(owned.saturating_mul(hours_ms));
                cost.owned_micro = cost.owned_micro.saturating_add(owned);
                cost.electricity_micro = cost.electricity_micro.saturating_add(book.spent(site).cost_micro);
            }
        }
        let bought = (0..).zip(&self.cloud_ms).filter(|(member, _)| members >> member & 1 == 1);
        let bought_ms: i128 = bought.map(|(_, ms)| ms).sum();
        cost.cloud_micro = per_hour(bought_ms.saturating_mul(i128::from(cloud_micro)));
        cost
    }

    /// What the same work costs where all of it is rented at a price for a processor-hour.
    pub(super) fn rented(&self, members: u64, micro: u64) -> Cost {
        let jobs =
            self.scenario.jobs.iter().filter(|job| members >> self.scenario.sites[job.site].member & 1 == 1);
        let work_ms: i128 = jobs.map(|job| i128::from(job.run_ms) * i128::from(job.processors)).sum();
        Cost { cloud_micro: per_hour(work_ms.saturating_mul(i128::from(micro))), ..Cost::default() }
    }

    /// Micrograms of CO2-equivalent of the electricity of some members' sites.
    pub(super) fn co2_ug(&self, members: u64) -> i128 {
        let sites = self.scenario.sites.iter().zip(&self.sites);
        let of = sites.filter(|(site, _)| members >> site.member & 1 == 1);
        of.map(|(site, book)| i128::from(book.spent(site).co2_ug)).sum()
    }
}

/// Of an amount for each millisecond, what it is for hours; half up.
fn per_hour(amount: i128) -> i64 {
    let twice = amount.saturating_mul(2).saturating_add(HOUR_MS);
    i64::try_from(twice.div_euclid(2 * HOUR_MS)).unwrap_or(i64::MAX)
}
