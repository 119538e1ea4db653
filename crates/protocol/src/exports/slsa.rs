// SPDX-License-Identifier: Apache-2.0
//! A gate's verdict on an artefact as a SLSA verification summary (VSA v1): which policy was asked about which bytes, when,
//! on which evidence, and whether they passed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::whole_seconds;
use crate::{
    digest::Sha256Digest,
    dsse::{Envelope, EnvelopeError},
    ids::{MemberId, ModelId},
    in_toto::{PAYLOAD_TYPE, Resource, STATEMENT_TYPE, Statement, sha256_set},
    keys::{PublicKey, SigningKey},
    record::{InvalidRecord, check_label, check_not_empty, check_unique, check_word},
};

/// The kind of statement.
pub const SUMMARY_PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";

/// What a gate decided about weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSummary {
    /// The gate, such as `export-weights`.
    pub gate: String,
    /// The member whose node decided.
    pub member: MemberId,
    /// The version of the software that decided.
    pub software_version: String,
    /// The model.
    pub model: ModelId,
    /// The weights that may pass, by name and digest.
    pub weights: Vec<(String, Sha256Digest)>,
    /// Digest of the rules that were asked.
    pub policy: Sha256Digest,
    /// Digests of the attestations that the verdict rests on.
    pub evidence: Vec<Sha256Digest>,
    /// Whether they passed.
    pub passed: bool,
    /// When it was decided.
    pub at: Timestamp,
}

/// The predicate (`verification_summary/v1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    verifier: Verifier,
    time_verified: Timestamp,
    resource_uri: String,
    policy: Artefact,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    input_attestations: Vec<Artefact>,
    verification_result: String,
    verified_levels: Vec<String>,
    slsa_version: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Verifier {
    id: String,
    #[serde(default)]
    version: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Artefact {
    #[serde(default)]
    uri: String,
    digest: BTreeMap<String, String>,
}

impl Artefact {
    fn new(kind: &str, digest: Sha256Digest) -> Self {
        Self { uri: format!("urn:sta:{kind}:{digest}"), digest: sha256_set(digest) }
    }

    fn sha256(&self) -> Option<Sha256Digest> {
        self.digest.get("sha256").and_then(|hex| hex.parse().ok())
    }
}

/// Why there is no summary, or it does not hold.
#[derive(Debug, thiserror::Error)]
pub enum GateSummaryRefused {
    /// The envelope does not hold.
    #[error("the summary's envelope does not hold")]
    Envelope(#[from] EnvelopeError),
    /// The payload is no summary.
    #[error("the payload is no SLSA verification summary")]
    Payload(#[source] serde_json::Error),
    /// A field breaks a bound.
    #[error("the summary's {0}")]
    Invalid(#[from] InvalidRecord),
    /// It is a summary of another kind than ours.
    #[error("the summary {0}")]
    NotOurs(&'static str),
}

impl GateSummary {
    /// The level that a passed gate proves, in a name space that is not SLSA's.
    fn level(&self) -> String {
        let word = self.gate.to_ascii_uppercase().replace(['-', '.'], "_");
        if self.passed { format!("STA_GATE_{word}") } else { "FAILED".to_owned() }
    }

    fn check(&self) -> Result<(), InvalidRecord> {
        check_word("gate", &self.gate)?;
        check_label("software_version", &self.software_version)?;
        check_not_empty("weights", self.weights.len(), "name what the gate decided about")?;
        let names: Vec<&str> = self.weights.iter().map(|(name, _)| name.as_str()).collect();
        check_unique("weights", &names)?;
        check_unique("evidence", &self.evidence)
    }

    /// Signs the summary.
    ///
    /// # Errors
    /// [`GateSummaryRefused`].
    pub fn sign(&self, key: &SigningKey) -> Result<Envelope, GateSummaryRefused> {
        self.check()?;
        let summary = Summary {
            verifier: Verifier {
                id: format!("urn:sta:gate:{}:{}", self.member, self.gate),
                version: BTreeMap::from([("sta".to_owned(), self.software_version.clone())]),
            },
            time_verified: whole_seconds(self.at).parse().unwrap_or(self.at),
            resource_uri: format!("urn:sta:model:{}", self.model),
            policy: Artefact::new("policy", self.policy),
            input_attestations: self
                .evidence
                .iter()
                .map(|digest| Artefact::new("attestation", *digest))
                .collect(),
            verification_result: if self.passed { "PASSED" } else { "FAILED" }.to_owned(),
            verified_levels: vec![self.level()],
            slsa_version: "1.1".to_owned(),
        };
        let subject = self.weights.iter().map(|(name, sha256)| Resource::named(name, *sha256)).collect();
        Ok(Statement::new(subject, SUMMARY_PREDICATE_TYPE, summary).sign(key)?)
    }
}

/// A summary that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedGateSummary {
    /// What it says.
    pub summary: GateSummary,
    /// The names of the keys that signed it.
    pub key_ids: Vec<String>,
    /// The envelope's digest.
    pub digest: Sha256Digest,
}

/// Verifies a summary with the keys known by name. Whether the signer is the member it names is for the caller to say.
///
/// # Errors
/// [`GateSummaryRefused`].
pub fn verify_gate_summary(
    envelope: &Envelope,
    key: impl Fn(&str) -> Option<PublicKey>,
) -> Result<VerifiedGateSummary, GateSummaryRefused> {
    let not_ours = GateSummaryRefused::NotOurs;
    let proven = envelope.verify(PAYLOAD_TYPE, key)?;
    let statement: Statement<Summary> =
        serde_json::from_slice(&proven.payload).map_err(GateSummaryRefused::Payload)?;
    if statement.statement_type != STATEMENT_TYPE || statement.predicate_type != SUMMARY_PREDICATE_TYPE {
        return Err(not_ours("is a statement of another kind"));
    }
    let said = statement.predicate;
    let weights: Option<Vec<_>> =
        statement.subject.iter().map(|subject| Some((subject.name.clone()?, subject.sha256()?))).collect();
    let evidence: Option<Vec<_>> = said.input_attestations.iter().map(Artefact::sha256).collect();
    let verifier = said.verifier.id.strip_prefix("urn:sta:gate:").and_then(|rest| rest.split_once(':'));
    let (member, gate) = verifier.ok_or(not_ours("is by a verifier that is no gate of a member"))?;
    let model = said.resource_uri.strip_prefix("urn:sta:model:").and_then(|id| id.parse().ok());
    let summary = GateSummary {
        gate: gate.to_owned(),
        member: member.parse().map_err(|_| not_ours("names no member"))?,
        software_version: said.verifier.version.get("sta").cloned().unwrap_or_default(),
        model: model.ok_or(not_ours("is not about a model"))?,
        weights: weights.ok_or(not_ours("names a subject without a name or a SHA-256"))?,
        policy: said.policy.sha256().ok_or(not_ours("names no policy by its SHA-256"))?,
        evidence: evidence.ok_or(not_ours("names evidence without a SHA-256"))?,
        passed: said.verification_result == "PASSED",
        at: said.time_verified,
    };
    summary.check()?;
    if said.verified_levels != [summary.level()] {
        return Err(not_ours("claims a level that does not follow from its gate and result"));
    }
    Ok(VerifiedGateSummary { summary, key_ids: proven.key_ids, digest: proven.digest })
}
