// SPDX-License-Identifier: Apache-2.0
//! Documents about how members stand towards each other.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::ids::{JobId, MemberId, SiteId};
use utoipa::ToSchema;

use crate::steps::standing::{Balance, JobStanding, Kind, QUANTUM_MS, Standings};

/// How members stand by what this node recorded: all jobs of its own member, and those of others that its sites took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandingDocument {
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Seconds of a quantum of credits.
    pub quantum_s: u64,
    /// By cores, and by accelerators.
    pub balances: Vec<BalanceDocument>,
    /// Jobs that ended under a version that did not keep when they ran.
    pub jobs_not_counted: u32,
    /// Every job that was counted, where these were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobStandingDocument>,
}

/// How members stand by one kind of processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BalanceDocument {
    /// `cores`, or `accelerators` for jobs that ask for these.
    pub processors: String,
    /// Each member of the treaty.
    pub members: Vec<MemberStandingDocument>,
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberStandingDocument {
    /// Which.
    #[schema(value_type = String)]
    pub member: MemberId,
    /// Processor-seconds that jobs of others had on its sites.
    pub given_s: u64,
    /// Processor-seconds that its jobs had on sites of others.
    pub taken_s: u64,
    /// Its credits in processor-seconds; more than it began with where it lent more than it borrowed.
    pub credits_s: u64,
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
    /// The site that stands for home: the first of its member's that could hold the job, and where none could, the largest; none
    /// where the member has no site.
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
}

impl StandingDocument {
    /// What is shown of it, at that member's node.
    #[must_use]
    pub fn new(own: &MemberId, standings: &Standings, with_jobs: bool) -> Self {
        let of = |balance: &Balance| {
            let jobs = balance.jobs.iter().filter(|_| with_jobs);
            jobs.map(|job| JobStandingDocument::new(balance.kind, job)).collect::<Vec<_>>()
        };
        Self {
            since: moment(standings.from_ms),
            until: moment(standings.until_ms),
            quantum_s: QUANTUM_MS / 1000,
            balances: standings.balances.iter().map(|balance| BalanceDocument::new(own, balance)).collect(),
            jobs_not_counted: standings.not_counted,
            jobs: standings.balances.iter().flat_map(of).collect(),
        }
    }
}

impl BalanceDocument {
    fn new(own: &MemberId, balance: &Balance) -> Self {
        let seconds = |ms: u128| u64::try_from(ms / 1000).unwrap_or(u64::MAX);
        let member = |(member, standing): &(MemberId, sta_decide::standing::Member)| MemberStandingDocument {
            member: member.clone(),
            given_s: seconds(standing.given_ms),
            taken_s: seconds(standing.taken_ms),
            credits_s: standing.credits_ms / 1000,
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
    /// What is shown of a job.
    #[must_use]
    pub fn new(kind: Kind, standing: &JobStanding) -> Self {
        let JobStanding { id, home, home_site, job, alone } = standing;
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
        }
    }
}

/// A moment in milliseconds since 1970; the last one that there is, where it is beyond.
fn moment(ms: u64) -> Timestamp {
    i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}
