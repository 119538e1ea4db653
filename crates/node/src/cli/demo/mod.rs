// SPDX-License-Identifier: Apache-2.0
//! `sta demo`: two nations on this machine, one job after the other across the border, and the proof of it.
//!
//! Everything it does it does through the commands that people use; it prints each with one line of explanation.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Args;
use serde_json::json;

use super::{
    failure::{Failure, Trying},
    print::Style,
};

mod acts;
mod bring_up;
mod clusters;
mod examples;
mod forced;
mod held;
mod nodes;
mod report;
mod stage;
mod verified;
mod voice;
mod weights;

use crate::engines::local::SEARCH_PATH;
use bring_up::BroughtUp;
use clusters::Clusters;
use nodes::Nodes;
use report::Report;
use stage::Stage;
use voice::Voice;

/// What `sta demo` is told.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Where to put the two nodes; an earlier demo there is replaced
    #[arg(long, value_name = "DIR", default_value = "sta-demo")]
    pub dir: PathBuf,
    /// Leave the two nodes running
    #[arg(long)]
    pub keep: bool,
    /// Run the sites juelich and quebec-hydro on Slurm clusters: those that are up in DIR, or ones of the demo's own
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pub clusters: Option<Option<PathBuf>>,
}

/// Runs the demo. Exit code 0 only when everything came out as promised.
///
/// # Errors
/// A step failed, with what failed and where its log is.
pub async fn run(args: &DemoArgs, style: Style) -> Result<ExitCode, Failure> {
    let began = Instant::now();
    find_python()?;
    let directory = fresh_directory(&args.dir)?;
    let voice = Voice::new(style.json)?;
    let (clusters, mut brought_up) = match &args.clusters {
        None => (Clusters::default(), None),
        Some(given) => BroughtUp::find_or_make(given.as_deref(), &voice)?,
    };
    let stage = Stage::new(&directory, voice, clusters)?;
    stage.clusters().lines().iter().for_each(|line| stage.say(line));
    stage.say("Two members, Canada (ca) and Germany (de), each with its own node, keys and rules; a treaty signed by both.");
    let mut nodes = Nodes::found(&stage)?;
    let played = play(&stage, &mut nodes).await;
    let report = match played {
        Ok(report) => report,
        Err(failure) => {
            stage.begin("the nodes end");
            nodes.stop();
            return Err(failure.mend(format!(
                "The nodes' logs are {0}/ca.log and {0}/de.log.",
                stage.directory().display()
            )));
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    if style.json {
        println!("{}", report.document(seconds));
    } else {
        report.tell(&stage, seconds);
        what_next(&stage, args.keep);
    }
    if args.keep {
        nodes.leave_running(&stage)?;
        brought_up.iter_mut().for_each(BroughtUp::keep);
    } else {
        stage.begin("the nodes end");
        nodes.stop();
    }
    Ok(ExitCode::SUCCESS)
}

async fn play(stage: &Stage, nodes: &mut Nodes) -> Result<Report, Failure> {
    let mut report = Report::new(stage)?;
    acts::people_and_data(stage)?;
    acts::open_data_crosses_to_clean_power(stage, &mut report)?;
    acts::hospital_data_stays_in_the_eea(stage, &mut report)?;
    acts::foreign_law_is_refused(stage, &mut report)?;
    acts::protected_data_is_refused_twice(stage, &mut report).await?;
    acts::a_killed_node_loses_nothing(stage, nodes, &mut report)?;
    weights::weights_leave_with_their_evaluation(stage, &mut report)?;
    held::a_run_is_held_and_stopped(stage, &mut report).await?;
    verified::both_sides_agree(stage, nodes, &mut report).await?;
    Ok(report)
}

/// The demo's jobs are Python programs; better to know now than from a failed job.
fn find_python() -> Result<(), Failure> {
    let found = SEARCH_PATH.split(':').any(|directory| Path::new(directory).join("python3").exists());
    let cause = format!("there is no python3 in {SEARCH_PATH}, where jobs look for programs");
    let missing = || {
        Failure::new("train the demo's models", cause)
            .mend("Install it, on Debian with `apt-get install python3`.")
    };
    if found { Ok(()) } else { Err(missing()) }
}

/// The demo's own directory, empty. Only a directory that an earlier demo marked is replaced.
fn fresh_directory(directory: &Path) -> Result<PathBuf, Failure> {
    let doing = format!("make the demo's directory `{}`", directory.display());
    let mark = directory.join(MARK);
    if mark.exists() {
        nodes::stop_earlier(directory);
        std::fs::remove_dir_all(directory).trying_to(&doing)?;
    } else if directory.exists() && directory.read_dir().trying_to(&doing)?.next().is_some() {
        return Err(Failure::new(doing, "it is there, not empty, and no earlier demo")
            .mend("Choose another with --dir."));
    }
    std::fs::create_dir_all(directory).trying_to(&doing)?;
    std::fs::write(&mark, json!({"made_by": "sta demo"}).to_string()).trying_to(&doing)?;
    std::fs::canonicalize(directory).trying_to(doing)
}

/// Marks a directory as a demo's.
const MARK: &str = ".sta-demo.json";

fn what_next(stage: &Stage, keep: bool) {
    let directory = stage.shown_directory();
    stage.say("");
    stage.say("What to try next:");
    if keep {
        stage.say(&format!(
            "  sta jobs --profile {directory}/people/ada            her jobs, at the node that still runs"
        ));
        stage.say(&format!("  sta why JOB --profile {directory}/people/ada         every site, every rule, price, grams, wait"));
        stage.say(&format!(
            "  sta submit {directory}/examples/digits/job.toml --profile {directory}/people/bruno --wait"
        ));
    } else {
        stage.say(
            "  sta demo --keep                                 the same, and the two nodes stay up for you",
        );
    }
    stage.say(&format!("  sta verify --treaty {directory}/treaty.jws.json {directory}/log-ca   offline, with the treaty's keys alone"));
    stage.say(&format!("  sta treaty show {directory}/treaty.jws.json          what both have signed"));
    stage.say("  sta policy check policies                       the rules with their cases");
}
