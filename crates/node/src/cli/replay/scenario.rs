// SPDX-License-Identifier: Apache-2.0
//! `sta replay SCENARIO.toml`: one scenario, and what its members save by sharing.

use std::{fs, path::Path};

use serde_json::json;
use sta_replay::{
    grid::{self, Cell, CellError},
    html,
    report::{Outcome, Report, Saving},
    sheet, study,
};

use super::{
    super::{
        failure::{Exit, Failure, causes},
        print::{self, Style},
    },
    ReplayArgs, duration,
};

/// Does it.
///
/// # Errors
/// The scenario cannot be read or played, or a file cannot be written.
pub(super) fn run(args: &ReplayArgs, path: &Path, style: Style) -> Result<(), Failure> {
    let cell = cell(args, path)?;
    let question = args.asked.question(cell.policy);
    let mut report = cell.study(&question).map_err(|error| refused(path, &error))?;
    if args.curve {
        let curve = grid::curve(path, &cell.loads, &question);
        report.curve = curve.map_err(|error| refused(path, &error))?;
    }
    if let Some(file) = &args.html {
        write(file, &html::page(&report))?;
    }
    if let Some(file) = &args.csv {
        write(file, &sheet::csv(std::slice::from_ref(&report)))?;
    }
    style.answer(&json!(report), || text(&report));
    Ok(())
}

/// What the arguments say of the scenario.
fn cell(args: &ReplayArgs, path: &Path) -> Result<Cell, Failure> {
    let usage = |cause: &str, mend: &str| {
        let failure = Failure::new(format!("replay `{}`", path.display()), cause);
        Err(failure.exit(Exit::Usage).mend(mend))
    };
    let policy = match args.policy.map(super::Policy::shared) {
        None => study::Policy::Promise,
        Some(Some(policy)) => policy,
        Some(None) => {
            return usage(
                "fifo and easy are of one member's trace",
                "Use --policy owner-first, reclaim, promise or global; every answer has the figures alone, with EASY, beside it.",
            );
        }
    };
    if args.processors.is_some() {
        return usage(
            "a scenario says itself how many processors its sites have",
            "Leave out --processors; --load gives them another size.",
        );
    }
    let ([] | [_], [] | [_]) = (args.asked.load.as_slice(), args.asked.movable.as_slice()) else {
        return usage("one study has one load and one movable share", "Use `sta replay sweep` for several.");
    };
    Ok(Cell {
        path: path.to_owned(),
        loads: args.asked.load.first().map(|loads| loads.0.clone()).unwrap_or_default(),
        movable_percent: args.asked.movable.first().copied(),
        policy,
    })
}

pub(super) fn refused(path: &Path, error: &CellError) -> Failure {
    Failure::new(format!("replay `{}`", path.display()), causes(error)).exit(Exit::Usage)
}

/// Writes a file whole, or leaves what was there.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".part");
    let beside = Path::new(&beside);
    let written = fs::write(beside, text).and_then(|()| fs::rename(beside, file));
    written.map_err(|error| {
        // What was begun is of no use to anybody.
        let _ = fs::remove_file(beside);
        Failure::new(format!("write `{}`", file.display()), causes(&error))
    })
}

fn text(report: &Report) -> String {
    let Report { scenario, policy, from, movable_percent, .. } = report;
    let mut text = format!(
        "{scenario}\n{} jobs from {from} on, {movable_percent} % may run elsewhere, shared by `{policy}`\n\n",
        report.total.jobs
    );
    text.push_str(&waits(report));
    text.push_str("\n\n");
    for saving in &report.savings {
        text.push_str(&saved(report, saving));
    }
    text.push_str(&promise(report));
    text
}

/// How long jobs waited, beside how long they would have.
fn waits(report: &Report) -> String {
    let both = |pooled: u64, alone: u64| format!("{} ({})", duration(pooled), duration(alone));
    let row = |name: &str, pooled: &Outcome, alone: &Outcome| {
        [
            name.to_owned(),
            both(pooled.wait_mean_s.round() as u64, alone.wait_mean_s.round() as u64),
            both(pooled.wait_p95_s, alone.wait_p95_s),
            both(pooled.wait_p99_s, alone.wait_p99_s),
            pooled.moved.to_string(),
            pooled.evictions.to_string(),
            format!("{:.0}", pooled.lost_hours),
            format!("{:.0} ({:.0})", pooled.carbon_kg / 1000.0, alone.carbon_kg / 1000.0),
        ]
    };
    let members = report.members.iter().map(|member| row(&member.name, &member.pooled, &member.alone));
    let all = [row("all", &report.total, &report.alone)];
    let head = [
        "pooled (alone)",
        ">mean wait",
        ">95 of 100 below",
        ">99 of 100 below",
        ">moved",
        ">evicted",
        ">hours lost",
        ">t CO2e",
    ];
    print::table(head, members.chain(all))
}

/// A saving with its baseline, and the bills.
fn saved(report: &Report, saving: &Saving) -> String {
    let currency = &report.currency;
    let whole = |micro: i64| format!("{:.0}", micro as f64 / 1e6);
    let change = if saving.saving_percent < 0.0 { "costs more" } else { "saves" };
    let mut text = format!(
        "{}: pooling {change} {:.2} % against {} ({} instead of {} {currency}; owned {}, electricity {}, cloud {} instead of {}, {}, {})\n",
        saving.baseline,
        saving.saving_percent.abs(),
        saving.baseline,
        whole(saving.with.total_micro()),
        whole(saving.without.total_micro()),
        whole(saving.with.owned_micro),
        whole(saving.with.electricity_micro),
        whole(saving.with.cloud_micro),
        whole(saving.without.owned_micro),
        whole(saving.without.electricity_micro),
        whole(saving.without.cloud_micro),
    );
    for bill in &saving.bills {
        text.push_str(&format!(
            "    {}: {} {currency} instead of {}, its Shapley share of what all pay\n",
            bill.member,
            whole(bill.with_micro),
            whole(bill.without_micro),
        ));
    }
    text
}

/// What the promise says, and whether it was kept.
fn promise(report: &Report) -> String {
    let worse = |member: &sta_replay::report::Member| {
        let [worse, weeks] = member.weeks_worse;
        format!("{}: {worse} of {weeks}", member.id)
    };
    format!(
        "\njobs that end later than alone by more than {}: {} (target 0)\nweeks in which a member's jobs waited longer than alone: {}\n",
        duration(report.terms.reclaim_bound_s),
        report.total.violations,
        report.members.iter().map(worse).collect::<Vec<_>>().join(", "),
    )
}
