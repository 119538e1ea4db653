// SPDX-License-Identifier: Apache-2.0
//! The network of the simulation: HTTP over turmoil's TCP, where each call may be lost, done without an answer, done twice or late.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::serve::Listener;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use sta_node::outside::{BoxFuture, Transport, TransportError};
use turmoil::net::{TcpListener, TcpStream};

use super::{chance::Random, fixture::PORT};

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrives and is answered.
    Ok,
    /// It never arrives.
    Lost,
    /// It arrives; its answer does not.
    Unanswered,
    /// The caller gives up, and only then it arrives, so many milliseconds later.
    Held { for_ms: u64 },
    /// It arrives twice, one after the other; the caller gets the first or the second answer.
    Twice { second_answer: bool },
    /// It arrives, and once more so many milliseconds later.
    AgainLater { after_ms: u64 },
}

/// What goes wrong on the network, shared by the transports of all members.
pub(super) struct Weather {
    state: Mutex<State>,
}

struct State {
    random: Random,
    /// Of a hundred calls, how many do not simply succeed; none once the storm is over.
    percent: u64,
    /// What a member's calls are held up by.
    slow_ms: BTreeMap<usize, u64>,
    /// How many of a member's next calls are made twice.
    repeat: BTreeMap<usize, u32>,
    calls: BTreeMap<&'static str, u64>,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::of(seed, "weather");
        let percent = *random.pick(&[0, 5, 10, 20, 35]);
        let state = State {
            random,
            percent,
            slow_ms: BTreeMap::new(),
            repeat: BTreeMap::new(),
            calls: BTreeMap::new(),
        };
        Self { state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every call arrives once and at once.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.percent = 0;
        state.slow_ms.clear();
        state.repeat.clear();
    }

    /// Holds up a member's calls, or no longer.
    pub(super) fn slow(&self, member: usize, by_ms: u64) {
        self.lock().slow_ms.insert(member, by_ms);
    }

    /// Makes a member's next calls twice.
    pub(super) fn repeat(&self, member: usize, calls: u32) {
        self.lock().repeat.insert(member, calls);
    }

    /// How many calls met which fate.
    pub(super) fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.lock().calls.clone()
    }

    fn decide(&self, member: usize) -> (Fate, Duration) {
        let mut state = self.lock();
        let slow_ms = state.slow_ms.get(&member).copied().unwrap_or(0);
        let repeats = state.repeat.get(&member).copied().unwrap_or(0);
        let fate = if repeats > 0 {
            state.repeat.insert(member, repeats - 1);
            Fate::Twice { second_answer: state.random.percent(50) }
        } else if state.percent > 0 && state.random.next() % 100 < state.percent {
            match state.random.below(5) {
                0 => Fate::Lost,
                1 => Fate::Unanswered,
                2 => Fate::Held { for_ms: state.random.between(500, 12_000) },
                3 => Fate::Twice { second_answer: state.random.percent(50) },
                _ => Fate::AgainLater { after_ms: state.random.between(200, 15_000) },
            }
        } else {
            Fate::Ok
        };
        let name = match fate {
            Fate::Ok => "ok",
            Fate::Lost => "lost",
            Fate::Unanswered => "unanswered",
            Fate::Held { .. } => "held",
            Fate::Twice { .. } => "twice",
            Fate::AgainLater { .. } => "again later",
        };
        *state.calls.entry(name).or_default() += 1;
        (fate, Duration::from_millis(slow_ms))
    }
}

/// A member's way to the others.
pub(super) struct SimTransport {
    pub(super) member: usize,
    pub(super) weather: Arc<Weather>,
}

impl Transport for SimTransport {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let (fate, slow) = self.weather.decide(self.member);
            let url = request.uri().to_string();
            let failed = |reason: String| TransportError { url: url.clone(), reason };
            if !slow.is_zero() {
                tokio::time::sleep(slow).await;
            }
            match fate {
                Fate::Ok => deliver(&request).await.map_err(failed),
                Fate::Lost => Err(failed("lost".to_owned())),
                Fate::Unanswered => {
                    let _done = deliver(&request).await;
                    Err(failed("the answer was lost".to_owned()))
                }
                Fate::Twice { second_answer } => {
                    let first = deliver(&request).await;
                    let second = deliver(&request).await;
                    if second_answer { second } else { first }.map_err(failed)
                }
                Fate::Held { for_ms } => {
                    deliver_later(request, for_ms);
                    Err(failed("it took too long".to_owned()))
                }
                Fate::AgainLater { after_ms } => {
                    deliver_later(request.clone(), after_ms);
                    deliver(&request).await.map_err(failed)
                }
            }
        })
    }
}

/// Makes a call later, whose answer nobody waits for.
fn deliver_later(request: Request<Bytes>, after_ms: u64) {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        deliver(&request).await
    });
}

/// Makes one HTTP/1.1 call over a connection of its own.
async fn deliver(request: &Request<Bytes>) -> Result<Response<Bytes>, String> {
    match tokio::time::timeout(PATIENCE, call(request)).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err("no answer in time".to_owned()),
    }
}

async fn call(request: &Request<Bytes>) -> Result<Response<Bytes>, String> {
    let authority = request.uri().authority().ok_or("the address has no host")?.clone();
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(PORT)));
    let stream = stream.await.map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| error.to_string())?;
    let _connection = Connection(tokio::spawn(connection));
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut outgoing = Request::builder().method(request.method().clone()).uri(target);
    for (name, value) in request.headers() {
        outgoing = outgoing.header(name, value);
    }
    let outgoing = outgoing.header(header::HOST, authority.as_str()).body(Full::new(request.body().clone()));
    let answer = sender.send_request(outgoing.map_err(|error| error.to_string())?).await;
    let (parts, body) = answer.map_err(|error| error.to_string())?.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

/// A connection that ends with the call it was made for.
struct Connection(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A member's door on the simulated network.
pub(super) struct SimListener(pub(super) TcpListener);

impl Listener for SimListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(_broken) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
