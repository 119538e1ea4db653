// SPDX-License-Identifier: Apache-2.0
//! `sta agent`: runs at a site that no one can dial, takes its node's calls and drives the engine there; `sta agent token` makes its secret.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand};
use serde_json::json;
use sta_protocol::ids::SiteId;

use super::{
    engines::driven_engine,
    failure::{Exit, Failure, Trying, causes},
    print::{self, Style},
    profile::{fresh_token, read_token},
    serve::{log_to_stderr, stop_signal},
};
use crate::{
    config::{AgentConfig, Config, SiteEngine},
    engines::agent::{
        link::{Link, LinkError},
        runner::Agent,
        token,
    },
    keys::write_secret,
    outside::SystemChance,
};

/// What `sta agent` is told.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct AgentArgs {
    #[command(subcommand)]
    command: Option<AgentCommand>,
    /// The agent's configuration
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Write the log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum AgentCommand {
    /// Make the token that the agent of a site shows; an earlier one is worth nothing from then on
    Token(TokenArgs),
}

/// What `sta agent token` is told.
#[derive(Debug, Clone, Args)]
struct TokenArgs {
    /// The node's own directory
    #[arg(long, env = "STA_DIR", value_name = "DIR")]
    dir: PathBuf,
    /// The site whose agent is to show it
    #[arg(long)]
    site: SiteId,
    /// The file to write [default: SITE.token in the node's directory]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The configuration does not read, the engine does not open, the node does not take the agent; or no token can be made.
pub(super) async fn run(args: &AgentArgs, style: Style) -> Result<(), Failure> {
    if let Some(AgentCommand::Token(args)) = &args.command {
        return make_token(args, style);
    }
    let path = args.config.as_deref().unwrap_or(Path::new("agent.toml"));
    log_to_stderr(args.log_json);
    let (agent, site) = open(path)?;
    let stop = stop_signal()?;
    print::line(format!("sta: the agent of {site} calls its node"));
    Arc::new(agent).run(stop).await.map_err(|error| refused(&error))
}

fn open(path: &Path) -> Result<(Agent, SiteId), Failure> {
    let doing = format!("start the agent of `{}`", path.display());
    let usage = |failure: Failure| failure.exit(Exit::Usage);
    let config = AgentConfig::load(path).trying_to(&doing).map_err(usage)?;
    std::fs::create_dir_all(&config.directory).trying_to(&doing)?;
    // Jobs run elsewhere, and paths in the engine's records must hold for every process.
    let directory = std::fs::canonicalize(&config.directory).trying_to(&doing)?;
    let token = read_token(&config.token_file)?;
    let link = Link::new(&config.node, &config.site, token).trying_to(&doing).map_err(usage)?;
    let engine = driven_engine(&config.engine, directory.join("engine"), &directory, None)?;
    let agent = Agent::open(&directory, link, engine, &SystemChance).trying_to(doing)?;
    Ok((agent, config.site))
}

fn refused(error: &LinkError) -> Failure {
    let failure = Failure::new("serve the node", causes(error));
    match error {
        LinkError::Token { .. } => failure.exit(Exit::NotAllowed),
        LinkError::Refused { .. } | LinkError::NoAnswer { .. } | LinkError::Address { .. } => failure,
    }
}

fn make_token(args: &TokenArgs, style: Style) -> Result<(), Failure> {
    let doing = format!("make a token for the agent of `{}`", args.site);
    let config = Config::load(&args.dir).trying_to(&doing).map_err(|failure| failure.exit(Exit::Usage))?;
    if !config.sites.iter().any(|site| site.id == args.site && site.engine == SiteEngine::Agent) {
        let cause = "the node has no such site with `engine = \"agent\"` in sta.toml";
        return Err(Failure::new(doing, cause).exit(Exit::Usage));
    }
    let path = args.out.clone().unwrap_or_else(|| args.dir.join(format!("{}.token", args.site)));
    if path.exists() {
        let cause = format!("there is a file `{}` already", path.display());
        let mend =
            "Remove it, or name another with --out; the token in it is worth nothing once a new one is made.";
        return Err(Failure::new(doing, cause).exit(Exit::Usage).mend(mend));
    }
    let secret = fresh_token(&SystemChance);
    // The file first: a token that nobody has must not take the place of one that somebody uses.
    write_secret(&path, secret.as_bytes()).trying_to(&doing)?;
    token::expect(&args.dir, &args.site, &secret).trying_to(doing)?;
    let document = json!({"site": args.site, "token_file": path});
    style.answer(&document, || {
        format!(
            "Token for the agent of {} in {} (mode 0600). Move it to the machine of the agent, name it there as
`token_file` in agent.toml, and run `sta agent --config agent.toml`.
",
            args.site,
            path.display()
        )
    });
    Ok(())
}
