// SPDX-License-Identifier: Apache-2.0
//! Following all runs at once: one `squeue` a tick, `sacct` for those that left it, and a file of the site that tells of ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, time::Instant};

use super::{
    Inner, Live, collect, lock,
    outcome::TaskSeen,
    queue::{self, End, QueueRow, State, Tasks},
    records::Records,
    script::COMMENT,
};
use crate::engines::{EngineError, RunId};

/// How often the site's hook file is looked at.
const HOOK_LOOK: Duration = Duration::from_millis(20);
/// The shortest time between two looks at the queue, and that while runs begin or end.
const TICK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(400));
/// By how much longer these are for each run that is followed: a look costs the cluster as much as the queue is long, and a
/// burst of submissions must not wait for looks at itself.
const TICK_A_RUN: Duration = Duration::from_millis(2);
/// How long after its submission, or its last change, a run is looked at often.
const LIVELY: SignedDuration = SignedDuration::from_secs(5);
/// A look takes at most one part in so many of the time.
const REST_FACTOR: u32 = 20;
/// How long a run that is to be handed over again is left to whoever else may do it, and how many at once.
const HAND_OVER_AFTER: SignedDuration = SignedDuration::from_secs(5);
const HAND_OVER_MAX: usize = 8;
/// How long after a job's end its node is expected to be clean any moment.
const CLOSING: SignedDuration = SignedDuration::from_secs(3);
/// How long a node may take to clean up after a job before accounting is asked how it ended.
const CLEAN_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// From when on an answer of the controller counts as late.
const SLOW: SignedDuration = SignedDuration::from_secs(2);
/// How often the cluster is asked again to end a run.
const CANCEL_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// How many numbers one `sacct` or `scancel` is given.
const ASK_MAX: usize = 200;
/// How often the state of the whole cluster is read, while somebody asks how long a job would wait.
pub(super) const BACKLOG_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// Follows the runs until the engine is dropped.
pub(super) async fn follow(engine: Weak<Inner>) {
    let mut hook = None;
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let begun = Instant::now();
        inner.hand_over_again().await;
        let lively = inner.tick().await;
        inner.refresh_backlog().await;
        let took = begun.elapsed();
        let usual = Duration::from_secs(u64::from(inner.settings.poll_s));
        let runs = u32::try_from(lock(&inner.live).len()).unwrap_or(u32::MAX);
        let often = TICK.1.saturating_add(TICK_A_RUN.saturating_mul(runs)).min(usual).max(took * REST_FACTOR);
        let pause = if lively { often } else { usual.max(took * REST_FACTOR) };
        // No more often than this, however often the hook or a submission calls.
        tokio::time::sleep(TICK.0.max(took)).await;
        let until = Instant::now() + pause.saturating_sub(TICK.0);
        let path = inner.settings.hook.clone();
        let idle = lock(&inner.live).is_empty();
        let waited = Arc::clone(&inner);
        drop(inner);
        tokio::select! {
            () = waited.poller.notified() => {}
            () = soon(&waited.handed_over, begun + took + often) => {}
            () = hook_moves(path.as_deref(), &mut hook), if !idle => {}
            () = tokio::time::sleep_until(until), if !idle => {}
            () = gone(&engine) => return,
        }
    }
}

/// Returns once something was handed over, and not before its time: a look at the queue for each run of many would cost the
/// cluster more than the runs do.
async fn soon(handed_over: &Notify, at: Instant) {
    handed_over.notified().await;
    tokio::time::sleep_until(at).await;
}

/// Returns once nobody but the poller itself holds the engine.
async fn gone(engine: &Weak<Inner>) {
    while engine.strong_count() > 1 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Returns when the site's file has changed since the last time; never without one.
async fn hook_moves(path: Option<&Path>, last: &mut Option<SystemTime>) {
    let Some(path) = path else { return std::future::pending().await };
    loop {
        let now = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        if now != *last {
            *last = now;
            return;
        }
        tokio::time::sleep(HOOK_LOOK).await;
    }
}

impl Inner {
    /// One look at everything under way. True while something is about to change.
    async fn tick(self: &Arc<Self>) -> bool {
        let runs: Vec<Live> = lock(&self.live)
            .values()
            .filter(|live| live.slurm_id.is_some() && !live.collecting)
            .cloned()
            .collect();
        if runs.is_empty() {
            return false;
        }
        self.ask_for_ends(&runs).await;
        let looked = self.look(&runs).await;
        // After the look, which says what runs.
        self.ask_for_suspensions().await;
        self.pass_notices_on().await;
        match looked {
            Ok(lively) => lively,
            Err(error) => {
                tracing::warn!(cluster = self.settings.cluster, error = %error, "the site's queue cannot be read");
                false
            }
        }
    }

    async fn look(self: &Arc<Self>, runs: &[Live]) -> Result<bool, EngineError> {
        let accounts: BTreeSet<&str> = runs.iter().map(|live| live.account.as_str()).collect();
        let accounts = accounts.into_iter().collect::<Vec<_>>().join(",");
        let asked_at = Timestamp::now();
        let script =
            format!("SLURM_TIME_FORMAT=%s squeue -h -t all -u {accounts} -o '{}'\n", queue::SQUEUE_FORMAT);
        let said = self.commands.answer(&self.settings.observer, "read the queue", &script).await;
        let said = match said {
            Ok(said) => said,
            Err(error) => {
                self.silent(asked_at).await?;
                return Err(error);
            }
        };
        if Timestamp::now().duration_since(asked_at) > SLOW {
            // Slurm's programs ask again for some seconds: it was away for a moment.
            self.silent(asked_at).await?;
        }
        let mut rows: BTreeMap<RunId, Vec<QueueRow>> = BTreeMap::new();
        for row in queue::squeue(&said.text()) {
            if let Some(run) = row.comment.strip_prefix(COMMENT).and_then(|run| run.parse().ok()) {
                rows.entry(run).or_default().push(row);
            }
        }
        let put_back = self.put_back(runs, &rows).await;
        let (mut ended, mut unseen, mut lively) = (Vec::new(), Vec::new(), false);
        for live in runs {
            if put_back.contains(&live.run) {
                self.doom_what_was_put_back(live.run);
            }
            let mut seen = rows.remove(&live.run).unwrap_or_default();
            // What Slurm could not start has been handed over again since.
            seen.retain(|row| !live.never_started.contains(&row.slurm_id));
            self.end_superfluous(live, &seen).await;
            match self.merge(live.run, &seen, asked_at).await? {
                Standing::Ended => ended.push(live.run),
                Standing::Unseen => unseen.push(live.clone()),
                Standing::CleansUp => unseen.push(Live { unseen_since: None, ..live.clone() }),
                Standing::Lively => lively = true,
                Standing::Closing => {
                    lively = true;
                    // Looked at again as soon as may be: somebody waits for this end.
                    self.poller.notify_one();
                }
                Standing::Steady => {}
            }
        }
        ended.extend(self.ask_accounting(&unseen).await?);
        lively |= !ended.is_empty() || !unseen.is_empty();
        collect::start(self, ended);
        Ok(lively)
    }

    /// Ends what still waits of a run that Slurm has twice, once the other one has begun: its outcome is not to wait for it.
    async fn end_superfluous(&self, live: &Live, rows: &[QueueRow]) {
        let has_begun = |state: &State| {
            matches!(state, State::Running | State::Completing | State::Ended(End::Completed))
        };
        let Some(begun) = rows.iter().find(|row| has_begun(&row.state)).map(|row| row.slurm_id) else {
            return;
        };
        let others = rows.iter().filter(|row| row.slurm_id != begun && row.state == State::Pending);
        for id in others.map(|row| row.slurm_id).collect::<BTreeSet<_>>() {
            let script = format!("scancel {id}\n");
            let ended = self.commands.answer(&live.account, "end a second submission", &script);
            if let Err(error) = ended.await {
                tracing::warn!(cluster = self.settings.cluster, run = %live.run, error = %error, "a second submission waits");
            }
        }
    }

    /// Takes what the queue says of a run into its state.
    async fn merge(&self, run: RunId, rows: &[QueueRow], now: Timestamp) -> Result<Standing, EngineError> {
        let Some(known) = lock(&self.live).get(&run).cloned() else { return Ok(Standing::Steady) };
        // Slurm tells whole seconds, and nothing begins before it was handed over.
        let began = began(rows).filter(|_| known.started_at.is_none()).map(|at| at.max(known.submitted_at));
        if let Some(at) = began {
            // Durable before anybody is told, so that a later engine tells the same.
            self.records(move |records, run| records.started(run, at), run).await?;
        }
        let mut all = lock(&self.live);
        let Some(live) = all.get_mut(&run) else { return Ok(Standing::Steady) };
        if rows.is_empty() {
            live.unseen_since.get_or_insert(now);
            return Ok(Standing::Unseen);
        }
        live.unseen_since = None;
        if rows.iter().any(|row| row.state == State::Running) {
            live.seen_running = Some(now);
        }
        live.started_at = live.started_at.or(began);
        live.take_in(rows);
        let told = |live: &Live| (live.started_at, live.reason.clone(), live.waits_for_room);
        if told(&known) != told(live) {
            self.moved(run);
        }
        Ok(live.standing(rows, now))
    }

    /// Runs that the queue does not know: what accounting says of them, and what is done when nobody knows them.
    async fn ask_accounting(&self, unseen: &[Live]) -> Result<Vec<RunId>, EngineError> {
        let mut ended = Vec::new();
        let lost_after = SignedDuration::from_secs(self.settings.lost_after_s.into());
        for some in unseen.chunks(ASK_MAX) {
            let known =
                if self.settings.accounting { self.accounts_of(some).await? } else { BTreeMap::new() };
            for live in some {
                let own = |(id, _): &(u64, u32)| Some(*id) == live.slurm_id;
                let tasks: Vec<_> =
                    known.iter().filter(|(key, account)| own(key) && account.name == live.name()).collect();
                let over = tasks.iter().all(|(_, account)| matches!(account.state, State::Ended(_)));
                if !tasks.is_empty() && over {
                    if let Some(live) = lock(&self.live).get_mut(&live.run) {
                        for (key, account) in tasks {
                            live.tasks.insert(*key, TaskSeen::accounted(account));
                        }
                    }
                    ended.push(live.run);
                } else if live
                    .unseen_since
                    .is_some_and(|since| Timestamp::now().duration_since(since) > lost_after)
                {
                    // Slurm has lost it. Whether it began, and how it ended, only its own directory can say.
                    ended.push(live.run);
                }
            }
        }
        Ok(ended)
    }

    pub(super) async fn accounts_of(
        &self,
        runs: &[Live],
    ) -> Result<BTreeMap<(u64, u32), queue::Account>, EngineError> {
        let ids: Vec<String> =
            runs.iter().filter_map(|live| live.slurm_id).map(|id| id.to_string()).collect();
        let script = format!(
            "SLURM_TIME_FORMAT=%s sacct -n -P -S 1970-01-01 -j {} -o '{}'\n",
            ids.join(","),
            queue::SACCT_FORMAT
        );
        // Accounting that is down is no end: the runs are asked for again at the next look.
        match self.commands.answer(&self.settings.observer, "read the accounting", &script).await {
            Ok(said) => Ok(queue::sacct(&said.text())),
            Err(error) => {
                tracing::debug!(cluster = self.settings.cluster, error = %error, "the accounting does not answer");
                Ok(BTreeMap::new())
            }
        }
    }

    /// Hands over again what the cluster lost before it began, and what an earlier engine left half handed over.
    async fn hand_over_again(self: &Arc<Self>) {
        let now = Timestamp::now();
        let due = |live: &&mut Live| {
            live.hand_over_again && now.duration_since(live.submitted_at) > HAND_OVER_AFTER
        };
        let runs: Vec<RunId> = {
            let mut all = lock(&self.live);
            let due = all.values_mut().filter(due).take(HAND_OVER_MAX);
            due.map(|live| {
                live.submitted_at = now;
                live.run
            })
            .collect()
        };
        for run in runs {
            let found = self.records(Records::find, run).await;
            let Ok(Some(record)) = found else { continue };
            let inner = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = inner.submit(&record.job).await {
                    tracing::warn!(cluster = inner.settings.cluster, %run, error = %error, "a job cannot be handed over yet");
                }
            });
        }
    }

    /// Asks the cluster to end what is to end: by name, so that a second submission of the same run ends too.
    async fn ask_for_ends(&self, runs: &[Live]) {
        let now = Timestamp::now();
        let due = |live: &&Live| {
            let again = live.cancel_sent.is_none_or(|sent| now.duration_since(sent) > CANCEL_AGAIN);
            (live.cancel || live.doomed.is_some() || live.has_overstayed(now)) && again
        };
        let mut by_account: BTreeMap<&str, Vec<&Live>> = BTreeMap::new();
        for live in runs.iter().filter(due) {
            by_account.entry(&live.account).or_default().push(live);
        }
        for (account, runs) in by_account {
            for some in runs.chunks(ASK_MAX) {
                let names: Vec<String> = some.iter().map(|live| live.name()).collect();
                let stopped = some.iter().filter(|live| live.suspension == Some(true));
                // Processes that were stopped would go on for the grace period that Slurm gives.
                let killed = stopped.flat_map(|live| &live.running);
                let script: String = killed
                    .map(|task| format!("timeout 5 scancel --signal=KILL {task} 2>/dev/null\n"))
                    .chain(names.iter().map(|name| format!("scancel -u {account} -n {name}\n")))
                    .collect();
                if let Err(error) = self.commands.answer(account, "end jobs", &script).await {
                    tracing::warn!(cluster = self.settings.cluster, account, error = %error, "jobs cannot be ended yet");
                    continue;
                }
                let mut all = lock(&self.live);
                for live in some {
                    if let Some(live) = all.get_mut(&live.run) {
                        live.cancel_sent = Some(now);
                    }
                }
            }
        }
    }

    /// The controller does not answer: what was measured from outside in this time is not to be trusted.
    pub(super) async fn silent(&self, since: Timestamp) -> Result<(), EngineError> {
        let Some(any) = lock(&self.live).keys().next().copied() else { return Ok(()) };
        self.records(move |records, _| records.outage(since, Timestamp::now()), any).await
    }

    async fn refresh_backlog(&self) {
        let now = Timestamp::now();
        if !lock(&self.backlog).is_wanted(now, BACKLOG_EVERY) {
            return;
        }
        let script = super::wait::script(&self.settings);
        match self.commands.answer(&self.settings.observer, "read the state of the cluster", &script).await {
            Ok(said) => lock(&self.backlog).read(&said.text(), now),
            Err(error) => {
                tracing::debug!(cluster = self.settings.cluster, error = %error, "the cluster's state is unknown");
                lock(&self.backlog).failed(now);
            }
        }
    }
}

/// When the first of a run's tasks began, if one runs or has just ended.
fn began(rows: &[QueueRow]) -> Option<Timestamp> {
    let runs = rows.iter().any(|row| matches!(row.state, State::Running | State::Completing));
    let started = rows.iter().filter(|row| row.state != State::Pending).filter_map(|row| row.started_at);
    if runs { started.min() } else { None }
}

/// What a look at the queue says of a run.
enum Standing {
    /// Nothing is about to change.
    Steady,
    /// It was submitted a moment ago, or is about to end.
    Lively,
    /// All of it has ended.
    Ended,
    /// The queue does not know it.
    Unseen,
    /// It has ended a moment ago, and its node cleans up.
    Closing,
    /// All of it has ended some time ago, and its node does not say that it is clean: accounting knows the end already.
    CleansUp,
}

impl Live {
    /// Whether neither queue nor accounting knew of an end.
    pub(super) fn is_lost(&self) -> bool {
        self.tasks.is_empty() && self.rest.is_none()
    }

    /// Its name at the site.
    pub(super) fn name(&self) -> String {
        format!("sta-{}", self.run)
    }

    fn take_in(&mut self, rows: &[QueueRow]) {
        for row in rows {
            let State::Ended(end) = &row.state else { continue };
            let seen = TaskSeen::queued(row, end.clone());
            match row.tasks {
                Tasks::One(index) => drop(self.tasks.insert((row.slurm_id, index), seen)),
                Tasks::Rest => self.rest = Some(seen),
            }
        }
        let waiting = rows.iter().find(|row| row.state == State::Pending);
        let runs = rows.iter().filter(|row| row.state == State::Running);
        let own_name = |row: &QueueRow| match row.tasks {
            Tasks::One(index) if self.count > 1 => format!("{}_{index}", row.slurm_id),
            Tasks::One(_) | Tasks::Rest => row.slurm_id.to_string(),
        };
        self.running = runs.map(own_name).collect();
        self.reason = waiting.and_then(|row| queue::waits_for(&row.reason));
        self.waits_for_room = waiting.is_some_and(|row| queue::waits_for_room(&row.reason));
        if self.doomed.is_none() {
            self.doomed = waiting.and_then(|row| queue::never_runs(&row.reason));
        }
    }

    fn standing(&self, rows: &[QueueRow], now: Timestamp) -> Standing {
        // Slurm's number is given again after it lost a job: only rows with our name came this far.
        if rows.iter().all(|row| matches!(row.state, State::Ended(_))) {
            return Standing::Ended;
        }
        let over = |row: &QueueRow| match row.state {
            State::Ended(_) => true,
            State::Completing => row.ended_at.is_some_and(|at| now.duration_since(at) > CLEAN_AFTER),
            State::Pending | State::Running => false,
        };
        if rows.iter().all(over) {
            return Standing::CleansUp;
        }
        let just_ended = |row: &QueueRow| row.ended_at.is_none_or(|at| now.duration_since(at) < CLOSING);
        if rows.iter().any(|row| row.state == State::Completing && just_ended(row)) {
            return Standing::Closing;
        }
        let completing = rows.iter().any(|row| row.state == State::Completing);
        let young = now.duration_since(self.submitted_at) < LIVELY;
        let is_to_change = self.cancel || self.doomed.is_some() || self.notice.is_some();
        if completing || young || is_to_change || self.is_to_suspend_or_resume() {
            Standing::Lively
        } else {
            Standing::Steady
        }
    }
}
