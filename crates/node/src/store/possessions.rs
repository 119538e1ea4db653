// SPDX-License-Identifier: Apache-2.0
//! Who has which file: they have sent every byte of it here, or may have it as the result of their job. To know a digest is not enough.

use std::fmt;

use rusqlite::{Connection, params};
use sta_protocol::{
    digest::Sha256Digest,
    federation::Receipt,
    ids::{MemberId, ResearcherId},
    jws::Signed,
};

use super::{Doing, StoreError, Tx};

/// Who may have a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A person of this node.
    Person(ResearcherId),
    /// Another member.
    Member(MemberId),
}

impl fmt::Display for Party {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(person) => write!(formatter, "person/{person}"),
            Self::Member(member) => write!(formatter, "member/{member}"),
        }
    }
}

/// Notes that somebody has a file; once noted it stays so until the file goes.
pub fn note(tx: &Tx<'_>, sha256: Sha256Digest, party: &Party) -> Result<(), StoreError> {
    insert(tx.connection(), sha256, party)
}

fn insert(connection: &Connection, sha256: Sha256Digest, party: &Party) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO possessions (sha256, party) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![sha256.to_string(), party.to_string()]))
        .doing("note who has a file")
        .map(|_rows| ())
}

/// Whether somebody is noted to have a file.
pub fn is_noted(connection: &Connection, sha256: Sha256Digest, party: &Party) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM possessions WHERE sha256 = ?1 AND party = ?2")
        .and_then(|mut query| query.exists(params![sha256.to_string(), party.to_string()]))
        .doing("look who has a file")
}

/// Forgets who had a file, which goes.
pub fn forget(tx: &Tx<'_>, sha256: Sha256Digest) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("DELETE FROM possessions WHERE sha256 = ?1")
        .and_then(|mut delete| delete.execute([sha256.to_string()]))
        .doing("forget who had a file")
        .map(|_rows| ())
}

/// Notes, once, what hosts sent home before anybody noted it: the outputs that no rule held of the jobs that have ended and wait for no
/// more of them.
pub(super) fn of_ended_jobs(connection: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT researcher, host, receipt FROM jobs WHERE receipt IS NOT NULL AND host IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.job = jobs.id AND o.kind = 'fetch')";
    let rows: Vec<(String, String, String)> = connection
        .prepare(sql)
        .and_then(|mut query| {
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .doing("read the receipts of earlier jobs")?;
    for (person, host, receipt) in rows {
        // What does not read is fetched again where somebody asks for it.
        let receipt =
            Signed::<Receipt>::from_compact(receipt).ok().and_then(|receipt| receipt.peek_unverified().ok());
        let (host, person) = (host.parse().map(Party::Member), person.parse().map(Party::Person));
        let (Some(receipt), Ok(host), Ok(person)) = (receipt, host, person) else { continue };
        for output in receipt.outputs.iter().filter(|output| output.held_by.is_empty()) {
            insert(connection, output.sha256, &host)?;
            insert(connection, output.sha256, &person)?;
        }
    }
    Ok(())
}
