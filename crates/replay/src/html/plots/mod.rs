// SPDX-License-Identifier: Apache-2.0
//! Drawings as SVG: told apart by pattern, dash and marker as well as by colour, each with what it shows in words.
//!
//! A drawing is as wide as a narrow screen, so that its letters stay readable there; wide screens have two side by side.

mod axis;
pub(super) mod costs;
pub(super) mod curve;
mod frame;
pub(super) mod load;
pub(super) mod waits;

use super::edition::Edition;

/// How wide a drawing is, in its own units.
const WIDTH: f64 = 360.0;

/// A drawing with its words; every text is safe already.
struct Drawing {
    /// Its id, of which those of title and description are made.
    id: String,
    /// What it is, as plain text.
    title: String,
    /// What it shows, as plain text.
    described: String,
    height: f64,
    /// The elements.
    body: String,
}

impl Drawing {
    fn svg(&self) -> String {
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{described}</desc>\n{body}</svg>\n",
            height = place(self.height),
            id = self.id,
            title = self.title,
            described = self.described,
            body = self.body,
        )
    }

    /// With a heading above it and its figures as a table below it.
    fn figure(&self, heading: &str, edition: &Edition<'_>, table: &str) -> String {
        format!(
            "<figure><figcaption>{heading}</figcaption>\n{}<details><summary>{}</summary>\n{table}</details></figure>\n",
            self.svg(),
            edition.words.data,
        )
    }
}

/// A coordinate, to a tenth.
fn place(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    // Without a sign where there is nothing.
    format!("{}", if tenths == 0.0 { 0.0 } else { tenths })
}

/// A text at a place; `class` sets its anchor and weight.
fn label(x: f64, y: f64, class: &str, text: &str) -> String {
    format!("<text x=\"{}\" y=\"{}\" class=\"{class}\">{text}</text>\n", place(x), place(y))
}

/// The pattern of an area, under an id of this drawing.
fn pattern(id: &str, kind: &str, strokes: &str) -> String {
    format!(
        "<pattern id=\"{id}\" class=\"{kind}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <rect width=\"6\" height=\"6\"/>{strokes}</pattern>\n"
    )
}

/// Stripes across.
const HATCH: &str = "<path d=\"M-1 1L1 -1M0 6L6 0M5 7L7 5\"/>";
/// Dots.
const DOTS: &str = "<circle cx=\"1.5\" cy=\"1.5\" r=\"1.2\"/><circle cx=\"4.5\" cy=\"4.5\" r=\"1.2\"/>";
