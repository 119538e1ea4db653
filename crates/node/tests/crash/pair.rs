// SPDX-License-Identifier: Apache-2.0
//! Two nodes as processes: founded once, copied for each crash, killed, started again and looked into from outside.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use nix::sys::signal::Signal;
use serde_json::Value;
use sta_node::{
    cli::{
        client::Client,
        profile::{Profile, operator},
    },
    engines::slurm::settings::SlurmSettings,
};
use tempfile::TempDir;

use super::{Death, MEMBERS};
use crate::harness::first_column;

/// The file that Ada brings to her jobs.
pub(super) const NOTE: &str = "a note from Toronto\n";

/// Both members as they were founded, and the place where a copy of them lives through each crash.
pub(super) struct Pair {
    directory: TempDir,
}

impl Pair {
    /// Founds both members with a researcher, a project, and a dataset of which only its own member knows that it has
    /// become stricter; stops them and keeps them to be copied.
    pub(super) async fn found() -> Self {
        Self::found_under(str::to_owned).await
    }

    /// The same under the example treaty as `terms` writes it anew. Sofia may hand in jobs too.
    pub(super) async fn found_under(terms: impl FnOnce(&str) -> String) -> Self {
        let pair = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir(pair.path("")).unwrap();
        std::fs::write(pair.path("note.txt"), NOTE).unwrap();
        let ports = free_ports();
        let sites = [vec!["--site", "quebec-hydro"], vec!["--site", "juelich", "--site", "frankfurt-cloud"]];
        for ((member, port), sites) in MEMBERS.into_iter().zip(ports).zip(sites) {
            let url = format!("http://127.0.0.1:{port}");
            pair.sta(&[&["init", "--dir", member, "--member", member, "--url", &url], &sites[..]].concat());
        }
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../treaties/canada-germany.toml");
        let template = "template.toml";
        // The pair is copied as it stands now, perhaps with a checkpoint that the other has not cosigned yet: a walk that goes on for
        // longer than a treaty allows for that would see its jobs refused.
        let patient =
            std::fs::read_to_string(example).unwrap().replace("behind_s_max = 300", "behind_s_max = 3600");
        assert!(patient.contains("behind_s_max = 3600"), "the example says how long a witness may be behind");
        std::fs::write(pair.path(template), terms(&patient)).unwrap();
        let members = ["--member", "ca/member.toml", "--member", "de/member.toml"];
        pair.sta(&[&["treaty", "new", "--from", template, "--out", "treaty.toml"], &members[..]].concat());
        pair.sta(&["treaty", "sign", "--dir", "ca", "treaty.toml"]);
        pair.sta(&["treaty", "sign", "--dir", "de", "treaty.jws.json"]);
        for member in MEMBERS {
            std::fs::copy(pair.path("treaty.jws.json"), pair.path(member).join("treaty.jws.json")).unwrap();
        }
        let nodes = Nodes::start(&pair, [const { Vec::new() }; 2]);
        pair.sta(&["researcher", "add", "--dir", "ca", "ada", "--profile", "ada"]);
        pair.sta(&[
            "project",
            "add",
            "--dir",
            "ca",
            "crossing",
            "--credits",
            "100.00",
            "--researcher",
            "ada",
        ]);
        pair.sta(&["passport", "issue", "--profile", "ada"]);
        pair.sta(&["researcher", "add", "--dir", "de", "sofia", "--role", "safety", "--profile", "sofia"]);
        let credits = ["--credits", "100.00", "--researcher", "sofia"];
        pair.sta(&[&["project", "add", "--dir", "de", "lending"], &credits[..]].concat());
        pair.sta(&["passport", "issue", "--profile", "sofia"]);
        pair.upload_note().await;
        pair.sta(&[
            "dataset", "add", "--dir", "de", "survey", "--class", "open", "--origin", "de", "note.txt",
        ]);
        pair.ada().get("/v1/datasets/de/survey").await.unwrap();
        let stricter = ["--class", "special", "--origin", "de", "--residency", "eea", "note.txt"];
        pair.sta(&[&["dataset", "add", "--dir", "de", "survey"], &stricter[..]].concat());
        drop(nodes);
        copy(&pair.path(""), &pair.directory.path().join("founded"));
        pair
    }

    async fn upload_note(&self) {
        let file = sta_node::cli::files::LocalFile::of(&self.path("note.txt")).unwrap();
        sta_node::cli::files::upload(&self.ada(), &file).await.unwrap();
    }

    /// A path in the directory where the members live now.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("now").join(name)
    }

    /// Leaves the files for somebody to look at.
    pub(super) fn keep(self) {
        let _kept = self.directory.keep();
    }

    /// Gives the one site of `ca` to a cluster, as its operator would write it.
    pub(super) fn drive_by_slurm(&self, settings: &SlurmSettings) {
        let path = self.directory.path().join("founded/ca/sta.toml");
        let mut config: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let site = config["sites"][0].as_table_mut().unwrap();
        site.insert("engine".to_owned(), "slurm".into());
        site.insert("slurm".to_owned(), toml::Value::try_from(settings).unwrap());
        std::fs::write(&path, config.to_string()).unwrap();
    }

    /// Both members as they were founded, running, with the deaths that await each.
    pub(super) fn start(&self, deaths: [Vec<Death>; 2]) -> Nodes {
        std::fs::remove_dir_all(self.path("")).unwrap();
        copy(&self.directory.path().join("founded"), &self.path(""));
        Nodes::start(self, deaths)
    }

    /// Calls `sta` as a person would.
    pub(super) fn sta(&self, words: &[&str]) -> Value {
        let mut command = self.command(words);
        let told = command.arg("--json").stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&told.stderr);
        assert!(
            told.status.success(),
            "sta {}: {said}{}",
            words.join(" "),
            String::from_utf8_lossy(&told.stdout)
        );
        serde_json::from_slice(&told.stdout).unwrap_or_default()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sta"));
        command.args(words).current_dir(self.path("")).env_clear();
        // Nothing of the person who runs the tests: neither their profiles nor their language.
        command.env("HOME", self.path("")).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "en");
        command
    }

    /// Ada's client.
    pub(super) fn ada(&self) -> Client {
        self.profile().client().unwrap()
    }

    /// The client of Sofia, who is responsible for safety in Germany.
    pub(super) fn sofia(&self) -> Client {
        self.profile_of("sofia").client().unwrap()
    }

    /// Ada's profile.
    pub(super) fn profile(&self) -> Profile {
        self.profile_of("ada")
    }

    /// Somebody's profile.
    pub(super) fn profile_of(&self, name: &str) -> Profile {
        Profile::open(Some(&self.path(name))).unwrap()
    }

    /// The client of a member's operator.
    pub(super) fn operator(&self, member: &str) -> Client {
        operator(&self.path(member), None).unwrap()
    }

    /// What a member's store holds, dead or alive: the first column of the rows that `sql` finds.
    pub(super) fn look(&self, member: &str, sql: &str) -> Vec<String> {
        first_column(&self.path(member), sql)
    }
}

/// The running nodes of a pair; they end, as hard as any, when this goes.
pub(super) struct Nodes {
    directory: PathBuf,
    commands: [Command; 2],
    children: [Option<Child>; 2],
    /// The deaths that each life of each node is still to end with, the next one last.
    to_come: [Vec<Death>; 2],
    /// What those who died owed, death by death.
    pub(super) owed: Vec<Vec<String>>,
}

impl Nodes {
    fn start(pair: &Pair, to_come: [Vec<Death>; 2]) -> Self {
        let commands = MEMBERS.map(|member| pair.command(&["serve", "--dir", member]));
        let mut nodes =
            Self { directory: pair.path(""), commands, children: [None, None], to_come, owed: Vec::new() };
        for at in 0..MEMBERS.len() {
            nodes.spawn(at);
        }
        nodes
    }

    /// Starts a node and waits until it listens, or has died on the way as it was told to.
    fn spawn(&mut self, at: usize) {
        let die_at = self.to_come[at].pop().map(|death| death.to_string());
        let log = File::options().create(true).append(true).open(self.log(at)).unwrap();
        let mut mortal = Command::new(self.commands[at].get_program());
        mortal.args(self.commands[at].get_args()).args(die_at.iter().flat_map(|place| ["--die-at", place]));
        mortal.current_dir(&self.directory).env_clear();
        mortal.envs(self.commands[at].get_envs().filter_map(|(name, value)| Some((name, value?))));
        mortal.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = mortal.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.children[at] = Some(child);
        assert!(
            line.contains("listens on") || die_at.is_some(),
            "{} did not start: {}",
            MEMBERS[at],
            self.said(at)
        );
    }

    fn log(&self, at: usize) -> PathBuf {
        self.directory.join(format!("{}.log", MEMBERS[at]))
    }

    /// The end of a node's log.
    pub(super) fn said(&self, at: usize) -> String {
        let text = std::fs::read_to_string(self.log(at)).unwrap_or_default();
        let from = text.len().saturating_sub(4000);
        text.get(from..).unwrap_or(&text).to_owned()
    }

    /// Starts a node that has died again.
    pub(super) fn revive(&mut self, pair: &Pair) {
        for (at, member) in MEMBERS.into_iter().enumerate() {
            let Some(status) = self.children[at].as_mut().and_then(|child| child.try_wait().unwrap()) else {
                continue;
            };
            let killed = status.signal() == Some(Signal::SIGKILL as i32);
            assert!(killed, "{member} ended by itself: {}", self.said(at));
            self.owed.push(pair.look(member, "SELECT kind FROM outbox"));
            self.spawn(at);
        }
    }

    /// Kills a node from outside and starts it again, to live.
    pub(super) fn restart(&mut self, member: &str) {
        self.restart_after(member, || {});
    }

    /// The same with a look at what the dead one left.
    pub(super) fn restart_after(&mut self, member: &str, look: impl FnOnce()) {
        let at = MEMBERS.iter().position(|known| *known == member).unwrap();
        self.kill(at);
        self.to_come[at].clear();
        look();
        self.spawn(at);
    }

    /// The most memory that a node has had in this life, in bytes: `VmHWM` of proc_pid_status(5).
    pub(super) fn memory_peak(&self, member: &str) -> u64 {
        let at = MEMBERS.iter().position(|known| *known == member).unwrap();
        let pid = self.children[at].as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")).unwrap();
        peak.trim().parse::<u64>().unwrap() * 1024
    }

    fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.children[at].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for at in 0..MEMBERS.len() {
            self.kill(at);
        }
    }
}

/// Two ports that nobody listens on, below those that the system gives to outgoing connections: a node that is dead for a
/// moment must find its port free again.
fn free_ports() -> [u16; 2] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 9000).unwrap();
    [0, 1].map(|_| {
        loop {
            let port = 20_000 + (base + NEXT.fetch_add(1, Ordering::Relaxed)) % 9000;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    })
}

fn copy(from: &Path, to: &Path) {
    // With owners and modes: keys that others could read are not used.
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "cp -a {} {}", from.display(), to.display());
}
