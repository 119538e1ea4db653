// SPDX-License-Identifier: Apache-2.0
//! Prices, energy, CO2 and statements: known values, one rounding, and that both members reach the same statement.

use jiff::Timestamp;
use proptest::prelude::*;
use sta_decide::settle::{
    SettleError, co2_ug, energy_uwh, period_of, price_micro, price_micro_max, statement, statement_line,
};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{Exit, Receipt, StatementLine, Usage, UsageSources},
    ids::{JobId, MemberId, ReceiptId},
    treaty::{Energy, Resources, Series, Tariff},
};

use crate::example::{now, spec};

const TARIFF: Tariff =
    Tariff { cpu_core_hour_micro: 24_000, memory_gib_hour_micro: 3_000, gpu_hour_micro: 2_100_000 };
const HOUR_MS: u64 = 3_600_000;

fn resources(cpu_cores: u32, gib: u64, gpus: u32) -> Resources {
    Resources { cpu_cores, memory_bytes: gib << 30, gpus }
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hourly() -> Energy {
    let values = (0..24).map(|hour| hour * 1000).collect();
    Energy {
        milliwatts_per_core: 10_000,
        milliwatts_per_gpu: 500_000,
        carbon_mg_per_kwh: Series::HourlyUtc(values),
    }
}

#[test]
fn an_hour_costs_the_sum_of_its_rates() {
    assert_eq!(price_micro(&TARIFF, resources(2, 4, 1), HOUR_MS), 2 * 24_000 + 4 * 3_000 + 2_100_000);
    assert_eq!(price_micro(&TARIFF, resources(2, 4, 1), 0), 0);
    assert_eq!(price_micro_max(&TARIFF, &spec()), (2 * 24_000 + 3_000) / 6);
}

#[test]
fn a_price_is_rounded_once_half_to_even() {
    let per_core = |rate| Tariff { cpu_core_hour_micro: rate, memory_gib_hour_micro: 0, gpu_hour_micro: 0 };
    let half_hours = |rate| price_micro(&per_core(rate), resources(1, 0, 0), HOUR_MS / 2);
    assert_eq!([1, 3, 5, 7].map(half_hours), [0, 2, 2, 4]);
    // Two halves of one amount are not rounded apart: half a millionth of cores and half of memory make one.
    let both = Tariff { cpu_core_hour_micro: 1, memory_gib_hour_micro: 1, gpu_hour_micro: 0 };
    assert_eq!(price_micro(&both, resources(1, 1, 0), HOUR_MS / 2), 1);
}

#[test]
fn a_price_beyond_64_bits_is_the_highest_there_is() {
    let dear =
        Tariff { cpu_core_hour_micro: i64::MAX, memory_gib_hour_micro: i64::MAX, gpu_hour_micro: i64::MAX };
    let most = Resources { cpu_cores: u32::MAX, memory_bytes: u64::MAX, gpus: u32::MAX };
    assert_eq!(price_micro(&dear, most, u64::MAX), i64::MAX);
}

#[test]
fn energy_is_power_times_time() {
    // Two cores at 10 W and a GPU at 500 W for half an hour: 260 Wh.
    assert_eq!(energy_uwh(&hourly(), resources(2, 1, 1), HOUR_MS / 2), 260_000_000);
    // 10 W for 90 ms: 250 uWh exactly.
    assert_eq!(energy_uwh(&hourly(), resources(1, 1, 0), 90), 250);
}

#[test]
fn carbon_is_weighed_by_the_hours_that_a_job_spans() {
    // A core of 10 W, an hour at 3 g/kWh and an hour at 4 g/kWh: 10 Wh x 7 g/kWh = 70 mg.
    assert_eq!(co2_ug(&hourly(), resources(1, 1, 0), moment("2026-11-23T03:00:00Z"), 2 * HOUR_MS), 70_000);
    // From 23:30 to 00:30: half an hour at 23 g, half at 0 g.
    assert_eq!(co2_ug(&hourly(), resources(1, 1, 0), moment("2026-11-23T23:30:00Z"), HOUR_MS), 115_000);
    let constant = Energy { carbon_mg_per_kwh: Series::Constant(28_300), ..hourly() };
    assert_eq!(co2_ug(&constant, resources(1, 1, 0), now(), HOUR_MS), 283_000);
}

#[test]
fn a_whole_day_weighs_the_same_from_any_start() {
    let day_mean_g = 23 * 24 / 2;
    for start in ["2026-11-23T00:00:00Z", "2026-11-23T07:13:01.337Z", "2026-11-23T23:59:59.999Z"] {
        assert_eq!(
            co2_ug(&hourly(), resources(1, 1, 0), moment(start), 3 * 24 * HOUR_MS),
            3 * day_mean_g * 10_000,
            "{start}"
        );
    }
}

#[test]
fn a_period_is_the_calendar_month_in_utc() {
    assert_eq!(period_of(moment("2026-11-30T23:59:59.999Z")), "2026-11");
    assert_eq!(period_of(moment("2026-12-01T00:30:00+01:00")), "2026-11");
    assert_eq!(period_of(moment("2027-01-01T00:00:00Z")), "2027-01");
}

fn line(number: u8, home: &str, host: &str, price_micro: i64) -> StatementLine {
    StatementLine {
        receipt: ReceiptId::new(1_000 + u64::from(number), [number; 10]),
        job: JobId::new(1, [number; 10]),
        home: home.parse().unwrap(),
        host: host.parse().unwrap(),
        site: "juelich".parse().unwrap(),
        price_micro,
        cpu_core_ms: 1,
        gpu_ms: 0,
        co2_ug: 1,
    }
}

fn pair(a: &str, b: &str) -> [MemberId; 2] {
    [a.parse().unwrap(), b.parse().unwrap()]
}

#[test]
fn a_statement_sorts_sums_and_nets() {
    let lines = vec![line(3, "ca", "de", 500), line(1, "de", "ca", 120), line(2, "ca", "de", 30)];
    let statement = statement("2026-11", "EUR", pair("de", "ca"), lines).unwrap();
    assert_eq!(statement.members, pair("ca", "de"));
    assert_eq!(statement.lines.iter().map(|line| line.price_micro).collect::<Vec<_>>(), [120, 30, 500]);
    assert_eq!(statement.earned_micro.values().copied().collect::<Vec<_>>(), [120, 530]);
    // Canada, the first, owes what Germany earned less what Canada earned.
    assert_eq!(statement.net_micro, 410);
}

#[test]
fn a_period_without_jobs_has_a_statement_of_zeros() {
    let statement = statement("2026-11", "EUR", pair("ca", "de"), Vec::new()).unwrap();
    assert_eq!((statement.net_micro, statement.lines.len(), statement.earned_micro.len()), (0, 0, 2));
}

#[test]
fn a_receipt_counts_once_and_never_in_two_versions() {
    let (first, other) = (line(1, "ca", "de", 5), line(1, "ca", "de", 6));
    let twice = statement("2026-11", "EUR", pair("ca", "de"), vec![first.clone(), first.clone()]).unwrap();
    assert_eq!((twice.net_micro, twice.lines.len()), (5, 1));
    let error = statement("2026-11", "EUR", pair("ca", "de"), vec![first.clone(), other]).unwrap_err();
    assert_eq!(error, SettleError::ReceiptTwice(first.receipt));
}

#[test]
fn receipts_of_others_and_prices_out_of_range_are_refused() {
    let settle = |lines| statement("2026-11", "EUR", pair("ca", "de"), lines).unwrap_err();
    for (home, host) in [("ca", "fr"), ("fr", "de"), ("de", "de")] {
        assert!(matches!(settle(vec![line(1, home, host, 5)]), SettleError::ForeignReceipt { .. }));
    }
    assert!(matches!(settle(vec![line(1, "ca", "de", -1)]), SettleError::PriceWrong(_)));
    let overflow = vec![line(1, "ca", "de", i64::MAX), line(2, "ca", "de", 1)];
    assert!(matches!(settle(overflow), SettleError::PriceWrong(_)));
    let alone = statement("2026-11", "EUR", pair("ca", "ca"), Vec::new());
    assert_eq!(alone, Err(SettleError::OneMember("ca".parse().unwrap())));
}

#[test]
fn a_line_takes_its_numbers_from_the_receipt_and_what_was_granted() {
    let receipt = Receipt {
        attempt: 1,
        goes_on: false,
        tasks: None,
        version: 1,
        receipt: ReceiptId::new(1, [1; 10]),
        admission_digest: Sha256Digest::of(b"admission"),
        job: JobId::new(1, [2; 10]),
        home: "ca".parse().unwrap(),
        host: "de".parse().unwrap(),
        site: "juelich".parse().unwrap(),
        exit: Exit::Code(0),
        started_at: Some(now()),
        ended_at: now(),
        usage: Usage { wall_ms: 1_500, cpu_ms: 900, memory_bytes_peak: 7, sources: UsageSources::default() },
        limits_enforced: Vec::new(),
        price_micro: 77,
        energy_uwh: 8,
        co2_ug: 9,
        outputs: Vec::new(),
        handed_back: false,
        saved: None,
        outputs_missing: Vec::new(),
    };
    let line = statement_line(&receipt, resources(4, 1, 2));
    assert_eq!((line.cpu_core_ms, line.gpu_ms, line.price_micro, line.co2_ug), (6_000, 3_000, 77, 9));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn both_members_reach_the_same_statement_in_any_order(
        entries in proptest::collection::btree_map(any::<u8>(), (any::<bool>(), 0..1_000_000_000_i64), 0..30), turn in any::<usize>(),
    ) {
        let lines: Vec<StatementLine> = entries.into_iter().map(|(number, (outward, price))| {
            let (home, host) = if outward { ("ca", "de") } else { ("de", "ca") };
            line(number, home, host, price)
        }).collect();
        let mut turned = lines.clone();
        if !turned.is_empty() {
            turned.rotate_left(turn % lines.len());
        }
        let ours = statement("2026-11", "EUR", pair("ca", "de"), lines.clone()).unwrap();
        prop_assert_eq!(&statement("2026-11", "EUR", pair("de", "ca"), turned).unwrap(), &ours);
        let owed: i64 = lines.iter().map(|line| if line.home.as_str() == "ca" { line.price_micro } else { -line.price_micro }).sum();
        prop_assert_eq!(ours.net_micro, owed);
    }

    #[test]
    fn a_longer_run_never_costs_draws_or_emits_less(
        wall_ms in 0..100_000_000_u64, more in 0..100_000_000_u64, start_s in 1_600_000_000..2_000_000_000_i64, cores in 0..1_000_u32,
    ) {
        let (held, start) = (resources(cores, 7, 1), Timestamp::from_second(start_s).unwrap());
        let at = |ms| (price_micro(&TARIFF, held, ms), energy_uwh(&hourly(), held, ms), co2_ug(&hourly(), held, start, ms));
        let (less, all) = (at(wall_ms), at(wall_ms + more));
        prop_assert!(less.0 <= all.0 && less.1 <= all.1 && less.2 <= all.2);
    }
}
