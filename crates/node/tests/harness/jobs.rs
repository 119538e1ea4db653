// SPDX-License-Identifier: Apache-2.0
//! Jobs and datasets of the tests, submitted over HTTP as a researcher would.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sta_protocol::{
    compute::{BaseCompute, TeraFlop},
    data_protection::{AboutPeople, SubjectRegion},
    digest::Sha256Digest,
    holder_proof::{HolderClaims, holder_proof},
    ids::JobId,
    job::{JobSpec, JobTraining, Objective, Shape},
    model::{BaseModel, Modality},
};

use super::{Answer, TestNode, World, holder};

/// A small job that ends by itself with `TEXT` in `model.json`.
pub(crate) fn spec() -> JobSpec {
    JobSpec {
        version: 1,
        name: "digits".to_owned(),
        command: vec!["leave".to_owned(), "a model".to_owned()],
        image: "host".to_owned(),
        project: "digits".parse().unwrap(),
        purpose: "research".to_owned(),
        purpose_class: None,
        exception_claimed: false,
        datasets: Vec::new(),
        inputs: Vec::new(),
        outputs: vec!["model.json".to_owned()],
        cpu_cores: 2,
        memory_bytes: 1 << 30,
        gpus: 0,
        time_limit_s: 600,
        network: false,
        objective: Objective::CHEAPEST,
        sites_allowed: Vec::new(),
        sites_refused: Vec::new(),
        shape: Shape::default(),
        outputs_weights: Vec::new(),
        after: Vec::new(),
        attempts_max: 1,
        site_options: BTreeMap::new(),
        training: None,
        inputs_about: None,
        checkpoint: None,
    }
}

/// A training run of `ca/maple` on a base of 60 teraFLOP, with a million parameters: it says that it adds 6 teraFLOP for each
/// million tokens, and a third of its base is 20.
pub(crate) fn training_of(tokens: u64) -> JobTraining {
    JobTraining {
        run: None,
        model: "ca/maple".parse().unwrap(),
        base: Some(BaseModel {
            name: "birch".to_owned(),
            model: None,
            weights: Vec::new(),
            class: "open".parse().unwrap(),
            compute: BaseCompute::Known { teraflop: TeraFlop::new(60).unwrap() },
        }),
        generates: vec![Modality::Prediction],
        parameters: 1_000_000,
        tokens,
        added_elsewhere_teraflop: TeraFlop::ZERO,
        market_eu: false,
    }
}

/// A dataset of health data that may be processed in the EEA only, as a steward registers it.
pub(crate) fn dataset(file: Sha256Digest, bytes: usize) -> Value {
    json!({
        "name": "hospital", "title": "Measurements", "class": "special", "origin": "de", "residency": ["eea"],
        "purposes": ["research"], "files": [{"name": "wdbc.csv", "sha256": file, "bytes": bytes}],
        "protection": {
            "people": {"subject_region": "eea", "high_risk": true}, "article_nine_basis": "research",
            "impact_assessment": {"sha256": Sha256Digest::of(b"assessment"), "dated": "2026-02-02"},
            "processor_contracts": [
                {"sites": ["juelich"], "sha256": Sha256Digest::of(b"contract"), "dated": "2026-02-09"},
            ],
        },
    })
}

/// What a researcher declares of files about people in Canada outside of Québec.
pub(crate) fn about_canadians() -> AboutPeople {
    AboutPeople {
        subject_region: Some(SubjectRegion::Canada),
        high_risk: Some(false),
        from_quebec: Some(false),
        under_pipeda: Some(false),
        ..AboutPeople::default()
    }
}

impl TestNode {
    /// A fresh job id.
    pub(crate) fn job_id(&self) -> JobId {
        JobId::new(self.node.outside.now_ms(), self.node.outside.random())
    }

    /// The body of a submission, with a passport around these visas and the person's own proof.
    pub(crate) async fn submission(
        &self,
        person: &str,
        job: JobId,
        spec: &JobSpec,
        visas: &[String],
    ) -> Value {
        let passport = self.post(person, "/v1/passports", &json!({"visas": visas})).await.ok();
        let claims = HolderClaims {
            job,
            digest: Sha256Digest::of_json(spec).unwrap(),
            audience: self.id(),
            issued_at: self.node.outside.now(),
        };
        let proof = holder_proof(&holder(person), &claims).unwrap();
        json!({"job": job, "spec": spec, "passport": passport["passport"], "holder_proof": proof.as_str()})
    }

    /// Submits a job of a person.
    pub(crate) async fn submit(&self, person: &str, spec: &JobSpec) -> Answer {
        let body = self.submission(person, self.job_id(), spec, &[]).await;
        self.post(person, "/v1/jobs", &body).await
    }

    /// Waits until a job is in a state, and gives its document.
    pub(crate) async fn wait_for(&self, person: &str, job: &str, state: &str) -> Value {
        for _ in 0..1200 {
            let document = self.get(person, &format!("/v1/jobs/{job}")).await.ok();
            if document["state"] == state {
                return document;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("job {job} is not {state}: {}", self.get(person, &format!("/v1/jobs/{job}")).await.text());
    }

    /// Submits a job and waits for its end.
    pub(crate) async fn finished(&self, person: &str, spec: &JobSpec) -> Value {
        let job = self.submit(person, spec).await.ok();
        self.wait_for(person, job["id"].as_str().unwrap(), "completed").await
    }
}

impl World {
    /// Registers `de/hospital` and gives Ada of Canada the visa for it.
    pub(crate) async fn hospital(&self) -> String {
        let file = self.de.upload("stella", b"1,2,3\n").await;
        let answer = self.de.post("stella", "/v1/datasets", &dataset(file, 6)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let visa = json!({
            "subject": "ada@ca", "holder": holder("ada").public_key().key_id(), "kind": "dataset", "dataset": "de/hospital",
        });
        let visa = self.de.post("stella", "/v1/visas", &visa).await.ok();
        self.ca.get("ada", "/v1/datasets/de/hospital").await.ok();
        visa["visa"].as_str().unwrap().to_owned()
    }
}
