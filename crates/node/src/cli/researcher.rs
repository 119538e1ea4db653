// SPDX-License-Identifier: Apache-2.0
//! `sta researcher add`: a person's profile directory with token and session key, and their entry at the node.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use http::Method;
use serde_json::json;
use sta_protocol::ids::ResearcherId;

use super::{
    failure::{Failure, Trying},
    print::Style,
    profile::{About, Profile, default_directory, operator, public_url},
};
use crate::{http::documents::ResearcherRequest, outside::SystemChance};

/// The operator of a node, by its directory.
#[derive(Debug, Clone, Args)]
pub(super) struct OperatorArgs {
    /// The node's own directory
    #[arg(long, env = "STA_DIR", value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// The node's address [default: where sta.toml says it listens]
    #[arg(long, env = "STA_NODE", value_name = "URL")]
    pub(super) node: Option<String>,
}

/// What can be done with researchers.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum ResearcherCommand {
    /// Add a researcher; again for a known one to change their roles
    Add(AddArgs),
}

/// What `sta researcher add` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// A pseudonym, such as `ada`; never a person's name
    id: ResearcherId,
    /// What they may do beyond their own jobs; may be repeated
    #[arg(long = "role", value_parser = PossibleValuesParser::new(["operator", "steward", "auditor", "safety", "legal"]))]
    roles: Vec<String>,
    /// The profile directory to make [default: ~/.config/sta/MEMBER-ID]
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The profile cannot be made, or the node does not take it.
pub(super) async fn run(command: &ResearcherCommand, style: Style) -> Result<(), Failure> {
    let ResearcherCommand::Add(args) = command;
    let profile = add(args).await?;
    let holder = profile.holder()?.public_key().thumbprint();
    let document = json!({"researcher": args.id, "member": profile.about.member, "profile": profile.directory, "holder": holder, "roles": args.roles});
    style.answer(&document, || {
        let (id, directory) = (&args.id, profile.directory.display());
        format!(
            "{id} may use the node of {}; profile in {directory} (token and session key are secret).
Their key's thumbprint, for visas: {holder}
Next:
  sta project add --dir {} PROJECT --credits 100.00 --researcher {id}
  sta passport issue --profile {directory}
",
            profile.about.member,
            args.operator.dir.display(),
        )
    });
    Ok(())
}

async fn add(args: &AddArgs) -> Result<Profile, Failure> {
    let client = operator(&args.operator.dir, args.operator.node.as_deref())?;
    let (member, url) = public_url(&args.operator.dir)?;
    let node = args.operator.node.clone().unwrap_or(url);
    let directory = args.profile.clone().map_or_else(|| default_directory(&member, &args.id), Ok)?;
    let profile =
        Profile::create(&directory, &About { node, member, researcher: args.id.clone() }, &SystemChance)?;
    let request = ResearcherRequest {
        token: profile.token()?.to_string(),
        holder: profile.holder()?.public_key().thumbprint(),
        roles: args.roles.clone(),
    };
    let request = serde_json::to_value(request).trying_to("write the request")?;
    client.ask(Method::PUT, &format!("/v1/researchers/{}", args.id), Some(&request)).await?;
    Ok(profile)
}
