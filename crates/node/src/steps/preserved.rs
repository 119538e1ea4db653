// SPDX-License-Identifier: Apache-2.0
//! Preserved: the digest of what a suspended job has written so far, so that anybody can see later that nobody altered it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sta_protocol::{digest::Sha256Digest, stop_order::PreservedState};

use super::{StepError, run};
use crate::{
    engines::{LOG_CHUNK_BYTES_MAX, Stream},
    node::Node,
    store::{StoreError, blobs::hash_file, hosted::HostedJob},
};

/// The most files and directories, and the most bytes, that a manifest is made of; where a job has more, its logs alone stand for
/// it.
const ENTRIES_MAX: usize = 10_000;
const BYTES_MAX: u64 = 4 << 30;
/// The most bytes of one log that are read.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// One file of the manifest.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    name: String,
    bytes: u64,
    sha256: Sha256Digest,
}

/// The state of a job that has begun: a manifest of its logs, and of its working directory where the engine's files are on this
/// machine. `None` for a job that has not begun.
///
/// # Errors
/// The engine does not answer.
pub(super) async fn of(node: &Node, job: &HostedJob) -> Result<Option<PreservedState>, StepError> {
    if job.started_at.is_none() {
        return Ok(None);
    }
    let engine = run::engine(node, &job.site)?;
    let mut files = Vec::new();
    for (stream, name) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
        let mut log = Vec::new();
        loop {
            let chunk = engine.logs(job.run(), 0, stream, log.len() as u64, LOG_CHUNK_BYTES_MAX).await?;
            if chunk.bytes.is_empty() || log.len() as u64 >= LOG_BYTES_MAX {
                break;
            }
            log.extend(chunk.bytes);
        }
        files.push(File {
            name: format!("log/{name}"),
            bytes: log.len() as u64,
            sha256: Sha256Digest::of(&log),
        });
    }
    if let Some(directory) = engine.working_directory(job.run()) {
        let read = tokio::task::spawn_blocking(move || manifest(&directory));
        match read.await {
            Ok(Ok(Some(working))) => files.extend(working),
            Ok(Ok(None)) => {
                tracing::warn!(job = %job.job, "its working directory is too large for a manifest; its logs stand for it");
            }
            Ok(Err(error)) => {
                tracing::warn!(job = %job.job, %error, "its working directory cannot be read; its logs stand for it");
            }
            Err(_stopping) => {}
        }
    }
    files.sort();
    let bytes = files.iter().map(|file| file.bytes).sum();
    let sha256 = Sha256Digest::of_json(&files)
        .map_err(|error| StoreError::Damaged { what: "manifest", problem: error.to_string() })?;
    Ok(Some(PreservedState { sha256, bytes }))
}

/// Every plain file below a directory; `None` where there is more than a manifest takes.
fn manifest(directory: &Path) -> io::Result<Option<Vec<File>>> {
    let (mut files, mut entries, mut bytes) = (Vec::new(), 0_usize, 0_u64);
    let mut open: Vec<PathBuf> = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            entries += 1;
            if entries > ENTRIES_MAX {
                return Ok(None);
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                bytes = bytes.saturating_add(entry.metadata()?.len());
                if bytes > BYTES_MAX {
                    return Ok(None);
                }
                let path = entry.path();
                let name = path.strip_prefix(directory).unwrap_or(&path).to_string_lossy().into_owned();
                let (sha256, length) = hash_file(&path).map_err(io::Error::other)?;
                files.push(File { name: format!("work/{name}"), bytes: length, sha256 });
            }
        }
    }
    Ok(Some(files))
}
