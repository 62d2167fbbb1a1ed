//! Small encoders of both families as a whole, against the definition in f64: states, means, batches, recorded passes.

use super::Subject;
use super::bench::{Bench, Compared, difference, largest, same_bits};
use super::checkpoint;
use super::linear::precision;
use super::numbers::{Numbers, wide};
use super::reference::{self, Rounding};
use crate::backend::{Activation, Cpu};
use crate::error::Result;
use crate::models::encoder::{AttentionResidual, Encoder, EncoderConfig, FeedForward, Workspace};
use crate::ops::Backend;
use crate::ops::linear::Precision;
use crate::tokens::TokenBatch;
use crate::weights::{Scope, Tensor};

/// Largest difference of a state in f32 from the definition, states of order 1. The golden cases have the same bound.
pub(super) const SINGLE: f64 = 2e-5;

/// An encoder before it is on a device.
pub(super) struct Network {
    pub name: &'static str,
    pub config: EncoderConfig,
    pub scope: Scope,
    /// That of the states, unless another is asked for.
    pub precision: Option<Precision>,
}

/// A small network of the shape of ESM-2.
pub(super) fn esm2() -> EncoderConfig {
    EncoderConfig {
        n_layers: 2,
        d_model: 64,
        n_heads: 2,
        d_ff: 136,
        vocab_size: 33,
        mask_id: 32,
        layer_norm_eps: 1e-5,
        rope_theta: 1e4,
        token_dropout: true,
        attention_residual: AttentionResidual::Input,
        attention_bias: true,
        feed_forward: FeedForward::Gelu,
    }
}

fn networks() -> [Network; 2] {
    let esm2 = esm2();
    // Its blocks exchange two buffers, here an odd number of times; an inner width that a device pads.
    let rinalmo = EncoderConfig {
        n_layers: 3,
        d_model: 72,
        n_heads: 3,
        d_ff: 37,
        attention_residual: AttentionResidual::Normalised,
        attention_bias: false,
        feed_forward: FeedForward::SwiGlu,
        ..esm2.clone()
    };
    [("encoder_esm2", esm2), ("encoder_rinalmo", rinalmo)].map(|(name, config)| Network {
        name,
        scope: checkpoint::of_encoder(&config),
        config,
        precision: None,
    })
}

/// Sequences of these lengths; every twelfth token or so is masked.
pub(super) fn batch(lengths: &[usize], seed: usize) -> TokenBatch {
    let mut numbers = Numbers::new(seed);
    let mut batch = TokenBatch::default();
    for &length in lengths {
        let mut token = |_| if numbers.below(12) == 0 { 32 } else { numbers.below(32) as u32 };
        // The first is never a mask: of masks alone no share is left.
        let ids: Vec<u32> = [0].into_iter().chain((1..length).map(&mut token)).collect();
        batch.push(&ids[..length]);
    }
    batch
}

pub(super) const LENGTHS: [usize; 5] = [5, 33, 1, 130, 17];

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for network in &networks() {
        bench.near::<A>(network.name, "states", |device| states_are_near::<B, A>(network, device));
        bench.near::<A>(network.name, "means", |device| means_are_near::<B, A>(network, device));
        bench.holds::<A>(network.name, "sequences alone", |device| alone::<B, A>(network, device));
        bench.holds::<A>(network.name, "recorded passes", |device| recorded::<B, A>(network, device));
    }
}

/// Runs a batch; the states, in the type in which the device holds them.
pub(super) fn forward<B: Backend, A: Activation>(
    device: &B,
    encoder: &Encoder<B>,
    work: &mut Workspace<B, A>,
    batch: &TokenBatch,
) -> Result<Vec<A>> {
    encoder.forward(device, batch, work)?;
    let hidden = work.hidden(device, encoder.config(), batch.n_tokens());
    let mut states = vec![A::default(); hidden.rows * hidden.cols];
    device.download(hidden.view, &mut states)?;
    Ok(states)
}

impl Network {
    pub fn load<B: Backend, A: Activation>(&self, device: &B) -> Result<Encoder<B>> {
        Encoder::load(device, &self.config, &self.scope, self.precision.unwrap_or_else(precision::<A>))
    }

    pub fn states<B: Backend, A: Activation>(&self, device: &B, batch: &TokenBatch) -> Result<Vec<A>> {
        let encoder = self.load::<B, A>(device)?;
        forward(device, &encoder, &mut encoder.workspace(device)?, batch)
    }
}

fn states_are_near<B: Subject, A: Activation>(network: &Network, device: &B) -> Result<Compared> {
    let batch = batch(&LENGTHS, 1);
    let found = wide(&network.states::<B, A>(device, &batch)?);
    let twin = wide(&network.states::<Cpu, A>(&Cpu::single(), &batch)?);
    let half = A::NAME == "f16";
    let definition = |rounding| Definition { rounding, half, network }.states(&batch);
    let exact = definition(Rounding::None)?;
    let bound = if half { 2.0 * difference(&definition(Rounding::Half)?, &exact) } else { SINGLE };
    let from_cpu = Some(difference(&found, &twin));
    Ok(Compared { error: Some(difference(&found, &exact)), bound, from_cpu, fault: None })
}

fn means_are_near<B: Subject, A: Activation>(network: &Network, device: &B) -> Result<Compared> {
    let (batch, encoder) = (batch(&LENGTHS, 1), network.load::<B, A>(device)?);
    let mut work = encoder.workspace::<A>(device)?;
    let states = wide(&forward(device, &encoder, &mut work, &batch)?);
    let segments = [[0, 5], [6, 38], [38, 38], [38, 39], [40, 168], [0, 186]];
    let means = wide(&encoder.means(device, batch.n_tokens(), &segments, &work)?);
    let exact = reference::segment_means(&states, &segments, network.config.d_model);
    let bound = 2e-6 * largest(&exact).max(1.0);
    Ok(Compared { error: Some(difference(&means, &exact)), bound, from_cpu: None, fault: None })
}

pub(super) fn alone<B: Subject, A: Activation>(network: &Network, device: &B) -> Result<Option<String>> {
    let (batch, d) = (batch(&LENGTHS, 1), network.config.d_model);
    let whole = network.states::<B, A>(device, &batch)?;
    for rows in batch.sequences() {
        let mut one = TokenBatch::default();
        one.push(&batch.ids()[rows.clone()]);
        let states = network.states::<B, A>(device, &one)?;
        let differs = || format!("at length {}", rows.len());
        let fault = same_bits(&states, &whole[rows.start * d..rows.end * d], differs);
        if fault.is_some() {
            return Ok(fault);
        }
    }
    Ok(None)
}

/// A device may record the launches of a shape when it comes again. Other numbers of the same shape, with other shapes
/// between, have the bits of a first pass.
pub(super) fn recorded<B: Subject, A: Activation>(network: &Network, device: &B) -> Result<Option<String>> {
    let encoder = network.load::<B, A>(device)?;
    let mut work = encoder.workspace::<A>(device)?;
    let shapes = [&[40, 20, 3][..], &[131, 4], &[7]];
    let passes = [0, 1, 0, 2, 0, 1, 2, 1, 2, 0];
    for (pass, shape) in passes.into_iter().enumerate() {
        let batch = batch(shapes[shape], pass);
        let first = network.states::<B, A>(device, &batch)?;
        let again = forward(device, &encoder, &mut work, &batch)?;
        let fault = same_bits(&again, &first, || format!("in pass {} over lengths {:?}", pass + 1, shapes[shape]));
        if fault.is_some() {
            return Ok(fault);
        }
    }
    Ok(None)
}

/// The network in f64.
pub(super) struct Definition<'a> {
    pub rounding: Rounding,
    /// Weights of linear layers are those of half precision.
    pub half: bool,
    pub network: &'a Network,
}

impl Definition<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        Ok(wide(&self.network.scope.take(name, shape)?.to_f32()))
    }

    /// Name and shape of a linear layer, and whether it has a bias.
    fn linear(&self, x: &[f64], name: &str, [d_out, d_in]: [usize; 2], biased: bool) -> Result<Vec<f64>> {
        let weight: Tensor = self.network.scope.take(&format!("{name}.weight"), &[d_out, d_in])?;
        let weight = wide(&if self.half { weight.rounded_to_f16() } else { weight }.to_f32());
        let bias = if biased { self.tensor(&format!("{name}.bias"), &[d_out])? } else { Vec::new() };
        Ok(reference::linear(self.rounding, x, &weight, &bias, d_in))
    }

    fn norm(&self, x: &[f64], name: &str) -> Result<Vec<f64>> {
        let EncoderConfig { d_model, layer_norm_eps, .. } = self.network.config;
        let part = |part: &str| self.tensor(&format!("{name}.{part}"), &[d_model]);
        Ok(reference::layer_norm(self.rounding, x, &part("weight")?, &part("bias")?, f64::from(layer_norm_eps)))
    }

    fn add(&self, to: &mut [f64], what: &[f64]) {
        to.iter_mut().zip(what).for_each(|(to, what)| *to = self.rounding.of(*to + what));
    }

    fn embed(&self, batch: &TokenBatch) -> Result<Vec<f64>> {
        let EncoderConfig { vocab_size, d_model, mask_id, .. } = self.network.config;
        let table = self.tensor("embed_tokens.weight", &[vocab_size, d_model])?;
        let mut state = Vec::new();
        for rows in batch.sequences() {
            let ids = &batch.ids()[rows];
            let n_masked = ids.iter().filter(|&&id| id == mask_id).count();
            let scale = 0.88 / (1.0 - n_masked as f64 / ids.len() as f64);
            for &id in ids {
                let row = &table[id as usize * d_model..(id as usize + 1) * d_model];
                state.extend(row.iter().map(|x| self.rounding.of(if id == mask_id { 0.0 } else { scale * x })));
            }
        }
        Ok(state)
    }

    pub fn states(&self, batch: &TokenBatch) -> Result<Vec<f64>> {
        let config = &self.network.config;
        let (d, d_ff, heads) = (config.d_model, config.d_ff, config.heads());
        let half = heads.d_head / 2;
        let positions: Vec<u32> = batch.sequences().flat_map(|rows| 0..rows.len() as u32).collect();
        let lengths: Vec<usize> = batch.sequences().map(|rows| rows.len()).collect();
        let computed = |i: usize| f64::from(config.rope_theta).powf(-2.0 * i as f64 / heads.d_head as f64) as f32;
        let stored = self.network.scope.take_optional("inv_freq", &[half])?.map(|tensor| tensor.to_f32());
        let frequencies = wide(&stored.unwrap_or_else(|| (0..half).map(computed).collect()));
        let angle = |i: usize| (i / half) as f64 * frequencies[i % half];
        let angles: Vec<f64> = (0..batch.longest() * half).map(angle).collect();
        let [cos, sin] = [f64::cos, f64::sin].map(|of| angles.iter().map(|&x| of(x)).collect::<Vec<f64>>());
        let mut state = self.embed(batch)?;
        for layer in 0..config.n_layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let normed = self.norm(&state, &name("attention_norm"))?;
            let parts =
                ["query", "key", "value"].map(|part| self.linear(&normed, &name(part), [d, d], config.attention_bias));
            let [q, k, v] = parts;
            let (q, k, v) = (q?, k?, v?);
            let rows = q.chunks_exact(d).zip(k.chunks_exact(d)).zip(v.chunks_exact(d));
            let mut qkv: Vec<f64> = rows.flat_map(|((q, k), v)| [q, k, v].concat()).collect();
            let scale = 1.0 / (heads.d_head as f64).sqrt();
            reference::rotate(self.rounding, &mut qkv, heads, &positions, [&cos, &sin], scale);
            let mixed = reference::attention(self.rounding, &qkv, &lengths, heads);
            if config.attention_residual == AttentionResidual::Normalised {
                state = normed;
            }
            self.add(&mut state, &self.linear(&mixed, &name("output"), [d, d], config.attention_bias)?);
            let normed = self.norm(&state, &name("ffn_norm"))?;
            let up = self.linear(&normed, &name("up"), [d_ff, d], true)?;
            let inner: Vec<f64> = match config.feed_forward {
                FeedForward::Gelu => up.into_iter().map(|z| reference::gelu(self.rounding, z)).collect(),
                FeedForward::SwiGlu => {
                    let gate = self.linear(&normed, &name("gate"), [d_ff, d], true)?;
                    let beta = self.tensor(&name("beta"), &[1])?[0];
                    up.iter().zip(gate).map(|(&a, g)| reference::swiglu(self.rounding, beta, a, g)).collect()
                }
            };
            self.add(&mut state, &self.linear(&inner, &name("down"), [d, d_ff], true)?);
        }
        self.norm(&state, "final_norm")
    }
}
