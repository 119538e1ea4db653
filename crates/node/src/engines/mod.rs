// SPDX-License-Identifier: Apache-2.0
//! What runs jobs at a site: the trait every engine keeps, and the facts that cross it.

use std::{
    any::Any,
    collections::BTreeMap,
    future::Future,
    io,
    path::{Component, Path, PathBuf},
    pin::Pin,
    process::ExitStatus,
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    digest::Sha256Digest,
    ids::{JobId, MemberId, ProjectId, ResearcherId},
    job::Shape,
    treaty::Resources,
};

pub mod agent;
mod archive;
mod floor;
pub mod local;
mod objection;
mod outcome;
mod run_id;
pub mod slurm;

pub use archive::{CHECKPOINT_BYTES_MAX, CHECKPOINT_INPUT};
pub use floor::{Floor, FloorHeld, FloorNode, FloorWaiting};
pub use objection::Objection;
pub use outcome::{Exit, Outcome, OutputFile, TaskEnd, Usage};
pub use run_id::RunId;

/// What an engine's method returns: a boxed future, so that the trait is object safe.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>>;

/// Runs jobs at one site. Every method may be repeated after a crash or a lost answer without a second effect.
pub trait Engine: Any + Send + Sync {
    /// Whether this site could ever run such a job for its owner, by what the engine knows without asking anybody: its
    /// size, its accounts, its images, the options its operator allows. Asked before the job is admitted.
    ///
    /// # Errors
    /// The first thing that stands against it.
    fn check(&self, job: &EngineJob) -> Result<(), Objection>;

    /// As [`Engine::check`], of an engine that is elsewhere and has to be asked.
    ///
    /// # Errors
    /// It does not answer: whether the job could run there is unknown.
    fn consents<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, Result<(), Objection>> {
        Box::pin(std::future::ready(Ok(self.check(job))))
    }

    /// Takes the job over. Looks for the id first: a job already known, in whatever state, is left as it is.
    /// A job whose id was cancelled before is taken over as [`Exit::Cancelled`] and never runs.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a job that can never run here; otherwise the job may or may not have been
    /// taken over, and the same call is to be made again.
    fn submit<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, ()>;

    /// Where the job stands now. An engine that finds a job half taken over carries on with it.
    ///
    /// # Errors
    /// The job's record cannot be read.
    fn observe(&self, id: RunId) -> Answer<'_, Observation>;

    /// Asks for the job's end: a job not yet submitted or begun never begins, a running one is stopped with
    /// a grace period, a finished one keeps its outcome. The end itself is seen through [`Engine::observe`].
    ///
    /// # Errors
    /// The wish could not be made durable.
    fn cancel(&self, id: RunId) -> Answer<'_, ()>;

    /// Asks that the job stand still, with its memory and its files as they are: a running one stops computing and keeps what
    /// it holds, one not yet submitted or begun does not begin, a finished one is left alone. Durable when this returns, also
    /// over a restart of the node or the engine; that nothing of the job computes any more is seen through
    /// [`Engine::observe`]. A job that stands still and is cancelled is killed where it stands, without the grace period.
    ///
    /// # Errors
    /// The wish could not be made durable.
    fn suspend(&self, id: RunId) -> Answer<'_, ()>;

    /// Takes [`Engine::suspend`] back: the job goes on where it stood, or may begin. Of any other job, nothing changes.
    ///
    /// # Errors
    /// The wish could not be made durable.
    fn resume(&self, id: RunId) -> Answer<'_, ()>;

    /// Asks for the attempt's end because the site's owner needs its place: a running one is sent SIGTERM and has the grace time to
    /// save its work before it is killed, one not yet begun never begins, a finished one keeps its outcome. It ends as
    /// [`Exit::Reclaimed`], unless it ends by itself with code 0 before. One that is to stand still does so first. The first notice
    /// stays, and is given once: also over a restart of the node or the engine.
    ///
    /// # Errors
    /// The wish could not be made durable.
    fn reclaim(&self, id: RunId, grace: Duration) -> Answer<'_, ()>;

    /// What the job has saved so far, as an archive (tar, of GNU's form) on this machine, for another site to go on from; none where it saved
    /// nothing. `run` is the last attempt that ended here. The archive stays until [`Engine::wipe_checkpoint`], or until an attempt
    /// goes on here. May take as long as there is much of it.
    ///
    /// # Errors
    /// [`EngineError::Unknown`], [`EngineError::NotFinished`], [`EngineError::Unpackable`], or the site did not give it: the same call
    /// is to be made again.
    fn pack_checkpoint(&self, _run: RunId) -> Answer<'_, Option<PathBuf>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Removes what a job has saved, of which no attempt follows here, and its archive; there may be nothing.
    ///
    /// # Errors
    /// A file that cannot be removed.
    fn wipe_checkpoint(&self, _job: JobId) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Up to `length_max` bytes (never more than [`LOG_CHUNK_BYTES_MAX`]) of what the task `index` of the job wrote, from
    /// `offset` on. A plain job is its own task 0.
    ///
    /// # Errors
    /// [`EngineError::Unknown`], or the log cannot be read.
    fn logs(
        &self,
        id: RunId,
        index: u32,
        stream: Stream,
        offset: u64,
        length_max: usize,
    ) -> Answer<'_, LogChunk>;

    /// The file that holds the declared output `name` of the finished job, until [`Engine::wipe`].
    ///
    /// # Errors
    /// [`EngineError::Unknown`], [`EngineError::NotFinished`], or [`EngineError::NoOutput`] when it was not produced or is wiped.
    fn output_path<'a>(&'a self, id: RunId, name: &'a str) -> Answer<'a, PathBuf>;

    /// Removes the working directory of a finished job with inputs and outputs; its record and logs stay.
    ///
    /// # Errors
    /// [`EngineError::Unknown`], [`EngineError::NotFinished`], or a file that cannot be removed.
    fn wipe(&self, id: RunId) -> Answer<'_, ()>;

    /// The working directory of a job that is not wiped, where it is on this machine: for the digest of what is preserved.
    fn working_directory(&self, _id: RunId) -> Option<PathBuf> {
        None
    }

    /// What the site has in all, used or not.
    fn capacity(&self) -> Capacity;

    /// Whether the site orders waiting jobs itself, by its own priorities and limits: then it is given each job as soon as
    /// its files are there, and not only when there is room.
    fn has_queue(&self) -> bool {
        false
    }

    /// How full a site with a queue of its own is, with all of its load, where some of `own` wait there for room: what they would
    /// find, and what `guests` hold. None where none of them waits for room, or others would be given what is made for them.
    ///
    /// # Errors
    /// The site does not say.
    fn floor<'a>(&'a self, _own: &'a [RunId], _guests: &'a [RunId]) -> Answer<'a, Option<Floor>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Waits until jobs may have moved on, and names them; `None` when the engine does not know which, and all are to be
    /// looked at. Each is named at least once after it moved, as long as the engine is not opened anew.
    fn moved(&self) -> Pin<Box<dyn Future<Output = Option<Vec<RunId>>> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    /// How long a job of this size would wait now, in seconds, by the site's own state; `None` when the engine does not know.
    fn expected_wait_s(&self, _resources: Resources) -> Option<u32> {
        None
    }
}

/// The most one call of [`Engine::logs`] returns, in bytes.
pub const LOG_CHUNK_BYTES_MAX: usize = 1 << 20;
/// The most words a command may have, and the most inputs, outputs and environment variables a job may have.
const ITEMS_MAX: usize = 4096;
/// Names the engine sets itself, and names that change how the engine's own program would start.
const ENVIRONMENT_RESERVED: [&str; 5] = ["HOME", "TMPDIR", "PATH", "LD_PRELOAD", "LD_LIBRARY_PATH"];
/// How the names begin that an engine sets for every job.
const ENVIRONMENT_OURS: &str = "STA_";

/// A job as an engine sees it: all that is needed to run it, and nothing about why it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineJob {
    /// The attempt; the same however often the call is made.
    pub id: RunId,
    /// For whom it runs: a site with accounts runs it as theirs.
    pub owner: Owner,
    /// What people call it.
    pub name: String,
    /// `host`, or an image that the site maps to a runtime.
    pub image: String,
    /// Nodes, processes and indexed tasks.
    pub shape: Shape,
    /// Arguments for the site's own scheduler, by name.
    pub site_options: BTreeMap<String, String>,
    /// Program and arguments; a program without `/` is looked for in the engine's path.
    pub command: Vec<String>,
    /// Files that stand read-only in the working directory when the job begins.
    pub inputs: Vec<StagedInput>,
    /// Files, relative to the working directory, that the job is to leave behind.
    pub outputs: Vec<String>,
    /// Processor cores it may keep busy at once, on each node.
    pub cpu_cores: u32,
    /// Memory of all its processes together, in bytes, on each node.
    pub memory_bytes: u64,
    /// Accelerators it needs, on each node.
    pub gpus: u32,
    /// How long each of its tasks may run, in seconds.
    pub time_limit_s: u32,
    /// Whether it may use the network.
    pub network: bool,
    /// Whether it saves its work: then `STA_CHECKPOINT_DIR` names a directory that stays over its attempts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpoint: bool,
    /// Which of the inputs, under the name [`CHECKPOINT_INPUT`], is the archive of what it saved elsewhere: it goes into its checkpoint
    /// directory instead of the working directory, unless it went there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Sha256Digest>,
    /// Environment variables beside the few that the engine sets.
    pub environment: Vec<(String, String)>,
}

/// For whom a job runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The researcher's member.
    pub member: MemberId,
    /// The project that pays.
    pub project: ProjectId,
    /// The researcher, by the name that the home node gave.
    pub researcher: ResearcherId,
}

/// One input: where its content lies now, and its name in the working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedInput {
    /// Relative path in the working directory, such as `data/digits.csv`.
    pub name: String,
    /// The SHA-256 of its content.
    pub sha256: Sha256Digest,
    /// The file with the content, on the node's machine; it is copied, so that the job cannot change it.
    pub path: PathBuf,
}

impl EngineJob {
    /// Whether this job can run anywhere at all, and within `capacity`.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] with the first reason why not.
    pub fn validate(&self, capacity: &Capacity) -> Result<(), EngineError> {
        self.validate_form()?;
        self.fits(capacity)
    }

    /// Whether this job can run anywhere at all.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] with the first reason why not.
    pub fn validate_form(&self) -> Result<(), EngineError> {
        let invalid = |reason: String| Err(EngineError::Invalid { id: self.id, reason });
        if self.command.first().is_none_or(String::is_empty) {
            return invalid("the command is empty: give a program and its arguments".to_owned());
        }
        let counts = [self.command.len(), self.inputs.len(), self.outputs.len(), self.environment.len()];
        if counts.iter().any(|count| *count > ITEMS_MAX) {
            return invalid(format!("more than {ITEMS_MAX} arguments, inputs, outputs or variables"));
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return invalid("an argument holds a zero byte".to_owned());
        }
        let names = self.inputs.iter().map(|input| &input.name).chain(&self.outputs);
        if let Some(name) = names.clone().find(|name| !is_file_name(name)) {
            return invalid(format!("`{name}` is not a plain path below the working directory"));
        }
        if let Some((name, _)) = self.environment.iter().find(|(name, value)| !is_variable(name, value)) {
            return invalid(format!("the environment variable `{name}` is not allowed"));
        }
        if let Some(reason) = self.saved_wrongly() {
            return invalid(reason);
        }
        if self.cpu_cores == 0 || self.memory_bytes == 0 || self.time_limit_s == 0 {
            return invalid("cores, memory and time limit must each be at least 1".to_owned());
        }
        Ok(())
    }

    /// Whether the whole site would be large enough, were it empty.
    fn fits(&self, capacity: &Capacity) -> Result<(), EngineError> {
        let gpus = capacity.gpus.values().sum::<u32>();
        let nodes = u64::from(self.shape.nodes);
        let asked = [
            ("cores", nodes * u64::from(self.cpu_cores), u64::from(capacity.cpu_cores)),
            ("bytes of memory", nodes.saturating_mul(self.memory_bytes), capacity.memory_bytes),
            ("accelerators", nodes * u64::from(self.gpus), u64::from(gpus)),
        ];
        match asked.iter().find(|(_, wanted, there)| wanted > there) {
            Some((what, wanted, there)) => Err(EngineError::Invalid {
                id: self.id,
                reason: format!(
                    "it asks for {wanted} {what} and the site has {there}: ask for less or another site"
                ),
            }),
            None => Ok(()),
        }
    }
}

/// Whether `name` is relative, stays below its directory, and is spelled in the one plain way.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    // Path::components forgives `a//b`, `a/.` and `a/`; one file must have one name.
    let spelled_once = name.split('/').all(|part| !part.is_empty() && part != ".");
    plain && spelled_once && name.len() <= 1024 && !name.contains(['\0', '\n'])
}

fn is_variable(name: &str, value: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let starts = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    let ours = ENVIRONMENT_RESERVED.contains(&name) || name.starts_with(ENVIRONMENT_OURS);
    letters && starts && !value.contains('\0') && !ours
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// This engine never took over a job of that id.
    Unknown,
    /// Taken over, not begun.
    Pending {
        /// What it waits for, in a sentence of the site; none when it is only its turn that it waits for.
        reason: Option<String>,
        /// It is suspended, and sure not to begin before it is resumed.
        #[serde(default)]
        suspended: bool,
    },
    /// Begun.
    Running {
        /// When it began.
        started_at: Timestamp,
        /// It is suspended, and nothing of it computes.
        #[serde(default)]
        suspended: bool,
    },
    /// Ended; the outcome never changes again.
    Finished(Outcome),
}

/// One of the two streams a job writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// The bytes, none when nothing new is there.
    pub bytes: Vec<u8>,
    /// The job is finished and nothing follows these bytes.
    pub end: bool,
}

/// What a site has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Processor cores.
    pub cpu_cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Accelerators by type.
    pub gpus: BTreeMap<String, u32>,
}

/// Why an engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The job can never run here.
    #[error("job {id} cannot run: {reason}")]
    Invalid {
        /// The job.
        id: RunId,
        /// What is wrong with it, and how to mend it.
        reason: String,
    },
    /// No job of that id was submitted here.
    #[error("this engine has no job {id}: submit it first")]
    Unknown {
        /// The id asked for.
        id: RunId,
    },
    /// Only a finished job has outputs and may be wiped.
    #[error("job {id} is not finished: wait for its end, or cancel it")]
    NotFinished {
        /// The job.
        id: RunId,
    },
    /// The job has no such output.
    #[error("job {id} has no output `{name}`: it was not declared, not produced, or is wiped already")]
    NoOutput {
        /// The job.
        id: RunId,
        /// The name asked for.
        name: String,
    },
    /// What the job saved can never become an archive that another site takes.
    #[error("what job {id} saved cannot be packed: {reason}")]
    Unpackable {
        /// The job.
        id: RunId,
        /// What is wrong with it.
        reason: String,
    },
    /// The site's own programs did not do what they were asked; the next call asks again.
    #[error("cannot {doing} at the site: {said}")]
    Site {
        /// What was being done, as a verb.
        doing: &'static str,
        /// What the site's programs said, or why there was no answer.
        said: String,
    },
    /// The program that is to supervise the job ended without doing so; the next call starts it again.
    #[error("the supervisor of job {id} ended with {status}: {said}")]
    Supervisor {
        /// The job.
        id: RunId,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to standard error.
        said: String,
    },
    /// The operating system refused.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To which file or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record on disk is not one of ours, or of a version newer than this program.
    #[error("the record `{path}` cannot be understood: {reason}")]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::is_file_name;

    #[test]
    fn only_plain_relative_paths_name_a_file_of_a_job() {
        for good in ["a", "a.csv", "data/x.csv", "..a", ".hidden"] {
            assert!(is_file_name(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a/.", "a\0b", "a\nb"] {
            assert!(!is_file_name(bad), "{bad:?}");
        }
    }
}
