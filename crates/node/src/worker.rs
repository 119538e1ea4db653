// SPDX-License-Identifier: Apache-2.0
//! What runs beside the requests: one worker a lane of the outbox, one a site. Each waits, does, records, and waits again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use sta_protocol::ids::{JobId, SiteId};
use tokio::time::Instant;

use crate::{
    engines::RunId,
    node::Node,
    peers::outbound::CallError,
    steps::{self, StepError, watch},
    store::{
        StoreError,
        outbox::{self, Lane, Waiting},
    },
};

/// How many effects of a lane are under way at once, and of an engine's lane: the more of them wait there, the more it can hand
/// over together. No two are of one job: its effects keep their order.
const ABREAST: (u32, u32) = (32, 256);
/// The shortest and the longest wait between two attempts of one effect.
const RETRY_MS: (u64, u64) = (200, 30_000);
/// The longest wait of a lane whose member does not answer before it is called again.
const SILENCE_MS_MAX: u64 = 5000;
/// The least time from one look of a lane, or of a site, to the next: under load what comes meanwhile is done together, and its
/// records share their commits.
const ROUND_MIN: Duration = Duration::from_millis(5);
/// A look into a lane takes at most one part in so many of the time.
const LOOK_FACTOR: u32 = 10;
/// In a rush of submissions a lane has so few effects under way, and is looked into no more often than this: what makes their
/// answers later is done after them.
const GIVING_WAY: (u32, Duration) = (2, Duration::from_millis(25));
/// No longer than this, so that a rush without end stops nothing.
const GIVES_WAY_MS: u64 = 1000;
/// How long a lane without work sleeps before it looks by itself.
const LANE_IDLE: Duration = Duration::from_secs(1);
/// How many bytes are read, written or hashed without a thread of their own.
const AT_ONCE_BYTES_MAX: u64 = 64 << 10;
/// How often a site with jobs under way is looked at, and one without.
const SITE_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
/// How often training runs are metered and orders to stop looked at.
const GATES_PAUSE: Duration = Duration::from_millis(250);
/// How often all jobs of a site with a queue of its own are looked at, in case its engine did not name one.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);
/// The most jobs that are kept by name to be looked at; beyond, all are.
const NAMED_MAX: usize = 10_000;

/// Does what keeps a disk or a processor busy beside the requests; what is small is done at once.
pub(crate) async fn beside<T: Send + 'static>(bytes: u64, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= AT_ONCE_BYTES_MAX {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits here.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// Carries out the effects of one lane until the node stops. What comes while others are under way begins beside them; what a
/// silent member is to be told waits until it is called again.
pub(crate) async fn deliver(node: Arc<Node>, lane: Lane) {
    let waker = node.waker(&lane.to_string());
    let abreast = if matches!(lane, Lane::Engine(_)) { ABREAST.1 } else { ABREAST.0 };
    let places = usize::try_from(abreast).unwrap_or(usize::MAX);
    let mut silences = 0;
    let (mut under_way, mut jobs) = (FuturesUnordered::new(), BTreeSet::new());
    while !node.is_stopping() {
        let begun = Instant::now();
        let mut round = ROUND_MIN;
        match due(&node, &lane, abreast) {
            Ok((due, gives_way)) => {
                if gives_way {
                    round = GIVING_WAY.1;
                }
                for effect in due {
                    if jobs.len() < places && jobs.insert(effect.job) {
                        under_way.push(attempt(&node, &lane, effect));
                    }
                }
            }
            Err(error) => {
                tracing::error!(%lane, error = %error, "the outbox cannot be read");
                node.pause(LANE_IDLE).await;
            }
        }
        if under_way.is_empty() {
            wait(&node, &lane, &waker).await;
            continue;
        }
        let not_before = begun + round.max(begun.elapsed() * LOOK_FACTOR);
        if some_end(&mut under_way, &mut jobs, places / 2, &waker, not_before).await {
            silences = 0;
        } else {
            silences += 1;
            let wait_ms = RETRY_MS.0.saturating_mul(1 << silences.min(10)).min(SILENCE_MS_MAX);
            node.pause(Duration::from_millis(wait_ms)).await;
        }
    }
    while under_way.next().await.is_some() {}
}

/// The effects that a lane takes up, and whether it gives way to submissions.
fn due(node: &Node, lane: &Lane, abreast: u32) -> Result<(Vec<Waiting>, bool), StoreError> {
    let now_ms = node.outside.now_ms();
    let read = |most| node.store.read(|connection| outbox::due(connection, lane, now_ms, most));
    if node.rush.is_on() {
        let due = read(GIVING_WAY.0)?;
        let overdue =
            due.first().is_some_and(|oldest| now_ms.saturating_sub(oldest.due_at_ms) > GIVES_WAY_MS);
        if !overdue {
            return Ok((due, true));
        }
    }
    // Those under way are among them; at most half of the places are taken when it looks.
    Ok((read(abreast)?, false))
}

/// Returns once the lane is worth a look again: no more than `few` effects are under way, one has ended or come, and it is
/// time. False as soon as the lane's member does not answer, once all have ended: what else waits for it would only fail too.
async fn some_end(
    under_way: &mut FuturesUnordered<impl Future<Output = Ended>>,
    jobs: &mut BTreeSet<JobId>,
    few: usize,
    waker: &tokio::sync::Notify,
    not_before: Instant,
) -> bool {
    let (mut answers, mut moved) = (true, false);
    loop {
        let room = answers && jobs.len() <= few;
        tokio::select! {
            biased;
            ended = under_way.next() => {
                let Some(ended) = ended else { break };
                jobs.remove(&ended.job);
                answers &= !ended.unanswered;
                moved = true;
            }
            () = waker.notified(), if room && !moved => moved = true,
            () = tokio::time::sleep_until(not_before), if room && moved => break,
        }
    }
    tokio::time::sleep_until(not_before).await;
    answers
}

/// An attempt that is over.
struct Ended {
    job: JobId,
    /// The member whose lane it is does not answer.
    unanswered: bool,
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

async fn attempt(node: &Node, lane: &Lane, waiting: Waiting) -> Ended {
    let (id, job) = (waiting.id, waiting.job);
    let Err(error) = steps::carry_out(node, &waiting).await else { return Ended { job, unanswered: false } };
    let wait_ms = RETRY_MS.0.saturating_mul(1 << waiting.attempts.min(10)).min(RETRY_MS.1);
    let effect = waiting.effect.as_str();
    tracing::warn!(%lane, effect, %job, attempts = waiting.attempts + 1, wait_ms, error = %describe(&error), "an effect did not happen yet");
    let (due, text) = (node.outside.now_ms().saturating_add(wait_ms), describe(&error));
    if let Err(error) = node.store.write(move |tx| outbox::failed(tx, id, due, &text)).await {
        tracing::error!(%lane, error = %error, "a failed attempt cannot be noted");
        node.pause(LANE_IDLE).await;
    }
    // Files come from many members, and an engine is no member.
    let unanswered = matches!((lane, error), (Lane::Peer(_), StepError::Call(CallError::NoAnswer(_))));
    Ended { job, unanswered }
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

/// Meters training runs, has orders to stop obeyed and ends what was denied, until the node stops.
pub(crate) async fn keep_gates(node: Arc<Node>) {
    while !node.is_stopping() {
        if let Err(error) = steps::training::watch(&node).await {
            tracing::error!(error = %describe(&error), "training runs cannot be metered");
        }
        if let Err(error) = steps::stop_order::enforce(&node).await {
            tracing::error!(error = %describe(&error), "orders to stop cannot be enforced");
        }
        if let Err(error) = steps::gate_hold::end_denied(&node).await {
            tracing::error!(error = %describe(&error), "a denied job cannot be ended");
        }
        node.pause(GATES_PAUSE).await;
    }
}

/// Starts jobs of a site when there is room, and follows those under way, until the node stops.
pub(crate) async fn watch_site(node: Arc<Node>, site: SiteId) {
    let waker = node.waker(&format!("site/{site}"));
    let Some(engine) = node.engines.get(&site).cloned() else { return };
    let mut looks = Looks::new(engine.has_queue());
    let mut kept = watch::Kept::default();
    // Kept over the rounds: what the engine has named is not lost when something else ends the wait.
    let mut moved = engine.moved();
    while !node.is_stopping() {
        let begun = Instant::now();
        // Of an engine elsewhere it is known once its agent has called.
        looks.has_queue = engine.has_queue();
        if let Err(error) = watch::dispatch(&node, &site, &mut kept).await {
            tracing::error!(%site, error = %describe(&error), "waiting jobs cannot be started");
        }
        let looked = match looks.next(Instant::now()) {
            Look::All => watch::look_at_all(&node, &site).await,
            Look::At(runs) => watch::look_at(&node, &site, &runs).await,
            Look::Nowhere => Ok(watch::Looked::default()),
        };
        let trouble = looks.looked(looked, Instant::now());
        if let Some(error) = trouble {
            tracing::warn!(%site, error = %describe(&error), "a job cannot be observed");
        }
        let pause = looks.pause(Instant::now());
        let pause = kept.asks_again_in(node.outside.now()).map_or(pause, |again| pause.min(again));
        tokio::select! {
            biased;
            () = waker.notified() => looks.woken(),
            named = &mut moved => {
                looks.named(named);
                moved = engine.moved();
            }
            _running = node.pause(pause) => {}
        }
        let round = if node.rush.is_on() { GIVING_WAY.1 } else { ROUND_MIN };
        node.pause(round.saturating_sub(begun.elapsed())).await;
    }
}

/// Where to look next.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    All,
    At(Vec<RunId>),
    Nowhere,
}

/// What of a site is to be looked at, and when. An engine with a queue of its own may have thousands of jobs: it names those
/// that moved, and all of them are looked at only once in a while.
#[derive(Debug)]
struct Looks {
    has_queue: bool,
    /// When all are looked at.
    all_at: Instant,
    /// Those that the engine named.
    named: BTreeSet<RunId>,
    /// Those whose last look failed.
    again: BTreeSet<RunId>,
    /// When these are looked at again.
    again_at: Instant,
    /// How many looks in a row had one that failed.
    failures: u32,
}

impl Looks {
    /// What the engine did before this node ran is seen at once.
    fn new(has_queue: bool) -> Self {
        let now = Instant::now();
        let (named, again) = (BTreeSet::new(), BTreeSet::new());
        Self { has_queue, all_at: now, named, again, again_at: now, failures: 0 }
    }

    /// Takes what is due.
    fn next(&mut self, now: Instant) -> Look {
        if self.all_at <= now {
            self.named.clear();
            self.again.clear();
            return Look::All;
        }
        let mut runs = std::mem::take(&mut self.named);
        if self.again_at <= now {
            runs.append(&mut self.again);
        }
        if runs.is_empty() { Look::Nowhere } else { Look::At(runs.into_iter().collect()) }
    }

    /// Takes in what a look found, and gives back what went wrong.
    fn looked(&mut self, looked: Result<watch::Looked, StepError>, now: Instant) -> Option<StepError> {
        let (under_way, failed, trouble) = match looked {
            Ok(looked) => (looked.under_way, looked.failed, looked.trouble),
            Err(error) => {
                // Nobody knows what was to be looked at.
                self.all_at = now + SITE_PAUSE.1;
                return Some(error);
            }
        };
        if self.all_at <= now {
            let busy = under_way > 0 && trouble.is_none();
            self.all_at = now
                + match (self.has_queue, busy) {
                    (true, _) => LOOK_AT_ALL,
                    (false, true) => SITE_PAUSE.0,
                    (false, false) => SITE_PAUSE.1,
                };
        }
        if self.again.is_empty() {
            self.failures = if trouble.is_some() { self.failures.saturating_add(1) } else { 0 };
            let wait_ms = RETRY_MS.0.saturating_mul(1 << self.failures.min(10)).min(SILENCE_MS_MAX);
            self.again_at = now + Duration::from_millis(wait_ms);
        }
        self.again.extend(failed);
        if self.again.len() > NAMED_MAX {
            self.again.clear();
            self.all_at = self.again_at;
        }
        trouble
    }

    /// Something was staged, started or stopped here.
    fn woken(&mut self) {
        if !self.has_queue {
            self.all_at = Instant::now();
        }
    }

    /// The engine says that these have moved, or that any may have.
    fn named(&mut self, runs: Option<Vec<RunId>>) {
        match runs {
            Some(runs) if self.named.len() + runs.len() <= NAMED_MAX => self.named.extend(runs),
            Some(_) | None => self.all_at = Instant::now(),
        }
    }

    /// Until when nothing is due. Even then somebody looks whether a job's next attempt may start.
    fn pause(&self, now: Instant) -> Duration {
        let at = if self.again.is_empty() { self.all_at } else { self.all_at.min(self.again_at) };
        at.saturating_duration_since(now).min(SITE_PAUSE.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u64) -> RunId {
        JobId::new(number, [0; 10]).into()
    }

    fn looked(under_way: usize, failed: Vec<RunId>) -> Result<watch::Looked, StepError> {
        let trouble = (!failed.is_empty()).then_some(StepError::Store(StoreError::Busy));
        Ok(watch::Looked { under_way, failed, trouble })
    }

    fn later(seconds: f32) -> Instant {
        Instant::now() + Duration::from_secs_f32(seconds)
    }

    #[test]
    fn all_are_looked_at_first_and_then_those_that_are_named() {
        let mut looks = Looks::new(true);
        assert_eq!(looks.next(later(0.0)), Look::All);
        assert!(looks.looked(looked(3, Vec::new()), later(0.0)).is_none());
        assert_eq!(looks.next(later(1.0)), Look::Nowhere);
        looks.named(Some(vec![run(2), run(1), run(2)]));
        assert_eq!(looks.next(later(1.0)), Look::At(vec![run(1), run(2)]));
        assert_eq!(looks.next(later(1.0)), Look::Nowhere);
        looks.named(None);
        assert_eq!(looks.next(later(1.0)), Look::All);
        assert!(looks.looked(looked(3, Vec::new()), later(1.0)).is_none());
        assert_eq!(looks.next(later(59.0)), Look::Nowhere);
        assert_eq!(looks.next(later(62.0)), Look::All);
    }

    #[test]
    fn one_that_fails_is_looked_at_again_and_holds_back_no_other() {
        let mut looks = Looks::new(true);
        assert_eq!(looks.next(later(0.0)), Look::All);
        assert!(looks.looked(looked(2, vec![run(1)]), later(0.0)).is_some());
        looks.named(Some(vec![run(2)]));
        assert_eq!(looks.next(later(0.0)), Look::At(vec![run(2)]));
        assert!(looks.looked(looked(1, Vec::new()), later(0.0)).is_none());
        assert_eq!(looks.next(later(0.1)), Look::Nowhere);
        assert_eq!(looks.next(later(1.0)), Look::At(vec![run(1)]));
        for _ in 0..20 {
            assert!(looks.looked(looked(1, vec![run(1)]), later(1.0)).is_some());
            looks.again_at = Instant::now();
            assert_eq!(looks.next(later(1.0)), Look::At(vec![run(1)]));
        }
        assert!(looks.looked(looked(1, vec![run(1)]), later(1.0)).is_some());
        assert_eq!(looks.next(later(7.0)), Look::At(vec![run(1)]), "the pause has an end");
    }

    #[test]
    fn too_many_names_are_as_good_as_none() {
        let mut looks = Looks::new(true);
        assert_eq!(looks.next(later(0.0)), Look::All);
        assert!(looks.looked(looked(0, Vec::new()), later(0.0)).is_none());
        looks.named(Some((0..10_000).map(run).collect()));
        assert!(matches!(looks.next(later(1.0)), Look::At(runs) if runs.len() == 10_000));
        looks.named(Some((0..10_001).map(run).collect()));
        assert_eq!(looks.next(later(1.0)), Look::All);
    }

    #[test]
    fn an_engine_without_a_queue_is_asked_for_all_again_and_again() {
        let mut looks = Looks::new(false);
        assert_eq!(looks.next(later(0.0)), Look::All);
        assert!(looks.looked(looked(1, Vec::new()), later(0.0)).is_none());
        assert!(looks.pause(later(0.0)) <= SITE_PAUSE.0 + Duration::from_millis(10));
        assert_eq!(looks.next(later(0.2)), Look::All);
    }
}
