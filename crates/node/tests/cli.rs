// SPDX-License-Identifier: Apache-2.0
//! The command line as people and programs meet it: the real binary, its files, its words and its exit codes.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

mod agent;
mod demo;
mod evaluations;
mod incidents;
mod jobs;
mod nodes;
mod policies;
mod replays;
mod standings;
mod stops;
mod treaties;

/// What a command answered.
struct Told {
    code: i32,
    out: String,
    err: String,
}

/// The two members of these tests and a directory for their files.
struct Bench {
    directory: TempDir,
    ports: [u16; 2],
}

impl Bench {
    fn new() -> Self {
        // Both are held until both are known, or the second could be the first.
        let taken = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = taken.each_ref().map(|listener| listener.local_addr().unwrap().port());
        Self { directory: tempfile::tempdir().unwrap(), ports }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sta"));
        command.args(arguments).current_dir(self.directory.path()).env_clear();
        // Nothing of the person who runs the tests: neither their profiles nor their language.
        command
            .env("HOME", self.directory.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "en");
        command
    }

    fn sta(&self, arguments: &[&str]) -> Told {
        let output = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Told { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a command that must do what it is asked.
    fn done(&self, arguments: &[&str]) -> String {
        let told = self.sta(arguments);
        assert_eq!(told.code, 0, "sta {}: {}{}", arguments.join(" "), told.out, told.err);
        told.out
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// The same of a command that ends with somebody else's words.
    fn json_before_dashes(&self, arguments: &[&str], rest: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"], rest].concat())).unwrap()
    }

    /// Makes the directories of `ca` and `de`.
    fn init(&self) {
        let sites = [vec!["--site", "quebec-hydro"], vec!["--site", "juelich", "--site", "frankfurt-cloud"]];
        for ((member, port), sites) in ["ca", "de"].into_iter().zip(self.ports).zip(sites) {
            let url = format!("http://127.0.0.1:{port}");
            self.done(
                &[&["init", "--dir", member, "--member", member, "--url", &url], sites.as_slice()].concat(),
            );
        }
    }

    /// Makes `treaty.toml` for both.
    fn treaty(&self) {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../treaties/canada-germany.toml");
        let template = template.to_str().unwrap();
        self.done(&[
            "treaty",
            "new",
            "--from",
            template,
            "--member",
            "ca/member.toml",
            "--member",
            "de/member.toml",
            "--out",
            "treaty.toml",
        ]);
    }

    /// Has both sign it, and puts it where their nodes look for it.
    fn signed_treaty(&self) {
        self.init();
        self.treaty();
        self.done(&["treaty", "sign", "--dir", "ca", "treaty.toml"]);
        self.done(&["treaty", "sign", "--dir", "de", "treaty.jws.json"]);
        for member in ["ca", "de"] {
            fs::copy(self.path("treaty.jws.json"), self.path(member).join("treaty.jws.json")).unwrap();
        }
    }

    fn serve(&self, member: &str) -> Serving {
        let mut child = self
            .command(&["serve", "--dir", member])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("sta: {member} listens on http://127.0.0.1:")), "{line:?}");
        Serving(child)
    }

    /// Waits until `look` finds something.
    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "still waiting for {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A node that runs, and ends with the test.
struct Serving(Child);

impl Serving {
    /// Asks it to end and says how it did.
    fn stop(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Of a node that has ended already, nothing is left to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
