// SPDX-License-Identifier: Apache-2.0
//! The machines of every site: an engine whose jobs take simulated time, outlive the node, and are watched from the side.
//! Each real start of a job is counted, and held against what its host has on disk at that moment.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sta_node::{
    engines::{
        Answer, Capacity, Engine, EngineError, EngineJob, Exit, LogChunk, Objection, Observation, RunId,
        Stream,
    },
    outside::Clock,
    store::hosted::{self, HostState},
};
use sta_protocol::{
    ids::{JobId, SiteId},
    keys::PublicKey,
    treaty::Resources,
};

use super::chance::{Random, SimClock};

mod notice;
mod outputs;
mod saved;
mod suspension;

/// How long a job that is told to end takes to do so.
const GRACE_MS: i64 = 300;
/// The sites that order their jobs themselves.
const QUEUES: [&str; 2] = ["b-cloud", "c-centre"];
/// How often they look which of them have moved.
const MOVED_EVERY: Duration = Duration::from_millis(300);

/// All machines of all sites; they stand beside the nodes and do not crash with them.
pub(super) struct Machines {
    seed: u64,
    state: Mutex<State>,
}

struct State {
    random: Random,
    /// Of a hundred calls of a node, how many fail before or after they were done.
    percent: u64,
    jobs: BTreeMap<(SiteId, RunId), Job>,
    /// Jobs cancelled before they were taken over.
    cancelled: BTreeMap<(SiteId, RunId), Timestamp>,
    /// Attempts that stand still, and since when, also those that were not taken over yet.
    suspended: BTreeMap<(SiteId, RunId), Timestamp>,
    starts: BTreeMap<JobId, Vec<Start>>,
    broken: Vec<String>,
}

/// A job that really began.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) site: SiteId,
    pub(super) attempt: u32,
    pub(super) at: Timestamp,
}

struct Job {
    job: EngineJob,
    begins_at: Timestamp,
    began: bool,
    ends_at: Timestamp,
    exit: Exit,
    wiped: bool,
}

impl Job {
    /// Whether it was ended before it began.
    fn is_never_to_begin(&self) -> bool {
        !self.began
            && matches!(self.exit, Exit::Cancelled | Exit::Reclaimed)
            && self.ends_at <= self.begins_at
    }
}

impl Machines {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::of(seed, "machines");
        let percent = *random.pick(&[0, 5, 15]);
        let state = State {
            random,
            percent,
            jobs: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            suspended: BTreeMap::new(),
            starts: BTreeMap::new(),
            broken: Vec::new(),
        };
        Self { seed, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every call of a node succeeds.
    pub(super) fn clear(&self) {
        self.lock().percent = 0;
    }

    /// Every job that really began, and where.
    pub(super) fn starts(&self) -> BTreeMap<JobId, Vec<Start>> {
        self.lock().starts.clone()
    }

    /// What the machines saw that must never be.
    pub(super) fn broken(&self) -> Vec<String> {
        self.lock().broken.clone()
    }
}

/// One site as its node drives it.
pub(super) struct SimEngine {
    pub(super) machines: Arc<Machines>,
    pub(super) site: SiteId,
    pub(super) resources: Resources,
    pub(super) clock: SimClock,
    /// The host's own directory, to look at what it has on disk.
    pub(super) directory: PathBuf,
    /// The host's own key, under which an admission must be.
    pub(super) host_key: PublicKey,
    /// How each attempt stood when it was last named; gone with the node.
    pub(super) named: Mutex<BTreeMap<RunId, &'static str>>,
}

impl SimEngine {
    fn key(&self, id: RunId) -> (SiteId, RunId) {
        (self.site.clone(), id)
    }

    /// Fails before anything was done (`Some(false)`), or after it (`Some(true)`).
    fn failure(&self, state: &mut State) -> Option<bool> {
        (state.percent > 0 && state.random.next() % 100 < state.percent).then(|| state.random.percent(50))
    }

    fn trouble(&self) -> EngineError {
        let source = std::io::Error::other("the machines did not answer");
        EngineError::Io { doing: "reach", path: PathBuf::from(self.site.as_str()), source }
    }

    /// What the host must have on disk for a job to begin: its own signed consent, and no end of the job.
    fn check_disk(&self, id: RunId) -> Result<(), String> {
        let path = self.directory.join("node.sqlite");
        let connection = Connection::open(path).map_err(|error| error.to_string())?;
        let hosted = hosted::find(&connection, id.job).map_err(|error| error.to_string())?;
        let hosted = hosted.ok_or("its host has no admission of it")?;
        let key = |key_id: &str| (key_id == self.host_key.key_id()).then_some(self.host_key);
        let admission = hosted.admission.verify(key).map_err(|error| error.to_string())?;
        if admission.job != id.job
            || admission.site != self.site
            || admission.offer_digest != hosted.offer.digest()
        {
            return Err("its admission is for something else".to_owned());
        }
        if hosted.attempt != id.attempt {
            return Err(format!("its host is at attempt {}", hosted.attempt));
        }
        match hosted.state {
            HostState::Starting | HostState::Running => Ok(()),
            HostState::Staging | HostState::Ready | HostState::Finished => {
                Err(format!("its host has it as {}", hosted.state.as_str()))
            }
        }
    }

    /// Brings a job up to the present: it begins when its time has come.
    fn advance(&self, state: &mut State, id: RunId) {
        let now = self.clock.now();
        let key = self.key(id);
        let suspended = state.suspended.contains_key(&key);
        let is_due = |job: &&mut Job| !suspended && !job.began && job.begins_at <= now;
        let Some(job) = state.jobs.get_mut(&key).filter(is_due) else { return };
        if job.is_never_to_begin() {
            return;
        }
        if self.has_queue() && !self.has_room(state, id) {
            let wait = SignedDuration::from_millis(200);
            let job = state.jobs.get_mut(&key).expect("just found");
            (job.begins_at, job.ends_at) = (job.begins_at + wait, job.ends_at + wait);
            return;
        }
        self.begin(state, id, now);
    }

    fn begin(&self, state: &mut State, id: RunId, now: Timestamp) {
        let Some(job) = state.jobs.get_mut(&self.key(id)) else { return };
        job.began = true;
        let mut broken = Vec::new();
        if let Err(problem) = self.check_disk(id) {
            broken.push(format!("job {id} began at {} although {problem}", self.site));
        }
        if let Some(input) = job.job.inputs.iter().find(|input| !input.path.is_file()) {
            broken.push(format!("job {id} began at {} without its input `{}`", self.site, input.name));
        }
        let (at, cores_asked) = (job.begins_at, job.job.cpu_cores);
        broken.extend(self.begins_from(state, id));
        let starts = state.starts.entry(id.job).or_default();
        starts.push(Start { site: self.site.clone(), attempt: id.attempt, at });
        if starts.iter().filter(|start| start.attempt == id.attempt).count() > 1 {
            broken.push(format!("attempt {id} began twice: {starts:?}"));
        }
        let others = state.jobs.iter().filter(|((_, run), _)| run.job == id.job && *run != id);
        for ((site, run), _) in others.filter(|(_, other)| other.began && other.ends_at > at) {
            broken.push(format!("attempt {id} began at {} while {run} ran at {site}", self.site));
        }
        let running =
            state.jobs.iter().filter(|((site, _), job)| *site == self.site && job.began && job.ends_at > now);
        let cores: u32 = running.map(|(_, job)| job.job.cpu_cores).sum();
        if cores > self.resources.cpu_cores {
            broken.push(format!(
                "{} has {} cores and its jobs hold {cores}, {cores_asked} of them {id}",
                self.site, self.resources.cpu_cores
            ));
        }
        state.broken.extend(broken);
    }

    /// What becomes of a job follows from its id alone, whenever it is taken over.
    fn take_over(&self, state: &mut State, job: &EngineJob) {
        let now = self.clock.now();
        let mut random = Random::of(self.machines.seed, &job.id.to_string());
        let soonest = now + SignedDuration::from_millis(random.between(0, 1500).cast_signed());
        let natural_ms = random.between(200, 20_000).cast_signed();
        let limit_ms = i64::from(job.time_limit_s) * 1000;
        let exit = match random.below(20) {
            _ if natural_ms > limit_ms => Exit::TimeLimit,
            0..=11 => Exit::Code(0),
            12..=14 => Exit::Code(3),
            15 => Exit::Signal(11),
            16 => Exit::MemoryLimit,
            _ => Exit::SiteFault("a machine broke".to_owned()),
        };
        let length = SignedDuration::from_millis(natural_ms.min(limit_ms));
        let begins_at = if self.has_queue() { self.turn(state, job, soonest, length) } else { soonest };
        let ends_at = begins_at + length;
        let mut taken = Job { job: job.clone(), begins_at, began: false, ends_at, exit, wiped: false };
        if let Some(at) = state.cancelled.get(&self.key(job.id)) {
            (taken.begins_at, taken.ends_at, taken.exit) = (*at, *at, Exit::Cancelled);
        }
        state.jobs.insert(self.key(job.id), taken);
        if let Err(problem) = self.check_disk(job.id) {
            state.broken.push(format!("job {} was handed to {} although {problem}", job.id, self.site));
        }
    }

    /// When a job's turn comes at a site that orders its jobs itself: when all that is planned by then leaves it room.
    fn turn(&self, state: &State, job: &EngineJob, soonest: Timestamp, length: SignedDuration) -> Timestamp {
        let here = || state.jobs.iter().filter(|((site, _), _)| *site == self.site).map(|(_, job)| job);
        let has_room = |at: &Timestamp| {
            let beside = here().filter(|other| other.begins_at < *at + length && other.ends_at > *at);
            beside.map(|other| other.job.cpu_cores).sum::<u32>() + job.cpu_cores <= self.resources.cpu_cores
        };
        let mut times: Vec<_> = here().map(|other| other.ends_at).filter(|at| *at > soonest).collect();
        times.push(soonest);
        times.sort();
        times.into_iter().find(has_room).expect("when all others have ended there is room")
    }

    /// The attempts that moved since they were last named.
    fn moved_now(&self) -> Option<Vec<RunId>> {
        let mut state = self.machines.lock();
        let here: Vec<RunId> =
            state.jobs.keys().filter(|(site, _)| *site == self.site).map(|(_, run)| *run).collect();
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moved = Vec::new();
        for run in here {
            self.advance(&mut state, run);
            let stands = self.stands(&state, run);
            let word = match &stands {
                Observation::Unknown | Observation::Pending { .. } => "waits",
                Observation::Running { .. } => "runs",
                Observation::Finished(_) => "over",
            };
            if named.insert(run, word) != Some(word) {
                moved.push(run);
            }
        }
        // Now and then it only knows that something moved.
        if !moved.is_empty() && state.random.percent(10) { None } else { Some(moved) }
    }

    fn stands(&self, state: &State, id: RunId) -> Observation {
        let now = self.clock.now();
        let suspended = state.suspended.contains_key(&self.key(id));
        match state.jobs.get(&self.key(id)) {
            None => Observation::Unknown,
            Some(job) if !suspended && job.ends_at <= now && (job.began || job.is_never_to_begin()) => {
                Observation::Finished(self.outcome(id, job))
            }
            Some(job) if job.began => Observation::Running { started_at: job.begins_at, suspended },
            Some(_) => Observation::Pending { reason: Some("its turn has not come".to_owned()), suspended },
        }
    }

    fn submit_now(&self, job: &EngineJob) -> Result<(), EngineError> {
        let mut state = self.machines.lock();
        let failure = self.failure(&mut state);
        if failure == Some(false) {
            return Err(self.trouble());
        }
        if !state.jobs.contains_key(&self.key(job.id)) {
            self.take_over(&mut state, job);
        }
        self.advance(&mut state, job.id);
        if failure.is_some() { Err(self.trouble()) } else { Ok(()) }
    }

    fn observe_now(&self, id: RunId) -> Result<Observation, EngineError> {
        let mut state = self.machines.lock();
        if self.failure(&mut state).is_some() {
            return Err(self.trouble());
        }
        self.advance(&mut state, id);
        Ok(self.stands(&state, id))
    }

    fn cancel_now(&self, id: RunId) -> Result<(), EngineError> {
        let mut state = self.machines.lock();
        let failure = self.failure(&mut state);
        if failure == Some(false) {
            return Err(self.trouble());
        }
        let stood = self.go_on(&mut state, id);
        self.advance(&mut state, id);
        let now = self.clock.now();
        let key = self.key(id);
        match state.jobs.get_mut(&key) {
            None => {
                state.cancelled.entry(key).or_insert(now);
            }
            Some(job) if job.began => {
                let ends_at = now + SignedDuration::from_millis(if stood { 0 } else { GRACE_MS });
                if ends_at < job.ends_at {
                    (job.ends_at, job.exit) = (ends_at, Exit::Cancelled);
                }
            }
            Some(job) => (job.begins_at, job.ends_at, job.exit) = (now, now, Exit::Cancelled),
        }
        if failure.is_some() { Err(self.trouble()) } else { Ok(()) }
    }

    fn wipe_now(&self, id: RunId) -> Result<(), EngineError> {
        let mut state = self.machines.lock();
        let failure = self.failure(&mut state);
        if failure == Some(false) {
            return Err(self.trouble());
        }
        let now = self.clock.now();
        let job = state.jobs.get_mut(&self.key(id)).ok_or(EngineError::Unknown { id })?;
        if job.ends_at > now {
            return Err(EngineError::NotFinished { id });
        }
        job.wiped = true;
        let directory = self.output_file(id, "any");
        // Wiping twice finds nothing the second time.
        let _gone = fs::remove_dir_all(directory.parent().unwrap_or(Path::new("."))).is_err();
        if failure.is_some() { Err(self.trouble()) } else { Ok(()) }
    }
}

impl Engine for SimEngine {
    fn check(&self, _job: &EngineJob) -> Result<(), Objection> {
        Ok(())
    }

    fn submit<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, ()> {
        Box::pin(async move { self.submit_now(job) })
    }

    fn observe(&self, id: RunId) -> Answer<'_, Observation> {
        Box::pin(async move { self.observe_now(id) })
    }

    fn cancel(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move { self.cancel_now(id) })
    }

    fn reclaim(&self, id: RunId, grace: Duration) -> Answer<'_, ()> {
        Box::pin(async move { self.give_notice_now(id, grace) })
    }

    fn pack_checkpoint(&self, run: RunId) -> Answer<'_, Option<PathBuf>> {
        Box::pin(async move { self.pack_now(run) })
    }

    fn suspend(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move { self.suspend_now(id) })
    }

    fn resume(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move { self.resume_now(id) })
    }

    fn logs(
        &self,
        id: RunId,
        _index: u32,
        _stream: Stream,
        _offset: u64,
        _length_max: usize,
    ) -> Answer<'_, LogChunk> {
        Box::pin(async move {
            let known = self.machines.lock().jobs.contains_key(&self.key(id));
            if known {
                Ok(LogChunk { bytes: Vec::new(), end: true })
            } else {
                Err(EngineError::Unknown { id })
            }
        })
    }

    fn output_path<'a>(&'a self, id: RunId, name: &'a str) -> Answer<'a, PathBuf> {
        Box::pin(async move {
            let path = self.output_file(id, name);
            if path.is_file() { Ok(path) } else { Err(EngineError::NoOutput { id, name: name.to_owned() }) }
        })
    }

    fn wipe(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move { self.wipe_now(id) })
    }

    fn has_queue(&self) -> bool {
        QUEUES.contains(&self.site.as_str())
    }

    fn moved(&self) -> Pin<Box<dyn Future<Output = Option<Vec<RunId>>> + Send + '_>> {
        if !self.has_queue() {
            return Box::pin(std::future::pending());
        }
        Box::pin(async {
            loop {
                match self.moved_now() {
                    Some(moved) if moved.is_empty() => tokio::time::sleep(MOVED_EVERY).await,
                    moved => return moved,
                }
            }
        })
    }

    fn capacity(&self) -> Capacity {
        Capacity {
            cpu_cores: self.resources.cpu_cores,
            memory_bytes: self.resources.memory_bytes,
            gpus: BTreeMap::new(),
        }
    }
}
