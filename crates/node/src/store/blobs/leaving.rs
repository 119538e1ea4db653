// SPDX-License-Identifier: Apache-2.0
//! Files that go: out of their place at once, off the disk afterwards; and what was begun and never ended.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sta_protocol::digest::Sha256Digest;

use super::{Blobs, PIECES, file_error};
use crate::store::StoreError;

/// What somebody began to send of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Begun {
    /// Of which file.
    pub sha256: Sha256Digest,
    path: PathBuf,
}

impl Begun {
    fn at(path: PathBuf) -> Option<Self> {
        let sha256 = path.file_name()?.to_str()?.split('.').next()?.parse().ok()?;
        let is_record = path.extension().is_some_and(|extension| extension == PIECES);
        Some(Self { sha256, path: if is_record { path.with_extension("") } else { path } })
    }
}

impl Blobs {
    /// Takes a file out of its place, so that it is not here any more. [`Blobs::empty_going`] gives its room back.
    ///
    /// # Errors
    /// The disk says no.
    pub fn let_go(&self, sha256: Sha256Digest) -> Result<(), StoreError> {
        self.forget_pieces(sha256);
        let (path, pieces) = (self.path(sha256), self.pieces_path(sha256));
        gone(fs::remove_file(&pieces)).map_err(|source| file_error(&pieces, source))?;
        gone(fs::rename(&path, self.root.join("going").join(sha256.to_string())))
            .map_err(|source| file_error(&path, source))
    }

    /// Removes from the disk what has left its place. Takes as long as the disk does: never while the store waits.
    ///
    /// # Errors
    /// The disk says no.
    pub fn empty_going(&self) -> Result<(), StoreError> {
        for path in entries(&self.root.join("going"))? {
            gone(fs::remove_file(&path)).map_err(|source| file_error(&path, source))?;
        }
        Ok(())
    }

    /// What was begun and not touched for so long; a file whose name begins with no digest is nothing of ours.
    ///
    /// # Errors
    /// The disk says no.
    pub fn abandoned(&self, older_than: Duration) -> Result<Vec<Begun>, StoreError> {
        let mut abandoned = Vec::new();
        for folder in ["partial", "arriving"] {
            for path in entries(&self.root.join(folder))? {
                let touched = fs::metadata(&path).and_then(|metadata| metadata.modified());
                let age = touched.ok().and_then(|touched| SystemTime::now().duration_since(touched).ok());
                if let Some(begun) = Begun::at(path)
                    && age.is_some_and(|age| age >= older_than)
                {
                    abandoned.push(begun);
                }
            }
        }
        abandoned.sort();
        abandoned.dedup();
        Ok(abandoned)
    }

    /// Removes what was begun of a file, unless somebody goes on with it just now.
    ///
    /// # Errors
    /// The disk says no.
    pub fn abandon(&self, begun: &Begun) -> Result<(), StoreError> {
        let name = begun.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(_turn) = self.lock_of(name).try_lock_owned() else { return Ok(()) };
        self.uploads().remove(&begun.path);
        for path in [&begun.path.with_added_extension(PIECES), &begun.path] {
            gone(fs::remove_file(path)).map_err(|source| file_error(path, source))?;
        }
        Ok(())
    }
}

/// What is not there is gone.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let read = fs::read_dir(directory).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    read.map_err(|source| file_error(directory, source))
}
