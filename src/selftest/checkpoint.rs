//! Weights of small networks, in memory.

use super::numbers::Numbers;
use crate::models::encoder::{EncoderConfig, FeedForward};
use crate::models::gin::GinConfig;
use crate::weights::{Checkpoint, Scope, Tensor};

/// Every tensor that the network asks for, random.
pub(super) fn of_encoder(config: &EncoderConfig) -> Scope {
    let (d, d_ff) = (config.d_model, config.d_ff);
    let mut tensors = Tensors::new(d);
    tensors.add("embed_tokens.weight", &[config.vocab_size, d], 0.0, 1.0);
    let linear = |tensors: &mut Tensors, name: &str, d_out: usize, d_in: usize, biased: bool| {
        tensors.linear(name, d_out, d_in);
        if biased {
            tensors.add(&format!("{name}.bias"), &[d_out], 0.0, 0.2);
        }
    };
    for index in 0..config.n_layers {
        let name = |part: &str| format!("layers.{index}.{part}");
        tensors.norm(&name("attention_norm"), d);
        tensors.norm(&name("ffn_norm"), d);
        for part in ["query", "key", "value", "output"] {
            linear(&mut tensors, &name(part), d, d, config.attention_bias);
        }
        linear(&mut tensors, &name("up"), d_ff, d, true);
        linear(&mut tensors, &name("down"), d, d_ff, true);
        if config.feed_forward == FeedForward::SwiGlu {
            linear(&mut tensors, &name("gate"), d_ff, d, true);
            tensors.add(&name("beta"), &[1], 1.25, 0.1);
        }
    }
    tensors.norm("final_norm", d);
    tensors.scope()
}

/// The same of a graph network.
pub(super) fn of_gin(config: &GinConfig) -> Scope {
    let (d, inner) = (config.d_model, config.d_inner());
    let mut tensors = Tensors::new(d);
    tensors.add("x_embedding1.weight", &[120, d], 0.0, 1.0);
    tensors.add("x_embedding2.weight", &[3, d], 0.0, 1.0);
    for index in 0..config.n_layers {
        let name = |part: &str| format!("gnns.{index}.{part}");
        for (part, d_out, d_in) in [("mlp.0", inner, d), ("mlp.2", d, inner)] {
            tensors.linear(&name(part), d_out, d_in);
            tensors.add(&name(&format!("{part}.bias")), &[d_out], 0.0, 0.2);
        }
        tensors.add(&name("edge_embedding1.weight"), &[6, d], 0.0, 0.5);
        tensors.add(&name("edge_embedding2.weight"), &[3, d], 0.0, 0.5);
        let norm = format!("batch_norms.{index}");
        tensors.norm(&norm, d);
        tensors.add(&format!("{norm}.running_mean"), &[d], 0.0, 0.5);
        tensors.add(&format!("{norm}.running_var"), &[d], 2.0, 1.0);
    }
    tensors.scope()
}

struct Tensors {
    numbers: Numbers,
    all: Vec<Tensor>,
}

impl Tensors {
    fn new(seed: usize) -> Self {
        Self { numbers: Numbers::new(seed), all: Vec::new() }
    }
    fn add(&mut self, name: &str, shape: &[usize], middle: f32, spread: f32) {
        let values = self.numbers.around(shape.iter().product(), middle, spread);
        self.all.push(Tensor::from_f32(name, shape, values));
    }
    fn linear(&mut self, name: &str, d_out: usize, d_in: usize) {
        let values = self.numbers.weights::<f32>(d_out, d_in);
        self.all.push(Tensor::from_f32(&format!("{name}.weight"), &[d_out, d_in], values));
    }
    fn norm(&mut self, name: &str, d: usize) {
        self.add(&format!("{name}.weight"), &[d], 1.0, 0.3);
        self.add(&format!("{name}.bias"), &[d], 0.0, 0.3);
    }
    fn scope(self) -> Scope {
        Scope::new(Checkpoint::of_tensors("self-test", self.all))
    }
}
