// SPDX-License-Identifier: Apache-2.0
//! Placement: the cases of `cases/place.toml`, and the laws that hold of every ranking.

use proptest::prelude::*;
use serde::Deserialize;
use sta_decide::place::{Candidate, Placement, place};
use sta_protocol::{job::Objective, treaty::Treaty};

use crate::example::{permit, rules, treaty};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    objective: Objective,
    candidates: Vec<Measures>,
    /// Site and score, best first.
    ranked: Vec<(String, u64)>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Measures {
    site: String,
    price_micro_max: i64,
    co2_ug: i64,
    wait_s: u32,
    staging_s: u32,
    home: bool,
}

/// The example treaty with its first site under as many other names as are needed.
fn treaty_with(sites: &[Measures]) -> Treaty {
    let mut treaty = treaty();
    let first = treaty.sites[0].clone();
    treaty.sites = sites
        .iter()
        .map(|named| sta_protocol::treaty::Site { id: named.site.parse().unwrap(), ..first.clone() })
        .collect();
    treaty
}

fn ranked(measures: &[Measures], objective: Objective) -> Option<Placement> {
    let treaty = treaty_with(measures);
    let candidate = |measures: &Measures| Candidate {
        permit: permit(&treaty, rules(), "ca", &measures.site),
        price_micro_max: measures.price_micro_max,
        co2_ug: measures.co2_ug,
        wait_s: measures.wait_s,
        staging_s: measures.staging_s,
        home: measures.home,
    };
    place(measures.iter().map(candidate).collect(), objective)
}

fn names_and_scores(placement: &Placement) -> Vec<(String, u64)> {
    placement
        .ranked()
        .iter()
        .map(|ranked| (ranked.candidate.permit.facts().site.id.to_string(), ranked.score))
        .collect()
}

#[test]
fn every_placement_is_the_one_of_its_case() {
    let cases: Cases = toml::from_str(include_str!("../cases/place.toml")).unwrap();
    for case in cases.case {
        let placement = ranked(&case.candidates, case.objective).unwrap();
        assert_eq!(names_and_scores(&placement), case.ranked, "{}", case.name);
        assert_eq!(placement.choice(), &placement.ranked()[0]);
    }
}

#[test]
fn without_a_permitted_site_there_is_no_placement() {
    assert_eq!(place(Vec::new(), Objective::CHEAPEST), None);
}

fn any_measures() -> impl Strategy<Value = Vec<Measures>> {
    let one = (any::<i64>(), any::<i64>(), any::<u32>(), any::<u32>(), any::<bool>());
    proptest::collection::vec(one, 1..6).prop_map(|list| {
        let named = |(index, (price_micro_max, co2_ug, wait_s, staging_s, home))| Measures {
            site: format!("site-{index}"),
            price_micro_max,
            co2_ug,
            wait_s,
            staging_s,
            home,
        };
        list.into_iter().enumerate().map(named).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn every_candidate_is_kept_and_the_order_given_does_not_matter(
        measures in any_measures(), weights in any::<[u32; 3]>(),
    ) {
        let [price, carbon, wait] = weights;
        let objective = Objective { price, carbon, wait };
        let placement = ranked(&measures, objective).unwrap();
        prop_assert_eq!(placement.ranked().len(), measures.len());
        let reversed: Vec<Measures> = measures.iter().rev().cloned().collect();
        prop_assert_eq!(names_and_scores(&ranked(&reversed, objective).unwrap()), names_and_scores(&placement));
        prop_assert!(placement.ranked().is_sorted_by_key(|ranked| ranked.score));
    }

    #[test]
    fn a_site_that_is_worse_in_nothing_and_better_in_price_is_never_behind(
        measures in any_measures(), cheaper in 1..1_000_000_i64,
    ) {
        let mut measures = measures;
        let mut better = measures[0].clone();
        better.site = "better".to_owned();
        better.price_micro_max = better.price_micro_max.saturating_sub(cheaper);
        prop_assume!(better.price_micro_max < measures[0].price_micro_max);
        measures.push(better);
        let order = names_and_scores(&ranked(&measures, Objective { price: 3, carbon: 2, wait: 1 }).unwrap());
        let at = |name: &str| order.iter().position(|(site, _)| site == name).unwrap();
        prop_assert!(at("better") < at("site-0"));
    }
}
