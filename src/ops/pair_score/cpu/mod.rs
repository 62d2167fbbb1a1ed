//! CPU twin, one thread a call: a panel of entries is turned once, so that each lane is an entry, and meets all targets.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

mod byte_filter;
mod differences;
mod gate;
mod head;
mod network;
mod report;
mod signed_l1;
#[cfg(test)]
mod tests;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use self::byte_filter::ByteFilter;
use self::gate::Factors;
pub use self::network::CpuNetwork;
use self::report::Report;
use super::{Found, Link, PairForm, PairNetwork, PairOperands, PairScore};
use crate::backend::{Activation, Cpu};
use crate::error::Result;
use crate::ops::elementwise::sigmoid;
use crate::ops::linear::product::Shape;
use crate::ops::linear::split::with_panels;
use crate::ops::linear::turn::{Rows, turn};

impl PairScore for Cpu {
    type FoldedNetwork = CpuNetwork;

    fn load_folded(&self, network: &PairNetwork) -> Result<CpuNetwork> {
        Ok(CpuNetwork::new(self.isa, network))
    }
    fn calls_together(&self) -> usize {
        rayon::current_num_threads()
    }
    fn prefers_half(&self, _form: PairForm) -> bool {
        false
    }
    fn block_bytes(&self) -> usize {
        1 << 20
    }
    fn roundoff<A: Activation>(&self) -> f64 {
        f64::from(f32::EPSILON) / 2.0
    }

    fn pair_score_raw<A: Activation>(
        &self,
        network: &CpuNetwork,
        operands: &PairOperands<'_, Self, A>,
        n: [usize; 2],
        found: &mut Found<Self>,
    ) -> Result<()> {
        screen(*self, network, operands, n, true, found);
        Ok(())
    }
}

/// [`PairScore::pair_score_raw`], by bytes first where `byte_filter` says so and they pay.
fn screen<A: Activation>(
    cpu: Cpu,
    network: &CpuNetwork,
    operands: &PairOperands<'_, Cpu, A>,
    n: [usize; 2],
    byte_filter: bool,
    found: &mut Found<Cpu>,
) {
    let report = Report::new(operands.least.view, found);
    let columns = Shape::of(cpu.isa).columns;
    let tables = network.n_tables() * network.width * columns;
    with_panels(tables + 2 * network.widest * columns, |buffer| {
        let (tables, work) = buffer.split_at_mut(tables);
        let entries = operands.entries.view;
        let targets = Targets { rows: operands.targets.view, offsets: operands.offsets.view, n: n[1] };
        cpu.isa.dispatch(Screen { network, entries, n_entries: n[0], targets, tables, work, byte_filter, report });
    });
}

/// The folded operands of the targets.
#[derive(Clone, Copy)]
struct Targets<'a> {
    /// Tables of rows one after the other.
    rows: &'a [f32],
    /// `[n_members, n]`.
    offsets: &'a [f32],
    n: usize,
}

impl<'a> Targets<'a> {
    /// The row of `target` in `table`.
    #[inline(always)]
    fn row(self, table: usize, target: usize, width: usize) -> &'a [f32] {
        &self.rows[(table * self.n + target) * width..][..width]
    }
}

/// A panel of entries: its tables turned into columns, `[table][width][columns]`.
#[derive(Clone, Copy)]
struct Panel<'a> {
    tables: &'a [f32],
    columns: usize,
    /// Which entries; columns beyond them hold any numbers.
    entries: &'a Range<usize>,
}

impl<'a> Panel<'a> {
    /// One table, `[width, columns]`.
    #[inline(always)]
    fn table(self, table: usize, width: usize) -> &'a [f32] {
        let len = width * self.columns;
        &self.tables[table * len..(table + 1) * len]
    }
}

/// All entries with all targets.
struct Screen<'a, A> {
    network: &'a CpuNetwork,
    entries: &'a [A],
    n_entries: usize,
    targets: Targets<'a>,
    tables: &'a mut [f32],
    /// Two activations of the widest layer.
    work: &'a mut [f32],
    /// Whether the signed L1 form goes through bytes where that pays.
    byte_filter: bool,
    report: Report<'a>,
}

impl<A: Activation> WithSimd for Screen<'_, A> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            8 | 16 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, 8>(simd),
        }
    }
}

impl<A: Activation> Screen<'_, A> {
    /// With panels of `N` vectors.
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let Self { network, entries, n_entries, targets, tables, work, byte_filter, mut report } = self;
        let (width, columns) = (network.width, N * S::F32_LANES);
        let l1 = match network.form {
            PairForm::SignedL1 => Some(signed_l1::Packed::new(simd, network, targets)),
            PairForm::Relu | PairForm::Gate => None,
        };
        let mut bytes = match &l1 {
            Some(packed) if byte_filter => {
                ByteFilter::new::<S, A, N>(simd, network, entries, packed, targets, report.least())
            }
            _ => None,
        };
        let factors = match network.form {
            PairForm::Gate => Factors::new(simd, network, targets),
            PairForm::SignedL1 | PairForm::Relu => None,
        };
        for first in (0..n_entries).step_by(columns) {
            let here = first..n_entries.min(first + columns);
            for (table, out) in tables.chunks_exact_mut(width * columns).enumerate() {
                let first = (table * n_entries + here.start) * width;
                let rows = A::widened(&entries[first..first + here.len() * width]);
                for (rows, vector) in rows.chunks(S::F32_LANES * width).zip(0..) {
                    let rows = Rows { values: rows, pitch: width, n: rows.len() / width, len: width };
                    turn(simd, rows, columns, &mut out[vector * S::F32_LANES..]);
                }
            }
            let factors = match &factors {
                Some(factors) if Factors::take_entries(simd, tables, width * columns) => Some(factors),
                _ => None,
            };
            let panel = Panel { tables, columns, entries: &here };
            match &l1 {
                Some(packed) => {
                    let filtered = bytes
                        .as_mut()
                        .is_some_and(|bytes| bytes.panel::<S, N>(simd, network, packed, panel, &mut report));
                    if !filtered {
                        packed.panel::<S, N>(simd, network, panel, &mut report);
                    }
                }
                None => head::panel::<S, N>(simd, network, targets, panel, factors, work, &mut report),
            }
        }
    }
}

/// `value + w·φ(z)`.
#[inline(always)]
fn add_member<S: Simd>(simd: S, link: Link, weight: f32, z: S::f32s, value: S::f32s) -> S::f32s {
    let z = match link {
        Link::Identity => z,
        Link::Logistic => sigmoid(simd, z),
    };
    simd.mul_add_e_f32s(simd.splat_f32s(weight), z, value)
}
