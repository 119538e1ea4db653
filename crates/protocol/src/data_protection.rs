// SPDX-License-Identifier: Apache-2.0
//! What the law on personal data asks of a dataset or of files: whom it is about, and which documents are on record.
//!
//! Everything may be left out, and what is left out counts against: no rule takes silence for a yes.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    class::Class,
    dataset_facts::PersonalInformation,
    digest::Sha256Digest,
    ids::SiteId,
    record::{InvalidRecord, check_length, check_not_empty, check_unique, invalid},
};

/// A document that somebody keeps and can show: its digest says which, the record that names it who vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentOnRecord {
    /// SHA-256 of the document.
    pub sha256: Sha256Digest,
    /// The day of its signature or conclusion; before it, it counts for nothing.
    pub dated: Date,
}

/// A document that holds at certain sites alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentAtSites {
    /// The sites, at least one.
    pub sites: Vec<SiteId>,
    /// SHA-256 of the document.
    pub sha256: Sha256Digest,
    /// The day of its signature or conclusion; before it, it counts for nothing.
    pub dated: Date,
}

/// Where the people live whom the data is about, as far as the law differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectRegion {
    /// The European Economic Area, also where only some of them live there.
    Eea,
    /// Québec.
    Quebec,
    /// The rest of Canada.
    Canada,
    /// Elsewhere.
    Elsewhere,
}

/// The condition of GDPR Art. 9(2) under which special categories of personal data are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArticleNineBasis {
    /// (a) explicit consent.
    ExplicitConsent,
    /// (b) employment and social security law.
    Employment,
    /// (c) vital interests.
    VitalInterests,
    /// (d) legitimate activities of a foundation or association.
    Association,
    /// (e) manifestly made public by the person.
    MadePublic,
    /// (f) legal claims.
    LegalClaims,
    /// (g) substantial public interest.
    PublicInterest,
    /// (h) health or social care.
    HealthCare,
    /// (i) public health.
    PublicHealth,
    /// (j) research under Art. 89(1).
    Research,
}

/// Whom data is about and under which law it was collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AboutPeople {
    /// Whether there is information about people; asked of class `protected` alone, the other classes say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal_information: Option<PersonalInformation>,
    /// Where they live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_region: Option<SubjectRegion>,
    /// The processing is likely to be a high risk for them (GDPR Art. 35(1)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_risk: Option<bool>,
    /// Human-resources data of an employer that PIPEDA does not cover (outside of Decision 2002/2/EC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employer_outside_pipeda: Option<bool>,
    /// It comes from an enterprise in Québec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_quebec: Option<bool>,
    /// The organization that collected it is one that PIPEDA covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_pipeda: Option<bool>,
    /// It serves decisions made by machine alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automated_decision: Option<bool>,
}

/// What a dataset's member vouches for in its signed record: whom it is about, and the documents that the law asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataProtection {
    /// Whom it is about.
    pub people: AboutPeople,
    /// Under which condition of GDPR Art. 9(2) it is processed, if it is of a special category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub article_nine_basis: Option<ArticleNineBasis>,
    /// The data protection impact assessment (GDPR Art. 35).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact_assessment: Option<DocumentOnRecord>,
    /// Contracts with the operators of sites (GDPR Art. 28(3)).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processor_contracts: Vec<DocumentAtSites>,
    /// Privacy impact assessments of its going to sites outside of Québec (s. 17 of the private-sector act).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quebec_assessments: Vec<DocumentAtSites>,
    /// How the people were told of decisions made by machine alone (s. 12.1 of the same act).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automated_decision_notice: Option<DocumentOnRecord>,
    /// Contracts or other means that give comparable protection at sites (PIPEDA, Schedule 1, 4.1.3).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comparable_protection: Vec<DocumentAtSites>,
}

impl AboutPeople {
    /// Checks that the statement does not contradict the class, which it may refine and never loosen.
    ///
    /// # Errors
    /// The field that is wrong, its name after `field`.
    pub fn check(&self, field: &str, class: Class) -> Result<(), InvalidRecord> {
        let Some(stated) = self.personal_information else { return Ok(()) };
        let said_by_class = match class {
            Class::Open | Class::Internal => PersonalInformation::None,
            Class::Personal => PersonalInformation::Personal,
            Class::Special => PersonalInformation::Special,
            Class::Protected => return Ok(()),
        };
        if stated == said_by_class || stated == PersonalInformation::NotStated {
            return Ok(());
        }
        let problem = format!(
            "is `{}`, and the class is `{class}`, which says `{}`: leave it out or correct the class",
            stated.as_str(),
            said_by_class.as_str()
        );
        invalid(format!("{field}.personal_information"), problem)
    }
}

impl DataProtection {
    /// The sites at which its documents hold.
    pub fn sites(&self) -> impl Iterator<Item = &SiteId> {
        let documents = [&self.processor_contracts, &self.quebec_assessments, &self.comparable_protection];
        documents.into_iter().flatten().flat_map(|document| &document.sites)
    }

    /// Checks the lists against their bounds and the statements against the class.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self, class: Class) -> Result<(), InvalidRecord> {
        self.people.check("protection.people", class)?;
        if self.article_nine_basis.is_some() && !matches!(class, Class::Special | Class::Protected) {
            let problem = format!("is given, and the class is `{class}`: leave it out or use `special`");
            return invalid("protection.article_nine_basis", problem);
        }
        let lists = [
            ("protection.processor_contracts", &self.processor_contracts),
            ("protection.quebec_assessments", &self.quebec_assessments),
            ("protection.comparable_protection", &self.comparable_protection),
        ];
        for (field, documents) in lists {
            check_length(field, documents.len())?;
            for document in documents {
                check_not_empty(field, document.sites.len(), "name the sites where the document holds")?;
                check_unique(field, &document.sites)?;
            }
        }
        Ok(())
    }
}
