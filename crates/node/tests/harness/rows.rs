// SPDX-License-Identifier: Apache-2.0
//! A look into the store of a node that is another process, dead or alive.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, Row, types::ValueRef};

/// The first column of the rows that `sql` finds in the store of the node in `directory`.
///
/// Opened anew for each look and never for writing, so that the next start finds the file as a death left it.
pub(crate) fn first_column(directory: &Path, sql: &str) -> Vec<String> {
    let path = directory.join("node.sqlite");
    let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    store.busy_timeout(Duration::from_secs(5)).unwrap();
    let mut query = store.prepare(sql).unwrap();
    let text = |row: &Row<'_>| {
        Ok(match row.get_ref(0)? {
            ValueRef::Null => String::new(),
            ValueRef::Integer(number) => number.to_string(),
            other => other.as_str()?.to_owned(),
        })
    };
    query.query_map([], text).unwrap().collect::<Result<_, _>>().unwrap()
}
