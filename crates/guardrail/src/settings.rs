// SPDX-License-Identifier: Apache-2.0
//! The two numbers that people choose for a guard, and what numbers may be chosen.

use thiserror::Error;

/// A number that cannot be chosen.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{name} = {value} is {wanted}")]
pub struct SettingError {
    /// Which number.
    pub name: &'static str,
    /// What was given.
    pub value: f64,
    /// What it is not.
    wanted: &'static str,
}

/// What people decide and no guard learns: a matter of policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    threshold: f64,
    delta: f64,
}

impl Settings {
    /// Holds where the bound is above `threshold` (the paper's C, a probability a request); the bound may fail with
    /// probability `delta`, over all times and requests together.
    ///
    /// # Errors
    ///
    /// The threshold is not from 0 to 1, or delta not from 1e-100 to below 1.
    pub fn new(threshold: f64, delta: f64) -> Result<Self, SettingError> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(SettingError { name: "threshold", value: threshold, wanted: "not from 0 to 1" });
        }
        Ok(Self { threshold, delta: delta_in_range(delta)? })
    }

    /// The largest bound that is let pass, C.
    #[must_use]
    pub fn threshold(self) -> f64 {
        self.threshold
    }

    /// The probability with which the bound may fail.
    #[must_use]
    pub fn delta(self) -> f64 {
        self.delta
    }
}

/// Delta is so far above what a posterior takes for zero that delta times a prior cannot become zero.
pub(crate) fn delta_in_range(value: f64) -> Result<f64, SettingError> {
    let wanted = "not from 1e-100 to below 1";
    if (1e-100..1.0).contains(&value) {
        Ok(value)
    } else {
        Err(SettingError { name: "delta", value, wanted })
    }
}

pub(crate) fn between_zero_and_one(name: &'static str, value: f64) -> Result<f64, SettingError> {
    let wanted = "not above 0 and below 1";
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err(SettingError { name, value, wanted }) }
}

pub(crate) fn above_zero_up_to_one(name: &'static str, value: f64) -> Result<f64, SettingError> {
    let wanted = "not above 0 and at most 1";
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(SettingError { name, value, wanted }) }
}

pub(crate) fn at_least_zero(name: &'static str, value: f64) -> Result<f64, SettingError> {
    let wanted = "not a number that is at least 0";
    if value >= 0.0 && value.is_finite() { Ok(value) } else { Err(SettingError { name, value, wanted }) }
}
