// SPDX-License-Identifier: Apache-2.0
//! Busy processors of each member, and the carbon of all, over time.

use super::{
    Drawing, HATCH,
    axis::Axis,
    frame::{Frame, Swatch},
    pattern,
};
use crate::{
    html::{
        dates::Moment,
        edition::Edition,
        escape,
        table::{Table, head},
    },
    report::{LoadPoint, Member},
};

const DAY_S: u64 = 86_400;
/// How far apart the marks of the axis of time may be.
const STEPS_S: [u64; 13] = [
    3600,
    2 * 3600,
    6 * 3600,
    12 * 3600,
    DAY_S,
    2 * DAY_S,
    7 * DAY_S,
    14 * DAY_S,
    28 * DAY_S,
    56 * DAY_S,
    112 * DAY_S,
    364 * DAY_S,
    3640 * DAY_S,
];
/// The most marks of that axis.
const TICKS_MAX: u64 = 6;
/// Above the line of what there is.
const HEADROOM: f64 = 1.04;
/// Grams a second to kilograms an hour.
const KG_PER_HOUR: f64 = 3.6;

/// The drawing of one member.
pub(in super::super) fn member(edition: &Edition<'_>, index: usize, member: &Member) -> String {
    let (words, language) = (edition.words, edition.language);
    let of = |values: fn(&LoadPoint) -> &Vec<f64>| {
        series(edition, |point| values(point).get(index).copied().unwrap_or(0.0))
    };
    let (busy, guests) = (of(|point| &point.busy), of(|point| &point.guests));
    let processors = member.processors as f64;
    let y = Axis::linear(busy.iter().map(|(_, value)| *value).chain([HEADROOM * processors]));
    let (x, end) = (Axis::linear([end_s(edition)].into_iter()), end_s(edition));
    let frame = Frame::new(x, y, 2);
    let id = edition.id(&format!("load-{index}"));
    let (busy_steps, guest_steps) = (frame.steps(&busy, end), frame.steps(&guests, end));
    let pattern_id = format!("{id}-guests");
    let has = edition.say(words.has, &[("processors", &language.count(member.processors))]);
    let legend = [
        (Swatch::Area("busy"), words.busy),
        (Swatch::Rule("capacity"), has.as_str()),
        (Swatch::Pattern(&pattern_id), words.guests),
    ];
    let body = pattern(&pattern_id, "guests", HATCH)
        + &Frame::legend(&legend, 2)
        + &format!("<path class=\"busy\" d=\"{}\"/>\n", frame.closed(&busy_steps, 0.0))
        + &format!(
            "<path class=\"area\" fill=\"url(#{pattern_id})\" d=\"{}\"/>\n",
            frame.closed(&guest_steps, 0.0)
        )
        + &format!("<path class=\"edge\" d=\"{busy_steps}\"/>\n")
        + &frame.axes(
            &time_marks(edition),
            |tick| language.number(tick, y.places()),
            [words.date, words.load_y],
        )
        + &frame.level("capacity", processors);
    let title = edition.say(words.load_of, &[("member", &escape::name(&member.name))]);
    let drawing = Drawing {
        id,
        title,
        described: described(edition, &busy, &guests, member),
        height: frame.height(),
        body,
    };
    let heading = edition.say(words.load_of, &[("member", &edition.member(index))]);
    let table =
        table(edition, &format!("load-{index}"), &heading, [words.busy, words.guests], [&busy, &guests]);
    drawing.figure(&heading, edition, &table)
}

/// The drawing of the carbon of all.
pub(in super::super) fn carbon(edition: &Edition<'_>) -> String {
    let (words, language) = (edition.words, edition.language);
    let alone = series(edition, |point| KG_PER_HOUR * point.carbon_alone_g_s);
    let pooled = series(edition, |point| KG_PER_HOUR * point.carbon_g_s);
    let y = Axis::rounded(alone.iter().chain(&pooled).map(|(_, value)| *value));
    let (x, end) = (Axis::linear([end_s(edition)].into_iter()), end_s(edition));
    let frame = Frame::new(x, y, 1);
    let alone_area = frame.closed(&frame.steps(&alone, end), 0.0);
    let legend = [(Swatch::Area("before"), words.alone), (Swatch::Rule("edge"), words.pooled)];
    let body = Frame::legend(&legend, 2)
        + &format!("<path class=\"before\" d=\"{alone_area}\"/>\n")
        + &frame.axes(
            &time_marks(edition),
            |tick| language.number(tick, y.places()),
            [words.date, words.carbon_y],
        )
        + &format!("<path class=\"edge\" d=\"{}\"/>\n", frame.steps(&pooled, end));
    let average = |points: &[(f64, f64)]| language.number(mean(points), 1);
    let values = [("alone", average(&alone)), ("pooled", average(&pooled))];
    let described =
        edition.say(words.carbon_described, &values.each_ref().map(|(name, value)| (*name, value.as_str())));
    let drawing = Drawing {
        id: edition.id("carbon"),
        title: words.carbon_of.to_owned(),
        described,
        height: frame.height(),
        body,
    };
    let caption = format!("{} · {}", words.carbon_of, words.carbon_y);
    let table = table(edition, "carbon", &caption, [words.alone, words.pooled], [&alone, &pooled]);
    drawing.figure(words.carbon_of, edition, &table)
}

fn series(edition: &Edition<'_>, value: impl Fn(&LoadPoint) -> f64) -> Vec<(f64, f64)> {
    edition.report.load.iter().map(|point| (point.at_s as f64, value(point))).collect()
}

fn mean(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, value)| value).sum::<f64>() / points.len().max(1) as f64
}

/// Where the last stretch ends: all are of one length.
fn end_s(edition: &Edition<'_>) -> f64 {
    match edition.report.load.as_slice() {
        [.., before, last] => (last.at_s + last.at_s.saturating_sub(before.at_s)) as f64,
        _ => edition.report.span_s as f64,
    }
}

/// Whole days, or hours where there are few days.
fn time_marks(edition: &Edition<'_>) -> Vec<(f64, String)> {
    let end = end_s(edition) as u64;
    let begin = Moment::read(&edition.report.from);
    let step = STEPS_S.into_iter().find(|step| end / step < TICKS_MAX).unwrap_or(end.max(1));
    let past_midnight = begin.map_or(0, Moment::second_of_day);
    let first = (step - past_midnight % step) % step;
    let words = |at_s: u64| match begin.map(|begin| begin.later(at_s)) {
        Some(moment) if step < DAY_S && moment.second_of_day() > 0 => moment.time(),
        Some(moment) => moment.day_short(edition.words),
        None => edition.seconds(at_s),
    };
    let marks = (0..TICKS_MAX).map(|number| first + number * step).take_while(|at_s| *at_s <= end);
    marks.map(|at_s| (at_s as f64, words(at_s))).collect()
}

fn described(edition: &Edition<'_>, busy: &[(f64, f64)], guests: &[(f64, f64)], member: &Member) -> String {
    let number = |value: f64| edition.language.number(value, 0);
    let peak = busy.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let values = [
        ("busy", number(mean(busy))),
        ("processors", edition.language.count(member.processors)),
        ("guests", number(mean(guests))),
        ("peak", number(peak)),
    ];
    edition.say(edition.words.load_described, &values.each_ref().map(|(name, value)| (*name, value.as_str())))
}

fn table(
    edition: &Edition<'_>,
    id: &str,
    caption: &str,
    columns: [&str; 2],
    series: [&[(f64, f64)]; 2],
) -> String {
    let begin = Moment::read(&edition.report.from);
    let time = |at_s: u64| match begin.map(|begin| begin.later(at_s)) {
        Some(moment) => format!("{}\u{a0}{}", moment.day_short(edition.words), moment.time()),
        None => edition.seconds(at_s),
    };
    let number = |value: f64| edition.language.number(value, 1);
    let row = |((at_s, first), (_, second)): (&(f64, f64), &(f64, f64))| {
        vec![time(*at_s as u64), number(*first), number(*second)]
    };
    let table = Table {
        id: edition.id(&format!("{id}-table")),
        caption: caption.to_owned(),
        head: head(&[edition.words.time, columns[0], columns[1]]),
        rows: series[0].iter().zip(series[1]).map(row).collect(),
        has_total: false,
    };
    table.html()
}
