// SPDX-License-Identifier: Apache-2.0
//! The time, chance and network of a test.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, body::Body};
use bytes::Bytes;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use sta_node::outside::{BoxFuture, Chance, Clock, Transport, TransportError};
use tokio::time::Instant;
use tower::ServiceExt;

/// Tokio's time since the test began, as of noon of 23 November 2026 UTC, or as of the machine's own time.
#[derive(Debug)]
pub(crate) struct TestClock {
    began: Instant,
    began_at: Timestamp,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), began_at: "2026-11-23T12:00:00Z".parse().unwrap() }
    }

    /// For nodes whose engines tell the machine's time.
    pub(crate) fn of_this_machine() -> Self {
        Self { began_at: Timestamp::now(), ..Self::new() }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.began_at + SignedDuration::try_from(self.began.elapsed()).unwrap()
    }
}

/// Bytes that are different every time and the same in every run.
#[derive(Debug)]
pub(crate) struct TestChance {
    name: String,
    count: AtomicU64,
}

impl TestChance {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), count: AtomicU64::new(0) }
    }
}

impl Chance for TestChance {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let count = self.count.fetch_add(1, Ordering::SeqCst);
            let random = Sha256::digest(format!("{} {count}", self.name));
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }
}

/// Calls go straight into the other node's router; a host that is not connected does not answer.
#[derive(Default)]
pub(crate) struct TestNetwork {
    routers: Mutex<BTreeMap<String, Router>>,
    spoiled: Mutex<(String, u32)>,
}

impl TestNetwork {
    pub(crate) fn connect(&self, host: &str, router: Router) {
        self.routers.lock().unwrap().insert(host.to_owned(), router);
    }

    pub(crate) fn cut(&self, host: &str) {
        self.routers.lock().unwrap().remove(host);
    }

    /// Changes a byte on the way in the next `times` answers with that `Content-Range`.
    pub(crate) fn spoil(&self, content_range: &str, times: u32) {
        *self.spoiled.lock().unwrap() = (content_range.to_owned(), times);
    }

    fn on_the_way(&self, headers: &http::HeaderMap, body: Bytes) -> Bytes {
        let mut spoiled = self.spoiled.lock().unwrap();
        let is_meant = headers.get("content-range").is_some_and(|range| range == spoiled.0.as_str());
        if !is_meant || spoiled.1 == 0 {
            return body;
        }
        spoiled.1 -= 1;
        let mut bytes = body.to_vec();
        bytes[0] ^= 1;
        bytes.into()
    }
}

impl Transport for TestNetwork {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let url = request.uri().to_string();
            let router = self.routers.lock().unwrap().get(request.uri().host().unwrap_or_default()).cloned();
            let router =
                router.ok_or_else(|| TransportError { url, reason: "the line is cut".to_owned() })?;
            let response = router.oneshot(request.map(Body::from)).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body = self.on_the_way(&parts.headers, body);
            Ok(http::Response::from_parts(parts, body))
        })
    }
}
