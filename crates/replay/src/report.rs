// SPDX-License-Identifier: Apache-2.0
//! What a replay says: the document that `--json` prints and that tables, CSV and the HTML report are made of.
//!
//! Money is in millionths of the scenario's currency, carbon in kilograms of CO2-equivalent, waits in seconds.

use serde::Serialize;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Of this form: 1.
    pub version: u32,
    /// What the scenario is called.
    pub scenario: String,
    /// In what all money here is counted, such as `USD`.
    pub currency: String,
    /// How the members share: `owner-first`, `reclaim`, `promise`, `global`, or `alone`.
    pub policy: &'static str,
    /// When the first job comes (RFC 3339).
    pub from: String,
    /// From the first submission to the last end, in seconds.
    pub span_s: u64,
    /// The loads that were asked for, one for all sites or one for each; empty where the sites are as they are written.
    pub loads: Vec<f64>,
    /// Part of the jobs that may run at another member, in percent.
    pub movable_percent: f64,
    /// How long moving, being reclaimed and starting again take.
    pub terms: Terms,
    /// Each member by itself.
    pub members: Vec<Member>,
    /// All members together, pooled.
    pub total: Outcome,
    /// All members together, had each stayed alone on what it owns.
    pub alone: Outcome,
    /// The savings, each against its named baseline.
    pub savings: Vec<Saving>,
    /// What it would be with other movable shares; empty unless it was asked for.
    pub curve: Vec<CurvePoint>,
    /// How it went over time, at most some hundred points of one length.
    pub load: Vec<LoadPoint>,
}

/// The terms of sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// How long the data of a job takes to another site, in seconds.
    pub staging_s: u64,
    /// How often jobs write checkpoints, in seconds of their work.
    pub checkpoint_s: u64,
    /// How long a job takes to go on from a checkpoint, in seconds.
    pub restart_s: u64,
    /// How long a guest has to leave, in seconds.
    pub grace_s: u64,
    /// The stated bound of the promise: no job ends later than alone by more than this, in seconds.
    pub reclaim_bound_s: u64,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// How many processors its sites have.
    pub processors: u64,
    /// Its jobs, pooled.
    pub pooled: Outcome,
    /// Its jobs, had it stayed alone.
    pub alone: Outcome,
    /// Processor hours that others used at its sites.
    pub given_hours: f64,
    /// Processor hours that its jobs used at others' sites.
    pub taken_hours: f64,
    /// What its jobs waited, pooled and alone.
    pub waits: Vec<WaitPoint>,
    /// Weeks in which its jobs waited longer on average than alone, by more than a minute, and all weeks.
    pub weeks_worse: [u64; 2],
}

/// How many percent of a member's jobs waited no longer than so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WaitPoint {
    /// The wait.
    pub wait_s: u64,
    /// Of the jobs, pooled.
    pub pooled_percent: f64,
    /// Of the jobs, alone.
    pub alone_percent: f64,
}

/// How it went for the jobs of a member, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Outcome {
    /// How many jobs ran.
    pub jobs: u64,
    /// How many want more processors than their site has and never began; no other figure has them.
    pub too_large: u64,
    /// The mean wait.
    pub wait_mean_s: f64,
    /// No more than half of the jobs waited longer.
    pub wait_p50_s: u64,
    /// No more than 5 of 100 waited longer.
    pub wait_p95_s: u64,
    /// No more than 1 of 100 waited longer.
    pub wait_p99_s: u64,
    /// The longest wait.
    pub wait_max_s: u64,
    /// Processor hours of the jobs' own work.
    pub processor_hours: f64,
    /// Part of the processors that was busy with it over the span, in percent.
    pub busy_percent: f64,
    /// How many jobs ran at another member's site, for some of their time at least.
    pub moved: u64,
    /// How often a job had to leave for an owner, or for one that had waited its time.
    pub evictions: u64,
    /// Processor hours of work that was done again for it.
    pub lost_hours: f64,
    /// Jobs that ended later than alone by more than the stated bound.
    pub violations: u64,
    /// Jobs that ended more than ten minutes later than alone.
    pub later_than_alone: u64,
    /// What it cost without any cloud.
    pub cost: Cost,
    /// Kilograms of CO2-equivalent of the electricity.
    pub carbon_kg: f64,
}

/// What it cost, by component, in millionths of the currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Cost {
    /// Owning the processors and running them, used or not.
    pub owned_micro: i64,
    /// Electricity.
    pub electricity_micro: i64,
    /// Bought from a cloud.
    pub cloud_micro: i64,
}

impl Cost {
    /// All of it.
    #[must_use]
    pub fn total_micro(self) -> i64 {
        self.owned_micro.saturating_add(self.electricity_micro).saturating_add(self.cloud_micro)
    }
}

/// A saving against its baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Saving {
    /// Which: `alone`, `cloud:7.91`, `rent-all:2.95`.
    pub baseline: String,
    /// What all members pay without the pool, by that baseline.
    pub without: Cost,
    /// What all members pay with the pool, under the same terms.
    pub with: Cost,
    /// The difference of the totals, in percent of `without`; above 0 the pool is cheaper.
    pub saving_percent: f64,
    /// The difference in carbon, in percent, where both sides have it.
    pub carbon_saving_percent: Option<f64>,
    /// Per member: its bill without the pool, and with it after the surplus is shared.
    pub bills: Vec<Bill>,
}

/// A member's bill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bill {
    /// The member.
    pub member: String,
    /// Without the pool.
    pub without_micro: i64,
    /// With the pool: the exact Shapley share of what all pay together.
    pub with_micro: i64,
}

/// The same scenario with another movable share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Part of the jobs that may move, in percent.
    pub movable_percent: f64,
    /// The mean wait, pooled.
    pub wait_mean_s: f64,
    /// The saving against each baseline, in percent, in the order of `savings`.
    pub saving_percent: Vec<f64>,
}

/// A stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadPoint {
    /// Its begin, in seconds since `from`.
    pub at_s: u64,
    /// Busy processors of each member's sites, on average, pooled; in the order of `members`.
    pub busy: Vec<f64>,
    /// Of those, busy for other members.
    pub guests: Vec<f64>,
    /// Grams of CO2-equivalent a second of all sites together, pooled.
    pub carbon_g_s: f64,
    /// The same, had each stayed alone.
    pub carbon_alone_g_s: f64,
}
