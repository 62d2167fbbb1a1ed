//! CPU twin, one thread a call: a panel of entries is turned once, so that each lane is an entry, and meets all targets.

// The instruction set is chosen around the kernel; what is not inlined into it would be compiled for the baseline.
#![allow(clippy::inline_always)]

mod bounds;
mod byte_filter;
mod candidates;
mod differences;
mod gate;
mod head;
mod network;
mod picked;
mod report;
mod sieve;
mod signed_l1;
#[cfg(test)]
mod tests;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use self::gate::Factors;
pub use self::network::CpuNetwork;
use self::report::{Reader, Report};
use self::sieve::{Filters, Sieve};
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
        screen(*self, network, operands, n, Filters { bounds: true, bytes: true }, found);
        Ok(())
    }
}

/// [`PairScore::pair_score_raw`], by `filters` first where they pay.
fn screen<A: Activation>(
    cpu: Cpu,
    network: &CpuNetwork,
    operands: &PairOperands<'_, Cpu, A>,
    n: [usize; 2],
    filters: Filters,
    found: &mut Found<Cpu>,
) {
    let report = Report::new(operands.least.view, found);
    let columns = Shape::of(cpu.isa).columns;
    let tables = network.n_tables() * network.width * columns;
    with_panels(tables + 2 * network.widest * columns, |buffer| {
        let (tables, work) = buffer.split_at_mut(tables);
        let entries = Entries { view: operands.entries.view, n: n[0] };
        let targets = Targets { rows: operands.targets.view, offsets: operands.offsets.view, n: n[1] };
        cpu.isa.dispatch(Screen { network, entries, targets, tables, work, filters, report });
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

/// The folded operands of the entries, tables of rows one after the other.
#[derive(Clone, Copy)]
struct Entries<'a, A> {
    view: &'a [A],
    n: usize,
}

impl<'a, A> Entries<'a, A> {
    /// Rows of `table`.
    #[inline(always)]
    fn rows(self, table: usize, rows: &Range<usize>, width: usize) -> &'a [A] {
        &self.view[(table * self.n + rows.start) * width..(table * self.n + rows.end) * width]
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
    entries: Entries<'a, A>,
    targets: Targets<'a>,
    tables: &'a mut [f32],
    /// Two activations of the widest layer.
    work: &'a mut [f32],
    /// What the signed L1 form goes through where it pays.
    filters: Filters,
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
        let Self { network, entries, targets, tables, work, filters, mut report } = self;
        let (width, columns) = (network.width, N * S::F32_LANES);
        let mut sieve = match network.form {
            PairForm::SignedL1 => Some(Sieve::new::<S, A, N>(simd, network, entries, targets, report.least(), filters)),
            PairForm::Relu | PairForm::Gate => None,
        };
        let factors = match network.form {
            PairForm::Gate => Factors::new(simd, network, targets),
            PairForm::SignedL1 | PairForm::Relu => None,
        };
        for first in (0..entries.n).step_by(columns) {
            let here = first..entries.n.min(first + columns);
            let left = match &mut sieve {
                Some(sieve) => sieve.left::<S, A, N>(simd, network, entries, &here),
                None => None,
            };
            if left == Some(0) {
                continue;
            }
            for (table, out) in tables.chunks_exact_mut(width * columns).enumerate() {
                turn_panel(simd, &A::widened(entries.rows(table, &here, width)), width, columns, out);
            }
            let factors = match &factors {
                Some(factors) if Factors::take_entries(simd, tables, width * columns) => Some(factors),
                _ => None,
            };
            let panel = Panel { tables, columns, entries: &here };
            match &mut sieve {
                Some(sieve) => sieve.panel::<S, N>(simd, network, panel, left.is_some(), &mut report),
                None => head::panel::<S, N>(simd, network, targets, panel, factors, work, &mut report),
            }
        }
    }
}

/// Turns rows of `width` into the columns of a panel, `[width, columns]`.
#[inline(always)]
fn turn_panel<S: Simd>(simd: S, rows: &[f32], width: usize, columns: usize, out: &mut [f32]) {
    for (rows, vector) in rows.chunks(S::F32_LANES * width).zip(0..) {
        let rows = Rows { values: rows, pitch: width, n: rows.len() / width, len: width };
        turn(simd, rows, columns, &mut out[vector * S::F32_LANES..]);
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
