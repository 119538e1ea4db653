// SPDX-License-Identifier: Apache-2.0
//! Standing over HTTP: what members gave and took, and what a job would have done without the others.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    documents::{JobStandingDocument, StandingDocument},
    extract::{Job, QueryOf},
    problem::Fault,
};
use crate::{node::Node, steps::standing};

/// Whether to show the jobs too.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StandingQuery {
    /// Whether to show every job that was counted, as it was played.
    #[serde(default)]
    jobs: bool,
}

/// Shows how members stand by what this node recorded: processor time given and taken, credits, and whose jobs were late.
#[utoipa::path(get, path = "/v1/standing", params(StandingQuery), responses((status = 200, description = "The balances", body = StandingDocument)))]
pub(super) async fn show_standing(
    State(node): State<Arc<Node>>,
    QueryOf(query): QueryOf<StandingQuery>,
) -> Result<Json<StandingDocument>, Fault> {
    let standings = standing::now(&node).await?;
    Ok(Json(StandingDocument::new(node.member(), &standings, query.jobs)))
}

/// Shows when a job would have finished at home without the other members, beside when it did.
#[utoipa::path(get, path = "/v1/jobs/{job}/standing", responses((status = 200, description = "The job, played alone", body = JobStandingDocument)))]
pub(super) async fn show_job_standing(
    State(node): State<Arc<Node>>,
    Job(job): Job,
) -> Result<Json<JobStandingDocument>, Fault> {
    let standings = standing::now(&node).await?;
    let found = standings.job(job.id).ok_or_else(|| Fault::not_found("standing", job.id))?;
    Ok(Json(JobStandingDocument::new(found.0, found.1, &standings.sites)))
}
