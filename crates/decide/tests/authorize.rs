// SPDX-License-Identifier: Apache-2.0
//! From treaty, job and records to a verdict: the cases of `cases/authorize.toml` on the example treaty, and the laws that
//! hold of every permit.

use std::collections::BTreeMap;

use serde::Deserialize;
use sta_decide::{
    authorize::{Rules, authorize, authorize_export, authorize_release},
    facts::{
        ExportFacts, ExportInputs, ReleaseFacts, ReleaseInputs, RunFacts, RunInputs, Steward, VisaFacts,
    },
    verdict::Verdict,
};
use sta_protocol::{class::Class, federation::DatasetRecord, ids::DatasetId, job::JobSpec, treaty::Treaty};

use crate::example::{input, now, permit, record, rules, run_facts, spec, treaty};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    dataset: Vec<Dataset>,
    run: Vec<RunCase>,
    export: Vec<ExportCase>,
    release: Vec<ReleaseCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dataset {
    id: String,
    class: Class,
    origin: String,
    #[serde(default)]
    residency: Vec<String>,
    #[serde(default)]
    purposes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunCase {
    name: String,
    home: String,
    site: String,
    #[serde(default)]
    datasets: Vec<DatasetId>,
    #[serde(default)]
    inputs: Vec<Class>,
    purpose: Option<String>,
    granted_datasets: Option<Vec<DatasetId>>,
    now: Option<jiff::Timestamp>,
    #[serde(default)]
    refused: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportCase {
    name: String,
    home: String,
    site: String,
    #[serde(default)]
    datasets: Vec<DatasetId>,
    #[serde(default)]
    inputs: Vec<Class>,
    released_as: Option<Class>,
    #[serde(default)]
    refused: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseCase {
    name: String,
    home: String,
    datasets: Vec<DatasetId>,
    /// `member/person`.
    steward: String,
    is_steward: bool,
    new_class: Class,
    reason: String,
    #[serde(default)]
    refused: Vec<String>,
}

struct World {
    treaty: Treaty,
    rules: Rules,
    records: Vec<DatasetRecord>,
}

fn world_and_cases() -> (World, Cases) {
    let cases: Cases = toml::from_str(include_str!("../cases/authorize.toml")).unwrap();
    let records = cases.dataset.iter().map(|dataset| {
        let (residency, purposes) = (texts(&dataset.residency), texts(&dataset.purposes));
        record(&dataset.id, dataset.class, &dataset.origin, &residency, &purposes)
    });
    (World { treaty: treaty(), rules: rules().clone(), records: records.collect() }, cases)
}

fn texts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn job(datasets: &[DatasetId], inputs: &[Class], purpose: Option<&str>) -> JobSpec {
    let mut spec = spec();
    spec.datasets = datasets.to_vec();
    spec.inputs = inputs.iter().map(|class| input(*class)).collect();
    spec.purpose = purpose.unwrap_or("research").to_owned();
    spec
}

#[track_caller]
fn check<T>(name: &str, verdict: &Verdict<T>, refused: &[String]) {
    let mut got: Vec<&str> =
        verdict.refusals().map(|refusals| refusals.rules().collect()).unwrap_or_default();
    got.dedup();
    assert_eq!(got, refused, "{name}");
}

impl World {
    fn run(&self, case: &RunCase) -> Verdict<sta_decide::authorize::Permit> {
        let spec = job(&case.datasets, &case.inputs, case.purpose.as_deref());
        let granted = case.granted_datasets.clone().unwrap_or_else(|| spec.datasets.clone());
        let facts = RunFacts::assemble(&RunInputs {
            treaty: &self.treaty,
            now: case.now.unwrap_or_else(now),
            by: &case.home.parse().unwrap(),
            home: &case.home.parse().unwrap(),
            site: &case.site.parse().unwrap(),
            spec: &spec,
            researcher: &"r-1".parse().unwrap(),
            records: &self.records,
            visas: &VisaFacts { valid: true, affiliated: true, datasets_granted: granted },
            project_active: true,
            allocation_reserved: true,
            witness_behind: false,
        });
        match facts {
            Verdict::Granted(facts) => authorize(&self.rules, &facts),
            Verdict::Refused(refusals) => Verdict::Refused(refusals),
        }
    }
}

#[test]
fn every_job_gets_the_verdict_of_its_case() {
    let (world, cases) = world_and_cases();
    for case in &cases.run {
        check(&case.name, &world.run(case), &case.refused);
    }
    assert!(cases.run.len() >= 20);
}

#[test]
fn every_output_gets_the_verdict_of_its_case() {
    let (world, cases) = world_and_cases();
    for case in &cases.export {
        let facts = ExportFacts::assemble(&ExportInputs {
            treaty: &world.treaty,
            now: now(),
            by: &"de".parse().unwrap(),
            home: &case.home.parse().unwrap(),
            site: &case.site.parse().unwrap(),
            spec: &job(&case.datasets, &case.inputs, None),
            records: &world.records,
            output: "model.json",
            released_as: case.released_as,
        });
        check(&case.name, &authorize_export(&world.rules, &facts.granted().unwrap()), &case.refused);
    }
}

#[test]
fn every_release_gets_the_verdict_of_its_case() {
    let (world, cases) = world_and_cases();
    for case in &cases.release {
        let (member, person) = case.steward.split_once('/').unwrap();
        let steward = Steward {
            member: member.parse().unwrap(),
            person: person.parse().unwrap(),
            is_steward: case.is_steward,
        };
        let facts = ReleaseFacts::assemble(&ReleaseInputs {
            treaty: &world.treaty,
            by: &"de".parse().unwrap(),
            home: &case.home.parse().unwrap(),
            spec: &job(&case.datasets, &[], None),
            records: &world.records,
            researcher: &"r-1".parse().unwrap(),
            steward: &steward,
            output: "model.json",
            new_class: case.new_class,
            reason: &case.reason,
        });
        check(&case.name, &authorize_release(&world.rules, &facts.granted().unwrap()), &case.refused);
    }
}

#[test]
fn a_refusal_quotes_its_facts_its_source_and_the_member_that_decides() {
    let (world, _) = world_and_cases();
    let spec = job(&["ca/ice-charts".parse().unwrap()], &[], None);
    let facts = run_facts(&world.treaty, "ca", "juelich", &spec, &world.records).granted().unwrap();
    let verdict = authorize(&world.rules, &facts);
    let [refusal] = verdict.refusals().unwrap().as_slice() else { panic!("one guard refuses") };
    let quoted = [("data.class", "protected"), ("data.id", "ca/ice-charts"), ("data.origin", "ca")];
    let quoted = quoted.into_iter().chain([
        ("site.id", "juelich"),
        ("site.jurisdiction", "de"),
        ("site.member", "de"),
    ]);
    assert_eq!(
        refusal.facts,
        quoted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    );
    assert_eq!((refusal.rule.as_str(), refusal.by.as_str()), ("SOV-003", "ca"));
    assert!(
        refusal.source.contains("Directive on Service and Digital") && refusal.advice.contains("own nation")
    );
}

#[test]
fn a_permit_remembers_site_facts_permits_and_rules() {
    let (world, _) = world_and_cases();
    let spec = job(&["de/digits".parse().unwrap()], &[], None);
    let facts = run_facts(&world.treaty, "de", "quebec-hydro", &spec, &world.records).granted().unwrap();
    let permit = authorize(&world.rules, &facts).granted().unwrap();
    assert_eq!(permit.allowed_by(), ["ADM-001", "ADM-002"]);
    assert_eq!((permit.facts(), permit.rules()), (&facts, world.rules.digest()));
    let without_data = crate::example::permit(&world.treaty, &world.rules, "de", "quebec-hydro");
    assert_eq!(without_data.allowed_by(), ["ADM-001"]);
}

#[test]
fn an_unknown_site_or_dataset_is_refused_before_any_rule() {
    let (world, _) = world_and_cases();
    let codes = |verdict: Verdict<RunFacts>| {
        verdict.refusals().unwrap().rules().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(codes(run_facts(&world.treaty, "de", "atlantis", &spec(), &[])), ["OFR-001"]);
    let spec = job(&["de/digits".parse().unwrap(), "de/nowhere".parse().unwrap()], &[], None);
    assert_eq!(codes(run_facts(&world.treaty, "de", "juelich", &spec, &world.records)), ["DAT-001"]);
}

#[test]
fn the_newest_record_of_a_dataset_decides() {
    let (world, _) = world_and_cases();
    let mut newer = world.records.iter().find(|record| record.id.to_string() == "de/digits").unwrap().clone();
    newer.class = Class::Protected;
    newer.recorded_at = "2026-11-23T13:00:00Z".parse().unwrap();
    let spec = job(&["de/digits".parse().unwrap()], &[], None);
    for order in [[0, 1], [1, 0]] {
        let both =
            [world.records.iter().find(|record| record.id == newer.id).unwrap().clone(), newer.clone()];
        let records = order.map(|index| both[index].clone());
        let facts = run_facts(&world.treaty, "de", "quebec-hydro", &spec, &records).granted().unwrap();
        check("the newest record", &authorize(&world.rules, &facts), &["SOV-003".to_owned()]);
    }
}

#[test]
fn home_and_host_reach_the_same_reasons_and_differ_only_in_who_says_them() {
    let (world, cases) = world_and_cases();
    for case in cases.run.iter().filter(|case| case.now.is_none() && case.granted_datasets.is_none()) {
        let spec = job(&case.datasets, &case.inputs, case.purpose.as_deref());
        let Verdict::Granted(home) = run_facts(&world.treaty, &case.home, &case.site, &spec, &world.records)
        else {
            continue;
        };
        let host = RunFacts { by: home.site.member.clone(), ..home.clone() };
        let reasons = |facts: &RunFacts| {
            let verdict = authorize(&world.rules, facts);
            let refusals =
                verdict.refusals().map(|refusals| refusals.as_slice().to_vec()).unwrap_or_default();
            refusals.into_iter().map(|refusal| (refusal.rule, refusal.facts)).collect::<Vec<_>>()
        };
        assert_eq!(reasons(&home), reasons(&host), "{}", case.name);
    }
}

#[test]
fn the_same_facts_give_the_same_refusals_in_the_same_order() {
    let (world, _) = world_and_cases();
    let spec = job(
        &["de/hospital".parse().unwrap(), "ca/ice-charts".parse().unwrap()],
        &[Class::Special],
        Some("x"),
    );
    let facts = run_facts(&world.treaty, "ca", "frankfurt-cloud", &spec, &world.records).granted().unwrap();
    let first = authorize(&world.rules, &facts);
    let rules: Vec<&str> = first.refusals().unwrap().rules().collect();
    assert!(rules.len() > 5 && rules.is_sorted());
    for _ in 0..5 {
        assert_eq!(authorize(&Rules::shipped().unwrap(), &facts), first);
    }
}

#[test]
fn a_permit_for_a_job_without_data_needs_no_dataset_rule() {
    let (world, _) = world_and_cases();
    assert_eq!(permit(&world.treaty, &world.rules, "ca", "juelich").facts().data, []);
}
