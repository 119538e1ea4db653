// SPDX-License-Identifier: Apache-2.0
//! Removing what a finished run left at the site and here: its directory, and cached inputs that no other run needs.

use std::collections::BTreeSet;

use sta_protocol::digest::Sha256Digest;

use super::{Inner, lock, records::Phase, script::run_directory};
use crate::engines::{EngineError, RunId};

impl Inner {
    /// Removes a finished run's directory at the site, its inputs there unless another run of the account wants them too,
    /// and its outputs here. Its record and its streams stay.
    pub(super) async fn wipe(&self, run: RunId) -> Result<(), EngineError> {
        self.finished(run).await?;
        let Some(record) = self.records(super::records::Records::find, run).await? else {
            return Err(EngineError::Unknown { id: run });
        };
        if record.wiped || record.phase != Phase::Finished {
            return Ok(());
        }
        let account = &record.account.unix;
        // Nothing was ever done as an account that has none.
        if !account.is_empty() {
            let unwanted = {
                let _turn = self.staging.lock().await;
                let wanted = self.wanted_inputs(account)?;
                let own: BTreeSet<Sha256Digest> =
                    record.job.inputs.iter().map(|input| input.sha256).collect();
                let unwanted: Vec<String> = own.difference(&wanted).map(ToString::to_string).collect();
                let directory = run_directory(&self.settings, account, run);
                let cache = format!("{}/cache", self.settings.directory_of(account));
                let mut script = format!("chmod -R u+w {directory} 2>/dev/null\nrm -rf -- {directory}\n");
                if !unwanted.is_empty() {
                    script.push_str(&format!("cd {cache} 2>/dev/null && rm -f -- {}\n", unwanted.join(" ")));
                }
                script.push_str(&format!("[ ! -e {directory} ]\n"));
                self.commands.answer(account, "remove a job's directory", &script).await?;
                unwanted
            };
            tracing::debug!(%run, account, inputs = unwanted.len(), "a job's directory is removed at the site");
        }
        let outputs = self.spool(run).join("outputs");
        match std::fs::remove_dir_all(&outputs) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::Io { doing: "remove", path: outputs, source: error });
            }
            Ok(()) | Err(_) => {}
        }
        self.records(super::records::Records::wiped, run).await
    }

    /// The inputs that unfinished runs of an account need.
    fn wanted_inputs(&self, account: &str) -> Result<BTreeSet<Sha256Digest>, EngineError> {
        let under_way = lock(&self.records).under_way()?;
        let theirs = under_way.into_iter().filter(|record| record.account.unix == account);
        Ok(theirs.flat_map(|record| record.job.inputs).map(|input| input.sha256).collect())
    }
}
