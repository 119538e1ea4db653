// SPDX-License-Identifier: Apache-2.0
//! The figures of a report, from what was kept of the runs alone and pooled.

use jiff::Timestamp;

use super::{
    books::{Ended, point_ms},
    run::Run,
};
use crate::{
    report::{LoadPoint, Member, Outcome, WaitPoint},
    scenario::Scenario,
    summary::{hundredths, percentile},
};

const MS: u64 = 1000;
const WEEK_MS: u64 = 7 * 86_400 * MS;
/// Ten minutes: later than this after its end alone, a person notices.
const LATER_MS: u64 = 600 * MS;
/// A week is worse when its jobs waited longer by so much on average.
const WORSE_MS: i128 = 60_000;
/// Points of the curve of waits, in seconds.
const WAITS_S: [u64; 22] = [
    0, 10, 30, 60, 120, 300, 600, 900, 1800, 2700, 3600, 5400, 7200, 10_800, 14_400, 21_600, 28_800, 43_200,
    64_800, 86_400, 172_800, 345_600,
];

/// What was seen of a scenario.
pub(super) struct Seen<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) alone: &'a Run<'a>,
    pub(super) pooled: &'a Run<'a>,
    pub(super) bound_ms: u64,
}

/// A moment as people and programs read it.
pub(super) fn moment(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

impl Seen<'_> {
    pub(super) fn total(&self) -> Outcome {
        self.outcome(self.pooled, None)
    }

    pub(super) fn total_alone(&self) -> Outcome {
        self.outcome(self.alone, None)
    }

    pub(super) fn members(&self) -> Vec<Member> {
        (0..self.scenario.members.len()).map(|member| self.member(member)).collect()
    }

    fn member(&self, member: usize) -> Member {
        let of = &self.scenario.members[member];
        let sites = || self.scenario.sites.iter().zip(&self.pooled.sites);
        let given = sites().filter(|(site, _)| site.member == member).map(|(_, book)| book.guests_ms).sum();
        Member {
            id: of.id.clone(),
            name: of.name.clone(),
            processors: sites()
                .filter(|(site, _)| site.member == member)
                .map(|(site, _)| u64::from(site.processors))
                .sum(),
            pooled: self.outcome(self.pooled, Some(member)),
            alone: self.outcome(self.alone, Some(member)),
            given_hours: hours(given),
            taken_hours: hours(self.pooled.taken_ms[member]),
            waits: self.waits_curve(member),
            weeks_worse: self.weeks_worse(member),
        }
    }

    /// The jobs of a member, or of all, with what became of them pooled.
    fn jobs(&self, member: Option<usize>) -> impl Iterator<Item = (usize, &Ended)> {
        let of = move |job: usize| self.scenario.sites[self.scenario.jobs[job].site].member;
        self.pooled.ended.iter().enumerate().filter(move |(job, _)| member.is_none_or(|it| it == of(*job)))
    }

    /// How long a job waited beside its work, in milliseconds; none where it went to a cloud.
    fn wait_ms(&self, run: &Run, job: usize) -> Option<u64> {
        let of = &self.scenario.jobs[job];
        Some(run.ended[job].end_ms? - of.submit_ms - of.run_ms)
    }

    fn sorted_waits_s(&self, run: &Run, member: Option<usize>) -> Vec<u64> {
        let mut waits: Vec<u64> =
            self.jobs(member).filter_map(|(job, _)| Some(self.wait_ms(run, job)? / MS)).collect();
        waits.sort_unstable();
        waits
    }

    fn outcome(&self, run: &Run, member: Option<usize>) -> Outcome {
        let waits = self.sorted_waits_s(run, member);
        let sites = || self.scenario.sites.iter().filter(|site| member.is_none_or(|it| it == site.member));
        let members = member.map_or(u64::MAX, |member| 1 << member);
        let ended = || self.jobs(member).map(|(job, _)| (&self.scenario.jobs[job], &run.ended[job]));
        let work_ms: u128 = ended().map(|(job, _)| u128::from(job.run_ms) * u128::from(job.processors)).sum();
        let lost_ms: i128 =
            ended().map(|(job, it)| i128::from(it.lost_ms) * i128::from(job.processors)).sum();
        let processors: u128 = sites().map(|site| u128::from(site.processors)).sum();
        let span_ms = u128::from(run.end_ms.saturating_sub(self.scenario.begin_ms));
        let too_large = self.scenario.sites.iter().zip(&self.scenario.too_large);
        let later_by = |ms: u64| {
            let late = |job: usize| {
                let [here, alone] = [run, self.alone].map(|run| run.ended[job].end_ms);
                here.zip(alone).is_some_and(|(here, alone)| here > alone + ms)
            };
            self.jobs(member).filter(|(job, _)| late(*job)).count() as u64
        };
        Outcome {
            jobs: waits.len() as u64,
            too_large: too_large
                .filter(|(site, _)| member.is_none_or(|it| it == site.member))
                .map(|(_, jobs)| jobs)
                .sum(),
            wait_mean_s: hundredths(waits.iter().map(|wait| u128::from(*wait)).sum(), waits.len() as u128),
            wait_p50_s: percentile(&waits, 50),
            wait_p95_s: percentile(&waits, 95),
            wait_p99_s: percentile(&waits, 99),
            wait_max_s: waits.last().copied().unwrap_or(0),
            processor_hours: hundredths(work_ms, 3_600_000),
            busy_percent: hundredths(100 * work_ms, span_ms * processors),
            moved: ended().filter(|(_, it)| it.moved).count() as u64,
            evictions: ended().map(|(_, it)| u64::from(it.evictions)).sum(),
            lost_hours: hours(lost_ms),
            violations: later_by(self.bound_ms),
            later_than_alone: later_by(LATER_MS),
            cost: run.cost(members, 0),
            carbon_kg: hundredths(run.co2_ug(members).unsigned_abs(), 1_000_000_000),
        }
    }

    fn waits_curve(&self, member: usize) -> Vec<WaitPoint> {
        let [pooled, alone] = [self.pooled, self.alone].map(|run| self.sorted_waits_s(run, Some(member)));
        let below = |waits: &[u64], wait_s: u64| {
            let count = waits.partition_point(|wait| *wait <= wait_s);
            hundredths(100 * count as u128, waits.len() as u128)
        };
        let point = |wait_s| WaitPoint {
            wait_s,
            pooled_percent: below(&pooled, wait_s),
            alone_percent: below(&alone, wait_s),
        };
        WAITS_S.into_iter().map(point).collect()
    }

    fn weeks_worse(&self, member: usize) -> [u64; 2] {
        let mut weeks: Vec<(i128, i128)> = Vec::new();
        for (job, _) in self.jobs(Some(member)) {
            let (Some(pooled), Some(alone)) = (self.wait_ms(self.pooled, job), self.wait_ms(self.alone, job))
            else {
                continue;
            };
            let week = (self.scenario.jobs[job].submit_ms - self.scenario.begin_ms) / WEEK_MS;
            let week = usize::try_from(week).unwrap_or(0);
            if weeks.len() <= week {
                weeks.resize(week + 1, (0, 0));
            }
            weeks[week].0 += i128::from(pooled) - i128::from(alone);
            weeks[week].1 += 1;
        }
        let worse = weeks.iter().filter(|(later_ms, jobs)| *later_ms > WORSE_MS * jobs).count() as u64;
        [worse, weeks.iter().filter(|(_, jobs)| *jobs > 0).count() as u64]
    }

    pub(super) fn load(&self) -> Vec<LoadPoint> {
        let length_ms = point_ms(self.scenario);
        let points = self.pooled.sites.first().map_or(0, |site| site.points.len());
        let of_members = |point: usize, which: usize| {
            let member = |member: usize| {
                let sites = self.scenario.sites.iter().zip(&self.pooled.sites);
                let of = sites.filter(|(site, _)| site.member == member);
                hundredths(of.map(|(_, book)| book.points[point][which]).sum(), u128::from(length_ms))
            };
            (0..self.scenario.members.len()).map(member).collect()
        };
        let one = |point: usize| LoadPoint {
            at_s: point as u64 * length_ms / MS,
            busy: of_members(point, 0),
            guests: of_members(point, 1),
            carbon_g_s: self.carbon_g_s(self.pooled, point, length_ms),
            carbon_alone_g_s: self.carbon_g_s(self.alone, point, length_ms),
        };
        (0..points).map(one).collect()
    }

    /// What the sites emitted a second on average in a stretch of time, from how many processors were busy in it on average.
    fn carbon_g_s(&self, run: &Run, point: usize, length_ms: u64) -> f64 {
        let from_ms = self.scenario.begin_ms + point as u64 * length_ms;
        let ug = |(site, book): (&crate::scenario::Site, &super::books::SiteBook)| {
            let until_ms = (from_ms + length_ms).min(self.scenario.until_ms);
            let exposure = site.supply.over(from_ms, until_ms).unwrap_or_default();
            let busy = u32::try_from(book.points[point][0] / u128::from(length_ms)).unwrap_or(0);
            let spent = site.power.spent(exposure * busy, exposure * site.processors.saturating_sub(busy));
            u128::from(spent.co2_ug.unsigned_abs())
        };
        let all: u128 = self.scenario.sites.iter().zip(&run.sites).map(ug).sum();
        let until_ms = (from_ms + length_ms).min(self.scenario.until_ms);
        hundredths(all, u128::from(until_ms - from_ms) * 1000)
    }
}

/// Processor time as hours, to two places.
fn hours(ms: i128) -> f64 {
    hundredths(ms.unsigned_abs(), 3_600_000)
}
