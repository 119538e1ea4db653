// SPDX-License-Identifier: Apache-2.0
//! The facts of an output: whether it may go home, and whether a steward may release it.

use jiff::Timestamp;
use sta_protocol::{
    class::Class,
    federation::DatasetRecord,
    ids::{Jurisdiction, MemberId, ResearcherId, SiteId},
    job::JobSpec,
    treaty::Treaty,
};

use super::{
    HomeFacts, SiteFacts, class_of,
    data::{is_one_area, lies_in_any},
    known_site, records_of,
};
use crate::verdict::{Refusals, Verdict};

/// Everything from which [`ExportFacts`] are put together.
#[derive(Debug, Clone, Copy)]
pub struct ExportInputs<'a> {
    /// The treaty, its signatures checked.
    pub treaty: &'a Treaty,
    /// The moment of the decision.
    pub now: Timestamp,
    /// The member that decides: the host.
    pub by: &'a MemberId,
    /// The member to which the output would go.
    pub home: &'a MemberId,
    /// Where the job ran.
    pub site: &'a SiteId,
    /// The job.
    pub spec: &'a JobSpec,
    /// The records under which it ran.
    pub records: &'a [DatasetRecord],
    /// The output's name.
    pub output: &'a str,
    /// The class to which a steward released it; `None` while nobody has.
    pub released_as: Option<Class>,
}

/// The facts on which [`crate::authorize::authorize_export`] decides whether an output may leave the host for the home member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFacts {
    /// The member that decides.
    pub by: MemberId,
    /// The member to which it would go.
    pub home: HomeFacts,
    /// Where it lies.
    pub site: SiteFacts,
    /// Whether the treaty binds at the moment of the decision.
    pub treaty_in_force: bool,
    /// Whether the host is another member than the home.
    pub crosses_border: bool,
    /// The output's name.
    pub output: String,
    /// The class it has now: inherited, or as released.
    pub class: Class,
    /// Whether a steward released it.
    pub released: bool,
    /// Where the output may go, seen from the data it was made of.
    pub way_home: WayHome,
}

/// Whether the home member lies where the data that an output was made of may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayHome {
    /// In the residency of every dataset.
    pub in_residency: bool,
    /// In one area of free movement with the origin of all personal data.
    pub in_area: bool,
    /// In the nation of all protected data.
    pub in_nation: bool,
    /// The origins of the data, sorted, each once.
    pub origins: Vec<Jurisdiction>,
}

/// Who would release an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steward {
    /// The member whose data steward it is.
    pub member: MemberId,
    /// The person, named within that member.
    pub person: ResearcherId,
    /// Whether that member's node gave the person the role of data steward.
    pub is_steward: bool,
}

/// Everything from which [`ReleaseFacts`] are put together.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseInputs<'a> {
    /// The treaty, its signatures checked.
    pub treaty: &'a Treaty,
    /// The member that decides: the host.
    pub by: &'a MemberId,
    /// The member to which the output would go.
    pub home: &'a MemberId,
    /// The job.
    pub spec: &'a JobSpec,
    /// The records under which it ran.
    pub records: &'a [DatasetRecord],
    /// The researcher of the job, named within `home`.
    pub researcher: &'a ResearcherId,
    /// Who would release it.
    pub steward: &'a Steward,
    /// The output's name.
    pub output: &'a str,
    /// The class it would have from then on.
    pub new_class: Class,
    /// Why, in the steward's words.
    pub reason: &'a str,
}

/// The facts on which [`crate::authorize::authorize_release`] decides whether a steward may release a held output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// The member that decides.
    pub by: MemberId,
    /// The member to which it would go.
    pub home: HomeFacts,
    /// The output's name.
    pub output: String,
    /// The class it inherited.
    pub class: Class,
    /// The class it would have.
    pub new_class: Class,
    /// Whether the steward gave a reason.
    pub reason_given: bool,
    /// The steward's member.
    pub steward_member: MemberId,
    /// Whether the person is a data steward, and every dataset of the job is of the steward's member.
    pub steward_of_all_data: bool,
    /// Whether steward and researcher are one person.
    pub steward_is_researcher: bool,
    /// Where the output may go, seen from the data it was made of.
    pub way_home: WayHome,
}

impl ExportFacts {
    /// Puts the facts together; refused as [`super::RunFacts::assemble`] is.
    #[must_use]
    pub fn assemble(inputs: &ExportInputs<'_>) -> Verdict<Self> {
        Self::assembled(inputs).into()
    }

    fn assembled(inputs: &ExportInputs<'_>) -> Result<Self, Refusals> {
        let ExportInputs { treaty, by, home, spec, .. } = *inputs;
        let site = known_site(treaty, inputs.site, by)?;
        let records = records_of(spec, inputs.records, by)?;
        Ok(Self {
            by: by.clone(),
            home: HomeFacts::of(treaty, home),
            site: SiteFacts::of(treaty, site),
            treaty_in_force: treaty.is_in_force(inputs.now),
            crosses_border: site.member != *home,
            output: inputs.output.to_owned(),
            class: inputs.released_as.unwrap_or_else(|| class_of(spec, &records)),
            released: inputs.released_as.is_some(),
            way_home: WayHome::of(treaty, home, spec, &records),
        })
    }
}

impl ReleaseFacts {
    /// Puts the facts together; refused with `DAT-001` for each dataset of the job whose record is missing.
    #[must_use]
    pub fn assemble(inputs: &ReleaseInputs<'_>) -> Verdict<Self> {
        Self::assembled(inputs).into()
    }

    fn assembled(inputs: &ReleaseInputs<'_>) -> Result<Self, Refusals> {
        let ReleaseInputs { treaty, by, home, spec, steward, .. } = *inputs;
        let records = records_of(spec, inputs.records, by)?;
        // Files that the researcher brought came from home, so only the datasets need their member's steward.
        let owns_all = spec.datasets.iter().all(|id| *id.member() == steward.member);
        Ok(Self {
            by: by.clone(),
            home: HomeFacts::of(treaty, home),
            output: inputs.output.to_owned(),
            class: class_of(spec, &records),
            new_class: inputs.new_class,
            reason_given: !inputs.reason.trim().is_empty(),
            steward_member: steward.member.clone(),
            steward_of_all_data: steward.is_steward && owns_all,
            steward_is_researcher: steward.member == *home && steward.person == *inputs.researcher,
            way_home: WayHome::of(treaty, home, spec, &records),
        })
    }
}

impl WayHome {
    fn of(treaty: &Treaty, home: &MemberId, spec: &JobSpec, records: &[&DatasetRecord]) -> Self {
        let home = treaty.member(home).map(|member| &member.jurisdiction);
        // What the researcher brought comes from home, so going back there never leaves its area or nation.
        let brought = home.filter(|_| !spec.inputs.is_empty());
        let reaches = |allowed: &dyn Fn(&DatasetRecord, &Jurisdiction) -> bool| {
            records.iter().all(|record| home.is_some_and(|home| allowed(record, home)))
        };
        let mut origins: Vec<Jurisdiction> =
            records.iter().map(|record| &record.origin).chain(brought).cloned().collect();
        origins.sort();
        origins.dedup();
        Self {
            in_residency: reaches(&|record, home| lies_in_any(treaty, home, &record.residency)),
            in_area: reaches(&|record, home| {
                !record.class.is_personal() || is_one_area(treaty, &record.origin, home)
            }),
            in_nation: reaches(&|record, home| {
                record.class != Class::Protected || treaty.lies_in(home, &record.origin)
            }),
            origins,
        }
    }
}
