// SPDX-License-Identifier: Apache-2.0
//! The treaty: the machine-readable agreement between members. TOML for people, JCS for digests, one JWS signature per member.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    class::Class,
    data_protection::DocumentOnRecord,
    digest::Sha256Digest,
    ids::{Jurisdiction, MemberId, SiteId},
    jws::{JwsError, MultiSigned},
    keys::{PublicKey, VisaPublicKey},
    stop_order::StopAuthority,
};

mod check;
mod sharing;

pub use sharing::{GRACE_S_MAX, Sharing};

/// The media type that every signature of a treaty names in `typ`.
pub const TREATY_TYP: &str = "application/vnd.sta.treaty+jws";

/// The text of an agreement, before or after anybody signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Treaty {
    /// Wire version, 1.
    pub version: u8,
    /// What people call it.
    pub name: String,
    /// First moment in force.
    pub valid_from: Timestamp,
    /// First moment no longer in force.
    pub valid_until: Timestamp,
    /// Money and period.
    pub settlement: Settlement,
    /// Who must have seen a log.
    pub witness: WitnessTerms,
    /// The members, each with its keys.
    pub members: Vec<Member>,
    /// Jurisdictions and the groups they belong to.
    pub jurisdictions: Vec<JurisdictionTerms>,
    /// On what ground personal data may move between jurisdictions.
    #[serde(default)]
    pub transfer_grounds: Vec<TransferGround>,
    /// The sites that members open to each other.
    pub sites: Vec<Site>,
    /// The policy packs in force, by digest.
    pub policies: Vec<PolicyPack>,
    /// Who may order a stop, at most one list of people for each member; empty when nobody may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_authorities: Vec<StopAuthority>,
    /// How members share their sites: that an owner may have guests leave, and what that may cost them. Without it, nobody is
    /// asked to leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
}

/// How members settle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// ISO 4217 code; every price is in millionths of it.
    pub currency: String,
    /// Always `month`: a period is a calendar month in UTC, `2026-11`.
    pub period: String,
    /// Always `half-even`: the one rounding rule.
    pub rounding: String,
}

/// When a log counts as witnessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessTerms {
    /// How many other members must have cosigned a checkpoint.
    pub quorum: u8,
    /// A member whose newest cosignature of our log is older than this, while the log has grown, is behind.
    pub behind_s_max: u32,
}

/// One member and the keys it answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Short name.
    pub id: MemberId,
    /// What people call it.
    pub name: String,
    /// The law it answers to.
    pub jurisdiction: Jurisdiction,
    /// Base URL of its node, without a trailing slash; signed requests name it (RFC 9421 `@target-uri`).
    pub url: String,
    /// Its public keys.
    pub keys: MemberKeys,
}

/// A member's public keys, two families: Ed25519 for signatures between nodes and for the log, ES256 for visas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberKeys {
    /// Ed25519 key of HTTP signatures and JWS documents.
    pub signing: PublicKey,
    /// Signed-note verifier key of the audit log; its name is the log's origin.
    pub log: String,
    /// Signed-note verifier key (type 0x04) with which this member cosigns others' logs.
    pub witness: String,
    /// ES256 key of visas and passports.
    pub visa: VisaPublicKey,
}

/// A jurisdiction and the groups that contain it, such as `de` in `eea`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JurisdictionTerms {
    /// Short name.
    pub id: Jurisdiction,
    /// Groups it belongs to; a residency may name a group.
    #[serde(default)]
    pub groups: Vec<Jurisdiction>,
}

/// A ground on which personal data may go from one jurisdiction (or group) to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferGround {
    /// Where the data is from.
    pub from: Jurisdiction,
    /// Where it may go.
    pub to: Jurisdiction,
    /// The law, such as `GDPR Art. 45; Decision 2002/2/EC`.
    pub ground: String,
    /// The classes it covers.
    pub classes: Vec<Class>,
    /// The forms of operator it covers, such as `commercial` (adequacy for PIPEDA recipients only).
    pub operator_forms: Vec<String>,
    /// First moment at which it no longer holds.
    pub valid_until: Timestamp,
    /// What of GDPR Chapter V it rests on; without it, it is no ground for the personal data of people in the EEA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<TransferInstrument>,
    /// The clauses that both ends have signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clauses: Option<DocumentOnRecord>,
    /// The transfer impact assessment (CJEU C-311/18).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_assessment: Option<DocumentOnRecord>,
    /// Whether data may go on from there to a third country; without a word, it may, on no ground of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onward: Option<OnwardTerms>,
    /// False where it is for one transfer alone; a ground of a treaty serves again and again (GDPR recital 111).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurring: Option<bool>,
}

/// What a transfer of personal data rests on (GDPR Chapter V).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferInstrument {
    /// A decision under Art. 45: the treaty's line is its entry in the adequacy register.
    Adequacy,
    /// Standard contractual clauses under Art. 46(2)(c), Decision (EU) 2021/914.
    StandardClauses,
    /// A derogation under Art. 49(1).
    Derogation,
}

/// What a ground says of data that would go on to a third country (GDPR Art. 44, second sentence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnwardTerms {
    /// It stays where the ground brings it.
    Barred,
    /// It goes on only under an instrument of its own.
    UnderInstrument,
}

/// A contract under which a site's operator processes personal data for a member (GDPR Art. 28(3)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessorContract {
    /// For whose data, files that its researchers bring included.
    pub member: MemberId,
    /// SHA-256 of the contract.
    pub sha256: Sha256Digest,
    /// The day of its signature; before it, it counts for nothing.
    pub dated: Date,
}

/// A cluster of a member, as the treaty opens it to the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Short name, unique within the treaty.
    pub id: SiteId,
    /// Whose it is.
    pub member: MemberId,
    /// Where the machines stand.
    pub jurisdiction: Jurisdiction,
    /// Who operates it.
    pub operator: Operator,
    /// What it has.
    pub resources: Resources,
    /// How much of it guests may hold at once, in per cent.
    pub guest_share_percent: u8,
    /// What it costs.
    pub tariff: Tariff,
    /// What it draws and how clean that is.
    pub energy: Energy,
    /// The members for whom its operator processes personal data under contract.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processor_contracts: Vec<ProcessorContract>,
}

/// Who operates a site and whose law reaches them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// What people call it.
    pub name: String,
    /// `public`, `university`, `commercial`, ...
    pub form: String,
    /// Jurisdictions outside the site's own whose law reaches the operator, for example through a parent company (18 USC 2713).
    #[serde(default)]
    pub exposed_to: Vec<Jurisdiction>,
}

/// Resources of a site or of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Processor cores.
    pub cpu_cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Accelerators.
    #[serde(default)]
    pub gpus: u32,
}

impl Resources {
    /// Both together; saturates, since a sum beyond the number's range is beyond every limit too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            cpu_cores: self.cpu_cores.saturating_add(other.cpu_cores),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            gpus: self.gpus.saturating_add(other.gpus),
        }
    }

    /// What is left of this without the other; nothing where that is more.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self {
            cpu_cores: self.cpu_cores.saturating_sub(other.cpu_cores),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
            gpus: self.gpus.saturating_sub(other.gpus),
        }
    }

    /// Whether each of them is there.
    #[must_use]
    pub fn fits_in(self, room: Self) -> bool {
        self.cpu_cores <= room.cpu_cores && self.memory_bytes <= room.memory_bytes && self.gpus <= room.gpus
    }
}

/// Prices in millionths of the settlement currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Per core and hour.
    pub cpu_core_hour_micro: i64,
    /// Per GiB of memory and hour.
    pub memory_gib_hour_micro: i64,
    /// Per accelerator and hour.
    #[serde(default)]
    pub gpu_hour_micro: i64,
}

/// Power drawn and its carbon intensity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Energy {
    /// Milliwatts per busy core, cooling included.
    pub milliwatts_per_core: u32,
    /// Milliwatts per busy accelerator, cooling included.
    #[serde(default)]
    pub milliwatts_per_gpu: u32,
    /// Milligrams of CO2-equivalent per kilowatt-hour.
    pub carbon_mg_per_kwh: Series,
}

/// A number, or one number for each hour of the day in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Series {
    /// The same at all times.
    Constant(u32),
    /// Twenty-four numbers, from 00:00 to 23:00 UTC.
    HourlyUtc(Vec<u32>),
}

impl Series {
    /// The value in force at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> u32 {
        match self {
            Self::Constant(value) => *value,
            // `check` holds the list at 24; an empty one would be a treaty that never loaded.
            Self::HourlyUtc(values) => {
                let hour = usize::try_from(now.as_second().rem_euclid(86_400) / 3600).unwrap_or(0);
                values.get(hour).copied().unwrap_or(u32::MAX)
            }
        }
    }
}

/// A policy pack in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyPack {
    /// File name without `.cedar`.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: Sha256Digest,
}

/// Why a treaty does not load.
#[derive(Debug, thiserror::Error)]
pub enum TreatyError {
    /// The TOML or JSON does not parse, or a field is unknown.
    #[error("the treaty does not read: {0}")]
    Syntax(String),
    /// A rule of the treaty's own shape is broken.
    #[error("the treaty's `{field}` {problem}")]
    Invalid {
        /// Where.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A signature is missing or wrong.
    #[error("the treaty's signatures do not hold")]
    Signatures(#[from] JwsError),
}

impl Treaty {
    /// Reads the TOML form and checks that it is whole.
    ///
    /// # Errors
    /// Syntax, or the first broken rule, with the field that breaks it.
    pub fn from_toml(text: &str) -> Result<Self, TreatyError> {
        let treaty: Self = toml::from_str(text).map_err(|error| TreatyError::Syntax(error.to_string()))?;
        treaty.check()?;
        Ok(treaty)
    }

    /// The TOML form.
    ///
    /// # Errors
    /// A number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, TreatyError> {
        toml::to_string_pretty(self).map_err(|error| TreatyError::Syntax(error.to_string()))
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == *id)
    }

    /// The site of that name.
    #[must_use]
    pub fn site(&self, id: &SiteId) -> Option<&Site> {
        self.sites.iter().find(|site| site.id == *id)
    }

    /// The member and key behind a key id (RFC 7638 thumbprint) of a signed document or request.
    #[must_use]
    pub fn signing_key(&self, key_id: &str) -> Option<(&Member, PublicKey)> {
        self.members.iter().find(|m| m.keys.signing.key_id() == key_id).map(|m| (m, m.keys.signing))
    }

    /// Whether it binds at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.valid_from <= now && now < self.valid_until
    }

    /// Whether `place` is `area`, or belongs to the group `area`.
    #[must_use]
    pub fn lies_in(&self, place: &Jurisdiction, area: &Jurisdiction) -> bool {
        let groups =
            || self.jurisdictions.iter().filter(|terms| terms.id == *place).flat_map(|terms| &terms.groups);
        place == area || groups().any(|group| group == area)
    }
}

/// A treaty whose every member's signature has been checked; the only way to it is [`SignedTreaty::verify`].
#[derive(Debug, Clone)]
pub struct VerifiedTreaty {
    treaty: Treaty,
    digest: Sha256Digest,
}

impl VerifiedTreaty {
    /// SHA-256 of the canonical JSON; the treaty's name on the wire (`sta-treaty`).
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }
}

impl std::ops::Deref for VerifiedTreaty {
    type Target = Treaty;
    fn deref(&self) -> &Treaty {
        &self.treaty
    }
}

/// A treaty on its way: the exact bytes and the signatures so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignedTreaty(MultiSigned);

impl SignedTreaty {
    /// Fixes the canonical bytes of a treaty, with no signature yet.
    ///
    /// # Errors
    /// A broken rule of the treaty.
    pub fn new(treaty: &Treaty) -> Result<Self, TreatyError> {
        treaty.check()?;
        Ok(Self(MultiSigned::new(treaty)?))
    }

    /// Adds one member's signature; signing again changes nothing.
    ///
    /// # Errors
    /// The key belongs to no member of this treaty.
    pub fn sign(&mut self, key: &crate::keys::SigningKey) -> Result<(), TreatyError> {
        let key_id = key.public_key().key_id();
        if self.peek_unverified()?.signing_key(&key_id).is_none() {
            let problem =
                "do not name the public key of this signer: sign with the key that the treaty lists"
                    .to_owned();
            return Err(TreatyError::Invalid { field: "members.keys.signing".to_owned(), problem });
        }
        Ok(self.0.add_signature(key, TREATY_TYP)?)
    }

    /// The text, for display before anybody has signed; proves nothing.
    ///
    /// # Errors
    /// The payload is not a treaty.
    pub fn peek_unverified(&self) -> Result<Treaty, TreatyError> {
        let treaty: Treaty = serde_json::from_slice(&self.0.payload_bytes()?)
            .map_err(|error| TreatyError::Syntax(error.to_string()))?;
        treaty.check()?;
        Ok(treaty)
    }

    /// The members that have not signed yet, or not with the key that the treaty lists.
    ///
    /// # Errors
    /// The payload is not a treaty.
    pub fn unsigned_members(&self) -> Result<Vec<MemberId>, TreatyError> {
        let treaty = self.peek_unverified()?;
        let signed = |key: &PublicKey| self.0.verify_one(&key.key_id(), key, TREATY_TYP).is_ok();
        Ok(treaty.members.iter().filter(|m| !signed(&m.keys.signing)).map(|m| m.id.clone()).collect())
    }

    /// Checks that every member it names has signed these exact bytes.
    ///
    /// # Errors
    /// The first signature that is missing or wrong.
    pub fn verify(&self) -> Result<VerifiedTreaty, TreatyError> {
        let treaty = self.peek_unverified()?;
        let keys: Vec<_> = treaty.members.iter().map(|m| (m.keys.signing.key_id(), m.keys.signing)).collect();
        self.0.verify_all(&keys, TREATY_TYP)?;
        Ok(VerifiedTreaty { digest: Sha256Digest::of(&self.0.payload_bytes()?), treaty })
    }
}
