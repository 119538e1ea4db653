// SPDX-License-Identifier: Apache-2.0
//! Every route of the node and the right it needs, in one table. What is not in the table is not served.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    handler::Handler,
    http::Method,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    agent, audit_log, blobs, datasets,
    edge::{Edge, edge, no_such_method, no_such_path, panicked},
    federation, gates,
    guard::{Gate, guard},
    health, holds, incidents, jobs, node, openapi, registry, standing, statements, stop_orders,
};
use crate::node::Node;

/// Where jobs are submitted.
pub(super) const SUBMISSIONS: &str = "/v1/jobs";
/// How long an answer may take; the body of an answer that has begun may take longer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a part of a file may take to come in.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(600);

/// What a route asks of who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Nothing: what it shows is public.
    Anyone,
    /// A token of this node.
    LoggedIn,
    /// To be the job's researcher: its results and what it writes are theirs alone.
    OwnJob,
    /// To be the job's researcher, or an operator.
    OwnJobOrOperator,
    /// To be the job's researcher, or an operator or auditor, who see what was decided and never the results.
    OwnJobOrOverseer,
    /// The role operator.
    Operator,
    /// The role steward.
    Steward,
    /// The role operator or steward.
    OperatorOrSteward,
    /// The role operator or auditor.
    OperatorOrAuditor,
    /// The role legal, operator or safety: who deals with incidents.
    Responder,
    /// The role legal or safety.
    LegalOrSafety,
    /// The role legal, safety or steward: whom the rules let decide on what is held.
    Releaser,
    /// Any role.
    AnyRole,
    /// The signature of another member of the treaty; every answer is signed too.
    Peer,
    /// To be the agent of the site that the path names, by its token.
    Agent,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 15] = [
        Self::Anyone,
        Self::LoggedIn,
        Self::OwnJob,
        Self::OwnJobOrOperator,
        Self::OwnJobOrOverseer,
        Self::Operator,
        Self::Steward,
        Self::OperatorOrSteward,
        Self::OperatorOrAuditor,
        Self::Responder,
        Self::LegalOrSafety,
        Self::Releaser,
        Self::AnyRole,
        Self::Peer,
        Self::Agent,
    ];

    /// The word for it, in refusals and in the OpenAPI document (`x-sta-right`).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::LoggedIn => "logged-in",
            Self::OwnJob => "own-job",
            Self::OwnJobOrOperator => "own-job-or-operator",
            Self::OwnJobOrOverseer => "own-job-or-operator-or-auditor",
            Self::Operator => "operator",
            Self::Steward => "steward",
            Self::OperatorOrSteward => "operator-or-steward",
            Self::OperatorOrAuditor => "operator-or-auditor",
            Self::Responder => "legal-or-operator-or-safety",
            Self::LegalOrSafety => "legal-or-safety",
            Self::Releaser => "legal-or-safety-or-steward",
            Self::AnyRole => "any-role",
            Self::Peer => "member",
            Self::Agent => "agent",
        }
    }

    /// Whether it is decided by the job that the path names.
    #[must_use]
    pub fn is_about_a_job(self) -> bool {
        matches!(self, Self::OwnJob | Self::OwnJobOrOperator | Self::OwnJobOrOverseer)
    }
}

/// One row of the table.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The pattern of the path.
    pub path: &'static str,
    /// What it asks of who uses it.
    pub right: Right,
    time_max: Duration,
    handler: MethodRouter<Arc<Node>>,
}

fn route<H, T>(method: &Method, path: &'static str, right: Right, handler: H) -> Route
where
    H: Handler<T, Arc<Node>>,
    T: 'static,
{
    // Only the methods below are ever in the table.
    let filter = MethodFilter::try_from(method.clone()).expect("the table has standard methods");
    Route { method: method.clone(), path, right, time_max: ANSWER_TIME_MAX, handler: on(filter, handler) }
}

/// Every route.
#[must_use]
pub fn table() -> Vec<Route> {
    let tables = [
        native_jobs(),
        native_things(),
        native_safety(),
        of_incidents(),
        of_gates(),
        open(),
        between_members(),
        for_agents(),
    ];
    tables.into_iter().flatten().collect()
}

fn native_jobs() -> Vec<Route> {
    use Right::{LoggedIn, OwnJob, OwnJobOrOperator, OwnJobOrOverseer};
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    vec![
        route(POST, SUBMISSIONS, LoggedIn, jobs::submit_job),
        route(GET, "/v1/jobs", LoggedIn, jobs::list_jobs),
        route(GET, "/v1/jobs/{job}", OwnJobOrOverseer, jobs::show_job),
        route(GET, "/v1/jobs/{job}/why", OwnJobOrOverseer, jobs::explain_job),
        route(POST, "/v1/jobs/{job}/cancel", OwnJobOrOperator, jobs::cancel_job),
        route(GET, "/v1/jobs/{job}/logs/{stream}", OwnJob, jobs::read_log),
        route(GET, "/v1/jobs/{job}/outputs/{name}", OwnJob, jobs::read_output),
        route(GET, "/v1/jobs/{job}/receipt", OwnJobOrOverseer, jobs::show_receipt),
        route(GET, "/v1/jobs/{job}/proof", OwnJobOrOverseer, jobs::show_proof),
        route(GET, "/v1/jobs/{job}/standing", OwnJobOrOverseer, standing::show_job_standing),
    ]
}

fn native_things() -> Vec<Route> {
    use Right::{AnyRole, LoggedIn, Operator, OperatorOrAuditor, OperatorOrSteward, Steward};
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    const PUT: &Method = &Method::PUT;
    vec![
        route(GET, "/v1/hosted/{job}", AnyRole, jobs::show_hosted_job),
        route(POST, "/v1/hosted/{job}/outputs/{name}/release", Steward, jobs::release_output),
        Route { time_max: UPLOAD_TIME_MAX, ..route(PUT, "/v1/blobs/{sha256}", LoggedIn, blobs::put_blob) },
        route(&Method::HEAD, "/v1/blobs/{sha256}", LoggedIn, blobs::head_blob),
        route(GET, "/v1/datasets", LoggedIn, datasets::list_datasets),
        route(POST, "/v1/datasets", OperatorOrSteward, datasets::add_dataset),
        route(GET, "/v1/datasets/{member}/{name}", LoggedIn, datasets::show_dataset),
        route(GET, "/v1/projects", LoggedIn, registry::list_projects),
        route(GET, "/v1/projects/{project}", LoggedIn, registry::show_project),
        route(PUT, "/v1/projects/{project}", Operator, registry::put_project),
        route(PUT, "/v1/researchers/{researcher}", Operator, registry::put_researcher),
        route(POST, "/v1/visas", OperatorOrSteward, registry::issue_visa),
        route(POST, "/v1/passports", LoggedIn, registry::issue_passport),
        route(GET, "/v1/sites", LoggedIn, node::list_sites),
        route(GET, "/v1/statements/{period}/{member}", OperatorOrAuditor, statements::show_statement),
        route(GET, "/v1/standing", OperatorOrAuditor, standing::show_standing),
    ]
}

fn of_gates() -> Vec<Route> {
    use Right::{AnyRole, LoggedIn, OperatorOrSteward, OwnJobOrOverseer, Steward};
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    vec![
        route(POST, "/v1/gate", LoggedIn, gates::ask_gate),
        route(GET, "/v1/gate/{decision}", LoggedIn, gates::show_decision),
        route(POST, "/v1/gate/{decision}/outcome", Steward, gates::report_outcome),
        route(POST, "/v1/models", OperatorOrSteward, gates::register_model),
        route(GET, "/v1/models/{digest}", LoggedIn, gates::show_model),
        route(POST, "/v1/evaluations", LoggedIn, gates::submit_evaluation),
        route(GET, "/v1/jobs/{job}/gates", OwnJobOrOverseer, gates::list_decisions),
        route(GET, "/v1/hosted/{job}/gates", AnyRole, gates::list_hosted_decisions),
    ]
}

fn native_safety() -> Vec<Route> {
    use Right::{AnyRole, Releaser};
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    vec![
        route(GET, "/v1/holds", AnyRole, holds::list_holds),
        route(GET, "/v1/holds/{hold}", AnyRole, holds::show_hold),
        route(POST, "/v1/holds/{hold}/release", Releaser, holds::release_hold),
        route(POST, "/v1/holds/{hold}/deny", Releaser, holds::deny_hold),
        route(GET, "/v1/stop-orders", AnyRole, stop_orders::list_stop_orders),
        route(POST, "/v1/stop-orders", AnyRole, stop_orders::send_stop_order),
        route(GET, "/v1/stop-orders/{order}", AnyRole, stop_orders::show_stop_order),
        route(GET, "/v1/stop-orders/{order}/proof", AnyRole, stop_orders::show_stop_order_proof),
        route(POST, "/v1/stop-lifts", AnyRole, stop_orders::lift_stop_order),
    ]
}

fn of_incidents() -> Vec<Route> {
    use Right::{AnyRole, LegalOrSafety, LoggedIn, Responder};
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    vec![
        route(GET, "/v1/incidents", LoggedIn, incidents::list_incidents),
        route(POST, "/v1/incidents", LoggedIn, incidents::report_incident),
        route(GET, "/v1/incidents/{incident}", LoggedIn, incidents::show_incident),
        route(GET, "/v1/incidents/{incident}/evidence", AnyRole, incidents::show_evidence),
        route(GET, "/v1/incidents/{incident}/proof", AnyRole, incidents::show_incident_proof),
        route(POST, "/v1/incidents/{incident}/events", Responder, incidents::add_event),
        route(POST, "/v1/incidents/{incident}/close", LegalOrSafety, incidents::close_incident),
    ]
}

fn open() -> Vec<Route> {
    use Right::Anyone;
    const GET: &Method = &Method::GET;
    vec![
        route(GET, "/v1/node", Anyone, node::show_node),
        route(GET, "/v1/treaty", Anyone, node::show_treaty),
        route(GET, "/audit/checkpoint", Anyone, audit_log::show_checkpoint),
        route(GET, "/audit/tile/{*path}", Anyone, audit_log::show_tile),
        route(&Method::POST, "/witness/add-checkpoint", Anyone, audit_log::add_checkpoint),
        route(GET, "/.well-known/jwks.json", Anyone, node::show_visa_keys),
        route(GET, "/healthz", Anyone, health::show_health),
        route(GET, "/readyz", Anyone, health::show_readiness),
        route(GET, "/metrics", Anyone, health::show_metrics),
        route(GET, "/openapi.json", Anyone, openapi::show_openapi),
    ]
}

fn between_members() -> Vec<Route> {
    use Right::Peer;
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    vec![
        route(POST, "/federation/v1/offers", Peer, federation::take_offer),
        route(POST, "/federation/v1/withdrawals", Peer, federation::take_withdrawal),
        route(POST, "/federation/v1/take-backs", Peer, federation::take_take_back),
        route(POST, "/federation/v1/progress", Peer, federation::take_progress),
        route(POST, "/federation/v1/receipts", Peer, federation::take_receipt),
        route(POST, "/federation/v1/transfers", Peer, federation::grant_transfer),
        route(GET, "/federation/v1/transfers/{job}/{sha256}", Peer, federation::read_transfer),
        route(GET, "/federation/v1/jobs/{job}/outputs/{name}", Peer, federation::read_output),
        route(GET, "/federation/v1/jobs/{job}/logs/{stream}", Peer, federation::read_log),
        route(GET, "/federation/v1/statements/{period}", Peer, federation::show_statement_digest),
        route(GET, "/federation/v1/datasets/{name}", Peer, federation::show_dataset),
        route(GET, "/federation/v1/sites", Peer, federation::show_sites),
        route(POST, "/federation/v1/stop-orders", Peer, stop_orders::take_stop_order),
        route(POST, "/federation/v1/stop-lifts", Peer, stop_orders::take_stop_lift),
        route(POST, "/federation/v1/stop-acknowledgements", Peer, stop_orders::take_stop_acknowledgement),
    ]
}

fn for_agents() -> Vec<Route> {
    use Right::Agent;
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    const PUT: &Method = &Method::PUT;
    let slow = |row: Route| Route { time_max: UPLOAD_TIME_MAX, ..row };
    vec![
        route(POST, "/agent/v1/sites/{site}/hello", Agent, agent::begin),
        route(POST, "/agent/v1/sites/{site}/calls", Agent, agent::take_calls),
        slow(route(POST, "/agent/v1/sites/{site}/answers", Agent, agent::take_answers)),
        slow(route(PUT, "/agent/v1/sites/{site}/calls/{call}/part", Agent, agent::take_part)),
        route(GET, "/agent/v1/sites/{site}/inputs/{sha256}", Agent, agent::read_input),
    ]
}

/// The service of a node: the table, each row behind its guard.
pub fn router(node: Arc<Node>) -> Router {
    let mut router = Router::new();
    for row in table() {
        let gate = Gate { node: Arc::clone(&node), right: row.right, time_max: row.time_max };
        router = router.route(row.path, row.handler.route_layer(from_fn_with_state(gate, guard)));
    }
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Edge::new(Arc::clone(&node)), edge))
        .with_state(node)
}
