// SPDX-License-Identifier: Apache-2.0
//! `sta audit export`: the whole audit log as files in C2SP layout, for `sta verify` or anybody's verifier.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use sta_audit::{
    checkpoint::Checkpoint,
    note::SignedNote,
    tile::{Tile, tiles_for_size},
    verify::CHECKPOINT_PATH,
};

use super::{
    client::Client,
    failure::{Exit, Failure, Trying},
    print::{self, Style},
    profile::listen_url,
    verify::replay::{Line, PAYLOADS},
};
use crate::{config::Config, store::audit};

/// What can be done with the audit log.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum AuditCommand {
    /// Download the log: checkpoint, tiles and entries. It holds ids, codes and salted digests, never personal data
    Export {
        /// The directory to write to
        directory: PathBuf,
        /// The node's own directory
        #[arg(long, value_name = "DIR", required_unless_present = "node")]
        dir: Option<PathBuf>,
        /// Also write what the gates' entries commit to, from the node's own store, for `sta verify --replay`
        #[arg(long, requires = "dir")]
        payloads: bool,
        /// The node's address; anyone may read the log
        #[arg(long, value_name = "URL")]
        node: Option<String>,
    },
}

/// Does it.
///
/// # Errors
/// The node does not answer, or a file cannot be written.
pub(super) async fn run(command: &AuditCommand, style: Style) -> Result<(), Failure> {
    let AuditCommand::Export { directory, dir, node, payloads } = command;
    let url = match (node, dir) {
        (Some(url), _) => url.clone(),
        (None, Some(dir)) => listen_url(Config::load(dir).trying_to("find the node's address")?.listen),
        (None, None) => {
            return Err(
                Failure::new("export the log", "neither --node nor --dir was given").exit(Exit::Usage)
            );
        }
    };
    let exported = export(&Client::new(&url, None)?, directory).await?;
    if let Some(dir) = dir.as_ref().filter(|_| *payloads) {
        write_payloads(dir, directory, exported.size)?;
    }
    let document = json!({"origin": exported.origin, "entries": exported.size, "directory": directory});
    style.answer(&document, || {
        let (directory, origin, size) = (directory.display(), &exported.origin, exported.size);
        format!("Log {origin} of {size} entries exported to {directory}.\nVerify it: sta verify --treaty treaty.jws.json {directory}")
    });
    Ok(())
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exported {
    /// The log's origin, as the checkpoint says it.
    pub(super) origin: String,
    /// How many entries it has.
    pub(super) size: u64,
}

/// Downloads a log. What is there from an earlier export of the same log is kept where it cannot have changed.
///
/// # Errors
/// The node does not answer, or a file cannot be written.
pub(super) async fn export(client: &Client, directory: &Path) -> Result<Exported, Failure> {
    let note = client.text("/audit/checkpoint").await?;
    let exported = read_checkpoint(&note)?;
    fs::create_dir_all(directory).trying_to(format!("make `{}`", directory.display()))?;
    for (count, tile) in tiles_for_size(exported.size).enumerate() {
        let path = directory.join(tile.to_string());
        // Full tiles never change, and a partial one of this width does not either.
        if !path.exists() {
            fetch(client, directory, tile).await?;
        }
        if count % 1000 == 999 {
            print::progress(format!("{} files", count + 1));
        }
    }
    // Last: a checkpoint beside tiles that are missing would read as a damaged log.
    write(&directory.join(CHECKPOINT_PATH), note.as_bytes())?;
    Ok(exported)
}

/// Fetches one tile. The log may have grown since its checkpoint was read; then the full tile stands in for a partial one.
async fn fetch(client: &Client, directory: &Path, tile: Tile) -> Result<(), Failure> {
    let mut last = None;
    for candidate in [tile, tile.full()] {
        let doing = format!("read `{candidate}` of the log");
        let answer =
            client.send(Method::GET, &format!("/audit/{candidate}"), HeaderMap::new(), Vec::new()).await?;
        if answer.status != StatusCode::NOT_FOUND {
            return write(&directory.join(candidate.to_string()), &answer.or_problem(&doing)?.body);
        }
        last = Some(answer.problem(&doing));
        if !tile.is_partial() {
            break;
        }
    }
    Err(last.unwrap_or_else(|| Failure::new(format!("read `{tile}`"), "there is none")))
}

/// Origin and size as the checkpoint says them; nothing is verified here.
fn read_checkpoint(note: &str) -> Result<Exported, Failure> {
    let doing = "read the log's checkpoint";
    let note = SignedNote::parse(note.as_bytes()).trying_to(doing)?;
    let checkpoint: Checkpoint = note.text().parse().trying_to(doing)?;
    Ok(Exported { origin: checkpoint.origin().to_owned(), size: checkpoint.size() })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let doing = format!("write `{}`", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).trying_to(&doing)?;
    }
    let new = path.with_extension("new");
    fs::write(&new, bytes).trying_to(&doing)?;
    fs::rename(&new, path).trying_to(doing)
}

/// Writes the payloads of the gates' entries. They stay in the node's store, so only who may read that can export them.
fn write_payloads(node: &Path, directory: &Path, size: u64) -> Result<(), Failure> {
    let doing = "read the gates' payloads";
    let payloads = audit::gate_payloads(&node.join("node.sqlite"), size).trying_to(doing)?;
    let lines = payloads.into_iter().map(|(index, salt, payload)| {
        let salt = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        serde_json::to_string(&Line { index, salt, payload })
    });
    let text: String =
        lines.map(|line| line.map(|line| line + "\n")).collect::<Result<_, _>>().trying_to(doing)?;
    write(&directory.join(PAYLOADS), text.as_bytes())
}
