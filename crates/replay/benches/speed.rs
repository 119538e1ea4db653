// SPDX-License-Identifier: Apache-2.0
//! How many jobs a second are played, as tables in Markdown.
//!
//! Without arguments: real jobs, alone and shared by two members, and how speed changes with more jobs, members and sites. `growth`,
//! `two-nations` or `alone` for one of these alone; `synthetic` for 50 million jobs on 200 sites; `accasim PYTHON` for the same
//! jobs in AccaSim, with a Python that has it.

use std::{
    fs,
    hint::black_box,
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use flate2::bufread::MultiGzDecoder;
use sta_decide::{
    federation::{Checkpoint, Federation, SiteTerms, Terms, Work},
    pool::Discipline,
};
use sta_replay::{
    federate::{self, Fate, Job, Rules, Span, Watch},
    play,
    scenario::Scenario,
    study::Policy,
    summary::Summary,
    synthetic::{self, Fit, Shape},
    trace::Trace,
};

const ROUNDS: usize = 5;
/// Beside AccaSim: so many times AccaSim and then so many rounds of ours.
const TURNS: usize = 3;
const ROUNDS_A_TURN: usize = 25;
const POLICIES: [Policy; 4] = [Policy::Alone, Policy::OwnerFirst, Policy::Reclaim, Policy::Promise];
const TERMS: Terms = Terms { staging_ms: 300_000, restart_ms: 0, grace_ms: 0, unsaved_ms_max: 1_800_000 };

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            alone();
            two_nations();
            growth();
        }
        ["alone"] => alone(),
        ["two-nations"] => two_nations(),
        ["growth"] => growth(),
        ["synthetic", rest @ ..] => synthetic(rest),
        ["accasim", python] => accasim(python),
        _ => eprintln!("what is known: alone two-nations growth synthetic [POLICY [JOBS]] accasim PYTHON"),
    }
}

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn trace(name: &str) -> Trace {
    Trace::open(&example("traces").join(name)).expect("a trace of the examples")
}

/// The median of some rounds, in seconds.
fn median_s(mut round: impl FnMut()) -> f64 {
    median((0..ROUNDS).map(|_| took_s(&mut round)).collect())
}

fn took_s(round: &mut impl FnMut()) -> f64 {
    let begun = Instant::now();
    round();
    begun.elapsed().as_secs_f64()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Nobody counts anything.
struct Nobody;

impl Watch for Nobody {
    fn held(&mut self, span: Span) {
        black_box(span);
    }

    fn over(&mut self, fate: &Fate) {
        black_box(fate);
    }

    fn moment(&mut self, _: u64, _: &mut Federation) {}
}

/// The real jobs of one member, over a machine that is too small for them, so that thousands wait.
fn alone() {
    println!(
        "\n| 20,000 jobs of one member | processors | jobs/s | mean wait, s |\n| --- | --- | --- | --- |"
    );
    let trace = trace("venus20k_oracle.swf.gz");
    for (name, discipline) in [("FIFO", Discipline::Fifo), ("EASY", Discipline::Easy)] {
        for processors in [536, 1064] {
            let took_s = median_s(|| {
                black_box(play::alone(&trace, processors, discipline));
            });
            let played = play::alone(&trace, processors, discipline);
            let wait_s = Summary::of(&trace, &played, processors).wait_mean_s;
            println!("| {name} | {processors} | {:.0} | {wait_s} |", 20_000.0 / took_s);
        }
    }
}

/// Two members that share, each with twelve weeks of real jobs at a load of 0.76.
fn two_nations() {
    let scenario = Scenario::open(&example("replay/two-nations.toml")).expect("a scenario of the examples");
    let checkpoint = Checkpoint::Every(scenario.terms.checkpoint_ms);
    let job = |job: &sta_replay::scenario::Job| {
        let home = u16::try_from(job.site).unwrap_or(u16::MAX);
        let (processors, estimate_ms) = (job.processors, job.estimate_ms);
        let work = Work { home, processors, estimate_ms, group: 1, checkpoint };
        Job { submit_ms: job.submit_ms, run_ms: job.run_ms, work }
    };
    let jobs: Vec<Job> = scenario.jobs.iter().map(job).collect();
    let sites: Vec<SiteTerms> = (0u16..)
        .zip(&scenario.sites)
        .map(|(member, site)| SiteTerms { member, processors: site.processors, takes: 0b10 })
        .collect();
    println!("\n| two members, {} jobs | jobs/s |\n| --- | --- |", jobs.len());
    for policy in POLICIES {
        let rules = rules(policy, &sites);
        let took_s = median_s(|| {
            federate::play(&rules, jobs.iter().copied(), &mut Nobody);
        });
        println!("| {} | {:.0} |", policy.as_str(), jobs.len() as f64 / took_s);
    }
}

fn rules(policy: Policy, sites: &[SiteTerms]) -> Rules {
    let sharing = match policy {
        Policy::Alone | Policy::Global => sta_decide::federation::Sharing::Alone,
        Policy::OwnerFirst => sta_decide::federation::Sharing::OwnerFirst,
        Policy::Reclaim => sta_decide::federation::Sharing::Reclaim,
        Policy::Promise => sta_decide::federation::Sharing::Promise,
    };
    Rules { sharing, terms: TERMS, sites: sites.to_vec(), patience_ms: None }
}

fn shape(members: u16, sites: u16, jobs: u64) -> Shape {
    Shape {
        members,
        sites,
        processors: 500 * u32::from(sites),
        jobs,
        load: 0.76,
        movable_percent: 100,
        clocks_h: 6,
        checkpoint_ms: 1_800_000,
        seed: 1,
    }
}

/// Synthetic jobs: ten times as many, and more members and sites, 500 processors each.
fn growth() {
    let fit = Fit::of(&trace("helios_venus_gpu_jobs.csv.gz")).expect("a trace of half a year");
    println!(
        "\n| members | sites | jobs | made, jobs/s | {} |\n| --- | --- | --- | --- | --- | --- | --- | --- |",
        POLICIES.map(|policy| format!("{}, jobs/s", policy.as_str())).join(" | ")
    );
    for (members, sites, jobs) in [
        (2, 2, 100_000),
        (2, 2, 1_000_000),
        (2, 20, 1_000_000),
        (20, 20, 1_000_000),
        (2, 200, 1_000_000),
        (200, 200, 1_000_000),
    ] {
        let shape = shape(members, sites, jobs);
        let sites_of = shape.site_terms(&fit).expect("a shape within bounds");
        let rate = |round: &dyn Fn()| {
            let begun = Instant::now();
            round();
            format!("{:.0}", jobs as f64 / begun.elapsed().as_secs_f64())
        };
        let mut cells = vec![rate(&|| {
            black_box(fit.jobs(&shape, &sites_of).map(|job| job.run_ms).sum::<u64>());
        })];
        for policy in POLICIES {
            let rules = rules(policy, &sites_of);
            cells.push(rate(&|| {
                black_box(federate::play(&rules, fit.jobs(&shape, &sites_of), &mut Nobody));
            }));
        }
        println!("| {members} | {sites} | {jobs} | {} |", cells.join(" | "));
    }
}

/// 200 sites of 50 members, 100,000 processors, 50 million jobs, unless another number is asked for.
fn synthetic(words: &[&str]) {
    let policy = words.first().map_or("owner-first", |word| *word);
    let policy = POLICIES.into_iter().find(|known| known.as_str() == policy).expect("a policy");
    let jobs = words.get(1).map_or(50_000_000, |word| word.parse().expect("a number of jobs"));
    let fit = Fit::of(&trace("helios_venus_gpu_jobs.csv.gz")).expect("a trace of half a year");
    let begun = Instant::now();
    let outcome = synthetic::run(&fit, &shape(50, 200, jobs), policy, TERMS).expect("a shape within bounds");
    let took_s = begun.elapsed().as_secs_f64();
    println!("{outcome:#?}");
    println!("{took_s:.1} s, {:.0} jobs/s, {}", jobs as f64 / took_s, memory());
}

/// The most memory that this process has had.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("VmHWM: not known here").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// AccaSim and ours by turns on the same jobs and 536 processors, and how many times as fast ours is. AccaSim reads the file while it plays:
/// its rate has that in it, and beside the plain quotient stand those where both have read and where neither has.
fn accasim(python: &str) {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let file = folder.path().join("trace.swf");
    unpack(&example("traces/venus20k_oracle.swf.gz"), &file).expect("a trace of the examples");
    println!(
        "\n| 20,000 jobs on 536 processors | AccaSim | its mean wait, s | its jobs/s | ours, jobs/s | times as fast | both with reading | both without |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    for (name, discipline) in [("fifo", Discipline::Fifo), ("easy", Discipline::Easy)] {
        for setup in ["usual", "best"] {
            compare(python, &file, (name, discipline), setup);
        }
    }
}

fn compare(python: &str, file: &Path, (name, discipline): (&str, Discipline), setup: &str) {
    let (mut their_s, mut their_reading_s) = (Vec::new(), Vec::new());
    let (mut our_s, mut our_reading_s, mut wait_s) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..TURNS {
        let said = accasim_says(python, file, name, setup);
        their_s.push(figure(&said, "took_s"));
        their_reading_s.push(figure(&said, "reading_s"));
        wait_s = figure(&said, "wait_mean_s");
        for _ in 0..ROUNDS_A_TURN {
            let begun = Instant::now();
            let trace = Trace::open(file).expect("a trace of the examples");
            our_reading_s.push(begun.elapsed().as_secs_f64());
            our_s.push(took_s(&mut || {
                black_box(play::alone(&trace, 536, discipline));
            }));
        }
    }
    let [theirs, their_reading, ours, our_reading] =
        [their_s, their_reading_s, our_s, our_reading_s].map(median);
    let rate = |took_s: f64| 20_000.0 / took_s;
    println!(
        "| {name} | {setup} | {wait_s} | {:.0} | {:.0} | {:.0} | {:.0} by {:.0}: {:.0} | {:.0} by {:.0}: {:.0} |",
        rate(theirs),
        rate(ours),
        theirs / ours,
        rate(ours + our_reading),
        rate(theirs),
        theirs / (ours + our_reading),
        rate(ours),
        rate(theirs - their_reading),
        (theirs - their_reading) / ours,
    );
}

fn unpack(packed: &Path, file: &Path) -> io::Result<u64> {
    let mut source = MultiGzDecoder::new(io::BufReader::new(fs::File::open(packed)?));
    io::copy(&mut source, &mut fs::File::create(file)?)
}

/// One line of JSON.
fn accasim_says(python: &str, file: &Path, policy: &str, setup: &str) -> String {
    let script = example("../oracles/accasim_speed.py");
    let said = Command::new(python).arg(script).arg(file).args(["536", policy, setup]).output();
    String::from_utf8(said.expect("a Python").stdout).expect("a line of JSON")
}

fn figure(said: &str, name: &str) -> f64 {
    let number = said.split(&format!("\"{name}\": ")).nth(1).and_then(|rest| rest.split([',', '}']).next());
    number.and_then(|number| number.parse().ok()).expect("AccaSim's answer")
}
