// SPDX-License-Identifier: Apache-2.0
//! What a node knows of the agent of a site, also after a restart.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use sta_protocol::digest::Sha256Digest;
use uuid::Uuid;

use super::content::{failed, write_whole};
use crate::engines::{Capacity, EngineError};

/// What the node knows of the agent, also after a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct About {
    /// The agent that the token was first shown by; only it has the records of the jobs.
    pub(super) bound: Option<Bound>,
    pub(super) capacity: Capacity,
    pub(super) has_queue: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bound {
    pub(super) agent: Uuid,
    pub(super) token: Option<Sha256Digest>,
}

impl About {
    pub(super) fn load(directory: &Path, capacity: Capacity) -> Result<Self, EngineError> {
        let path = directory.join("agent.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| EngineError::Record { path, reason: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self { bound: None, capacity, has_queue: false })
            }
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    pub(super) fn keep(&self, directory: &Path) -> Result<(), EngineError> {
        let path = directory.join("agent.json");
        let text = serde_json::to_vec(self)
            .map_err(|error| EngineError::Record { path: path.clone(), reason: error.to_string() })?;
        write_whole(&path, &text)
    }
}
