// SPDX-License-Identifier: Apache-2.0
//! `sta stop`: orders to stop, which several people of one member sign, each with their own key, and their way to the nodes.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sta_protocol::{
    ids::{MemberId, StopOrderId},
    stop_order::{SignedStopOrder, StopAuthority, StopOrder, StopTarget},
};

use super::{
    failure::{Exit, Failure, Trying},
    print::Style,
    read::text_of,
    signers::signing_key,
    treaty::verified,
};
use crate::outside::{Chance as _, SystemChance};

mod sent;

/// How far clocks may differ, in seconds.
const SKEW_S: i64 = 5;

/// What can be done with orders to stop.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum StopCommand {
    /// Write an order that nobody has signed yet
    Order(OrderArgs),
    /// Add a person's signature to an order
    Sign {
        /// The order
        file: PathBuf,
        /// The person's private Ed25519 key: 32 bytes, mode 0600
        #[arg(long)]
        key: PathBuf,
    },
    /// Send a signed order, or the signed lifting of one, to your node, which brings it to every member
    Send(sent::SendArgs),
    /// Show an order and what every site has answered
    Status(sent::OrderOf),
    /// Write the proof that what your node knows last of an order is in its witnessed log
    Proof(sent::ProofArgs),
    /// Write the lifting of an order, to be signed as the order was
    Lift(sent::LiftArgs),
    /// Verify that enough of those whom the treaty names have signed an order, and that it is in its time
    Verify {
        /// The order
        file: PathBuf,
        /// The signed treaty
        #[arg(long, value_name = "treaty.jws.json")]
        treaty: PathBuf,
    },
}

/// What `sta stop order` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct OrderArgs {
    /// The member whose people give it
    #[arg(long)]
    member: MemberId,
    /// What is to stop: `job:ID`, `model:MEMBER/NAME` or `site:NAME`
    #[arg(long)]
    target: Target,
    /// Why, in words
    #[arg(long)]
    reason: String,
    /// After how many hours it lapses for sites that it has not reached
    #[arg(long, default_value_t = 24)]
    hours: u16,
    /// Within how many seconds every site must have stopped and said so
    #[arg(long, default_value_t = 300)]
    within_s: u32,
    /// The order to write
    #[arg(long)]
    out: PathBuf,
}

/// What is to stop, as it is written on the command line.
#[derive(Debug, Clone)]
struct Target(StopTarget);

impl FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let target = match text.split_once(':') {
            Some(("job", id)) => id.parse().map(StopTarget::Job),
            Some(("model", id)) => id.parse().map(StopTarget::Model),
            Some(("site", id)) => id.parse().map(StopTarget::Site),
            Some(_) | None => {
                return Err(format!("`{text}` is none of `job:ID`, `model:MEMBER/NAME` and `site:NAME`"));
            }
        };
        target.map(Self).map_err(|error| error.to_string())
    }
}

/// Does it.
///
/// # Errors
/// A file cannot be read or written, or the order does not hold.
pub(super) async fn run(command: &StopCommand, style: Style) -> Result<(), Failure> {
    match command {
        StopCommand::Order(args) => order(args, style),
        StopCommand::Sign { file, key } => sign(file, key, style),
        StopCommand::Send(args) => sent::send(args, style).await,
        StopCommand::Status(args) => sent::status(args, style).await,
        StopCommand::Proof(args) => sent::proof(args, style).await,
        StopCommand::Lift(args) => sent::lift(args, style),
        StopCommand::Verify { file, treaty } => verify(file, treaty, style),
    }
}

fn order(args: &OrderArgs, style: Style) -> Result<(), Failure> {
    let doing = "write the order to stop";
    let now = Timestamp::now();
    let mut random = [0; 10];
    SystemChance.fill(&mut random);
    let unix_ms = u64::try_from(now.as_millisecond()).trying_to(doing)?;
    let order = StopOrder {
        version: 1,
        order: StopOrderId::new(unix_ms, random),
        member: args.member.clone(),
        target: args.target.0.clone(),
        reason: args.reason.clone(),
        issued_at: now,
        expires_at: now + SignedDuration::from_hours(i64::from(args.hours)),
        acknowledge_within_s: args.within_s,
    };
    let signed =
        SignedStopOrder::new(&order).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))?;
    write(&args.out, &signed)?;
    style.answer(&json!({"file": args.out, "order": order}), || {
        let out = args.out.display();
        format!("Order {} written to {out}. It stops nothing until enough people have signed it: sta stop sign --key KEY {out}", order.order)
    });
    Ok(())
}

fn sign(file: &Path, key: &Path, style: Style) -> Result<(), Failure> {
    let doing = format!("sign the order `{}`", file.display());
    if let Some(mut lift) = sent::lifting(file)? {
        let key = signing_key(key, &doing)?;
        lift.sign(&key).trying_to(&doing)?;
        sent::write(file, &lift)?;
        let said = lift.peek_unverified().trying_to(&doing)?;
        style.answer(&json!({"file": file, "lift": said, "signer": key.key_id()}), || {
            format!("Signed the lifting of order {} as {}: {}", said.lifts, key.key_id(), said.reason)
        });
        return Ok(());
    }
    let mut signed = read(file, &doing)?;
    let order = signed.peek_unverified().trying_to(&doing)?;
    let key = signing_key(key, &doing)?;
    signed.sign(&key).trying_to(&doing)?;
    write(file, &signed)?;
    style.answer(&json!({"file": file, "order": order, "signer": key.key_id()}), || {
        format!("Signed order {} as {}: {}", order.order, key.key_id(), sentence(&order))
    });
    Ok(())
}

fn verify(file: &Path, treaty: &Path, style: Style) -> Result<(), Failure> {
    let doing = format!("verify the order `{}`", file.display());
    let unverified = |failure: Failure| failure.exit(Exit::Unverified);
    let signed = read(file, &doing)?;
    let treaty = verified(treaty)?;
    let member = signed.peek_unverified().trying_to(&doing)?.member;
    let authority = StopAuthority::of(&treaty, &member);
    let authority = authority
        .ok_or_else(|| unverified(Failure::new(&doing, format!("the treaty has no member {member}"))))?;
    let verified = signed.verify(&authority, Timestamp::now(), SKEW_S);
    let verified = verified.trying_to(doing).map_err(unverified)?;
    let document =
        json!({"order": verified.order(), "digest": verified.digest(), "signers": verified.signers()});
    style.answer(&document, || {
        let signers = verified.signers().len();
        format!(
            "Holds, signed by {signers} of {}: {}\nSites answer by {}. SHA-256 {}.",
            authority.keys.len(),
            sentence(verified.order()),
            verified.order().acknowledge_by(),
            verified.digest()
        )
    });
    Ok(())
}

fn sentence(order: &StopOrder) -> String {
    let target = match &order.target {
        StopTarget::Job(job) => format!("job {job}"),
        StopTarget::Model(model) => format!("everything on model {model}"),
        StopTarget::Site(site) => format!("everything at site {site}"),
    };
    format!("{} stops {target}, because: {}", order.member, order.reason)
}

fn read(file: &Path, doing: &str) -> Result<SignedStopOrder, Failure> {
    let text = text_of(file, doing)?;
    let signed: SignedStopOrder =
        serde_json::from_str(&text).trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))?;
    Ok(signed)
}

fn write(file: &Path, signed: &SignedStopOrder) -> Result<(), Failure> {
    let doing = format!("write `{}`", file.display());
    let text = serde_json::to_string_pretty(signed).trying_to(&doing)?;
    fs::write(file, text + "\n").trying_to(doing)
}
