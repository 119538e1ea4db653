// SPDX-License-Identifier: Apache-2.0
//! `sta logs`: what a job wrote, and with `-f` what it writes while it runs, across the border too.

use std::time::Duration;

use clap::{Args, ValueEnum};
use http::{HeaderMap, Method};
use serde_json::json;
use sta_protocol::ids::JobId;

use super::{
    client::Client,
    failure::{Exit, Failure},
    jobs::POLL_MS,
    print::{self, Style},
    profile::Who,
};

/// Says that the job is over and nothing follows.
const LOG_END: &str = "sta-log-end";
/// How often in a row the node may be away while a log is followed.
const AWAY_MAX: u32 = 60;

/// What `sta logs` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct LogsArgs {
    #[command(flatten)]
    who: Who,
    /// The job's id
    job: JobId,
    /// Go on until the job ends
    #[arg(short, long)]
    follow: bool,
    /// Which of the two streams
    #[arg(long, value_enum, default_value_t = StreamName::Stdout)]
    stream: StreamName,
    /// Of a job array, the index of the task
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    task: u32,
}

/// One of a job's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Does it.
///
/// # Errors
/// The node says no (the log of a job on held data stays at the host), or stays away.
pub(super) async fn run(args: &LogsArgs, style: Style) -> Result<(), Failure> {
    let client = args.who.client()?;
    let base = format!("/v1/jobs/{}/logs/{}?task={}", args.job, args.stream.as_str(), args.task);
    let (mut offset, mut pause, mut away) = (0u64, POLL_MS.0, 0);
    loop {
        let (bytes, end) = match chunk(&client, &base, offset).await {
            Err(failure) if args.follow && failure.exit == Exit::Unreachable && away < AWAY_MAX => {
                away += 1;
                (Vec::new(), false)
            }
            answered => {
                away = 0;
                answered?
            }
        };
        offset += bytes.len() as u64;
        show(args.stream, &bytes, style);
        match (end, bytes.is_empty(), args.follow) {
            (true, true, _) | (false, true, false) => return Ok(()),
            // The end is known, but this may not have been the last piece before it.
            (_, false, _) => pause = POLL_MS.0,
            (false, true, true) => {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                pause = (pause * 3 / 2).min(POLL_MS.1);
            }
        }
    }
}

async fn chunk(client: &Client, base: &str, offset: u64) -> Result<(Vec<u8>, bool), Failure> {
    let answer =
        client.send(Method::GET, &format!("{base}&offset={offset}"), HeaderMap::new(), Vec::new()).await?;
    let answer = answer.or_problem("read the job's log")?;
    let end = answer.headers.get(LOG_END).is_some_and(|value| value == "true");
    Ok((answer.body, end))
}

/// As it is for people; one JSON object a piece for programs.
fn show(stream: StreamName, bytes: &[u8], style: Style) {
    if bytes.is_empty() {
        return;
    }
    if style.json {
        print::line(json!({"stream": stream.as_str(), "text": String::from_utf8_lossy(bytes)}).to_string());
    } else {
        print::bytes(bytes);
    }
}
