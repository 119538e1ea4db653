// SPDX-License-Identifier: Apache-2.0
//! Whether and how a job saves its work, so that it can go on where it was when it has to leave a site.

use serde::{Deserialize, Serialize};

use crate::job::{InvalidJob, TIME_LIMIT_S_MAX, invalid};

/// How a job saves its work, in the directory that `STA_CHECKPOINT_DIR` names: empty at its first attempt, and kept over all
/// its attempts at one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// It saves on SIGTERM, and ends with another code than 0, or waits to be killed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_signal: bool,
    /// It saves by itself, at least once in so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u32>,
}

impl Checkpoint {
    /// Whether it says when it saves.
    ///
    /// # Errors
    /// It does not, or the time is out of bounds.
    pub(crate) fn validate(&self) -> Result<(), InvalidJob> {
        match self.every_s {
            None if !self.on_signal => Err(invalid(
                "checkpoint",
                "says not when the job saves its work: use `on_signal = true`, `every_s = 300`, or both"
                    .to_owned(),
            )),
            Some(every_s) if !(1..=TIME_LIMIT_S_MAX).contains(&every_s) => Err(invalid(
                "checkpoint",
                format!("has `every_s = {every_s}`: use 1 to {TIME_LIMIT_S_MAX} seconds"),
            )),
            None | Some(_) => Ok(()),
        }
    }
}
