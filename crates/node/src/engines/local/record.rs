// SPDX-License-Identifier: Apache-2.0
//! A job's directory: which file means what, the versioned records in it, and how they become durable.
//!
//! `spec.json` (the job is taken over), `cancel` (it is to end), `lock` (held by its supervisor), `started.json`
//! (it may have begun: it is never begun again), `reclaim.json` (the site's owner needs its place), `suspend` (it is to stand still), `suspended` (its supervisor sees that it does), `tasks` (of a job array: a line for each task that ended), `result.json` (it ended),
//! `stdout`, `stderr`, from the second task on `stdout.1`, `stderr.1` and so on, `work/`, `tmp/`, and `submit`, held by whoever submits it.
//! Beside the directories of a job's attempts lies `ID.checkpoint`, in which the job saves its work (`local/saved.rs`).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sta_protocol::{digest::Sha256Digest, federation::UsageSources, ids::JobId};

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
    /// The notice that the job was given, with the time it has to save its work.
    pub(super) fn notice(&self) -> Result<Option<NoticeRecord>, EngineError> {
        read(&self.path.join("reclaim.json"))
    }
    /// Whether it was given notice; what does not read was not.
    pub(super) fn is_reclaimed(&self) -> bool {
        self.notice().is_ok_and(|notice| notice.is_some())
    }
    /// Records the notice; the first one stays.
    pub(super) fn write_notice(&self, notice: NoticeRecord) -> Result<(), EngineError> {
        if self.notice()?.is_some() { Ok(()) } else { replace(&self.path, "reclaim.json", notice) }
    }
    /// Where a job saves its work, beside the directories of its attempts in `root`.
    pub(super) fn checkpoint(root: &Path, job: JobId) -> PathBuf {
        root.join(format!("{job}.checkpoint"))
    }
    pub(super) fn is_suspension_asked(&self) -> bool {
        self.path.join("suspend").exists()
    }
    /// Whether the job stands still as it was asked to.
    pub(super) fn is_suspended(&self) -> bool {
        self.is_suspension_asked() && self.path.join("suspended").exists()
    }
    /// Records the wish that the job should stand still.
    pub(super) fn write_suspension(&self) -> Result<(), EngineError> {
        self.write_wish("suspend")
    }
    /// Takes that wish back; there may be none.
    pub(super) fn remove_suspension(&self) -> Result<(), EngineError> {
        let path = self.path.join("suspend");
        match fs::remove_file(&path) {
            Ok(()) => sync_directory(&self.path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(failed("remove", &path, source)),
        }
    }
    /// Notes whether the job stands still. Not durable: a supervisor that is lost takes the job with it.
    pub(super) fn note_suspended(&self, suspended: bool) {
        let path = self.path.join("suspended");
        let _unseen = match suspended {
            true => File::create(path).map(drop),
            false => fs::remove_file(path),
        };
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
    /// The tasks of a job array that ended, in the order of their indices.
    pub(super) fn tasks_ended(&self) -> Result<Vec<TaskRecord>, EngineError> {
        let path = self.task_path();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|source| failed("read", &path, source))?,
        };
        // What a crash left of a line is no record; nothing is written after it.
        let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        lines.map(|line| decode(&path, line)).collect()
    }
    /// Whether the task of that index ended: they run in the order of their indices.
    pub(super) fn has_task_ended(&self, index: u32) -> bool {
        let text = fs::read(self.task_path()).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count() > index as usize
    }
    /// The file for the ends of the tasks, empty.
    pub(super) fn task_log(&self) -> Result<TaskLog, EngineError> {
        let path = self.task_path();
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path);
        let file = file.map_err(|source| failed("open", &path, source))?;
        sync_directory(&self.path)?;
        Ok(TaskLog { file, path })
    }
    fn task_path(&self) -> PathBuf {
        self.path.join("tasks")
    }
    /// Records the wish that the job should end.
    pub(super) fn write_cancel(&self) -> Result<(), EngineError> {
        self.write_wish("cancel")
    }
    /// Makes an empty file that stands for a wish; it may be there already.
    fn write_wish(&self, name: &str) -> Result<(), EngineError> {
        let path = self.path.join(name);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        file.and_then(|file| file.sync_all()).map_err(|source| failed("write", &path, source))?;
        sync_directory(&self.path)
    }
}

/// Where a supervisor writes how the tasks of its job array ended.
#[derive(Debug)]
pub(super) struct TaskLog {
    file: File,
    path: PathBuf,
}

impl TaskLog {
    /// Records the end of the next task. Durable when this returns.
    pub(super) fn append(&mut self, record: TaskRecord) -> Result<(), EngineError> {
        let mut line = encode(record);
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|source| failed("write", &self.path, source))
    }
}

/// Makes a directory of mode 0700 with its parents; it may be there already.
pub(in crate::engines) fn create_private(path: &Path) -> Result<(), EngineError> {
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
    /// How many of them the site has, of the type asked for.
    pub(super) gpus_there: u32,
    /// The number of the first that serves the job: those of one type stand together.
    #[serde(default)]
    pub(super) gpus_from: u32,
    /// Indexed tasks; 1 for a plain job.
    #[serde(default = "one")]
    pub(super) count: u32,
    pub(super) time_limit_ms: u64,
    pub(super) grace_ms: u64,
    pub(super) network: bool,
    #[serde(default)]
    pub(super) checkpoint: bool,
    pub(super) environment: Vec<(String, String)>,
    pub(super) search_path: String,
    pub(super) log_bytes_max: u64,
    pub(super) hidden: Vec<String>,
    pub(super) uid: Option<u32>,
}

fn one() -> u32 {
    1
}

impl SpecRecord {
    /// Whether it is a job array.
    pub(super) fn is_array(&self) -> bool {
        self.count > 1
    }
}

/// The site's owner needs the job's place.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct NoticeRecord {
    pub(super) grace_ms: u64,
}

/// How a task of a job array ended, and what all tasks up to it had used by then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TaskRecord {
    pub(super) end: TaskEnd,
    pub(super) cpu_ms: u64,
    pub(super) memory_peak_bytes: u64,
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
    decode(path, &bytes).map(Some)
}

fn decode<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, EngineError> {
    let record: Versioned<T> =
        serde_json::from_slice(bytes).map_err(|error| unreadable(path, &error.to_string()))?;
    match record.version {
        VERSION => Ok(record.body),
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
