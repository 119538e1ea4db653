// SPDX-License-Identifier: Apache-2.0
//! `cargo bench --bench node -- slurm`: a node over a real Slurm cluster, beside bare `sbatch` on the same cluster in the same run.
//!
//! Needs a cluster that is up: `STA_CLUSTERS` names the directory of `examples/two-clusters/up`, and `STA_CLUSTER` one of them.
//! `STA_CLIENTS=8` measures the rates with so many clients alone, and nothing else.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sta_node::{
    engines::{
        Capacity, Engine,
        slurm::{SlurmConfig, SlurmEngine, settings::SlurmSettings},
    },
    store::outbox,
};
use sta_protocol::{ids::JobId, job::JobSpec};
use tokio::runtime::Runtime;

use crate::{
    load::{self, Round},
    scene::{self, Scene},
};

/// How many jobs each measurement of a rate submits: some seconds' worth.
const JOBS: usize = 960;
/// How many jobs are run one after the other, by turns, for the times from submission to begin and from end to final state.
const TURNS: usize = 15;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A cluster of `clusters.json`.
#[derive(Debug, Clone, Deserialize)]
struct Cluster {
    name: String,
    version: String,
    prefix: Vec<String>,
    observer: String,
    accounts: Vec<String>,
    slurm_account: String,
    partition: String,
    directory: String,
    hook: PathBuf,
}

#[derive(Deserialize)]
struct Clusters {
    clusters: Vec<Cluster>,
}

impl Cluster {
    fn find() -> Result<Self> {
        let set = std::env::var("STA_CLUSTERS")
            .context("STA_CLUSTERS names no set of clusters: bring one up with examples/two-clusters/up")?;
        let name = std::env::var("STA_CLUSTER").unwrap_or_else(|_| "juelich".to_owned());
        let text = std::fs::read_to_string(Path::new(&set).join("clusters.json"))?;
        let all: Clusters = serde_json::from_str(&text)?;
        all.clusters
            .into_iter()
            .find(|cluster| cluster.name == name)
            .with_context(|| format!("no cluster `{name}` is up"))
    }

    /// Runs a program as the account of the benchmark.
    fn run(&self, words: &[&str], stdin: &str) -> Result<String> {
        let account = &self.accounts[0];
        let prefix: Vec<String> = self.prefix.iter().map(|word| word.replace("{account}", account)).collect();
        let (program, rest) = prefix.split_first().context("a prefix")?;
        let mut child = Command::new(program)
            .args(rest)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("an input")?.write_all(stdin.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn engine(&self, root: PathBuf) -> Result<SlurmEngine> {
        // As docs/slurm.md recommends where the node runs on the same machine: answers come before hand-over.
        let nice = ["nice", "-n", "10"].map(str::to_owned);
        let prefix: Vec<&String> = nice.iter().chain(&self.prefix).collect();
        let settings: SlurmSettings = serde_json::from_value(serde_json::json!({
            "cluster": self.name, "prefix": prefix, "observer": self.observer, "directory": self.directory,
            "partition": self.partition, "hook": self.hook, "poll_s": 2, "options_allowed": ["hold"],
            "accounts": [{"member": "ca", "researcher": "ada", "account": self.accounts[0], "slurm_account": self.slurm_account}],
        }))?;
        let capacity = Capacity { cpu_cores: 1 << 20, memory_bytes: 1 << 60, gpus: [].into() };
        Ok(SlurmEngine::open(SlurmConfig { root, settings, capacity })?)
    }

    /// As many bare submissions as `JOBS`, by so many clients at once.
    fn bare_round(&self, clients: usize) -> Result<Round> {
        let each = JOBS / clients;
        let began = Instant::now();
        let threads: Vec<_> = (0..clients)
            .map(|_| {
                let cluster = self.clone();
                std::thread::spawn(move || -> Result<Vec<Duration>> {
                    let submit = |_| {
                        let began = Instant::now();
                        cluster.sbatch(&["--hold"], "#!/bin/sh\ntrue\n")?;
                        Ok(began.elapsed())
                    };
                    (0..each).map(submit).collect()
                })
            })
            .collect();
        let mut times = Vec::new();
        for thread in threads {
            times.extend(thread.join().ok().context("a client panicked")??);
        }
        Ok(Round::of(times, began.elapsed()))
    }

    fn sbatch(&self, more: &[&str], script: &str) -> Result<String> {
        let account = format!("--account={}", self.slurm_account);
        let output = format!("--output={}/bench-%j.out", self.scratch());
        let common = ["sbatch", "--parsable", "--export=NIL", "--chdir=/", "--mem=64M", "--time=10"];
        let words: Vec<&str> = common
            .into_iter()
            .chain([account.as_str(), output.as_str()])
            .chain(more.iter().copied())
            .collect();
        self.run(&words, script)
    }

    fn scratch(&self) -> String {
        self.directory.replace("{account}", &self.accounts[0])
    }

    fn clear(&self) -> Result<()> {
        self.run(&["scancel", "-u", &self.accounts[0]], "").map(drop)
    }
}

/// Measures and prints.
pub(crate) fn measure(runtime: &Runtime, directory: &Path) -> Result<()> {
    let cluster = Cluster::find()?;
    cluster.run(&["mkdir", "-p", &cluster.scratch()], "")?;
    cluster.clear()?;
    println!(
        "cluster {}, Slurm {}, load {}",
        cluster.name,
        cluster.version,
        crate::table::system("/proc/loadavg").trim()
    );
    rates(&cluster, runtime, directory)?;
    if std::env::var_os("STA_CLIENTS").is_some() {
        return Ok(());
    }
    latencies(&cluster, runtime, directory)?;
    backlog(&cluster, runtime, directory)
}

fn open(cluster: &Cluster, runtime: &Runtime, directory: &Path, name: &str) -> Result<Scene> {
    let root = directory.join(name).join("slurm");
    std::fs::create_dir_all(&root)?;
    let engine: Arc<dyn Engine> = {
        let _runtime = runtime.enter();
        Arc::new(cluster.engine(root)?)
    };
    Scene::open_over(runtime, &directory.join(name), &engine)
}

/// A job of one core; held jobs stay in the queue, so that what is measured is submission.
fn spec(held: bool, script: &str) -> Result<JobSpec> {
    let mut spec = scene::spec(sta_protocol::job::Objective::CLEANEST)?;
    spec.command = ["sh", "-c", script].map(str::to_owned).to_vec();
    spec.outputs.clear();
    (spec.cpu_cores, spec.memory_bytes) = (1, 64 << 20);
    spec.sites_allowed = vec!["quebec-hydro".parse()?];
    if held {
        spec.site_options.insert("hold".to_owned(), String::new());
    }
    Ok(spec)
}

fn rates(cluster: &Cluster, runtime: &Runtime, directory: &Path) -> Result<()> {
    println!(
        "\n| clients | bare sbatch, /s | sta: answers, /s | p50, ms | sta: in Slurm, /s | part of bare |\n| --- | --- | --- | --- | --- | --- |"
    );
    let only: Option<usize> = std::env::var("STA_CLIENTS").ok().and_then(|clients| clients.parse().ok());
    for clients in only.map_or_else(|| vec![1, 8, 32], |clients| vec![clients]) {
        // What was submitted bare stays until both are measured: for a minute after files were deleted, ext4 searches for each new
        // one among theirs (`recently_deleted`), and that cost would be ours alone.
        let bare = cluster.bare_round(clients)?;
        let scene = open(cluster, runtime, directory, &format!("rates-{clients}"))?;
        let (_, requests) = scene.submissions_of(&spec(true, "true")?, JOBS)?;
        let began = Instant::now();
        let round = load::round(scene.address, clients, requests)?;
        all_handed_over(&scene)?;
        let in_slurm = count(JOBS) / began.elapsed().as_secs_f64();
        println!(
            "| {clients} | {:.0} | {:.0} | {:.2} | {in_slurm:.0} | {:.2} |",
            bare.per_s,
            round.per_s,
            round.p50_us / 1000.0,
            in_slurm / bare.per_s
        );
        scene.stop();
        cluster.clear()?;
        std::thread::sleep(Duration::from_secs(3));
    }
    Ok(())
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Waits until nothing is left to hand over: each submission's effects are carried out one after the other.
fn all_handed_over(scene: &Scene) -> Result<()> {
    let began = Instant::now();
    loop {
        let waiting: u64 = scene
            .node
            .store
            .read(outbox::lengths)?
            .into_iter()
            .filter(|(lane, _)| !lane.starts_with("peer/de"))
            .map(|(_, length)| length)
            .sum();
        let ready = scene.node.store.read(|connection| {
            sta_node::store::hosted::site_use(
                connection,
                &"quebec-hydro".parse().expect("a name"),
                scene.node.member(),
            )
        })?;
        if waiting == 0 && ready.waiting == 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{waiting} effects still wait");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn now_s() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64()
}

/// By turns one bare job and one through the node: when its first line ran, and when its end was seen.
fn latencies(cluster: &Cluster, runtime: &Runtime, directory: &Path) -> Result<()> {
    let scene = open(cluster, runtime, directory, "latencies")?;
    let stamps = format!("{}/bench-stamps", cluster.scratch());
    let read = |line: usize| -> Result<Option<f64>> {
        let text = cluster.run(&["cat", &stamps], "").unwrap_or_default();
        Ok(text.lines().nth(line).and_then(|line| line.parse::<f64>().ok()).map(|ns| ns / 1e9))
    };
    let (mut bare, mut ours, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bare_taken, mut ours_taken) = (Vec::new(), Vec::new());
    let script = format!("date +%s%N >>{stamps}; sleep 0.3; date +%s%N >>{stamps}");
    // Slurm's scheduler wakes at jobs' ends and once a second: each submission comes when it is quiet, at any moment of that second.
    let settle = |turn: usize| {
        let jitter = u64::try_from(turn * 373 % 1000).unwrap_or(0);
        std::thread::sleep(Duration::from_millis(1500 + jitter));
    };
    for turn in 0..TURNS {
        cluster.run(&["rm", "-f", &stamps], "")?;
        settle(turn);
        let began = now_s();
        cluster.sbatch(&[], &format!("#!/bin/sh\nexport PATH=/usr/bin:/bin\n{script}\n"))?;
        bare_taken.push(now_s() - began);
        until(|| read(1))?;
        bare.push(read(0)?.context("a stamp")? - began);
        cluster.run(&["rm", "-f", &stamps], "")?;
        let (jobs, requests) = scene.submissions_of(&spec(false, &script)?, 1)?;
        settle(turn);
        let began = now_s();
        load::round(scene.address, 1, requests)?;
        all_handed_over(&scene)?;
        ours_taken.push(now_s() - began);
        let ended_seen = until(|| final_state(&scene, jobs[0]))?;
        ours.push(read(0)?.context("a stamp")? - began);
        seen.push(ended_seen - read(1)?.context("a stamp")?);
    }
    println!("\n| time | p50, ms | p95, ms |\n| --- | --- | --- |");
    for (what, times) in [
        ("bare sbatch until Slurm has the job", bare_taken),
        ("sta: POST until Slurm has the job", ours_taken),
        ("bare sbatch to the script's first line", bare),
        ("sta: POST to the job's first line", ours),
        ("the job's last line to the final state in sta, with the hook", seen),
    ] {
        let times = times.into_iter().map(|s| Duration::from_secs_f64(s.max(0.0))).collect();
        let round = Round::of(times, Duration::from_secs(1));
        println!("| {what} | {:.0} | {:.0} |", round.p50_us / 1000.0, round.p95_us / 1000.0);
    }
    scene.stop();
    cluster.clear()
}

fn final_state(scene: &Scene, job: JobId) -> Result<Option<f64>> {
    let found = scene.node.store.read(|connection| sta_node::store::jobs::find(connection, job))?;
    Ok(found.filter(|job| job.state.is_final()).map(|_| now_s()))
}

fn until<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(began.elapsed() < PATIENCE, "it never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ten thousand jobs in the cluster's queue: the memory of this process, node and load generator together, and what a look costs.
fn backlog(cluster: &Cluster, runtime: &Runtime, directory: &Path) -> Result<()> {
    let wanted: usize =
        std::env::var("STA_BACKLOG").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let scene = open(cluster, runtime, directory, "backlog")?;
    let before = memory_mib();
    let mut all = Vec::new();
    let began = Instant::now();
    while all.len() < wanted {
        let (jobs, requests) = scene.submissions_of(&spec(true, "true")?, 1000.min(wanted - all.len()))?;
        load::round(scene.address, 8, requests)?;
        all.extend(jobs);
    }
    all_handed_over(&scene)?;
    let took = began.elapsed();
    // What a look costs: the processor time of everything this process does and starts while nothing happens.
    let (cpu_before, idle) = (cpu_s(), Duration::from_secs(20));
    std::thread::sleep(idle);
    let cpu = (cpu_s() - cpu_before) / idle.as_secs_f64();
    let looks = load::round(scene.address, 64, Scene::looks(&all, 20_000))?;
    println!("\n| backlog of {wanted} jobs in Slurm's queue | |\n| --- | --- |");
    println!("| handed over | {:.0} /s |", count(wanted) / took.as_secs_f64());
    println!(
        "| memory of node and load generator, before and with the backlog | {before:.0} and {:.0} MiB |",
        memory_mib()
    );
    println!("| processor time while nothing happens, of one core | {:.1} % |", cpu * 100.0);
    println!("| job status, 64 clients | {:.0} /s |", looks.per_s);
    scene.stop();
    cluster.clear()
}

fn memory_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Processor time of this process and of all it has waited for, in seconds.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        after.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
