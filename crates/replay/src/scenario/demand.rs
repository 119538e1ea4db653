// SPDX-License-Identifier: Apache-2.0
//! What is asked of the sites: parts of traces, moved to the days of the scenario, and each job's class.

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use jiff::{civil::Date, tz::TimeZone};

use super::{
    Class, Job, ScenarioError,
    raw::{RawScenario, RawWorkload},
    source::Source,
};
use crate::trace::{self, JOBS_MAX, Trace};

const MS: u64 = 1000;
const HOUR_MS: i64 = 3_600_000;
const WEEK_S: u64 = 7 * 86_400;
/// The furthest that local time is from UTC anywhere.
const OFFSET_H_MAX: i64 = 14;
/// The years whose days a scenario may have.
const YEARS: Range<i16> = 1971..2200;

/// All jobs, and what they come to.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// In the order in which they come.
    pub(super) jobs: Vec<Job>,
    /// Processor-seconds and the span in which they came, of each site.
    pub(super) of_sites: Vec<OfSite>,
}

/// What is asked of one site.
#[derive(Debug, Clone, Default)]
pub(super) struct OfSite {
    pub(super) processor_s: u128,
    pub(super) span_ms: Option<Range<u64>>,
}

/// Reads the workloads of sites with these ids.
pub(super) fn read(
    source: &Source,
    raw: &RawScenario,
    sites: &[&str],
    classes: &[Class],
) -> Result<Demand, ScenarioError> {
    let mut demand = Demand { jobs: Vec::new(), of_sites: vec![OfSite::default(); sites.len()] };
    let mut traces: BTreeMap<PathBuf, Trace> = BTreeMap::new();
    for (place, workload) in raw.workloads.iter().enumerate() {
        let key = |name: &str| format!("workloads[{place}].{name}");
        let Some(site) = sites.iter().position(|id| *id == workload.site) else {
            return source.refuse(
                key("site"),
                format!("`{}` is no site; there are {}", workload.site, sites.join(", ")),
            );
        };
        let path = source.beside(&workload.trace);
        if !traces.contains_key(&path) {
            let trace = Trace::open(&path).map_err(|cause| source.trace(key("trace"), &path, cause))?;
            traces.insert(path.clone(), trace);
        }
        let part = part(source, &key, workload, &traces[&path])?;
        let begin_ms = begin_ms(source, &key, raw, workload)?;
        let dealer = Dealer { seed: mixed(raw.seed ^ mixed(place as u64)), classes };
        let moved = Moved { part: part.span_s, begin_ms, site, dealer };
        add(&mut demand, part.jobs, &moved);
        if demand.jobs.len() > JOBS_MAX {
            return source.refuse(
                key("trace"),
                format!("with it there are more than {JOBS_MAX} jobs: take a shorter part"),
            );
        }
    }
    demand.jobs.sort_by_key(|job| job.submit_ms);
    Ok(demand)
}

/// A part of a trace on its way to the days of the scenario.
struct Moved<'a> {
    part: Range<u64>,
    begin_ms: u64,
    site: usize,
    dealer: Dealer<'a>,
}

fn add(demand: &mut Demand, jobs: Vec<&trace::Job>, moved: &Moved) {
    let of_site = &mut demand.of_sites[moved.site];
    let end_ms = moved.begin_ms + (moved.part.end - moved.part.start) * MS;
    let span = of_site.span_ms.get_or_insert(moved.begin_ms..end_ms);
    *span = span.start.min(moved.begin_ms)..span.end.max(end_ms);
    for (number, job) in (0..).zip(jobs) {
        of_site.processor_s += u128::from(job.run_s) * u128::from(job.processors);
        demand.jobs.push(Job {
            submit_ms: moved.begin_ms + (job.submit_s - moved.part.start) * MS,
            run_ms: job.run_s * MS,
            estimate_ms: job.estimate_s * MS,
            processors: job.processors,
            site: moved.site,
            class: moved.dealer.class(number),
        });
    }
}

/// Some jobs of a trace and the seconds of it in which they came.
struct Part<'a> {
    span_s: Range<u64>,
    jobs: Vec<&'a trace::Job>,
}

fn part<'a>(
    source: &Source,
    key: &dyn Fn(&str) -> String,
    workload: &RawWorkload,
    trace: &'a Trace,
) -> Result<Part<'a>, ScenarioError> {
    let last_s = trace.jobs.last().map_or(0, |job| job.submit_s);
    let RawWorkload { from_s, until_s, week_1_s, from_week, until_week, .. } = workload;
    let span_s = match (from_s, until_s, week_1_s, from_week, until_week) {
        (None, None, None, None, None) => 0..last_s + 1,
        (Some(from_s), Some(until_s), None, None, None) => *from_s..*until_s,
        (None, None, Some(first_s), Some(from), Some(until)) => {
            let Some(before) = from.checked_sub(1) else {
                return source.refuse(key("from_week"), "weeks are counted from 1".to_owned());
            };
            let at_s = |weeks: u64| first_s.saturating_add(weeks.saturating_mul(WEEK_S));
            at_s(before)..at_s(*until)
        }
        _ => {
            let said = "name the part of the trace by `from_s` and `until_s`, or by `week_1_s`, `from_week` and `until_week`, or by none \
                        of them for all of it";
            return source.refuse(key("from_s"), said.to_owned());
        }
    };
    let keep_one_in = workload.keep_one_in.unwrap_or(1);
    if keep_one_in == 0 {
        return source
            .refuse(key("keep_one_in"), "use 1 to keep every job, 2 to keep every second".to_owned());
    }
    let within = trace.jobs.iter().filter(|job| span_s.contains(&job.submit_s));
    let jobs: Vec<&trace::Job> =
        (0..).zip(within).filter(|(n, _)| n % keep_one_in == 0).map(|(_, job)| job).collect();
    if jobs.is_empty() {
        let first_s = trace.jobs.first().map_or(0, |job| job.submit_s);
        let said = format!(
            "no job came from second {} to {} of `{}`, whose jobs came from {first_s} to {last_s}",
            span_s.start, span_s.end, workload.trace
        );
        return source.refuse(key("trace"), said);
    }
    if span_s.end > last_s + WEEK_S {
        let said = format!(
            "it ends at second {}, and the last job of `{}` came at {last_s}: end it a week after that at the latest",
            span_s.end, workload.trace
        );
        return source.refuse(key(if until_s.is_some() { "until_s" } else { "until_week" }), said);
    }
    Ok(Part { span_s, jobs })
}

/// When a workload begins, in milliseconds since 1970.
fn begin_ms(
    source: &Source,
    key: &dyn Fn(&str) -> String,
    raw: &RawScenario,
    workload: &RawWorkload,
) -> Result<u64, ScenarioError> {
    let local_ms = match &workload.start {
        Some(day) => day_ms(day).map_err(|said| source.key(key("start"), said))?,
        None => day_ms(&raw.start).map_err(|said| source.key("start".to_owned(), said))?,
    };
    let offset_h = workload.utc_offset_h;
    if !(-OFFSET_H_MAX..=OFFSET_H_MAX).contains(&offset_h) {
        let said =
            format!("no local time is {offset_h} hours from UTC: use -{OFFSET_H_MAX} to {OFFSET_H_MAX}");
        return source.refuse(key("utc_offset_h"), said);
    }
    Ok(u64::try_from(local_ms - offset_h * HOUR_MS).unwrap_or(0))
}

/// The day as it is written.
pub(super) fn day(text: &str) -> Result<Date, String> {
    let day = text.parse::<Date>().ok().filter(|day| YEARS.contains(&day.year()));
    day.ok_or_else(|| {
        format!("`{text}` is no day from {} to {}: write it such as 2024-04-01", YEARS.start, YEARS.end - 1)
    })
}

/// When it begins in UTC.
pub(super) fn midnight_ms(day: Date) -> i64 {
    // No day of these years is out of range.
    day.to_zoned(TimeZone::UTC).map_or(0, |midnight| midnight.timestamp().as_millisecond())
}

fn day_ms(text: &str) -> Result<i64, String> {
    day(text).map(midnight_ms)
}

/// Gives each job of a workload its class: by chance, but the same each time, whatever other workloads there are. A larger share
/// keeps all jobs that the class had.
struct Dealer<'a> {
    seed: u64,
    classes: &'a [Class],
}

impl Dealer<'_> {
    fn class(&self, number: u64) -> usize {
        let percent = mixed(self.seed ^ number) % 100;
        let mut below = 0;
        let found = self.classes.iter().position(|class| {
            below += u64::from(class.share_percent);
            percent < below
        });
        found.unwrap_or(0)
    }
}

/// A number that looks like chance (Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
