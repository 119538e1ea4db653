// SPDX-License-Identifier: Apache-2.0
//! `sta replay compare` and `sta replay sweep`: many studies in one table.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sta_replay::{
    grid::{self, CELLS_MAX, Cell},
    report::Report,
    sheet, study,
};

use super::{
    super::{
        failure::{Exit, Failure},
        print::{self, Style},
    },
    Asked, Loads, Policy, duration,
    scenario::{refused, write},
};

/// What `sta replay compare` and `sta replay sweep` are told.
#[derive(Debug, Clone, Args)]
pub(super) struct GridArgs {
    /// Scenarios, files that end in .toml
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// How members share; several with commas
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Policy::Promise])]
    policy: Vec<Policy>,
    #[command(flatten)]
    asked: Asked,
    /// Write the figures as a table with commas into this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Several scenarios or policies, as they are written.
///
/// # Errors
/// As [`sweep`], or a sweep is what is asked for.
pub(super) fn compare(args: &GridArgs, style: Style) -> Result<(), Failure> {
    if args.asked.load.len() > 1 || args.asked.movable.len() > 1 {
        let failure = Failure::new("compare scenarios", "several loads or movable shares are a grid");
        return Err(failure
            .exit(Exit::Usage)
            .mend("Use `sta replay sweep` for every load with every share and every policy."));
    }
    sweep(args, style)
}

/// Every scenario with every load, every movable share and every policy.
///
/// # Errors
/// There are too many, one cannot be read or played, or the table cannot be written.
pub(super) fn sweep(args: &GridArgs, style: Style) -> Result<(), Failure> {
    let cells = cells(args)?;
    let bar = ProgressBar::new(cells.len() as u64);
    if let Ok(looks) = ProgressStyle::with_template("{pos} of {len} studies {wide_bar} {eta} left") {
        bar.set_style(looks);
    }
    let question = args.asked.question(study::Policy::Promise);
    let studied = grid::studies(&cells, &question, &|| bar.inc(1));
    bar.finish_and_clear();
    let reports = studied.map_err(|(place, error)| refused(&cells[place].path, &error))?;
    if let Some(file) = &args.csv {
        write(file, &sheet::csv(&reports))?;
    }
    let rows: Vec<_> = cells.iter().zip(&reports).map(|(cell, report)| row(cell, report)).collect();
    style.answer(&json!(rows), || text(&cells, &reports));
    Ok(())
}

fn cells(args: &GridArgs) -> Result<Vec<Cell>, Failure> {
    let usage =
        |cause: String, mend: &str| Err(Failure::new("replay a grid", cause).exit(Exit::Usage).mend(mend));
    let loads: Vec<Vec<f64>> =
        one_at_least(args.asked.load.iter().map(|Loads(loads)| loads.clone()), Vec::new());
    let shares: Vec<Option<u32>> = one_at_least(args.asked.movable.iter().copied().map(Some), None);
    let mut cells = Vec::new();
    for path in &args.scenarios {
        for loads in &loads {
            for movable_percent in &shares {
                for policy in &args.policy {
                    let Some(policy) = policy.shared() else {
                        return usage(
                            "fifo and easy are of one member's trace".to_owned(),
                            "Use owner-first, reclaim, promise or global.",
                        );
                    };
                    let (path, loads) = (path.clone(), loads.clone());
                    cells.push(Cell { path, loads, movable_percent: *movable_percent, policy });
                }
            }
        }
    }
    if cells.len() > CELLS_MAX {
        return usage(format!("it has {} studies, and may have {CELLS_MAX}", cells.len()), "Leave some out.");
    }
    Ok(cells)
}

fn one_at_least<T>(all: impl Iterator<Item = T>, otherwise: T) -> Vec<T> {
    let all: Vec<T> = all.collect();
    if all.is_empty() { vec![otherwise] } else { all }
}

/// The loads of a cell as they are written on the command line.
fn loads(cell: &Cell) -> String {
    let all: Vec<String> = cell.loads.iter().map(f64::to_string).collect();
    if all.is_empty() { "as written".to_owned() } else { all.join(":") }
}

/// A study for programs: its figures, without curves.
fn row(cell: &Cell, report: &Report) -> serde_json::Value {
    json!({
        "file": cell.path.display().to_string(),
        "scenario": report.scenario,
        "loads": cell.loads,
        "movable_percent": report.movable_percent,
        "policy": report.policy,
        "alone": report.alone,
        "total": report.total,
        "weeks_worse": report.members.iter().map(|member| member.weeks_worse[0]).sum::<u64>(),
        "savings": report.savings,
    })
}

fn text(cells: &[Cell], reports: &[Report]) -> String {
    let row = |(cell, report): (&Cell, &Report)| {
        let mean = |seconds: f64| duration(seconds.round() as u64);
        let savings =
            report.savings.iter().map(|saving| format!("{:.2} % {}", saving.saving_percent, saving.baseline));
        let worse: u64 = report.members.iter().map(|member| member.weeks_worse[0]).sum();
        [
            report.scenario.clone(),
            loads(cell),
            report.movable_percent.to_string(),
            report.policy.to_owned(),
            mean(report.alone.wait_mean_s),
            mean(report.total.wait_mean_s),
            duration(report.total.wait_p95_s),
            savings.collect::<Vec<_>>().join("\n"),
            report.total.evictions.to_string(),
            format!("{} / {worse}", report.total.violations),
        ]
    };
    let head = [
        "scenario",
        ">load",
        ">% movable",
        "shared by",
        ">wait alone",
        ">pooled",
        ">95 of 100",
        ">saves",
        ">evicted",
        ">late / weeks worse",
    ];
    print::table(head, cells.iter().zip(reports).map(row))
}
