// SPDX-License-Identifier: Apache-2.0
//! Researchers, projects, visas and passports over HTTP.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use sta_protocol::{
    ids::{ProjectId, ResearcherId},
    refusal::RefusalCode,
};

use super::{
    documents::{
        PassportDocument, PassportRequest, ProjectDocument, ProjectList, ProjectRequest, ResearcherDocument,
        ResearcherRequest, VisaDocument, VisaKind, VisaRequest,
    },
    extract::{Document, PathOf, Person},
    problem::Fault,
};
use crate::{
    node::Node,
    steps::registry::{self, NewVisa},
    store::{
        StoreError, ledger,
        registry::{self as table, Researcher, Role},
    },
};

/// The shortest bearer token, in characters: less could be guessed.
const TOKEN_CHARS_MIN: usize = 32;
/// The longest bearer token, in bytes.
const TOKEN_BYTES_MAX: usize = 512;

/// Lists the asker's projects; operators and auditors see all.
#[utoipa::path(get, path = "/v1/projects", responses((status = 200, description = "The projects", body = ProjectList)))]
pub(super) async fn list_projects(
    State(node): State<Arc<Node>>,
    Person(person): Person,
) -> Result<Json<ProjectList>, Fault> {
    let of = if oversees(&person) { None } else { Some(&person.id) };
    let projects = node.store.read(|connection| {
        let ids = table::projects(connection, of)?;
        ids.into_iter().map(|id| account(connection, id)).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(Json(ProjectList { projects: projects.into_iter().flatten().collect() }))
}

/// Shows a project of the asker's; operators and auditors see any.
#[utoipa::path(get, path = "/v1/projects/{project}", responses((status = 200, description = "The project", body = ProjectDocument)))]
pub(super) async fn show_project(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    PathOf(project): PathOf<ProjectId>,
) -> Result<Json<ProjectDocument>, Fault> {
    let found = node.store.read(|connection| {
        let may_see = oversees(&person) || table::is_in_project(connection, &project, &person.id)?;
        if may_see { account(connection, project.clone()) } else { Ok(None) }
    })?;
    found.map(Json).ok_or_else(|| Fault::not_found("project", project))
}

/// Adds a project, or changes its allocation and adds people. An allocation never falls below what is spent or set aside.
#[utoipa::path(put, path = "/v1/projects/{project}", request_body = ProjectRequest, responses((status = 200, description = "The project", body = ProjectDocument)))]
pub(super) async fn put_project(
    State(node): State<Arc<Node>>,
    PathOf(project): PathOf<ProjectId>,
    Document(request): Document<ProjectRequest>,
) -> Result<Json<ProjectDocument>, Fault> {
    registry::put_project(&node, project.clone(), request.granted_micro, request.researchers).await?;
    let found = node.store.read(|connection| account(connection, project.clone()))?;
    found.map(Json).ok_or_else(|| Fault::not_found("project", project))
}

fn account(connection: &rusqlite::Connection, id: ProjectId) -> Result<Option<ProjectDocument>, StoreError> {
    let account = ledger::account(connection, &id)?;
    Ok(account.map(|account| ProjectDocument {
        id,
        granted_micro: account.granted(),
        pending_micro: account.pending(),
        posted_micro: account.posted(),
        available_micro: account.available(),
    }))
}

fn oversees(person: &Researcher) -> bool {
    person.roles.contains(&Role::Operator) || person.roles.contains(&Role::Auditor)
}

/// Adds a researcher, or gives a known one a new token, key and roles.
#[utoipa::path(put, path = "/v1/researchers/{researcher}", request_body = ResearcherRequest, responses((status = 200, description = "The researcher", body = ResearcherDocument)))]
pub(super) async fn put_researcher(
    State(node): State<Arc<Node>>,
    PathOf(id): PathOf<ResearcherId>,
    Document(request): Document<ResearcherRequest>,
) -> Result<Json<ResearcherDocument>, Fault> {
    let token = &request.token;
    if token.chars().count() < TOKEN_CHARS_MIN
        || token.len() > TOKEN_BYTES_MAX
        || !token.bytes().all(|byte| byte.is_ascii_graphic())
    {
        let problem = format!(
            "is not {TOKEN_CHARS_MIN} to {TOKEN_BYTES_MAX} visible ASCII characters: make it of random bytes"
        );
        return Err(Fault::malformed("token", problem));
    }
    let roles: Result<BTreeSet<Role>, Fault> = request.roles.iter().map(|word| role(word)).collect();
    let researcher = Researcher { id: id.clone(), holder: request.holder.to_string(), roles: roles? };
    let roles = researcher.roles.iter().map(|role| role.as_str().to_owned()).collect();
    registry::put_researcher(&node, researcher, token).await?;
    Ok(Json(ResearcherDocument { id, holder: request.holder, roles }))
}

fn role(word: &str) -> Result<Role, Fault> {
    let known = Role::ALL.into_iter().find(|role| role.as_str() == word);
    known.ok_or_else(|| {
        Fault::malformed("roles", format!("`{word}` is no role: use operator, steward or auditor"))
    })
}

/// Issues a visa of this member: operators vouch for affiliation, stewards grant datasets.
#[utoipa::path(post, path = "/v1/visas", request_body = VisaRequest, responses((status = 200, description = "The visa", body = VisaDocument)))]
pub(super) async fn issue_visa(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    Document(request): Document<VisaRequest>,
) -> Result<Json<VisaDocument>, Fault> {
    // The route lets both roles in; which of them may say this depends on the body.
    let (needed, visa) = match (request.kind, request.dataset) {
        (VisaKind::Affiliation, None) => (Role::Operator, NewVisa::Affiliation),
        (VisaKind::Dataset, Some(dataset)) => (Role::Steward, NewVisa::Dataset(dataset)),
        (VisaKind::Affiliation, Some(_)) => {
            return Err(Fault::malformed("dataset", "is only for a visa of kind `dataset`"));
        }
        (VisaKind::Dataset, None) => {
            return Err(Fault::malformed("dataset", "is missing: a visa of kind `dataset` names one"));
        }
    };
    if !person.roles.contains(&needed) {
        return Err(Fault::No(RefusalCode::RightMissing, vec![("right", needed.as_str().to_owned())]));
    }
    let visa = registry::issue_visa(&node, request.subject, request.holder, visa).await?;
    Ok(Json(VisaDocument { visa: visa.as_str().to_owned() }))
}

/// Issues the asker's passport around the visas they bring; the node adds its own visa of affiliation.
#[utoipa::path(post, path = "/v1/passports", request_body = PassportRequest, responses((status = 200, description = "The passport", body = PassportDocument)))]
pub(super) async fn issue_passport(
    State(node): State<Arc<Node>>,
    Person(person): Person,
    Document(request): Document<PassportRequest>,
) -> Result<Json<PassportDocument>, Fault> {
    let passport = registry::issue_passport(&node, &person, request.visas).await?;
    Ok(Json(PassportDocument { passport: passport.as_str().to_owned() }))
}
