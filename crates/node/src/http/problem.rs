// SPDX-License-Identifier: Apache-2.0
//! Every error that a request can end with, as one problem document (RFC 9457), in the language of who asks.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use sta_protocol::refusal::{Refusal, RefusalCode};

use super::documents::RefusalDocument;
use crate::{
    engines::EngineError,
    node::Node,
    peers::outbound::CallError,
    steps::StepError,
    store::{StoreError, blobs::BlobError},
    text::{self, Language},
};

/// The media type of a problem document (RFC 9457 §3).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// What the URI of every problem's type begins with; the code follows.
pub const TYPE_BASE: &str = "https://sta.example/problems/";
/// How long a client should wait before it tries again, in seconds.
const RETRY_AFTER: &str = "1";

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProblemDocument {
    /// URI that names the kind of problem; it ends with the code of the first reason.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words, the same every time.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong this time, in the language asked for.
    pub detail: String,
    /// Every reason.
    pub reasons: Vec<RefusalDocument>,
}

/// How a request ends that is not answered as asked. It travels in the extensions of its response until the edge
/// knows the language and writes the document.
#[derive(Debug, Clone)]
pub enum Fault {
    /// A lawful no, with its reasons; the first one's status is the answer's.
    Refused(Vec<Refusal>),
    /// A lawful no that the same request, made anew, may overcome: status 503.
    RefusedForNow(Refusal),
    /// A no of the fixed list that this node itself gives.
    No(RefusalCode, Vec<(&'static str, String)>),
    /// The range asked for is not within a file of so many bytes.
    RangeOutside {
        /// Length of the file.
        whole: u64,
    },
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The answer took too long; whether the request was carried out is unknown.
    TimedOut {
        /// The limit, in seconds.
        seconds_max: u64,
    },
    /// The node failed. What happened goes into its log, never to who asks.
    Internal(String),
}

impl Fault {
    /// The thing does not exist, or is not for this person or member to see.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "ids and texts alike, from many callers")]
    pub fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::No(RefusalCode::NotFound, vec![(what, name.to_string())])
    }

    /// The request cannot be read.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "errors and texts alike, from many callers")]
    pub fn malformed(field: impl ToString, problem: impl ToString) -> Self {
        Self::No(
            RefusalCode::RequestMalformed,
            vec![("field", field.to_string()), ("problem", problem.to_string())],
        )
    }

    /// The node failed while doing something.
    #[must_use]
    pub fn internal(doing: &str, error: &dyn std::error::Error) -> Self {
        Self::Internal(format!("{doing}: {}", chain(error)))
    }

    /// The document and the headers that go with it. Logs an internal failure, once.
    #[must_use]
    pub fn document(
        self,
        node: &Node,
        language: Language,
    ) -> (ProblemDocument, Vec<(HeaderName, HeaderValue)>) {
        match self {
            Self::Refused(reasons) => refused(&reasons, None, language),
            Self::RefusedForNow(reason) => refused(&[reason], Some(503), language),
            Self::No(code, facts) => {
                let mut reason = Refusal::new(code, node.member(), []);
                reason.facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                refused(&[reason], None, language)
            }
            Self::RangeOutside { whole } => {
                let facts = [("file.bytes", whole.to_string())];
                let (document, mut headers) =
                    refused(&[Refusal::new(RefusalCode::RangeWrong, node.member(), facts)], None, language);
                headers.extend(
                    HeaderValue::try_from(format!("bytes */{whole}"))
                        .map(|value| (header::CONTENT_RANGE, value)),
                );
                (document, headers)
            }
            Self::MethodNotAllowed => {
                (own("method-not-allowed", "Method not allowed", 405, method_text(language)), Vec::new())
            }
            Self::TimedOut { seconds_max } => (
                own("timed-out", "The answer took too long", 503, timeout_text(language, seconds_max)),
                retry_after(503),
            ),
            Self::Internal(error) => {
                let id: String =
                    node.outside.random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
                tracing::error!(problem = %id, %error, "a request failed");
                (own("internal", "The node failed", 500, internal_text(language, &id)), Vec::new())
            }
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem of a response that carries one; any other response passes unchanged.
#[must_use]
pub fn write(mut response: Response, node: &Node, language: Language) -> Response {
    let Some(fault) = response.extensions_mut().remove::<Fault>() else { return response };
    let (document, headers) = fault.document(node, language);
    for reason in &document.reasons {
        node.metrics.refused(&reason.rule);
    }
    let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut written = (status, Json(document)).into_response();
    // What the router has set, such as Allow, stays.
    for (name, value) in response.headers() {
        if *name != header::CONTENT_LENGTH && *name != header::CONTENT_TYPE {
            written.headers_mut().insert(name.clone(), value.clone());
        }
    }
    written.headers_mut().extend(headers);
    written.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    written.headers_mut().insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.as_str()));
    written
}

fn refused(
    reasons: &[Refusal],
    status: Option<u16>,
    language: Language,
) -> (ProblemDocument, Vec<(HeaderName, HeaderValue)>) {
    let first = reasons.first();
    // A rule of a policy pack has no status of its own: the request was understood, and the answer is no.
    let status = status.or_else(|| Some(first?.code()?.http_status())).unwrap_or(403);
    let says = |reason: &Refusal| match reason.fact_line() {
        facts if facts.is_empty() => text::sentence(language, reason),
        facts => format!("{} ({facts})", text::sentence(language, reason)),
    };
    let document = ProblemDocument {
        kind: format!("{TYPE_BASE}{}", first.map_or("refused", |reason| reason.rule.as_str())),
        title: first
            .map_or_else(|| "Refused".to_owned(), |reason| format!("{} ({})", reason.rule, reason.source)),
        status,
        detail: reasons.iter().map(says).collect::<Vec<_>>().join(" "),
        reasons: reasons.iter().map(|reason| RefusalDocument::new(reason, language)).collect(),
    };
    let mut headers = retry_after(status);
    if status == 401 && first.is_some_and(|reason| reason.code() == Some(RefusalCode::NotAuthenticated)) {
        headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    }
    (document, headers)
}

fn own(code: &str, title: &str, status: u16, detail: String) -> ProblemDocument {
    ProblemDocument {
        kind: format!("{TYPE_BASE}{code}"),
        title: title.to_owned(),
        status,
        detail,
        reasons: Vec::new(),
    }
}

fn retry_after(status: u16) -> Vec<(HeaderName, HeaderValue)> {
    let again = status == 503 || status == 502;
    again.then(|| (header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))).into_iter().collect()
}

fn method_text(language: Language) -> String {
    match language {
        Language::En => "This address does not know that method; the header Allow lists those it knows.",
        Language::Fr => {
            "Cette adresse ne connaît pas cette méthode ; l’en-tête Allow énumère celles qu’elle connaît."
        }
        Language::De => "Diese Adresse kennt die Methode nicht; der Header Allow nennt die, die sie kennt.",
    }
    .to_owned()
}

fn timeout_text(language: Language, seconds_max: u64) -> String {
    match language {
        Language::En => format!(
            "The answer took longer than {seconds_max} s. Whether the request was carried out is unknown: repeat it with the same id."
        ),
        Language::Fr => format!(
            "La réponse a pris plus de {seconds_max} s. On ignore si la requête a été exécutée : répétez-la avec le même identifiant."
        ),
        Language::De => format!(
            "Die Antwort hat länger als {seconds_max} s gedauert. Ob die Anfrage ausgeführt wurde, ist unbekannt: Wiederholen Sie sie mit derselben ID."
        ),
    }
}

fn internal_text(language: Language, id: &str) -> String {
    match language {
        Language::En => format!("The node failed. Its operators find the reason in the log under {id}."),
        Language::Fr => {
            format!("Le nœud a échoué. Ses opérateurs trouvent la raison dans le journal sous {id}.")
        }
        Language::De => {
            format!("Der Knoten hat versagt. Seine Betreiber finden den Grund im Protokoll unter {id}.")
        }
    }
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        // `#[error(transparent)]` says the same twice.
        if !line.ends_with(&next.to_string()) {
            line = format!("{line}: {next}");
        }
        cause = next.source();
    }
    line
}

impl From<StepError> for Fault {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Refused(refusals) => Self::Refused(refusals.into_vec()),
            StepError::Store(error) => error.into(),
            StepError::Blob(error) => error.into(),
            StepError::Engine(error) => match &error {
                EngineError::NotFinished { id } => Self::No(
                    RefusalCode::Conflict,
                    vec![("job", id.to_string()), ("problem", error.to_string())],
                ),
                EngineError::NoOutput { id, name } => Self::No(
                    RefusalCode::OutputUnknown,
                    vec![("job", id.to_string()), ("output.name", name.clone())],
                ),
                // The site's own programs or its agent are away: it is worth to come again.
                EngineError::Site { .. } => {
                    Self::No(RefusalCode::Overloaded, vec![("problem", error.to_string())])
                }
                EngineError::Invalid { .. }
                | EngineError::Unknown { .. }
                | EngineError::Unpackable { .. }
                | EngineError::Supervisor { .. }
                | EngineError::Io { .. }
                | EngineError::Record { .. } => Self::internal("engine", &error),
            },
            StepError::Call(error) => error.into(),
            StepError::HolderWrong { holder, source } => Self::No(
                RefusalCode::PeerAway,
                vec![("member", holder.to_string()), ("problem", source.to_string())],
            ),
            StepError::NoRoom { .. } => {
                Self::No(RefusalCode::Overloaded, vec![("problem", error.to_string())])
            }
            StepError::Damaged { .. } => Self::internal("step", &error),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::No(RefusalCode::Overloaded, Vec::new()),
            StoreError::Sql { .. }
            | StoreError::Damaged { .. }
            | StoreError::Audit(_)
            | StoreError::File { .. }
            | StoreError::NotCommitted(_) => Self::internal("store", &error),
        }
    }
}

impl From<BlobError> for Fault {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Store(error) => error.into(),
            BlobError::Differs { .. } | BlobError::PiecesWrong { .. } => Self::malformed("body", error),
            BlobError::NotContinuous { offset, have } => {
                let facts = vec![
                    ("part.offset", offset.to_string()),
                    ("file.have", have.to_string()),
                    ("problem", error.to_string()),
                ];
                Self::No(RefusalCode::Conflict, facts)
            }
        }
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        let away = |member: String, problem: String| {
            Self::No(RefusalCode::PeerAway, vec![("member", member), ("problem", problem)])
        };
        match &error {
            // The reasons are the peer's, and each says so in `by`.
            CallError::Refused { refusals, .. } => Self::Refused(refusals.clone()),
            CallError::NoAnswer(unreached) => away(unreached.url.clone(), unreached.reason.clone()),
            CallError::Unbelievable { member, source } => {
                away(member.to_string(), format!("{error}: {source}"))
            }
            CallError::Strange { member, status, .. } => {
                away(member.to_string(), format!("it answered with status {status}"))
            }
            CallError::Impossible { .. } => Self::internal("call", &error),
        }
    }
}
