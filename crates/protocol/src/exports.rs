// SPDX-License-Identifier: Apache-2.0
//! Records in other people's formats: CycloneDX 1.6 and SPDX 3.0.1 for a model, SLSA for a passed gate.
//!
//! Pure functions: time and serial number are arguments, and the same record gives the same bytes. Only the digests in
//! these documents can be checked; everything else is what the record's member claims.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{class::Class, digest::Sha256Digest, evaluation::VerifiedEvaluation, model::ModelRecord};

mod cyclonedx;
mod slsa;
mod spdx;

pub use cyclonedx::cyclonedx;
pub use slsa::{
    GateSummary, GateSummaryRefused, SUMMARY_PREDICATE_TYPE, VerifiedGateSummary, verify_gate_summary,
};
pub use spdx::spdx;

/// What a model's document is made of.
#[derive(Debug, Clone, Copy)]
pub struct ModelExport<'a> {
    /// The model. [`crate::record::Record::check`] must have taken it.
    pub record: &'a ModelRecord,
    /// Attestations over its weights, verified before.
    pub evaluations: &'a [VerifiedEvaluation],
    /// When the document is made.
    pub at: Timestamp,
    /// Sixteen bytes that name the document; the version and variant of a UUID are set in them.
    pub serial: [u8; 16],
    /// The version of the software that makes it.
    pub software_version: &'a str,
}

impl ModelExport<'_> {
    /// The serial number as a UUID of version 8 (RFC 9562 §5.8): its bytes are the caller's.
    fn serial(&self) -> String {
        uuid::Builder::from_custom_bytes(self.serial).into_uuid().hyphenated().to_string()
    }

    /// The moment in whole seconds, the only form that both formats take.
    fn at(&self) -> String {
        whole_seconds(self.at)
    }
}

/// The serial number that belongs to a record: the first bytes of its digest, so that one record has one document.
#[must_use]
pub fn serial_of(record: Sha256Digest) -> [u8; 16] {
    let mut serial = [0; 16];
    serial.copy_from_slice(&record.as_bytes()[..16]);
    serial
}

fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// An object of those members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let present = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

/// A list, or nothing where it would be empty.
fn list(items: Vec<Value>) -> Option<Value> {
    if items.is_empty() { None } else { Some(Value::Array(items)) }
}

/// Whether sensitive personal information went into it: `internal` is without personal data by its definition.
fn uses_personal_information(class: Class) -> &'static str {
    match class {
        Class::Personal | Class::Special => "yes",
        Class::Internal => "no",
        Class::Open | Class::Protected => "noAssertion",
    }
}
