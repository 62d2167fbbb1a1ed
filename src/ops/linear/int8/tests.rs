//! The 8-bit product against its own definition in integers, and against the f32 product within the rounding.

use crate::backend::{Cpu, Isa};
use crate::error::Result;
use crate::ops::linear::tests::{Layer, backends, numbers, run};
use crate::ops::linear::{Epilogue, Linear, LinearTensors, LinearWeights, Precision};
use crate::weights::{Tensor, elements::Element};

/// Scale and integers of a row, as the module defines them.
fn quantized(row: &[f32]) -> (f32, Vec<i64>) {
    let most = row.iter().fold(0f32, |most, x| most.max(x.abs()));
    let inverse = 127.0 / most;
    (most / 127.0, row.iter().map(|x| (x * inverse).round_ties_even() as i64).collect())
}

#[test]
fn sums_are_those_of_the_integers() {
    for (outs, d_in, rows) in [(&[1][..], 1, 1), (&[7, 5], 3, 2), (&[100], 853, 17), (&[33], 1_030, 29)] {
        let layer = Layer::stacked(Element::F16, outs, d_in, true);
        let x = numbers(rows * d_in, 3);
        let weights: Vec<f32> = layer.weights.iter().flat_map(Tensor::to_f32).collect();
        let biases: Vec<f32> = layer.biases.iter().flat_map(Tensor::to_f32).collect();
        let value = |row: &[f32], j: usize| {
            let ((x_scale, q), (w_scale, p)) = (quantized(row), quantized(&weights[j * d_in..(j + 1) * d_in]));
            let sum: i64 = q.iter().zip(p).map(|(q, p)| q * p).sum();
            sum as f32 * w_scale * x_scale + biases[j]
        };
        let expected: Vec<f32> =
            x.chunks(d_in).flat_map(|row| (0..biases.len()).map(move |j| (row, j))).map(|(x, j)| value(x, j)).collect();
        for cpu in backends() {
            let loaded = layer.load(&cpu, Precision::Int8);
            let y = run(&cpu, &x, &loaded, Epilogue::Store, &vec![0.0; expected.len()]);
            assert_eq!(y, expected, "{cpu:?} {outs:?} × {d_in}");
        }
    }
}

#[test]
fn the_error_stays_within_half_a_step_of_each_operand() {
    let (d_in, rows) = (300, 9);
    let layer = Layer::stacked(Element::Bf16, &[50], d_in, true);
    let x = numbers(rows * d_in, 3);
    let weights = layer.weights[0].to_f32();
    let exact = layer.sums(&x);
    for cpu in backends() {
        let y = run(&cpu, &x, &layer.load(&cpu, Precision::Int8), Epilogue::Store, &vec![0.0; rows * 50]);
        let mut worst = 0f64;
        for (i, y) in y.iter().enumerate() {
            let (row, column) = (&x[i / 50 * d_in..][..d_in], &weights[i % 50 * d_in..][..d_in]);
            let (x_step, w_step) = (f64::from(quantized(row).0), f64::from(quantized(column).0));
            let terms = row.iter().zip(column).map(|(x, w)| (f64::from(x.abs()), f64::from(w.abs())));
            let bound: f64 = terms.map(|(x, w)| x * w_step / 2.0 + w * x_step / 2.0 + x_step * w_step / 4.0).sum();
            let error = (f64::from(*y) - exact[i / 50][i % 50]).abs();
            assert!(error <= bound * 1.001, "{cpu:?}: error {error} for at most {bound}");
            worst = worst.max(error);
        }
        assert!(worst > 0.0, "nothing was quantised");
    }
}

#[test]
fn every_epilogue_follows_the_sums() {
    for (swiglu, epilogue) in
        [(false, Epilogue::Gelu), (false, Epilogue::Add), (false, Epilogue::Store), (true, Epilogue::SwiGlu)]
    {
        let (d_in, d_out, rows) = (67, 41, 16);
        let layer = if swiglu {
            Layer::swiglu(Element::F16, d_out, d_in)
        } else {
            Layer::stacked(Element::F16, &[d_out], d_in, true)
        };
        let (x, y) = (numbers(rows * d_in, 3), numbers(rows * d_out, 4));
        let expected = layer.expected(&x, epilogue, &y);
        for cpu in backends() {
            let got = run(&cpu, &x, &layer.load(&cpu, Precision::Int8), epilogue, &y);
            for (got, want) in got.iter().zip(&expected) {
                // Sums of 67 products of numbers below ½ in steps of 1/254: measured at most 0.02.
                assert!((f64::from(*got) - want).abs() < 0.04, "{cpu:?} {epilogue:?}: {got} for {want}");
            }
        }
    }
}

#[test]
fn a_row_depends_on_no_other_row_nor_on_threads_nor_on_the_instruction_set() {
    let (d_in, d_out) = (130, 70);
    for layer in
        [Layer::stacked(Element::F16, &[d_out], d_in, true), Layer::stacked(Element::F32, &[d_out], d_in, false)]
    {
        let x = numbers(65 * d_in, 3);
        let mut first: Option<Vec<f32>> = None;
        for cpu in backends() {
            let weights = layer.load(&cpu, Precision::Int8);
            let y = |m: usize| run(&cpu, &x[..m * d_in], &weights, Epilogue::Store, &vec![0.0; m * d_out]);
            let whole = y(65);
            for m in 1..65 {
                assert_eq!(y(m), whole[..m * d_out], "{cpu:?} m = {m}");
            }
            assert_eq!(first.get_or_insert_with(|| whole.clone()), &whole, "{cpu:?}");
        }
    }
}

#[test]
fn rows_of_zeros_give_the_bias_and_rows_with_nan_give_nan() {
    let layer = Layer::stacked(Element::F32, &[20], 10, true);
    let bias = layer.biases[0].to_f32();
    let mut x = numbers(50, 1);
    x[..10].fill(0.0);
    x[10..20].fill(0.25);
    x[25] = f32::NAN;
    x[35] = f32::INFINITY;
    for cpu in backends() {
        let y = run(&cpu, &x, &layer.load(&cpu, Precision::Int8), Epilogue::Store, &[0.0; 100]);
        assert_eq!(y[..20], bias);
        assert!(y[20..40].iter().zip(&layer.sums(&x)[1]).all(|(y, z)| (f64::from(*y) - z).abs() < 0.01), "{y:?}");
        assert!(y[40..80].iter().all(|y| y.is_nan()));
        assert!(y[80..].iter().all(|y| y.is_finite()));
    }
}

#[test]
fn a_sum_that_could_overflow_is_refused_at_load() {
    let load = |d_in: usize| -> Result<usize> {
        let weights = [Tensor::from_f32("w", &[1, d_in], vec![1.0; d_in])];
        let tensors = LinearTensors::Stacked { weights: &weights, biases: &[] };
        let cpu = Cpu::single();
        let loaded = cpu.load_linear(tensors, Precision::Int8)?;
        for isa in Isa::available() {
            // All operands at their limit.
            let y = run(&Cpu { isa, ..cpu }, &vec![1.0; d_in], &loaded, Epilogue::Store, &[0.0]);
            assert!((y[0] / d_in as f32 - 1.0).abs() < 1e-5, "{isa}: {}", y[0]);
        }
        Ok(loaded.d_in())
    };
    assert_eq!(load(66_311).unwrap(), 66_311);
    assert!(load(66_312).unwrap_err().to_string().contains("66312 inputs is too wide for 8 bits"));
}
