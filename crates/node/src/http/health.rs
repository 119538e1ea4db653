// SPDX-License-Identifier: Apache-2.0
//! Whether the node lives, whether it is ready, and what it counts.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use sta_protocol::refusal::RefusalCode;

use super::{documents::HealthDocument, problem::Fault};
use crate::{
    engines::agent::AgentEngine,
    metrics::{NameLabel, SiteLabel},
    node::Node,
    store::{audit, incidents, jobs, outbox, peers},
};

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It lives", body = HealthDocument)))]
pub(super) async fn show_health() -> Json<HealthDocument> {
    Json(HealthDocument { status: "ok".to_owned() })
}

/// Whether the node can take work: its store answers and it is not stopping.
#[utoipa::path(get, path = "/readyz", responses((status = 200, description = "It is ready", body = HealthDocument)))]
pub(super) async fn show_readiness(State(node): State<Arc<Node>>) -> Result<Json<HealthDocument>, Fault> {
    if node.is_stopping() {
        return Err(Fault::No(RefusalCode::Overloaded, vec![("node.stopping", "true".to_owned())]));
    }
    node.store.read(audit::log_size)?;
    Ok(Json(HealthDocument { status: "ok".to_owned() }))
}

/// What the node counts, as OpenMetrics text for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn show_metrics(State(node): State<Arc<Node>>) -> Result<Response, Fault> {
    look(&node)?;
    let text = node.metrics.text().map_err(|error| Fault::internal("write the metrics", &error))?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS))], text).into_response())
}

/// Sets the gauges to what the store says now.
fn look(node: &Node) -> Result<(), Fault> {
    let now = node.outside.now();
    let witnesses = node.peers().map(|member| member.id.clone()).collect::<Vec<_>>();
    let (jobs, lanes, entries, ages) = node.store.read(|connection| {
        let mut ages = Vec::new();
        for member in witnesses {
            if let Some(progress) = peers::witness_progress(connection, &member)? {
                ages.push((member, now.as_second() - progress.cosigned_at.as_second()));
            }
        }
        Ok((jobs::counts(connection)?, outbox::lengths(connection)?, audit::log_size(connection)?, ages))
    })?;
    let label = |name: &str| NameLabel { name: name.to_owned() };
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    // A lane that became empty, or a state that no job is in any more, is 0 and not its last count.
    node.metrics.jobs.clear();
    node.metrics.outbox.clear();
    for (state, count) in jobs {
        node.metrics.jobs.get_or_create(&label(&state)).set(gauge(count));
    }
    for (lane, count) in lanes {
        node.metrics.outbox.get_or_create(&label(&lane)).set(gauge(count));
    }
    for (member, age_s) in ages {
        node.metrics.peer_cosign_age_seconds.get_or_create(&label(member.as_str())).set(age_s);
    }
    for site in node.engines.keys() {
        if let Some(seen_s) = node.agent(site).and_then(AgentEngine::seen_s) {
            let label = SiteLabel { site: site.to_string() };
            node.metrics.agent_last_seen_seconds.get_or_create(&label).set(gauge(seen_s));
        }
    }
    node.metrics.audit_entries.set(gauge(entries));
    look_at_incidents(node)
}

/// Sets the gauges of incidents: how long until the next report is due under each rule, and how many are overdue.
fn look_at_incidents(node: &Node) -> Result<(), Fault> {
    let now = node.outside.now();
    let (open, clocks) = node.store.read(|connection| {
        Ok((incidents::count_open(connection)?, incidents::running_clocks(connection)?))
    })?;
    let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    node.metrics.incidents_open.set(i64::try_from(open).unwrap_or(i64::MAX));
    node.metrics
        .incident_reports_overdue
        .set(gauge(clocks.iter().filter(|clock| clock.due_at < now).count()));
    node.metrics.incident_due_seconds.clear();
    // The soonest comes first: later ones of its rule are passed over.
    let mut seen = BTreeSet::new();
    for clock in clocks.iter().filter(|clock| seen.insert(clock.rule.as_str())) {
        let label = NameLabel { name: clock.rule.clone() };
        let left_s = clock.due_at.duration_since(now).as_secs();
        node.metrics.incident_due_seconds.get_or_create(&label).set(left_s);
    }
    Ok(())
}
