//! Long sequences as overlapping windows, averaged by residue.
//!
//! Windows of `W` residues begin every `⌈W/2⌉` residues, the last one ends with the sequence; each has its own `<cls>`
//! and `<eos>`. So a residue that is not near an end of the sequence stands in two windows (three where the last one
//! overlaps more), and in one of them at least `W/4` residues from the cut. The state of a residue is the average over
//! the windows that hold it; that of `<cls>`, and of `<eos>`, the average over all windows.

use std::ops::Range;

use crate::embed::pooling::Pooling;

/// The windows of a sequence; one, the whole, where it is not longer than `width`.
pub(super) fn windows(length: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    let width = width.max(1);
    let last = length.saturating_sub(width);
    let stride = width.div_ceil(2);
    let n = last.div_ceil(stride);
    (0..=n).map(move |i| {
        let start = (i * stride).min(last);
        start..(start.saturating_add(width)).min(length)
    })
}

/// The states of a long sequence while its windows come in, and their average at the end.
pub(super) struct WindowAverage {
    d_model: usize,
    /// `[length, d_model]`
    states: Vec<f32>,
    /// Windows that hold each residue.
    counts: Vec<u32>,
    /// `[d_model]` each
    cls: Vec<f32>,
    eos: Vec<f32>,
    n_windows: u32,
}

impl WindowAverage {
    pub fn new(length: usize, d_model: usize) -> Self {
        Self {
            d_model,
            states: vec![0.0; length * d_model],
            counts: vec![0; length],
            cls: vec![0.0; d_model],
            eos: vec![0.0; d_model],
            n_windows: 0,
        }
    }

    /// Adds the window of these residues, `[1 + residues + 1, d_model]`. Windows must come in order, since sums of
    /// three depend on it.
    pub fn add(&mut self, residues: &Range<usize>, states: &[f32]) {
        let d = self.d_model;
        let add = |sum: &mut [f32], more: &[f32]| sum.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
        add(&mut self.cls, &states[..d]);
        add(&mut self.states[residues.start * d..residues.end * d], &states[d..]);
        add(&mut self.eos, &states[(residues.len() + 1) * d..]);
        self.counts[residues.clone()].iter_mut().for_each(|n| *n += 1);
        self.n_windows += 1;
    }

    /// Divides all sums.
    pub fn finish(mut self) -> Self {
        for (state, &n) in self.states.chunks_exact_mut(self.d_model).zip(&self.counts) {
            for x in state {
                *x /= n as f32;
            }
        }
        let n = self.n_windows as f32;
        for x in self.cls.iter_mut().chain(&mut self.eos) {
            *x /= n;
        }
        self
    }

    /// Pools the averaged states; to be called after [`finish`](Self::finish).
    pub fn pool(&self, pooling: Pooling, out: &mut [f32]) {
        let special: &[&Vec<f32>] = match pooling {
            Pooling::PerResidue => return out.copy_from_slice(&self.states),
            Pooling::Cls => return out.copy_from_slice(&self.cls),
            Pooling::MeanWithSpecial => &[&self.cls, &self.eos],
            _ => &[],
        };
        let mut sums = vec![0.0; self.d_model];
        let states = special.iter().map(|state| state.as_slice()).chain(self.states.chunks_exact(self.d_model));
        for state in states {
            sums.iter_mut().zip(state).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        let n = (self.counts.len() + special.len()) as f64;
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum / n) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let cut = |length, width| windows(length, width).map(|w| (w.start, w.end)).collect::<Vec<_>>();
        assert_eq!(cut(4, 4), [(0, 4)]);
        assert_eq!(cut(5, 4), [(0, 4), (1, 5)]);
        assert_eq!(cut(9, 4), [(0, 4), (2, 6), (4, 8), (5, 9)]);
        assert_eq!(cut(3, 1), [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(cut(3, usize::MAX), [(0, 3)]);
        // One number a state: `<cls>`, the residues, `<eos>`.
        let mut average = WindowAverage::new(5, 1);
        average.add(&(0..4), &[10.0, 1.0, 2.0, 3.0, 4.0, 20.0]);
        average.add(&(1..5), &[30.0, 4.0, 5.0, 6.0, 7.0, 40.0]);
        let average = average.finish();
        let pooled = |pooling| {
            let mut out = [0.0];
            average.pool(pooling, &mut out);
            out[0]
        };
        let mut states = [0.0; 5];
        average.pool(Pooling::PerResidue, &mut states);
        assert_eq!(states, [1.0, 3.0, 4.0, 5.0, 7.0]);
        assert_eq!((pooled(Pooling::Mean), pooled(Pooling::Cls)), (4.0, 20.0));
        assert_eq!(pooled(Pooling::MeanWithSpecial), (20.0 + 20.0 + 30.0) / 7.0);
    }

    proptest! {
        #[test]
        fn every_residue_is_well_inside_a_window(length in 1usize..400, width in 1usize..100) {
            let cut: Vec<_> = windows(length, width).collect();
            prop_assert!(cut.windows(2).all(|w| w[0].start < w[1].start));
            prop_assert!(cut.iter().all(|w| w.len() == width.min(length)));
            for residue in 0..length {
                let from_the_cut = |w: &Range<usize>| {
                    let before = if w.start == 0 { usize::MAX } else { residue - w.start };
                    let after = if w.end == length { usize::MAX } else { w.end - 1 - residue };
                    before.min(after)
                };
                let holding: Vec<_> = cut.iter().filter(|w| w.contains(&residue)).collect();
                prop_assert!((1..=3).contains(&holding.len()));
                let deepest = holding.into_iter().map(from_the_cut).max().unwrap_or(0);
                prop_assert!(deepest >= (width / 4).saturating_sub(1), "{residue} {deepest}");
            }
        }
    }
}
