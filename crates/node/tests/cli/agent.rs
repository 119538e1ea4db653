// SPDX-License-Identifier: Apache-2.0
//! A site behind its agent, as its operators set it up: the real binary on both sides, and the commands of docs/operations.md.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use super::{Bench, Serving, mode};

impl Bench {
    /// A node whose site waits for its agent, with that agent's token and configuration.
    fn with_agent(&self) {
        self.signed_treaty();
        let config = fs::read_to_string(self.path("ca/sta.toml")).unwrap();
        let agents = config.replace("engine = \"local\"", "engine = \"agent\"");
        assert_ne!(config, agents);
        fs::write(self.path("ca/sta.toml"), agents).unwrap();
        fs::create_dir(self.path("login")).unwrap();
        self.done(&[
            "agent",
            "token",
            "--dir",
            "ca",
            "--site",
            "quebec-hydro",
            "--out",
            "login/quebec-hydro.token",
        ]);
        let config = format!(
            "node = \"http://127.0.0.1:{}\"\nsite = \"quebec-hydro\"\ntoken_file = \"quebec-hydro.token\"\ndirectory = \"state\"\nengine = \"local\"\n",
            self.ports[0]
        );
        fs::write(self.path("login/agent.toml"), config).unwrap();
    }

    fn agent(&self) -> Serving {
        let mut child = self
            .command(&["agent", "--config", "login/agent.toml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "sta: the agent of quebec-hydro calls its node\n");
        Serving(child)
    }

    fn state(&self, job: &str) -> String {
        self.json(&["job", "--profile", "ada", job])["state"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_job_runs_at_a_site_that_only_dials_out_even_when_its_agent_is_killed() {
    let bench = Bench::new();
    bench.with_agent();
    assert_eq!(mode(&bench.path("login/quebec-hydro.token")), 0o600);
    assert_eq!(mode(&bench.path("ca/agents/quebec-hydro/token.json")), 0o600);
    let _node = bench.serve("ca");
    bench.done(&["researcher", "add", "--dir", "ca", "ada", "--profile", "ada"]);
    let project = ["project", "add", "--dir", "ca", "vision", "--credits", "10.00", "--researcher", "ada"];
    bench.done(&project);
    bench.done(&["passport", "issue", "--profile", "ada"]);
    fs::write(bench.path("note.txt"), "a note\n").unwrap();
    let agent = bench.agent();
    let options = ["--profile", "ada", "--project", "vision", "--purpose", "research"];
    let files = ["--input", "note.txt", "--output", "copy.txt", "--site-allow", "quebec-hydro"];
    let command = ["--", "sh", "-c", "echo began; sleep 2; cat note.txt >> copy.txt"];
    let job = bench.json_before_dashes(&[&["submit"], &options[..], &files[..]].concat(), &command);
    let job = job["id"].as_str().unwrap().to_owned();
    bench.wait("the job to begin", |bench| (bench.state(&job) == "running").then_some(()));
    // SIGKILL; the job goes on under its supervisor.
    drop(agent);
    let agent = bench.agent();
    bench.wait("the job to end", |bench| (bench.state(&job) == "completed").then_some(()));
    bench.done(&["result", "--profile", "ada", "--out", "results", &job]);
    assert_eq!(fs::read_to_string(bench.path("results/copy.txt")).unwrap(), "a note\n", "it ran once");
    assert!(bench.done(&["logs", "--profile", "ada", &job]).contains("began"));
    assert_eq!(agent.stop(), Some(0), "an agent stops in order");
}

#[test]
fn an_agent_with_a_token_that_the_node_does_not_know_is_exit_code_4() {
    let bench = Bench::new();
    bench.with_agent();
    let _node = bench.serve("ca");
    let token = ["agent", "token", "--dir", "ca", "--site", "quebec-hydro", "--out"];
    bench.done(&[&token[..], &["newer.token"]].concat());
    let told = bench.sta(&["agent", "--config", "login/agent.toml"]);
    assert_eq!(told.code, 4, "{}", told.err);
    assert!(told.err.contains("make a new one at the node with `sta agent token`"), "{}", told.err);
    let again = bench.sta(&[&token[..], &["newer.token"]].concat());
    assert_eq!(again.code, 2, "a token is never written over: {}", again.err);
}

#[test]
fn an_agent_is_made_only_for_a_site_that_waits_for_one_and_only_over_tls() {
    let bench = Bench::new();
    bench.with_agent();
    let told = bench.sta(&["agent", "token", "--dir", "de", "--site", "juelich"]);
    assert_eq!(told.code, 2);
    assert!(told.err.contains("no such site with `engine = \"agent\"`"), "{}", told.err);
    let config = fs::read_to_string(bench.path("login/agent.toml")).unwrap();
    let open = config.replace(&format!("127.0.0.1:{}", bench.ports[0]), "node.ca.example");
    fs::write(bench.path("login/agent.toml"), open).unwrap();
    let told = bench.sta(&["agent", "--config", "login/agent.toml"]);
    assert_eq!(told.code, 2);
    assert!(told.err.contains("it is not https, and the token would travel in the clear"), "{}", told.err);
    assert_eq!(bench.sta(&["agent"]).code, 2, "it is told where its configuration is");
}
