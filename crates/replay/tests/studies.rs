// SPDX-License-Identifier: Apache-2.0
//! Two nations that share, on real jobs: the golden table of scenarios, the promise at every load, and the savings with their baselines.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use sta_replay::{
    grid::{Cell, studies},
    report::Report,
    scenario::{Class, MayRun, Scenario},
    study::{Baseline, Order, Policy, Question, study},
};

const AWS: Baseline = Baseline::Cloud(7_910_000);
const NEBIUS: Baseline = Baseline::Cloud(2_950_000);
const RENTED: Baseline = Baseline::RentAll(2_950_000);
const POLICIES: [Policy; 4] = [Policy::Global, Policy::OwnerFirst, Policy::Reclaim, Policy::Promise];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/replay").join(name)
}

fn question(baselines: &[Baseline]) -> Question {
    Question {
        policy: Policy::Promise,
        baselines: baselines.to_vec(),
        order: Order::Home,
        moves_from_ms: 3_600_000,
        patience_ms: 3_600_000,
        credits: false,
    }
}

fn cell(loads: &[f64], movable_percent: Option<u32>, policy: Policy) -> Cell {
    Cell { path: example("two-nations.toml"), loads: loads.to_vec(), movable_percent, policy }
}

fn minutes(seconds: f64) -> String {
    format!("{:.1}", seconds / 60.0)
}

/// A line of a golden table.
fn line(cell: &Cell, report: &Report) -> String {
    let loads: Vec<String> = cell.loads.iter().map(f64::to_string).collect();
    let savings = report
        .savings
        .iter()
        .map(|saving| format!("{:+.2} % {}", 0.0 - saving.saving_percent, saving.baseline));
    let worse: u64 = report.members.iter().map(|member| member.weeks_worse[0]).sum();
    format!(
        "{:9} {:3} % {:11} | {:>6} -> {:>4} min, p95 {:>5} -> {:>3}, p99 {:>5} -> {:>3} | {} evicted, {:.2} % lost | {} late, {worse} weeks worse | {}",
        loads.join(":"),
        report.movable_percent,
        report.policy,
        minutes(report.alone.wait_mean_s),
        minutes(report.total.wait_mean_s),
        report.alone.wait_p95_s / 60,
        report.total.wait_p95_s / 60,
        report.alone.wait_p99_s / 60,
        report.total.wait_p99_s / 60,
        report.total.evictions,
        100.0 * report.total.lost_hours / report.total.processor_hours,
        report.total.violations,
        savings.collect::<Vec<_>>().join(", "),
    )
}

fn table(cells: &[Cell], question: &Question) -> (String, Vec<Report>) {
    let reports = studies(cells, question, &|| ()).unwrap();
    let mut text = String::new();
    for (cell, report) in cells.iter().zip(&reports) {
        writeln!(text, "{}", line(cell, report)).unwrap();
    }
    (text, reports)
}

#[test]
fn pooling_shortens_waits_at_every_load_and_only_the_promise_is_late_for_nobody() {
    let loads = [0.70, 0.76, 0.85, 0.90];
    let cells: Vec<Cell> =
        loads.iter().flat_map(|load| POLICIES.map(|policy| cell(&[*load], None, policy))).collect();
    let (text, reports) = table(&cells, &question(&[Baseline::Alone]));
    insta::assert_snapshot!(text);
    for (cell, report) in cells.iter().zip(&reports) {
        let worse: u64 = report.members.iter().map(|member| member.weeks_worse[0]).sum();
        let kept = (report.total.violations, worse) == (0, 0);
        assert_eq!(kept, cell.policy == Policy::Promise, "{}", line(cell, report));
    }
}

#[test]
fn forty_percent_are_saved_against_a_cloud_at_list_price_alone_and_elsewhere_it_is_one_to_thirteen() {
    let loads = [&[0.76, 0.76], &[0.85, 0.85], &[0.70, 1.0], &[0.50, 1.2]];
    let cells: Vec<Cell> = loads.iter().map(|loads| cell(*loads, None, Policy::OwnerFirst)).collect();
    let (text, reports) = table(&cells, &question(&[Baseline::Alone, AWS, NEBIUS, RENTED]));
    insta::assert_snapshot!(text);
    let forty = &reports[3].savings;
    assert!(
        (39.0..41.0).contains(&forty[1].saving_percent),
        "{} {}",
        forty[1].saving_percent,
        forty[1].baseline
    );
    assert!(
        (19.0..21.0).contains(&forty[2].saving_percent),
        "{} {}",
        forty[2].saving_percent,
        forty[2].baseline
    );
    for saving in reports[..2].iter().flat_map(|report| &report.savings[1..3]) {
        assert!(
            (1.0..13.0).contains(&saving.saving_percent),
            "{} {}",
            saving.saving_percent,
            saving.baseline
        );
    }
}

#[test]
fn a_quarter_of_the_jobs_that_may_move_buys_most_of_the_shorter_waits() {
    let shares = [0, 10, 25, 50, 75, 100];
    let cells: Vec<Cell> =
        shares.iter().map(|share| cell(&[0.85], Some(*share), Policy::OwnerFirst)).collect();
    let (text, reports) = table(&cells, &question(&[Baseline::Alone]));
    insta::assert_snapshot!(text);
    let wait = |place: usize| reports[place].total.wait_mean_s;
    assert!((wait(0) - wait(2)) / (wait(0) - wait(5)) > 0.7);
    assert!(wait(0).to_bits() == reports[0].alone.wait_mean_s.to_bits(), "nobody may move");
}

#[test]
fn a_small_bursty_member_beside_a_large_one_harms_nobody_under_the_promise() {
    let of =
        |policy| Cell { path: example("free-rider.toml"), loads: Vec::new(), movable_percent: None, policy };
    let cells = POLICIES.map(of);
    let (text, reports) = table(&cells, &question(&[Baseline::Alone]));
    insta::assert_snapshot!(text);
    let [global, .., promised] = reports.as_slice() else { panic!("four policies") };
    assert!(global.total.violations > 0 && global.members[0].weeks_worse[0] > 0);
    assert_eq!(promised.total.violations, 0);
    assert!(promised.members.iter().all(|member| member.weeks_worse[0] == 0));
}

#[test]
fn bills_make_what_all_pay_and_nobody_pays_more_than_alone() {
    let cells = [cell(&[0.50, 1.2], None, Policy::Promise)];
    let (_, reports) = table(&cells, &question(&[Baseline::Alone, AWS, RENTED]));
    for saving in &reports[0].savings {
        let with: i64 = saving.bills.iter().map(|bill| bill.with_micro).sum();
        assert_eq!(with, saving.with.total_micro(), "{}", saving.baseline);
        assert!(saving.bills.iter().all(|bill| bill.with_micro < bill.without_micro), "{saving:?}");
    }
}

#[test]
fn credits_between_members_change_who_is_served_first_and_keep_the_promise() {
    let cells = [Cell {
        path: example("three-members.toml"),
        loads: Vec::new(),
        movable_percent: None,
        policy: Policy::Promise,
    }];
    let first_come = question(&[Baseline::Alone]);
    let by_credits = Question { credits: true, ..first_come.clone() };
    let [first_come, by_credits] =
        [first_come, by_credits].map(|question| studies(&cells, &question, &|| ()).unwrap().remove(0));
    assert_eq!((first_come.total.violations, by_credits.total.violations), (0, 0));
    let wait = |report: &Report, member: usize| report.members[member].pooled.wait_mean_s;
    // The second lends most of the time and has a burst at last; the third borrows all the time, and by then has no credits left.
    assert!(wait(&by_credits, 1) < wait(&first_come, 1), "{} {}", wait(&by_credits, 1), wait(&first_come, 1));
    assert!(wait(&by_credits, 2) > wait(&first_come, 2), "{} {}", wait(&by_credits, 2), wait(&first_come, 2));
}

#[test]
fn a_study_says_the_same_each_time() {
    let cells = [cell(&[0.90], None, Policy::Promise)];
    let question = question(&[Baseline::Alone, NEBIUS]);
    assert_eq!(studies(&cells, &question, &|| ()).unwrap(), studies(&cells, &question, &|| ()).unwrap());
}

#[test]
fn what_cannot_be_studied_is_said() {
    let mut wrong = cell(&[0.5, 0.6, 0.7], None, Policy::Promise);
    let said = |cell: &Cell| cell.study(&question(&[Baseline::Alone])).unwrap_err().to_string();
    assert_eq!(
        said(&wrong),
        "3 loads are given for 2 sites: give one for all, or one for each in the order of the file, such as 0.50:1.20"
    );
    wrong.path = example("gone.toml");
    assert!(said(&wrong).contains("gone.toml"), "{}", said(&wrong));
}

#[test]
fn scenarios_that_cannot_be_played_say_why() {
    let said = |change: &dyn Fn(&mut Scenario)| {
        let mut scenario = Scenario::open(&example("free-rider.toml")).unwrap();
        change(&mut scenario);
        let error = study(&scenario, &question(&[Baseline::Alone])).unwrap_err();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        format!("{error}{}", cause.unwrap_or_default())
    };
    let many = said(&|scenario| scenario.members = vec![scenario.members[0].clone(); 65]);
    assert_eq!(many, "it has 65 members, and may have 64: let some join as one");
    let ways = |scenario: &mut Scenario| {
        let class = |place| Class { may_run: MayRun::Members(vec![place]), ..scenario.classes[0].clone() };
        scenario.classes = (0..16).map(class).collect();
    };
    assert_eq!(
        said(&ways),
        "its classes say in 16 different ways where jobs may run elsewhere, and may in 15"
    );
    let long = said(&|scenario| scenario.jobs[0].run_ms = 400 * 86_400_000);
    assert!(
        long.starts_with(
            "the electricity of site `large-site` is not known for as long as its jobs run: 2024-"
        ),
        "{long}"
    );
}

#[test]
fn baselines_are_named_as_they_are_written() {
    let names = [Baseline::Alone, AWS, Baseline::Cloud(3_000_000), RENTED].map(Baseline::name);
    assert_eq!(names, ["alone", "cloud:7.91", "cloud:3", "rent-all:2.95"]);
}
