// SPDX-License-Identifier: Apache-2.0
//! A file that comes in piece by piece, in any order: written where it belongs, recorded as it lands, hashed as it grows.
//!
//! Beside the bytes lies a record: a line a piece that is here, its number and the digest under which its holder signed it.
//! The whole has to have its digest before the file gets its name, so that each byte is hashed once. Only where it has another
//! one, and after a crash, the pieces are compared with the record: those that differ are asked for again and no others,
//! and no piece waits for a disk.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use sta_protocol::digest::Sha256Digest;

use super::{BlobError, Blobs, PIECE_BYTES, PIECES, file_error, hashing::Sha256Growing};
use crate::store::{StoreError, possessions::Party};

/// A line of the record: the piece's number and its SHA-256.
const LINE_BYTES: usize = 8 + 32;
/// How much is written at once. For larger writes Linux takes larger pages, which a virtual machine may first have to get from
/// its host: with 1 MiB a write took up to six times as long where it was measured.
const WRITE_BYTES: usize = 32 << 10;
/// How many pieces wait in memory to be hashed; more are read from the file when it is their turn.
const UNHASHED_MAX: usize = 4;
/// How much may wait to be written to the disk itself before it is begun.
const UNSYNCED_BYTES_MAX: u64 = 64 << 20;

/// A file on its way in.
pub struct Arrival {
    blobs: Blobs,
    sha256: Sha256Digest,
    bytes: u64,
    path: PathBuf,
    record_path: PathBuf,
    file: File,
    landed: Mutex<Landed>,
    hashed: Mutex<Hashed>,
    /// Who writes: the system lets one at a time into a file, and those who wait for that keep a processor busy.
    writing: Mutex<()>,
    unsynced: AtomicU64,
    syncing: AtomicBool,
}

struct Landed {
    record: File,
    /// As they were signed.
    pieces: BTreeMap<u64, Sha256Digest>,
    /// The bytes of pieces that are not hashed yet.
    unhashed: BTreeMap<u64, Bytes>,
}

/// The whole file's digest up to the first piece that is missing.
struct Hashed {
    hash: Sha256Growing,
    pieces: u64,
}

impl Blobs {
    /// Takes a file from a member up where it was left, or begins it. Every piece that is recorded is read and checked.
    ///
    /// # Errors
    /// The disk says no.
    pub fn arrive(&self, sha256: Sha256Digest, bytes: u64, from: &Party) -> Result<Arrival, BlobError> {
        let path = self.arriving(sha256, from);
        let record_path = path.with_added_extension(PIECES);
        let file = open(&path, false)?;
        // Of another length it cannot be this file; and it is as long as it will be, so that reading stops nowhere.
        file.set_len(bytes).map_err(|source| file_error(&path, source))?;
        let recorded = read_record(&record_path).map_err(|source| file_error(&record_path, source))?;
        let mut hashed = Hashed { hash: Sha256Growing::new(), pieces: 0 };
        let pieces =
            check(&file, bytes, &recorded, &mut hashed).map_err(|source| file_error(&path, source))?;
        write_record(&record_path, &pieces).map_err(|source| file_error(&record_path, source))?;
        let record = open(&record_path, true)?;
        Ok(Arrival {
            blobs: self.clone(),
            sha256,
            bytes,
            path,
            record_path,
            file,
            landed: Mutex::new(Landed { record, pieces, unhashed: BTreeMap::new() }),
            hashed: Mutex::new(hashed),
            writing: Mutex::new(()),
            unsynced: AtomicU64::new(0),
            syncing: AtomicBool::new(false),
        })
    }
}

impl Arrival {
    /// The numbers of the pieces that are still to come, in order.
    #[must_use]
    pub fn missing(&self) -> Vec<u64> {
        let landed = lock(&self.landed);
        (0..self.bytes.div_ceil(PIECE_BYTES)).filter(|piece| !landed.pieces.contains_key(piece)).collect()
    }

    /// Where a piece begins, and its length.
    #[must_use]
    pub fn extent(&self, piece: u64) -> (u64, u64) {
        extent(piece, self.bytes)
    }

    /// Writes a piece and records it, with the digest under which it was signed.
    ///
    /// # Errors
    /// The disk says no, or there is no such piece.
    pub fn put(&self, piece: u64, bytes: Bytes, sha256: Sha256Digest) -> Result<(), BlobError> {
        let (offset, length) = self.extent(piece);
        if length != bytes.len() as u64 {
            return Err(BlobError::NotContinuous { offset, have: length });
        }
        let turn = lock(&self.writing);
        for (part, at) in bytes.chunks(WRITE_BYTES).zip((offset..).step_by(WRITE_BYTES)) {
            self.file.write_all_at(part, at).map_err(|source| file_error(&self.path, source))?;
        }
        drop(turn);
        let mut landed = lock(&self.landed);
        landed
            .record
            .write_all(&line(piece, sha256))
            .map_err(|source| file_error(&self.record_path, source))?;
        landed.pieces.insert(piece, sha256);
        if landed.unhashed.len() < UNHASHED_MAX {
            landed.unhashed.insert(piece, bytes);
        }
        self.unsynced.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }

    /// Hashes on over what has landed without a gap. Where another thread does so already, it does this too.
    ///
    /// # Errors
    /// The disk says no.
    pub fn hash_on(&self) -> Result<(), BlobError> {
        if let Ok(mut hashed) = self.hashed.try_lock() {
            self.hash_landed(&mut hashed)?;
        }
        Ok(())
    }

    fn hash_landed(&self, hashed: &mut Hashed) -> Result<(), BlobError> {
        loop {
            let piece = hashed.pieces;
            let bytes = {
                let mut landed = lock(&self.landed);
                if !landed.pieces.contains_key(&piece) {
                    return Ok(());
                }
                landed.unhashed.remove(&piece)
            };
            let (offset, length) = self.extent(piece);
            match bytes {
                Some(bytes) => hashed.hash.update(&bytes),
                None => {
                    let read = hashed.hash.read_on(&self.file, offset, offset + length);
                    read.map(drop).map_err(|source| file_error(&self.path, source))?;
                }
            }
            hashed.pieces += 1;
        }
    }

    /// Has the disk write what has landed, when it is much and no other thread does: the end need not wait for all of it.
    ///
    /// # Errors
    /// The disk says no.
    pub fn sync_some(&self) -> Result<(), BlobError> {
        if self.unsynced.load(Ordering::Relaxed) < UNSYNCED_BYTES_MAX
            || self.syncing.swap(true, Ordering::SeqCst)
        {
            return Ok(());
        }
        self.unsynced.store(0, Ordering::Relaxed);
        let synced = self.file.sync_data();
        self.syncing.store(false, Ordering::SeqCst);
        synced.map_err(|source| file_error(&self.path, source).into())
    }

    /// Puts the file in its place, if it is not here already, when every piece is here and the whole has the announced digest. Else the
    /// pieces that are not what was signed are let go, or, where each of them is, the whole file is. The caller has both turns.
    ///
    /// # Errors
    /// The bytes are not the ones announced, a piece is missing, or the disk says no.
    pub fn finish(&self) -> Result<(), BlobError> {
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        self.hash_landed(&mut hashed)?;
        if let Some(missing) = self.missing().first() {
            return Err(BlobError::NotContinuous { offset: self.bytes, have: missing * PIECE_BYTES });
        }
        let begin = Hashed { hash: Sha256Growing::new(), pieces: 0 };
        let got = std::mem::replace(&mut *hashed, begin).hash.finish();
        if got != self.sha256 {
            if let Some(wrong) = self.let_wrong_pieces_go()? {
                return Err(wrong);
            }
            self.remove()?;
            return Err(BlobError::Differs { expected: self.sha256, got });
        }
        if self.blobs.has(self.sha256) {
            return Ok(self.remove()?);
        }
        self.file.sync_all().map_err(|source| file_error(&self.path, source))?;
        self.blobs.place(&self.path, self.sha256)?;
        fs::remove_file(&self.record_path).map_err(|source| file_error(&self.record_path, source))?;
        Ok(())
    }

    /// Compares every piece with what was signed, and forgets those that differ.
    fn let_wrong_pieces_go(&self) -> Result<Option<BlobError>, StoreError> {
        let mut landed = lock(&self.landed);
        let mut wrong = Vec::new();
        for (&piece, &claimed) in &landed.pieces {
            let (offset, length) = self.extent(piece);
            let mut hash = Sha256Growing::new();
            hash.read_on(&self.file, offset, offset + length)
                .map_err(|source| file_error(&self.path, source))?;
            let actual = hash.finish();
            if actual != claimed {
                wrong.push((piece, claimed, actual));
            }
        }
        let Some(&(first, claimed, actual)) = wrong.first() else { return Ok(None) };
        for (piece, ..) in &wrong {
            landed.pieces.remove(piece);
        }
        let rewritten = write_record(&self.record_path, &landed.pieces);
        rewritten.map_err(|source| file_error(&self.record_path, source))?;
        landed.record = open(&self.record_path, true)?;
        let (offset, _) = self.extent(first);
        Ok(Some(BlobError::PiecesWrong { wrong: wrong.len(), offset, claimed, actual }))
    }

    fn remove(&self) -> Result<(), StoreError> {
        for path in [&self.record_path, &self.path] {
            fs::remove_file(path).map_err(|source| file_error(path, source))?;
        }
        Ok(())
    }
}

/// The pieces whose bytes on disk have the digest that is recorded. What is without a gap is hashed in the same pass.
fn check(
    file: &File,
    bytes: u64,
    recorded: &BTreeMap<u64, Sha256Digest>,
    hashed: &mut Hashed,
) -> io::Result<BTreeMap<u64, Sha256Digest>> {
    let mut pieces = BTreeMap::new();
    let mut buffer = Vec::new();
    for (&piece, &sha256) in recorded.range(..bytes.div_ceil(PIECE_BYTES)) {
        let (offset, length) = extent(piece, bytes);
        buffer.resize(usize::try_from(length).unwrap_or(0), 0);
        file.read_exact_at(&mut buffer, offset)?;
        if Sha256Digest::of(&buffer) != sha256 {
            continue;
        }
        pieces.insert(piece, sha256);
        if hashed.pieces == piece {
            hashed.hash.update(&buffer);
            hashed.pieces += 1;
        }
    }
    Ok(pieces)
}

fn extent(piece: u64, bytes: u64) -> (u64, u64) {
    let offset = piece.saturating_mul(PIECE_BYTES);
    (offset, PIECE_BYTES.min(bytes.saturating_sub(offset)))
}

fn line(piece: u64, sha256: Sha256Digest) -> [u8; LINE_BYTES] {
    let mut line = [0; LINE_BYTES];
    line[..8].copy_from_slice(&piece.to_le_bytes());
    line[8..].copy_from_slice(sha256.as_bytes());
    line
}

fn open(path: &Path, append: bool) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).mode(0o600).append(append).write(!append);
    options.open(path).map_err(|source| file_error(path, source))
}

/// A record as it lies there; a line that a crash cut short is no line.
fn read_record(path: &Path) -> io::Result<BTreeMap<u64, Sha256Digest>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let (lines, _cut) = bytes.as_chunks::<LINE_BYTES>();
    let read = |line: &[u8; LINE_BYTES]| {
        let (mut piece, mut sha256) = ([0; 8], [0; 32]);
        piece.copy_from_slice(&line[..8]);
        sha256.copy_from_slice(&line[8..]);
        (u64::from_le_bytes(piece), Sha256Digest::from_bytes(sha256))
    };
    Ok(lines.iter().map(read).collect())
}

/// Replaces the record as a whole, so that no crash leaves less of it.
fn write_record(path: &Path, pieces: &BTreeMap<u64, Sha256Digest>) -> io::Result<()> {
    let new = path.with_extension("new");
    let lines: Vec<u8> = pieces.iter().flat_map(|(&piece, &sha256)| line(piece, sha256)).collect();
    fs::write(&new, lines)?;
    fs::rename(new, path)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic leaves is a piece less, which is asked for again.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
