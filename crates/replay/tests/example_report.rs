// SPDX-License-Identifier: Apache-2.0
//! A report to look at: the size of two nations whose fleets are loaded to 85 %, with numbers near those of a real replay.
//!
//! Its series over time are made up. It is never shipped, nor is any figure in it a result.

use sta_replay::report::{
    Bill, Cost, CurvePoint, LoadPoint, Member, Outcome, Report, Saving, Terms, WaitPoint,
};

const DAYS: u64 = 84;
const PROCESSORS: [u64; 2] = [968, 1012];

/// The whole of it.
pub(crate) fn report() -> Report {
    let [ca_alone, ca] =
        [outcome(58_102, 4_824.0, 2_166_000, 143_300), outcome(58_102, 840.0, 2_166_000, 147_900)];
    let [de_alone, de] =
        [outcome(58_771, 1_668.0, 2_264_500, 341_200), outcome(58_771, 822.0, 2_264_500, 325_100)];
    let ca = Outcome { moved: 9_310, evictions: 7_120, lost_hours: 3_310.5, later_than_alone: 1_336, ..ca };
    let de = Outcome { moved: 6_204, evictions: 6_031, lost_hours: 2_904.2, later_than_alone: 1_587, ..de };
    Report {
        version: 1,
        scenario: "Canada and Germany, spring 2024, both at 85 %".to_owned(),
        currency: "USD".to_owned(),
        policy: "promise",
        from: "2024-04-01T00:00:00-04:00".to_owned(),
        span_s: DAYS * 86_400 + 37_000,
        loads: Vec::new(),
        movable_percent: 50.0,
        terms: Terms {
            staging_s: 300,
            checkpoint_s: 1800,
            restart_s: 120,
            grace_s: 60,
            reclaim_bound_s: 3900,
        },
        total: both(&ca, &de),
        alone: both(&ca_alone, &de_alone),
        members: vec![member(0, "ca", "Canada", ca_alone, ca), member(1, "de", "Deutschland", de_alone, de)],
        savings: savings(),
        curve: [
            (0.0, 3018.0, 0.0),
            (10.0, 1680.0, 4.1),
            (25.0, 1080.0, 7.2),
            (50.0, 660.0, 9.3),
            (75.0, 540.0, 10.0),
            (100.0, 474.0, 10.3),
        ]
        .map(|(share, wait, saved)| CurvePoint {
            movable_percent: share,
            wait_mean_s: wait,
            saving_percent: vec![saved * 0.02, saved, 42.6 + saved * 0.25],
        })
        .into(),
        load: (0..DAYS * 3).map(load).collect(),
    }
}

fn outcome(jobs: u64, wait_mean_s: f64, owned: i64, electricity: i64) -> Outcome {
    let tail = wait_mean_s / 3018.0;
    Outcome {
        jobs,
        too_large: 0,
        wait_mean_s,
        wait_p50_s: 0,
        wait_p95_s: (tail * 15_840.0) as u64,
        wait_p99_s: (tail * 46_200.0) as u64,
        wait_max_s: (tail * 260_000.0) as u64,
        processor_hours: 1_658_000.4,
        busy_percent: 84.9,
        moved: 0,
        evictions: 0,
        lost_hours: 0.0,
        violations: 0,
        later_than_alone: 0,
        cost: cost(owned, electricity, 0),
        carbon_kg: if owned < 2_200_000 {
            61_480.2
        } else {
            712_604.8 - 1.6 * (341_200 - electricity) as f64
        },
    }
}

fn cost(owned: i64, electricity: i64, cloud: i64) -> Cost {
    let [owned_micro, electricity_micro, cloud_micro] =
        [owned, electricity, cloud].map(|units| units * 1_000_000);
    Cost { owned_micro, electricity_micro, cloud_micro }
}

fn both(one: &Outcome, other: &Outcome) -> Outcome {
    Outcome {
        jobs: one.jobs + other.jobs,
        wait_mean_s: f64::midpoint(one.wait_mean_s, other.wait_mean_s),
        wait_p95_s: u64::midpoint(one.wait_p95_s, other.wait_p95_s),
        wait_p99_s: u64::midpoint(one.wait_p99_s, other.wait_p99_s),
        wait_max_s: one.wait_max_s.max(other.wait_max_s),
        processor_hours: one.processor_hours + other.processor_hours,
        moved: one.moved + other.moved,
        evictions: one.evictions + other.evictions,
        lost_hours: one.lost_hours + other.lost_hours,
        later_than_alone: one.later_than_alone + other.later_than_alone,
        cost: Cost {
            owned_micro: one.cost.owned_micro + other.cost.owned_micro,
            electricity_micro: one.cost.electricity_micro + other.cost.electricity_micro,
            cloud_micro: 0,
        },
        carbon_kg: one.carbon_kg + other.carbon_kg,
        ..*one
    }
}

fn member(index: usize, id: &str, name: &str, alone: Outcome, pooled: Outcome) -> Member {
    let longer = |mean_s: f64, wait_s: u64| 18.0 * (-(wait_s as f64 / (mean_s * 9.0)).sqrt()).exp();
    let point = |wait_s| WaitPoint {
        wait_s,
        pooled_percent: 100.0 - longer(pooled.wait_mean_s, wait_s) * 0.45,
        alone_percent: 100.0 - longer(alone.wait_mean_s, wait_s),
    };
    let waits_s = [
        0, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 345_600,
        604_800,
    ];
    Member {
        id: id.to_owned(),
        name: name.to_owned(),
        processors: PROCESSORS[index],
        pooled,
        alone,
        given_hours: [203_114.2, 271_930.8][index],
        taken_hours: [271_930.8, 203_114.2][index],
        waits: waits_s.map(point).into(),
        weeks_worse: [0, 13],
    }
}

/// Against staying alone, against buying what does not fit from a cloud, and against renting everything.
fn savings() -> Vec<Saving> {
    let saving = |baseline: &str, without: Cost, with: Cost, carbon, bills: [(i64, i64); 2]| {
        let total = |cost: &Cost| (cost.owned_micro + cost.electricity_micro + cost.cloud_micro) as f64;
        let members = ["ca", "de"].into_iter().zip(bills);
        Saving {
            baseline: baseline.to_owned(),
            saving_percent: 100.0 * (total(&without) - total(&with)) / total(&without),
            without,
            with,
            carbon_saving_percent: carbon,
            bills: members
                .map(|(member, (without, with))| Bill {
                    member: member.to_owned(),
                    without_micro: without * 1_000_000,
                    with_micro: with * 1_000_000,
                })
                .collect(),
        }
    };
    let pooled = cost(4_430_500, 473_000, 0);
    vec![
        saving(
            "alone",
            cost(4_430_500, 484_500, 0),
            pooled,
            Some(3.3),
            [(2_309_300, 2_303_550), (2_605_700, 2_599_950)],
        ),
        saving(
            "cloud:7.91",
            cost(4_430_500, 451_200, 1_520_400),
            cost(4_430_500, 468_300, 844_100),
            Some(2.1),
            [(3_412_900, 3_083_300), (2_989_200, 2_659_600)],
        ),
        saving(
            "rent-all:2.95",
            cost(0, 0, 9_782_200),
            cost(4_430_500, 468_300, 315_200),
            None,
            [(4_851_800, 2_567_800), (4_930_400, 2_646_200)],
        ),
    ]
}

/// The stretch of eight hours with this number.
fn load(number: u64) -> LoadPoint {
    // A small congruential generator, so that the noise is the same everywhere.
    let noise = |seed: u64| {
        ((number * 7 + seed).wrapping_mul(6_364_136_223_846_793_005) >> 40) as f64 / (1 << 24) as f64
    };
    let day = number as f64 / 3.0;
    let busy = |index: usize| {
        let [phase, swing] = [[0.0, 0.22], [2.1, 0.19]][index];
        let part = 0.83
            + swing * ((day / 9.0 + phase).sin() * 0.6 + (day * 0.9 + phase).sin() * 0.25)
            + 0.14 * (noise(index as u64) - 0.5);
        PROCESSORS[index] as f64 * part.clamp(0.1, 1.0)
    };
    let busy = vec![busy(0), busy(1)];
    let guests = |index: usize| {
        busy[index]
            * (0.06 + 0.12 * noise(10 + index as u64))
            * f64::from((day / 9.0 + index as f64 * 2.0).cos() > -0.5)
    };
    let guests = vec![guests(0), guests(1)];
    let carbon =
        |moved: f64| (busy[0] * 28.5 + (busy[1] - moved) * (332.0 + 120.0 * (day * 1.3).sin())) / 3600.0;
    LoadPoint {
        at_s: number * 28_800,
        carbon_g_s: carbon(guests[0] - guests[1]),
        carbon_alone_g_s: carbon(0.0),
        busy,
        guests,
    }
}
