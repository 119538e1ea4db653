// SPDX-License-Identifier: Apache-2.0
//! G1: may a job with this purpose run at this site, and may its data be processed there? Home asks before it offers, the host
//! asks again before it admits.
//!
//! The gate stands beside `authorize` and never instead of it: it is asked where the rules about jobs have given a permit, and
//! what it refuses stays refused. A `DENY` refuses. A `HOLD` is the host's to keep: the job is admitted and stands still until
//! a named person there lets it go. What home's own packs hold or suspend at another member's site has nobody who could
//! release it there, so home does not offer the job to that site and says who would have to agree.

use std::collections::BTreeMap;

use sta_decide::{
    facts::{Moved, class_of, moved_to},
    gate::{
        Question,
        inputs::{Intent, registry},
    },
};
use sta_protocol::{
    class::Class,
    federation::DatasetRecord,
    gate::{Layer, Verdict},
    ids::{JobId, MemberId, SiteId},
    job::JobSpec,
    refusal::Refusal,
    treaty::Site,
};

use jiff::Timestamp;

use super::{
    Asking, Prepared, guards::Guards, prepare, question::host, record, record::DecisionRecord, refusals,
    weights,
};
use crate::{
    node::Node,
    steps::gate_hold,
    store::{StoreError, Tx},
};

/// What stands in the code of a hold between the rules and the data that they hold.
const OF_DATA: char = '@';

/// A job that is to run at a site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// The job.
    pub job: JobId,
    /// Where it was submitted.
    pub home: &'a MemberId,
    /// What it is.
    pub spec: &'a JobSpec,
    /// Where it would run.
    pub site: &'a Site,
    /// The records of its datasets.
    pub records: &'a [DatasetRecord],
}

/// What the gate says of a job at a site. Nothing is recorded yet.
#[derive(Debug, Clone)]
pub(crate) struct Screened {
    /// The site.
    pub site: SiteId,
    answers: Vec<Prepared>,
    is_abroad: bool,
}

/// Asks the gate about a job at a site.
#[must_use]
pub(crate) fn screen(node: &Node, candidate: &Candidate<'_>) -> Screened {
    let moving = data(node, candidate).into_iter().map(|moved| moving(node, candidate, moved));
    Screened::of(node, candidate, std::iter::once(screening(node, candidate)).chain(moving))
}

/// Asks about the data that this member answers for, before a byte of it goes to the site's host: its own datasets, and at
/// home the researcher's files.
#[must_use]
pub(crate) fn leaving(node: &Node, candidate: &Candidate<'_>) -> Screened {
    let own = data(node, candidate).into_iter().filter(|moved| moved.owner == *node.member());
    Screened::of(node, candidate, own.map(|moved| moving(node, candidate, moved)))
}

fn data(node: &Node, candidate: &Candidate<'_>) -> Vec<Moved> {
    let Candidate { home, spec, site, records, .. } = *candidate;
    moved_to(&node.treaty, node.outside.now(), site, home, spec, records)
}

/// Whether a job is held under that code because of its data, none of which is brought to the site meanwhile.
#[must_use]
pub(crate) fn is_hold_of_data(code: &str) -> bool {
    code.contains(OF_DATA)
}

/// The question about purpose and site.
fn screening(node: &Node, candidate: &Candidate<'_>) -> Asking {
    let Candidate { job, home, spec, site, records } = *candidate;
    let question = Question::Screen { intent: intent(spec, records), site: host(&node.treaty, site) };
    let subject = BTreeMap::from([("job", job.to_string()), ("site", site.id.to_string())]);
    let subject = subject.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Asking::of(&question, subject, &format!("{home}/{}", spec.project)).at(&site.id)
}

/// The question about one dataset, or the files of one class that the researcher brings. It is asked at every site, of those
/// in the data's own area too: conditions, assessments and contracts are about processing at all (GDPR Art. 9, 28, 35).
fn moving(node: &Node, candidate: &Candidate<'_>, moved: Moved) -> Asking {
    let Candidate { job, home, spec, site, .. } = *candidate;
    let data = moved.data.id.value.clone();
    let question =
        Question::MoveData { data: moved.data, transfer: moved.transfer, site: host(&node.treaty, site) };
    let subject = [("job", job.to_string()), ("site", site.id.to_string()), ("data", data)];
    let subject = subject.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let asking = Asking::of(&question, subject, &format!("{home}/{}", spec.project)).at(&site.id);
    Asking { assumed: moved.assumed, evidence: moved.documents, ..asking }
}

/// What the job is for. How sensitive its data is, is the word of signed records where it brings no files of its own.
fn intent(spec: &JobSpec, records: &[DatasetRecord]) -> Intent {
    let class = class_of(spec, &records.iter().collect::<Vec<_>>());
    let intent = weights::intent(spec, class);
    if spec.inputs.is_empty() && !records.is_empty() {
        return Intent { open_data_only: registry(class <= Class::Internal), ..intent };
    }
    intent
}

impl Screened {
    fn of(node: &Node, candidate: &Candidate<'_>, askings: impl Iterator<Item = Asking>) -> Self {
        let answers = askings.map(|asking| prepare(node, asking)).collect();
        let site = candidate.site;
        Self { site: site.id.clone(), answers, is_abroad: site.member != *node.member() }
    }

    /// Why the job may not go there; none where it may, or where it waits there for a named person.
    pub(crate) fn refusals(&self, node: &Node) -> Vec<Refusal> {
        let stops = |prepared: &&Prepared| {
            let answer = prepared.answer();
            let own = answer.reasons().filter(|reason| reason.layer == Layer::National);
            let held_by_own = own.map(sta_protocol::gate::Reason::verdict).max() >= Some(Verdict::Hold);
            answer.verdict() == Verdict::Deny || (self.is_abroad && held_by_own)
        };
        let refused = self.answers.iter().filter(stops);
        refused.flat_map(|prepared| refusals(prepared.answer(), node.member())).collect()
    }

    /// Writes the answers into the log, in the caller's transaction.
    ///
    /// # Errors
    /// The store failed; nothing is written.
    pub(crate) fn note(self, tx: &mut Tx<'_>, guards: &Guards) -> Result<(), StoreError> {
        self.answers.into_iter().try_for_each(|prepared| record(tx, guards, prepared).map(|_decided| ()))
    }

    /// The same at the host, beside the admission: a job that is held stands still from the beginning.
    ///
    /// # Errors
    /// The store failed; nothing is written.
    pub(crate) fn begin(
        self,
        tx: &mut Tx<'_>,
        guards: &Guards,
        job: JobId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for prepared in self.answers {
            let decided = record(tx, guards, prepared)?;
            if decided.answer.verdict() >= Verdict::Hold {
                open(tx, &decided, job, now)?;
            }
        }
        Ok(())
    }
}

/// Each dataset that is held is a hold of its own: whoever releases one has not looked at the others.
fn open(tx: &mut Tx<'_>, decided: &DecisionRecord, job: JobId, now: Timestamp) -> Result<(), StoreError> {
    match decided.subject.get("data") {
        Some(data) => {
            let code = format!("{}{OF_DATA}{data}", gate_hold::code(&decided.answer));
            gate_hold::open_for(tx, decided, job, &code, now).map(|_held| ())
        }
        None => gate_hold::open(tx, decided, job, now).map(|_held| ()),
    }
}
