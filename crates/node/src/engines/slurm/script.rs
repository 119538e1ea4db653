// SPDX-License-Identifier: Apache-2.0
//! What runs on the cluster: the batch script around a job's command, and how it is handed to `sbatch`.
//!
//! POSIX sh with coreutils and util-linux alone, so that it runs on every node. A job's directory holds `work/`, `tmp/`,
//! the streams `out.N` and `err.N`, and per task N: `once.N` (a directory: the task has begun, and never begins again),
//! `began.N`, `stopped.N` (it stands still), `noticed.N` (it was asked to leave), `limit.N` (its time was over) and `ended.N`; `held` says that it
//! is to stand still, `notice` that it is to leave and how many seconds it has for that. Beside the directories of a job's attempts
//! lies `ID.checkpoint`, in which it saves its work.

use std::{fmt::Write, sync::LazyLock};

use sta_protocol::{digest::Sha256Digest, ids::JobId, job::Shape};

use super::{records::SiteAccount, settings::SlurmSettings, site_commands::quoted};
use crate::engines::{EngineJob, RunId};

/// What every batch script has in common: it lies once in the account's directory, so that what is handed over for each job
/// is short. Slurm keeps and sends the whole script of each.
const COMMON: &str = include_str!("batch.sh");
/// Its file's name, another one when its text is another, so that jobs that wait keep theirs.
static COMMON_NAME: LazyLock<String> =
    LazyLock::new(|| format!("common-{:.16}.sh", Sha256Digest::of(COMMON.as_bytes()).to_string()));
/// What `--comment` begins with; the run follows.
pub(super) const COMMENT: &str = "sta:";
/// The exit code of a batch script that could not write its stamps.
pub(super) const CANNOT_WRITE: i32 = 71;
/// The exit code of a script that refuses the account it runs as.
pub(super) const WRONG_ACCOUNT: i32 = 77;

/// The directory of a run.
pub(super) fn run_directory(settings: &SlurmSettings, account: &str, run: RunId) -> String {
    format!("{}/{run}", settings.directory_of(account))
}

/// Where a job saves its work.
pub(super) fn checkpoint_directory(settings: &SlurmSettings, account: &str, job: JobId) -> String {
    format!("{}/{job}.checkpoint", settings.directory_of(account))
}

/// The account's cache of inputs.
pub(super) fn cache_directory(settings: &SlurmSettings, account: &str) -> String {
    format!("{}/cache", settings.directory_of(account))
}

/// One shell script that hands runs of one account to `sbatch`, one after the other: directories, inputs from the account's
/// cache, submission. Each run's answer stands between `begin RUN` and `end RUN CODE`.
pub(super) fn submissions(settings: &SlurmSettings, account: &str, runs: &[Submission]) -> String {
    let mut script = "umask 077\n".to_owned();
    script.push_str(&common_in_place(settings, account));
    // By their own names alone: `mkdir -p` goes through every part of a path, for each.
    let _ = write!(script, "cd {} && mkdir -p", settings.directory_of(account));
    for Submission { job, .. } in runs {
        let run = job.id;
        // What is in it the job makes itself as it begins, unless inputs come before it.
        let _ = if job.placed_inputs().next().is_none() {
            write!(script, " {run}")
        } else {
            write!(script, " {run}/work {run}/tmp")
        };
        if job.checkpoint {
            let _ = write!(script, " {}.checkpoint", run.job);
        }
    }
    script.push_str(" || exit\n");
    for Submission { job, account, runtime, held } in runs {
        let run = run_directory(settings, &account.unix, job.id);
        let mut arguments: Vec<String> =
            sbatch(settings, job, account, &run).iter().map(|word| quoted(word)).collect();
        let mark = if *held { format!(": >{run}/held && ") } else { String::new() };
        arguments.extend(held.then(|| "--hold".to_owned()));
        let batch = batch(settings, job, &account.unix, &run, runtime);
        let end = delimiter(&batch);
        let _ = writeln!(
            script,
            "echo 'begin {id}'\n{{ {mark}{inputs}sbatch {arguments}; }} 2>&1 <<'{end}'\n{batch}{end}\necho \"end {id} $?\"",
            id = job.id,
            inputs = inputs(settings, job, &account.unix, &run),
            arguments = arguments.join(" "),
        );
    }
    script
}

/// Has the account's directory hold what all batch scripts read. `cat` says why it cannot write, which `printf` does not.
fn common_in_place(settings: &SlurmSettings, account: &str) -> String {
    let base = settings.directory_of(account);
    let (common, name) = (quoted(COMMON), COMMON_NAME.as_str());
    format!(
        "[ -s {base}/{name} ] || {{ printf %s {common} | cat >{base}/.$$.{name} && mv {base}/.$$.{name} {base}/{name}; }} || exit\n"
    )
}

/// A line that the text does not hold, so that nothing a researcher writes can end it before its end.
fn delimiter(text: &str) -> String {
    let mut line = "END".to_owned();
    while text.contains(&line) {
        line.push('_');
    }
    line
}

/// What one run's submission is made from.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    pub(super) job: EngineJob,
    pub(super) account: SiteAccount,
    /// The words that run its image.
    pub(super) runtime: Vec<String>,
    /// It is not to begin before it is resumed.
    pub(super) held: bool,
}

/// Copies inputs out of the account's cache, those that an earlier attempt has not.
fn inputs(settings: &SlurmSettings, job: &EngineJob, account: &str, run: &str) -> String {
    let cache = cache_directory(settings, account);
    let mut script = String::new();
    for input in job.placed_inputs() {
        let name = quoted(&input.name);
        if let Some((folder, _)) = input.name.rsplit_once('/') {
            let _ = write!(script, "mkdir -p {run}/work/{} && ", quoted(folder));
        }
        let _ = write!(
            script,
            "{{ [ -e {run}/work/{name} ] || {{ cp --reflink=auto -- {cache}/{} {run}/tmp/.input && chmod 500 {run}/tmp/.input && mv -- {run}/tmp/.input {run}/work/{name}; }}; }} && ",
            input.sha256
        );
    }
    script
}

/// The arguments of `sbatch`.
fn sbatch(settings: &SlurmSettings, job: &EngineJob, account: &SiteAccount, run: &str) -> Vec<String> {
    let Shape { nodes, tasks, count, parallel, gpu_type } = &job.shape;
    let cpus = cpus_per_task(job);
    // A minute more than the script's own limits, in whole minutes: Slurm's is the net below ours.
    let minutes = (u64::from(job.time_limit_s) + u64::from(settings.grace_s)).div_ceil(60) + 1;
    let index = if *count > 1 { "%a" } else { "0" };
    let mut words = vec![
        "--parsable".to_owned(),
        format!("--comment={COMMENT}{}", job.id),
        format!("--job-name=sta-{}", job.id),
        format!("--chdir={run}"),
        format!("--output={run}/out.{index}"),
        format!("--error={run}/err.{index}"),
        "--export=NIL".to_owned(),
        "--no-requeue".to_owned(),
        format!("--nodes={nodes}"),
        format!("--ntasks={tasks}"),
        format!("--cpus-per-task={cpus}"),
        format!("--mem={}M", job.memory_bytes.div_ceil(1 << 20)),
        format!("--time={minutes}"),
    ];
    if job.gpus > 0 {
        let kind = gpu_type.as_ref().map_or_else(String::new, |kind| format!(":{kind}"));
        words.push(format!("--gres=gpu{kind}:{}", job.gpus));
    }
    if *count > 1 {
        words.push(format!("--array=0-{}%{parallel}", count - 1));
    }
    let given = [
        ("account", &account.slurm_account),
        ("qos", &account.qos),
        ("partition", &settings.partition),
        ("reservation", &settings.reservation),
    ];
    words.extend(given.iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))));
    words.extend(job.site_options.iter().map(|(name, value)| match value.as_str() {
        "" => format!("--{name}"),
        value => format!("--{name}={value}"),
    }));
    words
}

/// The batch script: what is this job's own, then what is common to all.
fn batch(settings: &SlurmSettings, job: &EngineJob, account: &str, run: &str, runtime: &[String]) -> String {
    let command: Vec<String> = runtime.iter().chain(&job.command).map(|word| quoted(word)).collect();
    let common = format!("{}/{}", settings.directory_of(account), COMMON_NAME.as_str());
    format!(
        "#!/bin/sh\n# A job of sta: {id}.\ntrap : TSTP CONT\nexport PATH={path}\nrun={run} limit={limit} grace={grace} steps={steps} cannot_write={CANNOT_WRITE}\n\
         [ -r {common} ] || {{ echo 'sta: {common} is gone' >&2; exit \"$cannot_write\"; }}\n\
         set -- {starter} {command}\n. {common}\n",
        id = job.id,
        path = quoted(&settings.search_path),
        limit = job.time_limit_s,
        grace = settings.grace_s,
        steps = if job.shape.tasks > 1 { "yes" } else { "no" },
        starter = starter(settings, job, account, run),
        command = command.join(" "),
    )
}

/// The words before the command that give it its environment and nothing else; with several processes, each its own.
fn starter(settings: &SlurmSettings, job: &EngineJob, account: &str, run: &str) -> String {
    let mut own = vec![
        ("HOME", format!("{run}/work")),
        ("PATH", settings.search_path.clone()),
        ("LANG", "C.UTF-8".to_owned()),
        ("TMPDIR", format!("{run}/tmp")),
        ("STA_JOB_ID", job.id.to_string()),
    ];
    if job.checkpoint {
        own.push(("STA_CHECKPOINT_DIR", checkpoint_directory(settings, account, job.id.job)));
    }
    own.extend(job.environment.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut words: Vec<String> = own.iter().map(|(name, value)| quoted(&format!("{name}={value}"))).collect();
    if job.shape.count > 1 {
        words.push("STA_TASK_INDEX=\"$SLURM_ARRAY_TASK_ID\"".to_owned());
        words.push(format!("STA_TASK_COUNT={}", job.shape.count));
    }
    let mut before = String::new();
    if job.shape.tasks > 1 {
        words.push("STA_TASK_RANK=\"$SLURM_PROCID\"".to_owned());
        // What was given to sbatch for this script alone would keep the accelerators' variables from the processes.
        before = format!(
            "env -u SLURM_EXPORT_ENV -u SLURM_GET_USER_ENV srun --ntasks={} --nodes={} --cpus-per-task={} --kill-on-bad-exit=0 ",
            job.shape.tasks,
            job.shape.nodes,
            cpus_per_task(job),
        );
    }
    let pick = format!(
        r#"for name in $(env | sed -n 's/^\(SLURM[A-Za-z0-9_]*\|CUDA_VISIBLE_DEVICES\|ROCR_VISIBLE_DEVICES\|ZE_AFFINITY_MASK\|GPU_DEVICE_ORDINAL\)=.*/\1/p'); do
  case $name in SLURM_EXPORT_ENV | SLURM_GET_USER_ENV) continue ;; esac
  eval "value=\$$name"
  set -- "$name=$value" "$@"
done
exec env -i {} "$@""#,
        words.join(" ")
    );
    format!("{before}sh -c {} sta", quoted(&pick))
}

/// The cores of one process: a node's share of them.
fn cpus_per_task(job: &EngineJob) -> u32 {
    let per_node = job.shape.tasks.div_ceil(job.shape.nodes);
    (job.cpu_cores / per_node).max(1)
}

/// Makes the account's directories, once it is sure that the prefix leads to that account and not to root.
pub(super) fn preparation(settings: &SlurmSettings, account: &str) -> String {
    let base = settings.directory_of(account);
    format!(
        r#"if [ "$(id -un)" != {account} ] || [ "$(id -u)" -eq 0 ]; then
  echo "the prefix leads to $(id -un) and not to {account}: correct [sites.slurm] prefix" >&2
  exit {WRONG_ACCOUNT}
fi
umask 077
mkdir -p {base}/cache && chmod 700 {base} {base}/cache
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_command_ends_its_script() {
        for text in ["true\n", "echo 'a\nEND\nrm -rf ~'\n", "END_\nEND__\n"] {
            let line = delimiter(text);
            assert!(text.lines().all(|other| other != line), "{line} in {text}");
        }
    }
}
