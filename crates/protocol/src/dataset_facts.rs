// SPDX-License-Identifier: Apache-2.0
//! What is known of a dataset beyond its files: what people are in it, how it came about, where it fails, what it is for.

use serde::{Deserialize, Serialize};

use crate::{
    class::Class,
    digest::Sha256Digest,
    record::{InvalidRecord, check_label, check_length, check_text, invalid},
};

/// The most texts of one kind.
pub const TEXTS_MAX: usize = 100;

/// Facts that a dataset's member states, typed so that rules can ask for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetFacts {
    /// SHA-256 of the document that they were read from.
    pub source: Sha256Digest,
    /// What it is.
    pub description: Option<String>,
    /// Its licence, as an address or an SPDX expression.
    pub licence: Option<String>,
    /// Whether it holds information about people.
    pub personal_information: PersonalInformation,
    /// What that information is, as stated.
    pub personal_information_stated: Vec<String>,
    /// How it was collected.
    pub collection: Vec<String>,
    /// Known biases.
    pub biases: Vec<String>,
    /// Known limitations, and uses it is not fit for.
    pub limitations: Vec<String>,
    /// What it is meant and validated for.
    pub use_cases: Vec<String>,
    /// Its effects on society.
    pub social_impact: Vec<String>,
    /// How it was labelled.
    pub annotation: Vec<String>,
    /// How it is kept up.
    pub maintenance: Vec<String>,
}

/// Whether a dataset holds information about people; whatever is not plainly none counts as some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonalInformation {
    /// It is stated that there is none.
    None,
    /// Nothing is stated.
    NotStated,
    /// Personal data (GDPR Art. 4(1)).
    Personal,
    /// A special category of it (GDPR Art. 9(1)).
    Special,
}

/// Statements that there is none, after lower case and without a stop at the end. Everything else counts as some.
const NONE: [&str; 6] = [
    "none",
    "no",
    "no personal information",
    "no personal or sensitive information",
    "no personal data",
    "the dataset contains no personal or sensitive information",
];

/// The beginnings of words that name a special category of personal data (GDPR Art. 9(1)).
const SPECIAL: [&str; 18] = [
    "health",
    "medical",
    "clinical",
    "diagnos",
    "disab",
    "disease",
    "patient",
    "genetic",
    "genom",
    "biometric",
    "ethnic",
    "racial",
    "race",
    "religio",
    "philosophical",
    "political",
    "sexual",
    "union",
];

impl PersonalInformation {
    /// What statements in words say; the strictest of them.
    #[must_use]
    pub fn of_statements(statements: &[String]) -> Self {
        statements.iter().map(|statement| Self::of_statement(statement)).max().unwrap_or(Self::NotStated)
    }

    fn of_statement(statement: &str) -> Self {
        let plain = statement.trim().trim_end_matches('.').to_lowercase();
        if NONE.contains(&plain.as_str()) {
            return Self::None;
        }
        let mut words = plain.split(|c: char| !c.is_alphanumeric());
        if words.any(|word| SPECIAL.iter().any(|beginning| word.starts_with(beginning))) {
            Self::Special
        } else {
            Self::Personal
        }
    }

    /// The word for it, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NotStated => "not_stated",
            Self::Personal => "personal",
            Self::Special => "special",
        }
    }

    /// The least class that fits.
    #[must_use]
    pub fn class_min(self) -> Class {
        match self {
            Self::None | Self::NotStated => Class::Open,
            Self::Personal => Class::Personal,
            Self::Special => Class::Special,
        }
    }
}

impl DatasetFacts {
    /// Checks the facts against their bounds and against the class of the dataset.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self, class: Class) -> Result<(), InvalidRecord> {
        if let Some(description) = &self.description {
            check_text("facts.description", description)?;
        }
        if let Some(licence) = &self.licence {
            check_label("facts.licence", licence)?;
        }
        let lists = [
            ("facts.personal_information_stated", &self.personal_information_stated),
            ("facts.collection", &self.collection),
            ("facts.biases", &self.biases),
            ("facts.limitations", &self.limitations),
            ("facts.use_cases", &self.use_cases),
            ("facts.social_impact", &self.social_impact),
            ("facts.annotation", &self.annotation),
            ("facts.maintenance", &self.maintenance),
        ];
        for (field, texts) in lists {
            check_length(field, texts.len())?;
            if texts.len() > TEXTS_MAX {
                return invalid(field, format!("has {} texts: at most {TEXTS_MAX}", texts.len()));
            }
            texts.iter().try_for_each(|text| check_text(field, text))?;
        }
        if PersonalInformation::of_statements(&self.personal_information_stated) > self.personal_information {
            let problem = "says less than the statements it was read from: take it from the document again";
            return invalid("facts.personal_information", problem);
        }
        let least = self.personal_information.class_min();
        if class < least {
            let problem = format!(
                "is `{class}`, and the dataset states information about people that is `{}`: use `{least}` or a stricter class, or correct the statement",
                self.personal_information.as_str()
            );
            return invalid("class", problem);
        }
        Ok(())
    }
}
