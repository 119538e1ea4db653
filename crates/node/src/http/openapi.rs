// SPDX-License-Identifier: Apache-2.0
//! The OpenAPI 3.1 document: the handlers' own words, and from the table of routes the right that each needs.

use axum::{Json, http::Method};
use serde_json::json;
use utoipa::{
    OpenApi,
    openapi::{
        Content, PathItem, Ref, RefOr, Required, ResponseBuilder,
        extensions::ExtensionsBuilder,
        path::{Operation, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    agent, audit_log, blobs, datasets, documents, federation, gates, health, holds, incidents, jobs, node,
    problem::{PROBLEM_JSON, ProblemDocument},
    registry,
    router::{Right, table},
    standing, statements, stop_orders,
};

/// What the handlers say of themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "sta",
        description = "One node of the Sovereign Technology Alliance.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        jobs::submit_job,
        jobs::list_jobs,
        jobs::show_job,
        jobs::explain_job,
        jobs::cancel_job,
        jobs::read_log,
        jobs::read_output,
        jobs::show_receipt,
        jobs::show_proof,
        jobs::show_hosted_job,
        jobs::release_output,
        blobs::put_blob,
        blobs::head_blob,
        datasets::list_datasets,
        datasets::add_dataset,
        datasets::show_dataset,
        registry::list_projects,
        registry::show_project,
        registry::put_project,
        registry::put_researcher,
        registry::issue_visa,
        registry::issue_passport,
        node::list_sites,
        statements::show_statement,
        standing::show_standing,
        standing::show_job_standing,
        holds::list_holds,
        holds::show_hold,
        holds::release_hold,
        holds::deny_hold,
        stop_orders::list_stop_orders,
        stop_orders::send_stop_order,
        stop_orders::show_stop_order,
        stop_orders::show_stop_order_proof,
        stop_orders::lift_stop_order,
        stop_orders::take_stop_order,
        stop_orders::take_stop_lift,
        stop_orders::take_stop_acknowledgement,
        incidents::list_incidents,
        incidents::report_incident,
        incidents::show_incident,
        incidents::show_evidence,
        incidents::show_incident_proof,
        incidents::add_event,
        incidents::close_incident,
        node::show_node,
        node::show_treaty,
        audit_log::show_checkpoint,
        audit_log::show_tile,
        audit_log::add_checkpoint,
        node::show_visa_keys,
        health::show_health,
        health::show_readiness,
        health::show_metrics,
        show_openapi,
        gates::ask_gate,
        gates::show_decision,
        gates::report_outcome,
        gates::register_model,
        gates::show_model,
        gates::submit_evaluation,
        gates::list_decisions,
        gates::list_hosted_decisions,
        federation::take_offer,
        federation::take_withdrawal,
        federation::take_take_back,
        federation::take_progress,
        federation::take_receipt,
        federation::grant_transfer,
        federation::read_transfer,
        federation::read_output,
        federation::read_log,
        federation::show_statement_digest,
        federation::show_dataset,
        federation::show_sites,
        agent::begin,
        agent::take_calls,
        agent::take_answers,
        agent::take_part,
        agent::read_input,
    ),
    components(schemas(ProblemDocument, documents::RefusalDocument))
)]
struct Described;

/// The OpenAPI document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn show_openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

/// The document of all routes of the table.
///
/// # Panics
/// A row of the table has no description: a test holds the two together.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Described::openapi();
    for row in table() {
        // axum writes a path that goes on as `{*path}`, OpenAPI has no such thing.
        let path = row.path.replace("{*", "{");
        let item = document.paths.paths.get_mut(&path);
        let operation = item.and_then(|item| operation_of(item, &row.method));
        let operation = operation.unwrap_or_else(|| panic!("{} {} has no description", row.method, row.path));
        complete(operation, &row.method, &path, row.right);
    }
    if let Some(components) = &mut document.components {
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        components.security_schemes.insert("token".to_owned(), RefOr::T(bearer));
        let signature = ApiKeyValue::with_description(
            "signature",
            "RFC 9421, profile `sta/fed/1` of docs/protocol.md §2",
        );
        components
            .security_schemes
            .insert("member".to_owned(), RefOr::T(SecurityScheme::ApiKey(ApiKey::Header(signature))));
    }
    document
}

fn operation_of<'a>(item: &'a mut PathItem, method: &Method) -> Option<&'a mut Operation> {
    match *method {
        Method::GET => item.get.as_mut(),
        Method::PUT => item.put.as_mut(),
        Method::POST => item.post.as_mut(),
        Method::HEAD => item.head.as_mut(),
        _ => None,
    }
}

/// Adds what is the same everywhere, or follows from the table.
fn complete(operation: &mut Operation, method: &Method, path: &str, right: Right) {
    let words = path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>().join("_").replace('-', "_");
    operation.operation_id = Some(format!("{}_{words}", method.as_str().to_lowercase()));
    operation.tags = Some(vec![tag(path).to_owned()]);
    let parameters = operation.parameters.get_or_insert_default();
    for name in path.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)) {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter =
            ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        parameters.push(RefOr::T(parameter.schema(Some(text)).build()));
    }
    let problem = Content::new(Some(Ref::from_schema_name("ProblemDocument")));
    let problem =
        ResponseBuilder::new().description("A problem (RFC 9457)").content(PROBLEM_JSON, problem).build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
    operation.security = match right {
        Right::Anyone => None,
        Right::Peer => Some(vec![SecurityRequirement::new::<_, [String; 0], String>("member", [])]),
        Right::LoggedIn
        | Right::OwnJob
        | Right::OwnJobOrOperator
        | Right::OwnJobOrOverseer
        | Right::Operator
        | Right::Steward
        | Right::OperatorOrSteward
        | Right::OperatorOrAuditor
        | Right::Responder
        | Right::LegalOrSafety
        | Right::Releaser
        | Right::AnyRole
        | Right::Agent => Some(vec![SecurityRequirement::new::<_, [String; 0], String>("token", [])]),
    };
    operation.extensions = Some(ExtensionsBuilder::new().add("x-sta-right", json!(right.as_str())).build());
}

fn tag(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("federation") => "members",
        Some("audit" | "witness") => "audit",
        Some("agent") => "agents",
        Some("v1") => "native",
        Some(_) | None => "node",
    }
}
