// SPDX-License-Identifier: Apache-2.0
//! How long a home node takes to decide over ten sites, and what loading the rules costs.

use criterion::{Criterion, criterion_group, criterion_main};
use sta_decide::{
    authorize::{Rules, authorize},
    facts::{RunFacts, RunInputs, VisaFacts},
    verdict::Verdict,
};
use sta_protocol::{federation::DatasetRecord, ids::SiteId, job::JobSpec, treaty::Treaty};

/// The example treaty with ten sites: its three, under as many names as are needed.
fn treaty_of_ten_sites() -> Treaty {
    let mut treaty = Treaty::from_toml(include_str!("../../../treaties/canada-germany.toml"))
        .expect("the example treaty reads");
    let three = treaty.sites.clone();
    treaty.sites = (0..10)
        .map(|number| {
            let mut site = three[number % three.len()].clone();
            site.id = format!("site-{number}").parse().expect("a name");
            site
        })
        .collect();
    treaty
}

fn job() -> (JobSpec, DatasetRecord) {
    let spec = serde_json::json!({
        "version": 1, "name": "tumours", "command": ["python3", "train.py"], "image": "host", "project": "oncology",
        "purpose": "research", "datasets": ["de/hospital"], "inputs": [], "outputs": ["model.json"], "cpu_cores": 2,
        "memory_bytes": 1_073_741_824, "gpus": 0, "time_limit_s": 600, "network": false, "objective": {"carbon": 1},
        "sites_allowed": [], "sites_refused": []
    });
    let record = serde_json::json!({
        "version": 1, "id": "de/hospital", "title": "Tumours", "class": "special", "origin": "de",
        "residency": ["eea"], "purposes": ["research"], "files": [], "recorded_at": "2026-11-01T00:00:00Z"
    });
    let parsed = (serde_json::from_value(spec), serde_json::from_value(record));
    (parsed.0.expect("a job"), parsed.1.expect("a record"))
}

fn ten_sites(criterion: &mut Criterion) {
    let (treaty, (spec, record)) = (treaty_of_ten_sites(), job());
    let rules = Rules::shipped().expect("the shipped rules load");
    let visas = VisaFacts { valid: true, affiliated: true, datasets_granted: spec.datasets.clone() };
    let (home, researcher) = ("ca".parse().expect("a name"), "r-1".parse().expect("a name"));
    let now = "2026-11-23T12:00:00Z".parse().expect("a moment");
    let decide = |site: &SiteId| {
        let facts = RunFacts::assemble(&RunInputs {
            treaty: &treaty,
            now,
            by: &home,
            home: &home,
            site,
            spec: &spec,
            researcher: &researcher,
            records: std::slice::from_ref(&record),
            visas: &visas,
            project_active: true,
            allocation_reserved: true,
            witness_behind: false,
        });
        match facts {
            Verdict::Granted(facts) => matches!(authorize(&rules, &facts), Verdict::Granted(_)),
            Verdict::Refused(_) => panic!("the facts are whole"),
        }
    };
    let permitted = || treaty.sites.iter().filter(|site| decide(&site.id)).count();
    assert_eq!(permitted(), 3, "the three sites at Jülich permit it, the others refuse");
    criterion
        .bench_function("authorize 10 sites x 1 dataset, facts included", |bencher| bencher.iter(permitted));
    criterion.bench_function("load the shipped rules", |bencher| bencher.iter(Rules::shipped));
}

criterion_group!(benches, ten_sites);
criterion_main!(benches);
