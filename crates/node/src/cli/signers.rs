// SPDX-License-Identifier: Apache-2.0
//! Whose signatures a command believes: those of a treaty's members, or of keys that are named; and the key that it signs with.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use sta_protocol::keys::{PublicKey, SigningKey};

use super::{
    failure::{Exit, Failure, Trying},
    treaty::verified,
};
use crate::keys::read_secret;

/// The keys to believe.
#[derive(Debug, Clone, Args)]
pub(super) struct SignersArgs {
    /// The signed treaty, whose members' keys are believed
    #[arg(long, value_name = "treaty.jws.json")]
    treaty: Option<PathBuf>,
    /// A public Ed25519 key that is believed, 43 characters of base64url; may be repeated
    #[arg(long = "public-key", value_name = "KEY")]
    public_keys: Vec<PublicKey>,
}

/// Known keys by their names, each with whose it is.
pub(super) struct Signers(BTreeMap<String, (PublicKey, String)>);

impl SignersArgs {
    /// Reads the treaty and gathers the keys.
    ///
    /// # Errors
    /// The treaty does not hold, or nobody is to be believed.
    pub(super) fn read(&self, doing: &str) -> Result<Signers, Failure> {
        let named = self.public_keys.iter().map(|key| (key.key_id(), (*key, "the key given".to_owned())));
        let mut known: BTreeMap<_, _> = named.collect();
        if let Some(path) = &self.treaty {
            let treaty = verified(path)?;
            let members = treaty.members.iter();
            known.extend(
                members.map(|member| {
                    (member.keys.signing.key_id(), (member.keys.signing, member.id.to_string()))
                }),
            );
        }
        if known.is_empty() {
            return Err(Failure::new(doing, "nobody's signature is to be believed")
                .exit(Exit::Usage)
                .mend("Give the treaty with --treaty, or the signer's public key with --public-key."));
        }
        Ok(Signers(known))
    }
}

impl Signers {
    /// The key of that name.
    pub(super) fn key(&self, key_id: &str) -> Option<PublicKey> {
        self.0.get(key_id).map(|(key, _)| *key)
    }

    /// Whose keys these are.
    pub(super) fn names(&self, key_ids: &[String]) -> Vec<String> {
        let name = |key_id: &String| self.0.get(key_id).map(|(_, name)| name.clone());
        key_ids.iter().filter_map(name).collect()
    }
}

/// The private key of a file that nobody else can read.
///
/// # Errors
/// It is missing, readable by others, or no key.
pub(super) fn signing_key(path: &Path, doing: &str) -> Result<SigningKey, Failure> {
    let seed = read_secret(path).trying_to(doing)?;
    let seed: [u8; 32] = seed.as_slice().try_into().map_err(|_| {
        Failure::new(doing, format!("the key file `{}` has {} bytes, not 32", path.display(), seed.len()))
            .exit(Exit::Usage)
            .mend("Give the file keys/signing.seed of a node that `sta init` made, or 32 random bytes of your own.")
    })?;
    Ok(SigningKey::from_seed(seed))
}
