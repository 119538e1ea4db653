// SPDX-License-Identifier: Apache-2.0
//! Jobs over HTTP: submit, look, ask why, cancel, read logs, outputs and proofs; and at the host, release.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body_util::channel::Channel;
use serde::Deserialize;
use sta_protocol::{ids::JobId, refusal::RefusalCode};

use super::{
    documents::{
        HostedDocument, HostedOutputDocument, JobDocument, JobList, ReceiptDocument, ReleaseRequest,
        SubmitDocument,
    },
    extract::{Document, Job, PathOf, Person, QueryOf, Reader},
    problem::Fault,
    ranges::{self, Range, Wanted},
};
use crate::{
    engines::{LOG_CHUNK_BYTES_MAX, LogChunk, Stream},
    node::Node,
    steps::{
        cancel, deliver,
        deliver::{FilePart, LogPart},
        dossier::Dossier,
        gates::weights,
        release, settle,
        submit::{self, SubmitRequest},
        watch,
    },
    store::{hosted, jobs, ledger, registry::Role},
};

/// The most jobs of one page.
const PAGE_MAX: u32 = 200;
/// The jobs of a page when nothing else is asked for.
const PAGE: u32 = 50;
/// How much of a file is read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Whether nothing follows in a log.
const LOG_END: HeaderName = HeaderName::from_static("sta-log-end");

/// Submits a job. The same request again gives the same job. A job that no rule admits is kept in state `refused`.
#[utoipa::path(post, path = "/v1/jobs", request_body = SubmitDocument, responses((status = 201, description = "The job, which may be refused", body = JobDocument)))]
pub(super) async fn submit_job(
    State(node): State<Arc<Node>>,
    Person(researcher): Person,
    Reader(language): Reader,
    Document(request): Document<SubmitRequest>,
) -> Result<Response, Fault> {
    let job = submit::submit(&node, &researcher, request).await?;
    let location = HeaderValue::try_from(format!("/v1/jobs/{}", job.id));
    let location = location.map_err(|error| Fault::internal("name a job", &error))?;
    let document = JobDocument::new(&node, &job, language)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(document)).into_response())
}

/// Which jobs to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only jobs older than this one.
    #[param(value_type = Option<String>)]
    before: Option<JobId>,
    /// How many, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// Everybody's jobs, for operators and auditors.
    #[serde(default)]
    all: bool,
}

/// Lists jobs, newest first.
#[utoipa::path(get, path = "/v1/jobs", params(ListQuery), responses((status = 200, description = "A page of jobs", body = JobList)))]
pub(super) async fn list_jobs(
    State(node): State<Arc<Node>>,
    Person(researcher): Person,
    Reader(language): Reader,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<JobList>, Fault> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Fault::malformed("limit", format!("is {limit}: use 1 to {PAGE_MAX}")));
    }
    let oversees = researcher.roles.contains(&Role::Operator) || researcher.roles.contains(&Role::Auditor);
    if query.all && !oversees {
        return Err(Fault::No(RefusalCode::RightMissing, vec![("right", "operator-or-auditor".to_owned())]));
    }
    let whose = if query.all { None } else { Some(&researcher.id) };
    let found = node.store.read(|connection| jobs::list(connection, whose, query.before, limit))?;
    let next = found.last().map(|job| job.id).filter(|_| found.len() == limit as usize);
    let documents: Result<Vec<_>, _> =
        found.iter().map(|job| JobDocument::new(&node, job, language)).collect();
    Ok(Json(JobList { jobs: documents?, next }))
}

/// Shows a job.
#[utoipa::path(get, path = "/v1/jobs/{job}", responses((status = 200, description = "The job", body = JobDocument)))]
pub(super) async fn show_job(
    State(node): State<Arc<Node>>,
    Job(job): Job,
    Reader(language): Reader,
) -> Result<Json<JobDocument>, Fault> {
    Ok(Json(JobDocument::new(&node, &job, language)?))
}

/// Shows why the job went where it went, or nowhere: every site, every rule, price, grams, wait and the hosts' answers.
#[utoipa::path(get, path = "/v1/jobs/{job}/why", responses((status = 200, description = "The dossier", body = Dossier)))]
pub(super) async fn explain_job(Job(job): Job) -> Result<Json<Dossier>, Fault> {
    Ok(Json(Dossier::of(&job)?))
}

/// Asks for the job's end. A job that is over stays as it is.
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", responses((status = 202, description = "The job, which ends soon", body = JobDocument)))]
pub(super) async fn cancel_job(
    State(node): State<Arc<Node>>,
    Job(job): Job,
    Reader(language): Reader,
) -> Result<Response, Fault> {
    let job = cancel::cancel(&node, job.id).await?;
    Ok((StatusCode::ACCEPTED, Json(JobDocument::new(&node, &job, language)?)).into_response())
}

/// Where to read on in a log.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// First byte wanted; the beginning when not given.
    #[serde(default)]
    pub(super) offset: u64,
    /// The index of the task of a job array; 0 when not given, and for a plain job.
    #[serde(default)]
    pub(super) task: u32,
}

impl LogQuery {
    pub(super) fn of(&self, stream: Stream) -> LogPart {
        LogPart { task: self.task, stream, offset: self.offset, length_max: LOG_CHUNK_BYTES_MAX }
    }
}

/// Reads on in what the job writes. The header `sta-log-end` says whether nothing follows.
#[utoipa::path(get, path = "/v1/jobs/{job}/logs/{stream}", params(LogQuery), responses((status = 200, description = "At most 1 MiB from the offset on; empty when nothing new is there", body = Vec<u8>, content_type = "application/octet-stream")))]
pub(super) async fn read_log(
    State(node): State<Arc<Node>>,
    Job(job): Job,
    path: PathOf<(String, String)>,
    QueryOf(query): QueryOf<LogQuery>,
) -> Result<Response, Fault> {
    let PathOf((_, stream)) = path;
    let chunk = deliver::logs(&node, job.id, query.of(stream_named(&stream)?)).await?;
    Ok(log_response(chunk))
}

pub(super) fn stream_named(name: &str) -> Result<Stream, Fault> {
    match name {
        "stdout" => Ok(Stream::Stdout),
        "stderr" => Ok(Stream::Stderr),
        other => Err(Fault::not_found("stream", format!("`{other}`: use stdout or stderr"))),
    }
}

pub(super) fn log_response(chunk: LogChunk) -> Response {
    let end = HeaderValue::from_static(if chunk.end { "true" } else { "false" });
    let content_type = HeaderValue::from_static("application/octet-stream");
    ([(header::CONTENT_TYPE, content_type), (LOG_END, end)], chunk.bytes).into_response()
}

/// Reads an output, or a range of it. An output that is held at its host is refused, with the rule that holds it.
#[utoipa::path(get, path = "/v1/jobs/{job}/outputs/{name}", responses((status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"), (status = 206, description = "A range of it", body = Vec<u8>, content_type = "application/octet-stream"), (status = 304, description = "The asker has it (If-None-Match)")))]
pub(super) async fn read_output(
    State(node): State<Arc<Node>>,
    Job(job): Job,
    path: PathOf<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let PathOf((_, name)) = path;
    let first = deliver::output(&node, job.id, &name, 0, CHUNK_BYTES).await?;
    let tag = ranges::entity_tag(first.sha256);
    if ranges::is_known(&headers, first.sha256) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let range = Wanted::read(&headers, Some(&tag)).within(first.whole)?;
    let (whole, sha256) = (first.whole, first.sha256);
    let body = match within_first(&first, range) {
        Some(bytes) => Body::from(bytes),
        None => stream(node, job.id, name, range),
    };
    let mut response = ranges::respond(range, whole, sha256, body);
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}

/// The bytes of the range, if they were read already.
fn within_first(first: &FilePart, range: Range) -> Option<Vec<u8>> {
    let begin = usize::try_from(range.first).ok()?;
    let end = begin.checked_add(usize::try_from(range.length).ok()?)?;
    first.bytes.get(begin..end).map(<[u8]>::to_vec)
}

/// Sends a range chunk by chunk, no faster than it is taken.
fn stream(node: Arc<Node>, job: JobId, name: String, range: Range) -> Body {
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(2);
    tokio::spawn(async move {
        let end = range.first + range.length;
        let mut offset = range.first;
        while offset < end {
            let length = CHUNK_BYTES.min(usize::try_from(end - offset).unwrap_or(CHUNK_BYTES));
            let part = match deliver::output(&node, job, &name, offset, length).await {
                Ok(part) if !part.bytes.is_empty() => part,
                Ok(_) => return sender.abort(std::io::Error::other("the file became shorter")),
                Err(error) => {
                    tracing::error!(%job, %error, "an output cannot be read to its end");
                    return sender.abort(std::io::Error::other(error));
                }
            };
            offset += part.bytes.len() as u64;
            if sender.send_data(Bytes::from(part.bytes)).await.is_err() {
                // Who asked has gone.
                return;
            }
        }
    });
    Body::new(body)
}

/// Which receipt of a job.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReceiptQuery {
    /// Of which attempt that has ended; of the one that ended the job when not given.
    attempt: Option<u32>,
}

/// Shows what the host said of a job that is over, or of one of its attempts, with the consent that it rests on.
#[utoipa::path(get, path = "/v1/jobs/{job}/receipt", params(ReceiptQuery), responses((status = 200, description = "Receipt and admission", body = ReceiptDocument)))]
pub(super) async fn show_receipt(
    State(node): State<Arc<Node>>,
    Job(job): Job,
    QueryOf(query): QueryOf<ReceiptQuery>,
) -> Result<Json<ReceiptDocument>, Fault> {
    let receipt = match query.attempt {
        Some(attempt) => node.store.read(|connection| ledger::receipt_of(connection, job.id, attempt))?,
        None => job.receipt,
    };
    let receipt = receipt.ok_or_else(|| Fault::not_found("receipt", job.id))?;
    Ok(Json(ReceiptDocument { receipt, admission: job.admission }))
}

/// Shows the proof that the newest entry about the job is in the witnessed audit log.
#[utoipa::path(get, path = "/v1/jobs/{job}/proof", responses((status = 200, description = "C2SP tlog-proof", body = String, content_type = "text/plain")))]
pub(super) async fn show_proof(State(node): State<Arc<Node>>, Job(job): Job) -> Result<String, Fault> {
    Ok(settle::proof_file(&node, job.id)?)
}

/// Shows a job that runs at one of this node's sites.
#[utoipa::path(get, path = "/v1/hosted/{job}", responses((status = 200, description = "The job as its host knows it", body = HostedDocument)))]
pub(super) async fn show_hosted_job(
    State(node): State<Arc<Node>>,
    PathOf(job): PathOf<JobId>,
    Reader(language): Reader,
) -> Result<Json<HostedDocument>, Fault> {
    let hosted = node.store.read(|connection| hosted::find(connection, job))?;
    let hosted = hosted.ok_or_else(|| Fault::not_found("job", job))?;
    let reason = watch::reason(&node, &hosted).await;
    Ok(Json(HostedDocument::new(&node, &hosted, reason, language)?))
}

/// Releases an output that is held here, with the class it has from now on.
#[utoipa::path(post, path = "/v1/hosted/{job}/outputs/{name}/release", request_body = ReleaseRequest, responses((status = 200, description = "The output, which may leave now", body = HostedOutputDocument)))]
pub(super) async fn release_output(
    State(node): State<Arc<Node>>,
    Person(steward): Person,
    path: PathOf<(JobId, String)>,
    Reader(language): Reader,
    Document(request): Document<ReleaseRequest>,
) -> Result<Json<HostedOutputDocument>, Fault> {
    let PathOf((job, name)) = path;
    let released = release::release(&node, &steward, job, &name, request.class, &request.reason).await?;
    let at_gate = weights::last_held_by(&node, job, &released.file)?;
    Ok(Json(HostedOutputDocument::new(&released, &at_gate, language)))
}
