// SPDX-License-Identifier: Apache-2.0
//! Writing that runs are to be submitted, those that come while the disk is busy together: one look into the records and one
//! commit for many.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    Inner, lock,
    records::{RunRecord, SiteAccount},
};
use crate::engines::{EngineError, EngineJob, Exit};

const DOING: &str = "note that a job is to be submitted";

/// A run that is to be submitted, and who waits until that is durable.
#[derive(Debug)]
pub(super) struct Intention {
    pub(super) job: EngineJob,
    /// As whom it is to run; where that is not known yet, nothing is written.
    pub(super) account: Option<SiteAccount>,
    written: oneshot::Sender<Result<Standing, String>>,
}

/// How a run stood before its intention was written.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// What was known of it. An intention is written only where nothing was.
    pub(super) known: Option<RunRecord>,
    /// How it ends where it is never to begin; then no intention is written either.
    pub(super) never: Option<Exit>,
    /// It is to stand still.
    pub(super) suspended: bool,
}

impl Inner {
    /// Returns how the run stands, once it is durable that it is to be submitted, as it has to be before Slurm hears of it.
    /// Whoever calls holds the run's lock.
    ///
    /// # Errors
    /// The records cannot be used: nothing may be submitted.
    pub(super) async fn intend(
        &self,
        job: &EngineJob,
        account: Option<SiteAccount>,
    ) -> Result<Standing, EngineError> {
        let unwritten = |said: String| EngineError::Site { doing: DOING, said };
        let (written, mine) = oneshot::channel();
        let is_first = {
            let mut waiting = lock(&self.intentions);
            waiting.push(Intention { job: job.clone(), account, written });
            waiting.len() == 1
        };
        if is_first {
            let (records, intentions) = (Arc::clone(&self.records), Arc::clone(&self.intentions));
            // Writes for all that have come by the time that it has the records; who comes after is the first again.
            tokio::task::spawn_blocking(move || {
                let records = lock(&records);
                let together = std::mem::take(&mut *lock(&intentions));
                match records.intend(&together) {
                    Ok(standings) => together.into_iter().zip(standings).for_each(|(intention, standing)| {
                        // Who has gone meanwhile comes again and finds it written.
                        let _ = intention.written.send(Ok(standing));
                    }),
                    Err(error) => together.into_iter().for_each(|intention| {
                        let _ = intention.written.send(Err(error.to_string()));
                    }),
                }
            });
        }
        match mine.await {
            Ok(outcome) => outcome.map_err(unwritten),
            Err(_) => Err(unwritten("the records were closed".to_owned())),
        }
    }
}
