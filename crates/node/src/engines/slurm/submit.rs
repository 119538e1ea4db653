// SPDX-License-Identifier: Apache-2.0
//! Handing a run to Slurm once and only once: the intention first, then the inputs, then `sbatch`, then its number; and after
//! an unknown outcome a look for the run before anything is submitted again.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::OpenOptionsExt,
};

use jiff::Timestamp;

use super::{
    Inner, Live,
    hand_over::Answered,
    lock,
    queue::{self, End, Refused, State},
    records::{Phase, Records, RunRecord, SiteAccount},
    script::{COMMENT, Submission},
    site_commands::failed,
};
use crate::engines::{EngineError, EngineJob, Exit, Objection, Outcome, RunId, TaskEnd, Usage};

/// How many locks the submissions of all runs share: many more than are under way at once, so that few wait for one another.
const LOCKS: u16 = 2048;

impl Inner {
    pub(super) async fn submit(&self, job: &EngineJob) -> Result<(), EngineError> {
        let invalid = |reason: String| EngineError::Invalid { id: job.id, reason };
        job.validate(&self.capacity)?;
        let runtime =
            self.settings.runtime(&job.image).map_err(|objection| invalid(objection.to_string()))?;
        self.check_saved(job).await?;
        // One at a time for each run, also where an older engine over the same records is still at it.
        let _turn = self.take_turn(job.id).await?;
        let row = self.account_before(job).await?.or_else(|| self.account_by_row(job));
        let mut standing = self.intend(job, row.clone()).await?;
        let account = match (&standing.known, row) {
            (Some(record), _) if record.phase != Phase::Intended => return Ok(()),
            (Some(record), _) => record.account.clone(),
            (None, Some(account)) => account,
            (None, None) => {
                let account =
                    self.account_of(job).await?.map_err(|objection| invalid(objection.to_string()))?;
                standing = self.intend(job, Some(account.clone())).await?;
                account
            }
        };
        if let Some(exit) = standing.never {
            return self.end_unbegun(job, &account, standing.known.as_ref(), exit).await;
        }
        self.remember(Live::intended(job, &account));
        // From here on a crash leaves the intention, and whoever comes next looks for the run at the site.
        if standing.known.is_some() && self.adopt(job, &account).await? {
            return Ok(());
        }
        self.prepare(&account.unix).await?;
        if job.checkpoint {
            // What is packed is of the attempt before.
            self.remove_archive(job.id.job)?;
        }
        if !job.inputs.is_empty() {
            let wanted = self.inputs_wanted(job, &account.unix).await?;
            self.bring_in(&wanted, &account.unix).await?;
            self.unpack(job, &account.unix).await?;
            standing.suspended = self.records(Records::suspension, job.id).await? == Some(true);
        }
        self.hand_over(job, &account, runtime, standing.suspended).await
    }

    /// The lock of a run's submissions, given back when dropped.
    async fn take_turn(&self, run: RunId) -> Result<File, EngineError> {
        let [.., high, low] = *run.job.as_bytes();
        let path = self.root.join(format!("submit.{}", u16::from_be_bytes([high, low]) % LOCKS));
        let failed = |source| EngineError::Io { doing: "lock", path: path.clone(), source };
        let options = File::options().create(true).truncate(false).write(true).mode(0o600).clone();
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Only who has to wait for it waits elsewhere.
        let waited = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
        match waited.await {
            Ok(locked) => locked.map_err(failed),
            Err(error) => Err(EngineError::Site { doing: "wait for a lock", said: error.to_string() }),
        }
    }

    /// As whom the attempt before ran of a job that saves its work, which nobody else can read there; none where the operator
    /// has that account run no more jobs of this researcher.
    async fn account_before(&self, job: &EngineJob) -> Result<Option<SiteAccount>, EngineError> {
        if !job.checkpoint || job.id.attempt == 1 {
            return Ok(None);
        }
        let before = RunId { attempt: job.id.attempt - 1, ..job.id };
        let record = self.records(Records::find, before).await?;
        let account = record.map(|record| record.account);
        Ok(account.filter(|account| self.settings.may_be(&job.owner, &account.unix)))
    }

    /// As whom the job runs by the operator's row for its researcher, where there is one.
    fn account_by_row(&self, job: &EngineJob) -> Option<SiteAccount> {
        self.settings.row(&job.owner).map(|row| SiteAccount {
            unix: row.account.clone(),
            slurm_account: row.slurm_account.clone(),
            qos: row.qos.clone(),
        })
    }

    /// As whom the job runs: the researcher's row, or an account given for good.
    pub(super) async fn account_of(
        &self,
        job: &EngineJob,
    ) -> Result<Result<SiteAccount, Objection>, EngineError> {
        if let Some(account) = self.account_by_row(job) {
            return Ok(Ok(account));
        }
        let given = match self.settings.pool(&job.owner.member) {
            Some(pool) => {
                let (owner, accounts) = (job.owner.clone(), pool.accounts.clone());
                let given =
                    self.records(move |records, _| records.give_account(&owner, &accounts), job.id).await?;
                given.map(|unix| SiteAccount {
                    unix,
                    slurm_account: pool.slurm_account.clone(),
                    qos: pool.qos.clone(),
                })
            }
            None => None,
        };
        Ok(given.ok_or_else(|| no_account(job)))
    }

    /// A run that was cancelled or given notice before Slurm had it, or while nobody knew whether it had.
    async fn end_unbegun(
        &self,
        job: &EngineJob,
        account: &SiteAccount,
        known: Option<&RunRecord>,
        exit: Exit,
    ) -> Result<(), EngineError> {
        if known.is_some() && self.adopt(job, account).await? {
            // Slurm has it: the poller asks for its end.
            return Ok(());
        }
        let now = Timestamp::now();
        let outcome = Outcome {
            tasks: never_begun(job.shape.count, &exit, now),
            exit,
            started_at: now,
            ended_at: now,
            usage: Usage::default(),
            limits_enforced: Vec::new(),
            outputs: Vec::new(),
            outputs_missing: job.outputs.clone(),
        };
        let (job_text, unix, id) = (job.clone(), account.unix.clone(), job.id);
        self.records(
            move |records, _| {
                records.finished(id, &outcome)?;
                records.never_ran(&job_text, &unix, &outcome)
            },
            id,
        )
        .await?;
        self.forget(id);
        self.moved(id);
        Ok(())
    }

    /// Looks for a run whose submission has no known outcome. True when Slurm has it, and it is recorded now.
    async fn adopt(&self, job: &EngineJob, account: &SiteAccount) -> Result<bool, EngineError> {
        let Some(slurm_id) = self.look_for(job.id, &account.unix).await? else { return Ok(false) };
        let (run, now) = (job.id, Timestamp::now());
        let noted = self.records(move |records, _| records.submitted(&[(run, slurm_id)], now), run).await?;
        self.submitted(job, account, slurm_id, noted.get(&run).copied().flatten());
        Ok(true)
    }

    /// Slurm's number for a run, by the run's own name: first in the queue, then in accounting.
    async fn look_for(&self, run: RunId, account: &str) -> Result<Option<u64>, EngineError> {
        const DOING: &str = "look for a job";
        let script = format!(
            "SLURM_TIME_FORMAT=%s squeue -h -t all -u {account} -n sta-{run} -o '{}'\n",
            queue::SQUEUE_FORMAT
        );
        let said = self.commands.answer(&self.settings.observer, DOING, &script).await?;
        let comment = format!("{COMMENT}{run}");
        // A submission that was refused leaves a failed row with our comment that never was a job.
        let is_job = |row: &queue::QueueRow| {
            row.comment == comment
                && !(row.state == State::Ended(End::Failed) && row.reason == "BadConstraints")
        };
        // Nor was one of which is known that Slurm could not start it.
        let failed: Vec<u64> =
            lock(&self.live).get(&run).map(|live| live.never_started.clone()).unwrap_or_default();
        let rows = queue::squeue(&said.text()).into_iter().filter(|row| !failed.contains(&row.slurm_id));
        let found = rows.filter(is_job).map(|row| row.slurm_id).next();
        if found.is_some() || !self.settings.accounting {
            return Ok(found);
        }
        let script = format!(
            "SLURM_TIME_FORMAT=%s sacct -n -P -u {account} -S 1970-01-01 --name sta-{run} -o '{}'\n",
            queue::SACCT_FORMAT
        );
        let said = self.commands.answer(&self.settings.observer, DOING, &script).await?;
        // What waits or runs, the queue knows; accounting goes on to say so of jobs that a crash of the controller has lost.
        let ran = |id: u64, account: &queue::Account| {
            account.name == format!("sta-{run}")
                && matches!(account.state, State::Ended(_))
                && !(account.state == State::Ended(End::Failed) && account.started_at.is_none())
                && !failed.contains(&id)
        };
        let accounts = queue::sacct(&said.text()).into_iter();
        Ok(accounts
            .map(|((id, _), account)| (id, account))
            .find(|(id, account)| ran(*id, account))
            .map(|(id, _)| id))
    }

    async fn hand_over(
        &self,
        job: &EngineJob,
        account: &SiteAccount,
        runtime: Vec<String>,
        held: bool,
    ) -> Result<(), EngineError> {
        const DOING: &str = "submit a job";
        let submission = Submission { job: job.clone(), account: account.clone(), runtime, held };
        let said = match self.sbatch(submission).await? {
            Answered::Taken { slurm_id, suspension } => {
                self.submitted(job, account, slurm_id, suspension);
                return Ok(());
            }
            Answered::Not(said) => said,
        };
        match said.code {
            Some(0) => Err(failed(DOING, &said)),
            _ => match queue::refused(&said.err) {
                Refused::Never(reason) => {
                    let id = job.id;
                    // What it came with would be nobody's.
                    if job.saved.is_some() && self.records(Records::is_alone, id).await? {
                        self.wipe_checkpoint(id.job).await?;
                    }
                    self.records(Records::forget, id).await?;
                    self.forget(id);
                    Err(EngineError::Invalid { id, reason })
                }
                Refused::NotNow(reason) => Err(EngineError::Site { doing: DOING, said: reason }),
                Refused::Unknown(_) => Err(failed(DOING, &said)),
            },
        }
    }

    /// Slurm has the run, which the records say by now, and with it what of a suspension was asked while it was handed over.
    fn submitted(&self, job: &EngineJob, account: &SiteAccount, slurm_id: u64, suspension: Option<bool>) {
        let mut live = Live::intended(job, account);
        live.slurm_id = Some(slurm_id);
        self.remember(live);
        self.handed_over.notify_one();
        self.take_in(job.id, suspension);
    }
}

/// The tasks of a job array that never began; a plain job lists none.
fn never_begun(count: u32, exit: &Exit, now: Timestamp) -> Vec<TaskEnd> {
    let task = |index| TaskEnd { index, exit: exit.clone(), started_at: now, ended_at: now, wall_ms: 0 };
    if count > 1 { (0..count).map(task).collect() } else { Vec::new() }
}

/// What a researcher is told who has no account.
pub(super) fn no_account(job: &EngineJob) -> Objection {
    Objection::NoAccount {
        member: job.owner.member.clone(),
        project: job.owner.project.clone(),
        researcher: job.owner.researcher.clone(),
    }
}
