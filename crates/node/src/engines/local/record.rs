// SPDX-License-Identifier: Apache-2.0
//! A job's directory: which file means what, the versioned records in it, and how they become durable.
//!
//! `spec.json` (the job is taken over), `cancel` (it is to end), `lock` (held by its supervisor), `started.json`
//! (it may have begun: it is never begun again), `result.json` (it ended), `stdout`, `stderr`, `work/`, `tmp/`, and `submit`, held by whoever submits it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sta_protocol::{digest::Sha256Digest, federation::UsageSources};

use crate::engines::{EngineError, Exit, Outcome, OutputFile, RunId, Stream, TaskEnd, Usage};

/// The version written into every record.
const VERSION: u32 = 1;
/// The largest record read, in bytes: a spec of all the allowed items stays far below.
const RECORD_BYTES_MAX: u64 = 64 << 20;

/// The directory of one job.
#[derive(Debug, Clone)]
pub(super) struct JobDirectory {
    path: PathBuf,
}

impl JobDirectory {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }
    pub(super) fn of(root: &Path, id: RunId) -> Self {
        Self { path: root.join(id.to_string()) }
    }
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
    pub(super) fn work(&self) -> PathBuf {
        self.path.join("work")
    }
    pub(super) fn scratch(&self) -> PathBuf {
        self.path.join("tmp")
    }
    /// What the task `index` wrote; of a plain job, its only one.
    pub(super) fn log(&self, index: u32, stream: Stream) -> PathBuf {
        let name = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        self.path.join(if index == 0 { name.to_owned() } else { format!("{name}.{index}") })
    }
    /// What the supervisor itself has to say, when it cannot do its work.
    pub(super) fn supervisor_log(&self) -> PathBuf {
        self.path.join("supervisor.log")
    }
    pub(super) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }
    /// Makes the directory, readable by its owner alone; it may be there already.
    pub(super) fn create(&self) -> Result<(), EngineError> {
        create_private(&self.path)
    }
    pub(super) fn spec(&self) -> Result<Option<SpecRecord>, EngineError> {
        read(&self.path.join("spec.json"))
    }
    pub(super) fn started(&self) -> Result<Option<StartedRecord>, EngineError> {
        read(&self.path.join("started.json"))
    }
    pub(super) fn result(&self) -> Result<Option<ResultRecord>, EngineError> {
        read(&self.path.join("result.json"))
    }
    pub(super) fn is_cancelled(&self) -> bool {
        self.path.join("cancel").exists()
    }
    pub(super) fn write_spec(&self, spec: SpecRecord) -> Result<(), EngineError> {
        replace(&self.path, "spec.json", spec)
    }
    pub(super) fn write_result(&self, result: ResultRecord) -> Result<(), EngineError> {
        replace(&self.path, "result.json", result)
    }
    /// Records that the job may have begun. Durable when this returns; fails when such a record is there.
    pub(super) fn write_started(&self, started: StartedRecord) -> Result<(), EngineError> {
        let path = self.path.join("started.json");
        let temporary = temporary(&self.path, "started.json");
        create_once(&temporary, &encode(started))?;
        // A link, unlike a rename, fails when the name is taken; unlike O_EXCL, it never shows half a record.
        fs::hard_link(&temporary, &path).map_err(|source| failed("write", &path, source))?;
        fs::remove_file(&temporary).map_err(|source| failed("remove", &temporary, source))?;
        sync_directory(&self.path)
    }
    /// Records the wish that the job should end.
    pub(super) fn write_cancel(&self) -> Result<(), EngineError> {
        let path = self.path.join("cancel");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        file.and_then(|file| file.sync_all()).map_err(|source| failed("write", &path, source))?;
        sync_directory(&self.path)
    }
}

/// Makes a directory of mode 0700 with its parents; it may be there already.
pub(super) fn create_private(path: &Path) -> Result<(), EngineError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| failed("make the directory", path, source))
}

/// An input or output error with the file it was about.
pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> EngineError {
    EngineError::Io { doing, path: path.to_owned(), source }
}

/// A record together with the version of its form.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    body: T,
}

/// All the supervisor has to know: it reads nothing else, neither configuration nor environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SpecRecord {
    pub(super) id: RunId,
    pub(super) command: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) cpu_cores: u32,
    pub(super) memory_bytes: u64,
    pub(super) gpus: u32,
    /// How many the site has.
    pub(super) gpus_there: u32,
    pub(super) time_limit_ms: u64,
    pub(super) grace_ms: u64,
    pub(super) network: bool,
    pub(super) environment: Vec<(String, String)>,
    pub(super) search_path: String,
    pub(super) log_bytes_max: u64,
    pub(super) hidden: Vec<String>,
    pub(super) uid: Option<u32>,
}

/// Written before the job's first process: from here on the job is never begun again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StartedRecord {
    pub(super) started_at: Timestamp,
    pub(super) supervisor_pid: u32,
    pub(super) boot_id: String,
}

/// How the job ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ResultRecord {
    exit: Exit,
    started_at: Timestamp,
    ended_at: Timestamp,
    wall_ms: u64,
    cpu_ms: u64,
    memory_peak_bytes: u64,
    limits_enforced: Vec<String>,
    outputs: Vec<OutputRecord>,
    outputs_missing: Vec<String>,
    #[serde(default)]
    tasks: Vec<TaskEnd>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OutputRecord {
    name: String,
    bytes: u64,
    sha256: Sha256Digest,
}

impl From<Outcome> for ResultRecord {
    fn from(outcome: Outcome) -> Self {
        let Usage { wall_ms, cpu_ms, memory_peak_bytes, sources: _ } = outcome.usage;
        let outputs = outcome.outputs.into_iter();
        Self {
            exit: outcome.exit,
            tasks: outcome.tasks,
            started_at: outcome.started_at,
            ended_at: outcome.ended_at,
            wall_ms,
            cpu_ms,
            memory_peak_bytes,
            limits_enforced: outcome.limits_enforced,
            outputs: outputs
                .map(|OutputFile { name, bytes, sha256 }| OutputRecord { name, bytes, sha256 })
                .collect(),
            outputs_missing: outcome.outputs_missing,
        }
    }
}

impl From<ResultRecord> for Outcome {
    fn from(record: ResultRecord) -> Self {
        let ResultRecord { wall_ms, cpu_ms, memory_peak_bytes, .. } = record;
        let outputs = record.outputs.into_iter();
        Self {
            exit: record.exit,
            tasks: record.tasks,
            started_at: record.started_at,
            ended_at: record.ended_at,
            usage: Usage { wall_ms, cpu_ms, memory_peak_bytes, sources: UsageSources::default() },
            limits_enforced: record.limits_enforced,
            outputs: outputs
                .map(|OutputRecord { name, bytes, sha256 }| OutputFile { name, bytes, sha256 })
                .collect(),
            outputs_missing: record.outputs_missing,
        }
    }
}

fn encode<T: Serialize>(body: T) -> Vec<u8> {
    let record = Versioned { version: VERSION, body };
    serde_json::to_vec(&record).expect("records hold only text keys, numbers, lists and Unicode paths")
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    let bytes = match fs::metadata(path) {
        Ok(metadata) if metadata.len() > RECORD_BYTES_MAX => {
            return Err(unreadable(path, &format!("it is larger than {RECORD_BYTES_MAX} bytes")));
        }
        Ok(_) => fs::read(path).map_err(|source| failed("read", path, source))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", path, source)),
    };
    let record: Versioned<T> =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(path, &error.to_string()))?;
    match record.version {
        VERSION => Ok(Some(record.body)),
        newer => Err(unreadable(path, &format!("version {newer}, and this program knows only {VERSION}"))),
    }
}

fn unreadable(path: &Path, reason: &str) -> EngineError {
    EngineError::Record { path: path.to_owned(), reason: reason.to_owned() }
}

/// Writes a record so that a crash leaves the old one or the new one, whole, and the new one once this returned.
fn replace<T: Serialize>(directory: &Path, name: &str, body: T) -> Result<(), EngineError> {
    let path = directory.join(name);
    let temporary = temporary(directory, name);
    create_once(&temporary, &encode(body))?;
    fs::rename(&temporary, &path).map_err(|source| failed("rename to", &path, source))?;
    sync_directory(directory)
}

/// A name for a record half written. Whoever writes holds the job's `submit` or `lock`, so nobody else uses it.
fn temporary(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(format!("{name}.new"));
    let _ = fs::remove_file(&path); // left by a crash; when there is none, nothing is to be done
    path
}

fn create_once(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let write = || {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| failed("write", path, source))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), EngineError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|source| failed("sync", path, source))
}
