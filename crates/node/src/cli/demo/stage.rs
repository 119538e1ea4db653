// SPDX-License-Identifier: Apache-2.0
//! The demo's stage: its directory, its voice, and a hand that calls `sta` as a person would.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    super::failure::{Failure, Trying},
    clusters::{Cluster, Clusters, SlurmJob, source_of_wall},
    voice::Voice,
};

/// How long a job of the demo may take; a cluster may have others' jobs to run first.
const JOB_SECONDS_MAX: u64 = 120;
/// How long the demo is silent at most.
const SILENCE: Duration = Duration::from_millis(1500);

/// Where the demo plays.
pub(super) struct Stage {
    directory: PathBuf,
    program: PathBuf,
    voice: Arc<Voice>,
    clusters: Clusters,
}

impl Stage {
    /// A stage in an empty directory, some of whose sites are clusters.
    ///
    /// # Errors
    /// The program does not know where it is.
    pub(super) fn new(directory: &Path, voice: Arc<Voice>, clusters: Clusters) -> Result<Self, Failure> {
        let program = std::env::current_exe().trying_to("find the program `sta`")?;
        Ok(Self { directory: directory.to_owned(), program, voice, clusters })
    }

    /// The demo's directory.
    #[must_use]
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The demo's directory as people write it.
    #[must_use]
    pub(super) fn shown_directory(&self) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        self.directory.strip_prefix(here).unwrap_or(&self.directory).display().to_string()
    }

    /// A path within it.
    #[must_use]
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The program.
    #[must_use]
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// One line for people.
    pub(super) fn say(&self, line: &str) {
        self.voice.say(line);
    }

    /// Notes what is going on, for when it takes long.
    pub(super) fn begin(&self, doing: &str) {
        self.voice.begin(doing);
    }

    /// The clusters that some sites are.
    #[must_use]
    pub(super) fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// The cluster that has run a job and what its accounting says of it; none for a job that ran elsewhere.
    ///
    /// # Errors
    /// The cluster does not answer, or does not have the job exactly once.
    pub(super) fn slurm_job(&self, job: &Value) -> Result<Option<(&Cluster, SlurmJob)>, Failure> {
        let site = job["site"].as_str().unwrap_or_default();
        let (Some(cluster), Some(id)) = (self.clusters.of(site), job["id"].as_str()) else { return Ok(None) };
        let runs = cluster.accounting(id)?;
        let count = runs.len();
        let one: Result<[SlurmJob; 1], _> = runs.try_into();
        let doing = format!("see that {} ran job {id} once", cluster.name);
        one.map(|[run]| Some((cluster, run)))
            .map_err(|_| Failure::new(doing, format!("its accounting has it {count} times")))
    }

    /// Says what Slurm's own accounting has of a job that has ended, where a cluster has run it.
    ///
    /// # Errors
    /// As [`Stage::slurm_job`].
    pub(super) fn tell_slurm(&self, job: &Value) -> Result<(), Failure> {
        if let Some((cluster, run)) = self.slurm_job(job)? {
            let wall_ms = job["usage"]["wall_ms"].as_u64().unwrap_or_default();
            self.say(&format!(
                "     {}: {}, {wall_ms} ms {}.",
                run.line(cluster),
                run.state,
                source_of_wall(job)
            ));
        }
        Ok(())
    }

    /// Calls `sta --json` with words (`{}` stands for the demo's directory) and reads what it answers.
    ///
    /// # Errors
    /// It ended with another code than 0; the failure is what it said.
    pub(super) fn sta(&self, words: &[&str]) -> Result<Value, Failure> {
        let (code, answer, said) = self.try_sta(words)?;
        if code == 0 { Ok(answer) } else { Err(Failure::new(format!("run `sta {}`", words.join(" ")), said)) }
    }

    /// The same, whatever the code: exit code, JSON answer (null without one) and what was said on standard error.
    ///
    /// # Errors
    /// It could not be called.
    pub(super) fn try_sta(&self, words: &[&str]) -> Result<(i32, Value, String), Failure> {
        self.voice.go_on()?;
        self.begin(&format!("waits for `sta {}`", words.first().copied().unwrap_or_default()));
        let directory = self.directory.display().to_string();
        let words: Vec<OsString> = words.iter().map(|word| word.replace("{}", &directory).into()).collect();
        let Output { status, stdout, stderr } = Command::new(&self.program)
            .arg("--json")
            .args(&words)
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .trying_to("call `sta`")?;
        let answer = serde_json::from_slice(&stdout).unwrap_or(Value::Null);
        Ok((status.code().unwrap_or(-1), answer, String::from_utf8_lossy(&stderr).trim().to_owned()))
    }

    /// Waits until a job is in one of the given states, and says what it does on the way.
    ///
    /// # Errors
    /// It does not come there in time, or ends in another way.
    pub(super) fn wait_for(&self, profile: &str, job: &str, states: &[&str]) -> Result<Value, Failure> {
        let began = Instant::now();
        let mut last_said = Instant::now();
        let mut last_state = String::new();
        loop {
            let document = self.sta(&["job", job, "--profile", profile])?;
            let state = document["state"].as_str().unwrap_or_default().to_owned();
            if states.contains(&state.as_str()) {
                return Ok(document);
            }
            if ["completed", "failed", "cancelled", "refused"].contains(&state.as_str()) {
                return Err(Failure::new(
                    format!("see job {job} become {}", states.join(" or ")),
                    format!("it is {state}: {document}"),
                ));
            }
            if state != last_state || last_said.elapsed() > SILENCE {
                let host = document["host"].as_str().unwrap_or("nowhere yet");
                self.say(&format!("     … {state} at {host} ({:.0} s)", began.elapsed().as_secs_f64()));
                (last_said, last_state) = (Instant::now(), state);
            }
            if began.elapsed() > Duration::from_secs(JOB_SECONDS_MAX) {
                return Err(Failure::new(
                    format!("see job {job} become {}", states.join(" or ")),
                    format!("not within {JOB_SECONDS_MAX} s"),
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
