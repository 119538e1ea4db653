// SPDX-License-Identifier: Apache-2.0
//! Read connections, kept and lent out: WAL lets them read while the writer writes.

use std::{path::PathBuf, sync::Mutex};

use rusqlite::{Connection, OpenFlags};

use super::{Doing, StoreError};

/// How many idle connections are kept.
const IDLE_MAX: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let kept = self.lock().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.open()?,
        };
        // A transaction of its own, so that several queries see one moment.
        connection.execute_batch("BEGIN").doing("begin to read")?;
        let answer = read(&connection);
        connection.execute_batch("COMMIT").doing("end a read")?;
        let mut idle = self.lock();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        answer
    }

    fn open(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).doing("open a reader")?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).doing("set up a reader")?;
        super::schema::keep_plans(&connection)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic of another reader leaves the list itself whole.
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
