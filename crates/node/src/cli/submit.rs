// SPDX-License-Identifier: Apache-2.0
//! `sta submit`: describes a job, brings its files to the node, signs it with the researcher's key and hands it in.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use http::Method;
use sta_protocol::{
    class::Class,
    digest::Sha256Digest,
    holder_proof::{HolderClaims, holder_proof},
    ids::{DatasetId, JobId, ProjectId, SiteId},
    job::{InputFile, JobSpec},
    purpose::Purpose,
};

use super::{
    client::Client,
    failure::{Exit, Failure, Trying},
    files::{LocalFile, upload},
    job_file::{Goal, InputEntry, JobFile, Memory, TimeLimit},
    jobs,
    print::{self, Style},
    profile::Profile,
};
use crate::{
    http::documents::JobDocument,
    outside::{Chance, Clock, SystemChance, SystemClock},
    steps::submit::SubmitRequest,
};

/// How often a submission is sent when the node does not answer; the same id makes it the same job.
const ATTEMPTS_MAX: u32 = 3;

/// What `sta submit` is told. Flags go before the job file; lists are added to its lists.
#[derive(Debug, Clone, Args)]
pub(super) struct SubmitArgs {
    /// Your profile directory
    #[arg(long, env = "STA_PROFILE", value_name = "DIR")]
    profile: Option<PathBuf>,
    /// The job as a TOML file; see examples/
    file: Option<PathBuf>,
    /// A label for people
    #[arg(long)]
    name: Option<String>,
    /// Who pays
    #[arg(long)]
    project: Option<ProjectId>,
    /// What the data is used for, such as health-research
    #[arg(long)]
    purpose: Option<String>,
    /// Which purpose of the treaty's list it serves, where --purpose is another word, such as commercial
    #[arg(long, value_name = "PURPOSE")]
    purpose_class: Option<Purpose>,
    /// cheapest, cleanest or soonest
    #[arg(long)]
    objective: Option<Goal>,
    /// `host`, or a container image
    #[arg(long)]
    image: Option<String>,
    /// A registered dataset, such as de/hospital; may be repeated
    #[arg(long = "dataset", value_name = "MEMBER/NAME")]
    datasets: Vec<DatasetId>,
    /// A file to bring; may be repeated
    #[arg(long = "input", value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// A file that the job leaves; may be repeated
    #[arg(long = "output", value_name = "NAME")]
    outputs: Vec<String>,
    /// An output that is weights of a model; may be repeated
    #[arg(long = "output-weights", value_name = "NAME")]
    outputs_weights: Vec<String>,
    /// Whole processor cores, on each node
    #[arg(long, value_name = "CORES")]
    cpu: Option<u32>,
    /// Memory, such as "512 MiB", on each node
    #[arg(long)]
    memory: Option<Memory>,
    /// Accelerators, on each node
    #[arg(long)]
    gpus: Option<u32>,
    #[command(flatten)]
    spread: SpreadArgs,
    /// When to stop the job, of a job array each task, such as "10 min"
    #[arg(long)]
    time_limit: Option<TimeLimit>,
    /// Ask for a network
    #[arg(long)]
    network: bool,
    /// Only this site; may be repeated; the job file's choice is then left out
    #[arg(long = "site-allow", value_name = "SITE")]
    sites_allowed: Vec<SiteId>,
    /// Not this site; may be repeated
    #[arg(long = "site-refuse", value_name = "SITE")]
    sites_refused: Vec<SiteId>,
    /// Follow the job to its end
    #[arg(long)]
    wait: bool,
    /// Program and arguments, after `--`
    #[arg(last = true)]
    command: Vec<String>,
}

/// How a job spreads over nodes, processes, indices and attempts, and what it waits for.
#[derive(Debug, Clone, Args)]
struct SpreadArgs {
    /// The accelerators' type, such as gh200
    #[arg(long, value_name = "TYPE")]
    gpu_type: Option<String>,
    /// Nodes that the job holds at once
    #[arg(long)]
    nodes: Option<u32>,
    /// Processes over all nodes; the command is started once for each [default: one a node]
    #[arg(long)]
    tasks: Option<u32>,
    /// A job array: run the command once for each index below this; it is in STA_TASK_INDEX
    #[arg(long)]
    count: Option<u32>,
    /// How many indices of a job array may run at once [default: all]
    #[arg(long)]
    parallel: Option<u32>,
    /// Begin only when this job of the same project has completed; may be repeated
    #[arg(long, value_name = "JOB")]
    after: Vec<JobId>,
    /// How often the job may be tried in all when its site fails it [default: 1]
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// An argument for the site's own scheduler, where its operator allows it; may be repeated
    #[arg(long = "site-option", value_name = "NAME=VALUE", value_parser = site_option)]
    site_options: Vec<(String, String)>,
}

impl SpreadArgs {
    /// Puts the flags over what the job file says.
    fn over(&self, job: &mut JobFile) {
        job.gpu_type = self.gpu_type.clone().or(job.gpu_type.take());
        job.nodes = self.nodes.or(job.nodes);
        job.tasks = self.tasks.or(job.tasks);
        job.count = self.count.or(job.count);
        job.parallel = self.parallel.or(job.parallel);
        job.attempts_max = self.attempts.or(job.attempts_max);
        job.after.extend_from_slice(&self.after);
        job.site_options.extend(self.site_options.iter().cloned());
    }
}

fn site_option(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or("it is not NAME=VALUE: write it such as constraint=hbm")?;
    Ok((name.trim_start_matches('-').to_owned(), value.to_owned()))
}

/// Does it. Exit code 0 when the job is on its way, with `--wait` when it completed; 1 when it was refused or failed.
///
/// # Errors
/// The job cannot be described or brought to the node, or the node says no to the request itself.
pub(super) async fn run(args: &SubmitArgs, style: Style) -> Result<ExitCode, Failure> {
    let job = describe(args)?;
    let profile = Profile::open(args.profile.as_deref())?;
    let passport = profile.passport()?;
    let (files, spec) = hashed(&job, args.file.as_deref())?;
    let client = profile.client()?;
    for file in &files {
        upload(&client, file).await?;
    }
    let request = request(&profile, spec, passport)?;
    let answer = hand_in(&client, &request).await?;
    let mut job: JobDocument = print::part(&answer, "the job")?;
    if !args.wait || jobs::is_final(&job.state) {
        style.answer(&answer, || text(&job, style));
    } else {
        print::progress(format!("{}: submitted", job.id));
        job = jobs::follow(&client, job.id).await?;
        let answer = client.get(&format!("/v1/jobs/{}", job.id)).await?;
        style.answer(&answer, || jobs::text(&job, style));
    }
    let good = job.state == "completed" || !jobs::is_final(&job.state);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(Exit::Failed as u8) })
}

/// The job file with the flags over it.
fn describe(args: &SubmitArgs) -> Result<JobFile, Failure> {
    let mut job = args.file.as_deref().map(JobFile::read).transpose()?.unwrap_or_default();
    let SubmitArgs { name, project, purpose, image, objective, cpu, memory, gpus, time_limit, .. } =
        args.clone();
    job.name = name.or(job.name);
    job.project = project.or(job.project);
    job.purpose = purpose.or(job.purpose);
    job.purpose_class = args.purpose_class.or(job.purpose_class);
    job.image = image.or(job.image);
    job.objective = objective.or(job.objective);
    job.cpu_cores = cpu.or(job.cpu_cores);
    job.memory = memory.or(job.memory);
    job.gpus = gpus.or(job.gpus);
    job.time_limit = time_limit.or(job.time_limit);
    job.network = Some(args.network || job.network.unwrap_or(false));
    if !args.command.is_empty() {
        job.command.clone_from(&args.command);
    }
    if !args.sites_allowed.is_empty() {
        job.sites_allowed.clone_from(&args.sites_allowed);
    }
    job.sites_refused.extend_from_slice(&args.sites_refused);
    job.datasets.extend_from_slice(&args.datasets);
    job.outputs.extend_from_slice(&args.outputs);
    job.outputs_weights.extend_from_slice(&args.outputs_weights);
    let brought =
        args.inputs.iter().map(|path| InputEntry { name: None, path: path.clone(), class: Class::Internal });
    job.inputs.extend(brought);
    args.spread.over(&mut job);
    Ok(job)
}

/// The inputs' files, and the description that names them by content.
fn hashed(job: &JobFile, file: Option<&std::path::Path>) -> Result<(Vec<LocalFile>, JobSpec), Failure> {
    let (mut files, mut inputs) = (Vec::new(), Vec::new());
    for entry in &job.inputs {
        let local = LocalFile::of(&entry.path).map_err(|failure| {
            failure.exit(Exit::Usage).mend("Paths of inputs are relative to the job file.")
        })?;
        inputs.push(InputFile {
            name: entry.file_name()?,
            sha256: local.sha256,
            bytes: local.bytes,
            class: entry.class,
        });
        files.push(local);
    }
    let written =
        file.map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap_or_default()));
    let spec = job.spec(inputs, written.as_ref().map(|(name, text)| (name.as_str(), text.as_str())))?;
    Ok((files, spec))
}

/// The request under the researcher's own signature, so that no node can ask for a job in their name.
fn request(profile: &Profile, spec: JobSpec, passport: String) -> Result<SubmitRequest, Failure> {
    let doing = "sign the job";
    let now = SystemClock.now();
    let mut random = [0; 10];
    SystemChance.fill(&mut random);
    let job = JobId::new(u64::try_from(now.as_millisecond()).unwrap_or_default(), random);
    let claims = HolderClaims {
        job,
        digest: Sha256Digest::of_json(&spec).trying_to(doing)?,
        audience: profile.about.member.clone(),
        issued_at: now,
    };
    let proof = holder_proof(&profile.holder()?, &claims).trying_to(doing)?;
    Ok(SubmitRequest { job, spec, passport, holder_proof: proof.as_str().to_owned() })
}

async fn hand_in(client: &Client, request: &SubmitRequest) -> Result<serde_json::Value, Failure> {
    let document = serde_json::to_value(request).trying_to("write the request")?;
    let mut attempt = 1;
    loop {
        match client.ask(Method::POST, "/v1/jobs", Some(&document)).await {
            Err(failure) if failure.exit == Exit::Unreachable && attempt < ATTEMPTS_MAX => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
            }
            Err(failure) if failure.exit == Exit::Unreachable => {
                return Err(failure.mend(format!(
                    "It may have arrived: look with `sta job {}` before you submit again.",
                    request.job
                )));
            }
            answered => return answered,
        }
    }
}

fn text(job: &JobDocument, style: Style) -> String {
    if job.state == "refused" {
        return jobs::text(job, style);
    }
    let place = job
        .site
        .as_ref()
        .zip(job.host.as_ref())
        .map_or_else(String::new, |(site, host)| format!(", goes to {site} of {host}"));
    format!("{}\nJob `{}` is {}{place}.\nFollow it: sta job {} --wait", job.id, job.name, job.state, job.id)
}
