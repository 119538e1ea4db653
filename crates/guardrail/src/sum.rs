// SPDX-License-Identifier: Apache-2.0
//! Sums and maxima of non-negative numbers that do not depend on the order in which the numbers come.
//!
//! Adding floating-point numbers in another order changes the last bits, and a last bit can change a verdict. Here each
//! number is first rounded to a multiple of one step, and the multiples are added as integers.

/// How many numbers are added in one `u64` before it goes over into a wider one: each is below 2^53.
const BLOCK: usize = 2048;
/// How many maxima run side by side, so that the processor need not wait for one of them.
const LANES: usize = 8;
/// Below this a probability is taken for zero, so that no platform's treatment of subnormal numbers can matter.
pub(crate) const NEGLIGIBLE: f64 = 1e-290;

/// The sum of finite numbers that are at least 0, the same for every order of them. Its error is at most that of adding
/// them one after the other: 2^-53 of the largest for each of them.
pub(crate) fn sum(values: &[f64]) -> f64 {
    sum_up_to(values, largest(values.iter().copied()))
}

/// The same where the largest is known already, or a number that is larger.
pub(crate) fn sum_up_to(values: &[f64], largest: f64) -> f64 {
    if largest < NEGLIGIBLE {
        return 0.0;
    }
    // The power of two above the largest. Adding it leaves of each number its multiple of `scale * 2^-52`, in the low bits.
    let scale = f64::from_bits(((largest.to_bits() >> 52) + 1) << 52);
    let zero = scale.to_bits();
    let mut steps: u128 = 0;
    for block in values.chunks(BLOCK) {
        let block_steps = block
            .iter()
            .fold(0u64, |total, value| total.wrapping_add((value + scale).to_bits().wrapping_sub(zero)));
        steps += u128::from(block_steps);
    }
    (steps as f64) * (f64::EPSILON * scale)
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
