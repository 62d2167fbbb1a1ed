//! Where each weight lies in the one flat buffer of parameters, and how it starts.
//!
//! One buffer for all weights makes the optimiser one pass and a snapshot one copy.

use std::ops::Range;

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::config::{Fusion, FusionConfig, Projection};

/// One weight: `[rows, cols]` from `offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Name in the checkpoint.
    pub name: String,
    /// First element in the flat buffer.
    pub offset: usize,
    /// Output width (1 for biases and for the static gate).
    pub rows: usize,
    /// Input width.
    pub cols: usize,
    /// Fan-in of the layer, which bounds the start values; `None` starts in [0, 1) (the static gate).
    fan_in: Option<usize>,
}

impl Tensor {
    /// Its elements in the flat buffer.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.rows * self.cols
    }
}

/// A linear layer: weight `[out, in]`, and behind it bias `[1, out]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Linear {
    pub weight: Tensor,
    pub bias: Tensor,
}

impl Linear {
    /// Weight and bias in the flat buffer.
    pub fn range(&self) -> Range<usize> {
        self.weight.offset..self.bias.range().end
    }
}

/// All weights of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub(super) partner: Option<Linear>,
    pub(super) rna: Option<Linear>,
    pub(super) static_gate: Option<Tensor>,
    pub(super) input_gate: Option<Linear>,
    pub(super) head: Vec<Linear>,
    len: usize,
}

struct Builder {
    len: usize,
}

impl Builder {
    fn tensor(&mut self, name: String, rows: usize, cols: usize, fan_in: Option<usize>) -> Tensor {
        let tensor = Tensor { name, offset: self.len, rows, cols, fan_in };
        self.len += rows * cols;
        tensor
    }
    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Linear {
        Linear {
            weight: self.tensor(format!("{name}.weight"), outputs, inputs, Some(inputs)),
            bias: self.tensor(format!("{name}.bias"), 1, outputs, Some(inputs)),
        }
    }
}

impl Layout {
    /// The layout of `config`.
    #[must_use]
    pub fn new(config: &FusionConfig) -> Self {
        let mut build = Builder { len: 0 };
        let (p, r) = (config.partner_width(), config.rna_width());
        let partner = matches!(config.projection, Projection::Both(_))
            .then(|| build.linear("projection.partner", config.d_partner, p));
        let rna = (config.projection != Projection::None).then(|| build.linear("projection.rna", config.d_rna, r));
        let static_gate = (config.fusion == Fusion::Static).then(|| build.tensor("gate.static".into(), 1, p, None));
        let input_gate = (config.fusion == Fusion::Input).then(|| build.linear("gate.input", p + r, p));
        let mut inputs = config.fused_width();
        let mut head = Vec::new();
        for (i, &outputs) in config.head.iter().chain([&config.n_outputs]).enumerate() {
            head.push(build.linear(&format!("head.{i}"), inputs, outputs));
            inputs = outputs;
        }
        Self { partner, rna, static_gate, input_gate, head, len: build.len }
    }

    /// Number of trainable parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// False: a network has at least its last layer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bias of the last layer in the flat buffer.
    #[must_use]
    pub fn output_bias(&self) -> Range<usize> {
        self.head.last().map_or(0..0, |last| last.bias.range())
    }

    /// Every weight, in the order of the flat buffer.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        fn both(linear: &Linear) -> [&Tensor; 2] {
            [&linear.weight, &linear.bias]
        }
        let projections = self.partner.iter().chain(&self.rna).flat_map(both);
        let gates = self.static_gate.iter().chain(self.input_gate.iter().flat_map(both));
        projections.chain(gates).chain(self.head.iter().flat_map(both))
    }

    /// Start values: each linear layer uniform in ±1/√(number of inputs) (PyTorch's default), the static gate uniform in [0, 1).
    #[must_use]
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut values = Vec::with_capacity(self.len);
        for tensor in self.tensors() {
            for _ in tensor.range() {
                let unit: f32 = random.random();
                values.push(match tensor.fan_in {
                    Some(fan_in) => (2.0 * unit - 1.0) / (fan_in as f32).sqrt(),
                    None => unit,
                });
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Task;

    fn config(projection: Projection, fusion: Fusion) -> FusionConfig {
        FusionConfig {
            d_partner: 5,
            d_rna: 5,
            projection,
            fusion,
            head: vec![3, 2],
            n_outputs: 1,
            dropout_projection: 0.0,
            dropout_head: 0.0,
            task: Task::Binary,
        }
    }

    #[test]
    fn tensors_fill_the_buffer_without_gaps() {
        for projection in [Projection::None, Projection::OneSided, Projection::Both(4)] {
            for fusion in [Fusion::Static, Fusion::Input, Fusion::Concat, Fusion::Average] {
                let layout = Layout::new(&config(projection, fusion));
                let mut end = 0;
                for tensor in layout.tensors() {
                    assert_eq!(tensor.offset, end, "{}", tensor.name);
                    end = tensor.range().end;
                }
                assert_eq!(end, layout.len());
            }
        }
    }

    #[test]
    fn parameter_count_by_hand() {
        // 5·4+4 twice, gate 4, head 4·3+3, 3·2+2, 2+1.
        assert_eq!(Layout::new(&config(Projection::Both(4), Fusion::Static)).len(), 48 + 4 + 15 + 8 + 3);
    }

    #[test]
    fn start_values_keep_their_bounds_and_depend_on_the_seed() {
        let layout = Layout::new(&config(Projection::Both(4), Fusion::Static));
        let values = layout.initial(3);
        let gate = layout.static_gate.as_ref().unwrap().range();
        assert!(values[gate].iter().all(|g| (0.0..1.0).contains(g)));
        assert!(values[..20].iter().all(|w| w.abs() <= 1.0 / 5f32.sqrt()));
        assert!(values[..20].iter().any(|w| *w < -0.2) && values[..20].iter().any(|w| *w > 0.2));
        assert_eq!(values, layout.initial(3));
        assert_ne!(values, layout.initial(4));
    }
}
