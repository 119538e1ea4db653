// SPDX-License-Identifier: Apache-2.0
//! Numbers, money and times as each language writes them.

use super::words::Language;

/// Between a number and its unit: the two stay on one line.
const SPACE: char = '\u{a0}';
/// What stands where there is no number.
pub(super) const NOTHING: &str = "–";

impl Language {
    /// Between groups of three digits, and before the decimals.
    fn separators(self) -> (char, char) {
        match self {
            Self::English => (',', '.'),
            Self::French => ('\u{202f}', ','),
            Self::German => ('.', ','),
        }
    }

    /// A number with so many decimals.
    pub(super) fn number(self, value: f64, places: usize) -> String {
        if !value.is_finite() {
            return NOTHING.to_owned();
        }
        let digits = format!("{:.places$}", value.abs());
        let (whole, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
        let is_zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let sign = if value < 0.0 && !is_zero { "\u{2212}" } else { "" };
        let (_, point) = self.separators();
        let decimals = if decimals.is_empty() { String::new() } else { format!("{point}{decimals}") };
        format!("{sign}{}{decimals}", self.grouped(whole))
    }

    /// A count.
    pub(super) fn count(self, value: u64) -> String {
        self.grouped(&value.to_string())
    }

    /// Percent.
    pub(super) fn percent(self, value: f64, places: usize) -> String {
        let number = self.number(value, places);
        match self {
            _ if !value.is_finite() => number,
            Self::English => number + "%",
            Self::French => number + "\u{202f}%",
            Self::German => format!("{number}{SPACE}%"),
        }
    }

    /// A change in percent; one that is small keeps what is left of it.
    pub(super) fn change(self, percent: f64) -> String {
        self.percent(percent, if percent.abs() < 1.0 { 2 } else { 1 })
    }

    /// A change in percent, with its sign.
    pub(super) fn change_signed(self, percent: f64) -> String {
        plus(self.change(percent))
    }

    /// An amount, exact to its last place, without its currency.
    pub(super) fn amount(self, micro: i64, places: usize) -> String {
        let unit = 10_u128.pow(6 - places.min(6) as u32);
        let rounded = (u128::from(micro.unsigned_abs()) + unit / 2) / unit;
        let scale = 10_u128.pow(places.min(6) as u32);
        let sign = if micro < 0 && rounded > 0 { "\u{2212}" } else { "" };
        let whole = self.grouped(&(rounded / scale).to_string());
        if places == 0 {
            return format!("{sign}{whole}");
        }
        format!("{sign}{whole}{}{:0places$}", self.separators().1, rounded % scale)
    }

    /// An amount with its sign.
    pub(super) fn amount_signed(self, micro: i64, places: usize) -> String {
        plus(self.amount(micro, places))
    }

    /// An amount beside its currency, both as text that is safe already.
    pub(super) fn with_currency(self, amount: &str, currency: &str) -> String {
        match self {
            Self::English => format!("{currency}{SPACE}{amount}"),
            Self::French | Self::German => format!("{amount}{SPACE}{currency}"),
        }
    }

    /// How long: the two units that matter.
    pub(super) fn duration(self, seconds: f64) -> String {
        if !seconds.is_finite() {
            return NOTHING.to_owned();
        }
        let whole = seconds.round();
        let (minutes, hours) = ((whole / 60.0).floor(), (whole / 3600.0).floor());
        let with = |value: f64, unit: &str| format!("{}{SPACE}{unit}", self.number(value, 0));
        let both = |first: String, rest: f64, unit: &str| {
            if rest < 1.0 { first } else { format!("{first}{SPACE}{}", with(rest, unit)) }
        };
        if seconds < 10.0 && seconds.fract() != 0.0 {
            format!("{}{SPACE}s", self.number(seconds, 1))
        } else if whole < 60.0 {
            with(whole, "s")
        } else if hours < 1.0 {
            both(with(minutes, "min"), whole - 60.0 * minutes, "s")
        } else if hours < 100.0 {
            both(with(hours, "h"), minutes - 60.0 * hours, "min")
        } else {
            with((seconds / 3600.0).round(), "h")
        }
    }

    /// How long, in one unit, as an axis has it.
    pub(super) fn duration_short(self, seconds: f64) -> String {
        let day = if self == Self::French { "j" } else { "d" };
        let (divisor, unit) = match seconds {
            _ if seconds < 60.0 => (1.0, "s"),
            _ if seconds < 3600.0 => (60.0, "min"),
            _ if seconds < 86_400.0 => (3600.0, "h"),
            _ => (86_400.0, day),
        };
        format!("{}{SPACE}{unit}", self.number(seconds / divisor, 0))
    }

    /// Carbon, in tonnes where there are many kilograms.
    pub(super) fn carbon(self, kilograms: f64) -> String {
        let (value, unit) =
            if kilograms.abs() < 10_000.0 { (kilograms, "kg") } else { (kilograms / 1000.0, "t") };
        format!("{}{SPACE}{unit}{SPACE}CO₂e", self.number(value, 1))
    }

    /// A whole number, in groups of three digits.
    fn grouped(self, digits: &str) -> String {
        let (group, _) = self.separators();
        let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(group);
            }
            grouped.push(digit);
        }
        grouped
    }
}

/// Puts a plus before what is above zero.
fn plus(number: String) -> String {
    let is_above_zero =
        !number.starts_with('\u{2212}') && number.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if is_above_zero { format!("+{number}") } else { number }
}

#[cfg(test)]
mod tests {
    use super::Language::{English, French, German};

    #[test]
    fn each_language_groups_digits_and_points_decimals_its_own_way() {
        let number = -1_234_567.891;
        assert_eq!(English.number(number, 2), "\u{2212}1,234,567.89");
        assert_eq!(French.number(number, 2), "\u{2212}1\u{202f}234\u{202f}567,89");
        assert_eq!(German.number(number, 2), "\u{2212}1.234.567,89");
        assert_eq!(German.count(999), "999");
        assert_eq!([English.number(-0.04, 1), English.number(f64::NAN, 1)], ["0.0", "–"]);
    }

    #[test]
    fn percents_and_signs_stand_where_the_language_has_them() {
        assert_eq!(English.change_signed(84.25), "+84.2%");
        assert_eq!(French.change_signed(-84.3), "\u{2212}84,3\u{202f}%");
        assert_eq!(
            [German.change_signed(0.0), German.change_signed(-0.021)],
            ["0,00\u{a0}%", "\u{2212}0,02\u{a0}%"]
        );
    }

    #[test]
    fn money_is_rounded_from_millionths_without_passing_through_a_fraction() {
        assert_eq!(English.amount(1_234_567_500_000, 0), "1,234,568");
        assert_eq!(English.amount(-5_005_000, 2), "\u{2212}5.01");
        assert_eq!(English.amount_signed(1_050_000, 2), "+1.05");
        assert_eq!(English.amount(i64::MIN, 0), "\u{2212}9,223,372,036,855");
        assert_eq!(English.with_currency("5", "USD"), "USD\u{a0}5");
        assert_eq!(French.with_currency("5", "USD"), "5\u{a0}USD");
    }

    #[test]
    fn a_time_has_the_two_units_that_matter() {
        let plain = |seconds: f64| English.duration(seconds).replace('\u{a0}', " ");
        assert_eq!([plain(0.0), plain(7.25), plain(59.6)], ["0 s", "7.2 s", "1 min"]);
        assert_eq!([plain(474.0), plain(46_200.0), plain(86_400.0)], ["7 min 54 s", "12 h 50 min", "24 h"]);
        assert_eq!([plain(7_200_000.0), plain(f64::INFINITY)], ["2,000 h", "–"]);
        assert_eq!(French.duration_short(172_800.0), "2\u{a0}j");
        assert_eq!(English.carbon(12_345.0), "12.3\u{a0}t\u{a0}CO₂e");
    }
}
