// SPDX-License-Identifier: Apache-2.0
//! The terms on which members share their sites: the owner goes first, and guests are given notice.

use serde::{Deserialize, Serialize};

use super::TreatyError;
use crate::job::TIME_LIMIT_S_MAX;

/// The longest notice, in seconds: an owner does not wait longer for its own machines.
pub const GRACE_S_MAX: u32 = 3_600;
/// The longest that bringing files in, or a restart, may be taken to cost, in seconds.
const ALLOWANCE_S_MAX: u32 = 86_400;

/// How members share their sites. An owner whose job finds no room may have guests leave: each is sent SIGTERM, has the grace
/// time to save its work, and waits again at the same host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharing {
    /// Seconds between the notice to a guest and its end.
    #[serde(default = "grace_s")]
    pub grace_s: u32,
    /// Seconds that bringing a job's files to another member's site may take before the delay counts as the federation's.
    #[serde(default)]
    pub staging_s: u32,
    /// Seconds that one restart of a reclaimed job from its checkpoint may cost before the delay counts as the federation's.
    #[serde(default)]
    pub restart_s: u32,
    /// The longest time limit of a guest that writes no checkpoint, in seconds: all that a notice can make it lose. No limit
    /// when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsaved_s_max: Option<u32>,
}

fn grace_s() -> u32 {
    30
}

impl Default for Sharing {
    fn default() -> Self {
        Self { grace_s: grace_s(), staging_s: 0, restart_s: 0, unsaved_s_max: None }
    }
}

impl Sharing {
    /// Whether every number is within its bounds.
    ///
    /// # Errors
    /// The first that is not.
    pub(super) fn check(&self) -> Result<(), TreatyError> {
        let numbers = [
            ("grace_s", self.grace_s, 1, GRACE_S_MAX),
            ("staging_s", self.staging_s, 0, ALLOWANCE_S_MAX),
            ("restart_s", self.restart_s, 0, ALLOWANCE_S_MAX),
            ("unsaved_s_max", self.unsaved_s_max.unwrap_or(1), 1, TIME_LIMIT_S_MAX),
        ];
        match numbers.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            Some((name, value, least, most)) => Err(TreatyError::Invalid {
                field: format!("sharing.{name}"),
                problem: format!("is {value}: use {least} to {most} seconds"),
            }),
            None => Ok(()),
        }
    }
}
