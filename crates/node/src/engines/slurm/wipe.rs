// SPDX-License-Identifier: Apache-2.0
//! Removing what a finished run left at the site and here: its directory, and cached inputs that no other run needs; and what a
//! job saved that goes on no more.

use std::{collections::BTreeSet, fmt::Write};

use sta_protocol::{digest::Sha256Digest, ids::JobId};

use super::{
    Inner, lock,
    records::{Phase, Records, RunRecord},
    saved::removal,
    script::{cache_directory, checkpoint_directory, run_directory},
};
use crate::engines::{EngineError, RunId};

impl Inner {
    /// Removes a finished run's directory at the site, its inputs there unless another run of the account wants them too,
    /// and its outputs here. Its record and its streams stay.
    pub(super) async fn wipe(&self, run: RunId) -> Result<(), EngineError> {
        self.finished(run).await?;
        let Some(record) = self.records(Records::find, run).await? else {
            return Err(EngineError::Unknown { id: run });
        };
        if record.wiped || record.phase != Phase::Finished {
            return Ok(());
        }
        let account = &record.account.unix;
        // Nothing was ever done as an account that has none.
        if !account.is_empty() {
            let directory = run_directory(&self.settings, account, run);
            let mut script = format!("chmod -R u+w {directory} 2>/dev/null\nrm -rf -- {directory}\n");
            let cache = self.cache_of(account);
            let _turn = cache.lock().await;
            let unwanted = self.unwanted_inputs(&record)?;
            if !unwanted.is_empty() {
                let cache = cache_directory(&self.settings, account);
                let _ = writeln!(script, "cd {cache} 2>/dev/null && rm -f -- {}", unwanted.join(" "));
            }
            let _ = writeln!(script, "[ ! -e {directory} ]");
            self.commands.answer(account, "remove a job's directory", &script).await?;
        }
        let outputs = self.spool(run).join("outputs");
        match std::fs::remove_dir_all(&outputs) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::Io { doing: "remove", path: outputs, source: error });
            }
            Ok(()) | Err(_) => {}
        }
        self.records(Records::wiped, run).await
    }

    /// Removes what a job has saved, as each account that ran an attempt at it.
    pub(super) async fn wipe_checkpoint(&self, job: JobId) -> Result<(), EngineError> {
        let accounts = self.records(move |records, _| records.checkpoint_accounts(job), job.into()).await?;
        for account in accounts {
            let directory = checkpoint_directory(&self.settings, &account, job);
            let script = format!("{}[ ! -e {directory} ]\n", removal(&directory));
            self.commands.patient_answer(&account, "remove what a job saved", &script).await?;
        }
        self.remove_archive(job)
    }

    /// The run's inputs that no unfinished run of its account needs.
    fn unwanted_inputs(&self, record: &RunRecord) -> Result<Vec<String>, EngineError> {
        let own: BTreeSet<Sha256Digest> = record.job.inputs.iter().map(|input| input.sha256).collect();
        if own.is_empty() {
            // Most have none, and the runs under way may be many.
            return Ok(Vec::new());
        }
        let under_way = lock(&self.records).under_way()?;
        let theirs = under_way.into_iter().filter(|other| other.account.unix == record.account.unix);
        let wanted: BTreeSet<_> =
            theirs.flat_map(|other| other.job.inputs).map(|input| input.sha256).collect();
        Ok(own.difference(&wanted).map(ToString::to_string).collect())
    }
}
