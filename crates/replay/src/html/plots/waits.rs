// SPDX-License-Identifier: Apache-2.0
//! How many of a member's jobs waited longer than so long, alone and pooled.

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
    report::{Member, WaitPoint},
};

/// The wait that the description speaks of, or the longest before it.
const DESCRIBED_S: u64 = 3600;

/// The drawing of one member.
pub(in super::super) fn figure(edition: &Edition<'_>, index: usize, member: &Member) -> String {
    let (words, language) = (edition.words, edition.language);
    let longer = |percent: f64| 100.0 - percent;
    let points = |of: fn(&WaitPoint) -> f64| -> Vec<(f64, f64)> {
        member.waits.iter().map(|point| (point.wait_s as f64, longer(of(point)))).collect()
    };
    let (alone, pooled) = (points(|point| point.alone_percent), points(|point| point.pooled_percent));
    let x = Axis::waits(alone.last().map_or(0.0, |(wait, _)| *wait));
    let y = Axis::rounded(alone.iter().chain(&pooled).map(|(_, percent)| *percent));
    let frame = Frame::new(x, y, 1);
    let x_marks: Vec<_> = x.ticks().into_iter().map(|tick| (tick, mark(edition, tick))).collect();
    let body = Frame::legend(&[(Swatch::Line(1), words.alone), (Swatch::Line(0), words.pooled)], 2)
        + &frame.axes(&x_marks, |tick| language.number(tick, y.places()), [words.waits_x, words.waits_y])
        + &frame.line(1, &alone)
        + &frame.line(0, &pooled);
    let title = edition.say(words.waits_of, &[("member", &escape::name(&member.name))]);
    let id = edition.id(&format!("waits-{index}"));
    let drawing = Drawing { id, title, described: described(edition, member), height: frame.height(), body };
    let heading = edition.say(words.waits_of, &[("member", &edition.member(index))]);
    drawing.figure(&heading, edition, &table(edition, index, member, &heading))
}

fn mark(edition: &Edition<'_>, tick: f64) -> String {
    if tick == 0.0 { "0".to_owned() } else { edition.language.duration_short(tick) }
}

fn described(edition: &Edition<'_>, member: &Member) -> String {
    let Some(point) = member.waits.iter().rfind(|point| point.wait_s <= DESCRIBED_S) else {
        return String::new();
    };
    let longer = |percent: f64| edition.language.percent(100.0 - percent, 1);
    let (alone, pooled) = (longer(point.alone_percent), longer(point.pooled_percent));
    let values = [("alone", alone.as_str()), ("pooled", &pooled), ("wait", &edition.seconds(point.wait_s))];
    edition.say(edition.words.waits_described, &values)
}

fn table(edition: &Edition<'_>, index: usize, member: &Member, caption: &str) -> String {
    let longer = |percent: f64| edition.language.percent(100.0 - percent, 2);
    let row = |point: &WaitPoint| {
        vec![edition.seconds(point.wait_s), longer(point.alone_percent), longer(point.pooled_percent)]
    };
    let table = Table {
        id: edition.id(&format!("waits-{index}-table")),
        caption: caption.to_owned(),
        head: head(&[edition.words.wait_longer_than, edition.words.alone, edition.words.pooled]),
        rows: member.waits.iter().map(row).collect(),
        has_total: false,
    };
    table.html()
}
