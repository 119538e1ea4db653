// SPDX-License-Identifier: Apache-2.0
//! `sta replay synthetic`: as many jobs as one likes, made after a real trace, on more members and sites than any trace has.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sta_decide::federation::Terms;
use sta_replay::{
    synthetic::{self, Fit, Outcome, Shape, SyntheticError, Waits},
    trace::Trace,
};

use super::{
    super::{
        failure::{Exit, Failure, causes},
        print::{self, Style},
    },
    Policy, duration,
};

/// What `sta replay synthetic` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct SyntheticArgs {
    /// The trace after which jobs are made
    trace: PathBuf,
    /// How many members
    #[arg(long, default_value_t = 2)]
    members: u16,
    /// How many sites, dealt out to the members in turn, the largest first
    #[arg(long, default_value_t = 2)]
    sites: u16,
    /// How many processors all sites have together
    #[arg(long)]
    processors: u32,
    /// How many jobs come
    #[arg(long)]
    jobs: u64,
    /// What is asked of every site, as a part of its processors
    #[arg(long, default_value_t = 0.76)]
    load: f64,
    /// How many of a hundred jobs may run at another site
    #[arg(long, value_name = "PERCENT", default_value_t = 100)]
    movable: u32,
    /// How members share
    #[arg(long, value_enum, default_value_t = Policy::Promise)]
    policy: Policy,
    /// The clocks of the members are spread evenly over so many hours
    #[arg(long, value_name = "HOURS", default_value_t = 6)]
    clocks: u32,
    /// Another number makes other jobs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    terms: TermArgs,
}

/// What members agreed on, in seconds.
#[derive(Debug, Clone, Copy, Args)]
struct TermArgs {
    /// How long a job's files take to another site
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = seconds())]
    staging: u64,
    /// How often jobs save their work; a guest loses no more than that
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = seconds().range(1..))]
    checkpoint: u64,
    /// How long a job takes to go on from what it saved
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = seconds())]
    restart: u64,
    /// How long a guest has to leave
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = seconds())]
    grace: u64,
}

/// Up to a year.
fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(..=31_622_400)
}

/// Does it.
///
/// # Errors
/// The file is no trace, the trace is too short to be fitted, or a number is out of bounds.
pub(super) fn run(args: &SyntheticArgs, style: Style) -> Result<(), Failure> {
    let doing = || format!("make jobs after `{}`", args.trace.display());
    let trace = Trace::open(&args.trace).map_err(|error| super::alone::refused(&args.trace, &error))?;
    let Some(policy) = args.policy.shared() else {
        let failure = Failure::new(doing(), "fifo and easy are of one member's trace");
        return Err(failure.exit(Exit::Usage).mend("Use owner-first, reclaim, promise or global."));
    };
    let TermArgs { staging, checkpoint, restart, grace } = args.terms;
    let shape = Shape {
        members: args.members,
        sites: args.sites,
        processors: args.processors,
        jobs: args.jobs,
        load: args.load,
        movable_percent: args.movable,
        clocks_h: args.clocks,
        checkpoint_ms: checkpoint * 1000,
        seed: args.seed,
    };
    let terms = Terms {
        staging_ms: staging * 1000,
        restart_ms: restart * 1000,
        grace_ms: grace * 1000,
        unsaved_ms_max: checkpoint * 1000,
    };
    let refused = |error: SyntheticError| Failure::new(doing(), causes(&error)).exit(Exit::Usage);
    let fit = Fit::of(&trace).map_err(refused)?;
    drop(trace);
    let outcome = synthetic::run(&fit, &shape, policy, terms).map_err(refused)?;
    style.answer(&json!(outcome), || text(&outcome));
    Ok(())
}

fn text(outcome: &Outcome) -> String {
    let Outcome { shape, policy, .. } = outcome;
    let [largest, smallest] = outcome.site_processors;
    let mut text = format!(
        "{} made jobs of {} members on {} sites of {largest} to {smallest} processors, {} together, load {}, {} % may move, shared by `{policy}`, over {}\n\n",
        shape.jobs,
        shape.members,
        shape.sites,
        shape.processors,
        shape.load,
        shape.movable_percent,
        duration(outcome.span_s),
    );
    let row = |name: &str, waits: &Waits| {
        let [mean, p50, p95, p99] = [waits.mean_s, waits.p50_s, waits.p95_s, waits.p99_s]
            .map(|seconds| duration(seconds.round() as u64));
        [name.to_owned(), mean, p50, p95, p99]
    };
    let rows = [row("pooled", &outcome.waits), row("alone", &outcome.waits_alone)];
    text.push_str(&print::table(["waits", ">mean", ">median", ">95 of 100 below", ">99 of 100 below"], rows));
    text.push_str(&format!(
        "\n\n{:.0} processor hours, {:.2} % of the processors busy; {} jobs moved, {} evictions, {:.0} hours lost\n",
        outcome.processor_hours, outcome.busy_percent, outcome.moved, outcome.evictions, outcome.lost_hours,
    ));
    if let (Some(late), Some(bound_s)) = (outcome.violations, outcome.bound_s) {
        text.push_str(&format!(
            "jobs that end later than alone by more than {}: {late} (target 0)\n",
            duration(bound_s)
        ));
    }
    text
}
