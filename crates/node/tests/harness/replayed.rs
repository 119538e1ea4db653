// SPDX-License-Identifier: Apache-2.0
//! What a node says of how its member stands, held against a replay of the same events, and against what the other side says.

use std::time::Duration;

use serde_json::Value;
use sta_replay::standing::{self, Told};

use super::TestNode;

/// How long it is waited until all jobs would have ended alone.
const WAITED_S_MAX: u32 = 600;

impl TestNode {
    /// Asserts that all that the node says of how members stand is what a replay of the same events says, to the digit: what each gave and
    /// took, its credits and violations, and the end alone of each job. Gives the jobs of its own member in the order in which they
    /// came.
    pub(crate) async fn stands_as_replayed(&self) -> Vec<Value> {
        let (mut document, mut own) = (Value::Null, Vec::new());
        for _ in 0..WAITED_S_MAX {
            document = self.get("otto", "/v1/standing?jobs=true").await.ok();
            own.clone_from(document["jobs"].as_array().unwrap());
            own.retain(|job| job["home"] == self.id().as_str());
            // Alone, some may end later than they did.
            if own.iter().all(|job| job["alone_finished_at"].is_string()) {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let told: Told = serde_json::from_value(document).unwrap();
        let replayed = standing::replay(&told).unwrap();
        assert_eq!(replayed.first_difference(&told), None, "{told:?}");
        assert!(replayed.jobs.iter().any(|alone| alone.finished_ms.is_some()), "no job was played: {told:?}");
        own.sort_by_key(|job| ms(job, "submitted_at"));
        own
    }

    /// Asserts that two members that shared with each other alone say the same of what they gave and took, to the millisecond; says what
    /// this one took, in core-milliseconds.
    pub(crate) async fn stands_as_beside(&self, other: &Self) -> u64 {
        let here = self.given_and_taken([self, other]).await;
        assert_eq!(here, other.given_and_taken([self, other]).await, "left: here; right: there");
        let [(given, taken), (given_there, taken_there)] = here;
        assert_eq!((given, taken), (taken_there, given_there), "one's given is the other's taken");
        taken
    }

    async fn given_and_taken(&self, members: [&Self; 2]) -> [(u64, u64); 2] {
        let document = self.get("otto", "/v1/standing").await.ok();
        let told: Told = serde_json::from_value(document).unwrap();
        members.map(|member| {
            let of = told.balances[0].members.iter().find(|of| of.member == member.id().as_str()).unwrap();
            (of.given_ms, of.taken_ms)
        })
    }
}

/// A moment in a job's standing, in milliseconds since 1970.
pub(crate) fn ms(job: &Value, field: &str) -> u64 {
    let at: jiff::Timestamp = job[field].as_str().unwrap().parse().unwrap();
    u64::try_from(at.as_millisecond()).unwrap()
}
