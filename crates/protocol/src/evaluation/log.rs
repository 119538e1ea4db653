// SPDX-License-Identifier: Apache-2.0
//! Reads the header of an Inspect log (EvalLog version 2) and takes only that of a run that succeeded and is whole.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;

/// The longest header that is read, in bytes. A log in one JSON file has its samples in it too.
pub const LOG_BYTES_MAX: usize = 256 << 20;
/// The most scores of one log.
const SCORES_MAX: usize = 200;
/// The most packages that an attestation names.
const PACKAGES_MAX: usize = 200;

/// The file that a header comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its name, without a path.
    pub name: String,
    /// SHA-256 of the whole file.
    pub sha256: Sha256Digest,
}

/// A finished evaluation, as its log says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The suite.
    pub task: String,
    /// Its version.
    pub task_version: String,
    /// The model as the log names it. Who attests vouches that it is the one whose weights they name.
    pub model: String,
    /// How many samples there were, over all epochs.
    pub samples_total: u64,
    /// How many were completed: all of them.
    pub samples_completed: u64,
    /// Each measured value by `score/metric`, such as `includes/accuracy`.
    pub scores: BTreeMap<String, f64>,
    /// When the run began.
    pub created_at: Timestamp,
    /// When it was over.
    pub completed_at: Timestamp,
    /// The packages that ran it, with their versions.
    pub packages: BTreeMap<String, String>,
}

/// Why a log proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum LogRefused {
    /// Longer than is read.
    #[error(
        "the log has {bytes} bytes; at most {LOG_BYTES_MAX} are read: write it as `.eval` (`inspect eval --log-format eval`), where the header is a file of its own"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not the header of a log.
    #[error("the log is not an Inspect EvalLog in JSON (a NaN among the scores is none either)")]
    NotALog(#[source] serde_json::Error),
    /// Another version of the format.
    #[error("the log is of version {0}; version 2 is read: write it with a newer `inspect-ai`")]
    Version(u32),
    /// The run did not succeed.
    #[error("the evaluation's status is `{status}`{why}; only `success` counts: run it again to its end")]
    NotSuccess {
        /// `started`, `cancelled` or `error`.
        status: String,
        /// What the log says of it.
        why: String,
    },
    /// Somebody took the log back.
    #[error("the log was invalidated: what it says was taken back, so run the evaluation again")]
    Invalidated,
    /// There are no results.
    #[error(
        "the log says `success` and has no results: run the evaluation with its scorers (without `--no-score`)"
    )]
    NoResults,
    /// Not every sample was completed.
    #[error(
        "{completed} of {total} samples were completed: run the evaluation again, to the end of every sample"
    )]
    Incomplete {
        /// How many were.
        completed: u64,
        /// How many there were.
        total: u64,
    },
    /// Only a part of the suite was run.
    #[error("the evaluation ran on a part of the suite (`{0}` is set): run the whole of it")]
    PartOfSuite(&'static str),
    /// A value is missing or beyond its bounds.
    #[error("`{field}` of the log {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Deserialize)]
struct Header {
    version: u32,
    status: String,
    #[serde(default)]
    invalidated: bool,
    eval: Spec,
    results: Option<Results>,
    stats: Option<Stats>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Spec {
    task: String,
    task_version: serde_json::Value,
    model: String,
    created: Timestamp,
    #[serde(default)]
    packages: BTreeMap<String, String>,
    #[serde(default)]
    config: Config,
}

#[derive(Default, Deserialize)]
struct Config {
    limit: Option<serde_json::Value>,
    sample_id: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Results {
    total_samples: u64,
    completed_samples: u64,
    #[serde(default)]
    scores: Vec<Score>,
}

#[derive(Deserialize)]
struct Score {
    name: String,
    reducer: Option<String>,
    #[serde(default)]
    metrics: BTreeMap<String, Metric>,
}

#[derive(Deserialize)]
struct Metric {
    value: f64,
}

#[derive(Deserialize)]
struct Stats {
    completed_at: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

impl Evaluated {
    /// Reads a header: `header.json` of a `.eval` file, or a whole log in JSON.
    ///
    /// # Errors
    /// Every [`LogRefused`].
    pub fn from_header(json: &[u8]) -> Result<Self, LogRefused> {
        if json.len() > LOG_BYTES_MAX {
            return Err(LogRefused::TooLong { bytes: json.len() });
        }
        let header: Header = serde_json::from_slice(json).map_err(LogRefused::NotALog)?;
        header.check_status()?;
        let results = header.results.as_ref().ok_or(LogRefused::NoResults)?;
        let (total, completed) = (results.total_samples, results.completed_samples);
        if completed != total || total == 0 {
            return Err(LogRefused::Incomplete { completed, total });
        }
        let completed_at = header.completed_at()?;
        Ok(Self {
            scores: results.scores()?,
            task: bounded("eval.task", header.eval.task)?,
            task_version: version_text(&header.eval.task_version)?,
            model: bounded("eval.model", header.eval.model)?,
            samples_total: total,
            samples_completed: completed,
            created_at: header.eval.created,
            completed_at,
            packages: packages(header.eval.packages)?,
        })
    }
}

impl Header {
    fn check_status(&self) -> Result<(), LogRefused> {
        if self.version != 2 {
            return Err(LogRefused::Version(self.version));
        }
        if self.status != "success" {
            let first_line = |text: &str| text.lines().next().unwrap_or_default().chars().take(200).collect();
            let why: Option<String> = self.error.as_ref().map(|error| first_line(&error.message));
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            return Err(LogRefused::NotSuccess { status: self.status.chars().take(40).collect(), why });
        }
        if self.invalidated {
            return Err(LogRefused::Invalidated);
        }
        let config = &self.eval.config;
        match (&config.limit, &config.sample_id) {
            (Some(_), _) => Err(LogRefused::PartOfSuite("eval.config.limit")),
            (None, Some(_)) => Err(LogRefused::PartOfSuite("eval.config.sample_id")),
            (None, None) => Ok(()),
        }
    }

    fn completed_at(&self) -> Result<Timestamp, LogRefused> {
        let field = "stats.completed_at";
        let text = self.stats.as_ref().and_then(|stats| stats.completed_at.as_deref()).unwrap_or_default();
        let at: Timestamp = text.parse().map_err(|_| LogRefused::Field {
            field,
            problem: "is not a time: the log does not say when the evaluation was over".to_owned(),
        })?;
        if at < self.eval.created {
            let problem = format!("is {at}, before it began ({})", self.eval.created);
            return Err(LogRefused::Field { field, problem });
        }
        Ok(at)
    }
}

impl Results {
    fn scores(&self) -> Result<BTreeMap<String, f64>, LogRefused> {
        let refused = |problem: String| LogRefused::Field { field: "results.scores", problem };
        let mut values = BTreeMap::new();
        for score in &self.scores {
            let of = score.reducer.as_ref().map_or_else(String::new, |reducer| format!("@{reducer}"));
            for (metric, value) in &score.metrics {
                let name = bounded("results.scores", format!("{}{of}/{metric}", score.name))?;
                if values.len() == SCORES_MAX {
                    return Err(refused(format!("have more than {SCORES_MAX} values")));
                }
                if values.insert(name.clone(), value.value).is_some() {
                    return Err(refused(format!("have `{name}` twice")));
                }
            }
        }
        if values.is_empty() { Err(LogRefused::NoResults) } else { Ok(values) }
    }
}

fn bounded(field: &'static str, text: String) -> Result<String, LogRefused> {
    let count = text.chars().count();
    if count == 0 || count > 200 || text.chars().any(char::is_control) {
        let problem = format!("has {count} characters: 1 to 200 printable ones are read");
        return Err(LogRefused::Field { field, problem });
    }
    Ok(text)
}

/// Inspect writes versions as numbers or as texts.
fn version_text(version: &serde_json::Value) -> Result<String, LogRefused> {
    let text = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
    bounded("eval.task_version", text)
}

fn packages(packages: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, LogRefused> {
    if packages.len() > PACKAGES_MAX {
        let problem = format!("has {} entries; at most {PACKAGES_MAX} are read", packages.len());
        return Err(LogRefused::Field { field: "eval.packages", problem });
    }
    let checked = packages
        .into_iter()
        .map(|(name, version)| Ok((bounded("eval.packages", name)?, bounded("eval.packages", version)?)));
    checked.collect()
}
