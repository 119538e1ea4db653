// SPDX-License-Identifier: Apache-2.0
//! Evidence: what one source said about one event.

use thiserror::Error;

use crate::features::Features;

/// What a source said about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// It reported harm.
    Harm,
    /// It reported none, which an event that is never reported comes to as well.
    NoHarm,
}

/// A reporting rate that is none.
#[derive(Debug, Clone, PartialEq, Error)]
#[error(
    "the reporting rate {0} is not above 0 and at most 1; a source that never reports harm teaches nothing"
)]
pub struct ReportingRateError(f64);

/// Whose word a label is: known by the part of harms that it reports, rho. It never reports a harm that was none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Source {
    reporting_rate: f64,
}

impl Source {
    /// A source that reports every harm.
    pub const COMPLETE: Self = Self { reporting_rate: 1.0 };

    /// A source that reports this part of harms, above 0 and at most 1.
    ///
    /// # Errors
    ///
    /// The rate is outside of that.
    pub fn reporting(rate: f64) -> Result<Self, ReportingRateError> {
        if rate > 0.0 && rate <= 1.0 {
            Ok(Self { reporting_rate: rate })
        } else {
            Err(ReportingRateError(rate))
        }
    }

    /// The part of harms that it reports.
    #[must_use]
    pub fn reporting_rate(self) -> f64 {
        self.reporting_rate
    }
}

/// All that a guard ever learns from: what an event looked like, the label, and whose label it is.
///
/// There is no field for anything that the guard's own verdicts bring about, such as acceptance, throughput,
/// revenue or complaints about refusals. That is how consequence invariance (arXiv 2606.29657) is kept here:
/// by having no place for it. [`Evidence::likelihood`] takes the struct apart field by field, so that a new
/// one cannot slip in unseen.
///
/// Evidence must not be chosen by its label: events without harm belong to it as much as those with harm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// What the event looked like, every factor known.
    pub features: Features,
    /// What the source said.
    pub label: Label,
    /// The source.
    pub source: Source,
}

impl Evidence {
    /// P(label | harm probability, source): the reporting channel. A label is not the truth; harm that happened goes
    /// unreported at the rate 1 - rho.
    #[must_use]
    pub fn likelihood(&self, harm: f64) -> f64 {
        let Self { features: _, label, source: Source { reporting_rate } } = *self;
        let reported = reporting_rate * harm;
        match label {
            Label::Harm => reported,
            Label::NoHarm => 1.0 - reported,
        }
    }
}
