// SPDX-License-Identifier: Apache-2.0
//! `sta stop send`, `status`, `lift` and `proof`: an order on its way to every member, and what the sites answered.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use http::Method;
use jiff::Timestamp;
use serde_json::Value;
use sta_protocol::{
    digest::Sha256Digest,
    ids::StopOrderId,
    stop_lift::{SignedStopLift, StopLift},
};

use super::{
    super::{
        failure::{Exit, Failure, Trying},
        print::{Style, part},
        profile::Who,
        read::text_of,
    },
    read,
};
use crate::http::documents::StopOrderDocument;

/// What `sta stop send` is told.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct SendArgs {
    #[command(flatten)]
    who: Who,
    /// The signed order, or the signed lifting of one
    file: PathBuf,
}

/// Which order.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct OrderOf {
    #[command(flatten)]
    who: Who,
    /// The order's id
    order: StopOrderId,
}

/// What `sta stop proof` is told.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct ProofArgs {
    #[command(flatten)]
    of: OrderOf,
    /// The proof to write
    #[arg(long)]
    out: PathBuf,
}

/// What `sta stop lift` is told.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct LiftArgs {
    /// The order, as it was signed
    file: PathBuf,
    /// Why, in words
    #[arg(long)]
    reason: String,
    /// The lifting to write
    #[arg(long)]
    out: PathBuf,
}

/// Sends an order, or the lifting of one, to the member's node.
///
/// # Errors
/// The node does not answer, or too few have signed.
pub(super) async fn send(args: &SendArgs, style: Style) -> Result<(), Failure> {
    let doing = format!("send the order `{}`", args.file.display());
    let client = args.who.client()?;
    let answer = match lifting(&args.file)? {
        Some(lift) => {
            let body: Value = serde_json::to_value(&lift).trying_to(&doing)?;
            client.ask(Method::POST, "/v1/stop-lifts", Some(&body)).await?
        }
        None => {
            let body: Value = serde_json::to_value(read(&args.file, &doing)?).trying_to(&doing)?;
            client.ask(Method::POST, "/v1/stop-orders", Some(&body)).await?
        }
    };
    let order: StopOrderDocument = part(&answer, "order")?;
    style.answer(&answer, || told(&order));
    Ok(())
}

/// Shows an order and the sites' answers.
///
/// # Errors
/// The node does not answer, or does not know the order.
pub(super) async fn status(args: &OrderOf, style: Style) -> Result<(), Failure> {
    let answer =
        args.who.client()?.ask(Method::GET, &format!("/v1/stop-orders/{}", args.order), None).await?;
    let order: StopOrderDocument = part(&answer, "order")?;
    style.answer(&answer, || told(&order));
    Ok(())
}

/// Writes the proof that what the node knows last of an order is in its witnessed log.
///
/// # Errors
/// The node does not answer, no witness has seen it yet, or the file cannot be written.
pub(super) async fn proof(args: &ProofArgs, style: Style) -> Result<(), Failure> {
    let path = format!("/v1/stop-orders/{}/proof", args.of.order);
    let text = args.of.who.client()?.text(&path).await?;
    fs::write(&args.out, text).trying_to(format!("write `{}`", args.out.display()))?;
    style.answer(&serde_json::json!({"file": args.out}), || {
        format!(
            "Written to {0}; anybody checks it with the treaty: sta verify --treaty TREATY {0}",
            args.out.display()
        )
    });
    Ok(())
}

/// Writes the lifting of an order, which nobody has signed yet.
///
/// # Errors
/// The order does not read, or the file cannot be written.
pub(super) fn lift(args: &LiftArgs, style: Style) -> Result<(), Failure> {
    let doing = format!("lift the order `{}`", args.file.display());
    let signed = read(&args.file, &doing)?;
    let order = signed.peek_unverified().trying_to(&doing)?;
    let digest = signed.payload_sha256().trying_to(&doing)?;
    let lift = StopLift {
        version: 1,
        lifts: order.order,
        order_digest: digest,
        member: order.member,
        reason: args.reason.clone(),
        lifted_at: Timestamp::now(),
    };
    let signed = SignedStopLift::new(&lift).trying_to(&doing).map_err(|failure| failure.exit(Exit::Usage))?;
    write(&args.out, &signed)?;
    style.answer(&serde_json::json!({"file": args.out, "lift": lift}), || {
        let out = args.out.display();
        format!("Lifting of order {} written to {out}. It lifts nothing until enough people have signed it: sta stop sign --key KEY {out}", lift.lifts)
    });
    Ok(())
}

/// The lifting in a file, if that is what it holds.
///
/// # Errors
/// The file cannot be read, or is larger than any order.
pub(super) fn lifting(file: &Path) -> Result<Option<SignedStopLift>, Failure> {
    let text = text_of(file, &format!("read `{}`", file.display()))?;
    let found: Option<SignedStopLift> = serde_json::from_str(&text).ok();
    Ok(found.filter(|lift| lift.peek_unverified().is_ok()))
}

/// Writes a lifting.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(file: &Path, signed: &SignedStopLift) -> Result<(), Failure> {
    let doing = format!("write `{}`", file.display());
    let text = serde_json::to_string_pretty(signed).trying_to(&doing)?;
    fs::write(file, text + "\n").trying_to(doing)
}

fn told(order: &StopOrderDocument) -> String {
    let digest: Sha256Digest = order.sha256;
    let mut lines = vec![
        format!("Order {} of {}: {}", order.id, order.member, order.reason),
        format!("  SHA-256 {digest}, given {}, here since {}", order.issued_at, order.received_at),
    ];
    if let Some(lifted_at) = order.lifted_at {
        lines.push(format!("  lifted at {lifted_at}"));
    }
    for answer in &order.answers {
        lines.push(format!(
            "  {} ({}) answered: {} stopped, all of it at {}",
            answer.site,
            answer.member,
            answer.stopped.len(),
            answer.completed_at
        ));
        for stopped in &answer.stopped {
            let text = |name: &str| stopped[name].as_str().unwrap_or_default().to_owned();
            let state =
                stopped["state"]["sha256"].as_str().map(|sha256| format!(", state kept: SHA-256 {sha256}"));
            lines.push(format!(
                "    job {} at {}{}",
                text("job"),
                text("stopped_at"),
                state.unwrap_or_default()
            ));
        }
    }
    if !order.unanswered.is_empty() {
        let sites: Vec<&str> = order.unanswered.iter().map(sta_protocol::ids::SiteId::as_str).collect();
        lines.push(format!("  not answered yet: {}; due by {}", sites.join(", "), order.acknowledge_by));
    }
    lines.join("\n")
}
