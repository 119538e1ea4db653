// SPDX-License-Identifier: Apache-2.0
//! What the report says, in three languages of equal rank: who changes one changes all three.
//!
//! `{name}` stands for a value, which is HTML already; `Edition::say` puts it in.

mod de;
mod en;
mod fr;

pub(super) use self::{de::GERMAN, en::ENGLISH, fr::FRENCH};

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    French,
    German,
}

/// The words of a language.
pub(super) struct Words {
    /// The language.
    pub(super) language: Language,
    /// Its code, as in `lang`.
    pub(super) code: &'static str,
    /// What it calls itself.
    pub(super) name: &'static str,
    /// From January.
    pub(super) months: [&'static str; 12],
    /// The same, short.
    pub(super) months_short: [&'static str; 12],
    /// Above the name of the scenario.
    pub(super) kicker: &'static str,
    /// The label of the choice of a language.
    pub(super) languages: &'static str,
    /// The label of the table of contents.
    pub(super) contents: &'static str,
    /// What opens the table beside a drawing.
    pub(super) data: &'static str,
    /// The last line.
    pub(super) footer: &'static str,
    /// Each member by itself.
    pub(super) alone: &'static str,
    /// All members together.
    pub(super) pooled: &'static str,
    /// All members together, as a heading.
    pub(super) all_members: &'static str,
    /// A member.
    pub(super) member: &'static str,
    /// A sum.
    pub(super) total: &'static str,
    /// A difference.
    pub(super) difference: &'static str,
    /// A part of the cost.
    pub(super) component: &'static str,
    /// A point in time.
    pub(super) time: &'static str,
    /// The axis of time.
    pub(super) date: &'static str,
    /// A row of the table of figures.
    pub(super) figure: &'static str,
    /// In what the money of a table is counted.
    pub(super) amounts_in: &'static str,
    /// The heading.
    pub(super) summary: &'static str,
    /// The mean wait.
    pub(super) wait_mean: &'static str,
    /// What a figure was without the pool.
    pub(super) was_alone: &'static str,
    /// The cost.
    pub(super) cost: &'static str,
    /// The carbon.
    pub(super) carbon_emitted: &'static str,
    /// A saving and its baseline, in one line.
    pub(super) saved: &'static str,
    /// The same, where the pool is dearer.
    pub(super) overspent: &'static str,
    /// Without and with the pool.
    pub(super) from_to: &'static str,
    /// The saving of carbon against the same baseline.
    pub(super) carbon_saved: &'static str,
    /// Jobs that ended too late.
    pub(super) violations: &'static str,
    /// What they are.
    pub(super) violations_are: &'static str,
    /// The baseline `alone`.
    pub(super) baseline_alone: &'static str,
    /// The baseline `cloud:PRICE`.
    pub(super) baseline_cloud: &'static str,
    /// The baseline `rent-all:PRICE`.
    pub(super) baseline_rent_all: &'static str,
    /// The heading.
    pub(super) waits: &'static str,
    /// Above the drawings.
    pub(super) waits_intro: &'static str,
    /// The axis across.
    pub(super) waits_x: &'static str,
    /// The axis upwards.
    pub(super) waits_y: &'static str,
    /// The title of a drawing.
    pub(super) waits_of: &'static str,
    /// What a drawing shows.
    pub(super) waits_described: &'static str,
    /// The first column.
    pub(super) wait_longer_than: &'static str,
    /// The heading.
    pub(super) costs: &'static str,
    /// Above the drawings.
    pub(super) costs_intro: &'static str,
    /// Without the pool.
    pub(super) without: &'static str,
    /// With the pool.
    pub(super) with: &'static str,
    /// What is owned.
    pub(super) owned: &'static str,
    /// Electricity.
    pub(super) electricity: &'static str,
    /// What is bought from a cloud.
    pub(super) cloud: &'static str,
    /// The title of a drawing and of its table.
    pub(super) costs_of: &'static str,
    /// The heading.
    pub(super) bills: &'static str,
    /// Above the tables.
    pub(super) bills_intro: &'static str,
    /// The caption of a table.
    pub(super) bills_of: &'static str,
    /// Where there are more members than every coalition can be played for.
    pub(super) bills_none: &'static str,
    /// The heading.
    pub(super) load: &'static str,
    /// Above the drawings.
    pub(super) load_intro: &'static str,
    /// Where there are no points.
    pub(super) load_none: &'static str,
    /// The axis upwards.
    pub(super) load_y: &'static str,
    /// The title of a drawing and of its table.
    pub(super) load_of: &'static str,
    /// What a drawing shows.
    pub(super) load_described: &'static str,
    /// Busy, with whatever.
    pub(super) busy: &'static str,
    /// Busy for others.
    pub(super) guests: &'static str,
    /// How many processors there are.
    pub(super) has: &'static str,
    /// The title of a drawing and of its table.
    pub(super) carbon_of: &'static str,
    /// The axis upwards.
    pub(super) carbon_y: &'static str,
    /// What the drawing shows.
    pub(super) carbon_described: &'static str,
    /// The heading.
    pub(super) curve: &'static str,
    /// Above the drawings.
    pub(super) curve_intro: &'static str,
    /// Where it was not asked for.
    pub(super) curve_none: &'static str,
    /// The axis across.
    pub(super) curve_x: &'static str,
    /// The title of the drawing of waits.
    pub(super) curve_wait: &'static str,
    /// Its axis upwards.
    pub(super) curve_wait_y: &'static str,
    /// The title of the drawing of savings.
    pub(super) curve_saving: &'static str,
    /// Its axis upwards.
    pub(super) curve_saving_y: &'static str,
    /// What either shows.
    pub(super) curve_described: &'static str,
    /// The share.
    pub(super) movable: &'static str,
    /// The share, with its value.
    pub(super) movable_is: &'static str,
    /// A column.
    pub(super) saving_against: &'static str,
    /// The heading.
    pub(super) figures: &'static str,
    /// The caption of the table.
    pub(super) figures_caption: &'static str,
    /// Above the table.
    pub(super) figures_intro: &'static str,
    /// A row: jobs.
    pub(super) jobs: &'static str,
    /// Jobs, with their number.
    pub(super) jobs_counted: &'static str,
    /// A row: jobs larger than their site, in no other figure.
    pub(super) too_large: &'static str,
    /// A row: wait: 50 of 100 jobs waited no longer.
    pub(super) wait_p50: &'static str,
    /// A row: wait: 95 of 100 jobs waited no longer.
    pub(super) wait_p95: &'static str,
    /// A row: wait: 99 of 100 jobs waited no longer.
    pub(super) wait_p99: &'static str,
    /// A row: longest wait.
    pub(super) wait_max: &'static str,
    /// A row: processor hours of the jobs’ own work.
    pub(super) processor_hours: &'static str,
    /// A row: how busy the processors were.
    pub(super) busy_percent: &'static str,
    /// A row: jobs that ran at another member’s site.
    pub(super) moved: &'static str,
    /// A row: processor hours given to others.
    pub(super) given: &'static str,
    /// A row: processor hours taken from others.
    pub(super) taken: &'static str,
    /// A row: evictions: times a job had to leave.
    pub(super) evictions: &'static str,
    /// A row: processor hours of work done again for it.
    pub(super) lost_hours: &'static str,
    /// A row: violations: later than alone by more than {bound} (target 0).
    pub(super) violations_row: &'static str,
    /// A row: jobs that ended more than 10 minutes later than alone.
    pub(super) later_than_alone: &'static str,
    /// A row: weeks with a longer mean wait than alone, by more than a minute.
    pub(super) weeks_worse: &'static str,
    /// How many of how many weeks.
    pub(super) of_weeks: &'static str,
    /// A component of the cost.
    pub(super) cost_of: &'static str,
    /// A row: carbon of the electricity, kg CO₂e.
    pub(super) carbon_row: &'static str,
    /// The heading.
    pub(super) terms: &'static str,
    /// The caption of the table.
    pub(super) terms_caption: &'static str,
    /// The first column.
    pub(super) term: &'static str,
    /// The second column.
    pub(super) value: &'static str,
    /// A row: scenario.
    pub(super) scenario: &'static str,
    /// A row: how the members share.
    pub(super) policy: &'static str,
    /// A row: first job.
    pub(super) begin: &'static str,
    /// A row: from the first submission to the last end.
    pub(super) span: &'static str,
    /// How long, in days.
    pub(super) days: &'static str,
    /// A row: the processors of a member.
    pub(super) processors_of: &'static str,
    /// A row: moving a job’s data to another site takes.
    pub(super) staging: &'static str,
    /// A row: jobs write a checkpoint every.
    pub(super) checkpoint: &'static str,
    /// A row: going on from a checkpoint takes.
    pub(super) restart: &'static str,
    /// A row: a guest has, to leave.
    pub(super) grace: &'static str,
    /// A row: promised: no job ends later than alone by more than.
    pub(super) bound: &'static str,
    /// What the policy `owner-first` is.
    pub(super) policy_owner_first: &'static str,
    /// What the policy `reclaim` is.
    pub(super) policy_reclaim: &'static str,
    /// What the policy `promise` is.
    pub(super) policy_promise: &'static str,
    /// What the policy `global` is.
    pub(super) policy_global: &'static str,
    /// What the policy `fifo` is.
    pub(super) policy_fifo: &'static str,
    /// What the policy `alone` is.
    pub(super) policy_alone: &'static str,
    /// What the policy `easy` is.
    pub(super) policy_easy: &'static str,
    /// The heading.
    pub(super) reading: &'static str,
    /// The heading.
    pub(super) limits: &'static str,
    /// The points of how to read it.
    pub(super) reading_points: [&'static str; 6],
    /// The points of what it does not say.
    pub(super) limits_points: [&'static str; 6],
}
