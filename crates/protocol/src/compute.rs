// SPDX-License-Identifier: Apache-2.0
//! Training compute: how much there was, declared or metered, and which thresholds of the law it is above.
//!
//! Amounts are whole teraFLOP (10^12 floating-point operations), rounded up, so that every threshold is an exact integer
//! of canonical JSON and no rounding ever keeps a model below one. Everything here is integer arithmetic and gives the
//! same result on every machine.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::digest::JSON_INTEGER_MAX;

const FLOP_PER_TERA: u128 = 1_000_000_000_000;
/// Parts per million in a whole.
const PPM: u32 = 1_000_000;

/// An amount of training compute in whole teraFLOP (10^12 operations). Sums stop at 2^53 - 1 teraFLOP, about 9 x 10^27
/// FLOP, which is above every threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct TeraFlop(u64);

/// An amount that no canonical JSON can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} teraFLOP is beyond 2^53 - 1: check the unit, which is 10^12 operations")]
pub struct TooMuchCompute(u64);

impl TeraFlop {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// 10^23 FLOP: an indicative sign of a general-purpose AI model (Guidelines C(2025) 7719, point 17).
    pub const GENERAL_PURPOSE: Self = Self(100_000_000_000);
    /// 10^25 FLOP: presumed systemic risk above it (Regulation (EU) 2024/1689, Art. 51(2)).
    pub const SYSTEMIC: Self = Self(10_000_000_000_000);

    /// So many whole teraFLOP.
    ///
    /// # Errors
    /// Beyond 2^53 - 1.
    pub const fn new(tera: u64) -> Result<Self, TooMuchCompute> {
        if tera > JSON_INTEGER_MAX { Err(TooMuchCompute(tera)) } else { Ok(Self(tera)) }
    }

    /// Single operations, rounded up to a whole teraFLOP.
    #[must_use]
    pub fn from_flop(flop: u128) -> Self {
        let tera = flop.div_ceil(FLOP_PER_TERA);
        Self(u64::try_from(tera).unwrap_or(JSON_INTEGER_MAX).min(JSON_INTEGER_MAX))
    }

    /// Training compute by the usual estimate 6 x N x D: `parameters` that take part for each token, and `tokens` seen
    /// in training over all epochs (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
    #[must_use]
    pub fn six_n_d(parameters: u64, tokens: u64) -> Self {
        Self::from_flop((u128::from(parameters) * u128::from(tokens)).saturating_mul(6))
    }

    /// The number of teraFLOP.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of petaFLOP (10^15), rounded up: what rules compare, whose thresholds are whole numbers of it too, so
    /// that an amount strictly above one stays strictly above it.
    #[must_use]
    pub const fn peta_rounded_up(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// The sum, which stops at the largest amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self((self.0 + other.0).min(JSON_INTEGER_MAX))
    }
}

impl TryFrom<u64> for TeraFlop {
    type Error = TooMuchCompute;
    fn try_from(tera: u64) -> Result<Self, TooMuchCompute> {
        Self::new(tera)
    }
}
impl From<TeraFlop> for u64 {
    fn from(amount: TeraFlop) -> Self {
        amount.0
    }
}
impl fmt::Display for TeraFlop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:e} FLOP", self.0 as f64 * 1e12))
    }
}

/// How an accelerator's time becomes operations: metered FLOP = seconds x peak x utilisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuRate {
    /// Peak of one accelerator for the training's number format without sparsity, in gigaFLOP (10^9) per second.
    pub peak_gigaflop_per_s: u64,
    /// Model FLOP utilisation, in millionths of the peak: 400 000 is 40 %.
    pub utilisation_ppm: u32,
}

impl GpuRate {
    /// The whole peak: the most that the time can have held, for a meter that must not count too little.
    #[must_use]
    pub fn at_peak(peak_gigaflop_per_s: u64) -> Self {
        Self { peak_gigaflop_per_s, utilisation_ppm: PPM }
    }

    /// Whether the utilisation is above 0 and at most 1, and the peak between 1 gigaFLOP/s and 1 exaFLOP/s.
    #[must_use]
    pub fn is_sane(self) -> bool {
        (1..=PPM).contains(&self.utilisation_ppm) && (1..=1_000_000_000).contains(&self.peak_gigaflop_per_s)
    }

    /// Single operations in so many milliseconds of one accelerator.
    fn flop_in(self, gpu_ms: u64) -> u128 {
        // GFLOP/s x ms = 10^6 FLOP, and the utilisation is in 10^-6: the two cancel.
        u128::from(gpu_ms)
            .saturating_mul(u128::from(self.peak_gigaflop_per_s))
            .saturating_mul(u128::from(self.utilisation_ppm))
    }
}

/// Time was metered on a type of accelerator for which the registration has no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{gpu_ms} ms were metered on accelerators of type `{gpu_type}`, for which the training run gives no rate: register the run again with `rates.{gpu_type}`"
)]
pub struct NoRate {
    /// The type, as the site names it.
    pub gpu_type: String,
    /// The accelerator-milliseconds on it.
    pub gpu_ms: u64,
}

/// The operations in accelerator-milliseconds by type, rounded up once.
///
/// # Errors
/// [`NoRate`] for a type without a rate: unknown time is never counted as nothing.
pub fn metered(
    gpu_ms: &BTreeMap<String, u64>,
    rates: &BTreeMap<String, GpuRate>,
) -> Result<TeraFlop, NoRate> {
    let mut flop: u128 = 0;
    for (gpu_type, ms) in gpu_ms.iter().filter(|(_, ms)| **ms > 0) {
        let Some(rate) = rates.get(gpu_type) else {
            return Err(NoRate { gpu_type: gpu_type.clone(), gpu_ms: *ms });
        };
        flop = flop.saturating_add(rate.flop_in(*ms));
    }
    Ok(TeraFlop::from_flop(flop))
}

/// The published peak of a known accelerator for BF16 or FP16 matrices without sparsity, in gigaFLOP/s (the vendors'
/// data sheets). A registration may not claim less, or time on it would count too little. Known is what has a name among
/// the parts of the site's name for it, such as `nvidia_a100-sxm4-80gb`; a part of an accelerator (`a100_1g.5gb`) is not.
#[must_use]
pub fn published_peak_gigaflop_per_s(gpu_type: &str) -> Option<u64> {
    let name = gpu_type.to_ascii_lowercase();
    let parts = || name.split(|c: char| !c.is_ascii_alphanumeric());
    let is_slice = |part: &str| {
        part.strip_suffix('g')
            .is_some_and(|count| !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit()))
    };
    if parts().any(is_slice) { None } else { parts().find_map(published_peak) }
}

fn published_peak(part: &str) -> Option<u64> {
    let peak = match part {
        "v100" => 125_000,
        "a100" => 312_000,
        "h100" | "h200" | "gh200" => 989_000,
        "b200" => 2_250_000,
        "mi250x" => 383_000,
        "mi300a" => 980_600,
        "mi300x" => 1_307_400,
        _ => return None,
    };
    Some(peak)
}

/// What a training run starts from, with the compute that counts for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum BaseCompute {
    /// From nothing.
    Scratch,
    /// A base model whose cumulative compute is known.
    Known {
        /// Its cumulative training compute.
        teraflop: TeraFlop,
    },
    /// A base model of unknown compute: it counts as 10^23 (Guidelines C(2025) 7719, points 59 to 61).
    Unknown,
    /// A base model of unknown compute that is known to be of systemic risk: it counts as 10^25 (the same).
    UnknownSystemic,
}

impl BaseCompute {
    /// The compute that counts for the base; `None` without one.
    #[must_use]
    pub fn counted(self) -> Option<TeraFlop> {
        match self {
            Self::Scratch => None,
            Self::Known { teraflop } => Some(teraflop),
            Self::Unknown => Some(TeraFlop::GENERAL_PURPOSE),
            Self::UnknownSystemic => Some(TeraFlop::SYSTEMIC),
        }
    }
}

/// A threshold that training compute can pass. Each is passed strictly above it; the order is that of the amounts for
/// the smallest base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// The modification is above one third of the base's compute: who modifies becomes the provider of the modified
    /// model (Guidelines C(2025) 7719, points 59 to 61).
    OneThirdOfBase,
    /// Cumulative compute is above 10^23 FLOP (the same, point 17).
    GeneralPurpose,
    /// Cumulative compute is above 10^25 FLOP (Regulation (EU) 2024/1689, Art. 51(2)).
    Systemic,
}

impl Threshold {
    /// Every threshold.
    pub const ALL: [Self; 3] = [Self::OneThirdOfBase, Self::GeneralPurpose, Self::Systemic];
}

/// The compute of a training run: its base, and what the run itself has added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingCompute {
    /// What it started from.
    pub base: BaseCompute,
    /// What was added since: declared, expected or metered.
    pub added_teraflop: TeraFlop,
}

impl TrainingCompute {
    /// Base and addition together.
    #[must_use]
    pub fn cumulative(self) -> TeraFlop {
        self.base.counted().unwrap_or_default().plus(self.added_teraflop)
    }

    /// Whether the compute is strictly above the threshold.
    #[must_use]
    pub fn is_above(self, threshold: Threshold) -> bool {
        match (threshold, self.base.counted()) {
            (Threshold::GeneralPurpose, _) => self.cumulative() > TeraFlop::GENERAL_PURPOSE,
            (Threshold::Systemic, _) => self.cumulative() > TeraFlop::SYSTEMIC,
            (Threshold::OneThirdOfBase, None) => false,
            (Threshold::OneThirdOfBase, Some(base)) => {
                u128::from(self.added_teraflop.0) * 3 > u128::from(base.0)
            }
        }
    }

    /// Every threshold it is above.
    #[must_use]
    pub fn above(self) -> Vec<Threshold> {
        Threshold::ALL.into_iter().filter(|threshold| self.is_above(*threshold)).collect()
    }
}
