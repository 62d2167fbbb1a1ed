//! `biollmnet bench gemm`: the linear layers of encoders, and their ops that only move numbers.

use biollmnet::backend::{Activation, Matrix, MatrixMut};
use biollmnet::error::{Error, Result};
use biollmnet::ops::linear::{Epilogue, LinearTensors, LinearWeights, Precision, Rotation, linear, linear_rope};
use biollmnet::weights::Tensor;
use clap::Args;

use super::ceilings::{CeilingFlags, Ceilings};
use super::random::numbers;
use super::table::{Cost, Line, Table};
use super::timing::{Measuring, Timed};
use super::{Job, PrecisionFlag, moves, on_device, precision};
use crate::cli::Context;
use crate::cli::device::Opened;
use crate::cli::output::print_json;

/// Width of a head.
const D_HEAD: usize = 64;
/// Positions that tokens take.
const POSITIONS: usize = 512;
/// Tokens below which a layer waits for its weights, which an encoder reads from memory: caches are cleared.
const COLD_BELOW: usize = 2048;

/// Arguments of `bench gemm`.
#[derive(Debug, Args)]
pub struct GemmArgs {
    /// Tokens, several with commas; without it whole waves of the device and a few small numbers.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    tokens: Vec<u32>,
    /// Width of the encoder, a multiple of 64; the other widths are in proportion.
    #[arg(long, value_name = "N", default_value_t = 1280, value_parser = clap::value_parser!(u32).range(64..=16384))]
    width: u32,
    /// Arithmetic; f16 on a CUDA device and f32 on the CPU where it is not given.
    #[arg(long, value_enum)]
    precision: Option<PrecisionFlag>,
    #[command(flatten)]
    ceilings: CeilingFlags,
    #[command(flatten)]
    measuring: Measuring,
}

/// Measures and prints.
pub fn run(args: &GemmArgs, context: &Context) -> Result<()> {
    let width = args.width as usize;
    if !width.is_multiple_of(D_HEAD) {
        return Err(Error::usage(format!("--width {width} is no multiple of {D_HEAD}"), "choose 320, 640, 1280, …"));
    }
    let opened = context.backend()?;
    let precision = precision(args.precision, opened)?;
    if precision == Precision::Fp8 {
        return Err(Error::usage(
            "bench gemm has no layers in fp8",
            "measure a network: bench encoder --precision fp8",
        ));
    }
    let tokens = match (&args.tokens[..], opened) {
        ([], Opened::Cpu) => vec![1024, 128],
        ([], Opened::Cuda(cuda)) => vec![cuda.whole_wave_tokens(), 4096, 512, 128, 32],
        (given, _) => given.iter().map(|&n| n as usize).collect(),
    };
    let table = on_device(Layers { args, opened, precision, width, tokens }, opened, precision)?;
    args.measuring.export(&table)?;
    if context.json { print_json(&table) } else { table.print() }
}

struct Layers<'a> {
    args: &'a GemmArgs,
    opened: &'a Opened,
    precision: Precision,
    width: usize,
    tokens: Vec<usize>,
}

impl Job for Layers<'_> {
    type Output = Table;

    fn run<B: Timed, A: Activation>(self, backend: &B) -> Result<Table> {
        let Self { args, opened, precision, width, tokens } = self;
        let ceilings = Ceilings::take(opened, precision, &args.ceilings)?;
        let mut lines = Vec::new();
        for tokens in tokens {
            for layer in layers(width) {
                lines.push(layer.measure::<B, A>(backend, tokens, precision, &args.measuring, &ceilings)?);
            }
            lines.extend(moves::lines::<B, A>(backend, tokens, width, &args.measuring, &ceilings)?);
        }
        let what = format!("linear layers and moves of encoders of width {width}");
        Ok(Table { what, precision: precision.name(), lines, ceilings })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rope,
    Gelu,
    SwiGlu,
    Add,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layer {
    name: &'static str,
    kind: Kind,
    d_in: usize,
    d_out: usize,
}

/// Those of ESM-2 and `RiNALMo` of a width; the inner width of the latter in whole pieces of eight.
fn layers(d: usize) -> [Layer; 6] {
    let inner = (8 * d / 3).next_multiple_of(8);
    let layer = |name, kind, d_in, d_out| Layer { name, kind, d_in, d_out };
    [
        layer("queries, keys, values", Kind::Rope, d, 3 * d),
        layer("output of attention", Kind::Add, d, d),
        layer("up, GELU", Kind::Gelu, d, 4 * d),
        layer("down, GELU", Kind::Add, 4 * d, d),
        layer("up, SwiGLU", Kind::SwiGlu, d, inner),
        layer("down, SwiGLU", Kind::Add, inner, d),
    ]
}

impl Layer {
    fn cost(self, tokens: usize, precision: Precision, state: usize) -> Cost {
        let [m, k, n] = [tokens, self.d_in, self.d_out].map(|size| size as f64);
        let weight = match precision {
            Precision::F32 => 4.0,
            Precision::F16 => 2.0,
            Precision::Int8 | Precision::Fp8 => 1.0,
        };
        let products = if self.kind == Kind::SwiGlu { 2.0 * n } else { n };
        let results = if self.kind == Kind::Add { 2.0 * n } else { n };
        Cost { flop: 2.0 * m * k * products, bytes: weight * k * products + state as f64 * m * (k + results) }
    }

    fn load<B: Timed>(self, backend: &B, precision: Precision) -> Result<B::Weights> {
        let Self { kind, d_in, d_out, .. } = self;
        // Outputs of SD 1/16: a sum over all repetitions stays within half precision.
        let sd = 1.0 / (16.0 * (d_in as f32).sqrt());
        let tensor =
            |shape: &[usize], seed| Tensor::from_f32("random", shape, numbers(shape.iter().product(), seed, sd));
        let [linear, gate] = [3, 4].map(|seed| tensor(&[d_out, d_in], seed));
        let [linear_bias, gate_bias] = [5, 6].map(|seed| tensor(&[d_out], seed));
        let tensors = match kind {
            Kind::SwiGlu => LinearTensors::SwiGlu {
                linear: &linear,
                linear_bias: &linear_bias,
                gate: &gate,
                gate_bias: &gate_bias,
                beta: 1.0,
            },
            _ => LinearTensors::Stacked { weights: &[linear], biases: &[linear_bias] },
        };
        backend.load_linear(tensors, precision)
    }

    fn measure<B: Timed, A: Activation>(
        self,
        backend: &B,
        tokens: usize,
        precision: Precision,
        measuring: &Measuring,
        ceilings: &Ceilings,
    ) -> Result<Line> {
        let weights = self.load(backend, precision)?;
        let (d_in, d_out) = (weights.d_in(), weights.d_out());
        let x = backend.uploaded(&numbers::<A>(tokens * d_in, 1, 1.0))?;
        let mut y = backend.zeros::<A>(tokens * d_out)?;
        let positions: Vec<u32> = (0..tokens).map(|t| (t % POSITIONS) as u32).collect();
        let positions = backend.uploaded(&positions)?;
        let angles = backend.uploaded(&numbers::<f32>(POSITIONS * D_HEAD / 2, 2, 0.5))?;
        let mut once = || {
            let (x, y) = (Matrix::of(backend, &x, tokens, d_in), MatrixMut::of(backend, &mut y, tokens, d_out));
            let epilogue = match self.kind {
                Kind::Gelu => Epilogue::Gelu,
                Kind::SwiGlu => Epilogue::SwiGlu,
                Kind::Add => Epilogue::Add,
                Kind::Rope => {
                    let angles = Matrix::of(backend, &angles, POSITIONS, D_HEAD / 2);
                    let positions = Matrix::of(backend, &positions, tokens, 1);
                    let rotation = Rotation { positions, cos: angles, sin: angles, scale: 0.125 };
                    return linear_rope(backend, x, &weights, rotation, y);
                }
            };
            linear(backend, x, &weights, epilogue, y)
        };
        let cold = tokens < COLD_BELOW;
        let runs = if cold { measuring.cold(backend, &mut once)? } else { measuring.sustained(backend, &mut once)? };
        let name = format!("{} {}x{}", self.name, self.d_in, self.d_out);
        Ok(Line::new(name, tokens, cold, self.cost(tokens, precision, size_of::<A>()), runs, ceilings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_the_large_encoders_and_what_they_cost() {
        let sizes: Vec<[usize; 2]> = layers(1280).iter().map(|layer| [layer.d_in, layer.d_out]).collect();
        assert_eq!(sizes, [[1280, 3840], [1280, 1280], [1280, 5120], [5120, 1280], [1280, 3416], [3416, 1280]]);
        let [_, output, up, _, gated, _] = layers(1280).map(|layer| layer.cost(10, Precision::F16, 2));
        assert_eq!(output, Cost { flop: 2.0 * 10.0 * 1280.0 * 1280.0, bytes: 2.0 * (1280.0 * 1280.0 + 10.0 * 3840.0) });
        assert_eq!(up.bytes, 2.0 * (1280.0 * 5120.0 + 10.0 * 6400.0));
        assert_eq!(gated.flop, 2.0 * 10.0 * 1280.0 * 6832.0);
        assert_eq!(gated.bytes, 2.0 * (1280.0 * 6832.0 + 10.0 * (1280.0 + 3416.0)));
    }
}
