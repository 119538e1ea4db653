// SPDX-License-Identifier: Apache-2.0
//! The engine conformance suite: the rules every engine keeps, as functions over the trait, and one module per engine that runs them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

use sta_node::engines::{
    Capacity, Engine, EngineJob, Exit, LOG_CHUNK_BYTES_MAX, Observation, Outcome, Owner, RunId, Stream,
};
use sta_protocol::{ids::JobId, job::Shape};

mod agent;
mod agent_faults;
mod border;
mod conformance;
mod local;
mod local_crashes;
mod local_saved;
pub(crate) mod slurm;
mod slurm_faults;

/// How long anything in the suite may take; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// An engine under test and the place it works in. Opening it again stands for a restart of the node.
trait Site {
    /// A new engine over the same place.
    fn open(&self) -> Box<dyn Engine>;
    /// How long a job asked to end may take before it is killed.
    fn grace(&self) -> Duration;
    /// How the names of the variables begin that the site's own scheduler sets in every job.
    fn scheduler_variables(&self) -> &[&str] {
        &[]
    }
    /// How many nodes a job of the suite may ask for.
    fn nodes(&self) -> u32 {
        1
    }
    /// A type of accelerators that the site has.
    fn gpu_type(&self) -> &str {
        "a100"
    }
    /// A small job that runs a shell script, for somebody whom the site knows.
    fn shell(&self, script: &str) -> EngineJob {
        shell(script)
    }
}

/// Runs every conformance test over the site that `$site` makes, or leaves them out where it makes none.
macro_rules! conforms {
    ($site:expr; $($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            // None where the site cannot be: it has said so.
            let Some(site) = $site else { return };
            $crate::engines::conformance::$name(&site).await;
        }
    )*};
    ($site:expr) => {
        $crate::engines::conforms! { $site;
            a_job_runs_and_its_exit_code_and_streams_are_kept
            a_code_is_told_apart_from_a_signal
            a_command_that_is_not_there_ends_with_127_and_says_so
            a_time_limit_ends_a_job_that_ignores_the_request
            a_memory_limit_ends_a_job_that_takes_more
            a_cancelled_job_ends_and_its_processes_with_it
            a_job_cancelled_before_its_submission_never_runs
            cancelling_a_finished_job_changes_nothing
            a_second_submission_runs_nothing_twice
            submissions_at_the_same_time_run_one_job
            logs_are_read_while_the_job_runs
            outputs_are_hashed_and_missing_ones_named
            a_link_is_not_an_output
            inputs_stand_under_their_names_and_cannot_be_written_through
            nothing_of_the_nodes_environment_reaches_a_job
            a_job_has_no_descriptors_beyond_the_three
            the_network_is_there_only_for_those_who_ask
            what_a_job_leaves_running_is_killed_at_its_end
            a_new_engine_finds_running_jobs_and_their_end
            a_wiped_job_keeps_its_record_and_logs_only
            unknown_and_unfinished_jobs_are_told_apart
            a_job_that_can_never_run_is_refused
            usage_is_measured
            each_index_of_a_job_array_runs_once_with_its_own_logs
            a_failed_task_stops_no_other_and_the_job_ends_as_the_first_of_them
            each_task_has_the_time_limit_for_itself
            no_more_tasks_run_at_once_than_asked_for
            a_cancelled_job_array_ends_the_task_that_runs_and_begins_no_other
            a_job_array_cancelled_before_its_submission_never_runs
            a_new_engine_finds_a_running_job_array
            a_job_sees_the_accelerators_it_asked_for_and_no_others
            accelerators_are_given_by_their_type
            a_job_over_several_nodes_runs_once_on_each_or_is_objected_to
            a_suspended_job_makes_no_progress_and_goes_on_where_it_was
            a_job_can_be_suspended_again_and_again
            a_suspended_job_that_is_cancelled_ends_without_going_on
            a_job_suspended_before_its_submission_begins_once_resumed
            a_job_suspended_before_its_submission_and_cancelled_never_runs
            a_suspension_outlives_the_engine
            a_suspended_job_array_begins_no_further_task
            suspending_a_finished_job_changes_nothing
            a_job_that_saves_its_work_goes_on_where_it_was_and_nothing_is_counted_twice
            one_that_ignores_the_notice_is_killed_when_its_time_is_over
            one_that_comes_to_its_end_in_time_is_done
            one_given_notice_before_it_began_never_begins
            a_job_array_given_notice_begins_no_further_task
            one_that_stands_still_keeps_its_place_until_it_goes_on
            one_under_notice_can_be_cancelled
            a_notice_outlives_the_engine
            each_process_of_a_job_over_several_nodes_is_given_notice_once
            what_a_job_saved_goes_to_another_site_and_it_goes_on_from_there
            what_is_packed_is_what_the_last_attempt_left
            a_job_that_saved_nothing_is_packed_to_none
            what_is_too_much_to_be_packed_is_said
            a_job_that_comes_back_goes_on_from_what_it_came_with
            an_archive_that_does_not_read_is_refused_and_says_why
            options_and_images_that_the_site_does_not_know_are_objected_to
        }
    };
}
use conforms;

/// An id nobody used before.
fn new_id() -> RunId {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut random = [0; 10];
    random[..2].copy_from_slice(&std::process::id().to_be_bytes()[2..]);
    random[2..].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    JobId::new(u64::try_from(now.as_millis()).unwrap(), random).into()
}

/// A number of seconds to sleep for, by which the process that does is known from all others on the machine.
fn new_mark() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("4711{:07}{:03}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A small job that runs a shell script.
fn shell(script: &str) -> EngineJob {
    EngineJob {
        id: new_id(),
        owner: owner(),
        name: "suite".to_owned(),
        image: "host".to_owned(),
        shape: Shape::default(),
        site_options: BTreeMap::new(),
        command: ["sh", "-c", script].map(ToOwned::to_owned).to_vec(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        cpu_cores: 1,
        memory_bytes: 256 << 20,
        gpus: 0,
        time_limit_s: 30,
        network: false,
        checkpoint: false,
        saved: None,
        environment: Vec::new(),
    }
}

/// For whom the suite's jobs run.
fn owner() -> Owner {
    Owner {
        member: "ca".parse().unwrap(),
        project: "digits".parse().unwrap(),
        researcher: "ada".parse().unwrap(),
    }
}

/// What the suite's jobs fit into, on whatever machine.
fn capacity() -> Capacity {
    Capacity { cpu_cores: 64, memory_bytes: 1 << 40, gpus: [("a100".to_owned(), 2)].into() }
}

/// Looks until `seen` answers, or fails.
async fn until<T>(engine: &dyn Engine, id: RunId, seen: impl Fn(&Observation) -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        let observation = engine.observe(id).await.unwrap();
        if let Some(answer) = seen(&observation) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long; the job is {observation:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn finished(engine: &dyn Engine, id: RunId) -> Outcome {
    let outcome = |observation: &Observation| match observation {
        Observation::Finished(outcome) => Some(outcome.clone()),
        Observation::Unknown | Observation::Pending { .. } | Observation::Running { .. } => None,
    };
    until(engine, id, outcome).await
}

/// Submits a job and waits for its end.
async fn run(engine: &dyn Engine, job: &EngineJob) -> Outcome {
    engine.submit(job).await.unwrap();
    finished(engine, job.id).await
}

/// A whole stream as text, as far as it is there.
async fn text(engine: &dyn Engine, id: RunId, stream: Stream) -> String {
    task_text(engine, id, 0, stream).await
}

/// The same of one task of a job array.
async fn task_text(engine: &dyn Engine, id: RunId, index: u32, stream: Stream) -> String {
    let mut bytes = Vec::new();
    loop {
        let chunk = engine.logs(id, index, stream, bytes.len() as u64, LOG_CHUNK_BYTES_MAX).await.unwrap();
        let nothing_new = chunk.bytes.is_empty();
        bytes.extend(chunk.bytes);
        if chunk.end || nothing_new {
            return String::from_utf8(bytes).unwrap();
        }
    }
}

async fn stdout(engine: &dyn Engine, id: RunId) -> String {
    text(engine, id, Stream::Stdout).await
}

/// Waits until the job has written `word`.
async fn said(engine: &dyn Engine, id: RunId, word: &str) {
    task_said(engine, id, 0, word).await;
}

/// Waits until one task of the job array has written `word`.
async fn task_said(engine: &dyn Engine, id: RunId, index: u32, word: &str) {
    let begun = Instant::now();
    while !task_text(engine, id, index, Stream::Stdout).await.contains(word) {
        assert!(begun.elapsed() < PATIENCE, "the job never said `{word}`");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The living processes whose command line holds `mark`.
fn processes_with(mark: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let carries = |pid: &u32| {
        let text = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(mark)
    };
    pids.filter(carries).collect()
}

fn code(outcome: &Outcome) -> i32 {
    match outcome.exit {
        Exit::Code(code) => code,
        ref other => panic!("expected an exit code, got {other:?}"),
    }
}
