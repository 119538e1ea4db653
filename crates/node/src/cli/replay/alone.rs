// SPDX-License-Identifier: Apache-2.0
//! `sta replay TRACE`: what a cluster was really asked for, played again on its own processors, and how long its jobs would have waited.

use std::path::Path;

use serde_json::json;
use sta_decide::pool::Discipline;
use sta_replay::{
    play,
    summary::Summary,
    trace::{Trace, TraceError},
};

use super::{
    super::{
        failure::{Exit, Failure, causes},
        print::{self, Style},
    },
    duration,
};

/// What is played.
pub(super) struct Played<'a> {
    pub(super) trace: &'a Path,
    pub(super) processors: u32,
    pub(super) discipline: Discipline,
}

impl Played<'_> {
    fn policy(&self) -> &'static str {
        match self.discipline {
            Discipline::Fifo => "fifo",
            Discipline::Easy => "easy",
        }
    }
}

/// Does it.
///
/// # Errors
/// The file is no trace.
pub(super) fn run(args: &Played, style: Style) -> Result<(), Failure> {
    let trace = Trace::open(args.trace).map_err(|error| refused(args.trace, &error))?;
    let played = play::alone(&trace, args.processors, args.discipline);
    let total = Summary::of(&trace, &played, args.processors);
    let document = json!({
        "trace": { "jobs": trace.jobs.len(), "left_out": trace.left_out },
        "processors": args.processors,
        "policy": args.policy(),
        "baseline": "alone",
        "total": total,
    });
    style.answer(&document, || text(args, &trace, &total));
    Ok(())
}

/// What is said of a file that is no trace.
pub(super) fn refused(trace: &Path, error: &TraceError) -> Failure {
    let failure = Failure::new(format!("replay `{}`", trace.display()), causes(error));
    match error {
        TraceError::Open(_) | TraceError::Read { .. } | TraceError::TooMany => failure,
        TraceError::Line { .. } | TraceError::Empty => failure.exit(Exit::Usage).mend(
            "Give a file in the Standard Workload Format, such as those of the Parallel Workloads Archive, or a table with commas whose first line is submit_s,runtime_s,processors.",
        ),
    }
}

fn text(args: &Played, trace: &Trace, total: &Summary) -> String {
    let mut text = format!(
        "{} jobs on {} processors, {}, baseline alone: the member by itself\n\n",
        total.jobs,
        args.processors,
        args.policy()
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
