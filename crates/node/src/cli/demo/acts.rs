// SPDX-License-Identifier: Apache-2.0
//! The first five acts of the demo: what crosses, what stays, what is refused, and what a killed node loses (nothing).

use serde_json::{Value, json};

use super::{
    super::failure::{Failure, Trying},
    Stage,
    clusters::{Cluster, SlurmJob},
    examples, forced,
    nodes::Nodes,
    report::Report,
};

/// The profiles of the demo's people.
pub(super) const ADA: &str = "{}/people/ada";
const BRUNO: &str = "{}/people/bruno";
const CLARA: &str = "{}/people/clara";
const DAN: &str = "{}/people/dan";
/// How long the killed node's job trains, in passes over its data: some seconds.
const EPOCHS_LONG: &str = "80";

/// Researchers, a steward, projects, datasets and passports: what a member's operator sets up once.
///
/// # Errors
/// A command failed.
pub(super) fn people_and_data(stage: &Stage) -> Result<(), Failure> {
    examples::write(stage)?;
    stage.say(
        "   Ada researches in Toronto (ca), Bruno in Munich (de); Clara (de) and Dan (ca) are data stewards.",
    );
    stage.sta(&["researcher", "add", "--dir", "{}/ca", "ada", "--profile", ADA])?;
    stage.sta(&["researcher", "add", "--dir", "{}/de", "bruno", "--profile", BRUNO])?;
    stage.sta(&["researcher", "add", "--dir", "{}/de", "clara", "--role", "steward", "--profile", CLARA])?;
    stage.sta(&["researcher", "add", "--dir", "{}/ca", "dan", "--role", "steward", "--profile", DAN])?;
    stage.sta(&[
        "project",
        "add",
        "--dir",
        "{}/de",
        "open-vision",
        "--credits",
        "20.00",
        "--researcher",
        "bruno",
    ])?;
    for project in ["open-vision", "oncology", "defence"] {
        stage.sta(&[
            "project",
            "add",
            "--dir",
            "{}/ca",
            project,
            "--credits",
            "20.00",
            "--researcher",
            "ada",
        ])?;
    }
    datasets(stage)?;
    grant(stage, CLARA, "hospital")?;
    grant(stage, DAN, "plans")?;
    stage.sta(&[
        "passport",
        "issue",
        "--profile",
        ADA,
        "--visa",
        "{}/visas/hospital.jwt",
        "--visa",
        "{}/visas/plans.jwt",
    ])?;
    stage.sta(&["passport", "issue", "--profile", BRUNO])?;
    stage
        .say("   Passports (GA4GH): Ada's carries Germany's visa for de/hospital and Canada's for ca/plans.");
    Ok(())
}

/// Datasets of both members, with what each states of them.
fn datasets(stage: &Stage) -> Result<(), Failure> {
    std::fs::write(stage.path("examples/secret-plans.txt"), "plans that stay in Canada\n")
        .trying_to("write an example")?;
    // Nothing but a statement says that there are no people in what is protected.
    std::fs::write(stage.path("examples/secret-plans.toml"), "[people]\npersonal_information = \"none\"\n")
        .trying_to("write an example")?;
    dataset(
        stage,
        "de",
        "digits",
        &["--class", "open", "--origin", "de"],
        "{}/examples/digits/digits.csv.gz",
    )?;
    let special = [
        "--class",
        "special",
        "--origin",
        "de",
        "--residency",
        "eea",
        "--purpose",
        "health-research",
        "--protection",
        "{}/examples/hospital/protection.toml",
    ];
    dataset(stage, "de", "hospital", &special, "{}/examples/hospital/breast_cancer.csv")?;
    dataset(
        stage,
        "ca",
        "plans",
        &["--class", "protected", "--origin", "ca", "--protection", "{}/examples/secret-plans.toml"],
        "{}/examples/secret-plans.txt",
    )?;
    stage.say("   Datasets: de/digits (open), de/hospital (special, stays in the EEA), ca/plans (protected, stays in Canada).");
    Ok(())
}

fn dataset(stage: &Stage, member: &str, name: &str, terms: &[&str], file: &str) -> Result<(), Failure> {
    let directory = format!("{{}}/{member}");
    let words = ["dataset", "add", "--dir", &directory, name, "--title", name];
    stage.sta(&[&words[..], terms, &[file]].concat()).map(|_answer| ())
}

fn grant(stage: &Stage, steward: &str, dataset: &str) -> Result<(), Failure> {
    std::fs::create_dir_all(stage.path("visas")).trying_to("make a place for visas")?;
    let holder = stage.sta(&["passport", "holder", "--profile", ADA])?;
    let holder = holder["holder"].as_str().unwrap_or_default();
    let out = format!("{{}}/visas/{dataset}.jwt");
    let words = [
        "passport",
        "grant",
        "--profile",
        steward,
        "--subject",
        "ada@ca",
        "--holder",
        holder,
        "--dataset",
        dataset,
        "--out",
        &out,
    ];
    stage.sta(&words).map(|_answer| ())
}

pub(super) fn submit(stage: &Stage, profile: &str, file: &str, more: &[&str]) -> Result<Value, Failure> {
    let words = ["submit", file, "--profile", profile];
    let (code, answer, said) = stage.try_sta(&[&words[..], more].concat())?;
    // A refused job is an answer as well; it ends with code 1 and its document.
    if answer["id"].is_string() {
        Ok(answer)
    } else {
        Err(Failure::new(format!("submit `{file}` (exit code {code})"), said))
    }
}

pub(super) fn id_of(job: &Value) -> Result<String, Failure> {
    job["id"].as_str().map(str::to_owned).ok_or_else(|| Failure::new("read a job's id", job.to_string()))
}

pub(super) fn expect(what: &str, holds: bool, found: &Value) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(format!("see that {what}"), found.to_string())) }
}

/// The first refusal of a job, as one line for people.
fn first_refusal(refusals: &Value, rule: &str) -> String {
    let found = refusals.as_array().into_iter().flatten().find(|refusal| refusal["rule"] == rule);
    let text = |name: &str| found.and_then(|refusal| refusal[name].as_str()).unwrap_or_default().to_owned();
    let facts = found.and_then(|refusal| refusal["facts"].as_object());
    let facts: Vec<String> = facts
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name} = {}", value.as_str().unwrap_or_default()))
        .collect();
    let advice = found.and_then(|refusal| refusal["advice"].as_str()).unwrap_or_default();
    format!(
        "     {rule} by {}\n       law     {}\n       facts   {}\n       change  {advice}",
        text("by"),
        text("source"),
        facts.join("; ")
    )
}

/// Act 1.
///
/// # Errors
/// It did not come out as promised.
pub(super) fn open_data_crosses_to_clean_power(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    stage.say("\n1. Munich trains on open data where power is cleanest: both nations allow it, Québec has the fewest grams.");
    let job = id_of(&submit(stage, BRUNO, "{}/examples/digits/job.toml", &[])?)?;
    let done = stage.wait_for(BRUNO, &job, &["completed"])?;
    expect("the job ran in Québec", done["site"] == "quebec-hydro" && done["host"] == "ca", &done)?;
    let accuracy = fetch_accuracy(stage, BRUNO, &job)?;
    expect("held-out accuracy is above 0.90", accuracy > 0.90, &json!(accuracy))?;
    stage.say(&format!(
        "   done: site quebec-hydro, held-out accuracy {accuracy}, {}; the model is home.",
        report.cost(&done)
    ));
    stage.tell_slurm(&done)?;
    report.add("open data, cleanest", &done, Some(accuracy), BRUNO);
    Ok(())
}

/// Brings the model home, checks its digest on the way, and reads the accuracy that the job measured.
pub(super) fn fetch_accuracy(stage: &Stage, profile: &str, job: &str) -> Result<f64, Failure> {
    stage.sta(&["result", job, "--profile", profile, "--out", &format!("{{}}/results/{job}")])?;
    let path = stage.path("results").join(job).join("model.json");
    let text = std::fs::read_to_string(&path).trying_to(format!("read `{}`", path.display()))?;
    let model: Value = serde_json::from_str(&text).trying_to("read the trained model")?;
    model["accuracy"].as_f64().ok_or_else(|| Failure::new("read the model's accuracy", "it has none"))
}

/// Act 2.
///
/// # Errors
/// It did not come out as promised.
pub(super) fn hospital_data_stays_in_the_eea(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    stage.say("\n2. Toronto trains on hospital data: it may only run in the EEA, and what it learns stays there until a steward lets it go.");
    let allowed = ["--site-refuse", "frankfurt-cloud"];
    let job = id_of(&submit(stage, ADA, "{}/examples/hospital/job.toml", &allowed)?)?;
    let done = stage.wait_for(ADA, &job, &["completed"])?;
    expect("the job ran in Jülich", done["site"] == "juelich", &done)?;
    let (code, answer, said) =
        stage.try_sta(&["result", &job, "--profile", ADA, "--out", &format!("{{}}/results/{job}")])?;
    expect("the result is held", code != 0, &answer)?;
    let held = &done["outputs"][0]["held_by"];
    stage.say("   done: site juelich. Fetching the model now is refused:");
    let rule = held[0]["rule"].as_str().unwrap_or_default();
    expect(
        "a rule holds the result",
        !rule.is_empty() && (said.contains(rule) || answer.to_string().contains(rule)),
        held,
    )?;
    stage.say(&first_refusal(held, rule));
    stage.sta(&[
        "release",
        &job,
        "model.json",
        "--class",
        "open",
        "--reason",
        "aggregate weights only, reviewed",
        "--profile",
        CLARA,
    ])?;
    stage.say("   Clara, the steward, releases model.json as open, with her reason; the release is decided by rules and logged.");
    let accuracy = fetch_accuracy(stage, ADA, &job)?;
    expect("held-out accuracy is above 0.90", accuracy > 0.90, &json!(accuracy))?;
    stage.say(&format!("   fetched: held-out accuracy {accuracy}, {}.", report.cost(&done)));
    stage.tell_slurm(&done)?;
    report.add("hospital data in the EEA", &done, Some(accuracy), ADA);
    Ok(())
}

/// Act 3.
///
/// # Errors
/// It did not come out as promised.
pub(super) fn foreign_law_is_refused(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    stage.say("\n3. The same job at frankfurt-cloud, whose operator's parent answers to United States law:");
    let job = submit(stage, ADA, "{}/examples/hospital/job.toml", &["--site-allow", "frankfurt-cloud"])?;
    expect("it is refused by SOV-004", has_rule(&job["refusals"], "SOV-004"), &job)?;
    stage.say("   refused:");
    stage.say(&first_refusal(&job["refusals"], "SOV-004"));
    report.add("hospital data at frankfurt-cloud", &job, None, ADA);
    Ok(())
}

fn has_rule(refusals: &Value, rule: &str) -> bool {
    refusals.as_array().into_iter().flatten().any(|refusal| refusal["rule"] == rule)
}

/// Act 4.
///
/// # Errors
/// It did not come out as promised.
pub(super) async fn protected_data_is_refused_twice(
    stage: &Stage,
    report: &mut Report,
) -> Result<(), Failure> {
    stage.say("\n4. Protected Canadian data asked to run in Jülich: the Canadian node refuses.");
    let file = "{}/examples/plans.toml";
    std::fs::write(stage.path("examples/plans.toml"), PLANS_JOB).trying_to("write an example")?;
    let job = submit(stage, ADA, file, &["--site-allow", "juelich"])?;
    expect("Canada refuses by SOV-003", has_rule(&job["refusals"], "SOV-003"), &job)?;
    stage.say(&first_refusal(&job["refusals"], "SOV-003"));
    report.add("protected data to Jülich", &job, None, ADA);
    stage.say("   Now a Canadian node that skips its own check sends the same offer, properly signed. The German node decides for itself:");
    let (offer, refusals) = forced::offer_without_own_check(stage, PLANS_JOB).await?;
    expect("Germany refuses by SOV-003 too", has_rule(&refusals, "SOV-003"), &refusals)?;
    stage.say(&first_refusal(&refusals, "SOV-003"));
    report.add_forced("the same offer, forced", &offer, &refusals);
    Ok(())
}

/// A job over the protected dataset; it would count its words.
const PLANS_JOB: &str = r#"name = "plans"
command = ["wc", "secret-plans.txt"]
image = "host"
project = "defence"
purpose = "research"
objective = "cheapest"
cpu_cores = 1
memory = "64 MiB"
time_limit = "1 min"
datasets = ["ca/plans"]
"#;

/// Act 5.
///
/// # Errors
/// It did not come out as promised.
pub(super) fn a_killed_node_loses_nothing(
    stage: &Stage,
    nodes: &mut Nodes,
    report: &mut Report,
) -> Result<(), Failure> {
    stage.say("\n5. Toronto's job trains in Jülich; its node is killed (SIGKILL) in the middle.");
    let long = [
        "--site-allow",
        "juelich",
        "--name",
        "digits through a crash",
        "--",
        "python3",
        "train.py",
        "digits.csv.gz",
        "model.json",
        "--epochs",
        EPOCHS_LONG,
    ];
    let job = id_of(&submit(stage, ADA, "{}/examples/digits/job.toml", &long)?)?;
    stage.wait_for(ADA, &job, &["running"])?;
    nodes.de.kill()?;
    let orphan = running_in_slurm(stage, &job)?;
    match &orphan {
        None => stage.say("   killed. Germany is away; Canada goes on with a job at home:"),
        Some((cluster, run)) => stage.say(&format!(
            "   killed. {} runs on with no node to watch it, squeue says {}. Germany is away; Canada goes on with a job at home:",
            run.line(cluster),
            run.state
        )),
    }
    let home = id_of(&submit(
        stage,
        ADA,
        "{}/examples/digits/job.toml",
        &["--site-allow", "quebec-hydro", "--name", "digits at home"],
    )?)?;
    let done_home = stage.wait_for(ADA, &home, &["completed"])?;
    let accuracy = fetch_accuracy(stage, ADA, &home)?;
    stage.say(&format!("   done at home: held-out accuracy {accuracy}, {}.", report.cost(&done_home)));
    stage.tell_slurm(&done_home)?;
    report.add("at home while Germany is away", &done_home, Some(accuracy), ADA);
    nodes.de.start(stage)?;
    match &orphan {
        None => stage.say(
            "   Germany is back: its node finds the job it was running, which had gone on under its supervisor.",
        ),
        Some((cluster, run)) => stage.say(&format!(
            "   Germany is back: its node looks for Slurm job {} of {}, which had gone on without it.",
            run.id, cluster.name
        )),
    }
    let done = stage.wait_for(ADA, &job, &["completed"])?;
    let accuracy = fetch_accuracy(stage, ADA, &job)?;
    expect("held-out accuracy is above 0.90", accuracy > 0.90, &json!(accuracy))?;
    once(stage, &job, &done)?;
    same_in_slurm(stage, &done, orphan.as_ref())?;
    stage.say(&format!(
        "   done: it ran once, its receipt came once; held-out accuracy {accuracy}, {}.",
        report.cost(&done)
    ));
    stage.tell_slurm(&done)?;
    report.add("through a killed node", &done, Some(accuracy), ADA);
    Ok(())
}

/// Where the site is a cluster: what its queue says of a job that runs on though nobody at its node watches it.
fn running_in_slurm<'a>(stage: &'a Stage, job: &str) -> Result<Option<(&'a Cluster, SlurmJob)>, Failure> {
    let Some(cluster) = stage.clusters().of("juelich") else { return Ok(None) };
    let found = cluster.queue(job)?;
    let run = found.iter().find(|run| run.state == "RUNNING").cloned();
    let run = run.ok_or_else(|| Failure::new("see the job run on in Slurm", format!("{found:?}")))?;
    Ok(Some((cluster, run)))
}

/// It is the one that ran on, and not another.
fn same_in_slurm(stage: &Stage, done: &Value, orphan: Option<&(&Cluster, SlurmJob)>) -> Result<(), Failure> {
    let Some((_, before)) = orphan else { return Ok(()) };
    let after = stage.slurm_job(done)?.map(|(_, run)| run.id);
    let same = after.as_ref() == Some(&before.id);
    expect(
        "Slurm has the job once, under the number it had",
        same,
        &json!({"before": before.id, "after": after}),
    )
}

/// Both ledgers hold exactly one receipt for the job.
fn once(stage: &Stage, job: &str, done: &Value) -> Result<(), Failure> {
    let period = done["ended_at"].as_str().and_then(|at| at.get(..7)).unwrap_or_default().to_owned();
    for (directory, other) in [("{}/ca", "de"), ("{}/de", "ca")] {
        let answer = stage.sta(&["statement", &period, other, "--dir", directory])?;
        let lines = answer["statement"]["lines"].as_array().cloned().unwrap_or_default();
        let count = lines.iter().filter(|line| line["job"] == job).count();
        expect("each ledger has one receipt of the job", count == 1, &answer)?;
    }
    Ok(())
}
