// SPDX-License-Identifier: Apache-2.0
//! Dates of a report, counted on from its begin in the begin's own zone.

use jiff::{Span, civil::DateTime, fmt::temporal::Pieces};

use super::words::{Language, Words};

/// A point in time, and how far its zone is from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    at: DateTime,
    offset_s: i32,
}

impl Moment {
    /// Reads RFC 3339.
    pub(super) fn read(rfc3339: &str) -> Option<Self> {
        let pieces = Pieces::parse(rfc3339).ok()?;
        let offset_s = pieces.to_numeric_offset()?.seconds();
        Some(Self { at: pieces.date().to_datetime(pieces.time()?), offset_s })
    }

    /// So many seconds later, as far as the calendar goes.
    pub(super) fn later(self, seconds: u64) -> Self {
        let later = i64::try_from(seconds).ok().and_then(|seconds| Span::new().try_seconds(seconds).ok());
        Self { at: later.map_or(DateTime::MAX, |later| self.at.saturating_add(later)), ..self }
    }

    /// Seconds since its midnight.
    pub(super) fn second_of_day(self) -> u64 {
        let [hour, minute, second] =
            [self.at.hour(), self.at.minute(), self.at.second()].map(|part| u64::from(part.unsigned_abs()));
        (hour * 60 + minute) * 60 + second
    }

    /// Such as `1 April 2024`.
    pub(super) fn date(self, words: &Words) -> String {
        let (year, day) = (self.at.year(), self.at.day());
        let name = words.months[self.month()];
        match words.language {
            Language::English | Language::French => format!("{} {name} {year}", words.language.day(day)),
            Language::German => format!("{day}. {name} {year}"),
        }
    }

    /// Such as `1 Apr`, as an axis has it.
    pub(super) fn day_short(self, words: &Words) -> String {
        let (day, name) = (self.at.day(), words.months_short[self.month()]);
        match words.language {
            Language::English | Language::French => format!("{day} {name}"),
            Language::German => format!("{day}. {name}"),
        }
    }

    /// Such as `06:00`.
    pub(super) fn time(self) -> String {
        format!("{:02}:{:02}", self.at.hour(), self.at.minute())
    }

    /// Such as `UTC+02:00`.
    pub(super) fn zone(self) -> String {
        let sign = if self.offset_s < 0 { '\u{2212}' } else { '+' };
        let minutes = self.offset_s.unsigned_abs() / 60;
        match self.offset_s {
            0 => "UTC".to_owned(),
            _ => format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60),
        }
    }

    /// From 0.
    fn month(self) -> usize {
        usize::from(self.at.month().unsigned_abs()).saturating_sub(1)
    }
}

impl Language {
    /// The day of a month; French says the first as an ordinal.
    fn day(self, day: i8) -> String {
        if self == Self::French && day == 1 { "1er".to_owned() } else { day.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::words::{ENGLISH, FRENCH, GERMAN},
        Moment,
    };

    fn moment(text: &str) -> Moment {
        Moment::read(text).expect("a point in time")
    }

    #[test]
    fn the_begin_is_said_in_each_language_and_in_its_own_zone() {
        let begin = moment("2024-03-01T04:05:06.7-04:00");
        assert_eq!(
            [begin.date(&ENGLISH), begin.time(), begin.zone()],
            ["1 March 2024", "04:05", "UTC\u{2212}04:00"]
        );
        assert_eq!([begin.date(&FRENCH), begin.date(&GERMAN)], ["1er mars 2024", "1. März 2024"]);
    }

    #[test]
    fn days_are_counted_on_over_leap_days_and_the_turn_of_the_year() {
        let day = |text: &str, days: u64| moment(text).later(days * 86_400).date(&ENGLISH);
        assert_eq!(day("2024-02-28T00:00:00Z", 1), "29 February 2024");
        assert_eq!(day("2023-02-28T23:59:59Z", 1), "1 March 2023");
        assert_eq!(day("2023-12-31T12:00:00Z", 1), "1 January 2024");
        assert_eq!(day("1970-01-01T00:00:00Z", 0), "1 January 1970");
        assert_eq!(day("2024-01-01T00:00:00Z", u64::MAX / 86_400), "31 December 9999");
        assert_eq!(moment("2024-12-24T06:30:00Z").later(90).day_short(&GERMAN), "24. Dez.");
    }

    #[test]
    fn what_is_no_point_in_time_is_not_read() {
        for text in [
            "",
            "yesterday",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00<b>",
        ] {
            assert_eq!(Moment::read(text), None, "{text}");
        }
    }
}
