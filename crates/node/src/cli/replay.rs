// SPDX-License-Identifier: Apache-2.0
//! `sta replay`: what clusters were really asked for, played again alone or by members that share, and what that saves against which
//! baseline.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use sta_decide::pool::Discipline;
use sta_replay::study::{self, Baseline, Order, Question};

use self::alone::Played;
use super::{
    failure::{Exit, Failure},
    print::{self, Style},
};

mod alone;
mod grid;
mod scenario;
mod standing;
mod synthetic;

/// What `sta replay` is told.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct ReplayArgs {
    #[command(subcommand)]
    many: Option<Many>,
    /// A scenario of members that share (a file that ends in .toml, see examples/replay); or a trace for one member: the Standard
    /// Workload Format, or a table with the columns submit_s, runtime_s and processors, plain or packed with gzip
    #[arg(required = true)]
    input: Option<PathBuf>,
    /// Of a trace: how many processors (or accelerators, where the trace counts those) the member has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    processors: Option<u32>,
    /// In which order jobs begin: of a trace fifo or easy (without it easy), of a scenario how members share (without it promise)
    #[arg(long, value_enum)]
    policy: Option<Policy>,
    #[command(flatten)]
    asked: Asked,
    /// Of a scenario: also what it would be with 0 to 100 % of the jobs free to move
    #[arg(long)]
    curve: bool,
    /// Of a scenario: write the report as one page for a browser into this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Of a scenario: write the figures as a table with commas into this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// What is asked of every scenario.
#[derive(Debug, Clone, Args)]
struct Asked {
    /// What savings are measured against; no saving is ever told without it. `alone`; `cloud:PRICE`, where jobs that wait too long go
    /// to a cloud at a price for a processor-hour; `rent-all:PRICE`, where everything is rented. Several with commas
    #[arg(long, value_name = "BASELINE", value_parser = baseline, value_delimiter = ',', required = true)]
    baseline: Vec<Baseline>,
    /// Sites have as many processors as make this load, such as 0.85, or 0.50:1.20 for each site its own
    #[arg(long, value_name = "LOAD", value_parser = loads, value_delimiter = ',')]
    load: Vec<Loads>,
    /// So many of a hundred jobs may run anywhere
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(..=100), value_delimiter = ',')]
    movable: Vec<u32>,
    /// In which order guests look at sites
    #[arg(long, value_enum, default_value_t = Preference::Home)]
    order: Preference,
    /// With another order than home: jobs that say to run so long move at once, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(..=31_622_400))]
    moves_from: u64,
    /// With a cloud as baseline: how long jobs wait before they go there, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=31_622_400))]
    patience: u64,
    /// Guests of the member with the most Karma credits are served first, instead of who came first: for three members and more
    #[arg(long)]
    credits: bool,
}

/// Several studies in one table, jobs that are made, and what a node tells.
#[derive(Debug, Clone, Subcommand)]
enum Many {
    /// Several scenarios or policies beside each other
    Compare(grid::GridArgs),
    /// Every load with every movable share and every policy
    Sweep(grid::GridArgs),
    /// Any number of jobs, made after a real trace, on any number of sites
    Synthetic(synthetic::SyntheticArgs),
    /// How members stand, reckoned again from the events that a node tells, beside what it says of it; needs no node
    Standing(standing::StandingArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Of a trace: strictly first come, first served
    Fifo,
    /// Of a trace: a later job goes first where the first one's begin does not move (EASY backfilling)
    Easy,
    /// One queue for all, as if nobody owned anything
    Global,
    /// Guests get what the owner's queue leaves, and stay until they are done
    OwnerFirst,
    /// Guests leave when the owner wants its processors
    Reclaim,
    /// As reclaim, and no job ends later than alone by more than a stated bound
    Promise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preference {
    /// Their home, then the others as they are listed
    Home,
    /// Where an hour of a busy processor costs the least electricity at that hour
    Cheap,
    /// Where an hour of a busy processor emits least at that hour
    Clean,
}

impl Policy {
    /// How members of a scenario share; none for those of one member's queue.
    fn shared(self) -> Option<study::Policy> {
        match self {
            Self::Fifo | Self::Easy => None,
            Self::Global => Some(study::Policy::Global),
            Self::OwnerFirst => Some(study::Policy::OwnerFirst),
            Self::Reclaim => Some(study::Policy::Reclaim),
            Self::Promise => Some(study::Policy::Promise),
        }
    }
}

/// The loads of a scenario's sites: one for all, or one for each.
#[derive(Debug, Clone, PartialEq)]
struct Loads(Vec<f64>);

fn loads(text: &str) -> Result<Loads, String> {
    let load = |part: &str| part.parse::<f64>().ok().filter(|load| load.is_finite() && *load > 0.0);
    let all: Option<Vec<f64>> = text.split(':').map(load).collect();
    all.map(Loads).ok_or_else(|| {
        format!(
            "`{text}` is no load: write it such as 0.85, or 0.50:1.20 for the sites in the order of the file"
        )
    })
}

fn baseline(text: &str) -> Result<Baseline, String> {
    let refused = || {
        format!(
            "`{text}` is no baseline: write alone, cloud:PRICE or rent-all:PRICE, with the price of a processor-hour such as 2.95"
        )
    };
    let (name, price) = text.split_once(':').map_or((text, None), |(name, price)| (name, Some(price)));
    let price = price.map(print::micro).transpose().map_err(|_| refused())?.map(i64::unsigned_abs);
    match (name, price) {
        ("alone", None) => Ok(Baseline::Alone),
        ("cloud", Some(micro)) => Ok(Baseline::Cloud(micro)),
        ("rent-all", Some(micro)) => Ok(Baseline::RentAll(micro)),
        _ => Err(refused()),
    }
}

impl Asked {
    fn question(&self, policy: study::Policy) -> Question {
        Question {
            policy,
            baselines: self.baseline.clone(),
            order: match self.order {
                Preference::Home => Order::Home,
                Preference::Cheap => Order::Cheap,
                Preference::Clean => Order::Clean,
            },
            moves_from_ms: self.moves_from * 1000,
            patience_ms: self.patience * 1000,
            credits: self.credits,
        }
    }
}

/// Does it.
///
/// # Errors
/// A file is neither a trace nor a scenario, or it cannot be played so.
pub(super) fn run(args: &ReplayArgs, style: Style) -> Result<(), Failure> {
    match (&args.many, &args.input) {
        (Some(Many::Compare(many)), _) => grid::compare(many, style),
        (Some(Many::Sweep(many)), _) => grid::sweep(many, style),
        (Some(Many::Synthetic(made)), _) => synthetic::run(made, style),
        (Some(Many::Standing(told)), _) => standing::run(told, style),
        (None, Some(input)) if input.extension().is_some_and(|ends| ends == "toml") => {
            scenario::run(args, input, style)
        }
        (None, Some(input)) => alone::run(&of_trace(args, input)?, style),
        (None, None) => Ok(()),
    }
}

/// One member plays its trace: most of what can be asked of a scenario cannot be asked of it.
fn of_trace<'a>(args: &ReplayArgs, trace: &'a std::path::Path) -> Result<Played<'a>, Failure> {
    let refused = |cause: &str, mend: &str| {
        let failure = Failure::new(format!("replay `{}`", trace.display()), cause);
        Err(failure.exit(Exit::Usage).mend(mend))
    };
    let discipline = match args.policy {
        Some(Policy::Fifo) => Discipline::Fifo,
        Some(Policy::Easy) | None => Discipline::Easy,
        Some(Policy::Global | Policy::OwnerFirst | Policy::Reclaim | Policy::Promise) => {
            return refused(
                "a trace is of one member, who shares with nobody",
                "Use --policy fifo or easy, or give a scenario, a file that ends in .toml, such as examples/replay/two-nations.toml.",
            );
        }
    };
    let asked = &args.asked;
    let scenarios_only = args.html.is_some()
        || args.csv.is_some()
        || args.curve
        || asked.credits
        || asked.order != Preference::Home;
    if asked.baseline != [Baseline::Alone]
        || !asked.load.is_empty()
        || !asked.movable.is_empty()
        || scenarios_only
    {
        return refused(
            "a trace has no prices and no other member: other baselines, loads, shares and reports are of scenarios",
            "Use --baseline alone, --processors and --policy, or give a scenario, a file that ends in .toml, such as examples/replay/two-nations.toml.",
        );
    }
    match args.processors {
        Some(processors) => Ok(Played { trace, processors, discipline }),
        None => refused("a trace does not say how many processors there are", "Say it with --processors N."),
    }
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
