// SPDX-License-Identifier: Apache-2.0
//! The demo's Slurm clusters: which site each stands for, how a node drives it, and what Slurm itself says of a job.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json};
use sta_protocol::federation::UsageSource;

use super::super::failure::{Failure, Trying};
use crate::{
    config::{CONFIG_FILE, RawConfig},
    engines::{
        local::SEARCH_PATH,
        slurm::settings::{FirstCome, SlurmSettings},
    },
};

/// What `examples/two-clusters/up` writes about the clusters that it brought up.
pub(super) const CLUSTERS_FILE: &str = "clusters.json";
/// Which cluster stands for a site; of several the first that is up.
const STAND_INS: [(&str, &[&str]); 2] =
    [("juelich", &["juelich"]), ("quebec-hydro", &["quebec24", "quebec"])];

/// How long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Slurm cluster that is up. The fields are those of `clusters.json`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Cluster {
    /// As Slurm calls it.
    pub(super) name: String,
    /// Slurm's version, such as `24.11.5`.
    pub(super) version: String,
    prefix: Vec<String>,
    observer: String,
    accounts: Vec<String>,
    slurm_account: String,
    partition: String,
    directory: String,
    hook: PathBuf,
    nodes: Vec<String>,
    gpu_type: String,
    gpus_per_node: u32,
}

#[derive(Debug, Deserialize)]
struct Set {
    clusters: Vec<Cluster>,
}

/// A job as Slurm has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SlurmJob {
    /// Slurm's number.
    pub(super) id: String,
    /// The unix account it runs as.
    pub(super) account: String,
    /// Such as `RUNNING`.
    pub(super) state: String,
    nodes: String,
}

/// The clusters by the sites that they stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Clusters {
    by_site: BTreeMap<&'static str, Cluster>,
}

impl Clusters {
    /// Reads which clusters are up in a directory, and sees that they answer and can run the demo's jobs.
    ///
    /// # Errors
    /// One of them is not there, does not answer, or has no Python.
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(CLUSTERS_FILE);
        let doing = format!("read `{}`", path.display());
        let text = fs::read_to_string(&path).trying_to(&doing)?;
        let set: Set = serde_json::from_str(&text).trying_to(&doing)?;
        let mut by_site = BTreeMap::new();
        for (site, names) in STAND_INS {
            let named = |name: &&str| set.clusters.iter().find(|cluster| cluster.name == **name);
            let cluster = names.iter().find_map(named).ok_or_else(|| {
                let mend =
                    "Take the set down and bring it up again: examples/two-clusters/README.md tells how.";
                Failure::new(&doing, format!("no cluster is called {}", names.join(" or "))).mend(mend)
            })?;
            cluster.check(directory)?;
            by_site.insert(site, cluster.clone());
        }
        Ok(Self { by_site })
    }

    /// The cluster that a site's jobs run on, if it is not this machine.
    pub(super) fn of(&self, site: &str) -> Option<&Cluster> {
        self.by_site.get(site)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_site.is_empty()
    }

    /// Which Slurm runs which site.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(site, cluster): (&&str, &Cluster)| {
            format!(
                "   site {site} is the cluster {}: Slurm {}, {} nodes, {} {} each; each researcher gets an account of their own.",
                cluster.name,
                cluster.version,
                cluster.nodes.len(),
                cluster.gpus_per_node,
                cluster.gpu_type,
            )
        };
        self.by_site.iter().map(line).collect()
    }

    /// The same for programs.
    pub(super) fn document(&self) -> Value {
        let one = |(site, cluster): (&&str, &Cluster)| json!({"site": site, "cluster": cluster.name, "slurm": cluster.version});
        self.by_site.iter().map(one).collect()
    }

    /// Lets a node that was just made drive its clusters: what an operator does by writing `[sites.slurm]` into `sta.toml`.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn configure(&self, node: &Path) -> Result<(), Failure> {
        let path = node.join(CONFIG_FILE);
        let doing = format!("write the clusters into `{}`", path.display());
        let text = fs::read_to_string(&path).trying_to(&doing)?;
        let mut config: RawConfig = toml::from_str(&text).trying_to(&doing)?;
        for site in &mut config.sites {
            if let Some(cluster) = self.of(site.id.as_str()) {
                "slurm".clone_into(&mut site.engine);
                site.slurm = Some(cluster.settings());
            }
        }
        let text = toml::to_string_pretty(&config).trying_to(&doing)?;
        fs::write(&path, text).trying_to(doing)
    }
}

impl Cluster {
    fn settings(&self) -> SlurmSettings {
        let gpus = self.gpus_per_node * u32::try_from(self.nodes.len()).unwrap_or(1);
        let plain = json!({
            "cluster": self.name, "prefix": self.prefix, "observer": self.observer, "directory": self.directory,
            "partition": self.partition, "hook": self.hook, "gpus": {&self.gpu_type: gpus}, "poll_s": 1,
        });
        let mut settings: SlurmSettings = serde_json::from_value(plain)
            .expect("these are fields of the settings, and all that must be given");
        settings.first_come = Some(FirstCome {
            accounts: self.accounts.clone(),
            members: Vec::new(),
            slurm_account: Some(self.slurm_account.clone()),
            qos: None,
        });
        settings
    }

    fn check(&self, directory: &Path) -> Result<(), Failure> {
        let up = format!(
            "Bring the clusters up again with `examples/two-clusters/up {}`, as root.",
            directory.display()
        );
        self.ask("sinfo -h -o %T").map_err(|failure| failure.mend(up))?;
        let python = "The demo's jobs are Python programs: install python3 where the cluster's jobs run.";
        self.ask("python3 -c 'import gzip'").map_err(|failure| failure.mend(python))?;
        Ok(())
    }

    /// What Slurm's queue says of a job that runs or waits; nothing of one that has left it.
    ///
    /// # Errors
    /// The cluster did not answer.
    pub(super) fn queue(&self, job: &str) -> Result<Vec<SlurmJob>, Failure> {
        let said = self.ask_patiently(&format!("squeue -h -t all -n sta-{job} -o '%A|%u|%T|%N'"))?;
        Ok(rows(&said))
    }

    /// What Slurm's accounting says of a job that has ended, once for each time that it was run. It hears of an end some time
    /// after the node, which sees it in the queue.
    ///
    /// # Errors
    /// The cluster did not answer.
    pub(super) fn accounting(&self, job: &str) -> Result<Vec<SlurmJob>, Failure> {
        let line = format!("sacct -n -X -P -a -S now-1day --name sta-{job} -o JobID,User,State,NodeList");
        let begun = Instant::now();
        loop {
            let runs = rows(&self.ask_patiently(&line)?);
            let under_way = runs.iter().any(|run| ["PENDING", "RUNNING"].contains(&run.state.as_str()));
            if !(runs.is_empty() || under_way) || begun.elapsed() > PATIENCE {
                return Ok(runs);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Has the cluster say something, again for a while when it does not: a controller may be starting anew.
    fn ask_patiently(&self, line: &str) -> Result<String, Failure> {
        let begun = Instant::now();
        loop {
            match self.ask(line) {
                Err(_) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(500)),
                said => return said,
            }
        }
    }

    /// Has a shell of the cluster's observer say something.
    fn ask(&self, line: &str) -> Result<String, Failure> {
        let doing = format!("ask the cluster {} `{line}`", self.name);
        let words: Vec<String> =
            self.prefix.iter().map(|word| word.replace("{account}", &self.observer)).collect();
        let mut words = words.iter().map(String::as_str).chain(["sh", "-c", line]);
        let output = Command::new(words.next().unwrap_or_default())
            .args(words)
            .env("PATH", SEARCH_PATH)
            .stdin(Stdio::null())
            .output()
            .trying_to(&doing)?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(Failure::new(doing, String::from_utf8_lossy(&output.stderr).trim()))
        }
    }
}

fn rows(said: &str) -> Vec<SlurmJob> {
    let row = |line: &str| {
        let mut columns = line.split('|').map(str::to_owned);
        Some(SlurmJob {
            id: columns.next()?,
            account: columns.next()?,
            state: columns.next()?,
            nodes: columns.next()?,
        })
    };
    said.lines().filter_map(row).collect()
}

impl SlurmJob {
    /// For people.
    pub(super) fn line(&self, cluster: &Cluster) -> String {
        format!("Slurm job {} on {} of {} as {}", self.id, self.nodes, cluster.name, self.account)
    }

    /// For programs.
    pub(super) fn document(&self, cluster: &Cluster) -> Value {
        json!({"cluster": cluster.name, "version": cluster.version, "id": self.id, "account": self.account, "state": self.state})
    }
}

/// Where a job's figures come from, as its receipt says.
pub(super) fn source_of_wall(job: &Value) -> &'static str {
    let source = serde_json::from_value(job["usage"]["sources"]["wall"].clone()).unwrap_or_default();
    match source {
        UsageSource::Supervisor => "measured by the node's own supervisor",
        UsageSource::JobStamps => "by the job's own stamps, checked against Slurm",
        UsageSource::Scheduler => "by Slurm's accounting",
        UsageSource::NotMeasured => "not measured",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slurms_rows_are_read_and_other_lines_passed_over() {
        let found = rows("motd\n228|sta-a|COMPLETED|jl1\n229|sta-b|RUNNING|jl[1-2]\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].id.as_str(), found[1].state.as_str()), ("229", "RUNNING"));
    }

    #[test]
    fn a_clusters_settings_are_ones_that_a_node_takes() {
        let described = json!({
            "name": "juelich", "version": "22.05.8", "prefix": ["setpriv", "--reuid", "{account}"], "observer": "watch",
            "accounts": ["one", "two"], "slurm_account": "sta", "partition": "batch", "directory": "/scratch/{account}/sta",
            "hook": "/hook", "nodes": ["a", "b"], "gpu_type": "gh200", "gpus_per_node": 4,
        });
        let cluster: Cluster = serde_json::from_value(described).unwrap();
        let settings = cluster.settings();
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(settings.gpus.get("gh200"), Some(&8));
        let written = toml::to_string_pretty(&settings).unwrap();
        assert_eq!(toml::from_str::<SlurmSettings>(&written).unwrap(), settings);
    }
}
