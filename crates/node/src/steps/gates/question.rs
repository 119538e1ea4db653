// SPDX-License-Identifier: Apache-2.0
//! A question that a person or program asks at the door: what it declares, and over that what node, treaty and registry know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sta_decide::{
    authorize::{Action, Fact, FactSheet},
    gate::{
        Question,
        inputs::{Host, Intent, metered, registry},
        words::OperatorForm,
    },
};
use sta_protocol::{
    digest::Sha256Digest,
    gate::{Provenance, Verdict},
    ids::{ProjectId, SiteId},
    refusal::RefusalCode,
    treaty::{Site, Treaty},
};

use super::{Asking, StepError, facts, key_of, models, read_decision};
use crate::{
    node::Node,
    store::{gates as table, registry as people, registry::Researcher},
};

/// What is asked, as it comes in.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The question's name, such as `call-tool`.
    pub gate: String,
    /// Against whose harm budget it counts.
    pub project: ProjectId,
    /// What the one who asks states, by section and name.
    pub facts: BTreeMap<String, BTreeMap<String, Value>>,
    /// The weights it is about.
    pub weights: Vec<Sha256Digest>,
    /// The site it is about.
    pub site: Option<SiteId>,
}

/// Which gates can be asked at the door: G1 to G5. Incidents and orders to stop have doors of their own.
const AT_THE_DOOR: [Action; 7] = [
    Action::Screen,
    Action::MoveData,
    Action::Train,
    Action::ExportWeights,
    Action::Serve,
    Action::Infer,
    Action::CallTool,
];

/// Gathers the facts: what is declared first, and over it what this node, the treaty and the registry know better.
///
/// # Errors
/// There is no such gate, the person is not of the project, or a fact is none; or the store failed.
pub fn gather(node: &Node, person: &Researcher, asked: &Asked) -> Result<Asking, StepError> {
    let malformed = |field: &str, problem: String| {
        let facts = [("field", field.to_owned()), ("problem", problem)];
        StepError::refused(RefusalCode::RequestMalformed, node.member(), facts)
    };
    let action = AT_THE_DOOR.into_iter().find(|action| action.as_str() == asked.gate);
    let names = || AT_THE_DOOR.map(Action::as_str).join(", ");
    let unknown = || malformed("gate", format!("is `{}`: use {}", asked.gate, names()));
    let action = action.ok_or_else(unknown)?;
    let mut sheet = facts::cautious(action).ok_or_else(unknown)?;
    let is_theirs =
        node.store.read(|connection| people::is_in_project(connection, &asked.project, &person.id))?;
    if !is_theirs {
        let facts = [("project", asked.project.to_string())];
        return Err(StepError::refused(RefusalCode::NotFound, node.member(), facts));
    }
    let mut assumed =
        facts::declare(&mut sheet, &asked.facts).map_err(|wrong| malformed("facts", wrong.to_string()))?;
    let mut subject = BTreeMap::from([("project".to_owned(), asked.project.to_string())]);
    let mut evidence = BTreeSet::new();
    if !asked.weights.is_empty() {
        let about = models::about(node, &asked.weights)?;
        facts::overlay(&mut sheet, &about.sheet, "model", &mut assumed);
        evidence = about.evidence;
        subject.insert("weights".to_owned(), joined(&asked.weights));
    }
    if let Some(id) = &asked.site {
        let site = node
            .treaty
            .site(id)
            .ok_or_else(|| malformed("site", format!("the treaty has no site `{id}`")))?;
        let question = Question::Screen { intent: Intent::cautious(), site: host(&node.treaty, site) };
        facts::overlay(&mut sheet, &question.sheet(), "site", &mut assumed);
        subject.insert("site".to_owned(), id.to_string());
    }
    if action == Action::Infer {
        meter_serving(node, &subject, &mut sheet, &mut assumed)?;
    }
    Ok(Asking {
        action,
        sheet,
        assumed,
        site: asked.site.clone(),
        subject,
        tenant: format!("{}/{}", node.member(), asked.project),
        evidence,
    })
}

fn joined(weights: &[Sha256Digest]) -> String {
    let mut texts: Vec<String> = weights.iter().map(ToString::to_string).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.join(",")
}

/// Whether the serving of these weights passed its gate, which the node knows from its own decisions.
fn meter_serving(
    node: &Node,
    subject: &BTreeMap<String, String>,
    sheet: &mut FactSheet,
    assumed: &mut BTreeSet<String>,
) -> Result<(), StepError> {
    let of_serving: BTreeMap<String, String> = subject
        .iter()
        .filter(|(name, _)| *name != "site")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let last = node
        .store
        .read(|connection| table::last_decision(connection, Action::Serve.as_str(), &key_of(&of_serving)))?;
    let last = last.map(|text| read_decision(&text)).transpose()?;
    // What the registry says of the model must be what it said when it passed.
    let is_same =
        |path: &str, last: &super::DecisionRecord| last.facts.get(path) == facts::recorded(sheet).get(path);
    let passed = last.is_some_and(|last| {
        last.answer.verdict() <= Verdict::AllowWith
            && subject.contains_key("weights")
            && ["model.id", "model.evaluation_current", "model.teraflop"]
                .iter()
                .all(|path| is_same(path, &last))
    });
    sheet.set("request.served_under_gate", Fact::Flag(passed));
    sheet.vouch("request.served_under_gate", Provenance::Metered);
    assumed.remove("request.served_under_gate");
    Ok(())
}

/// A site as the treaty has it, which all members have signed.
#[must_use]
pub fn host(treaty: &Treaty, site: &Site) -> Host {
    // The treaty's words for two of the forms are older than the rules'; what it has no word for is not known.
    let form = match site.operator.form.as_str() {
        "public" => OperatorForm::PublicBody,
        "nonprofit" => OperatorForm::NonProfit,
        other => OperatorForm::from_word(other).unwrap_or(OperatorForm::Unknown),
    };
    let exposed = &site.operator.exposed_to;
    let us = exposed.iter().any(|jurisdiction| jurisdiction.as_str() == "us");
    let in_eea = "eea".parse().is_ok_and(|eea| treaty.lies_in(&site.jurisdiction, &eea));
    let parent = exposed.first().unwrap_or(&site.jurisdiction).to_string();
    // Ciphertext and whose keys they are is nothing that a treaty says: nobody is credited with them.
    Host {
        id: registry(site.id.to_string()),
        country: registry(site.jurisdiction.to_string()),
        in_eea: registry(in_eea),
        operator_form: registry(form),
        parent_country: registry(parent),
        us_nexus: registry(us),
        ciphertext_only: metered(false),
        keys_held_by_member: metered(false),
        assurance_level: registry(0),
    }
}
