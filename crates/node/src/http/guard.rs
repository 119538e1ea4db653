// SPDX-License-Identifier: Apache-2.0
//! The one place that decides who may use a route, before its handler runs.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, RawPathParams, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use sta_protocol::{
    ids::{JobId, SiteId},
    refusal::RefusalCode,
};

use super::{extract::Job, problem::Fault, router::Right, signed};
use crate::{
    engines::agent,
    node::Node,
    peers::inbound::PeerRequest,
    store::{
        jobs::{self, HomeJob},
        registry::{self, Researcher, Role},
    },
};

/// The longest bearer token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 512;

/// Who asks, as far as the route's right made us find out.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Nobody asked who.
    Anyone,
    /// A person this node knows.
    Person(Researcher),
    /// Another member, by its signature.
    Peer(PeerRequest),
    /// The agent of a site, by its token.
    Agent(SiteId),
}

/// What the guard of one route needs.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) node: Arc<Node>,
    pub(super) right: Right,
    pub(super) time_max: Duration,
}

/// Lets a request through to its handler, or answers it.
pub(super) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let seconds_max = gate.time_max.as_secs();
    let answer = async {
        if gate.right == Right::Peer {
            return signed::answer(&gate.node, request, next).await;
        }
        match let_in(&gate, request).await {
            Ok(request) => next.run(request).await,
            Err(fault) => fault.into_response(),
        }
    };
    match tokio::time::timeout(gate.time_max, answer).await {
        Ok(response) => response,
        Err(_elapsed) => Fault::TimedOut { seconds_max }.into_response(),
    }
}

/// The request with its caller, if the caller has the route's right.
async fn let_in(gate: &Gate, request: Request) -> Result<Request, Fault> {
    let (mut parts, body) = request.into_parts();
    if gate.right == Right::Anyone {
        parts.extensions.insert(Caller::Anyone);
        return Ok(Request::from_parts(parts, body));
    }
    let token = bearer(&parts.headers).ok_or(Fault::No(RefusalCode::NotAuthenticated, Vec::new()))?;
    if gate.right == Right::Agent {
        let site = in_path(&mut parts, "site").await?;
        // Whether there is such a site is nothing for one who has no token of it.
        let site = site
            .parse::<SiteId>()
            .ok()
            .filter(|site| agent::token::is_right(&gate.node.config.directory, site, &token));
        let site = site.ok_or(Fault::No(RefusalCode::NotAuthenticated, Vec::new()))?;
        parts.extensions.insert(Caller::Agent(site));
        return Ok(Request::from_parts(parts, body));
    }
    let job = if gate.right.is_about_a_job() {
        let job = in_path(&mut parts, "job").await?;
        Some(job.parse::<JobId>().map_err(|error| Fault::malformed("job", error))?)
    } else {
        None
    };
    let (person, found) = gate.node.store.read(|connection| {
        let person = registry::researcher_by_token(connection, &token)?;
        let found = match (&person, job) {
            (Some(_), Some(job)) => jobs::find(connection, job)?,
            (Some(_) | None, _) => None,
        };
        Ok((person, found))
    })?;
    let person = person.ok_or(Fault::No(RefusalCode::NotAuthenticated, Vec::new()))?;
    check(gate.right, &person, found.as_ref())?;
    parts.extensions.insert(Caller::Person(person));
    if let Some(found) = found {
        parts.extensions.insert(Job(found));
    }
    Ok(Request::from_parts(parts, body))
}

/// A variable of the path.
async fn in_path(parts: &mut Parts, wanted: &'static str) -> Result<String, Fault> {
    let path = RawPathParams::from_request_parts(parts, &()).await;
    let path = path.map_err(|error| Fault::internal("route", &error))?;
    let found = path.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, value)| value.to_owned()).ok_or_else(|| Fault::not_found(wanted, ""))
}

/// SHA-256 of the token in `Authorization: Bearer` (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Option<[u8; 32]> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    let is_token =
        scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX;
    is_token.then(|| Sha256::digest(token.as_bytes()).into())
}

/// Whether a person has a right. What is not theirs to see does not exist for them.
fn check(right: Right, person: &Researcher, job: Option<&HomeJob>) -> Result<(), Fault> {
    let is = |role: Role| person.roles.contains(&role);
    let owns = job.is_some_and(|job| job.researcher == person.id);
    let exists = job.is_some();
    let hidden = || Fault::No(RefusalCode::NotFound, Vec::new());
    let allowed = match right {
        Right::Anyone | Right::LoggedIn => true,
        Right::OwnJob => return if owns { Ok(()) } else { Err(hidden()) },
        Right::OwnJobOrOperator => {
            return if owns || (exists && is(Role::Operator)) { Ok(()) } else { Err(hidden()) };
        }
        Right::OwnJobOrOverseer => {
            let oversees = is(Role::Operator) || is(Role::Auditor);
            return if owns || (exists && oversees) { Ok(()) } else { Err(hidden()) };
        }
        Right::Operator => is(Role::Operator),
        Right::Steward => is(Role::Steward),
        Right::OperatorOrSteward => is(Role::Operator) || is(Role::Steward),
        Right::OperatorOrAuditor => is(Role::Operator) || is(Role::Auditor),
        Right::Releaser => is(Role::Legal) || is(Role::Safety) || is(Role::Steward),
        Right::Responder => is(Role::Legal) || is(Role::Operator) || is(Role::Safety),
        Right::LegalOrSafety => is(Role::Legal) || is(Role::Safety),
        Right::AnyRole => !person.roles.is_empty(),
        // Members sign; they never come with a token. An agent is no person.
        Right::Peer | Right::Agent => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(Fault::No(RefusalCode::RightMissing, vec![("right", right.as_str().to_owned())]))
    }
}
