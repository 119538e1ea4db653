// SPDX-License-Identifier: Apache-2.0
//! Newcomers: a job that trains the model of an incident and is admitted after the report is treated as those that were there.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sta_protocol::{
    federation::Offer,
    gate::Verdict,
    ids::{DecisionId, IncidentId, JobId, ModelId},
    incident::{IncidentEntry, IncidentKind, IncidentStep},
    jws::Signed,
};

use super::{
    super::{
        StepError, gate_hold,
        gates::{self, Prepared, guards::Guards},
    },
    About, asking, chain, reason,
};
use crate::{
    node::Node,
    store::{
        StoreError, Tx,
        blob_uses::NeededFile,
        frozen,
        incidents::{self as table, KeptIncident},
        registry,
    },
};

/// An offered job that trains a model, with what the open incidents about that model mean for it.
pub(crate) struct Newcomer {
    job: JobId,
    model: ModelId,
    joins: Vec<Joins>,
}

/// One incident that the job comes under.
struct Joins {
    incident: IncidentId,
    /// What the gate had said of the incident when this was asked.
    decision: DecisionId,
    /// What the gate says of the job; none where nobody who may stop it has said so.
    prepared: Option<Prepared>,
}

/// Asks the gate about an offered job for each open incident about the model that it trains; none for a job that trains nothing.
///
/// # Errors
/// The store failed, or what is stored does not hold.
pub(crate) fn at_admission(node: &Node, offer: &Offer) -> Result<Option<Newcomer>, StepError> {
    let Some(training) = &offer.spec.training else { return Ok(None) };
    let (job, model) = (offer.job, training.model.clone());
    let open = node.store.read(|connection| table::about_model(connection, &model))?;
    let joins = open.iter().map(|kept| ask(node, kept, job)).collect::<Result<_, _>>()?;
    Ok(Some(Newcomer { job, model, joins }))
}

fn ask(node: &Node, kept: &KeptIncident, job: JobId) -> Result<Joins, StepError> {
    let (incident, entries) = chain(node, kept.id)?;
    let newest = node.store.read(|connection| frozen::snapshots(connection, kept.id))?.pop();
    let newest = newest
        .ok_or_else(|| StoreError::Damaged { what: "incident", problem: "it has no evidence".to_owned() })?;
    let prepared = if may_stop(node, kept, &entries, job)? {
        let kinds: Vec<IncidentKind> = incident.kinds.iter().map(|(kind, _)| *kind).collect();
        let asked = asking::asking(node, kept.id, &About::from(kept), &kinds, &kept.facts, newest.sha256)?;
        Some(gates::prepare(node, asked.about_job(job)))
    } else {
        None
    };
    Ok(Joins { incident: kept.id, decision: kept.decision, prepared })
}

/// Whether somebody with a role has said what the incident is; else it stops the reporter's own jobs alone.
fn may_stop(
    node: &Node,
    kept: &KeptIncident,
    entries: &[Signed<IncidentEntry>],
    job: JobId,
) -> Result<bool, StoreError> {
    node.store.read(|connection| {
        for entry in entries.iter().filter_map(|signed| signed.peek_unverified().ok()) {
            let says = matches!(entry.step, IncidentStep::Opened(_) | IncidentStep::Reclassified { .. });
            let author = registry::researcher(connection, &entry.by.researcher)?;
            if says && author.is_some_and(|author| !author.roles.is_empty()) {
                return Ok(true);
            }
        }
        frozen::is_own_job(connection, job, kept.reporter.researcher.as_str())
    })
}

impl Newcomer {
    /// Freezes what there will be of the job, records the decisions and suspends it where they say so, beside its admission.
    ///
    /// # Errors
    /// The store failed, or an incident about the model was reported, reclassified or closed since: the offer is asked again.
    pub(crate) fn begin(
        self,
        tx: &mut Tx<'_>,
        guards: &Guards,
        files: &[NeededFile],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let open = table::about_model(tx.connection(), &self.model)?;
        let same = |(kept, joins): (&KeptIncident, &Joins)| {
            kept.id == joins.incident && kept.decision == joins.decision
        };
        if open.len() != self.joins.len() || !open.iter().zip(&self.joins).all(same) {
            return Err(StoreError::Busy);
        }
        let files: BTreeSet<_> = files.iter().map(|file| file.sha256).collect();
        for joins in self.joins {
            frozen::freeze_job(tx, joins.incident, self.job, &files)?;
            let Some(prepared) = joins.prepared else { continue };
            let decided = gates::record(tx, guards, prepared)?;
            if decided.answer.verdict() >= Verdict::Hold {
                gate_hold::open_for(tx, &decided, self.job, &reason(joins.incident), now)?;
            }
        }
        Ok(())
    }
}
