// SPDX-License-Identifier: Apache-2.0
//! The digests of a file and of its pieces in one pass, which can stop anywhere and go on later.

use std::{fs::File, io, os::unix::fs::FileExt};

use aws_lc_rs::digest::{Context, SHA256};
use sta_protocol::digest::Sha256Digest;

use super::PIECE_BYTES;

/// How much is read at once when a file is hashed.
const READ_BYTES: usize = 256 * 1024;

/// SHA-256 as it grows.
pub(super) struct Sha256Growing(Context);

impl Sha256Growing {
    pub(super) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Sha256Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        Sha256Digest::from_bytes(digest)
    }

    /// Goes on with the bytes of a file from `offset` to `end`, or to its end where that comes first.
    pub(super) fn read_on(&mut self, file: &File, mut offset: u64, end: u64) -> io::Result<u64> {
        each_read(file, offset, end, |bytes| {
            self.update(bytes);
            offset += bytes.len() as u64;
        })?;
        Ok(offset)
    }
}

/// SHA-256 of a whole file and of each of its pieces as they grow together.
pub(super) struct Rolling {
    whole: Sha256Growing,
    piece: Sha256Growing,
    /// The pieces that are whole.
    pieces: Vec<Sha256Digest>,
    /// How many bytes went in.
    pub(super) upto: u64,
}

impl std::fmt::Debug for Rolling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rolling").field("upto", &self.upto).finish_non_exhaustive()
    }
}

impl Rolling {
    pub(super) fn new() -> Self {
        let (whole, piece) = (Sha256Growing::new(), Sha256Growing::new());
        Self { whole, piece, pieces: Vec::new(), upto: 0 }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        while !bytes.is_empty() {
            let left = PIECE_BYTES - self.upto % PIECE_BYTES;
            let (now, later) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            self.piece.update(now);
            self.upto += now.len() as u64;
            if self.upto.is_multiple_of(PIECE_BYTES) {
                self.end_piece();
            }
            bytes = later;
        }
    }

    fn end_piece(&mut self) {
        let piece = std::mem::replace(&mut self.piece, Sha256Growing::new());
        self.pieces.push(piece.finish());
    }

    /// Goes on with what a file has beyond what went in.
    pub(super) fn read_on(&mut self, file: &File) -> io::Result<()> {
        each_read(file, self.upto, u64::MAX, |bytes| self.update(bytes))
    }

    /// The file's digest, and those of its pieces.
    pub(super) fn finish(mut self) -> (Sha256Digest, Vec<Sha256Digest>) {
        if !self.upto.is_multiple_of(PIECE_BYTES) {
            self.end_piece();
        }
        (self.whole.finish(), self.pieces)
    }
}

fn each_read(file: &File, mut offset: u64, end: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    while offset < end {
        let wanted = usize::try_from(end - offset).unwrap_or(READ_BYTES).min(READ_BYTES);
        match file.read_at(&mut buffer[..wanted], offset)? {
            0 => return Ok(()),
            read => {
                take(&buffer[..read]);
                offset += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_pieces_have_the_same_digests_however_they_are_cut() {
        let bytes: Vec<u8> = (0..PIECE_BYTES * 2 + 5).map(|n| (n % 251) as u8).collect();
        for step in [bytes.len(), 1 << 20, 700_001] {
            let mut rolling = Rolling::new();
            bytes.chunks(step).for_each(|part| rolling.update(part));
            let (whole, pieces) = rolling.finish();
            assert_eq!(whole, Sha256Digest::of(&bytes));
            let wanted: Vec<_> = bytes.chunks(PIECE_BYTES as usize).map(Sha256Digest::of).collect();
            assert_eq!(pieces, wanted, "in steps of {step}");
        }
    }
}
