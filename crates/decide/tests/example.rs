// SPDX-License-Identifier: Apache-2.0
//! What the tests decide on: the example treaty, jobs and datasets.

use std::{collections::BTreeMap, sync::OnceLock};

use jiff::Timestamp;
use sta_decide::{
    authorize::{Permit, Rules, authorize},
    facts::{RunFacts, RunInputs, VisaFacts},
    verdict::Verdict,
};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    federation::DatasetRecord,
    ids::{MemberId, ResearcherId, SiteId},
    job::{InputFile, JobSpec, Objective, Shape},
    treaty::Treaty,
};

pub(crate) const TREATY: &str = include_str!("../../../treaties/canada-germany.toml");

/// The shipped rules, read once for all tests.
pub(crate) fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(|| Rules::shipped().unwrap())
}

pub(crate) fn treaty() -> Treaty {
    Treaty::from_toml(TREATY).unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

pub(crate) fn spec() -> JobSpec {
    JobSpec {
        version: 1,
        name: "digits".to_owned(),
        command: vec!["python3".to_owned(), "train.py".to_owned()],
        image: "host".to_owned(),
        project: "digits".parse().unwrap(),
        purpose: "research".to_owned(),
        purpose_class: None,
        exception_claimed: false,
        datasets: Vec::new(),
        inputs: Vec::new(),
        outputs: vec!["model.json".to_owned()],
        cpu_cores: 2,
        memory_bytes: 1 << 30,
        gpus: 0,
        time_limit_s: 600,
        network: false,
        objective: Objective::CHEAPEST,
        sites_allowed: Vec::new(),
        sites_refused: Vec::new(),
        shape: Shape::default(),
        outputs_weights: Vec::new(),
        after: Vec::new(),
        attempts_max: 1,
        site_options: BTreeMap::new(),
        training: None,
        inputs_about: None,
        checkpoint: None,
    }
}

pub(crate) fn input(class: Class) -> InputFile {
    InputFile { name: format!("{class}.csv"), sha256: Sha256Digest::of(b"a file"), bytes: 6, class }
}

pub(crate) fn record(
    id: &str,
    class: Class,
    origin: &str,
    residency: &[&str],
    purposes: &[&str],
) -> DatasetRecord {
    DatasetRecord {
        version: 1,
        id: id.parse().unwrap(),
        title: id.to_owned(),
        class,
        origin: origin.parse().unwrap(),
        residency: residency.iter().map(|area| area.parse().unwrap()).collect(),
        purposes: purposes.iter().map(|&purpose| purpose.to_owned()).collect(),
        files: Vec::new(),
        facts: None,
        protection: None,
        recorded_at: now(),
    }
}

/// A visa that is in order, for the datasets of `spec`.
pub(crate) fn visas(spec: &JobSpec) -> VisaFacts {
    VisaFacts { valid: true, affiliated: true, datasets_granted: spec.datasets.clone() }
}

/// The facts of a job in good order at `site`, decided by its home member.
pub(crate) fn run_facts(
    treaty: &Treaty,
    home: &str,
    site: &str,
    spec: &JobSpec,
    records: &[DatasetRecord],
) -> Verdict<RunFacts> {
    let home: MemberId = home.parse().unwrap();
    let site: SiteId = site.parse().unwrap();
    let researcher: ResearcherId = "r-1".parse().unwrap();
    RunFacts::assemble(&RunInputs {
        treaty,
        now: now(),
        by: &home,
        home: &home,
        site: &site,
        spec,
        researcher: &researcher,
        records,
        visas: &visas(spec),
        project_active: true,
        allocation_reserved: true,
        witness_behind: false,
    })
}

/// A permit for a job without data at `site`.
pub(crate) fn permit(treaty: &Treaty, rules: &Rules, home: &str, site: &str) -> Permit {
    let facts = run_facts(treaty, home, site, &spec(), &[]).granted().unwrap();
    authorize(rules, &facts).granted().unwrap()
}
