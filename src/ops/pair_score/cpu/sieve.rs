//! The signed L1 form: what cannot survive is left out by bounds of blocks or by bytes where they pay, and what is left is
//! scored in f32 by the same operations in the same order, so that no bit depends on them.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

use std::ops::Range;

use pulp::Simd;

use super::bounds::Bounds;
use super::byte_filter::ByteFilter;
use super::network::CpuNetwork;
use super::signed_l1::{Packed, poisons};
use super::{Entries, Panel, Report, Targets};
use crate::backend::Activation;

/// Bounds pay beside bytes where fewer of their pairs than this fraction pass, since bytes cost less than f32.
const MOST_BESIDE_BYTES: [usize; 2] = [1, 5];
/// Bounds pay where fewer pass: short lists of targets leave registers idle, so that half of the pairs cost a whole panel.
const MOST: [usize; 2] = [1, 3];

/// What comes before the sums in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filters {
    /// Bounds of blocks of entries.
    pub bounds: bool,
    /// Bytes in place of numbers.
    pub bytes: bool,
}

/// All targets, and the filters that are in use.
pub(super) struct Sieve {
    packed: Packed,
    bounds: Option<Bounds>,
    bytes: Option<ByteFilter>,
}

impl Sieve {
    #[inline(always)]
    pub fn new<S: Simd, A: Activation, const N: usize>(
        simd: S,
        network: &CpuNetwork,
        entries: Entries<'_, A>,
        targets: Targets<'_>,
        least: &[f32],
        filters: Filters,
    ) -> Self {
        let packed = Packed::new(simd, network, targets);
        let bytes = if filters.bytes {
            ByteFilter::new::<S, A, N>(simd, network, entries.view, &packed, targets, least)
        } else {
            None
        };
        let columns = N * S::F32_LANES;
        let bounds = if filters.bounds { Bounds::new(network, targets, least, columns) } else { None };
        Self { packed, bounds, bytes }
    }

    /// How many pairs of a target and a block of the panel `here` bounds leave; `None` where they do not pay.
    #[inline(always)]
    pub fn left<S: Simd, A: Activation, const N: usize>(
        &mut self,
        simd: S,
        network: &CpuNetwork,
        entries: Entries<'_, A>,
        here: &Range<usize>,
    ) -> Option<usize> {
        let beside_bytes = self.bytes.as_ref().is_some_and(ByteFilter::pays);
        let most = if beside_bytes { MOST_BESIDE_BYTES } else { MOST };
        let bounds = self.bounds.as_mut()?;
        bounds.left::<S, A, N>(simd, network, &self.packed, entries, here, most)
    }

    /// A panel of entries with all targets that are left; `bounded` where bounds know them.
    #[inline(always)]
    pub fn panel<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        network: &CpuNetwork,
        panel: Panel<'_>,
        bounded: bool,
        report: &mut Report<'_>,
    ) {
        let Self { packed, bounds, bytes } = self;
        if let Some(bounds) = bounds.as_ref().filter(|_| bounded) {
            let poisons = poisons::<S, N>(simd, network, panel);
            for (targets, column) in bounds.candidates(panel.entries) {
                let vector = column / S::F32_LANES;
                // A block is a vector or a panel. As many sums as the registers hold.
                if bounds.block() == S::F32_LANES {
                    for targets in targets.chunks(8) {
                        if targets.len() > 4 {
                            packed.block::<S, 1, 8, N>(simd, network, panel, &poisons, vector, targets, report);
                        } else {
                            packed.block::<S, 1, 4, N>(simd, network, panel, &poisons, vector, targets, report);
                        }
                    }
                } else {
                    for targets in targets.chunks(4) {
                        packed.block::<S, N, 4, N>(simd, network, panel, &poisons, vector, targets, report);
                    }
                }
            }
            return;
        }
        // No closure: what is inside one may be compiled for the baseline.
        let filtered = match bytes {
            Some(bytes) => bytes.panel::<S, N>(simd, network, packed, panel, report),
            None => false,
        };
        if !filtered {
            packed.panel::<S, N>(simd, network, panel, report);
        }
    }
}
