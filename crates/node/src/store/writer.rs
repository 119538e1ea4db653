// SPDX-License-Identifier: Apache-2.0
//! The one writer: takes every step that waits, commits them together, answers each after its own is durable.

use std::sync::{
    Arc, Mutex, PoisonError,
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use rusqlite::{Connection, Savepoint, TransactionBehavior};
use tokio::sync::oneshot;

use super::{
    Doing, StoreError,
    audit::{AuditWriter, LogKeys, PendingEntry},
    die_at::{DieAt, Side},
};
use crate::outside::Chance;

/// How many writes may wait.
const QUEUE_MAX: usize = 4096;
/// How many writes one transaction takes.
const BATCH_MAX: usize = 512;

/// Whether writes run in a thread of their own or in the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterMode {
    /// A thread of its own, group commit, every commit synced to the disk: for real nodes.
    Durable,
    /// The same, and the process kills itself at a commit: for the crash test.
    DurableUntil(DieAt),
    /// In the caller, one transaction each, without syncs: the simulation's crashes lose the process and never the disk,
    /// and it must run the same way each time.
    Simulated,
}

/// One write within a transaction.
pub struct Tx<'a> {
    savepoint: Savepoint<'a>,
    entries: Vec<PendingEntry>,
}

impl Tx<'_> {
    /// The connection, for the queries of this module's siblings.
    pub(crate) fn connection(&self) -> &Connection {
        &self.savepoint
    }

    /// Adds an entry to the audit log, in the same transaction as the state it is about.
    pub fn audit(&mut self, entry: PendingEntry) {
        self.entries.push(entry);
    }
}

/// Answers the caller, once the outcome of the commit is known.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Runs a write; hands back its entries, or nothing when it failed, and how to answer.
type Task = Box<dyn FnOnce(Savepoint<'_>) -> (Option<Vec<PendingEntry>>, Answer) + Send>;

pub(super) fn task<T: Send + 'static>(
    write: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    sender: oneshot::Sender<Result<T, StoreError>>,
) -> Task {
    Box::new(move |savepoint| {
        let mut tx = Tx { savepoint, entries: Vec::new() };
        let outcome = write(&mut tx).and_then(|value| {
            tx.savepoint.commit().doing("keep a step")?;
            Ok((value, tx.entries))
        });
        let (entries, outcome) = match outcome {
            Ok((value, entries)) => (Some(entries), Ok(value)),
            Err(error) => (None, Err(error)),
        };
        let answer: Answer = Box::new(move |committed| {
            // The caller may have gone away; what is committed stays committed.
            let _gone = sender.send(committed.and(outcome));
        });
        (entries, answer)
    })
}

pub(super) struct Writer {
    inner: Inner,
}

enum Inner {
    Thread { queue: Mutex<Option<SyncSender<Task>>>, thread: Mutex<Option<std::thread::JoinHandle<()>>> },
    Inline(Box<Mutex<Core>>),
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        keys: LogKeys,
        chance: Arc<dyn Chance>,
        mode: WriterMode,
    ) -> Result<Self, StoreError> {
        let audit = AuditWriter::load(&connection, keys, chance)?;
        let die_at = match mode {
            WriterMode::DurableUntil(die_at) => Some(die_at),
            WriterMode::Durable | WriterMode::Simulated => None,
        };
        let mut core = Core { connection, audit, commits: 0, die_at };
        let inner = match mode {
            WriterMode::Simulated => Inner::Inline(Box::new(Mutex::new(core))),
            WriterMode::Durable | WriterMode::DurableUntil(_) => {
                let (queue, tasks) = sync_channel(QUEUE_MAX);
                let thread = std::thread::Builder::new()
                    .name("store-writer".to_owned())
                    .spawn(move || core.run(&tasks))
                    .map_err(|source| StoreError::File { path: "thread store-writer".to_owned(), source })?;
                Inner::Thread { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) }
            }
        };
        Ok(Self { inner })
    }

    pub(super) fn submit(&self, task: Task) -> Result<(), StoreError> {
        match &self.inner {
            Inner::Inline(core) => core.lock().unwrap_or_else(PoisonError::into_inner).commit(vec![task]),
            Inner::Thread { queue, .. } => {
                let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                match queue.as_ref().map(|queue| queue.try_send(task)) {
                    Some(Ok(())) => {}
                    Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => {
                        return Err(StoreError::Busy);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn stop(&self) {
        if let Inner::Thread { queue, thread } = &self.inner {
            drop(queue.lock().unwrap_or_else(PoisonError::into_inner).take());
            if let Some(thread) = thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
                // A writer that panicked has already lost its callers' answers, so they know.
                let _panicked = thread.join();
            }
        }
    }
}

struct Core {
    connection: Connection,
    audit: AuditWriter,
    /// Commits since the start, the one under way included.
    commits: u64,
    die_at: Option<DieAt>,
}

impl Core {
    fn run(&mut self, tasks: &Receiver<Task>) {
        while let Ok(first) = tasks.recv() {
            // No linger: whatever came while the last commit ran goes into this one.
            let batch = std::iter::once(first).chain(tasks.try_iter().take(BATCH_MAX - 1)).collect();
            self.commit(batch);
        }
    }

    fn commit(&mut self, batch: Vec<Task>) {
        let mut answers = Vec::with_capacity(batch.len());
        let outcome = self.try_commit(batch, &mut answers);
        if let Err(error) = &outcome {
            tracing::error!(error = %error, writes = answers.len(), "a transaction did not commit");
            // The tree in memory is ahead of the disk now; read it back.
            if let Err(error) = self.audit.reload(&self.connection) {
                tracing::error!(error = %error, "the audit log cannot be read back");
            }
        }
        for answer in answers {
            answer(outcome.as_ref().copied().map_err(|error| StoreError::NotCommitted(chain(error))));
        }
    }

    fn try_commit(&mut self, batch: Vec<Task>, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
        let begin = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let mut transaction = match begin {
            Ok(transaction) => transaction,
            Err(source) => return Err(StoreError::Sql { doing: "begin to write", source }),
        };
        let mut entries = Vec::new();
        for task in batch {
            let savepoint = transaction.savepoint().doing("begin a step")?;
            let (written, answer) = task(savepoint);
            entries.extend(written.into_iter().flatten());
            answers.push(answer);
        }
        // Durable from here on: state, entries, outgoing work and the checkpoint over them, or none of it.
        self.audit.append(&transaction, entries)?;
        self.commits += 1;
        strike(self.die_at, Side::Before, self.commits);
        transaction.commit().doing("commit")?;
        strike(self.die_at, Side::After, self.commits);
        Ok(())
    }
}

/// The crash test's hook; nothing in a node that serves.
fn strike(die_at: Option<DieAt>, side: Side, commit: u64) {
    if let Some(die_at) = die_at {
        die_at.strike(side, commit);
    }
}

/// An error with its causes in one line.
fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
