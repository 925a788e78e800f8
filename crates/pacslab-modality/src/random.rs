//! Random numbers that are the same on every platform: ChaCha8 words, and only arithmetic that
//! IEEE 754 fixes to the last bit.

use pacslab_model::Seed;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One stream of the seed.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: Seed, purpose: &[&str]) -> Self {
        Self(ChaCha8Rng::from_seed(seed.stream(purpose)))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 0 to below 1, with 24 bits: exactly a `f32`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1u32 << 24) as f32
    }

    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// `nominal` give or take `percent`.
    pub(crate) fn about(&mut self, nominal: f32, percent: f32) -> f32 {
        nominal * (1.0 + percent / 100.0 * self.between(-1.0, 1.0))
    }

    /// Below `bound`, which is small against 2^64 so that the bias does not matter.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound.max(1) as u64) as usize
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.below(from.len())).copied().unwrap_or("")
    }

    /// Mean 0, standard deviation 1: the sum of four 16-bit numbers, close enough to a bell.
    pub(crate) fn normal(&mut self) -> f32 {
        let word = self.word();
        let sum: u32 = (0..4).map(|at| (word >> (16 * at)) as u16 as u32).sum();
        // the variance of one is (2^32 - 1) / 12, of four a third of 2^32
        (sum as f32 - 2.0 * 65_535.0) / (65_536.0 * 0.577_350_26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_the_moments_they_should() {
        let mut random = Random::new(Seed(1), &["test"]);
        let values: Vec<f64> = (0..100_000).map(|_| f64::from(random.normal())).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
