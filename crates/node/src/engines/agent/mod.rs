// SPDX-License-Identifier: Apache-2.0
//! The engine of a site that no one can dial: its agent, `sta agent`, calls the node, takes the engine's calls and answers them.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sta_protocol::{
    digest::Sha256Digest,
    ids::{JobId, SiteId},
    treaty::Resources,
};
use tokio::{sync::Semaphore, time::Instant};
use uuid::Uuid;

use self::{
    about::{About, Bound},
    calls::{Batch, Hello, Method, Poll, Reply, Report, without_paths},
    content::make_private,
    desk::Desk,
    handed_over::HandedOver,
    spool::{Spool, strange},
};
use super::{
    Answer, Capacity, Engine, EngineError, EngineJob, Floor, LogChunk, Objection, Observation, Outcome,
    RunId, Stream,
};

mod about;
pub mod calls;
mod content;
mod desk;
mod handed_over;
pub mod inputs;
pub mod link;
mod packing;
pub mod runner;
mod saved;
mod spool;
pub mod token;

pub use desk::SessionOver;

/// How long the agent may take for a call.
const CALL_TIME_MAX: Duration = Duration::from_secs(40);
/// How long it may take to say whether a job could run: somebody waits for it.
const CONSENT_TIME_MAX: Duration = Duration::from_secs(10);
/// How many answers of that kind are remembered, how long they go without asking again, and how long without an agent.
const CONSENTS_MAX: usize = 1024;
const CONSENT_FRESH: Duration = Duration::from_secs(30);
/// How long inputs of a job can be read after they were last asked for.
const INPUT_OPEN: Duration = Duration::from_secs(900);
/// How many jobs' outputs are fetched at once.
const FETCHES_MAX: usize = 4;
/// How long one who wants an output waits for it.
const OUTPUT_TIME_MAX: Duration = Duration::from_secs(20);
/// How long after a failed fetch the job is looked at again.
const FETCH_PAUSE: Duration = Duration::from_secs(1);
/// How many wiped jobs are remembered.
const SETTLED_MAX: usize = 10_000;

/// The engine of a site with an agent. Clones share one engine.
#[derive(Clone)]
pub struct AgentEngine {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    desk: Desk,
    spool: Spool,
    /// Archives of what jobs saved, and the turn to fetch one.
    saved: Spool,
    packing: tokio::sync::Mutex<()>,
    handed_over: HandedOver,
    about: Mutex<About>,
    inputs: Mutex<HashMap<Sha256Digest, (PathBuf, Instant)>>,
    consents: Mutex<HashMap<Sha256Digest, (Option<Objection>, Instant)>>,
    /// Jobs whose outputs are being fetched.
    fetching: Mutex<HashSet<RunId>>,
    fetches: Semaphore,
    /// Finished jobs that have no outputs to fetch any more.
    settled: Mutex<HashSet<RunId>>,
}

/// Why an agent is not taken.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// It speaks another version.
    #[error("the agent speaks version {theirs} and this node {ours}: install the same `sta` on both")]
    Version {
        /// The agent's.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// It is not the agent that has the jobs.
    #[error(
        "another agent serves this site, and the records of its jobs are in that agent's directory: run the agent with that directory, or make a new token with `sta agent token` when those jobs are lost"
    )]
    Another,
    /// What is known of it cannot be kept.
    #[error("what the agent says cannot be kept")]
    Keep(#[source] EngineError),
}

impl AgentEngine {
    /// Opens the engine over its directory, [`token::directory_of`] the site. Until the agent has said what the site has,
    /// `capacity` stands for it.
    ///
    /// # Errors
    /// The directory cannot be made, or its record does not read.
    pub fn open(directory: PathBuf, site: SiteId, capacity: Capacity) -> Result<Self, EngineError> {
        make_private(&directory)?;
        let about = About::load(&directory, capacity)?;
        let spool = Spool::open(directory.join("outputs"))?;
        let saved = Spool::open(directory.join("checkpoints"))?;
        let handed_over = HandedOver::open(directory.join("jobs"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                desk: Desk::new(site),
                directory,
                spool,
                saved,
                packing: tokio::sync::Mutex::default(),
                handed_over,
                about: Mutex::new(about),
                inputs: Mutex::default(),
                consents: Mutex::default(),
                fetching: Mutex::default(),
                fetches: Semaphore::new(FETCHES_MAX),
                settled: Mutex::default(),
            }),
        })
    }

    /// Begins a session with the agent, who showed a token with this SHA-256.
    ///
    /// # Errors
    /// It is another agent, or of another version.
    pub fn hello(&self, hello: Hello, token: Option<Sha256Digest>, session: Uuid) -> Result<(), HelloError> {
        if hello.version != calls::VERSION {
            return Err(HelloError::Version { theirs: hello.version, ours: calls::VERSION });
        }
        let bound = Bound { agent: hello.agent, token };
        {
            let mut about = lock(&self.inner.about);
            // A new token is the operator's word that another agent may come.
            let is_another =
                about.bound.as_ref().is_some_and(|known| known.agent != bound.agent && known.token == token);
            if is_another {
                return Err(HelloError::Another);
            }
            let news = About { bound: Some(bound), capacity: hello.capacity, has_queue: hello.has_queue };
            news.keep(&self.inner.directory).map_err(HelloError::Keep)?;
            *about = news;
        }
        lock(&self.inner.consents).clear();
        self.inner.desk.begin(session);
        Ok(())
    }

    /// The next calls for the agent; waits for one without a limit of time.
    ///
    /// # Errors
    /// The session is not the present one.
    pub async fn calls(&self, session: Uuid, poll: &Poll) -> Result<Batch, SessionOver> {
        Ok(Batch { calls: self.inner.desk.take(session, poll).await? })
    }

    /// Takes what the agent says.
    ///
    /// # Errors
    /// The session is not the present one.
    pub fn report(&self, session: Uuid, report: Report) -> Result<(), SessionOver> {
        self.inner.desk.report(session, report)
    }

    /// Takes the part of a file that a call asked for.
    ///
    /// # Errors
    /// The session is not the present one.
    pub fn take_part(&self, session: Uuid, number: u64, part: bytes::Bytes) -> Result<(), SessionOver> {
        self.inner.desk.answer(session, number, Reply::Part(part))
    }

    /// Where an input lies that the agent may read: one of a job that was handed to it a short while ago.
    #[must_use]
    pub fn input(&self, sha256: Sha256Digest) -> Option<PathBuf> {
        let mut inputs = lock(&self.inner.inputs);
        let (path, asked_at) = inputs.get_mut(&sha256)?;
        if asked_at.elapsed() > INPUT_OPEN {
            return None;
        }
        *asked_at = Instant::now();
        Some(path.clone())
    }

    /// How long ago the agent called last, in seconds; none when it has not since the node's start.
    #[must_use]
    pub fn seen_s(&self) -> Option<u64> {
        self.inner.desk.seen_s()
    }
}

impl Inner {
    async fn ask(
        &self,
        id: RunId,
        doing: &'static str,
        method: Method,
        time_max: Duration,
    ) -> Result<Reply, EngineError> {
        match self.desk.ask(method, time_max).await {
            Ok(Reply::Failed(failure)) => Err(failure.into_error(id, doing)),
            Ok(reply) => Ok(reply),
            Err(said) => Err(EngineError::Site { doing, said }),
        }
    }

    async fn done(&self, id: RunId, doing: &'static str, method: Method) -> Result<(), EngineError> {
        match self.ask(id, doing, method, CALL_TIME_MAX).await? {
            Reply::Done => Ok(()),
            other => Err(strange(doing, &other)),
        }
    }

    async fn observe(&self, id: RunId) -> Result<Observation, EngineError> {
        const DOING: &str = "look at the job";
        match self.ask(id, DOING, Method::Observe { id }, CALL_TIME_MAX).await? {
            Reply::Observed(Observation::Unknown) => {
                let lost = self.handed_over.lost(id)?;
                Ok(lost.map_or(Observation::Unknown, Observation::Finished))
            }
            Reply::Observed(observation) => Ok(observation),
            other => Err(strange(DOING, &other)),
        }
    }

    /// Whether nothing of a finished job is still to be fetched.
    fn is_here(&self, id: RunId, outcome: &Outcome) -> Result<bool, EngineError> {
        Ok(outcome.outputs.is_empty() || lock(&self.settled).contains(&id) || self.spool.whole(id)?.is_some())
    }

    /// Fetches a finished job's outputs beside everything else, unless that is under way. Its end makes the job one that moved.
    fn start_fetch(self: &Arc<Self>, id: RunId, outcome: &Outcome) {
        if !lock(&self.fetching).insert(id) {
            return;
        }
        let (inner, outputs) = (Arc::clone(self), outcome.outputs.clone());
        tokio::spawn(async move {
            let fetched = match inner.fetches.acquire().await {
                Ok(_one_of_few) => inner.spool.fetch(&inner.desk, id, outputs).await,
                Err(_never_closed) => Ok(()),
            };
            match fetched {
                Ok(()) => {}
                // It was wiped before, and only its record is asked for.
                Err(EngineError::NoOutput { .. }) => inner.settle(id),
                Err(error) => {
                    tracing::warn!(%id, error = calls::causes(&error), "outputs are not here yet");
                    tokio::time::sleep(FETCH_PAUSE).await;
                }
            }
            lock(&inner.fetching).remove(&id);
            inner.desk.note_moved(id);
        });
    }

    fn settle(&self, id: RunId) {
        let mut settled = lock(&self.settled);
        if settled.len() >= SETTLED_MAX {
            settled.clear();
        }
        settled.insert(id);
    }

    async fn output_path(self: &Arc<Self>, id: RunId, name: &str) -> Result<PathBuf, EngineError> {
        let missing = || EngineError::NoOutput { id, name: name.to_owned() };
        let until = Instant::now() + OUTPUT_TIME_MAX;
        loop {
            if let Some(outputs) = self.spool.whole(id)? {
                let output = outputs.iter().find(|output| output.name == name).ok_or_else(missing)?;
                return Ok(self.spool.path(id, output.sha256));
            }
            let outcome = match self.observe(id).await? {
                Observation::Unknown => return Err(EngineError::Unknown { id }),
                Observation::Pending { .. } | Observation::Running { .. } => {
                    return Err(EngineError::NotFinished { id });
                }
                Observation::Finished(outcome) => outcome,
            };
            if outcome.outputs.iter().all(|output| output.name != name) || lock(&self.settled).contains(&id) {
                return Err(missing());
            }
            if Instant::now() >= until {
                let said = "it is on its way from the agent".to_owned();
                return Err(EngineError::Site { doing: "fetch an output", said });
            }
            self.start_fetch(id, &outcome);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets the agent read a job's inputs for a while.
    fn show_inputs(&self, job: &EngineJob) {
        let mut inputs = lock(&self.inputs);
        inputs.retain(|_, (_, asked_at)| asked_at.elapsed() <= INPUT_OPEN);
        let now = Instant::now();
        inputs.extend(job.inputs.iter().map(|input| (input.sha256, (input.path.clone(), now))));
    }

    /// What the agent said to such a job before.
    fn known_consent(&self, question: Sha256Digest, age_max: Duration) -> Option<Result<(), Objection>> {
        let consents = lock(&self.consents);
        let (objection, at) = consents.get(&question)?;
        (at.elapsed() <= age_max).then(|| objection.clone().map_or(Ok(()), Err))
    }

    fn keep_consent(&self, question: Sha256Digest, consent: &Result<(), Objection>) {
        let mut consents = lock(&self.consents);
        consents.retain(|_, (_, at)| at.elapsed() <= CONSENT_FRESH);
        if consents.len() < CONSENTS_MAX {
            consents.insert(question, (consent.clone().err(), Instant::now()));
        }
    }
}

/// Jobs that an engine says the same to: the same but for their ids, names and contents.
fn question(job: &EngineJob) -> Result<Sha256Digest, EngineError> {
    let same = EngineJob {
        id: JobId::new(0, [0; 10]).into(),
        name: String::new(),
        inputs: Vec::new(),
        saved: None,
        ..job.clone()
    };
    let said = |error: sta_protocol::digest::DigestError| EngineError::Site {
        doing: "ask whether the job could run",
        said: error.to_string(),
    };
    Sha256Digest::of_json(&same).map_err(said)
}

impl Engine for AgentEngine {
    fn check(&self, job: &EngineJob) -> Result<(), Objection> {
        let known = question(job).ok().and_then(|question| self.inner.known_consent(question, CONSENT_FRESH));
        known.unwrap_or_else(|| {
            let shape = |error: EngineError| Objection::Shape { reason: error.to_string() };
            job.validate(&self.capacity()).map_err(shape)
        })
    }

    fn consents<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, Result<(), Objection>> {
        const DOING: &str = "ask whether the job could run";
        Box::pin(async move {
            let question = question(job)?;
            if let Some(known) = self.inner.known_consent(question, CONSENT_FRESH) {
                return Ok(known);
            }
            let method = Method::Consents { job: without_paths(job) };
            let consent = match self.inner.ask(job.id, DOING, method, CONSENT_TIME_MAX).await? {
                Reply::Done => Ok(()),
                Reply::Objection(objection) => Err(objection),
                other => return Err(strange(DOING, &other)),
            };
            self.inner.keep_consent(question, &consent);
            Ok(consent)
        })
    }

    fn submit<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, ()> {
        Box::pin(async move {
            self.inner.show_inputs(job);
            if job.checkpoint {
                // What was packed is of the attempt before.
                self.inner.saved.remove(job.id.job.into())?;
            }
            let method = Method::Submit { job: without_paths(job) };
            self.inner.done(job.id, "hand the job over", method).await?;
            self.inner.handed_over.note(job.id)
        })
    }

    /// A job is finished for the node once its outputs are here too, so that nobody waits for a transfer who wants to go on.
    fn observe(&self, id: RunId) -> Answer<'_, Observation> {
        Box::pin(async move {
            let observation = self.inner.observe(id).await?;
            if let Observation::Finished(outcome) = &observation
                && !self.inner.is_here(id, outcome)?
            {
                self.inner.start_fetch(id, outcome);
                return Ok(Observation::Running { started_at: outcome.started_at, suspended: false });
            }
            Ok(observation)
        })
    }

    fn cancel(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(self.inner.done(id, "cancel the job", Method::Cancel { id }))
    }

    fn reclaim(&self, id: RunId, grace: Duration) -> Answer<'_, ()> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        Box::pin(self.inner.done(id, "give the job notice", Method::Reclaim { id, grace_ms }))
    }

    fn pack_checkpoint(&self, run: RunId) -> Answer<'_, Option<PathBuf>> {
        Box::pin(self.inner.pack_checkpoint(run))
    }

    fn wipe_checkpoint(&self, job: JobId) -> Answer<'_, ()> {
        Box::pin(async move {
            self.inner.done(job.into(), "wipe the checkpoint", Method::WipeCheckpoint { job }).await?;
            self.inner.saved.remove(job.into())
        })
    }

    fn suspend(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(self.inner.done(id, "suspend the job", Method::Suspend { id }))
    }

    fn resume(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(self.inner.done(id, "resume the job", Method::Resume { id }))
    }

    fn logs(
        &self,
        id: RunId,
        index: u32,
        stream: Stream,
        offset: u64,
        length_max: usize,
    ) -> Answer<'_, LogChunk> {
        const DOING: &str = "read the log";
        Box::pin(async move {
            let method = Method::Logs { id, index, stream, offset, length_max };
            match self.inner.ask(id, DOING, method, CALL_TIME_MAX).await? {
                Reply::Log { bytes, end } => Ok(LogChunk { bytes, end }),
                other => Err(strange(DOING, &other)),
            }
        })
    }

    fn output_path<'a>(&'a self, id: RunId, name: &'a str) -> Answer<'a, PathBuf> {
        Box::pin(self.inner.output_path(id, name))
    }

    fn wipe(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(async move {
            let wiped = self.inner.done(id, "wipe the job", Method::Wipe { id }).await;
            let is_lost = matches!(wiped, Err(EngineError::Unknown { .. }));
            if wiped.is_ok() || is_lost {
                self.inner.settle(id);
                self.inner.spool.remove(id)?;
                self.inner.handed_over.forget(id)?;
            }
            wiped
        })
    }

    fn capacity(&self) -> Capacity {
        lock(&self.inner.about).capacity.clone()
    }

    fn has_queue(&self) -> bool {
        lock(&self.inner.about).has_queue
    }

    fn floor<'a>(&'a self, own: &'a [RunId], guests: &'a [RunId]) -> Answer<'a, Option<Floor>> {
        const DOING: &str = "ask how full the site is";
        Box::pin(async move {
            let Some(any) = own.first() else { return Ok(None) };
            let method = Method::Floor { own: own.to_vec(), guests: guests.to_vec() };
            match self.inner.ask(*any, DOING, method, CONSENT_TIME_MAX).await? {
                Reply::Floor(floor) => Ok(floor.map(|floor| *floor)),
                other => Err(strange(DOING, &other)),
            }
        })
    }

    fn moved(&self) -> Pin<Box<dyn Future<Output = Option<Vec<RunId>>> + Send + '_>> {
        Box::pin(self.inner.desk.next_moved())
    }

    fn expected_wait_s(&self, resources: Resources) -> Option<u32> {
        self.inner.desk.expected_wait_s(resources)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind each lock is whole after any panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
