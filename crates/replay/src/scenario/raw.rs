// SPDX-License-Identifier: Apache-2.0
//! A scenario as it is written: each key of the TOML file, before anything is checked.

use serde::Deserialize;

/// The file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawScenario {
    /// What people call it.
    pub name: String,
    /// The currency of every price and cost, three capital letters, such as `USD`.
    pub currency: String,
    /// The day on which the workloads begin, at 00:00 of their own local time, such as `2024-04-01`: prices and carbon are those from
    /// that day on.
    pub start: String,
    /// Another number gives other jobs other classes; 0 when it is not given.
    #[serde(default)]
    pub seed: u64,
    /// The short form of classes: so many of a hundred jobs may run anywhere, the others at home. Not beside `[[classes]]`; all may
    /// run anywhere where neither is given.
    pub movable_percent: Option<u32>,
    /// What members have agreed on.
    #[serde(default)]
    pub terms: RawTerms,
    /// Who shares.
    #[serde(default)]
    pub members: Vec<RawMember>,
    /// What they share.
    #[serde(default)]
    pub sites: Vec<RawSite>,
    /// What is asked of the sites.
    #[serde(default)]
    pub workloads: Vec<RawWorkload>,
    /// Where which jobs may run.
    #[serde(default)]
    pub classes: Vec<RawClass>,
}

/// `[terms]`: seconds that running elsewhere, and being taken away, cost a job.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTerms {
    /// How long its data takes to a site of another member; 300.
    pub staging_s: u64,
    /// How often a job that runs saves its work; 1800.
    pub checkpoint_s: u64,
    /// How long it takes to go on from saved work; 0.
    pub restart_s: u64,
    /// How long it keeps its processors after it was told to go; 0.
    pub grace_s: u64,
    /// The most work that it may lose when it is taken away: where it saves less often, and runs longer, it stays at home. As much as
    /// `checkpoint_s` where it is not given.
    pub unsaved_s_max: Option<u64>,
}

impl Default for RawTerms {
    fn default() -> Self {
        Self { staging_s: 300, checkpoint_s: 1800, restart_s: 0, grace_s: 0, unsaved_s_max: None }
    }
}

/// `[[members]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMember {
    /// By which sites and classes name it: small letters, digits and `-`.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// `[[sites]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSite {
    /// By which workloads name it: small letters, digits and `-`.
    pub id: String,
    /// Whose it is.
    pub member: String,
    /// How many processors (or accelerators, where the traces count those) it has; or `load`.
    pub processors: Option<u32>,
    /// How much its own workloads ask for of what it has, where 1 is all of it all the time: so many processors it has.
    pub load: Option<f64>,
    /// What owning a processor for an hour costs, in millionths of the currency, busy or not.
    pub capital_micro_per_processor_hour: u64,
    /// What keeping it running costs beside electricity, likewise.
    pub operation_micro_per_processor_hour: u64,
    /// What a processor draws when it stands idle, in watts, with its part of the node.
    pub idle_w: f64,
    /// What it draws when it is busy.
    pub busy_w: f64,
    /// Power usage effectiveness: what the building draws for each watt of its processors.
    pub pue: f64,
    /// The price of a megawatt-hour: a number, 24 numbers for the hours of the day in UTC, or a column of a table.
    pub price_per_mwh: toml::Value,
    /// Grams of CO2-equivalent of a kilowatt-hour, likewise.
    pub carbon_g_per_kwh: toml::Value,
}

/// A column of a table with a row for each hour, `{ file = "...", column = "..." }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSeries {
    /// The table, from the folder of the scenario on: values parted by commas, plain or packed with gzip. The first line names the
    /// columns; the one called `utc` has the moment at which the hour begins, such as `2024-04-01 00:00:00+00:00`.
    pub(super) file: String,
    /// Which column. Hours without a value are hours for which nothing is known.
    pub(super) column: String,
    /// Of which year the hours are read; that of `start` where it is not given. Its day and month are those of `start`.
    pub(super) year: Option<i16>,
}

/// `[[workloads]]`: a part of a trace, asked of a site. The whole trace where no part is named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWorkload {
    /// Whose jobs they are: home.
    pub site: String,
    /// The trace, from the folder of the scenario on, in one of the forms that `sta replay` reads.
    pub trace: String,
    /// The part begins with this second of the trace.
    pub from_s: Option<u64>,
    /// And ends before this one.
    pub until_s: Option<u64>,
    /// In place of both: the second of the trace at which its week 1 begins.
    pub week_1_s: Option<u64>,
    /// The part begins with this week.
    pub from_week: Option<u64>,
    /// And ends with this one.
    pub until_week: Option<u64>,
    /// Only every so manieth job of the part.
    pub keep_one_in: Option<u64>,
    /// Another day on which it begins than the scenario does.
    pub start: Option<String>,
    /// By how many hours its local time is ahead of UTC; behind it below 0.
    #[serde(default)]
    pub utc_offset_h: i64,
}

/// `[[classes]]`: some of the jobs, and where they may run beside their home.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawClass {
    /// Small letters, digits and `-`.
    pub id: String,
    /// How many of a hundred jobs are of this class; those of all classes make a hundred.
    pub share_percent: u32,
    /// `"home"`, `"anywhere"`, or a list of members.
    pub may_run: toml::Value,
}
