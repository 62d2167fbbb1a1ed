//! What each run of a cohort does in a step: one row of words that the step's ops read, so that the host writes the steps
//! of a whole epoch at once and a recording of their launches can be run again.

use crate::backend::{Cpu, Matrix};

/// Words of a [`Tick`] on a device.
pub const CLOCK_WORDS: usize = 12;

/// The ticks of a step, `[runs, CLOCK_WORDS]`.
pub type Clock<'a, B> = Matrix<'a, B, u32>;

/// What one run does in one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tick {
    /// Seed of the dropout masks.
    pub seed: u64,
    /// Number of the step in the training, from 1; 0 where the run idles: its parameters stay as they are.
    pub step: u32,
    /// Pairs of the step.
    pub n_rows: u32,
    /// Place of the first of them in the run's order.
    pub first: u32,
    /// Adam's learning rate ÷ (1 − β₁ᵗ).
    pub rate: f64,
    /// Adam's 1/√(1 − β₂ᵗ).
    pub root: f64,
}

impl Tick {
    /// Seed (low word, high word), step, pairs, first; rate and root in f32, then in f64 (low word, high word); 0.
    #[must_use]
    pub fn words(self) -> [u32; CLOCK_WORDS] {
        let halves = |x: u64| [x as u32, (x >> 32) as u32];
        let ([seed_lo, seed_hi], [rate_lo, rate_hi]) = (halves(self.seed), halves(self.rate.to_bits()));
        let [root_lo, root_hi] = halves(self.root.to_bits());
        let [rate, root] = [self.rate, self.root].map(|x| (x as f32).to_bits());
        let Self { step, n_rows, first, .. } = self;
        [seed_lo, seed_hi, step, n_rows, first, rate, root, rate_lo, rate_hi, root_lo, root_hi, 0]
    }

    /// The tick of `run`.
    pub(super) fn of(clock: Clock<'_, Cpu>, run: usize) -> Self {
        let words = &clock.view[run * CLOCK_WORDS..][..CLOCK_WORDS];
        let whole = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
        Self {
            seed: whole(0),
            step: words[2],
            n_rows: words[3],
            first: words[4],
            rate: f64::from_bits(whole(7)),
            root: f64::from_bits(whole(9)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        let tick =
            Tick { seed: 0x0123_4567_89ab_cdef, step: 3, n_rows: 32, first: 64, rate: 1e-3 / 0.271, root: 18.26 };
        let words = [Tick::default().words(), tick.words()].concat();
        let clock = Matrix { rows: 2, cols: CLOCK_WORDS, view: words.as_slice() };
        assert_eq!([0, 1].map(|run| Tick::of(clock, run)), [Tick::default(), tick]);
        assert_eq!(tick.words()[5..7], [((1e-3 / 0.271) as f32).to_bits(), 18.26f32.to_bits()]);
    }
}
