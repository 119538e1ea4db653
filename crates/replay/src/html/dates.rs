// SPDX-License-Identifier: Apache-2.0
//! Dates of a report, counted on from its begin in the begin's own zone.

use super::words::{Language, Words};

/// Days of 400 years of the Gregorian calendar.
const ERA_DAYS: i64 = 146_097;
/// From 1 March of the year 0 to 1 January 1970.
const EPOCH_DAYS: i64 = 719_468;

/// A point in time of some zone, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment<'a> {
    /// Minutes since 1970-01-01 00:00 of its zone.
    minutes: i64,
    /// The zone as it was written, such as `Z` or `+02:00`.
    zone: &'a str,
}

impl<'a> Moment<'a> {
    /// Reads RFC 3339.
    pub(super) fn read(rfc3339: &'a str) -> Option<Self> {
        let bytes = rfc3339.as_bytes();
        let punctuation = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        if !rfc3339.is_ascii() || punctuation.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
            return None;
        }
        let part = |from: usize, to: usize, max: i64| {
            let digits = rfc3339.get(from..to)?;
            let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
            (number <= max).then_some(number)
        };
        let (year, month, day) = (part(0, 4, 9999)?, part(5, 7, 12)?, part(8, 10, 31)?);
        let (hour, minute) = (part(11, 13, 23)?, part(14, 16, 59)?);
        let zone =
            rfc3339.get(19..)?.trim_start_matches(|letter: char| letter == '.' || letter.is_ascii_digit());
        let is_zone = zone == "Z" || (zone.len() == 6 && zone.starts_with(['+', '-']));
        (is_zone && month > 0 && day > 0)
            .then_some(Self { minutes: (days_of(year, month, day) * 24 + hour) * 60 + minute, zone })
    }

    /// So many seconds later.
    pub(super) fn later(self, seconds: u64) -> Self {
        Self { minutes: self.minutes.saturating_add((seconds / 60) as i64), ..self }
    }

    /// Seconds since its midnight.
    pub(super) fn second_of_day(self) -> u64 {
        60 * self.minutes.rem_euclid(1440).unsigned_abs()
    }

    /// Such as `1 April 2024`.
    pub(super) fn date(self, words: &Words) -> String {
        let (year, month, day) = self.civil();
        let name = words.months[month as usize - 1];
        match words.language {
            Language::English | Language::French => format!("{} {name} {year}", words.language.day(day)),
            Language::German => format!("{day}. {name} {year}"),
        }
    }

    /// Such as `1 Apr`, as an axis has it.
    pub(super) fn day_short(self, words: &Words) -> String {
        let (_, month, day) = self.civil();
        let name = words.months_short[month as usize - 1];
        match words.language {
            Language::English | Language::French => format!("{day} {name}"),
            Language::German => format!("{day}. {name}"),
        }
    }

    /// Such as `06:00`.
    pub(super) fn time(self) -> String {
        let minutes = self.minutes.rem_euclid(1440);
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// Such as `UTC+02:00`.
    pub(super) fn zone(self) -> String {
        match self.zone {
            "Z" | "+00:00" => "UTC".to_owned(),
            zone => format!("UTC{}", zone.replace('-', "\u{2212}")),
        }
    }

    /// Year, month and day.
    fn civil(self) -> (i64, i64, i64) {
        let days = self.minutes.div_euclid(1440) + EPOCH_DAYS;
        let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months are counted from March, so that the day that comes and goes is the last of the year.
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        (era * 400 + year_of_era + i64::from(month <= 2), month, day)
    }
}

impl Language {
    /// The day of a month; French says the first as an ordinal.
    fn day(self, day: i64) -> String {
        if self == Self::French && day == 1 { "1er".to_owned() } else { day.to_string() }
    }
}

/// Days since 1970-01-01.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::{
        super::words::{ENGLISH, FRENCH, GERMAN},
        Moment,
    };

    fn moment(text: &str) -> Moment<'_> {
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
            "+024-01-01T00:00:00Z",
            "2024-01-01T00:00:00<b>",
        ] {
            assert_eq!(Moment::read(text), None, "{text}");
        }
    }
}
