// SPDX-License-Identifier: Apache-2.0
//! A node's configuration: `sta.toml` as written, turned once into what the node works with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sta_protocol::ids::{MemberId, SiteId};

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
    /// What runs its jobs: `local`.
    pub engine: String,
    /// How many admitted jobs may wait; 1000 when not given.
    #[serde(default = "queue_max")]
    pub queue_max: u32,
    /// How many jobs a site that orders its jobs itself is given at once, running or not; 5000 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over_max: Option<u32>,
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
}

/// One site that this node drives.
#[derive(Debug, Clone)]
pub struct SiteConfig {
    /// Its name in the treaty.
    pub id: SiteId,
    /// How many admitted jobs may wait.
    pub queue_max: u32,
    /// How many jobs a site that orders its jobs itself is given at once, running or not.
    pub handed_over_max: u32,
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
        if let Some(site) = raw.sites.iter().find(|site| site.engine != "local") {
            return Err(invalid(
                "sites.engine",
                format!("is `{}` for `{}`: this version has the engine `local`", site.engine, site.id),
            ));
        }
        Ok(Self {
            treaty: directory.join(&raw.treaty),
            directory: directory.to_owned(),
            member: raw.member,
            listen,
            disk: raw.disk,
            sites: raw
                .sites
                .into_iter()
                .map(|site| SiteConfig {
                    id: site.id,
                    queue_max: site.queue_max,
                    handed_over_max: site.handed_over_max.unwrap_or(HANDED_OVER_MAX),
                })
                .collect(),
        })
    }
}
