// SPDX-License-Identifier: Apache-2.0
//! Evidence: what the log has about the things that an incident names, and the files and directories that stay for it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;
use sta_protocol::{
    digest::{Sha256Digest, canonical_json},
    ids::{IncidentId, JobId, ModelId},
};

use super::{
    super::{StepError, disk, stage},
    About,
};
use crate::{
    node::Node,
    store::{
        StoreError, Tx, audit,
        frozen::{self as table, LogEntry, Snapshot},
        hosted, jobs,
    },
};

/// The most entries of the log that one snapshot names: the newest ones.
const ENTRIES_MAX: usize = 10_000;

/// A snapshot of evidence with what it freezes.
pub(super) struct Taken {
    /// The manifest and its digest.
    pub(super) snapshot: Snapshot,
    /// The jobs that the incident is about: that which it names, and those that train the model it names.
    pub(super) jobs: BTreeSet<JobId>,
    model: Option<ModelId>,
    entries: Vec<u64>,
    files: BTreeSet<Sha256Digest>,
}

impl Taken {
    /// Keeps the snapshot beside the entry with that number, and freezes what it names, in the caller's transaction.
    ///
    /// # Errors
    /// The store failed, or a job that trains the model was admitted since the snapshot was taken: asked again, it is among them.
    pub(super) fn freeze(&self, tx: &Tx<'_>, id: IncidentId, sequence: u32) -> Result<(), StoreError> {
        if let Some(model) = &self.model
            && !table::jobs_of_model(tx.connection(), model)?.iter().all(|job| self.jobs.contains(job))
        {
            return Err(StoreError::Busy);
        }
        table::freeze(tx, id, sequence, &self.snapshot, &self.entries, &self.files, &self.jobs)
    }
}

/// Takes a snapshot: ids, indices and leaf hashes of the log's entries about job, model and site, under the newest checkpoint
/// that this node has signed; and the files that the jobs need or left. What a site does besides is in the log alone:
/// other people's jobs there are not kept from ending.
///
/// # Errors
/// The store failed, or a stored job does not read.
pub(super) fn take(node: &Node, id: IncidentId, about: &About, now: Timestamp) -> Result<Taken, StepError> {
    let (checkpoint, jobs, entries) = node.store.read(|connection| {
        let checkpoint = audit::checkpoint(connection, "latest")?;
        let mut jobs: BTreeSet<JobId> = about.job.into_iter().collect();
        let mut subjects: BTreeSet<String> = BTreeSet::new();
        if let Some(model) = &about.model {
            jobs.extend(table::jobs_of_model(connection, model)?);
            subjects.insert(model.to_string());
            subjects.extend(table::evaluations_of(connection, model)?);
        }
        let mut seen = jobs.clone();
        if let Some(site) = &about.site {
            seen.extend(table::jobs_at(connection, site)?);
        }
        for job in &seen {
            subjects.insert(job.to_string());
            subjects.extend(table::decisions_about(connection, *job)?);
        }
        let entries = table::entries_about(connection, &subjects, ENTRIES_MAX)?;
        Ok((checkpoint, jobs, entries))
    })?;
    let size = checkpoint.as_ref().map_or(0, |(size, _)| *size);
    let entries: Vec<LogEntry> = entries.into_iter().filter(|entry| entry.position < size).collect();
    let mut files = BTreeSet::new();
    for job in &jobs {
        files.extend(files_of(node, *job)?);
    }
    let named: Vec<_> = entries
        .iter()
        .map(|entry| {
            json!({"index": entry.position, "leaf": entry.leaf.to_string(), "kind": entry.kind, "subject": entry.subject})
        })
        .collect();
    let here: Vec<_> =
        files.iter().map(|sha256| json!({"sha256": sha256, "here": node.blobs.has(*sha256)})).collect();
    let manifest = json!({
        "version": 1, "incident": id, "taken_at": now, "checkpoint": checkpoint.map(|(_, note)| note),
        "entries": named, "jobs": jobs, "files": here,
    });
    let damaged = |problem: String| StoreError::Damaged { what: "evidence", problem };
    let bytes = canonical_json(&manifest).map_err(|error| damaged(error.to_string()))?;
    let sha256 = Sha256Digest::of(&bytes);
    let manifest = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    let entries = entries.into_iter().map(|entry| entry.position).collect();
    Ok(Taken { snapshot: Snapshot { sha256, manifest }, jobs, model: about.model.clone(), entries, files })
}

/// The files that a job needs at this node or left here.
fn files_of(node: &Node, job: JobId) -> Result<BTreeSet<Sha256Digest>, StepError> {
    let (hosted, home, outputs) = node.store.read(|connection| {
        let outputs = table::outputs_of(connection, job)?;
        Ok((hosted::find(connection, job)?, jobs::find(connection, job)?, outputs))
    })?;
    let mut files: BTreeSet<Sha256Digest> = outputs.into_iter().collect();
    if let Some(home) = home {
        files.extend(home.spec.inputs.iter().map(|input| input.sha256));
    }
    if let Some(hosted) = hosted {
        files.extend(disk::needed(node, &stage::offer_of(&hosted)?).into_iter().map(|file| file.sha256));
    }
    Ok(files)
}
