// SPDX-License-Identifier: Apache-2.0
//! `sta gate`: puts a question to the node's gates, and shows what they said.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use http::Method;
use sta_protocol::ids::{DecisionId, JobId};

use super::{
    failure::{Exit, Failure, Trying},
    print::{self, Style},
    profile::Who,
    read::text_of,
};
use crate::http::documents::{GateDocument, GateList, GateReasonDocument};

/// What can be done at the gates.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum GateCommand {
    /// Ask: exit code 0 where it may go ahead, 4 where it is held or denied
    Ask {
        #[command(flatten)]
        who: Who,
        /// The question, as `POST /v1/gate` takes it: `gate`, `project`, `facts`, `weights`, `site`
        file: PathBuf,
    },
    /// List what the node's gates said about a job that it hosts, the newest first
    List {
        #[command(flatten)]
        who: Who,
        /// The job's id
        job: JobId,
    },
    /// Show an answer again
    Show {
        #[command(flatten)]
        who: Who,
        /// The decision's id
        decision: DecisionId,
    },
}

/// Does it.
///
/// # Errors
/// The file does not read, or the node says no to the question itself.
pub(super) async fn run(command: &GateCommand, style: Style) -> Result<ExitCode, Failure> {
    let answer = match command {
        GateCommand::Ask { who, file } => {
            let doing = format!("ask what `{}` asks", file.display());
            let text = text_of(file, &doing)?;
            let question =
                serde_json::from_str(&text).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))?;
            who.client()?.ask(Method::POST, "/v1/gate", Some(&question)).await?
        }
        GateCommand::List { who, job } => {
            let answer = who.client()?.get(&format!("/v1/hosted/{job}/gates")).await?;
            let list: GateList = print::part(&answer, "the gates' answers")?;
            style.answer(&answer, || list.decisions.iter().map(told).collect::<Vec<_>>().join("\n"));
            return Ok(ExitCode::SUCCESS);
        }
        GateCommand::Show { who, decision } => who.client()?.get(&format!("/v1/gate/{decision}")).await?,
    };
    let document: GateDocument = print::part(&answer, "the gate's answer")?;
    style.answer(&answer, || told(&document));
    let goes_ahead = matches!(document.verdict.as_str(), "ALLOW" | "ALLOW_WITH");
    let shown = matches!(command, GateCommand::Show { .. });
    Ok(if goes_ahead || shown { ExitCode::SUCCESS } else { ExitCode::from(Exit::NotAllowed as u8) })
}

/// An answer as people read it.
pub(super) fn told(document: &GateDocument) -> String {
    let about: Vec<String> = document.subject.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let mut text = format!(
        "{} {} for {} at {} (decision {})\n",
        document.verdict,
        document.gate,
        about.join(", "),
        document.at,
        document.decision
    );
    for reason in &document.reasons {
        text += &line(reason);
    }
    for (name, words) in [
        ("to do", &document.obligations),
        ("labelled", &document.labels),
        ("released by", &document.released_by),
    ] {
        if !words.is_empty() {
            text += &format!("  {name}: {}\n", words.join(", "));
        }
    }
    if let Some(guard) = &document.guardrail {
        let part = |name: &str| guard[name].as_str().unwrap_or("none").to_owned();
        text += &format!("  bound on harm {}: {}\n", part("bound"), part("because"));
    }
    for warning in &document.warnings {
        let because = warning.warns_because.as_deref().unwrap_or_default();
        text += &format!(
            "  warns only ({because}): {} ({}): {}\n",
            warning.rule, warning.source, warning.sentence
        );
    }
    if !document.assumed.is_empty() {
        let assumed: Vec<&str> = document.assumed.iter().map(String::as_str).collect();
        text += &format!("  nobody stated: {}\n", assumed.join(", "));
    }
    text
}

fn line(reason: &GateReasonDocument) -> String {
    let effects = reason.effects.join(", ");
    format!("  {} {effects} ({}): {}\n    {}\n", reason.rule, reason.source, reason.sentence, reason.advice)
}
