// SPDX-License-Identifier: Apache-2.0
//! G3 in the way of outputs: what a job marks as weights leaves its site only through the gate for weights.
//!
//! The host decides, at home and abroad alike, each time somebody asks for the file. An answer stands as long as the facts it
//! rests on do: an evaluation that arrives is a new fact, and so is one that has grown too old.

use std::collections::BTreeMap;

use sta_decide::{
    authorize::Action,
    gate::{
        Question,
        inputs::{Intent, Model, declared},
        words::Purpose,
    },
};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    federation::{Offer, OutputFile},
    gate::Verdict,
    ids::JobId,
    job::JobSpec,
    refusal::{Refusal, RefusalCode},
};

use super::{
    Asking, Prepared, StepError, facts, models, prepare, read_decision, record, refusals, still_stands,
};
use crate::{
    node::Node,
    store::{StoreError, Tx, gates as table},
};

/// Whether a job says that this output is weights.
#[must_use]
pub fn is_weights(spec: &JobSpec, output: &str) -> bool {
    spec.outputs_weights.iter().any(|name| name == output)
}

/// What a job is for, as its researcher declares and signs it. Its outputs go back to its own project: nothing is placed on a
/// market by that.
#[must_use]
pub fn intent(spec: &JobSpec, class: Class) -> Intent {
    let purpose = spec.listed_purpose();
    Intent {
        purpose: declared(purpose),
        exception_claimed: declared(spec.exception_claimed),
        research_only: declared(matches!(purpose, Purpose::Research | Purpose::HealthResearch)),
        market_eu: declared(false),
        place_on_market: declared(false),
        leaves_research: declared(false),
        open_data_only: declared(class <= Class::Internal),
    }
}

/// The question whether these weights may leave the site.
///
/// # Errors
/// The store failed.
pub(crate) fn asking(
    node: &Node,
    offer: &Offer,
    output: &str,
    sha256: Sha256Digest,
    class: Class,
) -> Result<Asking, StepError> {
    let about = models::about(node, &[sha256])?;
    let question =
        Question::ExportWeights { intent: intent(&offer.spec, class), model: Box::new(Model::cautious()) };
    let mut sheet = question.sheet();
    let mut assumed = sheet.paths().filter(|path| path.starts_with("model.")).collect();
    facts::overlay(&mut sheet, &about.sheet, "model", &mut assumed);
    Ok(Asking {
        action: Action::ExportWeights,
        sheet,
        assumed,
        site: Some(offer.site.clone()),
        subject: subject(offer.job, output, sha256),
        tenant: format!("{}/{}", offer.home, offer.spec.project),
        evidence: about.evidence,
    })
}

/// What keeps weights at the site: that they are held, and each reason of the gate; none where they may leave.
#[must_use]
pub(crate) fn held_by(node: &Node, decided: &super::DecisionRecord) -> Vec<Refusal> {
    if decided.answer.verdict() <= Verdict::AllowWith {
        return Vec::new();
    }
    let subject = |name: &str| decided.subject.get(name).cloned().unwrap_or_default();
    let facts = [
        ("output", subject("output")),
        ("weights", subject("weights")),
        ("decision", decided.decision.to_string()),
        ("verdict", decided.answer.verdict().to_string()),
    ];
    let held = Refusal::new(RefusalCode::WeightsHeld, node.member(), facts);
    let mut all = vec![held];
    all.extend(refusals(&decided.answer, node.member()));
    all
}

/// What keeps weights at the site now. An answer that still stands is not asked for again.
///
/// # Errors
/// The store failed: nothing leaves.
pub async fn holds(
    node: &Node,
    offer: &Offer,
    output: &str,
    sha256: Sha256Digest,
    class: Class,
) -> Result<Vec<Refusal>, StepError> {
    if !is_weights(&offer.spec, output) {
        return Ok(Vec::new());
    }
    let asking = asking(node, offer, output, sha256, class)?;
    let prepared = prepare(node, asking);
    let (guards, now) = (node.guards.clone(), node.outside.now());
    let standing = node.store.read(|connection| standing(connection, &prepared, now))?;
    let decided = match standing {
        Some(decided) => decided,
        // Another request may have been answered in between; then that answer stands for this one too.
        None => {
            let write = node.store.write(move |tx| decide(tx, &guards, prepared, now));
            write.await?
        }
    };
    Ok(held_by(node, &decided))
}

fn decide(
    tx: &mut Tx<'_>,
    guards: &super::Guards,
    prepared: Prepared,
    now: jiff::Timestamp,
) -> Result<super::DecisionRecord, StoreError> {
    match standing(tx.connection(), &prepared, now)? {
        Some(decided) => Ok(decided),
        None => record(tx, guards, prepared),
    }
}

/// The last answer about the same thing, where it still stands.
fn standing(
    connection: &rusqlite::Connection,
    prepared: &Prepared,
    now: jiff::Timestamp,
) -> Result<Option<super::DecisionRecord>, StoreError> {
    let last = table::last_decision(connection, &prepared.record.gate, &prepared.key)?;
    let last = last.map(|text| read_decision(&text)).transpose()?;
    Ok(last.filter(|last| still_stands(prepared, last, now)))
}

/// What kept an output at the site when its gate was asked last; none where no gate was asked, or it let the file go.
///
/// # Errors
/// The store failed.
pub fn last_held_by(node: &Node, job: JobId, file: &OutputFile) -> Result<Vec<Refusal>, StoreError> {
    let key = super::key_of(&subject(job, &file.name, file.sha256));
    let last = node
        .store
        .read(|connection| table::last_decision(connection, Action::ExportWeights.as_str(), &key))?;
    let last = last.map(|text| read_decision(&text)).transpose()?;
    Ok(last.map(|decided| held_by(node, &decided)).unwrap_or_default())
}

fn subject(job: JobId, output: &str, sha256: Sha256Digest) -> BTreeMap<String, String> {
    let parts = [("job", job.to_string()), ("output", output.to_owned()), ("weights", sha256.to_string())];
    parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
