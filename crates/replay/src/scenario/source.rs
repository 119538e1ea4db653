// SPDX-License-Identifier: Apache-2.0
//! The file of a scenario: what lies beside it, and what is said of it.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::trace::TraceError;

/// Why a scenario cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file is not there, not to be read, or no text.
    #[error("scenario `{}`: it cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file too long to be one.
    #[error("scenario `{}`: it is longer than {} bytes: jobs and prices go into files of their own", path.display(), super::FILE_BYTES_MAX)]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Not TOML, or a key that is missing, unknown or of another kind.
    #[error("scenario `{}`: {said}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What, with its line.
        said: String,
    },
    /// A value that cannot be.
    #[error("scenario `{}`: {key}: {said}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// What is wrong with it, and what to write.
        said: String,
    },
    /// A trace that cannot be read.
    #[error("scenario `{}`: {key}: the trace `{}`", path.display(), trace.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// Which key.
        key: String,
        /// The trace.
        trace: PathBuf,
        /// The cause.
        source: TraceError,
    },
}

/// The file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
}

impl Source<'_> {
    /// A path that is written from the folder of the scenario on.
    pub(super) fn beside(&self, written: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(written)
    }

    pub(super) fn key(&self, key: String, said: String) -> ScenarioError {
        ScenarioError::Key { path: self.path.to_owned(), key, said }
    }

    pub(super) fn refuse<T>(&self, key: String, said: String) -> Result<T, ScenarioError> {
        Err(self.key(key, said))
    }

    pub(super) fn trace(&self, key: String, trace: &Path, source: TraceError) -> ScenarioError {
        ScenarioError::Trace { path: self.path.to_owned(), key, trace: trace.to_owned(), source }
    }
}
