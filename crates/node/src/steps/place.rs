// SPDX-License-Identifier: Apache-2.0
//! May it run where, and where best: home authorizes every site of the treaty and ranks those that may and can.

use sta_decide::{
    admit::{SiteLoad, admit, demand_of, unsaved_too_long},
    authorize::{Permit, authorize},
    facts::{RunFacts, RunInputs},
    place::{Candidate, Placement, place},
    settle::{co2_ug, price_micro_max},
    verdict::{Refusals, Verdict},
};
use sta_protocol::{
    federation::DatasetRecord,
    ids::{JobId, ResearcherId},
    job::{JobSpec, Objective},
    refusal::{Refusal, RefusalCode},
    treaty::Site,
};

use super::{
    dossier::{CandidateNote, Dossier},
    gates::admission::{self, Screened},
    identity::Proven,
};
use crate::{
    node::Node,
    store::{StoreError, possessions::Party},
};

/// How many bytes a second staging is expected to move between members, until the host has measured it.
const STAGING_BYTES_PER_S: u64 = 20_000_000;

/// What home knows when it decides.
pub struct Asked<'a> {
    /// The job's id.
    pub job: JobId,
    /// The job.
    pub spec: &'a JobSpec,
    /// Who asks.
    pub researcher: &'a ResearcherId,
    /// What was proven of them.
    pub proven: &'a Proven,
    /// The records of its datasets.
    pub records: &'a [DatasetRecord],
    /// Whether the researcher is in the project.
    pub project_active: bool,
    /// What the project can still spend, in millionths.
    pub available_micro: i64,
    /// It was elsewhere before.
    pub again: Option<Again>,
}

/// How a job is placed that was elsewhere before: where it goes on soonest, whatever its researcher wants to save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Alone it would run by now: it is owed its place at home, and goes there where the rules let it.
    pub is_owed: bool,
}

/// Decides on every site. The dossier keeps them all, also those that the researcher ruled out. Second: what the gate for jobs
/// says of each site that the rules about jobs permit.
///
/// # Errors
/// A fact could not be read.
pub(super) fn decide(node: &Node, asked: &Asked<'_>) -> Result<(Dossier, Vec<Screened>), StoreError> {
    let mut notes = Vec::new();
    let (mut candidates, mut screened) = (Vec::new(), Vec::new());
    for site in &node.treaty.sites {
        let mut note = measure(node, site, asked)?;
        match permit(node, site, asked, &note)?.into_result() {
            Ok(permit) => {
                let answer = admission::screen(node, &asked.at(node, site));
                note.refusals = answer.refusals(node);
                if note.refusals.is_empty() {
                    note.permitted_by = permit.allowed_by().to_vec();
                    candidates.push(candidate(node, permit, &note));
                }
                screened.push(answer);
            }
            Err(refusals) => note.refusals = refusals.into_vec(),
        }
        notes.push(note);
    }
    let objective = asked.again.map_or(asked.spec.objective, |_| Objective::SOONEST);
    if asked.again.is_some_and(|again| again.is_owed) && candidates.iter().any(|candidate| candidate.home) {
        candidates.retain(|candidate| candidate.home);
    }
    if let Some(placement) = place(candidates, objective) {
        note_ranks(&mut notes, &placement);
    }
    notes.sort_by_key(|note| (note.rank.unwrap_or(u32::MAX), note.site.clone()));
    let dossier = Dossier {
        version: 1,
        decided_at: node.outside.now(),
        treaty: node.treaty_digest(),
        rules: node.rules.digest(),
        refusals: no_site_left(node, &notes).into_iter().collect(),
        candidates: notes,
        answers: Vec::new(),
        first_decided_at: None,
        moved: Vec::new(),
    };
    Ok((dossier, screened))
}

impl Asked<'_> {
    fn at<'b>(&'b self, node: &'b Node, site: &'b Site) -> admission::Candidate<'b> {
        let Self { job, spec, records, .. } = *self;
        admission::Candidate { job, home: node.member(), spec, site, records }
    }
}

/// One reason for all sites, where the researcher's own choice left none.
fn no_site_left(node: &Node, notes: &[CandidateNote]) -> Option<Refusal> {
    let facts = [("sites", notes.len().to_string())];
    notes
        .iter()
        .all(CandidateNote::is_not_wanted)
        .then(|| Refusal::new(RefusalCode::NoSiteLeft, node.member(), facts))
}

/// What a site would cost in money, carbon and time.
fn measure(node: &Node, site: &Site, asked: &Asked<'_>) -> Result<CandidateNote, StoreError> {
    let limit_ms = u64::from(asked.spec.time_limit_s) * 1000;
    let mut files = Vec::new();
    for record in asked.records.iter().filter(|record| *record.id.member() != site.member) {
        let holder = Party::Member(record.id.member().clone());
        for file in &record.files {
            // What an earlier job brought here of that holder is here; what is at another member's site is not known.
            if site.member != *node.member() || !node.has_for(file.sha256, &holder)? {
                files.push(file);
            }
        }
    }
    let own = asked.spec.inputs.iter().filter(|_| site.member != *node.member()).map(|input| input.bytes);
    let bytes: u64 = files.iter().map(|file| file.bytes).chain(own).sum();
    let outlook = crate::peers::reports::outlook(node, site, demand_of(asked.spec))?;
    let rate = outlook.staging_bytes_per_s.unwrap_or(STAGING_BYTES_PER_S);
    Ok(CandidateNote {
        site: site.id.clone(),
        member: site.member.clone(),
        rank: None,
        permitted_by: Vec::new(),
        refusals: Vec::new(),
        price_micro_max: price_micro_max(&site.tariff, asked.spec),
        co2_ug: co2_ug(&site.energy, demand_of(asked.spec), node.outside.now(), limit_ms),
        wait_s: outlook.wait_s,
        staging_s: u32::try_from(bytes.div_ceil(rate)).unwrap_or(u32::MAX),
        score: None,
    })
}

/// Whether the job may run at the site by the rules, and could by its size.
fn permit(
    node: &Node,
    site: &Site,
    asked: &Asked<'_>,
    note: &CandidateNote,
) -> Result<Verdict<Permit>, StoreError> {
    let is_guest = site.member != *node.member();
    let unsaved =
        || unsaved_too_long(asked.spec, node.treaty.sharing, site, node.member()).map(Refusals::one);
    if let Some(refusals) = ruled_out(node, site, asked.spec).or_else(|| unsaved().filter(|_| is_guest)) {
        return Ok(Verdict::Refused(refusals));
    }
    let inputs = RunInputs {
        treaty: &node.treaty,
        now: node.outside.now(),
        by: node.member(),
        home: node.member(),
        site: &site.id,
        spec: asked.spec,
        researcher: asked.researcher,
        records: asked.records,
        visas: &asked.proven.visas,
        project_active: asked.project_active,
        allocation_reserved: asked.available_micro >= note.price_micro_max,
        witness_behind: crate::peers::witness::is_behind(node, &site.member)?,
    };
    let facts = match RunFacts::assemble(&inputs).into_result() {
        Ok(facts) => facts,
        Err(refusals) => return Ok(Verdict::Refused(refusals)),
    };
    let permit = match authorize(&node.rules, &facts).into_result() {
        Ok(permit) => permit,
        Err(refusals) => return Ok(Verdict::Refused(refusals)),
    };
    // Home knows a site's size from the treaty, and leaves its load to its host.
    let could = admit(
        permit,
        demand_of(asked.spec),
        site,
        SiteLoad { queued_max: 1, ..SiteLoad::default() },
        is_guest,
    );
    Ok(could.map_granted(|admitted| admitted.permit().clone()))
}

/// The researcher's own choice of sites.
fn ruled_out(node: &Node, site: &Site, spec: &JobSpec) -> Option<Refusals> {
    let not_asked = !spec.sites_allowed.is_empty() && !spec.sites_allowed.contains(&site.id);
    (not_asked || spec.sites_refused.contains(&site.id)).then(|| {
        Refusals::one(Refusal::new(
            RefusalCode::SiteNotWanted,
            node.member(),
            [("site.id", site.id.to_string())],
        ))
    })
}

fn candidate(node: &Node, permit: Permit, note: &CandidateNote) -> Candidate {
    Candidate {
        home: note.member == *node.member(),
        permit,
        price_micro_max: note.price_micro_max,
        co2_ug: note.co2_ug,
        wait_s: note.wait_s,
        staging_s: note.staging_s,
    }
}

fn note_ranks(notes: &mut [CandidateNote], placement: &Placement) {
    for (rank, ranked) in (1..).zip(placement.ranked()) {
        let site = &ranked.candidate.permit.facts().site.id;
        for note in notes.iter_mut().filter(|note| note.site == *site) {
            note.rank = Some(rank);
            note.score = Some(ranked.score);
        }
    }
}
