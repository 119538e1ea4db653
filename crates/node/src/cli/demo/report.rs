// SPDX-License-Identifier: Apache-2.0
//! What the demo found, as one JSON document for programs and a few lines for people.

use serde_json::{Value, json};

use super::{
    super::{
        failure::{Failure, Trying},
        profile::Profile,
        treaty::verified,
    },
    Stage,
    nodes::Nodes,
};

/// Everything that the JSON document says.
pub(super) struct Report {
    treaty: Value,
    currency: String,
    clusters: Value,
    nodes: Vec<Value>,
    jobs: Vec<Value>,
    /// Whose each job is, in the order of `jobs`; empty where no node has it.
    profiles: Vec<String>,
    statements: Value,
    verified: Value,
    period: String,
}

impl Report {
    /// A report about nodes that run under a treaty.
    ///
    /// # Errors
    /// The treaty does not verify.
    pub(super) fn new(stage: &Stage) -> Result<Self, Failure> {
        let treaty = verified(&stage.path("treaty.jws.json"))?;
        stage.say(&format!("   treaty {} signed by both.", treaty.digest()));
        Ok(Self {
            treaty: json!({"digest": treaty.digest()}),
            currency: treaty.settlement.currency.clone(),
            clusters: stage.clusters().document(),
            nodes: Vec::new(),
            jobs: Vec::new(),
            profiles: Vec::new(),
            statements: Value::Null,
            verified: Value::Null,
            period: sta_decide::settle::period_of(jiff::Timestamp::now()),
        })
    }

    /// The calendar month of the demo.
    #[must_use]
    pub(super) fn period(&self) -> String {
        self.period.clone()
    }

    /// Millionths as money.
    #[must_use]
    pub(super) fn money(&self, micro: i64) -> String {
        format!("{}.{:06} {}", micro / 1_000_000, micro % 1_000_000, self.currency)
    }

    /// What a job cost in money and grams.
    #[must_use]
    pub(super) fn cost(&self, job: &Value) -> String {
        let grams = grams(job);
        format!("{}, {grams:.6} g CO2", self.money(job["price_micro"].as_i64().unwrap_or_default()))
    }

    /// Adds a job, as the person with that profile sees it.
    pub(super) fn add(&mut self, name: &str, job: &Value, accuracy: Option<f64>, profile: &str) {
        let output = |output: &Value| json!({"name": output["name"], "sha256": output["sha256"]});
        let outputs: Vec<Value> = job["outputs"].as_array().into_iter().flatten().map(output).collect();
        self.jobs.push(json!({
            "name": name, "id": job["id"], "home": job["home"], "host": job["host"], "state": job["state"],
            "exit_code": job["exit_code"], "accuracy": accuracy, "price_micro": job["price_micro"], "co2_g": job["co2_ug"].as_f64().map(|ug| ug / 1e6),
            "refusals": refusals(&job["refusals"]), "outputs": outputs, "proof": null,
            "site": job["site"], "usage": job["usage"], "slurm": null,
        }));
        self.profiles.push(profile.to_owned());
    }

    /// Fetches the proof of every job; both nodes are up again, so every entry gets its witness.
    ///
    /// # Errors
    /// A node did not answer, or the witness did not come.
    pub(super) async fn fetch_proofs(&mut self, stage: &Stage) -> Result<(), Failure> {
        for (job, profile) in self.jobs.iter_mut().zip(&self.profiles) {
            let id = job["id"].as_str().unwrap_or_default();
            if !profile.is_empty() {
                job["proof"] = json!(proof(stage, id, profile).await?);
            }
        }
        Ok(())
    }

    /// Adds to every job that a cluster has run what that cluster's accounting says of it.
    ///
    /// # Errors
    /// A cluster does not have a job exactly once.
    pub(super) fn ask_slurm(&mut self, stage: &Stage) -> Result<(), Failure> {
        for job in self.jobs.iter_mut().filter(|job| job["state"] == "completed") {
            let run = stage.slurm_job(job)?;
            job["slurm"] = run.map_or(Value::Null, |(cluster, run)| run.document(cluster));
        }
        Ok(())
    }

    /// Adds the offer that a home node forced onto a host; no job of it exists anywhere.
    pub(super) fn add_forced(&mut self, name: &str, id: &str, reasons: &Value) {
        self.jobs.push(json!({
            "name": name, "id": id, "home": "ca", "host": "de", "state": "refused", "exit_code": null, "accuracy": null,
            "price_micro": null, "co2_g": null, "refusals": refusals(reasons), "outputs": [], "proof": null,
            "site": null, "usage": null, "slurm": null,
        }));
        self.profiles.push(String::new());
    }

    /// Notes whether both statements agree.
    pub(super) fn statements(&mut self, equal: bool, digest: &Value) {
        self.statements = json!({"equal": equal, "digest": digest});
    }

    /// Notes what the verifier found.
    pub(super) fn verified(&mut self, entries: u64, tamper_found_at: u64) {
        self.verified = json!({"entries": entries, "witnessed": true, "tamper_found_at": tamper_found_at});
    }

    /// Notes both nodes with their logs.
    ///
    /// # Errors
    /// An exported log cannot be read.
    pub(super) fn nodes(&mut self, stage: &Stage, nodes: &Nodes) -> Result<(), Failure> {
        let treaty = verified(&stage.path("treaty.jws.json"))?;
        for node in [&nodes.ca, &nodes.de] {
            let directory = stage.path(&format!("log-{}", node.member));
            let checkpoint = std::fs::read_to_string(directory.join("checkpoint"))
                .trying_to("read an exported checkpoint")?;
            let mut lines = checkpoint.lines();
            let (origin, size) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
            let keys = treaty
                .members
                .iter()
                .find(|member| member.id.as_str() == node.member)
                .map(|member| &member.keys);
            self.nodes.push(json!({
                "member": node.member, "url": node.url, "origin": origin, "log_size": size.parse::<u64>().unwrap_or_default(),
                "checkpoint": checkpoint, "audit_dir": directory,
                "vkey": keys.map(|keys| &keys.log), "witness_vkey": keys.map(|keys| &keys.witness),
            }));
        }
        Ok(())
    }

    /// The one JSON document.
    #[must_use]
    pub(super) fn document(&self, seconds: f64) -> Value {
        json!({
            "treaty": self.treaty, "clusters": self.clusters, "nodes": self.nodes, "jobs": self.jobs, "statements": self.statements,
            "verified": self.verified, "seconds": seconds,
        })
    }

    /// The closing lines for people.
    pub(super) fn tell(&self, stage: &Stage, seconds: f64) {
        let count = |state: &str| self.jobs.iter().filter(|job| job["state"] == state).count();
        stage.say("");
        stage.say(&format!(
            "All as promised: {} jobs completed, {} refused with their rules, nothing ran twice, both ledgers agree. {seconds:.1} s.",
            count("completed"),
            count("refused"),
        ));
    }
}

fn grams(job: &Value) -> f64 {
    // Micrograms as the ledger keeps them; a float only for display.
    job["co2_ug"].as_f64().unwrap_or_default() / 1e6
}

/// Refusals in the document's form: the facts in one line.
fn refusals(reasons: &Value) -> Vec<Value> {
    let fact_line = |refusal: &Value| {
        let facts = refusal["facts"].as_object().into_iter().flatten();
        facts
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let one = |refusal: &Value| json!({"rule": refusal["rule"], "source": refusal["source"], "fact": fact_line(refusal), "advice": refusal["advice"], "by": refusal["by"]});
    reasons.as_array().into_iter().flatten().map(one).collect()
}

/// Fetches the job's tlog-proof, as soon as a checkpoint that covers it has been witnessed, and keeps it as a file.
async fn proof(stage: &Stage, id: &str, profile: &str) -> Result<String, Failure> {
    let directory = stage.path(profile.trim_start_matches("{}/"));
    let client = Profile::open(Some(&directory))?.client()?;
    let path = stage.path("proofs").join(format!("{id}.tlog-proof"));
    std::fs::create_dir_all(stage.path("proofs")).trying_to("make a place for proofs")?;
    for _ in 0..100 {
        if let Ok(text) = client.text(&format!("/v1/jobs/{id}/proof")).await {
            std::fs::write(&path, text).trying_to("write a proof")?;
            return Ok(path.display().to_string());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(Failure::new(format!("get the proof of job {id}"), "no witnessed checkpoint covered it within 10 s"))
}
