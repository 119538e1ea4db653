// SPDX-License-Identifier: Apache-2.0
//! What pooling saves in a scenario: the jobs played alone and pooled, each with what it costs and emits, and every saving against the
//! baseline that was asked for.

use sta_decide::{
    energy::EnergyError,
    federation::{Sharing, Terms},
    shapley,
};

use self::{
    bills::coalitions,
    run::{Plan, Run, run},
};
use crate::{
    report::{self, Report, Saving},
    scenario::{MayRun, Scenario},
    summary::hundredths,
};

mod bills;
mod books;
mod outcome;
mod run;

/// The most ways in which classes may say where jobs may run elsewhere.
pub const GROUPS_MAX: usize = 15;

/// The most members.
pub const MEMBERS_MAX: usize = 64;

/// How the members of a scenario share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Not at all.
    Alone,
    /// One queue for all, as if all processors stood in one hall and nobody owned them.
    Global,
    /// Guests get what the owner's queue leaves, and stay until they are done.
    OwnerFirst,
    /// Guests leave when the owner wants its processors.
    Reclaim,
    /// As reclaim, and no job ends later than alone by more than a stated bound.
    Promise,
}

impl Policy {
    /// Its name on the command line and in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Global => "global",
            Self::OwnerFirst => "owner-first",
            Self::Reclaim => "reclaim",
            Self::Promise => "promise",
        }
    }

    pub(crate) fn sharing(self) -> Sharing {
        match self {
            Self::Alone | Self::Global => Sharing::Alone,
            Self::OwnerFirst => Sharing::OwnerFirst,
            Self::Reclaim => Sharing::Reclaim,
            Self::Promise => Sharing::Promise,
        }
    }
}

/// What a saving is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Each member by itself, on the same processors.
    Alone,
    /// Likewise, and on both sides jobs that wait too long go to a cloud, at a price in millionths for a processor-hour.
    Cloud(u64),
    /// Everything rented at such a price, and nothing owned.
    RentAll(u64),
}

impl Baseline {
    /// As it is written on the command line: `alone`, `cloud:7.91`, `rent-all:2.95`.
    #[must_use]
    pub fn name(self) -> String {
        let price = |micro: u64| {
            let decimals = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
            let shortest = decimals.trim_end_matches('0').trim_end_matches('.');
            shortest.to_owned()
        };
        match self {
            Self::Alone => "alone".to_owned(),
            Self::Cloud(micro) => format!("cloud:{}", price(micro)),
            Self::RentAll(micro) => format!("rent-all:{}", price(micro)),
        }
    }
}

/// In which order guests look at sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Their own, and the others as the scenario lists them.
    Home,
    /// Where an hour of a busy processor costs the least electricity at that hour.
    Cheap,
    /// Where an hour of a busy processor emits least at that hour.
    Clean,
}

impl Order {
    /// Its name on the command line and in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Cheap => "cheap",
            Self::Clean => "clean",
        }
    }
}

/// What is to be studied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// How they share.
    pub policy: Policy,
    /// Against what savings are stated.
    pub baselines: Vec<Baseline>,
    /// In which order guests look at sites.
    pub order: Order,
    /// Jobs that say to run so long go to a better site by that order at once, though they could begin at home.
    pub moves_from_ms: u64,
    /// How long jobs wait before they go to a cloud, where the baseline has one.
    pub patience_ms: u64,
    /// Whether guests of the member with the most Karma credits are served first, instead of who came first.
    pub credits: bool,
}

/// Why a scenario cannot be studied.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// Jobs run on into hours for which there is no price or carbon.
    #[error("the electricity of site `{site}` is not known for as long as its jobs run")]
    Energy {
        /// Which site.
        site: String,
        /// The cause.
        source: EnergyError,
    },
    /// More ways to move than a job can be told apart by.
    #[error("its classes say in {0} different ways where jobs may run elsewhere, and may in {GROUPS_MAX}")]
    Groups(usize),
    /// More members than a set of them has bits.
    #[error("it has {0} members, and may have {MEMBERS_MAX}: let some join as one")]
    Members(usize),
    /// Costs that no bill can carry.
    #[error("the bills cannot be split")]
    Bills(#[source] shapley::ShapleyError),
}

/// What the members of a scenario agreed on, for the federation.
fn terms(scenario: &Scenario) -> Terms {
    let of = scenario.terms;
    Terms {
        staging_ms: of.staging_ms,
        restart_ms: of.restart_ms,
        grace_ms: of.grace_ms,
        unsaved_ms_max: of.unsaved_ms_max,
    }
}

/// Plays a scenario alone and pooled, and says what came of it.
///
/// # Errors
/// Its electricity is not known for long enough, or it has too many ways to move.
pub fn study(scenario: &Scenario, question: &Question) -> Result<Report, StudyError> {
    let plan = Plan::of(scenario, question)?;
    let everybody = plan.everybody();
    let ([alone, pooled], clouds) = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(&plan.alone(), everybody));
        let pooled = run(&plan, everybody);
        let alone = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, StudyError>(([alone?, pooled?], with_clouds(&plan, question)?))
    })?;
    let savings = savings(&plan, question, [&alone, &pooled], clouds.as_ref())?;
    let bound_ms = terms(scenario).bound_ms();
    let seen = outcome::Seen { scenario, alone: &alone, pooled: &pooled, bound_ms };
    Ok(Report {
        version: 1,
        scenario: scenario.name.clone(),
        currency: scenario.currency.clone(),
        policy: question.policy.as_str(),
        from: outcome::moment(scenario.begin_ms),
        span_s: pooled.end_ms.saturating_sub(scenario.begin_ms) / 1000,
        loads: Vec::new(),
        movable_percent: movable_percent(scenario),
        terms: report::Terms {
            staging_s: scenario.terms.staging_ms / 1000,
            checkpoint_s: scenario.terms.checkpoint_ms / 1000,
            restart_s: scenario.terms.restart_ms / 1000,
            grace_s: scenario.terms.grace_ms / 1000,
            reclaim_bound_s: bound_ms / 1000,
        },
        members: seen.members(),
        total: seen.total(),
        alone: seen.total_alone(),
        savings,
        curve: Vec::new(),
        load: seen.load(),
    })
}

/// The runs in which jobs that wait too long go to a cloud, where a baseline has one: alone and pooled.
fn with_clouds<'a>(plan: &Plan<'a>, question: &Question) -> Result<Option<[Run<'a>; 2]>, StudyError> {
    if !question.baselines.iter().any(|baseline| matches!(baseline, Baseline::Cloud(_))) {
        return Ok(None);
    }
    let patient = Plan { patience_ms: Some(question.patience_ms), ..plan.clone() };
    let everybody = plan.everybody();
    Ok(Some([run(&patient.alone(), everybody)?, run(&patient, everybody)?]))
}

/// Part of the jobs whose class may run elsewhere, in percent.
fn movable_percent(scenario: &Scenario) -> f64 {
    let may = |job: &&crate::scenario::Job| scenario.classes[job.class].may_run != MayRun::Home;
    hundredths(100 * scenario.jobs.iter().filter(may).count() as u128, scenario.jobs.len() as u128)
}

fn savings(
    plan: &Plan,
    question: &Question,
    [alone, pooled]: [&Run; 2],
    clouds: Option<&[Run; 2]>,
) -> Result<Vec<Saving>, StudyError> {
    let one = |baseline: &Baseline| {
        let (plan, [without, with], price) = match (*baseline, clouds) {
            (Baseline::Cloud(price), Some([without, with])) => {
                let patience_ms = Some(question.patience_ms);
                (Plan { patience_ms, ..plan.clone() }, [without, with], price)
            }
            (Baseline::Cloud(price) | Baseline::RentAll(price), _) => (plan.clone(), [alone, pooled], price),
            (Baseline::Alone, _) => (plan.clone(), [alone, pooled], 0),
        };
        let everybody = plan.everybody();
        let rented = matches!(baseline, Baseline::RentAll(_));
        let before = if rented { without.rented(everybody, price) } else { without.cost(everybody, price) };
        let after = with.cost(everybody, price);
        let [before_micro, after_micro] = [before, after].map(report::Cost::total_micro);
        let carbon = (!rented && without.cloud_ms == with.cloud_ms)
            .then(|| percent(without.co2_ug(everybody), with.co2_ug(everybody)));
        Ok(Saving {
            baseline: baseline.name(),
            without: before,
            with: after,
            saving_percent: percent(before_micro.into(), after_micro.into()),
            carbon_saving_percent: carbon,
            bills: coalitions(&plan, [without, with], price, rented)?,
        })
    };
    question.baselines.iter().map(one).collect()
}

/// By how many percent of `before` something became less, to two places.
fn percent(before: i128, after: i128) -> f64 {
    let less = before - after;
    let percent = hundredths(100 * less.unsigned_abs(), before.unsigned_abs());
    // Nothing has no sign.
    if less < 0 && percent > 0.0 { -percent } else { percent }
}
