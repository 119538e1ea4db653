// SPDX-License-Identifier: Apache-2.0
//! Content-addressed files: written beside, checked against their SHA-256, then renamed into place; resumable.
//!
//! ```text
//! partial/SHA256.WHOSE                   an upload, from its beginning to where it is
//! arriving/SHA256.WHOSE, ... .pieces     from another member, piece by piece, and which pieces are here
//! ab/abcd..., ab/abcd....pieces          whole files, and the digests of their pieces
//! going/SHA256                           on their way out
//! ```
//!
//! What one has sent of a file is not gone on with by another: who has the whole file here has sent all of it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use sta_protocol::digest::Sha256Digest;

mod arrival;
mod hashing;
mod known_pieces;
mod leaving;
mod room;

use hashing::{Rolling, Sha256Growing};
use known_pieces::KnownPieces;

use super::{StoreError, possessions::Party};

pub use arrival::Arrival;
pub use leaving::Begun;
pub use room::{NoRoom, Room};

/// The piece in which files go from member to member, and which is checked and recorded as one.
pub const PIECE_BYTES: u64 = 1 << 20;
/// How the record beside what arrives from a member ends.
const PIECES: &str = "pieces";
/// How many uploads are hashed as they come; of others what came is hashed at their end.
const UPLOADS_MAX: usize = 64;

/// The directory of content-addressed files of this node.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
    inner: Arc<Inner>,
}

/// What is known of the files in memory alone.
#[derive(Debug, Default)]
struct Inner {
    known: KnownPieces,
    uploads: Mutex<BTreeMap<PathBuf, Rolling>>,
    turns: Mutex<BTreeMap<String, Weak<tokio::sync::Mutex<()>>>>,
    promised: room::Promised,
}

/// The right to place or remove one file, or to go on with what somebody sends of it; one holds it at a time.
pub type Turn = tokio::sync::OwnedMutexGuard<()>;

/// A part of a whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of these bytes, where it was known before they were read.
    pub sha256: Option<Sha256Digest>,
    /// The length of the whole file.
    pub whole: u64,
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
    /// Pieces from another member are not the bytes that were signed; they are let go, and all others kept.
    #[error("{wrong} pieces of the file, the first at byte {offset}, are not the bytes that were signed")]
    PiecesWrong {
        /// How many.
        wrong: usize,
        /// Where the first one begins.
        offset: u64,
        /// What was signed for it.
        claimed: Sha256Digest,
        /// What came.
        actual: Sha256Digest,
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
        for directory in [root.to_owned(), root.join("partial"), root.join("arriving"), root.join("going")] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(|source| file_error(&directory, source))?;
        }
        Ok(Self { root: root.to_owned(), inner: Arc::default() })
    }

    /// Waits for the turn to put a file in its place or remove it.
    pub async fn turn(&self, digest: Sha256Digest) -> Turn {
        self.lock_of(digest.to_string()).lock_owned().await
    }

    /// The turn, if nobody has it.
    #[must_use]
    pub fn try_turn(&self, digest: Sha256Digest) -> Option<Turn> {
        self.lock_of(digest.to_string()).try_lock_owned().ok()
    }

    /// Waits for the turn to go on with what somebody sends of a file: jobs that want the same file of the same member at once share one
    /// transfer, and nobody writes into what is being checked. Who needs both turns takes this one first.
    pub async fn part_turn(&self, digest: Sha256Digest, by: &Party) -> Turn {
        self.lock_of(begun_name(digest, by)).lock_owned().await
    }

    fn lock_of(&self, name: String) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.inner.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = turns.get(&name).and_then(Weak::upgrade) {
            return lock;
        }
        turns.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        turns.insert(name, Arc::downgrade(&lock));
        lock
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

    /// How many bytes of a file somebody has uploaded, who has not uploaded all of it.
    #[must_use]
    pub fn partial_bytes(&self, digest: Sha256Digest, by: &Party) -> u64 {
        fs::metadata(self.partial(digest, Some(by))).map_or(0, |metadata| metadata.len())
    }

    /// Adds bytes at `offset` to a file that somebody uploads.
    ///
    /// # Errors
    /// The part does not continue what is here, or the disk says no.
    pub fn append(
        &self,
        digest: Sha256Digest,
        by: &Party,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), BlobError> {
        let have = self.partial_bytes(digest, by);
        if offset != have {
            return Err(BlobError::NotContinuous { offset, have });
        }
        let path = self.partial(digest, Some(by));
        let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let mut file = open.map_err(|source| file_error(&path, source))?;
        file.write_all(bytes).map_err(|source| file_error(&path, source))?;
        self.hash_upload(&path, offset, bytes);
        Ok(())
    }

    /// Hashes an upload as it comes, so that its end does not wait until all of it is read again.
    fn hash_upload(&self, path: &Path, offset: u64, bytes: &[u8]) {
        let mut uploads = self.uploads();
        if offset == 0 {
            while uploads.len() >= UPLOADS_MAX {
                // Any of them: it is read again at its end.
                uploads.pop_first();
            }
            uploads.insert(path.to_owned(), Rolling::new());
        }
        let Some(mut rolling) = uploads.remove(path).filter(|rolling| rolling.upto == offset) else {
            return;
        };
        // Hashed with the lock free: other uploads go on.
        drop(uploads);
        rolling.update(bytes);
        self.uploads().insert(path.to_owned(), rolling);
    }

    fn uploads(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Rolling>> {
        self.inner.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a file that somebody has uploaded whole and puts it in its place, where it is not here already; a wrong one is removed. The
    /// caller has both turns.
    ///
    /// # Errors
    /// The bytes are not the ones announced, or the disk says no.
    pub fn finish(&self, digest: Sha256Digest, by: &Party) -> Result<(), BlobError> {
        self.finish_at(&self.partial(digest, Some(by)), digest)
    }

    fn finish_at(&self, partial: &Path, digest: Sha256Digest) -> Result<(), BlobError> {
        let rolling = self.uploads().remove(partial);
        // An empty file has no part that made it.
        let open = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(partial);
        let file = open.map_err(|source| file_error(partial, source))?;
        let mut rolling = rolling.unwrap_or_else(Rolling::new);
        rolling.read_on(&file).map_err(|source| file_error(partial, source))?;
        let (got, pieces) = rolling.finish();
        if got != digest {
            fs::remove_file(partial).map_err(|source| file_error(partial, source))?;
            return Err(BlobError::Differs { expected: digest, got });
        }
        if self.has(digest) {
            return fs::remove_file(partial).map_err(|source| file_error(partial, source).into());
        }
        file.sync_all().map_err(|source| file_error(partial, source))?;
        self.keep_pieces(digest, &pieces)?;
        self.place(partial, digest)?;
        Ok(())
    }

    /// Takes a copy of a file on this machine, which is looked at also where the announced one is here already. The caller has the turn.
    ///
    /// # Errors
    /// It is not the announced file, or the disk says no.
    pub fn adopt(&self, path: &Path, digest: Sha256Digest) -> Result<(), BlobError> {
        if self.has(digest) {
            let (got, _) = hash_file(path)?;
            return if got == digest { Ok(()) } else { Err(BlobError::Differs { expected: digest, got }) };
        }
        let partial = self.partial(digest, None);
        fs::copy(path, &partial).map_err(|source| file_error(path, source))?;
        self.finish_at(&partial, digest)
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

    /// Up to `length_max` bytes from `offset`, with their digest where it is known.
    ///
    /// # Errors
    /// The file is not here, or the disk says no.
    pub fn read_part(
        &self,
        digest: Sha256Digest,
        offset: u64,
        length_max: usize,
    ) -> Result<Part, StoreError> {
        let (bytes, whole) = self.read(digest, offset, length_max)?;
        let sha256 = self.piece_digest(digest, whole, offset, bytes.len() as u64);
        Ok(Part { bytes, sha256, whole })
    }

    fn partial(&self, digest: Sha256Digest, by: Option<&Party>) -> PathBuf {
        let name = by.map_or_else(|| digest.to_string(), |by| begun_name(digest, by));
        self.root.join("partial").join(name)
    }

    fn arriving(&self, digest: Sha256Digest, from: &Party) -> PathBuf {
        self.root.join("arriving").join(begun_name(digest, from))
    }

    /// Makes the directory that a file lies in, and gives it.
    fn make_shelf(&self, digest: Sha256Digest) -> Result<PathBuf, StoreError> {
        let path = self.path(digest);
        let directory = path.parent().unwrap_or(&self.root);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| file_error(directory, source))?;
        Ok(directory.to_owned())
    }

    fn place(&self, partial: &Path, digest: Sha256Digest) -> Result<(), StoreError> {
        let target = self.path(digest);
        let directory = &self.make_shelf(digest)?;
        fs::rename(partial, &target).map_err(|source| file_error(&target, source))?;
        // The name must survive a power cut as well as the bytes.
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| file_error(directory, source))
    }
}

/// The name of what somebody has begun to send of a file; it names no person.
fn begun_name(digest: Sha256Digest, by: &Party) -> String {
    let whose = Sha256Digest::of(by.to_string().as_bytes()).to_string();
    format!("{digest}.{}", &whose[..16])
}

/// SHA-256 of a file on this machine.
///
/// # Errors
/// It cannot be read.
pub fn hash_file(path: &Path) -> Result<(Sha256Digest, u64), StoreError> {
    let file = File::open(path).map_err(|source| file_error(path, source))?;
    let mut hash = Sha256Growing::new();
    let bytes = hash.read_on(&file, 0, u64::MAX).map_err(|source| file_error(path, source))?;
    Ok((hash.finish(), bytes))
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
    let length = (length_max as u64).min(whole.saturating_sub(offset));
    // One byte more, so that reading sees the end without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(length).read_to_end(&mut bytes).map_err(failed)?;
    Ok((bytes, whole))
}

fn file_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { path: path.display().to_string(), source }
}
