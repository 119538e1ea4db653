// SPDX-License-Identifier: Apache-2.0
//! What members tell each other of their sites: how long a job would wait. Placement goes by it; a host decides for itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sta_protocol::{
    ids::{MemberId, SiteId},
    treaty::{Resources, Site},
};

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
/// The most sizes of one site that are kept of what its owner says.
pub const SIZES_MAX: usize = 16;
/// The least that has to come in at once to tell how fast it does.
const RATE_BYTES_MIN: u64 = 1 << 20;

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
    /// How long a small job that came now would wait, in seconds.
    pub wait_s: u32,
    /// The same for some sizes, from small to large, where the site's engine can tell; at most [`SIZES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<SizeWait>,
    /// How many bytes a second came in from other members lately, where some have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging_bytes_per_s: Option<u64>,
}

/// How fast files came in lately: each file weighs a quarter, all before it the rest.
#[derive(Debug, Default)]
pub struct StagingRate(AtomicU64);

impl StagingRate {
    /// Takes in that so many bytes came in that time. What is small tells of the way there and back, not of the rate.
    pub fn note(&self, bytes: u64, time: Duration) {
        if bytes < RATE_BYTES_MIN {
            return;
        }
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let seen = (bytes.saturating_mul(1000) / millis).max(1);
        let before = self.bytes_per_s().unwrap_or(seen);
        self.0.store((before.saturating_mul(3).saturating_add(seen) / 4).max(1), Ordering::Relaxed);
    }

    /// Bytes a second; none before the first file.
    pub fn bytes_per_s(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }
}

/// What a job is to expect at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// How long it would wait, in seconds.
    pub wait_s: u32,
    /// How many bytes a second its files would come in; none where nobody has measured it.
    pub staging_bytes_per_s: Option<u64>,
}

/// How long a job of a size would wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeWait {
    /// Its cores.
    pub cpu_cores: u32,
    /// Its memory in bytes.
    pub memory_bytes: u64,
    /// Its accelerators.
    pub gpus: u32,
    /// How long it would wait, in seconds.
    pub wait_s: u32,
}

impl SiteReport {
    /// How long a job would wait: as long as the smallest of the sizes that it fits into, or longer than the largest.
    fn wait_of(&self, demand: Resources) -> u32 {
        let fits = |size: &&SizeWait| {
            demand.cpu_cores <= size.cpu_cores
                && demand.memory_bytes <= size.memory_bytes
                && demand.gpus <= size.gpus
        };
        let longest = || self.waits.iter().map(|size| size.wait_s).max();
        // Where the engine cannot tell, one for which there is no room now waits for another to end.
        let has_room = demand.cpu_cores <= self.free_cores;
        let guess = if has_room { self.wait_s } else { self.wait_s.max(SECONDS_PER_WAITING_JOB) };
        self.waits.iter().find(fits).map(|size| size.wait_s).or_else(longest).unwrap_or(guess)
    }
}

/// The shares of a site for whose sizes it tells the wait: one part in so many, from small to large.
const SIZES: [u32; 4] = [64, 16, 4, 1];

/// A part of a site, without and with the same part of its accelerators.
fn sizes(whole: Resources) -> impl Iterator<Item = Resources> {
    let part = move |parts: u32| Resources {
        cpu_cores: whole.cpu_cores.div_ceil(parts),
        memory_bytes: whole.memory_bytes.div_ceil(parts.into()),
        gpus: 0,
    };
    let plain = SIZES.into_iter().map(part);
    let with_gpus = SIZES.into_iter().filter(move |_| whole.gpus > 0);
    plain.chain(with_gpus.map(move |parts| Resources { gpus: whole.gpus.div_ceil(parts), ..part(parts) }))
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
    let engine = node.engines.get(&site.id);
    let wait = |size: Resources| {
        let wait_s = engine?.expected_wait_s(size)?;
        let Resources { cpu_cores, memory_bytes, gpus } = size;
        Some(SizeWait { cpu_cores, memory_bytes, gpus, wait_s })
    };
    let waits: Vec<SizeWait> = sizes(site.resources).filter_map(wait).collect();
    // Where the engine cannot tell, by how many wait before it.
    let wait_s =
        waits.first().map_or(ahead.saturating_mul(SECONDS_PER_WAITING_JOB), |smallest| smallest.wait_s);
    Ok(SiteReport {
        site: site.id.clone(),
        running: held.jobs_running,
        waiting: held.waiting,
        free_cores,
        wait_s,
        waits,
        staging_bytes_per_s: node.staging_rate.bytes_per_s(),
    })
}

/// What a job that holds so much is to expect at a site, by what is known now.
///
/// # Errors
/// The store failed.
pub fn outlook(node: &Node, site: &Site, demand: Resources) -> Result<Outlook, StoreError> {
    if site.member == *node.member() {
        let engine = node.engines.get(&site.id);
        let wait_s = match engine.and_then(|engine| engine.expected_wait_s(demand)) {
            Some(wait_s) => wait_s,
            None => own_report(node, site)?.wait_s,
        };
        return Ok(Outlook { wait_s, staging_bytes_per_s: node.staging_rate.bytes_per_s() });
    }
    let kept = node.store.read(|connection| peers::site_report(connection, &site.id))?;
    let now_ms = node.outside.now().as_millisecond();
    let fresh = kept.filter(|(_, at)| now_ms - at.as_millisecond() <= FRESH_MS_MAX);
    let report = fresh.and_then(|(text, _)| serde_json::from_str::<SiteReport>(&text).ok());
    let unknown = Outlook { wait_s: UNKNOWN_WAIT_S, staging_bytes_per_s: None };
    Ok(report.map_or(unknown, |report| Outlook {
        wait_s: report.wait_of(demand),
        staging_bytes_per_s: report.staging_bytes_per_s.filter(|rate| *rate > 0),
    }))
}

/// Asks the peers about their sites, until the node stops.
pub async fn keep_reports(node: Arc<Node>) {
    loop {
        let members: Vec<_> = node.peers().map(|peer| peer.id.clone()).collect();
        for member in members {
            match node.outbound().get(&member, "/federation/v1/sites", None).await {
                Ok(answer) => match serde_json::from_slice::<Vec<SiteReport>>(&answer.body) {
                    Ok(reports) => keep(&node, &member, reports).await,
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

/// Keeps what a member says of its own sites; of others it has nothing to say.
async fn keep(node: &Node, from: &MemberId, mut reports: Vec<SiteReport>) {
    let now = node.outside.now();
    reports.retain(|report| node.treaty.site(&report.site).is_some_and(|site| site.member == *from));
    reports.iter_mut().for_each(|report| report.waits.truncate(SIZES_MAX));
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

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Resources = Resources { cpu_cores: 128, memory_bytes: 256 << 30, gpus: 8 };

    #[test]
    fn the_rate_of_staging_follows_what_came_in_lately() {
        let rate = StagingRate::default();
        rate.note(100, Duration::from_secs(1));
        assert_eq!(rate.bytes_per_s(), None, "too little to tell");
        rate.note(80 << 20, Duration::from_secs(2));
        assert_eq!(rate.bytes_per_s(), Some(40 << 20));
        rate.note(8 << 20, Duration::from_secs(1));
        assert_eq!(rate.bytes_per_s(), Some(32 << 20));
    }

    #[test]
    fn a_job_waits_as_long_as_the_smallest_size_that_it_fits_into() {
        let waits = (1..).zip(sizes(WHOLE)).map(|(wait_s, size)| SizeWait {
            cpu_cores: size.cpu_cores,
            memory_bytes: size.memory_bytes,
            gpus: size.gpus,
            wait_s,
        });
        let report = SiteReport {
            site: "juelich".parse().unwrap(),
            running: 0,
            waiting: 0,
            free_cores: 0,
            wait_s: 99,
            waits: waits.collect(),
            staging_bytes_per_s: None,
        };
        let wait = |cpu_cores, gib: u64, gpus| {
            report.wait_of(Resources { cpu_cores, memory_bytes: gib << 30, gpus })
        };
        assert_eq!([wait(1, 1, 0), wait(2, 5, 0), wait(9, 4, 0), wait(128, 1, 0)], [1, 2, 3, 4]);
        assert_eq!([wait(1, 1, 1), wait(1, 1, 2), wait(33, 1, 1)], [5, 7, 8]);
        assert_eq!(wait(129, 1, 0), 8, "what fits into none waits at least as long as the longest");
        let guessed = |wait_s, free_cores| {
            SiteReport { waits: Vec::new(), wait_s, free_cores, ..report.clone() }.wait_of(WHOLE)
        };
        assert_eq!(
            [guessed(99, 0), guessed(0, 128), guessed(0, 127)],
            [99, 0, 60],
            "it has room or waits for some"
        );
        assert!(sizes(WHOLE).count() <= SIZES_MAX);
    }
}
