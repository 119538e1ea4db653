// SPDX-License-Identifier: Apache-2.0
//! Fetch: home brings in the outputs that may leave the host.

use sta_protocol::{federation::Receipt, ids::MemberId};

use super::{StepError, arrive, disk};
use crate::{
    node::Node,
    store::{
        blob_uses,
        jobs::{self, HomeJob},
        outbox::{self, Waiting},
        possessions::{self, Party},
    },
};

/// Brings in every output of a job that no rule holds.
///
/// # Errors
/// The host is away: tried again from where it stopped.
pub async fn fetch_outputs(node: &Node, waiting: &Waiting) -> Result<(), StepError> {
    let (mut stay, mut person) = (Vec::new(), None);
    if let Some(job) = node.store.read(|connection| jobs::find(connection, waiting.job))?
        && let (Some(receipt), Some(host)) = (receipt_of(&job)?, job.host.as_ref())
    {
        for output in receipt.outputs.iter().filter(|output| output.held_by.is_empty()) {
            arrive::bring(node, host, &output_path(&job, &output.name), output.sha256, output.bytes).await?;
            stay.push(output.sha256);
        }
        person = Some(Party::Person(job.researcher));
    }
    let id = waiting.id;
    let write = node.store.write(move |tx| {
        // An output may be a file that came here as an input.
        for sha256 in &stay {
            blob_uses::stays(tx, *sha256)?;
            person.iter().try_for_each(|person| possessions::note(tx, *sha256, person))?;
        }
        outbox::done(tx, id)
    });
    write.await?;
    Ok(())
}

/// The receipt of a job, verified before it was stored.
pub(super) fn receipt_of(job: &HomeJob) -> Result<Option<Receipt>, StepError> {
    let damaged = |problem: String| StepError::Damaged { what: "receipt", job: job.id, problem };
    job.receipt
        .as_ref()
        .map(|receipt| receipt.peek_unverified().map_err(|error| damaged(error.to_string())))
        .transpose()
}

/// Where the host serves an output to home.
pub(super) fn output_path(job: &HomeJob, name: &str) -> String {
    format!("/federation/v1/jobs/{}/outputs/{}", job.id, percent_encoded(name))
}

/// A file name as one segment of a path (RFC 3986 §2.1).
#[must_use]
pub fn percent_encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Fetches one output now, for somebody who waits for it.
///
/// # Errors
/// The host is away, or refuses: then its reasons.
pub(super) async fn fetch_one(
    node: &Node,
    job: &HomeJob,
    host: &MemberId,
    name: &str,
) -> Result<(), StepError> {
    let Some(receipt) = receipt_of(job)? else { return Ok(()) };
    for output in receipt.outputs.iter().filter(|output| output.name == name) {
        arrive::bring(node, host, &output_path(job, name), output.sha256, output.bytes).await?;
        disk::note_possession(node, output.sha256, Party::Person(job.researcher.clone())).await?;
    }
    Ok(())
}
