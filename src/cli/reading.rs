//! A quick reading of the machine's speed: enough to see that something is wrong, not a benchmark.

use std::time::{Duration, Instant};

use biollmnet::backend::{Cpu, Matrix, MatrixMut};
use biollmnet::error::Result;
use biollmnet::ops::gemm::{Product, gemm};
use rayon::prelude::*;
use serde::Serialize;

/// Time for each of the two measurements.
const SAMPLE: Duration = Duration::from_millis(300);
/// Width of the square matrices: three of them fit a second-level cache only in part, as in real layers.
const WIDTH: usize = 1024;
/// Floats of each buffer that is copied, larger than caches.
const COPIED: usize = 16 << 20;

/// Speeds with all threads, the best of the repetitions that fit the sample.
#[derive(Debug, Serialize)]
pub struct Reading {
    /// f32 matrix product of the engine, 10⁹ floating-point operations per second.
    pub gemm_gflops: f64,
    /// Bytes read plus bytes written, 10⁹ per second.
    pub copy_gb_per_second: f64,
    /// Threads that took part.
    pub threads: usize,
    /// Seconds that both measurements together ran for.
    pub seconds: f64,
}

impl Reading {
    /// Measures.
    pub fn take() -> Result<Self> {
        let started = Instant::now();
        let cpu = Cpu::all_threads();
        let (a, b, mut c) = (vec![0.5f32; WIDTH * WIDTH], vec![0.25f32; WIDTH * WIDTH], vec![0.0f32; WIDTH * WIDTH]);
        let product = fastest(|| {
            let [a, b] = [&a, &b].map(|m| Matrix::of(&cpu, m, WIDTH, WIDTH).into());
            gemm(&cpu, Product::Nt, a, b, MatrixMut::of(&cpu, &mut c, WIDTH, WIDTH).into())
        })?;

        let (from, mut to) = (vec![1.0f32; COPIED], vec![0.0f32; COPIED]);
        let part = COPIED.div_ceil(cpu.threads);
        let copy = fastest(|| {
            to.par_chunks_mut(part).zip(from.par_chunks(part)).for_each(|(to, from)| to.copy_from_slice(from));
            Ok(())
        })?;
        Ok(Self {
            gemm_gflops: 2.0 * (WIDTH as f64).powi(3) / product / 1e9,
            copy_gb_per_second: 2.0 * (COPIED * size_of::<f32>()) as f64 / copy / 1e9,
            threads: cpu.threads,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

/// Seconds of the fastest of the calls of `work` that fit into [`SAMPLE`], at least two.
fn fastest(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    let started = Instant::now();
    let mut best = f64::INFINITY;
    while best.is_infinite() || started.elapsed() < SAMPLE {
        let call = Instant::now();
        work()?;
        best = best.min(call.elapsed().as_secs_f64());
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_finite_and_positive() {
        let reading = Reading::take().unwrap();
        assert!(reading.gemm_gflops.is_finite() && reading.gemm_gflops > 0.0);
        assert!(reading.copy_gb_per_second.is_finite() && reading.copy_gb_per_second > 0.0);
    }
}
