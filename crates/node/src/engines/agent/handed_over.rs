// SPDX-License-Identifier: Apache-2.0
//! Which jobs an agent took over, kept at the node: when the agent's own records are lost, these jobs end instead of waiting for ever.

use std::{fs, io, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::content::{failed, make_private, remove, write_whole};
use crate::engines::{EngineError, Exit, Outcome, RunId, Usage};

/// The directory with one file a job.
#[derive(Debug)]
pub(super) struct HandedOver {
    root: PathBuf,
}

/// What is kept of a job.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// When the agent was found to know it no more.
    lost_at: Option<Timestamp>,
}

impl HandedOver {
    pub(super) fn open(root: PathBuf) -> Result<Self, EngineError> {
        make_private(&root)?;
        Ok(Self { root })
    }

    /// The agent has said that it took the job over.
    pub(super) fn note(&self, id: RunId) -> Result<(), EngineError> {
        if self.read(id)?.is_some() { Ok(()) } else { self.write(id, &Record::default()) }
    }

    /// The job is settled.
    pub(super) fn forget(&self, id: RunId) -> Result<(), EngineError> {
        remove(&self.path(id))
    }

    /// How a job ended that the agent does not know, if it once took it over; the same however often it is asked.
    pub(super) fn lost(&self, id: RunId) -> Result<Option<Outcome>, EngineError> {
        let Some(mut record) = self.read(id)? else { return Ok(None) };
        let lost_at = match record.lost_at {
            Some(lost_at) => lost_at,
            None => {
                let now = Timestamp::now();
                record.lost_at = Some(now);
                self.write(id, &record)?;
                now
            }
        };
        let reason = "the site's agent took the job over and has lost its records since";
        Ok(Some(Outcome {
            exit: Exit::SiteFault(reason.to_owned()),
            started_at: lost_at,
            ended_at: lost_at,
            usage: Usage::default(),
            tasks: Vec::new(),
            limits_enforced: Vec::new(),
            outputs: Vec::new(),
            outputs_missing: Vec::new(),
        }))
    }

    fn path(&self, id: RunId) -> PathBuf {
        // The attempt is behind a dot, which must not be taken for an ending.
        self.root.join(format!("{id}.json"))
    }

    fn read(&self, id: RunId) -> Result<Option<Record>, EngineError> {
        let path = self.path(id);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| EngineError::Record { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    fn write(&self, id: RunId, record: &Record) -> Result<(), EngineError> {
        let path = self.path(id);
        let text = serde_json::to_vec(record)
            .map_err(|error| EngineError::Record { path: path.clone(), reason: error.to_string() })?;
        write_whole(&path, &text)
    }
}
