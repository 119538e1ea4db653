// SPDX-License-Identifier: Apache-2.0
//! Real Slurm clusters for tests: what `examples/two-clusters/up` wrote about those it brought up, and their bad days.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde::Deserialize;

/// The environment variable that names the directory of a set of clusters.
pub(crate) const DIRECTORY_VARIABLE: &str = "STA_CLUSTERS";

/// A Slurm cluster that is up. The fields are those of `clusters.json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Cluster {
    /// As Slurm calls it, such as `juelich`.
    pub(crate) name: String,
    /// Slurm's version, such as `24.11.5`.
    pub(crate) version: String,
    /// `cgroup` or `linuxproc`; with the latter a job over its memory is killed late, and not called out of memory.
    pub(crate) tracking: String,
    /// The words before a command given as the account that replaces `{account}`.
    pub(crate) prefix: Vec<String>,
    /// The words before a command given as the cluster's operator.
    pub(crate) operator_prefix: Vec<String>,
    /// The account that only looks.
    pub(crate) observer: String,
    /// Unix accounts that may submit.
    pub(crate) accounts: Vec<String>,
    /// The Slurm account they submit under.
    pub(crate) slurm_account: String,
    /// The usual partition.
    pub(crate) partition: String,
    /// Where an account's jobs may have their directories, with `{account}` in it. The same path inside and outside.
    pub(crate) directory: String,
    /// A directory that each account can make its own directories in.
    pub(crate) scratch: PathBuf,
    /// The file that changes whenever a job ends.
    pub(crate) hook: PathBuf,
    /// Names of nodes.
    pub(crate) nodes: Vec<String>,
    /// Processors that each node says it has.
    pub(crate) cpus_per_node: u32,
    /// Memory that each node says it has, in MiB.
    pub(crate) memory_mb_per_node: u64,
    /// The type of every GPU, such as `gh200`.
    pub(crate) gpu_type: String,
    /// GPUs of each node.
    pub(crate) gpus_per_node: u32,
    /// The set that this cluster is of, and its script of faults.
    #[serde(skip)]
    set: Set,
}

#[derive(Debug, Clone, Default)]
struct Set {
    directory: PathBuf,
    fault: PathBuf,
}

#[derive(Deserialize)]
struct Clusters {
    directory: PathBuf,
    fault: PathBuf,
    clusters: Vec<Cluster>,
}

/// The clusters that are up for the tests, or none, with a line that says so.
pub(crate) fn clusters() -> Option<Vec<Cluster>> {
    let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) else {
        println!(
            "left out: no Slurm clusters are up ({DIRECTORY_VARIABLE} is unset; see examples/two-clusters)"
        );
        return None;
    };
    Some(clusters_in(Path::new(&directory)))
}

/// The clusters of the set in a directory.
///
/// # Panics
/// When there is none.
pub(crate) fn clusters_in(directory: &Path) -> Vec<Cluster> {
    let path = directory.join("clusters.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let Clusters { directory, fault, mut clusters } =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for cluster in &mut clusters {
        cluster.set = Set { directory: directory.clone(), fault: fault.clone() };
    }
    clusters
}

impl Cluster {
    /// Does to a daemon or a node what the script `fault` knows, such as `kill` to `slurmctld`, and waits until it is done.
    ///
    /// # Panics
    /// When it cannot be done.
    pub(crate) fn fault(&self, action: &str, target: &str) {
        let set = &self.set;
        let output = run(Command::new(&set.fault).arg(&set.directory).args([&self.name, action, target]));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "fault {} {action} {target}: {said}", self.name);
    }

    /// Runs a command as the operator, such as `scontrol`, and returns what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub(crate) fn operate(&self, words: &[&str]) -> String {
        succeed(&mut command(&self.operator_prefix, words))
    }

    /// Runs a command as an account, such as `squeue`, and returns what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub(crate) fn ask(&self, account: &str, words: &[&str]) -> String {
        let prefix: Vec<_> = self.prefix.iter().map(|word| word.replace("{account}", account)).collect();
        succeed(&mut command(&prefix, words))
    }
}

fn command(prefix: &[String], words: &[&str]) -> Command {
    let (program, rest) = prefix.split_first().expect("a prefix begins with a program");
    let mut command = Command::new(program);
    command.args(rest).args(words);
    command
}

fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
    String::from_utf8(output.stdout).expect("Slurm prints Unicode")
}
