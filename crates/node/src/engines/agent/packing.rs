// SPDX-License-Identifier: Apache-2.0
//! The agent's side of what jobs saved: archives that its engine makes, each once, which may take longer than a call.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use sta_protocol::{digest::Sha256Digest, ids::JobId};
use tokio::time::Instant;

use super::{
    calls::{Failed, PART_BYTES_MAX, Packed},
    content::failed,
};
use crate::{
    engines::{Engine, EngineError, RunId},
    store::blobs::{hash_file, read_range},
};

/// How long a call waits for an archive that is being made; it goes on being made, and the next call finds it.
const PACK_TIME_MAX: Duration = Duration::from_secs(20);
/// How often a call looks whether it is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The archives of one agent.
#[derive(Default)]
pub(super) struct Packing {
    stages: Arc<Mutex<HashMap<RunId, Stage>>>,
}

enum Stage {
    UnderWay,
    /// None where the job saved nothing.
    Done(Option<Made>),
    Failed(Failed),
}

#[derive(Clone)]
struct Made {
    path: PathBuf,
    bytes: u64,
    sha256: Sha256Digest,
}

impl Packing {
    /// Has the engine make the archive, unless it is at it or has made it.
    pub(super) async fn pack(&self, engine: &Arc<dyn Engine>, run: RunId) -> Result<Packed, Failed> {
        self.start(engine, run);
        let until = Instant::now() + PACK_TIME_MAX;
        loop {
            {
                let mut stages = lock(&self.stages);
                match stages.remove(&run) {
                    // What became of it another call has told, which is to be made again.
                    None => return Ok(Packed::UnderWay),
                    Some(Stage::Failed(said)) => return Err(said),
                    Some(Stage::Done(None)) => return Ok(Packed::Nothing),
                    Some(Stage::Done(Some(made))) => {
                        let packed = Packed::Archive { bytes: made.bytes, sha256: made.sha256 };
                        stages.insert(run, Stage::Done(Some(made)));
                        return Ok(packed);
                    }
                    Some(Stage::UnderWay) => drop(stages.insert(run, Stage::UnderWay)),
                }
            }
            if Instant::now() >= until {
                return Ok(Packed::UnderWay);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn start(&self, engine: &Arc<dyn Engine>, run: RunId) {
        {
            let mut stages = lock(&self.stages);
            match stages.get(&run) {
                Some(Stage::UnderWay | Stage::Failed(_)) => return,
                Some(Stage::Done(Some(made))) if made.path.is_file() => return,
                Some(Stage::Done(_)) | None => drop(stages.insert(run, Stage::UnderWay)),
            }
        }
        let (stages, engine) = (Arc::clone(&self.stages), Arc::clone(engine));
        tokio::spawn(async move {
            let stage = match made(&*engine, run).await {
                Ok(made) => Stage::Done(made),
                Err(error) => Stage::Failed(error.into()),
            };
            lock(&stages).insert(run, stage);
        });
    }

    /// A part of an archive that was made.
    pub(super) async fn read(
        &self,
        run: RunId,
        offset: u64,
        length_max: usize,
    ) -> Result<Bytes, EngineError> {
        let path = match lock(&self.stages).get(&run) {
            Some(Stage::Done(Some(made))) => made.path.clone(),
            Some(_) | None => {
                let said = "it was not packed since the agent began".to_owned();
                return Err(EngineError::Site { doing: "read what the job saved", said });
            }
        };
        let read = move || {
            let part = read_range(&path, offset, length_max.min(PART_BYTES_MAX));
            part.map_err(|error| failed("read", &path, io::Error::other(error)))
        };
        let (bytes, _) = apart(read).await?;
        Ok(bytes.into())
    }

    /// The job goes on here, or not at all: its archives are of no use.
    pub(super) fn forget(&self, job: JobId) {
        lock(&self.stages).retain(|run, _| run.job != job);
    }
}

async fn made(engine: &dyn Engine, run: RunId) -> Result<Option<Made>, EngineError> {
    let Some(path) = engine.pack_checkpoint(run).await? else { return Ok(None) };
    let hashed = move || {
        let (sha256, bytes) =
            hash_file(&path).map_err(|error| failed("hash", &path, io::Error::other(error)))?;
        Ok(Made { path, bytes, sha256 })
    };
    apart(hashed).await.map(Some)
}

/// Does blocking work apart from the runtime's own threads.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(failed("read", Path::new("an archive"), io::Error::other(error))))
}

fn lock(stages: &Mutex<HashMap<RunId, Stage>>) -> MutexGuard<'_, HashMap<RunId, Stage>> {
    // What is behind it is whole after any panic.
    stages.lock().unwrap_or_else(PoisonError::into_inner)
}
