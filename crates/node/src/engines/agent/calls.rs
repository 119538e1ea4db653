// SPDX-License-Identifier: Apache-2.0
//! What a node and the agent of a site say to each other: the engine's methods as documents. The agent dials; the node never does.

use std::{path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sta_protocol::{digest::Sha256Digest, ids::JobId, treaty::Resources};
use uuid::Uuid;

use crate::engines::{Capacity, EngineError, EngineJob, Floor, Objection, Observation, RunId, Stream};

/// The version of these documents; both sides must have the same.
pub const VERSION: u32 = 5;
/// How long the node keeps a request for calls open while there is none.
pub const POLL_TIME_MAX: Duration = Duration::from_secs(20);
/// The most calls of one batch.
pub const CALLS_MAX: usize = 64;
/// The most bytes of a file in one request, in either direction.
pub const PART_BYTES_MAX: usize = 4 << 20;
/// The longest document, in bytes: the end of a job array has an entry a task.
pub const DOCUMENT_BYTES_MAX: usize = 32 << 20;
/// The header with the session that a request belongs to.
pub const SESSION: &str = "sta-agent-session";

/// How an agent begins a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub version: u32,
    /// Which agent: drawn once for its directory, which holds the records of the jobs.
    pub agent: Uuid,
    /// What its engine has.
    pub capacity: Capacity,
    /// Whether its engine orders waiting jobs itself.
    pub has_queue: bool,
}

/// What the node answers to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Welcome {
    /// Goes with every further request. An answer of an earlier session is for calls that nobody waits for.
    pub session: Uuid,
}

/// A request for calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Poll {
    /// Calls that the agent has and has not answered. What it was handed and does not name never reached it.
    pub held: Vec<u64>,
    /// How many more it takes now.
    pub room: usize,
}

/// Calls for the agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Batch {
    /// In the order they were made.
    pub calls: Vec<Call>,
}

/// One call of a method of the engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    /// Its number, unique within the session.
    pub number: u64,
    /// The method.
    pub method: Method,
}

/// A method of [`crate::engines::Engine`] with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// [`crate::engines::Engine::consents`].
    Consents {
        /// The job.
        job: Box<EngineJob>,
    },
    /// [`crate::engines::Engine::submit`]; the agent fetches the inputs by their SHA-256.
    Submit {
        /// The job.
        job: Box<EngineJob>,
    },
    /// [`crate::engines::Engine::observe`].
    Observe {
        /// The attempt.
        id: RunId,
    },
    /// [`crate::engines::Engine::cancel`].
    Cancel {
        /// The attempt.
        id: RunId,
    },
    /// [`crate::engines::Engine::reclaim`].
    Reclaim {
        /// The attempt.
        id: RunId,
        /// How long it has to save its work, in milliseconds.
        grace_ms: u64,
    },
    /// [`crate::engines::Engine::suspend`].
    Suspend {
        /// The attempt.
        id: RunId,
    },
    /// [`crate::engines::Engine::resume`].
    Resume {
        /// The attempt.
        id: RunId,
    },
    /// [`crate::engines::Engine::logs`].
    Logs {
        /// The attempt.
        id: RunId,
        /// The task.
        index: u32,
        /// Which stream.
        stream: Stream,
        /// The first byte.
        offset: u64,
        /// How many bytes at most.
        length_max: usize,
    },
    /// A part of the file at [`crate::engines::Engine::output_path`], which comes as bytes in a request of its own.
    ReadOutput {
        /// The attempt.
        id: RunId,
        /// The output.
        name: String,
        /// The first byte.
        offset: u64,
        /// How many bytes at most.
        length_max: usize,
    },
    /// [`crate::engines::Engine::wipe`].
    Wipe {
        /// The attempt.
        id: RunId,
    },
    /// [`crate::engines::Engine::pack_checkpoint`].
    PackCheckpoint {
        /// The attempt.
        id: RunId,
    },
    /// A part of the archive that it made, which comes as bytes in a request of its own.
    ReadCheckpoint {
        /// The attempt.
        id: RunId,
        /// The first byte.
        offset: u64,
        /// How many bytes at most.
        length_max: usize,
    },
    /// [`crate::engines::Engine::wipe_checkpoint`].
    WipeCheckpoint {
        /// The job.
        job: JobId,
    },
    /// [`crate::engines::Engine::floor`].
    Floor {
        /// Jobs of the site's owner.
        own: Vec<RunId>,
        /// Jobs of guests.
        guests: Vec<RunId>,
    },
    /// [`crate::engines::Engine::expected_wait_s`].
    ExpectedWait {
        /// The size of the job.
        resources: Resources,
    },
}

/// What the agent has to say: answers, and jobs that may have moved on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// Answers to calls.
    pub answers: Vec<Answered>,
    /// Jobs that may have moved on.
    pub moved: Vec<RunId>,
    /// Whether all are to be looked at.
    pub all_moved: bool,
}

/// The answer to one call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    /// The call's number.
    pub number: u64,
    /// What the engine said.
    pub reply: Reply,
}

/// What an engine says to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// Something stands against the job.
    Objection(Objection),
    /// Where the job stands.
    Observed(Observation),
    /// A piece of a log.
    Log {
        /// The bytes.
        #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
        bytes: Vec<u8>,
        /// Whether nothing follows.
        end: bool,
    },
    /// What became of the archive of what a job saved.
    Packed(Packed),
    /// A part of a file. It never travels in a document.
    #[serde(skip)]
    Part(bytes::Bytes),
    /// How full the site is.
    Floor(Option<Box<Floor>>),
    /// How long a job would wait.
    Wait(Option<u32>),
    /// It could not.
    Failed(Failed),
}

/// What became of the archive of what a job saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packed {
    /// It is being made: the call is to be made again.
    UnderWay,
    /// The job saved nothing.
    Nothing,
    /// It is there.
    Archive {
        /// Its length.
        bytes: u64,
        /// The SHA-256 of its content.
        sha256: Sha256Digest,
    },
}

/// An error of an engine as it travels. What only the agent's machine knows, such as paths, becomes text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failed {
    /// [`EngineError::Invalid`].
    Invalid {
        /// Why.
        reason: String,
    },
    /// [`EngineError::Unknown`].
    Unknown,
    /// [`EngineError::NotFinished`].
    NotFinished,
    /// [`EngineError::NoOutput`].
    NoOutput {
        /// The output.
        name: String,
    },
    /// [`EngineError::Unpackable`].
    Unpackable {
        /// Why.
        reason: String,
    },
    /// Any other error.
    Site {
        /// Its text.
        said: String,
    },
}

impl Failed {
    /// Something that went wrong at the site.
    pub(super) fn site(said: impl Into<String>) -> Self {
        Self::Site { said: said.into() }
    }

    /// The error as the node sees it.
    pub(super) fn into_error(self, id: RunId, doing: &'static str) -> EngineError {
        match self {
            Self::Invalid { reason } => EngineError::Invalid { id, reason },
            Self::Unknown => EngineError::Unknown { id },
            Self::NotFinished => EngineError::NotFinished { id },
            Self::NoOutput { name } => EngineError::NoOutput { id, name },
            Self::Unpackable { reason } => EngineError::Unpackable { id, reason },
            Self::Site { said } => EngineError::Site { doing, said },
        }
    }
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Invalid { reason, .. } => Self::Invalid { reason },
            EngineError::Unknown { .. } => Self::Unknown,
            EngineError::NotFinished { .. } => Self::NotFinished,
            EngineError::NoOutput { name, .. } => Self::NoOutput { name },
            EngineError::Unpackable { reason, .. } => Self::Unpackable { reason },
            EngineError::Site { .. }
            | EngineError::Supervisor { .. }
            | EngineError::Io { .. }
            | EngineError::Record { .. } => Self::Site { said: causes(&error) },
        }
    }
}

/// A job as it travels: where its inputs lie on the node's machine is nobody else's business, and of no use there.
pub(super) fn without_paths(job: &EngineJob) -> Box<EngineJob> {
    let mut job = job.clone();
    for input in &mut job.inputs {
        input.path = PathBuf::new();
    }
    Box::new(job)
}

/// An error with its causes in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
}
