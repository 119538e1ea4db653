// SPDX-License-Identifier: Apache-2.0
//! The three things a node gets from outside: the time, chance and the network. The simulation brings its own.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;

/// The longest answer of a peer: files come in ranges far below it.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// A future that may be stored behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the node reads the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Where the node gets random bytes: ids, nonces, salts.
pub trait Chance: Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// How the node reaches its peers. One request, one whole response; bodies are bounded by the callers' ranges.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// The peer could not be reached or did not answer in time: the outcome at the peer is then unknown.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

/// The peer could not be reached, or its answer never came: the outcome is unknown.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {url}: {reason}")]
pub struct TransportError {
    /// Whom we called.
    pub url: String,
    /// What went wrong.
    pub reason: String,
}

/// Clock, chance and network together.
#[derive(Clone)]
pub struct Outside {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub chance: Arc<dyn Chance>,
    /// The way to the peers.
    pub transport: Arc<dyn Transport>,
}

impl Outside {
    /// `N` random bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.chance.fill(&mut bytes);
        bytes
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.now().as_millisecond()).unwrap_or(0)
    }
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The kernel's random numbers.
#[derive(Debug, Clone, Copy)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn fill(&self, buffer: &mut [u8]) {
        // Without random numbers no key, nonce or salt is safe; there is nothing sensible to go on with.
        getrandom::fill(buffer).expect("the kernel gives random numbers");
    }
}

/// No client for HTTP(S) can be made, as on a machine without certificate authorities.
#[derive(Debug, thiserror::Error)]
#[error(
    "the certificate authorities of this machine cannot be read; install its package `ca-certificates`, or name a file of them in SSL_CERT_FILE"
)]
pub struct NoClient(#[from] reqwest::Error);

/// Makes a client that goes where it is told, and to no other machine that an answer names.
///
/// # Errors
/// The certificate authorities of this machine cannot be read.
pub(crate) fn client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, NoClient> {
    // Set once per process; a second call finds it set, which is what we want.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Ok(builder.redirect(reqwest::redirect::Policy::none()).build()?)
}

/// HTTP(S) by reqwest.
#[derive(Debug, Clone)]
pub struct HttpTransport(reqwest::Client);

impl HttpTransport {
    /// A client with bounded waits.
    ///
    /// # Errors
    /// The certificate authorities of this machine cannot be read.
    pub fn new() -> Result<Self, NoClient> {
        let builder = reqwest::Client::builder()
            .connect_timeout(std::time::Duration::from_secs(5))
            .timeout(std::time::Duration::from_secs(30));
        Ok(Self(client(builder)?))
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let url = request.uri().to_string();
            let failed =
                |error: reqwest::Error| TransportError { url: url.clone(), reason: root_cause(&error) };
            let request = reqwest::Request::try_from(request).map_err(failed)?;
            let response = self.0.execute(request).await.map_err(failed)?;
            let mut answer = http::Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                *headers = response.headers().clone();
            }
            let body = bounded_body(response, &url).await?;
            answer.body(body).map_err(|error| TransportError { url: url.clone(), reason: error.to_string() })
        })
    }
}

/// Reads a body up to [`ANSWER_BYTES_MAX`], so that no peer can fill this node's memory.
async fn bounded_body(mut response: reqwest::Response, url: &str) -> Result<Bytes, TransportError> {
    let failed = |reason: String| TransportError { url: url.to_owned(), reason };
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Vec::with_capacity(announced.unwrap_or_default().min(ANSWER_BYTES_MAX));
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(root_cause(&error)))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(failed(format!("its answer is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// The last cause in a chain of errors: the one that says what really happened.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
