// SPDX-License-Identifier: Apache-2.0
//! Having runs stand still and go on, as their own accounts: what waits is held in the queue, what runs is stopped by its batch
//! script, which stamps that it did. Slurm's own suspension would need an operator.
//!
//! A file `held` in the run's directory says what is wanted: it is there before anybody is told, and a batch script looks at it
//! before it begins its command. The steps of a job over several nodes are stopped by a signal that Slurm carries to each.

use std::{collections::BTreeMap, fmt::Write};

use jiff::{SignedDuration, Timestamp};

use super::{Inner, Live, lock, records::Records, script::run_directory, settings::SlurmSettings};
use crate::engines::{EngineError, RunId};

/// How often the cluster is asked again for what it has not done.
const AGAIN: SignedDuration = SignedDuration::from_secs(3);
/// How many runs one command has stand still or go on, so that each has its time.
const RUNS_MAX: usize = 8;
/// How many tenths of a second a command waits for the stamps of each run.
const STAMP_TENTHS_MAX: u32 = 15;
/// How many seconds a signal may take to be sent: Slurm's program waits for a job that is about to begin.
const SIGNAL_S_MAX: u32 = 5;

impl Inner {
    pub(super) async fn suspend(&self, run: RunId) -> Result<(), EngineError> {
        self.records(Records::suspend, run).await?;
        self.take_in_suspension(run).await
    }

    pub(super) async fn resume(&self, run: RunId) -> Result<(), EngineError> {
        self.records(Records::resume, run).await?;
        self.take_in_suspension(run).await
    }

    /// Takes what the records say into the state of a run under way, and has the poller see to it.
    pub(super) async fn take_in_suspension(&self, run: RunId) -> Result<(), EngineError> {
        let wanted = self.records(Records::suspension, run).await?;
        self.take_in(run, wanted);
        Ok(())
    }

    /// The same, for whoever has read what the records say.
    pub(super) fn take_in(&self, run: RunId, wanted: Option<bool>) {
        if let Some(live) = lock(&self.live).get_mut(&run)
            && live.suspension != wanted
        {
            (live.suspension, live.stands, live.suspension_sent) = (wanted, false, None);
        }
        // Most runs are never suspended, and no look at the queue is due for those.
        if wanted.is_some() {
            self.poller.notify_one();
        }
    }

    /// Asks the cluster for every suspension and every going on that it has not carried out yet.
    pub(super) async fn ask_for_suspensions(&self) {
        let now = Timestamp::now();
        let mut by_account: BTreeMap<String, Vec<Live>> = BTreeMap::new();
        for live in lock(&self.live).values().filter(|live| live.is_to_be_asked(now)) {
            by_account.entry(live.account.clone()).or_default().push(live.clone());
        }
        for (account, runs) in by_account {
            for some in runs.chunks(RUNS_MAX) {
                if let Err(error) = self.ask_for_some(&account, some, now).await {
                    tracing::warn!(cluster = self.settings.cluster, account, error = %error, "jobs cannot be suspended or resumed yet");
                }
            }
        }
    }

    async fn ask_for_some(&self, account: &str, runs: &[Live], now: Timestamp) -> Result<(), EngineError> {
        for live in runs {
            if let Some(live) = lock(&self.live).get_mut(&live.run) {
                live.suspension_sent = Some(now);
            }
        }
        let script: String = runs.iter().map(|live| script(&self.settings, live)).collect();
        let said = self.commands.answer(account, "suspend or resume jobs", &script).await?.text();
        for live in runs {
            let (run, wanted) = (live.run, live.suspension);
            if !said.lines().any(|line| line.strip_prefix("done ") == Some(run.to_string().as_str())) {
                continue;
            }
            if wanted == Some(false) {
                self.records(Records::resumed, run).await?;
            }
            let is_news = match lock(&self.live).get_mut(&run).filter(|live| live.suspension == wanted) {
                Some(live) => {
                    live.stands = wanted == Some(true);
                    live.suspension = wanted.filter(|wanted| *wanted);
                    true
                }
                // Something else was asked in the meantime.
                None => false,
            };
            if is_news {
                self.moved(run);
            }
        }
        Ok(())
    }
}

impl Live {
    /// Whether the cluster has yet to do what is wanted of the run.
    pub(super) fn is_to_suspend_or_resume(&self) -> bool {
        match self.suspension {
            Some(true) => !self.stands,
            Some(false) => true,
            None => false,
        }
    }

    fn is_to_be_asked(&self, now: Timestamp) -> bool {
        let is_due = self.suspension_sent.is_none_or(|sent| now.duration_since(sent) > AGAIN);
        // One that is to end is ended as it is.
        let is_wanted = !self.cancel && !self.collecting && self.slurm_id.is_some();
        is_wanted && is_due && self.is_to_suspend_or_resume()
    }
}

/// What the account does for one run: it prints `done RUN` once what is wanted holds.
fn script(settings: &SlurmSettings, live: &Live) -> String {
    let run = run_directory(settings, &live.account, live.run);
    let id = live.slurm_id.unwrap_or_default();
    let (mark, queue, [steps, batch], holds) = match live.suspension {
        Some(true) => (": >held", "hold", ["STOP", "TSTP"], "[ -e stopped.$index ]"),
        Some(false) | None => ("rm -f held", "release", ["CONT", "CONT"], "[ ! -e stopped.$index ]"),
    };
    let mut script = format!("if cd {run} 2>/dev/null && {mark}; then\n");
    // A hold of what runs takes its time of eligibility, and with it its place in accounting's search by name.
    if live.suspension != Some(true) || live.count > 1 || live.running.is_empty() {
        let _ = writeln!(script, "scontrol {queue} {id} >/dev/null 2>&1");
    }
    for task in &live.running {
        let _ = writeln!(
            script,
            "timeout {SIGNAL_S_MAX} scancel --signal={steps} {task} >/dev/null 2>&1\n\
             timeout {SIGNAL_S_MAX} scancel --batch --signal={batch} {task} >/dev/null 2>&1"
        );
    }
    let _ = writeln!(
        script,
        "holds() {{\n\
         for began in began.*; do\n\
         index=${{began##*.}}\n\
         [ ! -e \"$began\" ] || [ -e ended.$index ] || {holds} || return 1\n\
         done\n\
         }}\n\
         tenths=0\n\
         until holds || [ $tenths -ge {STAMP_TENTHS_MAX} ]; do sleep 0.1; tenths=$((tenths + 1)); done\n\
         holds && echo 'done {}'\n\
         fi\n:",
        live.run
    );
    script
}
