// SPDX-License-Identifier: Apache-2.0
//! What the machine itself can do, measured in the same run: a bare fsync, a bare SQLite commit, a bare axum hello, a bare rule.

use std::{
    fs::File,
    io::Write,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use axum::{Router, routing::get};
use cedar_policy::{Authorizer, Context as Facts, Entities, PolicySet, Request};
use rusqlite::Connection;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::load::{self, Requests, Round};

/// Runs an operation so many times and measures each.
pub(crate) fn timed(count: usize, mut operation: impl FnMut() -> Result<()>) -> Result<Round> {
    let mut times = Vec::with_capacity(count);
    let began = Instant::now();
    for _ in 0..count {
        let one = Instant::now();
        operation()?;
        times.push(one.elapsed());
    }
    Ok(Round::of(times, began.elapsed()))
}

/// Appends 4 KiB to a file and waits for the disk.
pub(crate) fn fsync(directory: &Path, count: usize) -> Result<Round> {
    let mut file = File::create(directory.join("bare-fsync"))?;
    timed(count, || {
        file.write_all(&[7; 4096])?;
        Ok(file.sync_data()?)
    })
}

/// Commits transactions of so many rows of 1 KiB into a SQLite file, as durable as the node's own.
pub(crate) fn sqlite(directory: &Path, rows: usize, count: usize) -> Result<Round> {
    let connection = Connection::open(directory.join(format!("bare-{rows}.sqlite")))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, text BLOB NOT NULL) STRICT;",
    )?;
    let text = vec![7_u8; 1024];
    timed(count, || {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..rows {
            connection.prepare_cached("INSERT INTO bare (text) VALUES (?1)")?.execute([&text])?;
        }
        Ok(connection.execute_batch("COMMIT")?)
    })
}

/// Serves `hello` with axum and nothing else.
pub(crate) fn serve_hello(runtime: &Runtime) -> Result<SocketAddr> {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    runtime.spawn(async move {
        let router = Router::new().route("/", get(|| async { "hello" }));
        // It ends with the process.
        let _ended = axum::serve(listener, router).await;
    });
    Ok(address)
}

/// Answers of a bare axum.
pub(crate) fn hello(address: SocketAddr, clients: usize, count: usize) -> Result<Round> {
    let request = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n".to_vec();
    load::round(address, clients, Requests { bytes: vec![request; count], wanted: (200, "hello") })
}

/// Twenty questions to one rule without facts: what Cedar itself takes for ten sites and one dataset.
pub(crate) fn cedar(count: usize) -> Result<Round> {
    let rules: PolicySet = "permit(principal, action, resource);".parse()?;
    let name = |text: &str| text.parse().with_context(|| format!("name {text}"));
    let request = Request::new(
        name("Researcher::\"this\"")?,
        name("Action::\"run\"")?,
        name("Site::\"this\"")?,
        Facts::empty(),
        None,
    )?;
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    timed(count, || {
        for _ in 0..20 {
            let answer = authorizer.is_authorized(&request, &rules, &entities);
            if answer.decision() != cedar_policy::Decision::Allow {
                return Err(anyhow!("a rule without conditions permits"));
            }
        }
        Ok(())
    })
}

/// Serves `hello` until the process is killed: what an idle axum holds of the memory.
pub(crate) fn idle_hello() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    serve_hello(&runtime)?;
    std::thread::sleep(Duration::from_secs(600));
    Ok(())
}
