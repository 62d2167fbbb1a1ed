//! Every tensor of a network under its canonical name, with its shape.

use super::config::Network;
use crate::models::encoder::{EncoderConfig, FeedForward};

/// One tensor that a network has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
}

/// What a tensor is for: how it starts, and whether a checkpoint may lack it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// Rows of a table that are looked up.
    Embedding,
    /// Scale of a norm, running variance, β: near 1.
    Gain,
    /// Bias, running mean: near 0.
    Bias,
    /// Weight of a linear layer `[out, in]`; its result has the SD `gain` for inputs of SD 1.
    Weight { gain: f64 },
    /// Rotary frequencies, which a checkpoint may lack.
    Frequencies,
}

impl Expected {
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_optional(&self) -> bool {
        self.role == Role::Frequencies
    }
}

/// The tensors of `network`, in the order in which they are computed with.
pub(super) fn tensors(network: &Network) -> Vec<Expected> {
    let mut list = List(Vec::new());
    match network {
        Network::Esm2(sequence) | Network::Rinalmo(sequence) => encoder(&mut list, &sequence.encoder),
        Network::MoleBert(graph) => {
            molecules(&mut list, graph.n_layers, graph.d_model);
            if let Some(n_codes) = graph.n_codes {
                list.add("codebook.weight", &[n_codes, graph.d_model], Role::Embedding);
            }
        }
    }
    list.0
}

struct List(Vec<Expected>);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize], role: Role) {
        self.0.push(Expected { name: name.into(), shape: shape.to_vec(), role });
    }
    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool, gain: f64) {
        self.add(format!("{name}.weight"), &[outputs, inputs], Role::Weight { gain });
        if bias {
            self.add(format!("{name}.bias"), &[outputs], Role::Bias);
        }
    }
    fn norm(&mut self, name: &str, width: usize) {
        self.add(format!("{name}.weight"), &[width], Role::Gain);
        self.add(format!("{name}.bias"), &[width], Role::Bias);
    }
}

fn encoder(list: &mut List, config: &EncoderConfig) {
    let (d, f, bias) = (config.d_model, config.d_ff, config.attention_bias);
    // Two branches of each of n layers are added to one stream, whose SD stays about 1.
    let branch = 1.0 / (2.0 * config.n_layers as f64).sqrt();
    list.add("embed_tokens.weight", &[config.vocab_size, d], Role::Embedding);
    list.add("inv_freq", &[config.d_head() / 2], Role::Frequencies);
    for n in 0..config.n_layers {
        let name = |part: &str| format!("layers.{n}.{part}");
        list.norm(&name("attention_norm"), d);
        for part in ["query", "key", "value"] {
            list.linear(&name(part), d, d, bias, 1.0);
        }
        list.linear(&name("output"), d, d, bias, branch);
        list.norm(&name("ffn_norm"), d);
        list.linear(&name("up"), f, d, true, 1.0);
        if config.feed_forward == FeedForward::SwiGlu {
            list.linear(&name("gate"), f, d, true, 1.0);
            list.add(name("beta"), &[1], Role::Gain);
        }
        list.linear(&name("down"), d, f, true, branch);
    }
    list.norm("final_norm", d);
}

/// Atom types, mask included; chirality tags; bond types with self loop and mask; bond directions.
const TABLES: [usize; 4] = [120, 3, 6, 3];

fn molecules(list: &mut List, n_layers: usize, d: usize) {
    let [atoms, chirality, bonds, directions] = TABLES;
    list.add("x_embedding1.weight", &[atoms, d], Role::Embedding);
    list.add("x_embedding2.weight", &[chirality, d], Role::Embedding);
    for n in 0..n_layers {
        // About four messages of SD 2 meet at an atom.
        list.linear(&format!("gnns.{n}.mlp.0"), 2 * d, d, true, 0.25);
        list.linear(&format!("gnns.{n}.mlp.2"), d, 2 * d, true, 1.4);
        list.add(format!("gnns.{n}.edge_embedding1.weight"), &[bonds, d], Role::Embedding);
        list.add(format!("gnns.{n}.edge_embedding2.weight"), &[directions, d], Role::Embedding);
        list.norm(&format!("batch_norms.{n}"), d);
        list.add(format!("batch_norms.{n}.running_mean"), &[d], Role::Bias);
        list.add(format!("batch_norms.{n}.running_var"), &[d], Role::Gain);
    }
}
