// SPDX-License-Identifier: Apache-2.0
//! What a node tells of how members stand, as it is read from a file that anyone may have written: every name is looked up, every
//! limit and order checked, before anything is reckoned.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use sta_decide::{karma::MEMBERS_MAX, standing::QUANTA_MAX};

use super::StandingError;

/// The most jobs: five times what a node tells.
pub const JOBS_MAX: usize = 1_000_000;
/// The most sites.
pub const SITES_MAX: usize = 10_000;
/// The longest that all jobs together can have run, in milliseconds.
const RUN_MS_MAX: u64 = u64::MAX / 4;

/// All that a node tells: `GET /v1/standing?jobs=true`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Told {
    /// From when on it is counted.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How credits are reckoned.
    pub credits: Credits,
    /// The sites, in the treaty's order.
    pub sites: Vec<Site>,
    /// The balances, one for each kind of processors.
    pub balances: Vec<Balance>,
    /// Every job that was counted.
    #[serde(default)]
    pub jobs: Vec<Job>,
}

/// How credits are reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Credits {
    /// How long a quantum is, in milliseconds.
    pub quantum_ms: u64,
    /// What a member is guaranteed of its share in each quantum, in millionths.
    pub guaranteed_ppm: u32,
    /// With how many quanta of its share each member begins.
    pub quanta_at_start: u32,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Processor cores of jobs that ask for no accelerators.
    Cores,
    /// Accelerators.
    Accelerators,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cores, Self::Accelerators];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cores => "cores",
            Self::Accelerators => "accelerators",
        }
    }
}

/// A site and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Site {
    /// Its name.
    pub site: String,
    /// Whose it is.
    pub member: String,
    /// Its processor cores.
    pub cores: u32,
    /// Its accelerators.
    pub accelerators: u32,
}

impl Site {
    pub(super) fn processors(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Cores => self.cores,
            Kind::Accelerators => self.accelerators,
        }
    }
}

/// How members stand by one kind of processors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Balance {
    /// Which kind.
    pub processors: Kind,
    /// Each member, in the treaty's order.
    pub members: Vec<Member>,
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Which.
    pub member: String,
    /// Processor-milliseconds that jobs of others had on its sites.
    pub given_ms: u64,
    /// Processor-milliseconds that its jobs had on sites of others.
    pub taken_ms: u64,
    /// Its credits, in processor-milliseconds.
    pub credits_ms: u64,
    /// How many of its jobs were counted.
    pub jobs: u64,
    /// How many of them were later than they were to be; a node tells that of its own member alone.
    pub violations: Option<u64>,
}

/// A job and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Job {
    /// Which.
    pub job: String,
    /// Whose.
    pub home: String,
    /// The site that stands for home.
    pub home_site: Option<String>,
    /// What is counted of it.
    pub kind: Kind,
    /// How many of these it has.
    pub processors: u32,
    /// When it came.
    pub submitted_at: Timestamp,
    /// How long it said to run, in milliseconds.
    pub estimate_ms: u64,
    /// How long it ran without what was lost, in milliseconds.
    pub run_ms: u64,
    /// How much later than alone it may finish, in milliseconds.
    pub later_ms_max: u64,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// When it would have begun alone.
    pub alone_began_at: Option<Timestamp>,
    /// When it would have finished alone.
    pub alone_finished_at: Option<Timestamp>,
    /// Whether it is later than it was to be.
    pub is_late: bool,
    /// When and where it ran.
    pub spans: Vec<Span>,
}

/// A time in which a job had its processors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Span {
    /// Where.
    pub site: String,
    /// From when on.
    pub began_at: Timestamp,
    /// Until when; of one that still runs, a moment from the end of the time on.
    pub ended_at: Timestamp,
}

/// The time that is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time {
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
    pub(super) quanta: u64,
}

/// A job with its names looked up.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Its place in what was told.
    pub(super) place: usize,
    pub(super) member: usize,
    pub(super) processors: u32,
    pub(super) submit_ms: u64,
    pub(super) estimate_ms: u64,
    pub(super) run_ms: u64,
    pub(super) later_ms_max: u64,
    pub(super) finished_ms: Option<u64>,
    pub(super) spans: Vec<Held>,
}

/// Where and when a job had its processors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) site: usize,
    pub(super) begin_ms: u64,
    pub(super) end_ms: u64,
}

/// The events of one kind of processors, all of them possible.
#[derive(Debug, Clone)]
pub(super) struct Events {
    pub(super) members: usize,
    /// Whose each site is, and how many processors it has.
    pub(super) sites: Vec<(usize, u32)>,
    pub(super) jobs: Vec<Event>,
}

impl Told {
    pub(super) fn time(&self) -> Result<Time, StandingError> {
        let (from_ms, until_ms) = (ms("the time", self.since)?, ms("the time", self.until)?);
        let quantum_ms = self.credits.quantum_ms;
        let quanta = until_ms.checked_sub(from_ms).and_then(|span_ms| span_ms.checked_div(quantum_ms));
        match quanta {
            Some(quanta @ ..=QUANTA_MAX) => Ok(Time { from_ms, until_ms, quanta }),
            Some(_) | None => Err(StandingError::Time { since: self.since, until: self.until, quantum_ms }),
        }
    }

    /// The balance of that kind.
    pub(super) fn balance(&self, kind: Kind) -> Result<&Balance, StandingError> {
        let mut found = self.balances.iter().filter(|balance| balance.processors == kind);
        match (found.next(), found.next()) {
            (Some(balance), None) => Ok(balance),
            (Some(_), Some(_)) => {
                Err(StandingError::Twice { what: "balance", name: kind.as_str().to_owned() })
            }
            (None, _) => Err(StandingError::NoBalance { kind: kind.as_str() }),
        }
    }

    /// What is wrong with all of it, whatever the kind: too much, something twice, or no jobs where some were counted.
    pub(super) fn check(&self) -> Result<(), StandingError> {
        let members = self.balances.iter().map(|balance| balance.members.len()).max().unwrap_or(0);
        for (what, count, count_max) in [
            ("jobs", self.jobs.len(), JOBS_MAX),
            ("sites", self.sites.len(), SITES_MAX),
            ("members", members, MEMBERS_MAX),
        ] {
            if count > count_max {
                return Err(StandingError::TooMany { what, count, count_max });
            }
        }
        let counted = self.balances.iter().flat_map(|balance| &balance.members).any(|member| member.jobs > 0);
        if self.jobs.is_empty() && counted {
            return Err(StandingError::NoJobs);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.jobs.iter().find(|job| !seen.insert(job.job.as_str())) {
            return Err(StandingError::Twice { what: "job", name: twice.job.clone() });
        }
        let run_ms = self.jobs.iter().try_fold(0u64, |sum, job| sum.checked_add(job.run_ms));
        if run_ms.is_none_or(|run_ms| run_ms > RUN_MS_MAX) {
            return Err(StandingError::TooLong);
        }
        Ok(())
    }

    pub(super) fn events(&self, kind: Kind) -> Result<Events, StandingError> {
        let balance = self.balance(kind)?;
        let members = places("member", balance.members.iter().map(|member| member.member.as_str()))?;
        let sites = places("site", self.sites.iter().map(|site| site.site.as_str()))?;
        let of_site = |site: &Site| {
            let member = found(&members, "member", &site.member, "site", &site.site)?;
            Ok((member, site.processors(kind)))
        };
        let jobs = self.jobs.iter().enumerate().filter(|(_, job)| job.kind == kind);
        Ok(Events {
            members: members.len(),
            sites: self.sites.iter().map(of_site).collect::<Result<_, StandingError>>()?,
            jobs: jobs
                .map(|(place, job)| job.event(place, &members, &sites))
                .collect::<Result<_, StandingError>>()?,
        })
    }
}

impl Job {
    fn event(
        &self,
        place: usize,
        members: &BTreeMap<&str, usize>,
        sites: &BTreeMap<&str, usize>,
    ) -> Result<Event, StandingError> {
        let at = |moment: Timestamp| ms(&self.job, moment);
        let in_order = |earlier: Timestamp, later: Timestamp| {
            let refused = || StandingError::Order { job: self.job.clone(), earlier, later };
            if earlier > later { Err(refused()) } else { Ok(()) }
        };
        let span = |span: &Span| {
            in_order(self.submitted_at, span.began_at)?;
            in_order(span.began_at, span.ended_at)?;
            let site = found(sites, "site", &span.site, "job", &self.job)?;
            Ok(Held { site, begin_ms: at(span.began_at)?, end_ms: at(span.ended_at)? })
        };
        if self.processors == 0 {
            return Err(StandingError::NoProcessors { job: self.job.clone() });
        }
        if let Some(finished_at) = self.finished_at {
            in_order(self.submitted_at, finished_at)?;
        }
        Ok(Event {
            place,
            member: found(members, "member", &self.home, "job", &self.job)?,
            processors: self.processors,
            submit_ms: at(self.submitted_at)?,
            estimate_ms: self.estimate_ms,
            run_ms: self.run_ms,
            later_ms_max: self.later_ms_max,
            finished_ms: self.finished_at.map(at).transpose()?,
            spans: self.spans.iter().map(span).collect::<Result<_, StandingError>>()?,
        })
    }
}

/// Where each name stands; none may stand there twice.
fn places<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<&'a str, usize>, StandingError> {
    let mut places = BTreeMap::new();
    for (place, name) in names.enumerate() {
        if places.insert(name, place).is_some() {
            return Err(StandingError::Twice { what, name: name.to_owned() });
        }
    }
    Ok(places)
}

fn found(
    places: &BTreeMap<&str, usize>,
    what: &'static str,
    name: &str,
    of: &'static str,
    whose: &str,
) -> Result<usize, StandingError> {
    let unknown = || StandingError::Unknown { what, name: name.to_owned(), of, whose: whose.to_owned() };
    places.get(name).copied().ok_or_else(unknown)
}

/// Milliseconds since 1970.
fn ms(of: &str, at: Timestamp) -> Result<u64, StandingError> {
    u64::try_from(at.as_millisecond()).map_err(|_| StandingError::Before1970 { of: of.to_owned(), at })
}
