// SPDX-License-Identifier: Apache-2.0
//! Having guests leave, as their own accounts: what waits is ended in the queue, what runs is asked to end by its batch script,
//! which stamps that it did, and kills the command when its time is over. Slurm's own preemption would need an operator.
//!
//! A file `notice` in the run's directory says so before anybody is told, and a batch script looks at it before it begins its
//! command. The processes of a job that `srun` started are asked by a signal that Slurm carries to each.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::{Inner, Live, lock, records::Records, script::run_directory, settings::SlurmSettings};
use crate::engines::{EngineError, RunId};

/// How often the cluster is asked again to pass a notice on.
const AGAIN: SignedDuration = SignedDuration::from_secs(3);
/// How many runs one command tells, so that each has its time.
const RUNS_MAX: usize = 8;
/// How many tenths of a second a command waits for the stamps of each run.
const STAMP_TENTHS_MAX: u32 = 15;
/// How many seconds a signal may take to be sent: Slurm's program waits for a job that is about to begin.
const SIGNAL_S_MAX: u32 = 5;
/// How long after its time a run's own script may take to end it, before Slurm is asked to.
const OVERSTAY: SignedDuration = SignedDuration::from_secs(5);

/// That a run is to leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notice {
    /// How long it has.
    grace: Duration,
    /// When the cluster first took the word: its time runs from then on at the latest.
    told_at: Option<Timestamp>,
    /// Whatever of it runs is known to have been asked.
    is_known: bool,
    /// When the cluster was last asked to pass it on.
    sent_at: Option<Timestamp>,
}

impl Notice {
    pub(super) fn of(grace: Duration) -> Self {
        Self { grace, told_at: None, is_known: false, sent_at: None }
    }
}

impl Inner {
    pub(super) async fn reclaim(&self, run: RunId, grace: Duration) -> Result<(), EngineError> {
        let give = move |records: &Records, run| {
            records.give_notice(run, grace)?;
            records.notice(run)
        };
        // None of one that is finished.
        let Some(grace) = self.records(give, run).await? else { return Ok(()) };
        if let Some(live) = lock(&self.live).get_mut(&run) {
            live.notice.get_or_insert(Notice::of(grace));
            // Whether Slurm has it, and that it never will, is found out without being asked again.
            live.hand_over_again |= live.slurm_id.is_none();
        }
        self.poller.notify_one();
        Ok(())
    }

    /// Tells the cluster of every notice that it has not passed on yet: first it ends what waits, of all of them, and only then asks
    /// what runs. One that leaves at once makes room that Slurm would give to another that is to leave.
    pub(super) async fn pass_notices_on(&self) {
        let now = Timestamp::now();
        let mut by_account: BTreeMap<String, Vec<Live>> = BTreeMap::new();
        for live in lock(&self.live).values().filter(|live| live.is_to_be_told(now)) {
            by_account.entry(live.account.clone()).or_default().push(live.clone());
        }
        let chunks: Vec<(&str, &[Live])> = by_account
            .iter()
            .flat_map(|(account, runs)| runs.chunks(RUNS_MAX).map(move |some| (account.as_str(), some)))
            .collect();
        chunks.iter().for_each(|(_, some)| self.note(some, |notice, _| notice.sent_at = Some(now)));
        // Beside each other: one that does not answer does not keep back the others.
        let called_back = join_all(chunks.iter().map(|(account, some)| self.call_back(account, some))).await;
        let told = chunks.iter().zip(called_back).map(async |((account, some), called_back)| {
            let asked = match called_back {
                Ok(()) => self.ask_to_leave(account, some).await,
                Err(error) => Err(error),
            };
            if let Err(error) = asked {
                self.not_yet(account, &error);
            }
        });
        join_all(told).await;
    }

    fn not_yet(&self, account: &str, error: &EngineError) {
        tracing::warn!(cluster = self.settings.cluster, account, error = %error, "jobs cannot be given notice yet");
    }

    /// Writes down that these are to leave, and ends what of them waits.
    async fn call_back(&self, account: &str, runs: &[Live]) -> Result<(), EngineError> {
        let one = |live: &Live| Some(calling_back(&self.settings, live, live.notice?.grace));
        let script: String = runs.iter().filter_map(one).collect();
        self.commands.answer(account, "give jobs notice", &format!("{script}:")).await.map(drop)
    }

    /// Asks what runs of them to end.
    async fn ask_to_leave(&self, account: &str, runs: &[Live]) -> Result<(), EngineError> {
        let script: String = runs.iter().map(|live| asking(&self.settings, live)).collect();
        let said = self.commands.answer(account, "give jobs notice", &script).await?.text();
        let said_of = |word: &str, run: RunId| {
            said.lines().any(|line| line.strip_prefix(word) == Some(run.to_string().as_str()))
        };
        let now = Timestamp::now();
        self.note(runs, |notice, run| {
            if said_of("told ", run) {
                notice.told_at.get_or_insert(now);
            }
            notice.is_known |= said_of("done ", run);
        });
        Ok(())
    }

    fn note(&self, runs: &[Live], change: impl Fn(&mut Notice, RunId)) {
        let mut all = lock(&self.live);
        for live in runs {
            if let Some(notice) = all.get_mut(&live.run).and_then(|live| live.notice.as_mut()) {
                change(notice, live.run);
            }
        }
    }
}

impl Live {
    fn is_to_be_told(&self, now: Timestamp) -> bool {
        let is_due = |notice: Notice| {
            !notice.is_known && notice.sent_at.is_none_or(|sent| now.duration_since(sent) > AGAIN)
        };
        // One that stands still keeps its place until it goes on; one that is to end anyway is ended as it is.
        let may_be = self.suspension.is_none() && !self.cancel && self.doomed.is_none() && !self.collecting;
        may_be && self.slurm_id.is_some() && self.notice.is_some_and(is_due)
    }

    /// Whether its time was over a while ago, and its own script has not ended it.
    pub(super) fn has_overstayed(&self, now: Timestamp) -> bool {
        let over = |notice: Notice| {
            let grace = SignedDuration::try_from(notice.grace).unwrap_or(SignedDuration::MAX);
            notice.told_at.is_some_and(|told| now.duration_since(told).saturating_sub(grace) > OVERSTAY)
        };
        self.suspension.is_none() && self.notice.is_some_and(over)
    }
}

/// What the account does for one run that is to leave, before any that runs is asked.
fn calling_back(settings: &SlurmSettings, live: &Live, grace: Duration) -> String {
    let (run, account, name) = (run_directory(settings, &live.account, live.run), &live.account, live.name());
    let grace_s = grace.as_secs_f64();
    format!(
        "if cd {run} 2>/dev/null && {{ [ -e notice ] || {{ echo {grace_s:.3} >.notice && mv .notice notice; }}; }}; then\n\
         scancel -t PENDING -u {account} -n {name} >/dev/null 2>&1\n\
         fi\n"
    )
}

/// What it does then: it prints `told RUN` once the run's time runs, and `done RUN` once all that has begun was asked.
fn asking(settings: &SlurmSettings, live: &Live) -> String {
    let run = run_directory(settings, &live.account, live.run);
    let mut script = format!("if cd {run} 2>/dev/null && [ -e notice ]; then\n");
    for task in &live.running {
        let index = task.split_once('_').map_or("0", |(_, index)| index);
        let steps = match live.shape.tasks {
            0 | 1 => String::new(),
            _ => format!("timeout {SIGNAL_S_MAX} scancel --signal=TERM {task} >/dev/null 2>&1\n"),
        };
        let _ = writeln!(
            script,
            "if [ -e began.{index} ] && [ ! -e noticed.{index} ] && [ ! -e ended.{index} ]; then\n\
             {steps}timeout {SIGNAL_S_MAX} scancel --batch --signal=TERM {task} >/dev/null 2>&1\n\
             fi"
        );
    }
    let _ = writeln!(
        script,
        "echo 'told {id}'\n\
         asked() {{\n\
         for began in began.*; do\n\
         index=${{began##*.}}\n\
         [ ! -e \"$began\" ] || [ -e ended.$index ] || [ -e noticed.$index ] || return 1\n\
         done\n\
         }}\n\
         tenths=0\n\
         until asked || [ $tenths -ge {STAMP_TENTHS_MAX} ]; do sleep 0.1; tenths=$((tenths + 1)); done\n\
         asked && echo 'done {id}'\n\
         fi\n:",
        id = live.run
    );
    script
}
