// SPDX-License-Identifier: Apache-2.0
//! Two members as processes of the real binary, each with a site on a Slurm cluster, who reach each other over a link that can be cut.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{MEMBERS, link::Link};
use crate::harness::{clusters::Cluster, first_column};

/// The project of both members.
const PROJECT: &str = "crossing";

/// Both members, running.
pub(super) struct Members {
    directory: TempDir,
    nodes: Vec<Child>,
    /// How they reach each other.
    pub(super) link: Link,
}

impl Members {
    /// Founds both, `ca` with `quebec-hydro` on the first cluster and `de` with `juelich` on the second, and starts them.
    pub(super) fn found(clusters: [&Cluster; 2]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        // The addresses in the treaty are the link's; where a node itself listens only its own people know.
        let ways = [(); 2].map(|()| {
            let (link, node) = (listen(), listen().local_addr().unwrap());
            (link, node)
        });
        let addresses = ways.each_ref().map(|(link, node)| (link.local_addr().unwrap(), *node));
        let members = Self { directory, nodes: Vec::new(), link: Link::new(ways) };
        members.found_nodes(clusters, addresses);
        members.people(addresses)
    }

    fn found_nodes(&self, clusters: [&Cluster; 2], addresses: [(SocketAddr, SocketAddr); 2]) {
        for (at, member) in MEMBERS.iter().enumerate() {
            let (link, node) = addresses[at];
            let (url, listen) = (format!("http://{link}"), node.to_string());
            let (dir, site) = (member.name, member.site);
            self.sta(&[
                "init", "--dir", dir, "--member", dir, "--url", &url, "--listen", &listen, "--site", site,
            ]);
            let path = self.path(dir).join("sta.toml");
            let mut config: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
            let site = json!([{"id": site, "engine": "slurm", "slurm": settings(clusters[at])}]);
            config.insert("sites".to_owned(), toml::Value::try_from(site).unwrap());
            fs::write(&path, config.to_string()).unwrap();
        }
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../treaties/canada-germany.toml");
        let all = ["--member", "ca/member.toml", "--member", "de/member.toml"];
        let new = ["treaty", "new", "--from", template.to_str().unwrap(), "--out", "treaty.toml"];
        self.sta(&[&new[..], &all].concat());
        self.sta(&["treaty", "sign", "--dir", "ca", "treaty.toml"]);
        self.sta(&["treaty", "sign", "--dir", "de", "treaty.jws.json"]);
        for member in MEMBERS {
            fs::copy(self.path("treaty.jws.json"), self.path(member.name).join("treaty.jws.json")).unwrap();
        }
    }

    /// Starts both nodes, and gives each a researcher who reaches it without the link.
    fn people(mut self, addresses: [(SocketAddr, SocketAddr); 2]) -> Self {
        for member in MEMBERS {
            let node = self.start(member.name);
            self.nodes.push(node);
        }
        for (member, (link, node)) in MEMBERS.into_iter().zip(addresses) {
            let (dir, person) = (member.name, member.person);
            self.sta(&["researcher", "add", "--dir", dir, person, "--profile", person]);
            let path = self.path(person).join("profile.toml");
            let profile = fs::read_to_string(&path).unwrap();
            fs::write(&path, profile.replace(&link.to_string(), &node.to_string())).unwrap();
            self.sta(&[
                "project",
                "add",
                "--dir",
                dir,
                PROJECT,
                "--credits",
                "100.00",
                "--researcher",
                person,
            ]);
            self.sta(&["passport", "issue", "--profile", person]);
        }
        self
    }

    fn start(&self, member: &str) -> Child {
        let log = fs::File::create(self.path(&format!("{member}.log"))).unwrap();
        let mut command = self.command(&["serve", "--dir", member]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listens on"), "{member} did not start: {}", self.said(member));
        child
    }

    /// The end of a node's log.
    pub(super) fn said(&self, member: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{member}.log"))).unwrap_or_default();
        text.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sta"));
        command.args(words).current_dir(self.directory.path()).env_clear().stdin(Stdio::null());
        // Nothing of the person who runs the tests: neither their profiles nor their language.
        command.env("HOME", self.directory.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin");
        command.env("LANG", "en");
        command
    }

    /// Calls `sta` as a person would.
    pub(super) fn sta(&self, words: &[&str]) -> Value {
        let told = self.command(words).arg("--json").output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, said) = (text(&told.stdout), text(&told.stderr));
        assert!(told.status.success(), "sta {}: {said}{out}", words.join(" "));
        serde_json::from_str(&out).unwrap_or_default()
    }

    /// Hands in a job that only one site may run; gives its id.
    pub(super) fn submit(&self, person: &str, site: &str, name: &str, script: &str) -> String {
        let who = ["submit", "--json", "--profile", person, "--project", PROJECT, "--purpose", "research"];
        let what = ["--cpu", "1", "--memory", "64 MiB", "--time-limit", "2 min", "--site-allow", site];
        let run = ["--name", name, "--", "sh", "-c", script];
        let told = self.command(&[&who[..], &what, &run].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&told.stdout));
        let job: Value = serde_json::from_slice(&told.stdout).unwrap();
        job["id"].as_str().unwrap().to_owned()
    }

    /// What a member's store holds: the first column of the rows that `sql` finds.
    pub(super) fn look(&self, member: &str, sql: &str) -> Vec<String> {
        first_column(&self.path(member), sql)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // One that has ended already needs no end.
            let _ = kill(Pid::from_raw(node.id().try_into().unwrap()), Signal::SIGKILL);
            let _ = node.wait();
        }
    }
}

fn settings(cluster: &Cluster) -> Value {
    json!({
        "cluster": cluster.name, "prefix": cluster.prefix, "observer": cluster.observer,
        "directory": cluster.directory, "partition": cluster.partition, "hook": cluster.hook, "poll_s": 1,
        "first_come": {"accounts": cluster.accounts, "slurm_account": cluster.slurm_account},
    })
}
