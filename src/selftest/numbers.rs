//! Operands: numbers that are the same in every run, and matrices on the device.

use super::arrangement::Arrangement;
use crate::backend::{Activation, E4m3, Element, Matrix, MatrixMut, Memory, StackMut};
use crate::error::Result;

/// A generator (`SplitMix64`).
pub(super) struct Numbers(u64);

impl Numbers {
    pub fn new(seed: usize) -> Self {
        Self(seed as u64)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// `n` numbers around `middle`, at most `spread` away.
    pub fn around(&mut self, n: usize, middle: f32, spread: f32) -> Vec<f32> {
        (0..n).map(|_| middle + spread * ((self.next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0)).collect()
    }

    /// The same rounded to `A`.
    pub fn activations<A: Activation>(&mut self, n: usize, middle: f32, spread: f32) -> Vec<A> {
        rounded(&self.around(n, middle, spread))
    }

    /// Weights of a layer of this inner width, `[n_rows, width]`: sums of products with numbers below 1 are about as
    /// large. They are numbers of `A`.
    pub fn weights<A: Activation>(&mut self, n_rows: usize, width: usize) -> Vec<f32> {
        let spread = (3.0 / width as f32).sqrt();
        A::widened(&self.activations::<A>(n_rows * width, 0.0, spread)).into_owned()
    }
}

pub(super) fn rounded<A: Activation>(values: &[f32]) -> Vec<A> {
    values.iter().map(|&x| A::rounded(x)).collect()
}

pub(super) fn wide<A: Activation>(values: &[A]) -> Vec<f64> {
    A::widened(values).iter().map(|&x| f64::from(x)).collect()
}

/// Rows of `from` numbers, each filled up with zeros to `to`.
pub(super) fn widened_rows<T: Element>(rows: &[T], from: usize, to: usize) -> Vec<T> {
    let mut wide = vec![T::default(); rows.len() / from.max(1) * to];
    for (wide, row) in wide.chunks_exact_mut(to.max(1)).zip(rows.chunks_exact(from.max(1))) {
        wide[..from].copy_from_slice(row);
    }
    wide
}

/// Rows in eight bits and their scales.
pub(super) fn quantised(rows: &[f32], width: usize) -> (Vec<E4m3>, Vec<f32>) {
    let mut bytes = vec![E4m3::default(); rows.len()];
    let places = bytes.chunks_exact_mut(width);
    let scales = rows.chunks_exact(width).zip(places).map(|(row, to)| E4m3::quantise(row, to)).collect();
    (bytes, scales)
}

/// A matrix that is read. Its last number is the last of its memory: a device that guards memory sees what reads on.
pub(super) struct Operand<B: Memory, T: Element> {
    buffer: B::Buffer<T>,
    rows: usize,
    cols: usize,
}

impl<B: Memory, T: Element> Operand<B, T> {
    pub fn new(device: &B, values: &[T], cols: usize) -> Result<Self> {
        Ok(Self { buffer: device.uploaded(values)?, rows: values.len() / cols.max(1), cols })
    }
    pub fn all<'a>(&'a self, device: &B) -> Matrix<'a, B, T> {
        Matrix::of(device, &self.buffer, self.rows, self.cols)
    }
}

/// Every byte of what nobody may write.
const UNTOUCHED: u8 = 0xb5;
/// Numbers before a result that nobody may write: whole pieces of 16 bytes.
const BEFORE: usize = 64;

/// A matrix that is written, between numbers that nobody may write.
pub(super) struct Guarded<B: Memory, T: Element> {
    buffer: B::Buffer<T>,
    rows: usize,
    cols: usize,
    after: usize,
}

impl<B: Memory, T: Element> Guarded<B, T> {
    /// `values` are what the matrix holds before.
    pub fn new(device: &B, values: &[T], cols: usize) -> Result<Self> {
        let after = 2 * cols + BEFORE;
        let untouched = |n| vec![bytemuck::pod_read_unaligned::<T>(&[UNTOUCHED; 8][..size_of::<T>()]); n];
        let buffer = device.uploaded(&[&untouched(BEFORE), values, &untouched(after)].concat())?;
        Ok(Self { buffer, rows: values.len() / cols.max(1), cols, after })
    }

    /// A matrix of which nothing was written yet: every bit is set, which is NaN.
    pub fn unwritten(device: &B, rows: usize, cols: usize) -> Result<Self> {
        let nan = bytemuck::pod_read_unaligned::<T>(&[0xff; 8][..size_of::<T>()]);
        Self::new(device, &vec![nan; rows * cols], cols)
    }

    pub fn all<'a>(&'a mut self, device: &B) -> MatrixMut<'a, B, T> {
        MatrixMut::at(device, &mut self.buffer, BEFORE, self.rows, self.cols)
    }

    /// The matrices of a stack that lie so in what is written.
    pub fn stack<'a>(&'a mut self, device: &B, at: Arrangement) -> StackMut<'a, B, T> {
        at.write(device, &mut self.buffer, BEFORE)
    }

    /// Writes one number of all that there are.
    #[cfg(test)]
    pub fn overwrite(&mut self, device: &B, place: usize, value: T) -> Result<()> {
        device.upload(&[value], device.view_mut(&mut self.buffer, place..place + 1))
    }

    /// What the matrix holds, and the complaint where something beside it was written.
    pub fn read(&self, device: &B) -> Result<(Vec<T>, Option<String>)> {
        let end = BEFORE + self.rows * self.cols;
        let mut all = vec![T::default(); end + self.after];
        device.download(device.view(&self.buffer, 0..all.len()), &mut all)?;
        let touched = |part: &[T]| bytemuck::cast_slice::<T, u8>(part).iter().any(|&byte| byte != UNTOUCHED);
        let fault = match (touched(&all[..BEFORE]), touched(&all[end..])) {
            (true, _) => Some("numbers before the result were written".to_owned()),
            (_, true) => Some("rows behind the last were written".to_owned()),
            _ => None,
        };
        Ok((all[BEFORE..end].to_vec(), fault))
    }
}
