// SPDX-License-Identifier: Apache-2.0
//! Electricity: what it costs and emits while processors run or stand idle, where both change from hour to hour.
//!
//! Whole numbers throughout. What spans of time come to is added up exactly as an [`Exposure`], and rounded once, half to even, when
//! [`Power::spent`] turns it into money and grams: the order in which spans are added changes nothing.

use std::ops::{Add, AddAssign, Mul};

use jiff::Timestamp;

use crate::settle::half_even;

const HOUR_MS: u64 = 3_600_000;
const DAY_HOURS: u64 = 24;
/// The furthest from zero that a price or an intensity may be.
pub const RATE_MAX: i64 = 1_000_000_000_000;
/// The longest series: a hundred years.
pub const HOURS_MAX: usize = 100 * 366 * 24;
/// The most that a processor may draw: 100 kilowatts.
pub const MILLIWATTS_MAX: u32 = 100_000_000;
/// A building that draws nothing beside its processors, in millionths.
pub const PUE_PPM_MIN: u32 = 1_000_000;
/// A building that draws ten times what its processors do.
pub const PUE_PPM_MAX: u32 = 10_000_000;

/// Why electricity cannot be reckoned so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnergyError {
    /// A rate out of all bounds.
    #[error("a rate of {0} is further from 0 than {RATE_MAX}: is it in the unit that its name says?")]
    Rate(i64),
    /// A day of other than 24 hours.
    #[error("{0} values are no day: use one number, or 24 for the hours of the day in UTC, from 00:00 on")]
    Day(usize),
    /// A series of nothing, or of too much.
    #[error("a series of {0} hours: use 1 to {HOURS_MAX}")]
    Length(usize),
    /// A series whose hours are not those of the clock.
    #[error("a series begins at a full hour in UTC, and {} is none", utc(*.0))]
    Start(u64),
    /// An intensity below nothing.
    #[error("carbon of {0} mg/kWh: electricity takes none out of the air; use 0 or more")]
    Carbon(i64),
    /// A span for which no rate is known.
    #[error(
        "{} to {} is not within the series, which has {} to {}: use a longer one, or another year",
        utc(*.from_ms), utc(*.until_ms), utc(*.begin_ms), utc(*.end_ms)
    )]
    Outside {
        /// Where the span begins.
        from_ms: u64,
        /// Where it ends.
        until_ms: u64,
        /// Where the series begins.
        begin_ms: u64,
        /// Where it ends.
        end_ms: u64,
    },
    /// More than any processor draws.
    #[error("a processor that draws {0} milliwatts: use at most {MILLIWATTS_MAX}")]
    Milliwatts(u32),
    /// An idle processor that draws more than a busy one.
    #[error(
        "a processor that draws {idle_mw} milliwatts when idle and {busy_mw} when busy: are the two exchanged?"
    )]
    Exchanged {
        /// Idle.
        idle_mw: u32,
        /// Busy.
        busy_mw: u32,
    },
    /// A power usage effectiveness that no building has.
    #[error(
        "a power usage effectiveness of {0} millionths: use {PUE_PPM_MIN} (the building adds nothing) to {PUE_PPM_MAX}"
    )]
    Pue(u32),
}

fn utc(at_ms: u64) -> String {
    let moment = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(|| format!("{at_ms} ms"), |moment| moment.to_string())
}

/// How a rate runs over time, in whole hours of UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Constant(i64),
    /// The sums of the rates before each hour; the last is the sum of them all.
    Daily(Vec<i64>),
    Hourly {
        begin_ms: u64,
        /// As above.
        before: Vec<i64>,
    },
}

impl Course {
    /// The same rate at all times.
    ///
    /// # Errors
    /// It is out of bounds.
    pub fn constant(rate: i64) -> Result<Self, EnergyError> {
        check_rate(rate)?;
        Ok(Self(Form::Constant(rate)))
    }

    /// The same rates each day, from 00:00 UTC on.
    ///
    /// # Errors
    /// They are not 24, or one is out of bounds.
    pub fn daily(rates: &[i64]) -> Result<Self, EnergyError> {
        if rates.len() as u64 != DAY_HOURS {
            return Err(EnergyError::Day(rates.len()));
        }
        Ok(Self(Form::Daily(sums(rates)?)))
    }

    /// One rate for each hour from a full hour on. There is none before and after: the series does not begin anew.
    ///
    /// # Errors
    /// There are none or too many, one is out of bounds, or they do not begin at a full hour.
    pub fn hourly(begin_ms: u64, rates: &[i64]) -> Result<Self, EnergyError> {
        if rates.is_empty() || rates.len() > HOURS_MAX {
            return Err(EnergyError::Length(rates.len()));
        }
        if !begin_ms.is_multiple_of(HOUR_MS) {
            return Err(EnergyError::Start(begin_ms));
        }
        Ok(Self(Form::Hourly { begin_ms, before: sums(rates)? }))
    }

    /// Whether a rate is known from one moment to the other.
    ///
    /// # Errors
    /// It is not.
    pub fn check_span(&self, from_ms: u64, until_ms: u64) -> Result<(), EnergyError> {
        let Form::Hourly { begin_ms, before } = &self.0 else { return Ok(()) };
        let (begin_ms, hours) = (*begin_ms, before.len() as u64 - 1);
        let end_ms = begin_ms.saturating_add(hours * HOUR_MS);
        if from_ms < until_ms && (from_ms < begin_ms || until_ms > end_ms) {
            return Err(EnergyError::Outside { from_ms, until_ms, begin_ms, end_ms });
        }
        Ok(())
    }

    /// The sum of the rate over the milliseconds from one moment to the other; 0 where the second is not later.
    ///
    /// # Errors
    /// As [`Self::check_span`].
    pub fn over(&self, from_ms: u64, until_ms: u64) -> Result<i128, EnergyError> {
        self.check_span(from_ms, until_ms)?;
        if until_ms <= from_ms { Ok(0) } else { Ok(self.sum_to(until_ms) - self.sum_to(from_ms)) }
    }

    /// The sum of the rate up to a moment: since the series begins, or since 1970.
    fn sum_to(&self, at_ms: u64) -> i128 {
        match &self.0 {
            Form::Constant(rate) => i128::from(*rate) * i128::from(at_ms),
            Form::Daily(before) => {
                let (days, in_day_ms) = (at_ms / (DAY_HOURS * HOUR_MS), at_ms % (DAY_HOURS * HOUR_MS));
                let day = before.last().map_or(0, |sum| i128::from(*sum) * i128::from(HOUR_MS));
                i128::from(days) * day + sum_within(before, in_day_ms)
            }
            Form::Hourly { begin_ms, before } => sum_within(before, at_ms.saturating_sub(*begin_ms)),
        }
    }
}

fn check_rate(rate: i64) -> Result<(), EnergyError> {
    if rate.unsigned_abs() > RATE_MAX.unsigned_abs() { Err(EnergyError::Rate(rate)) } else { Ok(()) }
}

/// The sums before each hour, and of all. A hundred years of the highest rate stay below 2^60.
fn sums(rates: &[i64]) -> Result<Vec<i64>, EnergyError> {
    let mut sum = 0;
    let mut before = Vec::with_capacity(rates.len() + 1);
    before.push(sum);
    for rate in rates {
        check_rate(*rate)?;
        sum += rate;
        before.push(sum);
    }
    Ok(before)
}

fn sum_within(before: &[i64], since_ms: u64) -> i128 {
    let hour = usize::try_from(since_ms / HOUR_MS).unwrap_or(usize::MAX);
    let whole = before.get(hour).copied().unwrap_or(0);
    // At the very end of a series there is no next hour, and nothing of it to add.
    let rate = before.get(hour.saturating_add(1)).map_or(0, |next| next - whole);
    i128::from(whole) * i128::from(HOUR_MS) + i128::from(rate) * i128::from(since_ms % HOUR_MS)
}

/// The electricity of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supply {
    price_micro_per_mwh: Course,
    carbon_mg_per_kwh: Course,
}

impl Supply {
    /// Its price in millionths of a currency for a megawatt-hour, which may be below 0, and the milligrams of CO2-equivalent of a
    /// kilowatt-hour.
    ///
    /// # Errors
    /// An intensity is below 0.
    pub fn new(price_micro_per_mwh: Course, carbon_mg_per_kwh: Course) -> Result<Self, EnergyError> {
        let below = match &carbon_mg_per_kwh.0 {
            Form::Constant(rate) => Some(*rate).filter(|rate| *rate < 0),
            Form::Daily(before) | Form::Hourly { before, .. } => {
                before.windows(2).map(|pair| pair[1] - pair[0]).find(|rate| *rate < 0)
            }
        };
        below.map_or(Ok(Self { price_micro_per_mwh, carbon_mg_per_kwh }), |rate| {
            Err(EnergyError::Carbon(rate))
        })
    }

    /// Whether price and carbon are known from one moment to the other.
    ///
    /// # Errors
    /// One of them is not.
    pub fn check_span(&self, from_ms: u64, until_ms: u64) -> Result<(), EnergyError> {
        self.price_micro_per_mwh.check_span(from_ms, until_ms)?;
        self.carbon_mg_per_kwh.check_span(from_ms, until_ms)
    }

    /// What one processor is exposed to from one moment to the other.
    ///
    /// # Errors
    /// As [`Self::check_span`].
    pub fn over(&self, from_ms: u64, until_ms: u64) -> Result<Exposure, EnergyError> {
        Ok(Exposure {
            ms: i128::from(until_ms.saturating_sub(from_ms)),
            price: self.price_micro_per_mwh.over(from_ms, until_ms)?,
            carbon: self.carbon_mg_per_kwh.over(from_ms, until_ms)?,
        })
    }
}

/// The time of processors, each millisecond with the price and the carbon of its hour; of many processors and spans it is the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exposure {
    ms: i128,
    price: i128,
    carbon: i128,
}

impl Exposure {
    /// Processor time in milliseconds.
    #[must_use]
    pub fn processor_ms(&self) -> i128 {
        self.ms
    }
}

impl Add for Exposure {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            ms: self.ms.saturating_add(other.ms),
            price: self.price.saturating_add(other.price),
            carbon: self.carbon.saturating_add(other.carbon),
        }
    }
}

impl AddAssign for Exposure {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Of so many processors.
impl Mul<u32> for Exposure {
    type Output = Self;

    fn mul(self, processors: u32) -> Self {
        let of = |sum: i128| sum.saturating_mul(i128::from(processors));
        Self { ms: of(self.ms), price: of(self.price), carbon: of(self.carbon) }
    }
}

/// What a processor draws, with its part of the building.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Power {
    /// In microwatts.
    idle_uw: i128,
    busy_uw: i128,
}

/// What electricity came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Milliwatt-hours.
    pub energy_mwh: i64,
    /// Millionths of the currency; below 0 where the price was.
    pub cost_micro: i64,
    /// Micrograms of CO2-equivalent.
    pub co2_ug: i64,
}

impl Power {
    /// What one processor draws idle and busy, and the power usage effectiveness of the building (all that it draws for each watt of
    /// its processors) in millionths. Their products are rounded to whole microwatts, half to even.
    ///
    /// # Errors
    /// A number is out of bounds.
    pub fn new(idle_mw: u32, busy_mw: u32, pue_ppm: u32) -> Result<Self, EnergyError> {
        if busy_mw > MILLIWATTS_MAX {
            return Err(EnergyError::Milliwatts(busy_mw));
        }
        if idle_mw > busy_mw {
            return Err(EnergyError::Exchanged { idle_mw, busy_mw });
        }
        if !(PUE_PPM_MIN..=PUE_PPM_MAX).contains(&pue_ppm) {
            return Err(EnergyError::Pue(pue_ppm));
        }
        let microwatts =
            |milliwatts: u32| i128::from(half_even(i128::from(milliwatts) * i128::from(pue_ppm), 1000));
        Ok(Self { idle_uw: microwatts(idle_mw), busy_uw: microwatts(busy_mw) })
    }

    /// What processors spent in the time in which they were busy and in that in which they stood idle. Amounts beyond 64 bits are
    /// given as the furthest number there is.
    #[must_use]
    pub fn spent(&self, busy: Exposure, idle: Exposure) -> Spent {
        // A product beyond 128 bits is, in any of these units, beyond 64.
        let of = |part: fn(Exposure) -> i128, unit: i128| {
            let [busy, idle] =
                [part(busy).saturating_mul(self.busy_uw), part(idle).saturating_mul(self.idle_uw)];
            half_even(busy.saturating_add(idle), unit)
        };
        // Microwatts times milliseconds are nanojoules: 3.6e9 of them a milliwatt-hour, 3.6e18 a megawatt-hour. A kilowatt-hour is
        // 3.6e15, and each of its milligrams a thousand micrograms.
        Spent {
            energy_mwh: of(|it| it.ms, 3_600_000_000),
            cost_micro: of(|it| it.price, 3_600_000_000_000_000_000),
            co2_ug: of(|it| it.carbon, 3_600_000_000_000),
        }
    }
}
