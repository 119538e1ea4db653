// SPDX-License-Identifier: Apache-2.0
//! Load over loopback: keep-alive HTTP/1.1 clients that send requests made beforehand, and what they measured.
//!
//! The clients share the machine with the node, so they do as little as they can: bytes out, status and length in.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long a round may take.
const ROUND_TIME_MAX: Duration = Duration::from_secs(120);

/// Requests, and what every answer must contain so that a refusal never counts as work done.
pub(crate) struct Requests {
    /// Each a whole request.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// Status and a part of the body.
    pub(crate) wanted: (u16, &'static str),
}

/// What one round measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Round {
    /// Median time of one operation, in microseconds.
    pub(crate) p50_us: f64,
    /// 95 of 100 take no longer.
    pub(crate) p95_us: f64,
    /// 99 of 100 take no longer.
    pub(crate) p99_us: f64,
    /// Operations a second.
    pub(crate) per_s: f64,
}

impl Round {
    /// A round from the time of every operation and of all together.
    pub(crate) fn of(mut times: Vec<Duration>, whole: Duration) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        Self { p50_us: at(50), p95_us: at(95), p99_us: at(99), per_s: f64::from(count) / whole.as_secs_f64() }
    }

    /// The round of the median rate.
    pub(crate) fn median(mut rounds: Vec<Self>) -> Result<Self> {
        rounds.sort_by(|one, other| one.per_s.total_cmp(&other.per_s));
        rounds.get(rounds.len() / 2).copied().context("no round was measured")
    }
}

/// Sends every request once, from `clients` connections, on a thread of its own.
pub(crate) fn round(address: SocketAddr, clients: usize, requests: Requests) -> Result<Round> {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::time::timeout(ROUND_TIME_MAX, send_all(address, clients, requests)).await?
        })
    });
    thread.join().ok().context("the load generator panicked")?
}

async fn send_all(address: SocketAddr, clients: usize, requests: Requests) -> Result<Round> {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let mut connections = Vec::new();
    for _ in 0..clients {
        let stream = TcpStream::connect(address).await.context("connect to the node")?;
        stream.set_nodelay(true)?;
        connections.push(stream);
    }
    let began = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|stream| tokio::spawn(client(stream, Arc::clone(&requests), Arc::clone(&next))))
        .collect();
    let mut times = Vec::with_capacity(requests.bytes.len());
    for task in tasks {
        times.extend(task.await??);
    }
    ensure!(times.len() == requests.bytes.len(), "every request is answered once");
    Ok(Round::of(times, began.elapsed()))
}

async fn client(
    mut stream: TcpStream,
    requests: Arc<Requests>,
    next: Arc<AtomicUsize>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut buffer = Vec::with_capacity(16 << 10);
    while let Some(request) = requests.bytes.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        stream.write_all(request).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        times.push(began.elapsed());
        let (wanted, part) = requests.wanted;
        let text = String::from_utf8_lossy(&buffer);
        ensure!(
            status == wanted && text.contains(part),
            "status {status} with {text}; wanted {wanted} with {part}"
        );
    }
    Ok(times)
}

/// Reads one answer with `Content-Length` into the buffer and gives its status.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    buffer.clear();
    let (status, whole) = loop {
        if let Some(head) = read_head(buffer)? {
            break head;
        }
        more(stream, buffer).await?;
    };
    while buffer.len() < whole {
        more(stream, buffer).await?;
    }
    Ok(status)
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    ensure!(buffer.len() < ANSWER_BYTES_MAX, "the answer is longer than {ANSWER_BYTES_MAX} bytes");
    ensure!(stream.read_buf(buffer).await? > 0, "the node closed the connection");
    Ok(())
}

/// Status and length of head and body together, once the head is whole.
fn read_head(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.get(9..12).context("a status line")?.parse()?;
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return Ok(Some((status, end + 4 + value.trim().parse::<usize>()?)));
        }
    }
    bail!("an answer without Content-Length: {head}")
}
