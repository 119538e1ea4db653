// SPDX-License-Identifier: Apache-2.0
//! The command line `sta`: one file a command. This page is the table of contents: every command and what answers it.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use self::{
    failure::{Exit, Failure, Trying},
    print::Style,
};

mod agent;
mod audit;
mod cancel;
pub mod client;
mod dataset;
pub mod demo;
mod engines;
mod evaluation;
pub mod failure;
pub mod files;
mod gate;
mod hold;
mod incident;
pub mod init;
pub mod job_file;
mod jobs;
mod logs;
mod model;
mod passport;
mod policy;
pub mod print;
pub mod profile;
mod project;
mod read;
mod release;
mod replay;
mod researcher;
mod result;
pub mod serve;
mod signers;
mod standing;
mod statement;
mod stop;
mod submit;
pub mod treaty;
pub mod verify;
mod why;

const EXIT_CODES: &str = "Exit codes:
  0  done; with --wait: the job completed
  1  the thing itself failed: the job was refused or failed, a file cannot be read, the node cannot now
  2  the command, or a file given to it, is not written as it should be
  3  the node did not answer
  4  not allowed: the node does not know who asks, or a rule says no to them
  5  a proof, a log or a signature does not hold

Amounts are in the treaty's currency. Texts about rules are in the language of LANG: English, French or German.";

/// Runs jobs across the border where both nations allow it, and proves it.
#[derive(Debug, Parser)]
#[command(name = "sta", version, after_help = EXIT_CODES)]
struct Cli {
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a member's node: its directory, keys and configuration
    Init(init::InitArgs),
    /// Run the node
    Serve(serve::ServeArgs),
    /// Run the jobs of a site that no one can dial, for its node
    Agent(agent::AgentArgs),
    /// Watch one job apart from the node; the node calls it
    #[command(hide = true)]
    Supervise {
        /// The job's directory
        directory: PathBuf,
    },
    /// Make, sign, verify and read treaties
    #[command(subcommand)]
    Treaty(treaty::TreatyCommand),
    /// Add researchers
    #[command(subcommand)]
    Researcher(researcher::ResearcherCommand),
    /// Add projects and what they may spend
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Fetch a passport, grant visas
    #[command(subcommand)]
    Passport(passport::PassportCommand),
    /// Register datasets
    #[command(subcommand)]
    Dataset(dataset::DatasetCommand),
    /// Register models, and export them in other people's formats
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Attest evaluations of weights, verify attestations, bring them to a node
    #[command(subcommand)]
    Evaluation(evaluation::EvaluationCommand),
    /// Show what gates hold, and let it go or end it, as the person whom the rules ask for
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Report incidents, see their clocks, note who was told, close them
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    /// Write, sign, send, lift and verify orders to stop
    #[command(subcommand)]
    Stop(stop::StopCommand),
    /// Ask the gates, and see what they said
    #[command(subcommand)]
    Gate(gate::GateCommand),
    /// Submit a job
    Submit(Box<submit::SubmitArgs>),
    /// List jobs
    Jobs(jobs::JobsArgs),
    /// Show a job
    Job(jobs::JobArgs),
    /// Show why a job went where it went, or nowhere
    Why(why::WhyArgs),
    /// Show what a job wrote
    Logs(logs::LogsArgs),
    /// Stop a job
    Cancel(cancel::CancelArgs),
    /// Fetch a job's outputs
    Result(result::ResultArgs),
    /// Let a held output go home, as a data steward
    Release(release::ReleaseArgs),
    /// Show what two members owe each other for a month
    Statement(statement::StatementArgs),
    /// Show what members gave each other, and whose jobs were late
    Standing(standing::StandingArgs),
    /// Play the trace of a cluster, and see how long its jobs would have waited
    Replay(replay::ReplayArgs),
    /// Check rule packs against their cases
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Export the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Verify logs, proofs and signed documents offline, with the treaty's keys alone
    Verify(verify::VerifyArgs),
    /// Run two nations' nodes on this machine and send jobs across the border
    Demo(demo::DemoArgs),
}

/// Reads the command line, does what it asks and says in one place what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Before any other thread is started: the supervisor enters a user namespace.
    if let Command::Supervise { directory } = &cli.command {
        return crate::engines::local::supervisor::run(directory);
    }
    match start(cli) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

fn start(cli: Cli) -> Result<ExitCode, Failure> {
    let mut runtime = match &cli.command {
        Command::Serve(_) | Command::Agent(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build().trying_to("start")?;
    runtime.block_on(run(cli.command, Style::new(cli.json)))
}

async fn run(command: Command, style: Style) -> Result<ExitCode, Failure> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Init(args) => init::run(&args, style).map(done),
        Command::Serve(args) => serve::run(&args).await.map(done),
        Command::Agent(args) => agent::run(&args, style).await.map(done),
        // `main` has answered it before any thread was started.
        Command::Supervise { .. } => {
            Err(Failure::new("supervise", "it was called too late").exit(Exit::Usage))
        }
        Command::Treaty(command) => treaty::run(&command, style).map(done),
        Command::Researcher(command) => researcher::run(&command, style).await.map(done),
        Command::Project(command) => project::run(&command, style).await.map(done),
        Command::Passport(command) => passport::run(&command, style).await.map(done),
        Command::Dataset(command) => dataset::run(&command, style).await.map(done),
        Command::Model(command) => model::run(&command, style).await.map(done),
        Command::Hold(command) => hold::run(&command, style).await.map(done),
        Command::Incident(command) => incident::run(&command, style).await.map(done),
        Command::Stop(command) => stop::run(&command, style).await.map(done),
        Command::Evaluation(command) => evaluation::run(&command, style).await,
        Command::Gate(command) => gate::run(&command, style).await,
        Command::Submit(args) => submit::run(&args, style).await,
        Command::Jobs(args) => jobs::list(&args, style).await.map(done),
        Command::Job(args) => jobs::show(&args, style).await.map(done),
        Command::Why(args) => why::run(&args, style).await.map(done),
        Command::Logs(args) => logs::run(&args, style).await.map(done),
        Command::Cancel(args) => cancel::run(&args, style).await.map(done),
        Command::Result(args) => result::run(&args, style).await,
        Command::Release(args) => release::run(&args, style).await.map(done),
        Command::Statement(args) => statement::run(&args, style).await.map(done),
        Command::Standing(args) => standing::run(&args, style).await.map(done),
        Command::Replay(args) => replay::run(&args, style).map(done),
        Command::Policy(command) => policy::run(&command, style),
        Command::Audit(command) => audit::run(&command, style).await.map(done),
        Command::Verify(args) => verify::run(&args, style),
        Command::Demo(args) => demo::run(&args, style).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_its_help_names_every_exit_code() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        for exit in [Exit::Failed, Exit::Usage, Exit::Unreachable, Exit::NotAllowed, Exit::Unverified] {
            assert!(help.contains(&format!("\n  {}  ", exit as u8)), "{exit:?} is missing in {help}");
        }
    }
}
