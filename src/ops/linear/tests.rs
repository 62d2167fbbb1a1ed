//! The f32 product against naive sums in f64, on every instruction set of the machine.

use std::sync::Arc;

use half::{bf16, f16};

use super::*;
use crate::backend::{Cpu, Isa};
use crate::weights::elements::Element;

pub(super) fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.5
    };
    (0..n).map(next).collect()
}

pub(super) fn tensor(element: Element, shape: &[usize], seed: u32) -> Tensor {
    let values = numbers(shape.iter().product(), seed);
    let bytes: Vec<u8> = match element {
        Element::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        Element::Bf16 => values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
        _ => return Tensor::from_f32("w", shape, values),
    };
    let len = bytes.len();
    Tensor::new("w", element, shape.to_vec(), Arc::new(bytes), 0..len).unwrap()
}

/// Whatever a test multiplies with: two tensors of one shape and their biases.
pub(super) struct Layer {
    pub weights: Vec<Tensor>,
    pub biases: Vec<Tensor>,
    pub swiglu: bool,
}

pub(super) const BETA: f32 = 1.25;

impl Layer {
    pub fn stacked(element: Element, outs: &[usize], d_in: usize, with_bias: bool) -> Self {
        let weights = (1..).zip(outs).map(|(seed, &out)| tensor(element, &[out, d_in], seed)).collect();
        let bias = |(seed, &out)| tensor(Element::F32, &[out], seed);
        let biases = if with_bias { (11..).zip(outs).map(bias).collect() } else { Vec::new() };
        Self { weights, biases, swiglu: false }
    }
    pub fn swiglu(element: Element, out: usize, d_in: usize) -> Self {
        Self { swiglu: true, ..Self::stacked(element, &[out, out], d_in, true) }
    }
    pub fn load<B: Linear>(&self, backend: &B, precision: Precision) -> B::Weights {
        let tensors = if self.swiglu {
            LinearTensors::SwiGlu {
                linear: &self.weights[0],
                linear_bias: &self.biases[0],
                gate: &self.weights[1],
                gate_bias: &self.biases[1],
                beta: BETA,
            }
        } else {
            LinearTensors::Stacked { weights: &self.weights, biases: &self.biases }
        };
        backend.load_linear(tensors, precision).unwrap()
    }
    /// `[rows, all outputs]` before the epilogue.
    pub fn sums(&self, x: &[f32]) -> Vec<Vec<f64>> {
        let d_in = self.weights[0].shape()[1];
        let weights: Vec<f32> = self.weights.iter().flat_map(Tensor::to_f32).collect();
        let biases: Vec<f32> = self.biases.iter().flat_map(Tensor::to_f32).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let bias = |j: usize| biases.get(j).map_or(0.0, |&b| f64::from(b));
        let row = |x: &[f32]| weights.chunks(d_in).enumerate().map(|(j, w)| dot(x, w) + bias(j)).collect();
        x.chunks(d_in).map(row).collect()
    }
    /// What the layer and its epilogue make of `x` and of an earlier `y`.
    pub fn expected(&self, x: &[f32], epilogue: Epilogue, y: &[f32]) -> Vec<f64> {
        let finish = |(row, z): (usize, &Vec<f64>)| -> Vec<f64> {
            let width = y.len() / (x.len() / self.weights[0].shape()[1]);
            let value = |j: usize| match epilogue {
                Epilogue::Store => z[j],
                Epilogue::Add => z[j] + f64::from(y[row * width + j]),
                Epilogue::Gelu => 0.5 * z[j] * (1.0 + libm::erf(z[j] * std::f64::consts::FRAC_1_SQRT_2)),
                Epilogue::SwiGlu => z[j] / (1.0 + (-f64::from(BETA) * z[j]).exp()) * z[j + width],
            };
            (0..width).map(value).collect()
        };
        self.sums(x).iter().enumerate().flat_map(finish).collect()
    }
}

/// `y` of `layer` on `backend`, starting from `y`.
pub(super) fn run<B: Linear>(backend: &B, x: &[f32], weights: &B::Weights, epilogue: Epilogue, y: &[f32]) -> Vec<f32> {
    let rows = x.len() / weights.d_in();
    let up = |host: &[f32]| {
        let mut buffer = backend.zeros::<f32>(host.len()).unwrap();
        backend.upload(host, backend.view_mut(&mut buffer, 0..host.len())).unwrap();
        buffer
    };
    let (dx, mut dy) = (up(x), up(y));
    let (x, y_matrix) =
        (Matrix::of(backend, &dx, rows, weights.d_in()), MatrixMut::of(backend, &mut dy, rows, weights.d_out()));
    linear(backend, x, weights, epilogue, y_matrix).unwrap();
    let mut host = vec![0.0; y.len()];
    backend.download(backend.view(&dy, 0..y.len()), &mut host).unwrap();
    host
}

pub(super) fn backends() -> impl Iterator<Item = Cpu> {
    Isa::available().flat_map(|isa| [1, 2].map(|threads| Cpu { threads, isa }))
}

#[track_caller]
fn agrees(layer: &Layer, n_rows: usize, epilogue: Epilogue) {
    for cpu in backends() {
        let weights = layer.load(&cpu, Precision::F32);
        let x = numbers(n_rows * weights.d_in(), 21);
        let y = numbers(n_rows * weights.d_out(), 22);
        // Sums of products below ¼ in blocks: measured error at most 4e-7·√d_in, through a swish at most twice that.
        let bound = 1e-6 * (weights.d_in() as f64).sqrt().max(2.0);
        for (i, (got, want)) in
            run(&cpu, &x, &weights, epilogue, &y).iter().zip(layer.expected(&x, epilogue, &y)).enumerate()
        {
            let error = (f64::from(*got) - want).abs() / want.abs().max(1.0);
            let place = (i / weights.d_out(), i % weights.d_out());
            assert!(error < bound, "{cpu:?} {epilogue:?} rows {n_rows} at {place:?}: {got} for {want}");
        }
    }
}

const ELEMENTS: [Element; 3] = [Element::F32, Element::F16, Element::Bf16];

#[test]
fn one_product_by_hand() {
    let weights = [Tensor::from_f32("w", &[2, 2], vec![1.0, 2.0, 3.0, 4.0])];
    let biases = [Tensor::from_f32("b", &[2], vec![0.5, -0.5])];
    for cpu in backends() {
        let loaded =
            cpu.load_linear(LinearTensors::Stacked { weights: &weights, biases: &biases }, Precision::F32).unwrap();
        assert_eq!(run(&cpu, &[10.0, 1.0], &loaded, Epilogue::Store, &[9.0, 9.0]), [12.5, 33.5]);
        assert_eq!(run(&cpu, &[10.0, 1.0], &loaded, Epilogue::Add, &[1.0, 2.0]), [13.5, 35.5]);
    }
}

#[test]
fn every_epilogue_agrees_with_f64_on_every_stored_type() {
    for element in ELEMENTS {
        for (d_out, d_in) in [(1, 1), (7, 3), (24, 24), (33, 65), (100, 259)] {
            for rows in [1, 3, 17] {
                let layer = Layer::stacked(element, &[d_out], d_in, true);
                for epilogue in [Epilogue::Store, Epilogue::Gelu, Epilogue::Add] {
                    agrees(&layer, rows, epilogue);
                }
                agrees(&Layer::swiglu(element, d_out, d_in), rows, Epilogue::SwiGlu);
            }
        }
    }
}

#[test]
fn odd_widths_of_real_encoders_agree() {
    agrees(&Layer::swiglu(Element::F16, 853, 320), 5, Epilogue::SwiGlu);
    agrees(&Layer::stacked(Element::F16, &[48], 3_413, false), 5, Epilogue::Add);
}

#[test]
fn layers_of_one_input_stand_side_by_side() {
    for with_bias in [false, true] {
        agrees(&Layer::stacked(Element::F16, &[24, 24, 24], 24, with_bias), 19, Epilogue::Store);
        agrees(&Layer::stacked(Element::Bf16, &[7, 1, 50], 130, with_bias), 4, Epilogue::Store);
    }
    let mut mixed = Layer::stacked(Element::F16, &[20, 20], 70, true);
    mixed.weights[1] = tensor(Element::F32, &[20, 70], 5);
    agrees(&mixed, 9, Epilogue::Store);
}

#[test]
fn a_row_depends_on_no_other_row_nor_on_threads() {
    for (d_out, d_in) in [(7, 24), (48, 853), (100, 300), (24, 3_413)] {
        for (layer, epilogue) in [
            (Layer::stacked(Element::F16, &[d_out], d_in, true), Epilogue::Gelu),
            (Layer::swiglu(Element::F32, d_out, d_in), Epilogue::SwiGlu),
        ] {
            let x = numbers(65 * d_in, 3);
            let mut fused: Option<Vec<f32>> = None;
            for cpu in backends() {
                let weights = layer.load(&cpu, Precision::F32);
                let y = |m: usize| run(&cpu, &x[..m * d_in], &weights, epilogue, &vec![0.0; m * d_out]);
                let whole = y(65);
                for m in 1..65 {
                    assert_eq!(y(m), whole[..m * d_out], "{cpu:?} m = {m}, {d_out} × {d_in}");
                }
                let row = run(&cpu, &x[64 * d_in..], &weights, epilogue, &vec![0.0; d_out]);
                assert_eq!(row, whole[64 * d_out..], "{cpu:?} last row");
                // All sets with fused multiply-add compute the same bits.
                if cpu.isa != Isa::Portable {
                    assert_eq!(fused.get_or_insert_with(|| whole.clone()), &whole, "{cpu:?}");
                }
            }
        }
    }
}

#[test]
fn nothing_and_no_terms_are_allowed() {
    for cpu in backends() {
        let weights = Layer::stacked(Element::F32, &[5], 3, true).load(&cpu, Precision::F32);
        assert_eq!(run(&cpu, &[], &weights, Epilogue::Store, &[]), [0.0; 0]);
        let layer = Layer::stacked(Element::F32, &[3], 0, true);
        let weights = layer.load(&cpu, Precision::F32);
        let mut y = vec![1.0; 6];
        let x = Matrix { rows: 2, cols: 0, view: &[][..] };
        linear(&cpu, x, &weights, Epilogue::Store, MatrixMut { rows: 2, cols: 3, view: &mut y[..] }).unwrap();
        let bias = layer.biases[0].to_f32();
        assert_eq!(y, [&bias[..], &bias[..]].concat());
    }
}

#[test]
fn wrong_shapes_and_epilogues_are_refused_by_name() {
    let cpu = Cpu::single();
    let plain = Layer::stacked(Element::F32, &[4], 3, true).load(&cpu, Precision::F32);
    let gated = Layer::swiglu(Element::F32, 4, 3).load(&cpu, Precision::F32);
    let call = |weights, rows, cols, epilogue| {
        let (x, mut y) = (vec![0f32; rows * cols], vec![0f32; 8]);
        let y = MatrixMut { rows: 2, cols: 4, view: &mut y[..] };
        linear(&cpu, Matrix { rows, cols, view: &x[..] }, weights, epilogue, y).unwrap_err().to_string()
    };
    assert!(call(&plain, 2, 5, Epilogue::Store).contains("linear: expected x [2, 3], found [2, 5]"));
    assert!(call(&plain, 3, 3, Epilogue::Store).contains("expected x [2, 3], found [3, 3]"));
    for (weights, epilogue) in [(&plain, Epilogue::SwiGlu), (&gated, Epilogue::Store)] {
        assert!(call(weights, 2, 3, epilogue).contains("SwiGLU"));
    }
}
