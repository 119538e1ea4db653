// SPDX-License-Identifier: Apache-2.0
//! Settle: what a job costs, draws and emits, and the statement of a period that both members compute alike.
//!
//! Integers throughout. Each amount is rounded once, half to even, at its end: two members that hold the same receipts
//! agree to the last digit.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use sta_protocol::{
    federation::{Receipt, Statement, StatementLine, VERSION},
    ids::{MemberId, ReceiptId},
    job::JobSpec,
    treaty::{Energy, Resources, Series, Tariff},
};

use crate::admit::task_resources;

const MS_PER_HOUR: i128 = 3_600_000;
const BYTES_PER_GIB: i128 = 1 << 30;

/// Why there is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// A receipt of other members.
    #[error(
        "receipt {receipt} is between {home} and {host}: a statement takes only receipts between its two members"
    )]
    ForeignReceipt {
        /// Which.
        receipt: ReceiptId,
        /// Who pays.
        home: MemberId,
        /// Who earned.
        host: MemberId,
    },
    /// Two different lines for one receipt.
    #[error("receipt {0} occurs twice with different content: settle only receipts that verified")]
    ReceiptTwice(ReceiptId),
    /// A price below zero, or sums beyond 64 bits.
    #[error(
        "receipt {0} has a price that does not fit into a statement: prices are zero or more and sum up within 64 bits"
    )]
    PriceWrong(ReceiptId),
    /// A statement is between two members.
    #[error("a statement is between two members, not between {0} and itself")]
    OneMember(MemberId),
}

/// The price of holding `resources` for `wall_ms`, in millionths of the tariff's currency; `i64::MAX` when it is beyond that.
#[must_use]
pub fn price_micro(tariff: &Tariff, resources: Resources, wall_ms: u64) -> i64 {
    let per_hour = i128::from(resources.cpu_cores) * i128::from(tariff.cpu_core_hour_micro)
        + i128::from(resources.gpus) * i128::from(tariff.gpu_hour_micro);
    // A rate times a memory of 2^64 bytes stays below 2^127, and the product with the time is checked.
    let memory = i128::from(resources.memory_bytes) * i128::from(tariff.memory_gib_hour_micro);
    let exact = per_hour.checked_mul(BYTES_PER_GIB).and_then(|whole| whole.checked_add(memory));
    exact
        .and_then(|exact| exact.checked_mul(i128::from(wall_ms)))
        .map_or(i64::MAX, |exact| half_even(exact, BYTES_PER_GIB * MS_PER_HOUR))
}

/// The highest price a job may come to: every one of its tasks to its time limit at the tariff.
#[must_use]
pub fn price_micro_max(tariff: &Tariff, spec: &JobSpec) -> i64 {
    let task_ms = u64::from(spec.time_limit_s) * 1000 * u64::from(spec.shape.count);
    price_micro(tariff, task_resources(spec), task_ms)
}

/// The energy of holding `resources` for `wall_ms` by the site's model, in microwatt-hours.
#[must_use]
pub fn energy_uwh(energy: &Energy, resources: Resources, wall_ms: u64) -> i64 {
    // Milliwatts times milliseconds are microjoules; a microwatt-hour is 3600 of them.
    half_even(milliwatts(energy, resources).saturating_mul(i128::from(wall_ms)), 3600)
}

/// The CO2-equivalent of that energy in micrograms, at the intensity of each hour that the job spans.
#[must_use]
pub fn co2_ug(energy: &Energy, resources: Resources, started_at: Timestamp, wall_ms: u64) -> i64 {
    // uJ x mg/kWh: 1 kWh is 3.6e12 uJ and 1 mg is 1000 ug, so the quotient is 3.6e9.
    let weighted = intensity_times_ms(&energy.carbon_mg_per_kwh, started_at, wall_ms);
    half_even(milliwatts(energy, resources).saturating_mul(weighted), 3_600_000_000)
}

fn milliwatts(energy: &Energy, resources: Resources) -> i128 {
    i128::from(resources.cpu_cores) * i128::from(energy.milliwatts_per_core)
        + i128::from(resources.gpus) * i128::from(energy.milliwatts_per_gpu)
}

/// The sum over the job's milliseconds of the intensity in force, in mg/kWh times ms.
fn intensity_times_ms(series: &Series, started_at: Timestamp, wall_ms: u64) -> i128 {
    let values = match series {
        Series::Constant(value) => return i128::from(*value) * i128::from(wall_ms),
        Series::HourlyUtc(values) => values,
    };
    let day_ms = 24 * MS_PER_HOUR;
    let whole_days = i128::from(wall_ms) / day_ms;
    let whole_day: i128 = values.iter().map(|value| i128::from(*value) * MS_PER_HOUR).sum();
    let begin = i128::from(started_at.as_millisecond()).rem_euclid(day_ms);
    let end = begin + i128::from(wall_ms) % day_ms;
    // What is left is under a day and so touches at most 25 hours of two days.
    let rest: i128 = (0..48)
        .zip(values.iter().cycle())
        .map(|(hour, value)| {
            let held = end.min((hour + 1) * MS_PER_HOUR) - begin.max(hour * MS_PER_HOUR);
            i128::from(*value) * held.max(0)
        })
        .sum();
    whole_days * whole_day + rest
}

/// The quotient rounded half to even; `i64::MAX` or `i64::MIN` where it is beyond 64 bits.
pub(crate) fn half_even(numerator: i128, denominator: i128) -> i64 {
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => floor.rem_euclid(2),
        std::cmp::Ordering::Greater => 1,
    };
    let limit = if numerator < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(floor + up).unwrap_or(limit)
}

/// The calendar month of a moment in UTC, `2026-11`.
#[must_use]
pub fn period_of(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()
}

/// The line of a receipt in a statement; `granted` is what one of its tasks held.
#[must_use]
pub fn statement_line(receipt: &Receipt, granted: Resources) -> StatementLine {
    StatementLine {
        receipt: receipt.receipt,
        job: receipt.job,
        home: receipt.home.clone(),
        host: receipt.host.clone(),
        site: receipt.site.clone(),
        price_micro: receipt.price_micro,
        cpu_core_ms: u64::from(granted.cpu_cores).saturating_mul(receipt.usage.wall_ms),
        gpu_ms: u64::from(granted.gpus).saturating_mul(receipt.usage.wall_ms),
        co2_ug: receipt.co2_ug,
    }
}

/// The statement of a period between two members, from lines in any order: the same lines give the same statement.
///
/// # Errors
/// A line of other members, two different lines for one receipt, a negative price, or sums beyond 64 bits.
pub fn statement(
    period: &str,
    currency: &str,
    pair: [MemberId; 2],
    lines: Vec<StatementLine>,
) -> Result<Statement, SettleError> {
    let mut members = pair;
    members.sort();
    if members[0] == members[1] {
        return Err(SettleError::OneMember(members[0].clone()));
    }
    let mut by_receipt: BTreeMap<ReceiptId, StatementLine> = BTreeMap::new();
    let mut earned: BTreeMap<MemberId, i64> = members.iter().map(|member| (member.clone(), 0)).collect();
    for line in lines {
        let within = members.contains(&line.home) && members.contains(&line.host) && line.home != line.host;
        if !within {
            return Err(SettleError::ForeignReceipt {
                receipt: line.receipt,
                home: line.home,
                host: line.host,
            });
        }
        match by_receipt.get(&line.receipt) {
            Some(known) if *known == line => continue,
            Some(_) => return Err(SettleError::ReceiptTwice(line.receipt)),
            None => {}
        }
        let sum = earned.entry(line.host.clone()).or_default();
        let price = Some(line.price_micro).filter(|price| *price >= 0);
        *sum = price.and_then(|price| sum.checked_add(price)).ok_or(SettleError::PriceWrong(line.receipt))?;
        by_receipt.insert(line.receipt, line);
    }
    // The first member owes what the second earned by running the first's jobs. Both sums are zero or more: no overflow.
    let net_micro = earned[&members[1]] - earned[&members[0]];
    Ok(Statement {
        version: VERSION,
        period: period.to_owned(),
        currency: currency.to_owned(),
        members,
        lines: by_receipt.into_values().collect(),
        earned_micro: earned,
        net_micro,
    })
}
