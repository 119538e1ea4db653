// SPDX-License-Identifier: Apache-2.0
//! How members stand, reckoned a second time from the events that a node tells, for whoever trusts no node.
//!
//! It is another way to the same numbers than [`sta_decide::standing`]: what jobs would have done alone comes from [`crate::federate`],
//! given and taken from adding the times span by span, and what members want in a quantum from going through all jobs that wait or run
//! in it. The plain way is slower, and easier to believe. Only Karma's quantum itself is the same code, which has its own proofs.

use jiff::Timestamp;
use sta_decide::{
    federation::{Checkpoint, Federation, Sharing, SiteTerms, Terms, Work},
    karma::{Account, Karma, KarmaError},
    standing::QUANTA_MAX,
};

use self::told::{Event, Events, Time};
pub use self::{
    differences::Difference,
    told::{Balance, Credits, JOBS_MAX, Job, Kind, Member, SITES_MAX, Site, Span, Told},
};
use crate::federate::{self, Fate, Rules, Watch};

mod differences;
mod told;

/// How all stand, by the events alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The members in their order, for each of [`Kind::ALL`].
    pub balances: Vec<Vec<Standing>>,
    /// The jobs, in the order in which they were told.
    pub jobs: Vec<Alone>,
}

/// How a member stands, in processor-milliseconds as [`Member`] tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// What jobs of others had on its sites.
    pub given_ms: u128,
    /// What its own jobs had on sites of others.
    pub taken_ms: u128,
    /// Its credits.
    pub credits_ms: u64,
    /// How many jobs it has.
    pub jobs: u64,
    /// How many of them are later than they were to be.
    pub violations: u64,
}

/// What a job would have done without the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alone {
    /// Which site stands for its home.
    pub home_site: Option<usize>,
    /// When it would have begun, if before the end of the time.
    pub began_ms: Option<u64>,
    /// When it would have finished; nothing of one that has not.
    pub finished_ms: Option<u64>,
    /// Whether it is later than it was to be.
    pub is_late: bool,
}

/// Why what was told cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StandingError {
    /// A time that ends before it begins, or quanta of nothing, or too many.
    #[error(
        "it tells of {since} to {until} by quanta of {quantum_ms} ms: the time must not end before it begins, and has at most \
         {QUANTA_MAX} quanta of 1 ms or more"
    )]
    Time {
        /// Where it begins.
        since: Timestamp,
        /// Where it ends.
        until: Timestamp,
        /// How long a quantum is.
        quantum_ms: u64,
    },
    /// A moment that no node has seen.
    #[error("{of} is told with {at}, which is before 1970")]
    Before1970 {
        /// What has that moment.
        of: String,
        /// The moment.
        at: Timestamp,
    },
    /// More than is taken in.
    #[error("it tells of {count} {what}, and may tell of {count_max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        count_max: usize,
    },
    /// Times that no clock has.
    #[error("its jobs ran longer together than can be counted in milliseconds")]
    TooLong,
    /// The same name for two things.
    #[error("it tells of {what} `{name}` twice")]
    Twice {
        /// What has the name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A kind of processors of which nothing is said.
    #[error("it has no balance of {kind}")]
    NoBalance {
        /// The kind.
        kind: &'static str,
    },
    /// Numbers without the events behind them.
    #[error("it counts jobs and tells of none: there is nothing to replay")]
    NoJobs,
    /// A name of nothing.
    #[error("{of} `{whose}` names {what} `{name}`, of which it does not tell")]
    Unknown {
        /// What is named.
        what: &'static str,
        /// By which name.
        name: String,
        /// What names it.
        of: &'static str,
        /// Which of them.
        whose: String,
    },
    /// A job that begins before it comes, or ends before it begins.
    #[error(
        "job `{job}` has an event at {earlier} and the next at {later}: it comes, begins and ends in this order"
    )]
    Order {
        /// Which job.
        job: String,
        /// What comes first.
        earlier: Timestamp,
        /// What was told to come after it.
        later: Timestamp,
    },
    /// A job of nothing.
    #[error("job `{job}` has no processors: a job has one or more")]
    NoProcessors {
        /// Which job.
        job: String,
    },
    /// Credits that cannot be kept.
    #[error("credits cannot be kept by what it tells: {0}")]
    Credits(#[from] KarmaError),
}

/// Reckons from the events how all stand, without looking at what was told of it.
///
/// # Errors
/// The events cannot have been, or a number is beyond its limit.
pub fn replay(told: &Told) -> Result<Replayed, StandingError> {
    told.check()?;
    let time = told.time()?;
    let mut jobs = vec![Alone::default(); told.jobs.len()];
    let balance = |kind| {
        let events = told.events(kind)?;
        let alone = alone(time, &events);
        let mut members = given_and_taken(time, &events);
        for (member, credits_ms) in members.iter_mut().zip(credits(time, &told.credits, &events)?) {
            member.credits_ms = credits_ms;
        }
        for (event, alone) in events.jobs.iter().zip(alone) {
            members[event.member].jobs += 1;
            members[event.member].violations += u64::from(alone.is_late);
            jobs[event.place] = alone;
        }
        Ok(members)
    };
    let balances = Kind::ALL.into_iter().map(balance).collect::<Result<_, StandingError>>()?;
    Ok(Replayed { balances, jobs })
}

fn given_and_taken(time: Time, events: &Events) -> Vec<Standing> {
    let mut members = vec![Standing::default(); events.members];
    for job in &events.jobs {
        for span in &job.spans {
            let host = events.sites[span.site].0;
            let held_ms = both_ms((span.begin_ms, span.end_ms), (time.from_ms, time.until_ms));
            if host != job.member {
                members[host].given_ms += u128::from(held_ms) * u128::from(job.processors);
                members[job.member].taken_ms += u128::from(held_ms) * u128::from(job.processors);
            }
        }
    }
    members
}

/// How long two times have in common.
fn both_ms(one: (u64, u64), other: (u64, u64)) -> u64 {
    one.1.min(other.1).saturating_sub(one.0.max(other.0))
}

/// The first site of its member that could hold the job; where none could, the largest, of several the last.
fn home_site(job: &Event, events: &Events) -> Option<usize> {
    let own = || (0..events.sites.len()).filter(|site| events.sites[*site].0 == job.member);
    let first = own().find(|site| events.sites[*site].1 >= job.processors);
    first.or_else(|| own().max_by_key(|site| events.sites[*site].1))
}

/// Plays every site with its own jobs alone.
fn alone(time: Time, events: &Events) -> Vec<Alone> {
    // Of one that has not finished nobody knows how long it still runs: whenever it begins, it runs until the end of the time.
    let run_ms = |job: &Event| job.finished_ms.map_or(time.until_ms - job.submit_ms, |_| job.run_ms);
    let mut alone: Vec<Alone> = events
        .jobs
        .iter()
        .map(|job| Alone { home_site: home_site(job, events), ..Alone::default() })
        .collect();
    // What comes after the time does not begin in it.
    let comes = |place: &usize| events.jobs[*place].submit_ms < time.until_ms;
    let mut order: Vec<usize> = (0..alone.len()).filter(comes).collect();
    order.sort_by_key(|place| (events.jobs[*place].submit_ms, *place));
    let played = order.iter().filter_map(|place| {
        let (job, home) = (&events.jobs[*place], u16::try_from(alone[*place].home_site?).ok()?);
        let Event { processors, estimate_ms, submit_ms, .. } = *job;
        let work = Work { home, processors, estimate_ms, group: 0, checkpoint: Checkpoint::Never };
        Some((*place, federate::Job { submit_ms, run_ms: run_ms(job), work }))
    });
    let (places, played): (Vec<usize>, Vec<federate::Job>) = played.unzip();
    for (number, end_ms) in ends(events, played) {
        let place = places[number];
        let (job, alone) = (&events.jobs[place], &mut alone[place]);
        let began_ms = end_ms - run_ms(job);
        if began_ms < time.until_ms {
            alone.began_ms = Some(began_ms);
            alone.finished_ms = job.finished_ms.map(|_| end_ms);
            let due_ms = u128::from(began_ms) + u128::from(job.run_ms) + u128::from(job.later_ms_max);
            alone.is_late = u128::from(job.finished_ms.unwrap_or(time.until_ms)) > due_ms;
        }
    }
    alone
}

/// When each of these jobs ends, where its home could hold it.
fn ends(events: &Events, jobs: Vec<federate::Job>) -> Vec<(usize, u64)> {
    let sites = events.sites.iter().map(|(member, processors)| SiteTerms {
        // There are no more members than Karma keeps credits for.
        member: u16::try_from(*member).unwrap_or(u16::MAX),
        processors: *processors,
        takes: 0,
    });
    let rules = Rules {
        sharing: Sharing::Alone,
        terms: Terms { staging_ms: 0, restart_ms: 0, grace_ms: 0, unsaved_ms_max: 0 },
        sites: sites.collect(),
        patience_ms: None,
    };
    let mut ends = Ends(Vec::new());
    federate::play(&rules, jobs, &mut ends);
    ends.0
}

/// Tells when the jobs ended that are played.
struct Ends(Vec<(usize, u64)>);

impl Watch for Ends {
    fn held(&mut self, _: federate::Span) {}

    fn over(&mut self, fate: &Fate) {
        let number = usize::try_from(fate.index).unwrap_or(usize::MAX);
        self.0.extend(fate.end_ms.map(|end_ms| (number, end_ms)));
    }

    fn moment(&mut self, _: u64, _: &mut Federation) {}
}

/// The credits of each member, quantum by quantum: it contributes the time of its processors, and wants that of its jobs which wait or
/// run.
fn credits(time: Time, terms: &Credits, events: &Events) -> Result<Vec<u64>, KarmaError> {
    let account = |member: usize| {
        let own = events.sites.iter().filter(|(of, _)| *of == member);
        let processors: u64 = own.map(|(_, processors)| u64::from(*processors)).sum();
        let share = processors.saturating_mul(terms.quantum_ms);
        Account { share, credits: share.saturating_mul(u64::from(terms.quanta_at_start)) }
    };
    let mut karma = Karma::new(terms.guaranteed_ppm, (0..events.members).map(account).collect())?;
    let over_ms = |job: &Event| job.finished_ms.unwrap_or(time.until_ms);
    let mut order: Vec<&Event> = events.jobs.iter().collect();
    order.sort_by_key(|job| job.submit_ms);
    let mut coming = order.into_iter().peekable();
    let mut under_way: Vec<&Event> = Vec::new();
    for quantum in 0..time.quanta {
        let begin_ms = time.from_ms + quantum * terms.quantum_ms;
        let end_ms = begin_ms + terms.quantum_ms;
        under_way.extend(std::iter::from_fn(|| coming.next_if(|job| job.submit_ms < end_ms)));
        let mut wanted = vec![0u128; events.members];
        for job in &under_way {
            let waited_or_ran_ms = both_ms((job.submit_ms, over_ms(job)), (begin_ms, end_ms));
            wanted[job.member] += u128::from(waited_or_ran_ms) * u128::from(job.processors);
        }
        under_way.retain(|job| over_ms(job) > end_ms);
        let demands: Vec<u64> =
            wanted.into_iter().map(|wanted| u64::try_from(wanted).unwrap_or(u64::MAX)).collect();
        karma.quantum(&demands)?;
    }
    Ok(karma.accounts().iter().map(|account| account.credits).collect())
}
