// SPDX-License-Identifier: Apache-2.0
//! What was told beside what was replayed: the first number that is another.

use std::fmt;

use jiff::Timestamp;

use super::{Alone, Job, Kind, Member, Replayed, Standing, Told};

/// A number that is another than was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of whom or what.
    pub of: String,
    /// Which number, by its name in what was told.
    pub number: &'static str,
    /// What was told.
    pub told: String,
    /// What was replayed.
    pub replayed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, number, told, replayed } = self;
        write!(f, "`{number}` of {of} is told as {told} and replayed as {replayed}")
    }
}

impl Member {
    /// Its numbers by their names, as told and as replayed. What the node does not tell of a member is not compared.
    #[must_use]
    pub fn beside(&self, replayed: &Standing) -> [(&'static str, Option<u64>, u64); 5] {
        // A node tells no larger number than 64 bits hold.
        let held = |ms: u128| u64::try_from(ms).unwrap_or(u64::MAX);
        [
            ("given_ms", Some(self.given_ms), held(replayed.given_ms)),
            ("taken_ms", Some(self.taken_ms), held(replayed.taken_ms)),
            ("credits_ms", Some(self.credits_ms), replayed.credits_ms),
            ("jobs", Some(self.jobs), replayed.jobs),
            ("violations", self.violations, replayed.violations),
        ]
    }
}

impl Replayed {
    /// The first number that is another than was told: of the members, then of the jobs.
    #[must_use]
    pub fn first_difference(&self, told: &Told) -> Option<Difference> {
        let members = Kind::ALL.into_iter().zip(&self.balances).flat_map(|(kind, members)| {
            let balance = told.balances.iter().find(|balance| balance.processors == kind);
            let told = balance.into_iter().flat_map(|balance| &balance.members);
            told.zip(members).filter_map(move |(told, replayed)| of_member(kind, told, replayed))
        });
        let jobs = told.jobs.iter().zip(&self.jobs);
        members.chain(jobs.filter_map(|(job, alone)| of_job(told, job, alone))).next()
    }
}

fn of_member(kind: Kind, member: &Member, replayed: &Standing) -> Option<Difference> {
    let (number, told, replayed) = member
        .beside(replayed)
        .into_iter()
        .find(|(_, told, replayed)| told.is_some_and(|told| told != *replayed))?;
    Some(Difference {
        of: format!("member `{}` by {}", member.member, kind.as_str()),
        number,
        told: told?.to_string(),
        replayed: replayed.to_string(),
    })
}

fn of_job(all: &Told, job: &Job, alone: &Alone) -> Option<Difference> {
    let moment = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    // A node tells no later moment than the last that there is.
    let known = |ms: u64| i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let since_1970 = |ms: Option<u64>| moment(ms.map(|ms| known(ms).unwrap_or(Timestamp::MAX)));
    let site = alone.home_site.and_then(|site| all.sites.get(site)).map(|site| site.site.clone());
    let nowhere = |site: Option<String>| site.unwrap_or_else(|| "none".to_owned());
    let numbers = [
        ("home_site", nowhere(job.home_site.clone()), nowhere(site)),
        ("alone_began_at", moment(job.alone_began_at), since_1970(alone.began_ms)),
        ("alone_finished_at", moment(job.alone_finished_at), since_1970(alone.finished_ms)),
        ("is_late", job.is_late.to_string(), alone.is_late.to_string()),
    ];
    let (number, told, replayed) = numbers.into_iter().find(|(_, told, replayed)| told != replayed)?;
    Some(Difference { of: format!("job `{}`", job.job), number, told, replayed })
}
