// SPDX-License-Identifier: Apache-2.0
//! `sta why`: the dossier of a job: every site with price, grams and wait, every rule that fired, every host's answer.

use std::collections::BTreeMap;

use clap::Args;
use sta_protocol::{federation::Exit, ids::JobId, refusal::Refusal};

use super::{
    failure::Failure,
    gate::told,
    print::{self, Style},
    profile::Who,
    standing::alone_text,
};
use crate::{
    http::documents::{AttemptDocument, GateList, JobDocument, JobStandingDocument},
    steps::dossier::{AnswerNote, CandidateNote, Dossier, MoveNote},
    store::moves::Why,
};

/// What `sta why` is told.
#[derive(Debug, Clone, Args)]
pub(super) struct WhyArgs {
    #[command(flatten)]
    who: Who,
    /// The job's id
    job: JobId,
}

/// Does it.
///
/// # Errors
/// The node does not answer, or says no.
pub(super) async fn run(args: &WhyArgs, style: Style) -> Result<(), Failure> {
    let client = args.who.client()?;
    let answer = client.get(&format!("/v1/jobs/{}/why", args.job)).await?;
    let dossier: Dossier = print::part(&answer, "the dossier")?;
    let gates = client.get(&format!("/v1/jobs/{}/gates", args.job)).await?;
    let gates: GateList = print::part(&gates, "the gates' answers")?;
    let job = client.get(&format!("/v1/jobs/{}", args.job)).await?;
    let job: JobDocument = print::part(&job, "the job")?;
    // None of a job that was refused, and at a node of an earlier version.
    let alone = client.get(&format!("/v1/jobs/{}/standing", args.job)).await.ok();
    let mut document = answer.clone();
    document["gates"] = serde_json::json!(gates.decisions);
    let mut alone_told = String::new();
    if let Some(alone) = alone {
        let job: JobStandingDocument = print::part(&alone, "the job, played alone")?;
        alone_told = alone_text(&job);
        document["standing"] = alone;
    }
    style.answer(&document, || {
        let at_gates: String =
            gates.decisions.iter().map(|decision| format!("\n{}", told(decision))).collect();
        text(&dossier, style) + &reclaimed(&job) + &moved(&dossier) + &alone_told + &at_gates
    });
    Ok(())
}

/// From where a job went on elsewhere, or was to and did not.
fn moved(dossier: &Dossier) -> String {
    let told = dossier.moved.iter().map(|note| {
        let why = match note.why {
            Why::Owed => "at home alone it would run by now",
            Why::Sooner => "another site has room now",
            Why::Returned => "its host gave it back",
        };
        let MoveNote { site, by, at, attempt, .. } = note;
        if note.kept_by.is_empty() {
            let saved = if note.with_saved { ", with what it saved" } else { "" };
            return format!(
                "\nTaken back from {site} ({by}) at {at} before attempt {attempt}{saved}: {why}.\n"
            );
        }
        let kept = rules(&note.kept_by);
        format!(
            "\nStays at {site} ({by}), asked at {at} before attempt {attempt}, since {why}: kept by {kept}.\n"
        )
    });
    let told: String = told.collect();
    if dossier.times_moved() == 0 { told } else { told + "Placed anew where it goes on soonest.\n" }
}

/// Why a job had to leave a site and waits or waited again.
fn reclaimed(job: &JobDocument) -> String {
    let left = job.attempts.iter().filter(|attempt| attempt.exit == Exit::Reclaimed).map(|attempt| {
        let AttemptDocument { attempt, site, ended_at, .. } = attempt;
        let why = if job.host.as_ref() == Some(&job.home) && job.site.as_ref() == Some(site) {
            "a job that came home was owed the place, and alone this one would still have waited"
        } else {
            "its owner needed the place for its own jobs"
        };
        format!(
            "\nAttempt {attempt} had to leave {site} at {ended_at}: {why}.\n  The job goes on from what it saved as soon as there is room. It uses up none of its attempts.\n"
        )
    });
    let notice = job.notice_at.iter().map(|at| {
        format!(
            "\nAttempt {} was given notice at {at}: the owner of its site needs the place.\n",
            job.attempt
        )
    });
    left.chain(notice).collect()
}

/// The dossier as people read it.
fn text(dossier: &Dossier, style: Style) -> String {
    let mut text = format!(
        "Decided {} under treaty {} and rules {}.\n",
        dossier.decided_at, dossier.treaty, dossier.rules
    );
    if !dossier.candidates.is_empty() {
        let head =
            [">rank", "site", "verdict", ">price at most", ">CO2 at most", ">wait", ">staging", ">score"];
        text += &print::table(head, dossier.candidates.iter().map(|site| row(dossier, site)));
        text += "\nPrices are in the treaty's currency at the job's time limit; a lower score is better.\n";
    }
    if !dossier.answers.is_empty() {
        text += &format!(
            "\n{}\n",
            print::table(["answer of", "for site", "at", "answer"], dossier.answers.iter().map(answer_row))
        );
    }
    text + &reasons(dossier, style)
}

fn row(dossier: &Dossier, site: &CandidateNote) -> [String; 8] {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    [
        number(site.rank.map(u64::from)),
        format!("{} ({})", site.site, site.member),
        verdict(dossier, site),
        print::decimal(site.price_micro_max),
        print::grams(site.co2_ug),
        print::seconds(site.wait_s.into()),
        print::seconds(site.staging_s.into()),
        number(site.score),
    ]
}

/// What home decided about a site, and what its host answered.
fn verdict(dossier: &Dossier, site: &CandidateNote) -> String {
    let answer = dossier.answers.iter().find(|answer| answer.site == site.site);
    match (answer, site.rank) {
        (Some(answer), _) if answer.admitted => "admitted by the host".to_owned(),
        (Some(answer), _) => format!("refused by the host: {}", rules(&answer.refusals)),
        (None, Some(_)) => format!("permitted by {}", site.permitted_by.join(", ")),
        (None, None) if site.refusals.is_empty() => "not considered".to_owned(),
        (None, None) => format!("refused: {}", rules(&site.refusals)),
    }
}

fn answer_row(answer: &AnswerNote) -> [String; 4] {
    let said =
        if answer.admitted { "admitted".to_owned() } else { format!("refused: {}", rules(&answer.refusals)) };
    [answer.by.to_string(), answer.site.to_string(), answer.at.to_string(), said]
}

fn rules(refusals: &[Refusal]) -> String {
    let mut rules: Vec<_> = refusals.iter().map(|refusal| refusal.rule.as_str()).collect();
    rules.dedup();
    rules.join(", ")
}

/// Each refusal once, with the sites that it is about.
fn reasons(dossier: &Dossier, style: Style) -> String {
    let mut sites: BTreeMap<&Refusal, Vec<&str>> = BTreeMap::new();
    for refusal in &dossier.refusals {
        sites.entry(refusal).or_default();
    }
    let of_sites = dossier.candidates.iter().map(|note| (note.site.as_str(), &note.refusals));
    let of_hosts = dossier.answers.iter().map(|note| (note.site.as_str(), &note.refusals));
    for (site, refusals) in of_sites.chain(of_hosts) {
        refusals.iter().for_each(|refusal| sites.entry(refusal).or_default().push(site));
    }
    let told = sites.into_iter().map(|(refusal, sites)| {
        let place = if sites.is_empty() { "every site".to_owned() } else { sites.join(", ") };
        format!("\n{place}: {}", print::refusal(style.language, refusal))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::text::Language;

    #[test]
    fn the_dossier_shows_every_site_with_its_numbers_and_each_rule_once_with_its_article() {
        let refusal = json!({
            "rule": "SOV-004", "source": "18 USC 2713; GDPR Art. 48", "by": "ca", "advice": "",
            "facts": {"data.id": "de/hospital", "data.class": "special", "site.id": "frankfurt-cloud", "site.operator": "Rhein-Main Cloud GmbH", "site.exposed_to": "us"},
        });
        let site = |name: &str, rank: Option<u32>, refusals: serde_json::Value| {
            json!({
                "site": name, "member": "de", "rank": rank, "permitted_by": ["ADM-001"], "refusals": refusals, "price_micro_max": 12_500,
                "co2_ug": 430_000, "wait_s": 0, "staging_s": 90, "score": rank.map(|_| 1000),
            })
        };
        let dossier = json!({
            "version": 1, "decided_at": "2026-11-23T12:00:00Z", "treaty": "a".repeat(64), "rules": "b".repeat(64), "refusals": [],
            "candidates": [site("juelich", Some(1), json!([])), site("frankfurt-cloud", None, json!([refusal]))],
            "answers": [{"site": "juelich", "by": "de", "at": "2026-11-23T12:00:01Z", "admitted": true, "refusals": []}],
        });
        let dossier: Dossier = serde_json::from_value(dossier).expect("it is a dossier");
        insta::assert_snapshot!(text(&dossier, Style { json: false, language: Language::En }));
    }
}
