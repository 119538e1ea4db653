// SPDX-License-Identifier: Apache-2.0
//! Writing that runs are to be submitted, those that come while the disk is busy together: one commit for many.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Inner, lock, records::SiteAccount};
use crate::engines::{EngineError, EngineJob};

const DOING: &str = "note that a job is to be submitted";

/// A run that is to be submitted, and who waits until that is durable.
#[derive(Debug)]
pub(super) struct Intention {
    pub(super) job: EngineJob,
    pub(super) account: SiteAccount,
    written: oneshot::Sender<Result<(), String>>,
}

impl Inner {
    /// Returns once it is durable that the run is to be submitted, as it has to be before Slurm hears of it.
    ///
    /// # Errors
    /// The records cannot be written: nothing may be submitted.
    pub(super) async fn intend(&self, job: &EngineJob, account: &SiteAccount) -> Result<(), EngineError> {
        let unwritten = |said: String| EngineError::Site { doing: DOING, said };
        let (written, mine) = oneshot::channel();
        lock(&self.intentions).push(Intention { job: job.clone(), account: account.clone(), written });
        let (records, intentions) = (Arc::clone(&self.records), Arc::clone(&self.intentions));
        // Whoever comes to the records first writes for all that wait; the others find nothing left to do.
        let done = tokio::task::spawn_blocking(move || {
            let records = lock(&records);
            let together = std::mem::take(&mut *lock(&intentions));
            let outcome = records.intend(&together).map_err(|error| error.to_string());
            for intention in together {
                // Who has gone meanwhile comes again and finds it written.
                let _ = intention.written.send(outcome.clone());
            }
        });
        done.await.map_err(|error| unwritten(error.to_string()))?;
        match mine.await {
            Ok(outcome) => outcome.map_err(unwritten),
            Err(_) => Err(unwritten("the records were closed".to_owned())),
        }
    }
}
