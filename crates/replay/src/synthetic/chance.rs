// SPDX-License-Identifier: Apache-2.0
//! Chance from a seed: the same draws on every machine. Only operations that IEEE 754 fixes to the bit are used, so that logarithm and
//! exponential are our own.

use std::f64::consts::{LN_2, SQRT_2};

/// Draws, by a counter that is mixed (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Debug, Clone)]
pub(super) struct Chance {
    counter: u64,
}

impl Chance {
    /// Draws of their own for each seed and each number.
    pub(super) fn of(seed: u64, number: u64) -> Self {
        Self { counter: mixed(seed ^ mixed(number.wrapping_add(1))) }
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.counter)
    }

    /// From 0 to below 1.
    pub(super) fn part(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below a limit.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(limit);
        (wide >> 64) as u64
    }

    /// Normal, with mean 0 and variance 1, by Marsaglia's polar method.
    fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.part() - 1.0, 2.0 * self.part() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * ln(square) / square).sqrt();
            }
        }
    }

    /// A factor with mean 1 and this variance, gamma distributed (Marsaglia and Tsang, "A simple method for generating gamma
    /// variables", TOMS 2000).
    pub(super) fn gamma(&mut self, variance: f64) -> f64 {
        if variance <= 0.0 {
            return 1.0;
        }
        let shape = 1.0 / variance;
        // Below 1 the method takes one more, and a power of a uniform draw makes up for it.
        let (raised, boost) =
            if shape < 1.0 { (shape + 1.0, exp(ln(1.0 - self.part()) / shape)) } else { (shape, 1.0) };
        let d = raised - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
            if v > 0.0 && ln(1.0 - self.part()) < 0.5 * x * x + d * (1.0 - v + ln(v)) {
                return d * v * boost * variance;
            }
        }
    }

    /// How many come where so many come on average: Poisson, for many by its normal limit.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        const MANY: f64 = 64.0;
        if mean > MANY {
            let drawn = mean + mean.sqrt() * self.normal();
            return (drawn + 0.5).max(0.0) as u64;
        }
        let (least, mut product, mut count) = (exp(-mean), self.part(), 0);
        while product > least {
            product *= self.part();
            count += 1;
        }
        count
    }
}

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The natural logarithm of a normal number above 0.
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = i64::try_from(bits >> 52).unwrap_or(0) - 1023;
    let mut part = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if part > SQRT_2 {
        (part, exponent) = (part / 2.0, exponent + 1);
    }
    // 2 artanh(z), whose series ends soon: |z| is at most 0.172.
    let z = (part - 1.0) / (part + 1.0);
    let mut sum = 0.0;
    for odd in (1u32..24).step_by(2).rev() {
        sum = sum * z * z + 1.0 / f64::from(odd);
    }
    exponent as f64 * LN_2 + 2.0 * z * sum
}

/// The exponential; 0 where it would be below what a normal number holds, and no more than that holds.
pub(super) fn exp(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    let x = x.min(700.0);
    let whole = (x / LN_2 + 0.5).floor();
    let rest = x - whole * LN_2;
    let mut sum = 1.0;
    for n in (1u32..16).rev() {
        sum = 1.0 + sum * rest / f64::from(n);
    }
    sum * f64::from_bits(((whole as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::{Chance, exp, ln};

    #[test]
    fn our_logarithm_and_exponential_are_those_of_the_platform() {
        for x in [1e-300, 1e-9, 0.3, 0.999_999, 1.0, 1.5, 2.0, 10.0, 12_345.678, 1e300] {
            assert!((ln(x) - x.ln()).abs() <= 1e-13 * x.ln().abs().max(1.0), "ln {x}");
        }
        for x in [-699.0, -20.5, -1.0, -1e-9, 0.0, 0.4, 1.0, 33.3, 650.0] {
            assert!((exp(x) / x.exp() - 1.0).abs() <= 1e-12, "exp {x}");
        }
        assert_eq!((exp(-800.0), exp(800.0).is_finite()), (0.0, true));
    }

    /// Mean and variance of many draws.
    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        const DRAWS: u32 = 200_000;
        let drawn: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(DRAWS);
        (mean, drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(DRAWS))
    }

    #[test]
    fn draws_have_the_mean_and_variance_that_they_should() {
        let mut chance = Chance::of(7, 1);
        let near = |(mean, variance): (f64, f64), wants: (f64, f64)| {
            assert!((mean / wants.0 - 1.0).abs() < 0.02, "{mean} and not {}", wants.0);
            assert!((variance / wants.1 - 1.0).abs() < 0.06, "{variance} and not {}", wants.1);
        };
        near(moments(|| chance.part()), (0.5, 1.0 / 12.0));
        for variance in [0.05, 0.4, 1.0, 2.5] {
            near(moments(|| chance.gamma(variance)), (1.0, variance));
        }
        for mean in [0.4, 7.0, 63.0, 900.0] {
            near(moments(|| chance.poisson(mean) as f64), (mean, mean));
        }
    }

    #[test]
    fn draws_are_the_same_for_a_seed_and_others_for_another() {
        let bits = |seed, number| Chance::of(seed, number).bits();
        assert_eq!(bits(1, 2), bits(1, 2));
        assert!(bits(1, 2) != bits(2, 1) && bits(1, 2) != bits(1, 3));
        // Stands as long as nobody changes how draws are made: a published run can be run again.
        assert_eq!(bits(0, 0), 4_720_248_854_425_330_031);
    }
}
