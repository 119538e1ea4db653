// SPDX-License-Identifier: Apache-2.0
//! `sta passport`: a researcher's passport, and the visas that stewards grant.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use sta_protocol::{ids::DatasetId, keys::Thumbprint, subject::Subject};

use super::{
    client::Client,
    failure::{Exit, Failure, Trying},
    print::{self, Style},
    profile::{Profile, Who},
    read::text_of,
};
use crate::http::documents::{
    NodeDocument, PassportDocument, PassportRequest, VisaDocument, VisaKind, VisaRequest,
};

/// The longest visa file that is read, in bytes.
const VISA_BYTES_MAX: usize = 64 << 10;

/// What can be done with passports.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum PassportCommand {
    /// Fetch a passport for your key and keep it in your profile; it is good for hours, not days
    Issue {
        /// Your profile directory
        #[arg(long, env = "STA_PROFILE", value_name = "DIR")]
        profile: Option<PathBuf>,
        /// A visa that another member granted you; may be repeated
        #[arg(long = "visa", value_name = "FILE")]
        visas: Vec<PathBuf>,
    },
    /// Grant a researcher of any member a visa for a dataset of yours, as a steward
    Grant(GrantArgs),
    /// Show the thumbprint of your key, which visas are bound to
    Holder {
        /// Your profile directory
        #[arg(long, env = "STA_PROFILE", value_name = "DIR")]
        profile: Option<PathBuf>,
    },
}

/// What `sta passport grant` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct GrantArgs {
    #[command(flatten)]
    who: Who,
    /// Whom it is for, such as ada@ca
    #[arg(long)]
    subject: Subject,
    /// The thumbprint of their key, as `sta passport holder` shows it
    #[arg(long, value_name = "THUMBPRINT", allow_hyphen_values = true)]
    holder: Thumbprint,
    /// The dataset, such as `de/hospital` or `hospital`
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Where to write the visa [default: standard output]
    #[arg(long, value_name = "visa.jwt")]
    out: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// A file cannot be read, or the node says no.
pub(super) async fn run(command: &PassportCommand, style: Style) -> Result<(), Failure> {
    match command {
        PassportCommand::Issue { profile, visas } => {
            let profile = Profile::open(profile.as_deref())?;
            let visas = visas.iter().map(|path| read_visa(path)).collect::<Result<Vec<_>, _>>()?;
            let file = issue(&profile, visas).await?;
            let subject = format!("{}@{}", profile.about.researcher, profile.about.member);
            style.answer(&json!({"subject": subject, "file": file}), || {
                format!("Passport of {subject} in {}.", file.display())
            });
        }
        PassportCommand::Grant(args) => {
            let visa = grant(args).await?;
            if let Some(out) = &args.out {
                fs::write(out, format!("{visa}\n")).trying_to(format!("write `{}`", out.display()))?;
            }
            style.answer(&json!({"visa": visa, "file": args.out}), || match &args.out {
                None => visa.clone(),
                Some(out) => format!(
                    "Visa of {} for {} in {}.\nThey use it with: sta passport issue --visa {}",
                    args.subject,
                    args.dataset,
                    out.display(),
                    out.display()
                ),
            });
        }
        PassportCommand::Holder { profile } => {
            let profile = Profile::open(profile.as_deref())?;
            let holder = profile.holder()?.public_key().thumbprint();
            style.answer(&json!({"holder": holder}), || holder.to_string());
        }
    }
    Ok(())
}

/// Fetches a passport and keeps it in the profile.
///
/// # Errors
/// The node says no, or the file cannot be written.
pub(super) async fn issue(profile: &Profile, visas: Vec<String>) -> Result<PathBuf, Failure> {
    let request = serde_json::to_value(PassportRequest { visas }).trying_to("write the request")?;
    let answer = profile.client()?.ask(Method::POST, "/v1/passports", Some(&request)).await?;
    let passport: PassportDocument = print::part(&answer, "the passport")?;
    profile.keep_passport(&passport.passport)
}

async fn grant(args: &GrantArgs) -> Result<String, Failure> {
    let client = args.who.client()?;
    let request = VisaRequest {
        subject: args.subject.clone(),
        holder: args.holder,
        kind: VisaKind::Dataset,
        dataset: Some(dataset_id(&client, &args.dataset).await?),
    };
    let request = serde_json::to_value(request).trying_to("write the request")?;
    let answer: Value = client.ask(Method::POST, "/v1/visas", Some(&request)).await?;
    print::part::<VisaDocument>(&answer, "the visa").map(|visa| visa.visa)
}

/// `hospital` at the node of `de` is `de/hospital`.
async fn dataset_id(client: &Client, name: &str) -> Result<DatasetId, Failure> {
    let doing = format!("grant the dataset `{name}`");
    let full = if name.contains('/') {
        name.to_owned()
    } else {
        let node: NodeDocument = print::part(&client.get("/v1/node").await?, "the node's description")?;
        format!("{}/{name}", node.member)
    };
    full.parse().trying_to(doing).map_err(|failure| failure.exit(Exit::Usage))
}

fn read_visa(path: &Path) -> Result<String, Failure> {
    let doing = format!("read the visa `{}`", path.display());
    let text = text_of(path, &doing)?;
    let visa = text.trim();
    if visa.is_empty() || visa.len() > VISA_BYTES_MAX {
        return Err(Failure::new(
            doing,
            format!("it has {} bytes; a visa has 1 to {VISA_BYTES_MAX}", visa.len()),
        )
        .exit(Exit::Usage));
    }
    Ok(visa.to_owned())
}
