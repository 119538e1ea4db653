// SPDX-License-Identifier: Apache-2.0
//! What members tell each other of their sites: how long a job would wait. Placement goes by it; a host decides for itself.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sta_protocol::{ids::SiteId, treaty::Site};

use crate::{
    node::Node,
    store::{StoreError, hosted, peers},
};

/// How often peers are asked.
const PAUSE: Duration = Duration::from_secs(5);
/// A report older than this says nothing any more.
const FRESH_MS_MAX: i64 = 60_000;
/// What is assumed of a site of which nothing is known.
const UNKNOWN_WAIT_S: u32 = 60;
/// How long a waiting job is expected to hold back the next, until real run times are known.
const SECONDS_PER_WAITING_JOB: u32 = 60;

/// One site, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteReport {
    /// The site.
    pub site: SiteId,
    /// Jobs that start or run.
    pub running: u32,
    /// Jobs that wait.
    pub waiting: u32,
    /// Cores that no job holds.
    pub free_cores: u32,
    /// How long a job that came now would wait, in seconds.
    pub wait_s: u32,
}

/// This node's own sites as they are now.
///
/// # Errors
/// The store failed.
pub fn own_reports(node: &Node) -> Result<Vec<SiteReport>, StoreError> {
    let sites = node.config.sites.iter().filter_map(|settings| node.treaty.site(&settings.id));
    sites.map(|site| own_report(node, site)).collect()
}

fn own_report(node: &Node, site: &Site) -> Result<SiteReport, StoreError> {
    let held = node.store.read(|connection| hosted::site_use(connection, &site.id, node.member()))?;
    let busy = held.running_home.cpu_cores.saturating_add(held.running_guests.cpu_cores);
    let free_cores = site.resources.cpu_cores.saturating_sub(busy);
    let ahead = if free_cores == 0 { held.waiting.saturating_add(1) } else { held.waiting };
    let wait_s = ahead.saturating_mul(SECONDS_PER_WAITING_JOB);
    Ok(SiteReport {
        site: site.id.clone(),
        running: held.jobs_running,
        waiting: held.waiting,
        free_cores,
        wait_s,
    })
}

/// How long a job would wait at a site, in seconds, by what is known now.
///
/// # Errors
/// The store failed.
pub fn expected_wait_s(node: &Node, site: &Site) -> Result<u32, StoreError> {
    if site.member == *node.member() {
        return own_report(node, site).map(|report| report.wait_s);
    }
    let kept = node.store.read(|connection| peers::site_report(connection, &site.id))?;
    let now_ms = node.outside.now().as_millisecond();
    let fresh = kept.filter(|(_, at)| now_ms - at.as_millisecond() <= FRESH_MS_MAX);
    let report = fresh.and_then(|(text, _)| serde_json::from_str::<SiteReport>(&text).ok());
    Ok(report.map_or(UNKNOWN_WAIT_S, |report| report.wait_s))
}

/// Asks the peers about their sites, until the node stops.
pub async fn keep_reports(node: Arc<Node>) {
    loop {
        let members: Vec<_> = node.peers().map(|peer| peer.id.clone()).collect();
        for member in members {
            match node.outbound().get(&member, "/federation/v1/sites", None).await {
                Ok(answer) => match serde_json::from_slice::<Vec<SiteReport>>(&answer.body) {
                    Ok(reports) => keep(&node, reports).await,
                    Err(error) => {
                        tracing::warn!(peer = %member, error = %error, "the peer's sites do not read");
                    }
                },
                Err(error) => {
                    tracing::debug!(peer = %member, error = %error, "the peer does not tell of its sites");
                }
            }
        }
        if !node.pause(PAUSE).await {
            return;
        }
    }
}

async fn keep(node: &Node, reports: Vec<SiteReport>) {
    let now = node.outside.now();
    let write = node.store.write(move |tx| {
        for report in &reports {
            let text = serde_json::to_string(report)
                .map_err(|error| StoreError::Damaged { what: "site report", problem: error.to_string() })?;
            peers::keep_site_report(tx, &report.site, &text, now)?;
        }
        Ok(())
    });
    if let Err(error) = write.await {
        tracing::error!(error = %error, "the peers' sites cannot be kept");
    }
}
