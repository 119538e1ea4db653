// SPDX-License-Identifier: Apache-2.0
//! Who and what this node knows: researchers with their roles, projects with their allocations, datasets with their signed records.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sta_protocol::{
    federation::DatasetRecord,
    ids::{DatasetId, ProjectId, ResearcherId},
    jws::Signed,
};

use super::{
    Doing, StoreError, Tx,
    jobs::{parse, signed},
};

/// What a person may do at this node beyond their own jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs the node: adds researchers, projects, datasets.
    Operator,
    /// Releases held outputs and grants access to the member's datasets.
    Steward,
    /// Reads every dossier and statement, changes nothing.
    Auditor,
    /// Decides on what gates hold for a person responsible for safety.
    Safety,
    /// Decides on what gates hold for a lawyer of the member.
    Legal,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Operator, Self::Steward, Self::Auditor, Self::Safety, Self::Legal];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Steward => "steward",
            Self::Auditor => "auditor",
            Self::Safety => "safety",
            Self::Legal => "legal",
        }
    }
}

/// A person this node knows, by pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Researcher {
    /// The pseudonym.
    pub id: ResearcherId,
    /// RFC 7638 thumbprint of the key that signs this person's jobs.
    pub holder: String,
    /// What else they may do.
    pub roles: BTreeSet<Role>,
}

/// Adds a researcher, or gives a known one a new token, key and roles.
pub fn put_researcher(
    tx: &Tx<'_>,
    researcher: &Researcher,
    token_sha256: &[u8; 32],
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO researchers (id, token_sha256, holder, added_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET token_sha256 = excluded.token_sha256, holder = excluded.holder",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                researcher.id.as_str(),
                token_sha256,
                researcher.holder,
                now.as_millisecond()
            ])
        })
        .doing("write a researcher")?;
    tx.connection()
        .execute("DELETE FROM roles WHERE researcher = ?1", [researcher.id.as_str()])
        .doing("write a researcher's roles")?;
    for role in &researcher.roles {
        tx.connection()
            .execute(
                "INSERT INTO roles (researcher, role) VALUES (?1, ?2)",
                [researcher.id.as_str(), role.as_str()],
            )
            .doing("write a researcher's roles")?;
    }
    Ok(())
}

/// The researcher a token belongs to. Tokens are random and compared by digest, so timing tells nothing of use.
pub fn researcher_by_token(
    connection: &Connection,
    token_sha256: &[u8; 32],
) -> Result<Option<Researcher>, StoreError> {
    let id: Option<String> = connection
        .prepare_cached("SELECT id FROM researchers WHERE token_sha256 = ?1")
        .and_then(|mut query| query.query_row([token_sha256], |row| row.get(0)).optional())
        .doing("look for a token")?;
    match id {
        Some(id) => researcher(connection, &parse(&id)?),
        None => Ok(None),
    }
}

/// A researcher by pseudonym.
pub fn researcher(connection: &Connection, id: &ResearcherId) -> Result<Option<Researcher>, StoreError> {
    let holder: Option<String> = connection
        .prepare_cached("SELECT holder FROM researchers WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.as_str()], |row| row.get(0)).optional())
        .doing("read a researcher")?;
    let Some(holder) = holder else { return Ok(None) };
    let words: Vec<String> = connection
        .prepare_cached("SELECT role FROM roles WHERE researcher = ?1")
        .and_then(|mut query| query.query_map([id.as_str()], |row| row.get(0))?.collect())
        .doing("read a researcher's roles")?;
    let roles = Role::ALL.into_iter().filter(|role| words.iter().any(|word| word == role.as_str())).collect();
    Ok(Some(Researcher { id: id.clone(), holder, roles }))
}

/// Adds a project or changes its allocation and people. An allocation never falls below what is spent or set aside.
pub fn put_project(
    tx: &Tx<'_>,
    project: &ProjectId,
    granted_micro: i64,
    researchers: &[ResearcherId],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = tx
        .connection()
        .prepare_cached(
            "INSERT INTO projects (id, granted, added_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET granted = excluded.granted WHERE pending + posted <= excluded.granted",
        )
        .and_then(|mut insert| insert.execute(params![project.as_str(), granted_micro, now.as_millisecond()]))
        .doing("write a project")?;
    if changed == 0 {
        return Ok(false);
    }
    for researcher in researchers {
        tx.connection()
            .execute(
                "INSERT OR IGNORE INTO project_researchers (project, researcher) VALUES (?1, ?2)",
                [project.as_str(), researcher.as_str()],
            )
            .doing("write a project's people")?;
    }
    Ok(true)
}

/// Whether the researcher belongs to the project.
pub fn is_in_project(
    connection: &Connection,
    project: &ProjectId,
    researcher: &ResearcherId,
) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM project_researchers WHERE project = ?1 AND researcher = ?2")
        .and_then(|mut query| query.exists([project.as_str(), researcher.as_str()]))
        .doing("read a project's people")
}

/// Every project of a researcher, or all projects.
pub fn projects(connection: &Connection, of: Option<&ResearcherId>) -> Result<Vec<ProjectId>, StoreError> {
    let sql = "SELECT id FROM projects WHERE ?1 IS NULL OR id IN (SELECT project FROM project_researchers WHERE researcher = ?1) ORDER BY id LIMIT 1000";
    let ids: Vec<String> = connection
        .prepare_cached(sql)
        .and_then(|mut query| query.query_map([of.map(ResearcherId::as_str)], |row| row.get(0))?.collect())
        .doing("list the projects")?;
    ids.iter().map(|id| parse(id)).collect()
}

/// Keeps a dataset's record unless a newer one is here; returns whether it was kept.
pub fn put_dataset(
    tx: &Tx<'_>,
    record: &DatasetRecord,
    signed_record: &Signed<DatasetRecord>,
) -> Result<bool, StoreError> {
    tx.connection()
        .prepare_cached(
            "INSERT INTO datasets (id, record, recorded_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET record = excluded.record, recorded_at = excluded.recorded_at WHERE excluded.recorded_at > recorded_at",
        )
        .and_then(|mut insert| {
            insert.execute(params![record.id.to_string(), signed_record.as_str(), record.recorded_at.as_millisecond()])
        })
        .doing("write a dataset's record")
        .map(|rows| rows == 1)
}

/// The signed record of a dataset.
pub fn dataset(connection: &Connection, id: &DatasetId) -> Result<Option<Signed<DatasetRecord>>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT record FROM datasets WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.to_string()], |row| row.get(0)).optional())
        .doing("read a dataset's record")?;
    text.map(signed).transpose()
}

/// Every dataset this node has a record of.
pub fn datasets(connection: &Connection) -> Result<Vec<Signed<DatasetRecord>>, StoreError> {
    let texts: Vec<String> = connection
        .prepare_cached("SELECT record FROM datasets ORDER BY id LIMIT 10000")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .doing("list the datasets")?;
    texts.into_iter().map(signed).collect()
}
