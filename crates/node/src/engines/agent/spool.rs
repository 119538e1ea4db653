// SPDX-License-Identifier: Apache-2.0
//! Files that came from an agent, outputs and archives of what jobs saved: fetched in parts, continued where they stopped, kept until the job is wiped.

use std::{
    fmt, fs,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sta_protocol::digest::Sha256Digest;

use super::{
    calls::{Method, PART_BYTES_MAX, Reply},
    content::{self, failed, make_private, place, write_whole},
    desk::Desk,
};
use crate::engines::{EngineError, OutputFile, RunId};

/// How many parts of a file are on their way at once.
const PARTS_ABREAST: usize = 4;
/// How long one part may take.
const PART_TIME_MAX: Duration = Duration::from_secs(120);
/// The file that says that all outputs of a job are here, and under which names.
const WHOLE: &str = "outputs.json";
/// What is being done, for errors.
const DOING: &str = "fetch a file";

/// The directory of files fetched from one site, one directory a job.
#[derive(Debug, Clone)]
pub(super) struct Spool {
    root: PathBuf,
}

impl Spool {
    pub(super) fn open(root: PathBuf) -> Result<Self, EngineError> {
        make_private(&root)?;
        Ok(Self { root })
    }

    fn directory(&self, id: RunId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// The outputs that are here, once all of them are.
    pub(super) fn whole(&self, id: RunId) -> Result<Option<Vec<OutputFile>>, EngineError> {
        let path = self.directory(id).join(WHOLE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| EngineError::Record { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    /// Where the content with this SHA-256 of a job's outputs is.
    pub(super) fn path(&self, id: RunId, sha256: Sha256Digest) -> PathBuf {
        self.directory(id).join(sha256.to_string())
    }

    /// Removes what is here of a job.
    pub(super) fn remove(&self, id: RunId) -> Result<(), EngineError> {
        let directory = self.directory(id);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &directory, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Fetches every output of a finished job. An interrupted fetch is continued by the next.
    pub(super) async fn fetch(
        &self,
        desk: &Desk,
        id: RunId,
        outputs: Vec<OutputFile>,
    ) -> Result<(), EngineError> {
        make_private(&self.directory(id))?;
        for OutputFile { name, bytes, sha256 } in &outputs {
            let what = What::Output(name.clone());
            self.fetch_into(desk, id, &Remote { id, what, bytes: *bytes, sha256: *sha256 }).await?;
        }
        let path = self.directory(id).join(WHOLE);
        let text = serde_json::to_vec(&outputs)
            .map_err(|error| EngineError::Record { path: path.clone(), reason: error.to_string() })?;
        write_whole(&path, &text)
    }

    /// Fetches one file into the directory of `id`, and says where it is. An interrupted fetch is continued by the next.
    pub(super) async fn fetch_into(
        &self,
        desk: &Desk,
        id: RunId,
        file: &Remote,
    ) -> Result<PathBuf, EngineError> {
        let whole = self.path(id, file.sha256);
        if whole.is_file() {
            return Ok(whole);
        }
        make_private(&self.directory(id))?;
        let (partial, to, have) = content::partial(&whole)?;
        let step = PART_BYTES_MAX as u64;
        let offsets = (0..).map(|count| have + count * step).take_while(|offset| *offset < file.bytes);
        let mut parts =
            stream::iter(offsets).map(|offset| read_part(desk, file, offset)).buffered(PARTS_ABREAST);
        while let Some(part) = parts.next().await {
            let (part, mut to) = (part?, to.try_clone().map_err(|source| failed("open", &partial, source))?);
            let written = tokio::task::spawn_blocking(move || to.write_all(&part)).await;
            let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
            written.map_err(|source| failed("write", &partial, source))?;
        }
        let (expected, to) = (file.sha256, whole.clone());
        let placed = tokio::task::spawn_blocking(move || place(&partial, &to, expected)).await;
        let placed =
            placed.unwrap_or_else(|error| Err(failed("check", &self.root, io::Error::other(error))))?;
        placed.map(|()| whole).map_err(|got| {
            let said = format!("{} came with SHA-256 {got}, and the engine had named {expected}", file.what);
            EngineError::Site { doing: DOING, said }
        })
    }
}

/// A file at the agent.
#[derive(Debug)]
pub(super) struct Remote {
    /// The attempt that it is of.
    pub(super) id: RunId,
    pub(super) what: What,
    pub(super) bytes: u64,
    pub(super) sha256: Sha256Digest,
}

#[derive(Debug)]
pub(super) enum What {
    /// The output of that name.
    Output(String),
    /// The archive of what the job saved.
    Checkpoint,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(name) => write!(f, "`{name}`"),
            Self::Checkpoint => write!(f, "the archive"),
        }
    }
}

async fn read_part(desk: &Desk, file: &Remote, offset: u64) -> Result<Bytes, EngineError> {
    let (id, left) = (file.id, file.bytes - offset);
    let length_max = usize::try_from(left).map_or(PART_BYTES_MAX, |left| left.min(PART_BYTES_MAX));
    let method = match &file.what {
        What::Output(name) => Method::ReadOutput { id, name: name.clone(), offset, length_max },
        What::Checkpoint => Method::ReadCheckpoint { id, offset, length_max },
    };
    let site = |said: String| EngineError::Site { doing: DOING, said };
    match desk.ask(method, PART_TIME_MAX).await.map_err(site)? {
        Reply::Part(bytes) if bytes.len() == length_max => Ok(bytes),
        Reply::Part(bytes) => Err(site(format!(
            "{} of job {id} has {} bytes from byte {offset} on, and {length_max} were to come",
            file.what,
            bytes.len()
        ))),
        Reply::Failed(failure) => Err(failure.into_error(id, DOING)),
        other => Err(strange(DOING, &other)),
    }
}

/// An answer that does not belong to the call.
pub(super) fn strange(doing: &'static str, reply: &Reply) -> EngineError {
    let mut said = format!("the agent gave an answer to something else: {reply:?}");
    said.truncate(said.floor_char_boundary(300));
    EngineError::Site { doing, said }
}
