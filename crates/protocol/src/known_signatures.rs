// SPDX-License-Identifier: Apache-2.0
//! Signatures of which it is known that they hold: computing again what was computed a moment ago says nothing new.

use std::{
    collections::HashSet,
    mem,
    sync::{Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

use crate::keys::{PublicKey, SigningKey};

/// How many signatures are remembered before the older half is forgotten.
const YOUNG_MAX: usize = 4096;

/// Signatures that were made here or were found to hold. Whether one holds follows from key, message and signature alone, so
/// that one with the same three holds again; whoever asks still checks all that depends on the time and the case at hand.
#[derive(Debug, Default)]
pub struct KnownSignatures(Mutex<Generations>);

/// SHA-256 over key, signature and message.
type Known = [u8; 32];

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Known>,
    old: HashSet<Known>,
}

impl KnownSignatures {
    /// Whether the signature is that of the key over the message: looked up, or else computed.
    #[must_use]
    pub fn verifies(&self, key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
        let known = known(key, message, signature);
        if self.has(&known) {
            return true;
        }
        let holds = key.verifies(message, signature);
        if holds {
            self.remember(known);
        }
        holds
    }

    /// Signs, and remembers that the signature holds.
    #[must_use]
    pub fn sign(&self, key: &SigningKey, message: &[u8]) -> [u8; 64] {
        let signature = key.sign(message);
        self.remember(known(&key.public_key(), message, &signature));
        signature
    }

    fn has(&self, known: &Known) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.young.contains(known) || all.old.contains(known)
    }

    fn remember(&self, known: Known) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.young.len() >= YOUNG_MAX {
            all.old = mem::take(&mut all.young);
        }
        all.young.insert(known);
    }
}

/// Key and signature have fixed lengths, so that no two cases give the same bytes.
fn known(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> Known {
    Sha256::new().chain_update(key.as_bytes()).chain_update(signature).chain_update(message).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_one_signature_says_nothing_of_another_message_key_or_signature() {
        let (key, other) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let known = KnownSignatures::default();
        let signature = known.sign(&key, b"one");
        assert!(known.verifies(&key.public_key(), b"one", &signature));
        assert!(!known.verifies(&key.public_key(), b"two", &signature));
        assert!(!known.verifies(&other.public_key(), b"one", &signature));
        assert!(!known.verifies(&key.public_key(), b"one", &[0; 64]));
        let received = other.sign(b"one");
        for _ in 0..2 {
            assert!(known.verifies(&other.public_key(), b"one", &received), "computed, then known");
        }
    }

    #[test]
    fn no_more_than_two_generations_are_remembered() {
        let known = KnownSignatures::default();
        for number in 0..3 * YOUNG_MAX {
            let mut one = [0; 32];
            one[..8].copy_from_slice(&(number as u64).to_be_bytes());
            known.remember(one);
        }
        let all = known.0.lock().unwrap();
        assert!(all.young.len() + all.old.len() <= 2 * YOUNG_MAX);
    }
}
