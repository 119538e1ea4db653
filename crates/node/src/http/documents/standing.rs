// SPDX-License-Identifier: Apache-2.0
//! Documents about how members stand towards each other.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_decide::standing::{Span, Terms};
use sta_protocol::{
    ids::{JobId, MemberId, SiteId},
    treaty::Site,
};
use utoipa::ToSchema;

use crate::steps::standing::{Balance, JobStanding, Kind, Standings};

/// How members stand by what this node recorded: all jobs of its own member, and those of others that its sites took. With its jobs it
/// holds all that it takes to come to every number again (`sta replay standing`); moments are exact to the millisecond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandingDocument {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// How credits are reckoned.
    pub credits: CreditTermsDocument,
    /// The treaty's sites, in its order: a member contributes the time of its processors.
    pub sites: Vec<StandingSiteDocument>,
    /// By cores, and by accelerators.
    pub balances: Vec<BalanceDocument>,
    /// Jobs that ended under a version that did not keep when they ran.
    pub jobs_not_counted: u32,
    /// Every job that was counted, where these were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobStandingDocument>,
}

/// How credits are reckoned: by Karma, from the beginning of the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditTermsDocument {
    /// How long a quantum is, in milliseconds. One that is not over yet counts for nothing.
    pub quantum_ms: u64,
    /// What a member is guaranteed of its share in each quantum, in millionths.
    pub guaranteed_ppm: u32,
    /// With how many quanta of its share in credits each member begins.
    pub quanta_at_start: u32,
}

/// A site, and what it has of each kind of processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandingSiteDocument {
    /// Its name.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub member: MemberId,
    /// Its processor cores.
    pub cores: u32,
    /// Its accelerators.
    pub accelerators: u32,
}

/// How members stand by one kind of processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BalanceDocument {
    /// `cores`, or `accelerators` for jobs that ask for these.
    pub processors: String,
    /// Each member of the treaty, in its order.
    pub members: Vec<MemberStandingDocument>,
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberStandingDocument {
    /// Which.
    #[schema(value_type = String)]
    pub member: MemberId,
    /// Processor-milliseconds that jobs of others had on its sites.
    pub given_ms: u64,
    /// Processor-milliseconds that its jobs had on sites of others.
    pub taken_ms: u64,
    /// Its credits in processor-milliseconds; more than it began with where it lent more than it borrowed.
    pub credits_ms: u64,
    /// How many of its jobs were counted.
    pub jobs: u64,
    /// How many of them are later than alone by more than the treaty allows: the target is 0. Known of this node's member alone.
    pub violations: Option<u64>,
}

/// A job, and what it would have done at home without the other members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobStandingDocument {
    /// Its id.
    #[schema(value_type = String)]
    pub job: JobId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub home: MemberId,
    /// The site that stands for home: the first of its member's that could hold the job, and where none could, the largest, of several
    /// the last; none where the member has no site.
    #[schema(value_type = Option<String>)]
    pub home_site: Option<SiteId>,
    /// What is counted: `cores` or `accelerators`.
    pub kind: String,
    /// How many of them.
    pub processors: u32,
    /// When it could have begun.
    #[schema(value_type = String, format = DateTime)]
    pub submitted_at: Timestamp,
    /// How long it said to run at most, in milliseconds.
    pub estimate_ms: u64,
    /// How long it ran, without work that was lost and done again, in milliseconds.
    pub run_ms: u64,
    /// How much later than alone it may finish by the treaty, in milliseconds.
    pub later_ms_max: u64,
    /// When it finished.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// When it would have begun alone.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub alone_began_at: Option<Timestamp>,
    /// When it would have finished alone; none while it has not finished, or where its home could not hold it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub alone_finished_at: Option<Timestamp>,
    /// Whether it is later than alone by more than the treaty allows.
    pub is_late: bool,
    /// When and where it had its processors.
    pub spans: Vec<JobSpanDocument>,
}

/// A time in which a job had its processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobSpanDocument {
    /// Where.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub began_at: Timestamp,
    /// Until when; of one that still runs, the end of the time that is looked at.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
}

impl StandingDocument {
    /// What is shown of it, at that member's node.
    #[must_use]
    pub fn new(own: &MemberId, standings: &Standings, with_jobs: bool) -> Self {
        let of = |balance: &Balance| {
            let jobs = balance.jobs.iter().filter(|_| with_jobs);
            let job = |job| JobStandingDocument::new(balance.kind, job, &standings.sites);
            jobs.map(job).collect::<Vec<_>>()
        };
        let Terms { from_ms, until_ms, quantum_ms, guaranteed_ppm, quanta_at_start } = standings.terms;
        Self {
            since: moment(from_ms),
            until: moment(until_ms),
            credits: CreditTermsDocument { quantum_ms, guaranteed_ppm, quanta_at_start },
            sites: standings.sites.iter().map(StandingSiteDocument::new).collect(),
            balances: standings.balances.iter().map(|balance| BalanceDocument::new(own, balance)).collect(),
            jobs_not_counted: standings.not_counted,
            jobs: standings.balances.iter().flat_map(of).collect(),
        }
    }
}

impl StandingSiteDocument {
    fn new(site: &Site) -> Self {
        Self {
            site: site.id.clone(),
            member: site.member.clone(),
            cores: Kind::Cores.count(site.resources),
            accelerators: Kind::Accelerators.count(site.resources),
        }
    }
}

impl BalanceDocument {
    fn new(own: &MemberId, balance: &Balance) -> Self {
        let held = |ms: u128| u64::try_from(ms).unwrap_or(u64::MAX);
        let member = |(member, standing): &(MemberId, sta_decide::standing::Member)| MemberStandingDocument {
            member: member.clone(),
            given_ms: held(standing.given_ms),
            taken_ms: held(standing.taken_ms),
            credits_ms: standing.credits_ms,
            jobs: standing.jobs,
            violations: (member == own).then_some(standing.late),
        };
        Self {
            processors: balance.kind.as_str().to_owned(),
            members: balance.members.iter().map(member).collect(),
        }
    }
}

impl JobStandingDocument {
    /// What is shown of a job, whose times are at these sites.
    #[must_use]
    pub fn new(kind: Kind, standing: &JobStanding, sites: &[Site]) -> Self {
        let JobStanding { id, home, home_site, job, alone } = standing;
        let span = |span: &Span| {
            let site = sites.get(span.site)?.id.clone();
            Some(JobSpanDocument { site, began_at: moment(span.begin_ms), ended_at: moment(span.end_ms) })
        };
        Self {
            job: *id,
            home: home.clone(),
            home_site: home_site.clone(),
            kind: kind.as_str().to_owned(),
            processors: job.processors,
            submitted_at: moment(job.submit_ms),
            estimate_ms: job.estimate_ms,
            run_ms: job.run_ms,
            later_ms_max: job.later_ms_max,
            finished_at: job.finished_ms.map(moment),
            alone_began_at: alone.begin_ms.map(moment),
            alone_finished_at: alone.finish_ms.map(moment),
            is_late: alone.late,
            spans: job.spans.iter().filter_map(span).collect(),
        }
    }
}

/// A moment in milliseconds since 1970; the last one that there is, where it is beyond.
fn moment(ms: u64) -> Timestamp {
    i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}
