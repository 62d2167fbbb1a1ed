//! Pairs per second of a folded screening, by one call and by a call on each thread, beside plain loops and the `gemm`
//! crate on one thread.

use std::hint::black_box;
use std::time::Duration;

use biollmnet::backend::{Activation, Cpu, Matrix};
use biollmnet::ops::pair_score::{
    Found, HeadLayer, Link, PairForm, PairMember, PairNetwork, PairOperands, PairScore, pair_score,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use rayon::prelude::*;

/// Roughly normal numbers of unit variance.
fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| (0..4).map(|_| next()).sum::<f32>() * 3f32.sqrt()).collect()
}

/// A network and its operands.
struct Case {
    network: PairNetwork,
    entries: Vec<f32>,
    targets: Vec<f32>,
    offsets: Vec<f32>,
    least: Vec<f32>,
    n: [usize; 2],
}

impl Case {
    /// Of random numbers, with least values that one pair of a thousand reaches.
    fn new(form: PairForm, width: usize, head: &[usize], members: usize, n: [usize; 2]) -> Self {
        let layer = |d: &[usize]| HeadLayer {
            weight: numbers(d[0] * d[1], 1).iter().map(|x| x / (d[0] as f32).sqrt()).collect(),
            bias: numbers(d[1], 2),
            d_in: d[0],
            d_out: d[1],
        };
        let head = [&[width], head].concat().windows(2).map(layer).collect();
        let member = PairMember { weight: 1.0 / members as f32, n_positive: width / 2 + 1, head };
        let link = if members > 1 { Link::Logistic } else { Link::Identity };
        let tables = members * form.n_tables();
        let mut case = Self {
            network: PairNetwork { form, width, link, members: vec![member; members] },
            entries: numbers(tables * n[0] * width, 3),
            targets: numbers(tables * n[1] * width, 4),
            offsets: vec![0.0; members * n[1]],
            least: vec![f32::NEG_INFINITY; n[1]],
            n,
        };
        case.set_least(1000);
        case
    }

    /// Of series of 64 entries whose elements spread a quarter as far around the series' as those around 0. A third of
    /// the elements are dead, as in trained networks. One pair of `share` reaches the least value.
    fn of_series(width: usize, members: usize, n: [usize; 2], share: usize) -> Self {
        let mut case = Self::new(PairForm::SignedL1, width, &[], members, n);
        let centres = numbers(case.entries.len() / 64 + width, 5);
        for (row, entry) in case.entries.chunks_exact_mut(width).enumerate() {
            for (x, centre) in entry.iter_mut().zip(&centres[row / 64 * width..]) {
                *x = centre + 0.25 * *x;
            }
        }
        for rows in [&mut case.entries, &mut case.targets] {
            rows.chunks_exact_mut(width).for_each(|row| row.iter_mut().step_by(3).for_each(|x| *x *= 0.01));
        }
        case.set_least(share);
        case
    }

    /// Lets one pair of `share` reach the least value of all targets.
    fn set_least(&mut self, share: usize) {
        self.least.fill(f32::NEG_INFINITY);
        let cpu = Cpu::single();
        let mut found = self.found();
        self.screen(cpu, &self.entries, &mut found);
        let found = found.read(&cpu).expect("a buffer").expect("room for all");
        let mut values: Vec<f32> = found.iter().map(|survivor| survivor.value).collect();
        values.sort_unstable_by(f32::total_cmp);
        self.least.fill(values[values.len() - 1 - values.len() / share]);
    }

    fn pairs(&self) -> u64 {
        (self.n[0] * self.n[1]) as u64
    }

    /// Room for all pairs.
    fn found(&self) -> Found<Cpu> {
        Found::new(&Cpu::single(), self.n[0] * self.n[1]).expect("memory")
    }

    /// One call.
    fn screen<A: Activation>(&self, cpu: Cpu, entries: &[A], found: &mut Found<Cpu>) {
        let (members, width) = (self.network.members.len(), self.network.width);
        let tables = members * self.network.form.n_tables();
        let operands = PairOperands {
            entries: Matrix { rows: tables * self.n[0], cols: width, view: entries },
            targets: Matrix { rows: tables * self.n[1], cols: width, view: &self.targets[..] },
            offsets: Matrix { rows: members, cols: self.n[1], view: &self.offsets[..] },
            least: Matrix { rows: 1, cols: self.n[1], view: &self.least[..] },
        };
        let loaded = cpu.load_folded(&self.network).expect("a network");
        pair_score(&cpu, &self.network, &loaded, &operands, self.n, found).expect("a call");
    }
}

/// Name, form, width, head, members, and numbers of entries and targets.
type Shape = (&'static str, PairForm, usize, &'static [usize], usize, [usize; 2]);

fn screening(c: &mut Criterion) {
    use PairForm::{Gate, Relu, SignedL1};
    let cases: [Shape; 11] = [
        ("signed L1 64, 1 target", SignedL1, 64, &[], 1, [32_768, 1]),
        ("signed L1 64, 16 targets", SignedL1, 64, &[], 1, [16_384, 16]),
        ("signed L1 64, 256 targets", SignedL1, 64, &[], 1, [8_192, 256]),
        ("signed L1 64, 256 targets, 5 members", SignedL1, 64, &[], 5, [2_048, 256]),
        ("signed L1 512, 256 targets", SignedL1, 512, &[], 1, [2_048, 256]),
        ("relu 512-64-1, 1 target", Relu, 512, &[64, 1], 1, [4_096, 1]),
        ("relu 512-64-1, 64 targets", Relu, 512, &[64, 1], 1, [512, 64]),
        ("relu 128-64-1, 64 targets", Relu, 128, &[64, 1], 1, [1_024, 64]),
        ("gate 512-64-1, 64 targets", Gate, 512, &[64, 1], 1, [512, 64]),
        ("gate 512-1, 64 targets", Gate, 512, &[1], 1, [512, 64]),
        ("gate 1024-512-64-1, 16 targets", Gate, 1024, &[512, 64, 1], 1, [256, 16]),
    ];
    for (name, form, width, head, members, n) in cases {
        measure(c, name, &Case::new(form, width, head, members, n));
    }
    for (name, members, n, share) in [
        ("signed L1 64, series, 1 target, 1 in 1000", 1, [32_768, 1], 1000),
        ("signed L1 64, series, 16 targets, 1 in 1000", 1, [16_384, 16], 1000),
        ("signed L1 64, series, 256 targets, 1 in 1000", 1, [8_192, 256], 1000),
        ("signed L1 64, series, 256 targets, 1 in 250", 1, [8_192, 256], 250),
        ("signed L1 64, series, 256 targets, 5 members, 1 in 1000", 5, [4_096, 256], 1000),
    ] {
        measure(c, name, &Case::of_series(64, members, n, share));
    }
}

/// One call, half precision, what it is compared with, and a call on each thread.
fn measure(c: &mut Criterion, name: &str, case: &Case) {
    let threads = rayon::current_num_threads();
    let form = case.network.form;
    let mut group = c.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(case.pairs()));
    let mut found = case.found();
    group.bench_function("one call", |b| b.iter(|| case.screen(Cpu::single(), &case.entries, &mut found)));
    let half: Vec<f16> = case.entries.iter().map(|&x| f16::from_f32(x)).collect();
    group.bench_function("one call, f16", |b| b.iter(|| case.screen(Cpu::single(), &half, &mut found)));
    match form {
        PairForm::SignedL1 => group.bench_function("plain loops", |b| b.iter(|| plain_l1(case))),
        PairForm::Relu => group.bench_function("gemm crate", |b| b.iter(|| materialized_relu(case))),
        PairForm::Gate => &mut group,
    };
    let mut founds: Vec<_> = (0..threads).map(|_| case.found()).collect();
    group.throughput(Throughput::Elements(case.pairs() * threads as u64));
    group.bench_function(format!("{threads} calls side by side"), |b| {
        b.iter(|| founds.par_iter_mut().for_each(|found| case.screen(Cpu::single(), &case.entries, found)));
    });
    group.finish();
}

/// The signed L1 form row by row, pair by pair.
fn plain_l1(case: &Case) -> usize {
    let (width, mut kept) = (case.network.width, 0);
    for (entry, a) in case.entries[..case.n[0] * width].chunks_exact(width).enumerate() {
        for (b, &least) in case.targets.chunks_exact(width).zip(&case.least) {
            let (a, b) =
                (a.split_at(case.network.members[0].n_positive), b.split_at(case.network.members[0].n_positive));
            let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| a.max(-b)).sum::<f32>();
            if sum(a.0, b.0) - sum(a.1, b.1) >= least {
                kept += black_box(entry).min(1);
            }
        }
    }
    kept
}

/// `relu(a + b)` of one target with all entries in memory, and the layers by the `gemm` crate.
fn materialized_relu(case: &Case) -> usize {
    let (width, n_entries) = (case.network.width, case.n[0]);
    let [first, last] = &case.network.members[0].head[..] else { return 0 };
    let (mut x, mut z) = (vec![0.0; n_entries * width], vec![0.0; n_entries * first.d_out]);
    let mut kept = 0;
    for (b, &least) in case.targets.chunks_exact(width).zip(&case.least) {
        for (x, a) in x.chunks_exact_mut(width).zip(case.entries.chunks_exact(width)) {
            for ((x, &a), &b) in x.iter_mut().zip(a).zip(b) {
                *x = (a + b).max(0.0);
            }
        }
        product(&x, &first.weight, width, &mut z);
        for z in z.chunks_exact(first.d_out) {
            let terms = z.iter().zip(&first.bias).zip(&last.weight).map(|((&z, &b), &w)| (z + b).max(0.0) * w);
            kept += usize::from(terms.sum::<f32>() + last.bias[0] >= least);
        }
    }
    kept
}

/// `z [m, n] = x [m, k]·w [n, k]ᵀ`.
#[allow(unsafe_code)]
fn product(x: &[f32], w: &[f32], k: usize, z: &mut [f32]) {
    let (m, n) = (x.len() / k, w.len() / k);
    assert_eq!(z.len(), m * n);
    let (rows, row, one) = (n as isize, k as isize, 1);
    // SAFETY: the three slices hold m·k, n·k and m·n numbers, and the strides stay inside them.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            z.as_mut_ptr(),
            one,
            rows,
            false,
            x.as_ptr(),
            one,
            row,
            w.as_ptr(),
            row,
            one,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

criterion_group!(benches, screening);
criterion_main!(benches);
