// SPDX-License-Identifier: Apache-2.0
//! `sta jobs` and `sta job`: where jobs are, and how one of them ended.

use std::time::{Duration, Instant};

use clap::Args;
use sta_protocol::{
    federation::{self, Hold, TasksEnd, UsageSource},
    ids::JobId,
    job::Shape,
};

use super::{
    client::Client,
    failure::{Exit, Failure},
    print::{self, Style},
    profile::Who,
};
use crate::{
    http::documents::{AttemptDocument, JobDocument, JobList, OutputDocument},
    store::jobs::HomeState,
};

/// The shortest and the longest time between two looks at a job, in milliseconds.
pub(super) const POLL_MS: (u64, u64) = (200, 2000);
/// How long a node that is followed may be away.
const AWAY_MAX: Duration = Duration::from_secs(120);

/// How many failed tasks of a job array are named.
const FAILURES_SHOWN: usize = 10;

/// What `sta jobs` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct JobsArgs {
    #[command(flatten)]
    who: Who,
    /// Everybody's jobs, as operator or auditor
    #[arg(long)]
    all: bool,
    /// How many, newest first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Only jobs submitted before this one
    #[arg(long, value_name = "JOB")]
    before: Option<JobId>,
}

/// What `sta job` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct JobArgs {
    #[command(flatten)]
    who: Who,
    /// The job's id
    job: JobId,
    /// Follow it to its end
    #[arg(long)]
    wait: bool,
}

/// Lists jobs.
///
/// # Errors
/// The node does not answer, or says no.
pub(super) async fn list(args: &JobsArgs, style: Style) -> Result<(), Failure> {
    let before = args.before.map(|job| format!("&before={job}")).unwrap_or_default();
    let path = format!("/v1/jobs?limit={}&all={}{before}", args.limit, args.all);
    let answer = args.who.client()?.get(&path).await?;
    let list: JobList = print::part(&answer, "the jobs")?;
    style.answer(&answer, || table(&list));
    Ok(())
}

fn table(list: &JobList) -> String {
    let row = |job: &JobDocument| {
        let place = job
            .site
            .as_ref()
            .zip(job.host.as_ref())
            .map_or_else(|| "-".to_owned(), |(site, host)| format!("{site} ({host})"));
        let price = job.price_micro.map_or_else(|| "-".to_owned(), print::decimal);
        let submitted = job.submitted_at.strftime("%Y-%m-%d %H:%M:%S").to_string();
        [job.id.to_string(), job.name.clone(), job.state.clone(), place, submitted, price]
    };
    let table = print::table(
        ["job", "name", "state", "site", "submitted (UTC)", ">price"],
        list.jobs.iter().map(row),
    );
    list.next.map_or_else(|| table.clone(), |next| format!("{table}\nMore: sta jobs --before {next}"))
}

/// Shows a job.
///
/// # Errors
/// The node does not answer, or says no; with `--wait`, it stays away.
pub(super) async fn show(args: &JobArgs, style: Style) -> Result<(), Failure> {
    let client = args.who.client()?;
    if args.wait {
        follow(&client, args.job).await?;
    }
    let answer = client.get(&format!("/v1/jobs/{}", args.job)).await?;
    let job: JobDocument = print::part(&answer, "the job")?;
    style.answer(&answer, || text(&job, style));
    Ok(())
}

/// A job as people read it.
pub(super) fn text(job: &JobDocument, style: Style) -> String {
    let time = |time: Option<jiff::Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let place = job
        .site
        .as_ref()
        .zip(job.host.as_ref())
        .map_or_else(|| "-".to_owned(), |(site, host)| format!("{site}, of {host}"));
    let mut rows = vec![
        ("job", job.id.to_string()),
        ("name", job.name.clone()),
        ("state", job.state.clone()),
        ("submitted at", job.home.to_string()),
        ("runs at", place),
        ("submitted", job.submitted_at.to_string()),
        ("started", time(job.started_at)),
        ("ended", time(job.ended_at)),
    ];
    rows.extend(job.waiting_for.clone().map(|what| ("waits for", what)));
    rows.extend(job.holds.iter().map(|hold| ("held", hold_text(hold))));
    if job.attempt > 1 {
        rows.push(("attempt", job.attempt.to_string()));
    }
    rows.extend(job.exit.as_ref().map(|exit| ("exit", exit_text(exit))));
    rows.extend(job.price_micro.map(|price| ("price", print::decimal(price))));
    rows.extend(job.co2_ug.map(|co2| ("CO2", print::grams(co2))));
    rows.extend(job.shape.as_ref().map(|shape| ("asks for", shape_text(shape))));
    rows.extend(job.tasks.as_ref().map(|tasks| ("tasks", tasks_text(tasks))));
    rows.extend(job.usage.map(|usage| ("used", usage_text(&usage))));
    if !job.limits_enforced.is_empty() {
        rows.push(("limits held", job.limits_enforced.join(", ")));
    }
    if !job.outputs_missing.is_empty() {
        rows.push(("not left", job.outputs_missing.join(", ")));
    }
    let mut text = print::pairs(&rows);
    if !job.outputs.is_empty() {
        text += &format!(
            "\n{}\n",
            print::table(["output", "class", ">size", "where"], job.outputs.iter().map(output_row))
        );
    }
    if job.attempts.len() > 1 || job.attempt > 1 {
        let attempts = job.attempts.iter().map(attempt_row);
        text += &format!("\n{}\n", print::table([">attempt", "site", "ended", "how"], attempts));
    }
    if !job.refusals.is_empty() {
        text += &format!("\n{} reason(s); the whole dossier: sta why {}\n", job.refusals.len(), job.id);
        for refusal in &job.refusals {
            text += &print::refusal_document(style.language, refusal);
        }
    }
    text
}

fn attempt_row(attempt: &AttemptDocument) -> [String; 4] {
    let (number, ended_at) = (attempt.attempt.to_string(), attempt.ended_at.to_string());
    [number, attempt.site.to_string(), ended_at, exit_text(&attempt.exit)]
}

fn output_row(output: &OutputDocument) -> [String; 4] {
    let rules = || output.held_by.iter().map(|refusal| refusal.rule.clone()).collect::<Vec<_>>().join(", ");
    let place = match (output.held, output.here) {
        (true, _) => format!("held at the host by {}", rules()),
        (false, true) => "at home".to_owned(),
        (false, false) => "at the host, may go home".to_owned(),
    };
    [output.name.clone(), output.class.to_string(), print::size(output.bytes), place]
}

/// What a job used, and who measured it where that was not the site's own supervisor.
fn usage_text(usage: &federation::Usage) -> String {
    let seconds = |ms: u64| format!("{}.{:03} s", ms / 1000, ms % 1000);
    let sources = &usage.sources;
    let figure = |name: &str, value: String, source: UsageSource| match source {
        UsageSource::Supervisor => format!("{value} {name}"),
        UsageSource::JobStamps => format!("{value} {name} by the job's stamps"),
        UsageSource::Scheduler => format!("{value} {name} by the site's scheduler"),
        UsageSource::NotMeasured => format!("{name} not measured"),
    };
    [
        figure("wall", seconds(usage.wall_ms), sources.wall),
        figure("processor", seconds(usage.cpu_ms), sources.cpu),
        figure("memory at most", print::size(usage.memory_bytes_peak), sources.memory),
    ]
    .join(", ")
}

/// A shape as people say it, as far as it is more than one process on one node.
fn shape_text(shape: &Shape) -> String {
    let Shape { nodes, tasks, count, parallel, gpu_type } = shape;
    let mut parts = Vec::new();
    if *nodes > 1 || *tasks > 1 {
        parts.push(format!("{nodes} node(s), {tasks} process(es)"));
    }
    if *count > 1 {
        parts.push(format!("{count} indexed tasks, {parallel} at once"));
    }
    parts.extend(gpu_type.iter().map(|name| format!("accelerators of type {name}")));
    parts.join("; ")
}

/// How the tasks of a job array ended, with the first that failed.
fn tasks_text(tasks: &TasksEnd) -> String {
    let failed = tasks.count.saturating_sub(tasks.completed);
    let mut text = format!("{} of {} completed", tasks.completed, tasks.count);
    if failed > 0 {
        let named = tasks.failed.iter().take(FAILURES_SHOWN);
        let named: Vec<_> = named.map(|task| format!("{} ({})", task.index, exit_text(&task.exit))).collect();
        let more = (failed as usize).saturating_sub(named.len());
        text += &format!("; failed: {}", named.join(", "));
        if more > 0 {
            text += &format!(" and {more} more");
        }
    }
    text
}

/// How a job ended, in words.
fn exit_text(exit: &federation::Exit) -> String {
    match exit {
        federation::Exit::Code(code) => format!("code {code}"),
        federation::Exit::Signal(signal) => format!("signal {signal}"),
        federation::Exit::TimeLimit => "passed its time limit".to_owned(),
        federation::Exit::MemoryLimit => "passed its memory limit".to_owned(),
        federation::Exit::Cancelled => "cancelled".to_owned(),
        federation::Exit::SiteFault(problem) => format!("the site failed it, which is not paid: {problem}"),
        federation::Exit::Reclaimed => {
            "the site's owner needed its place; it goes on from what it saved, and no attempt is used up"
                .to_owned()
        }
    }
}

/// Whether nothing more can happen to a job in this state. A state that we do not know may go on.
pub(super) fn is_final(state: &str) -> bool {
    HomeState::ALL.into_iter().any(|known| known.as_str() == state && known.is_final())
}

/// Why and how long a job is or was suspended.
fn hold_text(hold: &Hold) -> String {
    let stands = match (hold.confirmed_at, hold.released_at) {
        (Some(at), _) => format!(", stands still since {at}"),
        (None, Some(_)) => String::new(),
        (None, None) => ", not yet seen to stand still".to_owned(),
    };
    let released = match (&hold.released_at, &hold.released_by) {
        (Some(at), Some(by)) => format!(", released {at} by {by}"),
        (Some(at), None) => format!(", released {at}"),
        (None, _) => String::new(),
    };
    format!("since {} because of {}{stands}{released}", hold.since, hold.reason)
}

/// Follows a job to its end and says each new state on standard error.
///
/// # Errors
/// The node says no, or is away for longer than [`AWAY_MAX`]. The job goes on all the same.
pub(super) async fn follow(client: &Client, id: JobId) -> Result<JobDocument, Failure> {
    let (mut pause, longest) = POLL_MS;
    let mut last = String::new();
    let mut heard = Instant::now();
    loop {
        match client.get(&format!("/v1/jobs/{id}")).await {
            Ok(answer) => {
                heard = Instant::now();
                let job: JobDocument = print::part(&answer, "the job")?;
                if is_final(&job.state) {
                    return Ok(job);
                }
                let now = format!(
                    "{}{}",
                    job.state,
                    job.waiting_for.as_ref().map(|what| format!(", waits for {what}")).unwrap_or_default()
                );
                if now != last {
                    print::progress(format!("{id}: {now}"));
                    (last, pause) = (now, POLL_MS.0);
                }
            }
            Err(failure) if failure.exit == Exit::Unreachable && heard.elapsed() < AWAY_MAX => {}
            Err(failure) => {
                return Err(failure.mend(format!("The job goes on; look again with `sta job {id} --wait`.")));
            }
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = (pause * 3 / 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use sta_protocol::federation::{Exit, TaskFailure, Usage, UsageSources};

    use super::*;

    #[test]
    fn a_shape_is_told_as_far_as_it_is_more_than_plain() {
        let array = Shape { count: 100, parallel: 10, ..Shape::default() };
        assert_eq!(shape_text(&array), "100 indexed tasks, 10 at once");
        let wide = Shape { nodes: 2, tasks: 8, gpu_type: Some("gh200".to_owned()), ..Shape::default() };
        assert_eq!(shape_text(&wide), "2 node(s), 8 process(es); accelerators of type gh200");
    }

    #[test]
    fn the_first_failed_tasks_are_named_and_the_others_counted() {
        let failure = |index| TaskFailure { index, exit: Exit::Code(1) };
        let tasks = TasksEnd { count: 5, completed: 5, failed: Vec::new() };
        assert_eq!(tasks_text(&tasks), "5 of 5 completed");
        let two = vec![failure(1), TaskFailure { index: 3, exit: Exit::TimeLimit }];
        let tasks = TasksEnd { count: 5, completed: 3, failed: two };
        assert_eq!(tasks_text(&tasks), "3 of 5 completed; failed: 1 (code 1), 3 (passed its time limit)");
        let tasks = TasksEnd { count: 300, completed: 0, failed: (0..100).map(failure).collect() };
        assert!(tasks_text(&tasks).ends_with(", 9 (code 1) and 290 more"), "{}", tasks_text(&tasks));
    }

    #[test]
    fn who_measured_is_said_where_it_was_not_the_supervisor() {
        let sources = UsageSources {
            wall: UsageSource::JobStamps,
            cpu: UsageSource::Scheduler,
            memory: UsageSource::NotMeasured,
        };
        let usage = Usage { wall_ms: 12_300, cpu_ms: 500, memory_bytes_peak: 1 << 20, sources };
        assert_eq!(
            usage_text(&usage),
            "12.300 s wall by the job's stamps, 0.500 s processor by the site's scheduler, memory at most not measured"
        );
        let own = Usage { sources: UsageSources::default(), ..usage };
        assert_eq!(usage_text(&own), "12.300 s wall, 0.500 s processor, 1 MiB memory at most");
    }
}
