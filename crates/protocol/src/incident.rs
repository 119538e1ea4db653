// SPDX-License-Identifier: Apache-2.0
//! Incidents: a chain of signed entries from the moment somebody became aware, which only ever grows.
//!
//! Each entry names the digest of the one before, so that nothing can be taken out, changed or put in between
//! (Regulation (EU) 2024/1689, Art. 73(6): evidence is not altered before the authorities have been informed).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    digest::Sha256Digest,
    ids::{IncidentId, JobId, MemberId, ModelId, SiteId},
    jws::{Document, Signed},
    keys::PublicKey,
    record::{
        InvalidRecord, LIST_LENGTH_MAX, Record, RecordError, check_label, check_order, check_text,
        check_unique, check_version, invalid,
    },
    subject::Subject,
};

/// One entry about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentEntry {
    /// Wire version, 1.
    pub version: u8,
    /// The incident.
    pub incident: IncidentId,
    /// The place of this entry, from 0 on.
    pub sequence: u32,
    /// Digest of the signed entry before it; `None` for the first.
    pub previous: Option<Sha256Digest>,
    /// The member whose node keeps the chain and signs every entry of it.
    pub member: MemberId,
    /// Who wrote it, by pseudonym.
    pub by: Subject,
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub step: IncidentStep,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step", deny_unknown_fields)]
pub enum IncidentStep {
    /// The first entry: what happened.
    Opened(Opening),
    /// It turned out to be of another kind, or of a further one. The clocks of the new kind start here.
    Reclassified {
        /// The kind it has from now on.
        kind: IncidentKind,
        /// When somebody became aware of that.
        aware_at: Timestamp,
        /// Why.
        reason: String,
    },
    /// What was found out since.
    Found {
        /// In words.
        summary: String,
        /// Digests of frozen evidence.
        evidence: Vec<Sha256Digest>,
    },
    /// An authority or a provider was told.
    Notified {
        /// Whom.
        authority: String,
        /// Their reference, if they gave one.
        reference: Option<String>,
        /// When.
        notified_at: Timestamp,
        /// Whether the report was complete; a first one may be incomplete (Art. 73(5)).
        complete: bool,
    },
    /// The danger is over.
    Resolved {
        /// Since when.
        resolved_at: Timestamp,
        /// How.
        summary: String,
    },
    /// Nothing more will follow.
    Closed {
        /// With what result.
        summary: String,
    },
}

/// What happened, as far as it is known at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// What kind of incident.
    pub kind: IncidentKind,
    /// The model, if one is concerned.
    pub model: Option<ModelId>,
    /// The job, if one is concerned.
    pub job: Option<JobId>,
    /// The site, if one is concerned.
    pub site: Option<SiteId>,
    /// When it happened, if that is known.
    pub occurred_at: Option<Timestamp>,
    /// When somebody became aware of it: every statutory clock starts here.
    pub aware_at: Timestamp,
    /// In words, without personal data.
    pub summary: String,
    /// Digests of frozen evidence.
    pub evidence: Vec<Sha256Digest>,
}

/// A kind of incident, as the law's clocks tell them apart, in the words of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// Serious and irreversible disruption of critical infrastructure (Regulation (EU) 2024/1689, Art. 3(49)(b)).
    CriticalInfrastructureDisruption,
    /// A breach of cybersecurity, the theft or self-exfiltration of weights included (Art. 55(1)(c), (d)).
    CyberBreach,
    /// A death (Art. 3(49)(a)).
    Death,
    /// Other serious harm to health, property, environment or fundamental rights (Art. 3(49)(a), (c), (d)).
    OtherSerious,
    /// The same infringement of rights in at least two Member States (Art. 3(61), 73(3)).
    WidespreadInfringement,
    /// A breach of personal data (GDPR Art. 33).
    PersonalDataBreach,
    /// A court or authority of a third country ordered data or weights to be handed over (GDPR Art. 48).
    ForeignOrder,
    /// The guardrail failed closed: its alarm rang or no theory is left.
    GuardrailAlarm,
    /// Anything else that was worth an entry.
    Other,
}

impl IncidentKind {
    /// The word for it, as on the wire and in rules.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CriticalInfrastructureDisruption => "critical-infrastructure-disruption",
            Self::CyberBreach => "cyber-breach",
            Self::Death => "death",
            Self::OtherSerious => "other-serious",
            Self::WidespreadInfringement => "widespread-infringement",
            Self::PersonalDataBreach => "personal-data-breach",
            Self::ForeignOrder => "foreign-order",
            Self::GuardrailAlarm => "guardrail-alarm",
            Self::Other => "other",
        }
    }
}

/// A verified chain, read from its first entry to its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The incident.
    pub incident: IncidentId,
    /// The member that keeps it.
    pub member: MemberId,
    /// What the first entry said.
    pub opening: Opening,
    /// Every kind it was ever of, with the moment somebody became aware; the last is what it is now.
    pub kinds: Vec<(IncidentKind, Timestamp)>,
    /// Who was told, and when.
    pub notified: Vec<(String, Timestamp)>,
    /// All frozen evidence.
    pub evidence: BTreeSet<Sha256Digest>,
    /// Since when the danger is over.
    pub resolved_at: Option<Timestamp>,
    /// Whether nothing more will follow.
    pub closed: bool,
    /// How many entries there are.
    pub length: u32,
    /// The digest of the last signed entry, which the next one names.
    pub head: Sha256Digest,
}

/// Why a chain of entries does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// There is nothing.
    #[error("the chain has no entries: it begins with one that opens the incident")]
    Empty,
    /// Longer than is read.
    #[error("the chain has {0} entries; at most {LIST_LENGTH_MAX} are read")]
    TooLong(usize),
    /// One entry is not a valid record.
    #[error("entry {sequence} of the chain is refused")]
    Entry {
        /// Its place.
        sequence: usize,
        /// Why.
        source: Box<RecordError>,
    },
    /// An entry does not follow from those before it.
    #[error("entry {sequence} of the chain {problem}")]
    Broken {
        /// Its place.
        sequence: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Document for IncidentEntry {
    const TYP: &'static str = "sta-incident+jws";
}

impl Record for IncidentEntry {
    fn check(&self) -> Result<(), InvalidRecord> {
        check_version(self.version)?;
        let opens = matches!(self.step, IncidentStep::Opened(_));
        if opens != (self.sequence == 0) || opens != self.previous.is_none() {
            let problem =
                "must be 0, without `previous`, for the entry that opens an incident and for no other";
            return invalid("sequence", problem);
        }
        match &self.step {
            IncidentStep::Opened(opening) => {
                check_text("summary", &opening.summary)?;
                check_unique("evidence", &opening.evidence)?;
                if let Some(occurred_at) = opening.occurred_at {
                    check_order("aware_at", occurred_at, opening.aware_at, "nobody knows what will happen")?;
                }
                check_order("at", opening.aware_at, self.at, "write when you became aware, not when you will")
            }
            IncidentStep::Reclassified { aware_at, reason, .. } => {
                check_text("reason", reason)?;
                check_order("at", *aware_at, self.at, "write when you became aware, not when you will")
            }
            IncidentStep::Found { summary, evidence } => {
                check_text("summary", summary)?;
                check_unique("evidence", evidence)
            }
            IncidentStep::Notified { authority, reference, notified_at, .. } => {
                check_label("authority", authority)?;
                reference.as_deref().map_or(Ok(()), |reference| check_label("reference", reference))?;
                check_order("at", *notified_at, self.at, "write it down after you told them")
            }
            IncidentStep::Resolved { resolved_at, summary } => {
                check_text("summary", summary)?;
                check_order("at", *resolved_at, self.at, "write it down when it is over")
            }
            IncidentStep::Closed { summary } => check_text("summary", summary),
        }
    }
}

impl Incident {
    /// Verifies a whole chain: each entry's signature and form, that each names the one before, that one incident, one
    /// member and one line of time go through it, and that nothing follows the end.
    ///
    /// # Errors
    /// The first entry that does not hold.
    pub fn follow(
        entries: &[Signed<IncidentEntry>],
        key: impl Fn(&str) -> Option<PublicKey>,
    ) -> Result<Self, ChainError> {
        if entries.len() > LIST_LENGTH_MAX {
            return Err(ChainError::TooLong(entries.len()));
        }
        let mut incident: Option<Self> = None;
        let mut last_at = Timestamp::MIN;
        for (sequence, signed) in entries.iter().enumerate() {
            let broken = |problem: &str| ChainError::Broken { sequence, problem: problem.to_owned() };
            let entry = signed
                .verify_record(&key)
                .map_err(|source| ChainError::Entry { sequence, source: Box::new(source) })?;
            if usize::try_from(entry.sequence) != Ok(sequence) {
                return Err(broken(&format!("says it is entry {}: one is missing", entry.sequence)));
            }
            if entry.at < last_at {
                return Err(broken("is older than the one before it"));
            }
            last_at = entry.at;
            let head = entry.digest();
            incident = Some(match incident {
                None => {
                    Self::open(entry.into_inner(), head).ok_or_else(|| broken("does not open an incident"))?
                }
                Some(before) => before.grow(entry.into_inner(), head).map_err(broken)?,
            });
        }
        incident.ok_or(ChainError::Empty)
    }

    fn open(entry: IncidentEntry, head: Sha256Digest) -> Option<Self> {
        let IncidentStep::Opened(opening) = entry.step else { return None };
        Some(Self {
            incident: entry.incident,
            member: entry.member,
            kinds: vec![(opening.kind, opening.aware_at)],
            notified: Vec::new(),
            evidence: opening.evidence.iter().copied().collect(),
            opening,
            resolved_at: None,
            closed: false,
            length: 1,
            head,
        })
    }

    fn grow(mut self, entry: IncidentEntry, head: Sha256Digest) -> Result<Self, &'static str> {
        if entry.previous != Some(self.head) {
            return Err("does not name the digest of the entry before it");
        }
        if entry.incident != self.incident || entry.member != self.member {
            return Err("is about another incident, or of another member");
        }
        if self.closed {
            return Err("follows the entry that closed the incident: open a new one");
        }
        match entry.step {
            IncidentStep::Opened(_) => return Err("opens the incident again"),
            IncidentStep::Reclassified { kind, aware_at, .. } => self.kinds.push((kind, aware_at)),
            IncidentStep::Found { evidence, .. } => self.evidence.extend(evidence),
            IncidentStep::Notified { authority, notified_at, .. } => {
                self.notified.push((authority, notified_at));
            }
            IncidentStep::Resolved { resolved_at, .. } => self.resolved_at = Some(resolved_at),
            IncidentStep::Closed { .. } if self.resolved_at.is_none() => {
                return Err("closes an incident that is not resolved");
            }
            IncidentStep::Closed { .. } => self.closed = true,
        }
        self.length += 1;
        self.head = head;
        Ok(self)
    }
}
