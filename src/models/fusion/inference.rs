//! A trained network on a device, ready to score pairs.

use super::FusionNetwork;
use super::config::Fusion;
use super::layout::{Linear, Tensor};
use crate::backend::{Activation, Matrix, MatrixMut, Memory};
use crate::error::{Error, Result};
use crate::ops::gated_fusion::{FusionInputs, FusionLayer, FusionShape, GatedFusion, Mixing, Pairs, gated_fusion};

/// Elements to a multiple of which each weight begins: 16 bytes in every type.
const STEP: usize = 8;

/// A network with its parameters in the memory of a device; activations lie in `A`.
pub struct FusionInference<B: Memory, A: Activation> {
    shape: FusionShape,
    parameters: B::Buffer<A>,
    n_parameters: usize,
}

/// What a network says of pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct PairScores {
    /// `[n, n_outputs]`.
    pub logits: Vec<f32>,
    /// Mean share of the partner in each pair, where it was asked for and there is a gate.
    pub gate_mean: Option<Vec<f32>>,
}

/// Parameters that are laid out anew, each tensor from a multiple of [`STEP`].
struct Placing<'a> {
    from: &'a [f32],
    placed: Vec<f32>,
}

impl Placing<'_> {
    fn tensor(&mut self, tensor: &Tensor) -> Result<u32> {
        let start = self.placed.len().next_multiple_of(STEP);
        self.placed.resize(start, 0.0);
        self.placed.extend_from_slice(&self.from[tensor.range()]);
        let too_large = |_| {
            Error::data(
                "this network has more than 4 294 967 295 parameters",
                "choose narrower layers in its configuration",
            )
        };
        u32::try_from(self.placed.len()).map_err(too_large)?;
        Ok(start as u32)
    }

    fn layer(&mut self, linear: &Linear) -> Result<FusionLayer> {
        Ok(FusionLayer {
            weight: self.tensor(&linear.weight)?,
            bias: self.tensor(&linear.bias)?,
            d_in: linear.weight.cols as u32,
            d_out: linear.weight.rows as u32,
        })
    }
}

impl<B: GatedFusion, A: Activation> FusionInference<B, A> {
    /// Takes the parameters of a network, in its layout, to the device.
    ///
    /// # Errors
    /// When there are not as many as the network has; when its head is deeper than devices take; when the device has no
    /// memory left.
    pub fn new(backend: &B, network: &FusionNetwork, parameters: &[f32]) -> Result<Self> {
        let FusionNetwork { config, layout } = network;
        if parameters.len() != layout.len() {
            let expected = format!("{} parameters", layout.len());
            return Err(Error::Shape { op: "gated_fusion", expected, found: parameters.len().to_string() });
        }
        let mut placing = Placing { from: parameters, placed: Vec::with_capacity(parameters.len()) };
        let mut side = |linear: &Option<Linear>| linear.as_ref().map(|linear| placing.layer(linear)).transpose();
        let sides = [side(&layout.partner)?, side(&layout.rna)?];
        let mixing = match (&layout.static_gate, &layout.input_gate) {
            (Some(g), _) => Mixing::StaticGate(placing.tensor(g)?),
            (None, Some(gate)) => Mixing::InputGate(placing.layer(gate)?),
            (None, None) if config.fusion == Fusion::Concat => Mixing::Concatenation,
            (None, None) => Mixing::Average,
        };
        let head: Vec<FusionLayer> = layout.head.iter().map(|linear| placing.layer(linear)).collect::<Result<_>>()?;
        let placed: Vec<A> = placing.placed.iter().map(|&x| A::rounded(x)).collect();
        Ok(Self {
            shape: FusionShape::new([config.d_partner as u32, config.d_rna as u32], sides, mixing, &head)?,
            parameters: backend.uploaded(&placed)?,
            n_parameters: placed.len(),
        })
    }

    /// Scores pairs `[row of partner, row of rna]` of the vectors `partner [n_partners, d_partner]` and
    /// `rna [n_rnas, d_rna]`, each entity once; the mean shares of the partner too with `gate`.
    ///
    /// # Errors
    /// When a table is not whole rows or a pair names a row that is not there; what the device reports.
    pub fn score(
        &self,
        backend: &B,
        partner: &[f32],
        rna: &[f32],
        pairs: &[[u32; 2]],
        gate: bool,
    ) -> Result<PairScores> {
        let (n, n_outputs) = (pairs.len(), self.shape.n_outputs());
        let (a, b) =
            (Table::new(backend, partner, self.shape.d_partner())?, Table::new(backend, rna, self.shape.d_rna())?);
        let pairs = Pairs::new(backend, pairs, a.n, b.n)?;
        let inputs = FusionInputs {
            partner: Matrix::<B, A>::of(backend, &a.buffer, a.n, self.shape.d_partner()),
            rna: Matrix::of(backend, &b.buffer, b.n, self.shape.d_rna()),
            pairs: &pairs,
            parameters: Matrix::of(backend, &self.parameters, 1, self.n_parameters),
        };
        let gated = gate && self.shape.mixing() != Mixing::Concatenation;
        let mut logits = backend.zeros(n * n_outputs)?;
        let mut means = backend.zeros(if gated { n } else { 0 })?;
        let mean = gated.then(|| MatrixMut::of(backend, &mut means, 1, n));
        gated_fusion(backend, &self.shape, &inputs, MatrixMut::of(backend, &mut logits, n, n_outputs), mean)?;
        let download = |buffer: &B::Buffer<f32>, len: usize| -> Result<Vec<f32>> {
            let mut host = vec![0.0; len];
            backend.download(backend.view(buffer, 0..len), &mut host)?;
            Ok(host)
        };
        Ok(PairScores {
            logits: download(&logits, n * n_outputs)?,
            gate_mean: gated.then(|| download(&means, n)).transpose()?,
        })
    }
}

/// Vectors of one side on the device.
struct Table<B: Memory, A: Activation> {
    n: usize,
    buffer: B::Buffer<A>,
}

impl<B: Memory, A: Activation> Table<B, A> {
    fn new(backend: &B, vectors: &[f32], d: usize) -> Result<Self> {
        if !vectors.len().is_multiple_of(d) {
            let expected = format!("whole vectors of width {d}");
            return Err(Error::Shape { op: "gated_fusion", expected, found: format!("{} numbers", vectors.len()) });
        }
        let vectors: Vec<A> = vectors.iter().map(|&x| A::rounded(x)).collect();
        Ok(Self { n: vectors.len() / d, buffer: backend.uploaded(&vectors)? })
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::super::{FusionConfig, Parameters, Projection, Workspace};
    use super::*;
    use crate::backend::{Cpu, Isa};
    use crate::data::Task;

    fn wave(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * step).sin()).collect()
    }

    fn config(projection: Projection, fusion: Fusion, head: &[usize]) -> FusionConfig {
        FusionConfig {
            d_partner: 19,
            d_rna: if projection == Projection::None && fusion != Fusion::Concat { 19 } else { 45 },
            projection,
            fusion,
            head: head.to_vec(),
            n_outputs: 1 + head.len() % 3,
            dropout_projection: 0.1,
            dropout_head: 0.5,
            task: Task::Binary,
        }
    }

    /// Every projection with every fusion and several heads.
    fn configs() -> impl Iterator<Item = FusionConfig> {
        let fusions = [Fusion::Static, Fusion::Input, Fusion::Concat, Fusion::Average];
        let heads: [&[usize]; 4] = [&[], &[7], &[64, 33], &[21, 5, 40, 3, 8]];
        [Projection::None, Projection::OneSided, Projection::Both(70)].into_iter().flat_map(move |projection| {
            fusions.into_iter().flat_map(move |fusion| heads.map(|head| config(projection, fusion, head)))
        })
    }

    #[test]
    fn single_precision_has_the_bits_of_the_training_network() {
        let tables = [7, 11];
        // More pairs than a batch of the CPU.
        let pairs: Vec<[u32; 2]> = (0..300).map(|i| [i * 5 % 7, i * i % 11]).collect();
        for config in configs() {
            let network = FusionNetwork::new(config.clone()).unwrap();
            let parameters = network.layout.initial(3);
            let (a, b) = (wave(tables[0] * config.d_partner, 0.37), wave(tables[1] * config.d_rna, 0.73));
            for backend in Isa::available().map(|isa| Cpu { threads: 1, isa }) {
                let mut work = Workspace::<Cpu, f32>::new(&backend, &config, 1, pairs.len(), false).unwrap();
                for (i, &[partner, rna]) in pairs.iter().enumerate() {
                    let put = |to: &mut [f32], from: &[f32], row: u32, d: usize| {
                        to[i * d..][..d].copy_from_slice(&from[row as usize * d..][..d]);
                    };
                    put(&mut work.partner, &a, partner, config.d_partner);
                    put(&mut work.rna, &b, rna, config.d_rna);
                }
                let trained = Parameters::uploaded(&backend, &parameters).unwrap();
                network.forward(&backend, &trained, &mut work, pairs.len(), None).unwrap();
                let expected = work.logits(&backend, pairs.len(), config.n_outputs).to_vec();
                let share = network.gate_share(&backend, &trained, &work, pairs.len()).unwrap();

                let inference = FusionInference::<Cpu, f32>::new(&backend, &network, &parameters).unwrap();
                let found = inference.score(&backend, &a, &b, &pairs, true).unwrap();
                assert_eq!(found.logits, expected, "{config:?}");
                let means = share.map(|share| share.mean.iter().map(|&mean| mean as f32).collect::<Vec<_>>());
                assert_eq!(found.gate_mean, means, "{config:?}");
                let alone = inference.score(&backend, &a, &b, &pairs, false).unwrap();
                assert_eq!(alone, PairScores { logits: expected, gate_mean: None });
            }
        }
    }

    #[test]
    fn half_precision_is_close() {
        let backend = Cpu::single();
        let pairs = [[0, 0], [3, 1], [2, 4]];
        for config in configs() {
            let network = FusionNetwork::new(config.clone()).unwrap();
            let parameters = network.layout.initial(3);
            let (a, b) = (wave(5 * config.d_partner, 0.37), wave(5 * config.d_rna, 0.73));
            let full = FusionInference::<Cpu, f32>::new(&backend, &network, &parameters).unwrap();
            let half = FusionInference::<Cpu, f16>::new(&backend, &network, &parameters).unwrap();
            let (full, half) = (full.score(&backend, &a, &b, &pairs, true), half.score(&backend, &a, &b, &pairs, true));
            for (full, half) in full.unwrap().logits.iter().zip(half.unwrap().logits) {
                assert!((full - half).abs() < 2e-3, "{full} {half} {config:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let backend = Cpu::single();
        let network = FusionNetwork::new(config(Projection::Both(4), Fusion::Static, &[3])).unwrap();
        let parameters = network.layout.initial(3);
        let short = FusionInference::<Cpu, f32>::new(&backend, &network, &parameters[1..]).map(|_| ()).unwrap_err();
        assert!(short.to_string().contains("parameters"), "{short}");
        let inference = FusionInference::<Cpu, f32>::new(&backend, &network, &parameters).unwrap();
        let score = |a: usize, b: usize, pairs: &[[u32; 2]]| {
            inference.score(&backend, &vec![0.0; a], &vec![0.0; b], pairs, false)
        };
        score(38, 45, &[[1, 0]]).unwrap();
        assert!(score(37, 45, &[[1, 0]]).unwrap_err().to_string().contains("width 19"));
        assert!(score(38, 44, &[[1, 0]]).unwrap_err().to_string().contains("width 45"));
        assert!(score(38, 45, &[[2, 0]]).is_err() && score(38, 45, &[[1, 1]]).is_err());
        assert_eq!(score(0, 0, &[]).unwrap(), PairScores { logits: vec![], gate_mean: None });
    }
}
