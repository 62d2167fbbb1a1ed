//! Written over any backend; a `#[test]` names one.

use half::f16;

use super::*;
use crate::backend::{Cpu, Isa};

/// Unit roundoff of f32.
const U: f64 = f32::EPSILON as f64 / 2.0;
/// What stands where nothing may be written.
const UNTOUCHED: u32 = 0xdead_beef;

/// A call: rows without padding.
#[derive(Clone)]
pub(super) struct Case {
    pub network: PairNetwork,
    pub entries: Vec<f32>,
    pub targets: Vec<f32>,
    pub offsets: Vec<f32>,
    pub least: Vec<f32>,
    pub n: [usize; 2],
}

/// Numbers in [−1, 1).
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    let mut state = (seed as u32).wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

impl Case {
    /// Random operands and weights; `head` are the widths behind the operands.
    pub fn drawn(form: PairForm, width: usize, head: &[usize], members: usize, link: Link, n: [usize; 2]) -> Self {
        let layer = |d_in: usize, d_out: usize, seed| {
            let scale = 1.5 / (d_in as f32).sqrt();
            let weight = numbers(d_out * d_in, seed).iter().map(|x| x * scale).collect();
            HeadLayer { weight, bias: numbers(d_out, seed + 1), d_in, d_out }
        };
        let member = |m: usize| {
            let widths = [&[width], head].concat();
            let head = widths.windows(2).zip(0..).map(|(d, i)| layer(d[0], d[1], 100 * m + 2 * i)).collect();
            PairMember { weight: 1.0 / (m + members) as f32, n_positive: (width * (m + 1)) / (members + 1), head }
        };
        let network = PairNetwork { form, width, link, members: (0..members).map(member).collect() };
        network.check().unwrap();
        let rows = members * form.n_tables();
        let mut case = Self {
            network,
            entries: numbers(rows * n[0] * width, 7).iter().map(|x| 2.0 * x).collect(),
            targets: numbers(rows * n[1] * width, 8).iter().map(|x| 2.0 * x).collect(),
            offsets: numbers(members * n[1], 9),
            least: vec![f32::NEG_INFINITY; n[1]],
            n,
        };
        // About every third pair of a target is reported.
        case.least = (0..n[1])
            .map(|target| {
                let mut values: Vec<f64> = (0..n[0]).map(|entry| case.exact(target, entry, 0.0).0).collect();
                values.sort_unstable_by(f64::total_cmp);
                values.get(n[0] * 2 / 3).map_or(0.0, |&value| value as f32)
            })
            .collect();
        case
    }

    fn in_type<A: Activation>(&self) -> Self {
        let narrow: Vec<A> = self.entries.iter().map(|&x| A::rounded(x)).collect();
        Self { entries: A::widened(&narrow).into_owned(), ..self.clone() }
    }

    /// The value of a pair in f64, and how far a device may be from it that rounds what a head reads by `roundoff`.
    fn exact(&self, target: usize, entry: usize, roundoff: f64) -> (f64, f64) {
        let PairNetwork { form, width, link, members } = &self.network;
        let (mut value, mut bound, mut magnitude) = (0.0, 0.0, 0.0);
        for (m, member) in members.iter().enumerate() {
            let row = |values: &[f32], n: usize, table: usize, at: usize| -> Vec<f64> {
                let first = ((m * form.n_tables() + table) * n + at) * width;
                values[first..first + width].iter().map(|&x| f64::from(x)).collect()
            };
            let a = |table| row(&self.entries, self.n[0], table, entry);
            let b = |table| row(&self.targets, self.n[1], table, target);
            let (z, error) = match form {
                PairForm::SignedL1 => {
                    let offset = f64::from(self.offsets[m * self.n[1] + target]);
                    let terms: Vec<f64> = a(0).iter().zip(b(0)).map(|(a, b)| a.max(-b)).collect();
                    let (plus, minus) = terms.split_at(member.n_positive);
                    let z = offset + plus.iter().sum::<f64>() - minus.iter().sum::<f64>();
                    (z, gamma(*width) * (offset.abs() + terms.iter().map(|x| x.abs()).sum::<f64>()))
                }
                PairForm::Relu => {
                    let x = a(0).iter().zip(b(0)).map(|(a, b)| ((a + b).max(0.0), roundoff * (a + b).abs())).collect();
                    through(&member.head, x, roundoff)
                }
                PairForm::Gate => {
                    let pairs = a(0).into_iter().zip(a(1)).zip(b(0).into_iter().zip(b(1)));
                    let mixed = |((p, u), (r, v)): ((f64, f64), (f64, f64))| {
                        let x: f64 = r + sigmoid(u + v) * (p - r);
                        // σ, then the f32 operations around it.
                        let error = sigmoid_error() * (p - r).abs() + 3.0 * U * (p.abs() + r.abs());
                        (x, error + roundoff * x.abs())
                    };
                    through(&member.head, pairs.map(mixed).collect(), roundoff)
                }
            };
            let weight = f64::from(member.weight);
            let (phi, error) = match link {
                Link::Identity => (z, error),
                // The steepest slope of σ is ¼.
                Link::Logistic => (sigmoid(z), error / 4.0 + sigmoid_error()),
            };
            value += weight * phi;
            bound += weight.abs() * error;
            magnitude += (weight * phi).abs();
        }
        // The sum over the members; products of two roundings are far below the hundredth that is added.
        (value, 1.01 * (bound + gamma(members.len()) * magnitude))
    }
}

/// γ(d + 2).
fn gamma(d: usize) -> f64 {
    let n = (d + 2) as f64 * U;
    n / (1.0 - n)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The bound that the contract states.
fn sigmoid_error() -> f64 {
    (-20f64).exp2()
}

/// The logit of a head that reads numbers with errors, and its error.
fn through(head: &[HeadLayer], mut x: Vec<(f64, f64)>, roundoff: f64) -> (f64, f64) {
    for (i, layer) in head.iter().enumerate() {
        let output = |(row, &bias): (&[f32], &f32)| {
            let (mut z, mut size, mut error) = (f64::from(bias), f64::from(bias).abs(), 0.0);
            for (&w, &(x, x_error)) in row.iter().zip(&x) {
                let w = f64::from(w);
                z += w * x;
                size += (w * x).abs();
                // The number's own error, and the rounding of the weight.
                error += w.abs() * (x_error + roundoff * x.abs());
            }
            error += gamma(layer.d_in) * size;
            if i + 1 < head.len() { (z.max(0.0), error + roundoff * z.abs()) } else { (z, error) }
        };
        x = layer.weight.chunks(layer.d_in).zip(&layer.bias).map(output).collect();
    }
    x[0]
}

/// How many survivors there were, and what stands in the buffer of `capacity` and of 4 more.
fn call<B: PairScore, A: Activation>(backend: &B, case: &Case, capacity: usize) -> (usize, Vec<[u32; 3]>) {
    let (width, row) = (case.network.width, backend.padded(case.network.width));
    let padded = |values: &[f32]| -> Vec<f32> {
        values.chunks(width).flat_map(|x| x.iter().copied().chain(std::iter::repeat_n(0.0, row - width))).collect()
    };
    let up = |values: &[f32]| backend.uploaded(values).unwrap();
    let entries: Vec<A> = padded(&case.entries).iter().map(|&x| A::rounded(x)).collect();
    let (entries, targets) = (backend.uploaded(&entries).unwrap(), up(&padded(&case.targets)));
    let (offsets, least) = (up(&case.offsets), up(&case.least));
    let (members, [n_entries, n_targets]) = (case.network.members.len(), case.n);
    let tables = members * case.network.form.n_tables();
    let operands = PairOperands {
        entries: Matrix::of(backend, &entries, tables * n_entries, row),
        targets: Matrix::of(backend, &targets, tables * n_targets, row),
        offsets: Matrix::of(backend, &offsets, members, n_targets),
        least: Matrix::of(backend, &least, 1, n_targets),
    };
    let loaded = backend.load_folded(&case.network).unwrap();
    let mut found = Found::new(backend, capacity).unwrap();
    found.survivors = backend.uploaded(&vec![UNTOUCHED; 3 * (capacity + 4)]).unwrap();
    // Twice: the second call counts anew.
    for _ in 0..2 {
        pair_score(backend, &case.network, &loaded, &operands, case.n, &mut found).unwrap();
    }
    let mut count = [0];
    backend.download(backend.view(&found.count, 0..1), &mut count).unwrap();
    let kept = found.read(backend).unwrap();
    assert_eq!(kept.map(|kept| kept.len()), (count[0] as usize <= capacity).then_some(count[0] as usize));
    let mut words = vec![0; 3 * (capacity + 4)];
    backend.download(backend.view(&found.survivors, 0..words.len()), &mut words).unwrap();
    (count[0] as usize, words.as_chunks::<3>().0.to_vec())
}

/// The survivors by target and entry, when there is room.
fn survivors<B: PairScore, A: Activation>(backend: &B, case: &Case) -> Vec<(usize, usize, f32)> {
    let (count, mut words) = call::<B, A>(backend, case, case.n[0] * case.n[1]);
    assert!(words[count..].iter().flatten().all(|&word| word == UNTOUCHED), "written beside the survivors");
    words.truncate(count);
    words.sort_unstable();
    words.iter().map(|&[target, entry, bits]| (target as usize, entry as usize, f32::from_bits(bits))).collect()
}

/// Every pair that must be reported is, once and with its value; none that must not be.
#[track_caller]
fn agrees<B: PairScore, A: Activation>(backend: &B, case: &Case) {
    let (found, case) = (survivors::<B, A>(backend, case), &case.in_type::<A>());
    let mut found = found.into_iter().peekable();
    for target in 0..case.n[1] {
        let least = f64::from(case.least[target]);
        for entry in 0..case.n[0] {
            let (value, bound) = case.exact(target, entry, backend.roundoff::<A>());
            let at = format!("target {target}, entry {entry}: {value} ± {bound}, at least {least}");
            match found.next_if(|&(t, e, _)| (t, e) == (target, entry)) {
                Some((.., got)) => {
                    assert!((f64::from(got) - value).abs() <= bound, "{got} for {at}");
                    assert!(value >= least - bound, "{got} is reported for {at}");
                }
                None => assert!(value < least + bound, "nothing is reported for {at}"),
            }
        }
    }
    assert_eq!(found.next(), None, "reported twice or out of range");
}

const LINKS: [Link; 2] = [Link::Identity, Link::Logistic];

fn by_hand<B: PairScore>(backend: &B) {
    let member = PairMember { weight: 2.0, n_positive: 2, head: Vec::new() };
    let network = PairNetwork { form: PairForm::SignedL1, width: 3, link: Link::Identity, members: vec![member] };
    let (entries, targets) = (vec![1.0, -2.0, 3.0, 0.0, 0.0, 0.0], vec![-4.0, 1.0, 2.0]);
    let case = Case { network, entries, targets, offsets: vec![0.5], least: vec![6.0], n: [2, 1] };
    // 2·(½ + max(1, 4) + max(−2, −1) − max(3, −2)) = 1, and 2·(½ + 4 + 0 − 0) = 9.
    assert_eq!(survivors::<B, f32>(backend, &case), [(0, 1, 9.0)]);
    let all = Case { least: vec![1.0], ..case.clone() };
    assert_eq!(survivors::<B, f32>(backend, &all), [(0, 0, 1.0), (0, 1, 9.0)]);

    let layer = |weight: &[f32], bias: &[f32]| HeadLayer {
        weight: weight.to_vec(),
        bias: bias.to_vec(),
        d_in: weight.len() / bias.len(),
        d_out: bias.len(),
    };
    let mut case = all;
    case.network.form = PairForm::Relu;
    case.network.members[0].head =
        vec![layer(&[1.0, 1.0, 1.0, 0.0, 0.0, -1.0], &[0.5, 2.0]), layer(&[2.0, 4.0], &[-1.0])];
    // x = (0, 0, 5) and (0, 1, 2); behind the first layer (5½, 0) and (3½, 0).
    assert_eq!(survivors::<B, f32>(backend, &case), [(0, 0, 20.0), (0, 1, 12.0)]);

    case.network.form = PairForm::Gate;
    case.network.width = 1;
    case.network.members[0].head = vec![layer(&[3.0], &[0.25])];
    // p = (4, 8), u = (1, −1e9), r = 2, v = −1: x = 2 + ½·2 and 2 + 0·6.
    (case.entries, case.targets) = (vec![4.0, 8.0, 1.0, -1e9], vec![2.0, -1.0]);
    assert_eq!(survivors::<B, f32>(backend, &case), [(0, 0, 18.5), (0, 1, 12.5)]);
}

fn every_form_agrees_with_f64<B: PairScore>(backend: &B) {
    for (form, width, head) in [
        (PairForm::SignedL1, 64, &[][..]),
        (PairForm::Relu, 65, &[1]),
        (PairForm::Relu, 70, &[37, 1]),
        (PairForm::Relu, 300, &[64, 16, 9, 4, 1]),
        (PairForm::Gate, 33, &[1]),
        (PairForm::Gate, 48, &[40, 7, 1]),
    ] {
        for members in 1..=3 {
            for link in LINKS {
                agrees::<B, f32>(backend, &Case::drawn(form, width, head, members, link, [37, 11]));
            }
        }
        agrees::<B, f16>(backend, &Case::drawn(form, width, head, 2, Link::Logistic, [37, 5]));
    }
}

fn every_shape_agrees_with_f64<B: PairScore>(backend: &B) {
    for width in [1, 2, 7, 63, 64, 65] {
        for n in [[0, 3], [3, 0], [1, 1], [33, 9], [16, 8], [200, 2], [5, 31]] {
            let mut case = Case::drawn(PairForm::SignedL1, width, &[], 1, Link::Identity, n);
            for n_positive in [0, width / 2, width] {
                case.network.members[0].n_positive = n_positive;
                agrees::<B, f32>(backend, &case);
            }
            agrees::<B, f32>(backend, &Case::drawn(PairForm::Relu, width, &[width, 1], 1, Link::Identity, n));
            agrees::<B, f32>(backend, &Case::drawn(PairForm::Gate, width, &[1], 1, Link::Identity, n));
        }
    }
}

/// Gates from shut to open, in some entries and some targets only.
fn saturated_gates_agree_with_f64<B: PairScore>(backend: &B) {
    let (width, n) = (19, [75, 9]);
    for members in 1..=2 {
        let drawn = Case::drawn(PairForm::Gate, width, &[3, 1], members, Link::Identity, n);
        for (first_entry, first_target) in [(0, 9), (40, 9), (75, 4), (75, 9), (74, 0)] {
            let mut case = drawn.clone();
            for (rows, n, first) in [(&mut case.entries, n[0], first_entry), (&mut case.targets, n[1], first_target)] {
                for table in rows.chunks_exact_mut(n * width).skip(1).step_by(2) {
                    for (i, x) in table.iter_mut().enumerate() {
                        *x *= if i < first * width { 19.9 } else { 30.0 };
                    }
                }
            }
            agrees::<B, f32>(backend, &case);
        }
    }
}

fn everything_is_reported_once_above_minus_infinity<B: PairScore>(backend: &B) {
    for (form, head) in [(PairForm::SignedL1, &[][..]), (PairForm::Relu, &[5, 1]), (PairForm::Gate, &[1])] {
        let mut case = Case::drawn(form, 24, head, 1, Link::Identity, [69, 13]);
        case.least.fill(f32::NEG_INFINITY);
        let pairs: Vec<_> = survivors::<B, f32>(backend, &case).iter().map(|&(t, e, _)| (t, e)).collect();
        assert_eq!(pairs, (0..13).flat_map(|t| (0..69).map(move |e| (t, e))).collect::<Vec<_>>(), "{form:?}");
        case.least.fill(f32::INFINITY);
        assert_eq!(survivors::<B, f32>(backend, &case), []);
    }
}

/// A NaN among the operands is no reason to lose a pair.
fn no_number_is_reported<B: PairScore>(backend: &B) {
    for (form, head) in [(PairForm::SignedL1, &[][..]), (PairForm::Relu, &[5, 1]), (PairForm::Gate, &[1])] {
        for members in 1..=2 {
            let mut case = Case::drawn(form, 20, head, members, Link::Identity, [40, 10]);
            case.least.fill(1e30);
            // Entry 35 in the last table, target 6 in the first.
            let last = case.entries.len() - 5 * 20;
            case.entries[last + 19] = f32::NAN;
            case.targets[6 * 20] = f32::NAN;
            let found = survivors::<B, f32>(backend, &case);
            let expected = (0..10).flat_map(|t| (0..40).map(move |e| (t, e))).filter(|&(t, e)| t == 6 || e == 35);
            assert_eq!(
                found.iter().map(|&(t, e, _)| (t, e)).collect::<Vec<_>>(),
                expected.collect::<Vec<_>>(),
                "{form:?}"
            );
            assert!(found.iter().all(|(.., value)| value.is_nan()), "{form:?}: {found:?}");
        }
    }
}

fn too_many_are_counted_and_write_nothing_beside<B: PairScore>(backend: &B) {
    let mut case = Case::drawn(PairForm::SignedL1, 16, &[], 1, Link::Identity, [70, 9]);
    case.least.fill(-1e30);
    let all = survivors::<B, f32>(backend, &case);
    for capacity in [0, 1, 100, 629, 630] {
        let (count, words) = call::<B, f32>(backend, &case, capacity);
        assert_eq!(count, 630);
        let (mut kept, beside) = (words[..capacity].to_vec(), &words[capacity..]);
        assert!(beside.iter().flatten().all(|&word| word == UNTOUCHED), "written beside {capacity}");
        kept.sort_unstable();
        kept.dedup();
        assert_eq!(kept.len(), capacity, "some were written twice");
        for [target, entry, bits] in kept {
            assert!(all.contains(&(target as usize, entry as usize, f32::from_bits(bits))));
        }
    }
}

/// Integers, so that every value is exact.
fn a_tie_with_the_least_value_is_reported<B: PairScore>(backend: &B) {
    let mut case = Case::drawn(PairForm::SignedL1, 40, &[], 1, Link::Identity, [50, 20]);
    case.network.members[0].weight = 1.0;
    for values in [&mut case.entries, &mut case.targets, &mut case.offsets] {
        for x in values.iter_mut() {
            *x = (*x * 3.0).round();
        }
    }
    for target in 0..20 {
        case.least[target] = case.exact(target, 2 * target, 0.0).0 as f32;
    }
    let expected: Vec<_> = (0..20)
        .flat_map(|target| (0..50).map(move |entry| (target, entry)))
        .map(|(target, entry)| (target, entry, case.exact(target, entry, 0.0).0 as f32))
        .filter(|&(target, _, value)| value >= case.least[target])
        .collect();
    assert_eq!(survivors::<B, f32>(backend, &case), expected);
    assert!((0..20).all(|target| expected.iter().any(|&(t, e, _)| (t, e) == (target, 2 * target))));
}

/// All of the above.
fn everything<B: PairScore>(backend: &B) {
    by_hand(backend);
    every_form_agrees_with_f64(backend);
    every_shape_agrees_with_f64(backend);
    saturated_gates_agree_with_f64(backend);
    everything_is_reported_once_above_minus_infinity(backend);
    no_number_is_reported(backend);
    too_many_are_counted_and_write_nothing_beside(backend);
    a_tie_with_the_least_value_is_reported(backend);
}

#[test]
fn cpu() {
    for isa in Isa::available() {
        everything(&Cpu { threads: 1, isa });
    }
}
