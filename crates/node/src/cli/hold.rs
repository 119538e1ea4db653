// SPDX-License-Identifier: Apache-2.0
//! `sta hold`: the jobs of a host that stand still for a gate or an order to stop, and the decision of a named person.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;
use sta_protocol::ids::DecisionId;

use super::{
    failure::{Failure, Trying},
    print::{Style, part},
    profile::Who,
};
use crate::http::documents::{GateHoldDocument, GateHoldList, HoldDecisionRequest};

/// What can be done with holds.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum HoldCommand {
    /// List the jobs that stand still, and whom each waits for
    List {
        #[command(flatten)]
        who: Who,
        /// Those that are over too
        #[arg(long)]
        all: bool,
    },
    /// Let a held job go on, in the capacity that the rules ask for
    Release(DecideArgs),
    /// End a held job
    Deny(DecideArgs),
}

/// What a decision is told.
#[derive(Debug, Clone, Args)]
pub(super) struct DecideArgs {
    #[command(flatten)]
    who: Who,
    /// The hold's id, as `sta hold list` shows it
    hold: DecisionId,
    /// Why, in words; it goes into the audit log
    #[arg(long)]
    reason: String,
}

/// Does it.
///
/// # Errors
/// The node does not answer, or the asker is not one of those whom the hold waits for.
pub(super) async fn run(command: &HoldCommand, style: Style) -> Result<(), Failure> {
    match command {
        HoldCommand::List { who, all } => list(who, *all, style).await,
        HoldCommand::Release(args) => decide(args, "release", style).await,
        HoldCommand::Deny(args) => decide(args, "deny", style).await,
    }
}

async fn list(who: &Who, all: bool, style: Style) -> Result<(), Failure> {
    let path = if all { "/v1/holds?all=true" } else { "/v1/holds" };
    let answer = who.client()?.ask(Method::GET, path, None).await?;
    let holds: GateHoldList = part(&answer, "list of holds")?;
    style.answer(&answer, || {
        if holds.holds.is_empty() {
            return "Nothing is held.".to_owned();
        }
        holds.holds.iter().map(told).collect::<Vec<_>>().join("\n\n")
    });
    Ok(())
}

async fn decide(args: &DecideArgs, what: &str, style: Style) -> Result<(), Failure> {
    let request = HoldDecisionRequest { reason: args.reason.clone() };
    let request: Value = serde_json::to_value(request).trying_to("write the request")?;
    let path = format!("/v1/holds/{}/{what}", args.hold);
    let answer = args.who.client()?.ask(Method::POST, &path, Some(&request)).await?;
    let hold: GateHoldDocument = part(&answer, "hold")?;
    style.answer(&answer, || match hold.state.as_str() {
        "released" => format!("Released: job {} goes on where it stood.", hold.job),
        "denied" => format!("Denied: job {} ends.", hold.job),
        _ => format!("Noted. The hold still waits for: {}.", hold.awaits.join(", ")),
    });
    Ok(())
}

/// A hold in a few lines.
fn told(hold: &GateHoldDocument) -> String {
    let awaits = match hold.verdict.as_str() {
        _ if hold.state != "open" => String::new(),
        "HOLD" => format!("; waits for: {}", hold.awaits.join(", ")),
        _ if hold.code.starts_with("incident/") => {
            let incident = hold.code.trim_start_matches("incident/");
            format!("; goes on when the incident is closed: sta incident show {incident}")
        }
        "SUSPEND" => "; goes on when the order to stop is lifted".to_owned(),
        _ => "; nobody can release it".to_owned(),
    };
    let mut lines = vec![
        format!("{}  {}  job {}{awaits}", hold.id, hold.state, hold.job),
        format!("  since {}, by {}", hold.opened_at, hold.code),
    ];
    for reason in &hold.reasons {
        lines.push(format!("  {}: {}", reason.rule, reason.text));
        lines.push(format!("    law     {}\n    change  {}", reason.source, reason.advice));
    }
    for decision in &hold.decisions {
        lines
            .push(format!("  {} as {} at {}: {}", decision.by, decision.kinds, decision.at, decision.reason));
    }
    lines.join("\n")
}
