// SPDX-License-Identifier: Apache-2.0
//! Cosignatures: a witness's timestamped word that a checkpoint is consistent with all it saw before
//! (C2SP tlog-cosignature v1, Ed25519, key type 0x04).

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use thiserror::Error;

use crate::key::{KeyError, KeyKind, VerifierKey, cosigned_message};
use crate::note::{NoteError, NoteSignature, SignedNote};

/// A witness's signing key. It must serve nothing else: the signed message does not name the witness.
pub struct Cosigner {
    key: SigningKey,
    verifier: VerifierKey,
}

/// A witness that cosigned, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// Name of the witness's key.
    pub name: String,
    /// Unix seconds, as the witness's clock had them. Whether that is recent enough is the caller's rule.
    pub time: u64,
}

/// Why a cosignature cannot be made, or a note is not witnessed well enough.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CosignatureError {
    /// The note is malformed or a cosignature in it is forged.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The format's times end at 2^63 - 1.
    #[error("{time} seconds is beyond the last time a cosignature can carry: check the clock")]
    Time {
        /// Unix seconds given.
        time: u64,
    },
    /// The key is not a witness's.
    #[error("key `{name}` is not a witness's: cosignatures are checked with keys of type 0x04")]
    NotAWitnessKey {
        /// Name of the key.
        name: String,
    },
    /// Too few of the trusted witnesses cosigned.
    #[error("{cosigned} of the trusted witnesses cosigned the checkpoint, but {quorum} are needed")]
    Quorum {
        /// Number of different witness keys that cosigned.
        cosigned: usize,
        /// Number that is needed.
        quorum: usize,
    },
}

impl Cosigner {
    /// A cosigner from the 32-byte Ed25519 seed (RFC 8032).
    ///
    /// # Errors
    /// [`KeyError`] when the name cannot be a key name.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, KeyKind::CosignatureV1, key.verifying_key().as_bytes())?;
        Ok(Self { key, verifier })
    }

    /// The public half.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a checkpoint's text at a time in unix seconds. Only [`crate::witness::witness`] knows whether a witness
    /// may.
    ///
    /// # Errors
    /// [`CosignatureError::Time`] beyond 2^63 - 1 seconds.
    pub fn cosign(&self, text: &str, time: u64) -> Result<NoteSignature, CosignatureError> {
        let message = cosigned_message(text, time).ok_or(CosignatureError::Time { time })?;
        let mut timestamped = time.to_be_bytes().to_vec();
        timestamped.extend_from_slice(&self.key.sign(message.as_bytes()).to_bytes());
        Ok(NoteSignature::new(&self.verifier, timestamped))
    }
}

/// Names the key without its secret half.
impl fmt::Debug for Cosigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cosigner({})", self.verifier)
    }
}

/// The trusted witnesses that cosigned a note, each once with its latest time, in the order of the keys.
///
/// # Errors
/// [`CosignatureError`] when a key is no witness's, or a cosignature by one of the keys does not verify.
pub fn cosigned_by(
    note: &SignedNote,
    witness_keys: &[VerifierKey],
) -> Result<Vec<Cosigned>, CosignatureError> {
    if let Some(key) = witness_keys.iter().find(|key| key.kind() != KeyKind::CosignatureV1) {
        return Err(CosignatureError::NotAWitnessKey { name: key.name().to_owned() });
    }
    let verified = note.verify(witness_keys)?;
    let mut latest: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    for signature in &verified {
        let time = signature.time.unwrap_or_default();
        let seen = latest.entry(signature.key.public_key()).or_insert(time);
        *seen = time.max(*seen);
    }
    let mut cosigned = Vec::new();
    for key in witness_keys {
        // By public key, because one key under two names is still one witness: taken out once, it counts once.
        let signed_under_this_name = verified.iter().any(|signature| signature.key == key);
        if let Some(time) = signed_under_this_name.then(|| latest.remove(&key.public_key())).flatten() {
            cosigned.push(Cosigned { name: key.name().to_owned(), time });
        }
    }
    Ok(cosigned)
}

/// Like [`cosigned_by`], and an error unless at least `quorum` different witnesses cosigned.
///
/// # Errors
/// [`CosignatureError::Quorum`] when there are fewer, and those of [`cosigned_by`].
pub fn require_quorum(
    note: &SignedNote,
    witness_keys: &[VerifierKey],
    quorum: usize,
) -> Result<Vec<Cosigned>, CosignatureError> {
    let cosigned = cosigned_by(note, witness_keys)?;
    if cosigned.len() < quorum {
        return Err(CosignatureError::Quorum { cosigned: cosigned.len(), quorum });
    }
    Ok(cosigned)
}
