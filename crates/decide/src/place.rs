// SPDX-License-Identifier: Apache-2.0
//! Place: among the sites that the rules permit, the one that costs least of what the researcher asked to save.

use sta_protocol::job::Objective;

use crate::authorize::Permit;

/// A permitted site and what the job would cost there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The proof that the rules permit the site: no permit, no placement.
    pub permit: Permit,
    /// The highest price the job may come to there, in millionths of the treaty's currency.
    pub price_micro_max: i64,
    /// CO2-equivalent at the job's time limit, in micrograms.
    pub co2_ug: i64,
    /// Expected wait in seconds.
    pub wait_s: u32,
    /// Expected time to bring the data there, in seconds.
    pub staging_s: u32,
    /// Whether it is a site of the home member.
    pub home: bool,
}

/// A candidate and how far it is from the best in what the researcher asked to save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked {
    /// The site.
    pub candidate: Candidate,
    /// Weighted distance from the best candidate of each measure, in millionths of the measure's range; 0 is best in all.
    pub score: u64,
}

/// Every candidate in order; the first is the choice, the others stay in the job's dossier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    ranked: Vec<Ranked>,
}

impl Placement {
    /// The choice.
    #[must_use]
    pub fn choice(&self) -> &Ranked {
        // `place` makes a placement of at least one candidate.
        &self.ranked[0]
    }

    /// The choice and every alternative, best first.
    #[must_use]
    pub fn ranked(&self) -> &[Ranked] {
        &self.ranked
    }

    /// The choice and every alternative, best first, to offer in turn.
    #[must_use]
    pub fn into_ranked(self) -> Vec<Ranked> {
        self.ranked
    }
}

/// Ranks the permitted sites; `None` when there are none.
///
/// Each measure (price, CO2, wait with staging) is put between 0 at the least and 1,000,000 at the greatest of the
/// candidates, 0 where all are equal, then weighed. All in integers, so that every node ranks alike. Ties: the lower price,
/// then the home member's own site, then the site's name.
#[must_use]
pub fn place(candidates: Vec<Candidate>, objective: Objective) -> Option<Placement> {
    let price = Range::of(candidates.iter().map(|candidate| candidate.price_micro_max));
    let carbon = Range::of(candidates.iter().map(|candidate| candidate.co2_ug));
    let wait = Range::of(candidates.iter().map(wait_s));
    let score = |candidate: &Candidate| {
        u64::from(objective.price) * price.ppm(candidate.price_micro_max)
            + u64::from(objective.carbon) * carbon.ppm(candidate.co2_ug)
            + u64::from(objective.wait) * wait.ppm(wait_s(candidate))
    };
    let with_score = |candidate: Candidate| Ranked { score: score(&candidate), candidate };
    let mut ranked: Vec<Ranked> = candidates.into_iter().map(with_score).collect();
    ranked.sort_by(|a, b| order(a).cmp(&order(b)));
    if ranked.is_empty() { None } else { Some(Placement { ranked }) }
}

fn order(ranked: &Ranked) -> (u64, i64, bool, &sta_protocol::ids::SiteId) {
    let candidate = &ranked.candidate;
    (ranked.score, candidate.price_micro_max, !candidate.home, &candidate.permit.facts().site.id)
}

fn wait_s(candidate: &Candidate) -> i64 {
    i64::from(candidate.wait_s) + i64::from(candidate.staging_s)
}

/// The least and the greatest value of one measure.
struct Range {
    least: i64,
    greatest: i64,
}

impl Range {
    fn of(values: impl Iterator<Item = i64> + Clone) -> Self {
        Self { least: values.clone().min().unwrap_or(0), greatest: values.max().unwrap_or(0) }
    }

    /// Where `value` lies between the least (0) and the greatest (1,000,000), rounded down.
    fn ppm(&self, value: i64) -> u64 {
        let width = i128::from(self.greatest) - i128::from(self.least);
        let above = i128::from(value) - i128::from(self.least);
        if width == 0 { 0 } else { u64::try_from(above * 1_000_000 / width).unwrap_or(0) }
    }
}
