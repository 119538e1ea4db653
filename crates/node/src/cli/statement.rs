// SPDX-License-Identifier: Apache-2.0
//! `sta statement`: what two members owe each other for a month, line by line, and whether both say the same.

use clap::Args;
use sta_protocol::{
    federation::{Statement, StatementLine},
    ids::MemberId,
};

use super::{
    client::segment,
    failure::Failure,
    print::{self, Style},
    profile::Who,
};
use crate::http::documents::StatementAnswer;

/// What `sta statement` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct StatementArgs {
    #[command(flatten)]
    who: Who,
    /// A calendar month in UTC, such as 2026-11
    period: String,
    /// The other member
    member: MemberId,
    /// Ask the other member whether it has the same
    #[arg(long)]
    compare: bool,
}

/// Does it.
///
/// # Errors
/// The node does not answer, or says no.
pub(super) async fn run(args: &StatementArgs, style: Style) -> Result<(), Failure> {
    let path = format!("/v1/statements/{}/{}?compare={}", segment(&args.period), args.member, args.compare);
    let answer = args.who.client()?.get(&path).await?;
    let statement: StatementAnswer = print::part(&answer, "the statement")?;
    style.answer(&answer, || text(&statement));
    Ok(())
}

fn text(answer: &StatementAnswer) -> String {
    let statement = &answer.statement;
    let row = |line: &StatementLine| {
        let way = format!("{} -> {}", line.home, line.host);
        [
            line.job.to_string(),
            way,
            line.site.to_string(),
            seconds(line.cpu_core_ms),
            seconds(line.gpu_ms),
            print::grams(line.co2_ug),
            print::decimal(line.price_micro),
        ]
    };
    let head = ["job", "way", "site", ">core s", ">gpu s", ">CO2", ">price"];
    let earned: String = statement
        .earned_micro
        .iter()
        .map(|(member, micro)| format!("{member} earned {} {}\n", print::decimal(*micro), statement.currency))
        .collect();
    let agreed = match answer.equal {
        Some(true) => "equal to the other member's, to the digit",
        Some(false) => "NOT what the other member has: compare the lines",
        None => "the other member was not asked: --compare asks it",
    };
    format!(
        "Statement of {} between {} and {}\n{}\n{earned}{}\ndigest {} ({agreed})",
        statement.period,
        statement.members[0],
        statement.members[1],
        print::table(head, statement.lines.iter().map(row)),
        net(statement),
        answer.digest,
    )
}

fn net(statement: &Statement) -> String {
    let [first, second] = &statement.members;
    let amount = format!("{} {}", print::decimal(statement.net_micro.saturating_abs()), statement.currency);
    match statement.net_micro.signum() {
        0 => "Nobody owes anything after netting.".to_owned(),
        1 => format!("{first} owes {second} {amount} after netting."),
        _ => format!("{second} owes {first} {amount} after netting."),
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
