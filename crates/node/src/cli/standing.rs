// SPDX-License-Identifier: Apache-2.0
//! `sta standing`: what members gave each other, and whose jobs were later than they would have been alone.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;

use super::{
    failure::{Failure, Trying},
    print::{self, Style},
    profile::Who,
};
use crate::http::documents::{
    BalanceDocument, JobStandingDocument, MemberStandingDocument, StandingDocument,
};

/// What `sta standing` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct StandingArgs {
    #[command(flatten)]
    who: Who,
    /// Show the jobs that were counted too: with --json this is all that `sta replay standing` needs to come to every number again
    #[arg(long)]
    jobs: bool,
    /// Write the jobs that were counted to this file, as a table that `sta replay` reads
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The node does not answer, or says no; the table cannot be written.
pub(super) async fn run(args: &StandingArgs, style: Style) -> Result<(), Failure> {
    let path = format!("/v1/standing?jobs={}", args.jobs || args.trace.is_some());
    let answer = args.who.client()?.get(&path).await?;
    let standing: StandingDocument = print::part(&answer, "how members stand")?;
    if let Some(file) = &args.trace {
        let doing = format!("write the table `{}`", file.display());
        std::fs::write(file, trace(&standing)).trying_to(&doing)?;
    }
    style.answer(&answer, || if args.jobs { text(&standing) + &jobs(&standing) } else { text(&standing) });
    Ok(())
}

/// The jobs, in the order in which they came.
fn jobs(standing: &StandingDocument) -> String {
    let row = |job: &JobStandingDocument| {
        let moment = |at: Option<jiff::Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        [
            job.job.to_string(),
            job.home.to_string(),
            format!("{} {}", job.processors, job.kind),
            job.submitted_at.to_string(),
            moment(job.finished_at),
            moment(job.alone_finished_at),
            if job.is_late { "late".to_owned() } else { String::new() },
        ]
    };
    let head = ["job", "home", "has", "submitted", "finished", "finished alone", ""];
    format!("\n\n{}\n", print::table(head, in_order(standing).into_iter().map(row)))
}

fn in_order(standing: &StandingDocument) -> Vec<&JobStandingDocument> {
    let mut jobs: Vec<&JobStandingDocument> = standing.jobs.iter().collect();
    jobs.sort_by_key(|job| (job.submitted_at, job.job));
    jobs
}

fn text(standing: &StandingDocument) -> String {
    let head = ["member", ">given h", ">taken h", ">credits h", ">jobs", ">violations"];
    let row = |member: &MemberStandingDocument| {
        let late = member.violations.map_or_else(|| "-".to_owned(), |late| late.to_string());
        let hours = [member.given_ms, member.taken_ms, member.credits_ms].map(hours);
        let [given, taken, credits] = hours;
        [member.member.to_string(), given, taken, credits, member.jobs.to_string(), late]
    };
    let table = |balance: &BalanceDocument| {
        let table = print::table(head, balance.members.iter().map(row));
        format!("By hours of {}\n{table}\n", balance.processors)
    };
    let balances: Vec<String> = standing.balances.iter().map(table).collect();
    let mut text = format!("From {} to {}\n\n{}", standing.since, standing.until, balances.join("\n"));
    text += "\nA violation is a job that finished later than it would have at home alone, by more than the treaty allows: the target is 0.\nOf other members this node knows the jobs that it saw.";
    if standing.jobs_not_counted > 0 {
        let _ = write!(
            text,
            "\nNot counted: {} job(s) that ended before their times were kept.",
            standing.jobs_not_counted
        );
    }
    text
}

/// Processor-milliseconds as hours with one place, rounded down.
fn hours(ms: u64) -> String {
    let tenths = ms / 360_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The jobs as a table, in the order in which they came, in seconds since the first.
fn trace(standing: &StandingDocument) -> String {
    let jobs = in_order(standing);
    let first_s = jobs.first().map_or(0, |job| job.submitted_at.as_second());
    let since = |at: jiff::Timestamp| at.as_second() - first_s;
    let mut text =
        "job,submit_s,runtime_s,processors,estimate_s,kind,home,home_site,finish_s,alone_finish_s,late\n"
            .to_owned();
    for job in jobs {
        let later = |at: Option<jiff::Timestamp>| at.map(|at| since(at).to_string()).unwrap_or_default();
        let site = job.home_site.as_ref().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{site},{},{},{}",
            job.job,
            since(job.submitted_at),
            job.run_ms.div_ceil(1000),
            job.processors,
            job.estimate_ms.div_ceil(1000),
            job.kind,
            job.home,
            later(job.finished_at),
            later(job.alone_finished_at),
            job.is_late,
        );
    }
    text
}

/// When a job would have finished alone, beside when it did; nothing where nobody can say.
pub(super) fn alone_text(job: &JobStandingDocument) -> String {
    let (Some(site), Some(alone), Some(real)) = (&job.home_site, job.alone_finished_at, job.finished_at)
    else {
        return String::new();
    };
    let seconds = real.as_second() - alone.as_second();
    let compared = match seconds.signum() {
        0 => "at the same second".to_owned(),
        1 => format!("{} later", print::seconds(seconds.unsigned_abs())),
        _ => format!("{} earlier", print::seconds(seconds.unsigned_abs())),
    };
    let verdict = if job.is_late { ", which is more than the treaty allows" } else { "" };
    format!(
        "\nAlone on {site}, without other members, it would have finished at {alone}. It finished at {real}: {compared}{verdict}.\n"
    )
}
