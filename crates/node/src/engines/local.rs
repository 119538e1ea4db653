// SPDX-License-Identifier: Apache-2.0
//! The embedded engine: each job a process of its own on this machine, in a sandbox, under a supervisor that survives the node.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{OpenOptionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use nix::unistd::Uid;
use sta_protocol::ids::JobId;

pub(in crate::engines) use self::record::create_private;
use self::{
    record::{JobDirectory, NoticeRecord, SpecRecord, failed},
    saved::Saved,
};
use super::{
    Answer, Capacity, Engine, EngineError, EngineJob, LOG_CHUNK_BYTES_MAX, LogChunk, Objection, Observation,
    Outcome, RunId, Stream,
};

mod accelerators;
mod attempt;
mod capture;
mod cgroup;
mod outputs;
mod processes;
mod record;
mod sandbox;
mod saved;
mod staging;
pub mod supervisor;
mod suspension;
mod tasks;

/// Where programs are looked for unless the configuration says otherwise.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The first of the users that jobs run as when the node is root: above any account and below those of container tools.
const JOB_UID_FIRST: u32 = 0x4000_0000;

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The directory that holds one directory per job. Made with mode 0700.
    pub root: PathBuf,
    /// Program and first arguments that, with a job's directory added, end in [`supervisor::run`].
    pub supervisor: Vec<String>,
    /// What the site has.
    pub capacity: Capacity,
    /// The `PATH` of the jobs.
    pub search_path: String,
    /// Directories that no job may see, beside `root`: the node's keys and store.
    pub hidden: Vec<PathBuf>,
    /// What is kept of each of a job's two streams, in bytes.
    pub log_bytes_max: u64,
    /// Time between asking a job to end (SIGTERM) and killing it.
    pub grace: Duration,
}

impl LocalConfig {
    /// The defaults, over a directory and a supervisor.
    #[must_use]
    pub fn new(root: PathBuf, supervisor: Vec<String>, capacity: Capacity) -> Self {
        Self {
            root,
            supervisor,
            capacity,
            search_path: SEARCH_PATH.to_owned(),
            hidden: Vec::new(),
            log_bytes_max: 64 << 20,
            grace: Duration::from_secs(5),
        }
    }
}

impl Capacity {
    /// All cores and memory of this machine, and no accelerators.
    ///
    /// # Errors
    /// The system does not say what it has.
    pub fn of_this_machine() -> Result<Self, EngineError> {
        let path = Path::new("/proc/meminfo");
        let text = fs::read_to_string(path).map_err(|source| failed("read", path, source))?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
        let kib: u64 =
            kib.ok_or_else(|| failed("find MemTotal in", path, io::ErrorKind::InvalidData.into()))?;
        let cores =
            thread::available_parallelism().map_err(|source| failed("count cores in", path, source))?;
        let cpu_cores = u32::try_from(cores.get()).unwrap_or(u32::MAX);
        Ok(Self { cpu_cores, memory_bytes: kib * 1024, gpus: BTreeMap::new() })
    }
}

/// The embedded engine. Clones share one engine.
#[derive(Debug, Clone)]
pub struct LocalEngine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: LocalConfig,
    hidden: Vec<String>,
    /// Whether each job gets a user of its own.
    own_users: bool,
    /// The supervisors started by this node: to take leave of them, and to start no second while one is on its way.
    supervisors: Mutex<HashMap<RunId, Supervisor>>,
}

/// A supervisor that this node started.
#[derive(Debug)]
enum Supervisor {
    Running(Child),
    /// It ended and said that it could not do its work.
    Failed(ExitStatus),
}

impl LocalEngine {
    /// Opens the engine over its directory, with whatever jobs are in it.
    ///
    /// # Errors
    /// The directory cannot be made, or a configured path is not Unicode.
    pub fn open(mut config: LocalConfig) -> Result<Self, EngineError> {
        create_private(&config.root)?;
        let found = fs::canonicalize(&config.root);
        config.root = found.map_err(|source| failed("find", &config.root, source))?;
        let hidden = config.hidden.iter().chain([&config.root]);
        let hidden = hidden.map(|path| {
            let text = path.to_str().map(ToOwned::to_owned);
            text.ok_or_else(|| failed("use (it is not Unicode)", path, io::ErrorKind::InvalidFilename.into()))
        });
        let hidden = hidden.collect::<Result<_, _>>()?;
        let own_users = Uid::effective().is_root() && may_give_away(&config.root);
        Ok(Self { inner: Arc::new(Inner { config, hidden, own_users, supervisors: Mutex::default() }) })
    }

    /// Does blocking work apart from the runtime's own threads.
    fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, EngineError> + Send + 'static,
    ) -> Answer<'static, T> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&inner)).await;
            done.unwrap_or_else(|error| {
                Err(failed("work for", Path::new("local engine"), io::Error::other(error)))
            })
        })
    }
}

impl Engine for LocalEngine {
    fn check(&self, job: &EngineJob) -> Result<(), Objection> {
        if job.image != "host" {
            return Err(Objection::Image { image: job.image.clone(), known: "host".to_owned() });
        }
        if let Some(option) = job.site_options.keys().next() {
            return Err(Objection::Option { option: option.clone(), allowed: "none".to_owned() });
        }
        self.inner.suits(job).map_err(|reason| Objection::Shape { reason })
    }
    fn submit<'a>(&'a self, job: &'a EngineJob) -> Answer<'a, ()> {
        let job = job.clone();
        self.apart(move |inner| inner.submit(&job))
    }
    fn observe(&self, id: RunId) -> Answer<'_, Observation> {
        self.apart(move |inner| inner.observe(id))
    }
    fn cancel(&self, id: RunId) -> Answer<'_, ()> {
        self.apart(move |inner| {
            let directory = inner.directory(id);
            directory.create()?;
            directory.write_cancel()
        })
    }
    fn reclaim(&self, id: RunId, grace: Duration) -> Answer<'_, ()> {
        self.apart(move |inner| {
            let directory = inner.directory(id);
            if directory.result()?.is_some() {
                return Ok(());
            }
            directory.create()?;
            let _turn = take_turn(&directory)?;
            directory
                .write_notice(NoticeRecord { grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX) })
        })
    }
    fn pack_checkpoint(&self, run: RunId) -> Answer<'_, Option<PathBuf>> {
        self.apart(move |inner| {
            inner.finished(run)?;
            let _turn = take_turn(&inner.directory(run))?;
            inner.saved(run.job).pack(run, inner.job_uid(run))
        })
    }
    fn wipe_checkpoint(&self, job: JobId) -> Answer<'_, ()> {
        self.apart(move |inner| inner.saved(job).wipe())
    }
    fn suspend(&self, id: RunId) -> Answer<'_, ()> {
        self.apart(move |inner| {
            let directory = inner.directory(id);
            if directory.result()?.is_some() {
                return Ok(());
            }
            directory.create()?;
            directory.write_suspension()
        })
    }
    fn resume(&self, id: RunId) -> Answer<'_, ()> {
        self.apart(move |inner| inner.directory(id).remove_suspension())
    }
    fn logs(
        &self,
        id: RunId,
        index: u32,
        stream: Stream,
        offset: u64,
        length_max: usize,
    ) -> Answer<'_, LogChunk> {
        self.apart(move |inner| inner.logs(id, index, stream, offset, length_max))
    }
    fn output_path<'a>(&'a self, id: RunId, name: &'a str) -> Answer<'a, PathBuf> {
        let name = name.to_owned();
        self.apart(move |inner| {
            let declared = inner.finished(id)?.outputs.iter().any(|output| output.name == name);
            let path = inner.directory(id).work().join(&name);
            // Declared names are checked at submission, so this one leads nowhere else.
            if declared && path.is_file() { Ok(path) } else { Err(EngineError::NoOutput { id, name }) }
        })
    }
    fn wipe(&self, id: RunId) -> Answer<'_, ()> {
        self.apart(move |inner| {
            inner.finished(id)?;
            let directory = inner.directory(id);
            staging::remove_tree(&directory.work())?;
            staging::remove_tree(&directory.scratch())
        })
    }
    fn working_directory(&self, id: RunId) -> Option<PathBuf> {
        Some(self.inner.directory(id).work()).filter(|work| work.is_dir())
    }
    fn capacity(&self) -> Capacity {
        self.inner.config.capacity.clone()
    }
}

impl Inner {
    fn directory(&self, id: RunId) -> JobDirectory {
        JobDirectory::of(&self.config.root, id)
    }

    fn saved(&self, job: JobId) -> Saved<'_> {
        Saved::of(&self.config.root, job)
    }

    /// The user a job runs as: when the node is root, one of the job's own; otherwise the node's.
    fn job_uid(&self, id: RunId) -> Option<u32> {
        let bytes = id.job.as_bytes();
        let low = u32::from_be_bytes([0, bytes[13], bytes[14], bytes[15]]);
        self.own_users.then_some(JOB_UID_FIRST + low)
    }

    fn submit(&self, job: &EngineJob) -> Result<(), EngineError> {
        job.validate(&self.config.capacity)?;
        let directory = self.directory(job.id);
        directory.create()?;
        // One submission of a job at a time, or a second could stage over a job that the first has begun.
        let _turn = take_turn(&directory)?;
        if directory.spec()?.is_none() {
            if directory.result()?.is_none() && !directory.is_cancelled() {
                let uid = self.job_uid(job.id);
                // Before the files: it may be that what the job came with does not read.
                if job.checkpoint {
                    self.saved(job.id.job).open(job, uid)?;
                }
                staging::stage(&directory, job.placed_inputs(), uid)?;
            }
            // The job is taken over once this is durable; a crash before leaves a directory that is staged anew.
            directory.write_spec(self.spec(job))?;
            record::sync_directory(&self.config.root)?;
        }
        self.observe(job.id).map(drop)
    }

    /// The first accelerator that would serve the job, and how many do: they are numbered type by type.
    fn accelerators(&self, job: &EngineJob) -> (u32, u32) {
        let gpus = &self.config.capacity.gpus;
        match &job.shape.gpu_type {
            None => (0, gpus.values().sum()),
            Some(wanted) => {
                let before = gpus.iter().take_while(|(name, _)| *name < wanted);
                (before.map(|(_, count)| count).sum(), gpus.get(wanted).copied().unwrap_or(0))
            }
        }
    }

    /// Whether this one machine can run the job at all.
    fn suits(&self, job: &EngineJob) -> Result<(), String> {
        job.validate(&self.config.capacity).map_err(|error| error.to_string())?;
        if job.shape.nodes > 1 || job.shape.tasks > 1 {
            let reason =
                "it asks for several nodes or processes, and the site is one machine that starts one";
            return Err(reason.to_owned());
        }
        let (_, there) = self.accelerators(job);
        match &job.shape.gpu_type {
            Some(wanted) if job.gpus > there => Err(format!(
                "it asks for {} accelerators of type `{wanted}` and the site has {there}: ask for less or another site",
                job.gpus
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn spec(&self, job: &EngineJob) -> SpecRecord {
        let config = &self.config;
        let (from, there) = self.accelerators(job);
        SpecRecord {
            id: job.id,
            command: job.command.clone(),
            outputs: job.outputs.clone(),
            cpu_cores: job.cpu_cores,
            memory_bytes: job.memory_bytes,
            gpus: job.gpus,
            gpus_there: there,
            gpus_from: from,
            count: job.shape.count,
            time_limit_ms: u64::from(job.time_limit_s) * 1_000,
            grace_ms: u64::try_from(config.grace.as_millis()).unwrap_or(u64::MAX),
            network: job.network,
            checkpoint: job.checkpoint,
            environment: job.environment.clone(),
            search_path: config.search_path.clone(),
            log_bytes_max: config.log_bytes_max,
            hidden: self.hidden.clone(),
            uid: self.job_uid(job.id),
        }
    }

    fn observe(&self, id: RunId) -> Result<Observation, EngineError> {
        let directory = self.directory(id);
        let on_its_way = self.take_leave(id);
        if let Some(result) = directory.result()? {
            return Ok(Observation::Finished(result.into()));
        }
        if directory.spec()?.is_none() {
            return Ok(Observation::Unknown);
        }
        // No supervisor is there, and none that we started: the node or it was lost. The new one begins the job, or
        // ends it when it may have begun before. That it might not be alone is no harm: one lock, one `started.json`.
        if !on_its_way? && !is_supervised(&directory)? && directory.result()?.is_none() {
            self.start_supervisor(id)?;
        }
        let suspended = directory.is_suspended();
        Ok(match directory.started()? {
            Some(started) => Observation::Running { started_at: started.started_at, suspended },
            None => Observation::Pending { reason: None, suspended },
        })
    }

    fn finished(&self, id: RunId) -> Result<Outcome, EngineError> {
        match self.observe(id)? {
            Observation::Finished(outcome) => Ok(outcome),
            Observation::Unknown => Err(EngineError::Unknown { id }),
            Observation::Pending { .. } | Observation::Running { .. } => Err(EngineError::NotFinished { id }),
        }
    }

    fn logs(
        &self,
        id: RunId,
        index: u32,
        stream: Stream,
        offset: u64,
        length_max: usize,
    ) -> Result<LogChunk, EngineError> {
        // Before the file is read: what a job wrote last is there before its result is.
        let finished = match self.observe(id)? {
            Observation::Unknown => return Err(EngineError::Unknown { id }),
            Observation::Finished(_) => true,
            Observation::Pending { .. } | Observation::Running { .. } => false,
        };
        let directory = self.directory(id);
        let task_ended = directory.has_task_ended(index);
        let path = directory.log(index, stream);
        let length_max = length_max.min(LOG_CHUNK_BYTES_MAX) as u64;
        let read = || {
            let mut file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
                opened => opened?,
            };
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            (&mut file).take(length_max).read_to_end(&mut bytes)?;
            Ok((bytes, file.metadata()?.len()))
        };
        let (bytes, length) = read().map_err(|source| failed("read", &path, source))?;
        let finished = finished || task_ended;
        let end = finished && offset.saturating_add(bytes.len() as u64) >= length;
        Ok(LogChunk { bytes, end })
    }

    /// Takes leave of the supervisors that ended, and says whether one for this job still runs.
    fn take_leave(&self, id: RunId) -> Result<bool, EngineError> {
        let mut supervisors = self.supervisors();
        supervisors.retain(|_, supervisor| {
            let Supervisor::Running(child) = supervisor else { return true };
            match child.try_wait() {
                Ok(None) => true,
                // One that was killed is replaced at once; one that gave up is made known first.
                Ok(Some(status)) if status.code().is_some_and(|code| code != 0) => {
                    *supervisor = Supervisor::Failed(status);
                    true
                }
                Ok(Some(_)) | Err(_) => false,
            }
        });
        match supervisors.get(&id) {
            None => Ok(false),
            Some(Supervisor::Running(_)) => Ok(true),
            Some(Supervisor::Failed(status)) => {
                let said = fs::read(self.directory(id).supervisor_log()).unwrap_or_default();
                let said =
                    String::from_utf8_lossy(&said[said.len().saturating_sub(2_000)..]).trim().to_owned();
                let error = EngineError::Supervisor { id, status: *status, said };
                supervisors.remove(&id);
                Err(error)
            }
        }
    }

    fn start_supervisor(&self, id: RunId) -> Result<(), EngineError> {
        let [program, arguments @ ..] = self.config.supervisor.as_slice() else {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "no supervisor program is configured");
            return Err(failed("start", &self.config.root, error));
        };
        let mut supervisors = self.supervisors();
        if supervisors.contains_key(&id) {
            return Ok(());
        }
        let directory = self.directory(id);
        let log = directory.supervisor_log();
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&log);
        let file = file.map_err(|source| failed("open", &log, source))?;
        let mut command = Command::new(program);
        command.args(arguments).arg(directory.path()).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child =
            command.spawn().map_err(|source| failed("start the supervisor", Path::new(program), source))?;
        supervisors.insert(id, Supervisor::Running(child));
        Ok(())
    }

    fn supervisors(&self) -> MutexGuard<'_, HashMap<RunId, Supervisor>> {
        // The map is whole after any panic: nothing is half done under this lock.
        self.supervisors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether files can be given to the users of the jobs: not where root's capabilities or user numbers are cut down.
fn may_give_away(root: &Path) -> bool {
    let probe = root.join(format!("probe.{}", std::process::id()));
    let given = fs::create_dir(&probe).and_then(|()| chown(&probe, Some(JOB_UID_FIRST), Some(JOB_UID_FIRST)));
    let _ = fs::remove_dir(&probe); // of a probe that could not be made, nothing is left
    given.is_ok()
}

fn take_turn(directory: &JobDirectory) -> Result<File, EngineError> {
    let path = directory.path().join("submit");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let locked = file.and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| failed("lock", &path, source))
}

/// Whether a supervisor holds the job's lock.
fn is_supervised(directory: &JobDirectory) -> Result<bool, EngineError> {
    let path = directory.lock();
    match File::open(&path) {
        // Shared, so that two who look do not take each other for a supervisor; given back at once.
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(source)) => Err(failed("lock", &path, source)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed("open", &path, source)),
    }
}
