// SPDX-License-Identifier: Apache-2.0
//! Standing: of what this node recorded, what members gave each other, and what each job would have done without the others.
//!
//! A node knows all jobs of its own member and those that its sites took for others, and no others: its own balance is whole, and
//! of the other members it has the part that it saw.

use std::sync::Arc;

use sta_decide::standing::{Alone, Job, Site, Span, Standing, StandingError, Terms};
use sta_protocol::{
    ids::{JobId, MemberId, SiteId},
    treaty::{self, Resources, Sharing, Treaty},
};

use super::StepError;
use crate::{
    node::Node,
    store::{
        StoreError,
        spans::{self, Event},
    },
    worker,
};

/// The most jobs of this member, and of its guests, that are looked at: the newest.
const JOBS_MAX: u32 = 100_000;
/// What reading and playing one job is worth in bytes read.
const JOB_BYTES: u64 = 256;
/// A quantum of credits: a quarter of an hour.
const QUANTUM_MS: u64 = 900_000;
/// The most quanta that are looked back: two years and ten months.
const QUANTA_MAX: u64 = 100_000;
/// With how many quanta of its share each member begins: a day.
const QUANTA_AT_START: u32 = 96;
/// How long a site may take from a job's turn until it begins, which alone is played as nothing: the looks of the node and of a cluster's
/// scheduler, in milliseconds.
const BEGIN_MS: u64 = 60_000;
/// All of a member's share is guaranteed to it.
const GUARANTEED_PPM: u32 = 1_000_000;

/// What is counted. A job that asks for accelerators counts by these, any other by its cores: no sum adds both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// By which a job counts that asks for so much.
    #[must_use]
    pub fn of(demand: Resources) -> Self {
        if demand.gpus > 0 { Self::Accelerators } else { Self::Cores }
    }

    /// How many of them are there.
    #[must_use]
    pub fn count(self, resources: Resources) -> u32 {
        match self {
            Self::Cores => resources.cpu_cores,
            Self::Accelerators => resources.gpus,
        }
    }
}

/// How members stand, by one kind of processors.
#[derive(Debug, Clone)]
pub struct Balance {
    /// Which.
    pub kind: Kind,
    /// Each member of the treaty, in its order.
    pub members: Vec<(MemberId, sta_decide::standing::Member)>,
    /// Each job that counts so.
    pub jobs: Vec<JobStanding>,
}

/// A job with what it would have done without the others.
#[derive(Debug, Clone)]
pub struct JobStanding {
    /// Which.
    pub id: JobId,
    /// Whose.
    pub home: MemberId,
    /// The site that stands for home: the first of its member's, in the treaty's order, that could hold the job, and where none
    /// could, the largest.
    pub home_site: Option<SiteId>,
    /// What was played.
    pub job: Job,
    /// What came out of it.
    pub alone: Alone,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Standings {
    /// From when on and until now, and how credits are reckoned.
    pub terms: Terms,
    /// The treaty's sites: where a job's times name a site, they mean its place here.
    pub sites: Vec<treaty::Site>,
    /// By cores and by accelerators.
    pub balances: Vec<Balance>,
    /// Jobs that ended before their times were kept.
    pub not_counted: u32,
}

impl Standings {
    /// One job, if it counts.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<(Kind, &JobStanding)> {
        let found = |balance: &'_ Balance| balance.jobs.iter().position(|one| one.id == job);
        self.balances.iter().find_map(|balance| Some((balance.kind, &balance.jobs[found(balance)?])))
    }
}

/// Reckons how members stand now.
///
/// # Errors
/// The store cannot be read, or holds events that cannot be.
pub async fn now(node: &Arc<Node>) -> Result<Standings, StepError> {
    let (jobs, until_ms) = (node.store.read(spans::count)?, node.outside.now_ms());
    let node = Arc::clone(node);
    // It reads and plays all of them: too long for a thread that others wait for, where they are many.
    worker::beside(jobs.saturating_mul(JOB_BYTES), move || reckoned(&node, until_ms)).await
}

fn reckoned(node: &Node, until_ms: u64) -> Result<Standings, StepError> {
    let member = node.member().clone();
    let events = node.store.read(|connection| {
        let mut events = spans::own(connection, &member, JOBS_MAX)?;
        events.extend(spans::guests(connection, &member, JOBS_MAX)?);
        Ok(events)
    })?;
    let all = events.len();
    let known: Vec<Event> = events.into_iter().filter(|event| !is_from_before(event)).collect();
    let not_counted = u32::try_from(all - known.len()).unwrap_or(u32::MAX);
    let first_ms = known.iter().map(|event| event.submit_ms).min().unwrap_or(until_ms).min(until_ms);
    let from_ms = first_ms.max(until_ms.saturating_sub(QUANTA_MAX * QUANTUM_MS));
    let terms = Terms {
        from_ms,
        until_ms,
        quantum_ms: QUANTUM_MS,
        guaranteed_ppm: GUARANTEED_PPM,
        quanta_at_start: QUANTA_AT_START,
    };
    let damaged = |error: StandingError| StoreError::Damaged { what: "event", problem: error.to_string() };
    let balances = Kind::ALL.map(|kind| balance(&node.treaty, kind, &terms, &known).map_err(damaged));
    let balances = balances.into_iter().collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Standings { terms, sites: node.treaty.sites.clone(), balances, not_counted })
}

/// A job that ran and is over, of which nobody kept when: it ended under an earlier version.
fn is_from_before(event: &Event) -> bool {
    event.is_over && event.spans.is_empty() && event.end_ms.is_none_or(|end_ms| end_ms > event.submit_ms)
}

fn balance(treaty: &Treaty, kind: Kind, terms: &Terms, events: &[Event]) -> Result<Balance, StandingError> {
    let place_of = |member: &MemberId| treaty.members.iter().position(|known| known.id == *member);
    let site = |site: &treaty::Site| Site {
        member: place_of(&site.member).unwrap_or(usize::MAX),
        processors: kind.count(site.resources),
    };
    let mut sites: Vec<Site> = treaty.sites.iter().map(site).collect();
    // Where a member without a site of its own is at home: nowhere that anything could begin.
    sites.extend((0..treaty.members.len()).map(|member| Site { member, processors: 0 }));
    let mut jobs = Vec::new();
    for event in events.iter().filter(|event| Kind::of(event.demand) == kind) {
        // Of a member that a later treaty has no more.
        let Some(member) = place_of(&event.home) else { continue };
        let wanted = kind.count(event.demand);
        let home = home_site(&treaty.sites, &event.home, kind, wanted);
        let job = job(treaty, event, home.unwrap_or(treaty.sites.len() + member), wanted, terms.until_ms);
        let home_site = home.map(|place| treaty.sites[place].id.clone());
        jobs.push((event.job, event.home.clone(), home_site, job));
    }
    let played: Vec<Job> = jobs.iter().map(|(.., job)| job.clone()).collect();
    let standing = Standing::of(terms, treaty.members.len(), &sites, &played)?;
    let members = treaty.members.iter().map(|member| member.id.clone()).zip(standing.members).collect();
    let with = |((id, home, home_site, job), alone)| JobStanding { id, home, home_site, job, alone };
    Ok(Balance { kind, members, jobs: jobs.into_iter().zip(standing.jobs).map(with).collect() })
}

/// The first site of the member that could hold the job, in the treaty's order; where none could, the largest.
fn home_site(sites: &[treaty::Site], member: &MemberId, kind: Kind, wanted: u32) -> Option<usize> {
    let own = || sites.iter().enumerate().filter(|(_, site)| site.member == *member);
    let size = |(_, site): &(usize, &treaty::Site)| kind.count(site.resources);
    let first = own().find(|site| size(site) >= wanted);
    first.or_else(|| own().max_by_key(size)).map(|(place, _)| place)
}

fn job(treaty: &Treaty, event: &Event, home: usize, processors: u32, until_ms: u64) -> Job {
    let place = |site: &SiteId| treaty.sites.iter().position(|known| known.id == *site);
    let span = |span: &spans::Span| {
        // The clock of the host or of its cluster may be behind, or count in seconds: nothing runs before it was submitted. It is moved
        // and not cut, for how long it ran is what the host's side counts too, and what one gives another takes to the millisecond.
        let begin_ms = span.begin_ms.max(event.submit_ms);
        let end_ms = span.end_ms.map(|end_ms| end_ms.saturating_add(begin_ms - span.begin_ms));
        Some(Span { site: place(&span.site)?, begin_ms, end_ms: end_ms.unwrap_or(until_ms).max(begin_ms) })
    };
    let spans: Vec<Span> = event.spans.iter().filter_map(span).collect();
    let length = |span: &Span| span.end_ms - span.begin_ms;
    let run_ms = if event.saves { spans.iter().map(length).sum() } else { spans.last().map_or(0, length) };
    let finished_ms = event.is_over.then(|| event.end_ms.unwrap_or(event.submit_ms).max(event.submit_ms));
    let is_abroad = |span: &Span| treaty.sites[span.site].member != event.home;
    Job {
        home,
        processors,
        submit_ms: event.submit_ms,
        estimate_ms: event.estimate_ms.unwrap_or(run_ms),
        run_ms,
        finished_ms,
        // One that came home before it ran abroad waited there.
        later_ms_max: later_ms(
            treaty.sharing,
            event.reclaimed,
            event.reclaimed > 0 || spans.iter().any(is_abroad),
        ),
        spans,
    }
}

/// How much later than alone a job may finish: a site does not begin it at once, guests have their grace to leave for it, abroad its
/// files had to be brought in, and each notice cost its grace and a restart.
fn later_ms(sharing: Option<Sharing>, reclaimed: u32, is_abroad: bool) -> u64 {
    let Some(Sharing { grace_s, staging_s, restart_s, .. }) = sharing else { return BEGIN_MS };
    let each_s = u64::from(grace_s) + u64::from(restart_s);
    let abroad_s = if is_abroad { u64::from(staging_s) + u64::from(reclaimed) * each_s } else { 0 };
    BEGIN_MS + (u64::from(grace_s) + abroad_s) * 1000
}
