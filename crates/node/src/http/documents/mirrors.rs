// SPDX-License-Identifier: Apache-2.0
//! Schemas of the wire types of `sta_protocol`, which know nothing of OpenAPI. A test holds each against its original.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A job to be submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitDocument {
    /// The job's id, a UUIDv7 made by the caller, so that the request can be repeated.
    pub job: String,
    /// What is to run.
    pub spec: JobSpecDocument,
    /// GA4GH passport of the researcher.
    pub passport: String,
    /// The researcher's signature over job id and description (RFC 7800).
    pub holder_proof: String,
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobSpecDocument {
    /// Wire version, 1.
    pub version: u8,
    /// A label for people, 1 to 100 characters.
    pub name: String,
    /// The program and its arguments; never passed through a shell.
    pub command: Vec<String>,
    /// `host`, or a container image that the site maps to a runtime.
    pub image: String,
    /// The project that pays.
    pub project: String,
    /// What the data is used for, such as `research` or `health-research`.
    pub purpose: String,
    /// Which purpose of the list it serves, where `purpose` is another word than those on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose_class: Option<String>,
    /// An exception of Art. 5(1)(d), (f), (g) or (h) of Regulation (EU) 2024/1689 is claimed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exception_claimed: bool,
    /// Registered datasets, `member/name`.
    pub datasets: Vec<String>,
    /// Files the researcher brings.
    pub inputs: Vec<InputFileDocument>,
    /// Names of the files the job leaves.
    pub outputs: Vec<String>,
    /// Those of the outputs that are weights of a model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs_weights: Vec<String>,
    /// Whole processor cores.
    pub cpu_cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Accelerators.
    pub gpus: u32,
    /// Seconds after which the job is stopped.
    pub time_limit_s: u32,
    /// Whether the job asks for network access.
    pub network: bool,
    /// What to save.
    pub objective: ObjectiveDocument,
    /// Only these sites; empty for any.
    pub sites_allowed: Vec<String>,
    /// Not these sites.
    pub sites_refused: Vec<String>,
    /// Nodes, processes and indexed tasks; one of each when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<ShapeDocument>,
    /// Jobs of the same project that must have completed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How often the job may be tried in all when its site fails it; once when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u32>,
    /// Arguments for the site's own scheduler by name, as far as its operator allows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub site_options: BTreeMap<String, String>,
    /// The training run that the job is part of, if it trains a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<JobTrainingDocument>,
    /// Whom the files are about that the researcher brings: `personal_information`, `subject_region`, `high_risk`, ...
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_about: Option<serde_json::Value>,
    /// How the job saves its work, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointDocument>,
}

/// How a job saves its work, in the directory that `STA_CHECKPOINT_DIR` names; at least one of the two is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointDocument {
    /// It saves on SIGTERM.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_signal: bool,
    /// It saves by itself, at least once in so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u32>,
}

/// What a job says of the training run that it is part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobTrainingDocument {
    /// The run, a UUIDv7, where several jobs make it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The model that comes out of it, `member/name`.
    pub model: String,
    /// The model it starts from: `name`, `model`, `weights`, `class`, `compute`.
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<serde_json::Value>,
    /// What the model generates, such as `language`.
    pub generates: Vec<String>,
    /// Parameters that take part for each token.
    pub parameters: u64,
    /// Tokens seen in training.
    pub tokens: u64,
    /// What jobs of the run at other hosts have added before, in 10^12 operations.
    #[serde(default)]
    pub added_elsewhere_teraflop: u64,
    /// Whether the model is meant for the market of the European Union.
    #[serde(default)]
    pub market_eu: bool,
}

/// How a job spreads; each number is 1 when not given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShapeDocument {
    /// Nodes that one task holds at once, each with the job's cores, memory and accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// Processes of one task over all its nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// Indexed tasks (a job array).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// How many indexed tasks may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// The accelerators' type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_type: Option<String>,
}

/// A file the researcher brings; its bytes are uploaded before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputFileDocument {
    /// The name in the working directory.
    pub name: String,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
    /// `open`, `internal`, `personal`, `special` or `protected`.
    pub class: String,
}

/// What the researcher wants to save: relative weights, not all zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectiveDocument {
    /// Weight of the price.
    #[serde(default)]
    pub price: u32,
    /// Weight of the grams of CO2.
    #[serde(default)]
    pub carbon: u32,
    /// Weight of the expected wait.
    #[serde(default)]
    pub wait: u32,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExitDocument {
    /// `code`, `signal`, `time_limit`, `memory_limit`, `cancelled`, `site_fault` or `reclaimed`.
    pub kind: String,
    /// The code, the signal's number, or what the site says of its fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
}

/// How the indexed tasks of a job array ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TasksEndDocument {
    /// How many there were.
    pub count: u32,
    /// How many ended with code 0.
    pub completed: u32,
    /// The others by index, the first hundred of them.
    pub failed: Vec<TaskFailureDocument>,
}

/// An indexed task that did not end with code 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskFailureDocument {
    /// Its index, from 0 on.
    pub index: u32,
    /// How it ended.
    pub exit: ExitDocument,
}

/// What a job used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageDocument {
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Processor time in milliseconds, over all cores.
    pub cpu_ms: u64,
    /// Highest memory in bytes.
    pub memory_bytes_peak: u64,
    /// Who measured each; the site's own supervisor when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<UsageSourcesDocument>,
}

/// Who measured what a job used: `supervisor`, `job_stamps`, `scheduler` or `not_measured`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageSourcesDocument {
    /// Of the wall time.
    pub wall: String,
    /// Of the processor time.
    pub cpu: String,
    /// Of the memory.
    pub memory: String,
}

/// Resources of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourcesDocument {
    /// Processor cores.
    pub cpu_cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Accelerators.
    #[serde(default)]
    pub gpus: u32,
}

/// One file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetFileDocument {
    /// Its name in the working directory.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// What both members of a pair compute of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementDocument {
    /// Wire version.
    pub version: u8,
    /// Calendar month in UTC, `2026-11`.
    pub period: String,
    /// ISO 4217 code.
    pub currency: String,
    /// The two members, in the order of their names.
    pub members: Vec<String>,
    /// One line per receipt, in the order of the receipts' ids.
    pub lines: Vec<StatementLineDocument>,
    /// What each member earned by running the other's jobs.
    pub earned_micro: BTreeMap<String, i64>,
    /// Who pays whom after netting: positive when the first member owes the second.
    pub net_micro: i64,
}

/// One receipt in a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementLineDocument {
    /// The receipt.
    pub receipt: String,
    /// The job.
    pub job: String,
    /// The member that pays.
    pub home: String,
    /// The member that earned.
    pub host: String,
    /// Where it ran.
    pub site: String,
    /// The price.
    pub price_micro: i64,
    /// Core-milliseconds: cores granted times wall time.
    pub cpu_core_ms: u64,
    /// Accelerator-milliseconds.
    pub gpu_ms: u64,
    /// CO2-equivalent.
    pub co2_ug: i64,
}

/// A reason for which a job is or was suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldDocument {
    /// The code of the rule, the threshold or the order that wants the job suspended.
    pub reason: String,
    /// When that was decided.
    #[schema(format = DateTime)]
    pub since: String,
    /// When the site's engine was seen to have stopped it.
    #[schema(format = DateTime)]
    pub confirmed_at: Option<String>,
    /// When this reason was released.
    #[schema(format = DateTime)]
    pub released_at: Option<String>,
    /// Who released it, as the host names them.
    pub released_by: Option<String>,
}
