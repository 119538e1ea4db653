// SPDX-License-Identifier: Apache-2.0
//! What a job, model or request is for: one word of a closed list, so that rules about purposes can look at it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A purpose. The first ten are the practices of Art. 5 of Regulation (EU) 2024/1689, the next eight the areas of its Annex III.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Art. 5(1)(a): subliminal, manipulative or deceptive techniques.
    #[serde(rename = "manipulation")]
    Manipulation,
    /// Art. 5(1)(b): age, disability, social or economic situation.
    #[serde(rename = "exploit-vulnerability")]
    ExploitVulnerability,
    /// Art. 5(1)(c).
    #[serde(rename = "social-scoring")]
    SocialScoring,
    /// Art. 5(1)(d): risk that a person commits a crime, from profiling alone.
    #[serde(rename = "crime-prediction-by-profiling")]
    CrimePrediction,
    /// Art. 5(1)(e): face images from the internet or cameras.
    #[serde(rename = "untargeted-face-scraping")]
    FaceScraping,
    /// Art. 5(1)(f).
    #[serde(rename = "emotion-at-work-or-school")]
    EmotionAtWorkOrSchool,
    /// Art. 5(1)(g).
    #[serde(rename = "biometric-sensitive-categorisation")]
    BiometricCategorisation,
    /// Art. 5(1)(h): in public spaces, for law enforcement.
    #[serde(rename = "realtime-remote-biometric-identification")]
    RemoteBiometricIdentification,
    /// Art. 5(1)(ba), by Regulation (EU) 2026/1744.
    #[serde(rename = "intimate-imagery-without-consent")]
    IntimateImagery,
    /// Art. 5(1)(bb), by Regulation (EU) 2026/1744.
    #[serde(rename = "child-sexual-abuse-material")]
    ChildAbuseMaterial,
    /// Annex III(1).
    #[serde(rename = "biometrics")]
    Biometrics,
    /// Annex III(2).
    #[serde(rename = "critical-infrastructure")]
    CriticalInfrastructure,
    /// Annex III(3).
    #[serde(rename = "education")]
    Education,
    /// Annex III(4).
    #[serde(rename = "employment")]
    Employment,
    /// Annex III(5).
    #[serde(rename = "essential-services")]
    EssentialServices,
    /// Annex III(6).
    #[serde(rename = "law-enforcement")]
    LawEnforcement,
    /// Annex III(7).
    #[serde(rename = "migration")]
    Migration,
    /// Annex III(8).
    #[serde(rename = "justice-or-democracy")]
    JusticeOrDemocracy,
    /// Science without a purpose of its own in this list.
    #[serde(rename = "research")]
    Research,
    /// Science about health.
    #[serde(rename = "health-research")]
    HealthResearch,
    /// The work of a public body outside Annex III.
    #[serde(rename = "public-service")]
    PublicService,
    /// A product or service outside Annex III.
    #[serde(rename = "commercial")]
    Commercial,
    /// Nobody has said which of these it is.
    #[serde(rename = "unlisted")]
    Unlisted,
}

/// A word that is no purpose of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no purpose of the list: use {names}", names = Purpose::names())]
pub struct UnknownPurpose(String);

impl Purpose {
    /// The whole list.
    pub const ALL: &'static [Self] = &[
        Self::Manipulation,
        Self::ExploitVulnerability,
        Self::SocialScoring,
        Self::CrimePrediction,
        Self::FaceScraping,
        Self::EmotionAtWorkOrSchool,
        Self::BiometricCategorisation,
        Self::RemoteBiometricIdentification,
        Self::IntimateImagery,
        Self::ChildAbuseMaterial,
        Self::Biometrics,
        Self::CriticalInfrastructure,
        Self::Education,
        Self::Employment,
        Self::EssentialServices,
        Self::LawEnforcement,
        Self::Migration,
        Self::JusticeOrDemocracy,
        Self::Research,
        Self::HealthResearch,
        Self::PublicService,
        Self::Commercial,
        Self::Unlisted,
    ];

    /// The word for it, as rules read it and as it goes over the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manipulation => "manipulation",
            Self::ExploitVulnerability => "exploit-vulnerability",
            Self::SocialScoring => "social-scoring",
            Self::CrimePrediction => "crime-prediction-by-profiling",
            Self::FaceScraping => "untargeted-face-scraping",
            Self::EmotionAtWorkOrSchool => "emotion-at-work-or-school",
            Self::BiometricCategorisation => "biometric-sensitive-categorisation",
            Self::RemoteBiometricIdentification => "realtime-remote-biometric-identification",
            Self::IntimateImagery => "intimate-imagery-without-consent",
            Self::ChildAbuseMaterial => "child-sexual-abuse-material",
            Self::Biometrics => "biometrics",
            Self::CriticalInfrastructure => "critical-infrastructure",
            Self::Education => "education",
            Self::Employment => "employment",
            Self::EssentialServices => "essential-services",
            Self::LawEnforcement => "law-enforcement",
            Self::Migration => "migration",
            Self::JusticeOrDemocracy => "justice-or-democracy",
            Self::Research => "research",
            Self::HealthResearch => "health-research",
            Self::PublicService => "public-service",
            Self::Commercial => "commercial",
            Self::Unlisted => "unlisted",
        }
    }

    /// The one that is written so.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == word)
    }

    /// Whether the law names it: a practice of Art. 5, or an area of Annex III of Regulation (EU) 2024/1689.
    #[must_use]
    pub fn is_named_by_law(self) -> bool {
        self <= Self::JusticeOrDemocracy
    }

    fn names() -> String {
        Self::ALL.iter().map(|purpose| purpose.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = UnknownPurpose;
    fn from_str(word: &str) -> Result<Self, UnknownPurpose> {
        Self::from_word(word).ok_or_else(|| UnknownPurpose(word.to_owned()))
    }
}
