// SPDX-License-Identifier: Apache-2.0
//! From values to places, and where an axis has its marks.

/// About how many marks an axis has.
const TICKS: f64 = 5.0;
/// The waits that an axis may name.
const WAIT_TICKS_S: [f64; 8] =
    [60.0, 600.0, 3600.0, 21_600.0, 86_400.0, 604_800.0, 2_592_000.0, 31_536_000.0];

/// An axis from its first to its last value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    first: f64,
    last: f64,
    /// From mark to mark.
    step: f64,
    is_of_waits: bool,
}

impl Axis {
    /// Equal steps. What is no number is left out, and there is always some length.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let (mut first, mut last) = (0.0_f64, 0.0_f64);
        for value in values.filter(|value| value.is_finite()) {
            (first, last) = (first.min(value), last.max(value));
        }
        let last = if last > first { last } else { first + 1.0 };
        Self { first, last, step: step(last - first), is_of_waits: false }
    }

    /// The same, from mark to mark.
    pub(super) fn rounded(values: impl Iterator<Item = f64>) -> Self {
        let axis = Self::linear(values);
        let step = axis.step;
        Self { first: (axis.first / step).floor() * step, last: (axis.last / step).ceil() * step, ..axis }
    }

    /// Logarithmic beyond the first half minute, and with room for nothing.
    pub(super) fn waits(longest_s: f64) -> Self {
        Self { first: 0.0, last: longest_s.max(600.0), step: 60.0, is_of_waits: true }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn part(self, value: f64) -> f64 {
        let value = if value.is_finite() { value.clamp(self.first, self.last) } else { self.first };
        if self.is_of_waits {
            (value / 30.0).ln_1p() / (self.last / 30.0).ln_1p()
        } else {
            (value - self.first) / (self.last - self.first)
        }
    }

    /// Where it has marks.
    pub(super) fn ticks(self) -> Vec<f64> {
        if self.is_of_waits {
            let within = WAIT_TICKS_S.into_iter().filter(|tick| *tick <= self.last);
            return [0.0].into_iter().chain(within).collect();
        }
        let step = self.step;
        let (from, to) = ((self.first / step).ceil() as i64, (self.last / step + 1e-9).floor() as i64);
        (from..=to).map(|number| number as f64 * step).collect()
    }

    /// With how many decimals its marks are written.
    pub(super) fn places(self) -> usize {
        let step = self.step;
        let power = step.log10().floor();
        let digits = if step / 10_f64.powf(power) == 2.5 { 1.0 - power } else { -power };
        digits.clamp(0.0, 6.0) as usize
    }
}

/// 1, 2, 2.5 or 5 of some power of ten.
fn step(length: f64) -> f64 {
    let rough = length / TICKS;
    let power = 10_f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 2.5, 5.0].into_iter().find(|nice| nice * power >= rough).unwrap_or(10.0);
    nice * power
}

#[cfg(test)]
mod tests {
    use super::Axis;

    #[test]
    fn marks_are_round_numbers_and_the_axis_ends_on_them() {
        let axis = Axis::rounded([3.0, 47.0, f64::NAN].into_iter());
        assert_eq!((axis.ticks(), axis.places()), (vec![0.0, 10.0, 20.0, 30.0, 40.0, 50.0], 0));
        let axis = Axis::rounded([-3.0, 9.0].into_iter());
        assert_eq!(axis.ticks(), [-5.0, -2.5, 0.0, 2.5, 5.0, 7.5, 10.0]);
        assert_eq!([1.2, 12.0, 1200.0].map(|most| Axis::rounded([most].into_iter()).places()), [2, 1, 0]);
    }

    #[test]
    fn an_axis_of_nothing_still_has_a_length() {
        for values in [vec![], vec![0.0, 0.0], vec![f64::INFINITY]] {
            let axis = Axis::rounded(values.into_iter());
            assert_eq!((axis.part(0.0), axis.part(f64::NAN)), (0.0, 0.0));
            assert_eq!(axis.ticks().last(), Some(&1.0));
        }
    }

    #[test]
    fn waits_lie_on_a_scale_that_begins_at_nothing_and_is_logarithmic_after_half_a_minute() {
        let axis = Axis::waits(86_400.0);
        assert_eq!(axis.ticks(), [0.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0]);
        assert_eq!([axis.part(0.0), axis.part(86_400.0)], [0.0, 1.0]);
        assert!(axis.part(60.0) > 0.13, "{}", axis.part(60.0));
    }
}
