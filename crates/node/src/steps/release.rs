// SPDX-License-Identifier: Apache-2.0
//! Release: a data steward of the host lets a held output go, by name and with a reason; itself decided and audited.

use sta_decide::{
    authorize::authorize_release,
    facts::{ReleaseFacts, ReleaseInputs, Steward},
};
use sta_protocol::{class::Class, ids::JobId, refusal::RefusalCode};

use super::{StepError, gates::weights, meter, stage};
use crate::{
    node::Node,
    store::{
        audit::PendingEntry,
        hosted,
        peers::{self, HeldOutput},
        possessions,
        registry::{Researcher, Role},
    },
};

/// Releases an output as a class the steward answers for. A repeat changes nothing.
///
/// # Errors
/// The rules do not let this person release it to that class, or even so released it could not leave; or there is none.
pub async fn release(
    node: &Node,
    steward: &Researcher,
    job: JobId,
    output: &str,
    new_class: Class,
    reason: &str,
) -> Result<HeldOutput, StepError> {
    let unknown =
        || StepError::refused(RefusalCode::OutputUnknown, node.member(), [("output", output.to_owned())]);
    let (hosted_job, held) = node
        .store
        .read(|connection| Ok((hosted::find(connection, job)?, peers::output(connection, job, output)?)))?;
    let (hosted_job, held) = hosted_job.zip(held).ok_or_else(unknown)?;
    if held.released_at.is_some() {
        return Ok(held);
    }
    let offer = stage::offer_of(&hosted_job)?;
    let person = Steward {
        member: node.member().clone(),
        person: steward.id.clone(),
        is_steward: steward.roles.contains(&Role::Steward),
    };
    let records = meter::records(node, &offer);
    let inputs = ReleaseInputs {
        treaty: &node.treaty,
        by: node.member(),
        home: &offer.home,
        spec: &offer.spec,
        records: &records,
        researcher: &offer.researcher,
        steward: &person,
        output,
        new_class,
        reason,
    };
    let facts = ReleaseFacts::assemble(&inputs).into_result()?;
    let permit = authorize_release(&node.rules, &facts).into_result()?;
    let (site, _) = node.own_site(&hosted_job.site).ok_or_else(unknown)?;
    let (_, still_held) = meter::export_decision(node, &offer, site, output, Some(new_class));
    if let Some(refusals) = sta_decide::verdict::Refusals::from_reasons(still_held) {
        return Err(StepError::Refused(refusals));
    }
    let (name, person, now) = (output.to_owned(), steward.id.to_string(), node.outside.now());
    let payload = serde_json::json!({
        "output": name, "sha256": held.file.sha256, "from": held.file.class, "to": new_class, "reason": reason,
        "steward": person, "permitted_by": permit.allowed_by(),
    });
    let (read_name, sha256) = (name.clone(), held.file.sha256);
    // What is weights leaves through its gate alone.
    let at_gate = weights::holds(node, &offer, output, sha256, new_class).await?;
    let receiver = at_gate.is_empty().then(|| meter::receiver(node, &offer));
    node.store
        .write(move |tx| {
            peers::release_output(tx, job, &name, new_class, &person, now)?;
            receiver.iter().try_for_each(|receiver| possessions::note(tx, sha256, receiver))?;
            tx.audit(PendingEntry { kind: "output.released", subject: job.to_string(), payload, at: now });
            Ok(())
        })
        .await?;
    node.store.read(|connection| peers::output(connection, job, &read_name))?.ok_or_else(unknown)
}
