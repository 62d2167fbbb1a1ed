//! Written over any backend; each `#[test]` names one.

use half::f16;

use super::*;
use crate::backend::{Cpu, Element, Isa};

/// Logits and mean gates of pairs of these vectors; `None` where the network has no gate.
fn run<B: GatedFusion, A: Activation>(
    backend: &B,
    shape: &FusionShape,
    [partner, rna, parameters]: [&[f32]; 3],
    pairs: &[[u32; 2]],
) -> (Vec<f32>, Option<Vec<f32>>) {
    let up = |values: &[f32]| {
        let values: Vec<A> = values.iter().map(|&x| A::rounded(x)).collect();
        backend.uploaded(&values).unwrap()
    };
    let (n_partners, n_rnas) = (partner.len() / shape.d_partner(), rna.len() / shape.d_rna());
    let (a, b, w) = (up(partner), up(rna), up(parameters));
    let n = pairs.len();
    let pairs = Pairs::new(backend, pairs, n_partners, n_rnas).unwrap();
    let inputs = FusionInputs {
        partner: Matrix::of(backend, &a, n_partners, shape.d_partner()),
        rna: Matrix::of(backend, &b, n_rnas, shape.d_rna()),
        pairs: &pairs,
        parameters: Matrix::of(backend, &w, 1, parameters.len()),
    };
    let download = |buffer: &B::Buffer<f32>, len: usize| {
        let mut host = vec![0.0; len];
        backend.download(backend.view(buffer, 0..len), &mut host).unwrap();
        host
    };
    let mut logits = backend.uploaded(&vec![9.0; n * shape.n_outputs()]).unwrap();
    let mut means = backend.uploaded(&vec![9.0; n]).unwrap();
    let gated = shape.mixing() != Mixing::Concatenation;
    let mean = gated.then(|| MatrixMut::of(backend, &mut means, 1, n));
    gated_fusion(backend, shape, &inputs, MatrixMut::of(backend, &mut logits, n, shape.n_outputs()), mean).unwrap();
    (download(&logits, n * shape.n_outputs()), gated.then(|| download(&means, n)))
}

fn layer(weight: u32, d_in: u32, d_out: u32) -> FusionLayer {
    FusionLayer { weight, bias: weight + d_in * d_out, d_in, d_out }
}

fn by_hand<B: GatedFusion>(backend: &B) {
    let third = (0.5f32).ln();
    // One RNA layer [3 → 2], g = (ln ½, 0), a hidden layer [2 → 2] and the last one [2 → 1].
    let parameters = [
        [1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.5, -1.0].as_slice(),
        &[third, 0.0],
        &[1.0, 1.0, -1.0, 0.0, 0.0, 1.0],
        &[2.0, 3.0, 0.25],
    ]
    .concat();
    let head = [layer(10, 2, 2), layer(16, 2, 1)];
    let (partner, rna) = ([3.0, -2.0, 6.0, 4.0], [1.0, 2.0, 3.0, -9.0, 0.25, 0.0]);
    let shape = FusionShape::new([2, 3], [None, Some(layer(0, 3, 2))], Mixing::StaticGate(8), &head).unwrap();
    let (logits, means) = run::<_, f32>(backend, &shape, [&partner, &rna, &parameters], &[[0, 0], [1, 1], [1, 0]]);
    // r = relu(4.5, 3) and relu(−8.5, −½); x = p/3 + 2r/3 and (p + r)/2.
    let expected = [2.0 * 4.5 + 0.25, 2.0 * 4.0 + 0.25, 2.0 * (5.0 + 3.5) + 0.25];
    for (found, expected) in logits.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{logits:?}");
    }
    assert!(means.unwrap().iter().all(|mean| (mean - 5.0 / 12.0).abs() < 1e-6));

    let concatenation = FusionShape::new([2, 3], [None; 2], Mixing::Concatenation, &[layer(0, 5, 1)]).unwrap();
    let parameters = [1.0, 10.0, 0.5, 4.0, 8.0, 0.125];
    let (logits, means) = run::<_, f32>(backend, &concatenation, [&partner, &rna, &parameters], &[[1, 0], [0, 1]]);
    assert_eq!((logits, means), (vec![6.0 + 40.0 + 0.5 + 8.0 + 24.0 + 0.125, 3.0 - 20.0 - 4.5 + 1.0 + 0.125], None));
}

/// Numbers in [−1, 1).
fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

/// A network and its parameters: biases at multiples of 8, weights anywhere, nothing between them that may be read.
struct Drawn {
    shape: FusionShape,
    parameters: Vec<f32>,
}

impl Drawn {
    fn layer(parameters: &mut Vec<f32>, d_in: usize, d_out: usize) -> FusionLayer {
        let weight = parameters.len();
        let scale = 1.5 / (d_in as f32).sqrt();
        parameters.extend(numbers(d_out * d_in, weight as u32).iter().map(|x| x * scale));
        parameters.resize(parameters.len().next_multiple_of(8), f32::NAN);
        let bias = parameters.len();
        parameters.extend(numbers(d_out, bias as u32));
        FusionLayer { weight: weight as u32, bias: bias as u32, d_in: d_in as u32, d_out: d_out as u32 }
    }

    fn new([d_partner, d_rna]: [usize; 2], widths: [Option<usize>; 2], mixing: usize, head: &[usize]) -> Self {
        let mut parameters = Vec::new();
        let mut side = |d_in, width: Option<usize>| width.map(|d_out| Self::layer(&mut parameters, d_in, d_out));
        let sides = [side(d_partner, widths[0]), side(d_rna, widths[1])];
        let (p, r) = (widths[0].unwrap_or(d_partner), widths[1].unwrap_or(d_rna));
        let mixing = match mixing {
            0 => {
                let first = parameters.len() as u32;
                parameters.extend(numbers(p, first));
                Mixing::StaticGate(first)
            }
            1 => Mixing::InputGate(Self::layer(&mut parameters, p + r, p)),
            2 => Mixing::Concatenation,
            _ => Mixing::Average,
        };
        let mut width = if mixing == Mixing::Concatenation { p + r } else { p };
        let mut layers = Vec::new();
        for &d_out in head {
            layers.push(Self::layer(&mut parameters, width, d_out));
            width = d_out;
        }
        let shape = FusionShape::new([d_partner as u32, d_rna as u32], sides, mixing, &layers).unwrap();
        Self { shape, parameters }
    }

    /// Logits and mean gate of one pair in f64, activations rounded by `round` as `parameters` are.
    fn naive(&self, parameters: &[f64], a: &[f32], b: &[f32], round: impl Fn(f64) -> f64) -> (Vec<f64>, f64) {
        let w = |i: usize| parameters[i];
        let linear = |layer: FusionLayer, x: &[f64], relu: bool| -> Vec<f64> {
            let output = |o: usize| {
                let row = layer.weight as usize + o * layer.d_in as usize;
                let sum: f64 = x.iter().enumerate().map(|(i, x)| w(row + i) * x).sum();
                let sum = sum + w(layer.bias as usize + o);
                if relu { sum.max(0.0) } else { sum }
            };
            (0..layer.d_out as usize).map(output).collect()
        };
        let all = |x: Vec<f64>| x.into_iter().map(&round).collect::<Vec<_>>();
        let side = |x: &[f32], layer: Option<FusionLayer>| {
            let x: Vec<f64> = x.iter().map(|&x| round(f64::from(x))).collect();
            layer.map_or(x.clone(), |layer| all(linear(layer, &x, true)))
        };
        let (p, r) = (side(a, self.shape.partner()), side(b, self.shape.rna()));
        let joined = [p.clone(), r.clone()].concat();
        let g = match self.shape.mixing() {
            Mixing::StaticGate(first) => (0..p.len()).map(|i| w(first as usize + i)).collect(),
            Mixing::InputGate(layer) => all(linear(layer, &joined, false)),
            Mixing::Concatenation | Mixing::Average => vec![0.0; p.len()],
        };
        let share: Vec<f64> = g.iter().map(|g| 1.0 / (1.0 + (-g).exp())).collect();
        let mut x = if self.shape.mixing() == Mixing::Concatenation {
            joined
        } else {
            all(p.iter().zip(&r).zip(&share).map(|((p, r), s)| s * p + (1.0 - s) * r).collect())
        };
        let (last, hidden) = self.shape.head().split_last().unwrap();
        for &layer in hidden {
            x = all(linear(layer, &x, true));
        }
        (linear(*last, &x, false), share.iter().sum::<f64>() / share.len() as f64)
    }
}

/// Networks of all kinds, with widths on both sides of those that the kernel's tiles have.
fn drawn() -> Vec<Drawn> {
    let mut networks = Vec::new();
    for mixing in 0..4 {
        networks.push(Drawn::new([24, 40], [Some(33), Some(33)], mixing, &[1]));
        networks.push(Drawn::new([129, 7], [None, Some(129)], mixing, &[64, 3]));
        networks.push(Drawn::new([20, 20], [None, None], mixing, &[130, 16, 8, 9, 5, 2]));
    }
    networks.push(Drawn::new([343, 256], [Some(512), Some(512)], 0, &[64, 1]));
    networks.push(Drawn::new([1, 1], [Some(1), Some(1)], 1, &[1]));
    networks
}

fn pairs(n: usize, [n_partners, n_rnas]: [usize; 2]) -> Vec<[u32; 2]> {
    (0..n).map(|i| [(i * 7 % n_partners) as u32, (i * i % n_rnas) as u32]).collect()
}

fn random_networks<B: GatedFusion, A: Activation>(backend: &B) {
    let round = |x: f64| f64::from(A::widened(&[A::rounded(x as f32)])[0]);
    // f32: sums of at most 512 numbers below 10 in five layers. f16: a number that rounds the other way moves what
    // follows by 2⁻¹¹ of it.
    let bound = if A::NAME == f16::NAME { 2e-2 } else { 2e-5 };
    let tables = [11, 5];
    for network in drawn() {
        let (shape, parameters) = (&network.shape, &network.parameters);
        let (a, b) = (numbers(tables[0] * shape.d_partner(), 1), numbers(tables[1] * shape.d_rna(), 2));
        let rounded: Vec<f64> = parameters.iter().map(|&x| round(f64::from(x))).collect();
        let pairs = pairs(33, tables);
        let naive = |&[partner, rna]: &[u32; 2]| {
            let (a, b) = (&a[partner as usize * shape.d_partner()..], &b[rna as usize * shape.d_rna()..]);
            network.naive(&rounded, &a[..shape.d_partner()], &b[..shape.d_rna()], round)
        };
        let expected: Vec<_> = pairs.iter().map(naive).collect();
        for n in [1, 8, 33] {
            let (logits, means) = run::<B, A>(backend, shape, [&a, &b, parameters], &pairs[..n]);
            for (i, (expected, mean)) in expected[..n].iter().enumerate() {
                for (found, expected) in logits[i * expected.len()..].iter().zip(expected) {
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error < bound * (1.0 + expected.abs()), "{shape:?}: {found} for {expected}");
                }
                let error = means.as_ref().map_or(0.0, |means| (f64::from(means[i]) - mean).abs());
                assert!(error < bound, "{shape:?}: mean {error}");
            }
        }
    }
}

fn a_pair_is_scored_the_same_in_company<B: GatedFusion, A: Activation>(backend: &B) {
    let network = Drawn::new([60, 41], [Some(72), Some(72)], 1, &[40, 2]);
    let (a, b, tables) = (numbers(30 * 60, 1), numbers(9 * 41, 2), [30, 9]);
    let all = pairs(601, tables);
    let run = |pairs: &[[u32; 2]]| run::<B, A>(backend, &network.shape, [&a, &b, &network.parameters], pairs);
    let (logits, means) = run(&all);
    let means = means.unwrap();
    for range in [0..1, 5..14, 100..117, 255..258, 300..601] {
        let (part, part_means) = run(&all[range.clone()]);
        assert_eq!(part, logits[2 * range.start..2 * range.end], "{range:?}");
        assert_eq!(part_means.unwrap(), means[range]);
    }
    assert!(run(&[]).0.is_empty());
}

fn what_does_not_fit_is_refused<B: GatedFusion>(backend: &B) {
    assert!(Pairs::new(backend, &[[0, 1], [1, 0]], 2, 2).is_ok());
    let error = |found: Result<Pairs<B>>| found.map(|_| ()).unwrap_err().to_string();
    assert!(error(Pairs::new(backend, &[[0, 1], [2, 0]], 2, 2)).contains("[2, 0]"));
    assert!(error(Pairs::new(backend, &[[0, 2]], 2, 2)).contains("[0, 2]"));

    let pairs = Pairs::new(backend, &[[0, 1]], 2, 3).unwrap();
    let call = |mixing, widths: [usize; 4], n_parameters: usize, mean: Option<usize>, logits: [usize; 2]| {
        let [a_rows, a_cols, b_rows, b_cols] = widths;
        let (a, b) = (backend.zeros::<f32>(a_rows * a_cols).unwrap(), backend.zeros::<f32>(b_rows * b_cols).unwrap());
        let w = backend.zeros::<f32>(n_parameters).unwrap();
        let mut out = backend.zeros::<f32>(logits[0] * logits[1]).unwrap();
        let mut means = backend.zeros::<f32>(9).unwrap();
        let d_in = if mixing == Mixing::Concatenation { 8 } else { 4 };
        let shape = FusionShape::new([4, 4], [None; 2], mixing, &[layer(0, d_in, 1)]).unwrap();
        let inputs = FusionInputs {
            partner: Matrix::of(backend, &a, a_rows, a_cols),
            rna: Matrix::of(backend, &b, b_rows, b_cols),
            pairs: &pairs,
            parameters: Matrix::of(backend, &w, 1, n_parameters),
        };
        let mean = mean.map(|n| MatrixMut::of(backend, &mut means, 1, n));
        gated_fusion(backend, &shape, &inputs, MatrixMut::of(backend, &mut out, logits[0], logits[1]), mean)
    };
    let widths = [2, 4, 3, 4];
    call(Mixing::Average, widths, 5, Some(1), [1, 1]).unwrap();
    call(Mixing::Concatenation, widths, 9, None, [1, 1]).unwrap();
    assert!(call(Mixing::Average, [1, 4, 3, 4], 5, None, [1, 1]).is_err());
    assert!(call(Mixing::Average, [2, 5, 3, 4], 5, None, [1, 1]).is_err());
    assert!(call(Mixing::Average, [2, 4, 2, 4], 5, None, [1, 1]).is_err());
    assert!(call(Mixing::Average, widths, 4, None, [1, 1]).is_err());
    assert!(call(Mixing::StaticGate(2), widths, 5, None, [1, 1]).is_err());
    assert!(call(Mixing::Average, widths, 5, None, [2, 1]).is_err());
    assert!(call(Mixing::Average, widths, 5, None, [1, 2]).is_err());
    assert!(call(Mixing::Average, widths, 5, Some(2), [1, 1]).is_err());
    assert!(call(Mixing::Concatenation, widths, 9, Some(1), [1, 1]).is_err());
}

#[test]
fn cpu() {
    for backend in Isa::available().flat_map(|isa| [1, 2].map(|threads| Cpu { threads, isa })) {
        by_hand(&backend);
        random_networks::<_, f32>(&backend);
        random_networks::<_, f16>(&backend);
        a_pair_is_scored_the_same_in_company::<_, f32>(&backend);
        a_pair_is_scored_the_same_in_company::<_, f16>(&backend);
        what_does_not_fit_is_refused(&backend);
    }
}
