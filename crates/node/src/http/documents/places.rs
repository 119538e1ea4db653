// SPDX-License-Identifier: Apache-2.0
//! Documents about the node, the treaty, its sites and the settlement between its members.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sta_protocol::{
    digest::Sha256Digest,
    federation::Statement,
    ids::{Jurisdiction, MemberId, SiteId},
    treaty::{Resources, Site},
};
use utoipa::ToSchema;

use super::{ResourcesDocument, StatementDocument};

/// A node and the keys by which others check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeDocument {
    /// Whose it is.
    #[schema(value_type = String)]
    pub member: MemberId,
    /// What people call the member.
    pub name: String,
    /// The law it answers to.
    #[schema(value_type = String)]
    pub jurisdiction: Jurisdiction,
    /// Its address in the treaty.
    pub url: String,
    /// Version of the software.
    pub version: String,
    /// The treaty it acts under.
    pub treaty: TreatyNote,
    /// Digest of the rules in force.
    #[schema(value_type = String)]
    pub rules: Sha256Digest,
    /// The sites it drives.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// Its audit log.
    pub log: LogDocument,
    /// Signed-note verifier key (type 0x04) with which it cosigns others' logs.
    pub witness_vkey: String,
    /// Its clock.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
}

/// The treaty in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TreatyNote {
    /// What people call it.
    pub name: String,
    /// SHA-256 of its canonical JSON.
    #[schema(value_type = String)]
    pub digest: Sha256Digest,
    /// First moment no longer in force.
    #[schema(value_type = String, format = DateTime)]
    pub valid_until: Timestamp,
    /// Whether it is in force now.
    pub in_force: bool,
    /// Its members.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<MemberId>,
}

/// The audit log of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogDocument {
    /// Its origin, the name in its checkpoints.
    pub origin: String,
    /// Signed-note verifier key (type 0x01).
    pub vkey: String,
    /// Number of entries.
    pub size: u64,
    /// Number of entries in the newest checkpoint that the witnesses cosigned.
    pub size_witnessed: u64,
}

/// Every site of the treaty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteList {
    /// The sites, in the treaty's order.
    pub sites: Vec<SiteDocument>,
}

/// A site: the treaty's terms and what its owner last said of its load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteDocument {
    /// Its name.
    #[schema(value_type = String)]
    pub id: SiteId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub member: MemberId,
    /// Where the machines stand.
    #[schema(value_type = String)]
    pub jurisdiction: Jurisdiction,
    /// Who operates it.
    pub operator: OperatorDocument,
    /// What it has.
    #[schema(value_type = ResourcesDocument)]
    pub resources: Resources,
    /// How much of it guests may hold at once, in per cent.
    pub guest_share_percent: u8,
    /// What it costs.
    pub tariff: TariffDocument,
    /// Milligrams of CO2-equivalent per kilowatt-hour, now.
    pub carbon_mg_per_kwh: u32,
    /// Its load; none when its owner has not said anything yet.
    pub load: Option<SiteLoadDocument>,
}

/// Who operates a site and whose law reaches them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperatorDocument {
    /// What people call it.
    pub name: String,
    /// `public`, `university`, `commercial`, ...
    pub form: String,
    /// Jurisdictions outside the site's own whose law reaches the operator.
    #[schema(value_type = Vec<String>)]
    pub exposed_to: Vec<Jurisdiction>,
}

/// Prices in millionths of the treaty's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TariffDocument {
    /// Per core and hour.
    pub cpu_core_hour_micro: i64,
    /// Per GiB of memory and hour.
    pub memory_gib_hour_micro: i64,
    /// Per accelerator and hour.
    pub gpu_hour_micro: i64,
}

/// What a site's owner last said of its load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteLoadDocument {
    /// The report, as the owner's node wrote it.
    #[schema(value_type = Object)]
    pub report: serde_json::Value,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub reported_at: Timestamp,
}

/// A statement and, if asked for, whether the other member has computed the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementAnswer {
    /// The statement.
    #[schema(value_type = StatementDocument)]
    pub statement: Statement,
    /// SHA-256 of its canonical JSON.
    #[schema(value_type = String)]
    pub digest: Sha256Digest,
    /// The digest of the other member's statement.
    #[schema(value_type = Option<String>)]
    pub peer_digest: Option<Sha256Digest>,
    /// Whether both are equal; none when the other was not asked.
    pub equal: Option<bool>,
}

impl SiteDocument {
    /// The document of a site of the treaty.
    #[must_use]
    pub fn new(site: &Site, load: Option<SiteLoadDocument>, now: Timestamp) -> Self {
        Self {
            id: site.id.clone(),
            member: site.member.clone(),
            jurisdiction: site.jurisdiction.clone(),
            operator: OperatorDocument {
                name: site.operator.name.clone(),
                form: site.operator.form.clone(),
                exposed_to: site.operator.exposed_to.clone(),
            },
            resources: site.resources,
            guest_share_percent: site.guest_share_percent,
            tariff: TariffDocument {
                cpu_core_hour_micro: site.tariff.cpu_core_hour_micro,
                memory_gib_hour_micro: site.tariff.memory_gib_hour_micro,
                gpu_hour_micro: site.tariff.gpu_hour_micro,
            },
            carbon_mg_per_kwh: site.energy.carbon_mg_per_kwh.at(now),
            load,
        }
    }
}
