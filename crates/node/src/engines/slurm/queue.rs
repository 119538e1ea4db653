// SPDX-License-Identifier: Apache-2.0
//! What Slurm says of jobs: the text of `squeue` and `sacct`, the same from 22.05 to 24.11, read into one view.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

/// What `squeue -o` prints a row; the comment last, because it alone may hold anything.
pub(super) const SQUEUE_FORMAT: &str = "%A|%F|%K|%T|%r|%S|%e|%N|%k";
/// What `sacct -o` prints a row. The name and not the comment: accounting has that only once a job has ended.
pub(super) const SACCT_FORMAT: &str = "JobID,State,ExitCode,Start,End,TotalCPU,MaxRSS,NodeList,JobName%64";

/// The state of a job in Slurm, by what it means for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Running,
    /// Over, while its node still cleans up.
    Completing,
    Ended(End),
}

/// The final states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Failed,
    Cancelled,
    TimeLimit,
    OutOfMemory,
    NodeFailed,
    Preempted,
    /// Another word, as Slurm says it.
    Other(String),
}

impl State {
    /// Reads the first word: `CANCELLED by 1000` is `CANCELLED`.
    pub(super) fn read(text: &str) -> Self {
        match text.split_whitespace().next().unwrap_or_default() {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => {
                Self::Pending
            }
            "RUNNING" | "CONFIGURING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "STAGE_OUT" | "RESIZING" => {
                Self::Running
            }
            "COMPLETING" => Self::Completing,
            "COMPLETED" => Self::Ended(End::Completed),
            "FAILED" => Self::Ended(End::Failed),
            "CANCELLED" => Self::Ended(End::Cancelled),
            "TIMEOUT" => Self::Ended(End::TimeLimit),
            "OUT_OF_MEMORY" => Self::Ended(End::OutOfMemory),
            "NODE_FAIL" => Self::Ended(End::NodeFailed),
            "PREEMPTED" => Self::Ended(End::Preempted),
            other => Self::Ended(End::Other(other.to_owned())),
        }
    }
}

/// The indices that a row of a job array is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tasks {
    One(u32),
    /// All that have no row of their own.
    Rest,
}

/// One row of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueRow {
    /// The job, for the tasks of an array that of the array.
    pub(super) slurm_id: u64,
    pub(super) tasks: Tasks,
    pub(super) state: State,
    /// Why it waits or why it ended; `None` is what Slurm says for no reason.
    pub(super) reason: String,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) nodes: String,
    pub(super) comment: String,
}

/// Reads the output of `squeue`; lines of another form are other programs' greetings and are passed over.
pub(super) fn squeue(text: &str) -> Vec<QueueRow> {
    let row = |line: &str| {
        let mut fields = line.splitn(9, '|');
        let mut next = || fields.next().map(str::trim);
        let (own, array, index) = (next()?, next()?, next()?);
        let (state, reason, start, end, nodes, comment) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        Some(QueueRow {
            slurm_id: array.parse().or_else(|_| own.parse()).ok()?,
            tasks: tasks(index),
            state: State::read(state),
            reason: reason.to_owned(),
            started_at: seconds(start),
            ended_at: seconds(end),
            nodes: nodes.to_owned(),
            comment: comment.to_owned(),
        })
    };
    text.lines().filter_map(row).collect()
}

/// `N/A` for a plain job, a number for a task, a list in brackets for those that wait.
fn tasks(text: &str) -> Tasks {
    match text {
        "N/A" | "" => Tasks::One(0),
        text => text.parse().map_or(Tasks::Rest, Tasks::One),
    }
}

fn seconds(text: &str) -> Option<Timestamp> {
    Timestamp::from_second(text.parse().ok()?).ok()
}

/// What accounting says of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) state: State,
    /// Code and signal.
    pub(super) exit: (i32, i32),
    pub(super) started_at: Option<Timestamp>,
    /// When its end was decided.
    pub(super) ended_at: Option<Timestamp>,
    /// When the last of its steps was gone, which may be later.
    pub(super) gone_at: Option<Timestamp>,
    /// Whether nothing of it is still to be written.
    pub(super) is_closed: bool,
    /// The sum over its steps, in milliseconds.
    pub(super) cpu_ms: u64,
    /// The highest of its steps, in bytes; none when no step was measured.
    pub(super) memory_bytes: Option<u64>,
    /// The nodes that it had; empty for one that was never given any.
    pub(super) nodes: String,
    /// Whose unix number asked for its end, if somebody did.
    pub(super) cancelled_by: Option<u32>,
    /// The job's name.
    pub(super) name: String,
}

/// Reads the output of `sacct` with steps: what is known of each job (of an array: of each task), by Slurm's number and index.
pub(super) fn sacct(text: &str) -> BTreeMap<(u64, u32), Account> {
    let mut accounts: BTreeMap<(u64, u32), Account> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.splitn(9, '|').map(str::trim).collect();
        let [id, state, exit, start, end, cpu, memory, nodes, name] = fields.as_slice() else { continue };
        let (job, step) = id.split_once('.').map_or((*id, None), |(job, step)| (job, Some(step)));
        let Some(key) = task_of(job) else { continue };
        if step.is_none() {
            let account = Account {
                state: State::read(state),
                exit: exit_of(exit),
                started_at: seconds(start),
                ended_at: seconds(end),
                gone_at: None,
                is_closed: seconds(end).is_some(),
                cpu_ms: cpu_ms(cpu).unwrap_or(0),
                memory_bytes: None,
                nodes: if nodes.starts_with("None") { String::new() } else { (*nodes).to_owned() },
                cancelled_by: state.strip_prefix("CANCELLED by ").and_then(|uid| uid.parse().ok()),
                name: (*name).to_owned(),
            };
            accounts.insert(key, account);
        } else if let Some(account) = accounts.get_mut(&key) {
            account.is_closed &= seconds(end).is_some();
            account.gone_at = account.gone_at.max(seconds(end));
            // The row of the job itself has no memory; each of its steps has.
            account.memory_bytes = account.memory_bytes.max(bytes(memory));
        }
    }
    accounts
}

/// `12` is task 0 of job 12 and `12_3` its task 3; `12_[4-9]` are tasks that never were.
fn task_of(text: &str) -> Option<(u64, u32)> {
    let (job, index) = text.split_once('_').unwrap_or((text, "0"));
    Some((job.parse().ok()?, index.parse().ok()?))
}

fn exit_of(text: &str) -> (i32, i32) {
    let (code, signal) = text.split_once(':').unwrap_or((text, "0"));
    (code.parse().unwrap_or(0), signal.parse().unwrap_or(0))
}

/// `1-02:03:04`, `02:03:04` or `03:04.567`.
fn cpu_ms(text: &str) -> Option<u64> {
    let (days, rest) = text.split_once('-').unwrap_or(("0", text));
    let mut total = days.parse::<u64>().ok()?.checked_mul(24)?;
    let parts: Vec<&str> = rest.split(':').collect();
    let (last, upper) = parts.split_last()?;
    let hours_first = if upper.len() == 2 { upper.to_vec() } else { [vec!["0"], upper.to_vec()].concat() };
    for part in hours_first {
        total = if total == 0 { part.parse().ok()? } else { total + part.parse::<u64>().ok()? };
        total = total.checked_mul(60)?;
    }
    let (whole, thousandths) = last.split_once('.').unwrap_or((last, "0"));
    let thousandths = format!("{thousandths:0<3}");
    (total + whole.parse::<u64>().ok()?).checked_mul(1000)?.checked_add(thousandths.get(..3)?.parse().ok()?)
}

/// `123456K`, `12.5M` or a plain number of bytes.
fn bytes(text: &str) -> Option<u64> {
    let unit_at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _other => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let tenth = part.get(..1).and_then(|digit| digit.parse::<u64>().ok()).unwrap_or(0);
    Some((whole.parse::<u64>().ok()? << shift) + ((tenth << shift) / 10))
}

/// Why a job waits, in a sentence; none where it is only its turn.
pub(super) fn waits_for(reason: &str) -> Option<String> {
    // What follows a comma names nodes.
    let text = match reason.split(',').next().unwrap_or_default() {
        "None" | "Priority" | "Resources" | "BeginTime" | "" => return None,
        "JobHeldAdmin" => "the site's operator holds the job".to_owned(),
        "JobHeldUser" => "the job is held under its own account at the site".to_owned(),
        "PartitionDown" | "PartitionInactive" => "the site's partition takes no jobs now".to_owned(),
        "ReqNodeNotAvail" | "NodeDown" => "the nodes it needs are drained, down or reserved".to_owned(),
        "Reservation" => "the site's reservation has not begun".to_owned(),
        "Licenses" => "it waits for a licence".to_owned(),
        other if other.starts_with("Assoc") || other.starts_with("QOS") || other.contains("Grp") => {
            format!("a limit of its account at the site is reached ({other})")
        }
        other => format!("the site says {other}"),
    };
    Some(text)
}

/// Whether a job waits for room: its own turn has come and finds none, or comes after one that finds none.
pub(super) fn waits_for_room(reason: &str) -> bool {
    matches!(reason.split(',').next(), Some("Resources" | "Priority"))
}

/// The names in a list of nodes as Slurm writes it: `jl[1-2,04-05],login1`.
pub(super) fn hosts(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find([',', '[']).unwrap_or(rest.len());
        let (head, after) = rest.split_at(end);
        let Some((ranges, after)) = after.strip_prefix('[').and_then(|after| after.split_once(']')) else {
            names.extend((!head.is_empty()).then(|| head.to_owned()));
            rest = after.strip_prefix(',').unwrap_or_default();
            continue;
        };
        let tail_end = after.find(',').unwrap_or(after.len());
        let (tail, next) = after.split_at(tail_end);
        for range in ranges.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (Ok(from), Ok(to)) = (first.parse::<u32>(), last.parse::<u32>()) else { continue };
            let width = first.len();
            names.extend((from..=to).map(|number| format!("{head}{number:0width$}{tail}")));
        }
        rest = next.strip_prefix(',').unwrap_or_default();
    }
    names
}

/// Whether a job that waits for this reason would wait for ever, and why.
pub(super) fn never_runs(reason: &str) -> Option<String> {
    let text = match reason {
        "PartitionNodeLimit" => "it asks for more nodes, or more of a node, than the site's partition gives",
        "PartitionTimeLimit" => "its time limit is longer than the site's partition allows",
        "PartitionConfig" => "the site's partition has no nodes of that size",
        "BadConstraints" => "the site has no nodes of that kind",
        "InvalidAccount" => "its account at the site is not valid any more",
        "InvalidQOS" => "its quality of service at the site is not valid any more",
        "AccountNotAllowed" | "QOSNotAllowed" => "its account may not use the site's partition",
        "DependencyNeverSatisfied" => "a job that it depends on at the site failed",
        limit if is_of_one_job(limit) => ONE_JOB,
        _it_may_run => return None,
    };
    Some(format!("the site will never start the job: {text} ({reason})"))
}

/// What it means when a job is over a limit that holds for each job.
const ONE_JOB: &str = "it is larger or longer than a limit of the account at the site allows one job";

/// Whether a limit of an account or a quality of service is on the size or time of each single job, which no waiting mends.
fn is_of_one_job(limit: &str) -> bool {
    let of_account = limit.starts_with("QOS") || limit.starts_with("Assoc");
    of_account && ["PerJob", "PerNode", "NotSatisfied"].iter().any(|word| limit.contains(word))
}

/// What `sbatch` said when it took no job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// No later attempt can end otherwise.
    Never(String),
    /// It may be taken later, and was not now.
    NotNow(String),
    /// Whether it was taken is unknown.
    Unknown(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never(text) | Self::NotNow(text) | Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// Reads the errors of `sbatch`, which are the same words on every version.
pub(super) fn refused(said: &str) -> Refused {
    let lines: Vec<&str> = said
        .lines()
        .map(|line| line.trim_start_matches("sbatch: error: ").trim())
        .filter(|line| !line.is_empty())
        .collect();
    let text = lines.join("; ");
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // The first limit is named in a line of its own.
    if lines.first().is_some_and(|limit| is_of_one_job(limit)) {
        return Refused::Never(format!("{ONE_JOB} ({text})"));
    }
    if has(&[
        "Job violates accounting/QOS policy",
        "AssocMaxSubmit",
        "QOSMaxSubmit",
        "Slurm temporarily unable to accept job",
    ]) {
        return Refused::NotNow(format!("a limit of the account at the site is reached: {text}"));
    }
    let never = [
        ("Invalid account or account/partition combination", "the account has no association at the site"),
        ("Invalid partition name", "the site has no such partition"),
        ("Invalid qos specification", "the account has no such quality of service"),
        ("Requested node configuration is not available", "the site has no nodes of that kind and size"),
        ("Requested reservation is invalid", "the site's reservation is over or not for this account"),
        ("Invalid feature specification", "the site has no nodes with that constraint"),
        ("Invalid job array specification", "the site does not take so many indexed tasks"),
        ("Invalid generic resource", "the site has no accelerators of that type"),
        ("Invalid Trackable RESource", "the site has no accelerators of that type"),
        ("unrecognized option", "the site's sbatch does not know an option"),
        ("User not found on host", "the account does not exist at the site's controller"),
        ("Invalid user id", "the account does not exist at the site's controller"),
        ("Access/permission denied", "the account may not submit at the site"),
        ("Time limit specification required", "the site wants another time limit"),
        ("Requested time limit is invalid", "the time limit is longer than the site allows"),
        ("more processors requested than permitted", "it asks for more cores than the site gives one job"),
    ];
    match never.iter().find(|(words, _)| said.contains(words)) {
        Some((_, meaning)) => Refused::Never(format!("{meaning} ({text})")),
        None if has(&["No space left on device", "Disk quota exceeded"]) => {
            Refused::NotNow(format!("the account's directory at the site is full: {text}"))
        }
        None if text.is_empty() => Refused::Unknown("it said nothing".to_owned()),
        None => Refused::Unknown(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_both_majors_are_read_alike() {
        let text = "12|12|N/A|RUNNING|None|1795402949|1795406549|jl1|sta:0193a0c1-7e5b-7a10-8c3e-2f1f6f0a9b11\n\
                    17|13|3|COMPLETED|None|1795402949|1795402950|jl2|sta:x\n\
                    13|13|[4-9%2]|PENDING|Resources|N/A|N/A||sta:x|y\n\
                    Welcome to the cluster\n";
        let rows = squeue(text);
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[0].slurm_id, &rows[0].tasks, &rows[0].state), (12, &Tasks::One(0), &State::Running));
        assert_eq!((rows[1].slurm_id, &rows[1].tasks), (13, &Tasks::One(3)));
        assert_eq!((rows[2].slurm_id, &rows[2].tasks), (13, &Tasks::Rest));
        assert_eq!((rows[2].started_at, rows[2].comment.as_str()), (None, "sta:x|y"));
    }

    #[test]
    fn a_list_of_nodes_is_each_of_them() {
        assert_eq!(hosts("jl1"), ["jl1"]);
        assert_eq!(hosts("jl[1-2,09-10],login,q[3]c"), ["jl1", "jl2", "jl09", "jl10", "login", "q3c"]);
        assert_eq!(hosts(""), [""; 0]);
    }

    #[test]
    fn accounting_gives_code_and_signal_and_what_the_steps_used() {
        let text = "12|FAILED|3:0|1795402949|1795402952|00:01.250||jl[1-2]|sta:x\n\
                    12.batch|FAILED|3:0|1795402949|1795402952|00:01.250|12.5M|jl1|\n\
                    12.extern|COMPLETED|0:0|1795402949|1795402952|00:00.001|100K|jl1|\n\
                    13_2|CANCELLED by 1000|0:15|None|1795402952|1-00:00:01||None assigned|\n\
                    13_[3-9]|CANCELLED by 1000|0:0|None|1795402952|00:00:00||None assigned|\n";
        let accounts = sacct(text);
        let first = &accounts[&(12, 0)];
        assert_eq!(
            (first.exit, first.cpu_ms, first.memory_bytes),
            ((3, 0), 1_250, Some(12 * (1 << 20) + (5 << 20) / 10))
        );
        assert_eq!(first.state, State::Ended(End::Failed));
        let second = &accounts[&(13, 2)];
        assert_eq!((second.exit, second.cpu_ms, second.started_at), ((0, 15), 86_401_000, None));
        assert_eq!((first.nodes.as_str(), first.cancelled_by), ("jl[1-2]", None));
        assert_eq!((second.nodes.as_str(), second.cancelled_by), ("", Some(1000)));
        assert_eq!(second.state, State::Ended(End::Cancelled));
        assert_eq!(accounts.len(), 2);
    }

    #[test]
    fn times_and_sizes_are_read_in_every_form() {
        let times =
            [("00:00.004", 4), ("03:04.567", 184_567), ("02:03:04", 7_384_000), ("1-02:03:04", 93_784_000)];
        for (text, ms) in times {
            assert_eq!(cpu_ms(text), Some(ms), "{text}");
        }
        for (text, size) in [("0", 0), ("100K", 102_400), ("1.5G", 3 << 29), ("", 0)] {
            assert_eq!(bytes(text).unwrap_or(0), size, "{text}");
        }
    }

    #[test]
    fn what_sbatch_refuses_for_good_is_told_from_what_may_come_later() {
        let cases = [
            (
                "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
                "never",
            ),
            (
                "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed: Invalid partition name specified",
                "never",
            ),
            (
                "sbatch: error: Batch job submission failed: Requested node configuration is not available",
                "never",
            ),
            (
                "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
                "not now",
            ),
            ("cp: error writing 'x': No space left on device", "not now"),
            (
                "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
                "unknown",
            ),
            (
                "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
                "unknown",
            ),
            ("", "unknown"),
        ];
        for (said, wanted) in cases {
            let got = match refused(said) {
                Refused::Never(_) => "never",
                Refused::NotNow(_) => "not now",
                Refused::Unknown(_) => "unknown",
            };
            assert_eq!(got, wanted, "{said}");
        }
        let text = refused(cases[3].0).to_string();
        assert!(text.contains("QOSMaxSubmitJobPerUserLimit"), "{text}");
    }
}
