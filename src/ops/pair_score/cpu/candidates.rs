//! Bounds that are not below the least become lists of targets, one for each block of entries.

use std::ops::Range;

use super::report::Reader;

/// Blocks and targets after which it is asked whether bounds pay.
const TRIAL: usize = 512;

/// The targets that each block is scored with.
pub(super) struct Candidates {
    /// Least bounds of the targets.
    least: Vec<f32>,
    /// Rows of targets of each block, `[blocks, n_targets]`, and how many of each are taken.
    targets: Vec<u32>,
    counts: Vec<usize>,
    /// How many there are of all.
    passed: usize,
    /// Whether the rest was not asked for.
    stopped: bool,
    /// The fraction from which on they are too many.
    most: [usize; 2],
}

impl Candidates {
    /// Of at most `blocks`, none yet.
    pub fn new(least: Vec<f32>, blocks: usize) -> Self {
        let (targets, counts) = (vec![0; blocks * least.len()], vec![0; blocks]);
        Self { least, targets, counts, passed: 0, stopped: false, most: [0, 1] }
    }

    /// Forgets all; from now on the fraction `most` of what is seen may pass.
    pub fn clear(&mut self, most: [usize; 2]) {
        self.counts.fill(0);
        (self.passed, self.stopped, self.most) = (0, false, most);
    }

    /// Whether all targets met `blocks`, and not too many passed.
    pub fn are_few(&self, blocks: usize) -> bool {
        !self.stopped && !self.too_many(self.least.len() * blocks)
    }

    /// The targets of a block.
    pub fn of_block(&self, block: usize) -> &[u32] {
        &self.targets[block * self.least.len()..][..self.counts[block]]
    }

    /// Whether too many of `seen` passed.
    fn too_many(&self, seen: usize) -> bool {
        self.passed * self.most[1] > seen * self.most[0]
    }
}

impl Reader for Candidates {
    fn least(&self) -> &[f32] {
        &self.least
    }

    fn is_done(&mut self, pairs: usize) -> bool {
        self.stopped = pairs >= TRIAL && self.too_many(pairs);
        self.stopped
    }

    #[inline(never)]
    fn target(&mut self, bounds: &[f32], target: usize, blocks: &Range<usize>) {
        let (n_targets, least) = (self.least.len(), self.least[target]);
        let bounds = &bounds[..blocks.len().min(bounds.len())];
        // A comparison with NaN is false, so NaN passes.
        let passed = bounds.len() - bounds.iter().map(|&bound| u32::from(bound < least)).sum::<u32>() as usize;
        self.passed += passed;
        if passed > 0 {
            let lists = self.targets.chunks_exact_mut(n_targets).zip(&mut self.counts);
            for (&bound, (targets, count)) in bounds.iter().zip(lists) {
                // Written in any case: a branch on what cannot be foretold costs more.
                targets[*count] = target as u32;
                *count += 1 - usize::from(bound < least);
            }
        }
    }
}
