// SPDX-License-Identifier: Apache-2.0
//! The work that a crash falls into: a job across the border, one at home, two that are cancelled, one that its host refuses;
//! and a client that repeats what it was not answered.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use http::Method;
use serde_json::{Value, json};
use sta_node::{
    cli::{failure::Exit, profile::Profile},
    steps::submit::SubmitRequest,
};
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    holder_proof::{HolderClaims, holder_proof},
    ids::JobId,
    job::{InputFile, JobSpec, Objective, Shape},
};

use super::{
    held::{self, Held},
    pair::{NOTE, Nodes, Pair},
};

/// How long the work may take, whatever befalls it. A peer that was away often is only tried again after up to 30 s.
const PATIENCE: Duration = Duration::from_secs(150);
/// What a job says once each time it runs.
pub(super) const RAN: &str = "ran\n";

/// When its researcher wants a job stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    Never,
    AtOnce,
    WhenItRuns,
}

/// One job of the work.
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) name: &'static str,
    /// How it ends, whatever happens to the nodes.
    pub(super) end: &'static str,
    /// How often it runs: at least, at most.
    pub(super) runs: (usize, usize),
    request: Value,
    cancel: Cancel,
    /// The node said yes to the submission, to the cancellation.
    answered: [bool; 2],
    /// The final state and receipt as they were first seen.
    seen: Option<String>,
}

/// All of the work.
pub(super) struct Work {
    pub(super) jobs: Vec<Job>,
    /// What holds them, where something does.
    pub(super) held: Option<Held>,
}

impl Work {
    /// New jobs under new ids.
    pub(super) fn new(pair: &Pair) -> Self {
        let job = |name, site, end, runs, cancel| Job::new(pair, name, site, end, runs, cancel);
        Self {
            jobs: vec![
                job("abroad", "juelich", "completed", (1, 1), Cancel::Never),
                job("at-home", "quebec-hydro", "completed", (1, 1), Cancel::Never),
                job("refused", "juelich", "refused", (0, 0), Cancel::Never),
                job("stopped", "juelich", "cancelled", (0, 1), Cancel::WhenItRuns),
                job("withdrawn", "juelich", "cancelled", (0, 1), Cancel::AtOnce),
            ],
            held: None,
        }
    }

    /// Two jobs abroad: one that an order to stop suspends while it runs, and one that a gate holds until a person lets it go.
    pub(super) fn held(pair: &Pair) -> Self {
        let job = |name| Job::new(pair, name, "juelich", "completed", (1, 1), Cancel::Never);
        let (ordered, mut released) = (job("ordered"), job("released"));
        released.request = request(pair, released.id, held::training(released.spec()));
        Self { held: Some(Held::new(pair, ordered.id)), jobs: vec![ordered, released] }
    }

    /// Does what is left to do, through a death, until nobody has anything left to do.
    pub(super) async fn finish(&mut self, pair: &Pair, nodes: &mut Nodes) {
        let began = Instant::now();
        let client = pair.ada();
        loop {
            nodes.revive(pair);
            for job in &mut self.jobs {
                job.ask(pair, &client).await;
                job.keeps_what_was_answered(pair);
            }
            if let Some(held) = &mut self.held {
                held.ask(pair, &self.jobs[0]).await;
            }
            let open = self.open(pair);
            if open.is_empty() {
                return;
            }
            let late = || format!("{open:?} is left to do\nca: {}\nde: {}", nodes.said(0), nodes.said(1));
            assert!(began.elapsed() < PATIENCE, "{}", late());
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// What is not done yet: requests, jobs, effects, and cosignatures of the logs.
    fn open(&self, pair: &Pair) -> Vec<String> {
        let asked = |job: &&Job| !job.answered[0] || (job.cancel != Cancel::Never && !job.answered[1]);
        let mut open: Vec<String> = self.jobs.iter().filter(asked).map(|job| job.name.to_owned()).collect();
        for (member, sql) in [
            ("ca", "SELECT name || ' is ' || state FROM jobs WHERE ended_at IS NULL"),
            ("ca", "SELECT job || ' is ' || state FROM hosted WHERE state != 'finished'"),
            ("de", "SELECT job || ' is ' || state FROM hosted WHERE state != 'finished'"),
            ("ca", "SELECT lane || ' ' || kind || ': ' || coalesce(last_error, '') FROM outbox"),
            ("de", "SELECT lane || ' ' || kind || ': ' || coalesce(last_error, '') FROM outbox"),
            ("ca", UNWITNESSED),
            ("de", UNWITNESSED),
        ] {
            open.extend(pair.look(member, sql).into_iter().map(|what| format!("{member}: {what}")));
        }
        open.extend(self.held.iter().flat_map(|held| held.open(pair)));
        open
    }
}

/// A log that has grown beyond what the other member has cosigned.
const UNWITNESSED: &str =
    "SELECT 'the log is not cosigned' FROM audit_checkpoints AS latest WHERE name = 'latest'
    AND NOT EXISTS (SELECT 1 FROM audit_checkpoints WHERE name = 'published' AND size = latest.size)";

impl Job {
    fn new(
        pair: &Pair,
        name: &'static str,
        site: &str,
        end: &'static str,
        runs: (usize, usize),
        cancel: Cancel,
    ) -> Self {
        let id = new_id();
        // Who runs is told at once, and what is cancelled would run on for long.
        let script = match (end, name) {
            ("cancelled", _) => "echo ran; sleep 250",
            // Long enough for an order to stop to meet it.
            (_, "ordered") => "echo ran; sleep 4; cat note.txt >> copy.txt",
            (_, _) => "echo ran; cat note.txt >> copy.txt",
        };
        let spec = JobSpec {
            version: 1,
            name: name.to_owned(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            image: "host".to_owned(),
            project: "crossing".parse().unwrap(),
            purpose: "research".to_owned(),
            purpose_class: None,
            exception_claimed: false,
            datasets: if end == "refused" { vec!["de/survey".parse().unwrap()] } else { Vec::new() },
            inputs: if end == "completed" { vec![note()] } else { Vec::new() },
            outputs: if end == "completed" { vec!["copy.txt".to_owned()] } else { Vec::new() },
            cpu_cores: 1,
            memory_bytes: 64 << 20,
            gpus: 0,
            time_limit_s: 300,
            network: false,
            objective: Objective::CHEAPEST,
            sites_allowed: vec![site.parse().unwrap()],
            sites_refused: Vec::new(),
            shape: Shape::default(),
            outputs_weights: Vec::new(),
            after: Vec::new(),
            attempts_max: 1,
            site_options: BTreeMap::new(),
            training: None,
            inputs_about: None,
            checkpoint: None,
        };
        Self {
            id,
            name,
            end,
            runs,
            request: request(pair, id, spec),
            cancel,
            answered: [false; 2],
            seen: None,
        }
    }

    fn spec(&self) -> JobSpec {
        serde_json::from_value(self.request["spec"].clone()).unwrap()
    }

    /// Submits and cancels until each has been answered; the same request each time.
    async fn ask(&mut self, pair: &Pair, client: &sta_node::cli::client::Client) {
        if !self.answered[0] {
            self.answered[0] = answered(client, "/v1/jobs", Some(&self.request)).await;
        }
        let is_due = match self.cancel {
            Cancel::Never => false,
            Cancel::AtOnce => true,
            Cancel::WhenItRuns => self.look(pair, "state") == ["running"],
        };
        if self.answered[0] && is_due && !self.answered[1] {
            self.answered[1] = answered(client, &format!("/v1/jobs/{}/cancel", self.id), None).await;
        }
    }

    /// A column of the job at its home.
    pub(super) fn look(&self, pair: &Pair, column: &str) -> Vec<String> {
        pair.look("ca", &format!("SELECT {column} FROM jobs WHERE id = '{}'", self.id))
    }

    /// What was acknowledged is there, and what has ended stays as it ended, under the same receipt.
    fn keeps_what_was_answered(&mut self, pair: &Pair) {
        let there = self.look(pair, "cancel_asked").pop();
        assert!(!self.answered[0] || there.is_some(), "`{}` was acknowledged and is lost", self.name);
        let is_over = self.look(pair, "ended_at IS NOT NULL") == ["1"];
        let asked = is_over || there.as_deref() == Some("1");
        assert!(!self.answered[1] || asked, "the end of `{}` was acknowledged and is lost", self.name);
        let ended = "CASE WHEN ended_at IS NULL THEN NULL ELSE state || ' ' || coalesce(receipt, '') END";
        let now = self.look(pair, ended).pop().filter(|text| !text.is_empty());
        if let Some(before) = &self.seen {
            assert_eq!(Some(before), now.as_ref(), "`{}` had ended already", self.name);
        }
        self.seen = now;
    }
}

/// Whether the node did what it was asked. Nothing but a death keeps it from answering.
pub(super) async fn answered(
    client: &sta_node::cli::client::Client,
    path: &str,
    document: Option<&Value>,
) -> bool {
    match client.ask(Method::POST, path, document).await {
        Ok(_) => true,
        Err(failure) if failure.exit == Exit::Unreachable => false,
        Err(failure) => panic!("{failure}"),
    }
}

fn note() -> InputFile {
    let sha256 = Sha256Digest::of(NOTE.as_bytes());
    InputFile { name: "note.txt".to_owned(), sha256, bytes: NOTE.len() as u64, class: Class::Internal }
}

pub(super) fn request(pair: &Pair, job: JobId, spec: JobSpec) -> Value {
    request_of(&pair.profile(), job, spec)
}

/// What a person hands in.
pub(super) fn request_of(profile: &Profile, job: JobId, spec: JobSpec) -> Value {
    let claims = HolderClaims {
        job,
        digest: Sha256Digest::of_json(&spec).unwrap(),
        audience: profile.about.member.clone(),
        issued_at: jiff::Timestamp::now(),
    };
    let proof = holder_proof(&profile.holder().unwrap(), &claims).unwrap();
    let passport = profile.passport().unwrap();
    json!(SubmitRequest { job, spec, passport, holder_proof: proof.as_str().to_owned() })
}

/// An id nobody used before, of this process and this moment.
pub(super) fn new_id() -> JobId {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut random = [0; 10];
    random[..2].copy_from_slice(&std::process::id().to_be_bytes()[2..]);
    random[2..].copy_from_slice(&uuid::Uuid::now_v7().as_bytes()[8..]);
    JobId::new(u64::try_from(now.as_millis()).unwrap(), random)
}
