// SPDX-License-Identifier: Apache-2.0
//! Signed notes: a text, a blank line, and one signature line for each key that signed (C2SP signed-note v1.0.0).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use thiserror::Error;

use crate::key::{BadSignature, KeyError, KeyKind, VerifierKey, check_key_name};

/// The longest note we read or write, in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// The most signature lines of one note.
pub const NOTE_SIGNATURES_MAX: usize = 100;

const LINE_START: &str = "\u{2014} ";

/// A note with at least one signature. That it parsed says nothing about who signed: ask [`SignedNote::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line: who claims to have signed, and the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

/// A signature that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedSignature<'keys> {
    /// The key that signed.
    pub key: &'keys VerifierKey,
    /// When it signed, in unix seconds, if its kind says so.
    pub time: Option<u64>,
}

/// Signs note texts with Ed25519 (type 0x01): the log's own key.
pub struct NoteSigner {
    key: SigningKey,
    verifier: VerifierKey,
}

/// Why bytes are not a signed note, or a note cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Too long.
    #[error("the note has {bytes} bytes; at most {NOTE_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Too many signature lines.
    #[error("the note has more than {NOTE_SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// Not UTF-8, or with a control character other than newline.
    #[error("the note is not plain UTF-8 text: control characters other than newline are not allowed")]
    NotPlainText,
    /// No text that ends in a newline, or no blank line before the signatures, or none of these.
    #[error("a note is text, a blank line and at least one signature line, each ending in a newline")]
    Shape,
    /// A signature line that is not `em dash, space, name, space, base64`.
    #[error("signature line {line} is malformed: it must read `\u{2014} name base64`")]
    SignatureLine {
        /// Number of the line among the signature lines, from 1.
        line: usize,
    },
    /// A signature by a key that we know does not verify.
    #[error(transparent)]
    Forged(#[from] BadSignature),
}

impl SignedNote {
    /// Signs a text, which ends in a newline, with the first of its keys.
    ///
    /// # Errors
    /// [`NoteError`] when the text cannot be a note's.
    pub fn sign(text: String, signer: &NoteSigner) -> Result<Self, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::Shape);
        }
        check_plain(&text)?;
        let signature = signer.sign(&text);
        let note = Self { text, signatures: vec![signature] };
        note.within_limits()?;
        Ok(note)
    }

    /// Reads a note, strictly.
    ///
    /// # Errors
    /// [`NoteError`] when the bytes are anything but a note of the allowed size.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotPlainText)?;
        check_plain(note)?;
        // The text may hold blank lines itself; the last one is the border.
        let border = note.rfind("\n\n").ok_or(NoteError::Shape)?;
        let (text, lines) = (&note[..=border], &note[border + 2..]);
        let signatures = parse_signature_lines(lines)?;
        if signatures.is_empty() {
            return Err(NoteError::Shape);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The signed text, with its final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in their order, checked or not.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature line. One of the same name and key id is replaced, so that a renewed cosignature does not
    /// make the note grow.
    ///
    /// # Errors
    /// [`NoteError`] when the note would become too long; it is then unchanged.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        let mut grown = self.clone();
        grown.signatures.retain(|present| !present.same_key(&signature));
        grown.signatures.push(signature);
        grown.within_limits()?;
        *self = grown;
        Ok(())
    }

    /// Checks every signature of the given keys, and ignores those of other keys. The result may be empty: which
    /// signatures are needed is the caller's rule.
    ///
    /// # Errors
    /// [`NoteError::Forged`] when a line names one of the keys (name and id) but does not verify.
    pub fn verify<'keys>(
        &self,
        keys: &'keys [VerifierKey],
    ) -> Result<Vec<VerifiedSignature<'keys>>, NoteError> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            for key in keys.iter().filter(|key| signature.is_by(key)) {
                verified.push(VerifiedSignature { key, time: key.verify(&self.text, &signature.bytes)? });
            }
        }
        Ok(verified)
    }

    fn within_limits(&self) -> Result<(), NoteError> {
        let bytes = self.to_string().len();
        if bytes > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { bytes });
        }
        if self.signatures.len() > NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        Ok(())
    }
}

/// The note as it is stored and sent.
impl fmt::Display for SignedNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| write!(formatter, "{signature}"))
    }
}

impl NoteSignature {
    pub(crate) fn new(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name().to_owned(), key_id: key.id(), bytes }
    }

    /// The name of the key that claims to have signed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key that claims to have signed.
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// The signature itself, without the key id.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether name and id are this key's. Only [`SignedNote::verify`] tells whether the key signed.
    #[must_use]
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.key_id == key.id()
    }

    fn same_key(&self, other: &Self) -> bool {
        self.name == other.name && self.key_id == other.key_id
    }
}

/// The signature line, with its newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identified = [&self.key_id[..], &self.bytes].concat();
        writeln!(formatter, "{LINE_START}{} {}", self.name, STANDARD.encode(identified))
    }
}

impl NoteSigner {
    /// A signer from the 32-byte Ed25519 seed (RFC 8032).
    ///
    /// # Errors
    /// [`KeyError`] when the name cannot be a key name.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, KeyKind::Ed25519, key.verifying_key().as_bytes())?;
        Ok(Self { key, verifier })
    }

    /// The public half.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a note text.
    #[must_use]
    pub fn sign(&self, text: &str) -> NoteSignature {
        NoteSignature::new(&self.verifier, self.key.sign(text.as_bytes()).to_bytes().to_vec())
    }
}

/// Names the key without its secret half.
impl fmt::Debug for NoteSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NoteSigner({})", self.verifier)
    }
}

/// Reads signature lines, each with its newline; none at all is an empty list.
pub(crate) fn parse_signature_lines(lines: &str) -> Result<Vec<NoteSignature>, NoteError> {
    let mut signatures = Vec::new();
    for (at, line) in lines.split_inclusive('\n').enumerate() {
        if at == NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        let signature = parse_signature_line(line).ok_or(NoteError::SignatureLine { line: at + 1 })?;
        signatures.push(signature);
    }
    Ok(signatures)
}

fn parse_signature_line(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix(LINE_START)?.strip_suffix('\n')?.split_once(' ')?;
    check_key_name(name).ok()?;
    let identified = STANDARD.decode(encoded).ok()?;
    let (key_id, bytes) = identified.split_first_chunk::<4>()?;
    if bytes.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
}

fn check_plain(text: &str) -> Result<(), NoteError> {
    // ASCII control characters are single bytes in UTF-8 and never part of another character.
    if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') { Err(NoteError::NotPlainText) } else { Ok(()) }
}
