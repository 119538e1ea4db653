// SPDX-License-Identifier: Apache-2.0
//! An engine that runs nothing: the job's command says what it would have done.
//!
//! `leave TEXT [TIMES]` ends with code 0 and TEXT in every declared output, `fail CODE` ends with that code, `wait` runs until cancelled.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use sta_node::{
    engines::{
        Answer, Capacity, Engine, EngineError, EngineJob, Exit, LogChunk, Objection, Observation, Outcome,
        OutputFile, RunId, Stream, Usage,
    },
    outside::Clock,
};
use sta_protocol::{digest::Sha256Digest, federation::UsageSources};

pub(crate) struct FakeEngine {
    root: PathBuf,
    clock: Arc<dyn Clock>,
    jobs: Mutex<BTreeMap<RunId, (EngineJob, Observation)>>,
}

impl FakeEngine {
    pub(crate) fn new(root: &Path, clock: Arc<dyn Clock>) -> Self {
        Self { root: root.to_owned(), clock, jobs: Mutex::default() }
    }

    fn file(&self, id: RunId, name: &str) -> PathBuf {
        self.root.join(id.to_string()).join(name)
    }

    fn outcome(&self, job: &EngineJob, exit: Exit, text: Option<&str>) -> Observation {
        let now = self.clock.now();
        let mut outputs = Vec::new();
        for name in &job.outputs {
            let Some(text) = text else { continue };
            let path = self.file(job.id, name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            let sha256 = Sha256Digest::of(text.as_bytes());
            outputs.push(OutputFile { name: name.clone(), bytes: text.len() as u64, sha256 });
        }
        Observation::Finished(Outcome {
            exit,
            started_at: now,
            ended_at: now,
            usage: Usage {
                wall_ms: 60_000,
                cpu_ms: 90_000,
                memory_peak_bytes: 1 << 20,
                sources: UsageSources::default(),
            },
            tasks: Vec::new(),
            limits_enforced: vec!["none: nothing runs here".to_owned()],
            outputs_missing: if text.is_none() { job.outputs.clone() } else { Vec::new() },
            outputs,
        })
    }
}

impl Engine for FakeEngine {
    fn check(&self, _job: &EngineJob) -> Result<(), Objection> {
        Ok(())
    }

    fn submit<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, ()> {
        Box::pin(async move {
            let words: Vec<&str> = job.command.iter().map(String::as_str).collect();
            let observation = match words.as_slice() {
                ["leave", text] => self.outcome(job, Exit::Code(0), Some(text)),
                ["leave", text, times] => {
                    self.outcome(job, Exit::Code(0), Some(&text.repeat(times.parse().unwrap())))
                }
                ["fail", code] => self.outcome(job, Exit::Code(code.parse().unwrap()), None),
                _ => Observation::Running { started_at: self.clock.now() },
            };
            self.jobs.lock().unwrap().entry(job.id).or_insert((job.clone(), observation));
            Ok(())
        })
    }

    fn observe(&self, id: RunId) -> Answer<'_, Observation> {
        Box::pin(async move {
            let jobs = self.jobs.lock().unwrap();
            Ok(jobs.get(&id).map_or(Observation::Unknown, |(_, observation)| observation.clone()))
        })
    }

    fn cancel(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move {
            if let Some((job, observation)) = self.jobs.lock().unwrap().get_mut(&id) {
                *observation = self.outcome(job, Exit::Cancelled, None);
            }
            Ok(())
        })
    }

    fn logs(
        &self,
        id: RunId,
        _index: u32,
        stream: Stream,
        offset: u64,
        length_max: usize,
    ) -> Answer<'_, LogChunk> {
        Box::pin(async move {
            let jobs = self.jobs.lock().unwrap();
            let (job, observation) = jobs.get(&id).ok_or(EngineError::Unknown { id })?;
            let text = match stream {
                Stream::Stdout => job.command.join(" "),
                Stream::Stderr => String::new(),
            };
            let rest = text.as_bytes().get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let bytes = rest[..rest.len().min(length_max)].to_vec();
            Ok(LogChunk { bytes, end: matches!(observation, Observation::Finished(_)) })
        })
    }

    fn output_path<'a>(&'a self, id: RunId, name: &'a str) -> Answer<'a, PathBuf> {
        Box::pin(async move { Ok(self.file(id, name)) })
    }

    fn wipe(&self, _id: RunId) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn capacity(&self) -> Capacity {
        Capacity { cpu_cores: 64, memory_bytes: 1 << 38, gpus: BTreeMap::new() }
    }
}
