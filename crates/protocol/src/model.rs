// SPDX-License-Identifier: Apache-2.0
//! The record of a model: its weights by digest, what it came from, what it may be used for, and who answers for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    class::Class,
    compute::{BaseCompute, TeraFlop},
    digest::{JSON_INTEGER_MAX, Sha256Digest},
    ids::{DatasetId, JobId, Jurisdiction, ModelId, TrainingRunId},
    job::is_file_name,
    jws::Document,
    record::{
        InvalidRecord, Record, check_label, check_length, check_not_empty, check_text, check_unique,
        check_version, check_word, invalid,
    },
};

/// A model as the member that answers for it describes it. A later record replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// Wire version, 1.
    pub version: u8,
    /// The model.
    pub id: ModelId,
    /// What people call it.
    pub title: String,
    /// What it is, in a few sentences.
    pub description: String,
    /// The strictest class of what it was trained on, or a stricter one.
    pub class: Class,
    /// The files of its weights. Everything else here is a claim; these can be checked.
    pub weights: Vec<WeightsFile>,
    /// What it came from.
    pub lineage: Lineage,
    /// How much training went into it.
    pub compute: ModelCompute,
    /// What it takes in.
    pub takes: Vec<Modality>,
    /// What it generates.
    pub generates: Vec<Modality>,
    /// What of it is public, and under which licence.
    pub openness: Openness,
    /// What it is for; empty for any purpose.
    pub purposes: Vec<String>,
    /// Who answers for it.
    pub provider: Provider,
    /// Digests of the evaluation attestations over these weights (the DSSE envelope's bytes).
    pub evaluations: Vec<Sha256Digest>,
    /// The documents about it, by kind.
    pub documents: BTreeMap<DocumentKind, DocumentReference>,
    /// When this record was made.
    pub recorded_at: Timestamp,
}

/// One file of a model's weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Length in bytes.
    pub bytes: u64,
}

/// What a model came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The registered training run.
    pub run: Option<TrainingRunId>,
    /// The jobs that made the weights.
    pub jobs: Vec<JobId>,
    /// The datasets it learnt from.
    pub datasets: Vec<LearntFrom>,
    /// The model it was made from; `None` when it was trained from nothing.
    pub base: Option<BaseModel>,
}

/// A dataset that a model learnt from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearntFrom {
    /// The dataset.
    pub dataset: DatasetId,
    /// Digest of the dataset's signed record that training went by.
    pub record: Sha256Digest,
    /// The class in that record.
    pub class: Class,
}

/// A model that another is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseModel {
    /// What people call it, such as a name and version on a hub.
    pub name: String,
    /// The registered model, where it is one of the alliance.
    pub model: Option<ModelId>,
    /// Digests of its weights.
    pub weights: Vec<Sha256Digest>,
    /// The class of its record; `open` for a published model.
    pub class: Class,
    /// How much training counts for it.
    pub compute: BaseCompute,
}

impl BaseModel {
    /// Checks the base in a record's `field`.
    pub(crate) fn check(&self, field: &str) -> Result<(), InvalidRecord> {
        check_label(&format!("{field}.name"), &self.name)?;
        check_unique(&format!("{field}.weights"), &self.weights)?;
        match self.compute {
            BaseCompute::Scratch => invalid(
                format!("{field}.compute"),
                "is `scratch`, and there is a base: use `known`, `unknown` or `unknown_systemic`",
            ),
            BaseCompute::Known { .. } | BaseCompute::Unknown | BaseCompute::UnknownSystemic => Ok(()),
        }
    }
}

/// How much training went into a model since its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCompute {
    /// As its provider declares it.
    pub declared_teraflop: TeraFlop,
    /// As the sites metered it; `None` when it was trained where nobody metered.
    pub metered_teraflop: Option<TeraFlop>,
    /// Energy that its training took, in watt-hours, where it was metered.
    pub energy_wh: Option<u64>,
}

impl ModelCompute {
    /// The larger of what was declared and what was metered.
    #[must_use]
    pub fn added(&self) -> TeraFlop {
        self.declared_teraflop.max(self.metered_teraflop.unwrap_or_default())
    }
}

/// A kind of content that a model takes in or generates, in the words of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modality {
    /// Language.
    Language,
    /// Pictures.
    Image,
    /// Moving pictures.
    Video,
    /// Sound and speech.
    Audio,
    /// Rows and columns.
    Tabular,
    /// Series of measurements over time.
    TimeSeries,
    /// Programs.
    Code,
    /// Commands to machines or other systems.
    Action,
    /// A label, a number or a vector about the input.
    Prediction,
}

impl Modality {
    /// The word for it, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Language => "language",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Tabular => "tabular",
            Self::TimeSeries => "time-series",
            Self::Code => "code",
            Self::Action => "action",
            Self::Prediction => "prediction",
        }
    }
}

/// What of a model is public (Regulation (EU) 2024/1689, Art. 53(2)).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Openness {
    /// The licence as an SPDX expression, such as `Apache-2.0`; `None` when it is not licensed to others.
    pub licence: Option<String>,
    /// Whether that licence allows access, use, modification and distribution to everybody.
    pub licence_is_free: bool,
    /// Whether the weights are public.
    pub weights_public: bool,
    /// Whether the architecture is public.
    pub architecture_public: bool,
    /// Whether information on how to use it is public.
    pub usage_public: bool,
}

impl Openness {
    /// Whether the model is open in the sense of Art. 53(2): a free licence, and weights, architecture and usage public.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.licence.is_some()
            && self.licence_is_free
            && self.weights_public
            && self.architecture_public
            && self.usage_public
    }
}

/// Who answers for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The organisation, never a person.
    pub name: String,
    /// Where it has its seat.
    pub seat: Jurisdiction,
    /// Its authorised representative in the Union with the mandate's reference (Regulation (EU) 2024/1689, Art. 54(1)).
    pub authorised_representative: Option<String>,
}

/// A kind of document that a rule may ask for, in the words of the rules. The article is of Regulation (EU) 2024/1689 where no other law is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// Technical documentation of a high-risk system (Art. 11, Annex IV).
    AnnexIv,
    /// Technical documentation of a general-purpose model (Art. 53(1)(a), Annex XI).
    AnnexXi,
    /// Information for those who build on the model (Art. 53(1)(b), Annex XII).
    AnnexXii,
    /// The policy to comply with copyright (Art. 53(1)(c)).
    CopyrightPolicy,
    /// The public summary of the content used for training (Art. 53(1)(d)).
    TrainingSummary,
    /// The risk management file (Art. 9).
    RiskManagement,
    /// Data and data governance (Art. 10).
    DataGovernance,
    /// Keeping of logs (Art. 12).
    Logging,
    /// Instructions for use (Art. 13).
    Instructions,
    /// How people oversee it (Art. 14).
    Oversight,
    /// The declaration of conformity (Art. 47).
    Conformity,
    /// The registration in the Union's database (Art. 49).
    EuDatabase,
    /// The documented assessment that a system of Annex III is not high-risk (Art. 6(3), (4)).
    NotHighRisk,
    /// The notification of systemic risk to the Commission (Art. 52(1)).
    SystemicNotification,
    /// The assessment of the impact on fundamental rights (Art. 27).
    FundamentalRights,
    /// The assessment of the impact on data protection (GDPR Art. 35).
    DataProtectionImpact,
    /// The algorithmic impact assessment (Treasury Board Directive on Automated Decision-Making).
    AlgorithmicImpact,
    /// How the weights are secured against theft (Art. 55(1)(d)).
    Security,
    /// A description for readers: a model card.
    ModelCard,
}

impl DocumentKind {
    /// The word for it, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnnexIv => "annex-iv",
            Self::AnnexXi => "annex-xi",
            Self::AnnexXii => "annex-xii",
            Self::CopyrightPolicy => "copyright-policy",
            Self::TrainingSummary => "training-summary",
            Self::RiskManagement => "risk-management",
            Self::DataGovernance => "data-governance",
            Self::Logging => "logging",
            Self::Instructions => "instructions",
            Self::Oversight => "oversight",
            Self::Conformity => "conformity",
            Self::EuDatabase => "eu-database",
            Self::NotHighRisk => "not-high-risk",
            Self::SystemicNotification => "systemic-notification",
            Self::FundamentalRights => "fundamental-rights",
            Self::DataProtectionImpact => "data-protection-impact",
            Self::AlgorithmicImpact => "algorithmic-impact",
            Self::Security => "security",
            Self::ModelCard => "model-card",
        }
    }
}

/// Where a document is, and which bytes it is: at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentReference {
    /// Where it can be read, or the reference an authority gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// SHA-256 of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
}

impl Document for ModelRecord {
    const TYP: &'static str = "sta-model+jws";
}

impl ModelRecord {
    /// The strictest class of the datasets and the base that it came from.
    #[must_use]
    pub fn class_inherited(&self) -> Class {
        let datasets = self.lineage.datasets.iter().map(|learnt| learnt.class);
        Class::strictest(datasets.chain(self.lineage.base.iter().map(|base| base.class)))
    }

    /// What counts for its base.
    #[must_use]
    pub fn base_compute(&self) -> BaseCompute {
        self.lineage.base.as_ref().map_or(BaseCompute::Scratch, |base| base.compute)
    }

    /// Its training compute from the very beginning: the base, and the larger of what was declared and metered since.
    #[must_use]
    pub fn compute_cumulative(&self) -> TeraFlop {
        self.base_compute().counted().unwrap_or_default().plus(self.compute.added())
    }

    /// The digests of its weights, sorted.
    #[must_use]
    pub fn weights_digests(&self) -> Vec<Sha256Digest> {
        let mut digests: Vec<_> = self.weights.iter().map(|file| file.sha256).collect();
        digests.sort_unstable();
        digests.dedup();
        digests
    }

    fn check_weights(&self) -> Result<(), InvalidRecord> {
        check_not_empty("weights", self.weights.len(), "name at least one file of weights with its SHA-256")?;
        let names: Vec<&str> = self.weights.iter().map(|file| file.name.as_str()).collect();
        check_unique("weights", &names)?;
        if let Some(file) = self.weights.iter().find(|file| !is_file_name(&file.name)) {
            let problem =
                format!("names `{}`: use a plain file name of at most 200 bytes, without `/`", file.name);
            return invalid("weights", problem);
        }
        match self.weights.iter().find(|file| file.bytes == 0 || file.bytes > JSON_INTEGER_MAX) {
            Some(file) => {
                invalid("weights", format!("gives `{}` {} bytes: give its length", file.name, file.bytes))
            }
            None => Ok(()),
        }
    }

    fn check_lineage(&self) -> Result<(), InvalidRecord> {
        check_unique("lineage.jobs", &self.lineage.jobs)?;
        check_unique("lineage.datasets", &self.lineage.datasets)?;
        if let Some(base) = &self.lineage.base {
            base.check("lineage.base")?;
        }
        let inherited = self.class_inherited();
        if self.class < inherited {
            let problem = format!(
                "is `{}`, and the model was made from `{inherited}` data: use `{inherited}` or a stricter class; a steward may release single files later",
                self.class
            );
            return invalid("class", problem);
        }
        Ok(())
    }

    fn check_documents(&self) -> Result<(), InvalidRecord> {
        check_length("documents", self.documents.len())?;
        for (kind, reference) in &self.documents {
            let field = format!("documents.{}", kind.as_str());
            match (&reference.uri, reference.sha256) {
                (Some(uri), _) => check_label(&field, uri)?,
                (None, Some(_)) => {}
                (None, None) => return invalid(field, "says nothing: give its `uri`, its `sha256`, or both"),
            }
        }
        Ok(())
    }
}

impl Record for ModelRecord {
    fn check(&self) -> Result<(), InvalidRecord> {
        check_version(self.version)?;
        check_label("title", &self.title)?;
        check_text("description", &self.description)?;
        self.check_weights()?;
        self.check_lineage()?;
        self.check_documents()?;
        check_unique("takes", &self.takes)?;
        check_unique("generates", &self.generates)?;
        check_not_empty(
            "generates",
            self.generates.len(),
            "say what the model generates, such as `language`",
        )?;
        check_unique("evaluations", &self.evaluations)?;
        check_unique("purposes", &self.purposes)?;
        self.purposes.iter().try_for_each(|purpose| check_word("purposes", purpose))?;
        check_label("provider.name", &self.provider.name)?;
        if let Some(representative) = &self.provider.authorised_representative {
            check_label("provider.authorised_representative", representative)?;
        }
        match &self.openness.licence {
            Some(licence) => check_label("openness.licence", licence)?,
            None if self.openness.licence_is_free => {
                return invalid(
                    "openness.licence_is_free",
                    "is true without a licence: name it in `licence`",
                );
            }
            None => {}
        }
        match self.compute.energy_wh {
            Some(wh) if wh > JSON_INTEGER_MAX => {
                invalid("compute.energy_wh", format!("is {wh}: use at most 2^53 - 1 watt-hours"))
            }
            Some(_) | None => Ok(()),
        }
    }
}
