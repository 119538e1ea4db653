// SPDX-License-Identifier: Apache-2.0
//! The dossier of a job: every candidate site, every rule that fired, price, grams, wait; then every host's answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    digest::Sha256Digest,
    ids::{MemberId, SiteId},
    refusal::{Refusal, RefusalCode},
};

use crate::store::{StoreError, jobs::HomeJob, moves::Why};

/// Why a job went where it went, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Dossier {
    /// Stored version.
    pub version: u8,
    /// When home decided.
    #[schema(value_type = String, format = DateTime)]
    pub decided_at: Timestamp,
    /// Digest of the treaty it decided under.
    #[schema(value_type = String)]
    pub treaty: Sha256Digest,
    /// Digest of the rules it decided by.
    #[schema(value_type = String)]
    pub rules: Sha256Digest,
    /// Reasons that hold for every site, such as a passport that is over.
    #[schema(value_type = Vec<crate::http::documents::RefusalDocument>)]
    pub refusals: Vec<Refusal>,
    /// Every site of the treaty: those that may and can first, best first.
    pub candidates: Vec<CandidateNote>,
    /// What hosts answered, in the order they did.
    pub answers: Vec<AnswerNote>,
    /// When home decided the first time, of a job that was elsewhere before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_decided_at: Option<Timestamp>,
    /// From where the job was taken back to go on elsewhere, or was to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<MoveNote>,
}

/// A host was asked for a job, to have it go on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MoveNote {
    /// The site where it waited.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub by: MemberId,
    /// When home learned of the answer.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why it was to go on elsewhere.
    pub why: Why,
    /// Which attempt was next.
    pub attempt: u32,
    /// Whether what it had saved comes along.
    pub with_saved: bool,
    /// Why it stayed there; empty when it was taken back.
    #[schema(value_type = Vec<crate::http::documents::RefusalDocument>)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_by: Vec<Refusal>,
}

/// One site as home saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CandidateNote {
    /// The site.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub member: MemberId,
    /// Its place among the sites that may and can run the job, from 1; none when it may or can not.
    pub rank: Option<u32>,
    /// Rules that permit it.
    pub permitted_by: Vec<String>,
    /// Rules that forbid it, and limits it does not meet.
    #[schema(value_type = Vec<crate::http::documents::RefusalDocument>)]
    pub refusals: Vec<Refusal>,
    /// The highest price, in millionths of the treaty's currency.
    pub price_micro_max: i64,
    /// CO2-equivalent at the time limit, in micrograms.
    pub co2_ug: i64,
    /// Expected wait in seconds.
    pub wait_s: u32,
    /// Expected staging time in seconds.
    pub staging_s: u32,
    /// The weighed score, lower is better.
    pub score: Option<u64>,
}

/// A host's answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AnswerNote {
    /// The site offered to.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// Who answered.
    #[schema(value_type = String)]
    pub by: MemberId,
    /// When home learned of it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whether it consented.
    pub admitted: bool,
    /// Why not.
    #[schema(value_type = Vec<crate::http::documents::RefusalDocument>)]
    pub refusals: Vec<Refusal>,
}

impl CandidateNote {
    /// Whether the researcher's own choice ruled the site out, before any rule was asked.
    #[must_use]
    pub fn is_not_wanted(&self) -> bool {
        self.refusals.iter().any(|refusal| refusal.code() == Some(RefusalCode::SiteNotWanted))
    }
}

impl Dossier {
    /// The dossier kept with a job.
    ///
    /// # Errors
    /// The stored text is not a dossier.
    pub fn of(job: &HomeJob) -> Result<Self, StoreError> {
        serde_json::from_value(job.dossier.clone())
            .map_err(|error| StoreError::Damaged { what: "dossier", problem: error.to_string() })
    }

    /// How often the job was taken back to go on elsewhere.
    #[must_use]
    pub fn times_moved(&self) -> usize {
        self.moved.iter().filter(|note| note.kept_by.is_empty()).count()
    }

    /// Takes over what an earlier decision of the same job knows of its moves.
    pub(super) fn follows(&mut self, earlier: Self) {
        self.first_decided_at = earlier.first_decided_at.or(Some(earlier.decided_at));
        self.moved = earlier.moved;
    }

    /// The form in which it is kept.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a dossier has text keys and whole numbers only")
    }

    /// The best site that has not answered yet.
    #[must_use]
    pub fn next(&self) -> Option<&CandidateNote> {
        let asked = |note: &CandidateNote| self.answers.iter().any(|answer| answer.site == note.site);
        self.candidates.iter().filter(|note| note.rank.is_some() && !asked(note)).min_by_key(|note| note.rank)
    }

    /// Every refusal in it, each once, in order: home's own and the hosts'. That the researcher did not want a site is no
    /// refusal of the job.
    #[must_use]
    pub fn all_refusals(&self) -> Vec<Refusal> {
        let wanted = self.candidates.iter().filter(|note| !note.is_not_wanted());
        let sites = wanted.flat_map(|note| &note.refusals);
        let answers = self.answers.iter().flat_map(|answer| &answer.refusals);
        let mut all: Vec<Refusal> = self.refusals.iter().chain(sites).chain(answers).cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}
