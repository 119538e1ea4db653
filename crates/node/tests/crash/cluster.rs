// SPDX-License-Identifier: Apache-2.0
//! Kill -9 of a node that drives a real Slurm cluster, again and again under load: each job runs once, has one receipt, and
//! pays for the time that it says it ran.
//!
//! The moments are drawn from a seed, which is printed; `STA_CRASH_SEED` gives one.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use sta_node::cli::client::Client;
use sta_protocol::{
    federation::Receipt,
    ids::JobId,
    job::{JobSpec, Objective, Shape},
    jws::Signed,
};

use super::{
    pair::Pair,
    work::{answered, new_id, request},
};
use crate::engines::slurm::SlurmSite;

/// How often the node is killed, and how many jobs it is given in each of its lives.
const KILLS: u64 = 50;
const JOBS_A_LIFE: usize = 4;
/// The shortest and the longest life, in milliseconds after the node listens.
const LIFE_MS: (u64, u64) = (50, 1_400);
/// How long the work may take once nobody is killed any more.
const PATIENCE: Duration = Duration::from_secs(150);
/// By how much a receipt may differ from what the job itself wrote down.
const USAGE_TOLERANCE_MS: u64 = 2_000;

/// Draws numbers that look like chance and are the same for the same seed (xorshift, Marsaglia 2003).
struct Draw(u64);

impl Draw {
    fn new() -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let wanted = std::env::var("STA_CRASH_SEED").ok().map(|text| text.parse().expect("a number"));
        let seed = wanted.unwrap_or(u64::try_from(now % 1_000_000_007).unwrap() + 1);
        println!("STA_CRASH_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A job that writes down itself when it began and ended.
struct Job {
    id: JobId,
    truth: PathBuf,
    request: Value,
    answered: bool,
}

impl Job {
    fn new(pair: &Pair, site: &SlurmSite, seconds: f64) -> Self {
        let id = new_id();
        let truth = site.cluster.scratch.join(format!("truth-{id}"));
        let script = format!(
            "say() {{ echo \"$1 $(date +%s%N)\" >>{}; }}; say begin; sleep {seconds}; say end",
            truth.display()
        );
        let spec = JobSpec {
            version: 1,
            name: "survivor".to_owned(),
            command: ["sh", "-c", &script].map(str::to_owned).to_vec(),
            image: "host".to_owned(),
            project: "crossing".parse().unwrap(),
            purpose: "research".to_owned(),
            purpose_class: None,
            exception_claimed: false,
            datasets: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            cpu_cores: 1,
            memory_bytes: 64 << 20,
            gpus: 0,
            time_limit_s: 60,
            network: true,
            objective: Objective::CHEAPEST,
            sites_allowed: vec!["quebec-hydro".parse().unwrap()],
            sites_refused: Vec::new(),
            shape: Shape::default(),
            outputs_weights: Vec::new(),
            after: Vec::new(),
            attempts_max: 1,
            site_options: BTreeMap::new(),
            training: None,
            inputs_about: None,
            checkpoint: None,
        };
        Self { id, truth, request: request(pair, id, spec), answered: false }
    }

    /// One begin and one end, and a receipt for the time between.
    fn is_right(&self, pair: &Pair) {
        let own = format!("id = '{}'", self.id);
        let state = pair.look("ca", &format!("SELECT state FROM jobs WHERE {own}"));
        assert_eq!(state, ["completed"], "{}: {:?}", self.id, self.lines());
        let receipts = pair.look("ca", &format!("SELECT receipt FROM hosted WHERE job = '{}'", self.id));
        assert_eq!(receipts, pair.look("ca", &format!("SELECT receipt FROM jobs WHERE {own}")));
        assert_eq!(receipts.len(), 1, "{}", self.id);
        let receipt: Signed<Receipt> = serde_json::from_value(receipts[0].clone().into()).unwrap();
        let usage = receipt.peek_unverified().unwrap().usage;
        let lines = self.lines();
        let words: Vec<&str> = lines.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(words, ["begin", "end"], "{}", self.id);
        let truth_ms = lines[1].1 - lines[0].1;
        assert!(
            usage.wall_ms.abs_diff(truth_ms) <= USAGE_TOLERANCE_MS,
            "{}: {truth_ms} ms, and {usage:?}",
            self.id
        );
    }

    fn lines(&self) -> Vec<(String, u64)> {
        let text = std::fs::read_to_string(&self.truth).unwrap_or_default();
        let line = |line: &str| {
            let (word, nanoseconds) = line.split_once(' ').unwrap();
            (word.to_owned(), nanoseconds.parse::<u64>().unwrap() / 1_000_000)
        };
        text.lines().map(line).collect()
    }
}

/// Submits what the node has not acknowledged yet.
async fn submit(jobs: &mut [Job], client: &Client) {
    for job in jobs.iter_mut().filter(|job| !job.answered) {
        job.answered = answered(client, "/v1/jobs", Some(&job.request)).await;
    }
}

/// How many runs the node had written down that it would submit, and not yet that Slurm has them.
fn half_submitted(pair: &Pair) -> u64 {
    let path = pair.path("ca/engine/quebec-hydro/runs.sqlite");
    let Ok(records) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else { return 0 };
    let sql = "SELECT count(*) FROM runs WHERE phase = 'intended'";
    records.query_row(sql, [], |row| row.get::<_, u32>(0)).map_or(0, u64::from)
}

async fn everything_is_done(pair: &Pair, jobs: &mut [Job]) {
    let began = Instant::now();
    loop {
        submit(jobs, &pair.ada()).await;
        let mut open = pair.look("ca", "SELECT id || ' is ' || state FROM jobs WHERE ended_at IS NULL");
        open.extend(pair.look("ca", "SELECT kind || ': ' || coalesce(last_error, '') FROM outbox"));
        if open.is_empty() && jobs.iter().all(|job| job.answered) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{open:?} is left to do");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_node_killed_fifty_times_while_slurm_runs_two_hundred_jobs_loses_none_and_runs_none_twice() {
    let Some(site) = SlurmSite::of("22.") else { return };
    let (pair, mut draw, began) = (Pair::found().await, Draw::new(), Instant::now());
    pair.drive_by_slurm(&site.settings());
    let mut nodes = pair.start([const { Vec::new() }; 2]);
    let (mut jobs, mut half_done) = (Vec::new(), 0);
    for _ in 0..KILLS {
        let seconds = |draw: &mut Draw| draw.below(40) as f64 / 10.0;
        jobs.extend((0..JOBS_A_LIFE).map(|_| Job::new(&pair, &site, seconds(&mut draw))));
        let life = Duration::from_millis(LIFE_MS.0 + draw.below(LIFE_MS.1 - LIFE_MS.0));
        let end = tokio::time::Instant::now() + life;
        let _ = tokio::time::timeout_at(end, submit(&mut jobs, &pair.ada())).await;
        tokio::time::sleep_until(end).await;
        nodes.restart_after("ca", || half_done += half_submitted(&pair));
    }
    println!("{KILLS} kills in {:.0} s met {half_done} half submitted jobs", began.elapsed().as_secs_f64());
    everything_is_done(&pair, &mut jobs).await;
    println!("everything was done after {:.0} s", began.elapsed().as_secs_f64());
    for job in &jobs {
        job.is_right(&pair);
    }
    let names = site.cluster.ask(&site.cluster.observer, &["squeue", "-h", "-o", "%j"]);
    let ours = jobs.iter().map(|job| format!("sta-{}", job.id));
    let left: Vec<String> = ours.filter(|name| names.contains(name.as_str())).collect();
    assert_eq!(left, Vec::<String>::new(), "Slurm still has them");
    assert!(half_done >= 5, "hardly any death was between record and submission");
}
