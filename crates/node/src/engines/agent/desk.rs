// SPDX-License-Identifier: Apache-2.0
//! The node's side of the counter: calls that wait for the agent, those that it has, and what it says of its own accord.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sta_protocol::{ids::SiteId, treaty::Resources};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::calls::{Answered, CALLS_MAX, Call, Method, Poll, Reply, Report};
use crate::engines::RunId;

/// How many calls may be open at once, waiting or with the agent.
const OPEN_MAX: usize = 4096;
/// How long an agent may be silent before calls fail at once; longer than a request for calls is kept open.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// How many moved jobs are remembered by name; beyond it, all are to be looked at.
const MOVED_MAX: usize = 16_384;
/// How many sizes of jobs the expected wait is kept for, and how old it may be before it is asked again, and before it is forgotten.
const WAITS_MAX: usize = 64;
const WAIT_FRESH: Duration = Duration::from_secs(10);
const WAIT_AGE_MAX: Duration = Duration::from_secs(120);

/// Calls and reports of one site's agent.
pub(super) struct Desk {
    site: SiteId,
    state: Mutex<State>,
    called: Notify,
    moved: Notify,
}

/// The request belongs to no session of this node: the agent says hello again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is over: say hello again")]
pub struct SessionOver;

struct State {
    session: Option<Uuid>,
    /// Counts the requests for calls; only the latest gets any, because an earlier one may be of a connection that is gone.
    polls: u64,
    seen_at: Instant,
    seen: bool,
    number: u64,
    waiting: VecDeque<u64>,
    open: HashMap<u64, Open>,
    moved: BTreeSet<RunId>,
    all_moved: bool,
    waits: HashMap<(u32, u64, u32), Wait>,
}

struct Open {
    method: Method,
    is_handed_over: bool,
    /// None for a call whose answer is kept by itself.
    answer: Option<oneshot::Sender<Reply>>,
}

struct Wait {
    seconds: Option<u32>,
    known_at: Option<Instant>,
    asked_at: Instant,
}

/// Takes the call back when nobody waits for it any more.
struct Waiter<'a> {
    desk: &'a Desk,
    number: u64,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.desk.state().open.remove(&self.number);
    }
}

impl Desk {
    pub(super) fn new(site: SiteId) -> Self {
        let state = State {
            session: None,
            polls: 0,
            // An agent has as long to come after the node's start as it may be silent at any time.
            seen_at: Instant::now(),
            seen: false,
            number: 0,
            waiting: VecDeque::new(),
            open: HashMap::new(),
            moved: BTreeSet::new(),
            all_moved: false,
            waits: HashMap::new(),
        };
        Self { site, state: Mutex::new(state), called: Notify::new(), moved: Notify::new() }
    }

    /// Calls the agent and waits for its answer, for at most `time_max`.
    pub(super) async fn ask(&self, method: Method, time_max: Duration) -> Result<Reply, String> {
        let (sender, receiver) = oneshot::channel();
        let number = self.put(method, Some(sender))?;
        let waiter = Waiter { desk: self, number };
        match tokio::time::timeout(time_max, receiver).await {
            Ok(Ok(reply)) => Ok(reply),
            // Only a new session with the same number could drop the sender, and numbers are not used twice.
            Ok(Err(_dropped)) => Err("the call was given up".to_owned()),
            Err(_elapsed) => {
                let handed = self.state().open.get(&number).is_some_and(|open| open.is_handed_over);
                drop(waiter);
                let what = if handed { "has not answered" } else { "has not fetched the call" };
                Err(format!("the agent of site `{}` {what} for {} s", self.site, time_max.as_secs()))
            }
        }
    }

    fn put(&self, method: Method, answer: Option<oneshot::Sender<Reply>>) -> Result<u64, String> {
        let mut state = self.state();
        if let Some(silence) = state.silence() {
            return Err(self.is_away(state.seen, silence));
        }
        if state.open.len() >= OPEN_MAX {
            return Err(format!("{OPEN_MAX} calls are open with the agent of site `{}`", self.site));
        }
        state.number += 1;
        let number = state.number;
        state.open.insert(number, Open { method, is_handed_over: false, answer });
        state.waiting.push_back(number);
        drop(state);
        self.called.notify_waiters();
        Ok(number)
    }

    fn is_away(&self, seen: bool, silence: Duration) -> String {
        let since = if seen { "" } else { "since this node started, " };
        format!(
            "the agent of site `{}` has not called for {since}{} s: see that `sta agent` runs there and reaches this node",
            self.site,
            silence.as_secs()
        )
    }

    /// How long ago the agent was last heard, in seconds; none when it was not since the node's start.
    pub(super) fn seen_s(&self) -> Option<u64> {
        let state = self.state();
        state.seen.then(|| state.seen_at.elapsed().as_secs())
    }

    /// Begins a session: what was handed over in an earlier one is handed over anew, and all jobs are looked at.
    pub(super) fn begin(&self, session: Uuid) {
        let mut state = self.state();
        state.session = Some(session);
        state.polls += 1;
        state.note_seen();
        state.hand_over_again(&BTreeSet::new());
        state.all_moved = true;
        drop(state);
        self.called.notify_waiters();
        self.moved.notify_waiters();
    }

    /// Waits for calls, without a limit of time. An empty batch says that a later request has taken this one's place.
    pub(super) async fn take(&self, session: Uuid, poll: &Poll) -> Result<Vec<Call>, SessionOver> {
        let this = {
            let mut state = self.state();
            state.check(session)?;
            state.hand_over_again(&poll.held.iter().copied().collect());
            state.polls += 1;
            state.polls
        };
        self.called.notify_waiters();
        loop {
            let called = self.called.notified();
            tokio::pin!(called);
            // From here on a call that is made is not missed.
            called.as_mut().enable();
            {
                let mut state = self.state();
                state.check(session)?;
                if state.polls != this || poll.room == 0 {
                    return Ok(Vec::new());
                }
                let calls = state.hand_over(poll.room.min(CALLS_MAX));
                if !calls.is_empty() {
                    return Ok(calls);
                }
            }
            called.await;
        }
    }

    /// Takes what the agent says.
    pub(super) fn report(&self, session: Uuid, report: Report) -> Result<(), SessionOver> {
        let mut state = self.state();
        state.check(session)?;
        let is_news = report.all_moved || !report.moved.is_empty();
        state.all_moved |= report.all_moved;
        state.note_moved(report.moved);
        for Answered { number, reply } in report.answers {
            state.answer(number, reply);
        }
        drop(state);
        if is_news {
            self.moved.notify_waiters();
        }
        Ok(())
    }

    /// Takes the answer to one call.
    pub(super) fn answer(&self, session: Uuid, number: u64, reply: Reply) -> Result<(), SessionOver> {
        let mut state = self.state();
        state.check(session)?;
        state.answer(number, reply);
        Ok(())
    }

    /// That a job may have moved on, by the node's own doing.
    pub(super) fn note_moved(&self, id: RunId) {
        self.state().note_moved([id]);
        self.moved.notify_waiters();
    }

    /// Waits for jobs that may have moved on; `None` for all.
    pub(super) async fn next_moved(&self) -> Option<Vec<RunId>> {
        loop {
            let noted = self.moved.notified();
            tokio::pin!(noted);
            noted.as_mut().enable();
            {
                let mut state = self.state();
                let moved = std::mem::take(&mut state.moved);
                if std::mem::take(&mut state.all_moved) {
                    return None;
                }
                if !moved.is_empty() {
                    return Some(moved.into_iter().collect());
                }
            }
            noted.await;
        }
    }

    /// How long a job of this size would wait, as the agent said last. Asks it when that is not fresh, and does not wait for it.
    pub(super) fn expected_wait_s(&self, resources: Resources) -> Option<u32> {
        let (key, now) = ((resources.cpu_cores, resources.memory_bytes, resources.gpus), Instant::now());
        let (known, is_due) = {
            let mut state = self.state();
            state.waits.retain(|_, wait| now.duration_since(wait.asked_at) < WAIT_AGE_MAX);
            let is_full = state.waits.len() >= WAITS_MAX;
            match state.waits.get_mut(&key) {
                Some(wait) => {
                    let is_due = now.duration_since(wait.asked_at) >= WAIT_FRESH;
                    if is_due {
                        wait.asked_at = now;
                    }
                    let is_young = wait.known_at.is_some_and(|at| now.duration_since(at) < WAIT_AGE_MAX);
                    (wait.seconds.filter(|_| is_young), is_due)
                }
                None if is_full => (None, false),
                None => {
                    state.waits.insert(key, Wait { seconds: None, known_at: None, asked_at: now });
                    (None, true)
                }
            }
        };
        if is_due {
            // An agent that is away is not asked, and nothing is known.
            let _number = self.put(Method::ExpectedWait { resources }, None);
        }
        known
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole after any panic: nothing is half done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long the agent has been silent, when that is too long.
    fn silence(&self) -> Option<Duration> {
        let silence = self.seen_at.elapsed();
        (silence > SILENCE_MAX).then_some(silence)
    }

    fn note_seen(&mut self) {
        self.seen_at = Instant::now();
        self.seen = true;
    }

    fn check(&mut self, session: Uuid) -> Result<(), SessionOver> {
        if self.session != Some(session) {
            return Err(SessionOver);
        }
        self.note_seen();
        Ok(())
    }

    /// What was handed over and is not held never arrived.
    fn hand_over_again(&mut self, held: &BTreeSet<u64>) {
        let lost =
            self.open.iter_mut().filter(|(number, open)| open.is_handed_over && !held.contains(number));
        let mut lost: Vec<u64> = lost
            .map(|(number, open)| {
                open.is_handed_over = false;
                *number
            })
            .collect();
        lost.sort_unstable();
        for number in lost.into_iter().rev() {
            self.waiting.push_front(number);
        }
    }

    fn hand_over(&mut self, count_max: usize) -> Vec<Call> {
        let mut calls = Vec::new();
        while calls.len() < count_max {
            let Some(number) = self.waiting.pop_front() else { break };
            // One that nobody waits for any more is gone already.
            let Some(open) = self.open.get_mut(&number) else { continue };
            open.is_handed_over = true;
            calls.push(Call { number, method: open.method.clone() });
        }
        calls
    }

    fn answer(&mut self, number: u64, reply: Reply) {
        let Some(open) = self.open.remove(&number) else { return };
        match (open.answer, open.method, reply) {
            // Who waited may have gone in this very moment.
            (Some(sender), _, reply) => drop(sender.send(reply)),
            (None, Method::ExpectedWait { resources }, Reply::Wait(seconds)) => {
                let key = (resources.cpu_cores, resources.memory_bytes, resources.gpus);
                if let Some(wait) = self.waits.get_mut(&key) {
                    wait.seconds = seconds;
                    wait.known_at = Some(Instant::now());
                }
            }
            (None, _, _) => {}
        }
    }

    fn note_moved(&mut self, ids: impl IntoIterator<Item = RunId>) {
        for id in ids {
            if self.moved.len() >= MOVED_MAX {
                self.moved.clear();
                self.all_moved = true;
            }
            if !self.all_moved {
                self.moved.insert(id);
            }
        }
    }
}
