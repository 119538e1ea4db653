// SPDX-License-Identifier: Apache-2.0
//! The table of all figures: each member and all together, alone and pooled.

use super::{
    edition::{Edition, total_micro},
    numbers::NOTHING,
    table::Table,
};
use crate::report::{Member, Outcome};

/// The section with it.
pub(super) fn section(edition: &Edition<'_>) -> String {
    let words = edition.words;
    let table = Table {
        id: edition.id("figures-table"),
        caption: words.figures_caption.to_owned(),
        head: head(edition),
        rows: [waits(edition), work(edition), promises(edition), cost(edition)].concat(),
        has_total: false,
    };
    format!("<p class=\"intro\">{}</p>\n{}", words.figures_intro, table.html())
}

/// Two rows: whose, and on which side.
fn head(edition: &Edition<'_>) -> String {
    let words = edition.words;
    let members = (0..edition.report.members.len()).map(|index| edition.member(index));
    let groups = members.chain([words.all_members.to_owned()]);
    let whose: String =
        groups.map(|name| format!("<th scope=\"colgroup\" colspan=\"2\">{name}</th>")).collect();
    let sides = format!("<th scope=\"col\">{}</th><th scope=\"col\">{}</th>", words.alone, words.pooled);
    format!(
        "<tr><th scope=\"col\" rowspan=\"2\">{}</th>{whose}</tr><tr>{}</tr>",
        words.figure,
        sides.repeat(edition.report.members.len() + 1)
    )
}

fn waits(edition: &Edition<'_>) -> Vec<Vec<String>> {
    let (words, language) = (edition.words, edition.language);
    vec![
        both(edition, words.jobs, |side| language.count(side.jobs)),
        both(edition, words.too_large, |side| language.count(side.too_large)),
        both(edition, words.wait_mean, |side| language.duration(side.wait_mean_s)),
        both(edition, words.wait_p50, |side| edition.seconds(side.wait_p50_s)),
        both(edition, words.wait_p95, |side| edition.seconds(side.wait_p95_s)),
        both(edition, words.wait_p99, |side| edition.seconds(side.wait_p99_s)),
        both(edition, words.wait_max, |side| edition.seconds(side.wait_max_s)),
    ]
}

fn work(edition: &Edition<'_>) -> Vec<Vec<String>> {
    let (words, language) = (edition.words, edition.language);
    let hours = |hours: f64| language.number(hours, 0);
    vec![
        both(edition, words.processor_hours, |side| hours(side.processor_hours)),
        both(edition, words.busy_percent, |side| language.percent(side.busy_percent, 1)),
        pooled(edition, words.moved, |side| language.count(side.moved)),
        members(edition, words.given, |member| hours(member.given_hours)),
        members(edition, words.taken, |member| hours(member.taken_hours)),
        pooled(edition, words.evictions, |side| language.count(side.evictions)),
        pooled(edition, words.lost_hours, |side| language.number(side.lost_hours, 1)),
    ]
}

fn promises(edition: &Edition<'_>) -> Vec<Vec<String>> {
    let (words, language) = (edition.words, edition.language);
    let bound = edition.seconds(edition.report.terms.reclaim_bound_s);
    let violations = edition.say(words.violations_row, &[("bound", &bound)]);
    let weeks = |[worse, all]: [u64; 2]| {
        let (worse, all) = (language.count(worse), language.count(all));
        edition.say(words.of_weeks, &[("worse", &worse), ("weeks", &all)])
    };
    vec![
        pooled(edition, &violations, |side| format!("<strong>{}</strong>", language.count(side.violations))),
        pooled(edition, words.later_than_alone, |side| language.count(side.later_than_alone)),
        members(edition, words.weeks_worse, |member| weeks(member.weeks_worse)),
    ]
}

fn cost(edition: &Edition<'_>) -> Vec<Vec<String>> {
    let words = edition.words;
    let currency = edition.currency();
    let name = |component: &str| {
        let component = format!("{component}, {currency}");
        edition.say(words.cost_of, &[("component", &component)])
    };
    vec![
        both(edition, &name(words.owned), |side| edition.amount(side.cost.owned_micro)),
        both(edition, &name(words.electricity), |side| edition.amount(side.cost.electricity_micro)),
        both(edition, &name(words.cloud), |side| edition.amount(side.cost.cloud_micro)),
        both(edition, &name(words.total), |side| edition.amount(total_micro(&side.cost))),
        both(edition, words.carbon_row, |side| edition.language.number(side.carbon_kg, 1)),
    ]
}

/// A figure that both sides have.
fn both(edition: &Edition<'_>, name: &str, value: impl Fn(&Outcome) -> String) -> Vec<String> {
    let report = edition.report;
    let members = report.members.iter().flat_map(|member| [value(&member.alone), value(&member.pooled)]);
    let total = [value(&report.alone), value(&report.total)];
    [name.to_owned()].into_iter().chain(members).chain(total).collect()
}

/// A figure that only a pool has.
fn pooled(edition: &Edition<'_>, name: &str, value: impl Fn(&Outcome) -> String) -> Vec<String> {
    let report = edition.report;
    let sides = report.members.iter().map(|member| &member.pooled).chain([&report.total]);
    let cells = sides.flat_map(|side| [NOTHING.to_owned(), value(side)]);
    [name.to_owned()].into_iter().chain(cells).collect()
}

/// A figure that members have, each for itself.
fn members(edition: &Edition<'_>, name: &str, value: impl Fn(&Member) -> String) -> Vec<String> {
    let cells = edition.report.members.iter().flat_map(|member| [NOTHING.to_owned(), value(member)]);
    [name.to_owned()].into_iter().chain(cells).chain([NOTHING.to_owned(), NOTHING.to_owned()]).collect()
}
