// SPDX-License-Identifier: Apache-2.0
//! Admission: the cases of `cases/admit.toml`, and that guests never pass their share.

use proptest::prelude::*;
use serde::Deserialize;
use sta_decide::{
    admit::{SiteLoad, admit, guest_share},
    verdict::Verdict,
};
use sta_protocol::treaty::{Resources, Site};

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
    demand: Resources,
    #[serde(default)]
    home: Resources,
    #[serde(default)]
    guests: Resources,
    #[serde(default)]
    queued: u32,
    guest: bool,
    share_percent: Option<u8>,
    /// Rule and resource; the latter empty where the rule is not about one.
    #[serde(default)]
    refused: Vec<(String, String)>,
}

fn site(share_percent: u8) -> Site {
    let mut site = treaty().sites[0].clone();
    site.resources = Resources { cpu_cores: 10, memory_bytes: 1000, gpus: 4 };
    site.guest_share_percent = share_percent;
    site
}

#[test]
fn every_demand_gets_the_verdict_of_its_case() {
    let cases: Cases = toml::from_str(include_str!("../cases/admit.toml")).unwrap();
    let permit = permit(&treaty(), rules(), "de", "quebec-hydro");
    for case in cases.case {
        let load = SiteLoad {
            running_home: case.home,
            running_guests: case.guests,
            queued: case.queued,
            queued_max: 3,
        };
        let site = site(case.share_percent.unwrap_or(50));
        let verdict = admit(permit.clone(), case.demand, &site, load, case.guest);
        let refusals = verdict.refusals().map(|refusals| refusals.as_slice().to_vec()).unwrap_or_default();
        let resource = |facts: &std::collections::BTreeMap<String, String>| {
            facts.get("resource").cloned().unwrap_or_default()
        };
        let mut got: Vec<_> =
            refusals.iter().map(|refusal| (refusal.rule.clone(), resource(&refusal.facts))).collect();
        got.sort();
        assert_eq!(got, case.refused, "{}", case.name);
        if let Verdict::Granted(admitted) = verdict {
            assert_eq!(
                (admitted.permit(), admitted.demand(), admitted.is_guest()),
                (&permit, case.demand, case.guest)
            );
        }
    }
}

#[test]
fn a_permit_for_one_site_admits_to_no_other() {
    let permit = permit(&treaty(), rules(), "de", "juelich");
    let verdict = admit(permit, Resources::default(), &site(50), SiteLoad::default(), true);
    assert_eq!(verdict.refusals().unwrap().rules().collect::<Vec<_>>(), ["OFR-001"]);
}

fn any_resources(limit: u32) -> impl Strategy<Value = Resources> {
    let kinds = (0..=limit, 0..=u64::from(limit) * 100, 0..=limit);
    kinds.prop_map(|(cpu_cores, memory_bytes, gpus)| Resources { cpu_cores, memory_bytes, gpus })
}

#[test]
fn guests_never_hold_more_than_their_share_whatever_comes() {
    let permit = permit(&treaty(), rules(), "de", "quebec-hydro");
    let demands = proptest::collection::vec(any_resources(6), 1..20);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) };
    proptest!(config, |(demands in demands, share in 0..=100_u8)| {
        let site = site(share);
        let mut load = SiteLoad { queued_max: 100, ..SiteLoad::default() };
        for demand in demands {
            if let Verdict::Granted(admitted) = admit(permit.clone(), demand, &site, load, true) {
                load.running_guests.cpu_cores += admitted.demand().cpu_cores;
                load.running_guests.memory_bytes += admitted.demand().memory_bytes;
                load.running_guests.gpus += admitted.demand().gpus;
            }
            let (held, most) = (load.running_guests, guest_share(&site));
            prop_assert!(held.cpu_cores <= most.cpu_cores && held.memory_bytes <= most.memory_bytes && held.gpus <= most.gpus);
        }
    });
}
