// SPDX-License-Identifier: Apache-2.0
//! Documents about researchers, projects, datasets, visas and passports.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    class::Class,
    data_protection::DataProtection,
    dataset_facts::DatasetFacts,
    federation::{DatasetFile, DatasetRecord},
    ids::{DatasetId, Jurisdiction, ProjectId, ResearcherId},
    jws::Signed,
    keys::Thumbprint,
    subject::Subject,
};
use utoipa::ToSchema;

use super::DatasetFileDocument;

/// Adds a researcher, or gives a known one a new token, key and roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResearcherRequest {
    /// The bearer token, at least 32 random characters; the node keeps its digest alone.
    pub token: String,
    /// RFC 7638 thumbprint of the key that signs this person's jobs.
    #[schema(value_type = String)]
    pub holder: Thumbprint,
    /// `operator`, `steward`, `auditor`; empty for a researcher without further rights.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A researcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResearcherDocument {
    /// The pseudonym.
    #[schema(value_type = String)]
    pub id: ResearcherId,
    /// RFC 7638 thumbprint of the key that signs this person's jobs.
    #[schema(value_type = String)]
    pub holder: Thumbprint,
    /// What else they may do.
    pub roles: Vec<String>,
}

/// Adds a project, or changes its allocation and adds people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectRequest {
    /// What it may spend.
    pub granted_micro: i64,
    /// Who may spend it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub researchers: Vec<ResearcherId>,
}

/// A project and its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectDocument {
    /// Its name.
    #[schema(value_type = String)]
    pub id: ProjectId,
    /// What it may spend.
    pub granted_micro: i64,
    /// What is set aside for jobs that are not over.
    pub pending_micro: i64,
    /// What is spent.
    pub posted_micro: i64,
    /// What is left.
    pub available_micro: i64,
}

/// Projects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectList {
    /// The asker's own; operators and auditors see all.
    pub projects: Vec<ProjectDocument>,
}

/// A dataset to be registered by this member; its files are uploaded before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDatasetDocument {
    /// Its name within this member.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// `open`, `internal`, `personal`, `special` or `protected`.
    #[schema(value_type = String)]
    pub class: Class,
    /// The jurisdiction whose law protects it.
    #[schema(value_type = String)]
    pub origin: Jurisdiction,
    /// Where it may be processed: jurisdictions or groups; empty for anywhere under the treaty.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub residency: Vec<Jurisdiction>,
    /// The purposes it may serve; empty for any.
    #[serde(default)]
    pub purposes: Vec<String>,
    /// Its files.
    #[schema(value_type = Vec<DatasetFileDocument>)]
    pub files: Vec<DatasetFile>,
    /// What else is stated of it, as `sta dataset add --croissant` reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub facts: Option<DatasetFacts>,
    /// Whom it is about (`people`), and the documents that the law on personal data asks for, as `--protection` reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub protection: Option<DataProtection>,
}

/// A dataset as its member vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetDocument {
    /// `member/name`.
    #[schema(value_type = String)]
    pub id: DatasetId,
    /// What people call it.
    pub title: String,
    /// `open`, `internal`, `personal`, `special` or `protected`.
    #[schema(value_type = String)]
    pub class: Class,
    /// The jurisdiction whose law protects it.
    #[schema(value_type = String)]
    pub origin: Jurisdiction,
    /// Where it may be processed; empty for anywhere under the treaty.
    #[schema(value_type = Vec<String>)]
    pub residency: Vec<Jurisdiction>,
    /// The purposes it may serve; empty for any.
    pub purposes: Vec<String>,
    /// Its files.
    #[schema(value_type = Vec<DatasetFileDocument>)]
    pub files: Vec<DatasetFile>,
    /// What else its member states of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub facts: Option<DatasetFacts>,
    /// Whom it is about (`people`), and the documents that the law on personal data asks for, as `--protection` reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub protection: Option<DataProtection>,
    /// When this record was made.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
    /// The record under its member's signature, compact JWS.
    #[schema(value_type = String)]
    pub signed: Signed<DatasetRecord>,
}

/// Datasets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetList {
    /// Every dataset this node has a record of.
    pub datasets: Vec<DatasetDocument>,
}

/// A visa to be issued by this member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VisaRequest {
    /// Whom it is for, `researcher@member`.
    #[schema(value_type = String)]
    pub subject: Subject,
    /// RFC 7638 thumbprint of that person's key.
    #[schema(value_type = String)]
    pub holder: Thumbprint,
    /// What it says.
    pub kind: VisaKind,
    /// The dataset, `member/name`; only for `dataset`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub dataset: Option<DatasetId>,
}

/// What a visa says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VisaKind {
    /// The person belongs to this member; issued by operators.
    Affiliation,
    /// The person may use a dataset of this member; issued by stewards.
    Dataset,
}

/// A visa.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VisaDocument {
    /// GA4GH visa, compact JWS.
    pub visa: String,
}

/// Visas to put into the asker's passport; the node adds its own of affiliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassportRequest {
    /// GA4GH visas, compact JWS.
    #[serde(default)]
    pub visas: Vec<String>,
}

/// A passport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PassportDocument {
    /// GA4GH passport, compact JWS.
    pub passport: String,
}

impl DatasetDocument {
    /// The document of a record, with the signature that was checked when it came.
    #[must_use]
    pub fn new(record: DatasetRecord, signed: Signed<DatasetRecord>) -> Self {
        Self {
            id: record.id,
            title: record.title,
            class: record.class,
            origin: record.origin,
            residency: record.residency,
            purposes: record.purposes,
            files: record.files,
            facts: record.facts,
            protection: record.protection,
            recorded_at: record.recorded_at,
            signed,
        }
    }
}
