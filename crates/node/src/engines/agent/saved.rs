// SPDX-License-Identifier: Apache-2.0
//! The node's side of what jobs saved: the agent has its engine make an archive, and it comes here in parts.

use std::path::PathBuf;

use super::{
    CALL_TIME_MAX, Inner,
    calls::{Method, Packed, Reply},
    spool::{Remote, What, strange},
};
use crate::engines::{EngineError, RunId, archive::CHECKPOINT_BYTES_MAX};

const DOING: &str = "fetch what the job saved";

impl Inner {
    /// The archive of what a job saved, here; none where it saved nothing.
    pub(super) async fn pack_checkpoint(&self, run: RunId) -> Result<Option<PathBuf>, EngineError> {
        let (bytes, sha256) = loop {
            match self.ask(run, DOING, Method::PackCheckpoint { id: run }, CALL_TIME_MAX).await? {
                Reply::Packed(Packed::Archive { bytes, sha256 }) => break (bytes, sha256),
                Reply::Packed(Packed::Nothing) => return Ok(None),
                Reply::Packed(Packed::UnderWay) => {}
                other => return Err(strange(DOING, &other)),
            }
        };
        if bytes > CHECKPOINT_BYTES_MAX {
            let reason = format!("it is longer than {CHECKPOINT_BYTES_MAX} bytes");
            return Err(EngineError::Unpackable { id: run, reason });
        }
        // Two who fetch the same file would write into it both.
        let _turn = self.packing.lock().await;
        let archive = Remote { id: run, what: What::Checkpoint, bytes, sha256 };
        self.saved.fetch_into(&self.desk, run.job.into(), &archive).await.map(Some)
    }
}
