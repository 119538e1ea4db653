// SPDX-License-Identifier: Apache-2.0
//! `sta incident`: incidents with their statutory clocks, from the first report to the end.

use std::{collections::BTreeMap, fs, path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use sta_protocol::ids::{IncidentId, JobId, ModelId, SiteId};

use super::{
    failure::{Exit, Failure, Trying},
    print::{self, Style, part},
    profile::Who,
};
use crate::{
    http::documents::{
        ClockDocument, CloseRequest, IncidentDocument, IncidentEvent, IncidentList, IncidentRequest,
    },
    outside::{Chance as _, SystemChance},
};

/// What can be done about incidents.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum IncidentCommand {
    /// Report an incident; the clocks of the law run from when somebody became aware of it
    Report(Box<ReportArgs>),
    /// List the incidents that are not closed, and what is due next about each
    List {
        #[command(flatten)]
        who: Who,
        /// Those that are closed too
        #[arg(long)]
        all: bool,
    },
    /// Show an incident: its clocks, what the law asks, what stands still, its entries
    Show(IncidentOf),
    /// Note that an authority or a provider was told
    Notify(NotifyArgs),
    /// Note what was found out, and take a new snapshot of evidence
    Found(SaidArgs),
    /// Note that it is of another or a further kind; the rules are asked again
    Reclassify(ReclassifyArgs),
    /// Note that the danger is over; a final report may be due from then on
    Resolve(ResolveArgs),
    /// Close an incident: what it stopped goes on, what it froze may go
    Close(CloseArgs),
    /// Write the newest snapshot of evidence, byte for byte
    Evidence(OutArgs),
    /// Write the proof that the newest entry about it is in your node's witnessed log
    Proof(OutArgs),
}

/// What `sta incident report` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    who: Who,
    /// critical-infrastructure-disruption, cyber-breach, death, other-serious, widespread-infringement, personal-data-breach, foreign-order, guardrail-alarm or other
    #[arg(long)]
    kind: String,
    /// What happened, without names and personal data
    #[arg(long)]
    summary: String,
    /// The job that it is about
    #[arg(long)]
    job: Option<JobId>,
    /// The model that it is about, MEMBER/NAME
    #[arg(long)]
    model: Option<ModelId>,
    /// The site that it is about
    #[arg(long)]
    site: Option<SiteId>,
    /// When it happened
    #[arg(long, value_name = "TIME")]
    occurred: Option<Timestamp>,
    /// When somebody became aware of it, such as 2026-11-23T09:30:00Z; now, where it is left out
    #[arg(long, value_name = "TIME")]
    aware: Option<Timestamp>,
    /// A fact that you state, such as incident.risk_for_people=false; what nobody states counts as the worse
    #[arg(long = "fact", value_name = "SECTION.NAME=VALUE")]
    facts: Vec<Stated>,
}

/// A fact as it is written on the command line.
#[derive(Debug, Clone)]
struct Stated {
    section: String,
    name: String,
    value: Value,
}

impl FromStr for Stated {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not of the form SECTION.NAME=VALUE, such as incident.risk_for_people=false")
        };
        let (path, value) = text.split_once('=').ok_or_else(wrong)?;
        let (section, name) = path.split_once('.').ok_or_else(wrong)?;
        // A number or yes and no as JSON has them; anything else is a word.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok(Self { section: section.to_owned(), name: name.to_owned(), value })
    }
}

/// Which incident.
#[derive(Debug, Clone, Args)]
pub(super) struct IncidentOf {
    #[command(flatten)]
    who: Who,
    /// The incident's id
    incident: IncidentId,
}

/// What `sta incident notify` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct NotifyArgs {
    #[command(flatten)]
    of: IncidentOf,
    /// Whom you told
    #[arg(long)]
    authority: String,
    /// The clock that this meets, by its number; none where no law asked for it
    #[arg(long)]
    clock: Option<u32>,
    /// Their reference
    #[arg(long)]
    reference: Option<String>,
    /// When you told them; now, where it is left out
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// The report was complete; a first one need not be
    #[arg(long)]
    complete: bool,
}

/// What `sta incident found` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct SaidArgs {
    #[command(flatten)]
    of: IncidentOf,
    /// What was found out
    #[arg(long)]
    summary: String,
}

/// What `sta incident reclassify` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ReclassifyArgs {
    #[command(flatten)]
    of: IncidentOf,
    /// The kind that it is of, as in `sta incident report`
    #[arg(long)]
    kind: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// When somebody became aware of that; now, where it is left out
    #[arg(long, value_name = "TIME")]
    aware: Option<Timestamp>,
}

/// What `sta incident resolve` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    of: IncidentOf,
    /// How it was resolved
    #[arg(long)]
    summary: String,
    /// Since when the danger is over; now, where it is left out
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// What `sta incident close` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct CloseArgs {
    #[command(flatten)]
    of: IncidentOf,
    /// With what result; it goes into the audit log
    #[arg(long)]
    reason: String,
    /// Leave out reports that are still due; for the role legal alone
    #[arg(long)]
    without_reports: bool,
}

/// What is written where.
#[derive(Debug, Clone, Args)]
pub(super) struct OutArgs {
    #[command(flatten)]
    of: IncidentOf,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
}

/// Does it.
///
/// # Errors
/// The node does not answer, the incident does not exist for the asker, or what is added does not fit.
pub(super) async fn run(command: &IncidentCommand, style: Style) -> Result<(), Failure> {
    match command {
        IncidentCommand::Report(args) => report(args, style).await,
        IncidentCommand::List { who, all } => list(who, *all, style).await,
        IncidentCommand::Show(of) => {
            let path = format!("/v1/incidents/{}", of.incident);
            shown(&of.who.client()?.ask(Method::GET, &path, None).await?, style)
        }
        IncidentCommand::Notify(args) => {
            let (authority, reference) = (args.authority.clone(), args.reference.clone());
            let (clock, at, complete) = (args.clock, args.at, args.complete);
            let event = IncidentEvent::Notified { clock, authority, reference, at, complete };
            add(&args.of, &event, style).await
        }
        IncidentCommand::Found(args) => {
            add(&args.of, &IncidentEvent::Found { summary: args.summary.clone() }, style).await
        }
        IncidentCommand::Reclassify(args) => {
            let (kind, reason, aware_at) = (args.kind.clone(), args.reason.clone(), args.aware);
            add(&args.of, &IncidentEvent::Reclassified { kind, aware_at, reason }, style).await
        }
        IncidentCommand::Resolve(args) => {
            let event = IncidentEvent::Resolved { at: args.at, summary: args.summary.clone() };
            add(&args.of, &event, style).await
        }
        IncidentCommand::Close(args) => {
            let request = CloseRequest { reason: args.reason.clone(), without_reports: args.without_reports };
            post(&args.of, "close", &request, style).await
        }
        IncidentCommand::Evidence(args) => written(args, "evidence", style).await,
        IncidentCommand::Proof(args) => written(args, "proof", style).await,
    }
}

async fn report(args: &ReportArgs, style: Style) -> Result<(), Failure> {
    let doing = "report the incident";
    let mut facts: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for stated in &args.facts {
        let section = facts.entry(stated.section.clone()).or_default();
        if section.insert(stated.name.clone(), stated.value.clone()).is_some() {
            let problem = format!("`{}.{}` is stated twice", stated.section, stated.name);
            return Err(Failure::new(doing, problem).exit(Exit::Usage));
        }
    }
    let mut random = [0; 10];
    SystemChance.fill(&mut random);
    let unix_ms = u64::try_from(Timestamp::now().as_millisecond()).trying_to(doing)?;
    let request = IncidentRequest {
        incident: Some(IncidentId::new(unix_ms, random)),
        kind: args.kind.clone(),
        summary: args.summary.clone(),
        job: args.job,
        model: args.model.clone(),
        site: args.site.clone(),
        occurred_at: args.occurred,
        aware_at: args.aware,
        facts,
    };
    let body: Value = serde_json::to_value(&request).trying_to(doing)?;
    shown(&args.who.client()?.ask(Method::POST, "/v1/incidents", Some(&body)).await?, style)
}

async fn list(who: &Who, all: bool, style: Style) -> Result<(), Failure> {
    let path = if all { "/v1/incidents?all=true" } else { "/v1/incidents" };
    let answer = who.client()?.ask(Method::GET, path, None).await?;
    let list: IncidentList = part(&answer, "list of incidents")?;
    style.answer(&answer, || {
        if list.incidents.is_empty() {
            return "No incident is open.".to_owned();
        }
        let rows = list.incidents.iter().map(|incident| {
            let next = incident.clocks.iter().filter(|clock| is_due(clock)).min_by_key(|clock| clock.due_at);
            let (rule, left) = next.map_or_else(
                || ("-".to_owned(), "nothing due".to_owned()),
                |clock| (clock.rule.clone(), time_left(clock)),
            );
            [
                incident.id.to_string(),
                incident.state.clone(),
                incident.kinds.join(", "),
                rule,
                left,
                incident.summary.clone(),
            ]
        });
        print::table(["incident", "state", "kind", "next", "time left", "summary"], rows)
    });
    Ok(())
}

async fn add(of: &IncidentOf, event: &IncidentEvent, style: Style) -> Result<(), Failure> {
    post(of, "events", event, style).await
}

async fn post(
    of: &IncidentOf,
    what: &str,
    request: &(impl serde::Serialize + Sync),
    style: Style,
) -> Result<(), Failure> {
    let body = serde_json::to_value(request).trying_to("write the request")?;
    let path = format!("/v1/incidents/{}/{what}", of.incident);
    shown(&of.who.client()?.ask(Method::POST, &path, Some(&body)).await?, style)
}

async fn written(args: &OutArgs, what: &str, style: Style) -> Result<(), Failure> {
    let text = args.of.who.client()?.text(&format!("/v1/incidents/{}/{what}", args.of.incident)).await?;
    fs::write(&args.out, text).trying_to(format!("write `{}`", args.out.display()))?;
    style.answer(&json!({"file": args.out}), || format!("Written to {}.", args.out.display()));
    Ok(())
}

fn shown(answer: &Value, style: Style) -> Result<(), Failure> {
    let incident: IncidentDocument = part(answer, "incident")?;
    style.answer(answer, || told(&incident));
    Ok(())
}

/// Whether a report is due under a clock that binds.
fn is_due(clock: &ClockDocument) -> bool {
    clock.binding && clock.duty != "keep-until" && matches!(clock.state.as_str(), "running" | "overdue")
}

fn time_left(clock: &ClockDocument) -> String {
    match (clock.state.as_str(), clock.left_s) {
        ("running", Some(left)) => days(left.unsigned_abs()),
        ("overdue", Some(left)) => format!("OVERDUE by {}", days(left.unsigned_abs())),
        _ => "-".to_owned(),
    }
}

/// Long times in days, because people count the law's periods so.
fn days(seconds: u64) -> String {
    match (seconds / 86_400, seconds % 86_400 / 3600) {
        (0, _) => print::seconds(seconds),
        (days, 0) => format!("{days} d"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

/// An incident in a screen of text.
fn told(incident: &IncidentDocument) -> String {
    let named = [
        incident.job.map(|job| format!("job {job}")),
        incident.model.as_ref().map(|model| format!("model {model}")),
        incident.site.as_ref().map(|site| format!("site {site}")),
    ];
    let named: Vec<String> = named.into_iter().flatten().collect();
    let mut lines = vec![
        format!("Incident {}  {}  {}", incident.id, incident.state, incident.kinds.join(", ")),
        format!("  {}", incident.summary),
        format!(
            "  known since {}, reported by {} at {}",
            incident.aware_at, incident.reporter, incident.reported_at
        ),
    ];
    if !named.is_empty() {
        lines.push(format!("  about {}", named.join(", ")));
    }
    if incident.clocks.is_empty() {
        lines.push("  No clock of the law runs for it.".to_owned());
    } else {
        let rows = incident.clocks.iter().map(|clock| {
            let binding = if clock.binding { "" } else { " (not in force yet)" };
            let done =
                clock.met_at.map_or_else(|| clock.state.clone(), |at| format!("{at} ({})", clock.state));
            [
                clock.number.to_string(),
                format!("{}: {}", clock.what, clock.authority),
                format!("{}{binding}", clock.source),
                clock.due_at.to_string(),
                time_left(clock),
                done,
            ]
        });
        lines.push(print::table([">", "what, to whom", "article", "due at", "time left", "done at"], rows));
    }
    for reason in incident.reasons.iter().filter(|reason| is_worth_a_line(&reason.effects)) {
        lines.push(format!("  {}: {}\n    -> {}", reason.rule, reason.sentence, reason.advice));
    }
    if !incident.assumed.is_empty() {
        let count = incident.assumed.len();
        lines.push(format!("  {count} facts that nobody stated count as the worse; --json names them"));
    }
    for hold in &incident.holds {
        lines.push(format!("  a job stands still for it: hold {hold}"));
    }
    if !incident.frozen_jobs.is_empty() {
        let jobs: Vec<String> = incident.frozen_jobs.iter().map(ToString::to_string).collect();
        lines.push(format!("  nothing of these jobs is removed until it is closed: {}", jobs.join(", ")));
    }
    for entry in &incident.entries {
        let step = entry.step["step"].as_str().unwrap_or_default();
        lines.push(format!("  {} {} by {}", entry.at, step, entry.by));
    }
    lines.join("\n")
}

/// Classes that the law finds on the way say little to people; what has to be done does.
fn is_worth_a_line(effects: &[String]) -> bool {
    effects.iter().any(|effect| !effect.starts_with("sets:") && !effect.starts_with("label:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_a_number_a_yes_or_no_or_a_word_and_anything_else_is_refused_with_an_example() {
        let value = |text: &str| text.parse::<Stated>().unwrap().value;
        assert_eq!(value("incident.risk_for_people=false"), json!(false));
        assert_eq!(value("model.teraflop=12"), json!(12));
        assert_eq!(value("intent.purpose=research"), json!("research"));
        for wrong in ["incident", "incident.x", "x=1"] {
            let told = wrong.parse::<Stated>().unwrap_err();
            assert_eq!(
                told,
                format!(
                    "`{wrong}` is not of the form SECTION.NAME=VALUE, such as incident.risk_for_people=false"
                )
            );
        }
    }

    #[test]
    fn times_are_told_in_days_once_there_are_any() {
        assert_eq!([59, 3600, 86_400, 5 * 86_400 + 7200].map(days), ["59 s", "1 h", "1 d", "5 d 2 h"]);
    }
}
