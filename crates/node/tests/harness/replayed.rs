// SPDX-License-Identifier: Apache-2.0
//! What a node says of how its member stands, held against a replay of the same events.

use std::time::Duration;

use serde_json::Value;
use sta_decide::federation::{Checkpoint, Federation, Sharing, SiteTerms, Terms, Work};
use sta_replay::federate::{self, Fate, Rules, Watch};

use super::TestNode;

/// How long it is waited until all jobs would have ended alone.
const WAITED_S_MAX: u32 = 600;

/// Tells when the jobs ended that it plays.
struct Ends(Vec<(u64, Option<u64>)>);

impl Watch for Ends {
    fn held(&mut self, _: federate::Span) {}

    fn over(&mut self, fate: &Fate) {
        self.0.push((fate.index, fate.end_ms));
    }

    fn moment(&mut self, _: u64, _: &mut Federation) {}
}

impl TestNode {
    /// Asserts that each job of its own that counts in the member's standing ends alone when a replay of the same events says so, and gives
    /// those jobs in the order in which they came.
    pub(crate) async fn stands_as_replayed(&self) -> Vec<Value> {
        let mut shown = Vec::new();
        for _ in 0..WAITED_S_MAX {
            let standing = self.get("otto", "/v1/standing?jobs=true").await.ok();
            shown.clone_from(standing["jobs"].as_array().unwrap());
            shown.retain(|job| job["home"] == self.id().as_str());
            // Alone, some may end later than they did.
            if shown.iter().all(|job| job["alone_finished_at"].is_string()) {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        shown.sort_by_key(|job| ms(job, "submitted_at"));
        let home_site = shown[0]["home_site"].as_str().unwrap();
        assert!(shown.iter().all(|job| job["home_site"] == home_site), "{shown:?}");
        let processors = self.node.treaty.site(&home_site.parse().unwrap()).unwrap().resources.cpu_cores;
        let count = |job: &Value| u32::try_from(job["processors"].as_u64().unwrap()).unwrap();
        let played = shown.iter().map(|job| federate::Job {
            submit_ms: ms(job, "submitted_at"),
            run_ms: job["run_ms"].as_u64().unwrap(),
            work: Work {
                home: 0,
                processors: count(job),
                estimate_ms: job["estimate_ms"].as_u64().unwrap(),
                group: 0,
                checkpoint: Checkpoint::Never,
            },
        });
        let rules = Rules {
            sharing: Sharing::Alone,
            terms: Terms { staging_ms: 0, restart_ms: 0, grace_ms: 0, unsaved_ms_max: 0 },
            sites: vec![SiteTerms { member: 0, processors, takes: 0 }],
            patience_ms: None,
        };
        let mut ends = Ends(Vec::new());
        federate::play(&rules, played, &mut ends);
        ends.0.sort_unstable();
        let replayed: Vec<Option<u64>> = ends.0.into_iter().map(|(_, end_ms)| end_ms).collect();
        let told: Vec<Option<u64>> = shown.iter().map(|job| Some(ms(job, "alone_finished_at"))).collect();
        assert_eq!(told, replayed);
        shown
    }
}

/// A moment in a job's standing, in milliseconds since 1970.
pub(crate) fn ms(job: &Value, field: &str) -> u64 {
    let at: jiff::Timestamp = job[field].as_str().unwrap().parse().unwrap();
    u64::try_from(at.as_millisecond()).unwrap()
}
