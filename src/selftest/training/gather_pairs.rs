//! The pairs of a step: whole batches and short ones, with and without labels.

use super::super::Subject;
use super::super::bench::{Bench, Case, Found};
use super::super::numbers::{Guarded, Numbers, Operand, wide};
use super::super::reference::Rounding;
use super::{Arrangement, BETWEEN, arrangements, note};
use crate::backend::Matrix;
use crate::error::Result;
use crate::ops::clock::{CLOCK_WORDS, Tick};
use crate::ops::gather_pairs::{PairBatch, PairScales, PairTables, gather_pairs};

const RUNS: usize = 3;
/// Entities of each side, and pairs.
const ENTITIES: [usize; 2] = [5, 7];
const PAIRS: usize = 11;
/// What stands for an unknown label in a result.
const UNKNOWN: f32 = 99.0;

struct Gather {
    widths: [usize; 2],
    n_labels: usize,
    tables: [Vec<f32>; 2],
    scales: [Vec<f32>; 2],
    pairs: Vec<u32>,
    labels: Vec<f32>,
    label_scales: Vec<f32>,
    orders: Vec<u32>,
    batch: [Arrangement; 3],
}

impl Gather {
    fn of(rows: usize, widths: [usize; 2], n_labels: usize, second: usize) -> Self {
        let mut numbers = Numbers::new(rows + widths[0]);
        let pair = |i: usize| [(i * 3 % ENTITIES[0]) as u32, (i * i % ENTITIES[1]) as u32];
        let mut pairs: Vec<u32> = (0..PAIRS).flat_map(pair).collect();
        // The last pair is one of the last rows.
        pairs[2 * PAIRS - 2..].copy_from_slice(&ENTITIES.map(|n| n as u32 - 1));
        Self {
            widths,
            n_labels,
            tables: [0, 1].map(|side| numbers.around(ENTITIES[side] * widths[side], 0.0, 2.0)),
            scales: widths.map(|width| numbers.around(RUNS * 2 * width, 0.5, 1.0)),
            labels: numbers.around(PAIRS * n_labels, 0.0, 3.0),
            label_scales: numbers.around(RUNS, 3.0, 1.0),
            orders: (0..RUNS * 2 * rows).map(|i| (i * 4 % PAIRS) as u32).chain([PAIRS as u32 - 1]).skip(1).collect(),
            pairs,
            batch: [widths[0], widths[1], n_labels].map(|width| arrangements([RUNS, rows, width])[second]),
        }
    }

    fn rows(&self) -> usize {
        self.batch[0].shape[1]
    }

    /// A whole batch from within the order, a short one, and none at all.
    fn ticks(&self) -> [Tick; RUNS] {
        let rows = self.rows() as u32;
        [(rows, rows), (rows / 2, 1), (0, 0)].map(|(n_rows, first)| Tick { n_rows, first, ..Tick::default() })
    }

    /// The pairs of a run's step.
    fn step(&self, run: usize) -> &[u32] {
        let tick = self.ticks()[run];
        &self.orders[run * 2 * self.rows() + tick.first as usize..][..tick.n_rows as usize]
    }

    fn vectors(&self, side: usize, run: usize) -> Vec<f64> {
        let (width, table, scale) = (self.widths[side], wide(&self.tables[side]), wide(&self.scales[side]));
        let scale = &scale[run * 2 * width..][..2 * width];
        let mut rows = vec![0.0; self.rows() * width];
        for (row, &pair) in rows.chunks_exact_mut(width).zip(self.step(run)) {
            let entity = self.pairs[2 * pair as usize + side] as usize;
            for (j, x) in row.iter_mut().enumerate() {
                *x = (table[entity * width + j] - scale[j]) * scale[width + j];
            }
        }
        rows
    }

    fn known(&self, run: usize) -> Vec<f64> {
        let mut rows = vec![f64::from(UNKNOWN); self.rows() * self.n_labels];
        for (row, &pair) in rows.chunks_exact_mut(self.n_labels.max(1)).zip(self.step(run)) {
            let labels = &self.labels[pair as usize * self.n_labels..][..self.n_labels];
            row.iter_mut()
                .zip(labels)
                .for_each(|(y, &label)| *y = f64::from(label) / f64::from(self.label_scales[run]));
        }
        rows
    }
}

impl Case<f32> for Gather {
    fn op(&self) -> &'static str {
        "gather_pairs"
    }
    fn size(&self) -> String {
        let ([partner, rna], n_labels) = (self.widths, self.n_labels);
        format!("rows {}, widths {partner} {rna}, labels {n_labels}{}", self.rows(), note(self.batch[0]))
    }
    /// Partners, RNAs, labels.
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let [partner, rna] = [0, 1].map(|side| Operand::new(device, &self.tables[side], self.widths[side]));
        let (partner, rna, pairs) = (partner?, rna?, Operand::new(device, &self.pairs, 2)?);
        let labels = Operand::new(device, &self.labels, self.n_labels)?;
        let [partner_scale, rna_scale] = self.scales.each_ref().map(|scale| device.uploaded(scale));
        let (partner_scale, rna_scale, label_scale) =
            (partner_scale?, rna_scale?, device.uploaded(&self.label_scales)?);
        let scale_at = |rows: usize, width: usize| Arrangement { shape: [RUNS, rows, width], offset: 0, gap: 0 };
        let orders = Operand::new(device, &self.orders, 2 * self.rows())?;
        let clock = device.uploaded(&self.ticks().map(Tick::words).concat())?;
        let tables = PairTables {
            partner: partner.all(device),
            rna: rna.all(device),
            pairs: pairs.all(device),
            labels: (self.n_labels > 0).then(|| labels.all(device)),
        };
        let scales = PairScales {
            partner: scale_at(2, self.widths[0]).read(device, &partner_scale),
            rna: scale_at(2, self.widths[1]).read(device, &rna_scale),
            label: scale_at(1, 1).read(device, &label_scale),
        };
        let output = |at: Arrangement| Guarded::new(device, &vec![BETWEEN; at.len()], at.len());
        let [mut a, mut b, mut y] = [output(self.batch[0])?, output(self.batch[1])?, output(self.batch[2])?];
        let batch = PairBatch {
            partner: a.stack(device, self.batch[0]),
            rna: b.stack(device, self.batch[1]),
            labels: (self.n_labels > 0).then(|| y.stack(device, self.batch[2])),
        };
        gather_pairs(
            device,
            &tables,
            &scales,
            orders.all(device),
            Matrix::of(device, &clock, RUNS, CLOCK_WORDS),
            batch,
        )?;
        let mut found = Found { values: Vec::new(), fault: None };
        for part in [a, b, y] {
            let (values, fault) = part.read(device)?;
            found.values.extend(values.into_iter().map(|x| if x.is_nan() { UNKNOWN } else { x }));
            found.fault = found.fault.or(fault);
        }
        Ok(found)
    }
    fn exact(&self, _rounding: Rounding) -> Vec<f64> {
        let between = f64::from(BETWEEN);
        let sides = [0, 1].map(|side| self.batch[side].filled(between, |run| self.vectors(side, run)));
        [sides.concat(), self.batch[2].filled(between, |run| self.known(run))].concat()
    }
    /// Two roundings.
    fn single_bound(&self, largest: f64) -> f64 {
        2e-7 * largest
    }
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for (rows, widths, n_labels) in [(1, [1, 1], 1), (4, [13, 300], 3), (5, [260, 8], 0), (32, [64, 520], 1)] {
        for second in [0, 1] {
            bench.check(&Gather::of(rows, widths, n_labels, second));
        }
    }
}
