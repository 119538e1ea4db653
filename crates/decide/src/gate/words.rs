// SPDX-License-Identifier: Apache-2.0
//! The words that facts of the gates can have: closed lists, so that a rule which compares with another word is found.
//!
//! What a record has a word for (purposes, modalities, kinds of document and of incident) is said in the record's own word.

use sta_protocol::{
    incident::IncidentKind,
    model::{DocumentKind, Modality},
};

pub use sta_protocol::purpose::Purpose;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)*
        }

        impl $name {
            /// The whole list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word that rules read.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one that is written so.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    )*

        /// Every word of every list, those of records with them.
        pub fn every_word() -> impl Iterator<Item = &'static str> {
            let all: [Vec<&'static str>; [$(stringify!($name)),*].len()] =
                [$($name::ALL.iter().map(|word| word.as_str()).collect()),*];
            let of_records = Purpose::ALL
                .iter()
                .map(|word| word.as_str())
                .chain(MODALITIES.iter().map(|word| word.as_str()))
                .chain(DOCUMENT_KINDS.iter().map(|word| word.as_str()))
                .chain(INCIDENT_KINDS.iter().map(|word| word.as_str()));
            all.into_iter().flatten().chain(of_records)
        }
    };
}

words! {
    /// What an operator is in law.
    OperatorForm {
        /// A company that PIPEDA or its like covers.
        Commercial = "commercial",
        /// A department or agency of the Government of Canada.
        FederalInstitution = "federal-institution",
        /// A public body of a province or of a member state.
        PublicBody = "public-body",
        /// A university.
        University = "university",
        /// A non-profit organization without commercial activity.
        NonProfit = "non-profit",
        /// Not known.
        Unknown = "unknown",
    }
    /// On what a transfer of personal data rests (GDPR Chapter V).
    Instrument {
        /// Nothing.
        None = "none",
        /// A decision under Art. 45.
        Adequacy = "adequacy",
        /// Standard contractual clauses under Art. 46(2)(c), Decision (EU) 2021/914.
        StandardClauses = "standard-clauses",
        /// A derogation under Art. 49(1).
        Derogation = "derogation",
    }
    /// Where the people live whom the data is about, as far as the law differs.
    Region {
        /// The European Economic Area.
        Eea = "eea",
        /// Québec.
        Quebec = "quebec",
        /// The rest of Canada.
        Canada = "canada",
        /// Elsewhere.
        Elsewhere = "elsewhere",
        /// Not known.
        Unknown = "unknown",
    }
    /// An evaluation that passed, of these weights, and is not too old.
    Suite {
        /// Chemical, biological, radiological and nuclear uplift.
        Cbrn = "cbrn",
        /// Loss of control.
        LossOfControl = "loss-of-control",
        /// Cyber offence.
        CyberOffence = "cyber-offence",
        /// Harmful manipulation.
        HarmfulManipulation = "harmful-manipulation",
        /// Safeguards against intimate imagery without consent and abuse material.
        ImagerySafeguards = "imagery-safeguards",
        /// Accuracy (Art. 15).
        Accuracy = "accuracy",
        /// Robustness (Art. 15).
        Robustness = "robustness",
        /// Cybersecurity (Art. 15).
        Cybersecurity = "cybersecurity",
    }
}

/// Every modality of a model's record.
pub const MODALITIES: [Modality; 9] = [
    Modality::Language,
    Modality::Image,
    Modality::Video,
    Modality::Audio,
    Modality::Tabular,
    Modality::TimeSeries,
    Modality::Code,
    Modality::Action,
    Modality::Prediction,
];

/// The kinds of document that a rule can ask for.
pub const DOCUMENT_KINDS: [DocumentKind; 12] = [
    DocumentKind::AnnexIv,
    DocumentKind::AnnexXi,
    DocumentKind::AnnexXii,
    DocumentKind::CopyrightPolicy,
    DocumentKind::TrainingSummary,
    DocumentKind::RiskManagement,
    DocumentKind::DataGovernance,
    DocumentKind::Logging,
    DocumentKind::Instructions,
    DocumentKind::Oversight,
    DocumentKind::Conformity,
    DocumentKind::EuDatabase,
];

/// The kinds of incident that a law asks about.
pub const INCIDENT_KINDS: [IncidentKind; 7] = [
    IncidentKind::CriticalInfrastructureDisruption,
    IncidentKind::CyberBreach,
    IncidentKind::Death,
    IncidentKind::OtherSerious,
    IncidentKind::WidespreadInfringement,
    IncidentKind::PersonalDataBreach,
    IncidentKind::ForeignOrder,
];
