//! Self-attention over packed sequences, without ever writing the `[T, T]` matrix.

mod cpu;
mod cuda;
mod tile;

use crate::backend::{Activation, Matrix, MatrixMut, Memory, expect_shape};
use crate::error::{Error, Result};

/// How the rows of queries, keys and values are cut into heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Heads.
    pub n_heads: usize,
    /// Width of one head.
    pub d_head: usize,
}

/// The device side of [`attention`].
pub trait Attention: Memory {
    /// Packed sequences as this device works through them.
    type Sequences: Send + Sync;

    /// Refuses heads that this device has no kernel for.
    ///
    /// # Errors
    /// [`Error::Data`] that names the widths that it takes.
    fn check_heads(&self, heads: Heads) -> Result<()> {
        let _ = heads;
        Ok(())
    }
    /// Memory for [`admit_sequences`](Self::admit_sequences), empty.
    ///
    /// # Errors
    /// When the device has no memory left.
    fn no_sequences(&self) -> Result<Self::Sequences>;
    /// Takes in where each sequence begins and the last one ends, `cu_seqlens [n_sequences + 1]`, for states in `A`.
    ///
    /// # Errors
    /// When the device has no memory left or the copy fails.
    fn admit_sequences<A: Activation>(
        &self,
        sequences: &mut Self::Sequences,
        cu_seqlens: &[u32],
        heads: Heads,
    ) -> Result<()>;
    /// What of `sequences` fixes the launches of [`attention`], for the key of a [`replay`](Memory::replay).
    fn launches(sequences: &Self::Sequences) -> [usize; 4];

    /// See [`attention`]; shapes have been checked.
    ///
    /// # Errors
    /// What the device reports.
    fn attention_raw<A: Activation>(
        &self,
        qkv: Self::View<'_, A>,
        sequences: &Self::Sequences,
        heads: Heads,
        out: MatrixMut<'_, Self, A>,
    ) -> Result<()>;
}

/// `out = softmax(q·kᵀ)·v` of each head, over the tokens of the same sequence.
///
/// `qkv [n_tokens, 3·d_model]` holds queries (scaled already), keys and values side by side, heads in order; `sequences`
/// were taken in for the same heads; `out [n_tokens, d_model]`. Rows behind the last sequence are left as they are. A
/// sequence's rows depend on that sequence alone, bit for bit.
///
/// # Errors
/// When the shapes do not fit.
pub fn attention<B: Attention, A: Activation>(
    backend: &B,
    qkv: Matrix<'_, B, A>,
    sequences: &B::Sequences,
    heads: Heads,
    out: MatrixMut<'_, B, A>,
) -> Result<()> {
    expect_shape("attention", "qkv", [out.rows, 3 * out.cols], qkv.shape())?;
    if heads.n_heads == 0 || heads.n_heads * heads.d_head != out.cols {
        return Err(Error::Shape {
            op: "attention",
            expected: format!("{} heads of {}", heads.n_heads, heads.d_head),
            found: format!("a width of {}", out.cols),
        });
    }
    backend.attention_raw(qkv.view, sequences, heads, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cpu;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (f64::from(state >> 8) / f64::from(1 << 23) - 1.0) as f32
            })
            .collect()
    }

    /// The textbook form in f64.
    fn naive(qkv: &[f32], lengths: &[usize], n_heads: usize, d_head: usize) -> Vec<f64> {
        let d = n_heads * d_head;
        let at = |t: usize, part: usize, h: usize, i: usize| f64::from(qkv[t * 3 * d + part * d + h * d_head + i]);
        let mut out = vec![0.0; qkv.len() / 3];
        let mut first = 0;
        for &length in lengths {
            for h in 0..n_heads {
                for t in first..first + length {
                    let logits: Vec<f64> = (first..first + length)
                        .map(|s| (0..d_head).map(|i| at(t, 0, h, i) * at(s, 1, h, i)).sum())
                        .collect();
                    let top = logits.iter().copied().fold(f64::MIN, f64::max);
                    let total: f64 = logits.iter().map(|l| (l - top).exp()).sum();
                    for i in 0..d_head {
                        let sum: f64 =
                            logits.iter().zip(first..).map(|(l, s)| (l - top).exp() / total * at(s, 2, h, i)).sum();
                        out[t * d + h * d_head + i] = sum;
                    }
                }
            }
            first += length;
        }
        out
    }

    fn run(threads: usize, qkv: &[f32], lengths: &[usize], n_heads: usize, d_head: usize) -> Vec<f32> {
        let backend = Cpu::with_threads(threads);
        let (d, n) = (n_heads * d_head, lengths.iter().sum());
        let mut cu_seqlens = vec![0u32];
        cu_seqlens.extend(lengths.iter().scan(0u32, |sum, &l| {
            *sum += l as u32;
            Some(*sum)
        }));
        let heads = Heads { n_heads, d_head };
        let mut sequences = backend.no_sequences().unwrap();
        backend.admit_sequences::<f32>(&mut sequences, &cu_seqlens, heads).unwrap();
        let qkv = qkv.to_vec();
        let mut out = vec![f32::NAN; n * d];
        let qkv = Matrix::of(&backend, &qkv, n, 3 * d);
        attention(&backend, qkv, &sequences, heads, MatrixMut::of(&backend, &mut out, n, d)).unwrap();
        out
    }

    #[test]
    fn heads_of_every_width_agree_with_f64() {
        let lengths = [1, 2, 0, 17, 64, 65, 130];
        let n: usize = lengths.iter().sum();
        for (n_heads, d_head) in [(1, 2), (2, 16), (3, 24), (2, 32), (2, 64), (1, 128), (1, 80)] {
            let qkv = numbers(n * 3 * n_heads * d_head, 7);
            let expected = naive(&qkv, &lengths, n_heads, d_head);
            for (got, want) in run(2, &qkv, &lengths, n_heads, d_head).iter().zip(expected) {
                // Averages of numbers below 1: measured 4e-7.
                assert!((f64::from(*got) - want).abs() < 2e-6, "d_head {d_head}: {got} for {want}");
            }
        }
    }

    #[test]
    fn far_logits_neither_overflow_nor_vanish() {
        // Of two keys one is 200 above the other: all weight lies on it.
        let qkv = [[10.0, 0.0, 20.0, 0.0, 1.0, 2.0], [10.0, 0.0, -20.0, 0.0, 3.0, 4.0]].concat();
        assert_eq!(run(1, &qkv, &[2], 1, 2), [1.0, 2.0, 1.0, 2.0]);
    }

    #[test]
    fn a_sequence_depends_on_no_other_and_threads_change_no_bit() {
        let (n_heads, d_head) = (2, 24);
        let d = n_heads * d_head;
        let lengths = [5, 70, 1, 33];
        let qkv = numbers(lengths.iter().sum::<usize>() * 3 * d, 11);
        let whole = run(1, &qkv, &lengths, n_heads, d_head);
        assert_eq!(whole, run(2, &qkv, &lengths, n_heads, d_head));
        let mut first = 0;
        for length in lengths {
            let alone = run(1, &qkv[first * 3 * d..(first + length) * 3 * d], &[length], n_heads, d_head);
            assert_eq!(alone, whole[first * d..(first + length) * d], "length {length}");
            first += length;
        }
    }
}
