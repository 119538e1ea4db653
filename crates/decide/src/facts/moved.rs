// SPDX-License-Identifier: Apache-2.0
//! What the law on personal data is told of the data of a job that would be processed at a site, by whoever vouches for it.
//!
//! What a dataset's signed record or the treaty states is of the registry; what a researcher says of files of their own is
//! declared; whether a document is on record, the registers say themselves, and a document that they do not have is not there.
//! What nobody states counts against: it has the value of `cautious()`, and its path is in [`Moved::assumed`].

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use sta_protocol::{
    class::Class,
    data_protection::{AboutPeople, DataProtection, DocumentAtSites, DocumentOnRecord, SubjectRegion},
    dataset_facts::PersonalInformation,
    digest::Sha256Digest,
    federation::DatasetRecord,
    gate::Provenance,
    ids::{DatasetId, Jurisdiction, MemberId},
    job::JobSpec,
    treaty::{OnwardTerms, Site, TransferGround, TransferInstrument, Treaty},
};

use super::data::{Place, classes_brought};
use crate::gate::{
    inputs::{DataRecord, Known, Transfer, declared, metered, registry},
    words::{Instrument, Region},
};

/// The groups and jurisdictions that the rules name.
const EEA: &str = "eea";
const CANADA: &str = "ca";
const QUEBEC: &str = "qc";

/// One dataset of a job, or the files of one class that its researcher brings, on its way to a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The member that answers for it: the dataset's, or home for files that the researcher brings.
    pub owner: MemberId,
    /// What it is.
    pub data: DataRecord,
    /// Its way.
    pub transfer: Transfer,
    /// The facts that nobody stated, as `section.name`.
    pub assumed: BTreeSet<String>,
    /// The documents on which facts stand.
    pub documents: BTreeSet<Sha256Digest>,
}

/// The data of a job at a site: each of its datasets, then each class of files that the researcher brings. A dataset without
/// a record is one of which nothing is known.
#[must_use]
pub fn moved_to(
    treaty: &Treaty,
    now: Timestamp,
    site: &Site,
    home: &MemberId,
    spec: &JobSpec,
    records: &[DatasetRecord],
) -> Vec<Moved> {
    let place = Place { treaty, now, site, home };
    let newest = |id: &DatasetId| {
        records.iter().filter(|record| record.id == *id).max_by_key(|record| record.recorded_at)
    };
    let datasets = spec.datasets.iter().map(|id| match newest(id) {
        Some(record) => Described::of_record(record).at(&place),
        None => Moved::unknown(id),
    });
    let about = spec.inputs_about.unwrap_or_default();
    let own = treaty.member(home).map(|member| &member.jurisdiction);
    let brought = classes_brought(spec).into_iter().map(|class| {
        let id = format!("{home}/inputs:{class}");
        let described =
            Described { id, class, origin: own, owner: home, about, by: Provenance::Declared, record: None };
        described.at(&place)
    });
    datasets.chain(brought).collect()
}

impl Moved {
    fn unknown(id: &DatasetId) -> Self {
        let data = DataRecord { id: declared(id.to_string()), ..DataRecord::cautious() };
        let owner = id.member().clone();
        Self {
            owner,
            data,
            transfer: Transfer::cautious(),
            assumed: BTreeSet::new(),
            documents: BTreeSet::new(),
        }
    }
}

/// Data as its member or its researcher describes it.
struct Described<'a> {
    id: String,
    class: Class,
    origin: Option<&'a Jurisdiction>,
    owner: &'a MemberId,
    about: AboutPeople,
    by: Provenance,
    record: Option<&'a DatasetRecord>,
}

/// What was stated, as it is read, and what was not.
struct Reading {
    by: Provenance,
    today: Date,
    assumed: BTreeSet<String>,
    documents: BTreeSet<Sha256Digest>,
}

impl Reading {
    fn known<T>(&self, value: T) -> Known<T> {
        Known { value, provenance: self.by }
    }

    /// What is stated, or what counts most against the request.
    fn or<T>(&mut self, path: &str, stated: Option<T>, cautious: T) -> Known<T> {
        match stated {
            Some(value) => self.known(value),
            None => {
                self.assumed.insert(path.to_owned());
                declared(cautious)
            }
        }
    }

    /// Whether there is such a document; the register in which it would be says so.
    fn on_record(&mut self, document: Option<&DocumentOnRecord>) -> Known<bool> {
        let document = document.filter(|document| document.dated <= self.today);
        self.documents.extend(document.map(|document| document.sha256));
        registry(document.is_some())
    }

    /// The same of one that must hold at the site.
    fn on_record_at(&mut self, site: &Site, documents: &[DocumentAtSites]) -> Known<bool> {
        let holds =
            |document: &&DocumentAtSites| document.dated <= self.today && document.sites.contains(&site.id);
        let document = documents.iter().find(holds);
        self.documents.extend(document.map(|document| document.sha256));
        registry(document.is_some())
    }
}

impl<'a> Described<'a> {
    fn of_record(record: &'a DatasetRecord) -> Self {
        Self {
            id: record.id.to_string(),
            class: record.class,
            origin: Some(&record.origin),
            owner: record.id.member(),
            about: record.protection.as_ref().map(|protection| protection.people).unwrap_or_default(),
            by: Provenance::Registry,
            record: Some(record),
        }
    }

    fn at(&self, place: &Place<'_>) -> Moved {
        let today = place.now.to_zoned(TimeZone::UTC).date();
        let mut reading =
            Reading { by: self.by, today, assumed: BTreeSet::new(), documents: BTreeSet::new() };
        let data = self.data(place, &mut reading);
        let transfer = self.transfer(place, data.from_quebec.value, &mut reading);
        let owner = self.owner.clone();
        Moved { owner, data, transfer, assumed: reading.assumed, documents: reading.documents }
    }

    /// Whether it is about people: the class says so, except of what is protected, where only a statement does.
    fn personal_information(&self) -> Option<PersonalInformation> {
        let of_facts = || self.record.and_then(|record| record.facts.as_ref());
        match self.class {
            Class::Open | Class::Internal => Some(PersonalInformation::None),
            Class::Personal => Some(PersonalInformation::Personal),
            Class::Special => Some(PersonalInformation::Special),
            Class::Protected => {
                let stated =
                    [self.about.personal_information, of_facts().map(|facts| facts.personal_information)];
                let stated = stated.into_iter().flatten();
                stated.filter(|stated| *stated != PersonalInformation::NotStated).max()
            }
        }
    }

    fn data(&self, place: &Place<'_>, reading: &mut Reading) -> DataRecord {
        let stated = self.personal_information();
        let personal = stated.map(|stated| stated >= PersonalInformation::Personal);
        let open = reading.known(self.class <= Class::Internal);
        let id = reading.known(self.id.clone());
        if personal == Some(false) {
            return DataRecord { id, open, ..about_nobody(reading) };
        }
        let nothing = DataProtection::default();
        let protection = self.record.and_then(|record| record.protection.as_ref()).unwrap_or(&nothing);
        let (about, site) = (self.about, place.site);
        let from_canada = self.is_from(place, CANADA);
        // Québec's law protects what its enterprises collected, though the record may name the country.
        let from_quebec = match self.is_from(place, QUEBEC) {
            true => reading.known(true),
            false if from_canada => reading.or("data.from_quebec", about.from_quebec, true),
            false => reading.known(about.from_quebec.unwrap_or(false)),
        };
        DataRecord {
            id,
            open,
            personal: reading.or("data.personal", personal, true),
            special_category: reading.or(
                "data.special_category",
                stated.map(|stated| stated == PersonalInformation::Special),
                true,
            ),
            article_nine_basis: registry(protection.article_nine_basis.is_some()),
            subject_region: self.subject_region(place, reading),
            employer_outside_pipeda: reading.or(
                "data.employer_outside_pipeda",
                about.employer_outside_pipeda,
                true,
            ),
            high_risk_for_people: reading.or("data.high_risk_for_people", about.high_risk, true),
            impact_assessment: reading.on_record(protection.impact_assessment.as_ref()),
            processor_contract: self.processor_contract(site, protection, reading),
            from_quebec,
            quebec_assessment: reading.on_record_at(site, &protection.quebec_assessments),
            automated_decision: reading.or("data.automated_decision", about.automated_decision, true),
            automated_decision_notice: reading.on_record(protection.automated_decision_notice.as_ref()),
            under_pipeda: if from_canada {
                reading.or("data.under_pipeda", about.under_pipeda, true)
            } else {
                reading.known(about.under_pipeda.unwrap_or(false))
            },
            comparable_protection: reading.on_record_at(site, &protection.comparable_protection),
        }
    }

    /// Whose law protects it lies there, or it is not known whose law does.
    fn is_from(&self, place: &Place<'_>, area: &str) -> bool {
        self.origin.is_none_or(|origin| lies_in(place.treaty, origin, area))
    }

    /// Data that the law of a country of the EEA protects is under the GDPR, wherever its people live (Art. 3(1)).
    fn subject_region(&self, place: &Place<'_>, reading: &mut Reading) -> Known<Region> {
        if self.is_from(place, EEA) {
            return reading.known(Region::Eea);
        }
        let stated = self.about.subject_region.map(|region| match region {
            SubjectRegion::Eea => Region::Eea,
            SubjectRegion::Quebec => Region::Quebec,
            SubjectRegion::Canada => Region::Canada,
            SubjectRegion::Elsewhere => Region::Elsewhere,
        });
        reading.or("data.subject_region", stated, Region::Eea)
    }

    /// The treaty has contracts of whole members, a record those for one dataset.
    fn processor_contract(
        &self,
        site: &Site,
        protection: &DataProtection,
        reading: &mut Reading,
    ) -> Known<bool> {
        let of_treaty = site
            .processor_contracts
            .iter()
            .find(|contract| contract.member == *self.owner && contract.dated <= reading.today);
        match of_treaty {
            Some(contract) => {
                reading.documents.insert(contract.sha256);
                registry(true)
            }
            None => reading.on_record_at(site, &protection.processor_contracts),
        }
    }

    fn transfer(&self, place: &Place<'_>, from_quebec: bool, reading: &mut Reading) -> Transfer {
        let treaty = place.treaty;
        let site = &place.site.jurisdiction;
        let host = treaty.member(&place.site.member).map(|member| &member.jurisdiction);
        let site_outside = !lies_in(treaty, site, EEA);
        let outside_eea = site_outside || !host.is_some_and(|host| lies_in(treaty, host, EEA));
        let leaves_quebec = from_quebec && !lies_in(treaty, site, QUEBEC);
        // A site in the EEA that is administered from elsewhere sends its data there.
        let to = if site_outside { site } else { host.filter(|_| outside_eea).unwrap_or(site) };
        let moves = Transfer {
            destination: registry(nation(treaty, to).to_string()),
            outside_eea: registry(outside_eea),
            leaves_quebec: registry(leaves_quebec),
            instrument: registry(Instrument::None),
            adequacy_listed: registry(false),
            clauses_signed: registry(false),
            impact_assessed: registry(false),
            ..Transfer::cautious()
        };
        let ground =
            self.origin.filter(|_| outside_eea).and_then(|origin| place.ground(self.class, origin, to));
        if let Some(ground) = ground {
            return on_ground(ground, moves, reading);
        }
        if outside_eea {
            reading.assumed.extend(["transfer.onward", "transfer.recurring"].map(str::to_owned));
            return moves;
        }
        // Nothing goes on from a site by itself: outputs, and every other site, are questions of their own.
        Transfer { onward: metered(false), ..moves }
    }
}

/// The way under a line of the treaty.
fn on_ground(ground: &TransferGround, moves: Transfer, reading: &mut Reading) -> Transfer {
    let instrument = ground.instrument.map_or(Instrument::None, |instrument| match instrument {
        TransferInstrument::Adequacy => Instrument::Adequacy,
        TransferInstrument::StandardClauses => Instrument::StandardClauses,
        TransferInstrument::Derogation => Instrument::Derogation,
    });
    let stated = Provenance::Registry;
    let (onward, onward_instrument) = match ground.onward {
        Some(OnwardTerms::Barred) => (registry(false), registry(false)),
        Some(OnwardTerms::UnderInstrument) => (registry(true), registry(true)),
        None => {
            reading.assumed.insert("transfer.onward".to_owned());
            (declared(true), declared(false))
        }
    };
    let recurring = ground.recurring.unwrap_or(true);
    Transfer {
        instrument: registry(instrument),
        adequacy_listed: registry(instrument == Instrument::Adequacy),
        clauses_signed: reading.on_record(ground.clauses.as_ref()),
        impact_assessed: reading.on_record(ground.impact_assessment.as_ref()),
        onward,
        onward_instrument,
        recurring: Known { value: recurring, provenance: stated },
        ..moves
    }
}

/// Data without any information about people: nothing of the law on personal data asks for more.
fn about_nobody(reading: &Reading) -> DataRecord {
    let no = || reading.known(false);
    DataRecord {
        personal: no(),
        special_category: no(),
        article_nine_basis: no(),
        subject_region: reading.known(Region::Unknown),
        employer_outside_pipeda: no(),
        high_risk_for_people: no(),
        impact_assessment: no(),
        processor_contract: no(),
        from_quebec: no(),
        quebec_assessment: no(),
        automated_decision: no(),
        automated_decision_notice: no(),
        under_pipeda: no(),
        comparable_protection: no(),
        ..DataRecord::cautious()
    }
}

fn lies_in(treaty: &Treaty, place: &Jurisdiction, area: &str) -> bool {
    area.parse().is_ok_and(|area| treaty.lies_in(place, &area))
}

/// The country of a jurisdiction: the group that is itself a jurisdiction (Canada, for Québec), or else it alone.
fn nation<'a>(treaty: &'a Treaty, place: &'a Jurisdiction) -> &'a Jurisdiction {
    let is_jurisdiction = |id: &Jurisdiction| treaty.jurisdictions.iter().any(|terms| terms.id == *id);
    let terms = treaty.jurisdictions.iter().find(|terms| terms.id == *place);
    terms.and_then(|terms| terms.groups.iter().find(|group| is_jurisdiction(group))).unwrap_or(place)
}
