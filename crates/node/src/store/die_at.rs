// SPDX-License-Identifier: Apache-2.0
//! Where a node is to kill itself, for the test that walks every durable point. Without the hidden `--die-at` nothing here runs.

use std::str::FromStr;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A commit of the writer, counted from 1 since the start of the process, and the side of it to die on.
///
/// Every state the node ever has on disk lies between two commits: `before:N` has done all that follows from commit
/// N - 1 and lost commit N with its reasons; `after:N` has kept commit N and told nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DieAt {
    side: Side,
    commit: u64,
}

/// The side of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Everything is written into the transaction, nothing of it is durable.
    Before,
    /// It is durable, and no caller has been answered.
    After,
}

impl DieAt {
    /// Ends the process as a power cut would, with SIGKILL, if this is the place.
    pub(super) fn strike(self, side: Side, commit: u64) {
        if (self.side, self.commit) == (side, commit) {
            // The signal takes effect before this returns; were it refused, the test would see a node that lives on.
            let _refused = kill(Pid::this(), Signal::SIGKILL);
        }
    }
}

impl FromStr for DieAt {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let place = text.split_once(':').and_then(|(side, commit)| {
            let side = match side {
                "before" => Side::Before,
                "after" => Side::After,
                _ => return None,
            };
            Some(Self { side, commit: commit.parse().ok()? })
        });
        place.ok_or_else(|| format!("`{text}` is no place to die: write before:N or after:N"))
    }
}
