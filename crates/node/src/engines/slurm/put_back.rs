// SPDX-License-Identifier: Apache-2.0
//! Runs that the site's operator put back into the queue while they ran (`scontrol requeue`): they would begin a second time.
//!
//! Slurm has such a job wait for its time to begin, as it does with one whose time an operator set before it ran. Its count of
//! restarts tells them apart, whether or not a look at the queue saw the job run.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Inner, Live, lock,
    queue::{QueueRow, State},
};
use crate::engines::RunId;

/// How many runs are asked about at a look; the others have their turn at the next.
const ASK_MAX: usize = 200;

impl Inner {
    /// Those of the runs that were put back. A cluster that does not answer is asked again at the next look.
    pub(super) async fn put_back(
        &self,
        runs: &[Live],
        rows: &BTreeMap<RunId, Vec<QueueRow>>,
    ) -> BTreeSet<RunId> {
        let suspects: BTreeMap<u64, RunId> = runs
            .iter()
            .filter(|live| live.count == 1 && !live.cancel && live.doomed.is_none())
            .flat_map(|live| rows.get(&live.run).into_iter().flatten().map(|row| (live.run, row)))
            .filter(|(_, row)| row.state == State::Pending && row.reason == "BeginTime")
            .map(|(run, row)| (row.slurm_id, run))
            .take(ASK_MAX)
            .collect();
        if suspects.is_empty() {
            return BTreeSet::new();
        }
        let ids: Vec<String> = suspects.keys().map(u64::to_string).collect();
        let script = format!("squeue -h -t all -j {} -O JobID:.20,RestartCnt:.12\n", ids.join(","));
        match self.commands.answer(&self.settings.observer, "read how often jobs were begun", &script).await {
            Ok(said) => restarted(&said.text())
                .iter()
                .filter_map(|slurm_id| suspects.get(slurm_id).copied())
                .collect(),
            Err(error) => {
                tracing::debug!(cluster = self.settings.cluster, error = %error, "who was put back is unknown");
                BTreeSet::new()
            }
        }
    }

    /// Has a run end that would begin again.
    pub(super) fn doom_what_was_put_back(&self, run: RunId) {
        if let Some(live) = lock(&self.live).get_mut(&run)
            && live.doomed.is_none()
        {
            live.doomed = Some("the site put the job back into its queue while it ran".to_owned());
        }
    }
}

/// Slurm's numbers of the jobs that were begun before, from lines of a number and a count.
fn restarted(text: &str) -> Vec<u64> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let (id, count) = (fields.next()?.parse().ok()?, fields.next()?.parse::<u64>().ok()?);
        (count > 0).then_some(id)
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::restarted;

    #[test]
    fn only_a_count_above_none_tells_of_a_restart() {
        let said = "Welcome to the login node\n                  17           0\n                  18           1\n19\n";
        assert_eq!(restarted(said), [18]);
    }
}
