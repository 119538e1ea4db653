// SPDX-License-Identifier: Apache-2.0
//! What simulated jobs leave when they end: some of their outputs, and what they used.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sta_node::engines::{Outcome, OutputFile, RunId, Usage};
use sta_protocol::{digest::Sha256Digest, federation::UsageSources};

use super::{Job, Random, SimEngine};

impl SimEngine {
    pub(super) fn outcome(&self, id: RunId, job: &Job) -> Outcome {
        let mut random = Random::of(self.machines.seed, &format!("outputs of {id}"));
        let (mut outputs, mut outputs_missing) = (Vec::new(), Vec::new());
        for name in &job.job.outputs {
            if job.began && random.percent(85) {
                outputs.push(self.write_output(id, name, job.wiped));
            } else {
                outputs_missing.push(name.clone());
            }
        }
        let started_at = if job.began { job.begins_at } else { job.ends_at };
        let wall_ms = u64::try_from(job.ends_at.duration_since(started_at).as_millis())
            .expect("an end after its beginning");
        Outcome {
            exit: job.exit.clone(),
            started_at,
            ended_at: job.ends_at,
            usage: Usage {
                wall_ms,
                cpu_ms: wall_ms,
                memory_peak_bytes: 1 << 20,
                sources: UsageSources::default(),
            },
            tasks: Vec::new(),
            limits_enforced: vec!["time-limit".to_owned()],
            outputs,
            outputs_missing,
        }
    }

    fn write_output(&self, id: RunId, name: &str, wiped: bool) -> OutputFile {
        let content = format!("{name} of {id}\n").repeat(20).into_bytes();
        let path = self.output_file(id, name);
        if !wiped && !path.exists() {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("room for outputs");
            fs::write(&path, &content).expect("room for outputs");
        }
        OutputFile { name: name.to_owned(), bytes: content.len() as u64, sha256: Sha256Digest::of(&content) }
    }

    pub(super) fn output_file(&self, id: RunId, name: &str) -> PathBuf {
        self.directory.join("machines").join(self.site.as_str()).join(id.to_string()).join(name)
    }
}
