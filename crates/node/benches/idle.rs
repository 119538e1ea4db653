// SPDX-License-Identifier: Apache-2.0
//! What an idle process holds of the memory: `sta serve` beside a bare axum, each started and left alone for five seconds.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// How long a process is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(5);

/// The first argument with which this program serves `hello` and does nothing else.
pub(crate) const HELLO: &str = "--only-hello";

/// Resident memory of `sta serve` over a node's directory, in MiB.
pub(crate) fn node(directory: &Path) -> Result<f64> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sta"));
    command.arg("serve").arg("--dir").arg(directory);
    resident(command)
}

/// Resident memory of a bare axum, in MiB.
pub(crate) fn hello() -> Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(HELLO);
    resident(command)
}

/// Ends the process whatever happens.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn resident(mut command: Command) -> Result<f64> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut child = Ended(child);
    std::thread::sleep(SETTLE);
    ensure!(child.0.try_wait()?.is_none(), "the process has ended: {command:?}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
