// SPDX-License-Identifier: Apache-2.0
//! The clusters that tests break: a set apart from the one of all other tests, brought up by the first test that needs it and
//! ended when the test program ends, however it does.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use tokio::sync::{Mutex, MutexGuard};

use crate::harness::clusters::{Cluster, DIRECTORY_VARIABLE, clusters, clusters_in};

/// Who may break each cluster of the set now.
static TURNS: [Mutex<()>; 3] = [const { Mutex::const_new(()) }; 3];

/// How many lines of each log a failed test prints.
const LOG_LINES: usize = 80;

/// A cluster that is a test's own for now.
pub(super) struct Turn {
    pub(super) cluster: Cluster,
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    pub(super) async fn take(version: &str) -> Option<Self> {
        let set = tokio::task::spawn_blocking(set).await.unwrap().as_deref()?;
        let fit = |(_, cluster): &(_, &Cluster)| cluster.version.starts_with(version);
        let fitting: Vec<_> = TURNS.iter().zip(set).filter(fit).collect();
        if fitting.is_empty() {
            println!("left out: no cluster with Slurm {version} is up");
            return None;
        }
        loop {
            for (turn, cluster) in &fitting {
                if let Ok(turn) = turn.try_lock() {
                    return Some(Self { cluster: (*cluster).clone(), _turn: turn });
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Turn {
    /// What the cluster's daemons said last: the set is gone by the time anybody reads of a failed test.
    fn print_logs(&self) {
        let Some(home) = self.cluster.scratch.parent() else { return };
        for entry in std::fs::read_dir(home.join("log")).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(LOG_LINES).collect();
            println!("the last of {}:", entry.path().display());
            lines.iter().rev().for_each(|line| println!("  {line}"));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        // A test that failed halfway leaves the cluster as the fault made it, and Slurm drains nodes by itself after a crash;
        // the next test is to find all whole.
        let daemons = [("continue", "slurmctld"), ("start", "slurmctld"), ("start", "slurmdbd")];
        let daemons = daemons.map(|(action, daemon)| (action, daemon.to_owned()));
        let daemons = daemons.into_iter().filter(|_| std::thread::panicking());
        let nodes = self.cluster.nodes.iter().map(|node| ("resume", format!("node:{node}")));
        for (action, target) in daemons.chain(nodes) {
            let _ = std::panic::catch_unwind(|| self.cluster.fault(action, &target));
        }
    }
}

fn set() -> &'static Option<Vec<Cluster>> {
    static SET: OnceLock<Option<Vec<Cluster>>> = OnceLock::new();
    SET.get_or_init(|| clusters().map(|shared| bring_up(&shared)))
}

/// Brings up clusters of the same versions as those that are up for the other tests.
fn bring_up(shared: &[Cluster]) -> Vec<Cluster> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/two-clusters");
    let directory = std::env::temp_dir().join(format!("sta-bad-days-{}", std::process::id()));
    let mut up = Command::new(examples.join("up"));
    up.arg(&directory).args(["--port-offset", "auto"]).stdin(Stdio::null());
    if shared.iter().any(|cluster| cluster.version.starts_with("24.")) {
        up.arg("--with-24.11").env("STA_SLURM24_CHROOT", debian_of_the_shared_set());
    }
    end_with_this_program(&examples.join("down"), &directory);
    let output = up.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{up:?}: {said}");
    clusters_in(&directory)
}

/// The Debian 13 that the other set was made from, so that none is fetched again.
fn debian_of_the_shared_set() -> String {
    let shared = PathBuf::from(std::env::var_os(DIRECTORY_VARIABLE).unwrap());
    let settings = std::fs::read_to_string(shared.join("set.env")).unwrap();
    let line = settings.lines().find_map(|line| line.strip_prefix("chroot_made="));
    line.expect("the set says where its Debian 13 is").to_owned()
}

/// Ends the set once nobody holds the other end of this process's standard input, which is when the tests' program is gone.
fn end_with_this_program(down: &Path, directory: &Path) {
    let script = "cat >/dev/null; exec \"$0\" \"$1\"";
    let mut waits = Command::new("setsid");
    waits.args(["sh", "-c", script]).arg(down).arg(directory);
    let waits = waits.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::mem::forget(waits);
}
