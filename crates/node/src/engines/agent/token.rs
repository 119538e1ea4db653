// SPDX-License-Identifier: Apache-2.0
//! The secret that an agent shows: the node keeps its SHA-256 in a file of its own directory, which only the node may read.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sta_protocol::{digest::Sha256Digest, ids::SiteId};
use subtle::ConstantTimeEq;

use crate::keys::{KeysError, read_secret, write_secret};

/// Where a node keeps what belongs to the agent of a site.
#[must_use]
pub fn directory_of(node_directory: &Path, site: &SiteId) -> PathBuf {
    node_directory.join("agents").join(site.as_str())
}

/// What the node keeps of a token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    sha256: Sha256Digest,
}

/// From now on the agent of the site shows `token`; whatever it showed before is worth nothing.
///
/// # Errors
/// The file cannot be written.
pub fn expect(node_directory: &Path, site: &SiteId, token: &str) -> Result<(), KeysError> {
    let directory = directory_of(node_directory, site);
    let failed = |source| KeysError::File { path: directory.clone(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
    let record = Record { sha256: Sha256Digest::of(token.as_bytes()) };
    let text = serde_json::to_vec(&record).map_err(|error| failed(error.into()))?;
    let new = directory.join("token.new");
    // Of an attempt that was interrupted.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    write_secret(&new, &text)?;
    fs::rename(&new, path(node_directory, site)).map_err(failed)
}

/// The SHA-256 of the token that the agent of the site is to show; none when there is no such file, or others can read it.
#[must_use]
pub fn expected(node_directory: &Path, site: &SiteId) -> Option<Sha256Digest> {
    let bytes = read_secret(&path(node_directory, site)).ok()?;
    serde_json::from_slice::<Record>(&bytes).ok().map(|record| record.sha256)
}

/// Whether a token with this SHA-256 is the one that the agent of the site is to show.
#[must_use]
pub fn is_right(node_directory: &Path, site: &SiteId, shown: &[u8; 32]) -> bool {
    expected(node_directory, site).is_some_and(|expected| expected.as_bytes().ct_eq(shown).into())
}

fn path(node_directory: &Path, site: &SiteId) -> PathBuf {
    directory_of(node_directory, site).join("token.json")
}
