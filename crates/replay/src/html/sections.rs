// SPDX-License-Identifier: Apache-2.0
//! The sections of the report, in the order in which they stand.

use super::{
    dates::Moment,
    edition::{Edition, change_percent, total_micro},
    escape, figures, plots,
    table::{Table, head},
};
use crate::report::Saving;

/// A section: its id, its heading, what is in it.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) heading: &'static str,
    pub(super) body: String,
}

/// All of them.
pub(super) fn all(edition: &Edition<'_>) -> Vec<Section> {
    let words = edition.words;
    let section = |id, heading, body| Section { id, heading, body };
    vec![
        section("summary", words.summary, summary(edition)),
        section("waits", words.waits, waits(edition)),
        section("costs", words.costs, costs(edition)),
        section("bills", words.bills, bills(edition)),
        section("load", words.load, load(edition)),
        section("curve", words.curve, curve(edition)),
        section("figures", words.figures, figures::section(edition)),
        section("terms", words.terms, terms(edition)),
        section("reading", words.reading, list(&words.reading_points)),
        section("limits", words.limits, list(&words.limits_points)),
    ]
}

/// What one would put on a slide: the mean wait, carbon, what was promised, and each saving with its baseline.
fn summary(edition: &Edition<'_>) -> String {
    let (words, report, language) = (edition.words, edition.report, edition.language);
    let was = |value: &str, before: f64, after: f64| {
        let change = language.change_signed(change_percent(before, after));
        edition.say(words.was_alone, &[("value", value), ("change", &change)])
    };
    let (alone, pooled) = (&report.alone, &report.total);
    let wait = was(&language.duration(alone.wait_mean_s), alone.wait_mean_s, pooled.wait_mean_s);
    let carbon = was(&language.carbon(alone.carbon_kg), alone.carbon_kg, pooled.carbon_kg);
    let bound = edition.seconds(report.terms.reclaim_bound_s);
    let promise = edition.say(words.violations_are, &[("bound", &bound)]);
    let mut cards = card(words.wait_mean, &language.duration(pooled.wait_mean_s), &wait)
        + &card(words.carbon_emitted, &language.carbon(pooled.carbon_kg), &carbon)
        + &card(words.violations, &language.count(pooled.violations), &promise);
    for saving in &report.savings {
        cards += &format!(
            "<div class=\"wide\"><dt>{}</dt><dd class=\"says\">{}</dd><dd>{}</dd></div>\n",
            words.cost,
            edition.saving(saving),
            edition.both_totals(saving)
        );
    }
    format!("<dl class=\"cards\">\n{cards}</dl>\n")
}

fn card(name: &str, value: &str, note: &str) -> String {
    format!("<div><dt>{name}</dt><dd class=\"value\">{value}</dd><dd>{note}</dd></div>\n")
}

fn waits(edition: &Edition<'_>) -> String {
    let drawings = edition
        .report
        .members
        .iter()
        .enumerate()
        .map(|(index, member)| plots::waits::figure(edition, index, member));
    intro(edition.words.waits_intro) + &side_by_side(&drawings.collect::<String>())
}

fn costs(edition: &Edition<'_>) -> String {
    let drawings = edition
        .report
        .savings
        .iter()
        .enumerate()
        .map(|(index, saving)| plots::costs::figure(edition, index, saving));
    intro(edition.words.costs_intro) + &side_by_side(&drawings.collect::<String>())
}

fn bills(edition: &Edition<'_>) -> String {
    let savings = &edition.report.savings;
    if savings.iter().all(|saving| saving.bills.is_empty()) {
        return intro(edition.words.bills_none);
    }
    let tables = savings.iter().enumerate().map(|(index, saving)| bill_table(edition, index, saving));
    intro(edition.words.bills_intro) + &tables.collect::<String>()
}

fn bill_table(edition: &Edition<'_>, index: usize, saving: &Saving) -> String {
    let words = edition.words;
    let row = |name: String, without: i64, with: i64| {
        vec![
            name,
            edition.amount(without),
            edition.amount(with),
            edition.amount_signed(with.saturating_sub(without)),
            edition.language.change_signed(change_percent(without as f64, with as f64)),
        ]
    };
    let name = |id: &str| {
        let known = edition.report.members.iter().position(|member| member.id == id);
        known.map_or_else(|| escape::isolated(id), |index| edition.member(index))
    };
    let bills = saving.bills.iter().map(|bill| row(name(&bill.member), bill.without_micro, bill.with_micro));
    let total = row(words.total.to_owned(), total_micro(&saving.without), total_micro(&saving.with));
    let caption = edition.say(words.bills_of, &[("code", &Edition::code(saving))]);
    let table = Table {
        id: edition.id(&format!("bills-{index}")),
        caption: format!(
            "{caption} · {}",
            edition.say(words.amounts_in, &[("currency", &edition.currency())])
        ),
        head: head(&[words.member, words.without, words.with, words.difference, "%"]),
        rows: bills.chain([total]).collect(),
        has_total: true,
    };
    format!("<p class=\"says\">{}</p>\n{}", edition.saving(saving), table.html())
}

fn load(edition: &Edition<'_>) -> String {
    if edition.report.load.is_empty() {
        return intro(edition.words.load_none);
    }
    let drawings = edition
        .report
        .members
        .iter()
        .enumerate()
        .map(|(index, member)| plots::load::member(edition, index, member));
    let drawings = drawings.collect::<String>() + &plots::load::carbon(edition);
    intro(edition.words.load_intro) + &side_by_side(&drawings)
}

fn curve(edition: &Edition<'_>) -> String {
    if edition.report.curve.is_empty() {
        return intro(edition.words.curve_none);
    }
    let drawings = plots::curve::wait(edition)
        + &if edition.report.savings.is_empty() { String::new() } else { plots::curve::saving(edition) };
    intro(edition.words.curve_intro) + &side_by_side(&drawings)
}

fn terms(edition: &Edition<'_>) -> String {
    let (words, report) = (edition.words, edition.report);
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row(words.scenario, escape::isolated(&report.scenario)),
        row(words.policy, policy(edition)),
        row(words.begin, begin(edition)),
        row(words.span, days(edition)),
        row(words.movable, edition.share(report.movable_percent)),
    ];
    for (index, member) in report.members.iter().enumerate() {
        let name = edition.say(words.processors_of, &[("member", &edition.member(index))]);
        rows.push(vec![name, edition.language.count(member.processors)]);
    }
    let terms = &report.terms;
    for (name, seconds) in [
        (words.staging, terms.staging_s),
        (words.checkpoint, terms.checkpoint_s),
        (words.restart, terms.restart_s),
        (words.grace, terms.grace_s),
        (words.bound, terms.reclaim_bound_s),
    ] {
        rows.push(row(name, edition.seconds(seconds)));
    }
    let table = Table {
        id: edition.id("terms-table"),
        caption: words.terms_caption.to_owned(),
        head: head(&[words.term, words.value]),
        rows,
        has_total: false,
    };
    format!("<div class=\"text\">{}</div>\n", table.html())
}

/// How the members share, in words, and by the word of the command line.
fn policy(edition: &Edition<'_>) -> String {
    let words = edition.words;
    let sentence = match edition.report.policy {
        "owner-first" => words.policy_owner_first,
        "reclaim" => words.policy_reclaim,
        "promise" => words.policy_promise,
        "global" => words.policy_global,
        "alone" => words.policy_alone,
        "fifo" => words.policy_fifo,
        "easy" => words.policy_easy,
        _ => "",
    };
    format!("<code>{}</code> {sentence}", escape::name(edition.report.policy))
}

/// When the first job came.
pub(super) fn begin(edition: &Edition<'_>) -> String {
    match Moment::read(&edition.report.from) {
        Some(moment) => format!("{}, {} ({})", moment.date(edition.words), moment.time(), moment.zone()),
        None => escape::isolated(&edition.report.from),
    }
}

/// How long it went on.
pub(super) fn days(edition: &Edition<'_>) -> String {
    let days = edition.language.number(edition.report.span_s as f64 / 86_400.0, 1);
    edition.say(edition.words.days, &[("days", &days)])
}

fn intro(sentence: &str) -> String {
    format!("<p class=\"intro\">{sentence}</p>\n")
}

fn side_by_side(drawings: &str) -> String {
    format!("<div class=\"drawings\">\n{drawings}</div>\n")
}

fn list(points: &[&str]) -> String {
    let points: String = points.iter().map(|point| format!("<li>{point}</li>\n")).collect();
    format!("<ul>\n{points}</ul>\n")
}
