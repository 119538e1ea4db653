// SPDX-License-Identifier: Apache-2.0
//! A node's configuration: `sta.toml` as written, turned once into what the node works with.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sta_protocol::{
    compute::GpuRate,
    ids::{MemberId, SiteId},
};

use crate::engines::slurm::settings::SlurmSettings;

mod gates;

pub use gates::{GatesConfig, GuardrailConfig};

/// The name of the file in a node's directory.
pub const CONFIG_FILE: &str = "sta.toml";

/// `sta.toml` as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Whose node this is.
    pub member: MemberId,
    /// Where it listens; loopback unless changed.
    pub listen: String,
    /// The signed treaty, relative to the node's directory.
    pub treaty: PathBuf,
    /// The sites that this node drives; each is one of the treaty's.
    #[serde(default)]
    pub sites: Vec<RawSite>,
    /// What its files may take of the disk.
    #[serde(default)]
    pub disk: DiskConfig,
    /// How orders to stop are obeyed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stop: StopConfig,
    /// What its gates go by beside rules.
    #[serde(default, skip_serializing_if = "GatesConfig::is_usual")]
    pub gates: GatesConfig,
    /// The member's own rule packs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policies: PoliciesConfig,
}

/// A member's own rule packs, `[policies]` in `sta.toml`: they make answers of the gates stricter and never looser.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoliciesConfig {
    /// Files of packs that hold for everything this node decides, relative to its directory.
    pub national: Vec<PathBuf>,
}

/// How orders to stop are obeyed, `[stop]` in `sta.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopConfig {
    /// Within how many seconds all that an order names is to stand still; after that the node says that it is late.
    pub within_s: u32,
}

impl Default for StopConfig {
    fn default() -> Self {
        Self { within_s: 10 }
    }
}

/// How the time of a site's processors and accelerators becomes operations, `[sites.flops]` in `sta.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlopsConfig {
    /// Of one processor core, for training without accelerators.
    pub cpu_core: GpuRate,
    /// Of one accelerator, by type; one that is not named counts with its published peak.
    pub gpus: BTreeMap<String, GpuRate>,
}

impl Default for FlopsConfig {
    fn default() -> Self {
        Self { cpu_core: GpuRate::at_peak(100), gpus: BTreeMap::new() }
    }
}

/// What a node's files may take of the disk, `[disk]` in `sta.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskConfig {
    /// How much the files of one project's unfinished jobs may take at this node, in bytes; 0 is no limit.
    pub bytes_max_per_project: u64,
    /// How much of the disk stays free whatever comes in, in bytes.
    pub bytes_free_min: u64,
    /// How many days a file of class `open` stays after its last job, for the next; others go with their last job.
    pub cache_days: u32,
    /// After how many hours without a byte what was begun of a file is removed.
    pub partial_hours_max: u32,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self { bytes_max_per_project: 0, bytes_free_min: 1 << 30, cache_days: 7, partial_hours_max: 72 }
    }
}

/// A site as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSite {
    /// Its name in the treaty.
    pub id: SiteId,
    /// What runs its jobs: `local`, `slurm`, or `agent` where `sta agent` runs them.
    pub engine: String,
    /// The cluster, for the engine `slurm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm: Option<SlurmSettings>,
    /// How many admitted jobs may wait; 1000 when not given.
    #[serde(default = "queue_max")]
    pub queue_max: u32,
    /// How many jobs a site that orders its jobs itself is given at once, running or not; 5000 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over_max: Option<u32>,
    /// How the time of its processors and accelerators becomes operations.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flops: FlopsConfig,
    /// Files of the operator's own rule packs, relative to the node's directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PathBuf>,
}

impl RawSite {
    fn engine(&self) -> Result<SiteEngine, String> {
        match self.engine.as_str() {
            "agent" if self.slurm.is_some() => {
                Err("is `agent` and has a table [sites.slurm]: that table belongs into agent.toml".to_owned())
            }
            "agent" => Ok(SiteEngine::Agent),
            driven => DrivenEngine::parse(driven, self.slurm.as_ref()).map(SiteEngine::Driven),
        }
    }
}

/// What nobody has changed is not written into `sta.toml`.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn queue_max() -> u32 {
    1000
}

/// How many jobs a site that orders its jobs itself is given when nothing else is said.
const HANDED_OVER_MAX: u32 = 5000;

/// What the node works with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's directory: store, files, keys.
    pub directory: PathBuf,
    /// Whose node this is.
    pub member: MemberId,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The signed treaty.
    pub treaty: PathBuf,
    /// The sites it drives.
    pub sites: Vec<SiteConfig>,
    /// What its files may take of the disk.
    pub disk: DiskConfig,
    /// How orders to stop are obeyed.
    pub stop: StopConfig,
    /// What its gates go by beside rules.
    pub gates: GatesConfig,
    /// The member's own rule packs.
    pub policies: PoliciesConfig,
}

/// One site that this node drives.
#[derive(Debug, Clone)]
pub struct SiteConfig {
    /// Its name in the treaty.
    pub id: SiteId,
    /// What runs its jobs.
    pub engine: SiteEngine,
    /// How many admitted jobs may wait.
    pub queue_max: u32,
    /// How many jobs a site that orders its jobs itself is given at once, running or not.
    pub handed_over_max: u32,
    /// How the time of its processors and accelerators becomes operations.
    pub flops: FlopsConfig,
    /// Files of the operator's own rule packs, relative to the node's directory.
    pub policies: Vec<PathBuf>,
}

/// What runs the jobs of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteEngine {
    /// Whoever dials in as the site's agent.
    Agent,
    /// What this process drives itself.
    Driven(DrivenEngine),
}

/// An engine that a process drives itself, be it the node or the agent of a site: the same keys in the files of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrivenEngine {
    /// The embedded engine.
    Local,
    /// A Slurm cluster.
    Slurm(Box<SlurmSettings>),
}

impl DrivenEngine {
    /// The engine that the keys of a site name.
    ///
    /// # Errors
    /// What is wrong with them, to stand after the name of the field.
    pub fn parse(engine: &str, slurm: Option<&SlurmSettings>) -> Result<Self, String> {
        match (engine, slurm) {
            ("local", None) => Ok(Self::Local),
            ("local", Some(_)) => Err("is `local` and has a table `slurm`: leave one of them out".to_owned()),
            ("slurm", Some(settings)) => {
                settings.check().map_err(|error| format!("is `slurm`, and of its table `slurm` {error}"))?;
                Ok(Self::Slurm(Box::new(settings.clone())))
            }
            ("slurm", None) => {
                Err("is `slurm` without a table `slurm`: docs/operations.md shows one".to_owned())
            }
            (other, _) => Err(format!("is `{other}`: this version has the engines `local` and `slurm`")),
        }
    }
}

/// `agent.toml` as written: what `sta agent` works with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAgentConfig {
    /// The node's address, such as `https://node.de.example`.
    pub node: String,
    /// The site, as the treaty names it.
    pub site: SiteId,
    /// The file with the agent's token, relative to `agent.toml`.
    pub token_file: PathBuf,
    /// Where the agent keeps its records, relative to `agent.toml`.
    pub directory: PathBuf,
    /// What runs the jobs; the same values as in `sta.toml`, but for `agent`.
    pub engine: String,
    /// The cluster, for the engine `slurm`; the same keys as `[sites.slurm]` in `sta.toml`.
    #[serde(default)]
    pub slurm: Option<SlurmSettings>,
}

/// What `sta agent` works with.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The node's address.
    pub node: String,
    /// The site.
    pub site: SiteId,
    /// The file with the agent's token.
    pub token_file: PathBuf,
    /// Where the agent keeps its records.
    pub directory: PathBuf,
    /// What runs the jobs.
    pub engine: DrivenEngine,
}

impl AgentConfig {
    /// Reads `agent.toml`.
    ///
    /// # Errors
    /// The file is missing, does not parse, or has a value that cannot be.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::ReadAgent { path: path.to_owned(), source })?;
        let raw: RawAgentConfig = toml::from_str(&text)
            .map_err(|error| ConfigError::Syntax { path: path.to_owned(), problem: error.to_string() })?;
        let engine = DrivenEngine::parse(&raw.engine, raw.slurm.as_ref())
            .map_err(|problem| ConfigError::Invalid { path: path.to_owned(), field: "engine", problem })?;
        let beside = path.parent().unwrap_or(Path::new("."));
        Ok(Self {
            node: raw.node,
            site: raw.site,
            token_file: beside.join(raw.token_file),
            directory: beside.join(raw.directory),
            engine,
        })
    }
}

/// Why the configuration does not load.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: make a node with `sta init`, or name its directory with --dir")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The agent's file cannot be read.
    #[error("cannot read `{path}`: write one as docs/operations.md shows, and name it with --config")]
    ReadAgent {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("`{path}` does not read: {problem}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        problem: String,
    },
    /// A value is wrong.
    #[error("`{field}` in `{path}` {problem}")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Which field.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl Config {
    /// Reads `sta.toml` in a node's directory.
    ///
    /// # Errors
    /// The file is missing, does not parse, or has a value that cannot be.
    pub fn load(directory: &Path) -> Result<Self, ConfigError> {
        let path = directory.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let raw: RawConfig = toml::from_str(&text)
            .map_err(|error| ConfigError::Syntax { path: path.clone(), problem: error.to_string() })?;
        let invalid = |field, problem| ConfigError::Invalid { path: path.clone(), field, problem };
        let listen = raw.listen.parse().map_err(|_| {
            invalid("listen", format!("is `{}`: use an address and port such as 127.0.0.1:7411", raw.listen))
        })?;
        let sites = raw.sites.into_iter().map(|site| {
            let engine = site.engine().map_err(|problem| {
                invalid("sites.engine", format!("of `{}` {problem}, or `agent`", site.id))
            })?;
            let handed_over_max = site.handed_over_max.unwrap_or(HANDED_OVER_MAX);
            Ok(SiteConfig {
                id: site.id,
                engine,
                queue_max: site.queue_max,
                handed_over_max,
                flops: site.flops,
                policies: site.policies,
            })
        });
        let sites = sites.collect::<Result<_, ConfigError>>()?;
        Ok(Self {
            treaty: directory.join(&raw.treaty),
            directory: directory.to_owned(),
            member: raw.member,
            listen,
            disk: raw.disk,
            stop: raw.stop,
            gates: raw.gates,
            policies: raw.policies,
            sites,
        })
    }
}
