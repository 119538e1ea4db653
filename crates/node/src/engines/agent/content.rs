// SPDX-License-Identifier: Apache-2.0
//! Files that come in parts and are taken only when their SHA-256 is the announced one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sta_protocol::digest::Sha256Digest;

use crate::{engines::EngineError, store::blobs::hash_file};

/// The file that an interrupted transfer continues, and how many bytes of it are here.
pub(super) fn partial(whole: &Path) -> Result<(PathBuf, File, u64), EngineError> {
    let path = whole.with_extension("part");
    let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = open.map_err(|source| failed("open", &path, source))?;
    let have = file.metadata().map_err(|source| failed("read", &path, source))?.len();
    Ok((path, file, have))
}

/// Puts a file that has come in whole in its place; a wrong one is removed, and its SHA-256 is the answer.
pub(super) fn place(
    partial: &Path,
    whole: &Path,
    expected: Sha256Digest,
) -> Result<Result<(), Sha256Digest>, EngineError> {
    let hashed = hash_file(partial);
    let (got, _) = hashed.map_err(|error| failed("check", partial, io::Error::other(error)))?;
    if got != expected {
        fs::remove_file(partial).map_err(|source| failed("remove", partial, source))?;
        return Ok(Err(got));
    }
    fs::rename(partial, whole).map_err(|source| failed("place", whole, source))?;
    Ok(Ok(()))
}

/// Writes a small file as a whole, so that a crash leaves the old one or the new one.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let new = path.with_extension("new");
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|source| failed("write", path, source))
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &Path) -> Result<(), EngineError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes a directory for this user alone, if it is not there.
pub(super) fn make_private(directory: &Path) -> Result<(), EngineError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| failed("make", directory, source))
}

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> EngineError {
    EngineError::Io { doing, path: path.to_owned(), source }
}
