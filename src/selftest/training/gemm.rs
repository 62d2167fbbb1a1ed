//! Products of a layer and of the gradient of its input: rows and columns that fill tiles or do not, sums of few terms
//! and of many.

use super::super::Subject;
use super::super::bench::{Bench, Case, Found, same_bits};
use super::super::linear::sum_bound;
use super::super::numbers::{Guarded, Numbers, wide};
use super::super::reference::Rounding;
use super::{Arrangement, BETWEEN, arrangements, note};
use crate::error::Result;
use crate::ops::gemm::{Product, gemm};

const SIZES: [[usize; 3]; 8] =
    [[1, 1, 1], [16, 64, 256], [32, 1, 64], [33, 5, 7], [32, 68, 300], [17, 130, 65], [64, 40, 1280], [5, 36, 48]];

struct Gemm {
    product: Product,
    a: Vec<f32>,
    b: Vec<f32>,
    places: [Arrangement; 3],
}

impl Gemm {
    fn of(product: Product, [m, n, k]: [usize; 3], second: usize) -> Self {
        let b = if product == Product::Nt { [n, k] } else { [k, n] };
        let places = [[m, k], b, [m, n]].map(|[rows, cols]| arrangements([2, rows, cols])[second]);
        let mut numbers = Numbers::new(m + n + k);
        let a = numbers.around(places[0].len(), 0.0, 1.0);
        let b = numbers.around(places[1].len(), 0.0, (3.0 / k as f32).sqrt());
        Self { product, a, b, places }
    }
}

impl Case<f32> for Gemm {
    fn op(&self) -> &'static str {
        "gemm"
    }
    fn size(&self) -> String {
        let ([a, _, c], product) = (self.places, self.product);
        format!("{product:?} m {}, n {}, k {}{}", c.shape[1], c.shape[2], a.shape[2], note(a))
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let [a, b, c] = self.places;
        let (a_buffer, b_buffer) = (device.uploaded(&self.a)?, device.uploaded(&self.b)?);
        let mut found = Guarded::new(device, &vec![BETWEEN; c.len()], c.len())?;
        gemm(device, self.product, a.read(device, &a_buffer), b.read(device, &b_buffer), found.stack(device, c))?;
        let (values, fault) = found.read(device)?;
        Ok(Found { values, fault })
    }
    fn exact(&self, _rounding: Rounding) -> Vec<f64> {
        let [a_at, b_at, c_at] = self.places;
        let ([_, m, k], n) = (a_at.shape, c_at.shape[2]);
        c_at.filled(f64::from(BETWEEN), |run| {
            let (a, b) = (wide(&self.a[a_at.of_run(run)]), wide(&self.b[b_at.of_run(run)]));
            let b = |l: usize, j: usize| if self.product == Product::Nt { b[j * k + l] } else { b[l * n + j] };
            let sum = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b(l, j)).sum();
            (0..m * n).map(|place| sum(place / n, place % n)).collect()
        })
    }
    fn single_bound(&self, largest: f64) -> f64 {
        sum_bound(self.places[0].shape[2], largest)
    }
}

/// Few runs take narrow tiles, many take wide ones: a run has the same bits in both.
fn in_any_company<B: Subject>(device: &B, product: Product) -> Result<Option<String>> {
    let case = Gemm::of(product, [8, 64, 80], 0);
    let runs = 2 * device.multiprocessors();
    let product = |runs: usize| -> Result<Vec<f32>> {
        let places = case.places.map(|place| Arrangement { shape: [runs, place.shape[1], place.shape[2]], ..place });
        let repeated = |values: &[f32], at: Arrangement| values[at.of_run(0)].repeat(runs);
        let (a, b) = (repeated(&case.a, case.places[0]), repeated(&case.b, case.places[1]));
        let found = Gemm { product: case.product, a, b, places }.run(device)?;
        Ok(found.values)
    };
    let (few, many) = (product(1)?, product(runs)?);
    let differs = |run: &[f32]| same_bits(run, &few, || format!("among {runs} runs"));
    Ok(many.chunks_exact(few.len()).find_map(differs))
}

pub(super) fn check<B: Subject>(bench: &mut Bench<'_, B>) {
    for product in [Product::Nt, Product::Nn] {
        for (i, size) in SIZES.into_iter().enumerate() {
            bench.check(&Gemm::of(product, size, i % 2));
            bench.check(&Gemm::of(product, size, 1 - i % 2));
        }
        bench.holds::<f32>("gemm", format!("{product:?} a run alone and among many"), |device| {
            in_any_company(device, product)
        });
    }
}
