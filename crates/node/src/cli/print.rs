// SPDX-License-Identifier: Apache-2.0
//! What people read: tables, money, grams, times; and the same as JSON for programs.

use std::io::{ErrorKind, Write};

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::Value;
use sta_protocol::refusal::Refusal;

use super::failure::Failure;
use crate::{
    http::documents::RefusalDocument,
    text::{self, Language},
};

/// How the answer is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// JSON for programs instead of text for people.
    pub json: bool,
    /// The language of texts about rules.
    pub language: Language,
}

impl Style {
    /// The style of this process: `--json`, and the language of `LC_ALL`, `LC_MESSAGES` or `LANG`.
    #[must_use]
    pub fn new(json: bool) -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
        Self { json, language: language_of(&locale) }
    }

    /// Prints the text for people, or the document for programs.
    pub fn answer(self, document: &Value, text: impl FnOnce() -> String) {
        if self.json {
            json(document);
        } else {
            line(text());
        }
    }
}

/// `de_DE.UTF-8` is German; English where we have no texts.
fn language_of(locale: &str) -> Language {
    let subtag = locale.split(['_', '.', '@', '-']).next().unwrap_or_default().to_ascii_lowercase();
    Language::ALL.into_iter().find(|language| language.as_str() == subtag).unwrap_or_default()
}

/// Writes a line to standard output. A reader that has gone (`sta jobs | head`) is no failure of ours.
pub fn line(text: impl AsRef<str>) {
    let text = text.as_ref();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    bytes(format!("{text}{end}").as_bytes());
}

/// Writes bytes to standard output as they are.
pub fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Ok(()) | Err(_) => {}
    }
}

/// Writes a document for programs.
pub fn json(document: &Value) {
    line(serde_json::to_string_pretty(document).unwrap_or_else(|_| document.to_string()));
}

/// Says on standard error how it goes on; standard output is for the answer.
pub fn progress(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// One line under the head, and none elsewhere.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with a head; columns whose head begins with `>` are numbers and stand to the right.
#[must_use]
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(LINES).set_content_arrangement(ContentArrangement::Dynamic);
    let align =
        |index: usize| if head[index].starts_with('>') { CellAlignment::Right } else { CellAlignment::Left };
    let aligned = |cells: [String; N]| {
        let cells = cells.into_iter().enumerate();
        cells.map(|(index, text)| Cell::new(text).set_alignment(align(index))).collect::<Vec<_>>()
    };
    table.set_header(aligned(head.map(|name| name.trim_start_matches('>').to_owned())));
    for row in rows {
        table.add_row(aligned(row));
    }
    // Spaces at the ends of lines only get in the way of who copies or compares them.
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Two columns, name and value, without lines.
#[must_use]
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    pairs.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// Millionths as a decimal with at least two places: `12345600` is `12.3456`.
#[must_use]
pub fn decimal(micro: i64) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let (whole, rest) = (micro.unsigned_abs() / 1_000_000, micro.unsigned_abs() % 1_000_000);
    let places = format!("{rest:06}");
    let places = places.trim_end_matches('0');
    format!("{sign}{whole}.{places:0<2}")
}

/// A decimal such as `100.00` as millionths.
///
/// # Errors
/// Not a decimal, more than six places, or beyond what an account holds.
pub fn micro(text: &str) -> Result<i64, String> {
    let refused = || format!("`{text}` is not an amount: write it such as 100.00, with at most six places");
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(places) || places.len() > 6 {
        return Err(refused());
    }
    let whole: i64 = whole.parse().map_err(|_| refused())?;
    let places: i64 = format!("{places:0<6}").parse().map_err(|_| refused())?;
    whole.checked_mul(1_000_000).and_then(|micro| micro.checked_add(places)).ok_or_else(refused)
}

/// Micrograms as grams.
#[must_use]
pub fn grams(micrograms: i64) -> String {
    format!("{} g", decimal(micrograms))
}

/// Seconds as people say them: `2 h 5 min`.
#[must_use]
pub fn seconds(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// Bytes in binary units: `512 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        None => format!("{bytes} B"),
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            if tenths.is_multiple_of(10) {
                format!("{} {unit}", tenths / 10)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            }
        }
    }
}

/// A refusal as people read it: rule and source, who said it, sentence, facts, and what would change it.
#[must_use]
pub fn refusal(language: Language, refusal: &Refusal) -> String {
    let mut text = format!("{}  ({}; said by {})\n", refusal.rule, refusal.source, refusal.by);
    text += &format!("  {}\n", text::sentence(language, refusal));
    if !refusal.facts.is_empty() {
        text += &format!("  facts: {}\n", refusal.fact_line());
    }
    let advice = text::advice(language, refusal);
    if advice.is_empty() { text } else { format!("{text}  -> {advice}\n") }
}

/// A refusal as the node's documents have it.
#[must_use]
pub fn refusal_document(language: Language, document: &RefusalDocument) -> String {
    match document.by.parse() {
        Ok(by) => {
            let RefusalDocument { rule, source, facts, advice, .. } = document.clone();
            refusal(language, &Refusal { rule, source, facts, advice, by })
        }
        // A member's name that is none can only be a broken node's; the words are still worth reading.
        Err(_) => format!(
            "{}  ({})\n  {}\n",
            document.rule,
            document.source,
            document.sentence.as_deref().unwrap_or_default()
        ),
    }
}

/// Reads a part of a document that the node sent.
///
/// # Errors
/// The node sent something else: it is of another version.
pub fn part<T: serde::de::DeserializeOwned>(document: &Value, what: &str) -> Result<T, Failure> {
    serde_json::from_value(document.clone()).map_err(|error| {
        Failure::new(format!("read {what} that the node sent"), error.to_string())
            .mend("Use the `sta` of the same version as the node, or read the document with --json.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_to_the_millionth_both_ways() {
        for (text, value) in
            [("100.00", 100_000_000), ("0.000001", 1), ("12.3456", 12_345_600), ("7", 7_000_000)]
        {
            assert_eq!(micro(text), Ok(value));
        }
        assert_eq!(
            (decimal(100_000_000), decimal(1), decimal(-1_500_000)),
            ("100.00".into(), "0.000001".into(), "-1.50".into())
        );
        for wrong in ["", "1,5", "-1", "1.", ".5", "0.0000001", "99999999999999999999"] {
            assert!(micro(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_and_sizes_are_written_as_people_say_them() {
        assert_eq!([0, 59, 60, 61, 7500].map(seconds), ["0 s", "59 s", "1 min", "1 min 1 s", "2 h 5 min"]);
        assert_eq!([0, 1023, 512 << 20, 1536].map(size), ["0 B", "1023 B", "512 MiB", "1.5 KiB"]);
    }

    #[test]
    fn the_language_follows_the_locale_and_is_english_where_we_have_none() {
        assert_eq!(
            ["de_DE.UTF-8", "fr", "C", "", "pt_BR"].map(language_of),
            [Language::De, Language::Fr, Language::En, Language::En, Language::En]
        );
    }
}
