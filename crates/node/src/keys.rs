// SPDX-License-Identifier: Apache-2.0
//! A member's private keys: files with mode 0600 in a directory with mode 0700, made once by `sta init`.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use sta_audit::{cosignature::Cosigner, note::NoteSigner};
use sta_protocol::{
    keys::{SigningKey, VisaSigningKey},
    treaty::MemberKeys,
};
use zeroize::Zeroizing;

use crate::outside::Chance;

/// The four keys of a member.
pub struct Keys {
    /// Ed25519: HTTP signatures and documents.
    pub signing: SigningKey,
    /// Ed25519: checkpoints of this node's log.
    pub log: NoteSigner,
    /// Ed25519: cosignatures of others' logs.
    pub witness: Cosigner,
    /// ES256: visas and passports.
    pub visa: VisaSigningKey,
}

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("cannot use the key file `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read the file.
    #[error("the key file `{path}` has mode {mode:o}: nobody else may read it, run `chmod 600 {path}`")]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds no key.
    #[error("the key file `{path}` holds no key of its kind: {problem}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How it fails.
        problem: String,
    },
}

const SEEDS: [&str; 3] = ["signing.seed", "log.seed", "witness.seed"];
const VISA: &str = "visa.p8";
const ORIGIN: &str = "log.origin";

impl Keys {
    /// Makes fresh keys in `directory`; keys that are there stay.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn create(directory: &Path, origin: &str, chance: &dyn Chance) -> Result<(), KeysError> {
        let failed = |path: &Path, source| KeysError::File { path: path.to_owned(), source };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| failed(directory, source))?;
        for name in SEEDS {
            let mut seed = Zeroizing::new([0; 32]);
            chance.fill(&mut *seed);
            write_secret(&directory.join(name), &*seed)?;
        }
        let path = directory.join(VISA);
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .and_then(|pair| pair.to_pkcs8v1())
            .map_err(|_| KeysError::Damaged { path: path.clone(), problem: "cannot be made".to_owned() })?;
        write_secret(&path, pair.as_ref())?;
        write_secret(&directory.join(ORIGIN), origin.as_bytes())
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// A file is missing, readable by others, or not a key.
    pub fn load(directory: &Path) -> Result<Self, KeysError> {
        let origin = String::from_utf8_lossy(&read_secret(&directory.join(ORIGIN))?).into_owned();
        let damaged =
            |name: &str, problem: String| KeysError::Damaged { path: directory.join(name), problem };
        let seed = |name: &str| -> Result<Zeroizing<[u8; 32]>, KeysError> {
            let bytes = read_secret(&directory.join(name))?;
            let seed = <[u8; 32]>::try_from(bytes.as_slice())
                .map_err(|_| damaged(name, "needs 32 bytes".to_owned()))?;
            Ok(Zeroizing::new(seed))
        };
        let witness_name = format!("{origin}/witness");
        Ok(Self {
            signing: SigningKey::from_seed(*seed(SEEDS[0])?),
            log: NoteSigner::new(&origin, &*seed(SEEDS[1])?)
                .map_err(|error| damaged(ORIGIN, error.to_string()))?,
            witness: Cosigner::new(&witness_name, &*seed(SEEDS[2])?)
                .map_err(|error| damaged(ORIGIN, error.to_string()))?,
            visa: VisaSigningKey::from_pkcs8_der(&read_secret(&directory.join(VISA))?)
                .map_err(|error| damaged(VISA, error.to_string()))?,
        })
    }

    /// Reads the key of the log alone, which the store's writer holds for itself.
    ///
    /// # Errors
    /// As [`Keys::load`].
    pub fn load_log(directory: &Path) -> Result<NoteSigner, KeysError> {
        Self::load(directory).map(|keys| keys.log)
    }

    /// The public halves, as the treaty lists them.
    #[must_use]
    pub fn public(&self) -> MemberKeys {
        MemberKeys {
            signing: self.signing.public_key(),
            log: self.log.verifier_key().to_string(),
            witness: self.witness.verifier_key().to_string(),
            visa: self.visa.public_key().clone(),
        }
    }
}

/// Writes a new file that only its owner can read; an existing one stays as it is.
///
/// # Errors
/// The file cannot be written.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Reads a file that must be readable by its owner alone.
///
/// # Errors
/// It is missing, or others can read it.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let failed = |source| KeysError::File { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeysError::Exposed { path: path.to_owned(), mode });
    }
    fs::read(path).map(Zeroizing::new).map_err(failed)
}
