// SPDX-License-Identifier: Apache-2.0
//! What a decision is about, put together from the treaty, the job, the dataset records and what the node has verified.
//!
//! Home and host put their facts together with the same functions, so they decide on the same facts wherever a fact is not
//! truly their own (`project`, `allocation`, `witness`).

use jiff::Timestamp;
use sta_protocol::{
    class::Class,
    federation::DatasetRecord,
    ids::{DatasetId, Jurisdiction, MemberId, ProjectId, ResearcherId, SiteId},
    job::JobSpec,
    refusal::{Refusal, RefusalCode},
    treaty::{Site, Treaty},
};

use crate::verdict::{Refusals, Verdict};

mod data;
mod moved;
mod outputs;

pub use data::DataFacts;
pub use moved::{Moved, moved_to};
pub use outputs::{ExportFacts, ExportInputs, ReleaseFacts, ReleaseInputs, Steward, WayHome};

/// What the node read from a passport after it verified it; nothing of a passport that did not verify.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VisaFacts {
    /// The passport and its visas verified, are of this researcher and are in time.
    pub valid: bool,
    /// A visa of the home member says that the researcher belongs to it.
    pub affiliated: bool,
    /// The datasets for which a visa of the dataset's own member grants access.
    pub datasets_granted: Vec<DatasetId>,
}

/// Everything from which [`RunFacts`] are put together.
#[derive(Debug, Clone, Copy)]
pub struct RunInputs<'a> {
    /// The treaty, its signatures checked.
    pub treaty: &'a Treaty,
    /// The moment of the decision.
    pub now: Timestamp,
    /// The member that decides.
    pub by: &'a MemberId,
    /// The member at which the job was submitted.
    pub home: &'a MemberId,
    /// Where it would run.
    pub site: &'a SiteId,
    /// The job.
    pub spec: &'a JobSpec,
    /// Who asks.
    pub researcher: &'a ResearcherId,
    /// The record of each of the job's datasets, signatures checked; more are ignored, fewer are refused.
    pub records: &'a [DatasetRecord],
    /// What the passport proves.
    pub visas: &'a VisaFacts,
    /// The project exists at home and the researcher is in it.
    pub project_active: bool,
    /// The project's allocation covers the highest price of the job.
    pub allocation_reserved: bool,
    /// The member on the other side of the border has not witnessed the log of `by` in the treaty's time.
    pub witness_behind: bool,
}

/// The facts on which [`crate::authorize::authorize`] decides whether a job may run at a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFacts {
    /// The member that decides.
    pub by: MemberId,
    /// Who asks.
    pub researcher: ResearcherId,
    /// The member at which the job was submitted.
    pub home: HomeFacts,
    /// Where it would run.
    pub site: SiteFacts,
    /// Whether the treaty binds at the moment of the decision.
    pub treaty_in_force: bool,
    /// The job.
    pub job: JobFacts,
    /// The project that pays.
    pub project: ProjectId,
    /// The project exists and the researcher is in it.
    pub project_active: bool,
    /// Its allocation covers the highest price.
    pub allocation_reserved: bool,
    /// The passport verified.
    pub visa_valid: bool,
    /// The home member vouches for the researcher.
    pub visa_affiliated: bool,
    /// The other side has not witnessed the log of `by` in time.
    pub witness_behind: bool,
    /// One for each dataset, then one for each class of files that the researcher brings.
    pub data: Vec<DataFacts>,
}

/// The home member, as the treaty has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeFacts {
    /// The member.
    pub member: MemberId,
    /// Its law; `None` when it is no member of the treaty.
    pub jurisdiction: Option<Jurisdiction>,
}

/// A site, as the treaty has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFacts {
    /// The site.
    pub id: SiteId,
    /// Whose it is.
    pub member: MemberId,
    /// Whether that member is one of the treaty.
    pub member_in_treaty: bool,
    /// Where the machines stand.
    pub jurisdiction: Jurisdiction,
    /// Who operates it.
    pub operator: String,
    /// The operator's form, such as `university`.
    pub operator_form: String,
    /// Jurisdictions whose law reaches the operator and that the site does not lie in.
    pub exposed_to: Vec<Jurisdiction>,
}

/// What of a job the rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    /// The strictest class of its datasets and inputs, which its outputs inherit.
    pub class: Class,
    /// What the data is used for.
    pub purpose: String,
    /// Whether it asks for a network.
    pub network: bool,
    /// Whether the site is another member's than the home.
    pub crosses_border: bool,
}

impl RunFacts {
    /// Puts the facts together.
    ///
    /// Refused with [`RefusalCode::OfferNotForUs`] when the treaty has no such site, and with [`RefusalCode::DatasetUnknown`]
    /// for each dataset of the job whose record is missing.
    #[must_use]
    pub fn assemble(inputs: &RunInputs<'_>) -> Verdict<Self> {
        Self::assembled(inputs).into()
    }

    fn assembled(inputs: &RunInputs<'_>) -> Result<Self, Refusals> {
        let RunInputs { treaty, spec, by, home, .. } = *inputs;
        let site = known_site(treaty, inputs.site, by)?;
        let records = records_of(spec, inputs.records, by)?;
        let place = data::Place { treaty, now: inputs.now, site, home };
        Ok(Self {
            by: by.clone(),
            researcher: inputs.researcher.clone(),
            home: HomeFacts::of(treaty, home),
            site: SiteFacts::of(treaty, site),
            treaty_in_force: treaty.is_in_force(inputs.now),
            job: JobFacts {
                class: class_of(spec, &records),
                purpose: spec.purpose.clone(),
                network: spec.network,
                crosses_border: site.member != *home,
            },
            project: spec.project.clone(),
            project_active: inputs.project_active,
            allocation_reserved: inputs.allocation_reserved,
            visa_valid: inputs.visas.valid,
            visa_affiliated: inputs.visas.affiliated,
            witness_behind: inputs.witness_behind,
            data: place.data_of(spec, &records, &inputs.visas.datasets_granted),
        })
    }
}

impl HomeFacts {
    fn of(treaty: &Treaty, home: &MemberId) -> Self {
        Self {
            member: home.clone(),
            jurisdiction: treaty.member(home).map(|member| member.jurisdiction.clone()),
        }
    }
}

impl SiteFacts {
    fn of(treaty: &Treaty, site: &Site) -> Self {
        let foreign = |law: &&Jurisdiction| !treaty.lies_in(&site.jurisdiction, law);
        Self {
            id: site.id.clone(),
            member: site.member.clone(),
            member_in_treaty: treaty.member(&site.member).is_some(),
            jurisdiction: site.jurisdiction.clone(),
            operator: site.operator.name.clone(),
            operator_form: site.operator.form.clone(),
            exposed_to: site.operator.exposed_to.iter().filter(foreign).cloned().collect(),
        }
    }
}

/// The strictest class of a job's datasets and inputs, which its outputs inherit.
#[must_use]
pub fn class_of(spec: &JobSpec, records: &[&DatasetRecord]) -> Class {
    let datasets = records.iter().map(|record| record.class);
    Class::strictest(datasets.chain(spec.inputs.iter().map(|input| input.class)))
}

fn known_site<'a>(treaty: &'a Treaty, site: &SiteId, by: &MemberId) -> Result<&'a Site, Refusals> {
    let unknown =
        || Refusals::one(Refusal::new(RefusalCode::OfferNotForUs, by, [("site.id", site.to_string())]));
    treaty.site(site).ok_or_else(unknown)
}

/// The record of each dataset of the job, in the job's order; the newest where there are several.
fn records_of<'a>(
    spec: &JobSpec,
    records: &'a [DatasetRecord],
    by: &MemberId,
) -> Result<Vec<&'a DatasetRecord>, Refusals> {
    let newest = |id: &DatasetId| {
        records.iter().filter(|record| record.id == *id).max_by_key(|record| record.recorded_at)
    };
    let unknown =
        |id: &DatasetId| Refusal::new(RefusalCode::DatasetUnknown, by, [("data.id", id.to_string())]);
    let missing = spec.datasets.iter().filter(|id| newest(id).is_none()).map(unknown);
    match Refusals::from_reasons(missing) {
        Some(refusals) => Err(refusals),
        None => Ok(spec.datasets.iter().filter_map(newest).collect()),
    }
}
