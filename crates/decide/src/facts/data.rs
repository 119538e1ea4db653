// SPDX-License-Identifier: Apache-2.0
//! The facts of one dataset at one site as the rules about jobs read them: where it comes from, on what ground it may go.

use jiff::Timestamp;
use sta_protocol::{
    class::Class,
    federation::DatasetRecord,
    ids::{DatasetId, Jurisdiction, MemberId},
    job::JobSpec,
    treaty::{Site, TransferGround, Treaty},
};

/// One dataset of a job, or the files of one class that the researcher brings, as seen from one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFacts {
    /// `member/name`, or `member/inputs` for files that the researcher brings.
    pub id: String,
    /// How sensitive it is.
    pub class: Class,
    /// The jurisdiction whose law protects it; of the home member for files that the researcher brings.
    pub origin: Option<Jurisdiction>,
    /// Where it may be processed; empty for anywhere under the treaty.
    pub residency: Vec<Jurisdiction>,
    /// Whether the site lies in the residency.
    pub site_in_residency: bool,
    /// Whether site and host member both lie in the origin, so that the data stays under its own nation's law.
    pub stays_in_nation: bool,
    /// Whether site and origin are one area of free movement, so that going there is no transfer (GDPR Art. 1(3), 44).
    pub same_area: bool,
    /// Whether the record allows the job's purpose.
    pub purpose_allowed: bool,
    /// Whether a visa grants it, or the researcher brought it.
    pub granted: bool,
    /// The treaty's ground for a transfer to this site; `None` when it has none or none is needed.
    pub transfer_ground: Option<String>,
}

/// A site as a place for data to go to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) treaty: &'a Treaty,
    pub(super) now: Timestamp,
    pub(super) site: &'a Site,
    pub(super) home: &'a MemberId,
}

impl Place<'_> {
    /// The facts of every dataset, then of every class of files that the researcher brings.
    pub(super) fn data_of(
        &self,
        spec: &JobSpec,
        records: &[&DatasetRecord],
        granted: &[DatasetId],
    ) -> Vec<DataFacts> {
        let datasets =
            records.iter().map(|record| self.dataset(record, &spec.purpose, granted.contains(&record.id)));
        datasets.chain(classes_brought(spec).into_iter().map(|class| self.brought(class))).collect()
    }

    fn dataset(&self, record: &DatasetRecord, purpose: &str, granted: bool) -> DataFacts {
        DataFacts {
            id: record.id.to_string(),
            residency: record.residency.clone(),
            site_in_residency: lies_in_any(self.treaty, &self.site.jurisdiction, &record.residency),
            purpose_allowed: record.purposes.is_empty()
                || record.purposes.iter().any(|allowed| allowed == purpose),
            granted,
            ..self.at_site(record.class, Some(&record.origin))
        }
    }

    /// Files that the researcher brings are protected by the home member's law.
    fn brought(&self, class: Class) -> DataFacts {
        self.at_site(class, self.treaty.member(self.home).map(|member| &member.jurisdiction))
    }

    fn at_site(&self, class: Class, origin: Option<&Jurisdiction>) -> DataFacts {
        let site = &self.site.jurisdiction;
        let host = self.treaty.member(&self.site.member).map(|member| &member.jurisdiction);
        let in_origin = |place: Option<&Jurisdiction>| {
            place.zip(origin).is_some_and(|(place, origin)| self.treaty.lies_in(place, origin))
        };
        let same_area = origin.is_some_and(|origin| is_one_area(self.treaty, origin, site));
        let ground = origin.filter(|_| !same_area).and_then(|origin| self.ground(class, origin, site));
        DataFacts {
            id: format!("{}/inputs", self.home),
            class,
            origin: origin.cloned(),
            residency: Vec::new(),
            site_in_residency: true,
            stays_in_nation: in_origin(Some(site)) && in_origin(host),
            same_area,
            purpose_allowed: true,
            granted: true,
            transfer_ground: ground.map(|ground| ground.ground.clone()),
        }
    }

    /// The first ground of the treaty that covers the class, both ends, the form of the operator and the moment.
    pub(super) fn ground(
        &self,
        class: Class,
        origin: &Jurisdiction,
        to: &Jurisdiction,
    ) -> Option<&TransferGround> {
        self.treaty.transfer_grounds.iter().find(|ground| {
            ground.classes.contains(&class)
                && ground.operator_forms.contains(&self.site.operator.form)
                && self.now < ground.valid_until
                && is_free_within(self.treaty, origin, &ground.from)
                && self.treaty.lies_in(to, &ground.to)
        })
    }
}

/// The classes of the files that the researcher brings, each once, from the least to the strictest.
pub(super) fn classes_brought(spec: &JobSpec) -> Vec<Class> {
    Class::ALL.into_iter().filter(|class| spec.inputs.iter().any(|input| input.class == *class)).collect()
}

/// Whether `place` lies in one of `areas`; an empty list is anywhere under the treaty.
pub(super) fn lies_in_any(treaty: &Treaty, place: &Jurisdiction, areas: &[Jurisdiction]) -> bool {
    areas.is_empty() || areas.iter().any(|area| treaty.lies_in(place, area))
}

/// Whether data may move from `origin` to `place` without a transfer: the same jurisdiction, a part of it, or one group.
pub(super) fn is_one_area(treaty: &Treaty, origin: &Jurisdiction, place: &Jurisdiction) -> bool {
    let groups =
        treaty.jurisdictions.iter().filter(|terms| terms.id == *origin).flat_map(|terms| &terms.groups);
    let shared = |group: &Jurisdiction| is_free_within(treaty, origin, group) && treaty.lies_in(place, group);
    treaty.lies_in(place, origin) || groups.into_iter().any(shared)
}

/// Whether the law of `area` on personal data is that of `origin` too: the same jurisdiction, or a group it belongs to.
///
/// A group that is itself a jurisdiction of the treaty counts for residency only: its parts have privacy law of their own
/// (Québec: Act respecting the protection of personal information in the private sector, s. 17).
fn is_free_within(treaty: &Treaty, origin: &Jurisdiction, area: &Jurisdiction) -> bool {
    let is_jurisdiction = treaty.jurisdictions.iter().any(|terms| terms.id == *area);
    origin == area || (!is_jurisdiction && treaty.lies_in(origin, area))
}
