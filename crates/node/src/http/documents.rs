// SPDX-License-Identifier: Apache-2.0
//! The JSON documents of the native API. Times are RFC 3339, money is millionths of the treaty's currency, CO2 is micrograms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sta_protocol::{digest::Sha256Digest, refusal::Refusal};
use utoipa::ToSchema;

use crate::text::{self, Language};

mod gates;
mod holds;
mod incidents;
mod jobs;
mod mirrors;
mod places;
mod registry;
mod standing;
mod waiting_for;

pub use gates::{
    EvaluationDocument, GateDocument, GateList, GateQuestion, GateReasonDocument, ModelDocument,
    NewModelDocument, OutcomeDocument, OutcomeRequest,
};
pub use holds::{
    GateHoldDocument, GateHoldList, HoldDecisionDocument, HoldDecisionRequest, HoldReasonDocument,
    StopAnswerDocument, StopOrderDocument, StopOrderList,
};
pub use incidents::{
    ClockDocument, CloseRequest, IncidentDocument, IncidentEntryDocument, IncidentEvent, IncidentList,
    IncidentRequest,
};
pub use jobs::{
    AttemptDocument, HostedDocument, HostedOutputDocument, JobDocument, JobList, OutputDocument,
    ReceiptDocument, ReleaseRequest,
};
pub use mirrors::{
    CheckpointDocument, DatasetFileDocument, ExitDocument, HoldDocument, InputFileDocument, JobSpecDocument,
    JobTrainingDocument, ObjectiveDocument, ResourcesDocument, ShapeDocument, StatementDocument,
    StatementLineDocument, SubmitDocument, TaskFailureDocument, TasksEndDocument, UsageDocument,
    UsageSourcesDocument,
};
pub use places::{
    LogDocument, NodeDocument, OperatorDocument, SiteDocument, SiteList, SiteLoadDocument, StatementAnswer,
    TariffDocument, TreatyNote,
};
pub use registry::{
    DatasetDocument, DatasetList, NewDatasetDocument, PassportDocument, PassportRequest, ProjectDocument,
    ProjectList, ProjectRequest, ResearcherDocument, ResearcherRequest, VisaDocument, VisaKind, VisaRequest,
};
pub use standing::{
    BalanceDocument, CreditTermsDocument, JobSpanDocument, JobStandingDocument, MemberStandingDocument,
    StandingDocument, StandingSiteDocument,
};

/// A lawful no: the rule, where it is written, what caused it and what would change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusalDocument {
    /// The stable code, such as `SOV-001`.
    pub rule: String,
    /// The article, treaty clause or RFC that it comes from.
    pub source: String,
    /// The facts that caused it.
    pub facts: BTreeMap<String, String>,
    /// What would change it.
    pub advice: String,
    /// The member whose node said no.
    pub by: String,
    /// It in one sentence, in the language asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
}

impl RefusalDocument {
    /// A refusal with its texts in a language.
    #[must_use]
    pub fn new(refusal: &Refusal, language: Language) -> Self {
        Self {
            rule: refusal.rule.clone(),
            source: refusal.source.clone(),
            facts: refusal.facts.clone(),
            advice: text::advice(language, refusal),
            by: refusal.by.to_string(),
            sentence: Some(text::sentence(language, refusal)),
        }
    }

    /// Several refusals, in their order.
    #[must_use]
    pub fn list(refusals: &[Refusal], language: Language) -> Vec<Self> {
        refusals.iter().map(|refusal| Self::new(refusal, language)).collect()
    }
}

/// That the node lives, or is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthDocument {
    /// Always `ok`; otherwise the answer is a problem.
    pub status: String,
}

/// How much of a file is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobDocument {
    /// Its SHA-256.
    #[schema(value_type = String)]
    pub sha256: Sha256Digest,
    /// Bytes that are here.
    pub have: u64,
    /// Whether it is whole and its digest has been checked.
    pub whole: bool,
}
