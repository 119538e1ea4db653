// SPDX-License-Identifier: Apache-2.0
//! Proof files: that one entry is in a witnessed log, checked without asking anybody (C2SP tlog-proof, draft,
//! `c2sp.org/tlog-proof@v1`; by custom with the extension `.tlog-proof`).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use thiserror::Error;

use crate::checkpoint::{Checkpoint, CheckpointError, parse_decimal};
use crate::cosignature::{CosignatureError, Cosigned, require_quorum};
use crate::key::VerifierKey;
use crate::merkle::{Hash, MerkleError, PATH_HASHES_MAX, leaf_hash, verify_inclusion};
use crate::note::{NOTE_BYTES_MAX, NoteError, SignedNote};

/// The most extra data of one proof, in bytes.
pub const EXTRA_BYTES_MAX: usize = 32 * 1024;

/// The longest proof file, in bytes: extra data in base64, path, note, and the lines between.
pub const PROOF_BYTES_MAX: usize = EXTRA_BYTES_MAX / 3 * 4 + NOTE_BYTES_MAX + 4 * 1024;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof as its file says it, not yet verified. Its text form is the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    index: u64,
    path: Vec<Hash>,
    note: SignedNote,
    extra: Vec<u8>,
}

/// What a verified proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The checkpoint that the entry is under.
    pub checkpoint: Checkpoint,
    /// Zero-based index of the entry in the log.
    pub index: u64,
    /// The trusted witnesses that cosigned the checkpoint.
    pub cosigned: Vec<Cosigned>,
}

/// Why bytes are not a proof, or do not prove what they should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// Too long.
    #[error("the proof has {bytes} bytes; at most {PROOF_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Not the lines of a proof.
    #[error("proof line {line} must be {expected}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// More extra data than [`EXTRA_BYTES_MAX`].
    #[error("the proof carries {bytes} bytes of extra data; at most {EXTRA_BYTES_MAX} are allowed")]
    Extra {
        /// Number of bytes.
        bytes: usize,
    },
    /// More hashes than any path has.
    #[error("the path has {hashes} hashes; no path has more than {PATH_HASHES_MAX}")]
    Path {
        /// Number of hashes.
        hashes: usize,
    },
    /// The checkpoint's note is malformed.
    #[error("the checkpoint of the proof is malformed: {0}")]
    Note(NoteError),
    /// The checkpoint is not the log's.
    #[error("the checkpoint of the proof is not trusted: {0}")]
    Checkpoint(CheckpointError),
    /// The checkpoint is not witnessed as required.
    #[error("the checkpoint of the proof is not witnessed as required: {0}")]
    Witnesses(CosignatureError),
    /// The entry is not at this index under this checkpoint.
    #[error("the entry is not entry {index} of the log: {reason}")]
    Inclusion {
        /// Index that the proof claims.
        index: u64,
        /// What the path check says.
        reason: MerkleError,
    },
}

impl Proof {
    /// A proof for entry `index`, with its path and the checkpoint that the path leads to. `extra` is opaque, not
    /// authenticated, and usually empty.
    ///
    /// # Errors
    /// [`ProofError`] when path or extra data are too long.
    pub fn new(index: u64, path: Vec<Hash>, note: SignedNote, extra: Vec<u8>) -> Result<Self, ProofError> {
        if path.len() > PATH_HASHES_MAX {
            return Err(ProofError::Path { hashes: path.len() });
        }
        if extra.len() > EXTRA_BYTES_MAX {
            return Err(ProofError::Extra { bytes: extra.len() });
        }
        Ok(Self { index, path, note, extra })
    }

    /// Reads a proof file, strictly.
    ///
    /// # Errors
    /// [`ProofError`] when the bytes are anything but a proof of the allowed size.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLong { bytes: bytes.len() });
        }
        let file = std::str::from_utf8(bytes).map_err(|_| ProofError::Note(NoteError::NotPlainText))?;
        let no_border =
            ProofError::Line { line: 1, expected: "followed by a blank line before the checkpoint" };
        let (head, note) = file.split_once("\n\n").ok_or(no_border)?;
        let mut lines = (1..).zip(head.split('\n')).peekable();
        if lines.next().is_none_or(|(_, line)| line != HEADER) {
            return Err(ProofError::Line { line: 1, expected: "`c2sp.org/tlog-proof@v1`" });
        }
        let mut extra = Vec::new();
        if let Some((line, text)) = lines.next_if(|(_, text)| text.starts_with("extra ")) {
            extra = STANDARD.decode(&text["extra ".len()..]).unwrap_or_default();
            if extra.is_empty() {
                return Err(ProofError::Line { line, expected: "`extra` and data in base64, or left out" });
            }
        }
        let (line, text) = lines.next().unwrap_or((2, ""));
        let index = text.strip_prefix("index ").and_then(parse_decimal);
        let index = index.ok_or(ProofError::Line {
            line,
            expected: "`index` and the entry's number, without leading zeros",
        })?;
        let mut path = Vec::new();
        for (line, text) in lines.take(PATH_HASHES_MAX + 1) {
            let hash = Hash::from_base64(text);
            path.push(hash.ok_or(ProofError::Line { line, expected: "a hash, 32 bytes in base64" })?);
        }
        let note = SignedNote::parse(note.as_bytes()).map_err(ProofError::Note)?;
        Self::new(index, path, note, extra)
    }

    /// Zero-based index that the proof claims for the entry.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The path from the leaf's sibling up to the root's child.
    #[must_use]
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// The note with the checkpoint.
    #[must_use]
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// Opaque data that came along. Nobody signed it: do not trust it.
    #[must_use]
    pub fn extra(&self) -> &[u8] {
        &self.extra
    }

    /// Verifies that `entry` is at the proof's index in the log of `log_key`, under a checkpoint that at least `quorum`
    /// different ones of the witnesses cosigned.
    ///
    /// # Errors
    /// [`ProofError`] that names the first thing which does not hold.
    pub fn verify(
        &self,
        entry: &[u8],
        log_key: &VerifierKey,
        witness_keys: &[VerifierKey],
        quorum: usize,
    ) -> Result<Verified, ProofError> {
        let checkpoint = Checkpoint::open(&self.note, log_key).map_err(ProofError::Checkpoint)?;
        let cosigned = require_quorum(&self.note, witness_keys, quorum).map_err(ProofError::Witnesses)?;
        verify_inclusion(self.index, checkpoint.size(), &leaf_hash(entry), &checkpoint.root(), &self.path)
            .map_err(|reason| ProofError::Inclusion { index: self.index, reason })?;
        Ok(Verified { checkpoint, index: self.index, cosigned })
    }
}

/// The proof file.
impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{HEADER}")?;
        if !self.extra.is_empty() {
            writeln!(formatter, "extra {}", STANDARD.encode(&self.extra))?;
        }
        writeln!(formatter, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(formatter, "{hash}"))?;
        write!(formatter, "\n{}", self.note)
    }
}
