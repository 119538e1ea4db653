// SPDX-License-Identifier: Apache-2.0
//! Sums and maxima of non-negative numbers that do not depend on the order in which the numbers come.
//!
//! Adding floating-point numbers in another order changes the last bits, and a last bit can change a verdict.
//! Here each number is first rounded to a multiple of one step, and the multiples are added as integers.

/// How many numbers are added in one `u64` before it goes over into a wider one: each is at most 2^52 steps.
const BLOCK: usize = 2048;
/// A sum of values from 0 to 1 is summed up again below this.
const COARSE_BELOW: f64 = 0.0625;
/// How many maxima run side by side, so that the processor need not wait for one of them.
const LANES: usize = 8;
/// Below this a probability is taken for zero, so that no platform's treatment of subnormal numbers can matter.
pub(crate) const NEGLIGIBLE: f64 = 1e-290;

/// The sum of finite numbers that are at least 0, the same for every order of them. Its error is at most that
/// of adding them one after the other: 2^-53 of the largest for each of them.
pub(crate) fn sum(values: &[f64]) -> f64 {
    let largest = largest(values.iter().copied());
    if largest < NEGLIGIBLE {
        return 0.0;
    }
    let steps = Steps::for_values_up_to(largest);
    let blocks = values
        .chunks(BLOCK)
        .map(|block| block.iter().fold(0u64, |total, value| total.wrapping_add(steps.count(*value))));
    steps.total(blocks)
}

/// Changes each value by the number beside it, and sums them up on the way, the same for every order. Values
/// before and after are from 0 to 1, and those before sum to no more than 1 but for rounding, so that a `u64`
/// has room for all steps.
pub(crate) fn sum_while(
    values: &mut [f64],
    beside: impl Iterator<Item = f64>,
    change: impl Fn(f64, f64) -> f64,
) -> f64 {
    let steps = Steps::for_values_up_to(1.0);
    let counted = values.iter_mut().zip(beside).fold(0u64, |total, (value, beside)| {
        *value = change(*value, beside);
        total.wrapping_add(steps.count(*value))
    });
    let total = steps.total([counted].into_iter());
    // The steps were made for values near 1. Where all turn out small, they are too coarse.
    if total < COARSE_BELOW { sum(values) } else { total }
}

/// Numbers as multiples of one step, 2^-52 of a power of two above all of them.
#[derive(Clone, Copy)]
struct Steps {
    /// The power of two.
    scale: f64,
}

impl Steps {
    fn for_values_up_to(largest: f64) -> Self {
        Self { scale: f64::from_bits(((largest.to_bits() >> 52) + 1) << 52) }
    }

    /// How many steps a value is, rounded to the nearest: adding the power of two leaves just that in the low
    /// bits. At most 2^52.
    fn count(self, value: f64) -> u64 {
        (value + self.scale).to_bits().wrapping_sub(self.scale.to_bits())
    }

    fn total(self, blocks: impl Iterator<Item = u64>) -> f64 {
        let steps = blocks.fold(0u128, |total, block| total + u128::from(block));
        (steps as f64) * (f64::EPSILON * self.scale)
    }
}

/// The largest of numbers that are at least 0; 0 of none.
pub(crate) fn largest(values: impl Iterator<Item = f64>) -> f64 {
    let mut lanes = [0.0f64; LANES];
    for (index, value) in values.enumerate() {
        let lane = &mut lanes[index % LANES];
        *lane = larger(*lane, value);
    }
    lanes.into_iter().fold(0.0, larger)
}

/// The larger of two numbers, neither of which is NaN: one instruction, where `f64::max` needs several.
pub(crate) fn larger(left: f64, right: f64) -> f64 {
    if right > left { right } else { left }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_sum_is_as_exact_as_its_numbers() {
        assert_eq!(sum(&[]).to_bits(), 0.0f64.to_bits());
        assert_eq!(sum(&[0.0, 0.0]).to_bits(), 0.0f64.to_bits());
        assert_eq!(sum(&[0.5, 0.25, 0.125]).to_bits(), 0.875f64.to_bits());
        assert_eq!(sum(&[1.0; 5000]).to_bits(), 5000.0f64.to_bits());
        let tiny = f64::from_bits((1023 - 700) << 52);
        assert_eq!(sum(&[tiny; 3]).to_bits(), (3.0 * tiny).to_bits());
    }

    #[test]
    fn numbers_just_below_a_power_of_two_are_added_whole() {
        let below_one = 1.0 - f64::EPSILON / 2.0;
        let total = sum(&[below_one; 4096]);
        assert!((total - 4096.0).abs() < 1e-9, "{total}");
    }
}
