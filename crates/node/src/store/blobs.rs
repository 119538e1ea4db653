// SPDX-License-Identifier: Apache-2.0
//! Content-addressed files: written beside, checked against their SHA-256, then renamed into place; resumable.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use sta_protocol::digest::Sha256Digest;

use super::StoreError;

/// How much is read at once when a file is checked.
const CHUNK_BYTES: usize = 256 * 1024;

/// The directory of content-addressed files of this node.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The disk said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes are not the ones announced.
    #[error("the bytes have SHA-256 {got}, not {expected}: send the file again from the beginning")]
    Differs {
        /// What was announced.
        expected: Sha256Digest,
        /// What came.
        got: Sha256Digest,
    },
    /// The bytes do not continue what is here.
    #[error("the part begins at byte {offset}, but {have} bytes are here: continue from there")]
    NotContinuous {
        /// Where the sent part begins.
        offset: u64,
        /// How many bytes are here.
        have: u64,
    },
}

impl Blobs {
    /// Opens or makes the directory, mode 0700.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        for directory in [root.to_owned(), root.join("partial")] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(|source| file_error(&directory, source))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Where the file is kept, whole; it may not exist.
    #[must_use]
    pub fn path(&self, digest: Sha256Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(&name[..2]).join(&name)
    }

    /// Whether the whole file is here.
    #[must_use]
    pub fn has(&self, digest: Sha256Digest) -> bool {
        self.path(digest).is_file()
    }

    /// How many bytes of a file that is not whole are here.
    #[must_use]
    pub fn partial_bytes(&self, digest: Sha256Digest) -> u64 {
        fs::metadata(self.partial(digest)).map_or(0, |metadata| metadata.len())
    }

    /// Adds bytes at `offset` to a file that is coming in.
    ///
    /// # Errors
    /// The part does not continue what is here, or the disk says no.
    pub fn append(&self, digest: Sha256Digest, offset: u64, bytes: &[u8]) -> Result<(), BlobError> {
        let have = self.partial_bytes(digest);
        if offset != have {
            return Err(BlobError::NotContinuous { offset, have });
        }
        let path = self.partial(digest);
        let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let mut file = open.map_err(|source| file_error(&path, source))?;
        file.write_all(bytes).map_err(|source| file_error(&path, source))?;
        Ok(())
    }

    /// Checks a file that has come in whole and puts it in its place; a wrong one is removed.
    ///
    /// # Errors
    /// The bytes are not the ones announced, or the disk says no.
    pub fn finish(&self, digest: Sha256Digest) -> Result<(), BlobError> {
        if self.has(digest) {
            return Ok(());
        }
        let partial = self.partial(digest);
        // An empty file has no part that made it.
        let open = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&partial);
        let mut file = open.map_err(|source| file_error(&partial, source))?;
        let got = hash(&mut file).map_err(|source| file_error(&partial, source))?;
        if got != digest {
            fs::remove_file(&partial).map_err(|source| file_error(&partial, source))?;
            return Err(BlobError::Differs { expected: digest, got });
        }
        file.sync_all().map_err(|source| file_error(&partial, source))?;
        self.place(&partial, digest)?;
        Ok(())
    }

    /// Takes a copy of a file on this machine.
    ///
    /// # Errors
    /// It is not the announced file, or the disk says no.
    pub fn adopt(&self, path: &Path, digest: Sha256Digest) -> Result<(), BlobError> {
        if self.has(digest) {
            return Ok(());
        }
        let partial = self.partial(digest);
        fs::copy(path, &partial).map_err(|source| file_error(path, source))?;
        self.finish(digest)
    }

    /// Up to `length_max` bytes from `offset`, and the length of the whole file.
    ///
    /// # Errors
    /// The file is not here, or the disk says no.
    pub fn read(
        &self,
        digest: Sha256Digest,
        offset: u64,
        length_max: usize,
    ) -> Result<(Vec<u8>, u64), StoreError> {
        read_range(&self.path(digest), offset, length_max)
    }

    fn partial(&self, digest: Sha256Digest) -> PathBuf {
        self.root.join("partial").join(digest.to_string())
    }

    fn place(&self, partial: &Path, digest: Sha256Digest) -> Result<(), StoreError> {
        let target = self.path(digest);
        let directory = target.parent().unwrap_or(&self.root);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| file_error(directory, source))?;
        fs::rename(partial, &target).map_err(|source| file_error(&target, source))?;
        // The name must survive a power cut as well as the bytes.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| file_error(directory, source))
    }
}

/// SHA-256 of a file on this machine.
///
/// # Errors
/// It cannot be read.
pub fn hash_file(path: &Path) -> Result<(Sha256Digest, u64), StoreError> {
    let mut file = File::open(path).map_err(|source| file_error(path, source))?;
    let digest = hash(&mut file).map_err(|source| file_error(path, source))?;
    let bytes = file.metadata().map_err(|source| file_error(path, source))?.len();
    Ok((digest, bytes))
}

/// Up to `length_max` bytes of a file from `offset`, and its whole length.
///
/// # Errors
/// It cannot be read.
pub fn read_range(path: &Path, offset: u64, length_max: usize) -> Result<(Vec<u8>, u64), StoreError> {
    let failed = |source| file_error(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let whole = file.metadata().map_err(failed)?.len();
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(length_max as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok((bytes, whole))
}

fn hash(file: &mut File) -> std::io::Result<Sha256Digest> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Sha256Digest::from_bytes(hasher.finalize().into())),
            read => hasher.update(&chunk[..read]),
        }
    }
}

fn file_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { path: path.display().to_string(), source }
}
