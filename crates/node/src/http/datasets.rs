// SPDX-License-Identifier: Apache-2.0
//! Datasets over HTTP: what this node has a record of, and what this member registers.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sta_protocol::{federation::DatasetRecord, ids::DatasetId, jws::Signed};

use super::{
    documents::{DatasetDocument, DatasetList, NewDatasetDocument},
    extract::{Document, PathOf},
    problem::Fault,
};
use crate::{
    node::Node,
    steps::registry::{self, NewDataset},
    store::{StoreError, registry as table},
};

/// Lists the datasets this node has a record of.
#[utoipa::path(get, path = "/v1/datasets", responses((status = 200, description = "The datasets", body = DatasetList)))]
pub(super) async fn list_datasets(State(node): State<Arc<Node>>) -> Result<Json<DatasetList>, Fault> {
    let records = node.store.read(table::datasets)?;
    let datasets: Result<Vec<_>, _> = records.into_iter().map(document).collect();
    Ok(Json(DatasetList { datasets: datasets? }))
}

/// Registers a dataset of this member under its signature. Its files are uploaded before.
#[utoipa::path(post, path = "/v1/datasets", request_body = NewDatasetDocument, responses((status = 201, description = "The record", body = DatasetDocument)))]
pub(super) async fn add_dataset(
    State(node): State<Arc<Node>>,
    Document(new): Document<NewDatasetDocument>,
) -> Result<Response, Fault> {
    let new = NewDataset {
        name: new.name,
        title: new.title,
        class: new.class,
        origin: new.origin,
        residency: new.residency,
        purposes: new.purposes,
        files: new.files,
        facts: new.facts,
        protection: new.protection,
    };
    let signed = registry::add_dataset(&node, new).await?;
    Ok((StatusCode::CREATED, Json(document(signed)?)).into_response())
}

/// Shows a dataset. The record of another member's dataset is fetched from that member when it is not here.
#[utoipa::path(get, path = "/v1/datasets/{member}/{name}", responses((status = 200, description = "The record", body = DatasetDocument)))]
pub(super) async fn show_dataset(
    State(node): State<Arc<Node>>,
    path: PathOf<(String, String)>,
) -> Result<Json<DatasetDocument>, Fault> {
    let PathOf((member, name)) = path;
    let id: DatasetId =
        format!("{member}/{name}").parse().map_err(|error| Fault::malformed("dataset", error))?;
    let not_found = || Fault::not_found("dataset", &id);
    let here = || node.store.read(|connection| table::dataset(connection, &id));
    let signed = match here()? {
        Some(signed) => signed,
        None if id.member() != node.member() && node.treaty.member(id.member()).is_some() => {
            registry::fetch_dataset(&node, &id).await?;
            here()?.ok_or_else(not_found)?
        }
        None => return Err(not_found()),
    };
    Ok(Json(document(signed)?))
}

/// Records are verified before they are kept.
fn document(signed: Signed<DatasetRecord>) -> Result<DatasetDocument, StoreError> {
    let record = signed.peek_unverified();
    let record =
        record.map_err(|error| StoreError::Damaged { what: "dataset record", problem: error.to_string() })?;
    Ok(DatasetDocument::new(record, signed))
}
