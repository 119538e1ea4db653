// SPDX-License-Identifier: Apache-2.0
//! What drawings over two axes share: the axes, lines with markers, stepped areas, and the legend.

use std::fmt::Write as _;

use super::{WIDTH, axis::Axis, label, place};

/// Beside the drawing, for the marks of the axis upwards.
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 12.0;
/// The part between the axes.
const INNER_HEIGHT: f64 = 150.0;
/// Below it, for the marks and the name of the axis across.
const BELOW: f64 = 38.0;
/// A row of the legend.
const ROW: f64 = 17.0;
/// About how many markers a line has.
const MARKERS: usize = 7;

/// Two axes below some rows of legend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    x: Axis,
    y: Axis,
    top: f64,
}

/// What stands before a word of the legend.
pub(super) enum Swatch<'a> {
    /// A line and its marker, by its number.
    Line(usize),
    /// A line without marker, by its class.
    Rule(&'a str),
    /// An area, by its class.
    Area(&'a str),
    /// An area, by the id of its pattern.
    Pattern(&'a str),
}

impl Frame {
    pub(super) fn new(x: Axis, y: Axis, legend_rows: usize) -> Self {
        Self { x, y, top: ROW * (legend_rows as f64 + 1.0) + 10.0 }
    }

    pub(super) fn height(&self) -> f64 {
        self.top + INNER_HEIGHT + BELOW
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.x.part(value)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + INNER_HEIGHT * (1.0 - self.y.part(value))
    }

    /// The axes with their names; `x_marks` are the values and words across.
    pub(super) fn axes(
        &self,
        x_marks: &[(f64, String)],
        y_words: impl Fn(f64) -> String,
        names: [&str; 2],
    ) -> String {
        let mut drawn = String::new();
        let bottom = self.top + INNER_HEIGHT;
        for tick in self.y.ticks() {
            let y = self.y(tick);
            let class = if tick == 0.0 { "base" } else { "grid" };
            let _ = writeln!(drawn, "<path class=\"{class}\" d=\"M{LEFT} {0}H{RIGHT}\"/>", place(y));
            drawn += &label(LEFT - 6.0, y + 4.0, "end", &y_words(tick));
        }
        for (value, words) in x_marks {
            let x = self.x(*value);
            let _ = writeln!(drawn, "<path class=\"tick\" d=\"M{} {}v4\"/>", place(x), place(bottom));
            drawn += &label(x, bottom + 17.0, if x > RIGHT - 10.0 { "last" } else { "mid" }, words);
        }
        drawn += &label(0.0, self.top - 12.0, "name", names[1]);
        drawn + &label(RIGHT, bottom + 33.0, "name end", names[0])
    }

    /// The words above the drawing, two in a row where they are short.
    pub(super) fn legend(entries: &[(Swatch<'_>, &str)], columns: usize) -> String {
        let mut drawn = String::new();
        for (index, (swatch, words)) in entries.iter().enumerate() {
            let x = (index % columns) as f64 * (WIDTH / columns as f64);
            let y = 11.0 + ROW * (index / columns) as f64;
            let area = |class: &str, fill: &str| {
                let (x, y) = (place(x), place(y - 9.5));
                format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"26\" height=\"11\"{fill}/>\n")
            };
            let (left, middle, right) = (place(x), place(y - 4.0), place(x + 26.0));
            drawn += &match swatch {
                Swatch::Line(style) => {
                    format!("<path class=\"line s{style}\" d=\"M{left} {middle}H{right}\"/>\n")
                        + &marker(*style, x + 13.0, y - 4.0)
                }
                Swatch::Rule(class) => format!("<path class=\"{class}\" d=\"M{left} {middle}H{right}\"/>\n"),
                Swatch::Area(class) => area(&format!("area {class}"), ""),
                Swatch::Pattern(id) => area("area", &format!(" fill=\"url(#{id})\"")),
            };
            drawn += &label(x + 33.0, y, "start", words);
        }
        drawn
    }

    /// A line through points, with some of them marked.
    pub(super) fn line(&self, style: usize, points: &[(f64, f64)]) -> String {
        let points: Vec<(f64, f64)> = points.iter().copied().filter(|(_, y)| y.is_finite()).collect();
        if points.is_empty() {
            return String::new();
        }
        let through: Vec<String> =
            points.iter().map(|(x, y)| format!("{} {}", place(self.x(*x)), place(self.y(*y)))).collect();
        let mut drawn = format!("<path class=\"line s{style}\" d=\"M{}\"/>\n", through.join("L"));
        let every = points.len().div_ceil(MARKERS).max(1);
        // Markers of lines that lie upon each other stand apart.
        let first = if every > 1 { style * every / 3 % every } else { 0 };
        for (x, y) in points.iter().skip(first).step_by(every) {
            drawn += &marker(style, self.x(*x), self.y(*y));
        }
        drawn
    }

    /// Steps: each value holds from its begin to the next; `end` is where the last one ends.
    pub(super) fn steps(&self, points: &[(f64, f64)], end: f64) -> String {
        let mut d = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let (x, y) = (place(self.x(*x)), place(self.y(*y)));
            let _ = if index == 0 { write!(d, "M{x} {y}") } else { write!(d, "H{x}V{y}") };
        }
        if !d.is_empty() {
            let _ = write!(d, "H{}", place(self.x(end)));
        }
        d
    }

    /// What closes steps down to the axis, so that they can be filled.
    pub(super) fn closed(&self, steps: &str, begin: f64) -> String {
        if steps.is_empty() {
            String::new()
        } else {
            format!("{steps}V{}H{}Z", place(self.y(0.0)), place(self.x(begin)))
        }
    }

    /// A line across at one height.
    pub(super) fn level(&self, class: &str, value: f64) -> String {
        format!("<path class=\"{class}\" d=\"M{LEFT} {}H{RIGHT}\"/>\n", place(self.y(value)))
    }

    /// A line upright at one place.
    pub(super) fn upright(&self, class: &str, value: f64) -> String {
        format!(
            "<path class=\"{class}\" d=\"M{} {}V{}\"/>\n",
            place(self.x(value)),
            place(self.top),
            place(self.y(0.0))
        )
    }
}

/// A marker: each line has its own form.
fn marker(style: usize, x: f64, y: f64) -> String {
    let d = match style % 4 {
        0 => "m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z",
        1 => "m-3 -3h6v6h-6z",
        2 => "m0 -4l3.8 6.8h-7.6z",
        _ => "m0 -4.2l4.2 4.2l-4.2 4.2l-4.2 -4.2z",
    };
    format!("<path class=\"marker s{style}\" d=\"M{} {}{d}\"/>\n", place(x), place(y))
}
