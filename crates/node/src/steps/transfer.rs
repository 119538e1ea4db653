// SPDX-License-Identifier: Apache-2.0
//! Transfer: a host asks for the files of an admitted job. Whoever holds them decides by its own rules before a byte leaves.

use serde::{Deserialize, Serialize};
use sta_decide::{
    authorize::authorize,
    facts::{RunFacts, RunInputs},
    verdict::Refusals,
};
use sta_protocol::{
    digest::Sha256Digest,
    federation::{Admission, Offer},
    ids::{JobId, MemberId},
    jws::{Signed, Verified},
    refusal::RefusalCode,
};

use super::{
    StepError,
    deliver::FilePart,
    gates::admission::{self, Candidate, Screened},
    identity::{self, Shown},
    registry::verify_record,
};
use crate::{
    node::Node,
    store::{audit::PendingEntry, jobs, peers},
};

/// What a host shows to be let at the files: the offer it was made and its own consent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TransferRequest {
    /// The offer, signed by the job's home.
    pub offer: Signed<Offer>,
    /// The admission, signed by the asking host.
    pub admission: Signed<Admission>,
}

/// Decides whether the host may have the files of the job that this node holds, and remembers it.
///
/// # Errors
/// It may not, with the rules; or the documents do not fit together.
pub async fn grant(node: &Node, from: &MemberId, request: TransferRequest) -> Result<(), StepError> {
    let offer = check_documents(node, from, &request)?;
    if offer.home == *node.member() {
        still_wanted(node, &offer)?;
    }
    let leaving = decide(node, &offer)?;
    let guards = node.guards.clone();
    if let Some(refusals) = Refusals::from_reasons(leaving.refusals(node)) {
        node.store.write(move |tx| leaving.note(tx, &guards)).await?;
        return Err(StepError::Refused(refusals));
    }
    let files = files_here(node, &offer);
    let (now, peer, job) = (node.outside.now(), from.clone(), offer.job);
    let write = node.store.write(move |tx| {
        leaving.note(tx, &guards)?;
        for file in &files {
            peers::grant_file(tx, job, *file, &peer, now)?;
        }
        let payload = serde_json::json!({"host": peer, "files": files, "offer": offer.offer});
        tx.audit(PendingEntry { kind: "transfer.granted", subject: job.to_string(), payload, at: now });
        Ok(())
    });
    Ok(write.await?)
}

/// A part of a file that was granted.
///
/// # Errors
/// It was not granted to this member, or cannot be read.
pub fn read(
    node: &Node,
    from: &MemberId,
    job: JobId,
    file: Sha256Digest,
    offset: u64,
    length_max: usize,
) -> Result<FilePart, StepError> {
    if !node.store.read(|connection| peers::is_granted(connection, job, file, from))? {
        return Err(StepError::refused(RefusalCode::NotFound, node.member(), [("file", file.to_string())]));
    }
    FilePart::read(node, file, offset, length_max)
}

fn check_documents(
    node: &Node,
    from: &MemberId,
    request: &TransferRequest,
) -> Result<Verified<Offer>, StepError> {
    let wrong = |problem: String| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", problem)])
    };
    let any = |key_id: &str| node.treaty.signing_key(key_id).map(|(_, key)| key);
    let signer = |key_id: &str| node.treaty.signing_key(key_id).map(|(member, _)| member.id.clone());
    let offer = request.offer.verify(any).map_err(|error| wrong(error.to_string()))?;
    let admission = request.admission.verify(any).map_err(|error| wrong(error.to_string()))?;
    let signed_right = signer(offer.key_id()).as_ref() == Some(&offer.home)
        && signer(admission.key_id()).as_ref() == Some(from);
    let fits = admission.offer_digest == request.offer.digest()
        && admission.host == *from
        && offer.treaty == node.treaty_digest();
    if signed_right && fits {
        Ok(offer)
    } else {
        Err(wrong("offer and admission do not fit together".to_owned()))
    }
}

/// Home gives files only for the offer that stands.
fn still_wanted(node: &Node, offer: &Offer) -> Result<(), StepError> {
    let job = node.store.read(|connection| jobs::find(connection, offer.job))?;
    let stands = job.is_some_and(|job| job.offer_id == Some(offer.offer) && !job.state.is_final());
    if stands {
        Ok(())
    } else {
        Err(StepError::refused(RefusalCode::Conflict, node.member(), [("job", offer.job.to_string())]))
    }
}

/// The holder's own reading of whether the data may be processed at that site, and what its gate says of its leaving for there.
fn decide(node: &Node, offer: &Offer) -> Result<Screened, StepError> {
    let now = node.outside.now();
    let damaged = |problem: String| {
        StepError::refused(RefusalCode::DocumentWrong, node.member(), [("problem", problem)])
    };
    let mut records = Vec::new();
    for signed in &offer.datasets {
        let sent = verify_record(node, signed).map_err(damaged)?;
        let own = node.store.read(|connection| crate::store::registry::dataset(connection, &sent.id))?;
        records.push(own.and_then(|own| verify_record(node, &own).ok()).unwrap_or(sent));
    }
    let shown = Shown {
        passport: &offer.passport,
        holder_proof: &offer.holder_proof,
        job: offer.job,
        spec: Sha256Digest::of_json(&offer.spec).map_err(|error| damaged(error.to_string()))?,
        home: &offer.home,
        researcher: &offer.researcher,
    };
    let proven = identity::verify(node, &shown, now)?;
    let inputs = RunInputs {
        treaty: &node.treaty,
        now,
        by: node.member(),
        home: &offer.home,
        site: &offer.site,
        spec: &offer.spec,
        researcher: &offer.researcher,
        records: &records,
        visas: &proven.visas,
        project_active: true,
        allocation_reserved: offer.allocation_reserved,
        witness_behind: crate::peers::witness::is_behind(node, &offer.host)?,
    };
    let facts = RunFacts::assemble(&inputs).into_result()?;
    authorize(&node.rules, &facts).into_result()?;
    let unknown = || {
        StepError::refused(RefusalCode::OfferNotForUs, node.member(), [("site.id", offer.site.to_string())])
    };
    let site = node.treaty.site(&offer.site).ok_or_else(unknown)?;
    let candidate =
        Candidate { job: offer.job, home: &offer.home, spec: &offer.spec, site, records: &records };
    Ok(admission::leaving(node, &candidate))
}

/// The files of the job that this node answers for: the researcher's inputs at home, its own datasets' files.
fn files_here(node: &Node, offer: &Offer) -> Vec<Sha256Digest> {
    let inputs = offer.spec.inputs.iter().map(|input| input.sha256);
    let inputs = inputs.chain(offer.saved.iter().map(|saved| saved.sha256));
    let inputs = inputs.filter(|_| offer.home == *node.member());
    let own = |signed: &Signed<_>| {
        verify_record(node, signed).ok().filter(|record| record.id.member() == node.member())
    };
    let datasets = offer
        .datasets
        .iter()
        .filter_map(own)
        .flat_map(|record| record.files.into_iter().map(|file| file.sha256));
    inputs.chain(datasets).filter(|file| node.blobs.has(*file)).collect()
}
