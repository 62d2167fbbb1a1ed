//! Trained fusion networks for lists of pairs: every way of mixing, sides with and without a projection, heads of one
//! to six layers, lists that fill the device or do not.

use super::Subject;
use super::bench::{Bench, Case, Found, same_bits};
use super::linear::sum_bound;
use super::numbers::{Guarded, Numbers, Operand, wide};
use super::reference::{self, Rounding};
use crate::backend::Activation;
use crate::error::Result;
use crate::ops::Backend;
use crate::ops::gated_fusion::{FusionInputs, FusionLayer, FusionShape, Mixing, Pairs, gated_fusion};

/// Entities of each side.
const N_PARTNERS: usize = 11;
const N_RNAS: usize = 5;
const MIXINGS: [&str; 4] = ["static gate", "input gate", "concatenation", "average"];

struct Fusion<A> {
    shape: FusionShape,
    parameters: Vec<A>,
    partner: Vec<A>,
    rna: Vec<A>,
    pairs: Vec<[u32; 2]>,
}

/// Sizes of a network: widths of the entities (partner, RNA), of their projections, of the layers of the head.
type Widths = ([usize; 2], [Option<usize>; 2], &'static [usize]);

/// Parameters that are drawn layer by layer.
struct Parameters<A> {
    numbers: Numbers,
    all: Vec<A>,
    /// Where a tensor may begin; what lies between is not a number.
    step: usize,
}

impl<A: Activation> Parameters<A> {
    fn add(&mut self, values: &[f32]) -> u32 {
        self.all.resize(self.all.len().next_multiple_of(self.step), A::rounded(f32::NAN));
        let first = self.all.len();
        self.all.extend(values.iter().map(|&x| A::rounded(x)));
        first as u32
    }

    fn layer(&mut self, d_in: usize, d_out: usize) -> FusionLayer {
        let (weights, bias) = (self.numbers.weights::<A>(d_out, d_in), self.numbers.around(d_out, 0.1, 0.5));
        let (weight, bias) = (self.add(&weights), self.add(&bias));
        FusionLayer { weight, bias, d_in: d_in as u32, d_out: d_out as u32 }
    }
}

impl<A: Activation> Fusion<A> {
    fn of((widths, projections, head): Widths, mixing: usize, n_pairs: usize) -> Result<Self> {
        // Every second network has tensors that begin anywhere.
        let step = if head.len().is_multiple_of(2) { 1 } else { 8 };
        let mut parameters = Parameters { numbers: Numbers::new(n_pairs + mixing), all: Vec::new(), step };
        let mut side = |i: usize| projections[i].map(|d_out| parameters.layer(widths[i], d_out));
        let sides = [side(0), side(1)];
        let [p, r] = [0, 1].map(|i| projections[i].unwrap_or(widths[i]));
        let mixing = match mixing {
            0 => {
                let gate = parameters.numbers.around(p, 0.5, 2.0);
                Mixing::StaticGate(parameters.add(&gate))
            }
            1 => Mixing::InputGate(parameters.layer(p + r, p)),
            2 => Mixing::Concatenation,
            _ => Mixing::Average,
        };
        let mut width = if mixing == Mixing::Concatenation { p + r } else { p };
        let mut layers = Vec::new();
        for &d_out in head {
            layers.push(parameters.layer(width, d_out));
            width = d_out;
        }
        let shape = FusionShape::new(widths.map(|width| width as u32), sides, mixing, &layers)?;
        let Parameters { mut numbers, all, .. } = parameters;
        let (partner, rna) =
            (numbers.activations(N_PARTNERS * widths[0], 0.0, 1.5), numbers.activations(N_RNAS * widths[1], 0.0, 1.5));
        // The last pair is one of the last rows.
        let pair = |i| [(i * 7 % N_PARTNERS) as u32, (i * i % N_RNAS) as u32];
        let mut pairs: Vec<[u32; 2]> = (0..n_pairs).map(pair).collect();
        pairs[n_pairs - 1] = [N_PARTNERS as u32 - 1, N_RNAS as u32 - 1];
        Ok(Self { shape, parameters: all, partner, rna, pairs })
    }

    /// Logits and mean shares of the first `n` pairs.
    fn scores<B: Backend>(&self, device: &B, n: usize) -> Result<(Vec<f32>, Vec<f32>, Option<String>)> {
        let partner = Operand::new(device, &self.partner, self.shape.d_partner())?;
        let rna = Operand::new(device, &self.rna, self.shape.d_rna())?;
        let pairs = Pairs::new(device, &self.pairs[..n], N_PARTNERS, N_RNAS)?;
        let parameters = Operand::new(device, &self.parameters, self.parameters.len())?;
        let inputs = FusionInputs {
            partner: partner.all(device),
            rna: rna.all(device),
            pairs: &pairs,
            parameters: parameters.all(device),
        };
        let has_gate = self.shape.mixing() != Mixing::Concatenation;
        let mut logits = Guarded::unwritten(device, n, self.shape.n_outputs())?;
        let mut means = Guarded::unwritten(device, usize::from(has_gate), n)?;
        let gate_mean = has_gate.then(|| means.all(device));
        gated_fusion(device, &self.shape, &inputs, logits.all(device), gate_mean)?;
        let ((logits, fault), (means, beside)) = (logits.read(device)?, means.read(device)?);
        Ok((logits, means, fault.or(beside)))
    }

    /// Logits and mean share of one pair.
    fn exact_of_pair(&self, rounding: Rounding, [partner, rna]: [u32; 2]) -> (Vec<f64>, f64) {
        let all = wide(&self.parameters);
        let linear = |x: &[f64], layer: FusionLayer| {
            let FusionLayer { weight, bias, d_in, d_out } = layer;
            let part = |first: u32, len: u32| &all[first as usize..(first + len) as usize];
            reference::linear(rounding, x, part(weight, d_in * d_out), part(bias, d_out), d_in as usize)
        };
        let relu = |x: Vec<f64>| x.into_iter().map(|x| x.max(0.0)).collect::<Vec<f64>>();
        let side = |table: &[A], row: u32, width: usize, layer: Option<FusionLayer>| {
            let x = wide(&table[row as usize * width..][..width]);
            layer.map_or(x.clone(), |layer| relu(linear(&x, layer)))
        };
        let p = side(&self.partner, partner, self.shape.d_partner(), self.shape.partner());
        let r = side(&self.rna, rna, self.shape.d_rna(), self.shape.rna());
        let joined = [p.as_slice(), &r].concat();
        let gate = match self.shape.mixing() {
            Mixing::StaticGate(first) => all[first as usize..][..p.len()].to_vec(),
            Mixing::InputGate(layer) => linear(&joined, layer),
            Mixing::Concatenation | Mixing::Average => vec![0.0; p.len()],
        };
        let share: Vec<f64> = gate.into_iter().map(|g| rounding.of(1.0 / (1.0 + (-g).exp()))).collect();
        let mix =
            |((p, r), s): ((&f64, &f64), &f64)| rounding.of(rounding.of(s * p) + rounding.of(rounding.of(1.0 - s) * r));
        let mut x = match self.shape.mixing() {
            Mixing::Concatenation => joined,
            _ => p.iter().zip(&r).zip(&share).map(mix).collect(),
        };
        let (last, hidden) = self.shape.head().split_last().expect("a head has a last layer");
        for &layer in hidden {
            x = relu(linear(&x, layer));
        }
        (linear(&x, *last), share.iter().sum::<f64>() / share.len() as f64)
    }
}

impl<A: Activation> Case<A> for Fusion<A> {
    fn op(&self) -> &'static str {
        "gated_fusion"
    }
    fn size(&self) -> String {
        let mixing = match self.shape.mixing() {
            Mixing::StaticGate(_) => MIXINGS[0],
            Mixing::InputGate(_) => MIXINGS[1],
            Mixing::Concatenation => MIXINGS[2],
            Mixing::Average => MIXINGS[3],
        };
        let ([p, r], head) = (self.shape.widths(), self.shape.head().len());
        format!("{} pairs, {mixing}, widths {p} and {r}, head of {head}", self.pairs.len())
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (mut values, means, fault) = self.scores(device, self.pairs.len())?;
        values.extend(means);
        Ok(Found { values, fault })
    }
    /// Logits, then shares. Pairs come again: each is computed once.
    fn exact(&self, rounding: Rounding) -> Vec<f64> {
        let table: Vec<_> = (0..(N_PARTNERS * N_RNAS) as u32)
            .map(|i| self.exact_of_pair(rounding, [i / N_RNAS as u32, i % N_RNAS as u32]))
            .collect();
        let pairs = || self.pairs.iter().map(|&[partner, rna]| &table[partner as usize * N_RNAS + rna as usize]);
        let mut all: Vec<f64> = pairs().flat_map(|(logits, _)| logits).copied().collect();
        if self.shape.mixing() != Mixing::Concatenation {
            all.extend(pairs().map(|(_, share)| share));
        }
        all
    }
    /// That of the widest sum: the others are shorter, and each layer evens the errors of the one before out.
    fn single_bound(&self, largest: f64) -> f64 {
        let head = self.shape.head();
        let widest = head.iter().map(|layer| layer.d_in).chain(self.shape.widths()).max().unwrap_or(1) as usize;
        let widest = widest.max(self.shape.d_partner()).max(self.shape.d_rna());
        sum_bound(widest, largest)
    }
}

const NETWORKS: [Widths; 4] = [
    ([24, 40], [Some(33), Some(33)], &[1]),
    ([129, 7], [None, Some(129)], &[64, 3]),
    ([20, 20], [None, None], &[130, 16, 8, 9, 5, 2]),
    ([343, 256], [Some(264), Some(264)], &[64, 16, 1]),
];

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    let mut sizes = Vec::new();
    for (i, network) in NETWORKS.into_iter().enumerate() {
        sizes.extend((0..4).map(|mixing| (network, mixing, [1, 8, 33, 9][(i + mixing) % 4])));
    }
    // Tiles of 32 and of 16 pairs take lists that give every multiprocessor one.
    let many = [32, 16].map(|tile| tile * bench.device.multiprocessors() - 5);
    sizes.extend(many.map(|n| (NETWORKS[0], 1, n)));
    sizes.push((NETWORKS[0], 2, many[0]));
    for (network, mixing, n) in sizes {
        match Fusion::<A>::of(network, mixing, n) {
            Ok(case) => bench.check(&case),
            Err(error) => bench.holds::<A>("gated_fusion", "a network", |_| Err(error)),
        }
    }
    bench.holds::<A>("gated_fusion", "first pairs of lists that fill the device", |device| {
        let case = Fusion::<A>::of(NETWORKS[0], 1, many[0])?;
        let (all, all_means, _) = case.scores(device, many[0])?;
        for n in [1, 7, 50, many[1]].map(|n| n.min(many[0])) {
            let (logits, means, _) = case.scores(device, n)?;
            let differs = || format!("in a list of {n} pairs");
            let fault = same_bits(&logits, &all[..n], differs).or_else(|| same_bits(&means, &all_means[..n], differs));
            if fault.is_some() {
                return Ok(fault);
            }
        }
        Ok(None)
    });
    bench.holds::<A>("gated_fusion", "pairs beside a partner of NaN", |device| {
        let mut case = Fusion::<A>::of(NETWORKS[0], 0, 33)?;
        let (clean, ..) = case.scores(device, 33)?;
        case.partner[..case.shape.d_partner()].fill(A::rounded(f32::NAN));
        let (found, _, fault) = case.scores(device, 33)?;
        let complaint = |i: usize| {
            let fits = if case.pairs[i][0] == 0 { found[i].is_nan() } else { found[i] == clean[i] };
            (!fits).then(|| format!("pair {i}: {} of {}", found[i], clean[i]))
        };
        Ok(fault.or_else(|| (0..33).find_map(complaint)))
    });
}
