//! The filters are not seen in the results, and they filter.

use half::f16;

use super::bounds::Bounds;
use super::byte_filter::ByteFilter;
use super::signed_l1::Packed;
use super::*;
use crate::backend::{Isa, Matrix};
use crate::ops::pair_score::tests::Case;

const NONE: Filters = Filters { bounds: false, bytes: false };
const BYTES: Filters = Filters { bounds: false, bytes: true };
const BOUNDS: Filters = Filters { bounds: true, bytes: false };
const BOTH: Filters = Filters { bounds: true, bytes: true };

/// The survivors in order, with the bits of their values.
fn survivors<A: Activation>(cpu: Cpu, case: &Case, filters: Filters) -> Vec<[u32; 3]> {
    let (width, members, [n_entries, n_targets]) = (case.network.width, case.network.members.len(), case.n);
    let entries: Vec<A> = case.entries.iter().map(|&x| A::rounded(x)).collect();
    let operands = PairOperands {
        entries: Matrix { rows: members * n_entries, cols: width, view: &entries[..] },
        targets: Matrix { rows: members * n_targets, cols: width, view: &case.targets[..] },
        offsets: Matrix { rows: members, cols: n_targets, view: &case.offsets[..] },
        least: Matrix { rows: 1, cols: n_targets, view: &case.least[..] },
    };
    let network = cpu.load_folded(&case.network).unwrap();
    let mut found = Found::new(&cpu, n_entries * n_targets).unwrap();
    screen(cpu, &network, &operands, case.n, filters, &mut found);
    let mut survivors: Vec<_> = found.survivors.as_chunks::<3>().0[..found.count[0] as usize].to_vec();
    for [_, _, bits] in survivors.iter_mut().filter(|survivor| f32::from_bits(survivor[2]).is_nan()) {
        // Which NaN it is is nobody's promise.
        *bits = f32::NAN.to_bits();
    }
    survivors.sort_unstable();
    survivors
}

/// One member whose logit is the value.
fn plain(width: usize, n: [usize; 2]) -> Case {
    let mut case = Case::drawn(PairForm::SignedL1, width, &[], 1, Link::Identity, n);
    case.network.members[0].weight = 1.0;
    case
}

/// Least values that are values of the case, every one a tie: the best entry but one or two.
fn with_ties<A: Activation>(cpu: Cpu, mut case: Case) -> Case {
    case.least.fill(f32::NEG_INFINITY);
    let all = survivors::<A>(cpu, &case, NONE);
    for (target, least) in case.least.iter_mut().enumerate() {
        let of_target = all.iter().filter(|survivor| survivor[0] as usize == target);
        let mut values: Vec<f32> = of_target.map(|survivor| f32::from_bits(survivor[2])).collect();
        values.retain(|value| !value.is_nan());
        values.sort_unstable_by(f32::total_cmp);
        *least = values.iter().rev().nth(target % 3).copied().unwrap_or(0.0);
    }
    case
}

/// What happens to the operands: place in the rows, its number, and the element.
type Change = fn(usize, f32) -> f32;

/// Data that are easy and hard to filter.
const CHANGES: [(&str, Change); 11] = [
    ("none", |_, x| x),
    ("ties", |_, x| (2.0 * x).round() / 2.0),
    ("outliers", |i, x| if i % 97 == 3 { 1e6 * x } else { x }),
    ("long tails", |_, x| x * x * x * 1e3),
    ("far from 0", |_, x| 1e4 + x),
    ("columns of their own", |i, x| (i % 5) as f32 * 100.0 + x),
    ("tiny", |_, x| x * 1e-20),
    ("smaller than the grid", |_, x| x * 1e-40),
    ("huge", |_, x| x * 1e37),
    ("all the same", |_, _| 0.75),
    ("no numbers", |i, x| [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].get(i % 331).copied().unwrap_or(x)),
];

#[test]
fn bytes_change_no_bit() {
    for isa in Isa::available() {
        let cpu = Cpu { threads: 1, isa };
        for (width, n) in [(1, [70, 33]), (5, [40, 32]), (64, [150, 65]), (67, [33, 70])] {
            for n_positive in [0, width / 3, width] {
                for (name, change) in CHANGES {
                    let mut case = plain(width, n);
                    case.network.members[0].n_positive = n_positive;
                    for rows in [&mut case.entries, &mut case.targets] {
                        rows.iter_mut().enumerate().for_each(|(i, x)| *x = change(i, *x));
                    }
                    let at = format!("{isa}, {width}, {n:?}, {n_positive}, {name}");
                    let case = with_ties::<f32>(cpu, case);
                    assert_eq!(survivors::<f32>(cpu, &case, BYTES), survivors::<f32>(cpu, &case, NONE), "{at}");
                    let case = with_ties::<f16>(cpu, case);
                    assert_eq!(survivors::<f16>(cpu, &case, BYTES), survivors::<f16>(cpu, &case, NONE), "{at}");
                }
            }
        }
    }
}

/// The candidates among the first panel of entries, of all that there are.
struct Filtered<'a>(&'a CpuNetwork, &'a Case);

impl WithSimd for Filtered<'_> {
    type Output = Option<[usize; 2]>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        const N: usize = 2;
        let (Self(network, case), columns) = (self, N * S::F32_LANES);
        let width = network.width;
        let targets = Targets { rows: &case.targets, offsets: &case.offsets, n: case.n[1] };
        let packed = Packed::new(simd, network, targets);
        let mut filter = ByteFilter::new::<S, f32, N>(simd, network, &case.entries, &packed, targets, &case.least)?;
        let mut tables = vec![0.0; width * columns];
        for (column, row) in case.entries.chunks_exact(width).take(columns).enumerate() {
            row.iter().enumerate().for_each(|(k, &x)| tables[k * columns + column] = x);
        }
        let mut found = Found::new(&Cpu::single(), case.n[0] * case.n[1]).unwrap();
        let mut report = Report::new(&case.least, &mut found);
        let panel = Panel { tables: &tables, columns, entries: &(0..columns) };
        assert!(filter.panel::<S, N>(simd, network, &packed, panel, &mut report));
        Some([filter.n_candidates(), case.n[1] * N])
    }
}

#[test]
fn most_pairs_do_not_pass() {
    for isa in Isa::available() {
        let cpu = Cpu { threads: 1, isa };
        let mut case = with_ties::<f32>(cpu, plain(64, [400, 64]));
        let network = CpuNetwork::new(isa, &case.network);
        match isa {
            Isa::Avx512Vnni | Isa::Avx512 | Isa::Avx2 => {
                let [candidates, all] = isa.dispatch(Filtered(&network, &case)).unwrap();
                // The best two of 400 survive; a vector holds 16 at most.
                assert!(candidates * 4 < all, "{isa}: {candidates} of {all}");
                case.least.fill(f32::NEG_INFINITY);
                assert_eq!(isa.dispatch(Filtered(&network, &case)).unwrap(), [all; 2], "{isa}");
            }
            Isa::Neon | Isa::Portable => {}
        }
    }
}

/// Entries of every 40 in a row look alike, so that blocks have tight bounds.
fn in_series(mut case: Case) -> Case {
    let (width, n_entries) = (case.network.width, case.n[0]);
    let centres = case.entries.clone();
    for (row, entry) in case.entries.chunks_exact_mut(width).enumerate() {
        let (member, row) = (row / n_entries, row % n_entries);
        let centre = (member * n_entries + row / 40) * width;
        entry.iter_mut().zip(&centres[centre..]).for_each(|(x, centre)| *x = centre + 0.02 * *x);
    }
    case
}

#[test]
fn bounds_change_no_bit() {
    for isa in Isa::available() {
        let cpu = Cpu { threads: 1, isa };
        for (width, n, members, link) in [
            (1, [300, 3], 1, Link::Identity),
            (5, [520, 19], 3, Link::Identity),
            (67, [790, 40], 1, Link::Identity),
            (21, [430, 9], 3, Link::Logistic),
        ] {
            for (name, change) in CHANGES {
                let mut case = in_series(Case::drawn(PairForm::SignedL1, width, &[], members, link, n));
                for rows in [&mut case.entries, &mut case.targets] {
                    rows.iter_mut().enumerate().for_each(|(i, x)| *x = change(i, *x));
                }
                let at = format!("{isa}, {width}, {n:?}, {members}, {link:?}, {name}");
                let case = with_ties::<f32>(cpu, case);
                let all = survivors::<f32>(cpu, &case, NONE);
                assert_eq!(survivors::<f32>(cpu, &case, BOUNDS), all, "{at}");
                assert_eq!(survivors::<f32>(cpu, &case, BOTH), all, "{at}");
                let case = with_ties::<f16>(cpu, case);
                assert_eq!(survivors::<f16>(cpu, &case, BOUNDS), survivors::<f16>(cpu, &case, NONE), "{at}");
            }
        }
    }
}

#[test]
fn what_only_one_number_spoils_is_reported() {
    for isa in Isa::available() {
        let cpu = Cpu { threads: 1, isa };
        for link in [Link::Identity, Link::Logistic] {
            let mut case = in_series(Case::drawn(PairForm::SignedL1, 9, &[], 2, link, [600, 11]));
            let n_positive = case.network.members[0].n_positive;
            case.least.fill(1e30);
            case.entries[9 * 77] = f32::NAN;
            // ∞ − ∞ in a block that is bounded by +∞ without it.
            case.entries[9 * 300] = f32::INFINITY;
            case.entries[9 * 300 + n_positive] = f32::INFINITY;
            case.targets[9 * 4] = f32::NAN;
            let bounded = survivors::<f32>(cpu, &case, BOUNDS);
            assert_eq!(bounded, survivors::<f32>(cpu, &case, NONE), "{isa}, {link:?}");
            assert_eq!(bounded.len(), 600 + 2 * 10, "{isa}, {link:?}");
        }
    }
}

/// Pairs of a block and a target that bounds leave of the first group, and all that there are.
struct Bounded<'a>(&'a CpuNetwork, &'a Case);

impl WithSimd for Bounded<'_> {
    type Output = Option<[usize; 2]>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        match S::F32_LANES {
            8 | 16 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, 8>(simd),
        }
    }
}

impl Bounded<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) -> Option<[usize; 2]> {
        let (Self(network, case), columns) = (self, N * S::F32_LANES);
        let targets = Targets { rows: &case.targets, offsets: &case.offsets, n: case.n[1] };
        let packed = Packed::new(simd, network, targets);
        let entries = Entries { view: &case.entries[..], n: case.n[0] };
        let mut bounds = Bounds::new(network, targets, &case.least, columns).unwrap();
        let (mut left, mut all) = (0, 0);
        for first in (0..columns * bounds.block()).step_by(columns) {
            let here = first..first + columns;
            left += bounds.left::<S, f32, N>(simd, network, &packed, entries, &here, [1, 2])?;
            all += bounds.candidates(&here).count() * case.n[1];
        }
        Some([left, all])
    }
}

#[test]
fn most_blocks_are_left_out() {
    for isa in Isa::available() {
        let cpu = Cpu { threads: 1, isa };
        let mut case = with_ties::<f32>(cpu, in_series(plain(64, [600, 24])));
        let network = CpuNetwork::new(isa, &case.network);
        let [left, all] = isa.dispatch(Bounded(&network, &case)).unwrap();
        // The best series of 15 spreads over four blocks of 38.
        assert!(0 < left && left * 3 < all, "{isa}: {left} of {all}");
        case.least.fill(f32::NEG_INFINITY);
        assert_eq!(isa.dispatch(Bounded(&network, &case)), None, "{isa}: bounds that leave all do not step aside");
    }
}
