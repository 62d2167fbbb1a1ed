//! What the device can do at most, measured in the same run.

use biollmnet::backend::cuda::Cublas;
use biollmnet::backend::{Cpu, Cuda, Matrix, MatrixMut, Memory};
use biollmnet::error::Result;
use biollmnet::ops::linear::{Epilogue, Linear, LinearTensors, Precision, linear};
use biollmnet::weights::Tensor;
use clap::Args;
use half::f16;
use serde::Serialize;

use super::median;
use super::peak::Peak;
use super::random::numbers;
use super::timing::{samples, seconds_of};
use crate::cli::device::Opened;
use crate::cli::output::print;
use crate::cli::reading::Reading;

/// Side of the matrices that cuBLAS multiplies.
const SIDE: usize = 8192;
/// Samples of a ceiling, seconds of each, and most repetitions of one.
const RUNS: usize = 7;
const SECONDS: f64 = 0.1;
const MOST: usize = 10_000;

/// Flags of the ceilings.
#[derive(Debug, Args)]
pub struct CeilingFlags {
    /// Mebibytes that are copied within a CUDA device to find its bandwidth.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65536))]
    copy_mib: u32,
}

/// What shares refer to.
#[derive(Debug, Serialize)]
pub struct Ceilings {
    /// The device, or the number of threads.
    pub device: String,
    /// Products in this precision, 10⁹ operations per second; absent where there is nothing here to measure it with.
    pub peak: Option<f64>,
    /// How `peak` was measured, or why it was not.
    pub peak_is: &'static str,
    /// Bytes read plus bytes written by a copy, 10⁹ per second.
    pub copy_gb_per_second: f64,
    #[serde(flatten)]
    units: Option<Units>,
}

/// What the units of a CPU can do.
#[derive(Debug, Serialize)]
struct Units {
    #[serde(flatten)]
    peak: Peak,
    /// A linear layer of the engine alone in this precision, 1024 rows of 1280 to 5120, 10⁹ operations per second.
    linear_gops: f64,
}

impl Ceilings {
    /// Measures.
    pub fn take(opened: &Opened, precision: Precision, flags: &CeilingFlags) -> Result<Self> {
        match opened {
            Opened::Cpu => Self::of_cpu(&Cpu::all_threads(), precision),
            Opened::Cuda(cuda) => Self::of_cuda(cuda, precision, (flags.copy_mib as usize) << 20),
        }
    }

    fn of_cpu(cpu: &Cpu, precision: Precision) -> Result<Self> {
        let units = Units { peak: Peak::take(), linear_gops: linear_gops(cpu, precision)? };
        let (peak, peak_is) = match (precision, units.peak.int8_gops) {
            (Precision::F32 | Precision::F16 | Precision::Fp8, _) => {
                (units.peak.f32_gflops, "f32 multiply-adds in registers")
            }
            (Precision::Int8, Some(gops)) => (gops, "VNNI multiply-adds in registers"),
            (Precision::Int8, None) => (units.linear_gops, "a linear layer of the engine alone"),
        };
        Ok(Self {
            device: format!("CPU, {} threads", cpu.threads),
            peak: Some(peak),
            peak_is,
            copy_gb_per_second: Reading::take()?.copy_gb_per_second,
            units: Some(units),
        })
    }

    fn of_cuda(cuda: &Cuda, precision: Precision, copied: usize) -> Result<Self> {
        let (peak, peak_is) = match (precision, Cublas::open(cuda)) {
            (Precision::F16, Some(cublas)) => {
                (Some(product_gflops(cuda, &cublas)?), "P*: cuBLAS in half precision, 8192 by 8192 by 8192")
            }
            (Precision::F16, None) => (None, "no cuBLAS here: P* not measured"),
            _ => (None, "P* is of half precision: not measured"),
        };
        let copy_gb_per_second = copy_gb_per_second(cuda, copied)?;
        Ok(Self { device: cuda.info().to_string(), peak, peak_is, copy_gb_per_second, units: None })
    }

    /// `gflops` as a share of the peak, where there is one.
    pub fn share(&self, gflops: f64) -> Option<f64> {
        self.peak.map(|peak| gflops / peak)
    }

    /// One line.
    pub fn print(&self) -> Result<()> {
        let peak = self.peak.map_or(String::new(), |peak| format!("{peak:.0} GFLOP/s, "));
        let layer = self
            .units
            .as_ref()
            .map_or(String::new(), |units| format!("; a linear layer alone {:.0}", units.linear_gops));
        print(format!("peak: {peak}{}{layer}; copy: {:.0} GB/s", self.peak_is, self.copy_gb_per_second))
    }
}

/// Median of samples of `work`, in seconds of a repetition.
fn sustained(cuda: &Cuda, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let runs = samples(2, RUNS, SECONDS, MOST, |n| {
        seconds_of(|| {
            (0..n).try_for_each(|_| work())?;
            cuda.synchronise()
        })
    })?;
    Ok(median(&runs))
}

fn copy_gb_per_second(cuda: &Cuda, n_bytes: usize) -> Result<f64> {
    let n = n_bytes / size_of::<u32>();
    let (from, mut to) = (cuda.zeros::<u32>(n)?, cuda.zeros::<u32>(n)?);
    let seconds = sustained(cuda, || cuda.copy(&from, &mut to))?;
    Ok(2.0 * n_bytes as f64 / seconds / 1e9)
}

fn product_gflops(cuda: &Cuda, cublas: &Cublas) -> Result<f64> {
    let n = SIDE * SIDE;
    let (a, b) = (cuda.uploaded(&numbers::<f16>(n, 1, 1.0))?, cuda.uploaded(&numbers::<f16>(n, 2, 1.0))?);
    let mut c = cuda.zeros::<f16>(n)?;
    let seconds = sustained(cuda, || {
        cublas.product(SIDE, cuda.view(&a, 0..n), cuda.view(&b, 0..n), &cuda.view_mut(&mut c, 0..n))
    })?;
    Ok(2.0 * (SIDE as f64).powi(3) / seconds / 1e9)
}

/// The fastest of five calls.
fn linear_gops(cpu: &Cpu, precision: Precision) -> Result<f64> {
    let (rows, d_in, d_out) = (1024, 1280, 5120);
    let weight = Tensor::from_f32("weight", &[d_out, d_in], numbers(d_out * d_in, 1, 0.3));
    let weights = cpu.load_linear(LinearTensors::Stacked { weights: &[weight], biases: &[] }, precision)?;
    let (x, mut y) = (numbers::<f32>(rows * d_in, 2, 0.3), vec![0.0; rows * d_out]);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        best = best.min(seconds_of(|| {
            let y = MatrixMut::of(cpu, &mut y, rows, d_out);
            linear(cpu, Matrix::of(cpu, &x, rows, d_in), &weights, Epilogue::Store, y)
        })?);
    }
    Ok(2.0 * (rows * d_in * d_out) as f64 / best / 1e9)
}
