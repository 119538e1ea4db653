// SPDX-License-Identifier: Apache-2.0
//! Checkpoints: the signed head of a log, as C2SP tlog-checkpoint v1.0.0 writes it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::key::{KeyKind, VerifierKey};
use crate::merkle::Hash;
use crate::note::{NoteError, NoteSigner, SignedNote};

/// The head of a log: whose, how many entries, and the root over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

/// Why a text is not a checkpoint, or a note not a checkpoint of this log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Not the lines of a checkpoint.
    #[error("checkpoint line {line} must be {expected}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// The note around it is malformed or forged.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The key is a witness's.
    #[error("key `{name}` is a witness's (type 0x04); a log signs with a key of type 0x01")]
    NotALogKey {
        /// Name of the key.
        name: String,
    },
    /// The log's key has not signed.
    #[error("the checkpoint of `{origin}` carries no signature by the log's key `{name}`")]
    Unsigned {
        /// Origin line of the checkpoint.
        origin: String,
        /// Name of the key.
        name: String,
    },
    /// Signed by the key, but for another log than the key's.
    #[error("the checkpoint is of log `{origin}`, but the key is of log `{name}`")]
    OtherLog {
        /// Origin line of the checkpoint.
        origin: String,
        /// Name of the key.
        name: String,
    },
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    ///
    /// # Errors
    /// [`CheckpointError::Line`] when the origin is empty or holds a control character.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        check_line(origin, 1, "the origin, which is not empty and has no control character")?;
        Ok(Self { origin: origin.to_owned(), size, root, extensions: Vec::new() })
    }

    /// The log's identity, by our rule the name of its key.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root hash over the entries.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Lines after the root, kept because signatures cover them. They mean nothing here.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Signs the checkpoint as its log. Who signs must never have signed one that is inconsistent with it.
    ///
    /// # Errors
    /// [`CheckpointError`] when the key is another log's, or the extension lines are too long for a note.
    pub fn sign(&self, signer: &NoteSigner) -> Result<SignedNote, CheckpointError> {
        self.require_name(signer.verifier_key())?;
        Ok(SignedNote::sign(self.to_string(), signer)?)
    }

    /// The checkpoint in a note, if the log's key signed it and its origin is the key's name.
    ///
    /// C2SP recommends that name and origin are equal; we require it, so that a key never speaks for two logs.
    ///
    /// # Errors
    /// [`CheckpointError`] when the text is not a checkpoint, or not signed by this key, or of another log.
    pub fn open(note: &SignedNote, log_key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint: Self = note.text().parse()?;
        if log_key.kind() != KeyKind::Ed25519 {
            return Err(CheckpointError::NotALogKey { name: log_key.name().to_owned() });
        }
        if note.verify(std::slice::from_ref(log_key))?.is_empty() {
            let (origin, name) = (checkpoint.origin, log_key.name().to_owned());
            return Err(CheckpointError::Unsigned { origin, name });
        }
        checkpoint.require_name(log_key)?;
        Ok(checkpoint)
    }

    fn require_name(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        if key.name() == self.origin {
            return Ok(());
        }
        Err(CheckpointError::OtherLog { origin: self.origin.clone(), name: key.name().to_owned() })
    }
}

/// The note text, with its final newline.
impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let ended = CheckpointError::Line { line: text.lines().count(), expected: "ended by a newline" };
        let mut lines = text.strip_suffix('\n').ok_or(ended)?.split('\n');
        let origin = lines.next().unwrap_or_default();
        let size = lines.next().and_then(parse_decimal);
        let size = size.ok_or(CheckpointError::Line {
            line: 2,
            expected: "the tree size, a decimal number without leading zeros",
        })?;
        let root = lines.next().and_then(Hash::from_base64);
        let root =
            root.ok_or(CheckpointError::Line { line: 3, expected: "the root hash, 32 bytes in base64" })?;
        let mut checkpoint = Self::new(origin, size, root)?;
        for (at, line) in lines.enumerate() {
            check_line(line, at + 4, "an extension line, which is not empty and has no control character")?;
            checkpoint.extensions.push(line.to_owned());
        }
        Ok(checkpoint)
    }
}

/// Reads an ASCII decimal number in its only allowed spelling: digits alone, no leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !only_digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

fn check_line(line: &str, number: usize, expected: &'static str) -> Result<(), CheckpointError> {
    if line.is_empty() || line.bytes().any(|byte| byte < 0x20) {
        return Err(CheckpointError::Line { line: number, expected });
    }
    Ok(())
}
