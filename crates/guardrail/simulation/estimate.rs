// SPDX-License-Identifier: Apache-2.0
//! Means with their standard errors, and how far apart two of them are.

/// A mean and its standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    /// The mean.
    pub(crate) mean: f64,
    /// Its standard error.
    pub(crate) error: f64,
}

impl Estimate {
    /// Of a sample.
    pub(crate) fn of(sample: impl Iterator<Item = f64> + Clone) -> Self {
        let count = sample.clone().count() as f64;
        let mean = sample.clone().sum::<f64>() / count;
        let variance = sample.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        Self { mean, error: (variance / count).sqrt() }
    }

    /// How many standard errors, of both together, lie between this and the other.
    pub(crate) fn distance(self, other: Self) -> f64 {
        let apart = self.mean - other.mean;
        let error = self.error.hypot(other.error);
        if apart == 0.0 { 0.0 } else { apart / error }
    }
}

/// How many standard errors lie between two shares, each of so many trials. The error is that of the pooled
/// share, which is above zero where one side has seen nothing.
pub(crate) fn shares_apart(left: f64, left_trials: usize, right: f64, right_trials: usize) -> f64 {
    let (left_count, right_count) = (left_trials as f64, right_trials as f64);
    let pooled = (left * left_count + right * right_count) / (left_count + right_count);
    let error = (pooled * (1.0 - pooled) * (1.0 / left_count + 1.0 / right_count)).sqrt();
    if left == right { 0.0 } else { (left - right) / error }
}

/// The standard error of a share of so many trials.
pub(crate) fn share_error(share: f64, trials: usize) -> f64 {
    (share * (1.0 - share) / trials as f64).sqrt()
}
