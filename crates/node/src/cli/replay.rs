// SPDX-License-Identifier: Apache-2.0
//! `sta replay`: what a cluster was really asked for, played again, and how long its jobs would have waited.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use sta_decide::pool::Discipline;
use sta_replay::{
    play,
    summary::Summary,
    trace::{Trace, TraceError},
};

use super::{
    failure::{Exit, Failure, causes},
    print::{self, Style},
};

/// What `sta replay` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ReplayArgs {
    /// A trace: the Standard Workload Format, or a table with the columns submit_s, runtime_s and processors; plain or packed with gzip
    trace: PathBuf,
    /// How many processors (or accelerators, where the trace counts those) the member has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    processors: u32,
    /// In which order jobs begin
    #[arg(long, value_enum, default_value_t = Policy::Easy)]
    policy: Policy,
    /// What the figures are to be compared with; no saving is ever told without it
    #[arg(long, value_enum)]
    baseline: Baseline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Strictly first come, first served
    Fifo,
    /// A later job goes first where the first one's begin does not move (EASY backfilling)
    Easy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Baseline {
    /// The member by itself, on its own processors
    Alone,
}

impl Policy {
    fn discipline(self) -> Discipline {
        match self {
            Self::Fifo => Discipline::Fifo,
            Self::Easy => Discipline::Easy,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Easy => "easy",
        }
    }
}

impl Baseline {
    fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
        }
    }
}

/// Does it.
///
/// # Errors
/// The file is no trace.
pub(super) fn run(args: &ReplayArgs, style: Style) -> Result<(), Failure> {
    let trace = Trace::open(&args.trace).map_err(|error| refused(args, &error))?;
    let played = play::alone(&trace, args.processors, args.policy.discipline());
    let total = Summary::of(&trace, &played, args.processors);
    let document = json!({
        "trace": { "jobs": trace.jobs.len(), "left_out": trace.left_out },
        "processors": args.processors,
        "policy": args.policy.as_str(),
        "baseline": args.baseline.as_str(),
        "total": total,
    });
    style.answer(&document, || text(args, &trace, &total));
    Ok(())
}

fn refused(args: &ReplayArgs, error: &TraceError) -> Failure {
    let failure = Failure::new(format!("replay `{}`", args.trace.display()), causes(error));
    match error {
        TraceError::Open(_) | TraceError::Read { .. } | TraceError::TooMany => failure,
        TraceError::Line { .. } | TraceError::Empty => failure.exit(Exit::Usage).mend(
            "Give a file in the Standard Workload Format, such as those of the Parallel Workloads Archive, or a table with commas whose first line is submit_s,runtime_s,processors.",
        ),
    }
}

fn text(args: &ReplayArgs, trace: &Trace, total: &Summary) -> String {
    let mut text = format!(
        "{} jobs on {} processors, {}, baseline {}: the member by itself\n\n",
        total.jobs,
        args.processors,
        args.policy.as_str(),
        args.baseline.as_str()
    );
    let row = |name: &str, value: String, words: String| [name.to_owned(), value, words];
    let wait = |name: &str, seconds: u64| row(name, seconds.to_string(), duration(seconds));
    let rows = [
        row("wait, mean", format!("{:.2}", total.wait_mean_s), duration(total.wait_mean_s.round() as u64)),
        wait("wait, median", total.wait_p50_s),
        wait("wait, 95 of 100 below", total.wait_p95_s),
        wait("wait, 99 of 100 below", total.wait_p99_s),
        wait("wait, longest", total.wait_max_s),
        wait("first submission to last end", total.span_s),
    ];
    text.push_str(&print::table(["", ">seconds", ""], rows));
    text.push_str(&format!(
        "\n\n{:.2} processor hours; {:.2} % of the processors busy over that time\n",
        total.processor_hours, total.busy_percent
    ));
    if trace.left_out > 0 {
        text.push_str(&format!(
            "jobs left out: {}, because the trace does not say for how long or on how many processors they ran\n",
            trace.left_out
        ));
    }
    if total.too_large > 0 {
        text.push_str(&format!(
            "jobs left out: {}, because they want more than {} processors; --processors gives them more\n",
            total.too_large, args.processors
        ));
    }
    text
}

/// The two greatest units, such as `4 h 16 min`.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}
