// SPDX-License-Identifier: Apache-2.0
//! A home node that skips its own check: the demo signs an offer with Canada's real key and sends it to Germany.

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use sta_decide::settle::price_micro_max;
use sta_protocol::{
    digest::Sha256Digest,
    federation::{DatasetRecord, Offer, VERSION},
    holder_proof::{HolderClaims, holder_proof},
    http_signature::{RequestToSign, Signer, sign_request},
    ids::{DatasetId, JobId, MemberId, OfferId, SiteId},
    job::JobSpec,
    jws::Signed,
    treaty::VerifiedTreaty,
};

use super::{
    super::{
        failure::{Failure, Trying},
        job_file::JobFile,
        profile::{Profile, operator},
        treaty::verified,
    },
    Stage,
};
use crate::{
    keys::Keys,
    outside::{HttpTransport, Outside, SystemChance, SystemClock},
};

const DOING: &str = "force an offer onto the German node";

/// Sends what the Canadian node refused, and gives the German node's reasons.
///
/// # Errors
/// The offer could not be made or sent, or was admitted.
pub(super) async fn offer_without_own_check(
    stage: &Stage,
    job_file: &str,
) -> Result<(String, Value), Failure> {
    let profile = Profile::open(Some(&stage.path("people/ada")))?;
    let spec = JobFile::parse(job_file, "plans.toml")?.spec(Vec::new(), None)?;
    let treaty = verified(&stage.path("treaty.jws.json"))?;
    let keys = Keys::load(&stage.path("ca").join("keys")).trying_to(DOING)?;
    let outside = Outside {
        clock: std::sync::Arc::new(SystemClock),
        chance: std::sync::Arc::new(SystemChance),
        transport: std::sync::Arc::new(HttpTransport::new().trying_to(DOING)?),
    };
    let record = record(stage, &spec.datasets).await?;
    let offer = offer(&profile, &treaty, &outside, spec, record)?;
    let signed = Signed::sign(&offer, &keys.signing).trying_to(DOING)?;
    let answer = send(&treaty, &keys, &outside, offer.offer, &signed).await?;
    let refusals = answer["refused"].clone();
    if refusals.is_array() {
        Ok((offer.job.to_string(), refusals))
    } else {
        Err(Failure::new(DOING, format!("it was not refused: {answer}")))
    }
}

/// The dataset's record as Canada signed it.
async fn record(stage: &Stage, datasets: &[DatasetId]) -> Result<Vec<Signed<DatasetRecord>>, Failure> {
    let client = operator(&stage.path("ca"), None)?;
    let mut records = Vec::new();
    for id in datasets {
        let document = client.get(&format!("/v1/datasets/{id}")).await?;
        records.push(serde_json::from_value(document["signed"].clone()).trying_to(DOING)?);
    }
    Ok(records)
}

fn offer(
    profile: &Profile,
    treaty: &VerifiedTreaty,
    outside: &Outside,
    spec: JobSpec,
    datasets: Vec<Signed<DatasetRecord>>,
) -> Result<Offer, Failure> {
    let member = |name: &str| name.parse::<MemberId>().trying_to(DOING);
    let site: SiteId = "juelich".parse().trying_to(DOING)?;
    let tariff = treaty
        .site(&site)
        .map(|site| site.tariff)
        .ok_or_else(|| Failure::new(DOING, "the treaty has no site juelich"))?;
    let job = JobId::new(outside.now_ms(), outside.random());
    let claims = HolderClaims {
        job,
        digest: Sha256Digest::of_json(&spec).trying_to(DOING)?,
        audience: member("ca")?,
        issued_at: outside.now(),
    };
    Ok(Offer {
        version: VERSION,
        offer: OfferId::new(outside.now_ms(), outside.random()),
        job,
        home: member("ca")?,
        host: member("de")?,
        price_micro_max: price_micro_max(&tariff, &spec),
        site,
        researcher: profile.about.researcher.clone(),
        passport: profile.passport()?,
        holder_proof: holder_proof(&profile.holder()?, &claims).trying_to(DOING)?.as_str().to_owned(),
        spec,
        datasets,
        allocation_reserved: true,
        treaty: treaty.digest(),
        offered_at: outside.now(),
        expires_at: outside.now() + std::time::Duration::from_secs(3600),
        attempt: 1,
        faultless: 0,
        saved: None,
    })
}

async fn send(
    treaty: &VerifiedTreaty,
    keys: &Keys,
    outside: &Outside,
    offer: OfferId,
    signed: &Signed<Offer>,
) -> Result<Value, Failure> {
    let host: MemberId = "de".parse().trying_to(DOING)?;
    let url = treaty.member(&host).map(|member| member.url.clone()).unwrap_or_default();
    let target_uri = format!("{url}/federation/v1/offers");
    let body = serde_json::to_vec(signed).trying_to(DOING)?;
    let key_id = keys.signing.key_id();
    let signer =
        Signer { key: &keys.signing, key_id: &key_id, created: outside.now(), nonce: outside.random() };
    let to_sign = RequestToSign {
        method: &Method::POST,
        target_uri: &target_uri,
        content_type: crate::peers::outbound::JSON,
        idempotency_key: uuid::Uuid::from_bytes(*offer.as_bytes()),
        treaty: treaty.digest(),
        body: &body,
    };
    let headers = sign_request(&signer, &to_sign).trying_to(DOING)?.headers;
    let mut request = http::Request::post(&target_uri).body(Bytes::from(body)).trying_to(DOING)?;
    *request.headers_mut() = headers;
    let response = outside.transport.send(request).await.trying_to(DOING)?;
    serde_json::from_slice(response.body()).trying_to(DOING)
}
