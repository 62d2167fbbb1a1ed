//! Means of segments: empty ones, long ones, ones that overlap.

use super::Subject;
use super::bench::{Bench, Case, Found};
use super::numbers::{Guarded, Numbers, Operand, wide};
use super::reference::{self, Rounding};
use crate::backend::Activation;
use crate::error::Result;
use crate::ops::segment_mean::segment_mean;

const SEGMENTS: [[u32; 2]; 9] = [[0, 0], [5, 5], [3, 4], [0, 333], [2, 35], [34, 42], [34, 43], [332, 333], [333, 333]];

struct SegmentMean<A> {
    d: usize,
    x: Vec<A>,
    segments: Vec<[u32; 2]>,
}

impl<A: Activation> Case<A> for SegmentMean<A> {
    fn op(&self) -> &'static str {
        "segment_mean"
    }
    fn size(&self) -> String {
        format!("{} segments to {}, d {}", self.segments.len(), self.x.len() / self.d, self.d)
    }
    fn run<B: Subject>(&self, device: &B) -> Result<Found> {
        let (x, segments) = (Operand::new(device, &self.x, self.d)?, self.segments.as_flattened());
        let segments = Operand::new(device, segments, 2)?;
        let mut means = Guarded::<B, f32>::unwritten(device, self.segments.len(), self.d)?;
        segment_mean(device, x.all(device), segments.all(device), means.all(device))?;
        let (values, fault) = means.read(device)?;
        Ok(Found { values, fault })
    }
    fn exact(&self, _rounding: Rounding) -> Vec<f64> {
        reference::segment_means(&wide(&self.x), &self.segments, self.d)
    }
    /// Sums of hundreds of numbers around 1, divided by their number: half of 1.2e-7 for each few additions.
    fn single_bound(&self, largest: f64) -> f64 {
        2e-6 * largest
    }
    /// Means are in f32 whatever the states are in.
    fn half_bound(&self, exact: &[f64]) -> f64 {
        self.single_bound(super::bench::largest(exact))
    }
}

pub(super) fn check<B: Subject, A: Activation>(bench: &mut Bench<'_, B>) {
    for (d, segments) in
        [(8, &SEGMENTS[..]), (24, &SEGMENTS), (304, &SEGMENTS), (1280, &SEGMENTS[2..4]), (256, &[[0, 1]])]
    {
        let n = segments.iter().map(|segment| segment[1]).max().unwrap_or(0) as usize;
        let x = Numbers::new(d).activations(n * d, 1.0, 2.0);
        bench.check(&SegmentMean::<A> { d, x, segments: segments.to_vec() });
    }
}
