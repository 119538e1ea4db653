// SPDX-License-Identifier: Apache-2.0
//! What the cluster holds jobs to, as its own configuration says: a receipt names no limit that nobody holds.

use super::Inner;
use crate::engines::EngineError;

/// What this engine holds at every site: the job runs as its researcher's account, and to its time limit.
const OWN: [&str; 2] = ["own-account", "time-limit"];
/// What a cluster with `TaskPlugin=task/cgroup` may hold, by the line of its configuration.
const CLUSTERS: [(&str, &str); 3] = [
    ("ConstrainRAMSpace", "slurm:memory"),
    ("ConstrainCores", "slurm:cores"),
    ("ConstrainDevices", "slurm:devices"),
];

impl Inner {
    /// The limits that hold here. What the cluster holds is asked once; until it has answered, none of it is claimed.
    pub(super) async fn limits_enforced(&self) -> Vec<String> {
        let told = self.limits.get_or_try_init(|| async {
            let said = self
                .commands
                .answer(&self.settings.observer, "read the cluster's configuration", "scontrol show config\n")
                .await?;
            Ok::<_, EngineError>(held(&said.text()))
        });
        let clusters = match told.await {
            Ok(held) => held.clone(),
            Err(error) => {
                tracing::debug!(cluster = self.settings.cluster, error = %error, "the cluster does not say what it holds");
                Vec::new()
            }
        };
        OWN.map(ToOwned::to_owned).into_iter().chain(clusters).collect()
    }
}

/// Reads what `scontrol show config` prints, a name and a value a line.
fn held(text: &str) -> Vec<String> {
    let value = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .map(|(key, value)| (key.trim(), value.trim()))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    if !value("TaskPlugin").is_some_and(|plugins| plugins.split(',').any(|plugin| plugin == "task/cgroup")) {
        return Vec::new();
    }
    let held = CLUSTERS.iter().filter(|(name, _)| value(name) == Some("yes"));
    held.map(|(_, limit)| (*limit).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::held;

    #[test]
    fn only_what_the_cluster_says_that_it_holds_is_claimed() {
        let text = "TaskPlugin              = task/affinity,task/cgroup\nConstrainCores          = no\n\
                    ConstrainRAMSpace       = yes\nConstrainDevices        = yes\n";
        assert_eq!(held(text), ["slurm:memory", "slurm:devices"]);
        let tracked_only = text.replace("task/affinity,task/cgroup", "task/none");
        assert!(held(&tracked_only).is_empty());
        assert!(held("").is_empty());
    }
}
