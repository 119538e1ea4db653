// SPDX-License-Identifier: Apache-2.0
//! The node's memory: one SQLite file. One writer, group commit; state, audit entries and outgoing work are one transaction.

use std::path::Path;

use rusqlite::Connection;
use tokio::sync::oneshot;

pub mod audit;
pub mod blob_uses;
pub mod blobs;
mod die_at;
pub mod frozen;
pub mod gate_holds;
pub mod gates;
pub mod holds;
pub mod hosted;
pub mod incidents;
pub mod jobs;
pub mod ledger;
pub mod line;
pub mod moves;
pub mod outbox;
pub mod peers;
pub mod possessions;
mod readers;
pub mod reclaims;
pub mod registry;
mod schema;
pub mod spans;
pub mod stop_orders;
pub mod waits;
mod writer;

pub use audit::LogKeys;
pub use die_at::DieAt;
pub use writer::{Tx, WriterMode};

/// Why the store could not do what was asked. The caller's own refusals never come this way.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("the store cannot {doing}")]
    Sql {
        /// What we were doing.
        doing: &'static str,
        /// Why not.
        source: rusqlite::Error,
    },
    /// A stored value does not read as what it should be.
    #[error("the store holds a {what} that does not read: {problem}")]
    Damaged {
        /// What kind of value.
        what: &'static str,
        /// How it fails.
        problem: String,
    },
    /// The audit log could not take its entry; nothing was written.
    #[error("the audit log cannot take the entry: {0}")]
    Audit(String),
    /// A file of the store could not be used.
    #[error("the store cannot use `{path}`")]
    File {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The writer's queue is full, or the node is stopping.
    #[error("the node takes no more work now: its write queue is full or it is stopping; try again")]
    Busy,
    /// The transaction that this write was in did not commit; nothing was written.
    #[error("the transaction did not commit: {0}")]
    NotCommitted(String),
}

/// Names what was being done when SQLite said no.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Sql { doing, source })
    }
}

/// The store: durable writes through one writer, reads beside it.
pub struct Store {
    writer: writer::Writer,
    readers: readers::Readers,
}

impl Store {
    /// Opens or makes the store in `directory`.
    ///
    /// # Errors
    /// The file cannot be opened, is of a newer version, or its log does not match its checkpoint.
    pub fn open(
        directory: &Path,
        keys: LogKeys,
        chance: std::sync::Arc<dyn crate::outside::Chance>,
        mode: WriterMode,
    ) -> Result<Self, StoreError> {
        let path = directory.join("node.sqlite");
        let mut connection = Connection::open(&path).doing("open its file")?;
        schema::prepare(&mut connection, mode)?;
        let writer = writer::Writer::start(connection, keys, chance, mode)?;
        Ok(Self { writer, readers: readers::Readers::new(path) })
    }

    /// Runs `write` in the next transaction and returns after it is durable.
    ///
    /// # Errors
    /// What `write` returned (then nothing of it was written), or why the transaction did not commit.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.writer.submit(writer::task(write, sender))?;
        receiver.await.map_err(|_gone| StoreError::Busy)?
    }

    /// Reads a consistent snapshot; never waits for the writer.
    ///
    /// # Errors
    /// What `read` returned, or SQLite's own trouble.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.readers.with(read)
    }

    /// Commits what waits and stops taking writes.
    pub fn stop(&self) {
        self.writer.stop();
    }
}
