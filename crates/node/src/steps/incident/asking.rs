// SPDX-License-Identifier: Apache-2.0
//! The question of an incident: what the reporter states, and over it what jobs, training runs and the registry of models say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sta_decide::{
    authorize::{Action, FactSheet},
    facts::class_of,
    gate::{
        Question,
        inputs::{Incident, Intent, Model, declared},
    },
};
use sta_protocol::{
    digest::Sha256Digest,
    federation::Offer,
    ids::{IncidentId, JobId},
    incident::IncidentKind,
    job::JobSpec,
};

use super::{
    super::{
        StepError,
        gates::{Asking, facts, models, weights},
        meter, stage, training,
    },
    About, malformed,
};
use crate::{
    node::Node,
    store::{gate_holds, hosted, jobs},
};

/// The question with its facts, for the incident as a whole and for one of its jobs.
pub(super) struct OfIncident(Asking);

impl OfIncident {
    /// About the incident.
    pub(super) fn whole(&self) -> Asking {
        self.0.clone()
    }

    /// About what it means for a job.
    pub(super) fn about_job(&self, job: JobId) -> Asking {
        let mut asking = self.0.clone();
        asking.subject.insert("job".to_owned(), job.to_string());
        asking
    }
}

/// What is known of the job that an incident names.
struct OfJob {
    spec: JobSpec,
    tenant: String,
    intent: Intent,
    model: Option<Model>,
}

/// Gathers the facts. `stated` is what the reporter states, as it is kept.
///
/// # Errors
/// A stated fact is none; or the store failed.
pub(super) fn asking(
    node: &Node,
    id: IncidentId,
    about: &About,
    kinds: &[IncidentKind],
    stated: &str,
    evidence: Sha256Digest,
) -> Result<OfIncident, StepError> {
    let wrong = |problem: String| malformed(node, "facts", problem);
    let stated: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_str(stated).map_err(|error| wrong(error.to_string()))?;
    if stated.get("incident").is_some_and(|facts| facts.contains_key("kinds")) {
        return Err(wrong("has `incident.kinds`: say it as `kind`".to_owned()));
    }
    let incident = Incident { kinds: declared(kinds.to_vec()), ..Incident::cautious() };
    let question =
        Question::Incident { intent: Intent::cautious(), model: Box::new(Model::cautious()), incident };
    let mut sheet = question.sheet();
    let mut assumed = facts::declare(&mut sheet, &stated).map_err(|error| wrong(error.to_string()))?;
    assumed.remove("incident.kinds");
    let job = match about.job {
        Some(job) => of_job(node, job)?,
        None => None,
    };
    let mut evidence = BTreeSet::from([evidence]);
    let mut tenant = format!("{}/incidents", node.member());
    let mut named = about.model.clone();
    if let Some(job) = job {
        named = named.or_else(|| job.spec.training.as_ref().map(|training| training.model.clone()));
        tenant = job.tenant;
        let known = Question::ExportWeights {
            intent: job.intent,
            model: Box::new(job.model.clone().unwrap_or_else(Model::cautious)),
        };
        let known = known.sheet();
        put(&mut sheet, &known, &mut assumed, |path| path.starts_with("intent."));
        if job.model.is_some() {
            put(&mut sheet, &known, &mut assumed, |path| {
                path.strip_prefix("model.").is_some_and(|name| training::STATED.contains(&name))
            });
        }
    }
    let registered = match &named {
        Some(model) => models::about_model(node, model)?,
        None => None,
    };
    if let Some((known, digest)) = registered {
        facts::overlay(&mut sheet, &known, "model", &mut assumed);
        evidence.insert(digest);
    }
    Ok(OfIncident(Asking {
        action: Action::Incident,
        sheet,
        assumed,
        site: None,
        subject: subject(id, about),
        tenant,
        evidence,
    }))
}

/// Takes facts over from another sheet.
fn put(
    sheet: &mut FactSheet,
    from: &FactSheet,
    assumed: &mut BTreeSet<String>,
    wanted: impl Fn(&str) -> bool,
) {
    for path in from.paths().filter(|path| wanted(path)) {
        if let Some(fact) = from.get(&path) {
            sheet.set(&path, fact.clone());
            sheet.vouch(&path, from.provenance(&path));
            assumed.remove(&path);
        }
    }
}

fn subject(id: IncidentId, about: &About) -> BTreeMap<String, String> {
    let job = about.job.map(|job| ("job".to_owned(), job.to_string()));
    let model = about.model.as_ref().map(|model| ("model".to_owned(), model.to_string()));
    let site = about.site.as_ref().map(|site| ("site".to_owned(), site.to_string()));
    let incident = Some(("incident".to_owned(), id.to_string()));
    [incident, job, model, site].into_iter().flatten().collect()
}

/// What this node knows of a job, as its host or as its home.
fn of_job(node: &Node, job: JobId) -> Result<Option<OfJob>, StepError> {
    let (hosted, home, training) = node.store.read(|connection| {
        let training = gate_holds::training(connection, job)?;
        Ok((hosted::find(connection, job)?, jobs::find(connection, job)?, training))
    })?;
    let offer: Option<Offer> = match (&hosted, &home) {
        (Some(hosted), _) => Some(stage::offer_of(hosted)?),
        (None, Some(home)) => home.offer.as_ref().and_then(|offer| offer.peek_unverified().ok()),
        (None, None) => None,
    };
    let (spec, tenant, intent) = match (offer, home) {
        (Some(offer), _) => {
            let records = meter::records(node, &offer);
            let class = class_of(&offer.spec, &records.iter().collect::<Vec<_>>());
            let tenant = format!("{}/{}", offer.home, offer.spec.project);
            let intent = weights::intent(&offer.spec, class);
            (offer.spec, tenant, intent)
        }
        (None, Some(home)) => {
            // It was offered to nobody: what its datasets are is not known here.
            let mut intent = weights::intent(&home.spec, class_of(&home.spec, &[]));
            intent.open_data_only = declared(false);
            (home.spec, format!("{}/{}", node.member(), home.project), intent)
        }
        (None, None) => return Ok(None),
    };
    let model = match training {
        Some(training) => training::model_so_far(node, &training)?,
        None => training::model_declared(job, &spec, node.outside.now()),
    };
    Ok(Some(OfJob { spec, tenant, intent, model }))
}
