// SPDX-License-Identifier: Apache-2.0
//! Who asks: the researcher's passport and holder proof, verified offline with the treaty's keys, and what they prove.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use sta_decide::{facts::VisaFacts, verdict::Refusals};
use sta_protocol::{
    digest::Sha256Digest,
    holder_proof::{ExpectedHolder, HolderProof, HolderRefused, verify_holder_proof_known},
    ids::{DatasetId, JobId, MemberId, ResearcherId},
    keys::VisaPublicKey,
    passport::{Passport, PassportToken, verify_passport},
    refusal::{Refusal, RefusalCode},
    treaty::Treaty,
    visa::VisaRefused,
    visa::VisaType,
};

use crate::{node::Node, peers::outbound::SKEW_SECONDS_MAX};

/// A holder proof is as old as the longest passport at most.
const HOLDER_PROOF_SECONDS_MAX: u32 = 24 * 3600;
/// How many passports are known at once; a passport more begins anew.
const VERIFIED_MAX: usize = 1024;

/// What a researcher shows with a job.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The passport as it came.
    pub passport: &'a str,
    /// The signature over the job as it came.
    pub holder_proof: &'a str,
    /// The job it is for.
    pub job: JobId,
    /// Digest of the job's description.
    pub spec: Sha256Digest,
    /// The member at which the job was submitted.
    pub home: &'a MemberId,
    /// The researcher in whose name the job comes.
    pub researcher: &'a ResearcherId,
}

/// What was proven about who asks.
#[derive(Debug, Clone)]
pub struct Proven {
    /// What the rules look at.
    pub visas: VisaFacts,
    /// When the passport or the first of its visas ends.
    pub expires_at: Timestamp,
}

/// Where a member publishes its visa keys; every visa names it, nobody fetches it.
#[must_use]
pub fn jku(url: &str) -> String {
    format!("{url}/.well-known/jwks.json")
}

/// How a visa names a dataset: a URL at the member that holds it.
#[must_use]
pub fn dataset_url(treaty: &Treaty, dataset: &DatasetId) -> Option<String> {
    treaty.member(dataset.member()).map(|member| format!("{}/datasets/{}", member.url, dataset.name()))
}

/// Passports that held under the treaty that this node runs with, by the digest of their text: a researcher shows the same one
/// with each job of half a day. What begins at a time has begun, so that such a passport holds until the first of its ends.
#[derive(Debug, Default)]
pub(crate) struct VerifiedPassports(Mutex<HashMap<Sha256Digest, (Timestamp, Arc<Passport>)>>);

impl VerifiedPassports {
    /// The passport, verified: now, or at an earlier time that says the same.
    fn verify(&self, treaty: &Treaty, text: &str, now: Timestamp) -> Result<Arc<Passport>, VisaRefused> {
        let token = PassportToken::from_text(text.to_owned());
        let digest = token.digest();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some((verified_at, passport)) = known
            && (verified_at..passport.expires_at()).contains(&now)
        {
            return Ok(passport);
        }
        let trusted = |iss: &str, kid: &str, url: &str| pinned(treaty, iss, kid, url);
        let passport = Arc::new(verify_passport(&token, trusted, now, SKEW_SECONDS_MAX)?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= VERIFIED_MAX {
            known.clear();
        }
        known.insert(digest, (now, Arc::clone(&passport)));
        Ok(passport)
    }
}

/// Verifies what a researcher shows.
///
/// # Errors
/// The first thing that does not hold, as a refusal by this member.
pub fn verify(node: &Node, shown: &Shown<'_>, now: Timestamp) -> Result<Proven, Refusals> {
    let (treaty, by) = (&node.treaty, node.member());
    let no = |code, facts: [(&str, String); 1]| Refusals::one(Refusal::new(code, by, facts));
    let passport = node
        .passports_verified
        .verify(treaty, shown.passport, now)
        .map_err(|refused| Refusals::one(visa_refusal(&refused, by)))?;
    let subject = passport.subject();
    if subject.member != *shown.home || subject.researcher != *shown.researcher {
        return Err(no(RefusalCode::VisaSubjectDiffers, [("passport.subject", subject.to_string())]));
    }
    let proof = HolderProof::from_text(shown.holder_proof.to_owned());
    let expected = ExpectedHolder {
        holder: passport.holder(),
        job: shown.job,
        digest: shown.spec,
        audience: shown.home,
        age_seconds_max: HOLDER_PROOF_SECONDS_MAX,
        skew_seconds_max: SKEW_SECONDS_MAX,
    };
    verify_holder_proof_known(&proof, &expected, now, &node.signatures_known)
        .map_err(|refused| Refusals::one(holder_refusal(&refused, by)))?;
    Ok(Proven { visas: facts(treaty, &passport, shown.home), expires_at: passport.expires_at() })
}

/// The key the treaty pins for exactly this issuer, key name and address.
fn pinned(treaty: &Treaty, issuer: &str, key_id: &str, url: &str) -> Option<VisaPublicKey> {
    let member = treaty.members.iter().find(|member| member.url == issuer)?;
    (member.keys.visa.key_id() == key_id && jku(&member.url) == url).then(|| member.keys.visa.clone())
}

/// What a verified passport says that the rules look at.
fn facts(treaty: &Treaty, passport: &Passport, home: &MemberId) -> VisaFacts {
    let home_url = treaty.member(home).map(|member| member.url.as_str());
    let affiliated = passport.visas().iter().any(|visa| {
        visa.assertion.kind == VisaType::AffiliationAndRole && home_url == Some(visa.issuer.as_str())
    });
    let mut datasets_granted: Vec<DatasetId> = passport
        .visas()
        .iter()
        .filter_map(|visa| granted(treaty, &visa.issuer, &visa.assertion.kind, &visa.assertion.value))
        .collect();
    datasets_granted.sort();
    datasets_granted.dedup();
    VisaFacts { valid: true, affiliated, datasets_granted }
}

/// Only the member that holds a dataset grants it.
fn granted(treaty: &Treaty, issuer: &str, kind: &VisaType, value: &str) -> Option<DatasetId> {
    let member = treaty.members.iter().find(|member| member.url == issuer)?;
    let name = value.strip_prefix(&format!("{}/datasets/", member.url))?;
    (*kind == VisaType::ControlledAccessGrants)
        .then(|| format!("{}/{name}", member.id).parse().ok())
        .flatten()
}

/// A visa that is refused, as a refusal of the public list.
#[must_use]
pub fn visa_refusal(refused: &VisaRefused, by: &MemberId) -> Refusal {
    let code = match refused {
        VisaRefused::InPassport { source, .. } => return visa_refusal(source, by),
        VisaRefused::Expired { .. } => RefusalCode::VisaExpired,
        VisaRefused::UnknownIssuer { .. } => RefusalCode::VisaIssuerUnknown,
        VisaRefused::HasConditions { .. } => RefusalCode::VisaConditionsUnknown,
        VisaRefused::OtherHolder { .. } | VisaRefused::NoHolder { .. } => RefusalCode::VisaHolderDiffers,
        VisaRefused::BadSignature { .. } => RefusalCode::VisaSignatureWrong,
        VisaRefused::NotYetValid { .. } | VisaRefused::LifetimeNotAllowed { .. } => {
            RefusalCode::VisaTimesWrong
        }
        VisaRefused::OtherSubject { .. } => RefusalCode::VisaSubjectDiffers,
        VisaRefused::Compact(_)
        | VisaRefused::Header(_)
        | VisaRefused::WrongType { .. }
        | VisaRefused::WrongAlgorithm { .. }
        | VisaRefused::Claims(_)
        | VisaRefused::Claim { .. }
        | VisaRefused::ByMissing { .. }
        | VisaRefused::TooManyVisas { .. }
        | VisaRefused::Unwritable(_) => RefusalCode::VisaMalformed,
    };
    Refusal::new(code, by, [("problem", refused.to_string())])
}

fn holder_refusal(refused: &HolderRefused, by: &MemberId) -> Refusal {
    let code = match refused {
        HolderRefused::TooOld { .. } | HolderRefused::MadeInFuture { .. } => RefusalCode::VisaTimesWrong,
        HolderRefused::BadSignature => RefusalCode::VisaSignatureWrong,
        HolderRefused::OtherHolder { .. }
        | HolderRefused::OtherJob { .. }
        | HolderRefused::OtherDigest { .. }
        | HolderRefused::OtherAudience { .. } => RefusalCode::VisaHolderDiffers,
        HolderRefused::Compact(_)
        | HolderRefused::Header(_)
        | HolderRefused::WrongType { .. }
        | HolderRefused::WrongAlgorithm { .. }
        | HolderRefused::Key(_)
        | HolderRefused::Claims
        | HolderRefused::Unwritable(_) => RefusalCode::VisaMalformed,
    };
    Refusal::new(code, by, [("problem", refused.to_string())])
}
