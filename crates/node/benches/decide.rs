// SPDX-License-Identifier: Apache-2.0
//! What home decides for one job over ten sites: the facts gathered, and every rule asked about site and dataset.

use anyhow::{Result, anyhow, ensure};
use sta_decide::{
    authorize::{Rules, authorize},
    facts::{RunFacts, RunInputs, VisaFacts},
};
use sta_protocol::{federation::DatasetRecord, ids::SiteId, job::JobSpec, treaty::Treaty};

use crate::{load::Round, machine::timed};

/// Decides so many times.
pub(crate) fn ten_sites(count: usize) -> Result<Round> {
    let mut treaty = Treaty::from_toml(include_str!("../../../treaties/canada-germany.toml"))?;
    let three = treaty.sites.clone();
    treaty.sites = three.iter().cycle().take(10).cloned().collect();
    for (number, site) in treaty.sites.iter_mut().enumerate() {
        site.id = format!("site-{number}").parse()?;
    }
    let (spec, record) = job()?;
    let rules = Rules::shipped()?;
    let visas = VisaFacts { valid: true, affiliated: true, datasets_granted: spec.datasets.clone() };
    let (home, researcher, now) = ("ca".parse()?, "ada".parse()?, "2026-11-23T12:00:00Z".parse()?);
    let permits = |site: &SiteId| {
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
        let facts = facts.into_result().map_err(|_| anyhow!("the facts are whole"))?;
        Ok(authorize(&rules, &facts).into_result().is_ok())
    };
    timed(count, || {
        let permitted: Result<Vec<bool>> = treaty.sites.iter().map(|site| permits(&site.id)).collect();
        let permitted = permitted?.into_iter().filter(|permitted| *permitted).count();
        ensure!(permitted == 3, "the three sites at Jülich permit it, the others refuse; {permitted} did");
        Ok(())
    })
}

/// Hospital data: the kind of job that most rules have something to say about.
fn job() -> Result<(JobSpec, DatasetRecord)> {
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
    Ok((serde_json::from_value(spec)?, serde_json::from_value(record)?))
}
