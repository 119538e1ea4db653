// SPDX-License-Identifier: Apache-2.0
//! Verifier keys (vkeys) as C2SP signed-note writes them: `name+id+base64(type || public key)`.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The longest key name we read or write, in bytes. Names are schema-less URLs; a host name alone has at most 253.
pub const KEY_NAME_BYTES_MAX: usize = 512;

/// What a key signs, and so how its signatures are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// 0x01: Ed25519 over the note text. The log's own key.
    Ed25519,
    /// 0x04: Ed25519 over a time and the note text. A witness's key.
    CosignatureV1,
}

impl KeyKind {
    /// The signature type identifier byte of C2SP signed-note.
    #[must_use]
    pub fn identifier(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }
}

/// A public key with the name it signs under. Its text form is the vkey.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    id: [u8; 4],
    public: VerifyingKey,
}

/// Why a text is not a verifier key, or a name not a key name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not `name+id+base64`.
    #[error("a verifier key reads `name+8 hexadecimal digits+base64`, with nothing before or after")]
    Shape,
    /// Empty, too long, or with a character that would break a signature line.
    #[error(
        "key name `{name}` must be 1 to {KEY_NAME_BYTES_MAX} bytes without spaces, `+` or control characters"
    )]
    Name {
        /// The name as given, shortened and escaped.
        name: String,
    },
    /// A type that this crate does not verify.
    #[error("key `{name}` has type {identifier:#04x}; 0x01 (log) and 0x04 (witness) are known here")]
    Kind {
        /// Name of the key.
        name: String,
        /// Its type identifier byte.
        identifier: u8,
    },
    /// Not a usable Ed25519 public key.
    #[error("key `{name}` does not hold a usable Ed25519 public key: ask its owner for the key again")]
    Public {
        /// Name of the key.
        name: String,
    },
    /// The id does not belong to name, type and key: one of them was altered or mistyped.
    #[error(
        "the id in key `{name}` is {written}, but name, type and key give {computed}: ask its owner for the key again"
    )]
    Id {
        /// Name of the key.
        name: String,
        /// The id as written.
        written: String,
        /// The id as it should be.
        computed: String,
    },
}

/// The signature of a known key does not verify.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the signature by `{name}` does not verify: the text or the signature was altered")]
pub struct BadSignature {
    /// Name of the key.
    pub name: String,
}

impl VerifierKey {
    /// A key from its parts: name, kind and the 32 bytes of the Ed25519 public key (RFC 8032).
    ///
    /// # Errors
    /// [`KeyError`] when the name or the public key cannot be used.
    pub fn new(name: &str, kind: KeyKind, public: &[u8; 32]) -> Result<Self, KeyError> {
        check_key_name(name)?;
        let refused = || KeyError::Public { name: name.to_owned() };
        let public_key = VerifyingKey::from_bytes(public).map_err(|_| refused())?;
        // A key of small order would verify signatures that nobody made.
        if public_key.is_weak() {
            return Err(refused());
        }
        Ok(Self { name: name.to_owned(), kind, id: key_id(name, kind, public), public: public_key })
    }

    /// The name that signature lines carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The first four bytes of SHA-256(name || newline || type || public key). Not a proof of anything by itself.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The 32 bytes of the Ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.public.to_bytes()
    }

    /// Checks the signature bytes of a note line (without the key id) over the note text.
    ///
    /// Gives the time of a cosignature, in unix seconds, and None for the other kind.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify.
    pub fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, BadSignature> {
        let bad = || BadSignature { name: self.name.clone() };
        let (time, message, ed25519) = match self.kind {
            KeyKind::Ed25519 => (None, text.as_bytes().to_vec(), signature),
            KeyKind::CosignatureV1 => {
                let (time, rest) = signature.split_first_chunk::<8>().ok_or_else(bad)?;
                let time = u64::from_be_bytes(*time);
                let message = cosigned_message(text, time).ok_or_else(bad)?;
                (Some(time), message.into_bytes(), rest)
            }
        };
        let ed25519 = Signature::from_slice(ed25519).map_err(|_| bad())?;
        self.public.verify_strict(&message, &ed25519).map_err(|_| bad())?;
        Ok(time)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![self.kind.identifier()];
        typed.extend_from_slice(self.public.as_bytes());
        write!(formatter, "{}+{}+{}", self.name, hexadecimal(self.id), STANDARD.encode(typed))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        // Base64 may hold `+`, a name may not: so the first two are the separators.
        let (name, rest) = text.split_once('+').ok_or(KeyError::Shape)?;
        let (id, encoded) = rest.split_once('+').ok_or(KeyError::Shape)?;
        check_key_name(name)?;
        let id_is_hexadecimal = id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !id_is_hexadecimal || encoded.len() > 8 * 1024 {
            return Err(KeyError::Shape);
        }
        let typed = STANDARD.decode(encoded).map_err(|_| KeyError::Shape)?;
        let (identifier, public) = typed.split_first().ok_or(KeyError::Shape)?;
        let kind = match identifier {
            0x01 => KeyKind::Ed25519,
            0x04 => KeyKind::CosignatureV1,
            other => return Err(KeyError::Kind { name: name.to_owned(), identifier: *other }),
        };
        let public = public.try_into().map_err(|_| KeyError::Public { name: name.to_owned() })?;
        let key = Self::new(name, kind, public)?;
        let computed = hexadecimal(key.id);
        if !computed.eq_ignore_ascii_case(id) {
            return Err(KeyError::Id { name: name.to_owned(), written: id.to_owned(), computed });
        }
        Ok(key)
    }
}

/// Checks that a name can stand in a signature line and in a vkey.
///
/// # Errors
/// [`KeyError::Name`] when it cannot.
pub fn check_key_name(name: &str) -> Result<(), KeyError> {
    let allowed = |character: char| !character.is_whitespace() && !character.is_control() && character != '+';
    if name.is_empty() || name.len() > KEY_NAME_BYTES_MAX || !name.chars().all(allowed) {
        let shown = name.chars().take(64).flat_map(char::escape_debug).collect();
        return Err(KeyError::Name { name: shown });
    }
    Ok(())
}

/// What a cosignature of type 0x04 signs: two header lines, then the note text (C2SP tlog-cosignature).
///
/// None for times beyond 2^63 - 1 seconds, which the format does not allow.
pub(crate) fn cosigned_message(text: &str, time: u64) -> Option<String> {
    i64::try_from(time).ok()?;
    Some(format!("cosignature/v1\ntime {time}\n{text}"))
}

fn key_id(name: &str, kind: KeyKind, public: &[u8; 32]) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind.identifier()])
        .chain_update(public)
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

fn hexadecimal(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}
