// SPDX-License-Identifier: Apache-2.0
//! The engine of a Slurm cluster, driven by its command line tools as the researchers' own accounts, from this machine or another.
//!
//! `slurm/settings.rs` is what the operator writes; `slurm/submit.rs` hands a run over once; `slurm/poller.rs` follows all runs
//! with one `squeue` a tick; `slurm/suspend.rs` has runs stand still and go on; `slurm/notice.rs` has guests leave, and `slurm/floor.rs` says what that would free; `slurm/collect.rs` brings home what an ended run left, `slurm/saved.rs` what a job saved; `slurm/outcome.rs` says how it ended.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use sta_protocol::{ids::JobId, job::Shape, treaty::Resources};
use tokio::sync::Notify;

use self::{
    intentions::Intention,
    notice::Notice,
    outcome::TaskSeen,
    records::{Phase, Records, RunRecord, SiteAccount},
    settings::SlurmSettings,
    site_commands::SiteCommands,
    wait::Backlog,
};
use super::{
    Answer, Capacity, Engine, EngineError, EngineJob, Floor, LOG_CHUNK_BYTES_MAX, LogChunk, Objection,
    Observation, Outcome, RunId, Stream,
};

mod collect;
mod floor;
mod hand_over;
mod inputs;
mod intentions;
mod limits;
mod notice;
mod outcome;
mod poller;
mod put_back;
mod queue;
mod records;
mod saved;
mod script;
pub mod settings;
mod site_commands;
mod stamps;
mod submit;
mod suspend;
mod wait;
mod wipe;

/// How a Slurm engine is set up.
#[derive(Debug, Clone)]
pub struct SlurmConfig {
    /// The engine's own directory on this machine: records, and what ended runs left until it is wiped. Made with mode 0700.
    pub root: PathBuf,
    /// What the operator wrote.
    pub settings: SlurmSettings,
    /// What the site has.
    pub capacity: Capacity,
}

/// Drives one cluster.
#[derive(Debug)]
pub struct SlurmEngine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    settings: SlurmSettings,
    capacity: Capacity,
    commands: SiteCommands,
    records: Arc<Mutex<Records>>,
    /// Runs of which it is not durable yet that they are to be submitted.
    intentions: Arc<Mutex<Vec<Intention>>>,
    /// Every run that is not finished, by what the last look at the queue said.
    live: Mutex<HashMap<RunId, Live>>,
    /// Runs that moved since they were last asked for.
    moved: Mutex<BTreeSet<RunId>>,
    moved_bell: Notify,
    /// Rung when there is something for the poller to do before its time.
    poller: Notify,
    /// Rung when Slurm has taken a run: it is looked at soon, and with it all that follow it within that time.
    handed_over: Notify,
    /// Runs that wait to be handed over, by account.
    waiting: Mutex<HashMap<String, hand_over::Queue>>,
    /// Accounts whose directories this engine has made sure of.
    prepared: tokio::sync::Mutex<BTreeSet<String>>,
    /// Held while inputs come into an account's cache or leave it: one account never waits for another's files.
    caches: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Held while what a job saved comes here.
    packing: tokio::sync::Mutex<()>,
    /// What the cluster says that it holds jobs to, once it has said it.
    limits: tokio::sync::OnceCell<Vec<String>>,
    backlog: Mutex<Backlog>,
}

/// A run under way.
#[derive(Debug, Clone)]
struct Live {
    run: RunId,
    account: String,
    outputs: Vec<String>,
    count: u32,
    shape: Shape,
    /// What it holds on each of its nodes.
    each: Resources,
    slurm_id: Option<u64>,
    submitted_at: Timestamp,
    started_at: Option<Timestamp>,
    cancel: bool,
    /// Whether it is to stand still, or to go on after it was; none where neither was asked.
    suspension: Option<bool>,
    /// The cluster was seen to have stopped it, or to keep it from beginning.
    stands: bool,
    /// When the cluster was last asked for that.
    suspension_sent: Option<Timestamp>,
    /// That it is to leave, because the site's owner needs its place.
    notice: Option<Notice>,
    /// The tasks that ran at the last look, by the names that Slurm has for them.
    running: Vec<String>,
    /// When the cluster was last asked to end it.
    cancel_sent: Option<Timestamp>,
    /// Why it waits.
    reason: Option<String>,
    /// The cluster has looked for room for it, and found none.
    waits_for_room: bool,
    /// It is ended by this engine, because it would wait for ever.
    doomed: Option<String>,
    /// The tasks that ended, by Slurm's number and index.
    tasks: BTreeMap<(u64, u32), TaskSeen>,
    /// The end of the tasks of an array that were never split from the rest.
    rest: Option<TaskSeen>,
    /// The cluster lost it before it began: it is to be handed over again.
    hand_over_again: bool,
    /// When the queue last said that it runs.
    seen_running: Option<Timestamp>,
    /// Slurm's numbers of submissions that it took and could not start.
    never_started: Vec<u64>,
    /// Since when the queue does not know it.
    unseen_since: Option<Timestamp>,
    /// Its end is being brought home.
    collecting: bool,
    /// Since when there is an end to bring home.
    ended_since: Option<Timestamp>,
}

impl Live {
    fn intended(job: &EngineJob, account: &SiteAccount) -> Self {
        Self {
            run: job.id,
            account: account.unix.clone(),
            outputs: job.outputs.clone(),
            count: job.shape.count,
            shape: job.shape.clone(),
            each: Resources { cpu_cores: job.cpu_cores, memory_bytes: job.memory_bytes, gpus: job.gpus },
            slurm_id: None,
            submitted_at: Timestamp::now(),
            started_at: None,
            cancel: false,
            suspension: None,
            stands: false,
            suspension_sent: None,
            notice: None,
            running: Vec::new(),
            cancel_sent: None,
            reason: None,
            waits_for_room: false,
            doomed: None,
            tasks: BTreeMap::new(),
            rest: None,
            hand_over_again: false,
            seen_running: None,
            never_started: Vec::new(),
            unseen_since: None,
            collecting: false,
            ended_since: None,
        }
    }

    fn of(record: &RunRecord) -> Self {
        let mut live = Self::intended(&record.job, &record.account);
        live.slurm_id = record.slurm_id;
        live.submitted_at = record.submitted_at.unwrap_or(live.submitted_at);
        live.started_at = record.started_at;
        live.cancel = record.cancel;
        live.suspension = record.suspension;
        live.notice = record.notice.map(Notice::of);
        // Whether Slurm has it is unknown, and whoever handed it over may be gone.
        live.hand_over_again = record.phase == Phase::Intended;
        live
    }
}

impl SlurmEngine {
    /// Opens the engine over its records, and begins to follow the runs in them. The cluster is not asked for anything yet.
    ///
    /// # Errors
    /// The settings are wrong, or the directory or the records cannot be used.
    pub fn open(config: SlurmConfig) -> Result<Self, EngineError> {
        let unusable = |error: settings::InvalidSettings| EngineError::Site {
            doing: "use the settings",
            said: error.to_string(),
        };
        config.settings.check().map_err(unusable)?;
        super::local::create_private(&config.root.join("spool"))?;
        let records = Records::open(&config.root.join("runs.sqlite"))?;
        let under_way = records.under_way()?;
        let live = under_way.iter().map(|record| (record.job.id, Live::of(record))).collect();
        let inner = Arc::new(Inner {
            commands: SiteCommands::new(config.settings.clone()),
            backlog: Mutex::new(Backlog::unknown(&config.capacity)),
            root: config.root,
            settings: config.settings,
            capacity: config.capacity,
            records: Arc::new(Mutex::new(records)),
            intentions: Arc::default(),
            live: Mutex::new(live),
            moved: Mutex::default(),
            moved_bell: Notify::new(),
            poller: Notify::new(),
            handed_over: Notify::new(),
            waiting: Mutex::default(),
            prepared: tokio::sync::Mutex::default(),
            caches: Mutex::default(),
            packing: tokio::sync::Mutex::default(),
            limits: tokio::sync::OnceCell::new(),
        });
        tokio::spawn(poller::follow(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }
}

impl Inner {
    /// Uses the records apart from the runtime's own threads.
    async fn records<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Records, RunId) -> Result<T, EngineError> + Send + 'static,
        run: RunId,
    ) -> Result<T, EngineError> {
        let records = Arc::clone(&self.records);
        let done = tokio::task::spawn_blocking(move || work(&lock(&records), run));
        done.await.unwrap_or_else(|error| {
            Err(EngineError::Site { doing: "use the engine's records", said: error.to_string() })
        })
    }

    fn remember(&self, live: Live) {
        let mut all = lock(&self.live);
        let mut live = live;
        if let Some(known) = all.get(&live.run) {
            live.cancel |= known.cancel;
            live.suspension = live.suspension.or(known.suspension);
            live.notice = known.notice.or(live.notice);
            live.started_at = live.started_at.or(known.started_at);
            live.never_started.clone_from(&known.never_started);
        }
        all.insert(live.run, live);
    }

    fn forget(&self, run: RunId) {
        lock(&self.live).remove(&run);
    }

    fn moved(&self, run: RunId) {
        lock(&self.moved).insert(run);
        self.moved_bell.notify_one();
    }

    /// Where the run stands, without a word to the cluster.
    async fn observe(&self, run: RunId) -> Result<Observation, EngineError> {
        if let Some(observation) = lock(&self.live).get(&run).map(observed) {
            return Ok(observation);
        }
        match self.records(Records::find, run).await? {
            None => Ok(Observation::Unknown),
            Some(RunRecord { outcome: Some(outcome), .. }) => Ok(Observation::Finished(outcome)),
            Some(record) => {
                // Another engine over the same records took it over: it is followed from here on.
                let live = Live::of(&record);
                let observation = observed(&live);
                self.remember(live);
                self.poller.notify_one();
                Ok(observation)
            }
        }
    }

    /// The outcome as it is recorded, by whichever engine over these records saw it.
    async fn finished(&self, id: RunId) -> Result<Outcome, EngineError> {
        let record = self.records(Records::find, id).await?.ok_or(EngineError::Unknown { id })?;
        record.outcome.ok_or(EngineError::NotFinished { id })
    }

    async fn cancel(&self, run: RunId) -> Result<(), EngineError> {
        self.records(Records::cancel, run).await?;
        if let Some(live) = lock(&self.live).get_mut(&run) {
            live.cancel = true;
            // Whether Slurm has it, and that it never will, is found out without being asked again.
            live.hand_over_again |= live.slurm_id.is_none();
        }
        self.poller.notify_one();
        Ok(())
    }

    fn spool(&self, run: RunId) -> PathBuf {
        self.root.join("spool").join(run.to_string())
    }
}

fn observed(live: &Live) -> Observation {
    let suspended = live.suspension == Some(true) && live.stands;
    match live.started_at {
        Some(started_at) => Observation::Running { started_at, suspended },
        None => Observation::Pending { reason: live.reason.clone(), suspended },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is whole after any panic: nothing is half done under them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine for SlurmEngine {
    fn check(&self, job: &EngineJob) -> Result<(), Objection> {
        let inner = &self.inner;
        let shape = |error: EngineError| Objection::Shape { reason: error.to_string() };
        job.validate_form().map_err(shape)?;
        inner.settings.runtime(&job.image)?;
        let allowed = &inner.settings.options_allowed;
        if let Some(option) = job.site_options.keys().find(|option| !allowed.contains(option)) {
            let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
            return Err(Objection::Option { option: option.clone(), allowed });
        }
        let types = &inner.settings.gpus;
        let unknown = |kind: &&String| !types.is_empty() && !types.contains_key(*kind);
        if let Some(kind) = job.shape.gpu_type.as_ref().filter(unknown) {
            let known = types.keys().cloned().collect::<Vec<_>>().join(", ");
            let reason = format!("it has no accelerators of type `{kind}`: it has {known}");
            return Err(Objection::Shape { reason });
        }
        if inner.settings.row(&job.owner).is_some() {
            return Ok(());
        }
        let records = lock(&inner.records);
        let given = records.given_account(&job.owner).map_err(shape)?;
        let free = match inner.settings.pool(&job.owner.member) {
            Some(pool) => records.free_accounts(&pool.accounts).map_err(shape)? > 0,
            None => false,
        };
        if given.is_some() || free { Ok(()) } else { Err(submit::no_account(job)) }
    }

    fn submit<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, ()> {
        Box::pin(self.inner.submit(job))
    }

    fn observe(&self, id: RunId) -> Answer<'_, Observation> {
        Box::pin(self.inner.observe(id))
    }

    fn cancel(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(self.inner.cancel(id))
    }

    fn suspend(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(self.inner.suspend(id))
    }

    fn resume(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(self.inner.resume(id))
    }

    fn reclaim(&self, id: RunId, grace: Duration) -> Answer<'_, ()> {
        Box::pin(self.inner.reclaim(id, grace))
    }

    fn pack_checkpoint(&self, run: RunId) -> Answer<'_, Option<PathBuf>> {
        Box::pin(self.inner.pack_checkpoint(run))
    }

    fn wipe_checkpoint(&self, job: JobId) -> Answer<'_, ()> {
        Box::pin(self.inner.wipe_checkpoint(job))
    }

    fn logs(
        &self,
        id: RunId,
        index: u32,
        stream: Stream,
        offset: u64,
        length_max: usize,
    ) -> Answer<'_, LogChunk> {
        Box::pin(async move {
            self.inner.logs(id, index, stream, offset, length_max.min(LOG_CHUNK_BYTES_MAX)).await
        })
    }

    fn output_path<'a>(&'a self, id: RunId, name: &'a str) -> Answer<'a, PathBuf> {
        Box::pin(async move {
            let outcome = self.inner.finished(id).await?;
            let path = collect::output_file(&self.inner.spool(id), name);
            let there = outcome.outputs.iter().any(|output| output.name == name) && path.is_file();
            if there { Ok(path) } else { Err(EngineError::NoOutput { id, name: name.to_owned() }) }
        })
    }

    fn wipe(&self, id: RunId) -> Answer<'_, ()> {
        Box::pin(self.inner.wipe(id))
    }

    fn capacity(&self) -> Capacity {
        self.inner.capacity.clone()
    }

    fn has_queue(&self) -> bool {
        true
    }

    fn floor<'a>(&'a self, own: &'a [RunId], guests: &'a [RunId]) -> Answer<'a, Option<Floor>> {
        Box::pin(self.inner.floor(own, guests))
    }

    fn moved(&self) -> Pin<Box<dyn Future<Output = Option<Vec<RunId>>> + Send + '_>> {
        Box::pin(async {
            loop {
                let moved = std::mem::take(&mut *lock(&self.inner.moved));
                if !moved.is_empty() {
                    return Some(moved.into_iter().collect());
                }
                self.inner.moved_bell.notified().await;
            }
        })
    }

    fn expected_wait_s(&self, resources: Resources) -> Option<u32> {
        let (mut backlog, now) = (lock(&self.inner.backlog), Timestamp::now());
        let wait = backlog.expected_wait_s(resources, now);
        // The poller sleeps while nothing is under way.
        if backlog.is_wanted(now, poller::BACKLOG_EVERY) {
            self.inner.poller.notify_one();
        }
        wait
    }
}
