// SPDX-License-Identifier: Apache-2.0
//! How long a job would wait at the cluster, from who runs until when and who waits before it.

use jiff::{SignedDuration, Timestamp};
use sta_protocol::treaty::Resources;

use super::settings::SlurmSettings;
use crate::engines::Capacity;

/// The longest wait that is told: 30 days.
const WAIT_S_MAX: i64 = 30 * 24 * 3600;
/// How long after the last question the state is still kept fresh.
const WANTED_FOR: SignedDuration = SignedDuration::from_secs(300);

/// The state of the cluster when it was last read.
#[derive(Debug, Clone)]
pub(super) struct Backlog {
    cpus: i64,
    gpus: i64,
    /// What runs: until when at the latest, cores, accelerators.
    running: Vec<(Timestamp, i64, i64)>,
    /// What waits: cores, accelerators, and for how long they are asked.
    pending: Vec<(i64, i64, i64)>,
    read_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    wanted_at: Option<Timestamp>,
}

/// Prints the partition's cores, then a row for each job that runs or waits there.
pub(super) fn script(settings: &SlurmSettings) -> String {
    let partition = settings.partition.as_ref().map_or_else(String::new, |name| format!(" -p {name}"));
    format!(
        "sinfo -h{partition} -o '%C'\nSLURM_TIME_FORMAT=%s squeue -h -t PD,R{partition} -o '%t|%C|%b|%D|%e|%l'\n"
    )
}

impl Backlog {
    pub(super) fn unknown(capacity: &Capacity) -> Self {
        Self {
            cpus: capacity.cpu_cores.into(),
            gpus: capacity.gpus.values().map(|count| i64::from(*count)).sum(),
            running: Vec::new(),
            pending: Vec::new(),
            read_at: None,
            tried_at: None,
            wanted_at: None,
        }
    }

    /// Whether it is to be read now: somebody asks, and it is older than `every`.
    pub(super) fn is_wanted(&self, now: Timestamp, every: SignedDuration) -> bool {
        let asked = self.wanted_at.is_some_and(|at| now.duration_since(at) < WANTED_FOR);
        asked && self.tried_at.is_none_or(|at| now.duration_since(at) >= every)
    }

    pub(super) fn failed(&mut self, now: Timestamp) {
        self.tried_at = Some(now);
    }

    /// Takes in what [`script`] printed.
    pub(super) fn read(&mut self, text: &str, now: Timestamp) {
        (self.running, self.pending) = (Vec::new(), Vec::new());
        (self.read_at, self.tried_at) = (Some(now), Some(now));
        let mut cpus = 0;
        for line in text.lines() {
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            match fields.as_slice() {
                // Allocated, idle, other (down or drained) and all: what is down runs nothing.
                [counts] => {
                    let counts: Vec<i64> = counts.split('/').filter_map(|count| count.parse().ok()).collect();
                    if let [allocated, idle, ..] = counts.as_slice() {
                        cpus += allocated + idle;
                    }
                }
                [state, cores, gres, nodes, end, limit] => {
                    let (cores, nodes) = (cores.parse().unwrap_or(1), nodes.parse().unwrap_or(1));
                    let gpus = gpus(gres) * nodes;
                    if *state == "R" {
                        let end = end.parse().ok().and_then(|end| Timestamp::from_second(end).ok());
                        self.running.push((end.unwrap_or(now), cores, gpus));
                    } else {
                        self.pending.push((cores, gpus, seconds(limit)));
                    }
                }
                _greeting => {}
            }
        }
        if cpus > 0 {
            self.cpus = cpus;
        }
        self.running.sort_unstable_by_key(|(end, ..)| *end);
    }

    /// Seconds until a job of this size would begin, if what runs runs to its limit and what waits goes first; 0 when there
    /// is room now. `None` before the cluster was read.
    pub(super) fn expected_wait_s(&mut self, job: Resources, now: Timestamp) -> Option<u32> {
        self.wanted_at = Some(now);
        self.read_at?;
        let (mut cpus, mut gpus) = (self.cpus, self.gpus);
        for (_, cores, accelerators) in &self.running {
            cpus -= cores;
            gpus -= accelerators;
        }
        let ahead: (i64, i64) = self
            .pending
            .iter()
            .fold((0, 0), |sum, (cores, accelerators, _)| (sum.0 + cores, sum.1 + accelerators));
        let (wanted_cpus, wanted_gpus) = (ahead.0 + i64::from(job.cpu_cores), ahead.1 + i64::from(job.gpus));
        // What is wanted beyond the whole cluster waits until as much of it has been through.
        let beyond = (wanted_cpus - self.cpus).max(0);
        let work: i64 = self.pending.iter().map(|(cores, _, limit)| cores.saturating_mul(*limit)).sum();
        let through_s = if beyond > 0 && self.cpus > 0 { work / self.cpus } else { 0 };
        let (need_cpus, need_gpus) = (wanted_cpus.min(self.cpus), wanted_gpus.min(self.gpus));
        let mut free_at = now;
        for (end, cores, accelerators) in &self.running {
            if cpus >= need_cpus && gpus >= need_gpus {
                break;
            }
            (cpus, gpus, free_at) = (cpus + cores, gpus + accelerators, *end);
        }
        let wait = free_at.duration_since(now).as_secs().max(0).saturating_add(through_s);
        u32::try_from(wait.min(WAIT_S_MAX)).ok()
    }
}

/// The accelerators in `gres:gpu:gh200:2`, `gres/gpu:2` or `N/A`.
fn gpus(text: &str) -> i64 {
    let of = |part: &str| {
        let rest = part.trim_start_matches("gres:").trim_start_matches("gres/").strip_prefix("gpu")?;
        rest.rsplit(':').next().and_then(|count| count.parse::<i64>().ok()).or(Some(1))
    };
    text.split(',').filter_map(of).sum()
}

/// A time limit as `squeue` prints it: `5:00`, `1:00:00`, `7-00:00:00` or `UNLIMITED`.
fn seconds(text: &str) -> i64 {
    let (days, rest) = text.split_once('-').unwrap_or(("0", text));
    let parts: Result<Vec<i64>, _> = rest.split(':').map(str::parse).collect();
    match (days.parse::<i64>(), parts.as_deref()) {
        (Ok(days), Ok([hours, minutes, seconds])) => days * 86_400 + hours * 3_600 + minutes * 60 + seconds,
        (Ok(days), Ok([minutes, seconds])) => days * 86_400 + minutes * 60 + seconds,
        (_, _) => WAIT_S_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(rows: &str) -> Backlog {
        let capacity =
            Capacity { cpu_cores: 64, memory_bytes: 1 << 40, gpus: [("gh200".to_owned(), 8)].into() };
        let mut backlog = Backlog::unknown(&capacity);
        backlog.read(rows, Timestamp::from_second(1_000).unwrap());
        backlog
    }

    fn wait(backlog: &mut Backlog, cpu_cores: u32, gpus: u32) -> u32 {
        let job = Resources { cpu_cores, memory_bytes: 1, gpus };
        backlog.expected_wait_s(job, Timestamp::from_second(1_000).unwrap()).unwrap()
    }

    #[test]
    fn a_job_waits_until_what_runs_and_what_waits_before_it_leave_room() {
        let mut idle = backlog("0/64/0/64\n");
        assert_eq!(wait(&mut idle, 64, 8), 0);
        let mut busy = backlog(
            "48/16/0/64\nR|16|gres:gpu:gh200:2|1|1600|1:00:00\nR|32|gres/gpu:gh200:3|2|2000|1:00:00\n",
        );
        assert_eq!(wait(&mut busy, 16, 0), 0);
        assert_eq!(wait(&mut busy, 32, 0), 600);
        assert_eq!(wait(&mut busy, 64, 0), 1_000);
        // Two of eight, and three on each of two nodes, are held.
        assert_eq!((wait(&mut busy, 1, 0), wait(&mut busy, 1, 1), wait(&mut busy, 1, 3)), (0, 600, 1_000));
        let mut queued = backlog("64/0/0/64\nR|64|N/A|1|1100|1:00\nPD|64|N/A|1|N/A|10:00\n");
        assert_eq!(wait(&mut queued, 1, 0), 100 + 600);
    }

    #[test]
    fn before_the_cluster_was_read_no_wait_is_known() {
        let capacity = Capacity { cpu_cores: 1, memory_bytes: 1, gpus: [].into() };
        let mut backlog = Backlog::unknown(&capacity);
        let now = Timestamp::from_second(1_000).unwrap();
        assert!(!backlog.is_wanted(now, SignedDuration::ZERO), "nobody has asked");
        assert_eq!(backlog.expected_wait_s(Resources::default(), now), None);
        assert!(backlog.is_wanted(now, SignedDuration::ZERO));
    }
}
