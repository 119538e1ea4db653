// SPDX-License-Identifier: Apache-2.0
//! `sta jobs` and `sta job`: where jobs are, and how one of them ended.

use std::time::{Duration, Instant};

use clap::Args;
use sta_protocol::{federation, ids::JobId};

use super::{
    client::Client,
    failure::{Exit, Failure},
    print::{self, Style},
    profile::Who,
};
use crate::{
    http::documents::{JobDocument, JobList, OutputDocument},
    store::jobs::HomeState,
};

/// The shortest and the longest time between two looks at a job, in milliseconds.
pub(super) const POLL_MS: (u64, u64) = (200, 2000);
/// How long a node that is followed may be away.
const AWAY_MAX: Duration = Duration::from_secs(120);

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
    rows.extend(job.exit.as_ref().map(|exit| ("exit", exit_text(exit))));
    rows.extend(job.price_micro.map(|price| ("price", print::decimal(price))));
    rows.extend(job.co2_ug.map(|co2| ("CO2", print::grams(co2))));
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
    if !job.refusals.is_empty() {
        text += &format!("\n{} reason(s); the whole dossier: sta why {}\n", job.refusals.len(), job.id);
        for refusal in &job.refusals {
            text += &print::refusal_document(style.language, refusal);
        }
    }
    text
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

fn usage_text(usage: &federation::Usage) -> String {
    let seconds = |ms: u64| format!("{}.{:03} s", ms / 1000, ms % 1000);
    format!(
        "{} wall, {} processor, {} memory at most",
        seconds(usage.wall_ms),
        seconds(usage.cpu_ms),
        print::size(usage.memory_bytes_peak)
    )
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
    }
}

/// Whether nothing more can happen to a job in this state. A state that we do not know may go on.
pub(super) fn is_final(state: &str) -> bool {
    HomeState::ALL.into_iter().any(|known| known.as_str() == state && known.is_final())
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
