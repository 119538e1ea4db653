// SPDX-License-Identifier: Apache-2.0
//! From the cost without the pool to the cost with it: what each component takes away or adds.

use std::fmt::Write as _;

use super::{DOTS, Drawing, HATCH, WIDTH, label, pattern, place};
use crate::{
    html::{
        edition::{Edition, change_percent, total_micro},
        escape,
        table::{Table, head},
    },
    report::{Cost, Saving},
};

/// A row: its words, and its bar below them.
const ROW: f64 = 40.0;
const BAR: f64 = 15.0;
/// The patterns of the components.
const KINDS: [(&str, &str); 3] = [("owned", ""), ("electricity", HATCH), ("cloud", DOTS)];

/// The drawing of one baseline.
pub(in super::super) fn figure(edition: &Edition<'_>, index: usize, saving: &Saving) -> String {
    let id = edition.id(&format!("costs-{index}"));
    let code = escape::name(&saving.baseline);
    let title = edition.say(edition.words.costs_of, &[("code", &code)]);
    let described = format!("{}. {}", plain(&edition.saving(saving)), edition.both_totals(saving));
    let drawing = Drawing { body: body(edition, &id, saving), id, title, described, height: 5.0 * ROW };
    let mut heading = format!("{} <span>{}", edition.saving(saving), edition.both_totals(saving));
    if let Some(percent) = saving.carbon_saving_percent {
        let percent = edition.language.change_signed(-percent);
        heading += &format!(" · {}", edition.say(edition.words.carbon_saved, &[("percent", &percent)]));
    }
    heading += "</span>";
    drawing.figure(&heading, edition, &table(edition, index, saving))
}

fn body(edition: &Edition<'_>, id: &str, saving: &Saving) -> String {
    let (without, with) = (parts(&saving.without), parts(&saving.with));
    let scale = Scale::of(&without, &with);
    let words = edition.words;
    let names = [words.owned, words.electricity, words.cloud];
    let mut drawn = String::new();
    for (kind, strokes) in KINDS {
        drawn += &pattern(&format!("{id}-{kind}"), kind, strokes);
    }
    let mut at = without.iter().sum::<f64>();
    let mut bars = outer(edition, id, &scale, 0, words.without, &without);
    for (row, name) in names.into_iter().enumerate() {
        let change = with[row] - without[row];
        let value = edition.amount_signed(micro(change));
        // What joins the bars is drawn first, so that words lie upon it.
        drawn += &join(&scale, row, at);
        bars += &row_words(row + 1, name, &value, "");
        bars += &bar(&scale, row + 1, at, at + change, &format!("{id}-{}", KINDS[row].0));
        at += change;
    }
    drawn += &join(&scale, 3, at);
    drawn + &bars + &outer(edition, id, &scale, 4, words.with, &with)
}

/// A whole cost, made of its parts; as one bar where a part is below zero.
fn outer(edition: &Edition<'_>, id: &str, scale: &Scale, row: usize, name: &str, parts: &[f64; 3]) -> String {
    let total: f64 = parts.iter().sum();
    let mut drawn = row_words(row, name, &edition.money(micro(total)), " strong");
    if parts.iter().any(|part| *part < 0.0) {
        return drawn + &bar(scale, row, 0.0, total, &format!("{id}-owned"));
    }
    let mut at = 0.0;
    for (part, (kind, _)) in parts.iter().zip(KINDS).filter(|(part, _)| **part > 0.0) {
        drawn += &bar(scale, row, at, at + part, &format!("{id}-{kind}"));
        at += part;
    }
    drawn
}

fn row_words(row: usize, name: &str, value: &str, weight: &str) -> String {
    let y = row as f64 * ROW + 13.0;
    label(0.0, y, &format!("start on{weight}"), name) + &label(WIDTH, y, &format!("end on{weight}"), value)
}

fn bar(scale: &Scale, row: usize, from: f64, to: f64, fill: &str) -> String {
    let (left, right) = (scale.x(from.min(to)), scale.x(from.max(to)));
    format!(
        "<rect class=\"area\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{BAR}\" fill=\"url(#{fill})\"/>\n",
        place(left),
        place(row as f64 * ROW + 19.0),
        // What did not change is still seen.
        place((right - left).max(0.6)),
    )
}

/// From the end of one bar down to the next.
fn join(scale: &Scale, row: usize, at: f64) -> String {
    let mut drawn = String::new();
    let top = row as f64 * ROW + 19.0 + BAR;
    let _ =
        writeln!(drawn, "<path class=\"join\" d=\"M{} {}v{}\"/>", place(scale.x(at)), place(top), ROW - BAR);
    drawn
}

/// From money to places.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// With room for every bar and for zero.
    fn of(without: &[f64; 3], with: &[f64; 3]) -> Self {
        let mut scale = Self { least: 0.0, most: 0.0 };
        let mut at: f64 = without.iter().sum();
        scale.reach(at);
        for (before, after) in without.iter().zip(with) {
            at += after - before;
            scale.reach(at);
        }
        scale.most = scale.most.max(scale.least + 1.0);
        scale
    }

    fn reach(&mut self, value: f64) {
        (self.least, self.most) = (self.least.min(value), self.most.max(value));
    }

    fn x(&self, value: f64) -> f64 {
        0.5 + (WIDTH - 1.0) * (value - self.least) / (self.most - self.least)
    }
}

fn parts(cost: &Cost) -> [f64; 3] {
    [cost.owned_micro, cost.electricity_micro, cost.cloud_micro].map(|micro| micro as f64)
}

fn micro(value: f64) -> i64 {
    value as i64
}

/// Without the elements in it.
fn plain(html: &str) -> String {
    ["<strong>", "</strong>", "<code>", "</code>"]
        .iter()
        .fold(html.to_owned(), |text, tag| text.replace(tag, ""))
}

fn table(edition: &Edition<'_>, index: usize, saving: &Saving) -> String {
    let words = edition.words;
    let row = |name: &str, without: i64, with: i64| {
        let change = change_percent(without as f64, with as f64);
        vec![
            name.to_owned(),
            edition.amount(without),
            edition.amount(with),
            edition.amount_signed(with.saturating_sub(without)),
            edition.language.change_signed(change),
        ]
    };
    let (without, with) = (&saving.without, &saving.with);
    let caption = edition.say(words.costs_of, &[("code", &Edition::code(saving))]);
    let table = Table {
        id: edition.id(&format!("costs-{index}-table")),
        caption: format!(
            "{caption} · {}",
            edition.say(words.amounts_in, &[("currency", &edition.currency())])
        ),
        head: head(&[words.component, words.without, words.with, words.difference, "%"]),
        rows: vec![
            row(words.owned, without.owned_micro, with.owned_micro),
            row(words.electricity, without.electricity_micro, with.electricity_micro),
            row(words.cloud, without.cloud_micro, with.cloud_micro),
            row(words.total, total_micro(without), total_micro(with)),
        ],
        has_total: true,
    };
    table.html()
}
