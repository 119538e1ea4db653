// SPDX-License-Identifier: Apache-2.0
//! Statements over HTTP: what two members owe each other for a month, and whether both say the same.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use sta_protocol::ids::MemberId;

use super::{
    documents::StatementAnswer,
    extract::{PathOf, QueryOf},
    problem::Fault,
};
use crate::{node::Node, steps::settle};

/// Whether to ask the other member.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatementQuery {
    /// Whether to ask the other member for the digest of its own statement.
    #[serde(default)]
    compare: bool,
}

/// Shows the statement of a calendar month (`2026-11`, UTC) with another member.
#[utoipa::path(get, path = "/v1/statements/{period}/{member}", params(StatementQuery), responses((status = 200, description = "The statement", body = StatementAnswer)))]
pub(super) async fn show_statement(
    State(node): State<Arc<Node>>,
    path: PathOf<(String, MemberId)>,
    QueryOf(query): QueryOf<StatementQuery>,
) -> Result<Json<StatementAnswer>, Fault> {
    let PathOf((period, member)) = path;
    check_period(&period)?;
    let statement = settle::statement(&node, &period, &member)?;
    let digest = settle::statement_digest(&statement)?;
    let peer_digest = match query.compare {
        true => Some(settle::peer_statement_digest(&node, &period, &member).await?),
        false => None,
    };
    Ok(Json(StatementAnswer {
        statement,
        digest,
        peer_digest,
        equal: peer_digest.map(|peer| peer == digest),
    }))
}

/// A calendar month, `2026-11`.
pub(super) fn check_period(period: &str) -> Result<(), Fault> {
    let month = period.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_month =
        month.is_some_and(|(year, month)| digits(year) && digits(month) && ("01"..="12").contains(&month));
    if is_month { Ok(()) } else { Err(Fault::malformed("period", "is not a calendar month such as 2026-11")) }
}
