// SPDX-License-Identifier: Apache-2.0
//! The agent's copies of inputs: fetched in parts by their SHA-256, once for however many jobs, and removed with the last that needs them.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sta_protocol::digest::Sha256Digest;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    calls::{Failed, causes},
    content::{self, failed, make_private, write_whole},
    link::{Link, LinkError},
};
use crate::engines::{EngineError, EngineJob, RunId};

/// How many files come in at once.
const FETCHES_MAX: usize = 4;
/// How long a submission waits for its inputs; they go on coming, and the next one finds them.
const STAGE_TIME_MAX: Duration = Duration::from_secs(20);
/// How often a submission looks whether they are here.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How often a part is asked for again, and the wait before, which doubles.
const RETRIES_MAX: u32 = 6;
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// After how long files of a job that was never submitted are removed.
const NEVER_SUBMITTED: Duration = Duration::from_secs(24 * 3600);

/// The agent's inputs. Clones share one store.
#[derive(Clone)]
pub struct Inputs {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    link: Link,
    free: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    uses: HashMap<RunId, HashSet<Sha256Digest>>,
    /// How many jobs use a file.
    users: HashMap<Sha256Digest, usize>,
    /// Files that are coming in, or why one did not.
    coming: HashMap<Sha256Digest, Option<String>>,
}

impl Inputs {
    /// Opens the store with whatever is in it; files that no job uses are removed.
    ///
    /// # Errors
    /// A directory or file cannot be made, read or removed.
    pub fn open(root: PathBuf, link: Link) -> Result<Self, EngineError> {
        let inner = Inner { root, link, free: Semaphore::new(FETCHES_MAX), state: Mutex::default() };
        make_private(&inner.files())?;
        make_private(&inner.uses())?;
        let list = |directory: PathBuf| {
            let entries = fs::read_dir(&directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            entries.map_err(|source| failed("list", &directory, source))
        };
        let mut state = inner.state();
        for entry in list(inner.uses())? {
            // What is no job's was left by an interrupted write.
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let path = entry.path();
            let text = fs::read(&path).map_err(|source| failed("read", &path, source))?;
            let files = serde_json::from_slice(&text)
                .map_err(|error| EngineError::Record { path, reason: error.to_string() })?;
            state.note_use(id, files);
        }
        for entry in list(inner.files())? {
            let path = entry.path();
            let digest = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
            if digest.is_none_or(|digest| !state.users.contains_key(&digest)) {
                content::remove(&path)?;
            }
        }
        drop(state);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Brings a job's inputs here, and gives the job with their paths on this machine.
    ///
    /// # Errors
    /// They are not here yet: the same call again finds more of them. Or the disk says no.
    pub(super) async fn stage(&self, job: &EngineJob) -> Result<EngineJob, Failed> {
        let files: HashSet<Sha256Digest> = job.inputs.iter().map(|input| input.sha256).collect();
        self.inner.keep_use(job.id, &files)?;
        let until = Instant::now() + STAGE_TIME_MAX;
        loop {
            let missing: Vec<Sha256Digest> =
                files.iter().copied().filter(|sha256| !self.inner.file(*sha256).is_file()).collect();
            if missing.is_empty() {
                break;
            }
            for sha256 in &missing {
                self.start(*sha256)?;
            }
            if Instant::now() >= until {
                let here = files.len() - missing.len();
                return Err(Failed::site(format!(
                    "the inputs are on their way: {here} of {} files are here",
                    files.len()
                )));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let mut job = job.clone();
        for input in &mut job.inputs {
            input.path = self.inner.file(input.sha256);
        }
        Ok(job)
    }

    /// Starts to fetch a file unless it is coming in; says why it did not come when it was tried since.
    fn start(&self, sha256: Sha256Digest) -> Result<(), Failed> {
        {
            let mut state = self.inner.state();
            match state.coming.get(&sha256) {
                Some(None) => return Ok(()),
                Some(Some(said)) => {
                    let said = said.clone();
                    state.coming.remove(&sha256);
                    return Err(Failed::site(said));
                }
                None => drop(state.coming.insert(sha256, None)),
            }
        }
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let fetched = inner.fetch(sha256).await;
            let mut state = inner.state();
            match fetched {
                Ok(()) => drop(state.coming.remove(&sha256)),
                Err(error) => {
                    let said = format!("the input {sha256} did not come: {}", causes(&error));
                    state.coming.insert(sha256, Some(said));
                }
            }
        });
        Ok(())
    }

    /// The job needs its inputs no more: files that no other job uses are removed.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(super) fn release(&self, id: RunId) -> Result<(), EngineError> {
        let mut state = self.inner.state();
        let Some(files) = state.uses.remove(&id) else { return Ok(()) };
        for sha256 in files {
            let users = state.users.entry(sha256).or_default();
            *users = users.saturating_sub(1);
            if *users == 0 {
                state.users.remove(&sha256);
                content::remove(&self.inner.file(sha256))?;
            }
        }
        content::remove(&self.inner.uses().join(id.to_string()))
    }

    /// Jobs whose inputs came so long ago that they would have been submitted since.
    pub(super) fn old(&self) -> Vec<RunId> {
        let ids: Vec<RunId> = self.inner.state().uses.keys().copied().collect();
        let is_old = |id: &RunId| {
            let modified =
                fs::metadata(self.inner.uses().join(id.to_string())).and_then(|found| found.modified());
            modified
                .is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > NEVER_SUBMITTED))
        };
        ids.into_iter().filter(is_old).collect()
    }
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Disk(#[from] EngineError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("it came with SHA-256 {0}")]
    Differs(Sha256Digest),
    #[error("the node gave no byte from byte {0} on")]
    Nothing(u64),
}

impl Inner {
    fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    fn uses(&self) -> PathBuf {
        self.root.join("uses")
    }

    fn file(&self, sha256: Sha256Digest) -> PathBuf {
        self.files().join(sha256.to_string())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts and names belong together and are changed together under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Durable before the first byte comes, so that what comes is never forgotten.
    fn keep_use(&self, id: RunId, files: &HashSet<Sha256Digest>) -> Result<(), EngineError> {
        let mut state = self.state();
        if files.is_empty() || state.uses.contains_key(&id) {
            return Ok(());
        }
        let path = self.uses().join(id.to_string());
        let text = serde_json::to_vec(files)
            .map_err(|error| EngineError::Record { path: path.clone(), reason: error.to_string() })?;
        write_whole(&path, &text)?;
        state.note_use(id, files.clone());
        Ok(())
    }

    /// Fetches one file, from where an earlier attempt stopped.
    async fn fetch(&self, sha256: Sha256Digest) -> Result<(), FetchError> {
        let Ok(_one_of_few) = self.free.acquire().await else { return Ok(()) };
        let whole_path = self.file(sha256);
        let (partial, file, mut have) = content::partial(&whole_path)?;
        loop {
            let (part, whole) = self.part(sha256, have).await?;
            have += part.len() as u64;
            let is_nothing = part.is_empty();
            let mut file = file.try_clone().map_err(|source| failed("open", &partial, source))?;
            let written = tokio::task::spawn_blocking(move || file.write_all(&part)).await;
            let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
            written.map_err(|source| failed("write", &partial, source))?;
            if have >= whole {
                break;
            }
            if is_nothing {
                return Err(FetchError::Nothing(have));
            }
        }
        let placed = tokio::task::spawn_blocking(move || content::place(&partial, &whole_path, sha256)).await;
        let placed =
            placed.unwrap_or_else(|error| Err(failed("check", &self.root, io::Error::other(error))))?;
        placed.map_err(FetchError::Differs)
    }

    async fn part(&self, sha256: Sha256Digest, offset: u64) -> Result<(bytes::Bytes, u64), LinkError> {
        let mut tries = 0;
        loop {
            match self.link.input(sha256, offset).await {
                Err(LinkError::NoAnswer { .. }) if tries < RETRIES_MAX => {
                    tokio::time::sleep(RETRY_WAIT * (1 << tries)).await;
                    tries += 1;
                }
                answered => return answered,
            }
        }
    }
}

impl State {
    fn note_use(&mut self, id: RunId, files: HashSet<Sha256Digest>) {
        for sha256 in &files {
            *self.users.entry(*sha256).or_default() += 1;
        }
        self.uses.insert(id, files);
    }
}
