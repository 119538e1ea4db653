// SPDX-License-Identifier: Apache-2.0
//! How members stand towards each other after a time of sharing: what each gave and took, what credits that is worth, and which jobs
//! finished later than they would have without the others.
//!
//! Of recorded events alone, in whole numbers: a node, its peer and a replay of the same events agree to the last digit. What a job
//! would have done without the others comes from its home site played alone, with the site's own jobs and EASY backfilling
//! ([`crate::pool`]); credits come from [`crate::karma`].

use std::collections::BTreeMap;

use crate::{
    karma::{Account, Karma, KarmaError},
    pool::{Discipline, Pool, Request, Running},
};

/// The most quanta: three years of quarters of an hour.
pub const QUANTA_MAX: u64 = 105_408;

/// The time that is looked at, and how credits are reckoned in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Where it begins, in milliseconds since 1970, as all moments here.
    pub from_ms: u64,
    /// Where it ends: what is not yet finished has been waited for until now.
    pub until_ms: u64,
    /// How long a quantum of credits is. One that is not over yet counts for nothing.
    pub quantum_ms: u64,
    /// What a member is guaranteed of its share in each quantum, in millionths.
    pub guaranteed_ppm: u32,
    /// With how many quanta of its share in credits each member begins.
    pub quanta_at_start: u32,
}

/// A site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Whose it is: a place in the list of members.
    pub member: usize,
    /// How many processors it has.
    pub processors: u32,
}

/// A time in which a job held its processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where: a place in the list of sites.
    pub site: usize,
    /// From when on.
    pub begin_ms: u64,
    /// Until when; of one that still runs, any moment from the end of the time on.
    pub end_ms: u64,
}

/// A job and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its home: a place in the list of sites, of which the member's it is.
    pub home: usize,
    /// How many processors it wants.
    pub processors: u32,
    /// When it came.
    pub submit_ms: u64,
    /// How long it said to run.
    pub estimate_ms: u64,
    /// How long it has to run where nobody takes it away: without the work that was lost and done again. Of one that has not
    /// finished, what it has done so far and has not lost.
    pub run_ms: u64,
    /// When it finished.
    pub finished_ms: Option<u64>,
    /// How much later than alone it may finish, as its member was told.
    pub later_ms_max: u64,
    /// Where it ran, in any order.
    pub spans: Vec<Span>,
}

/// What a job would have done without the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alone {
    /// When it would have begun; nothing where that is not before the end of the time, or where it wants more than its home has.
    pub begin_ms: Option<u64>,
    /// When it would have finished; nothing where it has not finished yet.
    pub finish_ms: Option<u64>,
    /// Whether it is later than it was to be: it finished too late, or has done too little to be in time still.
    pub late: bool,
}

/// How a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Member {
    /// Processor-milliseconds that jobs of others had on its sites, within the time.
    pub given_ms: u128,
    /// Processor-milliseconds that its own jobs had on sites of others.
    pub taken_ms: u128,
    /// Its credits, in processor-milliseconds.
    pub credits_ms: u64,
    /// How many jobs it has.
    pub jobs: u64,
    /// How many of them are later than they were to be.
    pub late: u64,
}

/// How all stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Each member, in their order.
    pub members: Vec<Member>,
    /// Each job, in their order.
    pub jobs: Vec<Alone>,
    /// How many quanta the credits are of.
    pub quanta: u64,
}

/// Why nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StandingError {
    /// A time that ends before it begins, or quanta of nothing, or too many.
    #[error(
        "from {from_ms} to {until_ms} ms by quanta of {quantum_ms} ms: let the time not end before it begins, and have at most \
         {QUANTA_MAX} quanta of 1 ms or more"
    )]
    Time {
        /// Where it begins.
        from_ms: u64,
        /// Where it ends.
        until_ms: u64,
        /// How long a quantum is.
        quantum_ms: u64,
    },
    /// A site of nobody.
    #[error("site {site} is of member {member}, and there are {members}, counted from 0")]
    Member {
        /// Which site.
        site: usize,
        /// Whose it is to be.
        member: usize,
        /// How many there are.
        members: usize,
    },
    /// A job on a site that is not there.
    #[error("job {job} names site {site}, and there are {sites}, counted from 0")]
    Site {
        /// Which job.
        job: usize,
        /// Where it is to be.
        site: usize,
        /// How many there are.
        sites: usize,
    },
    /// A job that begins before it comes, or ends before it begins.
    #[error(
        "job {job} has an event at {begin_ms} ms and the next at {end_ms} ms: it comes, begins and ends in this order"
    )]
    Order {
        /// Which job.
        job: usize,
        /// What comes first.
        begin_ms: u64,
        /// What was recorded to be before that.
        end_ms: u64,
    },
    /// Credits that cannot be kept.
    #[error(
        "credits cannot be kept: {0}; here a slice is a processor for a millisecond, and shorter quanta have fewer"
    )]
    Karma(#[from] KarmaError),
}

impl Standing {
    /// Adds up the events of so many members.
    ///
    /// # Errors
    /// An event names what is not there or is out of order, or a number is beyond its limit.
    pub fn of(terms: &Terms, members: usize, sites: &[Site], jobs: &[Job]) -> Result<Self, StandingError> {
        let quanta = check(terms, members, sites, jobs)?;
        let mut standing =
            Self { members: vec![Member::default(); members], jobs: alone(terms, sites, jobs), quanta };
        for (job, alone) in jobs.iter().zip(&standing.jobs) {
            let home = sites[job.home].member;
            standing.members[home].jobs += 1;
            standing.members[home].late += u64::from(alone.late);
            for span in job.spans.iter().filter(|span| sites[span.site].member != home) {
                let (begin_ms, end_ms) = (span.begin_ms.max(terms.from_ms), span.end_ms.min(terms.until_ms));
                let held_ms = u128::from(end_ms.saturating_sub(begin_ms)) * u128::from(job.processors);
                standing.members[home].taken_ms += held_ms;
                standing.members[sites[span.site].member].given_ms += held_ms;
            }
        }
        for (member, credits_ms) in
            standing.members.iter_mut().zip(credits(terms, members, sites, jobs, quanta)?)
        {
            member.credits_ms = credits_ms;
        }
        Ok(standing)
    }
}

/// How many quanta there are, once nothing is found wrong.
fn check(terms: &Terms, members: usize, sites: &[Site], jobs: &[Job]) -> Result<u64, StandingError> {
    let Terms { from_ms, until_ms, quantum_ms, .. } = *terms;
    let quanta = until_ms.checked_sub(from_ms).and_then(|span_ms| span_ms.checked_div(quantum_ms));
    let Some(quanta @ ..=QUANTA_MAX) = quanta else {
        return Err(StandingError::Time { from_ms, until_ms, quantum_ms });
    };
    if let Some((site, of)) = sites.iter().enumerate().find(|(_, site)| site.member >= members) {
        return Err(StandingError::Member { site, member: of.member, members });
    }
    for (job, of) in jobs.iter().enumerate() {
        let mut named = of.spans.iter().map(|span| span.site).chain([of.home]);
        if let Some(site) = named.find(|site| *site >= sites.len()) {
            return Err(StandingError::Site { job, site, sites: sites.len() });
        }
        let spans = of.spans.iter();
        let spans = spans.flat_map(|span| [(of.submit_ms, span.begin_ms), (span.begin_ms, span.end_ms)]);
        let mut times = spans.chain(of.finished_ms.map(|finished_ms| (of.submit_ms, finished_ms)));
        if let Some((begin_ms, end_ms)) = times.find(|(begin_ms, end_ms)| begin_ms > end_ms) {
            return Err(StandingError::Order { job, begin_ms, end_ms });
        }
    }
    Ok(quanta)
}

/// What each job would have done without the others.
fn alone(terms: &Terms, sites: &[Site], jobs: &[Job]) -> Vec<Alone> {
    let mut alone = vec![Alone::default(); jobs.len()];
    for (place, site) in sites.iter().enumerate() {
        // One that wants more than its home has never begins alone, and changes nothing for the others: where a job runs longer than it
        // said, whoever waits behind it begins when somebody next comes or ends, and that must not be one who is not there.
        let holds = |job: &Job| job.home == place && job.processors <= site.processors;
        let mut own: Vec<usize> = (0..jobs.len()).filter(|job| holds(&jobs[*job])).collect();
        own.sort_by_key(|job| (jobs[*job].submit_ms, *job));
        play(site.processors, jobs, &own, terms.until_ms, &mut alone);
    }
    for (job, alone) in jobs.iter().zip(&mut alone) {
        // Of one that still waits or runs, what it has done would alone have been done so long ago: it can only fall further behind.
        let due_ms = |begin_ms: u64| begin_ms.saturating_add(job.run_ms).saturating_add(job.later_ms_max);
        alone.late = alone
            .begin_ms
            .is_some_and(|begin_ms| job.finished_ms.unwrap_or(terms.until_ms) > due_ms(begin_ms));
        alone.finish_ms = alone
            .begin_ms
            .filter(|_| job.finished_ms.is_some())
            .map(|begin_ms| begin_ms.saturating_add(job.run_ms));
    }
    alone
}

/// Plays the jobs of a site, in the order in which they came, on nothing but its own processors.
fn play(processors: u32, jobs: &[Job], own: &[usize], until_ms: u64, alone: &mut [Alone]) {
    let mut pool = Pool::new(processors, Discipline::Easy);
    let mut running: BTreeMap<(u64, u64), Running> = BTreeMap::new();
    // Whoever has all of them in memory has fewer than 2^32.
    let mut coming = (0u32..).zip(own).peekable();
    loop {
        let submitted = coming.peek().map(|(_, job)| jobs[**job].submit_ms);
        let ended = running.first_key_value().map(|((end_ms, _), _)| *end_ms);
        let Some(now_ms) = submitted.into_iter().chain(ended).min().filter(|now_ms| *now_ms < until_ms)
        else {
            return;
        };
        while let Some(entry) = running.first_entry().filter(|entry| entry.key().0 == now_ms) {
            pool.end(now_ms, entry.remove());
        }
        while let Some((number, job)) = coming.next_if(|(_, job)| jobs[**job].submit_ms == now_ms) {
            let Job { processors, estimate_ms, .. } = jobs[*job];
            // Only jobs that its site can hold are played.
            let _ = pool.submit(Request { job: number, processors, estimate_ms, group: 0 });
        }
        while let Some(job) = pool.begin(now_ms) {
            let of = own[job.job() as usize];
            alone[of].begin_ms = Some(now_ms);
            // Nobody knows how long one still runs that has not finished.
            let end_ms = jobs[of].finished_ms.map_or(u64::MAX, |_| now_ms.saturating_add(jobs[of].run_ms));
            running.insert((end_ms, job.sequence()), job);
        }
    }
}

/// The credits of each member: in each quantum it contributes the time of its processors, and wants that of the jobs of its own that
/// wait or run.
fn credits(
    terms: &Terms,
    members: usize,
    sites: &[Site],
    jobs: &[Job],
    quanta: u64,
) -> Result<Vec<u64>, StandingError> {
    let mut accounts = vec![Account { share: 0, credits: 0 }; members];
    for site in sites {
        let account = &mut accounts[site.member];
        account.share =
            account.share.saturating_add(u64::from(site.processors).saturating_mul(terms.quantum_ms));
        account.credits = account.share.saturating_mul(u64::from(terms.quanta_at_start));
    }
    let mut karma = Karma::new(terms.guaranteed_ppm, accounts)?;
    let mut wanted: Vec<Wanted> = (0..members).map(|_| Wanted::new(quanta)).collect();
    for job in jobs {
        let end_ms = job.finished_ms.unwrap_or(terms.until_ms).min(terms.until_ms);
        wanted[sites[job.home].member].add(terms, job.submit_ms.max(terms.from_ms), end_ms, job.processors);
    }
    let mut demands: Vec<_> = wanted.iter().map(|wanted| wanted.quanta(terms.quantum_ms)).collect();
    for _ in 0..quanta {
        let demands: Vec<u64> = demands.iter_mut().map(|demands| demands.next().unwrap_or(0)).collect();
        karma.quantum(&demands)?;
    }
    Ok(karma.accounts().iter().map(|account| account.credits).collect())
}

/// What a member wants in each quantum.
struct Wanted {
    /// How many processors more it wants through a whole quantum than through the one before.
    more: Vec<i128>,
    /// The processor-milliseconds of jobs that come or finish within it.
    parts_ms: Vec<u128>,
}

impl Wanted {
    fn new(quanta: u64) -> Self {
        // One that is not over yet takes what is of no whole one.
        let places = usize::try_from(quanta).unwrap_or(0) + 1;
        Self { more: vec![0; places], parts_ms: vec![0; places] }
    }

    fn add(&mut self, terms: &Terms, from_ms: u64, until_ms: u64, processors: u32) {
        if until_ms <= from_ms {
            return;
        }
        let Terms { quantum_ms, .. } = *terms;
        let (from_ms, until_ms) = (from_ms - terms.from_ms, until_ms - terms.from_ms);
        let place = |at_ms: u64| usize::try_from(at_ms / quantum_ms).unwrap_or(usize::MAX);
        let (first, last) = (place(from_ms), place(until_ms));
        let of = |ms: u64| u128::from(ms) * u128::from(processors);
        if first == last {
            self.parts_ms[first] += of(until_ms - from_ms);
            return;
        }
        self.parts_ms[first] += of(quantum_ms - from_ms % quantum_ms);
        self.parts_ms[last] += of(until_ms % quantum_ms);
        self.more[first + 1] += i128::from(processors);
        self.more[last] -= i128::from(processors);
    }

    fn quanta(&self, quantum_ms: u64) -> impl Iterator<Item = u64> {
        let mut processors = 0;
        self.more.iter().zip(&self.parts_ms).map(move |(more, part_ms)| {
            processors += more;
            let whole_ms = u128::try_from(processors).unwrap_or(0).saturating_mul(u128::from(quantum_ms));
            u64::try_from(whole_ms.saturating_add(*part_ms)).unwrap_or(u64::MAX)
        })
    }
}
