// SPDX-License-Identifier: Apache-2.0
//! What runs beside the requests: one worker a lane of the outbox, one a site. Each waits, does, records, and waits again.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use sta_protocol::ids::SiteId;

use crate::{
    node::Node,
    peers::outbound::CallError,
    steps::{self, StepError, run},
    store::outbox::{self, Lane, Waiting},
};

/// How many effects one look into a lane takes.
const BATCH: u32 = 64;
/// How many effects of a lane are under way at once. No two are of one job: its effects keep their order.
const ABREAST: usize = 16;
/// The shortest and the longest wait between two attempts of one effect.
const RETRY_MS: (u64, u64) = (200, 30_000);
/// The longest wait of a lane whose member does not answer before it is called again.
const SILENCE_MS_MAX: u64 = 5000;
/// How long a lane without work sleeps before it looks by itself.
const LANE_IDLE: Duration = Duration::from_secs(1);
/// How often a site with jobs under way is looked at, and one without.
const SITE_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// Carries out the effects of one lane until the node stops.
pub(crate) async fn deliver(node: Arc<Node>, lane: Lane) {
    let waker = node.waker(&lane.to_string());
    let mut silences = 0;
    while !node.is_stopping() {
        let due = node.store.read(|connection| outbox::due(connection, &lane, node.outside.now_ms(), BATCH));
        match due {
            Ok(due) if !due.is_empty() => {
                silences = if carry_out_all(&node, &lane, &due).await { 0 } else { silences + 1 };
                if silences > 0 {
                    let wait_ms = RETRY_MS.0.saturating_mul(1 << silences.min(10)).min(SILENCE_MS_MAX);
                    node.pause(Duration::from_millis(wait_ms)).await;
                }
            }
            Ok(_) => wait(&node, &lane, &waker).await,
            Err(error) => {
                tracing::error!(%lane, error = %error, "the outbox cannot be read");
                node.pause(LANE_IDLE).await;
            }
        }
    }
}

/// Carries out effects of different jobs side by side. False as soon as the lane's member does not answer: what else waits
/// for it would only fail too, and goes at once when it is back.
async fn carry_out_all(node: &Node, lane: &Lane, due: &[Waiting]) -> bool {
    let (mut answers, mut waiting, mut under_way) = (true, due.iter(), FuturesUnordered::new());
    loop {
        while answers && under_way.len() < ABREAST {
            let Some(next) = waiting.next() else { break };
            under_way.push(attempt(node, lane, next));
        }
        match under_way.next().await {
            None => return answers,
            // Files come from many members, and an engine is no member.
            Some(Err(StepError::Call(CallError::NoAnswer(_)))) if matches!(lane, Lane::Peer(_)) => {
                answers = false;
            }
            Some(Ok(()) | Err(_)) => {}
        }
    }
}

/// Waits until something is put into the lane, falls due, or the node stops.
async fn wait(node: &Node, lane: &Lane, waker: &tokio::sync::Notify) {
    let next = node.store.read(|connection| outbox::next_due_ms(connection, lane)).ok().flatten();
    let until_due =
        next.map_or(LANE_IDLE, |due| Duration::from_millis(due.saturating_sub(node.outside.now_ms()).max(1)));
    tokio::select! {
        biased;
        () = waker.notified() => {}
        _running = node.pause(until_due.min(LANE_IDLE)) => {}
    }
}

async fn attempt(node: &Node, lane: &Lane, waiting: &Waiting) -> Result<(), StepError> {
    let Err(error) = steps::carry_out(node, waiting).await else { return Ok(()) };
    let wait_ms = RETRY_MS.0.saturating_mul(1 << waiting.attempts.min(10)).min(RETRY_MS.1);
    let (effect, job) = (waiting.effect.as_str(), waiting.job);
    tracing::warn!(%lane, effect, %job, attempts = waiting.attempts + 1, wait_ms, error = %describe(&error), "an effect did not happen yet");
    let (id, due, text) = (waiting.id, node.outside.now_ms().saturating_add(wait_ms), describe(&error));
    if let Err(error) = node.store.write(move |tx| outbox::failed(tx, id, due, &text)).await {
        tracing::error!(%lane, error = %error, "a failed attempt cannot be noted");
        node.pause(LANE_IDLE).await;
    }
    Err(error)
}

/// An error with its causes in one line.
fn describe(error: &StepError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.ends_with(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}

/// Starts jobs of a site when there is room, and follows those under way, until the node stops.
pub(crate) async fn watch_site(node: Arc<Node>, site: SiteId) {
    let waker = node.waker(&format!("site/{site}"));
    while !node.is_stopping() {
        if let Err(error) = run::dispatch(&node, &site).await {
            tracing::error!(%site, error = %describe(&error), "waiting jobs cannot be started");
        }
        let pause = match run::observe(&node, &site).await {
            Ok(0) => SITE_PAUSE.1,
            Ok(_) => SITE_PAUSE.0,
            Err(error) => {
                tracing::warn!(%site, error = %describe(&error), "a job cannot be observed");
                SITE_PAUSE.1
            }
        };
        tokio::select! {
            biased;
            () = waker.notified() => {}
            _running = node.pause(pause) => {}
        }
    }
}
