// SPDX-License-Identifier: Apache-2.0
//! The agent itself: says hello, takes calls, has the engine carry them out, and answers. It may die at any point: the node calls again.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, File, OpenOptions},
    future::Future,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use uuid::Uuid;

use super::{
    calls::{
        self, Answered, CALLS_MAX, Call, Failed, Hello, Method, PART_BYTES_MAX, Poll, Reply, Report, causes,
    },
    content::{failed, make_private},
    inputs::Inputs,
    link::{Link, LinkError},
    packing::Packing,
};
use crate::{
    engines::{Engine, EngineError, EngineJob, Observation, RunId},
    outside::Chance,
    store::blobs::read_range,
};

/// How many calls are carried out at once.
const HELD_MAX: usize = 256;
/// How many moved jobs are remembered by name for one report.
const MOVED_MAX: usize = 16_384;
/// The shortest and the longest wait before the node is called again.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How long calls may go on when the agent is to end.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// How often inputs are looked for whose job never came.
const SWEEP: Duration = Duration::from_secs(3600);

/// The agent of one site.
pub struct Agent {
    id: Uuid,
    link: Link,
    inputs: Inputs,
    packing: Packing,
    engine: Arc<dyn Engine>,
    moved: Mutex<Moved>,
    has_moved: Notify,
    _lock: File,
}

#[derive(Default)]
struct Moved {
    ids: BTreeSet<RunId>,
    all: bool,
}

/// One session with the node.
struct Session {
    id: Uuid,
    held: Mutex<HashSet<u64>>,
    answers: mpsc::Sender<Answered>,
}

/// A call that the agent has. Dropped without an answer, it counts as one that never came, and the node makes it again.
struct Held {
    session: Arc<Session>,
    number: u64,
    is_answered: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_answered {
            self.session.held().remove(&self.number);
        }
    }
}

impl Agent {
    /// Opens the agent over its directory, which only one agent at a time may use.
    ///
    /// # Errors
    /// The directory cannot be made or read, or another agent runs in it.
    pub fn open(
        directory: &Path,
        link: Link,
        engine: Arc<dyn Engine>,
        chance: &dyn Chance,
    ) -> Result<Self, EngineError> {
        make_private(directory)?;
        let path = directory.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(|source| failed("open", &path, source))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                let said = format!("another agent runs in `{}`: stop it first", directory.display());
                EngineError::Site { doing: "start the agent", said }
            }
            fs::TryLockError::Error(source) => failed("lock", &path, source),
        })?;
        Ok(Self {
            id: identity(directory, chance)?,
            inputs: Inputs::open(directory.join("inputs"), link.clone())?,
            link,
            packing: Packing::default(),
            engine,
            moved: Mutex::default(),
            has_moved: Notify::new(),
            _lock: lock,
        })
    }

    /// Serves the node until `stop`. A node that is away is called until it is back.
    ///
    /// # Errors
    /// The node does not take this agent when it first says hello.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) -> Result<(), LinkError> {
        let mut stop = pin!(stop);
        let mut work = JoinSet::new();
        let mut is_first = true;
        loop {
            let session = tokio::select! {
                biased;
                () = &mut stop => break,
                begun = self.begin(is_first) => begun?,
            };
            is_first = false;
            tracing::info!("the node takes this agent's answers");
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.serve(session, &mut work) => {}
            }
        }
        let ended = async { while work.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIME_MAX, ended).await.is_err() {
            tracing::warn!("calls were under way when the agent stopped; the node makes them again");
        }
        Ok(())
    }

    async fn begin(&self, is_first: bool) -> Result<Uuid, LinkError> {
        let hello = Hello {
            version: calls::VERSION,
            agent: self.id,
            capacity: self.engine.capacity(),
            has_queue: self.engine.has_queue(),
        };
        let mut wait = RETRY.0;
        loop {
            match self.link.hello(&hello).await {
                Ok(welcome) => return Ok(welcome.session),
                Err(error) if is_first && error.is_final() => return Err(error),
                Err(error) => tracing::warn!(error = causes(&error), "the node does not take the agent yet"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Until the session is over.
    async fn serve(self: &Arc<Self>, id: Uuid, work: &mut JoinSet<()>) {
        let (sender, receiver) = mpsc::channel(HELD_MAX);
        let session = Arc::new(Session { id, held: Mutex::default(), answers: sender });
        tokio::select! {
            () = self.take_calls(&session, work) => {}
            () = self.tell(&session, receiver) => {}
            () = self.watch() => {}
        }
    }

    async fn take_calls(self: &Arc<Self>, session: &Arc<Session>, work: &mut JoinSet<()>) {
        let mut wait = RETRY.0;
        loop {
            while let Some(ended) = work.try_join_next() {
                if let Err(error) = ended {
                    tracing::error!(%error, "a call ended without an answer");
                }
            }
            let held: Vec<u64> = session.held().iter().copied().collect();
            let room = HELD_MAX.saturating_sub(held.len());
            if room == 0 {
                tokio::time::sleep(RETRY.0).await;
                continue;
            }
            match self.link.poll(session.id, &Poll { held, room }).await {
                Ok(batch) => {
                    wait = RETRY.0;
                    for call in batch.calls {
                        self.take(session, call, work);
                    }
                }
                Err(error) if error.is_session_over() => {
                    tracing::info!(
                        "the node knows no such session; it was restarted, or another agent took over"
                    );
                    tokio::time::sleep(RETRY.0).await;
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = causes(&error), "no calls from the node");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
    }

    fn take(self: &Arc<Self>, session: &Arc<Session>, call: Call, work: &mut JoinSet<()>) {
        if !session.held().insert(call.number) {
            return;
        }
        let held = Held { session: Arc::clone(session), number: call.number, is_answered: false };
        let agent = Arc::clone(self);
        work.spawn(async move { agent.carry_out(call.method, held).await });
    }

    async fn carry_out(&self, method: Method, mut held: Held) {
        match self.reply(method).await {
            Reply::Part(part) => self.send_part(part, held).await,
            reply => {
                let answered = Answered { number: held.number, reply };
                // A session that is over has nobody who tells; the node makes the call again.
                held.is_answered = held.session.answers.send(answered).await.is_ok();
            }
        }
    }

    async fn reply(&self, method: Method) -> Reply {
        let done = |done: Result<(), Failed>| done.map_or_else(Reply::Failed, |()| Reply::Done);
        match method {
            Method::Consents { job } => match self.engine.consents(&job).await {
                Ok(Ok(())) => Reply::Done,
                Ok(Err(objection)) => Reply::Objection(objection),
                Err(error) => Reply::Failed(error.into()),
            },
            Method::Submit { job } => done(self.submit(&job).await),
            Method::Observe { id } => {
                let seen = self.engine.observe(id).await;
                seen.map_or_else(|error| Reply::Failed(error.into()), Reply::Observed)
            }
            Method::Cancel { id } => done(self.engine.cancel(id).await.map_err(Failed::from)),
            Method::Reclaim { id, grace_ms } => {
                let grace = Duration::from_millis(grace_ms);
                done(self.engine.reclaim(id, grace).await.map_err(Failed::from))
            }
            Method::PackCheckpoint { id } => {
                self.packing.pack(&self.engine, id).await.map_or_else(Reply::Failed, Reply::Packed)
            }
            Method::ReadCheckpoint { id, offset, length_max } => {
                let part = self.packing.read(id, offset, length_max).await;
                part.map_or_else(|error| Reply::Failed(error.into()), Reply::Part)
            }
            Method::WipeCheckpoint { job } => {
                self.packing.forget(job);
                done(self.engine.wipe_checkpoint(job).await.map_err(Failed::from))
            }
            Method::Floor { own, guests } => match self.engine.floor(&own, &guests).await {
                Ok(floor) => Reply::Floor(floor.map(Box::new)),
                Err(error) => Reply::Failed(error.into()),
            },
            Method::Suspend { id } => done(self.engine.suspend(id).await.map_err(Failed::from)),
            Method::Resume { id } => done(self.engine.resume(id).await.map_err(Failed::from)),
            Method::Logs { id, index, stream, offset, length_max } => {
                match self.engine.logs(id, index, stream, offset, length_max).await {
                    Ok(chunk) => Reply::Log { bytes: chunk.bytes, end: chunk.end },
                    Err(error) => Reply::Failed(error.into()),
                }
            }
            Method::ReadOutput { id, name, offset, length_max } => {
                let part = self.read_output(id, &name, offset, length_max).await;
                part.map_or_else(|error| Reply::Failed(error.into()), Reply::Part)
            }
            Method::Wipe { id } => done(self.wipe(id).await.map_err(Failed::from)),
            Method::ExpectedWait { resources } => Reply::Wait(self.engine.expected_wait_s(resources)),
        }
    }

    async fn submit(&self, job: &EngineJob) -> Result<(), Failed> {
        // Of a finished job the inputs may be gone, and nothing is left to do.
        if matches!(self.engine.observe(job.id).await?, Observation::Finished(_)) {
            return Ok(());
        }
        if job.checkpoint {
            self.packing.forget(job.id.job);
        }
        // Nothing is fetched for a job that can never run.
        job.validate(&self.engine.capacity())?;
        let staged = self.inputs.stage(job).await?;
        match self.engine.submit(&staged).await {
            Err(error @ EngineError::Invalid { .. }) => {
                self.inputs.release(job.id)?;
                Err(error.into())
            }
            submitted => Ok(submitted?),
        }
    }

    async fn wipe(&self, id: RunId) -> Result<(), EngineError> {
        self.engine.wipe(id).await?;
        self.inputs.release(id)
    }

    async fn read_output(
        &self,
        id: RunId,
        name: &str,
        offset: u64,
        length_max: usize,
    ) -> Result<Bytes, EngineError> {
        let path = self.engine.output_path(id, name).await?;
        let read = move || {
            let part = read_range(&path, offset, length_max.min(PART_BYTES_MAX));
            part.map_err(|error| failed("read", &path, io::Error::other(error)))
        };
        let read = tokio::task::spawn_blocking(read).await;
        let part = read.unwrap_or_else(|error| Err(failed("read", Path::new(name), io::Error::other(error))));
        part.map(|(bytes, _)| bytes.into())
    }

    /// A part that does not get through is let go of, and the node asks for it again.
    async fn send_part(&self, part: Bytes, held: Held) {
        if let Err(error) = self.link.send_part(held.session.id, held.number, part).await {
            tracing::warn!(error = causes(&error), "a part of an output did not get through");
        }
    }

    /// Tells the node answers and moved jobs, until the session is over.
    async fn tell(&self, session: &Session, mut answers: mpsc::Receiver<Answered>) {
        loop {
            let mut report = Report::default();
            tokio::select! {
                answer = answers.recv() => report.answers.extend(answer),
                () = self.has_moved.notified() => {}
            }
            while report.answers.len() < CALLS_MAX {
                let Ok(answer) = answers.try_recv() else { break };
                report.answers.push(answer);
            }
            let moved = std::mem::take(&mut *self.moved());
            (report.moved, report.all_moved) = (moved.ids.into_iter().collect(), moved.all);
            let mut wait = RETRY.0;
            while let Err(error) = self.link.report(session.id, &report).await {
                if error.is_session_over() {
                    return;
                }
                tracing::warn!(error = causes(&error), "answers do not get through yet");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY.1);
            }
            let mut held = session.held();
            for answer in &report.answers {
                held.remove(&answer.number);
            }
        }
    }

    /// Notes which jobs moved on, and now and then removes inputs whose job never came.
    async fn watch(&self) {
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                moved = self.engine.moved() => {
                    self.moved().note(moved);
                    self.has_moved.notify_one();
                }
                _at = sweep.tick() => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        for id in self.inputs.old() {
            if matches!(self.engine.observe(id).await, Ok(Observation::Unknown))
                && let Err(error) = self.inputs.release(id)
            {
                tracing::warn!(%id, error = causes(&error), "inputs of a job that never came cannot be removed");
            }
        }
    }

    fn moved(&self) -> MutexGuard<'_, Moved> {
        // Whole after any panic.
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn held(&self) -> MutexGuard<'_, HashSet<u64>> {
        // Whole after any panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Moved {
    fn note(&mut self, moved: Option<Vec<RunId>>) {
        match moved {
            Some(ids) if self.ids.len() + ids.len() <= MOVED_MAX => self.ids.extend(ids),
            Some(_) | None => {
                self.ids.clear();
                self.all = true;
            }
        }
    }
}

/// Which agent this is: drawn once, because the records of the jobs are in this directory and nowhere else.
fn identity(directory: &Path, chance: &dyn Chance) -> Result<Uuid, EngineError> {
    let path: PathBuf = directory.join("agent.id");
    match fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|error: uuid::Error| EngineError::Record { path, reason: error.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 16];
            chance.fill(&mut bytes);
            let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
            super::content::write_whole(&path, id.to_string().as_bytes())?;
            Ok(id)
        }
        Err(source) => Err(failed("read", &path, source)),
    }
}
