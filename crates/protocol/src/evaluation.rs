// SPDX-License-Identifier: Apache-2.0
//! Evaluation attestations: an in-toto statement over the digests of weights that says how a suite of tests went, in a
//! signed DSSE envelope, made from an Inspect log.
//!
//! The predicate is `https://in-toto.io/attestation/test-result/v0.1`, so that other people's tools read it. What the log
//! says stands in the annotations of its one `configuration`, whose digest is that of the log file.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Sha256Digest,
    dsse::{Envelope, EnvelopeError},
    in_toto::{PAYLOAD_TYPE, Resource, STATEMENT_TYPE, Statement},
    keys::{PublicKey, SigningKey},
    record::{InvalidRecord, LIST_LENGTH_MAX, check_label, check_unique, check_word},
};

mod criterion;
mod log;

pub use criterion::{Criterion, NotACriterion, Side};
pub use log::{Evaluated, LOG_BYTES_MAX, LogFile, LogRefused};

/// The kind of statement.
pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// How far ahead of our clock a log's end may be, in seconds.
const SKEW_S: i64 = 300;

/// How an evaluation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestResult {
    /// Every criterion holds, and there is at least one.
    Passed,
    /// It ran to its end, and nobody said what would be good enough.
    Warned,
    /// A criterion does not hold.
    Failed,
}

impl TestResult {
    /// The word for it, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Warned => "WARNED",
            Self::Failed => "FAILED",
        }
    }
}

/// The predicate (test-result v0.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestResultPredicate {
    result: TestResult,
    configuration: Vec<Resource<Annotations>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passed_tests: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failed_tests: Vec<String>,
}

/// What we say of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Annotations {
    version: u8,
    evaluated: Evaluated,
    criteria: Vec<Criterion>,
    covers: Vec<String>,
}

/// What an attestation is to say.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAttestation {
    /// The evaluation.
    pub evaluated: Evaluated,
    /// The log it comes from.
    pub log: LogFile,
    /// The weights, by name and digest.
    pub weights: Vec<(String, Sha256Digest)>,
    /// What the measured values must reach.
    pub criteria: Vec<Criterion>,
    /// Which hazards the suite looks for, in words that rules know, such as `cyber-offence`.
    pub covers: Vec<String>,
}

/// Why there is no attestation, or it does not hold.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationRefused {
    /// The envelope does not hold.
    #[error("the attestation's envelope does not hold")]
    Envelope(#[from] EnvelopeError),
    /// The payload is no statement of this kind.
    #[error("the payload is no statement about an evaluation of ours")]
    Payload(#[source] serde_json::Error),
    /// A field breaks a bound.
    #[error("the attestation's {0}")]
    Invalid(#[from] InvalidRecord),
    /// A criterion asks for a value that the log does not have.
    #[error("the criterion `{criterion}` asks for a value that the log does not have; it has {known}")]
    UnknownValue {
        /// The criterion.
        criterion: String,
        /// The values there are.
        known: String,
    },
    /// The statement contradicts itself.
    #[error("the attestation {0}")]
    Contradiction(&'static str),
}

impl NewAttestation {
    /// Judges the criteria and signs the attestation.
    ///
    /// # Errors
    /// [`EvaluationRefused`].
    pub fn sign(self, key: &SigningKey) -> Result<Envelope, EvaluationRefused> {
        let subject = self.weights.iter().map(|(name, sha256)| Resource::named(name, *sha256)).collect();
        let (passed_tests, failed_tests) = judge(&self.criteria, &self.evaluated)?;
        let annotations = Annotations {
            version: 1,
            evaluated: self.evaluated,
            criteria: self.criteria,
            covers: self.covers,
        };
        let log = Resource {
            media_type: Some(media_type(&self.log.name).to_owned()),
            annotations: Some(annotations),
            ..Resource::named(&self.log.name, self.log.sha256)
        };
        let result = result_of(&passed_tests, &failed_tests);
        let predicate = TestResultPredicate { result, configuration: vec![log], passed_tests, failed_tests };
        let statement = Statement::new(subject, PREDICATE_TYPE, predicate);
        let content = Content::of(statement.clone())?;
        content.check()?;
        Ok(statement.sign(key)?)
    }
}

/// An attestation that holds. It comes out of [`verify`] alone.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedEvaluation {
    content: Content,
    key_ids: Vec<String>,
    digest: Sha256Digest,
}

#[derive(Debug, Clone, PartialEq)]
struct Content {
    weights: Vec<(String, Sha256Digest)>,
    log: LogFile,
    annotations: Annotations,
    result: TestResult,
    tests: (Vec<String>, Vec<String>),
}

/// Verifies an attestation with the keys known by name: envelope, signature, kind, and that result and tests follow from
/// the values it quotes. Whether the signer may attest, and whether it is recent enough, is for the caller to say.
///
/// # Errors
/// [`EvaluationRefused`].
pub fn verify(
    envelope: &Envelope,
    key: impl Fn(&str) -> Option<PublicKey>,
) -> Result<VerifiedEvaluation, EvaluationRefused> {
    let proven = envelope.verify(PAYLOAD_TYPE, key)?;
    let statement: Statement<TestResultPredicate> =
        serde_json::from_slice(&proven.payload).map_err(EvaluationRefused::Payload)?;
    let content = Content::of(statement)?;
    content.check()?;
    Ok(VerifiedEvaluation { content, key_ids: proven.key_ids, digest: proven.digest })
}

impl Content {
    fn of(statement: Statement<TestResultPredicate>) -> Result<Self, EvaluationRefused> {
        let contradiction = EvaluationRefused::Contradiction;
        if statement.statement_type != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
            return Err(contradiction("is a statement of another kind than test-result v0.1"));
        }
        let weights: Option<Vec<_>> = statement
            .subject
            .iter()
            .map(|subject| Some((subject.name.clone()?, subject.sha256()?)))
            .collect();
        let weights = weights.ok_or(contradiction("names a subject without a name or a SHA-256"))?;
        let predicate = statement.predicate;
        let [log] = <[_; 1]>::try_from(predicate.configuration)
            .map_err(|_| contradiction("must have exactly one configuration, the log"))?;
        let (Some(name), Some(sha256)) = (log.name.clone(), log.sha256()) else {
            return Err(contradiction("does not give the log's name and SHA-256"));
        };
        let annotations = log.annotations.ok_or(contradiction("says nothing of the log"))?;
        Ok(Self {
            weights,
            log: LogFile { name, sha256 },
            annotations,
            result: predicate.result,
            tests: (predicate.passed_tests, predicate.failed_tests),
        })
    }

    fn check(&self) -> Result<(), EvaluationRefused> {
        let contradiction = EvaluationRefused::Contradiction;
        if self.annotations.version != 1 {
            return Err(contradiction("is of another version than 1"));
        }
        if self.weights.is_empty() {
            return Err(contradiction("names no weights"));
        }
        let names: Vec<&str> = self.weights.iter().map(|(name, _)| name.as_str()).collect();
        check_unique("subject", &names)?;
        names.iter().try_for_each(|name| check_label("subject", name))?;
        check_label("configuration", &self.log.name)?;
        check_unique("covers", &self.annotations.covers)?;
        self.annotations.covers.iter().try_for_each(|word| check_word("covers", word))?;
        if self.annotations.criteria.len() > LIST_LENGTH_MAX {
            return Err(contradiction("has more than 1000 criteria"));
        }
        let evaluated = &self.annotations.evaluated;
        if evaluated.samples_completed != evaluated.samples_total || evaluated.samples_total == 0 {
            return Err(contradiction("is of an evaluation that was not completed"));
        }
        let judged = judge(&self.annotations.criteria, evaluated)?;
        if judged != self.tests || result_of(&judged.0, &judged.1) != self.result {
            return Err(contradiction("claims another result than follows from its criteria and values"));
        }
        Ok(())
    }
}

impl VerifiedEvaluation {
    /// What the log says.
    #[must_use]
    pub fn evaluated(&self) -> &Evaluated {
        &self.content.annotations.evaluated
    }
    /// The log file.
    #[must_use]
    pub fn log(&self) -> &LogFile {
        &self.content.log
    }
    /// The weights it is about, by name and digest.
    #[must_use]
    pub fn weights(&self) -> &[(String, Sha256Digest)] {
        &self.content.weights
    }
    /// What the values had to reach.
    #[must_use]
    pub fn criteria(&self) -> &[Criterion] {
        &self.content.annotations.criteria
    }
    /// Which hazards the suite looks for.
    #[must_use]
    pub fn covers(&self) -> &[String] {
        &self.content.annotations.covers
    }
    /// How it went.
    #[must_use]
    pub fn result(&self) -> TestResult {
        self.content.result
    }
    /// Criteria that hold, and criteria that do not.
    #[must_use]
    pub fn tests(&self) -> (&[String], &[String]) {
        (&self.content.tests.0, &self.content.tests.1)
    }
    /// The names of the keys that signed.
    #[must_use]
    pub fn key_ids(&self) -> &[String] {
        &self.key_ids
    }
    /// The envelope's digest, as a model's record names it.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The first of these weights that the attestation says nothing about.
    #[must_use]
    pub fn missing(&self, weights: &[Sha256Digest]) -> Option<Sha256Digest> {
        weights.iter().find(|wanted| !self.content.weights.iter().any(|(_, known)| known == *wanted)).copied()
    }

    /// How long ago the evaluation was over, in seconds; below 0 when our clock is behind.
    #[must_use]
    pub fn age_s(&self, now: Timestamp) -> i64 {
        now.duration_since(self.evaluated().completed_at).as_secs()
    }

    /// Whether it was over at most `age_max` ago, and not in the future.
    #[must_use]
    pub fn is_current(&self, now: Timestamp, age_max: SignedDuration) -> bool {
        (-SKEW_S..=age_max.as_secs()).contains(&self.age_s(now))
    }
}

/// The criteria that hold and those that do not, as they are written.
fn judge(
    criteria: &[Criterion],
    evaluated: &Evaluated,
) -> Result<(Vec<String>, Vec<String>), EvaluationRefused> {
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for criterion in criteria {
        match criterion.holds(&evaluated.scores) {
            Some(true) => passed.push(criterion.to_string()),
            Some(false) => failed.push(criterion.to_string()),
            None => {
                let known: Vec<_> = evaluated.scores.keys().map(|name| format!("`{name}`")).collect();
                let (criterion, known) = (criterion.to_string(), known.join(", "));
                return Err(EvaluationRefused::UnknownValue { criterion, known });
            }
        }
    }
    Ok((passed, failed))
}

fn result_of(passed: &[String], failed: &[String]) -> TestResult {
    match (passed.is_empty(), failed.is_empty()) {
        (_, false) => TestResult::Failed,
        (false, true) => TestResult::Passed,
        (true, true) => TestResult::Warned,
    }
}

/// The media type of a log: the zip archive, or the one JSON file.
fn media_type(name: &str) -> &'static str {
    if name.ends_with(".json") { "application/json" } else { "application/zip" }
}
