// SPDX-License-Identifier: Apache-2.0
//! What is taken from a real trace: how large its jobs are, at which hours of the week they come, and how bursty they come.

use serde::Serialize;

use super::{SyntheticError, chance, chance::Chance};
use crate::{
    summary::percentile,
    trace::{Job, Trace},
};

const HOUR_S: u64 = 3600;
const DAY_H: usize = 24;
/// Hours of a week.
pub(super) const WEEK_H: usize = 7 * DAY_H;
/// The fewest whole weeks that a trace needs: with one alone, every burst would be a habit.
const WEEKS_MIN: usize = 2;
/// Sizes that are kept of a trace; of a longer one every so manieth in their order.
const SIZES_MAX: usize = 1 << 20;
/// The longest that counts of two hours are looked at together.
const LAG_H: usize = 12;
/// The least that a spell goes on by chance from one hour to the next, by this part at most: two weeks and a half on average.
const KEEPS_MAX: f64 = 0.9975;

/// How large a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    pub(super) processors: u32,
    pub(super) run_ms: u64,
    pub(super) estimate_ms: u64,
}

/// Everything that synthetic jobs have from a trace.
#[derive(Debug, Clone)]
pub struct Fit {
    /// By processors, then by run time.
    sizes: Vec<Size>,
    /// Of an average hour, by hour of the week.
    pub(super) hours: Vec<f64>,
    pub(super) bursts: Bursts,
    parameters: Parameters,
}

/// By how much hours differ from their habit: the product of two independent factors with mean 1, both gamma distributed. One stays for
/// a spell of hours, whose length is geometric; the other is new every hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bursts {
    /// Variance of the number of jobs in an hour beyond chance, in squares of the mean: 0 for jobs that come independently.
    pub dispersion: f64,
    /// The variance of the factor that stays for a spell.
    pub spell_variance: f64,
    /// How long a spell is on average, in hours.
    pub spell_hours: f64,
    /// The variance of the factor that is new every hour.
    pub hour_variance: f64,
}

/// What was fitted, for people to judge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parameters {
    /// How many jobs the trace has.
    pub jobs: u64,
    /// How many whole weeks of it were looked at for hours and bursts.
    pub weeks: u64,
    /// Jobs of an hour, on average over those weeks.
    pub jobs_per_hour: f64,
    /// The mean run time.
    pub run_mean_s: f64,
    /// Of a hundred jobs 5, 50, 95 and 99 run no longer.
    pub run_percentiles_s: [u64; 4],
    /// Processor time of a job, on average.
    pub processor_mean_s: f64,
    /// The widest job.
    pub processors_max: u32,
    /// How many percent of the jobs want so many processors, the most frequent first; at most ten.
    pub widths_percent: Vec<(u32, f64)>,
    /// How often jobs come on each day of the trace's week, as a part of the average. The first begins at the trace's second 0.
    pub days: [f64; 7],
    /// Likewise in each hour of its day.
    pub hours: [f64; DAY_H],
    /// How bursty they come.
    pub bursts: Bursts,
}

impl Fit {
    /// Fits a trace.
    ///
    /// # Errors
    /// It is shorter than two weeks.
    pub fn of(trace: &Trace) -> Result<Self, SyntheticError> {
        let weekly = Weekly::of(&trace.jobs)?;
        let bursts = weekly.bursts();
        let every = trace.jobs.len().div_ceil(SIZES_MAX).max(1);
        let mut sizes: Vec<Size> = trace.jobs.iter().map(size).collect();
        sizes.sort_unstable();
        let parameters = Parameters {
            jobs: trace.jobs.len() as u64,
            weeks: (weekly.counts.len() / WEEK_H) as u64,
            jobs_per_hour: weekly.mean,
            days: weekly.days,
            hours: weekly.hours,
            bursts,
            ..of_sizes(&sizes)
        };
        let sizes = sizes.into_iter().step_by(every).collect();
        let hours = (0..WEEK_H).map(|hour| weekly.days[hour / DAY_H] * weekly.hours[hour % DAY_H]).collect();
        Ok(Self { sizes, hours, bursts, parameters })
    }

    /// What was fitted.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Draws the size of a job: that of a job of the trace, with its run time moved up to half way towards that of the next shorter or
    /// longer one which is as wide, and its estimate with it. Means stay as they are, and no run time comes back again and again.
    pub(super) fn draw(&self, chance: &mut Chance) -> Size {
        let place = chance.part() * self.sizes.len() as f64;
        let index = (place as usize).min(self.sizes.len() - 1);
        let (of, towards) = (self.sizes[index], place - index as f64 - 0.5);
        let next = if towards < 0.0 { index.checked_sub(1) } else { Some(index + 1) };
        let next = next.and_then(|next| self.sizes.get(next));
        let Some(next) = next.filter(|next| next.processors == of.processors) else { return of };
        let between = |from: u64, to: u64| {
            let moved = from as f64 + (to as f64 - from as f64) * towards.abs();
            (moved + 0.5) as u64
        };
        let run_ms = between(of.run_ms, next.run_ms).max(1);
        let estimate_ms = between(of.estimate_ms, next.estimate_ms).max(run_ms);
        Size { processors: of.processors, run_ms, estimate_ms }
    }
}

fn size(job: &Job) -> Size {
    Size { processors: job.processors, run_ms: 1000 * job.run_s, estimate_ms: 1000 * job.estimate_s }
}

/// The parameters that sizes tell; the others are those of a trace without any burst.
fn of_sizes(sizes: &[Size]) -> Parameters {
    let jobs = sizes.len() as f64;
    let mut runs_s: Vec<u64> = sizes.iter().map(|size| size.run_ms / 1000).collect();
    runs_s.sort_unstable();
    let run_ms: u128 = sizes.iter().map(|size| u128::from(size.run_ms)).sum();
    let work = |size: &Size| u128::from(size.run_ms) * u128::from(size.processors);
    let mut widths: Vec<(u32, f64)> = sizes
        .chunk_by(|one, next| one.processors == next.processors)
        .map(|same| (same[0].processors, 100.0 * same.len() as f64 / jobs))
        .collect();
    widths.sort_by(|one, other| other.1.total_cmp(&one.1));
    widths.truncate(10);
    Parameters {
        jobs: sizes.len() as u64,
        weeks: 0,
        jobs_per_hour: 0.0,
        run_mean_s: run_ms as f64 / 1000.0 / jobs,
        run_percentiles_s: [5, 50, 95, 99].map(|percent| percentile(&runs_s, percent)),
        processor_mean_s: sizes.iter().map(work).sum::<u128>() as f64 / 1000.0 / jobs,
        processors_max: sizes.last().map_or(0, |size| size.processors),
        widths_percent: widths,
        days: [1.0; 7],
        hours: [1.0; DAY_H],
        bursts: Bursts { dispersion: 0.0, spell_variance: 0.0, spell_hours: 1.0, hour_variance: 0.0 },
    }
}

/// How many jobs came in each hour, and how many come by habit.
struct Weekly {
    /// The hour of the week of the first count.
    first: usize,
    /// Of whole weeks.
    counts: Vec<f64>,
    mean: f64,
    days: [f64; 7],
    hours: [f64; DAY_H],
}

impl Weekly {
    /// A habit has a factor for the day and one for the hour of the day. One for each of the 168 hours of the week would be bursts: they
    /// were few weeks.
    fn of(jobs: &[Job]) -> Result<Self, SyntheticError> {
        let hour_of = |job: &Job| job.submit_s / HOUR_S;
        let (begin, end) = (jobs.first().map_or(0, hour_of), jobs.last().map_or(0, |job| hour_of(job) + 1));
        let hours = usize::try_from(end - begin).unwrap_or(usize::MAX);
        let whole = hours / WEEK_H * WEEK_H;
        if !(WEEKS_MIN * WEEK_H..=super::HOURS_MAX as usize).contains(&whole) {
            return Err(SyntheticError::Weeks { hours: end - begin });
        }
        let mut counts = vec![0.0; whole];
        for job in jobs {
            let hour = usize::try_from(hour_of(job) - begin).unwrap_or(usize::MAX);
            if let Some(count) = counts.get_mut(hour) {
                *count += 1.0;
            }
        }
        let mean = counts.iter().sum::<f64>() / whole as f64;
        let first = usize::try_from(begin % WEEK_H as u64).unwrap_or(0);
        let (mut days, mut hours) = ([0.0; 7], [0.0; DAY_H]);
        for (hour, count) in (first..).zip(&counts) {
            days[hour / DAY_H % 7] += count / mean * 7.0 / whole as f64;
            hours[hour % DAY_H] += count / mean * DAY_H as f64 / whole as f64;
        }
        Ok(Self { first, counts, mean, days, hours })
    }

    fn bursts(&self) -> Bursts {
        let habit = |hour: usize| {
            let hour = self.first + hour;
            self.mean * self.days[hour / DAY_H % 7] * self.hours[hour % DAY_H]
        };
        let hours: Vec<(f64, f64)> =
            self.counts.iter().enumerate().map(|(hour, count)| (habit(hour), count - habit(hour))).collect();
        let beyond: f64 = hours.iter().map(|(habit, off)| off * off - habit).sum();
        let squares: f64 = hours.iter().map(|(habit, _)| habit * habit).sum();
        let dispersion = (beyond / squares).max(0.0);
        let together = |lag: usize| {
            let both = || hours.iter().zip(&hours[lag..]);
            let off: f64 = both().map(|(one, other)| one.1 * other.1).sum();
            off / both().map(|(one, other)| one.0 * other.0).sum::<f64>()
        };
        // Hours apart share the spell's factor alone, and the part k of spells that goes on to the next hour makes that
        // variance * k^lag. The second twelve lags are k^12 times the first twelve.
        let near: f64 = (1..=LAG_H).map(together).sum();
        let far: f64 = (LAG_H + 1..=2 * LAG_H).map(together).sum();
        if near <= 0.0 || dispersion == 0.0 {
            return Bursts { dispersion, spell_variance: 0.0, spell_hours: 1.0, hour_variance: dispersion };
        }
        let ratio = (far / near).max(1e-6);
        let keeps = chance::exp(chance::ln(ratio) / LAG_H as f64).min(KEEPS_MAX);
        let powers: f64 = (1..=LAG_H).map(|lag| keeps.powi(i32::try_from(lag).unwrap_or(0))).sum();
        let spell_variance = (near / powers).min(dispersion);
        Bursts {
            dispersion,
            spell_variance,
            spell_hours: 1.0 / (1.0 - keeps),
            hour_variance: (1.0 + dispersion) / (1.0 + spell_variance) - 1.0,
        }
    }
}
