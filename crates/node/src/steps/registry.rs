// SPDX-License-Identifier: Apache-2.0
//! Who and what this node vouches for: researchers, projects, datasets, visas and passports; each change is audited.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use sta_protocol::{
    class::Class,
    data_protection::DataProtection,
    dataset_facts::DatasetFacts,
    digest::Sha256Digest,
    federation::{DatasetFile, DatasetRecord, VERSION},
    ids::{DatasetId, JobId, Jurisdiction, ProjectId, ResearcherId},
    job::JobSpec,
    jws::Signed,
    keys::Thumbprint,
    passport::{PassportClaims, PassportToken, issue_passport as sign_passport},
    refusal::RefusalCode,
    subject::Subject,
    visa::{AssertedBy, Assertion, VisaClaims, VisaToken, VisaType, issue_visa as sign_visa},
};

use super::{StepError, identity};
use crate::{
    node::Node,
    store::{audit::PendingEntry, blob_uses, registry as table, registry::Researcher},
};

/// How long visas and passports are good for; GA4GH allows 24 hours for tokens that nobody can take back.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// A dataset to be registered by this node.
#[derive(Debug, Clone)]
pub struct NewDataset {
    /// Its name within this member.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// How sensitive it is.
    pub class: Class,
    /// The jurisdiction whose law protects it.
    pub origin: Jurisdiction,
    /// Where it may be processed.
    pub residency: Vec<Jurisdiction>,
    /// The purposes it may serve.
    pub purposes: Vec<String>,
    /// Its files, which are in this node's blobs already.
    pub files: Vec<DatasetFile>,
    /// What else this member states of it.
    pub facts: Option<DatasetFacts>,
    /// Whom it is about, and the documents that the law on personal data asks for.
    pub protection: Option<DataProtection>,
}

/// What a visa is to say.
#[derive(Debug, Clone)]
pub enum NewVisa {
    /// The researcher belongs to this member.
    Affiliation,
    /// The researcher may use this dataset of this member.
    Dataset(DatasetId),
}

/// Adds a researcher or renews token, key and roles. The token's digest is kept, never the token.
///
/// # Errors
/// The store failed.
pub async fn put_researcher(node: &Node, researcher: Researcher, token: &str) -> Result<(), StepError> {
    let token_sha256: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        table::put_researcher(tx, &researcher, &token_sha256, now)?;
        let roles: Vec<_> = researcher.roles.iter().map(|role| role.as_str()).collect();
        // A pseudonym is personal data too (GDPR Recital 26): it goes into the payload, which can be erased.
        let payload = serde_json::json!({"researcher": researcher.id, "roles": roles});
        tx.audit(PendingEntry { kind: "researcher.put", subject: "researcher".to_owned(), payload, at: now });
        Ok(())
    });
    Ok(write.await?)
}

/// Adds a project, or changes its allocation and adds people.
///
/// # Errors
/// The allocation would be below what is spent or set aside already; or the store failed.
pub async fn put_project(
    node: &Node,
    project: ProjectId,
    granted_micro: i64,
    researchers: Vec<ResearcherId>,
) -> Result<(), StepError> {
    let facts = [("project", project.to_string()), ("granted_micro", granted_micro.to_string())];
    if granted_micro < 0 {
        return Err(StepError::refused(RefusalCode::Conflict, node.member(), facts));
    }
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        let kept = table::put_project(tx, &project, granted_micro, &researchers, now)?;
        if kept {
            let payload = serde_json::json!({"granted_micro": granted_micro, "researchers": researchers});
            tx.audit(PendingEntry { kind: "project.put", subject: project.to_string(), payload, at: now });
        }
        Ok(kept)
    });
    if write.await? { Ok(()) } else { Err(StepError::refused(RefusalCode::Conflict, node.member(), facts)) }
}

/// Registers a dataset of this member under its signature.
///
/// # Errors
/// A file is not here, the name is no name, or the store failed.
pub async fn add_dataset(node: &Node, new: NewDataset) -> Result<Signed<DatasetRecord>, StepError> {
    let malformed = |problem: String| {
        StepError::refused(RefusalCode::RequestMalformed, node.member(), [("problem", problem)])
    };
    let id: DatasetId = format!("{}/{}", node.member(), new.name)
        .parse()
        .map_err(|error: sta_protocol::ids::IdError| malformed(error.to_string()))?;
    // In one order and each once; what comes and goes keeps its hands off until the record is written.
    let files: BTreeSet<Sha256Digest> = new.files.iter().map(|file| file.sha256).collect();
    let mut turns = Vec::new();
    for file in files {
        turns.push(node.blobs.turn(file).await);
    }
    if let Some(file) = new.files.iter().find(|file| !node.blobs.has(file.sha256)) {
        return Err(malformed(format!(
            "file `{}` with SHA-256 {} has not been uploaded",
            file.name, file.sha256
        )));
    }
    if let Some(file) = new.files.iter().find(|file| !sta_protocol::job::is_file_name(&file.name)) {
        return Err(malformed(format!("`{}` is not a plain file name", file.name)));
    }
    if let Some(facts) = &new.facts {
        facts.check(new.class).map_err(|error| malformed(error.to_string()))?;
    }
    if let Some(protection) = &new.protection {
        protection.check(new.class).map_err(|error| malformed(error.to_string()))?;
        let unknown = protection.sites().find(|site| node.treaty.site(site).is_none());
        if let Some(site) = unknown {
            return Err(malformed(format!(
                "`protection` names the site `{site}`, which the treaty does not have"
            )));
        }
    }
    let record = DatasetRecord {
        version: VERSION,
        id,
        title: new.title,
        class: new.class,
        origin: new.origin,
        residency: new.residency,
        purposes: new.purposes,
        files: new.files,
        facts: new.facts,
        protection: new.protection,
        recorded_at: node.outside.now(),
    };
    let signed = Signed::sign(&record, &node.keys.signing).map_err(|error| malformed(error.to_string()))?;
    keep_dataset(node, record, signed.clone()).await?;
    Ok(signed)
}

/// Takes over another member's dataset record, if that member signed it.
///
/// # Errors
/// The signature is not the dataset's member's; or the store failed.
pub async fn learn_dataset(node: &Node, signed: Signed<DatasetRecord>) -> Result<DatasetRecord, StepError> {
    let record = verify_record(node, &signed).map_err(|problem| {
        StepError::refused(RefusalCode::DatasetUnknown, node.member(), [("problem", problem)])
    })?;
    keep_dataset(node, record.clone(), signed).await?;
    Ok(record)
}

/// Asks a dataset's member for its record.
///
/// # Errors
/// The member did not answer, has no such dataset, or the record is not its own.
pub async fn fetch_dataset(node: &Node, id: &DatasetId) -> Result<DatasetRecord, StepError> {
    let path = format!("/federation/v1/datasets/{}", id.name());
    let answer = node.outbound().get(id.member(), &path, None).await?;
    let malformed = |problem: String| {
        StepError::refused(RefusalCode::DatasetUnknown, node.member(), [("problem", problem)])
    };
    let signed: Signed<DatasetRecord> =
        serde_json::from_slice(&answer.body).map_err(|error| malformed(error.to_string()))?;
    let record = learn_dataset(node, signed).await?;
    if record.id == *id {
        Ok(record)
    } else {
        Err(malformed(format!("`{}` came instead of `{id}`", record.id)))
    }
}

/// Asks other members for the records of their datasets that this node has not heard of. One that does not answer leaves
/// its dataset unknown, which refuses the job with that reason.
pub(super) async fn learn_datasets(node: &Node, spec: &JobSpec) -> Result<(), StepError> {
    for id in spec.datasets.iter().filter(|id| id.member() != node.member()) {
        if node.store.read(|connection| table::dataset(connection, id))?.is_none()
            && let Err(error) = fetch_dataset(node, id).await
        {
            tracing::warn!(dataset = %id, error = %error, "the dataset's record cannot be fetched");
        }
    }
    Ok(())
}

/// The newest record of each dataset that this node has, each checked against its member's key.
pub(super) fn dataset_records(
    node: &Node,
    spec: &JobSpec,
) -> Result<(Vec<DatasetRecord>, Vec<Signed<DatasetRecord>>), StepError> {
    let mut records = Vec::new();
    let mut signed_records = Vec::new();
    for id in &spec.datasets {
        let Some(signed) = node.store.read(|connection| table::dataset(connection, id))? else { continue };
        // A record that does not verify any more, for example after a change of keys, counts as unknown.
        if let Ok(record) = verify_record(node, &signed) {
            records.push(record);
            signed_records.push(signed);
        }
    }
    Ok((records, signed_records))
}

async fn keep_dataset(
    node: &Node,
    record: DatasetRecord,
    signed: Signed<DatasetRecord>,
) -> Result<(), StepError> {
    let now = node.outside.now();
    let is_own = record.id.member() == node.member();
    let write = node.store.write(move |tx| {
        // The files of a dataset of this member stay, whatever brought them here.
        for file in record.files.iter().filter(|_| is_own) {
            blob_uses::stays(tx, file.sha256)?;
        }
        if table::put_dataset(tx, &record, &signed)? {
            let payload = serde_json::json!({"record": signed.digest(), "class": record.class});
            tx.audit(PendingEntry { kind: "dataset.put", subject: record.id.to_string(), payload, at: now });
        }
        Ok(())
    });
    Ok(write.await?)
}

/// The most records that are remembered as verified.
const VERIFIED_MAX: usize = 4096;

/// Records whose signatures hold under the treaty that this node runs with, by the digest of their text: a job shows each of its
/// datasets at every step, and a signature that held goes on to hold.
#[derive(Debug, Default)]
pub(crate) struct VerifiedRecords(Mutex<HashMap<Sha256Digest, DatasetRecord>>);

impl VerifiedRecords {
    fn get(&self, text: &Sha256Digest) -> Option<DatasetRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    fn keep(&self, text: Sha256Digest, record: DatasetRecord) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= VERIFIED_MAX {
            records.clear();
        }
        records.insert(text, record);
    }
}

/// The record, if the dataset's own member signed it.
///
/// # Errors
/// A sentence saying what is wrong with it.
pub fn verify_record(node: &Node, signed: &Signed<DatasetRecord>) -> Result<DatasetRecord, String> {
    let text = Sha256Digest::of(signed.as_str().as_bytes());
    if let Some(record) = node.records_verified.get(&text) {
        return Ok(record);
    }
    let record = signed
        .verify(|key_id| node.treaty.signing_key(key_id).map(|(_, key)| key))
        .map_err(|error| error.to_string())?;
    let signer = node.treaty.signing_key(record.key_id()).map(|(member, _)| member.id.clone());
    if signer.as_ref() != Some(record.id.member()) || record.version != VERSION {
        return Err(format!("the record of `{}` is not signed by its own member", record.id));
    }
    let record = record.into_inner();
    node.records_verified.keep(text, record.clone());
    Ok(record)
}

/// Issues a visa of this member, bound to the holder's key.
///
/// # Errors
/// The dataset is not this member's, or the visa cannot be made.
pub async fn issue_visa(
    node: &Node,
    subject: Subject,
    holder: Thumbprint,
    visa: NewVisa,
) -> Result<VisaToken, StepError> {
    let not_found = |id: &DatasetId| {
        StepError::refused(RefusalCode::NotFound, node.member(), [("dataset", id.to_string())])
    };
    let (kind, value, by) = match &visa {
        NewVisa::Affiliation => (
            VisaType::AffiliationAndRole,
            format!("member@{}.sta.example", node.member()),
            AssertedBy::System,
        ),
        NewVisa::Dataset(id) => {
            let known = id.member() == node.member()
                && node.store.read(|connection| table::dataset(connection, id))?.is_some();
            let url =
                identity::dataset_url(&node.treaty, id).filter(|_| known).ok_or_else(|| not_found(id))?;
            (VisaType::ControlledAccessGrants, url, AssertedBy::Dac)
        }
    };
    let url = node.own_terms().url.clone();
    let now = node.outside.now();
    let claims = VisaClaims {
        issuer: url.clone(),
        subject,
        id: JobId::new(node.outside.now_ms(), node.outside.random()).to_string(),
        issued_at: now,
        expires_at: now + TOKEN_LIFETIME,
        holder,
        assertion: Assertion { kind, value: value.clone(), source: url.clone(), by: Some(by), asserted: now },
    };
    let token = sign_visa(&node.keys.visa, &node.keys.visa.key_id(), &identity::jku(&url), &claims).map_err(
        |refused| {
            StepError::Refused(sta_decide::verdict::Refusals::one(identity::visa_refusal(
                &refused,
                node.member(),
            )))
        },
    )?;
    let entry = PendingEntry {
        kind: "visa.issued",
        subject: claims.id,
        payload: serde_json::json!({"subject": claims.subject, "value": value, "expires_at": claims.expires_at}),
        at: now,
    };
    node.store
        .write(move |tx| {
            tx.audit(entry);
            Ok(())
        })
        .await?;
    Ok(token)
}

/// Issues a researcher's passport around this member's affiliation visa and the visas they bring.
///
/// # Errors
/// A visa that cannot be read, or the passport cannot be made.
pub async fn issue_passport(
    node: &Node,
    researcher: &Researcher,
    visas: Vec<String>,
) -> Result<PassportToken, StepError> {
    let malformed = |problem: String| {
        StepError::refused(RefusalCode::VisaMalformed, node.member(), [("problem", problem)])
    };
    let holder: Thumbprint =
        researcher.holder.parse().map_err(|_| malformed("the researcher has no holder key".to_owned()))?;
    let subject = Subject { researcher: researcher.id.clone(), member: node.member().clone() };
    let mut all = vec![issue_visa(node, subject.clone(), holder, NewVisa::Affiliation).await?];
    for visa in visas {
        all.push(VisaToken::from_text(visa));
    }
    let url = node.own_terms().url.clone();
    let now = node.outside.now();
    let claims = PassportClaims {
        issuer: url.clone(),
        subject,
        id: JobId::new(node.outside.now_ms(), node.outside.random()).to_string(),
        issued_at: now,
        expires_at: now + TOKEN_LIFETIME,
        holder,
        visas: all,
    };
    sign_passport(&node.keys.visa, &node.keys.visa.key_id(), &identity::jku(&url), &claims).map_err(
        |refused| {
            StepError::Refused(sta_decide::verdict::Refusals::one(identity::visa_refusal(
                &refused,
                node.member(),
            )))
        },
    )
}
