// SPDX-License-Identifier: Apache-2.0
//! `cargo bench --bench node`: what a node does in a second, beside what the machine could do at most, in one run.
//!
//! Prints the table of docs/benchmarks.md as Markdown, or with `--json` every number. docs/benchmarks.md says what each includes.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, bail};
use sta_node::store::audit::PendingEntry;
use sta_protocol::{ids::JobId, job::Objective};
use tokio::runtime::Runtime;

mod decide;
mod idle;
mod load;
mod machine;
mod scene;
mod slurm;
mod staging;
mod table;
mod tls;

use load::Round;
use scene::Scene;
use table::{Line, Measured, Report};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How many clients or writers ask at once.
const MANY: usize = 64;
/// How often each is measured; the round of the median rate counts.
const ROUNDS: usize = 5;

/// What can be asked for by name, to measure it alone.
const PARTS: [&str; 6] = ["submit-away", "submit-own", "status", "audit", "authorize", "idle"];
/// Measured only when asked for, because it needs a cluster.
const SLURM: &str = "slurm";

fn main() -> Result<()> {
    let mut json = false;
    let mut parts = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--json" => json = true,
            idle::HELLO => return machine::idle_hello(),
            SLURM => return over_slurm(),
            staging::NODE => {
                return staging::serve(Path::new(&std::env::args().nth(2).context("a directory")?));
            }
            // Only alone: it takes minutes, and twice its size of the disk.
            "staging" => return in_fresh_directory(staging::measure),
            part if PARTS.contains(&part) => parts.push(argument),
            other => {
                bail!("`{other}` is no argument: use --json, slurm, staging, or some of {}", PARTS.join(", "))
            }
        }
    }
    let report = measure(&|part| parts.is_empty() || parts.iter().any(|wanted| wanted == part))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.markdown());
    }
    Ok(())
}

fn over_slurm() -> Result<()> {
    in_fresh_directory(|directory| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        slurm::measure(&runtime, directory)
    })
}

/// Beside the benchmark's program and not in /tmp, which may be memory: a sync must reach a disk.
fn in_fresh_directory(work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let beside = std::env::current_exe()?;
    let directory = tempfile::tempdir_in(beside.parent().context("the folder of the benchmark")?)?;
    work(directory.path())
}

fn measure(wanted: &dyn Fn(&str) -> bool) -> Result<Report> {
    let load_before = table::system("/proc/loadavg");
    // Beside the benchmark's program and not in /tmp, which may be memory: a sync must reach a disk.
    let beside = std::env::current_exe()?;
    let directory = tempfile::tempdir_in(beside.parent().context("the folder of the benchmark")?)?;
    // As many threads as `sta serve` takes: one a core.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let machine = bare(&runtime, directory.path())?;
    let mut lines = Vec::new();
    if ["submit-away", "status", "audit"].iter().any(|part| wanted(part)) {
        let scene = Scene::open(&runtime, &directory.path().join("away"))?;
        let jobs = if wanted("submit-away") {
            submit(&scene, "to a member that is away", Objective::CHEAPEST, &machine, &mut lines)?
        } else {
            send(&scene, Objective::CHEAPEST, MANY, 1000)?.0
        };
        if wanted("status") {
            let status = status(&scene, &jobs)?;
            lines.push(Line::per_s("job status, 64 clients", 5000.0, status, &machine.hello_many()));
        }
        if wanted("audit") {
            let audit = audit(&runtime, &scene)?;
            lines.push(Line::per_s("audit append, durable, 64 writers", 15_000.0, audit, &machine.rows()));
        }
        scene.stop();
    }
    if wanted("submit-own") {
        let scene = Scene::open(&runtime, &directory.path().join("own"))?;
        submit(
            &scene,
            "to the node's own site, where they queue",
            Objective::CLEANEST,
            &machine,
            &mut lines,
        )?;
        scene.stop();
    }
    if wanted("authorize") {
        let round = rounds(|| decide::ten_sites(400))?;
        lines.push(Line::p50_ms("authorize one job over 10 sites", 2.0, round, &machine.cedar()));
    }
    if wanted("idle") {
        let idle = (idle::node(&scene::found(&directory.path().join("idle"))?)?, idle::hello()?);
        lines.push(Line::mib("resident memory of an idle node", 60.0, idle));
    }
    Ok(Report::new(load_before, machine, lines))
}

/// What the machine can do at most.
fn bare(runtime: &Runtime, directory: &Path) -> Result<Measured> {
    let address = machine::serve_hello(runtime)?;
    machine::hello(address, MANY, 5000)?;
    Ok(Measured {
        fsync: rounds(|| machine::fsync(directory, 300))?,
        commit: rounds(|| machine::sqlite(directory, 1, 300))?,
        commit_many: rounds(|| machine::sqlite(directory, MANY, 200))?,
        hello: rounds(|| machine::hello(address, 1, 3000))?,
        hello_many: rounds(|| machine::hello(address, MANY, 20_000))?,
        cedar: rounds(|| machine::cedar(2000))?,
    })
}

/// One client, then many; and the jobs that are there afterwards.
fn submit(
    scene: &Scene,
    name: &str,
    objective: Objective,
    machine: &Measured,
    lines: &mut Vec<Line>,
) -> Result<Vec<JobId>> {
    let mut all = Vec::new();
    let mut run = |clients: usize, count: usize| {
        let (jobs, round) = send(scene, objective, clients, count)?;
        all.extend(jobs);
        Ok(round)
    };
    run(MANY, 1000)?;
    let one = rounds(|| run(1, 300))?;
    lines.push(Line::p50_ms(
        &format!("durable submit {name}, 1 client"),
        10.0,
        one,
        &machine.commit_and_hello(),
    ));
    let many = rounds(|| run(MANY, 4000))?;
    lines.push(Line::per_s(
        &format!("durable submit {name}, 64 clients"),
        1000.0,
        many,
        &machine.hello_many(),
    ));
    Ok(all)
}

fn send(scene: &Scene, objective: Objective, clients: usize, count: usize) -> Result<(Vec<JobId>, Round)> {
    let (jobs, requests) = scene.submissions(objective, count)?;
    Ok((jobs, load::round(scene.address, clients, requests)?))
}

fn status(scene: &Scene, jobs: &[JobId]) -> Result<Round> {
    load::round(scene.address, MANY, Scene::looks(jobs, 5000))?;
    rounds(|| load::round(scene.address, MANY, Scene::looks(jobs, 20_000)))
}

/// Tasks that each append one entry, wait until it is durable, and append the next.
fn audit(runtime: &Runtime, scene: &Scene) -> Result<Round> {
    let writers = |each: usize| {
        let began = Instant::now();
        let tasks: Vec<_> =
            (0..MANY).map(|_| runtime.spawn(append(std::sync::Arc::clone(&scene.node), each))).collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(runtime.block_on(task)??);
        }
        Ok(Round::of(times, began.elapsed()))
    };
    writers(50)?;
    rounds(|| writers(600))
}

async fn append(
    node: std::sync::Arc<sta_node::node::Node>,
    count: usize,
) -> Result<Vec<std::time::Duration>> {
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let began = Instant::now();
        let entry = PendingEntry {
            kind: "job.started",
            subject: "019ab1a0-0000-7000-8000-000000000000".to_owned(),
            payload: serde_json::json!({"site": "quebec-hydro", "started_at": "2026-11-23T12:00:00Z", "number": number}),
            at: node.outside.now(),
        };
        node.store
            .write(move |tx| {
                tx.audit(entry);
                Ok(())
            })
            .await?;
        times.push(began.elapsed());
    }
    Ok(times)
}

fn rounds(mut round: impl FnMut() -> Result<Round>) -> Result<Round> {
    let measured: Result<Vec<_>> = (0..ROUNDS).map(|_| round()).collect();
    Round::median(measured?)
}
