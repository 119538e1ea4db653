// SPDX-License-Identifier: Apache-2.0
//! Bad days of real Slurm clusters of two majors: whatever fails, each job runs once, has one outcome that a researcher
//! understands, and pays for the time that it ran.

use std::{fmt::Write, path::PathBuf, time::Duration};

use serde_json::json;
use sta_node::engines::{
    Engine, EngineJob, Exit, Observation, Outcome,
    slurm::{SlurmConfig, SlurmEngine, settings::SlurmSettings},
};
use sta_protocol::federation::UsageSource;

use self::set::Turn;
use super::{finished, shell, slurm::SlurmSite, until};

mod controller;
mod gate;
mod handing_over;
mod limits;
mod nodes;
mod notice;
mod operator;
mod owner_first;
mod saved;
mod set;
mod way;

/// By how much the usage that an engine reports may differ from what the job itself wrote down, in milliseconds.
const USAGE_TOLERANCE_MS: u64 = 2_000;

/// Runs every test over a cluster of each major, or leaves it out where there is none.
macro_rules! on_both_majors {
    ($($name:ident)*) => {
        mod v22 {$(
            #[tokio::test]
            async fn $name() {
                let Some(site) = $crate::engines::slurm_faults::BadSite::of("22.").await else { return };
                super::$name(site).await;
            }
        )*}
        mod v24 {$(
            #[tokio::test]
            async fn $name() {
                let Some(site) = $crate::engines::slurm_faults::BadSite::of("24.").await else { return };
                super::$name(site).await;
            }
        )*}
    };
}
use on_both_majors;

/// A cluster that a test may break, and has for itself; whole again when it is given back.
struct BadSite {
    site: SlurmSite,
    turn: Turn,
}

impl BadSite {
    /// One whose version begins so; none, and a line, where there is none.
    async fn of(version: &str) -> Option<Self> {
        let turn = Turn::take(version).await?;
        Some(Self { site: SlurmSite::over(turn.cluster.clone()), turn })
    }

    fn config(&self) -> SlurmConfig {
        let mut config = self.site.config();
        let cluster = &self.turn.cluster;
        let rows = [
            ("carol", cluster.accounts[2].as_str(), Some("low")),
            ("dan", cluster.accounts[3].as_str(), Some("tight")),
            // Known to unix and not to Slurm.
            ("eve", cluster.observer.as_str(), None),
        ];
        for (researcher, account, qos) in rows {
            let row = json!({"member": "ca", "researcher": researcher, "account": account, "slurm_account": cluster.slurm_account, "qos": qos});
            config.settings.accounts.push(serde_json::from_value(row).unwrap());
        }
        config.settings.options_allowed.push("nodelist".to_owned());
        config.settings.lost_after_s = 3;
        config
    }

    /// A new engine over the same records, which stands for a restart of the node.
    fn open(&self) -> SlurmEngine {
        self.open_with(|_| {})
    }

    fn open_with(&self, change: impl FnOnce(&mut SlurmSettings)) -> SlurmEngine {
        let mut config = self.config();
        change(&mut config.settings);
        SlurmEngine::open(config).unwrap()
    }

    /// A job of `ada` that runs for so long, writes its own truth, and ends with a code.
    fn job(&self, milliseconds: u32, code: i32) -> HonestJob {
        self.job_that(&format!("exit {code}"), milliseconds)
    }

    /// The same that does something at its end.
    fn job_that(&self, at_the_end: &str, milliseconds: u32) -> HonestJob {
        let mut job = shell("");
        let truth = self.turn.cluster.scratch.join(format!("truth-{}", job.id));
        let mut script =
            format!("say() {{ echo \"$1 $(date +%s%N)\" >>{}; echo .; }}\nsay begin\n", truth.display());
        let beats = milliseconds / 200;
        let _ = write!(
            script,
            "n=0; while [ $n -lt {beats} ]; do sleep 0.2; say alive; n=$((n+1)); done\nsay end\n{at_the_end}\n"
        );
        job.command = ["sh", "-c", &script].map(ToOwned::to_owned).to_vec();
        job.time_limit_s = 120;
        HonestJob { job, truth }
    }

    /// Does to a daemon or a node what the script `fault` knows, while the engine goes on.
    async fn fault(&self, action: &'static str, target: impl Into<String>) {
        let (cluster, target) = (self.turn.cluster.clone(), target.into());
        tokio::task::spawn_blocking(move || cluster.fault(action, &target)).await.unwrap();
    }

    /// Waits until the controller has written down what it knows now: what it only knows, a crash makes it forget.
    async fn controller_has_saved(&self) {
        let now = std::time::SystemTime::now();
        // It writes where something has changed: it may have written a moment ago, and then nothing until the end of a job.
        self.use_up_numbers(1).await;
        self.controller_has_saved_since(now).await;
    }

    /// The same of what it knew at a moment: where nothing happens any more, it writes nothing any more.
    async fn controller_has_saved_since(&self, moment: std::time::SystemTime) {
        let (path, begun) = (self.state().join("job_state"), std::time::Instant::now());
        while std::fs::metadata(&path).map_or(true, |state| state.modified().unwrap() < moment) {
            assert!(begun.elapsed() < super::PATIENCE, "the controller saves nothing");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where the controller keeps what it knows.
    fn state(&self) -> PathBuf {
        self.turn.cluster.scratch.parent().unwrap().join("state")
    }

    /// The files in which the controller keeps its jobs, and what it has saved of them.
    fn controllers_memory(&self) -> ([PathBuf; 2], Vec<u8>) {
        let files = ["job_state", "job_state.old"].map(|name| self.state().join(name));
        let saved = std::fs::read(&files[0]).unwrap();
        (files, saved)
    }

    /// Has Slurm give no number again that it may have given before it forgot some of so many jobs.
    async fn use_up_numbers(&self, count: usize) {
        for _ in 0..count {
            let words = ["sbatch", "--parsable", "--hold", "--output=/dev/null", "--wrap=true"];
            let (cluster, account) = (self.turn.cluster.clone(), self.turn.cluster.accounts[0].clone());
            let submit = move || {
                let id = cluster.ask(&account, &words);
                cluster.ask(&account, &["scancel", id.trim()]);
            };
            tokio::task::spawn_blocking(submit).await.unwrap();
        }
    }

    /// Gives a command of Slurm's operator, while the engine goes on.
    async fn operate(&self, words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let cluster = self.turn.cluster.clone();
        let operate = move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            cluster.operate(&words)
        };
        tokio::task::spawn_blocking(operate).await.unwrap()
    }

    /// Slurm's numbers of all that it has, or had, under a job's name.
    async fn slurm_ids(&self, job: &HonestJob) -> Vec<String> {
        let name = format!("sta-{}", job.job.id);
        let said = self.operate(&["squeue", "-h", "-t", "all", "-n", &name, "-o", "%A"]).await;
        said.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn node(&self, place: usize) -> &str {
        &self.turn.cluster.nodes[place]
    }
}

/// A job that writes down itself when it began, that it lives, and when it ended.
struct HonestJob {
    job: EngineJob,
    truth: PathBuf,
}

impl HonestJob {
    fn on(mut self, node: &str) -> Self {
        self.job.site_options.insert("nodelist".to_owned(), node.to_owned());
        self
    }

    /// Alone on its node.
    fn alone(mut self) -> Self {
        self.job.site_options.insert("exclusive".to_owned(), String::new());
        self
    }

    fn of(mut self, researcher: &str) -> Self {
        self.job.owner.researcher = researcher.parse().unwrap();
        self
    }

    /// What it wrote: a word and the time in milliseconds.
    fn lines(&self) -> Vec<(String, u64)> {
        let text = std::fs::read_to_string(&self.truth).unwrap_or_default();
        let line = |line: &str| {
            let (word, nanoseconds) = line.split_once(' ').unwrap();
            // A signal to all of the job may end the `date` of one line.
            let nanoseconds = (!nanoseconds.is_empty()).then(|| nanoseconds.parse::<u64>().unwrap());
            nanoseconds.map(|nanoseconds| (word.to_owned(), nanoseconds / 1_000_000))
        };
        text.lines().filter_map(line).collect()
    }

    fn count(&self, word: &str) -> usize {
        self.lines().iter().filter(|(said, _)| said == word).count()
    }

    async fn wrote(&self, word: &str) {
        let begun = std::time::Instant::now();
        while self.count(word) == 0 {
            assert!(begun.elapsed() < super::PATIENCE, "the job never wrote `{word}`");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for its outcome, and holds it against the job's own words: it began once, and used what it says it used.
    async fn outcome(&self, engine: &dyn Engine) -> Outcome {
        let outcome = finished(engine, self.job.id).await;
        assert_eq!(self.count("begin"), 1, "{outcome:?}");
        let lines = self.lines();
        let truth_ms = lines.last().unwrap().1 - lines[0].1;
        let differs_ms = outcome.usage.wall_ms.abs_diff(truth_ms);
        // Slurm counts whole seconds at both ends, and clears up what is left of a job before it calls it over.
        let by_slurm = outcome.usage.sources.wall == UsageSource::Scheduler;
        let tolerance_ms = if by_slurm { 2 * USAGE_TOLERANCE_MS } else { USAGE_TOLERANCE_MS };
        assert!(differs_ms <= tolerance_ms, "{truth_ms} ms, and {outcome:?}");
        assert_eq!(finished(engine, self.job.id).await, outcome, "an outcome never changes");
        outcome
    }

    /// The same of a job that is to end with a code.
    async fn ends(&self, engine: &dyn Engine, code: i32) -> Outcome {
        let outcome = self.outcome(engine).await;
        assert_eq!((&outcome.exit, self.count("end")), (&Exit::Code(code), 1), "{outcome:?}");
        outcome
    }

    /// The same of a job that the site fails.
    async fn is_failed_by_the_site(&self, engine: &dyn Engine, reason: &str) {
        let outcome = self.outcome(engine).await;
        assert_eq!(outcome.exit, Exit::SiteFault(reason.to_owned()), "{outcome:?}");
    }

    /// Waits until the engine says why the job waits.
    async fn waits_because(&self, engine: &dyn Engine, reason: &str) {
        let waits = |observation: &Observation| match observation {
            Observation::Pending { reason: Some(text), .. } => Some(text.clone()),
            _ => None,
        };
        assert_eq!(until(engine, self.job.id, waits).await, reason);
    }

    async fn runs(&self, engine: &dyn Engine) {
        let runs = |observation: &Observation| match observation {
            Observation::Running { .. } => Some(()),
            Observation::Finished(outcome) => panic!("it has ended: {outcome:?}"),
            _ => None,
        };
        until(engine, self.job.id, runs).await;
    }
}
