// SPDX-License-Identifier: Apache-2.0
//! An engine that runs nothing: the job's command says what it would have done.
//!
//! `leave TEXT [TIMES]` ends with code 0 and TEXT in every declared output, `fail CODE` ends with that code, `break TIMES` is failed by
//! its site that often and then ends with code 0, `never` is a job that it can never run, `wait` runs until cancelled or given
//! notice, `finish` runs until it is given notice and ends with code 0 then.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use sta_node::{
    engines::{
        Answer, Capacity, Engine, EngineError, EngineJob, Exit, LogChunk, Objection, Observation, Outcome,
        OutputFile, RunId, Stream, Usage,
    },
    outside::Clock,
};
use sta_protocol::{digest::Sha256Digest, federation::UsageSources, ids::JobId, treaty::Resources};
use tokio::sync::Notify;

pub(crate) struct FakeEngine {
    root: PathBuf,
    clock: Arc<dyn Clock>,
    jobs: Mutex<BTreeMap<RunId, (EngineJob, Observation)>>,
    /// Whether it orders its jobs itself, and names those that moved.
    queue: AtomicBool,
    named: Mutex<Vec<RunId>>,
    moves: Notify,
    looks: AtomicU32,
    suspended: Mutex<BTreeSet<RunId>>,
    wiped: Mutex<BTreeSet<RunId>>,
    notices: Mutex<Vec<(RunId, Duration)>>,
    checkpoints_wiped: Mutex<BTreeSet<JobId>>,
    /// Seconds for each core that a job asks for.
    wait_per_core_s: AtomicU32,
}

impl FakeEngine {
    pub(crate) fn new(root: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            root: root.to_owned(),
            clock,
            jobs: Mutex::default(),
            queue: AtomicBool::new(false),
            named: Mutex::default(),
            moves: Notify::new(),
            looks: AtomicU32::new(0),
            suspended: Mutex::default(),
            wiped: Mutex::default(),
            notices: Mutex::default(),
            checkpoints_wiped: Mutex::default(),
            wait_per_core_s: AtomicU32::new(u32::MAX),
        }
    }

    /// From the node's start on, this engine orders its jobs itself.
    pub(crate) fn order_jobs_itself(&self) {
        self.queue.store(true, Ordering::SeqCst);
    }

    /// From now on, it expects jobs to wait so long for each core that they ask for.
    pub(crate) fn expect_waits(&self, per_core_s: u32) {
        self.wait_per_core_s.store(per_core_s, Ordering::SeqCst);
    }

    /// How often it was asked where a job stands.
    pub(crate) fn looks(&self) -> u32 {
        self.looks.load(Ordering::SeqCst)
    }

    /// Whether the attempt stands still.
    pub(crate) fn is_suspended(&self, id: RunId) -> bool {
        self.suspended.lock().unwrap().contains(&id)
    }

    /// Whether what the attempt left was removed.
    pub(crate) fn is_wiped(&self, id: RunId) -> bool {
        self.wiped.lock().unwrap().contains(&id)
    }

    /// Whom it gave notice, in that order, and how long.
    pub(crate) fn notices(&self) -> Vec<(RunId, Duration)> {
        self.notices.lock().unwrap().clone()
    }

    /// Whether what the job saved was removed.
    pub(crate) fn is_checkpoint_wiped(&self, job: JobId) -> bool {
        self.checkpoints_wiped.lock().unwrap().contains(&job)
    }

    /// Which archive of what it saved elsewhere the attempt came with, and what that holds.
    pub(crate) fn came_with(&self, id: RunId) -> Option<(Sha256Digest, Vec<u8>)> {
        let jobs = self.jobs.lock().unwrap();
        let input = jobs.get(&id)?.0.saved_input()?;
        Some((input.sha256, std::fs::read(&input.path).unwrap()))
    }

    /// What it was given to run.
    pub(crate) fn taken(&self) -> Vec<RunId> {
        self.jobs.lock().unwrap().keys().copied().collect()
    }

    fn moves(&self, id: RunId) {
        self.named.lock().unwrap().push(id);
        self.moves.notify_one();
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
    fn check(&self, job: &EngineJob) -> Result<(), Objection> {
        if job.image == "host" {
            return Ok(());
        }
        Err(Objection::Image { image: job.image.clone(), known: "host".to_owned() })
    }

    fn has_queue(&self) -> bool {
        self.queue.load(Ordering::SeqCst)
    }

    fn expected_wait_s(&self, size: Resources) -> Option<u32> {
        let per_core_s = self.wait_per_core_s.load(Ordering::SeqCst);
        (per_core_s < u32::MAX).then(|| per_core_s * size.cpu_cores)
    }

    fn moved(&self) -> Pin<Box<dyn Future<Output = Option<Vec<RunId>>> + Send + '_>> {
        Box::pin(async {
            loop {
                let named = std::mem::take(&mut *self.named.lock().unwrap());
                if !named.is_empty() {
                    return Some(named);
                }
                self.moves.notified().await;
            }
        })
    }

    fn submit<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, ()> {
        Box::pin(async move {
            if job.command == ["never"] {
                return Err(EngineError::Invalid { id: job.id, reason: "it never runs here".to_owned() });
            }
            let words: Vec<&str> = job.command.iter().map(String::as_str).collect();
            let observation = match words.as_slice() {
                ["leave", text] => self.outcome(job, Exit::Code(0), Some(text)),
                ["leave", text, times] => {
                    self.outcome(job, Exit::Code(0), Some(&text.repeat(times.parse().unwrap())))
                }
                ["break", times] if job.id.attempt <= times.parse().unwrap() => {
                    self.outcome(job, Exit::SiteFault("a node was lost".to_owned()), None)
                }
                ["break", _] => self.outcome(job, Exit::Code(0), Some("at last")),
                ["fail", code] => self.outcome(job, Exit::Code(code.parse().unwrap()), None),
                ["pend"] => Observation::Pending { reason: None, suspended: false },
                _ => Observation::Running { started_at: self.clock.now(), suspended: false },
            };
            self.jobs.lock().unwrap().entry(job.id).or_insert((job.clone(), observation));
            self.moves(job.id);
            Ok(())
        })
    }

    fn observe(&self, id: RunId) -> Answer<'_, Observation> {
        Box::pin(async move {
            self.looks.fetch_add(1, Ordering::SeqCst);
            let jobs = self.jobs.lock().unwrap();
            let seen = jobs.get(&id).map_or(Observation::Unknown, |(_, observation)| observation.clone());
            let stands_still = self.suspended.lock().unwrap().contains(&id);
            Ok(match seen {
                Observation::Running { started_at, .. } => {
                    Observation::Running { started_at, suspended: stands_still }
                }
                seen => seen,
            })
        })
    }

    fn cancel(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move {
            if let Some((job, observation)) = self.jobs.lock().unwrap().get_mut(&id) {
                *observation = self.outcome(job, Exit::Cancelled, None);
            }
            self.moves(id);
            Ok(())
        })
    }

    fn reclaim(&self, id: RunId, grace: Duration) -> Answer<'_, ()> {
        Box::pin(async move {
            if let Some((job, observation)) = self.jobs.lock().unwrap().get_mut(&id)
                && !matches!(observation, Observation::Finished(_))
            {
                let exit = if job.command == ["finish"] { Exit::Code(0) } else { Exit::Reclaimed };
                let text = (exit == Exit::Code(0)).then_some("in time");
                *observation = self.outcome(job, exit, text);
                self.notices.lock().unwrap().push((id, grace));
            }
            self.moves(id);
            Ok(())
        })
    }

    /// Of a job that saves its work, a file that says whose it is; it is no archive.
    fn pack_checkpoint(&self, run: RunId) -> Answer<'_, Option<PathBuf>> {
        Box::pin(async move {
            let jobs = self.jobs.lock().unwrap();
            let (job, observation) = jobs.get(&run).ok_or(EngineError::Unknown { id: run })?;
            if !matches!(observation, Observation::Finished(_)) {
                return Err(EngineError::NotFinished { id: run });
            }
            if !job.checkpoint {
                return Ok(None);
            }
            let path = self.root.join(format!("{}.checkpoint.tar", run.job));
            std::fs::create_dir_all(&self.root).unwrap();
            std::fs::write(&path, format!("what {run} saved")).unwrap();
            Ok(Some(path))
        })
    }

    fn wipe_checkpoint(&self, job: JobId) -> Answer<'_, ()> {
        self.checkpoints_wiped.lock().unwrap().insert(job);
        let _gone = std::fs::remove_file(self.root.join(format!("{job}.checkpoint.tar"))).is_ok();
        Box::pin(async { Ok(()) })
    }

    fn suspend(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move {
            self.suspended.lock().unwrap().insert(id);
            self.moves(id);
            Ok(())
        })
    }

    fn resume(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move {
            self.suspended.lock().unwrap().remove(&id);
            self.moves(id);
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

    fn wipe(&self, id: RunId) -> Answer<'_, ()> {
        self.wiped.lock().unwrap().insert(id);
        Box::pin(async { Ok(()) })
    }

    fn capacity(&self) -> Capacity {
        Capacity { cpu_cores: 64, memory_bytes: 1 << 38, gpus: BTreeMap::new() }
    }
}
