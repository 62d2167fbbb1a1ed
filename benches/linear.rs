//! The linear layers of an encoder of width 1280 beside the `gemm` crate: operations per second (2·M·N·K each).

use std::hint::black_box;
use std::slice::from_ref;
use std::sync::Arc;

use biollmnet::backend::{Cpu, Matrix, MatrixMut};
use biollmnet::ops::linear::{Epilogue, Linear, LinearTensors, LinearWeights, Precision, linear};
use biollmnet::weights::Tensor;
use biollmnet::weights::elements::Element;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use half::f16;

/// Tokens of a batch.
const TOKENS: usize = 1024;
/// Name, outputs, inputs and epilogue.
const LAYERS: [(&str, usize, usize, Epilogue); 6] = [
    ("query key value", 3840, 1280, Epilogue::Store),
    ("output", 1280, 1280, Epilogue::Add),
    ("up, GELU", 5120, 1280, Epilogue::Gelu),
    ("down", 1280, 5120, Epilogue::Add),
    ("up, SwiGLU", 3413, 1280, Epilogue::SwiGlu),
    ("down of SwiGLU", 1280, 3413, Epilogue::Add),
];

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect()
}

fn weight(element: Element, d_out: usize, d_in: usize) -> Tensor {
    let values = numbers(d_out * d_in);
    if element == Element::F32 {
        return Tensor::from_f32("w", &[d_out, d_in], values);
    }
    let bytes: Vec<u8> = values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
    let len = bytes.len();
    Tensor::new("w", element, vec![d_out, d_in], Arc::new(bytes), 0..len).expect("a tensor")
}

fn layers(c: &mut Criterion) {
    let cpu = Cpu::all_threads();
    for (name, d_out, d_in, epilogue) in LAYERS {
        let mut group = c.benchmark_group(format!("linear {name} {TOKENS}×{d_out}×{d_in}, {} threads", cpu.threads));
        let branches = if epilogue == Epilogue::SwiGlu { 2 } else { 1 };
        group.sample_size(10);
        group.throughput(Throughput::Elements((2 * TOKENS * d_out * branches * d_in) as u64));
        let (x, mut y) = (numbers(TOKENS * d_in), vec![0f32; TOKENS * d_out]);
        for (kind, element, precision) in [
            ("f32", Element::F32, Precision::F32),
            ("f16 weights", Element::F16, Precision::F32),
            ("int8", Element::F16, Precision::Int8),
        ] {
            let (w, bias) = (weight(element, d_out, d_in), Tensor::from_f32("b", &[d_out], vec![0.1; d_out]));
            let tensors = if branches == 2 {
                LinearTensors::SwiGlu { linear: &w, linear_bias: &bias, gate: &w, gate_bias: &bias, beta: 1.0 }
            } else {
                LinearTensors::Stacked { weights: from_ref(&w), biases: from_ref(&bias) }
            };
            let weights = cpu.load_linear(tensors, precision).expect("a layer");
            assert_eq!(weights.d_in(), d_in);
            group.bench_function(kind, |b| {
                b.iter(|| {
                    let x = Matrix { rows: TOKENS, cols: d_in, view: &x[..] };
                    let y = MatrixMut { rows: TOKENS, cols: d_out, view: &mut y[..] };
                    linear(&cpu, x, &weights, epilogue, y).expect("a product");
                });
            });
        }
        let w = numbers(d_out * branches * d_in);
        let mut z = vec![0f32; TOKENS * d_out * branches];
        group.bench_function("gemm crate, f32, without epilogue", |b| {
            b.iter(|| peer(cpu.threads, d_in, &x, &w, &mut z));
        });
        group.finish();
    }
}

/// `z [M, N] = x [M, K]·w [N, K]ᵀ` by the `gemm` crate.
#[allow(unsafe_code)]
fn peer(threads: usize, d_in: usize, x: &[f32], w: &[f32], z: &mut [f32]) {
    let (m, n, k) = (x.len() / d_in, w.len() / d_in, d_in);
    assert_eq!(z.len(), m * n);
    // SAFETY: the three slices hold m·k, n·k and m·n numbers, and the strides stay inside them.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            z.as_mut_ptr(),
            1,
            n as isize,
            false,
            x.as_ptr(),
            1,
            k as isize,
            w.as_ptr(),
            k as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::Rayon(threads),
        );
    }
    black_box(z);
}

criterion_group!(benches, layers);
criterion_main!(benches);
