// SPDX-License-Identifier: Apache-2.0
//! The node itself, its treaty, the sites of all members and the keys of its visas.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sta_protocol::{
    keys::P256Jwk,
    treaty::{SignedTreaty, Site},
};

use super::{
    documents::{LogDocument, NodeDocument, SiteDocument, SiteList, SiteLoadDocument, TreatyNote},
    problem::Fault,
};
use crate::{
    node::Node,
    peers::reports,
    store::{StoreError, audit, peers},
};

/// Shows the node and the keys by which others check it.
#[utoipa::path(get, path = "/v1/node", responses((status = 200, description = "The node", body = NodeDocument)))]
pub(super) async fn show_node(State(node): State<Arc<Node>>) -> Result<Json<NodeDocument>, Fault> {
    let (size, published) = node
        .store
        .read(|connection| Ok((audit::log_size(connection)?, audit::checkpoint(connection, "published")?)))?;
    let (terms, now) = (node.own_terms(), node.outside.now());
    Ok(Json(NodeDocument {
        member: terms.id.clone(),
        name: terms.name.clone(),
        jurisdiction: terms.jurisdiction.clone(),
        url: terms.url.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        treaty: TreatyNote {
            name: node.treaty.name.clone(),
            digest: node.treaty_digest(),
            valid_until: node.treaty.valid_until,
            in_force: node.treaty.is_in_force(now),
            members: node.treaty.members.iter().map(|member| member.id.clone()).collect(),
        },
        rules: node.rules.digest(),
        sites: node.config.sites.iter().map(|site| site.id.clone()).collect(),
        log: LogDocument {
            origin: node.keys.log.verifier_key().name().to_owned(),
            vkey: terms.keys.log.clone(),
            size,
            size_witnessed: published.map_or(0, |(size, _)| size),
        },
        witness_vkey: terms.keys.witness.clone(),
        time: now,
    }))
}

/// Shows the treaty with its members' signatures, as JWS in general JSON serialization.
#[utoipa::path(get, path = "/v1/treaty", responses((status = 200, description = "The signed treaty", body = Object, content_type = "application/jose+json")))]
pub(super) async fn show_treaty(State(node): State<Arc<Node>>) -> Result<Response, Fault> {
    let path = &node.config.treaty;
    let text = std::fs::read(path).map_err(|error| Fault::internal("read the treaty", &error))?;
    let signed: SignedTreaty =
        serde_json::from_slice(&text).map_err(|error| Fault::internal("read the treaty", &error))?;
    let treaty = signed.verify().map_err(|error| Fault::internal("read the treaty", &error))?;
    // A file that was replaced since the node started is not the treaty it acts under.
    if treaty.digest() != node.treaty_digest() {
        return Err(Fault::Internal(
            "the file of the treaty holds another one than the node acts under: restart it".to_owned(),
        ));
    }
    let json = HeaderValue::from_static("application/jose+json");
    Ok(([(header::CONTENT_TYPE, json)], text).into_response())
}

/// Lists every site of the treaty with its terms and what is known of its load.
#[utoipa::path(get, path = "/v1/sites", responses((status = 200, description = "The sites", body = SiteList)))]
pub(super) async fn list_sites(State(node): State<Arc<Node>>) -> Result<Json<SiteList>, Fault> {
    let now = node.outside.now();
    let own = reports::own_reports(&node)?;
    let mut sites = Vec::new();
    for site in &node.treaty.sites {
        let load = match own.iter().find(|report| report.site == site.id) {
            Some(report) => {
                let report = serde_json::to_value(report)
                    .map_err(|error| Fault::internal("write a report", &error))?;
                Some(SiteLoadDocument { report, reported_at: now })
            }
            None => reported(&node, site)?,
        };
        sites.push(SiteDocument::new(site, load, now));
    }
    Ok(Json(SiteList { sites }))
}

fn reported(node: &Node, site: &Site) -> Result<Option<SiteLoadDocument>, StoreError> {
    let kept = node.store.read(|connection| peers::site_report(connection, &site.id))?;
    kept.map(|(text, reported_at)| {
        let report = serde_json::from_str(&text);
        let report = report
            .map_err(|error| StoreError::Damaged { what: "site report", problem: error.to_string() })?;
        Ok(SiteLoadDocument { report, reported_at })
    })
    .transpose()
}

/// A key set (RFC 7517 §5).
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct KeySet {
    keys: Vec<VisaKey>,
}

/// The key of this member's visas and passports.
#[derive(Serialize, utoipa::ToSchema)]
struct VisaKey {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    jwk: P256Jwk,
    /// RFC 7638 thumbprint.
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
}

/// Shows the key of this member's visas, for software outside of the alliance; members take it from the treaty.
#[utoipa::path(get, path = "/.well-known/jwks.json", responses((status = 200, description = "RFC 7517 key set", body = KeySet)))]
pub(super) async fn show_visa_keys(State(node): State<Arc<Node>>) -> Json<KeySet> {
    let key = node.keys.visa.public_key();
    Json(KeySet { keys: vec![VisaKey { jwk: key.jwk(), kid: key.key_id(), alg: "ES256", usage: "sig" }] })
}
