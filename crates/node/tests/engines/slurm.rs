// SPDX-License-Identifier: Apache-2.0
//! The engine over real Slurm clusters of two majors: the conformance suite, and what only a cluster can show.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::json;
use sta_node::engines::{
    Capacity, Engine,
    slurm::{SlurmConfig, SlurmEngine, settings::SlurmSettings},
};

use super::Site;
use crate::harness::clusters::{Cluster, clusters};

/// A cluster under test, with an engine's directory of its own.
pub(crate) struct SlurmSite {
    pub(crate) cluster: Cluster,
    root: tempfile::TempDir,
}

impl SlurmSite {
    /// Over the cluster whose version begins so; none, and a line, where no clusters are up.
    pub(crate) fn of(version: &str) -> Option<Self> {
        let cluster = clusters()?.into_iter().find(|cluster| cluster.version.starts_with(version));
        if cluster.is_none() {
            println!("left out: no cluster with Slurm {version} is up");
        }
        Some(Self::over(cluster?))
    }

    pub(super) fn over(cluster: Cluster) -> Self {
        Self { cluster, root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn settings(&self) -> SlurmSettings {
        let cluster = &self.cluster;
        let account = |researcher: &str, account: &str| json!({"member": "ca", "researcher": researcher, "account": account, "slurm_account": cluster.slurm_account});
        let settings = json!({
            "cluster": cluster.name,
            "prefix": cluster.prefix,
            "observer": cluster.observer,
            "directory": cluster.directory,
            "partition": cluster.partition,
            "hook": cluster.hook,
            "gpus": BTreeMap::from([(cluster.gpu_type.clone(), 12)]),
            "poll_s": 1,
            "grace_s": 1,
            "options_allowed": ["constraint", "exclusive"],
            "accounts": [account("ada", &cluster.accounts[0]), account("bob", &cluster.accounts[1])],
        });
        serde_json::from_value(settings).unwrap()
    }

    pub(super) fn config(&self) -> SlurmConfig {
        let cluster = &self.cluster;
        let nodes = u32::try_from(cluster.nodes.len()).unwrap();
        SlurmConfig {
            root: self.root(),
            settings: self.settings(),
            capacity: Capacity {
                cpu_cores: cluster.cpus_per_node * nodes,
                memory_bytes: (cluster.memory_mb_per_node * u64::from(nodes)) << 20,
                gpus: [(cluster.gpu_type.clone(), cluster.gpus_per_node * nodes)].into(),
            },
        }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.root.path().join("engine")
    }
}

impl Site for SlurmSite {
    fn open(&self) -> Box<dyn Engine> {
        Box::new(SlurmEngine::open(self.config()).unwrap())
    }
    fn grace(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn scheduler_variables(&self) -> &[&str] {
        &["SLURM"]
    }
    fn nodes(&self) -> u32 {
        2
    }
    fn gpu_type(&self) -> &str {
        &self.cluster.gpu_type
    }
}

mod v22 {
    use super::SlurmSite;
    crate::engines::conforms! { SlurmSite::of("22.") }
}

mod v24 {
    use super::SlurmSite;
    crate::engines::conforms! { SlurmSite::of("24.") }
}
