// SPDX-License-Identifier: Apache-2.0
//! Signed documents: the kind follows from the media type in the header, the key from the treaty, and the signer must be
//! the member that such a document is of.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use sta_protocol::{
    federation::{Admission, DatasetRecord, Offer, Progress, Receipt, Statement, Withdrawal},
    ids::MemberId,
    incident::IncidentEntry,
    jws::{Document, Signed},
    model::ModelRecord,
    record::Record,
    stop_order::StopAcknowledgement,
    training::TrainingRun,
    treaty::VerifiedTreaty,
};

use super::Holds;
use crate::cli::failure::{Exit, Failure, Trying};

/// Verifies a compact JWS.
pub(super) fn verify(treaty: &VerifiedTreaty, bytes: &[u8], doing: &str) -> Result<Holds, Failure> {
    let text = std::str::from_utf8(bytes).trying_to(doing)?.trim();
    let text = text.trim_matches('"');
    let typ = typ_of(text).ok_or_else(|| {
        let failure =
            Failure::new(doing, "it is neither a log directory, nor a tlog-proof file, nor a compact JWS");
        failure.mend("Give a directory of `sta audit export`, or a file of `sta result --proofs`.")
    })?;
    match typ.as_str() {
        Offer::TYP => one::<Offer>(treaty, text, doing, |offer| Some(&offer.home)),
        Admission::TYP => one::<Admission>(treaty, text, doing, |admission| Some(&admission.host)),
        Progress::TYP => one::<Progress>(treaty, text, doing, |progress| Some(&progress.host)),
        Receipt::TYP => one::<Receipt>(treaty, text, doing, |receipt| Some(&receipt.host)),
        Withdrawal::TYP => one::<Withdrawal>(treaty, text, doing, |withdrawal| Some(&withdrawal.home)),
        DatasetRecord::TYP => one::<DatasetRecord>(treaty, text, doing, |record| Some(record.id.member())),
        ModelRecord::TYP => record::<ModelRecord>(treaty, text, doing, |model| Some(model.id.member())),
        TrainingRun::TYP => record::<TrainingRun>(treaty, text, doing, |run| Some(run.model.member())),
        IncidentEntry::TYP => record::<IncidentEntry>(treaty, text, doing, |entry| Some(&entry.member)),
        StopAcknowledgement::TYP => {
            record::<StopAcknowledgement>(treaty, text, doing, |answer| Some(&answer.member))
        }
        // Either of its two members may sign it.
        Statement::TYP => one::<Statement>(treaty, text, doing, |_| None),
        other => {
            Err(Failure::new(doing, format!("its type is `{other}`, which is no document between members")))
        }
    }
}

/// A document with bounds of its own.
fn record<T: Record>(
    treaty: &VerifiedTreaty,
    text: &str,
    doing: &str,
    owner: fn(&T) -> Option<&MemberId>,
) -> Result<Holds, Failure> {
    let holds = one::<T>(treaty, text, doing, owner)?;
    let signed: Signed<T> = Signed::from_compact(text.to_owned()).trying_to(doing)?;
    let checked = signed.verify_record(|key_id| treaty.signing_key(key_id).map(|(_, key)| key));
    checked.trying_to(doing).map_err(|failure| failure.exit(Exit::Unverified))?;
    Ok(holds)
}

fn one<T: Document>(
    treaty: &VerifiedTreaty,
    text: &str,
    doing: &str,
    owner: fn(&T) -> Option<&MemberId>,
) -> Result<Holds, Failure> {
    let signed: Signed<T> = Signed::from_compact(text.to_owned()).trying_to(doing)?;
    let key = |key_id: &str| treaty.signing_key(key_id).map(|(_, key)| key);
    let verified = signed.verify(key).trying_to(doing).map_err(|failure| failure.exit(Exit::Unverified))?;
    let signer = treaty.signing_key(verified.key_id()).map(|(member, _)| member.id.clone());
    let signer = signer.ok_or_else(|| Failure::new(doing, "its key is none of the treaty's"))?;
    match owner(&verified) {
        Some(owner) if *owner != signer => {
            Err(Failure::new(doing, format!("it is a document of {owner}, but {signer} signed it"))
                .exit(Exit::Unverified))
        }
        Some(_) | None => Ok(Holds::Document {
            typ: T::TYP.to_owned(),
            member: signer.to_string(),
            digest: verified.digest().to_string(),
            document: serde_json::to_value(&*verified).trying_to(doing)?,
        }),
    }
}

/// The media type in the header, to know what to verify it as; the verification checks it again.
fn typ_of(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Header {
        typ: String,
    }
    let header = URL_SAFE_NO_PAD.decode(text.split_once('.')?.0).ok()?;
    serde_json::from_slice::<Header>(&header).ok().map(|header| header.typ)
}
