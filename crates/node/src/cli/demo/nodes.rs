// SPDX-License-Identifier: Apache-2.0
//! The demo's two nodes: founded with fresh keys, run as processes of their own, killed and started again.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    super::failure::{Failure, Trying},
    Stage, weights,
};
use crate::engines::local::SEARCH_PATH;

/// The treaty that the demo fills with fresh keys.
const TREATY: &str = include_str!("../../../../../treaties/canada-germany.toml");
/// Where the process ids of nodes that were left running are.
const PIDS: &str = "nodes.pid";

/// One member of the demo.
#[derive(Debug)]
pub(super) struct DemoNode {
    /// Short name.
    pub member: &'static str,
    /// Address.
    pub url: String,
    process: Option<Child>,
}

/// Both members.
#[derive(Debug)]
pub(super) struct Nodes {
    /// Canada.
    pub ca: DemoNode,
    /// Germany.
    pub de: DemoNode,
}

impl Nodes {
    /// Makes both nodes, lets both sign the treaty, and starts them.
    ///
    /// # Errors
    /// A step failed.
    pub(super) fn found(stage: &Stage) -> Result<Self, Failure> {
        let (ca, de) = free_ports()?;
        let node = |member, port| DemoNode { member, url: format!("http://127.0.0.1:{port}"), process: None };
        let mut nodes = Self { ca: node("ca", ca), de: node("de", de) };
        init(stage, &nodes.ca, &["--name", "Canada", "--site", "quebec-hydro"])?;
        init(stage, &nodes.de, &["--name", "Germany", "--site", "juelich", "--site", "frankfurt-cloud"])?;
        let template = stage.path("treaty.template.toml");
        std::fs::write(&template, TREATY).trying_to("write the treaty's template")?;
        for node in ["ca", "de"] {
            stage.clusters().configure(&stage.path(node))?;
            weights::take_evaluations_of_any_age(&stage.path(node))?;
        }
        let members = ["--member", "{}/ca/member.toml", "--member", "{}/de/member.toml"];
        let new = ["treaty", "new", "--from", "{}/treaty.template.toml", "--out", "{}/treaty.toml"];
        stage.sta(&[&new[..], &members].concat())?;
        stage.sta(&["treaty", "sign", "--dir", "{}/ca", "{}/treaty.toml"])?;
        stage.sta(&["treaty", "sign", "--dir", "{}/de", "{}/treaty.jws.json"])?;
        for node in ["ca", "de"] {
            let target = stage.path(node).join("treaty.jws.json");
            std::fs::copy(stage.path("treaty.jws.json"), target).trying_to("give each node the treaty")?;
        }
        nodes.ca.start(stage)?;
        nodes.de.start(stage)?;
        stage.say(&format!(
            "   ca at {}, de at {}, under {}",
            nodes.ca.url,
            nodes.de.url,
            stage.shown_directory()
        ));
        Ok(nodes)
    }

    /// Ends both.
    pub(super) fn stop(&mut self) {
        self.ca.stop();
        self.de.stop();
    }

    /// Leaves both running, and notes where they are so that the next demo can end them.
    ///
    /// # Errors
    /// The note cannot be written.
    pub(super) fn leave_running(&mut self, stage: &Stage) -> Result<(), Failure> {
        let nodes = [&self.ca, &self.de];
        let pids: Vec<String> = nodes
            .iter()
            .filter_map(|node| node.process.as_ref().map(|child| child.id().to_string()))
            .collect();
        std::fs::write(stage.path(PIDS), pids.join("\n")).trying_to("note the running nodes")?;
        (self.ca.process, self.de.process) = (None, None);
        Ok(())
    }
}

impl Drop for Nodes {
    /// A demo that fails half-way leaves no node behind.
    fn drop(&mut self) {
        self.stop();
    }
}

fn init(stage: &Stage, node: &DemoNode, more: &[&str]) -> Result<(), Failure> {
    let directory = format!("{{}}/{}", node.member);
    let words = [
        "init",
        "--dir",
        &directory,
        "--member",
        node.member,
        "--url",
        &node.url,
        "--jurisdiction",
        node.member,
    ];
    stage.sta(&[&words[..], more].concat()).map(|_answer| ())
}

/// Two ports that nobody listens on now.
fn free_ports() -> Result<(u16, u16), Failure> {
    let listen = || TcpListener::bind("127.0.0.1:0").trying_to("find a free port");
    let (one, other) = (listen()?, listen()?);
    let port = |listener: &TcpListener| {
        listener.local_addr().map(|address| address.port()).trying_to("find a free port")
    };
    Ok((port(&one)?, port(&other)?))
}

impl DemoNode {
    /// Starts the node and waits until it says that it listens.
    ///
    /// # Errors
    /// It does not come up; its log says why.
    pub(super) fn start(&mut self, stage: &Stage) -> Result<(), Failure> {
        let doing = format!("start the node `{}`", self.member);
        let log_path = stage.path(&format!("{}.log", self.member));
        let log = File::options().create(true).append(true).open(&log_path).trying_to(&doing)?;
        let mut child = Command::new(stage.program())
            .arg("serve")
            .arg("--dir")
            .arg(stage.path(self.member))
            .env("PATH", search_path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .spawn()
            .trying_to(&doing)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).trying_to(&doing)?;
        }
        if !line.contains("listens on") {
            // It has ended already, or is about to: take leave of it either way.
            let _ended = child.kill().and_then(|()| child.wait());
            return Err(Failure::new(doing, format!("it did not come up; see {}", log_path.display())));
        }
        self.process = Some(child);
        Ok(())
    }

    /// Kills the node with SIGKILL: no goodbye, nothing flushed.
    ///
    /// # Errors
    /// It is not there to be killed.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        let doing = format!("kill the node `{}`", self.member);
        let mut child = self.process.take().ok_or_else(|| Failure::new(&doing, "it does not run"))?;
        child.kill().trying_to(&doing)?;
        child.wait().trying_to(doing).map(|_status| ())
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.process.take() {
            terminate(child.id());
            // SIGTERM is answered within ten seconds; a node that does not is killed.
            for _ in 0..110 {
                if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            let _ended = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Where the nodes find the programs that lead to a cluster: `chroot` is among those that not everybody's path has.
fn search_path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    if own.is_empty() { SEARCH_PATH.to_owned() } else { format!("{own}:{SEARCH_PATH}") }
}

/// Ends the nodes that an earlier `sta demo --keep` left running.
pub(super) fn stop_earlier(directory: &Path) {
    let pids = std::fs::read_to_string(directory.join(PIDS)).unwrap_or_default();
    for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
        // A process id can have been given to somebody else since.
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command.contains("serve") && command.contains(&*directory.to_string_lossy()) {
            terminate(pid);
        }
    }
}

fn terminate(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        // It may have ended by itself.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}
