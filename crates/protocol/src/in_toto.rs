// SPDX-License-Identifier: Apache-2.0
//! Statements about artefacts in the form of in-toto (Attestation Framework, Statement v1): what is said, and of which bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    digest::{DigestError, Sha256Digest, canonical_json},
    dsse::{Envelope, EnvelopeError},
    keys::SigningKey,
};

/// The media type of a statement in its envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// A statement about its subjects. As the framework asks, a reader ignores fields that it does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement<P> {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: String,
    /// What it is about: at least one, each by a SHA-256.
    pub subject: Vec<Resource>,
    /// What kind of predicate.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said.
    pub predicate: P,
}

/// Something named by its digest (`ResourceDescriptor`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "A: Deserialize<'de>"))]
pub struct Resource<A = serde_json::Map<String, serde_json::Value>> {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is, or what it is named by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its digests by algorithm; `sha256` in ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<A>,
}

impl<A> Resource<A> {
    /// Something with a name and a SHA-256.
    #[must_use]
    pub fn named(name: &str, sha256: Sha256Digest) -> Self {
        Self {
            name: Some(name.to_owned()),
            uri: None,
            digest: sha256_set(sha256),
            media_type: None,
            annotations: None,
        }
    }

    /// Its SHA-256, if it has one that is written as it should be.
    #[must_use]
    pub fn sha256(&self) -> Option<Sha256Digest> {
        self.digest.get("sha256").and_then(|hex| hex.parse().ok())
    }
}

/// A set of digests with a SHA-256 alone.
#[must_use]
pub fn sha256_set(sha256: Sha256Digest) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), sha256.to_string())])
}

impl<P: Serialize> Statement<P> {
    /// A statement of this kind about these subjects.
    #[must_use]
    pub fn new(subject: Vec<Resource>, predicate_type: &str, predicate: P) -> Self {
        Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// The statement as canonical JSON in a signed envelope.
    ///
    /// # Errors
    /// It cannot be written, or is too long.
    pub fn sign(&self, key: &SigningKey) -> Result<Envelope, EnvelopeError> {
        let payload = canonical_json(self).map_err(|error: DigestError| EnvelopeError::Unwritable(error))?;
        Envelope::sign(PAYLOAD_TYPE, &payload, key)
    }
}
