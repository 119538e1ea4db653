// SPDX-License-Identifier: Apache-2.0
//! Mean wait and saving against the part of the jobs that may move.

use super::{
    Drawing,
    axis::Axis,
    frame::{Frame, Swatch},
};
use crate::{
    html::{
        edition::Edition,
        escape,
        table::{Table, head},
    },
    report::CurvePoint,
};

/// How many lines can be told apart.
const LINES_MAX: usize = 8;
/// Up to how many characters three names fit beside each other.
const SHORT: usize = 13;

/// The drawing of the mean wait.
pub(in super::super) fn wait(edition: &Edition<'_>) -> String {
    let words = edition.words;
    let points = series(edition, |point| point.wait_mean_s);
    let longest = points.iter().map(|(_, wait)| *wait).fold(0.0, f64::max);
    let (divisor, unit) = match longest {
        _ if longest < 120.0 => (1.0, "s"),
        _ if longest < 7200.0 => (60.0, "min"),
        _ => (3600.0, "h"),
    };
    let scaled: Vec<(f64, f64)> = points.iter().map(|(share, wait)| (*share, wait / divisor)).collect();
    let name = edition.say(words.curve_wait_y, &[("unit", unit)]);
    let describe = |value: f64| edition.language.duration(value * divisor);
    draw(edition, "curve-wait", [words.curve_wait, &name], &[(words.wait_mean.to_owned(), scaled)], describe)
}

/// The drawing of the savings, one line a baseline.
pub(in super::super) fn saving(edition: &Edition<'_>) -> String {
    let of =
        |index: usize| series(edition, |point| point.saving_percent.get(index).copied().unwrap_or(f64::NAN));
    let savings = edition.report.savings.iter().take(LINES_MAX).enumerate();
    let lines: Vec<_> =
        savings.map(|(index, saving)| (escape::shortened(&saving.baseline, 24), of(index))).collect();
    let names = [edition.words.curve_saving, edition.words.curve_saving_y];
    draw(edition, "curve-saving", names, &lines, |value| edition.language.change(value))
}

/// Lines with their names, over the movable share.
fn draw(
    edition: &Edition<'_>,
    id: &str,
    [title, y_name]: [&str; 2],
    lines: &[(String, Vec<(f64, f64)>)],
    describe: impl Fn(f64) -> String,
) -> String {
    let x = Axis::linear([100.0].into_iter());
    let y = Axis::rounded(lines.iter().flat_map(|(_, points)| points).map(|(_, value)| *value));
    let legend: Vec<_> =
        lines.iter().enumerate().map(|(style, (name, _))| (Swatch::Line(style), name.as_str())).collect();
    // Three in a row where all are short.
    let columns =
        if lines.iter().all(|(name, _)| name.chars().count() <= SHORT) || lines.len() == 1 { 3 } else { 2 };
    let frame = Frame::new(x, y, legend.len().div_ceil(columns));
    let x_marks: Vec<_> =
        [0.0, 25.0, 50.0, 75.0, 100.0].map(|tick| (tick, edition.language.number(tick, 0))).into();
    let y_words = |tick: f64| edition.language.number(tick, y.places());
    let mut body =
        Frame::legend(&legend, columns) + &frame.axes(&x_marks, y_words, [edition.words.curve_x, y_name]);
    body += &frame.upright("here", edition.report.movable_percent);
    for (style, (_, points)) in lines.iter().enumerate() {
        body += &frame.line(style, points);
    }
    let described: Vec<String> = lines.iter().map(|line| sentence(edition, line, &describe)).collect();
    let drawing = Drawing {
        id: edition.id(id),
        title: title.to_owned(),
        described: described.join(" "),
        height: frame.height(),
        body,
    };
    drawing.figure(title, edition, &table(edition, id, title, lines, &describe))
}

/// Where a line begins and where it ends.
fn sentence(
    edition: &Edition<'_>,
    (name, points): &(String, Vec<(f64, f64)>),
    describe: &impl Fn(f64) -> String,
) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return String::new();
    };
    let values = [
        ("first", describe(first.1)),
        ("from", edition.share(first.0)),
        ("last", describe(last.1)),
        ("to", edition.share(last.0)),
    ];
    let said = edition
        .say(edition.words.curve_described, &values.each_ref().map(|(name, value)| (*name, value.as_str())));
    format!("{name} – {said}")
}

fn series(edition: &Edition<'_>, value: impl Fn(&CurvePoint) -> f64) -> Vec<(f64, f64)> {
    edition.report.curve.iter().map(|point| (point.movable_percent, value(point))).collect()
}

/// The lines as columns.
fn table(
    edition: &Edition<'_>,
    id: &str,
    caption: &str,
    lines: &[(String, Vec<(f64, f64)>)],
    describe: &impl Fn(f64) -> String,
) -> String {
    let words = edition.words;
    let column = |(name, _): &(String, _)| {
        if name == words.wait_mean {
            return name.clone();
        }
        edition.say(words.saving_against, &[("code", &format!("<code>{name}</code>"))])
    };
    let columns: Vec<String> =
        [words.movable.to_owned()].into_iter().chain(lines.iter().map(column)).collect();
    let row = |(index, point): (usize, &CurvePoint)| {
        let values = lines.iter().filter_map(|(_, points)| points.get(index));
        [edition.share(point.movable_percent)]
            .into_iter()
            .chain(values.map(|(_, value)| describe(*value)))
            .collect()
    };
    let table = Table {
        id: edition.id(&format!("{id}-table")),
        caption: caption.to_owned(),
        head: head(&columns.iter().map(String::as_str).collect::<Vec<_>>()),
        rows: edition.report.curve.iter().enumerate().map(row).collect(),
        has_total: false,
    };
    table.html()
}
