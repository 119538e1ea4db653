// SPDX-License-Identifier: Apache-2.0
//! Electricity: hour by hour to compare with, what spans come to, and what is said of numbers that cannot be.

use proptest::prelude::*;
use sta_decide::energy::{Course, EnergyError, Exposure, HOURS_MAX, Power, RATE_MAX, Spent, Supply};

const HOUR_MS: u64 = 3_600_000;
/// 2024-04-01T00:00:00Z.
const APRIL_MS: u64 = 1_711_929_600_000;

/// The same sum, each millisecond's hour looked up by itself, hour by hour.
fn hour_by_hour(rate_at: impl Fn(u64) -> i64, from_ms: u64, until_ms: u64) -> i128 {
    let (mut sum, mut at_ms) = (0, from_ms);
    while at_ms < until_ms {
        let next_ms = ((at_ms / HOUR_MS + 1) * HOUR_MS).min(until_ms);
        sum += i128::from(rate_at(at_ms)) * i128::from(next_ms - at_ms);
        at_ms = next_ms;
    }
    sum
}

fn rate() -> impl Strategy<Value = i64> {
    prop_oneof![-500_000_000i64..500_000_000, Just(RATE_MAX), Just(-RATE_MAX), Just(0)]
}

/// A span within so many hours, often at its edges or at full hours.
fn span(hours: u64) -> impl Strategy<Value = (u64, u64)> {
    let moment = prop_oneof![0..=hours * HOUR_MS, (0..=hours).prop_map(|hour| hour * HOUR_MS)];
    (moment.clone(), moment).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

proptest! {
    #[test]
    fn a_series_comes_to_what_its_hours_come_to(
        rates in prop::collection::vec(rate(), 60..100), (from, until) in span(60),
    ) {
        let course = Course::hourly(APRIL_MS, &rates).unwrap();
        let rate_at = |at_ms: u64| rates[usize::try_from((at_ms - APRIL_MS) / HOUR_MS).unwrap()];
        let (from, until) = (APRIL_MS + from, APRIL_MS + until);
        prop_assert_eq!(course.over(from, until).unwrap(), hour_by_hour(rate_at, from, until));
    }

    #[test]
    fn a_day_comes_again_each_day(
        rates in prop::collection::vec(rate(), 24), (from, until) in span(100), shift_h in 0u64..500_000,
    ) {
        let course = Course::daily(&rates).unwrap();
        let rate_at = |at_ms: u64| rates[usize::try_from(at_ms / HOUR_MS % 24).unwrap()];
        let (from, until) = (from + shift_h * HOUR_MS, until + shift_h * HOUR_MS);
        prop_assert_eq!(course.over(from, until).unwrap(), hour_by_hour(rate_at, from, until));
    }

    #[test]
    fn spans_that_meet_come_to_the_span_they_make(
        rates in prop::collection::vec(0i64..1_000_000, 60), (from, until) in span(60), cut_ppm in 0u64..=1_000_000,
        price in rate(), processors in 1u32..2000,
    ) {
        let carbon = Course::hourly(0, &rates).unwrap();
        let supply = Supply::new(Course::constant(price).unwrap(), carbon).unwrap();
        let cut = from + (until - from) / 1_000_000 * cut_ppm;
        let both = supply.over(from, cut).unwrap() + supply.over(cut, until).unwrap();
        prop_assert_eq!(both, supply.over(from, until).unwrap());
        let mut by_ones = Exposure::default();
        for _ in 0..processors {
            by_ones += both;
        }
        prop_assert_eq!(both * processors, by_ones);
        prop_assert_eq!((both * processors).processor_ms(), i128::from(until - from) * i128::from(processors));
    }
}

fn constant(rate: i64) -> Course {
    Course::constant(rate).unwrap()
}

#[test]
fn a_thousand_watts_in_a_building_that_adds_a_fifth_cost_and_emit_what_a_bill_would_say() {
    // 0.35 kW idle and 1 kW busy for an hour each, at 90.50 a megawatt-hour and 332 g/kWh.
    let power = Power::new(350_000, 1_000_000, 1_200_000).unwrap();
    let supply = Supply::new(constant(90_500_000), constant(332_000)).unwrap();
    let hour = supply.over(APRIL_MS, APRIL_MS + HOUR_MS).unwrap();
    let busy = Spent { energy_mwh: 1_200_000, cost_micro: 108_600, co2_ug: 398_400_000 };
    assert_eq!(power.spent(hour, Exposure::default()), busy);
    let both = Spent { energy_mwh: 1_620_000, cost_micro: 146_610, co2_ug: 537_840_000 };
    assert_eq!(power.spent(hour, hour), both);
    assert_eq!(power.spent(hour * 8, hour * 8).cost_micro, 8 * 146_610);
}

#[test]
fn where_the_price_is_below_zero_whoever_runs_is_paid() {
    let supply = Supply::new(constant(-10_000_000), constant(0)).unwrap();
    let power = Power::new(0, 1_000_000, 1_000_000).unwrap();
    let hour = supply.over(0, HOUR_MS).unwrap();
    assert_eq!(power.spent(hour, hour).cost_micro, -10_000);
}

#[test]
fn amounts_are_rounded_once_and_half_to_even() {
    let power = Power::new(0, 1, 1_000_000).unwrap();
    // One milliwatt for half an hour, an hour and a half, and their sum.
    let supply = Supply::new(constant(0), constant(0)).unwrap();
    let [half, more] = [1, 3].map(|halves| supply.over(0, halves * HOUR_MS / 2).unwrap());
    let spent = |busy| power.spent(busy, Exposure::default()).energy_mwh;
    assert_eq!([spent(half), spent(more), spent(half + more)], [0, 2, 2]);
}

#[test]
fn amounts_beyond_64_bits_are_the_furthest_there_is() {
    let supply = Supply::new(constant(-RATE_MAX), constant(RATE_MAX)).unwrap();
    let power = Power::new(0, 100_000_000, 10_000_000).unwrap();
    let long = supply.over(0, u64::MAX).unwrap() * u32::MAX;
    let furthest = Spent { energy_mwh: i64::MAX, cost_micro: i64::MIN, co2_ug: i64::MAX };
    assert_eq!(power.spent(long + long, Exposure::default()), furthest);
}

#[test]
fn a_span_that_ends_before_it_begins_is_empty_also_outside_of_a_series() {
    let course = Course::hourly(APRIL_MS, &[5]).unwrap();
    assert_eq!(course.over(20, 10), Ok(0));
    assert_eq!(course.over(APRIL_MS + HOUR_MS, APRIL_MS + HOUR_MS), Ok(0));
}

#[test]
fn a_span_of_which_no_rate_is_known_is_told_with_what_is_known() {
    let series = Course::hourly(APRIL_MS, &[5, 6]).unwrap();
    let said = |error: EnergyError| error.to_string();
    assert_eq!(
        said(series.over(APRIL_MS - 1, APRIL_MS + 1).unwrap_err()),
        "2024-03-31T23:59:59.999Z to 2024-04-01T00:00:00.001Z is not within the series, which has 2024-04-01T00:00:00Z to \
         2024-04-01T02:00:00Z: use a longer one, or another year"
    );
    assert!(series.check_span(APRIL_MS, APRIL_MS + 2 * HOUR_MS).is_ok());
    assert!(series.check_span(APRIL_MS, APRIL_MS + 2 * HOUR_MS + 1).is_err());
    assert_eq!(
        said(series.check_span(APRIL_MS, u64::MAX).unwrap_err()),
        "2024-04-01T00:00:00Z to 18446744073709551615 ms is not within the series, which has 2024-04-01T00:00:00Z to \
         2024-04-01T02:00:00Z: use a longer one, or another year"
    );
    let by_price = Supply::new(series.clone(), constant(0)).unwrap();
    let by_carbon = Supply::new(constant(0), series).unwrap();
    assert!(by_price.check_span(0, 1).is_err() && by_carbon.check_span(0, 1).is_err());
    assert!(by_price.over(0, 1).is_err() && by_carbon.over(0, 1).is_err());
}

#[test]
fn numbers_that_cannot_be_are_told_with_what_can() {
    let said = |error: EnergyError| error.to_string();
    let rate =
        "a rate of 1000000000001 is further from 0 than 1000000000000: is it in the unit that its name says?";
    assert_eq!(said(Course::constant(RATE_MAX + 1).unwrap_err()), rate);
    assert_eq!(said(Course::daily(&[RATE_MAX + 1; 24]).unwrap_err()), rate);
    assert_eq!(said(Course::hourly(0, &[RATE_MAX + 1]).unwrap_err()), rate);
    assert_eq!(Course::constant(i64::MIN), Err(EnergyError::Rate(i64::MIN)));
    assert_eq!(
        said(Course::daily(&[1; 23]).unwrap_err()),
        "23 values are no day: use one number, or 24 for the hours of the day in UTC, from 00:00 on"
    );
    assert_eq!(said(Course::hourly(0, &[]).unwrap_err()), "a series of 0 hours: use 1 to 878400");
    assert_eq!(Course::hourly(0, &vec![0; HOURS_MAX + 1]), Err(EnergyError::Length(HOURS_MAX + 1)));
    assert_eq!(
        said(Course::hourly(APRIL_MS + 1000, &[1]).unwrap_err()),
        "a series begins at a full hour in UTC, and 2024-04-01T00:00:01Z is none"
    );
    let carbon = "carbon of -1 mg/kWh: electricity takes none out of the air; use 0 or more";
    assert_eq!(said(Supply::new(constant(0), constant(-1)).unwrap_err()), carbon);
    let series = Course::hourly(0, &[3, -1, -2]).unwrap();
    assert_eq!(said(Supply::new(constant(0), series).unwrap_err()), carbon);
    assert_eq!(
        said(Power::new(0, 100_000_001, 1_000_000).unwrap_err()),
        "a processor that draws 100000001 milliwatts: use at most 100000000"
    );
    assert_eq!(
        said(Power::new(2, 1, 1_000_000).unwrap_err()),
        "a processor that draws 2 milliwatts when idle and 1 when busy: are the two exchanged?"
    );
    for pue_ppm in [999_999, 10_000_001] {
        assert_eq!(
            said(Power::new(0, 1, pue_ppm).unwrap_err()),
            format!(
                "a power usage effectiveness of {pue_ppm} millionths: use 1000000 (the building adds nothing) to 10000000"
            )
        );
    }
}
