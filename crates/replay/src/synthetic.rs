// SPDX-License-Identifier: Apache-2.0
//! Jobs that nobody submitted, made after a real trace, for more members, sites and load than any trace has.
//!
//! [`Fit::of`] takes from a trace how wide and long its jobs are, both at once; when in the week they come; and how bursty. [`Fit::jobs`]
//! makes as many jobs like them as one likes, one by one. What is not taken: that jobs of one user resemble each other, that habits
//! change over the year, and that members might be busy on the same days, beside the week that all of them have.

use serde::Serialize;
use sta_decide::federation::SiteTerms;

pub use self::{
    fit::{Bursts, Fit, Parameters},
    run::{Outcome, run},
    stream::Jobs,
    waits::Waits,
};

mod chance;
mod fit;
mod run;
mod stream;
mod waits;

/// The most jobs of one run.
pub const JOBS_MAX: u64 = 1_000_000_000;
/// The most members, and the most sites.
pub const SITES_MAX: u16 = 4096;
/// The most processors of all sites.
pub const PROCESSORS_MAX: u32 = 100_000_000;
/// The heaviest load. Above 1 the line gets longer for as long as jobs come.
pub const LOAD_MAX: f64 = 2.0;
/// The longest trace that is fitted, in hours.
pub(crate) const HOURS_MAX: u64 = 100 * 366 * 24;
/// The most jobs of an average hour: so many, and a burst of them, are in memory at once.
const JOBS_PER_HOUR_MAX: f64 = 1_000_000.0;

/// How large what is made is to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shape {
    /// How many members; sites are dealt out to them in turn, the largest first.
    pub members: u16,
    /// How many sites. Each has room for the widest job; the rest of the processors is split as 1, 1/2, 1/3 and so on.
    pub sites: u16,
    /// How many processors all sites have together.
    pub processors: u32,
    /// How many jobs come.
    pub jobs: u64,
    /// What is asked of every site, as a part of its processors.
    pub load: f64,
    /// How many of a hundred jobs may run at another site.
    pub movable_percent: u32,
    /// The clocks of the members are spread evenly over so many hours: 0 for one clock, 24 for all around the world.
    pub clocks_h: u32,
    /// How often a running job saves its work.
    pub checkpoint_ms: u64,
    /// Another number makes other jobs.
    pub seed: u64,
}

/// Why jobs cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SyntheticError {
    /// The trace is too short to tell a habit from a burst, or its last job is a century away.
    #[error(
        "the trace goes over {hours} hours, and may over 336 to {HOURS_MAX}: take one of two whole weeks or more"
    )]
    Weeks {
        /// How long it is.
        hours: u64,
    },
    /// A number out of bounds.
    #[error("{what} is {is}, and can be {least} to {most}")]
    Bounds {
        /// Which.
        what: &'static str,
        /// What it is.
        is: String,
        /// The least it can be.
        least: String,
        /// The most.
        most: String,
    },
}

impl Shape {
    /// The sites, the largest first.
    ///
    /// # Errors
    /// A number is out of bounds, or the widest job of the trace does not fit into every site.
    pub fn site_terms(&self, fit: &Fit) -> Result<Vec<SiteTerms>, SyntheticError> {
        self.check(fit)?;
        let widest = fit.parameters().processors_max;
        let parts: f64 = (1..=self.sites).map(|rank| 1.0 / f64::from(rank)).sum();
        let shared = f64::from(self.processors - widest * u32::from(self.sites));
        let of_rank = |rank: u16| widest + (shared / f64::from(rank) / parts) as u32;
        let mut sites: Vec<SiteTerms> = (0..self.sites)
            .map(|site| SiteTerms { member: site % self.members, processors: of_rank(site + 1), takes: 0b10 })
            .collect();
        // What rounding left.
        let rest = self.processors - sites.iter().map(|site| site.processors).sum::<u32>();
        sites[0].processors += rest;
        Ok(sites)
    }

    fn check(&self, fit: &Fit) -> Result<(), SyntheticError> {
        bounds("the number of sites", self.sites, 1, SITES_MAX)?;
        bounds("the number of members", self.members, 1, self.sites)?;
        let least = fit.parameters().processors_max.saturating_mul(u32::from(self.sites));
        bounds(
            "the number of processors (every site has room for the widest job)",
            self.processors,
            least,
            PROCESSORS_MAX,
        )?;
        bounds("the number of jobs", self.jobs, 1, JOBS_MAX)?;
        bounds("the load", self.load, 0.01, LOAD_MAX)?;
        bounds("the percentage of movable jobs", self.movable_percent, 0, 100)?;
        bounds("the hours over which clocks are spread", self.clocks_h, 0, 24)?;
        bounds("the time between checkpoints in milliseconds", self.checkpoint_ms, 1, u64::MAX)?;
        let hourly = self.load * f64::from(self.processors) * 3600.0 / fit.parameters().processor_mean_s;
        // A span of a hundred years, or more jobs in an hour than memory is meant for.
        let least = self.jobs as f64 / HOURS_MAX as f64;
        bounds("the number of jobs in an average hour", hourly, least, JOBS_PER_HOUR_MAX)
    }
}

fn bounds<N: Copy + PartialOrd + std::fmt::Display>(
    what: &'static str,
    is: N,
    least: N,
    most: N,
) -> Result<(), SyntheticError> {
    if is >= least && is <= most {
        return Ok(());
    }
    Err(SyntheticError::Bounds { what, is: is.to_string(), least: least.to_string(), most: most.to_string() })
}

impl Fit {
    /// Makes the jobs for these sites, which [`Shape::site_terms`] says, in the order in which they come.
    #[must_use]
    pub fn jobs<'a>(&'a self, shape: &Shape, sites: &[SiteTerms]) -> Jobs<'a> {
        Jobs::new(self, shape, sites)
    }
}
